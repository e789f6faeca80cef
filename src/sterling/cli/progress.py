"""Progress and cost on stderr; nothing when stderr is not a terminal but what a log should keep."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping

from sterling.kernel.finding import Json


def reporter() -> Callable[[str, Mapping[str, Json]], None]:
    """A function for `on_event` that shows what goes on.

    Events whose name is "cost", "step" or "note" are lines; all others update one status line on a terminal.
    """
    live = sys.stderr.isatty()
    started = time.monotonic()

    def show(event: str, facts: Mapping[str, Json]) -> None:
        text = str(facts.get("text") or _words(event, facts))
        if event in ("cost", "step", "note"):
            clear = "\x1b[2K\r" if live else ""
            print(f"{clear}{time.monotonic() - started:6.1f}s  {text}", file=sys.stderr, flush=True)
        elif live:
            print(f"\x1b[2K\r        {text[:68]}", end="\r", file=sys.stderr, flush=True)

    return show


def _words(event: str, facts: Mapping[str, Json]) -> str:
    if event == "cost":
        parts = [f"{facts.get('trainings')} trainings"]
        if isinstance(rows := facts.get("rows"), int):
            parts.append(f"on {rows:,} rows in all")
        if facts.get("refits"):
            parts.append(f"and {facts['refits']} generator fits")
        if isinstance(limit := facts.get("most_seconds"), (int, float)):
            parts.append(f"within {limit:,.0f} s")
        return "this takes " + " ".join(parts)
    return f"{event} " + " ".join(f"{key}={value}" for key, value in facts.items())
