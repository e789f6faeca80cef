"""Rows made to order: given columns, balanced classes, and what is refused."""

from __future__ import annotations

import collections
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import sterling
from sterling.api.conditions import conditions
from sterling.kernel.errors import InputError, UnknownName
from sterling.modalities.tabular import from_table


def rows(n: int = 2000, *, seed: int = 0) -> pa.Table:
    r = np.random.default_rng(seed)
    sex = r.choice(["F", "M"], n)
    # Women are younger by twenty years, and fraud is one row in fifty.
    age = r.integers(20, 40, n) + np.where(sex == "M", 20, 0)
    fraud = np.where(r.random(n) < 0.02, "yes", "no")
    amount = np.round(np.where(fraud == "yes", 5000, 50) * r.lognormal(0, 0.3, n), 2)
    return pa.table({"id": [f"T{i:06d}" for i in range(n)], "sex": sex, "age": age, "amount": amount, "fraud": fraud})


def heard() -> tuple[list[str], Any]:
    notes: list[str] = []
    return notes, lambda event, facts: notes.append(str(facts["text"])) if event == "note" else None


@pytest.mark.parametrize("name", ["cart", "forest", "copula"])
def test_a_given_value_is_held_and_the_others_follow_it(name: str) -> None:
    made = sterling.generate(name, source=rows(), rows=300, given=["sex=F"]).table()
    assert set(made["sex"].to_pylist()) == {"F"}
    # All rows have a mean of 39.5, women of 29.5; a copula of a coin and a number reaches only part of the way.
    assert np.mean(made["age"].to_numpy()) < (36 if name == "copula" else 31)


def test_more_rows_of_a_rare_class_look_like_that_class() -> None:
    made = sterling.generate("cart", source=rows(6000), rows=500, given=["fraud=yes"], settings=["min_leaf=5"]).table()
    assert made.num_rows == 500
    assert np.median(made["amount"].to_numpy()) > 2000
    assert len(set(made["id"].to_pylist())) == 500


def test_numbers_and_missing_values_can_be_given(tmp_path: Path) -> None:
    made = sterling.generate("cart", source=rows(), rows=50, given=["age=30", "amount="]).table()
    assert set(made["age"].to_pylist()) == {30}
    assert made["amount"].null_count == 50


def test_a_file_gives_a_row_each(tmp_path: Path) -> None:
    (tmp_path / "given.csv").write_text("sex,age\n" + "F,25\nM,50\n" * 20)
    made = sterling.generate("cart", source=rows(), rows=40, given=[str(tmp_path / "given.csv")]).table()
    assert made["sex"].to_pylist() == ["F", "M"] * 20
    assert made["age"].to_pylist() == [25, 50] * 20


def test_balanced_classes_come_in_equal_numbers_in_all_shards() -> None:
    made = sterling.generate("cart", source=rows(), rows=60_001, balance="fraud").table()
    counts = collections.Counter(made["fraud"].to_pylist())
    assert sorted(counts.values()) == [30_000, 30_001]
    assert len(set(made["id"].to_pylist())) == 60_001


def test_given_rows_do_not_depend_on_the_workers() -> None:
    one, two = (
        sterling.generate("cart", source=rows(), rows=60_000, balance="sex", workers=w).fingerprint for w in (1, 2)
    )
    assert one == two


def test_what_was_never_seen_is_refused_with_near_names() -> None:
    with pytest.raises(UnknownName, match="did you mean 'yes'"):
        sterling.generate("cart", source=rows(), rows=10, given=["fraud=yess"])
    with pytest.raises(UnknownName, match="did you mean 'fraud'"):
        sterling.generate("cart", source=rows(), rows=10, given=["frau=yes"])


@pytest.mark.parametrize(
    ("given", "balance", "said"),
    [
        (["age=old"], None, "cannot be 'old'"),
        (["sex=F", "sex=M"], None, "given twice"),
        (["sex=F"], "sex", "both given and balanced"),
        (["nothing.csv"], None, "neither column=value nor a file"),
        ([pa.table({"sex": ["F"] * 3})], None, "3 rows and 10"),
        ([pa.table({"sexx": ["F"] * 10})], None, "sexx"),
        ([], "age", "balanced in a category"),
    ],
)
def test_unclear_wishes_are_refused(given: list[Any], balance: str | None, said: str) -> None:
    with pytest.raises((InputError, UnknownName), match=said):
        sterling.generate("cart", source=rows(), rows=10, given=given, balance=balance)


def test_it_says_how_many_rows_look_as_asked_and_what_none_shows() -> None:
    notes, listen = heard()
    data = from_table(pa.table({"a": ["x"] * 30 + ["y"] * 30, "b": ["p"] * 30 + ["q"] * 30, "n": [1.0] * 60}))
    conditions(data, 4, given=["a=x", "b=q", "n=9"], on_event=listen)
    told = " ".join(notes)
    assert "0 rows to learn from look as asked in a, b" in told
    assert "4 rows are asked in combinations that no row shows" in told
    assert "4 given values of n lie beyond any seen" in told


def test_a_column_with_an_equals_sign_in_its_name() -> None:
    data = from_table(pa.table({"a=b": ["x", "y"] * 10, "a": ["b=x", "z"] * 10}))
    asked = conditions(data, 2, given=["a=b=x"])
    assert asked is not None
    assert asked.to_pydict() == {"a=b": ["x", "x"]}


def moments(n: int = 300) -> pa.Table:
    r = np.random.default_rng(1)
    day = pa.array((18_000 + r.integers(0, 900, n)).astype(np.int32), pa.int32()).cast(pa.date32())
    return pa.table(
        {
            "day": day,
            "at": day.cast(pa.timestamp("us", tz="UTC")),
            "written": day.cast(pa.string()),
            "big": 2**53 + r.integers(0, 999, n),
            "small": pa.array(r.integers(-99, 99, n), pa.int8()),
            "x": r.normal(size=n),
        }
    )


def test_dates_can_be_given_and_what_is_none_is_refused() -> None:
    data = from_table(moments())
    asked = conditions(data, 3, given=["day=2020-06-01", "at=2020-06-01T12:00:00", "written=2020-06-01"])
    assert asked is not None
    assert {str(v) for v in asked["day"].to_pylist()} == {"2020-06-01"}
    assert asked["at"].cast(pa.int64()).to_pylist() == [1_591_012_800_000_000] * 3
    assert asked["written"].to_pylist() == ["2020-06-01"] * 3
    made = sterling.generate("cart", source=moments(), rows=20, given=["day=2020-06-01"]).table()
    assert {str(v) for v in made["day"].to_pylist()} == {"2020-06-01"}
    for name in ("day", "at", "written"):
        for value in ("soon", "2020-02-30"):
            with pytest.raises(InputError, match=f"{name}.*cannot be '{value}'"):
                conditions(data, 3, given=[f"{name}={value}"])
        emptied = conditions(data, 3, given=[f"{name}="])
        assert emptied is not None
        assert emptied[name].null_count == 3


def test_large_whole_numbers_are_given_to_the_last_digit() -> None:
    data = from_table(moments())
    asked = conditions(data, 2, given=["big=9007199254740993", "small=-7"])
    assert asked is not None
    assert asked.to_pydict() == {"big": [2**53 + 1] * 2, "small": [-7] * 2}
    made = sterling.generate("cart", source=moments(), rows=20, given=["big=9007199254740993"]).table()
    assert set(made["big"].to_pylist()) == {2**53 + 1}
    for value in ("300", "99999999999999999999999"):
        with pytest.raises(InputError, match=f"'small' cannot be '{value}'"):
            conditions(data, 2, given=[f"small={value}"])
