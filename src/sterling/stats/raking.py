"""Raking: weights for the rows of a pool, so that its one- and two-way margins are those of a target.

Iterative proportional fitting (Deming & Stephan 1940): the rows of a cell are scaled to the cell's target share,
set of columns after set of columns, until all sets agree. Weights change as little as that needs: among all
weights that meet the margins, these are nearest the first ones in Kullback-Leibler divergence (Csiszar 1975).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from sterling.stats.binning import MISSING, cut_levels, cut_ordered

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sterling.kernel.view import Bools, Floats, Ints

    Codes = NDArray[np.uint8]

# A cell that n rows never show may still be met by chance. It is called impossible where its columns, independent,
# would have put 20 rows and more into it, or where the pool's k rows of m in it are too many to have left the target
# without any: the chance of that is (m / (n + m))^k, and e^-8 leaves an innocent pool all its rows.
EXPECTED, SURE = 20.0, 8.0
# A round that takes off less than this share of what is left gains nothing: the steps are halved, and halved
# again, and then the margins are said to contradict each other.
GAIN, HALVINGS = 0.02, 3
MOST_UNMET = 1000
MOST_RANKED, RANKED_CODES = 400, 10


@dataclass(frozen=True, slots=True, eq=False)
class Margins:
    """What share of the rows falls into every cell of some sets of columns.

    Args:
        sets: columns by number, one or two in each set.
        shares: per set, [k] or [k, l] shares of its cells; they sum to 1.
        rows: how many rows they were counted on; infinite for totals that are known.
    """

    sets: tuple[tuple[int, ...], ...]
    shares: tuple[Floats, ...]
    rows: float


@dataclass(frozen=True, slots=True)
class Unmet:
    """A cell that the target holds and the pool does not.

    Args:
        columns: the set of columns.
        codes: the cell's code in each of them.
        share: of the target's rows, 0 to 1.
    """

    columns: tuple[int, ...]
    codes: tuple[int, ...]
    share: float


@dataclass(frozen=True, slots=True, eq=False)
class Raked:
    """Weights of the pool's rows, and how near they bring its margins to the target's.

    Args:
        weights: [m] >= 0, of mean 1.
        gaps_before: [sets] total variation between target and pool, 0 to 1; smaller is better.
        gaps_after: [sets] the same with the weights.
        effective: rows of equal weight that would say as much, (sum w)^2 / sum w^2; at most m.
        rounds: how many were taken.
        converged: whether every set came as near as was asked; if not, the nearest weights found are given.
        unmet: cells of the target that no row of the pool is in, largest first; at most 1,000.
        impossible: rows of the pool that got no weight, for a cell of theirs cannot be.
    """

    weights: Floats
    gaps_before: Floats
    gaps_after: Floats
    effective: float
    rounds: int
    converged: bool
    unmet: tuple[Unmet, ...]
    impossible: int

    @property
    def before(self) -> float:
        """The worst set's gap without the weights."""
        return float(self.gaps_before.max(initial=0.0))

    @property
    def after(self) -> float:
        """The worst set's gap with them."""
        return float(self.gaps_after.max(initial=0.0))


def margins_of(
    classes: Codes, sets: Sequence[tuple[int, ...]] | None = None, *, weights: Floats | None = None
) -> Margins:
    """Count the margins of a table.

    Args:
        classes: [d, n] codes, n > 0; coarsen them first where a column holds many (`coarsening`).
        sets: columns by number, one or two in each; None for every column and every pair.
        weights: [n] >= 0, not all 0; None for all the same.

    Returns:
        The shares of every cell. O(n sets) time, and memory for the cells of all sets.

    >>> margins_of(np.array([[0, 1], [1, 1]], dtype=np.uint8)).shares[0]
    array([0.5, 0.5])
    """
    d, n = classes.shape
    chosen = tuple(sets) if sets is not None else (*((k,) for k in range(d)), *combinations(range(d), 2))
    sizes = _sizes(classes)
    shapes = [tuple(int(sizes[k]) for k in one) for one in chosen]
    cells = _Cells.of(chosen, shapes)
    share = np.full(n, 1.0 / n) if weights is None else weights / weights.sum()
    mass = cells.mass(classes, share)
    return Margins(
        chosen, tuple(part.reshape(shape) for part, shape in zip(cells.split(mass), shapes, strict=True)), float(n)
    )


