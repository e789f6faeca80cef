"""A category that part of the rows spell another way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pyarrow as pa

from sterling.kernel.estimate import Unmeasured
from sterling.kernel.protocols import Planted
from sterling.kernel.schema import Kind
from sterling.stats import planting

if TYPE_CHECKING:
    from sterling.kernel.schema import Schema


@dataclass(frozen=True, slots=True)
class CategorySpelling:
    """Part of one column of categories is spelled another way: other capitals, or a space at the end.

    Severity: share of rows that are struck.
    """

    title: ClassVar[str] = "a category spelled another way"
    severities: ClassVar[tuple[float, ...]] = (0.002, 0.005, 0.02, 0.1)
    innocent: ClassVar[bool] = False
    expected: ClassVar[tuple[str, ...]] = ("rule_violation", "marginal_gap", "unique_values")

    def plant(
        self, real: pa.Table, synthetic: pa.Table, *, schema: Schema, severity: float, rng: np.random.Generator
    ) -> Planted | Unmeasured:
        """Respell a share of the cells of one column of text."""
        names = [
            one.name
            for one in planting.all_levels(real, synthetic, schema, kinds=(Kind.CATEGORY,))
            if pa.types.is_string(synthetic.schema.field(one.name).type)
        ]
        if not names:
            return planting.NO_CATEGORY
        name = planting.pick(names, rng)
        respell = (str.upper, str.lower, lambda word: f"{word} ")[int(rng.integers(3))]
        index, words = planting.codes(synthetic, name)
        known = set(words.to_pylist())
        spelled = [w if respell(w) in known else respell(w) for w in words.to_pylist()]
        if all(a == b for a, b in zip(words.to_pylist(), spelled, strict=True)):
            spelled = [f"{w} " for w in words.to_pylist()]  # it is spelled in these capitals already
        rows = planting.share_of_rows(synthetic.num_rows, severity, rng)
        rows = rows[index[rows] >= 0]
        if not rows.size:
            return planting.few(synthetic.num_rows, "no cell is struck")
        cells = pa.array(spelled, pa.string()).take(pa.array(index[rows]))
        return Planted(planting.with_cells(synthetic, name, rows, cells), (name,), int(rows.size))
