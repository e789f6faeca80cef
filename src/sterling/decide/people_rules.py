"""D9 and D11: what a set gives away about people, and whom it treats otherwise than the real data do."""

from __future__ import annotations

from collections.abc import Sequence

from sterling.decide.facts import Case, names
from sterling.decide.quality_rules import beyond
from sterling.decide.rulebook import plain
from sterling.decide.sentences import interval, joined, sentence
from sterling.kernel.estimate import Estimate
from sterling.kernel.finding import Finding, RuleOutcome, Status, Verdict

COPIES = ("copies", "near_copies", "nearest_record")
ATTACKS = ("membership_inference", "singling_out", "linkability", "attribute_inference", "rare_exposure", "canaries")
# Never distance alone, nor copies alone: who was in it, and what can be learned of them.
SHARED_ONLY_WITH = frozenset({"copies", "nearest_record", "membership_inference", "attribute_inference"})
GROUPS = ("representation", "outcome_gap", "amplification")


def privacy(case: Case) -> RuleOutcome | None:
    """D9: rows that repeat real rows, or attacks that succeed beyond what a control group allows."""
    bad = case.failing(*COPIES, *ATTACKS)
    if not bad:
        return _may_be_shared(case)
    numbers = joined([f"{plain(f.name)} is {interval(f.result)}" for f in bad if isinstance(f.result, Estimate)])
    copied = any(f.measure in COPIES for f in bad)
    what = "repeat real rows" if copied else "tell on the people behind the real rows"
    lead = f"Rows of {case.who} {what} more often than chance allows ({numbers})"
    why = next((f.reason for f in bad if f.reason), None)
    if case.policy.purpose == "privacy":
        reason = sentence(lead, why, "It must not be shared")
        return RuleOutcome("D9", "BLOCK", names(bad), reason, Verdict.BLOCK)
    mend = "Fix the generator; copies add nothing to train on and may tell on people"
    outcome = "COPIES_FOUND" if copied else "ATTACK_SUCCEEDS"
    return RuleOutcome("D9", outcome, names(bad), sentence(lead, why, mend), Verdict.FIX)


def _may_be_shared(case: Case) -> RuleOutcome | None:
    """Under a privacy policy: every attack was tried, and the upper end of its success is within its limit."""
    if case.policy.purpose != "privacy":
        return None
    tried = tried_attacks(case.findings)
    if not all_clear(tried):
        return None
    reason = (
        f"No attack that was tried on {case.who} does certainly better on the people it was made from than on people "
        f"who were never in the data, and each one's upper limit is within the policy's bound "
        f"({joined([plain(f.name) for f in tried if f.status is Status.PASS], most=8)})."
    )
    return RuleOutcome("D9", "SHARE", names([f for f in tried if f.status is Status.PASS]), reason)


def tried_attacks(findings: Sequence[Finding]) -> list[Finding]:
    """The findings on whole sets that sharing hangs on; canaries are few sets' and only accuse."""
    return [f for f in findings if f.measure in (*COPIES, *ATTACKS) and f.slice is None and f.measure != "canaries"]


def all_clear(tried: Sequence[Finding]) -> bool:
    """Whether the attacks that must be tried passed, and none is left open.

    An attack that does not apply to the data is no gap; one that nobody could take, or that stays open, is. Rare values
    that hardly anyone has are no attack that nobody could take: there is nobody to expose.
    """
    passed = {f.measure for f in tried if f.status is Status.PASS}
    few = [f for f in tried if f.measure == "rare_exposure" and f.status is Status.UNMEASURED]
    left = [f for f in tried if f.status not in (Status.PASS, Status.NOT_APPLICABLE) and f not in few]
    return not left and passed >= SHARED_ONLY_WITH


def bias(case: Case) -> RuleOutcome | None:
    """D11: a declared group is rarer, or its outcome another, than in the real data."""
    bad = case.failing(*GROUPS)
    if not bad:
        return None
    shown = joined([beyond(f) for f in bad])
    why = next((f.reason for f in bad if f.slice is not None and f.reason), bad[0].reason)
    blocks = case.policy.bias == "block" or case.consequential
    mend = (
        "With these stakes it must not be used"
        if blocks
        else "Rebalance: generate or weight those groups as the real data have them"
    )
    reason = sentence(f"In {case.who}, {shown}", why, mend)
    if blocks:
        return RuleOutcome("D11", "BLOCK", names(bad), reason, Verdict.BLOCK)
    return RuleOutcome("D11", "REBALANCE", names(bad), reason, Verdict.FIX)
