"""The same rows in another order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pyarrow as pa

from sterling.kernel.estimate import Unmeasured
from sterling.kernel.protocols import Planted

if TYPE_CHECKING:
    from sterling.kernel.schema import Schema


@dataclass(frozen=True, slots=True)
class RowOrder:
    """Innocent: the synthetic rows in another order.

    Severity: has none; 1 stands for "done".
    """

    title: ClassVar[str] = "rows in another order"
    severities: ClassVar[tuple[float, ...]] = (1.0,)
    innocent: ClassVar[bool] = True
    expected: ClassVar[tuple[str, ...]] = ()

    def plant(
        self, real: pa.Table, synthetic: pa.Table, *, schema: Schema, severity: float, rng: np.random.Generator
    ) -> Planted | Unmeasured:
        """Shuffle the rows."""
        order = rng.permutation(synthetic.num_rows)
        return Planted(synthetic.take(pa.array(order)), (), int((order != np.arange(order.size)).sum()))
