"""Whether more synthetic rows repeat real rows than real rows repeat each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sterling.kernel.estimate import Estimate, Unmeasured
from sterling.kernel.finding import Finding, Json, Status
from sterling.kernel.protocols import Terms, measure
from sterling.kernel.view import Need, View
from sterling.stats.bounds import status_of
from sterling.stats.proportions import difference_bounds, ratio_above_p

if TYPE_CHECKING:
    from sterling.kernel.view import AnyArray, Hashes

BOUND = 0.001
LEAST_ROWS = 30


@dataclass(frozen=True, slots=True)
class _Counts:
    """How many rows are found among the train rows.

    Args:
        copied: synthetic rows found.
        rows: synthetic rows.
        twins: real rows found that are not themselves those train rows.
        fresh: real rows looked at; where twins come in pairs, as many as they are worth.
        unique: synthetic rows that repeat a train row which is the only one of its kind.
        unique_twins: fresh real rows that do.
        source: what the fresh rows are.
    """

    copied: int
    rows: int
    twins: int
    fresh: int
    unique: int
    unique_twins: int
    source: str


@measure(
    Need.HASHES, title="Synthetic rows that repeat a real row, beyond natural duplicates", better="lower", floor=False
)
def copies(
    real: View, synthetic: View, *, holdout: View | None, rng: np.random.Generator, terms: Terms
) -> tuple[Finding, ...]:
    """Share of synthetic rows that equal a train row, less the share of fresh real rows that do.

    A table of few coarse columns repeats itself: the chance that a fresh real row equals one of the
    train rows is the natural rate. It is the share of holdout rows found among the train rows, or,
    without a holdout, the share of train rows that have a twin among the others, which has the same
    mean. Fails if both the exact test of the two shares and the bound of their difference say so.

    Args:
        real: train rows.
        synthetic: the rows to be judged.
        holdout: real rows set apart.
        rng: not used; nothing is sampled.
        terms: `bound` is the largest tolerable excess share, default .001: one row in a thousand.

    Returns:
        A difference of shares, -1 to 1; at most 0 is ideal; smaller is better.

    Source: Newcombe 1998 (difference); conditional binomial test (Przyborowski & Wilenski 1940).
    """
    bound = BOUND if terms.bound is None else terms.bound
    params: dict[str, Json] = {"bound": bound, "alpha": terms.alpha}
    if real.hashes is None or synthetic.hashes is None or min(real.n, synthetic.n) < LEAST_ROWS:
        few = Unmeasured(
            f"{real.n:,} real and {synthetic.n:,} synthetic rows are too few to look for copies",
            mend=f"give at least {LEAST_ROWS} rows of each",
        )
        return (Finding("copies", few, "lower", Status.UNMEASURED, reason=few.reason, params=params),)
    fresh = holdout.hashes if holdout is not None and holdout.n >= LEAST_ROWS else None
    c = _counted(real.hashes, synthetic.hashes, fresh)
    value = c.copied / c.rows - c.twins / c.fresh
    low, high = difference_bounds(c.copied, c.rows, c.twins, c.fresh, alpha=(1 - terms.level) / 2)
    at_least = difference_bounds(c.copied, c.rows, c.twins, c.fresh, alpha=terms.alpha)[0]
    p_value = float(ratio_above_p(c.copied, c.rows, c.twins, c.fresh, ratio=1.0))
    failed = at_least > bound and p_value <= terms.alpha
    found = Finding(
        "copies",
        Estimate(value, low, high, c.rows + c.fresh, terms.level, "Newcombe"),
        "lower",
        Status.FAIL if failed else status_of(min(low, bound), high, bound, better="lower"),
        reason=_sentence(c, bound),
        params={**params, "n_real": real.n, "natural_rate_from": c.source},
        evidence={
            "copied": c.copied, "copied_share": c.copied / c.rows, "natural_share": c.twins / c.fresh,
            "p_value": p_value, "at_least": at_least, "copies_of_unique_rows": c.unique,
            "expected_of_unique_rows": c.unique_twins / c.fresh * c.rows,
        },
    )  # fmt: skip
    return (found,)


def _counted(real: Hashes, synthetic: Hashes, fresh: Hashes | None) -> _Counts:
    kinds, place, repeats = np.unique(real, return_inverse=True, return_counts=True)
    seen = _found(synthetic, kinds)
    single = repeats == 1
    unique = int(single[np.searchsorted(kinds, synthetic[seen])].sum())
    if fresh is not None:
        met = _found(fresh, kinds)
        met_single = int(single[np.searchsorted(kinds, fresh[met])].sum())
        return _Counts(int(seen.sum()), synthetic.size, int(met.sum()), fresh.size, unique, met_single, "holdout")
    twins = int((repeats[place] > 1).sum())
    # Twins come together: k equal rows are one event, not k. Deflate to the effective number of rows.
    worth = max(1.0, float(np.square(repeats[repeats > 1]).sum()) / max(1, twins))
    pairs = round(2 * float((repeats == 2).sum()) / worth)
    return _Counts(
        int(seen.sum()), synthetic.size, round(twins / worth), round(real.size / worth), unique, pairs, "train rows"
    )


def _found(rows: Hashes, kinds: Hashes) -> AnyArray:
    """[n] which rows are among the sorted kinds."""
    at = np.minimum(np.searchsorted(kinds, rows), kinds.size - 1)
    return kinds[at] == rows


def _sentence(c: _Counts, bound: float) -> str:
    expected = c.twins / c.fresh * c.rows
    return (
        f"{c.copied:,} of {c.rows:,} synthetic rows equal a real row, where {expected:,.0f} would by chance, "
        f"as real rows repeat each other; {c.unique:,} of them repeat a row that is the only one of its kind. "
        f"An excess of {bound:.1%} is tolerated."
    )
