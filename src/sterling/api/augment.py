"""`augment`: an existing table changed by a named augmenter, with an account of what changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from sterling.api.generate import check_out, describe, write_out
from sterling.api.inputs import load
from sterling.api.settings import from_mapping, from_pairs
from sterling.kernel import seeds
from sterling.kernel.dataset import Dataset, Lineage, Origin
from sterling.kernel.errors import InputError
from sterling.kernel.protocols import Augmented, FittingAugmenter, OnEvent, TellingAugmenter, silent
from sterling.kernel.table import Table

WEIGHT = "_sterling_weight"


@dataclass(frozen=True, slots=True, eq=False)
class AugmentedSet:
    """What `augment` made.

    Args:
        dataset: the rows, with lineage.
        tables: what changed, in the order it is to be read.
        notes: what a reader must know, in plain sentences.
    """

    dataset: Dataset
    tables: tuple[Table, ...]
    notes: tuple[str, ...]


def augment(
    name: str,
    source: Any,
    *,
    real: Any = None,
    seed: int = 0,
    out: Path | None = None,
    settings: Sequence[str] | Mapping[str, Any] = (),
    schema: Path | None = None,
    on_event: OnEvent = silent,
) -> AugmentedSet:
    """Change a table.

    Args:
        name: an augmenter's registry name, such as "rake".
        source: the rows to change; a path, a frame or a Dataset.
        real: real rows to learn from; only their train part is seen (the 80 % of the standard split), so that
            the rest can still judge.
        seed: same seed, same bytes.
        out: a folder (Parquet, manifest, lineage) or a .parquet, .csv or .jsonl file; None keeps the rows in memory.
        settings: the augmenter's settings, as a mapping or "key=value" strings.
        schema: TOML that overrides kinds and roles of columns.
        on_event: hears progress.

    Returns:
        The rows and what changed.

    Raises:
        UnknownName: for an augmenter or setting that is not there.
        InputError: for unreadable or unrelated input, or an output that cannot be written.
    """
    from sterling.sources.split import split

    augmenter = from_mapping("augmenters", name, settings) if isinstance(settings, Mapping) else from_pairs(
        "augmenters", name, settings
    )  # fmt: skip
    if out is not None:
        check_out(out)
    given = load(source, origin=Origin.SYNTHETIC, schema=schema)
    if given.rows == 0:
        raise InputError(f"{given.name} has no rows", mend="name a set that holds at least one record")
    train = None if real is None else split(load(real, schema=schema))[0]
    if isinstance(augmenter, FittingAugmenter):
        on_event("step", {"text": f"fitting {name}" + (f" on {train.rows:,} real rows" if train else "")})
        ready = augmenter.fit(train, rng=seeds.stream(seed, "augment", name, "fit"))
    else:
        ready = augmenter
    on_event("step", {"text": f"changing {given.rows:,} rows"})
    rng = seeds.stream(seed, "augment", name, "apply")
    told = ready.augment(given.table(), rng=rng) if isinstance(ready, TellingAugmenter) else Augmented(
        ready.apply(given.table(), rng=rng)
    )  # fmt: skip
    dataset = _dataset(told, given, train, run=_described(name, augmenter), name=name)
    made = dataset if out is None else write_out(dataset.batches(), out, like=dataset)
    return AugmentedSet(made, told.tables, told.notes)


def _described(name: str, augmenter: Any) -> str:
    """The augmenter with its changed settings; whole files that were read into one are not spelled out."""
    files = {f.name: "..." for f in fields(augmenter) if "\n" in str(getattr(augmenter, f.name))}
    return describe(name, replace(augmenter, **files))


def _dataset(told: Augmented, given: Dataset, train: Dataset | None, *, run: str, name: str) -> Dataset:
    """The rows as a set; notes on single rows go with a folder, and are written anew there."""
    from sterling.modalities.tabular import from_table
    from sterling.sources.provenance import strip_lineage

    records = strip_lineage(told.batch)
    if WEIGHT in told.batch.column_names:
        records = records.append_column(WEIGHT, told.batch.column(WEIGHT))
    return from_table(
        records, name=name, origin=Origin.AUGMENTED, schema=given.schema, lineage=lineage_of(given, train, run=run)
    )


def lineage_of(given: Dataset, train: Dataset | None, *, run: str) -> Lineage:
    """How augmented rows came to be: what their parent saw, and what the augmenter saw.

    The rows count as made from `train` alone only where the parent's were, or certainly saw none of it: a set of
    unknown origin may know the benchmark, and stays unknown.
    """
    old = given.lineage
    known = train is not None and (train.fingerprint in old.parents or old.fitted_on == "other")
    parents = [given.fingerprint, *old.parents] if train is None else [given.fingerprint]
    if known and train is not None:
        parents.append(train.fingerprint)
    return Lineage(
        generator=f"{run} of {old.generator or given.name}",
        parents=tuple(dict.fromkeys(parents)),
        depth=max(old.depth, train.lineage.depth if train is not None else 0) + 1,
        fitted_on=old.fitted_on if train is None else "real" if known else "unknown",
    )
