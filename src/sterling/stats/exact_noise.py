"""Noise for privacy that is exactly what its proof assumes: whole numbers drawn by whole-number arithmetic.

Floating-point noise betrays the value beneath it by its last bits (Mironov 2012); nothing here draws a float.
Every function takes `words`, a source of uniform 64-bit words: the operating system's entropy for real use,
a seeded stream for tests.

Source: Canonne, Kamath & Steinke 2020, "The Discrete Gaussian for Differential Privacy", arXiv:2004.00010,
Algorithms 1 to 3; rational rejection for the exponential mechanism.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from fractions import Fraction
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from sterling.kernel.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sterling.kernel.view import Bools, Floats, Ints

Words: TypeAlias = Callable[[int], "NDArray[np.uint64]"]

# Products of a fraction's parts stay below this, so that int64 and the rejection of words are exact.
ROOM = 2**62
# Squares of numbers below this fit in int64.
SQUARABLE = 2**31
# Scores of a choice are rounded to this grid (in units of the exponent); see `exponential_choice`.
GRID = 2**40


def secret_words(n: int) -> NDArray[np.uint64]:
    """N words of the operating system's entropy: nobody can draw them again."""
    return np.frombuffer(os.urandom(8 * n), dtype=np.uint64)


def seeded_words(rng: np.random.Generator) -> Words:
    """Words of a stream that whoever knows its seed can draw again, and then take the noise away: for tests."""
    return lambda n: rng.integers(0, 2**64 - 1, n, dtype=np.uint64, endpoint=True)


