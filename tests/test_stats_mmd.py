"""Distances of clouds: known values, nothing by chance, bounds that cover."""

from __future__ import annotations

import numpy as np
import pytest

from sterling.stats.mmd import (
    discrepancy,
    energy_distance,
    frechet_distance,
    gaussian_kernel,
    squared_distances,
    turned,
)


def test_features_stand_for_the_kernel() -> None:
    r = np.random.default_rng(0)
    rows = r.normal(size=(60, 5))
    kernel = gaussian_kernel(rows, rng=r)
    exact = np.exp(-squared_distances(rows, rows) / (2 * kernel.width**2))
    found = kernel.features(rows) @ kernel.features(rows).T
    assert np.abs(found - exact).max() < 0.35
    assert np.abs(found - exact).mean() < 0.07
    assert kernel.width == pytest.approx(np.median(np.sqrt(squared_distances(rows, rows)[np.triu_indices(60, 1)])))


def test_a_share_from_far_away_is_the_distance() -> None:
    r = np.random.default_rng(1)
    a, b = r.normal(size=(4000, 200)), r.normal(size=(4000, 200))
    b[:400] += 100 * r.normal(size=(400, 200))
    kernel = gaussian_kernel(a, rng=r)
    found = discrepancy(kernel.features(a), kernel.features(b)).value
    # Two normal rows are the root of 2 d apart, nearly always: the kernel's width, so its value is exp(-1/2).
    within, apart = np.exp(-0.5), 0.0
    assert found == pytest.approx(0.1 * np.sqrt(within + 0.01 - 2 * apart), rel=0.1)


def test_the_estimate_has_no_bias_and_the_lower_bound_keeps_its_level() -> None:
    squared, alarms, misses, repeats = [], 0, [0, 0], 200
    r = np.random.default_rng(2)
    many = r.normal(size=(24_000, 6))
    kernel = gaussian_kernel(many[:2000], rng=r)
    truth = discrepancy(kernel.features(many[:12_000]), kernel.features(many[12_000:] + 0.15)).value
    for _ in range(repeats):
        a, b, c = (r.normal(size=(300, 6)) + shift for shift in (0.0, 0.0, 0.15))
        null = discrepancy(kernel.features(a), kernel.features(b))
        squared.append(null.squared)
        alarms += null.bounds(alpha=0.05)[0] > 0
        low, high = discrepancy(kernel.features(a), kernel.features(c)).bounds(alpha=0.05)
        misses = [misses[0] + int(low > truth), misses[1] + int(high < truth)]
    assert abs(np.mean(squared)) < 3 * np.std(squared) / np.sqrt(repeats)
    assert alarms <= 20  # 10 expected of 200
    assert max(misses) <= 20


def test_energy_is_nil_for_one_law_and_grows_with_the_shift() -> None:
    r = np.random.default_rng(3)

    def energy(a: np.ndarray, b: np.ndarray) -> float:
        return energy_distance(*(np.sqrt(squared_distances(x, y)) for x, y in ((a, a), (b, b), (a, b))))

    same = [energy(r.normal(size=(200, 3)), r.normal(size=(200, 3))) for _ in range(40)]
    assert abs(np.mean(same)) < 0.002
    far = energy(r.normal(size=(200, 3)), 1e6 + r.normal(size=(200, 3)))
    assert far == pytest.approx(1.0, abs=0.01)


def test_frechet_distance_of_known_normals() -> None:
    r = np.random.default_rng(4)
    a = r.normal(size=(200_000, 3))
    b = r.normal(size=(200_000, 3)) * np.array([2.0, 1.0, 1.0]) + np.array([0.0, 3.0, 0.0])
    assert frechet_distance(a, b) == pytest.approx(1.0 + 9.0, rel=0.02)
    assert frechet_distance(a, a) == pytest.approx(0.0, abs=1e-6)


def test_a_random_turn_keeps_lengths_on_average() -> None:
    r = np.random.default_rng(5)
    rows = r.normal(size=(3000, 300))
    assert np.square(rows @ turned(300, 50, rng=r)).sum() == pytest.approx(np.square(rows).sum(), rel=0.02)
