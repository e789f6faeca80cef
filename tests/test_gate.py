"""The gate: SHIP passes, everything else is refused in a paragraph, and strangers' text breaks no file."""

from __future__ import annotations

import datetime
import itertools
import json
import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

import sterling
from sterling.decide.baseline import MARGIN, Baseline, against, memory_of
from sterling.decide.gate import _judged_again, gate
from sterling.decide.inputs import InputRecord
from sterling.decide.junit import junit_xml
from sterling.decide.policy import load_policy, waiver
from sterling.decide.result import Result, write_result
from sterling.kernel import seeds
from sterling.kernel.errors import InputError, UnreadableInput
from sterling.kernel.estimate import Estimate, Unmeasured
from sterling.kernel.finding import Decision, Finding, RuleOutcome, Status, Verdict
from sterling.stats.proportions import clopper_pearson

TODAY = datetime.date(2026, 11, 24)


NOW = datetime.datetime(2026, 11, 24, 12, 30, 5, tzinfo=datetime.UTC)


def found(measure: str, value: float, status: Status = Status.PASS, *, half: float = 0.01, **more) -> Finding:
    e = Estimate(value, value - half, value + half, 600, 0.95, "test")
    return Finding(measure, e, more.pop("better", "lower"), status, candidate=more.pop("candidate", "v"), **more)


GOOD = (
    found("two_sample_auc", 0.53, params={"bound": 0.6}, evidence={"at_least": 0.515}),
    found("slice_coverage", 0.95, params={"bound": 0.8}, better="higher"),
    found("utility", -0.01, params={"bound": -0.05}, better="higher"),
)
FIX = RuleOutcome("D2", "FIX_GENERATOR", ("slice_coverage:sex=F",), "A slice is gone.", Verdict.FIX, candidate="v")


def result(verdict: Verdict = Verdict.SHIP, rules=(), findings=GOOD, unmeasured=(), kind="compare") -> Result:
    return Result(kind, Decision(verdict, "default 1", rules, unmeasured), findings, (), 0, "default 1")


def test_ship_passes() -> None:
    answer = gate(result())
    assert answer.passed
    assert answer.paragraph == "Passed: the verdict of this compare is SHIP under policy default 1."


@pytest.mark.parametrize("kind", ["credit", "reach", "cost", "ceiling", "a stranger's"])
def test_what_judges_no_set_is_refused(kind: str, tmp_path: Path, cli) -> None:
    """Such an answer is SHIP where nothing speaks against it: that must not let a set pass."""
    with pytest.raises(InputError, match=f"the answer of `{kind}`, which judges no set") as told:
        gate(result(kind=kind))
    assert "compare, worth, blend or run" in told.value.mend
    write_result(result(kind=kind), tmp_path / "r.json")
    said = cli("gate", tmp_path / "r.json")
    assert (said.code, "Passed" in said.out + said.err) == (2, False)


@pytest.mark.parametrize(
    "kind", ["compare", "worth", "blend", "run", "demo", "check", "drill", "collapse", "order", "advise"]
)
def test_what_judges_a_set_is_judged(kind: str) -> None:
    policy = replace(load_policy(), required={})
    assert gate(result(kind=kind), policy=policy).passed
    assert not gate(result(Verdict.FIX, (FIX,), kind=kind), policy=policy).passed


@pytest.mark.parametrize("verdict", [v for v in Verdict if v is not Verdict.SHIP])
def test_everything_else_is_refused_with_rules_and_findings(verdict: Verdict) -> None:
    answer = gate(result(verdict, (replace(FIX, verdict=verdict),)))
    assert not answer.passed
    assert f"is {verdict.value}" in answer.paragraph
    assert "D2 FIX_GENERATOR (slice_coverage:sex=F): A slice is gone." in answer.paragraph


def test_a_verdict_without_rules_is_refused_too() -> None:
    assert "lets through SHIP alone" in gate(result(Verdict.FIX)).paragraph


def test_the_policy_may_let_other_verdicts_through() -> None:
    policy = load_policy()
    lenient = replace(policy, gate=replace(policy.gate, allow=("SHIP", "FIX")))
    assert gate(result(Verdict.FIX, (FIX,)), policy=lenient).passed
    assert not gate(result(Verdict.BLOCK), policy=lenient).passed


