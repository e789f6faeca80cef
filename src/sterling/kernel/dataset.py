"""A set of records: what it is, where it came from, and a way to stream it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

from sterling.kernel.schema import Schema

if TYPE_CHECKING:
    import pyarrow as pa

    Batch: TypeAlias = pa.Table


class Origin(StrEnum):
    """Where the records come from."""

    REAL = "real"
    SYNTHETIC = "synthetic"
    AUGMENTED = "augmented"
    MIXED = "mixed"


class SplitRole(StrEnum):
    """Which part of the real data a set is; ALL before any split."""

    ALL = "all"
    TRAIN = "train"
    HOLDOUT = "holdout"  # also the sealed benchmark: opened only through the journal


FittedOn = Literal["real", "other", "unknown"]


@dataclass(frozen=True, slots=True)
class Lineage:
    """How a set came to be.

    Args:
        generator: registry name with settings, or None for real data and foreign files.
        parents: fingerprints of the sets it was made from.
        depth: 0 for real data, one more than its deepest parent for made data.
        fitted_on: whether the generator saw the same real rows that train the model.
    """

    generator: str | None = None
    parents: tuple[str, ...] = ()
    depth: int = 0
    fitted_on: FittedOn = "unknown"


class BatchSource(Protocol):
    """Where batches come from: memory, Parquet files, a store. Must pickle; may be read many times."""

    def batches(self, columns: tuple[str, ...] | None = None) -> Iterator[Batch]:
        """Yield the rows in a stable order as Arrow tables, all columns or only those named."""
        ...


@dataclass(frozen=True, slots=True)
class Dataset:
    """A set of records with its meaning and history; immutable.

    Args:
        name: how reports call it.
        schema: the fields.
        origin: real, synthetic, augmented or mixed.
        rows: how many records.
        fingerprint: hex SHA-256 of the schema and the sorted row hashes: the same rows in another
            order, or in another file format, have the same fingerprint.
        source: streams the rows.
        lineage: how it came to be.
        split: which part of the real data it is.
        notes: what ingestion had to repair or leave out, in plain words.
    """

    name: str
    schema: Schema
    origin: Origin
    rows: int
    fingerprint: str
    source: BatchSource
    lineage: Lineage = Lineage()
    split: SplitRole = SplitRole.ALL
    notes: tuple[str, ...] = ()

    def batches(self, columns: tuple[str, ...] | None = None) -> Iterator[Batch]:
        """Stream the rows as Arrow tables."""
        return self.source.batches(columns)

    def table(self, columns: tuple[str, ...] | None = None) -> Batch:
        """All rows as one Arrow table in memory."""
        import pyarrow as pa

        return pa.concat_tables(list(self.batches(columns)))
