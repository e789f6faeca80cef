"""What real rows say of the target given the features, said of real and synthetic rows alike.

Real rows are judged by models that never saw them; each synthetic row by one of the same models, drawn
at random. So if the synthetic rows were other real rows, both sets of predictions would have one law.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sterling.kernel.schema import Kind
from sterling.kernel.view import Column, View
from sterling.stats.boosting import Boosting, boost, encode, learn_codes, predict
from sterling.stats.encoding import tree_matrix

if TYPE_CHECKING:
    from sterling.kernel.view import AnyArray, Bools, Floats

# Trees of modest size: quick, and calibrated enough to compare with themselves.
TREES = Boosting(rounds=60, rate=0.1, leaves=15, min_leaf=20, l2=1.0)
# Squares of larger numbers than this overflow; they are as good as infinite.
LARGEST = 1e150


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """Predictions for both sets.

    Args:
        real: [n, k] class probabilities, or [n] numbers, each by a model that did not see the row.
        synthetic: [m, k] or [m], each by one of these models.
    """

    real: Floats
    synthetic: Floats


def feature_matrix(view: View, columns: Sequence[Column]) -> tuple[Floats, Bools]:
    """Columns, or the embedding where there are none, as trees take them: no infinities.

    Returns:
        [n, d] float64, missing = NaN, and [d] True where a column is categorical.
    """
    if not columns and view.embedding is not None:
        return view.embedding, np.zeros(view.embedding.shape[1], dtype=bool)
    matrix, categorical = tree_matrix(columns)
    return np.clip(matrix, -LARGEST, LARGEST), categorical


def cross_predict(
    real: tuple[Floats, Bools],
    y: AnyArray,
    synthetic: Floats,
    *,
    classes: int,
    folds: int = 5,
    rng: np.random.Generator,
) -> Judged:
    """Fit on all folds but one, predict that one, and a random share of the synthetic rows.

    Args:
        real: [n, d] matrix, coded once for all folds, and [d] which columns are categorical.
        y: [n] codes 0..classes-1, or numbers; no missing values.
        synthetic: [m, d] matrix.
        classes: how many classes, 0 for a number.
        folds: parts of the real rows; classes are dealt evenly over them.
        rng: the stream of this task.
    """
    matrix, categorical = real
    coder = learn_codes(matrix, categorical)
    known, other = encode(coder, matrix), encode(coder, synthetic)
    shape: tuple[int, ...] = (classes,) if classes else ()
    judged = Judged(np.zeros((y.size, *shape)), np.zeros((other.n, *shape)))
    fold, turn = dealt(y if classes else None, y.size, folds, rng=rng), rng.permutation(other.n) % folds
    for part in range(folds):
        train, held, mine = fold != part, fold == part, turn == part
        model = boost(known.take(train), y[train], classes=classes, boosting=TREES)
        judged.real[held] = predict(model, known.take(held))
        judged.synthetic[mine] = predict(model, other.take(mine))
    return judged


def dealt(classes: AnyArray | None, n: int, folds: int, *, rng: np.random.Generator) -> AnyArray:
    """[n] fold of each row, at random; each class dealt evenly over the folds."""
    order = rng.permutation(n)
    if classes is not None:
        order = order[np.argsort(classes[order], kind="stable")]
    fold = np.empty(n, dtype=np.int64)
    fold[order] = np.arange(n) % folds
    return fold


def coded(target: Column, other: Column, *, least: int, most: int) -> tuple[AnyArray, AnyArray, tuple[str, ...]]:
    """Both targets as classes 0..k-1: the most frequent levels of the real one, and one class for all the rest.

    Args:
        target: of the real rows.
        other: of the synthetic rows.
        least: levels with fewer real rows belong to the rest.
        most: levels beyond these belong to the rest.

    Returns:
        [n] and [m] classes, missing = -1, and the names of the classes.
    """
    levels = target.levels or ()
    counts = np.bincount(target.values[target.values >= 0], minlength=len(levels))
    kept = np.sort([i for i in np.argsort(-counts, kind="stable")[:most] if counts[i] >= least])
    lookup = np.full(len(levels) + 1, len(kept), dtype=np.int64)
    lookup[np.asarray(kept, dtype=np.int64)] = np.arange(len(kept))
    lookup[-1] = -1
    names = [levels[int(i)] for i in kept]
    pair = lookup[target.values], lookup[other.values]
    rest = any((codes == len(kept)).any() for codes in pair)
    return *pair, (*names, "(other)") if rest else tuple(names)


def is_number(target: Column) -> bool:
    """Whether the target is predicted as a number."""
    return target.kind is not Kind.CATEGORY
