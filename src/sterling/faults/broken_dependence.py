"""A column whose own distribution is right and that no longer goes with the others."""

from __future__ import annotations

import itertools
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
class BrokenDependence:
    """One column shuffled among rows: its own distribution stays, what it had to do with other columns goes.

    Severity: share of the rows among which it is shuffled.
    """

    weakest: float = 0.15

    title: ClassVar[str] = "a column no longer goes with the others"
    severities: ClassVar[tuple[float, ...]] = (0.05, 0.1, 0.25, 0.5, 1.0)
    innocent: ClassVar[bool] = False
    expected: ClassVar[tuple[str, ...]] = ("correlation_gap", "two_sample_auc", "label_loss")

    def plant(
        self, real: pa.Table, synthetic: pa.Table, *, schema: Schema, severity: float, rng: np.random.Generator
    ) -> Planted | Unmeasured:
        """Shuffle one of the columns that depend on others; which one is chance among the more dependent half."""
        columns = planting.all_levels(real, synthetic, schema, parts=8)
        if len(columns) < 2:
            return Unmeasured("fewer than two columns could depend on each other", "nothing to mend")
        strength = np.zeros((len(columns), len(columns)))
        for i, j in itertools.combinations(range(len(columns)), 2):
            strength[i, j] = strength[j, i] = planting.association(columns[i], columns[j])
        best = strength.max(axis=1, initial=0.0)
        fit = np.flatnonzero((best >= self.weakest) & (best >= np.median(best)))
        if not fit.size:
            return Unmeasured("no two columns depend on each other enough to break it", "nothing to mend")
        chosen = int(fit[rng.integers(fit.size)])
        rows = planting.share_of_rows(synthetic.num_rows, severity, rng)
        name, partner = columns[chosen].name, columns[int(strength[chosen].argmax())].name
        cells = synthetic.column(name).take(pa.array(rng.permutation(rows)))
        return Planted(planting.with_cells(synthetic, name, rows, cells), (name, partner), int(rows.size))
