"""Bounds that hold for many looks at once, and what an interval means for a tolerance."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy.special import ndtri

from sterling.kernel.finding import Status

if TYPE_CHECKING:
    from sterling.kernel.view import AnyArray, Bools, Floats

# E[sup |Brownian bridge|] = sqrt(pi / 2) ln 2: the size of a Kolmogorov-Smirnov distance that means nothing.
MEAN_KOLMOGOROV = math.sqrt(math.pi / 2) * math.log(2)


def status_of(low: float, high: float, bound: float, *, better: Literal["lower", "higher"]) -> Status:
    """What an interval means for a tolerance: rejecting is not failing, and not seeing is not passing.

    Args:
        low: lower end of the interval.
        high: upper end.
        bound: the tolerance; lying on it is within.
        better: which way is better.

    Returns:
        FAIL if the whole interval lies beyond the bound, PASS if it lies within, else UNDECIDED.

    Source: equivalence testing by confidence intervals, Westlake 1981; Schuirmann 1987.

    >>> status_of(0.01, 0.04, 0.05, better="lower").value, status_of(-0.09, 0.01, -0.05, better="higher").value
    ('pass', 'undecided')
    """
    if better == "higher":
        low, high, bound = -high, -low, -bound
    if low > bound:
        return Status.FAIL
    return Status.PASS if high <= bound else Status.UNDECIDED


def normal_quantile(tail: float) -> float:
    """The z with this mass above it.

    >>> round(normal_quantile(0.025), 2)
    1.96
    """
    return float(-ndtri(tail))


def holm(p_values: Floats, *, alpha: float) -> Bools:
    """Which of k hypotheses are rejected with a chance of at most alpha that any true one is among them.

    Args:
        p_values: [k].
        alpha: family-wise error.

    Returns:
        [k] True where rejected.

    Source: Holm 1979.

    >>> holm(np.array([0.01, 0.04, 0.03]), alpha=0.05).tolist()
    [True, False, False]
    """
    order = np.argsort(p_values, kind="stable")
    within = p_values[order] <= alpha / np.arange(p_values.size, 0, -1)
    rejected = np.zeros(p_values.size, dtype=bool)
    rejected[order] = np.logical_and.accumulate(within)
    return rejected


def tarone_alpha(least_p: Floats, *, alpha: float) -> float:
    """What each of k discrete tests may spend: those that could never reject cost nothing.

    Args:
        least_p: [k] the smallest p-value that each test could give, whatever comes out.
        alpha: family-wise error.

    Returns:
        alpha / K, with K at most k: the number of tests that can reach alpha / K at all.

    Source: Tarone 1990, Biometrics 46:515.

    >>> tarone_alpha(np.array([1e-9, 0.5, 0.5, 0.5]), alpha=0.05)
    0.05
    """
    ordered = np.sort(least_p)
    for tests in range(1, max(1, ordered.size) + 1):
        if np.searchsorted(ordered, alpha / tests, side="right") <= tests:
            return alpha / tests
    return alpha / max(1, ordered.size)


def fieller(top: tuple[float, float], bottom: tuple[float, float], *, quantile: float) -> tuple[float, float]:
    """Limits of the ratio of two independent means.

    Args:
        top: numerator and its variance.
        bottom: denominator and its variance.
        quantile: of the normal (or t) law, for the error of each side.

    Returns:
        Lower and upper limit, infinite both where the denominator may be 0 or less; not clamped to any range.

    Source: Fieller 1954.

    >>> [round(x, 2) for x in fieller((1.0, 0.01), (2.0, 0.0), quantile=1.96)]
    [0.4, 0.6]
    """
    square = quantile * quantile
    (a, var_a), (b, var_b) = top, bottom
    certain = b * b - square * var_b
    if b <= 0 or certain <= 0:
        return -math.inf, math.inf
    root = math.sqrt(max(square * (b * b * var_a + a * a * var_b - square * var_a * var_b), 0.0))
    return (a * b - root) / certain, (a * b + root) / certain


def dkw(n: int, *, alpha: float) -> float:
    """How far an empirical distribution function may stray from the true one, on one side.

    Returns:
        A distance in probability that is exceeded with a chance of at most alpha (alpha <= .5).

    Source: Dvoretzky, Kiefer & Wolfowitz 1956; constant by Massart 1990.
    """
    return math.sqrt(math.log(1 / alpha) / (2 * n))


def two_sample_dkw(n: int, m: int, *, alpha: float) -> float:
    """How far the gap between two empirical distribution functions may stray from the true gap, on one side.

    Source: the bound of Massart 1990 at the effective size nm / (n + m); Wei & Dudley 2012 (arXiv:1107.5356)
        show that it holds for two samples of equal size above 457, and nearly so elsewhere.
    """
    return math.sqrt(math.log(1 / alpha) * (1 / n + 1 / m) / 2)


def total_variation_slack(n: int, m: int, *, alpha: float) -> float:
    """How far the plug-in total variation of two samples may stray from its own mean, on one side.

    Source: bounded differences, McDiarmid 1989: one record of n moves it by at most 1/n.
    """
    return math.sqrt(math.log(1 / alpha) * (1 / n + 1 / m) / 2)


def total_variation_bias(shares: AnyArray, n: int, m: int) -> float:
    """An upper bound on how much the plug-in total variation exceeds the truth on average.

    Args:
        shares: [k] pooled share of each level.
        n: records in one sample.
        m: records in the other.

    Returns:
        Half the sum of the standard errors of the level-wise differences: E|d + e| <= |d| + sd(e).
    """
    return 0.5 * float(np.sqrt(shares * (1 - shares) * (1 / n + 1 / m)).sum())
