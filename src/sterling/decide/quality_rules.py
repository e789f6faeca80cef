"""D2, D3, D4 and plain bounds: what is wrong with a candidate, and what would mend it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

from sterling.decide import review_rules
from sterling.decide.facts import Case, names
from sterling.decide.rulebook import plain
from sterling.decide.sentences import interval, joined, number, plural, sentence
from sterling.kernel.estimate import Estimate, Unmeasured
from sterling.kernel.finding import Finding, RuleOutcome, Status, Verdict

# How wrong labels may lie, as `label_errors` tells them apart.
PATTERNS = ("random", "clustered", "one-directional")
# What shows that a generator has lost a part of what it learned from.
NARROWED = ("slice_coverage", "rare_modes", "unique_values", "coverage")


def coverage(case: Case) -> RuleOutcome | None:
    """D2: what is there in the real data is missing or thin in the synthetic, or the generator has narrowed."""
    bad = case.failing(*NARROWED)
    if not bad:
        return None
    slices = [f for f in bad if f.slice is not None and f.measure == "slice_coverage"]
    slices = slices or [f for f in bad if f.measure == "slice_coverage"]
    if not slices:
        shown = joined([beyond(f) for f in bad])
        reason = sentence(f"In {case.who}, {shown}", bad[0].reason, "Fix the generator before mixing")
        return RuleOutcome("D2", "FIX_GENERATOR", names(bad), reason, Verdict.FIX)
    shown = joined([_share(f) for f in sorted(slices, key=_value)])
    count = plural(len(slices), "slice")
    reason = (
        f"In {case.who}, {count} of the real data {'is' if len(slices) == 1 else 'are'} missing or thin: {shown}. "
        "Fix the generator before mixing: more rows from it will not bring them back."
    )
    return RuleOutcome("D2", "FIX_GENERATOR", names(bad), reason, Verdict.FIX)


def _value(finding: Finding) -> float:
    return finding.result.value if isinstance(finding.result, Estimate) else math.inf


def _share(finding: Finding) -> str:
    where = finding.slice or "one of its slices"
    if not isinstance(finding.result, Estimate):
        return where
    return f"{where} ({number(finding.result.value)} of its real share, at most {number(finding.result.high)})"


def labels(case: Case) -> RuleOutcome | None:
    """D3: labels that do not follow the real relation between features and target."""
    bad = case.failing("label_loss", "label_errors")
    if not bad:
        return None
    places = [f.slice for f in bad if f.slice is not None] or _concentrated(bad)
    if places:
        reason = (
            f"Labels in {case.who} are wrong in {joined(places)}: concentrated errors are learned in full, "
            "and more rows do not help. Relabel those rows."
        )
        return RuleOutcome("D3", "RELABEL_SLICE", names(bad), reason, Verdict.FIX)
    utility = [f for f in case.of("utility") if f.slice is None]
    if utility and all(f.status is Status.PASS for f in utility) and case.policy.labels_random == "tolerate":
        reason = (
            f"Labels in {case.who} carry errors that are spread evenly, and a model trained on them does as well "
            "as one trained on real rows: tolerable."
        )
        return RuleOutcome("D3", "TOLERATE", names([*bad, *utility]), reason)
    lead = f"Labels in {case.who} do not follow the relation in the real data. Relabel them or fix the generator"
    kind = next((p for f in case.of("label_errors") if (p := f.evidence.get("pattern")) in PATTERNS), None)
    reason = sentence(lead, bad[0].reason, f"The errors look {kind}" if kind else None)
    return RuleOutcome("D3", "RELABEL", names(bad), reason, Verdict.FIX)


def _concentrated(findings: Sequence[Finding]) -> list[str]:
    """Slices in which the measure itself found the errors to be concentrated."""
    found = [f.evidence.get("concentrated_in") for f in findings]
    return [place for place in found if isinstance(place, str) and place]


def utility(case: Case) -> RuleOutcome | None:
    """D4: can a model be trained on synthetic rows alone? Yes, no, or more test rows are needed."""
    found = [f for f in case.of("utility") if f.slice is None and f.status is not Status.NOT_APPLICABLE]
    if not found:
        return None
    finding = found[0]
    if isinstance(finding.result, Unmeasured):
        return _cannot_say(case, finding, sentence(finding.result.reason, finding.result.mend))
    bound = tolerance(case, finding)
    told, subjective = finding.status, review_rules.subjective(case)
    if subjective:  # D13: what people do not agree on asks for more certainty
        bound /= 2
        told = _within(finding, finding.result, bound)
    gap = f"{number(finding.result.value)} [{number(finding.result.low)}, {number(finding.result.high)}]"
    status = _by_point(finding.result, bound) if case.policy.utility_by == "point" else told
    if status is Status.UNDECIDED:
        return _cannot_say(case, finding, _what_would_decide(case, finding, finding.result, bound, gap))
    if status is Status.FAIL:
        reason = (
            f"A model trained on {case.who} alone scores worse on real rows than one trained on real rows: "
            f"{gap}, beyond the tolerance of {number(bound)}. It is no substitute; beside real rows it may help."
        )
        verdict = Verdict.FIX if case.facts.used_alone else None
        return RuleOutcome("D4", "NOT_ALONE", names([finding]), reason, verdict)
    reason = (
        f"A model trained on {case.who} alone loses no more than {number(bound)} against one trained on real rows "
        f"(difference {gap})."
    )
    return RuleOutcome("D4", "SUBSTITUTE_OK", names([finding]), reason)


def tolerance(case: Case, finding: Finding) -> float:
    """The bound that the finding was judged by, as a positive number."""
    judged = finding.params.get("bound")
    if isinstance(judged, (int, float)) and not isinstance(judged, bool):
        return abs(float(judged))
    return abs(case.policy.bounds.get("utility", 0.05))


def _within(finding: Finding, result: Estimate, bound: float) -> Status:
    """What the interval that decides says of another bound than the one it was judged by."""
    wide = _surer(finding)
    low, high = (result.value + wide * (end - result.value) for end in (result.low, result.high))
    return Status.FAIL if high < -bound else Status.PASS if low >= -bound else Status.UNDECIDED


def _by_point(result: Estimate, bound: float) -> Status:
    return Status.FAIL if result.value < -bound else Status.PASS


def _what_would_decide(case: Case, finding: Finding, result: Estimate, bound: float, gap: str) -> str:
    """How many benchmark rows would narrow the interval until it clears the bound."""
    half, distance = (result.high - result.low) / 2, abs(result.value + bound)
    lead = (
        f"Trained on {case.who} alone, a model's score differs by {gap}: the tolerance of {number(bound)} lies within"
    )
    have = case.facts.n_benchmark
    if not have or not math.isfinite(half) or distance * 10 <= half:
        return sentence(lead, "It sits so close to the bound that only a far larger real test would decide")
    # An interval narrows with the square root of the rows it rests on.
    need = math.ceil(have * (half * _surer(finding) / distance) ** 2 / 10) * 10
    return sentence(lead, f"You have {plural(have, 'benchmark row')}; about {max(need, have):,} would decide")


def _surer(finding: Finding) -> float:
    """How much wider the interval is that decides (1 - alpha) than the one that is printed, for a normal estimate."""
    alpha = finding.params.get("alpha")
    if not isinstance(alpha, float) or not 0 < alpha < 1 or not isinstance(finding.result, Estimate):
        return 1.0
    normal = NormalDist()
    return max(1.0, normal.inv_cdf(1 - alpha / 2) / normal.inv_cdf((1 + finding.result.level) / 2))


def _cannot_say(case: Case, finding: Finding, reason: str) -> RuleOutcome:
    asks = "utility" in case.policy.decisive and case.facts.used_alone
    return RuleOutcome("D4", "COLLECT_TEST", names([finding]), reason, Verdict.INSUFFICIENT if asks else None)


def out_of_bounds(case: Case) -> RuleOutcome | None:
    """BOUND: whatever failed and no other rule named."""
    bad = case.failing(*{f.measure for f in case.findings})
    if not bad:
        return None
    shown = joined([beyond(f) for f in bad])
    because = dict.fromkeys(names(bad))
    reason = sentence(f"In {case.who}, {shown}", bad[0].reason)
    return RuleOutcome("BOUND", "OUT_OF_BOUNDS", tuple(because), reason, Verdict.FIX)


def beyond(finding: Finding) -> str:
    """A failure in words: the measure, its number, what is allowed."""
    if not isinstance(finding.result, Estimate):
        return plain(finding.name)
    bound = finding.params.get("bound")
    known = isinstance(bound, (int, float)) and not isinstance(bound, bool)
    allowed = f" where {number(float(bound))} is allowed" if known and isinstance(bound, (int, float)) else ""
    return f"{plain(finding.name)} is {interval(finding.result)}{allowed}"
