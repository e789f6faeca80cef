"""Whether synthetic rows come near all real rows, as other real rows would."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np

from sterling.kernel.estimate import Estimate, Unmeasured
from sterling.kernel.finding import Finding, Json, Status
from sterling.kernel.protocols import Terms, measure
from sterling.kernel.schema import Role
from sterling.kernel.view import Column, Need, View
from sterling.stats.bounds import normal_quantile, status_of
from sterling.stats.manifold import NEIGHBOURS, Balls, Manifold, balls, covered, manifold, nearest_of, spread_of_gap
from sterling.stats.neighbours import query_side, rank_scales

if TYPE_CHECKING:
    from sterling.kernel.view import Floats, Ints
    from sterling.stats.manifold import Points

BOUND = 0.05
LEAST_ROWS = 30
MOST_ROWS = {"full": 3_000, "fast": 2_000}
# Points in an embedding have hundreds of coordinates, and each pair costs that.
MOST_POINTS = {"full": 2_500, "fast": 1_500}
MOST_COLUMNS = 300
MOST_EXAMPLES = 10


@dataclass(frozen=True, slots=True, eq=False)
class _Parts:
    """Two real halves and as many synthetic rows.

    Args:
        rows: [n] where the rows of the first half stand among the real rows.
        real: the first half.
        other: the second, which shows what no gap looks like.
        synthetic: the rows judged.
        space: what the distance is of, in words.
    """

    rows: Ints
    real: Points
    other: Points
    synthetic: Points
    space: str


@measure(
    Need.RECORDS,
    title="Real rows that no synthetic row comes near, beyond what real rows leave",
    better="lower",
    floor=False,
    family="coverage",
)
def coverage(
    real: View, synthetic: View, *, holdout: View | None, rng: np.random.Generator, terms: Terms
) -> tuple[Finding, ...]:
    """By how much the synthetic rows cover fewer real rows than as many other real rows do.

    A real row is covered if a synthetic row lies no further from it than its 5th nearest other real row. The real
    rows are halved: one half is to be covered, the other shows how much of it fresh real rows cover (about 97 %),
    and as many synthetic rows as it has must do the same. Distances are those of the embedding where there is
    one, else those of all columns: squared differences of ranks, categories equal or not, missing or not.

    Args:
        real: train rows.
        synthetic: the rows to be judged.
        holdout: not used.
        rng: draws the halves, and rows where there are more than 3,000 in each (2,000 if fast; 2,500 and 1,500
            points of an embedding).
        terms: `bound` is the largest tolerable difference, default .05.

    Returns:
        Difference of coverages, -1 to 1; at most 0 is ideal; smaller is better. Precision, recall, density and
        coverage of the synthetic rows and of the other real half are in the evidence.

    Source: Naeem et al. 2020, arXiv:2002.09797; Kynkaanniemi et al. 2019, arXiv:1904.06991. The standard
        error is that of dealing the covering rows out anew (permutation); that the interval covers is tested.
    """
    bound = BOUND if terms.bound is None else terms.bound
    params: dict[str, Json] = {"bound": bound, "alpha": terms.alpha, "neighbours": NEIGHBOURS}
    size = min(real.n // 2, synthetic.n)
    if size < LEAST_ROWS:
        few = Unmeasured(
            f"{real.n:,} real and {synthetic.n:,} synthetic rows are too few to look for gaps",
            mend=f"give at least {2 * LEAST_ROWS} real and {LEAST_ROWS} synthetic rows",
        )
        return (Finding("coverage", few, "lower", Status.UNMEASURED, reason=few.reason, params=params),)
    parts = _parts(real, synthetic, terms, rng=rng)
    around = balls(parts.real)
    made, fresh = nearest_of(around, parts.synthetic), nearest_of(around, parts.other)
    ours, theirs = manifold(around, parts.synthetic, made), manifold(around, parts.other, fresh)
    n, gap = parts.rows.size, theirs.coverage - ours.coverage
    error = spread_of_gap(around, parts.synthetic, parts.other, gap=gap, rng=rng)
    # Where all balls hold points of both, nothing varies: one ball in n could still have been missed.
    error = max(error, 1 / n)
    half = normal_quantile((1 - terms.level) / 2) * error
    result = Estimate(
        gap, max(-1.0, gap - half), min(1.0, gap + half), n, terms.level, "two real halves, dealt out anew"
    )
    at_least = gap - normal_quantile(terms.alpha) * error
    status = Status.FAIL if at_least > bound else status_of(min(result.low, bound), result.high, bound, better="lower")
    found = Finding(
        "coverage", result, "lower", status,
        reason=_sentence(ours, theirs, bound, n, max(real.n // 2, synthetic.n)),
        params={**params, "n_each": n, "space": parts.space},
        evidence={
            "at_least": at_least, "synthetic": dict(asdict(ours)), "real_real": dict(asdict(theirs)),
            "farthest": _farthest(parts, around, made),
        },
    )  # fmt: skip
    return (found,)


def _parts(real: View, synthetic: View, terms: Terms, *, rng: np.random.Generator) -> _Parts:
    embedded = real.embedding is not None and synthetic.embedding is not None
    most = (MOST_POINTS if embedded else MOST_ROWS)[terms.effort]
    size = min(real.n // 2, synthetic.n, most)
    order, drawn = rng.permutation(real.n), np.sort(rng.permutation(synthetic.n)[:size])
    rows, others = np.sort(order[:size]), np.sort(order[size : 2 * size])
    if real.embedding is not None and synthetic.embedding is not None:
        points = real.embedding[rows], real.embedding[others], synthetic.embedding[drawn]
        return _Parts(rows, *points, "embedding")
    kept = [_compared(v) for v in (real.take(rows), real.take(others), synthetic.take(drawn))]
    # A scale from the half that is to be covered favours neither of those that cover it.
    scales = rank_scales(kept[0])
    here, there, made = (query_side(columns, scales) for columns in kept)
    return _Parts(rows, here, there, made, "columns")


def _compared(view: View) -> tuple[Column, ...]:
    return tuple(c for c in view.columns or () if c.role is not Role.WEIGHT)[:MOST_COLUMNS]


def _farthest(parts: _Parts, around: Balls, made: Floats) -> list[Json]:
    """Uncovered real rows, the farthest from any synthetic row first, by row numbers from 0."""
    missed = np.flatnonzero(~covered(around, made))
    missed = missed[np.argsort(-made[missed], kind="stable")][:MOST_EXAMPLES]
    apart = np.sqrt(np.stack([made[missed], around.radii[missed]], axis=1))
    return [
        {"real_row": int(parts.rows[i]), "distance": round(float(a), 4), "distance_to_5th_real": round(float(b), 4)}
        for i, (a, b) in zip(missed, apart, strict=True)
    ]


def _sentence(ours: Manifold, theirs: Manifold, bound: float, n: int, rows: int) -> str:
    looked = f" It looked at {n:,} rows of each." if n < rows else ""
    return (
        f"{1 - ours.coverage:.1%} of the real rows have no synthetic row near them, where as many other real rows "
        f"would leave {1 - theirs.coverage:.1%}; a difference of {bound:.0%} is tolerated. "
        f"{1 - ours.precision:.1%} of the synthetic rows lie where no real row is near "
        f"(other real rows: {1 - theirs.precision:.1%}).{looked}"
    )
