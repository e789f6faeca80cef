"""Telling two samples apart where their records come in families: whole families are held out, and counted as one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sterling.kernel.estimate import Estimate
from sterling.stats.auc import delong
from sterling.stats.boosting import boost, encode, learn_codes, predict
from sterling.stats.bounds import normal_quantile
from sterling.stats.conditional import TREES

if TYPE_CHECKING:
    from sterling.kernel.view import Bools, Floats, Ints

FOLDS = 5
# The folds share training rows: Nadeau & Bengio's factor over plain averaging, as in `two_sample_auc`.
WIDEN = float(np.sqrt((1 / FOLDS + 1 / (FOLDS - 1)) * FOLDS))


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """Records of one side.

    Args:
        matrix: [n, d] as trees take them, missing = NaN.
        families: [n] which records belong together.
    """

    matrix: Floats
    families: Ints


def tell_apart(
    one: Sample, other: Sample, categorical: Bools, *, level: float = 0.95, rng: np.random.Generator
) -> Estimate:
    """How well boosted trees tell two samples apart, by families that they did not see.

    Args:
        one: called 0, at least two families.
        other: called 1, at least two families.
        categorical: [d] which columns are codes.
        level: of the interval.
        rng: deals families into folds.

    Returns:
        AUC, .5 (cannot tell) to 1 (always tells), below .5 by chance only; smaller is better. `n` counts families.

    Source: Obuchowski 1997, "Nonparametric analysis of clustered ROC curve data", Biometrics 53; Lopez-Paz &
    Oquab 2017; Nadeau & Bengio 2003.
    """
    both = np.concatenate([one.matrix, other.matrix])
    y = np.repeat([0, 1], [len(one.matrix), len(other.matrix)])
    families, fold = _dealt(one.families, other.families, rng=rng)
    coded = encode(learn_codes(both, categorical), both)
    areas: list[tuple[float, float]] = []
    for part in range(FOLDS):
        held = fold == part
        if np.unique(y[held]).size < 2 or np.unique(y[~held]).size < 2:
            continue
        model = boost(coded.take(~held), y[~held], classes=2, boosting=TREES)
        score = predict(model, coded.take(held))[:, 1]
        areas.append(clustered_area(score, y[held], families[held]))
    value = float(np.mean([a for a, _ in areas]))
    error = float(np.sqrt(np.mean([v for _, v in areas]) / len(areas))) * WIDEN
    half = normal_quantile((1 - level) / 2) * error
    count = int(np.unique(families).size)
    low, high = max(0.0, value - half), min(1.0, value + half)
    return Estimate(value, low, high, count, level, "by families (Obuchowski), widened for folds (Nadeau-Bengio)")


def clustered_area(score: Floats, y: Ints, families: Ints) -> tuple[float, float]:
    """The AUC of scores, and its variance over families of the two sides; no family is on both.

    Args:
        score: [n] larger for what looks like 1.
        y: [n] 0 or 1, both there.
        families: [n].
    """
    positive, negative = score[y == 1], score[y == 0]
    area = delong(positive, negative).value
    variance = 0.0
    for mine, others, own in ((positive, negative, families[y == 1]), (negative, positive, families[y == 0])):
        ordered = np.sort(others)
        below = np.searchsorted(ordered, mine, side="left") + np.searchsorted(ordered, mine, side="right")
        wins = below / (2 * others.size)
        _, cluster = np.unique(own, return_inverse=True)
        sums = np.bincount(cluster, weights=wins - wins.mean())
        k = sums.size
        variance += float(np.sum(sums**2)) / mine.size**2 * (k / max(k - 1, 1))
    return area, variance


def _dealt(one: Ints, other: Ints, *, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """[n] families of both sides with numbers of their own, and the fold of each."""
    _, first = np.unique(one, return_inverse=True)
    _, second = np.unique(other, return_inverse=True)
    apart = int(first.max(initial=-1)) + 1
    count = int(second.max(initial=-1)) + 1
    fold = np.concatenate([rng.permutation(apart) % FOLDS, rng.permutation(count) % FOLDS])
    families = np.concatenate([first, second + apart])
    return families, fold[families]
