"""Any generator held to constraints: by construction where that is possible, else by drawing again, up to a cap."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sterling.kernel.dataset import Dataset
from sterling.kernel.errors import InputError
from sterling.kernel.schema import Field, Kind, Role, Schema
from sterling.modalities.tabular.canonical import flat
from sterling.modalities.tabular.constrained_rows import Judge, Numbering, Work, by_entity, row_by_row
from sterling.modalities.tabular.constraints import (
    AtMost,
    Constraints,
    Decides,
    Equation,
    MissingWhere,
    Unique,
    cells_of,
    satisfied,
)
from sterling.modalities.tabular.expressions import value_of
from sterling.modalities.tabular.identifiers import (
    Identifier,
    identifier_of,
    makes_identifiers,
    running_numbers,
)
from sterling.modalities.tabular.storage import normalise, to_storage
from sterling.modalities.tabular.structure import Structure, mine_structure, reduce, restore
from sterling.modalities.tabular.structure_cells import decimals_in, masked_cells, quantity_cells, quantity_of
from sterling.modalities.tabular.structure_mining import decided_together
from sterling.modalities.tabular.structure_plan import column_of
from sterling.modalities.tabular.structure_steps import DecidedTogether, Step, Within
from sterling.stats.formulas import on_grid

if TYPE_CHECKING:
    from sterling.kernel.view import Bools


@dataclass(frozen=True, slots=True, eq=False)
class FittedConstrained:
    """A fitted generator with what it is held to.

    Args:
        inner: what the generator's own `fit` returned, of the reduced rows.
        structure: what is built into every row.
        schema: of the full table.
        reduced: of the rows that the generator makes.
        tables: for each "decides" constraint its table, learned from the training rows.
        grids: per column that a formula gives, its decimals; None = continuous.
        makers: of the identifiers, which are numbered over the rows that stay.
        in_one_task: whether rows must know of each other: entities that are kept whole, or values that are unique.
    """

    inner: Any
    structure: Structure
    schema: Schema
    reduced: Schema
    tables: tuple[tuple[Decides, DecidedTogether], ...]
    grids: tuple[tuple[str, int | None], ...]
    makers: tuple[Identifier, ...]
    in_one_task: bool


@dataclass(frozen=True, slots=True)
class Constrained:
    """A generator whose rows keep constraints.

    What was mined from the training rows and is confirmed by a constraint is built in (`structure.reduce` and
    `restore`); a formula gives its column, and a "decides" constraint its column, where a made row breaks it; rows
    that break anything else are drawn again. Identifiers are numbered over the rows that stay; of a generator that
    `keeps_entities` an entity stays with all its rows, or none.

    Args:
        generator: any generator.
        constraints: what its rows shall keep.
        cap: rows drawn at most for each row wanted, >= 1.
    """

    generator: Any
    constraints: Constraints
    cap: int = 100

    def fit(self, data: Dataset, *, rng: np.random.Generator) -> FittedConstrained:
        """Fit the generator on what is free in the rows.

        Raises:
            InputError: as the generator's own `fit`.
        """
        first = tuple(getattr(self.generator, "first", ()))
        structure = confirmed(mine_structure(data, keep=[n for n in first if n in data.schema]), self.constraints)
        small = reduce(data, structure)
        table = normalise(data.table()).table
        tables = [(c, _table(c, table, data.schema)) for c in self.constraints.items if isinstance(c, Decides)]
        targets = dict.fromkeys(c.target for c in self.constraints.items if isinstance(c, Equation))
        cells = cells_of(table, data.schema)
        grids = tuple((name, decimals_in(cells[name])) for name in targets)
        makers = tuple(
            identifier_of(f, cells[f.name])
            for f in data.schema
            if f.name in cells and makes_identifiers(f, cells[f.name])
        )
        keys = {m.field.name for m in makers if m.field.role is Role.KEY}
        together = any(isinstance(c, Unique) and keys.isdisjoint(c.of) for c in self.constraints.items)
        whole = getattr(self.generator, "keeps_entities", False)
        inner = self.generator.fit(small, rng=rng)
        return FittedConstrained(
            inner, structure, data.schema, small.schema, tuple(tables), grids, makers, bool(together or whole)
        )

    def sample(
        self, fitted: FittedConstrained, n: int, *, rng: np.random.Generator, given: pa.Table | None = None
    ) -> Iterator[pa.Table]:
        """Draw n rows that keep every constraint, in batches of at most 50,000; given cells are never changed.

        Raises:
            InputError: as the generator's own `sample`; where given cells alone break a constraint; where the cap is
                reached, naming the constraint that most rows break.
        """
        if n < 1:
            raise InputError(f"cannot make {n} rows", mend="ask for at least one row")
        if given is not None:
            _refuse_given(self.constraints, given, fitted.schema)
        held = frozenset[str](given.column_names if given is not None else ())
        makers = tuple(m for m in fitted.makers if m.field.name not in held)
        sequences = any(f.role in (Role.TIME, Role.ENTITY) for f in fitted.schema)
        whole = sequences and getattr(self.generator, "keeps_entities", False)
        numbers = () if whole else tuple(running_numbers(m, n, rng=rng) for m in makers)
        work = Work(
            n,
            lambda size, cells: self._drawn(fitted, size, cells, rng=rng),
            Judge(self.constraints, fitted.schema, fitted.tables, [m.field.name for m in makers]),
            Numbering(fitted.schema, makers, numbers, salt=int(rng.integers(2**63))),
            given,
            self.cap,
        )
        if not whole:
            return row_by_row(work)
        return by_entity(work, next((f.name for f in fitted.schema.with_role(Role.ENTITY)), None))

    def _drawn(
        self, fitted: FittedConstrained, n: int, given: pa.Table | None, *, rng: np.random.Generator
    ) -> pa.Table:
        """Rows of the generator, restored and mended as far as formulas and tables can."""
        held = None
        if given is not None:
            names = [name for name in given.column_names if _as_it_was(fitted, name)]
            held = given.select(names) if names else None
        small = pa.concat_tables(list(self.generator.sample(fitted.inner, n, rng=rng, given=held)))
        table = restore(small, fitted.structure, fitted.schema)
        fixed = frozenset(given.column_names if given is not None else ())
        for name in fixed if given is not None else ():
            cells = to_storage(given.select([name]), fitted.schema.select([name])).column(0)  # type: ignore[union-attr]
            table = table.set_column(table.column_names.index(name), name, cells)
        return _mended(self.constraints, fitted, table, fixed)


def constrained(generator: Any, constraints: Constraints, *, cap: int = 100) -> Constrained:
    """The generator held to constraints.

    Raises:
        InputError: for a cap below 1.
    """
    if cap < 1:
        raise InputError(f"the cap is {cap}", mend="draw at least one row for each: cap = 100")
    return Constrained(generator, constraints, cap)


def confirmed(structure: Structure, constraints: Constraints) -> Structure:
    """The part of a structure that constraints ask for."""
    wanted = {
        (c.columns[0], frozenset(c.columns[1:])) for c in constraints.items if isinstance(c, Equation | MissingWhere)
    }
    wanted |= {(c.column, frozenset(c.by)) for c in constraints.items if isinstance(c, Decides)}
    orders = {(c.low, c.high) for c in constraints.items if isinstance(c, AtMost)}
    steps: list[Step] = [
        s for s in structure.steps if not isinstance(s, Within) and (s.column, frozenset(s.parents)) in wanted
    ]
    for step in (s for s in structure.steps if isinstance(s, Within)):
        lows = tuple(name for name in step.lows if (name, step.column) in orders)
        highs = tuple(name for name in step.highs if (step.column, name) in orders)
        if (lows, highs) == (step.lows, step.highs):
            steps.append(step)
        elif lows or highs:
            steps.append(replace(step, lows=lows, highs=highs, mode="clip"))
    made = {s.column for s in steps}
    places = {(old.column, type(old)): i for i, old in enumerate(structure.steps)}
    ordered = tuple(sorted(steps, key=lambda s: places[s.column, type(s)]))
    return replace(structure, steps=ordered, types=tuple(t for t in structure.types if t[0] in made))


def _table(item: Decides, table: pa.Table, schema: Schema) -> DecidedTogether:
    """For each combination of the deciding columns the commonest value."""
    parts = [column_of(n, schema[n].kind, flat(table.column(n)), fixed=False) for n in item.by]
    column = column_of(item.column, schema[item.column].kind, flat(table.column(item.column)), fixed=False)
    group = np.zeros(table.num_rows, dtype=np.int64)
    for part in parts:
        group = np.unique(group * part.coded.size + part.coded.codes, return_inverse=True)[1]
    pairs, counts = np.unique(group * column.coded.size + column.coded.codes, return_counts=True)
    order = np.lexsort((-counts, pairs // column.coded.size))
    first = order[np.unique((pairs // column.coded.size)[order], return_index=True)[1]]
    usual = pairs[first] % column.coded.size
    return decided_together(parts, replace(column, coded=replace(column.coded, codes=usual[group])))


def _as_it_was(fitted: FittedConstrained, name: str) -> bool:
    """Whether a given column is one that the generator itself makes, unchanged."""
    return name in fitted.reduced and fitted.reduced[name] == fitted.schema[name]


def _mended(constraints: Constraints, fitted: FittedConstrained, table: pa.Table, fixed: frozenset[str]) -> pa.Table:
    """Rows that break a formula or a table get what it says; given cells stay."""
    plain = normalise(table).table
    cells = cells_of(plain, fitted.schema)
    grids, tables = dict(fitted.grids), dict(fitted.tables)
    changed: set[str] = set()
    for item in constraints.items:
        column = item.columns[0] if not isinstance(item, Decides) else item.column
        if column in fixed or not isinstance(item, Equation | Decides | MissingWhere):
            continue
        old = cells[column]
        if isinstance(item, Equation):
            told = quantity_of(old)
            made = on_grid(value_of(item.node, cells, told.size), grids[column])
            new = _where(item.kept(cells, fitted.schema) | np.isnan(made), old, quantity_cells(made, old.type))
        elif isinstance(item, Decides):
            new = tables[item].made(cells, old.type, len(old))
        else:
            where = item.kept(cells, fitted.schema) | ~old.is_valid().to_numpy(zero_copy_only=False)
            new = masked_cells(old, ~where)
        if not new.equals(old):
            cells[column] = new
            changed.add(column)
    if not changed:
        return table
    mended = pa.table({name: cells[name] if name in changed else plain.column(name) for name in plain.column_names})
    return to_storage(mended, fitted.schema)


def _where(kept: Bools, old: pa.Array, new: pa.Array) -> pa.Array:
    """The old cells where they are kept, to the last digit."""
    if kept.all():
        return old
    if old.type != new.type:  # what the old type cannot hold is left wider
        field = Field("cells", Kind.NUMBER, storage=str(old.type))
        new = flat(to_storage(pa.table({"cells": new}), Schema((field,))).column(0))
    return pc.if_else(pa.array(kept), old, new)


def _refuse_given(constraints: Constraints, given: pa.Table, schema: Schema) -> None:
    """Refuse given cells that break a constraint by themselves."""
    there = [c for c in constraints.items if set(c.columns) <= set(given.column_names)]
    for item, kept in zip(there, satisfied(given, Constraints(tuple(there)), schema), strict=True):
        wrong = np.flatnonzero(~kept)
        if wrong.size:
            raise InputError(
                f"{wrong.size:,} of {kept.size:,} given rows break {item.text!r}, the first is row {wrong[0] + 1}",
                mend="change those cells, or set keep = false for the constraint",
            )
