"""Slices of a benchmark: the levels of a category, the quarters of a number."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sterling.kernel.errors import UnknownName
from sterling.kernel.schema import Kind, Role
from sterling.kernel.view import Column, View

if TYPE_CHECKING:
    from sterling.kernel.view import AnyArray

# Levels of one column that are judged one by one, commonest first.
MOST_LEVELS = 20
QUARTERS = 4


@dataclass(frozen=True, slots=True, eq=False)
class Slice:
    """Rows that share a value.

    Args:
        name: such as "sex=F".
        rows: their positions in the benchmark.
        one: for a class of the target, its code: judged against all other rows, where `rows` are those of the class.
    """

    name: str
    rows: AnyArray
    one: int | None = None


def slices_of(view: View, names: Sequence[str]) -> Iterator[Slice]:
    """The slices of the named columns; rows whose value is missing are a slice of their own.

    Args:
        view: the benchmark.
        names: columns, or one level of a column as "label=fraud". Levels of a category that is the target are
            classes, which are judged against all others.

    Raises:
        UnknownName: if there is no such column or level.
    """
    for name in names:
        column, level = _named(view, name)
        found = _classes(column) if column.role is Role.TARGET and column.kind is Kind.CATEGORY else _parts(column)
        if level is None:
            yield from found
            continue
        kept = {part.name: part for part in found}
        if name not in kept:
            raise UnknownName.among(level, (n.partition("=")[2] for n in kept), what=f"part of {column.name!r}")
        yield kept[name]


def _named(view: View, name: str) -> tuple[Column, str | None]:
    """The column, and the level where one is named."""
    known = {c.name for c in view.columns or ()}
    column, sign, level = name.partition("=")
    if name not in known and sign and column in known:
        return view.column(column), level
    return view.column(name), None


def _classes(column: Column) -> Iterator[Slice]:
    """The classes of the target, rarest first: they are what is asked for. Those without a row are named too."""
    levels = column.levels or ()
    counts = np.bincount(column.values[column.values >= 0], minlength=len(levels))
    for code in np.argsort(counts, kind="stable")[: MOST_LEVELS if len(levels) > MOST_LEVELS else None]:
        yield Slice(f"{column.name}={levels[code]}", np.flatnonzero(column.values == code), int(code))


def _parts(column: Column) -> Iterator[Slice]:
    yield from _levels(column) if column.kind is Kind.CATEGORY else _quarters(column)
    if column.missing.any():
        yield Slice(f"{column.name}=(missing)", np.flatnonzero(column.missing))


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
