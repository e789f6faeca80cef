"""A column drawn from its chances given all others, as boosted trees see them: the head of a chain of trees."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sterling.stats.binning import UNSEEN
from sterling.stats.boosting import LANES, Boosted, Boosting, Coded, Coder, Held, boost, predict

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sterling.kernel.view import Bools, Floats, Ints

    Codes = NDArray[np.uint8]
    Ids = NDArray[np.int32]

# Trees per round grow with the classes; beyond so many the chain's own trees must do.
MOST_CLASSES, LEAST_ROWS, MOST_ROWS, HELD = 12, 500, 200_000, 5
# Nats: an outcome that the others decide (nearly) is drawn exactly by the chain's own trees.
DECIDED = 0.02
BOOSTING = Boosting(rounds=200, leaves=15, min_leaf=20)


@dataclass(frozen=True, slots=True, eq=False)
class BoostedOutcome:
    """What one column is, given the others.

    Args:
        model: of the chances of its classes.
        classes: [c] the id of each class; -1 = missing.
        coder: of the other columns' codes.
    """

    model: Boosted
    classes: Ints
    coder: Coder


def fit_outcome(codes: Codes, ids: Ids, coder: Coder, *, rng: np.random.Generator) -> BoostedOutcome | None:
    """Learn the chances of a column's classes.

    Args:
        codes: [d, n] codes of the other columns.
        ids: [n] ids of the column's values; -1 = missing.
        coder: from `byte_coder`.
        rng: draws the rows that say when to stop.

    Returns:
        None for fewer than 2 or more than 12 classes, fewer than 500 rows, or a column that the others decide:
        the chain's own trees serve there.
    """
    classes, y = np.unique(ids, return_inverse=True)
    if not 2 <= classes.size <= MOST_CLASSES or ids.size < LEAST_ROWS:
        return None
    rows = np.sort(rng.permutation(ids.size)[:MOST_ROWS])
    coded, y = byte_coded(coder, codes[:, rows]), y[rows].astype(np.int64)
    held = rng.permutation(y.size) % HELD == 0
    model = boost(
        coded.take(~held), y[~held], classes=classes.size, boosting=BOOSTING, held=Held(coded.take(held), y[held])
    )
    return None if model.held_loss.min() < DECIDED else BoostedOutcome(model, classes.astype(np.int64), coder)


def draw_outcome(head: BoostedOutcome, codes: Codes, *, rng: np.random.Generator) -> Ids:
    """[n] ids, each drawn from its row's chances.

    Args:
        head: fitted.
        codes: [d, n] of the other columns, as at fit.
        rng: the stream of this task.
    """
    reached: Floats = np.cumsum(predict(head.model, byte_coded(head.coder, codes)), axis=1)
    chosen = (rng.random(codes.shape[1])[:, None] * reached[:, -1:] >= reached).sum(axis=1)
    return head.classes[chosen.clip(max=head.classes.size - 1)].astype(np.int32)


def byte_coder(sizes: Ints, categorical: Bools) -> Coder:
    """The coder of columns that are bytes already: 0 for missing, else 1 ... size - 1.

    Args:
        sizes: [d] codes of each column, 0 among them.
        categorical: [d] True where codes have no order.
    """
    cuts = tuple(np.arange(max(0, k - 2), dtype=np.float64) for k in sizes)
    levels = tuple(np.arange(k, dtype=np.uint8) for k in sizes)
    return Coder(cuts, levels, np.asarray(categorical, dtype=bool))


def byte_coded(coder: Coder, codes: Codes) -> Coded:
    """Rows of bytes [d, n] as boosted trees take them; what was never seen counts as missing."""
    d, n = codes.shape
    lanes = np.zeros((-(-d // LANES), n, LANES), dtype=np.uint8)
    for j, column in enumerate(codes):
        lanes[j // LANES, :, j % LANES] = np.where(column == UNSEEN, 0, column)
    return Coded(lanes.view("<u8")[:, :, 0], coder)
