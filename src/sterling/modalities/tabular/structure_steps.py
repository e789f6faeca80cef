"""How single columns are rebuilt from others, and told apart from rows that do not keep the relation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sterling.modalities.tabular.canonical import flat, int64, with_nulls
from sterling.modalities.tabular.structure_cells import (
    Value,
    keyed,
    masked_cells,
    part_of,
    places_of,
    plain_cells,
    quantity_cells,
    quantity_of,
)
from sterling.stats.formulas import Formula, computed, on_grid

if TYPE_CHECKING:
    from sterling.kernel.view import Bools, Floats

    Json: TypeAlias = Any
    Cells: TypeAlias = Mapping[str, pa.Array]

# How far numbers are off that went through sums of float64, and of float32, relative to the largest of them.
EXACTLY, ROUGHLY = 1e-12, 1e-6
Own: TypeAlias = Literal["none", "missing", "elsewhere", "rest"]


@dataclass(frozen=True, slots=True)
class Relation:
    """One relation in words.

    Args:
        kind: "constant", "part", "formula", "decided", "at_most" or "missing".
        columns: the one that follows, then those it follows from; for "at_most" the smaller, then the larger.
        text: in plain words.
        expected: rows that luck would have broken it in; infinite for a constant.
        how: "built" into every made row, or only "checked" by `broken`.
    """

    kind: str
    columns: tuple[str, ...]
    text: str
    expected: float
    how: Literal["built", "checked"] = "built"

    def as_json(self) -> dict[str, Json]:
        """As JSON."""
        expected = self.expected if np.isfinite(self.expected) else None
        return asdict(self) | {"columns": list(self.columns), "expected": expected}

    @classmethod
    def from_json(cls, told: Mapping[str, Json]) -> Relation:
        """What `as_json` wrote."""
        expected = float("inf") if told["expected"] is None else float(told["expected"])
        return cls(told["kind"], tuple(told["columns"]), told["text"], expected, told["how"])


@dataclass(frozen=True, slots=True)
class Constant:
    """A column of one value.

    Args:
        column: its name.
        value: the value; dates as their count since 1970; None = all missing.
    """

    column: str
    value: Value

    @property
    def parents(self) -> tuple[str, ...]:
        """None."""
        return ()

    def made(self, cells: Cells, kind: pa.DataType, n: int) -> pa.Array:
        """The column's cells."""
        return plain_cells([self.value], kind).take(pa.array(np.zeros(n, dtype=np.int64)))

    def broken(self, cells: Cells) -> Bools:
        """[n] rows of another value."""
        array = cells[self.column]
        return _differ(array, self.made(cells, array.type, len(array)))


@dataclass(frozen=True, slots=True)
class Decided:
    """A column that another decides, by a table.

    Args:
        column: the decided one.
        by: the deciding one.
        keys: the deciding column's values, ascending where they are numbers; None = missing.
        values: the decided column's value for each key; dates as their count since 1970.
        usual: the commonest value, for keys that are not known: those that were merged or never seen. Unknown numbers
            take the value of the nearest known one.
    """

    column: str
    by: str
    keys: tuple[Value, ...]
    values: tuple[Value, ...]
    usual: Value

    @property
    def parents(self) -> tuple[str, ...]:
        """The deciding column."""
        return (self.by,)

    def made(self, cells: Cells, kind: pa.DataType, n: int) -> pa.Array:
        """The column's cells."""
        places = places_of(cells[self.by], self.keys)
        return plain_cells([*self.values, self.usual], kind).take(pa.array(places))

    def broken(self, cells: Cells) -> Bools:
        """[n] rows of known keys with another value."""
        array = cells[self.column]
        return _differ(array, self.made(cells, array.type, len(array))) & keyed(cells[self.by], self.keys)

    def common(self, cells: Cells, k: int) -> Decided:
        """The same with only those keys that at least k rows have."""
        counts = np.bincount(places_of(cells[self.by], self.keys), minlength=len(self.keys) + 1)
        kept = [i for i in range(len(self.keys)) if counts[i] >= k]
        return replace(self, keys=tuple(self.keys[i] for i in kept), values=tuple(self.values[i] for i in kept))


