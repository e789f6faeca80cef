"""D14: in which order to train: mixed, one after the other, or either alone."""

from __future__ import annotations

from sterling.decide.facts import Case, names
from sterling.decide.sentences import interval, number, sentence
from sterling.kernel.estimate import Estimate, Unmeasured
from sterling.kernel.finding import Finding, RuleOutcome, Status, Verdict


def order(case: Case) -> RuleOutcome | None:
    """D14: an order is named only if it beats the others by the policy's standard errors and the benchmark agrees."""
    found = [f for f in case.of("order_gain") if f.status is not Status.NOT_APPLICABLE]
    if not found:
        return None
    measured = [f for f in found if isinstance(f.result, Estimate)]
    if not measured:
        first = found[0].result
        why = (first.reason, first.mend) if isinstance(first, Unmeasured) else ()
        reason = sentence("No order of training could be tried", *why)
        return RuleOutcome("D14", "ORDER_UNKNOWN", names(found[:1]), reason, Verdict.INSUFFICIENT)
    factor = case.policy.order.se_factor
    chosen = next((f for f in measured if f.status is Status.PASS and _exceeds(f, "se", factor, _value(f))), None)
    if chosen is None:
        return _real_alone(measured, factor)
    gain = f"It changes the score by {_interval(chosen)} against the real rows alone in cross-validation"
    confirmed = chosen.evidence.get("confirmation")
    if isinstance(confirmed, dict) and isinstance(confirmed.get("value"), float):
        gain += f", and by {number(float(str(confirmed['value'])))} on the benchmark, opened once"
    if chosen.evidence.get("outcome") == "WINNER" and _exceeds(chosen, "ahead_se", factor, _number(chosen, "ahead")):
        reason = sentence(f"Use {chosen.slice}: it beats every other order by {number(factor)} standard errors", gain)
        return RuleOutcome("D14", "USE_ORDER", names([chosen]), reason)
    lead = (
        f"Use {chosen.slice}: no order is shown to be better by {number(factor)} standard errors, and it is the "
        "simplest of those that beat the real rows alone"
    )
    return RuleOutcome("D14", "USE_SIMPLEST", names([chosen]), sentence(lead, gain))


def _real_alone(measured: list[Finding], factor: float) -> RuleOutcome:
    best = max(measured, key=lambda f: ("refused" in f.evidence, _value(f)))
    seen = best.evidence.get("refused")
    what = "no order is shown to be better by" if seen is None else "the benchmark refuses what the folds liked by"
    lead = f"Use the real rows alone: {what} {number(factor)} standard errors"
    told = f"The best, {best.slice}, changes the score by {_interval(best)} in cross-validation"
    return RuleOutcome(
        "D14", "REAL_ONLY", names([best]), sentence(lead, told, seen if isinstance(seen, str) else None), Verdict.FIX
    )


def _exceeds(finding: Finding, se: str, factor: float, gain: float | None) -> bool:
    error = _number(finding, se)
    return gain is not None and error is not None and gain > factor * error


def _value(finding: Finding) -> float:
    return finding.result.value if isinstance(finding.result, Estimate) else float("-inf")


def _interval(finding: Finding) -> str:
    return interval(finding.result) if isinstance(finding.result, Estimate) else "nothing known"


def _number(finding: Finding, name: str) -> float | None:
    value = finding.params.get(name)
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None
