"""How often the printed intervals hold the truth, and how wide they are: cases whose truth is known exactly.

    python bench/interval_coverage.py [--seeds 1000]

Nominal level 95 %. `tests/test_interval_coverage.py` runs the same cases with 1,000 seeds each and fails where
"covers at least 93 %" is rejected at p < .001. Wide-by-design intervals (bounds that hold for any distribution)
cover more than 95 %; the width says what that costs.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from sterling.kernel import registry, seeds
from sterling.kernel.estimate import Estimate
from sterling.kernel.protocols import Terms
from sterling.kernel.schema import Kind, Role
from sterling.kernel.view import Column, View
from sterling.stats.auc import delong
from sterling.stats.label_shift import rate_shift
from sterling.stats.proportions import clopper_pearson, difference_bounds, ratio_bounds

SIDE = 0.025


@dataclass(frozen=True, slots=True)
class Case:
    """One interval with a known truth.

    Args:
        truth: what it should hold.
        draw: one data set's (low, high).
    """

    truth: float
    draw: Callable[[np.random.Generator], tuple[float, float]]


def ends(estimate: object) -> tuple[float, float]:
    assert isinstance(estimate, Estimate), estimate
    return estimate.low, estimate.high


def share(rng: np.random.Generator) -> tuple[float, float]:
    return ends(clopper_pearson(int(rng.binomial(300, 0.02)), 300))


def ratio(rng: np.random.Generator) -> tuple[float, float]:
    low, high = ratio_bounds(rng.binomial(2000, 0.01), 2000, rng.binomial(3000, 0.02), 3000, alpha=SIDE)
    return float(low), float(high)


def difference(rng: np.random.Generator) -> tuple[float, float]:
    return difference_bounds(int(rng.binomial(500, 0.05)), 500, int(rng.binomial(400, 0.02)), 400, alpha=SIDE)


def area(rng: np.random.Generator) -> tuple[float, float]:
    found = delong(rng.normal(1.0, 1.0, 150), rng.normal(0.0, 1.0, 120))
    return found.bounds(alpha=SIDE)


def shift(rng: np.random.Generator) -> tuple[float, float]:
    hits = int(rng.binomial(800, 0.04)), int(rng.binomial(800, 0.10))
    _, low, high = rate_shift(hits, (800, 800), (0.04, 0.05), alpha=SIDE)
    return low, high


def number(values: np.ndarray, name: str = "x") -> Column:
    return Column(name, Kind.NUMBER, Role.FEATURE, values)


def category(codes: np.ndarray, levels: tuple[str, ...], role: Role = Role.FEATURE, name: str = "c") -> Column:
    return Column(name, Kind.CATEGORY, role, codes.astype(np.int64), levels)


def view(*columns: Column, hashes: np.ndarray | None = None) -> View:
    return View(columns[0].values.size, "made", columns, hashes=hashes)


def taken(
    name: str, real: View, synthetic: View, rng: np.random.Generator, *, holdout: View | None = None
) -> tuple[float, float]:
    """The interval on the whole set that a measure prints."""
    found = registry.resolve("measures", name)(real, synthetic, holdout=holdout, rng=rng, terms=Terms())
    return ends(found[0].result)


def shifted_column(rng: np.random.Generator) -> tuple[float, float]:
    return taken("marginal_gap", view(number(rng.normal(0, 1, 600))), view(number(rng.normal(0.3, 1, 600))), rng)


def copied_rows(rng: np.random.Generator) -> tuple[float, float]:
    """5 % of the synthetic rows are copies; no two real rows are alike."""
    real, others, held = rng.integers(2**53, size=(3, 500))  # no two alike, for all practical purposes
    copied = rng.random(500) < 0.05
    made = np.where(copied, real[rng.integers(500, size=500)], others)
    sets = [view(number(h.astype(float)), hashes=h.astype(np.uint64)) for h in (real, made, held)]
    return taken("copies", sets[0], sets[1], rng, holdout=sets[2])


def rarer_group(rng: np.random.Generator) -> tuple[float, float]:
    """One of two groups, at half of its share of 20 %; the measure's first finding is the worst group's."""
    sides = [(rng.random(n) < p).astype(np.int64) for n, p in ((2000, 0.2), (2000, 0.1))]
    real, made = (view(category(s, ("a", "b"), Role.GROUP)) for s in sides)
    return taken("representation", real, made, rng)


def repeated_rows(rng: np.random.Generator) -> tuple[float, float]:
    """Synthetic rows come in pairs of which one in ten is twice the same: 5 % repeat an earlier row."""
    real, first, second = rng.integers(2**53, size=(3, 500))
    made = np.concatenate([first, np.where(rng.random(500) < 0.1, first, second)])
    sets = [view(number(h.astype(float)), hashes=h.astype(np.uint64)) for h in (np.r_[real, real + 1], made)]
    return taken("duplicates", sets[0], sets[1], rng)


CASES: dict[str, Case] = {
    "clopper_pearson": Case(0.02, share),
    "ratio_bounds": Case(0.5, ratio),
    "difference_bounds": Case(0.03, difference),
    "delong": Case(0.5 * (1 + math.erf(0.5)), area),
    "rate_shift": Case(0.05, shift),
    "marginal_gap": Case(math.erf(0.15 / math.sqrt(2)), shifted_column),
    "copies": Case(0.05, copied_rows),
    "representation": Case(0.5, rarer_group),
    "duplicates": Case(0.05, repeated_rows),
}


def coverage(case: Case, name: str, *, n: int) -> tuple[int, float]:
    """How many of n intervals hold the truth, and their median width."""
    drawn = [case.draw(seeds.stream(0, "coverage", name, i)) for i in range(n)]
    held = sum(low <= case.truth <= high for low, high in drawn)
    return held, float(np.median([high - low for low, high in drawn]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000)
    n = parser.parse_args().seeds
    print(f"| interval | truth | covered of {n:,} | median width |\n|---|---|---|---|")
    for name, case in CASES.items():
        held, width = coverage(case, name, n=n)
        print(f"| {name} | {case.truth:.4f} | {held / n:.1%} | {width:.4f} |")


if __name__ == "__main__":
    main()
