"""From Arrow type and content to what a column is."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sterling.kernel.errors import UnknownName
from sterling.kernel.schema import Field, Kind, Role, Schema
from sterling.modalities.tabular.canonical import (
    canonical,
    flat,
    floats,
    parse_instant,
    parse_number,
    seconds,
    sorted_levels,
    texts,
)
from sterling.modalities.tabular.overrides import Override, overridden
from sterling.modalities.tabular.storage import Normal, normalise

# Columns in which Sterling itself notes where a row comes from.
PROVENANCE = "_sterling_"
# More distinct texts than this are not listed as levels.
MOST_LEVELS = 1000
# Whole numbers of at most so many distinct values may serve as classes once they are the target.
MOST_CLASSES = 20
# So large a share must read as numbers (dates) for text to be a number (date) column.
READABLE = 0.99
# Free text: mostly distinct, long, and of several words.
TEXT_DISTINCT = 0.5
TEXT_LENGTH = 25
# Fewer rows than this say nothing about uniqueness, except by name.
FEWEST_FOR_KEY = 20
# A counter that does not start at 0 or 1 may be years or ages, unless it runs for so long.
LONG_COUNTER = 1000
KEY_NAME = re.compile(
    r"(?i:(^|[\W_])(id|uid|uuid|guid|key|pk|rowid|row|index|idx)$|^unnamed: \d+$)|[a-z](Id|ID|Key|UUID)$"
)
UUID = re.compile(r"\{?[0-9a-fA-F]{8}(-?[0-9a-fA-F]{4}){3}-?[0-9a-fA-F]{12}\}?")
LEADING_ZERO = re.compile(r"\s*[+-]?0\d")


def infer_schema(table: pa.Table, *, overrides: Mapping[str, Override] | None = None) -> Schema:
    """What the columns of a table are.

    Args:
        table: any Arrow table.
        overrides: per column, what the user knows better.

    Returns:
        One field per column, in order. Numbers and numeric text (99 % readable) are NUMBER, truth values
        and texts of few values CATEGORY, dates and ISO date text DATETIME, other text TEXT; unique
        identifiers and running counters have role KEY. `low` and `high` are the observed range;
        `levels` the observed categories, up to 1,000. A NUMBER of at most 20 distinct whole values has
        them as `levels` too: `with_roles` makes a target of such numbers a CATEGORY.

    Raises:
        UnknownName: for an override of a column that is not there.

    >>> [f.kind.value for f in infer_schema(pa.table({"age": [31.5, 40.0], "sex": ["F", "M"]}))]
    ['number', 'category']
    """
    return infer_normal(normalise(table), overrides=overrides)


def infer_normal(
    normal: Normal, *, overrides: Mapping[str, Override] | None = None, known: Schema | None = None
) -> Schema:
    """`infer_schema` of a table that is normalised already; fields that are known come first, as they are."""
    wanted = overrides or {}
    for name in wanted:
        if name not in normal.storage:
            raise UnknownName.among(name, normal.table.column_names, what="column")
    given = {f.name: f for f in known or () if f.name in normal.storage}
    fields = dict(given)
    for name, column in zip(normal.table.column_names, normal.table.columns, strict=True):
        array = flat(column)
        if name not in given:
            fields[name] = infer_field(name, array, normal.storage[name])
        if name in wanted:
            fields[name] = _overruled(fields[name], array, wanted[name])
    return Schema(tuple(fields.values()))


def infer_field(name: str, array: pa.Array, storage: str) -> Field:
    """What one normalised column is."""
    blank = Field(name, Kind.CATEGORY, storage=storage, nullable=array.null_count > 0)
    if name.startswith(PROVENANCE):
        role = Role.WEIGHT if name == f"{PROVENANCE}weight" else Role.KEY
        return replace(blank, kind=_kind(array), role=role)
    spec = observed(replace(blank, kind=_kind(array)), array)
    return replace(spec, role=Role.KEY) if is_key(name, array) else spec


def observed(spec: Field, array: pa.Array) -> Field:
    """The field with the levels and range that its column shows, as its kind has them."""
    cells = canonical(array, spec)
    if spec.kind is Kind.CATEGORY:
        distinct = cells.drop_null().unique()
        levels = sorted_levels(distinct.to_pylist()) if len(distinct) <= MOST_LEVELS else None
        return replace(spec, levels=levels, low=None, high=None)
    if spec.kind not in (Kind.NUMBER, Kind.DATETIME):
        return replace(spec, levels=None, low=None, high=None)
    values = seconds(cells) if spec.kind is Kind.DATETIME else floats(cells)
    values = values[np.isfinite(values)]
    low, high = (float(values.min()), float(values.max())) if values.size else (None, None)
    return replace(spec, low=low, high=high, levels=_classes(cells) if spec.kind is Kind.NUMBER else None)


def _classes(cells: pa.Array) -> tuple[str, ...] | None:
    """The values of a column of few distinct whole numbers, else None."""
    distinct = cells.drop_null().unique()
    if not 0 < len(distinct) <= MOST_CLASSES:
        return None
    values = floats(distinct)
    whole = np.isfinite(values) & (values == np.floor(values))
    return sorted_levels(texts(distinct).to_pylist()) if whole.all() else None


def _kind(array: pa.Array) -> Kind:
    if pa.types.is_boolean(array.type):
        return Kind.CATEGORY
    if pa.types.is_temporal(array.type):
        return Kind.DATETIME
    if not pa.types.is_string(array.type):
        return Kind.NUMBER
    counted = pc.value_counts(array.drop_null())
    words: list[str] = counted.field("values").to_pylist()
    counts = counted.field("counts").to_numpy(zero_copy_only=False)
    return _kind_of_text(words, counts)


def _kind_of_text(words: list[str], counts: np.ndarray) -> Kind:
    """Kind of a text column from its distinct texts and how often each occurs."""
    total = int(counts.sum())
    if not total:
        return Kind.CATEGORY
    if _readable(words, counts, _number_or_nan) >= READABLE:
        return Kind.NUMBER
    if _readable(words, counts, parse_instant) >= READABLE:
        return Kind.DATETIME
    mean_length = float(sum(map(len, words))) / len(words)
    spaced = sum(" " in w.strip() for w in words) / len(words)
    mostly_distinct = len(words) > TEXT_DISTINCT * total
    if mostly_distinct and (len(words) > MOST_LEVELS or (mean_length >= TEXT_LENGTH and spaced >= 0.5)):
        return Kind.TEXT
    return Kind.CATEGORY


def _readable(words: list[str], counts: np.ndarray, parse: Callable[[str], float]) -> float:
    """Share of cells that a parser reads; 0.0 where the first thousand texts make READABLE impossible."""
    if len(words) > MOST_LEVELS and not any(math.isfinite(parse(w)) for w in words[:MOST_LEVELS]):
        return 0.0
    good = np.array([math.isfinite(parse(w)) for w in words])
    return float(counts[good].sum() / counts.sum())


def _number_or_nan(text: str) -> float:
    """As `parse_number`; a leading zero marks a code (postcode, account), never a quantity."""
    return math.nan if LEADING_ZERO.match(text) else parse_number(text)


def is_key(name: str, array: pa.Array) -> bool:
    """Whether a column identifies rows: strictly unique, and an identifier by name, form or counting.

    Unique measurements are no identifiers: floats and datetimes never are one, and whole numbers only
    under the name of one or as a counter that runs up or down through the file without a gap.
    """
    n = len(array)
    text = pa.types.is_string(array.type)
    if n < 2 or array.null_count or not (text or pa.types.is_integer(array.type)):
        return False
    if len(array.unique()) != n:
        return False
    if KEY_NAME.search(name):
        return True
    if n < FEWEST_FOR_KEY:
        return False
    return _identifier_texts(array.to_pylist()) if text else _counter(array.to_numpy(zero_copy_only=False))


def _identifier_texts(words: list[str]) -> bool:
    """All UUIDs, or all without a blank and with a digit, and no plain numbers or dates."""
    if all(UUID.fullmatch(w) for w in words):
        return True
    if any(" " in w or not any(c.isdigit() for c in w) for w in words):
        return False
    plain = sum(math.isfinite(parse_number(w)) or math.isfinite(parse_instant(w)) for w in words)
    return plain < 0.5 * len(words) or all(LEADING_ZERO.match(w) for w in words)


def _counter(values: np.ndarray) -> bool:
    start = min(int(values[0]), int(values[-1]))
    steps = np.diff(values.astype(np.float64))
    running = bool(np.all(steps == 1.0) or np.all(steps == -1.0))
    return running and (start in (0, 1) or values.size >= LONG_COUNTER)


def _overruled(spec: Field, array: pa.Array, override: Override) -> Field:
    """The field as the user has it; what a new kind leaves open is observed anew."""
    if override.kind is not None and override.kind is not spec.kind:
        spec = observed(replace(spec, kind=override.kind), array)
        spec = replace(spec, role=Role.FEATURE if spec.role is Role.KEY else spec.role)
    return overridden(spec, override)
