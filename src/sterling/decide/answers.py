"""What `advise` asks: the questions in their order, and answers parsed once into frozen types."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal, cast

from sterling.decide.policy import DECLARED, Declared, Stakes
from sterling.kernel.dataset import FittedOn
from sterling.kernel.errors import InputError, UnknownName

Modality = Literal["table", "text", "image", "speech", "preference", "trajectory", "document"]
Reason = Literal["rare_scenes", "thin_class", "privacy", "bootstrap", "missing_conditions", "cost", "instructions"]
Source = Literal["none", "file", "ours"]
Loop = Literal["no", "replace", "accumulate", "inject"]
Kind = Literal["word", "words", "count", "number", "text"]


@dataclass(frozen=True, slots=True)
class Question:
    """One question.

    Args:
        key: its name in a TOML file and in `Answers`.
        words: as it is asked.
        kind: what an answer is; "words" are several of the options.
        default: what no answer means; None is unknown.
        options: the words allowed, each with its meaning; empty where any answer will do.
    """

    key: str
    words: str
    kind: Kind
    default: str | None = None
    options: tuple[tuple[str, str], ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The words allowed."""
        return tuple(name for name, _ in self.options)


QUESTIONS: tuple[Question, ...] = (
    Question("modality", "What is a record?", "word", "table", (
        ("table", "a row of a table"), ("text", "a text"), ("image", "an image"), ("speech", "a recording"),
        ("preference", "two answers and which is better"), ("trajectory", "a run of a robot or agent"),
        ("document", "a page"),
    )),
    Question("purpose", "Why synthetic data?", "words", None, (
        ("rare_scenes", "what is needed is too rare or dangerous to capture"),
        ("thin_class", "a class of the real set is thin"),
        ("privacy", "the real records may not leave the house"),
        ("bootstrap", "a prototype before there is real data"),
        ("missing_conditions", "light, views or conditions that the real set lacks"),
        ("cost", "more real records are too dear"),
        ("instructions", "a stronger model is to teach a smaller one"),
    )),
    Question("stakes", "What does a wrong model cost?", "word", None, (
        ("low", "time"), ("consequential", "health, money or rights: medical, financial, legal decisions"),
    )),
    Question("declares", "Is any of this so?", "words", None, (
        ("regional", "culture or region matters"), ("expert", "labels need experts of the field"),
        ("safety", "safety hangs on it"), ("subjective", "people may differ on what is right"),
    )),
    Question("real_rows", "How many real records do you hold, the test aside?", "count"),
    Question("labelled_rows", "How many of them have a label you trust? (none given: all)", "count"),
    Question("benchmark_rows", "How many further real records are set apart as a test?", "count"),
    Question("rarest_rows", "How many real records has the rarest class?", "count"),
    Question("real", "Where are the real records?", "text"),
    Question("holdout", "Where is the test?", "text"),
    Question("target", "Which column is to be predicted?", "text"),
    Question("groups", "Which columns are protected attributes?", "text"),
    Question("region", "Which column is the region or culture?", "text"),
    Question("source", "Where do synthetic records come from?", "word", None, (
        ("ours", "a generator of Sterling fitted on the real records"), ("file", "a set that is there already"),
        ("none", "nowhere yet"),
    )),
    Question("synthetic", "Where is that set?", "text"),
    Question("fitted_on", "Which real records has its generator seen?", "word", "unknown", (
        ("real", "those that train the model"), ("other", "others, never yours"), ("unknown", "nobody has said"),
    )),
    Question("loop", "Will a generator be fitted on its own output?", "word", "no", (
        ("no", "never"), ("replace", "yes, in place of the real records"), ("accumulate", "yes, beside all real ones"),
        ("inject", "yes, with some fresh real ones each time"),
    )),
    Question("command", "Which command trains your model? (none given: boosted trees)", "text"),
    Question("agreement", "Where several people labelled a record, what share agreed on average?", "number"),
    Question("kappa", "And beyond chance (kappa)?", "number"),
    Question("annotated", "On how many records was that taken?", "count"),
    Question("reviewed", "How many synthetic records have people looked at?", "count"),
    Question("wrong", "How many of those were wrong?", "count"),
    Question("real_price", "What does one more real record cost, labelled?", "number"),
    Question("synthetic_price", "What does a synthetic record cost?", "number"),
    Question("review_price", "What does an hour of a reviewer cost?", "number"),
)  # fmt: skip
KEYS = tuple(q.key for q in QUESTIONS)


