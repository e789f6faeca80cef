"""The mathematics of attacks: risks and rates with bounds that hold, exposure, audits, descriptions, densities."""

from __future__ import annotations

import numpy as np
import pytest

from sterling.kernel.schema import Kind, Role
from sterling.kernel.view import Column, View
from sterling.stats.attacks import Audit, Risk, arms, audit, chance_of_pure, exposure, power_at, within
from sterling.stats.predicates import of_one_column, of_several_columns
from sterling.stats.small_codes import cells
from sterling.stats.tree_density import dependency_tree, log_likelihood


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def number(values: object, name: str = "x") -> Column:
    return Column(name, Kind.NUMBER, Role.FEATURE, np.asarray(values, dtype=float))


def category(codes: object, levels: int = 4, name: str = "c") -> Column:
    return Column(name, Kind.CATEGORY, Role.FEATURE, np.asarray(codes, dtype=np.int64), tuple("abcdefgh"[:levels]))


def test_a_risk_is_the_share_of_failures_turned_into_hits() -> None:
    risk = Risk(60, 100, 20, 100)
    assert risk.value == pytest.approx(0.5)
    assert risk.excess == pytest.approx(0.4)
    assert risk.per_thousand() == (600, 200)
    low, high = risk.bounds(alpha=0.025)
    assert 0.3 < low < 0.5 < high < 0.65
    assert Risk(60, 100, 20, 100, scale=4.0).value == pytest.approx(2.0)


@pytest.mark.parametrize(("attack", "control"), [(0.05, 0.05), (0.5, 0.5), (0.97, 0.97), (0.2, 0.1), (0.0, 0.0)])
@pytest.mark.parametrize("n", [40, 1000])
def test_bounds_of_risk_and_excess_err_no_more_often_than_they_say(attack: float, control: float, n: int) -> None:
    r, alpha, trials = rng(int(1000 * attack) + n), 0.025, 1500
    truth = (attack - control) / (1 - control)
    errors = np.zeros(4)
    for a, c in zip(r.binomial(n, attack, trials), r.binomial(n, control, trials), strict=True):
        risk = Risk(int(a), n, int(c), n)
        (low, high), (less, more) = risk.bounds(alpha=alpha), risk.excess_bounds(alpha=alpha)
        errors += [low > truth, high < truth, less > attack - control, more < attack - control]
    assert (errors / trials <= alpha + 3 * np.sqrt(alpha / trials)).all()


def test_the_level_holds_far_out_where_a_panel_asks_for_it() -> None:
    r, alpha, trials = rng(3), 0.0025, 8000
    hits, control = r.binomial(500, 0.1, trials), r.binomial(500, 0.1, trials)
    over = sum(Risk(int(a), 500, int(c), 500).bounds(alpha=alpha)[0] > 0 for a, c in zip(hits, control, strict=True))
    assert over / trials <= alpha + 3 * np.sqrt(alpha / trials)


def test_the_extremes_of_a_risk_are_survived() -> None:
    for risk in (Risk(0, 30, 0, 30), Risk(30, 30, 30, 30), Risk(0, 30, 30, 30), Risk(30, 30, 0, 30)):
        low, high = risk.bounds(alpha=0.001)
        assert -1 <= low <= risk.value <= high <= 1
        low, high = risk.excess_bounds(alpha=0.001)
        assert -1 <= low <= risk.excess <= high <= 1
    assert Risk(30, 30, 0, 30).bounds(alpha=0.025)[0] > 0.8


def test_power_at_few_false_positives_covers_the_truth() -> None:
    from scipy.special import ndtr, ndtri

    r, alpha, trials = rng(1), 0.025, 400
    truth = float(ndtr(1.0 + ndtri(0.01)))  # members score one standard deviation higher
    low = high = 0
    for _ in range(trials):
        power = power_at(r.normal(1, 1, 800), r.normal(0, 1, 800), rate=0.01, alpha=alpha, rng=r)
        low, high = low + (power.low > truth), high + (power.high < truth)
    assert max(low, high) / trials <= alpha + 3 * np.sqrt(alpha / trials)


def test_ties_are_broken_by_a_coin_so_that_equal_scores_give_chance() -> None:
    powers = [power_at(np.zeros(1000), np.zeros(1000), rate=0.1, alpha=0.025, rng=rng(s)) for s in range(40)]
    assert np.mean([p.value for p in powers]) == pytest.approx(0.1, abs=0.01)
    assert np.mean([p.low <= 0.1 <= p.high for p in powers]) > 0.9


def test_too_few_others_leave_the_rate_open() -> None:
    power = power_at(np.ones(50), np.zeros(50), rate=0.01, alpha=0.025, rng=rng())
    assert power.low == 0.0  # 50 strangers cannot show that fewer than 1 % of them are accused


def test_exposure_counts_bits_and_is_low_for_what_was_not_planted() -> None:
    assert exposure(np.array([5.0]), np.zeros(1023)).tolist() == [10.0]
    r = rng(2)
    plain = np.mean([exposure(r.normal(size=50), r.normal(size=500)).mean() for _ in range(100)])
    assert plain == pytest.approx(np.log2(np.e), abs=0.1)


