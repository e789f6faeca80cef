"""`sterling augment`: an existing table, mended or changed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sterling.cli.options import SchemaFile, Seed, Settings


def augment(
    name: Annotated[str, typer.Argument(help="An augmenter; `sterling list augmenters` shows them.")],
    source: Annotated[str, typer.Argument(metavar="IN", help="The rows to change.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder, or a .parquet, .csv or .jsonl file.")],
    real: Annotated[str | None, typer.Option("--real", help="Real rows to learn from: their train part only.")] = None,
    seed: Seed = 0,
    settings: Settings = None,
    schema: SchemaFile = None,
) -> None:
    """Mend or change a table: rake it to real margins.

    rake draws rows so that every pair of columns looks as in REAL, or as given totals say.
    """
    from rich.padding import Padding
    from rich.text import Text

    from sterling.api.augment import augment as change
    from sterling.cli.progress import reporter
    from sterling.cli.show import console, show_table

    made = change(
        name, source, real=real, seed=seed, out=out, settings=settings or [], schema=schema, on_event=reporter()
    )
    screen = console()
    for table in made.tables:
        show_table(screen, table)
    screen.print()
    for note in made.notes:
        screen.print(Padding(Text(f"note: {note}", style="dim"), (0, 0, 0, 2)))
    typer.echo(f"{made.dataset.rows:,} rows by {made.dataset.lineage.generator} -> {out}")
