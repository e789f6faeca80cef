"""Measures of sequences: they see what breaks sequences, and nothing in other real entities."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from sterling.kernel import registry
from sterling.kernel.estimate import Estimate
from sterling.kernel.finding import Finding, Status
from sterling.kernel.protocols import Terms
from sterling.kernel.schema import Kind, Role
from sterling.kernel.view import Column, View

MEASURES = ("sequence_length", "gap_times", "transition_gap", "seasonality_gap", "sequence_auc")
HOUR = 3600.0


def visits(entities: int = 400, *, seed: int = 0, hours: bool = True) -> View:
    """Visits of patients by day, each with a value that follows from the last one, and a ward that mostly stays."""
    r = np.random.default_rng(seed)
    lengths = 1 + r.poisson(6, entities)
    n = int(lengths.sum())
    entity = np.repeat(np.arange(entities), lengths)
    first = np.append(True, entity[1:] != entity[:-1])
    gap = np.ceil(r.exponential(10, n)) * 24 * HOUR
    day = np.zeros(n)
    level, value, ward = r.normal(size=entities), np.zeros(n), np.zeros(n, dtype=np.int64)
    for i in range(n):
        day[i] = 1.6e9 // (24 * HOUR) * 24 * HOUR + 24 * HOUR * r.integers(200) if first[i] else day[i - 1] + gap[i]
        value[i] = level[entity[i]] + (0 if first[i] else 0.7 * (value[i - 1] - level[entity[i]])) + r.normal()
        ward[i] = r.integers(3) if first[i] or r.random() < 0.2 else ward[i - 1]
    time = day + HOUR * (r.integers(8, 18, n) if hours else r.integers(0, 24, n))
    columns = (
        Column("when", Kind.DATETIME, Role.TIME, time),
        Column("value", Kind.NUMBER, Role.FEATURE, np.where(r.random(n) < 0.03, np.nan, value)),
        Column("ward", Kind.CATEGORY, Role.FEATURE, np.where(r.random(n) < 0.03, -1, ward), ("a", "b", "c")),
    )
    return View(n, f"v{seed}", columns, entities=entity)


def with_values(view: View, **values: Any) -> View:
    columns = tuple(replace(c, values=values.get(c.name, c.values)) for c in view.columns or ())
    return replace(view, columns=columns)


def taken(name: str, real: View, synthetic: View, *, seed: int = 0, **terms: Any) -> Finding:
    function = registry.resolve("measures", name)
    return function(real, synthetic, holdout=None, rng=np.random.default_rng(seed), terms=Terms(**terms))[0]


def shuffled_within(view: View) -> View:
    """The rows of each entity in another order, times as they were."""
    assert view.entities is not None
    order = np.lexsort((np.random.default_rng(3).random(view.n), view.entities))
    moved = {c.name: c.values[order] for c in view.columns or () if c.role is not Role.TIME}
    return with_values(view, **moved)


def doubled_gaps(view: View) -> View:
    assert view.entities is not None
    time = view.column("when").values
    begin = np.full(int(view.entities.max()) + 1, np.inf)
    np.minimum.at(begin, view.entities, time)
    return with_values(view, when=2 * time - begin[view.entities])


def truncated(view: View) -> View:
    assert view.entities is not None
    first = np.append(True, view.entities[1:] != view.entities[:-1])
    place = np.arange(view.n) - np.maximum.accumulate(np.where(first, np.arange(view.n), 0))
    return view.take(place < 6)


def permuted_entities(view: View) -> View:
    assert view.entities is not None
    return replace(view, entities=np.random.default_rng(4).permutation(view.entities))


FAULTS = {
    ("transition_gap", "rows shuffled within entities"): shuffled_within,
    ("sequence_auc", "rows shuffled within entities"): shuffled_within,
    ("transition_gap", "entities permuted"): permuted_entities,
    ("gap_times", "entities permuted"): permuted_entities,
    ("sequence_auc", "entities permuted"): permuted_entities,
    ("gap_times", "gaps doubled"): doubled_gaps,
    ("sequence_auc", "gaps doubled"): doubled_gaps,
    ("sequence_length", "sequences cut"): truncated,
    ("sequence_auc", "sequences cut"): truncated,
    ("seasonality_gap", "hours flattened"): lambda _view: visits(400, seed=1, hours=False),
}


@pytest.mark.parametrize(("name", "fault"), FAULTS)
def test_a_planted_fault_is_seen(name: str, fault: str) -> None:
    found = taken(name, visits(seed=0), FAULTS[name, fault](visits(seed=1)), alpha=0.0005)
    assert found.status is Status.FAIL, found.reason
    assert found.reason


@pytest.mark.parametrize("name", MEASURES)
def test_other_real_entities_raise_no_alarm(name: str) -> None:
    alarms = 0
    for seed in range(12):
        found = taken(name, visits(150, seed=2 * seed), visits(200, seed=2 * seed + 1), effort="fast", alpha=0.02)
        assert isinstance(found.result, Estimate)
        assert found.result.low <= found.result.value <= found.result.high
        alarms += found.status is Status.FAIL
    assert alarms == 0


@pytest.mark.parametrize("name", MEASURES)
def test_the_order_of_rows_says_nothing_where_times_do(name: str) -> None:
    real, synthetic = visits(100, seed=0), visits(100, seed=1)
    r = np.random.default_rng(5)
    plain = taken(name, real, synthetic)
    mixed = taken(name, real.take(r.permutation(real.n)), synthetic.take(r.permutation(synthetic.n)))
    assert plain.result == mixed.result


@pytest.mark.parametrize("name", MEASURES)
def test_without_entities_or_with_too_few_it_says_so(name: str) -> None:
    view = visits(100)
    for sets in ((replace(view, entities=None), view), (view, visits(10)), (view.take(np.zeros(0, np.int64)), view)):
        found = taken(name, *sets)
        assert found.status is Status.UNMEASURED
        assert found.reason


@pytest.mark.parametrize("name", MEASURES)
def test_odd_sequences_are_borne(name: str) -> None:
    view = visits(60)
    nothing = {"value": np.full(view.n, np.nan), "ward": np.full(view.n, -1)}
    odd = [
        with_values(view, **nothing),
        with_values(view, when=np.full(view.n, np.nan)),
        with_values(view, when=np.full(view.n, 1e9)),
        with_values(view, value=np.r_[np.inf, -np.inf, np.full(view.n - 2, 1e100)], ward=np.zeros(view.n, np.int64)),
        replace(view, entities=np.arange(view.n)),
        replace(
            view, columns=tuple(replace(c, kind=Kind.NUMBER) if c.name == "when" else c for c in view.columns or ())
        ),
    ]
    for one in odd:
        for sets in ((view, one), (one, view), (one, one)):
            found = taken(name, *sets)
            assert found.status is Status.UNMEASURED or isinstance(found.result, Estimate)


def test_known_answers() -> None:
    view = visits(200)
    assert view.entities is not None
    twice = replace(view, entities=view.entities // 2)
    found = taken("sequence_length", view, twice)
    assert isinstance(found.result, Estimate)
    assert found.evidence["mean_events"] == [view.n / 200, view.n / 100]
    same = taken("transition_gap", view, view)
    assert isinstance(same.result, Estimate)
    assert same.result.value == 0
    gap = taken("gap_times", view, doubled_gaps(view))
    assert isinstance(gap.evidence["mean_gap"], list)
    assert gap.evidence["unit"] == "days"
    season = taken("seasonality_gap", visits(seed=0), visits(seed=1, hours=False))
    assert isinstance(season.result, Estimate)
    assert abs(season.result.value - 14 / 24) < 0.03  # ten of 24 hours are open
