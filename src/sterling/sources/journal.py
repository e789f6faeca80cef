"""The sealed benchmark: every opening is written down, and wears it."""

from __future__ import annotations

import json
import os
from collections.abc import Container, Generator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from sterling.kernel.dataset import Dataset
from sterling.kernel.estimate import Estimate, Unmeasured
from sterling.kernel.finding import Json


def open_benchmark(dataset: Dataset, *, journal: Path | None, why: str, when: str) -> int:
    """Journal one opening of a benchmark.

    Args:
        dataset: the rows set apart.
        journal: a file of JSON lines, made where it is not there; None keeps no journal.
        why: what it is opened for, such as "compare".
        when: the moment, ISO 8601; the caller's clock.

    Returns:
        How often this benchmark has been opened, this time included.

    Raises:
        OSError: if the journal cannot be written.
    """
    if journal is None:
        return 1
    with appending(journal) as handle:  # counted and written in one breath: no two processes get the same number
        count = openings(journal, dataset.fingerprint) + 1
        append(
            handle,
            {"fingerprint": dataset.fingerprint, "name": dataset.name, "why": why, "when": when, "opening": count},
        )
    return count


def openings(journal: Path, fingerprint: str) -> int:
    """How often the benchmark with this fingerprint has been opened; torn lines do not count."""
    return sum(1 for _ in _of(journal, fingerprint))


def unanswered(journal: Path, fingerprint: str, *, answered: Container[int]) -> int:
    """Reasons for which the benchmark was opened and no answer is known to have been given.

    What was stopped on its way told nobody anything: it does not count where the same was asked again and answered,
    and counts once however often it was tried.

    Args:
        journal: the file.
        fingerprint: of the benchmark.
        answered: numbers of the openings, from 1, of which the answer is known.
    """
    why = [str(entry.get("why")) for entry in _of(journal, fingerprint)]
    known = {reason for number, reason in enumerate(why, start=1) if number in answered}
    return len({reason for number, reason in enumerate(why, start=1) if number not in answered} - known)


def since(journal: Path, fingerprint: str) -> str | None:
    """When it was opened first, ISO 8601, or None if it never was."""
    moments = [when for entry in _of(journal, fingerprint) if isinstance(when := entry.get("when"), str)]
    return min(moments, default=None)


def wear(openings: int, n: int) -> Estimate | Unmeasured:
    """How much of a benchmark's honesty repeated use can have spent.

    Whoever picks the next candidate after seeing the last score fits, in the worst case, the benchmark
    itself: after k adaptive openings of n rows a score in [0, 1] can be off by about sqrt(k / n). Someone
    who picks nothing by it spends nothing: that is the lower end.

    Args:
        openings: k, how often it was opened.
        n: its rows.

    Returns:
        Share spent, unitless, 0 (fresh) to 1 (spent); smaller is better. `value` is the worst case.

    Source: Dwork et al. 2015, "The reusable holdout", Science 349:636; Blum & Hardt 2015, "The Ladder",
    arXiv:1502.04585.

    >>> wear(25, 2500).value
    0.1
    """
    if n < 1:
        return Unmeasured("the benchmark has no rows", mend="set real rows apart")
    worst = min(1.0, (max(openings, 0) / n) ** 0.5)
    return Estimate(worst, 0.0, worst, n=n, level=0.95, method="worst case of adaptive reuse, sqrt(k / n)")


@contextmanager
def appending(path: Path, *, mode: int = 0o600) -> Generator[int]:
    """The file opened for appending, and no other process appending meanwhile.

    Args:
        path: the file; it and its folder are made where they are not there.
        mode: of a file that is made, before the umask; by default its owner's alone.

    Raises:
        OSError: if it cannot be opened.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, mode)
    try:
        try:
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX)
        except (ModuleNotFoundError, OSError):  # Windows, or a network file system: one writer at a time there
            pass
        yield handle
    finally:
        os.close(handle)


def append(handle: int, entry: Mapping[str, Json]) -> None:
    """Write one line; once this returns it survives kill -9 and a power cut. A line that a crash tore is closed first.

    Raises:
        OSError: if the disk is full.
    """
    size = os.lseek(handle, 0, os.SEEK_END)
    torn = False
    if size:
        os.lseek(handle, size - 1, os.SEEK_SET)
        torn = os.read(handle, 1) != b"\n"
    line = ("\n" if torn else "") + json.dumps(entry, ensure_ascii=False, sort_keys=True, allow_nan=False) + "\n"
    os.write(handle, line.encode("utf-8", "surrogatepass"))
    os.fsync(handle)


def entries(path: Path, *, holding: str) -> Iterator[dict[str, Json]]:
    """The lines that hold a text, oldest first; torn lines, and lines that are no JSON objects, are passed over."""
    if not path.is_file():
        return
    with path.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            if holding not in line:
                continue
            try:
                entry = json.loads(line)
            except ValueError:
                continue
            if isinstance(entry, dict):
                yield entry


def _of(journal: Path, fingerprint: str) -> Iterator[dict[str, Json]]:
    return (e for e in entries(journal, holding=fingerprint) if e.get("fingerprint") == fingerprint)
