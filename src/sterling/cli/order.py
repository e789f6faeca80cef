"""`sterling order`: which order of training to use."""

from __future__ import annotations

from typing import Annotated

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
    Time,
)
from sterling.cli.output import finish


def order(
    real: Annotated[str, typer.Argument(help="Real data.")],
    synthetic: Annotated[list[str], typer.Argument(help="One or more synthetic sets.")],
    target: Annotated[str, typer.Option("--target", help="The column that a model shall predict.")],
    holdout: Holdout = None,
    learner: Learner = "boosted_trees",
    settings: Settings = None,
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
    """Mix, or pre-train and fine-tune?

    Tries real alone, synthetic alone, the mix, and one after the other; names one only where it is shown.
    """
    from sterling.api.order import order as find
    from sterling.cli.progress import reporter

    result = find(
        real, synthetic, target=target, holdout=holdout, learner=learner, settings=settings or [], policy=policy,
        stakes=stakes, seed=seed, effort="fast" if fast else "full", schema=schema, entity=entity, time=time,
        on_event=reporter(),
    )  # fmt: skip
    finish(result, json=json, html=html)
