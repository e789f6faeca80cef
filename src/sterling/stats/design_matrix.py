"""From named terms to the columns of a regression: numbers as they are, categories as 0/1 against a reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from sterling.kernel.errors import UnknownName
from sterling.kernel.estimate import Unmeasured
from sterling.kernel.schema import Kind
from sterling.kernel.view import Column

if TYPE_CHECKING:
    from sterling.kernel.view import Bools, Floats

MOST_LEVELS = 50
# What joins columns into an interaction.
TIMES = ":"


@dataclass(frozen=True, slots=True)
class Effect:
    """One column of the matrix: the product of its parts.

    Args:
        parts: (column, level) each; the level is None for a number.
        label: how tables call it, such as "sex=Female" or "age:sex=Female".
    """

    parts: tuple[tuple[str, str | None], ...]
    label: str


@dataclass(frozen=True, slots=True)
class Layout:
    """The columns of a matrix, as the real rows decide them; the same for every set.

    Args:
        effects: in the order of the terms.
        references: by category, the level that all others are held against.
    """

    effects: tuple[Effect, ...]
    references: Mapping[str, str]

    @property
    def labels(self) -> tuple[str, ...]:
        """[k] names of the columns."""
        return tuple(e.label for e in self.effects)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the table that they are made of."""
        return tuple(dict.fromkeys(name for e in self.effects for name, _ in e.parts))


def layout(
    columns: Mapping[str, Column], terms: Sequence[str], *, references: Mapping[str, str], rows: Bools
) -> Layout | Unmeasured:
    """Decide the columns of the matrix by the real rows.

    Args:
        columns: of the real table, by name.
        terms: names of columns, or several joined by ":" for their interaction.
        references: by category, the level to hold the others against; the commonest where it is not named.
        rows: [n] the rows that count.

    Raises:
        UnknownName: for a term that is no column, or a reference that is no level.
    """
    held: dict[str, str] = {}
    effects: list[Effect] = []
    for term in dict.fromkeys(terms):
        names = [term] if term in columns else [part.strip() for part in term.split(TIMES)]
        choices: list[list[tuple[str, str | None]]] = []
        for name in names:
            if name not in columns:
                raise UnknownName.among(name, columns, what="column in the terms")
            found = _choices(columns[name], references.get(name), rows, held)
            if isinstance(found, Unmeasured):
                return found
            choices.append(found)
        effects += [
            Effect(parts, TIMES.join(n if v is None else f"{n}={v}" for n, v in parts)) for parts in product(*choices)
        ]
    return Layout(tuple(effects), held)


def _choices(
    column: Column, reference: str | None, rows: Bools, held: dict[str, str]
) -> list[tuple[str, str | None]] | Unmeasured:
    """The parts that one column brings; notes the reference of a category in `held`."""
    if column.kind is not Kind.CATEGORY or column.levels is None:
        return [(column.name, None)]
    counts = np.bincount(column.values[rows & ~column.missing], minlength=len(column.levels))
    if reference is not None and reference not in column.levels:
        raise UnknownName.among(reference, column.levels, what=f"level of {column.name}")
    there = np.flatnonzero(counts)
    if there.size > MOST_LEVELS:
        return Unmeasured(
            f"{column.name} has {there.size:,} levels; a regression takes up to {MOST_LEVELS}",
            "merge its levels, or name another term",
        )
    if there.size < 2:
        return Unmeasured(
            f"{column.name} has the same level in every real row that counts", "leave it out, or widen the filter"
        )
    base = reference if reference is not None else column.levels[int(counts.argmax())]
    held[column.name] = base
    return [(column.name, column.levels[i]) for i in there if column.levels[i] != base]


def matrix(plan: Layout, columns: Mapping[str, Column], rows: Bools) -> Floats:
    """[rows, k] the matrix of one set, in the encoding that it shares with the real rows.

    Args:
        plan: what `layout` gave.
        columns: of the set.
        rows: [n] the rows that count; none of them has an empty cell in the plan's columns.
    """
    made = np.ones((int(rows.sum()), len(plan.effects)))
    for j, effect in enumerate(plan.effects):
        for name, level in effect.parts:
            column = columns[name]
            values = column.values[rows]
            if level is None:
                made[:, j] *= values
            else:
                made[:, j] *= values == (column.levels or ()).index(level) if level in (column.levels or ()) else 0.0
    return made


def strangers(plan: Layout, columns: Mapping[str, Column]) -> Bools:
    """[n] rows with a level that no real row of the analysis has: they belong to no column of the matrix."""
    n = next(iter(columns.values())).values.size
    out = np.zeros(n, dtype=bool)
    for name, base in plan.references.items():
        column = columns[name]
        known = {base, *(v for e in plan.effects for c, v in e.parts if c == name and v is not None)}
        fits = np.array([*(level in known for level in column.levels or ()), True])
        out |= ~fits[column.values]
    return out
