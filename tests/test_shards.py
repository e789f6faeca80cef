"""Shards: nothing lost, nothing doubled, the same bytes whatever dies."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from sterling.kernel.dataset import Dataset, Lineage, Origin
from sterling.kernel.errors import InputError, TaskFailed
from sterling.kernel.schema import Field, Kind, Schema
from sterling.kernel.task import Task
from sterling.modalities.tabular import from_table
from sterling.run.local import LocalExecutor
from sterling.run.shards import map_shards
from sterling.sources.store import read_set, verify, write_set

JOBS = '''
import os, signal, time
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa


@dataclass(frozen=True)
class Noise:
    """Adds noise; on some shard it may kill its own worker: once, or always."""
    scale: float = 1.0
    marker: str = ""
    kill: int = -1
    poison: int = -1
    sleep: float = 0.0

    def __call__(self, shard, *, rng):
        first = shard["i"][0].as_py()
        if first == self.kill and not Path(self.marker).exists():
            Path(self.marker).write_text(str(os.getpid()))
            os.kill(os.getpid(), signal.SIGKILL)
        if first == self.poison:
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(self.sleep)
        return shard.set_column(1, "x", pa.array(rng.normal(0.0, self.scale, shard.num_rows)))


class Fails:
    def __call__(self, shard, *, rng):
        if shard["i"][0].as_py() == 200:
            raise ZeroDivisionError("no good")
        return shard


class Renames:
    def __call__(self, shard, *, rng):
        return shard.rename_columns(["i", "y"])


class Halves:
    """Keeps every other row; types differ where nothing is left."""
    def __call__(self, shard, *, rng):
        half = shard.take(list(range(0, shard.num_rows, 2)))
        missing = pa.nulls(half.num_rows) if shard["i"][0].as_py() == 100 else pa.array([1.5] * half.num_rows)
        return half.set_column(1, "x", missing)


class Unlike:
    def __call__(self, shard, *, rng):
        kind = pa.int64() if shard["i"][0].as_py() == 0 else pa.string()
        return pa.table({"y": pa.nulls(shard.num_rows, kind)})
'''


@pytest.fixture
def jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    name = f"jobs_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text(JOBS)
    monkeypatch.syspath_prepend(str(tmp_path))
    return name


def data(rows: int = 450) -> Dataset:
    table = pa.table({"i": np.arange(rows), "x": np.zeros(rows)})
    return from_table(table, name="rows", origin=Origin.REAL, lineage=Lineage("g", (), 2, "other"))


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def noise(
    jobs: str, out: Path, *, events: list | None = None, workers: int = 2, rows: int = 450, **settings
) -> Dataset:
    heard = [] if events is None else events
    return map_shards(
        data(rows), f"{jobs}:Noise", settings={"scale": 2.0, **settings}, out=out, seed=7, task="noise",
        workers=workers, shard_rows=100, on_event=lambda event, facts: heard.append((event, dict(facts))),
    )  # fmt: skip


def test_the_workers_change_no_byte(jobs: str, tmp_path: Path) -> None:
    made = noise(jobs, tmp_path / "one", workers=1)
    noise(jobs, tmp_path / "two", workers=2)
    assert files(tmp_path / "one") == files(tmp_path / "two")
    assert made.table()["i"].to_pylist() == list(range(450))
    assert made.lineage == Lineage("noise", (data().fingerprint,), 3, "other")
    assert made.fingerprint == from_table(made.table()).fingerprint
    assert made.name == "noise"
    x = made.table()["x"].to_numpy()
    assert 1.7 < x.std() < 2.3
    assert len(set(x)) == 450, "every shard has its own stream"


def test_how_the_input_is_held_changes_no_byte(jobs: str, tmp_path: Path) -> None:
    noise(jobs, tmp_path / "memory")
    kept = data()
    for rows in (100, 64):
        stored = write_set(
            kept.batches(), tmp_path / f"in{rows}", schema=kept.schema, origin=kept.origin, lineage=kept.lineage,
            name="in", shard_rows=rows,
        )  # fmt: skip
        map_shards(
            stored, f"{jobs}:Noise", settings={"scale": 2.0}, out=tmp_path / f"out{rows}", seed=7, task="noise",
            shard_rows=100,
        )  # fmt: skip
        assert files(tmp_path / f"out{rows}") == files(tmp_path / "memory")


def test_a_job_that_kills_its_worker_once_costs_nothing(jobs: str, tmp_path: Path) -> None:
    events: list = []
    marker = tmp_path / "killed"
    made = noise(jobs, tmp_path / "hurt", kill=200, marker=str(marker), events=events)
    whole = noise(jobs, tmp_path / "whole", kill=-5, marker=str(marker))
    assert int(marker.read_text()) != os.getpid()
    assert [e for e, _ in events].count("worker_lost") == 1
    assert [e for e, _ in events].count("shard") == 5
    assert made.table().equals(whole.table())
    assert {k: v for k, v in files(tmp_path / "hurt").items() if k.startswith("data/")} == {
        k: v for k, v in files(tmp_path / "whole").items() if k.startswith("data/")
    }


def test_a_poison_shard_is_named_and_the_rest_is_kept(jobs: str, tmp_path: Path) -> None:
    events: list = []
    with pytest.raises(
        TaskFailed, match=r"1 of 5 shards failed: shard 3 \(from row 300\).*killed its worker 2 times"
    ) as told:
        noise(jobs, tmp_path / "out", poison=300, events=events)
    assert "signal 9" in told.value.message
    assert "only these are done again" in told.value.mend
    assert [e for e, _ in events].count("worker_lost") == 2
    assert [f["shard"] for e, f in events if e == "shard_failed"] == [3]
    assert not (tmp_path / "out" / "manifest.json").exists()
    again: list = []
    with pytest.raises(TaskFailed):
        noise(jobs, tmp_path / "out", poison=300, events=again)
    assert again[0] == ("plan", {"shards": 5, "done": 4})


def test_an_error_in_a_job_is_told_with_its_place(jobs: str, tmp_path: Path) -> None:
    with pytest.raises(TaskFailed, match=r"shard 2 \(from row 200\): ZeroDivisionError: no good \(jobs_.*py:\d+\)"):
        map_shards(
            data(), f"{jobs}:Fails", settings={}, out=tmp_path / "out", seed=1, task="t", workers=2, shard_rows=100
        )


def test_a_finished_set_is_not_made_again_and_another_is_refused(jobs: str, tmp_path: Path) -> None:
    events: list = []
    noise(jobs, tmp_path / "out")
    before = files(tmp_path / "out")
    noise(jobs, tmp_path / "out", events=events, workers=1)
    assert events == []
    for change in ({"rows": 300}, {"scale": 3.0}):
        with pytest.raises(InputError, match="another finished set"):
            noise(jobs, tmp_path / "out", **change)
    assert files(tmp_path / "out") == before
    next((tmp_path / "out" / "data").iterdir()).write_bytes(b"")
    noise(jobs, tmp_path / "out")
    assert files(tmp_path / "out") == before


def _running(marker: str) -> list[str]:
    """Spawned workers whose command line or environment names `marker`."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            text = (process / "environ").read_bytes() + (process / "cmdline").read_bytes()
        except OSError:
            continue
        if marker.encode() in text and process.name != str(os.getpid()):
            found.append(process.name)
    return found


