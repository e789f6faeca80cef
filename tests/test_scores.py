"""Scores against scikit-learn's, their bootstrap against theory, shortage said in words."""

from __future__ import annotations

import numpy as np
import pytest

from sterling.kernel.schema import Kind, Role
from sterling.kernel.view import Column
from sterling.stats import scores


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def category(values: list[int] | np.ndarray, levels: tuple[str, ...] = ("no", "yes")) -> Column:
    return Column("y", Kind.CATEGORY, Role.TARGET, np.asarray(values, dtype=np.int64), levels)


def number(values: list[float] | np.ndarray) -> Column:
    return Column("y", Kind.NUMBER, Role.TARGET, np.asarray(values, dtype=np.float64))


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_auc_is_that_of_scikit_learn(ties: bool, weighted: bool) -> None:
    from sklearn.metrics import roc_auc_score

    r = rng(1)
    y = r.integers(2, size=300)
    s = r.normal(size=300) + y
    s = np.round(s) if ties else s
    w = r.exponential(size=300) if weighted else None
    assert scores.auc(y, s, w) == pytest.approx(roc_auc_score(y, s, sample_weight=w), abs=1e-12)


def test_macro_auc_and_r2_are_those_of_scikit_learn() -> None:
    from sklearn.metrics import r2_score, roc_auc_score

    r = rng(2)
    y = r.integers(3, size=200)
    p = r.dirichlet(np.ones(3), size=200)
    assert scores.macro_auc(y, p) == pytest.approx(roc_auc_score(y, p, multi_class="ovr"), abs=1e-12)
    z, w = r.normal(size=200) + 1e6, r.exponential(size=200)
    pred = z + r.normal(size=200)
    assert scores.r2(z, pred, w) == pytest.approx(r2_score(z, pred, sample_weight=w), abs=1e-6)


def test_score_of_leaves_rows_without_a_truth_out_and_levels_nobody_has() -> None:
    target = category([0, 0, 2, 2, -1], ("no", "maybe", "yes"))
    p = np.array([[0.8, 0, 0.2], [0.6, 0, 0.4], [0.65, 0, 0.35], [0.2, 0, 0.8], [0, 0, 1.0]])
    assert scores.metric_name(target) == "AUC"
    assert scores.score_of(target, p) == 0.75
    assert scores.score_of(number([1.0, 2.0, np.nan]), np.array([1.0, 2.0, 9.0])) == 1.0
    assert scores.metric_name(number([1.0])) == "R2"
    assert scores.metric_name(category([0, 1, 2], ("a", "b", "ü"))) == "macro AUC"


def test_bootstrap_is_joint_and_its_spread_is_that_of_the_auc() -> None:
    from sklearn.metrics import roc_auc_score

    r = rng(3)
    values = []
    for _ in range(300):
        y = np.repeat([0, 1], 60)
        values.append(roc_auc_score(y, r.normal(size=120) + y))
    y = np.repeat([0, 1], 60)
    s = r.normal(size=120) + y
    drawn = scores.bootstrap_scores("auc", y, [s, s, -s], draws=600, rng=rng(4))
    assert drawn.shape == (600, 3)
    assert np.array_equal(drawn[:, 0], drawn[:, 1])  # the same resamplings for all
    assert np.allclose(drawn[:, 0] + drawn[:, 2], 1.0)
    assert drawn[:, 0].std() == pytest.approx(np.std(values), rel=0.35)


@pytest.mark.parametrize("kind", ["auc", "macro_auc", "r2"])
def test_bootstrap_repeats_itself_and_does_not_depend_on_its_chunks(kind: scores.ScoreKind, monkeypatch) -> None:
    r = rng(5)
    y = r.integers(2, size=80) if kind != "r2" else r.normal(size=80)
    p = r.dirichlet(np.ones(2), size=80) if kind == "macro_auc" else r.normal(size=80)
    one = scores.bootstrap_scores(kind, y, [p], draws=20, rng=rng(6))
    assert np.array_equal(one, scores.bootstrap_scores(kind, y, [p], draws=20, rng=rng(6)))
    monkeypatch.setattr(scores, "MOST_COUNTS", 100)
    many = scores.bootstrap_scores(kind, y, [p], draws=2000, rng=rng(6))
    assert many.mean() == pytest.approx(one.mean(), abs=0.2)


def test_resampling_keeps_every_class() -> None:
    strata = np.array([0] * 50 + [1] * 2)
    counts = scores.resample_counts(strata, draws=200, rng=rng(7))
    assert (counts[strata == 1].sum(axis=0) == 2).all()
    assert (counts[strata == 0].sum(axis=0) == 50).all()


@pytest.mark.parametrize(
    ("target", "says"),
    [
        (category([0] * 50), "one class only: no"),
        (category([-1] * 5), "missing in every row"),
        (category([]), "missing in every row"),
        (category([0] * 90 + [1] * 10), "10 rows of its rarest class, 'yes'"),
        (number([2.5] * 40), "one value only: 2.5"),
        (number([1.0, 2.0]), "has 2 rows in all"),
    ],
)
def test_shortage_is_said_with_what_it_would_take(target: Column, says: str) -> None:
    found = scores.unscorable(target)
    assert found is not None
    assert says in found.reason
    assert found.mend


def test_enough_is_enough() -> None:
    assert scores.unscorable(category([0, 1] * 30)) is None
    assert scores.unscorable(category([0] * 90 + [1] * 10)).mend == "collect about 200 more real rows"  # type: ignore[union-attr]
    assert scores.minority_rows(category([0, 1, 1, -1])) == 1


def test_one_class_and_a_constant_are_callers_bugs() -> None:
    with pytest.raises(ValueError, match="both classes"):
        scores.auc(np.ones(5), np.arange(5.0))
    with pytest.raises(ValueError, match="varies"):
        scores.r2(np.ones(5), np.arange(5.0))


@pytest.mark.parametrize("kind", ["auc", "macro_auc", "r2"])
@pytest.mark.parametrize("arms", [1, 2])
def test_the_error_by_influence_is_that_of_resampling(kind: scores.ScoreKind, arms: int, monkeypatch) -> None:
    r = np.random.default_rng(4)
    n = scores.MANY_ROWS
    y = r.normal(size=n) if kind == "r2" else r.integers(2 if kind == "auc" else 3, size=n)
    wide = (n, 3) if kind == "macro_auc" else (n,)
    truth = y if kind != "macro_auc" else np.eye(3)[y]
    models = [[truth + r.normal(0, 0.8 + 0.1 * k, size=wide) for k in range(2)] for _ in range(arms)]
    quick = scores.sampling_error(kind, y, models, draws=10, rng=np.random.default_rng(0))
    monkeypatch.setattr(scores, "MANY_ROWS", n + 1)
    slow = scores.sampling_error(kind, y, models, draws=3000, rng=np.random.default_rng(0))
    assert quick == pytest.approx(slow, rel=0.06)
