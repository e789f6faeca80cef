"""What every measure must do, whoever wrote it: the suite runs over the registry."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from sterling.kernel import registry
from sterling.kernel.estimate import Estimate, Unmeasured
from sterling.kernel.finding import Finding, Status
from sterling.kernel.protocols import Measure, Terms, mark_of
from sterling.kernel.schema import Kind, Role
from sterling.kernel.view import Column, TokenColumn, View
from sterling.learners.logistic import Logistic


@pytest.fixture(params=registry.names("measures"))
def name(request: pytest.FixtureRequest) -> str:
    return request.param


def view(n: int = 150, seed: int = 0, *, gap: float = 0.0) -> View:
    r = np.random.default_rng(seed)
    a, c = r.normal(gap, 1, size=n), r.integers(3, size=n)
    y = (2 * a + (c == 1) + r.logistic(size=n) > 0).astype(np.int64)
    columns = (
        Column("a", Kind.NUMBER, Role.FEATURE, np.where(r.random(n) < 0.05, np.nan, a)),
        Column("Größe", Kind.NUMBER, Role.FEATURE, r.integers(5, size=n).astype(float), integer=True),
        Column("c", Kind.CATEGORY, Role.GROUP, np.where(r.random(n) < 0.05, -1, c), ("ü", "b=1&d", "東", "nobody")),
        Column("d", Kind.DATETIME, Role.TIME, 1.7e9 + 86400.0 * r.integers(100, size=n)),
        Column("y", Kind.CATEGORY, Role.TARGET, y, ("no", "yes")),
    )
    lengths = r.integers(8, size=n)
    words = TokenColumn("note", r.zipf(1.5, int(lengths.sum())) % 500, np.concatenate([[0], np.cumsum(lengths)]))
    hashes = r.integers(2**63, size=n).astype(np.uint64)
    return View(n, f"f{seed}", columns, hashes=hashes, sequences=(words,), entities=np.arange(n) // 3)


def with_values(data: View, column: str, values: Any) -> View:
    return replace(
        data,
        columns=tuple(replace(c, values=np.asarray(values)) if c.name == column else c for c in data.columns or ()),
    )


def taken(
    name: str, real: View, synthetic: View, holdout: View | None, seed: int = 0, **terms: Any
) -> tuple[Finding, ...]:
    function: Measure = registry.resolve("measures", name)
    told = Terms(learner=Logistic(), runs=2, effort="fast", **terms)
    found = function(real, synthetic, holdout=holdout, rng=np.random.default_rng(seed), terms=told)
    check(name, found)
    return found


def check(name: str, found: tuple[Finding, ...]) -> None:
    assert isinstance(found, tuple)
    assert found
    assert found[0].slice is None  # the whole set comes first
    for f in found:
        assert f.measure == name
        assert isinstance(f.result, (Estimate, Unmeasured))
        assert isinstance(f.result, Unmeasured) == (f.status in (Status.UNMEASURED, Status.NOT_APPLICABLE))
        assert f.better == mark_of(registry.resolve("measures", name)).better
        assert f.reason or f.status is Status.PASS
        if isinstance(f.result, Unmeasured):
            assert f.result.reason
            assert f.result.mend
        assert pickle.loads(pickle.dumps(f)) == f
        json.dumps(f.as_json(), allow_nan=False)
        if isinstance(f.result, Estimate) and f.status is not Status.UNDECIDED:
            assert f.result.low <= f.result.value <= f.result.high


def statuses(found: tuple[Finding, ...]) -> dict[str, Status]:
    return {f.name: f.status for f in found}


def test_it_is_marked_and_documented(name: str) -> None:
    function = registry.resolve("measures", name)
    mark = mark_of(function)
    assert mark.needs
    assert mark.title
    for part in ("Args:", "Returns:", "Source:"):
        assert part in (function.__doc__ or "")


def test_same_seed_same_answer_and_nothing_else_moves(name: str) -> None:
    sets = view(150, 0), view(120, 1), view(100, 2)
    kept = [[c.values.copy() for c in v.columns or ()] for v in sets]
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    assert taken(name, *sets, seed=5) == taken(name, *sets, seed=5)
    assert np.array_equal(before, np.random.get_state()[1])  # noqa: NPY002
    for v, columns in zip(sets, kept, strict=True):
        assert all(np.array_equal(c.values, k, equal_nan=True) for c, k in zip(v.columns or (), columns, strict=True))


def test_settings_are_recorded(name: str) -> None:
    found = taken(name, view(150, 0), view(150, 1), view(150, 2), alpha=0.001)
    assert found[0].params["alpha"] == 0.001
    assert isinstance(found[0].params["bound"], float)


@pytest.mark.parametrize("n", [0, 1, 5, 29])
def test_too_little_data_is_said(name: str, n: int) -> None:
    enough, few = view(150, 1), view(n, 0)
    for sets in ((few, enough, view(90, 2)), (enough, few, view(90, 2)), (few, few, few)):
        found = taken(name, *sets)
        if sets[0].n < 30 or name != "transfer_drop":
            assert found[0].status is Status.UNMEASURED or name in ("transfer_drop", "copies")
    assert taken(name, few, few, few)[0].status is Status.UNMEASURED
    taken(name, enough, enough, few)
    taken(name, enough, enough, None)


def test_degenerate_columns_are_survived(name: str) -> None:
    n = 110
    sets = view(n, 0), view(n, 1), view(n, 2)
    spoilt: list[tuple[str, Any]] = [
        ("a", np.full(n, np.nan)),
        ("a", np.zeros(n)),
        ("a", np.r_[np.inf, -np.inf, np.full(n - 2, 1e100)]),
        ("c", np.full(n, -1)),
        ("c", np.full(n, 3)),
        ("y", np.zeros(n, dtype=np.int64)),
        ("y", np.full(n, -1)),
        ("y", np.r_[1, np.zeros(n - 1, dtype=np.int64)]),
    ]
    for column, values in spoilt:
        bad = [with_values(v, column, values) for v in sets]
        taken(name, *bad)
        taken(name, sets[0], bad[1], sets[2])


def test_a_number_as_target(name: str) -> None:
    def numeric(v: View, values: Any) -> View:
        y = Column("y", Kind.NUMBER, Role.TARGET, np.asarray(values, dtype=float))
        return replace(v, columns=(*(v.columns or ())[:-1], y))

    sets = [
        numeric(view(150, s), 2 * np.nan_to_num(view(150, s).column("a").values) + np.sin(np.arange(150)))
        for s in range(3)
    ]
    taken(name, *sets)
    for values in (np.zeros(150), np.full(150, np.nan)):
        taken(name, *(numeric(v, values) for v in sets))
        taken(name, sets[0], numeric(sets[1], values), sets[2])


def test_one_column_only(name: str) -> None:
    sets = [view(100, s) for s in range(3)]
    for place in (0, 4):
        alone = [replace(v, columns=(v.columns[place],)) for v in sets if v.columns]
        if place == 4 or "target" not in mark_of(registry.resolve("measures", name)).needs:
            taken(name, alone[0], alone[1], alone[2])


def test_order_of_rows_and_columns_does_not_move_the_verdict(name: str) -> None:
    real, holdout = view(400, 0), view(300, 2)
    for synthetic in (view(400, 1), view(400, 1, gap=1.5)):
        plain = statuses(taken(name, real, synthetic, holdout))
        r = np.random.default_rng(9)
        rows = [v.take(r.permutation(v.n)) for v in (real, synthetic, holdout)]
        columns = [replace(v, columns=(v.columns or ())[::-1]) for v in (real, synthetic, holdout)]
        for sets in (rows, columns):
            other = statuses(taken(name, sets[0], sets[1], sets[2]))
            assert (other[name] is Status.FAIL) == (plain[name] is Status.FAIL)
