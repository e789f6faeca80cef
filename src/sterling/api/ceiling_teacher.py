"""Who the teacher is: a column of answers, a score that somebody states, or a generator that can be asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sterling.api.inputs import Arena
from sterling.kernel import registry
from sterling.kernel.dataset import Dataset
from sterling.kernel.errors import InputError, UnknownName
from sterling.kernel.estimate import Estimate
from sterling.kernel.protocols import OnEvent
from sterling.kernel.schema import Kind, Role
from sterling.kernel.seeds import stream
from sterling.kernel.view import Column, View
from sterling.stats.scores import CHANCE, metric_name

if TYPE_CHECKING:
    import pyarrow as pa

    from sterling.blend.ceiling import Teacher
    from sterling.kernel.view import Floats

# Answers per record that a generator is asked for: the share of each is its P(y | x), to .1 at worst.
ASKED = 20


def hidden(dataset: Dataset, names: Sequence[str]) -> Dataset:
    """The same set with these columns as identifiers: kept, and never a feature."""
    schema = dataset.schema
    for name in names:
        if name in schema:
            schema = schema.replaced(replace(schema[name], role=Role.KEY))
    return replace(dataset, schema=schema)


def teacher_of(asked: str, arena: Arena, *, seed: int, on_event: OnEvent) -> Teacher:
    """The teacher that the user named.

    Args:
        asked: a column of the benchmark; else a score such as "0.87" or, with its interval, "0.87,0.85,0.89"; else
            the name of a generator, which is fitted on the train part and asked for the benchmark's targets.
        arena: everything read; the column is hidden in it.
        seed: of the run.
        on_event: told what is done.

    Raises:
        InputError: for a column that answers nothing that can be scored, or a name that is nothing of the three.
    """
    if asked in arena.benchmark.schema:
        return _from_column(asked, arena)
    score = _stated(asked, target_of(arena.benchmark_view))
    if score is not None:
        from sterling.blend.ceiling import Teacher

        if target_of(arena.benchmark_view).kind is Kind.CATEGORY and score.value < CHANCE["auc"]:
            on_event(
                "step", {"text": f"a teacher's score of {asked} is worse than chance, 0.5: is it the right score?"}
            )
        return Teacher(f"score {asked}", "score", score=score)
    if asked in registry.names("generators"):
        return _from_generator(asked, arena, seed=seed, on_event=on_event)
    known = [*arena.benchmark.schema.names, *registry.names("generators")]
    raise UnknownName.among(asked, known, what="column of the benchmark, score or generator")


def _stated(asked: str, truth: Column) -> Estimate | None:
    """A score, with the ends of its 95 % interval where they are given."""
    try:
        numbers = [float(part) for part in asked.split(",")]
    except ValueError:
        return None
    value, low, high = (*numbers, *numbers * 2)[:3]
    if len(numbers) not in (1, 3) or not low <= value <= high or not abs(value) <= 1:
        raise InputError(
            f"{asked!r} is no score with its interval",
            mend="write a score of at most 1 (AUC, R2), as 0.87 or as 0.87,0.85,0.89",
        )
    if truth.kind is Kind.CATEGORY and not 0 <= low <= high <= 1:
        raise InputError(
            f"{asked!r} is no {metric_name(truth)}, which lies between 0 and 1",
            mend="write the score on this benchmark, as 0.87 or as 0.87,0.85,0.89",
        )
    return Estimate(value, low, high, 0, 0.95, "as stated" if len(numbers) == 3 else "as stated, without an interval")


def _from_column(name: str, arena: Arena) -> Teacher:
    """Class names, probabilities of the second class, or numbers."""
    import numpy as np

    from sterling.blend.ceiling import Teacher
    from sterling.modalities.tabular.canonical import canonical, floats

    truth = target_of(arena.benchmark_view)
    if name == truth.name:
        raise InputError(f"{name!r} is the target itself", mend="name the column that holds the teacher's answers")
    cells = arena.benchmark.table((name,)).column(0)
    if truth.kind is not Kind.CATEGORY:
        said = floats(canonical(cells, replace(arena.benchmark.schema[name], kind=Kind.NUMBER)))
        return Teacher(name, "numbers", said=np.asarray(said, dtype=np.float64))
    codes = class_codes(cells, truth, arena)
    if (codes >= 0).any():
        return Teacher(name, "labels", said=_one_hot(codes, len(truth.levels or ())))
    said = np.asarray(floats(canonical(cells, replace(arena.benchmark.schema[name], kind=Kind.NUMBER))))
    present = np.unique(truth.values[truth.values >= 0])
    known = said[np.isfinite(said)]
    if present.size == 2 and known.size and known.min() >= 0 and known.max() <= 1:
        full = np.zeros((said.size, len(truth.levels or ())))
        full[:, present[1]], full[:, present[0]] = said, 1 - said
        return Teacher(name, "chances", said=full)
    levels = ", ".join((truth.levels or ())[:5])
    raise InputError(
        f"column {name!r} holds neither classes of {truth.name!r} ({levels}) nor probabilities of its second class",
        mend="write the class that the teacher names, or, for two classes, the probability of the second in reading "
        "order",
    )


def class_codes(cells: pa.ChunkedArray, truth: Column, arena: Arena) -> Any:
    """[n] classes by their place among the target's levels; -1 where a cell is empty or names no class."""
    import numpy as np

    from sterling.modalities.tabular.canonical import canonical

    place = {level: code for code, level in enumerate(truth.levels or ())}
    spec = replace(arena.real.schema[truth.name], kind=Kind.CATEGORY)
    return np.array([place.get(str(cell), -1) for cell in canonical(cells, spec).to_pylist()], dtype=np.int64)


