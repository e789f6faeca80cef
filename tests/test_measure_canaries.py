"""Planted records and their twins: a coin for an honest set, told for one that remembers."""

from __future__ import annotations

import numpy as np
import pytest

from sterling.kernel.estimate import Estimate
from sterling.kernel.finding import Finding, Status
from sterling.kernel.protocols import Terms
from sterling.kernel.schema import Kind, Role
from sterling.kernel.view import Column, View
from sterling.measures.canaries import canaries


def view(n: int, seed: int, *, coarse: bool = False, columns: int = 6) -> View:
    """Rows of one population: numbers and categories that hang together."""
    r = np.random.default_rng(seed)
    z, made = r.normal(size=n), []
    for j in range(columns):
        x = 0.7 * z + 0.7 * r.normal(size=n)
        if j % 2:
            levels = np.clip(np.round(2 * x + 4), 0, 8).astype(np.int64)
            made.append(Column(f"c{j}", Kind.CATEGORY, Role.FEATURE, levels, tuple("abcdefghi")))
        else:
            made.append(Column(f"x{j}", Kind.NUMBER, Role.FEATURE, np.round(x) if coarse else x))
    return View(n, f"f{seed}", tuple(made))


def measured(real: View, synthetic: View, holdout: View | None, seed: int = 0, **terms: float) -> tuple[Finding, ...]:
    return canaries(real, synthetic, holdout=holdout, rng=np.random.default_rng(seed), terms=Terms(**terms))


def value(found: Finding) -> Estimate:
    assert isinstance(found.result, Estimate)
    return found.result


def planted(rows: View, numbers: np.ndarray) -> View:
    """The rows with the column that numbers the pairs."""
    mark = Column("_sterling_canary", Kind.NUMBER, Role.FEATURE, numbers.astype(float))
    return View(rows.n, rows.fingerprint, (*(rows.columns or ()), mark))


def pairs(n: int, k: int, seed: int) -> tuple[View, View]:
    """Train rows and holdout rows, the first k of each twins drawn alike."""
    numbers = np.r_[np.arange(1, k + 1), np.zeros(n - k)]
    order = np.random.default_rng(seed).permutation(n)
    return planted(view(n, seed), numbers), planted(view(n, seed + 1), numbers).take(order)


def test_a_set_without_canaries_says_how_they_are_planted() -> None:
    (found,) = measured(view(100, 0), view(100, 1), view(100, 2))
    assert found.status is Status.UNMEASURED
    assert "planted" in found.result.mend  # type: ignore[union-attr]


def test_an_honest_set_leaves_it_to_the_coin() -> None:
    low = high = 0
    for seed in range(100):
        train, holdout = pairs(200, 60, 10 * seed)
        (found,) = measured(train, view(200, 10 * seed + 5), holdout, seed)
        low, high = low + (value(found).low > 0.5), high + (value(found).high < 0.5)
        assert found.status is not Status.FAIL
    assert max(low, high) <= 7


def test_a_set_that_repeats_its_training_rows_is_told_with_its_epsilon() -> None:
    train, holdout = pairs(500, 100, 1)
    (found,) = measured(train, view(500, 1), holdout)
    assert found.status is Status.FAIL
    assert value(found).value > 0.9
    assert found.evidence["epsilon_at_least"] > 2  # type: ignore[operator]


def test_twins_are_found_by_their_numbers_whatever_their_place() -> None:
    train, holdout = pairs(300, 80, 1)
    order = np.random.default_rng(3).permutation(300)
    one, other = measured(train, view(300, 1), holdout)[0], measured(train.take(order), view(300, 1), holdout)[0]
    assert value(one).value == pytest.approx(value(other).value, abs=0.02)
