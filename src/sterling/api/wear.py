"""What a result asked of its benchmark: written down, answered by the Ladder, and told in every report."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sterling.api.inputs import Arena, journal_path, load, open_benchmark
from sterling.kernel.errors import InputError
from sterling.kernel.estimate import Estimate
from sterling.kernel.finding import Finding, Json
from sterling.kernel.protocols import OnEvent, silent

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from sterling.decide.policy import Policy
    from sterling.decide.result import Result
    from sterling.kernel.dataset import Dataset
    from sterling.kernel.view import Floats
    from sterling.sources.queries import LadderAnswer, Question, Wear


@dataclass(frozen=True, slots=True)
class Answer:
    """What a benchmark says to one question, and no more.

    Args:
        score: the Ladder's best so far, rounded to 1 / n, or what Thresholdout said; None once its budget is spent.
        improved: whether this is a new best beyond what chance makes; None from Thresholdout.
        step: what a new best must exceed; None from Thresholdout and where no step is known.
        questions: different questions this benchmark has answered, this one included.
        left: how often the benchmark may still speak through Thresholdout; None from the Ladder.
    """

    score: float | None
    improved: bool | None
    step: float | None
    questions: int
    left: int | None = None


def ask_benchmark(
    benchmark: Any,
    scores: ArrayLike,
    *,
    name: str,
    what: str,
    train_score: float | None = None,
    schema: Path | None = None,
    on_event: OnEvent = silent,
) -> Answer:
    """Ask a benchmark about a model of your own, as often as you like, without fitting the benchmark.

    Args:
        benchmark: the real rows: a path, a frame or a Dataset.
        scores: [n] one score per row, in the order of the rows; larger is better: 1 where the model is right and 0
            where not, or minus the loss. Their mean is the model's score.
        name: of the model.
        what: names what is scored; only scores of one `what` are compared.
        train_score: the mean score on train rows, in [0, 1]: Thresholdout answers. None: the Ladder answers.
        schema: TOML that overrides kinds and roles of columns.
        on_event: hears how often the benchmark was opened.

    Raises:
        InputError: for scores that are not one finite number a row, or a journal that cannot be written.
    """
    import numpy as np

    from sterling.modalities.tabular.hashing import row_hashes
    from sterling.sources import queries

    rows = load(benchmark, schema=schema)
    given = np.asarray(scores, dtype=np.float64)
    if given.shape != (rows.rows,) or not np.isfinite(given).all() or not given.size:
        raise InputError(
            f"{given.size} scores of shape {given.shape} for the {rows.rows:,} rows of {rows.name}, or not all finite",
            mend="give one finite score for each row, in the order of the rows",
        )
    if train_score is not None and not (0 <= train_score <= 1 and given.min() >= 0 and given.max() <= 1):
        raise InputError("Thresholdout takes scores from 0 to 1", mend="leave train_score out: the Ladder answers")
    open_benchmark(rows, why=f"ask: {what}", on_event=on_event)
    # In the order of the rows' hashes, the same rows in another file still pair with those of the best.
    ordered = given[np.argsort(row_hashes(rows.table()), kind="stable")]
    asked = queries.Question(rows.fingerprint, f"ask: {what}", name, float(ordered.mean()))
    try:
        return _answer(asked, ordered, train_score, rows)
    except OSError as err:
        raise InputError(
            f"the question could not be written down, so it is not answered: {err}",
            mend="set STERLING_HOME to a folder you may write to",
        ) from err


def _answer(asked: Question, ordered: Floats, train_score: float | None, rows: Dataset) -> Answer:
    import math
    import secrets

    from sterling.kernel.seeds import stream
    from sterling.sources import queries

    home, when = journal_path().parent, _now()
    if train_score is None:
        found = queries.ask_ladder(home, asked, n=rows.rows, when=when, rows=ordered)
        step = found.rung.step if math.isfinite(found.rung.step) else None
        answered = Answer(found.rung.best, found.rung.improved, step, 0)
    else:
        rng = stream(secrets.randbits(64), "thresholdout")  # a seed that somebody knows would undo the noise
        said, left = queries.ask_thresholdout(home, asked, train=train_score, n=rows.rows, when=when, rng=rng)
        answered = Answer(said, None, None, 0, left)
    return replace(answered, questions=queries.wear_of(home, rows.fingerprint, rows=rows.rows).questions)


def with_wear(
    result: Result,
    arena: Arena,
    *,
    policy: Policy,
    learner: str = "boosted_trees",
    asked: str = "",
    on_event: OnEvent = silent,
) -> Result:
    """The result with what it asked of the benchmark written down and told: cost, notes, and WORN where it is due.

    The same inputs, seed and policy ask the same questions and get the same words: repeating wears nothing.

    Args:
        result: the finished answer of a command that opened the benchmark.
        arena: the sets it was made of.
        policy: its `benchmark.difference` says when the benchmark is worn.
        learner: the model that was trained; scores of different learners are not compared.
        asked: everything beside the sets that changes the answer, such as seed, settings and teacher: another `asked`
            is another question.
        on_event: hears where the questions could not be written down.
    """
    from sterling.sources import queries

    home, benchmark = journal_path().parent, arena.benchmark
    try:
        notes = list(_record(home, result.findings, arena, kind=result.kind, learner=learner, asked=asked))
        wear = queries.wear_of(home, benchmark.fingerprint, rows=benchmark.rows)
    except OSError as err:
        on_event("note", {"text": f"what was asked of the benchmark was not written down: {err}"})
        return result
    return told(replace(result, notes=(*result.notes, *notes)), wear, policy)


def told(result: Result, wear: Wear, policy: Policy) -> Result:
    """The result with the wear meter in its cost and notes, and WORN where it is due."""
    from sterling.decide.worn import worn

    rule = worn(questions=wear.questions, rows=wear.rows, policy=policy)
    decision = result.decision if rule is None else replace(result.decision, rules=(*result.decision.rules, rule))
    return replace(
        result,
        decision=decision,
        notes=(*result.notes, sentence_of(wear)),
        cost={**(result.cost or {}), "benchmark": wear_facts(wear)},
    )


def wear_facts(wear: Wear) -> dict[str, Json]:
    """How worn a benchmark is, as results carry it.

    Openings are left out: they grow with every repetition, and a repetition must give the same bytes.
    """
    return {
        "rows": wear.rows,
        "questions": wear.questions,
        "since": None if wear.since is None else wear.since[:10],
        "fakeable_gain": round(wear.fakeable, 4),
        "worst_optimism": round(wear.worst, 4),
    }


def sentence_of(wear: Wear) -> str:
    """The wear meter in one sentence."""
    asked = "1 question" if wear.questions == 1 else f"{wear.questions:,} different questions"
    since = "" if wear.since is None else f" since {wear.since[:10]}"
    return (
        f"benchmark of {wear.rows:,} rows: {asked} answered{since}; "
        f"by tuning on the answers alone one could show a gain of up to {wear.fakeable:.3f}"
    )


def _record(
    home: Path, findings: Sequence[Finding], arena: Arena, *, kind: str, learner: str, asked: str
) -> Iterator[str]:
    """Write down every question; yields what the Ladder says where others were scored before."""
    from sterling.sources import queries

    when, scored = _now(), False
    for question, climbs, name in _questions(findings, arena, learner=learner, asked=asked):
        scored = True
        if not climbs:
            queries.count(home, question, when=when)
            continue
        answer = queries.ask_ladder(home, question, n=arena.benchmark.rows, when=when)
        if answer.before:
            yield _verdict(name, question.what.split()[0], answer)
    if not scored:  # no model was scored, but the benchmark was looked at
        prints = "+".join(c.fingerprint for c in arena.candidates)
        queries.count(home, queries.Question(arena.benchmark.fingerprint, kind, f"{prints} {asked}".strip()), when=when)


def _questions(
    findings: Sequence[Finding], arena: Arena, *, learner: str, asked: str
) -> Iterator[tuple[Question, bool, str]]:
    """The numbers that came from scoring models on the benchmark; whether the Ladder may compare them; who it is."""
    from sterling.sources.queries import Question

    prints = {c.name: c.fingerprint for c in arena.candidates}
    target = arena.train_view.target
    how = f"{'' if target is None else target.name} {learner} train={arena.train.fingerprint[:16]}"
    for found in findings:
        name = found.candidate or next(iter(prints), "")
        asker, result = prints.get(name, name), found.result
        for what, value in _counted(found):
            told = f"{asker} {found.slice or ''} {asked}"
            yield Question(arena.benchmark.fingerprint, f"{what} {how}", told, value), False, name
        if found.measure == "mix_gain":
            confirmed, weights = found.evidence.get("confirmation"), found.evidence.get("best")
            if isinstance(confirmed, dict) and isinstance(value := confirmed.get("value"), (int, float)):
                error = _error(*(confirmed.get(k) for k in ("low", "high", "level")))
                asker = (
                    f"mix {sorted(weights.items()) if isinstance(weights, dict) else ''} of {sorted(prints.values())}"
                )
                what = f"mix_gain {found.evidence.get('metric')} {how}"
                yield Question(arena.benchmark.fingerprint, what, asker, float(value), error), True, "this mix"
        elif isinstance(result, Estimate) and found.slice is None:
            if found.measure == "utility":
                error = _error(result.low, result.high, result.level)
                what = f"utility {found.params.get('metric')} {how}"
                yield Question(arena.benchmark.fingerprint, what, asker, result.value, error), True, name
            elif found.measure in ("real_equivalent_rows", "transfer_drop"):
                what = f"{found.measure} {how}"
                yield Question(arena.benchmark.fingerprint, what, asker, result.value), False, name


def _counted(found: Finding) -> Iterator[tuple[str, float]]:
    """Scores on the benchmark that are told in full and climb no Ladder: ablations, confirmed orders, ceilings."""
    told: Mapping[str, Json] = {}
    if found.measure in ("setting_ablation", "measured_error") and isinstance(found.result, Estimate):
        told = {found.measure: {"value": found.result.value}}
    elif found.measure == "order_gain":
        told = {"order_gain": found.evidence.get("confirmation")}
    elif found.measure == "teacher_ceiling":
        told = {f"ceiling {who}": found.evidence.get(who) for who in ("teacher", "student", "target")}
    for what, score in told.items():
        if isinstance(score, dict) and isinstance(value := score.get("value"), (int, float)):
            yield what, float(value)


def _error(low: Json, high: Json, level: Json) -> float | None:
    """The standard error behind an interval, by the normal law; None where an end is open."""
    import math

    from sterling.stats.bounds import normal_quantile

    ends = [float(x) for x in (low, high, level) if isinstance(x, (int, float)) and math.isfinite(x)]
    return None if len(ends) < 3 else (ends[1] - ends[0]) / 2 / normal_quantile((1 - ends[2]) / 2)


def _verdict(name: str, what: str, answer: LadderAnswer) -> str:
    import math

    rung, others = answer.rung, answer.before
    before = f"{others:,} other{'s' if others > 1 else ''} scored before on this benchmark"
    step = f"a step of {rung.step:.3f}" if math.isfinite(rung.step) else "a known standard error"
    if rung.improved and rung.gain is not None:
        return f"{name}: {what} beats the best of {before} by {rung.gain:.3f} ({step} was needed): an improvement"
    return f"{name}: {what} is not distinguishable from the best of {before}, or below it ({step} would be needed)"


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
