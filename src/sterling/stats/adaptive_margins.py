"""Which groups of columns to look at next, privately, until the budget is spent: the AIM loop.

Source: McKenna, Mullins, Sheldon & Miklau 2022, "AIM: An Adaptive and Iterative Mechanism for Differentially
Private Synthetic Data", arXiv:2201.12677, Algorithms 2 to 4.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from sterling.stats.exact_noise import Words, discrete_gaussian, exponential_choice
from sterling.stats.junction_tree import Beliefs, Group, Tree, build_tree, cells_of
from sterling.stats.noisy_margins import LogLinear, NoisyCounts, fit_log_linear
from sterling.stats.privacy_accounting import Ledger, choice_epsilon, gaussian_variance

if TYPE_CHECKING:
    from sterling.kernel.view import Floats, Ints

# Mean size of Gaussian noise of unit variance.
MEAN_NOISE = math.sqrt(2 / math.pi)
# AIM's plan: 16 rounds a column, a tenth of each for choosing; a limit on rounds keeps wide tables affordable.
ROUNDS_PER_COLUMN = 16
MOST_ROUNDS = 480
# Tables wider than this choose several groups before the model is fitted anew, one for so many columns.
COLUMNS_PER_CHOICE = 30
# Errors of groups that share no column with what was measured last are looked up anew every so many rounds.
REFRESH = 8
# Cells of all groups together that are held in memory; of wider tables a random part of the groups is considered.
MOST_HELD = 30_000_000
# Steps of the minimiser between rounds, and at the end.
STEPS, LAST_STEPS = 60, 500
CHOICE_SHARE = Fraction(1, 10)
CHOOSING, LOOKING, SINGLE = (
    "choosing which groups to measure",
    "counts of groups of columns",
    "counts of single columns",
)


@dataclass(frozen=True, slots=True)
class Plan:
    """How to spend.

    Args:
        degree: largest group of columns, 2 or 3.
        max_cells: most numbers in the tree's cliques.
        sensitivity: records of one person, >= 1.
        single_share: share of the budget for single columns.
        rounds_per_column: planned rounds for each column.

    """

    degree: int = 2
    max_cells: int = 200_000
    sensitivity: int = 1
    single_share: float = 0.1
    rounds_per_column: float = ROUNDS_PER_COLUMN


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """One group that was chosen.

    Args:
        group: the columns.
        deviation: standard deviation of the noise on its counts.
        moved: by how much its estimate changed, in records (sum over cells).
    """

    group: Group
    deviation: float
    moved: float


@dataclass(frozen=True, slots=True, eq=False)
class Learned:
    """What the loop found.

    Args:
        model: the distribution.
        ledger: what was spent.
        steps: the chosen groups, in order.
        measured: all noisy counts.
    """

    model: LogLinear
    ledger: Ledger
    steps: tuple[Step, ...]
    measured: tuple[NoisyCounts, ...]


# The distribution of a table without columns.
EMPTY = LogLinear({}, (), Beliefs(Tree((), (), ()), (), 0.0), 1.0)


def workload(d: int, degree: int) -> tuple[Group, ...]:
    """All groups of 2 to `degree` columns."""
    return tuple(g for k in range(2, degree + 1) for g in itertools.combinations(range(d), k))


def _countable(sizes: Sequence[int], plan: Plan, *, words: Words) -> tuple[Group, ...]:
    """The groups of the workload that the model could hold, without columns that have one level only."""
    several = [a for a, size in enumerate(sizes) if size > 1]
    within = (tuple(several[i] for i in g) for g in workload(len(several), plan.degree))
    groups = [g for g in within if cells_of(sizes, g) <= plan.max_cells]
    ends = np.cumsum([cells_of(sizes, g) for g in groups], dtype=np.int64)
    if ends.size and ends[-1] > MOST_HELD:
        order = np.argsort(words(len(groups)), kind="stable")
        ends = np.cumsum([cells_of(sizes, groups[i]) for i in order], dtype=np.int64)
        groups = [groups[i] for i in sorted(order[ends <= MOST_HELD].tolist())]
    return tuple(groups)


def counts_of(codes: Ints, sizes: Sequence[int], group: Group) -> Floats:
    """How often each combination occurs in the rows, one axis per column."""
    place = np.zeros(codes.shape[1], dtype=np.int64)
    for a in group:
        place = place * sizes[a] + codes[a]
    return np.bincount(place, minlength=cells_of(sizes, group)).astype(np.float64).reshape([sizes[a] for a in group])


def noisy_counts(
    codes: Ints, sizes: Sequence[int], group: Group, *, rho: Fraction, sensitivity: int, words: Words
) -> NoisyCounts:
    """Count a group of columns with discrete Gaussian noise that costs rho."""
    variance = gaussian_variance(rho, sensitivity=sensitivity)
    exact = counts_of(codes, sizes, group)
    noise = discrete_gaussian(variance, exact.size, words=words)
    return NoisyCounts(group, exact + noise.reshape(exact.shape), float(variance))


def learn(codes: Ints, sizes: Sequence[int], *, ledger: Ledger, plan: Plan, words: Words) -> Learned:
    """Spend what is left of a budget on the counts that teach most.

    Args:
        codes: [d, n] levels of every row, 0 ... sizes - 1.
        sizes: [d] levels per column; public.
        ledger: with something left.
        plan: how to spend it.
        words: the source of randomness.
    """
    groups = _countable(sizes, plan, words=words)
    share = Fraction(plan.single_share) if groups else Fraction(1)
    each = ledger.left * share / max(1, len(sizes))
    measured: list[NoisyCounts] = []
    for a in range(len(sizes)):
        ledger = ledger.spend(SINGLE, each)
        measured.append(noisy_counts(codes, sizes, (a,), rho=each, sensitivity=plan.sensitivity, words=words))
    if not measured:
        return Learned(EMPTY, ledger, (), ())
    model = fit_log_linear(sizes, measured)
    if not groups:
        return Learned(model, ledger, (), tuple(measured))
    return _Loop(codes, tuple(sizes), plan, words, groups).run(model, ledger, measured)


@dataclass(frozen=True, slots=True, eq=False)
class _Loop:
    """What stays the same from round to round."""

    codes: Ints
    sizes: tuple[int, ...]
    plan: Plan
    words: Words
    groups: tuple[Group, ...]

    def run(self, model: LogLinear, ledger: Ledger, measured: list[NoisyCounts]) -> Learned:
        budget, exact = ledger.left, [counts_of(self.codes, self.sizes, g) for g in self.groups]
        errors = np.array([_error(model, g, held) for g, held in zip(self.groups, exact, strict=True)])
        planned = min(MOST_ROUNDS, round(self.plan.rounds_per_column * len(self.sizes)))
        cost, steps, rounds = budget / max(1, planned), list[Step](), 0
        batch = 1 + len(self.sizes) // COLUMNS_PER_CHOICE
        while ledger.left > 0:
            cost = ledger.left if ledger.left < 2 * cost else cost
            limit = self.plan.max_cells * float(1 - (ledger.left - cost) / budget)
            chosen: list[int] = []
            while len(chosen) < batch and ledger.left >= cost:
                chosen.append(self.choose(errors, cost, [*measured], limit))
                ledger = ledger.spend(CHOOSING, cost * CHOICE_SHARE).spend(LOOKING, cost * (1 - CHOICE_SHARE))
                measured.append(self.look(self.groups[chosen[-1]], cost))
            before = [model.total * model.beliefs.marginal(self.groups[i]) for i in chosen]
            model = fit_log_linear(self.sizes, measured, start=model, rounds=STEPS if ledger.left > 0 else LAST_STEPS)
            rounds += 1
            new = [_step(model, m, was) for m, was in zip(measured[-len(chosen) :], before, strict=True)]
            steps += new
            if sum(s.moved for s in new) <= sum(
                MEAN_NOISE * s.deviation * b.size for s, b in zip(new, before, strict=True)
            ):
                cost = min(4 * cost, ledger.left)
            for i in self.stale(chosen, rounds):
                errors[i] = _error(model, self.groups[i], exact[i])
        return Learned(model, ledger, tuple(steps), tuple(measured))

    def stale(self, chosen: Sequence[int], rounds: int) -> Sequence[int]:
        """Groups whose error is to be looked up anew. An old error is as private as a new one, only less apt."""
        if rounds % REFRESH == 0:
            return range(len(self.groups))
        columns = {a for i in chosen for a in self.groups[i]}
        return [i for i, g in enumerate(self.groups) if not columns.isdisjoint(g)]

    def look(self, group: Group, cost: Fraction) -> NoisyCounts:
        """Count a chosen group."""
        rho, sensitivity = cost * (1 - CHOICE_SHARE), self.plan.sensitivity
        return noisy_counts(self.codes, self.sizes, group, rho=rho, sensitivity=sensitivity, words=self.words)

    def choose(self, errors: Floats, cost: Fraction, measured: Sequence[NoisyCounts], limit: float) -> int:
        """The group that is estimated worst beyond its noise, by the exponential mechanism."""
        structure = {m.group for m in measured}
        tree = build_tree(self.sizes, structure)
        inside = [set(c) for c in tree.cliques]

        @cache
        def fits(i: int) -> bool:
            group = self.groups[i]
            if any(set(group) <= c for c in inside):
                return True
            small = cells_of(self.sizes, group) <= limit
            return small and build_tree(self.sizes, [*structure, group]).cells <= max(limit, tree.cells)

        sensitivity = self.plan.sensitivity
        deviation = math.sqrt(float(gaussian_variance(cost * (1 - CHOICE_SHARE), sensitivity=sensitivity)))
        weights = np.array([_weight(len(self.sizes), len(g), self.plan.degree) for g in self.groups])
        cells = np.array([cells_of(self.sizes, g) for g in self.groups])
        scores = weights * (errors - MEAN_NOISE * deviation * cells)
        if not any(fits(i) for i in np.argsort(-scores).tolist()):
            return int(np.argmin(cells))
        return exponential_choice(
            scores, choice_epsilon(cost * CHOICE_SHARE), sensitivity=float(sensitivity * weights.max()),
            words=self.words, allowed=fits,
        )  # fmt: skip


def _weight(d: int, own: int, degree: int) -> float:
    """How much of the workload a group touches: its overlap with every group in it."""
    return float(
        sum(
            common * math.comb(own, common) * math.comb(d - own, k - common)
            for k in range(2, degree + 1)
            for common in range(1, min(own, k) + 1)
        )
    )


def _error(model: LogLinear, group: Group, exact: Floats) -> float:
    """Records that the model has in wrong cells of a group, counted twice."""
    return float(np.abs(exact - model.total * model.beliefs.marginal(group)).sum())


def _step(model: LogLinear, measured: NoisyCounts, before: Floats) -> Step:
    now = model.total * model.beliefs.marginal(measured.group)
    return Step(measured.group, math.sqrt(measured.variance), float(np.abs(now - before).sum()))