def _one_hot(codes: Any, classes: int) -> Floats:
    """[n, classes] a one in the class named; NaN where none is."""
    import numpy as np

    said = np.zeros((codes.size, classes))
    said[np.arange(codes.size), np.maximum(codes, 0)] = 1.0
    said[codes < 0] = np.nan
    return said


def _from_generator(name: str, arena: Arena, *, seed: int, on_event: OnEvent) -> Teacher:
    """Fit a generator on the train part, hold the benchmark's features fixed, and let it draw the target."""
    import numpy as np

    from sterling.blend.ceiling import Teacher
    from sterling.modalities.tabular.canonical import canonical, floats

    truth = target_of(arena.benchmark_view)
    made_by: Any = registry.build("generators", name, {})
    features = tuple(f.name for f in arena.real.schema if f.role not in (Role.KEY, Role.ENTITY, Role.TARGET))
    if "first" in getattr(type(made_by), "__dataclass_fields__", {}):
        made_by = registry.build("generators", name, {"first": features})
    on_event("step", {"text": f"asking {name} for {truth.name} of {arena.benchmark.rows:,} rows, {ASKED} times each"})
    fitted = made_by.fit(arena.train, rng=stream(seed, "ceiling", name, "fit"))
    given = arena.benchmark.table(features)
    said: Any = None
    for i in range(ASKED):
        rng = stream(seed, "ceiling", name, "ask", i)
        parts = list(made_by.sample(fitted, given.num_rows, rng=rng, given=given))
        drawn = [part.column(truth.name) for part in parts]
        if truth.kind is Kind.CATEGORY:
            one = np.concatenate([class_codes(cells, truth, arena) for cells in drawn])
            one = np.nan_to_num(_one_hot(one, len(truth.levels or ())))
        else:
            spec = arena.real.schema[truth.name]
            one = np.concatenate([np.asarray(floats(canonical(cells, spec))) for cells in drawn])
        said = one / ASKED if said is None else said + one / ASKED
    return Teacher(f"{name} (generator)", "chances" if truth.kind is Kind.CATEGORY else "numbers", said=said)


def target_of(view: View) -> Column:
    """The target of a view in which one was declared."""
    if view.target is None:
        raise InputError("the target is not in every set", mend="name a target column that all sets have")
    return view.target
