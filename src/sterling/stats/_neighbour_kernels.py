"""The compiled inner loops of `neighbours`; imports numba, so only that module imports it, and late.

Reference records lie in blocks of 256, one column under another, so that one instruction compares many records
with a query. Queries come in tiles of their like. A tile looks at the blocks nearest to it first and stops where
no block can hold anything nearer; in a block it stops as soon as no record can be near enough. What is left is
judged in double precision: single precision only ever rules out, with slack for its rounding.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numba import njit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sterling.kernel.view import AnyArray, Bools, Floats, Ints

    Codes = NDArray[np.uint8]
    Shorts = NDArray[np.int16]
    Singles = NDArray[np.float32]
    Sets = NDArray[np.uint64]

compiled = njit(cache=True, nogil=True)
# Sums may be taken in any order: what they rule out has slack for it.
LOOSE = {"nnan", "ninf", "nsz", "contract", "reassoc"}
loose = njit(cache=True, nogil=True, fastmath=LOOSE)
# What is called for every query and block counts no references to its arrays: that alone took half the time.
HOT: dict[str, Any] = {"cache": True, "nogil": True, "forceinline": True, "_nrt": False}
hot = njit(**HOT)
hot_and_loose = njit(**HOT, fastmath=LOOSE)

BLOCK = 256
TILE = 128
# Two squared distances closer than this are a tie: far above rounding, far below one rank in a million rows
# on more than a handful of columns.
TIE = 1e-12
# So many records of a block are followed one by one.
FEW = 10
# Further away than any record.
FAR = 1e30
# Records from which a part's most telling column is chosen.
SAMPLE = 96


@compiled
def order_rows(codes: Codes, category: Bools, leaf: int) -> Ints:
    """[n] positions so that like records lie together: split again and again by the column that tells most apart.

    Args:
        codes: [n, d] one byte a cell: levels, or ranks in 256 steps.
        category: [d] whether codes have no order.
        leaf: parts of at most this size stay as they are.
    """
    n, d = codes.shape
    order, stack = np.arange(n), np.empty((128, 2), np.int64)
    counts = np.empty(256, np.int64)
    left = np.empty(256, np.bool_)
    stack[0, 0], stack[0, 1] = 0, n
    waiting = 1
    while waiting:
        waiting -= 1
        start, end = stack[waiting, 0], stack[waiting, 1]
        if end - start <= leaf:
            continue
        best, chosen = 0.0, -1
        for c in range(d):
            spread = sampled(codes, order, start, end, c, bool(category[c]), counts)
            if spread > best:
                best, chosen = spread, c
        if chosen < 0:
            continue
        sampled(codes, order, start, end, chosen, bool(category[chosen]), counts)
        halve(counts, bool(category[chosen]), left)
        middle = divide(codes, order, start, end, chosen, left)
        if middle in (start, end):
            continue
        # The larger part first, so that the smaller is next: the stack stays below log2(n).
        larger = middle - start > end - middle
        stack[waiting, 0], stack[waiting, 1] = (start, middle) if larger else (middle, end)
        stack[waiting + 1, 0], stack[waiting + 1, 1] = (middle, end) if larger else (start, middle)
        waiting += 2
    return order


@compiled
def sampled(
    codes: Codes,
    order: Ints,
    start: int,
    end: int,
    column: int,
    category: bool,  # noqa: FBT001  numba compiles no keyword-only arguments
    counts: Ints,
) -> float:
    """Mean squared distance of two records in this column, from evenly spaced ones; `counts` holds their codes."""
    counts[:] = 0
    step = max(1, (end - start) // SAMPLE)
    total, first, second = 0, 0.0, 0.0
    for i in range(start, end, step):
        code = codes[order[i], column]
        counts[code] += 1
        total += 1
        first += code
        second += float(code) * code
    if not category:
        return 2.0 * (second / total - (first / total) ** 2) / 255.0**2
    same = 0.0
    for k in range(256):
        same += float(counts[k]) * counts[k]
    return 1.0 - same / (float(total) * total)


@compiled
def halve(counts: Ints, category: bool, left: Bools) -> None:  # noqa: FBT001
    """Which codes go left: the commonest level alone if it makes up 40 %, else codes up to the middle."""
    total = counts.sum()
    top = int(counts.argmax())
    if category and 10 * counts[top] >= 4 * total:
        left[:] = False
        left[top] = True
        return
    last = 255
    while counts[last] == 0:
        last -= 1
    below, k = 0, 0
    while k < last and (below == 0 or 2 * (below + counts[k]) <= total):
        below += counts[k]
        k += 1
    left[:k] = True
    left[k:] = False


@compiled
def divide(codes: Codes, order: Ints, start: int, end: int, column: int, left: Bools) -> int:
    """Put the records whose code goes left first; returns where the others start."""
    i, j = start, end - 1
    while i <= j:
        if left[codes[order[i], column]]:
            i += 1
        else:
            order[i], order[j] = order[j], order[i]
            j -= 1
    return i


@compiled
def row_hashes(cells: Floats) -> Sets:
    """[n] a hash of each row of cells."""
    n, d = cells.shape
    out = np.zeros(n, np.uint64)
    bits = cells.view(np.uint64)
    for i in range(n):
        h = np.uint64(d)
        for j in range(d):
            h = (h ^ bits[i, j]) * np.uint64(0x9E3779B97F4A7C15)
            h ^= h >> np.uint64(29)
        out[i] = h
    return out


@hot
def add_unlike(codes: Codes, b: int, order: Shorts, j: int, queries: Codes, q: int, out: Codes) -> None:
    """Add in how many of four columns, from the query's j-th on, a record of block b differs from it."""
    c0, c1, c2, c3 = order[q, j], order[q, j + 1], order[q, j + 2], order[q, j + 3]
    q0, q1, q2, q3 = queries[q, c0], queries[q, c1], queries[q, c2], queries[q, c3]
    for i in range(BLOCK):
        two = np.uint8(np.uint8(codes[b, c0, i] != q0) + np.uint8(codes[b, c1, i] != q1))
        out[i] += np.uint8(two + np.uint8(np.uint8(codes[b, c2, i] != q2) + np.uint8(codes[b, c3, i] != q3)))


