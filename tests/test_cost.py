"""What a run cost: read from its journal once and only once, priced to the cent, and what to buy next."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import sterling
from sterling.decide.result import Result, read_result, write_result
from sterling.decide.spend import Lot, Sum, bill_of, break_even, headroom, options, per_unit, slope_of
from sterling.kernel.errors import BrokenStore, InputError, UnknownName, UnreadableInput
from sterling.kernel.estimate import Estimate, Unmeasured
from sterling.kernel.finding import Decision, Finding, RuleOutcome, Status, Verdict
from sterling.run.costs import Costs, costs_of
from sterling.run.ledger import JsonlLedger
from sterling.study import read_prices, read_study

# 7,200 CPU seconds at 0.50 an hour, 2 million tokens at 3.00, 400 records of 27 s at 40.00 an hour.
EVENTS = (
    {"event": "study", "name": "s", "prices": {"currency": "EUR"}},
    {"event": "request", "candidate": "a", "tokens": 2_000_000},
    {"event": "generated", "candidate": "a", "key": "k1", "rows": 10_000, "cpu_seconds": 3_600.0},
    {"event": "checked", "candidate": "a", "records": 10_000, "rejected": 1_000, "cpu_seconds": 360.0},
    {"event": "task.done", "key": "t1", "function": "f", "cpu_seconds": 1_440.0, "seconds": 99.0},
    {"event": "task.cached", "key": "t1", "function": "f"},
    {"event": "reviewed", "candidate": "a", "records": 400, "rejected": 1_000, "seconds": 10_800.0},
    {"event": "task.failed", "key": "t2", "function": "f", "cpu_seconds": 1_800.0},
)
PRICES = {"cpu_hour": 0.5, "tokens": 3.0, "review_hour": 40.0, "real_row": 0.25}


def worth(value: float = 4_000.0, low: float = 3_000.0, high: float = 5_000.0) -> Estimate:
    return Estimate(value, low, high, 5_000, 0.95, "inverse learning curve")


def lot(**more: object) -> Lot:
    given: dict = {"name": "a", "rows": 10_000, "rejected": 2_000, "worth": worth(), "slope": (0.1, 0.05, 0.2)}
    return Lot(**{**given, **more})


def test_a_bill_by_hand_to_the_cent() -> None:
    """Generation 3600 s + 2M tokens = .50 + 6.00, a fifth rejected; validation 1800 s; review 3 h; rework .5 h."""
    bill = bill_of(costs_of(EVENTS), [lot()], PRICES)
    cents = {name: round(amount.money, 2) for name, amount in bill.lines.items()}
    assert cents == {
        "generation": 5.2, "rejected rows": 1.3, "automatic validation": 0.25, "human review": 120.0, "rework": 0.25,
    }  # fmt: skip
    assert (round(bill.total.money, 2), bill.total.whole) == (127.0, True)
    assert bill.checking == pytest.approx(120.25 / 127.0)
    assert bill.lots["a"].money == pytest.approx(127.0)
    # The next accepted row: (6.50 + 120.00) / 8,000; real rows' worth: a tenth of a row each.
    assert bill.next_row["a"].money == pytest.approx(126.5 / 8_000)
    synthetic, real = options(bill, [lot()], PRICES)
    assert (synthetic.what, round(synthetic.price or 0, 6)) == ("more of a", round(126.5 / 800, 6))
    assert (synthetic.low, synthetic.high) == pytest.approx((126.5 / 1_600, 126.5 / 400))
    assert (real.what, real.price) == ("more real rows", 0.25)
    each = per_unit(127.0, worth())
    assert isinstance(each, Estimate)
    assert (each.value, each.low, each.high) == pytest.approx((0.03175, 0.0254, 0.0423333), abs=1e-6)
    assert headroom(lot(), PRICES) == 0.25 * 6_000


def test_what_was_read_back_is_not_paid_twice_and_what_was_done_twice_is_rework() -> None:
    first = costs_of(EVENTS)
    again = costs_of([*EVENTS, *({**e, "event": "task.cached"} for e in EVENTS if e["event"] == "task.done")])
    assert (again.spent, again.reused) == (first.spent, first.reused + 1)
    lost = costs_of([*EVENTS, EVENTS[4]])
    assert lost.of("validation") == first.of("validation")
    assert lost.of("rework").cpu_seconds == first.of("rework").cpu_seconds + 1_440
    mended = costs_of([{**EVENTS[7]}, {"event": "task.done", "key": "t2", "cpu_seconds": 5.0}])
    assert (mended.of("rework").cpu_seconds, mended.of("validation").cpu_seconds) == (1_800, 5)


def test_rows_made_anew_are_rework_with_all_that_they_took() -> None:
    more = {"event": "request", "candidate": "a", "tokens": 500_000}
    new = {"event": "generated", "candidate": "a", "key": "k2", "rows": 3_000, "cpu_seconds": 10.0}
    costs = costs_of([*EVENTS, more, new])
    assert (costs.made["a"], costs.remade["a"], costs.rejected) == (3_000, 10_000, {})
    assert (costs.of("generation").cpu_seconds, costs.of("generation").tokens) == (10, 500_000)
    assert costs.of("rework").tokens == 2_000_000
    total = sum(costs.of(s).cpu_seconds for s in ("generation", "validation", "review", "rework"))
    assert total == 3_600 + 360 + 1_440 + 1_800 + 10


def test_numbers_that_are_none_count_as_not_recorded() -> None:
    odd = {"event": "task.done", "key": "x", "cpu_seconds": "many", "tokens": None, "money": True, "seconds": -3}
    assert costs_of([odd, {"event": "unheard of", "cpu_seconds": 5}, {}]).of("validation").cpu_seconds == 0
    assert costs_of([{"event": "unheard of", "stage": "review", "money": 5}]).of("review").money == 5


@pytest.mark.parametrize("gone", ["cpu_hour", "tokens", "review_hour"])
def test_an_unknown_price_is_named_and_never_guessed(gone: str) -> None:
    bill = bill_of(costs_of(EVENTS), [lot()], {k: v for k, v in PRICES.items() if k != gone})
    assert bill.total.missing == {gone}
    assert bill.total.money < 127
    assert gone in bill.lots["a"].missing


def test_bought_rows_need_their_price_and_own_rows_do_not() -> None:
    bought = bill_of(Costs(), [lot(rejected=0)], PRICES)
    assert bought.total == Sum(0.0, frozenset({"synthetic_row"}))
    two = [lot(rejected=0), lot(name="b", rows=100, rejected=0)]
    each = bill_of(Costs(), two, {"synthetic_row": 0.5, "synthetic_row:b": 2.0})
    assert (each.lots["a"].money, each.lots["b"].money) == (5_000, 200)
    assert bill_of(costs_of(EVENTS), [lot()], PRICES).total.whole


def test_prices_of_nothing_and_sets_of_no_worth() -> None:
    free = bill_of(costs_of(EVENTS), [lot()], dict.fromkeys([*PRICES, "synthetic_row"], 0.0))
    assert (free.total.money, free.total.whole, free.checking) == (0.0, True, None)
    assert options(free, [lot()], {"real_row": 0.0})[0].price == 0
    nothing = per_unit(5.0, worth(0.0, 0.0, 100.0))
    assert isinstance(nothing, Unmeasured)
    bound = per_unit(5.0, worth(4_000, 3_000, math.inf))
    assert isinstance(bound, Estimate)
    assert (bound.low, bound.high) == (0.0, 5 / 3_000)
    loose = per_unit(5.0, worth(10, 0, 20))
    assert isinstance(loose, Estimate)
    assert math.isinf(loose.high)
    flat = bill_of(costs_of(EVENTS), [lot()], PRICES)
    assert math.isinf(options(flat, [lot(slope=(0.0, -0.1, 0.1))], PRICES)[-1].price or 0)


def test_rows_of_a_refused_set_are_all_lost() -> None:
    bill = bill_of(costs_of(EVENTS), [lot(used=False)], PRICES)
    assert (bill.lines["generation"].money, bill.lines["rejected rows"].money) == (0.0, 6.5)


def test_break_even_lies_where_the_slope_meets_the_price() -> None:
    """N(m) = 1 / (1/m + 1/1000): at m = 1000 it is worth 500 and adds 1/4; at 9000 it adds 1/100."""
    for ratio, rows in ((0.25, 1_000), (0.01, 9_000), (0.5, 1_000 * (math.sqrt(2) - 1))):
        found = break_even(1_000, 500.0, 0.25, ratio)
        assert found == pytest.approx(rows)
        assert 1 / (1 + (found or 0) / 1_000) ** 2 == pytest.approx(ratio)
    assert break_even(1_000, 500.0, 0.25, 2.0) == 0
    assert break_even(1_000, 500.0, 0.5, 0.1) == math.inf
    assert break_even(1_000, 500.0, 0.0, 0.1) is None


def test_a_slope_is_read_with_its_ends_or_without() -> None:
    assert slope_of({}) is None
    assert slope_of({"marginal_per_1000": None}) is None
    assert slope_of({"marginal_per_1000": 100.0}) == (0.1, 0.1, 0.1)
    assert slope_of({"marginal_per_1000": 100, "marginal_low": -5.0, "marginal_high": 200.0}) == (0.1, -0.005, 0.2)
    # An end that JSON cannot hold has no limit: the next rows may be had for next to nothing.
    assert slope_of({"marginal_per_1000": 100, "marginal_low": 0.0, "marginal_high": None}) == (0.1, 0.0, math.inf)


def result(estimate: Estimate, *, weight: float | None = 0.4, **evidence: float) -> Result:
    from sterling.decide.inputs import InputRecord

    found = Finding("real_equivalent_rows", estimate, "higher", Status.PASS, candidate="a", reason="r",
                    params={"real_rows": 5_000}, evidence=dict(evidence))  # fmt: skip
    sources = [
        {"name": "real", "origin": "real", "weight": 1.0},
        {"name": "a", "origin": "synthetic", "weight": weight},
    ]
    return Result(
        "run", Decision(Verdict.SHIP, "default 3", ()), (found,),
        (InputRecord("real", 5_000, "x", "real"), InputRecord("a", 10_000, "y", "synthetic")), 0, "default 3",
        mix={"sources": sources},
    )  # fmt: skip


@pytest.fixture
def folder_of_a_run(tmp_path: Path) -> Callable[..., Path]:
    def make(answer: Result, events: tuple = EVENTS) -> Path:
        write_result(answer, tmp_path / "result.json")
        (tmp_path / "ledger.jsonl").write_text("".join(json.dumps({"at": "", **e}) + "\n" for e in events))
        return tmp_path

    return make


def outcomes(answer: Result) -> set[str]:
    return {rule.outcome for rule in answer.decision.rules}


def told(answer: Result, outcome: str) -> str:
    return next(rule.reason for rule in answer.decision.rules if rule.outcome == outcome)


def test_the_answer_names_the_cheapest_way(folder_of_a_run: Callable[..., Path]) -> None:
    run = folder_of_a_run(result(worth(), marginal_per_1000=100.0, marginal_low=95.0, marginal_high=105.0))
    answer = sterling.cost(run, prices={"currency": "EUR", **PRICES})
    assert outcomes(answer) == {"BUY_SYNTHETIC", "SYNTHETIC_PAYS"}
    assert "0.1581 EUR" in told(answer, "BUY_SYNTHETIC")
    assert (answer.cost or {})["total"] == pytest.approx(127.0)
    share = next(f for f in answer.findings if f.measure == "validation_share")
    assert share.reason == "validation is 95% of the cost"
    cheap = sterling.cost(run, prices={**PRICES, "real_row": 0.05})
    assert outcomes(cheap) == {"BUY_REAL", "ENOUGH"}
    assert "stopped paying at about" in told(cheap, "ENOUGH")
    stop = sterling.cost(run, prices={**PRICES, "gain_row": 0.1})
    assert "STOP" in outcomes(stop)
    assert outcomes(sterling.cost(run, prices={**PRICES, "real_row": 0.01})) == {"BUY_REAL", "COLLECT_REAL"}


def test_a_missing_price_is_asked_for_with_what_it_decides(folder_of_a_run: Callable[..., Path]) -> None:
    run = folder_of_a_run(result(worth(), marginal_per_1000=100.0))
    answer = sterling.cost(run, prices={k: v for k, v in PRICES.items() if k != "real_row"})
    asked = [r for r in answer.decision.rules if r.outcome == "ASK_PRICE"]
    assert answer.decision.verdict is Verdict.INSUFFICIENT
    assert any("real_row" in r.reason and "whether synthetic rows pay" in r.reason for r in asked)
    assert any("do not pay if a real row costs less than 0.025" in r.reason for r in asked)
    assert "BUY_SYNTHETIC" not in outcomes(answer)


def test_a_run_without_a_journal_says_so(tmp_path: Path) -> None:
    write_result(result(worth(), marginal_per_1000=100.0), tmp_path / "answer.json")
    answer = sterling.cost(tmp_path / "answer.json", prices={"real_row": 0.25, "synthetic_row": 0.01})
    assert any("no journal" in note for note in answer.notes)
    assert (answer.cost or {})["total"] == pytest.approx(100.0)
    assert read_result(tmp_path / "answer.json").kind == "run"


def test_a_torn_last_line_is_left_out_and_damage_is_named(folder_of_a_run: Callable[..., Path]) -> None:
    run = folder_of_a_run(result(worth()))
    whole = sterling.cost(run, prices=PRICES).cost
    path = run / "ledger.jsonl"
    path.write_text(path.read_text() + '{"event": "task.done", "cpu_seco')
    assert sterling.cost(run, prices=PRICES).cost == whole
    path.write_text("{broken\n" + path.read_text())
    with pytest.raises(BrokenStore, match="line 1"):
        sterling.cost(run, prices=PRICES)


def test_a_set_that_is_not_used_is_money_lost(folder_of_a_run: Callable[..., Path]) -> None:
    run = folder_of_a_run(result(worth(), weight=0.0, marginal_per_1000=100.0))
    answer = sterling.cost(run, prices=PRICES)
    assert {"NOT_USED", "BUY_REAL"} <= outcomes(answer)
    assert "SYNTHETIC_PAYS" not in outcomes(answer)
    worth_of_it = next(f for f in answer.findings if f.measure == "cost_per_real_row")
    assert worth_of_it.status is Status.WARN
    assert "no mix used it" in worth_of_it.reason
    lost = next(f for f in answer.findings if f.measure == "cost_per_accepted_row")
    assert isinstance(lost.result, Unmeasured)


def test_a_cheaper_set_that_no_mix_used_is_listed_with_its_reason(folder_of_a_run: Callable[..., Path]) -> None:
    bare = result(worth(), weight=0.0, marginal_per_1000=100.0, marginal_low=95.0, marginal_high=105.0)
    none = RuleOutcome("D5", "NO_EFFECT", ("mix_gain",), "r", Verdict.FIX)
    open_ = RuleOutcome("REQUIRED", "UNDECIDED", (), "r", Verdict.INSUFFICIENT, candidate="a")
    run = folder_of_a_run(replace(bare, decision=Decision(Verdict.FIX, "p", (none, open_))))
    answer = sterling.cost(run, prices={**PRICES, "real_row": 5.0})
    why = "no mix used it (NO_EFFECT; INSUFFICIENT: more test rows decide)"
    buy = next(table for table in answer.tables if table.title == "What to buy next")
    price, told_ = next((row[1], row[2]) for row in buy.rows if row[0] == "more of a")
    assert price == "0.1581 EUR"
    assert why in str(told_)
    assert buy.rows[0][0] == "more real rows"
    advice = told(answer, "BUY_REAL")
    assert f"More of a would cost 0.1581 EUR (between 0.151 and 0.166), but {why}" in advice
    assert "More of a" not in told(sterling.cost(run, prices={**PRICES, "real_row": 0.001}), "BUY_REAL")


def test_what_cost_nothing_is_not_lost(folder_of_a_run: Callable[..., Path]) -> None:
    run = folder_of_a_run(result(worth(), weight=0.0, marginal_per_1000=100.0))
    free = sterling.cost(run, prices=dict.fromkeys([*PRICES, "synthetic_row"], 0.0))
    assert "NOT_USED" not in outcomes(free)
    assert free.decision.verdict is not Verdict.FIX
    assert not any("lost" in f.reason for f in free.findings)
    assert "NOT_USED" in outcomes(sterling.cost(run, prices={"real_row": 1.0}))  # what is unknown may be lost


def test_prices_without_a_currency_are_in_that_of_the_study(folder_of_a_run: Callable[..., Path]) -> None:
    run = folder_of_a_run(result(worth()))
    (run / "p.toml").write_text("[prices]\nreal_row = 0.25\n")
    for given in ({"real_row": 0.25}, run / "p.toml"):
        assert (sterling.cost(run, prices=given).cost or {})["currency"] == "EUR"
    assert (sterling.cost(run, prices={**PRICES, "currency": "CHF"}).cost or {})["currency"] == "CHF"
    run = folder_of_a_run(result(worth()), EVENTS[1:])
    nowhere = sterling.cost(run, prices=PRICES)
    assert (nowhere.cost or {})["currency"] is None
    total = next(row for row in nowhere.tables[0].rows if row[0] == "total")
    assert total[2] == "127.00"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[prices]\nreal_row = "x"\n', "has 1 mistake:\n  prices.real_row: must be a number, not 'x'"),
        ("[prices]\nreal_row = -1\ncpu_hour = inf\n", "has 2 mistakes:\n  prices.real_row: must be at least 0, not -1"),
        ('[prices]\nsynthetic_row = "x"\n',
         "has 1 mistake:\n  prices.synthetic_row: must be a number, not 'x'; or must be a table, not 'x'"),
        ("[prices]\nsynthetic_row = {a = -1}\n", "prices.synthetic_row.a: must be at least 0, not -1"),
        ("prices = 3\n", "prices: must be a table, not 3"),
        ("[prices]\ncurrency = 3\n", "prices.currency: must be a text in quotes, not 3"),
    ],
)  # fmt: skip
def test_wrong_prices_are_told_in_plain_words(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "p.toml").write_text(text)
    with pytest.raises(InputError) as caught:
        read_prices(tmp_path / "p.toml")
    assert said in caught.value.message
    assert not any(word in caught.value.message for word in ("Input should", "(s)", "constrained", "dict["))


def test_a_file_that_cannot_be_read_is_called_what_it_is(tmp_path: Path) -> None:
    (tmp_path / "b.toml").write_bytes(b"\xff\xfe")
    for name, why in (("none.toml", "No such file or directory"), ("b.toml", "it is no UTF-8 text")):
        for read, what in ((read_prices, "the prices"), (read_study, "the study")):
            with pytest.raises(UnreadableInput) as caught:
                read(tmp_path / name)
            assert caught.value.message == f"cannot read {what} {tmp_path / name}: {why}"
    with pytest.raises(InputError, match=r"prices\.real_row: must be a number"):
        sterling.cost(_saved(tmp_path), prices={"real_row": "x"})


def _saved(folder: Path) -> Path:
    write_result(result(worth()), folder / "x.json")
    return folder / "x.json"


def test_a_set_of_little_worth_stops_the_generator(folder_of_a_run: Callable[..., Path]) -> None:
    run = folder_of_a_run(result(worth(0.0, 0.0, 60.0)))
    answer = sterling.cost(run, prices={**PRICES, "real_row": 0.5})
    assert {"STOP_GENERATING", "COLLECT_REAL"} <= outcomes(answer)


@pytest.mark.parametrize(
    ("text", "error"),
    [("real_row = -1\n", InputError), ("[prices]\nreal_rov = 1\n", InputError), ("real_row = nan\n", InputError),
     ("real_row =\n", InputError), ("[prices]\nsynthetic_row = {b = 1}\n", UnknownName)],
)  # fmt: skip
def test_prices_that_are_none_are_refused(
    text: str, error: type[Exception], folder_of_a_run: Callable[..., Path]
) -> None:
    run = folder_of_a_run(result(worth()))
    (run / "p.toml").write_text(text)
    with pytest.raises(error):
        sterling.cost(run, prices=run / "p.toml")
    with pytest.raises(InputError):
        read_prices(run / "none.toml")


def test_nothing_to_price_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no result\.json"):
        sterling.cost(tmp_path)
    bare = result(worth())
    write_result(Result(bare.kind, bare.decision, (), bare.inputs[:1], 0, bare.policy), tmp_path / "x.json")
    with pytest.raises(InputError, match="no synthetic set"):
        sterling.cost(tmp_path / "x.json")


def test_a_refused_candidate_of_a_comparison_counts_as_lost() -> None:
    from sterling.api.cost import lots_of

    bare = result(worth())
    refused = RuleOutcome("D2", "FIX_GENERATOR", (), "r", Verdict.FIX, candidate="a")
    one = Result("compare", Decision(Verdict.FIX, "p", (refused,)), bare.findings, bare.inputs, 0, "p")
    assert not lots_of(one, Costs())[0].used


STUDY = """
seed = 1
effort = "fast"
[real]
path = "{folder}/real.csv"
target = "label"
holdout = "{folder}/holdout.csv"
[[candidate]]
name = "vendor"
path = "{folder}/vendor.csv"
fitted_on = "other"
[[candidate]]
name = "trees"
generator = "cart"
rows = 400
[learner]
name = "logistic"
[prices]
currency = "EUR"
real_row = 0.5
synthetic_row = {{vendor = 0.02}}
cpu_hour = 0.06
"""


def test_a_run_keeps_its_books_and_a_resumed_one_pays_nothing_twice(
    folder: Path, tmp_path: Path, cli: Callable[..., object]
) -> None:
    (tmp_path / "study.toml").write_text(STUDY.format(folder=folder))
    out = tmp_path / "run"
    ran = sterling.run_study(tmp_path / "study.toml", out=out)
    assert (ran.cost or {})["prices"] == {"real_row": 0.5, "synthetic_row:vendor": 0.02, "cpu_hour": 0.06}
    first = costs_of(JsonlLedger(out / "ledger.jsonl").events())
    assert first.made == {"trees": 400}
    assert first.of("generation", "trees").cpu_seconds > 0
    assert first.of("validation", "vendor").cpu_seconds > 0
    again = sterling.run_study(tmp_path / "study.toml", out=out)
    second = costs_of(JsonlLedger(out / "ledger.jsonl").events())
    assert (second.spent, second.made) == (first.spent, first.made)
    assert second.reused >= 4
    assert again.cost == ran.cost
    assert read_result(out / "cost.json").kind == "cost"
    assert "EUR" in (out / "cost.html").read_text()
    said = cli("cost", out, "--json", tmp_path / "cost.json", "--html", tmp_path / "cost.html")
    assert said.code == 0
    assert "automatic validation" in said.out
    assert max(map(len, said.out.splitlines())) <= 80
