"""How differently two sets let pairs of columns depend on each other, whatever became of the columns themselves.

Two tables of a pair have the same dependence when they share all odds ratios: the model of "no three-factor
interaction" between the two columns and the set. Iterative proportional fitting gives the counts which that
model expects, with the margins of each set as they are; Pearson's statistic of the residuals is chi-squared
when the model holds, and its noncentrality divided by the rows is a distance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import gammaincc

if TYPE_CHECKING:
    from sterling.kernel.view import AnyArray, Bools, Floats, Ints

# Expected counts below this count in proportion, as evidence and as degrees of freedom alike: Pearson's statistic is
# erratic where less than a few rows are expected (Cochran 1954).
FEWEST = 4.0
FITS = 25
# Less than this is rounding.
LEAST_DF = 1e-9
TILE = 16_384
# Doublings of the bracket and halvings within it: noncentralities up to 1e12, to one part in 1e9.
STEPS = 40


@dataclass(frozen=True, slots=True, eq=False)
class Dependence:
    """Chi-squared evidence that pairs of columns depend differently in two sets.

    Args:
        statistic: [p] Pearson's X2 of the residuals.
        df: [p] degrees of freedom, not always whole: thin cells count in part; 0 where a pair has nothing to compare.
        rows: effective rows, n m / (n + m).
        unknown: [p] True where there is nothing to compare: both columns vary in the real rows, but the sets have not
            two levels of each in common. (Where one column decides the other in both sets there are no degrees of
            freedom either, but nothing is unknown.)
    """

    statistic: Floats
    df: Floats
    rows: float
    unknown: Bools

    @property
    def gap(self) -> Floats:
        """[p] distances corrected for what chance adds, 0 (same odds ratios) to 1 (no common cell)."""
        return self._distance(np.maximum(self.statistic - self.df, 0.0))

    @property
    def no_gap(self) -> Floats:
        """[p] how large an uncorrected distance is by chance alone."""
        return self._distance(self.df)

    def bounds(self, *, alpha: float) -> tuple[Floats, Floats]:
        """[p] lower and [p] upper bounds of the distance, each side with error about alpha; 0 and 1 where unknown."""
        low = noncentrality(self.statistic, self.df, tail=alpha)
        high = self._distance(noncentrality(self.statistic, self.df, tail=1 - alpha))
        return self._distance(low), np.where(self.unknown, 1.0, high)

    def _distance(self, noncentral: Floats) -> Floats:
        return np.minimum(np.sqrt(noncentral / (4 * self.rows)), 1.0)


def one_hot(codes: Sequence[AnyArray], widths: Sequence[int]) -> AnyArray:
    """[n, sum of widths] float32 zeros and ones; `codes` are [n] per column, `widths` how many codes it has."""
    n = codes[0].size if codes else 0
    hot = np.zeros((n, int(sum(widths))), dtype=np.float32)
    rows, start = np.arange(n), 0
    for code, width in zip(codes, widths, strict=True):
        hot[rows, start + code] = 1.0
        start += width
    return hot


def starts_of(widths: Sequence[int]) -> Ints:
    """[d + 1] where each column's codes begin in a row of `one_hot`, and where the last end."""
    return np.concatenate([[0], np.cumsum(widths)]).astype(np.int64)


def cross_counts(codes: Sequence[AnyArray], widths: Sequence[int]) -> Floats:
    """[k, k] how often each two codes of all columns occur in one row; arguments as in `one_hot`."""
    total = np.zeros((int(sum(widths)),) * 2)
    # Sums of ones are exact in float32 up to 16 million; a tile keeps the matrix small.
    for start in range(0, codes[0].size if codes else 0, TILE):
        hot = one_hot([c[start : start + TILE] for c in codes], widths)
        total += hot.T @ hot
    return total


def pair_tables(counts: Floats, starts: Ints, pairs: AnyArray) -> Floats:
    """[p, w, w] the table of each pair, cut out of all crossed counts and filled up with zeros."""
    wide = int(np.diff(starts).max()) if starts.size > 1 else 0
    padded = np.zeros((counts.shape[0] + wide, counts.shape[1] + wide))
    padded[: counts.shape[0], : counts.shape[1]] = counts
    at = np.arange(wide)
    first, second = (starts[pairs[:, i], None] + at for i in (0, 1))
    tables = padded[first[:, :, None], second[:, None, :]]
    inside = [at < np.diff(starts)[pairs[:, i], None] for i in (0, 1)]
    return tables * inside[0][:, :, None] * inside[1][:, None, :]


