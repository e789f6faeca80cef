"""A generator that never dares the extremes."""

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
class TailClipping:
    """The upper tail of one column is cut off: what lies beyond is set to the cut.

    Severity: share of rows in the tail.
    """

    title: ClassVar[str] = "a tail is cut off"
    severities: ClassVar[tuple[float, ...]] = (0.005, 0.02, 0.05, 0.1)
    innocent: ClassVar[bool] = False
    expected: ClassVar[tuple[str, ...]] = ("marginal_gap", "two_sample_auc", "coverage")

    def plant(
        self, real: pa.Table, synthetic: pa.Table, *, schema: Schema, severity: float, rng: np.random.Generator
    ) -> Planted | Unmeasured:
        """Set the largest values of one column to the smallest of them."""
        names = planting.quantities(real, synthetic, schema, distinct=10)
        columns = {name: planting.numbers(synthetic, name) for name in names}
        cut = {name: float(np.quantile(v[np.isfinite(v)], 1 - severity)) for name, v in columns.items()}
        beyond = {name: np.isfinite(v) & (v > cut[name]) for name, v in columns.items()}
        # A column whose top is one value repeated has no tail to cut; half of the wanted rows must lie there.
        fit = [name for name in names if beyond[name].sum() >= max(1.0, severity * synthetic.num_rows / 2)]
        if not fit:
            return Unmeasured("no column of numbers has such a tail", "try another severity")
        name = planting.pick(fit, rng)
        rows = np.flatnonzero(beyond[name])
        return Planted(
            planting.with_numbers(synthetic, name, rows, np.full(rows.size, cut[name])), (name,), int(rows.size)
        )
