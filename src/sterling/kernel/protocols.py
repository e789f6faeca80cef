"""The contracts between rooms. Protocols, not base classes: anything of this shape will do."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, TypeVar, runtime_checkable

from sterling.kernel.dataset import Dataset
from sterling.kernel.estimate import Unmeasured
from sterling.kernel.finding import Better, Finding, Json
from sterling.kernel.schema import Schema
from sterling.kernel.table import Table
from sterling.kernel.task import Task
from sterling.kernel.view import Need, View

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from sterling.kernel.dataset import Batch
    from sterling.kernel.view import Floats

Effort = Literal["fast", "full"]
Score = Literal["auc", "r2"]
Family = Literal["gap", "coverage", "labels", "bias", "privacy", "utility", "diversity"]


class Generator(Protocol):
    """Makes synthetic records. A frozen dataclass whose fields are its settings."""

    def fit(self, data: Dataset, *, rng: np.random.Generator) -> Any:
        """Learn from `data`; returns a new frozen, picklable value and changes nothing.

        Raises:
            InputError: if there is nothing to learn from (no rows, no usable column).
        """
        ...

    def sample(self, fitted: Any, n: int, *, rng: np.random.Generator, given: Batch | None = None) -> Iterator[Batch]:
        """Yield batches of n rows in all, in the schema and storage types of the data it was fitted on.

        Args:
            fitted: what `fit` returned.
            n: rows to make, > 0.
            rng: the stream of this task.
            given: columns (prompts, scene parameters) to be held fixed, n rows; None for free sampling.
        """
        ...


class Augmenter(Protocol):
    """Moves data **and** labels."""

    def apply(self, batch: Batch, *, rng: np.random.Generator) -> Batch:
        """The augmented rows with `_sterling_parent` and validity per record."""
        ...


@runtime_checkable
class FittingAugmenter(Protocol):
    """An augmenter that must learn from other rows first. A frozen dataclass whose fields are its settings."""

    def fit(self, reference: Dataset | None, *, rng: np.random.Generator) -> Augmenter:
        """The augmenter that knows `reference`, or only its settings where there is none; changes nothing.

        Raises:
            InputError: if it cannot do without a reference, or cannot use this one.
        """
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Augmented:
    """Augmented rows, and what a reader must know of them.

    Args:
        batch: the rows, as `Augmenter.apply` gives them.
        tables: what changed, in the order it is to be read.
        notes: plain sentences.
    """

    batch: Batch
    tables: tuple[Table, ...] = ()
    notes: tuple[str, ...] = ()


@runtime_checkable
class TellingAugmenter(Protocol):
    """An augmenter that says what it changed."""

    def augment(self, batch: Batch, *, rng: np.random.Generator) -> Augmented:
        """What `apply` gives, with an account of it."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Marks:
    """What a check says of each record of a batch.

    Args:
        actions: [n] Arrow strings "keep", "drop" or "flag".
        reasons: [n] Arrow strings, null where the action is "keep".
    """

    actions: pa.Array
    reasons: pa.Array


class Check(Protocol):
    """Judges single records. A frozen dataclass whose fields are its settings."""

    def fit(self, reference: Dataset | None, *, rng: np.random.Generator) -> Any:
        """Learn what is right from a reference, or from the schema alone where there is none."""
        ...

    def apply(self, fitted: Any, batch: Batch) -> Marks:
        """Mark every record."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Planted:
    """What a planted fault left behind.

    Args:
        synthetic: the changed synthetic rows.
        columns: where the cause lies, so that a finding can be asked whether it names it; empty where it lies in
            no column, as with copied rows.
        rows: how many rows were changed, added or removed.
        slice: the slice it lies in, such as "sex=F&age=17-22"; None for all rows.
        real: the changed real rows, in the order given; None where they stay as they are.
    """

    synthetic: Batch
    columns: tuple[str, ...]
    rows: int
    slice: str | None = None
    real: Batch | None = None


class Fault(Protocol):
    """Spoils synthetic rows on purpose, or changes them innocently. A frozen dataclass whose fields are its settings.

    Attributes:
        title: plain words for a table.
        severities: ascending; the class says in which unit.
        innocent: whether it is a change that must not alarm.
        expected: the measures that would name it.
    """

    title: ClassVar[str]
    severities: ClassVar[tuple[float, ...]]
    innocent: ClassVar[bool]
    expected: ClassVar[tuple[str, ...]]

    def plant(
        self, real: Batch, synthetic: Batch, *, schema: Schema, severity: float, rng: np.random.Generator
    ) -> Planted | Unmeasured:
        """Plant it in a table of any columns.

        Args:
            real: the real rows that a generator would have seen; an innocent change is given all real rows.
            synthetic: the clean synthetic rows; not changed.
            schema: kinds and roles of the real columns.
            severity: how much, in the fault's own unit.
            rng: the only source of chance.

        Returns:
            The changed rows, or why this table cannot carry the fault.
        """
        ...


class Learner(Protocol):
    """The model the data is for. A frozen dataclass whose fields are its settings."""

    def fit(self, data: View, weights: Floats | None, *, rng: np.random.Generator, start: Any = None) -> Any:
        """Train on `data`; `weights` [n] are relative to a real row's 1, None for all 1.

        `start` continues from a model where the learner can.
        """
        ...


@runtime_checkable
class PredictingLearner(Protocol):
    """A learner that can say what it thinks of each record."""

    def predict(self, model: Any, data: View) -> Floats:
        """[n, k] class probabilities in the order of the target's levels, or [n] predicted numbers."""
        ...

    def losses(self, model: Any, data: View) -> Floats:
        """[n] loss per record: log loss in nats, or squared error; smaller is better."""
        ...


