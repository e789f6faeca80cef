"""A database made anew, table by table, parents first; every key names a row that is there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sterling.kernel.protocols import OnEvent
from sterling.kernel.schema import Kind
from sterling.kernel.seeds import stream
from sterling.modalities.tabular.canonical import canonical, flat, floats, seconds
from sterling.modalities.tabular.identifiers import identifiers
from sterling.modalities.tabular.relational.families import Families, blocks, earlier_rows, echoed, summary
from sterling.modalities.tabular.relational.keys import ForeignKey
from sterling.modalities.tabular.relational.learned import (
    ABOVE,
    HOW_MANY,
    FittedDatabase,
    FittedTable,
    Hanging,
    Link,
    first_given,
    fit_database,
    note_count,
    second_given,
    with_kinds,
)
from sterling.modalities.tabular.relational.match import alike, joint_codes, positions, repeated
from sterling.modalities.tabular.relational.part import Conditional, Part, below, beside, draw
from sterling.modalities.tabular.relational.partners import kinds_of, pair_up, without_repeats
from sterling.modalities.tabular.relational.plan import Placed, Plan, ancestors, placed, whole
from sterling.modalities.tabular.relational.ties import tied
from sterling.modalities.tabular.storage import to_storage

if TYPE_CHECKING:
    from sterling.kernel.view import Bools, Floats, Ints

__all__ = ["FittedDatabase", "fit_database", "sample_database"]


@dataclass(frozen=True, slots=True, eq=False)
class _Draft:
    """A table in the making: its families, its keys so far, and the columns that they fill."""

    families: Families
    at: dict[str, Ints]
    filled: Part


def sample_database(
    fitted: FittedDatabase, *, scale: float, seed: int, on_event: OnEvent
) -> tuple[dict[str, pa.Table], tuple[str, ...]]:
    """Make all tables.

    Args:
        fitted: what `fit_database` learned.
        scale: rows of tables without a parent, in parts of the real ones; the others follow. Kept tables stay.
        seed: each table has a stream of its own.
        on_event: hears which table is made.

    Returns:
        The tables in storage types, in the order of the relations, and notes on rows that had to be left out.
    """
    above: dict[str, Placed] = {}
    notes: list[str] = []
    for table in fitted.tables:
        name = table.plan.spec.name
        on_event("step", {"text": f"making {name}"})
        rng = stream(seed, "relational", name, "sample")
        above[name], told = _make(table, above, scale=scale, rng=rng)
        notes += [f"{name}: {note}" for note in told]
    made = {name: to_storage(one.part.table, one.plan.schema) for name, one in above.items()}
    return {name: made[name] for name in fitted.relations.names}, tuple(notes)


def _make(
    known: FittedTable, above: dict[str, Placed], *, scale: float, rng: np.random.Generator
) -> tuple[Placed, list[str]]:
    plan = known.plan
    if known.kept is not None:
        at = {k.name: np.zeros(0, dtype=np.int64) for k in plan.up}
        return placed(plan, whole(plan, known.kept), at, above, known.features), []
    draft = _start(known, above, scale=scale, rng=rng)
    first = first_given(plan, draft.families, above, draft.at)
    drawn = _draw_rows(known.keys, first, draft.families, plan, rng=rng)
    draft = replace(draft, filled=beside([draft.filled, drawn.select(plan.schema.names)], rows=drawn.rows))
    for key in plan.natural:
        draft = _snapped(draft, key, above, rng=rng)
    for link in known.links:
        draft = _linked(draft, link, drawn, plan, above, rng=rng)
    keys = beside([draft.filled.select(drawn.names), drawn], rows=drawn.rows)
    given = second_given(plan, first, keys, above, draft.at)
    rest = _draw_rows(known.rest, given, draft.families, plan, rng=rng)
    return _put_together(known, draft, rest, above, rng=rng)


def _start(known: FittedTable, above: dict[str, Placed], *, scale: float, rng: np.random.Generator) -> _Draft:
    """The families of a table, and the columns that its first parents fill."""
    plan, lead = known.plan, known.plan.lead
    if lead is None or known.counts is None:
        rows = round(known.rows * scale)
        families = Families(np.full(rows, -1), np.ones(rows, dtype=np.int64))
        return _Draft(families, {}, Part(rows, pa.table({})))
    parent = above[lead.parent]
    drawn = draw(known.counts, parent.context, rng=rng)
    counts = _how_many(drawn)
    note_count(plan, lead, counts, above)
    some, alone = np.flatnonzero(counts > 0), round(known.alone * scale)
    families = Families(np.append(some, np.full(alone, -1)), np.append(counts[some], np.ones(alone, dtype=np.int64)))
    filled = _filled(lead, plan, families.at, parent)
    if plan.number is not None:
        filled = filled.plus(plan.number[0], families.places + plan.number[1], Kind.NUMBER)
    return _Draft(families, {lead.name: families.at}, filled)


def _filled(key: ForeignKey, plan: Plan, at: Ints, parent: Placed) -> Part:
    """The columns of a key, from the parent's rows."""
    filled = Part(at.size, pa.table({}))
    theirs = parent.part.select(key.parent_columns).take(at)
    for column, other in zip(key.columns, key.parent_columns, strict=True):
        filled = filled.plus(column, flat(theirs.table.column(other)), plan.schema[column].kind)
    return filled


