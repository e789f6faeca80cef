"""Impossible rows."""

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
from sterling.measures.rule_violation import rule_violation
from sterling.modalities.tabular import Tabular
from sterling.sources.frames import from_frame


def view(n: int, seed: int) -> View:
    r = np.random.default_rng(seed)
    role = r.choice(3, size=n, p=[0.4, 0.3, 0.3])
    sex = np.where(role == 0, 1, np.where(role == 1, 0, r.integers(2, size=n)))
    place = r.integers(30, size=n)
    age = np.maximum(17, r.normal(40, 14, size=n).round())
    start, net, tax = r.normal(500, 100, size=n), r.exponential(100, size=n), r.exponential(30, size=n)
    return View(
        n,
        "f",
        (
            Column("role", Kind.CATEGORY, Role.FEATURE, role, ("husband", "wife", "single")),
            Column("sex", Kind.CATEGORY, Role.GROUP, sex, ("F", "M", "X")),
            Column("place", Kind.CATEGORY, Role.FEATURE, place, tuple(f"p{i}" for i in range(30))),
            Column("region", Kind.CATEGORY, Role.FEATURE, place // 6, tuple("abcde")),
            Column("age", Kind.NUMBER, Role.FEATURE, age, integer=True),
            Column("start", Kind.NUMBER, Role.FEATURE, start),
            Column("end", Kind.NUMBER, Role.FEATURE, start + r.exponential(50, size=n)),
            Column("net", Kind.NUMBER, Role.FEATURE, net),
            Column("tax", Kind.NUMBER, Role.FEATURE, tax),
            Column("gross", Kind.NUMBER, Role.FEATURE, net + tax),
        ),
    )


def with_values(data: View, name: str, rows: np.ndarray, values: Any) -> View:
    new = data.column(name).values.copy()
    new[rows] = values
    return replace(data, columns=tuple(replace(c, values=new) if c.name == name else c for c in data.columns or ()))


def measured(a: View, b: View, holdout: View | None = None, **terms: float) -> tuple[Finding, ...]:
    return rule_violation(a, b, holdout=holdout, rng=np.random.default_rng(0), terms=Terms(**terms))  # type: ignore[arg-type]


ROWS = np.arange(60)  # of 5,000: 1.2 %
FAULTS: list[tuple[str, Any, str]] = [
    ("sex", 0, "role=husband&sex=F"),
    ("sex", 2, "sex=X"),
    ("age", 12.0, "age<17"),
    ("age", 150.0, "age>"),
    ("age", np.nan, "age=missing"),
    ("region", None, "place contradicts region"),
    ("end", 100.0, "start>end"),
    ("gross", 400.0, "net+tax!=gross"),
]


@pytest.mark.parametrize(("name", "value", "title"), FAULTS, ids=[f[2] for f in FAULTS])
def test_every_kind_of_rule_is_seen_and_named(name: str, value: Any, title: str) -> None:
    b = view(5000, 1)
    rows = np.flatnonzero(b.column("role").values == 0)[:60] if title.startswith("role") else ROWS
    new = (b.column("region").values[rows] + 1) % 5 if value is None else value
    found = measured(view(5000, 0), with_values(b, name, rows, new), alpha=0.001)
    assert found[0].status is Status.FAIL
    assert (found[1].slice or "").startswith(title)
    assert found[1].status is Status.FAIL
    assert set(found[1].evidence["worst_rows"]) <= set(rows.tolist())
    assert isinstance(found[0].result, Estimate)
    assert found[0].result.value == pytest.approx(0.012, abs=0.003)


def test_other_real_rows_do_not_alarm() -> None:
    more = 0
    for seed in range(15):
        found = measured(view(1500, 2 * seed), view(1500, 2 * seed + 1), alpha=0.05)
        assert found[0].status in (Status.PASS, Status.UNDECIDED), found[0].reason
        assert len(found) == 1
        more += found[0].evidence["at_least"] > 0
    assert more <= 3


def test_the_census_does_not_alarm_and_its_faults_are_seen(adult: Any) -> None:
    parts = [adult.slice(s * 4000, 4000) for s in range(12)]
    views = Tabular().views([from_frame(p) for p in parts])
    for a, b in zip(views[::2], views[1::2], strict=True):
        assert measured(a, b, alpha=0.05)[0].status in (Status.PASS, Status.UNDECIDED)
    real, other, holdout = Tabular().views(
        [from_frame(adult.slice(*s)) for s in ((0, 8000), (8000, 10_000), (18_000, 2000))]
    )
    married = (other.column("marital_status").levels or ()).index("Married-civ-spouse")
    young = with_values(with_values(other, "age", np.arange(50), 15.0), "marital_status", np.arange(50), married)
    found = measured(real, young, holdout, alpha=0.001)
    assert found[0].status is Status.FAIL
    assert found[1].slice in ("age<17", "age=17-18&marital_status=Married-civ-spouse")
    husband = (other.column("relationship").levels or ()).index("Husband")
    rows = np.flatnonzero(other.column("relationship").values == husband)[:100]
    female = (other.column("sex").levels or ()).index("Female")
    found = measured(real, with_values(other, "sex", rows, female), holdout, alpha=0.001)
    assert [f.slice for f in found[1:]] == ["relationship=Husband&sex=Female"]


def test_a_few_impossible_rows_are_no_failure_but_counted() -> None:
    b = with_values(view(5000, 1), "age", np.arange(3), 12.0)
    found = measured(view(5000, 0), b, alpha=0.001)
    assert found[0].status is not Status.FAIL
    assert found[0].evidence["synthetic"] >= 3
    assert {0, 1, 2} <= set(found[0].evidence["worst_rows"])


def test_more_than_tolerated_is_a_matter_of_the_bound() -> None:
    b = with_values(view(5000, 1), "age", ROWS, 12.0)
    found = measured(view(5000, 0), b, bound=0.05)
    assert found[0].status is Status.WARN  # surely more than real rows, surely less than the bound
    assert found[1].status is Status.WARN


def test_the_printed_interval_covers() -> None:
    misses = 0
    for seed in range(30):
        b = with_values(view(800, 2 * seed + 1), "age", np.random.default_rng(seed).random(800) < 0.03, 12.0)
        result = measured(view(800, 2 * seed), b)[0].result
        assert isinstance(result, Estimate)
        misses += not result.low <= 0.03 <= result.high
    assert misses <= 2


def test_nothing_to_mine_is_unmeasured() -> None:
    def blank(n: int) -> View:
        return View(n, "f", (Column("a", Kind.NUMBER, Role.WEIGHT, np.ones(n)),))

    assert measured(blank(100), blank(100))[0].status is Status.UNMEASURED


def test_large_sets_are_drawn_from_and_it_is_said() -> None:
    found = rule_violation(
        view(25_000, 0), view(22_000, 1), holdout=None, rng=np.random.default_rng(0), terms=Terms(effort="fast")
    )
    assert found[0].params["rows_judged"] == 20_000
    assert "drawn" in (found[0].reason or "")


def test_every_candidate_is_a_look() -> None:
    r = np.random.default_rng(0)

    def numbers(n: int) -> View:
        return View(n, "f", tuple(Column(f"x{i}", Kind.NUMBER, Role.FEATURE, r.normal(size=n)) for i in range(6)))

    found = measured(numbers(1000), numbers(1000))[0]
    pairs = sum(found.params["rules"].values())  # type: ignore[union-attr,misc,arg-type]
    # Missing cells and two ends of each, orders, sums; of the quantile bins' pairs some more.
    assert found.params["looks"] >= 6 * 3 + 6 * 5 + 15 * 4
    assert pairs < 30


def test_thousands_of_broken_pairs_take_no_mask_each() -> None:
    import tracemalloc

    r, n, levels = np.random.default_rng(0), 8000, 12

    def chained(*, kept: bool) -> View:
        base = r.integers(levels, size=n)
        codes = [(base + r.integers(2, size=n)) % levels if kept else r.integers(levels, size=n) for _ in range(10)]
        names = tuple(f"l{i}" for i in range(levels))
        return View(n, "f", tuple(Column(f"c{i}", Kind.CATEGORY, Role.FEATURE, c, names) for i, c in enumerate(codes)))

    a, b = chained(kept=True), chained(kept=False)
    tracemalloc.start()
    found = measured(a, b, alpha=0.001)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found[0].status is Status.FAIL
    assert len(found) == 11
    assert found[0].params["rules"]["pairs_of_values"] > 4000  # type: ignore[index,call-overload,operator]
    assert peak < 25e6  # a mask for each pair that is hit would be 32 MB by itself


def test_nothing_but_columns_is_copied() -> None:
    class Heavy:
        def __getitem__(self, rows: object) -> object:
            raise AssertionError("the embedding was copied")

        __array__ = __getitem__

    a, b, c = (replace(view(300, s), embedding=Heavy()) for s in range(3))  # type: ignore[arg-type]
    assert isinstance(measured(a, b, c)[0].result, Estimate)
