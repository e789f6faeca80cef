"""The drill: the search finds the right floor, plants are judged as `compare` judges, and every answer is in words."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc
import pytest

from sterling.api.compare import judge
from sterling.api.drill import _drilled, _halves, drill, search
from sterling.api.drill_ground import Answer, Ground, _unit, judged, names_cause, prepare_ground, replanted
from sterling.api.drill_result import Drilled, Tally, concluded
from sterling.api.inputs import Roles, prepare
from sterling.decide.policy import load_policy
from sterling.decide.result import Result, parse_result
from sterling.kernel import registry
from sterling.kernel.dataset import Dataset, Lineage, Origin
from sterling.kernel.errors import InputError, UnknownName
from sterling.kernel.estimate import Estimate, Unmeasured
from sterling.kernel.finding import Finding, RuleOutcome, Status, Verdict
from sterling.kernel.protocols import Planted, silent
from sterling.report.drill_chart import render_drill
from sterling.report.svg import text_width
from sterling.sources.frames import from_frame

COLUMNS = ["age", "education_num", "relationship", "sex", "hours_per_week", "income"]
# Enough for a verdict, small enough for a test.
QUICK = ("rare_mode_drop=0.1", "copied_rows=0.003,0.1,0.3", "time_leak", "row_order", "recoded_categories")


@pytest.fixture(scope="module")
def census(adult: pa.Table) -> pa.Table:
    return adult.select(COLUMNS)


@pytest.fixture(scope="module")
def report(census: pa.Table) -> Result:
    heard: list[str] = []
    result = drill(
        census.slice(0, 1000), holdout=census.slice(5000, 400), faults=QUICK, runs=2, effort="fast",
        on_event=lambda event, facts: heard.append(f"{event}: {facts.get('text')}"),
    )  # fmt: skip
    notes = [h for h in heard if h.startswith("note") and "plants" in h]
    assert len(notes) == 1
    assert "min of processor time" in notes[0]
    # The cost is said before the first fault is judged.
    assert heard.index(notes[0]) < next(i for i, h in enumerate(heard) if h.startswith("step"))
    return result


def of(result: Result, name: str) -> Finding:
    return next(f for f in result.findings if f.slice is not None and f.slice.partition("=")[2] == name)


# --- the search ---


@pytest.mark.parametrize("levels", [1, 2, 3, 4, 5, 6])
def test_the_search_finds_the_first_level_that_is_always_caught(levels: int) -> None:
    for first in range(levels + 1):
        tallies, found = search(levels, lambda level, first=first: level >= first, runs=10)
        assert found == (first if first < levels else None)
        if found is not None:
            assert tallies[found] == Tally(10, 10)
        # Levels below are left as soon as they can no longer reach nine in ten.
        assert all(t.plants <= 2 for level, t in tallies.items() if level < first)


def test_the_search_costs_little_more_than_its_last_level() -> None:
    made: list[int] = []
    search(6, lambda level: made.append(level) or level >= 3, runs=10)
    assert len(made) <= 10 + 2 * 2 + 2


def test_a_level_of_power_one_half_is_seldom_taken_for_caught() -> None:
    r = np.random.default_rng(0)
    found = [search(3, lambda _: bool(r.random() < 0.5), runs=10)[1] for _ in range(400)]
    # 9 or 10 of 10 by chance: .011 at each of at most three levels.
    assert sum(f is not None for f in found) <= 24


def test_a_level_of_power_99_is_seldom_missed() -> None:
    r = np.random.default_rng(1)
    found = [search(4, lambda level: level >= 2 and bool(r.random() < 0.99), runs=10)[1] for _ in range(300)]
    assert sum(f == 2 for f in found) >= 290


def test_few_runs_allow_no_miss() -> None:
    misses = iter([True, True, False, True])
    assert search(1, lambda _: next(misses), runs=4)[1] is None


# --- the judgement of a plant ---


def grounded(census: pa.Table, *, target: str | None) -> Ground:
    roles = Roles(target=target, groups=("sex",))
    made = from_frame(census.slice(1500, 1000), name="stand-in", origin=Origin.SYNTHETIC, lineage=Lineage(depth=1))
    arena = prepare(
        census.slice(0, 1000), [made], roles=roles, holdout=census.slice(4000, 400), why="t", on_event=silent
    )
    policy = load_policy(None)
    return prepare_ground(arena, roles=roles, policy=policy, stakes="low", seed=0, effort="fast", on_event=silent)


@pytest.fixture(scope="module")
def base(census: pa.Table) -> Ground:
    return grounded(census, target=None)


def judged_alike(base: Ground, name: str, severity: float, monkeypatch: pytest.MonkeyPatch) -> None:
    from sterling.api import drill_ground

    fault = registry.build("faults", name, {})
    planted = fault.plant(
        base.train, base.clean, schema=base.arena.real.schema, severity=severity, rng=np.random.default_rng(0)
    )
    assert isinstance(planted, Planted)
    seen: list[Result] = []
    conclude = drill_ground.conclude
    monkeypatch.setattr(
        drill_ground, "conclude", lambda *args, **terms: seen.append(conclude(*args, **terms)) or seen[-1]
    )
    answer = judged(base, planted, first=fault.expected, stop=False)
    whole = judge(replanted(base, planted), 0, policy=base.policy, seed=base.seed, effort="fast")
    mine, theirs = ([f for f in found if f.measure in base.seconds] for found in (seen[-1].findings, whole))
    assert {(f.measure, f.slice): (f.result, f.status) for f in mine} == {
        (f.measure, f.slice): (f.result, f.status) for f in theirs
    }
    assert any(f.slice is not None and f.slice.startswith("sex=") for f in mine)
    assert answer.caught
    # Ending at the first failure says the same, sooner.
    assert judged(base, planted, first=fault.expected, stop=True).caught


def test_a_plant_is_judged_as_compare_would_judge_it(base: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever can stop a set has the same number and the same status as in a whole `compare`."""
    judged_alike(base, "rare_mode_drop", 0.1, monkeypatch)


