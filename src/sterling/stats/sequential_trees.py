"""The joint distribution of a table as a chain of trees: each column given those before it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from sterling.stats.binning import MISSING, MOST_BINS, UNSEEN, cut_levels, cut_ordered
from sterling.stats.histogram_trees import Growth, HistogramTree, apply, draw_donors, grow_tree, with_donors

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sterling.kernel.view import Bools, Ints

    Codes = NDArray[np.uint8]
    Ids = NDArray[np.int32]

# A tree tells so many classes of its outcome apart while it grows; leaves hold exact values anyway.
CLASSES = 64
# What decides which columns a tree may ask, where there are more than it should: rows and classes looked at.
SCREEN_ROWS, SCREEN_CLASSES = 1000, 8
Donors = Literal["own", "bootstrap", "honest"]


@dataclass(frozen=True, slots=True)
class ChainSettings:
    """How the trees of a chain are made.

    Args:
        growth: when a tree stops.
        trees: trees per column, >= 1; each made row follows one of them at random.
        donors: "own": a tree is grown on all rows and draws from them; "bootstrap": on rows drawn with
            replacement; "honest": on one random half, drawing from the other.
        shrinkage: a category is drawn from the parent of its leaf with probability
            shrinkage / (rows in the leaf + shrinkage), unless the leaf holds one level only.
        most_parents: columns that a tree may ask at most: those that depend most on its outcome.
    """

    growth: Growth = Growth()  # noqa: RUF009  frozen
    trees: int = 1
    donors: Donors = "own"
    shrinkage: float = 0.0
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
    """One column's trees; `order` of a tree holds the ids to draw, not rows."""

    trees: tuple[HistogramTree, ...]
    parents: tuple[Ints, ...]


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
    screened = _screen(ids, variables, rng=rng) if len(ids) > settings.most_parents + 1 else None
    links: dict[int, Link] = {}
    for place, column in enumerate(order):
        before = np.array(order[:place], dtype=np.int64)
        if screened is not None:
            before = _most_dependent(screened, before, column, most=settings.most_parents)
        links[column] = _fit_link(
            ids[column],
            variables[column],
            codes,
            features=before,
            categorical=categorical,
            settings=settings,
            rng=rng,
        )
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
        settings: as at fit; only `shrinkage` matters here.
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
    n = ids.size
    trees: list[HistogramTree] = []
    for _ in range(settings.trees):
        rows, donors = _rows(n, settings.donors, rng=rng)
        own = rows.size == n and settings.donors == "own"
        tree = grow_tree(
            codes if own else codes[:, rows],
            outcome[rows],
            features=features,
            categorical=categorical,
            ordered=variable.ordered,
            growth=settings.growth,
        )
        if settings.donors == "honest":
            tree = with_donors(tree, codes[:, donors], least=min(settings.growth.min_leaf, donors.size))
        trees.append(replace(tree, order=ids[donors[tree.order]]))
    parents = tuple(_shrink_to(t) for t in trees) if settings.shrinkage and not variable.ordered else ()
    return Link(tuple(trees), parents)


def _rows(n: int, donors: Donors, *, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """Which rows shape a tree, and which it draws from."""
    if donors == "own" or n < 2:
        return np.arange(n), np.arange(n)
    if donors == "bootstrap":
        drawn = np.sort(rng.integers(n, size=n))
        return drawn, drawn
    shuffled = rng.permutation(n)
    return np.sort(shuffled[: n // 2]), np.sort(shuffled[n // 2 :])


def _shrink_to(tree: HistogramTree) -> Ints:
    """[nodes] the node that a leaf shrinks to: its parent, or itself where all its donors agree."""
    target = np.arange(tree.feature.size)
    inner = np.flatnonzero(tree.feature >= 0)
    target[tree.children[inner].ravel()] = np.repeat(inner, 2)
    for leaf in np.flatnonzero(tree.feature < 0):
        donors = tree.order[tree.spans[leaf, 0] : tree.spans[leaf, 1]]
        if np.all(donors == donors[0]):
            target[leaf] = leaf
    return target


def _draw(link: Link, codes: Codes, *, settings: ChainSettings, rng: np.random.Generator) -> Ids:
    """[n] ids: each row goes down one of the trees and draws a donor of its leaf."""
    n = codes.shape[1]
    choice = rng.integers(len(link.trees), size=n) if len(link.trees) > 1 else np.zeros(n, dtype=np.int64)
    drawn = np.empty(n, dtype=np.int32)
    for t, tree in enumerate(link.trees):
        rows = np.flatnonzero(choice == t)
        leaves = apply(tree, codes if rows.size == n else codes[:, rows])
        if link.parents:
            held = tree.spans[leaves, 1] - tree.spans[leaves, 0]
            up = rng.random(rows.size) < settings.shrinkage / (held + settings.shrinkage)
            leaves = np.where(up, link.parents[t][leaves], leaves)
        drawn[rows] = draw_donors(tree, leaves, rng=rng)
    return drawn


def _screen(ids: Ids, variables: Sequence[Variable], *, rng: np.random.Generator) -> Codes:
    """[d, m] coarse classes of some rows, to see which columns depend on which."""
    n = ids.shape[1]
    rows = np.sort(rng.choice(n, size=min(n, SCREEN_ROWS), replace=False))
    coarse = [code_lookup(v, most=SCREEN_CLASSES - 1)[row[rows]] for v, row in zip(variables, ids, strict=True)]
    return np.stack(coarse)


def _most_dependent(screened: Codes, before: Ints, column: int, *, most: int) -> Ints:
    """The columns of `before` with the largest phi-square against `column`, in their old order."""
    if before.size <= most:
        return before
    outcome = _indicators(screened[[column]])[0]
    others = _indicators(screened[before])
    tables = others @ outcome.T  # [columns, classes, classes]
    rows, columns = tables.sum(axis=2, keepdims=True), tables.sum(axis=1, keepdims=True)
    with np.errstate(invalid="ignore"):
        phi_square = np.nansum(tables**2 / (rows * columns), axis=(1, 2))
    return before[np.sort(np.argsort(-phi_square, kind="stable")[:most])]


def _indicators(classes: Codes) -> NDArray[np.float32]:
    """[columns, SCREEN_CLASSES, m] 1 where a row has the class."""
    return (classes[:, None, :] == np.arange(SCREEN_CLASSES)[:, None]).astype(np.float32)
