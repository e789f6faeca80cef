"""D12 and D13: how many rows people must look at, and what follows where people do not agree."""

from __future__ import annotations

import bisect
import math
from collections.abc import Sequence

from sterling.decide.facts import Case, names
from sterling.decide.policy import ReviewTerms
from sterling.decide.sentences import interval, joined, number, plural
from sterling.kernel.estimate import Estimate
from sterling.kernel.finding import Finding, RuleOutcome, Status, Verdict
from sterling.stats.proportions import clopper_pearson, rows_to_exclude

# Commands whose set leaves for training: what people must have seen.
LEAVES = ("run", "advise")
# Findings that come from people.
REVIEWED = "review_errors"
AGREEMENT, KAPPA = "annotator_agreement", "annotator_kappa"
# Strata that are reviewed apart, at most; a reviewer's day is no longer.
MOST_STRATA = 8
MOST_ROWS = 1_000_000
# One law for asking and for judging: the exact upper bound that holds with 95 %.
LEVEL = 0.90
ALPHA = (1 - LEVEL) / 2


def share_wrong(wrong: int, seen: int) -> Estimate:
    """The share of wrong records with the interval that D12 goes by: each end holds with 95 %.

    >>> share_wrong(0, 299).high <= 0.01 < share_wrong(0, 298).high
    True
    """
    return clopper_pearson(wrong, seen, level=LEVEL)


def zero_error_rows(error_max: float) -> int:
    """Rows without a single error that show, with 95 % confidence, that fewer than `error_max` are wrong.

    >>> zero_error_rows(0.01), zero_error_rows(0.005), zero_error_rows(0.05)
    (299, 598, 59)

    Source: `share_wrong` solved for the rows; the rule of three (Hanley & Lippman-Hand 1983) says 3 / error_max.
    """
    return rows_to_exclude(0, error_max, alpha=ALPHA)


def rows_more(wrong: int, seen: int, error_max: float) -> int | None:
    """Rows to look at beside those seen, after which D12 passes if errors are found no more often.

    Args:
        wrong: wrong records found so far.
        seen: records looked at.
        error_max: the share that must be excluded.

    Returns:
        0 where it passes already; None where no number of rows that people could see would do.

    >>> rows_more(0, 200, 0.01), rows_more(3, 600, 0.01), rows_more(2, 100, 0.01)
    (99, 582, None)
    """
    if seen and share_wrong(wrong, seen).high <= error_max:
        return 0
    if wrong and wrong >= error_max * seen:
        return None

    def enough(found: int) -> bool:
        return wrong * rows_to_exclude(found, error_max, alpha=ALPHA) <= found * seen

    tried = range(wrong, wrong + math.ceil(MOST_ROWS * error_max) + 1)
    place = bisect.bisect_left(tried, x=True, key=enough)
    return rows_to_exclude(tried[place], error_max, alpha=ALPHA) - seen if place < len(tried) else None


def random_arm(rows: int, share: float) -> int:
    """Rows drawn from the whole set beside `rows` of doubted strata, so that they are `share` of all that is seen.

    >>> random_arm(300, 0.2), random_arm(300, 0.0)
    (75, 0)
    """
    return math.ceil(round(rows * share / (1 - share), 6)) if share < 1 else rows


def reviewed(case: Case) -> RuleOutcome | None:
    """D12: what people found among the rows they looked at."""
    seen = [f for f in case.of(REVIEWED) if isinstance(f.result, Estimate)]
    return _found(case, seen) if seen else None


def review(case: Case) -> RuleOutcome | None:
    """D12: how many rows of each stratum people must look at, where nobody has yet."""
    terms = case.policy.review
    asks = case.facts.kind in LEAVES and (terms.required == "yes" or case.facts.kind == "advise")
    if not asks or case.of(REVIEWED) or (case.candidate is None and bool(case.facts.candidate_rows)):
        return None
    strata = doubted(case)[:MOST_STRATA]
    apart = zero_error_rows(terms.error_max)
    extra = random_arm(apart * len(strata), terms.random_share) if strata else 0
    total = apart * max(len(strata), 1) + extra
    held = case.facts.candidate_rows.get(case.candidate or "")
    if held is not None and total >= held:
        how = f"all {plural(held, 'row')}"
    elif strata:
        how = f"{total:,} rows: {apart:,} of each of {joined(strata)}, and {plural(extra, 'row')} drawn from all"
    else:
        how = f"{plural(total, 'row')}, drawn at random"
    reason = (
        f"Of {case.who}, people must look at {how}. {apart:,} without an error show that fewer than "
        f"{terms.error_max:.1%} are wrong, whatever the size of the set. {_who(terms)}"
    )
    # Nobody's hours are spent on a set that something cheaper already refuses.
    waits = terms.required == "yes" and not case.causes
    return RuleOutcome("D12", "REVIEW", (), reason, Verdict.INSUFFICIENT if waits else None)


