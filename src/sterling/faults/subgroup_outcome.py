"""A group whose outcomes are wrong, hidden by others' being wrong the other way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pyarrow as pa

from sterling.kernel.estimate import Unmeasured
from sterling.kernel.protocols import Planted
from sterling.kernel.schema import Kind, Role
from sterling.stats import planting

if TYPE_CHECKING:
    from sterling.kernel.schema import Schema


@dataclass(frozen=True, slots=True)
class SubgroupOutcome:
    """Inside one group favourable outcomes turn unfavourable, outside as many turn the other way: no margin moves.

    Severity: share of the group's rarer outcome that is flipped.
    """

    title: ClassVar[str] = "a group's outcomes are wrong"
    severities: ClassVar[tuple[float, ...]] = (0.05, 0.15, 0.3, 0.5, 0.9)
    innocent: ClassVar[bool] = False
    expected: ClassVar[tuple[str, ...]] = ("outcome_gap", "label_loss", "label_errors")

    def plant(
        self, real: pa.Table, synthetic: pa.Table, *, schema: Schema, severity: float, rng: np.random.Generator
    ) -> Planted | Unmeasured:
        """Flip the rarer class inside a declared group (else a category of few levels), and compensate outside."""
        target = planting.target_of(real, synthetic, schema)
        if target is None:
            return planting.NO_TARGET
        index, words = planting.codes(synthetic, target.name)
        counts = np.bincount(index[index >= 0], minlength=len(words))
        if target.kind is not Kind.CATEGORY or counts.size < 2:
            return Unmeasured(f"{target.name} has no two classes", "declare a target of classes")
        common, rarer = np.argsort(-counts, kind="stable")[:2]
        groups = [
            (one, int(code))
            for one in _groups(planting.all_levels(real, synthetic, schema, kinds=(Kind.CATEGORY,)), schema)
            for code in np.flatnonzero((one.shares >= 0.05) & (one.shares <= 0.6))
        ]
        if not groups:
            return Unmeasured("no group holds between 5 % and 60 % of the rows", "declare one: --group COLUMN")
        column, code = groups[int(rng.integers(len(groups)))]
        inside = column.synthetic == code
        members, others = np.flatnonzero(inside & (index == rarer)), np.flatnonzero(~inside & (index == common))
        down = members[planting.share_of_rows(members.size, severity, rng)]
        up = rng.permutation(others)[: down.size]
        if not down.size or up.size < down.size:
            return planting.few(synthetic.num_rows, "too few outcomes could be flipped")
        changed = planting.with_cells(synthetic, target.name, down, words.take(pa.array(np.full(down.size, common))))
        changed = planting.with_cells(changed, target.name, up, words.take(pa.array(np.full(up.size, rarer))))
        return Planted(changed, (column.name,), 2 * int(down.size), f"{column.name}={column.labels[code]}")


def _groups(columns: Sequence[planting.Levels], schema: Schema) -> list[planting.Levels]:
    """The declared protected attributes; where there are none, the categories of few levels."""
    declared = [one for one in columns if schema[one.name].role is Role.GROUP]
    return declared or [one for one in columns if len(one.labels) <= 10]
