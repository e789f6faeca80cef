"""How far synthetic labels stray from what real rows say of them: overall, and slice by slice.

Everything here compares residuals of the two sets under the same predictions, within strata of those
predictions, so that a mere shift of the features is no finding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from sterling.stats.bounds import normal_quantile
from sterling.stats.proportions import exact_bounds
from sterling.stats.slices import Cut, quantile_edges

if TYPE_CHECKING:
    from sterling.kernel.view import AnyArray, Bools, Floats

STRATA = 10
LEAST_ROWS = 30


@dataclass(frozen=True, slots=True, eq=False)
class Strata:
    """Both sets cut by the same scores.

    Args:
        real: [n] stratum of each real row.
        synthetic: [m] stratum of each synthetic row.
        k: how many strata.
    """

    real: AnyArray
    synthetic: AnyArray
    k: int

    def means(self, real: Floats, synthetic: Floats) -> tuple[Floats, Floats]:
        """[k] mean of each set in each stratum, 0 where it has no row."""
        sizes = self.sizes()
        sums = (np.bincount(c, weights=v, minlength=self.k) for c, v in self._pairs(real, synthetic))
        a, b = (s / np.maximum(n, 1) for s, n in zip(sums, sizes, strict=True))
        return a, b

    def sizes(self) -> tuple[AnyArray, AnyArray]:
        """[k] rows of each set in each stratum."""
        return np.bincount(self.real, minlength=self.k), np.bincount(self.synthetic, minlength=self.k)

    def pooled_variance(self, real: Floats, synthetic: Floats) -> Floats:
        """[k] variance within each stratum, both sets around their own means."""
        means, sizes = self.means(real, synthetic), self.sizes()
        squares = [
            np.bincount(c, weights=np.square(v - mean[c]), minlength=self.k)
            for (c, v), mean in zip(self._pairs(real, synthetic), means, strict=True)
        ]
        return (squares[0] + squares[1]) / np.maximum(sizes[0] + sizes[1] - 2, 1)

    def _pairs(self, real: Floats, synthetic: Floats) -> tuple[tuple[AnyArray, Floats], tuple[AnyArray, Floats]]:
        return (self.real, real), (self.synthetic, synthetic)


def strata_of(real: Floats, synthetic: Floats, *, bins: int = STRATA) -> Strata:
    """Cut both sets at the quantiles of the real scores."""
    edges = quantile_edges(real, bins)
    a, b = (np.searchsorted(edges, scores, side="left") for scores in (real, synthetic))
    return Strata(a, b, edges.size + 1)


def stratified_excess(real: Floats, synthetic: Floats, strata: Strata) -> tuple[float, float]:
    """By how much the synthetic mean exceeds the real one, at the synthetic rows' mix of strata.

    Args:
        real: [n] such as losses.
        synthetic: [m].
        strata: of both.

    Returns:
        The excess and its standard error, with variances pooled over the two sets.

    Source: post-stratification, Cochran 1977, ch. 5A.
    """
    (a, b), (n, m) = strata.means(real, synthetic), strata.sizes()
    both = (n > 0) & (m > 0)
    share = np.where(both, m, 0) / max(1, int(m[both].sum()))
    variance = strata.pooled_variance(real, synthetic)
    spread = np.square(share) * variance * (1 / np.maximum(n, 1) + 1 / np.maximum(m, 1))
    return float((share * (b - a)).sum()), float(np.sqrt(spread.sum()))


def rate_shift(
    hits: tuple[int, int], sizes: tuple[int, int], expected: tuple[float, float], *, alpha: float
) -> tuple[float, float, float]:
    """By how much a rate exceeds what is expected of it, in the synthetic rows more than in the real ones.

    Args:
        hits: real and synthetic rows with the label.
        sizes: real and synthetic rows, at least 1 each.
        expected: mean prediction over the same rows.
        alpha: one-sided error of each bound.

    Returns:
        The shift, -1 to 1, its lower and its upper bound. Rates near 0 and 1 are skewed and the far tail
        matters, so the limits of each share are exact.

    Source: Newcombe 1998, method 10, with Clopper-Pearson's limits in place of Wilson's.

    >>> [round(x, 3) for x in rate_shift((10, 60), (1000, 1000), (0.01, 0.01), alpha=0.025)]
    [0.05, 0.034, 0.067]
    """
    a, b = (h / n for h, n in zip(hits, sizes, strict=True))
    low, high = exact_bounds(hits, sizes, alpha=alpha)
    value = (b - expected[1]) - (a - expected[0])
    return value, value - float(np.hypot(b - low[1], high[0] - a)), value + float(np.hypot(high[1] - b, a - low[0]))


def mean_shift(
    real: tuple[float, float, int], synthetic: tuple[float, float, int], *, alpha: float
) -> tuple[float, float, float]:
    """Difference of two means with bounds by the normal law; each given as mean, variance and rows."""
    value = synthetic[0] - real[0]
    reach = normal_quantile(alpha) * float(np.sqrt(real[1] / real[2] + synthetic[1] / synthetic[2]))
    return value, value - reach, value + reach


@dataclass(frozen=True, slots=True, eq=False)
class Channel:
    """One thing that labels can do in a slice.

    Args:
        name: such as the class whose rate may shift.
        real: [n] residuals of the real rows: the label minus what is expected of it.
        synthetic: [m] residuals of the synthetic rows.
        hits: [n] and [m] zeros and ones behind the residuals where they are of a class, else None.
    """

    name: str
    real: Floats
    synthetic: Floats
    hits: tuple[Floats, Floats] | None = None


@dataclass(frozen=True, slots=True)
class Shift:
    """What one slice's labels do beyond what labels do everywhere.

    Args:
        cut: position of the cut.
        code: slice within it.
        half: 0 all rows of the slice, 1 and 2 those below and above a prediction.
        channel: position of the channel.
        value: synthetic minus real mean residual, signed.
        low: [low, high] holds `value`, corrected for all slices.
        high: see `low`.
        rows: real and synthetic rows.
    """

    cut: int
    code: int
    half: int
    channel: int
    value: float
    low: float
    high: float
    rows: tuple[int, int]

    @property
    def at_least(self) -> float:
        """How far the shift is from 0 for certain."""
        return max(self.low, -self.high, 0.0)


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """Rows of both sets as slices.

    Args:
        cuts: one per column.
        real: per cut, [n] codes.
        synthetic: per cut, [m] codes.
        halves: [n] and [m] True where the prediction is in the upper half.
        kept: [n] and [m] False where a row is left out.
    """

    cuts: Sequence[Cut]
    real: Sequence[AnyArray]
    synthetic: Sequence[AnyArray]
    halves: tuple[Bools, Bools]
    kept: tuple[Bools, Bools]

    def rows(self, shift: Shift) -> tuple[Bools, Bools]:
        """[n] and [m] which rows a slice holds, both halves."""
        return self.real[shift.cut] == shift.code, self.synthetic[shift.cut] == shift.code

    def without(self, shift: Shift) -> Grid:
        """The same without the rows of a slice."""
        gone = self.rows(shift)
        return replace(self, kept=(self.kept[0] & ~gone[0], self.kept[1] & ~gone[1]))


def shifts(grid: Grid, channels: Sequence[Channel], *, alpha: float, tests: int | None = None) -> list[Shift]:
    """The shift of every channel in every slice that has rows enough, and in each half of it.

    Args:
        grid: the slices.
        channels: what may shift.
        alpha: error over all of them together.
        tests: how many looks to correct for; None counts them.
    """
    found: list[tuple[int, int, int, int, _Moments]] = []
    for cut in range(len(grid.cuts)):
        for half in range(3):
            chosen = tuple(
                k & (h if half == 2 else ~h if half == 1 else True) for k, h in zip(grid.kept, grid.halves, strict=True)
            )
            for place, channel in enumerate(channels):
                found += [(cut, code, half, place, m) for code, m in _moments(grid, cut, chosen, channel)]
    error = alpha / max(1, tests or len(found)) / 2
    return [_shift(*entry, alpha=error) for entry in found]


@dataclass(frozen=True, slots=True)
class _Moments:
    sizes: tuple[int, int]
    means: tuple[float, float]
    variances: tuple[float, float]
    hits: tuple[int, int] | None


def _moments(grid: Grid, cut: int, chosen: tuple[Bools, ...], channel: Channel) -> list[tuple[int, _Moments]]:
    k = len(grid.cuts[cut].labels)
    codes = [c[cut][rows] for c, rows in zip((grid.real, grid.synthetic), chosen, strict=True)]
    values = [v[rows] for v, rows in zip((channel.real, channel.synthetic), chosen, strict=True)]
    hits = [h[rows] for h, rows in zip(channel.hits, chosen, strict=True)] if channel.hits else None

    def sums(weights: Sequence[Floats]) -> list[Floats]:
        return [np.bincount(c, weights=w, minlength=k).astype(np.float64) for c, w in zip(codes, weights, strict=True)]

    n, total, square = sums([np.ones(c.size) for c in codes]), sums(values), sums([v * v for v in values])
    events = sums(hits) if hits else None
    out: list[tuple[int, _Moments]] = []
    for code in np.flatnonzero((n[0] >= LEAST_ROWS) & (n[1] >= LEAST_ROWS)):
        size = [float(x[code]) for x in n]
        mean = [float(x[code]) / s for x, s in zip(total, size, strict=True)]
        spread = [max(0.0, float(x[code]) / s - u * u) for x, s, u in zip(square, size, mean, strict=True)]
        count = (round(events[0][code]), round(events[1][code])) if events else None
        out.append(
            (
                int(code),
                _Moments((int(size[0]), int(size[1])), (mean[0], mean[1]), (spread[0], spread[1]), count),
            )
        )
    return out


def _shift(cut: int, code: int, half: int, channel: int, m: _Moments, *, alpha: float) -> Shift:
    if m.hits is None:
        sides = [(u, v, n) for u, v, n in zip(m.means, m.variances, m.sizes, strict=True)]
        return Shift(cut, code, half, channel, *mean_shift(sides[0], sides[1], alpha=alpha), m.sizes)
    # The residual is the label less what is expected, so the expectation is what the residual leaves.
    rates = [h / n for h, n in zip(m.hits, m.sizes, strict=True)]
    expected = (rates[0] - m.means[0], rates[1] - m.means[1])
    return Shift(cut, code, half, channel, *rate_shift(m.hits, m.sizes, expected, alpha=alpha), m.sizes)
