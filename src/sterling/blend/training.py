"""Training the arms of a comparison: growing subsets of the real rows, whole and half candidates."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from sterling.blend.equivalent import Arm
from sterling.kernel.errors import InputError, SterlingError, TaskFailed
from sterling.kernel.finding import Json
from sterling.kernel.protocols import Effort, Learner, OnEvent, PredictingLearner, ScoringLearner, silent
from sterling.kernel.schema import Kind
from sterling.kernel.seeds import stream
from sterling.kernel.view import Column, View
from sterling.run.tasks import attempt
from sterling.stats.scores import CHANCE, metric_name, minority_rows, score_kind, score_of

if TYPE_CHECKING:
    from sterling.kernel.view import AnyArray, Floats

SMALLEST = 50
# Rows of the rarest class in the smallest subset: with fewer, validation inside it chooses at random.
FEWEST_PER_CLASS = 5
MOST_SIZES: dict[Effort, int] = {"full": 8, "fast": 5}
FAST_RUNS = 3


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """Models trained on growing subsets of the real rows, and what they say of the benchmark.

    Args:
        arms: by increasing size; the last one holds all the rows.
        target: the benchmark's target; None where only scores are known.
        metric: the score's name; larger is better.
        chance: the score of no rows; None if unknown.
    """

    arms: tuple[Arm, ...]
    target: Column | None
    metric: str
    chance: float | None

    @property
    def n_max(self) -> int:
        """The largest number of real rows measured; nothing is said beyond it."""
        return self.arms[-1].rows


@dataclass(frozen=True, slots=True)
class Cost:
    """What a measurement will take.

    Args:
        trainings: how many; with many candidates at most so many.
        rows: that they read in all.
        most_seconds: where the learner has a time limit.
        seconds: as predicted from trainings that were timed; None before.
    """

    trainings: int
    rows: int
    most_seconds: float | None
    seconds: float | None = None

    def as_json(self) -> dict[str, Json]:
        """The facts of the event "cost"."""
        facts: dict[str, Json] = {"trainings": self.trainings, "rows": self.rows, "most_seconds": self.most_seconds}
        if self.seconds is None:
            return facts
        about = f"{self.seconds:,.0f}" if self.seconds >= 10 else f"{self.seconds:.1f}"
        text = f"this takes {self.trainings:,} trainings on {self.rows:,} rows in all: about {about} s"
        return {**facts, "seconds": self.seconds, "text": text}


def target_of(view: View, what: str) -> Column:
    """The target column.

    Raises:
        InputError: if there is none.
    """
    if view.target is None:
        raise InputError(f"{what} has no target column", mend="name the target column: --target NAME")
    return view.target


def labelled(view: View, what: str) -> View:
    """The rows whose target is known."""
    missing = target_of(view, what).missing
    return view.take(~missing) if missing.any() else view


def cost_of(arms: Sequence[tuple[int, int]], learner: Learner) -> Cost:
    """The cost of training arms of (rows, runs)."""
    trainings = sum(runs for _, runs in arms)
    limit: float | None = getattr(learner, "time_limit", None)
    return Cost(trainings, sum(n * runs for n, runs in arms), None if limit is None else limit * trainings)


def curve_sizes(target: Column, *, effort: Effort = "full") -> tuple[int, ...]:
    """Geometric training sizes from about 50 rows (5 of the rarest class) up to all rows.

    >>> from sterling.kernel.schema import Role
    >>> curve_sizes(Column("y", Kind.NUMBER, Role.TARGET, np.arange(3200.0)))
    (50, 100, 200, 400, 800, 1600, 3200)

    Half of all rows is always among them: what is added to half of the rows is measured against it.
    """
    n = int((~target.missing).sum())
    share = minority_rows(target) / n if target.kind is Kind.CATEGORY else 1.0
    smallest = max(1, min(n // 4, max(SMALLEST, int(np.ceil(FEWEST_PER_CLASS / share)))))
    count = int(np.clip(round(np.log2(n / smallest)) + 1, 3, MOST_SIZES[effort]))
    smaller = np.geomspace(min(smallest, max(1, n // 2)), max(1, n // 2), count - 1).round()
    return tuple(int(size) for size in np.unique([*smaller, n]))


def nested_order(target: Column, *, rng: np.random.Generator) -> AnyArray:
    """[n] a random order of the rows in which every prefix has about the class shares of the whole.

    Prefixes of one order are nested subsets.
    """
    n = target.values.size
    order = rng.permutation(n)
    if target.kind is not Kind.CATEGORY:
        return order
    codes = target.values[order]
    place = np.empty(n)
    for code in np.unique(codes):
        rows = np.flatnonzero(codes == code)
        # Each class is spread evenly over (0, 1), from a random start.
        place[rows] = (np.arange(rows.size) + rng.random()) / rows.size
    return order[np.argsort(place, kind="stable")]


def train_arm(
    name: str,
    parts: Sequence[View],
    test: View,
    *,
    learner: Learner,
    seed: int,
    on_event: OnEvent,
    weights: Floats | None = None,
    first: int = 0,
    done: Mapping[tuple[int, int], Judged] = MappingProxyType({}),
) -> Arm:
    """Train once on each part and judge on the benchmark.

    Args:
        name: of the arm; with the rows and the run it names the random stream.
        parts: training rows of each run.
        test: the benchmark.
        learner: the model the data is for.
        seed: of the run.
        on_event: told "trained" after each training.
        weights: of the rows, the same in every run; None for all 1.
        first: number of the first run.
        done: trainings already made, by (rows, run).

    Raises:
        SterlingError: whatever the learner raises, as one of ours.
    """
    judged = [
        done.get((part.n, run)) or train_once(name, part, test, run, learner=learner, seed=seed, weights=weights)
        for run, part in _heard(name, parts, first, on_event)
    ]
    predictions = tuple(one.predictions for one in judged if one.predictions is not None)
    return Arm(name, parts[0].n, np.array([one.score for one in judged]), predictions)


def _heard(name: str, parts: Sequence[View], first: int, on_event: OnEvent) -> Iterator[tuple[int, View]]:
    """The runs, each told of once it is over."""
    for run, part in enumerate(parts, start=first):
        yield run, part
        on_event("trained", {"arm": name, "rows": part.n, "run": run})


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """One training's score on the benchmark, and its predictions where the learner gives them."""

    score: float
    predictions: Floats | None


