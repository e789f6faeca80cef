"""Logistic regression, and ridge regression for numbers: the fast, smooth learner."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sterling.kernel.errors import InputError
from sterling.kernel.schema import Kind
from sterling.kernel.view import Column, View
from sterling.stats.scores import base_rate, losses_of

if TYPE_CHECKING:
    from sterling.kernel.view import AnyArray, Floats

MOST_ITERATIONS = 300


@dataclass(frozen=True, slots=True, eq=False)
class _Scaling:
    """How one column becomes features: centre and scale of a number, or the levels that get a column each."""

    name: str
    centre: float = 0.0
    scale: float = 1.0
    levels: AnyArray | None = None


@dataclass(frozen=True, slots=True, eq=False)
class LinearModel:
    """Fitted coefficients; `weights` is None where a constant is all that could be learnt."""

    scalings: tuple[_Scaling, ...]
    weights: Floats | None
    intercept: Floats
    classes: AnyArray
    constant: Floats


@dataclass(frozen=True, slots=True)
class Logistic:
    """Penalised linear model on standardised numbers and one-hot categories.

    A missing number counts as the mean and sets a column of its own; a missing or unseen category
    sets none.

    Args:
        strength: of the ridge penalty, in rows; larger means smoother.
        most_levels: of one category that get a column; rarer ones share the intercept.
    """

    strength: float = 1.0
    most_levels: int = 60

    def __post_init__(self) -> None:
        if self.strength <= 0 or self.most_levels < 1:
            raise ValueError("strength > 0 and most_levels >= 1")

    def fit(self, data: View, weights: Floats | None, *, rng: np.random.Generator, start: Any = None) -> LinearModel:
        """Train on the rows whose target is known and whose weight is above 0; draws nothing from `rng`.

        Raises:
            InputError: if the data have no target.
        """
        target = _target_of(data)
        heavy = np.ones(data.n) if weights is None else np.asarray(weights, dtype=np.float64)
        used = ~target.missing & (heavy > 0)
        rows, y, heavy = data.take(used), target.values[used], heavy[used]
        base = base_rate(target, weights)
        classes = _classes(y, base) if target.kind is Kind.CATEGORY else np.empty(0, dtype=np.int64)
        scalings = tuple(self._scaling(c, heavy) for c in rows.features)
        x = _matrix(rows, scalings)
        if x.shape[1] == 0 or np.unique(y).size < 2:
            return LinearModel(scalings, None, base, classes, base)
        weights_, intercept = self._solve(x, y, heavy, classes)
        return LinearModel(scalings, weights_, intercept, classes, base)

    def predict(self, model: LinearModel, data: View) -> Floats:
        """[n, k] class probabilities in the order of the target's levels, or [n] predicted numbers."""
        if model.weights is None:
            out = np.tile(model.constant, (data.n, 1))
            return out if model.classes.size else out[:, 0]
        linear = _matrix(data, model.scalings) @ model.weights + model.intercept
        if not model.classes.size:
            return linear[:, 0]
        if model.classes.size == 2:  # scikit-learn keeps one vector for two classes
            linear = np.c_[np.zeros(data.n), linear[:, 0]]
        exp = np.exp(linear - linear.max(axis=1, keepdims=True))
        out = np.zeros((data.n, model.constant.size))
        out[:, model.classes] = exp / exp.sum(axis=1, keepdims=True)
        return out

    def losses(self, model: LinearModel, data: View) -> Floats:
        """[n] log loss in nats, or squared error; NaN where the target is missing."""
        return losses_of(_target_of(data), self.predict(model, data))

    def _scaling(self, column: Column, weights: Floats) -> _Scaling:
        if column.kind is Kind.CATEGORY:
            mass = np.bincount(column.values[column.values >= 0], minlength=len(column.levels or ()))
            common = np.argsort(-mass, kind="stable")[: self.most_levels]
            return _Scaling(column.name, levels=np.sort(common[mass[common] > 0]))
        finite = np.isfinite(column.values)
        if not finite.any():
            return _Scaling(column.name)
        centre = float(np.average(column.values[finite], weights=weights[finite]))
        spread = float(np.sqrt(np.average(np.square(column.values[finite] - centre), weights=weights[finite])))
        return _Scaling(column.name, centre, spread or 1.0)

    def _solve(self, x: Floats, y: AnyArray, weights: Floats, classes: AnyArray) -> tuple[Floats, Floats]:
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LogisticRegression, Ridge

        if not classes.size:
            ridge = Ridge(alpha=self.strength).fit(x, y, sample_weight=weights)
            return np.reshape(ridge.coef_, (-1, 1)), np.reshape(ridge.intercept_, 1)
        model = LogisticRegression(C=1.0 / self.strength, max_iter=MOST_ITERATIONS)
        with warnings.catch_warnings():
            # An early end costs a little accuracy, the same in every arm.
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(x, y, sample_weight=weights)
        return np.asarray(model.coef_).T, np.asarray(model.intercept_)


def _target_of(data: View) -> Column:
    if data.target is None:
        raise InputError("there is no target to learn", mend="name the target column: --target NAME")
    return data.target


def _classes(codes: AnyArray, base: Floats) -> AnyArray:
    """The levels that the training rows have; all of them where no row has a truth."""
    return np.unique(codes) if codes.size else np.arange(base.size)


def _matrix(data: View, scalings: tuple[_Scaling, ...]) -> Floats:
    if not data.features and data.embedding is not None:
        return data.embedding
    parts: list[Floats] = []
    for scaling in scalings:
        values = data.column(scaling.name).values
        if scaling.levels is not None:
            parts.append((values[:, None] == scaling.levels).astype(np.float64))
            continue
        known = np.isfinite(values)
        # Ten spreads away is as far as a row may pull: the benchmark may hold values never seen.
        standard = np.clip((np.where(known, values, scaling.centre) - scaling.centre) / scaling.scale, -10.0, 10.0)
        parts += [standard[:, None], ~known[:, None]]
    return np.concatenate([np.empty((data.n, 0)), *parts], axis=1)
