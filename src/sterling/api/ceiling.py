"""`ceiling`: how good the source of a synthetic set is, how much of it came through, what its wrong labels will do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sterling.api.ceiling_result import Outlook, concluded
from sterling.api.ceiling_teacher import hidden, target_of, teacher_of
from sterling.api.compare import Stakes
from sterling.api.inputs import Arena, Roles, load, prepare
from sterling.api.wear import with_wear
from sterling.api.worth import build_learner
from sterling.kernel.dataset import Origin
from sterling.kernel.errors import InputError
from sterling.kernel.estimate import Unmeasured
from sterling.kernel.protocols import Effort, Learner, OnEvent, silent

if TYPE_CHECKING:
    from sterling.api.ceiling_audit import Audit
    from sterling.blend.ceiling import Compared
    from sterling.decide.result import Result

RUNS: Mapping[Effort, int] = {"full": 5, "fast": 3}


def ceiling(
    real: Any,
    synthetic: Any,
    *,
    target: str,
    teacher: str | None = None,
    audit: str | None = None,
    verifier: str | None = None,
    errors: float | None = None,
    errors_in: str | None = None,
    holdout: Any = None,
    learner: str | Learner = "boosted_trees",
    settings: Sequence[str] | Mapping[str, Any] = (),
    policy: str | Path | None = None,
    stakes: Stakes = "low",
    seed: int = 0,
    effort: Effort = "full",
    schema: Path | None = None,
    entity: str | None = None,
    time: str | None = None,
    on_event: OnEvent = silent,
) -> Result:
    """How good a synthetic set can be: its teacher on the benchmark, and its wrong labels in the model.

    Args:
        real: a path, a frame or a Dataset.
        synthetic: one synthetic set.
        target: the column a model shall predict.
        teacher: what labelled the synthetic rows: a column of the benchmark with its answers (classes,
            probabilities of the second class, numbers), its score ("0.87" or "0.87,0.85,0.89"), or the name of a
            generator to be fitted and asked.
        audit: column of the synthetic set with checked labels: the true class, or true / false; empty where unchecked.
        verifier: column of the synthetic set that says which rows an automatic verifier keeps (with `audit`).
        errors: share of wrong labels, where it is known by other means than an audit column.
        errors_in: slice such as "sex=F" in which all of these lie.
        holdout: real rows that no generator saw; without it REAL splits 80 / 20.
        learner: a learner's name, or a learner.
        settings: the learner's settings.
        policy: a preset's name or a TOML file.
        stakes: what a wrong model would cost.
        seed: same seed, same answer.
        effort: "fast" trains less.
        schema: TOML that overrides kinds and roles of columns.
        entity: column whose rows stay together in the split.
        time: time column; the latest rows become the holdout.
        on_event: hears cost and progress.

    Returns:
        Findings `teacher_ceiling` and `student_kept`, `audited_error`, `predicted_error` and `measured_error`, as far
        as they were asked for; a shortage is Unmeasured.

    Raises:
        InputError: for input that is unreadable, misnamed or unrelated, or if neither teacher nor errors are named.
    """
    from sterling.decide.policy import load_policy

    _one_question(teacher, audit, verifier, errors, errors_in)
    rules = load_policy(policy, stakes=stakes)
    model = build_learner(learner, settings)
    roles = Roles(target=target, entity=entity, time=time, schema=schema)
    arena = _arena(real, synthetic, holdout, roles, [n for n in (teacher, audit, verifier) if n], on_event)
    compared = (
        None if teacher is None else _compared(arena, teacher, model, seed=seed, effort=effort, on_event=on_event)
    )
    outlook = None
    if audit is not None or errors is not None:
        found = _audited(arena, audit, verifier, errors, errors_in, seed=seed)
        outlook = _outlook(arena, found, model, seed=seed, effort=effort, on_event=on_event)
    result = concluded(arena, compared, outlook, teacher=teacher or "", policy=rules, seed=seed)
    asked = repr((target, teacher, audit, verifier, errors, errors_in, repr(model), rules.label, seed, effort))
    return with_wear(result, arena, policy=rules, learner=repr(model), asked=asked, on_event=on_event)


def _one_question(
    teacher: str | None, audit: str | None, verifier: str | None, errors: float | None, errors_in: str | None
) -> None:
    if teacher is None and audit is None and errors is None:
        raise InputError(
            "there is nothing to ask: neither a teacher nor wrong labels were named",
            mend="add --teacher COLUMN (or a score), --audit COLUMN, or --errors 0.05",
        )
    if audit is not None and errors is not None:
        raise InputError(
            "both --audit and --errors were given", mend="give the audit alone: it says how many are wrong"
        )
    if errors_in is not None and errors is None:
        raise InputError(f"--errors-in {errors_in} says where, not how many", mend="add --errors 0.05")
    if verifier is not None and audit is None:
        raise InputError("a verifier is judged by checked labels", mend="add --audit COLUMN")


def _arena(real: Any, synthetic: Any, holdout: Any, roles: Roles, names: Sequence[str], on_event: OnEvent) -> Arena:
    """Everything read, with the columns of teacher, audit and verifier hidden from every model."""
    if roles.target in names:
        raise InputError(
            f"{roles.target!r} is the target itself", mend="name the column of the teacher's answers or of the audit"
        )
    whole = hidden(load(real, schema=roles.schema), names)
    made = hidden(load(synthetic, origin=Origin.SYNTHETIC, schema=roles.schema), names)
    apart = None if holdout is None else hidden(load(holdout, schema=roles.schema), names)
    arena = prepare(whole, [made], roles=roles, holdout=apart, why="ceiling", on_event=on_event)
    for view, what in ((arena.train_view, "the real rows"), (arena.views[0], made.name)):
        if target_of(view).missing.all():
            raise InputError(f"{roles.target!r} is empty in all of {what}", mend="give rows with the target filled in")
    return arena


def _compared(
    arena: Arena, asked: str, learner: Learner, *, seed: int, effort: Effort, on_event: OnEvent
) -> Compared | Unmeasured:
    from sterling.blend import ceiling as rates

    teacher = teacher_of(asked, arena, seed=seed, on_event=on_event)
    runs = RUNS[effort]
    cost = rates.plan_cost(arena.train_view, arena.views[0], learner=learner, runs=runs)
    on_event("cost", cost.as_json())
    return rates.compare_teacher(
        arena.train_view, arena.views[0], arena.benchmark_view, teacher, learner=learner, seed=seed, runs=runs,
        on_event=on_event,
    )  # fmt: skip


def _audited(
    arena: Arena, audit: str | None, verifier: str | None, errors: float | None, errors_in: str | None, *, seed: int
) -> Audit:
    from sterling.api.ceiling_audit import read_audit, stated_audit

    if audit is not None:
        return read_audit(arena, audit, verifier=verifier, level=0.95, seed=seed)
    return stated_audit(arena, float(errors or 0.0), errors_in)


def _outlook(arena: Arena, audit: Audit, learner: Learner, *, seed: int, effort: Effort, on_event: OnEvent) -> Outlook:
    from sterling.blend import error_outlook as law

    short = law.cannot_foretell(arena.train_view, arena.benchmark_view)
    if short is not None:
        return Outlook(audit, short)
    sizes, runs = law.sizes_of(arena.train_view, arena.views[0]), RUNS[effort]
    on_event("cost", law.plan_cost(sizes, learner=learner, runs=runs).as_json())
    found = law.foretell(
        arena.train_view, arena.benchmark_view, audit.counts, audit.region, sizes=sizes, learner=learner, seed=seed,
        runs=runs, on_event=on_event,
    )  # fmt: skip
    return Outlook(audit, found)
