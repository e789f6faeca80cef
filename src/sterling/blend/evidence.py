"""What cross-validation and the benchmark say together of one mix, and whether that is enough to adopt it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from sterling.kernel.estimate import Estimate

if TYPE_CHECKING:
    from sterling.blend.trials import Trial

# Scores of saturated models differ by nothing at all; a weight must stay finite.
LEAST_ERROR = 1e-5
LEVEL = 0.95
Outcome = Literal["MIX", "NO_EFFECT", "REAL_ONLY"]


@dataclass(frozen=True, slots=True)
class Evidence:
    """The gain on which a mix is judged.

    Args:
        gain: of the mix over real rows alone, with its interval.
        se: its standard error.
        by: "both" cross-validation and benchmark, or the "benchmark" alone.
    """

    gain: Estimate
    se: float
    by: Literal["both", "benchmark"]


def fined_factor(factor: float, *, looks: int) -> float:
    """How many standard errors the best of several looks must exceed so that any of them errs as one alone would.

    Args:
        factor: standard errors asked of one look, above 0.
        looks: how many.

    Returns:
        Standard errors, at least `factor`.

    Source: Bonferroni.

    >>> round(fined_factor(1.0, looks=1), 2), round(fined_factor(1.0, looks=6), 2)
    (1.0, 1.94)
    """
    from scipy.special import ndtr, ndtri

    return -float(ndtri(ndtr(-factor) / max(1, looks)))


def corrected_error(trial: Trial, folds: int) -> float:
    """Standard error of a cross-validated gain whose folds share training rows.

    Source: Nadeau & Bengio 2003, Machine Learning 52:239: 1/J + n_test/n_train in place of 1/J.
    """
    return trial.se * float(np.sqrt(1 + trial.gains.size / max(1, folds - 1)))


def together(
    trial: Trial, confirmed: Estimate, se: float, *, factor: float, looks: int, folds: int, trusted: bool
) -> Evidence:
    """Weigh the cross-validated gain and the gain on the benchmark by their precision.

    The cross-validated gain is that of the best of several looks: it first pays what Bonferroni asks of it. The
    benchmark had no part in the choice and pays nothing. A set whose generator may have seen the rows that judge it
    in the folds can fool cross-validation but not the benchmark, which then speaks alone.

    Args:
        trial: the best mix.
        confirmed: its gain on the benchmark.
        se: standard error of that.
        factor: standard errors that a gain must exceed.
        looks: candidates and variants among which the mix was chosen.
        folds: of one repeat.
        trusted: whether the folds judge honestly.
    """
    alone = max(se, LEAST_ERROR)
    if not trusted:
        return Evidence(_interval(confirmed.value, alone, confirmed.n, "benchmark alone"), alone, "benchmark")
    paid = trial.mean - (fined_factor(factor, looks=looks) - factor) * trial.se
    error = max(corrected_error(trial, folds), LEAST_ERROR)
    precision = np.array([error**-2, alone**-2])
    value = float(precision @ np.array([paid, confirmed.value]) / precision.sum())
    both = float(precision.sum() ** -0.5)
    method = f"cross-validation less a fine for {looks} looks, and benchmark, by precision"
    return Evidence(_interval(value, both, confirmed.n, method), both, "both")


def _interval(value: float, se: float, n: int, method: str) -> Estimate:
    half = 1.959964 * se
    return Estimate(value, value - half, value + half, n, LEVEL, method)


def hopeless(trial: Trial, *, no_effect: float) -> bool:
    """Whether even one standard error more would be no gain worth having: the benchmark then stays sealed."""
    return trial.mean + trial.se <= no_effect


def judged(evidence: Evidence, confirmed: Estimate, *, factor: float, no_effect: float, harm: float) -> Outcome:
    """Adopt a mix whose gain exceeds its standard error times the factor, and on the benchmark zero; no harm likely.

    Args:
        evidence: from `together`.
        confirmed: the gain on the benchmark.
        factor: standard errors.
        no_effect: a smaller change is none.
        harm: a loss that the lower end (one standard error times 1.28, or the factor where larger) must rule out.
    """
    gain = evidence.gain.value
    if abs(gain) <= no_effect:
        return "NO_EFFECT"
    safe = gain - max(factor, 1.2816) * evidence.se > -harm
    return "MIX" if gain > factor * evidence.se and confirmed.value > 0 and safe else "REAL_ONLY"