@dataclass(frozen=True, slots=True)
class Answers:
    """What was answered; every field is a question of the same name, and None is unknown."""

    modality: Modality = "table"
    purpose: tuple[Reason, ...] = ()
    stakes: Stakes | None = None
    declares: tuple[Declared, ...] = ()
    real_rows: int | None = None
    labelled_rows: int | None = None
    benchmark_rows: int | None = None
    rarest_rows: int | None = None
    real: str | None = None
    holdout: str | None = None
    target: str | None = None
    groups: tuple[str, ...] = ()
    region: str | None = None
    source: Source | None = None
    synthetic: str | None = None
    fitted_on: FittedOn = "unknown"
    loop: Loop = "no"
    command: str | None = None
    agreement: float | None = None
    kappa: float | None = None
    annotated: int | None = None
    reviewed: int | None = None
    wrong: int | None = None
    real_price: float | None = None
    synthetic_price: float | None = None
    review_price: float | None = None

    @property
    def usable_rows(self) -> int:
        """Real rows that a model can learn from: those with a label, where that is told."""
        held = self.real_rows or 0
        return held if self.labelled_rows is None else min(self.labelled_rows, held)

    @property
    def has_test(self) -> bool:
        """Whether further real records are set apart: counted, or named and not counted."""
        return bool(self.benchmark_rows) or (self.benchmark_rows is None and self.holdout is not None)

    @property
    def nothing_real(self) -> bool:
        """Whether it is known that there is no real record."""
        return self.real_rows == 0 and not self.has_test

    @property
    def trains(self) -> int:
        """Real rows that train: all where a test is set apart, else four fifths."""
        return self.usable_rows if self.has_test else self.usable_rows - (self.tests or 0)

    @property
    def tests(self) -> int | None:
        """Real rows that test; None where nobody has counted them."""
        if self.benchmark_rows:
            return self.benchmark_rows
        return None if self.real_rows is None or self.has_test else self.usable_rows // 5

    @property
    def seen(self) -> tuple[int, int]:
        """Wrong records and records looked at; none of none where either is unknown."""
        return (0, 0) if self.wrong is None or self.reviewed is None else (self.wrong, self.reviewed)

    @property
    def prices(self) -> dict[str, float]:
        """The prices that are known, as rules and studies name them."""
        told = {
            "real_row": self.real_price,
            "synthetic_row": self.synthetic_price,
            "review_hour": self.review_price,
        }
        return {name: price for name, price in told.items() if price is not None}


def parse_answers(data: Mapping[str, Any], *, where: str = "the answers") -> Answers:
    """Answers from a TOML table or a Python mapping; what is left out is unknown.

    Raises:
        UnknownName: for a question or a word that does not exist, with the nearest.
        InputError: for a number that is none, is negative, or cannot be.

    >>> parse_answers({"real_rows": 500, "purpose": ["thin_class"]}).purpose
    ('thin_class',)
    """
    told: dict[str, Any] = {}
    by_key = {q.key: q for q in QUESTIONS}
    for key, value in data.items():
        if key not in by_key:
            raise UnknownName.among(str(key), KEYS, what=f"question ({where})")
        if value is not None and value != "":
            told[key] = _parsed(by_key[key], value, where)
    for key in ("agreement", "kappa"):
        if key in told and told[key] > 1:
            raise InputError(f"{where}: {key} is {told[key]:g}, above 1", mend="write it as a share, such as 0.85")
    if told.get("wrong", 0) > told.get("reviewed", 0):
        of = told.get("reviewed", "an unknown number")
        raise InputError(
            f"{where}: {told['wrong']} records were wrong of {of} that were looked at",
            mend="reviewed counts all that were looked at",
        )
    return Answers(**told)


def _parsed(question: Question, value: Any, where: str) -> Any:
    if question.key == "groups":
        return tuple(_words(question, value, where))
    if question.kind == "words":
        found = _words(question, value, where)
        for name in found:
            _word(question, name, where)
        return tuple(name for name in question.names if name in found)
    if question.kind == "word":
        return _word(question, value, where)
    if question.kind == "text":
        if not isinstance(value, str):
            raise InputError(f"{where}: {question.key} is {value!r}, not text", mend=question.words)
        return value
    return _number(question, value, where)


def _words(question: Question, value: Any, where: str) -> list[str]:
    """A list of words, or one text with commas."""
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, (list, tuple)) or not all(isinstance(p, str) for p in cast(Sequence[Any], parts)):
        mend = f'write it as {question.key} = ["..."]'
        raise InputError(f"{where}: {question.key} is {value!r}, not a list of words", mend=mend)
    return [p.strip() for p in cast(Sequence[str], parts) if p.strip()]


def _word(question: Question, value: Any, where: str) -> str:
    if value not in question.names:
        raise UnknownName.among(str(value), question.names, what=f"answer to {question.key} ({where})")
    return str(value)


def _number(question: Question, value: Any, where: str) -> float:
    whole = question.kind == "count"
    number = _as_number(value, whole=whole)
    least = -1.0 if question.key == "kappa" else 0.0
    if number is None or not math.isfinite(number) or number < least:
        what = "a whole number of 0 or more" if whole else f"a number of {least:g} or more"
        raise InputError(f"{where}: {question.key} is {value!r}, not {what}", mend=question.words)
    return number


