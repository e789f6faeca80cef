"""D10: may a generator feed on its own output, with how many real rows, or must it stop; and how deep is a set.

Findings of `collapse` carry the mode (replace, accumulate, budget, inject) as their candidate; what speaks of the
generator's first generation carries none.
"""

from __future__ import annotations

from sterling.decide.facts import Case, names
from sterling.decide.sentences import joined, number, plural, sentence
from sterling.kernel.estimate import Unmeasured
from sterling.kernel.finding import Finding, RuleOutcome, Status, Verdict
from sterling.stats.drift import stable_share

# What a loop's modes are judged by, beside `retention`; the others warn.
SIGNS = ("uncovered", "distinct_values", "hapax_kept", "distinct_words", "forecast")
# Beyond this share of real rows in every generation, real rows are cheaper than the loop.
MOST_REAL = 0.5


def truncation(case: Case) -> RuleOutcome | None:
    """D2: what the generator drops when fitted on real rows, no real rows injected later bring back to its output."""
    failing = [f for f in case.of("first_retention", Status.FAIL) if f.slice is not None]
    if not failing:
        return None
    slices = joined([f.slice or "" for f in failing])
    reason = (
        f"Fitted on the real rows themselves, the generator certainly keeps less than {case.policy.loops.keep:.0%} of "
        f"{slices}. Mend the generator first: neither accumulating nor injecting real rows restores what it drops "
        "(less truncation, a higher temperature, no quality filter, smaller leaves)."
    )
    return RuleOutcome("D2", "FIX_GENERATOR", names(case.of("first_retention", Status.FAIL)), reason, Verdict.FIX)


def recursion(case: Case) -> RuleOutcome | None:
    """D10: CONTINUE, RAISE_REAL, STOP or REFUSED, by mode."""
    found = [f for f in case.of("retention") if f.slice is None]
    if not found:
        return None
    finding, mode = found[0], case.candidate or "the loop"
    if isinstance(finding.result, Unmeasured) and "generation" not in finding.params:
        reason = sentence(f"Nothing can be said of {mode}", finding.result.reason, finding.result.mend)
        return RuleOutcome("D10", "UNDECIDED", names([finding]), reason, Verdict.INSUFFICIENT)
    broken = [f for f in case.of("retention", Status.FAIL) if f.slice is not None]
    signs = [f for name in SIGNS for f in case.of(name, Status.FAIL)]
    because = names([*case.of("retention", Status.FAIL), *signs]) or names([finding])
    if case.candidate == "replace" and case.policy.loops.replace == "refuse":
        return _refused(case, finding, broken, because)
    failure = finding.params.get("failure")
    if isinstance(failure, str):
        after = number(_whole(finding, "generation"))
        reason = sentence(f"Under {mode} the generator failed after generation {after}", failure)
        return RuleOutcome("D10", "STOP", because, reason, Verdict.FIX)
    if broken or finding.status is Status.FAIL:
        return _raise_real(case, finding, broken, because)
    if signs:
        return _stop(mode, finding, signs, because)
    if isinstance(finding.result, Unmeasured):
        reason = sentence(f"Nothing certain can be said of {mode}", finding.result.reason, finding.result.mend)
        return RuleOutcome("D10", "UNDECIDED", because, reason, Verdict.INSUFFICIENT)
    return _undecided(case, finding) if finding.status is Status.UNDECIDED else _go_on(case, finding)


def depth(case: Case) -> RuleOutcome | None:
    """D10: rows made from rows that were made carry every earlier generation's losses."""
    if case.candidate is None or case.facts.kind == "collapse":
        return None
    deep = case.facts.depths.get(case.candidate)
    if deep is None or deep < case.policy.loops.deep:
        return None
    reason = (
        f"{case.candidate} is {plural(deep, 'generation')} away from real rows: rows made from rows that were made. "
        "Rare slices drift away a little in each; fit on real rows, or see what `sterling collapse` says of the loop."
    )
    return RuleOutcome("D10", "DEEP", (), reason)


