"""Credit in the house's envelope: a finding for each value of each setting, the rule CREDIT, a table, a verdict."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sterling.api.compare import inputs_of
from sterling.decide.sentences import interval, joined, number, plural, sentence
from sterling.kernel.estimate import Estimate, Unmeasured
from sterling.kernel.finding import Finding, Json, RuleOutcome, Status, Verdict
from sterling.kernel.table import Table

if TYPE_CHECKING:
    from sterling.api.credit import Credited, Without
    from sterling.api.inputs import Arena
    from sterling.blend.credit import Value
    from sterling.decide.policy import Policy
    from sterling.decide.result import Result

MEASURE, ABLATION = "setting_credit", "setting_ablation"


def concluded(
    arena: Arena, found: Credited, *, policy: Policy, seed: int, out: Path | None, without: Without
) -> Result:
    """Fold credits into a result.

    Args:
        arena: the sets.
        found: what `measure` found.
        policy: named in the result; its alpha is the panel's, credit has its own.
        seed: of the run.
        out: where the credited rows were written.
        without: what they lack.

    Returns:
        FIX where a setting is to be dropped, INSUFFICIENT where nothing could be judged, else SHIP.
    """
    from sterling.decide.result import Result
    from sterling.decide.rules import folded

    findings = _findings(found)
    rules = _rules(found)
    decision = folded(rules, findings, policy.label)
    return Result(
        "credit", decision, findings, inputs_of(arena), seed, policy.label,
        notes=(*_notes(arena, found), *_written(found, out, without)), tables=_tables(found),
    )  # fmt: skip


def _status(value: Value, found: Credited) -> Status:
    if isinstance(value.credit, Unmeasured):
        return Status.UNMEASURED
    if found.drops(value):
        return Status.FAIL
    if value.lags(found.alpha):
        return Status.WARN
    return Status.PASS if value.credit.low > 0 else Status.UNDECIDED


def _findings(found: Credited) -> tuple[Finding, ...]:
    if isinstance(found.found, Unmeasured):
        none = found.found
        return (
            Finding(
                MEASURE, none, "higher", Status.UNMEASURED, slice=", ".join(s.name for s in found.settings),
                candidate=found.name, reason=none.reason,
            ),
        )  # fmt: skip
    each = [_finding(value, found) for value in found.found.values]
    if found.claim is not None and found.confirmed is not None:
        each.append(_ablation(found, found.claim, found.confirmed))
    return tuple(each)


def _finding(value: Value, found: Credited) -> Finding:
    gained = found.left_out.get(value.title)
    evidence: dict[str, Json] = {"rows": int(value.rows.sum()), "p_value": value.p}
    if gained is not None:
        evidence["gain_without"] = _json(gained.gain)
        evidence["real_rows_of_the_gain"] = _json(gained.real_rows)
    params: dict[str, Json] = {"bound": 0.0, "alpha": found.alpha, "weight": found.weight}
    return Finding(
        MEASURE, value.credit, "higher", _status(value, found), slice=value.title, candidate=found.name,
        reason=_told(value, found), params=params, evidence=evidence,
    )  # fmt: skip


def _json(x: Estimate | Unmeasured) -> Json:
    if isinstance(x, Unmeasured):
        return {"unmeasured": x.reason}
    return {"value": x.value, "low": x.low, "high": x.high, "level": x.level, "method": x.method}


def _told(value: Value, found: Credited) -> str:
    """One value in words."""
    rows = plural(int(value.rows.sum()), "row")
    if isinstance(value.credit, Unmeasured):
        return f"{value.title}: {value.credit.reason}"
    lead = f"{value.title} ({rows}): a row has a credit of {interval(value.credit)}, where a real row has 1"
    if value.harms(found.alpha):
        return f"{lead}; its rows hurt"
    if value.lags(found.alpha):
        return f"{lead}; its rows are worth less than the others (p = {value.p:.3g}, corrected)"
    return lead


def _ablation(found: Credited, claim: Value, seen: Estimate | Unmeasured) -> Finding:
    status = Status.UNMEASURED
    if isinstance(seen, Estimate):
        status = Status.PASS if seen.low > 0 else Status.WARN if seen.high < 0 else Status.UNDECIDED
    reason = f"Training without {claim.title}, judged once on the benchmark: {_gain(seen)}: {_word(seen)}"
    return Finding(
        ABLATION, seen, "higher", status, slice=claim.title, candidate=found.name, reason=reason,
        params={"bound": 0.0, "weight": found.weight},
    )  # fmt: skip


def _word(seen: Estimate | Unmeasured | None) -> str:
    """What the benchmark says to a value that was dropped without it."""
    if not isinstance(seen, Estimate):
        return "not asked"
    return "confirmed" if seen.low > 0 else "contradicted" if seen.high < 0 else "not confirmed"


def _gain(seen: Estimate | Unmeasured | None) -> str:
    if not isinstance(seen, Estimate):
        return "not measured" if seen is None else f"not measured, {seen.reason}"
    return f"the score changes by {interval(seen)}"


def _rules(found: Credited) -> tuple[RuleOutcome, ...]:
    if isinstance(found.found, Unmeasured):
        told = sentence("No setting can be judged", found.found.reason, found.found.mend)
        return (RuleOutcome("CREDIT", "TOO_FEW_ROWS", (), told, Verdict.INSUFFICIENT, candidate=found.name),)
    spoken = [
        RuleOutcome(
            "CREDIT", "DROP_SETTING", (f"{MEASURE}:{v.title}",), _drop(v, found), Verdict.FIX, candidate=found.name
        )
        for v in found.found.values
        if found.drops(v)
    ]
    lagging = [v for v in found.found.values if v.lags(found.alpha) and not found.drops(v)]
    if lagging:
        told = (
            f"{joined([v.title for v in lagging])} {'gives' if len(lagging) == 1 else 'give'} rows worth less than "
            "the others, and leaving them out is not shown to gain: keep them, or make fewer."
        )
        because = tuple(f"{MEASURE}:{v.title}" for v in lagging)
        spoken.append(RuleOutcome("CREDIT", "WORTH_LESS", because, told, candidate=found.name))
    return (*spoken, RuleOutcome("CREDIT", "KEEP", (), _keep(found), candidate=found.name))


def _drop(value: Value, found: Credited) -> str:
    """Why to drop a value, what it costs in real rows, and what the benchmark said."""
    assert isinstance(value.credit, Estimate)  # it is dropped
    parts = [f"Drop {value.title}: a row of it has a credit of {interval(value.credit)}, where a real row has 1"]
    gained = found.left_out.get(value.title)
    if gained is not None and isinstance(gained.gain, Estimate):
        cost = f"Training without its rows changes the score by {interval(gained.gain)} inside the train rows"
        if isinstance(gained.real_rows, Estimate):
            ends = f"({number(gained.real_rows.low)} to {number(gained.real_rows.high)})"
            cost += (
                f": {value.title} costs you {plural(round(gained.real_rows.value), 'real row')} {ends}"
                if gained.gain.low > 0 and gained.real_rows.low > 0
                else f"; what it costs in real rows is not certain {ends}"
            )
        parts.append(cost)
    if found.claim is not None and value.title == found.claim.title:
        seen = {
            "confirmed": "The benchmark confirms it",
            "not confirmed": "The benchmark does not confirm it, nor the contrary",
            "contradicted": "The benchmark contradicts it: look at these rows before you drop them for good",
            "not asked": "The benchmark could not be asked",
        }
        parts.append(f"{seen[_word(found.confirmed)]}: without these rows {_gain(found.confirmed)}")
    return sentence(*parts)


def _keep(found: Credited) -> str:
    """The settings to use next time."""
    assert not isinstance(found.found, Unmeasured)
    gone = {v.title for v in found.found.values if found.drops(v)}
    kept = [
        f"{s.name} = {joined([s.labels[c] for c in range(len(s.labels)) if s.title(c) not in gone], most=8)}"
        for s in found.settings
        if any(s.title(c) not in gone for c in range(len(s.labels)))
    ]
    lead = "Settings to use next time" if gone else "No setting is shown to hurt: use them all again"
    return f"{lead}: {'; '.join(kept)}."


def _tables(found: Credited) -> tuple[Table, ...]:
    if isinstance(found.found, Unmeasured):
        return ()
    total = int(sum(v.rows.sum() for v in found.found.values)) // max(1, len(found.settings))
    rows = tuple(_row(v, found, total) for v in found.found.values)
    note = (
        "credit: of one row, 1 = a real row (exact Shapley values of nearest neighbours). without: change of the score "
        "when these rows are left out, 95 %. worth: these rows in real rows; flat = the score hardly grows with more."
    )
    heads = ("setting", "rows", "share", "credit", "without", "worth", "verdict")
    return (Table("What each setting is worth", heads, rows, note),)


def _row(value: Value, found: Credited, total: int) -> tuple[Json, ...]:
    gained, n = found.left_out.get(value.title), int(value.rows.sum())
    words = {
        Status.FAIL: "drop",
        Status.WARN: "less",
        Status.PASS: "keep",
        Status.UNDECIDED: "open",
        Status.UNMEASURED: "few",
    }
    credit = round(value.credit.value, 2) if isinstance(value.credit, Estimate) else None
    gain = real = ""
    if gained is not None and isinstance(gained.gain, Estimate):
        half = (gained.gain.high - gained.gain.low) / 2
        gain = f"{gained.gain.value:+.3f} ±{half:.3f}"
        real = _worth(gained.real_rows)
    return (value.title, n, f"{n / max(1, total):.0%}", credit, gain, real, words[_status(value, found)])


def _worth(rows: Estimate | Unmeasured) -> str:
    """What rows add to the model in real rows, where that is certain: the other side of what leaving them out gains."""
    if isinstance(rows, Unmeasured):
        return "flat"
    return f"{-rows.value:+,.0f}" if rows.low > 0 or rows.high < 0 else "unclear"


def _notes(arena: Arena, found: Credited) -> tuple[str, ...]:
    real = [s.name for s in found.settings if s.name in arena.real.schema]
    both = f"{joined(real)}: also a column of the real data, so it stays a feature of the model" if real else ""
    weighed = f"in all trainings a synthetic row weighs {number(found.weight)}, a real one 1"
    told = "credit says nothing of rows that repeat real ones: compare looks for copies"
    settings = {s.name for s in found.settings}
    # The settings are meant to be left out of the features: no news.
    others = [
        n for n in arena.notes if not ("left out: " in n and set(n.partition("left out: ")[2].split(", ")) <= settings)
    ]
    return (*([both] if both else []), weighed, told, *others)


def _written(found: Credited, out: Path | None, without: Without) -> tuple[str, ...]:
    from sterling.api.credit import dropped

    if out is None:
        return ()
    gone = dropped(found, without)
    if gone is None:
        return (f"{out} was not written: no row has a credit",)
    return (f"{out}: {plural(int((~gone).sum()), 'row')} with their credit, {gone.sum():,} left out",)
