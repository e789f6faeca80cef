"""How likely a record is, by a tree of pairwise dependencies between its columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from sterling.kernel.view import Floats, Ints

# Pull of a parent's value with few rows towards the column's own distribution, in rows.
PULL = 4.0
# Added to every code's count, so that what was never seen is unlikely and not impossible.
UNSEEN = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Tree:
    """Which column hangs on which.

    Args:
        order: [d] columns, parents before children.
        parent: [d] of each column, -1 for the root.
        sizes: [d] number of codes of each column.
    """

    order: tuple[int, ...]
    parent: tuple[int, ...]
    sizes: tuple[int, ...]


def dependency_tree(codes: Ints, sizes: Sequence[int]) -> Tree:
    """The tree that holds most of the mutual information of pairs.

    Args:
        codes: [d, n] small codes, d >= 1.
        sizes: [d] number of codes of each column.

    Source: Chow & Liu 1968, IEEE Trans. Information Theory 14:462.
    """
    d = codes.shape[0]
    best, link = np.full(d, -np.inf), np.full(d, -1)
    order, parent, inside = [0], [-1] * d, np.zeros(d, dtype=bool)
    inside[0] = True
    while len(order) < d:
        last = order[-1]
        for j in (j for j in range(d) if not inside[j]):
            shared = _mutual_information(codes[last], codes[j], sizes[last], sizes[j])
            if shared > best[j]:
                best[j], link[j] = shared, last
        new = int(np.argmax(np.where(inside, -np.inf, best)))
        inside[new], parent[new] = True, int(link[new])
        order.append(new)
    return Tree(tuple(order), tuple(parent), tuple(sizes))


def log_likelihood(tree: Tree, learnt: Ints, asked: Ints) -> Floats:
    """Log-likelihood of records under the tree with tables counted in other records.

    Args:
        tree: the dependencies.
        learnt: [d, n] codes that the tables are counted in.
        asked: [d, q] codes of the records in question.

    Returns:
        [q] in nats; larger is more likely.
    """
    total = np.zeros(asked.shape[1])
    for j in tree.order:
        size, up = tree.sizes[j], tree.parent[j]
        own = np.bincount(learnt[j], minlength=size) + UNSEEN
        share = own / own.sum()
        if up < 0:
            total += np.log(share[asked[j]])
            continue
        table = np.bincount(learnt[up] * size + learnt[j], minlength=size * tree.sizes[up]).reshape(-1, size)
        chance = (table + PULL * share) / (table.sum(axis=1, keepdims=True) + PULL)
        total += np.log(chance[asked[up], asked[j]])
    return total


def _mutual_information(a: Ints, b: Ints, size_a: int, size_b: int) -> float:
    joint = np.bincount(a * size_b + b, minlength=size_a * size_b).reshape(size_a, size_b) / a.size
    both = joint.sum(axis=1)[:, None] * joint.sum(axis=0)
    some = joint > 0
    return float((joint[some] * np.log(joint[some] / both[some])).sum())
