"""The ground a drill is held on: a clean base, judged once, and the user's own gate for what is planted in it."""

from __future__ import annotations

import functools
import json
import re
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pyarrow as pa

from sterling.api.compare import Stakes, against_all, conclude, judge
from sterling.api.inputs import Arena, Roles, declare, load
from sterling.kernel import registry
from sterling.kernel.dataset import Dataset, Origin, SplitRole
from sterling.kernel.finding import Finding, Json, RuleOutcome, Status
from sterling.kernel.protocols import MARK, Effort, Measure, OnEvent, Planted, Terms, mark_of, silent
from sterling.kernel.schema import Role
from sterling.kernel.view import Need, stack
from sterling.stats.planting import NOT_CASTABLE

if TYPE_CHECKING:
    from sterling.decide.policy import Policy
    from sterling.decide.result import Result


@dataclass(frozen=True, slots=True)
class Answer:
    """What the gate said of one plant.

    Args:
        caught: whether it was stopped for a reason that the clean base does not give.
        by: the finding that a reader is shown first, such as "label_loss"; empty where nothing stopped it.
        named: whether what is read first names the cause.
    """

    caught: bool
    by: str = ""
    named: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Ground:
    """A clean base, and all that it takes to judge what is planted in it.

    Args:
        arena: real rows, benchmark and the clean base, read and split once.
        roles: as the user declared them.
        policy: the judge.
        stakes: what a wrong model would cost.
        seed: of every judgement, so that base and plants differ in the rows alone.
        effort: "fast" subsamples.
        base: the clean base's own result.
        passed: whether the gate lets the clean base through.
        seconds: by measure that can stop anything, the processor seconds it takes.
        trained: those of them that train the model the data is for.
        unit: what a measure of weight 1 may spend of the false-alarm budget.
        train: the real rows that a generator would have seen.
        clean: the base's rows.
    """

    arena: Arena
    roles: Roles
    policy: Policy
    stakes: Stakes
    seed: int
    effort: Effort
    base: Result
    passed: bool
    seconds: Mapping[str, float]
    trained: frozenset[str]
    unit: float
    train: pa.Table
    clean: pa.Table

    @property
    def failed(self) -> frozenset[str]:
        """Names of the findings that fail on the clean base already."""
        return frozenset(f.name for f in self.base.findings if f.status is Status.FAIL)


def prepare_ground(
    arena: Arena, *, roles: Roles, policy: Policy, stakes: Stakes, seed: int, effort: Effort, on_event: OnEvent
) -> Ground:
    """Judge the clean base once, with a clock on every measure."""
    spent: dict[str, float] = {}
    last = time.process_time()

    def clock(event: str, facts: Mapping[str, Json]) -> None:
        nonlocal last
        now = time.process_time()
        if event == "measured":
            spent.setdefault(str(facts["measure"]), now - last)
        last = now
        on_event(event, facts)

    findings = judge(arena, 0, policy=policy, seed=seed, effort=effort, on_event=clock)
    base = conclude("compare", arena, findings, policy=policy, seed=seed, stakes=stakes, notes=arena.notes)
    marks = {name: mark_of(registry.resolve("measures", name)) for name in spent}
    # The panel takes the measure twice more for its noise floor (once, where it is fast); a drill needs none.
    times = {name: 1 if not mark.floor else 2 if effort == "fast" else 3 for name, mark in marks.items()}
    undeclared = {f.measure for f in findings if f.status is Status.NOT_APPLICABLE and f.slice is None}
    telling = [n for n, m in marks.items() if m.weight > 0 and n not in policy.informs and n not in undeclared]
    return Ground(
        arena=arena, roles=roles, policy=policy, stakes=stakes, seed=seed, effort=effort, base=base,
        passed=_passes(base, policy),
        seconds={n: spent[n] / times[n] for n in telling},
        trained=frozenset(n for n in telling if Need.LEARNER in marks[n].needs),
        unit=_unit(findings, {name: mark.weight for name, mark in marks.items()}),
        train=arena.train.table(), clean=arena.candidates[0].table(),
    )  # fmt: skip


