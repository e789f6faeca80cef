"""Outcomes of groups, beyond what features and the overall shift explain."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from sterling.kernel.estimate import Estimate
from sterling.kernel.finding import Finding, Status
from sterling.kernel.protocols import Terms
from sterling.kernel.schema import Kind, Role
from sterling.kernel.view import Column, View
from sterling.measures.outcome_gap import outcome_gap


def view(n: int, seed: int, *, kind: str = "binary", shift: float = 0.0, bias: float = 0.0) -> View:
    """`bias` is added to the logit (or the number) of women, `shift` to that of all."""
    r = np.random.default_rng(seed)
    a, sex, race = r.normal(size=n), r.integers(2, size=n), r.choice(3, size=n, p=[0.1, 0.2, 0.7])
    signal = 3 * a + 1.0 * (sex == 1) - 1.5 + shift + bias * (sex == 0)
    if kind == "number":
        y = Column("y", Kind.NUMBER, Role.TARGET, signal + r.normal(size=n))
    elif kind == "classes":
        noisy = signal + r.logistic(size=n)
        y = Column("y", Kind.CATEGORY, Role.TARGET, np.digitize(noisy, [-2.0, 2.0]), ("low", "mid", "high"))
    else:
        y = Column("y", Kind.CATEGORY, Role.TARGET, (signal + r.logistic(size=n) > 0).astype(int), ("no", "yes"))
    columns = (
        Column("a", Kind.NUMBER, Role.FEATURE, a),
        Column("sex", Kind.CATEGORY, Role.GROUP, sex, ("F", "M")),
        Column("race", Kind.CATEGORY, Role.GROUP, race, ("p", "q", "r")),
        y,
    )
    return View(n, "f", columns)


def flipped(data: View, share: float, seed: int, *, race: int | None = None) -> View:
    """That share of women's (of one race's) "yes" become "no", and as many men go up."""
    r, y = np.random.default_rng(seed), data.column("y").values.copy()
    women = (data.column("sex").values == 0) & (race is None or data.column("race").values == race)
    down = np.flatnonzero(women & (y == 1))
    down = r.permutation(down)[: round(share * down.size)]
    up = r.permutation(np.flatnonzero((data.column("sex").values == 1) & (y == 0)))[: down.size]
    y[down], y[up] = 0, 1
    return replace(data, columns=tuple(replace(c, values=y) if c.name == "y" else c for c in data.columns or ()))


def measured(a: View, b: View, seed: int = 0, alpha: float = 0.001) -> tuple[Finding, ...]:
    return outcome_gap(a, b, holdout=None, rng=np.random.default_rng(seed), terms=Terms(alpha=alpha))


def test_thirty_percent_of_womens_outcomes_flipped_and_men_compensated() -> None:
    caught = 0
    for s in range(6):
        found = measured(view(6000, 2 * s), flipped(view(6000, 2 * s + 1), 0.3, s), s)
        caught += found[0].status is Status.FAIL and {f.slice for f in found[1:]} <= {"sex=F", "sex=M"}
    assert caught >= 5
    assert "sex=" in (found[0].reason or "")


def test_the_intersection_is_named_where_it_alone_is_hit() -> None:
    found = measured(view(10_000, 0), flipped(view(10_000, 1), 0.9, 2, race=1))
    assert found[0].status is Status.FAIL
    assert "race=q&sex=F" in {f.slice for f in found[1:]}


def test_a_shift_of_all_and_a_shift_of_features_are_no_finding() -> None:
    for s in range(3):
        moved = view(5000, 2 * s + 1)
        moved = moved.take(
            np.random.default_rng(s).permutation(np.repeat(np.arange(5000), 1 + (moved.column("a").values > 0)))
        )
        assert measured(view(5000, 2 * s), moved.take(np.arange(5000)), s)[0].status is not Status.FAIL


@pytest.mark.parametrize("kind", ["number", "classes"])
def test_numbers_and_many_classes(kind: str) -> None:
    found = measured(view(6000, 0, kind=kind), view(6000, 1, kind=kind, bias=-0.7))
    assert found[0].status is Status.FAIL
    assert {f.slice for f in found[1:]} & {"sex=F", "sex=M"}
    assert measured(view(6000, 0, kind=kind), view(6000, 2, kind=kind))[0].status is not Status.FAIL


def test_clean_samples_do_not_fail_and_the_error_is_honest() -> None:
    z: list[float] = []
    fails = 0
    for s in range(25):
        found = measured(view(1500, 2 * s), view(1500, 2 * s + 1), s, alpha=0.05)[0]
        fails += found.status is Status.FAIL
        rows = found.evidence["groups"]
        assert isinstance(rows, list)
        z += [r["shift"] / r["standard_error"] for r in rows if r["group"] == "sex=F"]  # type: ignore[index,call-overload,operator]
    assert fails <= 4  # 1.25 expected at most
    assert 0.65 < float(np.std(z)) < 1.35


def test_the_interval_covers_a_planted_shift() -> None:
    """Three in ten women lose their "yes", and no man gains it: the shift is that, times the share of men."""
    everyone = view(200_000, 999)
    truth = 0.5 * 0.3 * float(everyone.column("y").values[everyone.column("sex").values == 0].mean())
    hits = 0
    for s in range(25):
        a, b = view(2000, 2 * s), view(2000, 2 * s + 1)
        hit = (b.column("sex").values == 0) & (np.random.default_rng(s).random(2000) < 0.3)
        y = np.where(hit, 0, b.column("y").values)
        b = replace(b, columns=tuple(replace(c, values=y) if c.name == "y" else c for c in b.columns or ()))
        rows: list[Any] = measured(a, b, s)[0].evidence["groups"]  # type: ignore[assignment]
        row = next(r for r in rows if r["group"] == "sex=F")
        hits += abs(-row["shift"] - truth) <= 1.96 * row["standard_error"]
    assert hits >= 20


def loosely(a: View, b: View, bound: float) -> Finding:
    return outcome_gap(a, b, holdout=None, rng=np.random.default_rng(0), terms=Terms(alpha=0.001, bound=bound))[0]


def test_a_common_group_that_is_gone_keeps_it_open_by_name() -> None:
    a, b = view(4000, 0), view(4000, 1)
    assert loosely(a, b, 0.2).status is Status.PASS
    found = loosely(a, b.take(b.column("race").values != 1), 0.2)
    assert found.status is Status.UNDECIDED
    assert found.evidence["common_groups_without_a_look"] == ["race=q", "race=q&sex=F", "race=q&sex=M"]
    assert "race=q" in (found.reason or "")


def test_a_group_of_nearly_everyone_has_none_to_be_compared_with() -> None:
    def lone(data: View) -> View:
        race = np.r_[np.zeros(5, dtype=int), np.full(data.n - 5, 2)]
        return replace(data, columns=tuple(
            replace(c, values=race) if c.name == "race" else c for c in data.columns or ()
        ))  # fmt: skip

    assert loosely(lone(view(4000, 0)), lone(view(4000, 1)), 0.2).status is Status.PASS


def test_rows_enough_let_it_pass_at_its_own_bound() -> None:
    found = measured(view(150_000, 0), view(150_000, 1))[0]
    assert found.params["rows_real"] == 150_000
    rows: list[Any] = found.evidence["groups"]  # type: ignore[assignment]
    sexes = [r for r in rows if r["group"] in ("sex=F", "sex=M")]
    assert len(sexes) == 2
    assert all(abs(r["shift"]) + 1.96 * r["standard_error"] < 0.005 for r in sexes)


def test_where_rows_are_drawn_more_of_them_are_not_promised() -> None:
    terms = Terms(alpha=0.001, effort="fast")
    found = outcome_gap(view(9000, 0), view(9000, 1), holdout=None, rng=np.random.default_rng(0), terms=terms)[0]
    assert found.status is Status.UNDECIDED
    assert found.evidence["times_the_rows_would_decide"] is None
    assert "It looked at 5,000 of 9,000 real" in (found.reason or "")
    assert "times_the_rows_would_decide" not in measured(view(9000, 0), view(9000, 1))[0].evidence


def test_too_rare_groups_are_said() -> None:
    a = view(400, 0)
    lone = replace(
        a,
        columns=tuple(
            replace(c, values=np.r_[1, np.zeros(399, dtype=int)]) if c.role is Role.GROUP else c
            for c in a.columns or ()
        ),
    )
    found = measured(lone, lone)
    assert found[0].status is Status.UNMEASURED
    assert not isinstance(found[0].result, Estimate)
