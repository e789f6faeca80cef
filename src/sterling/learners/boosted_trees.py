"""Boosted histogram trees: the default learner for tables."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from sterling.kernel.errors import InputError
from sterling.kernel.schema import Kind
from sterling.kernel.view import Column, View
from sterling.stats.encoding import tree_matrix
from sterling.stats.scores import base_rate, losses_of
from sterling.stats.threads import one_thread

if TYPE_CHECKING:
    from sterling.kernel.view import AnyArray, Bools, Floats

# Below this many rows one validation part is too noisy to choose by: all folds are used.
CROSS_VALIDATED = 4000
FOLDS = 4
# Below this many rows leaves of `min_leaf` rows may be too coarse: small ones are tried too.
FEW_ROWS = 1000
SMALL_LEAF = 5
# Fewer rounds are never chosen: the log loss may ask for none where the ranking already gains.
LEAST_ROUNDS = 5
PATIENCE = 10
BINS = 250
# A round grows one tree per class: with many classes the budget counts trees, ten classes' worth.
CLASSES_PER_BUDGET = 10


@dataclass(frozen=True, slots=True, eq=False)
class TreesModel:
    """Fitted trees; `estimator` is None where a constant is all that could be learnt.

    `edges` cut each number into bins; they are None for a category.
    """

    estimator: Any
    edges: tuple[Floats | None, ...]
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

    budget: int = 150
    learning_rate: float = 0.1
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
        target, (rows, edges) = _target_of(data), _rows(data, weights)
        base = base_rate(target, weights)
        classes = _classes(rows.y, base) if target.kind is Kind.CATEGORY else np.empty(0, dtype=np.int64)
        if rows.x.shape[1] == 0 or np.unique(rows.y).size < 2:
            return TreesModel(None, edges, classes, base, 0, self.min_leaf)
        budget = max(LEAST_ROUNDS, self.budget * CLASSES_PER_BUDGET // max(CLASSES_PER_BUDGET, len(classes)))
        rounds, min_leaf = budget, self.min_leaf
        with one_thread():
            if self.tuning == "early":
                rounds, min_leaf = self._search(rows, classes, budget=budget, rng=rng)
            model = self._estimator(rows, classes, rounds=rounds, min_leaf=min_leaf)
            model.fit(_bindable(rows.x), rows.y, sample_weight=rows.weights)
        return TreesModel(model, edges, classes, base, rounds, min_leaf)

    def predict(self, model: TreesModel, data: View) -> Floats:
        """[n, k] class probabilities in the order of the target's levels, or [n] predicted numbers."""
        if model.estimator is None:
            out = np.tile(model.constant, (data.n, 1))
            return out if model.classes.size else out[:, 0]
        x = _binned(_matrix(data)[0], model.edges)
        with one_thread():
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
        n = rows.y.size
        leaf_sizes = sorted({min(SMALL_LEAF, self.min_leaf), self.min_leaf}) if n < FEW_ROWS else [self.min_leaf]
        parts = _validation_parts(rows, classes, rng=rng)[: FOLDS if n < CROSS_VALIDATED else 1]
        best = (np.inf, LEAST_ROUNDS, self.min_leaf)
        for min_leaf in leaf_sizes:
            curves = [
                self._validation_losses(rows.take(~held), rows.take(held), classes, budget=budget, min_leaf=min_leaf)
                for held in parts
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
    return matrix if data.features else np.empty((data.n, 0)), categorical


def _edges(x: Floats, categorical: Bools) -> tuple[Floats | None, ...]:
    """Where to cut each number; None for a category."""
    # Binned here once, not by scikit-learn in each of the search's fits: with weights that takes 30 ms a column.
    return tuple(None if is_category else _cuts(x[:, j]) for j, is_category in enumerate(categorical))


def _cuts(values: Floats) -> Floats:
    known = np.unique(values[np.isfinite(values)])
    if known.size <= BINS:
        return known[:-1] + np.diff(known) / 2
    return np.unique(np.quantile(values[np.isfinite(values)], np.linspace(0, 1, BINS + 1)[1:-1]))


def _binned(x: Floats, edges: tuple[Floats | None, ...]) -> Floats:
    """Numbers as bin numbers, missing as NaN; infinities fall into the outermost bins."""
    out = x.copy(order="F")
    for j, cuts in enumerate(edges):
        if cuts is not None:
            out[:, j] = np.where(np.isnan(x[:, j]), np.nan, np.searchsorted(cuts, x[:, j], side="right"))
    return out


def _bindable(x: Floats) -> Floats:
    """Columns that are missing throughout as zeros: bins cannot be cut from nothing."""
    return np.where(np.isnan(x).all(axis=0), 0.0, x)


def _rows(data: View, weights: Floats | None) -> tuple[_Rows, tuple[Floats | None, ...]]:
    target = _target_of(data)
    heavy = np.ones(data.n) if weights is None else np.asarray(weights, dtype=np.float64)
    x, categorical = _matrix(data)
    rows = _Rows(x, target.values, heavy, categorical).take(~target.missing & (heavy > 0))
    edges = _edges(rows.x, categorical)
    return replace(rows, x=_binned(rows.x, edges)), edges


def _validation_parts(rows: _Rows, classes: AnyArray, *, rng: np.random.Generator) -> list[Bools]:
    """[n] masks of held rows, each class dealt evenly over the folds."""
    order = rng.permutation(rows.y.size)
    if classes.size:
        order = order[np.argsort(rows.y[order], kind="stable")]
    fold = np.empty(rows.y.size, dtype=np.int64)
    fold[order] = np.arange(rows.y.size) % FOLDS
    return [fold == part for part in range(FOLDS)]
