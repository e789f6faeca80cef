"""Journal, cache and task: written once, found again, never half."""

from __future__ import annotations

import multiprocessing
import pickle
from pathlib import Path

import pytest

from sterling.kernel.errors import BrokenStore, InputError, TaskFailed
from sterling.kernel.task import Task
from sterling.run.cache import FileCache
from sterling.run.ledger import JsonlLedger
from sterling.run.tasks import attempt, cached

TASK = Task("m:f", (("a", 1),), (0, "t"), ("f" * 64,))
KEY = TASK.key


def test_events_come_back_in_order(tmp_path: Path) -> None:
    ledger = JsonlLedger(tmp_path / "new" / "ledger.jsonl")
    assert list(ledger.events()) == []
    ledger.record("first", cost=0.5, who="naïve\n\udcff", nested={"a": [1, None]})
    ledger.record("second")
    first, second = ledger.events()
    assert first["event"] == "first"
    assert (first["cost"], first["who"], first["nested"]) == (0.5, "naïve\n\udcff", {"a": [1, None]})
    assert str(first["at"]).endswith("+00:00")
    assert second["event"] == "second"
    assert pickle.loads(pickle.dumps(ledger)) == ledger


@pytest.mark.parametrize("keep", [0, 1, 20, -1])
def test_a_torn_last_line_was_never_recorded(tmp_path: Path, keep: int) -> None:
    ledger = JsonlLedger(tmp_path / "ledger.jsonl")
    ledger.record("whole")
    start = ledger.path.stat().st_size
    ledger.record("torn", text="x" * 10_000)
    data = ledger.path.read_bytes()
    ledger.path.write_bytes(data[: start + keep] if keep >= 0 else data[:keep])
    assert [e["event"] for e in ledger.events()] == ["whole"]
    ledger.record("next")
    assert [e["event"] for e in ledger.events()] == ["whole", "next"]


def test_damage_in_the_middle_is_named(tmp_path: Path) -> None:
    ledger = JsonlLedger(tmp_path / "ledger.jsonl")
    for name in "abc":
        ledger.record(name)
    lines = ledger.path.read_text().splitlines()
    for bad in (lines[1][:-5], "7"):
        ledger.path.write_text("\n".join([lines[0], bad, lines[2]]) + "\n")
        with pytest.raises(BrokenStore, match="line 2"):
            list(ledger.events())


def test_many_writers_lose_nothing(tmp_path: Path) -> None:
    ledger = JsonlLedger(tmp_path / "ledger.jsonl")
    context = multiprocessing.get_context("forkserver")
    processes = [context.Process(target=ledger.record, args=("done",), kwargs={"n": n}) for n in range(8)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert sorted(int(str(e["n"])) for e in ledger.events()) == list(range(8))


def test_a_journal_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot write"):
        JsonlLedger(tmp_path / "file" / "ledger.jsonl").record("x")


def test_the_cache_keeps_what_it_is_given(tmp_path: Path) -> None:
    cache = FileCache(tmp_path / "cache")
    assert cache.get(KEY) is None
    for value in (b"", b"\0" * 1000):
        cache.put(KEY, value)
        assert cache.get(KEY) == value
    assert pickle.loads(pickle.dumps(cache)).get(KEY) == b"\0" * 1000


def test_a_damaged_result_counts_as_absent(tmp_path: Path) -> None:
    cache = FileCache(tmp_path)
    cache.put(KEY, b"paid for")
    path = next(p for p in tmp_path.rglob("*") if p.is_file())
    good = path.read_bytes()
    for bad in (good[:-1], b"", good.replace(b"paid", b"pale")):
        path.write_bytes(bad)
        assert cache.get(KEY) is None


@pytest.mark.parametrize("key", ["../../etc/passwd", "", "ABCDEF" * 10, "short"])
def test_a_key_is_a_hash(tmp_path: Path, key: str) -> None:
    with pytest.raises(ValueError, match="hexadecimal"):
        FileCache(tmp_path).put(key, b"")


def test_a_task_is_computed_once_and_recorded(tmp_path: Path) -> None:
    cache, ledger = FileCache(tmp_path / "cache"), JsonlLedger(tmp_path / "ledger.jsonl")
    calls: list[int] = []

    def compute() -> bytes:
        calls.append(1)
        return b"answer"

    for _ in range(2):
        assert cached(TASK, compute, cache=cache, ledger=ledger) == b"answer"
    assert len(calls) == 1
    done, again = ledger.events()
    assert (done["event"], again["event"]) == ("task.done", "task.cached")
    assert done["key"] == again["key"] == KEY
    assert done["bytes"] == 6
    assert float(str(done["seconds"])) >= 0.0


def test_a_failed_task_is_recorded_and_not_stored(tmp_path: Path) -> None:
    cache, ledger = FileCache(tmp_path / "cache"), JsonlLedger(tmp_path / "ledger.jsonl")

    def fail() -> bytes:
        raise ZeroDivisionError("no good")

    with pytest.raises(ZeroDivisionError):
        cached(TASK, fail, cache=cache, ledger=ledger)
    assert cache.get(KEY) is None
    (event,) = ledger.events()
    assert (event["event"], event["error"]) == ("task.failed", "ZeroDivisionError: no good")


def test_attempt_gives_the_value_or_an_error_of_ours() -> None:
    def fail(error: BaseException) -> int:
        raise error

    assert attempt(lambda: 3) == 3
    ours = InputError("what", mend="how")
    assert attempt(lambda: fail(ours)) is ours
    foreign = attempt(lambda: fail(KeyError("x")))
    assert isinstance(foreign, TaskFailed)
    assert "KeyError: 'x' (test_ledger.py:" in str(foreign)
    assert str(pickle.loads(pickle.dumps(foreign))) == str(foreign)
    with pytest.raises(KeyboardInterrupt):
        attempt(lambda: fail(KeyboardInterrupt()))
