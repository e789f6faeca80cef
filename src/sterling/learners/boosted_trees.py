"""Boosted histogram trees: the default learner for tables."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from sterling.kernel.errors import InputError
from sterling.kernel.schema import Kind
from sterling.kernel.view import Column, View
from sterling.stats.encoding import tree_matrix
from sterling.stats.scores import base_rate, losses_of

if TYPE_CHECKING:
    from sterling.kernel.view import AnyArray, Bools, Floats

# Below this many rows one validation part is too noisy to choose by: cross-validate, and try small leaves too.
FEW_ROWS = 1000
# Fewer rounds are never chosen: the log loss may ask for none where the ranking already gains.
LEAST_ROUNDS = 5
PATIENCE = 10
# A round grows one tree per class: with many classes the budget counts trees, ten classes' worth.
CLASSES_PER_BUDGET = 10


@dataclass(frozen=True, slots=True, eq=False)
class TreesModel:
    """Fitted trees; `estimator` is None where a constant is all that could be learnt."""

    estimator: Any
    classes: AnyArray
    constant: Floats
    rounds: int
    min_leaf: int


@dataclass(frozen=True, slots=True, eq=False)
class _Rows:
    """Training rows as scikit-learn takes them."""

    x: Floats
    y: AnyArray
    weights: Floats
    categorical: Bools

    def take(self, index: AnyArray) -> _Rows:
        return _Rows(self.x[index], self.y[index], self.weights[index], self.categorical)


@dataclass(frozen=True, slots=True)
class BoostedTrees:
    """Gradient boosting on histograms, tuned inside its own training rows.

    The number of rounds (and, below 1,000 rows, the leaf size) is chosen by validation on the rows
    that `fit` is given, by the same search whatever the rows are; then all of them are used.

    Args:
        budget: most rounds of boosting.
        learning_rate: shrinkage of each round.
        leaves: most leaves of a tree.
        min_leaf: fewest rows in a leaf.
        l2: ridge penalty on leaf values.
        tuning: "early" chooses the rounds by validation; "none" uses the whole budget.

    Source: Friedman 2001; Ke et al. 2017 (LightGBM); scikit-learn's HistGradientBoosting.
    """

    budget: int = 200
    learning_rate: float = 0.08
    leaves: int = 16
    min_leaf: int = 20
    l2: float = 1.0
    tuning: Literal["early", "none"] = "early"

    def __post_init__(self) -> None:
        if self.budget < 1 or self.leaves < 2 or self.min_leaf < 1 or self.learning_rate <= 0 or self.l2 < 0:
            raise ValueError("budget, min_leaf >= 1, leaves >= 2, learning_rate > 0, l2 >= 0")
        if self.tuning not in ("early", "none"):
            raise ValueError(f"tuning is 'early' or 'none', not {self.tuning!r}")

    def fit(self, data: View, weights: Floats | None, *, rng: np.random.Generator, start: Any = None) -> TreesModel:
        """Train on the rows whose target is known and whose weight is above 0.

        Raises:
            InputError: if the data have no target.
        """
        target, rows = _target_of(data), _rows(data, weights)
        base = base_rate(target, weights)
        classes = _classes(rows.y, base) if target.kind is Kind.CATEGORY else np.empty(0, dtype=np.int64)
        if rows.x.shape[1] == 0 or np.unique(rows.y).size < 2:
            return TreesModel(None, classes, base, 0, self.min_leaf)
        budget = max(LEAST_ROUNDS, self.budget * CLASSES_PER_BUDGET // max(CLASSES_PER_BUDGET, len(classes)))
        rounds, min_leaf = (
            (budget, self.min_leaf) if self.tuning == "none" else self._search(rows, classes, budget=budget, rng=rng)
        )
        model = self._estimator(rows, classes, rounds=rounds, min_leaf=min_leaf)
        model.fit(_bindable(rows.x), rows.y, sample_weight=rows.weights)
        return TreesModel(model, classes, base, rounds, min_leaf)

    def predict(self, model: TreesModel, data: View) -> Floats:
        """[n, k] class probabilities in the order of the target's levels, or [n] predicted numbers."""
        if model.estimator is None:
            out = np.tile(model.constant, (data.n, 1))
            return out if model.classes.size else out[:, 0]
        x, _ = _matrix(data)
        if not model.classes.size:
            return np.asarray(model.estimator.predict(x), dtype=np.float64)
        # Levels that no training row had keep probability 0.
        out = np.zeros((data.n, model.constant.size))
        out[:, model.classes] = model.estimator.predict_proba(x)
        return out

    def losses(self, model: TreesModel, data: View) -> Floats:
        """[n] log loss in nats, or squared error; NaN where the target is missing."""
        return losses_of(_target_of(data), self.predict(model, data))

    def _search(self, rows: _Rows, classes: AnyArray, *, budget: int, rng: np.random.Generator) -> tuple[int, int]:
        """Rounds and leaf size of the least validation loss."""
        few = rows.y.size < FEW_ROWS
        leaf_sizes = sorted({min(5, self.min_leaf), self.min_leaf}) if few else [self.min_leaf]
        parts = list(_validation_parts(rows, classes, folds=4 if few else 5, rng=rng))
        best = (np.inf, LEAST_ROUNDS, self.min_leaf)
        for min_leaf in leaf_sizes:
            curves = [
                self._validation_losses(rows.take(~held), rows.take(held), classes, budget=budget, min_leaf=min_leaf)
                for held in (parts if few else parts[:1])
            ]
            # A fold that stopped early keeps its last loss: it had stopped improving.
            longest = max((c.size for c in curves), default=0)
            if longest:
                loss = np.sum([np.pad(c, (0, longest - c.size), mode="edge") for c in curves if c.size], axis=0)
                best = min(best, (float(loss.min()), max(LEAST_ROUNDS, int(loss.argmin())), min_leaf))
        return best[1], best[2]

    def _validation_losses(self, train: _Rows, held: _Rows, classes: AnyArray, *, budget: int, min_leaf: int) -> Floats:
        """[rounds + 1] total validation loss after each round; empty where this part cannot be judged."""
        if classes.size:
            held = held.take(np.isin(held.y, train.y))
        if np.unique(train.y).size < 2 or not held.y.size:
            return np.empty(0)
        model = self._estimator(
            train, np.unique(train.y) if classes.size else classes, rounds=budget, min_leaf=min_leaf
        )
        model.set_params(early_stopping=True, n_iter_no_change=PATIENCE, scoring="loss", tol=0.0)
        model.fit(
            _bindable(train.x),
            train.y,
            sample_weight=train.weights,
            X_val=held.x,
            y_val=held.y,
            sample_weight_val=held.weights,
        )
        return -np.asarray(model.validation_score_) * held.weights.sum()

    def _estimator(self, rows: _Rows, classes: AnyArray, *, rounds: int, min_leaf: int) -> Any:
        from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

        kind: Any = HistGradientBoostingClassifier if classes.size else HistGradientBoostingRegressor
        return kind(
            max_iter=rounds,
            learning_rate=self.learning_rate,
            max_leaf_nodes=self.leaves,
            min_samples_leaf=min_leaf,
            l2_regularization=self.l2,
            categorical_features=rows.categorical,
            early_stopping=False,
            random_state=0,  # where bins are cut above 200,000 rows; all other chance lies in `rng`
        )


