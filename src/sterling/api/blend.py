"""`blend`: the weighted mix that beats real rows alone, or REAL_ONLY."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from sterling.api.compare import Stakes, conclude
from sterling.api.inputs import Arena, Roles, known_origin, prepare
from sterling.api.worth import as_list, build_learner, exchange
from sterling.kernel.dataset import Dataset, Lineage, Origin
from sterling.kernel.estimate import Estimate
from sterling.kernel.finding import Finding, Json
from sterling.kernel.protocols import Effort, Generator, Learner, OnEvent, silent

if TYPE_CHECKING:
    import numpy as np

    from sterling.blend.mixture import Mix
    from sterling.decide.policy import Policy
    from sterling.decide.result import Result
    from sterling.kernel.view import Ints, View


def blend_sets(
    real: Any,
    synthetic: Any,
    *,
    target: str,
    out: Path | None = None,
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
    """Find the guarded mix of real and synthetic rows, confirm it once, write it.

    Args:
        real: a path, a frame or a Dataset.
        synthetic: one set or a list of sets.
        target: the column a model shall predict.
        out: folder for the mixed set: all train rows, and the adopted synthetic rows with their weights.
        holdout: real rows that no generator saw; without it REAL splits 80 / 20.
        learner: a learner's name, or a learner.
        settings: the learner's settings.
        policy: a preset's name or a TOML file.
        stakes: "consequential" asks for two standard errors instead of one.
        seed: same seed, same answer.
        effort: "fast" trains less.
        schema: TOML that overrides kinds and roles of columns.
        entity: column whose rows stay together in the split.
        time: time column; the latest rows become the holdout.
        on_event: hears cost and progress.

    Raises:
        InputError: for input that is unreadable, misnamed or unrelated.
    """
    from sterling.decide.policy import load_policy

    rules = load_policy(policy, stakes=stakes)
    model = build_learner(learner, settings)
    roles = Roles(target=target, entity=entity, time=time, schema=schema)
    arena = prepare(real, as_list(synthetic), roles=roles, holdout=holdout, why="blend", on_event=on_event)
    rates = exchange(arena, learner=model, seed=seed, effort=effort, on_event=on_event)
    mix = mixture(arena, rates.findings, learner=model, policy=rules, seed=seed, effort=effort, on_event=on_event)
    if out is not None:
        write_mix(arena, mix, out)
    return conclude(
        "blend", arena, (*rates.findings, *mix.findings), policy=rules, seed=seed, stakes=stakes, notes=arena.notes,
        chosen=tuple(mix.weights), curve=rates.curve_json(), mix=mix_json(arena, mix),
    )  # fmt: skip


def mixture(
    arena: Arena,
    rates: Sequence[Finding],
    *,
    learner: Learner,
    policy: Policy,
    seed: int,
    effort: Effort,
    generators: Mapping[str, Generator] | None = None,
    allowed: Sequence[str] | None = None,
    on_event: OnEvent = silent,
) -> Mix:
    """Search the mix over the candidates of an arena.

    Args:
        arena: the sets.
        rates: findings of `worth`: centres of the weights that are tried.
        learner: the model the data is for.
        policy: its stakes set the factor of standard errors.
        seed: same seed, same mix.
        effort: "fast" trains less.
        generators: generators of ours by candidate name: refitted inside each fold.
        allowed: candidate names that may enter; None for all.
        on_event: hears progress.
    """
    from sterling.blend.mixture import Candidate, find_mix

    origin = known_origin(arena)
    worths = {
        f.candidate: f.result.value
        for f in rates
        if f.slice is None and f.candidate is not None and isinstance(f.result, Estimate)
    }
    candidates = {
        c.name: Candidate(view, _refit(arena, c, (generators or {}).get(c.name)), origin[c.name])
        for c, view in zip(arena.candidates, arena.views, strict=True)
        if allowed is None or c.name in allowed
    }
    return find_mix(
        arena.train_view,
        arena.benchmark_view,
        candidates,
        worths=worths,
        learner=learner,
        seed=seed,
        stakes=policy.stakes,
        effort=effort,
        on_event=on_event,
    )


def _refit(
    arena: Arena, candidate: Dataset, generator: Generator | None
) -> Callable[[Ints, np.random.Generator], View] | None:
    """A function that refits a candidate's generator on some train rows; None for frozen files."""
    if generator is None:
        return None
    table = arena.train.table()

    def refit(rows: Ints, rng: np.random.Generator) -> View:
        from sterling.modalities.tabular import Tabular, from_table

        part = from_table(table.take(pa.array(rows)), name="fold", origin=Origin.REAL, schema=arena.train.schema)
        fitted = generator.fit(part, rng=rng)
        made = pa.concat_tables(list(generator.sample(fitted, candidate.rows, rng=rng)))
        fresh = from_table(made, name=candidate.name, origin=Origin.SYNTHETIC, schema=candidate.schema)
        # Encoded beside the same first sets, the levels they know keep their codes.
        *_, view = Tabular().views([arena.train, arena.benchmark, fresh])
        return view

    return refit


def write_mix(arena: Arena, mix: Mix, out: Path) -> Dataset:
    """Write the mixed set: all train rows with weight 1, then the adopted rows with theirs."""
    from sterling.sources.store import write_set

    parents = tuple(s.fingerprint for s in (arena.train, *arena.candidates))
    depth = max([0, *(c.lineage.depth for c in arena.candidates if c.name in mix.weights)])
    lineage = Lineage(generator="blend", parents=parents, depth=depth, fitted_on="real")
    return write_set(
        _rows(arena, mix),
        out,
        schema=arena.train.schema,
        origin=Origin.MIXED if mix.weights else Origin.REAL,
        lineage=lineage,
        name="mix",
        extra={"weights": dict(mix.weights)},
    )


def _rows(arena: Arena, mix: Mix) -> Iterator[pa.Table]:
    from sterling.sources.provenance import with_lineage_columns

    parts = [(arena.train, 1.0), *((c, mix.weights[c.name]) for c in arena.candidates if c.name in mix.weights)]
    for part, weight in parts:
        yield with_lineage_columns(
            _conform(part, arena.train),
            origin=part.origin,
            parent=part.fingerprint,
            depth=part.lineage.depth,
            run=part.lineage.generator or part.name,
            weight=weight,
        )


def _conform(part: Dataset, like: Dataset) -> pa.Table:
    """The rows of `part` in the columns and types of `like`; columns it lacks are missing throughout."""
    from sterling.modalities.tabular import storage_type, to_storage

    table = part.table()
    columns = {
        f.name: table[f.name]
        if f.name in table.column_names
        else pa.nulls(table.num_rows, storage_type(f.storage or "null"))
        for f in like.schema
    }
    return to_storage(pa.table(columns), like.schema)


def mix_json(arena: Arena, mix: Mix) -> dict[str, Json]:
    """The mix as results carry it."""
    sources: list[Json] = [{"name": arena.train.name, "origin": "real", "rows": arena.train.rows, "weight": 1.0}]
    for c in arena.candidates:
        weight = mix.weights.get(c.name, 0.0)
        sources.append({"name": c.name, "origin": c.origin.value, "rows": c.rows, "weight": weight})
    return {
        "adopted": mix.adopted,
        "sources": sources,
        "gain": _estimate(mix.gain),
        "confirmed": _estimate(mix.confirmation),
    }


def _estimate(x: Any) -> Json:
    if not isinstance(x, Estimate):
        return None
    return {"value": x.value, "low": x.low, "high": x.high, "level": x.level}
