"""A block of rows written twice."""

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
class DuplicatedBlock:
    """A block of synthetic rows that stands in the file twice, in place of others.

    Severity: share of the rows that repeat others.
    """

    title: ClassVar[str] = "a block of rows stands twice"
    severities: ClassVar[tuple[float, ...]] = (0.002, 0.01, 0.03, 0.1, 0.3)
    innocent: ClassVar[bool] = False
    expected: ClassVar[tuple[str, ...]] = ("duplicates", "unique_values")

    def plant(
        self, real: pa.Table, synthetic: pa.Table, *, schema: Schema, severity: float, rng: np.random.Generator
    ) -> Planted | Unmeasured:
        """Overwrite one block of rows by another."""
        size = max(1, round(severity * synthetic.num_rows))
        if 2 * size > synthetic.num_rows:
            return planting.few(synthetic.num_rows, "no block can stand twice")
        start = int(rng.integers(synthetic.num_rows))
        block = (start + np.arange(2 * size)) % synthetic.num_rows
        return Planted(planting.with_rows(synthetic, block[size:], synthetic.take(pa.array(block[:size]))), (), size)
