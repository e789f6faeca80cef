"""The compiled inner loops of `boosting`; imports numba, so only that module imports it, and late.

A word holds the codes of eight columns of one row, so that one load serves eight histograms. Gradients become
whole numbers, packed with the hessian and a count of one into 64 bits: one addition updates a bin, sums do not
depend on their order, and a histogram less its child's is exact. Leaf values are sums of the floats themselves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numba import njit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sterling.kernel.view import Bools, Floats, Ints

    Int32s = NDArray[np.int32]
    Words = NDArray[np.uint64]

compiled = njit(cache=True, nogil=True, error_model="numpy")

BINARY, CLASSES, SQUARED = 0, 1, 2
# Bits of a packed number: 16 for the count, 24 for the hessian, 24 for the gradient with its sign. After so many
# rows a packed histogram is added to a wide one, before a count could overflow.
SEGMENT = 32768
FULL_SCALE = 2.0**23 - SEGMENT
LANES = 8
# Adding this to a float leaves its nearest whole number in the low bits.
MAGIC = 1.5 * 2.0**52
# Levels of fewer rows than this in a node are judged together; a level's mean gradient is shrunk to the node's as
# by so much hessian (scikit-learn's figures for both).
RARE_LEVEL, SMOOTH = 10, 10.0
LEAST_HESSIAN = 1e-3
# Levels in the order of their own noise gain 2/pi of a noisy split each (the best halves of k normal numbers): what
# luck gives is taken off where columns and leaves are compared, or else many-valued columns win everywhere. On
# flights (102 and 15 levels) R2 rises from .088 to .111, on adult and diamonds log loss falls by .001 and .005.
LUCK = 2 / np.pi
# A gain that is this small a part of the score is rounding.
LEAST_GAIN = 1e-9
CHUNK = 256
# What the state of a leaf holds, in this order.
START, END, NODE, COLUMN, DEPTH = 0, 1, 2, 3, 4


@compiled
def boost(
    words: Words,
    y: Floats,
    weight: Floats,
    held_words: Words,
    held_y: Floats,
    held_weight: Floats,
    sizes: Ints,
    categorical: Bools,
    kind: int,
    raw: Floats,
    held_raw: Floats,
    rounds: int,
    leaves: int,
    min_leaf: int,
    patience: int,
    most_blocks: int,
    rate: float,
    l2: float,
) -> tuple[Int32s, Int32s, Words, Floats, Int32s, Int32s, Floats]:
    """Grow all trees; see `boosting.boost`. Returns the model's arrays, and the held loss after each round.

    `raw` [scores, n] and `held_raw` [scores, m] are the raw scores to start from; they are added to.
    """
    n, m = y.size, held_y.size
    scores: int = raw.shape[0]
    trees, room = rounds * scores, rounds * scores * (2 * leaves - 1)
    column, children, value = np.zeros(room, np.int32), np.zeros((room, 2), np.int32), np.zeros(room)
    masks, roots, depths = np.zeros((room, 4), np.uint64), np.zeros(trees + 1, np.int32), np.zeros(trees, np.int32)
    chance, g, h = np.empty((scores, n)), np.empty(n), np.empty(n)
    quanta, order, spare = np.empty(n, np.int64), np.arange(n).astype(np.int32), np.empty(n, np.int32)
    worth, blocks = np.zeros(words.shape[0]), np.arange(min(most_blocks, words.shape[0]))
    histograms = np.empty((leaves, room_for(sizes, blocks.size), 3))
    losses = np.zeros(rounds + 1)
    losses[0], best, done = loss_of(held_raw, held_y, held_weight, kind), 0, 0
    while done < rounds and (m == 0 or done - best < patience):
        chances(raw, chance, kind)
        for k in range(scores):
            t = done * scores + k
            gradients(chance[k], y, weight, k, kind, g, h)
            limits = quantise(g, h, quanta, l2)
            if done == 0:
                appraise(words, order, quanta, sizes, categorical, histograms[0], limits, min_leaf, blocks, worth)
            choose(worth, t, blocks)
            state, made, nodes, depths[t] = grow(
                words, order, spare, quanta, sizes, categorical, histograms, limits, min_leaf, blocks, worth,
                roots[t], column, children, masks,
            )  # fmt: skip
            roots[t + 1] = roots[t] + nodes
            settle(order, state, made, g, h, rate, l2, value, raw[k])
            add_tree(held_words, roots[t], depths[t], column, children, masks, value, held_raw[k])
        done += 1
        losses[done] = loss_of(held_raw, held_y, held_weight, kind)
        best = done if losses[done] < losses[best] else best
    used, trees = roots[done * scores], done * scores
    return (
        column[:used].copy(), children[:used].copy(), masks[:used].copy(), value[:used].copy(),
        roots[: trees + 1].copy(), depths[:trees].copy(), losses[: done + 1].copy(),
    )  # fmt: skip


@compiled
def room_for(sizes: Ints, blocks: int) -> int:
    """Codes that the widest so many blocks of columns can have together, to be on the safe side."""
    widest = 1
    for size in sizes:
        widest = max(widest, size)
    return min(widest * blocks * LANES, sizes.sum())


@compiled
def appraise(
    words: Words,
    order: Int32s,
    quanta: Ints,
    sizes: Ints,
    categorical: Bools,
    histogram: Floats,
    limits: Floats,
    min_leaf: int,
    blocks: Ints,
    worth: Floats,
) -> None:
    """Before the first tree, where there are more blocks of columns than a tree looks at: what each would gain."""
    side, some = np.zeros(4, np.uint64), blocks.copy()
    for first in range(0, worth.size if blocks.size < worth.size else 0, blocks.size):
        for i in range(blocks.size):
            some[i] = (first + i) % worth.size
        count(words, order, 0, order.size, quanta, sizes, some, histogram)
        best_split(histogram, sizes, categorical, limits, min_leaf, some, worth, side)


@compiled
def choose(worth: Floats, tree: int, blocks: Ints) -> None:
    """The blocks of columns that a tree looks at: one half by what they gained last, the others in turn."""
    if blocks.size == worth.size:
        return
    taken = np.zeros(worth.size, np.bool_)
    for i in range(blocks.size):
        at = -1
        if i < (blocks.size + 1) // 2:
            for b in range(worth.size):
                at = b if not taken[b] and (at < 0 or worth[b] > worth[at]) else at
        else:
            at = (tree * (blocks.size // 2) + i) % worth.size
            while taken[at]:
                at = (at + 1) % worth.size
        taken[at] = True
        blocks[i] = at


@compiled
def start_from(base: Floats, n: int) -> Floats:
    """[scores, n] the raw scores before the first tree."""
    raw = np.empty((base.size, n))
    for k in range(base.size):
        for i in range(n):
            raw[k, i] = base[k]
    return raw


@compiled
def exponentials(out: Floats) -> None:
    """Exp of each number, in place, to 1e-15 or so: by arithmetic alone, so that it hangs on no maths library."""
    for i in range(out.size):
        v = min(max(out[i], -700.0), 700.0)
        shifted = v * 1.4426950408889634 + MAGIC
        k = shifted - MAGIC
        r = v - k * 6.93147180369123816490e-01 - k * 1.90821492927058770002e-10
        p = 1.0 / 6227020800.0
        p = p * r + 1.0 / 479001600.0
        p = p * r + 1.0 / 39916800.0
        p = p * r + 1.0 / 3628800.0
        p = p * r + 1.0 / 362880.0
        p = p * r + 1.0 / 40320.0
        p = p * r + 1.0 / 5040.0
        p = p * r + 1.0 / 720.0
        p = p * r + 1.0 / 120.0
        p = p * r + 1.0 / 24.0
        p = p * r + 1.0 / 6.0
        p = p * r + 0.5
        p = p * r + 1.0
        p = p * r + 1.0
        # 2**k: k stands in the low bits of `shifted`, and moves to where the exponent is.
        power = (np.float64(shifted).view(np.int64) << 52) + 0x3FF0000000000000
        out[i] = p * np.int64(power).view(np.float64)


@compiled
def chances(raw: Floats, out: Floats, kind: int) -> None:
    """What raw scores say: the chance of the second class, of each class, or the number itself."""
    scores, n = raw.shape
    for k in range(scores):
        for i in range(n):
            out[k, i] = -raw[k, i] if kind == BINARY else raw[k, i]
    if kind == BINARY:
        exponentials(out[0])
        for i in range(n):
            out[0, i] = 1.0 / (1.0 + out[0, i])
    if kind != CLASSES:
        return
    peak, total = np.full(n, -np.inf), np.zeros(n)
    for k in range(scores):
        for i in range(n):
            peak[i] = max(peak[i], raw[k, i])
    for k in range(scores):
        for i in range(n):
            out[k, i] -= peak[i]
        exponentials(out[k])
        for i in range(n):
            total[i] += out[k, i]
    for k in range(scores):
        for i in range(n):
            out[k, i] /= total[i]


@compiled
def gradients(chance: Floats, y: Floats, weight: Floats, k: int, kind: int, g: Floats, h: Floats) -> None:
    """First and second derivative of each row's weighted loss after raw score k."""
    if kind == SQUARED:
        for i in range(y.size):
            g[i] = weight[i] * (chance[i] - y[i])
            h[i] = weight[i]
    else:
        wanted = 1.0 if kind == BINARY else float(k)
        for i in range(y.size):
            p = chance[i]
            g[i] = weight[i] * (p - (1.0 if y[i] == wanted else 0.0))
            h[i] = weight[i] * p * (1.0 - p)


