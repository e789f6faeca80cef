"""The slices whose mass is watched: the values that the user protects, rare levels and tails, rare pairs."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from sterling.kernel.errors import UnknownName
from sterling.kernel.schema import Kind, Role
from sterling.kernel.view import View
from sterling.stats.modes import Cells, level_cells
from sterling.stats.slices import REST, cut_column

if TYPE_CHECKING:
    from sterling.kernel.view import Bools

Why = Literal["declared", "level", "pair"]
# A protected number is cut into quarters; of a protected column so many values are watched, the commonest.
PARTS, MOST_VALUES = 4, 50
# Rare levels and pairs that are watched; columns that are paired, and the largest share that makes a pair rare.
MOST_LEVELS, MOST_PAIRS, MOST_JOINED, MOST_SHARE = 40, 60, 8, 0.05
# Fresh rows cost money: where nothing was declared, so many rare levels are protected, the rarest.
MOST_PROTECTED = 10


@dataclass(frozen=True, slots=True, eq=False)
class Slice:
    """One slice in several sets that were encoded together.

    Args:
        name: such as "race=Other" or "race=Other&income=>50K".
        why: who asked for it.
        cells: where it lies.
        cell: which cell.
        counts: rows per set.
    """

    name: str
    why: Why
    cells: Cells
    cell: int
    counts: tuple[int, ...]

    def mask(self, part: int) -> Bools:
        """[n] which rows of one of the sets lie in it."""
        return self.cells.codes[part] == self.cell


def watched(sets: Sequence[View], declared: Sequence[str], *, least: int) -> list[Slice]:
    """The slices of the first set, counted in all.

    Args:
        sets: the real rows first, all in one encoding.
        declared: columns of which each value is protected.
        least: slices with fewer real rows cannot be judged and are left out.

    Returns:
        Declared values first, then rare levels and tails, then rare pairs, each at most once.

    Raises:
        UnknownName: for a declared column that the real rows do not have.
    """
    found = [s for name in declared for s in _values(sets, name, least)]
    rare = _levels(sets, least)
    pairs = _pairs(sets, declared, 2 * least)
    by_name: dict[str, Slice] = {}
    for one in (*found, *rare, *pairs):
        by_name.setdefault(one.name, one)
    return list(by_name.values())


def protected(slices: Sequence[Slice]) -> list[Slice]:
    """Those that fresh real rows are given to: the declared ones, else the rarest levels."""
    declared = [s for s in slices if s.why == "declared"]
    levels = sorted((s for s in slices if s.why == "level"), key=lambda s: (s.counts[0], s.name))
    return declared or levels[:MOST_PROTECTED]


def _values(sets: Sequence[View], name: str, least: int) -> list[Slice]:
    known = [c.name for c in sets[0].columns or ()]
    if name not in known:
        raise UnknownName.among(name, known, what="column")
    column = sets[0].column(name)
    cells = _cut_in_all(sets, name, least)
    found = [Slice(cells.title(i), "declared", cells, i, k) for i, k in _counted(cells, len(sets), least, cells.rare)]
    return sorted(found, key=lambda s: -s.counts[0]) if column.kind is Kind.CATEGORY else found


def _levels(sets: Sequence[View], least: int) -> list[Slice]:
    """Rare levels and tails: those with most rows, which show most."""
    found = [
        Slice(cells.title(i), "level", cells, i, counts)
        for cells in level_cells(sets)
        for i, counts in _counted(cells, len(sets), least, cells.rare)
    ]
    return sorted(found, key=lambda s: (-s.counts[0], s.name))[:MOST_LEVELS]


def _pairs(sets: Sequence[View], declared: Sequence[str], least: int) -> list[Slice]:
    """The rarest cells of two columns that have rows enough; the target, groups and declared columns first."""
    first = (Role.TARGET, Role.GROUP)
    columns = [c for c in sets[0].columns or () if c.role is not Role.WEIGHT]
    chosen = sorted(columns, key=lambda c: (c.name not in declared and c.role not in first, c.name))[:MOST_JOINED]
    most = MOST_SHARE * sets[0].n
    found: list[Slice] = []
    cut = [_cut_in_all(sets, c.name, least) for c in chosen]
    for a, b in itertools.combinations(cut, 2):
        wide = b.rare.size
        codes = tuple(x.astype(np.int64) * wide + y for x, y in zip(a.codes, b.codes, strict=True))
        cells = Cells((*a.cuts, *b.cuts), codes, np.logical_and.outer(a.rare, b.rare).ravel())
        counted = _counted(cells, len(sets), least, cells.rare)
        found += [Slice(cells.title(i), "pair", cells, i, k) for i, k in counted if k[0] <= most]
    return sorted(found, key=lambda s: (s.counts[0], s.name))[:MOST_PAIRS]


def _cut_in_all(sets: Sequence[View], name: str, least: int) -> Cells:
    cut = cut_column(sets[0].column(name), bins=PARTS, least=least, most=MOST_VALUES)
    judged = np.array([label != REST for label in cut.labels])
    return Cells((cut,), tuple(cut.assign(v.column(name)) for v in sets), judged)


def _counted(cells: Cells, parts: int, least: int, able: Bools) -> list[tuple[int, tuple[int, ...]]]:
    """The cells of enough rows of the first set, with their rows in every set."""
    counts = [cells.counts(part) for part in range(parts)]
    return [(i, tuple(int(k[i]) for k in counts)) for i in np.flatnonzero(able & (counts[0] >= least)).tolist()]
