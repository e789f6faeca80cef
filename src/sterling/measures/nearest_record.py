"""Whether synthetic rows lie nearer to the rows that a generator was fitted on than to rows it never saw."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from sterling.kernel.estimate import Estimate, Unmeasured
from sterling.kernel.finding import Finding, Json, Status
from sterling.kernel.protocols import Terms, measure
from sterling.kernel.schema import Role
from sterling.kernel.view import Column, Need, View
from sterling.stats.bounds import normal_quantile, status_of
from sterling.stats.neighbours import TIE, nearest, query_side, rank_scales, reference_side

if TYPE_CHECKING:
    from sterling.kernel.view import Floats, Ints

BOUND = 0.03
LEAST_ROWS = 30
QUERIES = {"full": 10_000, "fast": 1_500}
REFERENCE = {"full": 25_000, "fast": 5_000}
# Cells that the two searches may compare, in query rows x reference rows x columns: about 3 CPU seconds.
MOST_WORK = 2e10
MOST_COLUMNS = 300


@measure(
    Need.COLUMNS,
    Need.HOLDOUT,
    title="Synthetic rows nearer to training rows than to unseen real rows",
    better="target",
    floor=False,
    family="privacy",
)
def nearest_record(
    real: View, synthetic: View, *, holdout: View | None, rng: np.random.Generator, terms: Terms
) -> tuple[Finding, ...]:
    """Share of synthetic rows whose nearest real row is a training row rather than an unseen one.

    As many training as unseen rows are searched, exactly; equal distances count one half. Rows that
    were copied, or nearly, push the share above .5. Synthetic rows that share a nearest record are not
    independent: given which records are nearest, a fair coin decides for each *record* whether it is a
    training row, so the standard error is sqrt(sum c^2) / (2 n) with c the rows that share a record.

    Args:
        real: train rows, those that the generator saw.
        synthetic: the rows to be judged.
        holdout: real rows that it certainly did not see.
        rng: draws the queries and the references.
        terms: `bound` is how far above .5 is tolerable, default .03.

    Returns:
        A share, .5 is ideal; above it rows lie too close to real people, below is chance.

    Source: distance to closest record with a holdout, Platzer & Reutterer 2021, arXiv:2104.00635; its
        interval under exchangeability is ours, tested by simulation.
    """
    bound = BOUND if terms.bound is None else terms.bound
    params: dict[str, Json] = {"bound": 0.5 + bound, "alpha": terms.alpha}
    unseen = 0 if holdout is None else holdout.n
    if holdout is None or min(real.n, unseen, synthetic.n) < LEAST_ROWS:
        few = Unmeasured(
            f"{real.n:,} train, {unseen:,} unseen and {synthetic.n:,} synthetic rows",
            mend=f"give at least {LEAST_ROWS} of each",
        )
        return (Finding("nearest_record", few, "target", Status.UNMEASURED, reason=few.reason, params=params),)
    queries, train, other = _drawn(real, synthetic, holdout, terms, rng=rng)
    wins, record = _wins(queries, train, other)
    share, counts = float(wins.mean()), np.unique(record, return_counts=True)[1]
    error = float(np.sqrt(np.square(counts).sum())) / (2 * queries.n)
    half = normal_quantile((1 - terms.level) / 2) * error
    result = Estimate(
        share, max(0.0, share - half), min(1.0, share + half), queries.n, terms.level, "exchangeable records, clustered"
    )
    at_least = share - normal_quantile(terms.alpha) * error
    status = Status.FAIL if at_least > 0.5 + bound else status_of(
        min(result.low, 0.5), result.high, 0.5 + bound, better="lower"
    )  # fmt: skip
    found = Finding(
        "nearest_record", result, "target", status,
        reason=_sentence(share, queries.n, synthetic.n, bound, share - at_least),
        params={**params, "queries": queries.n, "reference": other.n},
        evidence={"at_least": at_least, "nearest_records": int(counts.size), "ties": float((wins == 0.5).mean())},
    )  # fmt: skip
    return (found,)


def _drawn(
    real: View, synthetic: View, holdout: View, terms: Terms, *, rng: np.random.Generator
) -> tuple[View, View, View]:
    """Queries, and as many training rows as unseen rows."""
    size = min(real.n, holdout.n, REFERENCE[terms.effort])
    width = max(1, len(_compared(real)))
    queries = int(min(synthetic.n, QUERIES[terms.effort], max(200, MOST_WORK / (2 * size * width))))

    def some(view: View, rows: int) -> View:
        return view if view.n == rows else view.take(np.sort(rng.permutation(view.n)[:rows]))

    return some(synthetic, queries), some(real, size), some(holdout, size)


def _compared(view: View) -> tuple[Column, ...]:
    return tuple(c for c in view.columns or () if c.role is not Role.WEIGHT)[:MOST_COLUMNS]


def _wins(queries: View, train: View, other: View) -> tuple[Floats, Ints]:
    """[q] 1 where a training row is nearer, 0 where an unseen row is, .5 for a tie; and the nearest record."""
    columns = [_compared(v) for v in (queries, train, other)]
    # Ranks are taken in both references together: a scale from one alone would favour it.
    scales = rank_scales([_both(a, b) for a, b in zip(columns[1], columns[2], strict=True)])
    side = query_side(columns[0], scales)
    (near, at), (far, there) = (nearest(side, reference_side(c, scales)) for c in columns[1:])
    wins = np.where(np.abs(near - far) <= TIE, 0.5, (near < far).astype(np.float64))
    return wins, np.where(wins == 0.0, train.n + there, at)


def _both(a: Column, b: Column) -> Column:
    return replace(a, values=np.concatenate([a.values, b.values]))


def _sentence(share: float, queries: int, rows: int, bound: float, reach: float) -> str:
    told = (
        f"{share:.1%} of the synthetic rows lie nearer to a training row than to an unseen real row; "
        f"50 % is fair, and {0.5 + bound:.0%} is tolerated."
    )
    if queries == rows:
        return told
    return (
        f"{told} It looked at {queries:,} of {rows:,} rows: shares from {0.5 + bound + reach:.1%} on fail for certain."
    )
