"""Tasks on a Ray cluster; all machines must see the same storage."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sterling.kernel.errors import TaskFailed
from sterling.kernel.extras import need
from sterling.kernel.protocols import OnEvent
from sterling.kernel.task import Task
from sterling.run.tasks import as_failure, attempt

Work = Callable[[Task], bytes]


@dataclass(frozen=True, slots=True)
class RayExecutor:
    """Ray tasks; Ray itself runs a task again whose worker or machine died.

    Args:
        workers: tasks in flight at once, and the size of the cluster where none is running yet.
        attempts: a task that killed so many workers is given up.
        address: of a running cluster; None joins the one that Ray knows of, or starts one on this machine.
    """

    workers: int = 1
    attempts: int = 2
    address: str | None = None

    def run(self, tasks: Sequence[Task], work: Work, *, on_event: OnEvent) -> Iterator[tuple[Task, bytes | Exception]]:
        """Yield every task once, as it finishes, with its result or its error.

        Raises:
            MissingExtra: if Ray is not installed.
        """
        ray: Any = need("ray", extra="cluster")
        ours = not ray.is_initialized()
        if ours:
            size = {"num_cpus": self.workers} if self.address is None else {"address": self.address}
            ray.init(include_dashboard=False, log_to_driver=False, configure_logging=False, **size)
        try:
            remote = ray.remote(max_retries=self.attempts - 1, num_cpus=1)(_serve)
            yield from self._drive(ray, remote, ray.put(work), tasks, on_event)
        finally:
            if ours:
                ray.shutdown()

    def _drive(
        self, ray: Any, remote: Any, work: Any, tasks: Sequence[Task], on_event: OnEvent
    ) -> Iterator[tuple[Task, bytes | Exception]]:
        left, flying = list(reversed(tasks)), dict[Any, Task]()
        while left or flying:
            while left and len(flying) < self.workers:
                task = left.pop()
                flying[remote.remote(work, task)] = task
            ready, _ = ray.wait(list(flying), num_returns=1)
            for handle in ready:
                task = flying.pop(handle)
                yield task, self._result(ray, handle, task, on_event)

    def _result(self, ray: Any, handle: Any, task: Task, on_event: OnEvent) -> bytes | Exception:
        try:
            return ray.get(handle)
        except (ray.exceptions.WorkerCrashedError, ray.exceptions.OutOfMemoryError) as err:
            on_event("worker_lost", {"task": task.key, "function": task.function, "deaths": self.attempts})
            name = "/".join(map(str, task.seed_path[1:]))
            return TaskFailed(
                f"{task.function} killed its worker {self.attempts} times on {name} ({type(err).__name__})",
                mend="give the job less memory to use, or take that shard's rows out, and run again",
            )
        except ray.exceptions.RayError as err:
            return as_failure(err)


def _serve(work: Work, task: Task) -> bytes | Exception:
    return attempt(lambda: work(task))
