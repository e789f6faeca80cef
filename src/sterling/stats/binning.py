"""From columns to one byte per cell: frequent values stay exact, the others share quantile bins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sterling.kernel.view import Floats, Ints

    Codes = NDArray[np.uint8]

# One byte holds 256 codes: 0 for missing, 1 ... 254 for values, 255 for what was never seen.
MISSING, UNSEEN = 0, 255
MOST_BINS = 254
# Bins are first tried this much finer than fair shares, for spikes take mass that needs no bins, and then
# coarser by a step until they are few enough; a finer ladder gains no bins that matter.
FINER, COARSER = 8, 1.15


@dataclass(frozen=True, slots=True, eq=False)
class Binning:
    """The bins of a column of numbers.

    Args:
        low: [k] smallest value in each bin, ascending.
        high: [k] largest value in each bin; equal to `low` where the bin holds one exact value.
    """

    low: Floats
    high: Floats


def bin_numbers(values: Floats, *, most: int = MOST_BINS) -> Binning:
    """Choose bins for a column of numbers.

    Args:
        values: [n], missing = NaN, infinite values allowed.
        most: bins at most, 1 to 254.

    Returns:
        Exact bins for values that hold at least 1/most of the rows (and for all of them if they are
        few), quantile bins between them.

    >>> bin_numbers(np.array([0.0, 0.0, 5.0, np.nan])).low
    array([0., 5.])
    """
    distinct, counts = np.unique(values[~np.isnan(values)], return_counts=True)
    codes = cut_ordered(counts, most=most)
    firsts = np.flatnonzero(np.diff(codes, prepend=-1))
    lasts = np.append(firsts[1:], codes.size) - 1 if codes.size else firsts
    return Binning(low=distinct[firsts], high=distinct[lasts])


def codes_of(binning: Binning, values: Floats) -> Codes:
    """[n] uint8: 0 for missing, else 1 + the bin; a value between two bins goes to the lower one.

    >>> codes_of(bin_numbers(np.array([0.0, 5.0])), np.array([np.nan, -1.0, 0.0, 4.0, 9.0]))
    array([0, 1, 1, 1, 2], dtype=uint8)
    """
    if not binning.low.size:
        return np.zeros(values.size, dtype=np.uint8)
    place = np.clip(np.searchsorted(binning.low, values, side="right"), 1, binning.low.size)
    return np.where(np.isnan(values), MISSING, place).astype(np.uint8)


def value_range(binning: Binning, code: int) -> tuple[float, float]:
    """Smallest and largest value that a code (1 ... k) stands for."""
    return float(binning.low[code - 1]), float(binning.high[code - 1])


def cut_ordered(counts: Ints, *, most: int) -> Ints:
    """Group ordered values into contiguous bins.

    Args:
        counts: [k] how often each of k distinct values occurs, in the order of the values.
        most: bins at most, >= 1.

    Returns:
        [k] bin of each value, 0 ... at most `most` - 1, non-decreasing. A value as frequent as a
        bin (an atom, such as the 0 of "capital gain") has a bin of its own.

    >>> cut_ordered(np.array([1, 1, 90, 1, 1, 1, 1]), most=4)
    array([0, 0, 1, 2, 3, 3, 3])
    """
    k = counts.size
    if k <= most:
        return np.arange(k)
    middle = np.cumsum(counts) - counts / 2
    size = max(1.0, float(counts.sum()) / (FINER * most))
    while True:
        atom = counts >= size
        opens = atom | np.append(True, atom[:-1]) | np.append(True, np.diff(middle // size) > 0)
        bins = np.cumsum(opens) - 1
        if bins[-1] < most:
            return bins
        size *= COARSER


def cut_levels(counts: Ints, *, most: int) -> Ints:
    """Group the levels of a category.

    Args:
        counts: [k] how often each level occurs, in reading order.
        most: groups at most, >= 1.

    Returns:
        [k] group of each level. If the levels are more than `most`, the most frequent keep a group of
        their own and the rest share at most a fifth of the groups with their neighbours in reading order,
        for codes such as ICD-10 or postcodes say most at their front.

    >>> cut_levels(np.array([1, 50, 1, 40, 1]), most=3)
    array([2, 0, 2, 1, 2])
    """
    k = counts.size
    if k <= most:
        return np.arange(k)
    shared = max(1, most // 5)
    by_count = np.argsort(-counts, kind="stable")
    own, rest = np.sort(by_count[: most - shared]), np.sort(by_count[most - shared :])
    groups = np.empty(k, dtype=np.int64)
    groups[own] = np.arange(own.size)
    groups[rest] = own.size + cut_ordered(counts[rest], most=shared)
    return groups
