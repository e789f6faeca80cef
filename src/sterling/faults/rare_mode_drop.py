"""A level that is there in the real data is gone from the synthetic."""

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
class RareModeDrop:
    """One level of one category is gone from the synthetic rows.

    Severity: the level's share of the real rows, within a factor of two.
    """

    title: ClassVar[str] = "a rare level is gone"
    severities: ClassVar[tuple[float, ...]] = (0.003, 0.01, 0.03, 0.1)
    innocent: ClassVar[bool] = False
    expected: ClassVar[tuple[str, ...]] = ("rare_modes", "slice_coverage", "marginal_gap")

    def plant(
        self, real: pa.Table, synthetic: pa.Table, *, schema: Schema, severity: float, rng: np.random.Generator
    ) -> Planted | Unmeasured:
        """Remove all rows of a level; which one is chance among those of about that share."""
        found = planting.all_levels(real, synthetic, schema, kinds=(Kind.CATEGORY,))
        near = [(one, int(code)) for one in found for code in planting.nearly(one.shares, severity) if one.made[code]]
        if not near:
            return Unmeasured(f"no level of a category holds about {severity:.1%} of the rows", "try another severity")
        column, code = near[int(rng.integers(len(near)))]
        gone = column.synthetic == code
        return Planted(
            synthetic.filter(pa.array(~gone)), (column.name,), int(gone.sum()), f"{column.name}={column.labels[code]}"
        )