def _draw_rows(
    model: Conditional | None, given: Part, families: Families, plan: Plan, *, rng: np.random.Generator
) -> Part:
    """Draw columns of all rows, in steps in which every row is given its earlier siblings."""
    if model is None or model.generator is None or plan.lead is None or not given.rows:
        return Part(given.rows, pa.table({})) if model is None else draw(model, given, rng=rng)
    done = model.made
    place = np.zeros(given.rows, dtype=np.int64)
    for block in blocks(families):
        told = summary(done, place[earlier_rows(families, block)]).take(block.owner)
        told = told.select(model.given)
        drawn = echoed(draw(model, beside([given.take(block.rows), told], rows=block.rows.size), rng=rng), told)
        place[block.rows] = done.rows + np.arange(drawn.rows)
        done = below([done, drawn])
    return done.take(place)


def _snapped(draft: _Draft, key: ForeignKey, above: Mapping[str, Placed], *, rng: np.random.Generator) -> _Draft:
    """Drawn natural keys moved to the nearest that a row of the parent has."""
    parent = above[key.parent].part
    at = positions(draft.filled.table, key.columns, parent.table, key.parent_columns)
    lost = np.flatnonzero(at < -1)
    if lost.size and parent.rows:
        at[lost] = _nearest(draft.filled.take(lost), key, parent, rng=rng)
    kinds = {f.name: f for f in draft.filled.fields}
    theirs = parent.select(key.parent_columns).take(at)
    table = draft.filled.table
    for column, other in zip(key.columns, key.parent_columns, strict=True):
        drawn = flat(table.column(column))
        cells = pc.if_else(pa.array(at >= 0), alike(drawn, flat(theirs.table.column(other)))[1].cast(drawn.type), drawn)
        table = table.set_column(table.column_names.index(column), column, cells)
    filled = Part(draft.filled.rows, table, tuple(kinds[n] for n in table.column_names))
    return replace(draft, at={**draft.at, key.name: at}, filled=filled)


def _nearest(rows: Part, key: ForeignKey, parent: Part, *, rng: np.random.Generator) -> Ints:
    """[k] the parent's row with the same categories and the nearest last number or date; else any."""
    anyone = rng.integers(parent.rows, size=rows.rows)
    fields = {f.name: f for f in parent.fields}
    measured = [p for p in key.parent_columns if fields[p].kind in (Kind.NUMBER, Kind.DATETIME)][-1:]
    if not measured:
        return anyone
    same = [(c, p) for c, p in zip(key.columns, key.parent_columns, strict=True) if p not in measured]
    _, ours, theirs = joint_codes(rows.table, [c for c, _ in same], parent.table, [p for _, p in same])
    other = _values(parent, measured[0])
    low = float(other.min())
    width = float(other.max()) - low or 1.0
    marks = theirs + 0.99 * (other - low) / width  # groups apart by 1, places within them below 1
    aims = ours + 0.99 * np.clip(
        (_values(rows, key.columns[key.parent_columns.index(measured[0])]) - low) / width, 0, 1
    )
    order = np.argsort(marks, kind="stable")
    right = np.minimum(np.searchsorted(marks[order], aims), order.size - 1)
    best, gap = anyone, np.full(rows.rows, np.inf)
    for side in (order[np.maximum(right - 1, 0)], order[right]):
        apart = np.where((theirs[side] == ours) & (ours >= 0), np.abs(marks[side] - aims), np.inf)
        best, gap = np.where(apart < gap, side, best), np.minimum(gap, apart)
    return best


