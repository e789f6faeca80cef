"""Shapley values of nearest neighbours: against enumeration, and the axioms."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from sterling.kernel.seeds import stream
from sterling.stats.shapley import label_scale, neighbour_credits


def worth(members: tuple[int, ...], near: np.ndarray, uses: np.ndarray, k: int) -> float:
    """What a set of players is worth at one validation row, by the definition."""
    nearest = sorted(members, key=lambda i: near[i])[:k]
    return float(sum(uses[i] for i in nearest)) / k


def enumerated(near: np.ndarray, uses: np.ndarray, k: int) -> np.ndarray:
    """Shapley values by their definition, over all subsets."""
    n = near.size
    values = np.zeros(n)
    for i in range(n):
        others = [j for j in range(n) if j != i]
        for size in range(n):
            share = math.factorial(size) * math.factorial(n - 1 - size) / math.factorial(n)
            for some in itertools.combinations(others, size):
                values[i] += share * (worth((*some, i), near, uses, k) - worth(some, near, uses, k))
    return values


@pytest.mark.parametrize("k", [1, 2, 3, 9])
@pytest.mark.parametrize("scale", [None, 2.5])
def test_values_equal_those_by_enumeration(k: int, scale: float | None) -> None:
    rng = stream(3, "shapley", k)
    players, queries = rng.normal(size=(7, 2)), rng.normal(size=(4, 2))
    labels, truths = rng.integers(0, 2, 7), rng.integers(0, 2, 4)
    found = neighbour_credits(
        players, labels, queries, truths, scale=scale, groups=np.zeros((7, 1), dtype=np.int64), rng=rng, k=k
    )
    expected = np.zeros(7)
    for query, truth in zip(queries, truths, strict=True):
        uses = (labels == truth).astype(float) if scale is None else 1 - np.square(labels - truth) / scale
        expected += enumerated(np.square(players - query).sum(axis=1), uses, k) / 4
    np.testing.assert_allclose(found.values, expected, atol=1e-12)


def test_values_add_up_to_what_all_players_are_worth_and_groups_to_their_rows() -> None:
    rng = stream(4, "shapley")
    n, v, k = 300, 40, 5
    players, queries = rng.normal(size=(n, 3)), rng.normal(size=(v, 3))
    labels, truths = rng.normal(size=n), rng.normal(size=v)
    groups = rng.integers(0, 4, size=(n, 1))
    scale = label_scale(labels)
    found = neighbour_credits(players, labels, queries, truths, scale=scale, groups=groups, rng=rng, k=k)
    near = np.argsort(np.square(queries[:, None] - players[None]).sum(axis=2), axis=1)[:, :k]
    everybody = (1 - np.square(labels[near] - truths[:, None]) / scale).mean()
    assert found.values.sum() == pytest.approx(everybody)
    for g in range(4):
        assert found.by_group[:, g].mean() == pytest.approx(found.values[groups[:, 0] == g].sum())


def test_rows_at_the_same_place_share_alike_whatever_their_order() -> None:
    rng = stream(5, "shapley")
    players, labels = np.zeros((400, 1)), np.ones(400)
    found = neighbour_credits(
        players, labels, np.zeros((30, 1)), np.ones(30), scale=None, groups=np.zeros((400, 1), np.int64), rng=rng
    )
    np.testing.assert_allclose(found.values, 1 / 400)


def test_no_player_and_no_validation_row_give_nothing() -> None:
    rng = stream(6, "shapley")
    none = neighbour_credits(
        np.empty((0, 2)), np.empty(0), np.zeros((3, 2)), np.zeros(3), scale=None, groups=np.empty((0, 1), int), rng=rng
    )
    assert none.values.size == 0
    unasked = neighbour_credits(
        np.zeros((3, 2)), np.zeros(3), np.empty((0, 2)), np.empty(0), scale=None, groups=np.zeros((3, 1), int), rng=rng
    )
    assert unasked.values.tolist() == [0, 0, 0]
