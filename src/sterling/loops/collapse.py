"""The loop: a generator fitted on its own output, generation after generation, examined against real rows each time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from sterling.kernel.dataset import Dataset, Lineage, Origin
from sterling.kernel.errors import InputError, SterlingError
from sterling.kernel.protocols import Generator, OnEvent
from sterling.kernel.seeds import stream
from sterling.kernel.task import Task
from sterling.kernel.view import View
from sterling.loops.injection import MADE, RESERVE, Injected, inject
from sterling.loops.reading import Examined
from sterling.loops.vitals import examine
from sterling.loops.watched import protected, watched
from sterling.modalities.tabular import from_table, plain_table
from sterling.run.tasks import attempt
from sterling.stats.drift import Mode

if TYPE_CHECKING:
    from sterling.kernel.view import Bools

Encode = Callable[[Sequence[Dataset]], tuple[View, ...]]
Keep = Callable[[Task, Callable[[], bytes]], bytes]


@dataclass(frozen=True, slots=True)
class Course:
    """What is run.

    Args:
        generator: fits and samples.
        label: the generator's name with its settings.
        start: the real rows that the first generation is fitted on.
        reserve: real rows that no generation has seen; for "inject".
        generations: T >= 2.
        rows: rows a generation.
        inject: fresh real rows per protected slice and generation.
        declared: columns of which each value is protected.
        least: slices with fewer real rows cannot be judged.
        seed: same seed, same loop.
        encode: sets as views in one encoding.
        keep: looks a made set up by its task, or makes it.
        on_event: hears progress.
    """

    generator: Generator
    label: str
    start: Dataset
    reserve: Dataset | None
    generations: int
    rows: int
    inject: int
    declared: tuple[str, ...]
    least: int
    seed: int
    encode: Encode
    keep: Keep
    on_event: OnEvent


@dataclass(frozen=True, slots=True)
class Step:
    """One generation.

    Args:
        generation: 1 is fitted on real rows.
        made: its rows.
        seen: what the signs say.
        fitted_rows: rows it was fitted on.
        fresh: real rows among them that no generation had before.
        replayed: real rows among them that were used before.
        short: protected slices for which the reserve held too few fresh rows.
        held: rows of each watched slice in what it was fitted on; of "inject" alone, the others follow from `made`.
    """

    generation: int
    made: Dataset
    seen: Examined
    fitted_rows: int
    fresh: int = 0
    replayed: int = 0
    short: tuple[str, ...] = ()
    held: Mapping[str, int] = field(default_factory=dict[str, int])


@dataclass(frozen=True, slots=True)
class Trace:
    """One mode's generations.

    Args:
        mode: how the next generation's training data are made.
        steps: the generations that came about.
        failure: what stopped the loop early; None where nothing did.
    """

    mode: Mode
    steps: tuple[Step, ...]
    failure: SterlingError | None = None


@dataclass(frozen=True, slots=True)
class _Training:
    """What the next generation is fitted on."""

    data: Dataset
    fresh: int = 0
    replayed: int = 0
    short: tuple[str, ...] = ()
    held: Mapping[str, int] = field(default_factory=dict[str, int])


@dataclass(slots=True)
class _State:
    """What a loop carries from one generation to the next."""

    outputs: list[Dataset] = field(default_factory=list[Dataset])
    used: Bools | None = None


def collapse(course: Course, modes: Sequence[Mode]) -> tuple[Trace, ...]:
    """Run every mode; the first generation is the same for all and is made once.

    Args:
        course: what is run.
        modes: which training data later generations get.

    Returns:
        One trace per mode, in the order given; a loop that fails ends there and the others go on.
    """
    first = attempt(lambda: _step(course, _Training(course.start), 1, "first"))
    if isinstance(first, SterlingError):
        return tuple(Trace(mode, (), first) for mode in modes)
    return tuple(_run(course, mode, first) for mode in modes)


def planned(course: Course, modes: Sequence[Mode]) -> tuple[int, int]:
    """What the loop costs, before it starts: generator fits, and rows fitted in all."""
    later = course.generations - 1
    rows = course.start.rows
    for mode in modes:
        if mode == "accumulate":
            rows += later * course.start.rows + course.rows * later * (later + 1) // 2
        else:
            rows += later * course.rows
    return 1 + later * len(modes), rows


def _run(course: Course, mode: Mode, first: Step) -> Trace:
    state, steps = _State([first.made]), [first]
    for generation in range(2, course.generations + 1):
        done = attempt(lambda t=generation: _step(course, _training(course, mode, state, t), t, mode))
        if isinstance(done, SterlingError):
            return Trace(mode, tuple(steps), done)
        state.outputs.append(done.made)
        steps.append(done)
    return Trace(mode, tuple(steps))


def _step(course: Course, training: _Training, generation: int, mode: str) -> Step:
    course.on_event("step", {"text": f"{mode}, generation {generation}: fitting on {training.data.rows:,} rows"})
    made = _made(course, training.data, generation, mode)
    real, view = course.encode([course.start, made])
    seen = examine(real, view, declared=course.declared, least=course.least, seed=course.seed)
    return Step(
        generation, made, seen, training.data.rows, fresh=training.fresh, replayed=training.replayed,
        short=training.short, held=training.held,
    )  # fmt: skip


def _made(course: Course, training: Dataset, generation: int, mode: str) -> Dataset:
    """One generation's rows: looked up by what they are made from, or made now."""
    path: tuple[str | int, ...] = (course.seed, "collapse", mode, generation)
    task = Task(
        "sterling.loops.collapse:generation",
        (("generator", course.label), ("rows", course.rows)),
        path,
        (training.fingerprint,),
    )
    table = pa.ipc.open_stream(course.keep(task, lambda: _sampled(course, training, path))).read_all()
    lineage = Lineage(
        generator=course.label,
        parents=(training.fingerprint,),
        depth=training.lineage.depth + 1,
        fitted_on="real" if generation == 1 else "unknown",
    )
    return from_table(
        table, name=f"{mode} {generation}", origin=Origin.SYNTHETIC, schema=course.start.schema, lineage=lineage
    )


