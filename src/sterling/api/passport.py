"""`passport`: what was tried against a synthetic set, on one page, from a result alone: no data are read."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sterling.kernel.audience import FEWEST, bare_generator, is_private, smallest_group, step
from sterling.kernel.dataset import Lineage
from sterling.kernel.errors import InputError
from sterling.kernel.estimate import Estimate
from sterling.kernel.finding import Finding, Status
from sterling.kernel.privacy_claim import claimed_privacy
from sterling.report.figures import number, span
from sterling.report.passport import Answer, Audience, Passport, Threat

if TYPE_CHECKING:
    from sterling.decide.result import InputRecord, Result

# Slices that name no column and no value of the data.
RARE_HITS = "false_positives=1%"
# A share and how many people, or rows, it is one of; 0 for what chance gives, which is nobody's.
Part = tuple[float, int]
Rates = tuple[Part, Part] | None


@dataclass(frozen=True, slots=True)
class Attack:
    """How one measure is told on a passport.

    Args:
        measure: its name.
        question: what a reader would ask.
        words: what was done.
        rates: from a finding, how often it succeeds on the people behind the set, and on strangers.
        slice: of the finding; None for the whole set.
    """

    measure: str
    question: str
    words: str
    rates: Callable[[Finding], Rates]
    slice: str | None = None


def _of(first: str, tried: str, second: str, control: str) -> Callable[[Finding], Rates]:
    """Shares from the counts of a finding's evidence."""

    def rates(finding: Finding) -> Rates:
        found = [finding.evidence.get(name) for name in (first, tried, second, control)]
        a, n, b, m = (float(v) if isinstance(v, (int, float)) else -1.0 for v in found)
        return ((a / n, int(n)), (b / m, int(m))) if n > 0 and m > 0 and min(a, b) >= 0 else None

    return rates


def _shares(first: str, tried: str, second: str, control: str) -> Callable[[Finding], Rates]:
    """Shares as the evidence has them; they are never told by halves, nor without their groups' sizes."""

    def rates(finding: Finding) -> Rates:
        found = [finding.evidence.get(name) for name in (first, tried, second, control)]
        a, n, b, m = (float(v) if isinstance(v, (int, float)) else -1.0 for v in found)
        return ((a, int(n)), (b, int(m))) if n > 0 and m > 0 and min(a, b) >= 0 else None

    return rates


def _against(chance: float) -> Callable[[Finding], Rates]:
    """The number itself beside what chance gives."""
    return lambda f: ((f.result.value, smallest_group(f)), (chance, 0)) if isinstance(f.result, Estimate) else None


def _worst_secret(finding: Finding) -> Rates:
    secrets = finding.evidence.get("secrets")
    rows = [s for s in secrets if isinstance(s, dict)] if isinstance(secrets, list) else []
    worst = max(rows, key=lambda s: float(str(s.get("at_least", -1))), default=None)
    if worst is None:
        return None
    counts = [float(str(worst[k])) for k in ("train_right", "train_tried", "control_right", "control_tried")]
    return (counts[0] / counts[1], int(counts[1])), (counts[2] / counts[3], int(counts[3]))


ATTACKS = (
    Attack("copies", "Can someone find a real person's row?", "rows equal to a real row; by nature, on strangers",
           _shares("copied_share", "copied_of", "natural_share", "natural_of")),
    Attack("near_copies", "Or nearly?", "far nearer to a real row than real rows are",
           lambda f: None),
    Attack("nearest_record", "Do rows lie closer to members than to strangers?",
           "whose row is the nearest? half and half is fair", _against(0.5)),
    Attack("membership_inference", "Can someone tell who was in the data?",
           "best of four attacks, told from a stranger; a coin: half", _against(0.5)),
    Attack("membership_inference", "Or at least for a few, and surely?", "named while wrong about 1 in 100 strangers",
           _against(0.01), RARE_HITS),
    Attack("singling_out", "Does a description single one person out?", "descriptions learnt from the synthetic rows",
           _of("singled_out", "descriptions", "control_singled_out", "descriptions")),
    Attack("linkability", "Can two parts of a record be linked?", "the right other half, picked among 50",
           _of("train_linked", "tried", "control_hits", "control_tried")),
    Attack("attribute_inference", "Can a secret value be guessed?", "worst of up to 8 columns, all others known",
           _worst_secret),
    Attack("rare_exposure", "Are rare people exposed?", "a value that one person alone has, shown",
           _of("shown", "lone", "control_shown", "control_lone")),
    Attack("canaries", "Were planted records repeated?", "told from a twin that was not planted; a coin: half",
           _against(0.5)),
)  # fmt: skip
NOT_PROMISED = (
    "That no attack exists: these are the strongest that Sterling knows, not all there will ever be.",
    "That nothing can be learnt of a person: what is true of people like them can be guessed of anybody.",
    "Anything about one person with several rows, unless the rows of each were kept together.",
    "That it stays so beside other releases of the same data, or after more sets are drawn.",
)
NO_CLAIM = "Differential privacy: no epsilon is claimed for this set."


