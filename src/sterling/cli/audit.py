"""`sterling audit`: what an attacker can prove against a generator's promise of privacy."""

from __future__ import annotations

from typing import Annotated

import typer

from sterling.cli.options import HtmlOut, JsonOut, SchemaFile, Seed, Settings
from sterling.cli.output import finish


def audit(
    name: Annotated[str, typer.Argument(metavar="GENERATOR", help="Such as aim; also those that promise nothing.")],
    real: Annotated[str, typer.Argument(help="Real data; a small part of it is used.")],
    settings: Settings = None,
    fits: Annotated[int, typer.Option("--fits", help="Wide attacks; three narrow ones for each.")] = 3,
    canaries: Annotated[int, typer.Option("--canaries", help="Made-up records per fit.")] = 50,
    rows: Annotated[int, typer.Option("--rows", help="Real rows per fit; one record weighs most among few.")] = 500,
    schema: SchemaFile = None,
    seed: Seed = 0,
    json: JsonOut = None,
    html: HtmlOut = None,
) -> None:
    """Attack a generator, and put the proof beside its promise.

    Plants records by the toss of a coin, refits, guesses: a lower bound on epsilon.
    """
    from sterling.api.privacy_audit import privacy_audit
    from sterling.cli.progress import reporter

    result = privacy_audit(
        name, real, settings=settings or [], fits=fits, canaries=canaries, rows=rows, schema=schema, seed=seed,
        on_event=reporter(),
    )  # fmt: skip
    finish(result, json=json, html=html)
