"""`sterling constraints`: what always holds in real rows, and whether another table keeps it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sterling.cli.options import HtmlOut, JsonOut, SchemaFile
from sterling.cli.output import finish


def constraints(
    source: Annotated[str, typer.Argument(metavar="REAL", help="Real rows to mine; with --check, any table.")],
    out: Annotated[Path | None, typer.Option("-o", "--out", help="TOML file for what was found, to confirm.")] = None,
    check: Annotated[Path | None, typer.Option("--check", help="Judge the table by this file instead.")] = None,
    json: JsonOut = None,
    html: HtmlOut = None,
    schema: SchemaFile = None,
) -> None:
    """What always holds in your rows: sums, orders, codes.

    Mines it into a file that you confirm and `generate --constraints` keeps; --check judges a table by it.
    """
    from sterling.api.constraints import constraints as find

    finish(find(source, out=out, against=check, schema=schema), json=json, html=html)
