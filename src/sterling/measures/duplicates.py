"""Whether synthetic rows repeat each other more often than real rows do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sterling.kernel.estimate import Estimate, Unmeasured
from sterling.kernel.finding import Finding, Json, Status
from sterling.kernel.protocols import Terms, measure
from sterling.kernel.view import Need, View
from sterling.stats.bounds import status_of
from sterling.stats.diversity import repeats
from sterling.stats.proportions import difference_bounds, ratio_above_p

if TYPE_CHECKING:
    from sterling.kernel.view import Hashes, Ints

BOUND = 0.001
LEAST_ROWS = 30
# With a Poisson number c of equal rows, the variance of c - 1 (if positive) is at most 1.39 times its mean.
CLUMPED = 1.4
# With so many repeats in both sets the bound of the difference needs no exact test beside it.
MANY = 100
# A pasted block has at least so many different rows, and is as long as chance makes one in a thousand sets.
LEAST_RUN, BY_CHANCE = 3, 0.001


@measure(Need.HASHES, title="Synthetic rows that repeat each other, beyond natural repeats", better="lower",
         family="diversity")  # fmt: skip
def duplicates(
    real: View, synthetic: View, *, holdout: View | None, rng: np.random.Generator, terms: Terms
) -> tuple[Finding, ...]:
    """Share of synthetic rows that repeat an earlier one, less the same share of real rows, at equal n.

    Coarse tables repeat themselves: real rows are the baseline, and the larger set is rarefied to the
    smaller one's size (the expected number of repeats in a random subsample). Fails if the bound of their
    difference says so, and, where repeats are few, the exact test of the two shares too. How often single
    rows repeat, and whether repeats lie one fixed distance apart as a pasted block does, is evidence.

    Args:
        real: train rows.
        synthetic: the rows to be judged.
        holdout: not used.
        rng: not used; nothing is sampled.
        terms: `bound` is the largest tolerable excess share, default .001: one row in a thousand.

    Returns:
        A difference of shares, -1 to 1; at most 0 is ideal; smaller is better.

    Source: rarefaction, Hurlbert 1971; Newcombe 1998 (difference); conditional binomial test
        (Przyborowski & Wilenski 1940).
    """
    bound = BOUND if terms.bound is None else terms.bound
    params: dict[str, Json] = {"bound": bound, "alpha": terms.alpha, "n_real": real.n, "n_synthetic": synthetic.n}
    if real.hashes is None or synthetic.hashes is None or min(real.n, synthetic.n) < LEAST_ROWS:
        few = Unmeasured(
            f"{real.n:,} real and {synthetic.n:,} synthetic rows are too few to look for repeats",
            mend=f"give at least {LEAST_ROWS} rows of each",
        )
        return (Finding("duplicates", few, "lower", Status.UNMEASURED, reason=few.reason, params=params),)
    size = min(real.n, synthetic.n)
    tallies = [_tally(h) for h in (synthetic.hashes, real.hashes)]
    found = [repeats(t, size) for t in tallies]
    # Repeats come in clumps: so many independent rows they are worth.
    worth = max(2, round(size / CLUMPED))
    hits = [min(worth, round(f / CLUMPED)) for f in found]
    value = (found[0] - found[1]) / size
    low, high = difference_bounds(hits[0], worth, hits[1], worth, alpha=(1 - terms.level) / 2)
    at_least = difference_bounds(hits[0], worth, hits[1], worth, alpha=terms.alpha)[0]
    p_value = float(ratio_above_p(hits[0], worth, hits[1], worth, ratio=1.0))
    failed = at_least > bound and (p_value <= terms.alpha or min(hits) >= MANY)
    block = _block(synthetic.hashes, tallies[0])
    return (
        Finding(
            "duplicates",
            Estimate(value, min(low, value), max(high, value), 2 * size, terms.level, "Newcombe"), "lower",
            Status.FAIL if failed else status_of(min(low, bound), high, bound, better="lower"),
            reason=_sentence(found, size, bound, block), params={**params, "rows": size},
            evidence={
                "synthetic_share": found[0] / size, "real_share": found[1] / size, "at_least": at_least,
                "p_value": p_value, "most_often": int(tallies[0].max()), "most_often_real": int(tallies[1].max()),
                "block": block,
            },
        ),
    )  # fmt: skip


def _tally(hashes: Hashes) -> Ints:
    return np.unique(hashes, return_counts=True)[1].astype(np.int64)


def _block(hashes: Hashes, tally: Ints) -> dict[str, Json] | None:
    """The longest run of rows that repeats, in order, the rows one fixed distance before; None if there is none."""
    order = np.argsort(hashes, kind="stable")
    again = hashes[order[1:]] == hashes[order[:-1]]
    lags = (order[1:] - order[:-1])[again]
    if not lags.size:
        return None
    values, counts = np.unique(lags, return_counts=True)
    lag = int(values[np.argmax(counts)])
    same = np.concatenate([[False], hashes[lag:] == hashes[:-lag], [False]])
    edges = np.flatnonzero(np.diff(same))
    starts, stops = edges[::2], edges[1::2]
    longest = int(np.argmax(stops - starts))
    first, length = int(starts[longest]) + lag, int(stops[longest] - starts[longest])
    # Equal neighbours in a sorted file are one row many times, and no block.
    different = np.unique(hashes[first : first + length]).size
    return {"first_row": first, "rows": length, "distance": lag} if _no_chance(tally, different) else None


def _no_chance(tally: Ints, different: int) -> bool:
    """Whether a run of so many different rows is longer than rows in random order repeat anywhere."""
    rows = float(tally.sum())
    alike = float((tally * (tally - 1.0)).sum()) / (rows * (rows - 1))
    return different >= LEAST_RUN and 2 * np.log(rows) + different * np.log(max(alike, 1e-300)) < np.log(BY_CHANCE)


def _sentence(found: list[float], size: int, bound: float, block: dict[str, Json] | None) -> str:
    text = (
        f"Of {size:,} synthetic rows, {found[0]:,.0f} repeat an earlier one, where {found[1]:,.0f} of as many real "
        f"rows do; an excess of {bound:.1%} is tolerated."
    )
    if block is not None:
        text += (
            f" From row {block['first_row']:,} on, {block['rows']:,} rows in a row repeat those "
            f"{block['distance']:,} rows before them."
        )
    return text
