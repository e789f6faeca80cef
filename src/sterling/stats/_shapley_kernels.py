"""The compiled inner loops of `shapley`; imports numba, so only that module imports it, and late."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numba import njit

if TYPE_CHECKING:
    from sterling.kernel.view import Floats, Ints

compiled = njit(cache=True, nogil=True)


@compiled
def squared_distances(queries: Floats, t: int, players: Floats, out: Floats) -> None:
    """[n] squared distances of query t to every player."""
    for i in range(players.shape[0]):
        total = 0.0
        for j in range(players.shape[1]):
            gap = players[i, j] - queries[t, j]
            total += gap * gap
        out[i] = total


@compiled
def add_credits(
    players: Floats,
    labels: Floats,
    queries: Floats,
    truths: Floats,
    scale: float,
    k: int,
    groups: Ints,
    totals: Floats,
    squares: Floats,
    by_group: Floats,
) -> None:
    """Add up each player's Shapley value over the queries, and each group's per query.

    Args:
        players: [n, d] where the players lie.
        labels: [n] class numbers, or numbers.
        queries: [v, d] where the validation rows lie.
        truths: [v] their labels.
        scale: 0 for classes; else what a squared error of numbers is measured in.
        k: neighbours that vote.
        groups: [n, c] the group of each player, one partition a column; -1 for none.
        totals: [n] sums over the queries.
        squares: [n] sums of squares.
        by_group: [v, g] sums over the players of each group.
    """
    n = players.shape[0]
    near = np.empty(n)
    value = np.empty(n)
    for t in range(queries.shape[0]):
        squared_distances(queries, t, players, near)
        order = np.argsort(near, kind="mergesort")
        after, use_after = 0.0, 0.0
        for place in range(n - 1, -1, -1):
            i = order[place]
            if scale == 0.0:
                use = 1.0 if labels[i] == truths[t] else 0.0
            else:
                error = labels[i] - truths[t]
                use = 1.0 - error * error / scale
            if place == n - 1:
                after = use * min(k, n) / (k * n)
            else:
                after += (use - use_after) * min(k, place + 1) / (k * (place + 1))
            use_after = use
            value[i] = after
        for i in range(n):
            totals[i] += value[i]
            squares[i] += value[i] * value[i]
            for c in range(groups.shape[1]):
                if groups[i, c] >= 0:
                    by_group[t, groups[i, c]] += value[i]
