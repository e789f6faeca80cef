"""Rules that real rows keep though chance would break them often: mined with support, counted fast.

A rule is a condition on one record whose breach is rare: `count` breaches were seen where `expected` would be if the
columns concerned were independent. What is rare in the rows it was mined from must be confirmed on others.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import gammainccinv

from sterling.stats.dependence import TILE, one_hot
from sterling.stats.proportions import exact_bounds, ratio_bounds

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from sterling.kernel.view import AnyArray, Bools, Floats, Ints

# A breach is called impossible where its rate is certainly below a tenth of what independence gives, and what was seen
# is rarer still: data have slips of the pen, such as one female husband among 48,842.
CERTAINLY = 0.1
# What may be seen of a breach, as a share of what independence gives, so that it counts as impossible; as rare.
SEEN, SEEN_RARE = 0.002, 0.02
SURE = 0.025
# Values at the end of a column that say how its tail goes on: at most so many, at most the root of the rows.
TAIL = 100
# Groups with fewer rows say nothing of what belongs to them.
LEAST_GROUP = 5
# A sum holds when it is off by less than this share of the total's standard deviation: amounts are rounded.
ROUNDING = 1e-3
# Rows by which most candidates are ruled out, evenly spaced: those at the top of a sorted file are not typical.
PROBE = 64


def impossible(count: ArrayLike, expected: ArrayLike, *, seen: float = SEEN) -> Bools:
    """[r] whether breaches are so rare beside what independence expects that they count as a rule.

    Source: exact Poisson bound, Garwood 1936.

    >>> impossible([0, 0, 1, 5], [30.0, 40.0, 600.0, 600.0]).tolist()
    [False, True, True, False]
    """
    c, e = np.asarray(count, dtype=np.float64), np.asarray(expected, dtype=np.float64)
    return (gammainccinv(c + 1, SURE) <= CERTAINLY * e) & (c <= seen * e)


def least_expected() -> float:
    """The smallest expectation at which no breach at all makes a rule."""
    return float(gammainccinv(1.0, SURE)) / CERTAINLY


def tail_limits(values: Floats) -> tuple[float, float]:
    """How far a column may reach below and above what was seen of it.

    Args:
        values: [n] known values, any order.

    Returns:
        Limits beyond which hardly one of n k fresh values lies, k being the number of values at the end that are
        looked at (at most 100, at most the root of n). Where all of those are equal the end is a wall and the limit
        is that value; infinite where too few values lie on that side of the median.

    Source: Weissman 1978: a Pareto tail measured from the median reaches as far beyond its largest of n values, on the
        log scale, as that lies beyond the k-th, with chance 1 / (n k); lighter tails reach less far.

    >>> low, high = tail_limits(np.r_[np.zeros(500), np.linspace(0, 10, 500)])
    >>> (low, round(high, 1))
    (0.0, 10.6)
    """
    if values.size < PROBE:
        return -np.inf, np.inf
    k = min(TAIL, int(np.sqrt(values.size)))
    ordered, middle = np.sort(values), float(np.median(values))
    with np.errstate(all="ignore"):
        down = _reach(middle - ordered[:k][::-1])
        up = _reach(ordered[-k:] - middle)
        return middle - down, middle + up


def _reach(tail: Floats) -> float:
    """The limit of distances from the median, given the largest of them in ascending order."""
    nearest, farthest = float(tail[0]), float(tail[-1])
    if nearest == farthest:
        return farthest
    # Few values beyond a median that most share: what is rare has no known end.
    return farthest * (farthest / nearest) if nearest > 0 else np.inf


def forbidden_cells(counts: Floats, starts: Ints, n: float) -> tuple[Bools, Bools, Bools]:
    """Which pairs of codes of two columns never meet.

    Args:
        counts: [k, k] how often two codes occur in one row; the diagonal holds how often each occurs.
        starts: [d + 1] where each column's codes begin.
        n: rows counted.

    Returns:
        [k, k] True above the diagonal where a pair of codes never meets, where it meets but rarely, and where it
        could be either: where independence expects enough.
    """
    each = np.diagonal(counts)
    expected = np.outer(each, each) / max(n, 1.0)
    column = np.repeat(np.arange(starts.size - 1), np.diff(starts))
    able = (expected >= least_expected()) & (column[:, None] < column[None, :])
    never, rarely = np.zeros_like(able), np.zeros_like(able)
    never[able] = impossible(counts[able], expected[able])
    rarely[able] = impossible(counts[able], expected[able], seen=SEEN_RARE)
    return never, rarely, able


def breaches(codes: Sequence[AnyArray], widths: Sequence[int], forbidden: Bools) -> AnyArray:
    """[n] how many forbidden pairs of codes each row holds; `codes` and `widths` as in `one_hot`."""
    n = codes[0].size if codes else 0
    found = np.zeros(n, dtype=np.float32)
    rows, columns = np.flatnonzero(forbidden.any(axis=1)), np.flatnonzero(forbidden.any(axis=0))
    if not rows.size:
        return found
    block = forbidden[np.ix_(rows, columns)].astype(np.float32)
    for start in range(0, n, TILE):
        hot = one_hot([c[start : start + TILE] for c in codes], widths)
        found[start : start + TILE] = np.einsum("ij,ij->i", hot[:, rows] @ block, hot[:, columns])
    return found


@dataclass(frozen=True, slots=True)
class Order:
    """That one number is at most another.

    Args:
        low: position of the smaller column.
        high: position of the larger one.
    """

    low: int
    high: int


def find_orders(values: Sequence[Floats], *, most: int) -> tuple[list[Order], int]:
    """Pairs of columns of which one is at most the other, though independence would often have it the other way.

    Args:
        values: per column, [n], missing = NaN.
        most: columns looked at.

    Returns:
        The orders, and how many were examined.
    """
    found: list[Order] = []
    examined = 0
    probe = _probe(values[0].size if values else 0, PROBE)
    ordered = [np.sort(v[~np.isnan(v)]) for v in values[:most]]
    for i, j in itertools.permutations(range(len(ordered)), 2):
        a, b = values[i], values[j]
        if not ordered[i].size or not ordered[j].size or ordered[i][-1] <= ordered[j][0]:
            continue  # the ranges alone say so
        examined += 1
        if np.mean(a[probe] > b[probe]) > 0.05:
            continue
        both = ~np.isnan(a) & ~np.isnan(b)
        share = float(np.searchsorted(ordered[j], a[both], side="left").mean() / ordered[j].size) if both.any() else 0.0
        if impossible(np.count_nonzero(a > b), share * both.sum()):
            found.append(Order(i, j))
    return found, examined


@dataclass(frozen=True, slots=True)
class Sum:
    """That two numbers add up to a third.

    Args:
        first: position of a summand.
        second: position of the other.
        total: position of the sum.
        slack: how far it may be off.
    """

    first: int
    second: int
    total: int
    slack: float


def find_sums(values: Sequence[Floats], *, most: int) -> tuple[list[Sum], int]:
    """Triples a + b = c that the columns keep, up to rounding, and how many were examined; as in `find_orders`."""
    kept = values[:most]
    lively = [i for i, v in enumerate(kept) if np.mean((v != 0) & np.isfinite(v)) > 0.1 and _spread(v) > 0]
    if len(lively) < 3:
        return [], 0
    rows = _probe(kept[0].size, PROBE)
    probe = np.stack([kept[i][rows] for i in lively])
    slack = np.array([ROUNDING * _spread(kept[i]) for i in lively])
    found: list[Sum] = []
    with np.errstate(all="ignore"):
        for i, j in itertools.combinations(range(len(lively)), 2):
            off = np.abs(probe[i] + probe[j] - probe) > slack[:, None]
            for c in np.flatnonzero(off.mean(axis=1) <= 0.05):
                rule = Sum(lively[i], lively[j], lively[c], float(slack[c]))
                known = np.isfinite(kept[rule.first] + kept[rule.second] + kept[rule.total])
                if c not in (i, j) and impossible(np.count_nonzero(sum_off(kept, rule)), known.sum()):
                    found.append(rule)
    return found, len(lively) * (len(lively) - 1) * (len(lively) - 2) // 2


def _probe(n: int, most: int) -> Ints:
    """Positions of at most so many of n rows, evenly spaced from the first to the last."""
    return np.linspace(0, max(n - 1, 0), min(n, most)).astype(np.int64)


def sum_off(values: Sequence[Floats], rule: Sum) -> Bools:
    """[n] True where the sum does not hold."""
    with np.errstate(all="ignore"):
        return np.abs(values[rule.first] + values[rule.second] - values[rule.total]) > rule.slack


def _spread(values: Floats) -> float:
    known = values[np.isfinite(values)]
    with np.errstate(all="ignore"):
        spread = float(known.std()) if known.size else 0.0
    return spread if np.isfinite(spread) else 0.0


def belongs_to(first: AnyArray, second: AnyArray, shape: tuple[int, int]) -> Ints:
    """What belongs to each code of a column: the code of another that nearly all its rows have.

    Args:
        first: [n] codes, below `shape[0]`.
        second: [n] codes, below `shape[1]`.
        shape: how many codes there are of each.

    Returns:
        [a] code of the second column, or -1 where the group is too small to say.
    """
    table = np.bincount(first * shape[1] + second, minlength=shape[0] * shape[1]).reshape(shape)
    return np.where(table.sum(axis=1) >= LEAST_GROUP, table.argmax(axis=1), -1)


def is_dependency(first: AnyArray, second: AnyArray, shape: tuple[int, int]) -> bool:
    """Whether the first column's code decides the second's; arguments as in `belongs_to`."""
    n = first.size
    probe = _probe(n, 8 * PROBE)
    pairs = np.unique(first[probe] * shape[1] + second[probe]).size
    if pairs > np.unique(first[probe]).size * 1.05 + 4:
        return False
    owner = belongs_to(first, second, shape)[first]
    judged = owner >= 0
    if 2 * judged.sum() < n or np.unique(owner[judged]).size < 2:
        return False
    shares = np.bincount(second[judged], minlength=shape[1]) / judged.sum()
    expected = (1.0 - np.square(shares).sum()) * judged.sum()
    return bool(impossible(np.count_nonzero(judged & (owner != second)), expected))


def excess_bounds(j: ArrayLike, m: int, k: ArrayLike, n: int, *, alpha: float) -> tuple[Floats, Floats]:
    """Exact bounds of how much larger one share is than another, j/m - k/n, each side with error at most alpha.

    A difference is a share times what is left of it beside the other, p (1 - q / p), so that bounds of p and of the
    ratio bound it; far tighter than the bounds of both shares where both are rare.

    Args:
        j: [s] counts among the m rows.
        m: rows of the first sample.
        k: [s] counts among the n rows.
        n: rows of the second sample.
        alpha: one-sided error of each bound.

    Source: `exact_bounds` and `ratio_bounds` with a third of the error each.

    >>> low, high = excess_bounds([50], 10_000, [0], 10_000, alpha=0.001)
    >>> (round(float(low[0]), 4), round(float(high[0]), 4))
    (0.0024, 0.0079)
    """
    p_low, p_high = exact_bounds(j, m, alpha=alpha / 3)
    q_low, q_high = exact_bounds(k, n, alpha=alpha / 3)
    r_low, r_high = ratio_bounds(j, m, k, n, alpha=alpha / 3)
    with np.errstate(divide="ignore", invalid="ignore"):
        low = np.where(r_low >= 1, p_low * (1 - 1 / r_low), p_low - q_high)
        # The other way round: q - p is at least q_low (1 - p / q).
        high = np.where(r_high <= 1, -q_low * (1 - r_high), p_high - q_low)
    return low, np.maximum(high, low)
