"""A target drawn from boosted trees has its chances; where the chain's own trees serve better there is no head."""

from __future__ import annotations

import pickle

import numpy as np

from sterling.stats.boosted_outcome import byte_coded, byte_coder, draw_outcome, fit_outcome

CODER = byte_coder(np.array([21, 6]), np.array([False, True]))


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def rows(n: int, seed: int) -> np.ndarray:
    return np.stack([rng(seed).integers(1, 21, n), rng(seed + 1).integers(0, 6, n)]).astype(np.uint8)


def test_a_target_is_drawn_with_its_chances_missing_ones_too() -> None:
    n = 6000
    codes = rows(n, 0)
    chance = np.where(codes[0] > 10, 0.9, 0.2)
    ids = np.where(rng(5).random(n) < 0.1, -1, (rng(6).random(n) < chance).astype(int)).astype(np.int32)
    head = fit_outcome(codes, ids, CODER, rng=rng())
    assert head is not None
    fresh = rows(n, 30)
    made = draw_outcome(head, fresh, rng=rng(1))
    assert np.array_equal(made, draw_outcome(pickle.loads(pickle.dumps(head)), fresh, rng=rng(1)))
    assert abs((made == -1).mean() - 0.1) < 0.02
    for upper, wanted in ((True, 0.9), (False, 0.2)):
        known = ((fresh[0] > 10) == upper) & (made >= 0)
        assert abs(made[known].mean() - wanted) < 0.03


def test_what_was_never_seen_counts_as_missing() -> None:
    strange, gone = np.full((2, 5), 255, np.uint8), np.zeros((2, 5), np.uint8)
    assert np.array_equal(byte_coded(CODER, strange).words, byte_coded(CODER, gone).words)


def test_outcomes_that_the_trees_make_better_have_no_head() -> None:
    codes = rows(3000, 0)
    decided = (codes[0] > 10).astype(np.int32)
    assert fit_outcome(codes, decided, CODER, rng=rng()) is None
    assert fit_outcome(codes, np.zeros(3000, np.int32), CODER, rng=rng()) is None
    assert fit_outcome(codes, np.arange(3000, dtype=np.int32), CODER, rng=rng()) is None
    assert fit_outcome(codes[:, :100], rng(3).integers(0, 2, 100).astype(np.int32), CODER, rng=rng()) is None
