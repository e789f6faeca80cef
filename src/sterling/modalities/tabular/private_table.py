"""A table as codes for a private generator: what is declared is used, what is paid for is found, the rest not seen."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sterling.kernel.dataset import Dataset, SplitRole
from sterling.kernel.errors import InputError
from sterling.kernel.schema import Field, Kind, Role, Schema
from sterling.modalities.tabular.canonical import flat, texts
from sterling.modalities.tabular.infer import PROVENANCE
from sterling.modalities.tabular.private_domain import (
    Domain,
    PrivateColumn,
    category,
    cells_of,
    codes_of,
    grid_of,
    has_levels,
    has_range,
    kind_of,
    number,
    published,
    undeclared,
    values_of,
)
from sterling.modalities.tabular.storage import normalise, to_storage
from sterling.stats.exact_noise import Words
from sterling.stats.privacy_accounting import Ledger
from sterling.stats.private_search import frequent, grouped, noisy_histogram, noisy_range

if TYPE_CHECKING:
    from sterling.kernel.view import Bools, Ints

BATCH_ROWS = 50_000
TABLES = (Kind.NUMBER, Kind.CATEGORY, Kind.DATETIME, Kind.TEXT)
RANGES, HISTOGRAMS, LEVELS = "ranges of numbers", "histograms of numbers", "names of categories"
# Of what an undeclared number may cost, the part for its range.
RANGE_PART = Fraction(1, 4)
# A wide number without a declared range is taken to be 0 where nothing stands out of the noise.
NOTHING = (0.0, 0.0)


@dataclass(frozen=True, slots=True, eq=False)
class PrivateTable:
    """What a table is made of, with nothing in it that was not declared or paid for.

    Args:
        schema: as it may be published.
        columns: the columns that are modelled.
        identifiers: columns that are made anew without a look at the old ones.
    """

    schema: Schema
    columns: tuple[PrivateColumn, ...]
    identifiers: tuple[Field, ...]

    def position(self, name: str) -> int | None:
        """Place of a column among the modelled ones."""
        return next((i for i, c in enumerate(self.columns) if c.field.name == name), None)


@dataclass(frozen=True, slots=True)
class Wish:
    """How a table is to be read.

    Args:
        domain: "declared" refuses columns whose domain is not declared; "paid" finds it with part of the budget.
        share: part of the budget for that, and for histograms of wide numbers.
        delta: failure probability that naming categories may use in all.
        bins: groups that a wide number is modelled in.
        empty: columns that come out empty and are not looked at.
        sensitivity: records of one person.
    """

    domain: Domain
    share: float
    delta: float
    bins: int
    empty: tuple[str, ...]
    sensitivity: int


def read_private(data: Dataset, *, wish: Wish, ledger: Ledger, words: Words) -> tuple[PrivateTable, Ints, Ledger]:
    """The table's columns, [d, n] codes of its rows, and the ledger with what that cost.

    Raises:
        UnknownName: for a column in `empty` that is not there.
        InputError: if there is nothing to learn from, a column of a kind that no table holds, or one whose
            domain is neither declared nor to be paid for; all of them are named, with the lines to write.
    """
    fields = _fields(data)
    for name in wish.empty:
        data.schema[name]
    modelled = [f for f in fields if not _made_anew(f) and f.name not in wish.empty]
    if wish.domain == "declared":
        _refuse_undeclared(modelled)
    table = _bounded(normalise(data.table(tuple(f.name for f in fields))).table, data.schema, wish.sensitivity)
    costly = [f for f in modelled if _costs(f, wish.bins)]
    search = _Search(table, wish, words, sum(_finds_levels(f) for f in costly))
    each = ledger.left * Fraction(wish.share) / max(1, len(costly))
    columns: list[PrivateColumn] = []
    for field in fields:
        if field.name in wish.empty:
            columns.append(PrivateColumn(published(field), empty=True))
        elif not _made_anew(field):
            column, ledger = search.column(field, each, ledger)
            columns.append(column)
    anew = tuple(published(f) for f in fields if _made_anew(f))
    known = {c.field.name: c.field for c in columns} | {f.name: f for f in anew}
    codes = np.array([codes_of(c, flat(table.column(c.field.name))) for c in columns], dtype=np.int64)
    codes = codes.reshape(len(columns), table.num_rows)
    # A record with a cell that its column is declared not to hold is none.
    whole = np.all(codes >= 0, axis=0)
    shown = Schema(tuple(known[f.name] for f in fields), data.schema.modality)
    return PrivateTable(shown, tuple(columns), anew), codes[:, whole], ledger


def _fields(data: Dataset) -> list[Field]:
    fields = [f for f in data.schema if not f.name.startswith(PROVENANCE)]
    strange = next((f for f in fields if f.kind not in TABLES), None)
    if strange is not None:
        raise InputError(
            f"column {strange.name!r} holds {strange.kind.value}: tables hold numbers, categories, dates and text",
            mend=f"leave {strange.name!r} out, or declare its kind in --schema FILE.toml",
        )
    if not fields or data.rows == 0:
        raise InputError(
            f"{data.name} has {data.rows} rows and {len(fields)} columns: nothing to learn from",
            mend="give a table of at least one row and one column",
        )
    if data.split is not SplitRole.ALL and data.schema.with_role(Role.TIME):
        raise InputError(
            "the train part was cut off by time, and where the cut lies depends on every record: no promise holds",
            mend='drop --time (and role = "time"), so that rows are set apart by a hash of their own',
        )
    told = next((f for f in fields if f.kind is Kind.TEXT and "kind" in f.declared), None)
    if told is not None:
        raise InputError(
            f"{told.name!r} is declared as text, and free text cannot be made from noisy counts",
            mend=f"let it come out empty: --set empty={told.name}",
        )
    return fields


def _made_anew(field: Field) -> bool:
    """Keys that the user declared, and entities; what only looks like a key was not looked at."""
    return field.role is Role.ENTITY or (field.role is Role.KEY and "role" in field.declared)


def _refuse_undeclared(fields: Sequence[Field]) -> None:
    lines = {f.name: line for f in fields if (line := undeclared(f)) is not None}
    if not lines:
        return
    shown = "\n".join(itertools.islice(lines.values(), 5))
    more = f"\n... and {len(lines) - 5} more" if len(lines) > 5 else ""
    raise InputError(
        f"the domain of {', '.join(itertools.islice(lines, 8))}{' ...' if len(lines) > 8 else ''} is not declared, and "
        "reading it off the data would not be private",
        mend=f"write it in a schema file (--schema FILE.toml), from what is public knowledge:\n{shown}{more}\n"
        "  or pay for it: --set domain=paid. A free text or a code comes out empty with --set empty=COLUMN",
    )


def _finds_levels(field: Field) -> bool:
    return kind_of(field) is Kind.CATEGORY and not has_levels(field)


def _costs(field: Field, bins: int) -> bool:
    """Whether a column needs a look of its own before it is modelled."""
    if kind_of(field) is Kind.CATEGORY:
        return not has_levels(field)
    return not has_range(field) or _declared_grid_units(field) > bins


def _declared_grid_units(field: Field) -> int:
    assert field.low is not None
    assert field.high is not None
    return grid_of(field, field.low, field.high).units


def _bounded(table: pa.Table, schema: Schema, most: int) -> pa.Table:
    """At most so many rows of each entity, its first ones; all rows where no entity is declared."""
    entity = next(iter(schema.with_role(Role.ENTITY)), None)
    if entity is None:
        return table
    ids = flat(table.column(entity.name)).dictionary_encode().indices
    known = ids.fill_null(-1).to_numpy(zero_copy_only=False)
    order = np.argsort(known, kind="stable")
    ordered = known[order]
    starts = np.searchsorted(ordered, ordered)
    keep: Bools = np.zeros(known.size, dtype=bool)
    keep[order] = (np.arange(known.size) - starts < most) | (ordered < 0)
    return table.filter(pa.array(keep))


@dataclass(frozen=True, slots=True, eq=False)
class _Search:
    """What the columns have in common while their domains are found."""

    table: pa.Table
    wish: Wish
    words: Words
    unnamed: int

    def column(self, field: Field, rho: Fraction, ledger: Ledger) -> tuple[PrivateColumn, Ledger]:
        kind = kind_of(field)
        array = flat(self.table.column(field.name))
        if kind is Kind.CATEGORY:
            return self._category(field, array, rho, ledger)
        values = values_of(field, array, kind)
        ends = (field.low, field.high) if has_range(field) else None
        if ends is None:
            paid = rho * RANGE_PART
            ledger, rho = ledger.spend(RANGES, paid), rho - paid
            found = noisy_range(values, rho=paid, sensitivity=self.wish.sensitivity, words=self.words)
            ends = _with_declared(field, found or NOTHING)
        grid = grid_of(field, float(ends[0] or 0.0), float(ends[1] or 0.0))
        if not _costs(field, self.wish.bins):
            edges = np.arange(grid.units + 1)
            return number(field, grid, edges, edges[:-1], np.ones(grid.units)), ledger
        ledger = ledger.spend(HISTOGRAMS, rho)
        place = grid.place(values[~np.isnan(values)])
        leaves = noisy_histogram(place, grid.units, rho=rho, sensitivity=self.wish.sensitivity, words=self.words)
        return number(field, grid, leaves.edges, grouped(leaves.mass, self.wish.bins), leaves.mass), ledger

    def _category(self, field: Field, array: pa.Array, rho: Fraction, ledger: Ledger) -> tuple[PrivateColumn, Ledger]:
        if has_levels(field):
            own = {"bool": ("false", "true"), "null": ()}
            levels = field.levels if "levels" in field.declared else None
            return category(field, levels or own.get(field.storage, ()), other=False), ledger
        delta = self.wish.delta / max(1, self.unnamed)
        ledger = ledger.spend(LEVELS, rho, delta=delta)
        counted = pc.value_counts(texts(array).drop_null())
        counts = counted.field("counts").to_numpy(zero_copy_only=False)
        named = frequent(counts, rho=rho, delta=delta, sensitivity=self.wish.sensitivity, words=self.words)
        words = sorted(counted.field("values").take(pa.array(named)).to_pylist())
        return category(field, words, other=True), ledger


def _with_declared(field: Field, found: tuple[float, float]) -> tuple[float, float]:
    """A found range, cut off where one end is declared."""
    low, high = found
    if "low" in field.declared and field.low is not None:
        low, high = field.low, max(high, field.low)
    if "high" in field.declared and field.high is not None:
        low, high = min(low, field.high), field.high
    return low, high


def write_batches(
    table: PrivateTable,
    codes: Iterator[tuple[Ints, Mapping[str, pa.Array]]],
    *,
    rng: np.random.Generator,
) -> Iterator[pa.Table]:
    """Rows in the order, names and storage types of the table, from batches of [d, n] codes and of cells held fixed."""
    for rows, held in codes:
        n = rows.shape[1]
        cells: dict[str, pa.Array] = dict(held)
        for i, column in enumerate(table.columns):
            if column.field.name not in cells:
                cells[column.field.name] = cells_of(column, rows[i], rng=rng)
        for field in table.identifiers:
            if field.name not in cells:
                cells[field.name] = _new_identifiers(field, n, rng=rng)
        yield to_storage(pa.table({f.name: cells[f.name] for f in table.schema}), table.schema)


def _new_identifiers(field: Field, n: int, *, rng: np.random.Generator) -> pa.Array:
    """Random ones, alike for any data: 32 hexadecimal digits, or whole numbers of the width of the column."""
    if not field.storage.startswith(("int", "uint")):
        return pa.array([bytes(row).hex() for row in rng.integers(256, size=(n, 16), dtype=np.uint8)], pa.string())
    bits = int(field.storage.lstrip("uint")) - 2
    return pa.array(rng.integers(2 ** min(bits, 61), size=n))