@pytest.mark.slow
def test_labels_are_judged_as_compare_would_judge_them(census: pa.Table, monkeypatch: pytest.MonkeyPatch) -> None:
    judged_alike(grounded(census, target="income"), "one_directional_labels", 0.8, monkeypatch)


def test_the_clean_base_itself_is_not_caught(base: Ground) -> None:
    assert judged(base, Planted(base.clean, (), 0), first=(), stop=False) == Answer(caught=False)


def test_changed_real_rows_change_train_and_holdout(base: Ground) -> None:
    from sterling.api.drill_ground import all_real

    real = all_real(base)
    assert real is not None
    fault = registry.build("faults", "recoded_categories", {})
    planted = fault.plant(real, base.clean, schema=base.arena.real.schema, severity=1.0, rng=np.random.default_rng(0))
    arena = replanted(base, planted)
    for view, old in ((arena.train_view, base.arena.train_view), (arena.benchmark_view, base.arena.benchmark_view)):
        assert view.n == old.n
        assert view.column("sex").levels == ("level 0", "level 1")
        assert [c.name for c in view.columns or () if c.role.value == "group"] == ["sex"]


def test_a_cause_is_named_by_column_or_by_measure() -> None:
    result = Estimate(0.5, 0.4, 0.6, 100, 0.95, "x")
    found = Finding("marginal_gap", result, "lower", Status.FAIL, reason="the widest gap is in age")
    rule = RuleOutcome("BOUND", "OUT_OF_BOUNDS", ("marginal_gap",), "too far", Verdict.FIX)
    table = pa.table({"age": [1]})

    def told(columns: tuple[str, ...], expected: tuple[str, ...] = ()) -> bool:
        return names_cause(rule, "marginal_gap", [found], Planted(table, columns, 1), expected, target="pay")

    assert told(("age",))
    assert told(("wage", "age"))
    assert not told(("wage",))  # "age" in the sentence is not "wage"
    assert not told(("ag",))
    assert told((), ("marginal_gap",))
    assert not told((), ("copies",))
    assert told(("pay",), ("marginal_gap",))  # the labels are wrong, and a measure of labels says so
    assert not told(("pay",), ("label_loss",))


