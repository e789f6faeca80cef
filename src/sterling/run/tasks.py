"""Run a task once: look it up, else compute, store and record it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import TypeVar

from sterling.kernel.errors import SterlingError, TaskFailed
from sterling.kernel.finding import Json
from sterling.kernel.protocols import Cache, Ledger
from sterling.kernel.task import Task

T = TypeVar("T")


def cpu_seconds() -> float:
    """Processor time of this process and of those it has waited for (a learner's command, workers that ended)."""
    return sum(os.times()[:4])


def cached(
    task: Task, compute: Callable[[], bytes], *, cache: Cache, ledger: Ledger, about: str | None = None
) -> bytes:
    """The result of a task: stored earlier, or computed now and stored.

    Args:
        task: names the result.
        compute: makes it; called only if it is not stored. Its errors are recorded and raised.
        cache: where results are kept.
        ledger: hears "task.cached", "task.done" with the seconds it took, or "task.failed".
        about: the candidate that the task serves; None where it serves all of them.
    """
    who: dict[str, str] = {} if about is None else {"candidate": about}
    stored = cache.get(task.key)
    if stored is not None:
        ledger.record("task.cached", function=task.function, key=task.key, **who)
        return stored
    start, burnt = time.monotonic(), cpu_seconds()
    try:
        value = compute()
    except BaseException as err:
        ledger.record(
            "task.failed",
            function=task.function,
            key=task.key,
            cpu_seconds=round(cpu_seconds() - burnt, 3),
            error=f"{type(err).__name__}: {err}",
            **who,
        )
        raise
    cache.put(task.key, value)
    ledger.record(
        "task.done",
        function=task.function,
        key=task.key,
        seconds=round(time.monotonic() - start, 3),
        cpu_seconds=round(cpu_seconds() - burnt, 3),
        bytes=len(value),
        **who,
    )
    return value


def timed(event: str, work: Callable[[], T], *, ledger: Ledger, **facts: Json) -> T:
    """The value of `work`, and what it took in the ledger, as `event` or, where it failed, as "event.failed"."""
    burnt = cpu_seconds()
    try:
        value = work()
    except BaseException as err:
        why = f"{type(err).__name__}: {err}"
        ledger.record(f"{event}.failed", cpu_seconds=round(cpu_seconds() - burnt, 3), error=why, **facts)
        raise
    ledger.record(event, cpu_seconds=round(cpu_seconds() - burnt, 3), **facts)
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
