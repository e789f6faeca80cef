"""Run a task once: look it up, else compute, store and record it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from sterling.kernel.errors import SterlingError, TaskFailed
from sterling.kernel.protocols import Cache, Ledger
from sterling.kernel.task import Task

T = TypeVar("T")


def cached(task: Task, compute: Callable[[], bytes], *, cache: Cache, ledger: Ledger) -> bytes:
    """The result of a task: stored earlier, or computed now and stored.

    Args:
        task: names the result.
        compute: makes it; called only if it is not stored. Its errors are recorded and raised.
        cache: where results are kept.
        ledger: hears "task.cached", "task.done" with the seconds it took, or "task.failed".
    """
    stored = cache.get(task.key)
    if stored is not None:
        ledger.record("task.cached", function=task.function, key=task.key)
        return stored
    start, burnt = time.monotonic(), time.process_time()
    try:
        value = compute()
    except BaseException as err:
        ledger.record("task.failed", function=task.function, key=task.key, error=f"{type(err).__name__}: {err}")
        raise
    cache.put(task.key, value)
    ledger.record(
        "task.done",
        function=task.function,
        key=task.key,
        seconds=round(time.monotonic() - start, 3),
        cpu_seconds=round(time.process_time() - burnt, 3),
        bytes=len(value),
    )
    return value


def attempt(work: Callable[[], T]) -> T | SterlingError:
    """The value of `work`, or the error that stopped it: one failed candidate does not stop the others."""
    try:
        return work()
    except Exception as err:  # noqa: BLE001  the task runner: whatever a plug-in raises becomes a recorded failure
        return as_failure(err)


def as_failure(err: Exception) -> SterlingError:
    """The error as one of ours, which pickles and says what to do."""
    if isinstance(err, SterlingError):
        return err
    where = _place(err)
    return TaskFailed(f"{type(err).__name__}: {err}{where}", mend="mend that code or its input, and run again")


def _place(err: Exception) -> str:
    """The innermost line of code, as " (file.py:12)"."""
    trace = err.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return ""
    name = trace.tb_frame.f_code.co_filename.replace("\\", "/").rsplit("/", 1)[-1]
    return f" ({name}:{trace.tb_lineno})"
