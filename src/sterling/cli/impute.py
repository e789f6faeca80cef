"""`sterling impute`: gaps filled, or columns drawn anew."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sterling.cli.options import HtmlOut, JsonOut, SchemaFile, Seed
from sterling.cli.output import finish


def impute(
    table: Annotated[str, typer.Argument(metavar="TABLE", help="The rows with gaps.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder, or a .parquet, .csv or .jsonl file.")],
    columns: Annotated[list[str] | None, typer.Option("--column", help="Fill this one only; repeatable.")] = None,
    redraw: Annotated[
        list[str] | None, typer.Option("--redraw", help="Draw every cell of this column anew; repeatable.")
    ] = None,
    fix: Annotated[
        list[str] | None, typer.Option("--fix", help="column=value, set in every row before --redraw; repeatable.")
    ] = None,
    sets: Annotated[int, typer.Option("--sets", min=1, help="Filled tables: multiple imputation.")] = 1,
    seed: Seed = 0,
    json: JsonOut = None,
    html: HtmlOut = None,
    schema: SchemaFile = None,
) -> None:
    """Fill gaps from like rows; or change columns and redraw others.

    Hides known cells too, and says column by column how well such cells are found again.
    """
    from sterling.api.impute import impute as fill
    from sterling.cli.progress import reporter

    made = fill(
        table, out=out, columns=columns or (), redraw=redraw or (), fix=fix or (), sets=sets, seed=seed, schema=schema,
        on_event=reporter(),
    )  # fmt: skip
    finish(made.result, json=json, html=html)
    typer.echo(f"\n{made.sets[0].rows:,} rows, {len(made.sets)} set{'s' * (sets > 1)} -> {out}")
