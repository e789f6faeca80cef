"""The generator `events`: whole entities, their clocks, and what follows from what."""

from __future__ import annotations

import datetime
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from sterling.generators.events import Events
from sterling.kernel.dataset import Dataset
from sterling.kernel.errors import InputError
from sterling.modalities.tabular import from_table, with_roles
from sterling.stats.event_features import clock_of, moment_codes, moment_names, pull_of


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def declared(columns: Any, *, entity: str | None = "who", time: str | None = "when") -> Dataset:
    data = from_table(pa.table(columns))
    return replace(data, schema=with_roles(data.schema, entity=entity, time=time))


def made(data: Dataset, n: int | None = None, *, seed: int = 1, given: Any = None, **settings: Any) -> Any:
    generator = Events(**settings)
    fitted = generator.fit(data, rng=rng(seed))
    batches = generator.sample(fitted, n or data.rows, rng=rng(seed + 1), given=given)
    table = pa.concat_tables(list(batches))
    assert table.num_rows == (n or data.rows)
    assert table.schema.equals(data.table().schema)
    return table.to_pandas()


def panel(entities: int = 300, *, seed: int = 0) -> dict[str, Any]:
    """People over years, some years missing: age goes on, a wage follows the last one, sex stays."""
    r = rng(seed)
    who = np.repeat(np.arange(entities), 8)
    year = np.tile(np.arange(2001, 2009), entities)
    sex, born = np.repeat(r.choice(["F", "M"], entities), 8), np.repeat(r.integers(1940, 1980, entities), 8)
    level = np.repeat(r.normal(0, 2, entities), 8)
    wage = np.zeros(who.size)
    for i in range(who.size):
        wage[i] = level[i] + (0.6 * (wage[i - 1] - level[i]) if i % 8 else 0) + r.normal()
    kept = (r.random(who.size) < 0.8) | (year == 2001)
    rows = {"who": who, "when": year, "sex": sex, "age": year - born, "wage": wage, "ill": r.random(who.size) < 0.1}
    return {name: values[kept] for name, values in rows.items()}


def follows(frame: Any, column: str) -> float:
    """Lag-one correlation within entities."""
    last = frame.groupby("who", sort=False)[column].shift(1)
    return float(frame[column].corr(last))


def test_a_panel_keeps_its_people_its_years_and_what_follows() -> None:
    data = declared(panel())
    real, synthetic = data.table().to_pandas(), made(data)
    groups = synthetic.groupby("who", sort=False)
    assert not set(synthetic["who"]) & set(real["who"])
    assert (groups["sex"].nunique() == 1).all()
    assert (groups["when"].diff().dropna() >= 1).all()  # in order, no year twice
    assert set(synthetic["when"]) == set(range(2001, 2009))
    steps = synthetic["age"] - groups["age"].shift(1) - groups["when"].diff()
    assert (steps.dropna() == 0).mean() > 0.98
    assert abs(follows(synthetic, "wage") - follows(real, "wage")) < 0.06
    between = [f.groupby("who")["wage"].mean().std() for f in (real, synthetic)]
    assert abs(between[1] / between[0] - 1) < 0.15
    sizes = [f.groupby("who").size().mean() for f in (real, synthetic)]
    assert abs(sizes[0] - sizes[1]) < 0.3


def test_rows_made_without_entities_in_mind_lose_what_follows() -> None:
    from sterling.generators.cart import Cart

    data = declared(panel())
    fitted = Cart().fit(data, rng=rng())
    naive = pa.concat_tables(list(Cart().sample(fitted, data.rows, rng=rng(1)))).to_pandas()
    assert abs(follows(naive, "wage")) < 0.3 < follows(made(data), "wage")


def test_hourly_series_keep_grid_day_and_year() -> None:
    hours = np.arange(24 * 365)
    r = rng(2)
    noise = np.zeros(hours.size)
    for i in range(1, hours.size):
        noise[i] = 0.95 * noise[i - 1] + r.normal()
    heat = 15 * np.cos(2 * np.pi * hours / hours.size) + 5 * np.cos(2 * np.pi * hours / 24) + noise
    when = pa.array((hours * 3600 + 1_577_836_800) * 10**6, pa.timestamp("us"))
    data = declared({"when": when, "heat": np.round(heat, 1)}, entity=None)
    real, synthetic = data.table().to_pandas(), made(data)
    assert (synthetic["when"].diff().dropna() == datetime.timedelta(hours=1)).all()
    for part in ("hour", "month"):
        profiles = [f.groupby(getattr(f["when"].dt, part))["heat"].mean() for f in (real, synthetic)]
        assert float((profiles[0] - profiles[1]).abs().max()) < 3.5, part
    assert abs(synthetic["heat"].corr(synthetic["heat"].shift(1)) - real["heat"].corr(real["heat"].shift(1))) < 0.03
    longer = made(data, 10_000)
    assert (longer["when"].diff().dropna() == datetime.timedelta(hours=1)).all()


def test_irregular_visits_keep_opening_hours_and_the_end_of_the_study() -> None:
    r = rng(3)
    rows: list[tuple[int, int]] = []
    for who in range(300):
        day = int(r.integers(0, 60))
        while day < 365:
            rows.append((who, (19_000 + day) * 86_400 + int(r.integers(8 * 60, 18 * 60)) * 60))
            day += int(r.integers(1, 90))
    who, when = np.array(rows).T
    data = declared({"who": who, "when": pa.array(when, pa.timestamp("s")), "x": r.normal(size=who.size)})
    real, synthetic = data.table().to_pandas(), made(data)
    assert synthetic["when"].dt.hour.between(8, 17).mean() > 0.98
    assert synthetic["when"].max() <= real["when"].max()
    gaps = [f.groupby("who")["when"].diff().dropna().dt.days for f in (real, synthetic)]
    assert (gaps[1] >= 0).all()
    assert abs(gaps[0].mean() - gaps[1].mean()) < 4


