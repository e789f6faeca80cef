"""A set as one plain file, for tools that know nothing of Sterling."""

from __future__ import annotations

import base64
import datetime
import decimal
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc

from sterling.kernel.dataset import Dataset
from sterling.kernel.errors import InputError, UnknownName
from sterling.sources.atomic import replacing
from sterling.sources.shard import SHARD_ROWS
from sterling.sources.store import strip_lineage

Format = Literal["parquet", "csv", "jsonl"]
FORMATS: tuple[Format, ...] = ("parquet", "csv", "jsonl")
# What spreadsheets run as a formula (OWASP, "CSV Injection").
FORMULA = r"^[=+\-@\t\r]"


def export(
    dataset: Dataset,
    out: Path,
    *,
    format: Format,  # noqa: A002  the word on the command line
    formulas: Literal["escape", "keep"] = "escape",
    lineage: Literal["keep", "drop"] = "keep",
) -> Path:
    """Write a set as one file, which replaces what had its name.

    CSV: text cells and column names that a spreadsheet would run as a formula (they begin with = + - @,
    tab or carriage return) get a leading apostrophe; numbers are left alone. That changes text such as
    "-5": write `formulas="keep"` for a reader that is no spreadsheet. Missing is an empty field, the empty
    text is "". Lists and structs are JSON text.

    JSONL: one object a line; NaN, infinities and missing are null, times are ISO 8601, bytes base64.

    Args:
        dataset: the rows.
        out: the file.
        format: "parquet", "csv" or "jsonl".
        formulas: "escape" makes formulas harmless in CSV, "keep" writes every cell as it is.
        lineage: "keep" writes the columns that begin with _sterling_ too (a mix is nothing without its
            weights), "drop" the records alone.

    Returns:
        `out`.

    Raises:
        UnknownName: for another format.
        InputError: if the file cannot be written, or a column has a type that the format lacks.
    """
    if format not in FORMATS:
        raise UnknownName.among(format, FORMATS, what="format")
    batches = (strip_lineage(batch) if lineage == "drop" else batch for batch in dataset.batches())
    with replacing(out) as staged:
        try:
            if format == "parquet":
                _write_parquet(batches, staged)
            elif format == "csv":
                _write_csv(batches, staged, escape=formulas == "escape")
            else:
                _write_jsonl(batches, staged)
        except (pa.ArrowNotImplementedError, pa.ArrowInvalid, pa.ArrowTypeError) as err:
            raise InputError(
                f"{dataset.name} cannot be written as {format}: {str(err).splitlines()[0]}",
                mend="write it as parquet, or cast that column to a plain type first",
            ) from err
    return out


def _write_parquet(batches: Iterator[pa.Table], path: Path) -> None:
    import pyarrow.parquet as pq

    first = next(batches).replace_schema_metadata(None)
    with pq.ParquetWriter(path, first.schema, compression="zstd", write_page_checksum=True) as writer:
        writer.write_table(first, row_group_size=SHARD_ROWS)
        for batch in batches:
            writer.write_table(batch.select(first.column_names).cast(first.schema), row_group_size=SHARD_ROWS)


def _write_csv(batches: Iterator[pa.Table], path: Path, *, escape: bool) -> None:
    import pyarrow.csv as pc_csv

    first = _flat(next(batches), escape=escape)
    with pc_csv.CSVWriter(path, first.schema) as writer:
        writer.write_table(first)
        for batch in batches:
            writer.write_table(_flat(batch, escape=escape).cast(first.schema))


def _flat(table: pa.Table, *, escape: bool) -> pa.Table:
    columns = [_cells(column, escape=escape) for column in table.columns]
    names = [_harmless_name(name) if escape else name for name in table.column_names]
    return pa.table(columns, names=names)


def _cells(column: pa.ChunkedArray, *, escape: bool) -> pa.ChunkedArray:
    """A column as CSV can hold it; text that a spreadsheet would run made harmless."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return _cells(column.cast(kind.value_type), escape=escape)
    if pa.types.is_nested(kind):
        cells = [None if c is None else json.dumps(_plain(c), ensure_ascii=False) for c in column.to_pylist()]
        return pa.chunked_array([pa.array(cells, pa.string())])
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)):
        return column
    text = column.cast(pa.large_string())
    return pc.replace_substring_regex(text, FORMULA, r"'\0") if escape else text


def _harmless_name(name: str) -> str:
    return f"'{name}" if name[:1] in ("=", "+", "-", "@", "\t", "\r") else name


def _write_jsonl(batches: Iterator[pa.Table], path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for batch in batches:
            for start in range(0, batch.num_rows, SHARD_ROWS):
                for row in batch.slice(start, SHARD_ROWS).to_pylist():
                    file.write(json.dumps(_plain(row), ensure_ascii=False, allow_nan=False) + "\n")


def _plain(value: Any) -> Any:
    """A cell as JSON has it."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, datetime.timedelta):
        return value.total_seconds()
    if isinstance(value, decimal.Decimal):
        return float(value)
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value
