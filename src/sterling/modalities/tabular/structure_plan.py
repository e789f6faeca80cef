"""Columns as structure is sought in them, and what is decided so far about how each is rebuilt."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sterling.kernel.schema import Kind
from sterling.modalities.tabular.structure_cells import decimals_in, plain_values, quantity_of
from sterling.modalities.tabular.structure_steps import MissingWith, Relation, Step
from sterling.stats.formulas import Quantity
from sterling.stats.structure import Coded

if TYPE_CHECKING:
    from sterling.kernel.view import Floats, Ints

# Numbers that came as float32 and were printed to 15 digits are so near to float32.
COARSE = 1e-13


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """A column as it is looked at.

    Args:
        name: its name.
        array: [n] plain cells.
        quantity: its numbers; None where it has none that can be computed with.
        coded: its distinct values; None where there are too many.
        fixed: it is never derived.
        nulls: how many cells are missing.
    """

    name: str
    array: pa.Array
    quantity: Quantity | None
    coded: Coded
    values: pa.Array
    fixed: bool
    nulls: int


@dataclass(slots=True)
class Plan:
    """What is decided so far: the one place here with a state, filled while relations are taken one by one.

    Args:
        relations: found.
        steps: by column, how it is rebuilt, in order.
        parents: by column, what it is rebuilt from.
    """

    relations: list[Relation] = field(default_factory=list[Relation])
    steps: dict[str, list[Step]] = field(default_factory=dict[str, list[Step]])
    parents: dict[str, set[str]] = field(default_factory=dict[str, set[str]])

    def depends(self, name: str, on: str) -> bool:
        """Whether a column is rebuilt from another, directly or not."""
        return name == on or any(self.depends(p, on) for p in self.parents.get(name, ()))

    def free(self, name: str, parents: Iterable[str]) -> bool:
        """Whether a column may still be rebuilt from these without a circle."""
        return not any(self.depends(p, name) for p in parents)

    def follows(self, name: str) -> bool:
        """Whether a column is already rebuilt from others, but for where it is missing."""
        return any(not isinstance(s, MissingWith) for s in self.steps.get(name, ()))

    def add(self, step: Step, relation: Relation) -> None:
        """Take a step."""
        self.steps.setdefault(step.column, []).append(step)
        self.parents.setdefault(step.column, set()).update(step.parents)
        self.relations.append(relation)

    def ordered(self) -> tuple[Step, ...]:
        """All steps, parents first."""
        done: dict[str, list[Step]] = {}

        def visit(name: str) -> None:
            if name in done or name not in self.steps:
                return
            for parent in sorted(self.parents[name]):
                visit(parent)
            done[name] = self.steps[name]

        for name in self.steps:
            visit(name)
        return tuple(itertools.chain.from_iterable(done.values()))


def column_of(name: str, kind: Kind, array: pa.Array, *, fixed: bool) -> Column:
    """A normalised column as relations are sought in it."""
    encoded = array.dictionary_encode()
    size, nulls = len(encoded.dictionary), array.null_count
    codes = encoded.indices.fill_null(size).to_numpy(zero_copy_only=False)
    quantity = None
    if kind is not Kind.CATEGORY and not pa.types.is_string(array.type) and size:
        values = quantity_of(array)
        if np.abs(values[np.isfinite(values)]).max(initial=0.0) <= 2.0**53 and not np.isinf(values).any():
            time = pa.types.is_temporal(array.type)
            decimals, single = decimals_in(array), pa.types.is_float32(array.type)
            coarse = decimals is None and bool(np.all(_off_single(values) <= COARSE))
            quantity = Quantity(values, decimals, single=single, time=time, free=not fixed, coarse=coarse)
    return Column(name, array, quantity, Coded(codes, size + bool(nulls)), encoded.dictionary, fixed, nulls)


def _off_single(values: Floats) -> Floats:
    """How far known values are from float32, relative to themselves."""
    known = values[~np.isnan(values) & (values != 0)]
    with np.errstate(over="ignore"):
        return np.abs(known - known.astype(np.float32)) / np.abs(known)


def flag_of(column: Column) -> Coded:
    """Where a column is missing, as codes 0 and 1."""
    if not column.nulls:
        return Coded(np.zeros(len(column.array), dtype=np.int32), 1)
    return Coded((column.coded.codes == column.coded.size - 1).astype(np.int32), 2)


def keys_of(column: Column) -> tuple[list[Any], Ints]:
    """The distinct values of a deciding column, ascending if numbers, None (missing) last; their codes."""
    values = column.values
    if pa.types.is_string(values.type) or pa.types.is_boolean(values.type):
        order = np.arange(len(values))
        keys: list[Any] = [str(v).lower() if isinstance(v, bool) else v for v in values.to_pylist()]
    else:
        order = pc.array_sort_indices(values).to_numpy().astype(np.int64)
        keys = plain_values(values.take(pa.array(order)))
    if column.nulls:
        keys, order = [*keys, None], np.append(order, len(values))
    return keys, order