def test_a_required_measure_that_is_missing_refuses() -> None:
    answer = gate(result(findings=GOOD[1:]))
    assert not answer.passed
    assert "requires two_sample_auc" in answer.paragraph
    none = Finding("two_sample_auc", Unmeasured("no columns", "more"), "lower", Status.UNMEASURED)
    assert not gate(result(findings=(*GOOD[1:], none))).passed
    assert "requires copies, nearest_record" in gate(result(), policy=load_policy("privacy")).paragraph
    shown = gate(result(unmeasured=("nearest_record",)))
    assert shown.passed
    assert "1 finding unmeasured: nearest_record" in shown.paragraph


def test_waivers_are_shown_and_the_gates_own_may_open_it() -> None:
    silenced = gate(result(rules=(replace(FIX, waived="known (until 2030-01-01, Ada)"),)))
    assert silenced.passed
    assert "D2 FIX_GENERATOR is waived: known (until 2030-01-01, Ada)." in silenced.paragraph
    for rule in ("D2", "slice_coverage", "slice_coverage:sex=F"):
        policy = load_policy(waivers=[waiver(rule, "known", until="2030-01-01", by="Ada")])
        assert gate(result(Verdict.FIX, (FIX,)), policy=policy, today=TODAY).passed
        assert not gate(result(Verdict.FIX, (FIX,)), policy=policy).passed  # without a date none is known to hold
        assert not gate(result(Verdict.FIX, (FIX,)), policy=policy, today=datetime.date(2030, 1, 2)).passed


def test_the_bounds_of_the_policy_asked_count() -> None:
    policy = load_policy()
    strict = replace(policy, bounds={**policy.bounds, "two_sample_auc": 0.51, "utility": 0.001})
    answer = gate(result(), policy=strict)
    assert not answer.passed
    assert "v: two_sample_auc fails its bound 0.51" in answer.paragraph
    assert "v: utility does not clear its bound 0.001" in answer.paragraph
    assert gate(result(), policy=replace(policy, bounds={**policy.bounds, "two_sample_auc": 0.7})).passed


def asked_again(finding: Finding, bound: float) -> tuple[Status | None, bool]:
    """The finding's status under a bound, and whether the gate passes with it."""
    strict = replace(load_policy(), bounds={finding.measure: bound}, decisive=(), required={})
    return _judged_again(finding, strict), gate(result(findings=(finding,)), policy=strict).passed


def test_a_printed_interval_beyond_another_bound_leaves_the_finding_open() -> None:
    """It is for one look and may be of the worst of many: 2.5 % each is not the measure's share of alpha."""
    thin = found("slice_coverage", 0.80, better="higher", params={"bound": 0.7})  # [.79, .81]
    assert asked_again(thin, 0.85) == (Status.UNDECIDED, True)
    assert asked_again(replace(thin, evidence={"at_most": 0.86}), 0.85) == (Status.UNDECIDED, True)
    assert asked_again(replace(thin, evidence={"at_most": 0.84}), 0.85) == (Status.FAIL, False)
    gap = found("marginal_gap", 0.04, params={"bound": 0.05})  # [.03, .05]
    assert asked_again(gap, 0.02) == (Status.UNDECIDED, True)
    assert asked_again(replace(gap, evidence={"at_least": 0.01}), 0.02) == (Status.UNDECIDED, True)
    assert asked_again(replace(gap, evidence={"at_least": 0.025}), 0.02) == (Status.FAIL, False)
    # A table by look, or a flag, is no limit.
    assert asked_again(replace(gap, evidence={"at_least": {"a": 0.025}}), 0.02) == (Status.UNDECIDED, True)
    assert asked_again(gap, 0.06) == (Status.PASS, True)
    lost = found("utility", -0.04, better="higher", params={"bound": -0.05}, evidence={"at_most": -0.025})
    assert asked_again(lost, 0.02) == (Status.FAIL, False)
    assert asked_again(lost, 0.03) == (Status.UNDECIDED, True)


def test_what_failed_by_a_laxer_bound_fails_by_a_stricter_one() -> None:
    gap = found("marginal_gap", 0.06, Status.FAIL, params={"bound": 0.05})
    assert asked_again(gap, 0.03) == (Status.FAIL, False)
    assert asked_again(gap, 0.055) == (Status.UNDECIDED, True)
    thin = found("slice_coverage", 0.60, Status.FAIL, better="higher", params={"bound": 0.8})
    assert asked_again(thin, 0.9) == (Status.FAIL, False)
    assert asked_again(thin, 0.7) == (Status.UNDECIDED, True)


