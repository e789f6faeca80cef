"""Columns of a view as one matrix for tree learners."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from sterling.kernel.schema import Kind
from sterling.kernel.view import Column

if TYPE_CHECKING:
    from sterling.kernel.view import Bools, Floats

# A code is one byte, and one is left for "missing".
MOST_CATEGORIES = 254


def tree_matrix(columns: Sequence[Column]) -> tuple[Floats, Bools]:
    """Stack columns for histogram trees.

    Args:
        columns: of one view, each with n values.

    Returns:
        [n, d] float64, missing = NaN, and [d] True where a column is categorical. A column of more
        than 254 levels stays as its level number, an ordered feature, so that no level is lost.
    """
    n = columns[0].values.shape[0] if columns else 0
    matrix = np.empty((n, len(columns)), dtype=np.float64, order="F")
    categorical = np.zeros(len(columns), dtype=bool)
    for j, column in enumerate(columns):
        matrix[:, j] = column.values
        if column.kind is Kind.CATEGORY:
            matrix[column.values < 0, j] = np.nan
            categorical[j] = len(column.levels or ()) <= MOST_CATEGORIES
    return matrix, categorical
