"""Constraints that a user confirms: read from TOML, counted on any table, said in plain words."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sterling.kernel.errors import InputError, UnknownName
from sterling.kernel.schema import Field, Kind, Schema
from sterling.modalities.tabular.canonical import canonical, flat, number_text, parse_instant, texts
from sterling.modalities.tabular.expressions import Node, names_in, parse_formula, value_of
from sterling.modalities.tabular.storage import normalise
from sterling.modalities.tabular.structure_cells import quantity_of

if TYPE_CHECKING:
    from sterling.kernel.view import Bools, Floats

    Cells: TypeAlias = Mapping[str, pa.Array]

Words: TypeAlias = "tuple[str | None, ...]"
# A formula holds when it is off by no more than this, relative to its result, where no tolerance is given.
TOLERANCE = 1e-9


@dataclass(frozen=True, slots=True)
class AtMost:
    """One column is never more than another; strictly less where `strict`. Rows where either is missing keep it."""

    key: ClassVar[str] = "at_most"
    low: str
    high: str
    strict: bool = False

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns it speaks of."""
        return self.low, self.high

    @property
    def text(self) -> str:
        """In plain words."""
        return f"{self.low} {'<' if self.strict else '<='} {self.high}"

    def kept(self, cells: Cells, schema: Schema) -> Bools:
        """[n] rows that keep it."""
        first, second = (cells[name] for name in self.columns)
        if _exact(first) and _exact(second) and (first.type == second.type or not pa.types.is_temporal(first.type)):
            there = _known(first) & _known(second)
            low, high = (_whole(a) for a in (first, second))  # as float64 they lose digits beyond 2**53
            return ~(there & (low >= high if self.strict else low > high))
        low, high = (_numbers(cells[name], schema[name]) for name in self.columns)
        with np.errstate(invalid="ignore"):
            return ~(low >= high if self.strict else low > high)


@dataclass(frozen=True, slots=True)
class Equation:
    """A column that a formula gives, up to a tolerance; rows where something is missing keep it."""

    key: ClassVar[str] = "formula"
    formula: str
    target: str
    node: Node
    tolerance: float | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """The target first, then those of the expression."""
        return self.target, *(n for n in names_in(self.node) if n != self.target)

    @property
    def text(self) -> str:
        """In plain words."""
        return self.formula

    def kept(self, cells: Cells, schema: Schema) -> Bools:
        """[n] rows that keep it; where something is missing there is nothing to break."""
        told = _numbers(cells[self.target], schema[self.target])
        made = value_of(self.node, cells, told.size)
        slack = TOLERANCE * np.maximum(np.abs(told), 1.0) if self.tolerance is None else self.tolerance * (1 + 1e-9)
        with np.errstate(invalid="ignore"):
            return ~(np.abs(told - made) > slack)


@dataclass(frozen=True, slots=True)
class Decides:
    """Rows alike in some columns are alike in another."""

    key: ClassVar[str] = "decides"
    by: tuple[str, ...]
    column: str

    @property
    def columns(self) -> tuple[str, ...]:
        """The decided one last."""
        return *self.by, self.column

    @property
    def text(self) -> str:
        """In plain words."""
        return f"{' and '.join(self.by)} decide{'s' if len(self.by) == 1 else ''} {self.column}"

    def kept(self, cells: Cells, schema: Schema) -> Bools:
        """[n] rows that have the commonest value of their group."""
        group, value = _group([cells[name] for name in self.by]), _group([cells[self.column]])
        pair = group * (int(value.max(initial=0)) + 1) + value
        pairs, at, counts = np.unique(pair, return_inverse=True, return_counts=True)
        owner = group[np.unique(pair, return_index=True)[1]] if pairs.size else group
        best = np.zeros(int(group.max(initial=-1)) + 1, dtype=np.int64)
        np.maximum.at(best, owner, counts)
        first = np.full(best.size, pairs.size, dtype=np.int64)
        top = np.flatnonzero(counts == best[owner]) if pairs.size else np.empty(0, np.int64)
        np.minimum.at(first, owner[top], top)
        return at == first[group]


