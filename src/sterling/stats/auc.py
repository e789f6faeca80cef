"""The area under the ROC curve of two groups of scores: its variance, its bounds, its p-value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtr

from sterling.stats.bounds import normal_quantile

if TYPE_CHECKING:
    from sterling.kernel.view import Floats


@dataclass(frozen=True, slots=True)
class Area:
    """An AUC with DeLong's variance.

    Args:
        value: how often a positive scores above a negative, ties count one half; .5 is chance.
        variance: of `value` over new positives and negatives.
        positives: how many.
        negatives: how many.
    """

    value: float
    variance: float
    positives: int
    negatives: int

    def bounds(self, *, alpha: float, widen: float = 1.0) -> tuple[float, float]:
        """Lower and upper bound, each with error about alpha, cut to 0..1.

        Where the groups are separated entirely the variance is 0 and says nothing; then min(n, m)
        disjoint pairs, all won, bound the area exactly.

        Args:
            alpha: one-sided error of each bound.
            widen: factor on the standard error.
        """
        half = normal_quantile(alpha) * float(np.sqrt(self.variance)) * widen
        low, high = max(0.0, self.value - half), min(1.0, self.value + half)
        edge = alpha ** (1 / max(1, min(self.positives, self.negatives)))
        return min(low, edge) if self.value == 1.0 else low, max(high, 1 - edge) if self.value == 0.0 else high


def delong(positive: Floats, negative: Floats) -> Area:
    """The AUC of two groups of scores.

    Args:
        positive: [n] scores of the positives, at least 1, finite.
        negative: [m] scores of the negatives, at least 1, finite.

    Raises:
        ValueError: if a group is empty.

    Source: DeLong, DeLong & Clarke-Pearson 1988; by mid-ranks, Sun & Xu 2014.

    >>> delong(np.array([0.35, 0.8]), np.array([0.1, 0.4])).value
    0.75
    """
    n, m = positive.size, negative.size
    if not n or not m:
        raise ValueError(f"AUC needs both groups, got {n} and {m}")
    wins, losses = _placements(positive, negative), _placements(negative, positive)
    variance = sum(float(p.var(ddof=1)) / p.size for p in (wins, losses) if p.size > 1)
    return Area(float(wins.mean()), variance, n, m)


def mann_whitney_p(positive: Floats, negative: Floats) -> float:
    """One-sided p-value of "the positives do not score higher", by the normal law with ties corrected.

    Source: Mann & Whitney 1947; ties as in Lehmann, Nonparametrics, 1975.
    """
    n, m = positive.size, negative.size
    total = n + m
    ties = np.unique(np.concatenate([positive, negative]), return_counts=True)[1].astype(np.float64)
    spread = n * m / 12 * ((total + 1) - float((ties**3 - ties).sum()) / (total * (total - 1)))
    if spread <= 0:
        return 1.0
    wins = float(_placements(positive, negative).sum()) * m
    return float(ndtr(-(wins - n * m / 2 - 0.5) / np.sqrt(spread)))


def smallest_shift(n: int, m: int, *, alpha: float, power: float = 0.8, widen: float = 1.0) -> float:
    """How far above .5 an AUC must lie to be seen with this power at n and m records.

    >>> round(smallest_shift(1000, 1000, alpha=0.025), 3)
    0.036
    """
    error = np.sqrt((1 / n + 1 / m) / 12) * widen  # the variance of the AUC at .5 (Hanley & McNeil 1982)
    return float((normal_quantile(alpha) - normal_quantile(power)) * error)


def _placements(scores: Floats, others: Floats) -> Floats:
    """[n] share of the others below each score, ties one half."""
    ordered = np.sort(others)
    below = np.searchsorted(ordered, scores, side="left") + np.searchsorted(ordered, scores, side="right")
    return below / (2 * others.size)