@runtime_checkable
class ScoringLearner(Protocol):
    """A learner of which only an aggregate score is known, such as the user's own program."""

    def score(self, model: Any, data: View) -> float:
        """The user's metric on `data`; larger is better."""
        ...


@runtime_checkable
class ContinuingLearner(Protocol):
    """A learner that may go on from a model of its own: it takes `start` in `fit`."""

    def cannot_continue(self) -> Unmeasured | None:
        """Why it cannot, with these settings, and what to change; None if it can."""
        ...


@runtime_checkable
class BudgetedLearner(Protocol):
    """A learner that can be held to a budget of work."""

    def within(self, visits: int, rows: int) -> Learner:
        """The same learner, reading its `rows` rows at most so often that they make `visits` row visits in all."""
        ...


class Modality(Protocol):
    """What a record is."""

    name: str

    def views(self, sets: Sequence[Dataset]) -> tuple[View, ...]:
        """One view per set, in one encoding shared by all of them."""
        ...


@dataclass(frozen=True, slots=True)
class Terms:
    """The terms on which a measure is taken; the caller's policy, never the measure's own taste.

    Args:
        alpha: the chance of a false alarm that this measure may spend on all its looks together.
        level: nominal coverage of the printed intervals.
        bound: the policy's tolerance, in the measure's own unit; None for the measure's default.
        effort: "fast" may subsample and says so in the finding.
        slices: columns whose slices the user asked for.
        learner: the model the data is for, where the measure needs one.
        runs: trainings per arm, for measures that train.
    """

    alpha: float = 0.0025
    level: float = 0.95
    bound: float | None = None
    effort: Effort = "full"
    slices: tuple[str, ...] = ()
    learner: Learner | None = None
    runs: int = 5


class Measure(Protocol):
    """Compares sets. A function, marked by `measure(...)`; its name is the file's name."""

    def __call__(
        self, real: View, synthetic: View, *, holdout: View | None, rng: np.random.Generator, terms: Terms
    ) -> tuple[Finding, ...]:
        """Never empty. `real` is the train part, `holdout` real rows that no generator saw."""
        ...


@dataclass(frozen=True, slots=True)
class Mark:
    """What the runner must know of a measure before calling it; fields as `measure` takes them."""

    needs: frozenset[Need]
    title: str
    better: Better
    floor: bool
    family: Family
    weight: float


F = TypeVar("F", bound=Callable[..., tuple[Finding, ...]])
MARK = "__sterling_mark__"


def measure(
    *needs: Need, title: str, better: Better, floor: bool = True, family: Family = "gap", weight: float = 1.0
) -> Callable[[F], F]:
    """Mark a function as a measure: what it needs, its title in reports, which way is better.

    Args:
        needs: what it must be given; where a need is not met the runner says `not_applicable`
            (nothing was declared) or `unmeasured` (something is missing), and does not call it.
        title: plain words for a report.
        better: "lower", "higher" or "target".
        floor: whether "real against real" makes sense for it; False for measures that carry their
            own control.
        family: what it judges; reports show one family together.
        weight: its share of the panel's false-alarm budget beside the others' shares; 0 for a measure
            that describes and never fails.
    """

    def mark(function: F) -> F:
        setattr(function, MARK, Mark(frozenset(needs), title, better, floor, family, weight))
        return function

    return mark


def mark_of(function: Measure) -> Mark:
    """The mark that `measure` left."""
    return getattr(function, MARK)


class Cache(Protocol):
    """Results by task key; a paid call is looked up here before anything else happens."""

    def get(self, key: str) -> bytes | None:
        """The stored result, or None."""
        ...

    def put(self, key: str, value: bytes) -> None:
        """Store atomically; storing twice is harmless."""
        ...


class Ledger(Protocol):
    """Append-only record of events, time, tokens and money."""

    def record(self, event: str, **facts: Json) -> None:
        """Append one event; survives kill -9 right after it returns."""
        ...


class ShardJob(Protocol):
    """Work on one shard: Arrow table in, Arrow table out. Built in the worker from its settings."""

    def __call__(self, shard: Batch, *, rng: np.random.Generator) -> Batch:
        """The result for one shard; depends on nothing but the shard, the settings and `rng`."""
        ...


OnEvent = Callable[[str, Mapping[str, Json]], None]


def silent(_event: str, _facts: Mapping[str, Json], /) -> None:
    """The default listener: hears everything, says nothing."""


class Executor(Protocol):
    """Runs tasks somewhere and hands results back as they finish."""

    def run(
        self, tasks: Sequence[Task], work: Callable[[Task], bytes], *, on_event: OnEvent
    ) -> Iterator[tuple[Task, bytes | Exception]]:
        """Yield every task once, with its result or with the error that survived the retries."""
        ...
