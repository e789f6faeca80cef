"""Bounds for many looks, and what an interval means for a tolerance."""

from __future__ import annotations

import numpy as np
import pytest

from sterling.kernel.finding import Status
from sterling.stats.bounds import (
    dkw,
    fieller,
    holm,
    normal_quantile,
    status_of,
    tarone_alpha,
    total_variation_bias,
    total_variation_slack,
    two_sample_dkw,
)


@pytest.mark.parametrize(
    ("low", "high", "better", "status"),
    [
        (0.06, 0.09, "lower", Status.FAIL),
        (0.01, 0.05, "lower", Status.PASS),
        (0.04, 0.06, "lower", Status.UNDECIDED),
        (0.01, 0.04, "higher", Status.FAIL),
        (0.05, 0.06, "higher", Status.PASS),
        (0.04, 0.06, "higher", Status.UNDECIDED),
    ],
)
def test_three_states(low: float, high: float, better: str, status: Status) -> None:
    assert status_of(low, high, 0.05, better=better) is status  # type: ignore[arg-type]


def test_rejecting_is_not_failing() -> None:
    assert status_of(0.001, 0.004, 0.05, better="lower") is Status.PASS  # surely above 0, surely tolerable


def test_holm_is_never_weaker_than_bonferroni() -> None:
    r = np.random.default_rng(0)
    for _ in range(50):
        p = r.random(20) ** 3
        assert (holm(p, alpha=0.05) | (p > 0.05 / 20)).all()
    assert holm(np.empty(0), alpha=0.05).size == 0


def test_tarone_spares_tests_that_cannot_reject() -> None:
    assert tarone_alpha(np.full(10, 1e-6), alpha=0.05) == pytest.approx(0.005)
    assert tarone_alpha(np.r_[np.full(3, 1e-6), np.full(1000, 0.2)], alpha=0.05) == pytest.approx(0.05 / 3)
    assert tarone_alpha(np.empty(0), alpha=0.05) == 0.05
    # The number of tests that can reject never exceeds what was paid for.
    r = np.random.default_rng(1)
    for _ in range(50):
        least = r.random(200) ** 8
        each = tarone_alpha(least, alpha=0.05)
        assert (least <= each).sum() * each <= 0.05 + 1e-12


def test_distribution_function_bounds_cover() -> None:
    r = np.random.default_rng(2)
    at = np.linspace(0, 1, 400)
    one = [(np.searchsorted(np.sort(r.random(50)), at, side="right") / 50 - at).max() for _ in range(500)]
    assert np.mean(np.array(one) > dkw(50, alpha=0.05)) <= 0.08
    two = [
        (np.searchsorted(np.sort(r.random(40)), at) / 40 - np.searchsorted(np.sort(r.random(70)), at) / 70).max()
        for _ in range(500)
    ]
    assert np.mean(np.array(two) > two_sample_dkw(40, 70, alpha=0.05)) <= 0.08


def test_total_variation_lower_bound_holds_with_many_levels() -> None:
    r = np.random.default_rng(3)
    shares = r.dirichlet(np.ones(60))
    false = 0
    for _ in range(300):
        a, b = r.multinomial(300, shares), r.multinomial(200, shares)
        plain = np.abs(a / 300 - b / 200).sum() / 2
        assert plain > 0.1  # the plug-in says "gap" where there is none
        pooled = (a + b) / 500
        false += plain - total_variation_bias(pooled, 300, 200) > total_variation_slack(300, 200, alpha=0.05)
    assert false <= 15


def test_normal_quantile() -> None:
    assert normal_quantile(0.5) == 0.0
    assert normal_quantile(1e-9) == pytest.approx(5.998, abs=1e-3)


def test_limits_of_a_ratio_are_fiellers_and_wide_open_where_the_base_may_be_nothing() -> None:
    for end in fieller((50.0, 4.0), (100.0, 9.0), quantile=1.96):
        assert (50 - end * 100) ** 2 == pytest.approx(1.96**2 * (4 + end**2 * 9))
    assert fieller((1.0, 1.0), (1.0, 4.0), quantile=1.96) == (-np.inf, np.inf)
    assert fieller((1.0, 0.0), (-5.0, 0.1), quantile=1.96) == (-np.inf, np.inf)
    assert fieller((0.1, 1.0), (5.0, 0.1), quantile=1.96)[0] < 0  # clamping is the caller's


def test_limits_of_a_ratio_cover() -> None:
    rng, inside = np.random.default_rng(0), 0
    for _ in range(2000):
        top, bottom = (float(rng.normal(1.0, 0.3)), 0.09), (float(rng.normal(2.0, 0.4)), 0.16)
        low, high = fieller(top, bottom, quantile=normal_quantile(0.05))
        inside += low <= 0.5 <= high
    assert 0.88 < inside / 2000 < 0.92
