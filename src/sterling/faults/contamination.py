"""Rows of noise among good ones."""

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
class Contamination:
    """Rows in which every column is drawn by itself: each value is real, no row is.

    Severity: share of such rows.
    """

    title: ClassVar[str] = "rows of independent noise"
    severities: ClassVar[tuple[float, ...]] = (0.01, 0.03, 0.1, 0.25)
    innocent: ClassVar[bool] = False
    expected: ClassVar[tuple[str, ...]] = ("two_sample_auc", "correlation_gap", "rule_violation")

    def plant(
        self, real: pa.Table, synthetic: pa.Table, *, schema: Schema, severity: float, rng: np.random.Generator
    ) -> Planted | Unmeasured:
        """Overwrite a share of rows, column by column, by cells of random rows."""
        if synthetic.num_rows < 2 or synthetic.num_columns < 2:
            return planting.few(synthetic.num_rows, f"{synthetic.num_columns} columns cannot be mixed up")
        rows = planting.share_of_rows(synthetic.num_rows, severity, rng)
        changed = synthetic
        for name in synthetic.column_names:
            donors = pa.array(rng.integers(synthetic.num_rows, size=rows.size))
            changed = planting.with_cells(changed, name, rows, synthetic.column(name).take(donors))
        return Planted(changed, (), int(rows.size))