def judges_privacy(result: Result) -> bool:
    """Whether a report of this result begins with a passport: attacks were taken, under a policy about privacy."""
    measures = {f.measure for f in result.findings}
    return is_private(result.policy) and result.kind in ("compare", "run") and "membership_inference" in measures


def passports(result: Result, *, audience: Audience) -> tuple[Passport, ...]:
    """The passports of a result: one for each synthetic set that was judged.

    Args:
        result: of `compare` or `run`.
        audience: the recipient's form holds no value, level, column, slice, real fingerprint or small count.

    Raises:
        InputError: if the result judges no set's privacy.
    """
    judged = {a.measure for a in ATTACKS}
    found = [f for f in result.findings if f.measure in judged]
    names = list(dict.fromkeys(f.candidate for f in found))
    if not found:
        raise InputError(
            f"this result of `{result.kind}` holds no attack on anyone's privacy",
            mend="make one: sterling compare REAL SYNTHETIC --holdout H --policy privacy --json RESULT.json",
        )
    return tuple(_passport(result, name, [f for f in found if f.candidate == name], audience) for name in names)


def passport(
    result: Path, *, out: Path, audience: Audience = "owner", as_json: Path | None = None
) -> tuple[Passport, ...]:
    """Write the passport of a result, one self-contained HTML page.

    Args:
        result: a file that `compare --json` or `run` wrote.
        out: the page.
        audience: who reads it.
        as_json: the same as JSON.

    Raises:
        InputError: if the result cannot be read, judges no set's privacy, or a file cannot be written.
    """
    from sterling.decide.result import read_result
    from sterling.report.passport import render_passport
    from sterling.sources.atomic import write_text

    made = passports(read_result(result), audience=audience)
    write_text(out, render_passport(made, created=""))
    if as_json is not None:
        told = {"sterling": "passport", "passports": [p.as_json() for p in made]}
        write_text(as_json, json.dumps(told, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
    return made


def _passport(result: Result, name: str | None, found: Sequence[Finding], audience: Audience) -> Passport:
    made = [r for r in result.inputs if r.origin != "real"]
    own = next((r for r in made if r.name == name), made[0] if made else None)
    verdict = _verdict(found)
    threats = tuple(t for a in ATTACKS if (t := _threat(a, found, audience)) is not None)
    claim = None if own is None else claimed_privacy(Lineage(generator=own.generator))
    untested = [f"{t.question} {_why(found, t, audience)}" for t in threats if t.status == "unmeasured"]
    taken = {f.measure for f in found}
    untested += [f"{a.question} Not taken." for a in ATTACKS if a.measure not in taken]
    if any(f.measure == "canaries" and not _taken(f) for f in found):
        untested.append(
            "Were planted records repeated? None were planted: it is for sets of ours, made with --canaries."
        )
    return Passport(
        audience=audience,
        verdict=verdict,
        because=_because(verdict, threats, found),
        subject=name or (own.name if own is not None else "the set"),
        facts=_facts(result, own, audience),
        threats=threats,
        untested=tuple(dict.fromkeys(untested)),
        needs=_needs(found) if verdict == "INSUFFICIENT" else (),
        unpromised=(*(() if claim is not None else (NO_CLAIM,)), *NOT_PROMISED),
        verify=_verify(audience),
        notes=_notes(result, name, found) if audience == "owner" else (),
    )


def _verdict(found: Sequence[Finding]) -> Answer:
    """As rule D9 has it, but that waivers count for nothing here."""
    from sterling.decide.people_rules import all_clear, tried_attacks

    if any(f.status is Status.FAIL for f in found):
        return "BLOCK"
    return "SHARE" if all_clear(tried_attacks(found)) else "INSUFFICIENT"


def _because(verdict: Answer, threats: Sequence[Threat], found: Sequence[Finding]) -> str:
    named: dict[str, list[str]] = {"undecided": [], "unmeasured": []}
    for t in threats:
        named.setdefault(t.status, []).append(t.measure.replace("_", " "))
    listed = {k: ", ".join(dict.fromkeys(v)) for k, v in named.items()}
    if verdict == "BLOCK":
        failed = dict.fromkeys(f.measure.replace("_", " ") for f in found if f.status is Status.FAIL)
        return f"Certainly beyond what chance and the policy allow: {', '.join(failed)}."
    if verdict == "SHARE":
        return (
            "No attack that was tried does better on the people behind the set than on strangers by more than the "
            "policy's bound, not even at the upper end of its interval."
        )
    parts = [f"Open, for its interval holds the bound: {listed['undecided']}."] if listed["undecided"] else []
    parts += [f"Not tested: {listed['unmeasured']}."] if listed["unmeasured"] else []
    return " ".join(["Nothing certainly fails, and not all is certainly safe.", *parts])


def _facts(result: Result, own: InputRecord | None, audience: Audience) -> tuple[tuple[str, str], ...]:
    real = [r for r in result.inputs if r.origin == "real"]
    facts: list[tuple[str, str]] = []
    if own is not None:
        claim = claimed_privacy(Lineage(generator=own.generator))
        maker = own.generator or "unknown: a file that was given"
        facts += [("rows", _count(own.rows, audience)), ("fingerprint", own.fingerprint)]
        facts.append(
            (
                "made by",
                bare_generator(maker).partition("(")[0] if audience == "recipient" and own.generator else maker,
            )
        )
        if claim is not None:
            people = f", {claim.records} records of one person together" if claim.records > 1 else ""
            facts.append(
                ("claimed", f"epsilon {claim.epsilon:g}, delta {claim.delta:g} (differential privacy){people}")
            )
    for what, record in zip(("real rows", "holdout rows"), real, strict=False):
        known = f" ({record.name}, {record.fingerprint[:12]})" if audience == "owner" else ""
        facts.append((what, f"{_count(record.rows, audience)}{known}"))
    facts += [
        ("policy, seed", f"{result.policy}, {result.seed}"),
        ("of the whole report", result.decision.verdict.value),
    ]
    return tuple(facts)


def _count(rows: int, audience: Audience) -> str:
    return f"<{FEWEST}" if audience == "recipient" and 0 < rows < FEWEST else f"{rows:,}"


def _threat(attack: Attack, found: Sequence[Finding], audience: Audience) -> Threat | None:
    finding = next((f for f in found if f.measure == attack.measure and f.slice == attack.slice), None)
    if finding is None or (attack.measure == "canaries" and finding.status is not Status.PASS and not _taken(finding)):
        return None
    result, bound, rates = finding.result, finding.params.get("bound"), attack.rates(finding)
    status = Status.FAIL if attack.slice is None and _worse(attack, found) else finding.status
    rests_on = smallest_group(finding)
    if not isinstance(result, Estimate) or (audience == "recipient" and rests_on < FEWEST):
        # A verdict that a failure decides is told with it; any other number that rests on a few is not there.
        told = status if status is Status.FAIL or not isinstance(result, Estimate) else Status.UNMEASURED
        return Threat(attack.question, attack.words, attack.measure, "", "", "", "", told.value)
    grid = step(rests_on) if audience == "recipient" else 0.0
    low, high = _on(result.low, grid, -1), _on(result.high, grid, 1)
    return Threat(
        question=attack.question,
        attack=attack.words,
        measure=attack.measure,
        success=_share(*rates[0], audience) if rates else "",
        control=_share(*rates[1], audience) if rates else "",
        judged=f"{number(_on(result.value, grid, 0))} {span(low, high)}",
        bound=number(float(bound)) if isinstance(bound, (int, float)) and not isinstance(bound, bool) else "",
        status=status.value,
        detail=(finding.reason or "") if audience == "owner" else "",
    )


def _taken(finding: Finding) -> bool:
    return isinstance(finding.result, Estimate)


def _worse(attack: Attack, found: Sequence[Finding]) -> bool:
    """Whether a part of the attack that has no line of its own failed."""
    lines = {a.slice for a in ATTACKS if a.measure == attack.measure}
    return any(f.measure == attack.measure and f.status is Status.FAIL and f.slice not in lines for f in found)


def _on(value: float, grid: float, side: int) -> float:
    """A number on the grid of what a recipient may know: ends outwards, so that the interval still holds."""
    import math

    if not grid or not math.isfinite(value):
        return value
    steps = value / grid
    told = math.floor(steps) if side < 0 else math.ceil(steps) if side > 0 else round(steps)
    return round(told * grid, 4) + 0.0


def _share(value: float, of: int, audience: Audience) -> str:
    """A share as text: for a recipient no finer than ten of the people it is one of, and none of fewer than ten."""
    if audience == "recipient" and 0 < of < FEWEST:
        return ""
    grid = step(of) if audience == "recipient" and of else 0.0
    return f"{100 * _on(value, grid, 0):.{1 if not grid or grid < 0.01 else 0}f} %"


def _why(found: Sequence[Finding], threat: Threat, audience: Audience) -> str:
    """Why it was not tested; a recipient hears no words that were made from the data."""
    if audience == "recipient":
        return "Not tested: ask the owner why."
    finding = next(f for f in found if f.measure == threat.measure and not isinstance(f.result, Estimate))
    return f"{(finding.reason or 'not tested').rstrip('.')}."


def _needs(found: Sequence[Finding]) -> tuple[str, ...]:
    """What a surer answer would take."""
    needs: list[str] = []
    times = [
        (float(t), f.measure) for f in found
        if f.status is Status.UNDECIDED and isinstance(t := f.evidence.get("times_the_rows_would_decide"), (int, float))
    ]  # fmt: skip
    if times:
        most, measure = max(times)
        needs.append(
            f"About {max(most, 1.2):.1f} times the rows, the holdout's above all, would decide on "
            f"{measure.replace('_', ' ')}, which takes most."
        )
    if any(f.status is Status.UNMEASURED and "unseen" in (f.reason or "") for f in found):
        needs.append(
            "Split the real rows, refit the generator on one part alone, and compare again with the other as --holdout."
        )
    return tuple(needs or ["More real rows that the generator never saw, given as --holdout."])


def _notes(result: Result, name: str | None, found: Sequence[Finding]) -> tuple[str, ...]:
    """What the owner alone reads: which columns and parts fail, and who is most exposed."""
    parts = [f"{f.measure}: {f.slice}" for f in found if f.status is Status.FAIL and f.slice not in (None, RARE_HITS)]
    notes = [f"Fails by itself: {'; '.join(parts[:8])}."] if parts else []
    exposed = next((f.evidence.get("most_exposed") for f in found if f.measure == "membership_inference"), None)
    rows = [str(e.get("train_row")) for e in exposed if isinstance(e, dict)] if isinstance(exposed, list) else []
    failing = any(f.status is Status.FAIL for f in found)
    notes += [f"Most exposed training rows, counted from 0: {', '.join(rows[:8])}."] if rows and failing else []
    asked = [r for r in result.decision.rules if r.rule == "D9" and r.candidate in (name, None) and r.waived]
    return (*notes, *(f"A waiver counts for nothing here: {r.waived}." for r in asked))


def _verify(audience: Audience) -> tuple[str, ...]:
    told = (
        "The fingerprint is a hash of columns and rows: sterling compare prints that of your copy under Inputs.",
        "This page is not signed. A signed certificate on the same set is made by sterling judge-here "
        "and checked by sterling verify.",
    )
    return told if audience == "recipient" else (*told, "Hand out the other form: sterling passport --for recipient.")
