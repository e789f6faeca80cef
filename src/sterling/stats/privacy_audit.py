"""How much epsilon an attack proves: what was guessed right of secret coins bounds any promise of privacy from below.

Source: Steinke, Nasr & Jagielski 2023, "Privacy Auditing with One (1) Training Run", arXiv:2305.08846, Theorem 5.2
and section 5; the bound holds for adaptive guesses, abstentions, and several runs with coins of their own.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import betainc, expit

if TYPE_CHECKING:
    from sterling.kernel.view import Bools, Floats, Ints

# No attack of practical size proves more.
MOST_EPSILON = 30.0
# The attacker guesses on all records, or only on those of which he is surest: both are looked at, at half of alpha.
SHARES = (1.0, 0.5)
# Noise of counts as the attacker estimates it: from more than so many cells, never below this, outliers cut.
FEW_CELLS, LEAST_VARIANCE, CUT = 4, 0.05, 6.0


@dataclass(frozen=True, slots=True)
class Guesses:
    """What an attacker guessed of k coins.

    Args:
        coins: records of which a coin decided whether they were learned from.
        made: guesses; he may abstain.
        right: of those, how many were right.
    """

    coins: int
    made: int
    right: int


def epsilon_at_least(guesses: Guesses, *, delta: float, alpha: float) -> float:
    """The largest epsilon that is refuted: with so many right guesses, no smaller one is tenable.

    Args:
        guesses: of the attack.
        delta: of the promise.
        alpha: chance of refuting a promise that holds.

    Returns:
        epsilon, >= 0; 0 where the guesses prove nothing.

    >>> round(epsilon_at_least(Guesses(100, 100, 100), delta=0.0, alpha=0.05), 2)
    3.49
    """
    low, high = 0.0, MOST_EPSILON
    if _chance(guesses, low, delta) > alpha:
        return 0.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _chance(guesses, middle, delta) <= alpha else (low, middle)
    return low


def _chance(guesses: Guesses, epsilon: float, delta: float) -> float:
    """The most that so many right guesses can be likely under (epsilon, delta)."""
    share = float(expit(epsilon))

    def at_least(v: Ints) -> Floats:
        """P[Binomial(made, share) >= v]."""
        inside = np.clip(v, 1, guesses.made)
        tail = betainc(inside, guesses.made - inside + 1, share)
        return np.where(v <= 0, 1.0, np.where(v > guesses.made, 0.0, tail))

    i = np.arange(1, guesses.coins + 1)
    base = float(at_least(np.array([guesses.right]))[0])
    slack = float(((at_least(guesses.right - i) - base) / i).max(initial=0.0))
    return min(1.0, base + 2 * guesses.coins * delta * slack)


def guessed(scores: Floats, coins: Bools, share: float) -> Guesses:
    """Guess "learned from" for the highest scores and "not" for as many of the lowest.

    Args:
        scores: [k] larger is more like a record that was learned from.
        coins: [k] whether each was.
        share: of the records that are guessed on.
    """
    half = max(1, int(scores.size * share / 2))
    order = np.argsort(scores, kind="stable")
    right = int(coins[order[-half:]].sum() + (~coins[order[:half]]).sum())
    return Guesses(scores.size, 2 * half, right)


def joined(parts: list[Guesses]) -> Guesses:
    """The guesses of several runs, each with coins of its own."""
    return Guesses(sum(p.coins for p in parts), sum(p.made for p in parts), sum(p.right for p in parts))


def coin_scores(records: Ints, made: Ints, known: Ints, sizes: tuple[int, ...]) -> Floats:
    """[k] how much more the made rows look as if each record had been learned from than as if not.

    An attacker who knows all other rows subtracts them: what is left in the counts of pairs of cells is the records in
    question, and noise. He weighs every pair of columns by its noise, which the cells that no record touches show, and
    solves for all coins at once (ridge regression, coins of variance 1/4 about 1/2).

    Args:
        records: [d, k] codes.
        made: [d, m] codes of the synthetic rows.
        known: [d, n] codes of the rows that the attacker knows: all but the records in question.
        sizes: [d] levels per column.
    """
    k, d = records.shape[1], len(sizes)
    scale = known.shape[1] / made.shape[1]
    together, seen = 4.0 * np.eye(k), np.zeros(k)
    # Every column by itself, all pairs, and whole records.
    groups = [*itertools.combinations_with_replacement(range(d), 2), *([tuple(range(d))] if d > 2 else [])]
    for group in groups:
        cell, there, here = _cells(records, known, made, group)
        gap = here * scale - there
        touched = np.bincount(cell, minlength=gap.size)
        rest = gap[(touched == 0) & ((there > 0) | (gap != 0))]
        variance = LEAST_VARIANCE + float(np.mean(np.square(rest if rest.size > FEW_CELLS else gap[cell])))
        excess = np.clip((gap - touched / 2)[cell], -CUT * variance**0.5, CUT * variance**0.5)
        together += (cell[:, None] == cell[None, :]) / variance
        seen += excess / variance
    return np.asarray(np.linalg.solve(together, seen), dtype=np.float64)


def _cells(records: Ints, known: Ints, made: Ints, group: tuple[int, ...]) -> tuple[Ints, Ints, Ints]:
    """The cell of each record in a group of columns, and how many known and made rows each cell holds."""
    parts = [np.zeros(t.shape[1], dtype=np.int64) for t in (records, known, made)]
    for a in dict.fromkeys(group):
        joint = np.concatenate([p * (int(max(t[a].max(initial=0) for t in (records, known, made))) + 1) + t[a]
                                for p, t in zip(parts, (records, known, made), strict=True)])  # fmt: skip
        # Numbered anew at each column, so that wide records do not overflow.
        _, place = np.unique(joint, return_inverse=True)
        parts = np.split(place.ravel(), np.cumsum([records.shape[1], known.shape[1]]))
    span = 1 + int(max(p.max(initial=0) for p in parts))
    return parts[0], np.bincount(parts[1], minlength=span), np.bincount(parts[2], minlength=span)
