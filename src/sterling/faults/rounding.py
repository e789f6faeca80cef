"""Numbers on a coarser grid than the real ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pyarrow as pa

from sterling.kernel.estimate import Unmeasured
from sterling.kernel.protocols import Planted
from sterling.stats import planting

if TYPE_CHECKING:
    from sterling.kernel.schema import Schema


@dataclass(frozen=True, slots=True)
class Rounding:
    """One column of numbers is rounded to a coarser grid.

    Severity: the grid in standard deviations; for whole numbers at least two steps.
    """

    title: ClassVar[str] = "numbers are rounded"
    severities: ClassVar[tuple[float, ...]] = (0.05, 0.1, 0.25, 0.5, 1.0)
    innocent: ClassVar[bool] = False
    expected: ClassVar[tuple[str, ...]] = ("marginal_gap", "unique_values", "two_sample_auc")

    def plant(
        self, real: pa.Table, synthetic: pa.Table, *, schema: Schema, severity: float, rng: np.random.Generator
    ) -> Planted | Unmeasured:
        """Round one column that has many values."""
        names = planting.quantities(real, synthetic, schema, distinct=20)
        if not names:
            return Unmeasured("no column of numbers has 20 values to round", "nothing to mend if there is none")
        name = planting.pick(names, rng)
        values = planting.numbers(synthetic, name)
        grid = severity * planting.spread(planting.numbers(real, name))
        if pa.types.is_integer(synthetic.schema.field(name).type):
            grid = max(2.0, round(grid))
        if not grid > 0:
            return Unmeasured(f"{name} has no spread to round by", "nothing to mend")
        rounded = np.rint(values / grid) * grid
        struck = np.isfinite(values) & (rounded != values)
        if not struck.any():
            return Unmeasured(f"{name} lies on a grid of {grid:g} already", "try a larger severity")
        return Planted(planting.with_numbers(synthetic, name, struck, rounded[struck]), (name,), int(struck.sum()))
