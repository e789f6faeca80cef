"""May this result ship? Yes or no, in a paragraph."""

from __future__ import annotations

import datetime
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from sterling.decide.baseline import Baseline, Comparison, against, label_of, told
from sterling.decide.policy import Policy, load_policy
from sterling.decide.result import Result
from sterling.decide.rules import strongest
from sterling.decide.sentences import joined, number, plural
from sterling.kernel.errors import InputError
from sterling.kernel.estimate import Estimate
from sterling.kernel.finding import Finding, Json, RuleOutcome, Status, Verdict

# Beyond this many a list in the paragraph is cut: the result file has them all.
MOST_NAMED = 6

# Commands that judge a set, and advice, which is never SHIP. Other answers are SHIP by default, and mean no set.
GATED = ("compare", "worth", "blend", "run", "demo", "check", "drill", "collapse", "order", "advise")

# What findings that have a target are ideally.
TARGET = 0.5


@dataclass(frozen=True, slots=True)
class GateAnswer:
    """The gate's answer.

    Args:
        passed: whether the result may ship.
        paragraph: verdict, rules, findings and waivers in plain sentences.
        refusals: what stood against it; empty when it passed.
        refused_by: (candidate, finding) of what stood against it; the candidate is None where it is all of them.
        verdict: what the gate went by: the result's own, or what is left of it after the gate's waivers.
        policy: name and version of the policy asked.
        comparison: what changed since the baseline; None where none was given.
    """

    passed: bool
    paragraph: str
    refusals: tuple[str, ...] = ()
    refused_by: frozenset[tuple[str | None, str]] = frozenset()
    verdict: Verdict = Verdict.SHIP
    policy: str = ""
    comparison: Comparison | None = None


def gate(
    result: Result,
    *,
    policy: Policy | None = None,
    baseline: Baseline | None = None,
    today: datetime.date | None = None,
) -> GateAnswer:
    """Ask whether a result passes.

    It passes on a verdict that the policy's [gate] allows, while everything that the policy requires was
    measured, and, where the policy asks is not the one that judged, while every finding keeps its bounds too.

    Args:
        result: what was found and decided.
        policy: whose gate is asked; None asks the default policy's.
        baseline: a recorded result; what got worse since is named, and refuses where the policy says so.
        today: the day on which the policy's own waivers are asked whether they hold; without it only
            the waivers that the result itself records count.

    Raises:
        InputError: if the result judges no set, or the baseline is the result of another command.
    """
    if result.kind not in GATED:
        raise InputError(
            f"this is the answer of `{result.kind}`, which judges no set",
            mend="gate the result of compare, worth, blend or run",
        )
    asked = policy if policy is not None else load_policy("default")
    rules = _waived_now(result.decision.rules, asked, today)
    # A verdict softened by nothing stays as it was decided: only a waiver of the gate's policy reopens it.
    chosen = _chosen(result)
    verdict = result.decision.verdict if rules == result.decision.rules else strongest(rules, chosen=chosen)
    missing, broken = _not_measured(result, asked, rules), _stricter_bounds(result, asked) if policy is not None else {}
    compared = None if baseline is None else against(result, baseline)
    counting = [r for r in rules if _counts(r.candidate, chosen)]
    refusals = _verdict_refused(verdict, counting, asked)
    if missing:
        refusals.append(
            f"policy {asked.label} requires {joined(missing, most=MOST_NAMED)}, which this result does not hold."
        )
    if broken:
        refusals.append(f"under policy {asked.label}, {joined(list(broken.values()))}.")
    worse_refuses = compared is not None and bool(compared.refusals) and asked.gate.worse == "refuse"
    if compared is not None and worse_refuses:
        refusals.append(got_worse(compared))
    lead = "Passed" if not refusals else "Not passed"
    parts = [f"{lead}: the verdict of this {result.kind} is {verdict.value} under policy {result.policy}."]
    parts += [_capital(r) for r in refusals]
    parts += _shown(result, rules)
    if baseline is not None and compared is not None:
        parts.append(told(compared, baseline, refused=worse_refuses))
    by = _refused_by(counting, asked) | {(None, m) for m in missing} | set(broken)
    if compared is not None and worse_refuses:
        by |= {(p.now.candidate, p.now.name) for p in compared.worse} | {(None, m) for m in compared.vanished}
    return GateAnswer(not refusals, " ".join(parts), tuple(refusals), frozenset(by), verdict, asked.label, compared)


def got_worse(compared: Comparison) -> str:
    """What got worse than the baseline, in one sentence."""
    return f"it got worse than the baseline in {joined(compared.refusals, most=MOST_NAMED)}."


