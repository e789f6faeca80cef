"""AUC with ties, DeLong's variance, Mann-Whitney."""

from __future__ import annotations

import numpy as np
import pytest

from sterling.stats.auc import delong, mann_whitney_p, smallest_shift


def test_ties_count_one_half() -> None:
    assert delong(np.array([1.0, 1.0]), np.array([1.0])).value == 0.5
    assert delong(np.array([2.0, 1.0]), np.array([1.0, 0.0])).value == pytest.approx((1 + 1 + 0.5 + 1) / 4)


def test_against_counting_all_pairs() -> None:
    r = np.random.default_rng(0)
    a, b = r.integers(10, size=37) + 1.0, r.integers(10, size=53) + 0.0
    pairs = (a[:, None] > b).mean() + 0.5 * (a[:, None] == b).mean()
    assert delong(a, b).value == pytest.approx(pairs)


def test_delong_covers() -> None:
    from scipy.special import ndtr

    r = np.random.default_rng(1)
    truth = float(ndtr(1 / np.sqrt(2)))
    bounds = [delong(r.normal(1, 1, 80), r.normal(0, 1, 60)).bounds(alpha=0.025) for _ in range(600)]
    assert np.mean([low <= truth <= high for low, high in bounds]) >= 0.92


def test_perfect_separation_is_not_certainty() -> None:
    area = delong(np.arange(10.0) + 100, np.arange(8.0))
    low, high = area.bounds(alpha=0.05)
    assert (area.value, area.variance, high) == (1.0, 0.0, 1.0)
    assert low == pytest.approx(0.05 ** (1 / 8))
    assert delong(np.arange(8.0), np.arange(10.0) + 100).bounds(alpha=0.05)[1] == pytest.approx(1 - 0.05 ** (1 / 8))


def test_empty_groups_are_refused() -> None:
    with pytest.raises(ValueError, match="both groups"):
        delong(np.empty(0), np.ones(3))


def test_mann_whitney_keeps_its_level_with_ties_and_sees_a_shift() -> None:
    r = np.random.default_rng(2)
    p = [mann_whitney_p(r.integers(5, size=100) + 0.0, r.integers(5, size=90) + 0.0) for _ in range(600)]
    assert np.mean(np.array(p) < 0.05) <= 0.075
    assert mann_whitney_p(r.normal(1, 1, 100), r.normal(0, 1, 100)) < 1e-6
    assert mann_whitney_p(np.ones(5), np.ones(5)) == 1.0


def test_the_smallest_shift_is_seen_with_its_power() -> None:
    r = np.random.default_rng(3)
    shift = smallest_shift(200, 200, alpha=0.025)
    # AUC = Phi(d / sqrt 2): the d of that shift.
    from scipy.special import ndtri

    d = float(ndtri(0.5 + shift)) * np.sqrt(2)
    seen = [mann_whitney_p(r.normal(d, 1, 200), r.normal(0, 1, 200)) < 0.025 for _ in range(300)]
    assert 0.7 < np.mean(seen) < 0.9
