"""The private generator: its promise, its budget, and that it sees nothing it has not paid for."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from sterling.generators.aim import Aim, FittedAim
from sterling.kernel.dataset import Dataset, Lineage, SplitRole
from sterling.kernel.errors import InputError
from sterling.kernel.privacy_claim import Claim, PrivateFit, claimed_privacy
from sterling.kernel.schema import Role, Schema
from sterling.modalities.tabular import from_table, with_roles
from sterling.modalities.tabular.infer import infer_schema
from sterling.modalities.tabular.overrides import Override
from sterling.modalities.tabular.private_table import Wish, read_private
from sterling.stats.adaptive_margins import counts_of, noisy_counts
from sterling.stats.exact_noise import seeded_words
from sterling.stats.privacy_accounting import open_ledger, rho_of
from sterling.stats.private_search import frequent, noisy_histogram, noisy_range


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def declared(table: pa.Table, **columns: Override) -> Dataset:
    return from_table(table, schema=infer_schema(table, overrides=columns))


def people(n: int = 3000, *, seed: int = 0) -> pa.Table:
    r = rng(seed)
    sex = r.choice(["F", "M"], n)
    job = np.where(r.random(n) < np.where(sex == "F", 0.8, 0.2), "a", r.choice(["b", "c"], n))
    return pa.table({"sex": sex, "job": job, "age": r.integers(18, 30, n)})


DOMAIN = {
    "sex": Override(levels=("F", "M"), nullable=False),
    "job": Override(levels=("a", "b", "c"), nullable=False),
    "age": Override(low=18, high=29, nullable=False),
}

WISH = Wish("declared", 0.15, 0.0, 24, (), 1)


def fitted(data: Dataset, *, seed: int = 0, **settings: Any) -> FittedAim:
    return Aim(**({"epsilon": 3.0, "noise": "seeded"} | settings)).fit(data, rng=rng(seed))


def rows(fit: FittedAim, n: int = 2000, *, seed: int = 1, **settings: Any) -> pa.Table:
    return pa.concat_tables(list(Aim(epsilon=1.0).sample(fit, n, rng=rng(seed), **settings)))


def test_dependence_comes_through_and_more_budget_errs_less() -> None:
    data = declared(people(), **DOMAIN)
    exact = counts_of(_codes(data), (2, 3), (0, 1)) / data.rows
    errors = []
    for epsilon in (0.02, 0.2, 2.0):
        gaps = []
        for seed in range(4):
            made = rows(fitted(data, epsilon=epsilon, domain="declared", seed=seed), 3000)
            gaps.append(np.abs(counts_of(_codes(from_table(made)), (2, 3), (0, 1)) / 3000 - exact).sum() / 2)
        errors.append(float(np.mean(gaps)))
    assert errors[0] > 2 * errors[1] > 4 * errors[2]
    assert errors[2] < 0.02


def _codes(data: Dataset) -> np.ndarray:
    table = data.table()
    places = (("F", "M"), ("a", "b", "c"))
    return np.array(
        [[p.index(v) for v in table[name].to_pylist()] for name, p in zip(("sex", "job"), places, strict=True)]
    )


def test_ledger_adds_up_to_the_promise_and_is_told() -> None:
    fit = fitted(from_table(people()), epsilon=1.0)
    ledger = fit.learned.ledger
    assert ledger.spent == ledger.rho
    assert ledger.left == Fraction(0)
    assert sum(e.delta for e in ledger.entries) <= 5e-7 * (1 + 1e-9)
    budget, groups = fit.report()
    assert budget.rows[-1][2] == pytest.approx(sum(float(row[2]) for row in budget.rows[:-1]))
    assert budget.rows[-1][1] == len(ledger.entries)
    assert "epsilon 1 of 1" in budget.note
    assert any("sex x job" in str(row[0]) for row in groups.rows)
    assert isinstance(fit, PrivateFit)


def test_nothing_is_paid_for_a_declared_narrow_domain() -> None:
    spent = {e.what for e in fitted(declared(people(), **DOMAIN), domain="declared").learned.ledger.entries}
    assert spent == {"counts of single columns", "choosing which groups to measure", "counts of groups of columns"}


def test_lineage_always_names_the_promise() -> None:
    from sterling.api.generate import describe

    told = describe("aim", Aim(epsilon=1.0))
    assert told == "aim(epsilon=1.0, delta=1e-06)"
    assert claimed_privacy(Lineage(generator=told)) == Claim(1.0, 1e-6)
    assert claimed_privacy(Lineage(generator=told + " with 20 canaries, seed 0")) == Claim(1.0, 1e-6)
    seeded = describe("aim", Aim(epsilon=1.0, noise="seeded"))
    assert claimed_privacy(Lineage(generator=seeded)) is None
    many = describe("aim", Aim(epsilon=0.5, delta=1e-9, records_per_person=4, empty=("epsilon=9",)))
    assert claimed_privacy(Lineage(generator=many)) == Claim(0.5, 1e-9, 4)
    assert claimed_privacy(Lineage()) is None


def test_noise_is_secret_unless_asked_for() -> None:
    data = declared(people(400), **DOMAIN)
    secret = [Aim(epsilon=1.0).fit(data, rng=rng()).learned.measured[0].counts for _ in range(2)]
    assert not np.array_equal(*secret)
    seeded = [fitted(data).learned.measured[0].counts for _ in range(2)]
    assert np.array_equal(*seeded)


@pytest.mark.parametrize("swap", [False, True])
def test_neighbours_differ_in_odds_by_no_more_than_promised(swap: bool) -> None:
    """Two cells, epsilon 1: no outcome is e times likelier with one record more, but for delta."""
    table = [["x"] * 10 + ["y"] * 11, ["x"] * 10 + ["y"] * 10]
    with_, without = (declared(pa.table({"c": t}), c=Override(levels=("x", "y"), nullable=False)) for t in table)
    delta, source = 1e-3, seeded_words(rng())
    rho = Fraction(rho_of(1.0, delta))
    sets = [read_private(d, wish=WISH, ledger=open_ledger(1.0, delta), words=source)[1] for d in (with_, without)]
    totals = [
        np.array([noisy_counts(c, (2,), (0,), rho=rho, sensitivity=1, words=source).counts[1] for _ in range(3000)])
        for c in (sets[::-1] if swap else sets)
    ]
    for cut in range(4, 18):
        likely, other = (int((t >= cut).sum()) for t in totals)
        # Fails only where the counts refute exp(1) far beyond chance.
        assert likely <= math.e * other + 3000 * delta + 5 * math.sqrt(math.e**2 * other + likely + 1)
    # The same counts with a tenth of the noise would have failed.
    sharp = [np.round((t - t.mean()) / 10 + t.mean()) for t in totals]
    assert any((sharp[0] >= c).sum() > 2 * math.e * (sharp[1] >= c).sum() + 50 for c in range(8, 13)) or swap


def test_a_look_has_the_noise_it_paid_for() -> None:
    codes = np.zeros((1, 40), dtype=np.int64)
    looks = [
        noisy_counts(codes, (500,), (0,), rho=Fraction(1, 50), sensitivity=2, words=seeded_words(rng(i))).counts
        for i in range(20)
    ]
    noise = np.array(looks)[:, 1:]
    assert noise.std() == pytest.approx(10.0, rel=0.05)


def test_undeclared_domains_are_refused_with_the_lines_to_write() -> None:
    with pytest.raises(InputError, match="sex, job, age") as caught:
        fitted(from_table(people(50)), domain="declared")
    assert "[columns.sex]" in caught.value.mend
    assert "low = 0" in caught.value.mend
    assert "domain=paid" in caught.value.mend
    note = pa.table({"x": [1, 2] * 10, "note": [f"words of person {i} said so" for i in range(20)]})
    with pytest.raises(InputError, match="note"):
        fitted(from_table(note), domain="declared")


def test_what_inference_read_off_the_data_is_not_published() -> None:
    n = 2000
    table = people(n).append_column("secret", pa.array([f"code {i}" for i in range(n)]))
    table = table.append_column("pay", pa.array(np.append(rng().lognormal(8, 0.3, n - 1), 7_777_777.0)))
    fit = fitted(from_table(table), epsilon=1.0)
    made = rows(fit, 3000)
    assert set(made["secret"].drop_null().to_pylist()) == {"(other)"}
    assert fit.schema["secret"].levels == ("(other)",)
    assert fit.schema["pay"].high is not None
    assert fit.schema["pay"].high < 1e6
    assert max(made["pay"].drop_null().to_pylist()) < 1e6
    assert set(made["sex"].drop_null().to_pylist()) <= {"F", "M", "(other)"}
    assert all(f.nullable for f in fit.schema)


def test_a_rare_name_stays_unknown_and_a_common_one_is_found() -> None:
    counts = np.array([1] * 500 + [900])
    found = [
        frequent(counts, rho=Fraction(1, 100), delta=1e-6, sensitivity=1, words=seeded_words(rng(s))) for s in range(20)
    ]
    assert all(f.tolist() == [500] for f in found)


def test_ranges_and_histograms_find_the_mass_and_spikes() -> None:
    values = np.append(np.zeros(9000), rng().uniform(1000, 3000, 1000))
    low, high = noisy_range(values, rho=Fraction(1, 100), sensitivity=1, words=seeded_words(rng())) or (1, 1)
    assert (low, high) == (0.0, 4096.0)
    leaves = noisy_histogram(
        values.astype(np.int64), 4097, rho=Fraction(1, 50), sensitivity=1, words=seeded_words(rng())
    )
    assert leaves.edges[1] == 1
    assert leaves.mass[0] == pytest.approx(9000, abs=150)
    assert noisy_range(np.full(50, np.nan), rho=Fraction(1, 100), sensitivity=1, words=seeded_words(rng())) is None


def test_declared_numbers_and_dates_keep_to_their_range_and_grid() -> None:
    r = rng()
    n = 3000
    table = pa.table(
        {
            "gain": np.where(r.random(n) < 0.9, 0, r.integers(100, 99_999, n)),
            "rate": np.round(r.random(n), 3),
            "day": pa.array(r.integers(10_000, 12_000, n).astype(np.int32), pa.int32()).cast(pa.date32()),
        }
    )
    day = 86400.0
    data = declared(
        table, gain=Override(low=0, high=99_999, nullable=False), rate=Override(low=0, high=0.5),
        day=Override(low=9000 * day, high=13_000 * day),
    )  # fmt: skip
    made = rows(fitted(data, domain="declared"), 4000)
    gain, rate = made["gain"].to_numpy(), made["rate"].drop_null().to_numpy()
    assert 0.85 < np.mean(gain == 0) < 0.95
    assert gain.min() >= 0
    assert gain.max() <= 99_999
    assert rate.max() <= 0.5
    assert made["gain"].null_count == 0
    days = made["day"].drop_null().cast(pa.int32()).to_numpy()
    assert np.mean((days >= 9900) & (days <= 12_100)) > 0.9


def test_records_that_break_a_declaration_are_left_out_or_missing() -> None:
    table = pa.table({"c": ["x"] * 300 + ["wrong"] * 300})
    strict = declared(table, c=Override(levels=("x", "y"), nullable=False))
    loose = declared(table, c=Override(levels=("x", "y")))
    assert fitted(strict).learned.model.total == pytest.approx(300, abs=20)
    assert rows(fitted(loose), 1000)["c"].null_count == pytest.approx(500, abs=60)


def test_missing_cells_are_a_level() -> None:
    gone = rng().random(3000) < 0.3
    table = pa.table({"c": pa.array(["x"] * 3000, mask=gone), "n": pa.array(rng().integers(0, 9, 3000), mask=gone)})
    made = rows(fitted(declared(table, c=Override(levels=("x",)), n=Override(low=0, high=9))), 3000)
    for name in ("c", "n"):
        assert made[name].null_count / 3000 == pytest.approx(0.3, abs=0.04)


def test_given_columns_are_conditioned_on() -> None:
    fit = fitted(declared(people(), **DOMAIN), domain="declared")
    given = pa.table({"sex": ["F"] * 500 + ["M"] * 500})
    made = rows(fit, 1000, given=given)
    jobs = np.array(made["job"].to_pylist())
    assert np.mean(jobs[:500] == "a") > 0.6
    assert np.mean(jobs[500:] == "a") < 0.35
    assert made["sex"].equals(pa.chunked_array(given["sex"].chunks))
    wide = pa.table({"w": rng().integers(0, 40, 3000), "x": rng(1).integers(0, 40, 3000)})
    many = fitted(declared(wide, w=Override(low=0, high=39), x=Override(low=0, high=39)), bins=40)
    with pytest.raises(InputError, match="different combinations"):
        rows(many, 3000, given=wide)


def test_keys_are_random_and_entities_bounded() -> None:
    n = 900
    table = people(n).append_column("who", pa.array(np.repeat(np.arange(n // 9), 9)))
    data = from_table(table)
    data = replace(data, schema=with_roles(data.schema, entity="who"))
    fit = fitted(data, records_per_person=2)
    assert fit.learned.model.total == pytest.approx(200, rel=0.35)
    made = rows(fit, 500)
    assert len(set(made["who"].to_pylist())) == 500
    keyed = declared(people(50).append_column("id", pa.array([f"k{i}" for i in range(50)])), id=Override(role=Role.KEY))
    ids = rows(fitted(keyed), 300)["id"].to_pylist()
    assert len({*ids}) == 300
    assert all(len(i) == 32 for i in ids)


def test_promise_for_many_records_costs_as_much_more_noise() -> None:
    data = declared(people(500), **DOMAIN)
    one, four = (fitted(data, records_per_person=k).learned.measured[0].variance for k in (1, 4))
    assert four == pytest.approx(16 * one)


def test_columns_asked_to_be_empty_are_never_seen() -> None:
    made = rows(fitted(from_table(people(300)), empty=("job",)), 50)
    assert made["job"].null_count == 50
    with pytest.raises(InputError, match="there is no column"):
        fitted(from_table(people(300)), empty=("jobb",))


@pytest.mark.parametrize(
    "table",
    [
        {"a": [1]},
        {"a": ["x"] * 40},
        {"a": pa.nulls(30)},
        {"a": [np.inf, -np.inf, 1.0, None] * 10},
        {"ключ": ["а", "б"] * 20, "": [1, 2] * 20},
        {"a": [2**62, -(2**62)] * 20},
        {"k": [f"id-{i}" for i in range(60)]},
    ],
    ids=["one row", "one level", "void", "infinite", "unicode", "huge", "codes"],
)
@pytest.mark.parametrize("epsilon", [0.01, 50.0])
def test_odd_tables_are_borne(table: dict[str, Any], epsilon: float) -> None:
    data = from_table(pa.table(table))
    made = rows(fitted(data, epsilon=epsilon), 60)
    assert made.num_rows == 60
    assert made.schema.names == list(data.schema.names)


def test_a_hundred_thousand_declared_levels_are_refused_and_found_ones_pooled() -> None:
    levels = tuple(f"c{i}" for i in range(100_000))
    table = pa.table({"c": rng().choice(levels, 5000), "x": rng().integers(0, 3, 5000)})
    with pytest.raises(InputError, match="100,000 levels"):
        fitted(declared(table, c=Override(levels=levels)))
    assert set(rows(fitted(from_table(table)), 100)["c"].drop_null().to_pylist()) <= {"(other)"}


def test_a_split_by_time_breaks_the_promise_and_is_refused() -> None:
    data = from_table(people(100), split=SplitRole.TRAIN)
    data = replace(data, schema=with_roles(data.schema, time="age"))
    with pytest.raises(InputError, match="cut off by time"):
        fitted(data)


@pytest.mark.parametrize(
    "wrong", [{"epsilon": 0}, {"delta": 1.0}, {"bins": 1}, {"degree": 4}, {"domain_share": 1.0}, {"max_cells": 5}]
)
def test_settings_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=next(iter(wrong))):
        Aim(**({"epsilon": 1.0} | wrong))


def test_too_small_a_budget_says_so() -> None:
    with pytest.raises(InputError, match="budget asks"):
        fitted(declared(people(100), **DOMAIN), epsilon=1e-7, domain="declared")


def test_three_way_groups_are_counted_where_asked() -> None:
    r = rng()
    a, b = r.integers(0, 2, (2, 4000))
    table = pa.table({"a": a, "b": b, "c": a ^ b})
    data = declared(table, **{k: Override(low=0, high=1, nullable=False) for k in "abc"})
    made = rows(fitted(data, degree=3, domain="declared"), 4000).to_pydict()
    assert np.mean((np.array(made["a"]) ^ np.array(made["b"])) == np.array(made["c"])) > 0.95


def test_what_is_published_survives_the_manifest() -> None:
    from sterling.sources.manifest import schema_from_json, schema_to_json

    schema = fitted(declared(people(200), **DOMAIN)).schema
    assert schema_from_json(schema_to_json(schema)) == schema
    assert isinstance(schema, Schema)
    assert "levels" in schema["sex"].declared


def test_made_set_shows_neither_fingerprint_nor_ranges_of_the_real_rows(tmp_path: Any) -> None:
    from sterling.api.generate import generate

    told: list[str] = []
    table = people(800).append_column("pay", pa.array(rng().lognormal(8, 0.3, 800)))
    made = generate(
        "aim", source=table, rows=200, settings={"epsilon": 2.0, "noise": "seeded"},
        on_event=lambda event, facts: told.append(f"{event} {facts.get('text')}"),
    )  # fmt: skip
    assert made.lineage.parents == ()
    assert made.lineage.generator == "aim(epsilon=2.0, delta=1e-06, noise=seeded)"
    real = from_table(table).schema["pay"]
    assert (made.schema["pay"].low, made.schema["pay"].high) != (real.low, real.high)
    assert any("Privacy budget" in line for line in told)
    assert dataclasses.is_dataclass(made)
