"""Formulas that hold between columns in every row, and would not by luck: sums, products, curves, times of day.

They are found by `stats.formula_search`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from sterling.kernel.view import Bools, Floats, Ints

Rounding = Literal["nearest", "half up", "down", "up"]
ROUNDINGS: tuple[Rounding, ...] = ("nearest", "half up", "down", "up")
Shape = Literal["sum", "product", "clock", "log", "log1p", "root", "square"]
CURVES: tuple[Shape, ...] = ("log", "log1p", "root", "square")
# More decimals than this are no grid; whole numbers beyond EXACT are not exact as float64.
MOST_DECIMALS, EXACT = 6, 2.0**53
# A continuous result may be off by so many of its own last digits: summands were rounded before they were added.
SLACK = 16 * float(np.finfo(np.float64).eps)
SINGLE = 4 * float(np.finfo(np.float32).eps)
DAY = 1440


@dataclass(frozen=True, slots=True, eq=False)
class Quantity:
    """A column of numbers or dates.

    Args:
        values: [n] float64, missing = NaN; dates in seconds.
        decimals: every value is a multiple of ten to this negative power; None = continuous.
        single: whether it is stored as float32.
        time: whether it is a date or a time.
        free: whether it may be computed from others.
        coarse: whether its digits end where those of float32 do, however it is stored.
    """

    values: Floats
    decimals: int | None
    single: bool = False
    time: bool = False
    free: bool = True
    coarse: bool = False

    @property
    def known(self) -> Bools:
        """[n] where there is a value."""
        return ~np.isnan(self.values)


@dataclass(frozen=True, slots=True)
class Formula:
    """How one column follows from others.

    Args:
        target: position of the column.
        parents: positions of those it follows from.
        shape: "sum": constant + sum of factor x parent; "product": constant x product of parent ** factor (1 or -1);
            "clock": the time of day (917 = 9:17) that lies as many minutes after the first parent as the second says;
            "log" and other curves: constant + factor x curve of the parent.
        factors: one for each parent.
        constant: see shape.
        rounding: how the result gets on the target's grid.
    """

    target: int
    parents: tuple[int, ...]
    shape: Shape
    factors: tuple[float, ...]
    constant: float = 0.0
    rounding: Rounding = "nearest"


@dataclass(frozen=True, slots=True)
class Found:
    """A formula that holds in every row, or nearly.

    Args:
        formula: what holds.
        expected: rows that luck would have broken it in.
        decimals: of the grid on which the formula's result is taken; None = as it is.
        broken: rows in which it does not hold, all parents being known.
        uncovered: rows in which the target is known and a parent is not.
        silent: rows in which the parents are known and the target is not.
    """

    formula: Formula
    expected: float
    decimals: int | None
    broken: int
    uncovered: int
    silent: int


def decimals_of(values: Floats, *, single: bool = False) -> int | None:
    """The decimals on whose grid all known values lie; None where there is no such grid.

    >>> decimals_of(np.array([1.25, 3.5])), decimals_of(np.array([np.pi]))
    (2, None)
    """
    known = values[np.isfinite(values)]
    largest = float(np.abs(known).max(initial=0.0))
    for decimals in range(MOST_DECIMALS + 1):
        if largest * 10.0**decimals > EXACT:
            return None
        if np.array_equal(on_grid(known[:1000], decimals, single=single), known[:1000]) and np.array_equal(
            on_grid(known, decimals, single=single), known
        ):
            return decimals
    return None


def on_grid(values: Floats, decimals: int | None, *, rounding: Rounding = "nearest", single: bool = False) -> Floats:
    """[n] the values as a column of so many decimals stores them."""
    if decimals is not None:
        scale = 10.0**decimals
        with np.errstate(invalid="ignore", over="ignore"):
            values = _whole(values * scale, rounding) / scale
    return values.astype(np.float32).astype(np.float64) if single else values


def _whole(ticks: Floats, rounding: Rounding) -> Floats:
    if rounding == "nearest":
        return np.rint(ticks)
    if rounding == "half up":
        return np.floor(ticks + 0.5 + 1e-9)
    # A whole number that arithmetic left a hair below itself is still that number.
    return np.floor(ticks + 1e-6) if rounding == "down" else np.ceil(ticks - 1e-6)


def raw(formula: Formula, parents: Sequence[Floats]) -> Floats:
    """[n] what the formula gives before it is rounded; NaN where a parent is missing."""
    with np.errstate(all="ignore"):
        if formula.shape == "clock":
            return clock(minutes(parents[0]) + parents[1])
        if formula.shape in CURVES:
            return formula.constant + formula.factors[0] * curve(formula.shape, parents[0])
        total = np.full(parents[0].shape, formula.constant)
        for values, factor in zip(parents, formula.factors, strict=True):
            if formula.shape == "sum":
                total = total + factor * values
            else:
                total = total * values if factor > 0 else total / values
        return total


def computed(formula: Formula, parents: Sequence[Floats], *, decimals: int | None, single: bool = False) -> Floats:
    """[n] the target's values, on its grid; NaN where a parent is missing."""
    return on_grid(raw(formula, parents), decimals, rounding=formula.rounding, single=single)