def gaps_of(classes: Codes, margins: Margins, *, weights: Floats | None = None) -> Floats:
    """[sets] total variation between the target's shares and a table's, 0 to 1; smaller is better.

    Args:
        classes: [d, m] codes by the target's coding.
        margins: the target's.
        weights: [m] of the rows; None for all the same.
    """
    m = classes.shape[1]
    cells, _, target = _laid_out(classes, margins)
    return _variation(
        cells, cells.mass(classes, np.full(m, 1 / m) if weights is None else weights / weights.sum()), target
    )


def chance_gaps(margins: Margins, m: int) -> Floats:
    """[sets] the total variation that m rows drawn from the very law of the target show on average.

    Args:
        margins: the target's; where they were counted on rows, their own chance is in it too.
        m: rows that are compared with them.
    """
    spread = [
        np.sqrt(2 / np.pi * shares * np.maximum(0.0, 1 - shares) * (1 / m + 1 / margins.rows)).sum()
        for shares in margins.shares
    ]
    return np.array(spread) / 2


def farthest_pairs(target: Codes, pool: Codes, *, most: int, rows: int = 2000) -> tuple[tuple[int, int], ...]:
    """The pairs of columns whose joint distribution differs most between two tables.

    Args:
        target: [d, n] codes, rows in no particular order.
        pool: [d, m] codes by the same coding.
        most: pairs at most. Where there are more, they are ranked on the first rows, coarsened; beyond 400 columns
            those whose own distribution differs most.
        rows: how many rows are ranked on.

    Returns:
        Pairs in order of the columns. O(d^2 rows) time where they must be ranked.
    """
    d = target.shape[0]
    if d * (d - 1) // 2 <= most:
        return tuple(combinations(range(d), 2))
    few, many = target[:, :rows], pool[:, :rows]
    lookup = coarsening(few, np.ones(d, dtype=np.bool_), most=RANKED_CODES - 2)
    few, many = coarse(few, lookup), coarse(many, lookup)
    alone = gaps_of(many, margins_of(few, [(k,) for k in range(d)]))
    columns = np.sort(np.argsort(-alone, kind="stable")[:MOST_RANKED])
    apart = np.abs(_joint(few[columns]) - _joint(many[columns]))
    gaps = apart.reshape(columns.size, RANKED_CODES, columns.size, RANKED_CODES).sum(axis=(1, 3)) / 2
    first, second = np.triu_indices(columns.size, 1)
    chosen = np.sort(np.argsort(-gaps[first, second], kind="stable")[:most])
    return tuple((int(columns[first[k]]), int(columns[second[k]])) for k in chosen)


def _joint(classes: Codes) -> NDArray[np.float32]:
    """[d codes, d codes] share of the rows in every cell of every pair of columns."""
    d, n = classes.shape
    marks = (classes[:, None, :] == np.arange(RANKED_CODES)[None, :, None]).reshape(d * RANKED_CODES, n)
    spread = marks.astype(np.float32)
    return spread @ spread.T / n