@dataclass(frozen=True, slots=True)
class DecidedTogether:
    """A column that several others decide together, by a table.

    Args:
        column: the decided one.
        by: the deciding ones, that with the most values first.
        levels: per deciding column its values, as `Decided.keys`.
        places: which combinations are known, as one ascending number each.
        values: the decided column's value for each; an unknown combination takes the value of the nearest one, which
            has the same value of the first column where that is possible.
    """

    column: str
    by: tuple[str, ...]
    levels: tuple[tuple[Value, ...], ...]
    places: tuple[int, ...]
    values: tuple[Value, ...]

    @property
    def parents(self) -> tuple[str, ...]:
        """The deciding columns."""
        return self.by

    def made(self, cells: Cells, kind: pa.DataType, n: int) -> pa.Array:
        """The column's cells."""
        known, key = np.array(self.places), self._key(cells)
        right = np.clip(np.searchsorted(known, key), 0, known.size - 1)
        left = np.maximum(right - 1, 0)
        nearest = np.where(np.abs(known[left] - key) < np.abs(known[right] - key), left, right)
        return plain_cells(list(self.values), kind).take(pa.array(nearest))

    def broken(self, cells: Cells) -> Bools:
        """[n] rows of known combinations with another value."""
        array = cells[self.column]
        known = np.isin(self._key(cells), self.places)
        for name, levels in zip(self.by, self.levels, strict=True):
            known &= keyed(cells[name], levels)
        return _differ(array, self.made(cells, array.type, len(array))) & known

    def common(self, cells: Cells, k: int) -> DecidedTogether:
        """The same with only those combinations that at least k rows have; all of them if there is none."""
        found, counts = np.unique(self._key(cells), return_counts=True)
        often = set(found[counts >= k].tolist())
        kept = [i for i, place in enumerate(self.places) if place in often] or list(range(len(self.places)))
        return replace(self, places=tuple(self.places[i] for i in kept), values=tuple(self.values[i] for i in kept))

    def _key(self, cells: Cells) -> Any:
        key = np.zeros(1, dtype=np.int64)
        for name, levels in zip(self.by, self.levels, strict=True):
            key = key * (len(levels) + 1) + places_of(cells[name], levels)
        return key


@dataclass(frozen=True, slots=True)
class Part:
    """A column that is a part of a date, or of a time of day written as 917.

    Args:
        column: its name.
        of: the date or time.
        part: which part.
        shift: what is added to it: weekdays may count from 0 or 1.
        own: "none", or "missing" where it may be missing though the date is not.
    """

    column: str
    of: str
    part: str
    shift: int = 0
    own: Own = "none"

    @property
    def parents(self) -> tuple[str, ...]:
        """The date."""
        return (self.of,)

    def made(self, cells: Cells, kind: pa.DataType, n: int) -> pa.Array:
        """The column's cells."""
        values = part_of(cells[self.of], self.part) + self.shift
        return _own(self, cells, quantity_cells(values, kind))

    def broken(self, cells: Cells) -> Bools:
        """[n] rows with another value."""
        array = cells[self.column]
        return _differ(
            array, _own(self, cells, quantity_cells(part_of(cells[self.of], self.part) + self.shift, array.type))
        )


