"""May this result ship? Yes or no, in a paragraph."""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from xml.etree import ElementTree

from sterling.decide.policy import Policy, load_policy
from sterling.decide.result import Result
from sterling.decide.rules import strongest
from sterling.decide.sentences import interval, joined, number, plural
from sterling.kernel.estimate import Estimate
from sterling.kernel.finding import Finding, RuleOutcome, Status, Verdict


@dataclass(frozen=True, slots=True)
class GateAnswer:
    """The gate's answer.

    Args:
        passed: whether the result may ship.
        paragraph: verdict, rules, findings and waivers in plain sentences.
        refusals: what stood against it; empty when it passed.
    """

    passed: bool
    paragraph: str
    refusals: tuple[str, ...] = ()


def gate(
    result: Result, *, policy: Policy | None = None, baseline: Result | None = None, today: datetime.date | None = None
) -> GateAnswer:
    """Ask whether a result passes.

    It passes on a verdict that the policy's [gate] allows, while everything that the policy requires was
    measured, and, where the policy asks is not the one that judged, while every finding keeps its bounds too.

    Args:
        result: what was found and decided.
        policy: whose gate is asked; None asks the default policy's.
        baseline: a previous result; what got worse, beyond both intervals, is named.
        today: the day on which the policy's own waivers are asked whether they hold; without it only
            the waivers that the result itself records count.
    """
    asked = policy if policy is not None else load_policy("default")
    rules = _waived_now(result.decision.rules, asked, today)
    # A verdict softened by nothing stays as it was decided: only a waiver of the gate's policy reopens it.
    verdict = result.decision.verdict if rules == result.decision.rules else strongest(rules)
    refusals = [
        *_verdict_refused(verdict, rules, asked),
        *_not_measured(result, asked, rules),
        *(_stricter_bounds(result, asked) if policy is not None else []),
    ]
    worse = [] if baseline is None else got_worse(result, baseline)
    if worse and asked.gate.worse == "refuse":
        refusals.append(f"it got worse than the baseline in {joined(worse)}.")
    lead = "Passed" if not refusals else "Not passed"
    parts = [f"{lead}: the verdict of this {result.kind} is {verdict.value} under policy {result.policy}."]
    parts += [_capital(r) for r in refusals]
    parts += _shown(result, rules, baseline, worse, refused=asked.gate.worse == "refuse")
    return GateAnswer(not refusals, " ".join(parts), tuple(refusals))


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _waived_now(rules: tuple[RuleOutcome, ...], policy: Policy, today: datetime.date | None) -> tuple[RuleOutcome, ...]:
    """The rules with what the gate's own policy waives today."""
    active = [] if today is None else [w for w in policy.waivers if w.holds(today)]

    def excuse(rule: RuleOutcome) -> str | None:
        for waiver in active:
            touched = [n for n in rule.because if waiver.rule in (n, n.split(":")[0])]
            if waiver.rule == rule.rule or (touched and len(touched) == len(rule.because)):
                return waiver.text
        return None

    return tuple(r if r.waived is not None else replace(r, waived=excuse(r)) for r in rules)


def _verdict_refused(verdict: Verdict, rules: Sequence[RuleOutcome], policy: Policy) -> list[str]:
    if verdict.value in policy.gate.allow:
        return []
    forced = [r for r in rules if r.verdict is verdict and r.waived is None]
    because = [
        f"{r.rule} {r.outcome}{f' ({joined(r.because, most=4)})' if r.because else ''}: {r.reason}" for r in forced
    ]
    return because or [f"the gate of policy {policy.label} lets through {joined(policy.gate.allow)} alone."]


def _not_measured(result: Result, policy: Policy, rules: Sequence[RuleOutcome]) -> list[str]:
    """Required measures that have no number, unless a rule said so already or a waiver covers it."""
    measured = {f.measure for f in result.findings if isinstance(f.result, Estimate)}
    said = {n.split(":")[0] for r in rules if r.rule == "REQUIRED" for n in r.because}
    missing = [m for m in policy.required_for(result.kind) if m not in measured | said]
    if not missing:
        return []
    return [f"policy {policy.label} requires {joined(missing)}, which this result does not hold."]


def _stricter_bounds(result: Result, policy: Policy) -> list[str]:
    """Findings that break or do not clear the bounds of the policy asked, where those differ from their own."""
    broken: list[str] = []
    for finding in result.findings:
        status = _judged_again(finding, policy)
        if status is Status.FAIL and finding.measure not in policy.informs:
            broken.append(f"{_label(finding)} fails its bound {number(policy.bounds[finding.measure])}")
        elif status is Status.UNDECIDED and finding.measure in policy.decisive and finding.slice is None:
            broken.append(f"{_label(finding)} does not clear its bound {number(policy.bounds[finding.measure])}")
    return [f"under policy {policy.label}, {joined(broken)}."] if broken else []


