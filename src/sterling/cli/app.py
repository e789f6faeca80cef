"""The commands. Each parses its words, calls the library, shows the result; no logic lives here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from sterling.cli.advise import advise
from sterling.cli.analyses import analyses
from sterling.cli.audit import audit
from sterling.cli.augment import augment
from sterling.cli.ceiling import ceiling
from sterling.cli.collapse import collapse
from sterling.cli.constraints import constraints
from sterling.cli.cost import cost
from sterling.cli.credit import credit
from sterling.cli.generate import generate
from sterling.cli.guard import GuardedCommand
from sterling.cli.impute import impute
from sterling.cli.judge_here import judge_here, verify
from sterling.cli.options import (
    Entity,
    Fast,
    Group,
    Holdout,
    HtmlOut,
    JsonOut,
    Learner,
    Policy,
    Quarantine,
    SchemaFile,
    Seed,
    Settings,
    Slice,
    Stakes,
    Target,
    Time,
)
from sterling.cli.order import order
from sterling.cli.output import finish
from sterling.cli.passport import passport
from sterling.cli.reach import reach
from sterling.cli.relational import relational

app = typer.Typer(
    name="sterling",
    help="Says what your synthetic data is worth in real rows, and builds, checks and ships the mix that works.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(value: bool) -> None:
    if value:
        from sterling import __version__

        typer.echo(f"sterling {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show it, exit.")
    ] = False,
) -> None:
    pass


@app.command()
def demo(
    fast: Fast = False,
    out: Annotated[Path, typer.Option("--out", help="Folder for the report and the shipped set.")] = Path("out/demo"),
) -> None:
    """Three vendors' sets judged on real census rows.

    You hold 6,000 labelled rows; each vendor offers 10,000 synthetic ones. What are they worth?
    """
    from sterling.api.demo import demo as run_demo
    from sterling.cli.progress import reporter

    answer = run_demo(out=out, effort="fast" if fast else "full", on_event=reporter())
    finish(answer.result, json=None)
    typer.echo(f"\nReport   {answer.report}\nShipped  {answer.shipped}")


@app.command()
def run(
    study: Annotated[Path, typer.Argument(help="study.toml: real data, candidates, learner, policy.")],
    out: Annotated[Path, typer.Option("--out", help="Run folder; run again to resume.")] = Path("out/run"),
    engine: Annotated[Literal["local", "ray"], typer.Option("--engine", help="Where generators sample.")] = "local",
    workers: Annotated[int, typer.Option("--workers", min=1, help="Processes.")] = 2,
) -> None:
    """A whole study from one file; run again to resume.

    Generates, compares, measures worth, blends, decides and writes the report.
    """
    from sterling.api.run import run_study
    from sterling.cli.progress import reporter

    finish(run_study(study, out=out, engine=engine, workers=workers, on_event=reporter()), json=None)
    typer.echo(f"\nRun      {out}\nReport   {out / 'report.html'}")


app.command()(generate)
app.command()(impute)
app.command()(augment)


@app.command()
def check(
    path: Annotated[str, typer.Argument(metavar="SET", help="The records to check.")],
    against: Annotated[str | None, typer.Option("--against", help="Real data that shows what is right.")] = None,
    out: Annotated[Path | None, typer.Option("-o", "--out", help="Write the records that were kept.")] = None,
    json: JsonOut = None,
    seed: Seed = 0,
    schema: SchemaFile = None,
    quarantine: Quarantine = None,
) -> None:
    """Record by record: validity and duplicates."""
    from sterling.api.check import check as run_check

    finish(run_check(path, against=against, out=out, seed=seed, schema=schema, quarantine=quarantine), json=json)


@app.command()
def compare(
    real: Annotated[str, typer.Argument(help="Real data.")],
    synthetic: Annotated[str, typer.Argument(help="Synthetic data.")],
    holdout: Holdout = None,
    target: Target = None,
    group: Group = None,
    slice_: Slice = None,
    policy: Policy = None,
    stakes: Stakes = "low",
    seed: Seed = 0,
    fast: Fast = False,
    json: JsonOut = None,
    html: HtmlOut = None,
    schema: SchemaFile = None,
    quarantine: Quarantine = None,
    entity: Entity = None,
    time: Time = None,
) -> None:
    """Judge a synthetic set against real rows.

    Gaps, coverage, labels, copies, utility: one verdict with its reasons.
    """
    from sterling.api.compare import compare as judge
    from sterling.cli.progress import reporter

    result = judge(
        real, synthetic, holdout=holdout, target=target, groups=group or (), slices=slice_ or (), policy=policy,
        stakes=stakes, seed=seed, effort="fast" if fast else "full", schema=schema, quarantine=quarantine,
        entity=entity, time=time, on_event=reporter(),
    )  # fmt: skip
    finish(result, json=json, html=html)


@app.command()
def worth(
    real: Annotated[str | None, typer.Argument(help="Real data.")] = None,
    synthetic: Annotated[list[str] | None, typer.Argument(help="One or more synthetic sets.")] = None,
    target: Target = None,
    holdout: Holdout = None,
    learner: Learner = "boosted_trees",
    settings: Settings = None,
    from_runs: Annotated[Path | None, typer.Option("--from-runs", help="CSV of (arm, rows, score) you have.")] = None,
    slice_: Slice = None,
    policy: Policy = None,
    stakes: Stakes = "low",
    seed: Seed = 0,
    fast: Fast = False,
    json: JsonOut = None,
    html: HtmlOut = None,
    schema: SchemaFile = None,
    entity: Entity = None,
    time: Time = None,
) -> None:
    """What synthetic sets are worth in real rows.

    Read off the learning curve of your own rows, with an interval.
    """
    from sterling.api.worth import worth as measure_worth
    from sterling.api.worth import worth_from_runs
    from sterling.cli.progress import reporter
    from sterling.kernel.errors import InputError

    if from_runs is not None:
        return finish(worth_from_runs(from_runs, policy=policy, stakes=stakes, seed=seed), json=json, html=html)
    if real is None or not synthetic or target is None:
        raise InputError(
            "worth needs REAL, at least one SYNTHETIC and --target",
            mend="sterling worth real.csv vendor.csv --target COLUMN, or sterling worth --from-runs RUNS.csv",
        )
    result = measure_worth(
        real, synthetic, target=target, holdout=holdout, learner=learner, settings=settings or [],
        slices=slice_ or (), policy=policy, stakes=stakes, seed=seed, effort="fast" if fast else "full",
        schema=schema, entity=entity, time=time, on_event=reporter(),
    )  # fmt: skip
    return finish(result, json=json, html=html)


@app.command()
def blend(
    real: Annotated[str, typer.Argument(help="Real data.")],
    synthetic: Annotated[list[str], typer.Argument(help="One or more synthetic sets.")],
    target: Annotated[str, typer.Option("--target", help="The column that a model shall predict.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder for the mixed set.")],
    holdout: Holdout = None,
    learner: Learner = "boosted_trees",
    settings: Settings = None,
    policy: Policy = None,
    stakes: Stakes = "low",
    seed: Seed = 0,
    fast: Fast = False,
    json: JsonOut = None,
    html: HtmlOut = None,
    schema: SchemaFile = None,
    entity: Entity = None,
    time: Time = None,
) -> None:
    """Find the mix that beats real rows alone.

    Or say REAL_ONLY, and mean it, when none does.
    """
    from sterling.api.blend import blend_sets
    from sterling.cli.progress import reporter

    result = blend_sets(
        real, synthetic, target=target, out=out, holdout=holdout, learner=learner, settings=settings or [],
        policy=policy, stakes=stakes, seed=seed, effort="fast" if fast else "full", schema=schema,
        entity=entity, time=time, on_event=reporter(),
    )  # fmt: skip
    finish(result, json=json, html=html)


@app.command()
def drill(
    real: Annotated[str, typer.Argument(help="Real data.")],
    synthetic: Annotated[str | None, typer.Argument(help="Faults are planted here; else in half of REAL.")] = None,
    holdout: Holdout = None,
    target: Target = None,
    group: Group = None,
    fault: Annotated[
        list[str] | None, typer.Option("--fault", help="NAME or NAME=0.01,0.05 (severities); repeatable.")
    ] = None,
    runs: Annotated[int, typer.Option("--runs", help="Plants at the severity that decides.")] = 10,
    policy: Policy = None,
    stakes: Stakes = "low",
    seed: Seed = 0,
    fast: Fast = False,
    json: JsonOut = None,
    html: HtmlOut = None,
    schema: SchemaFile = None,
    quarantine: Quarantine = None,
    entity: Entity = None,
    time: Time = None,
) -> None:
    """Test the test: what would your gate catch?

    Plants known faults in your own data and finds the smallest your policy refuses.
    """
    from sterling.api.drill import drill as run_drill
    from sterling.cli.progress import reporter
    from sterling.cli.show_drill import show_drill

    result = run_drill(
        real, synthetic, holdout=holdout, target=target, groups=group or (), faults=fault or (), runs=runs,
        policy=policy, stakes=stakes, seed=seed, effort="fast" if fast else "full", schema=schema,
        quarantine=quarantine, entity=entity, time=time, on_event=reporter(),
    )  # fmt: skip
    show_drill(result)
    if json is not None:
        from sterling.decide.result import write_result

        write_result(result, json)
    if html is not None:
        from sterling.report.drill_chart import render_drill
        from sterling.sources.atomic import write_text

        write_text(html, render_drill(result))


app.command()(analyses)
app.command()(audit)
app.command()(ceiling)
app.command()(collapse)
app.command()(constraints)
app.command()(cost)


app.command()(credit)
app.command()(reach)
app.command()(order)


app.command(name="judge-here")(judge_here)
app.command()(verify)
app.command()(passport)


app.command()(advise)


@app.command()
def gate(
    result: Annotated[Path, typer.Argument(help="A --json file of compare, worth, blend or run.")],
    policy: Policy = None,
    baseline: Annotated[Path | None, typer.Option("--baseline", help="A previous result to compare with.")] = None,
    junit: Annotated[Path | None, typer.Option("--junit", help="Write a JUnit file here.")] = None,
) -> None:
    """Exit 0 if a result may ship, 1 if not, and say why."""
    from sterling.api.gate import gate as ask

    answer = ask(result, policy=policy, baseline=baseline, junit=junit)
    typer.echo(answer.paragraph)
    raise typer.Exit(0 if answer.passed else 1)


@app.command()
def ship(
    run_folder: Annotated[Path, typer.Argument(metavar="RUN", help="A finished run folder.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder for the shipped set.")],
    audience: Annotated[Literal["owner", "recipient"], typer.Option("--audience", help="Who will read it.")] = "owner",
    licence: Annotated[str | None, typer.Option("--licence", help="Licence of the shipped set (SPDX).")] = None,
) -> None:
    """Write the mix with its card and its evidence.

    Parquet, manifest, card, Croissant, PROV-JSON, result and report.
    """
    from sterling.api.ship import ship_run
    from sterling.decide.result import read_result
    from sterling.kernel.finding import Verdict

    shipped = ship_run(run_folder, out=out, audience=audience, licence=licence)
    verdict = read_result(shipped / "result.json").decision.verdict
    typer.echo(f"Shipped  {shipped}")
    if verdict is not Verdict.SHIP:
        typer.echo(f"         The verdict is {verdict.value}, not SHIP; the card says so. See {shipped}/report.html")


@app.command()
def export(
    path: Annotated[str, typer.Argument(metavar="SET", help="A Sterling folder or a table.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="File to write.")],
    format_: Annotated[Literal["parquet", "csv", "jsonl"], typer.Option("--format", help="What to write.")],
) -> None:
    """Write a set in another format."""
    from sterling.api.ship import export as write

    typer.echo(f"Written  {write(path, out=out, format=format_)}")


@app.command(name="list")
def list_(
    room: Annotated[str | None, typer.Argument(help="generators, checks, measures, learners, rules ...")] = None,
) -> None:
    """What there is, with settings."""
    from sterling.cli.show import show_room, show_rooms

    if room is None:
        show_rooms()
    else:
        show_room(room)


app.add_typer(relational)

for _command in app.registered_commands:
    _command.cls = GuardedCommand
