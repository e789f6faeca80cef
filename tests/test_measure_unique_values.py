"""Different values per column, at equal numbers of rows."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest

from sterling.kernel.estimate import Estimate
from sterling.kernel.finding import Finding, Status
from sterling.kernel.protocols import Terms
from sterling.kernel.schema import Kind, Role
from sterling.kernel.view import Column, View
from sterling.measures.unique_values import unique_values
from sterling.stats.diversity import rarefied


def view(n: int, seed: int) -> View:
    r = np.random.default_rng(seed)
    zipf = np.minimum(r.zipf(1.6, size=n), 500) - 1
    return View(
        n,
        "f",
        (
            Column("income", Kind.NUMBER, Role.FEATURE, np.round(r.lognormal(10, 1, size=n), 2)),
            Column("age", Kind.NUMBER, Role.FEATURE, r.integers(17, 90, size=n).astype(float), integer=True),
            Column("code", Kind.CATEGORY, Role.FEATURE, zipf, tuple(map(str, range(500)))),
            Column("sex", Kind.CATEGORY, Role.FEATURE, r.integers(2, size=n), ("F", "M")),
        ),
    )


def with_values(data: View, name: str, values: np.ndarray) -> View:
    return replace(data, columns=tuple(replace(c, values=values) if c.name == name else c for c in data.columns or ()))


def measured(a: View, b: View, alpha: float = 0.001) -> tuple[Finding, ...]:
    return unique_values(a, b, holdout=None, rng=np.random.default_rng(0), terms=Terms(alpha=alpha))


def ratios(found: tuple[Finding, ...]) -> dict[str, float]:
    return {row["column"]: row["ratio"] for row in found[0].evidence["columns"]}  # type: ignore[union-attr,index,call-overload,misc]


def test_rarefaction_is_the_mean_over_all_subsamples() -> None:
    items = np.repeat(np.arange(4), [3, 1, 2, 1])
    for size in (1, 3, 6, 7):
        subsets = [items[list(c)] for c in combinations(range(7), size)]
        r = rarefied(np.array([3, 1, 2, 1]), size)
        assert r.distinct == pytest.approx(np.mean([np.unique(s).size for s in subsets]))
        assert r.single == pytest.approx(np.mean([(np.unique(s, return_counts=True)[1] == 1).sum() for s in subsets]))


def test_the_variance_bound_is_one() -> None:
    draws = [np.unique(np.random.default_rng(s).zipf(1.5, size=300), return_counts=True)[1] for s in range(400)]
    spread = float(np.var([d.size for d in draws]))
    assert spread <= float(np.mean([rarefied(d, 300).variance for d in draws])) <= 6 * spread


@pytest.mark.parametrize("bound", [0.0, 0.5])
def test_a_bound_of_nothing_tolerates_everything(bound: float) -> None:
    poor = with_values(view(1000, 1), "income", np.full(1000, 7.0))
    odd = with_values(view(1000, 1), "age", view(1000, 1).column("age").values + 0.123 * np.arange(1000))
    for b in (poor, odd):
        found = unique_values(
            view(1000, 0), b, holdout=None, rng=np.random.default_rng(0), terms=Terms(alpha=0.001, bound=bound)
        )
        assert (found[0].status in (Status.FAIL, Status.WARN)) == (bound > 0)


def test_sets_of_different_size_are_compared_at_one_size() -> None:
    found = measured(view(8000, 0), view(1000, 1))
    assert all(r == pytest.approx(1, abs=0.15) for r in ratios(found).values())
    assert found[0].status is Status.PASS


def test_collapse_onto_few_values_fails_by_name() -> None:
    b = view(4000, 1)
    few = np.random.default_rng(2).choice(b.column("income").values[:800], size=4000)
    found = measured(view(4000, 0), with_values(b, "income", few))
    assert found[0].status is Status.FAIL
    assert [f.slice for f in found[1:]] == ["column=income"]
    assert isinstance(found[0].result, Estimate)
    assert found[0].result.high < 0.5


def test_a_constant_column_fails() -> None:
    found = measured(view(1000, 0), with_values(view(1000, 1), "income", np.full(1000, 7.0)))
    assert found[0].status is Status.FAIL
    assert found[1].slice == "column=income"


@pytest.mark.parametrize(("step", "status"), [(5, Status.FAIL), (2, Status.WARN)])
def test_rounding_is_seen_with_its_step(step: int, status: Status) -> None:
    b = view(3000, 1)
    found = measured(view(3000, 0), with_values(b, "age", np.round(b.column("age").values / step) * step))
    assert found[0].status is status
    assert found[1].evidence["step_synthetic"] == step
    assert found[1].evidence["step_real"] == 1
    assert f"steps of {step}" in (found[0].reason or "")


def test_decimals_on_whole_numbers_warn() -> None:
    b = view(3000, 1)
    noise = np.random.default_rng(3).normal(size=3000)
    found = measured(view(3000, 0), with_values(b, "age", b.column("age").values + noise))
    assert found[0].status is Status.WARN
    assert [f.slice for f in found[1:]] == ["column=age"]


def test_clean_samples_do_not_alarm_and_the_interval_covers() -> None:
    covered = 0
    for s in range(200):
        found = measured(view(400, 2 * s), view(300, 2 * s + 1), alpha=0.05)
        assert found[0].status in (Status.PASS, Status.UNDECIDED)
        assert isinstance(found[0].result, Estimate)
        covered += found[0].result.low <= 1.0 <= found[0].result.high
    assert covered >= 190
