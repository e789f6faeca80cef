"""Tables: inference, hashes, shared views, and the way back to storage."""

from __future__ import annotations

import datetime
import decimal
import pickle
import time
import uuid
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sterling.kernel.errors import InputError, UnknownName, UnrelatedInput
from sterling.kernel.schema import Field, Kind, Role, Schema
from sterling.kernel.view import Need, stack
from sterling.modalities.tabular import (
    Override,
    Tabular,
    conversions,
    from_table,
    infer_schema,
    row_hashes,
    shared_columns,
    storage_type,
    to_storage,
    with_roles,
)


def field(values: Any, name: str = "x", **override: Any) -> Field:
    table = values if isinstance(values, pa.Table) else pa.table({name: values})
    return infer_schema(table, overrides={name: Override(**override)} if override else None)[name]


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


# Inference
MANY = 200
NUMERIC_TEXT = ["12", "3.5", " -7 ", "1e3"] * 50


@pytest.mark.parametrize(
    ("values", "kind", "role", "storage"),
    [
        (rng().normal(size=MANY), Kind.NUMBER, Role.FEATURE, "double"),
        (rng().integers(0, 90, MANY), Kind.NUMBER, Role.FEATURE, "int64"),
        ([0, 1] * 100, Kind.NUMBER, Role.FEATURE, "int64"),
        ([True, False] * 100, Kind.CATEGORY, Role.FEATURE, "bool"),
        (["F", "M"] * 100, Kind.CATEGORY, Role.FEATURE, "string"),
        (pa.array(["F", "M"] * 100).dictionary_encode(), Kind.CATEGORY, Role.FEATURE, "string"),
        (pa.array(["F", "M"] * 100, pa.large_string()), Kind.CATEGORY, Role.FEATURE, "large_string"),
        (pa.array(["F", "M"] * 100, pa.string_view()), Kind.CATEGORY, Role.FEATURE, "string_view"),
        (NUMERIC_TEXT, Kind.NUMBER, Role.FEATURE, "string"),
        (["12"] * 199 + ["unknown"], Kind.NUMBER, Role.FEATURE, "string"),
        (["12"] * 180 + ["unknown"] * 20, Kind.CATEGORY, Role.FEATURE, "string"),
        (["01234", "00017"] * 100, Kind.CATEGORY, Role.FEATURE, "string"),
        ([datetime.date(2020, 1, 1)] * MANY, Kind.DATETIME, Role.FEATURE, "date32[day]"),
        (["2020-01-01", "2021-02-28 10:00:00"] * 100, Kind.DATETIME, Role.FEATURE, "string"),
        ([decimal.Decimal("1.50")] * MANY, Kind.NUMBER, Role.FEATURE, "decimal128(3, 2)"),
        ([datetime.time(1, 2)] * MANY, Kind.NUMBER, Role.FEATURE, "time64[us]"),
        ([datetime.timedelta(hours=1)] * MANY, Kind.NUMBER, Role.FEATURE, "duration[us]"),
        (pa.nulls(MANY), Kind.CATEGORY, Role.FEATURE, "null"),
        ([f"the {i}th remark is rather a long one" for i in range(MANY)], Kind.TEXT, Role.FEATURE, "string"),
        ([[i, i + 1] for i in range(MANY)], Kind.CATEGORY, Role.FEATURE, "string"),
        ([{"a": i, "note": "a nested record"} for i in range(MANY)], Kind.TEXT, Role.FEATURE, "string"),
        (list(range(MANY)), Kind.NUMBER, Role.KEY, "int64"),
        (list(range(MANY, 0, -1)), Kind.NUMBER, Role.KEY, "int64"),
        ([str(uuid.UUID(int=i * 7**20)) for i in range(MANY)], Kind.CATEGORY, Role.KEY, "string"),
        ([f"C-{i * 37}" for i in range(MANY)], Kind.CATEGORY, Role.KEY, "string"),
        # Unique measurements, years in order and shuffled whole numbers are data.
        (np.sqrt(np.arange(MANY)), Kind.NUMBER, Role.FEATURE, "double"),
        (list(range(1850, 1850 + 100)), Kind.NUMBER, Role.FEATURE, "int64"),
        (rng().permutation(MANY), Kind.NUMBER, Role.FEATURE, "int64"),
        ([f"person {chr(97 + i % 26)}{chr(97 + i // 26)}" for i in range(MANY)], Kind.CATEGORY, Role.FEATURE, "string"),
    ],
)  # fmt: skip
def test_kind_role_and_storage(values: Any, kind: Kind, role: Role, storage: str) -> None:
    found = field(values)
    assert (found.kind, found.role, found.storage) == (kind, role, storage)
    assert found.nullable == (kind is Kind.CATEGORY and storage == "null")


