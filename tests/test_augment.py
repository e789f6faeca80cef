"""`augment rake`: a table mended by drawing its rows anew, and the account that is given of it."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq
import pytest

import sterling
from sterling.api.augment import augment, lineage_of
from sterling.augmenters.rake import Rake
from sterling.kernel import registry
from sterling.kernel.dataset import Dataset, Lineage, Origin
from sterling.kernel.errors import InputError, UnknownName
from sterling.kernel.protocols import FittingAugmenter, TellingAugmenter
from sterling.modalities.tabular import from_table, with_roles
from sterling.modalities.tabular.totals import parse_totals


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def people(n: int, *, tie: float, seed: int) -> pa.Table:
    """Sex and job tied to each other, an age, and a key."""
    r = rng(seed)
    sex = r.integers(0, 2, n)
    job = np.where(r.random(n) < tie, sex, r.integers(0, 2, n))
    return pa.table(
        {
            "id": [f"P{i}" for i in range(n)],
            "sex": np.array(["F", "M"])[sex],
            "job": pa.array(np.array(["nurse", "smith"])[job], mask=r.random(n) < 0.05),
            "age": r.integers(18, 80, n),
        }
    )


def agreement(table: pa.Table) -> float:
    sex, job = (np.array(table[name].to_pylist(), dtype=object) for name in ("sex", "job"))
    known = np.array([j is not None for j in job])
    return float(np.mean((sex[known] == "M") == (job[known] == "smith")))


def test_the_registry_finds_it_and_its_settings_are_told() -> None:
    assert registry.resolve("augmenters", "rake") is Rake
    assert all(f.name in (Rake.__doc__ or "") for f in fields(Rake))
    assert isinstance(Rake(), FittingAugmenter)
    fitted = Rake().fit(from_table(people(50, tie=0.5, seed=1)), rng=rng())
    assert isinstance(fitted, TellingAugmenter)
    assert pickle.loads(pickle.dumps(Rake(cap=4.0))) == Rake(cap=4.0)


def test_a_broken_tie_is_mended_and_the_origin_is_noted() -> None:
    real, made = people(4000, tie=0.7, seed=1), people(8000, tie=0.1, seed=2)
    told = Rake(rows=3000).fit(from_table(real), rng=rng()).augment(made, rng=rng(3))
    assert told.batch.num_rows == 3000
    assert agreement(made) < 0.6
    assert abs(agreement(told.batch) - agreement(real)) < 0.02
    assert set(told.batch["_sterling_origin"].to_pylist()) == {"augmented"}
    assert set(told.batch["_sterling_parent"].to_pylist()) == {from_table(made).fingerprint}
    assert set(told.batch["_sterling_depth"].to_pylist()) == {2}
    gaps = told.tables[0]
    assert next(row for row in gaps.rows if row[0] == "sex x job")[1] > 0.2
    assert next(row for row in gaps.rows if row[0] == "sex x job")[2] < 0.02


def test_same_seed_same_rows() -> None:
    real, made = people(500, tie=0.7, seed=1), people(900, tie=0.1, seed=2)
    fitted = Rake().fit(from_table(real), rng=rng())
    assert fitted.apply(made, rng=rng(3)).equals(fitted.apply(made, rng=rng(3)))
    assert not fitted.apply(made, rng=rng(3)).equals(fitted.apply(made, rng=rng(4)))


def test_keys_stay_unique_where_rows_are_drawn_twice() -> None:
    real, made = people(500, tie=0.9, seed=1), people(600, tie=0.0, seed=2)
    keys = Rake(rows=1200).fit(from_table(real), rng=rng()).apply(made, rng=rng(3))["id"].to_pylist()
    assert len(set(keys)) == 1200


def test_weights_instead_of_rows() -> None:
    real, made = people(2000, tie=0.7, seed=1), people(3000, tie=0.1, seed=2)
    out = Rake(output="weights").fit(from_table(real), rng=rng()).apply(made, rng=rng(3))
    weights = out["_sterling_weight"].to_numpy()
    assert out.num_rows == 3000
    assert weights.mean() == pytest.approx(1.0)
    same = np.array([s == "M" for s in out["sex"].to_pylist()]) == np.array(
        [j == "smith" for j in out["job"].to_pylist()]
    )
    known = np.array([j is not None for j in out["job"].to_pylist()])
    assert abs(np.average(same[known], weights=weights[known]) - agreement(real)) < 0.01


def test_totals_are_met_and_the_rest_follows() -> None:
    made = people(6000, tie=0.8, seed=2)
    text = "column,value,share\nsex,F,0.8\nsex,M,0.2\nage,18-39,0.5\nage,40+,0.5\n"
    out = Rake(totals=text).fit(None, rng=rng()).apply(made, rng=rng(3))
    assert np.mean([s == "F" for s in out["sex"].to_pylist()]) == pytest.approx(0.8, abs=0.005)
    assert np.mean(out["age"].to_numpy() < 40) == pytest.approx(0.5, abs=0.015)
    assert abs(agreement(out) - agreement(made)) < 0.03


def test_totals_of_two_columns_together_and_real_rows_beside_them() -> None:
    real, made = people(4000, tie=0.7, seed=1), people(8000, tie=0.1, seed=2)
    toml = '["sex & job"]\n"F & nurse" = 600\n"M & smith" = 300\n"F & missing" = 100\n'
    out = Rake(totals=toml).fit(None, rng=rng()).augment(made, rng=rng(3))
    assert agreement(out.batch) == 1.0
    assert any("do not name" in note for note in out.notes)
    both = Rake(totals="column,value,share\nsex,F,0.8\nsex,M,0.2").fit(from_table(real), rng=rng())
    mended = both.apply(made, rng=rng(3))
    assert np.mean([s == "F" for s in mended["sex"].to_pylist()]) == pytest.approx(0.8, abs=0.01)
    assert abs(agreement(mended) - agreement(real)) < 0.03


def test_what_cannot_be_met_is_named_and_few_effective_rows_are_said() -> None:
    real, made = people(3000, tie=0.7, seed=1), people(3000, tie=0.1, seed=2)
    only = made.filter(pa.compute.equal(made["sex"], "F"))
    told = Rake().fit(from_table(real), rng=rng()).augment(only, rng=rng(3))
    unmet = told.tables[1]
    assert unmet.owner_only
    assert unmet.rows[0][:2] == ("sex", "M")
    assert all("sex" not in row[0] for row in unmet.rows[1:])
    assert any("not every margin" in note for note in told.notes)
    rare = people(2000, tie=0.5, seed=2).set_column(1, "sex", pa.array(["F"] * 1990 + ["M"] * 10))
    assert any(
        ": few" in n
        for n in Rake(cap=100.0, columns=("sex",)).fit(from_table(real), rng=rng()).augment(rare, rng=rng(3)).notes
    )


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({}, "was given none"),
        ({"totals": "nonsense"}, "neither CSV nor TOML"),
        ({"totals": "a,b\n1,2"}, "column,value"),
        ({"totals": "column,value,share\nsex,F,0.8\nsex,M,0.8"}, "add up to 1.6"),
        ({"totals": "column,value,share\nsex,F,x"}, "line 2"),
        ({"totals": "column,value,share\nsex,F,0\nsex,M,0"}, "add up to nothing"),
        ({"totals": "column,value,share\nsex,F,.2\nsex,F,.3"}, "given twice"),
        ({"totals": "sex = 3"}, "no table"),
        ({"totals": "column,value,share\nage,old,1"}, "no number or range"),
        ({"totals": "column,value,share\nage,18-30,.5\nage,25-80,.5"}, "overlaps"),
        ({"totals": "column,value,share\nsexx,F,1"}, "did you mean 'sex'"),
        ({"totals": 'column,value,share\n"sex & job",F,1'}, "one value for each"),
    ],
)
def test_bad_totals_are_answered(settings: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError, match=told):
        Rake(**settings).fit(None, rng=rng()).apply(people(50, tie=0.5, seed=1), rng=rng())


@pytest.mark.parametrize("setting", [{"bins": 1}, {"cap": 1.0}, {"rounds": 0}, {"rows": -1}, {"band": -1.0}])
def test_settings_out_of_range_are_refused(setting: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        Rake(**setting)


@pytest.mark.parametrize(
    "table",
    [
        {"a": [1]},
        {"a": [1.0, None, float("inf"), -1e300]},
        {"ключ": ["а", "б", None, "в"], "a\nb": [1, 2, 3, 4]},
        {"many": [f"level {i}" for i in range(3000)], "x": list(range(3000))},
        {"gone": pa.nulls(5, pa.float64()), "x": [1, 1, 2, 2, 3]},
    ],
    ids=lambda t: next(iter(t)),
)
def test_odd_tables_are_borne(table: dict[str, Any]) -> None:
    rows = pa.table(table)
    out = Rake().fit(from_table(rows), rng=rng()).apply(rows, rng=rng(1))
    assert out.num_rows == rows.num_rows
    with pytest.raises(InputError, match="no rows"):
        Rake().fit(from_table(rows), rng=rng()).apply(rows.slice(0, 0), rng=rng(1))
    with pytest.raises(InputError, match="no rows"):
        Rake().fit(from_table(rows.slice(0, 0)), rng=rng())


def test_tables_that_share_nothing_are_refused() -> None:
    with pytest.raises(InputError, match="shares no column"):
        Rake().fit(from_table(pa.table({"a": [1, 2]})), rng=rng()).apply(pa.table({"b": [1, 2]}), rng=rng())
    with pytest.raises(UnknownName, match="sex"):
        Rake(columns=("sexx",)).fit(from_table(people(50, tie=0.5, seed=1)), rng=rng())


def test_four_hundred_and_ten_columns() -> None:
    real, made = rng(1).normal(size=(410, 60)), rng(2).normal(size=(410, 80))
    tables = [pa.table({f"c{k}": values[k] for k in range(410)}) for values in (real, made)]
    assert Rake(rounds=1).fit(from_table(tables[0]), rng=rng()).apply(tables[1], rng=rng()).num_rows == 80


def test_a_set_of_unknown_origin_does_not_come_out_as_known() -> None:
    train = from_table(people(50, tie=0.5, seed=1))
    stranger = from_table(people(50, tie=0.5, seed=2), origin=Origin.SYNTHETIC, lineage=Lineage(depth=1))
    ours = from_table(
        people(50, tie=0.5, seed=2),
        lineage=Lineage(generator="cart", parents=(train.fingerprint,), depth=1, fitted_on="real"),
    )
    made = lineage_of(stranger, train, run="rake")
    assert made.fitted_on == "unknown"
    assert train.fingerprint not in made.parents
    made = lineage_of(ours, train, run="rake")
    assert (made.fitted_on, made.depth) == ("real", 2)
    assert {train.fingerprint, ours.fingerprint} == set(made.parents)
    assert train.fingerprint in lineage_of(ours, None, run="rake").parents


def test_a_folder_keeps_lineage_and_a_file_the_columns_that_came_in(tmp_path: Path) -> None:
    real, made = people(600, tie=0.7, seed=1), people(900, tie=0.1, seed=2)
    told = augment("rake", made, real=real, out=tmp_path / "set", settings={"rows": 400}, seed=1)
    again = sterling.load(tmp_path / "set")
    assert again.origin is Origin.AUGMENTED
    assert again.rows == told.dataset.rows == 400
    assert again.lineage.depth == 2
    assert "_sterling_parent" in again.table().column_names
    augment("rake", made, real=real, out=tmp_path / "x.parquet", settings={"output": "weights"})
    assert pq.read_table(tmp_path / "x.parquet").column_names == [*made.column_names, "_sterling_weight"]


def test_the_command_says_what_changed(cli: Callable[..., Any], tmp_path: Path) -> None:
    pc.write_csv(people(800, tie=0.7, seed=1), tmp_path / "real.csv")
    pc.write_csv(people(1200, tie=0.1, seed=2), tmp_path / "made.csv")
    out = tmp_path / "out.csv"
    said = cli("augment", "rake", tmp_path / "made.csv", "--real", tmp_path / "real.csv", "-o", out, "--seed", "1")
    assert said.code == 0
    assert "sex x job" in said.out
    assert "equal rows" in said.out
    assert pc.read_csv(out).column_names == ["id", "sex", "job", "age"]
    assert max(map(len, said.out.splitlines())) <= 200
    again = cli("augment", "rake", tmp_path / "made.csv", "--real", tmp_path / "real.csv", "-o", tmp_path / "made.csv")
    assert again.code == 2
    assert "overwritten" in again.err
    assert cli("augment", "rakee", tmp_path / "made.csv", "-o", out).code == 2
    assert "rake" in cli("list", "augmenters").out


def test_totals_are_not_spelled_out_in_the_lineage() -> None:
    told = augment("rake", people(200, tie=0.5, seed=1), settings={"totals": "column,value,share\nsex,F,1"})
    assert told.dataset.lineage.generator == "rake(totals=...) of synthetic"


def weighted() -> Dataset:
    """Half F of weight 9, half M of weight 1; ages alike."""
    table = pa.table(
        {
            "sex": ["F"] * 500 + ["M"] * 500,
            "age": rng().integers(18, 80, 1000),
            "w": [9.0] * 500 + [1.0] * 500,
        }
    )
    real = from_table(table)
    return replace(real, schema=with_roles(real.schema, weight="w"))


def test_real_rows_count_by_their_weights() -> None:
    pool = pa.table({"sex": ["F", "M"] * 3000, "age": rng(1).integers(18, 80, 6000), "w": [5.0, 1.0] * 3000})
    told = Rake(rows=3000).fit(weighted(), rng=rng()).augment(pool, rng=rng(3))
    assert told.batch["sex"].to_pylist().count("F") == pytest.approx(2700, abs=15)
    assert not any("w" in str(row[0]).split(" x ") for row in told.tables[0].rows)
    assert any("weights, w," in note for note in told.notes)


def test_weights_are_where_totals_start() -> None:
    """Ages are brought to totals that they nearly have: the weighted shares of sex stay."""
    pool = pa.table({"sex": ["F", "M"] * 3000, "age": rng(1).integers(18, 80, 6000), "w": [5.0, 1.0] * 3000})
    text = "column,value,share\nage,18-39,0.4\nage,40+,0.6\n"
    made = Rake(rows=3000, totals=text).fit(weighted(), rng=rng()).apply(pool, rng=rng(3))
    assert made["sex"].to_pylist().count("F") == pytest.approx(2700, abs=60)


@pytest.mark.parametrize("bad", [-1.0, None, float("inf")])
def test_weights_that_cannot_be_are_refused(bad: float | None) -> None:
    real = from_table(pa.table({"sex": ["F", "M"] * 10, "w": pa.array([bad, *[1.5] * 19])}))
    real = replace(real, schema=with_roles(real.schema, weight="w"))
    with pytest.raises(InputError, match="1 weights that are missing"):
        Rake().fit(real, rng=rng()).apply(real.table(), rng=rng())


def test_toml_numbers_that_are_neither_shares_nor_counts_are_refused() -> None:
    for text in ("[sex]\nF = 0.6\nM = 0.6", "[sex]\nF = 51.5\nM = 48.5", "[sex]\nF = 0.9\nM = 0.9"):
        with pytest.raises(InputError, match="neither shares nor whole counts"):
            parse_totals(text)
    assert parse_totals("[sex]\nF = 30\nM = 10")[0].shares == (0.75, 0.25)
    assert parse_totals("[sex]\nF = 0.6\nM = 0.4")[0].shares == (0.6, 0.4)
