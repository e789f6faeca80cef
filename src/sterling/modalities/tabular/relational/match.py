"""Which row of the parent each row of a child names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sterling.modalities.tabular.canonical import flat, instants, texts

if TYPE_CHECKING:
    from sterling.kernel.view import Bools, Ints

NULL, ORPHAN = -1, -2


def positions(child: pa.Table, columns: Sequence[str], parent: pa.Table, parent_columns: Sequence[str]) -> Ints:
    """Per child row, the position of the parent row that it names.

    Args:
        child: n normalised rows.
        columns: the columns of its key.
        parent: normalised rows; of rows with equal keys the first counts.
        parent_columns: the columns of its key, in the same order.

    Returns:
        [n] int64; NULL (-1) where a part of the key is missing, ORPHAN (-2) where no row has that key. Keys
        of different types meet as text: 7, 7.0 and "7" are the same key, "07" is another.

    >>> parent = pa.table({"id": [5, 7]})
    >>> positions(pa.table({"p": ["7", None, "9"]}), ["p"], parent, ["id"]).tolist()
    [1, -1, -2]
    """
    missing, codes, theirs = joint_codes(child, columns, parent, parent_columns)
    found = np.full(len(codes), ORPHAN, dtype=np.int64)
    order = np.argsort(theirs, kind="stable")
    ordered = theirs[order]
    if ordered.size:
        at = np.minimum(np.searchsorted(ordered, codes), ordered.size - 1)
        found = np.where((ordered[at] == codes) & (codes >= 0), order[at], found)
    return np.where(missing, NULL, found)


def joint_codes(
    child: pa.Table, columns: Sequence[str], parent: pa.Table, parent_columns: Sequence[str]
) -> tuple[Bools, Ints, Ints]:
    """Keys of both sides as whole numbers that are equal where the keys are.

    Returns:
        ([n] whether a part of the child's key is missing, [n] the child's codes, [m] the parent's codes). A code of
        the child is -1 where some part of it occurs nowhere in the parent; one of the parent is -3 where a part
        is missing.
    """
    missing = np.zeros(child.num_rows, dtype=bool)
    codes, theirs = np.zeros(child.num_rows, dtype=np.int64), np.zeros(parent.num_rows, dtype=np.int64)
    for name, other in zip(columns, parent_columns, strict=True):
        ours, known = alike(flat(child.column(name)), flat(parent.column(other)))
        missing |= ours.is_null().to_numpy(zero_copy_only=False)
        levels = known.drop_null().unique()
        here = pc.index_in(ours, levels).fill_null(-1).to_numpy(zero_copy_only=False)
        there = pc.index_in(known, levels).fill_null(-1).to_numpy(zero_copy_only=False)
        # Dense after each part, so that keys of many parts do not overflow.
        both = np.concatenate([codes * (len(levels) + 1) + here, theirs * (len(levels) + 1) + there])
        _, dense = np.unique(both, return_inverse=True)
        gone = np.concatenate([(codes < 0) | (here < 0), (theirs < 0) | (there < 0)])
        dense = np.where(gone, -1, dense)
        codes, theirs = dense[: codes.size].astype(np.int64), dense[codes.size :].astype(np.int64)
    return missing, codes, np.where(theirs < 0, -3, theirs)


def alike(one: pa.Array, other: pa.Array) -> tuple[pa.Array, pa.Array]:
    """Two columns of keys in one type."""
    if one.type == other.type and not pa.types.is_floating(one.type):
        return one, other
    if pa.types.is_integer(one.type) and pa.types.is_integer(other.type) and pa.uint64() not in (one.type, other.type):
        return one.cast(pa.int64()), other.cast(pa.int64())
    if pa.types.is_temporal(one.type) or pa.types.is_temporal(other.type):
        return tuple(pc.cast(instants(a), pa.timestamp("us"), safe=False) for a in (one, other))  # type: ignore[return-value]
    return texts(one), texts(other)


def row_codes(table: pa.Table, columns: Sequence[str]) -> Ints:
    """[n] whole numbers, equal where all these columns are; a missing cell is a value like any other."""
    codes = np.zeros(table.num_rows, dtype=np.int64)
    for name in columns:
        encoded = flat(table.column(name)).dictionary_encode()
        here = encoded.indices.fill_null(len(encoded.dictionary)).to_numpy(zero_copy_only=False)
        _, dense = np.unique(codes * (len(encoded.dictionary) + 1) + here, return_inverse=True)
        codes = dense.astype(np.int64)
    return codes


def repeated(table: pa.Table, columns: Sequence[str]) -> Bools:
    """[n] rows whose key an earlier row has already."""
    codes = row_codes(table, columns)
    again = np.ones(codes.size, dtype=bool)
    again[np.unique(codes, return_index=True)[1]] = False
    return again