@pytest.mark.parametrize("name", ["id", "ID", "customer_id", "customerId", "uuid", "row", "Unnamed: 0"])
def test_shuffled_unique_numbers_are_a_key_under_the_name_of_one(name: str) -> None:
    values = rng().permutation(50)
    assert field(values, name).role is Role.KEY
    assert field(np.append(values[:-1], values[0]), name).role is Role.FEATURE
    assert field(values * 0.5, name).role is Role.FEATURE


@pytest.mark.parametrize("name", ["paid", "humid", "monkey", "grid"])
def test_names_that_only_end_like_an_identifier_are_none(name: str) -> None:
    assert field(rng().permutation(50), name).role is Role.FEATURE


def test_levels_are_sorted_up_to_a_limit_and_range_is_observed() -> None:
    assert field(["b", None, "a"]).levels == ("a", "b")
    assert field(["b", None, "a"]).nullable
    assert field([f"v {i % 1500}" for i in range(9000)]).levels is None
    spec = field([3.5, -1.0, float("inf"), None])
    assert (spec.low, spec.high, spec.levels) == (-1.0, 3.5, None)
    assert field([1, 2, 10]).levels == ("1", "2", "10")


def test_overrides_win_and_are_checked() -> None:
    spec = field([3, 1, 2] * 10, kind=Kind.CATEGORY, unit="grade", nullable=True)
    assert (spec.kind, spec.levels, spec.unit, spec.nullable, spec.low) == (
        Kind.CATEGORY, ("1", "2", "3"), "grade", True, None,
    )  # fmt: skip
    assert field(list(range(100)), kind=Kind.CATEGORY).role is Role.FEATURE
    assert field([1, 2] * 9, role=Role.TARGET).kind is Kind.CATEGORY
    assert field([1, 2] * 9, role=Role.TARGET, kind=Kind.NUMBER).kind is Kind.NUMBER
    assert field([1.0, 2.0], low=0.0, high=9.0).high == 9.0
    with pytest.raises(UnknownName, match="did you mean 'income'"):
        infer_schema(pa.table({"income": [1]}), overrides={"incom": Override()})


def test_declared_roles() -> None:
    schema = infer_schema(pa.table({"y": [0, 1, 1], "x": [0.5, 1.5, 2.5], "g": ["a", "b", "a"], "who": [7, 7, 8]}))
    said = with_roles(schema, target="y", groups=["g"], entity="who")
    assert (said["y"].kind, said["y"].levels, said["y"].role) == (Kind.CATEGORY, ("0", "1"), Role.TARGET)
    assert with_roles(schema, target="x")["x"].kind is Kind.NUMBER
    assert [f.name for f in with_roles(said, target="x").with_role(Role.TARGET)] == ["x"]
    with pytest.raises(UnknownName, match="did you mean 'who'"):
        with_roles(schema, entity="whoo")
    with pytest.raises(InputError, match="one role"):
        with_roles(schema, target="y", groups=["y"])


def test_names_are_told_apart_and_empty_tables_work() -> None:
    twice = from_table(pa.table([[1], [2], [3]], names=["x", "x", "x.1"]))
    assert twice.schema.names == ("x", "x.2", "x.1")
    assert any("two columns 'x'" in n for n in twice.notes)
    none = from_table(pa.table({"x": pa.array([], pa.float64()), "y": pa.array([], pa.string())}))
    assert (none.rows, none.schema["x"].low, none.schema["y"].levels) == (0, None, ())
    assert Tabular().views([none])[0].n == 0


# Hashes
def only(values: Any, name: str = "x") -> int:
    return int(row_hashes(pa.table({name: values}))[0])


