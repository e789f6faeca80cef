"""What every peer's worker does: read jobs from stdin as JSON lines, answer each with one JSON line.

    python WORKER.py                     stays, so that imports are paid once
    python WORKER.py --once JOB.json     one job in a fresh process: a cold start

A job names Parquet files (`real`, `holdout`, `synthetic`), the `target`, the `categorical` columns and the `groups`.
The answer holds `scores`, all of them oriented so that higher is better, or `error`; and CPU seconds.
Only the standard library here: this file runs in the virtual environment of each peer.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


def cpu() -> float:
    """CPU seconds of this process, of the children it waited for, and of those that still run."""
    t = os.times()
    return t.user + t.system + t.children_user + t.children_system + _living(os.getpid())


def _living(pid: int) -> float:
    total = 0.0
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, task.read_text().split()):
            try:
                fields = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue  # it ended meanwhile
            total += sum(map(int, fields[11:15])) / TICKS + _living(child)
    return total


def serve(version: str, judge: Callable[[dict], dict]) -> None:
    """Answer jobs until stdin ends. Whatever the peer prints goes to stderr."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    warnings.simplefilter("ignore")
    if len(sys.argv) > 2 and sys.argv[1] == "--once":
        answers.write(json.dumps(_answered(judge, json.loads(Path(sys.argv[2]).read_text()))) + "\n")
        return
    answers.write(json.dumps({"ready": True, "version": version, "cpu": cpu()}) + "\n")
    for line in sys.stdin:
        answers.write(json.dumps(_answered(judge, json.loads(line))) + "\n")


def _answered(judge: Callable[[dict], dict], job: dict) -> dict:
    before = cpu()
    try:
        answer = judge(job)
    except Exception as err:  # noqa: BLE001 - a peer that stops is a result, and the next job is waiting
        traceback.print_exc()
        answer = {"error": f"{type(err).__name__}: {err}"[:300]}
    return {**answer, "cpu": cpu() - before}
