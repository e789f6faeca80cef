"""Exact nearest records against brute force."""

from __future__ import annotations

import numpy as np
import pytest

from sterling.kernel.schema import Kind, Role
from sterling.kernel.view import Column
from sterling.stats import neighbours
from sterling.stats.neighbours import (
    Side,
    count_balls,
    nearest,
    nearest_k,
    nearest_other,
    query_side,
    rank_scales,
    ranks,
    reference_side,
)


def columns(n: int, seed: int, levels: int = 70) -> list[Column]:
    r = np.random.default_rng(seed)
    number = np.where(r.random(n) < 0.1, np.nan, np.round(r.normal(size=n), 1))
    wide = np.where(r.random(n) < 0.1, -1, r.integers(levels, size=n))
    return [
        Column("a", Kind.NUMBER, Role.FEATURE, number),
        Column("b", Kind.NUMBER, Role.FEATURE, r.integers(3, size=n).astype(float), integer=True),
        Column("c", Kind.CATEGORY, Role.FEATURE, np.where(r.random(n) < 0.1, -1, r.integers(4, size=n)), tuple("wxyz")),
        Column("d", Kind.CATEGORY, Role.FEATURE, wide, tuple(map(str, range(levels)))),
        Column("gone", Kind.NUMBER, Role.FEATURE, np.full(n, np.nan)),
    ]


def brute(queries: list[Column], reference: list[Column], scales: tuple) -> np.ndarray:
    total = np.zeros((queries[0].values.size, reference[0].values.size))
    for q, r, scale in zip(queries, reference, scales, strict=True):
        either, both = q.missing[:, None] | r.missing, q.missing[:, None] & r.missing
        if scale is None:
            apart = (q.values[:, None] != r.values).astype(float)
        else:
            apart = (ranks(q.values, scale)[:, None] - ranks(r.values, scale)) ** 2
        total += np.where(both, 0.0, np.where(either, 1.0, apart))
    return total


def side(n: int, seed: int, names: int, numbers: int, *, missing: float = 0.0, levels: int = 5) -> Side:
    r = np.random.default_rng(seed)
    codes, values = r.integers(levels, size=(n, names)), np.round(r.random((n, numbers)), 2)
    cells = np.where(r.random((n, names + numbers)) < missing, -1.0, np.concatenate([codes, values], axis=1))
    mixed = np.random.default_rng(0).permutation(names + numbers)
    return Side(np.ascontiguousarray(cells[:, mixed]), (np.arange(names + numbers) < names)[mixed])


def table(queries: Side, reference: Side) -> np.ndarray:
    total = np.zeros((queries.n, reference.n))
    for j, category in enumerate(reference.category):
        x, y = queries.cells[:, j, None], reference.cells[None, :, j]
        apart = np.where((x < 0) | (y < 0) | category, 1.0, (x - y) ** 2)
        total += np.where(x == y, 0.0, apart)
    return total


def in_order(distances: np.ndarray, k: int) -> np.ndarray:
    """[q, k] by distance, then position; -1 where there are no more."""
    grades = np.where(np.isinf(distances), np.inf, np.round(distances, 9))
    order = np.argsort(grades, axis=1, kind="stable")[:, :k]
    order = np.where(np.isinf(np.take_along_axis(distances, order, axis=1)), -1, order)
    return np.pad(order, ((0, 0), (0, k - order.shape[1])), constant_values=-1)


@pytest.mark.parametrize("levels", [70, 700])
def test_columns_against_brute_force(levels: int) -> None:
    for seed in range(3):
        queries, reference = columns(150, seed, levels), columns(630, seed + 100, levels)
        scales = rank_scales(reference)
        found, where = nearest(query_side(queries, scales), reference_side(reference, scales))
        distances = brute(queries, reference, scales)
        assert np.allclose(found, distances.min(axis=1), atol=1e-12)
        assert np.array_equal(where, in_order(distances, 1)[:, 0])


