"""A number that part of the rows give in another unit."""

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
class UnitChange:
    """Part of one column is given in another unit.

    Severity: share of rows whose number is multiplied by `factor` (2.54: inches given as centimetres).
    """

    factor: float = 2.54

    title: ClassVar[str] = "a number in another unit"
    severities: ClassVar[tuple[float, ...]] = (0.005, 0.02, 0.05, 0.2)
    innocent: ClassVar[bool] = False
    expected: ClassVar[tuple[str, ...]] = ("marginal_gap", "two_sample_auc", "rule_violation")

    def plant(
        self, real: pa.Table, synthetic: pa.Table, *, schema: Schema, severity: float, rng: np.random.Generator
    ) -> Planted | Unmeasured:
        """Multiply a share of one column that is mostly not zero."""

        def filled(name: str) -> bool:
            values = planting.numbers(synthetic, name)
            return bool(np.nanmean(np.abs(values) > 0) > 0.5) if np.isfinite(values).any() else False

        names = [name for name in planting.quantities(real, synthetic, schema, distinct=5) if filled(name)]
        if not names:
            return planting.NO_NUMBER
        name = planting.pick(names, rng)
        values = planting.numbers(synthetic, name)
        some = planting.share_of_rows(synthetic.num_rows, severity, rng)
        rows = some[np.isfinite(values[some]) & (values[some] != 0)]
        if not rows.size:
            return planting.few(synthetic.num_rows, "no number is struck")
        with np.errstate(over="ignore"):
            changed = planting.with_numbers(synthetic, name, rows, values[rows] * self.factor)
        return Planted(changed, (name,), int(rows.size))