@hot_and_loose
def add_apart(values: Singles, b: int, columns: Shorts, j: int, queries: Singles, q: int, out: Singles) -> None:
    """Add the squared differences in eight columns."""
    c0, c1, c2, c3 = columns[q, j], columns[q, j + 1], columns[q, j + 2], columns[q, j + 3]
    c4, c5, c6, c7 = columns[q, j + 4], columns[q, j + 5], columns[q, j + 6], columns[q, j + 7]
    q0, q1, q2, q3 = queries[q, c0], queries[q, c1], queries[q, c2], queries[q, c3]
    q4, q5, q6, q7 = queries[q, c4], queries[q, c5], queries[q, c6], queries[q, c7]
    for i in range(BLOCK):
        d0, d1 = values[b, c0, i] - q0, values[b, c1, i] - q1
        d2, d3 = values[b, c2, i] - q2, values[b, c3, i] - q3
        d4, d5 = values[b, c4, i] - q4, values[b, c5, i] - q5
        d6, d7 = values[b, c6, i] - q6, values[b, c7, i] - q7
        out[i] += ((d0 * d0 + d1 * d1) + (d2 * d2 + d3 * d3)) + ((d4 * d4 + d5 * d5) + (d6 * d6 + d7 * d7))


@hot_and_loose
def add_apart_or_missing(values: Singles, b: int, column: int, query: Any, out: Singles) -> None:
    """Add the squared differences in one column with missing cells, at most 1."""
    for i in range(BLOCK):
        d = values[b, column, i] - query
        out[i] += min(d * d, np.float32(1.0))


@hot
def count_within(away: AnyArray, limit: Any) -> int:
    """How many records of the block are within the limit."""
    hits = np.int32(0)
    for i in range(BLOCK):
        hits = np.int32(hits + np.int32(away[i] <= limit))
    return int(hits)


