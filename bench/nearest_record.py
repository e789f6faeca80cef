"""CPU time of the exact nearest-record search on one core, beside scikit-learn's brute force on the same rows.

    python bench/nearest_record.py [--small]

Must reach: 300,000 x 300,000 x 40 mixed columns under 60 CPU seconds, 50 numbers under 360. Columns come from six
hidden factors and noise, as those of real tables do; the last table has 40 columns that know nothing of each other,
the worst case, where no block of records can be ruled out. scikit-learn (one-hot, squared Euclidean distance, the
same one where nothing is missing) takes a slice of the queries, and its time is scaled to all of them. Distances of
that slice must agree, and the record found must be as near as any.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from scipy.special import ndtr
from sklearn.neighbors import NearestNeighbors
from threadpoolctl import threadpool_limits

from sterling.kernel import seeds
from sterling.stats.neighbours import Side, nearest


def table(rows: int, names: int, numbers: int, part: str, *, factors: int) -> Side:
    """Ranks and codes of correlated columns; with no factors, independent ones."""
    rng, shape = seeds.stream(0, "nearest_record", part), seeds.stream(0, "nearest_record", "shape")
    d = names + numbers
    levels = shape.integers(2, 12, size=names)
    weights = shape.normal(size=(factors, d)) / np.sqrt(max(1, factors))
    noise = 0.5 if factors else 1.0
    x = rng.normal(size=(rows, factors)) @ weights + noise * rng.normal(size=(rows, d))
    ranks = ndtr(x / np.sqrt(np.square(weights).sum(axis=0) + noise**2))
    ranks[:, :names] = np.floor(ranks[:, :names] * levels)
    return Side(ranks, np.arange(d) < names)


def one_hot(side: Side) -> np.ndarray:
    """Rows whose squared Euclidean distance is the documented one."""
    parts = [side.cells[:, ~side.category]]
    for codes in side.cells[:, side.category].T:
        parts.append(np.sqrt(0.5) * (codes[:, None] == np.arange(12)))
    return np.concatenate(parts, axis=1).astype(np.float32)


def brute_force(queries: Side, reference: Side) -> tuple[np.ndarray, float]:
    """Squared distances, and CPU seconds a query."""
    rows, others = one_hot(queries), one_hot(reference)
    with threadpool_limits(1):
        search = NearestNeighbors(n_neighbors=1, algorithm="brute", n_jobs=1).fit(others)
        before = time.process_time()
        found = search.kneighbors(rows)[1][:, 0]
        spent = time.process_time() - before
    return distances(queries.cells, reference.cells[found], queries.category), spent / queries.n


def distances(rows: np.ndarray, others: np.ndarray, category: np.ndarray) -> np.ndarray:
    """The documented one, row by row."""
    return np.square(np.where(category, rows != others, rows - others)).sum(axis=1)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--small", action="store_true", help="a tenth of the rows, for a quick look")
    rows = 30_000 if parser.parse_args().small else 300_000
    warm = table(300, 4, 10, "warm", factors=2)
    nearest(warm, warm)
    print(f"{'table':<34} {'ours, CPU s':>12} {'queries/s':>10} {'brute force, CPU s (scaled)':>28} {'ratio':>6}")
    for label, names, numbers, factors in (
        ("20 categories, 20 numbers", 20, 20, 6),
        ("50 numbers", 0, 50, 6),
        ("20 and 20 that know nothing", 20, 20, 0),
    ):
        queries, reference = (table(rows, names, numbers, part, factors=factors) for part in ("queries", "reference"))
        before = time.process_time()
        near, where = nearest(queries, reference)
        spent = time.process_time() - before
        some = seeds.stream(0, "nearest_record", "slice").permutation(rows)[:256]
        expected, each = brute_force(Side(queries.cells[some], queries.category), reference)
        # Single precision lets brute force miss the nearest by a hair; it can never find a nearer one.
        assert (near[some] <= expected + 1e-9).all()
        assert np.allclose(near[some], expected, atol=1e-5)
        apart = np.where(
            queries.category, queries.cells != reference.cells[where], queries.cells - reference.cells[where]
        )
        assert np.allclose(np.square(apart).sum(axis=1), near, atol=1e-9)
        brute = each * rows
        print(f"{label:<34} {spent:>12.1f} {rows / spent:>10,.0f} {brute:>28,.0f} {brute / spent:>5.0f}x", flush=True)
    print(f"\n{rows:,} x {rows:,} records; brute force measured on 256 queries and scaled; exact on all of them")


if __name__ == "__main__":
    main()
