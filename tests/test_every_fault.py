"""What every planted fault must do, whoever wrote it, and for each fault that it does what it says."""

from __future__ import annotations

import datetime
import pickle
from collections import Counter
from dataclasses import is_dataclass
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from sterling.kernel import registry
from sterling.kernel.estimate import Unmeasured
from sterling.kernel.protocols import Planted
from sterling.kernel.schema import Schema
from sterling.modalities.tabular import with_roles
from sterling.sources.frames import from_frame
from sterling.stats import planting

KNOWN = {
    "two_sample_auc", "marginal_gap", "slice_coverage", "correlation_gap", "rule_violation", "label_loss",
    "label_errors", "copies", "near_copies", "nearest_record", "duplicates", "outcome_gap", "representation",
    "rare_modes", "unique_values", "time_leak", "coverage", "membership_inference", "calibration", "utility",
}  # fmt: skip


@pytest.fixture(params=registry.names("faults"))
def name(request: pytest.FixtureRequest) -> str:
    return request.param


def table(n: int = 1500, seed: int = 0) -> pa.Table:
    """Dates, whole and broken numbers, categories that depend on each other, missing cells, two classes."""
    r = np.random.default_rng(seed)
    city = r.choice(5, p=[0.5, 0.3, 0.17, 0.02, 0.01], size=n)
    tram = np.where(city < 2, r.integers(2, size=n), 0)
    size = r.gamma(2, 2, size=n) + city
    rich = size + r.normal(size=n) > 5
    start = datetime.date(2020, 1, 1)
    return pa.table(
        {
            "Größe": pa.array(size, mask=r.random(n) < 0.04),
            "count": pa.array(r.poisson(20, size=n)),
            "city": pa.array(np.array(["Ulm", "Bonn", "Köln", "Jena", "Hof"])[city], mask=r.random(n) < 0.03),
            "tram": np.array(["no", "yes"])[tram],
            "day": pa.array([start + datetime.timedelta(int(d)) for d in r.integers(700, size=n)], pa.date32()),
            "rich": np.array(["poor", "rich"])[rich.astype(int)],
        }
    )


def schema_of(one: pa.Table, *, target: str | None = "rich", time: str | None = "day", groups: Any = ()) -> Schema:
    return with_roles(from_frame(one).schema, target=target, time=time, groups=groups)


REAL, MADE = table(), table(seed=1)
SCHEMA = schema_of(REAL)


def plant(
    name: str, severity: float, *, real: pa.Table = REAL, made: pa.Table = MADE, schema: Schema = SCHEMA, seed: int = 0
) -> Any:
    fault = registry.build("faults", name, {})
    return fault.plant(real, made, schema=schema, severity=severity, rng=np.random.default_rng(seed))


def planted(name: str, severity: float, **given: Any) -> Planted:
    found = next((p for s in range(8) if isinstance(p := plant(name, severity, seed=s, **given), Planted)), None)
    assert found is not None, plant(name, severity, **given)
    return found


def severities(name: str) -> tuple[float, ...]:
    return registry.resolve("faults", name).severities


def rows(one: pa.Table) -> Counter[tuple[Any, ...]]:
    names = sorted(one.column_names)
    return Counter(zip(*(one.column(c).to_pylist() for c in names), strict=True))


def test_it_says_what_it_is(name: str) -> None:
    fault = registry.build("faults", name, {})
    assert is_dataclass(fault)
    assert pickle.loads(pickle.dumps(fault)) == fault
    assert fault.title
    assert len(fault.title) <= 40  # it stands in a table of 80 columns
    assert list(fault.severities) == sorted(set(fault.severities))
    assert min(fault.severities) > 0
    assert "Severity:" in (type(fault).__doc__ or "")
    assert bool(fault.expected) != fault.innocent
    assert set(fault.expected) <= KNOWN