@hot
def any_within(away: AnyArray, limit: Any) -> Any:
    """Whether any record of the block is within the limit."""
    hit = np.uint8(0)
    for i in range(BLOCK):
        hit = np.uint8(hit | np.uint8(away[i] <= limit))
    return hit > 0


@hot
def list_within(away: AnyArray, limit: Any, lanes: Ints) -> Any:
    """Write which records are within the limit; returns how many."""
    few = 0
    for part in range(0, BLOCK, 32):
        # An unsigned index is never taken from the end, which would cost a test each time.
        start, hit = np.uint64(part), np.uint8(0)
        for i in range(32):
            hit = np.uint8(hit | np.uint8(away[start + np.uint64(i)] <= limit))
        if hit:
            for i in range(32):
                lanes[few] = part + i
                few += np.int64(away[start + np.uint64(i)] <= limit)
    return few


@hot
def loosened(limit: Any, columns: int) -> float:
    """A squared distance that single precision may give for one of `limit`.

    A rank of 24 bits moves a squared difference d^2 by at most 2.4e-7 d, hence the sum S over D columns by
    2.4e-7 sqrt(D S) <= 1.2e-8 D + 1.2e-6 S; summing adds 6e-8 S for each of at most D / 8 + 16 additions.
    """
    return limit * (1.0 + 1e-5 + 1e-7 * columns) + 2e-8 * columns + 1e-7


@compiled
def distance(a: Floats, i: int, b: Floats, k: int, category: Bools, limit: Any) -> float:
    """The squared distance of two rows of cells; some number above `limit` where it is above."""
    total = 0.0
    for j in range(a.shape[1]):
        x, y = a[i, j], b[k, j]
        if x == y:
            continue
        if category[j] or x < 0.0 or y < 0.0:
            total += 1.0
        else:
            total += (x - y) * (x - y)
        if total > limit:
            break
    return total


@hot
def scan(
    query_codes: Codes, code_order: Shorts, query_values: Singles, value_order: Shorts, q: int,
    codes: Codes, values: Singles, rows: Singles, b: int, most: Any,
    marks: Codes, sums: Singles, lanes: Ints, check: Ints,
) -> int:  # fmt: skip
    """List the records of block b that may be near enough to query q, with sums they are away at least.

    Arrays are as `neighbours._packed` says. `marks` [256] is written on: columns of codes in which a record differs;
    `sums` [256] is written for the records listed in `lanes` [257]; `check` [2] says from which step on it pays to
    look whether any is left, among codes and among numbers.
    """
    left = np.uint8(min(most, np.float32(255.0)))
    if not like_enough(query_codes, q, code_order, codes, b, left, marks, check):
        return 0
    few = count_within(marks, left)
    if few <= FEW:
        few = list_within(marks, left, lanes)
        return follow_rows(query_values, q, rows, b, most, few, marks, sums, lanes)
    for i in range(BLOCK):
        sums[i] = np.float32(marks[i])
    return near_enough(query_values, q, value_order, values, b, most, sums, lanes, check)


@hot
def like_enough(
    queries: Codes, q: int, order: Shorts, codes: Codes, b: int, left: np.uint8, marks: Codes, check: Ints
) -> Any:
    """Write in how many columns of codes the records differ; False as soon as none differs in so few as `left`."""
    for i in range(BLOCK):
        marks[i] = np.uint8(0)
    for j in range(0, queries.shape[1], 4):
        # Looking is not free: begin where it last came out.
        if j and j >= check[0] and not any_within(marks, left):
            check[0] = j - 4
            return False
        add_unlike(codes, b, order, j, queries, q, marks)
    return any_within(marks, left)


