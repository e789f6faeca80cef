"""Rules: what is one, what is none, and exact bounds of the excess."""

from __future__ import annotations

import numpy as np
import pytest

from sterling.stats.dependence import cross_counts, starts_of
from sterling.stats.rules import (
    Order,
    belongs_to,
    breaches,
    excess_bounds,
    find_orders,
    find_sums,
    forbidden_cells,
    impossible,
    is_dependency,
    least_expected,
    sum_off,
    tail_limits,
)


def test_a_rule_needs_support() -> None:
    assert impossible(0, least_expected() + 1e-9)
    assert not impossible(0, least_expected() - 1e-3)
    assert impossible(1, 1000)  # a slip of the pen
    assert not impossible(20, 1000)


def test_values_that_never_meet_are_found_and_rows_that_break_it_are_counted() -> None:
    r = np.random.default_rng(0)
    a = r.integers(3, size=2000)
    b = np.where(a == 2, r.integers(2, size=2000), r.integers(3, size=2000))
    c = r.integers(4, size=2000)
    counts = cross_counts([a, b, c], [3, 3, 4])
    never, rarely, able = forbidden_cells(counts, starts_of([3, 3, 4]), 2000)
    assert np.argwhere(never).tolist() == [[2, 5]]  # a = 2 with b = 2
    assert np.array_equal(never & rarely, never)
    assert able.sum() == 9 + 12 + 12
    fresh = [np.array([2, 2, 0]), np.array([2, 1, 2]), np.array([0, 1, 2])]
    assert breaches(fresh, [3, 3, 4], never).tolist() == [1, 0, 0]


@pytest.mark.parametrize("tail", ["normal", "exponential", "pareto", "uniform", "integer"])
def test_hardly_a_fresh_value_lies_beyond_the_limits(tail: str) -> None:
    r = np.random.default_rng(1)

    def values(n: int) -> np.ndarray:
        match tail:
            case "normal":
                return r.normal(size=n)
            case "exponential":
                return r.exponential(size=n)
            case "pareto":
                return r.pareto(1.5, size=n)
            case "uniform":
                return r.random(n)
            case _:
                return np.clip(r.normal(40, 15, size=n).round(), 17, 90)

    beyond = 0
    for _ in range(40):
        low, high = tail_limits(values(1000))
        fresh = values(10_000)
        beyond += int(((fresh < low) | (fresh > high)).sum())
    # A plain range would give 2 in 1,001 where values are continuous: 800 of these 400,000.
    assert beyond <= 120


def test_a_wall_is_a_limit_and_a_thin_end_is_none() -> None:
    walled = np.r_[np.full(100, 17.0), np.arange(18.0, 90.0), np.full(500, 40.0)]
    assert tail_limits(walled)[0] == 17.0
    assert tail_limits(np.r_[np.zeros(990), np.arange(10.0)])[1] == np.inf
    assert tail_limits(np.arange(20.0)) == (-np.inf, np.inf)


def test_orders_and_sums_are_found_but_not_by_ranges_alone() -> None:
    r = np.random.default_rng(2)
    start, length = r.normal(100, 30, size=500), r.exponential(20, size=500)
    values = [start, start + length, length, r.normal(-5000, 1, size=500), r.normal(100, 30, size=500)]
    assert find_orders(values, most=30)[0] == [Order(0, 1)]
    sums, _ = find_sums(values, most=30)
    assert [(s.first, s.second, s.total) for s in sums] == [(0, 2, 1)]
    broken = [*values]
    broken[1] = values[1].copy()
    broken[1][:7] += 10
    assert sum_off(broken, sums[0]).sum() == 7
    broken[1][:] = np.nan
    assert sum_off(broken, sums[0]).sum() == 0


def test_a_column_that_decides_another() -> None:
    r = np.random.default_rng(3)
    place = r.integers(40, size=3000)
    region, other = place // 10, r.integers(4, size=3000)
    assert is_dependency(place, region, (40, 4))
    assert not is_dependency(region, place, (4, 40))
    assert not is_dependency(place, other, (40, 4))
    assert belongs_to(place, region, (41, 4))[[0, 39, 40]].tolist() == [0, 3, -1]
    assert not is_dependency(np.arange(3000), other, (3000, 4))  # every row its own group


def test_the_bounds_of_the_excess_cover() -> None:
    r = np.random.default_rng(4)
    for p, q, m, n in ((0.01, 0.002, 1000, 3000), (0.002, 0.002, 4000, 1000), (0.3, 0.5, 200, 300)):
        j, k = r.binomial(m, p, size=4000), r.binomial(n, q, size=4000)
        low, high = excess_bounds(j, m, k, n, alpha=0.05)
        assert np.mean(low > p - q) <= 0.05
        assert np.mean(high < p - q) <= 0.05
        assert np.all(low <= high)


def test_a_sorted_file_hides_no_rule() -> None:
    r = np.random.default_rng(5)
    low = r.normal(100, 30, size=10_000)
    high, more = low + r.exponential(20, size=10_000), r.exponential(20, size=10_000)
    total = high + more
    high[:4] = low[:4] - 1  # the slips of the pen come first
    total[:4] += 50
    assert find_orders([low, high], most=30)[0] == [Order(0, 1)]
    assert [(s.first, s.second, s.total) for s in find_sums([high, more, total], most=30)[0]] == [(0, 1, 2)]
    place = np.sort(r.integers(40, size=10_000))
    region = place // 10
    wrong = region.copy()
    wrong[:6] = [1, 2, 3, 1, 2, 3]
    assert is_dependency(place, region, (40, 4))
    assert is_dependency(place, wrong, (40, 4))


def test_what_was_examined_is_counted() -> None:
    r = np.random.default_rng(6)
    values = [r.normal(size=500) for _ in range(5)]
    assert find_orders(values, most=30) == ([], 20)
    assert find_sums(values, most=30) == ([], 30)
    assert find_orders([values[0], values[1] + 100], most=30) == ([], 1)  # of the other pair the ranges say it
    assert find_orders([], most=30) == ([], 0)
