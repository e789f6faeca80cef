"""Different words, pairs and triples."""

from __future__ import annotations

import numpy as np
import pytest

from sterling.kernel.estimate import Estimate
from sterling.kernel.finding import Finding, Status
from sterling.kernel.protocols import Terms
from sterling.kernel.view import TokenColumn, View
from sterling.measures.distinct_n import distinct_n
from sterling.stats.vocabulary import gram_codes


def view(n: int, seed: int, *, follow: float = 0.5) -> View:
    """Records of 12 words of a Zipf law; with a chance of `follow` a word is what its forerunner says."""
    r = np.random.default_rng(seed)
    tokens = np.minimum((r.pareto(0.8, size=(n, 12)) * 3).astype(np.int64), 50_000)
    for j in range(1, 12):
        said = (tokens[:, j - 1] * 7 + 3) % 50_000
        tokens[:, j] = np.where(r.random(n) < follow, said, tokens[:, j])
    return View(n, "f", sequences=(TokenColumn("text", tokens.ravel(), np.arange(0, 12 * n + 1, 12)),))


def measured(a: View, b: View, seed: int = 0, alpha: float = 0.001) -> tuple[Finding, ...]:
    return distinct_n(a, b, holdout=None, rng=np.random.default_rng(seed), terms=Terms(alpha=alpha))


def ratios(found: tuple[Finding, ...]) -> dict[int, float]:
    return {row["tokens"]: row["ratio"] for row in found[0].evidence["fields"]}  # type: ignore[union-attr,index,call-overload,misc]


def test_runs_do_not_cross_records() -> None:
    column = TokenColumn("t", np.array([5, 6, 5, 6, 5, 6]), np.array([0, 2, 2, 5, 6]))
    for run, wanted in ((1, [0, 0, 2, 2, 2, 3]), (2, [0, 2, 2]), (3, [2]), (4, [])):
        codes, records = gram_codes(column, run)
        assert records.tolist() == wanted
        assert codes.size == len(wanted)
    codes, _ = gram_codes(column, 2)
    assert codes[0] == codes[1] != codes[2]


def test_phrases_that_repeat_fail_where_single_words_do_not() -> None:
    r, starts = np.random.default_rng(2), np.arange(0, 24_001, 12)
    a = TokenColumn("text", r.integers(60, size=24_000), starts)
    few = r.integers(60, size=(400, 3))[r.integers(400, size=8000)]
    b = TokenColumn("text", few.ravel(), starts)
    found = measured(View(2000, "f", sequences=(a,)), View(2000, "g", sequences=(b,)))
    assert found[0].status is Status.FAIL
    assert [f.slice for f in found[1:]] == ["column=text"]
    assert ratios(found)[1] == pytest.approx(1, abs=0.02)
    assert ratios(found)[3] < 0.8
    assert "triples" in (found[0].reason or "")


def test_a_shuffle_of_words_has_more_pairs_and_warns() -> None:
    b = view(1500, 1, follow=0.9)
    column = (b.sequences or ())[0]
    mixed = np.random.default_rng(3).permutation(column.tokens)
    found = measured(view(1500, 0, follow=0.9), View(b.n, "g", sequences=(TokenColumn("text", mixed, column.starts),)))
    assert found[0].status is Status.WARN
    assert ratios(found)[1] == pytest.approx(1, abs=0.1)


def test_length_of_the_set_does_not_matter() -> None:
    assert all(r == pytest.approx(1, abs=0.1) for r in ratios(measured(view(2000, 0), view(500, 1))).values())


def test_clean_samples_do_not_fail_and_the_interval_covers() -> None:
    covered = 0
    for s in range(40):
        found = measured(view(200, 2 * s), view(200, 2 * s + 1), s, alpha=0.05)[0]
        assert found.status in (Status.PASS, Status.UNDECIDED)
        assert isinstance(found.result, Estimate)
        covered += found.result.low <= 1.0 <= found.result.high
    assert covered >= 33  # the worst of three looks is shown


def test_a_bound_of_nothing_tolerates_everything() -> None:
    column = (view(300, 1).sequences or ())[0]
    few = View(300, "g", sequences=(TokenColumn("text", column.tokens % 3, column.starts),))
    for bound, fails in ((0.8, True), (0.0, False)):
        found = distinct_n(
            view(300, 0), few, holdout=None, rng=np.random.default_rng(0), terms=Terms(alpha=0.01, bound=bound)
        )
        assert (found[0].status is Status.FAIL) == fails