@compiled
def scale_of(x: Floats) -> tuple[float, float, float]:
    """The factor that uses the bits best, the sum of absolute values, and of squares."""
    a, b, c, d = 0.0, 0.0, 0.0, 0.0  # two sums of each at once, for a sum must wait for itself
    for i in range(1, x.size, 2):
        a, b = a + abs(x[i]), b + abs(x[i - 1])
        c, d = c + x[i] * x[i], d + x[i - 1] * x[i - 1]
    if x.size % 2:
        a, c = a + abs(x[-1]), c + x[-1] * x[-1]
    most = a + b
    if x.size > SEGMENT:
        peak = 0.0
        for v in x:
            peak = max(peak, abs(v))
        most = min(most, peak * SEGMENT)
    # No segment's sum of absolute values exceeds `most`, and so full scale.
    return FULL_SCALE / most if most > 0.0 else 0.0, a + b, c + d


@compiled
def quantise(g: Floats, h: Floats, quanta: Ints, l2: float) -> Floats:
    """Pack gradient, hessian and a count of one into one number per row.

    Returns, in the same units: the ridge penalty, the least hessian of a leaf, the smoothing of levels, and what one
    split of noise gains.
    """
    g_scale, _, squares = scale_of(g)
    h_scale, curve, _ = scale_of(h)
    zero = np.float64(MAGIC).view(np.int64)
    for i in range(g.size):
        a = np.float64(g[i] * g_scale + MAGIC).view(np.int64) - zero
        b = np.float64(h[i] * h_scale + MAGIC).view(np.int64) - zero
        quanta[i] = (a << 40) + (b << 16) + 1
    luck = squares * g_scale * g_scale / (curve * h_scale) if curve > 0.0 else 0.0
    return np.array([l2 * h_scale, LEAST_HESSIAN * h_scale, SMOOTH * h_scale, luck])