# --- the whole ---


def test_strong_faults_are_caught_and_the_clean_base_is_quiet(report: Result) -> None:
    mode, copied = of(report, "rare_mode_drop"), of(report, "copied_rows")
    assert mode.status is copied.status is Status.PASS
    assert isinstance(mode.result, Estimate)
    assert mode.result.value == 0.1
    assert isinstance(copied.result, Estimate)
    assert copied.result.value in (0.1, 0.3)
    assert 0.003 <= copied.result.low < copied.result.value
    assert "copies" in str(copied.evidence["shown_first"])
    assert copied.evidence["cause_named"] == 1
    for name in ("row_order", "recoded_categories"):
        # One quiet plant is no evidence that the rate of alarms is below .02.
        assert of(report, name).status is Status.UNDECIDED
        quiet = of(report, name).result
        assert isinstance(quiet, Estimate)
        assert quiet.value == 0
    assert any("0 of 2 innocent plants alarmed" in r.reason for r in report.decision.rules)


def test_what_does_not_apply_says_what_it_would_need(report: Result) -> None:
    late = of(report, "time_leak")
    assert late.status is Status.NOT_APPLICABLE
    assert isinstance(late.result, Unmeasured)
    assert "--time" in late.result.mend
    assert report.decision.verdict is Verdict.SHIP
    assert late.name not in report.decision.unmeasured


def test_the_power_has_an_exact_interval(report: Result) -> None:
    tried = of(report, "copied_rows").evidence["tried"]
    assert isinstance(tried, list)
    for row in tried:
        assert isinstance(row, dict)
        assert row["low"] <= row["power"] <= row["high"]  # type: ignore[operator]
        if row["caught"] == row["plants"] == 2:
            assert row["low"] == pytest.approx(0.025 ** (1 / 2))
    assert any("29 of 29" in note for note in report.notes)


def test_the_envelope_is_the_houses(report: Result) -> None:
    data = report.as_json()
    assert data["kind"] == "drill"
    again = parse_result(json.loads(json.dumps(data, allow_nan=False)))
    assert again.as_json() == data
    assert {f.measure for f in report.findings} == {"drill_floor", "drill_alarm"}


def test_same_seed_same_answer(base: Ground) -> None:
    fault = registry.build("faults", "drift", {})
    drilled = [_drilled(base, "drift", fault, (0.02, 1.0), runs=2, on_event=silent) for _ in range(2)]
    assert drilled[0] == drilled[1]
    assert drilled[0].floor == 1.0


def fake(*drilled: Drilled, passed: bool = True, stands_in: bool = True, base: Result) -> Result:
    return concluded(base, drilled, (), passed=passed, runs=10, stands_in=stands_in, alpha=0.02, fast=False)


def test_a_missed_fault_asks_to_fix_and_names_what_would_mend(base: Ground) -> None:
    fault = registry.build("faults", "label_noise", {})
    missed = Drilled("label_noise", fault, fault.severities, {0.05: Tally(2, 0), 0.2: Tally(4, 2)})
    result = fake(missed, base=base.base)
    assert result.decision.verdict is Verdict.FIX
    found = result.findings[0]
    assert isinstance(found.result, Unmeasured)
    assert "2 of 4" in found.result.reason
    assert "label_loss" in found.result.mend
    assert "label_noise" in result.summary
    assert found.name in result.decision.unmeasured


def innocents(*alarms: int, plants: int = 5) -> list[Drilled]:
    names = [n for n in registry.names("faults") if registry.build("faults", n, {}).innocent]
    built = [(name, registry.build("faults", name, {})) for name in names]
    return [Drilled(n, f, (1.0,), {1.0: Tally(plants, k)}) for (n, f), k in zip(built, alarms, strict=True)]


