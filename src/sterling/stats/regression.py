"""Regressions as an analyst reads them: coefficients with their covariance, or a plain reason why there are none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np
from scipy.linalg import cho_factor, cho_solve, qr
from scipy.special import expit

from sterling.kernel.estimate import Unmeasured

if TYPE_CHECKING:
    from sterling.kernel.view import Floats, Ints

# A column whose part that the others do not explain is smaller than this share of it is a combination of them.
COLLINEAR = 1e-7
STEPS = 40
# A log-likelihood that moves less than this share of itself has arrived.
CONVERGED = 1e-10
# One standard deviation of a column that changes the odds e^12-fold: the optimum lies at infinity.
ENDLESS = 12.0


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """What a regression estimated.

    Args:
        values: [k] coefficients of the columns, the intercept left out; log odds, log rates or log hazards where the
            model has them.
        covariance: [k, k] of the values.
        freedom: degrees of freedom of Student's law for the intervals; infinite for the normal law.
    """

    values: Floats
    covariance: Floats
    freedom: float = np.inf


@dataclass(frozen=True, slots=True, eq=False)
class Peak:
    """A log-likelihood at a point, up to a constant, with its slope and its information (minus the curvature)."""

    value: float
    slope: Floats
    information: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Scaled:
    """Columns with mean 0 and standard deviation 1, so that no unit spoils the arithmetic.

    Args:
        x: [n, k].
        scale: [k] what they were divided by.
    """

    x: Floats
    scale: Floats


def scaled(x: Floats, names: Sequence[str]) -> Scaled | Unmeasured:
    """Centre and scale; refuse columns that are constant or follow from the others.

    Args:
        x: [n, k] finite.
        names: [k] of the columns, for the reason.
    """
    if x.shape[0] <= x.shape[1] + 1:
        return Unmeasured(
            f"{x.shape[0]:,} complete rows are too few for {x.shape[1] + 1} coefficients",
            "name fewer terms, or give more rows",
        )
    scale = x.std(axis=0)
    flat = [name for name, s, top in zip(names, scale, np.abs(x).max(axis=0), strict=True) if s <= COLLINEAR * top]
    if flat:
        return Unmeasured(f"{_listed(flat)} has the same value in every row", "leave it out of the terms")
    made = (x - x.mean(axis=0)) / scale
    if made.shape[1]:
        triangle, order = cast("tuple[Floats, Ints]", qr(made, mode="r", pivoting=True))
        size = np.abs(np.diag(triangle))
        extra = [names[int(order[i])] for i in np.flatnonzero(size < COLLINEAR * size.max())]
        if extra:
            return Unmeasured(
                f"{_listed(extra)} follows from the other terms: its coefficient could be anything",
                "leave one of the terms that say the same out",
            )
    return Scaled(made, scale)


def ols(x: Floats, y: Floats, names: Sequence[str]) -> Fit | Unmeasured:
    """Ordinary least squares with an intercept.

    Args:
        x: [n, k] columns, finite.
        y: [n] outcome, finite.
        names: [k] of the columns.

    Returns:
        Coefficients in units of y per unit of x, with the covariance under equal variances.
    """
    ready = scaled(x, names)
    if isinstance(ready, Unmeasured):
        return ready
    if np.ptp(y) == 0:
        return Unmeasured("the outcome has the same value in every row", "name an outcome that varies")
    n, k = x.shape
    gram = cho_factor(ready.x.T @ ready.x)
    b = cho_solve(gram, ready.x.T @ (y - y.mean()))
    left = y - y.mean() - ready.x @ b
    if float(left @ left) <= 1e-20 * float(np.square(y - y.mean()).sum()):
        return Unmeasured("the terms determine the outcome exactly: there is no error to judge by", "leave one out")
    variance = float(left @ left) / (n - k - 1)
    return _unscaled(b, variance * cho_solve(gram, np.eye(k)), ready.scale, n - k - 1)


def logistic(x: Floats, y: Floats, names: Sequence[str]) -> Fit | Unmeasured:
    """Maximum likelihood for a yes-or-no outcome.

    Args:
        x: [n, k] columns, finite.
        y: [n] 0 or 1.
        names: [k] of the columns.

    Returns:
        Log odds ratios per unit of each column; Unmeasured where the outcome is separated, so that the
        likelihood has no optimum.

    Source: iteratively reweighted least squares, McCullagh & Nelder 1989, section 4.4; separation, Albert &
        Anderson 1984.
    """
    if np.ptp(y) == 0:
        return Unmeasured("the outcome is the same in every row", "name an outcome that varies")

    def family(eta: Floats) -> tuple[Floats, Floats, float]:
        p = expit(eta)
        # log(1 + e^eta) without overflow
        return p, p * (1 - p), 2 * float((np.logaddexp(0.0, eta) - y * eta).sum())

    share = float(y.mean())
    return _weighted(x, y, names, family, start=float(np.log(share / (1 - share))), what="odds ratio")


def poisson(x: Floats, y: Floats, names: Sequence[str], *, exposure: Floats | None = None) -> Fit | Unmeasured:
    """Maximum likelihood for counts, with log link.

    Args:
        x: [n, k] columns, finite.
        y: [n] counts, 0 or more.
        names: [k] of the columns.
        exposure: [n] time or people at risk, above 0; None for 1 each.

    Returns:
        Log rate ratios per unit of each column.

    Source: McCullagh & Nelder 1989, chapter 6.
    """
    if not y.sum() > 0:
        return Unmeasured("the outcome is 0 in every row", "name an outcome that is counted at least once")
    offset = np.zeros(y.size) if exposure is None else np.log(exposure)

    def family(eta: Floats) -> tuple[Floats, Floats, float]:
        mean = np.exp(np.minimum(eta + offset, 500.0))
        with np.errstate(divide="ignore", invalid="ignore"):
            own = np.where(y > 0, y * np.log(y / mean), 0.0)
        return mean, mean, 2 * float((own - (y - mean)).sum())

    return _weighted(x, y, names, family, start=float(np.log(y.sum() / np.exp(offset).sum())), what="rate ratio")


def climb(at: Callable[[Floats], Peak], start: Floats) -> tuple[Floats, Peak]:
    """Newton's method with halved steps, up to a maximum.

    Args:
        at: log-likelihood, slope and information at a point.
        start: [k] where to begin.

    Returns:
        The point, and what was found there. Where there is no maximum it stops far out.
    """
    b, here = start, at(start)
    for _ in range(STEPS):
        step = cho_solve(cho_factor(here.information + 1e-12 * np.eye(b.size)), here.slope)
        size, there = 1.0, at(b + step)
        while size > 1e-9 and not there.value >= here.value - 1e-12 * abs(here.value):
            size /= 2
            there = at(b + size * step)
        moved, b, here = there.value - here.value, b + size * step, there
        if abs(moved) <= CONVERGED * (abs(here.value) + 1e-3):
            break
    return b, here


def _weighted(
    x: Floats,
    y: Floats,
    names: Sequence[str],
    family: Callable[[Floats], tuple[Floats, Floats, float]],
    *,
    start: float,
    what: str,
) -> Fit | Unmeasured:
    """`family` gives mean, variance and deviance at a linear predictor."""
    ready = scaled(x, names)
    if isinstance(ready, Unmeasured):
        return ready
    z = np.column_stack([np.ones(y.size), ready.x])

    def at(b: Floats) -> Peak:
        mean, weight, deviance = family(z @ b)
        return Peak(-deviance / 2, z.T @ (y - mean), z.T @ (z * np.maximum(weight, 1e-12)[:, None]))

    b, peak = climb(at, np.concatenate([[start], np.zeros(z.shape[1] - 1)]))
    covariance = cho_solve(cho_factor(peak.information), np.eye(b.size))
    wide = np.maximum(np.abs(b), np.sqrt(np.diag(covariance)))[1:]
    endless = [name for name, size in zip(names, wide, strict=True) if size > ENDLESS]
    if endless or peak.value > -1e-6 * y.size:
        return Unmeasured(
            f"{_listed(endless or names)} separates the outcome (almost) fully: no finite {what} exists",
            "leave it out, or merge levels so that each has both outcomes",
        )
    return _unscaled(b[1:], covariance[1:, 1:], ready.scale, np.inf)


def _unscaled(b: Floats, covariance: Floats, scale: Floats, freedom: float) -> Fit:
    return Fit(b / scale, covariance / np.outer(scale, scale), freedom)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
