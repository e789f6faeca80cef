"""A slice that takes two conditions to see is gone from the synthetic."""

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
class SliceDeletion:
    """All synthetic rows of one slice of two conditions are gone, while each condition alone is still there.

    Severity: the slice's share of the real rows, within a factor of 1.5.
    """

    title: ClassVar[str] = "a slice of two conditions is gone"
    severities: ClassVar[tuple[float, ...]] = (0.003, 0.01, 0.03, 0.1)
    innocent: ClassVar[bool] = False
    expected: ClassVar[tuple[str, ...]] = ("slice_coverage", "correlation_gap")

    def plant(
        self, real: pa.Table, synthetic: pa.Table, *, schema: Schema, severity: float, rng: np.random.Generator
    ) -> Planted | Unmeasured:
        """Remove the rows of a slice whose two conditions each hold at least twice its rows."""
        slices = list(_slices(planting.all_levels(real, synthetic, schema), severity))
        if not slices:
            return Unmeasured(
                f"no two conditions hold about {severity:.1%} of the rows together", "try another severity"
            )
        a, i, b, j = slices[int(rng.integers(len(slices)))]
        gone = (a.synthetic == i) & (b.synthetic == j)
        named = f"{a.name}={a.labels[i]}&{b.name}={b.labels[j]}"
        return Planted(synthetic.filter(pa.array(~gone)), (a.name, b.name), int(gone.sum()), named)


def _slices(
    columns: Sequence[planting.Levels], severity: float
) -> Iterator[tuple[planting.Levels, int, planting.Levels, int]]:
    """Pairs of levels of two columns that hold about this share, and neither of which is nearly the slice itself."""
    for a, b in itertools.combinations(columns, 2):
        shares, made = planting.crossed(a, b)
        alone = np.minimum(a.shares[:, None], b.shares[None, :])
        fits = (shares >= severity / 1.5) & (shares <= severity * 1.5) & (alone >= 2 * shares) & (made > 0)
        for i, j in np.argwhere(fits):
            yield a, int(i), b, int(j)
