"""A database whose keys hold: what is refused, and what becomes of orphans."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sterling.kernel.dataset import Dataset
from sterling.kernel.errors import InputError
from sterling.modalities.tabular.canonical import flat
from sterling.modalities.tabular.memory import from_table, plain_table
from sterling.modalities.tabular.relational.keys import Database, ForeignKey, top_down
from sterling.modalities.tabular.relational.match import ORPHAN, positions, repeated

SHOWN = 3


def cleaned(database: Database) -> Database:
    """The database without orphans, as its keys want it, and notes on what was done.

    Raises:
        InputError: for identifiers that are missing or not unique, or orphans that are to be refused.
    """
    tables: dict[str, Dataset] = dict(database.tables)
    notes: list[str] = []
    for name in top_down(database.relations):
        spec = database.relations[name]
        table = plain_table(tables[name])
        check_unique(name, table, spec.primary, what="primary key")
        for key in (*database.relations.up(name), *database.relations.within(name)):
            parent = table if key.parent == name else plain_table(tables[key.parent])
            check_unique(key.parent, parent, key.parent_columns, what="key that others refer to")
            table, told = _without_orphans(key, table, parent, database.relations[name].primary)
            notes += told
        tables[name] = _with_table(tables[name], table)
    return replace(database, tables=tables, notes=(*database.notes, *notes))


def check_unique(name: str, table: pa.Table, columns: Sequence[str], *, what: str) -> None:
    """Refuse identifiers that are missing or there twice.

    Raises:
        InputError: naming some.
    """
    if not columns:
        return
    gone = next((c for c in columns if table.column(c).null_count), None)
    mend = f"mend {name}, or name other columns (or none) as its primary_key in relations.toml"
    if gone is not None:
        count = table.column(gone).null_count
        raise InputError(f"{name}: {count:,} rows have no {gone!r}, which is part of its {what}", mend=mend)
    again = repeated(table, columns)
    if again.any():
        shown = [_shown(table, columns, int(row)) for row in np.flatnonzero(again)[:SHOWN]]
        raise InputError(
            f"{name}: {int(again.sum()):,} rows repeat the {what} ({', '.join(columns)}) of another, "
            f"such as {', '.join(shown)}",
            mend=mend,
        )


def orphan_examples(key: ForeignKey, table: pa.Table, at: np.ndarray) -> list[str]:
    """The first few keys that no row of the parent has."""
    rows = np.flatnonzero(at == ORPHAN)
    return list(dict.fromkeys(_shown(table, key.columns, int(row)) for row in rows[: 20 * SHOWN]))[:SHOWN]


def _shown(table: pa.Table, columns: Sequence[str], row: int) -> str:
    cells = [repr(table.column(c)[row].as_py()) for c in columns]
    return cells[0] if len(cells) == 1 else f"({', '.join(cells)})"


def _without_orphans(
    key: ForeignKey, table: pa.Table, parent: pa.Table, primary: Sequence[str]
) -> tuple[pa.Table, list[str]]:
    at = positions(table, key.columns, parent, key.parent_columns)
    lost = at == ORPHAN
    if not lost.any():
        return table, []
    told = f"{int(lost.sum()):,} of {table.num_rows:,} rows name no row of {key.parent}"
    shown = ", ".join(orphan_examples(key, table, at))
    if key.orphans == "refuse":
        raise InputError(
            f"{key.name}: {told}, such as {shown}",
            mend=f'write orphans = "drop" or "null" for this key in relations.toml, or add them to {key.parent}',
        )
    if key.orphans == "null":
        gone = pa.array(lost)
        for column in [c for c in key.columns if c not in primary] or key.columns[-1:]:
            array = flat(table.column(column))
            emptied = pc.if_else(gone, pa.scalar(None, array.type), array)
            table = table.set_column(table.column_names.index(column), column, emptied)
        return table, [f"{key.name}: {told} ({shown}); their key was taken as missing"]
    # Of a table that refers to itself, rows that hang on dropped ones go too.
    table = table.filter(pa.array(~lost))
    told = f"{key.name}: {told} ({shown}); they were left out"
    if key.parent == key.child:
        rest, more = _without_orphans(key, table, table, primary)
        return rest, [told, *more]
    return table, [told]


def _with_table(dataset: Dataset, table: pa.Table) -> Dataset:
    if table is dataset.source or (table.num_rows == dataset.rows and _same(dataset, table)):
        return dataset
    return from_table(table, name=dataset.name, origin=dataset.origin, schema=dataset.schema, notes=dataset.notes)


def _same(dataset: Dataset, table: pa.Table) -> bool:
    return table.equals(plain_table(dataset))


def tables_of(database: Database) -> Mapping[str, pa.Table]:
    """All tables, normalised, by name."""
    return {name: plain_table(data) for name, data in database.tables.items()}
