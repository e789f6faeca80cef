"""Which labels are wrong: seen by real labels, blind from within."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from sterling.kernel.estimate import Estimate, Unmeasured
from sterling.kernel.finding import Finding, Status
from sterling.kernel.protocols import Terms
from sterling.kernel.schema import Kind, Role
from sterling.kernel.view import Column, View
from sterling.measures.label_errors import label_errors
from sterling.stats.conditional import cross_predict, feature_matrix
from sterling.stats.judged_labels import JudgedLabels, judged_labels, suspicions


def view(n: int, seed: int, *, kind: str = "binary") -> View:
    r = np.random.default_rng(seed)
    a, c, b = r.normal(size=n), r.integers(5, size=n), r.normal(size=n)
    signal = 5 * a + 3 * (c == 1) - 2
    if kind == "number":
        y = Column("y", Kind.NUMBER, Role.TARGET, signal + r.normal(size=n))
    else:
        y = Column("y", Kind.CATEGORY, Role.TARGET, (signal + r.logistic(size=n) > 0).astype(int), ("no", "yes"))
    return View(
        n,
        f"f{seed}",
        (
            Column("a", Kind.NUMBER, Role.FEATURE, a),
            Column("b", Kind.NUMBER, Role.FEATURE, b),
            Column("c", Kind.CATEGORY, Role.GROUP, c, ("p", "q", "r", "s", "t")),
            y,
        ),
    )


def labelled(data: View, values: Any) -> View:
    return replace(data, columns=tuple(replace(c, values=values) if c.name == "y" else c for c in data.columns or ()))


def flipped(data: View, which: np.ndarray) -> View:
    y = data.column("y").values
    return labelled(data, np.where(which, 1 - y, y))


def measured(a: View, b: View, seed: int = 0, holdout: View | None = None) -> tuple[Finding, ...]:
    return label_errors(a, b, holdout=holdout, rng=np.random.default_rng(seed), terms=Terms())


def seen(found: tuple[Finding, ...]) -> dict[str, Any]:
    return dict(found[0].evidence)


def ranked(a: View, b: View, share: float) -> tuple[np.ndarray, np.ndarray]:
    """Positions of synthetic rows by suspicion, and their chance of being wrong."""
    judged = judged_labels(a, b, holdout=None, effort="full", rng=np.random.default_rng(0))
    assert isinstance(judged, JudgedLabels)
    chance = suspicions(judged, share=share)[1]
    order = np.argsort(-chance, kind="stable")
    return judged.places[order], chance[order]


def test_random_noise_is_counted_ranked_and_called_random() -> None:
    b = view(6000, 1)
    wrong = np.random.default_rng(2).random(6000) < 0.07
    found = measured(view(5000, 0), flipped(b, wrong))
    result, evidence = found[0].result, seen(found)
    assert isinstance(result, Estimate)
    assert result.low < 0.07 < result.high
    assert found[0].status is Status.FAIL
    assert len(found) == 1
    assert evidence["pattern"] == "random"
    rows = np.array(evidence["flagged_rows"])
    precision, low, high = evidence["wrong_share_of_flagged"]
    assert low - 0.03 <= wrong[rows].mean() <= high + 0.03
    assert wrong[rows].mean() > 0.7
    assert precision == pytest.approx(wrong[rows].mean(), abs=0.1)
    assert wrong[rows].sum() > 0.5 * wrong.sum()
    first = evidence["suspects"][0]
    assert first["given"] != first["expected"]
    assert wrong[first["row"]]


def test_a_slice_mislabelled_throughout_is_found_where_synthetic_rows_alone_are_blind() -> None:
    """8 % of rows: all of one group's clear cases. A model of the synthetic rows learns the error and sees none."""
    a, b = view(5000, 0), view(6000, 1)
    wrong = (b.column("c").values == 3) & (np.abs(b.column("a").values) > 0.8)
    spoilt = flipped(b, wrong)
    assert 0.06 < wrong.mean() < 0.1
    found = measured(a, spoilt)
    assert found[0].evidence["pattern"] == "clustered"
    assert found[0].evidence["concentrated_in"] == "c=s"
    assert (found[1].slice, found[1].status) == ("c=s", Status.FAIL)
    places, chance = ranked(a, spoilt, 0.08)
    flagged = places[chance > 0.5]
    assert wrong[flagged].sum() > 0.85 * wrong.sum()
    assert wrong[flagged].mean() > 0.85

    x, y = feature_matrix(spoilt, spoilt.features), spoilt.column("y").values
    inside = cross_predict(x, y, x[0][:1], classes=2, folds=5, rng=np.random.default_rng(0)).real
    given = inside[np.arange(y.size), y]
    blind = 0.08 * (1 - given) > 0.92 * given
    assert wrong[blind].sum() < 0.05 * wrong.sum()


