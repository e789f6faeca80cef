"""Exact shares, ratios and differences: known answers and coverage."""

from __future__ import annotations

import numpy as np
import pytest

from sterling.kernel.estimate import Estimate, Unmeasured
from sterling.stats.proportions import (
    clopper_pearson,
    clustered_share,
    difference_bounds,
    exact_bounds,
    ratio_above_p,
    ratio_below_p,
    ratio_bounds,
)


def test_clopper_pearson_known_answers() -> None:
    # Two-sided 95 % intervals as in R's binom.test.
    found = clopper_pearson(7, 20)
    assert (round(found.low, 4), round(found.high, 4)) == (0.1539, 0.5922)
    assert clopper_pearson(0, 10).low == 0.0
    assert clopper_pearson(10, 10).high == 1.0
    assert clopper_pearson(0, 300).high < 3.7 / 300


@pytest.mark.parametrize(("hits", "n"), [(1, 0), (-1, 5), (6, 5)])
def test_clopper_pearson_refuses_what_is_no_share(hits: int, n: int) -> None:
    with pytest.raises(ValueError, match="no share"):
        clopper_pearson(hits, n)


@pytest.mark.parametrize("share", [0.001, 0.03, 0.5, 0.97])
def test_exact_bounds_cover_at_every_share(share: float) -> None:
    from scipy.special import gammaln

    n, hits = 60, np.arange(61)
    log_mass = gammaln(n + 1) - gammaln(hits + 1) - gammaln(n - hits + 1)
    mass = np.exp(log_mass + hits * np.log(share) + (n - hits) * np.log1p(-share))
    low, high = exact_bounds(hits, n, alpha=0.05)
    assert mass[low > share].sum() <= 0.05
    assert mass[high < share].sum() <= 0.05


def test_bounds_hold_far_out_in_the_tail() -> None:
    low, high = exact_bounds([0, 5], [1000, 1000], alpha=1e-9)
    assert low[0] == 0.0
    assert 1 - (1 - high[0]) ** 1000 == pytest.approx(1 - 1e-9)
    assert 0 < low[1] < 5 / 1000 < high[1] < 0.05


def test_ratio_bounds_and_p_values_agree() -> None:
    j, k = np.arange(0, 40), np.full(40, 25)
    _, high = ratio_bounds(j, 1200, k, 1000, alpha=0.01)
    p = ratio_below_p(j, 1200, k, 1000, ratio=0.8)
    assert np.array_equal(high < 0.8, p < 0.01)
    low, _ = ratio_bounds(j, 1200, k, 1000, alpha=0.01)
    assert np.array_equal(low > 1.25, ratio_above_p(j, 1200, k, 1000, ratio=1.25) < 0.01)


def test_ratio_says_nothing_where_there_is_nothing() -> None:
    low, high = ratio_bounds([0, 3, 0], 100, [0, 0, 5], 100, alpha=0.05)
    assert low[0] == 0.0
    assert np.isinf(high[:2]).all()
    assert high[2] < 1.0
    assert ratio_below_p([0], 100, [0], 100, ratio=0.8)[0] == 1.0


def test_ratio_bounds_cover() -> None:
    r = np.random.default_rng(0)
    for share, ratio in ((0.01, 1.0), (0.01, 0.6), (0.2, 1.3)):
        k, j = r.binomial(800, share, size=4000), r.binomial(1000, share * ratio, size=4000)
        low, high = ratio_bounds(j, 1000, k, 800, alpha=0.05)
        assert (low > ratio).mean() <= 0.06
        assert (high < ratio).mean() <= 0.06


def test_newcombe_covers_rare_shares() -> None:
    r = np.random.default_rng(1)
    misses = 0
    for j, k in zip(r.binomial(2000, 0.012, size=800), r.binomial(500, 0.01, size=800), strict=True):
        low, high = difference_bounds(int(j), 2000, int(k), 500, alpha=0.025)
        misses += not low <= 0.002 <= high
    assert misses <= 60


def test_clusters_widen_the_interval_and_it_covers() -> None:
    r = np.random.default_rng(2)
    hits = 0
    for _ in range(300):
        clusters = np.repeat(np.arange(60), 5)
        values = np.repeat(r.random(60) < 0.4, 5).astype(float)
        found = clustered_share(values, clusters)
        assert isinstance(found, Estimate)
        hits += found.low <= 0.4 <= found.high
    assert hits >= 275
    naive = clopper_pearson(120, 300)
    assert found.high - found.low > 1.5 * (naive.high - naive.low)


def test_one_cluster_tells_nothing_of_spread() -> None:
    assert isinstance(clustered_share(np.ones(5), np.zeros(5)), Unmeasured)
    assert isinstance(clustered_share(np.empty(0), np.empty(0)), Unmeasured)
