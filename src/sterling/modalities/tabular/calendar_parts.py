"""Dates and times as week, weekday and time of day: what people's habits hang on, and a tree cannot ask of seconds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from sterling.kernel.dataset import Dataset
from sterling.kernel.schema import Field, Kind, Role, Schema
from sterling.modalities.tabular.canonical import PER_SECOND, flat
from sterling.modalities.tabular.memory import MemorySource, plain_table

if TYPE_CHECKING:
    from sterling.kernel.view import Ints

WEEK, WEEKDAY, TIME = "week", "weekday", "time of day"
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
# Fewer weeks than this show no habits, and would stretch the range by as much again.
LEAST_WEEKS = 8
# Rows that show habits: fewer say nothing about seven weekdays.
LEAST_ROWS = 500
# The first of January 1970 was a Thursday: days since the Monday before it.
MONDAY = 3


@dataclass(frozen=True, slots=True)
class Parted:
    """One column of dates or times that is taken apart.

    Args:
        name: of the column.
        kind: its plain Arrow type.
        per_day: ticks in a day.
        timed: whether it has times of day.
        low: the first tick observed.
        high: the last.
    """

    name: str
    kind: pa.DataType
    per_day: int
    timed: bool
    low: int
    high: int

    @property
    def parts(self) -> tuple[str, ...]:
        """Names of the columns that stand for it."""
        return tuple(f"{self.name} ({p})" for p in ((WEEK, WEEKDAY, TIME) if self.timed else (WEEK, WEEKDAY)))


def parted_columns(data: Dataset, *, keep: Sequence[str] = ()) -> tuple[Parted, ...]:
    """The columns of dates and times that show habits: a weekday that is more frequent, or times of day.

    Args:
        data: the training rows.
        keep: columns that stay whole.
    """
    found: list[Parted] = []
    for field in data.schema:
        if field.kind is not Kind.DATETIME or field.name in keep or field.role in (Role.KEY, Role.ENTITY):
            continue
        cells = flat(plain_table(data, (field.name,)).column(0))
        if not (pa.types.is_date32(cells.type) or pa.types.is_timestamp(cells.type)):
            continue
        per_day = 1 if pa.types.is_date32(cells.type) else 86400 * PER_SECOND[cells.type.unit]
        ticks = _ticks(cells.drop_null())
        if ticks.size < LEAST_ROWS or int(ticks.max() - ticks.min()) < LEAST_WEEKS * 7 * per_day:
            continue
        one = Parted(field.name, cells.type, per_day, bool(np.any(ticks % per_day)), int(ticks.min()), int(ticks.max()))
        if (one.timed or _uneven(ticks // per_day)) and not set(one.parts) & set(data.schema.names):
            found.append(one)
    return tuple(found)


def _uneven(days: Ints) -> bool:
    """Whether weekdays differ in their shares by more than chance (chi-squared, six degrees, 1 in 1,000)."""
    counts = np.bincount((days + MONDAY) % 7, minlength=7)
    expected = days.size / 7
    return float(np.sum((counts - expected) ** 2) / expected) > 22.46


def part(data: Dataset, columns: Sequence[Parted]) -> Dataset:
    """The rows with parts in the place of these columns; `join` puts them together again."""
    if not columns:
        return data
    table = part_table(plain_table(data), columns)
    by_name = {one.name: one for one in columns}
    fields = [f for field in data.schema for f in _fields(field, by_name.get(field.name), table)]
    schema = Schema(tuple(fields), data.schema.modality)
    return replace(data, schema=schema, source=MemorySource(table))


def part_table(table: pa.Table, columns: Sequence[Parted]) -> pa.Table:
    """A table (of training rows, or of columns held fixed) with parts in the place of these columns."""
    for one in columns:
        if one.name in table.column_names:
            at = table.column_names.index(one.name)
            cells = _parts(flat(table.column(at)).cast(one.kind), one)
            table = table.remove_column(at)
            for i, name in enumerate(one.parts):
                table = table.add_column(at + i, name, cells[i])
    return table


def _parts(cells: pa.Array, one: Parted) -> list[pa.Array]:
    gone = cells.is_null().to_numpy(zero_copy_only=False)
    ticks = _ticks(cells.fill_null(pa.scalar(one.low).cast(_plain(one)).cast(one.kind)))
    days, time = np.divmod(ticks, one.per_day)
    weeks, weekday = np.divmod(days + MONDAY, 7)
    # Only the week says that a date is missing; the other parts are those of any row that has one.
    known = np.flatnonzero(~gone)
    if known.size:
        stand_in = known[np.arange(int(gone.sum())) * 7919 % known.size]
        weekday[gone], time[gone] = weekday[stand_in], time[stand_in]
    mondays = pa.array((weeks * 7 - MONDAY).astype(np.int32), mask=gone).cast(pa.date32())
    named = pa.DictionaryArray.from_arrays(pa.array(weekday.astype(np.int32)), pa.array(DAYS)).cast(pa.string())
    return [mondays, named, pa.array(time)][: len(one.parts)]


def _fields(field: Field, one: Parted | None, table: pa.Table) -> tuple[Field, ...]:
    if one is None:
        return (field,)
    plain = replace(field, unit=None, levels=None, low=None, high=None)
    week = replace(plain, name=one.parts[0], storage="date32[day]")
    days = tuple(d for d in DAYS if d in set(flat(table.column(one.parts[1])).unique().to_pylist()))
    role = Role.FEATURE
    weekday = Field(one.parts[1], Kind.CATEGORY, role, storage="string", levels=days, nullable=False)
    time = Field(
        one.parts[-1], Kind.NUMBER, role, storage="int64", low=0.0, high=float(one.per_day - 1), nullable=False
    )
    return (week, weekday, time)[: len(one.parts)]


def join(batch: pa.Table, columns: Sequence[Parted]) -> pa.Table:
    """Made rows with the columns put together again, where their parts stood, within the observed weeks."""
    for one in columns:
        at = batch.column_names.index(one.parts[0])
        week, weekday, *time = (flat(batch.column(name)) for name in one.parts)
        gone = week.is_null().to_numpy(zero_copy_only=False)
        monday = week.cast(pa.date32()).cast(pa.int32()).fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
        day = np.array([DAYS.index(w) if w in DAYS else 0 for w in flat(weekday).to_pylist()], dtype=np.int64)
        ticks = (monday + day) * one.per_day
        if time:
            ticks = ticks + time[0].cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False)
        # The first and the last week are seldom whole: the same weekday of the week next to them is.
        ticks = np.where(ticks < one.low, ticks + 7 * one.per_day, ticks)
        ticks = np.where(ticks > one.high, ticks - 7 * one.per_day, ticks)
        cells = pa.array(ticks, mask=gone).cast(_plain(one)).cast(one.kind)
        batch = batch.drop_columns(list(one.parts)).add_column(at, one.name, cells)
    return batch


def _plain(one: Parted) -> pa.DataType:
    return pa.int32() if pa.types.is_date32(one.kind) else pa.int64()


def _ticks(cells: pa.Array) -> Ints:
    plain = cells.cast(pa.int32()) if pa.types.is_date32(cells.type) else cells
    return plain.cast(pa.int64()).to_numpy(zero_copy_only=False).copy()
