"""How far the synthetic records' embeddings lie from the real ones', as a cloud."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sterling.kernel.estimate import Estimate, Unmeasured
from sterling.kernel.finding import Finding, Json, Status
from sterling.kernel.protocols import Terms, measure
from sterling.kernel.view import Need, View
from sterling.stats.bounds import status_of
from sterling.stats.mmd import (
    discrepancy,
    energy_distance,
    frechet_distance,
    gaussian_kernel,
    squared_distances,
    turned,
)

if TYPE_CHECKING:
    from sterling.kernel.view import AnyArray, Floats

# As if three records in a hundred came from elsewhere altogether.
BOUND = 0.03
LEAST_ROWS = 30
MOST_ROWS, MOST_ROWS_FAST = 5000, 2000
# Rows whose distances are all taken, for the energy distance and the worst examples.
NEAR_ROWS = 800
FRECHET_ROWS = 2000
MOST_DIMENSIONS = 256
MOST_SHOWN = 10
MOST_DIRECTIONS = 5


@measure(Need.EMBEDDING, title="Distance between real and synthetic embeddings", better="lower")
def embedding_gap(
    real: View, synthetic: View, *, holdout: View | None, rng: np.random.Generator, terms: Terms
) -> tuple[Finding, ...]:
    """Distance of the two clouds of embeddings, by the means of a Gaussian kernel.

    The kernel is as wide as the median distance of real records. A set of which a share e comes from
    far away and the rest is right has the distance e, so .03 reads as "three in a hundred are off". The energy distance
    (as a share of its largest) and the Frechet distance (per dimension, so that width does not matter) are in the
    evidence, with the dimensions whose means moved most and the records farthest from any real one.

    Values of different encoders, or of one encoder in different versions, are not comparable; nor are Frechet
    distances of different numbers of rows. The floor says what real records differ by.

    Args:
        real: train records.
        synthetic: the records to be judged.
        holdout: not used.
        rng: draws the kernel's 256 random features, and records where there are more than 5,000 (2,000 when fast).
        terms: `bound` is the largest tolerable distance, default .03.

    Returns:
        The distance, 0 (same) to the root of 2; smaller is better. Interval by the delta method and a gamma for
        what chance adds.

    Source: Gretton et al. 2012, JMLR 13:723; Rahimi & Recht 2007; Szekely & Rizzo 2013; Heusel et al. 2017,
        arXiv:1706.08500; Binkowski et al. 2018, arXiv:1801.01401, for an estimate without bias.
    """
    bound = BOUND if terms.bound is None else terms.bound
    params: dict[str, Json] = {"bound": bound, "alpha": terms.alpha, "n_real": real.n, "n_synthetic": synthetic.n}
    if min(real.n, synthetic.n) < LEAST_ROWS:
        few = f"{real.n:,} real and {synthetic.n:,} synthetic records are too few"
        return (_unmeasured(few, Status.UNMEASURED, params),)
    if real.embedding is None or synthetic.embedding is None:
        return (_unmeasured("the records have no embedding", Status.NOT_APPLICABLE, params),)
    if real.embedding.shape[1:] != synthetic.embedding.shape[1:]:
        return (_unmeasured("the two sets were embedded by different encoders", Status.UNMEASURED, params),)
    (a, _), (b, places) = (_drawn(e, rng, terms) for e in (real.embedding, synthetic.embedding))
    params |= {"rows_real": len(a), "rows_synthetic": len(b), "dimensions": int(a.shape[1])}
    if min(len(a), len(b)) < LEAST_ROWS or not a.shape[1]:
        few = f"{len(a):,} real and {len(b):,} synthetic records have a finite embedding"
        return (_unmeasured(few, Status.UNMEASURED, params),)
    if not a.std(axis=0).any():
        return (_unmeasured("all real records have the same embedding", Status.UNMEASURED, params),)
    return (_finding(a, b, places, rng, terms, bound, params),)


def _drawn(rows: Floats, rng: np.random.Generator, terms: Terms) -> tuple[Floats, AnyArray]:
    """The finite rows, not more than are affordable, and their places."""
    places = np.flatnonzero(np.isfinite(rows).all(axis=1))
    most = MOST_ROWS_FAST if terms.effort == "fast" else MOST_ROWS
    if places.size > most:
        places = np.sort(places[rng.permutation(places.size)[:most]])
    return rows[places], places


def _finding(
    a: Floats,
    b: Floats,
    places: AnyArray,
    rng: np.random.Generator,
    terms: Terms,
    bound: float,
    params: dict[str, Json],
) -> Finding:
    kernel = gaussian_kernel(a, rng=rng)
    found = discrepancy(kernel.features(a), kernel.features(b))
    low, high = found.bounds(alpha=(1 - terms.level) / 2)
    at_least = found.bounds(alpha=terms.alpha)[0]
    n = len(a) + len(b)
    result = Estimate(
        found.value, min(low, found.value), max(high, found.value), n, terms.level, "kernel mean discrepancy, gamma"
    )
    status = Status.FAIL if at_least > bound else status_of(min(low, bound), high, bound, better="lower")
    evidence = {"at_least": at_least, "kernel_width": kernel.width, **_others(a, b, places, rng)}
    drawn = len(a) < params["n_real"] or len(b) < params["n_synthetic"]  # type: ignore[operator]
    chance = float(np.sqrt(found.by_chance))
    reason = (
        f"The synthetic embeddings lie {found.value:.3f} from the real ones, as if {min(1.0, found.value):.1%} of the "
        f"records came from elsewhere ({bound:g} is tolerated; samples of this size differ by about {chance:.3f} "
        f"before correction).{f' Taken from {len(a):,} real and {len(b):,} synthetic records.' if drawn else ''}"
    )
    return Finding("embedding_gap", result, "lower", status, reason=reason, params=params, evidence=evidence)


def _others(a: Floats, b: Floats, places: AnyArray, rng: np.random.Generator) -> dict[str, Json]:
    """The other two distances, the dimensions that moved most, and the records farthest from real ones."""
    order = rng.permutation(len(a)), rng.permutation(len(b))
    near, far = a[order[0][:NEAR_ROWS]], b[order[1][:NEAR_ROWS]]
    between = np.sqrt(squared_distances(far, near))
    within = [np.sqrt(squared_distances(x, x)) for x in (near, far)]
    for distances in within:
        np.fill_diagonal(distances, 0.0)
    apart = between.min(axis=1)
    real_apart = (within[0] + np.diag(np.full(len(near), np.inf))).min(axis=1)
    worst = np.argsort(-apart, kind="stable")[:MOST_SHOWN]
    spread = np.sqrt((a.var(axis=0) + b.var(axis=0)) / 2)
    shift = np.divide(b.mean(axis=0) - a.mean(axis=0), spread, out=np.zeros_like(spread), where=spread > 0)
    width = a.shape[1]
    turn = turned(width, MOST_DIMENSIONS, rng=rng) if width > MOST_DIMENSIONS else None
    some = [x[o[:FRECHET_ROWS]] for x, o in zip((a, b), order, strict=True)]
    frechet = frechet_distance(*(x if turn is None else x @ turn for x in some))
    return {
        "energy": energy_distance(within[1], within[0], between),
        "energy_rows": len(near) + len(far),
        "frechet": frechet,
        "frechet_per_dimension": frechet / width,
        "frechet_dimensions": min(width, MOST_DIMENSIONS),
        "frechet_rows": sum(map(len, some)),
        "moved_most": [
            {"dimension": int(d), "shift_in_sd": round(float(shift[d]), 4)}
            for d in np.argsort(-np.abs(shift), kind="stable")[:MOST_DIRECTIONS]
        ],
        "farthest": [{"row": int(places[order[1][w]]), "distance": round(float(apart[w]), 5)} for w in worst],
        "usual_distance": round(float(np.median(real_apart)), 5),
    }


def _unmeasured(reason: str, status: Status, params: dict[str, Json]) -> Finding:
    why = Unmeasured(
        reason, mend=f"give at least {LEAST_ROWS} records of each, embedded by one encoder without infinite values"
    )
    return Finding("embedding_gap", why, "lower", status, reason=reason, params=params)
