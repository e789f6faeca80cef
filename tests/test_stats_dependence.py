"""Distances of dependence: calibrated, blind to margins, known where they can be worked out."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import chi2, kstest, ncx2

from sterling.stats.dependence import (
    association,
    cross_counts,
    dependence_gap,
    most_off,
    noncentrality,
    one_hot,
    pair_tables,
    starts_of,
)

JOINT = np.array([[0.3, 0.1, 0.05], [0.05, 0.2, 0.3]])


def drawn(shares: np.ndarray, n: int, r: np.random.Generator) -> np.ndarray:
    return r.multinomial(n, (shares / shares.sum()).ravel()).reshape(1, *shares.shape).astype(float)


def test_counts_of_all_pairs_are_those_of_each_pair() -> None:
    r = np.random.default_rng(0)
    codes = [r.integers(3, size=50_000), r.integers(5, size=50_000), r.integers(2, size=50_000)]
    pairs = np.array([[0, 1], [1, 2], [0, 2]])
    tables = pair_tables(cross_counts(codes, [3, 5, 2]), starts_of([3, 5, 2]), pairs)
    assert tables.shape == (3, 5, 5)
    for table, (i, j) in zip(tables, pairs, strict=True):
        expected = np.zeros((5, 5))
        np.add.at(expected, (codes[i], codes[j]), 1)
        assert np.array_equal(table, expected)
    assert one_hot(codes, [3, 5, 2]).sum() == 150_000


def test_same_dependence_gives_chi_squared_whatever_the_margins() -> None:
    r = np.random.default_rng(1)
    moved = JOINT * np.array([[1.0], [3.0]]) * np.array([2.0, 1.0, 0.5])  # the same odds ratios
    p = []
    for _ in range(400):
        found = dependence_gap(drawn(JOINT, 3000, r), drawn(moved, 2000, r))
        assert found.df[0] == 2
        p.append(chi2.sf(found.statistic[0], 2))
    assert kstest(p, "uniform").pvalue > 0.01


def test_thin_cells_do_not_alarm() -> None:
    r = np.random.default_rng(2)
    shares = np.outer([0.9, 0.097, 0.003], [0.6, 0.38, 0.015, 0.005])
    p = [
        chi2.sf(found.statistic[0], found.df[0])
        for _ in range(1000)
        if (found := dependence_gap(drawn(shares, 1000, r), drawn(shares, 1000, r))).df[0]
    ]
    assert np.mean(np.array(p) < 0.01) < 0.025
    assert np.mean(np.array(p) < 0.001) < 0.006


def test_the_distance_is_known_and_its_bounds_cover() -> None:
    r = np.random.default_rng(3)
    real, flat = np.array([[0.35, 0.15], [0.15, 0.35]]), np.full((2, 2), 0.25)
    truth = np.sqrt((np.square(real - flat) / (2 * (real + flat))).sum())
    misses, values = [0, 0], []
    for _ in range(300):
        found = dependence_gap(drawn(real, 2000, r), drawn(flat, 2000, r))
        low, high = found.bounds(alpha=0.05)
        values.append(found.gap[0])
        misses = [misses[0] + int(low[0] > truth), misses[1] + int(high[0] < truth)]
    assert np.mean(values) == pytest.approx(truth, rel=0.03)
    assert max(misses) <= 28  # 15 expected of 300


def test_noncentrality_is_near_the_exact_one() -> None:
    for df, truth in ((4.0, 10.0), (40.0, 60.0), (1.0, 5000.0)):
        seen = ncx2.isf(0.01, df, truth)
        assert noncentrality(np.array([seen]), np.array([df]), tail=0.01)[0] == pytest.approx(truth, rel=0.1)
    assert noncentrality(np.array([3.0]), np.array([4.0]), tail=0.01)[0] == 0
    assert noncentrality(np.array([3.0]), np.array([0.0]), tail=0.01)[0] == 0


def test_the_cell_that_is_off_is_named() -> None:
    a = np.array([[500.0, 300.0, 200.0], [100.0, 400.0, 500.0]])
    b = a.copy()
    b[0, 2] += 200
    i, j, expected = most_off(a, b)
    assert (i, j) == (0, 2)
    assert 200 < expected < 400


def test_association_is_one_where_one_decides_the_other_and_nil_by_chance() -> None:
    r = np.random.default_rng(4)
    certain = np.diag([400.0, 300.0, 300.0])[None]
    assert association(certain)[0] == pytest.approx(1.0, abs=0.01)
    chance = [association(drawn(np.full((5, 5), 0.04), 500, r))[0] for _ in range(100)]
    assert np.mean(chance) < 0.04
    assert association(np.zeros((1, 2, 2)))[0] == 0


def test_nothing_to_compare_is_unknown_where_the_real_columns_vary() -> None:
    real, one_row = np.array([[[40.0, 10.0], [10.0, 40.0]]]), np.array([[[50.0, 50.0], [0.0, 0.0]]])
    found = dependence_gap(real, one_row)
    assert found.df[0] == 0
    assert [float(x[0]) for x in found.bounds(alpha=0.05)] == [0.0, 1.0]
    disjoint = np.array([[[50.0, 0.0, 0.0], [0.0, 50.0, 0.0]]]), np.array([[[0.0, 0.0, 50.0], [0.0, 0.0, 50.0]]])
    assert dependence_gap(*disjoint).df[0] == 0
    assert dependence_gap(*disjoint).unknown[0]
    constant = dependence_gap(one_row, real)
    assert not constant.unknown[0]
    assert float(constant.bounds(alpha=0.05)[1][0]) == 0.0
    assert not dependence_gap(real, real).unknown[0]
    decided = np.array([[[50.0, 0.0], [0.0, 50.0]]])
    assert not dependence_gap(decided, decided).unknown[0]
    assert float(dependence_gap(decided, decided[:, ::-1]).gap[0]) > 0.5
