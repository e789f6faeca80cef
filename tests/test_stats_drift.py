"""The laws of drift, held against simulation."""

from __future__ import annotations

import numpy as np
import pytest

from sterling.stats import drift


@pytest.mark.parametrize(("k", "t"), [(10, 10), (10, 20), (10, 50), (25, 50)])
def test_extinction_follows_the_branching_law_and_nearly_the_diffusion_law(k: int, t: int) -> None:
    rng = np.random.default_rng(k * t)
    counts = np.full(4000, k)
    for _ in range(t):
        counts = rng.binomial(1000, counts / 1000)
    gone = float((counts == 0).mean())
    assert abs(gone - drift.extinct_exact(k, t)) < 0.03
    assert abs(gone - drift.extinct_by(k, t)) < 0.05


def test_half_of_all_classes_are_gone_after_the_median_lifetime() -> None:
    t = round(drift.median_lifetime(20))
    assert drift.extinct_by(20, t) == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize(("fresh", "low", "high"), [(1.0, 0.15, 0.35), (5.0, 0.0, 0.08)])
def test_the_count_of_fresh_rows_keeps_a_class_alive_whatever_its_share(fresh: float, low: float, high: float) -> None:
    for k in (20, 50):
        rng = np.random.default_rng(k)
        counts, lam = np.full(4000, float(k)), fresh / k
        for _ in range(200):
            counts = rng.binomial(5000, ((1 - lam) * counts + lam * k) / 5000).astype(float)
        assert low <= float((counts < k / 2).mean()) <= high
        assert counts.mean() == pytest.approx(k, rel=0.06)


@pytest.mark.parametrize("lam", [0.05, 0.2, 0.5])
def test_a_shrinking_slice_settles_where_the_formula_says(lam: float) -> None:
    rho, trained = 0.9, 1.0
    for _ in range(400):
        trained = lam + (1 - lam) * rho * trained
    assert trained == pytest.approx(drift.stable_share(lam, rho))
    # The advice is for the output, which keeps rho of what the training data keep.
    output = rho * drift.stable_share(lam, rho)
    assert drift.fresh_share(output, rho) == pytest.approx(lam)
    assert drift.kept((rho, rho), 400, mode="inject", fresh=lam) == pytest.approx(rho * drift.stable_share(lam, rho))


def test_edges_of_the_shares() -> None:
    assert drift.fresh_share(0.8, 1.0) == 0.0
    assert drift.fresh_share(0.8, 0.8) == pytest.approx(1.0)
    assert drift.fresh_share(0.8, 0.79) is None
    assert drift.stable_share(0.0, 1.0) == 1.0
    assert drift.stable_share(0.0, 0.5) == 0.0
    assert drift.second_rho(0.0, 0.0, mode="replace") == 0.0
    assert drift.kept((0.9, 0.95), 5, mode="replace") == pytest.approx(0.9 * 0.95**4)


@pytest.mark.parametrize("mode", ["replace", "accumulate", "budget", "inject"])
def test_the_second_rate_is_read_back(mode: drift.Mode) -> None:
    second = drift.kept((0.8, 0.6), 2, mode=mode, fresh=0.1)
    assert drift.second_rho(0.8, second, mode=mode, fresh=0.1) == pytest.approx(0.6)


@pytest.mark.parametrize("mode", ["accumulate", "budget"])
@pytest.mark.parametrize("real", [0.2, 1.0, 5.0])
def test_real_rows_weigh_as_many_as_they_are(mode: drift.Mode, real: float) -> None:
    outputs: list[float] = []
    for _ in range(10):
        outputs.append(0.8 * (real + sum(outputs)) / (real + len(outputs)))
    assert drift.second_rho(*outputs[:2], mode=mode, real=real) == pytest.approx(0.8)
    assert drift.kept((0.8, 0.8), 10, mode=mode, real=real) == pytest.approx(outputs[-1])
    left = [drift.slowing(0.9, 0.85, t, mode=mode, real=real) for t in (2, 60)]
    assert left[0] == pytest.approx(0.85)
    assert left[1] < left[0]
    assert drift.slowing(0.9, 0.85, 60, mode=mode, real=2 * real) < left[1]


def test_what_a_generator_keeps_is_bounded_as_often_as_promised() -> None:
    rng = np.random.default_rng(3)
    for rho, due in ((0.9, 20.0), (0.5, 100.0)):
        bounds = [drift.kept_rate(int(k), due, alpha=0.05) for k in rng.poisson(rho * due, 2000)]
        assert np.mean([low <= rho <= high for _, low, high in bounds]) >= 0.89


@pytest.mark.parametrize("mode", ["replace", "accumulate"])
def test_regression_on_its_own_predictions_follows_gerstgrasser(mode: drift.Mode) -> None:
    rng, d, n, generations = np.random.default_rng(1), 5, 40, 4
    errors: list[float] = []
    for _ in range(600):
        truth = rng.normal(size=d)
        beta = truth
        xs, ys = np.empty((0, d)), np.empty(0)
        for _ in range(generations):
            x = rng.normal(size=(n, d))
            y = x @ beta + rng.normal(size=n)
            xs, ys = (x, y) if mode == "replace" else (np.vstack([xs, x]), np.concatenate([ys, y]))
            beta = np.linalg.lstsq(xs, ys, rcond=None)[0]
        errors.append(float(np.square(beta - truth).sum()))
    expected = drift.regression_error(1.0, d, n, generations, mode=mode)
    # Accumulated designs are not fresh Wishart matrices: the formula is an upper bound that nearly holds.
    assert float(np.mean(errors)) == pytest.approx(expected, rel=0.16)


def test_a_gaussian_loses_its_variance_in_most_chains_before_it_does_on_average() -> None:
    rng, n, t = np.random.default_rng(2), 50, 50
    variance = np.ones(4000)
    for _ in range(t):
        variance = variance * rng.chisquare(n - 1, 4000) / n
    mean, median = drift.gaussian_variance(n, t)
    assert float(np.median(variance)) == pytest.approx(median, rel=0.1)
    assert float(variance.mean()) == pytest.approx(mean, rel=0.15)