def test_same_stream_same_plant_and_nothing_else_moves(name: str) -> None:
    severity = severities(name)[-1]
    real, made = table(), table(seed=1)
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    first, second = (planted(name, severity, real=real, made=made) for _ in range(2))
    assert np.array_equal(before, np.random.get_state()[1])  # noqa: NPY002
    assert first.synthetic.equals(second.synthetic)
    assert (first.columns, first.rows, first.slice) == (second.columns, second.rows, second.slice)
    assert real.equals(REAL)
    assert made.equals(MADE)


def test_every_fault_can_be_planted_and_says_where(name: str) -> None:
    done = 0
    for severity in severities(name):
        found = plant(name, severity)
        if isinstance(found, Unmeasured):
            assert found.reason
            assert found.mend
            continue
        done += 1
        assert found.rows > 0
        assert sorted(found.synthetic.column_names) == sorted(MADE.column_names)
        assert set(found.columns) <= set(MADE.column_names)
        assert found.synthetic.num_rows <= MADE.num_rows
        if name not in ("fine_rounding", "recoded_categories"):
            assert found.synthetic.schema.equals(MADE.schema) or name == "column_order"
        if found.slice is not None:
            assert all(f"{column}=" in found.slice for column in found.columns)
    assert done


@pytest.fixture(scope="module")
def others(adult: pa.Table) -> list[tuple[pa.Table, Schema]]:
    from sklearn.datasets import load_breast_cancer, load_diabetes

    tables = [(adult.slice(0, 1200), "income")]
    for loader in (load_breast_cancer, load_diabetes):
        data: Any = loader()
        cells = dict(zip(map(str, data.feature_names[:8]), data.data.T, strict=False))
        tables.append((pa.table({**cells, "outcome": data.target}), "outcome"))
    return [(one, schema_of(one, target=target, time=None)) for one, target in tables]


def test_it_works_on_tables_of_other_people(name: str, others: list[tuple[pa.Table, Schema]]) -> None:
    for one, schema in others:
        half = one.num_rows // 2
        for severity in severities(name):
            found = plant(name, severity, real=one.slice(0, half), made=one.slice(half), schema=schema)
            assert isinstance(found, (Planted, Unmeasured))
            if isinstance(found, Planted):
                assert found.rows > 0
                assert sorted(found.synthetic.column_names) == sorted(one.column_names)


DEGENERATE = {
    "nothing": table(0),
    "one row": table(1),
    "five rows": table(5),
    "one column": table(300).select(["rich"]),
    "one class": table(300).set_column(5, "rich", pa.array(["rich"] * 300)),
    "all missing": table(300).set_column(0, "Größe", pa.nulls(300, pa.float64())),
    "no category": table(300).select(["Größe", "count"]),
    "constants": pa.table({"a": [1.0] * 50, "b": ["x"] * 50, "rich": ["y", "n"] * 25}),
    "infinite": pa.table({"a": [np.inf, -np.inf, 1e300, -1e300, 0.0] * 40, "rich": ["y", "n"] * 100}),
    "texts": pa.table({"words": [f"some longer text about case {i} and its end" for i in range(200)]}),
    "thousands of levels": pa.table({"who": [f"w{i % 1500}" for i in range(3000)], "rich": ["y", "n"] * 1500}),
    "dictionaries": pa.table({c: table(300).column(c).dictionary_encode() for c in ("city", "tram", "rich")}),
    "truths": pa.table({"a": [True, False, None] * 60, "b": [1, 2, 3] * 60, "rich": [0, 1, 1] * 60}),
}


@cache
def degenerate_schema(kind: str) -> Schema:
    one = DEGENERATE[kind]
    target = "rich" if "rich" in one.column_names else None
    return schema_of(one, target=target, time="day" if "day" in one.column_names else None)


