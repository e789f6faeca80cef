"""What `ceiling` found, in the house's envelope: findings, rules in plain words, tables."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sterling.api.compare import inputs_of
from sterling.api.inputs import Arena
from sterling.decide.sentences import interval, number
from sterling.kernel.estimate import Estimate, Measured, Unmeasured
from sterling.kernel.finding import Better, Finding, Json, RuleOutcome, Status, Verdict
from sterling.kernel.table import Table
from sterling.stats.bounds import status_of
from sterling.stats.error_law import clustered_error, majority_error, recursion_error, verified
from sterling.stats.proportions import clopper_pearson

if TYPE_CHECKING:
    from sterling.api.ceiling_audit import Audit
    from sterling.blend.ceiling import Compared
    from sterling.blend.error_outlook import Foretold
    from sterling.decide.policy import Policy
    from sterling.decide.result import Result

# SCIENCE.md D3: from so many mentions on, errors spread by chance are voted down.
ENOUGH_MENTIONS = 5
GENERATIONS = (1, 5, 10)
UNLIKE = (
    "The law does not hold here (a learner that votes across slices, as a linear model does, or one that any wrong "
    "label unsettles): go by what was measured."
)


@dataclass(frozen=True, slots=True, eq=False)
class Outlook:
    """What is known of wrong labels: the audit, and what was foretold and measured, or why it was not."""

    audit: Audit
    found: tuple[Foretold, ...] | Unmeasured


def concluded(
    arena: Arena,
    compared: Compared | Unmeasured | None,
    outlook: Outlook | None,
    *,
    teacher: str,
    policy: Policy,
    seed: int,
) -> Result:
    """Fold the comparison with the teacher and the outlook on wrong labels into a result."""
    from sterling.decide.result import Result
    from sterling.decide.rules import folded

    findings: list[Finding] = []
    rules: list[RuleOutcome] = []
    tables: list[Table] = []
    picture: dict[str, Json] | None = None
    notes = list(arena.notes)
    if compared is not None:
        findings += _teacher_findings(compared, seed)
        rules.append(_teacher_rule(compared, teacher))
    if compared is not None and not isinstance(compared, Unmeasured):
        tables.append(_three(compared, teacher, arena))
        picture = _picture(compared)
        if compared.metric == "accuracy":
            notes.append("the teacher names classes and no chances, so all three are judged by accuracy")
    if outlook is not None:
        findings += _error_findings(outlook, policy, seed)
        rules += error_rules(outlook, policy)
        tables += _error_tables(outlook)
    return Result(
        "ceiling", folded(rules, findings, policy.label), tuple(findings), inputs_of(arena), seed, policy.label,
        notes=tuple(notes), tables=tuple(tables), picture=picture,
    )  # fmt: skip


def _finding(
    measure: str,
    result: Measured,
    status: Status,
    reason: str,
    *,
    better: Better = "higher",
    where: str | None = None,
    params: Mapping[str, Json] | None = None,
    evidence: Mapping[str, Json] | None = None,
) -> Finding:
    if isinstance(result, Unmeasured):
        status, reason = Status.UNMEASURED, result.reason
    return Finding(
        measure, result, better, status, slice=where, reason=reason, params=params or {}, evidence=evidence or {}
    )


def _teacher_findings(compared: Compared | Unmeasured, seed: int) -> list[Finding]:
    if isinstance(compared, Unmeasured):
        return [
            _finding("teacher_ceiling", compared, Status.UNMEASURED, "", params={"seed": seed}),
            _finding("student_kept", compared, Status.UNMEASURED, "", params={"seed": seed}),
        ]
    c, lead = compared, compared.lead
    status = Status.WARN if lead.high <= 0 else Status.PASS if lead.low > 0 else Status.UNDECIDED
    behind = Status.WARN if c.gap.high < 0 else Status.PASS if c.gap.low >= 0 else Status.UNDECIDED
    said = f"teacher {c.metric} {interval(c.teacher)}, trained on real rows {interval(c.target)}"
    scores: dict[str, Json] = {
        who: {"value": e.value, "low": e.low, "high": e.high}
        for who, e in (("teacher", c.teacher), ("student", c.student), ("target", c.target))
    }
    kept = c.kept
    words = f"{kept.value:.0%} [{kept.low:.0%}, {kept.high:.0%}]" if isinstance(kept, Estimate) else ""
    return [
        _finding(
            "teacher_ceiling", lead, status, f"{said}: a lead of {interval(lead)}",
            params={"seed": seed, "metric": c.metric, "bound": 0.0}, evidence={**scores, "chance": c.chance},
        ),
        _finding("student_gap", c.gap, behind,
                 f"a model trained on the synthetic rows alone has {c.metric} {interval(c.student)}, "
                 f"{interval(c.gap)} against one trained on the real rows", params={"seed": seed}),
        _finding("student_kept", kept, Status.PASS,
                 f"the student has {words} of what the teacher has beyond chance", params={"seed": seed}),
    ]  # fmt: skip


def _teacher_rule(compared: Compared | Unmeasured, teacher: str) -> RuleOutcome:
    if isinstance(compared, Unmeasured):
        reason = f"{teacher} could not be compared: {compared.reason}. To mend: {compared.mend}."
        return RuleOutcome("CEILING", "NO_COMPARISON", ("teacher_ceiling",), reason, Verdict.INSUFFICIENT)
    c, lead = compared, compared.lead
    pair = f"({c.metric} {number(c.teacher.value)} against {number(c.target.value)}, lead {interval(lead)})"
    kept = _kept_words(c)
    because = ("teacher_ceiling", "student_gap")
    if lead.high <= 0:
        inherit = "" if c.lost.low > 0 else "What learns from it alone can only inherit that. "
        reason = (
            f"The teacher {teacher} does not beat a model trained on your real rows {pair}. {inherit}{kept} "
            "Look for a better teacher, or use its rows only where you lack real ones."
        )
        return RuleOutcome("CEILING", "TEACHER_NO_BETTER", because, reason, Verdict.FIX)
    if lead.low > 0:
        reason = (
            f"The teacher {teacher} beats a model trained on your real rows {pair}: there is something to inherit. "
            f"{kept}"
        )
        return RuleOutcome("CEILING", "TEACHER_BETTER", because, reason)
    half = (lead.high - lead.low) / 2
    times = (half / abs(lead.value)) ** 2 if lead.value else math.inf
    need = f"About {c.rows * times:,.0f} benchmark rows would decide." if times < 900 else "They are about equal."
    reason = f"Whether the teacher {teacher} beats a model trained on your real rows is open {pair}. {kept} {need}"
    return RuleOutcome("CEILING", "TEACHER_OPEN", because, reason, Verdict.INSUFFICIENT if times < 900 else None)


def _kept_words(c: Compared) -> str:
    """How much of the teacher the student has, and on which side of it it lies."""
    if isinstance(c.kept, Unmeasured):
        return ""
    share = f"{c.kept.value:.0%} [{c.kept.low:.0%}, {c.kept.high:.0%}]"
    if c.lost.low > 0:
        return (
            f"The student, trained on the synthetic rows alone, does better than its teacher ({share} of its lead over "
            "chance): the teacher's scattered errors average out, or the student learned from more than its labels."
        )
    return f"The student, trained on the synthetic rows alone, kept {share} of the teacher's lead over chance."


def _three(c: Compared, teacher: str, arena: Arena) -> Table:
    def line(who: str, rows: int | None, e: Estimate) -> tuple[Json, ...]:
        return (who, rows, round(e.value, 4), f"[{e.low:.3f}, {e.high:.3f}]")

    return Table(
        f"On {c.rows:,} real benchmark rows",
        ("who", "learned from", c.metric, "interval"),
        (
            line(f"teacher: {teacher}", None, c.teacher),
            line("student: trained on the synthetic rows alone", arena.views[0].n, c.student),
            line("target: trained on the real rows", arena.train_view.n, c.target),
        ),
        note=f"Paired: teacher - target {interval(c.lead)}, student - teacher {interval(c.lost)}, "
        f"student - target {interval(c.gap)}.",
    )


def _picture(c: Compared) -> dict[str, Json]:
    marks: list[Json] = [
        {"name": name, "value": e.value, "low": e.low, "high": e.high}
        for name, e in (("teacher", c.teacher), ("student", c.student), ("real rows", c.target))
    ]
    return {"kind": "ceiling", "metric": c.metric, "chance": c.chance, "marks": marks}


def _error_findings(outlook: Outlook, policy: Policy, seed: int) -> list[Finding]:
    audit, most = outlook.audit, policy.review.error_max
    evidence: dict[str, Json] = {}
    if audit.clustering is not None:
        evidence = {
            "wrong": audit.wrong, "clustered_p": audit.clustering.p,
            "overdispersion": audit.clustering.overdispersion, "concentrated_in": audit.region.title,
        }  # fmt: skip
    status = status_of(audit.rate.low, audit.rate.high, most, better="lower")
    found = [
        _finding("audited_error", audit.rate, status, _audit_words(audit), better="lower",
                 params={"bound": most, "seed": seed}, evidence=evidence)
    ]  # fmt: skip
    if audit.inside is not None:
        where = audit.region.title
        status = status_of(audit.inside.low, audit.inside.high, most, better="lower")
        found.append(
            _finding("audited_error", audit.inside, status,
                     f"{interval(audit.inside)} of the labels in {where} are wrong{_apart(audit)}",
                     better="lower", where=where,
                     params={"bound": most, "seed": seed})
        )  # fmt: skip
    found += _verifier_findings(audit)
    if isinstance(outlook.found, Unmeasured):
        return [*found, _finding("predicted_error", outlook.found, Status.UNMEASURED, "", better="lower")]
    return found + [f for one in outlook.found[-1:] for f in _foretold_findings(one, audit, policy, seed)]


def _apart(audit: Audit) -> str:
    """Which rows say so: not those that the slice was named by."""
    if audit.wrong is None or audit.inside is None:
        return ""
    return f" (of the {audit.inside.n:,} checked rows there that had no part in naming it)"


def _audit_words(audit: Audit) -> str:
    if audit.wrong is None:
        return f"{audit.rate.value:.1%} of the labels are stated to be wrong"
    where = f", piled up in {audit.region.title}" if audit.region.title else ", spread as far as can be seen"
    return f"{audit.wrong} of {audit.rate.n:,} checked labels are wrong{where}"


def _foretold_findings(one: Foretold, audit: Audit, policy: Policy, seed: int) -> list[Finding]:
    bound = policy.bounds.get("utility", 0.05)
    low, high = one.mentions.interval(one.law.level)
    params: dict[str, Json] = {"bound": bound, "seed": seed, "training_rows": one.rows}
    evidence: dict[str, Json] = {
        "mentions": one.mentions.value, "mentions_low": low, "mentions_high": high if math.isfinite(high) else None,
        "data_error": audit.rate.value,
    }  # fmt: skip
    out: list[Finding] = []
    for where, law, found in ((None, one.law, one.found), (audit.region.title, one.law_inside, one.found_inside)):
        if law is None or found is None:
            continue
        agree = "agree" if _agree(law, found) else f"do not agree. {UNLIKE}"
        said = f"the law foretells {interval(law)} more errors, planted they make {interval(found)}: they {agree}"
        out += [
            _finding("predicted_error", law, status_of(law.low, law.high, bound, better="lower"), said,
                     better="lower", where=where, params=params, evidence=evidence),
            _finding("measured_error", found, status_of(found.low, found.high, bound, better="lower"), said,
                     better="lower", where=where, params=params),
        ]  # fmt: skip
    return out


def _agree(law: Estimate, found: Estimate) -> bool:
    return law.low <= found.high and found.low <= law.high


def _pairs(one: Foretold) -> list[tuple[Estimate, Estimate]]:
    inside = [(one.law_inside, one.found_inside)] if one.law_inside and one.found_inside else []
    return [(one.law, one.found), *inside]


def _verifier_findings(audit: Audit) -> list[Finding]:
    """What an automatic verifier would leave of the errors."""
    if audit.verifier is None:
        return []
    right_kept, right, wrong_kept, wrong = audit.verifier
    if not right or not wrong:
        why = Unmeasured(f"{wrong} wrong and {right} right labels were checked", "check more rows, wrong ones too")
        return [_finding("kept_error", why, Status.UNMEASURED, "", better="lower")]
    phi, psi = clopper_pearson(right_kept, right), clopper_pearson(wrong_kept, wrong)
    rate = clopper_pearson(wrong, wrong + right)
    ends = [
        verified(p, keeps_right=f, keeps_wrong=s)
        for p, f, s in (
            (rate.value, phi.value, psi.value),
            (rate.low, phi.high, psi.low),
            (rate.high, phi.low, psi.high),
        )
    ]
    if isinstance(ends[0], Unmeasured):
        return [_finding("kept_error", ends[0], Status.UNMEASURED, "", better="lower")]
    low, high = (e.error if not isinstance(e, Unmeasured) else d for e, d in zip(ends[1:], (0.0, 1.0), strict=True))
    value = ends[0]
    said = (
        f"the verifier keeps {phi.value:.0%} of right and {psi.value:.0%} of wrong labels: {value.kept:.0%} is kept, "
        f"{value.error:.1%} of it wrong; it would break down at {value.breakdown:.0%} wrong labels"
    )
    result = Estimate(value.error, min(low, value.error), max(high, value.error), audit.rate.n, 0.95,
                      "verifier algebra at the ends of three Clopper-Pearson intervals")  # fmt: skip
    facts: dict[str, Json] = {"phi": phi.value, "psi": psi.value, "yield": value.kept, "breakdown": value.breakdown}
    return [_finding("kept_error", result, Status.PASS, said, better="lower", evidence=facts)]


def error_rules(outlook: Outlook, policy: Policy) -> list[RuleOutcome]:
    """D3: tolerate, relabel a slice, or relabel."""
    audit, most = outlook.audit, policy.review.error_max
    what = _audit_words(audit)
    lead = f"{what[:1].upper()}{what[1:]}{'' if audit.wrong is None else f' ({interval(audit.rate)})'}."
    if audit.rate.high <= most:
        return [RuleOutcome("D3", "TOLERATE", ("audited_error",), f"{lead} At most {most:.1%} is allowed.")]
    names = ("audited_error", "predicted_error")
    outcome = _foretold_words(outlook)
    if audit.region.title is not None:
        reason = (
            f"{lead} {outcome}Errors that meet in one place are hardly voted down, and where they are the majority of "
            "a class they are learned in full, however many rows there are: relabel that slice."
        )
        return [
            RuleOutcome("D3", "RELABEL_SLICE", (*names, f"audited_error:{audit.region.title}"), reason, Verdict.FIX)
        ]
    if isinstance(outlook.found, Unmeasured):
        reason = f"{lead} What a model makes of them was not foretold: {outlook.found.reason}."
        return [RuleOutcome("D3", "RELABEL", names, reason, Verdict.FIX)]
    last = outlook.found[-1]
    bound = policy.bounds.get("utility", 0.05)
    known = last.mentions.interval(last.law.level)[0]
    voted_down = known >= ENOUGH_MENTIONS and max(last.law.high, last.found.high) <= bound
    if voted_down and policy.labels_random == "tolerate":
        return [RuleOutcome("D3", "TOLERATE", names, f"{lead} {outcome}They are voted down: tolerable.")]
    spared = "They are voted down, and the policy asks to mend them all the same ([labels] random). "
    reason = f"{lead} {outcome}{spared if voted_down else ''}Relabel, or make rows with a better teacher."
    return [RuleOutcome("D3", "RELABEL", names, reason, Verdict.FIX)]


def _foretold_words(outlook: Outlook) -> str:
    if isinstance(outlook.found, Unmeasured) or not outlook.found:
        return ""
    one = outlook.found[-1]
    where = ""
    if one.law_inside is not None and one.found_inside is not None:
        where = f" (inside the slice {_points(one.law_inside)} foretold, {_points(one.found_inside)} measured)"
    unlike = "" if all(_agree(a, b) for a, b in _pairs(one)) else f"{UNLIKE} "
    return (
        f"A model trained on {one.rows:,} such rows errs {_points(one.law)} more often, the law says; with the same "
        f"errors planted in real rows it errs {_points(one.found)} more often{where}. {unlike}"
    )


def _points(e: Estimate) -> str:
    return f"{100 * e.value:.1f} [{100 * e.low:.1f}, {100 * e.high:.1f}] points"


def _error_tables(outlook: Outlook) -> list[Table]:
    tables: list[Table] = []
    if not isinstance(outlook.found, Unmeasured):
        tables.append(_side_by_side(outlook.found, outlook.audit.region.title))
    tables.append(_law(outlook))
    return tables


def _side_by_side(found: tuple[Foretold, ...], where: str | None) -> Table:
    lines: list[tuple[Json, ...]] = []
    for one in found:
        low, high = one.mentions.interval(one.law.level)
        k = f"{one.mentions.value:.0f} [{low:.0f}, {f'{high:.0f}]' if math.isfinite(high) else '...)'}"
        lines.append((one.rows, k, "all rows", _percent(one.law), _percent(one.found)))
        if one.law_inside is not None and one.found_inside is not None:
            lines.append((one.rows, "", f"in {where}", _percent(one.law_inside), _percent(one.found_inside)))
    return Table(
        "Extra errors of the model, in points: foretold by the law, and measured",
        ("rows", "mentions", "where", "foretold", "measured"),
        tuple(lines),
        note="Measured: the audited errors planted into real rows, which the law had not seen. Mentions: how many "
        "neighbours the model's vote is worth, from labels made wrong at random.",
    )


def _percent(e: Estimate) -> str:
    return f"{100 * e.value:.1f} [{100 * e.low:.1f}, {100 * e.high:.1f}]"


def _law(outlook: Outlook) -> Table:
    """The same share of wrong labels under other assumptions."""
    rate, inside = outlook.audit.rate.value, outlook.audit.inside
    mentions: list[int] = [1, 3, 5, 10]
    lines: list[tuple[Json, ...]] = [
        ("wrong by chance, each mention anew", *(_share(float(majority_error(rate, k))) for k in mentions)),
        ("the same fact wrong everywhere", *(_share(rate) for _ in mentions)),
    ]
    if inside is not None and inside.value > 0:
        share = min(1.0, rate / inside.value)
        each = [clustered_error([share, 1 - share], [inside.value, 0.0], k) for k in mentions]
        lines.append((f"all in {outlook.audit.region.title}", *(_share(e[0]) for e in each)))
        lines.append(("  there", *(_share(float(e[1][0])) for e in each)))
    ages = ", ".join(f"{_share(recursion_error(rate, g))} after {g}" for g in GENERATIONS)
    return Table(
        f"What {rate:.1%} wrong facts become, by mentions of each fact",
        ("errors are", *(str(k) for k in mentions)),
        tuple(lines),
        note=f"Sampled and learned from again, generation by generation: {ages}.",
    )


def _share(x: float) -> str:
    return f"{x:.1%}"
