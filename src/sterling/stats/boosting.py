"""Boosted histogram trees: columns are coded once, and many models are fitted on rows of the same codes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from sterling.stats.binning import MISSING, MOST_BINS, cut_levels

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sterling.kernel.view import AnyArray, Bools, Floats, Ints

    Bytes = NDArray[np.uint8]
    Int32s = NDArray[np.int32]
    Words = NDArray[np.uint64]

# Columns whose codes share a word of 64 bits.
LANES = 8
# Bins are cut from at most this many rows, spread evenly; more tell nothing new of a quantile.
MOST_SORTED = 200_000
LEAST_BINS, ROWS_PER_BIN = 32, 4
# Bins of each number where columns are many, and codes in all from which they are.
WIDE_BINS, MOST_CODES = 64, 8192
# Larger numbers are as good as infinite.
LARGEST = 1e300
# How far apart, in units of the spacing, rows are taken: the golden ratio keeps step with no period in the data.
GOLDEN = 0.6180339887498949
# A class that hardly a row has still gets a finite score to start from.
LEAST_SHARE = 1e-12
# Where a model goes on with rows of classes it never saw, those it knows keep this share at least.
LEAST_KNOWN = 1e-3


@dataclass(frozen=True, slots=True, eq=False)
class Coder:
    """How columns become codes.

    Args:
        cuts: per column, where its numbers are cut, ascending; empty for a category.
        levels: per column, the code of each level of a category, 0 for levels that no row had; empty for a number.
        categorical: [d] True where codes have no order.
    """

    cuts: tuple[Floats, ...]
    levels: tuple[Bytes, ...]
    categorical: Bools

    @property
    def sizes(self) -> Ints:
        """[d] how many codes each column has, the 0 for missing among them."""
        sizes = [
            int(codes.max(initial=0)) + 1 if is_category else cuts.size + 2
            for cuts, codes, is_category in zip(self.cuts, self.levels, self.categorical, strict=True)
        ]
        return np.array(sizes, dtype=np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class Coded:
    """Rows as codes.

    Args:
        words: [blocks, n] uint64, the codes of eight columns of one row, the first in the lowest byte.
        coder: made the codes.
    """

    words: Words
    coder: Coder

    @property
    def n(self) -> int:
        """How many rows."""
        return self.words.shape[1]

    @property
    def width(self) -> int:
        """How many columns."""
        return len(self.coder.cuts)

    def take(self, rows: AnyArray) -> Coded:
        """The rows at these positions, or under this mask."""
        return Coded(np.ascontiguousarray(self.words[:, rows]), self.coder)

    def shuffled(self, columns: AnyArray, order: AnyArray) -> Coded:
        """The rows with some columns taken from other rows: row i has them from row `order[i]`."""
        lanes = np.zeros((self.words.shape[0], LANES), dtype=np.uint8)
        lanes[np.asarray(columns) // LANES, np.asarray(columns) % LANES] = 0xFF
        masks = lanes.view("<u8")[:, 0]
        words = self.words.copy()
        for block in np.flatnonzero(masks):
            words[block] = (words[block] & ~masks[block]) | (words[block, order] & masks[block])
        return Coded(words, self.coder)


@dataclass(frozen=True, slots=True)
class Boosting:
    """How trees are grown.

    Args:
        rounds: most rounds of boosting; a round grows one tree, or one per class where there are more than two.
        rate: shrinkage of each round.
        leaves: most leaves of a tree, >= 1.
        min_leaf: fewest rows in a leaf, >= 1.
        l2: ridge penalty on leaf values, in units of the loss's second derivative.
        patience: with held rows, rounds without a better loss after which it stops.
        most_columns: where there are more, a tree looks at so many: one half are those that gained most of late, the
            others come in turn. Time and memory do not grow with the columns then.
    """

    rounds: int = 60
    rate: float = 0.1
    leaves: int = 15
    min_leaf: int = 20
    l2: float = 1.0
    patience: int = 10
    most_columns: int = 128


@dataclass(frozen=True, slots=True, eq=False)
class Held:
    """Rows by which a fit sees when to stop.

    Args:
        coded: their codes, by the same coder.
        y: [m] their outcomes.
        weights: [m], or None for all 1.
    """

    coded: Coded
    y: AnyArray
    weights: Floats | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Boosted:
    """Fitted trees as flat arrays, all nodes of one tree side by side, children after their parent.

    Args:
        classes: how many, 0 for a number.
        seen: [s] the classes that training rows have; the others have no chance.
        centre: of the number, 0 for classes.
        unit: of the number, 1 for classes.
        base: [1 or s] raw scores before the first tree.
        column: [nodes] which column a node asks.
        children: [nodes, 2] where a row goes on; 1 is left; a leaf is its own child.
        masks: [nodes, 4] 256 bits: bit c is set where code c goes left.
        value: [nodes] what a leaf adds to the raw score.
        roots: [trees + 1] first node of each tree, and how many nodes there are; trees that say nothing may share one.
        depths: [trees] longest way to a leaf.
        held_loss: [rounds + 1] the held rows' mean loss before this fit's first round and after each: log loss in
            nats, or squared error; zeros without held rows.
    """

    classes: int
    seen: Ints
    centre: float
    unit: float
    base: Floats
    column: Int32s
    children: Int32s
    masks: Words
    value: Floats
    roots: Int32s
    depths: Int32s
    held_loss: Floats

    @property
    def used(self) -> Ints:
        """The columns that some tree asks, ascending."""
        inner = self.children[:, 0] != np.arange(self.column.size)
        return np.unique(self.column[inner]).astype(np.int64)

    @property
    def rounds(self) -> int:
        """How many rounds of boosting the last fit took."""
        return self.held_loss.size - 1


def learn_codes(matrix: Floats, categorical: Bools, *, most: int = MOST_BINS) -> Coder:
    """Choose bins for every column.

    Args:
        matrix: [n, d] missing = NaN; categories as level numbers 0, 1, ...
        categorical: [d] which columns are categories.
        most: bins of a number at most, 1 to 254, and fewer where n is small (more than one for four rows are only
            a burden) or d is large. Numbers as frequent as a bin have one of their own. A category
            has up to 254 groups: levels beyond that share some with their neighbours.

    Returns:
        What `encode` needs.

    >>> coder = learn_codes(np.array([[1.0], [2.0], [np.nan]]), np.array([False]))
    >>> coder.cuts[0]
    array([1.5])
    """
    from sterling.stats import _coding_kernels as kernels

    n, width = matrix.shape
    rows, most = _spread(n), min(most, max(LEAST_BINS, n // ROWS_PER_BIN), max(WIDE_BINS, MOST_CODES // max(1, width)))
    cuts, levels = [np.empty(0)] * width, [np.empty(0, dtype=np.uint8)] * width
    for j in range(width):
        if categorical[j]:
            levels[j] = _level_codes(matrix[:, j])
        else:
            known = matrix[rows, j]
            cuts[j] = kernels.cut_sorted(np.sort(_bounded(known[~np.isnan(known)])), most)
    return Coder(tuple(cuts), tuple(levels), np.asarray(categorical, dtype=bool).copy())


def encode(coder: Coder, matrix: Floats) -> Coded:
    """Code rows; levels that the coder never saw count as missing.

    Args:
        coder: from `learn_codes`, of these or other rows.
        matrix: [n, d] with the same columns.
    """
    from sterling.stats import _coding_kernels as kernels

    n, width = matrix.shape
    lanes = np.zeros((-(-width // LANES), n, LANES), dtype=np.uint8)
    for j in range(width):
        if coder.categorical[j]:
            lanes[j // LANES, :, j % LANES] = _levels_coded(matrix[:, j], coder.levels[j])
        else:
            # Writeable as well: for other arrays numba would compile the kernel once more.
            values = np.require(matrix[:, j], np.float64, ("C", "W"))
            kernels.place(values, coder.cuts[j], lanes[j // LANES], j % LANES)
    return Coded(lanes.view("<u8")[:, :, 0], coder)


def boost(
    coded: Coded,
    y: AnyArray,
    *,
    classes: int,
    boosting: Boosting,
    weights: Floats | None = None,
    held: Held | None = None,
    start: Boosted | None = None,
) -> Boosted:
    """Fit trees; the same input gives the same bytes.

    Args:
        coded: n rows.
        y: [n] classes 0 ... classes - 1, or finite numbers.
        classes: how many there are; 0 to predict a number by squared error, else log loss.
        boosting: how.
        weights: [n] >= 0; None for all 1.
        held: rows of the same kind; if given, rounds end early when their loss stays.
        start: a model fitted on rows of the same codes and class numbers; its trees stay, and new ones are fitted to
            what it leaves unsaid of these rows. One that knew a single class has learnt nothing to go on from.

    Returns:
        The model. Missing cells go to the side where they gain most; a category is cut in the order of its
        levels' mean gradients, those of fewer than ten rows in a node as one; levels that a node never saw follow
        the larger part. One class alone, rows of no weight, or no rows give a model without trees.

    Source: Friedman 2001; leaf-wise growth and histograms, Ke et al. 2017 (LightGBM); order of levels, Fisher 1958;
    whole-number gradients, Shi et al. 2022, arXiv:2207.09682.
    """
    from sterling.stats import _boosting_kernels as kernels

    heavy = _weights(y, weights)
    seen = np.unique(y[heavy > 0]).astype(np.int64) if classes else np.empty(0, dtype=np.int64)
    learnt = start is not None and not (classes and start.seen.size < 2)
    first = _widened(start, seen, y, heavy) if start is not None and learnt else _first(y, seen, heavy, classes)
    outcome, unit = _outcome(y, first.seen, first.centre, first.unit), first.unit
    tests = _held(coded, held, first.seen if classes else None)
    flat = bool(heavy.sum() <= 0 or (first.seen.size < 2 if classes else not unit))
    trees = kernels.boost(
        coded.words, outcome, heavy,
        tests.coded.words, _outcome(tests.y, first.seen, first.centre, unit), _weights(tests.y, tests.weights),
        coded.coder.sizes, coded.coder.categorical,
        _kind(first), _raw(first, coded), _raw(first, tests.coded), 0 if flat or not coded.width else boosting.rounds,
        max(1, min(boosting.leaves, y.size // boosting.min_leaf)), boosting.min_leaf,
        boosting.patience, max(1, boosting.most_columns // LANES), float(boosting.rate), float(boosting.l2),
    )  # fmt: skip
    with np.errstate(over="ignore"):  # the square of a number near the largest there is
        held_loss = trees[-1] * unit * unit
    return _joined(first, trees[:-1], held_loss)


def predict(model: Boosted, coded: Coded) -> Floats:
    """[n, classes] chance of each class, or [n] numbers.

    Args:
        model: fitted.
        coded: rows coded by the coder that the model was fitted with.
    """
    from sterling.stats import _boosting_kernels as kernels

    kind = _kind(model)
    said = kernels.predict(
        coded.words, model.base, model.column, model.children, model.masks, model.value, model.roots, model.depths, kind
    )
    if not model.classes:
        return model.centre + model.unit * said[0]
    out = np.zeros((coded.n, model.classes))
    if kind == kernels.BINARY:
        out[:, model.seen[0]], out[:, model.seen[1]] = 1.0 - said[0], said[0]
    else:
        out[:, model.seen] = said.T
    return out


def _kind(model: Boosted) -> int:
    from sterling.stats import _boosting_kernels as kernels

    return kernels.SQUARED if not model.classes else kernels.BINARY if model.seen.size == 2 else kernels.CLASSES


def _raw(model: Boosted, coded: Coded) -> Floats:
    """[scores, n] what a model says of rows, before it is made a chance."""
    from sterling.stats import _boosting_kernels as kernels

    return kernels.raw_scores(
        coded.words, model.base, model.column, model.children, model.masks, model.value, model.roots, model.depths
    )


def _first(y: AnyArray, seen: Ints, heavy: Floats, classes: int) -> Boosted:
    """The model of no trees: the mean."""
    centre, unit = (0.0, 1.0) if classes else _standard(y, heavy)
    base = _base(_outcome(y, seen, centre, unit), heavy, seen.size)
    nodes = np.empty(0, dtype=np.int32)
    return Boosted(
        classes, seen, centre, unit, base,
        column=nodes, children=np.empty((0, 2), dtype=np.int32), masks=np.empty((0, 4), dtype=np.uint64),
        value=np.empty(0), roots=np.zeros(1, dtype=np.int32), depths=nodes, held_loss=np.zeros(1),
    )  # fmt: skip


def _widened(start: Boosted, seen: Ints, y: AnyArray, heavy: Floats) -> Boosted:
    """The same model with a score for each class that only the new rows have: its share among them, at first."""
    union = np.union1d(start.seen, seen).astype(np.int64)
    if union.size == start.seen.size:
        return start
    known = np.r_[0.0, start.base] if start.seen.size == 2 else start.base
    shares = np.array([heavy[y == k].sum() for k in union]) / heavy.sum()
    old = np.searchsorted(union, start.seen)
    base = np.log(np.maximum(shares, LEAST_SHARE) / max(LEAST_KNOWN, float(shares[old].sum())))
    base[old] = known - np.log(np.exp(known - known.max()).sum()) - known.max()
    # One tree per class and round now; a class that had none gets a leaf of value 0, one for all of them.
    before, rounds, nothing = start.base.size, start.depths.size // start.base.size, start.column.size
    roots, depths = np.full((rounds, union.size), nothing, np.int32), np.zeros((rounds, union.size), np.int32)
    moved = old[-before:]
    roots[:, moved], depths[:, moved] = start.roots[:-1].reshape(rounds, before), start.depths.reshape(rounds, before)
    return replace(
        start,
        seen=union,
        base=base,
        column=np.append(start.column, np.int32(0)),
        children=np.append(start.children, np.full((1, 2), nothing, np.int32), axis=0),
        masks=np.append(start.masks, np.zeros((1, 4), np.uint64), axis=0),
        value=np.append(start.value, 0.0),
        roots=np.append(roots.ravel(), np.int32(nothing + 1)),
        depths=depths.ravel(),
    )


def _joined(first: Boosted, trees: tuple[Int32s, Int32s, Words, Floats, Int32s, Int32s], held_loss: Floats) -> Boosted:
    """A model with further trees."""
    column, children, masks, value, roots, depths = trees
    shift = np.int32(first.column.size)
    return replace(
        first,
        column=np.concatenate([first.column, column]),
        children=np.concatenate([first.children, children + shift]),
        masks=np.concatenate([first.masks, masks]),
        value=np.concatenate([first.value, value]),
        roots=np.concatenate([first.roots[:-1], roots + shift]),
        depths=np.concatenate([first.depths, depths]),
        held_loss=held_loss,
    )


def _spread(n: int) -> slice | Ints:
    """All rows, or `MOST_SORTED` of them at even distances."""
    if n <= MOST_SORTED:
        return slice(None)
    step = n / MOST_SORTED
    places = np.arange(MOST_SORTED)
    return ((places + (places * GOLDEN) % 1.0) * step).astype(np.int64)


def _bounded(values: Floats) -> Floats:
    return np.clip(np.array(values, dtype=np.float64), -LARGEST, LARGEST)


def _level_codes(values: Floats) -> Bytes:
    """The code of each level: 1, 2 ... in reading order for those that occur."""
    known = values[~np.isnan(values)].astype(np.int64)
    counts = np.bincount(known)
    codes = np.zeros(counts.size, dtype=np.uint8)
    codes[counts > 0] = 1 + cut_levels(counts[counts > 0], most=MOST_BINS)
    return codes


def _levels_coded(values: Floats, codes: Bytes) -> Bytes:
    # One more level, for all that is missing or beyond.
    lookup = np.append(codes, np.uint8(MISSING))
    levels = np.where(np.isnan(values), codes.size, values).astype(np.int64)
    return lookup[np.where((levels < 0) | (levels > codes.size), codes.size, levels)]


def _weights(y: AnyArray, weights: Floats | None) -> Floats:
    return np.ones(y.size) if weights is None else np.array(weights, dtype=np.float64)


def _standard(y: AnyArray, weights: Floats) -> tuple[float, float]:
    """Mean of a number, and its largest distance from it: no square overflows, and penalties know no unit."""
    if not weights.sum() > 0:
        return 0.0, 0.0
    scale = float(np.abs(y).max(initial=0.0)) or 1.0
    centre = float(np.average(y / scale, weights=weights))
    return centre * scale, float(np.abs(y / scale - centre).max()) * scale


def _outcome(y: AnyArray, seen: Ints, centre: float, unit: float) -> Floats:
    """Places among the classes that occur, or standardised numbers."""
    if seen.size:
        return np.searchsorted(seen, y).astype(np.float64)
    return (np.asarray(y, dtype=np.float64) / (unit or 1.0)) - centre / (unit or 1.0)


def _base(outcome: Floats, weights: Floats, seen: int) -> Floats:
    """Raw scores of the weighted mean."""
    if not seen or not weights.sum() > 0:
        return np.zeros(1)
    shares = np.maximum(np.bincount(outcome.astype(np.int64), weights, seen) / weights.sum(), LEAST_SHARE)
    return np.log(shares[1:] / shares[0]) if seen == 2 else np.log(shares)


def _held(coded: Coded, held: Held | None, seen: Ints | None) -> Held:
    """Held rows that can be judged: those of a class that occurs."""
    if held is None:
        return Held(coded.take(np.empty(0, dtype=np.int64)), np.empty(0))
    if seen is None or np.isin(held.y, seen).all():
        return held
    known = np.isin(held.y, seen)
    return Held(held.coded.take(known), held.y[known], None if held.weights is None else held.weights[known])