def dependence_gap(real: Floats, synthetic: Floats) -> Dependence:
    """Compare the dependence in tables of counts, whatever their margins.

    Args:
        real: [p, a, b] counts, of the same total in every table.
        synthetic: [p, a, b] counts, likewise.

    Source: Bartlett 1935; Birch 1963 (no three-factor interaction); Deming & Stephan 1940 (the fit); Vincze
        1981, Le Cam 1986 for the distance sqrt(sum (p - q)^2 / (2 (p + q))), of which 4 n m / (n + m) times the
        square is the noncentrality.
    """
    seen = np.stack([real, synthetic], axis=1)
    expected = _fitted(seen)
    within = np.maximum(expected, FEWEST)
    statistic = (np.square(seen - expected) / within).sum(axis=(1, 2, 3))
    # A cell that both sets can fill is one free residual; each filled row and column of the table takes one away.
    reliable = (expected / within).min(axis=1)
    cells, down, across = reliable.sum(axis=(1, 2)), _filled(reliable, 2), _filled(reliable, 1)
    df = cells - down - across + np.minimum(cells, 1.0)
    df = np.where(df > LEAST_DF, df, 0.0)
    n, m = (float(x[0].sum()) if x.size else 0.0 for x in (real, synthetic))
    unknown = (df <= 0) & _vary(real) & (np.minimum(down, across) < 2)
    return Dependence(np.where(df > 0, statistic, 0.0), df, n * m / (n + m) if n + m else 0.0, unknown)


def most_off(real: Floats, synthetic: Floats) -> tuple[int, int, float]:
    """The cell of one table where synthetic rows are most too many or too few.

    Args:
        real: [a, b] counts.
        synthetic: [a, b] counts.

    Returns:
        Row and column of the cell, and the synthetic count that the same dependence would give it.
    """
    seen = np.stack([real, synthetic])[None]
    expected = _fitted(seen)
    within = np.maximum(expected, FEWEST)
    residual = (np.square(seen - expected) / within).sum(axis=1)[0]
    i, j = (int(x) for x in np.unravel_index(int(residual.argmax()), residual.shape))
    return i, j, float(expected[0, 1, i, j])


def association(tables: Floats) -> Floats:
    """[p] Cramer's V, 0 (independent) to 1 (one decides the other), corrected for what chance adds.

    Source: Bergsma 2013, Journal of the Korean Statistical Society 42:323.
    """
    n = tables.sum(axis=(1, 2))
    rows, columns = tables.sum(axis=2), tables.sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        expected = rows[:, :, None] * columns[:, None, :] / n[:, None, None]
        squares = np.where(expected > 0, np.square(tables - expected) / expected, 0.0).sum(axis=(1, 2))
        a, b = (rows > 0).sum(axis=1), (columns > 0).sum(axis=1)
        phi2 = np.maximum(squares / n - (a - 1) * (b - 1) / (n - 1), 0.0)
        least = np.minimum(a - np.square(a - 1) / (n - 1), b - np.square(b - 1) / (n - 1)) - 1
        v = np.sqrt(phi2 / least)
    return np.where((least > 0) & np.isfinite(v), np.minimum(v, 1.0), 0.0)


def noncentrality(statistic: Floats, df: Floats, *, tail: float) -> Floats:
    """[p] the noncentrality at which a chi-squared as large as seen has this chance; 0 where even 0 gives more.

    Source: Patnaik 1949: a noncentral chi-squared is nearly a multiple of a central one.
    """
    at_least = np.zeros_like(statistic)
    at_most = np.maximum(statistic, 1.0)
    for _ in range(STEPS):
        at_most = np.where(_above(statistic, df, at_most) < tail, at_most * 2, at_most)
        if not np.any(_above(statistic, df, at_most) < tail):
            break
    for _ in range(STEPS):
        middle = (at_least + at_most) / 2
        short = _above(statistic, df, middle) < tail
        at_least, at_most = np.where(short, middle, at_least), np.where(short, at_most, middle)
    return np.where((df > 0) & (_above(statistic, df, np.zeros_like(statistic)) < tail), at_least, 0.0)


def _above(statistic: Floats, df: Floats, noncentral: Floats) -> Floats:
    """[p] chance that a noncentral chi-squared is as large as seen."""
    with np.errstate(divide="ignore", invalid="ignore"):
        shape = np.square(df + noncentral) / (df + 2 * noncentral) / 2
        scale = (df + 2 * noncentral) / (df + noncentral)
        return np.where(df > 0, gammaincc(shape, statistic / scale / 2), 1.0)


def _fitted(seen: Floats) -> Floats:
    """[p, 2, a, b] counts with the margins of `seen` and no three-factor interaction."""
    pooled, rows, columns = (seen.sum(axis=axis, keepdims=True) for axis in (1, 3, 2))
    fit = np.ones_like(seen)
    for _ in range(FITS):
        for target, axis in ((rows, 3), (columns, 2), (pooled, 1)):
            total = fit.sum(axis=axis, keepdims=True)
            fit *= np.divide(target, total, out=np.zeros_like(total), where=total > 0)
    return fit


def _vary(tables: Floats) -> Bools:
    """[p] True where a table has more than one filled row and more than one filled column."""
    return ((tables.sum(axis=2) > 0).sum(axis=1) > 1) & ((tables.sum(axis=1) > 0).sum(axis=1) > 1)


def _filled(reliable: Floats, axis: int) -> Floats:
    """[p] rows (or columns) of each table that hold anything; those with little count in part."""
    return np.minimum(reliable.sum(axis=axis), 1.0).sum(axis=1)
