"""From findings to a verdict: every rule speaks, the strongest verdict wins, nothing is hidden.

A rule is a pure function `Case -> RuleOutcome | None`. Rules on the data speak once; rules on findings
speak once per candidate, and once more over the waived findings, so that a waiver silences and never hides.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from sterling.decide import (
    analysis_rules,
    benchmark_rules,
    causes,
    loop_rules,
    order_rules,
    people_rules,
    quality_rules,
    rare_rules,
    review_rules,
    value_rules,
)
from sterling.decide.facts import Case as Case
from sterling.decide.facts import Facts as Facts
from sterling.decide.policy import Policy, Waiver
from sterling.decide.rulebook import RULES as RULES
from sterling.kernel.finding import Decision, Finding, RuleOutcome, Status, Verdict

Rule = Callable[[Case], RuleOutcome | None]

DATA_RULES: tuple[Rule, ...] = (
    benchmark_rules.no_real_rows,
    benchmark_rules.benchmark_rows,
    benchmark_rules.minority_rows,
    benchmark_rules.leak,
    benchmark_rules.stakes,
    review_rules.declared_subjective,
)
FINDING_RULES: tuple[Rule, ...] = (
    benchmark_rules.columns,
    benchmark_rules.open_questions,
    people_rules.privacy,
    people_rules.bias,
    quality_rules.coverage,
    quality_rules.labels,
    quality_rules.utility,
    analysis_rules.analyses,
    loop_rules.truncation,
    loop_rules.recursion,
    value_rules.mix,
    order_rules.order,
    value_rules.worth,
    value_rules.prices,
    value_rules.ask_price,
    review_rules.reviewed,
    review_rules.subjectivity,
)
# What is said of a candidate whether or not anything was found; spoken once.
CANDIDATE_RULES: tuple[Rule, ...] = (
    value_rules.fitted_on,
    loop_rules.depth,
    rare_rules.rare,
    review_rules.review,
)
STRENGTH = {verdict: place for place, verdict in enumerate(Verdict)}


def decide(findings: Sequence[Finding], *, facts: Facts, policy: Policy, today: datetime.date) -> Decision:
    """Apply a policy to what was found.

    Args:
        findings: of every candidate; statuses were given against the policy's bounds.
        facts: what is known beside them.
        policy: the judge.
        today: the day on which waivers are asked whether they still hold.

    Returns:
        The strongest verdict any rule asks for and no waiver silences, with every rule that spoke. In a run
        with an adopted mix, what is wrong with candidates outside the mix is shown and does not count.
    """
    active = [w for w in policy.waivers if w.holds(today)]
    facts = replace(facts, chosen=_chosen(findings, facts, policy))
    outcomes = _expired(policy, today)
    outcomes += [_waive_rule(o, active) for o in _speak(DATA_RULES, Case(None, findings, facts, policy))]
    for case in _cases(findings, facts, policy):
        outcomes += _judge(case, active)
    outcomes += _requirements(findings, facts, policy, active)
    return Decision(
        verdict=strongest(outcomes, chosen=facts.chosen),
        policy=policy.label,
        rules=_ordered(outcomes, findings, facts),
        unmeasured=_unmeasured(findings, outcomes, facts, policy),
    )


def _chosen(findings: Sequence[Finding], facts: Facts, policy: Policy) -> tuple[str, ...] | None:
    """The candidates in the adopted mix: as told, else as the findings on the mix record them."""
    if facts.chosen is not None:
        return facts.chosen
    chosen: list[str] = []
    for finding in findings:
        outcome = value_rules.mix(Case(finding.candidate, [finding], facts, policy))
        if outcome is not None and outcome.outcome == "MIX":
            weights = finding.params.get("weights")
            named = [k for k, w in weights.items() if w] if isinstance(weights, dict) else []
            chosen += [finding.candidate] if finding.candidate is not None else named
    return tuple(dict.fromkeys(chosen)) or None


def strongest(outcomes: Iterable[RuleOutcome], *, chosen: Sequence[str] | None = None) -> Verdict:
    """The strongest verdict that is asked for and not waived; SHIP where none is.

    Args:
        outcomes: what the rules said.
        chosen: candidates in the adopted mix; where given, others do not count.
    """
    asked = [
        o.verdict
        for o in outcomes
        if o.verdict is not None and o.waived is None and (not chosen or o.candidate is None or o.candidate in chosen)
    ]
    return min(asked, key=lambda v: STRENGTH[v], default=Verdict.SHIP)


def folded(rules: Sequence[RuleOutcome], findings: Sequence[Finding], policy: str) -> Decision:
    """A decision of the rules that spoke, for a command that says itself what they are.

    Args:
        rules: in the order in which they are to be read.
        findings: what they rest on; those unmeasured are listed.
        policy: label of the judge.
    """
    unmeasured = tuple(f.name for f in findings if f.status is Status.UNMEASURED)
    return Decision(strongest(rules), policy, tuple(rules), unmeasured)


def _cases(findings: Sequence[Finding], facts: Facts, policy: Policy) -> list[Case]:
    """One case per candidate, in the order they were first spoken of; findings on all of them come last."""
    named = [f.candidate for f in findings if f.candidate is not None]
    everyone: list[str | None] = [*dict.fromkeys([*facts.candidate_rows, *facts.fitted_on, *named])]
    if not everyone or any(f.candidate is None for f in findings):
        everyone.append(None)
    return [Case(name, [f for f in findings if f.candidate == name], facts, policy) for name in everyone]


def _judge(case: Case, waivers: Sequence[Waiver]) -> list[RuleOutcome]:
    waived = {id(f): w for f in case.findings for w in waivers if w.rule in (f.measure, f.name)}
    counted = replace(case, findings=[f for f in case.findings if id(f) not in waived])
    excused = replace(case, findings=[f for f in case.findings if id(f) in waived])
    spoken = [_waive_rule(o, waivers) for o in _on_findings(counted)]
    for outcome in _on_findings(excused):
        texts = {waived[id(f)].text for f in excused.findings if f.name in outcome.because}
        spoken.append(replace(outcome, waived="; ".join(sorted(texts))))
    spoken += [_waive_rule(o, waivers) for o in _speak(CANDIDATE_RULES, case)]
    return [replace(o, candidate=case.candidate) for o in spoken]


def _on_findings(case: Case) -> list[RuleOutcome]:
    """The rules on findings; failures that none of them names are out of bounds."""
    spoken = _speak(FINDING_RULES, case)
    named = {name for outcome in spoken for name in outcome.because}
    rest = replace(
        case,
        findings=[f for f in case.findings if f.name not in named],
        beside=[f for f in case.findings if f.name in named],
    )
    return [*spoken, *_speak((quality_rules.out_of_bounds,), rest)]


def _requirements(
    findings: Sequence[Finding], facts: Facts, policy: Policy, waivers: Sequence[Waiver]
) -> list[RuleOutcome]:
    """What each candidate must have; a finding on all of them together serves each."""
    wanted = policy.required_for(facts.kind)
    excuses = {w.rule: w.text for w in waivers}
    outcomes: list[RuleOutcome] = []
    for case in _cases(findings, facts, policy):
        if case.candidate is None and any(c.candidate for c in _cases(findings, facts, policy)):
            continue
        own = [f for f in findings if f.candidate in (case.candidate, None)]
        for measure in wanted:
            asked = replace(case, findings=own, policy=replace(policy, required={facts.kind: (measure,)}))
            outcomes += [
                replace(o, candidate=case.candidate, waived=excuses.get(measure) or excuses.get(o.rule))
                for o in _speak((benchmark_rules.required,), asked)
            ]
    return outcomes


def _speak(rules: Iterable[Rule], case: Case) -> list[RuleOutcome]:
    return [outcome for rule in rules if (outcome := rule(case)) is not None]


def _waive_rule(outcome: RuleOutcome, waivers: Sequence[Waiver]) -> RuleOutcome:
    """The outcome with the text of a waiver that names its rule."""
    text = next((w.text for w in waivers if w.rule == outcome.rule), None)
    return outcome if text is None else replace(outcome, waived=text)


def _expired(policy: Policy, today: datetime.date) -> list[RuleOutcome]:
    return [
        RuleOutcome("WAIVER", "EXPIRED", (), f"The waiver for {w.rule} ended on {w.until.isoformat()} ({w.by}).")
        for w in policy.waivers
        if not w.holds(today)
    ]


def _ordered(outcomes: Sequence[RuleOutcome], findings: Sequence[Finding], facts: Facts) -> tuple[RuleOutcome, ...]:
    """What decides first, what informs next, what is waived or speaks of sets outside the mix last.

    Among rules that ask for the same verdict, the one that names the cause comes before those that name what
    follows from it, and these say so. A stable sort keeps the rest as spoken.
    """
    failing = [f for f in findings if f.status is Status.FAIL]
    place: dict[tuple[str | None, str], int] = {}
    following: set[tuple[str | None, str]] = set()
    for name in dict.fromkeys(f.candidate for f in failing):
        own = [f for f in failing if f.candidate == name]
        place |= {(name, f.name): i for i, f in enumerate(causes.in_order(own, target=facts.target))}
        following |= {(name, f.name) for f in causes.explained(own, target=facts.target)}

    def key(outcome: RuleOutcome) -> tuple[int, int, int]:
        strength = STRENGTH[outcome.verdict] if outcome.verdict is not None else len(STRENGTH)
        chosen, about = facts.chosen, outcome.candidate
        outside = bool(chosen) and about is not None and about not in (chosen or ())
        first = min((place[about, n] for n in outcome.because if (about, n) in place), default=-1)
        return (3 if outside else 2 if outcome.waived else 0 if outcome.verdict else 1), strength, first

    def told(outcome: RuleOutcome) -> RuleOutcome:
        failed = [(outcome.candidate, n) for n in outcome.because if (outcome.candidate, n) in place]
        if outcome.verdict is None or not failed or not set(failed) <= following:
            return outcome
        return replace(outcome, reason=f"Probably follows from what is named above. {outcome.reason}")

    return tuple(told(o) for o in sorted(outcomes, key=key))


def _unmeasured(
    findings: Sequence[Finding], outcomes: Sequence[RuleOutcome], facts: Facts, policy: Policy
) -> tuple[str, ...]:
    """Names of everything that could not be measured, and of what the policy requires and nobody took."""
    several = len({f.candidate for f in findings if f.candidate is not None}) > 1
    found = [
        f"{f.candidate}: {f.name}" if several and f.candidate else f.name
        for f in findings
        if f.status is Status.UNMEASURED
    ]
    taken = {f.measure for f in findings}
    missing = [m for m in policy.required_for(facts.kind) if m not in taken]
    return tuple(dict.fromkeys([*found, *missing]))
