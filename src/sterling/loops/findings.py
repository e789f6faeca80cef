"""What a loop found, in the house's shape: what each slice kept, what is gone, which sign warned first."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from sterling.kernel.estimate import Estimate, Unmeasured
from sterling.kernel.finding import Finding, Json, Status
from sterling.loops.alarms import Alarm, alarms
from sterling.loops.collapse import Step, Trace
from sterling.loops.forecast import FORETOLD, LEVEL_FORETOLD, Forecast, rate, retention
from sterling.loops.reading import VITALS, Counted, Reading
from sterling.stats.bounds import status_of
from sterling.stats.drift import fresh_share
from sterling.stats.proportions import clopper_pearson

LEVEL = 0.95
MOST_SHOWN = 12
EXACT = "exact conditional binomial, this run's draws"


@dataclass(frozen=True, slots=True)
class Limits:
    """What the policy asks of a loop.

    Args:
        keep: share of a slice's real mass that must be left.
        fresh_rows: fresh real rows per slice and generation that keep it alive.
        least_rows: fewer is no injection.
        alpha: chance of any false alarm in one mode.
        bounds: tolerances by measure.
    """

    keep: float
    fresh_rows: float
    least_rows: float
    alpha: float
    bounds: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Need:
    """What one slice needs from now on.

    Args:
        slice: its name.
        real: real rows of it.
        rho: what each generation keeps.
        known: where rho is from: the slice's own rows; those of all rare slices, where luck explains its own; or
            neither: luck explains both, and rho is 1.
        lam: share of real rows in each generation's data with which the output keeps `keep` of its mass; None where
            no share does.
        rows: fresh real rows of it per generation; None where no number is enough.
    """

    slice: str
    real: int
    rho: float
    known: Literal["own", "pooled", "luck"]
    lam: float | None
    rows: int | None


def findings_of(trace: Trace, limits: Limits) -> list[Finding]:
    """Everything one mode showed, with the mode as candidate."""
    if not trace.steps:
        why = trace.failure
        reason = "the generator failed" if why is None else f"the generator failed: {why.message}"
        gone = Unmeasured(reason, mend="mend the generator, or its settings" if why is None else why.mend or "mend it")
        return [Finding("retention", gone, "higher", Status.UNMEASURED, candidate=trace.mode, reason=reason)]
    warned = alarms(trace, alpha=limits.alpha)
    last = trace.steps[-1]
    failing = lost(last, limits)
    return [
        _whole(trace, failing, warned, limits),
        *_slices(trace, failing, limits),
        _extinct(trace),
        _earliest(trace, warned),
        *(_sign(trace, r, limits, warned) for r in last.seen.readings if r.vital != "rare_slices"),
    ]


def first_findings(trace: Trace, limits: Limits) -> list[Finding]:
    """What the generator drops at once, fitted on real rows: no injection restores that."""
    if not trace.steps:
        return []
    step = trace.steps[0]
    failing = lost(step, limits)
    rare = step.seen.of("rare_slices")
    found = [_kept("first_retention", one, step, limits, Status.FAIL) for one in failing[:MOST_SHOWN]]
    if rare is None:
        return found
    status = Status.FAIL if failing else status_of(rare.low, rare.high, limits.keep, better="higher")
    reason = (
        f"Fitted on the real rows themselves, the generator keeps {rare.value:.0%} of the mass of rare slices; "
        f"{len(failing)} of {len(step.seen.slices)} slices are certainly below {limits.keep:.0%}."
    )
    params: dict[str, Json] = {"bound": limits.keep, "generation": 1, "slices": len(step.seen.slices)}
    return [
        Finding("first_retention", _estimate(rare, EXACT), "higher", status, reason=reason, params=params), *found
    ]  # fmt: skip


def lost(step: Step, limits: Limits) -> list[Counted]:
    """Slices that certainly kept less than the policy asks, all slices paid for; the worst first."""
    seen = step.seen
    each = limits.alpha / max(1, len(seen.slices))
    kept = [(retention(s, seen, alpha=each), s) for s in seen.slices]
    return [s for (value, _, high), s in sorted(kept, key=lambda k: k[0]) if high < limits.keep and value < 1]


def needs(trace: Trace, limits: Limits) -> list[Need]:
    """Fresh real rows that each protected, lost or rare slice needs per generation, the neediest first."""
    if not trace.steps:
        return []
    last = trace.steps[-1]
    failing = {s.name for s in lost(last, limits)}
    # The first generation was fitted on the real rows: what it keeps is a rate.
    pooled = trace.steps[0].seen.of("rare_slices")
    base = 1.0 if pooled is None or pooled.high >= 1 else min(1.0, pooled.value)
    each = limits.alpha / max(1, len(last.seen.slices))
    found = [
        _need(one, trace, limits, base=base, alpha=each)
        for one in last.seen.slices
        if one.why != "pair" or one.name in failing
    ]
    return sorted(found, key=lambda n: (n.lam is not None, -(n.lam or 0.0), n.real, n.slice))


def _need(one: Counted, trace: Trace, limits: Limits, *, base: float, alpha: float) -> Need:
    rho, _, high = rate(one.name, trace, alpha=alpha)
    known = "own" if high < 1 else "pooled" if base < 1 else "luck"
    rho = rho if known == "own" else base  # what luck explains is no rate
    lam = fresh_share(limits.keep, rho)
    seen = trace.steps[-1].seen
    due = one.real / seen.n * seen.m
    rows = None if lam is None else max(math.ceil(limits.fresh_rows), math.ceil(lam * due))
    return Need(one.name, one.real, rho, known, lam, rows)


def _whole(trace: Trace, failing: list[Counted], warned: tuple[Alarm, ...], limits: Limits) -> Finding:
    last = trace.steps[-1]
    rare = last.seen.of("rare_slices")
    params = _params(trace, failing, warned, limits)
    if rare is None:
        none = Unmeasured(last.seen.silent.get("rare_slices", "no slice"), mend="declare one with --slice COLUMN")
        return Finding(
            "retention", none, "higher", Status.UNMEASURED, candidate=trace.mode, reason=none.reason, params=params
        )  # fmt: skip
    status = Status.FAIL if failing else status_of(rare.low, rare.high, limits.keep, better="higher")
    reason = f"By generation {last.generation} rare slices together keep {rare.value:.0%} of their real mass"
    if failing:
        reason += f"; {len(failing)} of {len(last.seen.slices)} slices certainly less than {limits.keep:.0%}"
    return Finding(
        "retention", _estimate(rare, EXACT), "higher", status, candidate=trace.mode, reason=f"{reason}.", params=params
    )  # fmt: skip


def _params(
    trace: Trace, failing: list[Counted], warned: tuple[Alarm, ...], limits: Limits
) -> dict[str, Json]:  # fmt: skip
    """What the rules must know of a mode beside its number."""
    last = trace.steps[-1]
    dropped = {s.name for s in lost(trace.steps[0], limits)}
    gone = {s.name for s in failing}
    pairs = {s.name for s in failing if s.why == "pair"}  # fresh rows go to single slices
    able = [n for n in needs(trace, limits) if not failing or n.slice in gone]
    asked = min(able, key=lambda n: n.slice in pairs, default=None)  # the neediest first
    first = [_lost_from(trace, limits), *(a.generation for a in warned if VITALS[a.vital].bound is not None)]
    return {
        "bound": limits.keep, "mode": trace.mode, "generation": last.generation, "slices": len(last.seen.slices),
        "lost": [s.name for s in failing[:50]], "truncated": any(s.name in dropped for s in failing),
        "stop_after": min((g for g in first if g is not None), default=1) - 1,
        "lam": asked and asked.lam, "rows": asked and asked.rows, "rho": asked and asked.rho,
        "neediest": asked and asked.slice, "known": asked and asked.known,
        "fresh": sum(s.fresh for s in trace.steps), "replayed": sum(s.replayed for s in trace.steps),
        "spent": next((s.generation for s in trace.steps if s.short), None),
        "failure": None if trace.failure is None else trace.failure.message,
    }  # fmt: skip


def foretold(one: Forecast, limits: Limits, *, last: int) -> Finding:
    """What two generations foretell of rare slices: it decides only where the generation foretold was not run.

    Two rates are no interval of known level, so the ends of both generations' intervals are used: see LEVEL_FORETOLD.
    """
    low, high = one.sure
    status = status_of(low, high, limits.keep, better="higher")
    if status is Status.FAIL and one.until <= last:
        status = Status.WARN
    reason = (
        f"From two generations, {one.what} are foretold to keep {one.low:.0%} to {one.high:.0%} by generation "
        f"{one.until}, if the loss goes on as it began; with the luck of both, {low:.0%} to {high:.0%}."
    )
    value = (one.low + one.high) / 2
    params: dict[str, Json] = {
        "bound": limits.keep, "until": one.until, "rhos": list(one.rhos), "bracket": [one.low, one.high]
    }  # fmt: skip
    return Finding(
        "forecast", Estimate(value, low, high, 2, LEVEL_FORETOLD, FORETOLD), "higher", status, candidate=one.mode,
        reason=reason, params=params,
    )  # fmt: skip


def _lost_from(trace: Trace, limits: Limits) -> int | None:
    """The first generation from which on some slice is lost in every one."""
    first: int | None = None
    for step in reversed(trace.steps):
        if not lost(step, limits):
            break
        first = step.generation
    return first


def _slices(trace: Trace, failing: list[Counted], limits: Limits) -> list[Finding]:
    last = trace.steps[-1]
    gone = {s.name for s in failing}
    shown = [(s, Status.FAIL) for s in failing[:MOST_SHOWN]]
    for one in last.seen.slices:
        if one.why == "declared" and one.name not in gone and len(shown) < 2 * MOST_SHOWN:
            _, low, high = retention(one, last.seen, alpha=(1 - LEVEL) / 2)
            calm = status_of(low, high, limits.keep, better="higher")
            shown.append((one, Status.UNDECIDED if calm is Status.FAIL else calm))
    return [_kept("retention", one, last, limits, status, trace.mode) for one, status in shown]


def _kept(
    measure: str, one: Counted, step: Step, limits: Limits, status: Status, mode: str | None = None
) -> Finding:  # fmt: skip
    value, low, high = retention(one, step.seen, alpha=(1 - LEVEL) / 2)
    reason = (
        f"{one.name} has {one.real:,} of {step.seen.n:,} real rows and {one.made:,} of {step.seen.m:,} in generation "
        f"{step.generation}: {value:.0%} of its mass, and {limits.keep:.0%} is asked for."
    )
    return Finding(
        measure, Estimate(value, low, high, one.real + one.made, LEVEL, EXACT), "higher", status, slice=one.name,
        candidate=mode, reason=reason, params={"bound": limits.keep, "generation": step.generation},
    )  # fmt: skip


def _extinct(trace: Trace) -> Finding:
    last = trace.steps[-1]
    gone = [s for s in last.seen.slices if s.made == 0]
    if not last.seen.slices:
        none = Unmeasured("no slice has enough real rows to be watched", mend="declare one with --slice COLUMN")
        return Finding("extinct", none, "lower", Status.UNMEASURED, candidate=trace.mode, reason=none.reason)
    reason = f"{len(gone)} of {len(last.seen.slices)} watched slices have no row left in generation {last.generation}"
    if gone:
        reason += f": {', '.join(f'{s.name} ({s.real} real rows)' for s in gone[:4])}"
    return Finding(
        "extinct", clopper_pearson(len(gone), len(last.seen.slices), level=LEVEL), "lower",
        Status.WARN if gone else Status.PASS, candidate=trace.mode, reason=f"{reason}.",
        params={"generation": last.generation, "gone": [s.name for s in gone[:50]]},
    )  # fmt: skip


def _earliest(trace: Trace, warned: tuple[Alarm, ...]) -> Finding:
    """The generation in which a sign first warned and went on; censored where none did."""
    last = trace.steps[-1].generation
    method = "first sustained alarm, all signs and generations paid for"
    params: dict[str, Json] = {"alarms": {a.vital: a.generation for a in warned}}
    if not warned:
        return Finding(
            "earliest_alarm", Estimate(last, last, math.inf, last, LEVEL, method), "higher", Status.PASS,
            candidate=trace.mode, reason=f"No sign warns up to generation {last}.", params=params,
        )  # fmt: skip
    first = warned[0]
    told = ", ".join(VITALS[a.vital].title for a in warned if a.generation == first.generation)
    held = "and warns to the end" if first.confirmed else "which no later generation could confirm"
    worst = f" (worst: {first.worst})" if first.worst else ""
    reason = f"The first sign to warn is {told}{worst}, in generation {first.generation}, {held}."
    g = first.generation
    return Finding(
        "earliest_alarm", Estimate(g, g, g, last, LEVEL, method), "higher", Status.WARN, candidate=trace.mode,
        reason=reason, params=params,
    )  # fmt: skip


def _sign(trace: Trace, r: Reading, limits: Limits, warned: tuple[Alarm, ...]) -> Finding:
    """A sign's last reading: held against the policy's bound where it has one, else a warning where it alarms."""
    vital, last = VITALS[r.vital], trace.steps[-1]
    bound = limits.bounds.get(vital.bound) if vital.bound is not None else None
    alarm = next((a for a in warned if a.vital == r.vital), None)
    if bound is not None and vital.better == "lower":
        bound += r.floor
    calm = Status.WARN if alarm is not None else Status.PASS
    status = (
        calm
        if bound is None
        else status_of(r.low, r.high, bound, better="lower" if vital.better == "lower" else "higher")
    )
    if status is Status.PASS:
        status = calm
    worst = f", worst in {r.worst}" if r.worst else ""
    since = "" if alarm is None else f"; it warns from generation {alarm.generation} on"
    reason = (
        f"{vital.title[0].upper()}{vital.title[1:]} in generation {last.generation}: {r.value:.3g}{worst}, "
        f"where real rows have {r.floor:.3g}{since}."
    )
    params: dict[str, Json] = {"generation": last.generation}
    floor = Estimate(r.floor, r.floor, r.floor, r.n, LEVEL, "real rows against real rows")
    return Finding(
        r.vital, _estimate(r, "against real rows"), vital.better, status, candidate=trace.mode, reason=reason,
        floor=floor, params=params if bound is None else {**params, "bound": bound},
    )  # fmt: skip


def _estimate(r: Reading, method: str) -> Estimate:
    return Estimate(r.value, r.low, r.high, r.n, LEVEL, method)
