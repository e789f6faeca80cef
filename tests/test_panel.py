"""The runner of measures: needs, floors, failures, streams."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from sterling.kernel import registry
from sterling.kernel.errors import InputError
from sterling.kernel.estimate import Estimate, Unmeasured
from sterling.kernel.finding import Finding, Status
from sterling.kernel.protocols import Terms, mark_of, measure
from sterling.kernel.schema import Kind, Role
from sterling.kernel.view import Column, Need, View
from sterling.run.panel import _with_need, run_panel


def view(n: int, seed: int) -> View:
    r = np.random.default_rng(seed)
    x = r.normal(size=n)
    y = (x + r.logistic(size=n) > 0).astype(int)
    columns = (
        Column("x", Kind.NUMBER, Role.FEATURE, x),
        Column("c", Kind.CATEGORY, Role.GROUP, r.integers(3, size=n), ("p", "q", "r")),
        Column("y", Kind.CATEGORY, Role.TARGET, y, ("no", "yes")),
    )
    return View(n, f"set-{seed}", columns, hashes=r.integers(2**63, size=n).astype(np.uint64))


@measure(Need.COLUMNS, title="Weighs twice", better="lower", weight=2.0, floor=False)
def weighs_twice(real: View, synthetic: View, *, holdout: Any, rng: Any, terms: Terms) -> tuple[Finding, ...]:
    return (finding("weighs_twice", 0.0, params={"alpha": terms.alpha}),)


def finding(name: str, value: float, alpha: float = 0.1, **more: Any) -> Finding:
    return Finding(name, Estimate(value, value, value, 1, 0.95, "test"), "lower", Status.PASS, **more)


@measure(Need.COLUMNS, title="Mean gap", better="lower")
def mean_gap(
    real: View, synthetic: View, *, holdout: Any, rng: np.random.Generator, terms: Terms
) -> tuple[Finding, ...]:
    gap = abs(real.column("x").values.mean() - synthetic.column("x").values.mean()) + 1e-9 * rng.random()
    params = {"n": real.n, "m": synthetic.n, "alpha": terms.alpha, "bound": terms.bound}
    return (finding("mean_gap", float(gap), params=params), finding("mean_gap", 0.0, slice="c=p"))


@measure(Need.EMBEDDING, title="Distance of centres", better="lower")
def centre_distance(real: View, synthetic: View, *, holdout: Any, rng: Any, terms: Any) -> tuple[Finding, ...]:
    assert real.embedding is not None
    assert synthetic.embedding is not None
    return (finding("centre_distance", float(np.linalg.norm(real.embedding.mean(0) - synthetic.embedding.mean(0)))),)


@measure(Need.COLUMNS, title="Breaks", better="lower")
def breaks(real: View, synthetic: View, *, holdout: Any, rng: Any, terms: Any) -> tuple[Finding, ...]:
    raise ZeroDivisionError("by nothing")


@measure(Need.COLUMNS, title="Refuses", better="lower")
def refuses(real: View, synthetic: View, *, holdout: Any, rng: Any, terms: Any) -> tuple[Finding, ...]:
    raise InputError("the data are purple", mend="paint them")


@measure(Need.COLUMNS, title="Says nothing", better="lower")
def silent(real: View, synthetic: View, *, holdout: Any, rng: Any, terms: Any) -> tuple[Finding, ...]:
    return ()


def panel(measures: Any, real: View, synthetic: View, **options: Any) -> tuple[Finding, ...]:
    told: dict[str, Any] = {
        "holdout": None, "holdout_clean": False, "seed": 3, "terms": Terms(alpha=0.02), "bounds": {},
        "candidate": "A", "on_event": lambda *_: None, **options,
    }  # fmt: skip
    return run_panel(measures, real, synthetic, **told)


def test_findings_carry_candidate_prints_floor_and_share_of_alpha() -> None:
    heard: list[str] = []
    found = panel(
        {"mean_gap": mean_gap, "silent": silent}, view(400, 0), view(150, 1), bounds={"mean_gap": 0.3},
        on_event=lambda event, facts: heard.append(f"{event} {facts['measure']}"),
    )  # fmt: skip
    assert found[0].candidate == "A"
    assert found[0].fingerprints == ("set-0", "set-1")
    assert found[0].params == {"n": 400, "m": 150, "alpha": 0.01, "bound": 0.3}
    assert found[0].floor is not None
    assert found[0].evidence["floor_n"] == 150
    assert found[1].slice == "c=p"
    assert found[1].floor is None
    assert found[2].status is Status.UNMEASURED
    assert heard == ["measured mean_gap", "measured silent"]


def test_floor_is_two_disjoint_halves_at_the_smaller_size() -> None:
    seen: list[tuple[View, View]] = []

    @measure(Need.COLUMNS, title="Spy", better="lower")
    def spy(real: View, synthetic: View, **_: Any) -> tuple[Finding, ...]:
        seen.append((real, synthetic))
        return (finding("spy", 0.0),)

    panel({"spy": spy}, view(300, 0), view(120, 1))
    panel({"spy": spy}, view(300, 0), view(900, 1), terms=Terms(effort="fast"))
    assert [(a.n, b.n) for a, b in seen] == [(300, 120), (120, 120), (120, 120), (300, 900), (150, 150)]
    one, two = (set(v.column("x").values) for v in seen[1])
    assert not one & two


def test_order_and_company_change_nothing() -> None:
    a, b = view(300, 0), view(200, 1)
    alone = panel({"mean_gap": mean_gap}, a, b, terms=Terms(alpha=0.01))
    first = panel({"breaks": breaks, "mean_gap": mean_gap}, a, b)
    last = panel({"mean_gap": mean_gap, "breaks": breaks}, a, b)
    assert [f for f in first if f.measure == "mean_gap"] == [f for f in last if f.measure == "mean_gap"]
    assert alone[0].result == last[0].result
    assert panel({"mean_gap": mean_gap}, a, b, seed=4)[0].result != alone[0].result
    assert panel({"mean_gap": mean_gap}, a, b, candidate="B")[0].result != alone[0].result


def test_a_failure_is_recorded_and_the_others_go_on(caplog: pytest.LogCaptureFixture) -> None:
    found = panel({"breaks": breaks, "refuses": refuses, "mean_gap": mean_gap}, view(100, 0), view(100, 1))
    assert [f.status for f in found[:3]] == [Status.UNMEASURED, Status.UNMEASURED, Status.PASS]
    assert isinstance(found[0].result, Unmeasured)
    assert "ZeroDivisionError: by nothing" in found[0].result.reason
    assert found[1].result == Unmeasured("the data are purple", "paint them")
    assert "breaks" in caplog.text


def test_unmet_needs() -> None:
    names = {n: registry.resolve("measures", n) for n in ("utility", "nearest_record", "label_loss", "copies")}
    bare = replace(view(100, 0), columns=view(100, 0).columns[:2])  # type: ignore[index]
    found = {f.measure: f for f in panel(names, bare, bare, holdout=view(50, 2))}
    assert found["utility"].status is Status.NOT_APPLICABLE
    assert found["label_loss"].status is Status.NOT_APPLICABLE
    assert "--target" in found["label_loss"].result.mend  # type: ignore[union-attr]
    assert found["nearest_record"].status is Status.UNMEASURED
    for step in ("split", "refit", "--holdout"):
        assert step in found["nearest_record"].result.mend  # type: ignore[union-attr]
    found = {f.measure: f for f in panel(names, view(100, 0), bare)}
    assert found["label_loss"].status is Status.UNMEASURED  # the set lacks what the real data have
    whole = {f.measure: f for f in panel(names, view(100, 0), view(100, 1))}
    assert whole["utility"].status is Status.UNMEASURED
    assert "split" in whole["utility"].result.mend  # type: ignore[union-attr]
    without = panel({"utility": names["utility"]}, view(100, 0), view(100, 1), holdout=view(90, 2), holdout_clean=True)
    assert "learner" in without[0].result.reason  # type: ignore[union-attr]


def test_a_benchmark_that_may_have_been_seen_is_an_upper_bound() -> None:
    @measure(Need.BENCHMARK, title="Scores", better="higher", floor=False)
    def scores(real: View, synthetic: View, **_: Any) -> tuple[Finding, ...]:
        return (finding("scores", 0.0),)

    maybe = panel({"scores": scores}, view(90, 0), view(90, 1), holdout=view(90, 2))
    clean = panel({"scores": scores}, view(90, 0), view(90, 1), holdout=view(90, 2), holdout_clean=True)
    assert "upper bound" in str(maybe[0].evidence)
    assert clean[0].evidence == {}


def test_measures_meet_needs_not_modalities() -> None:
    """A modality that only embeds gets every measure that asks for an embedding, and no other crashes."""
    r = np.random.default_rng(0)
    real, made = (View(200, f"e{i}", embedding=r.normal(i, 1, size=(200, 5))) for i in (0, 1))
    names = registry.names("measures")
    measures = {**{n: registry.resolve("measures", n) for n in names}, "centre_distance": centre_distance}
    found = {f.measure: f for f in panel(measures, real, made, holdout=real, holdout_clean=True)}
    assert isinstance(found["centre_distance"].result, Estimate)
    assert found["centre_distance"].result.value == pytest.approx(np.sqrt(5), abs=0.4)
    assert found["centre_distance"].floor is not None
    enough = {Need.EMBEDDING, Need.RECORDS, Need.BENCHMARK, Need.HOLDOUT}
    embeds = {n for n in names if mark_of(measures[n]).needs <= enough}
    assert {"two_sample_auc", "embedding_gap"} <= embeds
    assert all(found[n].status is Status.FAIL for n in embeds)  # the centres lie a standard deviation apart
    assert all(found[n].status in (Status.NOT_APPLICABLE, Status.UNMEASURED) for n in set(names) - embeds)


def test_the_false_alarm_budget_is_shared_by_weight_among_what_applies() -> None:
    measures = {"mean_gap": mean_gap, "weighs_twice": weighs_twice, "centre_distance": centre_distance}
    spent = {f.measure: f.params.get("alpha") for f in panel(measures, view(90, 0), view(90, 1)) if f.slice is None}
    assert spent["mean_gap"] == pytest.approx(0.02 / 3)
    assert spent["weighs_twice"] == pytest.approx(0.04 / 3)


def test_an_open_finding_says_how_many_times_the_rows_would_decide() -> None:
    made = panel({"mean_gap": mean_gap}, view(400, 0), view(400, 1))[0]
    assert "times_the_rows_would_decide" not in made.evidence
    half_open = replace(made, status=Status.UNDECIDED, result=Estimate(0.03, 0.01, 0.05, 100, 0.95, "t"),
                        params={"bound": 0.04})  # fmt: skip
    assert _with_need(half_open).evidence["times_the_rows_would_decide"] == pytest.approx(4.0)
    on_it = replace(half_open, result=Estimate(0.04, 0.01, 0.07, 100, 0.95, "t"))
    assert _with_need(on_it).evidence["times_the_rows_would_decide"] is None


def test_every_measure_together_in_json() -> None:
    measures = {n: registry.resolve("measures", n) for n in registry.names("measures")}
    found = panel(
        measures, view(200, 0), view(150, 1), holdout=view(120, 2), holdout_clean=True, terms=Terms(effort="fast")
    )
    assert {f.measure for f in found} == set(measures)
    json.dumps([f.as_json() for f in found], allow_nan=False)
    assert not any(f.status is Status.FAIL for f in found)
