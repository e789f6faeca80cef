"""Labels that are wrong in one slice alone."""

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
class ClusteredLabels:
    """Wrong labels, all of them in one slice.

    Severity: share of all rows whose label is wrong; the slice holds 1.25 to 10 times as many rows, as
    few as there are such slices.
    """

    title: ClassVar[str] = "labels wrong in one slice"
    severities: ClassVar[tuple[float, ...]] = (0.005, 0.01, 0.02, 0.05, 0.1)
    innocent: ClassVar[bool] = False
    expected: ClassVar[tuple[str, ...]] = ("label_loss", "label_errors", "outcome_gap")

    def plant(
        self, real: pa.Table, synthetic: pa.Table, *, schema: Schema, severity: float, rng: np.random.Generator
    ) -> Planted | Unmeasured:
        """Give rows of one level, or of one range of a number, another label."""
        target = planting.target_of(real, synthetic, schema)
        if target is None:
            return planting.NO_TARGET
        count = max(1, round(severity * synthetic.num_rows))
        large = [
            (int(one.made[code]), one, int(code))
            for one in planting.all_levels(real, synthetic, schema)
            for code in np.flatnonzero((one.made >= 1.25 * count) & (one.made <= 10 * count))
        ]
        if not large:
            return Unmeasured(f"no slice can hold wrong labels for {severity:.1%} of the rows", "try another severity")
        smallest = min(size for size, _, _ in large)
        fits = [(one, code) for size, one, code in large if size <= 2 * smallest]
        column, code = fits[int(rng.integers(len(fits)))]
        inside = np.flatnonzero(column.synthetic == code)
        rows = np.sort(rng.permutation(inside)[:count])
        changed = planting.flipped(synthetic, target, rows, rng)
        if isinstance(changed, Unmeasured):
            return changed
        return Planted(changed, (column.name,), int(rows.size), f"{column.name}={column.labels[code]}")
