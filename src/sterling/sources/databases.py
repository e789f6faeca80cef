"""Databases: SQLite by the standard library, DuckDB and PostgreSQL by extras; tables, and keys by the catalogue."""

from __future__ import annotations

import datetime
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pyarrow as pa

from sterling.kernel.errors import InputError, UnknownName, UnreadableInput
from sterling.kernel.extras import need
from sterling.modalities.tabular.relational.keys import ForeignKey

SQLITE, DUCKDB = (".db", ".sqlite", ".sqlite3"), (".duckdb", ".ddb")
SCHEMES = ("sqlite", "duckdb", "postgresql", "postgres")
# What PostgreSQL has and Arrow does not is read as text; exact decimals as numbers.
PG_NUMBERS, PG_PLAIN = ("numeric", "money"), (
    "smallint", "integer", "bigint", "real", "double precision", "boolean", "text", "character varying", "character",
    "date", "timestamp without time zone", "timestamp with time zone", "time without time zone", "bytea", "oid", "name",
)  # fmt: skip
SQLITE_TABLES = """
SELECT name FROM sqlite_master WHERE type = 'table' AND substr(name, 1, 7) <> 'sqlite_' ORDER BY rowid
"""
DUCKDB_TABLES = "SELECT table_name FROM duckdb_tables() WHERE schema_name = 'main' ORDER BY table_oid"
PG_KEYS = """
SELECT c.oid::int8 AS n, c.contype::text AS kind, t.relname::text AS child, f.relname::text AS parent,
       a.attname::text AS own, b.attname::text AS theirs
FROM pg_constraint c JOIN pg_class t ON t.oid = c.conrelid JOIN pg_namespace s ON s.oid = t.relnamespace
CROSS JOIN LATERAL unnest(c.conkey, c.confkey) WITH ORDINALITY AS k(mine, other, place)
JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.mine
LEFT JOIN pg_class f ON f.oid = c.confrelid
LEFT JOIN pg_attribute b ON b.attrelid = c.confrelid AND b.attnum = k.other
WHERE s.nspname = current_schema() AND c.contype IN ('p', 'f') ORDER BY c.oid, k.place
"""
PG_COLUMNS = """
SELECT c.table_name::text, c.column_name::text, c.data_type::text FROM information_schema.columns c
JOIN information_schema.tables t USING (table_schema, table_name)
WHERE c.table_schema = current_schema() AND t.table_type = 'BASE TABLE' ORDER BY c.table_name, c.ordinal_position
"""


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """Tables as they were read.

    Args:
        name: of the source, without what only its owner may know.
        tables: by name.
        primary: primary keys that the source itself declares.
        foreign: foreign keys that it declares.
        notes: what reading had to repair.
        paths: of the files.
    """

    name: str
    tables: Mapping[str, pa.Table]
    primary: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    foreign: tuple[ForeignKey, ...] = ()
    notes: tuple[str, ...] = ()
    paths: Mapping[str, str] = field(default_factory=dict[str, str])


def is_database(source: str) -> bool:
    """Whether a source is named as a database: by a URL, or as the file of one."""
    return "://" in source or Path(source).suffix.lower() in (*SQLITE, *DUCKDB)


def read_database(source: str) -> Found:
    """All tables of a database.

    Raises:
        UnreadableInput: if it is not there, or cannot be read.
        UnknownName: for a kind of database that is not read.
        MissingExtra: if its driver is not installed.
    """
    scheme = urlsplit(source).scheme if "://" in source else ""
    suffix = Path(source).suffix.lower()
    if scheme == "sqlite" or (not scheme and suffix in SQLITE):
        return _read_sqlite(path_of(source))
    if scheme == "duckdb" or (not scheme and suffix in DUCKDB):
        return _read_duckdb(path_of(source))
    if scheme in ("postgresql", "postgres"):
        return _read_postgres(source)
    raise UnknownName.among(scheme, SCHEMES, what="kind of database")


def path_of(source: str) -> Path:
    """The file of a database's URL: sqlite:///file.db is beside you, sqlite:////tmp/file.db is not."""
    _, there, rest = source.partition("://")
    return Path(source if not there else rest.removeprefix("/"))


def quoted(name: str) -> str:
    """A name as SQL has it, whatever is in it.

    >>> quoted('order')
    '"order"'
    """
    return '"' + name.replace('"', '""') + '"'


def write_sqlite(
    tables: Mapping[str, pa.Table], path: Path, *, primary: Mapping[str, tuple[str, ...]], foreign: Sequence[ForeignKey]
) -> None:
    """Write tables into a new SQLite file, with their keys declared, and let SQLite check these.

    Raises:
        InputError: if the file exists, cannot be written, or a key does not hold.
    """
    if path.exists():
        raise InputError(f"{path} exists", mend="name a new file")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with sqlite3.connect(path) as connection:
            for name, table in tables.items():
                keys = [key for key in foreign if key.child == name]
                connection.execute(_create(name, table, primary.get(name, ()), keys))
                marks = ", ".join("?" * table.num_columns)
                columns = [_sql_cells(column) for column in table.columns]
                connection.executemany(f"INSERT INTO {quoted(name)} VALUES ({marks})", zip(*columns, strict=True))
            broken = connection.execute("PRAGMA foreign_key_check").fetchall()
        connection.close()
    except (OSError, sqlite3.Error) as err:
        raise InputError(f"{path} cannot be written: {err}", mend="name another place") from err
    if broken:
        raise InputError(f"{path}: {len(broken):,} rows break a foreign key", mend="report it: this must not happen")


