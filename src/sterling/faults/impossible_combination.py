"""Pairs of values that real rows never show."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
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
class ImpossibleCombination:
    """Rows that hold two values real rows never hold together, though each is common.

    Severity: share of rows that hold such a pair. The pair is missing from the real rows though at least
    `expected_rows` of them would hold it if the two columns had nothing to do with each other.
    """

    expected_rows: float = 20.0

    title: ClassVar[str] = "pairs that cannot be"
    severities: ClassVar[tuple[float, ...]] = (0.002, 0.005, 0.01, 0.03)
    innocent: ClassVar[bool] = False
    expected: ClassVar[tuple[str, ...]] = ("rule_violation", "two_sample_auc", "correlation_gap")

    def plant(
        self, real: pa.Table, synthetic: pa.Table, *, schema: Schema, severity: float, rng: np.random.Generator
    ) -> Planted | Unmeasured:
        """Give rows of one level a level of another column that never goes with it."""
        columns = planting.all_levels(real, synthetic, schema, parts=10)
        count = max(1, round(severity * synthetic.num_rows))
        pairs = list(_never(columns, real.num_rows, least=self.expected_rows, count=count))
        if not pairs:
            return Unmeasured("no two common values exclude each other in the real rows", "nothing to mend")
        a, i, b, j = pairs[int(rng.integers(len(pairs)))]
        rows = np.sort(rng.permutation(np.flatnonzero(a.synthetic == i))[:count])
        donors = rng.choice(np.flatnonzero(b.synthetic == j), size=count)
        cells = synthetic.column(b.name).take(pa.array(donors))
        named = f"{a.name}={a.labels[i]}&{b.name}={b.labels[j]}"
        return Planted(planting.with_cells(synthetic, b.name, rows, cells), (a.name, b.name), count, named)


def _never(
    columns: Sequence[planting.Levels], n: int, *, least: float, count: int
) -> Iterator[tuple[planting.Levels, int, planting.Levels, int]]:
    """Pairs of levels that never occur together, where chance alone would bring so many rows."""
    for a, b in itertools.permutations(columns, 2):
        shares, _ = planting.crossed(a, b)
        expected = n * np.outer(a.shares, b.shares)
        enough = (a.made >= count)[:, None] & (b.made > 0)[None, :]
        for i, j in np.argwhere((shares == 0) & (expected >= least) & enough):
            yield a, int(i), b, int(j)