def _refused(case: Case, finding: Finding, broken: list[Finding], because: tuple[str, ...]) -> RuleOutcome:
    what = (
        f"and here {_lost(finding, broken)}"
        if broken
        else f"though no slice is certainly lost by generation {_whole(finding, 'generation')}"
    )
    rows = number(case.policy.loops.fresh_rows)
    alarm = "".join(f" {f.reason}" for f in case.of("earliest_alarm", Status.WARN))
    reason = (
        f"Replacing real rows by the generator's own output is refused by the policy, {what}.{alarm} "
        f"Accumulate on top of the real rows, or inject at least {rows} fresh real rows per slice and generation."
    )
    return RuleOutcome("D10", "REPLACE_REFUSED", because, reason, Verdict.FIX)


def _raise_real(case: Case, finding: Finding, broken: list[Finding], because: tuple[str, ...]) -> RuleOutcome:
    lam, rows, rho = (_share(finding, key) for key in ("lam", "rows", "rho"))
    mode, keep = case.candidate or "the loop", case.policy.loops.keep
    lost = _lost(finding, broken)
    if finding.params.get("truncated") is True:
        reason = f"Under {mode} {lost}: the generator drops it at once, and more real rows do not restore its output."
        return RuleOutcome("D10", "FIX_GENERATOR", because, reason, Verdict.FIX)
    if rho is None:
        return _stop(mode, finding, broken, because)
    slice_ = finding.params.get("neediest")
    whose = "rare slices" if finding.params.get("known") == "pooled" else str(slice_)
    if lam is None or rows is None:
        reason = (
            f"Under {mode} {lost}. Of {whose} the generator keeps {rho:.0%} of what it is fitted on, so {keep:.0%} "
            "cannot be reached by injection: mend the generator."
        )
        return RuleOutcome("D10", "FIX_GENERATOR", because, reason, Verdict.FIX)
    if lam > MOST_REAL:
        dear = f"To keep {keep:.0%} of {slice_}, {lam:.0%} of its rows would have to be fresh and real each time."
        return _stop(mode, finding, broken, because, dear)
    give = f"Give each generation {number(rows)} fresh real rows of {slice_}"
    then = (
        "luck alone explains its loss, and a slice that gets 5 keeps more than half of its mass 95 times in 100"
        if finding.params.get("known") == "luck"
        else f"of {whose} the generator keeps {rho:.0%} of what it is fitted on, and with {lam:.0%} of its rows real "
        f"the output is expected to keep {max(keep, rho * stable_share(lam, rho)):.0%}"
    )
    return RuleOutcome("D10", "RAISE_REAL", because, f"Under {mode} {lost}. {give}: {then}.", Verdict.FIX)


def _stop(
    mode: str, finding: Finding, failing: list[Finding], because: tuple[str, ...], more: str = ""
) -> RuleOutcome:  # fmt: skip
    first = _whole(finding, "stop_after")
    told = (failing[0] if failing else finding).reason or ""
    when = f"stop after generation {first}" if first >= 1 else "do not train on its output at all"
    reason = sentence(f"Under {mode}, {when}", told, more)
    return RuleOutcome("D10", "STOP", because, reason, Verdict.FIX)


def _undecided(case: Case, finding: Finding) -> RuleOutcome:
    reason = (
        f"Under {case.candidate} nothing is certainly lost, but the rows are too few to show that rare slices keep "
        f"{case.policy.loops.keep:.0%}: {finding.reason} More real rows, or --slice COLUMN of larger slices, "
        "would decide."
    )
    return RuleOutcome("D10", "UNDECIDED", names([finding]), reason, Verdict.INSUFFICIENT)


def _go_on(case: Case, finding: Finding) -> RuleOutcome:
    warned = case.of("earliest_alarm", Status.WARN)
    reason = sentence(f"Under {case.candidate} the loop may go on. {finding.reason}", *[f.reason for f in warned])
    return RuleOutcome("D10", "CONTINUE", names([finding]), reason)


def _lost(finding: Finding, broken: list[Finding]) -> str:
    if not broken:
        return f"rare slices together keep too little by generation {_whole(finding, 'generation')}"
    first = broken[0]
    left = "" if isinstance(first.result, Unmeasured) else f" {first.result.value:.0%}"
    more = f", and {plural(len(broken) - 1, 'other slice')} too little" if len(broken) > 1 else ""
    return f"{first.slice} keeps{left} of its mass by generation {_whole(finding, 'generation')}{more}"


def _whole(finding: Finding, key: str) -> int:
    value = finding.params.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _share(finding: Finding, key: str) -> float | None:
    value = finding.params.get(key)
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None
