"""How well two samples lie within each other's neighbourhoods: precision, recall, density and coverage."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from sterling.stats.neighbours import TIE, Side, count_balls, nearest_k

if TYPE_CHECKING:
    from sterling.kernel.view import Bools, Floats, Ints

    Points: TypeAlias = "Side | Floats"

NEIGHBOURS = 5
# Points of both samples that are looked at in a ball: that one sample has none of 12 happens once in 4,096 balls.
MEMBERS = 12
DEALS = 256
# Distances of points held at a time: 512 x 5,000 float64 are 20 MB.
TILE = 512


@dataclass(frozen=True, slots=True)
class Manifold:
    """How a sample lies about a reference sample.

    Args:
        precision: share of the sample's points in the ball of some reference point.
        recall: share of the reference points in the ball of some point of the sample.
        density: balls of reference points that a point lies in, over k; 1 for equal distributions, may exceed 1.
        coverage: share of the reference points whose ball holds a point of the sample.
    """

    precision: float
    recall: float
    density: float
    coverage: float


@dataclass(frozen=True, slots=True, eq=False)
class Balls:
    """Points of the reference sample, each with its k-th nearest other one.

    Args:
        points: [n] reference points.
        radii: [n] squared distance of the k-th nearest other reference point.
    """

    points: Points
    radii: Floats


def balls(points: Points, *, k: int = NEIGHBOURS) -> Balls:
    """The balls of n > k reference points."""
    return Balls(points, _nearest(points, points, k, np.arange(count(points)))[0][:, k - 1])


def nearest_of(around: Balls, sample: Points) -> Floats:
    """[n] squared distance of the point of a sample that is nearest to each reference point."""
    return _nearest(around.points, sample, 1, None)[0][:, 0]


def covered(around: Balls, near: Floats) -> Bools:
    """[n] which balls hold a point of the sample, given the nearest."""
    return near <= around.radii + _slack(around.radii)


def manifold(around: Balls, sample: Points, near: Floats, *, k: int = NEIGHBOURS) -> Manifold:
    """Precision, recall, density and coverage of a sample, given its points nearest to the reference.

    Source: Kynkaanniemi et al. 2019, arXiv:1904.06991 (precision, recall); Naeem et al. 2020, arXiv:2002.09797
        (density, coverage).
    """
    inside = _in_balls(sample, around.points, around.radii)
    back = _in_balls(around.points, sample, balls(sample, k=k).radii)
    return Manifold(
        float(np.mean(inside > 0)),
        float(np.mean(back > 0)),
        float(np.mean(inside)) / k,
        float(np.mean(covered(around, near))),
    )


def spread_of_gap(around: Balls, one: Points, other: Points, *, gap: float, rng: np.random.Generator) -> float:
    """The standard error of the difference between the coverages of two samples of m points each.

    Neighbouring balls are held by the same points, so no formula for independent ones will do. Dealing the points
    of both samples out anew, 256 times, gives the error where there is no difference; where there is one, it
    also hangs on which reference points were drawn, by at most that of a share of this size.

    Args:
        around: the reference points with their balls.
        one: [m] points.
        other: [m] points.
        gap: the difference found.
        rng: deals.
    """
    both = _joined(one, other)
    near, who = _nearest(around.points, both, min(MEMBERS, count(both)), None)
    inside = near <= (around.radii + _slack(around.radii))[:, None]
    m, every = count(one), count(both)
    gaps: list[Floats] = []
    for _ in range(DEALS // 64):
        dealt = np.zeros((64, every), dtype=np.uint8)
        for row in dealt:
            row[rng.permutation(every)[:m]] = 1
        # 64 deals in one word: a ball is held where any of its members is in.
        words = np.packbits(dealt, axis=0, bitorder="little").T.copy().view(np.uint64)[:, 0]
        held = [np.bitwise_or.reduce(np.where(inside, w[who], np.uint64(0)), axis=1) for w in (words, ~words)]
        bits = [np.unpackbits(h[:, None].view(np.uint8), axis=1, bitorder="little").mean(axis=0) for h in held]
        gaps.append(bits[0] - bits[1])
    by_chance = float(np.square(np.concatenate(gaps)).mean())
    return float(np.sqrt(by_chance + abs(gap) * (1 - abs(gap)) / around.radii.size))


def count(points: Points) -> int:
    """How many there are."""
    return points.n if isinstance(points, Side) else points.shape[0]


def _joined(one: Points, other: Points) -> Points:
    if isinstance(one, Side) and isinstance(other, Side):
        return Side(np.concatenate([one.cells, other.cells]), one.category)
    return np.concatenate([p.cells if isinstance(p, Side) else p for p in (one, other)])


def _slack(radii: Floats) -> Floats:
    """What rounding may add to a distance that equals a radius."""
    return TIE + 1e-9 * np.where(np.isfinite(radii), radii, 0.0)


def _nearest(points: Points, others: Points, k: int, omit: Ints | None) -> tuple[Floats, Ints]:
    if isinstance(points, Side) and isinstance(others, Side):
        return nearest_k(points, others, k, omit=omit)
    near, who = np.empty((count(points), k)), np.empty((count(points), k), dtype=np.int64)
    for rows, apart in _tiles(points, others):
        if omit is not None:
            apart[np.arange(apart.shape[0]), omit[rows]] = np.inf
        some = np.argpartition(apart, k - 1, axis=1)[:, :k]
        order = np.argsort(np.take_along_axis(apart, some, axis=1), axis=1, kind="stable")
        who[rows] = np.take_along_axis(some, order, axis=1)
        near[rows] = np.take_along_axis(apart, who[rows], axis=1)
    return near, who


def _in_balls(points: Points, centres: Points, radii: Floats) -> Ints:
    """[q] in how many balls each point lies."""
    if isinstance(points, Side) and isinstance(centres, Side):
        return count_balls(points, centres, radii + _slack(radii))
    out = np.empty(count(points), dtype=np.int64)
    for rows, apart in _tiles(points, centres):
        out[rows] = (apart <= radii + _slack(radii)).sum(axis=1)
    return out


def _tiles(points: Points, others: Points) -> Iterator[tuple[slice, Floats]]:
    """Squared Euclidean distances, some rows at a time."""
    x, y = (p.cells if isinstance(p, Side) else p for p in (points, others))
    centre = y.mean(axis=0)  # products of large numbers would lose what is small between them
    x, y = x - centre, y - centre
    lengths = np.square(y).sum(axis=1)
    for start in range(0, x.shape[0], TILE):
        rows = slice(start, min(x.shape[0], start + TILE))
        apart = np.square(x[rows]).sum(axis=1)[:, None] + lengths - 2 * x[rows] @ y.T
        yield rows, np.maximum(apart, 0.0)
