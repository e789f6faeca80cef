"""Shares of slices."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sterling.kernel.estimate import Estimate
from sterling.kernel.finding import Finding, Status
from sterling.kernel.protocols import Terms
from sterling.kernel.schema import Kind, Role
from sterling.kernel.view import Column, View
from sterling.measures.slice_coverage import slice_coverage


def view(n: int, seed: int, *, more: int = 0) -> View:
    r = np.random.default_rng(seed)
    age = r.integers(18, 90, size=n).astype(float)
    race = r.choice(4, size=n, p=[0.8, 0.1, 0.09, 0.01])
    return View(
        n,
        "f",
        (
            Column("age", Kind.NUMBER, Role.FEATURE, age, integer=True),
            Column("sex", Kind.CATEGORY, Role.GROUP, r.integers(2, size=n), ("F", "M")),
            Column("race", Kind.CATEGORY, Role.FEATURE, race, ("a", "b", "c", "d")),
            Column("gain", Kind.NUMBER, Role.FEATURE, np.where(r.random(n) < 0.9, 0.0, r.exponential(size=n))),
            Column("y", Kind.CATEGORY, Role.TARGET, (r.random(n) < 0.2).astype(int), ("no", "yes")),
            *(Column(f"z{i}", Kind.NUMBER, Role.FEATURE, r.normal(size=n)) for i in range(more)),
        ),
    )


def measured(a: View, b: View, **terms: float) -> tuple[Finding, ...]:
    return slice_coverage(a, b, holdout=None, rng=np.random.default_rng(0), terms=Terms(**terms))  # type: ignore[arg-type]


def without(data: View, gone: np.ndarray) -> View:
    return data.take(~gone)


def test_a_rare_class_that_is_gone_is_named_alone() -> None:
    b = view(5000, 1)
    found = measured(view(5000, 0), without(b, b.column("race").values == 3))
    assert found[0].status is Status.FAIL
    assert [f.slice for f in found[1:]] == ["race=d"]  # none of its children
    assert isinstance(found[1].result, Estimate)
    assert (found[1].result.value, found[1].result.low) == (0.0, 0.0)
    assert found[1].result.high < 0.8
    assert "none of the" in (found[1].reason or "")


def test_a_two_way_slice_that_is_gone_is_found() -> None:
    b = view(5000, 1)
    gone = (b.column("sex").values == 0) & (b.column("age").values >= 75)
    found = measured(view(5000, 0), without(b, gone))
    assert found[0].status is Status.FAIL
    assert any("age" in (f.slice or "") and "sex=F" in (f.slice or "") for f in found[1:])
    # The child that is gone is named, not the parents that it thins out.
    assert not any(f.slice == "sex=F" for f in found[1:])


def test_other_real_rows_do_not_alarm() -> None:
    for seed in range(20):
        found = measured(view(800, 2 * seed), view(700, 2 * seed + 1), alpha=0.02)
        assert found[0].status in (Status.PASS, Status.UNDECIDED), found[1:]
        assert len(found) == 1


def test_enough_rows_pass_and_the_sentence_says_what_would_be_seen() -> None:
    found = measured(view(30_000, 0), view(30_000, 1))
    assert found[0].status is Status.PASS
    assert found[0].evidence["noticed_from"] < 40
    assert "missing entirely is noticed from" in (found[0].reason or "")


def test_more_of_a_slice_is_a_warning() -> None:
    a, b = view(4000, 0), view(4000, 1)
    rare = np.flatnonzero(b.column("race").values == 2)
    found = measured(a, b.take(np.r_[np.arange(4000), rare, rare]))
    assert found[0].status in (Status.WARN, Status.UNDECIDED)
    assert any(f.slice == "race=c" and f.status is Status.WARN for f in found[1:])
    assert not any(f.status is Status.FAIL for f in found)


def test_combinations_that_real_data_do_not_know_are_a_warning() -> None:
    a, b = view(4000, 0), view(4000, 1)
    a = without(a, (a.column("sex").values == 1) & (a.column("race").values == 2))
    b = without(b, (b.column("sex").values == 1) & (b.column("race").values == 2) & (np.arange(4000) % 4 > 0))
    found = measured(a, b)
    assert [f.slice for f in found[1:]] == ["sex=M&race=c"]
    assert found[1].status is Status.WARN


def test_the_bound_of_a_thin_slice_covers() -> None:
    misses = 0
    for seed in range(200):
        b = view(3000, 2 * seed + 1)
        thin = (b.column("race").values == 1) & (np.random.default_rng([seed, 1]).random(3000) < 0.5)
        found = measured(view(1500, 2 * seed), without(b, thin), alpha=0.2)
        truth = 0.5 / 0.95
        misses += any(f.slice == "race=b" and not f.result.low <= truth <= f.result.high for f in found)  # type: ignore[union-attr]
    assert misses <= 2


def test_wide_tables_name_the_cut() -> None:
    found = measured(view(300, 0, more=45), view(300, 1, more=45))
    assert found[0].params["pairs_left_out"] == 50 * 49 // 2 - 600


def test_asked_for_slices_and_a_bound_of_its_own() -> None:
    b = view(6000, 1)
    thin = (b.column("race").values == 1) & (np.arange(6000) % 3 == 0)
    a, b = view(6000, 0), without(b, thin)
    assert measured(a, b, bound=0.5)[0].status is not Status.FAIL
    assert measured(a, b, bound=0.95)[0].status is Status.FAIL


def test_no_columns_to_slice() -> None:
    many = tuple(map(str, range(400)))
    codes = np.arange(300)
    one = Column("id", Kind.CATEGORY, Role.FEATURE, codes, many)
    found = measured(View(300, "a", (one,)), View(300, "b", (replace(one, values=codes + 50),)))
    assert found[0].status is Status.UNMEASURED
