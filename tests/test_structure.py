"""Exact structure: found where it is, not found where it is not, and put back to the last digit."""

from __future__ import annotations

import json
import pickle
import time
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from sterling.kernel.dataset import Dataset
from sterling.kernel.errors import UnknownName
from sterling.kernel.schema import Kind
from sterling.modalities.tabular import from_table, to_storage, with_roles
from sterling.modalities.tabular.structure import (
    Structure,
    broken,
    mine_structure,
    reduce,
    restore,
    structure_from_json,
    without_rare_keys,
)
from sterling.stats.formula_search import find_formulas, simplest
from sterling.stats.formulas import Formula, Quantity, clock, decimals_of, minutes

N = 600


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def mined(columns: Any, **kwargs: Any) -> tuple[Dataset, Structure]:
    data = from_table(pa.table(columns))
    return data, mine_structure(data, **kwargs)


def texts(structure: Structure) -> list[str]:
    return [r.text for r in structure.relations]


def round_trip(data: Dataset, structure: Structure) -> None:
    real = to_storage(data.table(), data.schema)
    small = reduce(data, structure)
    assert small.schema.names == tuple(small.table().column_names)
    assert restore(small.table(), structure, data.schema).equals(real)
    assert not broken(real, structure).any()
    assert structure_from_json(json.loads(json.dumps(structure.as_json()))) == structure
    assert pickle.loads(pickle.dumps(structure)) == structure


def planted(seed: int = 0, n: int = N) -> dict[str, Any]:
    """One of everything, in several storage types, with missing cells."""
    r = rng(seed)
    gone = r.random(n) < 0.2
    net, tax = np.round(r.lognormal(4, 1, n), 2), np.round(r.lognormal(2, 1, n), 2)
    start = 15_000 + r.integers(0, 3000, n)
    stay = r.integers(0, 30, n)
    sched = clock(r.integers(300, 1400, n).astype(float))
    delay = r.integers(-20, 200, n)
    grade = r.integers(0, 7, n)
    return {
        "net": pa.array(net, mask=gone),
        "tax": tax,
        "total": pa.array(np.round(net + tax, 2), mask=gone),
        "start": pa.array(start.astype(np.int32), pa.int32()).cast(pa.date32()),
        "end": pa.array((start + stay).astype(np.int32), pa.int32()).cast(pa.date32()),
        "nights": pa.array(stay, pa.int16()),
        "year": pa.array((np.datetime64("1970-01-01") + start).astype("datetime64[Y]").astype(int) + 1970, pa.int32()),
        "sched": sched.astype(int),
        "delay": pa.array(delay, mask=r.random(n) < 0.1),
        "actual": pa.array(clock(minutes(sched) + delay), mask=r.random(n) < 0),
        "code": pa.array(grade, pa.int8()),
        "name": pa.array([f"level {g}" for g in grade]),
        "house": np.where(gone, "rent", "own"),
        "value": pa.array(r.integers(1000, 9000, n) * 100, mask=gone),
        "low": (low := r.integers(0, 50, n)),
        "high": low + r.integers(0, 50, n),
        "one": ["x"] * n,
        "kg": (kg := np.round(r.normal(75, 9, n), 1)),
        "metres": (tall := np.round(r.normal(1.75, 0.2, n), 2)),
        "per": np.round(kg / tall, 1),
        "noise": r.normal(size=n),
    }


def test_planted_relations_are_found_and_the_round_trip_is_the_identity() -> None:
    columns = planted()
    columns["actual"] = pa.array(
        columns["actual"].to_numpy(), mask=columns["delay"].is_null().to_numpy(zero_copy_only=False)
    )
    data, structure = mined(columns)
    said = texts(structure)
    assert "one is always x" in said
    assert "total = net + tax" in said
    assert "year is the year of start" in said
    assert "actual = sched and delay minutes, as times of day" in said
    assert "code decides name" in said
    assert any("nights" in t and "start" in t and "end" in t and "=" in t for t in said)
    assert "low <= high" in said
    assert any(t.startswith("per = kg / metres") for t in said)
    assert any(t.startswith("value is missing exactly where") for t in said)
    assert not any("noise" in t for t in said)
    round_trip(data, structure)


