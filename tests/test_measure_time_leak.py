"""Rows that know what came later."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sterling.kernel.estimate import Estimate
from sterling.kernel.finding import Finding, Status
from sterling.kernel.protocols import Terms
from sterling.kernel.schema import Kind, Role
from sterling.kernel.view import Column, View, stack
from sterling.measures.time_leak import time_leak

DAY = 86_400.0


def view(n: int, seed: int, *, first: int = 0, last: int = 1000, drift: float = 1.0) -> View:
    r = np.random.default_rng(seed)
    day = r.integers(first, last, size=n)
    price = 100 + drift * day / 5 + r.normal(0, 20, size=n)
    product = (r.random(n) < 0.2 + drift * 0.6 * day / 1500).astype(int)
    return View(
        n,
        "f",
        (
            Column("price", Kind.NUMBER, Role.FEATURE, price),
            Column("product", Kind.CATEGORY, Role.FEATURE, product, ("old", "new")),
            Column("sold", Kind.DATETIME, Role.TIME, 1.5e9 + DAY * day),
            Column("y", Kind.CATEGORY, Role.TARGET, r.integers(2, size=n), ("no", "yes")),
        ),
    )


def at(data: View, times: np.ndarray) -> View:
    return replace(data, columns=tuple(replace(c, values=times) if c.name == "sold" else c for c in data.columns or ()))


def measured(a: View, b: View, holdout: View | None = None, **terms: float) -> tuple[Finding, ...]:
    return time_leak(a, b, holdout=holdout, rng=np.random.default_rng(0), terms=Terms(**terms))  # type: ignore[arg-type]


def test_rows_dated_after_the_end_are_seen_and_named() -> None:
    b = view(3000, 1)
    times = b.column("sold").values.copy()
    times[:150] += 1200 * DAY
    found = measured(view(3000, 0), at(b, times), alpha=0.001)
    assert found[0].status is Status.FAIL
    assert (found[1].slice or "").startswith("sold=after 2020-04-")
    assert found[1].status is Status.FAIL
    assert all(row["row"] < 150 for row in found[1].evidence["latest"])
    assert "dated after" in (found[0].reason or "")


def test_rows_that_claim_an_earlier_time_than_they_come_from_are_seen() -> None:
    b = view(5000, 1)
    times = b.column("sold").values.copy()
    early = np.maximum(times[:1500] - 500 * DAY, 1.5e9)
    found = measured(view(5000, 0), at(b, np.r_[early, times[1500:]]), alpha=0.001)
    assert found[0].status is Status.FAIL
    assert len(found) == 1
    assert "price most of all" in (found[0].reason or "")
    assert found[0].evidence["by_column"][0]["column"] == "price"
    assert np.mean(np.array(found[0].evidence["look_latest"]) < 1500) > 0.7


def test_times_without_regard_to_the_rest_are_seen() -> None:
    b = view(4000, 1)
    found = measured(view(4000, 0), at(b, np.random.default_rng(2).permutation(b.column("sold").values)), alpha=0.001)
    assert found[0].status is Status.FAIL


def test_a_generator_that_learned_from_the_holdout_is_seen() -> None:
    train, holdout = view(4000, 0, last=800), view(1000, 2, first=800)
    honest, future = view(3000, 1, last=800), view(1000, 3, first=800)
    claimed = np.random.default_rng(4).choice(honest.column("sold").values, size=1000)
    clean = measured(train, stack([honest, view(1000, 5, last=800)]), holdout, alpha=0.001)
    assert clean[0].status is not Status.FAIL
    assert clean[0].evidence["after_last_train_row"] == 0
    assert measured(train, stack([honest, at(future, claimed)]), holdout, alpha=0.001)[0].status is Status.FAIL


def test_other_real_rows_do_not_alarm_those_of_the_holdouts_period_neither() -> None:
    certain = 0
    for seed in range(30):
        train, holdout = view(1500, 3 * seed, last=800), view(400, 3 * seed + 1, first=800)
        found = measured(train, view(1500, 3 * seed + 2), holdout, alpha=0.05)
        assert found[0].status is not Status.FAIL
        certain += found[0].evidence["at_least"] > 0
    assert certain <= 5


def test_more_rows_of_one_season_are_no_leak() -> None:
    pool = view(12_000, 1)
    late = pool.column("sold").values > 1.5e9 + 700 * DAY
    b = pool.take(np.flatnonzero(late | (np.arange(12_000) % 4 == 0)))
    assert measured(view(5000, 0), b, alpha=0.02)[0].status is not Status.FAIL


def test_enough_rows_pass_and_no_change_over_time_is_said() -> None:
    found = measured(view(20_000, 0, drift=0.0), view(20_000, 1, drift=0.0))
    assert found[0].status is Status.PASS
    assert abs(found[0].evidence["skill"]) < 0.05
    assert "a leak hardly shows" in (found[0].reason or "")


def test_time_alone_judges_the_end_only_and_says_so() -> None:
    a, b = (replace(v, columns=v.with_role(Role.TIME)) for v in (view(500, 0), view(500, 1)))
    found = measured(a, b)
    assert isinstance(found[0].result, Estimate)
    assert "could not be told" in (found[0].reason or "")


def test_what_cannot_be_measured() -> None:
    a, b = view(100, 0), view(100, 1)
    blank = replace(a, columns=tuple(c for c in a.columns or () if c.role is not Role.TIME))
    assert measured(blank, b)[0].status is Status.NOT_APPLICABLE
    assert measured(at(a, np.full(100, np.nan)), b)[0].status is Status.UNMEASURED
    assert measured(at(a, np.full(100, 1.5e9)), b)[0].status is Status.UNMEASURED
    assert measured(a, at(b, np.full(100, np.nan)))[0].status is Status.UNMEASURED


def test_rows_from_before_the_first_real_one_do_not_pass_unseen() -> None:
    a, b = view(20_000, 0), view(20_000, 1)
    times = b.column("sold").values
    found = measured(a, at(b, times - 5000 * DAY))[0]
    assert found.status is Status.UNDECIDED
    assert isinstance(found.result, Estimate)
    assert found.result.high == 1.0
    assert "100.0% of the synthetic rows are dated before the first real row" in (found.reason or "")
    assert "only 0 of 20,000 rows" in (found.reason or "")
    assert found.evidence["before_first"] == 20_000
    flat, some = view(20_000, 0, drift=0.0), view(20_000, 1, drift=0.0)
    moved = some.column("sold").values - np.where(np.arange(20_000) % 5 == 0, 5000 * DAY, 0)
    assert measured(flat, some)[0].status is Status.PASS
    found = measured(flat, at(some, moved))[0]
    assert found.status is Status.UNDECIDED
    assert "20.0% of the synthetic rows are dated before" in (found.reason or "")


def test_time_alone_passes_where_there_is_no_other_column() -> None:
    a, b = (replace(v, columns=v.with_role(Role.TIME)) for v in (view(2000, 0), view(2000, 1)))
    assert measured(a, b)[0].status is Status.PASS


def test_nothing_but_columns_is_copied() -> None:
    class Heavy:
        def __getitem__(self, rows: object) -> object:
            raise AssertionError("the embedding was copied")

        __array__ = __getitem__

    a, b, c = (replace(view(300, s), embedding=Heavy()) for s in range(3))  # type: ignore[arg-type]
    assert isinstance(measured(a, b, c)[0].result, Estimate)
