"""Which synthetic rows to leave out: those that look least real, those whose label real rows contradict."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sterling.kernel.schema import Kind
from sterling.kernel.view import View
from sterling.stats.conditional import cross_predict, feature_matrix

if TYPE_CHECKING:
    from sterling.kernel.view import AnyArray, Bools, Floats

# A label is contradicted where a real row of that class is this surprising in one of twenty.
SURPRISING = 0.05
# Real rows of a class by which its own surprises are measured; fewer contradict nothing.
FEWEST_OF_CLASS = 20
FOLDS = 4


def most_real(chance: Floats, *, share: float) -> Bools:
    """[m] True for the share of rows that look most real; ties go by position.

    Args:
        chance: [m] that a row is real.
        share: of the rows that stays, above 0 to 1.

    >>> most_real(np.array([0.1, 0.9, 0.5, 0.4]), share=0.5).tolist()
    [False, True, True, False]
    """
    stays = np.zeros(chance.size, dtype=bool)
    stays[np.argsort(-chance, kind="stable")[: max(1, round(share * chance.size))]] = True
    return stays


def label_surprise(real: View, synthetic: View, *, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """How surprising each row's own target is to models of the real rows that did not see the row.

    Args:
        real: n rows whose target is known.
        synthetic: m rows whose target is known.
        rng: deals the folds.

    Returns:
        [n] and [m]: 1 minus the chance given to the row's own class, or the size of the error of a number; larger
        is more surprising.
    """
    target, other = real.target, synthetic.target
    assert target is not None
    assert other is not None
    matrix, categorical = feature_matrix(real, real.features)
    is_class = target.kind is Kind.CATEGORY
    codes = np.unique(target.values) if is_class else np.empty(0, dtype=np.int64)
    y = np.searchsorted(codes, target.values) if is_class else target.values
    judged = cross_predict(
        (matrix, categorical), y, feature_matrix(synthetic, synthetic.features)[0],
        classes=codes.size, folds=min(FOLDS, max(2, real.n // 2)), rng=rng,
    )  # fmt: skip
    if not is_class:
        return np.abs(target.values - judged.real), np.abs(other.values - judged.synthetic)
    known = np.isin(other.values, codes)
    place = np.where(known, np.searchsorted(codes, other.values), 0) % codes.size
    given = np.where(known, judged.synthetic[np.arange(other.values.size), place], 0.0)
    return 1 - judged.real[np.arange(y.size), y], 1 - given


def agreeing(real: View, synthetic: View, surprises: tuple[Floats, Floats]) -> Bools:
    """[m] True where a row's label is no more surprising than 95 % of the real rows of its class.

    Args:
        real: n rows.
        synthetic: m rows.
        surprises: from `label_surprise`.

    Returns:
        The rows that stay. Of other real rows about 5 % would go: the price of a wrong label is known beforehand.

    Source: class-conditional conformal prediction, Vovk, Gammerman & Shafer 2005, ch. 4.5.
    """
    target, other = real.target, synthetic.target
    assert target is not None
    assert other is not None
    if target.kind is not Kind.CATEGORY:
        return surprises[1] <= _limit(surprises[0])
    stays = np.ones(synthetic.n, dtype=bool)
    for code in np.unique(other.values):
        mine: AnyArray = target.values == code
        if mine.sum() >= FEWEST_OF_CLASS:
            stays[other.values == code] = surprises[1][other.values == code] <= _limit(surprises[0][mine])
    return stays


def _limit(surprise: Floats) -> float:
    if surprise.size < FEWEST_OF_CLASS:
        return np.inf
    return float(np.quantile(surprise, 1 - SURPRISING, method="higher"))
