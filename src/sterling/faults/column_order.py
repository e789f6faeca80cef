"""The same columns in another order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from sterling.kernel.estimate import Unmeasured
from sterling.kernel.protocols import Planted

if TYPE_CHECKING:
    import pyarrow as pa

    from sterling.kernel.schema import Schema


@dataclass(frozen=True, slots=True)
class ColumnOrder:
    """Innocent: the synthetic columns in another order.

    Severity: has none; 1 stands for "done".
    """

    title: ClassVar[str] = "columns in another order"
    severities: ClassVar[tuple[float, ...]] = (1.0,)
    innocent: ClassVar[bool] = True
    expected: ClassVar[tuple[str, ...]] = ()

    def plant(
        self, real: pa.Table, synthetic: pa.Table, *, schema: Schema, severity: float, rng: np.random.Generator
    ) -> Planted | Unmeasured:
        """Shuffle the columns."""
        if synthetic.num_columns < 2:
            return Unmeasured("there is one column only", "nothing to mend")
        order = rng.permutation(synthetic.num_columns)
        order = np.roll(order, 1) if np.array_equal(order, np.arange(order.size)) else order
        return Planted(synthetic.select([synthetic.column_names[i] for i in order]), (), synthetic.num_rows)
