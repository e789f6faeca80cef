"""Five per cent wrong is not five per cent wrong: independent, consistent, clustered and recursive errors.

    python bench/science/wrong_labels.py [--pictures docs/science]

First the count model (each fact is mentioned k times, the model says what it heard most); then boosted trees on
Adult with the same 5 % of labels wrong at random, or all inside one slice and in one direction.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from chart import Series, draw

from sterling.kernel.seeds import stream
from sterling.learners.boosted_trees import BoostedTrees
from tables import adult

RATE = 0.05
FACTS = 20_000


def counted(kind: str, k: int) -> tuple[float, float]:
    """(error of a model that says what it heard most, error inside the bad slice) with k mentions per fact."""
    rng = stream(0, "science", "facts", kind, k)
    slice_ = np.arange(FACTS) < FACTS // 12
    if kind == "independent":
        wrong = rng.random((FACTS, k)) < RATE
    elif kind == "consistent":
        wrong = np.repeat(rng.random((FACTS, 1)) < RATE, k, axis=1)
    else:
        wrong = (rng.random((FACTS, k)) < 0.6) & slice_[:, None]
    votes = wrong.sum(axis=1)
    said_wrong = (votes > k / 2) | ((votes == k / 2) & (rng.random(FACTS) < 0.5))
    return float(said_wrong.mean()), float(said_wrong[slice_].mean())


def recursive(generations: int, mentions: int) -> list[float]:
    """Error rate by generation when each one repeats the last and adds its own 5 %."""
    rng = stream(0, "science", "recursion", mentions)
    wrong, out = np.zeros(FACTS, dtype=bool), []
    for _ in range(generations):
        # A fact once wrong stays wrong: of many possible answers hardly one error hits the right one again.
        heard = (rng.random((FACTS, mentions)) < RATE) | wrong[:, None]
        wrong = heard.sum(axis=1) > mentions / 2
        out.append(float(wrong.mean()))
    return out


def trees(n: int, seed: int) -> dict[str, tuple[float, float]]:
    """Points of error, overall and inside the slice, that 5 % wrong labels add to a model of Adult."""
    train, test, slice_train, slice_test = adult(n, seed)
    rng = stream(seed, "science", "labels", n)
    target = train.target
    assert target is not None
    assert test.target is not None
    codes = target.values
    random_ = codes.copy()
    flip = rng.random(n) < RATE
    random_[flip] = 1 - random_[flip]
    inside = np.flatnonzero(slice_train & (codes == 0))
    clustered = codes.copy()
    clustered[rng.permutation(inside)[: int(RATE * n)]] = 1
    out = {}
    for name, labels in (("clean", codes), ("random", random_), ("one slice", clustered)):
        learner = BoostedTrees()
        model = learner.fit(_with(train, labels), None, rng=stream(seed, "fit"))
        wrong = learner.predict(model, test).argmax(axis=1) != test.target.values
        out[name] = (float(wrong.mean()), float(wrong[slice_test].mean()))
    return out


def _with(view, labels):
    from dataclasses import replace

    columns = tuple(replace(c, values=labels) if c.name == view.target.name else c for c in view.columns)
    return replace(view, columns=columns)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--pictures", type=Path)
    where = parser.parse_args().pictures
    mentions = [1, 3, 5, 10]
    print("Error of a model that says what it heard most; 5 % of the mentions wrong")
    for kind in ("independent", "consistent", "clustered"):
        found = [counted(kind, k) for k in mentions]
        told = "  ".join(f"k={k}: {a:.3f}" for k, (a, _) in zip(mentions, found, strict=True))
        print(f"  {kind:<12}{told}" + (f"   in the slice: {found[-1][1]:.2f}" if kind == "clustered" else ""))
    plain, redundant = recursive(10, 1), recursive(10, 5)
    law = [1 - (1 - RATE) ** g for g in range(1, 11)]
    told = f"{plain[-1]:.3f} with one mention (1-.95^10 = {law[-1]:.3f}), {redundant[-1]:.4f} with five"
    print(f"  recursive   generation 10: {told}")
    print("Boosted trees on Adult: points of error added by 5 % wrong labels (overall, in the slice)")
    for n in (1000, 8000):
        runs = [trees(n, seed) for seed in range(5)]
        for name in ("random", "one slice"):
            overall, inside = np.mean([np.subtract(r[name], r["clean"]) for r in runs], axis=0)
            print(f"  n = {n:5d}  {name:<10} {100 * overall:+.1f}  {100 * inside:+.1f}")
    if where:
        g = list(range(1, 11))
        draw(
            where / "recursion.svg", "Five per cent wrong, told on from generation to generation", "generation",
            "share of facts wrong",
            [
                Series("one mention, measured", g, plain, dots=True),
                Series("1 - .95^g", g, law),
                Series("five mentions, measured", g, redundant, dots=True, colour=1),
            ],
        )  # fmt: skip


if __name__ == "__main__":
    main()
