"""Split and leakage: every row has its side for ever, and what crossed over is seen."""

from __future__ import annotations

import datetime

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_breast_cancer, load_wine

from sterling.kernel.dataset import Dataset, SplitRole
from sterling.kernel.errors import InputError, UnrelatedInput
from sterling.kernel.seeds import stream
from sterling.modalities.tabular import from_table, row_hashes, with_roles
from sterling.sources.leakage import leakage
from sterling.sources.split import split


def people(n: int, *, seed: int = 0) -> pa.Table:
    rng = stream(seed, "people")
    return pa.table(
        {
            "age": rng.integers(18, 90, n),
            "score": rng.normal(size=n),
            "sex": rng.choice(["F", "M"], n),
            "home": rng.integers(0, max(n // 5, 1), n),
            "when": pa.array(rng.integers(0, 10**6, n), pa.timestamp("s")),
        }
    )


def declared(table: pa.Table, **roles: str) -> Dataset:
    plain = from_table(table)
    return from_table(table, name="people", schema=with_roles(plain.schema, **roles))


def rows(dataset: Dataset) -> list[int]:
    return sorted(row_hashes(dataset.table()).tolist())


def test_parts_are_disjoint_whole_and_named() -> None:
    whole = from_table(people(5000), name="people")
    train, holdout = split(whole)
    assert sorted(rows(train) + rows(holdout)) == rows(whole)
    assert (train.split, holdout.split) == (SplitRole.TRAIN, SplitRole.HOLDOUT)
    assert (train.name, holdout.name) == ("people (train)", "people (holdout)")
    assert train.lineage.parents == holdout.lineage.parents == (whole.fingerprint,)
    assert len({whole.fingerprint, train.fingerprint, holdout.fingerprint}) == 3
    assert train.schema == holdout.schema == whole.schema


def test_share_is_met_within_binomial_noise() -> None:
    whole = from_table(people(20_000))
    for share in (0.1, 0.2, 0.5):
        for salt in ("a", "b", "c"):
            n = split(whole, holdout=share, salt=salt)[1].rows
            assert abs(n - share * 20_000) < 4 * np.sqrt(20_000 * share * (1 - share))


def test_equal_rows_are_dealt_out_like_all_others() -> None:
    # 4,000 equal rows must not all fall on one side.
    same = from_table(pa.table({"x": [1] * 4000}))
    assert abs(split(same)[1].rows - 800) < 4 * np.sqrt(4000 * 0.16)


@settings(max_examples=25, deadline=None)
@given(cells=st.lists(st.sampled_from([1, 2, 3]), min_size=1, max_size=30), data=st.data())
def test_a_row_keeps_its_side_in_any_order_and_type(cells: list[int], data: st.DataObject) -> None:
    order = data.draw(st.permutations(range(len(cells))))
    one = split(from_table(pa.table({"x": cells, "y": ["u"] * len(cells)})), holdout=0.4)
    moved = pa.table({"y": pa.array(["u"] * len(cells)).dictionary_encode(), "x": [float(cells[i]) for i in order]})
    two = split(from_table(moved), holdout=0.4)
    assert [s.fingerprint for s in one] == [s.fingerprint for s in two]


def test_declaring_a_target_moves_no_row() -> None:
    table = people(500)
    assert split(from_table(table))[0].fingerprint == split(declared(table, target="sex"))[0].fingerprint


def test_an_entity_stays_together() -> None:
    train, holdout = split(declared(people(5000), entity="home"))
    assert not set(train.table()["home"].to_pylist()) & set(holdout.table()["home"].to_pylist())
    assert abs(holdout.rows / 5000 - 0.2) < 0.06


def test_rows_without_an_entity_stand_for_themselves() -> None:
    train, holdout = split(
        declared(pa.table({"x": np.arange(1000.0), "home": pa.nulls(1000, pa.string())}), entity="home")
    )
    assert 0 < holdout.rows < train.rows


def test_the_latest_rows_are_the_holdout_and_ties_stay_together() -> None:
    train, holdout = split(declared(people(1000), time="when"))
    assert max(train.table()["when"].to_pylist()) < min(holdout.table()["when"].to_pylist())
    assert abs(holdout.rows - 200) <= 1
    days = [datetime.date(2020, 1, 1 + i % 3) for i in range(300)]
    train, holdout = split(declared(pa.table({"x": np.arange(300.0), "when": days}), time="when"))
    assert set(holdout.table()["when"].to_pylist()) == {datetime.date(2020, 1, 3)}
    constant = pa.table({"x": np.arange(10.0), "when": [datetime.date(2020, 1, 1)] * 10})
    assert split(declared(constant, time="when"))[1].rows == 0
    unknown = pa.table({"x": np.arange(10.0), "when": pa.nulls(10, pa.timestamp("s"))})
    assert split(declared(unknown, time="when"))[0].rows == 10


def test_entity_and_time_together() -> None:
    train, holdout = split(declared(people(3000), entity="home", time="when"))
    assert not set(train.table()["home"].to_pylist()) & set(holdout.table()["home"].to_pylist())
    assert abs(holdout.rows / 3000 - 0.2) < 0.02


@pytest.mark.parametrize("n", [0, 1, 2])
@pytest.mark.parametrize("roles", [{}, {"entity": "home"}, {"time": "when"}])
def test_tiny_sets_are_split_without_complaint(n: int, roles: dict[str, str]) -> None:
    train, holdout = split(declared(people(3).slice(0, n), **roles))
    assert train.rows + holdout.rows == n


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1, 2.0, float("nan")])
def test_a_share_that_is_none_is_refused(share: float) -> None:
    with pytest.raises(InputError, match="between 0 and 1"):
        split(from_table(people(10)), holdout=share)


