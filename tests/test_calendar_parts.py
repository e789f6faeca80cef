"""Dates taken apart and put together again: nothing is lost, and habits are kept by a generator that sees the parts."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from sterling.generators.cart import Cart
from sterling.kernel.schema import Kind
from sterling.modalities.tabular import from_table
from sterling.modalities.tabular.calendar_parts import join, part, part_table, parted_columns

START = 19_000  # a Saturday in January 2022, in days since 1970


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def clinic(n: int = 4000) -> pa.Table:
    """Emergencies at any hour, check-ups in office hours of weekdays."""
    r = rng()
    planned = r.random(n) < 0.6
    days = START + r.integers(0, 700, n)
    days = np.where(planned & ((days + 3) % 7 >= 5), days - 2, days)
    hours = np.where(planned, r.integers(8, 17, n), r.integers(0, 24, n))
    seconds = days * 86400 + hours * 3600 + 300 * r.integers(12, size=n)
    return pa.table({
        "when": pa.array(seconds.astype(np.int64), pa.timestamp("s"), mask=r.random(n) < 0.1),
        "kind": np.where(planned, "check-up", "emergency").tolist(),
        "day": pa.array(days.astype(np.int32), pa.int32()).cast(pa.date32()),
    })  # fmt: skip


@pytest.mark.parametrize("kind", [pa.timestamp("s"), pa.timestamp("ns"), pa.timestamp("us", tz="Europe/Berlin")])
def test_parts_give_the_same_dates_back(kind: pa.DataType) -> None:
    table = clinic()
    table = table.set_column(0, "when", table["when"].cast(pa.timestamp("s")).cast(kind))
    data = from_table(table)
    columns = parted_columns(data)
    assert [c.name for c in columns] == ["when", "day"]
    parts = part(data, columns)
    assert parts.schema.names == (
        "when (week)", "when (weekday)", "when (time of day)", "kind", "day (week)", "day (weekday)"
    )  # fmt: skip
    assert parts.schema["day (weekday)"].kind is Kind.CATEGORY
    assert join(parts.table(), columns).equals(data.table())
    assert join(part_table(table, columns), columns).equals(table)


def test_a_generator_that_sees_the_parts_keeps_weekdays_and_hours() -> None:
    data = from_table(clinic())
    columns = parted_columns(data)
    late: dict[str, float] = {}
    for name, used in {"whole": (), "parts": columns}.items():
        fitted = Cart().fit(part(data, used), rng=rng(1))
        made = join(pa.concat_tables(list(Cart().sample(fitted, 4000, rng=rng(2)))), used)
        assert made.schema.equals(data.table().schema)
        planned = made.filter(pa.compute.equal(made["kind"], "check-up"))["when"].drop_null()
        seconds = np.asarray(planned.cast(pa.int64()))
        hour, weekday = seconds // 3600 % 24, (seconds // 86400 + 3) % 7
        late[name] = float(np.mean((hour < 8) | (hour >= 17) | (weekday >= 5)))
        old, new = np.asarray(data.table()["day"].cast(pa.int32())), np.asarray(made["day"].cast(pa.int32()))
        assert old.min() <= new.min()
        assert new.max() <= old.max()
    assert late["parts"] < 0.03
    assert late["whole"] > 3 * late["parts"]


def test_dates_without_habits_or_history_stay_whole() -> None:
    r = rng()
    flat = pa.array((START + r.integers(0, 700, 4000)).astype(np.int32), pa.int32()).cast(pa.date32())
    assert parted_columns(from_table(pa.table({"d": flat, "x": r.normal(size=4000)}))) == ()
    table = clinic()
    assert parted_columns(from_table(table.slice(0, 100))) == ()
    assert parted_columns(from_table(table), keep=("when", "day")) == ()
    short = pa.array(r.integers(0, 86400 * 20, 4000), pa.timestamp("s"))
    assert parted_columns(from_table(pa.table({"t": short, "x": r.normal(size=4000)}))) == ()


@pytest.mark.parametrize("cells", [[None] * 600, [0] * 600, [-(10**11), 10**11] * 300])
def test_odd_dates_are_borne(cells: list[int | None]) -> None:
    data = from_table(pa.table({"t": pa.array(cells, pa.timestamp("s")), "x": np.arange(600.0)}))
    columns = parted_columns(data)
    assert join(part(data, columns).table(), columns).equals(data.table())
