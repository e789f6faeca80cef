"""What more rows of the same kind would bring: the next thousand, and the most that any number could."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sterling.blend.equivalent import Placed
from sterling.kernel.estimate import Estimate, Measured, Unmeasured

if TYPE_CHECKING:
    from sterling.kernel.view import Floats

# Rows of which the marginal value is asked.
MORE = 1000
METHOD = "worth of the whole set and of its halves, 1/N(m) = A/m + 1/cap; draws of both on one curve, percentile"


@dataclass(frozen=True, slots=True)
class Marginal:
    """The worth of the next `MORE` rows of the same kind, and the cap, both in real rows."""

    next_rows: Measured
    cap: Measured


def marginal_of(whole: Placed, half: Placed, *, rows: int, half_rows: int, n: int, level: float) -> Marginal:
    """What the next rows would add, and where more of them stop helping.

    With errors A/m + bias^2 (SCIENCE.md 0.2), 1/N(m) = A/m + 1/cap, so that two points give both. Halves that do
    as well as the whole set put the cap at its worth; a worth that grows in proportion to the rows leaves it open.

    Args:
        whole: place of the candidate.
        half: place of its random halves, on the same drawn curves.
        rows: of the candidate.
        half_rows: of a half.
        n: real rows held; nothing is read beyond them.
        level: nominal coverage.

    Returns:
        Larger is better for both. Intervals are open above where the draws leave the curve.
    """
    if np.isinf(whole.value):
        why = Unmeasured(
            f"the set does better than all {n:,} real rows, so the curve cannot say what more of it would add",
            mend="measure against more real rows",
        )
        return Marginal(why, why)
    points = np.array([whole.value]), np.array([half.value])
    next_low, next_high, cap_low, cap_high = _ends(whole.draws, half.draws, rows, half_rows, n)
    gained, cap = (float(x[0]) for x in _law(*points, rows, half_rows))
    low, high = _quantiles(next_low, next_high, level)
    found = Estimate(gained, min(low, gained), max(high, gained), n, level, METHOD)
    low, high = _quantiles(cap_low, cap_high, level)
    # A cap beyond the rows held would be an extrapolation: it is "at least".
    value = min(cap, float(n))
    high = np.inf if max(cap, high) > n else max(high, value)
    return Marginal(found, Estimate(value, min(low, value), float(high), n, level, METHOD))


def _quantiles(lower: Floats, upper: Floats, level: float) -> tuple[float, float]:
    ends = ((lower, (1 - level) / 2), (upper, (1 + level) / 2))
    low, high = (float(np.quantile(x, q, method="inverted_cdf")) for x, q in ends)
    return low, high


def _law(whole: Floats, half: Floats, rows: int, half_rows: int) -> tuple[Floats, Floats]:
    """Worth of the next rows and the cap, from finite worths; a cap that is not identified is infinite."""
    with np.errstate(divide="ignore", invalid="ignore"):
        inverse = 1.0 / whole
        rate = np.maximum((1.0 / half - inverse) / (1.0 / half_rows - 1.0 / rows), 0.0)
        floor = inverse - rate / rows
        # Halves worth less than half: growth in proportion is the most that is believed.
        straight = floor <= 0
        rate, floor = np.where(straight, rows * inverse, rate), np.where(straight, 0.0, floor)
        gained = 1.0 / (rate / (rows + MORE) + floor) - whole
        cap = np.where(floor > 0, 1.0 / np.where(floor > 0, floor, 1.0), np.inf)
    nothing = whole <= 0
    return np.where(nothing, 0.0, gained), np.where(nothing, 0.0, cap)


def _ends(whole: Floats, half: Floats, rows: int, half_rows: int, n: int) -> tuple[Floats, Floats, Floats, Floats]:
    """Lower and upper reading of each draw: what lies above the curve is n at least, and anything at most."""
    low, cap_low = _law(np.minimum(whole, n), np.minimum(half, n), rows, half_rows)
    above = np.isinf(whole)
    return low, np.where(above, np.inf, low), cap_low, np.where(above, np.inf, cap_low)
