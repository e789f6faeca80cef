"""A table taken apart for a generator, and made rows put together again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import pyarrow as pa

from sterling.kernel.dataset import Dataset
from sterling.kernel.errors import InputError
from sterling.kernel.schema import Field, Kind, Role, Schema
from sterling.modalities.tabular.canonical import flat
from sterling.modalities.tabular.given import checked_given
from sterling.modalities.tabular.identifiers import (
    Identifier,
    identifier_of,
    identifiers,
    makes_identifiers,
    running_numbers,
)
from sterling.modalities.tabular.infer import PROVENANCE
from sterling.modalities.tabular.outcomes import Outcome, cells_of, ids_of, outcome_of
from sterling.modalities.tabular.storage import normalise, to_storage

if TYPE_CHECKING:
    from sterling.kernel.view import Ints
    from sterling.modalities.tabular.outcomes import Ids

KINDS = (Kind.NUMBER, Kind.CATEGORY, Kind.DATETIME, Kind.TEXT)
BATCH_ROWS = 50_000
# Cells of a batch at most: tables of many columns are made in smaller ones.
BATCH_CELLS, LEAST_BATCH = 10_000_000, 500
# From how many rows, and from which columns held fixed (position -> [n] ids), to [d, n] ids.
Draw: TypeAlias = Callable[[int, Mapping[int, "Ids"]], "Ids"]


@dataclass(frozen=True, slots=True, eq=False)
class Anatomy:
    """What a table is made of.

    Args:
        schema: the fields that are made, in file order.
        outcomes: the columns that a generator models.
        identifiers: the columns that are made anew.
    """

    schema: Schema
    outcomes: tuple[Outcome, ...]
    identifiers: tuple[Identifier, ...]

    def position(self, name: str) -> int | None:
        """Place of a column among the outcomes; None for identifiers."""
        return next((i for i, o in enumerate(self.outcomes) if o.field.name == name), None)


def checked_fields(data: Dataset) -> tuple[Field, ...]:
    """The columns of a record: all but those in which Sterling notes where a row comes from.

    Raises:
        InputError: as `take_apart`.
    """
    fields = tuple(f for f in data.schema if not f.name.startswith(PROVENANCE))
    strange = next((f for f in fields if f.kind not in KINDS), None)
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
    return fields


def take_apart(data: Dataset) -> tuple[Anatomy, Ids]:
    """What the columns of a set can be, and [d, n] int32 which value each cell is (missing = -1).

    Columns in which Sterling notes where a row comes from are left out: they are no part of a record.

    Raises:
        InputError: if there are no rows or columns, or a column that is neither number, category,
            datetime nor text.
    """
    fields = checked_fields(data)
    table = normalise(data.table(tuple(f.name for f in fields))).table
    outcomes: list[Outcome] = []
    makers: list[Identifier] = []
    ids: list[Ids] = []
    for field in fields:
        array = flat(table.column(field.name))
        if makes_identifiers(field, array):
            makers.append(identifier_of(field, array))
        else:
            outcome, found = outcome_of(field, array)
            outcomes.append(outcome)
            ids.append(found)
    rows = np.array(ids, dtype=np.int32).reshape(len(ids), data.rows)
    return Anatomy(Schema(fields, data.schema.modality), tuple(outcomes), tuple(makers)), rows


def make_batches(
    anatomy: Anatomy,
    n: int,
    *,
    draw: Draw,
    smoothing: float,
    given: pa.Table | None,
    rng: np.random.Generator,
) -> Iterator[pa.Table]:
    """Make n rows in batches of at most 50,000, in the order, names and storage types of the columns.

    Args:
        anatomy: of the training table.
        n: rows to make, > 0.
        draw: the generator's own part.
        smoothing: as in `cells_of`.
        given: columns held fixed, n rows; their cells come out as they are.
        rng: the stream of this task, the same that `draw` uses.

    Raises:
        InputError: for n < 1, for `given` of another length, or with columns that are not there.
    """
    if n < 1:
        raise InputError(f"cannot make {n} rows", mend="ask for at least one: -n 1000")
    fixed = checked_given(anatomy.schema, n, given)
    salt = int(rng.integers(2**63))
    numbers = [running_numbers(maker, n, rng=rng) for maker in anatomy.identifiers]
    return _batches(anatomy, n, draw=draw, smoothing=smoothing, fixed=fixed, salt=salt, numbers=numbers, rng=rng)


def _batches(
    anatomy: Anatomy,
    n: int,
    *,
    draw: Draw,
    smoothing: float,
    fixed: pa.Table,
    salt: int,
    numbers: list[Ints],
    rng: np.random.Generator,
) -> Iterator[pa.Table]:
    most = max(LEAST_BATCH, min(BATCH_ROWS, BATCH_CELLS // max(1, len(anatomy.schema))))
    for start in range(0, n, most):
        size = min(most, n - start)
        cells = {name: flat(fixed.column(name).slice(start, size)) for name in fixed.column_names}
        places = {name: anatomy.position(name) for name in cells}
        held = {i: ids_of(anatomy.outcomes[i], cells[name]) for name, i in places.items() if i is not None}
        ids = draw(size, held)
        for i, outcome in enumerate(anatomy.outcomes):
            if outcome.field.name not in cells:
                cells[outcome.field.name] = cells_of(outcome, ids[i], smoothing=smoothing, rng=rng)
        for maker, running in zip(anatomy.identifiers, numbers, strict=True):
            if maker.field.name not in cells:
                cells[maker.field.name] = identifiers(maker, running[start : start + size], salt=salt)
        yield to_storage(pa.table({name: cells[name] for name in anatomy.schema.names}), anatomy.schema)


def with_new_identifiers(
    table: pa.Table, like: Dataset, *, held: Sequence[str] = (), rng: np.random.Generator
) -> pa.Table:
    """The rows with identifiers that are unique among all of them.

    For rows that were made in several tasks, each of which numbered its own from the start.

    Args:
        table: made rows, in storage types.
        like: the training rows, whose identifiers show the form and are not used again.
        held: columns that stay as they are.
        rng: a stream of the task that joins the parts.
    """
    salt = int(rng.integers(2**63))
    for field in like.schema:
        if field.role not in (Role.KEY, Role.ENTITY) or field.name in held or field.name not in table.column_names:
            continue
        array = flat(normalise(like.table((field.name,))).table.column(0))
        if makes_identifiers(field, array):
            maker = identifier_of(field, array)
            made = identifiers(maker, running_numbers(maker, table.num_rows, rng=rng), salt=salt)
            table = table.set_column(table.column_names.index(field.name), field.name, made)
    return to_storage(table, like.schema)
