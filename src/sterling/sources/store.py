"""Sets on disk: content-addressed Parquet, and a manifest that is written last.

Without `manifest.json` a set does not exist; with it, it is whole. Rows are staged, flushed, named by
their hash and moved to `data/` before the manifest names them, so a writer killed at any moment leaves
either a whole set or none, and running it again finishes the work.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from sterling.kernel.dataset import Dataset, Lineage, Origin
from sterling.kernel.errors import InputError
from sterling.kernel.finding import Json
from sterling.kernel.schema import Schema
from sterling.modalities.tabular import content_hashes, fingerprint, normalise
from sterling.sources.atomic import locked, sha256_of, sync, write_text, writing_to
from sterling.sources.manifest import NAME as MANIFEST
from sterling.sources.manifest import Manifest, manifest_text, read_manifest
from sterling.sources.manifest import schema_from_json as schema_from_json
from sterling.sources.manifest import schema_to_json as schema_to_json
from sterling.sources.provenance import LINEAGE_COLUMNS as LINEAGE_COLUMNS
from sterling.sources.provenance import record_schema
from sterling.sources.provenance import strip_lineage as strip_lineage
from sterling.sources.provenance import with_lineage_columns as with_lineage_columns
from sterling.sources.shard import DATA, SHARD_ROWS, Shard, broken, conforming, load, sliced, stage

if TYPE_CHECKING:
    from sterling.kernel.view import Hashes

STAGING = ".staging"
OURS = re.compile(r"[0-9a-f]{64}\.parquet")


@dataclass(frozen=True, slots=True)
class StoreSource:
    """The rows of a set on disk; every shard is checked against its hash when it is read."""

    folder: Path
    shards: tuple[Shard, ...]

    def batches(self, columns: tuple[str, ...] | None = None) -> Iterator[pa.Table]:
        """Yield one table per shard, lineage columns included unless columns are named."""
        for shard in self.shards:
            yield load(self.folder, shard, columns)


def write_set(
    batches: Iterable[pa.Table],
    folder: Path,
    *,
    schema: Schema,
    origin: Origin,
    lineage: Lineage,
    name: str,
    extra: Mapping[str, Json] | None = None,
    shard_rows: int = SHARD_ROWS,
) -> Dataset:
    """Write a set; it appears whole or not at all.

    Args:
        batches: the rows, with or without lineage columns; how they are cut does not change a byte.
        folder: a new or empty folder, or one where a writer was killed.
        schema: the fields, which are the columns of every batch but the lineage columns.
        origin: real, synthetic, augmented or mixed.
        lineage: how the set came to be.
        name: how reports call it.
        extra: what is to be kept with the set.
        shard_rows: rows per file.

    Returns:
        The set as `read_set` reads it.

    Raises:
        InputError: if the folder holds another finished set (writing the same again is harmless and
            mends damaged files), something that is no set, or cannot be written; if batches disagree.
    """
    fields = record_schema(schema)
    with _writing(folder) as staging:
        before = read_manifest(folder) if (folder / MANIFEST).exists() else None
        staged, hashes = _stage_all(batches, staging, fields, shard_rows, before=before, folder=folder)
        shards = tuple(shard for shard, _ in staged)
        made = Manifest(
            name=name,
            schema=fields,
            origin=origin,
            lineage=lineage,
            rows=sum(shard.rows for shard in shards),
            fingerprint=fingerprint(fields, hashes),
            shards=shards,
            extra=extra or {},
        )
        if before is not None and manifest_text(before) != manifest_text(made):
            raise taken(folder, before)
        for shard, path in staged:
            if before is None or not intact(folder, shard):
                place(path, folder, shard)
        commit(folder, made)
    return read_set(folder)


def read_set(folder: Path) -> Dataset:
    """A finished set; rows are read, and checked, when they are asked for.

    Raises:
        UnreadableInput: if there is no such folder.
        BrokenStore: if the folder holds no finished set, or one that was changed.
        InputError: if the set was written by a newer Sterling.
    """
    found = read_manifest(folder)
    return Dataset(
        name=found.name,
        schema=found.schema,
        origin=found.origin,
        rows=found.rows,
        fingerprint=found.fingerprint,
        source=StoreSource(folder.absolute(), found.shards),
        lineage=found.lineage,
    )


def verify(folder: Path) -> Dataset:
    """Read a set and recompute the hash of every file.

    Raises:
        BrokenStore: naming the first file that is missing or has changed, and how to mend it.
    """
    found = read_set(folder)
    for shard in read_manifest(folder).shards:
        if not shard.path(folder).is_file():
            raise broken(shard.path(folder), "is missing")
        if not intact(folder, shard):
            raise broken(shard.path(folder), "has changed since it was written")
    return found


def intact(folder: Path, shard: Shard) -> bool:
    """Whether the file of a shard is there and unchanged."""
    path = shard.path(folder)
    return path.is_file() and sha256_of(path) == shard.sha256


def place(staged: Path, folder: Path, shard: Shard) -> None:
    """Give a staged shard its lasting name; doing it twice is harmless."""
    with writing_to(folder):
        (folder / DATA).mkdir(exist_ok=True)
        staged.replace(shard.path(folder))


def commit(folder: Path, manifest: Manifest) -> None:
    """Make a set exist: all its shards lie in `data/`; whatever else lies there is a killed writer's."""
    kept = {shard.path(folder).name for shard in manifest.shards}
    for path in (folder / DATA).iterdir():
        if OURS.fullmatch(path.name) and path.name not in kept:
            path.unlink()
    for torn in folder.glob(f".{MANIFEST}.*"):
        torn.unlink()
    sync(folder / DATA)
    write_text(folder / MANIFEST, manifest_text(manifest))
    sync(folder.absolute().parent)


