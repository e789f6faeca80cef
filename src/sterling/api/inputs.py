"""From what the user named to what the rooms work on: sets read, split, aligned, encoded once."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sterling.kernel.dataset import Dataset, FittedOn, Lineage, Origin, SplitRole
from sterling.kernel.errors import InputError
from sterling.kernel.estimate import Estimate
from sterling.kernel.protocols import OnEvent
from sterling.kernel.schema import Kind, Role, Schema

if TYPE_CHECKING:
    from sterling.kernel.view import View

THREE_STEPS = (
    "no holdout is known to be unseen by the generator: (1) split the real data, (2) refit the generator on the "
    "train part alone, (3) compare again with --holdout. Until then worth and utility are upper bounds, "
    "nearest_record is unmeasured, and copies are judged against the real data's own duplicates"
)


@dataclass(frozen=True, slots=True)
class Roles:
    """What the user declared of the columns.

    Args:
        target: column to predict, or None.
        groups: protected attributes.
        entity: column whose rows stay together in a split.
        time: time column.
        schema: TOML file that overrides kinds and roles.
    """

    target: str | None = None
    groups: tuple[str, ...] = ()
    entity: str | None = None
    time: str | None = None
    schema: Path | None = None


@dataclass(frozen=True, slots=True)
class Arena:
    """Everything a judgement needs, read and encoded once.

    Args:
        real: all the real rows that were named.
        train: the part that trains.
        benchmark: the part set apart; sealed, opened through the journal.
        candidates: the synthetic sets.
        train_view, benchmark_view, views: the same in one shared encoding.
        clean: per candidate, whether its generator certainly never saw the benchmark.
        notes: what a reader of the result must know, in plain words.
        holdout_given: whether the user named a holdout.
        leaked: benchmark rows that are in train beyond what natural duplicates explain.
        split_by_time: whether the benchmark is the latest part of the real rows.
    """

    real: Dataset
    train: Dataset
    benchmark: Dataset
    candidates: tuple[Dataset, ...]
    train_view: View
    benchmark_view: View
    views: tuple[View, ...]
    clean: tuple[bool, ...]
    notes: tuple[str, ...]
    holdout_given: bool
    leaked: int
    split_by_time: bool


def load(
    source: Any,
    *,
    name: str | None = None,
    origin: Origin = Origin.REAL,
    schema: Path | None = None,
    quarantine: Path | None = None,
) -> Dataset:
    """Read a path, a frame (pandas, polars, Arrow) or pass a Dataset through.

    Args:
        source: a file or Sterling folder, a frame, or a Dataset.
        name: how reports call it; the file's stem by default.
        origin: what its records are.
        schema: TOML that overrides kinds and roles.
        quarantine: save unreadable CSV rows there and go on.

    Raises:
        InputError: if it cannot be read, saying how to mend it.
    """
    from sterling.sources import files, frames, overrides

    if isinstance(source, Dataset):
        return source if name is None else replace(source, name=name)
    wanted = overrides.read_overrides(schema) if schema is not None else None
    # A foreign synthetic set is one step from real data at least.
    lineage = Lineage(depth=0 if origin is Origin.REAL else 1)
    if isinstance(source, (str, Path)):
        return files.read(
            Path(source), name=name, origin=origin, overrides=wanted, quarantine=quarantine, lineage=lineage
        )
    return frames.from_frame(source, name=name or origin.value, origin=origin, overrides=wanted, lineage=lineage)


def prepare(
    real: Any,
    synthetic: Sequence[Any],
    *,
    roles: Roles,
    holdout: Any = None,
    quarantine: Path | None = None,
    why: str,
    on_event: OnEvent,
) -> Arena:
    """Read, split, align and encode.

    Args:
        real: the real data.
        synthetic: one or more candidates.
        roles: what the user declared of the columns.
        holdout: real rows that no generator saw; None splits `real` 80 / 20.
        quarantine: where unreadable CSV rows go.
        why: what the benchmark is opened for; journaled.
        on_event: hears how worn the benchmark is.

    Raises:
        InputError: unreadable, misnamed or unrelated input.
    """
    from sterling.modalities.tabular import Tabular
    from sterling.sources import leakage, split

    whole = declare(load(real, origin=Origin.REAL, schema=roles.schema, quarantine=quarantine), roles)
    if holdout is None:
        train, benchmark = split.split(whole)
    else:
        train = replace(whole, split=SplitRole.TRAIN)
        benchmark = replace(load(holdout, origin=Origin.REAL, schema=roles.schema), split=SplitRole.HOLDOUT)
        _same_columns(whole, benchmark)
    candidates = _named(
        [
            load(s, origin=Origin.SYNTHETIC, schema=roles.schema, quarantine=_beside(quarantine, i))
            for i, s in enumerate(synthetic, 1)
        ]
    )
    _at_least_one_row(whole, *candidates)
    for candidate in candidates:
        if holdout is not None and candidate.fingerprint == benchmark.fingerprint:
            raise InputError(
                f"the holdout holds the same rows as {candidate.name}", mend="name real rows that no generator saw"
            )
    train_view, benchmark_view, *views = Tabular().views([train, benchmark, *candidates])
    open_benchmark(benchmark, why=why, on_event=on_event)
    clean = tuple(holdout is not None or _never_saw(c, train) for c in candidates)
    leak = leakage.leakage(train, benchmark) if holdout is not None else None
    leaked = 0 if leak is None else leak.exact
    notes = [*whole.notes, *(n for c in candidates for n in _column_notes(whole.schema, c))]
    notes += [f"{c.name}: {THREE_STEPS}" for c, is_clean in zip(candidates, clean, strict=True) if not is_clean]
    if leak is not None and leak.exact + leak.near:
        notes.append(leak.sentence)
    return Arena(
        real=whole, train=train, benchmark=benchmark, candidates=candidates, train_view=train_view,
        benchmark_view=benchmark_view, views=tuple(views), clean=clean, notes=tuple(dict.fromkeys(notes)),
        holdout_given=holdout is not None, leaked=leaked,
        split_by_time=holdout is None and bool(whole.schema.with_role(Role.TIME)),
    )  # fmt: skip


def declare(dataset: Dataset, roles: Roles) -> Dataset:
    """The same set with the user's roles; a target of few whole numbers becomes a category.

    Raises:
        UnknownName: for a column that is not there, with the nearest names.
    """
    from sterling.modalities import tabular

    schema = tabular.with_roles(
        dataset.schema, target=roles.target, groups=roles.groups, entity=roles.entity, time=roles.time
    )
    return replace(dataset, schema=schema)


def known_origin(arena: Arena) -> dict[str, FittedOn]:
    """`fitted_on` per candidate; a holdout that the generator never saw makes "unknown" as good as "other"."""
    return {
        c.name: "other" if clean and c.lineage.fitted_on == "unknown" else c.lineage.fitted_on
        for c, clean in zip(arena.candidates, arena.clean, strict=True)
    }


def journal_path() -> Path:
    """Where openings of benchmarks are journaled: $STERLING_HOME, else the user's state folder."""
    home = os.environ.get("STERLING_HOME")
    state = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(home) / "journal.jsonl" if home else Path(state) / "sterling" / "journal.jsonl"


