"""Two halves of a row: strangers give the control, copies link them."""

from __future__ import annotations

import numpy as np
import pytest

from sterling.kernel.estimate import Estimate
from sterling.kernel.finding import Finding, Status
from sterling.kernel.protocols import Terms
from sterling.kernel.schema import Kind, Role
from sterling.kernel.view import Column, View, stack
from sterling.measures.linkability import linkability


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
    return linkability(real, synthetic, holdout=holdout, rng=np.random.default_rng(seed), terms=Terms(**terms))


def value(found: Finding) -> Estimate:
    assert isinstance(found.result, Estimate)
    return found.result


@pytest.mark.parametrize("coarse", [False, True])
def test_the_interval_covers_nothing_for_other_peoples_rows(coarse: bool) -> None:
    low = high = fails = 0
    for seed in range(100):
        sets = [view(n, 3 * seed + i, coarse=coarse) for i, n in enumerate((300, 250, 120))]
        found = measured(*sets, seed)
        low, high = low + (value(found[0]).low > 0.0), high + (value(found[0]).high < 0.0)
        fails += found[0].status is Status.FAIL
    assert fails == 0
    # 2.5 % on either side, and what luck gives three times in a thousand.
    assert max(low, high) <= 7


def test_other_peoples_rows_pass() -> None:
    found = measured(view(4000, 0), view(4000, 1), view(2500, 2))
    assert found[0].status is Status.PASS
    # Columns hang together, so strangers are linked more often than 1 in 50: that is no leak.
    assert found[0].evidence["control_linked"] > 1.3 * 2500 / 50  # type: ignore[operator]


def test_copies_link_the_halves_of_a_row() -> None:
    train = view(2000, 0)
    found = measured(train, stack([train.take(np.arange(400)), view(1600, 1)]), view(2000, 2))
    assert found[0].status is Status.FAIL
    assert value(found[0]).value == pytest.approx(0.19, abs=0.05)
    halves = found[0].evidence["known"], found[0].evidence["linked"]
    assert sorted([*halves[0], *halves[1]]) == ["c1", "c3", "c5", "x0", "x2", "x4"]  # type: ignore[misc]


def test_one_column_has_no_halves() -> None:
    assert measured(*(view(100, s, columns=1) for s in range(3)))[0].status is Status.UNMEASURED


def test_without_a_holdout_it_says_so() -> None:
    assert measured(view(100, 0), view(100, 1), None)[0].status is Status.UNMEASURED


def test_twice_the_same_set_on_both_sides_tells_nothing() -> None:
    people = view(800, 0)
    found = measured(people, stack([people.take(np.arange(400)), view(400, 1)]), people)
    assert found[0].status is not Status.FAIL
    assert value(found[0]).low <= 0.0
