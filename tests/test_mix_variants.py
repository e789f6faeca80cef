"""Weights row by row: importance, filters, edges, the 80/20 preset; each sees what was planted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sterling.blend.edges import EDGE_SHARE, edges
from sterling.blend.filtering import agreeing, label_surprise, most_real
from sterling.blend.recipe import Recipe, effective_rows, refused
from sterling.blend.variants import COMMON_SHARE, EDGES_ONLY, PRESET, VARIANTS, WEIGHTED, read_signs, recipes_for
from sterling.blend.weighting import MOST_WEIGHT, realism
from sterling.kernel.estimate import Unmeasured
from sterling.kernel.schema import Kind, Role
from sterling.kernel.view import Column, View


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def rows(n: int, seed: int, *, shift: float = 0.0, flip: float = 0.0, kind: str = "class") -> View:
    r = rng(seed)
    x = r.normal(size=(n, 4)) + shift * np.array([1.0, 0, 0, 0])
    group = r.integers(3, size=n)
    signal = 2 * x[:, 1] - x[:, 2]
    columns = [Column(f"x{j}", Kind.NUMBER, Role.FEATURE, x[:, j]) for j in range(4)]
    columns.append(Column("g", Kind.CATEGORY, Role.FEATURE, group, ("a", "b", "ç")))
    if kind == "number":
        return View(n, f"s{seed}", (*columns, Column("y", Kind.NUMBER, Role.TARGET, signal + r.normal(size=n))))
    label = (signal + 0.3 * r.logistic(size=n) > 0).astype(np.int64)
    label = np.where(r.random(n) < flip, 1 - label, label)
    return View(n, f"s{seed}", (*columns, Column("y", Kind.CATEGORY, Role.TARGET, label, ("no", "yes"))))


def changed(view: View, name: str, values: np.ndarray) -> View:
    return replace(view, columns=tuple(replace(c, values=values) if c.name == name else c for c in view.columns or ()))


def test_weights_follow_the_density_ratio() -> None:
    # N(0, 1) against N(1, 1): w(x) = exp(.5 - x).
    made = rows(4000, 2, shift=1.0)
    found = realism(rows(4000, 1), made, rng=rng())
    truth = np.minimum(np.exp(0.5 - made.column("x0").values), MOST_WEIGHT)
    assert np.corrcoef(np.log(found.weights), np.log(truth))[0, 1] > 0.9
    assert abs(found.weights.mean() - 1) < 0.1
    # The weighted mean of the shifted column comes home.
    assert abs(np.average(made.column("x0").values, weights=found.weights)) < 0.15


@pytest.mark.parametrize(("n", "m"), [(500, 3000), (3000, 500)])
def test_other_real_rows_weigh_alike(n: int, m: int) -> None:
    found = realism(rows(n, 1), rows(m, 2), rng=rng())
    assert effective_rows(found.weights) > 0.9 * m
    assert abs(float(np.median(found.weights)) - 1) < 0.15
    assert abs(found.chance.mean() - 0.5) < 0.05


def test_weights_are_cut_and_a_handful_of_effective_rows_is_refused() -> None:
    # One synthetic row in fifty is real; all others lie far off.
    mixed = changed(rows(3000, 2), "x0", np.where(np.arange(3000) % 50 == 0, 0.0, 8.0) + rng(3).normal(size=3000))
    found = realism(rows(1000, 1), mixed, rng=rng())
    assert found.weights.max() <= MOST_WEIGHT
    few = refused(Recipe(WEIGHTED, found.weights), 3000)
    assert isinstance(few, Unmeasured)
    assert "less than 10%" in few.reason
    assert refused(Recipe(), 3000) is None


def test_effective_rows_known_answers() -> None:
    assert effective_rows(np.ones(7)) == pytest.approx(7)
    assert effective_rows(np.array([3.0, 1.0])) == pytest.approx(1.6)
    assert effective_rows(np.zeros(3)) == 0.0


def test_the_least_real_rows_go_first() -> None:
    far = np.arange(1000) % 5 == 0
    made = changed(rows(1000, 2), "x3", rows(1000, 2).column("x3").values + np.where(far, 6.0, 0.0))
    stays = most_real(realism(rows(1000, 1), made, rng=rng()).chance, share=0.8)
    assert stays.sum() == 800
    assert stays[~far].mean() > 0.98


@pytest.mark.parametrize("kind", ["class", "number"])
def test_clean_labels_stay(kind: str) -> None:
    real, made = rows(1500, 1, kind=kind), rows(1500, 2, kind=kind)
    stays = agreeing(real, made, label_surprise(real, made, rng=rng()))
    assert 0.92 < stays.mean() < 0.98  # one in twenty is the price


def test_wrong_labels_go() -> None:
    real, made = rows(1500, 1), rows(1500, 2)
    wrong = rng(5).random(1500) < 0.2
    label = made.column("y").values
    stays = agreeing(real, spoilt := changed(made, "y", np.where(wrong, 1 - label, label)), label_surprise(
        real, spoilt, rng=rng()))  # fmt: skip
    assert stays[wrong].mean() < 0.4
    assert stays[~wrong].mean() > 0.9


def test_a_class_too_small_to_know_its_surprises_keeps_its_rows() -> None:
    real = changed(rows(400, 1), "y", (np.arange(400) < 10).astype(np.int64))
    made = rows(400, 2)
    stays = agreeing(real, made, label_surprise(real, made, rng=rng()))
    assert stays[made.column("y").values == 1].all()


def test_edges_are_the_thin_the_rare_and_the_hard() -> None:
    real, made = rows(1500, 1), rows(1500, 2)
    group = np.where(np.arange(1500) % 30 == 0, 2, made.column("g").values % 2)
    made = changed(made, "g", group)
    real = changed(real, "g", np.where(np.arange(1500) % 30 == 0, 2, real.column("g").values % 2))
    mine, theirs = edges(real, made, label_surprise(real, made, rng=rng()), rng=rng())
    assert abs(mine.mean() - EDGE_SHARE) < 0.01
    assert abs(theirs.mean() - EDGE_SHARE) < 0.06
    assert theirs[group == 2].mean() > 3 * theirs[group != 2].mean()
    radius = sum(np.square(made.column(f"x{j}").values) for j in range(4))
    assert radius[theirs].mean() > radius[~theirs].mean()


def test_the_preset_is_four_fifths_synthetic_and_common() -> None:
    real, made = rows(600, 1), rows(1500, 2)
    signs = read_signs(real, made, rng=rng())
    recipes = recipes_for(PRESET, {"a": signs}, {"a": 0.1})
    assert not isinstance(recipes, Unmeasured)
    heavy, kept = recipes["a"].masses(1500, 0.1), recipes["a"].real
    assert kept is not None
    assert heavy.sum() == pytest.approx(COMMON_SHARE * 600)
    assert kept.sum() == pytest.approx((1 - COMMON_SHARE) * 600)
    assert (kept[~signs.edge_real] == 0).all()
    assert (heavy[signs.edge] == 0).all()


def test_rows_without_a_target_are_no_edges() -> None:
    real = rows(300, 1)
    real = changed(real, "y", np.where(np.arange(300) < 100, -1, real.column("y").values))
    signs = read_signs(real, rows(300, 2), rng=rng())
    assert signs.edge_real.size == 300
    assert not signs.edge_real[:100].any()
    assert signs.edge_real.any()


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("case", ["one row", "one class", "missing", "same", "number", "embedding"])
def test_odd_sets_give_a_recipe_or_a_reason(variant: str, case: str) -> None:
    kind = "number" if case == "number" else "class"
    real, made = rows(120, 1, kind=kind), rows(90, 2, kind=kind)
    if case == "one row":
        made = made.take(np.arange(1))
    if case == "one class":
        made = changed(made, "y", np.ones(90, dtype=np.int64))
    if case == "missing":
        made = changed(changed(made, "x0", np.full(90, np.nan)), "g", np.full(90, -1))
    if case == "same":
        made = real
    if case == "embedding":
        real, made = (
            replace(v, columns=(v.column("y"),), embedding=np.stack([v.column(f"x{j}").values for j in range(4)], 1))
            for v in (real, made)
        )
    found = recipes_for(variant, {"a": read_signs(real, made, rng=rng())}, {"a": 0.5})
    if isinstance(found, Unmeasured):
        assert found.reason
        assert case in ("one row", "missing", "embedding") or variant == EDGES_ONLY
    else:
        heavy = found["a"].masses(made.n, 0.5)
        assert heavy.shape == (made.n,)
        assert np.isfinite(heavy).all()
        assert (heavy >= 0).all()


def test_same_seed_same_signs() -> None:
    first, second = (read_signs(rows(200, 1), rows(300, 2), rng=rng(4)) for _ in range(2))
    assert np.array_equal(first.realism.weights, second.realism.weights)
    assert np.array_equal(first.edge, second.edge)
