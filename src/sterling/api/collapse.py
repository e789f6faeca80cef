"""`collapse`: a generator on its own output, generation after generation, and the real rows that keep it alive."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from sterling.api.collapse_result import limits_of, notes_of, picture_of, tables_of
from sterling.api.compare import Stakes
from sterling.api.generate import describe
from sterling.api.inputs import Roles, declare, load
from sterling.api.settings import from_mapping, from_pairs
from sterling.kernel import seeds
from sterling.kernel.dataset import Dataset, Origin
from sterling.kernel.errors import InputError, UnknownName
from sterling.kernel.finding import Finding, Status
from sterling.kernel.protocols import Generator, OnEvent, silent
from sterling.kernel.schema import Kind
from sterling.kernel.task import Task
from sterling.stats.drift import Mode

if TYPE_CHECKING:
    from sterling.decide.policy import Policy
    from sterling.decide.result import Result
    from sterling.loops.collapse import Course, Keep, Trace
    from sterling.loops.forecast import Forecast

MOST_GENERATIONS = 200
# A reserve takes at most half of the real rows, and a tenth more than it should need: slices are split by chance.
MOST_RESERVE, MARGIN = 0.5, 1.1
ORDER = (Status.PASS, Status.UNDECIDED, Status.UNMEASURED, Status.WARN, Status.FAIL)


def collapse(
    generator: str | Generator,
    real: Any,
    *,
    generations: int = 5,
    mode: Literal["all", "replace", "accumulate", "budget", "inject"] = "all",
    inject: int = 0,
    fresh: Any = None,
    rows: int | None = None,
    until: int | None = None,
    target: str | None = None,
    groups: Sequence[str] = (),
    slices: Sequence[str] = (),
    settings: Sequence[str] | Mapping[str, Any] = (),
    policy: str | Path | None = None,
    stakes: Stakes = "low",
    seed: int = 0,
    schema: Path | None = None,
    out: Path | None = None,
    on_event: OnEvent = silent,
) -> Result:
    """Fit a generator on its own output and say what is lost, when it shows first, and what keeps it alive.

    Args:
        generator: a generator's name, or a generator.
        real: real rows: a path, a frame or a Dataset.
        generations: how often it is fitted, 2 to 200; the first time on real rows.
        mode: what later generations are fitted on. "replace": the last output; "accumulate": real rows and all
            outputs; "budget": as many rows of these as one generation has; "inject": the last output with fresh real
            rows; "all": replace and accumulate, and inject where `inject` is given.
        inject: fresh real rows per protected slice and generation.
        fresh: real rows to take them from; None sets a part of `real` apart.
        rows: rows per generation; None for as many as the real rows it starts from.
        until: the generation that two generations foretell; None for the last.
        target: the column a model shall predict.
        groups: protected attributes; each of their values is a protected slice.
        slices: further columns of which each value is protected. Rare levels and pairs are watched by themselves.
        settings: the generator's settings, as a mapping or "key=value" strings.
        policy: a preset's name or a TOML file.
        stakes: what a wrong model would cost.
        seed: same seed, same answer.
        schema: TOML that overrides kinds and roles of columns.
        out: a folder that keeps every generation: run again to resume; the last sets are written there.
        on_event: hears cost and progress.

    Returns:
        Findings by mode (as candidate), tables of signs, forecasts and needs, a picture of the generations.

    Raises:
        UnknownName: for a generator, setting or column that is not there.
        InputError: for unreadable input, or numbers out of range.
    """
    from sterling.decide.policy import load_policy
    from sterling.loops.collapse import collapse as loop
    from sterling.loops.collapse import planned

    modes = _modes(mode, inject)
    last = until if until is not None else generations
    _check(generations, last, inject, rows)
    rules = load_policy(policy, stakes=stakes)
    made_by, label = _generator(generator, settings)
    whole = declare(load(real, origin=Origin.REAL, schema=schema), Roles(target=target, groups=tuple(groups)))
    if whole.rows == 0:
        raise InputError(f"{whole.name} has no rows", mend="name a set that holds at least one record")
    declared = _known(whole, tuple(dict.fromkeys([*groups, *slices])))
    start, reserve = _reserve(
        whole, fresh, inject if "inject" in modes else 0, generations, declared, rules, seed=seed, schema=schema
    )
    course = _course(
        made_by, label, start, reserve, generations=generations, rows=rows or start.rows, inject=inject,
        declared=declared, least=rules.rare.fewest, seed=seed, out=out, on_event=on_event,
    )  # fmt: skip
    fits, fitted = planned(course, modes)
    on_event("cost", {"text": f"this takes {fits} generator fits on {fitted:,} rows in all"})
    traces = loop(course, modes)
    if out is not None:
        _write(traces, out)
    return _concluded(course, traces, whole, rules, until=last, stakes=stakes, cost=(fits, fitted))


def _modes(mode: str, inject: int) -> tuple[Mode, ...]:
    if mode == "inject" and inject < 1:
        raise InputError("injecting needs fresh real rows", mend="say how many per slice and generation: --inject 5")
    if mode == "all":
        return ("replace", "accumulate", "inject") if inject > 0 else ("replace", "accumulate")
    return (cast("Mode", mode),)


def _check(generations: int, until: int, inject: int, rows: int | None) -> None:
    if not 2 <= generations <= MOST_GENERATIONS:
        raise InputError(
            f"{generations} generations cannot be run", mend=f"ask for 2 to {MOST_GENERATIONS}: --generations 5"
        )
    if not generations <= until <= 10_000:
        raise InputError(
            f"generation {until} cannot be foretold from {generations}", mend=f"give --until {generations} or more"
        )
    if inject < 0:
        raise InputError(f"cannot inject {inject} rows", mend="give --inject 0 or more")
    if rows is not None and rows < 1:
        raise InputError(f"cannot make {rows} rows a generation", mend="give --rows 1 or more")


def _known(whole: Dataset, declared: tuple[str, ...]) -> tuple[str, ...]:
    """The declared columns, if slices can be cut from each of them."""
    from sterling.modalities.tabular import comparable

    names = [f.name for f in comparable([whole]) if f.kind is not Kind.TEXT]
    for name in declared:
        if name not in names:
            raise UnknownName.among(name, names, what="column to slice by")
    return declared


def _generator(
    generator: str | Generator, settings: Sequence[str] | Mapping[str, Any]
) -> tuple[Generator, str]:  # fmt: skip
    if not isinstance(generator, str):
        if settings:
            raise InputError("settings were given to a generator that is already built", mend="set them on it")
        return generator, repr(generator)
    build = from_mapping if isinstance(settings, Mapping) else from_pairs
    made_by = cast("Callable[..., Generator]", build)("generators", generator, settings)
    return made_by, describe(generator, made_by)


def _reserve(
    whole: Dataset,
    fresh: Any,
    inject: int,
    generations: int,
    declared: tuple[str, ...],
    policy: Policy,
    *,
    seed: int,
    schema: Path | None,
) -> tuple[Dataset, Dataset | None]:
    """The rows of the first generation, and those that are kept back to be injected."""
    import numpy as np

    from sterling.loops.watched import protected, watched
    from sterling.modalities.tabular import Tabular

    if inject == 0:
        return whole, None
    view = Tabular().views([whole])[0]
    found = protected(watched([view], declared, least=policy.rare.fewest))
    if not found:
        raise InputError(
            f"no slice of {whole.name} is rare and has {policy.rare.fewest} rows, so there is none to protect",
            mend="name the slices to protect: --slice COLUMN",
        )
    if fresh is not None:
        reserve = declare(load(fresh, name="fresh rows", origin=Origin.REAL, schema=schema), Roles())
        if reserve.fingerprint == whole.fingerprint:
            raise InputError(
                f"the fresh rows are the rows of {whole.name}, which the generator has seen",
                mend="name real rows that no generation has seen, or leave --fresh out: a part of REAL is kept back",
            )
        return whole, reserve
    need = inject * (generations - 1)
    share = max(need * MARGIN / s.counts[0] for s in found)
    order = seeds.stream(seed, "collapse", "reserve").permutation(whole.rows)
    size = int(min(MOST_RESERVE, share) * whole.rows)
    if size < 1 or whole.rows - size < 1:
        raise InputError(f"{whole.rows} real rows cannot be split", mend="give more real rows, or --fresh FILE")
    return _part(whole, np.sort(order[size:])), _part(whole, np.sort(order[:size]))


def _part(whole: Dataset, rows: Any) -> Dataset:
    from sterling.modalities.tabular import from_table, plain_table

    table = plain_table(whole).take(rows)
    return from_table(table, name=whole.name, origin=whole.origin, schema=whole.schema, lineage=whole.lineage)


def _course(
    made_by: Generator,
    label: str,
    start: Dataset,
    reserve: Dataset | None,
    *,
    generations: int,
    rows: int,
    inject: int,
    declared: tuple[str, ...],
    least: int,
    seed: int,
    out: Path | None,
    on_event: OnEvent,
) -> Course:
    from sterling.loops.collapse import Course
    from sterling.modalities.tabular import Tabular

    return Course(
        generator=made_by, label=label, start=start, reserve=reserve, generations=generations, rows=rows,
        inject=inject, declared=declared, least=least, seed=seed, encode=Tabular().views, keep=_keep(out),
        on_event=on_event,
    )  # fmt: skip


def _keep(out: Path | None) -> Keep:
    """Every generation is looked up in OUT/cache, so that a killed loop goes on where it was."""
    if out is None:
        return lambda _task, make: make()
    from sterling.run.cache import FileCache
    from sterling.run.ledger import JsonlLedger
    from sterling.run.tasks import cached
    from sterling.sources.atomic import folder_at

    folder_at(out)
    cache, ledger = FileCache(out / "cache"), JsonlLedger(out / "ledger.jsonl")

    def keep(task: Task, make: Callable[[], bytes]) -> bytes:
        return cached(task, make, cache=cache, ledger=ledger)

    return keep


def _write(traces: Sequence[Trace], out: Path) -> None:
    """The last generation of every mode as a set of its own, with its depth."""
    import shutil

    from sterling.api.generate import write_out

    for trace in traces:
        if trace.steps:
            last = trace.steps[-1]
            folder = out / "sets" / f"{trace.mode}-{last.generation}"
            if (folder / "manifest.json").is_file():
                shutil.rmtree(folder)
            write_out(last.made.batches(), folder, like=last.made)


def _concluded(
    course: Course,
    traces: Sequence[Trace],
    whole: Dataset,
    policy: Policy,
    *,
    until: int,
    stakes: Stakes,
    cost: tuple[int, int],
) -> Result:
    from sterling.decide.inputs import InputRecord
    from sterling.decide.result import Result
    from sterling.decide.rules import Facts, decide
    from sterling.loops.findings import findings_of, first_findings, foretold
    from sterling.loops.forecast import forecasts
    from sterling.loops.reading import VITALS

    limits = limits_of(policy)
    found: list[Finding] = first_findings(traces[0], limits)
    told: list[Forecast] = []
    for trace in traces:
        found += findings_of(trace, limits)
        own = forecasts(trace, until=until, inject=course.inject)
        told += own
        rare = [f for f in own if f.what == VITALS["rare_slices"].title]
        found += [foretold(f, limits, last=trace.steps[-1].generation) for f in rare]
    facts = Facts(kind="collapse", stakes=stakes, chosen=_best(found, traces))
    today = datetime.datetime.now(datetime.UTC).date()
    decision = decide(found, facts=facts, policy=replace(policy, decisive=()), today=today)
    # What the generator drops at once is the cause of what the modes lose; a stable sort keeps the rest as spoken.
    cause = sorted(decision.rules, key=lambda r: r.verdict is not decision.verdict or r.rule != "D2")
    decision = replace(decision, rules=tuple(cause))
    sets = [whole] if course.reserve is None else [course.start, replace(course.reserve, name="reserve")]
    return Result(
        kind="collapse", decision=decision, findings=tuple(found),
        inputs=tuple(InputRecord(s.name, s.rows, s.fingerprint, s.origin.value, s.notes) for s in sets),
        seed=course.seed, policy=decision.policy, cost={"fits": cost[0], "rows_fitted": cost[1]},
        notes=notes_of(course, traces), tables=tables_of(traces, told, limits), picture=picture_of(traces, limits),
    )  # fmt: skip


def _best(findings: Sequence[Finding], traces: Sequence[Trace]) -> tuple[str, ...]:
    """The modes whose verdict counts: the best of those that keep real rows, replace only where it stands alone."""
    modes: list[str] = [t.mode for t in traces if t.mode != "replace"] or [t.mode for t in traces]

    def rank(mode: str) -> int:
        own = [f for f in findings if f.candidate == mode]
        if any(f.status is Status.FAIL for f in own) or any(t.failure for t in traces if t.mode == mode):
            return len(ORDER)
        whole = next((f.status for f in own if f.measure == "retention" and f.slice is None), Status.UNMEASURED)
        return ORDER.index(whole)

    best = min(rank(mode) for mode in modes)
    return tuple(mode for mode in modes if rank(mode) == best)