@pytest.mark.parametrize("seed", range(40))
def test_independent_columns_have_no_structure(seed: int) -> None:
    r = rng(seed)
    n = int(r.choice([1, 5, 40, 200, 1000]))
    columns = {
        "a": r.integers(0, 100, n),
        "b": r.integers(0, 100, n),
        "c": r.integers(0, 3, n),
        "few": r.integers(0, 2, n),
        "rare": (r.random(n) < 0.01).astype(int),
        "d": r.normal(size=n),
        "money": np.round(r.lognormal(3, 1, n), 2),
        "word": r.choice(["x", "y", "z"], n),
        "many": [f"w{v}" for v in r.integers(0, n, n)],
        "gaps": pa.array(r.normal(size=n), mask=r.random(n) < 0.3),
        "more gaps": pa.array(r.integers(0, 9, n), mask=r.random(n) < 0.02),
        "day": pa.array(r.integers(10_000, 12_000, n).astype(np.int32), pa.int32()).cast(pa.date32()),
    }
    data, structure = mined(columns)
    assert [t for t in texts(structure) if "is always" not in t] == []
    round_trip(data, structure)


@pytest.mark.parametrize("seed", range(15))
def test_what_a_few_rows_show_by_luck_is_no_relation(seed: int) -> None:
    """Strongly dependent columns that could still break the rule: 30 rows, or a rule that hardly ever could fail."""
    r = rng(seed)
    flag = r.random(2000) < 0.005
    data, structure = mined({"rare": flag.astype(int), "common": np.where(flag, 1, r.random(2000) < 0.97).astype(int)})
    assert not structure.steps
    _, small = mined({"a": r.integers(0, 9, 30), "b": r.integers(20, 29, 30), "c": list("xy") * 15})
    assert not small.relations
    round_trip(data, structure)


def test_sums_that_nearly_hold_keep_what_is_left_over() -> None:
    r = rng(3)
    a, b = np.round(r.lognormal(5, 1, 3000), 2), np.round(r.lognormal(4, 1, 3000), 2)
    total = np.round(a + b, 2)
    total[::300] += 7
    data, structure = mined({"a": a, "b": b, "total": np.round(total, 2)})
    assert any("but for 10 rows" in t for t in texts(structure))
    assert len(structure.derived) == 0
    round_trip(data, structure)
    free = reduce(data, structure).table()
    left = next(s.column for s in structure.steps)
    assert np.count_nonzero(free[left].to_numpy()) == 10


def test_made_rows_keep_what_was_found_whatever_a_generator_says() -> None:
    data, structure = mined(planted())
    small = reduce(data, structure).table()
    shuffled = pa.table(
        {name: small[name].take(pa.array(rng(i).permutation(N))) for i, name in enumerate(small.column_names)}
    )
    made = restore(shuffled, structure, data.schema)
    assert made.schema.equals(to_storage(data.table(), data.schema).schema)
    assert not broken(made, structure).any()
    total, parts = made["total"].to_numpy(), made["net"].to_numpy() + made["tax"].to_numpy()
    assert np.allclose(total[~np.isnan(total)], parts[~np.isnan(total)], atol=0.005)
    assert np.all(made["low"].to_numpy() <= made["high"].to_numpy())
    spoiled = made.set_column(made.column_names.index("year"), "year", pa.array([1] * N, pa.int32()))
    assert broken(spoiled, structure).all()


def test_merged_or_unknown_keys_take_the_usual_value() -> None:
    data, structure = mined({"code": [f"c{i % 9}" for i in range(300)], "name": [f"n{i % 3}" for i in range(300)]})
    assert texts(structure) == ["code decides name"]
    made = restore(pa.table({"code": ["c1", "other", None]}), structure, data.schema)
    assert made["name"].to_pylist() == ["n1", "n0", "n0"]


def test_tables_do_not_bring_back_what_only_a_few_rows_have() -> None:
    code = [*(f"c{i % 9}" for i in range(300)), "rare", "rare"]
    name = [*(f"n{i % 3}" for i in range(300)), "secret", "secret"]
    data, structure = mined({"code": code, "name": name})
    assert restore(pa.table({"code": ["rare"]}), structure, data.schema)["name"].to_pylist() == ["secret"]
    safe = without_rare_keys(structure, data, k=5)
    assert "secret" not in json.dumps([safe.as_json()["steps"]])
    assert restore(pa.table({"code": ["rare", "c4"]}), safe, data.schema)["name"].to_pylist() == ["n0", "n1"]
    assert without_rare_keys(structure, data, k=1) == structure


