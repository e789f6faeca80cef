"""`reach`: the map of what synthetic sets do not reach, and what to do about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from sterling.api.compare import Stakes
from sterling.api.inputs import Arena, Roles, declare, load, prepare
from sterling.api.settings import from_mapping, from_pairs
from sterling.api.worth import as_list, build_learner
from sterling.kernel.dataset import Dataset, Origin
from sterling.kernel.errors import InputError, SterlingError
from sterling.kernel.estimate import Estimate, Unmeasured
from sterling.kernel.finding import Json
from sterling.kernel.protocols import Effort, Learner, OnEvent, silent
from sterling.kernel.schema import Role

if TYPE_CHECKING:
    from sterling.blend.reach import Reach
    from sterling.decide.result import Result

Rank = Literal["rows", "loss"]
# The share of runs on other people's real rows that name any group.
ALPHA = 0.05
# How many times as many rows a generator of ours is asked for.
TIMES = 10
# The share of the train rows that are asked: those groups are what people act on, so the benchmark is left sealed.
ASKED = 0.25


@dataclass(frozen=True, slots=True)
class Mapped:
    """The map of one candidate.

    Args:
        name: of the candidate.
        found: the map, or why there is none.
        losses: by group, how much larger a model's loss is after training on synthetic rows; empty without a target.
        loss_failed: why there are no losses though there is a target; None where there are.
        sampled: whether further rows were asked of a generator of ours.
    """

    name: str
    found: Reach | Unmeasured
    losses: Mapping[str, Estimate | Unmeasured]
    loss_failed: str | None
    sampled: bool


def reach(
    real: Any,
    synthetic: Any = (),
    *,
    target: str | None = None,
    holdout: Any = None,
    generator: str | None = None,
    settings: Sequence[str] | Mapping[str, Any] = (),
    real_row: float | None = None,
    rank: Rank = "rows",
    learner: str | Learner = "boosted_trees",
    policy: str | Path | None = None,
    stakes: Stakes = "low",
    seed: int = 0,
    effort: Effort = "full",
    schema: Path | None = None,
    entity: str | None = None,
    time: str | None = None,
    on_event: OnEvent = silent,
) -> Result:
    """Find the groups of real records that synthetic rows do not come near.

    Args:
        real: a path, a frame or a Dataset.
        synthetic: one set or a list of sets; may be empty where a generator is named.
        target: the column a model shall predict; then each group shows what the model loses there.
        holdout: the benchmark, which stays sealed: with it all of REAL is the train part, else 80 % of it.
        generator: one of ours, fitted on the train part less the records that are asked; it makes many more rows too,
            to see how near it can come.
        settings: the generator's settings, as a mapping or "key=value" strings.
        real_row: what collecting one real row costs; None where it is not known.
        rank: groups by the real rows out of reach in them, or by the loss they cost the model.
        learner: the model the data is for.
        policy: a preset's name or a TOML file.
        stakes: what a wrong model would cost.
        seed: same seed, same answer.
        effort: "fast" asks fewer records.
        schema: TOML that overrides kinds and roles of columns.
        entity: column whose rows stay together in the split.
        time: time column; the latest rows become the holdout.
        on_event: hears progress.

    Returns:
        Findings named `out_of_reach`: one for each whole set, one for each group that stands out.

    Raises:
        InputError: for input that is unreadable, misnamed or unrelated.
    """
    from sterling.api.reach_result import concluded
    from sterling.decide.policy import load_policy

    rules, model = load_policy(policy, stakes=stakes), build_learner(learner, ())
    sets = as_list(synthetic)
    if not sets and generator is None:
        raise InputError("reach was given no synthetic rows", mend="name a set, or a generator: --generator cart")
    if rank == "loss" and target is None:
        raise InputError("groups cannot be ranked by loss without a target", mend="name it: --target COLUMN")
    if real_row is not None and real_row < 0:
        raise InputError(f"a real row cannot cost {real_row}", mend="give what one costs: --real-row 2.50")
    roles = Roles(target=target, entity=entity, time=time, schema=schema)
    whole = declare(load(real, origin=Origin.REAL, schema=schema), roles)
    sets = [load(one, origin=Origin.SYNTHETIC, schema=schema) for one in sets]
    laid, asked = set_apart(whole, holdout, sets, roles=roles)
    if generator is not None:
        sets = [*sets, _sampled(laid, generator, settings, seed=seed, effort=effort, on_event=on_event)]
    arena = prepare(
        laid, sets, roles=roles, holdout=asked, why="reach: records of the train part", on_event=_but_openings(on_event)
    )
    arena = replace(arena, real=whole, holdout_given=False)
    ours = None if generator is None else len(sets) - 1
    alpha = ALPHA / len(arena.candidates)
    maps = tuple(
        draw_map(arena, i, sampled=ours, learner=model, alpha=alpha, seed=seed, effort=effort, on_event=on_event)
        for i in range(len(arena.candidates))
    )
    return concluded(arena, maps, policy=rules, seed=seed, real_row=real_row, rank=rank, alpha=alpha)


def set_apart(whole: Dataset, holdout: Any, sets: Sequence[Dataset], *, roles: Roles) -> tuple[Dataset, Dataset]:
    """The train part, cut in two by the content of its rows: real rows to lay out, and records to ask.

    Entities stay whole. Time does not decide: the map is of places, and drift is not its question.

    Args:
        whole: the real rows.
        holdout: the benchmark where the user named one: only looked at for being no candidate.
        sets: the candidates.
        roles: what the user declared.

    Raises:
        InputError: if the holdout cannot be read or is one of the candidates.
    """
    from sterling.sources.split import split

    if holdout is None:
        train = split(whole)[0]
    else:
        train, sealed = whole, load(holdout, origin=Origin.REAL, schema=roles.schema)
        for made in sets:
            if made.fingerprint == sealed.fingerprint:
                raise InputError(
                    f"the holdout holds the same rows as {made.name}", mend="name real rows that no generator saw"
                )
    timeless = [replace(f, role=Role.FEATURE) if f.role is Role.TIME else f for f in train.schema]
    parts = split(replace(train, schema=replace(train.schema, fields=tuple(timeless))), holdout=ASKED, salt="reach")
    laid, asked = (replace(part, schema=train.schema) for part in parts)
    return replace(laid, name=whole.name), replace(asked, name=f"{whole.name} (asked)")


def _but_openings(on_event: OnEvent) -> OnEvent:
    """Everything but that a benchmark was opened: the records that are asked are no benchmark."""

    def heard(kind: str, facts: Mapping[str, Json]) -> None:
        if kind != "benchmark":
            on_event(kind, facts)

    return heard


def _sampled(
    laid: Dataset,
    name: str,
    settings: Sequence[str] | Mapping[str, Any],
    *,
    seed: int,
    effort: Effort,
    on_event: OnEvent,
) -> Dataset:
    """As many rows as the generator was fitted on, and then TIMES as many again."""
    from sterling.api.generate import sample_from
    from sterling.blend.reach import MOST_ROWS

    made_by = from_mapping("generators", name, settings) if isinstance(settings, Mapping) else from_pairs(
        "generators", name, settings
    )  # fmt: skip
    rows = min(max(1, laid.rows), MOST_ROWS[effort]) * (1 + TIMES)
    return sample_from(laid, made_by, name=name, rows=rows, seed=seed, on_event=on_event)


def draw_map(
    arena: Arena,
    index: int,
    *,
    sampled: int | None,
    learner: Learner,
    alpha: float,
    seed: int,
    effort: Effort,
    on_event: OnEvent,
) -> Mapped:
    """The map of one candidate; a learner that fails is told, and the map stays.

    Args:
        arena: the sets.
        index: which candidate.
        sampled: the candidate whose last rows are the further ones of a generator of ours; None where there is none.
        learner: the model the data is for.
        alpha: chance of naming any group where rows are as good as real ones.
        seed: same seed, same map.
        effort: "fast" asks fewer records.
        on_event: hears progress.
    """
    from sterling.blend import reach as maps

    made, more = arena.views[index], None
    if index == sampled:
        rows = made.n // (1 + TIMES)
        made, more = made.take(np.arange(rows)), made.take(np.arange(rows, made.n))
    real, held_out = arena.train_view, arena.benchmark_view
    found = maps.reach(
        real, held_out, made, more=more, seed=seed, effort=effort, alpha=alpha, on_event=on_event
    )  # fmt: skip
    losses: dict[str, Estimate | Unmeasured] = {}
    failed = None
    if not isinstance(found, Unmeasured) and found.groups and real.target is not None:
        try:
            losses = maps.excess_losses(real, held_out, made, found.groups, learner=learner, seed=seed)
        except SterlingError as error:
            failed = error.message
    return Mapped(arena.candidates[index].name, found, losses, failed, index == sampled)
