"""Looking later than claimed."""

from __future__ import annotations

import numpy as np
import pytest

from sterling.stats.lead import lead


def drawn(n: int, r: np.random.Generator, *, drift: float = 3.0) -> tuple[list[np.ndarray], np.ndarray]:
    """Two columns of ten codes, of which the first drifts with time."""
    time = r.random(n)
    shown = np.clip(np.floor(time * drift + r.normal(0, 1.0, size=n) + 4), 0, 9).astype(int)
    return [shown, r.integers(10, size=n)], time


def test_rows_that_come_from_later_are_counted_at_least_in_part() -> None:
    r = np.random.default_rng(0)
    real, times = drawn(6000, r)
    other, claimed = drawn(6000, r)
    shifted = claimed - np.where(r.random(6000) < 0.3, 0.6, 0.0)
    kept = shifted > times.min()
    found = lead(real, [c[kept] for c in other], [10, 10], (times, shifted[kept]), rng=r)
    assert found.skill > 0.5
    assert 0.08 < found.share < 0.3
    assert found.share - found.slack(alpha=0.001) > 0
    assert found.by_column[0] > 0.02 > abs(found.by_column[1])


def test_rows_that_come_from_earlier_are_no_lead() -> None:
    r = np.random.default_rng(1)
    real, times = drawn(6000, r)
    other, claimed = drawn(6000, r)
    found = lead(real, other, [10, 10], (times, np.minimum(claimed + 0.2, times.max())), rng=r)
    assert found.share < found.slack(alpha=0.05)


@pytest.mark.parametrize("drift", [0.0, 3.0])
def test_the_bound_keeps_its_level_whatever_the_synthetic_times(drift: float) -> None:
    r = np.random.default_rng(2)
    alarms, shares = 0, []
    for _ in range(150):
        real, times = drawn(500, r, drift=drift)
        other, claimed = drawn(1500, r, drift=drift)
        rows = np.flatnonzero((r.random(1500) < claimed) & (claimed > times.min()) & (claimed < times.max()))
        found = lead(real, [c[rows] for c in other], [10, 10], (times, claimed[rows]), rng=r)
        alarms += found.share > found.slack(alpha=0.05)
        shares.append(found.share / found.no_lead())
    assert alarms <= 15  # 7.5 expected of 150
    assert 0.5 < np.mean(shares) < 1.5


def test_columns_of_one_value_and_times_in_clumps() -> None:
    r = np.random.default_rng(3)
    times = np.repeat([0.0, 1.0], 100)
    found = lead([np.zeros(200, int)], [np.zeros(80, int)], [2], (times, np.repeat([0.0, 1.0], 40)), rng=r)
    assert found.share == pytest.approx(0.0, abs=1e-9)
    assert abs(found.skill) < 0.2
