"""Raking: the margins of a target, met by weights; what cannot be met is said."""

from __future__ import annotations

import numpy as np
import pytest

from sterling.kernel import seeds
from sterling.stats.raking import (
    Margins,
    chance_gaps,
    coarse,
    coarsening,
    farthest_pairs,
    gaps_of,
    margins_of,
    rake,
    resample,
)


def rng(*names: str) -> np.random.Generator:
    return seeds.stream(4, "raking", *names)


def related(n: int, *, tie: float, name: str, d: int = 4) -> np.ndarray:
    """[d, n] codes of 0 ... 5, the first two tied to each other."""
    chance = rng(name)
    codes = chance.integers(0, 6, size=(d, n))
    codes[1] = np.where(chance.random(n) < tie, codes[0], codes[1])
    return codes.astype(np.uint8)


def exact_fit(table: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Iterative proportional fitting of a 2 x 2 table of counts, to the letter."""
    for _ in range(1000):
        table = table * (rows / table.sum(axis=1))[:, None]
        table = table * (columns / table.sum(axis=0))[None, :]
    return table


def test_weights_are_those_of_an_exact_fit() -> None:
    counts = np.array([[40, 30, 30], [35, 50, 15]])
    pool = np.array([(i, j) for i in range(2) for j in range(3) for _ in range(counts[i, j])], dtype=np.uint8).T
    rows, columns = np.array([0.7, 0.3]), np.array([0.2, 0.3, 0.5])
    raked = rake(pool, Margins(((0,), (1,)), (rows, columns), np.inf), tolerance=1e-9)
    fitted = np.zeros((2, 3))
    np.add.at(fitted, (pool[0], pool[1]), raked.weights / raked.weights.sum())
    assert raked.converged
    np.testing.assert_allclose(fitted, exact_fit(counts / 200, rows, columns), atol=1e-6)


def test_a_planted_gap_is_mended_and_the_innocent_columns_stay() -> None:
    real, pool = related(20_000, tie=0.6, name="real"), related(40_000, tie=0.2, name="pool")
    raked = rake(pool, margins_of(real))
    assert raked.before > 0.3
    assert raked.after < 0.005
    assert raked.converged
    assert 0.5 < raked.effective / 40_000 < 0.95
    kept = pool[:, resample(raked.weights, 20_000, rng=rng("draw"))]
    assert abs(np.mean(kept[0] == kept[1]) - np.mean(real[0] == real[1])) < 0.01


def test_an_innocent_pool_stays_nearly_as_it_was() -> None:
    real, pool = related(20_000, tie=0.6, name="real"), related(20_000, tie=0.6, name="other")
    assert rake(pool, margins_of(real)).effective > 0.98 * 20_000
    left = rake(pool, margins_of(real), band=3.0)
    assert left.effective > 0.9999 * 20_000
    assert left.impossible == 0


def test_a_pair_that_cannot_be_vanishes() -> None:
    real, pool = related(5_000, tie=0.6, name="real"), related(5_000, tie=0.6, name="other")
    real = real[:, ~((real[0] == 2) & (real[2] == 3))]
    raked = rake(pool, margins_of(real))
    forbidden = (pool[0] == 2) & (pool[2] == 3)
    assert raked.impossible == forbidden.sum() > 0
    assert not raked.weights[forbidden].any()
    assert raked.weights[~forbidden].all()


def test_a_cell_that_is_empty_by_chance_is_not_called_impossible() -> None:
    real = np.array([[0] * 30 + [1] * 30, [0] * 29 + [1] + [1] * 30], dtype=np.uint8)[:, :40]
    pool = np.array([[0, 0, 1, 1, 1], [0, 1, 1, 0, 1]], dtype=np.uint8)
    assert rake(pool, margins_of(real)).impossible == 0


def test_known_totals_leave_nothing_in_an_empty_cell() -> None:
    pool = np.array([[0, 0, 1, 2]], dtype=np.uint8)
    raked = rake(pool, Margins(((0,),), (np.array([0.5, 0.5, 0.0]),), np.inf))
    np.testing.assert_allclose(raked.weights, [1, 1, 2, 0])


def test_rows_are_left_where_all_of_them_are_impossible() -> None:
    real = np.zeros((2, 1000), dtype=np.uint8)
    pool = np.ones((2, 50), dtype=np.uint8)
    raked = rake(pool, margins_of(real))
    np.testing.assert_allclose(raked.weights, 1.0)
    assert not raked.converged
    assert raked.after == pytest.approx(1.0)
    assert raked.unmet[0].share == pytest.approx(1.0)


def test_what_the_pool_does_not_hold_is_named() -> None:
    real, pool = related(5_000, tie=0.6, name="real"), related(5_000, tie=0.6, name="other")
    raked = rake(pool[:, pool[0] != 4], margins_of(real, sets=[(0,), (0, 1)]))
    assert raked.unmet[0].columns == (0,)
    assert raked.unmet[0].codes == (4,)
    assert raked.unmet[0].share == pytest.approx(np.mean(real[0] == 4))
    assert not raked.converged


def test_margins_that_contradict_each_other_end_and_say_so() -> None:
    pool = related(2_000, tie=0.6, name="pool")
    tied = np.eye(6) / 6
    raked = rake(pool, Margins(((0,), (0, 1)), (np.array([0.9, 0.02, 0.02, 0.02, 0.02, 0.02]), tied), np.inf))
    assert not raked.converged
    assert np.isfinite(raked.weights).all()
    assert raked.weights.mean() == pytest.approx(1.0)


def test_weights_stay_under_the_cap() -> None:
    pool = np.array([[0] * 99 + [1]], dtype=np.uint8)
    raked = rake(pool, Margins(((0,),), (np.array([0.5, 0.5]),), np.inf), cap=5.0)
    assert raked.weights.max() < 5.3
    assert not raked.converged


def test_a_start_is_kept_as_far_as_the_margins_allow() -> None:
    pool = np.array([[0, 0, 1, 1]], dtype=np.uint8)
    raked = rake(pool, Margins(((0,),), (np.array([0.5, 0.5]),), np.inf), start=np.array([1.0, 3.0, 1.0, 1.0]))
    np.testing.assert_allclose(raked.weights, [0.5, 1.5, 1.0, 1.0])


def test_rows_are_drawn_the_floor_or_the_ceiling_of_their_share() -> None:
    weights = rng("weights").gamma(0.5, size=500)
    weights[::7] = 0.0
    for k in range(20):
        drawn = np.bincount(resample(weights, 800, rng=rng("draw", str(k))), minlength=500)
        share = weights * 800 / weights.sum()
        assert drawn.sum() == 800
        assert np.all((drawn >= np.floor(share - 1e-9)) & (drawn <= np.ceil(share + 1e-9)))


def test_draws_are_fair() -> None:
    weights = np.array([0.2, 0.3, 0.5, 1.0])
    counts = sum(np.bincount(resample(weights, 1, rng=rng("fair", str(k))), minlength=4) for k in range(2000))
    np.testing.assert_allclose(counts / 2000, weights / 2, atol=0.04)


def test_coarse_codes_keep_what_is_frequent_and_what_is_missing() -> None:
    codes = np.minimum(rng("coarse").geometric(0.03, size=(1, 5_000)), 255).astype(np.uint8)
    codes[0, :100] = 0
    codes[0, 100:2_000] = 200
    lookup = coarsening(codes, np.array([True]), most=8)
    small = coarse(codes, lookup)[0]
    assert small.max() <= 8
    assert np.all((small == 0) == (codes[0] == 0))
    assert set(codes[0][small == lookup[0, 200]]) == {200}
    assert np.all(np.diff(lookup[0].astype(int)[1:]) >= 0)


def test_one_row_and_one_code() -> None:
    one = np.zeros((3, 1), dtype=np.uint8)
    raked = rake(one, margins_of(one))
    assert raked.converged
    assert raked.weights.tolist() == [1.0]
    assert raked.after == 0.0


def test_of_many_pairs_the_farthest_are_chosen() -> None:
    real, pool = related(3_000, tie=0.8, name="real", d=30), related(3_000, tie=0.0, name="pool", d=30)
    assert len(farthest_pairs(real, pool, most=1000)) == 435
    few = farthest_pairs(real, pool, most=5)
    assert (0, 1) in few
    assert len(few) == 5


def test_the_gap_of_two_samples_is_as_chance_says() -> None:
    real, pool = related(5_000, tie=0.6, name="real"), related(3_000, tie=0.6, name="other")
    margins = margins_of(real)
    found, expected = gaps_of(pool, margins), chance_gaps(margins, 3_000)
    assert np.all(found < 2.5 * expected)
    assert found.mean() == pytest.approx(expected.mean(), rel=0.3)
