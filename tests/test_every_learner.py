"""What every learner must do, whoever wrote it: the suite runs over the registry."""

from __future__ import annotations

import math
import pickle
import sys
from dataclasses import fields, is_dataclass, replace
from typing import Any

import numpy as np
import pytest

from sterling.kernel import registry
from sterling.kernel.protocols import PredictingLearner, ScoringLearner
from sterling.kernel.schema import Kind, Role
from sterling.kernel.view import Column, View
from sterling.stats.scores import score_of

# The least work that a user's program can do: the rate of the first level among the training rows.
PROGRAM = (
    "import os, pyarrow.parquet as pq\n"
    "t = pq.read_table(os.environ['STERLING_TRAIN'])\n"
    "y = t[t.column_names[-1]].to_pylist()\n"
    "print(sum(v == y[0] for v in y) / len(y))\n"
)


def learner_of(name: str, tmp_path: Any) -> Any:
    settings: dict[str, Any] = {}
    if name == "command":
        program = tmp_path / "train.py"
        program.write_text(PROGRAM)
        settings = {"command": f"{sys.executable} {program}"}
    return registry.build("learners", name, settings)


@pytest.fixture(params=registry.names("learners"))
def learner(request: pytest.FixtureRequest, tmp_path: Any) -> Any:
    return learner_of(request.param, tmp_path)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def view(n: int = 200, *, seed: int = 0, target: str = "binary", effect: float = 2.0) -> View:
    """Numbers, a category, a date, missing cells; the target follows `a` and `c`."""
    r = rng(seed)
    a, c = r.normal(size=n), r.integers(3, size=n)
    signal = effect * (a + (c == 1))
    a_seen = np.where(r.random(n) < 0.05, np.nan, a)
    y: Column
    if target == "number":
        y = Column("y", Kind.NUMBER, Role.TARGET, signal + r.normal(size=n))
    elif target == "binary":
        y = Column("y", Kind.CATEGORY, Role.TARGET, (signal + r.logistic(size=n) > 0).astype(np.int64), ("no", "yes"))
    else:
        cut = np.digitize(signal + r.normal(size=n), [-1.0, 1.0]).astype(np.int64)
        y = Column("y", Kind.CATEGORY, Role.TARGET, cut, ("low", "mid", "high", "nobody"))
    return View(
        n,
        "f",
        columns=(
            Column("a", Kind.NUMBER, Role.FEATURE, a_seen),
            Column("c", Kind.CATEGORY, Role.GROUP, np.where(r.random(n) < 0.05, -1, c), ("ü", "b", "c", "d")),
            Column("d", Kind.DATETIME, Role.TIME, 1.7e9 + 86400.0 * r.integers(100, size=n)),
            Column("k", Kind.NUMBER, Role.FEATURE, np.ones(n), integer=True),
            Column("gone", Kind.NUMBER, Role.FEATURE, np.full(n, np.nan)),
            Column("void", Kind.CATEGORY, Role.FEATURE, np.full(n, -1), ("x", "y")),
            y,
        ),
    )


def with_target(data: View, values: np.ndarray) -> View:
    return replace(data, columns=tuple(replace(c, values=values) if c.name == "y" else c for c in data.columns or ()))


def outcome(learner: Any, train: View, test: View, weights: Any = None, seed: int = 0) -> Any:
    model = learner.fit(train, weights, rng=rng(seed))
    return learner.predict(model, test) if isinstance(learner, PredictingLearner) else learner.score(model, test)


def check_predictions(learner: Any, predictions: Any, test: View) -> None:
    if not isinstance(learner, PredictingLearner):
        assert math.isfinite(predictions)
        return
    assert np.isfinite(predictions).all()
    levels = test.target.levels if test.target else None
    if levels is None:
        assert predictions.shape == (test.n,)
    else:
        assert predictions.shape == (test.n, len(levels))
        assert np.allclose(predictions.sum(axis=1), 1.0)
        assert (predictions >= 0).all()


def test_settings_are_a_frozen_dataclass_with_docs(learner: Any) -> None:
    assert is_dataclass(learner)
    assert type(learner).__dataclass_params__.frozen  # type: ignore[attr-defined]
    assert all(f.name in (type(learner).__doc__ or "") for f in fields(learner))
    assert isinstance(learner, PredictingLearner) != isinstance(learner, ScoringLearner)
    assert pickle.loads(pickle.dumps(learner)) == learner


