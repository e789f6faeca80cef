"""The compiled inner loops of `raking`; imports numba, so only that module imports it, and late."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numba import njit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sterling.kernel.view import Floats, Ints

    Codes = NDArray[np.uint8]

compiled = njit(cache=True, nogil=True)
# Rows are read in blocks, so that a block's codes and weights stay in the nearest cache for all sets of columns.
BLOCK = 4096


@compiled
def tally(classes: Codes, weights: Floats, sets: Ints, widths: Ints, starts: Ints, mass: Floats) -> None:
    """Add up the weights in every cell of every set; `mass` [cells of all sets] is overwritten."""
    mass[:] = 0.0
    m = weights.size
    for begin in range(0, m, BLOCK):
        end = min(m, begin + BLOCK)
        for s in range(sets.shape[0]):
            first = classes[sets[s, 0]]
            if sets[s, 1] < 0:
                for row in range(begin, end):
                    mass[starts[s] + first[row]] += weights[row]
            else:
                second = classes[sets[s, 1]]
                for row in range(begin, end):
                    mass[starts[s] + first[row] * widths[s] + second[row]] += weights[row]


@compiled
def sweep(
    classes: Codes,
    weights: Floats,
    sets: Ints,
    widths: Ints,
    starts: Ints,
    low: Floats,
    high: Floats,
    order: Ints,
    rate: float,
    cap: float,
) -> None:
    """Scale the weights to one set after another, in place, keeping their sum; see `raking.rake`."""
    m, whole = weights.size, weights.sum()
    factor = np.zeros(np.max(starts[1:] - starts[:-1]), np.float64)
    for s in order:
        first, start, cells = classes[sets[s, 0]], int(starts[s]), int(starts[s + 1] - starts[s])
        width = widths[s]
        second = first if sets[s, 1] < 0 else classes[sets[s, 1]]
        # A set of one column is read as a pair with itself whose second code counts for nothing.
        step = 0 if sets[s, 1] < 0 else 1
        factor[:cells] = 0.0
        for row in range(m):
            factor[first[row] * width + step * second[row]] += weights[row]
        total = 0.0
        for cell in range(cells):
            total += factor[cell]
        after = to_factors(factor, low, high, start, cells, total, rate)
        level = whole / after
        for row in range(m):
            weights[row] = min(cap, weights[row] * factor[first[row] * width + step * second[row]] * level)


@compiled
def to_factors(factor: Floats, low: Floats, high: Floats, start: int, cells: int, total: float, rate: float) -> float:
    """Turn the masses of a set's cells into what its rows are multiplied by; returns the mass after that, > 0."""
    after = 0.0
    for cell in range(cells):
        mass = factor[cell]
        if mass <= 0.0:
            factor[cell] = 1.0
            continue
        share = mass / total
        aim = min(max(share, low[start + cell]), high[start + cell])
        factor[cell] = (aim / share) ** rate if aim > 0.0 else 0.0
        after += mass * factor[cell]
    return after


@compiled
def spare(
    classes: Codes, first: int, second: int, width: int, start: int, high: Floats, alive: Codes, kept: Codes
) -> int:
    """Copy `alive` to `kept` without the rows whose cell of this set cannot be; returns how many stay."""
    left = 0
    for row in range(alive.size):
        cell = start + classes[first, row] * width + (classes[second, row] if second >= 0 else 0)
        kept[row] = alive[row] if high[cell] > 0.0 else 0
        left += kept[row]
    return left
