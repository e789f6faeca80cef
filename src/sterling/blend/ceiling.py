"""Teacher, student and target side by side: how good the source of the labels is, and how much of it came through."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from sterling.blend.training import Cost, cost_of, judge, labelled, target_of
from sterling.kernel.errors import SterlingError
from sterling.kernel.estimate import Estimate, Unmeasured
from sterling.kernel.protocols import Learner, OnEvent, silent
from sterling.kernel.seeds import stream
from sterling.kernel.view import Column, View
from sterling.stats.bounds import normal_quantile
from sterling.stats.scores import (
    CHANCE,
    NAMES,
    bootstrap_scores,
    resample_counts,
    score_of,
    scoring_arrays,
    unscorable,
)

if TYPE_CHECKING:
    from sterling.kernel.view import AnyArray, Floats

# (benchmark row, draw, model) triples that a bootstrap may look at: a few seconds' worth.
BOOTSTRAP_BUDGET = 2e8
FEWEST_DRAWS, MOST_DRAWS = 200, 1000

Answers = Literal["labels", "chances", "numbers", "score"]


@dataclass(frozen=True, slots=True, eq=False)
class Teacher:
    """What labelled the synthetic rows, or made them, as far as the benchmark can ask it.

    Args:
        name: how reports call it.
        answers: classes, class probabilities, numbers, or nothing but a score that somebody states.
        said: [n, k] per benchmark row a one in the class it names, or probabilities; [n] numbers; None for a score.
            Rows it says nothing of are NaN.
        score: the stated score; its ends equal its value where no interval is known.
    """

    name: str
    answers: Answers
    said: Floats | None = None
    score: Estimate | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Compared:
    """Scores of all three on the same benchmark rows; larger is better.

    Args:
        metric: "accuracy", "AUC", "macro AUC", "R2", or the learner's own score.
        chance: what a model reaches that has learnt nothing; None if unknown.
        rows: benchmark rows that all three were asked.
        teacher: its score.
        student: of the learner trained on the synthetic rows alone.
        target: of the learner trained on the real rows.
        lead: teacher minus target: what there is to inherit.
        lost: student minus teacher.
        gap: student minus target.
        kept: share of the teacher's lead over chance that the student has.
    """

    metric: str
    chance: float | None
    rows: int
    teacher: Estimate
    student: Estimate
    target: Estimate
    lead: Estimate
    lost: Estimate
    gap: Estimate
    kept: Estimate | Unmeasured


@dataclass(frozen=True, slots=True, eq=False)
class _Arm:
    """What one learner's trainings say of the benchmark: predictions, or scores where it gives no more."""

    predictions: tuple[Floats, ...]
    scores: Floats


def plan_cost(real: View, synthetic: View, *, learner: Learner, runs: int) -> Cost:
    """What `compare_teacher` will take, known before it starts."""
    return cost_of([(real.n, runs), (synthetic.n, runs)], learner)


def compare_teacher(
    real: View,
    synthetic: View,
    test: View,
    teacher: Teacher,
    *,
    learner: Learner,
    seed: int,
    runs: int = 5,
    level: float = 0.95,
    on_event: OnEvent = silent,
) -> Compared | Unmeasured:
    """Score the teacher, a learner trained on the synthetic rows, and one trained on the real rows.

    All differences are paired: the same benchmark rows are resampled for all three, and what the trainings
    differ by among themselves is added.

    Args:
        real: rows to learn from; the teacher's column is not among them.
        synthetic: likewise.
        test: the benchmark.
        teacher: its answers on the rows of `test`, in that order.
        learner: the model the data is for.
        seed: of the run.
        runs: trainings per arm.
        level: nominal coverage.
        on_event: told "trained" after each training.

    Returns:
        The comparison, or why there is none: too little benchmark, a teacher that answers nothing, a learner that
        fails on the synthetic rows.

    Raises:
        SterlingError: if training on the real rows fails.
    """
    asked = _asked(test, teacher)
    if isinstance(asked, Unmeasured):
        return asked
    rows, ready = asked
    bench = test.take(rows)
    target = _trained("real", real, bench, learner=learner, seed=seed, runs=runs, on_event=on_event)
    try:
        student = _trained("synthetic", synthetic, bench, learner=learner, seed=seed, runs=runs, on_event=on_event)
    except SterlingError as error:
        on_event("failed", {"arm": "synthetic", "reason": error.message})
        return Unmeasured(f"training on the synthetic rows failed: {error.message}", error.mend)
    rng = stream(seed, "ceiling", "bootstrap", teacher.name)
    if target.predictions and student.predictions:
        return _on_rows(target_of(bench, "the benchmark"), ready, student, target, level=level, rng=rng)
    if teacher.score is None:
        return Unmeasured(
            "the learner gives one score, and the teacher's answers cannot be put on its scale",
            mend="state the teacher's own score on this benchmark: --teacher 0.87, or use a built-in --learner",
        )
    return _on_scores(teacher.score, student, target, bench.n, level=level, rng=rng)


def _asked(test: View, teacher: Teacher) -> tuple[AnyArray, Teacher] | Unmeasured:
    """The benchmark rows whose truth and whose answer are known, and the answers on them."""
    truth = target_of(test, "the benchmark")
    known = ~truth.missing
    if teacher.said is not None:
        known &= np.isfinite(teacher.said.reshape(test.n, -1)).all(axis=1)
        if not known.any():
            return Unmeasured(f"{teacher.name} answers none of the {test.n:,} benchmark rows", "fill that column in")
    rows = np.flatnonzero(known)
    part = Column(truth.name, truth.kind, truth.role, truth.values[rows], truth.levels)
    short = unscorable(part)
    if short is not None:
        return replace(short, reason=f"in the benchmark, {short.reason}")
    return rows, replace(teacher, said=None if teacher.said is None else teacher.said[rows])