@pytest.mark.parametrize("target", ["binary", "classes", "number"])
def test_shapes_levels_and_losses(learner: Any, target: str) -> None:
    train, test = view(target=target), view(70, seed=1, target=target)
    predictions = outcome(learner, train, test)
    check_predictions(learner, predictions, test)
    if isinstance(learner, PredictingLearner):
        model = learner.fit(train, None, rng=rng())
        losses = learner.losses(model, test)
        assert losses.shape == (test.n,)
        assert (losses >= 0).all()
        assert score_of(test.target, predictions) > (0.75 if target != "number" else 0.5)  # type: ignore[arg-type]
        if target == "classes":
            assert (predictions[:, 3] == 0).all()  # a level that no training row has


def test_same_seed_same_answer_and_nothing_global_moves(learner: Any) -> None:
    train, test = view(120), view(50, seed=1)
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    kept = [c.values.copy() for c in train.columns or ()]
    first, second = outcome(learner, train, test, seed=5), outcome(learner, train, test, seed=5)
    assert np.array_equal(first, second)
    assert np.array_equal(before, np.random.get_state()[1])  # noqa: NPY002
    assert all(np.array_equal(a, c.values, equal_nan=True) for a, c in zip(kept, train.columns or (), strict=True))


def test_models_survive_pickling(learner: Any) -> None:
    train, test = view(80), view(30, seed=1)
    model = learner.fit(train, None, rng=rng())
    again = pickle.loads(pickle.dumps(model))
    use = learner.predict if isinstance(learner, PredictingLearner) else learner.score
    assert np.array_equal(use(model, test), use(again, test))


@pytest.mark.parametrize("n", [1, 2, 5, 30, 60])
@pytest.mark.parametrize("target", ["binary", "number"])
def test_few_rows_never_break_it(learner: Any, n: int, target: str) -> None:
    test = view(40, seed=1, target=target)
    check_predictions(learner, outcome(learner, view(n, target=target), test), test)


def test_one_class_a_constant_and_missing_truths(learner: Any) -> None:
    train, test = view(60), view(40, seed=1)
    for values in (
        np.zeros(60, int),
        np.full(60, -1),
        np.where(np.arange(60) < 55, -1, 1),
        np.r_[1, np.zeros(59, int)],
    ):
        check_predictions(learner, outcome(learner, with_target(train, values), test), test)
    numbers = view(60, target="number")
    for constant in (np.full(60, 3.0), np.full(60, np.nan)):
        found = outcome(learner, with_target(numbers, constant), view(40, seed=1, target="number"))
        assert np.isfinite(found).all()


def test_infinite_values_and_rare_levels_are_borne(learner: Any) -> None:
    train, test = view(100), view(40, seed=1)
    for data in (train, test):
        data.column("a").values[:2] = [np.inf, -np.inf]
    test.column("c").values[:] = 3  # a level no training row has
    check_predictions(learner, outcome(learner, train, test), test)


def test_a_target_without_features_predicts_the_base_rate(learner: Any) -> None:
    train = view(50)
    bare = replace(train, columns=tuple(c for c in train.columns or () if c.name == "y"))
    found = outcome(learner, bare, bare)
    check_predictions(learner, found, bare)


def test_an_embedding_will_do(learner: Any) -> None:
    train = view(150)
    y = train.target
    assert y is not None
    points = rng(3).normal(size=(150, 4)) + y.values[:, None]
    only = View(150, "e", columns=(y,), embedding=points)
    found = outcome(learner, only, only)
    check_predictions(learner, found, only)
    if isinstance(learner, PredictingLearner):
        assert score_of(y, found) > 0.8


def test_weights_matter_and_rows_of_no_weight_do_not(learner: Any) -> None:
    if not isinstance(learner, PredictingLearner):
        pytest.skip("the program is free to ignore them")
    good, bad, test = view(300), view(300, seed=2, effect=-2.0), view(200, seed=1)
    both = replace(
        good,
        n=600,
        columns=tuple(
            replace(g, values=np.concatenate([g.values, b.values]))
            for g, b in zip(good.columns or (), bad.columns or (), strict=True)
        ),
    )

    def score(weight_of_bad: float) -> float:
        weights = np.r_[np.ones(300), np.full(300, weight_of_bad)]
        return score_of(test.target, outcome(learner, both, test, weights / weights.mean()))  # type: ignore[arg-type]

    assert score(0.0) > 0.8
    assert score(0.0) > score(1.0) + 0.1
    assert score(30.0) < 0.3


def test_without_a_target_it_says_what_to_type(learner: Any) -> None:
    from sterling.kernel.errors import InputError

    if not isinstance(learner, PredictingLearner):
        pytest.skip("the program decides")
    data = view(20)
    bare = replace(data, columns=tuple(c for c in data.columns or () if c.name != "y"))
    with pytest.raises(InputError, match="--target"):
        learner.fit(bare, None, rng=rng())
