"""Children of one parent: where they stand, and what those before a child were like."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sterling.kernel.schema import Field, Kind
from sterling.modalities.tabular.canonical import canonical, flat, floats
from sterling.modalities.tabular.relational.part import Part, below

if TYPE_CHECKING:
    from sterling.kernel.view import Bools, Ints

# Brackets like these stand around every name that is not the user's, so that none meets one of a column.
EARLIER, ECHO = "⟨earlier siblings⟩ ", "⟨as earlier siblings⟩ "
# From this share of equal rows on, among so many at least, being equal is drawn by itself.
MOSTLY, LEAST_LATER = 0.5, 50


@dataclass(frozen=True, slots=True, eq=False)
class Families:
    """Rows that lie family by family.

    Args:
        parents: [f] the parent's position of each family; -1 for a row without a parent, a family of its own.
        sizes: [f] rows of each, >= 1.
    """

    parents: Ints
    sizes: Ints

    @property
    def rows(self) -> int:
        """Of all families."""
        return int(self.sizes.sum())

    @property
    def starts(self) -> Ints:
        """[f] position of each family's first row."""
        return np.cumsum(self.sizes) - self.sizes

    @property
    def number(self) -> Ints:
        """[n] the family of each row."""
        return np.repeat(np.arange(self.sizes.size), self.sizes)

    @property
    def places(self) -> Ints:
        """[n] 0, 1, ... within each family."""
        return np.arange(self.rows) - np.repeat(self.starts, self.sizes)

    @property
    def at(self) -> Ints:
        """[n] the parent's position of each row."""
        return np.repeat(self.parents, self.sizes)


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """The children that are drawn at the same time, given the same number of earlier siblings.

    Args:
        earlier: how many siblings they are given: 0, 1, 2, 4, 8 ...
        families: [k] the families that have such children.
        rows: [m] the rows.
        owner: [m] which of the k families each row belongs to.
    """

    earlier: int
    families: Ints
    rows: Ints
    owner: Ints


def gather(at: Ints) -> tuple[Families, Ints]:
    """Families of the rows of a table, and [n] the order of rows in which they lie family by family.

    Args:
        at: [n] position of each row's parent, negative where it has none.
    """
    order = np.argsort(np.where(at < 0, np.iinfo(np.int64).max, at), kind="stable")
    with_parent = int(np.sum(at >= 0))
    parents, sizes = np.unique(at[at >= 0], return_counts=True)
    alone = at.size - with_parent
    return Families(np.append(parents, np.full(alone, -1)), np.append(sizes, np.ones(alone, dtype=np.int64))), order


def blocks(families: Families) -> Iterator[Block]:
    """The rows in doubling steps: the first child, the second, the next two, four, eight ...

    So a family of a thousand is drawn in eleven steps, and every child from the second on is given at least half of
    the siblings before it.
    """
    starts = families.starts
    earlier = 0
    while True:
        some = np.flatnonzero(families.sizes > earlier)
        if not some.size:
            return
        width = np.minimum(families.sizes[some], max(2 * earlier, 1)) - earlier
        owner = np.repeat(np.arange(some.size), width)
        within = np.arange(owner.size) - np.repeat(np.cumsum(width) - width, width)
        yield Block(earlier, some, starts[some][owner] + earlier + within, owner)
        earlier = max(2 * earlier, 1)


def summary(part: Part, rows: Ints) -> Part:
    """What earlier siblings were like: numbers by their mean, categories by the commonest, dates by the last.

    Args:
        part: rows of which the earlier siblings are some.
        rows: [k, e] for each of k families the positions of e earlier siblings; e = 0: all is missing.
    """
    told = Part(rows.shape[0], pa.table({}))
    for field in part.fields:
        if field.kind is not Kind.TEXT:
            array = flat(part.table.column(field.name))
            told = told.plus(f"{EARLIER}{field.name}", _told(array, field, rows), field.kind)
    return told