def coarsening(classes: Codes, ordered: Bools, *, most: int = 32) -> Codes:
    """How to give every column few codes: neighbours share one where there are more.

    Args:
        classes: [d, n] codes; 0 is missing and stays alone.
        ordered: [d] whether the codes of a column are in order, as those of numbers are.
        most: codes per column at most, missing aside.

    Returns:
        [d, 256] the new code of every code; apply it to any table of these codes with `coarse`.
    """
    lookup = np.zeros((classes.shape[0], 256), dtype=np.uint8)
    for k, column in enumerate(classes):
        counts = np.bincount(column, minlength=256)
        known = np.flatnonzero(counts)
        known = known[known != MISSING]
        if known.size:
            cut = cut_ordered if ordered[k] else cut_levels
            groups = cut(counts[known], most=most) + 1
            place = np.clip(np.searchsorted(known, np.arange(256), side="right") - 1, 0, known.size - 1)
            lookup[k] = groups[place]
            lookup[k, MISSING] = MISSING
    return lookup


def coarse(classes: Codes, lookup: Codes) -> Codes:
    """[d, n] the new codes by `coarsening`'s lookup."""
    return np.stack([table[column] for table, column in zip(lookup, classes, strict=True)])


def rake(
    classes: Codes,
    margins: Margins,
    *,
    start: Floats | None = None,
    rounds: int = 30,
    tolerance: float = 0.002,
    band: float = 0.0,
    cap: float = 10.0,
) -> Raked:
    """Weight the rows of a pool to a target's margins.

    A round scales the rows to each set that is not yet near enough, the farthest first. Where a round stops
    gaining, for the margins contradict each other or the pool cannot meet them, steps are halved, then it ends.

    Args:
        classes: [d, m] codes of the pool, by the target's coding.
        margins: the target's.
        start: [m] weights to begin with, >= 0; None for all the same.
        rounds: at most.
        tolerance: total variation per set that is near enough, 0 to 1, beyond the band.
        band: standard errors of a cell's gap within which it is left alone; 0 for none. It keeps a pool that differs by
            chance only as it is.
        cap: a weight's most, in mean weights of the rows that can be, > 1.

    Returns:
        The weights. Rows in cells that cannot be get weight 0 as long as a row is left; cells that the target
        happens not to hold are not scaled. O(m sets) per round: 100,000 rows and 105 pairs take 40 ms.

    Source: Deming & Stephan 1940, doi:10.1214/aoms/1177731829; Csiszar 1975, doi:10.1214/aop/1176996454.

    >>> pool = np.array([[0, 0, 0, 1]], dtype=np.uint8)
    >>> rake(pool, Margins(((0,),), (np.array([0.5, 0.5]),), np.inf)).weights.round(2)
    array([0.67, 0.67, 0.67, 2.  ])
    """
    classes = np.ascontiguousarray(classes)
    m = classes.shape[1]
    cells, shapes, target = _laid_out(classes, margins)
    weights = np.ones(m) if start is None else start * (m / start.sum())
    mass = cells.mass(classes, weights / m)
    low, high = _bands(margins, shapes, target, mass, m, band)
    alive = _possible(classes, cells, mass, high, weights > 0)
    weights = np.where(alive, weights, 0.0)
    best, taken, converged = _rounds(classes, cells, low, high, weights, rounds, tolerance, cap)
    best *= m / best.sum()
    return Raked(
        weights=best,
        gaps_before=_variation(cells, mass, target),
        gaps_after=_variation(cells, cells.mass(classes, best / m), target),
        effective=float(best.sum() ** 2 / np.square(best).sum()),
        rounds=taken,
        converged=converged,
        unmet=_unmet(cells, shapes, target, mass),
        impossible=int(m - alive.sum()),
    )


def resample(weights: Floats, n: int, *, rng: np.random.Generator) -> Ints:
    """Draw n rows by weight, each the floor or the ceiling of its share of n times (systematic sampling).

    Args:
        weights: [m] >= 0, not all 0.
        n: rows to draw.
        rng: the only source of chance.

    Returns:
        [n] rows in ascending order.

    Source: Madow & Madow 1944, doi:10.1214/aoms/1177731312.
    """
    shuffled = rng.permutation(weights.size)
    ends = np.cumsum(weights[shuffled])
    marks = (np.arange(n) + rng.random()) * (ends[-1] / n)
    # The last mark may pass the last end by rounding; it belongs to the last row of any weight.
    places = np.minimum(np.searchsorted(ends, marks, side="right"), np.flatnonzero(weights[shuffled])[-1])
    return np.sort(shuffled[places])


