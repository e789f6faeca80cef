"""`sterling passport`: one page on what was tried against a set, from a result alone."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from sterling.cli.options import JsonOut


def passport(
    result: Annotated[Path, typer.Argument(help="A --json file of compare, or a run's result.json.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="The page to write, HTML.")],
    audience: Annotated[
        Literal["owner", "recipient"],
        typer.Option("--for", help="recipient: no level, column, small count or real fingerprint."),
    ] = "owner",
    json: JsonOut = None,
) -> None:
    """The privacy passport: one page, SHARE or BLOCK.

    Every attack beside its control group, what was not tested, what is not promised. Reads no data.
    """
    from sterling.api.passport import passport as write

    for made in write(result, out=out, audience=audience, as_json=json):
        typer.echo(f"{made.verdict}  {made.subject}: {made.because}")
        for need in made.needs:
            typer.echo(f"  {need}")
    typer.echo(f"\nPassport  {out}")
