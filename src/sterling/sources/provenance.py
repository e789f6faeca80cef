"""Where each row comes from, written beside the row."""

from __future__ import annotations

import pyarrow as pa

from sterling.kernel.dataset import Origin
from sterling.kernel.schema import Schema
from sterling.modalities.tabular.infer import PROVENANCE

# Never fields of a schema: they tell of the record and are no part of it.
LINEAGE_COLUMNS: dict[str, pa.DataType] = {
    f"{PROVENANCE}origin": pa.string(),
    f"{PROVENANCE}parent": pa.string(),
    f"{PROVENANCE}depth": pa.int32(),
    f"{PROVENANCE}run": pa.string(),
    f"{PROVENANCE}weight": pa.float64(),
}
ORIGIN, PARENT, RUN = (f"{PROVENANCE}{name}" for name in ("origin", "parent", "run"))


def with_lineage_columns(
    table: pa.Table, *, origin: Origin, parent: str | None, depth: int, run: str, weight: float | None = None
) -> pa.Table:
    """The table with the origin of its rows written beside each.

    Args:
        table: n rows; lineage columns that it has are replaced. Only the rows of a MIXED set keep the
            origins they have: a mix of mixes still knows its real rows.
        origin: real, synthetic, augmented or mixed.
        parent: fingerprint of the set the rows were made from, or come from.
        depth: 0 for real rows, one more with every generation.
        run: what made them, such as "cart(min_leaf=5)".
        weight: of each row in training, where rows were blended.

    >>> rows = with_lineage_columns(pa.table({"x": [1]}), origin=Origin.REAL, parent=None, depth=0, run="census")
    >>> rows.column_names
    ['x', '_sterling_origin', '_sterling_parent', '_sterling_depth', '_sterling_run']
    """
    values = (origin.value, parent, depth, run, weight)
    known = origin is Origin.MIXED and ORIGIN in table.column_names
    for (name, kind), value in zip(LINEAGE_COLUMNS.items(), values, strict=True):
        if (name == ORIGIN and known) or (value is None and not name.endswith("parent")):
            continue
        column = pa.repeat(pa.scalar(value, kind), table.num_rows)
        place = table.schema.get_field_index(name)
        table = table.append_column(name, column) if place < 0 else table.set_column(place, name, column)
    return table


def strip_lineage(table: pa.Table) -> pa.Table:
    """The records alone, without the columns that tell where they come from."""
    return table.select([name for name in table.column_names if not name.startswith(PROVENANCE)])


def record_schema(schema: Schema) -> Schema:
    """The schema without lineage columns, should inference have met some."""
    return schema.select(name for name in schema.names if not name.startswith(PROVENANCE))