@pytest.mark.parametrize("seed", [0, 1])
def test_clean_groups_are_not_refused_by_a_slightly_stricter_bound(seed: int) -> None:
    """Thirty groups of clean rows: the printed interval is the worst-looking one's, as for one look."""
    names, r = np.array([f"g{i:02d}" for i in range(30)]), np.random.default_rng(seed)
    sets = [
        pd.DataFrame({"g": names[r.integers(0, 30, 2000)], "y": np.where(r.random(2000) < 0.3, "a", "b")})
        for _ in range(2)
    ]
    compared = sterling.compare(*sets, groups=["g"], target="y", effort="fast", seed=seed)
    policy = load_policy()
    answer = gate(compared, policy=replace(policy, bounds={**policy.bounds, "outcome_gap": 0.004}))
    assert "outcome_gap fails its bound" not in answer.paragraph, answer.paragraph


def mixed(rules: tuple[RuleOutcome, ...], findings=GOOD) -> Result:
    """A run whose adopted mix holds v and not w."""
    sources = [
        {"name": "real", "origin": "real", "rows": 900, "weight": 1.0},
        {"name": "v", "origin": "synthetic", "rows": 600, "weight": 0.5},
        {"name": "w", "origin": "synthetic", "rows": 600, "weight": 0.0},
    ]
    return replace(result(rules=rules, findings=findings, kind="compare"), mix={"adopted": True, "sources": sources})


def test_a_waiver_does_not_let_candidates_outside_the_mix_count_again() -> None:
    inside, outside = replace(FIX, rule="D3"), replace(FIX, candidate="w")
    policy = load_policy(waivers=[waiver("D3", "known", until="2030-01-01", by="Ada")])
    answer = gate(mixed((inside, outside)), policy=policy, today=TODAY)
    assert (answer.passed, answer.verdict, answer.refused_by) == (True, Verdict.SHIP, frozenset())
    other = gate(mixed((replace(inside, candidate="w"), replace(outside, candidate="v"))), policy=policy, today=TODAY)
    assert other.verdict is Verdict.FIX
    strict = replace(policy, bounds={"two_sample_auc": 0.51})
    beside = (*GOOD, replace(GOOD[0], candidate="w", evidence={"at_least": 0.515}))
    assert gate(mixed((), beside), policy=strict).refused_by == {("v", "two_sample_auc")}


AUC = found("two_sample_auc", 0.53, params={"bound": 0.6})


def test_the_baseline_names_what_got_worse_beyond_both_intervals() -> None:
    before = Baseline(result())
    now = result(findings=(found("two_sample_auc", 0.58), found("slice_coverage", 0.94, better="higher")))
    compared = against(now, before)
    assert [p.text for p in compared.worse] == ["v: two_sample_auc (0.53 [0.52, 0.54] before, 0.58 [0.57, 0.59] now)"]
    assert compared.vanished == ("utility",)
    answer = gate(now, baseline=before)
    assert not answer.refused_by  # the default policy names what got worse, and refuses for other reasons only
    assert "worse in v: two_sample_auc (0.53" in answer.paragraph
    assert "no longer measured: utility" in answer.paragraph
    assert "nothing got worse" in gate(before.result, baseline=before).paragraph
    fell = result(findings=(*GOOD[:2], found("utility", -0.04, better="higher")))
    assert against(fell, before).refusals == ("v: utility (-0.01 [-0.02, 0] before, -0.04 [-0.05, -0.03] now)",)
    assert against(before.result, Baseline(fell)).refusals == ()


def test_a_policy_may_refuse_what_got_worse() -> None:
    refusing = replace(load_policy("consequential"), bounds={})
    now = result(findings=(found("two_sample_auc", 0.58), *GOOD[1:]))
    assert gate(now, policy=refusing).passed
    answer = gate(now, policy=refusing, baseline=Baseline(result()))
    assert not answer.passed
    assert answer.refused_by == {("v", "two_sample_auc")}
    assert "It got worse than the baseline in v: two_sample_auc" in answer.paragraph


