"""Numbers stored a little differently, below anything that was measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sterling.kernel.estimate import Unmeasured
from sterling.kernel.protocols import Planted
from sterling.kernel.schema import Kind
from sterling.stats import planting

if TYPE_CHECKING:
    from sterling.kernel.schema import Schema


@dataclass(frozen=True, slots=True)
class FineRounding:
    """Innocent: numbers of one part in a billion off, and whole numbers stored with a decimal point.

    Severity: has none; 1 stands for "done".
    """

    title: ClassVar[str] = "noise below the unit"
    severities: ClassVar[tuple[float, ...]] = (1.0,)
    innocent: ClassVar[bool] = True
    expected: ClassVar[tuple[str, ...]] = ()

    def plant(
        self, real: pa.Table, synthetic: pa.Table, *, schema: Schema, severity: float, rng: np.random.Generator
    ) -> Planted | Unmeasured:
        """Multiply floating numbers by 1 + 1e-9 noise and store whole ones as floating."""
        names = [f.name for f in planting.struck(real, synthetic, schema, Kind.NUMBER)]
        names = [name for name in names if planting.is_numeric(synthetic, name)]
        if not names:
            return planting.NO_NUMBER
        changed = synthetic
        for name in names:
            column = synthetic.column(name)
            if pa.types.is_floating(column.type):
                noise = pa.array(1 + 1e-9 * rng.uniform(-1, 1, synthetic.num_rows))
                column = pc.multiply(column.cast(pa.float64()), pc.cast(noise, pa.float64()))
            changed = changed.set_column(changed.column_names.index(name), name, column.cast(pa.float64(), safe=False))
        return Planted(changed, (), synthetic.num_rows)
