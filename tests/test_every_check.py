"""What every check must do, whoever wrote it: the suite runs over the registry."""

from __future__ import annotations

import pickle
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from sterling.kernel import registry
from sterling.kernel.errors import UnrelatedInput
from sterling.kernel.protocols import Marks
from sterling.modalities.tabular import from_table


@pytest.fixture(params=registry.names("checks"))
def check(request: pytest.FixtureRequest) -> Any:
    return registry.build("checks", request.param, {})


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def table(n: int = 300, *, seed: int = 0) -> pa.Table:
    r = rng(seed)
    return pa.table(
        {
            "id": pa.array(np.arange(1000 * seed, 1000 * seed + n)),
            "x": pa.array(r.normal(size=n), mask=r.random(n) < 0.1),
            "count": r.poisson(3, n),
            "word": pa.array(r.choice(["Café", "東京", "a b"], n)).dictionary_encode(),
            "flag": pa.array(r.random(n) < 0.3, mask=r.random(n) < 0.1),
            "when": pa.array(1_700_000_000 + r.integers(0, 10**6, n), pa.timestamp("s", tz="UTC")),
            "void": pa.nulls(n, pa.float64()),
        }
    )


def marks(check: Any, batch: pa.Table, reference: pa.Table | None) -> Marks:
    against = None if reference is None else from_table(reference, name="real")
    return check.apply(check.fit(against, rng=rng()), batch)


def assert_sound(found: Marks, n: int) -> None:
    assert len(found.actions) == len(found.reasons) == n
    assert found.actions.type == found.reasons.type == pa.string()
    assert set(found.actions.to_pylist()) <= {"keep", "drop", "flag"}
    assert pc.equal(found.actions, "keep").equals(found.reasons.is_null())


def test_settings_are_a_frozen_dataclass_with_docs(check: Any) -> None:
    assert is_dataclass(check)
    assert type(check).__dataclass_params__.frozen  # type: ignore[attr-defined]
    assert all(f.name in (type(check).__doc__ or "") for f in fields(check))
    assert pickle.loads(pickle.dumps(check)) == check


@pytest.mark.parametrize("with_reference", [True, False])
def test_every_record_is_marked_the_same_way_twice_and_nothing_moves(check: Any, with_reference: bool) -> None:
    batch, reference = table(200, seed=1), table() if with_reference else None
    before, kept = np.random.get_state()[1].copy(), pickle.dumps(batch.to_pydict())  # noqa: NPY002
    first, second = marks(check, batch, reference), marks(check, batch, reference)
    assert_sound(first, 200)
    assert first.actions.equals(second.actions)
    assert first.reasons.equals(second.reasons)
    assert np.array_equal(before, np.random.get_state()[1])  # noqa: NPY002
    assert pickle.dumps(batch.to_pydict()) == kept


def test_fresh_real_records_are_kept(check: Any) -> None:
    found = marks(check, table(300, seed=1), table(600))
    assert pc.sum(pc.equal(found.actions, "drop")).as_py() == 0
    assert pc.sum(pc.equal(found.actions, "flag")).as_py() <= 6


def test_a_fitted_check_survives_pickling(check: Any) -> None:
    fitted = check.fit(from_table(table()), rng=rng())
    again = pickle.loads(pickle.dumps(fitted))
    batch = table(100, seed=2)
    assert check.apply(fitted, batch).reasons.equals(check.apply(again, batch).reasons)


@pytest.mark.parametrize("n", [0, 1, 2])
@pytest.mark.parametrize("m", [None, 0, 1, 5])
def test_few_records_are_borne(check: Any, n: int, m: int | None) -> None:
    assert_sound(marks(check, table(n, seed=3), None if m is None else table(m)), n)


@pytest.mark.parametrize(
    "rows",
    [
        {"x": [np.inf, -np.inf, np.nan, 1.0]},
        {"x": [1e308, -1e308, 5e-324, 0.0]},
        {"x": pa.nulls(4)},
        {"x": ["k"] * 4},
        {"x": pa.array([2**63 - 1, -(2**63), 0, 1])},
        {"x": [[1], [2], None, []]},
        {"x": [b"\xff", b"a", None, b""]},
        {"x": ["", "ß", "\n", None]},
    ],
    ids=["infinite", "extreme", "missing", "constant", "int64", "lists", "bytes", "texts"],
)
def test_odd_columns_are_borne(check: Any, rows: dict[str, Any]) -> None:
    odd, plain = pa.table(rows), pa.table({"x": rng().normal(size=30)})
    for batch, reference in ((odd, None), (odd, odd), (odd, plain), (plain, odd)):
        assert_sound(marks(check, batch, reference), batch.num_rows)


def test_wide_tables_are_borne(check: Any) -> None:
    wide = pa.table({f"c{j}": rng(j).normal(size=50) for j in range(300)})
    assert_sound(marks(check, wide, wide), 50)


def test_strangers_are_refused_with_their_columns(check: Any) -> None:
    with pytest.raises(UnrelatedInput, match="stranger"):
        marks(check, pa.table({"stranger": [1, 2]}), table())


def test_what_is_shared_is_judged(check: Any) -> None:
    assert_sound(
        marks(check, table(80, seed=1).drop_columns(["x", "when"]).append_column("new", pa.nulls(80)), table()), 80
    )
