"""Learning curves: known shapes, known inverses, monotone whatever comes in, never beyond the range."""

from __future__ import annotations

import numpy as np
import pytest

from sterling.stats.learning_curve import fit_curves

SIZES = np.array([50, 100, 200, 400, 800, 1600])


def power(n: np.ndarray) -> np.ndarray:
    return 0.9 - 0.8 * n**-0.5


@pytest.mark.parametrize(("form", "tolerance"), [("power", 0.03), ("isotonic", 0.12), ("mean", 0.08)])
def test_the_inverse_of_a_power_law(form, tolerance: float) -> None:
    curve = fit_curves(SIZES, power(SIZES)[None], precision=np.ones(6), form=form, chance=0.5)
    for n in (60.0, 300.0, 1500.0):
        assert float(curve.rows_for(np.array([power(np.array(n))]))[0]) == pytest.approx(n, rel=tolerance)
        assert float(curve.score_at(n)[0]) == pytest.approx(float(power(np.array(n))), abs=0.004)


def test_isotonic_is_that_of_scipy() -> None:
    from scipy.optimize import isotonic_regression

    r = np.random.default_rng(0)
    scores, precision = r.normal(size=(20, 6)) + np.arange(6) * 0.3, r.exponential(size=6)
    curve = fit_curves(SIZES, scores, precision=precision, form="isotonic")
    for mine, raw in zip(curve.scores, scores, strict=True):
        theirs = isotonic_regression(raw, weights=precision).x
        assert mine[0] == pytest.approx(theirs[0])
        assert mine[-1] == pytest.approx(theirs[-1])
        assert np.interp(np.log(200), np.log(curve.rows), mine) == pytest.approx(theirs[2], abs=0.02)


@pytest.mark.parametrize("form", ["isotonic", "power", "mean"])
def test_monotone_whatever_comes_in(form) -> None:
    scores = np.random.default_rng(1).normal(size=(50, 6))
    curve = fit_curves(SIZES, scores, precision=np.ones(6), form=form)
    assert (np.diff(curve.scores, axis=1) >= 0).all()
    assert np.isfinite(curve.scores).all()


def test_never_beyond_the_range() -> None:
    curve = fit_curves(SIZES, power(SIZES)[None].repeat(4, 0), precision=np.ones(6), form="mean", chance=0.5)
    found = curve.rows_for(np.array([0.95, 0.5, 0.4, (0.5 + float(curve.scores[0, 0])) / 2]))
    assert found[0] == np.inf
    assert found[1] == found[2] == 0.0
    assert found[3] == pytest.approx(25.0)
    assert curve.score_at(1e9)[0] == curve.scores[0, -1]


def test_a_flat_curve_gives_the_fewest_rows_that_reach_it() -> None:
    flat = fit_curves(SIZES, np.ones((2, 6)), precision=np.ones(6), form="mean", chance=0.5)
    assert flat.rows_for(np.array([1.0, 0.99])).tolist() == pytest.approx([50.0, 49.0])
    unknown = fit_curves(SIZES, np.ones((2, 6)), precision=np.ones(6), form="mean")
    assert unknown.rows_for(np.array([1.0, 0.99])).tolist() == [50.0, 25.0]
