"""Labels that are wrong at random."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from sterling.kernel.estimate import Unmeasured
from sterling.kernel.protocols import Planted
from sterling.stats import planting

if TYPE_CHECKING:
    import pyarrow as pa

    from sterling.kernel.schema import Schema


@dataclass(frozen=True, slots=True)
class LabelNoise:
    """Wrong labels, spread evenly over all rows.

    Severity: share of rows whose label is wrong: another class, or the number of a random other row.
    """

    title: ClassVar[str] = "labels wrong at random"
    severities: ClassVar[tuple[float, ...]] = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2)
    innocent: ClassVar[bool] = False
    expected: ClassVar[tuple[str, ...]] = ("label_loss", "label_errors")

    def plant(
        self, real: pa.Table, synthetic: pa.Table, *, schema: Schema, severity: float, rng: np.random.Generator
    ) -> Planted | Unmeasured:
        """Give a random share of rows another label."""
        target = planting.target_of(real, synthetic, schema)
        if target is None:
            return planting.NO_TARGET
        rows = planting.share_of_rows(synthetic.num_rows, severity, rng)
        changed = planting.flipped(synthetic, target, rows, rng)
        return changed if isinstance(changed, Unmeasured) else Planted(changed, (target.name,), int(rows.size))
