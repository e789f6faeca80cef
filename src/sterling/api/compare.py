"""`compare`: a synthetic set against real rows, every measure with interval and floor, one verdict."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from sterling.api.canaries import canary_views
from sterling.api.inputs import Arena, Roles, known_origin, lacking, minority_rows, prepare
from sterling.kernel import registry
from sterling.kernel.finding import Finding, Status
from sterling.kernel.protocols import Effort, Learner, Mark, OnEvent, Terms, mark_of, silent
from sterling.kernel.schema import Role
from sterling.kernel.view import Need, stack

if TYPE_CHECKING:
    from sterling.decide.policy import Policy
    from sterling.decide.result import InputRecord, Result
    from sterling.decide.rules import Facts

Stakes = Literal["low", "consequential"]


def compare(
    real: Any,
    synthetic: Any,
    *,
    holdout: Any = None,
    target: str | None = None,
    groups: Sequence[str] = (),
    slices: Sequence[str] = (),
    policy: str | Path | None = None,
    stakes: Stakes = "low",
    seed: int = 0,
    effort: Effort = "full",
    schema: Path | None = None,
    quarantine: Path | None = None,
    entity: str | None = None,
    time: str | None = None,
    on_event: OnEvent = silent,
) -> Result:
    """Judge one synthetic set against real data.

    Args:
        real: a path, a pandas, polars or Arrow frame, or a Dataset.
        synthetic: likewise.
        holdout: real rows that the generator never saw; without it REAL splits 80 / 20.
        target: the column a model shall predict.
        groups: protected attributes.
        slices: columns of which each value is judged by itself.
        policy: a preset's name or a TOML file.
        stakes: what a wrong model would cost; "consequential" tightens the policy.
        seed: same seed, same answer.
        effort: "fast" subsamples and says so.
        schema: TOML that overrides kinds and roles of columns.
        quarantine: save unreadable CSV rows there and go on.
        entity: column whose rows stay together in the split.
        time: time column; the latest rows become the holdout.
        on_event: hears progress.

    Returns:
        The result: verdict, rules, findings; `as_json()` is the documented envelope.

    Raises:
        InputError: for input that is unreadable, misnamed or unrelated.
    """
    from sterling.api.wear import with_wear
    from sterling.decide.policy import load_policy

    roles = Roles(target=target, groups=tuple(groups), entity=entity, time=time, schema=schema)
    rules = load_policy(policy, stakes=stakes)
    arena = prepare(
        real, [synthetic], roles=roles, holdout=holdout, quarantine=quarantine, why="compare", on_event=on_event
    )
    findings = judge(arena, 0, policy=rules, seed=seed, effort=effort, slices=tuple(slices), on_event=on_event)
    result = conclude(
        "compare", arena, findings, policy=rules, seed=seed, stakes=stakes, notes=arena.notes,
    )  # fmt: skip
    return with_wear(result, arena, policy=rules, on_event=on_event)


def judge(
    arena: Arena,
    index: int,
    *,
    policy: Policy,
    seed: int,
    effort: Effort,
    slices: tuple[str, ...] = (),
    learner: Learner | None = None,
    on_event: OnEvent = silent,
) -> tuple[Finding, ...]:
    """Run the panel of all measures on one candidate of an arena."""
    from sterling.api.slices import judge_slices
    from sterling.run.panel import run_panel

    terms = Terms(
        alpha=policy.alpha,
        effort=effort,
        slices=slices,
        learner=learner or registry.build("learners", "boosted_trees", {}),
        runs=3 if effort == "fast" else 5,
    )
    whole = stack([arena.train_view, arena.benchmark_view])
    measures = {name: registry.resolve("measures", name) for name in registry.names("measures")}
    findings = list(
        run_panel(
            measures,
            arena.train_view,
            arena.views[index],
            holdout=arena.benchmark_view,
            holdout_clean=arena.clean[index],
            seed=seed,
            terms=terms,
            bounds=policy.bounds,
            candidate=arena.candidates[index].name,
            on_event=on_event,
            elsewhere={name: whole for name, m in measures.items() if against_all(mark_of(m), arena)},
        )
    )
    findings = _with_canaries(findings, arena, index, policy=policy, seed=seed, terms=terms)
    asked = (*slices, *(c.name for c in whole.with_role(Role.GROUP)))
    failed = {f.measure for f in findings if f.status is Status.FAIL}
    findings += judge_slices(
        arena, index, asked, whole, failed=failed, policy=policy, seed=seed, terms=terms, on_event=on_event
    )
    place = {name: i for i, name in enumerate(measures)}
    return tuple(sorted(findings, key=lambda f: place.get(f.measure, len(place))))


def _with_canaries(
    findings: list[Finding], arena: Arena, index: int, *, policy: Policy, seed: int, terms: Terms
) -> list[Finding]:
    """The findings with what became of the canaries, where our own generator planted some."""
    from sterling.run.panel import run_panel

    sets = canary_views(arena, index)
    if sets is None:
        return findings
    real, twins, made = sets
    # Planted by a coin and looked for once: a hundredth of the budget, as for any measure that seldom applies.
    measures = {"canaries": registry.resolve("measures", "canaries")}
    found = run_panel(
        measures, real, made, holdout=twins, holdout_clean=True, seed=seed,
        terms=replace(terms, alpha=terms.alpha / 100), bounds=policy.bounds,
        candidate=arena.candidates[index].name, on_event=silent,
    )  # fmt: skip
    return [f for f in findings if f.measure != "canaries"] + list(found)


def against_all(mark: Mark, arena: Arena) -> bool:
    """Whether a measure holds the candidate against all real rows, not the train part alone.

    Where Sterling split the rows itself, both parts are the same population and all of them show it best; a
    split by time leaves the train part without the latest rows. Measures that train a model, ask for the time,
    need rows no generator saw, or carry a control group keep the two parts apart.
    """
    if arena.holdout_given or mark.needs & {Need.BENCHMARK, Need.HOLDOUT, Need.LEARNER, Need.TIME}:
        return False
    return mark.family != "privacy" or not any(arena.clean)


def facts_of(
    arena: Arena,
    *,
    kind: str,
    stakes: Stakes,
    prices: dict[str, float] | None = None,
    chosen: tuple[str, ...] | None = None,
) -> Facts:
    """What the rules must know beside the findings."""
    from sterling.decide.rules import Facts

    return Facts(
        kind=kind,
        n_train=arena.train.rows,
        n_benchmark=arena.benchmark.rows,
        minority_train=minority_rows(arena.train_view),
        minority_benchmark=minority_rows(arena.benchmark_view),
        stakes=stakes,
        fitted_on=known_origin(arena),
        holdout_given=arena.holdout_given,
        leaked=arena.leaked,
        prices=prices or {},
        candidate_rows={c.name: c.rows for c in arena.candidates},
        chosen=chosen,
        has_target=arena.train_view.target is not None,
        target=arena.train_view.target.name if arena.train_view.target is not None else None,
        lacking=lacking(arena),
        depths={c.name: c.lineage.depth for c in arena.candidates},
        declared=tuple(f.name for f in arena.real.schema if f.role in (Role.TARGET, Role.GROUP, Role.TIME)),
    )


def inputs_of(arena: Arena) -> tuple[InputRecord, ...]:
    """The inputs as the envelope lists them: real, holdout, then candidates in the order given."""
    from sterling.decide.result import InputRecord

    sets = [arena.real, *([arena.benchmark] if arena.holdout_given else []), *arena.candidates]
    return tuple(InputRecord(s.name, s.rows, s.fingerprint, s.origin.value, s.notes, s.lineage.generator) for s in sets)


def conclude(
    kind: str,
    arena: Arena,
    findings: tuple[Finding, ...],
    *,
    policy: Policy,
    seed: int,
    stakes: Stakes,
    notes: Sequence[str] = (),
    prices: dict[str, float] | None = None,
    chosen: tuple[str, ...] | None = None,
    **pictures: Any,
) -> Result:
    """Apply the policy to the findings and fold everything into a result."""
    from sterling.decide.result import Result
    from sterling.decide.rules import decide

    facts = facts_of(arena, kind=kind, stakes=stakes, prices=prices, chosen=chosen)
    decision = decide(findings, facts=facts, policy=policy, today=datetime.datetime.now(datetime.UTC).date())
    return Result(
        kind=kind,
        decision=decision,
        findings=findings,
        inputs=inputs_of(arena),
        seed=seed,
        policy=decision.policy,
        notes=tuple(notes),
        **pictures,
    )
