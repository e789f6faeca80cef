"""What may leave with a differentially private set, and what its budget was spent on, told as it is made."""

from __future__ import annotations

from typing import Any

from sterling.kernel.finding import Json
from sterling.kernel.privacy_claim import PrivateFit
from sterling.kernel.protocols import OnEvent
from sterling.kernel.table import Table

# Groups that are told one by one; the fitted object knows them all.
MOST_GROUPS = 12


def private_fit(fitted: Any, *, on_event: OnEvent) -> PrivateFit | None:
    """The fitted generator where it makes a promise of privacy, its ledger told; None for all others.

    Args:
        fitted: what `fit` returned.
        on_event: hears one "note" per line of the ledger and of the groups that were counted.
    """
    if not isinstance(fitted, PrivateFit):
        return None
    for table in fitted.report():
        for line in told(table):
            on_event("note", {"text": line})
    return fitted


def told(table: Table) -> list[str]:
    """A table as lines of at most 80 columns: title, rows, note."""
    shown = table.rows[:MOST_GROUPS]
    lines = [table.title, *(f"  {_cells(row, table.columns)}" for row in shown)]
    more = len(table.rows) - len(shown)
    return [*lines, *([f"  ... and {more} more"] if more else []), f"  {table.note}"]


def _cells(row: tuple[Json, ...], columns: tuple[str, ...]) -> str:
    first, *rest = row
    parts = [f"{name} {_number(value)}" for name, value in zip(columns[1:], rest, strict=True) if value is not None]
    return f"{str(first)[:34]:34s} {', '.join(parts)}"


def _number(value: Json) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