def test_a_step_that_does_not_matter_is_none_however_sure() -> None:
    sure = {"half": 1e-6, "params": {"bound": 0.6}}
    before = Baseline(result(findings=(found("two_sample_auc", 0.53, **sure),)))
    margin = MARGIN * (0.6 - 0.53)
    near = result(findings=(found("two_sample_auc", 0.53 + 0.9 * margin, **sure),))
    beyond = result(findings=(found("two_sample_auc", 0.53 + 1.1 * margin, **sure),))
    assert not against(near, before).worse
    assert against(beyond, before).worse


def test_a_change_of_status_alone_is_no_worsening() -> None:
    before = result(findings=(found("label_loss", 0.004, half=0.004, params={"bound": 0.01}),))
    now = result(findings=(found("label_loss", 0.007, Status.UNDECIDED, half=0.004, params={"bound": 0.01}),))
    compared = against(now, Baseline(before))
    assert not compared.refusals
    assert not compared.newly_failing


def test_newly_failing_is_told_from_failing_before() -> None:
    before = result(Verdict.FIX, (FIX,), (found("a", 0.5, Status.FAIL), found("b", 0.1), found("c", 0.9, Status.FAIL)))
    now = result(
        Verdict.FIX,
        (FIX,),
        (found("a", 0.5, Status.FAIL), found("b", 0.5, Status.FAIL), found("c", 0.1), found("d", 1.0, Status.FAIL)),
    )
    compared = against(now, Baseline(before))
    assert [p.label for p in compared.newly_failing] == ["v: b", "v: d"]
    assert compared.failing_still == ("v: a",)
    assert compared.mended == ("v: c",)
    told = gate(now, baseline=Baseline(before)).paragraph
    assert "newly failing: v: b (pass at 0.1 [0.09, 0.11] before" in told
    assert "v: d (1 [0.99, 1.01], not reported before)" in told
    assert "failing before as well: v: a" in told
    stricter = result(findings=(found("b", 0.1, Status.FAIL, params={"bound": 0.05}),))
    laxer = result(findings=(found("b", 0.1, params={"bound": 0.2}),))
    assert "its bound was 0.2, is 0.05" in gate(stricter, baseline=Baseline(laxer)).paragraph


def test_what_was_named_worse_stands_until_it_is_clearly_back() -> None:
    before = Baseline(result(findings=(AUC,)), standing=("v: two_sample_auc",))
    half_way = result(findings=(found("two_sample_auc", 0.547, params={"bound": 0.6}),))
    assert not against(half_way, replace(before, standing=())).remembered  # by itself it would not be named
    assert against(half_way, before).standing == ("v: two_sample_auc",)
    assert "not clearly back: v: two_sample_auc" in gate(half_way, baseline=before).paragraph
    back = result(findings=(found("two_sample_auc", 0.535, params={"bound": 0.6}),))
    assert against(back, before).recovered == ("v: two_sample_auc",)
    assert not against(back, before).remembered
    unmeasured = Finding("two_sample_auc", Unmeasured("x", "y"), "lower", Status.UNMEASURED, candidate="v")
    assert against(result(findings=(unmeasured,)), before).standing == ("v: two_sample_auc",)


def test_a_target_has_two_sides_where_it_is_stated() -> None:
    def share(value: float, **params) -> Result:
        return result(findings=(found("nearest_record", value, better="target", params=params),))

    assert against(share(0.40, target=0.5), Baseline(share(0.51, target=0.5))).worse
    assert not against(share(0.49, target=0.5), Baseline(share(0.40, target=0.5))).worse
    assert against(share(0.60), Baseline(share(0.51))).worse
    assert not against(share(0.40), Baseline(share(0.51))).worse


def test_open_intervals_and_missing_numbers_are_never_worse() -> None:
    censored = Finding(
        "worth", Estimate(900.0, 800.0, float("inf"), 9, 0.95, "t"), "higher", Status.PASS, candidate="v"
    )
    low = Finding("worth", Estimate(100.0, 90.0, 110.0, 9, 0.95, "t"), "higher", Status.PASS, candidate="v")
    assert against(result(findings=(low,)), Baseline(result(findings=(censored,)))).worse
    assert not against(result(findings=(censored,)), Baseline(result(findings=(low,)))).worse
    none = Finding("worth", Unmeasured("x", "y"), "higher", Status.UNMEASURED, candidate="v")
    assert not against(result(findings=(low,)), Baseline(result(findings=(none,)))).worse
    assert against(result(findings=(low,)), Baseline(result(findings=(none,)))).appeared == ("worth",)


