"""One form per kind: what a cell means, whatever Arrow type stores it."""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sterling.kernel.schema import Field, Kind

if TYPE_CHECKING:
    from sterling.kernel.view import Floats

NUMBER_TEXT = re.compile(r"\s*[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?\s*")
INSTANT_TEXT = re.compile(r"\s*\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}([.,]\d{1,9})?)?\s*(Z|[+-]\d{2}:?\d{2})?)?\s*")
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
# Whole floats beyond this have no int64 of the same value.
INT64_SPAN = 2.0**63


def canonical(column: pa.ChunkedArray | pa.Array, field: Field) -> pa.Array:
    """The column as its kind has it, one Arrow array; cells that do not fit the kind become null.

    Args:
        column: n cells of any Arrow type that `normalise` leaves.
        field: what the column is in the set that rules.

    Returns:
        NUMBER: integers or floats as stored, numeric text parsed; DATETIME: timestamps;
        CATEGORY and every other kind: strings.
    """
    array = flat(column)
    if field.kind is Kind.NUMBER:
        return numbers(array)
    if field.kind is Kind.DATETIME:
        return instants(array)
    return truths(array) if field.storage == "bool" else texts(array)


def flat(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    """One contiguous array."""
    if isinstance(column, pa.ChunkedArray):
        return column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
    return column


def numbers(array: pa.Array) -> pa.Array:
    """Integers and floats as they are; text parsed, times as seconds, NaN and what is no number as null."""
    kind = array.type
    if pa.types.is_integer(kind):
        return array
    if pa.types.is_floating(kind):
        return without_nan(array)
    if pa.types.is_boolean(kind):
        return array.cast(pa.int64())
    if pa.types.is_temporal(kind):
        return with_nulls(seconds(array))
    return with_nulls(_by_distinct(array, parse_number))


def floats(array: pa.Array) -> Floats:
    """[n] float64, missing = NaN, of an array that `numbers` made."""
    # A null becomes NaN by itself; filling it by a Python number would import pandas where that is installed.
    return array.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)


def instants(array: pa.Array) -> pa.Array:
    """Timestamps; text read as ISO 8601, plain numbers as seconds since 1970, naive times as UTC."""
    kind = array.type
    if pa.types.is_timestamp(kind):
        return array
    if pa.types.is_date(kind):
        return array.cast(pa.timestamp("s" if pa.types.is_date32(kind) else "ms"))
    return timestamps(seconds(array), "us")


def seconds(array: pa.Array) -> Floats:
    """[n] float64 seconds since 1970, UTC; missing or unreadable = NaN."""
    kind = array.type
    if pa.types.is_date32(kind):
        return floats(array.cast(pa.int32())) * 86400.0
    if pa.types.is_date64(kind):
        return floats(array.cast(pa.int64())) / 1e3
    if pa.types.is_timestamp(kind):
        return floats(array.cast(pa.int64())) / PER_SECOND[kind.unit]
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind):
        return floats(numbers(array))
    return _by_distinct(array, parse_instant)


PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


def timestamps(values: Floats, unit: str, tz: str | None = None) -> pa.Array:
    """Seconds since 1970 as timestamps; what the unit cannot hold is clipped to its ends."""
    return int64(ticks(values, unit)).cast(pa.timestamp(unit, tz=tz))


def ticks(values: Floats, unit: str) -> Floats:
    """Seconds in a smaller unit; clipped far beyond what any type holds, so that nothing overflows."""
    return np.clip(values, -1e290, 1e290) * PER_SECOND[unit]


def int64(values: Floats) -> pa.Array:
    """Rounded to the nearest whole number, clipped to int64; NaN = null."""
    missing = np.isnan(values)
    # 1024 is the spacing of float64 just below 2**63: the largest float64 that int64 still holds.
    whole = np.clip(np.rint(np.where(missing, 0.0, values)), -INT64_SPAN, INT64_SPAN - 1024)
    return pa.array(whole.astype(np.int64), mask=missing)


def texts(array: pa.Array) -> pa.Array:
    """Strings; 3 and 3.0 are both "3", true is "true"."""
    kind = array.type
    if pa.types.is_string(kind):
        return array
    if not pa.types.is_floating(kind):
        return array.cast(pa.string())
    encoded = without_nan(array).dictionary_encode()
    words = pa.array([number_text(v) for v in encoded.dictionary.to_pylist()], pa.string())
    return words.take(encoded.indices)


def truths(array: pa.Array) -> pa.Array:
    """Text "true" and "false", also from 1 and 0 and from any capitals; other text stays as it is."""
    if pa.types.is_integer(array.type) or pa.types.is_floating(array.type):
        return pc.if_else(pc.equal(array, 1), "true", pc.if_else(pc.equal(array, 0), "false", texts(array)))
    words = texts(array)
    lower = pc.utf8_lower(words)
    return pc.if_else(pc.is_in(lower, pa.array(["true", "false"])), lower, words)


def number_text(value: float) -> str:
    """The shortest text of a number; whole numbers without a decimal point.

    >>> number_text(3.0), number_text(0.1)
    ('3', '0.1')
    """
    return str(int(value)) if math.isfinite(value) and value.is_integer() and abs(value) < 1e16 else repr(value)


def parse_number(text: str) -> float:
    """The number that a text spells, NaN where it spells none; "nan" and "1_000" spell none.

    >>> parse_number(" 3.5 "), parse_number("3,5")
    (3.5, nan)
    """
    return float(text) if NUMBER_TEXT.fullmatch(text) else math.nan


def parse_instant(text: str) -> float:
    """Seconds since 1970 of an ISO 8601 date or time, naive ones as UTC; NaN where it is none.

    >>> parse_instant("1970-01-02"), parse_instant("soon")
    (86400.0, nan)
    """
    if not INSTANT_TEXT.fullmatch(text):
        return math.nan
    try:
        moment = datetime.datetime.fromisoformat(text.strip())
    except ValueError:  # the 30th of February
        return math.nan
    return ((moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)) - EPOCH).total_seconds()


def sorted_levels(levels: Iterable[str]) -> tuple[str, ...]:
    """Levels in reading order: by number where all are numbers, else by code point.

    >>> sorted_levels(["10", "9"]), sorted_levels(["b", "10", "9"])
    (('9', '10'), ('10', '9', 'b'))
    """
    words = sorted(set(levels))
    values = [parse_number(w) for w in words]
    if any(math.isnan(v) for v in values):
        return tuple(words)
    return tuple(word for _, word in sorted(zip(values, words, strict=True)))


def without_nan(array: pa.Array) -> pa.Array:
    """The floats with NaN as null."""
    return pc.if_else(pc.is_nan(array), pa.scalar(None, array.type), array)


def with_nulls(values: Floats) -> pa.Array:
    """The floats as an Arrow array with NaN as null."""
    return pa.array(values, mask=np.isnan(values))


def _by_distinct(array: pa.Array, parse: Callable[[str], float]) -> Floats:
    """Parse each distinct text once; [n] float64."""
    encoded = texts(array).dictionary_encode()
    parsed = np.array([*map(parse, encoded.dictionary.to_pylist()), math.nan])
    return parsed[encoded.indices.fill_null(parsed.size - 1).to_numpy(zero_copy_only=False)]
