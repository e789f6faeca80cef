"""What every generator must do, whoever wrote it: the suite runs over the registry."""

from __future__ import annotations

import datetime
import decimal
import pickle
from dataclasses import fields, is_dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from sterling.kernel import registry
from sterling.kernel.errors import InputError, UnknownName
from sterling.kernel.schema import Kind, Role
from sterling.modalities.tabular import from_table, to_storage, with_roles
from sterling.modalities.tabular.anatomy import with_new_identifiers

SETTINGS: dict[str, dict[str, Any]] = {
    "forest": {"trees": 3},
    "aim": {"epsilon": 30.0, "noise": "seeded", "max_cells": 4000},
}
# A private generator must not see these things unpaid: forms of keys, words, rare levels, ends of ranges.
PRIVATE = ("aim",)
# What a generator is an adapter to; its tests are skipped where that is not installed.
EXTRAS = {"smote": "imblearn"}
# A network refuses tables of a few rows, which half of this suite is about: test_generator_tabular_argn.py.
APART = {"tabular_argn"}
BERLIN = "Europe/Berlin"


@pytest.fixture(params=[name for name in registry.names("generators") if name not in APART])
def generator(request: pytest.FixtureRequest) -> Any:
    if request.param in EXTRAS:
        pytest.importorskip(EXTRAS[request.param])
    return registry.build("generators", request.param, SETTINGS.get(request.param, {}))


@pytest.fixture(params=[name for name in registry.names("generators") if name not in {*APART, *PRIVATE}])
def faithful(request: pytest.FixtureRequest) -> Any:
    """A generator whose cells look like the cells they come from."""
    if request.param in EXTRAS:
        pytest.importorskip(EXTRAS[request.param])
    return registry.build("generators", request.param, SETTINGS.get(request.param, {}))


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def table(n: int = 300, *, seed: int = 0) -> pa.Table:
    """Every storage type that a table may have, with missing cells."""
    r = rng(seed)
    gone = r.random(n) < 0.2
    words = r.choice(["Café", "Ünal", "東京", "a b"], n)
    moment = 1_700_000_000 + 60 * r.integers(0, 100_000, n)
    cents = [decimal.Decimal(int(v)).scaleb(-2) for v in r.integers(100, 9000, n)]
    return pa.table(
        {
            "int": pa.array(r.integers(18, 90, n), pa.int64()),
            "int with nulls": pa.array(r.integers(-5, 5000, n), pa.int32(), mask=gone),
            "unsigned": pa.array(r.integers(0, 200, n), pa.uint8()),
            "float": pa.array(r.normal(size=n), mask=r.random(n) < 0.05),
            "float32": pa.array(r.normal(size=n).astype(np.float32)),
            "cents": np.round(r.lognormal(3, 1, n), 2),
            "spike": np.where(r.random(n) < 0.8, 0, r.integers(1000, 9000, n)),
            "bool": pa.array(r.random(n) < 0.3, mask=r.random(n) < 0.1),
            "dictionary": pa.array(words).dictionary_encode(),
            "large": pa.array(r.choice(["x", "y"], n), pa.large_string(), mask=r.random(n) < 0.3),
            "date": pa.array((r.integers(10_000, 12_000, n)).astype(np.int32), pa.int32()).cast(pa.date32()),
            "time": pa.array(moment * 10**6, pa.timestamp("us", tz=BERLIN), mask=r.random(n) < 0.1),
            "decimal": pa.array(cents, pa.decimal128(10, 2)),
            "numeric text": pa.array([f"{v:.2f}" for v in r.gamma(2, 5, n)]),
            "constant": pa.array(["k"] * n),
            "void": pa.nulls(n, pa.float64()),
            "null": pa.nulls(n),
            "id": pa.array([f"C-{i:05d}" for i in range(n)]),
        }
    )


def made(generator: Any, rows: pa.Table, n: int = 200, *, seed: int = 1, **kwargs: Any) -> pa.Table:
    fitted = generator.fit(from_table(rows), rng=rng(seed))
    return pa.concat_tables(list(generator.sample(fitted, n, rng=rng(seed + 1), **kwargs)))


