"""The answer in one sentence: what each set is worth, what is refused and why, or what is missing to say."""

from __future__ import annotations

from collections.abc import Sequence

from sterling.decide.sentences import joined, number, plural
from sterling.kernel.estimate import Estimate
from sterling.kernel.finding import Decision, Finding, RuleOutcome, Status, Verdict

# Outcomes that keep a candidate out whatever it is worth, and why in few words.
REFUSED = {
    "BLOCK": "it repeats real rows",
    "COPIES_FOUND": "it repeats real rows",
    "FIX_GENERATOR": "slices are missing or thin",
    "RELABEL_SLICE": "labels are wrong in a slice",
    "RELABEL": "its labels are wrong",
}

# Outcomes that are the answer of their command where nothing stands against it: the strongest word first.
ANSWERS = (
    "MIX", "CAUGHT", "CONTINUE", "USE_ORDER", "USE_SIMPLEST", "BUY_REAL", "BUY_SYNTHETIC", "STOP", "TEACHER_BETTER",
    "TEACHER_OPEN", "COLLECT_REAL", "RAISE_WEIGHT", "SAMPLE_MORE", "TOO_NEAR", "SCATTERED", "REACHED", "WORTH_LESS",
    "KEEP", "FILLED", "MINED", "KEPT", "PROMISE_STANDS",
)  # fmt: skip


def summarise(decision: Decision, findings: Sequence[Finding]) -> str:
    """The answer for a reader who reads nothing else.

    Args:
        decision: the verdict with its rules.
        findings: where worths are taken from.
    """
    worths, verdict = _worths(decision, findings), decision.verdict
    if not worths:
        return _ground(decision, findings)
    if verdict in (Verdict.SHIP, Verdict.FIX):
        mixed = next((r.reason for r in decision.rules if r.outcome == "MIX" and r.waived is None), "")
        return f"{worths} {mixed}".strip()
    return f"{_ground(decision, findings)} {worths}"


def _worths(decision: Decision, findings: Sequence[Finding]) -> str:
    measured = [
        (f.candidate, f.result)
        for f in findings
        if f.measure == "real_equivalent_rows" and f.slice is None and isinstance(f.result, Estimate)
    ]
    refused = _refused(decision.rules)
    parts = [f"{name or 'the set'} is worth {_rows(worth)}" for name, worth in measured if name not in refused]
    parts += [f"{name} is refused: {why}" for name, why in refused.items() if name is not None] if measured else []
    return "; ".join(_capital(part) if i == 0 else part for i, part in enumerate(parts)) + "." if parts else ""


def _refused(rules: Sequence[RuleOutcome]) -> dict[str | None, str]:
    """By candidate, why it is refused; the slice is named where a rule names one."""
    found: dict[str | None, str] = {}
    for rule in rules:
        if rule.outcome in REFUSED and rule.verdict is not None and rule.waived is None:
            slices = [name.partition(":")[2] for name in rule.because if ":" in name]
            named = f" ({joined(slices, most=1)})" if slices else ""
            found.setdefault(rule.candidate, f"{REFUSED[rule.outcome]}{named}")
    return found


def _rows(worth: Estimate) -> str:
    low = max(worth.low, 0.0)
    if not worth.censored:
        return f"{plural(round(worth.value), 'real row')} ({number(low)} to {number(worth.high)})"
    # What is certain comes first: beyond the rows held, the best estimate is where the curve ends.
    best = f" (best estimate {number(worth.value)})" if worth.value > low else ""
    return f"at least {plural(round(low), 'real row')}{best}"


def _ground(decision: Decision, findings: Sequence[Finding]) -> str:
    """What decided: the first rule's first sentence, and how many more there are."""
    if decision.verdict is Verdict.SHIP:
        spoken = [r for r in decision.rules if r.outcome in ANSWERS and r.waived is None]
        if spoken:
            answer = min(spoken, key=lambda r: ANSWERS.index(r.outcome))
            return answer.reason if answer.outcome == "MIX" else f"{answer.reason.partition('. ')[0].rstrip('.')}."
        passed = sum(f.status is Status.PASS for f in findings)
        left = sum(f.status is Status.UNDECIDED for f in findings)
        counted = f"{plural(passed, 'finding')} within bounds{f', {left} open' if left else ''}"
        return f"Nothing that was measured stands against it ({counted})."
    forced = [r for r in decision.rules if r.verdict is decision.verdict and r.waived is None]
    if not forced:
        return "See the rules."
    said = f"{forced[0].reason.partition('. ')[0].rstrip('.')}."
    if decision.verdict is Verdict.INSUFFICIENT:  # too few rows to pass is no reason to hide what already failed
        failed = list(dict.fromkeys(f.measure for f in findings if f.status is Status.FAIL and f.measure != "mix_gain"))
        said += f" What can be said already: {joined(failed, most=5)} failed." if failed else ""
    more = f" {plural(len(forced) - 1, 'further reason')} below." if len(forced) > 1 else ""
    return said + more


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
