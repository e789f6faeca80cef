"""The compiled loops by which `boosting` makes codes of numbers; imports numba, so only that module imports it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numba import njit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sterling.kernel.view import Floats

    Bytes = NDArray[np.uint8]

compiled = njit(cache=True, nogil=True, error_model="numpy")


@compiled
def cut_sorted(values: Floats, most: int) -> Floats:
    """Cut ascending values into at most `most` bins: frequent values have their own, the others equal shares.

    Returns:
        [bins - 1] where to cut: half way between the values on both sides.
    """
    n, bins = values.size, 1
    cuts = np.empty(max(most, 1))
    frequent, share = shares(values, most)
    start, filled, was_atom = 0, 0, True
    for i in range(1, n + 1):
        if i < n and values[i] == values[start]:
            continue
        atom = i - start >= frequent
        if start > 0 and (atom or was_atom or filled >= share) and bins < most:
            below, above = values[start - 1], values[start]
            middle = below + (above - below) / 2
            cuts[bins - 1] = middle if middle < above else below
            bins, filled = bins + 1, 0
        filled, was_atom, start = filled + i - start, atom, i
    return cuts[: bins - 1].copy()


@compiled
def shares(values: Floats, most: int) -> tuple[float, float]:
    """How often a value occurs that has a bin of its own, and how many rows fill a bin of other values."""
    n = values.size
    distinct = 0
    for i in range(n):
        distinct += i == 0 or values[i] != values[i - 1]
    if distinct <= most:
        return 1.0, 1.0
    frequent = 0.0
    for _ in range(3):  # with three times a fair share there are bins to spare, whatever the values
        frequent += n / most
        atoms, runs, loose, start, was_atom = 0, 0, 0, 0, True
        for i in range(1, n + 1):
            if i < n and values[i] == values[start]:
                continue
            atom = i - start >= frequent
            atoms += atom
            runs += was_atom and not atom
            loose += 0 if atom else i - start
            start, was_atom = i, atom
        # Every run of other values may end in a bin that is not full.
        if atoms + runs < most:
            return frequent, loose / (most - atoms - runs)
    return frequent, n / most


@compiled
def place(values: Floats, cuts: Floats, codes: Bytes, lane: int) -> None:
    """Write each value's code to one lane of `codes` [n, lanes]: 0 for missing, else 1 + how many cuts lie below it."""
    one = np.uint64(1)
    for i in range(values.size):
        low, size = np.uint64(0), np.uint64(cuts.size)
        while size > 0:
            half = (size + one) >> one
            low += half * np.uint64(
                values[i] > cuts[low + half - one]
            )  # a product, for a branch would be guessed wrong
            size -= half
        codes[i, lane] = 0 if np.isnan(values[i]) else low + one
