"""How many different things a sample holds: counts made comparable by rarefaction, and how far they stray."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import gammaln

if TYPE_CHECKING:
    from sterling.kernel.view import AnyArray, Floats, Ints


@dataclass(frozen=True, slots=True)
class Richness:
    """What a random subsample holds on average.

    Args:
        size: of the subsample.
        distinct: expected number of different values.
        single: expected number of values that occur once in it.
        variance: a bound of the variance of the number of different values.
    """

    size: int
    distinct: float
    single: float
    variance: float


def rarefied(counts: Ints, size: int) -> Richness:
    """Expected number of different values among `size` items drawn without replacement.

    Args:
        counts: [k] how often each value occurs, 1 or more.
        size: 1 to the sum of counts.

    Returns:
        By the hypergeometric law. The variance of the number of different values among iid items is at
        most the expected number of those that occur once (Efron-Stein: taking an item away loses a value
        only if it is alone); where few occur once by luck, what the counts themselves would give is used.

    Source: Hurlbert 1971, Ecology 52:577; Efron & Stein 1981.

    >>> r = rarefied(np.array([2, 1]), 2)
    >>> round(r.distinct, 3), round(r.single, 3)
    (1.667, 1.333)
    """
    tallied = np.bincount(counts)
    values = np.flatnonzero(tallied)
    times = tallied[values].astype(np.float64)
    total = int(counts.sum())
    absent = np.exp(_log_choose(total - values, size) - _log_choose(total, size))
    once = values * np.exp(_log_choose(total - values, size - 1) - _log_choose(total, size))
    single, expected = float(times @ once), values * size / total
    luck = float(times @ (expected * np.exp(-expected)))
    return Richness(size, float(times @ (1 - absent)), single, max(single, luck))


def _log_choose(n: AnyArray | int, k: int) -> Floats:
    """Log of n over k, minus infinity where k exceeds n."""
    top = np.asarray(n, dtype=np.float64)
    inside = np.maximum(top - k, 0.0)
    return np.where(top >= k, gammaln(top + 1) - gammaln(k + 1.0) - gammaln(inside + 1), -np.inf)


def most_tolerable(bound: float) -> float:
    """The ratio above which there are too many different things, where fewer than `bound` times are too few.

    Args:
        bound: smallest tolerable ratio; 0 tolerates everything.

    >>> most_tolerable(0.5), most_tolerable(0.0)
    (2.0, inf)
    """
    return 1 / bound if bound > 0 else float("inf")


def repeats(counts: Ints, size: int) -> float:
    """Expected number of items that repeat an earlier one, among `size` drawn without replacement.

    >>> round(repeats(np.array([2, 2]), 2), 3)
    0.333
    """
    return max(0.0, size - rarefied(counts, size).distinct)
