"""What an attacker fakes on a benchmark, and how long an honest climber waits; the figures in docs/benchmark.md.

python bench/reusable_holdout.py     about 15 s on one core
"""

from __future__ import annotations

import numpy as np

from sterling.kernel.seeds import stream
from sterling.stats.reusable import Thresholdout, fakeable, ladder

RUNS = 40


class Plain:
    """Tells the score itself."""

    def __init__(self, _n, _rng):
        pass

    def ask(self, _train, now):
        return float(now.mean()), float(now.mean()) - 0.5


class Ladder:
    """Tells the best so far."""

    factor = 2.0

    def __init__(self, _n, _rng):
        self.best = None

    def ask(self, _train, now):
        rung = ladder(self.best, now, factor=self.factor)
        self.best = now if rung.improved else self.best
        return rung.best, 1.0 if rung.improved else -1.0


class PaperLadder(Ladder):
    """The same with the paper's step of one standard error."""

    factor = 1.0


class Noisy:
    """Thresholdout: the train score, or the benchmark's with noise."""

    def __init__(self, n, rng):
        self.state, self.rng = Thresholdout.for_rows(n), rng

    def ask(self, train, now):
        said, self.state = self.state.ask(float(train.mean()), float(now.mean()), rng=self.rng)
        return said, 0.0 if said is None else said - 0.5


def attack(kind, n, asked, seed):
    """Coin flips, kept or turned round by what the benchmark said, then voting: told gain, and fitted gain."""
    rng = stream(seed, "attack")
    desk = kind(n, stream(seed, "noise"))
    truth, train_truth = rng.integers(0, 2, n), rng.integers(0, 2, n)
    votes, train_votes = np.zeros(n), np.zeros(n)
    for _ in range(asked):
        guess, train_guess = rng.integers(0, 2, n), rng.integers(0, 2, n)
        _, side = desk.ask(train_guess == train_truth, (guess == truth).astype(float))
        votes += np.sign(side) * (2 * guess - 1)
        train_votes += np.sign(side) * (2 * train_guess - 1)
    coin = rng.integers(0, 2, n)
    final, train_final = (np.where(v == 0, coin, v > 0) for v in (votes, train_votes))
    now = (final == truth).astype(float)
    told, _ = desk.ask((train_final == train_truth).astype(float), now)
    return np.nan if told is None else told - 0.5, float(now.mean()) - 0.5


def climb(kind, n, seed, steps=40, gain=0.005):
    """Honest models, each `gain` better; neighbours agree on seven rows in ten: mean and last shortfall."""
    rng = stream(seed, "climb")
    desk = kind(n, stream(seed, "noise"))
    hard, train_hard = rng.random(n), rng.random(n)
    behind = []
    for right in 0.6 + gain * np.arange(steps):
        now, train = (np.where(rng.random(n) < 0.3, rng.random(n), h) < right for h in (hard, train_hard))
        told, _ = desk.ask(train.astype(float), now.astype(float))
        behind.append(np.nan if told is None else right - told)
    return np.nanmean(behind), behind[-1]


def main():
    """Both tables."""
    kinds = {"plain": Plain, "ladder, 1 SE": PaperLadder, "ladder, 2 SE": Ladder, "thresholdout": Noisy}
    print(f"attack, {RUNS} runs; formula for plain scores in brackets")
    for n, asked in [(1000, 400), (2000, 1000), (10_000, 1000)]:
        for name, kind in kinds.items():
            found = np.array([attack(kind, n, asked, s) for s in range(RUNS)])
            silent = int(np.isnan(found[:, 0]).sum())
            told = "silent" if silent == RUNS else f"{np.nanmean(found[:, 0]):.3f} (most {np.nanmax(found[:, 0]):.3f})"
            print(
                f"n={n:6} k={asked:5} {name:13} told {told:22} fitted {found[:, 1].mean():+.3f}  "
                f"no answer in {silent}/{RUNS}  [{fakeable(asked, n):.3f}]"
            )
    print("honest climber: 40 models, .60 to .795")
    for n in (1000, 10_000):
        for name, kind in kinds.items():
            found = np.array([climb(kind, n, s) for s in range(RUNS)])
            mean, last = np.nanmean(found, axis=0)
            print(f"n={n:6} {name:13} behind by {mean:+.4f} = {mean / 0.005:+.1f} questions; at the end {last:+.4f}")


if __name__ == "__main__":
    main()
