"""Labels that can be checked: those of rows whose features leave next to no doubt, and what they reveal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import gammainccinv, gammaincinv

from sterling.kernel.estimate import Unmeasured
from sterling.kernel.schema import Kind, Role
from sterling.kernel.view import Column
from sterling.stats.judged_labels import (
    LEAST_CLASS,
    JudgedLabels,
    outlier_distance,
    outlier_reach,
    scaled_residuals,
    sights_of,
)
from sterling.stats.label_noise import Sight
from sterling.stats.label_pattern import Direction, Pattern, pattern_of
from sterling.stats.label_shift import Strata, strata_of
from sterling.stats.proportions import exact_bounds
from sterling.stats.slices import Cut, cut_column

if TYPE_CHECKING:
    from sterling.kernel.view import AnyArray, Bools, Floats

# Labels that models give together less than this chance can be checked: little else but an error explains them.
NO_DOUBT = 0.05
STRATA = 5
# Patterns are told with this error; they explain, and fail nothing.
PATTERN_ALPHA = 0.002
BINS, MOST_LEVELS, MOST_COLUMNS, COMPONENTS = 5, 50, 200, 8


@dataclass(frozen=True, slots=True, eq=False)
class Checked:
    """The rows whose label can be checked.

    Args:
        rows: [n] and [m] which rows they are.
        hits: [a] and [b] contradicting labels among them.
        chance: [a] and [b] how probable a contradiction was.
        expected: [a] and [b] how often real labels of such certainty contradict.
        reach: [b] chance that a wrong label would.
    """

    rows: tuple[Bools, Bools]
    hits: tuple[Bools, Bools]
    chance: tuple[Floats, Floats]
    expected: tuple[Floats, Floats]
    reach: Floats

    def excess(self, rows: tuple[Bools, Bools], *, alpha: float) -> tuple[float, float, float]:
        """Contradictions of some of these rows beyond real ones of the same certainty: share, lower, upper bound."""
        real, made = (c[r] for c, r in zip(self.chance, rows, strict=True))
        hits = self.hits[0][rows[0]], self.hits[1][rows[1]]
        return standardised_shift(hits, strata_of(real, made, bins=STRATA), alpha=alpha)


def checked_labels(judged: JudgedLabels) -> Checked | Unmeasured:
    """The labels that can be checked, and how often real ones of the same certainty contradict.

    For classes those where all contradicting classes together have at most a chance of .05; for numbers all.
    """
    sights = sights_of(judged)
    rows = tuple((s.reach > 0) & (s.chance <= NO_DOUBT) for s in sights)
    sizes = [int(r.sum()) for r in rows]
    if min(sizes) < LEAST_CLASS:
        return Unmeasured(
            f"the features leave the {judged.real.known_target.name} of all but {sizes[0]:,} real and {sizes[1]:,} "
            "synthetic rows in doubt, so no label contradicts them",
            mend=f"give features that tell the target, or more rows: at least {LEAST_CLASS} clear ones of each set",
        )
    real, made = (s.take(r) for s, r in zip(sights, rows, strict=True))
    strata = strata_of(real.chance, made.chance, bins=STRATA)
    rates = strata.means(real.hit.astype(np.float64), made.hit.astype(np.float64))[0]
    expected = rates[strata.real], rates[strata.synthetic]
    seen = _seen(made, expected[1], judged.dilution)
    return Checked((rows[0], rows[1]), (real.hit, made.hit), (real.chance, made.chance), expected, seen)


def standardised_shift(hits: tuple[Bools, Bools], strata: Strata, *, alpha: float) -> tuple[float, float, float]:
    """By how much a synthetic rate exceeds the real one at the synthetic rows' mix of strata.

    What the real rows say of a stratum is as sure as the real rows in it are many, and a stratum counts by
    its synthetic rows: the real rate over all its rows may be far surer than the rate that is compared.

    Args:
        hits: [n] and [m] which rows have the label, n and m at least 1.
        strata: of the same rows; one without real rows is judged with its neighbour.
        alpha: one-sided error of each bound.

    Returns:
        The shift, -1 to 1, its lower and its upper bound.

    Source: direct standardisation with the gamma limits of Fay & Feuer 1997, Statistics in Medicine 16:791;
        combined with Clopper-Pearson's of the synthetic rate by squaring and adding (Newcombe 1998, method 10).
    """
    counts, sizes, shares = _by_stratum(hits[0], strata)
    rate, least, most = standardised_rate(counts, sizes, shares, alpha=alpha)
    found = int(np.count_nonzero(hits[1])), hits[1].size
    low, high = (float(x) for x in exact_bounds(*found, alpha=alpha))
    made = found[0] / found[1]
    value = made - rate
    return value, value - float(np.hypot(made - low, most - rate)), value + float(np.hypot(high - made, rate - least))


def _by_stratum(hits: Bools, strata: Strata) -> tuple[Floats, Floats, Floats]:
    """Real hits and real rows of each stratum that has any, and its share of the synthetic rows."""
    here, there = strata.sizes()
    held = np.flatnonzero(here)
    home = np.maximum(np.searchsorted(held, np.arange(strata.k), side="right") - 1, 0)
    counts = np.bincount(strata.real, weights=hits, minlength=strata.k)[held].astype(np.float64)
    shares = np.bincount(home, weights=there, minlength=held.size) / there.sum()
    return counts, here[held].astype(np.float64), shares


def standardised_rate(counts: Floats, sizes: Floats, shares: Floats, *, alpha: float) -> tuple[float, float, float]:
    """A rate at a given mix of strata, with bounds that stay valid for rare events and uneven weights.

    Args:
        counts: [k] events.
        sizes: [k] rows, at least 1 each.
        shares: [k] weight of each stratum, adding up to 1.
        alpha: one-sided error of each bound.

    Returns:
        The rate, its lower and its upper bound, each 0..1.

    Source: Fay & Feuer 1997, Statistics in Medicine 16:791.

    >>> both, half = np.array([5.0, 5.0]), np.array([0.5, 0.5])
    >>> [round(x, 4) for x in standardised_rate(both, 500 * np.ones(2), half, alpha=0.025)]
    [0.01, 0.0048, 0.0184]
    """
    weights = shares / sizes
    rate, variance, largest = float(weights @ counts), float(weights**2 @ counts), float(weights.max())
    low = float(gammaincinv(rate**2 / variance, alpha)) * variance / rate if rate > 0 else 0.0
    above, spread = rate + largest, variance + largest**2
    high = float(gammainccinv(above**2 / spread, alpha)) * spread / above
    return rate, low, min(high, 1.0)


def _seen(sight: Sight, expected: Floats, dilution: float) -> Floats:
    """[m] by how much a wrong label raises the chance of a contradiction."""
    return np.maximum(sight.reach - dilution * expected, 0.0)


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """A slice in which wrong labels concentrate.

    Args:
        title: such as "sex=F".
        rows: [a] and [b] which of the checked rows it holds.
        looks: how many slices were looked at.
    """

    title: str
    rows: tuple[Bools, Bools]
    looks: int


def located(judged: JudgedLabels, checked: Checked) -> tuple[Pattern, Place | None]:
    """The pattern of wrong labels over all features, and the slice that holds them if they are clustered."""
    cuts, codes = slices_of(judged, checked)
    pattern = pattern_of(directions(judged, checked), cuts, codes, alpha=PATTERN_ALPHA)
    if pattern.cell is None:
        return pattern, None
    cut, code = pattern.cell
    inside = codes[cut][0] == code, codes[cut][1] == code
    return pattern, Place(cuts[cut].title(code), inside, sum(len(c.labels) for c in cuts))


def directions(judged: JudgedLabels, checked: Checked) -> list[Direction]:
    """Per expected class, labels that contradict it; for numbers, those that lie below and above."""
    if judged.names:
        likely = [p[r].argmax(axis=1) for p, r in zip(judged.chances, checked.rows, strict=True)]
        out: list[Direction] = []
        for k, name in enumerate(judged.names):
            mine = likely[0] == k, likely[1] == k
            hits = checked.hits[0] & mine[0], checked.hits[1] & mine[1]
            expected = checked.expected[0] * mine[0], checked.expected[1] * mine[1]
            out.append(Direction(f"{name} was to be expected", hits, expected, checked.reach * mine[1]))
        return out
    far, distances, reaches = outlier_distance(judged), scaled_residuals(judged), outlier_reach(judged)
    # How far a number must be wrong to be seen hangs on its prediction, and nobody knows how wrong it is.
    strata = strata_of(judged.chances[0][checked.rows[0]], judged.chances[1][checked.rows[1]])
    out = []
    for side, (name, sign) in enumerate((("too low", -1), ("too high", 1))):
        hits = tuple((sign * d > far)[r] for d, r in zip(distances, checked.rows, strict=True))
        rate = float(hits[0].mean())
        expected = tuple(np.full(h.size, rate) for h in hits)
        reach, groups = reaches[1][side][checked.rows[1]], (strata.real, strata.synthetic)
        out.append(Direction(name, (hits[0], hits[1]), (expected[0], expected[1]), reach, groups))
    return out


def slices_of(judged: JudgedLabels, checked: Checked) -> tuple[list[Cut], list[tuple[AnyArray, AnyArray]]]:
    """Every feature in slices, for the checked rows; main components where there is but an embedding."""
    columns = [(c, judged.synthetic.column(c.name)) for c in judged.real.features[:MOST_COLUMNS]]
    if not columns:
        columns = _components(judged.real.embedding, judged.synthetic.embedding)
    cuts = [cut_column(c, bins=BINS, least=LEAST_CLASS, most=MOST_LEVELS) for c, _ in columns]
    codes = [
        (cut.assign(a)[checked.rows[0]], cut.assign(b)[checked.rows[1]])
        for cut, (a, b) in zip(cuts, columns, strict=True)
    ]
    return cuts, codes


def _components(real: Floats | None, synthetic: Floats | None) -> list[tuple[Column, Column]]:
    if real is None or synthetic is None:
        return []
    middle = real.mean(axis=0)
    axes = np.linalg.eigh(np.cov(real - middle, rowvar=False))[1][:, ::-1][:, :COMPONENTS]
    pairs = [((real - middle) @ axis, (synthetic - middle) @ axis) for axis in axes.T]
    return [
        (Column(name, Kind.NUMBER, Role.FEATURE, a), Column(name, Kind.NUMBER, Role.FEATURE, b))
        for name, (a, b) in zip((f"component {i + 1}" for i in range(len(pairs))), pairs, strict=True)
    ]
