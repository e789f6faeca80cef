"""`sterling advise`: FRAMEWORK's lists as an interview; in a terminal, or from a TOML file."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sterling.cli.options import HtmlOut, JsonOut, Policy
from sterling.cli.output import finish

if TYPE_CHECKING:
    from sterling.decide.answers import Question
    from sterling.decide.result import Result


def advise(
    answers: Annotated[Path | None, typer.Argument(help="TOML with answers; without it you are asked.")] = None,
    questions: Annotated[bool, typer.Option("--questions", help="Print the questions as TOML to fill in.")] = False,
    result: Annotated[Path | None, typer.Option("--result", help="A --json file on the same data: it is used.")] = None,
    policy: Policy = None,
    study: Annotated[Path | None, typer.Option("-o", "--out", help="Write a study file that does it.")] = None,
    json: JsonOut = None,
    html: HtmlOut = None,
) -> None:
    """What to do with the data you have.

    A few answers in, a route out: commands to type, rules behind it, what is forbidden, what would change it.
    """
    from sterling.api.advise import advise as ask
    from sterling.decide.answers import blank

    if questions:
        return typer.echo(blank())
    told: Path | dict[str, Any] = answers if answers is not None else _interview()
    return _show(ask(told, result=result, policy=policy, study=study), json=json, html=html)


def _show(result: Result, *, json: Path | None, html: Path | None) -> None:
    """Print the commands last and whole, one a line, so that they can be copied; then write the files."""
    from sterling.decide.advise import COMMANDS

    commands = [table for table in result.tables if table.title == COMMANDS]
    finish(replace(result, tables=tuple(t for t in result.tables if t not in commands)), json=None)
    for table in commands:
        typer.echo("\n".join(["", COMMANDS, *(f"  # step {step}\n  {command}" for step, command in table.rows)]))
    if json is not None:
        from sterling.decide.result import write_result

        write_result(result, json)
    if html is not None:
        from sterling.api.ship import write_report

        write_report(result, html)


def _interview() -> dict[str, Any]:
    """Ask one by one; Enter takes the default, or leaves it unknown."""
    from sterling.decide.answers import QUESTIONS
    from sterling.kernel.errors import InputError

    if not sys.stdin.isatty():
        raise InputError(
            "there is no terminal to ask in, and no file of answers",
            mend="sterling advise --questions > answers.toml, fill it in, sterling advise answers.toml",
        )
    told: dict[str, Any] = {}
    typer.echo("Enter takes the default where one is shown, else it stays unknown.\n", err=True)
    for question in QUESTIONS:
        if (answer := _ask(question)) != "":
            told[question.key] = answer
    return told


def _ask(question: Question) -> str:
    """One question until its answer can be read."""
    from sterling.decide.answers import parse_answers
    from sterling.kernel.errors import InputError

    lines = [f"  {name:<20}{meaning}" for name, meaning in question.options]
    several = " (several: with commas)" if question.kind == "words" else ""
    default = "" if question.default is None else str(question.default)
    typer.echo("\n".join([f"{question.words}{several}", *lines]), err=True)
    while True:
        answer = str(
            typer.prompt("", default=default, show_default=bool(default), prompt_suffix="> ", err=True)
        ).strip()
        try:
            # A count that only its fellow question explains is checked when all is answered.
            parse_answers(
                {"reviewed": 10**9, question.key: answer} if question.key == "wrong" else {question.key: answer}
            )
        except InputError as err:
            typer.echo(f"  {err.message}; {err.mend}", err=True)
        else:
            return answer
