"""Shares of declared groups."""

from __future__ import annotations

import numpy as np
import pytest

from sterling.kernel.estimate import Estimate
from sterling.kernel.finding import Finding, Status
from sterling.kernel.protocols import Terms
from sterling.kernel.schema import Kind, Role
from sterling.kernel.view import Column, View
from sterling.measures.representation import representation

RACES = ("Black", "Other", "White")


def view(n: int, seed: int, *, races: tuple[float, ...] = (0.1, 0.02, 0.88), women: float = 0.4) -> View:
    r = np.random.default_rng(seed)
    return View(
        n,
        "f",
        (
            Column("sex", Kind.CATEGORY, Role.GROUP, r.choice(2, size=n, p=[women, 1 - women]), ("Female", "Male")),
            Column("race", Kind.CATEGORY, Role.GROUP, r.choice(3, size=n, p=races), RACES),
            Column("x", Kind.NUMBER, Role.FEATURE, r.normal(size=n)),
        ),
    )


def measured(a: View, b: View, alpha: float = 0.001) -> tuple[Finding, ...]:
    return representation(a, b, holdout=None, rng=np.random.default_rng(0), terms=Terms(alpha=alpha))


def without(data: View, race: str, sex: str, *, share: float = 1.0) -> View:
    hit = (data.column("race").values == RACES.index(race)) & (
        data.column("sex").values == ("Female", "Male").index(sex)
    )
    gone = np.flatnonzero(hit)[: round(share * int(hit.sum()))]
    return data.take(~np.isin(np.arange(data.n), gone))


def test_a_known_ratio() -> None:
    a, b = view(1000, 0), view(1000, 1)
    found = measured(a, b)[0]
    table = {row["group"]: row for row in found.evidence["groups"]}  # type: ignore[union-attr,index,call-overload]
    women = [int((v.column("sex").values == 0).sum()) for v in (a, b)]
    assert table["sex=Female"]["ratio"] == pytest.approx(women[1] / women[0])  # type: ignore[index,call-overload]
    assert {"race=Black&sex=Female", "race=White", "sex=Male"} <= set(table)


def test_a_group_at_half_its_share_fails_by_name() -> None:
    found = measured(view(10_000, 0), view(10_000, 1, races=(0.05, 0.02, 0.93)))
    assert found[0].status is Status.FAIL
    assert found[1].slice == "race=Black"
    assert isinstance(found[0].result, Estimate)
    assert found[0].result.value == pytest.approx(0.5, abs=0.08)
    assert found[0].result.high < 0.8


def test_too_many_fail_too() -> None:
    found = measured(view(10_000, 0), view(10_000, 1, races=(0.2, 0.02, 0.78)))
    assert found[0].status is Status.FAIL
    assert "race=Black" in {f.slice for f in found}


def test_a_missing_intersection_is_named() -> None:
    found = measured(view(10_000, 0), without(view(10_000, 1), "Other", "Female"))
    assert found[0].status is Status.FAIL
    assert "race=Other&sex=Female" in {f.slice for f in found[1:]}


def test_a_slight_shift_is_tolerated() -> None:
    found = measured(view(100_000, 0), view(100_000, 1, women=0.37))
    assert found[0].status is Status.PASS
    assert found[0].params["groups_with_rows_enough"] == len(found[0].evidence["groups"])  # type: ignore[arg-type]


def levels(n: int, seed: int, *, count: int, least: float = 1.0) -> View:
    """One attribute of so many even levels, the first at `least` times its share."""
    r = np.random.default_rng(seed)
    p = np.array([least, *np.ones(count - 1)]) / (least + count - 1)
    names = tuple(f"g{i}" for i in range(count))
    return View(n, "f", (Column("g", Kind.CATEGORY, Role.GROUP, r.choice(count, size=n, p=p), names),))


def test_a_group_across_the_bound_keeps_it_open_though_none_is_common() -> None:
    """25 levels of 4 %: none is common, one lies at .77 with an interval across .8."""
    a = levels(20_000, 0, count=25)
    b = levels(20_000, 1, count=25, least=0.77)
    found = measured(a, b)[0]
    assert isinstance(found.result, Estimate)
    assert found.result.low < 0.8 < found.result.high
    assert found.status is Status.UNDECIDED
    assert "g=g0" in (found.reason or "")
    assert measured(levels(60_000, 0, count=25), levels(60_000, 2, count=25))[0].status is Status.PASS


def test_an_intersection_across_the_bound_keeps_it_open() -> None:
    b = view(40_000, 1)
    found = measured(view(40_000, 0), without(b, "Other", "Female", share=0.2))
    assert found[0].status is Status.UNDECIDED
    assert "race=Other&sex=Female" in (found[0].reason or "")


def test_groups_of_too_few_rows_pass_nothing() -> None:
    found = measured(levels(2000, 0, count=25), levels(2000, 1, count=25))[0]
    assert found.status is Status.UNDECIDED
    assert found.params["groups_with_rows_enough"] == 0
    assert "none has rows enough" in (found.reason or "")


def test_one_group_passes_nothing() -> None:
    """970 of 1,000 rows surely keep their share; of the 30 others nothing is known."""
    r = np.random.default_rng(0)
    a = View(1000, "f", (Column("g", Kind.CATEGORY, Role.GROUP, r.permutation(1000) // 970, ("most", "few")),))
    assert measured(a, a)[0].status is Status.UNDECIDED


def test_a_failing_group_is_printed_at_the_level_of_its_interval() -> None:
    found = measured(view(10_000, 0), view(10_000, 1, races=(0.05, 0.02, 0.93)))
    for finding in found:
        assert isinstance(finding.result, Estimate)
        assert 0.999 < finding.result.level < 1
    clean = measured(view(10_000, 0), view(10_000, 1))[0].result
    assert isinstance(clean, Estimate)
    assert clean.level == 0.95


def test_clean_samples_fail_no_more_often_than_alpha() -> None:
    fails = sum(
        measured(view(600, 2 * s), view(500, 2 * s + 1), alpha=0.05)[0].status is Status.FAIL for s in range(200)
    )
    assert fails <= 14  # 10 expected at most; the bound of .8 makes it far fewer


def test_at_the_bound_itself_the_level_holds() -> None:
    """Black has exactly .8 of its share: failing is an error."""
    fails = 0
    for s in range(200):
        b = view(4000, 2 * s + 1, races=(0.08, 0.02, 0.9))
        fails += any(f.slice == "race=Black" for f in measured(view(4000, 2 * s), b, alpha=0.2)[1:])
    assert fails <= 20