def test_another_salt_is_another_split() -> None:
    whole = from_table(people(500))
    assert split(whole)[0].fingerprint == split(whole)[0].fingerprint
    assert split(whole)[0].fingerprint != split(whole, salt="other")[0].fingerprint


# Leakage
COARSE = ["age", "sex"]


@pytest.mark.parametrize("columns", [COARSE, ["age", "score", "sex"], ["score"]])
def test_a_clean_split_alarms_nobody(columns: list[str]) -> None:
    for seed in range(30):
        found = leakage(*split(from_table(people(1500, seed=seed).select(columns))))
        assert (found.exact, found.near) == (0, 0), found.sentence


@pytest.mark.parametrize("load", [load_breast_cancer, load_wine])
def test_real_tables_do_not_leak_when_split(load) -> None:
    frame = load(as_frame=True).frame
    found = leakage(*split(from_table(pa.Table.from_pandas(frame))))
    assert (found.exact, found.near) == (0, 0)


def test_copied_rows_are_found_exactly() -> None:
    train, holdout = split(from_table(people(2000)))
    poisoned = from_table(pa.concat_tables([holdout.table(), train.table().slice(0, 25)]))
    found = leakage(train, poisoned)
    assert (found.exact, found.exact_seen, found.natural_exact) == (25, 25, 0.0)
    assert found.examples[0] >= holdout.rows
    assert found.share == pytest.approx((found.exact + found.near) / poisoned.rows)
    assert "25 of" in found.sentence


def test_copies_among_natural_duplicates_are_counted_beyond_them() -> None:
    train, holdout = split(from_table(people(3000).select(["age", "home", "sex"])))
    natural = leakage(train, holdout)
    poisoned = from_table(pa.concat_tables([holdout.table(), train.table().slice(0, 400)]))
    found = leakage(train, poisoned)
    assert natural.exact == 0
    assert natural.exact_seen > 0
    assert abs(found.exact - 400) < 60


def test_rows_with_one_cell_changed_are_near() -> None:
    train, holdout = split(from_table(people(2000)))
    touched = train.table().slice(0, 40)
    touched = touched.set_column(1, "score", pa.array(np.linspace(5, 6, 40)))
    found = leakage(train, from_table(pa.concat_tables([holdout.table(), touched])))
    assert (found.exact, found.near_seen) == (0, 40)
    assert found.near == 40


def test_new_keys_do_not_hide_a_copy() -> None:
    table = people(300).append_column("id", pa.array(range(300)))
    copy = table.set_column(5, "id", pa.array(range(1000, 1300)))
    assert leakage(from_table(table), from_table(copy)).exact == 300


def test_leakage_of_little_and_of_strangers() -> None:
    one = from_table(people(3))
    assert leakage(one, from_table(people(3).slice(0, 0))).share == 0.0
    assert leakage(from_table(people(3).slice(0, 0)), one).exact == 0
    with pytest.raises(UnrelatedInput):
        leakage(one, from_table(pa.table({"other": [1.5, 2.5]})))