SAME = [
    ([3], [3.0]), ([3], pa.array([3], pa.uint8())), ([0.0], [-0.0]), ([float("nan")], pa.array([None], pa.int64())),
    ([None], pa.array([None], pa.string())), (["u"], pa.array(["u"], pa.large_string())),
    (["u"], pa.array(["u"]).dictionary_encode()), (["u"], pa.array(["u"], pa.string_view())), ([True], ["true"]),
    (pa.array([1], pa.timestamp("s")), pa.array([10**9], pa.timestamp("ns"))),
    (pa.array([86400], pa.timestamp("s")), pa.array([1], pa.date32())),
    (pa.array([1], pa.timestamp("s", tz="UTC")), pa.array([1000], pa.timestamp("ms", tz="Europe/Berlin"))),
    (pa.array([2**63], pa.uint64()), [2.0**63]), ([decimal.Decimal("1.5")], [1.5]),
]  # fmt: skip
DIFFERENT = [
    ([3], [4]), ([2**53], [2**53 + 1]), ([0.1], [0.2]), (["3"], [3]), ([None], [0]), ([None], [""]), ([None], ["null"]),
    ([-1], pa.array([2**64 - 1], pa.uint64())), ([1.0], [float("inf")]), ([float("inf")], [float("-inf")]),
    (pa.array([1], pa.timestamp("s")), [1]), (pa.array([1], pa.timestamp("ns")), pa.array([2], pa.timestamp("ns"))),
]  # fmt: skip


@pytest.mark.parametrize(("a", "b"), SAME)
def test_equal_cells_hash_alike_whatever_stores_them(a: Any, b: Any) -> None:
    assert only(a) == only(b)


@pytest.mark.parametrize(("a", "b"), DIFFERENT)
def test_different_cells_hash_apart(a: Any, b: Any) -> None:
    assert only(a) != only(b)


def test_hash_is_the_same_for_ever() -> None:
    # Splits and fingerprints on users' disks rest on these numbers.
    table = pa.table({"a": [1, None], "b": ["x", "é"], "c": [0.5, float("nan")]})
    assert row_hashes(table).tolist() == GOLDEN_HASHES


GOLDEN_HASHES = [17961785689188038195, 16529056556967020130]

CELL = st.one_of(
    st.none(), st.integers(-(2**63), 2**63 - 1), st.sampled_from([0, 1, -1, 2**53, 2**53 + 1, -(2**63), 2**63 - 1])
)
WORD = st.one_of(st.none(), st.text(max_size=4))
FLOAT = st.one_of(st.none(), st.floats(allow_nan=False))


@settings(max_examples=60, deadline=None)
@given(rows=st.lists(st.tuples(CELL, WORD, FLOAT), min_size=1, max_size=12), data=st.data())
def test_hashes_tell_rows_apart_exactly_and_ignore_order(rows: list[tuple[Any, ...]], data: st.DataObject) -> None:
    columns = dict(zip("iwf", zip(*rows, strict=True), strict=True))
    types = {"i": pa.int64(), "w": pa.string(), "f": pa.float64()}
    table = pa.table({k: pa.array(v, types[k]) for k, v in columns.items()})
    hashes = row_hashes(table)
    assert len(set(hashes.tolist())) == len(set(rows))
    order = data.draw(st.permutations(range(len(rows))))
    names = data.draw(st.permutations("iwf"))
    moved = table.take(order).select(list(names))
    assert row_hashes(moved).tolist() == hashes[list(order)].tolist()
    other = moved.set_column(names.index("w"), "w", moved["w"].dictionary_encode())
    assert row_hashes(other).tolist() == hashes[list(order)].tolist()


@settings(max_examples=60, deadline=None)
@given(values=st.lists(st.integers(-(2**53), 2**53), min_size=1, max_size=10))
def test_whole_floats_hash_as_integers(values: list[int]) -> None:
    as_float = pa.table({"x": pa.array([float(v) for v in values])})
    assert row_hashes(as_float).tolist() == row_hashes(pa.table({"x": values})).tolist()


def test_swapping_cells_between_columns_changes_the_hash() -> None:
    a, b = pa.table({"x": [1], "y": [2]}), pa.table({"x": [2], "y": [1]})
    assert row_hashes(a)[0] != row_hashes(b)[0]
    assert row_hashes(a, ["x"])[0] != row_hashes(b, ["x"])[0]
    assert row_hashes(a, ["x"])[0] == row_hashes(b.set_column(0, "x", pa.array([1])), ["x"])[0]


