"""How a score grows with the number of training rows, and how many rows a score is worth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from sterling.kernel.view import AnyArray, Floats

Form = Literal["isotonic", "power"]
FORMS: tuple[Form, ...] = ("isotonic", "power")
# Rates of decay tried for a - b n^-c; learning curves in practice lie between .1 and 1.
DECAYS = np.geomspace(0.05, 2.0, 48)
GRID = 256


@dataclass(frozen=True, slots=True, eq=False)
class LearningCurve:
    """Monotone curves over the measured range, and never beyond it.

    Args:
        rows: [g] training rows, increasing, from the smallest to the largest measured number.
        scores: [draws, g] expected scores, each row non-decreasing.
        chance: the score of no rows at all; None if it is not known.
    """

    rows: Floats
    scores: Floats
    chance: float | None

    def score_at(self, n: float) -> Floats:
        """[draws] scores with n rows; n is brought into the measured range."""
        x, at = np.log(self.rows), np.log(np.clip(n, self.rows[0], self.rows[-1]))
        right = int(np.clip(np.searchsorted(x, at), 1, x.size - 1))
        share = (at - x[right - 1]) / (x[right] - x[right - 1])
        return (1 - share) * self.scores[:, right - 1] + share * self.scores[:, right]

    def rows_for(self, scores: Floats) -> Floats:
        """[draws] the fewest rows that reach these scores.

        Infinity above the largest measured number; below the smallest, by a straight line from no rows
        at chance (where chance is not known: half the smallest number).
        """
        reached = self.scores >= scores[:, None]
        right = reached.argmax(axis=1)
        each = np.arange(scores.size)
        left = np.maximum(right - 1, 0)
        high, low = self.scores[each, right], self.scores[each, left]
        share = np.where(high > low, (scores - low) / np.where(high > low, high - low, 1.0), 1.0)
        inside = np.exp((1 - share) * np.log(self.rows[left]) + share * np.log(self.rows[right]))
        inside = np.where(right == 0, self._below(scores), inside)
        return np.where(reached.any(axis=1), inside, np.inf)

    def _below(self, scores: Floats) -> Floats:
        first = self.scores[:, 0]
        if self.chance is None:
            return np.where(scores >= first, self.rows[0], self.rows[0] / 2)
        rise = first - self.chance
        share = np.where(rise > 0, (scores - self.chance) / np.where(rise > 0, rise, 1.0), 0.0)
        return self.rows[0] * np.clip(share, 0.0, 1.0)


def fit_curves(
    sizes: AnyArray, scores: Floats, *, precision: Floats, form: Form | Literal["mean"], chance: float | None = None
) -> LearningCurve:
    """Monotone learning curves through measured mean scores.

    Args:
        sizes: [k] training rows, strictly increasing, k >= 2.
        scores: [draws, k] mean scores, one curve per draw.
        precision: [k] > 0, inverse variances.
        form: "isotonic" (monotone regression, straight in log n), "power" (a - b n^-c, b >= 0), or
            "mean" of the two.
        chance: see `LearningCurve`.

    Source: Barlow et al. 1972 (isotonic regression); Hestness et al. 2017, arXiv:1712.00409 (power laws).

    >>> curve = fit_curves(np.array([10, 100]), np.array([[0.6, 0.8]]), precision=np.ones(2), form="isotonic")
    >>> round(float(curve.rows_for(np.array([0.7]))[0]), 1)
    31.6
    """
    rows = np.geomspace(sizes[0], sizes[-1], GRID)
    fits = {"isotonic": _isotonic, "power": _power}
    chosen = FORMS if form == "mean" else (form,)
    fitted = np.mean([fits[f](np.asarray(sizes, dtype=np.float64), scores, precision, rows) for f in chosen], axis=0)
    # Rounding may leave dips of 1e-17, at which an inverse would stumble.
    return LearningCurve(rows, np.maximum.accumulate(fitted, axis=1), chance)


def _isotonic(sizes: Floats, scores: Floats, precision: Floats, rows: Floats) -> Floats:
    """Monotone regression by the min-max formula, exact and fast for the few sizes of a curve."""
    k = sizes.size
    mass, moment = np.cumsum(np.r_[0.0, precision]), np.cumsum(precision * scores, axis=1)
    moment = np.concatenate([np.zeros((scores.shape[0], 1)), moment], axis=1)
    fitted = np.full(scores.shape, -np.inf)
    for a in range(k):
        means = (moment[:, a + 1 :] - moment[:, [a]]) / (mass[a + 1 :] - mass[a])  # of a..b for each b >= a
        least = np.minimum.accumulate(means[:, ::-1], axis=1)[:, ::-1]
        fitted[:, a:] = np.maximum(fitted[:, a:], least)
    x, at = np.log(sizes), np.log(rows)
    right = np.clip(np.searchsorted(x, at), 1, k - 1)
    share = np.clip((at - x[right - 1]) / (x[right] - x[right - 1]), 0.0, 1.0)
    return (1 - share) * fitted[:, right - 1] + share * fitted[:, right]


def _power(sizes: Floats, scores: Floats, precision: Floats, rows: Floats) -> Floats:
    """Weighted least squares of a - b n^-c, c on a grid."""
    # Two sizes leave c free: take the square-root law of parametric learning.
    decays = DECAYS if sizes.size > 2 else np.array([0.5])
    weight = precision / precision.sum()
    best = np.full(scores.shape[0], np.inf)
    fitted = np.empty((scores.shape[0], rows.size))
    level = scores @ weight
    for c in decays:
        x = (sizes / sizes[0]) ** -c
        centred = x - weight @ x
        slope = np.minimum((scores @ (weight * centred)) / (weight @ centred**2), 0.0)
        residual = scores - level[:, None] - slope[:, None] * centred
        loss = np.square(residual) @ weight
        better = loss < best
        curve = (rows / sizes[0]) ** -c - weight @ x
        fitted[better] = level[better, None] + slope[better, None] * curve
        best = np.minimum(best, loss)
    return fitted