def caught_one() -> Drilled:
    fault = registry.build("faults", "label_noise", {})
    return Drilled("label_noise", fault, fault.severities, {0.05: Tally(10, 10)}, 0.05)


def test_each_innocent_change_is_judged_by_its_exact_interval(base: Ground) -> None:
    def status(plants: int, caught: int) -> Status:
        one = replace(innocents(0, 0, 0, 0, 0)[0], tried={1.0: Tally(plants, caught)})
        return fake(one, base=base.base).findings[0].status

    assert status(5, 0) is Status.UNDECIDED
    assert status(5, 1) is Status.UNDECIDED
    assert status(182, 0) is Status.UNDECIDED
    assert status(183, 0) is Status.PASS  # 1 - .025 ** (1 / 183) = .01996
    assert status(5, 5) is Status.FAIL


def test_a_gate_that_spends_its_budget_is_not_asked_to_mend(base: Ground) -> None:
    quiet = fake(caught_one(), *innocents(0, 0, 0, 0, 0), base=base.base)
    assert quiet.decision.verdict is Verdict.SHIP
    assert "0 of 25 innocent plants alarmed" in quiet.decision.rules[0].reason.partition(". ")[0]
    assert "0 of 25 innocent plants alarmed" in render_drill(quiet)
    assert {f.status for f in quiet.findings[1:]} == {Status.UNDECIDED}
    for alarms, verdict, outcome in (
        ((0, 1, 0, 0, 0), Verdict.SHIP, "ALARMED"),
        ((1, 1, 1, 0, 0), Verdict.SHIP, "ALARMED"),  # P(3 or more of 25 at .02) = .013
        ((1, 1, 1, 1, 0), Verdict.FIX, "FALSE_ALARM"),  # P(4 or more) = .0014
        ((5, 0, 0, 0, 0), Verdict.FIX, "FALSE_ALARM"),
    ):
        told = fake(caught_one(), *innocents(*alarms), base=base.base)
        assert told.decision.verdict is verdict, alarms
        rule = next(r for r in told.decision.rules if r.outcome == outcome)
        assert f"{sum(alarms)} of 25 innocent plants alarmed (95 % interval" in rule.reason.replace("95%", "95 %")
        assert len(rule.because) == sum(a > 0 for a in alarms)


def test_drills_seldom_blame_a_gate_that_keeps_its_budget(base: Ground) -> None:
    r = np.random.default_rng(3)
    drawn = [innocents(*r.binomial(5, 0.02, 5).tolist()) for _ in range(300)]
    blamed = sum(fake(caught_one(), *one, base=base.base).decision.verdict is Verdict.FIX for one in drawn)
    assert blamed <= 6  # of 300 at .0014 each; one alarm in 25, which alone once asked to fix, comes in 120


def test_the_page_calls_quiet_what_raised_no_alarm(base: Ground) -> None:
    page = render_drill(fake(caught_one(), *innocents(0, 1, 0, 0, 0), base=base.base))
    assert (page.count(">quiet<"), page.count(">alarmed<")) == (4, 1)


def test_the_floor_is_a_bracket_and_the_power_has_the_interval(base: Ground) -> None:
    found = fake(caught_one(), base=base.base).findings[0]
    assert isinstance(found.result, Estimate)
    assert found.result.method == "bracket of the severities tried"
    power = found.evidence["power_at_floor"]
    assert isinstance(power, dict)
    assert (power["caught"], power["plants"], power["level"], power["method"]) == (10, 10, 0.95, "Clopper-Pearson")
    assert (power["value"], power["low"], power["high"]) == (1.0, pytest.approx(0.025**0.1), 1.0)


def test_canaries_do_not_set_the_budget_of_the_others() -> None:
    def told(measure: str, alpha: float) -> Finding:
        result = Estimate(0.5, 0.4, 0.6, 100, 0.95, "x")
        return Finding(measure, result, "lower", Status.PASS, params={"alpha": alpha})

    found = [told("canaries", 1e-6), told("copies", 0.002)]
    assert _unit(found, {"canaries": 0.01, "copies": 2.0}) == 0.001


