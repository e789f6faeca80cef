"""A classifier between real and synthetic rows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sterling.kernel.estimate import Estimate
from sterling.kernel.finding import Finding, Status
from sterling.kernel.protocols import Terms, mark_of
from sterling.kernel.schema import Kind, Role
from sterling.kernel.view import Column, Need, View
from sterling.measures import two_sample_auc as module
from sterling.measures.two_sample_auc import two_sample_auc


def view(n: int, seed: int) -> View:
    r = np.random.default_rng(seed)
    a = r.normal(size=n)
    return View(
        n,
        "f",
        (
            Column("a", Kind.NUMBER, Role.FEATURE, a),
            Column("b", Kind.NUMBER, Role.FEATURE, a + 0.3 * r.normal(size=n)),
            Column("noise", Kind.NUMBER, Role.FEATURE, r.normal(size=n)),
            Column("c", Kind.CATEGORY, Role.GROUP, r.integers(4, size=n), ("p", "q", "r", "s")),
        ),
    )


def with_values(data: View, name: str, values: np.ndarray) -> View:
    return replace(data, columns=tuple(replace(c, values=values) if c.name == name else c for c in data.columns or ()))


def measured(a: View, b: View, *, seed: int = 0, terms: Terms | None = None) -> Finding:
    (found,) = two_sample_auc(a, b, holdout=None, rng=np.random.default_rng(seed), terms=terms or Terms())
    assert isinstance(found.result, Estimate)
    return found


def columns(found: Finding) -> list[str]:
    table = found.evidence["columns"]
    assert isinstance(table, list)
    return [row["column"] for row in table]  # type: ignore[index]


def test_other_real_rows_cannot_be_told() -> None:
    found = measured(view(1200, 0), view(1000, 1))
    assert found.status is Status.PASS
    assert found.result.low < 0.5 < found.result.high
    assert found.evidence["p_value"] > 0.01


def test_a_broken_dependence_is_seen_and_named() -> None:
    b = view(1000, 1)
    found = measured(view(1000, 0), with_values(b, "b", np.random.default_rng(5).permutation(b.column("b").values)))
    assert found.status is Status.FAIL
    assert found.result.value > 0.8
    assert set(columns(found)[:2]) == {"a", "b"}
    assert "a" in (found.reason or "")


def test_separation_is_one() -> None:
    a, b = view(300, 0), view(300, 1)
    found = measured(a, with_values(b, "a", b.column("a").values + 100))
    assert found.result.value > 0.99
    assert 0.8 < found.result.low < 1.0
    assert found.status is Status.FAIL
    assert columns(found) == ["a"]


def test_a_small_gap_that_is_certain_is_tolerated() -> None:
    a, b = view(6000, 0), view(6000, 1)
    found = measured(a, with_values(b, "noise", b.column("noise").values + 0.18))
    assert found.evidence["p_value"] < 0.01
    assert found.status is Status.PASS


def test_between_the_bounds_is_a_warning() -> None:
    a, b = view(6000, 0), view(6000, 1)
    found = measured(a, with_values(b, "noise", b.column("noise").values + 0.35))
    assert 0.56 < found.result.value < 0.62
    assert found.status is Status.WARN


def test_sampling_is_said_with_what_it_costs(monkeypatch) -> None:
    monkeypatch.setitem(module.MOST_ROWS, "fast", 400)
    found = measured(view(900, 0), view(1000, 1), terms=Terms(effort="fast"))
    assert found.result.n == 800
    assert "400 of 900 real" in (found.reason or "")
    assert "is seen, where all rows would show" in (found.reason or "")


def test_the_interval_is_honest_about_no_gap() -> None:
    found = [measured(view(80, 2 * s), view(80, 2 * s + 1), seed=s).result for s in range(14)]
    assert sum(e.low <= 0.5 <= e.high for e in found) >= 12


def test_an_embedding_alone_is_judged() -> None:
    r = np.random.default_rng(0)
    a, b = (View(600, "e", embedding=r.normal(size=(600, 40))) for _ in range(2))
    assert Need.RECORDS in mark_of(two_sample_auc).needs
    assert measured(a, b).status is not Status.FAIL
    moved = b.embedding.copy()  # type: ignore[union-attr]
    moved[:, 17] += 2
    found = measured(a, replace(b, embedding=moved))
    assert found.status is Status.FAIL
    assert columns(found) == ["dimension 17"]
