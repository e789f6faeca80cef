"""What a child's column owes its parent's: copied from it, or never before (or after) it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sterling.kernel.schema import Field, Kind, Schema
from sterling.modalities.tabular.canonical import canonical, flat, seconds, timestamps
from sterling.modalities.tabular.relational.match import alike
from sterling.modalities.tabular.relational.part import Part
from sterling.modalities.tabular.storage import normalise, to_storage

if TYPE_CHECKING:
    from sterling.kernel.view import Floats, Ints

How = Literal["equal", "after", "before"]
# Fewer rows than this show no law; so many are looked at before all are.
LEAST_ROWS, FEW = 20, 512
DAY = 86400.0
# How dates that are stored as text are written.
FORMATS = ("%Y-%m-%d", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d %H:%M")


@dataclass(frozen=True, slots=True, eq=False)
class Ancestor:
    """A table above a table.

    Args:
        path: the keys that lead to it.
        part: its columns.
        at: [n] its row for each row of the table below, negative for none.
    """

    path: tuple[str, ...]
    part: Part
    at: Ints


@dataclass(frozen=True, slots=True)
class Tie:
    """A column that an ancestor's column binds in every row.

    Args:
        field: the child's column.
        path: to the ancestor.
        other: its column.
        how: equal; never before it ("after"); never after it ("before").
        needed: whether the column is drawn by itself too, for rows that have no such ancestor.
        form: how the date is written, where it is stored as text.
    """

    field: Field
    path: tuple[str, ...]
    other: str
    how: How
    needed: bool
    form: str | None = None

    @property
    def gap(self) -> str:
        """Name of the column that is drawn instead: how long after (or before)."""
        return f"⟨{self.field.name} {self.how} {' '.join(self.path)} {self.other}⟩"


def learn_ties(part: Part, ancestors: Sequence[Ancestor]) -> tuple[Tie, ...]:
    """The laws between a table and those above it that hold in all rows, at most one a column; copies first."""
    found: list[Tie] = []
    for field in part.fields:
        array = flat(part.table.column(field.name))
        if array.null_count > len(array) - LEAST_ROWS or pc.count_distinct(array).as_py() < 2:
            continue
        tie = _copied(field, array, ancestors) or _ordered(field, array, ancestors)
        if tie is not None:
            found.append(tie)
    return tuple(found)


def untied(part: Part, ties: Sequence[Tie], ancestors: Sequence[Ancestor]) -> Part:
    """The columns that are still to be drawn: gaps instead of dates, and no copies."""
    bound = {tie.field.name for tie in ties if not tie.needed}
    free = part.select(name for name in part.names if name not in bound)
    for tie in ties:
        if tie.how != "equal":
            array = flat(part.table.column(tie.field.name))
            gaps = _gaps(array, tie.field, _others(tie, ancestors), tie.how)
            free = free.plus(tie.gap, pa.array(gaps, mask=np.isnan(gaps)), Kind.NUMBER)
    return free


def tied(drawn: Part, ties: Sequence[Tie], ancestors: Sequence[Ancestor]) -> Part:
    """The columns of the table again, from what was drawn and from its ancestors."""
    gaps = {tie.gap for tie in ties if tie.how != "equal"}
    whole = drawn.select(name for name in drawn.names if name not in gaps)
    for tie in ties:
        other, field = _others(tie, ancestors)
        if tie.how == "equal":
            bound = other
        else:
            sign = 1.0 if tie.how == "after" else -1.0
            gap = np.maximum(flat(drawn.table.column(tie.gap)).to_numpy(zero_copy_only=False), 0.0)
            bound = _moments(seconds(canonical(other, field)) + sign * gap, tie)
        whole = _set(whole, tie, bound, at=_at(tie, ancestors))
    return whole


def in_order(array: pa.Array, field: Field, other: pa.Array, other_field: Field, how: How) -> tuple[int, int]:
    """How many rows break the order of two dates, and in how many both are known."""
    gaps = _gaps(array, field, (other, other_field), how)
    known = ~np.isnan(gaps)
    return int(np.sum(gaps[known] < 0)), int(known.sum())


def _copied(field: Field, array: pa.Array, ancestors: Sequence[Ancestor]) -> Tie | None:
    for one in ancestors:
        has = np.flatnonzero(one.at >= 0)
        if has.size < LEAST_ROWS:
            continue
        for other in one.part.fields:
            if other.kind is not field.kind:
                continue
            theirs = flat(one.part.table.column(other.name))
            few = has[:: max(1, has.size // FEW)]
            if all(_equal(array, theirs, rows, one.at[rows]) for rows in (few, has)):
                return Tie(field, one.path, other.name, "equal", bool(has.size < len(array)))
    return None


def _equal(array: pa.Array, theirs: pa.Array, rows: Ints, at: Ints) -> bool:
    here, there = alike(array.take(pa.array(rows)), theirs.take(pa.array(at)))
    if pc.count_distinct(here).as_py() < 2:
        return False
    if not here.is_null().equals(there.is_null()):
        return False
    return bool(pc.all(pc.equal(here, there)).as_py())  # missing on both sides is left out


def _ordered(field: Field, array: pa.Array, ancestors: Sequence[Ancestor]) -> Tie | None:
    """The tightest order that holds between a date and an ancestor's."""
    form = _form(array)
    if field.kind is not Kind.DATETIME or (pa.types.is_string(array.type) and form is None):
        return None
    best: tuple[float, Tie] | None = None
    for one in ancestors:
        for other in one.part.fields:
            if other.kind is not Kind.DATETIME:
                continue
            theirs = one.part.take(one.at).table.column(other.name)
            gaps = _gaps(array, field, (flat(theirs), other), "after")
            known = gaps[~np.isnan(gaps)]
            if known.size < LEAST_ROWS or np.all(known == 0):
                continue
            how: How | None = "after" if known.min() >= 0 else "before" if known.max() <= 0 else None
            width = float(np.median(np.abs(known)))
            if how is not None and (best is None or width < best[0]):
                needed = bool(known.size < len(array) - array.null_count)
                best = (width, Tie(field, one.path, other.name, how, needed, form))
    return None if best is None else best[1]


