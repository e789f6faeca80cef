"""Boosted trees: as good as the reference on real tables, tuned inside their own rows, refused settings."""

from __future__ import annotations

import numpy as np
import pytest

from sterling.kernel.errors import InputError
from sterling.kernel.registry import build
from sterling.kernel.schema import Kind, Role
from sterling.kernel.view import Column, View
from sterling.learners.boosted_trees import LEAST_ROUNDS, BoostedTrees
from sterling.stats.scores import score_of


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def table(name: str) -> View:
    from sklearn import datasets

    x, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    columns = [Column(f"x{j}", Kind.NUMBER, Role.FEATURE, x[:, j].astype(float)) for j in range(x.shape[1])]
    if name == "diabetes":
        columns.append(Column("y", Kind.NUMBER, Role.TARGET, y.astype(float)))
    else:
        columns.append(Column("y", Kind.CATEGORY, Role.TARGET, y, tuple(map(str, range(y.max() + 1)))))
    shuffled = rng(0).permutation(len(y))
    return View(len(y), name, tuple(columns)).take(shuffled)


@pytest.mark.parametrize(("name", "least"), [("breast_cancer", 0.97), ("wine", 0.97), ("diabetes", 0.3)])
def test_real_tables(name: str, least: float) -> None:
    data = table(name)
    half = data.n // 2
    train, test = data.take(np.arange(half)), data.take(np.arange(half, data.n))
    learner = BoostedTrees()
    found = score_of(test.target, learner.predict(learner.fit(train, None, rng=rng()), test))  # type: ignore[arg-type]
    assert found > least


def test_noise_stops_early_and_signal_does_not() -> None:
    data = table("breast_cancer")
    noise = Column("y", Kind.CATEGORY, Role.TARGET, rng(1).integers(2, size=data.n), ("0", "1"))
    shuffled = View(data.n, "noise", (*data.features, noise))
    learner = BoostedTrees(budget=100)
    assert learner.fit(shuffled, None, rng=rng()).rounds <= 2 * LEAST_ROUNDS
    assert learner.fit(data, None, rng=rng()).rounds > 3 * LEAST_ROUNDS
    assert BoostedTrees(budget=30, tuning="none").fit(shuffled, None, rng=rng()).rounds == 30


def test_few_rows_get_small_leaves_where_these_pay() -> None:
    x = rng(2).normal(size=36)
    y = Column("y", Kind.CATEGORY, Role.TARGET, (x > 0).astype(np.int64), ("no", "yes"))
    model = BoostedTrees().fit(View(36, "few", (Column("x", Kind.NUMBER, Role.FEATURE, x), y)), None, rng=rng())
    assert model.min_leaf == 5  # with leaves of 20 rows, 36 rows cannot be split at all


@pytest.mark.parametrize(
    "setting", [{"budget": 0}, {"leaves": 1}, {"learning_rate": 0.0}, {"tuning": "grid"}, {"l2": -1}]
)
def test_settings_that_make_no_sense(setting: dict[str, object]) -> None:
    with pytest.raises(InputError, match="boosted_trees refuses"):
        build("learners", "boosted_trees", setting)
