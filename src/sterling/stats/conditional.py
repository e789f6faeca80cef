"""What real rows say of the target given the features, said of real and synthetic rows alike.

Real rows are judged by models that never saw them; each synthetic row by one of the same models, drawn
at random. So if the synthetic rows were other real rows, both sets of predictions would have one law.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sterling.kernel.schema import Kind
from sterling.kernel.view import Column, View
from sterling.stats.encoding import tree_matrix

if TYPE_CHECKING:
    from sterling.kernel.view import AnyArray, Bools, Floats

ROUNDS, RATE, LEAVES, MIN_LEAF = 60, 0.1, 15, 20
# A histogram holds 255 bins; larger numbers than this are as good as infinite.
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


def trees(categorical: Bools, *, classify: bool, rounds: int = ROUNDS, seed: int = 0) -> Any:
    """An unfitted boosted-trees estimator of modest size: quick, and calibrated enough to compare with itself."""
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    kind: Any = HistGradientBoostingClassifier if classify else HistGradientBoostingRegressor
    return kind(
        max_iter=rounds, learning_rate=RATE, max_leaf_nodes=LEAVES, min_samples_leaf=MIN_LEAF, l2_regularization=1.0,
        categorical_features=categorical, early_stopping=False, random_state=seed,
    )  # fmt: skip


def feature_matrix(view: View, columns: Sequence[Column]) -> tuple[Floats, Bools]:
    """Columns, or the embedding where there are none, as trees take them: no infinities.

    Returns:
        [n, d] float64, missing = NaN, and [d] True where a column is categorical.
    """
    if not columns and view.embedding is not None:
        return view.embedding, np.zeros(view.embedding.shape[1], dtype=bool)
    matrix, categorical = tree_matrix(columns)
    return np.clip(matrix, -LARGEST, LARGEST), categorical


def bindable(matrix: Floats) -> Floats:
    """The same with columns that are missing throughout as zeros: bins cannot be cut from nothing."""
    return np.where(np.isnan(matrix).all(axis=0), 0.0, matrix)


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
        real: [n, d] matrix and [d] which columns are categorical.
        y: [n] codes 0..classes-1, or numbers; no missing values.
        synthetic: [m, d] matrix.
        classes: how many classes, 0 for a number.
        folds: parts of the real rows; classes are dealt evenly over them.
        rng: the stream of this task.
    """
    matrix, categorical = real
    shape: tuple[int, ...] = (classes,) if classes else ()
    judged = Judged(np.zeros((y.size, *shape)), np.zeros((synthetic.shape[0], *shape)))
    fold, turn = dealt(y if classes else None, y.size, folds, rng=rng), rng.permutation(synthetic.shape[0]) % folds
    seed = int(rng.integers(2**31))
    for part in range(folds):
        train = fold != part
        model = trees(categorical, classify=classes > 0, seed=seed)
        model.fit(bindable(matrix[train]), y[train])
        for rows, out, mine in ((matrix, judged.real, fold == part), (synthetic, judged.synthetic, turn == part)):
            if mine.any() and classes:
                out[np.ix_(mine, model.classes_)] = model.predict_proba(rows[mine])
            elif mine.any():
                out[mine] = model.predict(rows[mine])
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
