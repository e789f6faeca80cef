"""Descriptions that fit one training row: no more than strangers for honest sets, more for copies."""

from __future__ import annotations

import numpy as np
import pytest

from sterling.kernel.estimate import Estimate
from sterling.kernel.finding import Finding, Status
from sterling.kernel.protocols import Terms
from sterling.kernel.schema import Kind, Role
from sterling.kernel.view import Column, View, stack
from sterling.measures.singling_out import singling_out


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
    return singling_out(real, synthetic, holdout=holdout, rng=np.random.default_rng(seed), terms=Terms(**terms))


def value(found: Finding) -> Estimate:
    assert isinstance(found.result, Estimate)
    return found.result


@pytest.mark.parametrize("coarse", [False, True])
def test_the_interval_covers_nothing_for_other_peoples_rows(coarse: bool) -> None:
    low = high = fails = 0
    for seed in range(80):
        sets = [view(n, 3 * seed + i, coarse=coarse) for i, n in enumerate((300, 250, 120))]
        found = measured(*sets, seed)
        low, high = low + (value(found[0]).low > 0.0), high + (value(found[0]).high < 0.0)
        fails += found[0].status is Status.FAIL
    assert fails == 0
    # 2.5 % on either side, and what luck gives three times in a thousand.
    assert max(low, high) <= 6


def test_other_peoples_rows_pass() -> None:
    found = measured(view(4000, 0), view(4000, 1), view(2000, 2))
    assert found[0].status is Status.PASS
    assert found[0].params["groups"] == 2


@pytest.mark.parametrize("holdout", [1000, 2000])
def test_copies_are_singled_out_whatever_the_size_of_the_holdout(holdout: int) -> None:
    train = view(2000, 0)
    found = measured(train, stack([train.take(np.arange(1000)), view(1000, 1)]), view(holdout, 2))
    assert found[0].status is Status.FAIL
    # Half of the rows are copied; most of what fits only them fits only their original.
    assert 0.3 < value(found[0]).value < 0.6
    assert all(e["train_row"] < 1000 for e in found[0].evidence["examples"])  # type: ignore[union-attr,index,operator]


def test_unique_values_that_come_from_training_rows_fail_by_themselves() -> None:
    train = view(2000, 0)
    columns = list(view(2000, 1).columns or ())
    columns[0] = (train.columns or ())[0]  # one column was handed out as it is
    found = measured(train, View(2000, "s", tuple(columns)), view(2000, 2))
    assert found[0].status is Status.FAIL
    assert found[1].slice == "descriptions=one column"
    assert found[1].status is Status.FAIL
    # A third of the unique values are of that column, and nearly all of those are of one person.
    assert value(found[1]).value == pytest.approx(1 / 3, abs=0.05)


def test_a_table_that_repeats_itself_offers_no_description() -> None:
    same = View(100, "f", (Column("c", Kind.CATEGORY, Role.FEATURE, np.zeros(100, dtype=np.int64), ("a",)),))
    assert measured(same, same, same)[0].status is Status.UNMEASURED


def test_without_a_holdout_it_says_so() -> None:
    assert measured(view(100, 0), view(100, 1), None)[0].status is Status.UNMEASURED


def test_twice_the_same_set_on_both_sides_tells_nothing() -> None:
    people = view(800, 0)
    found = measured(people, stack([people.take(np.arange(400)), view(400, 1)]), people)
    assert found[0].status is not Status.FAIL
    assert value(found[0]).low <= 0.0


def test_the_interval_covers_with_several_groups() -> None:
    low = high = 0
    for seed in range(60):
        sets = [view(n, 1000 + 3 * seed + i, columns=4) for i, n in enumerate((400, 200, 100))]
        found = measured(*sets, seed)
        assert found[0].params["groups"] == 4
        low, high = low + (value(found[0]).low > 0.0), high + (value(found[0]).high < 0.0)
    # The same descriptions are tried on all groups: 2.5 % on either side, and what luck gives.
    assert max(low, high) <= 5