def test_hundred_thousand_rows_take_a_moment() -> None:
    n = 100_000
    table = pa.table(
        {f"f{i}": rng(i).normal(size=n) for i in range(8)} | {f"c{i}": rng(i).integers(0, 9, n) for i in range(7)}
    )
    start = time.process_time()
    assert len(np.unique(row_hashes(table))) == n
    assert time.process_time() - start < 1.0


# Fingerprints
def test_fingerprint_is_of_the_rows_not_of_their_order_or_declarations() -> None:
    table = pa.table({"x": [1, 2, 2], "y": ["a", "b", "b"]})
    one = from_table(table)
    assert from_table(table.take([2, 0, 1]).select(["y", "x"])).fingerprint == one.fingerprint
    assert from_table(table, schema=with_roles(one.schema, target="x")).fingerprint == one.fingerprint
    traced = table.append_column("_sterling_origin", pa.array(["real"] * 3))
    assert from_table(traced).fingerprint == one.fingerprint
    others = [table.slice(0, 2), table.rename_columns(["x", "z"]), table.take([0, 0, 1])]
    assert one.fingerprint not in {from_table(o).fingerprint for o in others}
    assert pickle.loads(pickle.dumps(one)).fingerprint == one.fingerprint
    assert one.table().num_rows == one.table(("x",)).num_rows == 3


# Views
def views(*tables: pa.Table, **roles: Any) -> Any:
    sets = [from_table(t, name=f"set {i}") for i, t in enumerate(tables)]
    if roles:
        sets[0] = from_table(tables[0], schema=with_roles(sets[0].schema, **roles))
    return Tabular().views(sets)


def test_categories_share_codes_and_a_code_does_not_tell_whose_level_it_is() -> None:
    a, b = views(pa.table({"c": ["y", "x", None]}), pa.table({"c": ["a", "x", "z"]}))
    assert a.column("c").levels == b.column("c").levels == ("a", "x", "y", "z")
    assert a.column("c").values.tolist() == [2, 1, -1]
    assert b.column("c").values.tolist() == [0, 1, 3]
    assert b.column("c").values.dtype == np.int64


def test_numbers_dates_and_text() -> None:
    table = pa.table(
        {
            "n": [1, None],
            "f": [0.5, float("nan")],
            "d": [datetime.date(1970, 1, 2), None],
            "t": pa.array(["a remark of quite some length here", None]),
            "s": ["7", "8.5"],
            "id": [1, 2],
        }
    )
    (view,) = views(table)
    assert [c.name for c in view.columns] == ["n", "f", "d", "t (length)", "s"]
    assert view.column("n").integer
    assert not view.column("s").integer
    assert view.column("d").values[0] == 86400.0
    assert view.column("t (length)").values[0] == 34.0
    assert view.column("t (length)").kind is Kind.NUMBER
    assert [c.missing.tolist() for c in view.columns] == [[False, True]] * 4 + [[False, False]]


def test_first_sets_kinds_rule_and_lost_cells_are_named() -> None:
    real, vendor = pa.table({"x": [1.5, 2.5], "b": [True, False]}), pa.table({"x": ["2.5", "many"], "b": [1, 0]})
    a, b = views(real, vendor)
    assert np.isnan(b.column("x").values[1])
    assert b.column("b").values.tolist() == a.column("b").values.tolist()
    assert conversions(from_table(real).schema, from_table(vendor)) == (
        "x: 1 cells are no numbers and count as missing",
    )
    assert conversions(from_table(real).schema, from_table(real)) == ()


def test_hashes_follow_the_first_sets_kinds() -> None:
    real = pa.table({"x": [3, 4], "d": [datetime.date(2020, 1, 1)] * 2, "y": [1, 0], "id": [10, 11]})
    vendor = pa.table({"y": ["1", "0"], "d": ["2020-01-01"] * 2, "x": ["3", "5"], "id": [90, 91]})
    a, b = views(real, vendor, target="y")
    assert a.hashes[0] == b.hashes[0]
    assert a.hashes[1] != b.hashes[1]
    assert a.target is not None
    assert a.target.levels == ("0", "1")
    assert b.target is not None
    assert b.target.values.tolist() == [1, 0]