def _create(name: str, table: pa.Table, primary: Sequence[str], keys: Sequence[ForeignKey]) -> str:
    parts = [f"{quoted(f.name)} {_declared(f.type)}" for f in table.schema]
    parts += [f"PRIMARY KEY ({', '.join(map(quoted, primary))})"] if primary else []
    parts += [
        f"FOREIGN KEY ({', '.join(map(quoted, k.columns))}) REFERENCES {quoted(k.parent)} "
        f"({', '.join(map(quoted, k.parent_columns))})"
        for k in keys
    ]
    return f"CREATE TABLE {quoted(name)} ({', '.join(parts)})"


def _declared(kind: pa.DataType) -> str:
    """What SQLite is told of a type, and reads back."""
    if pa.types.is_boolean(kind):
        return "BOOLEAN"
    if pa.types.is_integer(kind):
        return "INTEGER"
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return "REAL"
    if pa.types.is_date(kind):
        return "DATE"
    if pa.types.is_timestamp(kind):
        return "TIMESTAMP"
    return "BLOB" if pa.types.is_binary(kind) else "TEXT"


def _sql_cells(column: pa.ChunkedArray) -> list[Any]:
    kind = column.type
    cells = (column.cast(pa.float64(), safe=False) if pa.types.is_decimal(kind) else column).to_pylist()
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        return [
            None if c is None else c.isoformat(sep=" ") if isinstance(c, datetime.datetime) else c.isoformat()
            for c in cells
        ]
    plain = (bool, int, float, str, bytes, type(None))
    return [c if isinstance(c, plain) else str(c) for c in cells]


def _read_sqlite(path: Path) -> Found:
    if not path.is_file():
        raise UnreadableInput(f"there is no database {path}", mend="check the path: sqlite:///FILE is beside you")
    try:
        connection = sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)
        try:
            names = [row[0] for row in connection.execute(SQLITE_TABLES)]
            read = {name: _sqlite_table(connection, name) for name in names}
            primary = {name: _sqlite_primary(connection, name) for name in names}
            foreign = [key for name in names for key in _sqlite_foreign(connection, name, primary)]
        finally:
            connection.close()
    except sqlite3.Error as err:
        raise UnreadableInput(f"{path} cannot be read as SQLite: {err}", mend="check that it is a whole file") from err
    notes = tuple(f"{name}: {note}" for name, (_, told) in read.items() for note in told)
    return Found(path.stem, {name: table for name, (table, _) in read.items()}, primary, tuple(foreign), notes)


def _sqlite_table(connection: sqlite3.Connection, name: str) -> tuple[pa.Table, list[str]]:
    columns = connection.execute(f"PRAGMA table_info({quoted(name)})").fetchall()
    rows = connection.execute(f"SELECT * FROM {quoted(name)}").fetchall()
    cells = list(zip(*rows, strict=True)) if rows else [()] * len(columns)
    notes: list[str] = []
    arrays: dict[str, pa.Array] = {}
    for (_, column, declared, *_), values in zip(columns, cells, strict=True):
        arrays[column], note = _typed(values, declared.upper())
        notes += [f"{column}: {note}"] if note else []
    return pa.table(arrays), notes


def _typed(values: Sequence[Any], declared: str) -> tuple[pa.Array, str]:
    """A column by its declared type; SQLite lets any cell be of any type, and then all are text."""
    try:
        if "BOOL" in declared and set(values) <= {0, 1, None}:
            return pa.array([None if v is None else bool(v) for v in values], pa.bool_()), ""
        if declared == "DATE":
            return pa.array([None if v is None else datetime.date.fromisoformat(v) for v in values], pa.date32()), ""
        if "DATE" in declared or "TIME" in declared:
            moments = [None if v is None else datetime.datetime.fromisoformat(v) for v in values]
            zone = "UTC" if any(m is not None and m.tzinfo for m in moments) else None
            return pa.array(moments, pa.timestamp("us", tz=zone)), ""
        return pa.array(values, _affinity(declared)), ""
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        words = [None if v is None else v if isinstance(v, str) else str(v) for v in values]
        odd = (
            ""
            if all(isinstance(v, str | None) for v in values)
            else f"cells of several types, not {declared}: read as text"
        )
        return pa.array(words, pa.string()), odd


