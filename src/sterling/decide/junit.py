"""The gate's answer as a JUnit file, for the test view of any CI.

The file keeps to what both common schemas ask (Ant's, as Windy Road wrote it down, and Jenkins' junit-10): one suite,
properties first, then the cases, then system-out and system-err.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from sterling.decide.gate import GateAnswer
from sterling.decide.result import Result
from sterling.decide.sentences import interval, number
from sterling.kernel.estimate import Estimate
from sterling.kernel.finding import Finding


def junit_xml(answer: GateAnswer, result: Result, *, when: datetime.datetime) -> str:
    """One case for the gate and one for every finding; a failure only where it refuses.

    A finding that fails and is waived or tolerated must not turn a passed gate red in a CI that reads this file. Any
    text is escaped, and what XML 1.0 cannot hold at all is replaced.

    Args:
        answer: the gate's.
        result: what it was asked about.
        when: the moment it was asked.
    """
    cases = [_gate_case(answer), *(_finding_case(f, answer) for f in result.findings), *_absent(answer, result)]
    failed = sum(case.find("failure") is not None for case in cases)
    skipped = sum(case.find("skipped") is not None for case in cases)
    suite = Element(
        "testsuite",
        name=_token(f"sterling {result.kind}"),
        timestamp=when.astimezone(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S"),
        hostname="localhost",
        tests=str(len(cases)),
        failures=str(failed),
        errors="0",
        skipped=str(skipped),
        time="0",
    )
    suite.append(_properties(answer, result))
    suite.extend(cases)
    SubElement(suite, "system-out").text = "\n".join([_printable(answer.paragraph), *_lines(result)])
    SubElement(suite, "system-err").text = ""
    ElementTree.indent(suite)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(suite, encoding="unicode") + "\n"


def _properties(answer: GateAnswer, result: Result) -> Element:
    box = Element("properties")
    known = {
        "verdict": answer.verdict.value,
        "passed": "true" if answer.passed else "false",
        "policy": result.policy,
        "gate.policy": answer.policy,
        "kind": result.kind,
        "seed": str(result.seed),
        **{f"input.{i}": f"{record.name}: {record.rows} rows" for i, record in enumerate(result.inputs)},
    }
    for name, value in known.items():
        SubElement(box, "property", name=name, value=_printable(value))
    return box


def _case(name: str, where: str) -> Element:
    return Element("testcase", name=_token(name), classname=_token(f"sterling.{where}"), time="0")


def _gate_case(answer: GateAnswer) -> Element:
    case = _case("gate", "gate")
    if not answer.passed:
        failure = SubElement(case, "failure", type=answer.verdict.value, message="not passed")
        failure.text = _printable(answer.paragraph)
    return case


def _finding_case(finding: Finding, answer: GateAnswer) -> Element:
    case = _case(finding.name, finding.candidate or "set")
    held = {(None, finding.name), (finding.candidate, finding.name)} & answer.refused_by
    if held and not answer.passed:
        failure = SubElement(case, "failure", type=finding.status.value, message=_shown(finding))
        failure.text = _printable(finding.reason or answer.paragraph)
    elif not isinstance(finding.result, Estimate):
        SubElement(case, "skipped", message=_printable(finding.result.reason))
    return case


def _absent(answer: GateAnswer, result: Result) -> Iterator[Element]:
    """A case for every measure that refuses by not being there at all."""
    present = {f.name for f in result.findings}
    for name in sorted({name for _, name in answer.refused_by} - present) if not answer.passed else ():
        case = _case(name, "required")
        SubElement(case, "failure", type="unmeasured", message="this result holds no such finding")
        yield case


def _lines(result: Result) -> Iterator[str]:
    for finding in result.findings:
        who = "" if finding.candidate is None else f"{finding.candidate}: "
        reason = f" {finding.reason}" if finding.reason else ""
        yield _printable(f"{finding.status.value:<14} {who}{finding.name} {_shown(finding)}{reason}")


def _shown(finding: Finding) -> str:
    if not isinstance(finding.result, Estimate):
        return "unmeasured"
    bound = finding.params.get("bound")
    beside = f", bound {number(bound)}" if isinstance(bound, (int, float)) and not isinstance(bound, bool) else ""
    return _printable(f"{interval(finding.result)}{beside}")


def _token(text: str) -> str:
    """A name as xs:token has it: no line breaks, no blanks at the ends, never empty."""
    return " ".join(_printable(text).split()) or "unnamed"


def _printable(text: str) -> str:
    """The text without characters that XML 1.0 cannot hold, not even escaped."""
    return re.sub("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "\N{REPLACEMENT CHARACTER}", text)
