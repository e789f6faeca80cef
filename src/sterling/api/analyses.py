"""`analyses`: the user's own regressions, survival curves and group comparisons, on real and on synthetic rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sterling.api.analysis_fits import Outcome, Plan, asked_rows, fit_on, needs, plan_on
from sterling.api.analysis_result import Answer, estimates_picture, estimates_table, finding_of, unmeasured
from sterling.api.inputs import load
from sterling.kernel import seeds
from sterling.kernel.dataset import Dataset, Origin
from sterling.kernel.errors import InputError, UnknownName
from sterling.kernel.estimate import Estimate, Unmeasured
from sterling.kernel.finding import Finding, Json
from sterling.kernel.protocols import OnEvent, silent
from sterling.kernel.schema import Role
from sterling.kernel.table import Table
from sterling.kernel.view import View
from sterling.stats.same_conclusions import agreement, combined, kept, population_errors

if TYPE_CHECKING:
    from sterling.decide.policy import Policy
    from sterling.decide.result import Result
    from sterling.kernel.view import Floats
    from sterling.study import Analysis

# Times that the real rows are halved at random: what two real samples of that size agree by.
HALVINGS = 10
LEAST_HALF = 30
LEAST_OVERLAP = 0.5


@dataclass(frozen=True, slots=True)
class Said:
    """What the analyses said of all candidates.

    Args:
        findings: one for each analysis and candidate.
        tables: every estimate, one table for each.
        picture: the estimates of the first candidate, for the report.
    """

    findings: tuple[Finding, ...]
    tables: tuple[Table, ...]
    picture: dict[str, Json] | None


@dataclass(frozen=True, slots=True, eq=False)
class Floor:
    """What real samples of this size do among themselves.

    Args:
        overlap: mean overlap of their intervals; None where there are too few rows.
        noise: [labels] by how much their estimates differ, in what the model's own errors foresee; at least 1.
    """

    overlap: Estimate | None
    noise: Floats


def analyses(
    real: Any,
    synthetic: Sequence[Any],
    *,
    plan: Path | Sequence[Analysis],
    holdout: Any = None,
    combine: bool = False,
    policy: str | Path | None = None,
    seed: int = 0,
    schema: Path | None = None,
    quarantine: Path | None = None,
    on_event: OnEvent = silent,
) -> Result:
    """Run the analyses that matter to you on real and on synthetic rows, and say whether they conclude the same.

    Args:
        real: a path, a pandas, polars or Arrow frame, or a Dataset; all its rows are analysed.
        synthetic: one or more sets.
        plan: a TOML file with [[analysis]] tables, which may be a study, or parsed analyses.
        holdout: other real rows, whose agreement with `real` is then the noise floor; else random halves of `real`.
        combine: take the synthetic sets as draws of one generator, and their mean estimates as its answer.
        policy: a preset's name or a TOML file; `analysis_overlap` is its bound.
        seed: same seed, same halves.
        schema: TOML that overrides kinds and roles of columns.
        quarantine: save unreadable CSV rows there and go on.
        on_event: hears progress.

    Returns:
        The result: a finding for each analysis and set, a table of all estimates, a picture.

    Raises:
        InputError: for a plan that names what is not there, or input that cannot be read.
    """
    from sterling.decide.policy import load_policy
    from sterling.study import read_analyses

    specs = read_analyses(plan) if isinstance(plan, Path) else tuple(plan)
    rules = load_policy(policy)
    whole = load(real, schema=schema, quarantine=quarantine)
    made = [load(s, origin=Origin.SYNTHETIC, schema=schema) for s in synthetic]
    names = [one.name for one in made]
    made = [replace(d, name=f"{d.name} ({i})") if names.count(d.name) > 1 else d for i, d in enumerate(made, 1)]
    apart = None if holdout is None else load(holdout, schema=schema)
    for one in (whole, *made, *([] if apart is None else [apart])):
        if one.rows == 0:
            raise InputError(f"{one.name} has no rows", mend="name a set that holds at least one record")
    groups = [made] if combine and len(made) > 1 else [(one,) for one in made]
    said = run_analyses(specs, whole, groups, holdout=apart, policy=rules, seed=seed, on_event=on_event)
    return _result(said, whole, apart, made, policy=rules, seed=seed)


def run_analyses(
    specs: Sequence[Analysis],
    real: Dataset,
    candidates: Sequence[Sequence[Dataset]],
    *,
    holdout: Dataset | None,
    policy: Policy,
    seed: int,
    on_event: OnEvent = silent,
) -> Said:
    """Every analysis on every candidate.

    Args:
        specs: the analyses.
        real: real rows.
        candidates: of each candidate its sets: one, or several draws of one generator.
        holdout: other real rows, for the noise floor.
        policy: whose bound and chance of a false alarm are used.
        seed: of the run.
        on_event: hears which analysis runs.
    """
    bound = policy.bounds.get("analysis_overlap", LEAST_OVERLAP)
    findings: list[Finding] = []
    tables: list[Table] = []
    answers: list[Answer] = []
    for draws in candidates:
        name = draws[0].name if len(draws) == 1 else f"{draws[0].name} and {len(draws) - 1} more"
        for spec in specs:
            on_event("step", {"text": f"{spec.title} on {name}"})
            answer = _answer(spec, real, draws, holdout, bound=bound, alpha=policy.alpha / len(specs), seed=seed)
            if isinstance(answer, Unmeasured):
                findings.append(unmeasured(spec, answer, name, bound))
                continue
            findings.append(finding_of(answer, name, bound))
            tables.append(estimates_table(answer, name if len(candidates) > 1 else None))
            answers += [answer] if draws is candidates[0] else []
    return Said(tuple(findings), tuple(tables), estimates_picture(answers))


def check_analyses(specs: Sequence[Analysis], real: Dataset) -> None:
    """Refuse a plan that names what the real rows do not have, before anything long is begun.

    Raises:
        InputError: naming the column, level or condition.
    """
    for spec in specs:
        views = _views(spec, real, (), None)
        if not isinstance(views, Unmeasured):
            plan_on(spec, views[0])


def _answer(
    spec: Analysis,
    real: Dataset,
    draws: Sequence[Dataset],
    holdout: Dataset | None,
    *,
    bound: float,
    alpha: float,
    seed: int,
) -> Answer | Unmeasured:
    views = _views(spec, real, draws, holdout)
    if isinstance(views, Unmeasured):
        return views
    plan = plan_on(spec, views[0])
    if isinstance(plan, Unmeasured):
        return plan
    first = fit_on(plan, views[0])
    if isinstance(first, Unmeasured):
        return Unmeasured(f"on the real rows: {first.reason}", first.mend)
    made: list[Outcome] = []
    for view in views[1 : len(draws) + 1]:
        outcome = fit_on(plan, view)
        if isinstance(outcome, Unmeasured):
            return Unmeasured(f"on the synthetic rows: {outcome.reason}", outcome.mend)
        made.append(outcome)
    return _compared(plan, first, made, _floor(plan, views[0], views[len(draws) + 1 :], made, seed), bound, alpha)


def _compared(
    plan: Plan, first: Outcome, made: Sequence[Outcome], floor: Floor, bound: float, alpha: float
) -> Answer | Unmeasured:
    """Hold what came out against each other, on the estimates that all sets have."""
    both = first.there & np.all([m.there for m in made], axis=0)
    if not both.any():
        return Unmeasured("no estimate could be had on both real and synthetic rows", "see the terms and the times")
    fits = [kept(m.fit, both[m.there]) for m in made]
    rows = first.rows, round(float(np.mean([m.rows for m in made])))
    base = kept(first.fit, both[first.there])
    return Answer(
        plan=plan,
        real=first,
        made=tuple(made),
        both=both,
        lost=first.there & ~both,
        agree=agreement(
            base, combined(fits), rows=(rows[0], rows[1] * len(fits)), alpha=alpha, least=bound, noise=floor.noise[both]
        ),
        base=base,
        mean=combined(fits),
        population=population_errors(fits, rows=rows),
        floor=floor.overlap,
    )


def _views(
    spec: Analysis, real: Dataset, draws: Sequence[Dataset], holdout: Dataset | None
) -> tuple[View, ...] | Unmeasured:
    """The columns that the analysis needs, of all its sets, in one encoding."""
    from sterling.modalities.tabular import Tabular

    known = real.schema.names
    terms = [p.strip() for t in spec.terms for p in ([t] if t in known else t.split(":"))]
    wanted = tuple(dict.fromkeys([*needs(spec), *terms]))
    for name in wanted:
        if name not in real.schema:
            raise UnknownName.among(name, known, what=f"column in the analysis {spec.title!r}")
    for one in (*draws, *([] if holdout is None else [holdout])):
        lacking = [name for name in wanted if name not in one.schema]
        if lacking:
            return Unmeasured(f"{one.name} lacks {', '.join(lacking)}", "give a set that has these columns")
    return Tabular().views([_narrowed(one, wanted) for one in (real, *draws, *([] if holdout is None else [holdout]))])


def _narrowed(data: Dataset, names: Sequence[str]) -> Dataset:
    """These columns alone; an analysis may use an identifier, such as a count that never repeats, as a feature."""
    schema = data.schema.select(names)
    for field in schema:
        if field.role in (Role.KEY, Role.ENTITY):
            schema = schema.replaced(replace(field, role=Role.FEATURE))
    return replace(data, schema=schema)


def _floor(plan: Plan, real: View, apart: Sequence[View], made: Sequence[Outcome], seed: int) -> Floor:
    """By how much two real samples agree: random halves of the rows that count; the holdout where there is one."""
    rows = np.flatnonzero(asked_rows(plan.spec, {c.name: c for c in real.columns or ()}))
    size = min(rows.size // 2, made[0].asked)
    rng = seeds.stream(seed, "analyses", "halves", plan.spec.title)
    orders = [rng.permutation(rows) for _ in range(HALVINGS if size >= LEAST_HALF else 0)]
    halves = [(real.take(np.sort(o[:size])), real.take(np.sort(o[size : 2 * size]))) for o in orders]
    found = [f for one, other in halves if (f := _halved(plan, one, other)) is not None]
    shifts = np.array([shift for _, shift, _ in found]) if found else np.ones((1, len(plan.labels)))
    known = np.isfinite(shifts)
    square = np.square(np.where(known, shifts, 0.0)).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    noise = np.maximum(1.0, np.sqrt(square))
    if apart:
        told = _halved(plan, real, apart[0])
        found, how = ([] if told is None else [told]), "the holdout against the real rows"
    else:
        how = f"mean and range of {len(found)} random halvings"
    if not found:
        return Floor(None, noise)
    means, fewest = [mean for mean, _, _ in found], min(n for _, _, n in found)
    return Floor(Estimate(float(np.mean(means)), min(means), max(means), fewest, 0.95, how), noise)


def _halved(plan: Plan, one: View, other: View) -> tuple[float, Floats, int] | None:
    """Mean overlap of two real samples, [labels] their differences in standard errors, rows of the smaller one."""
    a, b = fit_on(plan, one), fit_on(plan, other)
    if isinstance(a, Unmeasured) or isinstance(b, Unmeasured) or not (a.there & b.there).any():
        return None
    both = a.there & b.there
    x, y = kept(a.fit, both[a.there]), kept(b.fit, both[b.there])
    shifts = np.full(both.size, np.nan)
    shifts[both] = (y.values - x.values) / np.sqrt(np.diag(x.covariance) + np.diag(y.covariance))
    return agreement(x, y, rows=(a.rows, b.rows)).mean, shifts, min(a.rows, b.rows)


def _result(
    said: Said, real: Dataset, holdout: Dataset | None, made: Sequence[Dataset], *, policy: Policy, seed: int
) -> Result:
    import datetime

    from sterling.decide.result import InputRecord, Result
    from sterling.decide.rules import Facts, decide

    facts = Facts(kind="analyses", n_train=real.rows, has_target=False)
    today = datetime.datetime.now(datetime.UTC).date()
    decision = decide(said.findings, facts=facts, policy=policy, today=today)
    sets = (real, *([] if holdout is None else [holdout]), *made)
    return Result(
        kind="analyses",
        decision=decision,
        findings=said.findings,
        inputs=tuple(InputRecord(s.name, s.rows, s.fingerprint, s.origin.value, s.notes) for s in sets),
        seed=seed,
        policy=decision.policy,
        notes=NOTES,
        tables=said.tables,
        picture=said.picture,
    )


NOTES = (
    "Intervals of synthetic rows speak of those rows, as if they were as many as the real ones: they do not know that "
    "the rows were made from a sample. `--json` also has intervals for the population (T_s).",
)