def _affinity(declared: str) -> pa.DataType | None:
    """SQLite's rules of column affinity (datatype3.html, 3.1); None lets the cells say."""
    if "INT" in declared:
        return pa.int64()
    if any(word in declared for word in ("CHAR", "CLOB", "TEXT")):
        return pa.string()
    if any(word in declared for word in ("REAL", "FLOA", "DOUB", "NUM", "DEC")):
        return pa.float64()
    return pa.binary() if "BLOB" in declared else None


def _sqlite_primary(connection: sqlite3.Connection, name: str) -> tuple[str, ...]:
    columns = connection.execute(f"PRAGMA table_info({quoted(name)})").fetchall()
    return tuple(c[1] for c in sorted(columns, key=lambda c: c[5]) if c[5])


def _sqlite_foreign(
    connection: sqlite3.Connection, name: str, primary: Mapping[str, tuple[str, ...]]
) -> list[ForeignKey]:
    parts: dict[int, list[tuple[Any, ...]]] = {}
    for row in connection.execute(f"PRAGMA foreign_key_list({quoted(name)})"):
        parts.setdefault(row[0], []).append(row)
    keys: list[ForeignKey] = []
    for _, rows in sorted(parts.items()):
        parent = next((p for p in primary if p.lower() == rows[0][2].lower()), rows[0][2])
        ordered = sorted(rows, key=lambda row: row[1])
        named = tuple(row[4] for row in ordered)
        theirs = primary.get(parent, ()) if None in named else named
        keys.append(ForeignKey(name, tuple(row[3] for row in ordered), parent, theirs))
    return keys


def _read_duckdb(path: Path) -> Found:
    duckdb = need("duckdb", extra="duckdb")
    if not path.is_file():
        raise UnreadableInput(f"there is no database {path}", mend="check the path: duckdb:///FILE is beside you")
    try:
        with duckdb.connect(str(path), read_only=True) as connection:
            names = [row[0] for row in connection.execute(DUCKDB_TABLES).fetchall()]
            tables = {n: connection.sql(f"SELECT * FROM {quoted(n)}").to_arrow_table() for n in names}
            rows = connection.execute(
                "SELECT table_name, constraint_type, constraint_column_names, referenced_table, "
                "referenced_column_names FROM duckdb_constraints() WHERE schema_name = 'main'"
            ).fetchall()
    except duckdb.Error as err:
        said = str(err).splitlines()[0]
        raise UnreadableInput(f"{path} cannot be read as DuckDB: {said}", mend="check that it is a whole file") from err
    primary = {name: tuple(own) for name, kind, own, _, _ in rows if kind == "PRIMARY KEY"}
    foreign = [ForeignKey(n, tuple(own), p, tuple(theirs)) for n, kind, own, p, theirs in rows if kind == "FOREIGN KEY"]
    return Found(path.stem, tables, primary, tuple(foreign))


def _read_postgres(url: str) -> Found:
    adbc = need("adbc_driver_postgresql.dbapi", extra="pg")
    place = urlsplit(url)
    where = f"{place.hostname or 'localhost'}{place.path}"
    try:
        with adbc.connect(url) as connection, connection.cursor() as cursor:

            def ask(query: str) -> pa.Table:
                cursor.execute(query)
                return cursor.fetch_arrow_table()

            columns: dict[str, list[tuple[str, str]]] = {}
            for table, column, kind in zip(*ask(PG_COLUMNS).to_pydict().values(), strict=True):
                columns.setdefault(table, []).append((column, kind))
            tables = {name: _pg_table(ask, name, some) for name, some in columns.items()}
            primary, foreign = _pg_keys(ask(PG_KEYS))
    except adbc.Error as err:
        said = str(err).splitlines()[0]
        raise UnreadableInput(
            f"{where} cannot be read as PostgreSQL: {said}", mend="check host, database, user and password in the URL"
        ) from err
    return Found(place.path.strip("/") or where, tables, primary, foreign)


def _pg_table(ask: Callable[[str], pa.Table], name: str, columns: Sequence[tuple[str, str]]) -> pa.Table:
    casts = dict.fromkeys(PG_NUMBERS, "::float8")
    chosen = [
        quoted(c) + casts.get(kind, "" if kind in PG_PLAIN else "::text") + f" AS {quoted(c)}" for c, kind in columns
    ]
    return ask(f"SELECT {', '.join(chosen)} FROM {quoted(name)}")


def _pg_keys(rows: pa.Table) -> tuple[dict[str, tuple[str, ...]], tuple[ForeignKey, ...]]:
    parts: dict[int, list[list[Any]]] = {}
    for number, *row in zip(*rows.to_pydict().values(), strict=True):
        parts.setdefault(number, []).append(row)
    primary = {some[0][1]: tuple(r[3] for r in some) for some in parts.values() if some[0][0] == "p"}
    foreign = tuple(
        ForeignKey(some[0][1], tuple(r[3] for r in some), some[0][2], tuple(r[4] for r in some))
        for some in parts.values()
        if some[0][0] == "f"
    )
    return primary, foreign
