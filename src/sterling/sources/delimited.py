"""CSV and TSV: nothing vanishes without a word.

Read by pyarrow alone: DuckDB's reader was seen to drop ragged rows silently.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sterling.kernel.errors import InputError, UnreadableInput
from sterling.sources.plain_bytes import text_bytes

# Texts that mean "missing" in every column; all others, such as "?", are declared in a schema file.
NULLS = ("", "NA", "N/A", "n/a", "#N/A", "NaN", "nan", "null", "NULL")
DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
SHOWN_ROWS = 5
# Larger blocks read faster; a row longer than a block is read again in one block.
BLOCK = 2**23
# Codes such as 007, and whole numbers beyond int64, lose digits when they are read as numbers.
LEADING_ZERO_CELL = re.compile(rb"(?:^|[,;\t|\n\r])[ \"+-]*0[0-9]")
LEADING_ZERO = r"^\s*[+-]?0[0-9]"


@dataclass(frozen=True, slots=True)
class _Ragged:
    """Rows of the wrong length: number (the header is row 1), cells expected and found, text."""

    rows: list[tuple[int, int, int, str]] = field(default_factory=list[tuple[int, int, int, str]])

    def __call__(self, row: Any) -> str:
        self.rows.append((row.number, row.expected_columns, row.actual_columns, row.text))
        return "skip"


def read_delimited(path: Path, quarantine: Path | None = None) -> tuple[pa.Table, list[str]]:
    """All rows of a CSV or TSV file, and notes on what was odd.

    Args:
        path: .csv or .tsv, UTF-8, also .gz.
        quarantine: where rows of the wrong length are saved as they were; None refuses them.

    Raises:
        UnreadableInput: empty, not UTF-8, ragged, or with a quote that is never closed.
    """
    data = text_bytes(path)
    delimiter, notes = _delimiter(path, data)
    table, ragged = _parse(path, data, delimiter, texts=())
    _refuse_open_quote(path, data, table)
    if ragged:
        notes.append(_set_aside(path, ragged, quarantine))
    codes = _codes(path, data, delimiter, table)
    if codes:
        table, _ = _parse(path, data, delimiter, texts=codes)
    return table, notes


def _parse(
    path: Path, data: bytes, delimiter: str, *, texts: tuple[str, ...]
) -> tuple[pa.Table, list[tuple[int, int, int, str]]]:
    """The table, and its ragged rows; only on one thread does pyarrow know their numbers."""
    try:
        return _read_csv(data, delimiter, texts=texts, on_ragged=None), []
    except UnicodeDecodeError as err:
        raise _unreadable(path, err) from err
    except pa.ArrowInvalid as err:
        if "Expected" not in str(err):
            raise _unreadable(path, err) from err
    ragged = _Ragged()
    try:
        return _read_csv(data, delimiter, texts=texts, on_ragged=ragged), ragged.rows
    except pa.ArrowInvalid as err:
        raise _unreadable(path, err) from err


def _read_csv(data: bytes, delimiter: str, *, texts: tuple[str, ...], on_ragged: _Ragged | None) -> pa.Table:
    import pyarrow.csv as csv

    def read(block: int) -> pa.Table:
        return csv.read_csv(
            pa.BufferReader(data),
            read_options=csv.ReadOptions(use_threads=on_ragged is None, block_size=block),
            parse_options=csv.ParseOptions(delimiter=delimiter, newlines_in_values=True, invalid_row_handler=on_ragged),
            convert_options=csv.ConvertOptions(
                strings_can_be_null=True, null_values=list(NULLS), column_types=dict.fromkeys(texts, pa.string())
            ),
        )

    try:
        return read(BLOCK)
    except pa.ArrowInvalid as err:
        if "block" not in str(err):
            raise
        if on_ragged is not None:
            on_ragged.rows.clear()
        return read(min(len(data) + 1, 2**31 - 1))


def _delimiter(path: Path, data: bytes) -> tuple[str, list[str]]:
    """By suffix, else commas; a header without any comma is split by what it does hold."""
    if ".tsv" in path.suffixes[-2:] or ".TSV" in path.suffixes[-2:]:
        return "\t", []
    header = data.lstrip().split(b"\n", 1)[0].decode("utf-8")
    best = max(DELIMITERS, key=header.count)
    if "," in header or best not in header:
        return ",", []
    return best, [f"the header has no comma: cells are split at {DELIMITERS[best]}"]


def _set_aside(path: Path, ragged: list[tuple[int, int, int, str]], quarantine: Path | None) -> str:
    first = [f"row {n:,} has {found} cells, not {want}" for n, want, found, _ in ragged[:SHOWN_ROWS]]
    more = f", and {len(ragged) - SHOWN_ROWS:,} more" if len(ragged) > SHOWN_ROWS else ""
    if quarantine is None:
        raise UnreadableInput(
            f"{path} is ragged: {'; '.join(first)}{more} (the header is row 1)",
            mend="quote cells that hold the delimiter, or save the bad rows apart and go on: --quarantine bad.csv",
        )
    _save(path, "".join(f"{text}\n" for *_, text in ragged), quarantine)
    lines = sum(text.count("\n") + 1 for *_, text in ragged)
    swallowed = (
        f" ({lines:,} lines: a quote that is not closed swallows the lines after it)" if lines > len(ragged) else ""
    )
    return f"{len(ragged):,} rows of the wrong length were left out{swallowed} and saved as they were in {quarantine}"


def _save(path: Path, text: str, quarantine: Path) -> None:
    mend = "name a new file: --quarantine bad.csv"
    if quarantine.resolve() == path.resolve():
        raise InputError(f"the quarantine {quarantine} is the file that is read", mend=mend)
    try:
        quarantine.write_text(text, encoding="utf-8")
    except OSError as err:
        raise InputError(f"the quarantine {quarantine} cannot be written: {err.strerror}", mend=mend) from err


def _refuse_open_quote(path: Path, data: bytes, table: pa.Table) -> None:
    """A quote that is never closed swallows all rows behind it into one cell."""
    if data.count(b'"') % 2 == 0 or not table.num_rows:
        return
    last = table.slice(table.num_rows - 1)
    for name, column in zip(last.column_names, last.columns, strict=True):
        cell = column[0].as_py()
        if isinstance(cell, str) and "\n" in cell:
            line = data.count(b"\n") - cell.count("\n") + 1
            raise UnreadableInput(
                f"{path} opens a quote in column {name!r} near line {line:,} and never closes it",
                mend='close the quote, or double it where it is meant: ""',
            )


def _codes(path: Path, data: bytes, delimiter: str, table: pa.Table) -> tuple[str, ...]:
    """Columns that must stay text because digits would be lost: 007, or 20 digits."""
    huge = [n for n, c in zip(table.column_names, table.columns, strict=True) if _beyond_int64(c)]
    whole = [n for n, c in zip(table.column_names, table.columns, strict=True) if pa.types.is_integer(c.type)]
    if not whole or LEADING_ZERO_CELL.search(data) is None:
        return tuple(dict.fromkeys(huge))
    as_text, _ = _parse(path, data, delimiter, texts=tuple(whole))
    zeros = [
        name
        for name, column in zip(as_text.column_names, as_text.columns, strict=True)
        if name in whole and pc.any(pc.match_substring_regex(column, LEADING_ZERO)).as_py()
    ]
    return tuple(dict.fromkeys((*huge, *zeros)))


def _beyond_int64(column: pa.ChunkedArray) -> bool:
    if not pa.types.is_floating(column.type):
        return False
    values = column.drop_null().to_numpy()
    finite = values[np.isfinite(values)]
    whole = finite.size > 0 and bool(np.all(finite == np.floor(finite)))
    return whole and bool(np.any(np.abs(finite) >= 2.0**63))


def _unreadable(path: Path, err: Exception) -> UnreadableInput:
    return UnreadableInput(
        f"{path} cannot be read as CSV: {str(err).splitlines()[0]}",
        mend="check that its first line names the columns and that cells are split by commas",
    )
