"""What wrong labels do to a model: errors spread by chance are voted down, errors that agree are learned.

A model that has seen k mentions of a fact (k neighbours of a region) says what most of them say. So what counts
is not how many labels are wrong but whether the wrong ones meet at the same place.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import betainc, gammaincc

from sterling.kernel.estimate import Estimate, Unmeasured
from sterling.stats.proportions import clopper_pearson
from sterling.stats.slices import REST, Cut

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from sterling.kernel.view import AnyArray, Bools, Floats

# Permutations behind a p-value, and (permutation, row) pairs held at a time: 32 MB.
PERMUTATIONS, MOST_HELD = 999, 4_000_000
# Effective mentions that are told apart: below one there is no vote, and beyond this none is ever lost.
LEAST_MENTIONS, MOST_MENTIONS = 1.0, 2_001.0
GRID = 80
# Fewer checked rows of a class than this, and its own rate of wrong labels would be read from noise.
LEAST_PER_CLASS = 10


def majority_error(wrong: ArrayLike, mentions: ArrayLike) -> Floats:
    """Chance that most mentions are wrong: P(Bin(k, q) > k/2), a tie decided by a coin.

    Args:
        wrong: chance q that one mention is wrong, 0..1.
        mentions: k >= 1; between odd numbers the law is interpolated, and an even number of mentions is worth
            the odd one below it, since a tie tells nothing.

    Returns:
        0 to 1, smaller is better; below q where q < 1/2, and above q where q > 1/2.

    Source: Condorcet 1785; binomial tails as incomplete beta functions; SCIENCE.md 2d.

    >>> [round(float(x), 3) for x in majority_error(0.05, [1, 3, 5, 10])]
    [0.05, 0.007, 0.001, 0.0]
    >>> round(float(majority_error(0.6, 10)), 2)
    0.73
    """
    k = np.maximum(np.asarray(mentions, dtype=np.float64), LEAST_MENTIONS)
    half = (np.where(k % 2 == 0, k - 1, k) + 1) / 2
    return betainc(half, half, np.clip(np.asarray(wrong, dtype=np.float64), 0.0, 1.0))


def clustered_error(shares: ArrayLike, rates: ArrayLike, mentions: float) -> tuple[float, Floats]:
    """Error of the model where each slice has its own rate of wrong labels.

    Args:
        shares: [s] of the rows, adding up to 1.
        rates: [s] of wrong labels.
        mentions: per fact.

    Returns:
        The error over all rows, and [s] in each slice.

    >>> overall, (inside, outside) = clustered_error([0.083, 0.917], [0.6, 0.0], 5)
    >>> round(overall, 3), round(float(inside), 2)
    (0.057, 0.68)
    """
    each = majority_error(rates, mentions)
    return float(np.asarray(shares, dtype=np.float64) @ each), each


def recursion_error(error: float, generations: int) -> float:
    """Error after some generations of learning from one's own samples, each adding the same error.

    Source: SCIENCE.md 2d: 1 - (1 - e)^g.

    >>> round(recursion_error(0.05, 10), 3)
    0.401
    """
    return 1.0 - (1.0 - error) ** generations


@dataclass(frozen=True, slots=True)
class Kept:
    """What a verifier lets through.

    Args:
        error: share of wrong ones among those kept.
        kept: share of all that is kept.
        breakdown: error rate before it, from which on less than half of what is kept is right.
    """

    error: float
    kept: float
    breakdown: float


def verified(error: float, *, keeps_right: float, keeps_wrong: float) -> Kept | Unmeasured:
    """What is left when a verifier has thrown out what it takes for wrong.

    Args:
        error: share p of wrong records before it, 0..1.
        keeps_right: phi, the share of right records that it keeps.
        keeps_wrong: psi, the share of wrong ones that it keeps.

    Source: Feng et al. 2024, arXiv:2406.07515, Thm 4.2: breakdown at p* = 1 / (1 + psi / phi).

    >>> found = verified(0.2, keeps_right=0.9, keeps_wrong=0.3)
    >>> round(found.error, 3), round(found.kept, 2), round(found.breakdown, 2)
    (0.077, 0.78, 0.75)
    """
    left = error * keeps_wrong + (1 - error) * keeps_right
    if left <= 0 or keeps_right + keeps_wrong <= 0:
        return Unmeasured("the verifier keeps nothing", mend="loosen it: it must keep some of what is right")
    return Kept(error * keeps_wrong / left, left, keeps_right / (keeps_right + keeps_wrong))


@dataclass(frozen=True, slots=True)
class Clustering:
    """Whether wrong labels pile up in slices.

    Args:
        p: chance of such a concentration in any of the columns if wrong labels were dealt at random.
        overdispersion: chi-square per degree of freedom in the most uneven column; 1 is what chance gives.
        column: place of that column among the cuts; None where there is none to look at.
        cell: the slice of it with the surest excess; None if no concentration was shown.
    """

    p: float
    overdispersion: float
    column: int | None
    cell: int | None


def clustering_of(
    wrong: Bools, cuts: Sequence[Cut], codes: Sequence[AnyArray], *, alpha: float, rng: np.random.Generator
) -> Clustering:
    """Test whether wrong labels depend on any column: chi-square over its slices, the worst of all columns.

    The p-value is of the worst column, by dealing the wrong labels anew: exact however few there are.

    Args:
        wrong: [n] of the checked records.
        cuts: how columns fall into slices.
        codes: per cut, [n] slice of each record.
        alpha: level below which a slice is named.
        rng: deals anew.

    Source: Pearson 1900; permutation of the largest statistic, Westfall & Young 1993.
    """
    usable = [j for j, code in enumerate(codes) if np.unique(code).size > 1]
    if not usable or wrong.all() or not wrong.any():
        return Clustering(1.0, 1.0, None, None)
    tables = [np.eye(len(cuts[j].labels), dtype=np.float64)[codes[j]] for j in usable]
    seen, _ = _evidence(wrong[None].astype(np.float64), tables, float(wrong.mean()))
    worst = np.zeros(0)
    step = max(1, MOST_HELD // wrong.size)
    for start in range(0, PERMUTATIONS, step):
        dealt = np.stack([rng.permutation(wrong) for _ in range(min(step, PERMUTATIONS - start))])
        worst = np.append(worst, _evidence(dealt.astype(np.float64), tables, float(wrong.mean()))[0].max(axis=1))
    best = int(seen[0].argmax())
    p = float((1 + (worst >= seen[0, best] - 1e-9).sum()) / (1 + PERMUTATIONS))
    column = usable[best]
    square, freedom = _square(wrong[None].astype(np.float64), tables[best], float(wrong.mean()))
    cell = _surest(wrong, cuts[column], codes[column]) if p <= alpha else None
    return Clustering(p, float(square[0]) / max(1, freedom), column, cell)


def _evidence(wrong: Floats, tables: Sequence[Floats], rate: float) -> tuple[Floats, list[int]]:
    """[draws, columns] how unlikely each column's chi-square is, on a common scale: minus the log of its p."""
    found = [_square(wrong, table, rate) for table in tables]
    logs = [-np.log(np.maximum(gammaincc(freedom / 2, square / 2), 1e-300)) for square, freedom in found]
    return np.stack(logs, axis=1), [freedom for _, freedom in found]


