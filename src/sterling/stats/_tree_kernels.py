"""The compiled inner loops of `histogram_trees`; imports numba, so only that module imports it, and late."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numba import njit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sterling.kernel.view import Bools, Floats, Ints

    Codes = NDArray[np.uint8]
    Int32s = NDArray[np.int32]

compiled = njit(cache=True, nogil=True)

# One cut through noise gains as much as the node's impurity, on average; the best of m cuts gains more, and
# a column of many values would win every node that holds nothing but noise. What it may gain by that is
# taken off: about 2 impurity log(m). Without it, 20 % of an exclusive-or among noise is missed, with it none
# (6,000 rows); on census data it costs nothing.
LUCK = 2.0


@compiled
def grow(
    codes: Codes,
    features: Ints,
    categorical: Bools,
    outcome: Codes,
    classes: int,
    cumulative: bool,  # noqa: FBT001  numba compiles no keyword-only arguments
    min_leaf: int,
    max_depth: int,
) -> tuple[Int32s, Int32s, Int32s, Codes, Ints, int]:
    """Grow one tree; see `histogram_trees.grow_tree`. Returns arrays with room to spare, and how many nodes."""
    n = codes.shape[1]
    room = 2 * (n // min_leaf) + 3
    feature, children = np.full(room, -1, np.int32), np.full((room, 2), -1, np.int32)
    spans, masks = np.zeros((room, 2), np.int32), np.zeros((room, 32), np.uint8)
    depth, stack = np.zeros(room, np.int32), np.zeros(room, np.int32)
    order, spare = np.arange(n), np.empty(n, np.int64)
    histogram, counts = np.zeros((256, classes), np.float64), np.zeros(256, np.int64)
    side = np.zeros(256, np.bool_)
    spans[0, 1] = n
    nodes, waiting = 1, 1
    while waiting:
        waiting -= 1
        node = stack[waiting]
        start, end = spans[node, 0], spans[node, 1]
        if end - start < 2 * min_leaf or depth[node] >= max_depth:
            continue
        rows = order[start:end]
        best = best_split(codes, rows, features, categorical, outcome, cumulative, min_leaf, histogram, counts, side)
        if best < 0:
            continue
        middle = start + partition(codes[best], rows, side, spare)
        feature[node] = best
        pack(side, masks[node])
        for k in range(2):
            children[node, k] = nodes + k
            spans[nodes + k, 0] = start if k == 0 else middle
            spans[nodes + k, 1] = middle if k == 0 else end
            depth[nodes + k] = depth[node] + 1
            stack[waiting + k] = nodes + 1 - k
        nodes += 2
        waiting += 2
    return feature, children, spans, masks, order, nodes


@compiled
def best_split(
    codes: Codes,
    rows: Ints,
    features: Ints,
    categorical: Bools,
    outcome: Codes,
    cumulative: bool,  # noqa: FBT001
    min_leaf: int,
    histogram: Floats,
    counts: Ints,
    side: Bools,
) -> int:
    """The feature that splits best, or -1; `side` becomes True for the codes that go left."""
    n, classes = rows.size, histogram.shape[1]
    total, left = np.zeros(classes), np.empty(classes)
    present = np.empty(256, np.int64)
    for r in rows:
        total[outcome[r]] += 1.0
    accumulate(total, cumulative)
    if pure(total, n):
        return -1
    impurity = (np.sum(total) - squares(total) / n) / n
    best, chosen = -np.inf, -1
    for i in range(features.size):
        f = int(features[i])
        m = count(codes[f], rows, outcome, histogram, counts, present, cumulative)
        bins = present[:m]
        if categorical[f]:
            by_response(bins, histogram, counts, total)
        score, cut = scan(bins, histogram, counts, total, left, n, min_leaf)
        score -= LUCK * impurity * np.log(max(m, 1))
        if score > best:
            best, chosen = score, f
            choose(bins, cut, counts, bool(categorical[f]), side)
        for b in bins:
            counts[b] = 0
            histogram[b, :] = 0.0
    return chosen


@compiled
def count(
    column: Codes,
    rows: Ints,
    outcome: Codes,
    histogram: Floats,
    counts: Ints,
    present: Ints,
    cumulative: bool,  # noqa: FBT001
) -> int:
    """Fill the histogram of one feature; the codes that occur go to `present`, ascending; returns how many."""
    for r in rows:
        b = column[r]
        counts[b] += 1
        histogram[b, outcome[r]] += 1.0
    m = 0
    for b in range(256):
        if counts[b]:
            present[m] = b
            m += 1
            accumulate(histogram[b], cumulative)
    return m


@compiled
def accumulate(shares: Floats, cumulative: bool) -> None:  # noqa: FBT001
    """Class counts become counts of "this class or a lower one" where the classes have an order."""
    if cumulative:
        for k in range(1, shares.size):
            shares[k] += shares[k - 1]


@compiled
def squares(shares: Floats) -> float:
    """Sum of squares."""
    total = 0.0
    for x in shares:
        total += x * x
    return total


@compiled
def pure(total: Floats, n: int) -> bool:
    """Whether one class has all rows, be the counts plain or cumulative."""
    for x in total:  # noqa: SIM110  numba compiles no generators
        if 0 < x < n:
            return False
    return True


@compiled
def by_response(bins: Ints, histogram: Floats, counts: Ints, total: Floats) -> None:
    """Order the levels along the direction in which the most deviating of them leaves the node's class shares.

    A stand-in for the first principal component (Coppersmith, Hong & Hosking 1999); equal to the order by
    response, which is exact, where there are two classes. Ties keep the order of the codes.
    """
    classes, n = total.size, 0
    for b in bins:
        n += counts[b]
    peak, widest = bins[0], -1.0
    for b in bins:
        deviation = 0.0
        for k in range(classes):
            deviation += (histogram[b, k] - counts[b] * total[k] / n) ** 2
        if deviation > widest:
            peak, widest = b, deviation
    response = np.zeros(bins.size)
    for i in range(bins.size):
        for k in range(classes):
            response[i] += (histogram[peak, k] - counts[peak] * total[k] / n) * histogram[bins[i], k] / counts[bins[i]]
    for i in range(1, bins.size):  # insertion sort: few bins, stable, and quick to compile
        b, value, j = bins[i], response[i], i
        while j > 0 and response[j - 1] > value:
            bins[j], response[j] = bins[j - 1], response[j - 1]
            j -= 1
        bins[j], response[j] = b, value


@compiled
def scan(
    bins: Ints, histogram: Floats, counts: Ints, total: Floats, left: Floats, n: int, min_leaf: int
) -> tuple[float, int]:
    """Best score over the cuts of ordered bins, and after which bin it cuts; minus infinity if none is allowed."""
    best, cut, n_left = -np.inf, -1, 0
    left[:] = 0.0
    for i in range(bins.size - 1):
        b = bins[i]
        n_left += counts[b]
        below, above = 0.0, 0.0
        for k in range(left.size):
            left[k] += histogram[b, k]
            below += left[k] * left[k]
            above += (total[k] - left[k]) * (total[k] - left[k])
        if n_left < min_leaf or n - n_left < min_leaf:
            continue
        score = float(below / n_left + above / (n - n_left))
        if score > best:
            best, cut = score, i
    return best, cut


@compiled
def choose(bins: Ints, cut: int, counts: Ints, categorical: bool, side: Bools) -> None:  # noqa: FBT001
    """Note which codes go left; levels that this node never saw follow the larger part."""
    n_left, n = 0, 0
    for i in range(bins.size):
        n += counts[bins[i]]
        n_left += counts[bins[i]] if i <= cut else 0
    for b in range(256):
        side[b] = 2 * n_left > n if categorical else b <= bins[cut]
    for i in range(bins.size):
        side[bins[i]] = i <= cut


@compiled
def partition(column: Codes, rows: Ints, side: Bools, spare: Ints) -> int:
    """Move the rows that go left to the front, both parts in their old order; returns how many went."""
    left, right = 0, 0
    for r in rows:
        if side[column[r]]:
            rows[left] = r
            left += 1
        else:
            spare[right] = r
            right += 1
    for i in range(right):
        rows[left + i] = spare[i]
    return left


@compiled
def pack(side: Bools, mask: Codes) -> None:
    """256 truth values in 32 bytes."""
    for b in range(256):
        if side[b]:
            mask[b >> 3] |= np.uint8(1 << (b & 7))


@compiled
def descend(
    codes: Codes, feature: Int32s, children: Int32s, masks: Codes, stops: Floats, luck: Floats, ends: Int32s
) -> None:
    """Write the node in which each row of `codes` [d, n] ends; `luck` [n] in [0, 1) decides how far it goes."""
    for i in range(codes.shape[1]):
        node, on = 0, 1.0
        while feature[node] >= 0:
            on *= 1.0 - stops[node]
            if luck[i] >= on:
                break
            b = codes[feature[node], i]
            node = children[node, 0 if (masks[node, b >> 3] >> (b & 7)) & 1 else 1]
        ends[i] = node


@compiled
def left_out(outcome: Codes, classes: int, children: Int32s, spans: Int32s, pulls: Floats) -> tuple[Floats, Bools]:
    """How well every node says its donors' outcomes when each is left out in turn; see `histogram_trees.weighed`.

    Nodes are visited from top to bottom and left to right, so that one row of `expected` per depth suffices.
    Returns [pulls, nodes] log-likelihoods, and [nodes] whether all donors of a node agree.
    """
    nodes, p = children.shape[0], pulls.size
    said, pure_node = np.zeros((p, nodes)), np.zeros(nodes, np.bool_)
    stack, depth = np.zeros(nodes + 1, np.int32), np.zeros(nodes, np.int32)
    for node in range(nodes):
        if children[node, 0] >= 0:
            depth[children[node, 0]] = depth[children[node, 1]] = depth[node] + 1
    expected = np.full((depth.max() + 2, p, classes), 1.0 / classes)
    counts, waiting = np.zeros(classes, np.int64), 1
    while waiting:
        waiting -= 1
        node = stack[waiting]
        n = spans[node, 1] - spans[node, 0]
        counts[:] = 0
        for i in range(spans[node, 0], spans[node, 1]):
            counts[outcome[i]] += 1
        above, here = expected[depth[node]], expected[depth[node] + 1]
        here[:] = above
        for k in range(classes):
            if counts[k] == 0:
                continue
            pure_node[node] = counts[k] == n
            for q in range(p):
                here[q, k] = (counts[k] - 1 + pulls[q] * above[q, k]) / (n - 1 + pulls[q])
                said[q, node] += counts[k] * np.log(here[q, k])
        if children[node, 0] >= 0:
            stack[waiting], stack[waiting + 1] = children[node, 1], children[node, 0]
            waiting += 2
    return said, pure_node


@compiled
def stop_shares(said: Floats, children: Int32s, price: float) -> tuple[Floats, float]:
    """[nodes] the chance to stop at each node rather than below it, and the log-likelihood of the mixture."""
    best, stops = said.copy(), np.ones(said.size)
    for node in range(said.size - 1, -1, -1):
        if children[node, 0] < 0:
            continue
        gain = best[children[node, 0]] + best[children[node, 1]] - price - said[node]
        stops[node] = 1.0 / (1.0 + np.exp(min(gain, 700.0)))
        best[node] += max(gain, 0.0) + np.log1p(np.exp(-abs(gain))) - np.log(2.0)
    return stops, float(best[0])


@compiled
def sort_leaves(ids: Int32s, children: Int32s, spans: Int32s) -> None:
    """Order the donors of every leaf by value."""
    for node in range(spans.shape[0]):
        if children[node, 0] < 0:
            ids[spans[node, 0] : spans[node, 1]] = np.sort(ids[spans[node, 0] : spans[node, 1]])
