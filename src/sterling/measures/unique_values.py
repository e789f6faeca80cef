"""Whether every column holds as many different values as the real one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sterling.kernel.estimate import Estimate, Unmeasured
from sterling.kernel.finding import Finding, Json, Status
from sterling.kernel.protocols import Terms, measure
from sterling.kernel.schema import Kind, Role
from sterling.kernel.view import Column, Need, View
from sterling.stats.bounds import fieller, normal_quantile
from sterling.stats.diversity import most_tolerable, rarefied

if TYPE_CHECKING:
    from sterling.kernel.view import Floats, Ints

BOUND = 0.5
LEAST_ROWS = 30
MOST_SHOWN = 50
# Values are on a grid if so many of them are multiples of its step, and certainly not if so few are.
ON_GRID, OFF_GRID = 0.995, 0.9
STEPS = (1, 2, 5)
# A step is tried up to this many decimals below the largest value.
DECIMALS = 9


@dataclass(frozen=True, slots=True)
class _Count:
    """One column's different values, at equal numbers of rows.

    Args:
        name: of the column.
        rows: rows of each set after rarefaction.
        real: expected different values among so many real rows.
        synthetic: the same of synthetic rows.
        variances: bounds of the variances of both.
        steps: of the grids that real and synthetic numbers lie on, where the synthetic one is coarser.
    """

    name: str
    rows: int
    real: float
    synthetic: float
    variances: tuple[float, float]
    steps: tuple[float | None, float] | None

    @property
    def ratio(self) -> float:
        """Synthetic over real; 1 is ideal."""
        return self.synthetic / self.real

    def bounds(self, alpha: float) -> tuple[float, float]:
        """Bounds of the ratio, each side with error alpha."""
        ends = (self.synthetic, self.variances[1]), (self.real, self.variances[0])
        low, high = fieller(*ends, quantile=normal_quantile(alpha))
        return max(0.0, low), high


@measure(Need.COLUMNS, title="Different values that a column keeps", better="higher", family="diversity")
def unique_values(
    real: View, synthetic: View, *, holdout: View | None, rng: np.random.Generator, terms: Terms
) -> tuple[Finding, ...]:
    """Number of different values in a synthetic column over that in the real one, at equal numbers of rows.

    Counts of the larger set are rarefied: the expected number in a random subsample of the smaller one's
    size. A generator that collapses, repeats donors or rounds falls far below 1. Far above 1 (twice and
    more) means values that the real column does not have, such as decimals on whole numbers: a warning,
    and so are numbers on a coarser grid than the real ones.

    Args:
        real: train rows.
        synthetic: the rows to be judged.
        holdout: not used.
        rng: not used; nothing is sampled.
        terms: `bound` is the smallest tolerable ratio, default .5; its inverse warns, and at 0 no number of
            values fails or warns. `alpha` is shared by the columns.

    Returns:
        Ratios, 0 to infinity, 1 is ideal, larger is better up to 1. First the worst column, corrected for
        all, then `column=NAME` for each that fails or warns.

    Source: rarefaction, Hurlbert 1971; ratio by Fieller 1954; variance bound, Efron & Stein 1981.
    """
    bound = BOUND if terms.bound is None else terms.bound
    params: dict[str, Json] = {"bound": bound, "alpha": terms.alpha, "n_real": real.n, "n_synthetic": synthetic.n}
    columns = [c for c in real.columns or () if c.role is not Role.WEIGHT] if real.n >= LEAST_ROWS else []
    counts = [k for c in columns if (k := _count(c, synthetic.column(c.name))) is not None]
    if not counts:
        few = Unmeasured(
            f"{real.n:,} real and {synthetic.n:,} synthetic rows have no column with {LEAST_ROWS} known cells in both",
            mend=f"give at least {LEAST_ROWS} rows of each",
        )
        return (Finding("unique_values", few, "higher", Status.UNMEASURED, reason=few.reason, params=params),)
    params |= {"columns": len(counts)}
    each = terms.alpha / len(counts) / 2
    ordered = sorted(counts, key=lambda k: (k.bounds(each)[1], k.ratio))
    poor = [k for k in ordered if k.bounds(each)[1] < bound]
    odd = [k for k in ordered if k not in poor and (k.bounds(each)[0] > most_tolerable(bound) or k.steps is not None)]
    whole = _whole(ordered, poor, odd, bound, terms, params)
    named = [(k, Status.FAIL) for k in poor] + [(k, Status.WARN) for k in odd]
    return (whole, *(_one(k, status, len(counts), bound, terms, params) for k, status in named[:MOST_SHOWN]))


def _count(real: Column, synthetic: Column) -> _Count | None:
    sides = [_tally(c) for c in (real, synthetic)]
    size = min(int(n.sum()) for _, n in sides)
    if size < LEAST_ROWS:
        return None
    a, b = (rarefied(n, size) for _, n in sides)
    steps = _coarser(sides[0], sides[1]) if real.kind is Kind.NUMBER else None
    # Where one set has no rare value by luck, the other says how rare they are; and no number of different
    # values has more variance than a sum of as many independent coins.
    larger = max(a.variance, b.variance)
    variances = min(larger, a.distinct), min(larger, b.distinct)
    return _Count(real.name, size, a.distinct, b.distinct, variances, steps)


def _tally(column: Column) -> tuple[Floats, Ints]:
    values, counts = np.unique(column.values[~column.missing], return_counts=True)
    return values.astype(np.float64), counts.astype(np.int64)


def _coarser(real: tuple[Floats, Ints], synthetic: tuple[Floats, Ints]) -> tuple[float | None, float] | None:
    """The grid steps of both, where synthetic numbers lie on a grid that real ones do not; None otherwise."""
    largest = float(np.abs(synthetic[0]).max())
    if synthetic[0].size < 2 or not 0 < largest < 1e15:
        return None
    top = int(np.floor(np.log10(largest)))
    ladder = [s * 10.0**p for p in range(top, top - DECIMALS, -1) for s in reversed(STEPS)]
    step = next((s for s in ladder if _on_grid(synthetic, s) >= ON_GRID), None)
    if step is None or _on_grid(real, step) > OFF_GRID:
        return None
    return next((s for s in ladder if s < step and _on_grid(real, s) >= ON_GRID), None), step


def _on_grid(tally: tuple[Floats, Ints], step: float) -> float:
    """Share of rows whose value is a multiple of the step, to within rounding."""
    places = tally[0] / step
    near = np.abs(places - np.round(places)) <= 1e-9 * np.maximum(1.0, np.abs(places))
    return float(tally[1] @ near) / float(tally[1].sum())


def _estimate(k: _Count, level: float, looks: int) -> Estimate:
    low, high = k.bounds((1 - level) / 2 / looks)
    return Estimate(k.ratio, low, high, 2 * k.rows, level, f"rarefaction, Fieller, {looks} looks")


def _whole(
    ordered: list[_Count], poor: list[_Count], odd: list[_Count], bound: float, terms: Terms, params: dict[str, Json]
) -> Finding:
    side, looks = (1 - terms.level) / 2, len(ordered)
    # Columns of so few or so rare values that even a real set could not show enough of them decide nothing.
    telling = [k for k in ordered if _could_show(k, bound, side)]
    within = bool(telling) and all(k.bounds(side)[0] >= bound for k in telling)
    shown = poor[0] if poor else odd[0] if odd else min(telling or ordered, key=lambda k: k.bounds(side)[0])
    calm = Status.PASS if within else Status.UNDECIDED
    return Finding(
        "unique_values", _estimate(shown, terms.level, looks if poor else 1), "higher",
        Status.FAIL if poor else Status.WARN if odd else calm,
        reason=_sentence(shown, poor, odd, looks, bound), params=params,
        evidence={"columns": [_row(k) for k in ordered[:MOST_SHOWN]], "left_out": max(0, looks - MOST_SHOWN)},
    )  # fmt: skip


def _could_show(k: _Count, bound: float, side: float) -> bool:
    same = k.real, k.variances[0]
    return max(0.0, fieller(same, same, quantile=normal_quantile(side))[0]) >= bound


def _words(k: _Count, bound: float) -> str:
    text = (
        f"{k.name} has {k.synthetic:,.0f} different values in {k.rows:,} synthetic rows and {k.real:,.0f} in as many "
        f"real rows: {k.ratio:.2f} times as many, and {bound:g} is tolerated"
    )
    if k.steps is not None:
        real = "no such step" if k.steps[0] is None else f"steps of {k.steps[0]:g}"
        text += f"; its values come in steps of {k.steps[1]:g}, where the real ones have {real}"
    return text + "."


def _sentence(shown: _Count, poor: list[_Count], odd: list[_Count], looks: int, bound: float) -> str:
    if poor:
        more = f" In all, {len(poor)} of {looks} columns are too poor." if len(poor) > 1 else ""
        return _words(shown, bound) + more
    if odd:
        return f"{_words(shown, bound)[:-1]}; more than {most_tolerable(bound):g} times, or coarser steps, are odd."
    return f"No column of {looks} is shown to be poorer than {bound:g} times the real one. {_words(shown, bound)}"


def _row(k: _Count) -> dict[str, Json]:
    row: dict[str, Json] = {"column": k.name, "real": k.real, "synthetic": k.synthetic, "ratio": k.ratio}
    return row if k.steps is None else {**row, "step_real": k.steps[0], "step_synthetic": k.steps[1]}


def _one(k: _Count, status: Status, looks: int, bound: float, terms: Terms, params: dict[str, Json]) -> Finding:
    return Finding(
        "unique_values", _estimate(k, terms.level, looks), "higher", status, slice=f"column={k.name}",
        reason=_words(k, bound), params=params, evidence=_row(k),
    )  # fmt: skip
