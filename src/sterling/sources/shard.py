"""One shard of a set: the same rows are always the same bytes, and a changed byte is always seen."""

from __future__ import annotations

import base64
import hashlib
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from sterling.kernel.errors import BrokenStore, InputError, UnknownName
from sterling.kernel.schema import Schema
from sterling.modalities.tabular.infer import PROVENANCE
from sterling.modalities.tabular.storage import storage_type
from sterling.sources.atomic import sync, writing_to

if TYPE_CHECKING:
    import pyarrow.parquet as pq

# Large enough for good compression, small enough that some dozens fit in memory.
SHARD_ROWS = 50_000
DATA = "data"


@dataclass(frozen=True, slots=True)
class Shard:
    """A Parquet file named by its content."""

    sha256: str
    rows: int
    bytes: int

    def path(self, folder: Path) -> Path:
        """Where it lies in the folder of its set."""
        return folder / DATA / f"{self.sha256}.parquet"


def sliced(batches: Iterable[pa.Table], rows: int) -> Iterator[pa.Table]:
    """The same rows in tables of exactly `rows`, the last one shorter; an empty set gives one empty table."""
    held: list[pa.Table] = []
    count = given = 0
    for batch in batches:
        held.append(batch)
        count += batch.num_rows
        if count < rows:
            continue
        whole = pa.concat_tables(held)
        for start in range(0, count - count % rows, rows):
            yield whole.slice(start, rows)
            given += 1
        held, count = [whole.slice(count - count % rows)], count % rows
    if held and (count or not given):
        yield pa.concat_tables(held)


def stored_types(batch: pa.Table, schema: Schema) -> pa.Schema:
    """The Arrow types in which a set is stored, as its first batch and its schema give them.

    Dictionaries and run-end encodings become plain values, because their codes depend on how the rows
    were cut into batches; a column without any value takes the type that its field declares.

    Raises:
        InputError: if the columns of the batch are not those of the schema.
    """
    _match(batch, schema)
    inner = [name for name in batch.column_names if name.startswith(PROVENANCE)]
    kinds = {name: _plain(batch.schema.field(name).type) for name in (*schema.names, *inner)}
    for spec in schema:
        if pa.types.is_null(kinds[spec.name]) and spec.storage:
            kinds[spec.name] = storage_type(spec.storage)
    return pa.schema(list(kinds.items()))


def _match(batch: pa.Table, schema: Schema) -> None:
    names = [name for name in batch.column_names if not name.startswith(PROVENANCE)]
    twice = sorted({name for name in names if names.count(name) > 1})
    missing, extra = sorted(set(schema.names) - set(names)), sorted(set(names) - set(schema.names))
    wrong = [
        f"{what} {', '.join(map(repr, found))}"
        for what, found in (("missing", missing), ("not in the schema", extra), ("twice", twice))
        if found
    ]
    if wrong:
        raise InputError(
            f"the columns of the rows are not those of the schema: {'; '.join(wrong)}",
            mend="name these columns alike in the rows and in the schema",
        )


def _plain(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind):
        return _plain(kind.value_type)
    return kind


def conformed(batch: pa.Table, types: pa.Schema) -> pa.Table:
    """The batch in these columns and types, without any metadata that its reader left on it.

    Raises:
        InputError: if a column is missing, extra, or holds a value that the type cannot.
    """
    if len(batch.column_names) != len(types.names) or set(batch.column_names) != set(types.names):
        raise InputError(
            f"a later batch has the columns {batch.column_names}, the first one had {types.names}",
            mend="give every batch the same columns",
        )
    columns: list[pa.ChunkedArray] = []
    for field in types:
        column = batch.column(field.name)
        try:
            columns.append(column if column.type == field.type else column.cast(field.type))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as err:
            raise InputError(
                f"column {field.name!r} is {field.type} in the first batch; a later one ({column.type}) "
                f"does not fit: {str(err).splitlines()[0]}",
                mend="give every batch the same types",
            ) from err
    return pa.table(columns, schema=types)


def conforming(batches: Iterable[pa.Table], schema: Schema) -> Iterator[pa.Table]:
    """Every batch in the columns and types of the first (see `stored_types`).

    Raises:
        InputError: if a batch disagrees with the schema or with the first batch.
    """
    types: pa.Schema | None = None
    for batch in batches:
        types = stored_types(batch, schema) if types is None else types
        yield conformed(batch, types)


def stage(table: pa.Table, folder: Path) -> tuple[Shard, Path]:
    """Write a shard into a folder under a name of its own, flushed to disk.

    Raises:
        InputError: if a column has a type that Parquet does not know, or the disk is full.
    """
    data = memoryview(encoded(table))
    staged = folder / uuid.uuid4().hex
    with writing_to(staged):
        staged.write_bytes(data)
        sync(staged)
    return Shard(hashlib.sha256(data).hexdigest(), table.num_rows, data.nbytes), staged


def encoded(table: pa.Table) -> pa.Buffer:
    """The table as a Parquet file; equal rows of equal types give equal bytes, however they are chunked."""
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    try:
        pq.write_table(
            table.combine_chunks(),
            sink,
            row_group_size=max(table.num_rows, 1),
            compression="zstd",
            compression_level=3,
            write_page_checksum=True,
        )
    except pa.ArrowNotImplementedError as err:
        raise InputError(f"cannot store these rows: {err}", mend="cast that column to a plain type first") from err
    return sink.getvalue()


def load(folder: Path, shard: Shard, columns: tuple[str, ...] | None = None) -> pa.Table:
    """Read a shard, all columns or only those named, in that order.

    Raises:
        BrokenStore: if the file is not what its name promises.
        UnknownName: for a column that it does not have.
    """
    import pyarrow.parquet as pq

    path = shard.path(folder)
    try:
        data = path.read_bytes()
    except OSError as err:
        raise broken(path, f"cannot be read ({err.strerror})") from err
    if hashlib.sha256(data).hexdigest() != shard.sha256:
        raise broken(path, "has changed since it was written")
    # The hash has vouched for every byte; the page checksums guard the copies that leave this folder.
    file = pq.ParquetFile(pa.BufferReader(data), page_checksum_verification=True)
    if file.metadata.num_rows != shard.rows:
        raise broken(path, f"holds {file.metadata.num_rows:,} rows, its manifest says {shard.rows:,}")
    if columns is None:
        return _as_written(file, file.read())
    for name in columns:
        if name not in file.schema_arrow.names:
            raise UnknownName.among(name, file.schema_arrow.names, what="column")
    return _as_written(file, file.read(list(columns)).select(list(columns)))


def _as_written(file: pq.ParquetFile, table: pa.Table) -> pa.Table:
    """Parquet has no seconds and no 32-bit seconds of the day: give them back from the Arrow schema in its footer."""
    noted = file.metadata.metadata[b"ARROW:schema"]
    written = pa.ipc.read_schema(pa.BufferReader(base64.b64decode(noted)))
    return table.cast(pa.schema([written.field(name) for name in table.column_names]))


def broken(path: Path, what: str) -> BrokenStore:
    """The error for a file that is not as it was written."""
    return BrokenStore(f"{path} {what}", mend="restore that file from a copy, or remove the folder and make it again")