@hot
def near_enough(
    queries: Singles, q: int, order: Shorts, values: Singles, b: int, most: Any,
    sums: Singles, lanes: Ints, check: Ints,
) -> int:  # fmt: skip
    """Add the numbers to the sums of a block as long as many records may be near enough; list those that are."""
    plain = order.shape[1]
    steps = plain // 8
    for step in range(steps):
        if step and step >= check[1] and count_within(sums, most) <= FEW:
            check[1] = step - 1
            few = list_within(sums, most, lanes)
            return follow(queries, q, order, values, b, most, 8 * step, few, sums, lanes)
        add_apart(values, b, order, 8 * step, queries, q, sums)
    check[1] = min(check[1], steps - 1)
    for j in range(8 * steps, plain):
        add_apart_or_missing(values, b, order[q, j], queries[q, order[q, j]], sums)
    for c in range(plain, queries.shape[1]):
        if count_within(sums, most) <= FEW:
            few = list_within(sums, most, lanes)
            return follow(queries, q, order, values, b, most, c, few, sums, lanes)
        add_apart_or_missing(values, b, c, queries[q, c], sums)
    return list_within(sums, most, lanes) if any_within(sums, most) else 0


@hot
def follow(
    queries: Singles, q: int, order: Shorts, values: Singles, b: int, most: Any, start: int, few: int,
    sums: Singles, lanes: Ints,
) -> int:  # fmt: skip
    """Add the numbers from the start-th on to the sums of the few records listed; list those still near enough."""
    kept, plain = 0, order.shape[1]
    for k in range(few):
        lane = lanes[k]
        away = sums[lane]
        for j in range(start, queries.shape[1]):
            c = order[q, j] if j < plain else j
            apart = values[b, c, lane] - queries[q, c]
            away += min(apart * apart, np.float32(1.0))
            if away > most:
                break
        if away <= most:
            sums[lane] = away
            lanes[kept] = lane
            kept += 1
    return kept


@hot
def follow_rows(
    queries: Singles, q: int, rows: Singles, b: int, most: Any, few: int, marks: Codes, sums: Singles, lanes: Ints
) -> int:
    """Likewise from the first number on, where the block's numbers have not been looked at: rows lie together."""
    kept = 0
    for k in range(few):
        lane = lanes[k]
        away = np.float32(marks[lane])
        for c in range(queries.shape[1]):
            apart = rows[b * BLOCK + lane, c] - queries[q, c]
            away += min(apart * apart, np.float32(1.0))
        if away <= most:
            sums[lane] = away
            lanes[kept] = lane
            kept += 1
    return kept


@loose
def bound_blocks(
    query_codes: Codes, query_values: Singles, q: int, sets: Sets, low: Singles, high: Singles, out: Singles
) -> None:
    """[b] what the records of each block are away at least from query q."""
    out[:] = np.float32(0.0)
    for c in range(query_codes.shape[1]):
        level = np.uint64(1) << np.uint64(query_codes[q, c] & 63)
        for b in range(out.size):
            out[b] += np.float32(1.0) if (sets[c, b] & level) == 0 else np.float32(0.0)
    for c in range(query_values.shape[1]):
        value = query_values[q, c]
        for b in range(out.size):
            apart = max(max(low[c, b] - value, value - high[c, b]), np.float32(0.0))
            out[b] += min(apart * apart, np.float32(1.0))


@compiled
def insert(near: Floats, who: Ints, q: int, value: float, record: Any) -> None:
    """Keep the sorted list of the nearest of query q; among equally near ones the smaller record comes first."""
    i = near.shape[1] - 1
    if not before(value, record, near[q, i], who[q, i]):
        return
    while i > 0 and before(value, record, near[q, i - 1], who[q, i - 1]):
        near[q, i], who[q, i] = near[q, i - 1], who[q, i - 1]
        i -= 1
    near[q, i], who[q, i] = value, record


@compiled
def before(value: float, record: Any, other: float, there: int) -> bool:
    """Whether one record comes before another in the order of distance, then position."""
    return value < other - TIE or (value <= other + TIE and record < there)