def _passes(result: Result, policy: Policy) -> bool:
    from sterling.decide.gate import gate

    return gate(result, policy=policy).passed


def _unit(findings: Sequence[Finding], weights: Mapping[str, float]) -> float:
    """The budget of a measure of weight 1: every finding on a whole set records what it was told to spend."""
    for finding in findings:
        # Planted canaries are looked for in a panel of their own, with a budget apart from the others'.
        if finding.measure == "canaries":
            continue
        told, weight = finding.params.get("alpha"), weights.get(finding.measure, 0.0)
        if finding.slice is None and isinstance(told, float) and weight > 0:
            return told / weight
    return 0.001  # nothing was measured, so nothing will be


def judged(ground: Ground, planted: Planted, *, first: Collection[str], stop: bool) -> Answer:
    """Ask the gate about one plant.

    The measures are those of `compare`, with the same seeds, shares of the false-alarm budget and rules; their
    noise floors, which decide nothing, are left out.

    Args:
        ground: the clean base.
        planted: what was planted in it.
        first: measures to take before the others.
        stop: end at the first failure that stops the plant. Measures that were not taken by then count as on
            the clean base, and which cause a reader would see first is not known. Where the effort is "fast",
            nothing is trained while nothing fails, unless the measure is among the first: rows that no cheaper
            measure sees move a trained model least of all.
    """
    arena = replanted(ground, planted)
    # Not by the clock: the order must be the same on every machine.
    order = sorted(ground.seconds, key=lambda name: (name not in first, name in ground.trained))
    fresh: dict[str, tuple[Finding, ...]] = {}
    for name in order:
        failing = any(f.status is Status.FAIL for found in fresh.values() for f in found)
        if stop and ground.effort == "fast" and name in ground.trained and name not in first and not failing:
            continue
        fresh[name] = _measured(ground, arena, name)
        if stop and any(f.status is Status.FAIL for f in fresh[name]):
            answer = _answer(ground, arena, _beside(ground.base.findings, fresh), planted, first)
            if answer.caught:
                return answer
    findings = [*_beside(ground.base.findings, fresh), *_sliced(ground, arena, fresh)]
    return _answer(ground, arena, findings, planted, first)


def _beside(base: Sequence[Finding], fresh: Mapping[str, tuple[Finding, ...]]) -> list[Finding]:
    """Fresh findings, and the base's where there are none; a declared group's slices are judged apart."""
    old = [f for f in base if f.measure not in fresh]
    every = [*old, *(f for found in fresh.values() for f in found)]
    return sorted(every, key=lambda f: f.measure)


def _sliced(ground: Ground, arena: Arena, fresh: Mapping[str, tuple[Finding, ...]]) -> list[Finding]:
    """The values of each declared group, as `compare` judges them."""
    from sterling.api.slices import judge_slices

    whole = stack([arena.train_view, arena.benchmark_view])
    groups = tuple(c.name for c in whole.with_role(Role.GROUP))
    failed = {f.measure for found in fresh.values() for f in found if f.status is Status.FAIL}
    return judge_slices(
        arena, 0, groups, whole, failed=failed, policy=ground.policy, seed=ground.seed,
        terms=replace(_terms(ground), alpha=ground.policy.alpha), on_event=silent,
    )  # fmt: skip


def _terms(ground: Ground) -> Terms:
    learner = registry.build("learners", "boosted_trees", {})
    return Terms(effort=ground.effort, learner=learner, runs=3 if ground.effort == "fast" else 5)


def _measured(ground: Ground, arena: Arena, name: str) -> tuple[Finding, ...]:
    """One measure of the panel, by itself, on the terms it has among the others."""
    from sterling.run.panel import run_panel

    measure = registry.resolve("measures", name)
    mark = mark_of(measure)
    whole = {name: stack([arena.train_view, arena.benchmark_view])} if against_all(mark, arena) else {}
    return run_panel(
        {name: _without_floor(measure)},
        arena.train_view,
        arena.views[0],
        holdout=arena.benchmark_view,
        holdout_clean=arena.clean[0],
        seed=ground.seed,
        terms=replace(_terms(ground), alpha=ground.unit * mark.weight),
        bounds=ground.policy.bounds,
        candidate=arena.candidates[0].name,
        on_event=silent,
        elsewhere=whole,
    )


