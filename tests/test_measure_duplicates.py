"""Rows that repeat each other."""

from __future__ import annotations

import numpy as np
import pytest

from sterling.kernel.estimate import Estimate
from sterling.kernel.finding import Finding, Status
from sterling.kernel.protocols import Terms
from sterling.kernel.view import View
from sterling.measures.duplicates import duplicates
from sterling.stats.diversity import repeats


def view(rows: np.ndarray) -> View:
    return View(rows.size, "f", hashes=rows.astype(np.uint64))


def fine(n: int, seed: int) -> np.ndarray:
    """As good as no natural repeats."""
    return np.random.default_rng(seed).integers(2**40, size=n)


def coarse(n: int, seed: int) -> np.ndarray:
    """Many natural repeats, some rows far more often than others."""
    return np.random.default_rng(seed).zipf(1.3, size=n) % 10**9


def measured(a: np.ndarray, b: np.ndarray, alpha: float = 0.001) -> tuple[Finding, ...]:
    return duplicates(view(a), view(b), holdout=None, rng=np.random.default_rng(0), terms=Terms(alpha=alpha))


def value(found: tuple[Finding, ...]) -> Estimate:
    assert isinstance(found[0].result, Estimate)
    return found[0].result


def test_known_answers() -> None:
    assert repeats(np.array([3, 1]), 4) == pytest.approx(2)
    assert repeats(np.array([2, 2]), 2) == pytest.approx(1 / 3)
    found = measured(np.arange(100), np.r_[np.arange(90), np.arange(10)])
    assert value(found).value == pytest.approx(0.1)


def test_a_block_of_one_percent_pasted_twice_fails_and_is_located() -> None:
    rows = fine(10_000, 1)
    found = measured(fine(10_000, 0), np.r_[rows[:9900], rows[300:400]])
    assert found[0].status is Status.FAIL
    assert found[0].evidence["block"] == {"first_row": 9900, "rows": 100, "distance": 9600}
    assert "9,900" in (found[0].reason or "")


def test_one_row_many_times_fails_and_is_no_block() -> None:
    rows = fine(10_000, 1)
    rows[::100] = 7
    found = measured(fine(10_000, 0), np.sort(rows))
    assert found[0].status is Status.FAIL
    assert found[0].evidence["most_often"] == 100
    assert found[0].evidence["block"] is None


def test_natural_repeats_are_the_baseline() -> None:
    for seed in range(10):
        found = measured(coarse(5000, 2 * seed), coarse(4000, 2 * seed + 1))
        assert found[0].status is not Status.FAIL
        assert found[0].evidence["real_share"] > 0.3  # type: ignore[operator]
        assert found[0].evidence["block"] is None


def test_resampled_rows_fail_on_coarse_tables_too() -> None:
    rows = coarse(5000, 1)
    again = np.random.default_rng(2).choice(rows, size=5000)
    assert measured(coarse(5000, 0), again)[0].status is Status.FAIL


def test_a_smaller_set_is_compared_at_its_size() -> None:
    a, b = coarse(20_000, 0), coarse(2000, 1)
    assert abs(value(measured(a, b)).value) < 0.03
    assert abs(value(measured(b, a)).value) < 0.03


@pytest.mark.parametrize("law", [fine, coarse])
def test_clean_samples_fail_no_more_often_than_alpha_and_the_interval_covers(law: object) -> None:
    fails, covered = 0, 0
    for seed in range(200):
        found = measured(law(800, 2 * seed), law(600, 2 * seed + 1), alpha=0.05)  # type: ignore[operator]
        fails += found[0].status is Status.FAIL
        covered += value(found).low <= 0.0 <= value(found).high
    assert fails <= 16
    assert covered >= 188
