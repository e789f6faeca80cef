"""Noise that is exactly what it claims to be."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from scipy import stats

from sterling.kernel.errors import InputError
from sterling.stats.exact_noise import (
    Words,
    bernoulli_exp,
    discrete_gaussian,
    discrete_laplace,
    exponential_choice,
    gaussian_tail,
    least_threshold,
    secret_words,
    seeded_words,
    uniform_below,
)


def words(seed: int = 0) -> Words:
    return seeded_words(np.random.default_rng(seed))


def chi_square(drawn: np.ndarray, weight: np.ndarray, first: int) -> float:
    """P-value of draws against weights of first, first + 1 ...; rare values are put together."""
    counts = np.bincount(drawn - first, minlength=weight.size)
    expected = weight / weight.sum() * drawn.size
    keep = expected >= 10
    seen = np.append(counts[keep], counts[~keep].sum())
    wanted = np.append(expected[keep], max(expected[~keep].sum(), 1e-9))
    if wanted[-1] < 5:
        seen, wanted = seen[:-1], wanted[:-1] * seen[:-1].sum() / wanted[:-1].sum()
    return float(stats.chisquare(seen, wanted).pvalue)


@pytest.mark.parametrize("variance", [Fraction(1, 10), Fraction(1, 3), Fraction(1), Fraction(50), Fraction(12345, 67)])
def test_discrete_gaussian_has_its_distribution(variance: Fraction) -> None:
    drawn = discrete_gaussian(variance, 200_000, words=words())
    reach = max(6, math.ceil(12 * math.sqrt(variance)))
    x = np.arange(-reach, reach + 1)
    assert np.abs(drawn).max() <= reach
    assert chi_square(drawn, np.exp(-(x**2) / (2 * float(variance))), -reach) > 1e-4


def test_noise_of_half_the_spread_would_be_seen() -> None:
    drawn = discrete_gaussian(Fraction(9), 20_000, words=words())
    x = np.arange(-60, 61)
    assert chi_square(drawn, np.exp(-(x**2) / (2 * 10.0)), -60) < 1e-4


@pytest.mark.parametrize("variance", [Fraction(10**6), Fraction(30_000**2)])
def test_wide_noise_does_not_overflow(variance: Fraction) -> None:
    drawn = discrete_gaussian(variance, 20_000, words=words())
    assert abs(drawn.var() / float(variance) - 1) < 0.06
    assert stats.kstest(drawn / math.sqrt(variance), "norm").pvalue > 1e-3


def test_noise_beyond_exact_arithmetic_is_refused() -> None:
    with pytest.raises(InputError, match="leave nothing"):
        discrete_gaussian(Fraction(10**12), 1, words=words())


def test_a_million_draws_take_seconds() -> None:
    import time

    start = time.process_time()
    discrete_gaussian(Fraction(400), 1_000_000, words=words())
    assert time.process_time() - start < 10


def test_discrete_laplace_has_its_distribution() -> None:
    x = np.arange(-200, 201)
    assert chi_square(discrete_laplace(7, 200_000, words=words()), np.exp(-np.abs(x) / 7), -200) > 1e-4


@pytest.mark.parametrize(("top", "bottom"), [(0, 1), (1, 3), (1, 1), (7, 2), (2**61, 2**61 + 1)])
def test_bernoulli_of_an_exponential(top: int, bottom: int) -> None:
    hits = bernoulli_exp(np.full(100_000, top), bottom, words=words()).sum()
    assert stats.binomtest(int(hits), 100_000, math.exp(-top / bottom)).pvalue > 1e-4


@pytest.mark.parametrize("top", [1, 2, 3, 1000, 2**62])
def test_uniform_below_is_uniform(top: int) -> None:
    drawn = uniform_below(top, 50_000, words=words())
    assert drawn.min() >= 0
    assert drawn.max() < top
    assert top == 1 or stats.kstest((drawn + 0.5) / top, "uniform").statistic < 0.6


def test_choice_follows_its_scores() -> None:
    scores, source = np.array([0.0, 3.0, 5.0, -50.0]), words(3)
    picks = [exponential_choice(scores, 0.8, sensitivity=1.5, words=source) for _ in range(6000)]
    wanted = np.exp(0.8 * scores / 3.0)
    assert chi_square(np.array(picks), wanted, 0) > 1e-4


def test_choice_keeps_to_what_is_allowed() -> None:
    source = words(4)
    picks = {
        exponential_choice(np.array([9.0, 0.0, 0.5]), 1.0, sensitivity=1.0, words=source, allowed=lambda i: i > 0)
        for _ in range(300)
    }
    assert picks == {1, 2}


def test_secret_noise_differs_and_seeded_noise_does_not() -> None:
    assert not np.array_equal(secret_words(50), secret_words(50))
    drawn = [discrete_gaussian(Fraction(9), 100, words=words(1)) for _ in range(2)]
    assert np.array_equal(*drawn)


def test_thresholds_hold_what_they_promise() -> None:
    variance = Fraction(30)
    t = least_threshold(variance, 1e-3)
    assert gaussian_tail(variance, t) <= 1e-3 < gaussian_tail(variance, t - 1)
    drawn = discrete_gaussian(variance, 400_000, words=words())
    assert stats.binomtest(int((drawn >= t).sum()), drawn.size, gaussian_tail(variance, t)).pvalue > 1e-4
