"""D5, D6, D7: what a candidate adds to real rows, what that is worth in money, and how independent it is."""

from __future__ import annotations

import math
from statistics import NormalDist

from sterling.decide import spend
from sterling.decide.facts import Case, names
from sterling.decide.sentences import interval, joined, number, plural, sentence
from sterling.kernel.estimate import Estimate, Unmeasured
from sterling.kernel.finding import Finding, RuleOutcome, Status, Verdict


def mix(case: Case) -> RuleOutcome | None:
    """D5: a mix is adopted only if its gain exceeds its standard error times the policy's factor."""
    found = [f for f in case.of("mix_gain") if f.slice is None and f.status is not Status.NOT_APPLICABLE]
    if not found:
        return None
    finding, terms = found[0], case.policy.mix
    if isinstance(finding.result, Unmeasured):
        reason = sentence("Use real rows alone", finding.result.reason, finding.result.mend)
        return RuleOutcome("D5", "REAL_ONLY", names([finding]), reason, Verdict.INSUFFICIENT)
    gain = finding.result
    beyond = gain.value - terms.se_factor * standard_error(finding, gain)
    if beyond > 0 and abs(gain.value) > terms.no_effect and finding.status is Status.PASS:
        reason = f"Adding {_added(case)} to the real rows raises the score by {interval(gain)}: mix them."
        return RuleOutcome("D5", "MIX", names([finding]), reason)
    if abs(gain.value) <= terms.no_effect:
        reason = (
            f"Adding {_added(case)} changes the score by {interval(gain)}, less than {number(terms.no_effect)} "
            "either way: use the real rows alone, they do as well."
        )
        reason = sentence(reason, finding.reason)
        return RuleOutcome("D5", "NO_EFFECT", names([finding]), reason, Verdict.FIX)
    harm = "harms" if gain.high < 0 else "is not shown to help"
    lead = f"Adding {_added(case)} {harm} (change in score {interval(gain)}): use the real rows alone"
    reason = sentence(lead, finding.reason)
    return RuleOutcome("D5", "REAL_ONLY", names([finding]), reason, Verdict.FIX)


def _added(case: Case) -> str:
    return case.candidate or joined(case.facts.chosen or ()) or "synthetic rows"


def standard_error(finding: Finding, gain: Estimate) -> float:
    """The standard error that the measure recorded, else what its interval implies."""
    recorded = finding.params.get("se")
    if isinstance(recorded, (int, float)) and not isinstance(recorded, bool):
        return float(recorded)
    return (gain.high - gain.low) / 2 / NormalDist().inv_cdf((1 + gain.level) / 2)


def worth(case: Case) -> RuleOutcome | None:
    """D6: a set worth next to nothing is not worth generating more of."""
    found = _worth(case)
    if found is None or not case.facts.n_train:
        return None
    finding, value = found
    limit = case.policy.stop_below * case.facts.n_train
    if value.high >= limit:
        return None
    reason = (
        f"{_rows_of(case)} are worth {plural(round(value.value), 'real row')}, at most {number(value.high)}: "
        f"less than {case.policy.stop_below:.0%} of the {case.facts.n_train:,} you hold. "
        "Stop generating with it; more of the same will not help."
    )
    return RuleOutcome("D6", "STOP_GENERATING", names([finding]), reason, Verdict.FIX)


