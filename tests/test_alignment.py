"""Moving rows to where others lie: what is matched is equal afterwards, and nothing else is touched."""

from __future__ import annotations

import numpy as np
import pytest

from sterling.stats.alignment import by_class, coral, match_moments, match_quantiles

MATCHES = {"moments": match_moments, "quantiles": match_quantiles, "coral": coral}


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def sets(n: int = 300, m: int = 400, d: int = 5) -> tuple[np.ndarray, np.ndarray]:
    mix = rng(1).normal(size=(d, d))
    return rng(2).normal(size=(m, d)) * 3 + 1, rng(3).normal(size=(n, d)) @ mix - 2


def test_moments_are_equal() -> None:
    source, target = sets()
    found = match_moments(source, target)
    assert np.allclose(found.mean(0), target.mean(0), atol=1e-12)
    assert np.allclose(found.std(0), target.std(0), atol=1e-12)


def test_covariances_are_equal_after_coral() -> None:
    source, target = sets()
    found = coral(source, target)
    assert np.abs(np.cov(found.T) - np.cov(target.T)).max() < 1e-10
    assert np.abs(found.mean(0) - target.mean(0)).max() < 1e-10
    assert np.abs(np.cov(source.T) - np.cov(target.T)).max() > 1


def test_quantiles_are_equal_after_matching_and_order_is_kept() -> None:
    source, target = sets(n=400, m=400)
    found = match_quantiles(source, target)
    assert np.array_equal(np.sort(found, axis=0), np.sort(target, axis=0))
    assert np.array_equal(np.argsort(found, axis=0), np.argsort(source, axis=0))


def test_ties_whole_numbers_and_missing_cells_are_kept() -> None:
    source = np.r_[np.zeros(70), rng(1).integers(1, 9, 30)].astype(float)[:, None]
    source[5] = np.nan
    target = np.r_[np.zeros(50), rng(2).integers(20, 90, 50)].astype(float)[:, None]
    found = match_quantiles(source, target)
    known = ~np.isnan(source[:, 0])
    assert np.array_equal(np.isnan(found), np.isnan(source))
    assert set(found[known, 0]) <= set(target[:, 0])
    for value in np.unique(source[known]):
        assert np.unique(found[source == value]).size == 1
    order = np.argsort(source[known, 0], kind="stable")
    assert (np.diff(found[known, 0][order]) >= 0).all()


@pytest.mark.parametrize("name", MATCHES)
def test_twice_is_once(name: str) -> None:
    match, (source, target) = MATCHES[name], sets()
    source = np.where(rng(4).random(source.shape) < 0.1, np.nan, np.round(source))
    once = match(source, target)
    # A missing cell counts as the mean, which shrinks a covariance each time.
    if name == "coral":
        source, once = sets()[0], coral(sets()[0], target)
    assert np.allclose(match(once, target), once, equal_nan=True, atol=1e-9)


@pytest.mark.parametrize("name", MATCHES)
def test_a_set_like_the_target_hardly_moves(name: str) -> None:
    _, target = sets(n=4000)
    moved = MATCHES[name](target[:2000], target[2000:])
    assert np.abs(moved - target[:2000]).mean() < 0.1 * target.std()


@pytest.mark.parametrize("name", MATCHES)
def test_a_planted_affine_shift_is_undone(name: str) -> None:
    _, target = sets(n=3000)
    turn = np.diag([2.0, 0.5, 1.0, 3.0, 1.0])
    moved = target[1500:] @ turn + 5
    found = MATCHES[name](moved, target[:1500])
    before, after = np.abs(moved - target[1500:]).mean(), np.abs(found - target[1500:]).mean()
    assert after < 0.3 * before


@pytest.mark.parametrize("name", MATCHES)
def test_by_class_keeps_what_a_class_looks_like_where_shares_differ(name: str) -> None:
    def made(n: int, share: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
        y = (rng(seed).random(n) < share).astype(int)
        return rng(seed + 1).normal(size=(n, 2)) + 6 * y[:, None], y

    (source, mine), (target, theirs) = made(2000, 0.8, 1), made(2000, 0.2, 5)
    whole = MATCHES[name](source, target)
    found = by_class(MATCHES[name], source, target, mine=mine, theirs=theirs)
    # With all rows together, the difference in shares is taken for a difference in place.
    assert np.abs(whole[mine == 0].mean(0) - target[theirs == 0].mean(0)).max() > 0.5
    for label in (0, 1):
        assert np.abs(found[mine == label].mean(0) - target[theirs == label].mean(0)).max() < 0.1


def test_a_class_that_the_target_lacks_stays() -> None:
    source, target = sets()
    mine = np.r_[np.zeros(200), np.ones(200)]
    found = by_class(coral, source, target, mine=mine, theirs=np.zeros(target.shape[0]))
    assert np.array_equal(found[200:], source[200:])
    assert not np.array_equal(found[:200], source[:200])


@pytest.mark.parametrize("name", MATCHES)
def test_what_cannot_be_matched_stays_finite(name: str) -> None:
    source, target = sets(n=4, m=3, d=6)
    source[:, 0], target[:, 1] = 2.0, 9.0  # no spread
    source[:, 2] = source[:, 3]  # one says what the other says
    source[:, 4] = np.nan
    found = MATCHES[name](source, target)
    assert np.isnan(found[:, 4]).all()
    assert np.isfinite(np.delete(found, 4, axis=1)).all()
    assert np.allclose(found[:, 1], 9.0)
    one = MATCHES[name](source[:1], target)
    assert np.isfinite(np.delete(one, 4, axis=1)).all()
    assert MATCHES[name](np.empty((0, 6)), target).shape == (0, 6)