def named(*sets: tuple[str | None, str, float]) -> Result:
    """One AUC for each of (candidate, fingerprint, value)."""
    findings = tuple(found("two_sample_auc", value, candidate=who) for who, _, value in sets)
    inputs = tuple(InputRecord(who or "", 9, mark, "synthetic") for who, mark, _ in sets)
    return replace(result(findings=findings), inputs=inputs)


def test_renamed_candidates_are_found_again() -> None:
    one = against(named(("vendor_v2", "x2", 0.9)), Baseline(named(("vendor_v1", "x1", 0.5))))
    assert [p.label for p in one.worse] == ["vendor_v2: two_sample_auc"]
    assert one.remembered == ("vendor_v1: two_sample_auc",)  # in the baseline's words: they do not move
    assert "vendor_v2 is taken for vendor_v1" in one.notes
    before = Baseline(named(("a", "rows1", 0.5), ("b", "rows2", 0.9)))
    same_rows = against(named(("c", "rows2", 0.9), ("d", "rows1", 0.5)), before)
    assert not same_rows.worse
    other = against(named(("c", "rows3", 0.9), ("d", "rows4", 0.5)), before)
    assert not other.worse
    assert other.notes == ("the baseline does not know c and d", "a and b of the baseline is not here")
    assert against(named((None, "z", 0.9)), Baseline(named(("a", "z", 0.5)))).worse


def test_what_makes_the_two_hard_to_compare_is_said() -> None:
    real = InputRecord("real", 9, "r1")
    now = replace(result(), policy="mine 2", seed=7, inputs=(replace(real, fingerprint="r2"),))
    told = gate(now, baseline=Baseline(replace(result(), inputs=(real,)), version="0.0")).paragraph
    for words in ("by Sterling 0.0, this result by 0.1", "judged under mine 2, the baseline under default 1"):
        assert words in told
    assert "the seed is 7, was 0" in told
    assert "the real rows are not those of the baseline" in told
    with pytest.raises(InputError, match="result of `worth`, the file asked about of `compare`"):
        against(result(), Baseline(result(kind="worth")))


def noisy(seed: int, *, shift: float = 0.0) -> Result:
    """60 findings of 10k rows with honest intervals: shares, differences and slices, as a compare has them."""
    rng = seeds.stream(seed, "flap")
    scale = seeds.stream(0, "flap scale").uniform(0.001, 0.05, 40)
    findings = [found(f"m{i}", rng.normal(0, s), half=1.96 * s, params={"bound": 0.05}) for i, s in enumerate(scale)]
    for i, share in enumerate(np.geomspace(0.002, 0.5, 20)):
        n = 400 + 400 * i
        e = clopper_pearson(int(rng.binomial(n, share * (1 + shift))), n, level=0.95)
        findings.append(Finding("share", e, "lower", Status.PASS, slice=f"s={i}", candidate="v"))
    return result(findings=tuple(findings))


def test_noise_does_not_flap() -> None:
    pairs = [(noisy(2 * i), noisy(2 * i + 1)) for i in range(200)]
    flaps = sum(bool(against(a, Baseline(b)).refusals) for a, b in pairs)
    assert flaps < 2, f"{flaps} of 200 clean pairs named something worse"
    naive = sum(
        any(x.result.low > y.result.high for x, y in zip(a.findings, b.findings, strict=True)) for a, b in pairs
    )
    assert naive > 10  # intervals alone would flap: the test can fail
    seen = sum(bool(against(noisy(2 * i, shift=0.5), Baseline(noisy(2 * i + 1))).worse) for i in range(20))
    assert seen == 20


def test_a_finding_at_the_threshold_is_named_once_and_does_not_flap() -> None:
    rng = seeds.stream(0, "threshold")
    baseline = Baseline(result(findings=(AUC,)))
    with_memory, without = [], []
    for _ in range(60):  # the truth sits where single runs fall now on this side, now on that
        now = result(findings=(found("two_sample_auc", 0.5505 + rng.normal(0, 0.005), params={"bound": 0.6}),))
        compared = against(now, baseline)
        with_memory.append(bool(compared.worse or compared.standing))
        without.append(bool(compared.worse))
        baseline = replace(baseline, standing=compared.remembered)
    assert sum(a != b for a, b in itertools.pairwise(without)) > 10
    assert sum(a != b for a, b in itertools.pairwise(with_memory)) <= 1
    assert with_memory[-1]


