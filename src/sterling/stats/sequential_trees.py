"""The joint distribution of a table as a chain of trees: each column given those before it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from sterling.stats.binning import MISSING, MOST_BINS, UNSEEN, cut_levels, cut_ordered
from sterling.stats.histogram_trees import (
    Growth,
    HistogramTree,
    draw_places,
    grow_tree,
    leaf_neighbours,
    settle,
    sorted_leaves,
    weighed,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sterling.kernel.view import Bools, Floats, Ints

    Codes = NDArray[np.uint8]
    Ids = NDArray[np.int32]

# A tree tells so many classes of its outcome apart while it grows; leaves hold exact values anyway.
CLASSES = 64
# What decides which columns a tree may ask, where there are more than it should: rows and classes looked at, and
# fewer of both where columns are many; columns are judged in blocks.
SCREEN_ROWS, SCREEN_CLASSES, SCREENED_AT_ONCE = 1000, 8, 64
MANY_COLUMNS, FEW_ROWS, FEW_CLASSES = 1000, 250, 4
# A number that occurs so often is a spike (0, 40 hours, 9.99) and is made exactly.
SPIKE = 5
# A tree of an ensemble is grown on so many rows at most: another tree sees others.
MOST_ROWS = 125_000
Donors = Literal["own", "bootstrap"]


@dataclass(frozen=True, slots=True)
class ChainSettings:
    """How the trees of a chain are made.

    Args:
        growth: when a tree stops.
        trees: trees per column, >= 1; each made row follows one of them at random.
        donors: "own": a tree is grown on all rows and draws from them; "bootstrap": on rows drawn with
            replacement, 125,000 at most.
        price: nats that a split must gain before rows go beyond it, as in `histogram_trees.weighed`; None:
            all rows go to the leaves.
        shrinkage: where there is no price, a category is drawn from the parent of its leaf with probability
            shrinkage / (rows in the leaf + shrinkage), unless the leaf holds one level only.
        smoothing: how far an ordered value may move from a donor's, 0 (not at all) to 1 (half way to the
            donors beside it in its leaf), in ranks among the values that are no spikes.
        most_parents: columns that a tree may ask at most: those that depend most on its outcome.
    """

    growth: Growth = Growth()  # noqa: RUF009  frozen
    trees: int = 1
    donors: Donors = "own"
    price: float | None = None
    shrinkage: float = 0.0
    smoothing: float = 0.0
    most_parents: int = 40


@dataclass(frozen=True, slots=True, eq=False)
class Variable:
    """A column as the chain sees it: ids of its distinct values.

    Args:
        counts: [k] how often each value occurs.
        ordered: whether the ids have an order.
    """

    counts: Ints
    ordered: bool


@dataclass(frozen=True, slots=True, eq=False)
class Link:
    """One column's trees; `order` of a tree holds the ids to draw, not rows, ascending in each leaf.

    Args:
        trees: one or more.
        ranks: [k + 1] how many rows have a smaller value, spikes left out; empty where values never move.
    """

    trees: tuple[HistogramTree, ...]
    ranks: Floats


@dataclass(frozen=True, slots=True, eq=False)
class TreeChain:
    """A fitted chain.

    Args:
        order: column positions in the order in which they are drawn.
        codes: per column [k + 2] uint8 codes of its ids; the last two are for unknown (k) and missing (-1).
        links: per column its trees.
    """

    order: tuple[int, ...]
    codes: tuple[Codes, ...]
    links: tuple[Link, ...]


def fit_chain(
    ids: Ids,
    variables: Sequence[Variable],
    *,
    order: Sequence[int],
    settings: ChainSettings,
    rng: np.random.Generator,
) -> TreeChain:
    """Grow the trees of every column.

    Args:
        ids: [d, n] int32 which value each cell is; -1 = missing, which is an outcome like any other.
        variables: the d columns.
        order: all column positions; each column is conditioned on those before it.
        settings: how.
        rng: the stream of this task.

    Source: Reiter 2005, "Using CART to generate partially synthetic public use microdata"; Nowok, Raab &
    Dibben 2016, synthpop. Independent trees of an ensemble: Caiola & Reiter 2010.
    """
    lookups = tuple(code_lookup(v, most=MOST_BINS) for v in variables)
    codes = np.zeros(ids.shape, dtype=np.uint8)
    for j, lookup in enumerate(lookups):
        codes[j] = lookup[ids[j]]
    categorical = np.array([not v.ordered for v in variables])
    links: dict[int, Link] = {}
    for column, asked in zip(order, _asked(ids, variables, order, most=settings.most_parents, rng=rng), strict=True):
        links[column] = _fit_link(
            ids[column], variables[column], codes,
            features=asked, categorical=categorical, settings=settings, rng=rng,
        )  # fmt: skip
    return TreeChain(order=tuple(order), codes=lookups, links=tuple(links[j] for j in range(len(ids))))


def sample_chain(
    chain: TreeChain,
    n: int,
    *,
    settings: ChainSettings,
    rng: np.random.Generator,
    given: Mapping[int, Ids],
) -> Ids:
    """Draw n rows.

    Args:
        chain: what `fit_chain` returned.
        n: rows.
        settings: as at fit; only `smoothing` matters here.
        rng: the stream of this task.
        given: columns to hold fixed, position -> [n] ids; k stands for a value never seen. They must be
            the first in the order, or be asked by no tree: see `can_hold`.

    Returns:
        [d, n] int32 ids.
    """
    ids = np.full((len(chain.order), n), -1, dtype=np.int32)
    codes = np.zeros((len(chain.order), n), dtype=np.uint8)
    for column in chain.order:
        held = given.get(column)
        ids[column] = _draw(chain.links[column], codes, settings=settings, rng=rng) if held is None else held
        codes[column] = chain.codes[column][ids[column]]
    return ids


def can_hold(chain: TreeChain, held: Sequence[int]) -> bool:
    """Whether these columns can be held fixed: none of them depends on one that is drawn.

    Columns that never vary do not count.
    """
    varied = [j for j in chain.order if chain.codes[j].size > 3 or len(chain.links[j].trees[0].feature) > 1]
    fixed = set(held) & set(varied)
    return set(varied[: len(fixed)]) == fixed


def code_lookup(variable: Variable, *, most: int) -> Codes:
    """[k + 2] uint8: the code of each id, then those of unknown (index k) and missing (index -1)."""
    cut = cut_ordered if variable.ordered else cut_levels
    bins = cut(variable.counts, most=most) + 1
    return np.append(bins, [UNSEEN, MISSING]).astype(np.uint8)


def _fit_link(
    ids: Ids,
    variable: Variable,
    codes: Codes,
    *,
    features: Ints,
    categorical: Bools,
    settings: ChainSettings,
    rng: np.random.Generator,
) -> Link:
    outcome = code_lookup(variable, most=CLASSES)[ids]
    trees: list[HistogramTree] = []
    for _ in range(settings.trees):
        rows = _rows(ids.size, settings.donors, rng=rng)
        tree = grow_tree(
            codes if settings.donors == "own" else codes[:, rows],
            outcome[rows],
            features=features,
            categorical=categorical,
            ordered=variable.ordered,
            growth=settings.growth,
        )
        rows = rows[tree.order]
        if settings.price is not None:
            tree = weighed(tree, outcome[rows], price=settings.price)
        tree = replace(tree, order=ids[rows])
        if settings.price is None and settings.shrinkage and not variable.ordered:
            tree = replace(tree, climbs=_shrunk(tree, settings.shrinkage))
        trees.append(sorted_leaves(tree) if variable.ordered else tree)
    return Link(tuple(trees), _ranks(variable))


def _rows(n: int, donors: Donors, *, rng: np.random.Generator) -> Ints:
    """Which rows a tree is grown on and draws from."""
    return np.arange(n) if donors == "own" else np.sort(rng.integers(n, size=min(n, MOST_ROWS)))


def _shrunk(tree: HistogramTree, shrinkage: float) -> Floats:
    """[nodes] the chance to draw from the parent: none above the leaves, or where all donors of a leaf agree."""
    climbs = np.zeros(tree.feature.size)
    for leaf in np.flatnonzero(tree.feature[1:] < 0) + 1:
        donors = tree.order[tree.spans[leaf, 0] : tree.spans[leaf, 1]]
        if np.any(donors != donors[0]):
            climbs[leaf] = shrinkage / (donors.size + shrinkage)
    return climbs


def _ranks(variable: Variable) -> Floats:
    free = np.where(variable.counts >= SPIKE, 0, variable.counts)
    return np.append(0.0, np.cumsum(free, dtype=np.float64)) if variable.ordered and free.any() else np.empty(0)


def _draw(link: Link, codes: Codes, *, settings: ChainSettings, rng: np.random.Generator) -> Ids:
    """[n] ids: each row goes down one of the trees and draws a donor where it stops."""
    n = codes.shape[1]
    choice = rng.integers(len(link.trees), size=n) if len(link.trees) > 1 else np.zeros(n, dtype=np.int64)
    drawn = np.empty(n, dtype=np.int32)
    for t, tree in enumerate(link.trees):
        rows = np.flatnonzero(choice == t)
        nodes = settle(tree, codes if rows.size == n else codes[:, rows], rng=rng)
        places = draw_places(tree, nodes, rng=rng)
        moves = settings.smoothing > 0 and link.ranks.size > 0
        drawn[rows] = _moved(tree, places, link.ranks, settings.smoothing, rng=rng) if moves else tree.order[places]
    return drawn


def _moved(tree: HistogramTree, places: Ints, ranks: Floats, smoothing: float, *, rng: np.random.Generator) -> Ids:
    """[n] ids near those of the donors; spikes stay.

    A donor stands for all values that are nearer to it than to the donors beside it in its leaf; at the ends of a
    leaf for as much on the outer side as on the inner.
    """
    own, sides = tree.order[places], [tree.order[p] for p in leaf_neighbours(tree, places)]
    spike = (own < 0) | (ranks[own + 1] == ranks[own])
    # The last entry is for missing donors (-1), which have no place among the others.
    middle = np.append((ranks[:-1] + ranks[1:]) / 2, np.nan)
    at = middle[own]
    down, up = at - middle[sides[0]], middle[sides[1]] - at
    down = np.where((down > 0) | np.isnan(up), down, up)
    up = np.where(up > 0, up, down)
    reach = np.nan_to_num(np.where(rng.random(own.size) < 0.5, -down, up)) / 2
    rank = np.clip(at + smoothing * reach * rng.random(own.size), 0.0, np.nextafter(ranks[-1], 0))
    near = np.searchsorted(ranks, rank, side="right") - 1
    return np.where(spike, own, near).astype(np.int32)


def _asked(
    ids: Ids, variables: Sequence[Variable], order: Sequence[int], *, most: int, rng: np.random.Generator
) -> Iterator[Ints]:
    """For each column in order, which of those before it its trees may ask: those that depend most on it."""
    places = np.array(order, dtype=np.int64)
    if len(places) <= most + 1:
        yield from (places[:k] for k in range(len(places)))
        return
    indicators = _indicators(ids, variables, places, rng=rng)
    d, classes, m = indicators.shape
    flat, sizes = indicators.reshape(d * classes, m), indicators.sum(axis=2)
    for start in range(0, d, SCREENED_AT_ONCE):
        end = min(d, start + SCREENED_AT_ONCE)
        joint = (flat[: end * classes] @ flat[start * classes : end * classes].T).reshape(end, classes, -1, classes)
        expected = sizes[:end, :, None, None] * sizes[start:end]
        phi_square = np.divide(joint**2, expected, out=np.zeros_like(joint), where=expected > 0).sum(axis=(1, 3))
        for column in range(start, end):
            strongest = np.argsort(-phi_square[:column, column - start], kind="stable")[:most]
            yield places[np.sort(strongest)]


def _indicators(
    ids: Ids, variables: Sequence[Variable], places: Ints, *, rng: np.random.Generator
) -> NDArray[np.float32]:
    """[d, classes, m] 1 where a row, of some, has the coarse class of a column; columns in order."""
    d, n = ids.shape
    most, classes = (SCREEN_ROWS, SCREEN_CLASSES) if d <= MANY_COLUMNS else (FEW_ROWS, FEW_CLASSES)
    rows = np.sort(rng.choice(n, size=min(n, most), replace=False))
    coarse = np.stack([code_lookup(variables[j], most=classes - 1)[ids[j, rows]] for j in places])
    return (coarse[:, None, :] == np.arange(classes)[:, None]).astype(np.float32)