def _target_of(data: View) -> Column:
    if data.target is None:
        raise InputError("there is no target to learn", mend="name the target column: --target NAME")
    return data.target


def _classes(codes: AnyArray, base: Floats) -> AnyArray:
    """The levels that the training rows have; all of them where no row has a truth."""
    return np.unique(codes) if codes.size else np.arange(base.size)


def _matrix(data: View) -> tuple[Floats, Bools]:
    if not data.features and data.embedding is not None:
        return data.embedding, np.zeros(data.embedding.shape[1], dtype=bool)
    matrix, categorical = tree_matrix(data.features)
    matrix[np.isinf(matrix)] = np.nan  # bins have no place for infinity
    return matrix.reshape(data.n, -1) if data.features else np.empty((data.n, 0)), categorical


def _bindable(x: Floats) -> Floats:
    """Columns that are missing throughout as zeros: bins cannot be cut from nothing."""
    return np.where(np.isnan(x).all(axis=0), 0.0, x)


def _rows(data: View, weights: Floats | None) -> _Rows:
    target = _target_of(data)
    heavy = np.ones(data.n) if weights is None else np.asarray(weights, dtype=np.float64)
    x, categorical = _matrix(data)
    return _Rows(x, target.values, heavy, categorical).take(~target.missing & (heavy > 0))


def _validation_parts(rows: _Rows, classes: AnyArray, *, folds: int, rng: np.random.Generator) -> Iterator[Bools]:
    """[n] masks of held rows, each class dealt evenly over the folds."""
    order = rng.permutation(rows.y.size)
    if classes.size:
        order = order[np.argsort(rows.y[order], kind="stable")]
    fold = np.empty(rows.y.size, dtype=np.int64)
    fold[order] = np.arange(rows.y.size) % folds
    return (fold == part for part in range(folds))
