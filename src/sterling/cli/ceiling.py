"""`sterling ceiling`: teacher, student and target side by side; what wrong labels will do."""

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


def ceiling(
    real: Annotated[str, typer.Argument(help="Real data.")],
    synthetic: Annotated[str, typer.Argument(help="Synthetic data.")],
    target: Annotated[str, typer.Option("--target", help="The column that a model shall predict.")],
    teacher: Annotated[
        str | None,
        typer.Option("--teacher", help="Column of the benchmark with its answers; its score; or a generator."),
    ] = None,
    audit: Annotated[
        str | None, typer.Option("--audit", help="Column of SYNTHETIC: true class or true/false, empty if unchecked.")
    ] = None,
    verifier: Annotated[
        str | None, typer.Option("--verifier", help="Column of SYNTHETIC: whether a verifier keeps the row.")
    ] = None,
    errors: Annotated[float | None, typer.Option("--errors", help="Share of wrong labels, where you know it.")] = None,
    errors_in: Annotated[
        str | None, typer.Option("--errors-in", help="Slice COLUMN=VALUE in which all of them lie.")
    ] = None,
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
    """No better than its source: teacher, student, target.

    And from audited labels: the error a model will make, foretold and measured.
    """
    from sterling.api.ceiling import ceiling as ask
    from sterling.cli.progress import reporter

    result = ask(
        real, synthetic, target=target, teacher=teacher, audit=audit, verifier=verifier, errors=errors,
        errors_in=errors_in, holdout=holdout, learner=learner, settings=settings or [], policy=policy, stakes=stakes,
        seed=seed, effort="fast" if fast else "full", schema=schema, entity=entity, time=time, on_event=reporter(),
    )  # fmt: skip
    finish(result, json=json, html=html)
