"""Several tables with keys: inferred, made anew."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from sterling.api.generate import describe
from sterling.api.settings import from_mapping, from_pairs
from sterling.kernel.dataset import Dataset, Lineage, Origin
from sterling.kernel.errors import InputError
from sterling.kernel.protocols import Generator, OnEvent, silent
from sterling.modalities.tabular.relational import Database, FittedDatabase, Relations, fit_database, sample_database
from sterling.modalities.tabular.relational.part import Maker
from sterling.sources.relations import Read

FORMATS = {".csv": "csv", ".tsv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl"}
RELATIONS = "relations.toml"


def relational_infer(source: str | Path | Mapping[str, Any], *, out: Path | None = None) -> Read:
    """Find the keys of several tables.

    Args:
        source: a folder of tables, a database's URL, or data frames by name.
        out: where relations.toml is written, to be read, mended and given to `relational_generate`.

    Returns:
        The tables and their keys, where the keys come from, and what speaks for each.

    Raises:
        InputError: for a source that cannot be read.
    """
    from sterling.sources.atomic import write_text
    from sterling.sources.relations import read_tables
    from sterling.sources.relations_file import relations_text

    read = read_tables(source)
    if out is not None:
        write_text(out, relations_text(read.database.relations, read.guesses))
    return read


def relational_generate(
    source: str | Path | Mapping[str, Any],
    *,
    relations: Path | Relations | None = None,
    generator: str = "cart",
    settings: Sequence[str] | Mapping[str, Any] = (),
    scale: float = 1.0,
    seed: int = 0,
    out: str | Path | None = None,
    on_event: OnEvent = silent,
) -> Database:
    """Make a database anew: every table given those above it, every key naming a row that is there.

    It learns from all rows of the source: a random split of rows would tear families apart. To keep real rows apart
    for a judgement, split the families first.

    Args:
        source: a folder of tables, a database's URL, or data frames by name.
        relations: what is declared of the tables; else the database's catalogue, or what is inferred.
        generator: registry name of what makes the rows; one that can hold columns fixed, where there are children.
        settings: of the generator.
        scale: rows of tables without a parent, in parts of the real ones, > 0; the others follow.
        seed: same seed, same tables.
        out: a new folder (one file a table, and relations.toml), or sqlite:///FILE; None keeps them in memory.
        on_event: hears progress.

    Returns:
        The made tables with their keys, and notes.

    Raises:
        UnknownName: for a table, column, generator or setting that is not there.
        InputError: for keys that do not hold, a scale <= 0, or an output that exists.
    """
    from sterling.sources.relations import read_tables

    if not 0 < scale < float("inf"):
        raise InputError(f"scale is {scale}", mend="give a number above 0: --scale 1 makes as many rows as there are")
    check_place(out)
    built = (from_mapping if isinstance(settings, Mapping) else from_pairs)("generators", generator, settings)  # type: ignore[arg-type]
    read = read_tables(source, relations=relations)
    rows = sum(data.rows for data in read.database.tables.values())
    on_event("step", {"text": f"{len(read.database.tables)} tables, {rows:,} rows, keys {read.told}"})
    fitted = fit_database(read.database, maker_of=_makers(built), seed=seed, on_event=on_event)
    made = _sampled(fitted, describe(generator, built), scale=scale, seed=seed, on_event=on_event)
    if out is not None:
        write_database(made, out)
    return made


def _makers(built: Generator) -> Any:
    def of(name: str | None) -> Maker:
        own = built if name is None else from_pairs("generators", name, ())
        settable = any(f.name == "first" for f in fields(own))  # type: ignore[arg-type]

        def make(first: tuple[str, ...]) -> Generator:
            return replace(own, first=first) if settable else own  # type: ignore[type-var]

        return make

    return of


def _sampled(fitted: FittedDatabase, made_by: str, *, scale: float, seed: int, on_event: OnEvent) -> Database:
    from sterling.modalities.tabular import from_table

    tables, notes = sample_database(fitted, scale=scale, seed=seed, on_event=on_event)
    plans = {t.plan.spec.name: t.plan for t in fitted.tables}
    sets: dict[str, Dataset] = {}
    for name, table in tables.items():
        keep = plans[name].spec.keep
        lineage = Lineage(None if keep else made_by, (fitted.parents[name],), 0 if keep else 1, "real")
        origin = Origin.REAL if keep else Origin.SYNTHETIC
        sets[name] = from_table(table, name=name, origin=origin, schema=plans[name].schema, lineage=lineage)
    return Database(fitted.name, sets, fitted.relations, (*fitted.notes, *notes))


def check_place(out: str | Path | None) -> None:
    """Refuse an output that could not be written, before any work is done.

    Raises:
        InputError: for a folder that is not empty, a file that is there, or another database than SQLite.
    """
    if out is None:
        return
    from sterling.sources.databases import SQLITE, path_of

    text = str(out)
    if text.startswith("sqlite://") or Path(text).suffix.lower() in SQLITE:
        if path_of(text).exists():
            raise InputError(f"{path_of(text)} exists", mend="name a new file")
        return
    if "://" in text:
        raise InputError(f"cannot write to {text.split('://')[0]}", mend="name a folder, or sqlite:///out.db")
    if Path(text).is_file() or (Path(text).is_dir() and any(Path(text).iterdir())):
        raise InputError(f"{text} is there and not empty", mend="name a new folder")


def write_database(database: Database, out: str | Path) -> None:
    """Write tables as a folder of files, or as a SQLite database with its keys declared.

    A file keeps the format of the file it comes from; what comes from a database is Parquet.

    Raises:
        InputError: if it cannot be written.
    """
    from sterling.sources.databases import SQLITE, path_of, write_sqlite

    text = str(out)
    if text.startswith("sqlite://") or Path(text).suffix.lower() in SQLITE:
        primary = {t.name: t.primary for t in database.relations.tables}
        tables = {name: _stored(data) for name, data in database.tables.items()}
        write_sqlite(tables, path_of(text), primary=primary, foreign=database.relations.foreign)
        return
    _write_folder(database, Path(text))


def _stored(data: Dataset) -> pa.Table:
    from sterling.modalities.tabular import to_storage

    return to_storage(data.table(), data.schema)


def _write_folder(database: Database, folder: Path) -> None:
    from sterling.modalities.tabular import MemorySource
    from sterling.ship.export import export
    from sterling.sources.atomic import folder_at, write_text
    from sterling.sources.relations_file import relations_text

    folder_at(folder)
    specs = [
        replace(spec, path=_file_name(spec.name, spec.path, i)) for i, spec in enumerate(database.relations.tables)
    ]
    for spec in specs:
        data = database.tables[spec.name]
        plain = replace(data, source=MemorySource(_stored(data)))
        # As they are: a key that begins with = or - must still be the key.
        form = FORMATS.get(Path(str(spec.path)).suffix.lower(), "parquet")
        export(plain, folder / str(spec.path), format=form, formulas="keep")  # type: ignore[arg-type]
    write_text(folder / RELATIONS, relations_text(replace(database.relations, tables=tuple(specs))))


def _file_name(table: str, path: str | None, place: int) -> str:
    """A file's name in the new folder; a table whose name no file can bear is numbered."""
    suffix = Path(path or "").suffix.lower()
    wanted = ".csv" if suffix == ".tsv" else suffix if suffix in FORMATS else ".parquet"
    safe = table and not set(table) & set('/\\:*?"<>|\0') and not table.startswith(".") and len(table.encode()) < 200
    return f"{table if safe else f'table_{place}'}{wanted}"