def minority_rows(view: View) -> int | None:
    """Rows of the rarest class of the target that occurs at all; None without a categorical target."""
    import numpy as np

    target = view.target
    if target is None or target.kind is not Kind.CATEGORY:
        return None
    counts = np.bincount(target.values[target.values >= 0], minlength=len(target.levels or ()))
    present = counts[counts > 0]
    return int(present.min()) if present.size > 1 else 0


def _beside(quarantine: Path | None, number: int) -> Path | None:
    """Where the bad rows of the n-th candidate go: "bad.csv" of the real data, "bad-1.csv" of the first candidate."""
    return None if quarantine is None else quarantine.with_stem(f"{quarantine.stem}-{number}")


def _named(sets: Sequence[Dataset]) -> tuple[Dataset, ...]:
    """Candidates with unique names: reports and weights are keyed by them."""
    seen: dict[str, int] = {}
    named: list[Dataset] = []
    for one in sets:
        seen[one.name] = seen.get(one.name, 0) + 1
        named.append(one if seen[one.name] == 1 else replace(one, name=f"{one.name} ({seen[one.name]})"))
    return tuple(named)


def _never_saw(candidate: Dataset, train: Dataset) -> bool:
    lineage = candidate.lineage
    return lineage.fitted_on == "other" or train.fingerprint in lineage.parents


def _same_columns(real: Dataset, holdout: Dataset) -> None:
    """A holdout that lacks a column would look like other people, and accuse the candidate of knowing who is who."""
    judged = [f.name for f in real.schema if f.role not in (Role.KEY, Role.ENTITY)]
    lacking = [name for name in judged if name not in holdout.schema]
    if lacking:
        raise InputError(
            f"the holdout {holdout.name} lacks {', '.join(lacking[:5])}, which {real.name} has",
            mend="give a holdout with the same columns",
        )


def lacking(arena: Arena) -> dict[str, tuple[str, ...]]:
    """By candidate, the columns of the real data that it lacks, keys aside."""
    from sterling.modalities import tabular

    keys = {f.name for f in arena.real.schema if f.role in (Role.KEY, Role.ENTITY)}
    missing = {c.name: tabular.shared_columns([arena.real.schema, c.schema]).missing for c in arena.candidates}
    return {name: tuple(n for n in names if n not in keys) for name, names in missing.items()}


def _at_least_one_row(*sets: Dataset) -> None:
    for one in sets:
        if one.rows == 0:
            raise InputError(f"{one.name} has no rows", mend="name a set that holds at least one record")


def _column_notes(real: Schema, candidate: Dataset) -> list[str]:
    """Missing, extra and retyped columns of a candidate, by name."""
    from sterling.modalities import tabular

    columns = tabular.shared_columns([real, candidate.schema])
    notes = [f"{candidate.name}: {note}" for note in (*candidate.notes, *tabular.conversions(real, candidate))]
    if columns.missing:
        notes.append(
            f"{candidate.name} lacks {', '.join(columns.missing)}; judged on the {len(columns.shared)} shared columns"
        )
    if columns.extra:
        notes.append(f"{candidate.name} has columns the real data lacks, left out: {', '.join(columns.extra)}")
    if columns.retyped:
        notes.append(
            f"{candidate.name} stores {', '.join(columns.retyped)} as another kind; read as the real data's kind"
        )
    return notes


def open_benchmark(benchmark: Dataset, *, why: str, on_event: OnEvent) -> None:
    """Journal one opening of the benchmark, and say how worn it is; a journal that cannot be written stops nothing."""
    import datetime

    from sterling.sources import journal

    when = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    try:
        times = journal.open_benchmark(benchmark, journal=journal_path(), why=why, when=when)
    except OSError as err:
        on_event("note", {"text": f"the opening of the benchmark was not journaled: {err}"})
        return
    worn = journal.wear(times, benchmark.rows)
    spent = f"; up to {worn.high:.0%} of its honesty is spent" if isinstance(worn, Estimate) and times > 1 else ""
    on_event("benchmark", {"text": f"benchmark of {benchmark.rows:,} rows opened, time {times}{spent}"})