def taken(folder: Path, before: Manifest) -> InputError:
    """The error for a folder that holds another finished set."""
    return InputError(
        f"{folder} already holds another finished set: {before.name!r}, {before.rows:,} rows",
        mend="name another folder, or remove this one first",
    )


def refuse_foreign(folder: Path) -> None:
    """Write only where nothing else lies.

    Raises:
        InputError: if the folder holds files that no writer of sets left there.
    """
    foreign = [p.name for p in folder.iterdir() if not p.name.startswith(".") and p.name not in (DATA, MANIFEST)]
    if (folder / DATA).is_dir():
        foreign += [f"{DATA}/{p.name}" for p in (folder / DATA).iterdir() if not OURS.fullmatch(p.name)]
    if foreign:
        raise InputError(
            f"{folder} holds other files: {', '.join(sorted(foreign)[:3])}", mend="name a new or an empty folder"
        )


@contextmanager
def _writing(folder: Path) -> Generator[Path]:
    """Hold the folder, clear what a killed writer left, give a staging folder and clear it again."""
    with locked(folder):
        refuse_foreign(folder)
        staging = folder / STAGING
        shutil.rmtree(staging, ignore_errors=True)
        with writing_to(folder):
            staging.mkdir()
        try:
            yield staging
        finally:
            shutil.rmtree(staging, ignore_errors=True)
            if not any(folder.iterdir()):
                folder.rmdir()  # nothing came of it: leave nothing behind


def _stage_all(
    batches: Iterable[pa.Table],
    staging: Path,
    schema: Schema,
    shard_rows: int,
    *,
    before: Manifest | None,
    folder: Path,
) -> tuple[list[tuple[Shard, Path]], Hashes]:
    """Write all shards beside the set; stops at the first that an existing set does not have."""
    staged: list[tuple[Shard, Path]] = []
    hashes: list[Hashes] = []
    for table in sliced(conforming(batches, schema), shard_rows):
        hashes.append(content_hashes(normalise(table).table))
        staged.append(stage(table, staging))
        if before is not None and staged[-1][0] not in before.shards[len(staged) - 1 : len(staged)]:
            raise taken(folder, before)
    if not staged:
        raise InputError("no batch of rows was given", mend="give at least one table, be it without rows")
    return staged, np.concatenate(hashes)
