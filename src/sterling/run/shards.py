"""Work over a set shard by shard: nothing lost, nothing doubled, resumable, the same bytes everywhere.

The commit protocol gives that, not the engine: a shard's result is staged, flushed, named by its hash
and journaled, and what the journal has is not done again.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from sterling.kernel import seeds
from sterling.kernel.dataset import Dataset, Lineage, Origin
from sterling.kernel.errors import InputError, TaskFailed
from sterling.kernel.finding import Json
from sterling.kernel.protocols import Executor, OnEvent, ShardJob, silent
from sterling.kernel.schema import Schema
from sterling.kernel.task import Task
from sterling.modalities.tabular import content_hashes, fingerprint, normalise
from sterling.run.cluster import RayExecutor
from sterling.run.ledger import JsonlLedger
from sterling.run.local import LocalExecutor
from sterling.run.tasks import as_failure
from sterling.sources.atomic import locked, writing_to
from sterling.sources.manifest import NAME as MANIFEST
from sterling.sources.manifest import Manifest, read_manifest, schema_to_json
from sterling.sources.provenance import record_schema
from sterling.sources.shard import SHARD_ROWS, Shard, conformed, conforming, load, sliced, stage, stored_types
from sterling.sources.store import StoreSource, commit, intact, place, read_set, refuse_foreign, taken

WORK = ".work"
SHOWN_FAILURES = 3


def map_shards(
    dataset: Dataset,
    job: str,
    *,
    settings: Mapping[str, Json],
    out: Path,
    seed: int,
    task: str,
    executor: Literal["local", "ray"] = "local",
    workers: int = 1,
    on_event: OnEvent = silent,
    shard_rows: int = SHARD_ROWS,
    schema: Schema | None = None,
    origin: Origin | None = None,
    lineage: Lineage | None = None,
    name: str | None = None,
) -> Dataset:
    """Send a set through a job, shard by shard, into a new set.

    Args:
        dataset: what goes in; its order of rows counts.
        job: "module:Class" of a `ShardJob`, importable in the workers.
        settings: arguments of the class.
        out: the folder of the new set. Run the same again to resume after a kill, or after failures.
        seed: the run's seed.
        task: the task's name: seed, name and number of a shard give its random stream.
        executor: "local" processes, or "ray" tasks over storage that all machines share.
        workers: how many at once; changes no byte.
        on_event: hears "plan", "shard", "shard_failed" and "worker_lost".
        shard_rows: rows per input shard; changes what a job sees at once, so it changes the result.
        schema: of the new set; None if the job keeps the columns.
        origin: of the new set; None if the job keeps it.
        lineage: of the new set; by default one step from the input.
        name: of the new set; the task's name by default.

    Returns:
        The new set; shard i holds the result of input shard i.

    Raises:
        TaskFailed: if shards failed or killed their workers twice; the others are kept for the next run.
        InputError: if `out` holds something else, or the job cannot be found.
    """
    _job_class(job)
    plan = _Plan(
        job=job,
        settings=dict(sorted(settings.items())),
        seed=seed,
        task=task,
        schema=record_schema(schema or dataset.schema),
        origin=origin or dataset.origin,
        lineage=lineage or _one_step(dataset, task),
        name=name or task,
    )
    with locked(out):
        refuse_foreign(out)
        work = out.absolute() / WORK
        source = _laid_out(dataset, work / "input", shard_rows)
        tasks = plan.tasks(source.shards)
        before = read_manifest(out) if (out / MANIFEST).exists() else None
        if before is not None and not plan.made(before, tasks):
            shutil.rmtree(work, ignore_errors=True)
            raise taken(out, before)
        if before is None or not all(intact(out, shard) for shard in before.shards):
            engine = LocalExecutor(workers) if executor == "local" else RayExecutor(workers)
            done = _run(tasks, ShardWork(source, work, plan.schema), engine, on_event=on_event, shard_rows=shard_rows)
            commit(out, plan.manifest(tasks, [done[t.key] for t in tasks], out))
        shutil.rmtree(work, ignore_errors=True)
    return read_set(out)


@dataclass(frozen=True, slots=True)
class _Plan:
    """What is to be made, as the new set will remember it."""

    job: str
    settings: dict[str, Json]
    seed: int
    task: str
    schema: Schema
    origin: Origin
    lineage: Lineage
    name: str

    def tasks(self, shards: Sequence[Shard]) -> list[Task]:
        shape = hashlib.sha256(json.dumps(schema_to_json(self.schema), sort_keys=True).encode()).hexdigest()
        params = tuple(self.settings.items())
        return [
            Task(self.job, params, (self.seed, self.task, index), (shard.sha256, shape))
            for index, shard in enumerate(shards)
        ]

    def remembered(self, tasks: Sequence[Task]) -> dict[str, Json]:
        keys = hashlib.sha256("\n".join(t.key for t in tasks).encode()).hexdigest()
        return {"job": self.job, "settings": self.settings, "seed": self.seed, "task": self.task, "plan": keys}

    def made(self, before: Manifest, tasks: Sequence[Task]) -> bool:
        """Whether an existing set is what this plan makes."""
        mine = (self.name, self.schema, self.origin, self.lineage, self.remembered(tasks))
        return mine == (before.name, before.schema, before.origin, before.lineage, dict(before.extra))

    def manifest(self, tasks: Sequence[Task], shards: Sequence[Shard], out: Path) -> Manifest:
        """The manifest of the finished set; reads every shard once more, and so checks it."""
        tables = (load(out, shard) for shard in shards)
        first = None
        hashes: list[Any] = []
        for table in tables:
            first = table.schema if first is None else first
            if table.schema != first:
                raise TaskFailed(
                    f"{self.job} gave columns {_types(first)} for one shard and {_types(table.schema)} for another",
                    mend="return the same columns and types for every shard, then name a new folder",
                )
            hashes.append(content_hashes(normalise(table).table))
        return Manifest(
            name=self.name,
            schema=self.schema,
            origin=self.origin,
            lineage=self.lineage,
            rows=sum(shard.rows for shard in shards),
            fingerprint=fingerprint(self.schema, np.concatenate(hashes)),
            shards=tuple(shards),
            extra=self.remembered(tasks),
        )


def _types(schema: Any) -> str:
    return ", ".join(f"{field.name}: {field.type}" for field in schema)


def _one_step(dataset: Dataset, task: str) -> Lineage:
    old = dataset.lineage
    return replace(old, generator=task, parents=(dataset.fingerprint,), depth=old.depth + 1)


def _laid_out(dataset: Dataset, folder: Path, shard_rows: int) -> StoreSource:
    """The input as shards on disk, where every worker finds its own without reading the others."""
    source = dataset.source
    if isinstance(source, StoreSource):
        *whole, last = source.shards
        if all(shard.rows == shard_rows for shard in whole) and last.rows <= shard_rows:
            return source
    shutil.rmtree(folder, ignore_errors=True)
    with writing_to(folder):
        folder.mkdir(parents=True)
    shards: list[Shard] = []
    for table in sliced(conforming(dataset.batches(), record_schema(dataset.schema)), shard_rows):
        shard, staged = stage(table, folder)
        place(staged, folder, shard)
        shards.append(shard)
    return StoreSource(folder, tuple(shards))


@dataclass(frozen=True, slots=True)
class ShardWork:
    """What a worker does with a task; picklable.

    Args:
        source: the shards that go in.
        work: folder of the run, inside the folder of the new set.
        schema: of the new set.
    """

    source: StoreSource
    work: Path
    schema: Schema

    def __call__(self, task: Task) -> bytes:
        """Make one shard of the new set and put it in its place; returns its name, rows and size as JSON."""
        seed, name, index = task.seed_path
        table = load(self.source.folder, self.source.shards[int(index)])
        job = _job(task.function, json.dumps(dict(task.params)))
        made = job(table, rng=seeds.stream(int(seed), name, index))
        types = _typed_like(table.schema, stored_types(made, self.schema))
        shard, staged = stage(conformed(made, types), self.work / "staging")
        place(staged, self.work.parent, shard)
        return json.dumps(asdict(shard)).encode()


def _typed_like(given: pa.Schema, made: pa.Schema) -> pa.Schema:
    """A shard whose cells are all missing has no type of its own: its column keeps that of the input."""
    return pa.schema([given.field(f.name) if pa.types.is_null(f.type) and f.name in given.names else f for f in made])


def _job_class(job: str) -> Any:
    module, colon, name = job.partition(":")
    try:
        found = getattr(importlib.import_module(module), name, None) if colon else None
    except ModuleNotFoundError as err:
        if err.name is None or not module.startswith(err.name):
            raise
        found = None
    if found is None:
        raise InputError(f"there is no job {job!r}", mend="name it as 'module:Class', importable in every worker")
    return found


@functools.lru_cache(maxsize=1)
def _job(function: str, settings: str) -> ShardJob:
    """The job, built once per worker and not once per shard: it may have a model to load."""
    return _job_class(function)(**json.loads(settings))


def _run(
    tasks: Sequence[Task], work: ShardWork, engine: Executor, *, on_event: OnEvent, shard_rows: int
) -> dict[str, Shard]:
    """The shard of every task, by the task's key; journaled ones are taken over if their files are whole."""
    out, journal = work.work.parent, JsonlLedger(work.work / "journal.jsonl")
    staging = work.work / "staging"
    shutil.rmtree(staging, ignore_errors=True)
    with writing_to(staging):
        staging.mkdir(parents=True)
    done = _journaled(journal, out)
    left = [task for task in tasks if task.key not in done]
    on_event("plan", {"shards": len(tasks), "done": len(tasks) - len(left)})
    failures: list[tuple[Task, Exception]] = []
    for task, result in engine.run(left, work, on_event=on_event) if left else ():
        index = task.seed_path[-1]
        if isinstance(result, Exception):
            failures.append((task, result))
            on_event("shard_failed", {"shard": index, "error": str(result)})
            continue
        done[task.key] = Shard(**json.loads(result))
        journal.record("shard.done", key=task.key, **asdict(done[task.key]))
        on_event("shard", {"shard": index, "rows": done[task.key].rows})
    if failures:
        raise _failed(failures, len(tasks), shard_rows)
    return done


def _journaled(journal: JsonlLedger, out: Path) -> dict[str, Shard]:
    """Shards that an earlier run committed and that are still whole, by task key."""
    found: dict[str, Shard] = {}
    for event in journal.events():
        facts: dict[str, Any] = dict(event)
        shard = Shard(facts["sha256"], facts["rows"], facts["bytes"])
        if intact(out, shard):
            found[facts["key"]] = shard
    return found


def _failed(failures: Sequence[tuple[Task, Exception]], total: int, shard_rows: int) -> TaskFailed:
    told: list[str] = []
    for task, error in failures[:SHOWN_FAILURES]:
        start = int(task.seed_path[-1]) * shard_rows
        told.append(f"shard {task.seed_path[-1]} (from row {start:,}): {as_failure(error).message}")
    more = f"; and {len(failures) - len(told)} more" if len(failures) > len(told) else ""
    return TaskFailed(
        f"{len(failures)} of {total} shards failed: {'; '.join(told)}{more}",
        mend=f"{as_failure(failures[0][1]).mend}; the other shards are kept, and only these are done again",
    )
