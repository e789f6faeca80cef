"""Copies of unique training rows: as many as chance makes, whoever made them."""

from __future__ import annotations

import pickle
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pytest

from sterling.modalities.tabular import from_table, with_roles
from sterling.modalities.tabular.copy_guard import CopyGuard, without_excess

if TYPE_CHECKING:
    from sterling.kernel.view import Ints


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def people(n: int, seed: int, *, columns: int = 5) -> pa.Table:
    """Coarse rows with dense middles and rare edges, and a key."""
    r = rng(seed)
    z = r.normal(size=n)
    cells = {f"c{j}": np.round(1.5 * z + r.normal(size=n)).astype(int) for j in range(columns)}
    return pa.table({"id": [f"P{seed}-{i:06d}" for i in range(n)], **cells, "sex": r.choice(["F", "M"], n)})


def drawn(table: pa.Table, n: int, seed: int) -> pa.Table:
    return table.take(pa.array(rng(seed).integers(table.num_rows, size=n)))


def test_known_answer() -> None:
    train = pa.table({"a": [1, 2, 3, 3, 4, 4, 4], "b": ["x", "x", "y", "y", "z", "z", "z"]})
    guard = CopyGuard.of(from_table(train))
    # Two unique rows; the pair says that two of seven rows meet a row that is unique among all others.
    assert guard.hashes.size == 2
    assert guard.rate == pytest.approx(2 / 7)
    batch = pa.table({"a": [1.0, 2.0, 2.0, 3.0, 9.0], "b": ["x", "x", "y", "y", "z"]})
    assert (guard.copied(batch) >= 0).tolist() == [True, True, False, False, False]


def test_the_rate_is_that_of_fresh_rows_and_of_split_halves() -> None:
    told, met, halves = [], [], []
    for seed in range(12):
        train, fresh = people(3000, 2 * seed), people(3000, 2 * seed + 1)
        guard = CopyGuard.of(from_table(train))
        told.append(guard.rate)
        met.append(float((guard.copied(fresh) >= 0).mean()))
        half = CopyGuard.of(from_table(train.slice(0, 1500)))
        halves.append((half.rate, float((half.copied(train.slice(1500)) >= 0).mean())))
    assert np.mean(told) == pytest.approx(np.mean(met), rel=0.05)
    assert np.mean([a for a, _ in halves]) == pytest.approx(np.mean([b for _, b in halves]), rel=0.05)


def test_rare_rows_are_met_by_chance_less_often() -> None:
    guard = CopyGuard.of(from_table(people(20_000, 0)))
    fresh = guard.copied(people(20_000, 1))
    share = np.bincount(fresh[fresh >= 0], minlength=guard.rates.size) / 20_000
    assert guard.rates[0] > 20 * guard.rates[-1]
    assert np.all(np.abs(share - guard.rates) < 5 * np.sqrt(guard.rates / 20_000) + 3e-4)


def test_a_memoriser_is_brought_to_the_natural_rate_in_every_stratum() -> None:
    train = people(5000, 0, columns=6)
    guard = CopyGuard.of(from_table(train))
    batch = drawn(train, 5000, 1)
    excess = guard.excess(batch)
    kept = guard.copied(batch.filter(pa.array(~excess)))
    counts = np.bincount(kept[kept >= 0], minlength=guard.rates.size)
    assert np.all(np.abs(counts - guard.rates * 5000) <= 1)
    assert excess.mean() > 0.5

    # Half of what it makes is copied: redrawing leaves the natural number and no more.
    def remake(rows: Ints) -> pa.Table:
        mixed = pa.concat_tables([drawn(train, rows.size, rows.size), people(rows.size, rows.size + 7, columns=6)])
        return mixed.take(pa.array(rng(rows.size).permutation(2 * rows.size)[: rows.size]))

    made, told = without_excess(guard, batch, remake)
    copies = guard.copied(made) >= 0
    assert told.redrawn >= excess.sum()
    assert told.replaced == told.left == 0
    assert abs(copies.sum() - guard.rate * 5000) < 4 * np.sqrt(guard.rate * 5000) + 5


