"""Reading: every format gives the same set, and every mistake a paragraph with a mend."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.feather as pf
import pyarrow.parquet as pq
import pytest

from sterling.kernel.dataset import Dataset, Origin
from sterling.kernel.errors import InputError, UnknownName, UnreadableInput
from sterling.kernel.estimate import Estimate, Unmeasured
from sterling.kernel.schema import Kind, Role
from sterling.modalities.tabular import Override, Tabular, from_table
from sterling.sources import columnar, delimited, files, journal, plain_bytes
from sterling.sources.files import read
from sterling.sources.frames import from_frame
from sterling.sources.overrides import read_overrides

TABLE = pa.table(
    {
        "age": [31, 45, None, 28],
        "größe": [1.81, None, 1.6, 1.75],
        "city": ["Köln", "東京", None, "Köln"],
        "when": pa.array([0, 86400, None, 172800], pa.timestamp("s")),
    }
)


def write(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def csv(tmp_path: Path, text: str | bytes, name: str = "real.csv", **options: Any) -> Dataset:
    return read(write(tmp_path / name, text), **options)


def refused(path: Path, *words: str, **options: Any) -> None:
    with pytest.raises(UnreadableInput) as caught:
        read(path, **options)
    for word in (path.name, *words):
        assert word in str(caught.value), str(caught.value)
    assert caught.value.mend


# Formats
def test_every_format_and_frame_gives_the_same_set(tmp_path: Path) -> None:
    paths = [tmp_path / n for n in ("t.parquet", "t.csv", "t.tsv", "t.jsonl", "t.feather", "t.arrows")]
    pq.write_table(TABLE, paths[0])
    pc.write_csv(TABLE, paths[1])
    pc.write_csv(TABLE, paths[2], pc.WriteOptions(delimiter="\t"))
    lines = [{k: v.isoformat(" ") if k == "when" and v else v for k, v in row.items()} for row in TABLE.to_pylist()]
    write(paths[3], "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))
    pf.write_feather(TABLE, str(paths[4]))
    with pa.ipc.new_stream(paths[5], TABLE.schema) as stream:
        stream.write_table(TABLE)
    packed = [tmp_path / "t.csv.gz", tmp_path / "t.jsonl.gz"]
    for path, plain in zip(packed, (paths[1], paths[3]), strict=True):
        write(path, gzip.compress(plain.read_bytes()))
    sets = [read(p) for p in (*paths, *packed)]
    frame = TABLE.to_pandas()
    reader = pa.RecordBatchReader.from_batches(TABLE.schema, TABLE.to_batches())
    sets += [from_frame(f) for f in (TABLE, frame, pl.from_arrow(TABLE), pl.from_arrow(TABLE).lazy(), reader)]
    assert {s.fingerprint for s in sets} == {from_table(TABLE).fingerprint}
    assert {s.schema.names for s in sets} == {("age", "größe", "city", "when")}
    assert all([f.kind for f in s.schema] == [Kind.NUMBER, Kind.NUMBER, Kind.CATEGORY, Kind.DATETIME] for s in sets)
    assert {s.name for s in sets} == {"t", "table"}


def test_sterling_folder(tmp_path: Path) -> None:
    from sterling.sources.store import write_set

    made = from_table(TABLE, origin=Origin.SYNTHETIC)
    write_set([TABLE], tmp_path / "set", schema=made.schema, origin=made.origin, lineage=made.lineage, name="made")
    back = read(tmp_path / "set", overrides={"age": Override(role=Role.TARGET)})
    assert (back.fingerprint, back.origin, back.name) == (made.fingerprint, Origin.SYNTHETIC, "made")
    assert back.schema["age"].role is Role.TARGET
    assert read(tmp_path / "set", name="other").name == "other"
    assert Tabular().views([back, made])[1].n == 4


# Paths
def test_wrong_paths(tmp_path: Path) -> None:
    pc.write_csv(TABLE, tmp_path / "customers.csv")
    refused(tmp_path / "custmers.csv", "did you mean", "customers.csv")
    refused(tmp_path / "nowhere" / "x.csv", "no folder")
    refused(tmp_path, "manifest.json", "customers.csv")
    refused(write(tmp_path / "book.xlsx", "PK"), ".xlsx", ".parquet")
    refused(write(tmp_path / "noend", "a,b\n"), "(none)")
    os.mkfifo(tmp_path / "pipe.csv")
    refused(tmp_path / "pipe.csv", "neither a file nor a folder")


def test_a_file_that_grows_while_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "log.csv", "x\n1\n")
    slow = plain_bytes.text_bytes

    def growing(where: Path) -> bytes:
        data = slow(where)
        with where.open("a") as file:
            file.write("2\n")
        return data

    monkeypatch.setattr(delimited, "text_bytes", growing)
    refused(path, "changed while it was read", "copy")


# CSV
def test_missing_values_and_types_of_csv(tmp_path: Path) -> None:
    made = csv(tmp_path, '\ufeffn,f,s,b,d,e\n1,NaN,"",true,2020-01-01,\n,2.5,NA,FALSE,,\n3,null,?,,2020-01-03,\n')
    table = made.table()
    assert table["n"].to_pylist() == [1, None, 3]
    assert table["f"].to_pylist() == [None, 2.5, None]
    assert table["s"].to_pylist() == [None, None, "?"]
    assert [f.storage for f in made.schema] == ["int64", "double", "string", "bool", "date32[day]", "null"]
    declared = read(tmp_path / "real.csv", overrides={"s": Override(missing=("?",))})
    assert declared.table()["s"].null_count == 3


def test_text_among_numbers_is_kept_counted_and_named(tmp_path: Path) -> None:
    made = csv(tmp_path, "x\n" + "1.5\n" * 300 + "many\n")
    assert made.schema["x"].kind is Kind.NUMBER
    assert made.table()["x"][300].as_py() == "many"
    assert made.notes == ("x: 1 cells are no numbers ('many'), counted as missing",)
    assert Tabular().views([made])[0].column("x").missing.sum() == 1


def test_codes_keep_their_digits(tmp_path: Path) -> None:
    made = csv(tmp_path, "zip,n,account\n01234,1,12345678901234567890\n50667,2,12345678901234567891\n")
    assert made.table().to_pydict() == {
        "zip": ["01234", "50667"],
        "n": [1, 2],
        "account": ["12345678901234567890", "12345678901234567891"],
    }
    assert made.schema["zip"].kind is Kind.CATEGORY


def test_delimiters_and_line_ends(tmp_path: Path) -> None:
    made = csv(tmp_path, "a;b\r\n1;x\r\n2;y\r\n")
    assert made.table().to_pydict() == {"a": [1, 2], "b": ["x", "y"]}
    assert "semicolons" in made.notes[0]
    assert csv(tmp_path, "a b\n1\n2\n").schema.names == ("a b",)
    assert csv(tmp_path, 'a,b\n1,"x\ny"\n2,5"\n').table()["b"].to_pylist() == ["x\ny", '5"']


def test_twice_the_same_header(tmp_path: Path) -> None:
    made = csv(tmp_path, "x,x,\n1,2,3\n4,5,6\n")
    assert made.schema.names == ("x", "x.1", "unnamed: 2")
    assert made.table()["x.1"].to_pylist() == [2, 5]
    assert len(made.notes) == 2


RAGGED = "x,y\n1,2\n3\n4,5\n6,7,8\n"


def test_ragged_rows_are_refused_or_saved_as_they_were(tmp_path: Path) -> None:
    path = write(tmp_path / "ragged.csv", RAGGED)
    refused(path, "row 3 has 1 cells, not 2", "row 5 has 3 cells, not 2", "--quarantine")
    made = read(path, quarantine=tmp_path / "bad.csv")
    assert made.table().to_pydict() == {"x": [1, 4], "y": [2, 5]}
    assert (tmp_path / "bad.csv").read_text() == "3\n6,7,8\n"
    assert "2 rows" in made.notes[0]


def test_a_quarantine_that_cannot_be_written(tmp_path: Path) -> None:
    path = write(tmp_path / "ragged.csv", RAGGED)
    for where in (path, tmp_path / "nowhere" / "bad.csv"):
        with pytest.raises(InputError, match="quarantine"):
            read(path, quarantine=where)
    assert path.read_text() == RAGGED


def test_no_quarantine_file_without_bad_rows(tmp_path: Path) -> None:
    assert csv(tmp_path, "x,y\n1,2\n", quarantine=tmp_path / "bad.csv").notes == ()
    assert not (tmp_path / "bad.csv").exists()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ("empty",)),
        ("\n\n", ("empty",)),
        ("x,y\n1,ü\n".encode("latin-1"), ("0xfc", "line 2", "iconv")),
        ("größe\n1\n".encode("latin-1"), ("line 1", "iconv")),
        ("x,y\n1,2\n".encode("utf-16"), ("UTF-16", "iconv")),
        ('x,y\n1,"open\n2,3\n4,5\n', ("opens a quote", "'y'", "line 2", "never closes")),
    ],
)
def test_csv_that_cannot_be_read(tmp_path: Path, text: str | bytes, words: tuple[str, ...]) -> None:
    refused(write(tmp_path / "bad.csv", text), *words)


def test_header_only_is_a_set_without_rows(tmp_path: Path) -> None:
    made = csv(tmp_path, "x,y\n")
    assert (made.rows, made.schema.names) == (0, ("x", "y"))


def test_rows_longer_than_a_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delimited, "BLOCK", 64)
    long = "z" * 300
    assert csv(tmp_path, f"x,y\n1,{long}\n2,b\n").table()["y"].to_pylist() == [long, "b"]
    made = csv(tmp_path, f"x,y\n1,{long}\n2\n", quarantine=tmp_path / "bad.csv")
    assert made.rows == 1
    assert (tmp_path / "bad.csv").read_text() == "2\n"


def test_broken_and_bursting_gzip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = gzip.compress(b"x,y\n" + b"1,2\n" * 9000)
    refused(write(tmp_path / "cut.csv.gz", whole[:-20]), "gzip")
    refused(write(tmp_path / "not.csv.gz", b"x,y\n1,2\n"), "gzip")
    monkeypatch.setattr(plain_bytes, "MOST_BYTES", 1000)
    refused(write(tmp_path / "bomb.csv.gz", whole), "too large")
    refused(write(tmp_path / "big.csv", b"x\n" * 600), "too large", "sample")


def test_many_columns_one_row(tmp_path: Path) -> None:
    names = ",".join(f"c{i}" for i in range(10_000))
    made = csv(tmp_path, f"{names}\n{','.join(['1.5'] * 10_000)}\n")
    assert (made.rows, len(made.schema)) == (1, 10_000)
    assert len(Tabular().views([made, made])[0].columns or ()) == 10_000


# JSON Lines
def test_mixed_json_lines_become_text(tmp_path: Path) -> None:
    made = read(write(tmp_path / "t.jsonl", '{"a":1,"b":[1,2]}\n\n{"a":"x","c":true}\n{"a":null}\n'))
    assert made.table().to_pydict() == {"a": ["1", "x", None], "b": ["[1, 2]", None, None], "c": [None, True, None]}
    assert any(n.startswith("a: cells of several types") for n in made.notes)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"a":1}\nnot json\n', ("line 2",)),
        ('[{"a":1},{"a":2}]\n', ("no JSON object", "jq")),
        ('{"a":1}\n{"a":', ("line 2",)),
        ('{"a":1,"a":2}\n', ("'a' stands in it twice",)),
        ("", ("empty",)),
    ],
)
def test_json_lines_that_cannot_be_read(tmp_path: Path, text: str, words: tuple[str, ...]) -> None:
    refused(write(tmp_path / "bad.jsonl", text), *words)


# Parquet
def test_corrupt_parquet(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    table = pa.table({"x": np.random.default_rng(0).normal(size=5000)})
    pq.write_table(table, path, write_page_checksum=True, use_dictionary=False)
    data = bytearray(path.read_bytes())
    refused(write(tmp_path / "cut.parquet", bytes(data[: len(data) // 2])), "Parquet")
    refused(write(tmp_path / "empty.parquet", b""), "Parquet")
    data[20_000] ^= 0xFF  # one flipped byte in a page: still a number, and wrong
    refused(write(tmp_path / "flipped.parquet", bytes(data)), "Parquet")


def test_parquet_bomb_is_refused_before_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "bomb.parquet"
    pq.write_table(pa.table({"x": np.zeros(100_000)}), path)
    assert path.stat().st_size < 10_000
    monkeypatch.setattr(columnar, "MOST_BYTES", 500_000)
    refused(path, "in memory", "sample")


def test_parquet_with_nested_and_odd_columns(tmp_path: Path) -> None:
    table = pa.table(
        {
            "list": [[1, 2], None],
            "struct": [{"a": 1}, {"a": None}],
            "map": pa.array([[("k", 1)], None], pa.map_(pa.string(), pa.int64())),
            "bytes": [b"ok", b"\xff"],
            "tagged": pa.array(["x", "y"]).dictionary_encode(),
            "nan": [float("nan"), 1.0],
        }
    )
    pq.write_table(table, tmp_path / "t.parquet")
    made = read(tmp_path / "t.parquet")
    rows = made.table().to_pydict()
    assert rows["list"] == ["[1, 2]", None]
    assert rows["struct"] == ['{"a": 1}', '{"a": null}']
    assert rows["bytes"] == ["ok", "ff"]
    assert rows["nan"] == [None, 1.0]
    assert len([n for n in made.notes if "JSON" in n]) == 3
    assert Tabular().views([made])[0].n == 2


def test_broken_arrow(tmp_path: Path) -> None:
    refused(write(tmp_path / "t.arrow", b"ARROW1 nothing"), "Arrow")
    refused(write(tmp_path / "u.feather", b""), "Arrow")


# Frames
def test_pandas_in_the_wild() -> None:
    frame = pd.DataFrame([[1, "a", 2.5, None], ["x", "b", np.nan, None]], columns=["m", 7, "m", "none"], index=[5, 9])
    made = from_frame(frame, name="frame")
    assert made.schema.names == ("m", "7", "m.1", "none")
    assert made.table()["m"].to_pylist() == ["1", "x"]
    assert made.table()["m.1"].to_pylist() == [2.5, None]
    assert any("several types" in n for n in made.notes)
    categories = from_frame(pd.DataFrame({"c": pd.Categorical(["u", "v", None])}))
    assert categories.schema["c"].levels == ("u", "v")


def test_row_labels_written_by_pandas_are_left_out(tmp_path: Path) -> None:
    pd.DataFrame({"x": [1.5, 2.5]}, index=[7, 9]).to_parquet(tmp_path / "t.parquet")
    made = read(tmp_path / "t.parquet")
    assert made.schema.names == ("x",)
    assert "row labels" in made.notes[0]


@pytest.mark.parametrize("thing", [3, "text", [1, 2], None])
def test_what_is_no_frame_is_refused(thing: Any) -> None:
    with pytest.raises(UnreadableInput, match="no data frame"):
        from_frame(thing)


def test_a_frame_without_columns_is_refused() -> None:
    with pytest.raises(UnreadableInput, match="no columns"):
        from_frame(pd.DataFrame())


# Overrides
def overrides(tmp_path: Path, text: str) -> dict[str, Override]:
    return read_overrides(write(tmp_path / "schema.toml", text))


def test_overrides_are_read_and_serve_candidates_that_lack_a_column(tmp_path: Path) -> None:
    told = overrides(
        tmp_path,
        '[columns.age]\nkind="category"\nrole="target"\nlevels=[28,31,45]\n'
        '[columns.when]\nlow=1970-01-01\nnullable=false\nunit="day"\nmissing=["?"]\n',
    )
    assert told["age"] == Override(kind=Kind.CATEGORY, role=Role.TARGET, levels=("28", "31", "45"))
    assert told["when"] == Override(low=0.0, nullable=False, unit="day", missing=("?",))
    assert from_frame(TABLE, overrides=told).schema["age"].role is Role.TARGET
    with pytest.raises(UnknownName, match="'age'"):
        from_frame(TABLE.drop(["age"]), overrides=told)
    assert "age" not in from_frame(TABLE.drop(["age"]), origin=Origin.SYNTHETIC, overrides=told).schema


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        ('[columns.a]\nkind="categry"', UnknownName, "did you mean 'category'"),
        ('[columns.a]\nkind="image"', UnknownName, "kind"),
        ('[columns.a]\nrole="taget"', UnknownName, "did you mean 'target'"),
        ('[columns.a]\nkinds="number"', UnknownName, "did you mean 'kind'"),
        ('[column.a]\nkind="number"', UnknownName, "did you mean 'columns'"),
        ('[columns.a]\nlow="x"', InputError, "no number"),
        ("[columns.a]\nlow=2\nhigh=1", InputError, "above"),
        ('[columns.a]\nnullable="yes"', InputError, "true or false"),
        ('[columns.a]\nlevels="x"', InputError, "list"),
        ("columns=3", InputError, "no table"),
        ("[columns]\na=3", InputError, "no table"),
        ("[columns", UnreadableInput, "TOML"),
    ],
)
def test_bad_overrides(tmp_path: Path, text: str, error: type[InputError], words: str) -> None:
    with pytest.raises(error, match=words):
        overrides(tmp_path, text)


def test_no_schema_file(tmp_path: Path) -> None:
    with pytest.raises(UnreadableInput, match="--schema"):
        read_overrides(tmp_path / "none.toml")


# The journal
def test_every_opening_is_journaled(tmp_path: Path) -> None:
    one, other = from_table(TABLE), from_table(TABLE.slice(0, 2))
    path = tmp_path / "state" / "journal.jsonl"
    assert [journal.open_benchmark(one, journal=path, why="compare", when=f"2026-01-0{i}") for i in (1, 2)] == [1, 2]
    assert journal.open_benchmark(other, journal=path, why="worth", when="2026-01-03") == 1
    with path.open("a") as file:
        file.write('{"torn')
    assert journal.open_benchmark(one, journal=path, why="compare", when="2026-01-04") == 3
    assert journal.openings(path, one.fingerprint) == 3
    entries = [json.loads(line) for line in path.read_text().splitlines() if line != '{"torn']
    assert [e["opening"] for e in entries] == [1, 2, 1, 3]
    assert entries[0]["why"] == "compare"
    assert journal.open_benchmark(one, journal=None, why="compare", when="now") == 1


def test_wear_grows_from_fresh_to_spent() -> None:
    shares = [journal.wear(k, 400) for k in (0, 1, 4, 100, 400, 9000)]
    assert [s.value for s in shares if isinstance(s, Estimate)] == [0.0, 0.05, 0.1, 0.5, 1.0, 1.0]
    assert isinstance(journal.wear(1, 0), Unmeasured)


def test_read_never_needs_the_store_for_files(tmp_path: Path) -> None:
    # A file is read whether or not the store can be imported: the import stands inside the function.
    assert "sterling.sources.store" not in Path(files.__file__).read_text().split("def ")[0]
