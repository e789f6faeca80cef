"""D8: a class or slice with few real rows: may it be judged, and are synthetic rows for it shown to help?"""

from __future__ import annotations

from sterling.decide.facts import Case, names
from sterling.decide.sentences import interval, plural
from sterling.kernel.estimate import Estimate
from sterling.kernel.finding import Finding, RuleOutcome, Status, Verdict

RAREST = "the rarest class"


def rare(case: Case) -> RuleOutcome | None:
    """D8: fewer than `fewest` real rows of a class: no judgement; fewer than `few`: synthetic rows for it, if shown."""
    thin = _thin(case)
    if thin is None or case.facts.kind == "check" or (case.candidate is None and bool(case.facts.candidate_rows)):
        return None
    name, rows = thin
    terms, shown = case.policy.rare, _shown(case, name)
    if rows < terms.fewest:
        reason = (
            f"There are {plural(rows, 'real row')} of {name} to train on: with fewer than {terms.fewest}, nothing can "
            f"be judged on it, nor can a generator know it. Collect {terms.few} for training and as many for the test."
        )
        return RuleOutcome("D8", "INSUFFICIENT", names(shown), reason, Verdict.INSUFFICIENT)
    lead = f"There are {plural(rows, 'real row')} of {name} to train on, fewer than {terms.few}"
    test = _test(case, name)
    helps = [f for f in shown if isinstance(f.result, Estimate) and f.result.low > 0 and f.status is not Status.FAIL]
    if helps:
        (first, *_), better = helps, helps[0].result
        told = interval(better) if isinstance(better, Estimate) else ""
        reason = f"{lead}; rows of {case.who} are shown to help it ({_what(first)} {told}): use them for it.{test}"
        return RuleOutcome("D8", "TARGETED_SYN", names(helps), reason)
    where = f"--slice '{name}'" if name != RAREST else f"--slice {case.facts.target or 'TARGET'}"
    reason = (
        f"{lead}. Synthetic rows of {name} are the first thing to try, and nothing shows yet that they help: "
        f"`sterling worth` with {where} tells their worth for it.{test}"
    )
    return RuleOutcome("D8", "SHOW_SLICE_GAIN", names(shown), reason)


def _thin(case: Case) -> tuple[str, int] | None:
    """The thinnest class or slice, if it has few real rows."""
    known = dict(case.facts.rare)
    rarest = case.facts.minority_train
    if rarest and not any(rows == rarest for rows in known.values()):  # 0 is a target of one class: D0 says so
        known[RAREST] = rarest
    thin = [(rows, name) for name, rows in known.items() if rows < case.policy.rare.few]
    return (min(thin)[1], min(thin)[0]) if thin else None


def _shown(case: Case, name: str) -> list[Finding]:
    """Worths and gains that were taken on the slice itself."""
    found = [f for m in ("real_equivalent_rows", "mix_gain") for f in case.of(m) if f.slice is not None]
    if name != RAREST:
        return [f for f in found if f.slice == name]
    target = case.facts.target  # classes of the target come rarest first
    return [f for f in found if target is not None and f.slice is not None and f.slice.startswith(f"{target}=")][:1]


def _what(finding: Finding) -> str:
    return "worth in real rows" if finding.measure == "real_equivalent_rows" else "gain in score"


def _test(case: Case, name: str) -> str:
    have, need = case.facts.minority_benchmark, case.policy.benchmark.minority_rows
    if name != RAREST or have is None or have >= need:
        return ""
    return f" The real test holds {have:,} of it and must hold {need}."