def told_siblings(part: Part, families: Families) -> Part:
    """[n] for every row of complete families, what its earlier siblings were like."""
    told = [summary(part, np.zeros((0, 0), dtype=np.int64))]
    rows: list[Ints] = [np.zeros(0, dtype=np.int64)]
    for block in blocks(families):
        rows.append(block.rows)
        told.append(summary(part, earlier_rows(families, block)).take(block.owner))
    back = np.empty(families.rows, dtype=np.int64)
    back[np.concatenate(rows)] = np.arange(families.rows)
    return below(told).take(back)


def echoes(part: Part, told: Part, families: Families) -> Part:
    """Of each column in which most rows are as their earlier siblings, whether a row is: "yes" or "no".

    Trees that see a thousand addresses cannot say "the same as before"; drawn apart, and obeyed by `echoed`, it is
    said exactly.

    Args:
        part: the rows of complete families.
        told: what their earlier siblings were like.
        families: where they lie.
    """
    found = Part(part.rows, pa.table({}))
    later = np.flatnonzero(families.places > 0)
    if later.size < LEAST_LATER:
        return found
    for field in part.fields:
        if f"{EARLIER}{field.name}" in told.names:
            same = _same(part, told, field)
            if same[later].mean() >= MOSTLY:
                found = found.plus(f"{ECHO}{field.name}", pa.array(np.where(same, "yes", "no")), Kind.CATEGORY)
    return found


def echoed(drawn: Part, told: Part) -> Part:
    """The drawn rows, with the earlier siblings' value wherever a row was drawn to be as they are."""
    table = drawn.table
    for flag in (name for name in drawn.names if name.startswith(ECHO)):
        name = flag.removeprefix(ECHO)
        if f"{EARLIER}{name}" not in told.names:
            continue
        before, own = flat(told.table.column(f"{EARLIER}{name}")), flat(table.column(name))
        wanted = pc.and_(pc.is_in(flat(table.column(flag)), pa.array(["yes"])), before.is_valid())
        cells = pc.if_else(wanted, before.cast(own.type, safe=False), own)
        table = table.set_column(table.column_names.index(name), name, cells)
    return Part(drawn.rows, table, drawn.fields)


def _same(part: Part, told: Part, field: Field) -> Bools:
    own, before = flat(part.table.column(field.name)), flat(told.table.column(f"{EARLIER}{field.name}"))
    if field.kind is Kind.NUMBER:
        return floats(canonical(own, field)) == floats(before)
    return pc.is_in(pc.equal(own, before), pa.array([True])).to_numpy(zero_copy_only=False)


def earlier_rows(families: Families, block: Block) -> Ints:
    """[k, earlier] the rows of each family that come before the block."""
    return families.starts[block.families][:, None] + np.arange(block.earlier)


def _told(array: pa.Array, field: Field, rows: Ints) -> pa.Array:
    count, earlier = rows.shape
    if field.kind is Kind.NUMBER:
        if not earlier:
            return pa.nulls(count, pa.float64())
        values = floats(canonical(array, field))[rows]
        known = ~np.isnan(values)
        sums = np.where(known, values, 0.0).sum(axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            means = sums / known.sum(axis=1)
        return pa.array(means, mask=~np.isfinite(means))
    if not earlier:
        return pa.nulls(count, array.type)
    if field.kind is Kind.DATETIME or earlier == 1:
        return array.take(pa.array(rows[:, -1]))
    return array.take(pa.array(_commonest(array, rows)))


def _commonest(array: pa.Array, rows: Ints) -> Ints:
    """[k] for each family a row that has its commonest value."""
    encoded = array.dictionary_encode()
    size = len(encoded.dictionary) + 1
    codes = encoded.indices.fill_null(size - 1).to_numpy(zero_copy_only=False).astype(np.int64)[rows]
    family = np.broadcast_to(np.arange(rows.shape[0])[:, None], rows.shape)
    pairs, first, counts = np.unique((family * size + codes).ravel(), return_index=True, return_counts=True)
    # The last of each family after sorting by count is its commonest.
    order = np.lexsort((counts, pairs // size))
    last = np.flatnonzero(np.append(np.diff(pairs[order] // size) > 0, True))
    return rows.ravel()[first[order[last]]]