def test_pairs_decide_what_neither_does_alone() -> None:
    r = rng(5)
    here, there = r.integers(0, 4, 2000), r.integers(0, 12, 2000)
    far = r.integers(1, 12, (4, 12))
    columns = {"here": [f"h{i}" for i in here], "there": [f"t{i}" for i in there], "miles": far[here, there]}
    data, structure = mined(columns)
    assert texts(structure) == ["here and there decide miles"]
    round_trip(data, structure)


def test_the_target_and_columns_to_keep_are_never_derived() -> None:
    columns = {"code": np.arange(400) % 7, "name": [f"level {i % 7}" for i in range(400)]}
    data, structure = mined(columns)
    assert structure.derived == ("name",)
    assert mine_structure(data, keep=["name"]).derived == ("code",)
    assert mine_structure(data, keep=["name", "code"]).derived == ()
    named = replace(data, schema=with_roles(data.schema, target="name"))
    assert mine_structure(named).derived == ("code",)
    with pytest.raises(UnknownName, match="did you mean 'name'"):
        mine_structure(data, keep=["nam"])


def test_odd_tables_are_borne() -> None:
    n = 200
    columns = {
        "all gone": pa.nulls(n),
        "gone": pa.nulls(n, pa.int16()),
        "wild": [np.inf, -np.inf, np.nan, 0.0, 1.0] * 40,
        "huge": pa.array([2**63 - 1, -(2**63), 0, 5] * 50, pa.int64()),
        "u": pa.array([2**64 - 1, 0, 1, 2] * 50, pa.uint64()),
        "ключ\n": ["а", None] * 100,
        "flag": pa.array([True, False, None, True, False] * 40),
        "float32": rng().normal(size=n).astype(np.float32),
        "number text": [f"{v:.2f}" for v in rng().gamma(2, 5, n)],
        "id": [f"k{i}" for i in range(n)],
    }
    data, structure = mined(columns)
    assert set(structure.derived) >= {"all gone", "gone"}
    round_trip(data, structure)
    for rows in ({"a": [1]}, {"a": pa.array([], pa.int64())}, {"a": [None, 1.5]}):
        round_trip(*mined(rows))


def test_many_columns_are_bounded_and_it_says_so() -> None:
    r = rng(1)
    values = r.normal(size=(300, 400))
    _, structure = mined({f"c{j}": values[:, j] for j in range(400)})
    assert not structure.relations
    assert any("first 200" in note for note in structure.notes)
    assert any("first 300" in note for note in structure.notes)


@pytest.mark.slow
def test_a_million_rows_take_seconds() -> None:
    n = 1_000_000
    columns = planted(7, n)
    data = from_table(pa.table({k: columns[k] for k in list(columns)[:16]}))
    start = time.process_time()
    structure = mine_structure(data)
    assert time.process_time() - start < 8
    round_trip(data, structure)


def test_formulas_come_with_the_plainest_numbers() -> None:
    assert simplest(0.0833, 0.0834) == pytest.approx(1 / 12)
    assert decimals_of(np.array([0.1, 0.25])) == 2
    assert decimals_of(np.array([np.pi])) is None
    x = (rng().integers(1, 10_000, 500) * 12).astype(np.float64)
    columns = [Quantity(x, 0), Quantity(np.asarray(np.round(x / 12 + 3, 2), dtype=np.float64), 2)]
    (found,) = [f.formula for f in find_formulas(columns) if f.formula.target == 1]
    assert replace(found, factors=()) == Formula(1, (0,), "sum", (), 3.0)
    assert found.factors[0] == pytest.approx(1 / 12)


def test_months_and_weekdays_of_times() -> None:
    moments = 1_700_000_000 + rng().integers(0, 10**8, 2000)
    stamp = pa.array(moments * 10**6, pa.timestamp("us"))
    days = (moments // 86400 + 3) % 7
    columns = {"at": stamp, "hour": moments // 3600 % 24, "weekday": days + 1, "called": [f"day {d}" for d in days]}
    data, structure = mined(columns)
    assert {"hour is the hour of at", "weekday is the day of week of at + 1", "weekday decides called"} <= set(
        texts(structure)
    )
    assert data.schema["at"].kind is Kind.DATETIME
    round_trip(data, structure)


def test_columns_to_keep_are_never_derived_not_even_their_gaps() -> None:
    place = np.arange(400) % 4
    sibling = pa.array(np.arange(400) % 7, mask=place == 0)
    table = from_table(pa.table({"place": place, "sibling": sibling, "x": np.arange(400.0)}))
    assert mine_structure(table).relations
    assert not mine_structure(table, keep=["place", "sibling", "x"]).relations