def _without_floor(measure: Measure) -> Measure:
    @functools.wraps(measure)
    def bare(*sets: object, **terms: object) -> tuple[Finding, ...]:
        return measure(*sets, **terms)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]

    setattr(bare, MARK, replace(mark_of(measure), floor=False))
    return bare  # pyright: ignore[reportReturnType]


def _answer(
    ground: Ground, arena: Arena, findings: Sequence[Finding], planted: Planted, expected: Collection[str]
) -> Answer:
    result = conclude("compare", arena, tuple(findings), policy=ground.policy, seed=ground.seed, stakes=ground.stakes)
    asking = [r for r in result.decision.rules if r.verdict is not None and r.waived is None]
    fresh = {f.name for f in result.findings if f.status is Status.FAIL} - ground.failed
    new = [r for r in asking if fresh & set(r.because)]
    stopped = ground.passed and not _passes(result, ground.policy)
    if not new and not stopped:
        return Answer(caught=False)
    told = (new or asking)[:1]
    by = next((n for r in told for n in r.because if n in fresh or not new), told[0].rule if told else "")
    target = ground.roles.target
    named = any(names_cause(r, by, result.findings, planted, expected, target=target) for r in told)
    return Answer(caught=True, by=by, named=named)


def names_cause(
    rule: RuleOutcome,
    by: str,
    findings: Sequence[Finding],
    planted: Planted,
    expected: Collection[str],
    *,
    target: str | None,
) -> bool:
    """Whether the first rule, or the finding it rests on, names a column in which the cause lies.

    A cause that lies in no column (copies), or in the labels themselves, is named by a measure that is made for it.
    """
    if set(planted.columns) <= {target} and by.partition(":")[0] in expected:
        return True
    found = next((f for f in findings if f.name == by), None)
    shown = [rule.reason, by, found.reason or "" if found else "", json.dumps(dict(found.evidence)) if found else ""]
    return any(re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text) for name in planted.columns for text in shown)


def replanted(ground: Ground, planted: Planted) -> Arena:
    """The arena with the planted rows in the base's place; they are read as any file of a vendor would be."""
    from sterling.modalities.tabular import Tabular

    arena, base = ground.arena, ground.arena.candidates[0]
    made = load(planted.synthetic, name=base.name, origin=Origin.SYNTHETIC, schema=ground.roles.schema)
    made = replace(made, lineage=base.lineage)
    train, benchmark = (arena.train, arena.benchmark) if planted.real is None else _dealt(ground, planted.real)
    train_view, benchmark_view, view = Tabular().views([train, benchmark, made])
    return replace(
        arena, train=train, benchmark=benchmark, candidates=(made,),
        train_view=train_view, benchmark_view=benchmark_view, views=(view,),
    )  # fmt: skip


def all_real(ground: Ground) -> pa.Table | None:
    """Train rows, then benchmark rows; None where a given holdout stores a column as another type."""
    both = [ground.train, ground.arena.benchmark.table()]
    shared = [name for name in both[0].column_names if name in both[1].column_names]
    try:
        return pa.concat_tables([t.select(shared) for t in both], promote_options="permissive")
    except NOT_CASTABLE:
        return None


def _dealt(ground: Ground, real: pa.Table) -> tuple[Dataset, Dataset]:
    """Changed real rows, set apart again as the user's were."""
    from sterling.sources import split

    arena = ground.arena

    def read(rows: pa.Table) -> Dataset:
        named = load(rows, name=arena.real.name, origin=Origin.REAL, schema=ground.roles.schema)
        return declare(named, ground.roles)

    if not arena.holdout_given:
        return split.split(read(real))
    size = ground.train.num_rows
    train, benchmark = read(real.slice(0, size)), read(real.slice(size))
    return replace(train, split=SplitRole.TRAIN), replace(benchmark, split=SplitRole.HOLDOUT)
