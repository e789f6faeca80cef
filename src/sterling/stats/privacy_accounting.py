"""What differential privacy costs: zero-concentrated budgets, and a ledger that adds up exactly.

The unit of account is rho of zero-concentrated differential privacy (zCDP): costs of successive looks simply add.
Neighbouring tables differ by one record that is added or taken away, so the number of records is itself private.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from sterling.kernel.errors import InputError

# Bisections of a float64 interval: after so many, its ends are neighbours.
HALVINGS = 200


def delta_of(rho: float, epsilon: float) -> float:
    """The smallest delta such that rho-zCDP implies (epsilon, delta)-differential privacy, as far as known.

    Args:
        rho: cost, >= 0; smaller is more private.
        epsilon: >= 0.

    Returns:
        delta, 0 to 1; smaller is better.

    Source: Canonne, Kamath & Steinke 2020, "The Discrete Gaussian for Differential Privacy", arXiv:2004.00010,
    Corollary 13.

    >>> delta_of(0.0, 1.0)
    0.0
    """
    if rho <= 0:
        return 0.0

    def slope(alpha: float) -> float:
        return (2 * alpha - 1) * rho - epsilon + math.log1p(-1.0 / alpha)

    low, high = 1.0 + 1e-12, 2.0
    while slope(high) < 0:
        high *= 2
    alpha = _root(slope, low, high)
    log_delta = (alpha - 1) * (alpha * rho - epsilon) + alpha * math.log1p(-1.0 / alpha) - math.log(alpha - 1)
    return min(1.0, math.exp(min(0.0, log_delta)))


def epsilon_of(rho: float, delta: float) -> float:
    """The smallest epsilon of (epsilon, delta)-differential privacy that rho-zCDP implies; rounded upwards.

    Args:
        rho: cost, >= 0.
        delta: 0 < delta < 1.
    """
    if rho <= 0:
        return 0.0
    # Bun & Steinke 2016, Proposition 1.3: enough, though not the least.
    high = rho + 2 * math.sqrt(rho * math.log(1 / delta))
    return _last(lambda epsilon: delta_of(rho, epsilon) <= delta, 0.0, high, holds_at="high")


def rho_of(epsilon: float, delta: float) -> float:
    """The largest rho whose zCDP implies (epsilon, delta)-differential privacy; rounded downwards.

    Args:
        epsilon: > 0.
        delta: 0 < delta < 1.

    >>> rho = rho_of(1.0, 1e-6)
    >>> delta_of(rho, 1.0) <= 1e-6 < delta_of(1.001 * rho, 1.0)
    True
    """
    return _last(lambda rho: delta_of(rho, epsilon) <= delta, 0.0, epsilon + 1.0, holds_at="low")


def gaussian_variance(rho: Fraction, *, sensitivity: int = 1) -> Fraction:
    """The variance of Gaussian noise on counts at this cost.

    Args:
        rho: what the look may cost, > 0.
        sensitivity: Euclidean length by which one record (or all records of one person) moves the counts.

    Source: Canonne, Kamath & Steinke 2020, Theorem 4: sensitivity**2 / (2 variance).

    >>> gaussian_variance(Fraction(1, 8))
    Fraction(4, 1)
    """
    return Fraction(sensitivity**2) / (2 * rho)


def choice_epsilon(rho: Fraction) -> float:
    """The parameter of an exponential mechanism that costs rho; rounded downwards.

    Source: Cesar & Rogers 2021, arXiv:2004.07223: an epsilon-bounded-range choice costs epsilon**2 / 8.
    """
    return math.sqrt(8 * float(rho)) * (1 - 2.0**-50)


@dataclass(frozen=True, slots=True)
class Entry:
    """One look at the data.

    Args:
        what: in plain words.
        rho: its cost.
        delta: chance, allowed once, that it shows more than rho pays for.
    """

    what: str
    rho: Fraction
    delta: float = 0.0


@dataclass(frozen=True, slots=True)
class Ledger:
    """A budget and what has been spent of it.

    Args:
        epsilon: the promise.
        delta: the promise's failure probability, `reserved` included.
        rho: all that may be spent, such that promise and spending agree.
        entries: the looks so far, in order.

    >>> ledger = open_ledger(1.0, 1e-6).spend("shares of single columns", Fraction(1, 100))
    >>> ledger.left + ledger.spent == ledger.rho
    True
    """

    epsilon: float
    delta: float
    rho: Fraction
    entries: tuple[Entry, ...] = ()

    @property
    def spent(self) -> Fraction:
        """Exactly what the entries add up to."""
        return sum((entry.rho for entry in self.entries), Fraction(0))

    @property
    def left(self) -> Fraction:
        """Exactly what may still be spent."""
        return self.rho - self.spent

    def spend(self, what: str, rho: Fraction, *, delta: float = 0.0) -> Ledger:
        """The ledger with one more look.

        Raises:
            ValueError: if that is more than is left: a defect of the caller, caught before the data is seen.
        """
        if rho < 0 or rho > self.left:
            raise ValueError(f"{what} costs {float(rho)} and {float(self.left)} is left")
        return replace(self, entries=(*self.entries, Entry(what, rho, delta)))

    def totals(self) -> tuple[Entry, ...]:
        """One entry per kind of look, in order of first appearance; they add up to `spent`."""
        kinds: dict[str, Entry] = {}
        for entry in self.entries:
            held = kinds.get(entry.what, Entry(entry.what, Fraction(0)))
            kinds[entry.what] = Entry(entry.what, held.rho + entry.rho, held.delta + entry.delta)
        return tuple(kinds.values())


def open_ledger(epsilon: float, delta: float, *, reserved: float = 0.0) -> Ledger:
    """An unspent budget.

    Args:
        epsilon: > 0, finite.
        delta: in (0, 1).
        reserved: the part of delta that looks may spend themselves (thresholds of unknown categories).

    Raises:
        InputError: for an epsilon or delta out of its range.
    """
    if not (math.isfinite(epsilon) and epsilon > 0):
        raise InputError(f"epsilon is {epsilon}", mend="give a number above 0; 1 is a common choice: --set epsilon=1")
    if not 0 < delta < 1:
        raise InputError(f"delta is {delta}", mend="give a number far below one in the records: --set delta=1e-6")
    return Ledger(epsilon, delta, Fraction(rho_of(epsilon, delta - reserved)))


def shared_out(total: Fraction, weights: Sequence[float]) -> tuple[Fraction, ...]:
    """The total divided in these proportions; the parts add up to it exactly.

    >>> sum(shared_out(Fraction(1, 3), [0.1, 0.7, 0.2])) == Fraction(1, 3)
    True
    """
    exact = [Fraction(w) for w in weights]
    whole = sum(exact)
    return tuple(total * w / whole for w in exact)


def _root(slope: Callable[[float], float], low: float, high: float) -> float:
    """Where an increasing function crosses zero."""
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if slope(middle) < 0 else (low, middle)
    return high


def _last(holds: Callable[[float], bool], low: float, high: float, *, holds_at: str) -> float:
    """The extreme value at which a monotone condition still holds, on the side where it does."""
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        if holds(middle) is (holds_at == "low"):
            low = middle
        else:
            high = middle
    return low if holds_at == "low" else high
