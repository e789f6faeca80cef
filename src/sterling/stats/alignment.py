"""Domain adaptation by moving rows: the numbers of one set are given the moments, quantiles or covariances of another.

Each function maps rows of a source to where rows of a target lie, all rows of a column by one and the same map. Without
labels that assumes that both sets hold the classes in equal shares: otherwise a difference in shares is taken for a
difference in place. Where labels exist, either weigh the target's rows until the shares are equal (`to_shares`), or map
class by class (`by_class`), which matches P(x | y) whatever the shares are. But then the maps themselves tell the
classes apart: a value common to all classes (0, say) is moved to another place in each, and a model trained on the
moved rows learns the class from that. So the second suits smooth columns and many rows only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from sterling.kernel.view import AnyArray, Floats

# Directions of less variance than this, against the largest, say nothing that rounding does not.
LEAST_VARIANCE = 1e-9


def match_moments(source: Floats, target: Floats, weights: Floats | None = None) -> Floats:
    """Shift and stretch each column to the target's mean and standard deviation.

    Args:
        source: [m, d] missing = NaN.
        target: [n, d] likewise.
        weights: [n] of the target's rows, >= 0; None for all 1.

    Returns:
        [m, d]. A column without spread is shifted alone, one that either set lacks stays; missing stays missing.

    >>> match_moments(np.array([[0.0], [2.0]]), np.array([[10.0], [14.0]])).ravel()
    array([10., 14.])
    """
    out, heavy = np.array(source, dtype=np.float64), _heavy(target, weights)
    for j in _shared(source, target[heavy > 0]):
        mine, known = _finite(source[:, j]), np.isfinite(target[:, j])
        mean = np.average(target[known, j], weights=heavy[known])
        spread = np.sqrt(np.average(np.square(target[known, j] - mean), weights=heavy[known]))
        out[:, j] = mean + (source[:, j] - mine.mean()) * (spread / mine.std() if mine.std() > 0 else 1.0)
    return out


def match_quantiles(source: Floats, target: Floats, weights: Floats | None = None) -> Floats:
    """Give each column the target's distribution, its own order kept.

    Args:
        source: [m, d] missing = NaN.
        target: [n, d] likewise.
        weights: [n] of the target's rows, >= 0; None for all 1.

    Returns:
        [m, d] values that the target has; equal values stay equal, larger ones never become smaller, missing ones stay
        missing. Doing it twice is doing it once.

    Source: histogram specification, Gonzalez & Woods, Digital Image Processing.

    >>> match_quantiles(np.array([[3.0], [1.0], [2.0]]), np.array([[10.0], [20.0], [70.0]])).ravel()
    array([70., 10., 20.])
    """
    out, heavy = np.array(source, dtype=np.float64), _heavy(target, weights)
    for j in _shared(source, target[heavy > 0]):
        known, theirs = np.isfinite(source[:, j]), np.isfinite(target[:, j]) & (heavy > 0)
        order = np.argsort(target[theirs, j], kind="stable")
        ordered, below = target[theirs, j][order], np.cumsum(heavy[theirs][order])
        _, place, counts = np.unique(source[known, j], return_inverse=True, return_counts=True)
        # Equal values share the middle of the ranks that they take.
        middle = (np.cumsum(counts) - counts / 2) / counts.sum()
        at = np.searchsorted(below, middle * below[-1])
        out[known, j] = ordered[np.minimum(at, ordered.size - 1)][place]
    return out


def coral(source: Floats, target: Floats, weights: Floats | None = None) -> Floats:
    """Give the source the target's means and covariances: A = C_s^-1/2 C_t^1/2.

    Args:
        source: [m, d] missing = NaN, which counts as the column's mean and stays missing.
        target: [n, d] likewise.
        weights: [n] of the target's rows, >= 0; None for all 1.

    Returns:
        [m, d]. Columns are measured in the target's standard deviations first; columns without spread in either set
        are left out, and shifted to the target's mean. Where columns depend on each other, or are more than the rows,
        both covariances are shrunk to their diagonals by d / (rows + d).

    Source: Sun, Feng & Saenko 2016, arXiv:1511.05547; SCIENCE.md 3.7.

    >>> rng = np.random.default_rng(0)
    >>> a, b = rng.normal(size=(50, 2)), rng.normal(size=(60, 2)) @ np.array([[2.0, 1.0], [0.0, 0.5]]) + 7
    >>> bool(np.allclose(np.cov(coral(a, b).T), np.cov(b.T)))
    True
    """
    heavy = _heavy(target, weights)
    out, target = match_moments(source, target, weights), target[heavy > 0]
    heavy, spread = heavy[heavy > 0], np.zeros(source.shape[1], dtype=bool)
    for j in _shared(source, target):
        spread[j] = _finite(source[:, j]).std() > 0 and _finite(target[:, j]).std() > 0
    if not spread.any():
        return out
    mine, _, gaps = _centred(source[:, spread], np.ones(source.shape[0]))
    theirs, means, _ = _centred(target[:, spread], heavy)
    scale = theirs.std(axis=0)
    mine, theirs = mine / scale, theirs / scale
    before, after = _covariance(mine, np.ones(mine.shape[0])), _covariance(theirs, heavy)
    if _deficient(before) or _deficient(after):
        before, after = _shrunk(before, mine.shape[0]), _shrunk(after, theirs.shape[0])
    moved = means + scale * (mine @ _power(before, -0.5) @ _power(after, 0.5))
    out[:, spread] = np.where(gaps, np.nan, moved)
    return out


def by_class(
    match: Callable[[Floats, Floats], Floats], source: Floats, target: Floats, *, mine: AnyArray, theirs: AnyArray
) -> Floats:
    """Match class by class, so that P(x | y) is matched whatever the shares of the classes are.

    Args:
        match: one of the functions above.
        source: [m, d].
        target: [n, d].
        mine: [m] class numbers of the source; rows of a class that the target lacks stay as they are.
        theirs: [n] class numbers of the target.
    """
    out = np.array(source, dtype=np.float64)
    for label in np.intersect1d(mine, theirs):
        rows = mine == label
        out[rows] = match(source[rows], target[theirs == label])
    return out


def to_shares(theirs: AnyArray, mine: AnyArray) -> Floats:
    """Weights under which the target holds the classes in the source's shares.

    Args:
        theirs: [n] class numbers of the target.
        mine: [m] class numbers of the source.

    Returns:
        [n], mean 1 where every class of the source occurs; 0 for classes that the source lacks.

    >>> to_shares(np.array([0, 0, 0, 1]), np.array([0, 1]))
    array([0.66666667, 0.66666667, 0.66666667, 2.        ])
    """
    weights = np.zeros(theirs.size)
    for label in np.intersect1d(theirs, mine):
        weights[theirs == label] = (mine == label).mean() / (theirs == label).mean()
    return weights


def _shared(source: Floats, target: Floats) -> list[int]:
    """Columns of which both sets have a value."""
    both = np.isfinite(source).any(axis=0) & np.isfinite(target).any(axis=0)
    return [int(j) for j in np.flatnonzero(both)]


def _finite(values: Floats) -> Floats:
    return values[np.isfinite(values)]


def _heavy(target: Floats, weights: Floats | None) -> Floats:
    return np.ones(target.shape[0]) if weights is None else np.asarray(weights, dtype=np.float64)


def _centred(matrix: Floats, heavy: Floats) -> tuple[Floats, Floats, AnyArray]:
    """The matrix about its means, the means, and which cells were missing (0 now)."""
    gaps = ~np.isfinite(matrix)
    mass = np.where(gaps, 0.0, heavy[:, None])
    means = (np.where(gaps, 0.0, matrix) * mass).sum(axis=0) / mass.sum(axis=0)
    return np.where(gaps, 0.0, matrix - means), means, gaps


def _covariance(centred: Floats, heavy: Floats) -> Floats:
    """Weighted; with equal weights the usual one, divided by n - 1."""
    share = heavy / heavy.sum()
    return (centred * share[:, None]).T @ centred / max(1 - float(np.square(share).sum()), 1e-12)


def _deficient(covariance: Floats) -> bool:
    values = np.linalg.eigvalsh(covariance)
    return bool(values[0] <= LEAST_VARIANCE * values[-1])


def _shrunk(covariance: Floats, rows: int) -> Floats:
    share = covariance.shape[0] / (rows + covariance.shape[0])
    return (1 - share) * covariance + share * np.diag(np.diag(covariance))


def _power(covariance: Floats, exponent: float) -> Floats:
    values, vectors = np.linalg.eigh(covariance)
    return (vectors * np.maximum(values, 1e-300) ** exponent) @ vectors.T
