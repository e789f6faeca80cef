"""ANALYSES: whether the user's own analyses conclude the same on synthetic rows as on real ones."""

from __future__ import annotations

from sterling.decide.facts import Case, names
from sterling.decide.sentences import joined, sentence
from sterling.kernel.estimate import Estimate
from sterling.kernel.finding import Finding, RuleOutcome, Status, Verdict

MEASURE = "analysis_overlap"


def analyses(case: Case) -> RuleOutcome | None:
    """Whether the analyses that matter to the user say the same."""
    found = case.of(MEASURE)
    if not found:
        return None
    alone = case.facts.kind == "analyses"
    bad = [f for f in found if f.status is Status.FAIL]
    if bad:
        reason = sentence(
            f"In {case.who}, {_listed(bad)} {'comes' if len(bad) == 1 else 'come'} out otherwise than on real rows",
            bad[0].reason,
            "Fix the generator, or do not use it for this analysis",
        )
        return RuleOutcome("ANALYSES", "OTHER_CONCLUSIONS", names(bad), reason, Verdict.FIX)
    unclear = [f for f in found if f.status is Status.UNMEASURED or (f.status is Status.UNDECIDED and _below(f))]
    if unclear:
        reason = sentence(
            f"In {case.who}, {_listed(unclear)} cannot be called the same as on real rows", unclear[0].reason,
            "More synthetic rows, or the mean of several sets (--combine), would decide"
            if unclear[0].status is Status.UNDECIDED else None,
        )  # fmt: skip
        return RuleOutcome("ANALYSES", "UNCLEAR", names(unclear), reason, Verdict.INSUFFICIENT if alone else None)
    means = [f.result.value for f in found if isinstance(f.result, Estimate)]
    reason = (
        f"{len(found):,} {'analysis' if len(found) == 1 else 'analyses'} of {case.who} conclude"
        f"{'s' if len(found) == 1 else ''} the same as on real rows: intervals overlap by "
        f"{min(means):.2f} or more on average."
    )
    return RuleOutcome("ANALYSES", "SAME_CONCLUSIONS", names(found), reason)


def _below(finding: Finding) -> bool:
    """Whether the point misses the bound, and what two real samples agree by; over draws one estimate varies widely."""
    bound, result = finding.params.get("bound"), finding.result
    if not isinstance(result, Estimate) or not isinstance(bound, (int, float)):
        return False
    return result.value < bound and (finding.floor is None or result.value < finding.floor.low)


def _listed(findings: list[Finding]) -> str:
    return joined([str(f.slice).removeprefix("analysis=") for f in findings])
