"""What cross-validation and the benchmark say together: weights by precision, a fine for looking, no trust unearned."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from sterling.blend.evidence import corrected_error, fined_factor, hopeless, judged, together
from sterling.blend.trials import Trial
from sterling.kernel.estimate import Estimate


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def trial(mean: float, spread: float = 0.01) -> Trial:
    return Trial({"a": 1.0}, mean + spread * np.tile([-1.0, 1.0], 4))


def said(value: float, se: float = 0.005) -> Estimate:
    return Estimate(value, value - se, value + se, 1000, 0.8, "planted")


def test_both_are_weighed_by_precision() -> None:
    one = trial(0.02)
    error = corrected_error(one, 4)
    assert error == pytest.approx(one.se * np.sqrt(1 + 8 / 3))
    found = together(one, said(0.01), error, factor=1.0, looks=1, folds=4, trusted=True)
    assert found.gain.value == pytest.approx(0.015)
    assert found.se == pytest.approx(error / np.sqrt(2))
    assert found.by == "both"


def test_looking_costs_what_bonferroni_says() -> None:
    for looks in (1, 2, 7, 50):
        assert norm.sf(fined_factor(2.0, looks=looks)) * looks == pytest.approx(norm.sf(2.0))
    one = trial(0.02)
    gains = [together(one, said(0.01), 0.01, factor=1.0, looks=k, folds=4, trusted=True).gain.value for k in (1, 3, 9)]
    assert gains[0] > gains[1] > gains[2]
    # The benchmark had no part in the choice and pays nothing.
    alone = together(one, said(0.01), 0.01, factor=1.0, looks=9, folds=4, trusted=False)
    assert (alone.gain.value, alone.by) == (0.01, "benchmark")


def test_best_of_many_useless_mixes_is_seldom_adopted() -> None:
    """Twelve mixes that change nothing; the one that cross-validation likes best goes to the benchmark."""
    r, adopted = rng(1), 0
    for _ in range(400):
        tried = [Trial({"a": 1.0}, 0.01 * r.normal(size=8)) for _ in range(12)]
        best = max(tried, key=lambda t: t.mean)
        confirmed = said(0.005 * float(r.normal()))
        found = together(best, confirmed, 0.005, factor=2.0, looks=12, folds=4, trusted=True)
        adopted += judged(found, confirmed, factor=2.0, no_effect=0.002, harm=0.005) == "MIX"
    assert adopted / 400 < 0.03


def test_a_gain_that_both_see_is_adopted_and_a_loss_on_the_benchmark_never() -> None:
    def outcome(mean: float, value: float, *, trusted: bool = True) -> str:
        found = together(trial(mean), said(value), 0.005, factor=1.0, looks=2, folds=4, trusted=trusted)
        return judged(found, said(value), factor=1.0, no_effect=0.002, harm=0.005)

    assert outcome(0.02, 0.02) == "MIX"
    assert outcome(0.05, -0.001) == "REAL_ONLY"
    assert outcome(0.08, 0.001, trusted=False) == "NO_EFFECT"
    assert outcome(0.001, 0.001) == "NO_EFFECT"
    assert outcome(-0.03, -0.03) == "REAL_ONLY"


def test_a_wide_interval_that_may_hide_harm_is_refused() -> None:
    found = together(trial(0.03, 0.2), said(0.031), 0.03, factor=1.0, looks=1, folds=4, trusted=True)
    assert found.gain.value > found.se
    assert judged(found, said(0.031), factor=1.0, no_effect=0.002, harm=0.005) == "REAL_ONLY"


def test_hope_ends_where_one_standard_error_more_is_nothing() -> None:
    assert hopeless(trial(-0.02), no_effect=0.002)
    assert not hopeless(trial(0.0), no_effect=0.002)
    assert hopeless(trial(0.0, 0.001), no_effect=0.002)
