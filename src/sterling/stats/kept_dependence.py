"""What share of a column's dependence on the other columns a synthetic set keeps.

A column that hangs on many others by weak threads can be torn from all of them while no single pair is off by
much. So all its pairs are added up: a row scores sum_j log p(c, x_j) / (p(c) p(x_j)) over the other columns j,
and the gain is the mean score less the mean that the same margins would give if c were independent of each x_j.
The log ratios are those of one half of the real rows, applied to the other half (both ways) and to the synthetic
rows, so that what is learned by chance helps neither side.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sterling.stats.bounds import fieller, normal_quantile

if TYPE_CHECKING:
    from sterling.kernel.view import AnyArray, Bools, Floats

# Rows added to what is seen and to what independence expects in each cell, and the largest score of one pair.
PSEUDO, CLIP = 2.0, 3.0
# A pair counts if one half of the real rows says that it depends by so many standard deviations of chi-squared.
CLEAR = 3.0
FEWEST = 4.0
FITS = 20
# Limits are worked out for so many columns at a time, those that lack most, from so many rows of each set.
MOST_TESTED = 12
MOST_ROWS = 2048
# Levels of which the synthetic rows hold less than this share of what they should are set aside.
GONE, JUDGED = 0.1, 0.01


@dataclass(frozen=True, slots=True, eq=False)
class Threads:
    """Pairs of columns with their scores in three sets: each half of the real rows, then the synthetic rows.

    Args:
        index: [p, 2] positions of each pair's columns.
        columns: how many columns there are.
        ratios: [p, w, w] log ratios, the mean of both halves'.
        tables: ([p, w, w] real, [p, w, w] synthetic) counts.
        centred: three [p, w, w] scores as applied to each set, less the means of their rows and columns there.
        gains: [3, p] mean scores beyond independence, in nats.
        codes: per set and column, the [n] codes of the rows that the variance is taken from.
        sizes: rows of each set.
    """

    index: AnyArray
    columns: int
    ratios: Floats
    tables: tuple[Floats, Floats]
    centred: tuple[Floats, Floats, Floats]
    gains: Floats
    codes: tuple[Sequence[AnyArray], ...]
    sizes: tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Kept:
    """How much of its dependence one column keeps.

    Args:
        column: its position.
        share: of the real gain, 0 (nothing) to 1 (all); more is better; noise can push it out of that range.
        low: lower end at the printed level.
        high: upper end at the printed level.
        at_most: upper limit at the level of the test; infinite where the real gain is not certain.
        real: nats that real rows gain, with the room that the synthetic margins leave.
        synthetic: nats that synthetic rows gain.
        pairs: rows of the index it stands in, those that lost most first.
    """

    column: int
    share: float
    low: float
    high: float
    at_most: float
    real: float
    synthetic: float
    pairs: tuple[int, ...]


def threads(
    index: AnyArray,
    columns: int,
    tables: tuple[Floats, Floats, Floats],
    codes: tuple[Sequence[AnyArray], Sequence[AnyArray], Sequence[AnyArray]],
) -> Threads:
    """Score every pair, each half of the real rows by what the other half says.

    Args:
        index: [p, 2] positions of each pair's columns.
        columns: how many columns there are.
        tables: [p, w, w] counts of one half of the real rows, the other half, and the synthetic rows.
        codes: per set and column, [n] codes of its rows in random order; the first 2,048 tell the variance.
    """
    first, second = (_log_ratios(t) for t in tables[:2])
    mean = (first + second) / 2
    centred, gains = zip(*(_centred(t, r) for t, r in zip(tables, (second, first, mean), strict=True)), strict=True)
    sizes = tuple(int(t[0].sum()) if t.size else 0 for t in tables)
    few = tuple([c[:MOST_ROWS] for c in side] for side in codes)
    real = tables[0] + tables[1]
    return Threads(index, columns, mean, (real, tables[2]), centred, np.stack(gains), few, sizes)  # type: ignore[arg-type]


def in_both(real: Sequence[AnyArray], synthetic: Sequence[AnyArray], widths: Sequence[int]) -> tuple[Bools, Bools]:
    """Rows without the levels that one set has all but lost: with them goes what only they had to do with others.

    A deleted level is another fault than a torn column, and it would make the columns it stands with look torn.

    Args:
        real: per column, [n] codes.
        synthetic: per column, [m] codes.
        widths: per column, how many codes there are.

    Returns:
        [n] and [m], True for rows that are kept.
    """
    kept = np.ones(real[0].size, dtype=bool), np.ones(synthetic[0].size, dtype=bool)
    for a, b, width in zip(real, synthetic, widths, strict=True):
        shares = [np.bincount(x, minlength=width) / max(x.size, 1) for x in (a, b)]
        gone = (shares[1] < GONE * shares[0]) & (shares[0] >= JUDGED)
        if gone.any():
            for mask, codes in zip(kept, (a, b), strict=True):
                mask &= ~gone[codes]
    return kept


def torn_columns(found: Threads, *, bound: float, alpha: float, level: float, most: int) -> tuple[Kept, ...]:
    """Columns that certainly keep less than a share of their dependence, the worst first.

    The worst column is taken out with all its pairs before the others are judged again: what merely depended on
    it is not named for its loss.

    Args:
        found: scores of the pairs.
        bound: the share that must be kept.
        alpha: chance that any column is named although all keep as much.
        level: of the printed limits.
        most: columns named.

    Source: Fieller 1954 (limits of a ratio); influence functions give the variance of each gain; Bonferroni over
        the columns.
    """
    live = np.ones(len(found.index), dtype=bool)
    named: list[Kept] = []
    while len(named) < most:
        kept = kept_shares(found, live, bound=bound, alpha=alpha, level=level)
        worst = next((k for k in kept if k.at_most < bound), None)
        if worst is None:
            break
        named.append(worst)
        live &= (found.index != worst.column).all(axis=1)
    return tuple(named)


def kept_shares(found: Threads, live: Bools, *, bound: float, alpha: float, level: float) -> Iterator[Kept]:
    """Shares kept by the columns that lack most to a bound; arguments as in `torn_columns`, `live` marks pairs.

    Most comes first, in nats: of two columns that lost each other, the one that lost more besides.
    """
    weights = np.array([found.sizes[0], found.sizes[1]]) / max(found.sizes[0] + found.sizes[1], 1)
    real, synthetic = weights @ found.gains[:2] * live, found.gains[2] * live
    member = (found.index[:, :, None] == np.arange(found.columns)).any(axis=1)
    lacks = bound * (real @ member) - synthetic @ member
    able = [int(c) for c in np.argsort(-lacks, kind="stable")[:MOST_TESTED] if lacks[c] > 0]
    for c in able:
        rows = np.flatnonzero(member[:, c] & live)
        yield _kept(found, c, rows, (real, synthetic), alpha / found.columns, level)


def _kept(found: Threads, column: int, rows: AnyArray, gains: tuple[Floats, Floats], tail: float, level: float) -> Kept:
    variances = [_variance(found, side, rows) / max(found.sizes[side], 1) for side in range(3)]
    share = found.sizes[0] / max(found.sizes[0] + found.sizes[1], 1)
    room = _room(found, rows)
    real, synthetic = room * float(gains[0][rows].sum()), float(gains[1][rows].sum())
    spread = room**2 * (share**2 * variances[0] + (1 - share) ** 2 * variances[1])
    ratio = (synthetic, variances[2]), (real, spread)
    low, high = fieller(*ratio, quantile=normal_quantile((1 - level) / 2))
    at_most = fieller(*ratio, quantile=normal_quantile(tail))[1]
    lost = rows[np.argsort(gains[1][rows] - gains[0][rows], kind="stable")]
    kept = synthetic / real if real > 0 else np.inf
    return Kept(column, kept, low, high, at_most, real, synthetic, tuple(int(r) for r in lost))


def _log_ratios(tables: Floats) -> Floats:
    """[p, w, w] log of seen over independent, drawn towards 0 where rows are few; 0 in pairs that are not clear."""
    n = np.maximum(tables.sum(axis=(1, 2), keepdims=True), 1.0)
    rows, columns = tables.sum(axis=2, keepdims=True), tables.sum(axis=1, keepdims=True)
    expected = rows * columns / n
    within = np.maximum(expected, FEWEST)
    statistic = (np.square(tables - expected) / within).sum(axis=(1, 2))
    df = np.maximum(((rows > 0).sum(axis=(1, 2)) - 1) * ((columns > 0).sum(axis=(1, 2)) - 1), 0)
    clear = statistic > df + CLEAR * np.sqrt(2 * df)
    ratios = np.log((tables + PSEUDO) / (expected + PSEUDO))
    return np.clip(ratios, -CLIP, CLIP) * clear[:, None, None]


def _centred(tables: Floats, ratios: Floats) -> tuple[Floats, Floats]:
    """[p, w, w] ratios less their means over each margin of these rows, and [p] their means: the gains.

    The gain is sum_ab (p_ab - p_a p_b) r_ab, and a row's influence on it is its centred score less the gain.
    """
    share = tables / np.maximum(tables.sum(axis=(1, 2), keepdims=True), 1.0)
    rows, columns = share.sum(axis=2, keepdims=True), share.sum(axis=1, keepdims=True)
    along, across = (ratios * columns).sum(axis=2, keepdims=True), (ratios * rows).sum(axis=1, keepdims=True)
    scores = ratios - along - across + (along * rows).sum(axis=1, keepdims=True)
    return scores, (share * scores).sum(axis=(1, 2))


def _variance(found: Threads, side: int, rows: AnyArray) -> float:
    """Variance of one row's score over these pairs."""
    codes, scores = found.codes[side], found.centred[side]
    total = np.zeros(codes[0].size if codes else 0)
    for row in rows[found.ratios[rows].any(axis=(1, 2))]:
        i, j = found.index[row]
        total += scores[row][codes[i], codes[j]]
    return float(total.var(ddof=1)) if total.size > 1 else 0.0


def _room(found: Threads, rows: AnyArray) -> float:
    """How much of the real gain the same odds ratios would give with the synthetic margins, at most 1.

    A rarer level leaves less to gain with the dependence as it was; more to gain is not held against a column.
    """
    real, synthetic, ratios = (x[rows] for x in (*found.tables, found.ratios))
    fit = real.copy()
    for _ in range(FITS):
        for axis in (2, 1):
            total = fit.sum(axis=axis, keepdims=True)
            fit *= np.divide(synthetic.sum(axis=axis, keepdims=True), total, out=np.zeros_like(total), where=total > 0)
    before, after = (float(_centred(t, ratios)[1].sum()) for t in (real, fit))
    return min(max(after / before, 0.0), 1.0) if before > 0 else 1.0
