"""The only two shapes a measured quantity may take: a number with its interval, or a reason."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Estimate:
    """A measured number and how sure we are of it.

    Args:
        value: the point estimate, finite.
        low: lower end of the interval; minus infinity when the data put no floor under it.
        high: upper end; plus infinity when the value is censored ("at least `low`").
        n: how many records the number rests on.
        level: nominal coverage of the interval, such as 0.95.
        method: how the interval was made, in the field's own words ("Clopper-Pearson", ...).

    Raises:
        ValueError: if the numbers contradict each other; a bug in the caller, never bad user input.
    """

    value: float
    low: float
    high: float
    n: int
    level: float
    method: str

    def __post_init__(self) -> None:
        if not math.isfinite(self.value):
            raise ValueError(f"an estimate needs a finite value, got {self.value}; return Unmeasured instead")
        if not self.low <= self.high or math.isnan(self.low) or math.isnan(self.high):
            raise ValueError(f"interval [{self.low}, {self.high}] is not an interval")
        if self.n < 0 or not 0.0 < self.level < 1.0:
            raise ValueError(f"n={self.n} or level={self.level} is out of range")

    @property
    def censored(self) -> bool:
        """True when the data show only "at least": the upper end is open."""
        return math.isinf(self.high)


@dataclass(frozen=True, slots=True)
class Unmeasured:
    """A quantity that could not be had, why, and what would make it measurable."""

    reason: str
    mend: str


Measured = Estimate | Unmeasured
