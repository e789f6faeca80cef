"""The trees that draw parts of an event, and the rows of the matrix that they ask."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from sterling.stats.histogram_trees import Growth, HistogramTree, grow_tree
from sterling.stats.sequential_trees import CLASSES, Variable, code_lookup

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sterling.kernel.view import Bools, Ints

    Codes = NDArray[np.uint8]
    Ids = NDArray[np.int32]

# Rows and classes looked at to choose what a tree may ask.
SCREEN_ROWS, SCREEN_CLASSES = 4_000, 8


@dataclass(frozen=True, slots=True)
class EventSettings:
    """How the trees of a sequence are made.

    Args:
        growth: when a tree stops.
        lags: how many events before it an event may ask, >= 1.
        most_parents: features that a tree may ask at most.
        smoothing: how far gaps may stray from those that were seen, 0 to 1.
    """

    growth: Growth = Growth()  # noqa: RUF009  frozen
    lags: int = 2
    most_parents: int = 24
    smoothing: float = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Draw:
    """One tree whose donors are outcome ids; None where there was nothing to learn from."""

    tree: HistogramTree | None


@dataclass(frozen=True, slots=True)
class Layout:
    """Which rows of the feature matrix hold what."""

    traits: slice
    place: slice  # position, events to come, time since the first, time left for each event to come
    moment: slice  # calendar of the last event
    pace: int  # the last gap
    lags: slice
    drifts: slice  # the last change of each column that goes on from its last value
    gaps: slice  # days and total of the new gap
    now: slice  # calendar of the new event
    cells: slice
    stays: slice  # whether each of the new cells is as the last one: what changes together changes together
    rows: int


@dataclass(frozen=True, slots=True, eq=False)
class Grower:
    """Grows trees on one feature matrix."""

    x: Codes
    layout: Layout
    nominal: Bools
    settings: EventSettings
    rng: np.random.Generator

    def grow(self, ids: Ids, counts: Ints, *, ordered: bool, asked: Ints, least: int = 1) -> Draw:
        """The tree of an outcome on the features it may ask; its donors are the outcome's ids."""
        if ids.size == 0:
            return Draw(None)
        outcome = code_lookup(Variable(counts, ordered), most=CLASSES)[ids]
        varied = asked[[bool(np.any(self.x[f] != self.x[f, 0])) for f in asked]] if asked.size else asked
        chosen = self._screened(outcome, varied)
        growth = replace(self.settings.growth, min_leaf=max(self.settings.growth.min_leaf, least))
        tree = grow_tree(self.x, outcome, features=chosen, categorical=self.nominal, ordered=ordered, growth=growth)
        return Draw(replace(tree, order=ids[tree.order]))

    def _screened(self, outcome: Codes, asked: Ints) -> Ints:
        """The features that depend most on an outcome, by phi-square of coarse classes; the others would only cost."""
        most = self.settings.most_parents
        if asked.size <= most:
            return asked
        m = outcome.size
        rows = np.sort(self.rng.choice(m, size=min(m, SCREEN_ROWS), replace=False))
        y = _coarse(outcome[rows])
        strength = [_phi_square(_coarse(self.x[f, rows]), y) for f in asked]
        return np.sort(asked[np.argsort(-np.array(strength), kind="stable")[:most]])


def _coarse(codes: Codes) -> Ints:
    """[m] at most eight classes of equal size, in the order of the codes."""
    counts = np.bincount(codes, minlength=256)
    middle = np.cumsum(counts) - counts / 2
    return np.minimum(middle[codes] * SCREEN_CLASSES // codes.size, SCREEN_CLASSES - 1).astype(np.int64)


def _phi_square(a: Ints, b: Ints) -> float:
    table = np.bincount(a * SCREEN_CLASSES + b, minlength=SCREEN_CLASSES**2).reshape(SCREEN_CLASSES, -1)
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / max(a.size, 1)
    there = expected > 0
    return float(np.sum((table - expected)[there] ** 2 / expected[there])) / max(a.size, 1)
