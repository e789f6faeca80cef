"""Several tables at once: a folder of files, or a database by its URL."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from sterling.kernel.dataset import Dataset, Origin
from sterling.kernel.errors import InputError, UnknownName, UnreadableInput
from sterling.modalities.tabular import normalise, to_storage
from sterling.modalities.tabular.relational import Database, Guess, Relations, guess_keys
from sterling.modalities.tabular.relational.keys import TableSpec, checked
from sterling.sources.databases import Found, is_database, read_database
from sterling.sources.files import READERS
from sterling.sources.frames import from_frame
from sterling.sources.ingest import ingest
from sterling.sources.relations_file import read_relations

__all__ = ["Read", "read_tables"]


@dataclass(frozen=True, slots=True, eq=False)
class Read:
    """What a source holds.

    Args:
        database: its tables and keys.
        told: where the keys come from: "declared" in a file, "catalogue" of the database, or "guessed".
        guesses: what speaks for each guessed key.
    """

    database: Database
    told: str
    guesses: tuple[Guess, ...] = ()


def read_tables(
    source: str | Path | Mapping[str, Any], *, relations: Path | Relations | None = None, origin: Origin = Origin.REAL
) -> Read:
    """Read tables and the keys between them.

    Args:
        source: a folder with one .csv, .parquet, .jsonl ... file a table; one such file;
            sqlite:///FILE, duckdb:///FILE, postgresql://USER@HOST/NAME; or data frames by the names of their tables.
        relations: what is declared of them (relations.toml); without it keys come from the database's catalogue,
            and are inferred where there is none.
        origin: what their rows are.

    Raises:
        UnreadableInput: for no such source, or a table that cannot be read.
        UnknownName: for a table or column that is declared and not there.
        InputError: for keys that contradict each other.
        MissingExtra: for a database whose driver is not installed.
    """
    declared = read_relations(relations) if isinstance(relations, Path) else relations
    found = _found(source, declared)
    if not found.tables:
        raise UnreadableInput(
            f"{found.name} holds no tables", mend="name a folder with .csv or .parquet files, or a database"
        )
    columns = {name: t.column_names for name, t in found.tables.items()}
    if declared is not None:
        return Read(_database(found, checked(declared, columns), origin), "declared")
    if found.foreign:
        specs = tuple(TableSpec(name, found.primary.get(name, ())) for name in found.tables)
        return Read(_database(found, checked(Relations(specs, found.foreign), columns), origin), "catalogue")
    known, guesses = guess_keys({name: normalise(table).table for name, table in found.tables.items()})
    specs = tuple(
        replace(t, primary=found.primary.get(t.name, t.primary), path=found.paths.get(t.name)) for t in known.tables
    )
    return Read(_database(found, replace(known, tables=specs), origin), "guessed", guesses)


def _found(source: str | Path | Mapping[str, Any], declared: Relations | None) -> Found:
    if isinstance(source, Mapping):
        frames = {name: from_frame(frame, name=name) for name, frame in source.items()}
        notes = tuple(f"{name}: {note}" for name, data in frames.items() for note in data.notes)
        tables = {name: to_storage(data.table(), data.schema) for name, data in frames.items()}
        return Found("frames", tables, notes=notes)
    text = str(source)
    return read_database(text) if is_database(text) else _read_files(Path(text), declared)


def _database(found: Found, relations: Relations, origin: Origin) -> Database:
    tables: dict[str, Dataset] = {}
    notes = list(found.notes)
    for spec in relations.tables:
        data = ingest(found.tables[spec.name], name=spec.name, origin=origin, overrides=spec.columns)
        tables[spec.name] = data
        notes += [f"{spec.name}: {note}" for note in data.notes]
    left = [name for name in found.tables if name not in relations.names]
    notes += [f"{len(left)} tables are not declared and were left out: {', '.join(left)}"] if left else []
    return Database(found.name, tables, relations, tuple(notes))


def _read_files(path: Path, declared: Relations | None) -> Found:
    """Files as tables: those that are declared, else all in the folder."""
    if path.is_file():
        return _one_file(path)
    if not path.is_dir():
        raise UnreadableInput(
            f"there is no folder {path}",
            mend="name a folder of tables, a file, or a database such as sqlite:///file.db",
        )
    files = _files(path, declared)
    tables: dict[str, pa.Table] = {}
    notes: list[str] = []
    for name, file in files.items():
        tables[name], told = _read(file)
        notes += [f"{name}: {note}" for note in told]
    return Found(path.name or str(path), tables, notes=tuple(notes), paths={n: f.name for n, f in files.items()})


def _files(folder: Path, declared: Relations | None) -> dict[str, Path]:
    inside = {file.name: file for file in sorted(folder.iterdir()) if _suffix(file)}
    if declared is not None:
        named = {spec.name: spec.path for spec in declared.tables}
        by_stem = {_stem(f): f for f in inside.values()}
        files: dict[str, Path] = {}
        for name, file in named.items():
            if file is not None and file in inside:
                files[name] = inside[file]
            elif name in by_stem:
                files[name] = by_stem[name]
            else:
                raise UnknownName.among(file or name, inside, what=f"file for table {name} in {folder}:")
        return files
    files = {}
    for file in inside.values():
        stem = _stem(file)
        if stem in files:
            raise InputError(
                f"{folder} holds two files of one name: {files[stem].name} and {file.name}",
                mend="move one of them away, or name a path for each table in relations.toml",
            )
        files[stem] = file
    return files


def _one_file(path: Path) -> Found:
    if not _suffix(path):
        raise UnreadableInput(f"{path} is no table that is read", mend=f"name one of {', '.join(READERS)}, or a folder")
    table, notes = _read(path)
    return Found(_stem(path), {_stem(path): table}, notes=tuple(notes), paths={_stem(path): path.name})


def _read(path: Path) -> tuple[pa.Table, list[str]]:
    """One file as it is; an empty one is a table without columns, which nothing refers to."""
    return READERS[_suffix(path)](path, None)


def _suffix(path: Path) -> str:
    lowered = path.name.lower()
    return max((s for s in READERS if lowered.endswith(s)), key=len, default="")


def _stem(path: Path) -> str:
    return path.name[: len(path.name) - len(_suffix(path))] or path.name