def prices(case: Case) -> RuleOutcome | None:
    """D6: with prices known, which is the cheaper way to one more real row's worth?"""
    found, rows = _worth(case), case.facts.candidate_rows.get(case.candidate or "", 0)
    real, made = case.facts.prices.get("real_row"), spend.row_price(case.facts.prices, case.candidate or "")
    if found is None or real is None or made is None or not rows:
        return None
    finding, value = found
    because, cost = names([finding]), made * rows
    if value.high <= 0 or real < cost / value.high:
        dear = "nothing" if value.high <= 0 else f"{number(cost / value.high)} or more"
        reason = f"A real row costs {number(real)}; one real row's worth of {case.who} costs {dear}: collect real rows."
        return RuleOutcome("D6", "COLLECT_REAL", because, reason)
    # What the next row costs, where it differs from what the rows so far cost on average.
    following = case.facts.prices.get("next_row", made)
    slope = spend.slope_of(finding.evidence)
    if slope is not None and slope[2] * real < following:
        stopped = _stopped(rows, value, slope, following, real)
        reason = (
            f"The next row of {case.who} costs {number(following)} and adds {number(slope[0])} real rows' worth, "
            f"{number(slope[0] * real)} in money: {rows:,} rows are enough{stopped}."
        )
        return RuleOutcome("D6", "ENOUGH", because, reason)
    if value.low > 0 and cost / value.low < real and math.isfinite(value.low):
        reason = (
            f"One real row's worth of {case.who} costs at most {number(cost / value.low)}, "
            f"a real row {number(real)}: the synthetic rows pay."
        )
        return RuleOutcome("D6", "SYNTHETIC_PAYS", because, reason)
    return None


def _stopped(rows: int, value: Estimate, slope: tuple[float, float, float], made: float, real: float) -> str:
    """From which row on they no longer paid, where the curve can say."""
    at = spend.break_even(rows, value.value, slope[0], made / real) if real > 0 else None
    return "" if at is None or not 0 < at < rows else f"; they stopped paying at about {number(at)}"


def ask_price(case: Case) -> RuleOutcome | None:
    """D6: one of two prices is known, and the other one would decide: which, and where it would turn."""
    found, rows = _worth(case), case.facts.candidate_rows.get(case.candidate or "", 0)
    real, made = case.facts.prices.get("real_row"), spend.row_price(case.facts.prices, case.candidate or "")
    if found is None or not rows or (real is None) == (made is None):
        return None
    finding, value = found
    reason = None
    if real is not None and value.high > 0:
        reason = (
            f"What a row of {case.who} costs is not known ([prices] synthetic_row). At {number(real)} a real row, they "
            f"{_below('pay', real * value.low / rows)}{_above(real * value.high / rows)}."
        )
    if made is not None and value.value > 0:
        low, high = made * rows / value.high, made * rows / value.low if value.low > 0 else math.inf
        reason = (
            f"What a real row costs is not known ([prices] real_row). At {number(made)} a row, those of {case.who} "
            f"{_dearer(high)}do not pay if a real row costs less than {number(low)}."
        )
    return None if reason is None else RuleOutcome("D6", "ASK_PRICE", names([finding]), reason)


def _below(what: str, limit: float) -> str:
    return f"{what} for certain below {number(limit)} each" if limit > 0 else f"may {what} at a low price"


def _above(limit: float) -> str:
    return f", and do not pay above {number(limit)}" if math.isfinite(limit) else ""


def _dearer(limit: float) -> str:
    return f"pay if a real row costs more than {number(limit)}, and " if math.isfinite(limit) else ""


def _worth(case: Case) -> tuple[Finding, Estimate] | None:
    for finding in case.of("real_equivalent_rows"):
        if finding.slice is None and isinstance(finding.result, Estimate):
            return finding, finding.result
    return None


def _rows_of(case: Case) -> str:
    rows = case.facts.candidate_rows.get(case.candidate or "")
    return f"The rows of {case.who}" if rows is None else f"The {plural(rows, 'row')} of {case.who}"


def fitted_on(case: Case) -> RuleOutcome | None:
    """D7: a generator that saw the rows that train the model has little to tell that model."""
    known = case.facts.fitted_on.get(case.candidate) if case.candidate else None
    if known == "real":
        reason = (
            f"The generator of {case.who} was fitted on the same real rows that train the model: expect it to add "
            "10 to 25 % at most. Use it for rare classes or for privacy; its worth is an upper bound."
        )
        return RuleOutcome("D7", "AUGMENT_RARE", (), reason)
    if known == "unknown" and not case.facts.holdout_given:
        reason = (
            f"Nobody has said which rows the generator of {case.who} saw, so worth and utility are upper bounds. "
            "For a full verdict: split the real data, refit the generator on the train part, compare with --holdout."
        )
        return RuleOutcome("D7", "UPPER_BOUND", (), reason)
    return None
