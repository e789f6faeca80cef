"""From any table that was read to a Dataset, with a note on all that had to be repaired."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc

from sterling.kernel.dataset import Dataset, Lineage, Origin
from sterling.kernel.errors import UnreadableInput
from sterling.kernel.schema import Kind, Schema
from sterling.modalities.tabular import Normal, Override, canonical, from_table, infer_normal, normalise
from sterling.modalities.tabular.infer import PROVENANCE

# pandas writes unnamed row labels under this name: positions, not data.
ROW_LABELS = re.compile(r"__index_level_\d+__")
SHOWN_CELLS = 3
DEPTH = f"{PROVENANCE}depth"


def ingest(
    table: pa.Table,
    *,
    name: str,
    origin: Origin,
    overrides: Mapping[str, Override] | None = None,
    lineage: Lineage = Lineage(),  # noqa: B008  frozen
    notes: Sequence[str] = (),
) -> Dataset:
    """A Dataset of a table as it was read.

    Args:
        table: any Arrow table.
        name: how reports call it.
        origin: what its records are.
        overrides: what the user knows better. For sets that are not real they may name columns that
            the set lacks: one declaration serves the real data and all candidates.
        lineage: how it came to be; rows that carry a greater depth of their own (`_sterling_depth`) overrule it.
        notes: what reading had to repair already.

    Raises:
        UnknownName: for an override of a column that the real data does not have.
        UnreadableInput: for a table without columns.
    """
    if table.num_columns == 0:
        raise UnreadableInput(f"{name} has no columns", mend="name a table with at least one column")
    kept = [c for c in table.column_names if not ROW_LABELS.fullmatch(c)]
    labels = ["row labels of the data frame left out"] if len(kept) < table.num_columns else []
    normal = normalise(table.select(kept) if labels else table)
    wanted = {c: o for c, o in (overrides or {}).items() if origin is Origin.REAL or c in normal.storage}
    normal = replace(normal, table=_declared_missing(normal, wanted))
    schema = infer_normal(normal, overrides=wanted)
    lineage = replace(lineage, depth=max(lineage.depth, _deepest(normal.table)))
    said = (*notes, *labels, *normal.notes, *_misfits(normal.table, schema))
    return from_table(normal.table, name=name, origin=origin, schema=schema, lineage=lineage, notes=said)


def _deepest(table: pa.Table) -> int:
    """The greatest depth that rows carry, as an exported mix writes it beside each; 0 where they carry none."""
    if DEPTH not in table.column_names or not pa.types.is_integer(table.column(DEPTH).type):
        return 0
    return max(0, int(pc.max(table.column(DEPTH)).as_py() or 0))


def overrule(dataset: Dataset, overrides: Mapping[str, Override]) -> Dataset:
    """A set that is read already, with the user's overrides on top of its own schema."""
    normal = normalise(dataset.table())
    wanted = {c: o for c, o in overrides.items() if dataset.origin is Origin.REAL or c in normal.storage}
    return replace(dataset, schema=infer_normal(normal, overrides=wanted, known=dataset.schema))


def _declared_missing(normal: Normal, overrides: Mapping[str, Override]) -> pa.Table:
    """The table with every text that was declared to mean "missing" as null."""
    table = normal.table
    for i, (name, column) in enumerate(zip(table.column_names, table.columns, strict=True)):
        marks = overrides[name].missing if name in overrides else ()
        if marks and pa.types.is_string(column.type):
            gone = pc.is_in(column, pa.array(marks, pa.string()))
            table = table.set_column(i, name, pc.if_else(gone, pa.scalar(None, pa.string()), column))
    return table


def _misfits(table: pa.Table, schema: Schema) -> list[str]:
    """Notes on text cells in number and date columns: kept as they are, counted as missing."""
    notes: list[str] = []
    for spec in schema:
        column = table.column(spec.name)
        if spec.kind not in (Kind.NUMBER, Kind.DATETIME) or not pa.types.is_string(column.type):
            continue
        lost = column.filter(pc.and_(canonical(column, spec).is_null(), column.is_valid()))
        if len(lost):
            shown = ", ".join(repr(w) for w in lost.unique().to_pylist()[:SHOWN_CELLS])
            what = "numbers" if spec.kind is Kind.NUMBER else "dates"
            notes.append(f"{spec.name}: {len(lost):,} cells are no {what} ({shown}), counted as missing")
    return notes
