"""Gaps filled by draws from like rows; columns drawn anew."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import sterling
from sterling.kernel.errors import InputError, UnknownName
from sterling.kernel.estimate import Estimate
from sterling.kernel.finding import Status
from sterling.stats.histogram_trees import Growth
from sterling.stats.imputation import impute_ids
from sterling.stats.sequential_trees import Variable


def known(n: int = 3000, *, seed: int = 0) -> pa.Table:
    r = np.random.default_rng(seed)
    city = r.choice(["Łódź", "東京", "Köln"], n)
    rent = np.round(np.select([city == "Łódź", city == "東京"], [300.0, 900.0], 600.0) + r.normal(0, 20, n), 2)
    return pa.table(
        {"city": city, "rent": rent, "noise": r.choice(["a", "b"], n), "note": [f"row {i}" for i in range(n)]}
    )


def holed(table: pa.Table, *, seed: int = 1) -> pa.Table:
    """A third of three columns is lost."""
    r = np.random.default_rng(seed)
    for name in ("city", "rent", "noise"):
        gone = pa.array(r.random(table.num_rows) < 0.3)
        cells = pa.array(table[name].to_pylist(), mask=gone.to_numpy(zero_copy_only=False))
        table = table.set_column(table.column_names.index(name), name, cells)
    return table


def test_gaps_are_filled_as_the_other_columns_say_and_nothing_else_moves() -> None:
    truth, gaps = known(), holed(known())
    made = sterling.impute(gaps).sets[0].table()
    for name in ("city", "rent", "noise"):
        was, now = gaps[name].to_pylist(), made[name].to_pylist()
        assert made[name].null_count == 0
        assert all(w is None or w == v for w, v in zip(was, now, strict=True))
    lost = [
        i
        for i, (a, b) in enumerate(zip(gaps["city"].to_pylist(), gaps["rent"].to_pylist(), strict=True))
        if a is None and b
    ]
    right = np.mean([made["city"][i].as_py() == truth["city"][i].as_py() for i in lost])
    assert right > 0.97
    assert made["note"].to_pylist() == gaps["note"].to_pylist()


def test_spread_survives_for_cells_are_drawn_not_guessed() -> None:
    truth, made = known(), sterling.impute(holed(known())).sets[0].table()
    for city in ("Łódź", "Köln"):
        spread = [
            np.std([v for c, v in zip(t["city"].to_pylist(), t["rent"].to_pylist(), strict=True) if c == city])
            for t in (truth, made)
        ]
        assert spread[1] == pytest.approx(spread[0], rel=0.35)


def test_skill_is_seen_where_columns_depend_and_not_where_they_do_not() -> None:
    findings = {f.slice: f for f in sterling.impute(holed(known())).result.findings}
    city, noise = findings["city"].result, findings["noise"].result
    assert isinstance(city, Estimate)
    assert isinstance(noise, Estimate)
    assert city.low > 0.4
    assert findings["city"].status is Status.PASS
    assert noise.low < 0.1


def test_noise_is_rarely_called_skill() -> None:
    """Of columns that depend on nothing, at most one in ten or so is said to be found again."""
    said = 0
    for seed in range(20):
        r = np.random.default_rng(seed)
        table = pa.table({"a": pa.array(r.choice(["p", "q"], 800), mask=r.random(800) < 0.3), "b": r.normal(size=800)})
        said += sterling.impute(table, seed=seed).result.findings[0].status is Status.PASS
    assert said <= 4


def test_interval_covers_what_a_large_trial_says() -> None:
    """The truth is the skill over many hidden cells of the same law."""

    def skill(n: int, seed: int) -> Estimate:
        found = next(
            f
            for f in sterling.impute(holed(known(n, seed=seed), seed=seed), seed=seed).result.findings
            if f.slice == "city"
        )
        assert isinstance(found.result, Estimate)
        return found.result

    large = skill(40_000, 99).value
    covered = [e.low <= large + 0.02 and e.high >= large - 0.02 for e in (skill(4000, s) for s in range(15))]
    assert sum(covered) >= 12


def test_several_sets_differ_where_cells_were_missing(tmp_path: Path) -> None:
    made = sterling.impute(holed(known(400)), out=tmp_path / "full.csv", sets=3)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["full-1.csv", "full-2.csv", "full-3.csv"]
    assert len({s.fingerprint for s in made.sets}) == 3
    assert sterling.impute(holed(known(400)), sets=3).sets[1].fingerprint == made.sets[1].fingerprint


def test_a_column_is_drawn_anew_after_another_was_set() -> None:
    made = sterling.impute(known(), redraw=["rent"], fix=["city=東京"]).sets[0].table()
    assert set(made["city"].to_pylist()) == {"東京"}
    assert np.mean(made["rent"].to_numpy()) == pytest.approx(900, abs=15)
    assert made["noise"].to_pylist() == known()["noise"].to_pylist()


def test_gaps_that_may_mean_does_not_apply_are_named() -> None:
    n = 200
    table = pa.table(
        {
            "kind": ["single"] * n + ["joint"] * n,
            "partner_income": [None] * n + list(np.random.default_rng(0).normal(9, 1, n)),
        }
    )
    notes = " ".join(sterling.impute(table).result.notes)
    assert "partner_income is empty wherever kind=single" in notes


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"columns": ["city"]}, "no gaps to fill in city"),
        ({}, "no gaps to fill"),
        ({"fix": ["city=Köln"]}, "none is drawn anew"),
        ({"redraw": ["city"], "fix": ["city=Köln"]}, "both set and drawn anew"),
        ({"redraw": ["city", "rent", "noise", "note"]}, "every column"),
        ({"columns": ["cty"]}, "cty"),
        ({"sets": 0}, "0 sets"),
    ],
)
def test_unclear_wishes_are_refused(settings: dict, said: str) -> None:
    with pytest.raises((InputError, UnknownName), match=said):
        sterling.impute(known(60), **settings)


def test_what_cannot_be_learned_stays_empty() -> None:
    table = pa.table({"void": pa.nulls(50, pa.float64()), "x": pa.array([1.0, None] * 25)})
    made = sterling.impute(table).sets[0].table()
    assert made["void"].null_count == 50
    assert made["x"].null_count == 0
    with pytest.raises(InputError, match="void"):
        sterling.impute(table, columns=["void"])


def test_what_stays_missing_is_named_with_its_cells() -> None:
    n = 300
    table = pa.table(
        {
            "x": pa.array([1.0, None, 3.0] * (n // 3)),
            "note": pa.array([None if i < 60 else f"the patient of bed {i} said {i * 7} words" for i in range(n)]),
            "void": pa.nulls(n, pa.float64()),
        }
    )
    result = sterling.impute(table).result
    told = result.decision.rules[0].reason
    assert "but those in note (free text, 60 cells missing), void (empty throughout, 300 cells missing);" in told
    assert "void (empty throughout, 300 cells missing): left as it is" in result.notes
    assert "Every gap in x is filled;" in sterling.impute(table, columns=["x"]).result.decision.rules[0].reason
    with pytest.raises(InputError, match=r"only where none can be filled: .*void \(empty throughout, 300 cells"):
        sterling.impute(table.select(["note", "void"]))
    with pytest.raises(InputError) as refused:
        sterling.impute(table, columns=["void"])
    assert "--columns" not in str(refused.value)


def test_one_gap_in_one_row_of_few() -> None:
    made = sterling.impute(pa.table({"x": pa.array([1.0, None, 3.0]), "y": ["a", "b", "a"]})).sets[0].table()
    assert made["x"][1].as_py() in (1.0, 3.0)


def test_exclusive_or_is_found_again() -> None:
    r = np.random.default_rng(0)
    a, b = r.integers(0, 2, (2, 4000)).astype(np.int32)
    ids = np.stack([a, b, a ^ b]).astype(np.int32)
    wanted = np.zeros(ids.shape, dtype=bool)
    wanted[2, :500] = True
    variables = [Variable(np.bincount(row), ordered=False) for row in ids]
    gaps = np.where(wanted, -1, ids).astype(np.int32)
    found = impute_ids(gaps, variables, wanted=wanted, rounds=2, growth=Growth(min_leaf=5), rng=r)
    assert np.array_equal(found, ids)
