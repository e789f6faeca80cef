"""Slices of a table: levels of categories, quantile bins of numbers, and their pairs, counted fast."""

from __future__ import annotations

import datetime
import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sterling.kernel.schema import Kind
from sterling.kernel.view import Column

if TYPE_CHECKING:
    from sterling.kernel.view import AnyArray, Bools, Floats, Ints

# The label of what is not judged by itself: levels too rare to say anything about.
REST = "(rest)"


@dataclass(frozen=True, slots=True, eq=False)
class Cut:
    """How one column falls into slices; made from real rows, applied to any.

    Args:
        name: of the column.
        labels: [k] names of the slices, such as "17-22", "F" or "missing"; REST is never judged.
        edges: upper ends of a number's bins but the last, each belonging to its bin; None for a category.
        lookup: [levels + 1] slice of each level, the last for missing; None for a number.
    """

    name: str
    labels: tuple[str, ...]
    edges: Floats | None = None
    lookup: AnyArray | None = None

    def assign(self, column: Column) -> AnyArray:
        """[n] int32 slice of each record."""
        if self.lookup is not None:
            return self.lookup[column.values]  # missing is -1: the last entry
        codes = np.searchsorted(self.edges if self.edges is not None else np.empty(0), column.values, side="left")
        return np.where(column.missing, len(self.labels) - 1, codes).astype(np.int32)

    def title(self, code: int) -> str:
        """Such as "age=17-22"."""
        return f"{self.name}={self.labels[code]}"


@dataclass(frozen=True, slots=True, eq=False)
class Slices:
    """Counted slices, one row each.

    Args:
        first: [s] position of the first condition's cut.
        second: [s] position of the second's, -1 where there is one condition only.
        first_code: [s] slice within the first cut.
        second_code: [s] slice within the second cut.
        real: [s] real records.
        synthetic: [s] synthetic records.
    """

    first: Ints
    second: Ints
    first_code: Ints
    second_code: Ints
    real: Ints
    synthetic: Ints

    @property
    def size(self) -> int:
        """How many slices."""
        return int(self.real.size)

    def take(self, rows: AnyArray) -> Slices:
        """The slices at these positions (or under this mask)."""
        kept = (getattr(self, f)[rows] for f in ("first", "second", "first_code", "second_code", "real", "synthetic"))
        return Slices(*kept)

    def title(self, row: int, cuts: Sequence[Cut]) -> str:
        """Such as "sex=F&age=60-80"."""
        one = cuts[self.first[row]].title(int(self.first_code[row]))
        if self.second[row] < 0:
            return one
        return f"{one}&{cuts[self.second[row]].title(int(self.second_code[row]))}"


def cut_column(column: Column, *, bins: int, least: int, most: int) -> Cut:
    """Cut a column of real rows into slices.

    Args:
        column: of the real rows.
        bins: quantile bins of a number; a value that fills a bin by itself is a bin by itself.
        least: levels with fewer real rows fall into the rest.
        most: levels beyond the most frequent ones fall into the rest.
    """
    if column.kind is Kind.CATEGORY:
        return _cut_levels(column, least=least, most=most)
    known = column.values[~column.missing]
    edges = quantile_edges(known, bins)
    return Cut(column.name, (*_ranges(column, known, edges), "missing"), edges=edges)


def quantile_edges(values: Floats, bins: int) -> Floats:
    """Upper ends of quantile bins, all but the last; each end belongs to its bin.

    >>> quantile_edges(np.array([0.0, 0, 0, 0, 0, 0, 1, 2, 3, 4]), 4).tolist()
    [0.0, 2.0]
    """
    if not values.size:
        return np.empty(0)
    found, counts = np.unique(np.quantile(values, np.arange(1, bins) / bins, method="inverted_cdf"), return_counts=True)
    # A value at two quantiles or more holds a whole bin: cut just below it too.
    atoms = found[counts > 1]
    edges = np.unique(np.concatenate([found, np.nextafter(atoms, -np.inf)]))
    return edges[(edges >= values.min()) & (edges < values.max())]


def count_one_way(
    chosen: Iterable[int], cuts: Sequence[Cut], real: Sequence[AnyArray], synthetic: Sequence[AnyArray]
) -> Slices:
    """Count every slice of the chosen cuts.

    Args:
        chosen: positions of cuts.
        cuts: all cuts.
        real: per cut, [n] slices of the real records.
        synthetic: per cut, [m] slices of the synthetic records.
    """
    parts: list[Slices] = []
    for i in chosen:
        k = len(cuts[i].labels)
        codes, none = np.arange(k), np.full(k, -1)
        parts.append(Slices(np.full(k, i), none, codes, none, _counts(real[i], k), _counts(synthetic[i], k)))
    return _judged(joined(parts), cuts)


