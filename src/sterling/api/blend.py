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

    from sterling.blend.mixture import Mix, Trial
    from sterling.decide.policy import Policy
    from sterling.decide.result import Result
    from sterling.kernel.table import Table
    from sterling.kernel.view import Floats, Ints, View

WEIGHT = "_sterling_weight"


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
    from sterling.api.wear import with_wear
    from sterling.decide.policy import load_policy

    rules = load_policy(policy, stakes=stakes)
    model = build_learner(learner, settings)
    roles = Roles(target=target, entity=entity, time=time, schema=schema)
    arena = prepare(real, as_list(synthetic), roles=roles, holdout=holdout, why="blend", on_event=on_event)
    rates = exchange(arena, learner=model, seed=seed, effort=effort, on_event=on_event)
    mix = mixture(arena, rates.findings, learner=model, policy=rules, seed=seed, effort=effort, on_event=on_event)
    if out is not None:
        write_mix(arena, mix, out)
    result = conclude(
        "blend", arena, (*rates.findings, *mix.findings), policy=rules, seed=seed, stakes=stakes,
        notes=(*arena.notes, *preset_notes(mix)),
        chosen=tuple(mix.weights), curve=rates.curve_json(), mix=mix_json(arena, mix), tables=tried_tables(mix),
    )  # fmt: skip
    return with_wear(result, arena, policy=rules, learner=repr(model), on_event=on_event)


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
        policy: says what a gain must exceed, what is no effect, and how few rows of a class are too few.
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
        if f.measure == "real_equivalent_rows"
        and f.slice is None
        and f.candidate is not None
        and isinstance(f.result, Estimate)
    }
    candidates = {
        c.name: Candidate(view, refit_of(arena, c, (generators or {}).get(c.name)), origin[c.name])
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
        se_factor=policy.mix.se_factor,
        no_effect=policy.mix.no_effect,
        few=max(policy.rare.few, policy.benchmark.minority_rows),
        effort=effort,
        on_event=on_event,
    )


def refit_of(
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
    """Write the mixed set: the train rows, then the adopted rows, each with its weight; rows of weight 0 stay out."""
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
        extra={"weights": dict(mix.weights), "variant": mix.variant},
    )


def _rows(arena: Arena, mix: Mix) -> Iterator[pa.Table]:
    from sterling.sources.provenance import with_lineage_columns

    for part, weights in _weighed(arena, mix):
        table = with_lineage_columns(
            _conform(part, arena.train),
            origin=part.origin,
            parent=part.fingerprint,
            depth=part.lineage.depth,
            run=part.lineage.generator or part.name,
            weight=1.0,
        )
        place = table.schema.get_field_index(WEIGHT)
        table = table.set_column(place, WEIGHT, pa.array(weights, table.schema.field(place).type))
        yield table.filter(pa.array(weights > 0))


def _weighed(arena: Arena, mix: Mix) -> Iterator[tuple[Dataset, Floats]]:
    """Each set that enters, and the weight of each of its rows."""
    import numpy as np

    real = next((r.real for r in mix.recipes.values() if r.real is not None), None)
    yield arena.train, np.ones(arena.train.rows) if real is None else real
    for candidate, view in zip(arena.candidates, arena.views, strict=True):
        weight, recipe = mix.weights.get(candidate.name), mix.recipes.get(candidate.name)
        if weight is None:
            continue
        weights = np.full(candidate.rows, weight)
        if recipe is not None:
            # A recipe speaks of the rows whose target is known; the others could not be judged.
            known = np.ones(view.n, dtype=bool) if view.target is None else ~view.target.missing
            weights = np.zeros(candidate.rows)
            weights[known] = recipe.masses(int(known.sum()), weight)
        yield candidate, weights


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
    variants: dict[str, Json] = {
        t.variant: {"gain": t.mean, "se": t.se, "ess": t.effective} for t in mix.tried if t.variant != "plain"
    }
    return {
        "adopted": mix.adopted,
        "sources": sources,
        "gain": _estimate(mix.gain),
        "confirmed": _estimate(mix.confirmation),
        "variant": mix.variant,
        "variants": {**variants, **{name: {"refused": why} for name, why in mix.refused.items()}},
    }


def tried_tables(mix: Mix) -> tuple[Table, ...]:
    """Every mix that was tried: the best one first, then its variants, then other weights; none where nothing was."""
    from sterling.kernel.table import Table

    if not mix.tried:
        return ()
    order = sorted(mix.tried, key=lambda t: (_fate(mix, t) == "", t.variant == "plain", -t.mean))
    rows: list[tuple[Json, ...]] = [
        (
            " + ".join(f"{name} at {weight:.3g}" for name, weight in trial.weights.items()),
            trial.variant,
            trial.mean,
            trial.se,
            round(trial.effective),
            _fate(mix, trial),
        )
        for trial in order
    ]
    rows += [("", name, None, None, None, f"refused: {why}") for name, why in mix.refused.items()]
    note = (
        "Gain over the real rows alone in cross-validation (first deal of the folds), its standard error, and how many "
        "synthetic rows count. A variant takes the place of the plain mix only where it gains clearly more."
    )
    return (Table("What was tried", ("mix", "variant", "gain", "SE", "ESS", "kept"), tuple(rows), note),)


def _fate(mix: Mix, trial: Trial) -> str:
    if mix.best is None or (dict(trial.weights), trial.variant) != (dict(mix.best.weights), mix.best.variant):
        return ""
    return "adopted" if mix.adopted else "best, not adopted"


def preset_notes(mix: Mix) -> tuple[str, ...]:
    """How the field's default mix did beside the same set at its own weight; nothing where it was not tried."""
    from sterling.blend.variants import PRESET

    found = next((t for t in mix.tried if t.variant == PRESET), None)
    plain = next((t for t in mix.tried if found and t.variant == "plain" and t.weights == found.weights), None)
    if found is None or plain is None:
        return ()
    return (
        "the field's default, 80 % synthetic for common cases and 20 % real for edge cases, changes the score by "
        f"{found.mean:+.4f} (standard error {found.se:.4f}) in cross-validation; all real rows with the same set at "
        f"its own weight change it by {plain.mean:+.4f} ({plain.se:.4f})",
    )


def _estimate(x: Any) -> Json:
    if not isinstance(x, Estimate):
        return None
    return {"value": x.value, "low": x.low, "high": x.high, "level": x.level}
