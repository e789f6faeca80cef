"""Trees on bytes: planted structure is found, spans hold the right rows, bins are exact where they must be."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from sterling.stats.binning import bin_numbers, codes_of, cut_levels, cut_ordered, value_range
from sterling.stats.histogram_trees import (
    Growth,
    HistogramTree,
    apply,
    draw_donors,
    grow_tree,
    leaf_neighbours,
    settle,
    sorted_leaves,
    weighed,
)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def grown(
    codes: np.ndarray, outcome: np.ndarray, *, categorical: tuple[int, ...] = (), **rules: float
) -> HistogramTree:
    d = codes.shape[0]
    return grow_tree(
        codes.astype(np.uint8),
        outcome.astype(np.uint8),
        features=np.arange(d),
        categorical=np.isin(np.arange(d), categorical),
        ordered=bool(rules.pop("ordered", 0)),
        growth=Growth(**rules),  # type: ignore[arg-type]
    )


def test_a_planted_cut_and_a_planted_set_of_levels_are_found_exactly() -> None:
    codes = rng().integers(0, 40, (5, 4000))
    outcome = 2 * (codes[3] > 17) + np.isin(codes[1], [2, 5, 30, 31])
    tree = grown(codes, outcome, categorical=(1,))
    assert set(tree.feature[tree.feature >= 0]) == {1, 3}
    assert tree.leaves == 4
    for leaf in np.flatnonzero(tree.feature < 0):
        rows = tree.order[tree.spans[leaf, 0] : tree.spans[leaf, 1]]
        assert np.unique(outcome[rows]).size == 1


def test_an_ordered_outcome_is_split_where_its_distribution_moves() -> None:
    codes = rng().integers(0, 100, (3, 3000))
    outcome = np.clip(10 + 8 * (codes[0] > 60) + rng(1).integers(-3, 4, 3000), 0, 30)
    tree = grown(codes, outcome, ordered=1, max_depth=1)
    assert tree.feature[0] == 0
    goes_left = [(tree.masks[0, c >> 3] >> (c & 7)) & 1 for c in range(256)]
    assert goes_left == [int(c <= 60) for c in range(256)]


def test_a_change_of_spread_alone_is_seen() -> None:
    codes = rng().integers(0, 2, (2, 4000))
    wide = rng(1).normal(size=4000) * np.where(codes[1] == 1, 6.0, 1.0)
    tree = grown(codes, np.clip(wide + 30, 0, 60), ordered=1, max_depth=1)
    assert tree.feature[0] == 1


@pytest.mark.parametrize("min_leaf", [1, 7, 40])
def test_spans_part_the_rows_and_agree_with_apply(min_leaf: int) -> None:
    codes = rng().integers(0, 30, (4, 700))
    tree = grown(codes, rng(1).integers(0, 5, 700), min_leaf=min_leaf, categorical=(2,))
    leaves = apply(tree, codes.astype(np.uint8))
    assert sorted(tree.order) == list(range(700))
    for leaf in np.flatnonzero(tree.feature < 0):
        rows = tree.order[tree.spans[leaf, 0] : tree.spans[leaf, 1]]
        assert rows.size >= min_leaf
        assert (leaves[rows] == leaf).all()
    assert np.isin(leaves, np.flatnonzero(tree.feature < 0)).all()


def test_nothing_to_learn_and_nothing_to_ask_give_one_leaf() -> None:
    codes = rng().integers(0, 9, (3, 50))
    assert grown(codes, np.zeros(50)).leaves == 1
    assert grown(np.zeros((0, 50)), rng(1).integers(0, 2, 50)).leaves == 1
    assert grown(np.zeros((2, 50)), rng(1).integers(0, 2, 50)).leaves == 1
    assert grown(codes[:, :1], np.zeros(1)).leaves == 1
    assert grown(codes, rng(1).integers(0, 2, 50), max_depth=0).leaves == 1


def test_the_same_arrays_give_the_same_tree_and_it_pickles() -> None:
    codes, outcome = rng().integers(0, 200, (6, 900)), rng(1).integers(0, 4, 900)
    first, second = grown(codes, outcome, min_leaf=3), pickle.loads(pickle.dumps(grown(codes, outcome, min_leaf=3)))
    for name in HistogramTree.__slots__:
        assert np.array_equal(getattr(first, name), getattr(second, name))


def test_levels_a_node_never_saw_follow_its_larger_part() -> None:
    codes = np.array([[1] * 60 + [2] * 40])
    tree = grown(codes, codes[0] - 1, categorical=(0,))
    unseen, one = apply(tree, np.array([[255, 1]], dtype=np.uint8))
    assert unseen == one


def test_rows_stop_where_splits_say_nothing_and_go_on_where_they_do() -> None:
    codes = rng().integers(0, 50, (3, 4000)).astype(np.uint8)
    noise, told = rng(1).integers(0, 3, 4000), (codes[1] > 20).astype(int)
    for outcome, root_only in ((noise, True), (told, False)):
        tree = grown(codes, outcome, min_leaf=10)
        tree = weighed(tree, outcome[tree.order].astype(np.uint8), price=10.0)
        stopped = settle(tree, codes, rng=rng(2)) == 0
        assert stopped.mean() > 0.99 if root_only else stopped.mean() < 0.01
    drawn = told[draw_donors(tree, settle(tree, codes, rng=rng(3)), rng=rng(4))]
    assert np.array_equal(drawn, told)  # leaves that agree lend nothing from their parents


def test_a_price_keeps_rows_higher_up() -> None:
    codes = rng().integers(0, 50, (3, 3000)).astype(np.uint8)
    outcome = (rng(1).random(3000) < 0.3 + 0.4 * codes[0] / 50).astype(np.uint8)
    tree = grown(codes, outcome, min_leaf=10)
    rows = [np.diff(t.spans[settle(t, codes, rng=rng(2))], axis=1).mean() for t in (
        weighed(tree, outcome[tree.order], price=p) for p in (0.0, 3.0, 30.0)
    )]  # fmt: skip
    assert rows[0] < rows[1] < rows[2]


def test_neighbours_stay_in_their_leaf_and_leaves_are_sorted() -> None:
    codes, values = rng().integers(0, 30, (2, 500)).astype(np.uint8), rng(1).integers(0, 90, 500)
    tree = sorted_leaves(grown(codes, values // 10, min_leaf=20, ordered=1))
    places = np.arange(500)
    below, above = leaf_neighbours(tree, places)
    for leaf in np.flatnonzero(tree.feature < 0):
        start, end = tree.spans[leaf]
        inside = slice(start, end)
        assert (np.diff(tree.order[inside]) >= 0).all()
        assert np.array_equal(below[inside], np.maximum(places[inside] - 1, start))
        assert np.array_equal(above[inside], np.minimum(places[inside] + 1, end - 1))


def test_donors_are_drawn_evenly() -> None:
    tree = grown(np.array([[0] * 50 + [1] * 50]), np.repeat([0, 1], 50), min_leaf=20)
    drawn = draw_donors(tree, np.full(100_000, tree.children[0, 0]), rng=rng(2))
    counts = np.bincount(drawn, minlength=100)
    assert counts[50:].sum() == 0
    assert abs(counts[:50] - 2000).max() < 5 * np.sqrt(2000)


def test_bins_keep_atoms_exact_and_cover_every_value() -> None:
    values = np.r_[np.zeros(5000), rng().lognormal(8, 2, 5000), np.full(100, np.nan), [np.inf, -np.inf]]
    binning = bin_numbers(values)
    codes = codes_of(binning, values)
    assert (codes == 0).sum() == 100
    assert 150 < codes.max() <= 254
    assert len(set(codes[values == 0])) == 1
    zero = int(codes[0])
    assert value_range(binning, zero) == (0.0, 0.0)
    assert (values[codes == zero] == 0).all()
    known = ~np.isnan(values)
    assert (values[known] >= binning.low[codes[known] - 1]).all()
    assert (values[known] <= binning.high[codes[known] - 1]).all()
    order = np.argsort(values[known], kind="stable")
    assert (np.diff(codes[known][order].astype(int)) >= 0).all()


def test_binning_of_nothing_and_of_one_value() -> None:
    assert (codes_of(bin_numbers(np.full(3, np.nan)), np.array([1.0, np.nan])) == 0).all()
    assert (codes_of(bin_numbers(np.full(3, 7.0)), np.array([6.0, 7.0, 8.0])) == 1).all()
    assert cut_ordered(np.array([], dtype=int), most=3).size == 0
    assert cut_levels(np.array([], dtype=int), most=3).size == 0


@pytest.mark.parametrize("most", [1, 2, 7, 254])
@pytest.mark.parametrize("k", [1, 3, 255, 5000])
def test_cuts_never_exceed_what_is_asked(most: int, k: int) -> None:
    counts = rng(k).integers(1, 50, k) ** 2
    for cut in (cut_ordered, cut_levels):
        groups = cut(counts, most=most)
        assert groups.size == k
        assert groups.min() == 0
        assert groups.max() < most
        assert np.unique(groups).size == groups.max() + 1
    assert (np.diff(cut_ordered(counts, most=most)) >= 0).all()