@dataclass(frozen=True, slots=True, eq=False)
class _Cells:
    """The cells of all sets in one row: `starts` [sets + 1] says where each set's begin."""

    columns: tuple[tuple[int, ...], ...]
    sets: Ints
    widths: Ints
    starts: Ints

    @classmethod
    def of(cls, sets: Sequence[tuple[int, ...]], shapes: Sequence[tuple[int, ...]]) -> _Cells:
        pairs = np.array([(one[0], one[1] if len(one) > 1 else -1) for one in sets], dtype=np.int64).reshape(-1, 2)
        widths = np.array([shape[1] if len(shape) > 1 else 1 for shape in shapes], dtype=np.int64)
        ends = np.cumsum([int(np.prod(shape)) for shape in shapes], dtype=np.int64)
        return cls(tuple(sets), pairs, widths, np.concatenate([np.zeros(1, dtype=np.int64), ends]))

    def mass(self, classes: Codes, weights: Floats) -> Floats:
        from sterling.stats._raking_kernels import tally

        mass = np.zeros(int(self.starts[-1]))
        tally(np.ascontiguousarray(classes), weights, self.sets, self.widths, self.starts, mass)
        return mass

    def split(self, cells: Floats) -> list[Floats]:
        return np.split(cells, self.starts[1:-1])


def _laid_out(classes: Codes, margins: Margins) -> tuple[_Cells, list[tuple[int, ...]], Floats]:
    """The cells of target and pool together, the shape of each set's, and the target's share of every cell."""
    sizes = _sizes(classes)
    shapes = [
        tuple(max(int(sizes[k]), length) for k, length in zip(one, shares.shape, strict=True))
        for one, shares in zip(margins.sets, margins.shares, strict=True)
    ]
    flat = [_widened(shares, shape) for shares, shape in zip(margins.shares, shapes, strict=True)]
    return _Cells.of(margins.sets, shapes), shapes, np.concatenate([np.zeros(0), *flat])


def _sizes(classes: Codes) -> Ints:
    """[d] codes per column: one more than the largest."""
    return classes.max(axis=1).astype(np.int64) + 1 if classes.shape[1] else np.ones(classes.shape[0], np.int64)


def _widened(shares: Floats, shape: tuple[int, ...]) -> Floats:
    """The shares of a set, flat, with empty cells for the pool's codes that the target does not know."""
    room = np.zeros(shape)
    room[tuple(slice(0, length) for length in shares.shape)] = shares
    return room.ravel()


def _bands(
    margins: Margins, shapes: list[tuple[int, ...]], target: Floats, mass: Floats, m: int, band: float
) -> tuple[Floats, Floats]:
    """[cells] the least and the largest share that a cell is left alone with."""
    n = margins.rows
    spread = band * np.sqrt(target * np.maximum(0.0, 1 - target) * (1 / n + 1 / m)) if np.isfinite(n) else 0.0
    low, high = np.maximum(0.0, target - spread), target + spread
    if np.isfinite(n):
        expected = np.concatenate(
            [_independent(shares, shape) for shares, shape in zip(margins.shares, shapes, strict=True)]
        )
        possible = (expected * n < EXPECTED) & (mass * m * np.log1p(n / m) < SURE)
        high[(target == 0) & possible] = 1.0
    return low, high


def _independent(shares: Floats, shape: tuple[int, ...]) -> Floats:
    """[cells] what share a cell would have if its columns were independent."""
    if shares.ndim == 1:
        return np.zeros(shape)
    return _widened(np.outer(shares.sum(axis=1), shares.sum(axis=0)), shape)


