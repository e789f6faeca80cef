"""The largest distance between the real and the synthetic distribution of any one column."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sterling.kernel.estimate import Estimate, Unmeasured
from sterling.kernel.finding import Finding, Json, Status
from sterling.kernel.protocols import Terms, measure
from sterling.kernel.schema import Kind
from sterling.kernel.view import Column, Need, View
from sterling.stats.bounds import (
    MEAN_KOLMOGOROV,
    status_of,
    total_variation_bias,
    total_variation_slack,
    two_sample_dkw,
)

if TYPE_CHECKING:
    from sterling.kernel.view import AnyArray, Floats

BOUND = 0.05
LEAST_ROWS = 30
MOST_SHOWN = 50


@dataclass(frozen=True, slots=True)
class Gap:
    """One column's distance.

    Args:
        name: of the column.
        kind: "Kolmogorov-Smirnov" or "total variation".
        value: the distance of the two samples, 0 to 1.
        expected: what two samples of these sizes differ by where there is no gap.
        bias: how much of `value` may be owed to having counted many levels; 0 for numbers.
    """

    name: str
    kind: str
    value: float
    expected: float
    bias: float


@measure(Need.COLUMNS, title="Largest gap between two columns' distributions", better="lower")
def marginal_gap(
    real: View, synthetic: View, *, holdout: View | None, rng: np.random.Generator, terms: Terms
) -> tuple[Finding, ...]:
    """How far the worst column's distribution is from the real one.

    Numbers and dates give the Kolmogorov-Smirnov distance, with a missing cell as a value beyond all
    others; categories give the total variation distance, with "missing" as a level. A finding on the
    whole table names the worst column, corrected for having looked at all of them; every column that
    fails by itself has a finding of its own, `column=NAME`.

    Args:
        real: train rows.
        synthetic: the rows to be judged.
        holdout: not used.
        rng: not used; nothing is sampled.
        terms: `bound` is the largest tolerable distance, default .05; `alpha` is shared by the columns.

    Returns:
        Distances, 0 (same) to 1 (disjoint); smaller is better. A sample's total variation is too large
        on average; the lower ends allow for it, the values do not: compare them with the floor.

    Source: Massart 1990 (bounds of the empirical distribution); McDiarmid 1989 (total variation).
    """
    sizes = (real.n, synthetic.n)
    bound = BOUND if terms.bound is None else terms.bound
    gaps = [_gap(a, synthetic.column(a.name)) for a in real.columns or ()] if min(sizes) >= LEAST_ROWS else []
    params: dict[str, Json] = {"bound": bound, "alpha": terms.alpha, "n_real": real.n, "n_synthetic": synthetic.n}
    if not gaps:
        few = Unmeasured(
            f"{real.n:,} real and {synthetic.n:,} synthetic rows with {len(real.columns or ())} columns",
            mend=f"give at least {LEAST_ROWS} rows of each",
        )
        return (Finding("marginal_gap", few, "lower", Status.UNMEASURED, reason=few.reason, params=params),)
    looks = len(gaps)
    # The worst is the one that stands out most, not the one with the most levels to count.
    ordered = sorted(gaps, key=lambda g: g.expected - g.value)
    lows = {g.name: _low(g, sizes, alpha=terms.alpha / looks) for g in gaps}
    failing = [g for g in ordered if lows[g.name] > bound]
    worst = _estimate(ordered[0], sizes, terms, looks=looks)
    # That *every* column lies within needs no correction: the truly worst one is one column.
    high = max(min(1.0, g.value + _slack(sizes, alpha=(1 - terms.level) / 2)) for g in gaps)
    whole = Finding(
        "marginal_gap",
        Estimate(worst.value, worst.low, max(worst.value, high), worst.n, worst.level, worst.method),
        "lower",
        Status.FAIL if failing else Status.WARN if worst.low > bound else status_of(0.0, high, bound, better="lower"),
        reason=_sentence(ordered[0], failing, bound, looks),
        params={**params, "columns": looks},
        evidence={"columns": _table(ordered, lows), "columns_left_out": max(0, looks - MOST_SHOWN)},
    )
    return (whole, *(_column_finding(g, sizes, terms, looks, bound, params) for g in failing[:MOST_SHOWN]))


def _gap(real: Column, synthetic: Column) -> Gap:
    n, m = real.values.size, synthetic.values.size
    if real.kind is not Kind.CATEGORY:
        value = _kolmogorov_smirnov(real, synthetic)
        return Gap(real.name, "Kolmogorov-Smirnov", value, MEAN_KOLMOGOROV * np.sqrt(1 / n + 1 / m), 0.0)
    k = len(real.levels or ()) + 1
    a, b = _shares(real.values, k), _shares(synthetic.values, k)
    bias = total_variation_bias((n * a + m * b) / (n + m), n, m)
    # The mean of |normal| is sqrt(2 / pi) standard deviations.
    return Gap(real.name, "total variation", float(np.abs(a - b).sum() / 2), bias * np.sqrt(2 / np.pi), bias)


def _kolmogorov_smirnov(real: Column, synthetic: Column) -> float:
    a, b = np.sort(real.values[~real.missing]), np.sort(synthetic.values[~synthetic.missing])
    at = np.unique(np.concatenate([a, b]))
    n, m = real.values.size, synthetic.values.size
    # Shares of all rows, not of the known ones: where both have ended, what is left is "missing".
    gap: Floats = np.searchsorted(a, at, side="right") / n - np.searchsorted(b, at, side="right") / m
    return float(np.abs(gap).max()) if at.size else 0.0


def _shares(codes: AnyArray, k: int) -> Floats:
    return np.bincount(np.where(codes < 0, k - 1, codes), minlength=k) / codes.size


def _slack(sizes: tuple[int, int], *, alpha: float) -> float:
    """The two kinds of distance stray by the same bound."""
    return max(two_sample_dkw(*sizes, alpha=alpha), total_variation_slack(*sizes, alpha=alpha))


def _low(gap: Gap, sizes: tuple[int, int], *, alpha: float) -> float:
    two_sided = 2 if gap.kind == "Kolmogorov-Smirnov" else 1  # either distribution function may lie above
    return max(0.0, gap.value - gap.bias - _slack(sizes, alpha=alpha / two_sided))


def _estimate(gap: Gap, sizes: tuple[int, int], terms: Terms, *, looks: int) -> Estimate:
    side = (1 - terms.level) / 2
    high = min(1.0, gap.value + _slack(sizes, alpha=side / looks))
    low = min(gap.value, _low(gap, sizes, alpha=side / looks))
    return Estimate(gap.value, low, high, sum(sizes), terms.level, f"{gap.kind}, Massart/McDiarmid, {looks} looks")


def _sentence(worst: Gap, failing: list[Gap], bound: float, looks: int) -> str:
    if failing:
        named = ", ".join(f"{g.name} ({g.value:.3f})" for g in failing[:3])
        more = f" and {len(failing) - 3} more" if len(failing) > 3 else ""
        return f"{len(failing)} of {looks} columns are distributed differently by more than {bound:g}: {named}{more}."
    return (
        f"The column that differs most of {looks} is {worst.name}, by {worst.value:.3f}; "
        f"samples of this size differ by about {worst.expected:.3f} anyway, and {bound:g} is tolerated."
    )


def _table(ordered: list[Gap], lows: dict[str, float]) -> list[Json]:
    return [
        {"column": g.name, "distance": g.kind, "gap": g.value, "no_gap": float(g.expected), "at_least": lows[g.name]}
        for g in ordered[:MOST_SHOWN]
    ]


def _column_finding(
    gap: Gap, sizes: tuple[int, int], terms: Terms, looks: int, bound: float, params: dict[str, Json]
) -> Finding:
    result = _estimate(gap, sizes, terms, looks=looks)
    reason = f"{gap.name} is distributed differently: {gap.kind} distance {gap.value:.3f} where {bound:g} is tolerated."
    return Finding(
        "marginal_gap", result, "lower", Status.FAIL, slice=f"column={gap.name}", reason=reason, params=params
    )
