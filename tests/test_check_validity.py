"""`validity`: planted faults are named; fresh real records pass."""

from __future__ import annotations

import datetime
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from sterling.checks.validity import Validity
from sterling.kernel.dataset import Dataset
from sterling.kernel.errors import InputError
from sterling.kernel.protocols import Marks
from sterling.modalities.tabular import Override, from_table, infer_schema, with_roles


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def people(n: int = 400, *, seed: int = 0) -> pa.Table:
    r = rng(seed)
    days = [datetime.date(2000, 1, 1) + datetime.timedelta(days=int(d)) for d in r.integers(0, 3000, n)]
    return pa.table(
        {
            "age": r.integers(18, 90, n),
            "height": r.normal(170, 8, n),
            "sex": r.choice(["Female", "Male"], n),
            "born": days,
            "income": r.choice(["<=50K", ">50K"], n),
        }
    )


REAL = people()


def real(**overrides: Override) -> Dataset:
    return from_table(REAL, name="real.csv", schema=infer_schema(REAL, overrides=overrides))


def changed(column: str, value: Any, *, row: int = 3) -> pa.Table:
    """Fresh records, one cell of which is another."""
    batch = people(50, seed=1)
    cells = batch[column].to_pylist()
    cells[row] = value
    return batch.set_column(batch.column_names.index(column), column, pa.array(cells))


def marks(batch: pa.Table, reference: Dataset | None) -> Marks:
    check = Validity()
    return check.apply(check.fit(reference, rng=rng()), batch)


def the_one(found: Marks, *, row: int = 3) -> tuple[str, str]:
    actions = found.actions.to_pylist()
    assert [i for i, a in enumerate(actions) if a != "keep"] == [row]
    return actions[row], found.reasons[row].as_py()


def test_fresh_real_records_pass() -> None:
    assert set(marks(people(300, seed=1), real()).actions.to_pylist()) == {"keep"}


@pytest.mark.parametrize(
    ("column", "value", "action", "reason"),
    [
        ("age", 140, "flag", "'age' is far above 89, the end of its range in real.csv"),
        ("age", 40.5, "flag", "'age' is not whole, as it always is in real.csv"),
        ("height", np.inf, "drop", "'height' is infinite"),
        ("height", -40.0, "flag", "'height' is far below"),
        ("sex", "Femal", "flag", "'sex' is 'Femal', which is not in real.csv: did you mean 'Female'?"),
        ("sex", "male ", "flag", "did you mean 'Male'?"),
        ("sex", "Käse", "flag", "'sex' is 'Käse', which is not in real.csv"),
        ("sex", None, "flag", "'sex' is missing: never in real.csv"),
        ("born", datetime.date(2050, 1, 1), "flag", "'born' is far above 20"),
    ],
)
def test_a_planted_fault_is_named(column: str, value: Any, action: str, reason: str) -> None:
    found, said = the_one(marks(changed(column, value), real()))
    assert found == action
    assert reason in said


def test_text_among_numbers_and_dates_is_dropped() -> None:
    for column, what in (("age", "number"), ("born", "date")):
        cells = [str(v) for v in people(50, seed=1)[column].to_pylist()]
        cells[3] = "about 40"
        batch = people(50, seed=1)
        batch = batch.set_column(batch.column_names.index(column), column, pa.array(cells))
        assert the_one(marks(batch, real())) == ("drop", f"{column!r} is no {what}")


def test_declared_bounds_and_lists_drop_what_is_beyond_them() -> None:
    declared = real(age=Override(low=0, high=100), sex=Override(levels=("Female", "Male", "Other")))
    assert the_one(marks(changed("age", 101), declared)) == ("drop", "'age' is above 100, its bound")
    assert the_one(marks(changed("age", 99), declared))[0] == "flag"
    assert the_one(marks(changed("sex", "Othre"), declared))[0] == "drop"
    assert set(marks(changed("sex", "Other"), declared).actions.to_pylist()) == {"keep"}


def test_a_missing_target_is_dropped() -> None:
    data = real()
    data = replace(data, schema=with_roles(data.schema, target="income"))
    assert the_one(marks(changed("income", None), data)) == ("drop", "'income' is missing, and it is the target")


def test_missing_cells_where_the_reference_has_some_are_no_fault() -> None:
    gaps = REAL.set_column(2, "sex", pa.array(REAL["sex"].to_pylist(), mask=rng(5).random(400) < 0.1))
    assert set(marks(changed("sex", None), from_table(gaps)).actions.to_pylist()) == {"keep"}


def test_missing_and_strange_columns_are_named_with_their_likely_counterpart() -> None:
    found = marks(people(20, seed=1).rename_columns(["Age", "height", "sex", "born", "income"]), real())
    assert set(found.actions.to_pylist()) == {"flag"}
    assert "column 'age' is missing: did you mean 'Age'?" in found.reasons[0].as_py()
    assert "column 'Age' is not in real.csv: did you mean 'age'?" in found.reasons[0].as_py()


def test_new_categories_are_no_news_where_most_are_rare() -> None:
    towns = pa.table({"town": [f"Town {i}" for i in rng().integers(0, 3000, 2000)]})
    fresh = pa.table({"town": [f"Town {i}" for i in rng(1).integers(0, 3000, 200)] + ["TOWN 7"]})
    found = marks(fresh, from_table(towns))
    assert found.actions.to_pylist()[:200] == ["keep"] * 200


def test_without_a_reference_the_set_is_its_own_witness() -> None:
    n = 800
    words = ["Female"] * 400 + ["Male"] * 398 + ["Femalle", "Zebra"]
    numbers = ["1.5"] * 797 + ["n.a.", "2", "inf"]
    found = marks(pa.table({"sex": words, "x": numbers, "y": [1.0] * 799 + [np.inf]}), None)
    actions = found.actions.to_pylist()
    assert actions[798] == "flag"
    assert "did you mean 'Female'?" in found.reasons[798].as_py()
    assert actions[797] == "drop"
    assert actions[799] == "drop"
    assert pc.sum(pc.equal(found.actions, "keep")).as_py() == n - 3


def test_a_negative_tolerance_is_refused() -> None:
    with pytest.raises(InputError, match="tolerance"):
        Validity(tolerance=-1.0)
