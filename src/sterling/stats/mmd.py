"""Distances between two clouds of vectors: kernel mean discrepancy, energy distance, Frechet distance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import gammainccinv

from sterling.stats.bounds import normal_quantile

if TYPE_CHECKING:
    from sterling.kernel.view import Floats

# Random features: an unbiased stand-in for the kernel, and the kernel of the measure itself.
FEATURES = 256
# Pairs of rows from which the kernel's width is taken.
WIDTH_ROWS = 500
# Rounds in which a bound and the spread at that bound agree.
ROUNDS = 20


@dataclass(frozen=True, slots=True, eq=False)
class Kernel:
    """A Gaussian kernel written as a product of random cosine features.

    Args:
        directions: [d, f / 2] frequencies.
        width: the kernel's standard deviation, in the unit of the vectors.
    """

    directions: Floats
    width: float

    def features(self, rows: Floats) -> Floats:
        """[n, f] vectors of length 1 whose products are the kernel's values, up to chance in the directions."""
        phase = rows @ self.directions
        return np.concatenate([np.cos(phase), np.sin(phase)], axis=1) / np.sqrt(phase.shape[1])


@dataclass(frozen=True, slots=True, eq=False)
class Discrepancy:
    """What two samples say of the distance of their kernel means.

    Args:
        squared: unbiased estimate of the squared distance; negative by chance where there is none.
        by_chance: what chance adds on average to the plain squared distance.
        spread: standard deviation of that part.
        slope: standard deviation of the squared distance by its linear part, which is nil where there is no gap.
    """

    squared: float
    by_chance: float
    spread: float
    slope: float

    @property
    def value(self) -> float:
        """The distance, 0 (same) to the root of 2."""
        return float(np.sqrt(max(0.0, self.squared)))

    def bounds(self, *, alpha: float) -> tuple[float, float]:
        """Lower and upper bound of the distance, each side with error about alpha."""
        z = normal_quantile(alpha)
        if self.by_chance <= 0 or self.spread <= 0:
            return self.value, self.value
        # What chance adds is a weighted sum of chi-squares: a gamma of its mean and variance (Satterthwaite 1946).
        shape = (self.by_chance / self.spread) ** 2
        up, down = (
            float(gammainccinv(shape, tail)) * self.by_chance / shape - self.by_chance for tail in (alpha, 1 - alpha)
        )
        base = max(self.squared, self.spread)
        low = high = base
        for _ in range(ROUNDS):
            # The linear part grows with the distance itself: it is taken at the bound, not at the estimate.
            low = max(0.0, self.squared - np.hypot(up, z * self.slope * np.sqrt(low / base)))
            high = max(0.0, self.squared) + np.hypot(down, z * self.slope * np.sqrt(high / base))
        return float(np.sqrt(low)), float(np.sqrt(high))


def gaussian_kernel(rows: Floats, *, rng: np.random.Generator) -> Kernel:
    """A kernel as wide as the median distance of the rows.

    Args:
        rows: [n, d] of the reference, at least 2.
        rng: draws the directions.

    Source: Rahimi & Recht 2007 (random features); Gretton et al. 2012 (the median as width).
    """
    some = rows[rng.permutation(rows.shape[0])[:WIDTH_ROWS]]
    distances = np.sqrt(squared_distances(some, some)[np.triu_indices(some.shape[0], 1)])
    width = float(np.median(distances[distances > 0])) if (distances > 0).any() else 1.0
    return Kernel(rng.normal(size=(rows.shape[1], FEATURES // 2)) / width, width)


def discrepancy(real: Floats, synthetic: Floats) -> Discrepancy:
    """The distance of two kernel means, from features.

    Args:
        real: [n, f] features of unit length.
        synthetic: [m, f] features of the same kernel.

    Source: Gretton et al. 2012, JMLR 13:723, written in features: |mean a - mean b|^2 less the trace of the
        covariance of that difference.
    """
    gap = real.mean(axis=0) - synthetic.mean(axis=0)
    noise = np.cov(real, rowvar=False) / real.shape[0] + np.cov(synthetic, rowvar=False) / synthetic.shape[0]
    by_chance = float(np.trace(noise))
    return Discrepancy(
        squared=float(gap @ gap) - by_chance,
        by_chance=by_chance,
        spread=float(np.sqrt(2 * np.square(noise).sum())),
        # The observed gap is chance in part: that part is in `spread` already.
        slope=2 * float(np.sqrt(max(0.0, gap @ noise @ gap - np.square(noise).sum()))),
    )


def squared_distances(a: Floats, b: Floats) -> Floats:
    """[n, m] squared Euclidean distances."""
    square = np.square(a).sum(axis=1)[:, None] + np.square(b).sum(axis=1)[None, :] - 2 * a @ b.T
    return np.maximum(square, 0.0)


def energy_distance(a: Floats, b: Floats, between: Floats) -> float:
    """The energy distance as a share of the largest it could be.

    Args:
        a: [n, n] distances within one sample.
        b: [m, m] distances within the other.
        between: [n, m] distances between them.

    Returns:
        (2 E|x - y| - E|x - x'| - E|y - y'|) / (2 E|x - y|), 0 (same) to 1, without the bias of small samples;
        may be a little negative by chance.

    Source: Szekely & Rizzo 2013, Journal of Statistical Planning and Inference 143:1249.
    """
    n, m = between.shape
    cross = float(between.mean())
    within = float(a.sum()) / (n * (n - 1)) + float(b.sum()) / (m * (m - 1))
    return (2 * cross - within) / (2 * cross) if cross > 0 else 0.0


def frechet_distance(a: Floats, b: Floats) -> float:
    """The distance of two normal distributions with the samples' means and covariances.

    Args:
        a: [n, d] rows, more than d of them.
        b: [m, d] rows.

    Returns:
        Squared, in squared units of the rows; 0 is the same. A sample's is too large: compare with real rows.

    Source: Dowson & Landau 1982; Heusel et al. 2017, arXiv:1706.08500.
    """
    first, second = np.atleast_2d(np.cov(a, rowvar=False)), np.atleast_2d(np.cov(b, rowvar=False))
    values, vectors = np.linalg.eigh(first)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    # tr (A B)^(1/2) by the eigenvalues of the symmetric A^(1/2)' B A^(1/2).
    shared = float(np.sqrt(np.maximum(np.linalg.eigvalsh(root.T @ second @ root), 0.0)).sum())
    gap = a.mean(axis=0) - b.mean(axis=0)
    return max(0.0, float(gap @ gap + np.trace(first) + np.trace(second)) - 2 * shared)


def turned(width: int, most: int, *, rng: np.random.Generator) -> Floats:
    """[width, most] random orthonormal directions, stretched so that mean squared lengths stay as they are."""
    directions, _ = np.linalg.qr(rng.normal(size=(width, most)))
    return directions * np.sqrt(width / most)
