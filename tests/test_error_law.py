"""What wrong labels do to a model: the law against counting, the audit's test and intervals, an effective vote."""

from __future__ import annotations

import numpy as np
import pytest

from sterling.kernel.estimate import Unmeasured
from sterling.stats.error_law import (
    Counts,
    Mentions,
    clustered_error,
    clustering_of,
    counts_of,
    extra_error,
    majority_error,
    mentions_from,
    predicted,
    recursion_error,
    verified,
)
from sterling.stats.slices import Cut


def counted(wrong: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The count model: [facts] whether most of [facts, mentions] are wrong, a tie decided by a coin."""
    votes = wrong.sum(axis=1) * 2 - wrong.shape[1]
    return np.where(votes == 0, rng.random(votes.size) < 0.5, votes > 0)


@pytest.mark.parametrize("k", [1, 2, 3, 5, 10])
@pytest.mark.parametrize("rate", [0.05, 0.3, 0.6])
def test_counting_reproduces_the_law(k: int, rate: float) -> None:
    rng = np.random.default_rng(k)
    facts = 40_000
    found = counted(rng.random((facts, k)) < rate, rng).mean()
    assert abs(found - float(majority_error(rate, k))) < 4 * np.sqrt(0.25 / facts)


def test_the_measured_cases_of_the_science_notes_come_out() -> None:
    independent = [float(majority_error(0.05, k)) for k in (1, 3, 5, 10)]
    assert np.allclose(independent, [0.047, 0.004, 0.0, 0.0], atol=0.004)
    for k, overall, inside in ((1, 0.05, 0.59), (3, 0.055, 0.67), (5, 0.058, 0.67), (10, 0.066, 0.75)):
        all_, (there, _) = clustered_error([0.083, 0.917], [0.6, 0.0], k)
        assert abs(all_ - overall) < 0.006, k
        assert abs(float(there) - inside) < 0.03, k
    assert abs(recursion_error(0.05, 10) - 0.394) < 0.01


@pytest.mark.parametrize("k", [3, 9, 33])
def test_five_per_cent_in_one_slice_cost_more_than_the_same_spread(k: int) -> None:
    spread = float(majority_error(0.05, k))
    clustered, (inside, _) = clustered_error([0.1, 0.9], [0.5, 0.0], k)
    assert clustered >= 0.05 - 1e-12 > spread
    worse, (there, _) = clustered_error([0.08, 0.92], [0.625, 0.0], k)
    assert float(there) > 0.625 > float(inside)
    assert worse > 0.05


def test_a_verifier_breaks_down_where_the_theorem_says() -> None:
    for phi, psi, at in ((1, 1, 0.5), (0.9, 0.3, 0.75), (0.7, 0.05, 0.933)):
        found = verified(at, keeps_right=phi, keeps_wrong=psi)
        assert not isinstance(found, Unmeasured)
        assert abs(found.breakdown - at) < 0.001
        assert abs(found.error - 0.5) < 0.002
    assert isinstance(verified(0.2, keeps_right=0.0, keeps_wrong=0.0), Unmeasured)


def cuts(k: int, columns: int) -> list[Cut]:
    return [Cut(f"c{j}", tuple(f"v{i}" for i in range(k))) for j in range(columns)]


def test_spread_errors_are_called_clustered_as_rarely_as_the_level_says() -> None:
    rng = np.random.default_rng(0)
    alarms = 0
    for _ in range(120):
        codes = [rng.integers(5, size=300) for _ in range(4)]
        found = clustering_of(rng.random(300) < 0.05, cuts(5, 4), codes, alpha=0.05, rng=rng)
        alarms += found.cell is not None
    assert alarms <= 13  # P(more | .05) < .005


def test_a_slice_that_holds_all_wrong_labels_is_named() -> None:
    rng = np.random.default_rng(1)
    named = 0
    for _ in range(30):
        codes = [rng.integers(5, size=400) for _ in range(4)]
        wrong = (codes[2] == 3) & (rng.random(400) < 0.4)
        found = clustering_of(wrong, cuts(5, 4), codes, alpha=0.05, rng=rng)
        named += (found.column, found.cell) == (2, 3)
        assert found.overdispersion > 3
    assert named >= 28


@pytest.mark.parametrize("wrong", [np.zeros(20, bool), np.ones(20, bool), np.zeros(0, bool), np.ones(1, bool)])
def test_nothing_to_compare_is_no_cluster(wrong: np.ndarray) -> None:
    codes = [np.arange(wrong.size) % 2]
    found = clustering_of(wrong, cuts(2, 1), codes, alpha=0.05, rng=np.random.default_rng(0))
    assert (found.cell, found.p) == (None, 1.0)


def test_a_class_keeps_its_own_rate_only_where_that_is_shown() -> None:
    rng = np.random.default_rng(2)
    truth, region = rng.integers(2, size=2000), np.zeros(2000, dtype=np.int64)
    one_way = (truth == 1) & (rng.random(2000) < 0.3)
    rates = counts_of(one_way, region, truth, classes=2, alpha=0.05).rates[0]
    assert rates[0] == 0
    assert abs(rates[1] - 0.3) < 0.05
    even = counts_of(rng.random(2000) < 0.1, region, truth, classes=2, alpha=0.001)
    assert even.rates[0, 0] == even.rates[0, 1]


def voters(chances: np.ndarray, rates: np.ndarray, k: int, rng: np.random.Generator) -> float:
    """Extra errors of models that say what most of k noisy neighbours say, by simulation."""
    n = chances.shape[0]
    truth = (rng.random((n, k)) < chances[:, [1]]).astype(int)
    flips = rng.random((n, k)) < rates[truth]
    own = (rng.random(n) < chances[:, 1]).astype(int)
    clean, said = (counted(votes == 1, rng).astype(int) for votes in (truth, truth ^ flips))
    return float((said != own).mean() - (clean != own).mean())


@pytest.mark.parametrize("rates", [[0.1, 0.1], [0.3, 0.3], [0.0, 0.6], [0.4, 0.0]])
def test_the_vote_over_noisy_neighbours_is_foretold(rates: list[float]) -> None:
    rng = np.random.default_rng(3)
    p = rng.beta(0.6, 0.9, size=60_000)
    chances = np.stack([1 - p, p], axis=1)
    law = extra_error(chances, np.array([rates]), np.zeros(p.size, dtype=np.int64), 9).mean()
    assert abs(law - voters(chances, np.array(rates), 9, rng)) < 0.008


def test_effective_mentions_are_found_again_and_the_interval_covers() -> None:
    """Audit and planted noise both sampled: the foretold error covers the true one at about its level."""
    rng = np.random.default_rng(4)
    p = rng.beta(0.6, 0.9, size=200)
    chances, region = np.stack([1 - p, p], axis=1), (rng.random(200) < 0.8).astype(np.int64)
    true_rates, k = np.array([[0.35], [0.03]]), 15.0
    truth = extra_error(chances, true_rates, region, k).mean()
    loss = extra_error(chances, np.array([[0.3]]), np.zeros(200, dtype=np.int64), k).mean()
    covered, ks = 0, []
    for _ in range(60):
        measured = loss + 0.006 * rng.standard_normal()
        mentions = mentions_from(chances, planted=0.3, measured=measured, error=0.006, draws=120, rng=rng)
        ks.append(mentions.value)
        checked = np.array([[80], [320]])
        counts = Counts(rng.binomial(checked, true_rates), checked)
        foretold, inside = predicted(chances, counts, region, mentions, level=0.9, rng=rng)
        covered += foretold.low <= truth <= foretold.high
        assert len(inside) == 2
    assert abs(float(np.median(ks)) - k) < 3
    assert covered >= 49, covered  # 54 of 60 nominal, less two standard errors


def test_no_loss_seen_is_a_vote_without_an_upper_end() -> None:
    p = np.full(500, 0.9)
    chances = np.stack([1 - p, p], axis=1)
    mentions = mentions_from(chances, planted=0.3, measured=0.0, error=0.01, draws=200, rng=np.random.default_rng(0))
    assert mentions.interval(0.95)[1] == np.inf
    assert isinstance(mentions, Mentions)
