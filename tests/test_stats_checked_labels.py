"""Rates of contradiction at the synthetic rows' mix of certainty."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sterling.stats.checked_labels import standardised_rate, standardised_shift
from sterling.stats.label_shift import Strata, rate_shift

# How often real labels contradict, by how clear the row is: none where it is clearest.
RATES = np.array([0.0, 0.0005, 0.002, 0.006, 0.03])
EVEN, DOUBTFUL = np.full(5, 0.2), np.array([0.02, 0.02, 0.03, 0.03, 0.9])


def draw(seed: int, *, mix: np.ndarray, excess: float = 0.0) -> tuple[Any, Strata]:
    """2,000 real rows in even strata, 20,000 synthetic ones in a mix of their own."""
    r = np.random.default_rng(seed)
    real, made = np.repeat(np.arange(5), 400), r.choice(5, size=20_000, p=mix)
    hits = r.random(2000) < RATES[real], r.random(20_000) < RATES[made] + excess
    return hits, Strata(real, made, 5)


def alarms(mix: np.ndarray, *, alpha: float, runs: int) -> int:
    return sum(standardised_shift(*draw(s, mix=mix), alpha=alpha)[1] > 0 for s in range(runs))


def test_the_rate_of_another_mix_is_no_surer_than_the_stratum_that_it_rests_on() -> None:
    assert alarms(DOUBTFUL, alpha=0.001, runs=600) <= 3  # .6 expected at most
    assert alarms(DOUBTFUL, alpha=0.025, runs=300) <= 16  # 7.5 expected at most

    def surer(seed: int) -> bool:
        """With the limits of the rate over all real rows, as if the mix were theirs, it would alarm often."""
        (real, made), strata = draw(seed, mix=DOUBTFUL)
        rates = strata.means(real.astype(float), made.astype(float))[0]
        counts, expected = (int(real.sum()), int(made.sum())), (real.mean(), float(rates[strata.synthetic].mean()))
        return rate_shift(counts, (2000, 20_000), expected, alpha=0.001)[1] > 0

    assert sum(surer(s) for s in range(200)) > 10


def test_an_excess_of_contradictions_is_seen_and_covered() -> None:
    for mix in (EVEN, DOUBTFUL):
        found = [standardised_shift(*draw(s, mix=mix, excess=0.02), alpha=0.025) for s in range(200)]
        assert sum(low <= 0.02 <= high for _, low, high in found) >= 182  # 190 expected
    assert sum(standardised_shift(*draw(s, mix=EVEN, excess=0.02), alpha=0.001)[1] > 0 for s in range(50)) == 50


def test_a_known_rate_and_no_events() -> None:
    """One stratum alone: the gamma limits are the exact Poisson limits."""
    one = np.ones(1)
    assert standardised_rate(10 * one, 1000 * one, one, alpha=0.025) == pytest.approx(
        (0.01, 0.0047954, 0.0183904), rel=1e-5
    )
    assert standardised_rate(0 * one, 1000 * one, one, alpha=0.05) == pytest.approx((0, 0, -np.log(0.05) / 1000))
    rate, low, high = standardised_rate(np.array([0.0, 8]), np.array([100.0, 100]), np.array([0.75, 0.25]), alpha=0.025)
    assert rate == pytest.approx(0.02)
    assert 0 < low < rate < high < 1


def test_a_stratum_without_real_rows_is_judged_with_its_neighbour() -> None:
    real, made = np.array([0, 0, 2, 2]), np.array([0, 1, 1, 2])
    hits = np.array([True, False, False, False]), np.zeros(4, dtype=bool)
    value, low, high = standardised_shift(hits, Strata(real, made, 3), alpha=0.025)
    assert value == pytest.approx(-0.375)  # three of four synthetic rows at a rate of one half
    assert low < value < high
