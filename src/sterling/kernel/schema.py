"""What the fields of a record are: kind, unit, role and storage."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from sterling.kernel.errors import UnknownName


class Kind(StrEnum):
    """What a cell holds, whatever the storage type says."""

    NUMBER = "number"
    CATEGORY = "category"
    DATETIME = "datetime"
    TEXT = "text"
    IMAGE = "image"
    AUDIO = "audio"
    BOXES = "boxes"
    MASK = "mask"
    SPANS = "spans"
    MESSAGES = "messages"
    EMBEDDING = "embedding"


class Role(StrEnum):
    """What a field is for."""

    FEATURE = "feature"
    TARGET = "target"
    GROUP = "group"  # a protected attribute: judged as a feature, and for bias
    ENTITY = "entity"  # rows that must stay together in a split
    KEY = "key"  # an identifier: regenerated, never modelled or compared
    TIME = "time"
    WEIGHT = "weight"


@dataclass(frozen=True, slots=True)
class Field:
    """One column of a record.

    Args:
        name: as the user's file has it, unique in its schema.
        kind: what a cell holds.
        role: what the field is for.
        storage: the Arrow type to write back, such as "int64" or "timestamp[us, tz=UTC]".
        unit: such as "years" or "USD"; None if not declared.
        levels: the admissible categories where they are declared or known, else None.
        low: smallest admissible number (datetimes: seconds since 1970), None if open.
        high: largest admissible number, None if open.
        nullable: whether a missing value is admissible.
        declared: which of these the user stated ("kind", "levels", "low" ...); all others were read off the data,
            and are no use where the data must not be seen unpaid.
    """

    name: str
    kind: Kind
    role: Role = Role.FEATURE
    storage: str = ""
    unit: str | None = None
    levels: tuple[str, ...] | None = None
    low: float | None = None
    high: float | None = None
    nullable: bool = True
    declared: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Schema:
    """The fields of a record, in file order; names are unique."""

    fields: tuple[Field, ...]
    modality: str = "tabular"

    def __post_init__(self) -> None:
        if len(set(self.names)) != len(self.fields):
            raise ValueError(f"field names are not unique: {self.names}")

    def __iter__(self) -> Iterator[Field]:
        return iter(self.fields)

    def __len__(self) -> int:
        return len(self.fields)

    def __contains__(self, name: object) -> bool:
        return any(field.name == name for field in self.fields)

    def __getitem__(self, name: str) -> Field:
        for field in self.fields:
            if field.name == name:
                return field
        raise UnknownName.among(name, self.names, what="column")

    @property
    def names(self) -> tuple[str, ...]:
        """Field names in file order."""
        return tuple(field.name for field in self.fields)

    def with_role(self, role: Role) -> tuple[Field, ...]:
        """The fields that have this role, in file order."""
        return tuple(field for field in self.fields if field.role is role)

    @property
    def target(self) -> Field | None:
        """The target field, or None where no target was declared."""
        return next(iter(self.with_role(Role.TARGET)), None)

    def select(self, names: Iterable[str]) -> Schema:
        """The same schema with only these fields, in this schema's order."""
        wanted = set(names)
        return Schema(tuple(f for f in self.fields if f.name in wanted), self.modality)

    def replaced(self, field: Field) -> Schema:
        """The same schema with the field of that name replaced.

        Raises:
            UnknownName: if there is no field of that name.
        """
        self[field.name]
        return Schema(tuple(field if f.name == field.name else f for f in self.fields), self.modality)
