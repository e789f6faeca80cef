"""`sterling generate`: synthetic rows by a named generator."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sterling.cli.options import SchemaFile, Seed, Settings, Target


def generate(
    name: Annotated[str, typer.Argument(help="A generator; `sterling list generators` shows them.")],
    rows: Annotated[int, typer.Option("-n", help="Rows to make.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder, or a .parquet, .csv or .jsonl file.")],
    source: Annotated[str | None, typer.Option("--from", help="Real data to learn from: its train part only.")] = None,
    given: Annotated[
        list[str] | None, typer.Option("--given", help="column=value, or a file of columns, held fixed; repeatable.")
    ] = None,
    balance: Annotated[str | None, typer.Option("--balance", help="Make its classes in equal numbers.")] = None,
    constraints: Annotated[
        Path | None, typer.Option("--constraints", help="TOML by `sterling constraints`: every row keeps it.")
    ] = None,
    seed: Seed = 0,
    settings: Settings = None,
    target: Target = None,
    entity: Annotated[str | None, typer.Option("--entity", help="Column that says whose row it is.")] = None,
    time: Annotated[str | None, typer.Option("--time", help="Column that says when.")] = None,
    schema: SchemaFile = None,
    canaries: Annotated[int, typer.Option("--canaries", min=0, help="Made-up records to plant; compare looks.")] = 0,
    workers: Annotated[int, typer.Option("--workers", min=1, help="Processes; the bytes do not depend on it.")] = 1,
) -> None:
    """Make synthetic rows."""
    from sterling.api.generate import generate as make
    from sterling.cli.progress import reporter

    made = make(
        name, source=source, rows=rows, seed=seed, out=out, settings=settings or [], target=target, entity=entity,
        time=time, schema=schema, given=given or (), balance=balance, constraints=constraints, canaries=canaries,
        workers=workers, on_event=reporter(),
    )  # fmt: skip
    typer.echo(f"{made.rows:,} rows by {made.lineage.generator} -> {out}")
