"""What each training row adds to the votes of nearest neighbours: exact Shapley values, in closed form.

The game: players are training rows, and a set of players is worth, at one validation row, the mean use of its k nearest
members (divided by k also where there are fewer). A neighbour of a class is of use 1 where it has the right class, else
0; a neighbour with a number is of use 1 minus its squared error as a share of the error that a row picked at random
would make. The value of a row is its mean over the validation rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from sterling.kernel.view import AnyArray, Floats, Ints

NEIGHBOURS = 10


@dataclass(frozen=True, slots=True, eq=False)
class Credits:
    """Shapley values of n players.

    Args:
        values: [n] mean over the validation rows; above 0 helps. They add up to what all players together are worth.
        errors: [n] standard error of each, over validation rows.
        by_group: [v, g] per validation row, the sum over the players of each group.
    """

    values: Floats
    errors: Floats
    by_group: Floats


def neighbour_credits(
    players: Floats,
    labels: AnyArray,
    queries: Floats,
    truths: AnyArray,
    *,
    scale: float | None,
    groups: Ints,
    rng: np.random.Generator,
    k: int = NEIGHBOURS,
) -> Credits:
    """Exact Shapley values of training rows for k nearest neighbours, in O(n log n) per validation row.

    Args:
        players: [n, d] finite; nearness is Euclidean.
        labels: [n] class numbers, or finite numbers.
        queries: [v, d] validation rows in the same space.
        truths: [v] their labels.
        scale: None for classes; else the mean squared difference of two labels picked at random, > 0.
        groups: [n, c] whole numbers from 0 on, each column a partition with numbers of its own; -1 for no group.
        rng: players at equal distance stand in random order, the same for all validation rows.
        k: neighbours that vote, >= 1.

    Source: Jia et al. 2019, arXiv:1908.08619, theorem 1; the recursion holds for any use that a neighbour has by
        itself, so also for 1 minus a squared error.
    """
    from sterling.stats import _shapley_kernels as kernels

    n, v = players.shape[0], queries.shape[0]
    order = rng.permutation(n)
    back = np.argsort(order)
    totals, squares = np.zeros(n), np.zeros(n)
    by_group = np.zeros((v, int(groups.max(initial=-1)) + 1))
    if n and v:
        kernels.add_credits(
            np.ascontiguousarray(players[order], dtype=np.float64),
            labels[order].astype(np.float64),
            np.ascontiguousarray(queries, dtype=np.float64),
            truths.astype(np.float64),
            0.0 if scale is None else scale,
            k,
            np.ascontiguousarray(groups[order]),
            totals,
            squares,
            by_group,
        )
    mean = totals / max(1, v)
    spread = np.maximum(squares / max(1, v) - np.square(mean), 0.0)
    return Credits(mean[back], np.sqrt(spread / max(1, v - 1))[back], by_group)


def label_scale(labels: Floats) -> float:
    """The mean squared difference of two numbers picked at random: twice their variance; 1 where all are equal."""
    return 2 * float(np.var(labels)) or 1.0
