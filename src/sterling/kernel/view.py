"""What a measure or a learner sees of a set: arrays, whatever the modality was."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeAlias

from sterling.kernel.errors import UnknownName
from sterling.kernel.schema import Kind, Role

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats: TypeAlias = NDArray[np.float64]
    Ints: TypeAlias = NDArray[np.int64]
    Bools: TypeAlias = NDArray[np.bool_]
    Hashes: TypeAlias = NDArray[np.uint64]
    AnyArray: TypeAlias = NDArray[Any]


class Need(StrEnum):
    """What a measure must be given; it never asks which modality gave it."""

    COLUMNS = "columns"
    EMBEDDING = "embedding"
    RECORDS = "records"  # columns or an embedding: anything by which two records can be compared
    HASHES = "hashes"
    SEQUENCE = "sequence"
    TARGET = "target"
    GROUPS = "groups"
    TIME = "time"
    ENTITIES = "entities"  # whose record each is: records of one entity hang together
    BENCHMARK = "benchmark"  # real rows set apart to score on
    HOLDOUT = "holdout"  # the same, and for certain unseen by the generator
    LEARNER = "learner"


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """One column of a view, in an encoding that is the same for all the sets encoded together.

    Args:
        name: the field's name.
        kind: NUMBER, DATETIME (float64 values, missing = NaN; datetimes as seconds since 1970, UTC)
            or CATEGORY (int64 codes into `levels`, missing = -1). No other kind occurs.
        role: what the field is for; KEY fields never reach a view.
        values: [n].
        levels: category names, in one order for all sets; None for numbers.
        unit: as declared.
        integer: numbers that were whole in the real data.
    """

    name: str
    kind: Kind
    role: Role
    values: AnyArray
    levels: tuple[str, ...] | None = None
    unit: str | None = None
    integer: bool = False

    @property
    def missing(self) -> Bools:
        """[n] True where the cell is missing."""
        import numpy as np

        return self.values < 0 if self.kind is Kind.CATEGORY else np.isnan(self.values)


@dataclass(frozen=True, slots=True, eq=False)
class TokenColumn:
    """What records say in words (or phones, or moves): n sequences of tokens, one under another.

    Args:
        name: the field's name.
        tokens: [t] int64 codes in a vocabulary shared by all the sets encoded together.
        starts: [n + 1] record i is `tokens[starts[i] : starts[i + 1]]`; a missing cell is empty.
    """

    name: str
    tokens: Ints
    starts: Ints

    def take(self, index: AnyArray) -> TokenColumn:
        """The records at these positions, in that order."""
        import numpy as np

        lengths = np.diff(self.starts)[index]
        starts = np.concatenate([[0], np.cumsum(lengths)])
        # Each token's place in the old array: its record's old start plus its place within the record.
        places = np.arange(starts[-1]) + np.repeat(self.starts[:-1][index] - starts[:-1], lengths)
        return TokenColumn(self.name, self.tokens[places], starts)


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """n records as arrays; what the modality does not offer is None.

    Args:
        n: how many records.
        fingerprint: of the set it is a view of.
        columns: the comparable columns: features, target, groups, time; never keys.
        embedding: [n, d] float64, one row per record.
        hashes: [n] one 64-bit hash per record: equal records have equal hashes in every set.
        sequences: fields that are sequences of tokens, such as free text.
        entities: [n] int64 whose record each is, the same number for the same name in all sets encoded together; a
            record that names none has a number of its own.
    """

    n: int
    fingerprint: str
    columns: tuple[Column, ...] | None = None
    embedding: Floats | None = None
    hashes: Hashes | None = None
    sequences: tuple[TokenColumn, ...] | None = None
    entities: Ints | None = None

    def column(self, name: str) -> Column:
        """The column of that name.

        Raises:
            UnknownName: if there is none.
        """
        for column in self.columns or ():
            if column.name == name:
                return column
        raise UnknownName.among(name, (c.name for c in self.columns or ()), what="column")

    def with_role(self, role: Role) -> tuple[Column, ...]:
        """The columns that have this role."""
        return tuple(c for c in self.columns or () if c.role is role)

    @property
    def target(self) -> Column | None:
        """The column a learner predicts, or None where none was declared."""
        return next(iter(self.with_role(Role.TARGET)), None)

    @property
    def known_target(self) -> Column:
        """The target of a view that is known to have one: a `Need.TARGET` was met.

        Raises:
            ValueError: if there is none, which is a mistake of the caller.
        """
        if self.target is None:
            raise ValueError("a view without a target came through")
        return self.target

    @property
    def features(self) -> tuple[Column, ...]:
        """The columns a learner may learn from: all but the target and the weights."""
        return tuple(c for c in self.columns or () if c.role not in (Role.TARGET, Role.WEIGHT, Role.ENTITY))

    @property
    def offers(self) -> frozenset[Need]:
        """Which needs this view meets by itself (BENCHMARK, HOLDOUT and LEARNER are the caller's to give)."""
        has = {
            Need.COLUMNS: bool(self.columns),
            Need.EMBEDDING: self.embedding is not None,
            Need.RECORDS: bool(self.columns) or self.embedding is not None,
            Need.HASHES: self.hashes is not None,
            Need.SEQUENCE: bool(self.sequences),
            Need.TARGET: self.target is not None,
            Need.GROUPS: bool(self.with_role(Role.GROUP)),
            Need.TIME: bool(self.with_role(Role.TIME)),
            Need.ENTITIES: self.entities is not None,
        }
        return frozenset(need for need, met in has.items() if met)

    def take(self, rows: AnyArray) -> View:
        """The records at these positions (or under this mask), in that order."""
        import numpy as np

        index = np.flatnonzero(rows) if rows.dtype == bool else rows
        return replace(
            self,
            n=int(index.size),
            columns=None if self.columns is None else tuple(replace(c, values=c.values[index]) for c in self.columns),
            embedding=None if self.embedding is None else self.embedding[index],
            hashes=None if self.hashes is None else self.hashes[index],
            sequences=None if self.sequences is None else tuple(t.take(index) for t in self.sequences),
            entities=None if self.entities is None else self.entities[index],
        )


def stack(views: Iterable[View]) -> View:
    """Views that were encoded together, one under another; fingerprints joined by "+"."""
    import numpy as np

    parts = list(views)
    first = parts[0]
    joined = [[v.columns[i].values for v in parts if v.columns] for i in range(len(first.columns or ()))]
    return View(
        n=sum(v.n for v in parts),
        fingerprint="+".join(v.fingerprint for v in parts),
        columns=first.columns
        and tuple(replace(c, values=np.concatenate(values)) for c, values in zip(first.columns, joined, strict=True)),
        embedding=_joined([v.embedding for v in parts]),
        hashes=_joined([v.hashes for v in parts]),
        sequences=first.sequences
        and tuple(_end_to_end([v.sequences[i] for v in parts if v.sequences]) for i in range(len(first.sequences))),
        entities=_joined([v.entities for v in parts]),
    )


def _end_to_end(parts: list[TokenColumn]) -> TokenColumn:
    import numpy as np

    lengths = np.concatenate([np.diff(p.starts) for p in parts])
    tokens = np.concatenate([p.tokens for p in parts])
    return TokenColumn(parts[0].name, tokens, np.concatenate([[0], np.cumsum(lengths)]))


def _joined(arrays: list[Any]) -> Any:
    import numpy as np

    return None if any(a is None for a in arrays) else np.concatenate(arrays)
