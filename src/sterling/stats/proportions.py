"""Shares and their exact intervals: one share, the ratio of two, the difference of two, shares in clusters."""

from __future__ import annotations

import bisect
import math
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import betainc, betainccinv, betaincinv, stdtrit

from sterling.kernel.estimate import Estimate, Unmeasured
from sterling.stats.bounds import normal_quantile

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from sterling.kernel.view import AnyArray, Floats, Ints


def clopper_pearson(hits: int, n: int, *, level: float = 0.95) -> Estimate:
    """A share with its exact interval.

    Args:
        hits: 0 to n.
        n: records looked at, at least 1.
        level: nominal coverage; the true one is never below it.

    Raises:
        ValueError: if n is 0 or hits is out of range.

    Source: Clopper & Pearson 1934.

    >>> e = clopper_pearson(0, 300)
    >>> (e.value, e.low, round(e.high, 4))
    (0.0, 0.0, 0.0122)
    """
    if not 0 <= hits <= n or n < 1:
        raise ValueError(f"{hits} of {n} is no share")
    low, high = exact_bounds(hits, n, alpha=(1 - level) / 2)
    return Estimate(hits / n, float(low), float(high), n, level, "Clopper-Pearson")


def exact_bounds(hits: ArrayLike, n: ArrayLike, *, alpha: float) -> tuple[Floats, Floats]:
    """Exact lower and upper bounds of many shares, each side with error at most alpha.

    Args:
        hits: [k] successes.
        n: [k] trials; where 0 the bounds are 0 and 1.
        alpha: one-sided error of each bound.

    Returns:
        [k] lower and [k] upper bounds.

    Source: Clopper & Pearson 1934, by quantiles of the beta distribution.
    """
    h, t = np.asarray(hits, dtype=np.float64), np.asarray(n, dtype=np.float64)
    # The quantile is not defined at the edges; the bound there is 0 or 1 by itself.
    low = np.where(h > 0, betaincinv(np.maximum(h, 0.5), t - h + 1, alpha), 0.0)
    high = np.where(h < t, betainccinv(h + 1, np.maximum(t - h, 0.5), alpha), 1.0)
    return low, high


def rows_to_exclude(hits: int, share: float, *, alpha: float) -> int:
    """The fewest records among which so many hits put the exact upper bound at or below a share.

    Args:
        hits: that are found.
        share: to be excluded, above 0 and at most 1.
        alpha: one-sided error of the bound.

    Source: as `exact_bounds`; with no hit it is log(alpha) / log(1 - share), near the 3 / share of Hanley &
        Lippman-Hand 1983.

    >>> rows_to_exclude(0, 0.01, alpha=0.05), rows_to_exclude(3, 0.01, alpha=0.05)
    (299, 773)
    """
    # A Poisson upper bound lies below hits + 4 sqrt(hits + 1) + log(1 / alpha), and a binomial one below that.
    most = math.ceil((hits + 4 * math.sqrt(hits + 1) + 2 * math.log(1 / alpha)) / share) + 1
    rows = range(max(hits, 1), most + 1)

    def excluded(n: int) -> bool:
        return bool(exact_bounds(hits, n, alpha=alpha)[1] <= share)

    return rows[bisect.bisect_left(rows, x=True, key=excluded)]


