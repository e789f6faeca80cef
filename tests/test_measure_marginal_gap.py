"""Largest gap between two columns' distributions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sterling.kernel.estimate import Estimate
from sterling.kernel.finding import Finding, Status
from sterling.kernel.protocols import Terms
from sterling.kernel.schema import Kind, Role
from sterling.kernel.view import Column, View
from sterling.measures.marginal_gap import marginal_gap


def view(n: int, seed: int, *, levels: int = 6) -> View:
    r = np.random.default_rng(seed)
    return View(
        n,
        "f",
        (
            Column("x", Kind.NUMBER, Role.FEATURE, r.normal(size=n)),
            Column("gaps", Kind.NUMBER, Role.FEATURE, np.where(r.random(n) < 0.2, np.nan, r.normal(size=n))),
            Column("c", Kind.CATEGORY, Role.FEATURE, r.integers(levels, size=n), tuple(map(str, range(levels)))),
        ),
    )


def with_values(data: View, name: str, values: np.ndarray) -> View:
    return replace(data, columns=tuple(replace(c, values=values) if c.name == name else c for c in data.columns or ()))


def measured(a: View, b: View, **terms: float) -> tuple[Finding, ...]:
    return marginal_gap(a, b, holdout=None, rng=np.random.default_rng(0), terms=Terms(**terms))  # type: ignore[arg-type]


def value(found: tuple[Finding, ...]) -> Estimate:
    assert isinstance(found[0].result, Estimate)
    return found[0].result


def test_known_answers() -> None:
    a, b = view(400, 0), view(400, 1)
    shifted = with_values(with_values(a, "x", np.arange(400.0)), "gaps", np.zeros(400))
    other = with_values(with_values(a, "x", np.arange(400.0) + 100), "gaps", np.zeros(400))
    assert value(measured(shifted, other)).value == pytest.approx(0.25)
    gone = with_values(b, "x", np.full(400, np.nan))
    assert value(measured(with_values(a, "x", np.zeros(400)), gone)).value == 1.0
    half = with_values(a, "c", np.where(np.arange(400) < 200, 0, a.column("c").values))
    gap = np.abs(np.bincount(half.column("c").values) - np.bincount(a.column("c").values)).sum() / 800
    assert value(measured(a, half)).value == pytest.approx(gap)


def test_more_missing_cells_are_a_gap_of_their_own() -> None:
    a, b = view(3000, 0), view(3000, 1)
    holes = np.where(np.random.default_rng(2).random(3000) < 0.5, np.nan, b.column("gaps").values)
    found = measured(a, with_values(b, "gaps", holes))
    assert found[0].status is Status.FAIL
    assert [f.slice for f in found[1:]] == ["column=gaps"]
    assert value(found).value == pytest.approx(0.4, abs=0.04)


def test_a_planted_shift_fails_by_name_and_a_tolerable_one_does_not() -> None:
    a, b = view(5000, 0), view(5000, 1)
    found = measured(a, with_values(b, "x", b.column("x").values + 0.4))
    assert found[0].status is Status.FAIL
    assert [f.name for f in found[1:]] == ["marginal_gap:column=x"]
    assert "x" in (found[0].reason or "")
    # Detected for certain, and still tolerable: rejecting is not failing.
    slight = measured(view(60_000, 0), with_values(view(60_000, 1), "x", view(60_000, 1).column("x").values + 0.06))
    assert slight[0].status is Status.PASS
    assert value(slight).value > 0.015


def test_many_levels_do_not_alarm_by_their_number() -> None:
    found = measured(view(600, 0, levels=200), view(500, 1, levels=200))
    assert found[0].status in (Status.PASS, Status.UNDECIDED)
    assert value(found).value < 0.1  # not the 200-level column, whose plug-in distance is far above


def test_units_do_not_matter() -> None:
    a, b = view(500, 0), view(500, 1)
    scaled = [with_values(v, "x", np.exp(v.column("x").values) * 1e6) for v in (a, b)]
    assert value(measured(*scaled)).value == value(measured(a, b)).value


def test_the_interval_covers_the_worst_true_gap() -> None:
    hits = 0
    for seed in range(150):
        a, b = view(400, 2 * seed), view(400, 2 * seed + 1)
        uniform = np.random.default_rng([seed, 9]).random(400)
        a = with_values(a, "x", uniform)
        b = with_values(b, "x", np.random.default_rng([seed, 8]).random(400) + 0.2)
        e = value(measured(a, b))
        hits += e.low <= 0.2 <= e.high
    assert hits >= 143
