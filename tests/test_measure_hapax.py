"""Words that occur once."""

from __future__ import annotations

import numpy as np
import pytest

from sterling.kernel.estimate import Estimate
from sterling.kernel.finding import Finding, Status
from sterling.kernel.protocols import Terms
from sterling.kernel.view import TokenColumn, View
from sterling.measures.hapax import hapax


def view(n: int, seed: int, *, words: int = 20_000) -> View:
    """Records of 5 to 25 words of a Zipf law; each record sticks to a theme, so words come in clumps."""
    r = np.random.default_rng(seed)
    lengths = r.integers(5, 26, size=n)
    starts = np.concatenate([[0], np.cumsum(lengths)])
    tokens = np.minimum((r.pareto(0.9, size=starts[-1]) * 3).astype(np.int64), words)
    theme = np.repeat(r.integers(words, 2 * words, size=n), lengths)
    return View(n, "f", sequences=(TokenColumn("text", np.where(r.random(starts[-1]) < 0.1, theme, tokens), starts),))


def again(data: View, seed: int) -> View:
    """Each word drawn anew from the words of the set: one generation."""
    r = np.random.default_rng(seed)
    column = (data.sequences or ())[0]
    drawn = r.choice(column.tokens, size=column.tokens.size)
    return View(data.n, "g", sequences=(TokenColumn("text", drawn, column.starts),))


def measured(a: View, b: View, seed: int = 0, alpha: float = 0.001) -> tuple[Finding, ...]:
    return hapax(a, b, holdout=None, rng=np.random.default_rng(seed), terms=Terms(alpha=alpha))


def test_a_known_share() -> None:
    tokens = np.tile(np.r_[np.arange(5), np.arange(5)], 30)
    a = View(60, "f", sequences=(TokenColumn("t", tokens, np.arange(0, 301, 5)),))
    lone = View(60, "f", sequences=(TokenColumn("t", np.arange(300), np.arange(0, 301, 5)),))
    assert measured(a, lone)[0].status is Status.UNMEASURED  # nothing real occurs once: no ratio
    found = measured(lone, a)[0]
    assert isinstance(found.result, Estimate)
    assert found.result.value == pytest.approx(0, abs=1e-6)
    assert found.status is Status.FAIL


def test_generations_of_copying_lose_rare_words() -> None:
    b = again(again(view(2000, 1), 2), 3)
    found = measured(view(2000, 0), b)
    assert found[0].status is Status.FAIL
    assert [f.slice for f in found[1:]] == ["column=text"]


def test_typing_errors_warn() -> None:
    b = view(1500, 1)
    column = (b.sequences or ())[0]
    r = np.random.default_rng(4)
    wrong = np.where(r.random(column.tokens.size) < 0.3, 10**6 + np.arange(column.tokens.size), column.tokens)
    spoilt = View(b.n, "g", sequences=(TokenColumn("text", wrong, column.starts),))
    assert measured(view(1500, 0), spoilt)[0].status is Status.WARN


def test_length_of_the_set_does_not_matter() -> None:
    found = measured(view(3000, 0), view(700, 1))
    assert found[0].status in (Status.PASS, Status.UNDECIDED)
    assert isinstance(found[0].result, Estimate)
    assert found[0].result.value == pytest.approx(1, abs=0.15)  # sd .04; token-wise rarefaction gave .67


def test_clean_samples_do_not_fail_and_the_interval_covers() -> None:
    covered = 0
    for s in range(60):
        found = measured(view(300, 2 * s), view(250, 2 * s + 1), s, alpha=0.05)[0]
        assert found.status in (Status.PASS, Status.UNDECIDED)
        assert isinstance(found.result, Estimate)
        covered += found.result.low <= 1.0 <= found.result.high
    assert covered >= 53


def test_without_text_it_is_said() -> None:
    plain = View(100, "f")
    assert measured(plain, plain)[0].status is Status.UNMEASURED
    empty = View(100, "f", sequences=(TokenColumn("t", np.empty(0, dtype=np.int64), np.zeros(101, dtype=np.int64)),))
    assert measured(empty, empty)[0].status is Status.UNMEASURED
    assert measured(view(100, 0), empty)[0].status is Status.UNMEASURED
    assert measured(view(29, 0), view(100, 0))[0].status is Status.UNMEASURED


def test_a_bound_of_nothing_tolerates_everything() -> None:
    column = (view(300, 1).sequences or ())[0]
    few = View(300, "g", sequences=(TokenColumn("text", column.tokens % 3, column.starts),))
    for bound, fails in ((0.8, True), (0.0, False)):
        found = hapax(
            view(300, 0), few, holdout=None, rng=np.random.default_rng(0), terms=Terms(alpha=0.01, bound=bound)
        )
        assert (found[0].status is Status.FAIL) == fails
