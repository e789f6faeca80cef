"""D0, D1, D15 and the required measures: may anything be said at all, and may synthetic rows stand alone?"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from sterling.decide.facts import Case, names
from sterling.decide.policy import Declared
from sterling.decide.rulebook import plain
from sterling.decide.sentences import joined, plural, sentence
from sterling.kernel.estimate import Unmeasured
from sterling.kernel.finding import Finding, RuleOutcome, Status, Verdict

# What may be declared of data, and why it asks for real rows (D1).
WHY_REAL: Mapping[Declared, str] = MappingProxyType(
    {
        "regional": "Culture or region is declared to matter",
        "expert": "The labels are declared to need experts",
        "safety": "Safety is declared to hang on it",
    }
)
MEASURED = (Status.PASS, Status.FAIL, Status.WARN, Status.UNDECIDED)


def no_real_rows(case: Case) -> RuleOutcome | None:
    """D15: without a single real row nothing can be known of the real world."""
    facts = case.facts
    if facts.n_train != 0 or facts.n_benchmark:
        return None
    reason = (
        "There are no real rows to judge against: a prototype may be built on it, nothing more. "
        "Collect a real test set before anyone relies on it."
    )
    return RuleOutcome("D15", "PROTOTYPE_ONLY", (), reason, Verdict.PROTOTYPE_ONLY)


def benchmark_rows(case: Case) -> RuleOutcome | None:
    """D0: the benchmark must be able to show the difference that matters."""
    have, need = case.facts.n_benchmark, case.policy.benchmark.rows
    if have is None or have >= need or case.facts.kind == "check" or not case.facts.n_train:
        return None
    if not case.facts.has_target:  # nothing is scored, so nothing hangs on the benchmark's size
        return None
    reason = (
        f"You have {plural(have, 'benchmark row')}; {need:,} would decide, "
        f"for a difference of {case.policy.benchmark.difference:g} in score."
    )
    if not case.facts.holdout_given:
        total = math.ceil(need * (case.facts.n_train + have) / max(have, 1))
        reason += f" That takes about {total:,} real rows in all, or a --holdout of {need:,}."
    return RuleOutcome("D0", "COLLECT_TEST", (), reason, Verdict.INSUFFICIENT)


def minority_rows(case: Case) -> RuleOutcome | None:
    """D0: the target needs two classes, and enough rows of the rarest."""
    facts, need = case.facts, case.policy.benchmark.minority_rows
    parts = [("train", facts.minority_train), ("benchmark", facts.minority_benchmark)]
    if facts.kind == "check":
        return None
    single = [name for name, rows in parts if rows == 0]
    if single:
        reason = (
            f"The target has only one class in the {joined(single)} rows: no model can be scored on it. "
            "Add rows of another class, or name another --target."
        )
        return RuleOutcome("D0", "ONE_CLASS", (), reason, Verdict.INSUFFICIENT)
    few = [(name, rows) for name, rows in parts if rows is not None and rows < need]
    if not few:
        return None
    have = joined([f"{plural(rows, 'row')} in {name}" for name, rows in few])
    times = max(math.ceil(need / rows) for _, rows in few)
    reason = (
        f"The rarest class has {have}; {need} are needed. "
        f"About {times} times as many real rows, or a sample richer in that class, would decide."
    )
    return RuleOutcome("D0", "TOO_FEW_MINORITY", (), reason, Verdict.INSUFFICIENT)


def leak(case: Case) -> RuleOutcome | None:
    """D0: benchmark rows that were trained on measure memory, not worth."""
    facts = case.facts
    if not facts.leaked or not facts.n_benchmark:
        return None
    share, limit = facts.leaked / facts.n_benchmark, case.policy.benchmark.leaked_share
    if share <= limit:
        return None
    reason = (
        f"{facts.leaked:,} of {facts.n_benchmark:,} benchmark rows ({share:.1%}) are also in the real training rows; "
        f"at most {limit:.1%} may be. Take them out of one of the two and compare again."
    )
    return RuleOutcome("D0", "LEAK", (), reason, Verdict.INSUFFICIENT)


def stakes(case: Case) -> RuleOutcome | None:
    """D1: with consequential stakes, or data that are regional, expert or safety-critical, never synthetic alone."""
    why = ["The stakes are declared consequential"] if case.consequential else []
    why += [WHY_REAL[name] for name in case.declares if name in WHY_REAL]
    if not why or not (case.facts.used_alone or case.facts.kind == "worth"):
        return None
    what = joined([text if i == 0 else text[0].lower() + text[1:] for i, text in enumerate(why)], most=4)
    reason = (
        f"{what}, so synthetic rows may not be used alone: train and test on real rows from the people or places it "
        "will serve. `sterling blend` may add synthetic rows to them."
    )
    if "regional" in case.declares:
        reason += " Name the column of the region as --slice, so that each is judged by itself."
    return RuleOutcome("D1", "REAL_REQUIRED", (), reason, Verdict.REAL_REQUIRED)


def columns(case: Case) -> RuleOutcome | None:
    """COLUMNS: a set without a column that was declared cannot be judged on what was asked."""
    lacks = case.facts.lacking.get(case.candidate or "", ())
    if not lacks:
        return None
    declared = [name for name in lacks if name in case.facts.declared]
    if declared:
        reason = (
            f"The set {case.who} lacks {joined(declared)}, declared as target, group or time: what was asked of it "
            "cannot be measured. Give a set that has it, or do not declare it."
        )
        return RuleOutcome("COLUMNS", "DECLARED_MISSING", (), reason, Verdict.FIX)
    named = joined(lacks, most=6)
    reason = f"The set {case.who} lacks {named}; it is judged on the columns that both have, and on no others."
    return RuleOutcome("COLUMNS", "MISSING", (), reason)


def required(case: Case) -> RuleOutcome | None:
    """REQUIRED: a measure that the policy will not do without was not measured for this candidate."""
    missing = [m for m in case.policy.required_for(case.facts.kind) if not case.of(m, *MEASURED)]
    if not missing:
        return None
    why = [_why(case.of(m)) for m in missing]
    because = names([f for m in missing for f in case.of(m)]) or tuple(missing)
    lead = f"The policy requires {joined([plain(m) for m in missing])}, which was not measured for {case.who}"
    return RuleOutcome("REQUIRED", "UNMEASURED", because, sentence(lead, *why), Verdict.INSUFFICIENT)


def open_questions(case: Case) -> RuleOutcome | None:
    """REQUIRED: a decisive measure was taken, and its interval straddles the bound."""
    # Utility has a rule of its own (D4) that says what would decide.
    open_ones = [
        f
        for m in case.policy.decisive
        if m != "utility" and m not in case.policy.informs
        for f in case.of(m, Status.UNDECIDED)
        if f.slice is None
    ]
    if not open_ones:
        return None
    why = [f.reason for f in open_ones]
    measures = joined([plain(f.name) for f in open_ones])
    lead = f"In {case.who}, {measures} could lie on either side of the bound; more rows would decide"
    return RuleOutcome("REQUIRED", "UNDECIDED", names(open_ones), sentence(lead, *why), Verdict.INSUFFICIENT)


def _why(findings: Sequence[Finding]) -> str:
    results = [f.result for f in findings if isinstance(f.result, Unmeasured)]
    if not results:
        return "nobody took it: run it, or do not require it"
    return sentence(results[0].reason, results[0].mend)