def test_a_killed_driver_is_resumed(jobs: str, tmp_path: Path) -> None:
    (tmp_path / "driver.py").write_text(
        "import sys; from pathlib import Path; import numpy as np, pyarrow as pa\n"
        "from sterling.modalities.tabular import from_table\nfrom sterling.kernel.dataset import Lineage, Origin\n"
        "from sterling.run.shards import map_shards\n"
        "if __name__ == '__main__':\n"
        "    table = pa.table({'i': np.arange(450), 'x': np.zeros(450)})\n"
        "    rows = from_table(table, name='rows', origin=Origin.REAL, lineage=Lineage('g', (), 2, 'other'))\n"
        f"    map_shards(rows, '{jobs}:Noise', settings={{'scale': 2.0, 'sleep': 0.15}}, out=Path(sys.argv[1]),\n"
        "               seed=7, task='noise', workers=2, shard_rows=100)\n"
    )
    out = tmp_path / "out"
    driver = subprocess.Popen(
        [sys.executable, str(tmp_path / "driver.py"), str(out)], env={**os.environ, "PYTHONPATH": str(tmp_path)}
    )
    journal = out / ".work" / "journal.jsonl"
    give_up = time.monotonic() + 30
    while not (journal.exists() and journal.read_bytes().count(b"\n") >= 2) and time.monotonic() < give_up:
        time.sleep(0.02)
    driver.kill()
    driver.wait()
    time.sleep(0.1)
    assert not _running(f"PYTHONPATH={tmp_path}"), "workers die with their driver"
    assert not (out / "manifest.json").exists()
    events: list = []
    noise(jobs, out, sleep=0.15, events=events)
    assert 2 <= events[0][1]["done"] < 5
    noise(jobs, tmp_path / "undisturbed", sleep=0.15)
    assert files(out) == files(tmp_path / "undisturbed")
    verify(out)


