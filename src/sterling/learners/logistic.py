"""Logistic regression, and ridge regression for numbers: the fast, smooth learner."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from sterling.kernel.errors import InputError
from sterling.kernel.estimate import Unmeasured
from sterling.kernel.schema import Kind
from sterling.kernel.view import Column, View
from sterling.stats.anchored import anchored, surely, told
from sterling.stats.conditional import dealt
from sterling.stats.scores import base_rate, losses_of

if TYPE_CHECKING:
    from sterling.kernel.view import AnyArray, Floats

# How firmly a model that goes on is held to its start, in rows; firmest of all is not to move.
FIRMNESS = (1.0, 10.0, 100.0, 1000.0)
FOLDS = 4
# A class that one set alone has still begins with a finite score.
LEAST_SHARE = 1e-3


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

    With `start`, a model fitted before, the penalty pulls towards its coefficients instead of towards 0 (a
    Gaussian prior centred on them), in its scaling and its columns. How firmly is chosen by validation inside
    the new rows; it stays where it was, where moving gains no more than its standard error. Levels that the
    first rows lacked set no column; classes that they lacked begin with their share of the new rows.

    Args:
        strength: of the ridge penalty, in rows; larger means smoother.
        most_levels: of one category that get a column; rarer ones share the intercept.
        iterations: of the solver at most; each reads every row once or twice.
    """

    strength: float = 1.0
    most_levels: int = 60
    iterations: int = 300

    def __post_init__(self) -> None:
        if self.strength <= 0 or self.most_levels < 1 or self.iterations < 1:
            raise ValueError("strength > 0, most_levels >= 1 and iterations >= 1")

    def fit(self, data: View, weights: Floats | None, *, rng: np.random.Generator, start: Any = None) -> LinearModel:
        """Train on the rows whose target is known and whose weight is above 0; draws from `rng` with `start` alone.

        Raises:
            InputError: if the data have no target, or `start` is no model of these columns.
        """
        target = _target_of(data)
        heavy = np.ones(data.n) if weights is None else np.asarray(weights, dtype=np.float64)
        used = ~target.missing & (heavy > 0)
        rows, y, heavy = data.take(used), target.values[used], heavy[used]
        base = base_rate(target, weights)
        classes = _classes(y, base) if target.kind is Kind.CATEGORY else np.empty(0, dtype=np.int64)
        before = _learnt(start, rows)
        if before is not None:
            return self._moved(before, rows, heavy, rng=rng)
        scalings = tuple(self._scaling(c, heavy) for c in rows.features)
        x = _matrix(rows, scalings)
        if x.shape[1] == 0 or np.unique(y).size < 2:
            return LinearModel(scalings, None, base, classes, base)
        weights_, intercept = self._solve(x, y, heavy, classes)
        return LinearModel(scalings, weights_, intercept, classes, base)

    def cannot_continue(self) -> Unmeasured | None:
        """Coefficients can always go on: None."""
        return None

    def within(self, visits: int, rows: int) -> Logistic:
        """The same learner on a budget: it reads its `rows` rows, once an iteration, at most `visits` times in all."""
        return replace(self, iterations=max(1, visits // max(1, rows)))

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

    def _moved(self, before: LinearModel, rows: View, heavy: Floats, *, rng: np.random.Generator) -> LinearModel:
        """The coefficients nearest the start that the new rows ask for."""
        y = _target_of(rows).values
        wide = _widened(before, y, heavy) if y.size else before
        if not y.size or wide.weights is None:
            return before
        begin = (wide.weights, wide.intercept)
        numbers = not wide.classes.size
        x, places = _matrix(rows, wide.scalings), y if numbers else np.searchsorted(wide.classes, y)
        fold = dealt(None if numbers else places, y.size, FOLDS, rng=rng)

        def go(at: AnyArray, firm: float) -> tuple[Floats, Floats]:
            return anchored(
                x[at], places[at], heavy[at], *begin,
                firm=firm, loose=self.strength, classes=wide.classes.size, iterations=self.iterations,
            )  # fmt: skip

        parts = [(fold != k, fold == k) for k in range(FOLDS) if (fold != k).any() and (fold == k).any()]

        def held(firm: float) -> Floats:
            return np.array(
                [
                    told(x[out], places[out], heavy[out], *go(into, firm), classes=wide.classes.size)
                    for into, out in parts
                ]
            )

        stay = held(np.inf)
        losses = {firm * self.strength: held(firm * self.strength) for firm in FIRMNESS} if parts else {}
        best = min(losses, key=lambda firm: float(losses[firm].sum()), default=np.inf)
        best = best if best in losses and surely(stay - losses[best]) else np.inf
        weights, intercept = go(np.ones(y.size, dtype=bool), best)
        return replace(wide, weights=weights, intercept=intercept)

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
        model = LogisticRegression(C=1.0 / self.strength, max_iter=self.iterations)
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


def _learnt(start: Any, data: View) -> LinearModel | None:
    """The model to go on from; None where there is none, or it learnt nothing but a constant."""
    if start is None:
        return None
    numbers = _target_of(data).kind is not Kind.CATEGORY
    if not isinstance(start, LinearModel) or bool(start.classes.size) == numbers:
        raise InputError(
            f"logistic cannot go on from a {type(start).__name__}", mend="start from a model of its own, same task"
        )
    width = data.embedding.shape[1] if not data.features and data.embedding is not None else None
    names, own = {c.name for c in data.features}, {s.name for s in start.scalings}
    if names != own or (width is not None and start.weights is not None and start.weights.shape[0] != width):
        raise InputError(
            f"the start model reads {', '.join(sorted(own)) or 'an embedding'}, which the data have not",
            mend="give both fits the same columns, encoded together",
        )
    return start if start.weights is not None else None


def _widened(before: LinearModel, y: AnyArray, heavy: Floats) -> LinearModel:
    """The same model with a column for each class that only the new rows have: its share among them, at first."""
    union = np.union1d(before.classes, y) if before.classes.size else before.classes
    if union.size == before.classes.size or before.weights is None:
        return before
    old = np.searchsorted(union, before.classes)
    known, at = (
        (np.c_[np.zeros(before.weights.shape[0]), before.weights], np.r_[0.0, before.intercept])
        if before.classes.size == 2
        else (before.weights, before.intercept)
    )
    shares = np.array([heavy[y == k].sum() for k in union]) / heavy.sum()
    weights, intercept = np.zeros((known.shape[0], union.size)), np.log(np.maximum(shares, LEAST_SHARE))
    intercept -= np.log(max(LEAST_SHARE, float(shares[old].sum())))
    weights[:, old], intercept[old] = known, at - np.log(np.exp(at - at.max()).sum()) - at.max()
    return replace(before, weights=weights, intercept=intercept, classes=union)


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
