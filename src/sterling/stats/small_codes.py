"""Columns as small whole numbers: the same cuts for all sets, learnt from one of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sterling.kernel.schema import Kind
from sterling.kernel.view import Column
from sterling.stats.binning import Binning, bin_numbers, codes_of, cut_levels

if TYPE_CHECKING:
    from sterling.kernel.view import Ints


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """How one column is cut.

    Args:
        name: of the column.
        size: codes are 0 (missing) to `size` - 1.
        bins: of numbers; None for categories.
        groups: [levels] of categories; None for numbers.
    """

    name: str
    size: int
    bins: Binning | None
    groups: Ints | None

    def of(self, column: Column) -> Ints:
        """[n] codes of a column of any set in the same encoding."""
        if self.bins is not None:
            return codes_of(self.bins, column.values).astype(np.int64)
        groups = np.append(self.groups if self.groups is not None else np.empty(0, np.int64), -1)
        return groups[column.values] + 1  # a missing cell is level -1, the one appended


def cells(column: Column, *, most: int) -> Cells:
    """Cut a column: frequent values by themselves, the rest in quantile bins or grouped levels.

    Args:
        column: of the set that the cuts are learnt from.
        most: codes beside "missing", 1 to 254.
    """
    if column.kind is not Kind.CATEGORY:
        bins = bin_numbers(column.values, most=most)
        return Cells(column.name, bins.low.size + 1, bins, None)
    counts = np.bincount(column.values[~column.missing], minlength=len(column.levels or ()))
    groups = cut_levels(counts, most=most)
    return Cells(column.name, int(groups.max(initial=-1)) + 2, None, groups)