def _gaps(array: pa.Array, field: Field, other: tuple[pa.Array, Field], how: How) -> Floats:
    """[n] seconds from the earlier to the later; NaN where either is missing."""
    apart = seconds(canonical(array, field)) - seconds(canonical(*other))
    return apart if how == "after" else -apart


def _others(tie: Tie, ancestors: Sequence[Ancestor]) -> tuple[pa.Array, Field]:
    one = next(a for a in ancestors if a.path == tie.path)
    field = next(f for f in one.part.fields if f.name == tie.other)
    return flat(one.part.select([tie.other]).take(one.at).table.column(0)), field


def _at(tie: Tie, ancestors: Sequence[Ancestor]) -> Ints:
    return next(a.at for a in ancestors if a.path == tie.path)


def _form(array: pa.Array) -> str | None:
    """How the dates of a text column are written, where all are written alike."""
    if not pa.types.is_string(array.type):
        return None
    some = array.drop_null().slice(0, FEW)
    moments = timestamps(seconds(some), "s")
    return next((form for form in FORMATS if pc.all(pc.equal(pc.strftime(moments, form), some)).as_py()), None)


def _moments(values: Floats, tie: Tie) -> pa.Array:
    kind = pa.type_for_alias("string") if tie.form else None
    moments = timestamps(values, "us")
    return pc.strftime(moments.cast(pa.timestamp("s"), safe=False), tie.form) if kind is not None else moments


def _set(part: Part, tie: Tie, bound: pa.Array, *, at: Ints) -> Part:
    """The column bound where there is an ancestor, and as drawn where there is none."""
    # In the column's own type: a date that was worked out from seconds is a date again.
    bound = flat(normalise(to_storage(pa.table({tie.field.name: bound}), Schema((tie.field,)))).table.column(0))
    if not tie.needed:
        return part.plus(tie.field.name, bound, tie.field.kind) if tie.field.name not in part.names else part
    drawn = flat(part.table.column(tie.field.name))
    chosen = pc.if_else(pa.array(at >= 0) if tie.how == "equal" else bound.is_valid(), bound.cast(drawn.type), drawn)
    place = part.table.column_names.index(tie.field.name)
    return Part(part.rows, part.table.set_column(place, tie.field.name, chosen), part.fields)