@pytest.mark.parametrize(
    ("queries", "reference", "names", "numbers", "missing"),
    [
        (300, 900, 3, 2, 0.1),
        (200, 1500, 8, 0, 0.0),
        (200, 1500, 0, 20, 0.0),
        (200, 1500, 0, 11, 0.1),
        (300, 2500, 6, 9, 0.02),
        (50, 300, 300, 4, 0.1),
        (100, 700, 1, 0, 0.0),
        (100, 700, 0, 1, 0.0),
        (40, 1, 2, 2, 0.0),
        (1, 300, 2, 2, 0.0),
        (0, 50, 2, 2, 0.0),
    ],
)
def test_all_searches_against_brute_force(
    queries: int, reference: int, names: int, numbers: int, missing: float
) -> None:
    q, r = side(queries, 1, names, numbers, missing=missing), side(reference, 2, names, numbers, missing=missing)
    distances = table(q, r)
    for k in (1, 4):
        near, where = nearest_k(q, r, k)
        assert np.array_equal(where, in_order(distances, k))
        known = where >= 0
        assert np.allclose(near[known], np.take_along_axis(distances, where, axis=1)[known], atol=1e-12)
        assert np.isinf(near[~known]).all()
    among = table(r, r)
    np.fill_diagonal(among, np.inf)
    near, where = nearest_other(r, 3)
    assert np.array_equal(where, in_order(among, 3))
    radii = np.minimum(near[:, 2], 9.0)
    assert np.array_equal(count_balls(q, r, radii), (distances <= radii + neighbours.TIE).sum(axis=1))


def test_distances_far_smaller_than_single_precision_are_told_apart() -> None:
    r = np.random.default_rng(3)
    reference = Side(0.5 + 1e-5 * r.random((2000, 2)), np.zeros(2, dtype=bool))
    queries = Side(0.5 + 1e-5 * r.random((200, 2)), np.zeros(2, dtype=bool))
    near, where = nearest(queries, reference)
    distances = table(queries, reference)
    assert np.allclose(near, distances.min(axis=1), rtol=0.0, atol=2 * neighbours.TIE)
    assert (distances[np.arange(200), where] <= distances.min(axis=1) + neighbours.TIE).all()


def test_an_omitted_record_is_not_found_but_its_twin_is() -> None:
    cells = np.array([[1.0, 0.2], [1.0, 0.2], [2.0, 0.9], [1.0, 0.2]])
    rows = Side(cells, np.array([True, False]))
    near, where = nearest_k(rows, rows, 2, omit=np.array([0, 1, 2, -1]))
    assert where.tolist() == [[1, 3], [0, 3], [0, 1], [0, 1]]
    assert near[0].tolist() == [0.0, 0.0]


def test_rows_that_share_a_hash_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    from sterling.stats import _neighbour_kernels as kernels

    monkeypatch.setattr(kernels, "row_hashes", lambda cells: np.zeros(cells.shape[0], dtype=np.uint64))
    q, r = side(50, 1, 2, 1), side(200, 2, 2, 1)
    assert np.array_equal(nearest_k(q, r, 3)[1], in_order(table(q, r), 3))


def test_a_row_is_nearest_to_itself_at_distance_zero() -> None:
    rows = columns(100, 7)
    scales = rank_scales(rows)
    found, where = nearest(query_side(rows, scales), reference_side(rows, scales))
    assert (found == 0.0).all()
    assert np.array_equal(where[:5], np.arange(5))


def test_ranks_do_not_care_for_units() -> None:
    x = np.array([3.0, 1.0, 1.0, 9.0])
    assert np.array_equal(ranks(x, np.sort(x)), ranks(1e6 * x + 5, np.sort(1e6 * x + 5)))
    assert ranks(np.array([np.inf, -np.inf]), np.sort(x)).tolist() == [1.0, 0.0]
    assert ranks(np.array([1.0]), np.empty(0)).tolist() == [0.0]
    assert ranks(np.array([0.0, 1.0, 2.0, np.nan]), np.array([1.0, 1.0, 2.0, 5.0])).tolist() == [0.0, 0.25, 0.625, 0.0]
