"""Descriptions that fit exactly one synthetic row, and how many people of other groups they fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from sterling.kernel.schema import Kind
from sterling.kernel.view import Column
from sterling.stats.small_codes import cells

if TYPE_CHECKING:
    from sterling.kernel.view import AnyArray, Floats, Ints

# Cuts of a number in a description of several columns: one person in a hundred has the same.
CODES = 100
# Sets of columns that are drawn, and how many columns they hold: never more than two thirds of a row. Wide ones seldom
# fit a stranger: with 4 to 8 columns of 15 the interval of the risk is half as wide as with 2 to 4, and copies of a
# tenth of the rows are seen at .09 instead of .06 (Adult, 4,000 train and 1,000 unseen rows).
SUBSETS = 48
WIDTHS = (4, 6, 8)
# Of them, those in which most rows are alone: what they describe is rarest among strangers too.
KEPT = 16


@dataclass(frozen=True, slots=True, eq=False)
class Matches:
    """How often each description fits, group by group.

    Args:
        columns: [p] the columns that each description speaks of.
        source: [p] the synthetic row that it was learnt from.
        counts: [p, g] rows of each group that it fits.
        only: [p, g] position in the group of a row that it fits, where there is one.
    """

    columns: tuple[tuple[str, ...], ...]
    source: Ints
    counts: Ints
    only: Ints

    @property
    def size(self) -> int:
        """Descriptions."""
        return len(self.columns)


def of_one_column(
    published: Sequence[Column], groups: Sequence[Sequence[Column]], *, most: int, rng: np.random.Generator
) -> Matches:
    """Values that only one synthetic row has, and the ends of every number's range.

    Args:
        published: [d] columns of the synthetic rows, from which alone the descriptions are learnt.
        groups: [g] of [d] columns each, in the same encoding.
        most: descriptions at most, spread evenly over the columns.
        rng: chooses among unique values.

    Returns:
        The matches of "value = v", "value <= smallest" and "value >= largest".
    """
    found: list[Matches] = []
    for i, column in enumerate(published):
        others = [group[i].values for group in groups]
        found.append(_values(column, others, most=max(2, most // len(published)), rng=rng))
        if column.kind is not Kind.CATEGORY:
            found += [_end(column, others, side) for side in ("smallest", "largest")]
    return _joined(found, len(groups))


def of_several_columns(
    published: Sequence[Column], groups: Sequence[Sequence[Column]], *, most: int, rng: np.random.Generator
) -> Matches:
    """Conjunctions over up to 8 columns that fit one synthetic row.

    Categories must be equal, numbers lie in the same of 100 cuts. The sets of columns are drawn at random;
    among all pairs of a set and a row that is alone in it, descriptions are drawn so that no row is used twice.

    Args:
        published: [d] columns of the synthetic rows; at least 2.
        groups: [g] of [d] columns each, in the same encoding.
        most: descriptions at most.
        rng: draws columns and rows.
    """
    cuts = [cells(c, most=CODES) for c in published]
    known = [cut.of(c) for cut, c in zip(cuts, published, strict=True)]
    asked = [[cut.of(c) for cut, c in zip(cuts, group, strict=True)] for group in groups]
    subsets = _subsets(len(published), rng=rng)
    sizes = [cut.size for cut in cuts]
    keys = [_keys(known, some, sizes) for some in subsets]
    alone = [_unique(k) for k in keys]
    best = sorted(range(len(subsets)), key=lambda s: -alone[s].size)[:KEPT]
    chosen = _drawn([alone[s] for s in best], most=most, rng=rng)
    found: list[Matches] = []
    for s, rows in zip(best, chosen, strict=True):
        some, key = subsets[s], keys[s]
        if not rows.size:
            continue
        rows = rows[np.argsort(key[rows], kind="stable")]
        names = tuple(published[i].name for i in some)
        fits = [_counted(key[rows], _keys(codes, some, sizes)) for codes in asked]
        found.append(_matches(names, rows, fits))
    return _joined(found, len(groups))


def _subsets(d: int, *, rng: np.random.Generator) -> list[tuple[int, ...]]:
    widest = -(-2 * d // 3)
    drawn = {
        tuple(sorted(int(i) for i in rng.permutation(d)[: min(widest, WIDTHS[j % len(WIDTHS)])]))
        for j in range(SUBSETS)
    }
    return sorted(drawn)


def _keys(codes: Sequence[Ints], some: tuple[int, ...], sizes: Sequence[int]) -> Ints:
    key = np.zeros(codes[0].size, dtype=np.int64)
    for i in some:
        key = key * sizes[i] + codes[i]
    return key


def _unique(key: AnyArray) -> Ints:
    """Positions of the values that occur once."""
    order = np.argsort(key, kind="stable")
    ordered = key[order]
    new = np.append(True, ordered[1:] != ordered[:-1]) if key.size else np.zeros(0, dtype=bool)
    return order[new & np.append(new[1:], True)]


def _drawn(alone: Sequence[Ints], *, most: int, rng: np.random.Generator) -> list[Ints]:
    """Per set of columns the rows to describe; each row in one set at most."""
    sets = np.repeat(np.arange(len(alone)), [a.size for a in alone])
    rows = np.concatenate(alone) if alone else np.empty(0, np.int64)
    order = rng.permutation(rows.size)
    first = np.sort(order[np.unique(rows[order], return_index=True)[1]])
    first = first[rng.permutation(first.size)[:most]]
    return [rows[first[sets[first] == s]] for s in range(len(alone))]


def _values(column: Column, others: Sequence[AnyArray], *, most: int, rng: np.random.Generator) -> Matches:
    known = np.flatnonzero(~column.missing)
    alone = known[_unique(column.values[known])]
    alone = alone[rng.permutation(alone.size)[:most]]
    alone = alone[np.argsort(column.values[alone], kind="stable")]
    return _matches((column.name,), alone, [_counted(column.values[alone], v) for v in others])


def _end(column: Column, others: Sequence[AnyArray], side: Literal["smallest", "largest"]) -> Matches:
    known = np.flatnonzero(~column.missing)
    sign = 1.0 if side == "smallest" else -1.0
    values = sign * column.values[known]
    rows = known[values == values.min()] if known.size else known
    if rows.size != 1:
        return _matches((column.name,), np.empty(0, np.int64), [_nothing() for _ in others])
    fits: list[tuple[Ints, Ints]] = []
    for v in others:
        beyond = np.flatnonzero(sign * v <= values.min())
        fits.append((np.array([beyond.size]), np.array([beyond[0] if beyond.size else -1])))
    return _matches((column.name,), rows, fits)


def _counted(wanted: Floats | Ints, present: AnyArray) -> tuple[Ints, Ints]:
    """[p] how many rows have each of the sorted, distinct wanted values, and [p] one that has."""
    counts, only = np.zeros(wanted.size, np.int64), np.full(wanted.size, -1)
    if wanted.size:
        at = np.minimum(np.searchsorted(wanted, present), wanted.size - 1)
        rows = np.flatnonzero(wanted[at] == present)
        counts, only[at[rows]] = np.bincount(at[rows], minlength=wanted.size), rows
    return counts, only


def _nothing() -> tuple[Ints, Ints]:
    return np.empty(0, np.int64), np.empty(0, np.int64)


def _matches(names: tuple[str, ...], source: Ints, fits: Sequence[tuple[Ints, Ints]]) -> Matches:
    counts, only = (np.stack([f[i] for f in fits], axis=1) for i in (0, 1))
    return Matches((names,) * source.size, source, counts, only)


def _joined(parts: Sequence[Matches], g: int) -> Matches:
    empty = np.empty((0, g), np.int64)
    return Matches(
        tuple(names for p in parts for names in p.columns),
        np.concatenate([np.empty(0, np.int64), *(p.source for p in parts)]),
        np.concatenate([empty, *(p.counts for p in parts)]),
        np.concatenate([empty, *(p.only for p in parts)]),
    )