def doubted(case: Case) -> list[str]:
    """Slices whose labels failed, warned or stay open: they are reviewed apart."""
    open_ones = (Status.FAIL, Status.WARN, Status.UNDECIDED)
    found = [f.slice for m in ("label_loss", "label_errors", "audited_error") for f in case.of(m, *open_ones)]
    return list(dict.fromkeys(s for s in found if s is not None))


def _found(case: Case, seen: Sequence[Finding]) -> RuleOutcome:
    terms = case.policy.review
    wrong = [f for f in seen if isinstance(f.result, Estimate) and f.result.low > terms.error_max]
    if wrong:
        shown = joined([_errors(f) for f in wrong])
        reason = (
            f"People found more wrong records in {case.who} than the {terms.error_max:.1%} that are allowed: {shown}. "
            "Mend what makes them, and review again."
        )
        return RuleOutcome("D12", "TOO_MANY_WRONG", names(wrong), reason, Verdict.FIX)
    unsure = [f for f in seen if isinstance(f.result, Estimate) and f.result.high > terms.error_max]
    if unsure:
        shown = joined([f"{_errors(f)}; {_more(f, terms)}" for f in unsure])
        reason = f"Too few rows of {case.who} were reviewed to exclude {terms.error_max:.1%} wrong: {shown}."
        verdict = Verdict.INSUFFICIENT if terms.required == "yes" and not case.causes else None
        return RuleOutcome("D12", "REVIEW", names(unsure), reason, verdict)
    reason = (
        f"People looked at {case.who}: {joined([_errors(f) for f in seen])}, within the {terms.error_max:.1%} allowed."
    )
    return RuleOutcome("D12", "REVIEWED", names(seen), reason)


def _errors(finding: Finding) -> str:
    where = f"in {finding.slice} " if finding.slice else ""
    return f"{where}{interval(finding.result)} wrong" if isinstance(finding.result, Estimate) else where


def _more(finding: Finding, terms: ReviewTerms) -> str:
    """How many rows in all would decide, if errors stay as frequent."""
    if not isinstance(finding.result, Estimate):
        return ""
    seen = finding.result.n
    more = rows_more(round(finding.result.value * seen), seen, terms.error_max)
    if more is None:
        return "at this rate no review would pass it"
    return f"{plural(max(more, 1), 'row')} more would decide"


def _who(terms: ReviewTerms) -> str:
    people = {
        "expert": "experts of the field",
        "qualified": "people who pass a test of known records",
        "anyone": "anyone who can read them",
    }[terms.credentials]
    times = "One person sees" if terms.overlap == 1 else f"{terms.overlap} people see"
    return f"{times} each row ({people}); two more see what one of them doubts."


def disagreement(case: Case) -> tuple[Finding, ...]:
    """Where annotators agree less than the policy asks: mean agreement per record, or agreement beyond chance."""
    terms = case.policy.review
    bars = ((AGREEMENT, terms.agreement), (KAPPA, terms.kappa))
    return tuple(f for m, bar in bars for f in case.of(m) if isinstance(f.result, Estimate) and f.result.value < bar)


def subjective(case: Case) -> bool:
    """Whether what is right in the set as a whole is declared, or measured, to be a matter of judgement."""
    return "subjective" in case.declares or any(f.slice is None for f in disagreement(case))


def subjectivity(case: Case) -> RuleOutcome | None:
    """D13: where people do not agree, the tolerance is halved and real labels are required."""
    low = disagreement(case)
    if not low:
        return None
    told = joined([_agreement(f, case.policy.review) for f in low])
    places = list(dict.fromkeys(f.slice for f in low if f.slice is not None))
    everywhere = any(f.slice is None for f in low)
    return _required(case, told[0].upper() + told[1:], low, "" if everywhere else f"of {joined(places)} ")


def declared_subjective(case: Case) -> RuleOutcome | None:
    """D13, as declared; where agreement was measured to be low, that is said instead."""
    if "subjective" not in case.declares or case.facts.kind == "check" or disagreement(case):
        return None
    return _required(case, "What is right is declared to be a matter of judgement", (), "")


def _required(case: Case, lead: str, low: Sequence[Finding], where: str) -> RuleOutcome:
    bound = case.policy.bounds.get("utility", 0.05)
    reason = (
        f"{lead}: real rows {where}labelled by several people are required, and a model of synthetic rows alone may "
        f"lose {number(bound / 2)} where {number(bound)} is allowed elsewhere."
    )
    verdict = Verdict.REAL_REQUIRED if case.facts.used_alone else None
    return RuleOutcome("D13", "REAL_FOR_SUBJECTIVE", names(low), reason, verdict)


def _agreement(finding: Finding, terms: ReviewTerms) -> str:
    where = f" in {finding.slice}" if finding.slice else ""
    kappa = finding.measure == KAPPA
    bar = terms.kappa if kappa else terms.agreement
    what = "beyond chance (kappa)" if kappa else "per record"
    told = interval(finding.result) if isinstance(finding.result, Estimate) else ""
    return f"annotators agree {what} by {told}{where}, less than {number(bar)}"