def _values(part: Part, column: str) -> Floats:
    field = next(f for f in part.fields if f.name == column)
    cells = canonical(part.table.column(column), field)
    return seconds(cells) if field.kind is Kind.DATETIME else floats(cells)


def _linked(
    draft: _Draft, link: Link, drawn: Part, plan: Plan, above: Mapping[str, Placed], *, rng: np.random.Generator
) -> _Draft:
    """Choose a second parent for every row."""
    key, partner, families = link.key, above[link.key.parent], draft.families
    kind, again = _wished(link, drawn, families)
    ours, theirs = _agreement(draft, key, partner.part)
    kinds = kinds_of(link.kinds, partner.context)
    degrees = _how_many(draw(link.degrees, with_kinds(partner.context, kinds), rng=rng)).astype(np.float64)
    most = int(max(kinds.max(initial=0), kind.max(initial=0))) + 1
    fresh = (kind >= 0) & ~again & (ours >= 0)
    groups = np.where(fresh, ours * most + kind, -1)
    at = pair_up(groups, np.where(theirs < 0, -1, theirs * most + kinds), degrees, rng=rng)
    missed = fresh & (at < 0)
    at = np.where(missed, pair_up(np.where(missed, ours, -1), theirs, degrees, rng=rng), at)
    at, twice = without_repeats(families.number, at, groups, rng=rng)
    at = np.where(twice & (not link.again), -1, at)
    at = _same_again(at, again, families, rng=rng)
    free = [c for c in key.columns if c not in draft.filled.names]
    filled = _filled(key, plan, at, partner).select(free)
    rows = draft.filled.rows
    return replace(draft, at={**draft.at, key.name: at}, filled=beside([draft.filled, filled], rows=rows))


def _wished(link: Link, drawn: Part, families: Families) -> tuple[Ints, Bools]:
    """[n] the kind of partner that each row wants (-1 for none), and whether it is one that its family has already."""
    words = flat(drawn.table.column(link.kind))
    kind = pc.cast(words, pa.int64()).fill_null(-1).to_numpy(zero_copy_only=False)
    if not link.again:
        return kind, np.zeros(kind.size, dtype=bool)
    said = pc.is_in(flat(drawn.table.column(link.repeat)), pa.array(["yes"])).to_numpy(zero_copy_only=False)
    return kind, said & (kind >= 0) & (families.places > 0)


def _how_many(drawn: Part) -> Ints:
    counts = floats(flat(drawn.table.column(HOW_MANY)))
    return np.maximum(np.nan_to_num(counts), 0).astype(np.int64)


def _agreement(draft: _Draft, key: ForeignKey, partner: Part) -> tuple[Ints, Ints]:
    """Codes that child and partner must share, where a part of the key is filled already; 0 where none is."""
    shared = [(c, p) for c, p in zip(key.columns, key.parent_columns, strict=True) if c in draft.filled.names]
    if not shared:
        return np.zeros(draft.filled.rows, dtype=np.int64), np.zeros(partner.rows, dtype=np.int64)
    columns, others = zip(*shared, strict=True)
    _, ours, theirs = joint_codes(draft.filled.table, columns, partner.table, others)
    return ours, theirs


def _same_again(at: Ints, again: Bools, families: Families, *, rng: np.random.Generator) -> Ints:
    """Rows that repeat a partner take that of a random earlier sibling who has one of its own."""
    rows = np.flatnonzero(again)
    if not rows.size:
        return at
    own = np.flatnonzero(~again & (at >= 0))
    first = families.starts[families.number[rows]]
    low, high = np.searchsorted(own, first), np.searchsorted(own, rows)
    found = at.copy()
    has = high > low
    chosen = low[has] + (rng.random(int(has.sum())) * (high - low)[has]).astype(np.int64)
    found[rows[has]] = at[own[chosen]]
    return found


