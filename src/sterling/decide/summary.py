"""The answer in one sentence: what the sets are worth, and what decided."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sterling.decide.sentences import joined, number, plural
from sterling.kernel.estimate import Estimate
from sterling.kernel.finding import Decision, Finding, Status, Verdict

MEANS = {
    Verdict.BLOCK: "Do not use it",
    Verdict.REAL_REQUIRED: "Not without real rows",
    Verdict.PROTOTYPE_ONLY: "For a prototype only",
    Verdict.INSUFFICIENT: "Too little to say",
    Verdict.FIX: "Not yet",
    Verdict.SHIP: "Good to use",
}


def summarise(decision: Decision, findings: Sequence[Finding]) -> str:
    """The answer for a reader who reads nothing else: worths where they are known, then what decided.

    Args:
        decision: the verdict with its rules.
        findings: where worths are taken from.
    """
    worths = _worths(findings)
    head = f"{MEANS[decision.verdict]}: {_grounds(decision, findings)}"
    return f"{worths} {head}" if worths else head


def _worths(findings: Iterable[Finding]) -> str:
    parts = [
        f"{f.candidate or 'the set'} is worth {_rows(f.result)}"
        for f in findings
        if f.measure == "real_equivalent_rows" and f.slice is None and isinstance(f.result, Estimate)
    ]
    return f"{joined(parts, most=4)}." if parts else ""


def _rows(worth: Estimate) -> str:
    if worth.censored and worth.value <= worth.low:
        return f"at least {plural(round(worth.low), 'real row')}"
    high = "or more" if worth.censored else f"to {number(worth.high)}"
    return f"{plural(round(worth.value), 'real row')} ({number(max(worth.low, 0.0))} {high})"


def _grounds(decision: Decision, findings: Sequence[Finding]) -> str:
    """What decided, in its own words."""
    if decision.verdict is Verdict.SHIP:
        mixed = [r.reason for r in decision.rules if r.rule == "D5" and r.outcome == "MIX"]
        passed = sum(f.status is Status.PASS for f in findings)
        clean = f"nothing that was measured stands against it ({plural(passed, 'finding')} within bounds)."
        return mixed[0] if mixed else clean
    forced = [r for r in decision.rules if r.verdict is decision.verdict and r.waived is None]
    if not forced:
        return "see the rules."
    more = f" {plural(len(forced) - 1, 'further reason')} below." if len(forced) > 1 else ""
    return f"{forced[0].reason}{more}"
