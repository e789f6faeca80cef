"""Labels that are wrong one way only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pyarrow as pa

from sterling.kernel.estimate import Unmeasured
from sterling.kernel.protocols import Planted
from sterling.kernel.schema import Kind
from sterling.stats import planting

if TYPE_CHECKING:
    from sterling.kernel.schema import Schema


@dataclass(frozen=True, slots=True)
class OneDirectionalLabels:
    """Wrong labels that all err one way: rows of the second commonest class pass as the commonest, or numbers rise.

    Severity: share of the second commonest class (of all rows, where the target is a number) whose label is wrong.
    """

    title: ClassVar[str] = "labels wrong one way"
    severities: ClassVar[tuple[float, ...]] = (0.02, 0.05, 0.1, 0.2, 0.4)
    innocent: ClassVar[bool] = False
    expected: ClassVar[tuple[str, ...]] = ("label_loss", "label_errors", "marginal_gap")

    def plant(
        self, real: pa.Table, synthetic: pa.Table, *, schema: Schema, severity: float, rng: np.random.Generator
    ) -> Planted | Unmeasured:
        """Turn a share of the second commonest class into the commonest; raise numbers by one standard deviation."""
        target = planting.target_of(real, synthetic, schema)
        if target is None:
            return planting.NO_TARGET
        if target.kind is Kind.NUMBER and planting.is_numeric(synthetic, target.name):
            rows = planting.share_of_rows(synthetic.num_rows, severity, rng)
            values = planting.numbers(synthetic, target.name)
            raised = planting.with_numbers(synthetic, target.name, rows, values[rows] + planting.spread(values))
            return Planted(raised, (target.name,), int(rows.size))
        index, words = planting.codes(synthetic, target.name)
        counts = np.bincount(index[index >= 0], minlength=len(words))
        if counts.size < 2:
            return Unmeasured(f"{target.name} has one class only", "give rows of at least two classes")
        common, rarer = np.argsort(-counts, kind="stable")[:2]
        members = np.flatnonzero(index == rarer)
        rows = members[planting.share_of_rows(members.size, severity, rng)]
        cells = words.take(pa.array(np.full(rows.size, common)))
        return Planted(planting.with_cells(synthetic, target.name, rows, cells), (target.name,), int(rows.size))
