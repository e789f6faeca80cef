"""Sequences of events: their order, what each entity adds to a statistic, and how sure that is over entities."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from sterling.kernel.estimate import Unmeasured
from sterling.kernel.schema import Role
from sterling.kernel.view import View

if TYPE_CHECKING:
    from sterling.kernel.view import AnyArray, Floats, Ints

    # From [b, sums] to [b] numbers (or [b, k]).
    Statistic: TypeAlias = Callable[[Floats], Floats]

# Fewer entities say nothing about how a number varies over entities.
LEAST_ENTITIES = 30
MOST_ENTITIES = {"full": 20_000, "fast": 3_000}
DRAWS = 200


@dataclass(frozen=True, slots=True, eq=False)
class Sequences:
    """The events of a set, entity after entity, each in order of time.

    Args:
        view: the records in that order.
        starts: [e + 1] where entities begin.
    """

    view: View
    starts: Ints

    @property
    def count(self) -> int:
        """How many entities there are."""
        return self.starts.size - 1

    @property
    def lengths(self) -> Ints:
        """[e] events of each."""
        return np.diff(self.starts)

    @property
    def entity(self) -> Ints:
        """[n] which entity each event is of."""
        return np.repeat(np.arange(self.count), self.lengths)

    @property
    def followers(self) -> Ints:
        """[m] places of events that have one before them."""
        first = np.zeros(self.view.n, dtype=bool)
        first[self.starts[:-1]] = True
        return np.flatnonzero(~first)

    @property
    def times(self) -> Floats:
        """[n] when each event is, missing = NaN; all missing where no time was declared."""
        column = next(iter(self.view.with_role(Role.TIME)), None)
        return np.full(self.view.n, np.nan) if column is None else column.values.astype(np.float64)


def sequences_of(view: View, *, most: int, rng: np.random.Generator) -> Sequences:
    """The sequences of a view with entities: by time, events of one time in the order of the set.

    Args:
        view: with `entities`.
        most: entities at most; more are drawn from.
        rng: draws them.
    """
    own = np.zeros(view.n, dtype=np.int64) if view.entities is None else view.entities
    names, code = np.unique(own, return_inverse=True)
    if names.size > most:
        kept = np.zeros(names.size, dtype=bool)
        kept[rng.permutation(names.size)[:most]] = True
        rows = kept[code]
        view, code = view.take(rows), np.unique(code[rows], return_inverse=True)[1]
    time = next(iter(view.with_role(Role.TIME)), None)
    order = np.argsort(code, kind="stable") if time is None else np.lexsort((time.values, code))
    counts = np.bincount(code, minlength=0)
    return Sequences(view.take(order), np.append(0, np.cumsum(counts)))


def too_few(real: View, synthetic: View, *, timed: bool = True) -> Unmeasured | None:
    """Why sequences cannot be compared, or None.

    Args:
        real: train rows.
        synthetic: the rows to be judged.
        timed: whether a time column is needed.
    """
    sizes: list[int] = []
    for view in (real, synthetic):
        if view.entities is None or (timed and not view.with_role(Role.TIME)):
            return Unmeasured("no entities, or no times, are declared", "declare them: --entity COLUMN --time COLUMN")
        sizes.append(int(np.unique(view.entities).size))
    if min(sizes) >= LEAST_ENTITIES:
        return None
    return Unmeasured(
        f"{sizes[0]:,} real and {sizes[1]:,} synthetic entities are too few to see how entities vary",
        f"give at least {LEAST_ENTITIES} of each; a few long series may be cut, such as into one entity a month",
    )


def histograms(cells: Ints, entity: Ints, *, entities: int, most: int) -> Floats:
    """[entities, most] how many events of each entity fall in each cell; cells below 0 are left out."""
    known = cells >= 0
    flat = entity[known] * most + cells[known]
    return np.bincount(flat, minlength=entities * most).reshape(entities, most).astype(np.float64)


def resampled(sums: Floats, *, draws: int = DRAWS, rng: np.random.Generator) -> Floats:
    """[draws, k] sums over entities drawn with replacement.

    Args:
        sums: [e, k] what each entity adds.
        draws: how many.
        rng: the stream of this task.
    """
    e = sums.shape[0]
    out = np.empty((draws, sums.shape[1]))
    for b in range(draws):
        out[b] = np.bincount(rng.integers(e, size=e), minlength=e) @ sums
    return out


@dataclass(frozen=True, slots=True)
class Distance:
    """How far two distributions lie apart, and how far a distance of such samples may stray.

    Args:
        value: 0 to 1.
        typical: median over resampled entities of the distance of the difference from itself.
    """

    value: float
    typical: float

    def bounds(self, alpha: float) -> tuple[float, float]:
        """Lower and upper bound of the true distance, each with error about alpha, cut to 0 ... 1.

        The tail of the stray distance is Kolmogorov's, 2 exp(-c x**2), its scale read off the median: quantiles of a
        few hundred draws do not reach so far.
        """
        slack = self.typical * float(np.sqrt(np.log(2 / alpha) / np.log(4)))
        return max(0.0, self.value - slack), min(1.0, self.value + slack)


def distance(real: Floats, synthetic: Floats, *, ordered: bool, rng: np.random.Generator) -> Distance:
    """The distance of two distributions whose events come in entities.

    Args:
        real: [e, k] events of each entity by cell.
        synthetic: [f, k] likewise.
        ordered: Kolmogorov-Smirnov over the cells in order, else total variation.
        rng: draws entities.
    """

    def apart(gaps: Floats) -> Floats:
        if ordered:
            return np.abs(np.cumsum(gaps, axis=-1)).max(axis=-1)
        return np.abs(gaps).sum(axis=-1) / 2

    gap = _shares(real.sum(axis=0)) - _shares(synthetic.sum(axis=0))
    drawn = _shares(resampled(real, rng=rng)) - _shares(resampled(synthetic, rng=rng))
    return Distance(float(apart(gap)), float(np.median(apart(drawn - gap))))


def _shares(counts: Floats) -> Floats:
    return counts / np.maximum(counts.sum(axis=-1, keepdims=True), 1e-300)


def cells_by(real: AnyArray, *others: AnyArray, most: int) -> tuple[list[Ints], int]:
    """Ordered cells of numbers, atoms apart, of about equal size in the first set; missing = -1.

    Args:
        real: [n] numbers that choose the cells.
        others: further sets.
        most: cells at most.

    Returns:
        Per set its cells, and how many cells there are.
    """
    known = real[~np.isnan(real)]
    edges = np.unique(np.quantile(known, np.arange(1, most) / most, method="lower")) if known.size else np.zeros(1)
    # An edge has a cell of its own, so that a spike (7 days) is told from what lies beside it.
    cells = [
        np.where(np.isnan(v), -1, np.searchsorted(edges, v, side="left") + np.searchsorted(edges, v, side="right"))
        for v in (real, *others)
    ]
    return cells, 2 * edges.size + 1
