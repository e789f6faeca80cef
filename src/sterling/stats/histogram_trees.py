"""Trees on columns of one byte per cell, with rows to draw from in every node."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sterling.kernel.view import Bools, Ints

    Codes = NDArray[np.uint8]
    Int32s = NDArray[np.int32]


@dataclass(frozen=True, slots=True, eq=False)
class HistogramTree:
    """A grown tree as flat arrays; node 0 is the root, children follow their parent.

    Args:
        feature: [nodes] row of `codes` that a node asks; -1 for leaves.
        children: [nodes, 2] left and right child; -1 for leaves.
        masks: [nodes, 32] 256 bits: bit c is set where code c goes left.
        spans: [nodes, 2] start and end of the node's donors in `order`; a parent's span is the union of
            its children's.
        order: [n] training rows, those of one leaf side by side.
    """

    feature: Int32s
    children: Int32s
    masks: Codes
    spans: Int32s
    order: Int32s

    @property
    def leaves(self) -> int:
        """How many leaves the tree has."""
        return int(np.sum(self.feature < 0))


@dataclass(frozen=True, slots=True)
class Growth:
    """When a tree stops to grow.

    Args:
        min_leaf: fewest rows in a leaf, >= 1.
        max_depth: most questions on the way to a leaf, >= 0.
    """

    min_leaf: int = 20
    max_depth: int = 40


def grow_tree(
    codes: Codes, outcome: Codes, *, features: Ints, categorical: Bools, ordered: bool, growth: Growth
) -> HistogramTree:
    """Grow a tree that splits an outcome's distribution.

    Args:
        codes: [d, n] uint8, one row a column.
        outcome: [n] uint8 classes 0 ... k-1.
        features: rows of `codes` that may be asked.
        categorical: [d] True where codes have no order: such a column is split into two sets of levels.
        ordered: whether the classes have an order. Then the impurity is the ranked probability score (the
            Gini impurities of "at most class c", summed over c), else the Gini impurity.
        growth: when to stop.

    Returns:
        The tree; the same arrays in, the same tree out. Ties go to the first feature, the lowest cut. Among
        features the gain is compared less what luck gives the best of so many cuts, and a node is split as
        long as its leaves may be: an exclusive-or shows no gain before its second split.

    Source: Breiman et al. 1984, Classification and Regression Trees; Ke et al. 2017, LightGBM (histograms);
    Epstein 1969 (ranked probability score); Loh & Shih 1997 (many-valued columns must not win by luck);
    Coppersmith, Hong & Hosking 1999 (order of the levels).
    """
    from sterling.stats import _tree_kernels as kernels

    feature, children, spans, masks, order, nodes = kernels.grow(
        np.ascontiguousarray(codes),
        features.astype(np.int64),
        categorical,
        outcome,
        int(outcome.max(initial=0)) + 1,
        ordered,
        growth.min_leaf,
        growth.max_depth,
    )
    return HistogramTree(
        feature=feature[:nodes].copy(),
        children=children[:nodes].copy(),
        masks=masks[:nodes].copy(),
        spans=spans[:nodes].copy(),
        order=order.astype(np.int32),
    )


def apply(tree: HistogramTree, codes: Codes) -> Int32s:
    """[n] the leaf in which each row of `codes` [d, n] ends."""
    from sterling.stats import _tree_kernels as kernels

    leaves = np.empty(codes.shape[1], dtype=np.int32)
    kernels.descend(np.ascontiguousarray(codes), tree.feature, tree.children, tree.masks, leaves)
    return leaves


def with_donors(tree: HistogramTree, codes: Codes, *, least: int) -> HistogramTree:
    """The tree with other rows to draw from: an honest tree takes them from rows that did not shape it.

    Args:
        tree: grown on other rows of the same columns.
        codes: [d, m] the new donors, m >= 1.
        least: a leaf that fewer donors reach draws from its nearest ancestor that has so many.

    Returns:
        The tree with new `order` and `spans`.

    Source: Athey & Imbens 2016, "Recursive partitioning for heterogeneous causal effects" (honest trees).
    """
    # A leaf's old span starts where no other leaf's does: it is the leaf's place from left to right.
    place = tree.spans[apply(tree, codes), 0]
    order = np.argsort(place, kind="stable")
    spans = np.searchsorted(place[order], tree.spans).astype(np.int32)
    for node in np.flatnonzero(tree.feature >= 0):  # parents come before their children
        for child in tree.children[node]:
            if spans[child, 1] - spans[child, 0] < least:
                spans[child] = spans[node]
    return replace(tree, spans=spans, order=order.astype(np.int32))


def draw_donors(tree: HistogramTree, leaves: Int32s, *, rng: np.random.Generator) -> Int32s:
    """[n] a training row for each leaf, each donor of the leaf equally likely."""
    start, end = tree.spans[leaves, 0], tree.spans[leaves, 1]
    return tree.order[start + (rng.random(leaves.size) * (end - start)).astype(np.int64)]