def _possible(classes: Codes, cells: _Cells, mass: Floats, high: Floats, alive: Bools) -> Bools:
    """[m] whether a row is in no cell that cannot be. A set that would leave no row is forgiven: `high` is opened."""
    from sterling.stats._raking_kernels import spare

    lost = np.add.reduceat(np.where(high <= 0, mass, 0.0), cells.starts[:-1])
    now, kept = alive.astype(np.uint8), np.empty(alive.size, dtype=np.uint8)
    for s in np.argsort(lost, kind="stable"):
        if lost[s] <= 0:
            continue
        first, second = map(int, cells.sets[s])
        if spare(classes, first, second, int(cells.widths[s]), int(cells.starts[s]), high, now, kept):
            now, kept = kept, now
        else:
            part = high[cells.starts[s] : cells.starts[s + 1]]
            part[part <= 0] = 1.0
    return now.astype(np.bool_)


def _rounds(
    classes: Codes, cells: _Cells, low: Floats, high: Floats, weights: Floats, rounds: int, tolerance: float, cap: float
) -> tuple[Floats, int, bool]:
    """The best weights found, the rounds taken, and whether all sets came near enough."""
    from sterling.stats._raking_kernels import sweep

    live = int(np.count_nonzero(weights))
    now, rate, halvings = _capped(weights, live, cap), 1.0, 0
    excess = _excess(cells, cells.mass(classes, now / now.sum()), low, high)
    best, least = now, excess
    for taken in range(rounds):
        if excess.max(initial=0.0) <= tolerance:
            return best, taken, True
        far = np.argsort(-excess, kind="stable")
        now = now.copy()
        sweep(
            classes, now, cells.sets, cells.widths, cells.starts, low, high, far[excess[far] > tolerance / 2], rate, cap
        )
        now = _capped(now, live, cap)
        excess = _excess(cells, cells.mass(classes, now / live), low, high)
        gained = excess.sum() < (1 - GAIN) * least.sum()
        if excess.sum() < least.sum():
            best, least = now, excess
        if not gained:
            halvings += 1
            if halvings > HALVINGS:
                return best, taken + 1, bool(least.max(initial=0.0) <= tolerance)
            rate, now, excess = rate / 2, best, least
    return best, rounds, bool(least.max(initial=0.0) <= tolerance)


def _capped(weights: Floats, live: int, cap: float) -> Floats:
    """The weights with a mean of 1 over the live rows and none above the cap: what is cut off goes to the others."""
    now = weights * (live / weights.sum())
    full = np.zeros(now.size, dtype=np.bool_)
    while np.any(over := now > cap) and not np.all(full | over | (now == 0)):
        full |= over
        now = np.where(full, cap, now * ((live - cap * full.sum()) / now[~full].sum()))
    return np.minimum(now, cap)


def _excess(cells: _Cells, mass: Floats, low: Floats, high: Floats) -> Floats:
    """[sets] total variation beyond the bands."""
    beyond = np.maximum(low - mass, 0.0) + np.maximum(mass - high, 0.0)
    return np.add.reduceat(beyond, cells.starts[:-1]) / 2 if beyond.size else beyond


def _variation(cells: _Cells, mass: Floats, target: Floats) -> Floats:
    """[sets] total variation between the shares, 0 to 1."""
    return _excess(cells, mass, target, target)


def _unmet(cells: _Cells, shapes: list[tuple[int, ...]], target: Floats, mass: Floats) -> tuple[Unmet, ...]:
    """The target's cells without a row of the pool, largest first."""
    lacking = np.flatnonzero((target > 0) & (mass <= 0))
    lacking = lacking[np.argsort(-target[lacking], kind="stable")][:MOST_UNMET]
    sets = np.searchsorted(cells.starts, lacking, side="right") - 1
    return tuple(
        Unmet(
            columns=cells.columns[s],
            codes=tuple(int(code) for code in np.unravel_index(cell - cells.starts[s], shapes[s])),
            share=float(target[cell]),
        )
        for s, cell in zip(sets, lacking, strict=True)
    )
