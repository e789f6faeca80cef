"""Exact nearest records among mixed columns: numbers, categories and missing cells together.

The squared distance of two records is a sum over columns, each between 0 and 1: numbers give the squared
difference of their ranks (as shares of the reference), categories 0 or 1, a missing cell 1 against a
present one and 0 against another missing one. The search is exact for that distance: equal records are searched
once, records are ordered so that whole blocks can be ruled out, and single precision rules out but never decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sterling.kernel.schema import Kind
from sterling.kernel.view import Column

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sterling.kernel.view import AnyArray, Bools, Floats, Ints

    Codes = NDArray[np.uint8]
    Shorts = NDArray[np.int16]
    Singles = NDArray[np.float32]

# Two squared distances closer than this are a tie: far above rounding, far below one rank in a million rows
# on more than a handful of columns.
TIE = 1e-12
# Levels are packed into a byte (the last one is "missing"); levels that share a byte are told apart later.
BYTES, MISSING = 255, 255
# A count of unlike columns fits into a byte; further columns of categories are compared record by record.
MOST_CODES = 248
# Ranks in so many steps, to order records by.
STEPS = 250
# Records from which the spread of a column is guessed.
SAMPLE = 2_000
# Distances that stand for "no record" in the kernels, which know no infinity.
FAR, NOBODY = 1e30, np.iinfo(np.int64).max
# Where missing numbers lie: further than 1 from all ranks.
NOWHERE = 2.0
# Like records are brought together down to so many.
LEAF = 64


@dataclass(frozen=True, slots=True, eq=False)
class Side:
    """Records ready to be compared.

    Args:
        cells: [n, d] mid-ranks of numbers (0 to 1) and codes of categories; -1 where missing.
        category: [d] whether a column is a category.
    """

    cells: Floats
    category: Bools

    @property
    def n(self) -> int:
        """How many records."""
        return self.cells.shape[0]


@dataclass(frozen=True, slots=True, eq=False)
class _Kinds:
    """Equal records as one.

    Args:
        first: [u] the first record of each kind, in the order of the kinds.
        place: [n] the kind of each record.
        members: [n] records, kind by kind, ascending.
        starts: [u + 1] where the records of each kind start.
    """

    first: Ints
    place: Ints
    members: Ints
    starts: Ints


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
    starts = np.flatnonzero(np.r_[True, scale[1:] != scale[:-1]])
    distinct, ends = scale[starts], np.r_[starts, scale.size]
    at = np.searchsorted(distinct, values)
    equal = distinct[np.minimum(at, distinct.size - 1)] == values
    return np.where(np.isnan(values), 0.0, (ends[at] + ends[np.minimum(at + equal, distinct.size)]) / (2 * scale.size))


def query_side(columns: Sequence[Column], scales: Sequence[Floats | None]) -> Side:
    """The records to search for."""
    n = columns[0].values.size if columns else 0
    cells = np.empty((n, len(columns)))
    for j, (column, scale) in enumerate(zip(columns, scales, strict=True)):
        cells[:, j] = np.where(column.missing, -1.0, column.values if scale is None else ranks(column.values, scale))
    return Side(cells, np.array([scale is None for scale in scales], dtype=np.bool_))


def reference_side(columns: Sequence[Column], scales: Sequence[Floats | None]) -> Side:
    """The records to search among."""
    return query_side(columns, scales)


def nearest(queries: Side, reference: Side, *, omit: Ints | None = None) -> tuple[Floats, Ints]:
    """The nearest reference record of each query, found exactly; the first of several.

    Args:
        queries: made by `query_side`.
        reference: made by `reference_side` with the same scales; at least one record beside the omitted one.
        omit: [q] a reference record that each query may not find, such as itself; -1 for none.

    Returns:
        [q] squared distances, 0 (equal) to the number of columns, and [q] positions in the reference.
    """
    near, who = nearest_k(queries, reference, 1, omit=omit)
    return near[:, 0], who[:, 0]


def nearest_k(
    queries: Side, reference: Side, k: int, *, omit: Ints | None = None, reach: float = FAR
) -> tuple[Floats, Ints]:
    """The k nearest reference records of each query, found exactly, nearest first; ties to the first.

    Args:
        queries: made by `query_side`.
        reference: made by `reference_side` with the same scales.
        k: how many, 1 to about 20.
        omit: [q] a reference record that each query may not find, such as itself; -1 for none.
        reach: largest squared distance of interest; the smaller, the faster.

    Returns:
        [q, k] squared distances and [q, k] positions; infinity and -1 where the reference has no more records
        within reach.
    """
    from sterling.stats import _neighbour_kernels as kernels

    asked, there = _kinds(queries.cells), _kinds(reference.cells)
    arrays, order = _packed(queries, asked.first, reference, there.first)
    found = k + (omit is not None)
    near, kind = np.full((asked.first.size, found), reach), np.full((asked.first.size, found), NOBODY)
    if near.size and there.first.size:
        kernels.search(*arrays, near, kind)  # pyright: ignore[reportCallIssue]
    back = np.empty_like(order)
    back[order] = np.arange(order.size)
    out, ids = np.full((queries.n, k), FAR), np.full((queries.n, k), NOBODY)
    without = np.full(queries.n, -1) if omit is None else omit.astype(np.int64)
    # The kernel's queries lie in an order of its own.
    kernels.spread_out(near, kind, back[asked.place], there.starts, there.members, without, out, ids)
    return np.where(ids == NOBODY, np.inf, out), np.where(ids == NOBODY, -1, ids)


def nearest_other(side: Side, k: int = 1, *, reach: float = FAR) -> tuple[Floats, Ints]:
    """The k nearest other records of the same set, as `nearest_k`: an equal record counts, the record itself not."""
    return nearest_k(side, side, k, omit=np.arange(side.n), reach=reach)


def count_balls(queries: Side, reference: Side, radii: Floats) -> Ints:
    """[q] in how many balls each query lies.

    Args:
        queries: made by `query_side`.
        reference: the centres, made by `reference_side` with the same scales.
        radii: [r] squared radii; a record at exactly that distance is inside.
    """
    from sterling.stats import _neighbour_kernels as kernels

    everybody = np.arange(reference.n)
    asked = _kinds(queries.cells)
    arrays, order = _packed(queries, asked.first, reference, everybody)
    counts = np.zeros(order.size, dtype=np.int64)
    if counts.size and everybody.size:
        kernels.count_balls(*arrays, np.minimum(radii, FAR), counts)  # pyright: ignore[reportCallIssue]
    out = np.empty_like(counts)
    out[order] = counts
    return out[asked.place]


def _kinds(cells: Floats) -> _Kinds:
    """Which records are equal."""
    from sterling.stats import _neighbour_kernels as kernels

    hashes = kernels.row_hashes(cells)
    order = np.argsort(hashes, kind="stable")
    same = hashes[order[1:]] == hashes[order[:-1]]
    alike = (cells[order[1:][same]] == cells[order[:-1][same]]).all()
    if not alike:  # two rows share a hash of 64 bits: take the slow way
        hashes = np.unique(cells, axis=0, return_inverse=True)[1].ravel()
        order = np.argsort(hashes, kind="stable")
        same = hashes[order[1:]] == hashes[order[:-1]]
    begins = np.flatnonzero(np.r_[True, ~same])[: order.size]
    # Kinds are numbered by their first record, so that the smaller number is the first of several.
    by_first = np.argsort(order[begins], kind="stable")
    sizes = np.diff(np.r_[begins, order.size])
    number = np.empty_like(by_first)
    number[by_first] = np.arange(by_first.size)
    place = np.empty(order.size, dtype=np.int64)
    place[order] = np.repeat(number, sizes)
    members = np.argsort(place, kind="stable")
    return _Kinds(order[begins][by_first], place, members, np.r_[0, np.cumsum(sizes[by_first])])


def _packed(queries: Side, asked: Ints, reference: Side, there: Ints) -> tuple[tuple[Any, ...], Ints]:
    """What both kernels want to be given of the two sides, and the order in which the queries lie there.

    For the queries, in an order that brings like ones together: their codes [q, c], one byte a level (levels that
    share a byte only look alike until they are judged), in 4 k columns; the columns in the order of what they tell;
    their numbers [q, v], those with missing cells last, where missing is 2; the other numbers [q, p] in the order of
    what they tell; their cells. Then the same of the reference in b blocks of 256, as `_blocks` says; then its cells
    [r], what each record is called, and which columns are categories.
    """
    from sterling.stats import _neighbour_kernels as kernels

    cells = np.concatenate([queries.cells[asked], reference.cells[there]])
    category, q = reference.category, asked.size
    grades = np.where(category, cells.astype(np.int32) % BYTES, cells * STEPS).astype(np.int16)
    grades = np.where(cells < 0, MISSING, grades).astype(np.uint8)
    order = kernels.order_rows(grades, category, LEAF)
    mine, theirs = order[order < q], order[order >= q]
    codes, values, plain = _columns(cells, grades, category)
    some = theirs[:: max(1, theirs.size // SAMPLE)]
    columns = _telling_codes(codes[mine], codes[some]), _telling_numbers(values[mine, :plain], values[some, :plain])
    asking = codes[mine], columns[0], values[mine], columns[1], cells[mine]
    return (*asking, *_blocks(codes[theirs], values[theirs]), cells[theirs], theirs - q, category), mine


def _columns(cells: Floats, grades: Codes, category: Bools) -> tuple[Codes, Singles, int]:
    """Codes and numbers apart, and how many of the numbers are never missing; those come first."""
    names, numbers = np.flatnonzero(category), np.flatnonzero(~category)
    if names.size > MOST_CODES:
        some = grades[:: max(1, cells.shape[0] // SAMPLE)]
        names = names[np.argsort([np.square(np.bincount(some[:, j])).sum() for j in names], kind="stable")]
    codes = np.zeros((cells.shape[0], -(-min(names.size, MOST_CODES) // 4) * 4), dtype=np.uint8)
    codes[:, : min(names.size, MOST_CODES)] = grades[:, names[:MOST_CODES]]
    gappy = (cells[:, numbers] < 0).any(axis=0)
    values = cells[:, np.r_[numbers[~gappy], numbers[gappy]]].astype(np.float32)
    values[values < 0] = NOWHERE
    return codes, values, int((~gappy).sum())


def _telling_codes(queries: Codes, others: Codes) -> Shorts:
    """[q, c] columns by the share of the others that differ from the query, the largest first."""
    alike = np.empty(queries.shape)
    for j in range(queries.shape[1]):
        alike[:, j] = np.bincount(others[:, j], minlength=256)[queries[:, j]]
    return np.argsort(alike, axis=1, kind="stable").astype(np.int16)


def _telling_numbers(queries: Singles, others: Singles) -> Shorts:
    """[q, p] columns by the mean squared difference between the query and the others, the largest first."""
    if not others.size:
        return np.zeros(queries.shape, dtype=np.int16)
    apart = np.square(queries - others.mean(axis=0)) + others.var(axis=0)
    return np.argsort(-apart, axis=1, kind="stable").astype(np.int16)


def _blocks(codes: Codes, values: Singles) -> tuple[AnyArray, ...]:
    """Reference records in blocks of 256, the last of which repeats its last record.

    Returns:
        [b, c, 256] codes; [b, v, 256] numbers; [256 b, v] the same, record by record; [c, b] which codes occur, one
        bit for each remainder of 64; [v, b] smallest and [v, b] largest numbers.
    """
    from sterling.stats import _neighbour_kernels as kernels

    size = codes.shape[0]
    blocks = -(-size // kernels.BLOCK)
    filled = np.minimum(np.arange(blocks * kernels.BLOCK), size - 1)

    def tall(array: AnyArray) -> AnyArray:
        """[b, columns, 256]."""
        shape = (blocks, kernels.BLOCK, array.shape[1])
        return np.ascontiguousarray(array[filled].reshape(shape).transpose(0, 2, 1))

    c, v = tall(codes), tall(values)
    low, high = v.min(axis=2), v.max(axis=2)
    sets = np.bitwise_or.reduce(np.uint64(1) << (c & np.uint8(63)).astype(np.uint64), axis=2)
    return c, v, values[filled], *(np.ascontiguousarray(a.T) for a in (sets, low, high))
