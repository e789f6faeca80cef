"""Copies of real rows with a little noise, so that no exact match finds them."""

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
class NearCopiedRows:
    """Copies of real rows in which every number is jittered a little; without numbers, one category is redrawn.

    Severity: share of the synthetic rows that are such copies. Numbers move by up to `jitter` standard
    deviations, whole numbers by at most one step more. Zeros and other values that many rows share stay, and
    so do columns of fewer than `fewest_values` values: they stand for something, and jitter would give it away.
    """

    jitter: float = 0.02
    fewest_values: int = 30

    title: ClassVar[str] = "jittered copies of real rows"
    severities: ClassVar[tuple[float, ...]] = (0.01, 0.03, 0.1, 0.3)
    innocent: ClassVar[bool] = False
    expected: ClassVar[tuple[str, ...]] = ("near_copies", "nearest_record", "membership_inference")

    def plant(
        self, real: pa.Table, synthetic: pa.Table, *, schema: Schema, severity: float, rng: np.random.Generator
    ) -> Planted | Unmeasured:
        """Overwrite a share of rows by real rows, each changed a little."""
        if not real.num_rows or not synthetic.num_rows:
            return planting.few(synthetic.num_rows, "there is nothing to copy")
        rows = planting.share_of_rows(synthetic.num_rows, severity, rng)
        if rows.size > real.num_rows:
            return planting.few(real.num_rows, f"{rows.size:,} different rows cannot be copied")
        donors = real.take(rng.permutation(real.num_rows)[: rows.size])
        columns = planting.quantities(real, synthetic, schema, distinct=self.fewest_values)
        for name in columns:
            known, values = planting.numbers(real, name), planting.numbers(donors, name)
            free = np.flatnonzero(~np.isin(values, planting.atoms(known)) & np.isfinite(values))
            step = self.jitter * planting.spread(known)
            # A quarter of a unit more, so that whole numbers, too, leave their place now and then.
            step += 0.75 * pa.types.is_integer(real.schema.field(name).type)
            jittered = values[free] + step * rng.uniform(-1, 1, free.size)
            ends = np.nanmin(known), np.nanmax(known)
            donors = planting.with_numbers(donors, name, free, np.clip(jittered, *ends))
        if not columns:
            categories = planting.struck(real, synthetic, schema, Kind.CATEGORY)
            if not categories:
                return planting.NO_CATEGORY
            name = categories[int(rng.integers(len(categories)))].name
            donors = planting.with_cells(
                donors,
                name,
                np.arange(rows.size),
                real.column(name).take(pa.array(rng.integers(real.num_rows, size=rows.size))),
            )
        return Planted(planting.with_rows(synthetic, rows, donors), (), int(rows.size))
