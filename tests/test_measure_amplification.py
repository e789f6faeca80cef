"""What a synthetic-trained model does to groups, beyond a real-trained one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sterling.kernel.estimate import Estimate
from sterling.kernel.finding import Finding, Status
from sterling.kernel.protocols import Terms
from sterling.kernel.schema import Kind, Role
from sterling.kernel.view import Column, View
from sterling.learners.logistic import Logistic
from sterling.measures.amplification import amplification


def view(n: int, seed: int, *, bias: float = 0.0, number: bool = False) -> View:
    r = np.random.default_rng(seed)
    a, sex = r.normal(size=n), r.integers(2, size=n)
    signal = 2 * a + 0.5 * (sex == 1) - bias * (sex == 0)
    y = signal + r.logistic(size=n)
    target = (
        Column("y", Kind.NUMBER, Role.TARGET, y)
        if number
        else Column("y", Kind.CATEGORY, Role.TARGET, (y > 0).astype(int), ("no", "yes"))
    )
    return View(
        n,
        "f",
        (
            Column("a", Kind.NUMBER, Role.FEATURE, a),
            Column("sex", Kind.CATEGORY, Role.GROUP, sex, ("F", "M")),
            target,
        ),
    )


def measured(a: View, b: View, holdout: View | None, seed: int = 0, alpha: float = 0.001) -> tuple[Finding, ...]:
    terms = Terms(alpha=alpha, learner=Logistic())
    return amplification(a, b, holdout=holdout, rng=np.random.default_rng(seed), terms=terms)


@pytest.mark.parametrize("number", [False, True])
@pytest.mark.parametrize("held", [True, False])
def test_a_biased_set_is_seen_with_and_without_a_holdout(number: bool, held: bool) -> None:
    a, b = view(4000, 0, number=number), view(4000, 1, bias=1.5, number=number)
    found = measured(a, b, view(3000, 2, number=number) if held else None)
    assert found[0].status is Status.FAIL
    assert [f.slice for f in found[1:]] == ["sex=F"]
    row = found[1].evidence
    assert row["amplified_by_synthetic"] < row["amplified_by_real"]  # type: ignore[operator]


def test_what_the_real_model_amplifies_too_is_no_finding() -> None:
    """Labels replaced by hard decisions amplify nothing beyond what the real model's decisions do."""
    a, b = view(4000, 0), view(4000, 1)
    signal = 2 * b.column("a").values + 0.5 * (b.column("sex").values == 1)
    sharp = replace(
        b,
        columns=tuple(replace(c, values=(signal > 0).astype(int)) if c.name == "y" else c for c in b.columns or ()),
    )
    found = measured(a, sharp, view(3000, 2))
    assert found[0].status is not Status.FAIL
    assert isinstance(found[0].result, Estimate)
    assert found[0].result.value < 0.05


def test_clean_samples_do_not_fail() -> None:
    fails, inside = 0, 0
    for s in range(40):
        found = measured(view(600, 3 * s), view(600, 3 * s + 1), view(600, 3 * s + 2), s, alpha=0.05)[0]
        fails += found.status is Status.FAIL
        rows = found.evidence["groups"]
        assert isinstance(rows, list)
        for row in rows:
            inside += abs(row["synthetic_model"] - row["real_model"]) <= 1.96 * row["standard_error"]  # type: ignore[index,call-overload,operator,arg-type]
    assert fails <= 4
    assert inside >= 72  # of 80; the difference in truth is 0


def test_a_learner_that_only_scores_cannot_be_asked() -> None:
    class Scorer:
        def fit(self, data: View, weights: object, *, rng: object, start: object = None) -> None:
            return None

    terms = Terms(learner=Scorer())  # type: ignore[arg-type]
    found = amplification(view(200, 0), view(200, 1), holdout=None, rng=np.random.default_rng(0), terms=terms)
    assert found[0].status is Status.UNMEASURED


def test_a_common_group_that_is_gone_keeps_it_open_by_name() -> None:
    def measure(b: View) -> Finding:
        terms = Terms(alpha=0.001, bound=0.2, learner=Logistic())
        rng = np.random.default_rng(0)
        return amplification(view(4000, 0), b, holdout=view(3000, 2), rng=rng, terms=terms)[0]

    b = view(4000, 1)
    assert measure(b).status is Status.PASS
    found = measure(b.take(b.column("sex").values == 1))
    assert found.status is Status.UNDECIDED
    assert found.evidence["common_groups_without_a_look"] == ["sex=F"]
    assert "sex=F" in (found.reason or "")


def three_ways(n: int, seed: int, *, bias: tuple[float, float] = (0.0, 0.0)) -> View:
    """Four groups; `bias` lifts the class "high" of the last and of the first."""
    r = np.random.default_rng(seed)
    a, g = r.normal(size=n), r.integers(4, size=n)
    noisy = 2 * a + bias[0] * (g == 3) + bias[1] * (g == 0) + r.logistic(size=n)
    return View(n, "f", (
        Column("a", Kind.NUMBER, Role.FEATURE, a),
        Column("g", Kind.CATEGORY, Role.GROUP, g, ("p", "q", "r", "s")),
        Column("y", Kind.CATEGORY, Role.TARGET, np.digitize(noisy, [-1.0, 1.0]), ("low", "mid", "high")),
    ))  # fmt: skip


def test_groups_come_by_their_worst_outcome() -> None:
    found = measured(three_ways(8000, 0), three_ways(8000, 1, bias=(3.5, -2.5)), three_ways(6000, 2))
    values = [f.result.value for f in found[1:] if isinstance(f.result, Estimate)]
    slices = [f.slice for f in found[1:]]
    assert {"g=p", "g=s"} <= set(slices)
    assert len(slices) == len(set(slices))
    assert values == sorted(values, reverse=True)
