"""Where the mass of a column lies, found through noise: ranges, adaptive histograms, frequent values.

Each search says what it costs; what it returns may be published. Sensitivity is the number of records of one person.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from sterling.stats.exact_noise import Words, discrete_gaussian, least_threshold
from sterling.stats.privacy_accounting import gaussian_variance

if TYPE_CHECKING:
    from sterling.kernel.view import Floats, Ints

# Ranges are found among powers of two: +-2**-20 ... 2**63, and zero.
LEAST_POWER, MOST_POWER = -20, 63
# Counts above so many standard deviations of their noise are taken for mass.
CLEAR = 4.0
# A histogram's nodes are cut into so many, as long as they hold more than one record in so many.
FANOUT = 8
FINEST_SHARE = 1 / 64
MOST_DEPTH = 7


@dataclass(frozen=True, slots=True, eq=False)
class Histogram:
    """Leaves of an adaptive histogram.

    Args:
        edges: [k + 1] int64 where leaves begin and end, 0 ... units.
        mass: [k] noisy number of records in each; may be negative.
    """

    edges: Ints
    mass: Floats


def noisy_range(values: Floats, *, rho: Fraction, sensitivity: int, words: Words) -> tuple[float, float] | None:
    """The powers of two between which clearly more records lie than noise explains.

    Args:
        values: [n], missing = NaN; infinite ones count as the largest.
        rho: the cost: one noisy count of 169 public intervals.
        sensitivity: records of one person.
        words: the source of randomness.

    Returns:
        (low, high), or None where no interval stands out of the noise.
    """
    known = values[~np.isnan(values)]
    size = np.clip(np.abs(known), 2.0**LEAST_POWER, 2.0**MOST_POWER)
    power = np.floor(np.log2(size)).astype(np.int64) - LEAST_POWER + 1
    span = MOST_POWER - LEAST_POWER + 1
    place = np.where(np.abs(known) < 2.0**LEAST_POWER, 0, np.sign(known).astype(np.int64) * power) + span
    variance = gaussian_variance(rho, sensitivity=sensitivity)
    counts = np.bincount(place, minlength=2 * span + 1) + discrete_gaussian(variance, 2 * span + 1, words=words)
    clear = np.flatnonzero(counts > CLEAR * math.sqrt(float(variance))) - span
    if not clear.size:
        return None
    return _end(int(clear[0]), upper=False), _end(int(clear[-1]), upper=True)


def _end(signed_power: int, *, upper: bool) -> float:
    """The lower or upper end of an interval between powers of two."""
    if signed_power == 0:
        return 0.0
    exponent = abs(signed_power) + LEAST_POWER - 1
    outer = upper == (signed_power > 0)
    return math.copysign(2.0 ** (exponent + outer), signed_power)


def noisy_histogram(place: Ints, units: int, *, rho: Fraction, sensitivity: int, words: Words) -> Histogram:
    """A histogram that is fine where the records are: nodes with much mass are cut into eight, again and again.

    Args:
        place: [n] 0 ... units - 1.
        units: how many places there are.
        rho: the cost, divided evenly among the depths.
        sensitivity: records of one person.
        words: the source of randomness.
    """
    depth = min(MOST_DEPTH, max(1, math.ceil(math.log(units, FANOUT) - 1e-9)))
    variance = gaussian_variance(rho / depth, sensitivity=sensitivity)
    ordered = np.sort(place)
    leaves: dict[int, float] = {}
    nodes, total = [(0, units)], 0.0
    for _ in range(depth):
        spans = [span for node in nodes for span in _cut(*node)]
        bounds = np.searchsorted(ordered, np.array(spans, dtype=np.int64))
        noisy = np.diff(bounds, axis=1)[:, 0] + discrete_gaussian(variance, len(spans), words=words)
        total = total or max(1.0, float(noisy.sum()))
        # A node's first part starts where the node starts, and so takes its place.
        leaves.update((a, mass) for (a, _), mass in zip(spans, noisy.tolist(), strict=True))
        heavy = max(CLEAR * math.sqrt(float(variance)), FINEST_SHARE * total)
        nodes = [(a, b) for (a, b), mass in zip(spans, noisy.tolist(), strict=True) if mass > heavy and b - a > 1]
        if not nodes:
            break
    starts = sorted(leaves)
    return Histogram(np.array([*starts, units]), np.array([leaves[a] for a in starts], dtype=np.float64))


def _cut(a: int, b: int) -> list[tuple[int, int]]:
    """At most FANOUT parts of nearly equal width."""
    parts = min(FANOUT, b - a)
    edges = [a + (b - a) * i // parts for i in range(parts + 1)]
    return list(itertools.pairwise(edges))


def grouped(mass: Floats, most: int) -> Ints:
    """[k] the group of each leaf: neighbours together until they hold their part; heavy leaves alone.

    >>> grouped(np.array([1.0, 1.0, 50.0, 1.0, 1.0]), 3).tolist()
    [0, 0, 1, 2, 2]
    """
    share = np.maximum(mass, 0.0)
    part = max(float(share.sum()) / most, 1e-12)
    groups, group, held = np.zeros(mass.size, dtype=np.int64), -1, math.inf
    for i, m in enumerate(share.tolist()):
        if held + m > part:  # full, or this leaf would overfill it
            group, held = group + 1, 0.0
        groups[i] = group
        held = held + m
    return groups


def frequent(counts: Ints, *, rho: Fraction, delta: float, sensitivity: int, words: Words) -> Ints:
    """Places of the values that more records share than noise explains.

    A value that occurs in the records of one person only is named with probability at most delta.

    Args:
        counts: [k] how often each value occurs, > 0; their order is not published.
        rho: the cost of the noise.
        delta: allowed chance.
        sensitivity: records of one person.
        words: the source of randomness.

    Source: Korolova et al. 2009 (thresholds); Swanberg, Desfontaines & Haney 2023, arXiv:2306.09666 (Gaussian).
    """
    variance = gaussian_variance(rho, sensitivity=sensitivity)
    # One person's records may be spread over so many values, each of which may pass.
    threshold = sensitivity + least_threshold(variance, delta / sensitivity)
    return np.flatnonzero(counts + discrete_gaussian(variance, counts.size, words=words) >= threshold)
