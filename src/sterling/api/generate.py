"""`generate`: synthetic rows from a named generator, learned from the train part only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa

from sterling.api.canaries import most_canaries, noted, planted
from sterling.api.conditions import conditions, drawing_first
from sterling.api.inputs import Roles, declare, load
from sterling.api.private_release import private_fit
from sterling.api.settings import from_mapping, from_pairs
from sterling.kernel import seeds
from sterling.kernel.dataset import Dataset, Lineage, Origin
from sterling.kernel.errors import InputError
from sterling.kernel.protocols import Generator, OnEvent, silent
from sterling.kernel.task import Task

Engine = Literal["local", "ray"]
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
    entity: str | None = None,
    time: str | None = None,
    schema: Path | None = None,
    given: Sequence[Any] = (),
    balance: str | None = None,
    constraints: Path | None = None,
    canaries: int = 0,
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
        entity: the column that says whose row it is; all rows of one are learned from, or none.
        time: the column that says when; the earlier rows are learned from.
        schema: TOML that overrides kinds and roles of columns.
        given: columns to hold fixed: "column=value", or a file or frame with `rows` rows of them.
        balance: a category whose levels shall come out in equal numbers.
        constraints: a TOML file as `sterling constraints` writes it: every made row keeps what it says.
        canaries: made-up records to plant among the rows learned from; `compare` then says whether they come out.
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
    roles = Roles(target=target, entity=entity, time=time)
    whole = declare(load(source, origin=Origin.REAL, schema=schema), roles)
    train, _ = split(whole)
    if not 0 <= canaries <= most_canaries(train):
        raise InputError(
            f"{train.rows:,} train rows cannot bear {canaries} canaries",
            mend=f"plant 0 to {most_canaries(train):,}: one row in twenty",
        )
    # What a private generator is told of the rows must be paid for.
    fixed = conditions(
        train, rows, given=given, balance=balance, peek="schema" if _pays(made_by) else "rows", on_event=on_event
    )
    made = sample_from(
        train,
        _held_to(drawing_first(made_by, fixed, train.schema), constraints, train),
        name=name,
        rows=rows,
        seed=seed,
        given=fixed,
        canaries=canaries,
        workers=workers,
        on_event=on_event,
    )
    return made if out is None else write_out(made.batches(), out, like=made)


def _pays(generator: Any) -> bool:
    """Whether it promises differential privacy."""
    return any(f.name == "epsilon" for f in fields(generator))


def _held_to(generator: Any, constraints: Path | None, train: Dataset) -> Any:
    """The generator, held to the constraints of a file."""
    if constraints is None:
        return generator
    if _pays(generator):
        raise InputError(
            "constraints are mined and checked on the rows themselves, which a private generator must pay for",
            mend="leave --constraints out, and judge the set by `sterling constraints SET --check FILE`",
        )
    from sterling.api.constraints import read_constraints
    from sterling.modalities.tabular.constrained import constrained

    return constrained(generator, read_constraints(constraints, train.schema, real=train))


def sample_from(
    train: Dataset,
    generator: Generator,
    *,
    name: str,
    rows: int,
    seed: int,
    given: pa.Table | None = None,
    canaries: int = 0,
    engine: Engine = "local",
    workers: int = 1,
    on_event: OnEvent = silent,
) -> Dataset:
    """Fit on `train`, sample `rows` in shards, here or on Ray; the lineage names the rows it was fitted on.

    `given` holds columns to keep fixed, `rows` rows of them.
    """
    from sterling.modalities.tabular import from_table
    from sterling.modalities.tabular.anatomy import with_new_identifiers

    if train.rows == 0:
        raise InputError(f"{train.name} has no rows to learn from", mend="give more real rows")
    on_event("step", {"text": f"fitting {name} on {train.rows:,} rows"})
    seen = planted(train, canaries, seed=seed) if canaries else train
    fitted = generator.fit(seen, rng=seeds.stream(seed, "generate", name, "fit"))
    private = private_fit(fitted, on_event=on_event)
    on_event("step", {"text": f"sampling {rows:,} rows"})
    # Rows that hang together, as the events of an entity or values that are unique, are made in one task.
    together = getattr(generator, "keeps_entities", False) or getattr(fitted, "in_one_task", False)
    sizes = (rows,) if together else _shards(rows)
    sampler = _Sampler(generator, fitted, sizes, seed, given)
    parts = _sampled(sampler, name=name, engine=engine, workers=workers, on_event=on_event)
    table = pa.concat_tables(parts)
    if len(parts) > 1 and private is None:  # each shard counted its keys from the start
        held = () if given is None else given.column_names
        table = with_new_identifiers(table, train, held=held, rng=seeds.stream(seed, "generate", name, "keys"))
    lineage = Lineage(
        generator=noted(describe(name, generator), canaries, seed=seed),
        # A fingerprint of the rows, and ranges read off them, are no part of what a private set may show.
        parents=(train.fingerprint,) if private is None else (),
        depth=train.lineage.depth + 1,
        fitted_on="real",
    )
    schema = train.schema if private is None else private.schema
    return from_table(table, name=name, origin=Origin.SYNTHETIC, schema=schema, lineage=lineage)


def describe(name: str, generator: Any) -> str:
    """The generator with the settings that differ from its defaults, such as "cart(min_leaf=5)"."""
    inner = getattr(generator, "generator", None)
    if inner is not None and hasattr(generator, "constraints"):
        return f"{describe(name, inner)} under {len(generator.constraints.items)} constraints"
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
class _Sampler:
    """The work of one shard, in whatever process: its task's last seed name is the shard's number."""

    generator: Any
    fitted: Any
    sizes: tuple[int, ...]
    seed: int
    given: pa.Table | None

    def table(self, task: Task) -> pa.Table:
        rng = seeds.stream(self.seed, *task.seed_path)
        shard = int(task.seed_path[-1])
        n = self.sizes[shard]
        given = None if self.given is None else self.given.slice(sum(self.sizes[:shard]), n)
        return pa.concat_tables(list(self.generator.sample(self.fitted, n, rng=rng, given=given)))

    def __call__(self, task: Task) -> bytes:
        table, sink = self.table(task), pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
        return sink.getvalue().to_pybytes()


def _sampled(sampler: _Sampler, *, name: str, engine: Engine, workers: int, on_event: OnEvent) -> list[pa.Table]:
    """All shards in order, from this process or from others; the rows are the same.

    Raises:
        SterlingError: the first shard's own error, where one could not be made.
    """
    tasks = [
        Task("sterling.api.generate:_Sampler", (), ("generate", name, "sample", i), ())
        for i in range(len(sampler.sizes))
    ]
    if engine == "local" and (workers == 1 or len(tasks) == 1):
        return [sampler.table(task) for task in tasks]
    from sterling.run.cluster import RayExecutor
    from sterling.run.local import LocalExecutor

    executor = RayExecutor(workers) if engine == "ray" else LocalExecutor(workers)
    done = dict(executor.run(tasks, sampler, on_event=on_event))
    return [_opened(done[task]) for task in tasks]


def _opened(result: bytes | Exception) -> pa.Table:
    if isinstance(result, Exception):
        raise result
    return pa.ipc.open_stream(result).read_all()


def _shards(rows: int) -> tuple[int, ...]:
    whole, rest = divmod(rows, SHARD_ROWS)
    return (SHARD_ROWS,) * whole + ((rest,) if rest else ())