def test_a_damaged_shard_is_not_taken_over_from_the_journal(jobs: str, tmp_path: Path) -> None:
    with pytest.raises(TaskFailed):
        noise(jobs, tmp_path / "out", poison=300)
    for path in list((tmp_path / "out" / "data").iterdir())[:2]:
        path.write_bytes(b"damaged")
    events: list = []
    with pytest.raises(TaskFailed):
        noise(jobs, tmp_path / "out", poison=300, events=events)
    assert events[0] == ("plan", {"shards": 5, "done": 2})


def test_shards_may_shrink_and_be_all_missing(jobs: str, tmp_path: Path) -> None:
    made = map_shards(
        data(201), f"{jobs}:Halves", settings={}, out=tmp_path / "out", seed=1, task="t", shard_rows=100,
        name="half", origin=Origin.AUGMENTED,
    )  # fmt: skip
    assert [b.num_rows for b in made.batches()] == [50, 50, 1]
    assert made.table()["x"].null_count == 50
    assert (made.name, made.origin) == ("half", Origin.AUGMENTED)


def test_other_columns_need_a_schema(jobs: str, tmp_path: Path) -> None:
    def rename(**given: Schema) -> Dataset:
        return map_shards(
            data(), f"{jobs}:Renames", settings={}, out=tmp_path / "out", seed=1, task="t", shard_rows=500, **given
        )

    with pytest.raises(TaskFailed, match="missing 'x'; not in the schema 'y'"):
        rename()
    schema = Schema((Field("i", Kind.NUMBER), Field("y", Kind.NUMBER)))
    assert rename(schema=schema).table().column_names == ["i", "y"]


def test_shards_of_unlike_types_are_refused(jobs: str, tmp_path: Path) -> None:
    with pytest.raises(TaskFailed, match="y: int64 for one shard and y: string for another"):
        map_shards(
            data(200), f"{jobs}:Unlike", settings={}, out=tmp_path / "out", seed=1, task="t", shard_rows=100,
            schema=Schema((Field("y", Kind.NUMBER),)),
        )  # fmt: skip
    assert not (tmp_path / "out" / "manifest.json").exists()


def test_an_empty_set_and_one_row(jobs: str, tmp_path: Path) -> None:
    table = pa.table({"i": pa.array([], pa.int64()), "x": pa.array([], pa.float64())})
    made = map_shards(
        from_table(table), f"{jobs}:Renames", settings={}, out=tmp_path / "none", seed=1, task="t",
        schema=Schema((Field("i", Kind.NUMBER), Field("y", Kind.NUMBER))),
    )  # fmt: skip
    assert made.rows == 0
    assert noise(jobs, tmp_path / "one", rows=1).rows == 1


@pytest.mark.parametrize("job", ["nowhere:Job", "sterling.run.shards:Nothing", "sterling.run.shards", ""])
def test_an_unknown_job_is_said_before_any_work(job: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no job"):
        map_shards(data(), job, settings={}, out=tmp_path / "out", seed=1, task="t")
    assert not (tmp_path / "out").exists()


class Sleepless:
    """Work whose workers die before they are ready: it does not unpickle."""

    def __reduce__(self) -> tuple:
        return (os._exit, (3,))


def test_workers_that_cannot_start_end_the_run() -> None:
    task = Task("m:f", (), (0, "t", 0), ())
    with pytest.raises(TaskFailed, match="died before they were ready"):
        list(LocalExecutor(1).run([task], Sleepless(), on_event=lambda *_: None))


def test_sets_and_executors_pickle(jobs: str, tmp_path: Path) -> None:
    made = noise(jobs, tmp_path / "out")
    assert pickle.loads(pickle.dumps(made)).table().equals(read_set(tmp_path / "out").table())
    assert pickle.loads(pickle.dumps(LocalExecutor(2))) == LocalExecutor(2)


@pytest.mark.slow
def test_ray_gives_the_same_bytes_and_survives_a_killed_worker(
    jobs: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ray")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    marker = tmp_path / "killed"
    options = {"kill": 200, "marker": str(marker)}
    noise(jobs, tmp_path / "local", **options)
    marker.unlink()
    made = map_shards(
        data(), f"{jobs}:Noise", settings={"scale": 2.0, **options}, out=tmp_path / "ray", seed=7, task="noise",
        executor="ray", workers=2, shard_rows=100,
    )  # fmt: skip
    assert marker.exists()
    assert made.rows == 450
    assert files(tmp_path / "ray") == files(tmp_path / "local")
    with pytest.raises(TaskFailed, match=r"shard 3 \(from row 300\).*killed its worker 2 times"):
        map_shards(
            data(), f"{jobs}:Noise", settings={"poison": 300}, out=tmp_path / "poison", seed=7, task="noise",
            executor="ray", workers=2, shard_rows=100,
        )  # fmt: skip
