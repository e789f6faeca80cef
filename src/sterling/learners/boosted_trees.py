"""Boosted histogram trees: the default learner for tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from sterling.kernel.errors import InputError
from sterling.kernel.schema import Kind
from sterling.kernel.view import Column, View
from sterling.stats.boosting import Boosted, Boosting, Coded, Coder, Held, boost, encode, learn_codes, predict
from sterling.stats.conditional import dealt
from sterling.stats.encoding import tree_matrix
from sterling.stats.scores import base_rate, losses_of

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
# A round grows one tree per class: with many classes the budget counts trees, ten classes' worth.
CLASSES_PER_BUDGET = 10


@dataclass(frozen=True, slots=True, eq=False)
class TreesModel:
    """Fitted trees and the codes they read; `trees` is None where a constant is all that could be learnt."""

    trees: Boosted | None
    coder: Coder
    classes: AnyArray
    constant: Floats
    rounds: int
    min_leaf: int


@dataclass(frozen=True, slots=True, eq=False)
class _Rows:
    """Training rows in codes, classes as places among those that occur."""

    x: Coded
    y: AnyArray
    weights: Floats

    def take(self, index: AnyArray) -> _Rows:
        return _Rows(self.x.take(index), self.y[index], self.weights[index])


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

    Source: Friedman 2001; Ke et al. 2017 (LightGBM); see `stats.boosting`.
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
        target = _target_of(data)
        base = base_rate(target, weights)
        heavy = np.ones(data.n) if weights is None else np.asarray(weights, dtype=np.float64)
        used = ~target.missing & (heavy > 0)
        matrix, categorical = _matrix(data)
        coder = learn_codes(matrix[used], categorical)
        y = target.values[used]
        classes = _classes(y, base) if target.kind is Kind.CATEGORY else np.empty(0, dtype=np.int64)
        if matrix.shape[1] == 0 or np.unique(y).size < 2:
            return TreesModel(None, coder, classes, base, 0, self.min_leaf)
        places = np.searchsorted(classes, y) if classes.size else y
        rows = _Rows(encode(coder, matrix[used]), places, heavy[used])
        rounds = max(LEAST_ROUNDS, self.budget * CLASSES_PER_BUDGET // max(CLASSES_PER_BUDGET, len(classes)))
        min_leaf = self.min_leaf
        if self.tuning == "early":
            rounds, min_leaf = self._search(rows, classes.size, budget=rounds, rng=rng)
        trees = self._boosted(rows, classes.size, rounds=rounds, min_leaf=min_leaf)
        return TreesModel(trees, coder, classes, base, rounds, min_leaf)

    def predict(self, model: TreesModel, data: View) -> Floats:
        """[n, k] class probabilities in the order of the target's levels, or [n] predicted numbers."""
        if model.trees is None:
            out = np.tile(model.constant, (data.n, 1))
            return out if model.classes.size else out[:, 0]
        said = predict(model.trees, encode(model.coder, _matrix(data)[0]))
        if not model.classes.size:
            return said
        # Levels that no training row had keep probability 0.
        out = np.zeros((data.n, model.constant.size))
        out[:, model.classes] = said
        return out

    def losses(self, model: TreesModel, data: View) -> Floats:
        """[n] log loss in nats, or squared error; NaN where the target is missing."""
        return losses_of(_target_of(data), self.predict(model, data))

    def _search(self, rows: _Rows, classes: int, *, budget: int, rng: np.random.Generator) -> tuple[int, int]:
        """Rounds and leaf size of the least validation loss."""
        n = rows.y.size
        leaf_sizes = sorted({min(SMALL_LEAF, self.min_leaf), self.min_leaf}) if n < FEW_ROWS else [self.min_leaf]
        fold = dealt(rows.y if classes else None, n, FOLDS, rng=rng)
        parts = [(rows.take(fold != k), rows.take(fold == k)) for k in range(FOLDS if n < CROSS_VALIDATED else 1)]
        best = (np.inf, LEAST_ROUNDS, self.min_leaf)
        for min_leaf in leaf_sizes:
            curves = [self._held_losses(*part, classes, budget=budget, min_leaf=min_leaf) for part in parts]
            # A fold that stopped early keeps its last loss: it had stopped improving.
            longest = max((c.size for c in curves), default=0)
            if longest:
                loss = np.sum([np.pad(c, (0, longest - c.size), mode="edge") for c in curves if c.size], axis=0)
                best = min(best, (float(loss.min()), max(LEAST_ROUNDS, int(loss.argmin())), min_leaf))
        return best[1], best[2]

    def _held_losses(self, train: _Rows, held: _Rows, classes: int, *, budget: int, min_leaf: int) -> Floats:
        """[rounds + 1] total validation loss after each round; empty where this part cannot be judged."""
        known = np.isin(held.y, train.y) if classes else np.ones(held.y.size, dtype=bool)
        if np.unique(train.y).size < 2 or not known.any():
            return np.empty(0)
        held = held.take(known)
        trees = self._boosted(train, classes, rounds=budget, min_leaf=min_leaf, held=held)
        return trees.held_loss * held.weights.sum()

    def _boosted(self, rows: _Rows, classes: int, *, rounds: int, min_leaf: int, held: _Rows | None = None) -> Boosted:
        how = Boosting(rounds, self.learning_rate, self.leaves, min_leaf, self.l2, PATIENCE)
        until = None if held is None else Held(held.x, held.y, held.weights)
        return boost(rows.x, rows.y, classes=classes, boosting=how, weights=rows.weights, held=until)


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