@dataclass(frozen=True, slots=True)
class Computed:
    """A column that follows from others by a formula.

    Args:
        column: its name.
        sources: the columns it follows from.
        formula: in positions 1, 2 ... of `sources`.
        decimals: of the grid on which the formula's result is taken; None = as it is.
        grid: of the column's own grid; None = continuous.
        slack: how far it may be off, relative to the largest number concerned, where it has no grid.
        own: what is left for a generator to say: "none"; "missing": whether it is missing; "elsewhere": its value
            where another column is missing; "rest": how far it is off, mostly 0.
    """

    column: str
    sources: tuple[str, ...]
    formula: Formula
    decimals: int | None
    grid: int | None = None
    slack: float = EXACTLY
    own: Own = "none"

    @property
    def parents(self) -> tuple[str, ...]:
        """The columns it follows from."""
        return self.sources

    def values(self, cells: Cells) -> Floats:
        """[n] the column's numbers."""
        return computed(self.formula, [quantity_of(cells[s]) for s in self.sources], decimals=self.decimals)

    def free_part(self, full: pa.Table) -> pa.Array:
        """What is free in the column, of a full table."""
        cells = {name: flat(full.column(name)) for name in (self.column, *self.sources)}
        array, made = cells[self.column], self.values(cells)
        told = quantity_of(array)
        if self.own == "elsewhere":
            return masked_cells(array, ~np.isnan(made))
        rest = np.where(self._same(told, made, cells, array), 0.0, told - made)
        rest = np.where(np.isnan(told), np.nan, on_grid(rest, self.grid))
        return int64(rest) if self.grid == 0 else with_nulls(rest)

    def made(self, cells: Cells, kind: pa.DataType, n: int) -> pa.Array:
        """The column's cells."""
        made = self.values(cells)
        if self.own == "elsewhere":
            return quantity_cells(np.where(np.isnan(made), quantity_of(cells[self.column]), made), kind)
        if self.own == "rest":
            rest = quantity_of(cells[self.column])
            made = on_grid(np.where(rest == 0, made, made + rest), self.grid)
        return _own(self, cells, quantity_cells(made, kind))

    def broken(self, cells: Cells) -> Bools:
        """[n] rows with another value, beyond the rounding of floats; none where some are off in the real rows too."""
        made, array = self.values(cells), cells[self.column]
        told = quantity_of(array)
        if self.own == "rest":
            return np.zeros(told.size, dtype=bool)
        excused = np.isnan(told) & (self.own == "missing") | np.isnan(made) & (self.own == "elsewhere")
        return ~(excused | self._same(told, made, cells, array))

    def _same(self, told: Floats, made: Floats, cells: Cells, array: pa.Array) -> Bools:
        slack = max(self.slack, ROUGHLY if pa.types.is_float32(array.type) else 0.0)
        scale = np.abs(told)
        for name in self.sources:
            scale = np.fmax(scale, np.abs(quantity_of(cells[name])))
        with np.errstate(invalid="ignore"):
            return (np.isnan(told) & np.isnan(made)) | (np.abs(told - made) <= slack * scale)


@dataclass(frozen=True, slots=True)
class Within:
    """A column that others bound.

    Args:
        column: its name.
        lows: columns it is never below.
        highs: columns it is never above.
        low: the smallest value that was seen.
        high: the largest.
        decimals: of its grid; None = continuous.
        mode: "excess": the generator learns how far it lies above the highest of `lows`; "share": where it lies
            between the bounds, 0 to 1; "clip": the column itself, moved to a bound where it lies beyond.
    """

    column: str
    lows: tuple[str, ...]
    highs: tuple[str, ...]
    low: float
    high: float
    decimals: int | None
    mode: Literal["excess", "share", "clip"]

    @property
    def parents(self) -> tuple[str, ...]:
        """The columns that bound it."""
        return (*self.lows, *self.highs)

    def bounds(self, cells: Cells) -> tuple[Floats, Floats]:
        """[n] the least and the most it may be; what was seen where no bound is known."""
        n = len(next(iter(cells.values())))
        least, most = np.full(n, np.nan), np.full(n, np.nan)
        for name in self.lows:
            least = np.fmax(least, quantity_of(cells[name]))
        for name in self.highs:
            most = np.fmin(most, quantity_of(cells[name]))
        return np.where(np.isnan(least), self.low, least), np.where(np.isnan(most), self.high, most)

    def free_part(self, full: pa.Table) -> pa.Array:
        """What is free in the column, of a full table."""
        cells = {name: flat(full.column(name)) for name in (self.column, *self.parents)}
        values, (least, most) = quantity_of(cells[self.column]), self.bounds(cells)
        if self.mode == "excess":
            rest = on_grid(values - least, self.decimals)
            return int64(rest) if self.decimals == 0 else with_nulls(rest)
        room = most - least
        return with_nulls(np.where(room > 0, (values - least) / np.where(room > 0, room, 1.0), values * 0.0))

    def made(self, cells: Cells, kind: pa.DataType, n: int) -> pa.Array:
        """The column's cells."""
        told, (least, most) = quantity_of(cells[self.column]), self.bounds(cells)
        if self.mode == "excess":
            told = least + np.maximum(told, 0.0)
        elif self.mode == "share":
            told = least + np.clip(told, 0.0, 1.0) * (most - least)
        told = on_grid(told, self.decimals, single=pa.types.is_float32(kind))
        return quantity_cells(np.maximum(np.minimum(told, np.fmin(most, self.high)), least), kind)

    def broken(self, cells: Cells) -> Bools:
        """[n] rows beyond a bound; of a reduced table, only where the column is as it was."""
        told = quantity_of(cells[self.column])
        with np.errstate(invalid="ignore"):
            below = [told < quantity_of(cells[name]) for name in self.lows]
            above = [told > quantity_of(cells[name]) for name in self.highs]
        return np.any([*below, *above], axis=0)


