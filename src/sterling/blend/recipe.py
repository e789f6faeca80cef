"""Weights row by row: which rows of a candidate enter a mix, and how heavily beside one another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sterling.kernel.estimate import Unmeasured

if TYPE_CHECKING:
    from sterling.kernel.view import AnyArray, Floats

# SCIENCE.md 3.7: weights that leave fewer than a tenth of the rows effective rest on a handful of them.
LEAST_EFFECTIVE = 0.1
PLAIN = "plain"


@dataclass(frozen=True, slots=True, eq=False)
class Recipe:
    """Multipliers on the weight of a candidate's rows.

    Args:
        variant: in words, such as "importance weights".
        rows: [m] >= 0, one per synthetic row; 0 leaves it out. None for all 1.
        real: [n] >= 0 for the real rows; None for all 1, as every variant has it but the 80/20 preset.
    """

    variant: str = PLAIN
    rows: Floats | None = None
    real: Floats | None = None

    def effective(self, m: int) -> float:
        """Effective number of the m rows, 0 to m; the more the better (see `effective_rows`)."""
        return float(m) if self.rows is None else effective_rows(self.rows)

    def masses(self, m: int, weight: float) -> Floats:
        """[m] weight of each row beside a real row of weight 1."""
        return np.full(m, weight) if self.rows is None else self.rows * weight


def effective_rows(weights: Floats) -> float:
    """How many rows of equal weight would average as well: (sum w)^2 / sum w^2.

    Args:
        weights: [m] >= 0.

    Returns:
        0 to m rows, the more the better.

    Source: Kish 1965, Survey Sampling.

    >>> effective_rows(np.array([1.0, 1.0, 0.0, 0.0]))
    2.0
    """
    total = float(np.square(weights).sum())
    return float(weights.sum()) ** 2 / total if total > 0 else 0.0


def refused(recipe: Recipe, m: int) -> Unmeasured | None:
    """Why a recipe rests on too few rows; None if it does not."""
    left = recipe.effective(m)
    if left >= max(1.0, LEAST_EFFECTIVE * m):
        return None
    return Unmeasured(
        f"{recipe.variant}: {m:,} rows count as {left:,.0f}, less than {LEAST_EFFECTIVE:.0%}",
        "generate rows that are more like the real ones",
    )


def scaled_to_one(weights: Floats) -> Floats:
    """Weights with mean 1 over all rows: a variant moves the mass of a candidate and does not change it."""
    mean = float(weights.mean()) if weights.size else 0.0
    return weights / mean if mean > 0 else weights


def kept(rows: AnyArray) -> Floats:
    """[m] 1 for the rows that stay, 0 for the others."""
    return np.asarray(rows, dtype=np.float64)
