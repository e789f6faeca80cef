"""Whether wrong labels are spread as the rows are, or pile up in slices or in one direction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy.special import gammaincc

from sterling.stats.slices import REST, Cut

if TYPE_CHECKING:
    from sterling.kernel.view import AnyArray, Bools, Floats

PatternName = Literal["random", "clustered", "one-directional", "none found"]
# Below so many expected hits a cell's count is not near to normal, and it joins the rest.
LEAST_EXPECTED, LEAST_REAL = 5.0, 30
# From this share of all wrong labels on, one direction is called the direction.
LEADING = 0.8


@dataclass(frozen=True, slots=True, eq=False)
class Direction:
    """One kind of wrong label, such as "no" given where "yes" was to be expected.

    Args:
        name: of the kind.
        hits: [n] and [m] contradicting labels of this kind.
        expected: [n] and [m] chance of such a hit among real labels.
        reach: [m] chance that a wrong label would be such a hit.
        strata: [n] and [m] groups of rows within which that chance is alike, as far as known; one group where None.
    """

    name: str
    hits: tuple[Bools, Bools]
    expected: tuple[Floats, Floats]
    reach: Floats
    strata: tuple[AnyArray, AnyArray] | None = None

    @property
    def sides(self) -> tuple[AnyArray, AnyArray]:
        """[n] and [m] the strata, zeros where there is one."""
        if self.strata is not None:
            return self.strata
        return np.zeros(self.hits[0].size, dtype=np.int64), np.zeros(self.hits[1].size, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Pattern:
    """How wrong labels lie.

    Args:
        name: what they look like.
        clustered_p: chance of such a concentration in slices if they were spread; corrected for all columns.
        direction_p: chance of such differences between directions if all had the same share.
        shares: per direction, the share of wrong labels among those it could befall.
        leading: the direction that has most of them.
        cell: column and slice that have most beyond their part; None where nothing concentrates.
    """

    name: PatternName
    clustered_p: float
    direction_p: float
    shares: tuple[float, ...]
    leading: int
    cell: tuple[int, int] | None


@dataclass(frozen=True, slots=True)
class _Excess:
    """Hits beyond what is expected, summed over cells: [k] each."""

    beyond: Floats
    variance: Floats
    expected: Floats
    usable: Bools


def pattern_of(
    directions: Sequence[Direction], cuts: Sequence[Cut], codes: Sequence[tuple[AnyArray, AnyArray]], *, alpha: float
) -> Pattern:
    """Tell clustered, one-directional and random errors apart.

    Errors are clustered if within directions (and their strata) the share of wrong labels differs between the
    slices of a column (chi-square, Bonferroni over columns), else one-directional if the share differs between
    directions and one has nearly all.

    Args:
        directions: all kinds of wrong labels.
        cuts: how columns fall into slices.
        codes: per cut, [n] and [m] slices.
        alpha: error of each of the two tests.

    Source: Pearson 1900 (heterogeneity); variance includes that of the real rows' own rate.
    """
    excess = np.array([float(_summed([d], [0.0], _all(d), 1).beyond[0]) for d in directions])
    reach = np.array([float(d.reach.sum()) for d in directions])
    shares = np.clip(excess / np.maximum(reach, 1e-9), 0.0, 1.0)
    even = float(np.clip(excess.sum() / max(reach.sum(), 1e-9), 0.0, 1.0))
    direction_p = _direction_p(directions, even)
    clustered_p, cell = _clustered(directions, cuts, codes)
    leading = int(np.argmax(np.maximum(excess, 0.0)))
    dominant = excess[leading] >= LEADING * np.maximum(excess, 0.0).sum()
    name: PatternName = "random"
    if clustered_p < alpha:
        name = "clustered"
    elif direction_p < alpha and dominant:
        name = "one-directional"
    found = cell if name == "clustered" else None
    return Pattern(name, clustered_p, direction_p, tuple(shares.tolist()), leading, found)


def _all(direction: Direction) -> list[AnyArray]:
    """All rows as one cell."""
    return [np.zeros(h.size, dtype=np.int64) for h in direction.hits]


def _local_share(direction: Direction) -> Floats:
    """[m] share of wrong labels in each row's stratum."""
    codes = direction.sides
    k = 1 + max(int(c.max(initial=0)) for c in codes)
    found = _summed([direction], [0.0], codes, k)
    reach = np.bincount(codes[1], weights=direction.reach, minlength=k)
    return np.clip(found.beyond / np.maximum(reach, 1e-9), 0.0, 1.0)[codes[1]]


def _summed(
    directions: Sequence[Direction], shares: Sequence[float | Floats], codes: Sequence[AnyArray], k: int
) -> _Excess:
    """Hits beyond the real rate and these shares of wrong labels, less the same of the real rows of a cell."""
    expected = [np.sum([d.expected[side] for d in directions], axis=0) for side in (0, 1)]
    wrong = np.sum([s * d.reach for d, s in zip(directions, shares, strict=True)], axis=0)
    hits = [np.sum([d.hits[side] for d in directions], axis=0).astype(np.float64) for side in (0, 1)]
    chance = np.clip(expected[1] + wrong, 0.0, 1.0)

    def summed(side: int, weights: Floats) -> Floats:
        return np.bincount(codes[side], weights=weights, minlength=k).astype(np.float64)

    sizes = [np.bincount(c, minlength=k) for c in codes]
    ratio = sizes[1] / np.maximum(sizes[0], 1)
    beyond = summed(1, hits[1] - chance) - ratio * summed(0, hits[0] - expected[0])
    variance = summed(1, chance * (1 - chance)) + ratio**2 * summed(0, expected[0] * (1 - expected[0]))
    likely = summed(1, chance)
    return _Excess(beyond, variance, likely, (likely >= LEAST_EXPECTED) & (sizes[0] >= LEAST_REAL))


def _direction_p(directions: Sequence[Direction], share: float) -> float:
    found = [_summed([d], [share], _all(d), 1) for d in directions]
    kept = [e for e in found if e.expected[0] >= LEAST_EXPECTED]
    square = sum(float(e.beyond[0] ** 2 / max(e.variance[0], 1e-9)) for e in kept)
    return _chi_square_p(square, len(kept) - 1)


def _clustered(
    directions: Sequence[Direction], cuts: Sequence[Cut], codes: Sequence[tuple[AnyArray, AnyArray]]
) -> tuple[float, tuple[int, int] | None]:
    """The smallest p-value over columns, corrected for their number, and the cell that stands out most."""
    shares = [_local_share(d) for d in directions]
    best, cell, most = 1.0, None, 0.0
    for place, (cut, pair) in enumerate(zip(cuts, codes, strict=True)):
        found = _summed(directions, shares, pair, len(cut.labels))
        named = found.usable & np.array([label != REST for label in cut.labels])
        z = np.where(named, found.beyond / np.sqrt(np.maximum(found.variance, 1e-9)), 0.0)
        p = len(cuts) * _chi_square_p(float(np.square(z).sum()), int(named.sum()) - 1)
        # The cell that stands out most, in the column that does.
        if z.size and z.max() > 0 and (p, -float(z.max())) < (best, -most):
            best, most, cell = p, float(z.max()), (place, int(z.argmax()))
    return best, cell


def _chi_square_p(square: float, freedom: int) -> float:
    """Chance of a chi-square variable above `square`; 1 where nothing can differ."""
    return float(gammaincc(freedom / 2, square / 2)) if freedom > 0 else 1.0