def test_whatever_it_cannot_do_it_says(name: str) -> None:
    for kind, one in DEGENERATE.items():
        schema = degenerate_schema(kind)
        for severity in severities(name):
            found = plant(name, severity, real=one, made=one, schema=schema)
            assert isinstance(found, (Planted, Unmeasured)), kind
            if isinstance(found, Unmeasured):
                assert found.reason
                assert found.mend
        if set(one.column_names) == set(MADE.column_names) and kind != "all missing":
            plant(name, severities(name)[0], real=REAL, made=one)
            plant(name, severities(name)[0], real=one, made=MADE)


def test_labels_need_a_target() -> None:
    untold = schema_of(REAL, target=None)
    for name in ("label_noise", "clustered_labels", "one_directional_labels", "subgroup_outcome"):
        found = plant(name, severities(name)[0], schema=untold)
        assert isinstance(found, Unmeasured)
        assert "--target" in found.mend


def changed(found: Planted, column: str) -> np.ndarray:
    pairs = zip(MADE.column(column).to_pylist(), found.synthetic.column(column).to_pylist(), strict=True)
    return np.array([a != b for a, b in pairs])


def test_a_rare_mode_is_gone() -> None:
    found = planted("rare_mode_drop", 0.02)
    assert found.slice is not None
    column, _, level = found.slice.partition("=")
    assert pc.sum(pc.equal(MADE.column(column), level)).as_py() == found.rows > 0
    assert not pc.any(pc.equal(found.synthetic.column(column), level)).as_py()
    assert 0.01 <= pc.sum(pc.equal(REAL.column(column), level)).as_py() / REAL.num_rows <= 0.04


def test_a_slice_is_gone_and_its_conditions_stay() -> None:
    found = planted("slice_deletion", 0.03)
    assert len(found.columns) == 2
    assert found.synthetic.num_rows == MADE.num_rows - found.rows
    # Each condition by itself still occurs: every level of every column is still there.
    for column in ("city", "tram"):
        assert set(found.synthetic.column(column).to_pylist()) == set(MADE.column(column).to_pylist())


@pytest.mark.parametrize("severity", [0.01, 0.1])
def test_label_noise_flips_just_that_share(severity: float) -> None:
    found = planted("label_noise", severity)
    assert changed(found, "rich").sum() == found.rows == round(severity * MADE.num_rows)


def test_clustered_labels_lie_in_their_slice() -> None:
    found = planted("clustered_labels", 0.02, made=MADE)
    flips = changed(found, "rich")
    assert flips.sum() == 30
    levels = planting.levels(REAL, MADE, SCHEMA[found.columns[0]])
    assert levels is not None
    assert np.unique(levels.synthetic[flips]).size == 1


def test_one_directional_labels_err_one_way() -> None:
    found = planted("one_directional_labels", 0.2)
    before, after = (Counter(t.column("rich").to_pylist()) for t in (MADE, found.synthetic))
    rarer = min(before, key=lambda c: before[c])
    assert before[rarer] - after[rarer] == found.rows == round(0.2 * before[rarer])


def test_copies_are_real_rows() -> None:
    for name, severity, count in (("copied_rows", 0.1, 150), ("memorised_rare_row", 10.0, 10)):
        found = planted(name, severity)
        fresh = rows(found.synthetic) - rows(MADE)
        assert sum(fresh.values()) == found.rows == count
        assert not fresh - rows(REAL)


def test_near_copies_are_near_and_no_copies() -> None:
    found = planted("near_copied_rows", 0.1)
    fresh = rows(found.synthetic) - rows(MADE)
    assert sum(fresh.values()) == 150
    assert sum((fresh & rows(REAL)).values()) < 10
    real = Counter(zip(REAL.column("city").to_pylist(), REAL.column("day").to_pylist(), strict=True))
    names = sorted(REAL.column_names)
    assert all((dict(zip(names, row, strict=True))["city"], dict(zip(names, row, strict=True))["day"]) in real
               for row in fresh)  # fmt: skip


def test_a_rare_row_is_rarer_than_most() -> None:
    found = planted("memorised_rare_row", 10.0)
    fresh = rows(found.synthetic) - rows(MADE)
    city = sorted(REAL.column_names).index("city")
    assert sum(row[city] in ("Jena", "Hof", None) for row in fresh) >= 5


