"""Boosted histogram trees: the default learner for tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from sterling.kernel.errors import InputError
from sterling.kernel.estimate import Unmeasured
from sterling.kernel.schema import Kind
from sterling.kernel.view import Column, View
from sterling.stats.anchored import surely
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
# A budget of work asks for no more rounds than this: at a rate of .1 no search ever wanted them.
MOST_ROUNDS = 500
# A round grows one tree per class: with many classes the budget counts trees, ten classes' worth.
CLASSES_PER_BUDGET = 10
# A model that goes on learns as fast as before, or at this share of it, and with smaller trees: what it knows is not to
# be swept away. On adult (600 rows after 5,000 with 15 % wrong labels) smaller trees gain .003 to .01 AUC.
SLOWER, STUMPS = 0.3, (4, 2)


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

    With `start`, a model fitted before, its trees and its codes stay and further trees are fitted to what
    it leaves unsaid of the new rows. How many, how large and at which learning rate is chosen by validation inside
    the new rows; none at all, where these gain no more than their standard error. Levels that the first rows
    lacked count as missing; classes that they lacked begin with their share of the new rows.

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
            InputError: if the data have no target, or `start` is no model of these columns.
        """
        target = _target_of(data)
        base = base_rate(target, weights)
        heavy = np.ones(data.n) if weights is None else np.asarray(weights, dtype=np.float64)
        used = ~target.missing & (heavy > 0)
        matrix, categorical = _matrix(data)
        before = _learnt(start, categorical, target)
        coder = learn_codes(matrix[used], categorical) if before is None else before.coder
        y = target.values[used]
        classes = _classes(y, base) if target.kind is Kind.CATEGORY else np.empty(0, dtype=np.int64)
        if before is not None:
            classes = np.union1d(classes, before.classes) if classes.size else classes
            if not y.size:
                return before
        elif matrix.shape[1] == 0 or np.unique(y).size < 2:
            return TreesModel(None, coder, classes, base, 0, self.min_leaf)
        places = np.searchsorted(classes, y) if classes.size else y
        rows = _Rows(encode(coder, matrix[used]), places, heavy[used])
        first = None if before is None else _among(classes, before)
        least = LEAST_ROUNDS if before is None else 1
        rounds = max(least, self.budget * CLASSES_PER_BUDGET // max(CLASSES_PER_BUDGET, len(classes)))
        how = Boosting(rounds, self.learning_rate, self.leaves, self.min_leaf, self.l2, PATIENCE)
        if self.tuning == "early":
            how = self._search(rows, classes.size, how, first, rng=rng)
        trees = _boosted(rows, classes.size, how, first)
        return TreesModel(trees, coder, classes, base, how.rounds, how.min_leaf)

    def cannot_continue(self) -> Unmeasured | None:
        """Trees can always go on: None."""
        return None

    def within(self, visits: int, rows: int) -> BoostedTrees:
        """The same learner on a budget: it reads its `rows` rows, once a round, at most `visits` times in all."""
        return replace(self, budget=min(max(1, visits // max(1, rows)), max(self.budget, MOST_ROUNDS)))

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

    def _search(
        self, rows: _Rows, classes: int, how: Boosting, first: Boosted | None, *, rng: np.random.Generator
    ) -> Boosting:
        """Rounds, and leaf size or learning rate, of the least validation loss."""
        n, least = rows.y.size, LEAST_ROUNDS if first is None else 0
        sizes = sorted({min(SMALL_LEAF, self.min_leaf), self.min_leaf}) if n < FEW_ROWS else [self.min_leaf]
        tries = [replace(how, min_leaf=size) for size in sizes]
        if first is not None:
            tries = [
                how,
                *(replace(how, rate=SLOWER * how.rate, leaves=n) for n in (self.leaves, *STUMPS) if n <= self.leaves),
            ]
        fold = dealt(rows.y if classes else None, n, FOLDS, rng=rng)
        parts = [(rows.take(fold != k), rows.take(fold == k)) for k in range(FOLDS if n < CROSS_VALIDATED else 1)]
        best, chosen = (np.inf, least), replace(how, rounds=least)
        for one in tries:
            curves = _even([_held_losses(*part, classes, one, first) for part in parts])
            loss = curves.sum(axis=0)
            found = (float(loss.min()), max(least, int(loss.argmin()))) if loss.size else (np.inf, least)
            if first is not None and not (loss.size and surely(curves[:, 0] - curves[:, found[1]])):
                continue
            if found < best:
                best, chosen = found, replace(one, rounds=found[1])
        return chosen


def _even(curves: Sequence[Floats]) -> Floats:
    """[folds, rounds + 1] curves of one length: a fold that stopped early keeps its last loss, the best it came to."""
    longest = max((c.size for c in curves), default=0)
    padded = [np.pad(c, (0, longest - c.size), mode="edge") for c in curves if c.size]
    return np.array(padded) if padded else np.empty((0, 0))


def _held_losses(train: _Rows, held: _Rows, classes: int, how: Boosting, first: Boosted | None) -> Floats:
    """[rounds + 1] total validation loss after each round; empty where this part cannot be judged."""
    seen = train.y if first is None else np.append(train.y, first.seen)
    known = np.isin(held.y, seen) if classes else np.ones(held.y.size, dtype=bool)
    if (first is None and np.unique(train.y).size < 2) or not known.any() or not train.y.size:
        return np.empty(0)
    held = held.take(known)
    return _boosted(train, classes, how, first, held=held).held_loss * held.weights.sum()


def _boosted(rows: _Rows, classes: int, how: Boosting, first: Boosted | None, *, held: _Rows | None = None) -> Boosted:
    until = None if held is None else Held(held.x, held.y, held.weights)
    return boost(rows.x, rows.y, classes=classes, boosting=how, weights=rows.weights, held=until, start=first)


def _learnt(start: Any, categorical: Bools, target: Column) -> TreesModel | None:
    """The model to go on from; None where there is none, or it learnt nothing but a constant."""
    if start is None:
        return None
    if not isinstance(start, TreesModel) or bool(start.classes.size) != (target.kind is Kind.CATEGORY):
        raise InputError(
            f"boosted_trees cannot go on from a {type(start).__name__}", mend="start from a model of its own, same task"
        )
    if not np.array_equal(start.coder.categorical, categorical):
        raise InputError(
            f"the start model reads {start.coder.categorical.size} columns, the data have {categorical.size}",
            mend="give both fits the same columns, encoded together",
        )
    return start if start.trees is not None else None


def _among(classes: AnyArray, before: TreesModel) -> Boosted | None:
    """The trees of a model, its classes as places among those of both fits."""
    trees = before.trees
    if trees is None or not classes.size:
        return trees
    return replace(trees, classes=classes.size, seen=np.searchsorted(classes, before.classes[trees.seen]))


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
