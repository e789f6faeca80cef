"""A number that has drifted since the real data were taken."""

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
class Drift:
    """All numbers of one column are shifted.

    Severity: the shift in standard deviations; whole numbers move by whole steps in so many rows that their mean
    moves as far.
    """

    title: ClassVar[str] = "a number has shifted"
    severities: ClassVar[tuple[float, ...]] = (0.02, 0.05, 0.1, 0.2, 0.5)
    innocent: ClassVar[bool] = False
    expected: ClassVar[tuple[str, ...]] = ("marginal_gap", "two_sample_auc")

    def plant(
        self, real: pa.Table, synthetic: pa.Table, *, schema: Schema, severity: float, rng: np.random.Generator
    ) -> Planted | Unmeasured:
        """Shift one column of numbers up or down."""
        names = planting.quantities(real, synthetic, schema, distinct=5)
        if not names:
            return planting.NO_NUMBER
        name = planting.pick(names, rng)
        values = planting.numbers(synthetic, name)
        spread = planting.spread(planting.numbers(real, name))
        moved = values + severity * spread * (1 if rng.random() < 0.5 else -1)
        if pa.types.is_integer(synthetic.schema.field(name).type):
            moved = np.floor(moved + rng.random(values.size))
        struck = np.isfinite(values) & (moved != values)
        if not struck.any():
            return Unmeasured(f"{name} does not move by {severity:g} standard deviations", "try a larger severity")
        return Planted(planting.with_numbers(synthetic, name, struck, moved[struck]), (name,), int(struck.sum()))
