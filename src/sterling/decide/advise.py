"""Answers to advice: the rules over what is declared and what was measured, folded into a result with a route."""

from __future__ import annotations

import datetime
import math
from collections.abc import Sequence
from dataclasses import replace

from sterling.decide.answers import Answers, contradictions, settled
from sterling.decide.facts import Facts
from sterling.decide.inputs import InputRecord
from sterling.decide.policy import Policy, load_policy
from sterling.decide.result import Result
from sterling.decide.review_rules import AGREEMENT, KAPPA, REVIEWED, share_wrong
from sterling.decide.routes import (
    Step,
    forbidden,
    placeholders,
    rarest_in_test,
    rarest_in_train,
    route,
    title,
    what_would_change,
)
from sterling.decide.rules import decide, strongest
from sterling.decide.sentences import joined, number, plural
from sterling.kernel.dataset import FittedOn
from sterling.kernel.estimate import Estimate
from sterling.kernel.finding import Decision, Finding, RuleOutcome, Status, Verdict
from sterling.kernel.table import Table
from sterling.stats.bounds import status_of

KIND = "advise"
COMMANDS = "What to type"


def advice(answers: Answers, *, policy: Policy, measured: Result | None, today: datetime.date) -> Result:
    """What to do, why, and what would change it.

    Args:
        answers: as given; contradictions are named and taken on the careful side.
        policy: the one that will judge; its stakes and what it declares are those of the answers.
        measured: a result of another command on the same data, or None.
        today: the day on which waivers are asked whether they still hold.

    Returns:
        A result of kind "advise". Its verdict is never SHIP: advice measures nothing, and only `gate` lets pass.
    """
    unsettled, mismatch = _by_measured(answers, measured)
    clashes, asked, answers = (*mismatch, *contradictions(unsettled)), answers, settled(unsettled)
    facts = _facts(answers, measured)
    told = _told(answers, policy, candidate=_only(facts))
    if any(f.measure in (AGREEMENT, KAPPA) and f.status is Status.FAIL for f in told):
        facts = replace(facts, declares=tuple(dict.fromkeys((*facts.declares, "subjective"))))
    findings = (*(measured.findings if measured is not None else ()), *told)
    decision = decide(findings, facts=facts, policy=policy, today=today)
    steps = route(answers, policy)
    spoken = [
        *([_uncounted()] if answers.real_rows is None else []),
        _nothing_ships(measured, steps),
        *(RuleOutcome("ADVISE", "CONTRADICTION", (), text, Verdict.INSUFFICIENT) for text in clashes),
        *decision.rules,
        *_planned(answers, policy),
    ]
    verdict = strongest(spoken, chosen=facts.chosen)
    rules = tuple(
        sorted(spoken, key=lambda r: r.verdict is not verdict)
    )  # what decides comes first, the rest as spoken
    return Result(
        kind=KIND,
        decision=Decision(verdict, decision.policy, rules, decision.unmeasured),
        findings=findings,
        inputs=measured.inputs if measured is not None else (),
        seed=measured.seed if measured is not None else 0,
        policy=decision.policy,
        notes=(*_notes(answers, policy, measured), *_untold(asked, answers, policy), *placeholders(answers, steps)),
        tables=_tables(steps, answers, policy),
    )


def taken(answers: Answers, measured: Result | None) -> Answers:
    """The answers as advice takes them: by what was measured, and on the careful side."""
    return settled(_by_measured(answers, measured)[0])