@dataclass(frozen=True, slots=True)
class Unique:
    """No two rows are alike in these columns; of those that are, the first counts as right."""

    key: ClassVar[str] = "unique"
    of: tuple[str, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns it speaks of."""
        return self.of

    @property
    def text(self) -> str:
        """In plain words."""
        return f"{' and '.join(self.of)} {'is' if len(self.of) == 1 else 'are together'} unique"

    def kept(self, cells: Cells, schema: Schema) -> Bools:
        """[n] rows that are the first of their kind; missing cells are all different."""
        key = _group([cells[name] for name in self.of])
        there = np.all([_known(cells[name]) for name in self.of], axis=0)
        first = np.zeros(key.size, dtype=bool)
        first[np.unique(key, return_index=True)[1]] = True
        return first | ~there


@dataclass(frozen=True, slots=True)
class Forbidden:
    """No row has these values together; a missing value is written as None."""

    key: ClassVar[str] = "forbid"
    cells: tuple[tuple[str, Words], ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns it speaks of."""
        return tuple(name for name, _ in self.cells)

    @property
    def text(self) -> str:
        """In plain words."""
        return "never " + " and ".join(f"{name} = {' or '.join(w or 'missing' for w in v)}" for name, v in self.cells)

    def kept(self, cells: Cells, schema: Schema) -> Bools:
        """[n] rows that lack one of the values."""
        return ~np.all([_among(cells[name], schema[name], words) for name, words in self.cells], axis=0)


@dataclass(frozen=True, slots=True)
class Range:
    """A number or date lies between two ends; missing cells keep it."""

    key: ClassVar[str] = "range"
    column: str
    low: float | None
    high: float | None

    @property
    def columns(self) -> tuple[str, ...]:
        """The column it speaks of."""
        return (self.column,)

    @property
    def text(self) -> str:
        """In plain words."""
        ends = [f"{s} {number_text(v)}" for s, v in ((">=", self.low), ("<=", self.high)) if v is not None]
        return f"{self.column} {' and '.join(ends)}"

    def kept(self, cells: Cells, schema: Schema) -> Bools:
        """[n] rows within the ends."""
        values = _numbers(cells[self.column], schema[self.column])
        low, high = -np.inf if self.low is None else self.low, np.inf if self.high is None else self.high
        return np.isnan(values) | ((values >= low) & (values <= high))


@dataclass(frozen=True, slots=True)
class Levels:
    """A column has only these values; missing cells keep it."""

    key: ClassVar[str] = "levels"
    column: str
    allowed: tuple[str, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """The column it speaks of."""
        return (self.column,)

    @property
    def text(self) -> str:
        """In plain words."""
        more = f" ... ({len(self.allowed)} values)" if len(self.allowed) > 6 else ""
        return f"{self.column} is one of {', '.join(self.allowed[:6])}{more}"

    def kept(self, cells: Cells, schema: Schema) -> Bools:
        """[n] rows of an allowed value."""
        return _among(cells[self.column], schema[self.column], (None, *self.allowed))


@dataclass(frozen=True, slots=True)
class NotNull:
    """A column is never missing."""

    key: ClassVar[str] = "not_null"
    column: str

    @property
    def columns(self) -> tuple[str, ...]:
        """The column it speaks of."""
        return (self.column,)

    @property
    def text(self) -> str:
        """In plain words."""
        return f"{self.column} is never missing"

    def kept(self, cells: Cells, schema: Schema) -> Bools:
        """[n] rows where it is there."""
        return _known(cells[self.column])


@dataclass(frozen=True, slots=True)
class MissingWhere:
    """A column is missing exactly where another has one of some values; None = where that is missing."""

    key: ClassVar[str] = "missing"
    column: str
    where: str
    values: Words

    @property
    def columns(self) -> tuple[str, ...]:
        """The one that is missing first."""
        return self.column, self.where

    @property
    def text(self) -> str:
        """In plain words."""
        shown = ", ".join(v or "missing" for v in self.values[:6])
        return f"{self.column} is missing exactly where {self.where} is {shown}"

    def kept(self, cells: Cells, schema: Schema) -> Bools:
        """[n] rows that keep it."""
        return _known(cells[self.column]) != _among(cells[self.where], schema[self.where], self.values)


Constraint: TypeAlias = (
    "AtMost | Equation | Decides | Unique | Forbidden | Range | Levels | NotNull | MissingWhere"
)  # fmt: skip
KEYS = ("at_most", "below", "formula", "decides", "unique", "forbid", "range", "levels", "not_null", "missing")
BESIDE = ("keep", "evidence", "tolerance")


@dataclass(frozen=True, slots=True)
class Constraints:
    """Constraints of one table, in the order of the file."""

    items: tuple[Constraint, ...]

    def __len__(self) -> int:
        return len(self.items)


def parse_constraints(text: str, schema: Schema, *, where: str = "constraints") -> Constraints:
    """The constraints of a TOML text; those with `keep = false` are left out.

    Args:
        text: `[[constraint]]` tables, each with one of the keys of docs/constraints.md.
        schema: of the table they are for.
        where: how errors call the text.

    Raises:
        UnknownName: for a key or column that is not there, with near names.
        InputError: for TOML that cannot be read, or a constraint that says nothing or too much.
    """
    try:
        told = tomllib.loads(text)
    except tomllib.TOMLDecodeError as err:
        raise InputError(f"{where} is no TOML: {err}", mend="mend that line") from err
    for name in told:
        if name != "constraint":
            raise UnknownName.among(name, ["constraint"], what=f"table in {where}")
    listed = told.get("constraint", [])
    if not isinstance(listed, list) or not all(isinstance(t, dict) for t in listed):
        raise InputError(f"{where}: constraint is no list of tables", mend="begin each with [[constraint]]")
    items = [_parse(t, schema, f"{where}, constraint {i + 1}") for i, t in enumerate(listed) if t.get("keep", True)]
    return Constraints(tuple(items))


def satisfied(table: pa.Table, constraints: Constraints, schema: Schema) -> list[Bools]:
    """For each constraint [n] which rows keep it.

    Args:
        table: rows with all columns that the constraints name.
        constraints: parsed with `schema`.
        schema: what the columns are.

    Raises:
        UnknownName: for a column that the table lacks.
    """
    plain = normalise(table).table
    for item in constraints.items:
        for name in item.columns:
            if name not in plain.column_names:
                raise UnknownName.among(name, plain.column_names, what="column")
    cells = cells_of(plain, schema)
    return [item.kept(cells, schema) for item in constraints.items]


def cells_of(plain: pa.Table, schema: Schema) -> dict[str, pa.Array]:
    """The columns of a normalised table as constraints see them: numbers and dates as such, however they are stored."""
    cells = {name: flat(plain.column(name)) for name in plain.column_names}
    ordered = [f for f in schema if f.kind in (Kind.NUMBER, Kind.DATETIME) and f.name in cells]
    return cells | {f.name: canonical(cells[f.name], f) for f in ordered}


def _parse(told: Mapping[str, Any], schema: Schema, where: str) -> Constraint:
    keys = [k for k in told if k not in BESIDE]
    for key in keys:
        if key not in KEYS:
            raise UnknownName.among(key, KEYS, what=f"key in {where}")
    if len(keys) != 1:
        raise InputError(f"{where} says {' and '.join(keys) or 'nothing'}", mend=f"give it one of {', '.join(KEYS)}")
    key, value = keys[0], told[keys[0]]
    item = _built(key, value, told.get("tolerance"), schema, f"{where}, {key}")
    for name in item.columns:
        if name not in schema:
            raise UnknownName.among(name, schema.names, what=f"column ({where})")
    if isinstance(item, AtMost):
        _orderable(item.columns, schema, where)
    return item


def _built(key: str, value: Any, tolerance: Any, schema: Schema, where: str) -> Constraint:
    if key in ("at_most", "below"):
        low, high = _names(value, where, exactly=2)
        return AtMost(low, high, key == "below")
    if key == "formula":
        target, node = parse_formula(_word(value, where))
        return Equation(_word(value, where), target, node, None if tolerance is None else _number(tolerance, where))
    if key == "unique":
        return Unique(_names(value, where))
    if key == "not_null":
        return NotNull(_names(value, where, exactly=1)[0])
    inner = _table(value, where)
    if key == "forbid":
        return Forbidden(tuple((name, _words(cell, where)) for name, cell in inner.items()))
    if key == "decides":
        _keys(inner, ("by", "column"), where)
        return Decides(_names(inner["by"], where), _word(inner["column"], where))
    if key == "missing":
        _keys(inner, ("column", "where", "is"), where)
        return MissingWhere(_word(inner["column"], where), _word(inner["where"], where), _words(inner["is"], where))
    if key == "levels":
        _keys(inner, ("column", "allowed"), where)
        return Levels(_word(inner["column"], where), tuple(w for w in _words(inner["allowed"], where) if w is not None))
    return _range(inner, schema, where)


def _range(inner: Mapping[str, Any], schema: Schema, where: str) -> Range:
    for name in inner:
        if name not in ("column", "low", "high"):
            raise UnknownName.among(name, ("column", "low", "high"), what=f"key of {where}")
    column = _word(inner.get("column"), where)
    if column in schema:
        _orderable((column,), schema, where)
    ends = [None if inner.get(end) is None else _number(inner[end], where) for end in ("low", "high")]
    if ends == [None, None]:
        raise InputError(f"{where} has no end", mend="give low, high or both")
    return Range(column, ends[0], ends[1])


def _orderable(names: Sequence[str], schema: Schema, where: str) -> None:
    kinds = {schema[name].kind for name in names}
    if not kinds <= {Kind.NUMBER, Kind.DATETIME} or len(kinds) > 1:
        said = ", ".join(f"{name} ({schema[name].kind.value})" for name in names)
        raise InputError(f"{where} compares {said}", mend="compare numbers with numbers and dates with dates")


def _keys(inner: Mapping[str, Any], wanted: tuple[str, ...], where: str) -> None:
    for name in inner:
        if name not in wanted:
            raise UnknownName.among(name, wanted, what=f"key of {where}")
    lacking = [name for name in wanted if name not in inner]
    if lacking:
        raise InputError(f"{where} lacks {', '.join(lacking)}", mend=f"give {', '.join(wanted)}")


def _table(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict) or not value:
        raise InputError(f"{where} is {value!r}", mend="write it as { column = ... }; see docs/constraints.md")
    return value


def _names(value: Any, where: str, *, exactly: int | None = None) -> tuple[str, ...]:
    listed = [value] if isinstance(value, str) else value
    if not isinstance(listed, list) or not listed or not all(isinstance(v, str) for v in listed):
        raise InputError(f"{where} is {value!r}", mend='list columns: ["a", "b"]')
    if exactly is not None and len(listed) != exactly:
        raise InputError(f"{where} names {len(listed)} columns and takes {exactly}", mend="see docs/constraints.md")
    return tuple(listed)


def _word(value: Any, where: str) -> str:
    if not isinstance(value, str) or not value:
        raise InputError(f"{where} is {value!r}", mend='give one text: "..."')
    return value


def _words(value: Any, where: str) -> Words:
    """One or several values as texts; "" is missing."""
    listed = value if isinstance(value, list) else [value]
    if not listed or not all(isinstance(v, str | int | float | bool) for v in listed):
        raise InputError(f"{where} is {value!r}", mend='give a value or a list of values; "" is a missing one')
    return tuple(_cell_word(v) for v in listed)


def _cell_word(value: Any) -> str | None:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return str(value)
    return number_text(value) if isinstance(value, float) else (value or None)


def _number(value: Any, where: str) -> float:
    """A number, or a date in seconds since 1970."""
    if isinstance(value, int | float) and not isinstance(value, bool) and np.isfinite(value):
        return float(value)
    found = parse_instant(str(value))
    if np.isnan(found):
        raise InputError(f"{where}: {value!r} is neither a number nor a date", mend="write 12.5 or 2024-01-31")
    return found


def _numbers(array: pa.Array, field: Field) -> Floats:
    cells = canonical(array, field) if field.kind in (Kind.NUMBER, Kind.DATETIME) else array
    return quantity_of(cells)


def _exact(array: pa.Array) -> bool:
    return pa.types.is_integer(array.type) or pa.types.is_timestamp(array.type)


def _whole(array: pa.Array) -> Any:
    """[n] whole numbers, and moments in their unit; 0 where missing."""
    plain = array.cast(pa.int64()) if pa.types.is_timestamp(array.type) else array
    return pc.fill_null(plain, pa.scalar(0, plain.type)).to_numpy(zero_copy_only=False)


def words_of(array: pa.Array, field: Field) -> pa.Array:
    """Cells as values of a constraint are written; a missing one is null."""
    return texts(canonical(array, Field(field.name, Kind.CATEGORY, storage=field.storage)))


def _among(array: pa.Array, field: Field, words: Words) -> Bools:
    """[n] where a cell is one of some values; None = missing. Moments are alike however they are written."""
    known, named = _known(array), [w for w in words if w is not None]
    found = pc.is_in(words_of(array, field), pa.array(named, pa.string())).to_numpy(zero_copy_only=False) & known
    if field.kind is Kind.DATETIME:
        found = found | np.isin(quantity_of(canonical(array, field)), [parse_instant(w) for w in named])
    return found | ~known if None in words else found


def _known(array: pa.Array) -> Bools:
    return array.is_valid().to_numpy(zero_copy_only=False)


def _group(arrays: Sequence[pa.Array]) -> Any:
    """[n] one number for each combination of values, missing being one of them."""
    key = np.zeros(len(arrays[0]), dtype=np.int64)
    for array in arrays:
        encoded = array.dictionary_encode()
        size = len(encoded.dictionary)
        key = key * (size + 1) + encoded.indices.fill_null(size).to_numpy(zero_copy_only=False)
        key = np.unique(key, return_inverse=True)[1]
    return key