def ratio_bounds(j: ArrayLike, m: int, k: ArrayLike, n: int, *, alpha: float) -> tuple[Floats, Floats]:
    """Bounds of the ratio of two shares (j/m) / (k/n), each side with error at most alpha.

    Given j + k, the count j is binomial with chance r m / (r m + n) when the counts are Poisson with
    shares of ratio r; for counts out of m and n rows the bounds are a little wider than they need be.

    Args:
        j: [s] counts among the m rows.
        m: rows in the numerator's sample.
        k: [s] counts among the n rows.
        n: rows in the denominator's sample.
        alpha: one-sided error of each bound.

    Returns:
        [s] lower and [s] upper bounds; 0 and infinity where the data say nothing.

    Source: conditional binomial, Przyborowski & Wilenski 1940; Lehmann & Romano, Testing Statistical
        Hypotheses, ch. 4.5.

    >>> low, high = ratio_bounds([0], 1000, [20], 1000, alpha=0.025)
    >>> float(low[0]), round(float(high[0]), 3)
    (0.0, 0.203)
    """
    hits = np.asarray(j, dtype=np.float64)
    low, high = exact_bounds(hits, hits + np.asarray(k, dtype=np.float64), alpha=alpha)
    with np.errstate(divide="ignore"):
        return low / (1 - low) * (n / m), high / (1 - high) * (n / m)


def ratio_below_p(j: ArrayLike, m: int, k: ArrayLike, n: int, *, ratio: float) -> Floats:
    """[s] exact p-values against "the ratio of shares is at least `ratio`": small means it is below.

    Source: as `ratio_bounds`.
    """
    hits, others = np.asarray(j, dtype=np.float64), np.asarray(k, dtype=np.float64)
    chance = ratio * m / (ratio * m + n)
    return np.where(others > 0, betainc(np.maximum(others, 0.5), hits + 1, 1 - chance), 1.0)


def ratio_above_p(j: ArrayLike, m: int, k: ArrayLike, n: int, *, ratio: float) -> Floats:
    """[s] exact p-values against "the ratio of shares is at most `ratio`": small means it is above."""
    return ratio_below_p(k, n, j, m, ratio=1 / ratio)


def difference_bounds(j: int, m: int, k: int, n: int, *, alpha: float) -> tuple[float, float]:
    """Bounds of the difference of two independent shares j/m - k/n, each side with error about alpha.

    Source: Newcombe 1998, Statistics in Medicine 17:873, method 10 (square and add Wilson's limits).

    >>> [round(x, 4) for x in difference_bounds(56, 70, 48, 80, alpha=0.025)]
    [0.0524, 0.3339]
    """
    (p, p_low, p_high), (q, q_low, q_high) = _wilson(j, m, alpha), _wilson(k, n, alpha)
    down = np.hypot(p - p_low, q_high - q)
    up = np.hypot(p_high - p, q - q_low)
    return float(p - q - down), float(p - q + up)


def _wilson(hits: int, n: int, alpha: float) -> tuple[float, float, float]:
    z2 = normal_quantile(alpha) ** 2
    share = hits / n
    middle, half = share + z2 / (2 * n), np.sqrt(z2 * (share * (1 - share) + z2 / (4 * n)) / n)
    return share, max(0.0, float(middle - half) / (1 + z2 / n)), min(1.0, float(middle + half) / (1 + z2 / n))


def clustered_share(values: Floats, clusters: AnyArray, *, level: float = 0.95) -> Estimate | Unmeasured:
    """A mean over records that come in clusters, with an interval that knows it.

    Args:
        values: [n] in 0..1, such as hit or miss.
        clusters: [n] any label; records of one cluster may depend on each other in any way.
        level: nominal coverage.

    Returns:
        The mean with the cluster-robust t interval, cut to 0..1.

    Source: Liang & Zeger 1986, with clusters - 1 degrees of freedom.
    """
    labels: Ints = np.unique(clusters, return_inverse=True)[1]
    count = int(labels.max()) + 1 if labels.size else 0
    if count < 2:
        return Unmeasured(f"{values.size} records in {count} clusters", mend="give records of at least 2 clusters")
    mean = float(values.mean())
    sums = np.bincount(labels, weights=values - mean)
    error = float(np.sqrt(np.square(sums).sum() * count / (count - 1))) / values.size
    half = float(stdtrit(count - 1, (1 + level) / 2)) * error
    return Estimate(
        mean, max(0.0, mean - half), min(1.0, mean + half), values.size, level, f"cluster-robust over {count} clusters"
    )