@compiled
def grow(
    words: Words,
    order: Int32s,
    spare: Int32s,
    quanta: Ints,
    sizes: Ints,
    categorical: Bools,
    histograms: Floats,
    limits: Floats,
    min_leaf: int,
    blocks: Ints,
    worth: Floats,
    root: int,
    column: Int32s,
    children: Int32s,
    masks: Words,
) -> tuple[Ints, int, int, int]:
    """Grow one tree, the leaf of most gain first; returns the leaves' state, leaves, nodes and depth."""
    leaves, n = histograms.shape[0], order.size
    state, gains, sides = np.zeros((leaves, 5), np.int64), np.full(leaves, -np.inf), np.zeros((leaves, 4), np.uint64)
    for i in range(n):
        order[i] = i
    for b in blocks:
        worth[b] = 0.0
    state[0, END], state[0, NODE] = n, root
    children[root, 0] = children[root, 1] = root
    made, nodes, depth = 1, 1, 0
    if n >= 2 * min_leaf and leaves > 1:
        count(words, order, 0, n, quanta, sizes, blocks, histograms[0])
        gains[0], state[0, COLUMN] = best_split(
            histograms[0], sizes, categorical, limits, min_leaf, blocks, worth, sides[0]
        )
    while made < leaves:
        leaf = 0
        for i in range(1, made):
            leaf = i if gains[i] > gains[leaf] else leaf
        if gains[leaf] == -np.inf:
            break
        column[state[leaf, NODE]] = state[leaf, COLUMN]
        for w in range(4):
            masks[state[leaf, NODE], w] = sides[leaf, w]
        middle = partition(words, order, state[leaf], sides[leaf], spare)
        divide(state, leaf, made, middle, root + nodes, children)
        depth = max(depth, state[leaf, DEPTH])
        gains[leaf] = -np.inf
        start, end = state[made, START], state[made, END]
        if made + 1 < leaves and state[leaf, END] - state[leaf, START] >= 2 * min_leaf:
            count(words, order, start, end, quanta, sizes, blocks, histograms[made])
            take_off(histograms[leaf], histograms[made])
            for at in (leaf, made):
                if state[at, END] - state[at, START] >= 2 * min_leaf:
                    gains[at], state[at, COLUMN] = best_split(
                        histograms[at], sizes, categorical, limits, min_leaf, blocks, worth, sides[at]
                    )
        nodes, made = nodes + 2, made + 1
    return state, made, nodes, depth


