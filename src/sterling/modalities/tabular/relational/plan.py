"""How each table is made: family by family of which parent, which keys are drawn and which are invented."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sterling.kernel.dataset import Dataset
from sterling.kernel.schema import Field, Kind, Role, Schema
from sterling.modalities.tabular.canonical import flat
from sterling.modalities.tabular.infer import PROVENANCE
from sterling.modalities.tabular.memory import plain_table
from sterling.modalities.tabular.relational.keys import Database, ForeignKey, Relations, TableSpec, top_down
from sterling.modalities.tabular.relational.match import positions
from sterling.modalities.tabular.relational.part import Part, beside
from sterling.modalities.tabular.relational.ties import Ancestor

if TYPE_CHECKING:
    from sterling.kernel.view import Ints

# Of a column with more distinct values than this share of its rows, a child learns nothing.
MOST_DISTINCT, FEWEST_ROWS = 0.5, 50


@dataclass(frozen=True, slots=True)
class Plan:
    """How one table is made.

    Args:
        spec: what is declared of it.
        schema: its columns.
        lead: the key whose families are made together; None where there is none.
        natural: keys whose values exist outside of the database (airport codes, hours): drawn as columns are.
        linked: keys whose values are invented: a partner is chosen for each row.
        within: keys to the table itself.
        invented: columns whose values are made anew, keys of this table or of others.
        number: column that counts the rows of a family, and its first value.
    """

    spec: TableSpec
    schema: Schema
    lead: ForeignKey | None
    natural: tuple[ForeignKey, ...]
    linked: tuple[ForeignKey, ...]
    within: tuple[ForeignKey, ...]
    invented: frozenset[str]
    number: tuple[str, int] | None = None

    @property
    def up(self) -> tuple[ForeignKey, ...]:
        """All keys to other tables."""
        return (*((self.lead,) if self.lead else ()), *self.natural, *self.linked)

    @property
    def bound(self) -> frozenset[str]:
        """Columns that are filled from keys, never drawn."""
        keys = (*((self.lead,) if self.lead else ()), *self.linked, *self.within)
        filled = {c for key in keys for c in key.columns}
        return frozenset(filled | self.invented | ({self.number[0]} if self.number else set()))


@dataclass(frozen=True, slots=True, eq=False)
class Placed:
    """A table, real or made, with its place among the others.

    Args:
        plan: how it is made.
        part: all its columns.
        at: by foreign key, [n] the row of the parent; negative for none.
        own: its features: what a child may be given of it.
        context: its features and those of its parents, and how many children of each table it has.
    """

    plan: Plan
    part: Part
    at: Mapping[str, Ints]
    own: Part
    context: Part


def plan_tables(database: Database) -> tuple[Plan, ...]:
    """A plan for every table of a clean database, parents before children."""
    tables = {name: plain_table(data) for name, data in database.tables.items()}
    invented: dict[str, frozenset[str]] = {}
    plans: list[Plan] = []
    for name in top_down(database.relations):
        plan = _plan(database.relations, database.tables[name], name, tables, invented)
        invented[name] = plan.invented
        plans.append(plan)
    return tuple(plans)


def _plan(
    relations: Relations,
    data: Dataset,
    name: str,
    tables: Mapping[str, pa.Table],
    invented: Mapping[str, frozenset[str]],
) -> Plan:
    spec, keys, own = relations[name], relations.up(name), relations.within(name)
    fields = tuple(f for f in data.schema if not f.name.startswith(PROVENANCE))
    schema = Schema(fields)
    if spec.keep:
        return Plan(spec, schema, None, (), (), (), frozenset())
    natural = [k for k in keys if not set(k.parent_columns) & invented[k.parent]]
    linked = [k for k in keys if k not in natural]
    lead = next((k for k in keys if k.lead), None) or _lead(linked, tables)
    new = {
        c for key in linked for c, p in zip(key.columns, key.parent_columns, strict=True) if p in invented[key.parent]
    }
    used = {c for key in (*keys, *own) for c in key.columns}
    new |= {c for c in spec.primary if len(spec.primary) == 1 and c not in used and _formed(tables[name], c)}
    new |= {c for key in own for c in key.columns if set(key.parent_columns) & new}
    plan = Plan(
        spec,
        schema,
        lead,
        tuple(k for k in natural if k != lead),
        tuple(k for k in linked if k != lead),
        own,
        frozenset(new),
    )
    return replace(plan, number=_number(plan, tables[name]))


def _lead(keys: Sequence[ForeignKey], tables: Mapping[str, pa.Table]) -> ForeignKey | None:
    """The key of the most columns; of those, the one with the most families."""

    def families(key: ForeignKey) -> tuple[int, int]:
        rows = tables[key.child].select(list(key.columns)).group_by(list(key.columns)).aggregate([])
        return len(key.columns), rows.num_rows

    return max(keys, key=families, default=None)


def _formed(table: pa.Table, column: str) -> bool:
    kind = table.column(column).type
    return pa.types.is_integer(kind) or pa.types.is_string(kind)


def _number(plan: Plan, table: pa.Table) -> tuple[str, int] | None:
    """The part of a composite key that counts 1, 2, 3 ... within each family."""
    if plan.lead is None or len(plan.spec.primary) < 2 or not table.num_rows:
        return None
    rest = [
        c for c in plan.spec.primary if c not in plan.bound and c not in {x for k in plan.natural for x in k.columns}
    ]
    if len(rest) != 1 or not pa.types.is_integer(table.column(rest[0]).type):
        return None
    ends = table.group_by(list(plan.lead.columns)).aggregate(
        [(rest[0], "min"), (rest[0], "max"), (rest[0], "count_distinct")]
    )
    low, high, count = (ends.column(f"{rest[0]}_{how}").to_numpy() for how in ("min", "max", "count_distinct"))
    first = int(low[0])
    return (rest[0], first) if np.all(low == first) and np.all(high - low + 1 == count) else None


def own_features(plan: Plan, table: pa.Table) -> Part:
    """What a child may be given of a table: no identifiers, no free text, nothing nearly unique."""
    part = whole(plan, table)
    return part.select(
        f.name for f in part.fields if f.name not in plan.bound and _tells(f, flat(table.column(f.name)))
    )


def whole(plan: Plan, table: pa.Table) -> Part:
    """All columns of a table."""
    names = [f.name for f in plan.schema]
    return Part(table.num_rows, table.select(names), tuple(plan.schema))


def _tells(spec: Field, array: pa.Array) -> bool:
    if spec.role in (Role.KEY, Role.ENTITY) or spec.kind is Kind.TEXT:
        return False
    distinct = pc.count_distinct(array).as_py()
    many = spec.kind is Kind.CATEGORY and len(array) > FEWEST_ROWS and distinct > MOST_DISTINCT * len(array)
    return distinct > 1 and not many


def placed(
    plan: Plan, part: Part, at: Mapping[str, Ints], above: Mapping[str, Placed], features: Sequence[str]
) -> Placed:
    """A table in its place.

    Args:
        plan: of the table.
        part: all its columns.
        at: by key, the parent's row of each row.
        above: the tables that were placed before it.
        features: names of `own_features` of the real table.
    """
    own = part.select(features)
    parents = [above[k.parent].own.take(at[k.name]).called(f"{_label(k)} ") for k in plan.up]
    return Placed(plan, part, at, own, beside([own, *parents], rows=part.rows))


def given_by(key: ForeignKey, at: Ints, above: Mapping[str, Placed]) -> Part:
    """[n] what the rows of a table are given of the parent that a key names."""
    return above[key.parent].context.take(at).called(f"{_label(key)} ")


def ancestors(keys: Sequence[ForeignKey], at: Mapping[str, Ints], above: Mapping[str, Placed]) -> tuple[Ancestor, ...]:
    """The parents that these keys name, and their parents."""
    found: list[Ancestor] = []
    for key in keys:
        parent = above[key.parent]
        found.append(Ancestor((key.name,), parent.part, at[key.name]))
        for grand in parent.plan.up:
            theirs = parent.at[grand.name]
            rows = np.where(at[key.name] >= 0, theirs[np.maximum(at[key.name], 0)], -1) if theirs.size else at[key.name]
            found.append(Ancestor((key.name, grand.name), above[grand.parent].part, rows))
    return tuple(found)


def real_positions(plan: Plan, tables: Mapping[str, pa.Table]) -> dict[str, Ints]:
    """By key, the parent's row of each real row."""
    keys = (*plan.up, *plan.within)
    name = plan.spec.name
    return {k.name: positions(tables[name], k.columns, tables[k.parent], k.parent_columns) for k in keys}


def _label(key: ForeignKey) -> str:
    return f"⟨{key.parent} by {', '.join(key.columns)}⟩"
