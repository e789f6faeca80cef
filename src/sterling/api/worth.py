"""`worth`: what each synthetic set is worth in real rows."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sterling.api.compare import Stakes, conclude
from sterling.api.inputs import Arena, Roles, known_origin, prepare
from sterling.api.settings import from_mapping, from_pairs
from sterling.kernel.errors import InputError
from sterling.kernel.protocols import Effort, Learner, OnEvent, silent

if TYPE_CHECKING:
    from sterling.blend.exchange import Worth
    from sterling.decide.result import Result

RUNS = {"full": 5, "fast": 3}


def worth(
    real: Any,
    synthetic: Any,
    *,
    target: str,
    holdout: Any = None,
    learner: str | Learner = "boosted_trees",
    settings: Sequence[str] | Mapping[str, Any] = (),
    slices: Sequence[str] = (),
    policy: str | Path | None = None,
    stakes: Stakes = "low",
    seed: int = 0,
    effort: Effort = "full",
    schema: Path | None = None,
    entity: str | None = None,
    time: str | None = None,
    on_event: OnEvent = silent,
) -> Result:
    """Real-equivalent rows of one or more synthetic sets, read off one real learning curve.

    Args:
        real: a path, a frame or a Dataset.
        synthetic: one set or a list of sets.
        target: the column a model shall predict.
        holdout: real rows that no generator saw; without it REAL splits 80 / 20.
        learner: a learner's name, or a learner.
        settings: the learner's settings, as a mapping or "key=value" strings.
        slices: columns of which each value gets its own worth.
        policy: a preset's name or a TOML file.
        stakes: what a wrong model would cost.
        seed: same seed, same answer.
        effort: "fast" trains less and widens the intervals.
        schema: TOML that overrides kinds and roles of columns.
        entity: column whose rows stay together in the split.
        time: time column; the latest rows become the holdout.
        on_event: hears cost and progress.

    Returns:
        Findings named `real_equivalent_rows`, one per set, in the order given; and the curve.

    Raises:
        InputError: for input that is unreadable, misnamed or unrelated.
    """
    from sterling.decide.policy import load_policy

    rules = load_policy(policy, stakes=stakes)
    model = build_learner(learner, settings)
    roles = Roles(target=target, entity=entity, time=time, schema=schema)
    arena = prepare(real, as_list(synthetic), roles=roles, holdout=holdout, why="worth", on_event=on_event)
    answer = exchange(arena, learner=model, seed=seed, effort=effort, slices=tuple(slices), on_event=on_event)
    return conclude(
        "worth", arena, answer.findings, policy=rules, seed=seed, stakes=stakes, notes=arena.notes,
        curve=answer.curve_json(),
    )  # fmt: skip


def worth_from_runs(path: Path, *, policy: str | Path | None = None, stakes: Stakes = "low", seed: int = 0) -> Result:
    """Real-equivalent rows from trainings the user already did.

    Args:
        path: CSV with the columns arm ("real" or a set's name), rows, score and optionally seed.
        policy: a preset's name or a TOML file.
        stakes: what a wrong model would cost.
        seed: of the bootstrap.

    Raises:
        InputError: for a file that is unreadable or lacks a column.
    """
    from sterling.blend.from_runs import worth_of_runs
    from sterling.decide.inputs import InputRecord
    from sterling.decide.policy import load_policy
    from sterling.decide.result import Result
    from sterling.decide.rules import Facts, decide

    answer = worth_of_runs(path, seed=seed)
    facts = Facts(kind="worth", stakes=stakes, holdout_given=True)
    rules = load_policy(policy, stakes=stakes)
    decision = decide(answer.findings, facts=facts, policy=rules, today=datetime.datetime.now(datetime.UTC).date())
    return Result(
        kind="worth",
        decision=decision,
        findings=answer.findings,
        inputs=(InputRecord(path.name, answer.runs, answer.fingerprint),),
        seed=seed,
        policy=decision.policy,
        curve=answer.curve_json(),
        notes=("from the user's own trainings; the benchmark they were scored on is the user's to vouch for",),
    )


def exchange(
    arena: Arena,
    *,
    learner: Learner,
    seed: int,
    effort: Effort,
    slices: tuple[str, ...] = (),
    on_event: OnEvent = silent,
) -> Worth:
    """The exchange rate of every candidate of an arena; one curve for all."""
    from sterling.blend import exchange as rates

    return rates.worth(
        arena.train_view,
        arena.benchmark_view,
        dict(zip((c.name for c in arena.candidates), arena.views, strict=True)),
        fitted_on=known_origin(arena),
        learner=learner,
        seed=seed,
        runs=RUNS[effort],
        effort=effort,
        slices=slices,
        benchmark="holdout" if all(arena.clean) else "split",
        on_event=on_event,
    )


def build_learner(learner: str | Learner, settings: Sequence[str] | Mapping[str, Any]) -> Learner:
    """A learner from its name and settings; an instance passes through.

    Raises:
        UnknownName: for a name or setting that is not there.
        InputError: for settings given to an instance.
    """
    if not isinstance(learner, str):
        if settings:
            raise InputError("settings were given to a learner that is already built", mend="set them on the learner")
        return learner
    if isinstance(settings, Mapping):
        return from_mapping("learners", learner, settings)
    return from_pairs("learners", learner, settings)


def as_list(synthetic: Any) -> list[Any]:
    """One set or several as a list."""
    return list(synthetic) if isinstance(synthetic, (list, tuple)) else [synthetic]
