"""SMOTE as a candidate: rows of thin classes, between rows of the class."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc
import pytest

from sterling.generators.smote import Smote
from sterling.kernel.dataset import Dataset
from sterling.kernel.errors import InputError, MissingExtra, UnknownName
from sterling.modalities.tabular import from_table, with_roles


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def patients(rare: int, n: int = 600, *, seed: int = 1) -> pa.Table:
    """Of n, so many are "ill": older, with a marker; some markers are missing."""
    r = rng(seed)
    ill = np.arange(n) < rare
    ward = np.where(ill, r.choice(["A", "B"], n), r.choice(["B", "C"], n))
    return pa.table(
        {
            "age": np.where(ill, r.integers(60, 70, n), r.integers(20, 50, n)),
            "marker": pa.array(np.where(ill, 5.0, 0.0) + r.normal(size=n), mask=r.random(n) < 0.2),
            "ward": ward,
            "state": np.where(ill, "ill", "well"),
        }
    )


def declared(table: pa.Table, target: str = "state") -> Dataset:
    data = from_table(table)
    return replace(data, schema=with_roles(data.schema, target=target))


def made(smote: Smote, data: Dataset, n: int = 300) -> pa.Table:
    return pa.concat_tables(list(smote.sample(smote.fit(data, rng=rng()), n, rng=rng(1))))


@pytest.fixture
def imblearn() -> None:
    pytest.importorskip("imblearn")


@pytest.mark.usefixtures("imblearn")
def test_the_thin_class_is_made_and_lies_among_its_rows() -> None:
    rows = made(Smote(), declared(patients(40)))
    assert set(rows["state"].to_pylist()) == {"ill"}
    assert 60 <= min(rows["age"].to_pylist()) <= max(rows["age"].to_pylist()) < 70
    assert set(rows["ward"].to_pylist()) <= {"A", "B"}
    assert pa.types.is_integer(rows.schema.field("age").type)
    assert 0.02 < rows["marker"].null_count / 300 < 0.4
    assert rows["marker"].drop_null().to_numpy().mean() > 4


@pytest.mark.usefixtures("imblearn")
def test_rows_are_new_and_lie_between_two_of_the_class() -> None:
    n = 200
    table = pa.table({"x": rng().normal(size=n), "y": ["rare"] * 30 + ["often"] * 170})
    rows = made(Smote(k_neighbors=1), declared(table, "y"))["x"].to_numpy()
    real = table["x"].to_numpy()[:30]
    # Half way to the nearest value of any class: made numbers are spread over their values' own ground.
    assert real.min() - 0.1 < rows.min()
    assert rows.max() < real.max() + 0.1
    assert np.mean(np.isin(rows, real)) < 0.2


@pytest.mark.usefixtures("imblearn")
def test_named_classes_come_in_equal_numbers() -> None:
    rows = made(Smote(classes=("ill", "well")), declared(patients(40)))
    assert rows["state"].to_pylist().count("ill") == 150


@pytest.mark.usefixtures("imblearn")
def test_fewer_rows_than_neighbours_and_a_class_of_one() -> None:
    assert made(Smote(k_neighbors=5), declared(patients(3))).num_rows == 300
    with pytest.raises(InputError, match=r"'ill' of state has 1 row"):
        Smote().fit(declared(patients(1)), rng=rng())


@pytest.mark.usefixtures("imblearn")
def test_what_cannot_be_is_answered() -> None:
    data = declared(patients(40))
    with pytest.raises(UnknownName, match="did you mean 'ill'"):
        Smote(classes=("il",)).fit(data, rng=rng())
    with pytest.raises(InputError, match="no target of classes"):
        Smote(classes=("ill",)).fit(from_table(patients(40)), rng=rng())
    with pytest.raises(InputError, match="k_neighbors"):
        Smote(k_neighbors=0)
    numbers = pa.table({"x": rng().normal(size=2000), "y": rng(1).normal(size=2000)})
    fitted = Smote().fit(from_table(numbers), rng=rng())
    with pytest.raises(InputError, match="combinations"):
        list(Smote().sample(fitted, 500, rng=rng(), given=numbers.select(["x"]).slice(0, 500)))


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "imblearn", None)
    with pytest.raises(MissingExtra, match=r"sterling\[imbalanced\]"):
        Smote().fit(declared(patients(40)), rng=rng())


@pytest.mark.slow
@pytest.mark.usefixtures("imblearn")
def test_worth_judges_it_by_class(cli: Callable[..., Any], tmp_path: Path) -> None:
    pc.write_csv(patients(120, 1500, seed=1), tmp_path / "real.csv")
    made_with = ("--from", tmp_path / "real.csv", "--target", "state", "-n", "600", "--seed", "1")
    two = "classes=ill,well"
    assert cli("generate", "smote", *made_with, "--set", two, "-o", tmp_path / "smote.csv").code == 0
    said = cli(
        "worth", tmp_path / "real.csv", tmp_path / "smote.csv", "--target", "state", "--slice", "state=ill", "--fast"
    )
    assert said.code == 0
    assert "smote" in said.out
