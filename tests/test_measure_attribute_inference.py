"""Secrets: what can be guessed of anybody is no leak, what copies give away is."""

from __future__ import annotations

import numpy as np
import pytest

from sterling.kernel.estimate import Estimate
from sterling.kernel.finding import Finding, Status
from sterling.kernel.protocols import Terms
from sterling.kernel.schema import Kind, Role
from sterling.kernel.view import Column, View, stack
from sterling.measures.attribute_inference import attribute_inference


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
    return attribute_inference(real, synthetic, holdout=holdout, rng=np.random.default_rng(seed), terms=Terms(**terms))


def value(found: Finding) -> Estimate:
    assert isinstance(found.result, Estimate)
    return found.result


@pytest.mark.parametrize("coarse", [False, True])
def test_the_worst_of_all_secrets_seldom_stands_out_for_other_peoples_rows(coarse: bool) -> None:
    low = fails = 0
    for seed in range(80):
        sets = [view(n, 3 * seed + i, coarse=coarse) for i, n in enumerate((300, 250, 120))]
        found = measured(*sets, seed)
        low += value(found[0]).low > 0
        fails += found[0].status is Status.FAIL
    assert fails == 0
    assert low <= 6  # 2.5 % of 80, and what luck gives three times in a thousand


def test_other_peoples_rows_pass_though_secrets_can_be_guessed() -> None:
    found = measured(view(4000, 0), view(4000, 1), view(2500, 2))
    assert found[0].status is Status.PASS
    blind = [s["control_right"] / s["control_tried"] for s in found[0].evidence["secrets"]]  # type: ignore[union-attr,index,operator]
    assert max(blind) > 0.15


def test_copies_give_secrets_away_and_the_columns_are_named() -> None:
    train = view(2000, 0)
    found = measured(train, stack([train.take(np.arange(400)), view(1600, 1)]), view(2000, 2))
    assert found[0].status is Status.FAIL
    assert 0.1 < value(found[0]).value < 0.25
    named = [f.slice for f in found[1:]]
    assert {"column=x0", "column=x2", "column=x4"} <= set(named)
    assert all(f.status is Status.FAIL for f in found[1:])
    assert "of 1,000 people who were never in the data" in (found[0].reason or "")


def test_a_column_that_follows_from_another_is_no_secret_of_training_rows() -> None:
    def follows(v: View) -> View:
        x = (v.columns or ())[0]
        return View(v.n, v.fingerprint, (*(v.columns or ()), Column("twice", x.kind, x.role, 2 * x.values)))

    found = measured(*(follows(view(2000, s)) for s in range(3)))
    assert found[0].status is Status.PASS


def test_one_column_has_nothing_to_be_guessed_from() -> None:
    assert measured(*(view(100, s, columns=1) for s in range(3)))[0].status is Status.UNMEASURED


def test_without_a_holdout_it_says_so() -> None:
    assert measured(view(100, 0), view(100, 1), None)[0].status is Status.UNMEASURED


def test_twice_the_same_set_on_both_sides_tells_nothing() -> None:
    people = view(800, 0)
    found = measured(people, stack([people.take(np.arange(400)), view(400, 1)]), people)
    assert found[0].status is not Status.FAIL
    assert value(found[0]).low <= 0.0