def test_a_gate_that_refuses_the_clean_base_is_told(base: Ground) -> None:
    fault = registry.build("faults", "label_noise", {})
    caught = Drilled("label_noise", fault, fault.severities, {0.05: Tally(10, 10)}, 0.05)
    decision = replace(base.base.decision, verdict=Verdict.FIX)
    refused = replace(base.base, decision=decision)
    assert fake(caught, passed=False, base=refused).decision.verdict is Verdict.FIX
    # A vendor's set that is refused before anything is planted is the vendor's fault, not the gate's.
    assert fake(caught, passed=False, stands_in=False, base=refused).decision.verdict is Verdict.SHIP
    unsure = replace(base.base, decision=replace(decision, verdict=Verdict.INSUFFICIENT))
    assert fake(caught, passed=False, base=unsure).decision.verdict is Verdict.INSUFFICIENT


def test_nothing_that_applies_is_insufficient(base: Ground) -> None:
    fault = registry.build("faults", "time_leak", {})
    absent = Drilled("time_leak", fault, fault.severities, why_not=Unmeasured("no time", "declare it"))
    assert fake(absent, base=base.base).decision.verdict is Verdict.INSUFFICIENT


@pytest.mark.parametrize("n", [1, 5, 29, 199])
def test_too_few_rows_are_an_answer(n: int, census: pa.Table) -> None:
    result = drill(census.slice(0, n), target="income")
    assert result.decision.verdict is Verdict.INSUFFICIENT
    assert f"{n:,} row" in result.summary
    assert len(result.findings) == len(registry.names("faults"))
    assert all(isinstance(f.result, Unmeasured) and f.result.mend for f in result.findings)
    assert "INSUFFICIENT" in render_drill(result)


def test_few_synthetic_rows_are_an_answer(census: pa.Table) -> None:
    result = drill(census.slice(0, 500), census.slice(500, 29), target="income")
    assert result.decision.verdict is Verdict.INSUFFICIENT
    assert len(result.inputs) == 2


def test_mistakes_are_told(census: pa.Table) -> None:
    with pytest.raises(UnknownName, match="label_noise"):
        drill(census, faults=("lable_noise",))
    with pytest.raises(InputError, match="severity"):
        drill(census, faults=("label_noise=much",))
    with pytest.raises(InputError, match="severity"):
        drill(census, faults=("label_noise=-1",))
    with pytest.raises(InputError, match="0 plants"):
        drill(census, runs=0)


def test_halves_are_disjoint_and_another_seed_deals_others(census: pa.Table) -> None:

    whole = from_frame(census.slice(0, 1000))
    (kept, base), (other, _) = _halves(whole, 0), _halves(whole, 1)
    assert kept.rows + base.rows == 1000
    assert 400 < kept.rows < 600
    assert kept.fingerprint != other.fingerprint
    assert base.origin is Origin.SYNTHETIC
    assert base.lineage.fitted_on == "other"


def test_halves_by_time_are_mixed() -> None:
    from sterling.modalities.tabular import with_roles

    days = pa.table({"day": pa.array(np.arange(1000), pa.int32()).cast(pa.date32()), "x": np.arange(1000.0) ** 0.5})
    whole: Dataset = from_frame(days)
    whole = replace(whole, schema=with_roles(whole.schema, time="day"))
    kept, base = _halves(whole, 0)
    assert kept.schema["day"].role.value == "time"
    late = [float(np.mean(t.table().column("x").to_numpy() > np.sqrt(500))) for t in (kept, base)]
    assert all(0.4 < share < 0.6 for share in late)


# --- picture and terminal ---


