"""`generate`: synthetic rows from a named generator, learned from the train part only."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pyarrow as pa

from sterling.api.compare import silent
from sterling.api.inputs import Roles, declare, load
from sterling.api.settings import from_mapping, from_pairs
from sterling.kernel import seeds
from sterling.kernel.dataset import Dataset, Lineage, Origin
from sterling.kernel.errors import InputError
from sterling.kernel.protocols import Generator, OnEvent

if TYPE_CHECKING:
    import numpy as np

# Rows per shard of work: each shard has its own stream, so the bytes do not depend on the workers.
SHARD_ROWS = 50_000
FORMATS: Mapping[str, Literal["parquet", "csv", "jsonl"]] = {".parquet": "parquet", ".csv": "csv", ".jsonl": "jsonl"}


def generate(
    name: str,
    *,
    source: Any = None,
    rows: int,
    seed: int = 0,
    out: Path | None = None,
    settings: Sequence[str] | Mapping[str, Any] = (),
    target: str | None = None,
    schema: Path | None = None,
    workers: int = 1,
    on_event: OnEvent = silent,
) -> Dataset:
    """Make `rows` synthetic rows.

    Args:
        name: a generator's registry name.
        source: real data to learn from; only its train part is seen (the 80 % of the standard split).
        rows: how many to make, > 0.
        seed: same seed, same bytes, whatever the number of workers.
        out: a folder (Parquet, manifest, lineage) or a .parquet, .csv or .jsonl file; None keeps them in memory.
        settings: the generator's settings, as a mapping or "key=value" strings.
        target: the column a model shall predict, for generators that treat it apart.
        schema: TOML that overrides kinds and roles of columns.
        workers: processes.
        on_event: hears progress.

    Returns:
        The made set, with lineage: generator, settings, fingerprint of the rows it was fitted on.

    Raises:
        UnknownName: for a generator or setting that is not there.
        InputError: for rows < 1, missing or unreadable source, or an output that exists.
    """
    from sterling.sources.split import split

    made_by = from_mapping("generators", name, settings) if isinstance(settings, Mapping) else from_pairs(
        "generators", name, settings
    )  # fmt: skip
    if rows < 1:
        raise InputError(f"cannot make {rows} rows", mend="ask for at least one: -n 1000")
    if source is None:
        raise InputError(f"{name} learns from real data and was given none", mend="name it: --from real.csv")
    if out is not None:
        check_out(out)
    whole = declare(load(source, origin=Origin.REAL, schema=schema), Roles(target=target))
    train, _ = split(whole)
    made = sample_from(train, made_by, name=name, rows=rows, seed=seed, workers=workers, on_event=on_event)
    return made if out is None else write_out(made.batches(), out, like=made)


def sample_from(
    train: Dataset,
    generator: Generator,
    *,
    name: str,
    rows: int,
    seed: int,
    fitted_on: str = "real",
    workers: int = 1,
    on_event: OnEvent = silent,
) -> Dataset:
    """Fit on `train`, sample `rows`; the lineage says on which rows the generator was fitted."""
    from sterling.modalities.tabular import from_table
    from sterling.modalities.tabular.anatomy import with_new_identifiers

    if train.rows == 0:
        raise InputError(f"{train.name} has no rows to learn from", mend="give more real rows")
    on_event("step", {"text": f"fitting {name} on {train.rows:,} rows"})
    fitted = generator.fit(train, rng=seeds.stream(seed, "generate", name, "fit"))
    shards = _shards(rows)
    on_event("step", {"text": f"sampling {rows:,} rows"})
    jobs = [_Job(generator, fitted, n, seed, name, i) for i, n in enumerate(shards)]
    table = pa.concat_tables(_in_order(jobs, workers=workers))
    if len(jobs) > 1:  # each shard counted its keys from the start
        table = with_new_identifiers(table, train, rng=seeds.stream(seed, "generate", name, "keys"))
    lineage = Lineage(
        generator=describe(name, generator),
        parents=(train.fingerprint,),
        depth=train.lineage.depth + 1,
        fitted_on="other" if fitted_on == "other" else "real",
    )
    schema = replace(train.schema)
    return from_table(table, name=name, origin=Origin.SYNTHETIC, schema=schema, lineage=lineage)


def describe(name: str, generator: Any) -> str:
    """The generator with the settings that differ from its defaults, such as "cart(min_leaf=5)"."""
    changed = [
        f"{f.name}={getattr(generator, f.name)}" for f in fields(generator) if getattr(generator, f.name) != f.default
    ]
    return f"{name}({', '.join(changed)})" if changed else name


def check_out(out: Path) -> None:
    """Refuse an output that could not be written, before any work is done.

    Raises:
        InputError: for a file suffix that is not written, or a folder that holds something else.
    """
    suffix = out.suffix.lower()
    if suffix not in FORMATS and suffix[1:].isalpha():
        raise InputError(f"cannot write {suffix} files", mend=f"name a folder, or a file ending {', '.join(FORMATS)}")
    if suffix not in FORMATS and out.is_file():
        raise InputError(f"{out} is a file", mend="name a new folder")


def write_out(batches: Iterable[pa.Table], out: Path, *, like: Dataset) -> Dataset:
    """Write rows as a Sterling folder, or as a plain file by its suffix.

    Raises:
        InputError: if `out` exists as something else, or its suffix is not written.
    """
    from sterling.ship.export import export
    from sterling.sources.provenance import with_lineage_columns
    from sterling.sources.store import write_set

    format_ = FORMATS.get(out.suffix.lower())
    if format_ is not None:
        from sterling.modalities.tabular import from_table

        made = from_table(pa.concat_tables(list(batches)), name=out.stem, origin=like.origin, schema=like.schema)
        export(made, out, format=format_)
        return replace(made, lineage=like.lineage)
    lineage = like.lineage
    rows = (
        with_lineage_columns(
            batch,
            origin=like.origin,
            parent=lineage.parents[0] if lineage.parents else None,
            depth=lineage.depth,
            run=lineage.generator or like.name,
        )
        for batch in batches
    )
    return write_set(rows, out, schema=like.schema, origin=like.origin, lineage=lineage, name=like.name)


@dataclass(frozen=True, slots=True)
class _Job:
    generator: Any
    fitted: Any
    rows: int
    seed: int
    name: str
    shard: int

    def __call__(self) -> pa.Table:
        rng: np.random.Generator = seeds.stream(self.seed, "generate", self.name, "sample", self.shard)
        return pa.concat_tables(list(self.generator.sample(self.fitted, self.rows, rng=rng)))


def _shards(rows: int) -> list[int]:
    whole, rest = divmod(rows, SHARD_ROWS)
    return [SHARD_ROWS] * whole + ([rest] if rest else [])


def _in_order(jobs: list[_Job], *, workers: int) -> Iterator[pa.Table]:
    """Results in the order of the jobs, from this process or from a pool of others."""
    if workers == 1 or len(jobs) == 1:
        yield from (job() for job in jobs)
        return
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor

    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield from pool.map(_call, jobs)


def _call(job: _Job) -> pa.Table:
    return job()
