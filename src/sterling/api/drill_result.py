"""A drill in the house's envelope: a finding for each fault, rules in plain words, a verdict."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sterling.kernel.dataset import Dataset
from sterling.kernel.estimate import Estimate, Unmeasured
from sterling.kernel.finding import Decision, Finding, Json, RuleOutcome, Status, Verdict
from sterling.kernel.protocols import Fault
from sterling.stats.bounds import status_of
from sterling.stats.proportions import clopper_pearson, exact_bounds

if TYPE_CHECKING:
    from sterling.decide.policy import Policy
    from sterling.decide.result import InputRecord, Result

FLOOR, ALARM = "drill_floor", "drill_alarm"
BRACKET = "bracket of the severities tried"
POWER, LEVEL = 0.9, 0.95
# A gate that spends its budget alarms at some innocent plants of every long drill: only a rate that chance gives in
# fewer than one drill of 100 asks to mend it.
SURE = 0.01
FAST = (
    "--fast: measures that train the model were left out of the search where a fault does not ask for them and nothing "
    "had failed, so a floor may be lower than it says, never higher"
)


@dataclass(frozen=True, slots=True)
class Tally:
    """Plants at one severity, and how many of them were caught."""

    plants: int = 0
    caught: int = 0

    def plus(self, *, caught: bool) -> Tally:
        """One plant more."""
        return Tally(self.plants + 1, self.caught + caught)


@dataclass(frozen=True, slots=True)
class Drilled:
    """What became of one fault.

    Args:
        name: of the fault.
        fault: its settings.
        severities: those to be tried, ascending.
        tried: by severity, ascending; those that the search needed.
        floor: the smallest severity caught with power .9; None where none was.
        by: what was shown first, with how often.
        named: of the plants judged to the end, how many showed their cause first.
        read: how many were judged to the end.
        why_not: why the fault does not apply to this table; None where it does.
    """

    name: str
    fault: Fault
    severities: tuple[float, ...]
    tried: Mapping[float, Tally] = field(default_factory=dict[float, Tally])
    floor: float | None = None
    by: Mapping[str, int] = field(default_factory=dict[str, int])
    named: int = 0
    read: int = 0
    why_not: Unmeasured | None = None


def concluded(
    base: Result,
    drilled: Sequence[Drilled],
    inputs: Sequence[InputRecord],
    *,
    passed: bool,
    runs: int,
    stands_in: bool,
    alpha: float,
    fast: bool,
) -> Result:
    """Fold a drill into a result.

    Args:
        base: what the gate's policy made of the clean base.
        drilled: what became of each fault and each innocent change.
        inputs: what was read.
        passed: whether the gate lets the clean base through.
        runs: plants at the severity that decides.
        stands_in: whether half of the real rows stood in for synthetic ones.
        alpha: the policy's false-alarm budget.
        fast: whether trainings were left out.

    Returns:
        SHIP if every fault that applies is caught and innocent plants alarm no more often than the policy allows,
        as far as so many plants can show; INSUFFICIENT if the gate cannot judge even the clean base, or no fault
        applies; else FIX.
    """
    from sterling.decide.result import Result
    from sterling.decide.rules import folded

    findings = tuple(_alarm(d, alpha) if d.fault.innocent else _floor(d, runs) for d in drilled)
    rules = _rules(base, drilled, passed=passed, stands_in=stands_in, alpha=alpha)
    sure = clopper_pearson(runs, runs, level=LEVEL).low
    notes = [
        *([FAST] if fast else []),
        f"a severity counts as caught when at least {POWER:.0%} of {runs} plants are; {runs} of {runs} make it "
        f"{LEVEL:.0%} sure that the power is above {sure:.2f}, and only 29 of 29 that it is above about 0.9 (--runs)",
        *(n for n in base.notes if not stands_in or "stand-in" not in n),
    ]
    plants = sum(tally.plants for d in drilled for tally in d.tried.values())
    return Result(
        kind="drill", decision=folded(rules, findings, base.policy), findings=findings, inputs=tuple(inputs),
        seed=base.seed, policy=base.policy, cost={"plants": plants}, notes=tuple(notes),
    )  # fmt: skip


def too_few(faults: Mapping[str, Fault], sets: Sequence[Dataset], *, policy: Policy, seed: int) -> Result:
    """A drill on so few rows that no measure would say anything: an answer in words."""
    from sterling.decide.result import Result

    rows = " and ".join(f"{one.name} has {one.rows:,} rows" for one in sets)
    need = "200 real rows (one half stands in for synthetic ones)" if len(sets) == 1 else "100 rows on each side"
    why = Unmeasured(f"{rows}: too few to plant anything in", f"give at least {need}; 4,000 for a gate that can pass")
    findings = tuple(
        Finding(
            ALARM if fault.innocent else FLOOR, why, "lower", Status.UNMEASURED, slice=_slice(name, fault),
            reason=why.reason, evidence=_facts(fault, fault.severities),
        )
        for name, fault in faults.items()
    )  # fmt: skip
    told = f"{why.reason[:1].upper()}{why.reason[1:]}. To mend: {why.mend}."
    rule = RuleOutcome("DRILL", "TOO_FEW_ROWS", (), told, Verdict.INSUFFICIENT)
    decision = Decision(Verdict.INSUFFICIENT, policy.label, (rule,), tuple(f.name for f in findings))
    return Result("drill", decision, findings, records(sets), seed, policy.label)


def records(sets: Sequence[Dataset]) -> tuple[InputRecord, ...]:
    """Sets as a result lists its inputs."""
    from sterling.decide.result import InputRecord

    return tuple(InputRecord(s.name, s.rows, s.fingerprint, s.origin.value, s.notes) for s in sets)


def _slice(name: str, fault: Fault) -> str:
    return f"{'innocent' if fault.innocent else 'fault'}={name}"


def _facts(fault: Fault, severities: Sequence[float]) -> dict[str, Json]:
    return {
        "title": fault.title,
        "severities": list[Json](severities),
        "expected": list[Json](fault.expected),
    }


def _tried(d: Drilled) -> list[Json]:
    """Each severity tried with its exact interval of the power."""
    rows: list[Json] = []
    for severity, tally in d.tried.items():
        power = clopper_pearson(tally.caught, tally.plants, level=LEVEL)
        rows.append(
            {
                "severity": severity, "plants": tally.plants, "caught": tally.caught,
                "power": power.value, "low": power.low, "high": power.high,
            }
        )  # fmt: skip
    return rows


def _floor(d: Drilled, runs: int) -> Finding:
    """The smallest severity caught; below it lies the largest that was tried and not.

    The two are a bracket of the severities tried, with no level of its own: what has one is the power at the floor.
    """
    read: dict[str, Json] = {"cause_named": d.named if d.read else None, "read_whole": d.read}
    finding = functools.partial(_finding, FLOOR, d, params={"runs": runs, "power": POWER}, read=read)
    if d.why_not is not None:
        return finding(d.why_not, Status.NOT_APPLICABLE, d.why_not.reason)
    if d.floor is None:
        missed = _missed(d)
        return finding(missed, Status.UNMEASURED, missed.reason)
    tally = d.tried[d.floor]
    power = clopper_pearson(tally.caught, tally.plants, level=LEVEL)
    below = max((s for s in d.tried if s < d.floor), default=0.0)
    # An estimate must state a level; here it is the level of the power's interval, which stands in the evidence.
    result = Estimate(d.floor, below, d.floor, tally.plants, LEVEL, BRACKET)
    read["power_at_floor"] = {
        "value": power.value, "low": power.low, "high": power.high, "level": LEVEL, "method": power.method,
        "caught": tally.caught, "plants": tally.plants,
    }  # fmt: skip
    by = " or ".join(list(d.by)[:2]) or "the gate"
    named = "" if not d.read else f"; cause named first in {d.named} of {d.read} read to the end"
    reason = (
        f"{d.fault.title}: caught from {d.floor:g} on, in {tally.caught} of {tally.plants} plants (power "
        f"{power.value:.2f}, {LEVEL:.0%} interval {power.low:.2f} to {power.high:.2f}), by {by}{named}"
    )
    return finding(result, Status.PASS, reason)


def _finding(
    measure: str,
    d: Drilled,
    result: Estimate | Unmeasured,
    status: Status,
    reason: str,
    *,
    params: Mapping[str, Json],
    read: Mapping[str, Json],
) -> Finding:
    evidence: dict[str, Json] = {
        **_facts(d.fault, d.severities), "tried": _tried(d), "shown_first": dict[str, Json](d.by), **read,
    }  # fmt: skip
    where = _slice(d.name, d.fault)
    return Finding(measure, result, "lower", status, where, reason=reason, params=params, evidence=evidence)


def _missed(d: Drilled) -> Unmeasured:
    """Why there is no floor, and what would lower it."""
    highest, tally = max(d.tried.items())
    counts = f"{tally.caught} of {tally.plants} plants"
    reason = f"{d.fault.title}: not caught with power {POWER:g} even at {highest:g} ({counts})"
    wanted = " or ".join(d.fault.expected[:2]) or "any measure"
    return Unmeasured(reason, f"give more rows, or tighten the bound of {wanted} in your policy")


def _alarm(d: Drilled, alpha: float) -> Finding:
    """The share of innocent plants that alarmed."""
    finding = functools.partial(_finding, ALARM, d, params={"bound": alpha}, read={})
    if d.why_not is not None:
        return finding(d.why_not, Status.NOT_APPLICABLE, d.why_not.reason)
    tally = next(iter(d.tried.values()))
    share = clopper_pearson(tally.caught, tally.plants, level=LEVEL)
    # Few plants decide little: not one alarm among 5 is what a gate shows that alarms at every second plant, too.
    status = status_of(share.low, share.high, alpha, better="lower")
    by = f", by {' or '.join(list(d.by)[:2])}" if d.by else ""
    return finding(
        share, status, f"{d.fault.title}: {tally.caught} of {tally.plants} plants alarmed{by} ({_ends(share)})"
    )


def _ends(share: Estimate) -> str:
    return f"{LEVEL:.0%} interval of the rate {share.low:.2f} to {share.high:.2f}"


def _innocent(drilled: Sequence[Drilled]) -> Tally:
    """All innocent plants together."""
    tallies = [t for d in drilled if d.fault.innocent for t in d.tried.values()]
    return Tally(sum(t.plants for t in tallies), sum(t.caught for t in tallies))


def _counted(innocent: Tally) -> str:
    return f"{innocent.caught} of {innocent.plants} innocent plants alarmed"


def _alarm_rule(drilled: Sequence[Drilled], *, alpha: float) -> list[RuleOutcome]:
    """How often all innocent plants together alarmed: it asks for something where chance does not explain it.

    Source: exact binomial test of "the rate is at most alpha", by its equivalent Clopper-Pearson limit.
    """
    innocent = _innocent(drilled)
    if not innocent.plants:
        return []
    share = clopper_pearson(innocent.caught, innocent.plants, level=LEVEL)
    allowed = f"{_ends(share)}; the policy allows {alpha:g}"
    alarmed = [d for d in drilled if d.fault.innocent and any(t.caught for t in d.tried.values())]
    words, names = _listed([d.name for d in alarmed]), _names(alarmed, ALARM)
    if exact_bounds(innocent.caught, innocent.plants, alpha=SURE)[0] > alpha:
        reason = f"{_counted(innocent)} ({allowed}): the gate raises alarms at changes that mean nothing: {words}."
        return [RuleOutcome("DRILL", "FALSE_ALARM", names, reason, Verdict.FIX)]
    if alarmed:
        reason = f"{_counted(innocent)} ({allowed}): no more than chance may give. It was at {words}."
        return [RuleOutcome("DRILL", "ALARMED", names, reason)]
    return [RuleOutcome("DRILL", "QUIET", (), f"{_counted(innocent)} ({allowed}).")]


def _rules(
    base: Result, drilled: Sequence[Drilled], *, passed: bool, stands_in: bool, alpha: float
) -> tuple[RuleOutcome, ...]:
    applies = [d for d in drilled if not d.fault.innocent and d.why_not is None]
    missed = [d for d in applies if d.floor is None]
    alarms = _alarm_rule(drilled, alpha=alpha)
    rules = _base_rules(base, passed=passed, stands_in=stands_in)
    if missed:
        words = _listed([d.name for d in missed])
        reason = (
            f"The gate lets {len(missed)} of {len(applies)} planted faults through at every severity tried: {words}."
        )
        rules.append(RuleOutcome("DRILL", "MISSED", _names(missed, FLOOR), reason, Verdict.FIX))
    rules += [rule for rule in alarms if rule.verdict is not None]
    if not applies and any(not d.fault.innocent for d in drilled):
        reason = "None of the faults can be planted in this table. The findings say what each would need."
        rules.append(RuleOutcome("DRILL", "NOTHING_APPLIES", (), reason, Verdict.INSUFFICIENT))
    caught = [d for d in applies if d.floor is not None]
    if caught:
        named, read = sum(d.named for d in caught), sum(d.read for d in caught)
        quiet = f"; {_counted(_innocent(drilled))}" if alarms else ""
        reason = (
            f"The gate catches {len(caught)} of {len(applies)} planted faults at some severity tried{quiet}. It names "
            f"the cause first in {named} of {read} plants that were read to the end."
        )
        rules.append(RuleOutcome("DRILL", "CAUGHT", _names(caught, FLOOR), reason))
    return (*rules, *(rule for rule in alarms if rule.verdict is None))


def _base_rules(base: Result, *, passed: bool, stands_in: bool) -> list[RuleOutcome]:
    """What a reader must know where the gate refuses what nothing was planted in."""
    if passed:
        return []
    verdict = base.decision.verdict
    why = next((r.reason for r in base.decision.rules if r.verdict is verdict and r.waived is None), "see compare")
    what = "other real rows in place of synthetic ones" if stands_in else "the synthetic set before anything is planted"
    lead = f"The gate refuses {what} ({verdict.value})"
    if verdict is Verdict.INSUFFICIENT:
        return [RuleOutcome("DRILL", "CANNOT_JUDGE", (), f"{lead}: {why}", Verdict.INSUFFICIENT)]
    told = f"{lead}: {why} Faults count as caught only where something new fails."
    return [RuleOutcome("DRILL", "BASE_REFUSED", (), told, Verdict.FIX if stands_in else None)]


def _names(drilled: Sequence[Drilled], measure: str) -> tuple[str, ...]:
    return tuple(f"{measure}:{_slice(d.name, d.fault)}" for d in drilled)


def _listed(words: Sequence[str]) -> str:
    from sterling.decide.sentences import joined

    return joined(words, most=6)
