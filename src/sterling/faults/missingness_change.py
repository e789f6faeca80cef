"""Cells that are missing more often than in the real rows."""

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
class MissingnessChange:
    """Cells of one column go missing; in half of the plants at random, else where another column is large or frequent.

    Severity: share of all rows whose cell goes missing.
    """

    title: ClassVar[str] = "more cells are missing"
    severities: ClassVar[tuple[float, ...]] = (0.005, 0.02, 0.05, 0.15)
    innocent: ClassVar[bool] = False
    expected: ClassVar[tuple[str, ...]] = ("marginal_gap", "two_sample_auc", "rule_violation")

    def plant(
        self, real: pa.Table, synthetic: pa.Table, *, schema: Schema, severity: float, rng: np.random.Generator
    ) -> Planted | Unmeasured:
        """Empty cells of one column."""
        columns = [f.name for f in planting.struck(real, synthetic, schema, Kind.CATEGORY, Kind.NUMBER)]
        if not columns:
            return Unmeasured("there is no feature to empty", "nothing to mend if there is none")
        name = planting.pick(columns, rng)
        count = max(1, round(severity * synthetic.num_rows))
        there = np.flatnonzero(synthetic.column(name).is_valid().to_numpy())
        if there.size < count:
            return planting.few(there.size, f"{count:,} cells of {name} cannot be emptied")
        order = rng.permutation(there)
        others = [one for one in planting.all_levels(real, synthetic, schema) if one.name != name]
        if others and rng.random() < 0.5:
            other = others[int(rng.integers(len(others)))]
            order = order[np.argsort(other.synthetic[order] != int(other.made.argmax()), kind="stable")]
        rows = np.sort(order[:count])
        cells = pa.nulls(count, synthetic.schema.field(name).type)
        return Planted(planting.with_cells(synthetic, name, rows, cells), (name,), count)