def count_pairs(
    pairs: Iterable[tuple[int, int]], cuts: Sequence[Cut], real: Sequence[AnyArray], synthetic: Sequence[AnyArray]
) -> Slices:
    """Count every slice of every pair of cuts that holds any record; arguments as in `count_one_way`."""
    parts: list[Slices] = []
    for i, j in pairs:
        wide, cells = len(cuts[j].labels), len(cuts[i].labels) * len(cuts[j].labels)
        here, there = (_counts(codes[i] * wide + codes[j], cells) for codes in (real, synthetic))
        seen = np.flatnonzero(here + there)
        first, second = np.full(seen.size, i), np.full(seen.size, j)
        parts.append(Slices(first, second, seen // wide, seen % wide, here[seen], there[seen]))
    return _judged(joined(parts), cuts)


def joined(parts: Sequence[Slices]) -> Slices:
    """Slices one under another."""
    empty = [np.empty(0, dtype=np.int64)]
    fields = ("first", "second", "first_code", "second_code", "real", "synthetic")
    return Slices(*[np.concatenate([getattr(p, f) for p in parts] or empty).astype(np.int64) for f in fields])


def choose_pairs(
    names: Sequence[str], asked: Sequence[str], *, most: int
) -> tuple[list[tuple[int, int]], list[tuple[int, int]], int]:
    """Which pairs of columns are looked at: all that join two asked-for columns, then the others up to a cap.

    Args:
        names: of the columns, in file order.
        asked: the columns whose pairs matter most: target, groups, slices that the user named.
        most: pairs in all.

    Returns:
        Pairs of two asked-for columns, the other pairs (those with one such column first), and how many
        pairs were left out.
    """
    wanted = [i for i, name in enumerate(names) if name in set(asked)]
    inside = list(itertools.combinations(wanted, 2))[:most]
    mixed = ((min(i, j), max(i, j)) for i in wanted for j in range(len(names)) if j not in wanted)
    rest = itertools.combinations([i for i in range(len(names)) if i not in wanted], 2)
    others = list(itertools.islice(itertools.chain(mixed, rest), most - len(inside)))
    return inside, others, len(names) * (len(names) - 1) // 2 - len(inside) - len(others)


def members(slices: Slices, row: int, codes: Sequence[AnyArray]) -> Bools:
    """[n] which records lie in one slice, given each record's codes by cut."""
    one = codes[slices.first[row]] == slices.first_code[row]
    if slices.second[row] < 0:
        return one
    return one & (codes[slices.second[row]] == slices.second_code[row])


def _counts(codes: AnyArray, k: int) -> Ints:
    return np.bincount(codes, minlength=k).astype(np.int64)


def _cut_levels(column: Column, *, least: int, most: int) -> Cut:
    levels: tuple[str, ...] = () if column.levels is None else column.levels
    counts = np.bincount(column.values[column.values >= 0], minlength=len(levels))
    kept = np.flatnonzero(counts >= least)
    kept = np.sort(kept[np.argsort(-counts[kept], kind="stable")][:most])
    lookup = np.full(len(levels) + 1, kept.size, dtype=np.int32)
    lookup[kept] = np.arange(kept.size)
    lookup[-1] = kept.size + 1
    return Cut(column.name, (*[levels[int(i)] for i in kept], REST, "missing"), lookup=lookup)


def _ranges(column: Column, known: Floats, edges: Floats) -> list[str]:
    """Names of a number's bins, by the smallest and largest real value in each."""
    if not known.size:
        return [REST]
    ordered = np.sort(known)
    stops = np.append(np.searchsorted(ordered, edges, side="right"), ordered.size)
    starts = np.concatenate([[0], stops[:-1]])
    return [
        _range(column, float(ordered[a]), float(ordered[b - 1])) if b > a else REST
        for a, b in zip(starts, stops, strict=True)
    ]


def _range(column: Column, low: float, high: float) -> str:
    ends = [_value(column, x) for x in (low, high)]
    if ends[0] == ends[1]:
        return ends[0]
    plain = column.kind is Kind.NUMBER and low >= 0 and all("e" not in end for end in ends)
    return f"{ends[0]}-{ends[1]}" if plain else f"{ends[0]} to {ends[1]}"


def _value(column: Column, x: float) -> str:
    if column.kind is Kind.DATETIME:
        try:
            return datetime.datetime.fromtimestamp(x, datetime.UTC).date().isoformat()
        except (OverflowError, ValueError, OSError):  # beyond the years 1 to 9999
            return f"{x:.4g} s"
    return f"{x:.0f}" if column.integer and abs(x) < 1e15 else f"{x:.4g}"


def _judged(slices: Slices, cuts: Sequence[Cut]) -> Slices:
    """Without the slices that have the rest on either side."""
    rest = [np.array([label == REST for label in cut.labels]) for cut in cuts]
    wide = max((r.size for r in rest), default=1)
    table = np.zeros((len(rest) + 1, wide), dtype=bool)  # the last row serves "no second condition"
    for i, flags in enumerate(rest):
        table[i, : flags.size] = flags
    out = table[slices.first, slices.first_code] | table[slices.second, np.maximum(slices.second_code, 0)]
    return slices.take(~out)
