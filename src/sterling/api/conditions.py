"""Columns that made rows shall have: fixed values, a file of them, or classes in equal numbers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sterling.api.inputs import load
from sterling.kernel.dataset import Dataset, Origin
from sterling.kernel.errors import InputError, UnknownName
from sterling.kernel.protocols import OnEvent, silent
from sterling.kernel.schema import Field, Kind, Role, Schema
from sterling.modalities.tabular.canonical import canonical, flat, floats, seconds, texts
from sterling.modalities.tabular.given import refuse_unknown
from sterling.modalities.tabular.storage import normalise, storage_type, to_storage

NUMBERS = (Kind.NUMBER, Kind.DATETIME)
WHOLE = re.compile(r"\s*[+-]?[0-9]+\s*")


def conditions(
    train: Dataset,
    rows: int,
    *,
    given: Sequence[Any] = (),
    balance: str | None = None,
    peek: Literal["rows", "schema"] = "rows",
    on_event: OnEvent = silent,
) -> pa.Table | None:
    """The columns to be held fixed, `rows` rows of them; None where nothing is asked.

    Args:
        train: the rows that the generator learns from; a category that none of them has is refused.
        rows: how many rows are to be made.
        given: "column=value" for all rows ("column=" for missing), or a file or frame of columns with
            `rows` rows. May be mixed; a column may be named once.
        balance: a category whose levels shall come out in equal numbers, up to one row.
        peek: "schema" looks at no row, for generators that must pay for each look; levels are then those declared.
        on_event: hears how often the train rows look as asked.

    Raises:
        UnknownName: for a column that is not there, or a category that was never seen, with near names.
        InputError: for a column named twice, a value that its column cannot hold, or another number of rows.
    """
    columns: dict[str, pa.Array] = {}
    for one in given:
        for name, cells in _parsed(train, one, rows).items():
            if name in columns:
                raise InputError(f"{name!r} is given twice", mend="give each column once")
            columns[name] = cells
    if balance is not None:
        if balance in columns:
            raise InputError(f"{balance!r} is both given and balanced", mend="choose one of --given and --balance")
        columns[balance] = _balanced(train, train.schema[balance], rows, peek)
    if not columns:
        return None
    asked = to_storage(pa.table(columns), train.schema.select(columns))
    if peek == "rows":
        _seen(train, asked, on_event=on_event)
    return asked


def drawing_first(generator: Any, asked: pa.Table | None, schema: Schema) -> Any:
    """The generator, told to draw the given columns before all others where it has such a setting.

    Identifiers are left out: nothing depends on them.
    """
    has = any(f.name == "first" for f in fields(generator))
    if asked is None or not has or generator.first:
        return generator
    return replace(generator, first=tuple(n for n in asked.column_names if schema[n].role is not Role.KEY))


def _parsed(train: Dataset, one: Any, rows: int) -> dict[str, pa.Array]:
    """Columns of one `given`."""
    name, equals, value = (one if isinstance(one, str) else "").partition("=")
    if not equals or (isinstance(one, str) and Path(one).exists()):
        return _read(train, one, rows)
    # A column's own name may hold "=": the longest that fits is meant.
    fits = [n for n in train.schema.names if isinstance(one, str) and one.startswith(f"{n}=")]
    if fits:
        name = max(fits, key=len)
        value = one[len(name) + 1 :]
    field = train.schema[name]
    stored = to_storage(pa.table({name: _cell(value, field)}), Schema((field,))).column(0)
    read = seconds if field.kind is Kind.DATETIME else floats
    kept = read(canonical(flat(stored), field)) if field.kind in NUMBERS and value else None
    if value and (stored.null_count or (kept is not None and np.isnan(kept[0]))):
        raise InputError(
            f"{name!r} cannot be {value!r}: it holds {field.kind.value}s ({field.storage})",
            mend=f"give a {field.kind.value}: --given {name}=...",
        )
    return {name: pa.repeat(flat(stored)[0], rows)}


def _cell(value: str, field: Field) -> pa.Array:
    """One cell; a whole number as one, for as a float it would lose its last digits. What does not fit is null."""
    whole = field.kind is Kind.NUMBER and field.storage.startswith(("int", "uint"))
    if not whole or WHOLE.fullmatch(value) is None:
        return pa.array([value or None], pa.string())
    kind = storage_type(field.storage)
    info = np.iinfo(kind.to_pandas_dtype())
    return pa.array([int(value) if info.min <= int(value) <= info.max else None], kind)


def _read(train: Dataset, source: Any, rows: int) -> dict[str, pa.Array]:
    try:
        table = load(source, name="given", origin=Origin.REAL).table()
    except InputError as err:
        if isinstance(source, str) and "=" not in source and not Path(source).exists():
            raise InputError(
                f"--given {source!r} is neither column=value nor a file", mend="write it as --given sex=Female"
            ) from err
        raise
    refuse_unknown(train.schema, table.column_names)
    if table.num_rows != rows:
        raise InputError(
            f"the given columns have {table.num_rows:,} rows and {rows:,} are to be made",
            mend=f"ask for as many: -n {table.num_rows}",
        )
    return {name: flat(table.column(name)) for name in table.column_names}


def _balanced(train: Dataset, field: Field, rows: int, peek: Literal["rows", "schema"]) -> pa.Array:
    """Every level in turn: equal numbers, and in each shard too."""
    if field.kind is not Kind.CATEGORY:
        raise InputError(
            f"{field.name!r} holds {field.kind.value}s: classes are balanced in a category",
            mend="name a category, or declare it one by --target or --schema",
        )
    if peek == "schema":
        levels = pa.array(field.levels or (), pa.string())
    else:
        levels = pc.unique(texts(flat(normalise(train.table((field.name,))).table.column(0)))).drop_null()
    if not len(levels):
        raise InputError(f"{field.name!r} has no levels to balance", mend="declare them in --schema FILE.toml")
    if rows < len(levels):
        raise InputError(
            f"{field.name!r} has {len(levels):,} levels and {rows:,} rows are to be made", mend=f"make -n {len(levels)}"
        )
    return levels.take(pa.array(np.arange(rows) % len(levels)))


def _seen(train: Dataset, asked: pa.Table, *, on_event: OnEvent) -> None:
    """Refuse categories that no train row has; tell what is asked that no train row shows."""
    known = normalise(train.table(tuple(asked.column_names))).table
    wanted = normalise(asked).table
    categories: list[str] = []
    for name in asked.column_names:
        field = train.schema[name]
        there, new = flat(known.column(name)), flat(wanted.column(name))
        if field.kind is Kind.CATEGORY:
            categories.append(name)
            levels, seen = (pc.unique(texts(a)).drop_null() for a in (new, there))
            strange = levels.filter(pc.invert(pc.is_in(levels, seen)))
            if len(strange):
                raise UnknownName.among(
                    str(strange[0]), map(str, seen.to_pylist()),
                    what=f"value of {name} among the {train.rows:,} rows to learn from",
                )  # fmt: skip
        elif field.kind in NUMBERS:
            _told_range(field, there, new, on_event)
    if categories:
        _told_combinations(known, wanted, categories, on_event)


def _told_range(field: Field, there: pa.Array, new: pa.Array, on_event: OnEvent) -> None:
    read = seconds if field.kind is Kind.DATETIME else floats
    old, fresh = (read(canonical(a, field)) for a in (there, new))
    if np.all(np.isnan(old)):
        return
    outside = int(np.sum((fresh < np.nanmin(old)) | (fresh > np.nanmax(old))))
    if outside:
        text = f"{outside:,} given values of {field.name} lie beyond any seen: their rows are made as at the nearest"
        on_event("note", {"text": text})


def _told_combinations(known: pa.Table, wanted: pa.Table, names: list[str], on_event: OnEvent) -> None:
    """How many train rows have the asked categories together."""

    def rows(table: pa.Table) -> list[tuple[str | None, ...]]:
        return list(zip(*(texts(flat(table.column(n))).to_pylist() for n in names), strict=True))

    distinct = wanted.select(names).group_by(names).aggregate([([], "count_all")])
    counts = known.select(names).group_by(names).aggregate([([], "count_all")])
    seen = dict(zip(rows(counts), counts.column("count_all").to_pylist(), strict=True))
    asked = dict(zip(rows(distinct), distinct.column("count_all").to_pylist(), strict=True))
    never = sum(n for key, n in asked.items() if key not in seen)
    base = sum(seen.get(key, 0) for key in asked)
    on_event("note", {"text": f"{base:,} rows to learn from look as asked in {', '.join(names)}"})
    if never:
        text = f"{never:,} rows are asked in combinations that no row shows: they are put together from parts"
        on_event("note", {"text": text})
