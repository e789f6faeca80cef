"""Nearer to the rows that were trained on than to rows never seen."""

from __future__ import annotations

import numpy as np
import pytest

from sterling.kernel.estimate import Estimate
from sterling.kernel.finding import Finding, Status
from sterling.kernel.protocols import Terms
from sterling.kernel.schema import Kind, Role
from sterling.kernel.view import Column, View, stack
from sterling.measures.nearest_record import nearest_record


def view(n: int, seed: int, *, coarse: bool = False) -> View:
    r = np.random.default_rng(seed)
    x = r.normal(size=(n, 3))
    x = np.round(x) if coarse else x
    numbers = [Column(f"x{i}", Kind.NUMBER, Role.FEATURE, x[:, i]) for i in range(3)]
    return View(n, "f", (*numbers, Column("c", Kind.CATEGORY, Role.FEATURE, r.integers(5, size=n), tuple("abcde"))))


def measured(a: View, b: View, holdout: View | None, seed: int = 0) -> Finding:
    (found,) = nearest_record(a, b, holdout=holdout, rng=np.random.default_rng(seed), terms=Terms())
    return found


@pytest.mark.parametrize("coarse", [False, True])
def test_the_interval_covers_one_half_for_other_real_rows(coarse: bool) -> None:
    hits = 0
    for seed in range(150):
        sets = [view(n, 3 * seed + i, coarse=coarse) for i, n in enumerate((300, 250, 100))]
        found = measured(sets[0], sets[1], sets[2], seed)
        assert isinstance(found.result, Estimate)
        assert found.status is not Status.FAIL
        hits += found.result.low <= 0.5 <= found.result.high
    assert hits >= 138


def test_rows_that_hug_training_rows_fail() -> None:
    train = view(600, 0)
    r = np.random.default_rng(5)
    from dataclasses import replace

    near = train.take(r.integers(600, size=2000))
    near = replace(
        near,
        columns=tuple(
            replace(c, values=c.values + 0.01 * r.normal(size=2000)) if c.kind is Kind.NUMBER else c
            for c in near.columns or ()
        ),
    )
    found = measured(train, near, view(600, 1))
    assert found.status is Status.FAIL
    assert isinstance(found.result, Estimate)
    assert found.result.value > 0.9


def test_a_share_of_copies_moves_it_by_half_that_share() -> None:
    train, fresh = view(3000, 0), view(3000, 1)
    mixed = stack([train.take(np.arange(900)), fresh.take(np.arange(2100))])
    found = measured(train, mixed, view(3000, 2))
    assert isinstance(found.result, Estimate)
    assert found.result.value == pytest.approx(0.65, abs=0.04)


def test_a_larger_training_set_is_cut_to_the_size_of_the_holdout() -> None:
    found = measured(view(2000, 0), view(1500, 1), view(200, 2))
    assert isinstance(found.result, Estimate)
    assert found.result.low < 0.5 < found.result.high
    assert found.params["reference"] == 200


def test_equal_distances_count_one_half() -> None:
    same = view(100, 0)
    found = measured(same, view(100, 1), same)
    assert isinstance(found.result, Estimate)
    assert (found.result.value, found.evidence["ties"]) == (0.5, 1.0)


def test_without_a_holdout_it_says_so() -> None:
    assert measured(view(100, 0), view(100, 1), None).status is Status.UNMEASURED