def uniform_below(top: int, n: int, *, words: Words) -> Ints:
    """[n] int64, uniform on 0 ... top - 1, exactly; 1 <= top <= 2**62."""
    if top == 1:
        return np.zeros(n, dtype=np.int64)
    limit = np.uint64((2**64 // top) * top - 1)
    drawn = words(n)
    poor = np.flatnonzero(drawn > limit)
    if poor.size:
        drawn = drawn.copy()
    while poor.size:
        drawn[poor] = words(poor.size)
        poor = poor[drawn[poor] > limit]
    return (drawn % np.uint64(top)).astype(np.int64)


def bernoulli_exp(numerators: Ints, denominator: int, *, words: Words) -> Bools:
    """[n] True with probability exp(-numerator / denominator), exactly.

    Args:
        numerators: [n] int64, >= 0.
        denominator: 1 to 2**62.
        words: the source of randomness.
    """
    whole, rest = np.divmod(numerators, denominator)
    return _exp_parts(whole, rest, denominator, words=words)


def _exp_parts(whole: Ints, rest: Ints, denominator: int, *, words: Words) -> Bools:
    """exp(-whole) * exp(-rest / denominator): the second factor first, then one factor 1 / e at a time."""
    true = _exp_fraction(rest, denominator, words=words)
    alive = np.flatnonzero(true & (whole > 0))
    done = 0
    while alive.size:
        kept = _exp_fraction(np.ones(alive.size, dtype=np.int64), 1, words=words)
        true[alive[~kept]] = False
        done += 1
        alive = alive[kept & (whole[alive] > done)]
    return true


def _exp_fraction(numerators: Ints, denominator: int, *, words: Words) -> Bools:
    """exp(-g) for g in [0, 1]: whether the first failure of Bernoulli(g / k), k = 1, 2 ..., is at an odd k."""
    odd = np.zeros(numerators.size, dtype=bool)
    alive = np.arange(numerators.size)
    k = 1
    while alive.size:
        hit = uniform_below(denominator, alive.size, words=words) < numerators[alive]
        if k > 1:
            hit &= uniform_below(k, alive.size, words=words) == 0
        odd[alive[~hit]] = k % 2 == 1
        alive = alive[hit]
        k += 1
    return odd


def discrete_laplace(scale: int, n: int, *, words: Words) -> Ints:
    """[n] int64 with probability proportional to exp(-abs(y) / scale), exactly; scale >= 1."""
    done: list[Ints] = []
    have = 0
    while have < n:
        size = int(1.8 * (n - have)) + 16
        below = uniform_below(scale, size, words=words)
        below = below[bernoulli_exp(below, scale, words=words)]
        magnitude = below + scale * _geometric(below.size, words=words)
        negative = uniform_below(2, magnitude.size, words=words) == 1
        kept = ~(negative & (magnitude == 0))
        done.append(np.where(negative, -magnitude, magnitude)[kept])
        have += done[-1].size
    return np.concatenate(done)[:n] if done else np.empty(0, dtype=np.int64)


def _geometric(n: int, *, words: Words) -> Ints:
    """[n] how many Bernoulli(1 / e) succeed before the first that fails."""
    count = np.zeros(n, dtype=np.int64)
    alive = np.arange(n)
    while alive.size:
        alive = alive[_exp_fraction(np.ones(alive.size, dtype=np.int64), 1, words=words)]
        count[alive] += 1
    return count


def discrete_gaussian(variance: Fraction, n: int, *, words: Words) -> Ints:
    """[n] int64 with probability proportional to exp(-y**2 / (2 variance)), exactly for the variance it uses.

    Args:
        variance: > 0; rounded **upwards** to a fraction of small enough parts (relative change below 1e-9
            up to a standard deviation of 1,000, below 1e-3 up to 30,000).
        n: how many.
        words: the source of randomness.

    Raises:
        InputError: for a standard deviation above some 30,000, beyond which the parts do not fit.

    >>> discrete_gaussian(Fraction(1, 10**6), 4, words=seeded_words(np.random.default_rng(0))).tolist()
    [0, 0, 0, 0]
    """
    top, bottom, scale = _parts(variance)
    denominator = 2 * top * bottom * scale * scale
    done: list[Ints] = []
    have = 0
    while have < n:
        drawn = discrete_laplace(scale, int(1.6 * (n - have)) + 16, words=words)
        done.append(drawn[_accepted(np.abs(drawn), top, bottom, scale, denominator, words=words)])
        have += done[-1].size
    return np.concatenate(done)[:n] if done else np.empty(0, dtype=np.int64)


def _accepted(size: Ints, top: int, bottom: int, scale: int, denominator: int, *, words: Words) -> Bools:
    """exp(-(|y| - variance / t)**2 / (2 variance)) with variance = top / bottom, over a common denominator."""
    gap = np.abs(size * (scale * bottom) - top)
    small = gap < SQUARABLE
    square = np.where(small, gap, 0) ** 2
    whole, rest = np.divmod(square, denominator)
    for i in np.flatnonzero(~small).tolist():  # far tails only: beyond int64, not beyond Python
        whole[i], rest[i] = divmod(int(gap[i]) ** 2, denominator)
    return _exp_parts(whole, rest, denominator, words=words)


def _parts(variance: Fraction) -> tuple[int, int, int]:
    """Numerator and denominator of the variance, rounded upwards, and the scale of the Laplace proposal."""
    scale = math.isqrt(math.floor(variance)) + 1
    bottom = 2**30
    while bottom >= 1:
        top = -(-variance.numerator * bottom // variance.denominator)
        if 2 * top * bottom * scale * scale < ROOM:
            return top, bottom, scale
        bottom //= 2
    raise InputError(
        f"the budget asks for noise of {math.sqrt(variance):,.0f} records on a count, which would leave nothing of it",
        mend="raise epsilon, or model fewer columns",
    )


def exponential_choice(
    scores: Floats,
    epsilon: float,
    *,
    sensitivity: float,
    words: Words,
    allowed: Callable[[int], bool] = lambda place: True,
) -> int:
    """Choose one candidate with probability proportional to exp(epsilon * score / (2 sensitivity)).

    By rejection: a candidate is drawn uniformly and kept with probability exp(-its deficit), exactly. The
    deficits are rounded to a grid of 2**-40, which changes any ratio of probabilities by less than
    exp(2**-38): so much is taken off epsilon. The sensitivity is raised by 2**-16 of itself, which covers the
    rounding of float64 sums in the scores.

    Args:
        scores: [k] finite, larger is better.
        epsilon: of the bounded range, > 2**-37.
        sensitivity: how far one record can move any score, > 0.
        words: the source of randomness.
        allowed: which candidates there are, of which one at least; must not depend on the data. Asked only of those
            that are nearly chosen.

    Returns:
        Place of the chosen one.

    Source: McSherry & Talwar 2007.
    """
    exponent = (epsilon - 2.0**-38) / (2 * sensitivity * (1 + 2.0**-16))
    best = next(scores[i] for i in np.argsort(-scores, kind="stable").tolist() if allowed(i))
    # Deficits beyond 2**22 are kept with probability 0 in any arithmetic, and would not fit the grid.
    deficits = np.clip((best - scores) * exponent, 0.0, 2.0**22)
    steps = np.rint(deficits * GRID).astype(np.int64)
    block = min(4096, 2 * scores.size)
    while True:
        drawn = uniform_below(scores.size, block, words=words)
        kept = drawn[bernoulli_exp(steps[drawn], GRID, words=words)]
        for place in kept.tolist():
            if allowed(place):
                return place


def gaussian_tail(variance: Fraction, at_least: int) -> float:
    """Probability that discrete Gaussian noise is `at_least` or more, from above (relative error below 1e-6).

    >>> round(gaussian_tail(Fraction(1), 1), 4)
    0.3005
    """
    v = float(variance)
    reach = math.ceil(40 * math.sqrt(v)) + 2
    x = np.arange(-reach, reach + 1, dtype=np.float64)
    weights = np.exp(-(x**2) / (2 * v))
    return float(weights[x >= at_least].sum() / weights.sum()) * (1 + 1e-6)


def least_threshold(variance: Fraction, chance: float) -> int:
    """The least t such that noise of this variance is t or more with at most this chance."""
    low, high = 0, math.ceil(40 * math.sqrt(float(variance))) + 2
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if gaussian_tail(variance, middle) <= chance else (middle + 1, high)
    return low
