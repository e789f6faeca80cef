"""What a user knows better than inference, column by column."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

from sterling.kernel.schema import Field, Kind, Role


@dataclass(frozen=True, slots=True)
class Override:
    """What is declared of one column; None is "as inferred".

    Args:
        kind: what its cells hold.
        role: what it is for.
        unit: such as "years".
        levels: the admissible categories.
        low: smallest admissible number (datetimes: seconds since 1970).
        high: largest admissible number.
        nullable: whether a missing value is admissible.
        missing: texts that stand for a missing value, such as "?".
    """

    kind: Kind | None = None
    role: Role | None = None
    unit: str | None = None
    levels: tuple[str, ...] | None = None
    low: float | None = None
    high: float | None = None
    nullable: bool | None = None
    missing: tuple[str, ...] = ()


def overridden(spec: Field, override: Override) -> Field:
    """The field with everything that the override declares."""
    spec = spec if override.role is None else in_role(spec, override.role)
    return replace(
        spec,
        kind=override.kind or spec.kind,
        unit=override.unit or spec.unit,
        levels=spec.levels if override.levels is None else override.levels,
        low=spec.low if override.low is None else override.low,
        high=spec.high if override.high is None else override.high,
        nullable=spec.nullable if override.nullable is None else override.nullable,
        declared=tuple(
            f.name for f in fields(override) if f.name != "missing" and getattr(override, f.name) is not None
        ),
    )


def in_role(spec: Field, role: Role) -> Field:
    """The field in a role; as target, few distinct whole numbers are classes and no quantities."""
    if role is Role.TARGET and spec.kind is Kind.NUMBER and spec.levels is not None:
        return replace(spec, role=role, kind=Kind.CATEGORY, low=None, high=None)
    return replace(spec, role=role)
