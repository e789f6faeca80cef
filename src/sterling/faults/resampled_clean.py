"""Real and synthetic rows dealt anew: whatever differs then is chance."""

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
class ResampledClean:
    """Innocent: all rows shuffled together and dealt anew into "real" and "synthetic", so that nothing can differ.

    A permutation test of the whole judgement: an alarm is a false one by construction. No row is drawn twice.

    Severity: has none; 1 stands for "done".
    """

    title: ClassVar[str] = "rows dealt anew between both sides"
    severities: ClassVar[tuple[float, ...]] = (1.0,)
    innocent: ClassVar[bool] = True
    expected: ClassVar[tuple[str, ...]] = ()

    def plant(
        self, real: pa.Table, synthetic: pa.Table, *, schema: Schema, severity: float, rng: np.random.Generator
    ) -> Planted | Unmeasured:
        """Pool the rows of both tables and deal them out again, as many to each side as before."""
        shared = [name for name in real.column_names if name in synthetic.column_names]
        if not shared or not real.num_rows or not synthetic.num_rows:
            return planting.few(synthetic.num_rows, "there is nothing to deal")
        try:
            like = real.select(shared).schema
            pool = pa.concat_tables([real.select(shared), synthetic.select(shared).cast(like, safe=False)])
        except (*planting.NOT_CASTABLE, ValueError):
            return Unmeasured("both sets store their columns as different types", "store them as the same types")
        order = rng.permutation(pool.num_rows)
        dealt = [pool.take(pa.array(part)) for part in (order[: real.num_rows], order[real.num_rows :])]
        return Planted(dealt[1], (), synthetic.num_rows, real=dealt[0])
