"""Rare modes of a table: its rare levels, tails and joint cells, named by some rows and counted in others."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sterling.kernel.schema import Kind, Role
from sterling.kernel.view import Column, View
from sterling.stats.slices import REST, Cut, cut_column

if TYPE_CHECKING:
    from sterling.kernel.view import AnyArray, Bools, Floats, Ints

# A number falls into its two tails and four quarters.
LEVELS = (0.005, 0.25, 0.5, 0.75, 0.995)
# A cell of fewer rows in the half that names the modes is no known mode.
LEAST_SEEN = 3
MOST_LEVELS = 200
# Columns whose joint cells are looked at: the target and the groups first.
MOST_JOINED = 8
# A mode holds at most this share of the rows ...
MOST_SHARE = 0.01
# ... and all of them together about this share at most: where more would be rare, only the rarest count.
MOST_RARE = 0.1


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """The cells of one column, or of two.

    Args:
        cuts: one or two.
        codes: per set, [rows] cell.
        rare: [cells] True where the cell is a rare mode.
    """

    cuts: tuple[Cut, ...]
    codes: tuple[AnyArray, ...]
    rare: Bools

    def title(self, cell: int) -> str:
        """Such as "race=Other&income=>50K"."""
        if len(self.cuts) == 1:
            return self.cuts[0].title(cell)
        first, second = divmod(cell, len(self.cuts[1].labels))
        return f"{self.cuts[0].title(first)}&{self.cuts[1].title(second)}"

    def counts(self, part: int, most: int | None = None) -> Ints:
        """[cells] rows of one set, or of its first `most` rows."""
        return np.bincount(self.codes[part][:most], minlength=self.rare.size).astype(np.int64)


def level_cells(sets: Sequence[View]) -> list[Cells]:
    """Every column by itself; the first set names the cells."""
    return _marked([_single(c, sets) for c in _columns(sets[0])])


def joint_cells(sets: Sequence[View]) -> list[Cells]:
    """Pairs of at most 8 columns; the first set names the cells."""
    wanted = (Role.TARGET, Role.GROUP)
    chosen = sorted(_columns(sets[0]), key=lambda c: (c.role not in wanted, c.name))[:MOST_JOINED]
    single = [_single(c, sets) for c in chosen]
    return _marked([_pair(a, b) for a, b in itertools.combinations(single, 2)])


def rare_rows(cells: Sequence[Cells], part: int) -> int:
    """How many rows of a set lie in any rare mode."""
    return int(np.logical_or.reduce([c.rare[c.codes[part]] for c in cells]).sum())


def alive(cells: Sequence[Cells], part: int, rows: int) -> tuple[float, float]:
    """How many rare modes the first rows of a set hold at all.

    Returns:
        The number and a bound of its variance: taking a row away loses the modes in which it is alone.

    Source: Efron & Stein 1981.
    """
    found, lone = 0, np.zeros(rows)
    for c in cells:
        counts = c.counts(part, rows)
        found += int((counts[c.rare] > 0).sum())
        lone += (c.rare & (counts == 1))[c.codes[part][:rows]]
    return float(found), float(np.square(lone).sum())


def _columns(view: View) -> list[Column]:
    return [c for c in view.columns or () if c.role is not Role.WEIGHT]


def _single(column: Column, sets: Sequence[View]) -> Cells:
    cut = _cut(column)
    judged = np.array([label != REST for label in cut.labels])
    return Cells((cut,), tuple(cut.assign(v.column(column.name)) for v in sets), judged)


def _pair(a: Cells, b: Cells) -> Cells:
    wide = b.rare.size
    codes = tuple(x * wide + y for x, y in zip(a.codes, b.codes, strict=True))
    return Cells((*a.cuts, *b.cuts), codes, np.logical_and.outer(a.rare, b.rare).ravel())


def _cut(column: Column) -> Cut:
    if column.kind is Kind.CATEGORY:
        return cut_column(column, bins=1, least=LEAST_SEEN, most=MOST_LEVELS)
    known = column.values[~column.missing]
    if not known.size:
        return Cut(column.name, (REST, "missing"), edges=np.empty(0))
    edges = np.unique(np.quantile(known, LEVELS, method="inverted_cdf"))
    edges = edges[edges < known.max()]
    ends = [f"{e:.6g}" for e in edges]
    between = [f"{a} to {b}" for a, b in itertools.pairwise(ends)]
    inner = [f"up to {ends[0]}", *between, f"above {ends[-1]}"] if ends else [REST]
    return Cut(column.name, (*inner, "missing"), edges=edges)


def _marked(cells: Sequence[Cells]) -> list[Cells]:
    """Rare are cells of so few rows of the first set that all rare rows together are few."""
    if not cells:
        return []
    n = max(1, cells[0].codes[0].size)
    shares = [np.where(c.rare & ((k := c.counts(0)) >= LEAST_SEEN), k / n, np.inf) for c in cells]
    most = _threshold(np.minimum.reduce([s[c.codes[0]] for s, c in zip(shares, cells, strict=True)]))
    return [Cells(c.cuts, c.codes, s <= most) for c, s in zip(cells, shares, strict=True)]


def _threshold(rarest: Floats) -> float:
    """The largest share up to 1 % that makes no more than a tenth of the rows rare; given each row's rarest cell."""
    ordered = np.sort(rarest)
    if not ordered.size:
        return 0.0
    beyond = float(ordered[int(MOST_RARE * ordered.size)])
    if beyond > MOST_SHARE:
        return MOST_SHARE
    below = ordered[ordered < beyond]
    return float(below[-1]) if below.size else 0.0