def test_the_page_is_one_file_that_escapes_what_it_prints(report: Result) -> None:
    strange = replace(
        of(report, "copied_rows"),
        evidence={**of(report, "copied_rows").evidence, "title": "<script>x</script>", "shown_first": {"<b>": 1}},
    )
    page = render_drill(replace(report, findings=(*report.findings, strange), notes=("<i>note</i>",)))
    assert "<script" not in page
    assert "<b>" not in page
    assert "<i>note" not in page
    assert not re.findall(r"(?:src|href)=\"(?!data:|#)", page)
    assert page.count("<svg viewBox") == 2
    for text in ("copied_rows", "caught from", "time_leak", "Innocent changes", "prefers-color-scheme"):
        assert text in page


def test_the_picture_shows_what_was_tried(report: Result) -> None:
    page = render_drill(report)
    for finding in report.findings:
        tried = finding.evidence["tried"]
        if finding.measure == "drill_floor":
            for row in tried if isinstance(tried, list) else []:
                assert isinstance(row, dict)
                assert f"{row['caught']}/{row['plants']}" in page


def test_nothing_in_the_drawings_sticks_out(base: Ground) -> None:
    """Every text of every fault in the catalogue stays inside, on wide and on narrow screens."""
    drilled = [
        Drilled(n, f, f.severities, {s: Tally(10, 9) for s in f.severities}, f.severities[0])
        for n in registry.names("faults")
        if not (f := registry.build("faults", n, {})).innocent
    ]
    page = render_drill(fake(*drilled, base=base.base))
    drawings = re.findall(r"<svg viewBox=\"0 0 (\d+) [^>]*>(.*?)</svg>", page, re.DOTALL)
    assert len(drawings) == 2
    for width, inside in drawings:
        size = 14 if width == "1000" else 12.5
        texts = re.findall(r"<text x=\"([\d.]+)\" y=\"[\d.]+\"([^>]*)>([^<]*)</text>", inside)
        assert len(texts) > 100
        for x, how, words in texts:
            wide = text_width(words, size)
            left = float(x) - (wide if 'anchor="end"' in how else wide / 2 if "middle" in how else 0)
            assert left >= -4, words
            assert left + wide <= float(width) + 4, words


def test_the_command(cli, census: pa.Table, tmp_path: Path) -> None:
    pc.write_csv(census.slice(0, 400), tmp_path / "real.csv")
    pc.write_csv(census.slice(400, 300), tmp_path / "made.csv")
    said = cli(
        "drill", tmp_path / "real.csv", tmp_path / "made.csv", "--fault", "copied_rows=0.5", "--fault", "row_order",
        "--runs", "2", "--fast", "--json", tmp_path / "r.json", "--html", tmp_path / "r.html",
    )  # fmt: skip
    assert said.code == 0, said
    assert "copied_rows" in said.out
    assert "quiet" in said.out
    assert max(map(len, said.out.splitlines())) <= 80
    assert "min of processor time" in said.err
    assert json.loads((tmp_path / "r.json").read_text())["kind"] == "drill"
    assert (tmp_path / "r.html").read_text().startswith("<!DOCTYPE html>")


def test_the_command_refuses_mistakes_in_words(cli, census: pa.Table, tmp_path: Path) -> None:
    pc.write_csv(census.slice(0, 400), tmp_path / "real.csv")
    for words, told in (
        (("--fault", "copied_row"), "did you mean 'copied_rows'"),
        (("--target", "incom"), "did you mean 'income'"),
        (("--runs", "0"), "--runs 10"),
        (("--fault", "copied_rows=x"), "copied_rows"),
    ):
        said = cli("drill", tmp_path / "real.csv", *words)
        assert said.code == 2
        assert told in said.err
        assert "Traceback" not in said.err
        assert said.out == ""


def test_tiny_tables_answer_on_the_command_line(cli, tmp_path: Path) -> None:
    (tmp_path / "tiny.csv").write_text("x,y\n1,a\n2,b\n")
    said = cli("drill", tmp_path / "tiny.csv", "--target", "y")
    assert said.code == 0
    assert "INSUFFICIENT" in said.out
    assert "2 rows" in said.out
