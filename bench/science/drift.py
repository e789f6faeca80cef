"""How rare classes die in generation loops, and how many fresh real rows keep them.

    python bench/science/drift.py [--pictures docs/science]

A class with k rows that is resampled from itself is a neutral allele: P(extinct by generation t) ~ exp(-2k/t)
(Feller's diffusion). With I fresh real rows of the class per generation it comes back; the count matters, not
the share.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from chart import Series, draw

from sterling.kernel.seeds import stream

REPEATS = 40_000
ROWS = 2000


def extinct(k: int, generations: list[int]) -> dict[int, float]:
    """Share of chains in which the class is gone by each generation."""
    rng = stream(0, "science", "drift", k)
    share, out = np.full(REPEATS, k / ROWS), {}
    for t in range(1, max(generations) + 1):
        share = rng.binomial(ROWS, share) / ROWS
        if t in generations:
            out[t] = float((share == 0).mean())
    return out


def injected(k: int, fresh: float, generations: int = 50) -> tuple[float, float]:
    """(absent, below half its mass) in the last generations, when fresh real rows of the class come in on average."""
    rng = stream(0, "science", "inject", k, str(fresh))
    lam = fresh / k
    share = np.full(REPEATS // 4, k / ROWS)
    absent = half = 0.0
    for t in range(generations):
        share = rng.binomial(ROWS, (1 - lam) * share + lam * k / ROWS) / ROWS
        if t >= generations - 10:
            absent += (share == 0).mean() / 10
            half += (share < k / ROWS / 2).mean() / 10
    return float(absent), float(half)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--pictures", type=Path)
    where = parser.parse_args().pictures
    times = [5, 10, 20, 30, 50]
    print("Extinct by generation t (measured / exp(-2k/t))")
    series = []
    for i, k in enumerate((5, 10, 25)):
        found = extinct(k, times)
        print(f"  k = {k:2d}  " + "  ".join(f"t={t}: {found[t]:.3f}/{np.exp(-2 * k / t):.3f}" for t in times))
        series.append(Series(f"k = {k}, measured", times, list(found.values()), dots=True, colour=i))
        series.append(Series(f"k = {k}, exp(-2k/t)", times, [float(np.exp(-2 * k / t)) for t in times], colour=i))
    print("With I fresh real rows of the class per generation, after 50 generations")
    for k in (10, 20, 50):
        told = []
        for fresh in (1.0, 2.5, 5.0):
            absent, half = injected(k, fresh)
            told.append(f"I={fresh}: absent {absent:.1%}, below half {half:.1%}")
        print(f"  k = {k:2d}  " + "   ".join(told))
    if where:
        draw(
            where / "extinction.svg", "A class of k rows, resampled from itself", "generation", "share extinct", series
        )


if __name__ == "__main__":
    main()
