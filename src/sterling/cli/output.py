"""How a command ends: the answer on the terminal, then the files that were asked for."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sterling.decide.result import Result


def finish(result: Result, *, json: Path | None, html: Path | None = None) -> None:
    """Print a result, then write its envelope and its report where they are wanted."""
    from sterling.cli.show import show_result

    try:
        show_result(result)  # before the files: what was found is not lost where a file cannot be written
    except BrokenPipeError:  # the reader of our output went away (`| head`): the files are wanted all the same
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
    if json is not None:
        from sterling.decide.result import write_result

        write_result(result, json)
    if html is not None:
        from sterling.api.ship import write_report

        write_report(result, html)