def test_infinite_values_stay_apart_and_finite() -> None:
    a, b = views(pa.table({"x": [0.0, 10.0]}), pa.table({"x": [float("inf"), float("-inf")]}))
    assert b.column("x").values.tolist() == [20.0, -10.0]
    assert a.column("x").values.tolist() == [0.0, 10.0]
    (alone,) = views(pa.table({"x": [float("inf"), 1e308, -1e308]}))
    assert np.all(np.isfinite(alone.column("x").values))
    assert "infinite" in from_table(pa.table({"x": [float("inf")]})).notes[0]


def test_an_empty_column_takes_its_kind_from_the_set_that_has_values() -> None:
    a, b = views(pa.table({"x": pa.nulls(2), "y": [1, 2]}), pa.table({"x": [1.5, 2.5], "y": [1, 2]}))
    assert b.column("x").kind is Kind.NUMBER
    assert a.column("x").missing.all()


def test_keys_entities_and_provenance_are_not_compared() -> None:
    table = pa.table(
        {"x": [1.5, 2.5], "who": ["a", "b"], "_sterling_origin": ["real"] * 2, "_sterling_weight": [1.0] * 2}
    )
    a, b = views(table, table.set_column(1, "who", pa.array(["c", "d"])), entity="who")
    assert [c.name for c in a.columns] == ["x"]
    assert a.hashes.tolist() == b.hashes.tolist()


def test_columns_are_compared_by_name() -> None:
    first = infer_schema(pa.table({"a": [1], "b": ["u"], "c": [2.5], "y": [1]}))
    other = infer_schema(pa.table({"c": ["low"], "a": [1.5], "d": [0], "y": [0]}))
    said = shared_columns([with_roles(first, target="y"), other])
    assert said == (("a", "c", "y"), ("b",), ("d",), ("c",))


def test_unrelated_tables_are_refused_with_both_column_lists() -> None:
    with pytest.raises(UnrelatedInput) as caught:
        views(pa.table({"Age": [1.5], "sex": ["F"]}), pa.table({"age": [2.5], "b": [2]}))
    assert "Age, sex" in caught.value.message
    assert "age, b" in caught.value.message
    assert "did you mean 'age' for 'Age'" in caught.value.mend
    with pytest.raises(UnrelatedInput, match="identifiers"):
        views(pa.table({"id": [1, 2]}), pa.table({"id": [1, 2]}))


def test_views_are_deterministic_and_pickle() -> None:
    table = pa.table({"x": rng().normal(size=50), "c": rng().choice(["a", "b"], 50)})
    (one,), (two,) = views(table), views(table)
    again = pickle.loads(pickle.dumps(one))
    for a, b in zip(again.columns, two.columns, strict=True):
        np.testing.assert_array_equal(a.values, b.values)


# Storage
STORED = [
    pa.array([1, None, -5], pa.int8()), pa.array([2**63 - 1, None, -(2**63)]),
    pa.array([2**64 - 1, 0, None], pa.uint64()),
    pa.array([0.5, None, 2.0], pa.float32()), pa.array([0.5, None, 2.0], pa.float16()), pa.array([True, None, False]),
    pa.array(["a", None, "é"], pa.large_string()), pa.array(["a", None, "é"], pa.string_view()),
    pa.array([decimal.Decimal("1.25"), None, decimal.Decimal("-99999999.99")], pa.decimal128(10, 2)),
    pa.array([datetime.date(1900, 1, 1), None, datetime.date(2100, 1, 1)]),
    pa.array([datetime.date(1900, 1, 1), None, datetime.date(2100, 1, 1)], pa.date64()),
    pa.array([0, None, 10**15 + 1], pa.timestamp("us", tz="Europe/Berlin")),
    pa.array([1, None, -1], pa.timestamp("ns")),
    pa.array([0, None, 86399], pa.time32("s")), pa.array([0, None, 1], pa.time64("ns")),
    pa.array([0, None, -7], pa.duration("ms")), pa.nulls(3),
]  # fmt: skip


@pytest.mark.parametrize("array", STORED, ids=lambda a: str(a.type))
def test_every_storage_type_comes_back_as_it_was(array: pa.Array) -> None:
    dataset = from_table(pa.table({"x": array}))
    back = to_storage(dataset.table(), dataset.schema)["x"].combine_chunks()
    assert back.type == array.type == storage_type(dataset.schema["x"].storage)
    assert back.equals(array)


