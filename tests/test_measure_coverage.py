"""Real rows that nothing synthetic comes near, against what other real rows leave."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sterling.kernel.estimate import Estimate
from sterling.kernel.finding import Finding, Status
from sterling.kernel.protocols import Terms
from sterling.kernel.schema import Kind, Role
from sterling.kernel.view import Column, View, stack
from sterling.measures.coverage import coverage
from sterling.stats.manifold import balls, covered, manifold, nearest_of, spread_of_gap
from sterling.stats.neighbours import Side


def view(n: int, seed: int, *, modes: tuple[int, ...] = (0, 1, 2, 3, 4)) -> View:
    """Five modes that numbers and a category tell apart."""
    r = np.random.default_rng(seed)
    mode = r.choice(modes, size=n)
    x = mode[:, None] * np.array([1.0, -1.0, 0.5]) * 6 + r.normal(size=(n, 3))
    numbers = [Column(f"x{j}", Kind.NUMBER, Role.FEATURE, x[:, j]) for j in range(3)]
    c = np.where(r.random(n) < 0.9, mode, r.integers(5, size=n))
    return View(n, "f", (*numbers, Column("c", Kind.CATEGORY, Role.FEATURE, c, tuple("abcde"))))


def embedded(v: View) -> View:
    x = np.stack([c.values for c in (v.columns or ())[:3]], axis=1)
    turned = np.linalg.qr(np.random.default_rng(0).normal(size=(12, 12)))[0][:3]
    return View(v.n, "f", embedding=100.0 + x @ turned)


def measured(a: View, b: View, seed: int = 0, **terms: float) -> Finding:
    (found,) = coverage(a, b, holdout=None, rng=np.random.default_rng(seed), terms=Terms(**terms))
    return found


@pytest.mark.parametrize("encode", [lambda v: v, embedded])
def test_a_missing_mode_fails_and_its_rows_are_listed(encode: object) -> None:
    real = view(2000, 0)
    found = measured(encode(real), encode(view(2000, 1, modes=(0, 1, 2, 3))))  # type: ignore[operator]
    assert found.status is Status.FAIL
    assert isinstance(found.result, Estimate)
    assert found.result.value == pytest.approx(0.2, abs=0.05)
    x = real.column("x0").values
    assert all(x[e["real_row"]] > 18 for e in found.evidence["farthest"])  # type: ignore[index,union-attr]
    assert found.evidence["synthetic"]["coverage"] < 0.83
    assert found.evidence["real_real"]["coverage"] > 0.95
    assert "no synthetic row near" in (found.reason or "")


def test_other_real_rows_pass_and_the_interval_covers_zero() -> None:
    hits, values = 0, []
    for seed in range(150):
        found = measured(view(320, 2 * seed), view(200, 2 * seed + 1), seed)
        assert isinstance(found.result, Estimate)
        assert found.status is not Status.FAIL
        hits += found.result.low <= 0.0 <= found.result.high
        values.append(found.result.value)
    assert hits >= 137
    assert abs(np.mean(values)) < 4 * np.std(values) / np.sqrt(150)


def test_the_interval_covers_a_true_gap() -> None:
    results = [measured(view(400, 2 * s), view(300, 2 * s + 1, modes=(0, 1, 2, 3)), s).result for s in range(60)]
    kept = [r for r in results if isinstance(r, Estimate)]
    truth = np.mean([r.value for r in kept])
    assert sum(r.low <= truth <= r.high for r in kept) >= 53


def test_collapsed_and_scattered_rows_differ_in_precision_and_recall() -> None:
    real, fresh = view(1500, 0), view(1500, 1)
    collapsed = measured(real, fresh.take(np.arange(1500) % 15))
    assert collapsed.status is Status.FAIL
    assert collapsed.evidence["synthetic"]["recall"] < 0.5
    r = np.random.default_rng(2)
    columns = (replace(c, values=r.permutation(c.values)) for c in fresh.columns or ())
    scattered = measured(real, replace(fresh, columns=tuple(columns)))
    assert scattered.evidence["synthetic"]["precision"] < 0.5 < scattered.evidence["synthetic"]["recall"]


def test_a_sample_is_said_to_be_one() -> None:
    found = measured(view(9000, 0), view(9000, 1))
    assert found.status is Status.PASS
    assert found.params["n_each"] == 3000
    assert "looked at 3,000" in (found.reason or "")


def test_the_four_numbers_against_their_definition() -> None:
    r = np.random.default_rng(3)
    real, made = r.normal(size=(80, 4)), r.normal(size=(60, 4)) + 0.7
    within, across = (((a[:, None] - b[None]) ** 2).sum(axis=2) for a, b in ((real, real), (made, real)))
    own = ((made[:, None] - made[None]) ** 2).sum(axis=2)
    radius = np.sort(within + np.where(np.eye(80) > 0, np.inf, 0), axis=1)[:, 4]
    mine = np.sort(own + np.where(np.eye(60) > 0, np.inf, 0), axis=1)[:, 4]
    inside = across <= radius[None]
    around = balls(real)
    assert np.allclose(around.radii, radius)
    got = manifold(around, made, nearest_of(around, made))
    assert got.precision == inside.any(axis=1).mean()
    assert got.recall == (mine[None] >= across.T).any(axis=1).mean()
    assert got.density == pytest.approx(inside.sum(axis=1).mean() / 5)
    assert got.coverage == inside.any(axis=0).mean()


def test_the_error_is_that_of_repetition_for_columns_and_points() -> None:
    for turn in (lambda x: x, lambda x: Side(np.floor(3 * np.abs(x)), np.ones(3, dtype=bool))):
        gaps, errors = [], []
        for seed in range(80):
            r = np.random.default_rng(seed)
            real, one, other = (turn(r.normal(size=(150, 3))) for _ in range(3))
            around = balls(real)
            mine, theirs = (covered(around, nearest_of(around, s)).mean() for s in (one, other))
            gaps.append(theirs - mine)
            errors.append(spread_of_gap(around, one, other, gap=0.0, rng=r))
        assert np.sqrt(np.mean(np.square(errors))) == pytest.approx(np.std(gaps), rel=0.25)


def test_rows_that_all_are_equal_are_covered() -> None:
    same = stack([view(1, 0)] * 100)
    assert measured(same, same).status is not Status.FAIL
    assert measured(same, view(100, 1)).status is Status.FAIL
