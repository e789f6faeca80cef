"""Tasks in processes of this machine; a worker that dies takes nothing with it."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from sterling.kernel.errors import TaskFailed
from sterling.kernel.protocols import OnEvent
from sterling.kernel.task import Task
from sterling.run.tasks import attempt

Work = Callable[[Task], bytes]
# Workers that die before they are ready tell of a broken environment, not of a task.
MOST_STILLBORN = 3


@dataclass(frozen=True, slots=True)
class LocalExecutor:
    """A pool of processes in which every worker holds one task, so that a death names its task.

    The standard library's pool fails every pending task when one worker dies.

    Args:
        workers: processes.
        attempts: a task that killed so many workers is given up; the rest goes on.
    """

    workers: int = 1
    attempts: int = 2

    def run(self, tasks: Sequence[Task], work: Work, *, on_event: OnEvent) -> Iterator[tuple[Task, bytes | Exception]]:
        """Yield every task once, as it finishes, with its result or its error.

        Args:
            tasks: what to do.
            work: picklable; called in the workers.
            on_event: hears "worker_lost" with the task's key, and how many workers it has killed.

        Raises:
            TaskFailed: if workers cannot start at all.
        """
        shop = _Shop(work, deque(tasks), on_event, self.attempts)
        try:
            shop.hire(min(self.workers, len(tasks)))
            while shop.busy:
                yield from shop.step()
        finally:
            shop.close()


class _Worker:
    """One process and the driver's end of the pipe to it."""

    def __init__(self, work: Work) -> None:
        # Spawned, not forked: a forked child would hold the other workers' pipes open, and threads' locks shut.
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process: BaseProcess = context.Process(target=_serve, args=(theirs, work), daemon=True)
        self.process.start()
        theirs.close()
        self.ready = False
        self.task: Task | None = None

    def receive(self) -> tuple[Any] | None:
        """What the worker says, in a tuple; None when it is dead."""
        try:
            return (self.pipe.recv(),) if self.pipe.poll() or self.process.is_alive() else None
        except (EOFError, OSError):
            return None

    def give(self, task: Task) -> bool:
        """Hand over a task; False when the worker is dead."""
        try:
            self.pipe.send(task)
        except OSError:
            return False
        self.task = task
        return True

    def dismiss(self) -> None:
        self.pipe.close()
        self.process.kill()
        self.process.join()


class _Shop:
    """The state of one run: the queue, the workers, and what each task has already cost."""

    def __init__(self, work: Work, queue: deque[Task], on_event: OnEvent, attempts: int) -> None:
        self.work, self.queue, self.on_event, self.attempts = work, queue, on_event, attempts
        self.workers: list[_Worker] = []
        self.deaths: Counter[str] = Counter()
        self.stillborn = 0

    @property
    def busy(self) -> bool:
        return bool(self.queue) or any(worker.task for worker in self.workers)

    def hire(self, count: int) -> None:
        self.workers += [_Worker(self.work) for _ in range(count)]

    def step(self) -> Iterator[tuple[Task, bytes | Exception]]:
        """Give work to the idle, wait for someone to speak or die, and hear them."""
        for worker in self.workers:
            if self.queue and worker.ready and worker.task is None and worker.give(self.queue[0]):
                self.queue.popleft()
        spoke = set(wait([handle for w in self.workers for handle in (w.pipe, w.process.sentinel)]))
        for worker in list(self.workers):
            if worker.pipe in spoke or worker.process.sentinel in spoke:
                yield from self.hear(worker)

    def hear(self, worker: _Worker) -> Iterator[tuple[Task, bytes | Exception]]:
        said = worker.receive()
        if said is None:
            yield from self.bury(worker)
        elif not worker.ready:
            worker.ready, self.stillborn = True, 0
        elif worker.task is not None:
            task, worker.task = worker.task, None
            yield task, said[0]

    def bury(self, worker: _Worker) -> Iterator[tuple[Task, Exception]]:
        """Replace a dead worker; its task goes to the end of the queue, or is given up."""
        self.workers.remove(worker)
        worker.dismiss()
        self.stillborn += not worker.ready
        if self.stillborn >= MOST_STILLBORN:
            raise TaskFailed(
                f"{self.stillborn} workers in a row died before they were ready (exit code {worker.process.exitcode})",
                mend="in a script, stand the call under `if __name__ == '__main__':`; else look at memory",
            )
        task = worker.task
        if task is not None:
            self.deaths[task.key] += 1
            died = self.deaths[task.key]
            self.on_event("worker_lost", {"task": task.key, "function": task.function, "deaths": died})
            if died < self.attempts:
                self.queue.append(task)
            else:
                yield task, killer(task, died, worker.process.exitcode)
        if len(self.workers) < len(self.queue) + sum(w.task is not None for w in self.workers):
            self.hire(1)

    def close(self) -> None:
        for worker in self.workers:
            worker.dismiss()


def killer(task: Task, deaths: int, exitcode: int | None) -> TaskFailed:
    """The error for a task that keeps killing its workers."""
    name = "/".join(map(str, task.seed_path[1:]))
    how = f"signal {-exitcode}" if exitcode is not None and exitcode < 0 else f"exit code {exitcode}"
    return TaskFailed(
        f"{task.function} killed its worker {deaths} times on {name} ({how})",
        mend="give the job less memory to use, or take that shard's rows out, and run again",
    )


def _serve(pipe: Connection, work: Work) -> None:
    """The life of a worker: one task after the other, until the driver is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the driver's to handle
    threading.Thread(target=_die_with_the_driver, daemon=True).start()
    pipe.send("ready")
    while True:
        try:
            task = pipe.recv()
        except EOFError:
            return
        pipe.send(attempt(lambda: work(task)))  # noqa: B023  called before the next task comes


def _die_with_the_driver() -> None:
    """A driver that was killed cannot dismiss anyone: do not burn hours on a shard that nobody will commit."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
