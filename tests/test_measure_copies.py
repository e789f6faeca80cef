"""Copied rows against natural duplicates."""

from __future__ import annotations

import numpy as np

from sterling.kernel.estimate import Estimate
from sterling.kernel.finding import Finding, Status
from sterling.kernel.protocols import Terms
from sterling.kernel.view import View
from sterling.measures.copies import copies


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