def curve(shape: Shape, values: Floats) -> Floats:
    """[n] the values bent; NaN where that is not defined."""
    with np.errstate(all="ignore"):
        if shape == "square":
            return values * values
        bent = {"log": np.log, "log1p": np.log1p, "root": np.sqrt}[shape](values)
        return np.where(np.isfinite(bent), bent, np.nan)


def minutes(times: Floats) -> Floats:
    """Minutes since midnight of times of day written as 917 for 9:17."""
    return np.floor(times / 100) * 60 + times % 100


def clock(since: Floats) -> Floats:
    """Times of day, 1 to 2359 and 2400 for midnight, of minutes since any midnight."""
    within = since % DAY
    within = np.where(within == 0, DAY, within)
    return np.floor(within / 60) * 100 + within % 60


def is_clock(values: Floats) -> bool:
    """Whether all known values are times of day such as 917, over most of the day."""
    known = values[~np.isnan(values)]
    if not known.size or known.min() < 0 or known.max() > 2400 or known.max() < 1000:
        return False
    return bool(np.all((known % 100 < 60) & (known == np.floor(known))))


def fit(formula: Formula, columns: Sequence[Quantity], rows: Ints | None, decimals: int | None) -> tuple[int, ...]:
    """How many rows break the formula, have a target and lack a parent, have all parents and lack the target."""
    target, parents = _taken(formula, columns, rows)
    known, covered = ~np.isnan(target), ~np.any([np.isnan(p) for p in parents], axis=0)
    both = known & covered
    agree = _agrees(formula, columns, target, parents, decimals)
    return (
        int(np.count_nonzero(both & ~agree)),
        int(np.count_nonzero(known & ~covered)),
        int(np.count_nonzero(covered & ~known)),
        int(np.count_nonzero(both)),
    )


def luck(formula: Formula, columns: Sequence[Quantity], decimals: int | None) -> float:
    """How many rows would break the formula if the least important of its columns were independent of the others."""
    known = np.flatnonzero(np.all([columns[j].known for j in (formula.target, *formula.parents)], axis=0))
    rows = known[spaced(known.size, 2048)]
    target, parents = _taken(formula, columns, rows)
    if not rows.size:
        return 0.0
    order = np.random.Generator(np.random.PCG64(0)).permutation(rows.size)
    least = float(np.mean(~_agrees(formula, columns, target[order], parents, decimals)))
    for i in range(len(parents)):
        other = [p[order] if i == j else p for j, p in enumerate(parents)]
        least = min(least, float(np.mean(~_agrees(formula, columns, target, other, decimals))))
    return least * known.size


def _taken(formula: Formula, columns: Sequence[Quantity], rows: Ints | None) -> tuple[Floats, list[Floats]]:
    at = slice(None) if rows is None else rows
    return columns[formula.target].values[at], [columns[p].values[at] for p in formula.parents]


def _agrees(
    formula: Formula, columns: Sequence[Quantity], target: Floats, parents: Sequence[Floats], decimals: int | None
) -> Bools:
    column = columns[formula.target]
    made = computed(formula, parents, decimals=decimals, single=column.single)
    if decimals is not None:
        return made == target
    flat = formula.shape == "sum"
    scale = np.max(np.abs([target, *parents]), axis=0) if flat else np.maximum(np.abs(target), 1.0)
    return np.abs(made - target) <= (SINGLE if column.single or column.coarse or not flat else SLACK) * scale


def spaced(n: int, most: int) -> Ints:
    """Positions of at most so many of n rows, evenly spaced."""
    return np.unique(np.linspace(0, max(n - 1, 0), min(n, most)).astype(np.int64))
