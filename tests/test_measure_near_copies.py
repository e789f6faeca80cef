"""Jittered and one-off copies against the likeness of real rows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sterling.kernel.estimate import Estimate
from sterling.kernel.finding import Finding, Status
from sterling.kernel.protocols import Terms
from sterling.kernel.schema import Kind, Role
from sterling.kernel.view import Column, View, stack
from sterling.measures.near_copies import near_copies


def view(n: int, seed: int, *, step: float = 0.0, names: int = 3, numbers: int = 3) -> View:
    """Correlated rows; `step` rounds the numbers, so that rows repeat each other."""
    r = np.random.default_rng(seed)
    hidden = r.normal(size=(n, 2))
    x = hidden @ np.random.default_rng(1).normal(size=(2, numbers)) + 0.5 * r.normal(size=(n, numbers))
    x = np.round(x / step) * step if step else x
    c = np.clip((hidden[:, :1] + r.normal(size=(n, names))) * 2 + 4, 0, 7).astype(np.int64)
    columns = [Column(f"x{j}", Kind.NUMBER, Role.FEATURE, x[:, j]) for j in range(numbers)]
    columns += [Column(f"c{j}", Kind.CATEGORY, Role.FEATURE, c[:, j], tuple("abcdefgh")) for j in range(names)]
    return View(n, "f", tuple(columns))


def jittered(real: View, rows: int, seed: int, size: float = 0.002) -> View:
    r = np.random.default_rng(seed)
    some = real.take(r.permutation(real.n)[:rows])
    moved = [replace(c, values=c.values + size * r.normal(size=rows)) for c in some.columns or () if c.levels is None]
    return replace(some, columns=(*moved, *(c for c in some.columns or () if c.levels is not None)))


def measured(a: View, b: View, holdout: View | None = None, seed: int = 0, **terms: float) -> Finding:
    (found,) = near_copies(a, b, holdout=holdout, rng=np.random.default_rng(seed), terms=Terms(**terms))
    return found


@pytest.mark.parametrize("holdout", [None, 700])
def test_one_percent_of_jittered_copies_fails(holdout: int | None) -> None:
    real = view(3000, 0)
    made = stack([view(2970, 1), jittered(real, 30, 2)])
    found = measured(real, made, None if holdout is None else view(holdout, 3))
    assert found.status is Status.FAIL
    assert "nearer than any other real row" in (found.reason or "")
    rows = [e["row"] for e in found.evidence["nearest"]]
    assert len(rows) == 10
    assert all(row >= 2970 for row in rows[:5])
    nearest = found.evidence["nearest"][0]
    for c in real.columns or ():
        apart = abs(c.values[nearest["real_row"]] - made.column(c.name).values[nearest["row"]])
        assert apart <= 0.01


def test_copies_with_one_cell_changed_fail_and_the_column_is_named() -> None:
    real = view(3000, 0, step=0.25, names=6)
    r = np.random.default_rng(4)
    some = real.take(r.permutation(3000)[:60])
    changed = replace(
        some,
        columns=tuple(replace(c, values=r.integers(8, size=60)) if c.name == "c4" else c for c in some.columns or ()),
    )
    found = measured(real, stack([view(2940, 1, step=0.25, names=6), changed]), view(1500, 2, step=0.25, names=6))
    assert found.status is Status.FAIL
    assert found.evidence["kind"] == "equal in all columns but c4"
    assert found.evidence["nearest"][0]["differs_in"] == ["c4"]


@pytest.mark.parametrize("step", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("sizes", [(1000, 1000, 0), (1200, 1000, 300), (500, 1500, 500), (1500, 300, 200)])
def test_other_real_rows_never_fail_more_often_than_alpha(step: float, sizes: tuple[int, int, int]) -> None:
    alarms = 0
    for seed in range(12):
        real, made, holdout = (view(n, 3 * seed + i, step=step) for i, n in enumerate(sizes))
        alarms += measured(real, made, holdout if sizes[2] else None, seed, alpha=0.02).status is Status.FAIL
    assert alarms <= 2


def test_the_interval_covers_no_excess() -> None:
    hits = []
    for seed in range(60):
        found = measured(view(800, 3 * seed), view(800, 3 * seed + 1), view(300, 3 * seed + 2), seed)
        assert isinstance(found.result, Estimate)
        hits.append(found.result.low <= 0.0 <= found.result.high)
    assert np.mean(hits) >= 0.9


def test_exact_copies_are_left_to_the_measure_of_copies() -> None:
    real = view(1000, 0)
    assert measured(real, stack([view(950, 1), real.take(np.arange(50))])).status is not Status.FAIL


def test_a_table_that_repeats_itself_is_no_finding() -> None:
    coarse = [view(1000, s, step=2.0, names=1, numbers=1) for s in range(3)]
    assert measured(*coarse).status is not Status.FAIL
    one = [View(300, "f", (view(300, s).columns or ())[:1]) for s in range(3)]
    assert measured(*one).status is not Status.FAIL
