"""`ship` and `export`: what leaves the house."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from sterling.api.inputs import load
from sterling.kernel.dataset import Origin
from sterling.kernel.errors import InputError
from sterling.kernel.finding import Verdict

if TYPE_CHECKING:
    from sterling.decide.result import Result

Audience = Literal["owner", "recipient"]


def ship_run(
    run: Path, *, out: Path, audience: Audience = "owner", licence: str | None = None, title: str | None = None
) -> Path:
    """Write a finished run's mix as a data set that carries its evidence.

    Args:
        run: a run folder.
        out: the folder to make: Parquet, manifest, card, Croissant, PROV, result and report.
        audience: the recipient's form holds no real row, example or small count.
        licence: of the shipped set, as an SPDX name.
        title: of the shipped set; the run folder's name by default.

    Raises:
        InputError: if the run is not finished, or its verdict is BLOCK.
    """
    from sterling.decide.result import read_result
    from sterling.report import render
    from sterling.report.recipient import recipients
    from sterling.ship.package import ship_set
    from sterling.sources.store import read_set

    if not (run / "manifest.json").is_file() or not (run / "result.json").is_file():
        raise InputError(f"{run} is no finished run", mend="finish it first: sterling run STUDY.toml --out RUN")
    if not (run / "mix" / "manifest.json").is_file():
        raise InputError(f"{run} has no mix", mend="declare [real] target in the study and run it again")
    result = read_result(run / "result.json")
    if result.decision.verdict is Verdict.BLOCK:
        raise InputError("the verdict of this run is BLOCK: nothing is shipped", mend="see the rules in report.html")
    finished = _day_of(run)
    shown = recipients(result) if audience == "recipient" else result
    return ship_set(
        read_set(run / "mix"),
        out,
        title=title or run.resolve().name,
        result_json=shown.as_json(),
        report_html=render(result, audience=audience, created=finished, before=passport_before(result, audience)),
        licence=licence,
        audience=audience,
        created=finished,
    )


def export(source: Any, *, out: Path, format: Literal["parquet", "csv", "jsonl"]) -> Path:  # noqa: A002
    """Write a set as one plain file.

    Args:
        source: a Sterling folder, a table file, a frame or a Dataset.
        out: the file to write.
        format: "parquet", "csv" (cells that a spreadsheet would run are made harmless) or "jsonl".

    Raises:
        InputError: if the source cannot be read or the file not written.
    """
    from sterling.ship.export import export as write

    return write(load(source, origin=Origin.SYNTHETIC), out, format=format)


def write_report(result: Result, path: Path, *, audience: Audience = "owner") -> None:
    """Write the report, one self-contained HTML file."""
    from sterling.report import render
    from sterling.sources.atomic import write_text

    write_text(path, render(result, audience=audience, created="", before=passport_before(result, audience)))


def passport_before(result: Result, audience: Audience) -> str:
    """The privacy passport that a report begins with where the policy is, or may be, about privacy."""
    from sterling.api.passport import judges_privacy, passports
    from sterling.report.passport import passport_section

    return passport_section(passports(result, audience=audience)) if judges_privacy(result) else ""


def _day_of(run: Path) -> str:
    """The day the run was finished, so that shipping twice writes the same bytes."""
    finished = (run / "manifest.json").stat().st_mtime
    return datetime.datetime.fromtimestamp(finished, datetime.UTC).date().isoformat()