def test_the_gate_remembers_beside_the_baseline(tmp_path: Path) -> None:
    path, good, bad, half_way = (tmp_path / f"{n}.json" for n in ("previous", "good", "bad", "half_way"))
    write_result(result(), path)
    write_result(result(), good)
    write_result(result(findings=(found("two_sample_auc", 0.58), *GOOD[1:])), bad)
    write_result(result(findings=(found("two_sample_auc", 0.548), *GOOD[1:])), half_way)
    assert "nothing got worse" in sterling.gate(half_way, baseline=path).paragraph
    assert not memory_of(path).exists()
    assert "worse in v: two_sample_auc" in sterling.gate(bad, baseline=path).paragraph
    assert "not clearly back: v: two_sample_auc" in sterling.gate(half_way, baseline=path).paragraph
    assert "back where it was: v: two_sample_auc" in sterling.gate(good, baseline=path).paragraph
    assert not memory_of(path).exists()
    sterling.gate(bad, baseline=path)
    path.write_text(path.read_text() + " ")  # another baseline in its place: what was named does not hold for it
    assert "nothing got worse" in sterling.gate(half_way, baseline=path).paragraph


def test_damaged_baselines_say_how_to_mend(tmp_path: Path, cli) -> None:
    asked = tmp_path / "result.json"
    write_result(result(), asked)
    whole = json.loads(asked.read_text())
    damaged = {
        "empty": "",
        "cut": asked.read_text()[:300],
        "list": "[]",
        "lacking": json.dumps({k: v for k, v in whole.items() if k != "findings"}),
        "newer": json.dumps({**whole, "sterling": "9.0"}),
        "other": json.dumps({**whole, "kind": "worth"}),
        "wrong": json.dumps({**whole, "findings": [{"measure": 3}]}),
    }
    for name, text in damaged.items():
        (tmp_path / f"{name}.json").write_text(text)
        said = cli("gate", asked, "--baseline", tmp_path / f"{name}.json")
        assert said.code == 2, name
        assert "To mend" in said.err, name
        assert "baseline" in said.err, name
    with pytest.raises(UnreadableInput, match="baseline"):
        sterling.gate(asked, baseline=tmp_path / "absent.json")
    for text in ("{", "[]", '{"worse": 3}'):
        memory_of(asked).write_text(text)
        with pytest.raises(InputError) as err:
            sterling.gate(asked, baseline=asked)
        assert "delete it" in err.value.mend


def test_a_memory_that_cannot_be_kept_is_said(tmp_path: Path) -> None:
    path, bad = tmp_path / "previous.json", tmp_path / "bad.json"
    write_result(result(), path)
    write_result(result(findings=(found("two_sample_auc", 0.58), *GOOD[1:])), bad)
    memory_of(path).mkdir()
    assert "could not be remembered" in sterling.gate(bad, baseline=path).paragraph


NASTY = "</failure>&<script>\x00\x0b\ud800\"'é\n]]>"


def keeps_to_the_schemas(xml: str) -> ElementTree.Element:
    """Assert what Ant's schema (Windy Road's JUnit.xsd) and Jenkins' junit-10.xsd both ask of one suite."""
    root = ElementTree.fromstring(xml)
    assert root.tag == "testsuite"
    needed = {"name", "timestamp", "hostname", "tests", "failures", "errors", "time"}
    assert needed <= set(root.attrib) <= needed | {"skipped"}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", root.attrib["timestamp"])
    assert all(re.fullmatch(r"\d+", root.attrib[n]) for n in ("tests", "failures", "errors", "skipped", "time"))
    tags = [child.tag for child in root]
    assert tags == ["properties", *["testcase"] * (len(tags) - 3), "system-out", "system-err"]
    for prop in root[0]:
        assert prop.tag == "property"
        assert set(prop.attrib) == {"name", "value"}
    for case in root[1:-2]:
        assert set(case.attrib) == {"name", "classname", "time"}
        assert all(v and v == " ".join(v.split()) for v in case.attrib.values())  # xs:token
        assert len(case) <= 1
        for child in case:
            assert child.tag in {"skipped", "failure", "error"}
            assert child.tag == "skipped" or "type" in child.attrib
            assert set(child.attrib) <= {"type", "message"}
            assert len(child) == 0
    cases = root.findall("testcase")
    assert root.attrib["tests"] == str(len(cases))
    assert root.attrib["failures"] == str(sum(c.find("failure") is not None for c in cases))
    assert root.attrib["skipped"] == str(sum(c.find("skipped") is not None for c in cases))
    return root