def _put_together(
    known: FittedTable, draft: _Draft, rest: Part, above: dict[str, Placed], *, rng: np.random.Generator
) -> tuple[Placed, list[str]]:
    """All columns in order, with the table's own keys; rows whose keys could not be had are left out."""
    plan = known.plan
    body = tied(rest, known.ties, ancestors(plan.up, draft.at, above))
    table = beside([draft.filled, body], rows=rest.rows).table
    kept, notes = _kept(known, draft, table)
    order = _order(known, table, kept, rng=rng)
    table = table.take(pa.array(order)) if table.num_columns else table
    at = {name: rows[order] for name, rows in draft.at.items()}
    if known.identifier is not None:
        made = identifiers(known.identifier, np.arange(order.size), salt=int(rng.integers(2**63)))
        table = table.append_column(known.identifier.field.name, made) if table.num_columns else pa.table(
            {known.identifier.field.name: made}
        )  # fmt: skip
    for one in known.hanging:
        table = _hung(one, table, order, rest, known, rng=rng)
    part = Part(order.size, table.select(plan.schema.names), tuple(plan.schema))
    return placed(plan, part, at, above, known.features), notes


def _kept(known: FittedTable, draft: _Draft, table: pa.Table) -> tuple[Ints, list[str]]:
    """The rows that have all keys they need, and no other row's."""
    kept = np.ones(draft.families.rows, dtype=bool)
    notes: list[str] = []
    for name in known.needed:
        lost = draft.at[name] < 0
        if lost.any():
            notes.append(f"{int(lost.sum()):,} rows found no free row for {name} and were left out")
            kept &= ~lost
    primary = known.plan.spec.primary
    if primary and known.identifier is None and set(primary) <= set(table.column_names):
        again = repeated(table, primary) & kept
        if again.any():
            notes.append(
                f"{int(again.sum()):,} rows of {kept.size:,} repeated the key ({', '.join(primary)}) of another and "
                "were left out"
            )
            kept &= ~again
    return np.flatnonzero(kept), notes


def _order(known: FittedTable, table: pa.Table, kept: Ints, *, rng: np.random.Generator) -> Ints:
    """The order of the rows: by the date by which the real ones are sorted, by family, or none."""
    if known.sorted_by is not None:
        array = flat(table.column(known.sorted_by))
        when = seconds(canonical(array, known.plan.schema[known.sorted_by]))[kept]
        return kept[np.argsort(when, kind="stable")]
    return kept if known.grouped else rng.permutation(kept)


def _hung(
    one: Hanging,
    table: pa.Table,
    order: Ints,
    rest: Part,
    known: FittedTable,
    *,
    rng: np.random.Generator,
) -> pa.Table:
    """Hang rows on rows one level above them: no row ever hangs on itself."""
    words = flat(rest.table.column(one.depth)).take(pa.array(order))
    depth = pc.cast(words, pa.int64()).to_numpy(zero_copy_only=False)
    own = Part(order.size, table, tuple(f for f in known.plan.schema if f.name in table.column_names))
    given = own.select(known.features).plus(ABOVE, words, Kind.CATEGORY)
    degrees = _how_many(draw(one.degrees, given, rng=rng)).astype(np.float64)
    at = np.full(order.size, -1, dtype=np.int64)
    for level in sorted(set(depth[depth > 0].tolist())):
        highest = int(depth[depth < level].max(initial=-1))
        wanted = np.where(depth == level, 0, -1)
        at = np.maximum(at, pair_up(wanted, np.where(depth == highest, 0, -1), degrees, rng=rng))
    index = pa.array(np.maximum(at, 0), mask=at < 0)
    for column, other in zip(one.key.columns, one.key.parent_columns, strict=True):
        cells = flat(table.column(other)).take(index)
        table = table.append_column(column, cells) if column not in table.column_names else table
    return table
