"""Tables and the keys between them, as they are declared; checked once, against the columns that there are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from sterling.kernel.dataset import Dataset
from sterling.kernel.errors import InputError, UnknownName
from sterling.modalities.tabular.overrides import Override

Orphans = Literal["refuse", "drop", "null"]


@dataclass(frozen=True, slots=True)
class TableSpec:
    """What is declared of one table.

    Args:
        name: as keys name it.
        primary: the columns that identify a row; empty where none do.
        keep: a public table, copied as it is: a list of airports, of currencies.
        path: of its file, beside the others; None for a database.
        generator: another generator than the command's, by name; None for the same.
        columns: what the user knows better of its columns.
    """

    name: str
    primary: tuple[str, ...] = ()
    keep: bool = False
    path: str | None = None
    generator: str | None = None
    columns: Mapping[str, Override] = field(default_factory=dict[str, Override])


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """Columns of one table whose values name a row of another (or of the same) table.

    Args:
        child: the table that refers.
        columns: its columns.
        parent: the table that is referred to.
        parent_columns: the columns that identify its rows, as many.
        orphans: what becomes of rows that name no row of the parent: "refuse" the data, "drop" the rows,
            or take the key as "null".
        lead: the rows of the child are made family by family of this parent.
    """

    child: str
    columns: tuple[str, ...]
    parent: str
    parent_columns: tuple[str, ...]
    orphans: Orphans = "refuse"
    lead: bool = False

    @property
    def name(self) -> str:
        """Such as "flights(tailnum) -> planes(tailnum)"."""
        return f"{self.child}({', '.join(self.columns)}) -> {self.parent}({', '.join(self.parent_columns)})"

    @property
    def short(self) -> str:
        """Such as "flights.tailnum>planes": for tables of results."""
        return f"{self.child}.{'+'.join(self.columns)}>{self.parent}"


@dataclass(frozen=True, slots=True)
class Relations:
    """The tables of a database and their keys; names are unique."""

    tables: tuple[TableSpec, ...]
    foreign: tuple[ForeignKey, ...] = ()

    def __getitem__(self, name: str) -> TableSpec:
        for table in self.tables:
            if table.name == name:
                return table
        raise UnknownName.among(name, self.names, what="table")

    @property
    def names(self) -> tuple[str, ...]:
        """Of the tables, as declared."""
        return tuple(table.name for table in self.tables)

    def up(self, name: str) -> tuple[ForeignKey, ...]:
        """The keys from this table to others."""
        return tuple(key for key in self.foreign if key.child == name and key.parent != name)

    def within(self, name: str) -> tuple[ForeignKey, ...]:
        """The keys from this table to itself."""
        return tuple(key for key in self.foreign if key.child == name and key.parent == name)


@dataclass(frozen=True, slots=True, eq=False)
class Database:
    """Tables and their keys.

    Args:
        name: how reports call it.
        tables: by name.
        relations: the keys; checked.
        notes: what reading had to repair, in plain words.
    """

    name: str
    tables: Mapping[str, Dataset]
    relations: Relations
    notes: tuple[str, ...] = ()


def checked(relations: Relations, columns: Mapping[str, Sequence[str]]) -> Relations:
    """The relations, if every table and column they name is there and no keys run in a circle.

    Args:
        relations: as declared.
        columns: by table, the columns that there are.

    Raises:
        UnknownName: for a table or column, with the nearest names.
        InputError: for keys of unequal length, a key named twice, two leads, or a cycle, which is named.
    """
    for table in relations.tables:
        _known(table.name, columns, what="table")
        for column in (*table.primary, *table.columns):
            _known(column, columns[table.name], what=f"column of {table.name}")
    seen: set[tuple[str, tuple[str, ...], str]] = set()
    for key in relations.foreign:
        _check_key(key, relations, columns)
        if (key.child, key.columns, key.parent) in seen:
            raise InputError(f"{key.name} is declared twice", mend="remove one of the two")
        seen.add((key.child, key.columns, key.parent))
    for name in relations.names:
        leads = [key.name for key in relations.up(name) if key.lead]
        if len(leads) > 1:
            raise InputError(f"{name} has two leads: {' and '.join(leads)}", mend="keep lead = true on one of them")
    top_down(relations)
    return relations


def top_down(relations: Relations) -> tuple[str, ...]:
    """The tables, parents before children.

    Raises:
        InputError: naming a cycle of keys.
    """
    order: list[str] = []
    waiting = list(relations.names)
    while waiting:
        ready = [name for name in waiting if all(key.parent in order for key in relations.up(name))]
        if not ready:
            circle = _circle(relations, waiting)
            raise InputError(
                f"the keys run in a circle: {' -> '.join(circle)}",
                mend="remove one of these foreign keys from relations.toml: its columns are then made as any others",
            )
        order += ready
        waiting = [name for name in waiting if name not in ready]
    return tuple(order)


def _known(name: str, among: Mapping[str, Sequence[str]] | Sequence[str], *, what: str) -> None:
    if name not in among:
        raise UnknownName.among(name, among, what=what)


def _check_key(key: ForeignKey, relations: Relations, columns: Mapping[str, Sequence[str]]) -> None:
    for table in (key.child, key.parent):
        _known(table, relations.names, what="table")
    for column in key.columns:
        _known(column, columns[key.child], what=f"column of {key.child}")
    for column in key.parent_columns:
        _known(column, columns[key.parent], what=f"column of {key.parent}")
    if not key.columns or len(key.columns) != len(key.parent_columns):
        raise InputError(
            f"{key.name} has {len(key.columns)} columns on one side and {len(key.parent_columns)} on the other",
            mend="name as many columns of the child as of the parent, in the same order",
        )
    if relations[key.child].keep and not relations[key.parent].keep:
        raise InputError(
            f"{key.child} is kept as it is and refers to {key.parent}, whose rows are made anew: {key.name}",
            mend=f"write keep = true for {key.parent} too, or keep = false for {key.child}",
        )
    primary = relations[key.child].primary
    if key.orphans == "null" and set(key.columns) <= set(primary):
        raise InputError(
            f"{key.name}: orphans cannot become null, because the key identifies the rows of {key.child}",
            mend='write orphans = "drop"',
        )


def _circle(relations: Relations, waiting: Sequence[str]) -> list[str]:
    """One cycle among tables of which each waits for another."""
    path = [waiting[0]]
    while True:
        path.append(next(key.parent for key in relations.up(path[-1]) if key.parent in waiting))
        if path[-1] in path[:-1]:
            return path[path.index(path[-1]) :]