@pytest.mark.parametrize("array", STORED, ids=lambda a: str(a.type))
def test_made_floats_fit_every_storage_type(array: pa.Array) -> None:
    dataset = from_table(pa.table({"x": array}))
    made = pa.table({"x": pa.array([0.4, float("nan"), 1e300, -1e300, 1.0])})
    back = to_storage(made, dataset.schema)["x"]
    assert back.type == array.type
    assert len(back) == 5
    back.validate(full=True)


def test_seconds_and_text_go_back_to_text_columns() -> None:
    schema = infer_schema(pa.table({"d": ["2020-01-01"] * 3, "n": ["1", "2.5", "3"], "c": [1, 2, 3]}))
    made = pa.table({"d": [86400.0, 0.0], "n": [4.0, 0.25], "c": ["3", "1"], "extra": [0, 0]})
    assert to_storage(made, schema).to_pydict() == {
        "d": ["1970-01-02", "1970-01-01"], "n": ["4", "0.25"], "c": [3, 1], "extra": [0, 0],
    }  # fmt: skip
    timed = to_storage(pa.table({"d": [86400.5]}), schema)["d"][0].as_py()
    assert timed.startswith("1970-01-02T00:00:00.5")


def test_clipping_is_to_the_nearest_end() -> None:
    schema = Schema((Field("x", Kind.NUMBER, storage="int8"), Field("u", Kind.NUMBER, storage="uint8")))
    back = to_storage(pa.table({"x": [1000, -1000, 7], "u": [-3.0, 2.6, 999.0]}), schema)
    assert back.to_pydict() == {"x": [127, -128, 7], "u": [0, 3, 255]}


@settings(max_examples=60, deadline=None)
@given(
    numbers=st.lists(st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1)), min_size=1, max_size=8),
    words=st.lists(st.one_of(st.none(), st.text(max_size=5)), min_size=1, max_size=8),
)
def test_round_trip_is_exact(numbers: list[int | None], words: list[str | None]) -> None:
    n = min(len(numbers), len(words))
    table = pa.table({"n": pa.array(numbers[:n], pa.int64()), "w": pa.array(words[:n], pa.string())})
    dataset = from_table(table)
    back = to_storage(dataset.table(), dataset.schema)
    assert back.equals(table)
    assert from_table(back, schema=dataset.schema).fingerprint == dataset.fingerprint


def test_free_text_is_offered_as_words_in_one_vocabulary() -> None:
    notes = ["Ran to the shop, then home again.", None, "नमस्ते दुनिया and good night to all of you", "!?"] * 300
    unique = [None if t is None else f"{t} {i}" for i, t in enumerate(notes)]
    one, two = (from_table(pa.table({"x": list(range(1200)), "note": texts})) for texts in (unique, unique[::-1]))
    a, b = Tabular().views([one, two])
    assert a.sequences is not None
    assert b.sequences is not None
    (words,), (others,) = a.sequences, b.sequences
    assert np.diff(words.starts)[:4].tolist() == [8, 0, 10, 1]  # Devanagari vowel signs stay inside their words
    assert np.array_equal(words.take(np.arange(1200)[::-1]).tokens, others.tokens)
    kept = a.take(np.array([2, 0]))
    assert kept.sequences is not None
    assert np.diff(kept.sequences[0].starts).tolist() == [10, 8]
    both = stack([a, kept])
    assert both.sequences is not None
    assert both.sequences[0].tokens.size == words.tokens.size + 18
    assert Need.SEQUENCE in a.offers


def test_what_storage_alone_sets_apart_is_the_same_number() -> None:
    real = pa.table({"a": [0.1, 0.5, 0.1, None], "b": [1.0, 1.0, 1.0, 1.0]})
    made = pa.table(
        {"a": pa.array(np.float32([0.1, 0.5, 0.11, np.nan])), "b": [1 + 1e-9, 1 - 1e-9, 1.0, 1.001]}
    )  # fmt: skip
    _, b = views(real, made)
    assert b.column("a").values[:2].tolist() == [0.1, 0.5]
    assert b.column("a").values[2] == pytest.approx(0.11)
    assert b.column("b").values.tolist() == [1.0, 1.0, 1.0, 1.001]