def _chosen(result: Result) -> tuple[str, ...] | None:
    """The candidates with a weight in the result's adopted mix: where there are any, others do not count."""
    sources = (result.mix or {}).get("sources")
    named = [s for s in sources if isinstance(s, dict)] if isinstance(sources, list) else []
    return tuple(str(s.get("name")) for s in named if s.get("origin") != "real" and _positive(s.get("weight"))) or None


def _positive(weight: Json) -> bool:
    return isinstance(weight, (int, float)) and weight > 0


def _counts(candidate: str | None, chosen: Sequence[str] | None) -> bool:
    return not chosen or candidate is None or candidate in chosen


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


def _refused_by(rules: Sequence[RuleOutcome], policy: Policy) -> set[tuple[str | None, str]]:
    """The findings behind every rule whose verdict the gate does not let through."""
    standing = [r for r in rules if r.waived is None and r.verdict is not None and r.verdict not in policy.gate.allow]
    return {(r.candidate, name) for r in standing for name in r.because}


def _not_measured(result: Result, policy: Policy, rules: Sequence[RuleOutcome]) -> list[str]:
    """Required measures that have no number, unless a rule said so already or a waiver covers it."""
    measured = {f.measure for f in result.findings if isinstance(f.result, Estimate)}
    said = {n.split(":")[0] for r in rules if r.rule == "REQUIRED" for n in r.because}
    return [m for m in policy.required_for(result.kind) if m not in measured | said]


def _stricter_bounds(result: Result, policy: Policy) -> dict[tuple[str | None, str], str]:
    """Findings that break or do not clear the bounds of the policy asked, where those differ from their own."""
    broken: dict[tuple[str | None, str], str] = {}
    # A slice that its measure judges by a bound of its own is not what the policy's bound is about.
    whole = {(f.candidate, f.measure): f.params.get("bound") for f in result.findings if f.slice is None}
    chosen = _chosen(result)
    for finding in result.findings:
        own = finding.params.get("bound") == whole.get((finding.candidate, finding.measure))
        if not own or not _counts(finding.candidate, chosen):
            continue
        status, key = _judged_again(finding, policy), (finding.candidate, finding.name)
        if status is Status.FAIL and finding.measure not in policy.informs:
            broken[key] = f"{label_of(finding)} fails its bound {number(policy.bounds[finding.measure])}"
        elif status is Status.UNDECIDED and finding.measure in policy.decisive and finding.slice is None:
            broken[key] = f"{label_of(finding)} does not clear its bound {number(policy.bounds[finding.measure])}"
    return broken


def _judged_again(finding: Finding, policy: Policy) -> Status | None:
    """The status under another policy's bound; None where nothing changes or nothing can be said.

    The printed interval is for one look at one finding, and may be of the worst-looking of many: that it lies
    beyond a bound leaves the finding open. It fails where its measure recorded a limit at its share of alpha that
    does, or where it failed already by a bound that is no stricter.
    """
    old, new = finding.params.get("bound"), policy.bounds.get(finding.measure)
    if not isinstance(finding.result, Estimate) or isinstance(old, bool) or not isinstance(old, (int, float)):
        return None
    if new is not None and finding.better == "target":
        new += TARGET  # such a bound says how far from its target a share may lie
    if new is None or abs(new) == abs(old):
        return None
    bound = math.copysign(new, old)  # measures whose gaps are negative record negative bounds
    higher = finding.better == "higher"
    stricter, surely = bound > old if higher else bound < old, _surely(finding)
    if finding.status is Status.FAIL and stricter:
        return Status.FAIL
    if surely is not None and (surely < bound if higher else surely > bound):
        return Status.FAIL
    within = finding.result.low >= bound if higher else finding.result.high <= bound
    return Status.PASS if within else Status.UNDECIDED


def _surely(finding: Finding) -> float | None:
    """The limit on the better side at the measure's share of alpha, all its looks allowed for; None if not recorded."""
    limit = finding.evidence.get("at_most" if finding.better == "higher" else "at_least")
    return float(limit) if isinstance(limit, (int, float)) and not isinstance(limit, bool) else None


def _shown(result: Result, rules: Sequence[RuleOutcome]) -> list[str]:
    """What a reader must see whatever the answer: waivers, and what nobody measured."""
    parts = [f"{r.rule} {r.outcome} is waived: {r.waived}." for r in rules if r.waived is not None]
    unmeasured = result.decision.unmeasured
    if unmeasured:
        parts.append(f"{_capital(plural(len(unmeasured), 'finding'))} unmeasured: {joined(unmeasured, most=6)}.")
    return parts
