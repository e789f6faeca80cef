"""Rare people repeated: real rows that occur once and look like few others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from sterling.kernel.estimate import Unmeasured
from sterling.kernel.protocols import Planted
from sterling.modalities import tabular
from sterling.stats import planting

if TYPE_CHECKING:
    import pyarrow as pa

    from sterling.kernel.schema import Schema


@dataclass(frozen=True, slots=True)
class MemorisedRareRow:
    """Exact copies of real rows that occur once and are rare: those that would tell on somebody.

    Severity: how many such copies, each of another row.
    """

    title: ClassVar[str] = "copies of rare unique real rows"
    severities: ClassVar[tuple[float, ...]] = (3.0, 10.0, 30.0, 100.0)
    innocent: ClassVar[bool] = False
    expected: ClassVar[tuple[str, ...]] = ("copies", "membership_inference", "nearest_record")

    def plant(
        self, real: pa.Table, synthetic: pa.Table, *, schema: Schema, severity: float, rng: np.random.Generator
    ) -> Planted | Unmeasured:
        """Overwrite so many rows by real rows of the rarest fiftieth of those that occur once."""
        count = round(severity)
        names = [f.name for f in planting.struck(real, synthetic, schema)]
        if not names or count * 10 > min(real.num_rows, synthetic.num_rows):
            return planting.few(min(real.num_rows, synthetic.num_rows), f"{count} copies would be more than a tenth")
        hashes = tabular.row_hashes(tabular.normalise(real.select(names)).table, names)
        _, place, times = np.unique(hashes, return_index=True, return_counts=True)
        unique = place[times == 1]
        rarity = np.zeros(real.num_rows)
        for one in planting.all_levels(real, synthetic, schema, parts=10):
            gone = float(np.mean(one.real < 0))
            # The last share stands for a missing cell, whose code is -1.
            rarity -= np.log(np.maximum(np.append(one.shares, gone), 1e-9))[one.real]
        rarest = unique[np.argsort(-rarity[unique], kind="stable")][: max(count, unique.size // 50)]
        if rarest.size < count:
            return planting.few(real.num_rows, f"only {rarest.size} rows occur once")
        rows = np.sort(rng.permutation(synthetic.num_rows)[:count])
        return Planted(planting.with_rows(synthetic, rows, real.take(rng.permutation(rarest)[:count])), (), count)
