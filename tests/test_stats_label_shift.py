"""Residuals of two sets under the same predictions."""

from __future__ import annotations

import numpy as np
import pytest

from sterling.kernel.schema import Kind, Role
from sterling.kernel.view import Column
from sterling.stats.label_shift import (
    Channel,
    Grid,
    mean_shift,
    rate_shift,
    shifts,
    strata_of,
    stratified_excess,
)
from sterling.stats.slices import cut_column


def test_excess_is_blind_to_a_shift_between_strata_and_covers() -> None:
    hits = 0
    for seed in range(300):
        r = np.random.default_rng(seed)
        a, b = r.uniform(0, 1, 300), r.beta(3, 1, 250)  # other scores, the same law of losses given the score
        loss, other = 5 * np.round(a, 1) + r.exponential(size=300), 5 * np.round(b, 1) + r.exponential(size=250)
        value, error = stratified_excess(loss, other, strata_of(a, b, bins=20))
        hits += abs(value) <= 1.96 * error + 0.05
        assert abs(other.mean() - loss.mean()) > 0.5  # which a plain difference would call a gap
    assert hits >= 275


def test_excess_finds_what_was_added() -> None:
    r = np.random.default_rng(0)
    a, b = r.random(4000), r.random(4000)
    value, error = stratified_excess(a + r.normal(size=4000), b + 0.3 + r.normal(size=4000), strata_of(a, b))
    assert value == pytest.approx(0.3, abs=4 * error)


def test_one_stratum_and_strata_without_rows_are_survived() -> None:
    value, error = stratified_excess(np.ones(50), np.ones(40), strata_of(np.zeros(50), np.ones(40)))
    assert (value, error) == (0.0, 0.0)


def test_rate_shift_covers_rare_rates_far_out() -> None:
    r = np.random.default_rng(1)
    false = 0
    for _ in range(3000):
        hits = (int(r.binomial(300, 0.01)), int(r.binomial(200, 0.01)))
        _, low, high = rate_shift(hits, (300, 200), (0.01, 0.01), alpha=0.005)
        false += low > 0 or high < 0
    assert false <= 30


def test_mean_shift_known_answer() -> None:
    value, low, high = mean_shift((1.0, 4.0, 100), (2.0, 9.0, 100), alpha=0.025)
    assert value == 1.0
    assert (round(low, 3), round(high, 3)) == (0.293, 1.707)


def test_shifts_find_the_slice_and_correct_for_all_of_them() -> None:
    r = np.random.default_rng(2)
    n, m = 3000, 2500
    names = tuple("abcde")
    real, made = (Column("c", Kind.CATEGORY, Role.FEATURE, r.integers(5, size=k), names) for k in (n, m))
    cut = cut_column(real, bins=4, least=8, most=50)
    hits = [(r.random(k) < 0.3).astype(float) for k in (n, m)]
    hits[1][made.values == 3] = (r.random(int((made.values == 3).sum())) < 0.6).astype(float)
    channel = Channel("yes", hits[0] - 0.3, hits[1] - 0.3, (hits[0], hits[1]))
    everyone = (np.ones(n, dtype=bool), np.ones(m, dtype=bool))
    grid = Grid([cut], [cut.assign(real)], [cut.assign(made)], (r.random(n) < 0.5, r.random(m) < 0.5), everyone)
    found = shifts(grid, [channel], alpha=0.01)
    assert len(found) == 15
    worst = max(found, key=lambda s: s.at_least)
    assert (worst.code, worst.half) == (3, 0)
    assert worst.low < 0.3 < worst.high
    assert [s.code for s in shifts(grid.without(worst), [channel], alpha=0.01) if s.at_least > 0] == []