def _square(wrong: Floats, table: Floats, rate: float) -> tuple[Floats, int]:
    sizes = table.sum(axis=0)
    held = sizes > 0
    expected = sizes[held] * rate
    square = np.square((wrong @ table)[:, held] - expected) / (expected * (1 - rate))
    return square.sum(axis=1).astype(np.float64), int(held.sum()) - 1


def _surest(wrong: Bools, cut: Cut, codes: AnyArray) -> int | None:
    """The slice whose rate of wrong labels is highest for certain; None where only the rest stands out."""
    lows = [-1.0] * len(cut.labels)
    for cell, label in enumerate(cut.labels):
        n = int((codes == cell).sum())
        if n and label != REST:
            lows[cell] = clopper_pearson(int(wrong[codes == cell].sum()), n).low
    best = int(np.argmax(lows))
    return best if lows[best] > 0 else None


@dataclass(frozen=True, slots=True, eq=False)
class Counts:
    """Checked records and wrong labels among them, by region and true class.

    Args:
        wrong: [regions, classes].
        checked: [regions, classes]; one column where the true class does not matter or is not known.
    """

    wrong: AnyArray
    checked: AnyArray

    def draws(self, draws: int, *, rng: np.random.Generator) -> Floats:
        """[draws, regions, classes] rates of wrong labels that fit the counts.

        Source: posterior under Jeffreys' prior, whose equal-tailed intervals cover at about their level
            (Brown, Cai & DasGupta 2001).
        """
        return rng.beta(self.wrong + 0.5, self.checked - self.wrong + 0.5, size=(draws, *self.wrong.shape))

    @property
    def rates(self) -> Floats:
        """[regions, classes] as counted."""
        return self.wrong / np.maximum(self.checked, 1)


def counts_of(wrong: Bools, region: AnyArray, truth: AnyArray | None, *, classes: int, alpha: float) -> Counts:
    """Wrong labels by region, and by true class in regions where it makes a difference.

    Args:
        wrong: [n].
        region: [n] 0, 1, ...
        truth: [n] true class, None where it is not known.
        classes: how many.
        alpha: a region's classes keep their own rates if chance gives such a difference more rarely than this.
    """
    regions = int(region.max(initial=0)) + 1
    shape = (regions, classes if truth is not None else 1)
    out, all_ = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
    for r in range(regions):
        here = region == r
        one = int(wrong[here].sum()), int(here.sum())
        out[r], all_[r] = one
        if truth is None:
            continue
        n = np.bincount(truth[here], minlength=classes)
        hits = np.bincount(truth[here & wrong], minlength=classes)
        if _differ(hits, n, alpha):
            # A class that was hardly seen takes the region's rate.
            kept = n >= LEAST_PER_CLASS
            out[r], all_[r] = np.where(kept, hits, one[0]), np.where(kept, n, one[1])
    return Counts(out, all_)