def train_once(
    name: str, part: View, test: View, run: int, *, learner: Learner, seed: int, weights: Floats | None = None
) -> Judged:
    """One training and its judgement, in the random stream of its name.

    Raises:
        SterlingError: whatever the learner raises, as one of ours.
    """

    def work() -> Judged:
        model = learner.fit(part, weights, rng=stream(seed, "worth", name, part.n, run))
        said = judge(learner, model, test)
        if isinstance(said, np.ndarray):
            return Judged(score_of(target_of(test, "the benchmark"), said), said)
        return Judged(said, None)

    found = attempt(work)
    if isinstance(found, SterlingError):
        raise found
    return found


def judge(learner: Learner, model: Any, test: View) -> Floats | float:
    """Predictions on the benchmark, or the learner's own score where it gives no more.

    Raises:
        InputError: if the learner can do neither.
        TaskFailed: if what it says is not finite.
    """
    found: Floats | float | None = None
    if isinstance(learner, PredictingLearner):
        found = learner.predict(model, test)
    elif isinstance(learner, ScoringLearner):
        found = float(learner.score(model, test))
    if found is not None and not np.all(np.isfinite(found)):
        raise TaskFailed(
            f"the learner {type(learner).__name__} gave a score or prediction that is no number",
            mend="look for missing or infinite values that it cannot take",
        )
    if found is not None:
        return found
    raise InputError(
        f"the learner {type(learner).__name__} neither predicts nor scores",
        mend="give it a method predict(model, data) or score(model, data)",
    )


def real_orders(target: Column, *, runs: int, seed: int) -> list[AnyArray]:
    """The order of the real rows in each run: its prefixes are the subsets that are trained on."""
    return [nested_order(target, rng=stream(seed, "worth", "order", run)) for run in range(runs)]


def measure_curve(
    train: View,
    test: View,
    *,
    learner: Learner,
    seed: int,
    runs: int = 5,
    sizes: Sequence[int] | None = None,
    effort: Effort = "full",
    on_event: OnEvent = silent,
    done: Mapping[tuple[int, int], Judged] = MappingProxyType({}),
) -> Curve:
    """The real learning curve: `runs` trainings on nested, stratified subsets of each size.

    Args:
        train: real rows to learn from; rows without a target are left out.
        test: the benchmark.
        learner: the model the data is for; it tunes itself within each subset, by the same search.
        seed: of the run.
        runs: trainings per size, each on another order of the rows.
        sizes: increasing numbers of rows; all rows are always added; None for a geometric series.
        effort: "fast" takes fewer sizes.
        on_event: told "trained" after each training.
        done: trainings already made, by (rows, run).

    Raises:
        InputError: without a target, or for sizes that are not within the rows.
        SterlingError: if a training fails.
    """
    rows = labelled(train, "the real data")
    target = target_of(rows, "the real data")
    wanted = curve_sizes(target, effort=effort) if sizes is None else tuple(sorted({*sizes, rows.n}))
    if runs < 1 or len(wanted) < 2 or wanted[0] < 1 or wanted[-1] > rows.n:
        raise InputError(
            f"{runs} runs on sizes {list(wanted)} of {rows.n} rows make no curve",
            mend="give at least one run, and sizes between 1 and the number of real rows",
        )
    orders = real_orders(target, runs=runs, seed=seed)
    arms = tuple(
        train_arm(
            "real",
            [rows.take(order[:size]) for order in orders],
            test,
            learner=learner,
            seed=seed,
            on_event=on_event,
            done=done,
        )
        for size in wanted
    )
    truth = target_of(test, "the benchmark")
    if not arms[0].predictions:
        return Curve(arms, None, "score", None)
    return Curve(arms, truth, metric_name(truth), CHANCE[score_kind(truth)])
