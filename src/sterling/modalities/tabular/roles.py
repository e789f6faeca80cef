"""What the user declares of the columns: target, groups, entity, time, weight."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from sterling.kernel.errors import InputError
from sterling.kernel.schema import Field, Kind, Role, Schema
from sterling.modalities.tabular.infer import PROVENANCE
from sterling.modalities.tabular.overrides import in_role


def with_roles(
    schema: Schema,
    *,
    target: str | None = None,
    groups: Sequence[str] = (),
    entity: str | None = None,
    time: str | None = None,
    weight: str | None = None,
) -> Schema:
    """The schema with the declared roles.

    A target of few distinct whole numbers becomes a CATEGORY: 0 and 1 are classes, not quantities.

    Args:
        schema: as inferred.
        target: the column to predict.
        groups: protected attributes.
        entity: the column whose rows stay together in a split.
        time: the column that orders the rows.
        weight: the column of row weights.

    Raises:
        UnknownName: for a column that is not there, with the nearest names.
        InputError: for a column that is given two roles.
    """
    wanted = [(target, Role.TARGET), *((g, Role.GROUP) for g in dict.fromkeys(groups))]
    wanted += [(entity, Role.ENTITY), (time, Role.TIME), (weight, Role.WEIGHT)]
    taken: dict[str, Role] = {}
    for name, role in wanted:
        if name is None:
            continue
        spec = schema[name]
        if name in taken:
            raise InputError(
                f"column {name!r} is declared as {taken[name].value} and as {role.value}",
                mend="give every column one role",
            )
        taken[name] = role
        schema = _alone(schema, role).replaced(in_role(spec, role))
    return schema


def _alone(schema: Schema, role: Role) -> Schema:
    """The schema in which no other column has a role that only one can have."""
    if role is Role.GROUP:
        return schema
    return Schema(tuple(replace(f, role=Role.FEATURE) if f.role is role else f for f in schema), schema.modality)


class SharedColumns(NamedTuple):
    """How the columns of several sets compare with those of the first.

    Args:
        shared: in all sets, in the first one's order.
        missing: in the first, and not in all others.
        extra: in some other set, and not in the first.
        retyped: shared, but of another kind in some other set; read as the first set's kind.
    """

    shared: tuple[str, ...]
    missing: tuple[str, ...]
    extra: tuple[str, ...]
    retyped: tuple[str, ...]


def shared_columns(schemas: Sequence[Schema]) -> SharedColumns:
    """Name the columns that sets share, lack, add or hold as another kind; the first set rules.

    Columns in which Sterling itself notes where a row comes from are left out.
    """
    # By dictionary: looking names up in a Schema of 10,000 fields would take quadratic time.
    first, *others = ({f.name: f for f in schema if not f.name.startswith(PROVENANCE)} for schema in schemas)
    shared = tuple(name for name in first if all(name in other for other in others))
    there = set(shared)
    return SharedColumns(
        shared=shared,
        missing=tuple(name for name in first if name not in there),
        extra=tuple(dict.fromkeys(name for other in others for name in other if name not in first)),
        retyped=tuple(name for name in shared if any(_retyped(first[name], other[name]) for other in others)),
    )


def _retyped(first: Field, other: Field) -> bool:
    """Whether two columns differ in kind, beyond what declaring a target or a chance of sampling explains."""
    if first.kind is other.kind or "null" in (first.storage, other.storage):
        return False
    text = {Kind.CATEGORY, Kind.TEXT}
    if {first.kind, other.kind} <= text:
        return False
    # A declared target of whole numbers is a CATEGORY here and a NUMBER there, and still the same column.
    return not (_numeric(first.storage) and _numeric(other.storage))


def _numeric(storage: str) -> bool:
    return storage.startswith(("int", "uint", "float", "double", "halffloat", "decimal"))
