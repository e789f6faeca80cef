"""Cells of a table as relations read and write them: numbers, parts of dates, places of keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sterling.modalities.tabular.canonical import floats, int64, numbers, seconds, texts, timestamps, with_nulls
from sterling.stats.formulas import decimals_of

if TYPE_CHECKING:
    from sterling.kernel.view import Bools, Floats

Value: TypeAlias = "str | int | float | bool | None"
# Parts of a date, then of a time of day written as 917.
DATE_PARTS = ("year", "month", "day", "hour", "minute", "quarter", "day_of_week", "day_of_year", "iso_week", "date")
CLOCK_PARTS = ("hundreds", "below hundred")


def quantity_of(array: pa.Array) -> Floats:
    """[n] float64 of numbers, and of dates in seconds; missing = NaN."""
    return seconds(array) if pa.types.is_temporal(array.type) else floats(numbers(array))


def quantity_cells(values: Floats, kind: pa.DataType) -> pa.Array:
    """Cells of numbers or dates; what a type cannot hold is left wider, for `to_storage` to narrow."""
    if pa.types.is_timestamp(kind):
        return timestamps(values, kind.unit, kind.tz)
    if pa.types.is_date32(kind):
        return int64(values / 86400.0).cast(pa.int32()).cast(pa.date32())
    if pa.types.is_integer(kind):
        return int64(values)
    return with_nulls(values).cast(kind) if pa.types.is_floating(kind) else with_nulls(values)


def plain_values(array: pa.Array) -> list[Value]:
    """Cells as JSON holds them; dates as their count since 1970."""
    if pa.types.is_date32(array.type):
        array = array.cast(pa.int32())
    return (array.cast(pa.int64()) if pa.types.is_timestamp(array.type) else array).to_pylist()


def plain_cells(values: list[Value], kind: pa.DataType) -> pa.Array:
    """What `plain_values` took apart."""
    if pa.types.is_date32(kind):
        return pa.array(values, pa.int32()).cast(kind)
    return pa.array(values, pa.int64()).cast(kind) if pa.types.is_timestamp(kind) else pa.array(values, kind)


def places_of(array: pa.Array, keys: tuple[Value, ...]) -> Any:
    """[n] the place of each cell's key: the nearest one for numbers and dates; len(keys) where it is none."""
    known = [k for k in keys if k is not None]
    none = keys.index(None) if None in keys else len(keys)
    shift = none == 0 and len(keys) > len(known)
    missing = array.is_null().to_numpy(zero_copy_only=False)
    if pa.types.is_string(array.type) or pa.types.is_boolean(array.type) or isinstance(next(iter(known), None), str):
        words = pa.array([k if isinstance(k, str) else str(k).lower() for k in known], pa.string())
        places = pc.index_in(texts(array), words).fill_null(len(keys)).to_numpy(zero_copy_only=False).astype(np.int64)
        return np.where(missing, none, np.where(places < len(keys), places + shift, places))
    if not known:
        return np.where(missing, none, len(keys))
    if not pa.types.is_floating(array.type):
        array = array.cast(pa.int32()) if pa.types.is_date32(array.type) else array
        array = array if pa.types.is_uint64(array.type) else array.cast(pa.int64())
    ends = np.array(known, dtype=np.float64)
    nearest = np.searchsorted(ends[:-1] / 2 + ends[1:] / 2, np.where(missing, ends[0], floats(array)))
    # Floats cannot tell the largest whole numbers apart, where the nearest may be a neighbour of the key itself.
    exact = pc.index_in(array, pa.array(known, array.type)).fill_null(-1).to_numpy(zero_copy_only=False)
    nearest = np.where(exact >= 0, exact, nearest)
    return np.where(missing, none, nearest + shift)


def keyed(array: pa.Array, keys: tuple[Value, ...]) -> Bools:
    """[n] whether a cell is one of the keys itself, not only near one."""
    places = places_of(array, keys)
    if pa.types.is_string(array.type) or pa.types.is_boolean(array.type):
        return places < len(keys)
    ends = np.array([np.nan if k is None else k for k in (*keys, None)], dtype=np.float64)
    ticks = array.cast(pa.int32()) if pa.types.is_date32(array.type) else array
    values = floats(ticks.cast(pa.int64()) if pa.types.is_timestamp(array.type) else ticks)
    missing = np.isnan(values)
    return (missing & (None in keys)) | (ends[places] == values)


def part_of(array: pa.Array, part: str) -> Floats:
    """[n] a part of dates or of times of day; NaN where they are missing."""
    if part in CLOCK_PARTS:
        values = floats(array)
        return np.floor(values / 100) if part == "hundreds" else values % 100
    if part == "date":
        return np.floor(seconds(array) / 86400.0) * 86400.0
    return floats(getattr(pc, part)(array))


def presence(array: pa.Array) -> pa.Array:
    """The word known, or missing."""
    return pc.if_else(array.is_valid(), pa.scalar("known"), pa.scalar(None, pa.string()))


def filled(array: pa.Array) -> pa.Array:
    """The cells with the missing ones replaced by others, each as often as it occurs."""
    missing = array.is_null().to_numpy(zero_copy_only=False)
    known = np.flatnonzero(~missing)
    if not known.size or not missing.any():
        return array
    places = np.arange(len(array))
    order = np.random.Generator(np.random.PCG64(known.size)).permutation(known)
    places[missing] = np.resize(order, int(missing.sum()))
    return array.take(pa.array(places))


def masked_cells(array: pa.Array, gone: Bools) -> pa.Array:
    """The cells with some of them missing."""
    return pc.if_else(pa.array(gone), pa.scalar(None, array.type), array)


def decimals_in(array: pa.Array) -> int | None:
    """The decimals on whose grid numbers lie; whole days and seconds are 0."""
    return decimals_of(quantity_of(array), single=pa.types.is_float32(array.type))
