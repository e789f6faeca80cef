"""kill -9 at random moments: a set is whole or does not exist, and writing it again finishes it."""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from sterling.kernel.dataset import Dataset, Lineage, Origin
from sterling.kernel.errors import BrokenStore
from sterling.modalities.tabular import from_table
from sterling.run.ledger import JsonlLedger
from sterling.sources.store import read_set, verify, write_set

KILLS = 30


def rows() -> pa.Table:
    rng = np.random.default_rng(0)
    return pa.table({"x": rng.normal(size=8_000), "c": rng.choice(["a", "b", "c"], 8_000)})


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def staging(folder: Path) -> tuple[int, int] | None:
    """Which staging folder there is; an inode alone may be used again."""
    try:
        found = (folder / ".staging").stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_ctime_ns


@pytest.fixture(scope="module")
def nursery() -> multiprocessing.context.BaseContext:
    """Starts processes that have everything imported, so that the kills fall into the writing."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["sterling.sources.store", "pyarrow.parquet"])
    return context


def test_thirty_kills_leave_whole_sets_or_none(nursery: multiprocessing.context.BaseContext, tmp_path: Path) -> None:
    like = from_table(rows())
    given = {"schema": like.schema, "origin": Origin.REAL, "lineage": Lineage(), "name": "x", "shard_rows": 1000}

    def writing(folder: Path) -> multiprocessing.process.BaseProcess:
        """A writer that has just begun."""
        before = staging(folder)
        process = nursery.Process(target=write_set, args=([rows()], folder), kwargs=given)
        process.start()
        while process.is_alive() and staging(folder) in (None, before):
            time.sleep(0.0005)
        return process

    def finished(folder: Path) -> Dataset | None:
        try:
            return read_set(folder)
        except BrokenStore:
            return None

    durations: list[float] = []
    for name in ("whole", "clock"):
        process = writing(tmp_path / name)
        began = time.monotonic()
        process.join()
        durations.append(time.monotonic() - began)
    expected = files(tmp_path / "whole")
    rng = np.random.default_rng(1)
    ends: Counter[str] = Counter()
    folder = tmp_path / "killed0"
    for share in rng.permutation(np.linspace(0.0, 1.05, KILLS)):
        process = writing(folder)
        time.sleep(share * min(durations))
        process.kill()
        process.join()
        found = finished(folder)
        if found is not None:
            assert verify(folder).fingerprint == like.fingerprint
            assert found.table().num_rows == like.rows
            folder = tmp_path / f"killed{ends['whole'] + 1}"  # until then one kill after the other hits the same
        ends["whole" if found else "torn"] += 1
    assert sum(ends.values()) == KILLS
    assert ends["torn"] >= 10, f"the kills missed the writing: {ends}"
    for folder in tmp_path.glob("killed*"):
        write_set([rows()], folder, **given)
        assert files(folder) == expected


def test_a_journal_survives_kills(tmp_path: Path) -> None:
    ledger = JsonlLedger(tmp_path / "journal.jsonl")
    endless = (
        "import sys; from pathlib import Path; from sterling.run.ledger import JsonlLedger\n"
        "while True: JsonlLedger(Path(sys.argv[1])).record('tick')"
    )
    for number in range(3):
        process = subprocess.Popen([sys.executable, "-c", endless, str(ledger.path)])
        began = time.monotonic()
        while sum(e["event"] == "tick" for e in ledger.events()) <= 3 * number and time.monotonic() - began < 20:
            time.sleep(0.01)
        process.kill()
        process.wait()
        ledger.record("killed")
    events = [event["event"] for event in ledger.events()]
    assert events.count("killed") == 3
    assert events.count("tick") > 6
