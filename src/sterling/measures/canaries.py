"""Whether records planted before a generator was fitted can be told from twins that were left out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sterling.kernel.estimate import Estimate, Unmeasured
from sterling.kernel.finding import Finding, Json, Status
from sterling.kernel.protocols import Terms, measure
from sterling.kernel.view import Column, Need, View
from sterling.stats.attacks import Audit, audit, exposure, taken
from sterling.stats.bounds import status_of
from sterling.stats.neighbours import nearest, query_side, rank_scales, reference_side

if TYPE_CHECKING:
    from sterling.kernel.view import Ints

# Right guesses of which twin was planted: .5 is chance, .6 is what epsilon .41 allows.
BOUND = 0.6
LEAST_ROWS = 30
LEAST_PAIRS = 10
MOST_SHOWN = 10
# The column that marks planted rows: in the train rows the number 1, 2 ... of a pair, at its twin in the holdout the
# same number, 0 or missing elsewhere.
MARK = "_sterling_canary"
MEND = (
    "canaries are planted when one of Sterling's own generators is fitted: sterling generate NAME --from REAL "
    "--canaries 100; the set must then be judged against the same REAL"
)


@measure(
    Need.COLUMNS,
    title="How often a planted record is told from its twin",
    better="lower",
    floor=False,
    family="privacy",
    weight=0.1,
)
def canaries(
    real: View, synthetic: View, *, holdout: View | None, rng: np.random.Generator, terms: Terms
) -> tuple[Finding, ...]:
    """Share of pairs of twins of which the planted one lies nearer to the synthetic rows.

    Before a generator is fitted, pairs of records are drawn alike; a coin decides which one is planted among
    the train rows, the other joins the holdout. A view knows them by a column `_sterling_canary` that
    numbers the pairs. An output that remembers nobody lets nobody be right more often than the coin; every right
    guess beyond bounds the epsilon of differential privacy from below. A table that came from
    elsewhere holds no canaries, and the measure says so.

    Args:
        real: train rows, some of them planted.
        synthetic: the rows to be judged.
        holdout: real rows with the twins.
        rng: the coin for ties.
        terms: `bound` is the largest tolerable share, default .6 (epsilon .41).

    Returns:
        A share, .5 (cannot tell) to 1; smaller is better.

    Source: Carlini et al. 2019, arXiv:1802.08232 (canaries, exposure); Steinke, Nasr & Jagielski 2023,
        arXiv:2305.08846 (pairs, epsilon).
    """
    bound = BOUND if terms.bound is None else terms.bound
    params: dict[str, Json] = {"bound": bound, "alpha": terms.alpha}
    planted, twins = (np.empty(0, np.int64),) * 2 if holdout is None else _pairs(real, holdout)
    if holdout is None or planted.size < LEAST_PAIRS or synthetic.n < LEAST_ROWS:
        why = Unmeasured(_too_few(planted.size, synthetic.n), MEND)
        return (Finding("canaries", why, "lower", Status.UNMEASURED, reason=why.reason, params=params),)
    names = [c.name for c in synthetic.columns or () if c.name != MARK]
    if not names:
        why = Unmeasured("the synthetic rows have no column beside the canaries' mark", "give a set with columns")
        return (Finding("canaries", why, "lower", Status.UNMEASURED, reason=why.reason, params=params),)
    published = [synthetic.column(n) for n in names]
    scales = rank_scales(published)
    reference = reference_side(published, scales)

    def score(view: View, rows: Ints) -> np.ndarray:
        some: tuple[Column, ...] = taken([view.column(n) for n in names], rows)
        return -nearest(query_side(some, scales), reference)[0]

    near, far = score(real, planted), score(holdout, twins)
    told = audit(near, far, rng=rng)
    bits = exposure(near, far)
    worst = np.argsort(-bits, kind="stable")[:MOST_SHOWN]
    shown: list[Json] = [{"train_row": int(planted[i]), "exposure_bits": float(bits[i])} for i in worst]
    return (_finding(told, float(bits.mean()), shown, bound, terms, params),)


def _too_few(pairs: int, rows: int) -> str:
    if not pairs:
        return "no canaries were planted before this set was made"
    return (
        f"{pairs} pairs of canaries and {rows:,} synthetic rows are too few; {LEAST_PAIRS} and {LEAST_ROWS} are needed"
    )


def _pairs(real: View, holdout: View) -> tuple[Ints, Ints]:
    """[k] positions of the planted records, and of their twins."""
    marks = [_numbers(view) for view in (real, holdout)]
    if any(m is None for m in marks):
        return np.empty(0, np.int64), np.empty(0, np.int64)
    a, b = (np.zeros(0) if m is None else m for m in marks)
    pairs, planted, twins = np.intersect1d(a, b, return_indices=True)
    some = pairs > 0
    return planted[some], twins[some]


def _numbers(view: View) -> np.ndarray | None:
    column = next((c for c in view.columns or () if c.name == MARK and c.levels is None), None)
    return None if column is None else np.nan_to_num(column.values, nan=0.0)


def _finding(
    told: Audit, bits: float, shown: list[Json], bound: float, terms: Terms, params: dict[str, Json]
) -> Finding:
    low, high = told.bounds(alpha=(1 - terms.level) / 2)
    at_least, share = told.bounds(alpha=terms.alpha)[0], told.right / told.pairs
    epsilon = told.epsilon(alpha=(1 - terms.level) / 2)
    failed = at_least > bound
    return Finding(
        "canaries", Estimate(share, low, high, told.pairs, terms.level, "Clopper-Pearson"), "lower",
        Status.FAIL if failed else status_of(0.0, high, bound, better="lower"),
        reason=(
            f"Of {told.pairs:,} pairs of twins of which a coin chose the one to plant, the planted one was told from "
            f"the synthetic rows in {told.right:,}; a coin is right in {told.pairs / 2:,.0f}, and "
            f"{bound * told.pairs:,.0f} are tolerated. No epsilon below {epsilon:.2f} is possible."
        ),
        params=params,
        evidence={"at_least": at_least, "epsilon_at_least": epsilon, "mean_exposure_bits": bits, "most_exposed": shown},
    )  # fmt: skip
