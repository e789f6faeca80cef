"""Junction trees: exact sums over every combination of many columns, where the dependence is sparse enough.

A set of groups of columns is triangulated into cliques; beliefs passed along the tree of cliques give every
clique's joint distribution, and from them the distribution of any few columns.

Source: Koller & Friedman 2009, Probabilistic Graphical Models, chapters 9 and 10; Lauritzen & Spiegelhalter 1988.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from sterling.kernel.view import Floats, Ints

# Column numbers in increasing order.
Group: TypeAlias = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Tree:
    """Cliques in an order in which each one's parent comes first.

    Args:
        sizes: [d] levels per column.
        cliques: per clique its columns, in increasing order; every column is in one at least.
        parents: per clique the place of its parent, -1 for the first.
    """

    sizes: tuple[int, ...]
    cliques: tuple[Group, ...]
    parents: tuple[int, ...]

    @property
    def cells(self) -> int:
        """Numbers held in all cliques together."""
        return sum(cells_of(self.sizes, c) for c in self.cliques)

    def separator(self, i: int) -> Group:
        """The columns that a clique shares with its parent."""
        parent = self.parents[i]
        return () if parent < 0 else tuple(sorted(set(self.cliques[i]) & set(self.cliques[parent])))

    def home(self, group: Group) -> int:
        """The smallest clique that holds all these columns.

        Raises:
            ValueError: if none does.
        """
        wanted = set(group)
        return min(
            (i for i, c in enumerate(self.cliques) if wanted <= set(c)),
            key=lambda i: cells_of(self.sizes, self.cliques[i]),
        )


def cells_of(sizes: Sequence[int], group: Iterable[int]) -> int:
    """How many combinations these columns have."""
    return math.prod(sizes[a] for a in group)


def build_tree(sizes: Sequence[int], groups: Iterable[Group]) -> Tree:
    """A junction tree in which every group is inside a clique.

    Columns are eliminated in the order that makes the smallest clique next (min-weight), the cliques joined by
    a spanning tree of the largest separators.

    >>> tree = build_tree((2, 3, 4, 2), [(0, 1), (1, 2)])
    >>> sorted(tree.cliques), tree.cells
    ([(0, 1), (1, 2), (3,)], 20)
    """
    cliques = maximal_cliques(sizes, groups)
    order, parents = _spanned(sizes, cliques)
    return Tree(tuple(sizes), tuple(cliques[i] for i in order), parents)


def maximal_cliques(sizes: Sequence[int], groups: Iterable[Group]) -> list[Group]:
    """The cliques of a triangulation of the graph in which the columns of each group touch each other."""
    near: list[set[int]] = [{a} for a in range(len(sizes))]
    for group in groups:
        for a in group:
            near[a].update(group)
    logs = [math.log(s) for s in sizes]
    weight = [sum(logs[b] for b in near[a]) for a in range(len(sizes))]
    heap = [(w, a) for a, w in enumerate(weight)]
    heapq.heapify(heap)
    found: list[set[int]] = []
    gone: set[int] = set()
    while heap:
        w, a = heapq.heappop(heap)
        if a in gone or w != weight[a]:
            continue
        gone.add(a)
        clique = near[a]
        if not any(clique <= other for other in found):
            found.append(set(clique))
        rest = clique - {a}
        for b in rest:
            near[b] |= rest
            near[b].discard(a)
            weight[b] = sum(logs[c] for c in near[b])
            heapq.heappush(heap, (weight[b], b))
    return [tuple(sorted(c)) for c in found]


def _spanned(sizes: Sequence[int], cliques: Sequence[Group]) -> tuple[list[int], tuple[int, ...]]:
    """Prim's algorithm on the number of shared columns: an order of the cliques, and places of parents in it."""
    sets = [set(c) for c in cliques]
    first = max(range(len(sets)), key=lambda i: cells_of(sizes, sets[i])) if sets else 0
    order, parents = [first], [-1]
    best = {i: (len(sets[i] & sets[first]), 0) for i in range(len(sets)) if i != first}
    while best:
        i = max(best, key=lambda j: (best[j][0], -j))
        parents.append(best.pop(i)[1])
        order.append(i)
        for j, (shared, _) in best.items():
            now = len(sets[j] & sets[i])
            if now > shared:
                best[j] = (now, len(order) - 1)
    return order, tuple(parents)


