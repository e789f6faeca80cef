"""Trees on columns of one byte per cell, with rows to draw from in every node."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sterling.kernel.view import Bools, Floats, Ints

    Codes = NDArray[np.uint8]
    Int32s = NDArray[np.int32]

# Rows' worth of its parent's expectation that a node may take in: as good as none, to those of a large leaf.
PULLS = (0.1, 1.0, 5.0, 25.0)


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
        stops: [nodes] chance that a row goes no further than here; 1 for leaves, 0 for others until `weighed`.
        climbs: [nodes] chance that a row which stops here draws from the parent instead.
    """

    feature: Int32s
    children: Int32s
    masks: Codes
    spans: Int32s
    order: Int32s
    stops: Floats
    climbs: Floats

    @property
    def parents(self) -> Int32s:
        """[nodes] the parent of each node; the root's is the root."""
        parents = np.zeros(self.feature.size, dtype=np.int32)
        inner = np.flatnonzero(self.feature >= 0)
        parents[self.children[inner].ravel()] = np.repeat(inner, 2)
        return parents

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
        stops=(feature[:nodes] < 0).astype(np.float64),
        climbs=np.zeros(nodes),
    )


def apply(tree: HistogramTree, codes: Codes) -> Int32s:
    """[n] the leaf in which each row of `codes` [d, n] ends."""
    from sterling.stats import _tree_kernels as kernels

    leaves, to_the_end = np.empty(codes.shape[1], dtype=np.int32), np.zeros(tree.feature.size)
    kernels.descend(
        np.ascontiguousarray(codes), tree.feature, tree.children, tree.masks, to_the_end, np.zeros(leaves.size), leaves
    )
    return leaves


def weighed(tree: HistogramTree, outcome: Codes, *, price: float) -> HistogramTree:
    """The tree with rows stopping where splitting further would say nothing new.

    Every node expects its donors' outcomes with each donor left out: its other donors, and `pull` rows' worth
    of what its parent expects. A row stops at a node with the chance that the node, and not the tree below it,
    is right (both equally likely beforehand), and draws from the parent with chance pull / (rows + pull), unless
    all donors agree. The pull is the one of four that says most.

    Args:
        tree: with donors.
        outcome: [n] uint8 classes of the donors, in the tree's order.
        price: nats that a split must gain before it is as likely as none, >= 0. It pays for having chosen the best
            of many cuts on the same rows; the more, the smoother and the farther from single rows.

    Source: Willems, Shtarkov & Tjalkens 1995 (context-tree weighting: all prunings at once); Chipman, George &
    McCulloch 1998 (a prior against splits); leave-one-out smoothing, Ney, Essen & Kneser 1995.
    """
    from sterling.stats import _tree_kernels as kernels

    classes = int(outcome.max(initial=0)) + 1
    said, agreed = kernels.left_out(outcome, classes, tree.children, tree.spans, np.array(PULLS))
    shares = [kernels.stop_shares(row, tree.children, price) for row in said]
    chosen = int(np.argmax([best for _, best in shares]))
    rows = tree.spans[:, 1] - tree.spans[:, 0]
    climbs = np.where(agreed, 0.0, PULLS[chosen] / (rows + PULLS[chosen]))
    climbs[0] = 0.0
    return replace(tree, stops=shares[chosen][0], climbs=climbs)


def settle(tree: HistogramTree, codes: Codes, *, rng: np.random.Generator) -> Int32s:
    """[n] the node from which each row of `codes` [d, n] draws."""
    from sterling.stats import _tree_kernels as kernels

    nodes = np.empty(codes.shape[1], dtype=np.int32)
    luck = rng.random(nodes.size)
    kernels.descend(np.ascontiguousarray(codes), tree.feature, tree.children, tree.masks, tree.stops, luck, nodes)
    parents, rows = tree.parents, np.arange(nodes.size)
    while rows.size:
        rows = rows[rng.random(rows.size) < tree.climbs[nodes[rows]]]
        nodes[rows] = parents[nodes[rows]]
    return nodes


def draw_donors(tree: HistogramTree, nodes: Int32s, *, rng: np.random.Generator) -> Int32s:
    """[n] a training row for each node, each donor of the node equally likely."""
    return tree.order[draw_places(tree, nodes, rng=rng)]


def draw_places(tree: HistogramTree, nodes: Int32s, *, rng: np.random.Generator) -> Ints:
    """[n] a place in `order` for each node, each donor of the node equally likely."""
    start, end = tree.spans[nodes, 0], tree.spans[nodes, 1]
    return start + (rng.random(nodes.size) * (end - start)).astype(np.int64)


def sorted_leaves(tree: HistogramTree) -> HistogramTree:
    """The tree with what `order` holds ascending in each leaf."""
    from sterling.stats import _tree_kernels as kernels

    order = tree.order.copy()
    kernels.sort_leaves(order, tree.children, tree.spans)
    return replace(tree, order=order)


def leaf_neighbours(tree: HistogramTree, places: Ints) -> tuple[Ints, Ints]:
    """[n] the places before and after each in `order`, itself where its leaf ends."""
    leaves = tree.spans[(tree.feature < 0) & (tree.spans[:, 1] > tree.spans[:, 0])]
    starts = np.unique(leaves[:, 0])
    leaf = np.searchsorted(starts, places, side="right") - 1
    ends = np.append(starts[1:], tree.order.size)
    return np.maximum(places - 1, starts[leaf]), np.minimum(places + 1, ends[leaf] - 1)