def _by_measured(answers: Answers, measured: Result | None) -> tuple[Answers, tuple[str, ...]]:
    """The answers with the rows that the result counted, and a sentence where it was told otherwise."""
    counted = _counted(measured)
    if measured is None or counted is None:
        return answers, ()
    real, test = counted
    told = (answers.real_rows, answers.benchmark_rows)
    if test is None and None not in told and sum(n or 0 for n in told) == real:
        return answers, ()  # the test was among them
    pairs = [("real", told[0], real), *([("test", told[1], test)] if test is not None else [])]
    wrong = [(word, said, found) for word, said, found in pairs if said not in (None, found)]
    by_result = replace(answers, real_rows=real, benchmark_rows=told[1] if test is None else test)
    if not wrong:
        return by_result, ()
    found = joined([f"{rows:,} {word} rows" for word, _, rows in wrong])
    said = joined([f"{rows:,}" for _, rows, _ in wrong])
    text = f"The result of `sterling {measured.kind}` counts {found}, the answers say {said}: the measured count."
    return by_result, (text,)


def _counted(measured: Result | None) -> tuple[int, int | None] | None:
    """Real rows and rows of a holdout that a result read; None where it does not say, as with runs of your own."""
    if measured is None:
        return None
    sets = _candidates(measured)
    real = [r.rows for r in measured.inputs if r not in sets]
    if sets and len(real) in (1, 2):
        return real[0], real[1] if len(real) == 2 else None
    return (real[0], None) if measured.kind == "collapse" and len(real) == 1 else None


def _uncounted() -> RuleOutcome:
    reason = "Say how many real records there are (real_rows; 0 if there are none): it was not answered."
    return RuleOutcome("ADVISE", "COUNT_REAL", (), reason, Verdict.INSUFFICIENT)


def _facts(answers: Answers, measured: Result | None) -> Facts:
    a = answers
    rare_train, rare_test = rarest_in_train(a), rarest_in_test(a)
    sets = {r.name: r.rows for r in _candidates(measured)}
    mixed = measured is not None and any(r.outcome == "MIX" for r in measured.decision.rules)
    return Facts(
        kind=KIND,
        # No row trains and a test is named whose rows nobody counted: unknown, for there are real rows.
        n_train=None if a.real_rows is None or (a.real_rows == 0 and a.tests is None) else a.trains,
        n_benchmark=a.tests,
        # A class of which nobody counted a row is unknown, not absent.
        minority_train=rare_train or None,
        minority_benchmark=rare_test or None,
        stakes=a.stakes or "low",
        declares=a.declares,
        fitted_on=_origins(a, tuple(sets), measured),
        holdout_given=a.has_test,
        prices=a.prices,
        candidate_rows=sets,
        has_target=a.modality != "table" or a.target is not None or a.rarest_rows is not None or not a.groups,
        target=a.target,
        chosen=tuple(sets) if mixed else None,
    )


def _origins(answers: Answers, sets: Sequence[str], measured: Result | None) -> dict[str, FittedOn]:
    """What each set's generator saw, where the result or an answer says so; a plan that nobody told says nothing."""
    a = answers
    untold = a.source == "ours" and a.fitted_on == "unknown"  # settled: an answer of "ours" would have made it real
    if not sets:
        return {} if untold or a.source == "none" or a.nothing_real else {_candidate(a): a.fitted_on}
    found: dict[str, FittedOn] = {}
    rules = [r for r in measured.decision.rules if r.rule == "D7"] if measured is not None else []
    for name in sets:
        said = {r.outcome for r in rules if len(sets) == 1 or f"generator of {name} " in r.reason}
        if "AUGMENT_RARE" in said:
            found[name] = "real"
        elif not untold or "UPPER_BOUND" in said:
            found[name] = a.fitted_on
    return found


def _candidate(answers: Answers) -> str:
    return answers.synthetic or "the synthetic set"


def _candidates(measured: Result | None) -> tuple[InputRecord, ...]:
    return tuple(r for r in measured.inputs if r.origin not in ("real", "REAL")) if measured is not None else ()


def _only(facts: Facts) -> str | None:
    """The candidate, where there is one alone."""
    named = [*dict.fromkeys([*facts.candidate_rows, *facts.fitted_on])]
    return named[0] if len(named) == 1 else None