@compiled
def divide(state: Ints, leaf: int, new: int, middle: int, child: int, children: Int32s) -> None:
    """Put a leaf's two parts in its place: the larger keeps its parent's place and histogram."""
    start, end, node, depth = state[leaf, START], state[leaf, END], state[leaf, NODE], state[leaf, DEPTH]
    larger = 1 if middle - start >= end - middle else 0
    for side in range(2):
        at = leaf if side == larger else new
        children[node, side] = child + side
        children[child + side, 0] = children[child + side, 1] = child + side
        state[at, START] = start if side == 1 else middle
        state[at, END] = middle if side == 1 else end
        state[at, NODE], state[at, DEPTH] = child + side, depth + 1


@compiled
def count(
    words: Words, order: Int32s, first: int, last: int, quanta: Ints, sizes: Ints, blocks: Ints, histogram: Floats
) -> None:
    """Fill the histogram [codes of the blocks' columns, (gradient, hessian, rows)] of the rows from first to last."""
    widest = 1
    for size in sizes:
        widest = max(widest, size)
    packed = np.zeros(widest * LANES, np.int64)
    offset = 0
    for b in blocks:
        columns = min(LANES, sizes.size - b * LANES)
        for start in range(first, last, SEGMENT):
            pack(words[b], order, start, min(start + SEGMENT, last), quanta, columns, widest, packed)
            unpack(packed, widest, sizes[b * LANES : b * LANES + columns], start > first, histogram[offset:])
        for f in range(b * LANES, b * LANES + columns):
            offset += sizes[f]


