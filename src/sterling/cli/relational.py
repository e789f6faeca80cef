"""`sterling relational infer | generate | compare`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sterling.cli.guard import GuardedCommand
from sterling.cli.options import Fast, HtmlOut, JsonOut, Seed, Settings
from sterling.cli.output import finish

relational = typer.Typer(
    name="relational",
    help="Several tables with keys: a folder of files, or a database (sqlite:///F, duckdb:///F, postgresql://...).",
    no_args_is_help=True,
    rich_markup_mode=None,
)
Source = Annotated[str, typer.Argument(help="A folder of tables, or a database such as sqlite:///shop.db.")]
RelationsFile = Annotated[
    Path | None, typer.Option("--relations", help="relations.toml: tables, keys, what becomes of orphans.")
]


@relational.command(cls=GuardedCommand)
def infer(
    source: Source,
    out: Annotated[Path | None, typer.Option("-o", "--out", help="Write relations.toml here, to be edited.")] = None,
) -> None:
    """The keys between tables: read from the database, or inferred from names and values."""
    from sterling.api.relational import relational_infer
    from sterling.sources.relations_file import relations_text

    read = relational_infer(source, out=out)
    if out is None:
        typer.echo(relations_text(read.database.relations, read.guesses), nl=False)
        return
    keys = read.database.relations.foreign
    typer.echo(f"{len(read.database.tables)} tables, {len(keys)} foreign keys ({read.told}) -> {out}")
    why = {guess.key.name: guess for guess in read.guesses}
    for key in keys:
        guess = why.get(key.name)
        typer.echo(f"  {key.name}")
        if guess is not None and guess.orphans:
            typer.echo(f"    {guess.orphans:,} rows name no row, such as {guess.example!r}: orphans = {key.orphans!r}")


@relational.command(cls=GuardedCommand)
def generate(
    source: Source,
    out: Annotated[str, typer.Option("-o", "--out", help="A new folder, or sqlite:///out.db.")],
    relations: RelationsFile = None,
    generator: Annotated[str, typer.Option("--generator", help="What makes the rows of each table.")] = "cart",
    scale: Annotated[
        float, typer.Option("--scale", help="Rows of parentless tables, in parts of the real ones.")
    ] = 1.0,
    settings: Settings = None,
    seed: Seed = 0,
) -> None:
    """Make all tables anew; every key names a row that is there."""
    from sterling.api.relational import relational_generate
    from sterling.cli.progress import reporter

    made = relational_generate(
        source, relations=relations, generator=generator, settings=settings or [], scale=scale, seed=seed, out=out,
        on_event=reporter(),
    )  # fmt: skip
    for name, data in made.tables.items():
        kept = " (kept as it is)" if made.relations[name].keep else ""
        typer.echo(f"{data.rows:>12,}  {name}{kept}")
    for note in made.notes:
        typer.echo(f"note  {note}")
    typer.echo(f"Written  {out}")


@relational.command(cls=GuardedCommand)
def compare(
    real: Annotated[str, typer.Argument(help="The real tables: a folder, or a database.")],
    synthetic: Annotated[str, typer.Argument(help="The made tables: a folder, or a database.")],
    relations: RelationsFile = None,
    holdout: Annotated[str | None, typer.Option("--holdout", help="Other real families, for the noise floor.")] = None,
    fast: Fast = False,
    seed: Seed = 0,
    json: JsonOut = None,
    html: HtmlOut = None,
) -> None:
    """Do the keys hold, and do families look like real ones?"""
    from sterling.api.relational_compare import relational_compare
    from sterling.cli.progress import reporter

    result = relational_compare(
        real, synthetic, relations=relations, holdout=holdout, fast=fast, seed=seed, on_event=reporter()
    )
    finish(result, json=json, html=html)
