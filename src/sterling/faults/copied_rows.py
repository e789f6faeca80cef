"""Rows that a generator has copied from what it learned from."""

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
class CopiedRows:
    """Exact copies of real rows among the synthetic ones.

    Severity: share of the synthetic rows that are such copies.
    """

    title: ClassVar[str] = "copies of real rows"
    severities: ClassVar[tuple[float, ...]] = (0.002, 0.005, 0.01, 0.03, 0.1)
    innocent: ClassVar[bool] = False
    expected: ClassVar[tuple[str, ...]] = ("copies", "nearest_record", "membership_inference")

    def plant(
        self, real: pa.Table, synthetic: pa.Table, *, schema: Schema, severity: float, rng: np.random.Generator
    ) -> Planted | Unmeasured:
        """Overwrite a share of rows by random real rows."""
        if not real.num_rows or not synthetic.num_rows:
            return planting.few(synthetic.num_rows, "there is nothing to copy")
        rows = planting.share_of_rows(synthetic.num_rows, severity, rng)
        if rows.size > real.num_rows:
            return planting.few(real.num_rows, f"{rows.size:,} different rows cannot be copied")
        donors = real.take(rng.permutation(real.num_rows)[: rows.size])
        return Planted(planting.with_rows(synthetic, rows, donors), (), int(rows.size))
