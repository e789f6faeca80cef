"""Rare levels, tails and joint cells that vanish first."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sterling.kernel.estimate import Estimate
from sterling.kernel.finding import Finding, Status
from sterling.kernel.protocols import Terms
from sterling.kernel.schema import Kind, Role
from sterling.kernel.view import Column, View
from sterling.measures.rare_modes import _levels, rare_modes
from sterling.stats.modes import joint_cells, level_cells, rare_rows
from sterling.stats.proportions import ratio_bounds

SHARES = np.array([0.5, 0.3, 0.15, 0.02, 0.01, 0.008, 0.005, 0.004, 0.003])


def view(n: int, seed: int) -> View:
    r = np.random.default_rng(seed)
    c, d = (r.choice(SHARES.size, size=n, p=SHARES / SHARES.sum()) for _ in range(2))
    levels = tuple("abcdefghi")
    return View(
        n,
        "f",
        (
            Column("c", Kind.CATEGORY, Role.FEATURE, c, levels),
            Column("d", Kind.CATEGORY, Role.FEATURE, d, levels),
            Column("x", Kind.NUMBER, Role.FEATURE, r.normal(size=n)),
            Column("y", Kind.CATEGORY, Role.TARGET, r.integers(2, size=n), ("no", "yes")),
        ),
    )


def measured(a: View, b: View, seed: int = 0, alpha: float = 0.001) -> tuple[Finding, ...]:
    return rare_modes(a, b, holdout=None, rng=np.random.default_rng(seed), terms=Terms(alpha=alpha))


def test_rare_rows_are_few_and_as_many_in_fresh_rows() -> None:
    sets = [view(5000, 0), view(5000, 1)]
    for cells in (level_cells(sets), joint_cells(sets)):
        here, there = (rare_rows(cells, part) / 5000 for part in (0, 1))
        assert 0.01 < here <= 0.11
        assert abs(there - here) < 0.03
        assert all(c.rare.size == c.counts(0).size for c in cells)


def test_a_level_that_is_gone_is_named() -> None:
    b = view(8000, 1)
    found = measured(view(8000, 0), b.take(b.column("c").values != 5))
    assert found[0].status is Status.FAIL
    assert [f.slice for f in found[1:]] == ["c=f"]
    extinct = [row["mode"] for row in found[0].evidence["extinct"]]  # type: ignore[union-attr,index,call-overload]
    assert "c=f" in extinct


def test_rare_modes_at_half_their_mass_fail_together() -> None:
    b = view(10_000, 1)
    rare = (b.column("c").values >= 4) | (b.column("d").values >= 4)
    thinned = b.take(~rare | (np.random.default_rng(2).random(10_000) < 0.5))
    found = measured(view(10_000, 0), thinned)
    assert found[0].status is Status.FAIL
    assert isinstance(found[0].result, Estimate)
    assert found[0].result.high < 0.8


def test_generations_of_resampling_kill_modes_while_their_mass_holds() -> None:
    b, r = view(3000, 1), np.random.default_rng(3)
    for _ in range(40):
        b = b.take(r.integers(b.n, size=b.n))
    found = measured(view(3000, 0), b)
    assert found[0].status is Status.FAIL
    looks = {row["of"]: row["ratio"] for row in found[0].evidence["looks"]}  # type: ignore[union-attr,index,call-overload]
    assert looks["number of rare joint cells that are left"] < 0.7


def test_tails_that_are_clipped_are_thin() -> None:
    b = view(10_000, 1)
    x = np.clip(b.column("x").values, -2.2, 2.2)
    clipped = replace(b, columns=tuple(replace(c, values=x) if c.name == "x" else c for c in b.columns or ()))
    found = measured(view(10_000, 0), clipped)
    assert found[0].status is Status.FAIL
    assert {(f.slice or "").split("=")[0] for f in found[1:]} == {"x"}


def test_clean_samples_do_not_fail_and_the_interval_covers() -> None:
    fails, covered = 0, 0
    for s in range(120):
        found = measured(view(1500, 2 * s), view(1200, 2 * s + 1), s, alpha=0.05)[0]
        fails += found.status is Status.FAIL
        assert isinstance(found.result, Estimate)
        covered += found.result.low <= 1.0 <= found.result.high
    assert fails <= 6
    assert covered >= 110  # the worst of three looks is shown


def test_choosing_levels_makes_none_look_thin() -> None:
    wrong, shares, names = 0, np.r_[0.8, np.full(190, 0.2 / 190)], tuple(map(str, range(191)))
    for s in range(100):
        r = np.random.default_rng(s)
        codes = [r.choice(191, size=3800, p=shares) for _ in range(2)]
        a, b = (View(3800, "f", (Column("c", Kind.CATEGORY, Role.FEATURE, c, names),)) for c in codes)
        sets = (a.take(np.arange(1900)), a.take(np.arange(1900, 3800)), b)
        wrong += int(_levels(level_cells(sets), sets, 1.0, 0.3).failing.any())
    assert wrong <= 42  # 30 allowed


def test_a_level_of_few_real_rows_is_judged_by_both_sets() -> None:
    a, b = np.repeat([0, 1, 2], [994, 6, 0]), np.repeat([0, 1, 2], [990, 10, 0])
    one, two = (View(1000, "f", (Column("c", Kind.CATEGORY, Role.FEATURE, c, tuple("abc")),)) for c in (a, b))
    order = np.random.default_rng(0).permutation(1000)
    sets = (one.take(order[:500]), one.take(order[500:]), two)
    assert _levels(level_cells(sets), sets, 0.8, 0.01).names == ("c=b",)


def test_the_printed_level_is_the_intervals_own() -> None:
    b = view(8000, 1)
    found = measured(view(8000, 0), b.take(b.column("c").values != 5))[1]
    assert isinstance(found.result, Estimate)
    k, j = found.evidence["real"], found.evidence["synthetic"]
    rows = found.params["rows"]
    n, m = rows[0] + rows[1], rows[2]  # type: ignore[index,operator]
    high = ratio_bounds([j], m, [k], n, alpha=(1 - found.result.level) / 2)[1]  # type: ignore[arg-type,list-item]
    assert found.result.high == pytest.approx(float(high[0]))
    assert found.result.level > 0.99
