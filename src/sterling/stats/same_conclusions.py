"""Whether an analysis says the same on two sets of rows: overlap of intervals, shift, sign, significance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import stdtrit

from sterling.stats.bounds import normal_quantile
from sterling.stats.regression import Fit

if TYPE_CHECKING:
    from sterling.kernel.view import Bools, Floats


@dataclass(frozen=True, slots=True, eq=False)
class Agreement:
    """An analysis on two sets, estimate by estimate.

    Args:
        overlap: [k] of the intervals, 1 the same, 0 where they do not touch; larger is better.
        shift: [k] second less first, in standard errors of the first.
        beyond: [k] how far the shift is certainly beyond chance, in standard errors of the first; 0 or more.
        spread: standard error of the mean overlap over other draws of the second set.
        first: [2, k] low and high ends.
        second: [2, k] likewise, as if it had as many rows as the first.
    """

    overlap: Floats
    shift: Floats
    beyond: Floats
    spread: float
    first: Floats
    second: Floats

    @property
    def mean(self) -> float:
        """Mean overlap."""
        return float(self.overlap.mean())

    def significant(self, which: Floats) -> Floats:
        """[k] 1 where the interval lies above 0, -1 below, 0 where it holds it."""
        return np.sign(np.where(which[0] > 0, 1.0, np.where(which[1] < 0, -1.0, 0.0)))


def agreement(
    first: Fit, second: Fit, *, rows: tuple[int, int], level: float = 0.95, alpha: float = 0.02, least: float = 0.5,
    noise: Floats | float = 1.0,
) -> Agreement:  # fmt: skip
    """Hold the estimates of one set against those of another.

    Args:
        first: of the real rows.
        second: of the synthetic rows: the same columns.
        rows: how many rows each rests on; the second's interval is scaled to the first's, so that a larger
            synthetic set is not punished for its narrower interval.
        level: of the intervals.
        alpha: chance that any of k estimates that agree is called beyond.
        least: the overlap that is asked for.
        noise: [k] how many times larger the sampling errors are than the model says, as real samples show.

    Returns:
        The agreement. `beyond` is 0 unless the two estimates differ, after Bonferroni over k, by more than their
        sampling errors together and the distance at which equally wide intervals overlap by `least`.

    Source: interval overlap, Karr et al. 2006, The American Statistician 60:224; standardised difference, Raab,
        Nowok & Dibben 2017, arXiv:1712.04078.
    """
    u, v = (np.sqrt(np.maximum(np.diag(f.covariance), 0.0)) for f in (first, second))
    as_many = v * np.sqrt(rows[1] / rows[0])
    a, b = ends(first, u, level=level), ends(second, as_many, level=level)
    wide = np.stack([a[1] - a[0], b[1] - b[0]])
    common = np.minimum(a[1], b[1]) - np.maximum(a[0], b[0])
    overlap = np.clip((common / np.maximum(wide, 1e-300)).mean(axis=0), 0.0, 1.0)
    gap = second.values - first.values
    sure = np.abs(gap) - normal_quantile(alpha / 2 / max(1, gap.size)) * np.hypot(u, v) * noise
    tolerated = (1 - least) * wide[0]
    each = (1 / np.maximum(wide, 1e-300)).mean(axis=0)
    # Intervals that do not touch, and could by chance, still vary.
    near = (common / np.maximum(wide, 1e-300)).mean(axis=0) > -normal_quantile((1 - level) / 2) * each * v
    slope = -np.sign(gap) * each * near / max(1, gap.size)
    return Agreement(
        overlap=overlap,
        shift=gap / np.maximum(u, 1e-300),
        beyond=np.maximum(0.0, sure - tolerated) / np.maximum(u, 1e-300),
        spread=float(np.sqrt(max(0.0, slope @ second.covariance @ slope))),
        first=a,
        second=b,
    )


def ends(fit: Fit, errors: Floats, *, level: float) -> Floats:
    """[2, k] ends of the intervals."""
    tail = (1 - level) / 2
    wide = -float(stdtrit(fit.freedom, tail)) if np.isfinite(fit.freedom) else normal_quantile(tail)
    return np.stack([fit.values - wide * errors, fit.values + wide * errors])


def combined(fits: Sequence[Fit]) -> Fit:
    """Several synthetic sets of one generator as one: the mean estimate, with the error of that mean.

    Args:
        fits: one or more, of sets drawn independently from the same fitted generator.

    Source: Raab, Nowok & Dibben 2016, Journal of Privacy and Confidentiality 7(3): the mean of the estimates.
    """
    m = len(fits)
    covariance = np.mean([f.covariance for f in fits], axis=0)
    return Fit(np.mean([f.values for f in fits], axis=0), covariance / m, min(f.freedom for f in fits))


def population_errors(fits: Sequence[Fit], *, rows: tuple[int, int]) -> Floats:
    """[k] standard errors for the population, from synthetic rows alone: the root of T_s.

    Valid where the generator was fitted to the real rows and is right: the real sample's error, and that of m draws.

    Args:
        fits: of m synthetic sets.
        rows: of the real sample, and of each synthetic set.

    Source: T_s = v (k / n + 1 / m), Raab, Nowok & Dibben 2016, equation for simple synthesis; k the rows of each
        synthetic set, n of the real sample.
    """
    own = np.mean([np.diag(f.covariance) for f in fits], axis=0)
    return np.sqrt(np.maximum(own, 0.0) * (rows[1] / rows[0] + 1 / len(fits)))


def kept(fit: Fit, some: Bools) -> Fit:
    """The fit of these estimates alone."""
    return Fit(fit.values[some], fit.covariance[np.ix_(some, some)], fit.freedom)
