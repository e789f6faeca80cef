"""Relations between columns that hold in every row, and would not by luck: orders and dependencies.

A relation is kept only where chance would have broken it often: if the columns concerned were independent, at least 37
rows would be expected to break it (`rules.least_expected`; none of them doing so has a chance below 1e-16, so the
number of candidates looked at does not matter). Candidates are screened on a sample of rows and confirmed on all.
Formulas are found by `stats.formula_search` on the same terms.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from sterling.stats.formula_search import MOST_NUMBERS
from sterling.stats.formulas import Quantity, spaced
from sterling.stats.formulas import decimals_of as decimals_of
from sterling.stats.formulas import on_grid as on_grid
from sterling.stats.rules import least_expected

if TYPE_CHECKING:
    from sterling.kernel.view import AnyArray, Bools, Ints


@dataclass(frozen=True, slots=True)
class AtMost:
    """That one column is never more than another.

    Args:
        low: position of the smaller one.
        high: position of the larger one.
        least: the smallest difference that occurs, >= 0.
        expected: rows that luck would have broken it in.
    """

    low: int
    high: int
    least: float
    expected: float


def find_at_most(columns: Sequence[Quantity]) -> list[AtMost]:
    """Pairs a <= b that hold wherever both are known; those that follow from others are left out.

    Args:
        columns: of at most the first 200 are orders sought; dates are compared with dates only.
    """
    among = [i for i, c in enumerate(columns[:MOST_NUMBERS]) if c.known.any()]
    if not among:
        return []
    n = columns[0].values.size
    rows = spaced(n, 2048)
    sample = {i: columns[i].values[rows] for i in among}
    ordered = {i: np.sort(v[~np.isnan(v)]) for i, v in sample.items()}
    found: dict[tuple[int, int], AtMost] = {}
    for i, j in itertools.permutations(among, 2):
        if columns[i].time != columns[j].time or np.any(sample[i] > sample[j]):
            continue
        both = ~np.isnan(sample[i]) & ~np.isnan(sample[j])
        if not both.any():
            continue
        share = float(np.searchsorted(ordered[j], sample[i][both], side="left").mean()) / ordered[j].size
        expected = share * float(both.mean()) * n
        if expected < least_expected():
            continue
        gap = columns[j].values - columns[i].values
        least = float(np.fmin.reduce(gap, initial=np.inf))
        if least >= 0:
            found[i, j] = AtMost(i, j, least, expected)
    return [o for o in found.values() if not _implied(o, found)]


def _implied(order: AtMost, found: dict[tuple[int, int], AtMost]) -> bool:
    """Whether a <= m <= b says it already."""
    middles = (j for (i, j) in found if i == order.low and j != order.high)
    return any(
        (m, order.high) in found and (m, order.low) not in found and (order.high, m) not in found for m in middles
    )


@dataclass(frozen=True, slots=True, eq=False)
class Coded:
    """A column by its distinct values.

    Args:
        codes: [n] int32, 0 <= code < size; a missing cell has a code of its own.
        size: how many codes.
    """

    codes: AnyArray
    size: int


def find_composite(
    columns: Sequence[Coded], *, parts: Sequence[Sequence[int]], decided: Sequence[int]
) -> Iterator[tuple[tuple[int, ...], int, float]]:
    """Columns that two or more others decide together, with the rows that luck would have broken it in.

    Args:
        columns: by their distinct values.
        parts: sets of positions of which each may decide together.
        decided: positions of those that may be decided.
    """
    n = columns[0].codes.size if columns else 0
    rows = spaced(n, 4096)
    wanted = [j for j in decided if columns[j].size > 1]
    if not wanted or not n:
        return
    sample = np.stack([columns[j].codes[rows] for j in wanted])
    for some in parts:
        own = together([columns[i] for i in some], rows)
        for b in (b for b, no in zip(wanted, _breaks(own, sample).tolist(), strict=True) if not no and b not in some):
            keys, first, at = np.unique(
                together([columns[i] for i in some]), return_index=True, return_inverse=True
            )  # fmt: skip
            codes = columns[b].codes
            differ = 1.0 - float(np.square(np.bincount(codes) / n).sum())
            expected = min((n - keys.size) * differ, _needed(columns, some, b) if len(some) == 2 else np.inf)
            if expected >= least_expected() and 4 * keys.size <= n and np.array_equal(codes[first][at], codes):
                yield tuple(some), b, expected


def _needed(columns: Sequence[Coded], some: Sequence[int], b: int) -> float:
    """Rows that would break a pair's rule if the less important of the two were independent of all else."""
    order = np.random.Generator(np.random.PCG64(0)).permutation(columns[b].codes.size)
    least = np.inf
    for i in some:
        mixed = [replace(columns[j], codes=columns[j].codes[order]) if i == j else columns[j] for j in some]
        pair, counts = np.unique(together([*mixed, columns[b]]), return_counts=True)
        first = np.append(True, np.diff(pair // columns[b].size) != 0)
        largest = np.maximum.reduceat(counts, np.flatnonzero(first))
        least = min(least, float(counts.sum() - largest.sum()))
    return least


def _breaks(own: Ints, sample: Ints) -> Bools:
    """[k] whether two rows that agree on `own` [m] differ on each line of `sample` [k, m]."""
    order = np.argsort(own, kind="stable")
    same = own[order][1:] == own[order][:-1]
    return ((sample[:, order][:, 1:] != sample[:, order][:, :-1]) & same).any(axis=1)


def together(columns: Sequence[Coded], rows: Ints | None = None) -> Ints:
    """[n] one code for the codes of several columns, the first counting most."""
    key = np.zeros(1, dtype=np.int64)
    for column in columns:
        key = key * column.size + (column.codes if rows is None else column.codes[rows])
    return key


def find_decided(
    columns: Sequence[Coded], *, deciding: Sequence[int], decided: Sequence[int]
) -> Iterator[tuple[int, int, float]]:
    """Pairs (a, b) where the value of a decides that of b, with the rows that luck would have broken it in.

    Luck would break it in every row of a group but its first, with the chance that two values of b differ.

    Args:
        columns: by their distinct values.
        deciding: positions of those that may decide.
        decided: positions of those that may be decided.
    """
    n = columns[0].codes.size if columns else 0
    rows = spaced(n, 4096)
    wanted = [j for j in decided if columns[j].size > 1]
    if not wanted or not n:
        return
    sample = np.stack([columns[j].codes[rows] for j in wanted])
    differ = {j: 1.0 - float(np.square(np.bincount(columns[j].codes) / n).sum()) for j in wanted}
    for a in deciding:
        broken = _breaks(columns[a].codes[rows], sample)
        repeated = n - np.count_nonzero(np.bincount(columns[a].codes, minlength=columns[a].size))
        for b, no in zip(wanted, broken.tolist(), strict=True):
            expected = repeated * differ[b]
            if no or a == b or expected < least_expected():
                continue
            if table_of(columns[a], columns[b]) is not None:
                yield a, b, expected


def table_of(first: Coded, second: Coded) -> Ints | None:
    """[first.size] the code of the second column that each code of the first has, -1 = unused; None if not one."""
    table = np.full(first.size, -1, dtype=np.int64)
    rows = slice(None, None, first.codes.size // 4096 + 1)
    table[first.codes[rows]] = second.codes[rows]
    if not np.array_equal(table[first.codes[rows]], second.codes[rows]):
        return None  # soon seen, in most cases
    table[first.codes] = second.codes
    return table if np.array_equal(table[first.codes], second.codes) else None
