"""Logistic and ridge: the reference's answers, and predictions that stay sane far from the data."""

from __future__ import annotations

import numpy as np
import pytest

from sterling.kernel.errors import InputError
from sterling.kernel.registry import build
from sterling.kernel.schema import Kind, Role
from sterling.kernel.view import Column, View
from sterling.learners.logistic import Logistic


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def view(x: np.ndarray, y: np.ndarray, k: int = 2) -> View:
    target = Column("y", Kind.CATEGORY, Role.TARGET, y.astype(np.int64), tuple("abcd"[:k]))
    columns = [Column(f"x{j}", Kind.NUMBER, Role.FEATURE, x[:, j]) for j in range(x.shape[1])]
    return View(len(y), "v", (*columns, target))


@pytest.mark.parametrize("k", [2, 3])
def test_probabilities_are_those_of_scikit_learn(k: int) -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    x = rng(1).normal(size=(300, 3)) * [1, 10, 0.1] + [0, 5, 0]
    y = np.digitize(x[:, 0] + rng(2).normal(size=300), [0.0, 1.0][: k - 1])
    data = view(x, y, k)
    learner = Logistic()
    mine = learner.predict(learner.fit(data, None, rng=rng()), data)
    z = StandardScaler().fit_transform(x)
    assert np.allclose(mine, LogisticRegression().fit(z, y).predict_proba(z), atol=2e-3)


def test_a_weight_of_two_is_a_row_twice() -> None:
    x = rng(3).normal(size=(80, 2))
    y = (x[:, 0] + rng(4).normal(size=80) > 0).astype(int)
    data, twice = view(x, y), view(np.r_[x, x[:20]], np.r_[y, y[:20]])
    weights = np.where(np.arange(80) < 20, 2.0, 1.0)
    learner = Logistic()
    a = learner.predict(learner.fit(data, weights, rng=rng()), data)
    b = learner.predict(learner.fit(twice, None, rng=rng()), data)
    assert np.allclose(a, b, atol=2e-3)


def test_a_value_a_million_spreads_away_does_not_rule() -> None:
    x = rng(5).normal(size=(100, 1))
    data = view(x, (x[:, 0] > 0).astype(int))
    learner = Logistic()
    model = learner.fit(data, None, rng=rng())
    far = learner.predict(model, view(np.array([[1e12], [np.inf], [np.nan]]), np.zeros(3)))
    assert np.isfinite(far).all()


def test_the_rarest_levels_share_the_intercept() -> None:
    codes = np.repeat(np.arange(4), [50, 30, 3, 1])
    y = Column("y", Kind.CATEGORY, Role.TARGET, (codes == 0).astype(np.int64), ("n", "y"))
    c = Column("c", Kind.CATEGORY, Role.FEATURE, codes, ("a", "b", "c", "d"))
    data = View(84, "v", (c, y))
    learner = Logistic(most_levels=2)
    found = learner.predict(learner.fit(data, None, rng=rng()), data)[:, 1]
    assert found[80] == found[83]  # "c" and "d"
    assert found[0] > 0.9


@pytest.mark.parametrize("setting", [{"strength": 0.0}, {"most_levels": 0}])
def test_settings_that_make_no_sense(setting: dict[str, object]) -> None:
    with pytest.raises(InputError, match="logistic refuses"):
        build("learners", "logistic", setting)
