"""Exact nearest records among mixed columns: numbers, categories and missing cells together.

The squared distance of two records is a sum over columns, each between 0 and 1: numbers give the squared
difference of their ranks (as shares of the reference), categories 0 or 1, a missing cell 1 against a
present one and 0 against another missing one. That sum is a product of two matrices, one per side, so
the search runs at the speed of matrix multiplication and misses nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sterling.kernel.schema import Kind
from sterling.kernel.view import Column

if TYPE_CHECKING:
    from sterling.kernel.view import AnyArray, Floats, Ints

# Two squared distances closer than this are a tie: far above rounding, far below one rank in a million rows
# on more than a handful of columns.
TIE = 1e-12
# More levels than this are compared code by code instead of taking one matrix column each.
MOST_LEVELS = 64
# Distances held at a time: 1,024 x 4,096 float64 are 32 MB.
QUERY_TILE, REFERENCE_TILE = 1024, 4096


@dataclass(frozen=True, slots=True, eq=False)
class Side:
    """One side of the product.

    Args:
        factor: [n, d] rows whose products with the other side's rows are squared distances, up to `codes`.
        codes: [n, w] codes of columns of many levels, compared directly.
    """

    factor: Floats
    codes: Ints


def rank_scales(columns: Sequence[Column]) -> tuple[Floats | None, ...]:
    """Per column the sorted known numbers that ranks are taken in; None for categories."""
    return tuple(None if c.kind is Kind.CATEGORY else np.sort(c.values[~c.missing]) for c in columns)


def ranks(values: Floats, scale: Floats) -> Floats:
    """[n] mid-ranks as shares of the scale, 0 to 1; missing values give 0 and are told apart elsewhere.

    >>> ranks(np.array([1.0, 2.0, 9.0]), np.array([1.0, 2.0, 2.0, 3.0])).tolist()
    [0.125, 0.5, 1.0]
    """
    if not scale.size:
        return np.zeros(values.size)
    below = np.searchsorted(scale, values, side="left") + np.searchsorted(scale, values, side="right")
    return np.where(np.isnan(values), 0.0, below / (2 * scale.size))


def query_side(columns: Sequence[Column], scales: Sequence[Floats | None]) -> Side:
    """The records to search for."""
    parts: list[Floats] = []
    for column, scale in zip(columns, scales, strict=True):
        present = (~column.missing).astype(np.float64)
        if scale is None:
            parts += [] if _wide(column) else [1.0 - _one_hot(column)]
            continue
        # p (x - y)^2 q + p (1 - q) + (1 - p) q, written as a product of a row in p, x and a row in q, y.
        x = ranks(column.values, scale)
        parts.append(np.stack([present * x**2 - 2 * present + 1, -2 * present * x, present, present], axis=1))
    return Side(_stacked(parts, columns), _codes(columns))


def reference_side(columns: Sequence[Column], scales: Sequence[Floats | None]) -> Side:
    """The records to search among."""
    parts: list[Floats] = []
    for column, scale in zip(columns, scales, strict=True):
        present = (~column.missing).astype(np.float64)
        if scale is None:
            parts += [] if _wide(column) else [_one_hot(column)]
            continue
        y = ranks(column.values, scale)
        parts.append(np.stack([present, present * y, present * y**2, np.ones_like(y)], axis=1))
    return Side(_stacked(parts, columns), _codes(columns))


def nearest(queries: Side, reference: Side) -> tuple[Floats, Ints]:
    """The nearest reference record of each query, found exactly; the first of several.

    Args:
        queries: made by `query_side`.
        reference: made by `reference_side` with the same scales; at least one record.

    Returns:
        [q] squared distances, 0 (equal) to the number of columns, and [q] positions in the reference.
    """
    q, r = queries.factor.shape[0], reference.factor.shape[0]
    best, where = np.full(q, np.inf), np.zeros(q, dtype=np.int64)
    for start in range(0, q, QUERY_TILE):
        rows = slice(start, min(q, start + QUERY_TILE))
        for first in range(0, r, REFERENCE_TILE):
            others = slice(first, min(r, first + REFERENCE_TILE))
            tile = queries.factor[rows] @ reference.factor[others].T
            for j in range(queries.codes.shape[1]):
                tile += queries.codes[rows, j, None] != reference.codes[None, others, j]
            found = tile.argmin(axis=1)
            value = tile[np.arange(found.size), found]
            closer = value < best[rows] - TIE
            best[rows] = np.where(closer, value, best[rows])
            where[rows] = np.where(closer, found + first, where[rows])
    return np.maximum(best, 0.0), where


def _wide(column: Column) -> bool:
    return column.kind is Kind.CATEGORY and len(column.levels or ()) > MOST_LEVELS


def _one_hot(column: Column) -> Floats:
    """[n, levels + 1]; the last column is "missing"."""
    levels = len(column.levels or ())
    out = np.zeros((column.values.size, levels + 1))
    out[np.arange(column.values.size), np.where(column.missing, levels, column.values)] = 1.0
    return out


def _codes(columns: Sequence[Column]) -> Ints:
    wide: list[AnyArray] = [c.values for c in columns if _wide(c)]
    n = columns[0].values.size if columns else 0
    return np.stack(wide, axis=1).astype(np.int64) if wide else np.empty((n, 0), dtype=np.int64)


def _stacked(parts: Sequence[Floats], columns: Sequence[Column]) -> Floats:
    n = columns[0].values.size if columns else 0
    return np.concatenate(parts, axis=1) if parts else np.zeros((n, 1))
