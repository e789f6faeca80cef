"""The options that several commands share; one name, one meaning everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

Target = Annotated[str | None, typer.Option("--target", help="The column that a model shall predict.")]
Group = Annotated[list[str] | None, typer.Option("--group", help="A protected attribute; may be repeated.")]
Slice = Annotated[list[str] | None, typer.Option("--slice", help="Judge each value of this column too; repeatable.")]
Holdout = Annotated[str | None, typer.Option("--holdout", help="Real rows no generator saw: holdout and benchmark.")]
Policy = Annotated[str | None, typer.Option("--policy", help="A preset (default, privacy ...) or a TOML file.")]
Stakes = Annotated[Literal["low", "consequential"], typer.Option("--stakes", help="What a wrong model would cost.")]
Seed = Annotated[int, typer.Option("--seed", help="Same seed, same answer.")]
Fast = Annotated[bool, typer.Option("--fast", help="Fewer trainings and rows; wider intervals, and it says so.")]
JsonOut = Annotated[Path | None, typer.Option("--json", help="Write the result envelope here.")]
HtmlOut = Annotated[Path | None, typer.Option("--html", help="Write the report here, one self-contained file.")]
SchemaFile = Annotated[Path | None, typer.Option("--schema", help="TOML that overrides kinds and roles of columns.")]
Quarantine = Annotated[Path | None, typer.Option("--quarantine", help="Save unreadable CSV rows here, go on.")]
Learner = Annotated[str, typer.Option("--learner", help="A learner's name, or `command` for your own training.")]
Settings = Annotated[list[str] | None, typer.Option("--set", help="A setting as key=value; @FILE reads a file.")]
Entity = Annotated[str | None, typer.Option("--entity", help="Column whose rows stay together in a split.")]
Time = Annotated[str | None, typer.Option("--time", help="Time column: the latest rows become the holdout.")]