def test_ties_and_missing_times_and_nameless_rows_are_outcomes() -> None:
    r = rng(4)
    who = np.repeat(np.arange(200), 5)
    when = np.cumsum(r.choice([0, 1, 7], who.size, p=[0.5, 0.25, 0.25])) % 400 + 18_000
    when = np.sort(when.reshape(-1, 5), axis=1).ravel()
    data = declared(
        {
            "who": pa.array(np.append(who, np.arange(100)), mask=np.arange(1100) >= 1000),
            "when": pa.array(np.append(when, when[:100]).astype(np.int32), mask=r.random(1100) < 0.1).cast(pa.date32()),
            "x": pa.array(r.normal(size=1100), mask=r.random(1100) < 0.3),
        }
    )
    synthetic = made(data, 4000)
    assert abs(synthetic["when"].isna().mean() - 0.1) < 0.03
    assert abs(synthetic["x"].isna().mean() - 0.3) < 0.04
    assert abs(synthetic["who"].isna().mean() - 1 / 11) < 0.03
    named = synthetic[synthetic["who"].notna()]
    days = named["when"].map(lambda d: np.nan if d is None else d.toordinal()).astype(float)
    gaps = days.groupby(named["who"], sort=False).diff().dropna()
    assert (gaps >= 0).all()
    assert 0.3 < (gaps == 0).mean() < 0.7


def test_lengths_add_up_and_only_the_last_is_cut() -> None:
    data = declared(
        {"who": np.repeat(np.arange(60), 5), "when": np.tile(np.arange(5), 60), "x": rng().normal(size=300)}
    )
    sizes = made(data, 52).groupby("who", sort=False).size().tolist()
    assert sizes == [5] * 10 + [2]


def test_given_columns_of_entities_are_held() -> None:
    data = declared(panel())
    given = pa.table({"sex": ["F"] * 150 + ["M"] * 250})
    synthetic = made(data, 400, given=given, first=("sex",))
    assert synthetic["sex"].tolist() == given["sex"].to_pylist()
    assert (synthetic.groupby("who")["sex"].nunique() == 1).all()
    named = pa.table({"who": np.repeat([7, 5, 900], [3, 1, 6]), "sex": ["F"] * 3 + ["M"] * 7})
    synthetic = made(data, 10, given=named, first=("sex",))
    assert synthetic["who"].tolist() == named["who"].to_pylist()
    assert (synthetic.groupby("who")["when"].diff().dropna() >= 1).all()
    for column in ({"wage": np.zeros(10)}, {"when": np.full(10, 2003)}):
        with pytest.raises(InputError, match="changes from event to event"):
            made(data, 10, given=pa.table(column))


@pytest.mark.parametrize(
    "columns",
    [
        {"who": [1], "when": [2000]},
        {"who": [1] * 30, "when": list(range(30)), "x": list(range(30))},
        {"who": list(range(30)), "when": [5] * 30, "x": ["a", "b", None] * 10},
        {"who": [1, 2] * 20, "when": [7] * 40, "x": [0.5, None] * 20},
        {"who": ["é", "東"] * 20, "when": list(range(40))[::-1], "x": [float("inf"), 1.0, float("nan"), 2.0] * 10},
        {"who": [1.0, None] * 20, "when": [None, 3.5] * 20, "x": [True, False] * 20},
        {"who": pa.nulls(30, pa.string()), "when": list(range(30)), "x": list(range(30))},
        {"who": [1, 1, 2] * 10, "when": pa.nulls(30, pa.float64()), "x": list(range(30))},
        {"who": [1, 1, 2] * 10, "when": ["2024-01-31 10:00", "2024-02-01 10:00", None] * 10, "x": list(range(30))},
    ],
    ids=["one row", "one entity", "one event", "one time", "infinite", "floats", "no name", "no time", "text"],
)
def test_odd_tables_of_events_are_borne(columns: dict[str, Any]) -> None:
    data = declared(columns)
    for n in (1, 40):
        made(data, n)
    made(declared(columns, time=None), 20)
    made(declared({k: v for k, v in columns.items() if k != "who"}, entity=None), 20)


def test_times_that_are_no_times_are_refused() -> None:
    data = declared({"who": [1, 1, 2] * 10, "when": ["soon", "later", "never"] * 10})
    with pytest.raises(InputError, match="numbers or dates"):
        Events().fit(data, rng=rng())


def test_clocks_know_dates_moments_and_quiet_nights() -> None:
    evening = 86_400.0 * 19_000 + 72_000.0
    clock, ticks = clock_of(np.array([evening + 3600.0 * i for i in range(6)]), kind="datetime")
    assert (clock.kind, clock.tick, ticks.tolist()) == ("moment", 3600.0, list(range(6)))
    assert np.unique(clock.days(ticks)).size == 1  # a night out is one day
    assert len(moment_names(clock)) == len(moment_codes(clock, ticks))
    assert clock_of(np.array([86_400.0 * i for i in range(5)]), kind="datetime")[0].kind == "date"
    years, ticks = clock_of(np.array([2001.0, 2003.0, np.nan]), kind="number")
    assert (years.tick, ticks.tolist()) == (2.0, [0, 1, 0])


def test_what_goes_on_by_changes_is_told_from_what_is_drawn_anew() -> None:
    r = rng(5)
    base = r.integers(20, 60, 3000).astype(float)
    gaps = r.integers(1, 4, 3000)
    age = pull_of(np.array(base + gaps, dtype=np.float64), base, gaps)
    assert age is not None
    assert age.weight == 1.0
    assert pull_of(r.normal(size=3000), r.normal(size=3000), gaps) is None