@compiled
def search(
    query_codes: Codes, code_order: Shorts, query_values: Singles, value_order: Shorts, query_cells: Floats,
    codes: Codes, values: Singles, rows: Singles, sets: Sets, low: Singles, high: Singles, cells: Floats, ids: Ints,
    category: Bools, near: Floats, who: Ints,
) -> None:  # fmt: skip
    """Write the k nearest of each query: squared distances and ids; [q, k] filled with FAR and a huge id."""
    n, last = near.shape[0], near.shape[1] - 1
    d, parts, size = category.size, codes.shape[0], ids.size
    each, bounds = np.empty((TILE, parts), np.float32), np.empty(parts, np.float32)
    marks, sums, lanes = np.empty(BLOCK, np.uint8), np.empty(BLOCK, np.float32), np.empty(BLOCK + 1, np.int64)
    check = np.zeros(2, np.int64)
    for start in range(0, n, TILE):
        end = min(n, start + TILE)
        bounds[:] = np.float32(FAR)
        for q in range(start, end):
            bound_blocks(query_codes, query_values, q, sets, low, high, each[q - start])
            np.minimum(bounds, each[q - start], bounds)
        for b in np.argsort(bounds):
            furthest = 0.0
            for q in range(start, end):
                furthest = max(furthest, near[q, last])
            if bounds[b] > loosened(furthest, d):
                break
            for q in range(start, end):
                most = np.float32(loosened(near[q, last], d))
                if each[q - start, b] > most:
                    continue
                few = scan(
                    query_codes, code_order, query_values, value_order, q, codes, values, rows, b, most,
                    marks, sums, lanes, check,
                )  # fmt: skip
                for j in range(few):
                    record = b * BLOCK + lanes[j]
                    if record < size and sums[lanes[j]] <= loosened(near[q, last], d):
                        away = distance(query_cells, q, cells, record, category, near[q, last] + TIE)
                        insert(near, who, q, away, ids[record])


@compiled
def count_balls(
    query_codes: Codes, code_order: Shorts, query_values: Singles, value_order: Shorts, query_cells: Floats,
    codes: Codes, values: Singles, rows: Singles, sets: Sets, low: Singles, high: Singles, cells: Floats, ids: Ints,
    category: Bools, radii: Floats, counts: Ints,
) -> None:  # fmt: skip
    """Write in how many balls each query lies: those around the records, [n] squared `radii` by id."""
    d, parts, size = category.size, codes.shape[0], ids.size
    widest = np.zeros(parts)
    for r in range(size):
        widest[r // BLOCK] = max(widest[r // BLOCK], radii[ids[r]])
    bounds, check = np.empty(parts, np.float32), np.zeros(2, np.int64)
    marks, sums, lanes = np.empty(BLOCK, np.uint8), np.empty(BLOCK, np.float32), np.empty(BLOCK + 1, np.int64)
    for q in range(counts.size):
        bound_blocks(query_codes, query_values, q, sets, low, high, bounds)
        for b in range(parts):
            most = np.float32(loosened(widest[b], d))
            if bounds[b] > most:
                continue
            few = scan(
                query_codes, code_order, query_values, value_order, q, codes, values, rows, b, most,
                marks, sums, lanes, check,
            )  # fmt: skip
            for j in range(few):
                record = b * BLOCK + lanes[j]
                if record < size and sums[lanes[j]] <= loosened(radii[ids[record]], d):
                    limit = radii[ids[record]] + TIE
                    counts[q] += distance(query_cells, q, cells, record, category, limit) <= limit


@compiled
def spread_out(
    near: Floats, who: Ints, place: Ints, starts: Ints, members: Ints, omit: Ints, out: Floats, ids: Ints
) -> None:
    """Write the k nearest records of each query, given the nearest kinds of records.

    Args:
        near: [u, j] squared distances of the nearest kinds of each kind of query.
        who: [u, j] those kinds.
        place: [q] the kind of each query.
        starts: [kinds + 1] where the records of a kind start among `members`.
        members: records, kind by kind, ascending.
        omit: [q] a record that is not to be counted, or -1.
        out: [q, k] squared distances, filled with infinity.
        ids: [q, k] records, filled with a huge number.
    """
    k = out.shape[1]
    for q in range(out.shape[0]):
        for j in range(near.shape[1]):
            value, kind = near[place[q], j], who[place[q], j]
            if kind >= starts.size - 1 or value > out[q, k - 1] + TIE:
                break
            for m in range(starts[kind], min(starts[kind + 1], starts[kind] + k + 1)):
                if members[m] != omit[q]:
                    insert(out, ids, q, value, members[m])
