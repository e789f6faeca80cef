"""Sets on disk: whole or not at all, the same bytes for the same rows, and no changed byte unseen."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from sterling.kernel.dataset import Dataset, Lineage, Origin
from sterling.kernel.errors import BrokenStore, InputError, UnknownName, UnreadableInput
from sterling.kernel.schema import Field, Kind, Role, Schema
from sterling.modalities.tabular import from_table
from sterling.sources import atomic
from sterling.sources.store import (
    LINEAGE_COLUMNS,
    read_set,
    schema_from_json,
    schema_to_json,
    strip_lineage,
    verify,
    with_lineage_columns,
    write_set,
)

LINEAGE = Lineage("cart(min_leaf=5)", ("f" * 64,), 1, "real")


def table(rows: int = 1000) -> pa.Table:
    rng = np.random.default_rng(0)
    return pa.table(
        {
            "age": pa.array(rng.integers(0, 99, rows), pa.int16()),
            "Einkommen €": pa.array(rng.normal(size=rows), mask=rng.random(rows) < 0.1),
            "who": pa.array(rng.choice(["a", "b", 'naïve, "quoted"\n'], rows)),
            "when": pa.array(rng.integers(0, 10**9, rows), pa.timestamp("s", tz="UTC")),
            "yes": pa.array(rng.random(rows) < 0.5),
        }
    )


def cut(whole: pa.Table, size: int) -> list[pa.Table]:
    return [whole.slice(i, size) for i in range(0, max(whole.num_rows, 1), size)]


def write(folder: Path, batches: list[pa.Table], **changed: object) -> Dataset:
    like = from_table(pa.concat_tables(batches))
    given: dict = {"schema": like.schema, "origin": Origin.SYNTHETIC, "lineage": LINEAGE, "name": "made"}
    return write_set(batches, folder, **{**given, "shard_rows": 300, **changed})


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_a_set_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    made = write(tmp_path / "s", [table()], extra={"weights": {"a": 0.5}})
    assert made.table().equals(table())
    assert made.rows == 1000
    assert made.lineage == LINEAGE
    assert made.origin is Origin.SYNTHETIC
    assert made.schema == from_table(table()).schema
    assert [b.num_rows for b in made.batches()] == [300, 300, 300, 100]
    assert made.table(("yes", "age")).column_names == ["yes", "age"]
    assert pickle.loads(pickle.dumps(made)).table().equals(table())
    assert verify(tmp_path / "s") == made


def test_fingerprint_on_disk_is_the_one_in_memory(tmp_path: Path) -> None:
    marked = with_lineage_columns(table(), origin=Origin.SYNTHETIC, parent="p", depth=1, run="r")
    made = write(tmp_path / "s", [marked])
    assert made.fingerprint == from_table(table()).fingerprint == from_table(marked).fingerprint


def test_how_rows_are_cut_into_batches_changes_no_byte(tmp_path: Path) -> None:
    whole = table()
    coded = whole.set_column(2, "who", whole["who"].dictionary_encode())
    read = whole.replace_schema_metadata({"pandas": "{}"})
    variants = [
        [whole],
        cut(whole, 1),
        cut(whole, 7),
        cut(whole, 300),
        cut(coded, 250),
        [read],
        [whole.slice(0, 0), whole],
    ]
    found = [files(_made(tmp_path / str(i), v)) for i, v in enumerate(variants)]
    assert all(f == found[0] for f in found)


def _made(folder: Path, batches: list[pa.Table]) -> Path:
    write_set(
        batches, folder, schema=from_table(table()).schema, origin=Origin.REAL, lineage=Lineage(), name="x",
        shard_rows=300,
    )  # fmt: skip
    return folder


def test_every_flipped_byte_is_found(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    write(folder, [table(50)])
    rng = np.random.default_rng(1)
    for path in (folder / "manifest.json", next((folder / "data").iterdir())):
        good = path.read_bytes()
        for place in rng.choice(len(good), 60, replace=False):
            bad = bytearray(good)
            bad[place] ^= 1 << int(rng.integers(8))
            path.write_bytes(bytes(bad))
            with pytest.raises(InputError) as told:
                verify(folder).table()
            assert path.name in str(told.value)
        path.write_bytes(good)
    verify(folder)


def test_page_checksums_are_written(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    from sterling.sources.shard import encoded

    data = bytearray(encoded(pa.table({"x": np.arange(5000.0)})))
    data[2000] ^= 1
    with pytest.raises(OSError, match="CRC"):
        pq.ParquetFile(pa.BufferReader(bytes(data)), page_checksum_verification=True).read()


def test_missing_and_swapped_files_are_named(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    write(folder, [table()])
    first, second, *_ = sorted((folder / "data").iterdir())
    gone = first.read_bytes()
    first.unlink()
    for look in (lambda: verify(folder), lambda: read_set(folder).table()):
        with pytest.raises(BrokenStore, match=first.name) as told:
            look()
        assert "make it again" in told.value.mend
    first.write_bytes(second.read_bytes())
    with pytest.raises(BrokenStore, match=first.name):
        read_set(folder).table()
    first.write_bytes(gone)
    assert verify(folder).rows == 1000


def test_without_manifest_there_is_no_set(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    write(folder, [table()])
    (folder / "manifest.json").unlink()
    with pytest.raises(BrokenStore, match="no finished set"):
        read_set(folder)
    with pytest.raises(UnreadableInput, match="no folder"):
        read_set(tmp_path / "nowhere")


def test_a_newer_format_and_a_foreign_manifest_are_told_apart(tmp_path: Path) -> None:
    write(tmp_path, [table(5)])
    path = tmp_path / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "version": 2}))
    with pytest.raises(InputError, match="version 2") as told:
        read_set(tmp_path)
    assert "pip install -U" in told.value.mend
    path.write_text('{"sterling": "run"}')
    with pytest.raises(InputError, match="not the manifest of a set"):
        read_set(tmp_path)


def test_the_same_set_again_is_a_no_op_and_another_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    write(folder, [table()])
    before = files(folder)
    write(folder, cut(table(), 11))
    assert files(folder) == before
    for change in ({"name": "other"}, {"shard_rows": 100}, {"origin": Origin.REAL}, {"extra": {"a": 1}}):
        with pytest.raises(InputError, match="already holds another finished set: 'made', 1,000 rows"):
            write(folder, [table()], **change)
    drawn: list[int] = []

    def endless() -> object:
        while True:
            drawn.append(1)
            yield table(300).slice(1, 100)

    with pytest.raises(InputError, match="already holds"):
        write_set(
            endless(), folder, schema=from_table(table()).schema, origin=Origin.SYNTHETIC, lineage=LINEAGE, name="made",
            shard_rows=300,
        )  # fmt: skip
    assert len(drawn) < 10, "another set is refused at its first shard, not after hours of making it"
    assert files(folder) == before


def test_writing_again_mends_a_damaged_file(tmp_path: Path) -> None:
    write(tmp_path, [table()])
    before = files(tmp_path)
    first, second, *_ = sorted((tmp_path / "data").iterdir())
    first.write_bytes(b"PAR1")
    second.unlink()
    write(tmp_path, [table()])
    assert files(tmp_path) == before


def test_leftovers_of_a_killed_writer_go_and_foreign_files_stay(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    for name in (".staging/abc", f"data/{'0' * 64}.parquet", ".manifest.json.0123"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"half")
    write(folder, [table()])
    assert set(files(folder)) == {
        "manifest.json",
        *(f"data/{s.sha256}.parquet" for s in read_set(folder).source.shards),
    }
    for name in ("mine/notes.txt", "theirs/data/cat.jpg"):
        kept = tmp_path / name
        kept.parent.mkdir(parents=True)
        kept.write_text("precious")
        with pytest.raises(InputError, match="other files"):
            write(tmp_path / name.split("/")[0], [table()])
        assert kept.read_text() == "precious"


def test_a_failing_source_leaves_nothing(tmp_path: Path) -> None:
    def failing() -> object:
        yield table(400)
        raise KeyError("the generator broke")

    with pytest.raises(KeyError):
        write_set(
            failing(),
            tmp_path / "s",
            schema=from_table(table()).schema,
            origin=Origin.REAL,
            lineage=Lineage(),
            name="x",
            shard_rows=300,
        )
    assert not (tmp_path / "s").exists()


def test_two_writers_do_not_meet(tmp_path: Path) -> None:
    with atomic.locked(tmp_path / "s"), pytest.raises(InputError, match="another process is writing"):
        write(tmp_path / "s", [table()])


@pytest.mark.parametrize(
    ("batches", "told"),
    [
        ([], "no batch"),
        ([pa.table({"x": [1], "y": [2]})], "not in the schema 'y'"),
        ([pa.table({"z": [1]})], "missing 'x'; not in the schema 'z'"),
        ([pa.table([[1], [2]], names=["x", "x"])], "twice 'x'"),
        ([pa.table({"x": [1]}), pa.table({"x": [1], "y": [1]})], "a later batch has the columns"),
        ([pa.table({"x": [1]}), pa.table({"x": ["one"]})], "'x' is int64 in the first batch"),
        ([pa.table({"x": [1]}), pa.table({"x": [1.5]})], "'x' is int64 in the first batch"),
    ],
)  # fmt: skip
def test_rows_that_disagree_are_refused(batches: list[pa.Table], told: str, tmp_path: Path) -> None:
    schema = Schema((Field("x", Kind.NUMBER, storage="int64"),))
    with pytest.raises(InputError, match=told):
        write_set(batches, tmp_path / "s", schema=schema, origin=Origin.REAL, lineage=Lineage(), name="x")
    assert not (tmp_path / "s").exists()


def test_odd_tables_survive(tmp_path: Path) -> None:
    odd = pa.table(
        {
            "nothing": pa.nulls(3),
            "inf": [float("inf"), -float("inf"), float("nan")],
            "list": [[1], [], None],
            "zero": pa.array(["\0", "", None]),
            "a.b": [1, 2, 3],
            "a": pa.array([2**63, 0, 1], pa.uint64()),
            "bytes": [b"\xff", None, b""],
            "date": pa.array([0, 86_400_000, None], pa.date64()),
            "clock": pa.array([1, None, 2], pa.time32("s")),
            "large": pa.array(["x", None, "y"], pa.large_string()),
            "money": pa.array([1, None, 2], pa.decimal128(9, 2)),
        }
    )
    for name, part in (("all", odd), ("one", odd.slice(0, 1)), ("none", odd.slice(0, 0))):
        made = write(tmp_path / name, [part])
        assert made.rows == part.num_rows
        assert made.table().schema == odd.schema
        assert made.table().drop_columns(["inf"]).to_pydict() == part.drop_columns(["inf"]).to_pydict()
        assert made.table(("a",)).column_names == ["a"]
        assert made.fingerprint == from_table(part).fingerprint


def test_a_first_batch_without_values_takes_the_declared_type(tmp_path: Path) -> None:
    schema = Schema((Field("x", Kind.NUMBER, storage="int64"),))
    batches = [pa.table({"x": pa.nulls(2)}), pa.table({"x": [7]})]
    made = write_set(batches, tmp_path / "s", schema=schema, origin=Origin.REAL, lineage=Lineage(), name="x")
    assert made.table()["x"].to_pylist() == [None, None, 7]


def test_a_type_that_parquet_lacks_is_said(tmp_path: Path) -> None:
    odd = pa.table({"x": pa.nulls(1, pa.month_day_nano_interval())})
    schema = Schema((Field("x", Kind.TEXT),))
    with pytest.raises(InputError, match="cannot store"):
        write_set([odd], tmp_path / "s", schema=schema, origin=Origin.REAL, lineage=Lineage(), name="x")


def test_unknown_column_is_answered_with_its_neighbour(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="did you mean 'age'"):
        write(tmp_path / "s", [table(5)]).table(("aged",))


def test_every_row_carries_its_origin_and_the_schema_does_not(tmp_path: Path) -> None:
    real = with_lineage_columns(table(3), origin=Origin.REAL, parent=None, depth=0, run="census", weight=1.0)
    made = with_lineage_columns(table(2), origin=Origin.SYNTHETIC, parent="p", depth=1, run="cart", weight=0.25)
    mix = write(tmp_path / "s", [real, made], origin=Origin.MIXED)
    assert [n for n in mix.table().column_names if n.startswith("_sterling")] == list(LINEAGE_COLUMNS)
    assert mix.schema.names == tuple(table().column_names)
    assert mix.table()["_sterling_origin"].to_pylist() == ["real"] * 3 + ["synthetic"] * 2
    assert mix.table()["_sterling_weight"].to_pylist() == [1.0] * 3 + [0.25] * 2
    assert strip_lineage(mix.table()).column_names == table().column_names


def test_a_mix_in_a_mix_still_knows_its_real_rows() -> None:
    mix = pa.table({"x": [1, 2], "_sterling_origin": ["real", "synthetic"]})
    again = with_lineage_columns(mix, origin=Origin.MIXED, parent="m", depth=1, run="blend", weight=1.0)
    assert again["_sterling_origin"].to_pylist() == ["real", "synthetic"]
    copied = with_lineage_columns(mix, origin=Origin.SYNTHETIC, parent="m", depth=2, run="cart")
    assert copied["_sterling_origin"].to_pylist() == ["synthetic"] * 2


def test_schema_round_trip() -> None:
    schema = Schema(
        (
            Field("a", Kind.NUMBER, Role.TARGET, "int64", "years", None, 0.0, 99.5, nullable=False),
            Field("b \udc80", Kind.CATEGORY, Role.GROUP, "string", levels=("x", "")),
        ),
        "text",
    )
    assert schema_from_json(json.loads(json.dumps(schema_to_json(schema)))) == schema


def test_names_that_are_no_unicode_are_kept(tmp_path: Path) -> None:
    assert write(tmp_path / "s", [table(5)], name="undecodable \udcff").name == "undecodable \udcff"


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="cannot write"):
        write(tmp_path / "file" / "s", [table(5)])
    with pytest.raises(InputError, match="cannot write"):
        write(tmp_path / "file", [table(5)])
    with pytest.raises(InputError, match="is a folder"):
        atomic.write_text(tmp_path, "x")


def test_a_file_is_replaced_whole_or_stays(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.txt"
    atomic.write_text(path, "old")

    def break_off() -> None:
        with atomic.replacing(path) as staged:
            staged.write_text("half")
            raise KeyError

    with pytest.raises(KeyError):
        break_off()
    assert files(tmp_path) == {"new/a.txt": b"old"}
