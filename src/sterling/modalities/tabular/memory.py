"""Sets in memory: from any Arrow table to a `Dataset`."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sterling.kernel.dataset import Dataset, Lineage, Origin, SplitRole
from sterling.kernel.schema import Schema
from sterling.modalities.tabular.hashing import row_hashes
from sterling.modalities.tabular.infer import PROVENANCE, infer_normal
from sterling.modalities.tabular.storage import normalise

if TYPE_CHECKING:
    from sterling.kernel.view import Hashes


@dataclass(frozen=True, slots=True)
class MemorySource:
    """A table that is already in memory, as a source of batches."""

    held: pa.Table

    def batches(self, columns: tuple[str, ...] | None = None) -> Iterator[pa.Table]:
        """Yield the whole table once, all columns or only those named."""
        yield self.held if columns is None else self.held.select(list(columns))


def from_table(
    table: pa.Table,
    *,
    name: str = "table",
    origin: Origin = Origin.REAL,
    schema: Schema | None = None,
    lineage: Lineage = Lineage(),  # noqa: B008  frozen
    split: SplitRole = SplitRole.ALL,
    notes: Sequence[str] = (),
) -> Dataset:
    """A Dataset of a table.

    Args:
        table: any Arrow table; its types are unified (see `normalise`).
        name: how reports call it.
        origin: real, synthetic, augmented or mixed.
        schema: what the fields are; None infers it. It may name more or fewer columns than the table:
            fields that the table lacks are left out, columns that it does not name are inferred.
        lineage: how it came to be.
        split: which part of the real data it is.
        notes: what ingestion had to repair, in plain words.
    """
    normal = normalise(table)
    inferred = infer_normal(normal, known=schema)
    return Dataset(
        name=name,
        schema=inferred,
        origin=origin,
        rows=normal.table.num_rows,
        fingerprint=fingerprint(inferred, content_hashes(normal.table)),
        source=MemorySource(normal.table),
        lineage=lineage,
        split=split,
        notes=tuple(dict.fromkeys((*notes, *normal.notes, *_infinite(normal.table)))),
    )


def plain_table(dataset: Dataset, columns: tuple[str, ...] | None = None) -> pa.Table:
    """The rows in the few types of `normalise`, also where a store gives them as they were written."""
    return normalise(dataset.table(columns)).table


def content_hashes(table: pa.Table) -> Hashes:
    """[n] row hashes over the record itself, without the columns in which Sterling notes its origin."""
    return row_hashes(table, [name for name in table.column_names if not name.startswith(PROVENANCE)])


def fingerprint(schema: Schema, hashes: Hashes) -> str:
    """The identity of a set: hex SHA-256 of its column names and its sorted row hashes.

    Kinds and roles are what a user declares of the same rows, and do not enter: declaring a target
    must not make a set a stranger to the generator that was fitted on it.

    Args:
        schema: names the columns; their order does not matter.
        hashes: [n] of `content_hashes`, in any order.
    """
    digest = hashlib.sha256()
    for name in sorted(n for n in schema.names if not n.startswith(PROVENANCE)):
        digest.update(f"{len(name)}:{name};".encode("utf-8", "surrogatepass"))
    digest.update(f"rows {hashes.size};".encode())
    digest.update(np.sort(hashes).astype("<u8").tobytes())
    return digest.hexdigest()


def _infinite(table: pa.Table) -> list[str]:
    notes: list[str] = []
    for name, column in zip(table.column_names, table.columns, strict=True):
        if pa.types.is_floating(column.type):
            count = int(pc.sum(pc.is_inf(column)).as_py() or 0)
            if count:
                notes.append(f"{name}: {count:,} infinite values, judged as one range beyond the finite ones")
    return notes