def test_an_innocent_generator_is_hardly_touched_and_leaves_no_hole() -> None:
    flagged, copies, expected = 0, 0, 0.0
    for seed in range(40):
        guard = CopyGuard.of(from_table(people(1500, 3 * seed)))
        batch = people(1500, 3 * seed + 1)
        excess = guard.excess(batch)
        flagged += int(excess.sum())
        copies += int((guard.copied(batch.filter(pa.array(~excess))) >= 0).sum())
        expected += guard.rate * 1500
    assert flagged < 0.03 * expected
    assert copies == pytest.approx(expected, rel=0.06)


def test_keys_do_not_hide_a_copy_and_types_do_not_either() -> None:
    train = people(2000, 0, columns=8)
    guard = CopyGuard.of(from_table(train))
    disguised = train.set_column(0, "id", pa.array([f"N{i}" for i in range(2000)]))
    disguised = disguised.set_column(1, "c0", disguised["c0"].cast(pa.float32()))
    disguised = disguised.set_column(9, "sex", disguised["sex"].dictionary_encode())
    assert (guard.copied(disguised) >= 0).sum() == guard.hashes.size


def test_twenty_equal_rows_of_one_patient_are_one_patient() -> None:
    train = pa.table({"patient": np.repeat(np.arange(50), 20), "x": np.repeat(rng().normal(size=50), 20)})
    data = from_table(train)
    assert CopyGuard.of(data).hashes.size == 0
    owned = replace(data, schema=with_roles(data.schema, entity="patient"))
    guard = CopyGuard.of(owned)
    assert guard.hashes.size == 50
    assert guard.rate == 0
    assert guard.excess(train).all()


def test_what_can_only_be_copied_ends_and_is_said() -> None:
    train = pa.table({"k": [f"K{i}" for i in range(60)], "x": np.arange(60) * np.pi})
    guard = CopyGuard.of(from_table(train))
    calls = []

    def remake(rows: Ints) -> pa.Table:
        calls.append(rows.size)
        return train.take(pa.array(rows))

    made, told = without_excess(guard, train, remake, rounds=3)
    assert calls == [60, 60, 60]
    assert (told.redrawn, told.replaced, told.left) == (180, 0, 60)
    assert made.equals(train)
    # One row that is no copy lends its columns, but not its key.
    batch = train.set_column(1, "x", pa.array([1.0, *(np.arange(1, 60) * np.pi)]))
    made, told = without_excess(guard, batch, lambda rows: batch.take(pa.array(rows)), rounds=1)
    assert (told.replaced, told.left) == (59, 0)
    assert made["x"].to_pylist() == [1.0] * 60
    assert len(set(made["k"].to_pylist())) == 60
    assert without_excess(guard, train, remake, rounds=0, stuck="leave")[1].left == 60


def test_a_tiny_discrete_table_does_not_loop() -> None:
    train = pa.table({"a": [0, 1, 1, 0, 2], "b": [True, False, False, True, None]})
    guard = CopyGuard.of(from_table(train))
    _, told = without_excess(guard, drawn(train, 5, 0), lambda rows: drawn(train, rows.size, 3))
    assert told.redrawn < 40


@pytest.mark.parametrize(
    "train",
    [
        {"x": [1.0]},
        {"constant": ["x"] * 30},
        {"gone": pa.nulls(30)},
        {"id": [f"k{i}" for i in range(30)]},
        {"wild": [np.inf, -np.inf, np.nan, 0.5], "Ünal": ["東京", "", None, "a"]},
        {"x": pa.array([], pa.int64())},
    ],
    ids=lambda t: "+".join(t),
)
def test_odd_tables_are_borne(train: dict[str, object]) -> None:
    table = pa.table(train)
    guard = pickle.loads(pickle.dumps(CopyGuard.of(from_table(table))))
    assert guard.excess(table).shape == (table.num_rows,)
    assert not guard.excess(table.slice(0, 0)).size


def test_the_same_batch_gives_the_same_answer() -> None:
    train = people(500, 0)
    guard, batch = CopyGuard.of(from_table(train)), drawn(train, 400, 1)
    assert np.array_equal(guard.excess(batch), guard.excess(batch))
