"""A parent and its children side by side: what is compared between a real database and a made one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sterling.kernel.dataset import Dataset, Origin
from sterling.kernel.schema import Kind, Role, Schema
from sterling.modalities.tabular.canonical import canonical, flat, floats, seconds, texts
from sterling.modalities.tabular.memory import from_table
from sterling.modalities.tabular.relational.match import ORPHAN, positions
from sterling.modalities.tabular.relational.part import Part, beside

if TYPE_CHECKING:
    from sterling.kernel.view import Bools, Floats, Ints
    from sterling.modalities.tabular.relational.keys import ForeignKey


PARENT = "parent: "


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """The two tables of a foreign key.

    Args:
        child: its columns, without what only names rows.
        parent: its columns, likewise.
        at: [n] the parent's row of each child; -1 for none.
        orphans: rows whose key names no row.
    """

    child: Part
    parent: Part
    at: Ints
    orphans: int

    @property
    def counts(self) -> Ints:
        """[m] children of each parent."""
        return np.bincount(self.at[self.at >= 0], minlength=self.parent.rows)

    def of_parents(self, chosen: Ints) -> Pair:
        """The parents at these positions with their children."""
        place = np.full(self.parent.rows + 1, -1, dtype=np.int64)
        place[chosen] = np.arange(chosen.size)
        at = place[self.at]
        rows = np.flatnonzero(at >= 0)
        return Pair(self.child.take(rows), self.parent.take(chosen), at[rows], 0)


def pair_of(key: ForeignKey, child: pa.Table, parent: pa.Table, child_part: Part, parent_part: Part) -> Pair:
    """Put the tables of a key together; rows that name no row count as rows without a parent."""
    at = positions(child, key.columns, parent, key.parent_columns)
    return Pair(child_part, parent_part, np.maximum(at, -1), int(np.sum(at == ORPHAN)))


def side_by_side(pair: Pair) -> Part:
    """A row for each child that has a parent: its columns and the parent's."""
    rows = np.flatnonzero(pair.at >= 0)
    return beside([pair.child.take(rows), pair.parent.take(pair.at[rows]).called(PARENT)], rows=rows.size)


def families_told(pair: Pair) -> Part:
    """A row for each parent: its columns, how many children it has and what they are like.

    Numbers by mean and spread, dates by the first and the last, categories by the commonest and how many there are.
    """
    told = pair.parent.called(PARENT).plus(f"{PARENT}⟨children⟩", pair.counts, Kind.NUMBER)
    has = np.flatnonzero(pair.at >= 0)
    rows = has[np.argsort(pair.at[has], kind="stable")]
    family = pair.at[rows]
    for field in pair.child.fields:
        array = flat(pair.child.table.column(field.name))
        if field.kind is Kind.NUMBER:
            values = floats(canonical(array, field))[rows]
            mean, spread = _mean_and_spread(values, family, pair.parent.rows)
            told = _number(told, f"mean {field.name}", mean)
            told = _number(told, f"spread {field.name}", spread)
        elif field.kind is Kind.DATETIME:
            values = seconds(canonical(array, field))[rows]
            first, last = _ends(values, family, pair.parent.rows)
            told = _number(told, f"first {field.name}", first)
            told = _number(told, f"time between {field.name}", last - first)
        elif field.kind is Kind.CATEGORY:
            commonest, distinct = _commonest(texts(array), rows, family, pair.parent.rows)
            told = told.plus(f"commonest {field.name}", commonest, Kind.CATEGORY)
            told = told.plus(f"distinct {field.name}", distinct, Kind.NUMBER)
    return told


def as_dataset(part: Part, name: str) -> Dataset:
    """The part as a set that measures can look at."""
    schema = Schema(tuple(replace(f, role=Role.FEATURE) for f in part.fields))
    return from_table(part.table, name=name, origin=Origin.REAL, schema=schema)


def _number(part: Part, name: str, values: Floats) -> Part:
    return part.plus(name, pa.array(values, mask=~np.isfinite(values)), Kind.NUMBER)


def _mean_and_spread(values: Floats, family: Ints, parents: int) -> tuple[Floats, Floats]:
    known = ~np.isnan(values)
    counts = np.bincount(family[known], minlength=parents)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.bincount(family[known], weights=values[known], minlength=parents) / counts
        apart = (values - mean[family])[known]
        spread = np.sqrt(np.bincount(family[known], weights=apart**2, minlength=parents) / (counts - 1))
    return mean, np.where(counts > 1, spread, np.nan)


def _ends(values: Floats, family: Ints, parents: int) -> tuple[Floats, Floats]:
    first, last = np.full(parents, np.inf), np.full(parents, -np.inf)
    known = ~np.isnan(values)
    np.minimum.at(first, family[known], values[known])
    np.maximum.at(last, family[known], values[known])
    none: Bools = np.isinf(first)
    return np.where(none, np.nan, first), np.where(none, np.nan, last)


def _commonest(words: pa.Array, rows: Ints, family: Ints, parents: int) -> tuple[pa.Array, Ints]:
    # In one order on every side: of equally common levels the last is told.
    levels = pc.unique(words.drop_null()).sort()
    size = len(levels) + 1
    codes = pc.index_in(words, levels).fill_null(size - 1).to_numpy(zero_copy_only=False).astype(np.int64)[rows]
    known = codes < size - 1
    pairs, counts = np.unique(family[known] * size + codes[known], return_counts=True)
    order = np.lexsort((counts, pairs // size))
    best = np.full(parents, -1, dtype=np.int64)
    best[pairs[order] // size] = pairs[order] % size
    distinct = np.bincount(pairs // size, minlength=parents)
    return levels.take(pa.array(np.maximum(best, 0), mask=best < 0)), distinct
