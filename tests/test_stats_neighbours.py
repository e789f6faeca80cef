"""Exact nearest records against brute force."""

from __future__ import annotations

import numpy as np

from sterling.kernel.schema import Kind, Role
from sterling.kernel.view import Column
from sterling.stats import neighbours
from sterling.stats.neighbours import nearest, query_side, rank_scales, ranks, reference_side


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


def test_against_brute_force(monkeypatch: object) -> None:
    for seed in range(5):
        queries, reference = columns(150, seed), columns(230, seed + 100)
        scales = rank_scales(reference)
        neighbours.QUERY_TILE, neighbours.REFERENCE_TILE, kept = 64, 100, (1024, 4096)
        try:
            found, where = nearest(query_side(queries, scales), reference_side(reference, scales))
        finally:
            neighbours.QUERY_TILE, neighbours.REFERENCE_TILE = kept
        table = brute(queries, reference, scales)
        assert np.allclose(found, table.min(axis=1), atol=1e-12)
        assert np.allclose(table[np.arange(150), where], found, atol=1e-12)


def test_a_row_is_nearest_to_itself_at_distance_zero() -> None:
    rows = columns(100, 7)
    scales = rank_scales(rows)
    found, where = nearest(query_side(rows, scales), reference_side(rows, scales))
    assert (found <= neighbours.TIE).all()
    assert np.array_equal(where[:5], np.arange(5))


def test_ranks_do_not_care_for_units() -> None:
    x = np.array([3.0, 1.0, 1.0, 9.0])
    assert np.array_equal(ranks(x, np.sort(x)), ranks(1e6 * x + 5, np.sort(1e6 * x + 5)))
    assert ranks(np.array([np.inf, -np.inf]), np.sort(x)).tolist() == [1.0, 0.0]
    assert ranks(np.array([1.0]), np.empty(0)).tolist() == [0.0]
