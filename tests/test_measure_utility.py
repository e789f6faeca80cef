"""What training on synthetic rows costs; the learner here is small enough to follow by hand."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from sterling.kernel.estimate import Estimate
from sterling.kernel.finding import Finding, Status
from sterling.kernel.protocols import Terms
from sterling.kernel.schema import Kind, Role
from sterling.kernel.view import Column, View
from sterling.measures.utility import utility


@dataclass(frozen=True)
class Centroids:
    """Class means of one number; a number target is its slope."""

    def fit(self, data: View, weights: Any, *, rng: np.random.Generator, start: Any = None) -> Any:
        x, y = data.column("x").values, data.column("y").values
        if data.target is not None and data.target.kind is Kind.NUMBER:
            return np.polyfit(x, y, 1)
        k = len(data.column("y").levels or ())
        return np.array([x[y == c].mean() if (y == c).any() else 1e6 for c in range(k)])

    def predict(self, model: Any, data: View) -> Any:
        x = data.column("x").values
        if data.target is not None and data.target.kind is Kind.NUMBER:
            return np.polyval(model, x)
        apart = np.exp(-np.square(x[:, None] - model))
        return (apart + 1e-12) / (apart + 1e-12).sum(axis=1, keepdims=True)

    def losses(self, model: Any, data: View) -> Any:
        raise AssertionError("not asked for")


@dataclass(frozen=True)
class Scorer:
    """Gives a score only, as the user's own program does."""

    def fit(self, data: View, weights: Any, *, rng: np.random.Generator, start: Any = None) -> Any:
        return np.corrcoef(data.column("x").values, data.column("y").values)[0, 1] + 0.01 * rng.normal()

    def score(self, model: Any, data: View) -> float:
        y = data.column("y").values
        return float(((np.sign(model) * data.column("x").values > 0) == (y == 1)).mean())


def view(n: int, seed: int, *, kind: str = "binary", flip: float = 0.0) -> View:
    r = np.random.default_rng(seed)
    x = r.normal(size=n)
    if kind == "number":
        y = Column("y", Kind.NUMBER, Role.TARGET, (-1 if r.random() < flip else 1) * x + r.normal(size=n))
    elif kind == "classes":
        y = Column("y", Kind.CATEGORY, Role.TARGET, np.digitize(x + r.normal(size=n), [-1, 1]), ("a", "b", "c"))
    else:
        truth = x + r.logistic(size=n) > 0
        y = Column("y", Kind.CATEGORY, Role.TARGET, np.where(r.random(n) < flip, ~truth, truth).astype(int), ("n", "y"))
    return View(n, "f", (Column("x", Kind.NUMBER, Role.FEATURE, x), y))


def measured(a: View, b: View, holdout: View | None, **terms: Any) -> Finding:
    told = Terms(**{"learner": Centroids(), "runs": 3, **terms})
    (found,) = utility(a, b, holdout=holdout, rng=np.random.default_rng(0), terms=told)
    return found


@pytest.mark.parametrize("kind", ["binary", "classes", "number"])
def test_other_real_rows_pass(kind: str) -> None:
    found = measured(view(600, 0, kind=kind), view(500, 1, kind=kind), view(400, 2, kind=kind))
    assert found.status is Status.PASS
    assert isinstance(found.result, Estimate)
    assert found.result.low <= found.result.value <= found.result.high
    assert found.params["metric"] == {"binary": "AUC", "classes": "macro AUC", "number": "R2"}[kind]


@pytest.mark.parametrize("kind", ["binary", "number"])
def test_a_set_that_teaches_the_opposite_fails(kind: str) -> None:
    found = measured(view(600, 0, kind=kind), view(500, 1, kind=kind, flip=0.999999), view(400, 2, kind=kind))
    assert found.status is Status.FAIL
    assert isinstance(found.result, Estimate)
    assert found.result.high < -0.2
    assert f"{found.result.value:+.3f}" in (found.reason or "")


def test_a_bound_within_the_interval_is_undecided_and_says_what_would_decide() -> None:
    sets = view(600, 0, kind="classes"), view(60, 1, kind="classes", flip=0.0), view(250, 2, kind="classes")
    first = measured(*sets).result
    assert isinstance(first, Estimate)
    half = (first.high - first.low) / 2
    found = measured(*sets, bound=half / 4 - first.value)
    assert found.status is Status.UNDECIDED
    need = re.search(r"About ([\d,]+) benchmark rows would decide", found.reason or "")
    assert need is not None
    assert 3_000 < int(need[1].replace(",", "")) < 6_000  # 16 times 250, up to the runs


def test_a_doubtful_answer_takes_all_runs_and_a_clear_one_two() -> None:
    assert "2 trainings" in measured(view(600, 0), view(500, 1), view(400, 2), runs=5).result.method  # type: ignore[union-attr]
    sets = [view(n, seed, kind="classes") for seed, n in enumerate((600, 500, 400))]
    tight = measured(*sets, runs=5, bound=0.0)
    assert "5 trainings" in tight.result.method  # type: ignore[union-attr]


def test_the_interval_covers_the_true_difference() -> None:
    """Two fixed models: the truth is their difference on a very large test."""

    @dataclass(frozen=True)
    class Fixed(Centroids):
        def fit(self, data: View, weights: Any, *, rng: np.random.Generator, start: Any = None) -> Any:
            return 3.0 if data.fingerprint == "synthetic" else 0.5

        def predict(self, model: Any, data: View) -> Any:
            x = data.column("x").values
            p = 1 / (1 + np.exp(-(x + model * np.sin(37 * x))))
            return np.stack([1 - p, p], axis=1)

    arms = view(40, 0), replace(view(40, 1), fingerprint="synthetic")
    truth = measured(*arms, view(50_000, 5), learner=Fixed()).result
    assert isinstance(truth, Estimate)
    found = [measured(*arms, view(150, 100 + s), learner=Fixed(), runs=2).result for s in range(80)]
    assert sum(e.low <= truth.value <= e.high for e in found) >= 70  # type: ignore[union-attr]


def test_a_learner_that_only_scores_will_do() -> None:
    found = measured(view(600, 0), view(500, 1), view(400, 2), learner=Scorer(), runs=6)
    assert found.status is Status.PASS
    assert found.params["metric"] == "score"
    assert measured(view(600, 0), view(500, 1), view(400, 2), learner=Scorer(), runs=1).status is Status.UNMEASURED
    opposite = measured(view(600, 0), view(500, 1, flip=1.0), view(900, 2), learner=Scorer(), runs=12)
    assert opposite.status is Status.FAIL


def test_what_cannot_be_scored_is_said() -> None:
    one = view(400, 2)
    one = replace(
        one, columns=tuple(replace(c, values=np.zeros(400, int)) if c.name == "y" else c for c in one.columns or ())
    )
    for found in (
        measured(view(90, 0), view(90, 1), one),
        measured(view(90, 0), view(90, 1), view(20, 2)),
        measured(view(90, 0), view(20, 1), view(90, 2)),
    ):
        assert found.status is Status.UNMEASURED
        assert found.reason