@dataclass(frozen=True, slots=True, eq=False)
class Beliefs:
    """The joint distribution that potentials define, clique by clique.

    Args:
        tree: the cliques.
        joint: per clique its distribution, one axis per column; sums to 1.
        log_total: logarithm of the sum of the unnormalised potentials.
    """

    tree: Tree
    joint: tuple[Floats, ...]
    log_total: float

    def marginal(self, group: Group) -> Floats:
        """The distribution of any columns, one axis each in increasing order; exact.

        Cost: the cells of the cliques between them, times the levels of what is carried along.
        """
        for i, clique in enumerate(self.tree.cliques):
            if set(group) <= set(clique):
                return _summed(self.joint[i], clique, group)
        return _across(self, group)


def calibrate(tree: Tree, potentials: Sequence[Floats]) -> Beliefs:
    """Pass beliefs up and down the tree.

    Args:
        tree: the cliques.
        potentials: per clique logarithms, one axis per column.
    """
    n = len(tree.cliques)
    seps = [tree.separator(i) for i in range(n)]
    beliefs: list[Floats] = []
    log_total = 0.0
    for potential in potentials:
        peak = float(potential.max())
        log_total += peak
        beliefs.append(np.exp(potential - peak))
    upward: list[Floats] = [np.ones(())] * n
    for i in range(n - 1, 0, -1):
        message = _summed(beliefs[i], tree.cliques[i], seps[i])
        scale = float(message.max()) or 1.0
        log_total += math.log(scale)
        upward[i] = message / scale
        parent = tree.parents[i]
        beliefs[parent] = beliefs[parent] * _spread(upward[i], seps[i], tree.cliques[parent])
    total = float(beliefs[0].sum())
    if total <= 0:
        return Beliefs(tree, tuple(beliefs), -math.inf)
    beliefs[0] = beliefs[0] / total
    for i in range(1, n):
        parent = tree.parents[i]
        there = _summed(beliefs[parent], tree.cliques[parent], seps[i])
        ratio = np.divide(there, upward[i], out=np.zeros_like(there), where=upward[i] > 0)
        joint = beliefs[i] * _spread(ratio, seps[i], tree.cliques[i])
        beliefs[i] = joint / (float(joint.sum()) or 1.0)
    return Beliefs(tree, tuple(beliefs), log_total + math.log(total))


def _summed(table: Floats, have: Group, want: Iterable[int]) -> Floats:
    """The table summed over the columns that are not wanted."""
    keep = set(want)
    axes = tuple(k for k, a in enumerate(have) if a not in keep)
    return table.sum(axis=axes) if axes else table


def _spread(table: Floats, have: Group, want: Group) -> Floats:
    """The table with axes of length one for the columns it lacks."""
    held = dict(zip(have, table.shape, strict=True))
    return table.reshape([held.get(a, 1) for a in want])


def _across(beliefs: Beliefs, group: Group) -> Floats:
    """Columns of several cliques: what is asked for is carried along the tree, the rest summed away."""
    tree, wanted = beliefs.tree, set(group)
    children: dict[int, list[int]] = {i: [] for i in range(len(tree.cliques))}
    carried: dict[int, tuple[Floats, Group]] = {}
    for i in range(len(tree.cliques) - 1, -1, -1):
        clique, sep = tree.cliques[i], tree.separator(i)
        useful = [c for c in children[i] if c in carried]
        own = wanted & set(clique)
        if not useful and own <= set(sep):
            continue
        parts = [carried[c] for c in useful]
        asked = own.union(*[set(names) & wanted for _, names in parts]) if parts else own
        if asked == wanted or i == 0:
            return _joined(beliefs.joint[i], clique, parts, group, divisor=())
        carried[i] = _conditional(beliefs.joint[i], clique, parts, asked, sep)
        children[tree.parents[i]].append(i)
    raise AssertionError("the first clique gathers all that is asked for")