def _told(answers: Answers, policy: Policy, *, candidate: str | None) -> tuple[Finding, ...]:
    """What the answers say was measured of people: agreement, and wrong records among those looked at."""
    a, terms, found = answers, policy.review, list[Finding]()
    for measure, value, bar in ((AGREEMENT, a.agreement, terms.agreement), (KAPPA, a.kappa, terms.kappa)):
        if value is not None:
            n = max(a.annotated or 0, 1)
            told = _share_told(value, n) if measure == AGREEMENT else _as_told(value, n)
            status = Status.PASS if value >= bar else Status.FAIL
            reason = f"Annotators agree by {number(value)}, where {number(bar)} is asked for."
            found.append(
                Finding(measure, told, "higher", status, None, candidate, reason=reason, params={"bound": bar})
            )
    wrong, reviewed = a.seen
    if reviewed:
        share = share_wrong(wrong, reviewed)
        status = status_of(share.low, share.high, terms.error_max, better="lower")
        reason = f"Of {plural(reviewed, 'record')} that people looked at, {wrong:,} were wrong."
        params = {"bound": terms.error_max}
        found.append(Finding(REVIEWED, share, "lower", status, None, candidate, reason=reason, params={**params}))
    return tuple(found)


def _share_told(share: float, n: int) -> Estimate:
    """A mean of n numbers between 0 and 1 of which nothing else is known. Source: Hoeffding 1963."""
    half = math.sqrt(math.log(2 / 0.05) / (2 * n))
    return Estimate(share, max(share - half, 0.0), min(share + half, 1.0), n, 0.95, "as told; Hoeffding 1963")


def _as_told(value: float, n: int) -> Estimate:
    return Estimate(value, -1.0, 1.0, n, 0.95, "as told; its interval is not known")


def _planned(answers: Answers, policy: Policy) -> list[RuleOutcome]:
    """What rules say of a plan, before anything is measured."""
    found: list[RuleOutcome] = []
    if answers.loop == "replace" and policy.loops.replace == "refuse":
        reason = (
            "Replacing real records by a generator's own output is refused: a class with k records is gone after t "
            f"generations with chance exp(-2k/t). Keep the real ones, or add {number(policy.loops.fresh_rows)} fresh "
            "ones per slice and generation."
        )
        found.append(RuleOutcome("D10", "REPLACE_REFUSED", (), reason, Verdict.FIX))
    elif answers.loop != "no":
        reason = (
            "A generator that feeds on its own output loses rare slices first. Two generations foretell more: probe "
            f"it, and give each slice {number(policy.loops.fresh_rows)} fresh real rows per generation."
        )
        found.append(RuleOutcome("D10", "PROBE_FIRST", (), reason))
    if "privacy" in answers.purpose:
        reason = (
            "It may leave the house when every attack was tried and the upper end of each success lies within its "
            "bound, held against people who were never in the data; a distance alone shows nothing."
        )
        found.append(RuleOutcome("D9", "ATTACK_FIRST", (), reason))
    if answers.groups:
        reason = f"Each group of {joined(answers.groups)} is compared with the real data: its share and its outcome."
        found.append(RuleOutcome("D11", "COMPARE_GROUPS", (), reason))
    if answers.command is not None and answers.real_rows:
        reason = (
            "Pre-training on synthetic and fine-tuning on real records is one order of four: taken where it beats "
            f"the mix by {number(policy.order.se_factor)} standard errors at equal cost."
        )
        found.append(RuleOutcome("D14", "TRY_ORDERS", (), reason))
    return found


def _nothing_ships(measured: Result | None, steps: tuple[Step, ...]) -> RuleOutcome:
    if measured is None:
        reason = f"{title(steps)}. Nothing was measured yet: this is a route, not a verdict on any set."
        return RuleOutcome("ADVISE", "NOTHING_MEASURED", (), reason, Verdict.INSUFFICIENT)
    said = measured.decision.verdict.value
    reason = (
        f"{title(steps)}. `sterling {measured.kind}` said {said}; its findings are used. Advice lets nothing pass: "
        "`sterling gate` on that result does."
    )
    return RuleOutcome("ADVISE", "ASK_GATE", (), reason, Verdict.INSUFFICIENT)