@compiled
def pack(
    block: Words, order: Int32s, first: int, last: int, quanta: Ints, columns: int, stride: int, packed: Ints
) -> None:
    """Add rows to the packed histograms of one block of columns."""
    byte, step = np.uint64(255), np.uint64(stride)
    for i in range(first, last):
        r = np.uint64(order[np.uint64(i)])
        word, quantum = block[r], quanta[r]
        for lane in range(LANES // 2):
            packed[np.uint64(lane) * step + ((word >> np.uint64(8 * lane)) & byte)] += quantum
        if columns > LANES // 2:
            for lane in range(LANES // 2, LANES):
                packed[np.uint64(lane) * step + ((word >> np.uint64(8 * lane)) & byte)] += quantum


@compiled
def unpack(packed: Ints, stride: int, sizes: Ints, more: bool, histogram: Floats) -> None:  # noqa: FBT001
    """Write the packed histograms of one block of columns to the wide ones, or add them, and empty them."""
    offset = 0
    for f in range(sizes.size):
        for b in range(sizes[f]):
            x, at = packed[f * stride + b], offset + b
            packed[f * stride + b] = 0
            g, h, n = float(x >> 40), float((x >> 16) & 0xFFFFFF), float(x & 0xFFFF)
            histogram[at, 0] = g + (histogram[at, 0] if more else 0.0)
            histogram[at, 1] = h + (histogram[at, 1] if more else 0.0)
            histogram[at, 2] = n + (histogram[at, 2] if more else 0.0)
        offset += sizes[f]
    for i in range(sizes.size * stride, packed.size):  # lanes without a column
        packed[i] = 0


@compiled
def take_off(histogram: Floats, part: Floats) -> None:
    """Subtract one child's histogram from the parent's."""
    for i in range(histogram.shape[0]):
        for k in range(3):
            histogram[i, k] -= part[i, k]


@compiled
def best_split(
    histogram: Floats,
    sizes: Ints,
    categorical: Bools,
    limits: Floats,
    min_leaf: int,
    blocks: Ints,
    worth: Floats,
    side: Words,
) -> tuple[float, int]:
    """The largest gain and its column; `side` gets the codes that go left. No gain: minus infinity and column 0."""
    total = np.zeros(3)
    for b in range(sizes[blocks[0] * LANES]):
        for k in range(3):
            total[k] += histogram[b, k]
    parent = total[0] * total[0] / max(total[1] + limits[0], 1e-300)
    place, loose, joined = np.empty(256, np.int64), np.empty((256, 3)), np.empty((256, 3))
    best, plain, chosen, cut, missing_left = -np.inf, 0.0, -1, -1, False
    offset, start = 0, 0
    for block in blocks:
        for f in range(block * LANES, min(block * LANES + LANES, sizes.size)):
            part, luck = histogram[offset : offset + sizes[f]], 0.0
            if categorical[f]:
                groups = rank_levels(part, total, limits[2], place, loose, joined)
                part, luck = joined[:groups], LUCK * limits[3] * (groups - 2)
            score, at, left = scan(part, total, limits, min_leaf)
            worth[block] = max(worth[block], score - luck - parent)
            if score - luck > best:
                best, plain, chosen, cut, missing_left, start = score - luck, score, f, at, left, offset
            offset += sizes[f]
    if plain - parent <= LEAST_GAIN * plain:
        return -np.inf, 0
    if categorical[chosen]:
        rank_levels(histogram[start : start + sizes[chosen]], total, limits[2], place, loose, joined)
    for w in range(4):
        side[w] = 0
    for b in range(256):
        # A number's codes are their own places; codes that a category's node never saw have none.
        rank = b if not categorical[chosen] else place[b] if b < sizes[chosen] else 0
        if (rank == 0 and missing_left) or 0 < rank <= cut:
            side[b >> 6] |= np.uint64(1) << np.uint64(b & 63)
    return best - parent, chosen


@compiled
def scan(part: Floats, total: Floats, limits: Floats, min_leaf: int) -> tuple[float, int, bool]:
    """Best score over the cuts of ordered codes, after which code it cuts, and whether code 0 goes left."""
    best, cut, missing_left = -np.inf, -1, False
    g, h, n, fewest = 0.0, 0.0, 0.0, float(min_leaf)
    all_g, all_h, all_n, l2, least = total[0], total[1], total[2], limits[0], limits[1]
    lone_g, lone_h, lone_n = part[0, 0], part[0, 1], part[0, 2]
    for b in range(1, part.shape[0]):
        if part[b, 2] == 0.0:
            continue
        g, h, n = g + part[b, 0], h + part[b, 1], n + part[b, 2]
        if all_n - n < fewest:
            break
        if n >= fewest:
            score = score_of(g, h, all_g - g, all_h - h, l2, least)
            if score > best:
                best, cut, missing_left = score, b, lone_n == 0.0 and 2.0 * n > all_n
        if lone_n > 0.0 and n + lone_n >= fewest and all_n - n - lone_n >= fewest:
            score = score_of(g + lone_g, h + lone_h, all_g - g - lone_g, all_h - h - lone_h, l2, least)
            if score > best:
                best, cut, missing_left = score, b, True
    return best, cut, missing_left


@compiled
def score_of(g: float, h: float, other_g: float, other_h: float, l2: float, least: float) -> float:
    """What the gradients and hessians of two parts score; minus infinity where a part has next to no hessian."""
    if h < least or other_h < least:
        return -np.inf
    a, b = h + l2, other_h + l2
    return (g * g * b + other_g * other_g * a) / (a * b)


@compiled
def rank_levels(part: Floats, total: Floats, smooth: float, place: Ints, loose: Floats, joined: Floats) -> int:
    """Order a category's levels by their shrunk mean gradient, the rare ones as one.

    Fills `place` (each code's position from 1 on; 0 where the node has no such row) and `joined` (the histogram
    in that order, with nothing at 0); returns the positions.
    """
    groups, rare = 1, 0
    for b in range(part.shape[0]):
        place[b] = 0
        if part[b, 2] == 0.0:
            continue
        at = rare if part[b, 2] < RARE_LEVEL and rare > 0 else groups
        for k in range(3):
            loose[at, k] = part[b, k] + (loose[at, k] if at < groups else 0.0)
        place[b] = at
        rare = at if part[b, 2] < RARE_LEVEL else rare
        groups = max(groups, at + 1)
    ranked = rank(loose, groups, total[0] / max(total[1], 1e-300), smooth)
    position = np.zeros(groups, np.int64)
    for k in range(3):
        joined[0, k] = 0.0
        for i in range(1, groups):
            joined[i, k] = loose[ranked[i], k]
            position[ranked[i]] = i
    for b in range(part.shape[0]):
        place[b] = position[place[b]]
    return groups


@compiled
def rank(loose: Floats, groups: int, mean: float, smooth: float) -> Ints:
    """[groups] from 1 on, groups by their mean gradient, shrunk to the node's."""
    keys, ranked = np.zeros(groups), np.zeros(groups, np.int64)
    for i in range(1, groups):
        keys[i] = (loose[i, 0] - mean * loose[i, 1]) / (loose[i, 1] + smooth)
        ranked[i] = i
    for gap in (57, 23, 10, 4, 1):  # Shell's sort: quick to compile, and quick enough for 254 levels
        for i in range(gap + 1, groups):
            j, moved = i, ranked[i]
            while j - gap >= 1 and keys[ranked[j - gap]] > keys[moved]:
                ranked[j] = ranked[j - gap]
                j -= gap
            ranked[j] = moved
    return ranked


@compiled
def partition(words: Words, order: Int32s, leaf: Ints, side: Words, spare: Int32s) -> int:
    """Move a leaf's rows that go left to its front, both parts in their old order; returns where the right begins."""
    column, shift = words[leaf[COLUMN] >> 3], np.uint64(8 * (leaf[COLUMN] & 7))
    first, last = np.uint64(leaf[START]), np.uint64(leaf[END])
    left, right, one = first, np.uint64(0), np.uint64(1)
    for i in range(first, last):
        r = order[i]
        code = (column[np.uint64(r)] >> shift) & np.uint64(255)
        goes = (side[code >> np.uint64(6)] >> (code & np.uint64(63))) & one
        order[left] = r
        spare[right] = r
        left += goes
        right += goes ^ one
    for i in range(right):
        order[left + np.uint64(i)] = spare[np.uint64(i)]
    return int(left)


@compiled
def settle(
    order: Int32s, state: Ints, made: int, g: Floats, h: Floats, rate: float, l2: float, value: Floats, raw: Floats
) -> None:
    """Give each leaf its value, and add it to the scores of its rows."""
    for leaf in range(made):
        slope, curve = 0.0, l2
        for i in range(state[leaf, START], state[leaf, END]):
            r = np.uint64(order[np.uint64(i)])
            slope += g[r]
            curve += h[r]
        step = -rate * slope / curve if curve > 0.0 else 0.0
        value[state[leaf, NODE]] = step
        for i in range(state[leaf, START], state[leaf, END]):
            raw[np.uint64(order[np.uint64(i)])] += step


@compiled
def add_tree(
    words: Words, root: int, depth: int, column: Int32s, children: Int32s, masks: Words, value: Floats, raw: Floats
) -> None:
    """Add one tree to the scores of rows; all rows of a chunk take a step together, leaves step in place."""
    place = np.empty(CHUNK, np.int32)
    for start in range(0, raw.size, CHUNK):
        size = min(CHUNK, raw.size - start)
        for i in range(size):
            place[i] = root
        for _ in range(depth):
            for i in range(size):
                node = np.uint64(place[i])
                f = np.uint64(column[node])
                word = words[f >> np.uint64(3), np.uint64(start + i)]
                code = (word >> ((f & np.uint64(7)) << np.uint64(3))) & np.uint64(255)
                goes = (masks[node, code >> np.uint64(6)] >> (code & np.uint64(63))) & np.uint64(1)
                place[i] = children[node, goes]
        for i in range(size):
            raw[start + i] += value[place[i]]


@compiled
def loss_of(raw: Floats, y: Floats, weight: Floats, kind: int) -> float:
    """Weighted mean of log loss in nats, or of the squared error; 0 without rows."""
    total, mass = 0.0, 0.0
    for i in range(y.size):
        mass += weight[i]
        if kind == SQUARED:
            loss = (y[i] - raw[0, i]) ** 2
        elif kind == BINARY:
            margin = raw[0, i] if y[i] == 1.0 else -raw[0, i]
            loss = np.log1p(np.exp(-abs(margin))) + max(-margin, 0.0)
        else:
            peak, spread = raw[0, i], 0.0
            for k in range(1, raw.shape[0]):
                peak = max(peak, raw[k, i])
            for k in range(raw.shape[0]):
                spread += np.exp(raw[k, i] - peak)
            loss = peak + np.log(spread) - raw[np.int64(y[i]), i]
        total += weight[i] * loss
    return total / mass if mass > 0.0 else 0.0


@compiled
def raw_scores(
    words: Words,
    base: Floats,
    column: Int32s,
    children: Int32s,
    masks: Words,
    value: Floats,
    roots: Int32s,
    depths: Int32s,
) -> Floats:
    """[scores, n] the raw scores after the last tree."""
    raw = start_from(base, words.shape[1])
    for t in range(depths.size):
        add_tree(words, roots[t], depths[t], column, children, masks, value, raw[t % base.size])
    return raw


@compiled
def predict(
    words: Words,
    base: Floats,
    column: Int32s,
    children: Int32s,
    masks: Words,
    value: Floats,
    roots: Int32s,
    depths: Int32s,
    kind: int,
) -> Floats:
    """[scores, n] chances or numbers (see `chances`)."""
    raw = raw_scores(words, base, column, children, masks, value, roots, depths)
    out = np.empty((base.size, words.shape[1]))
    chances(raw, out, kind)
    return out