def test_junit_is_well_formed_whatever_the_names() -> None:
    findings = (
        *GOOD,
        found("slice_coverage", 0.1, Status.FAIL, slice=NASTY, reason=NASTY),
        Finding(NASTY, Unmeasured(NASTY, "x"), "lower", Status.UNMEASURED),
        found("marginal_gap", 0.05, Status.WARN, reason=NASTY, candidate=NASTY),
        found(" \n ", 0.05, candidate=""),
    )
    rule = replace(FIX, reason=NASTY, because=(f"slice_coverage:{NASTY}",))
    refused = result(Verdict.FIX, (rule,), findings)
    root = keeps_to_the_schemas(junit_xml(gate(refused), refused, when=NOW))
    assert (root.get("tests"), root.get("failures"), root.get("skipped")) == ("8", "2", "1")
    assert "é" in "".join(root.itertext())
    assert root.get("timestamp") == "2026-11-24T12:30:05"
    known = {p.get("name"): p.get("value") for p in root.iter("property")}
    assert known["verdict"] == "FIX"
    assert (known["policy"], known["gate.policy"], known["passed"]) == ("default 1", load_policy().label, "false")
    passed = result(findings=findings)
    assert keeps_to_the_schemas(junit_xml(gate(passed), passed, when=NOW)).get("failures") == "0"


def failing(root: ElementTree.Element) -> list[str | None]:
    return [case.get("name") for case in root.iter("testcase") if case.find("failure") is not None]


def test_junit_fails_only_for_what_refuses() -> None:
    findings = (
        *GOOD,
        found("slice_coverage", 0.1, Status.FAIL, slice="sex=F"),
        found("transfer_drop", 0.2, Status.FAIL),  # informs only
        found("slice_coverage", 0.1, Status.FAIL, slice="sex=M"),  # no rule speaks of it
    )
    refused = result(Verdict.FIX, (FIX,), findings)
    root = keeps_to_the_schemas(junit_xml(gate(refused), refused, when=NOW))
    assert failing(root) == ["gate", "slice_coverage:sex=F"]
    missing = result(findings=GOOD[1:])
    root = keeps_to_the_schemas(junit_xml(gate(missing), missing, when=NOW))
    assert failing(root) == ["gate", "two_sample_auc"]
    policy = load_policy()
    stricter = gate(result(), policy=replace(policy, bounds={**policy.bounds, "two_sample_auc": 0.51}))
    assert failing(keeps_to_the_schemas(junit_xml(stricter, result(), when=NOW))) == ["gate", "two_sample_auc"]
    waived = result(rules=(replace(FIX, waived="known"),), findings=findings)
    assert failing(keeps_to_the_schemas(junit_xml(gate(waived), waived, when=NOW))) == []


def test_the_command_writes_junit(tmp_path: Path, cli) -> None:
    write_result(result(Verdict.FIX, (FIX,)), tmp_path / "r.json")
    said = cli("gate", tmp_path / "r.json", "--junit", tmp_path / "gate.xml")
    assert said.code == 1
    root = keeps_to_the_schemas((tmp_path / "gate.xml").read_text())
    assert said.out.strip() == root.findtext("testcase/failure")


def test_a_target_and_slices_with_bounds_of_their_own_are_not_judged_by_another_bound() -> None:
    near = found("nearest_record", 0.515, better="target", params={"bound": 0.53}, evidence={"at_least": 0.502})
    whole = found("label_errors", 0.002, half=0.001, params={"bound": 0.01}, evidence={"at_least": 0.0008})
    part = found("label_errors", 0.04, params={"bound": 0.05}, slice="sex=F")
    assert gate(result(findings=(*GOOD, near, whole, part)), policy=load_policy()).passed
    strict = replace(load_policy(), bounds={**load_policy().bounds, "nearest_record": 0.001, "label_errors": 0.0005})
    assert "nearest_record fails its bound" in gate(result(findings=(*GOOD, near)), policy=strict).paragraph
    assert "label_errors fails its bound" in gate(result(findings=(*GOOD, whole, part)), policy=strict).paragraph
