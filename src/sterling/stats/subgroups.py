"""Groups of records that a sentence can name, in which something is more common than elsewhere: found by beam search.

A group is a conjunction of up to three conditions, each a level of a category or a range of a number. How far a group
may stand out by chance is told by the same search on reshuffled records.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sterling.kernel.schema import Kind
from sterling.kernel.view import Column
from sterling.stats.slices import quantile_edges

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sterling.kernel.view import Bools, Floats

    Singles = NDArray[np.float32]

BINS, MOST_LEVELS = 8, 40
DEPTH, BEAM = 3, 6
# A further condition must make the group stand out so much more: short names are worth more than the last percent.
WORTH_A_CONDITION = 1.1


@dataclass(frozen=True, slots=True)
class Condition:
    """What one column must hold.

    Args:
        column: its name.
        text: the value in words, such as "60-80".
        low, high: ends of a range, both inside; None for a level or a missing cell.
        level: code of a level; None for a range; -1 for a missing cell.
    """

    column: str
    text: str
    low: float | None = None
    high: float | None = None
    level: int | None = None

    def holds(self, column: Column) -> Bools:
        """[n] which records meet it; any set in the same encoding."""
        if self.low is None or self.high is None:
            return column.missing if self.level == -1 else column.values == self.level
        return ~column.missing & (column.values >= self.low) & (column.values <= self.high)


@dataclass(frozen=True, slots=True)
class Subgroup:
    """Records that meet all conditions.

    Args:
        conditions: at least one.
        score: standard errors by which what they show exceeds what their number gives.
    """

    conditions: tuple[Condition, ...]
    score: float

    @property
    def title(self) -> str:
        """Such as "age=60-80&sex=F"."""
        return "&".join(f"{c.column}={c.text}" for c in self.conditions)

    def members(self, columns: Sequence[Column]) -> Bools:
        """[n] which records belong to it."""
        named = {c.name: c for c in columns}
        return np.logical_and.reduce([c.holds(named[c.column]) for c in self.conditions])


@dataclass(frozen=True, slots=True, eq=False)
class Terms:
    """Every condition, and which records meet it.

    Args:
        conditions: [p].
        masks: [p, n] 0 or 1.
        least: fewest records of a group.
    """

    conditions: tuple[Condition, ...]
    masks: Singles
    least: int


def terms_of(columns: Sequence[Column], *, least: int) -> Terms:
    """The conditions that at least `least` records meet and not all of them: levels, missing cells, ranges of bins.

    Args:
        columns: of the records that are searched.
        least: fewest records of a group.
    """
    conditions = [c for column in columns for c in (*_levels(column), *_ranges(column))]
    named = {c.name: c for c in columns}
    masks = [c.holds(named[c.column]) for c in conditions]
    n = columns[0].values.size if columns else 0
    kept = [i for i, mask in enumerate(masks) if least <= int(mask.sum()) < n]
    rows = np.array([masks[i] for i in kept], dtype=np.float32).reshape(len(kept), n)
    return Terms(tuple(conditions[i] for i in kept), rows, least)


def best_subgroup(terms: Terms, hits: Floats, *, among: Bools | None = None, expected: float) -> Subgroup | None:
    """The group in which hits stand out most.

    Args:
        terms: what may be asked.
        hits: [n] how much of it each record shows, such as 0 or 1.
        among: [n] which records still count; None for all.
        expected: the mean that means nothing; a larger mean over all records takes its place.

    Returns:
        The group with the largest score (sum of hits - n s) / sqrt(n v), v the variance of hits; None where no
        condition qualifies. A longer conjunction must beat a shorter one by a tenth.

    Source: beam search over conjunctions, Kloesgen 1996 (Explora); the score is his test of means.
    """
    counted: Singles = (np.ones(hits.size, dtype=bool) if among is None else among).astype(np.float32)
    found_at: Singles = hits.astype(np.float32)
    total = float(counted.sum())
    if not terms.conditions or total < terms.least:
        return None
    mean = float(found_at @ counted) / total
    spread = max(float(np.square(found_at - mean) @ counted) / total, 1e-9) ** 0.5
    mean = max(expected, mean)
    beam: list[tuple[tuple[int, ...], Singles]] = [((), counted)]
    best: tuple[float, tuple[int, ...]] | None = None
    for _ in range(DEPTH):
        found: dict[tuple[int, ...], float] = {}
        for chosen, mask in beam:
            scores = _sums(terms, mask, found_at, mean) / spread
            taken = {terms.conditions[i].column for i in chosen}
            for i in np.argsort(-scores, kind="stable")[: 4 * BEAM].tolist():
                if np.isfinite(scores[i]) and terms.conditions[i].column not in taken:
                    found[tuple(sorted((*chosen, i)))] = float(scores[i])
        ranked = sorted(found, key=lambda key: (-found[key], key))[:BEAM]
        if not ranked:
            break
        if best is None or found[ranked[0]] > WORTH_A_CONDITION * best[0]:
            best = (found[ranked[0]], ranked[0])
        beam = [(key, counted * np.prod(terms.masks[list(key)], axis=0)) for key in ranked]
    return None if best is None else Subgroup(tuple(terms.conditions[i] for i in best[1]), best[0])


def _sums(terms: Terms, mask: Singles, hits: Singles, mean: float) -> Floats:
    """[p] (sum of hits - n mean) / sqrt(n) of the mask with each condition added; minus infinity where n is small."""
    both = np.stack([mask, mask * hits], axis=1)
    counts = (terms.masks @ both).astype(np.float64)
    n, found = counts[:, 0], counts[:, 1]
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(n >= terms.least, (found - n * mean) / np.sqrt(n), -np.inf)


def _levels(column: Column) -> list[Condition]:
    conditions: list[Condition] = []
    if column.kind is Kind.CATEGORY:
        levels = column.levels or ()
        counts = np.bincount(column.values[column.values >= 0], minlength=len(levels))
        common = np.argsort(-counts, kind="stable")[:MOST_LEVELS]
        conditions += [Condition(column.name, levels[int(c)], level=int(c)) for c in common if counts[c]]
    return [*conditions, Condition(column.name, "missing", level=-1)]


def _ranges(column: Column) -> list[Condition]:
    """All ranges of neighbouring quantile bins, named by the smallest and largest value in them."""
    if column.kind is Kind.CATEGORY:
        return []
    known = np.sort(column.values[~column.missing])
    stops = np.append(np.searchsorted(known, quantile_edges(known, BINS), side="right"), known.size)
    starts = np.r_[0, stops[:-1]]
    full = [(int(a), int(b)) for a, b in zip(starts, stops, strict=True) if b > a]
    ends = [(float(known[a]), float(known[b - 1])) for a, b in full]
    pairs = [(ends[i][0], ends[j][1]) for i in range(len(ends)) for j in range(i, len(ends))]
    return [Condition(column.name, _text(column, low, high), low, high) for low, high in pairs]


def _text(column: Column, low: float, high: float) -> str:
    if column.kind is Kind.DATETIME:
        days = [_day(x) for x in (low, high)]
        return days[0] if days[0] == days[1] else f"{days[0]} to {days[1]}"
    words = [f"{x:.0f}" if column.integer and abs(x) < 1e15 else f"{x:.4g}" for x in (low, high)]
    if low == high:
        return words[0]
    plain = low >= 0 and not any("e" in w for w in words)
    return f"{words[0]}-{words[1]}" if plain else f"{words[0]} to {words[1]}"


def _day(x: float) -> str:
    try:
        return datetime.datetime.fromtimestamp(x, datetime.UTC).date().isoformat()
    except (OverflowError, ValueError, OSError):  # beyond the years 1 to 9999
        return f"{x:.4g} s"
