"""The gate: SHIP passes, everything else is refused in a paragraph, and strangers' text breaks no file."""

from __future__ import annotations

import datetime
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from sterling.decide.gate import gate, got_worse, junit_xml
from sterling.decide.policy import load_policy, waiver
from sterling.decide.result import Result
from sterling.kernel.estimate import Estimate, Unmeasured
from sterling.kernel.finding import Decision, Finding, RuleOutcome, Status, Verdict

TODAY = datetime.date(2026, 11, 24)


def found(measure: str, value: float, status: Status = Status.PASS, *, half: float = 0.01, **more) -> Finding:
    e = Estimate(value, value - half, value + half, 600, 0.95, "test")
    return Finding(measure, e, more.pop("better", "lower"), status, candidate="v", **more)


GOOD = (
    found("two_sample_auc", 0.53, params={"bound": 0.6}),
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
    assert "requires copies and nearest_record" in gate(result(), policy=load_policy("privacy")).paragraph
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


def test_the_baseline_names_what_got_worse_beyond_both_intervals() -> None:
    before = result()
    now = result(findings=(found("two_sample_auc", 0.58), found("slice_coverage", 0.94, better="higher")))
    assert got_worse(now, before) == [
        "v: two_sample_auc (0.53 [0.52, 0.54] before, 0.58 [0.57, 0.59] now)",
        "utility (measured before, not now)",
    ]
    answer = gate(now, baseline=before)
    assert answer.passed
    assert "worse in v: two_sample_auc" in answer.paragraph
    refusing = load_policy("consequential")
    assert not gate(now, policy=replace(refusing, bounds={}), baseline=before).passed
    assert "nothing got worse" in gate(before, baseline=before).paragraph
    fell = result(findings=(*GOOD[:2], found("utility", -0.04, better="higher")))
    assert got_worse(fell, before) == ["v: utility (-0.01 [-0.02, 0] before, -0.04 [-0.05, -0.03] now)"]
    assert got_worse(before, fell) == []


NASTY = "</failure>&<script>\x00\x0b\ud800\"'é"


def test_junit_is_well_formed_whatever_the_names() -> None:
    findings = (
        *GOOD,
        found("slice_coverage", 0.1, Status.FAIL, slice=NASTY, reason=NASTY),
        Finding(NASTY, Unmeasured(NASTY, "x"), "lower", Status.UNMEASURED),
        found("marginal_gap", 0.05, Status.WARN, reason=NASTY),
    )
    refused = result(Verdict.FIX, (replace(FIX, reason=NASTY),), findings)
    root = ElementTree.fromstring(junit_xml(gate(refused), refused))
    assert (root.get("tests"), root.get("failures"), root.get("skipped")) == ("7", "2", "1")
    assert root.find("testcase/failure") is not None
    assert "é" in "".join(root.itertext())
    passed = result(findings=findings)
    assert ElementTree.fromstring(junit_xml(gate(passed), passed)).get("failures") == "0"
