"""Learners that go on from a model: what it knew stays, what is new is learnt, odd rows break nothing."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

from sterling.kernel.errors import InputError
from sterling.kernel.protocols import BudgetedLearner, ContinuingLearner
from sterling.kernel.schema import Kind, Role
from sterling.kernel.view import Column, View
from sterling.learners.boosted_trees import BoostedTrees
from sterling.learners.logistic import Logistic
from sterling.stats.anchored import anchored, told
from sterling.stats.scores import losses_of, score_of

LEARNERS = [BoostedTrees(), Logistic()]
NAMES = ("low", "mid", "high", "nobody")


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def view(n: int, seed: int, *, target: str = "binary", off: float = 0.0, levels: int = 3) -> View:
    r = rng(seed)
    a, c = r.normal(size=n), r.integers(levels, size=n)
    signal = 2 * a + (c == 1) + off
    y: Column
    if target == "number":
        y = Column("y", Kind.NUMBER, Role.TARGET, 10 * signal + r.normal(size=n))
    elif target == "binary":
        y = Column("y", Kind.CATEGORY, Role.TARGET, (signal + r.logistic(size=n) > 0).astype(np.int64), ("no", "yes"))
    else:
        y = Column("y", Kind.CATEGORY, Role.TARGET, np.digitize(signal + r.normal(size=n), [-1.0, 1.0]), NAMES)
    features = (
        Column("a", Kind.NUMBER, Role.FEATURE, np.where(r.random(n) < 0.05, np.nan, a)),
        Column("c", Kind.CATEGORY, Role.FEATURE, c, ("u", "v", "w", "only in real", "seldom")),
    )
    return View(n, f"v{seed}", (*features, y))


def loss(learner: Any, model: Any, data: View) -> float:
    return float(np.mean(losses_of(data.target, learner.predict(model, data))))  # type: ignore[arg-type]


@pytest.mark.parametrize("learner", LEARNERS, ids=lambda x: type(x).__name__)
@pytest.mark.parametrize("target", ["binary", "classes", "number"])
def test_a_few_rows_go_further_from_a_start(learner: Any, target: str) -> None:
    assert isinstance(learner, ContinuingLearner)
    assert learner.cannot_continue() is None
    much, few, judge = view(3000, 1, target=target, off=1.5), view(60, 2, target=target), view(2000, 3, target=target)
    start = learner.fit(much, None, rng=rng())
    alone, on = learner.fit(few, None, rng=rng()), learner.fit(few, None, rng=rng(), start=start)
    assert loss(learner, on, judge) < loss(learner, alone, judge)
    assert loss(learner, on, judge) < loss(learner, start, judge)
    again = pickle.loads(pickle.dumps(on))
    assert np.array_equal(learner.predict(on, judge), learner.predict(again, judge))


@pytest.mark.parametrize("learner", LEARNERS, ids=lambda x: type(x).__name__)
def test_a_start_that_is_right_is_left_about_where_it_is(learner: Any) -> None:
    start = learner.fit(view(4000, 1), None, rng=rng())
    judge = view(3000, 3)
    for seed in range(3):
        on = learner.fit(view(50, 10 + seed), None, rng=rng(), start=start)
        assert loss(learner, on, judge) < loss(learner, start, judge) + 0.03


@pytest.mark.parametrize("learner", LEARNERS, ids=lambda x: type(x).__name__)
def test_classes_and_levels_that_one_set_lacks(learner: Any) -> None:
    first, judge = view(1500, 1, target="classes"), view(1000, 3, target="classes", levels=5)
    two = first.take(first.target.values < 2)  # type: ignore[union-attr]
    for start_rows, new_rows in ((two, first), (first, two), (two, view(200, 4, target="classes", levels=5))):
        start = learner.fit(start_rows, None, rng=rng())
        said = learner.predict(learner.fit(new_rows, None, rng=rng(), start=start), judge)
        assert said.shape == (1000, 4)
        assert np.allclose(said.sum(axis=1), 1.0)
        assert (said[:, 3] == 0).all()
        if new_rows is not two:
            assert score_of(judge.target, said) > 0.85  # type: ignore[arg-type]


@pytest.mark.parametrize("learner", LEARNERS, ids=lambda x: type(x).__name__)
def test_rows_that_teach_nothing_break_nothing(learner: Any) -> None:
    start, judge = learner.fit(view(500, 1), None, rng=rng()), view(100, 3)
    one = view(40, 2)
    y = one.target
    assert y is not None
    for few in (one.take(np.arange(1)), one.take(y.values == 1), one.take(np.arange(0)), one.take(np.arange(3))):
        said = learner.predict(learner.fit(few, None, rng=rng(), start=start), judge)
        assert np.isfinite(said).all()
        assert np.allclose(said.sum(axis=1), 1.0)
    # A start that saw one class knows nothing to go on from.
    blank = learner.fit(one.take(y.values == 1), None, rng=rng())
    on = learner.fit(view(500, 1), None, rng=rng(), start=blank)
    assert np.allclose(learner.predict(on, judge), learner.predict(start, judge))


@pytest.mark.parametrize("learner", LEARNERS, ids=lambda x: type(x).__name__)
def test_a_start_of_another_kind_is_refused(learner: Any) -> None:
    start = learner.fit(view(100, 1), None, rng=rng())
    with pytest.raises(InputError, match="cannot go on"):
        learner.fit(view(50, 2), None, rng=rng(), start="model")
    with pytest.raises(InputError, match="cannot go on"):
        learner.fit(view(50, 2, target="number"), None, rng=rng(), start=start)
    other = view(50, 2)
    fewer = View(50, "f", tuple(c for c in other.columns or () if c.name != "c"))
    with pytest.raises(InputError, match="start model reads"):
        learner.fit(fewer, None, rng=rng(), start=start)


@pytest.mark.parametrize("learner", LEARNERS, ids=lambda x: type(x).__name__)
def test_a_budget_is_kept(learner: Any) -> None:
    assert isinstance(learner, BudgetedLearner)
    tight, wide = learner.within(2000, 1000), learner.within(10**9, 1000)
    data, judge = view(1000, 1), view(1000, 3)
    poor, rich = (loss(one, one.fit(data, None, rng=rng()), judge) for one in (tight, wide))
    assert rich < poor
    assert learner.within(0, 1000).fit(data, None, rng=rng()) is not None


def test_trees_of_the_start_stay_and_codes_are_kept() -> None:
    learner = BoostedTrees()
    start = learner.fit(view(2000, 1), None, rng=rng())
    on = learner.fit(view(400, 2, off=2.0), None, rng=rng(), start=start)
    assert on.coder is start.coder
    assert start.trees is not None
    assert on.trees is not None
    n = start.trees.value.size
    assert on.trees.value.size > n
    assert np.array_equal(on.trees.value[:n], start.trees.value)
    none = BoostedTrees(budget=1).fit(view(400, 2), None, rng=rng(), start=start)
    assert none.rounds in (0, 1)


def test_the_anchored_solution_is_the_stationary_point_of_its_penalty() -> None:
    r = rng(5)
    x, w = r.normal(size=(200, 3)), r.random(200)
    begin, at = r.normal(size=(3, 1)), np.array([0.2])
    y = (r.random(200) < 0.5).astype(np.int64)
    found, intercept = anchored(x, y, w, begin, at, firm=5.0, loose=1.0, classes=2, iterations=500)

    def penalised(beta: np.ndarray, c: np.ndarray) -> float:
        away = 2.5 * np.square(beta - begin).sum() + 0.5 * np.square(c - at).sum()
        return told(x, y, w, beta, c, classes=2) + float(away)

    best = penalised(found, intercept)
    for _ in range(50):
        assert penalised(found + 0.01 * r.normal(size=(3, 1)), intercept + 0.01 * r.normal(size=1)) > best
    far, there = anchored(x, y, w, begin, at, firm=np.inf, loose=1.0, classes=2, iterations=500)
    assert np.array_equal(far, begin)
    assert np.array_equal(there, at)
    # Numbers: firm enough, the start; loose enough, ordinary least squares.
    z = x @ np.array([1.0, -2.0, 0.5]) + 3.0
    loose, _ = anchored(x, z, np.ones(200), begin, at, firm=1e-9, loose=1e-9, classes=0, iterations=1)
    assert np.allclose(loose[:, 0], [1.0, -2.0, 0.5])
