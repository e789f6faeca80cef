"""The adapter to TabularARGN: what it says without its library, and what it makes with it."""

from __future__ import annotations

import importlib.util
import pickle
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from sterling.generators.tabular_argn import TabularArgn
from sterling.kernel.errors import InputError, MissingExtra, UnknownName
from sterling.modalities.tabular import from_table

INSTALLED = importlib.util.find_spec("mostlyai") is not None


def rows(n: int = 1000) -> pa.Table:
    r = np.random.default_rng(0)
    sex = r.choice(["F", "M"], n)
    return pa.table(
        {
            "id": [f"P{i:05d}" for i in range(n)],
            "sex": sex,
            "Käse, €": r.choice(["x", "y"], n),
            "note": [f"words {i % 7}" for i in range(n)],
            "hair": pa.array(np.where(sex == "F", "long", "short"), mask=r.random(n) < 0.1),
            "age": r.integers(18, 90, n),
        }
    )


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.skipif(INSTALLED, reason="mostlyai-engine is installed")
def test_without_its_library_it_says_what_to_install() -> None:
    with pytest.raises(MissingExtra) as said:
        TabularArgn().fit(from_table(rows()), rng=rng())
    assert "sterling[neural]" in said.value.mend


@pytest.mark.parametrize("settings", [{"epochs": 0}, {"minutes": 0}, {"temperature": 0.0}, {"minutes": float("nan")}])
def test_settings_out_of_range_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        TabularArgn(**settings)


@pytest.mark.slow
@pytest.mark.skipif(not INSTALLED, reason="needs mostlyai-engine: pip install 'sterling[neural]'")
@pytest.mark.filterwarnings("ignore")
def test_it_learns_draws_holds_what_is_given_and_leaves_global_state_alone() -> None:
    generator = TabularArgn(epochs=20)
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    fitted = pickle.loads(pickle.dumps(generator.fit(from_table(rows()), rng=rng())))
    one, two = (pa.concat_tables(list(generator.sample(fitted, 200, rng=rng(1)))) for _ in range(2))
    assert one.equals(two)
    assert one.schema.equals(rows().schema)
    assert np.array_equal(np.random.get_state()[1], before)  # noqa: NPY002
    given = pa.concat_tables(list(generator.sample(fitted, 50, rng=rng(2), given=pa.table({"sex": ["F"] * 50}))))
    assert set(given["sex"].to_pylist()) == {"F"}
    assert given["hair"].to_pylist().count("long") > 30
    many = list(generator.sample(fitted, 50_001, rng=rng(3)))
    assert [batch.num_rows for batch in many] == [50_000, 1]
    with pytest.raises(UnknownName):
        generator.sample(fitted, 5, rng=rng(), given=pa.table({"sexx": ["F"] * 5}))
    with pytest.raises(InputError, match="10 rows"):
        generator.fit(from_table(rows(10)), rng=rng())
