"""The sealed benchmark: every opening is written down, and wears it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from sterling.kernel.dataset import Dataset
from sterling.kernel.estimate import Estimate, Unmeasured


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
    count = openings(journal, dataset.fingerprint) + 1
    entry = {"fingerprint": dataset.fingerprint, "name": dataset.name, "why": why, "when": when, "opening": count}
    journal.parent.mkdir(parents=True, exist_ok=True)
    # One append of one line is atomic enough for several processes; a line that a crash tore is closed first.
    torn = journal.is_file() and not journal.read_bytes().endswith(b"\n") and journal.stat().st_size > 0
    line = ("\n" if torn else "") + json.dumps(entry, ensure_ascii=False, sort_keys=True) + "\n"
    handle = os.open(journal, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(handle, line.encode("utf-8", "surrogatepass"))
        os.fsync(handle)
    finally:
        os.close(handle)
    return count


def openings(journal: Path, fingerprint: str) -> int:
    """How often the benchmark with this fingerprint has been opened; torn lines do not count."""
    if not journal.is_file():
        return 0
    lines = journal.read_text(encoding="utf-8", errors="replace").splitlines()
    return sum(_fingerprint(line) == fingerprint for line in lines)


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


def _fingerprint(line: str) -> str | None:
    try:
        entry: Any = json.loads(line)
    except ValueError:
        return None
    return entry.get("fingerprint") if isinstance(entry, dict) else None
