"""`advise`: what to do with the data you have, from a few answers and whatever was measured."""

from __future__ import annotations

import datetime
import json
import os
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sterling.kernel.errors import InputError, UnreadableInput

if TYPE_CHECKING:
    from sterling.decide.answers import Answers
    from sterling.decide.result import Result


def advise(
    answers: Path | str | Mapping[str, Any] | None = None,
    *,
    result: Path | str | Result | None = None,
    policy: str | Path | None = None,
    study: Path | None = None,
) -> Result:
    """A route, the rules behind it, and what evidence would change it.

    Args:
        answers: a TOML file or a mapping; the keys are the questions (`sterling advise --questions`). What is left out
            is unknown, as None is.
        result: a written result on the same data; its findings are used, and its counts of rows before the answers'.
        policy: a preset or TOML file; by default the one that purpose and stakes ask for.
        study: write a study file here that does what is advised.

    Returns:
        The result of kind "advise". It never says SHIP.

    Raises:
        UnknownName: for a question or an answer that does not exist, with the nearest.
        UnreadableInput: if a file cannot be read.
        InputError: for answers of the wrong type, or a study that cannot be written.

    >>> advise({"real_rows": 0, "purpose": ["bootstrap"]}).decision.verdict.value
    'PROTOTYPE_ONLY'
    """
    from sterling.decide.advise import advice, taken
    from sterling.decide.answers import parse_answers
    from sterling.decide.policy import load_policy
    from sterling.decide.result import Result, read_result

    if isinstance(answers, (str, Path)):
        told = parse_answers(read_answers(Path(answers)), where=str(answers))
    else:
        told = parse_answers(answers or {})
    measured = result if isinstance(result, Result) or result is None else read_result(Path(result))
    plain = taken(told, measured)
    policy = policy if policy is not None else "privacy" if "privacy" in told.purpose else None
    rules = load_policy(policy, stakes=plain.stakes or "low", declares=plain.declares)
    today = datetime.datetime.now(datetime.UTC).date()
    advised = advice(told, policy=rules, measured=measured, today=today)
    advised = replace(advised, notes=(*advised.notes, *_missing(told)))
    return advised if study is None else _with_study(advised, plain, policy, study)


def read_answers(path: Path) -> dict[str, Any]:
    """The answers in a TOML file.

    Raises:
        UnreadableInput: if there is no such file, or it is no TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as err:
        mend = "sterling advise --questions > answers.toml, and fill it in"
        raise UnreadableInput(f"cannot read answers {path}: {err}", mend=mend) from err
    except tomllib.TOMLDecodeError as err:
        raise UnreadableInput(f"{path} is no TOML: {err}", mend="mend that line") from err


def _missing(answers: Answers) -> tuple[str, ...]:
    """Files that were named and are not there, as seen from here."""
    told = (("real", answers.real), ("holdout", answers.holdout), ("synthetic", answers.synthetic))
    return tuple(
        f"{key}: there is no {path} here; mend the path before you type the commands"
        for key, path in told
        if path is not None and not os.path.exists(path)
    )


def _with_study(advised: Result, answers: Answers, policy: str | Path | None, path: Path) -> Result:
    """Write the study, or say why there is none to write; what was not named is called as the commands call it."""
    from sterling.decide.routes import named
    from sterling.sources.atomic import write_text

    if answers.modality != "table":
        why = f"no study was written: studies read tables, and a record is {answers.modality}"
    elif not answers.real_rows or answers.real is None:
        why = "no study was written: it needs real records, and where they are (real)"
    else:
        write_text(path, study_text(_placed(named(answers), path), preset=_preset(policy)))
        why = f"the study was written to {path}; sterling run {path}"
    return replace(advised, notes=(*advised.notes, why))


def _placed(answers: Answers, study: Path) -> Answers:
    """The answers with paths as the study's folder sees them; those of the answers start where we are."""

    def seen(text: str | None) -> str | None:
        return None if text is None else Path(os.path.relpath(text, study.resolve().parent)).as_posix()

    return replace(answers, real=seen(answers.real), holdout=seen(answers.holdout), synthetic=seen(answers.synthetic))


def _preset(policy: str | Path | None) -> str | None:
    """The line that names the policy in a study; none where stakes alone say it."""
    from sterling.decide.policy import presets

    if policy is None:
        return None
    known = isinstance(policy, str) and policy in presets()
    return f"preset = {json.dumps(policy)}" if known else f"path = {_quoted(str(Path(policy).resolve()))}"


def study_text(answers: Answers, *, preset: str | None) -> str:
    """A study file that does what is advised.

    Args:
        answers: settled, with the place of the real rows.
        preset: the line that names the policy; None where the stakes name it.

    Raises:
        InputError: if a synthetic file is meant and none is named.
    """
    a = answers
    lines = ["# Written by `sterling advise`; change what you like. sterling run THIS --out out/study", ""]
    lines += ["[real]", f"path = {_quoted(a.real or '')}"]
    lines += [f"target = {_quoted(a.target)}"] if a.target else []
    lines += [f"groups = {_list(a.groups)}"] if a.groups else []
    slices = [c for c in (a.region,) if c is not None]
    lines += [f"slices = {_list(slices)}"] if slices else []
    lines += [f"holdout = {_quoted(a.holdout)}"] if a.holdout else []
    lines += ["", "[[candidate]]", *_candidate(a)]
    if a.command:
        lines += ["", "[learner]", f"command = {_quoted(a.command)}"]
    lines += ["", "[policy]", *([preset] if preset else []), f"stakes = {_quoted(a.stakes or 'low')}"]
    lines += [f"declares = {_list(a.declares)}"] if a.declares else []
    if a.prices:
        lines += ["", "[prices]", *(f"{name} = {price!r}" for name, price in a.prices.items())]
    return "\n".join(lines) + "\n"


def _candidate(a: Answers) -> list[str]:
    from sterling.decide.routes import OWN

    if a.source != "file":
        return [f"name = {_quoted(OWN)}", f"generator = {_quoted(OWN)}", f"rows = {max(a.usable_rows, 1000)}"]
    if a.synthetic is None:
        raise InputError("the synthetic set is a file, and no file is named", mend='synthetic = "vendor.csv"')
    name = Path(a.synthetic).stem or "synthetic"
    return [f"name = {_quoted(name)}", f"path = {_quoted(a.synthetic)}", f"fitted_on = {_quoted(a.fitted_on)}"]


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")  # a JSON string is a TOML basic string


def _list(words: list[str] | tuple[str, ...]) -> str:
    return f"[{', '.join(_quoted(w) for w in words)}]"
