"""`sterling reach`: what synthetic sets do not reach."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from sterling.cli.options import (
    Entity,
    Fast,
    Holdout,
    HtmlOut,
    JsonOut,
    Learner,
    Policy,
    SchemaFile,
    Seed,
    Settings,
    Stakes,
    Target,
    Time,
)
from sterling.cli.output import finish


def reach(
    real: Annotated[str, typer.Argument(help="Real data.")],
    synthetic: Annotated[
        list[str] | None, typer.Argument(help="Synthetic sets; none where a generator is named.")
    ] = None,
    target: Target = None,
    holdout: Holdout = None,
    generator: Annotated[
        str | None,
        typer.Option("--generator", help="One of ours: shows how near it can come, with ten times the rows."),
    ] = None,
    settings: Settings = None,
    real_row: Annotated[float | None, typer.Option("--real-row", help="What collecting one real row costs.")] = None,
    rank: Annotated[
        Literal["rows", "loss"],
        typer.Option("--rank", help="By real rows out of reach, or by what a model loses there."),
    ] = "rows",
    learner: Learner = "boosted_trees",
    policy: Policy = None,
    stakes: Stakes = "low",
    seed: Seed = 0,
    fast: Fast = False,
    json: JsonOut = None,
    html: HtmlOut = None,
    schema: SchemaFile = None,
    entity: Entity = None,
    time: Time = None,
) -> None:
    """The map of what cannot be synthesised (yet).

    Groups of real records that no synthetic row comes near: collect, weigh up, or sample more.
    """
    from sterling.api.reach import reach as draw
    from sterling.cli.progress import reporter

    result = draw(
        real, synthetic or [], target=target, holdout=holdout, generator=generator, settings=settings or [],
        real_row=real_row, rank=rank, learner=learner, policy=policy, stakes=stakes, seed=seed,
        effort="fast" if fast else "full", schema=schema, entity=entity, time=time, on_event=reporter(),
    )  # fmt: skip
    finish(result, json=json, html=html)