@dataclass(frozen=True, slots=True)
class MissingWith:
    """A column that is missing exactly where another column says so.

    Args:
        column: its name.
        by: the column that says so.
        keys: the values of `by`; None = it is missing, which is the only key where nothing else matters.
        missing: for each key, whether the column is missing.
    """

    column: str
    by: str
    keys: tuple[Value, ...]
    missing: tuple[bool, ...]

    @property
    def parents(self) -> tuple[str, ...]:
        """The column that says so."""
        return (self.by,)

    def gone(self, cells: Cells) -> Bools:
        """[n] where the column is missing."""
        if self.keys == (None,):
            missing = cells[self.by].is_null().to_numpy(zero_copy_only=False)
            return missing if self.missing[0] else ~missing
        usual = sum(self.missing) * 2 > len(self.missing)
        return np.array([*self.missing, usual])[places_of(cells[self.by], self.keys)]

    def broken(self, cells: Cells) -> Bools:
        """[n] rows where it is missing and should not be, or the other way round."""
        return cells[self.column].is_null().to_numpy(zero_copy_only=False) != self.gone(cells)


Step: TypeAlias = "Constant | Decided | DecidedTogether | Part | Computed | Within | MissingWith"
KINDS: dict[str, type[Any]] = {
    c.__name__: c for c in (Constant, Decided, DecidedTogether, Part, Computed, Within, MissingWith)
}


def step_json(step: Step) -> dict[str, Json]:
    """A step as JSON."""
    return {"step": type(step).__name__} | asdict(step)


def step_from_json(told: Mapping[str, Json]) -> Step:
    """What `step_json` wrote."""
    fields = {k: _tuples(v) for k, v in told.items() if k != "step"}
    if "formula" in fields:
        fields["formula"] = Formula(**{k: _tuples(v) for k, v in fields["formula"].items()})
    return KINDS[told["step"]](**fields)


def _tuples(value: Any) -> Any:
    return tuple(_tuples(v) for v in value) if isinstance(value, list) else value


def _own(step: Part | Computed, cells: Cells, made: pa.Array) -> pa.Array:
    if step.own == "none":
        return made
    return masked_cells(made, cells[step.column].is_null().to_numpy(zero_copy_only=False))


def _differ(array: pa.Array, made: pa.Array) -> Bools:
    if made.type != array.type:
        made = made.cast(array.type, safe=False)
    same = pc.equal(array, made).fill_null(pa.scalar(value=False))
    both = pc.and_(array.is_null(), made.is_null())
    return ~pc.or_(same, both).to_numpy(zero_copy_only=False)