def test_broken_dependence_keeps_the_margin() -> None:
    found = planted("broken_dependence", 1.0)
    column = found.columns[0]
    assert Counter(found.synthetic.column(column).to_pylist()) == Counter(MADE.column(column).to_pylist())
    spec = SCHEMA[column], SCHEMA[found.columns[1]]

    def strength(one: pa.Table) -> float:
        coded = [planting.levels(one, one, s, parts=8) for s in spec]
        assert coded[0] is not None
        assert coded[1] is not None
        return planting.association(coded[0], coded[1])

    assert strength(MADE) > 0.2
    assert strength(found.synthetic) < 0.1


def test_a_subgroups_outcomes_move_and_no_margin_does() -> None:
    found = planted("subgroup_outcome", 0.5, schema=schema_of(REAL, groups=("tram",)))
    assert found.columns == ("tram",)
    assert Counter(found.synthetic.column("rich").to_pylist()) == Counter(MADE.column("rich").to_pylist())
    assert changed(found, "rich").sum() == found.rows
    group = found.slice.partition("=")[2] if found.slice else ""
    pairs = Counter(zip(MADE.column("tram").to_pylist(), MADE.column("rich").to_pylist(), strict=True))
    after = Counter(
        zip(found.synthetic.column("tram").to_pylist(), found.synthetic.column("rich").to_pylist(), strict=True)
    )
    moved = [abs(after[group, c] - pairs[group, c]) for c in ("poor", "rich")]
    assert moved == [found.rows // 2] * 2


@pytest.mark.parametrize("severity", [0.02, 0.2, 0.5])
def test_drift_is_as_large_as_it_says(severity: float) -> None:
    for seed in range(4):
        found = plant("drift", severity, seed=seed)
        column = found.columns[0]
        gap = np.nanmean(planting.numbers(found.synthetic, column)) - np.nanmean(planting.numbers(MADE, column))
        assert abs(gap) / np.nanstd(planting.numbers(REAL, column)) == pytest.approx(severity, rel=0.35)


def test_an_impossible_pair_is_one_that_real_never_shows() -> None:
    found = planted("impossible_combination", 0.01)
    coded = [planting.levels(REAL, found.synthetic, SCHEMA[c], parts=10) for c in found.columns]
    assert coded[0] is not None
    assert coded[1] is not None
    shares, made = planting.crossed(coded[0], coded[1])
    assert made[shares == 0].sum() >= found.rows == 15


def test_rounding_leaves_fewer_values() -> None:
    found = planted("rounding", 0.5)
    column = found.columns[0]
    assert 2 * len(found.synthetic.column(column).unique()) <= len(MADE.column(column).unique())


def test_a_tail_is_cut() -> None:
    found = planted("tail_clipping", 0.05)
    before, after = (planting.numbers(t, found.columns[0]) for t in (MADE, found.synthetic))
    assert np.nanmax(after) < np.nanmax(before)
    assert np.nansum(after != before) - np.isnan(after).sum() == found.rows


def test_contamination_keeps_values_and_breaks_rows() -> None:
    found = planted("contamination", 0.25)
    for column in MADE.column_names:
        assert set(found.synthetic.column(column).to_pylist()) <= set(MADE.column(column).to_pylist())
    fresh = rows(found.synthetic) - rows(MADE)
    assert sum(fresh.values()) > 0.9 * found.rows


def test_a_block_stands_twice() -> None:
    found = planted("duplicated_block", 0.1)
    assert found.synthetic.num_rows == MADE.num_rows
    assert sum(1 for count in rows(found.synthetic).values() if count > 1) >= 150


def test_a_time_leak_lies_after_the_last_real_day() -> None:
    found = planted("time_leak", 0.01)
    late = pc.sum(pc.greater(found.synthetic.column("day"), pc.max(REAL.column("day")))).as_py()
    assert late == found.rows == 15


def test_units_change_by_the_factor() -> None:
    found = planted("unit_change", 0.2)
    before, after = (planting.numbers(t, found.columns[0]) for t in (MADE, found.synthetic))
    struck = np.flatnonzero((after != before) & np.isfinite(before))
    assert struck.size == found.rows
    assert np.allclose(after[struck], 2.54 * before[struck], atol=0.5)


def test_spelling_changes_no_meaning() -> None:
    found = planted("category_spelling", 0.1)
    before, after = (t.column(found.columns[0]).to_pylist() for t in (MADE, found.synthetic))
    pairs = [(a, b) for a, b in zip(before, after, strict=True) if a != b]
    assert len(pairs) == found.rows
    assert all(a.strip().lower() == b.strip().lower() for a, b in pairs)


def test_cells_go_missing() -> None:
    found = planted("missingness_change", 0.05)
    gone = found.synthetic.column(found.columns[0]).null_count - MADE.column(found.columns[0]).null_count
    assert gone == found.rows == 75


@pytest.mark.parametrize("name", ["row_order", "column_order"])
def test_order_is_all_that_changes(name: str) -> None:
    found = planted(name, 1.0)
    assert rows(found.synthetic) == rows(MADE)
    assert not found.synthetic.equals(MADE)


def test_categories_are_renamed_one_to_one_on_both_sides() -> None:
    found = planted("recoded_categories", 1.0)
    assert found.real is not None
    assert sorted(rows(found.synthetic).values()) == sorted(rows(MADE).values())
    for column in ("city", "tram", "rich"):
        pairs = {
            (a, b)
            for old, new in ((REAL, found.real), (MADE, found.synthetic))
            for a, b in zip(old.column(column).to_pylist(), new.column(column).to_pylist(), strict=True)
        }
        assert len({a for a, _ in pairs}) == len({b for _, b in pairs}) == len(pairs)
        assert (None, None) in pairs or all(a is not None for a, _ in pairs)
    assert found.real.column("Größe").equals(REAL.column("Größe"))


def test_rows_are_dealt_once() -> None:
    found = planted("resampled_clean", 1.0)
    assert found.real is not None
    assert rows(found.real) + rows(found.synthetic) == rows(REAL) + rows(MADE)
    assert found.real.num_rows == REAL.num_rows
    assert found.real.schema.equals(REAL.schema)


def test_fine_rounding_moves_nothing_that_was_measured() -> None:
    found = planted("fine_rounding", 1.0)
    for column in ("Größe", "count"):
        before, after = (planting.numbers(t, column) for t in (MADE, found.synthetic))
        assert np.allclose(before, after, rtol=2e-9, equal_nan=True)


@pytest.mark.parametrize("kind", [pa.int8(), pa.uint16(), pa.int64(), pa.float32(), pa.float64()])
def test_numbers_keep_their_type_and_their_neighbours(kind: pa.DataType) -> None:
    one = pa.table({"x": pa.array([1, None, 3, 4], kind)})
    new = planting.with_numbers(one, "x", np.array([0, 3]), np.array([1e30, np.nan]))
    assert new.schema.equals(one.schema)
    assert new.column("x").to_pylist()[1:] == [None, 3, None]


def test_large_whole_numbers_that_are_not_struck_stay_exact() -> None:
    one = pa.table({"x": pa.array([2**62 + 1, 5])})
    assert planting.with_numbers(one, "x", np.array([1]), np.array([7.0])).column("x").to_pylist() == [2**62 + 1, 7]


def test_association_knows_the_ends() -> None:
    r = np.random.default_rng(0)
    a, b = r.integers(4, size=4000), r.integers(4, size=4000)

    def levels(codes: Any) -> planting.Levels:
        return planting.Levels("x", codes, codes, ("0", "1", "2", "3"))

    assert planting.association(levels(a), levels(a)) == pytest.approx(1.0)
    assert planting.association(levels(a), levels(b)) < 0.05
