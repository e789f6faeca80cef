"""How many events an entity has: the gap between the real and the synthetic distribution."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sterling.kernel.estimate import Estimate, Unmeasured
from sterling.kernel.finding import Finding, Json, Status
from sterling.kernel.protocols import Terms, measure
from sterling.kernel.view import Need, View
from sterling.stats.bounds import status_of, two_sample_dkw
from sterling.stats.sequences import too_few

if TYPE_CHECKING:
    from sterling.kernel.view import Ints

BOUND = 0.10


@measure(Need.ENTITIES, Need.COLUMNS, title="Gap in how many events an entity has", better="lower", weight=0.5)
def sequence_length(
    real: View, synthetic: View, *, holdout: View | None, rng: np.random.Generator, terms: Terms
) -> tuple[Finding, ...]:
    """How far the distribution of the number of events per entity is from the real one.

    Args:
        real: train rows that know whose they are.
        synthetic: the rows to be judged, likewise.
        holdout: not used.
        rng: not used.
        terms: `bound` is the largest tolerable distance, default .10.

    Returns:
        Kolmogorov-Smirnov distance over entities, 0 (same) to 1; smaller is better.

    Source: Massart 1990 (Dvoretzky-Kiefer-Wolfowitz with its constant), entities being independent.
    """
    bound = BOUND if terms.bound is None else terms.bound
    params: dict[str, Json] = {"bound": bound, "alpha": terms.alpha}
    why = too_few(real, synthetic, timed=False)
    if why is not None or real.entities is None or synthetic.entities is None:
        why = why or Unmeasured("no entities are declared", "declare them: --entity COLUMN")
        return (Finding("sequence_length", why, "lower", Status.UNMEASURED, reason=why.reason, params=params),)
    own, made = (np.unique(e, return_counts=True)[1] for e in (real.entities, synthetic.entities))
    value = _distance(own, made)
    sure, slack = (two_sample_dkw(own.size, made.size, alpha=a) for a in (terms.alpha, 1 - terms.level))
    low, high = max(0.0, value - slack), min(1.0, value + slack)
    said = (
        f"real entities have {own.mean():.4g} events on average (median {np.median(own):g}, most {own.max():,}), "
        f"synthetic ones {made.mean():.4g} (median {np.median(made):g}, most {made.max():,})"
    )
    found = Finding(
        "sequence_length",
        Estimate(value, low, high, own.size + made.size, terms.level, "Kolmogorov-Smirnov over entities, DKW"),
        "lower",
        status_of(value - sure, high, bound, better="lower"),
        reason=said,
        params=params,
        evidence={"entities": [own.size, made.size], "mean_events": [float(own.mean()), float(made.mean())]},
    )
    return (found,)


def _distance(own: Ints, made: Ints) -> float:
    at = np.union1d(own, made)
    below = [np.searchsorted(np.sort(v), at, side="right") / v.size for v in (own, made)]
    return float(np.abs(below[0] - below[1]).max())
