"""Arrow types at the edge: many come in, few are worked with, and each is written back as it came."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sterling.kernel.schema import Field, Kind, Schema
from sterling.modalities.tabular.canonical import (
    INT64_SPAN,
    PER_SECOND,
    flat,
    floats,
    instants,
    int64,
    numbers,
    seconds,
    texts,
    ticks,
    timestamps,
    truths,
    with_nulls,
    without_nan,
)

if TYPE_CHECKING:
    from sterling.kernel.view import Floats

WITH_ARGUMENTS = re.compile(r"(timestamp|time32|time64|duration|decimal\w*)[\[(](\w+)(?:, (?:tz=)?([^\])]+))?[\])]")


@dataclass(frozen=True, slots=True)
class Normal:
    """A table in few types: bool, integers, floats, string, timestamp, date32.

    Args:
        table: unique column names, one chunk a column, missing = null and never NaN.
        storage: per column the type it came in, as `to_storage` writes it back.
        notes: what had to be changed, in plain words.
    """

    table: pa.Table
    storage: dict[str, str]
    notes: tuple[str, ...] = field(default=())


def normalise(table: pa.Table) -> Normal:
    """Unify the types of a table and name its columns apart.

    Dictionaries become their values, every string type `string`, decimals float64, times of day and
    durations float64 seconds, lists and structs JSON text, bytes UTF-8 or hexadecimal text.
    """
    names, notes = unique_names(table.column_names)
    columns: list[pa.Array] = []
    storage: dict[str, str] = {}
    for name, column in zip(names, table.columns, strict=True):
        array, storage[name], note = _plain(flat(column))
        columns.append(array)
        if note:
            notes.append(f"{name}: {note}")
    return Normal(pa.table(columns, names=names), storage, tuple(notes))


def unique_names(names: list[str]) -> tuple[list[str], list[str]]:
    """Names that tell columns apart, and notes on those that did not: a second "x" is called "x.1".

    >>> unique_names(["x", "x"])
    (['x', 'x.1'], ["there are two columns 'x': the second is called 'x.1' here"])
    """
    taken, seen, notes = set(names), set[str](), list[str]()
    unique: list[str] = []
    for i, given in enumerate(names):
        name = given or f"unnamed: {i}"
        if not given:
            notes.append(f"column {i + 1} has no name: it is called {name!r} here")
        new, number = name, 0
        while new in seen or (number and new in taken):
            number += 1
            new = f"{name}.{number}"
        if number:
            notes.append(f"there are two columns {name!r}: the second is called {new!r} here")
        seen.add(new)
        unique.append(new)
    return unique, notes


def _plain(array: pa.Array) -> tuple[pa.Array, str, str]:
    """One column: its plain form, the type to write back, and a note or ''."""
    kind = array.type
    if isinstance(array, pa.ExtensionArray):
        return _plain(array.storage)
    if pa.types.is_dictionary(kind):
        return _plain(array.cast(kind.value_type))
    if pa.types.is_run_end_encoded(kind):
        return _plain(pc.run_end_decode(array))
    if pa.types.is_string(kind) or pa.types.is_boolean(kind) or pa.types.is_integer(kind):
        return array, str(kind), ""
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind) or pa.types.is_null(kind):
        return array.cast(pa.string()), str(kind), ""
    if pa.types.is_floating(kind):
        wide = array.cast(pa.float32()) if pa.types.is_float16(kind) else array
        return without_nan(wide), str(kind), ""
    if pa.types.is_timestamp(kind) or pa.types.is_date32(kind):
        return array, str(kind), ""
    if pa.types.is_date64(kind):
        return array.cast(pa.date32()), str(kind), ""
    if pa.types.is_decimal(kind):
        return array.cast(pa.float64(), safe=False), str(kind), ""
    if pa.types.is_time(kind) or pa.types.is_duration(kind):
        count = array.cast(pa.int32()).cast(pa.int64()) if pa.types.is_time32(kind) else array.cast(pa.int64())
        return with_nulls(floats(count) / PER_SECOND[kind.unit]), str(kind), ""
    return _foreign(array)


def _foreign(array: pa.Array) -> tuple[pa.Array, str, str]:
    """Bytes and nested values as text."""
    cells = array.to_pylist()
    if pa.types.is_binary(array.type) or pa.types.is_large_binary(array.type) or pa.types.is_binary_view(array.type):
        cells = [None if c is None else _bytes_text(c) for c in cells]
        return pa.array(cells, pa.string()), "string", f"{array.type} read as text"
    if pa.types.is_fixed_size_binary(array.type):
        return pa.array([None if c is None else c.hex() for c in cells], pa.string()), "string", "bytes as hexadecimal"
    words = [None if c is None else json.dumps(c, default=str, ensure_ascii=False) for c in cells]
    return pa.array(words, pa.string()), "string", f"{array.type} read as JSON text"


def _bytes_text(cell: bytes) -> str:
    try:
        return cell.decode("utf-8")
    except UnicodeDecodeError:
        return cell.hex()


def storage_type(storage: str) -> pa.DataType:
    """The Arrow type that a `Field.storage` names.

    >>> storage_type("timestamp[us, tz=UTC]"), storage_type("decimal128(10, 2)")
    (TimestampType(timestamp[us, tz=UTC]), Decimal128Type(decimal128(10, 2)))
    """
    found = WITH_ARGUMENTS.fullmatch(storage)
    if found is None:
        return pa.type_for_alias(storage)
    name, first, second = found.groups()
    if name.startswith("decimal"):
        return getattr(pa, name)(int(first), int(second or 0))
    return pa.timestamp(first, tz=second) if name == "timestamp" else getattr(pa, name)(first)


def to_storage(table: pa.Table, schema: Schema) -> pa.Table:
    """Cast every column back to the type its field was stored in.

    Numbers for an integer type are rounded, and what a type cannot hold is clipped to its nearest
    end, so made rows never crash the writer; cells that cannot be read as the type become null.

    Args:
        table: columns as generators make them: numbers, datetimes as seconds since 1970 or timestamps,
            categories as text.
        schema: fields with `storage`; an empty storage leaves the column as it is.

    Returns:
        The fields that the table has, in the schema's order, then its other columns unchanged.
    """
    kept = [f for f in schema if f.name in table.column_names]
    rest = [name for name in table.column_names if name not in schema]
    arrays = [_stored(flat(table.column(f.name)), f) for f in kept]
    return pa.table(
        [*arrays, *(table.column(name) for name in rest)],
        names=[*(f.name for f in kept), *rest],
    )


def _stored(array: pa.Array, spec: Field) -> pa.Array:
    if not spec.storage or str(array.type) == spec.storage:
        return array
    kind = storage_type(spec.storage)
    plain = _plain(array)[0]
    if pa.types.is_null(kind):
        return pa.nulls(len(array))
    if pa.types.is_boolean(kind):
        words = truths(plain)
        return pc.if_else(pc.is_in(words, pa.array(["true", "false"])), pc.equal(words, "true"), None)
    if pa.types.is_integer(kind):
        return _integers(numbers(plain), kind)
    if pa.types.is_floating(kind):
        narrow = numbers(plain).cast(pa.float64(), safe=False)
        return narrow.cast(kind, safe=False)
    if pa.types.is_temporal(kind):
        return _temporal(plain, kind)
    if pa.types.is_decimal(kind):
        return _decimals(floats(numbers(plain)), kind)
    return _words(plain, spec).cast(kind)


def _integers(array: pa.Array, kind: pa.DataType) -> pa.Array:
    info = np.iinfo(kind.to_pandas_dtype())
    if pa.types.is_floating(array.type):
        if info.max > 2**63:  # uint64: int64 would clip half of it
            values = floats(array)
            missing = np.isnan(values)
            top = np.clip(np.rint(np.where(missing, 0.0, values)), 0.0, 2 * INT64_SPAN - 2048)
            return pa.array(top.astype(np.uint64), mask=missing)
        array = int64(floats(array))
    if pa.types.is_uint64(array.type) or info.max > 2**63:
        return pc.max_element_wise(array, 0, skip_nulls=False).cast(kind, safe=False) if array.type != kind else array
    return pc.min_element_wise(
        pc.max_element_wise(array, pa.scalar(int(info.min), pa.int64()), skip_nulls=False),
        pa.scalar(int(info.max), pa.int64()),
        skip_nulls=False,
    ).cast(kind)


def _temporal(array: pa.Array, kind: Any) -> pa.Array:
    if pa.types.is_timestamp(kind):
        if pa.types.is_timestamp(array.type):
            return array.cast(kind, safe=False)
        return timestamps(seconds(array), kind.unit, kind.tz)
    if pa.types.is_date(kind):
        days = int64(np.clip(np.floor(seconds(array) / 86400.0), -(2.0**31), 2.0**31 - 1)).cast(pa.int32())
        return days.cast(pa.date32()).cast(kind)
    units = ticks(floats(numbers(array)), kind.unit)
    if pa.types.is_duration(kind):
        return int64(units).cast(kind)
    within = int64(np.clip(units, 0.0, 86400.0 * PER_SECOND[kind.unit] - 1))
    return within.cast(pa.int32()).cast(kind) if pa.types.is_time32(kind) else within.cast(kind)


def _decimals(values: Floats, kind: Any) -> pa.Array:
    top = 10.0 ** (kind.precision - kind.scale) * (1 - 1e-15) - 10.0**-kind.scale
    return with_nulls(np.clip(values, -top, top)).cast(kind, safe=False)


def _words(array: pa.Array, spec: Field) -> pa.Array:
    """Text; datetimes as ISO 8601, dates alone where no cell has a time of day."""
    if spec.kind is not Kind.DATETIME or pa.types.is_string(array.type):
        return texts(array)
    moments = instants(array)
    whole_days = not np.any(np.nan_to_num(seconds(moments)) % 86400.0)
    return moments.cast(pa.timestamp("s"), safe=False).cast(pa.date32()).cast(pa.string()) if whole_days else (
        pc.strftime(moments.cast(pa.timestamp("us"), safe=False), "%Y-%m-%dT%H:%M:%S")
    )  # fmt: skip
