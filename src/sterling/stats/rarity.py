"""How rare a record is: what its cells alone would say of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from sterling.kernel.schema import Kind
from sterling.kernel.view import Column
from sterling.stats.binning import bin_numbers, codes_of

if TYPE_CHECKING:
    from sterling.kernel.view import Floats

BINS = 10


def rarity(columns: Sequence[Column]) -> Floats:
    """[n] sum over columns of -log(share of the rows that have this cell), in nats; larger is rarer.

    Numbers count by the tenth of the rows they lie in, or by value where a value is common; a missing cell is a
    level. Columns that are unique to each row add the same to all of them, and so say nothing.

    Args:
        columns: of one view, each with n values.

    >>> from sterling.kernel.schema import Role
    >>> x = Column("x", Kind.CATEGORY, Role.FEATURE, np.array([0, 0, 0, 1]), ("a", "b"))
    >>> rarity([x]).round(2).tolist()
    [0.29, 0.29, 0.29, 1.39]
    """
    n = columns[0].values.size if columns else 0
    total = np.zeros(n)
    for column in columns:
        if column.kind is Kind.CATEGORY:
            codes = column.values + 1
        else:
            codes = codes_of(bin_numbers(column.values, most=BINS), column.values)
        total -= np.log(np.bincount(codes)[codes] / max(1, n))
    # Rounded, so that the order in which columns are added up tells no rows apart.
    return np.round(total, 9)
