"""Exact structure of a table: mined, taken out before a generator learns, and put back into what it makes.

`reduce` drops a column that others decide (a total, a code's name, the year of a date), and replaces one that is bound
by others by what is free in it (b by b - a, where a <= b always). A generator learns the rest; `restore` rebuilds all
columns, so that what held in every real row holds in every made one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from sterling.kernel.dataset import Dataset
from sterling.kernel.schema import Field, Kind, Role, Schema
from sterling.modalities.tabular.canonical import flat
from sterling.modalities.tabular.memory import MemorySource
from sterling.modalities.tabular.storage import normalise, storage_type, to_storage
from sterling.modalities.tabular.structure_cells import filled, masked_cells, presence
from sterling.modalities.tabular.structure_mining import mined
from sterling.modalities.tabular.structure_steps import (
    Computed,
    Constant,
    Decided,
    DecidedTogether,
    MissingWith,
    Part,
    Relation,
    Step,
    Within,
    step_from_json,
    step_json,
)

if TYPE_CHECKING:
    from sterling.kernel.finding import Json
    from sterling.kernel.view import Bools


@dataclass(frozen=True, slots=True)
class Structure:
    """What holds in every row of a table.

    Args:
        relations: all that was found, in words, with the rows that luck would have broken it in.
        steps: how `restore` rebuilds columns, in the order in which it does.
        types: per column that a step makes, the plain Arrow type of its cells.
        notes: what was not looked at, in plain words.
    """

    relations: tuple[Relation, ...] = ()
    steps: tuple[Step, ...] = ()
    types: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def derived(self) -> tuple[str, ...]:
        """The columns that `reduce` drops."""
        return tuple(s.column for s in self.steps if _drops(s))

    def as_json(self) -> dict[str, Json]:
        """The structure as JSON; `structure_from_json` reads it back."""
        return {
            "relations": [r.as_json() for r in self.relations],
            "steps": [step_json(s) for s in self.steps],
            "types": dict(self.types),
            "notes": list(self.notes),
        }


def structure_from_json(told: Mapping[str, object]) -> Structure:
    """The structure that `Structure.as_json` wrote."""
    relations, steps, types, notes = (told[key] for key in ("relations", "steps", "types", "notes"))
    return Structure(
        tuple(Relation.from_json(r) for r in relations),  # type: ignore[attr-defined]
        tuple(step_from_json(s) for s in steps),  # type: ignore[attr-defined]
        tuple((str(k), str(v)) for k, v in types.items()),  # type: ignore[attr-defined]
        tuple(notes),  # type: ignore[arg-type]
    )


def mine_structure(data: Dataset, *, keep: Sequence[str] = ()) -> Structure:
    """Relations that hold in all rows, and that luck would have broken in 37 of them or more.

    Constant columns; parts of dates and of times of day; sums, differences, multiples, products and ratios with their
    rounding; columns that decide others; a <= b; cells that are missing exactly where another column says so.
    Identifiers and free text take no part.

    Args:
        data: the training rows.
        keep: columns that are never derived or replaced, beside the target and the weights.

    Raises:
        UnknownName: for a name in `keep` that is no column.
    """
    for name in keep:
        data.schema[name]
    if not data.rows:
        return Structure()
    table = normalise(data.table()).table
    fixed = {f.name for f in data.schema if f.role in (Role.TARGET, Role.WEIGHT)} | set(keep)
    relations, steps, notes = mined(table, data.schema, fixed)
    made = dict.fromkeys(s.column for s in steps)
    types = tuple((name, str(table.schema.field(name).type)) for name in made)
    return Structure(relations, steps, types, notes)


def reduce(data: Dataset, structure: Structure) -> Dataset:
    """The rows without what others decide; `restore` puts it back.

    A column whose only own say is whether it is missing becomes a category of one level, "known". Cells that are
    missing because another column says so are filled with other rows' values.
    """
    if not structure.steps:
        return data
    table = normalise(data.table()).table
    full, schema = table, data.schema
    for step in structure.steps:
        if _drops(step):
            continue
        place = table.column_names.index(step.column)
        if isinstance(step, Within):
            cells = step.free_part(full) if step.mode != "clip" else flat(table.column(place))
        elif isinstance(step, MissingWith):
            cells = filled(flat(table.column(place)))
        elif isinstance(step, Computed) and step.own != "missing":
            cells = step.free_part(full)
        else:
            cells = presence(flat(full.column(step.column)))
        if cells.type != table.schema.field(place).type:
            schema = schema.replaced(_reduced_field(schema[step.column], cells))
        table = table.set_column(place, step.column, cells)
    dropped = _dropped(structure)
    names = [name for name in table.column_names if name not in dropped]
    return replace(data, schema=schema.select(names), source=MemorySource(table.select(names)))


def restore(batch: pa.Table, structure: Structure, schema: Schema) -> pa.Table:
    """The full table: all columns of `schema`, in its order and storage types.

    Args:
        batch: rows in the columns of `reduce`; columns that are derived are made anew if they are there.
        structure: as `mine_structure` gave it.
        schema: of the full table.
    """
    table = normalise(batch).table
    types = dict(structure.types)
    cells = {name: flat(table.column(name)) for name in table.column_names}
    for step in structure.steps:
        kind = storage_type(types[step.column])
        if isinstance(step, MissingWith):
            cells[step.column] = masked_cells(cells[step.column], step.gone(cells))
        else:
            cells[step.column] = step.made(cells, kind, table.num_rows)
    names = [name for name in schema.names if name in cells]
    rest = [name for name in table.column_names if name not in schema]
    return to_storage(pa.table({name: cells[name] for name in [*names, *rest]}), schema)


def without_rare_keys(structure: Structure, data: Dataset, *, k: int) -> Structure:
    """The structure whose tables show only what at least k rows have; other keys take the nearest or usual value.

    For rows that are protected after `reduce`: a table must not bring back what protection took out.

    Args:
        structure: as mined from `data`.
        data: the rows it was mined from.
        k: fewest rows that a key may stand for; 1 leaves everything.
    """
    if k <= 1 or not any(isinstance(s, Decided | DecidedTogether) for s in structure.steps):
        return structure
    table = normalise(data.table()).table
    cells = {name: flat(table.column(name)) for name in table.column_names}
    steps = [s.common(cells, k) if isinstance(s, Decided | DecidedTogether) else s for s in structure.steps]
    return replace(structure, steps=tuple(steps))


def broken(batch: pa.Table, structure: Structure) -> Bools:
    """[n] rows of a full table that `restore` would change, that is, that do not keep the structure.

    Args:
        batch: rows with all columns, such as another program's; or rows in the columns of `reduce` with a clipped one.
        structure: as `mine_structure` gave it.
    """
    table = normalise(batch).table
    cells = {name: flat(table.column(name)) for name in table.column_names}
    wrong = np.zeros(table.num_rows, dtype=bool)
    for step in structure.steps:
        if step.column in cells and all(p in cells for p in step.parents):
            wrong |= step.broken(cells)
    return wrong


def _drops(step: Step) -> bool:
    """Whether nothing of the step's column is left in the reduced table."""
    return isinstance(step, Constant | Decided | DecidedTogether) or (
        isinstance(step, Computed | Part) and step.own == "none"
    )


def _dropped(structure: Structure) -> set[str]:
    return set(structure.derived)


def _reduced_field(field: Field, cells: pa.Array) -> Field:
    """What a column is once it holds only what is free in it."""
    if pa.types.is_string(cells.type):
        return Field(field.name, Kind.CATEGORY, storage="string", levels=("known",), nullable=True)
    role = field.role if field.role is Role.GROUP else Role.FEATURE
    return Field(field.name, Kind.NUMBER, role, storage=str(cells.type), nullable=field.nullable)