def _judged_again(finding: Finding, policy: Policy) -> Status | None:
    """The status under another policy's bound; None where nothing changes or nothing can be said."""
    old, new = finding.params.get("bound"), policy.bounds.get(finding.measure)
    if not isinstance(finding.result, Estimate) or isinstance(old, bool) or not isinstance(old, (int, float)):
        return None
    if new is None or abs(new) == abs(old):
        return None
    bound = math.copysign(new, old)  # measures whose gaps are negative record negative bounds
    low, high = finding.result.low, finding.result.high
    within, beyond = (low >= bound, high < bound) if finding.better == "higher" else (high <= bound, low > bound)
    return Status.FAIL if beyond else Status.PASS if within else Status.UNDECIDED


def got_worse(result: Result, baseline: Result) -> list[str]:
    """Findings that are worse than in the baseline beyond both intervals, or that failed or vanished since."""
    # A new delivery has a new file name: where each side judged one candidate, it is the same question.
    single = len(_judged(result)) <= 1 and len(_judged(baseline)) <= 1
    before = {(f.name if single else _label(f)): f for f in baseline.findings}
    worse: list[str] = []
    for finding in result.findings:
        old = before.get(finding.name if single else _label(finding))
        if old is not None and _is_worse(finding, old):
            worse.append(f"{_label(finding)} ({_value(old)} before, {_value(finding)} now)")
    now = {f.measure for f in result.findings if isinstance(f.result, Estimate)}
    then = dict.fromkeys(f.measure for f in baseline.findings if isinstance(f.result, Estimate))
    return worse + [f"{m} (measured before, not now)" for m in then if m not in now]


def _judged(result: Result) -> set[str | None]:
    return {f.candidate for f in result.findings if f.candidate is not None}


def _is_worse(now: Finding, before: Finding) -> bool:
    if not isinstance(now.result, Estimate) or not isinstance(before.result, Estimate):
        return False
    if now.better == "higher":
        return now.result.high < before.result.low
    return now.result.low > before.result.high


def _label(finding: Finding) -> str:
    return finding.name if finding.candidate is None else f"{finding.candidate}: {finding.name}"


def _value(finding: Finding) -> str:
    return interval(finding.result) if isinstance(finding.result, Estimate) else "unmeasured"


def _shown(
    result: Result, rules: Sequence[RuleOutcome], baseline: Result | None, worse: Sequence[str], *, refused: bool
) -> list[str]:
    """What a reader must see whatever the answer: waivers, what nobody measured, the baseline."""
    waived = [f"{r.rule} {r.outcome} is waived: {r.waived}." for r in rules if r.waived is not None]
    unmeasured = result.decision.unmeasured
    parts = [*waived]
    if unmeasured:
        parts.append(f"{_capital(plural(len(unmeasured), 'finding'))} unmeasured: {joined(unmeasured, most=6)}.")
    if baseline is not None and not (worse and refused):
        said = f"worse in {joined(worse)}" if worse else "nothing got worse beyond both intervals"
        parts.append(f"Against the baseline ({baseline.decision.verdict.value}): {said}.")
    return parts


def junit_xml(answer: GateAnswer, result: Result) -> str:
    """The answer as a JUnit file: one test for the gate, one for every finding; any text is escaped."""
    suite = ElementTree.Element("testsuite", name=f"sterling {_printable(result.kind)}")
    verdict = ElementTree.SubElement(suite, "testcase", classname="sterling.gate", name=result.decision.verdict.value)
    if not answer.passed:
        ElementTree.SubElement(verdict, "failure", message="not passed").text = _printable(answer.paragraph)
    for finding in result.findings:
        _testcase(suite, finding, refused=not answer.passed)
    cases = list(suite)
    suite.set("tests", str(len(cases)))
    suite.set("failures", str(sum(case.find("failure") is not None for case in cases)))
    suite.set("skipped", str(sum(case.find("skipped") is not None for case in cases)))
    suite.set("errors", "0")
    ElementTree.indent(suite)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(suite, encoding="unicode") + "\n"


def _testcase(suite: ElementTree.Element, finding: Finding, *, refused: bool) -> None:
    # What a waiver or the policy tolerates must not turn a passed gate red in a CI that reads this file.
    name, where = _printable(finding.name), _printable(finding.candidate or "set")
    case = ElementTree.SubElement(suite, "testcase", classname=f"sterling.{where}", name=name)
    text = _printable(finding.reason or "")
    if finding.status is Status.FAIL and refused:
        ElementTree.SubElement(case, "failure", message=_printable(_value(finding))).text = text
    elif finding.status in (Status.UNMEASURED, Status.NOT_APPLICABLE):
        reason = text if isinstance(finding.result, Estimate) else _printable(finding.result.reason)
        ElementTree.SubElement(case, "skipped", message=reason)
    elif text:
        ElementTree.SubElement(
            case, "system-out"
        ).text = f"{finding.status.value}: {_printable(_value(finding))}. {text}"


def _printable(text: str) -> str:
    """The text without characters that XML 1.0 cannot hold, not even escaped."""
    return re.sub("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "\N{REPLACEMENT CHARACTER}", text)