def test_settings_are_a_frozen_dataclass_with_docs(generator: Any) -> None:
    assert is_dataclass(generator)
    assert type(generator).__dataclass_params__.frozen  # type: ignore[attr-defined]
    assert all(f.name in (type(generator).__doc__ or "") for f in fields(generator))
    assert pickle.loads(pickle.dumps(generator)) == generator


def test_same_seed_same_bytes_another_seed_others_and_nothing_else_moves(generator: Any) -> None:
    rows = table()
    before, kept = np.random.get_state()[1].copy(), pickle.dumps(rows.to_pydict())  # noqa: NPY002
    first, second, other = made(generator, rows), made(generator, rows), made(generator, rows, seed=5)
    assert first.equals(second)
    assert not first.equals(other)
    assert np.array_equal(before, np.random.get_state()[1])  # noqa: NPY002
    assert pickle.dumps(rows.to_pydict()) == kept


def test_a_fitted_generator_survives_pickling_and_sampling_does_not_change_it(generator: Any) -> None:
    fitted = generator.fit(from_table(table()), rng=rng())
    again = pickle.loads(pickle.dumps(fitted))
    draws = [pa.concat_tables(list(generator.sample(f, 70, rng=rng(3)))) for f in (fitted, fitted, again)]
    assert draws[0].equals(draws[1])
    assert draws[0].equals(draws[2])


def test_names_order_and_storage_types_come_back(generator: Any) -> None:
    rows = table()
    data = from_table(rows)
    synthetic = made(generator, rows)
    assert synthetic.schema.equals(to_storage(data.table(), data.schema).schema)
    for name, kind in {"int with nulls": pa.int32(), "float32": pa.float32(), "date": pa.date32()}.items():
        assert synthetic.schema.field(name).type == kind
    assert synthetic.schema.field("time").type == pa.timestamp("us", tz=BERLIN)
    assert synthetic.schema.field("decimal").type == pa.decimal128(10, 2)
    assert synthetic.schema.field("large").type == pa.large_string()


def test_cells_look_like_the_cells_they_come_from(faithful: Any) -> None:
    rows, synthetic = table(), made(faithful, table(), 400)
    for name in ("int", "int with nulls", "unsigned", "float", "float32", "cents", "spike", "date", "time", "decimal"):
        old, new = pc.min_max(rows[name]).as_py(), pc.min_max(synthetic[name]).as_py()
        assert old["min"] <= new["min"], name
        assert new["max"] <= old["max"], name
    for name in ("bool", "dictionary", "large", "numeric text", "constant"):
        assert set(synthetic[name].to_pylist()) <= set(rows[name].to_pylist()), name
    assert 0.7 < np.mean(synthetic["spike"].to_numpy() == 0) < 0.9
    cents = synthetic["cents"].to_numpy()
    assert np.array_equal(cents, np.round(cents, 2))
    seconds = synthetic["time"].drop_null().cast(pa.int64()).to_numpy()
    assert (seconds % (60 * 10**6) == 1_700_000_000 * 10**6 % (60 * 10**6)).all()
    assert synthetic["void"].null_count == synthetic["null"].null_count == 400
    for word in synthetic["numeric text"].to_pylist():
        assert len(word.split(".")[1]) == 2


