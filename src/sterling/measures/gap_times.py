"""The time from one event of an entity to the next: the gap between the real and the synthetic distribution."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sterling.kernel.estimate import Estimate, Unmeasured
from sterling.kernel.finding import Finding, Json, Status
from sterling.kernel.protocols import Terms, measure
from sterling.kernel.schema import Kind, Role
from sterling.kernel.view import Need, View
from sterling.stats.bounds import status_of
from sterling.stats.sequences import MOST_ENTITIES, Sequences, cells_by, distance, histograms, sequences_of, too_few

if TYPE_CHECKING:
    from sterling.kernel.view import Floats

BOUND = 0.10
CELLS = 32
LEAST_GAPS = 30
UNITS = ((86_400.0, "days"), (3_600.0, "hours"), (60.0, "minutes"), (1.0, "seconds"))


@measure(Need.ENTITIES, Need.TIME, Need.COLUMNS, title="Gap in the time between events", better="lower", weight=0.5)
def gap_times(
    real: View, synthetic: View, *, holdout: View | None, rng: np.random.Generator, terms: Terms
) -> tuple[Finding, ...]:
    """How far the distribution of the time between two events of an entity is from the real one.

    Args:
        real: train rows that know whose they are, and when.
        synthetic: the rows to be judged, likewise.
        holdout: not used.
        rng: draws entities.
        terms: `bound` is the largest tolerable distance, default .10.

    Returns:
        Kolmogorov-Smirnov distance over all gaps, 0 (same) to 1; smaller is better. Its interval is by drawing
        entities anew: the gaps of one entity are not independent.

    Source: cluster bootstrap, Davison & Hinkley 1997, section 3.8; the tail of the supremum, Kolmogorov 1933.
    """
    bound = BOUND if terms.bound is None else terms.bound
    params: dict[str, Json] = {"bound": bound, "alpha": terms.alpha}
    few = too_few(real, synthetic)
    if few is not None:
        return (Finding("gap_times", few, "lower", Status.UNMEASURED, reason=few.reason, params=params),)
    sets = [sequences_of(v, most=MOST_ENTITIES[terms.effort], rng=rng) for v in (real, synthetic)]
    gaps = [_gaps(s) for s in sets]
    known = [g[~np.isnan(g)] for g in gaps]
    if min(g.size for g in known) < LEAST_GAPS:
        none = Unmeasured(
            f"there are {known[0].size:,} real and {known[1].size:,} synthetic gaps between dated events",
            f"give at least {LEAST_GAPS} of each: entities of more events than one",
        )
        return (Finding("gap_times", none, "lower", Status.UNMEASURED, reason=none.reason, params=params),)
    (own, made), most = cells_by(*gaps, most=CELLS)
    tables = [
        histograms(c, s.entity[s.followers], entities=s.count, most=most)
        for c, s in zip((own, made), sets, strict=True)
    ]
    found = distance(tables[0], tables[1], ordered=True, rng=rng)
    low, high = found.bounds(1 - terms.level)
    scale, unit = _unit(real, float(np.median(known[0])))
    middles = [float(np.median(g)) / scale for g in known]
    means = [float(np.mean(g)) / scale for g in known]
    said = (
        f"a real event comes {means[0]:.4g} {unit} after the last one on average (median {middles[0]:.4g}), "
        f"a synthetic one {means[1]:.4g} (median {middles[1]:.4g})"
    )
    estimate = Estimate(
        found.value, low, high, known[0].size + known[1].size, terms.level, "Kolmogorov-Smirnov, entities drawn anew"
    )
    status = status_of(found.bounds(terms.alpha)[0], high, bound, better="lower")
    evidence: dict[str, Json] = {"median_gap": [*middles], "mean_gap": [*means], "unit": unit}
    return (Finding("gap_times", estimate, "lower", status, reason=said, params=params, evidence=evidence),)


def _gaps(found: Sequences) -> Floats:
    """[m] time since the event before; NaN where one of the two has none."""
    at = found.followers
    return found.times[at] - found.times[at - 1]


def _unit(view: View, middle: float) -> tuple[float, str]:
    time = view.with_role(Role.TIME)[0]
    if time.kind is not Kind.DATETIME:
        return 1.0, time.unit or "units"
    return next(((scale, unit) for scale, unit in UNITS if middle >= scale), UNITS[-1])
