"""Columns of a synthetic set that say how each row was made, read as a few values each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sterling.blend.credit import LEAST_ROWS, Setting
from sterling.kernel.dataset import Dataset
from sterling.kernel.errors import InputError, UnknownName
from sterling.kernel.schema import Kind, Role
from sterling.kernel.view import Column
from sterling.stats.slices import REST, cut_column

if TYPE_CHECKING:
    from sterling.kernel.view import Floats

# Values of one setting that are judged one by one, commonest first; and bins of a number that has more values.
MOST_VALUES = 20
BINS = 5
FEW_NUMBERS = 8


def read_settings(made: Dataset, names: Sequence[str], *, target: str) -> tuple[Setting, ...]:
    """The named columns, each with the value of every row.

    Rare values are "(rest)", numbers of many values quantile bins, empty cells "missing".

    Raises:
        UnknownName: for a column that is not there, with the nearest names.
        InputError: for no column, the target, or a column of one value.
    """
    if not names:
        raise InputError(
            "credit was told no setting", mend="name a column that says how rows were made: --by temperature"
        )
    table = made.table()
    found: list[Setting] = []
    for name in dict.fromkeys(names):
        if name not in table.column_names:
            raise UnknownName.among(name, table.column_names, what=f"column of {made.name}")
        if name == target:
            raise InputError(
                f"{name!r} is the target, not a setting", mend="name a column that says how rows were made"
            )
        found.append(_setting(name, table.column(name).combine_chunks()))
    return tuple(found)


def _setting(name: str, cells: pa.Array | pa.ChunkedArray) -> Setting:
    column = _column(name, cells)
    cut = cut_column(column, bins=BINS, least=LEAST_ROWS, most=MOST_VALUES)
    codes = cut.assign(column).astype(np.int64)
    present = np.unique(codes)
    if present.size < 2:
        distinct = f"{len(column.levels or ()):,} values, none in {LEAST_ROWS} rows" if column.levels else "one value"
        only = cut.labels[int(present[0])] if present.size else "none"
        told = f"one value only: {only}" if only != REST else distinct
        raise InputError(
            f"{name!r} has {told}: there is nothing to compare",
            mend="name a column whose values differ between rows, each in many rows",
        )
    return Setting(name, tuple(cut.labels[int(c)] for c in present), np.searchsorted(present, codes))


def _column(name: str, cells: pa.Array | pa.ChunkedArray) -> Column:
    """Numbers of many values as numbers, everything else as levels."""
    kind = cells.type
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        values: Floats = np.asarray(pc.cast(cells, pa.float64()).to_numpy(zero_copy_only=False), dtype=np.float64)
        values = np.where(np.isfinite(values), values, np.nan)
        if np.unique(values[~np.isnan(values)]).size > FEW_NUMBERS:
            return Column(name, Kind.NUMBER, Role.FEATURE, _rounded(values))
        words = pa.array([None if np.isnan(v) else f"{v:g}" for v in values], pa.string())
    elif pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        instants = pc.cast(pc.cast(cells, pa.timestamp("s")), pa.int64())
        seconds: Floats = np.asarray(instants.to_numpy(zero_copy_only=False), dtype=np.float64)
        return Column(name, Kind.DATETIME, Role.FEATURE, seconds)
    else:
        words = _words(name, cells)
    coded = words.dictionary_encode()
    coded = coded.combine_chunks() if isinstance(coded, pa.ChunkedArray) else coded
    levels = tuple(str(v) for v in coded.dictionary.to_pylist())
    codes = np.asarray(coded.indices.fill_null(-1).to_numpy(zero_copy_only=False), dtype=np.int64)
    return Column(name, Kind.CATEGORY, Role.FEATURE, codes, levels)


def _rounded(values: Floats) -> Floats:
    """Numbers to three digits of their range, so that bins have names one can type."""
    span = float(np.nanmax(values) - np.nanmin(values))
    return np.round(values, 2 - int(np.floor(np.log10(span)))) if 0 < span < np.inf else values


def _words(name: str, cells: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    try:
        words = pc.cast(cells, pa.string())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError) as err:
        raise InputError(
            f"{name!r} holds {cells.type}, which is no setting", mend="name a column of single values"
        ) from err
    return pc.if_else(pc.equal(words, ""), None, words)
