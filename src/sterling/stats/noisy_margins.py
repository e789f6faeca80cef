"""One distribution from many noisy counts: the most even one that agrees with them as far as their noise lets it.

Given noisy counts y_r of groups of columns r, each with noise of standard deviation s_r, and N records, the
distribution p minimises  KL(p | uniform) + sum_r |p_r - y_r / N|^2 / (2 e s_r / N)  with a small e (`EVENNESS`). Its
form is log-linear in the measured groups, so a junction tree holds it exactly, non-negative and consistent.

Source: McKenna, Sheldon & Miklau 2019, "Graphical-model based estimation and inference for differential privacy",
arXiv:1901.09136 (the problem and the tree); here its smooth dual is solved by L-BFGS instead of mirror descent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sterling.stats.junction_tree import Beliefs, Group, Tree, build_tree, calibrate, cells_of

if TYPE_CHECKING:
    from sterling.kernel.view import Floats

# Weight of evenness: a cell is made e times likelier than even where that mends a misfit of this part of its noise.
# Far below it, counts that contradict each other within their noise drive parameters to extremes, and the minimiser
# crawls; far above it, dependence is flattened. On Adult at epsilon 1 and 3, .1 to .4 give the same error.
EVENNESS = 0.2
# A cell is made at most exp(LIMIT) times more or less likely by one group: beyond it lies 0 for all purposes.
LIMIT = 40.0


@dataclass(frozen=True, slots=True, eq=False)
class NoisyCounts:
    """How often each combination of some columns occurs, with noise.

    Args:
        group: the columns.
        counts: one axis per column; may be negative.
        variance: of the noise on each count.
    """

    group: Group
    counts: Floats
    variance: float


@dataclass(frozen=True, slots=True, eq=False)
class LogLinear:
    """A distribution of many columns.

    Args:
        parameters: per group its logarithms, one axis per column.
        potentials: the same gathered in cliques.
        beliefs: the distribution of each clique.
        total: estimated number of records.
    """

    parameters: Mapping[Group, Floats]
    potentials: tuple[Floats, ...]
    beliefs: Beliefs
    total: float


def total_of(measured: Sequence[NoisyCounts]) -> float:
    """The number of records as the noisy counts tell it, each weighted by its precision; at least 1."""
    weights = np.array([1.0 / (m.variance * m.counts.size) for m in measured])
    sums = np.array([m.counts.sum() for m in measured])
    return max(1.0, float(weights @ sums / weights.sum()))


def pooled(measured: Sequence[NoisyCounts]) -> tuple[NoisyCounts, ...]:
    """One measurement a group: repeated ones averaged by precision."""
    by_group: dict[Group, NoisyCounts] = {}
    for m in measured:
        held = by_group.get(m.group)
        if held is not None:
            variance = 1.0 / (1.0 / held.variance + 1.0 / m.variance)
            m = NoisyCounts(m.group, variance * (held.counts / held.variance + m.counts / m.variance), variance)
        by_group[m.group] = m
    return tuple(by_group.values())


def fit_log_linear(
    sizes: Sequence[int],
    measured: Sequence[NoisyCounts],
    *,
    start: LogLinear | None = None,
    rounds: int = 100,
    evenness: float = EVENNESS,
) -> LogLinear:
    """The distribution that noisy counts describe.

    Args:
        sizes: [d] levels per column.
        measured: noisy counts, repeats allowed.
        start: an earlier answer to go on from.
        rounds: most steps of the minimiser.
        evenness: weight of evenness, as a part of each count's noise, > 0.
    """
    from scipy.optimize import minimize

    once = pooled(measured)
    tree = build_tree(sizes, [m.group for m in once])
    total = total_of(once)
    places = _Places.of(tree, once)
    shares = np.concatenate([m.counts.ravel() / total for m in once])
    pull = np.concatenate([np.full(m.counts.size, evenness * m.variance**0.5 / total) for m in once])

    # Rare cells bend the cost as little as they weigh: each parameter is measured in its own curvature.
    noise = np.concatenate([np.full(m.counts.size, m.variance**0.5 / total) for m in once])
    bend = np.sqrt(np.maximum(np.clip(shares, 0.0, 0.5), noise) + pull)

    def cost(z: Floats) -> tuple[float, Floats]:
        x = z / bend
        beliefs = calibrate(tree, places.gathered(x))
        if not np.isfinite(beliefs.log_total):
            return 1e300, np.zeros_like(x)
        value = beliefs.log_total - float(x @ shares) + 0.5 * float(x @ (pull * x))
        return value, (places.margins(beliefs) - shares + pull * x) / bend

    first = np.zeros(shares.size) if start is None else places.flat(start.parameters)
    found = minimize(
        cost, first * bend, jac=True, method="L-BFGS-B", bounds=np.stack([-LIMIT * bend, LIMIT * bend], axis=1),
        options={"maxiter": rounds, "maxcor": 20, "ftol": 1e-12, "gtol": 1e-9},
    )  # fmt: skip
    best = np.asarray(found.x / bend, dtype=np.float64)
    potentials = places.gathered(best)
    parameters = {m.group: best[a:b].reshape(m.counts.shape) for m, (a, b) in zip(once, places.spans, strict=True)}
    return LogLinear(parameters, tuple(potentials), calibrate(tree, potentials), total)


@dataclass(frozen=True, slots=True, eq=False)
class _Places:
    """Where each group's parameters lie: in one long vector, and in which clique."""

    tree: Tree
    groups: tuple[Group, ...]
    homes: tuple[int, ...]
    spans: tuple[tuple[int, int], ...]

    @staticmethod
    def of(tree: Tree, measured: Sequence[NoisyCounts]) -> _Places:
        ends = np.cumsum([m.counts.size for m in measured]).tolist()
        spans = tuple(zip([0, *ends[:-1]], ends, strict=True))
        groups = tuple(m.group for m in measured)
        return _Places(tree, groups, tuple(tree.home(g) for g in groups), spans)

    def gathered(self, x: Floats) -> list[Floats]:
        """The parameters added up in cliques."""
        tree = self.tree
        potentials = [np.zeros([tree.sizes[a] for a in c]) for c in tree.cliques]
        for group, home, (a, b) in zip(self.groups, self.homes, self.spans, strict=True):
            shape = [tree.sizes[c] if c in group else 1 for c in tree.cliques[home]]
            potentials[home] += x[a:b].reshape(shape)
        return potentials

    def margins(self, beliefs: Beliefs) -> Floats:
        """The distribution of every group, one after the other."""
        parts: list[Floats] = []
        for group, home in zip(self.groups, self.homes, strict=True):
            axes = tuple(k for k, c in enumerate(self.tree.cliques[home]) if c not in group)
            parts.append(beliefs.joint[home].sum(axis=axes).ravel())
        return np.concatenate(parts)

    def flat(self, parameters: Mapping[Group, Floats]) -> Floats:
        """Earlier parameters in this order; 0 where there were none."""
        sizes = self.tree.sizes
        parts = [parameters[g].ravel() if g in parameters else np.zeros(cells_of(sizes, g)) for g in self.groups]
        return np.clip(np.concatenate(parts), -LIMIT, LIMIT)
