"""Slices of a benchmark: the levels of a category, the quarters of a number."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sterling.kernel.schema import Kind
from sterling.kernel.view import Column, View

if TYPE_CHECKING:
    from sterling.kernel.view import AnyArray

# Levels of one column that are judged one by one, commonest first.
MOST_LEVELS = 20
QUARTERS = 4


@dataclass(frozen=True, slots=True, eq=False)
class Slice:
    """Rows that share a value: name such as "sex=F", and their positions in the benchmark."""

    name: str
    rows: AnyArray


def slices_of(view: View, names: Sequence[str]) -> Iterator[Slice]:
    """The slices of the named columns; rows whose value is missing are a slice of their own.

    Raises:
        UnknownName: if there is no such column.
    """
    for name in names:
        column = view.column(name)
        yield from _levels(column) if column.kind is Kind.CATEGORY else _quarters(column)
        if column.missing.any():
            yield Slice(f"{name}=(missing)", np.flatnonzero(column.missing))


def _levels(column: Column) -> Iterator[Slice]:
    known = column.values[column.values >= 0]
    counts = np.bincount(known, minlength=len(column.levels or ()))
    common = [int(c) for c in np.argsort(-counts, kind="stable") if counts[c] > 0]
    for code in common[:MOST_LEVELS]:
        yield Slice(f"{column.name}={(column.levels or ())[code]}", np.flatnonzero(column.values == code))
    if common[MOST_LEVELS:]:
        rows = np.flatnonzero(np.isin(column.values, common[MOST_LEVELS:]))
        yield Slice(f"{column.name}=({len(common) - MOST_LEVELS} rarer levels)", rows)


def _quarters(column: Column) -> Iterator[Slice]:
    known = column.values[~column.missing]
    if not known.size:
        return
    edges = np.unique(np.quantile(known, np.linspace(0, 1, QUARTERS + 1)))
    if edges.size == 1:
        yield Slice(f"{column.name}={_text(column, edges[0])}", np.flatnonzero(~column.missing))
        return
    place = np.clip(np.searchsorted(edges, column.values, side="right") - 1, 0, edges.size - 2)
    for j in range(edges.size - 1):
        name = f"{column.name}={_text(column, edges[j])}-{_text(column, edges[j + 1])}"
        yield Slice(name, np.flatnonzero(~column.missing & (place == j)))


def _text(column: Column, value: float) -> str:
    if column.kind is not Kind.DATETIME or not np.isfinite(value):
        return f"{value:g}"
    return str(np.datetime64(int(value), "s"))[:10].replace("-", "/")
