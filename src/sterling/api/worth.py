"""`worth`: what each synthetic set is worth in real rows."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from sterling.api.compare import Stakes, conclude
from sterling.api.inputs import Arena, Roles, known_origin, load, prepare
from sterling.api.settings import from_mapping, from_pairs
from sterling.kernel.dataset import Dataset, Origin
from sterling.kernel.errors import InputError
from sterling.kernel.estimate import Estimate, Unmeasured
from sterling.kernel.finding import Finding, Status
from sterling.kernel.protocols import Effort, Learner, OnEvent, silent
from sterling.kernel.table import Table

if TYPE_CHECKING:
    from sterling.blend.added import Refit
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
        slices: columns of which each value gets its own worth, or one value as "label=fraud"; a class of the
            target is judged by how well it is told from all others.
        policy: a preset's name or a TOML file.
        stakes: what a wrong model would cost.
        seed: same seed, same answer.
        effort: "fast" trains less and widens the intervals.
        schema: TOML that overrides kinds and roles of columns.
        entity: column whose rows stay together in the split.
        time: time column; the latest rows become the holdout.
        on_event: hears cost and progress.

    Returns:
        Findings named `real_equivalent_rows`, one per set, in the order given, and by slice; then, by set,
        `marginal_rows` (what the next 1,000 rows of it would add), `worth_cap` (what any number of them is worth at
        most) and `added_real_rows` (what it adds to half of the real rows); and the curve.

    Raises:
        InputError: for input that is unreadable, misnamed or unrelated.
    """
    from sterling.api.wear import with_wear
    from sterling.decide.policy import load_policy

    rules = load_policy(policy, stakes=stakes)
    model = build_learner(learner, settings)
    roles = Roles(target=target, entity=entity, time=time, schema=schema)
    held = load(real, origin=Origin.REAL, schema=schema)
    related, strangers = _related(held, as_list(synthetic), schema)
    arena = prepare(held, related, roles=roles, holdout=holdout, why="worth", on_event=on_event)
    answer = exchange(
        arena, learner=model, seed=seed, effort=effort, slices=tuple(slices), also="added",
        rare=(rules.rare.few, rules.rare.fewest), on_event=on_event,
    )  # fmt: skip
    findings = (*answer.findings, *strangers, *answer.more)
    result = conclude(
        "worth", arena, findings, policy=rules, seed=seed, stakes=stakes, notes=arena.notes,
        curve=answer.curve_json(), tables=more_table(answer.more),
    )  # fmt: skip
    return with_wear(result, arena, policy=rules, learner=repr(model), on_event=on_event)


def _related(real: Dataset, synthetic: Sequence[Any], schema: Path | None) -> tuple[list[Dataset], list[Finding]]:
    """The candidates that share a column with the real data, and a finding for each that does not.

    Where none does, all are handed on: naming the wrong file is an error then, and told as one.
    """
    from sterling.modalities.tabular import shared_columns

    sets = [load(one, origin=Origin.SYNTHETIC, schema=schema) for one in synthetic]
    related = [one for one in sets if shared_columns([real.schema, one.schema]).shared]
    if not related:
        return sets, []
    why = Unmeasured(
        f"it shares no column with {real.name}", mend="name the right file, or rename its columns as the real data's"
    )
    strangers = [one for one in sets if not any(one is other for other in related)]
    return related, [
        Finding(
            "real_equivalent_rows", why, "higher", Status.UNMEASURED, candidate=one.name, reason=why.reason,
            evidence={"rows": one.rows}, fingerprints=(real.fingerprint, one.fingerprint),
        )
        for one in strangers
    ]  # fmt: skip


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
        tables=more_table(answer.worth.more),
        notes=("from the user's own trainings; the benchmark they were scored on is the user's to vouch for",),
    )


def exchange(
    arena: Arena,
    *,
    learner: Learner,
    seed: int,
    effort: Effort,
    slices: tuple[str, ...] = (),
    also: Literal["alone", "added"] = "alone",
    refits: Mapping[str, Refit] | None = None,
    rare: tuple[int, int] = (30, 8),
    on_event: OnEvent = silent,
) -> Worth:
    """The exchange rate of every candidate of an arena; one curve for all.

    Args:
        arena: the sets.
        learner: the model the data is for.
        seed: same seed, same answer.
        effort: "fast" trains less.
        slices: columns, or one value of one as "label=fraud".
        also: "added" measures what each set adds to half of the real rows as well.
        refits: for generators of ours, how to make a candidate anew from positions of the train rows.
        rare: benchmark rows below which a class is called few, and below which it is not judged.
        on_event: hears cost and progress.
    """
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
        also=also,
        refits=refits,
        independent=frozenset(c.name for c in arena.candidates if c.lineage.fitted_on == "other"),
        rare=rare,
        on_event=on_event,
    )


MORE_TITLE = "What more of each set would bring, in real rows"
MORE_NOTE = (
    "Added: what a model on half of your real rows gains from the set, as a number of further real rows. It is what "
    "the set brings, and may be nothing where the set alone looks worth much."
)


def more_table(findings: Sequence[Finding]) -> tuple[Table, ...]:
    """The further findings of `worth` as one table, a line per candidate; none where there are none."""
    names = list(dict.fromkeys(str(f.candidate) for f in findings))
    if not names:
        return ()
    by = {(str(f.candidate), f.measure): f for f in findings}
    asked = [m for m in ("marginal_rows", "worth_cap", "added_real_rows") if any(f.measure == m for f in findings)]
    heads = {"marginal_rows": "the next 1,000", "worth_cap": "any number", "added_real_rows": "added"}
    rows = tuple((name, *(_interval(by.get((name, m))) for m in asked)) for name in names)
    return (Table(MORE_TITLE, ("set", *(heads[m] for m in asked)), rows, MORE_NOTE if len(asked) == 3 else ""),)


def _interval(found: Finding | None) -> str:
    if found is None or not isinstance(found.result, Estimate):
        return "not measured" if found is not None else ""
    e = found.result
    return f">= {e.low:,.0f}" if e.censored else f"{e.value:,.0f} [{e.low:,.0f}, {e.high:,.0f}]"


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