def _differ(hits: AnyArray, n: AnyArray, alpha: float) -> bool:
    enough = n >= LEAST_PER_CLASS
    if enough.sum() < 2 or hits[enough].sum() in (0, n[enough].sum()):
        return False
    rate = hits[enough].sum() / n[enough].sum()
    square = float((np.square(hits[enough] - n[enough] * rate) / (n[enough] * rate * (1 - rate))).sum())
    return float(gammaincc((int(enough.sum()) - 1) / 2, square / 2)) < alpha


def extra_error(chances: Floats, rates: Floats, region: AnyArray, mentions: ArrayLike) -> Floats:
    """How much more often a model errs on a record because labels were wrong where it learned.

    The vote is over noisy mentions already: a record's likeliest class holds for a share p of its neighbours.
    Wrong labels move that share, and the vote moves with it.

    Args:
        chances: [n, c] class probabilities of a model trained on right labels.
        rates: [regions, c] or [regions, 1] wrong labels by region and true class, spread over the other classes.
        region: [n] of each record.
        mentions: effective k, a number or [n].

    Returns:
        [n] extra chance of an error, -1..1; smaller is better. Exact for two classes, and with more for votes
        between the likeliest class and all others.
    """
    rows, c = np.arange(chances.shape[0]), chances.shape[1]
    best = chances.argmax(axis=1)
    top = chances[rows, best]
    q = np.broadcast_to(rates, (rates.shape[0], c))[region]
    astray = chances * q
    said = top * (1 - q[rows, best]) + (astray.sum(axis=1) - astray[rows, best]) / max(1, c - 1)
    lost = majority_error(1 - said, mentions) - majority_error(1 - top, mentions)
    return lost * (top - (1 - top) / max(1, c - 1))


@dataclass(frozen=True, slots=True, eq=False)
class Mentions:
    """How many mentions a model's vote is worth.

    Args:
        value: effective k that reproduces the extra error measured.
        draws: [draws] the same for what that measurement may stray to.
    """

    value: float
    draws: Floats

    def interval(self, level: float) -> tuple[float, float]:
        """Lower and upper end; infinite where no loss was seen that more mentions would not explain."""
        low, high = np.quantile(self.draws, [(1 - level) / 2, (1 + level) / 2])
        high = math.inf if high >= MOST_MENTIONS else float(high)
        return min(float(low), self.value), max(high, self.value)


def mentions_from(
    chances: Floats, *, planted: float, measured: float, error: float, draws: int, rng: np.random.Generator
) -> Mentions:
    """The effective k that explains what labels made wrong on purpose, at random, did to the model.

    Args:
        chances: [n, c] of a model trained on right labels.
        planted: share of labels that were made wrong, independently.
        measured: how much the share of errors rose.
        error: standard error of that.
        draws: how many.
        rng: draws the errors of the measurement.
    """
    grid = np.geomspace(LEAST_MENTIONS, MOST_MENTIONS, GRID)
    region, rates = np.zeros(chances.shape[0], dtype=np.int64), np.array([[planted]])
    extra = np.array([float(extra_error(chances, rates, region, k).mean()) for k in grid])
    # With few mentions chance alone votes clean labels down too: the law is used from its largest loss on.
    start = int(extra.argmax())
    falling = np.minimum.accumulate(extra[start:])

    def solved(loss: Floats) -> Floats:
        return np.exp(np.interp(-loss, -falling, np.log(grid[start:])))

    strayed = solved(measured + error * rng.standard_normal(draws))
    return Mentions(float(solved(np.array([measured]))[0]), strayed)


def predicted(
    chances: Floats, counts: Counts, region: AnyArray, mentions: Mentions, *, level: float, rng: np.random.Generator
) -> tuple[Estimate, tuple[Estimate, ...]]:
    """The extra error of a model that learns from labels as wrong as an audit found them.

    Args:
        chances: [n, c] on benchmark records, of a model trained on right labels.
        counts: what the audit found.
        region: [n] of each benchmark record.
        mentions: effective k with its draws.
        level: nominal coverage.
        rng: draws rates.

    Returns:
        Over all records, and in each region.
    """
    draws = mentions.draws.size
    rates = counts.draws(draws, rng=rng)
    regions = counts.wrong.shape[0]
    sums = np.empty((draws + 1, regions + 1))
    for i in range(draws + 1):
        one, k = (counts.rates, mentions.value) if i == draws else (rates[i], mentions.draws[i])
        extra = extra_error(chances, one, region, k)
        sums[i, 0] = extra.mean()
        for r in range(regions):
            sums[i, r + 1] = extra[region == r].mean() if (region == r).any() else 0.0
    tails, audited = [(1 - level) / 2, (1 + level) / 2], int(counts.checked[:, 0].sum())
    method = "majority law over draws of audited rates and of effective mentions"
    found: list[Estimate] = []
    for j in range(regions + 1):
        low, high = np.quantile(sums[:-1, j], tails)
        value = float(sums[-1, j])
        found.append(Estimate(value, min(float(low), value), max(float(high), value), audited, level, method))
    return found[0], tuple(found[1:])