def test_missing_rates_are_kept(generator: Any) -> None:
    n = 4000
    mask = rng(3).random(n) < 0.3
    rows = pa.table({"a": pa.array(rng().normal(size=n), mask=mask), "b": pa.array(["x", "y"] * (n // 2), mask=mask)})
    synthetic = made(generator, rows, n)
    for name in ("a", "b"):
        assert abs(synthetic[name].null_count / n - mask.mean()) < 5 * np.sqrt(2 * 0.3 * 0.7 / n)


def test_keys_are_new_unique_and_of_the_old_form(faithful: Any) -> None:
    n = 500
    keys = [f"{a:08x}-{b:08x}" for a, b in rng().integers(2**32, size=(n, 2))]
    letters = rng(2).choice(list("ABCDEFGHKLMNPQRSTUVWXYZ0123456789"), (n, 12))
    rows = pa.table(
        {
            "id": pa.array(np.arange(1, n + 1), pa.int32()),
            "customer_id": [f"K{i:06d}/x" for i in range(n)],
            "uuid": keys,
            "row_key": ["".join(w) for w in letters],
            "x": rng().normal(size=n),
        }
    )
    assert sum(f.role is Role.KEY for f in from_table(rows).schema) == 4
    synthetic = made(faithful, rows, 700)
    for name in ("id", "customer_id", "uuid", "row_key"):
        new = synthetic[name].to_pylist()
        assert len(set(new)) == 700
        assert not set(new) & set(rows[name].to_pylist())
    assert synthetic["id"].to_pylist()[:2] == [n + 1, n + 2]
    assert synthetic["customer_id"][0].as_py() == "K000500/x"
    assert pc.all(pc.match_substring_regex(synthetic["uuid"], "^[0-9a-f]{8}-[0-9a-f]{8}$")).as_py()
    assert pc.all(pc.match_substring_regex(synthetic["row_key"], "^[A-Z0-9]{12}$")).as_py()


def test_entities_are_new_and_share_rows_as_before(faithful: Any) -> None:
    patients = np.repeat(np.arange(100), 4)
    data = from_table(pa.table({"patient": patients, "x": rng().normal(size=400)}))
    data = replace(data, schema=with_roles(data.schema, entity="patient"))
    fitted = faithful.fit(data, rng=rng())
    synthetic = pa.concat_tables(list(faithful.sample(fitted, 50, rng=rng(1))))
    ids, counts = np.unique(synthetic["patient"].to_numpy(), return_counts=True)
    assert ids.min() == 100
    assert counts.tolist() == [4] * 12 + [2]


def test_identifiers_of_parts_made_apart_are_made_one_series() -> None:
    data = from_table(pa.table({"id": np.arange(40), "x": rng().normal(size=40)}))
    parts = pa.concat_tables([data.table().slice(0, 30)] * 4)
    joined = with_new_identifiers(parts, data, rng=rng())
    assert joined["id"].to_pylist() == list(range(40, 160))
    assert joined["x"].equals(parts["x"])
    assert joined.schema.equals(parts.schema)


def test_free_text_is_made_of_training_words(faithful: Any) -> None:
    words = np.array(["the", "quick", "brown", "fox", "jumps", "over", "lazy", "dogs", "while", "seven", "wizards"])
    texts = [" ".join(w) for w in rng().choice(words, (1500, 9))]
    rows = pa.table({"note": pa.array(texts, mask=rng(1).random(1500) < 0.25), "x": rng().normal(size=1500)})
    assert from_table(rows).schema["note"].kind is Kind.TEXT
    synthetic = made(faithful, rows, 400)
    said = synthetic["note"].drop_null().to_pylist()
    assert {w for t in said for w in t.split(" ")} <= set(words)
    assert 0.15 < synthetic["note"].null_count / 400 < 0.35


def test_the_number_of_rows_is_exact_and_batches_are_small(generator: Any) -> None:
    data = from_table(pa.table({"a": rng().normal(size=50)}))
    fitted = generator.fit(data, rng=rng())
    sizes = [b.num_rows for b in generator.sample(fitted, 100_001, rng=rng(1))]
    assert sum(sizes) == 100_001
    assert max(sizes) <= 50_000
    assert next(generator.sample(fitted, 1, rng=rng(1))).num_rows == 1
    for n in (0, -3):
        with pytest.raises(InputError, match="at least one"):
            generator.sample(fitted, n, rng=rng(1))


@pytest.mark.parametrize(
    "rows",
    [
        {"a": [1], "b": ["x"], "c": [None]},
        {"a": [1.5, 2.5]},
        {"only": ["x"] * 40},
        {"gone": pa.nulls(30), "also": pa.nulls(30, pa.int16())},
        {"id": [f"k{i}" for i in range(30)]},
        {"": [1, 2, 3], "ключ": ["а", "б", "в"], "a\nb": [None, 1, 2]},
        {"wild": [np.inf, -np.inf, np.nan, 0.0, 1.0, 2.0] * 10, "y": [True, False, None] * 20},
        {"huge": pa.array([2**63 - 1, -(2**63), 0, 5], pa.int64()), "u": pa.array([2**64 - 1, 0, 1, 2], pa.uint64())},
        {"all inf": [np.inf] * 5, "tiny": [5e-324, 1e308, -1e308, 0.0, 1.0]},
        {"when": [datetime.date(1, 1, 1), datetime.date(9999, 12, 31), None]},
    ],
    ids=lambda rows: next(iter(rows)) or "nameless",
)
def test_odd_tables_are_borne(generator: Any, rows: dict[str, Any]) -> None:
    real = pa.table(rows)
    synthetic = made(generator, real, 40)
    assert synthetic.num_rows == 40
    data = from_table(real)
    real = data.table()
    assert synthetic.schema.names == list(data.schema.names)
    for name in real.schema.names:
        if data.schema[name].role is not Role.KEY:
            allowed = set(map(str, real[name].to_pylist()))
            if not pa.types.is_floating(real.schema.field(name).type):
                assert set(map(str, synthetic[name].to_pylist())) <= allowed | {"None"} or real.num_rows < 5


def test_a_column_of_a_hundred_thousand_levels(faithful: Any) -> None:
    n = 100_000
    levels = [f"level {i % 60_000}" for i in range(n)]
    data = from_table(pa.table({"many": levels, "x": rng().integers(0, 5, n)}))
    data = replace(data, schema=data.schema.replaced(replace(data.schema["many"], kind=Kind.CATEGORY)))
    fitted = faithful.fit(data, rng=rng())
    synthetic = next(faithful.sample(fitted, 2000, rng=rng(1)))
    assert all(word.startswith("level ") for word in synthetic["many"].to_pylist())
    assert len(set(synthetic["many"].to_pylist())) > 1500


def test_three_hundred_columns(faithful: Any) -> None:
    values = rng().normal(size=(200, 1)) + rng(1).normal(size=(200, 300))
    rows = pa.table({f"c{j}": values[:, j] for j in range(300)})
    assert made(faithful, rows, 60).shape == (60, 300)


def test_what_it_cannot_make_it_names(generator: Any) -> None:
    data = from_table(pa.table({"a": [1, 2, 3], "photo": ["x.png", "y.png", "z.png"]}))
    pictures = replace(data, schema=data.schema.replaced(replace(data.schema["photo"], kind=Kind.IMAGE)))
    with pytest.raises(InputError, match=r"photo.*image"):
        generator.fit(pictures, rng=rng())
    with pytest.raises(InputError, match="nothing to learn"):
        generator.fit(from_table(pa.table({"a": pa.array([], pa.int64())})), rng=rng())


def test_given_columns_are_held_fixed(generator: Any) -> None:
    n = 2000
    sex = rng().choice(["F", "M"], n)
    height = np.where(sex == "M", 180.0, 165.0) + rng(1).normal(size=n)
    rows = pa.table({"sex": sex, "height": height, "id": [f"p{i}" for i in range(n)]})
    fitted = generator.fit(from_table(rows), rng=rng(2))
    given = pa.table({"sex": ["F"] * 300 + ["M"] * 300, "id": [f"q{i}" for i in range(600)]})
    synthetic = pa.concat_tables(list(generator.sample(fitted, 600, rng=rng(3), given=given)))
    assert synthetic["sex"].to_pylist() == given["sex"].to_pylist()
    assert synthetic["id"].to_pylist() == given["id"].to_pylist()
    heights = synthetic["height"].to_numpy()
    assert heights[300:].mean() - heights[:300].mean() > 5
    unknown = pa.table({"sex": ["?", None, "F"]})
    assert next(generator.sample(fitted, 3, rng=rng(3), given=unknown))["sex"].to_pylist() == ["?", None, "F"]


def test_given_columns_that_do_not_fit_are_refused(generator: Any) -> None:
    fitted = generator.fit(from_table(pa.table({"sex": ["F", "M"] * 20, "x": range(40)})), rng=rng())
    with pytest.raises(UnknownName, match="did you mean 'sex'"):
        generator.sample(fitted, 2, rng=rng(), given=pa.table({"sexx": ["F", "M"]}))
    with pytest.raises(InputError, match="give 3 rows"):
        generator.sample(fitted, 3, rng=rng(), given=pa.table({"sex": ["F", "M"]}))


def test_notes_on_origin_are_no_part_of_a_record(generator: Any) -> None:
    rows = pa.table({"a": [1, 2, 3], "_sterling_origin": ["real"] * 3})
    assert made(generator, rows, 5).column_names == ["a"]
