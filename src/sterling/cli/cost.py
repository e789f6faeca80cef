"""`sterling cost`: what a run cost, and what to buy next."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sterling.cli.options import HtmlOut, JsonOut
from sterling.cli.output import finish


def cost(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder, or a --json file.")],
    prices: Annotated[
        Path | None, typer.Option("--prices", help="TOML with a [prices] table; else those of the study.")
    ] = None,
    json: JsonOut = None,
    html: HtmlOut = None,
) -> None:
    """What a run cost by stage, and what to buy next.

    Per accepted row and per real row's worth; prices that are missing are asked for.
    """
    from sterling.api.cost import cost as ask

    finish(ask(run, prices=prices), json=json, html=html)
