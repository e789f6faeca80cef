"""Some columns of a table with what they are: what a model is given, and what it makes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sterling.kernel.protocols import Generator
from sterling.kernel.schema import Field, Kind, Role, Schema
from sterling.modalities.tabular.canonical import flat, texts
from sterling.modalities.tabular.memory import from_table
from sterling.modalities.tabular.storage import normalise

if TYPE_CHECKING:
    from sterling.kernel.view import AnyArray, Ints

# Makes a generator that draws these columns before all others, so that they can be held fixed.
Maker = Callable[[tuple[str, ...]], Generator]


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """n rows of some columns; a table without columns still has its rows.

    Args:
        rows: n.
        table: normalised.
        fields: one for each column, in its order.
    """

    rows: int
    table: pa.Table
    fields: tuple[Field, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Of the columns."""
        return tuple(field.name for field in self.fields)

    def take(self, at: AnyArray) -> Part:
        """The rows at these positions; a negative one gives a row of missing cells."""
        index = pa.array(np.maximum(at, 0), mask=at < 0)
        return Part(at.size, self.table.take(index) if self.fields else self.table, self.fields)

    def select(self, names: Iterable[str]) -> Part:
        """Some of the columns, in their own order."""
        wanted = set(names)
        fields = tuple(f for f in self.fields if f.name in wanted)
        return Part(self.rows, self.table.select([f.name for f in fields]), fields)

    def called(self, prefix: str) -> Part:
        """The same columns with longer names."""
        names = [f"{prefix}{name}" for name in self.names]
        fields = tuple(replace(f, name=n) for f, n in zip(self.fields, names, strict=True))
        return Part(self.rows, self.table.rename_columns(names), fields)

    def plus(self, name: str, values: Any, kind: Kind) -> Part:
        """One column more."""
        array = values if isinstance(values, pa.Array) else pa.array(values)
        field = Field(name, kind, storage=str(array.type))
        table = self.table.append_column(name, array) if self.fields else pa.table({name: array})
        return Part(self.rows, table, (*self.fields, field))


def beside(parts: Sequence[Part], *, rows: int) -> Part:
    """All columns in one part; of equal names the first counts."""
    columns: dict[str, tuple[Any, Field]] = {}
    for part in parts:
        for field in part.fields:
            columns.setdefault(field.name, (part.table.column(field.name), field))
    table = pa.table({name: column for name, (column, _) in columns.items()})
    return Part(rows, table, tuple(field for _, field in columns.values()))


def below(parts: Sequence[Part]) -> Part:
    """Parts of the same columns, one under another."""
    table = pa.concat_tables([p.table for p in parts]).combine_chunks() if parts[0].fields else parts[0].table
    return Part(sum(p.rows for p in parts), table, parts[0].fields)


@dataclass(frozen=True, slots=True, eq=False)
class Gapless:
    """How the gaps of given columns are filled, so that no generator has to say what a missing given cell means.

    Args:
        fills: by column, a cell of its type: the median, the first date, a level of its own.
        told: the columns with a column beside them that says whether the cell was there.
    """

    fills: Mapping[str, pa.Scalar]
    told: tuple[str, ...]

    @classmethod
    def of(cls, given: Part) -> Gapless:
        """Learn the fills of columns; one that is missing throughout has none, and is left out."""
        arrays = {f.name: _plain(flat(given.table.column(f.name)), f) for f in given.fields}
        fills = {f.name: _fill(arrays[f.name], f) for f in given.fields if arrays[f.name].null_count < given.rows}
        told = tuple(
            f.name for f in given.fields if f.name in fills and f.kind is Kind.NUMBER and arrays[f.name].null_count
        )
        return cls(fills, told)

    def __call__(self, given: Part) -> Part:
        """The columns without gaps."""
        whole = Part(given.rows, pa.table({}))
        for field in (f for f in given.fields if f.name in self.fills):
            array = _plain(flat(given.table.column(field.name)), field)
            whole = whole.plus(field.name, pc.fill_null(array, self.fills[field.name]), field.kind)
            if field.name in self.told:
                known = pc.if_else(array.is_valid(), "yes", "no")
                whole = whole.plus(f"⟨known⟩ {field.name}", known, Kind.CATEGORY)
        return whole


@dataclass(frozen=True, slots=True, eq=False)
class Conditional:
    """A generator fitted to draw some columns given others.

    Args:
        generator: made for the given columns; None where nothing is to be drawn.
        fitted: what it learned.
        given: names of the given columns, as they are handed to it.
        gapless: fills their gaps.
        made: no rows of the columns that it draws.
    """

    generator: Generator | None
    fitted: Any
    given: tuple[str, ...]
    gapless: Gapless
    made: Part


def learn(made: Part, given: Part, *, maker: Maker, rng: np.random.Generator) -> Conditional:
    """Fit a generator to the columns `made` given the columns `given`, over the same rows."""
    nothing = made.take(np.zeros(0, dtype=np.int64))
    if not made.fields or not made.rows:
        return Conditional(None, None, (), Gapless({}, ()), nothing)
    gapless = Gapless.of(given)
    whole = gapless(given)
    both = beside([whole, made], rows=made.rows)
    schema = Schema(tuple(_feature(f, known=f.name in whole.names) for f in both.fields))
    generator = maker(whole.names)
    data = from_table(both.table, name="rows with their parents", schema=schema)
    return Conditional(generator, generator.fit(data, rng=rng), given.names, gapless, nothing)


def draw(model: Conditional, given: Part, *, rng: np.random.Generator) -> Part:
    """One row for each row of the given columns."""
    if model.generator is None or not given.rows:
        if not given.rows or not model.made.fields:
            return Part(given.rows, model.made.table, model.made.fields)
        return model.made.take(np.full(given.rows, -1))
    whole = model.gapless(given.select(model.given))
    held = whole.table if whole.fields else None
    batches = list(model.generator.sample(model.fitted, given.rows, rng=rng, given=held))
    table = normalise(pa.concat_tables(batches)).table.select(list(model.made.names))
    return Part(given.rows, table.cast(model.made.table.schema).combine_chunks(), model.made.fields)


def _plain(array: pa.Array, field: Field) -> pa.Array:
    """Categories as text, which has room for a level more."""
    return texts(array) if field.kind is Kind.CATEGORY else array


def _fill(array: pa.Array, field: Field) -> pa.Scalar:
    if field.kind is Kind.CATEGORY or pa.types.is_string(array.type):
        return pa.scalar("⟨none⟩") if field.kind is Kind.CATEGORY else pc.min(array)
    some = array.drop_null().sort()
    return some[len(some) // 2 if field.kind is Kind.NUMBER else 0]


def counts_as(rows: int, name: str, values: Ints) -> Part:
    """A column of whole numbers by itself."""
    return Part(rows, pa.table({})).plus(name, values, Kind.NUMBER)


def _feature(field: Field, *, known: bool) -> Field:
    """Given columns are features whatever they are elsewhere; made ones keep what makes identifiers."""
    keys = (Role.KEY,) if not known else ()
    return field if field.role in keys else replace(field, role=Role.FEATURE)
