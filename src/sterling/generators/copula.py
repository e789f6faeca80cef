"""A Gaussian copula: every column by itself exactly, and linear dependence between their normal scores."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sterling.kernel.dataset import Dataset
from sterling.kernel.errors import InputError
from sterling.modalities.tabular.anatomy import Anatomy, make_batches, take_apart

if TYPE_CHECKING:
    from sterling.kernel.dataset import Batch
    from sterling.kernel.view import Bools, Floats, Ints
    from sterling.modalities.tabular.outcomes import Ids

# Eigenvalues of a repaired correlation matrix are at least this: small enough to change no sound matrix,
# large enough for a stable Cholesky factor.
LEAST_EIGENVALUE = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class FittedCopula:
    """A table's columns and how their normal scores move together.

    Args:
        anatomy: of the training table.
        edges: per column [k + 1] the cumulated shares of its values, 0 ... 1.
        missing: [d] share of missing cells.
        correlation: [2 d, 2 d] of the normal scores of the d columns, then of their missingness.
    """

    anatomy: Anatomy
    edges: tuple[Floats, ...]
    missing: Floats
    correlation: Floats


@dataclass(frozen=True, slots=True)
class Copula:
    """Normal scores of every column, and the correlation between them: the honest weak baseline.

    Each column's own distribution is kept (numbers by their empirical quantiles, categories by their
    frequency, missing cells by a score of their own), but of how columns depend on each other only a
    monotone, pairwise trend survives: no interactions, no exclusive-or, no impossible pairs ruled out.
    Whole numbers, spikes, formats and the observed range are kept; identifiers are made anew; free text
    comes from an order-2 chain of words that knows nothing of the other columns. Any columns may be given.

    Args:
        smoothing: how far numbers may move from training values, 0 (not at all) to 1 (half way to the next).

    Raises:
        InputError: if `smoothing` is out of its range.

    Source: Nelsen 2006, An Introduction to Copulas, 2.4; Patki, Wedge & Veeramachaneni 2016, "The
    Synthetic Data Vault" (categories as intervals); Higham 2002 (repair; here eigenvalues are clipped).
    """

    smoothing: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.smoothing <= 1:
            raise InputError(f"smoothing is {self.smoothing}", mend="give a value from 0 to 1: --set smoothing=1")

    def fit(self, data: Dataset, *, rng: np.random.Generator) -> FittedCopula:
        """Measure shares and correlations.

        Raises:
            InputError: if there are no rows or columns, or a column of a kind that no table holds.
        """
        anatomy, ids = take_apart(data)
        edges = tuple(_edges(o.counts) for o in anatomy.outcomes)
        missing = np.mean(ids < 0, axis=1)
        scores = [_scores(row, e, rng=rng) for row, e in zip(ids, edges, strict=True)]
        gone = [_scores((row < 0).astype(np.int32), _gap(m), rng=rng) for row, m in zip(ids, missing, strict=True)]
        latent = np.array([*scores, *gone]).reshape(2 * len(ids), ids.shape[1])
        # What never varies has scores too, but no say: chance correlations of few rows are kept out.
        several = [o.counts.size > 1 for o in anatomy.outcomes]
        varies = np.array([*several, *((missing > 0) & (missing < 1))], dtype=bool)
        return FittedCopula(anatomy, edges, missing, positive_definite(_correlation(latent, varies)))

    def sample(
        self, fitted: FittedCopula, n: int, *, rng: np.random.Generator, given: Batch | None = None
    ) -> Iterator[Batch]:
        """Draw n rows, in batches of at most 50,000.

        Raises:
            InputError: for n < 1, or for given columns of another length or name.
        """

        def draw(size: int, held: Mapping[int, Ids]) -> Ids:
            return _draw(fitted, size, held, rng=rng)

        return make_batches(fitted.anatomy, n, draw=draw, smoothing=self.smoothing, given=given, rng=rng)


def positive_definite(correlation: Floats) -> Floats:
    """The correlation matrix with eigenvalues clipped to at least 1e-6, and a diagonal of ones.

    >>> bad = np.array([[1.0, 0.9, -0.9], [0.9, 1.0, 0.9], [-0.9, 0.9, 1.0]])
    >>> bool(np.linalg.eigvalsh(bad).min() < 0 < np.linalg.eigvalsh(positive_definite(bad)).min())
    True
    """
    if not correlation.size:
        return correlation
    values, vectors = np.linalg.eigh(correlation)
    if values[0] >= LEAST_EIGENVALUE:
        return correlation
    mended = (vectors * np.maximum(values, LEAST_EIGENVALUE)) @ vectors.T
    scale = np.sqrt(np.diag(mended))
    return mended / np.outer(scale, scale)


def _edges(counts: Ints) -> Floats:
    return np.append(0.0, np.cumsum(counts) / max(int(counts.sum()), 1))


def _gap(missing: float) -> Floats:
    """The edges of "present" and "missing"."""
    return np.array([0.0, 1.0 - missing, 1.0])


def _scores(ids: Ids, edges: Floats, *, rng: np.random.Generator) -> Floats:
    """[n] normal scores, uniform within the interval of each value; NaN where missing or unknown."""
    from scipy.special import ndtri

    known = (ids >= 0) & (ids < edges.size - 1)
    low, high = edges[np.where(known, ids, 0)], edges[np.where(known, ids + 1, 0)]
    uniform = low + (high - low) * (1.0 - rng.random(ids.size))
    # Half an ulp below 1 keeps the score finite.
    return np.where(known, ndtri(np.clip(uniform, 1e-12, 1 - 1e-12)), np.nan)


def _correlation(latent: Floats, varies: Bools) -> Floats:
    """[l, l] correlations of scores of variance 1, each over the rows where both are there; 0 where none are."""
    there = ~np.isnan(latent)
    scores = np.where(there, latent, 0.0)
    both = there.astype(np.float64) @ there.T
    with np.errstate(invalid="ignore", divide="ignore"):
        products = scores @ scores.T
        spread = np.sqrt((scores**2 @ there.T) * (there @ (scores**2).T))
        found = np.where((both > 1) & (spread > 0) & np.outer(varies, varies), products / spread, 0.0)
    np.fill_diagonal(found, 1.0)
    return np.clip(found, -1.0, 1.0)


def _draw(fitted: FittedCopula, n: int, held: Mapping[int, Ids], *, rng: np.random.Generator) -> Ids:
    """[d, n] ids: normal scores under the correlation, back through each column's intervals."""
    from scipy.special import ndtr

    d = len(fitted.edges)
    latent = np.full((2 * d, n), np.nan)
    for j, ids in held.items():
        latent[j] = _scores(ids, fitted.edges[j], rng=rng)
        latent[d + j] = _scores((ids < 0).astype(np.int32), _gap(fitted.missing[j]), rng=rng)
    uniform = ndtr(_complete(latent, fitted.correlation, rng=rng))
    drawn = np.empty((d, n), dtype=np.int32)
    for j, edges in enumerate(fitted.edges):
        place = np.clip(np.searchsorted(edges, uniform[j], side="right") - 1, 0, max(edges.size - 2, 0))
        drawn[j] = np.where(uniform[d + j] < 1.0 - fitted.missing[j], place, -1)
    return drawn


def _complete(latent: Floats, correlation: Floats, *, rng: np.random.Generator) -> Floats:
    """[l, n] the rows that are NaN throughout drawn given the others; single gaps in those are drawn first."""
    free = np.asarray(np.all(np.isnan(latent), axis=1))
    noise = rng.standard_normal(latent.shape)
    if not latent.size:
        return latent
    if free.all():
        return np.linalg.cholesky(correlation) @ noise
    known = np.where(np.isnan(latent), noise, latent)
    across, within = correlation[np.ix_(free, ~free)], correlation[np.ix_(~free, ~free)]
    weights = np.linalg.solve(within, across.T).T
    rest = correlation[np.ix_(free, free)] - weights @ across.T
    # Lifted just enough that rounding cannot spoil the Cholesky factor.
    root = np.linalg.cholesky(rest + LEAST_EIGENVALUE / 1e3 * np.eye(len(rest)))
    known[free] = weights @ known[~free] + root @ noise[free]
    return known
