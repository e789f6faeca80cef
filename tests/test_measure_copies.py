"""Copied rows against natural duplicates."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sterling.kernel.estimate import Estimate
from sterling.kernel.finding import Finding, Status
from sterling.kernel.protocols import Terms
from sterling.kernel.schema import Kind, Role
from sterling.kernel.view import Column, View, stack
from sterling.measures.copies import copies
from sterling.stats.rarity import rarity


def rows(n: int, seed: int, *, kinds: int | None = None) -> View:
    """Rows that never repeat (kinds=None), or that repeat as coarse tables do: a few common kinds, many rare ones."""
    r = np.random.default_rng(seed)
    hashes = r.integers(2**63, size=n) if kinds is None else (kinds * r.beta(0.3, 3, size=n)).astype(np.int64)
    return View(n, "f", hashes=hashes.astype(np.uint64))


def planted(real: View, fresh: View, share: float, seed: int = 9) -> View:
    r = np.random.default_rng(seed)
    assert fresh.hashes is not None
    assert real.hashes is not None
    hashes = fresh.hashes.copy()
    k = round(share * fresh.n)
    hashes[:k] = real.hashes[r.integers(real.n, size=k)]
    return View(fresh.n, "f", hashes=hashes)


def measured(a: View, b: View, holdout: View | None = None) -> Finding:
    (found,) = copies(a, b, holdout=holdout, rng=np.random.default_rng(0), terms=Terms())
    assert isinstance(found.result, Estimate)
    return found


def test_one_percent_of_copies_fails_with_and_without_a_holdout() -> None:
    real, holdout = rows(8000, 0), rows(2000, 1)
    made = planted(real, rows(10_000, 2), 0.01)
    for found in (measured(real, made, holdout), measured(real, made)):
        assert found.status is Status.FAIL
        assert found.evidence["copied"] == 100
        assert found.result.low <= 0.01 <= found.result.high
        assert "100 of 10,000" in (found.reason or "")


def test_natural_duplicates_do_not_alarm() -> None:
    shares = []
    for seed in range(30):
        real, holdout, other = (rows(n, 3 * seed + i, kinds=60_000) for i, n in enumerate((4000, 1000, 5000)))
        for found in (measured(real, other, holdout), measured(real, other)):
            assert found.status is not Status.FAIL
            shares.append(found.evidence["natural_share"])
    assert 0.2 < np.mean(shares) < 0.9  # and there are many of them


def test_both_ways_to_the_natural_rate_agree() -> None:
    rates = [
        [measured(rows(3000, s, kinds=60_000), rows(3000, s + 99, kinds=60_000), h).evidence["natural_share"] for h in
         (rows(3000, s + 999, kinds=60_000), None)]
        for s in range(30)
    ]  # fmt: skip
    gap = np.diff(np.array(rates), axis=1)
    assert abs(gap.mean()) < 4 * gap.std() / np.sqrt(30)
    assert abs(gap.mean()) < 0.01


def test_the_interval_covers_the_planted_excess() -> None:
    hits = 0
    for seed in range(200):
        real, holdout, other = (rows(n, 3 * seed + i, kinds=60_000) for i, n in enumerate((1000, 500, 1000)))
        natural = measured(real, rows(20_000, seed + 5000, kinds=60_000), rows(20_000, seed + 7000, kinds=60_000))
        made = planted(real, other, 0.05, seed)
        truth = 0.05 * (1 - float(natural.evidence["natural_share"]))
        found = measured(real, made, holdout)
        hits += found.result.low <= truth <= found.result.high
    assert hits >= 185


def test_copies_of_unique_rows_are_counted() -> None:
    real = View(40, "f", hashes=np.r_[np.zeros(20), np.arange(1, 21)].astype(np.uint64))
    made = View(40, "f", hashes=np.r_[np.zeros(5), np.arange(1, 4), np.arange(100, 132)].astype(np.uint64))
    found = measured(real, made)
    assert found.evidence["copied"] == 8
    assert found.evidence["copies_of_unique_rows"] == 3


def people(n: int, seed: int) -> View:
    """Rows of few columns with common and rare levels: many are unique, the common ones by chance alone."""
    r = np.random.default_rng(seed)
    codes = np.minimum(r.geometric(0.35, size=(n, 6)) - 1, 11)
    columns = tuple(Column(f"c{j}", Kind.CATEGORY, Role.FEATURE, codes[:, j], tuple("abcdefghijkl")) for j in range(6))
    return View(n, "f", columns, hashes=(codes @ 12 ** np.arange(6)).astype(np.uint64))


def unique_rows(real: View) -> np.ndarray:
    """Rows that are the only one of their kind, the rarest first."""
    _, first, times = np.unique(real.hashes, return_index=True, return_counts=True)
    single = first[times == 1]
    return single[np.argsort(-rarity(real.columns or ())[single], kind="stable")]


@pytest.mark.parametrize("holdout", [None, 1500])
def test_ten_copies_of_rare_unique_rows_are_seen_and_listed(holdout: int | None) -> None:
    seen = 0
    for seed in range(20):
        real, other, apart = people(6000, 3 * seed), people(5990, 3 * seed + 1), people(1500, 3 * seed + 2)
        rarest = unique_rows(real)
        picked = np.random.default_rng(seed).permutation(rarest[: rarest.size // 50])[:10]
        found = measured(real, stack([other, real.take(picked)]), apart if holdout else None)
        seen += found.status is Status.FAIL
        if found.status is Status.FAIL:
            assert "only one of its kind" in (found.reason or "")
            listed = found.evidence["rarest_copies"]
            assert sum(e["row"] >= 5990 for e in listed) >= 5
            assert {e["real_row"] for e in listed if e["row"] >= 5990} <= set(picked.tolist())
    assert seen >= 18


def test_other_peoples_rows_fail_at_most_at_alpha_however_many_are_unique() -> None:
    alarms = 0
    for seed in range(100):
        real, other, apart = (people(n, 3 * seed + i) for i, n in enumerate((1500, 2000, 500)))
        for holdout in (apart, None):
            terms = Terms(alpha=0.05)
            (found,) = copies(real, other, holdout=holdout, rng=np.random.default_rng(0), terms=terms)
            alarms += found.status is Status.FAIL
    assert alarms <= 12  # expected below 10 of 200; each of the looks is conservative


def test_copies_of_common_rows_that_happen_to_be_unique_are_no_finding() -> None:
    real, other = people(6000, 0), people(5990, 1)
    commonest = unique_rows(real)[-10:]
    assert measured(real, stack([other, real.take(commonest)])).status is not Status.FAIL


def test_rare_rows_that_repeat_each_other_by_nature_are_no_finding() -> None:
    # One row in a hundred comes from an odd source that repeats itself: rare cells, and many natural twins.
    def odd(n: int, seed: int) -> View:
        r = np.random.default_rng(seed + 1000)
        some = people(n, seed)
        codes = np.stack([c.values for c in some.columns or ()], axis=1)
        codes[: n // 100] = 11
        codes[: n // 100, 0] = r.integers(12, size=n // 100)
        codes[: n // 100, 1] = r.integers(12, size=n // 100)
        columns = tuple(replace(c, values=codes[:, j]) for j, c in enumerate(some.columns or ()))
        return View(n, "f", columns, hashes=(codes @ 12 ** np.arange(6)).astype(np.uint64))

    for seed in range(20):
        assert measured(odd(6000, 2 * seed), odd(6000, 2 * seed + 1)).status is not Status.FAIL
