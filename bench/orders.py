"""How surely `order` finds a gain, and how often it would name a harm: the rule of two standard errors over folds.

    python bench/orders.py [--runs 25]

Rows of a planted relation (those of tests/test_order.py): good synthetic rows, rows with wrong labels, rows of another
relation. For each, a mix is judged by repeated cross-validation, and the true gain on 6,000 fresh rows stands beside
it: how often two plain standard errors, and two corrected ones (Nadeau & Bengio 2003), call it a gain; and how often
they do where the truth is a loss of more than .003 AUC. The benchmark, which `order` asks last, is left out here.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from sterling.blend.folds import deal
from sterling.kernel.view import View, stack
from sterling.stats.scores import score_of
from test_order import LEARNER, rng, rows

SETS = {"good": {}, "45 % wrong labels": {"flip": 0.45}, "another relation": {"turn": 0.6}}
MADE, FOLDS, REPEATS = 1500, 4, 3


def score(model, view: View) -> float:
    return score_of(view.known_target, LEARNER.predict(model, view))


def gain(real: View, made: View, judge: View) -> float:
    """Of the mix over real rows alone."""
    heavy = np.r_[np.ones(real.n), np.full(made.n, 0.3 * real.n / made.n)]
    mixed = LEARNER.fit(stack([real, made]), heavy, rng=rng())
    return score(mixed, judge) - score(LEARNER.fit(real, None, rng=rng()), judge)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=25)
    runs = parser.parse_args().runs
    judge, k = rows(6000, 99), FOLDS * REPEATS
    for n in (100, 200, 400):
        for name, planted in SETS.items():
            found = []
            for run in range(runs):
                train, made = rows(n, 1000 + run), rows(MADE, 5000 + run, **planted)
                parts = deal(train, folds=FOLDS, repeats=REPEATS, seed=run)
                gains = np.array([gain(train.take(p.kept), made, train.take(p.held)) for p in parts])
                sd = gains.std(ddof=1)
                plain, corrected = sd * np.sqrt(1 / k), sd * np.sqrt(1 / k + 1 / (FOLDS - 1))
                found.append((gain(train, made, judge), gains.mean() > 2 * plain, gains.mean() > 2 * corrected))
            truth, named, careful = (np.array(column) for column in zip(*found, strict=True))
            harm = truth < -0.003
            told = f"named {named.mean():.0%}, corrected {careful.mean():.0%}"
            wrong = f"a harm named {np.mean(named & harm):.0%}, corrected {np.mean(careful & harm):.0%}"
            spread = f"true gain {truth.mean():+.4f} (least {truth.min():+.4f})"
            print(f"n = {n}, {name:<18} {spread}   {told}   {wrong}", flush=True)


if __name__ == "__main__":
    main()
