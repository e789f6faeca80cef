"""`sterling collapse`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from sterling.cli.options import Group, HtmlOut, JsonOut, Policy, SchemaFile, Seed, Settings, Slice, Stakes, Target
from sterling.cli.output import finish


def collapse(
    generator: Annotated[str, typer.Argument(help="A generator; `sterling list generators` shows them.")],
    real: Annotated[str, typer.Argument(help="Real data.")],
    generations: Annotated[int, typer.Option("--generations", help="How often it is fitted; first on real rows.")] = 5,
    mode: Annotated[
        Literal["all", "replace", "accumulate", "budget", "inject"],
        typer.Option("--mode", help="What later generations are fitted on."),
    ] = "all",
    inject: Annotated[int, typer.Option("--inject", help="Fresh real rows per protected slice and generation.")] = 0,
    fresh: Annotated[str | None, typer.Option("--fresh", help="Real rows to inject; else part of REAL.")] = None,
    rows: Annotated[int | None, typer.Option("--rows", help="Rows a generation; else as many as REAL.")] = None,
    until: Annotated[int | None, typer.Option("--until", help="Generation to foretell from the first two.")] = None,
    target: Target = None,
    group: Group = None,
    slice_: Slice = None,
    settings: Settings = None,
    policy: Policy = None,
    stakes: Stakes = "low",
    seed: Seed = 0,
    schema: SchemaFile = None,
    out: Annotated[Path | None, typer.Option("--out", help="Keep every generation here; run again to resume.")] = None,
    json: JsonOut = None,
    html: HtmlOut = None,
) -> None:
    """A generator on its own output: what is lost?

    Says which sign warns first, foretells the loss from two generations, and how many fresh real rows each slice needs.
    """
    from sterling.api.collapse import collapse as run_collapse
    from sterling.cli.progress import reporter

    result = run_collapse(
        generator, real, generations=generations, mode=mode, inject=inject, fresh=fresh, rows=rows, until=until,
        target=target, groups=group or [], slices=slice_ or [], settings=settings or [], policy=policy, stakes=stakes,
        seed=seed, schema=schema, out=out, on_event=reporter(),
    )  # fmt: skip
    finish(result, json=json, html=html)