def test_an_audit_bounds_epsilon_from_below_and_seldom_too_high() -> None:
    r, epsilon, trials = rng(4), 0.7, 1500
    right = r.binomial(100, chance_of_pure(epsilon), trials)
    over = sum(Audit(int(k), 100).epsilon(alpha=0.025) > epsilon for k in right)
    assert over / trials <= 0.025 + 3 * np.sqrt(0.025 / trials)
    assert Audit(100, 100).epsilon(alpha=0.025) > 3
    assert audit(np.ones(200), np.zeros(200), rng=r).right == 200
    assert 60 < audit(np.zeros(200), np.zeros(200), rng=r).right < 140


def test_a_guess_of_a_number_is_right_within_the_tolerance() -> None:
    scale = np.arange(1000.0)
    truth = number([100, 100, 100, np.nan])
    assert within(truth, np.array([120.0, 130, np.nan, 5]), scale=scale, tolerance=0.025).tolist() == [
        True, False, False, False,
    ]  # fmt: skip
    assert within(category([0, -1, 2]), np.array([0, -1, 1]), scale=None, tolerance=0.1).tolist() == [
        True,
        False,
        False,
    ]


def test_all_training_rows_are_attacked_where_work_allows_it_and_no_more() -> None:
    def view(n: int, d: int) -> View:
        return View(n, "f", tuple(number(rng(j).normal(size=n), f"x{j}") for j in range(d)))

    drawn = arms(view(5000, 3), view(30_000, 3), view(700, 3), effort="full", rng=rng())
    assert (drawn.n, drawn.k, drawn.published.n) == (4 * 700, 700, 20_000)
    assert drawn.attacked == "2,800 training rows and 700 others were attacked"
    equal = arms(view(5000, 3), view(9_000, 3), view(5000, 3), effort="full", rng=rng())
    assert (equal.n, equal.k) == (4000, 4000)
    assert "20,000 of 30,000" in drawn.share_searched(view(30_000, 1))
    wide = arms(view(3000, 200), view(20_000, 200), view(3000, 200), effort="full", rng=rng())
    assert len(wide.both) == 60
    assert (wide.n + wide.k) * wide.published.n * 60 <= 4.01e9


def test_descriptions_fit_one_synthetic_row_and_are_counted_right() -> None:
    r = rng(5)
    rows = [number(r.integers(30, size=400), "a"), category(r.integers(4, size=400)), number(r.normal(size=400), "b")]
    people = [number(r.integers(30, size=300), "a"), category(r.integers(4, size=300)), number(r.normal(size=300), "b")]
    several = of_several_columns(rows, [rows, people], most=200, rng=r)
    assert 100 < several.size <= 200
    assert (several.counts[:, 0] == 1).all()
    assert np.array_equal(several.only[:, 0], several.source)
    assert np.unique(several.source).size == several.size
    cuts = {c.name: cells(c, most=100) for c in rows}
    for p in range(0, several.size, 20):
        fits = np.ones(300, dtype=bool)
        for c, other in zip(rows, people, strict=True):
            if c.name in several.columns[p]:
                fits &= cuts[c.name].of(other) == cuts[c.name].of(c)[several.source[p]]
        assert several.counts[p, 1] == fits.sum()


def test_unique_values_and_ends_of_a_range_are_described() -> None:
    found = of_one_column([number([1, 2, 2, 9])], [[number([0, 1, 9, 9, 12])]], most=10, rng=rng())
    # "= 1" fits one, "= 9" two, "<= 1" two, ">= 9" three.
    assert sorted(found.counts[:, 0].tolist()) == [1, 2, 2, 3]
    assert of_one_column([number([np.nan] * 4)], [[number([1.0])]], most=10, rng=rng()).size == 0


def test_codes_hold_unknown_and_missing_cells() -> None:
    cut = cells(category([0, 0, 1, 3]), most=2)
    codes = cut.of(category([0, 1, 2, 3, -1]))
    assert codes.max() < cut.size
    assert codes[-1] == 0
    assert (codes[:-1] > 0).all()


def test_the_tree_finds_the_strongest_links_and_tells_likely_records() -> None:
    r = rng(6)
    a = r.integers(4, size=3000)
    b = np.where(r.random(3000) < 0.9, a, r.integers(4, size=3000))
    c = np.where(r.random(3000) < 0.9, b, r.integers(4, size=3000))
    codes = np.stack([a, c, b]) + 1
    tree = dependency_tree(codes, [5, 5, 5])
    links = {frozenset((j, p)) for j, p in enumerate(tree.parent) if p >= 0}
    assert links == {frozenset((0, 2)), frozenset((1, 2))}
    likely, unlikely = log_likelihood(tree, codes, np.array([[1, 1], [1, 4], [1, 2]]))
    assert likely > unlikely + 3
    every = np.stack(np.meshgrid(*[np.arange(5)] * 3, indexing="ij")).reshape(3, -1)
    assert np.exp(log_likelihood(tree, codes, every)).sum() == pytest.approx(1.0)
