"""Who was in the training data: chance for strangers' rows, and memories that must be seen."""

from __future__ import annotations

import numpy as np
import pytest

from sterling.kernel.estimate import Estimate
from sterling.kernel.finding import Finding, Status
from sterling.kernel.protocols import Terms
from sterling.kernel.schema import Kind, Role
from sterling.kernel.view import Column, View, stack
from sterling.measures.membership_inference import membership_inference


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
    return membership_inference(real, synthetic, holdout=holdout, rng=np.random.default_rng(seed), terms=Terms(**terms))


def value(found: Finding) -> Estimate:
    assert isinstance(found.result, Estimate)
    return found.result


@pytest.mark.parametrize("coarse", [False, True])
def test_the_interval_covers_one_half_for_other_peoples_rows(coarse: bool) -> None:
    low = high = fails = 0
    for seed in range(50):
        sets = [view(n, 3 * seed + i, coarse=coarse) for i, n in enumerate((300, 250, 120))]
        found = measured(*sets, seed)
        low, high = low + (value(found[0]).low > 0.5), high + (value(found[0]).high < 0.5)
        fails += found[0].status is Status.FAIL
    assert fails == 0
    # 2.5 % on either side, and what luck gives three times in a thousand.
    assert max(low, high) <= 4


def test_other_peoples_rows_pass() -> None:
    found = measured(view(4000, 0), view(4000, 1), view(2500, 2))
    assert [f.status for f in found] == [Status.PASS, Status.PASS]
    assert value(found[0]).value == pytest.approx(0.5, abs=0.02)
    assert value(found[1]).value == pytest.approx(0.01, abs=0.008)


def test_a_tenth_of_copies_is_seen_at_few_false_positives() -> None:
    train, fresh = view(4000, 0), view(3600, 1)
    found = measured(train, stack([train.take(np.arange(400)), fresh]), view(2500, 2))
    assert [f.status for f in found] == [Status.FAIL, Status.FAIL]
    assert found[1].slice == "false_positives=1%"
    assert value(found[1]).value == pytest.approx(0.11, abs=0.02)
    copied = [e["train_row"] < 400 for e in found[0].evidence["most_exposed"]]  # type: ignore[union-attr,index]
    assert len(copied) == 10
    assert all(copied)


def test_rows_that_hug_every_training_row_are_seen_by_the_area() -> None:
    train, r = view(1500, 0), np.random.default_rng(5)
    near = [
        Column(c.name, c.kind, c.role, c.values + 0.2 * r.normal(size=1500), c.levels) if c.levels is None else c
        for c in train.columns or ()
    ]
    found = measured(train, View(1500, "n", tuple(near)), view(1500, 2))
    assert found[0].status is Status.FAIL
    assert value(found[0]).low > 0.7


def test_a_synthetic_set_of_another_population_is_no_leak() -> None:
    other = view(1500, 1)
    moved = [
        Column(c.name, c.kind, c.role, c.values + 1.0, c.levels) if c.levels is None else c for c in other.columns or ()
    ]
    found = measured(view(1500, 0), View(1500, "m", tuple(moved)), view(1500, 2))
    assert found[0].status is not Status.FAIL


def test_the_sentence_says_what_the_number_means() -> None:
    found = measured(view(400, 0), view(400, 1), view(400, 2))
    assert "of 1,000 cases" in (found[0].reason or "")
    assert "a coin is right in 500" in (found[0].reason or "")
    assert len(found[0].evidence["attacks"]) == 4  # type: ignore[arg-type]


def test_without_a_holdout_it_says_so() -> None:
    assert measured(view(100, 0), view(100, 1), None)[0].status is Status.UNMEASURED


def test_twice_the_same_set_on_both_sides_tells_nothing() -> None:
    people = view(800, 0)
    found = measured(people, stack([people.take(np.arange(400)), view(400, 1)]), people)
    assert found[0].status is not Status.FAIL
    assert value(found[0]).low <= 0.5
