"""`sterling credit`: which rows and which settings of a generator help or hurt."""

from __future__ import annotations

from pathlib import Path
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
    Time,
)
from sterling.cli.output import finish


def credit(
    real: Annotated[str, typer.Argument(help="Real data.")],
    synthetic: Annotated[str, typer.Argument(help="Synthetic data, with columns that say how rows were made.")],
    target: Annotated[str, typer.Option("--target", help="The column that a model shall predict.")],
    by: Annotated[
        list[str], typer.Option("--by", help="A column of SYNTHETIC such as persona or temperature; repeatable.")
    ],
    holdout: Holdout = None,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="Write the rows with _sterling_credit: .csv, .parquet, .jsonl.")
    ] = None,
    without: Annotated[
        Literal["settings", "rows", "nothing"],
        typer.Option(
            "--without", help="What the written rows lack: harmful settings, harmful single rows too, nothing."
        ),
    ] = "settings",
    weight: Annotated[float | None, typer.Option("--weight", help="Of a synthetic row in training; real = 1.")] = None,
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
    """Which generator settings help or hurt, in real rows.

    Exact credit for every synthetic row; the worst dropped setting is put to the benchmark once.
    """
    from sterling.api.credit import credit as give_credit
    from sterling.cli.progress import reporter

    result = give_credit(
        real, synthetic, target=target, by=by, holdout=holdout, out=out, without=without, weight=weight,
        learner=learner, settings=settings or [], policy=policy, stakes=stakes, seed=seed,
        effort="fast" if fast else "full", schema=schema, entity=entity, time=time, on_event=reporter(),
    )  # fmt: skip
    finish(result, json=json, html=html)