def _conditional(
    joint: Floats, clique: Group, parts: Sequence[tuple[Floats, Group]], asked: set[int], sep: Group
) -> tuple[Floats, Group]:
    """What is asked for below a clique, given the columns that it shares with its parent."""
    names = tuple(sorted(asked | set(sep)))
    return _joined(joint, clique, parts, names, divisor=sep), names


def _joined(
    joint: Floats, clique: Group, parts: Sequence[tuple[Floats, Group]], names: Group, *, divisor: Group
) -> Floats:
    """A clique's distribution times what its children say, summed to these columns, given `divisor`."""
    needed = {a for _, have in parts for a in have} | set(names) | set(divisor)
    here = tuple(a for a in clique if a in needed)
    table = _summed(joint, clique, here)
    if divisor:
        below = _summed(table, here, divisor)
        weight = np.divide(1.0, below, out=np.zeros_like(below), where=below > 0)
        table = table * _spread(weight, divisor, here)
    operands: list[Any] = [table, list(here)]
    for other, have in parts:
        operands += [other, list(have)]
    used = {a: k for k, a in enumerate(sorted({*here, *(a for _, have in parts for a in have)}))}
    coded = [[used[a] for a in o] if isinstance(o, list) else o for o in operands]
    return np.einsum(*coded, [used[a] for a in names], optimize=len(parts) > 1)


def condition(potentials: Sequence[Floats], tree: Tree, known: Mapping[int, int]) -> list[Floats]:
    """The potentials with some columns held at a level: everything else becomes impossible."""
    held = list(potentials)
    for a, level in known.items():
        i = tree.home((a,))
        mask = np.full(tree.sizes[a], -np.inf)
        mask[level] = 0.0
        held[i] = held[i] + _spread(mask, (a,), tree.cliques[i])
    return held


def sample(beliefs: Beliefs, n: int, *, rng: np.random.Generator) -> Ints:
    """[d, n] int64 rows of the joint distribution, with less chance in them than independent rows have.

    Within every group of rows that agree on what two cliques share, the shares of a clique's cells are met up to
    one row (systematic sampling, in random order).
    """
    tree = beliefs.tree
    rows = np.zeros((len(tree.sizes), n), dtype=np.int64)
    for i, clique in enumerate(tree.cliques):
        sep = tree.separator(i)
        new = tuple(a for a in clique if a not in sep)
        if not new:
            continue
        order = [clique.index(a) for a in (*sep, *new)]
        table = beliefs.joint[i].transpose(order).reshape(cells_of(tree.sizes, sep), -1)
        group = np.zeros(n, dtype=np.int64)
        for a in sep:
            group = group * tree.sizes[a] + rows[a]
        cell = _systematic(table, group, rng=rng)
        for a in reversed(new):
            cell, rows[a] = np.divmod(cell, tree.sizes[a])
    return rows


def _systematic(table: Floats, group: Ints, *, rng: np.random.Generator) -> Ints:
    """[n] a column of the table for each row, by the shares in the line of its group."""
    n = group.size
    shuffled = rng.permutation(n)
    order = shuffled[np.argsort(group[shuffled], kind="stable")]
    counts = np.bincount(group, minlength=table.shape[0])
    offsets = rng.random(table.shape[0])
    drawn = np.empty(n, dtype=np.int64)
    start = 0
    for g, count in enumerate(counts.tolist()):
        if not count:
            continue
        edges = np.cumsum(table[g])
        last = np.flatnonzero(table[g])[-1] if edges[-1] > 0 else table.shape[1] - 1
        places = (np.arange(count) + offsets[g]) / count * (edges[-1] or 1.0)
        found = np.searchsorted(edges, places, side="right")
        drawn[order[start : start + count]] = np.minimum(found, last)
        start += count
    return drawn
