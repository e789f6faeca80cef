"""A second parent for each child: of the kind that such children have, as often as such parents are had."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sterling.kernel.schema import Field, Kind
from sterling.modalities.tabular.canonical import canonical, flat, floats, seconds, texts
from sterling.modalities.tabular.relational.part import Part

if TYPE_CHECKING:
    from sterling.kernel.view import AnyArray, Bools, Floats, Ints

# Kinds of partner that are told apart at most, the rows from which they are learned, and levels that have a column.
MOST_KINDS, MOST_ROWS, MOST_LEVELS = 64, 20_000, 20
# A kind holds at least so many partners (one in so many), so that it is no single row by another name.
LEAST_PARTNERS = 5
# How often a pair that is there twice is offered a change of partners.
TRIES = 20


@dataclass(frozen=True, slots=True, eq=False)
class Coding:
    """How columns become numbers: by rank for numbers and dates, a column for each common level of a category."""

    fields: tuple[Field, ...]
    known: tuple[Any, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Kinds:
    """Kinds of partners: the leaves of a tree on their columns that foretells who has them.

    Args:
        coding: of the partners' columns.
        tree: scikit-learn's; None where one kind is all there is.
    """

    coding: Coding
    tree: Any


def learn_kinds(partners: Part, at: Ints, havers: Part, *, rng: np.random.Generator) -> Kinds:
    """Learn which partners are had by the same kind of children and first parents.

    Args:
        partners: the partners' columns.
        at: [n] the partner of each child, negative for none.
        havers: [n] what is known of the child before its partner: columns of its first parent, its family.
        rng: draws a sample.

    Source: a multi-output regression tree (De'ath 2002, "Multivariate regression trees"), partners as units of leaves.
    """
    coding = coding_of(partners)
    has = np.flatnonzero(at >= 0)
    if not partners.fields or not havers.fields or has.size < 2 * LEAST_PARTNERS:
        return Kinds(coding, None)
    from sklearn.tree import DecisionTreeRegressor

    some = np.sort(rng.choice(has, size=min(has.size, MOST_ROWS), replace=False))
    outcomes = coded(coding_of(havers), havers.take(some))
    spread = outcomes.std(axis=0)
    inputs = coded(coding, partners.take(at[some]))
    outcomes = outcomes[:, spread > 0] / spread[spread > 0]
    if not outcomes.size or not inputs.size:
        return Kinds(coding, None)
    least = max(LEAST_PARTNERS, int(some.size * LEAST_PARTNERS / max(partners.rows, 1)), some.size // (4 * MOST_KINDS))
    tree = DecisionTreeRegressor(
        max_leaf_nodes=MOST_KINDS, min_samples_leaf=least, random_state=int(rng.integers(2**31))
    ).fit(inputs, outcomes)
    return Kinds(coding, tree)


def kinds_of(kinds: Kinds, partners: Part) -> Ints:
    """[m] the kind of each partner, real or made."""
    if kinds.tree is None or not partners.rows:
        return np.zeros(partners.rows, dtype=np.int64)
    return kinds.tree.apply(coded(kinds.coding, partners)).astype(np.int64)


def coding_of(part: Part) -> Coding:
    """Learn how to write these columns as numbers."""
    known: list[Any] = []
    for field in part.fields:
        array = flat(part.table.column(field.name))
        if field.kind in (Kind.NUMBER, Kind.DATETIME):
            values = _numbers(array, field)
            known.append(np.sort(values[~np.isnan(values)]))
        else:
            counted = pc.value_counts(texts(array).drop_null()).sort(by="counts", order="descending")
            known.append(counted.field("values").slice(0, MOST_LEVELS))
    return Coding(part.fields, tuple(known))


def coded(coding: Coding, part: Part) -> Floats:
    """[n, k] the columns as numbers from 0 to 1; a missing number is .5 and has a column that says so."""
    columns: list[Floats] = []
    for field, known in zip(coding.fields, coding.known, strict=True):
        array = flat(part.table.column(field.name))
        if field.kind in (Kind.NUMBER, Kind.DATETIME):
            values = _numbers(array, field)
            gone = np.isnan(values)
            rank = np.searchsorted(known, np.where(gone, 0.0, values)) / max(known.size, 1)
            columns += [np.where(gone, 0.5, rank), gone.astype(np.float64)]
        else:
            place = pc.index_in(texts(array), known).fill_null(-1).to_numpy(zero_copy_only=False)
            columns += [(place == level).astype(np.float64) for level in range(len(known))]
    return np.stack(columns, axis=1) if columns else np.zeros((part.rows, 0))


def _numbers(array: pa.Array, field: Field) -> Floats:
    cells = canonical(array, field)
    return seconds(cells) if field.kind is Kind.DATETIME else floats(cells)


def repeats(families: Ints, partners: Ints) -> Bools:
    """[n] rows of a family whose partner an earlier row of it has already; a missing partner is no repeat."""
    pairs = families * (int(partners.max(initial=0)) + 1) + np.maximum(partners, 0)
    again = np.ones(pairs.size, dtype=bool)
    known = np.flatnonzero(partners >= 0)
    again[known[np.unique(pairs[known], return_index=True)[1]]] = False
    again[partners < 0] = False
    return again


def pair_up(wanted: Ints, offered: Ints, degrees: Floats, *, rng: np.random.Generator) -> Ints:
    """Give every child a partner of the group it wants.

    Args:
        wanted: [n] the group of each child; -1 for no partner.
        offered: [m] the group of each partner.
        degrees: [m] how many children each should have, >= 0; scaled within a group to the children there are.
        rng: the stream of this task.

    Returns:
        [n] positions of partners; -1 for none, also where there are no partners in a group.
    """
    found = np.full(wanted.size, -1, dtype=np.int64)
    if not offered.size:
        return found
    by_child = np.argsort(wanted, kind="stable")
    by_partner = np.argsort(offered, kind="stable")
    groups, starts, counts = np.unique(wanted[by_child], return_index=True, return_counts=True)
    ordered = offered[by_partner]
    for group, start, count in zip(groups.tolist(), starts.tolist(), counts.tolist(), strict=True):
        low, high = np.searchsorted(ordered, [group, group + 1])
        if group < 0 or low == high:
            continue
        some = by_partner[low:high]
        dealt = np.repeat(some, _dealt(degrees[some], count, rng=rng))
        found[by_child[start : start + count]] = rng.permutation(dealt)
    return found


def _dealt(degrees: Floats, count: int, *, rng: np.random.Generator) -> Ints:
    """Whole numbers in proportion to the degrees that sum to `count`; each its share rounded down or up."""
    total = float(degrees.sum())
    weights = degrees / total if total > 0 else np.full(degrees.size, 1.0 / degrees.size)
    order = rng.permutation(degrees.size)
    edges = np.append(0.0, np.cumsum(weights[order]) * count)
    edges[-1] = count
    marks = np.minimum(np.floor(edges + rng.random()), count)
    dealt = np.empty(degrees.size, dtype=np.int64)
    dealt[order] = np.diff(marks).astype(np.int64)
    return dealt


def without_repeats(families: Ints, partners: Ints, groups: Ints, *, rng: np.random.Generator) -> tuple[Ints, Bools]:
    """Change partners within a group until no family has the same one twice.

    Args:
        families: [n].
        partners: [n], -1 for none.
        groups: [n] children that may change partners with each other.
        rng: the stream of this task.

    Returns:
        ([n] partners, [n] rows that still repeat one).
    """
    twice = np.flatnonzero(repeats(families, partners))
    if not twice.size:
        return partners, np.zeros(partners.size, dtype=bool)
    changed = partners.copy()
    held = set(zip(families.tolist(), partners.tolist(), strict=True))
    order = np.argsort(groups, kind="stable")
    ordered = groups[order]
    for row in twice.tolist():
        low, high = np.searchsorted(ordered, [groups[row], groups[row] + 1])
        for other in order[rng.integers(low, high, size=TRIES)].tolist():
            if _swap(row, other, families, changed, held):
                break
    return changed, repeats(families, changed)


def _swap(row: int, other: int, families: Ints, partners: AnyArray, held: set[tuple[int, int]]) -> bool:
    """Exchange the partners of two rows, if neither family has the other's already."""
    mine, theirs = int(families[row]), int(families[other])
    here, there = int(partners[row]), int(partners[other])
    if here == there or mine == theirs or there < 0 or (mine, there) in held or (theirs, here) in held:
        return False
    held.discard((theirs, there))
    held |= {(mine, there), (theirs, here)}
    partners[row], partners[other] = there, here
    return True
