"""A table of events taken apart: whose each event is, when it was, and what stays the same."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sterling.kernel.dataset import Dataset
from sterling.kernel.errors import InputError
from sterling.kernel.schema import Field, Kind, Role, Schema
from sterling.modalities.tabular.anatomy import Anatomy, take_apart
from sterling.modalities.tabular.canonical import canonical, flat, floats, seconds, timestamps
from sterling.modalities.tabular.identifiers import Identifier, identifier_of, makes_identifiers
from sterling.modalities.tabular.infer import PROVENANCE
from sterling.modalities.tabular.memory import MemorySource, plain_table
from sterling.modalities.tabular.outcomes import Outcome, cells_of
from sterling.stats.event_features import Clock, clock_of

if TYPE_CHECKING:
    from sterling.kernel.view import Bools, Floats, Ints
    from sterling.modalities.tabular.outcomes import Ids

WRITTEN = re.compile(r"\d{4}-\d{2}-\d{2}(([T ])\d{2}:\d{2}(:\d{2})?(Z?))?")


@dataclass(frozen=True, slots=True, eq=False)
class EventTable:
    """What a table of events is made of.

    Args:
        schema: the fields that are made, in file order.
        anatomy: of all columns but entity and time; None where there are no others.
        entity: how entities are named; None where the whole table is one sequence.
        time: the column that says when; None where the order of the rows says it.
        written: how times are written that are stored as text, for `strftime`.
        clock: how times are counted.
        same: outcomes that do not change within an entity.
        varying: the other outcomes, the target last.
    """

    schema: Schema
    anatomy: Anatomy | None
    entity: Identifier | None
    time: Field | None
    written: str
    clock: Clock
    same: tuple[int, ...]
    varying: tuple[int, ...]

    @property
    def outcomes(self) -> tuple[Outcome, ...]:
        """The columns that are modelled, without entity and time."""
        return self.anatomy.outcomes if self.anatomy else ()

    @property
    def keys(self) -> tuple[Identifier, ...]:
        """The columns in which each event has an identifier of its own."""
        return self.anatomy.identifiers if self.anatomy else ()


@dataclass(frozen=True, slots=True, eq=False)
class EventRows:
    """The rows of a table of events, entity after entity, each entity's in order.

    Args:
        ids: [outcomes, n] int32 which value each cell is; -1 = missing.
        starts: [e + 1] where each entity's rows begin.
        ticks: [n] when; where the time is missing, that of the event before.
        untimed: [n] where it is missing.
        nameless: [e] entities of one row that names none.
    """

    ids: Ids
    starts: Ints
    ticks: Ints
    untimed: Bools
    nameless: Bools


def records_of(data: Dataset) -> Dataset:
    """The rows without the columns in which Sterling notes where a row comes from."""
    names = tuple(f.name for f in data.schema if not f.name.startswith(PROVENANCE))
    if len(names) == len(data.schema):
        return data
    return replace(data, schema=data.schema.select(names), source=MemorySource(data.table(names)))


def take_events_apart(data: Dataset) -> tuple[EventTable, EventRows]:
    """What a table of events is made of, and its rows in order of entity and time.

    Rows of equal time stay in file order, and so do rows without a time, behind those before them. A row
    without an entity is an entity of one event.

    Args:
        data: rows with an ENTITY column, a TIME column, or both.

    Raises:
        InputError: if there are no rows, or the time is neither number nor date.
    """
    fields = tuple(f for f in data.schema if not f.name.startswith(PROVENANCE))
    if data.rows == 0:
        raise InputError(f"{data.name} has no rows: nothing to learn from", mend="give a table of events")
    who = next((f for f in fields if f.role is Role.ENTITY), None)
    when = next((f for f in fields if f.role is Role.TIME), None)
    rest = tuple(f for f in fields if f not in (who, when))
    anatomy, ids = (
        take_apart(replace(data, schema=Schema(rest, data.schema.modality)))
        if rest
        else (None, np.zeros((0, data.rows), np.int32))
    )
    entities, alone = _entities(data, who)
    times, written = _times(data, when)
    kind = "number" if when is not None and when.kind is Kind.NUMBER else "datetime"
    clock, ticks = clock_of(times, kind=kind, shared="no" if who is None else "yes")
    untimed = ~np.isfinite(times)
    order, starts, ticks = _ordered(entities, ticks, untimed)
    table = EventTable(
        Schema(fields, data.schema.modality), anatomy, None if who is None else _named(data, who),
        when, written, clock, (), (),
    )  # fmt: skip
    rows = EventRows(
        ids[:, order],
        starts,
        ticks,
        untimed[order] if when is not None else np.zeros(order.size, bool),
        alone[order[starts[:-1]]],
    )
    same = tuple(j for j, o in enumerate(table.outcomes) if _is_same(data, o, rows.ids[j], order, starts))
    varying = [j for j in range(len(table.outcomes)) if j not in same]
    varying.sort(key=lambda j: table.outcomes[j].field.role is Role.TARGET)
    return replace(table, same=same, varying=tuple(varying)), rows


def time_cells(table: EventTable, ticks: Ints, untimed: Bools) -> pa.Array:
    """The cells of the time column."""
    times = table.clock.times(ticks)
    if table.time is None or table.time.kind is Kind.NUMBER:
        return pa.array(np.round(times, 9), mask=untimed)
    cells = timestamps(np.where(untimed, np.nan, times), "us")
    return pc.strftime(cells.cast(pa.timestamp("s")), table.written) if table.written else cells


def steady_cells(outcome: Outcome, ids: Ids, fresh: Bools, *, smoothing: float, rng: np.random.Generator) -> pa.Array:
    """Made cells of a column; a value that stays the same from event to event stays exactly the same.

    Args:
        outcome: of the column.
        ids: [n] which value each cell is.
        fresh: [n] where a sequence begins.
        smoothing: as in `cells_of`.
        rng: the stream of this task.
    """
    if outcome.chain is not None:
        return cells_of(outcome, ids, smoothing=smoothing, rng=rng)
    changed = fresh | np.append(True, ids[1:] != ids[:-1])[: ids.size]
    cells = cells_of(outcome, ids[changed], smoothing=smoothing, rng=rng)
    return cells.take(pa.array(np.cumsum(changed) - 1))


def _entities(data: Dataset, who: Field | None) -> tuple[Ints, Bools]:
    """[n] which entity each row is of, in order of first appearance, and where it names none."""
    if who is None:
        return np.zeros(data.rows, dtype=np.int64), np.zeros(data.rows, dtype=bool)
    array = flat(plain_table(data, (who.name,)).column(0))
    codes = array.dictionary_encode().indices
    found = codes.fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
    alone = array.is_null().to_numpy(zero_copy_only=False)
    found[alone] = int(found.max(initial=0)) + 1 + np.arange(int(alone.sum()))
    return found, alone


def _named(data: Dataset, who: Field) -> Identifier:
    """How entities are named; whole numbers that pandas made floats of, because some were missing, count on."""
    array = flat(plain_table(data, (who.name,)).column(0))
    if array.null_count == len(array):
        array = pa.array(["1"])
    elif pa.types.is_floating(array.type):
        known = floats(array.drop_null())
        whole = np.all(np.isfinite(known)) and np.all(known == np.floor(known)) and np.abs(known).max() < 2**53
        array = pa.array(known.astype(np.int64)) if whole else array.cast(pa.string())
    if not makes_identifiers(who, array):
        array = array.cast(pa.string())
    return replace(identifier_of(who, array), sizes=None)


def _times(data: Dataset, when: Field | None) -> tuple[Floats, str]:
    """[n] times as numbers or as seconds since 1970, missing = NaN; and how text writes them."""
    if when is None:
        return np.full(data.rows, np.nan), ""
    if when.kind not in (Kind.NUMBER, Kind.DATETIME):
        raise InputError(
            f"the time column {when.name!r} holds {when.kind.value}: times are numbers or dates",
            mend="name a column of numbers (years) or dates (2024-05-31, 2024-05-31T14:00), --time COLUMN",
        )
    array = flat(plain_table(data, (when.name,)).column(0))
    values = canonical(array, when)
    if when.kind is Kind.NUMBER:
        return floats(values), ""
    return seconds(values), _written(array) if pa.types.is_string(array.type) else ""


def _written(array: pa.Array) -> str:
    first = array.drop_null()
    found = WRITTEN.fullmatch(first[0].as_py().strip()) if len(first) else None
    if found is None or not found[1]:
        return "%Y-%m-%d" if found else "%Y-%m-%dT%H:%M:%S"
    return f"%Y-%m-%d{found[2]}%H:%M{':%S' if found[3] else ''}{found[4]}"


def _ordered(entities: Ints, ticks: Ints, untimed: Bools) -> tuple[Ints, Ints, Ints]:
    """Rows by entity and time, where entities begin, and [n] ticks in that order, filled forward."""
    by_entity = np.argsort(entities, kind="stable")
    own = entities[by_entity]
    starts = np.append(np.flatnonzero(np.append(True, own[1:] != own[:-1])), own.size)
    known = ~untimed[by_entity]
    place = np.where(known, np.arange(own.size), -1)
    last = np.maximum.accumulate(place)
    first = np.repeat(starts[:-1], np.diff(starts))
    filled = np.where(last >= first, ticks[by_entity][np.maximum(last, 0)], np.iinfo(np.int64).min)
    # Without a time before it, a row comes at its entity's earliest time; without any, at the median of all.
    earliest = np.minimum.reduceat(np.where(known, ticks[by_entity], np.iinfo(np.int64).max), starts[:-1])
    middle = int(np.median(ticks[~untimed])) if not untimed.all() else 0
    earliest = np.where(earliest == np.iinfo(np.int64).max, middle, earliest)
    filled = np.maximum(filled, np.repeat(earliest, np.diff(starts)))
    within = np.lexsort((filled, own))
    return by_entity[within], starts, filled[within]


def _is_same(data: Dataset, outcome: Outcome, ids: Ids, order: Ints, starts: Ints) -> bool:
    """Whether a column does not change within any entity; where no entity has two events none is the same."""
    if starts.size - 1 == ids.size:
        return False
    if outcome.chain is not None:
        array = flat(plain_table(data, (outcome.field.name,)).column(0))
        codes = array.dictionary_encode().indices.fill_null(-1)
        ids = codes.to_numpy(zero_copy_only=False)[order].astype(np.int32)
    changed = np.append(False, ids[1:] != ids[:-1])
    changed[starts[:-1]] = False
    return not changed.any()