def _as_number(value: Any, *, whole: bool) -> float | None:
    if isinstance(value, str):  # as typed in a terminal, thousands with commas
        try:
            return int(value.replace(",", "")) if whole else float(value.replace(",", ""))
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return None if whole and not isinstance(value, int) else value


def blank() -> str:
    """The questions as a TOML file to fill in; as it stands, it answers nothing."""
    lines = [
        "# Answer what you know (take the # before the line away); what you leave out is unknown.",
        "# Then: sterling advise ANSWERS.toml",
        "",
    ]
    for question in QUESTIONS:
        lines.append(f"# {question.words}")
        lines += [f"#   {name}: {meaning}" for name, meaning in question.options]
        lines += [_line(question), ""]
    return "\n".join(lines)


def _line(question: Question) -> str:
    if question.kind == "words" or question.key == "groups":
        return f"{question.key} = []"
    if question.default is None:
        return f"# {question.key} = {'...' if question.kind in ('count', 'number') else chr(34) * 2}"
    return f'{question.key} = "{question.default}"'


def contradictions(answers: Answers) -> tuple[str, ...]:
    """Answers that cannot all be true, or that do not go together; each as one sentence that says what is assumed."""
    a = answers
    rarest, held = a.rarest_rows or 0, (a.real_rows or 0) + (a.benchmark_rows or 0)
    checks = (
        (a.labelled_rows is not None and a.real_rows is not None and a.labelled_rows > a.real_rows,
         f"{a.labelled_rows or 0:,} records are said to be labelled, of {a.real_rows or 0:,}: taken as all of them."),
        (_too_many(a),
         f"The rarest of at least two classes cannot have {rarest:,} of {a.usable_rows + (a.benchmark_rows or 0):,} "
         "records: taken as not counted."),
        (rarest > 0 and a.nothing_real, f"The rarest class has {rarest:,} records, and there are no real records."),
        (a.fitted_on == "real" and a.nothing_real, "A generator was fitted on your real records, and there are none."),
        (a.source == "ours" and a.fitted_on == "other",
         "A generator of Sterling is fitted on your real records, and was said to have seen others only: "
         "taken as fitted on yours."),
        (a.source == "none" and a.loop != "no", "A generator feeds on its own output, and there is no generator."),
        (a.source in ("ours", "none") and a.synthetic is not None,
         f"A synthetic set is named ({a.synthetic}), and the records are said to come from elsewhere: "
         'write source = "file".'),
        (a.stakes == "low" and "safety" in a.declares,
         "Safety hangs on it, and the stakes are called low: taken as consequential."),
        ("bootstrap" in a.purpose and held > 0,
         f"A prototype before there is real data is asked for, and there are {held:,} real records: use them."),
        ("thin_class" in a.purpose and a.modality == "table" and held > 0 and a.rarest_rows is None,
         "A class is called thin, and its records were not counted: rarest_rows is unknown."),
        (a.kappa is not None and a.agreement is not None and a.kappa > a.agreement,
         f"Agreement beyond chance ({a.kappa}) cannot exceed agreement itself ({a.agreement})."),
        ("regional" not in a.declares and a.region is not None,
         f"A column of the region is named ({a.region}), and region is not declared to matter: taken as declared."),
        (a.benchmark_rows == 0 and a.holdout is not None,
         f"A test is named ({a.holdout}), and holds no records: benchmark_rows is 0."),
    )  # fmt: skip
    return tuple(text for wrong, text in checks if wrong)


def _too_many(answers: Answers) -> bool:
    """Whether the rarest class is said to have more than half of all labelled real records, which were counted."""
    a = answers
    every = a.usable_rows + (a.benchmark_rows or 0)
    counted = a.real_rows is not None and not (a.has_test and a.benchmark_rows is None)
    return counted and every > 0 and (a.rarest_rows or 0) * 2 > every


def settled(answers: Answers) -> Answers:
    """The answers with what contradictions are taken as, on the careful side, and a route to set out on.

    Stakes that nobody told are low, and records that nobody has are of our generator; `fitted_on` stays unknown then.
    """
    changes: dict[str, Any] = {f.name: getattr(answers, f.name) for f in fields(answers)}
    changes["stakes"] = "consequential" if "safety" in answers.declares else answers.stakes or "low"
    if _too_many(answers):
        changes["rarest_rows"] = None
    if answers.region is not None and "regional" not in answers.declares:
        changes["declares"] = tuple(d for d in DECLARED if d in ("regional", *answers.declares))
    if answers.source == "ours":
        changes["fitted_on"] = "real"
    if answers.source is None:  # a set that is named, or has seen other records, is there already
        there = answers.synthetic is not None or answers.fitted_on == "other"
        changes["source"] = "file" if there else "ours"
    return Answers(**changes)