def _sampled(course: Course, training: Dataset, path: tuple[str | int, ...]) -> bytes:
    seed, *words = path
    fitted: Any = course.generator.fit(training, rng=stream(int(seed), *words, "fit"))
    parts = course.generator.sample(fitted, course.rows, rng=stream(int(seed), *words, "sample"))
    table = pa.concat_tables(list(parts))
    lacking = [name for name in training.schema.names if name not in table.column_names]
    if table.num_rows != course.rows or lacking:
        what = f"lacks {', '.join(lacking[:5])}" if lacking else f"made {table.num_rows:,} rows"
        raise InputError(
            f"{course.label} was asked for {course.rows:,} rows and {what}", mend="mend the generator's sample"
        )
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


def _training(course: Course, mode: Mode, state: _State, generation: int) -> _Training:
    last = state.outputs[-1]
    if mode == "replace":
        return _Training(last)
    if mode == "inject":
        return _injected(course, state, generation)
    pool = _joined([course.start, *state.outputs], name=mode)
    if mode == "budget" and pool.rows > course.rows:
        rng = stream(course.seed, "collapse", mode, generation, "budget")
        chosen = np.sort(rng.permutation(pool.rows)[: course.rows])
        pool = _taken(pool, chosen)
    return _Training(pool)


def _injected(course: Course, state: _State, generation: int) -> _Training:
    """The last output with real rows for every protected slice in place of some of its own."""
    reserve, last = course.reserve, state.outputs[-1]
    if reserve is None:
        raise InputError("there are no fresh real rows to inject", mend="give more real rows, or --fresh FILE")
    if state.used is None:
        state.used = np.zeros(reserve.rows, dtype=np.bool_)
    views = course.encode([course.start, last, reserve])
    slices = watched(views, course.declared, least=course.least)
    chosen: Injected = inject(
        protected(slices), state.used, rows=course.inject, n_real=course.start.rows, n_made=last.rows,
        rng=stream(course.seed, "collapse", "inject", generation, "draw"),
    )  # fmt: skip
    state.used[chosen.fresh] = True
    parts = [_taken(last, np.flatnonzero(chosen.kept)), _taken(reserve, chosen.fresh), _taken(reserve, chosen.replayed)]
    data = _joined([p for p in parts if p.rows], name="inject")
    added = np.concatenate([chosen.fresh, chosen.replayed])
    held = {s.name: int(s.mask(MADE)[chosen.kept].sum() + s.mask(RESERVE)[added].sum()) for s in slices}
    return _Training(data, int(chosen.fresh.size), int(chosen.replayed.size), chosen.short, held)


def _taken(one: Dataset, rows: np.ndarray[Any, np.dtype[Any]]) -> Dataset:
    return _dataset(plain_table(one).take(pa.array(rows)), like=one)


def _joined(sets: Sequence[Dataset], *, name: str) -> Dataset:
    """Sets one under another, with the history of all."""
    names = list(sets[0].schema.names)
    tables = [plain_table(one).select(names) for one in sets]
    deepest = max(sets, key=lambda s: s.lineage.depth)
    lineage = Lineage(parents=tuple(s.fingerprint for s in sets), depth=deepest.lineage.depth)
    mixed = replace(sets[0], name=name, origin=Origin.MIXED, lineage=lineage)
    return _dataset(pa.concat_tables(tables, promote_options="permissive"), like=mixed)


def _dataset(table: pa.Table, *, like: Dataset) -> Dataset:
    return from_table(table, name=like.name, origin=like.origin, schema=like.schema, lineage=like.lineage)