def test_errors_in_one_direction_are_called_so() -> None:
    b = view(6000, 1)
    down = (b.column("y").values == 1) & (np.random.default_rng(2).random(6000) < 0.1)
    found = measured(view(5000, 0), flipped(b, down))
    assert found[0].evidence["pattern"] == "one-directional"
    assert "yes was to be expected" in (found[0].reason or "")


def test_other_real_rows_do_not_alarm() -> None:
    for kind in ("binary", "number"):
        for seed in range(6):
            sets = (
                view(600, 3 * seed, kind=kind),
                view(500, 3 * seed + 1, kind=kind),
                view(200, 3 * seed + 2, kind=kind),
            )
            found = measured(sets[0], sets[1], seed, sets[2])
            assert all(f.status is not Status.FAIL for f in found), (kind, seed, found)


def test_the_interval_covers_the_share_of_wrong_labels() -> None:
    hits = 0
    for seed in range(40):
        b = view(1000, 2 * seed + 1)
        wrong = np.random.default_rng(seed).random(1000) < 0.04
        result = measured(view(1000, 2 * seed), flipped(b, wrong), seed)[0].result
        assert isinstance(result, Estimate)
        hits += result.low <= 0.04 <= result.high
    assert hits >= 34  # 38 expected at 95 %; fewer than 34 comes with a chance of .3 %


def test_numbers_of_other_rows_are_found() -> None:
    b = view(4000, 1, kind="number")
    r = np.random.default_rng(2)
    wrong, y = r.random(4000) < 0.05, b.column("y").values
    found = measured(view(4000, 0, kind="number"), labelled(b, np.where(wrong, y[r.permutation(4000)], y)))
    result = found[0].result
    assert isinstance(result, Estimate)
    assert result.low < 0.05 < result.high
    assert found[0].status is Status.FAIL
    assert found[0].evidence["pattern"] == "random"
    assert wrong[np.array(seen(found)["flagged_rows"])].mean() > 0.6


def test_labels_too_high_are_one_directional() -> None:
    b = view(4000, 1, kind="number")
    y = b.column("y").values
    high = np.random.default_rng(2).random(4000) < 0.05
    found = measured(view(4000, 0, kind="number"), labelled(b, np.where(high, y + 8, y)))
    assert found[0].evidence["pattern"] == "one-directional"
    assert "too high" in (found[0].reason or "")


def test_features_that_tell_nothing_leave_it_unmeasured() -> None:
    a, b = view(400, 0), view(400, 1)
    r = np.random.default_rng(3)
    found = measured(labelled(a, r.integers(2, size=400)), labelled(b, r.integers(2, size=400)))
    assert isinstance(found[0].result, Unmeasured)
    assert "in doubt" in found[0].result.reason


def test_rows_are_positions_in_the_set_given() -> None:
    """Rows without a label are left out, and do not shift the others."""
    b = view(3000, 1)
    wrong = np.random.default_rng(2).random(3000) < 0.1
    y = np.where(wrong, 1 - b.column("y").values, b.column("y").values)
    holes = np.where(np.arange(3000) < 1000, -1, y)
    found = measured(view(3000, 0), labelled(b, holes))
    rows = np.array(seen(found)["flagged_rows"])
    assert rows.min() >= 1000
    assert wrong[rows].mean() > 0.7


def test_an_embedding_serves_as_features() -> None:
    def embedded(data: View) -> View:
        e = np.stack([data.column("a").values, (data.column("c").values == 1) * 1.0, data.column("b").values], axis=1)
        return replace(data, columns=(data.column("y"),), embedding=e)

    b = view(3000, 1)
    wrong = b.column("b").values > 1.2
    found = measured(embedded(view(3000, 0)), embedded(flipped(b, wrong)))
    assert found[0].evidence["pattern"] == "clustered"
    assert str(found[0].evidence["concentrated_in"]).startswith("component ")
