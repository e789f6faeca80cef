"""Many sources: the planted good ones are found, poison stays out, and the cost does not grow as sources do."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from sterling.blend.designs import (
    TRIED,
    designs_for,
    draw_designs,
    fit_surrogate,
    log_mass,
    search_designs,
)
from sterling.blend.folds import deal
from sterling.blend.mixture import Candidate, find_mix
from sterling.blend.search import centre_of, try_all
from sterling.blend.trials import Search, prepare
from sterling.kernel.errors import TaskFailed
from sterling.kernel.protocols import silent
from sterling.kernel.schema import Kind, Role
from sterling.kernel.view import Column, View
from sterling.learners.logistic import Logistic

SLOPES = np.array([1.0, -0.8, 0.6, 0.4, 0.3, 0.2, 0.1, 0.0, 0.5, -0.5, 0.4, 0.3])
# Each good source shows half of the columns' effects: only both together show all.
GOOD = ("source 3", "source 8")


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def rows(n: int, seed: int, *, slopes: np.ndarray = SLOPES, flip: float = 0.0) -> View:
    r = rng(seed)
    x = r.normal(size=(n, SLOPES.size))
    label = (x @ slopes + r.logistic(size=n) > 0).astype(np.int64)
    label = np.where(r.random(n) < flip, 1 - label, label)
    columns = [Column(f"x{j}", Kind.NUMBER, Role.FEATURE, x[:, j]) for j in range(SLOPES.size)]
    return View(n, f"s{seed}", (*columns, Column("y", Kind.CATEGORY, Role.TARGET, label, ("no", "yes"))))


@dataclass
class Counting:
    """The linear learner, and how often it was trained."""

    count: int = 0
    inner: Logistic = field(default_factory=Logistic)

    def fit(self, data: View, weights: Any, *, rng: np.random.Generator, start: Any = None) -> Any:
        self.count += 1
        return self.inner.fit(data, weights, rng=rng)

    def predict(self, model: Any, data: View) -> Any:
        return self.inner.predict(model, data)

    def losses(self, model: Any, data: View) -> Any:
        return self.inner.losses(model, data)


def sources(count: int, seed: int) -> dict[str, Candidate]:
    made: dict[str, Candidate] = {}
    for k in range(count):
        name = f"source {k}"
        if name in GOOD:
            made[name] = Candidate(rows(300, 1000 * seed + k), fitted_on="other")
        else:
            wrong = rng(k).normal(size=SLOPES.size)
            made[name] = Candidate(rows(300, 1000 * seed + k, slopes=0.8 * wrong), fitted_on="other")
    return made


def searched(seed: int, count: int = 12) -> Search:
    made = sources(count, seed)
    return Search(rows(200, 7000 + seed), rows(300, 8000 + seed), made, Counting(), seed, "low", "fast", 0.002, silent)


@pytest.mark.slow
def test_two_good_of_twelve_are_found_where_greedy_trains_more() -> None:
    hits, poison, trainings = 0, 0, []
    for seed in range(4):
        search = searched(seed)
        folds = [prepare(search, part) for part in deal(search.train, folds=4, repeats=1, seed=seed)]
        search.learner.count = 0  # type: ignore[attr-defined]
        _, best = search_designs(search, folds, {name: centre_of(search, name, 100.0) for name in search.candidates})
        trainings.append(search.learner.count)  # type: ignore[attr-defined]
        assert best is not None
        hits += sum(name in best.weights for name in GOOD)
        heavy = {name: weight for name, weight in best.weights.items() if name not in GOOD}
        poison += sum(weight > 0.5 * max(best.weights.values()) for weight in heavy.values())
    assert hits >= 5  # of 8
    assert poison <= 1
    assert max(trainings) <= designs_for(12) + 4 * TRIED


def test_fifty_sources_do_not_cost_fifty_times() -> None:
    heard: list[dict[str, Any]] = []
    learner = Counting()
    found = find_mix(
        rows(200, 1), rows(300, 2), sources(50, 3), worths=dict.fromkeys(sources(50, 3), 100.0), learner=learner,
        seed=0, effort="fast", on_event=lambda e, facts: heard.append(dict(facts)) if e == "cost" else None,
    )  # fmt: skip
    assert learner.count <= heard[0]["trainings"] <= 160
    assert found.tried


def test_every_source_is_seen_and_no_design_is_empty() -> None:
    drawn = draw_designs(np.full(12, 0.2), count=36, rng=rng())
    on = drawn > 0
    assert on.any(axis=1).all()
    assert on.sum(axis=0).min() >= 4
    assert drawn.max() <= 0.6 + 1e-12
    assert (designs_for(5), designs_for(12), designs_for(50)) == (24, 36, 120)


def test_surrogate_knows_a_planted_law() -> None:
    weights = draw_designs(np.full(8, 0.3), count=60, rng=rng(1))
    features = log_mass(weights, np.full(8, 300), 200)
    slopes = np.array([0.02, 0, 0, -0.03, 0, 0.01, 0, 0])
    found = fit_surrogate(features, features @ slopes + 0.002 * rng(2).normal(size=60))
    assert np.abs(found.slopes - slopes).max() < 0.005
    assert found.ranking[:2].tolist() == [0, 5]
    assert found.ranking[-1] == 3


@dataclass(frozen=True)
class Picky:
    """Refuses to train on more rows than it likes."""

    most: int

    def fit(self, data: View, weights: Any, *, rng: np.random.Generator, start: Any = None) -> Any:
        if data.n > self.most:
            raise TaskFailed("out of memory", mend="fewer rows")
        return Logistic().fit(data, weights, rng=rng)

    def predict(self, model: Any, data: View) -> Any:
        return Logistic().predict(model, data)

    def losses(self, model: Any, data: View) -> Any:
        return Logistic().losses(model, data)


@pytest.mark.parametrize("most", [400, 900])
def test_mixes_that_cannot_be_trained_are_left_out(most: int) -> None:
    made = sources(8, 1)
    found = find_mix(rows(200, 1), rows(300, 2), made, worths={}, learner=Picky(most), seed=0, effort="full")
    if most == 400:
        assert "too few of the mixes" in str(found.findings[0].evidence["failed"])
        assert not found.adopted
    else:
        assert found.tried


def test_greedy_is_kept_for_few() -> None:
    search = searched(0, count=4)
    folds = [prepare(search, part) for part in deal(search.train, folds=4, repeats=1, seed=0)]
    tried, best = try_all(search, folds, (), dict.fromkeys(search.candidates, 100.0))
    assert best is not None
    assert {name for trial in tried for name in trial.weights} == set(search.candidates)
