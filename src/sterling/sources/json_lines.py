"""JSON Lines: one object a line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import pyarrow as pa

from sterling.kernel.errors import UnreadableInput
from sterling.sources.plain_bytes import text_bytes


def read_json_lines(path: Path, quarantine: Path | None = None) -> tuple[pa.Table, list[str]]:
    """All records of a JSON Lines file, and notes on columns of mixed types.

    Raises:
        UnreadableInput: empty, not UTF-8, or with a line that is no JSON object.
    """
    del quarantine
    import pyarrow.json as pj

    data = text_bytes(path)
    try:
        # One block: an object that straddles two blocks is refused.
        options = pj.ReadOptions(block_size=min(max(len(data) + 1, 2**20), 2**31 - 1))
        return pj.read_json(pa.BufferReader(data), read_options=options), []
    except pa.ArrowInvalid:
        return _line_by_line(path, data)


def _line_by_line(path: Path, data: bytes) -> tuple[pa.Table, list[str]]:
    """Slow and exact: names the line that is wrong, and keeps columns of mixed types as text."""
    rows = [_record(path, number, line) for number, line in enumerate(data.splitlines(), 1) if line.strip()]
    names = list(dict.fromkeys(name for row in rows for name in row))
    columns: list[pa.Array] = []
    notes: list[str] = []
    for name in names:
        column, mixed = _column([row.get(name) for row in rows])
        columns.append(column)
        notes += [f"{name}: cells of several types, read as text"] if mixed else []
    return pa.table(columns, names=names), notes


def _record(path: Path, number: int, line: bytes) -> dict[str, Any]:
    where = f"{path}, line {number:,}"
    mend = "write one JSON object a line; from an array: jq -c '.[]'"
    try:
        value: Any = json.loads(line, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as err:
        raise UnreadableInput(f"{where} is no JSON: {err}", mend=mend) from err
    if not isinstance(value, dict):
        raise UnreadableInput(f"{where} is no JSON object", mend=mend)
    return cast("dict[str, Any]", value)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    seen = dict(pairs)
    if len(seen) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{next(n for n in names if names.count(n) > 1)!r} stands in it twice")
    return seen


def _column(cells: list[Any]) -> tuple[pa.Array, bool]:
    """The cells as one type, or as text where they have none in common; and whether they had none."""
    try:
        return pa.array(cells), False
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
        words = [c if c is None or isinstance(c, str) else json.dumps(c, ensure_ascii=False) for c in cells]
        return pa.array(words, pa.string()), True
