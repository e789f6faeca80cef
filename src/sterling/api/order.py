"""`order`: mixed, one after the other, or either alone: which order of training to use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sterling.api.compare import Stakes, conclude
from sterling.api.inputs import Roles, known_origin, prepare
from sterling.api.worth import as_list, build_learner
from sterling.kernel.protocols import Effort, Learner, OnEvent, silent

if TYPE_CHECKING:
    from sterling.blend.order import Orders
    from sterling.decide.result import Result

FAST = (
    "--fast: one deal of the folds, CORAL alone of the adaptations, and no more synthetic rows than there are real "
    "ones: more stays undecided"
)


def order(
    real: Any,
    synthetic: Any,
    *,
    target: str,
    holdout: Any = None,
    learner: str | Learner = "boosted_trees",
    settings: Sequence[str] | Mapping[str, Any] = (),
    worths: Mapping[str, float] | None = None,
    policy: str | Path | None = None,
    stakes: Stakes = "low",
    seed: int = 0,
    effort: Effort = "full",
    schema: Path | None = None,
    entity: str | None = None,
    time: str | None = None,
    on_event: OnEvent = silent,
) -> Result:
    """Try the orders of training, and name one only where it is shown to be better.

    Args:
        real: a path, a frame or a Dataset.
        synthetic: one set or a list of sets.
        target: the column a model shall predict.
        holdout: real rows that no generator saw; without it REAL splits 80 / 20.
        learner: a learner's name, or a learner.
        settings: the learner's settings.
        worths: real-equivalent rows by set, where known from `worth`: the centre of the weights in a mix.
        policy: a preset's name or a TOML file; `[order] se_factor` says how sure it must be.
        stakes: what a wrong model would cost.
        seed: same seed, same answer.
        effort: "fast" trains less.
        schema: TOML that overrides kinds and roles of columns.
        entity: column whose rows stay together in the split.
        time: time column; the latest rows become the holdout.
        on_event: hears cost and progress.

    Returns:
        A finding `order_gain` for each order, rule D14, and the table "Orders of training".

    Raises:
        InputError: for input that is unreadable, misnamed or unrelated.
    """
    from sterling.api.wear import with_wear
    from sterling.blend.order import find_order
    from sterling.decide.policy import load_policy

    rules = load_policy(policy, stakes=stakes)
    model = build_learner(learner, settings)
    roles = Roles(target=target, entity=entity, time=time, schema=schema)
    arena = prepare(real, as_list(synthetic), roles=roles, holdout=holdout, why="order", on_event=on_event)
    found = find_order(
        arena.train_view,
        arena.benchmark_view,
        dict(zip((c.name for c in arena.candidates), arena.views, strict=True)),
        learner=model,
        seed=seed,
        se_factor=rules.order.se_factor,
        stakes=rules.stakes,
        worths=worths,
        fitted_on=known_origin(arena),
        effort=effort,
        on_event=on_event,
    )
    result = conclude(
        "order", arena, found.report.findings, policy=rules, seed=seed, stakes=stakes,
        notes=(*arena.notes, *([FAST] if effort == "fast" else [])), chosen=_chosen(found),
        tables=(found.report.table,), cost=dict(found.cost),
    )  # fmt: skip
    asked = repr((target, sorted((worths or {}).items()), repr(model), rules.label, seed, effort))
    return with_wear(result, arena, policy=rules, learner=repr(model), asked=asked, on_event=on_event)


def _chosen(found: Orders) -> tuple[str, ...]:
    """Whose rows are used beside real ones; none where synthetic rows would stand alone, which D1 must hear of."""
    if found.recommended.how == "synthetic":
        return ()
    return (found.recommended.candidate or found.recommended.title,)
