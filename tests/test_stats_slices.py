"""Cuts, counts and names of slices."""

from __future__ import annotations

import itertools

import numpy as np

from sterling.kernel.schema import Kind, Role
from sterling.kernel.view import Column
from sterling.stats.slices import choose_pairs, count_one_way, count_pairs, cut_column, members, quantile_edges


def number(values: object, *, integer: bool = False, kind: Kind = Kind.NUMBER) -> Column:
    return Column("x", kind, Role.FEATURE, np.asarray(values, dtype=float), integer=integer)


def category(codes: object, levels: tuple[str, ...]) -> Column:
    return Column("c", Kind.CATEGORY, Role.FEATURE, np.asarray(codes), levels)


def test_a_heavy_value_is_a_bin_of_its_own() -> None:
    values = np.r_[np.full(90, 5.0), np.arange(6.0, 16.0), np.arange(-5.0, 5.0)]
    edges = quantile_edges(values, 4)
    codes = np.searchsorted(edges, values, side="left")
    assert np.unique(codes[values == 5.0]).size == 1
    assert set(np.unique(values[codes == codes[0]])) == {5.0}


def test_constant_and_empty_columns_have_one_bin() -> None:
    assert quantile_edges(np.full(10, 3.0), 4).size == 0
    assert quantile_edges(np.empty(0), 4).size == 0
    assert cut_column(number(np.full(10, np.nan)), bins=4, least=1, most=9).labels == ("(rest)", "missing")
    assert cut_column(number(np.full(10, 3.0), integer=True), bins=4, least=1, most=9).labels == ("3", "missing")


def test_every_row_falls_into_one_slice_and_bins_are_about_even() -> None:
    values = np.r_[np.random.default_rng(0).normal(size=1000), np.nan, np.inf]
    cut = cut_column(number(values), bins=10, least=8, most=99)
    counts = np.bincount(cut.assign(number(values)), minlength=len(cut.labels))
    assert counts.sum() == 1002
    assert counts[-1] == 1
    assert counts[:-1].min() >= 95


def test_names_a_reader_understands() -> None:
    ages = np.repeat(np.arange(20.0, 60.0), 5)
    cut = cut_column(number(ages, integer=True), bins=4, least=8, most=99)
    assert cut.labels == ("20-29", "30-39", "40-49", "50-59", "missing")
    assert cut.title(0) == "x=20-29"
    assert cut_column(number(-ages, integer=True), bins=2, least=8, most=99).labels[0] == "-59 to -40"
    days = cut_column(number(ages * 86400 * 365, kind=Kind.DATETIME), bins=2, least=8, most=99)
    assert days.labels[0] == "1989-12-27 to 2008-12-22"
    assert cut_column(number([-1e300, 1e300] * 20, kind=Kind.DATETIME), bins=2, least=8, most=99).labels


def test_rare_levels_are_the_rest_and_are_not_judged() -> None:
    real = category(np.r_[np.zeros(20), np.ones(3), np.full(10, 2), np.full(4, -1)].astype(int), ("a", "rare", "ü"))
    cut = cut_column(real, bins=4, least=8, most=99)
    assert cut.labels == ("a", "ü", "(rest)", "missing")
    codes = [cut.assign(real)]
    found = count_one_way([0], [cut], codes, codes)
    assert [found.title(i, [cut]) for i in range(found.size)] == ["c=a", "c=ü", "c=missing"]
    assert found.real.tolist() == [20, 10, 4]


def test_pairs_are_counted_as_by_hand() -> None:
    r = np.random.default_rng(1)
    real = [category(r.integers(3, size=200), tuple("abc")), category(r.integers(2, size=200), tuple("xy"))]
    made = [category(r.integers(3, size=300), tuple("abc")), category(r.integers(2, size=300), tuple("xy"))]
    cuts = [cut_column(c, bins=4, least=8, most=9) for c in real]
    here, there = ([cut.assign(c) for cut, c in zip(cuts, s, strict=True)] for s in (real, made))
    found = count_pairs([(0, 1)], cuts, here, there)
    assert found.size == 6
    for row, (a, b) in enumerate(itertools.product(range(3), range(2))):
        assert found.real[row] == ((real[0].values == a) & (real[1].values == b)).sum()
        assert found.synthetic[row] == members(found, row, there).sum()
        assert found.title(row, cuts) == f"c={'abc'[a]}&c={'xy'[b]}"


def test_pairs_asked_for_come_first_and_the_cut_is_counted() -> None:
    names = [f"c{i}" for i in range(8)]
    inside, others, left = choose_pairs(names, ["c2", "c5"], most=100)
    assert inside == [(2, 5)]
    assert sorted(inside + others) == sorted(itertools.combinations(range(8), 2))
    assert left == 0
    inside, others, left = choose_pairs(names, ["c2", "c5"], most=10)
    assert len(inside) + len(others) == 10
    assert left == 18
    assert all(2 in pair or 5 in pair for pair in others)