def _notes(answers: Answers, policy: Policy, measured: Result | None) -> tuple[str, ...]:
    notes: list[str] = []
    if measured is not None and measured.policy != policy.label:
        notes.append(
            f"what was measured was held against {measured.policy}; the rules here are those of {policy.label}"
        )
    if not answers.has_test and answers.real_rows and answers.tests is not None:
        notes.append(f"no test is set apart: a fifth of the real records ({answers.tests:,}) will be one")
    missing = [
        w for k, w in (("real_row", "a real row"), ("synthetic_row", "a synthetic row")) if k not in answers.prices
    ]
    if missing:
        notes.append(f"what {joined(missing)} costs is not known; nothing was guessed")
    return tuple(notes)


def _untold(asked: Answers, answers: Answers, policy: Policy) -> tuple[str, ...]:
    """What was left out and something hangs on: what it was taken as, or what to say."""
    notes: list[str] = []
    if asked.stakes is None and answers.stakes == policy.stakes == "low":
        high = load_policy(None, stakes="consequential")
        notes.append(
            "stakes were not answered and are taken as low; consequential would forbid synthetic rows alone (D1) and "
            f"ask for a test of {high.benchmark.rows:,} rows (low: {policy.benchmark.rows:,}) and at most "
            f"{high.review.error_max:.1%} wrong records (low: {policy.review.error_max:.1%})"
        )
    if asked.stakes is None and answers.stakes == "consequential":
        notes.append("stakes were not answered and are taken as consequential: safety hangs on it")
    if asked.source is None and answers.real_rows:
        way = (
            "the set at hand is taken" if answers.source == "file" else "the route starts with a generator of Sterling"
        )
        notes.append(f"where synthetic records come from was not answered (source): {way}")
    if answers.has_test and answers.tests is None:
        notes.append("say how many records the test has (benchmark_rows): whether it is large enough is not known")
    if asked.reviewed and asked.wrong is None:
        notes.append(
            f"say how many of the {asked.reviewed:,} reviewed records were wrong (wrong): they do not count yet"
        )
    return tuple(notes)


def _tables(steps: tuple[Step, ...], answers: Answers, policy: Policy) -> tuple[Table, ...]:
    lines = tuple((str(i), s.label, s.why) for i, s in enumerate(steps, 1))
    typed = tuple((str(i), s.command) for i, s in enumerate(steps, 1) if s.command)
    return (
        Table("Route", ("", "step", "why"), lines),
        *([Table(COMMANDS, ("step", "command"), typed)] if typed else []),
        Table("What is forbidden", ("never", "rule"), forbidden(answers, policy)),
        Table("What would change this", ("evidence", "then"), what_would_change(answers, policy)),
        _stakes_table(policy),
    )


def _stakes_table(policy: Policy) -> Table:
    """What the stakes set, together."""
    review = policy.review
    rows: Sequence[tuple[str, str]] = (
        ("score that may be lost (D4)", number(policy.bounds["utility"])),
        ("rows of the real test (D0)", f"{policy.benchmark.rows:,}"),
        ("standard errors that a mix must gain (D5)", number(policy.mix.se_factor)),
        ("standard errors for another order (D14)", number(policy.order.se_factor)),
        ("wrong records that review must exclude (D12)", f"{review.error_max:.1%}"),
        ("people who see each record (D12)", str(review.overlap)),
        ("who they must be (D12)", review.credentials),
        ("agreement and kappa of annotators (D13)", f"{number(review.agreement)} and {number(review.kappa)}"),
    )
    return Table(f"What {policy.stakes} stakes ask for", ("what", "at"), tuple(rows))