def _trained(name: str, view: View, bench: View, *, learner: Learner, seed: int, runs: int, on_event: OnEvent) -> _Arm:
    part = labelled(view, f"the {name} rows")
    predictions: list[Floats] = []
    scores: list[float] = []
    for run in range(runs):
        found = judge(learner, learner.fit(part, None, rng=stream(seed, "ceiling", name, run)), bench)
        if isinstance(found, np.ndarray):
            predictions.append(found)
        else:
            scores.append(found)
        on_event("trained", {"arm": name, "rows": part.n, "run": run})
    return _Arm(tuple(predictions), np.array(scores))


def _on_rows(
    truth: Column, teacher: Teacher, student: _Arm, target: _Arm, *, level: float, rng: np.random.Generator
) -> Compared:
    """Joint resampling of the benchmark rows, and the spread between trainings."""
    models = [*student.predictions, *target.predictions, *([] if teacher.said is None else [teacher.said])]
    n = truth.values.size
    draws = int(np.clip(BOOTSTRAP_BUDGET / (len(models) * n), FEWEST_DRAWS, MOST_DRAWS))
    if teacher.answers == "labels":
        metric, chance = "accuracy", float(np.bincount(truth.values).max()) / n
        points, drawn = _accuracies(truth.values, models, draws=draws, rng=rng)
    else:
        kind, y, ready = scoring_arrays(truth, models)
        metric, chance = NAMES[kind], CHANCE[kind]
        points = np.array([score_of(truth, m) for m in models])
        drawn = bootstrap_scores(kind, y, ready, draws=draws, rng=rng)
    s, r = len(student.predictions), len(target.predictions)
    own = _strayed(points[:s], drawn[:, :s], rng=rng)
    real = _strayed(points[s : s + r], drawn[:, s : s + r], rng=rng)
    best = (float(points[-1]), drawn[:, -1]) if teacher.said is not None else _stated(teacher.score, draws, rng=rng)
    return _compared(metric, chance, n, (best, own, real), level=level)


def _accuracies(
    truth: AnyArray, models: Sequence[Floats], *, draws: int, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """[models] shares of rows whose likeliest class is the true one, and [draws, models] under resampling."""
    hits = np.stack([m.argmax(axis=1) == truth for m in models], axis=1).astype(np.float64)
    # Within each class, as the other scores are resampled.
    counts = resample_counts(np.unique(truth, return_inverse=True)[1], draws=draws, rng=rng)
    return hits.mean(axis=0), counts.T.astype(np.float64) @ hits / truth.size


def _strayed(points: Floats, drawn: Floats, *, rng: np.random.Generator) -> tuple[float, Floats]:
    """The mean score of an arm's trainings, and [draws] of it with other rows and other seeds."""
    between = float(points.var(ddof=1)) / points.size if points.size > 1 else 0.0
    return float(points.mean()), drawn.mean(axis=1) + np.sqrt(between) * rng.standard_normal(drawn.shape[0])


def _stated(score: Estimate | None, draws: int, *, rng: np.random.Generator) -> tuple[float, Floats]:
    """Draws of a score that somebody states: normal on either side as far as its interval says, else exact."""
    if score is None:
        raise ValueError("a teacher has either answers or a score")
    z = rng.standard_normal(draws)
    width = np.where(z > 0, score.high - score.value, score.value - score.low)
    return score.value, score.value + z * width / normal_quantile((1 - score.level) / 2)


def _on_scores(
    teacher: Estimate, student: _Arm, target: _Arm, n: int, *, level: float, rng: np.random.Generator
) -> Compared:
    """Where a learner gives scores only: trainings vary, the benchmark rows are taken as they are."""
    best = _stated(teacher, MOST_DRAWS, rng=rng)
    arms = [_strayed(a.scores, np.tile(a.scores, (MOST_DRAWS, 1)), rng=rng) for a in (student, target)]
    return _compared("score", None, n, (best, arms[0], arms[1]), level=level)


def _compared(
    metric: str, chance: float | None, n: int, arms: tuple[tuple[float, Floats], ...], *, level: float
) -> Compared:
    (t, teachers), (s, students), (r, targets) = arms

    def estimate(value: float, draws: Floats) -> Estimate:
        low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
        method = "paired bootstrap of benchmark rows, and spread between trainings"
        return Estimate(value, min(float(low), value), max(float(high), value), n, level, method)

    scored = estimate(t, teachers)
    kept: Estimate | Unmeasured
    if chance is None:
        kept = Unmeasured("what a model reaches that has learnt nothing is not known for this score", "use AUC or R2")
    elif scored.low <= chance:
        kept = Unmeasured(
            f"the teacher does not beat chance ({metric} {t:.3f}, chance {chance:.3f}): there is nothing to keep",
            "look at its answers: is it the right column, and the right class first?",
        )
    else:
        kept = estimate((s - chance) / (t - chance), (students - chance) / np.maximum(teachers - chance, 1e-9))
    return Compared(
        metric, chance, n, scored, estimate(s, students), estimate(r, targets),
        estimate(t - r, teachers - targets), estimate(s - t, students - teachers),
        estimate(s - r, students - targets), kept,
    )  # fmt: skip
