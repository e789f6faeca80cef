"""What a benchmark has been asked, one line a question beside its journal; the same question twice wears nothing."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sterling.kernel.errors import InputError
from sterling.kernel.finding import Json
from sterling.sources import journal
from sterling.sources.atomic import replacing
from sterling.stats import reusable
from sterling.stats.reusable import STEP, Rung, Thresholdout

if TYPE_CHECKING:
    from sterling.kernel.view import Floats

NAME = "queries.jsonl"
# Scores that agree in so many decimals are one score: machines differ in the last digits.
DECIMALS = 9


@dataclass(frozen=True, slots=True)
class Question:
    """One number that is asked of a benchmark.

    Args:
        benchmark: its fingerprint.
        what: what is scored and how, such as "utility label AUC"; only scores of one kind share a Ladder.
        asker: fingerprint of the set, or name of the model, that is asked about.
        score: the answer in full; larger is better. None where there is no single number, as for a certificate.
        error: standard error of the score over benchmark rows; None if unknown.
    """

    benchmark: str
    what: str
    asker: str
    score: float | None = None
    error: float | None = None

    @property
    def key(self) -> str:
        """The same for the same question with the same answer: asked again it tells nothing new."""
        score = None if self.score is None else round(self.score, DECIMALS)
        return hashlib.sha256(repr((self.benchmark, self.what, self.asker, score)).encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Wear:
    """How worn a benchmark is.

    Args:
        rows: of the benchmark.
        openings: how often it was opened.
        questions: different questions it has answered; openings of which no question is known count as one per reason.
        since: when it was opened first, ISO 8601; None if that is not known.
    """

    rows: int
    openings: int
    questions: int
    since: str | None

    @property
    def fakeable(self) -> float:
        """The gain that tuning on the answers alone can show (`stats.reusable.fakeable`)."""
        return reusable.fakeable(self.questions, self.rows)

    @property
    def worst(self) -> float:
        """The worst case of adaptive reuse, sqrt(k / n), at most 1."""
        return min(1.0, math.sqrt(self.questions / max(self.rows, 1)))


@dataclass(frozen=True, slots=True)
class LadderAnswer:
    """What the Ladder says of a set or model.

    Args:
        rung: improved or not, the best so far, the step.
        before: how many others were scored in the same way before.
        seen: whether this very question had been answered already; its old answer is given again.
    """

    rung: Rung
    before: int
    seen: bool


def wear_of(home: Path, benchmark: str, *, rows: int) -> Wear:
    """Read how worn a benchmark is.

    Args:
        home: the folder of the journal.
        benchmark: its fingerprint.
        rows: its rows.
    """
    opened = journal.openings(home / "journal.jsonl", benchmark)
    asked = list(_asked(home, benchmark))
    told = {_text(e, "key") for e in asked if e.get("kind") != "refused"}
    accounted = {opening for e in asked if (opening := _number(e.get("opening")))}
    silent = journal.unanswered(home / "journal.jsonl", benchmark, answered=accounted)
    return Wear(rows, opened, len(told) + silent, journal.since(home / "journal.jsonl", benchmark))


def count(home: Path, question: Question, *, when: str, most: int | None = None) -> int:
    """Write down a question that is answered in full.

    Args:
        home: the folder of the journal.
        question: what is asked.
        when: the moment, ISO 8601.
        most: refuse where this many different questions of the same `what` were answered; None never refuses.

    Returns:
        How many different questions of this `what` have been answered, this one included.

    Raises:
        InputError: if it would be one too many; a question that was answered before never is.
        OSError: if it cannot be written down.
    """
    with journal.appending(home / NAME) as handle:
        lines = _asked(home, question.benchmark, question.what)
        asked = {_text(e, "key") for e in lines if e.get("kind") != "refused"}
        refused = most is not None and question.key not in asked and len(asked) >= most
        journal.append(handle, _line(home, question, "refused" if refused else "count", when=when))
    if refused:
        raise InputError(
            f"this benchmark has answered {len(asked):,} different questions and {most:,} are allowed",
            mend="set fresh real rows apart as a new benchmark, or allow more with --queries",
        )
    return len(asked | {question.key})


def ask_ladder(
    home: Path, question: Question, *, n: int, when: str, rows: Floats | None = None, factor: float = STEP
) -> LadderAnswer:
    """Answer a question by the Ladder, and keep its state; safe among processes, and whole after a kill.

    Args:
        home: the folder of the journal.
        question: with its score.
        n: rows of the benchmark.
        when: the moment, ISO 8601.
        rows: [n] the score of each row in an order that depends on the benchmark alone; with the best's rows the
            step is that of the paired difference. Without them it comes from both standard errors: too long a step.
        factor: standard errors that a new best must exceed.

    Raises:
        OSError: if it cannot be written down.
        ValueError: for a question without a score.
    """
    if question.score is None:
        raise ValueError("the Ladder needs a score")
    with journal.appending(home / NAME) as handle:
        asked = [e for e in _asked(home, question.benchmark, question.what) if e.get("kind") == "ladder"]
        keys = [_text(e, "key") for e in asked]
        earlier = asked[: keys.index(question.key)] if question.key in keys else asked
        others = len({_text(e, "asker") for e in earlier} - {question.asker})
        if len(earlier) < len(asked):
            known = asked[len(earlier)]
            journal.append(handle, {**known, **_line(home, question, "ladder", when=when), "again": True})
            return LadderAnswer(_rung(known), others, seen=True)
        best = _best(asked)
        rung = _climb(home, best, question, n=n, rows=rows, factor=factor)
        kept = _keep(home, rows) if rung.improved and rows is not None else None
        facts: dict[str, Json] = {
            "score": question.score, "error": question.error, "improved": rung.improved, "best": rung.best,
            "gain": rung.gain, "step": rung.step if math.isfinite(rung.step) else None, "rows": kept,
        }  # fmt: skip
        journal.append(handle, {**_line(home, question, "ladder", when=when), **facts})
    if rung.improved and best is not None:
        _forget(home, best.get("rows"), unless=kept)
    return LadderAnswer(rung, others, seen=False)


def ask_thresholdout(
    home: Path, question: Question, *, train: float, n: int, when: str, rng: np.random.Generator
) -> tuple[float | None, int]:
    """Answer a question by Thresholdout, and keep its state.

    Args:
        home: the folder of the journal.
        question: with its score on the benchmark, in [0, 1].
        train: the same score on train rows.
        n: rows of the benchmark.
        when: the moment, ISO 8601.
        rng: noise that who asks must not know.

    Returns:
        The answer, None once the budget is spent; and how often the benchmark may still speak.

    Raises:
        OSError: if it cannot be written down.
        ValueError: for a question without a score.
    """
    if question.score is None:
        raise ValueError("Thresholdout needs a score")
    told = replace(question, score=round(train, DECIMALS))  # the key must not tell the benchmark's own score apart
    with journal.appending(home / NAME) as handle:
        asked = [e for e in _asked(home, question.benchmark, question.what) if e.get("kind") == "thresholdout"]
        state = _state(asked[-1]) if asked else Thresholdout.for_rows(n)
        known = next((e for e in asked if e.get("key") == told.key), None)
        if known is not None:  # asked again, the noise must not average out
            return _number(known.get("said")), state.budget
        said, after = state.ask(train, question.score, rng=rng)
        facts: dict[str, Json] = {
            "said": said, "threshold": after.threshold, "noise": after.noise, "budget": after.budget,
            "shift": after.shift,
        }  # fmt: skip
        journal.append(handle, {**_line(home, told, "thresholdout", when=when), **facts})
    return said, after.budget


def _asked(home: Path, benchmark: str, what: str | None = None) -> Iterator[dict[str, Json]]:
    for entry in journal.entries(home / NAME, holding=benchmark):
        if entry.get("benchmark") == benchmark and (what is None or entry.get("what") == what):
            yield entry


def _line(home: Path, question: Question, kind: str, *, when: str) -> dict[str, Json]:
    return {
        "benchmark": question.benchmark,
        "what": question.what,
        "asker": question.asker,
        "key": question.key,
        "kind": kind,
        "when": when,
        "opening": journal.openings(home / "journal.jsonl", question.benchmark),
    }


def _best(asked: list[dict[str, Json]]) -> dict[str, Json] | None:
    """The line of the best so far: the last that improved for the first time."""
    return next((e for e in reversed(asked) if _is_rung(e)), None)


def _is_rung(entry: dict[str, Json]) -> bool:
    return entry.get("improved") is True and not entry.get("again") and _number(entry.get("score")) is not None


def _climb(
    home: Path, best: dict[str, Json] | None, question: Question, *, n: int, rows: Floats | None, factor: float
) -> Rung:
    now = float(question.score or 0.0)
    if best is None:
        return replace(reusable.climb(now, now, n=n, error=0.0, factor=factor), improved=True)
    before = _read(home, best.get("rows"))
    score = _number(best.get("score")) or 0.0
    if rows is not None and before is not None and before.shape == rows.shape:
        error = reusable.paired_error(before, rows.astype("<f4").astype(np.float64))
    else:
        errors = (question.error, _number(best.get("error")))
        error = math.inf if None in errors else math.hypot(*(float(e or 0.0) for e in errors))
    return reusable.climb(score, now, n=n, error=error, factor=factor)


def _rung(entry: dict[str, Json]) -> Rung:
    step, best = _number(entry.get("step")), _number(entry.get("best"))
    return Rung(
        entry.get("improved") is True,
        math.nan if best is None else best,
        _number(entry.get("gain")),
        math.inf if step is None else step,
    )


def _state(entry: dict[str, Json]) -> Thresholdout:
    threshold, noise, budget = (_number(entry.get(k)) or 0.0 for k in ("threshold", "noise", "budget"))
    return Thresholdout(threshold, noise, int(budget), _number(entry.get("shift")))


def _text(entry: dict[str, Json], key: str) -> str:
    value = entry.get(key)
    return value if isinstance(value, str) else ""


def _number(value: Json) -> float | None:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _file(home: Path, name: Json) -> Path | None:
    return home / "queries" / f"{name}.f32" if isinstance(name, str) and name.isalnum() else None


def _keep(home: Path, rows: Floats) -> str:
    """Write the best's rows, named by their hash, for their owner's eyes alone."""
    data = rows.astype("<f4").tobytes()
    name = hashlib.sha256(data).hexdigest()
    with replacing(home / "queries" / f"{name}.f32") as staged:
        os.close(os.open(staged, os.O_WRONLY | os.O_CREAT, 0o600))
        staged.write_bytes(data)
    return name


def _read(home: Path, name: Json) -> Floats | None:
    """The best's rows, if they are there and whole."""
    path = _file(home, name)
    if path is None or not path.is_file():
        return None
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != name:
        return None
    return np.frombuffer(data, dtype="<f4").astype(np.float64)


def _forget(home: Path, name: Json, *, unless: str | None) -> None:
    path = _file(home, name)
    if path is not None and name != unless:
        path.unlink(missing_ok=True)
