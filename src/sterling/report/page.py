"""From a result to a page: everything the template prints is made here, as text that Jinja escapes."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from sterling.kernel import registry
from sterling.kernel.errors import UnknownName
from sterling.kernel.estimate import Estimate, Unmeasured
from sterling.kernel.finding import Finding, Json, RuleOutcome, Status, Verdict
from sterling.kernel.protocols import mark_of
from sterling.kernel.table import Table
from sterling.report.chart import learning_curve
from sterling.report.curve import Curve, Placed, parse_curve
from sterling.report.figures import count, number, rows_text, span
from sterling.report.forest import forest
from sterling.report.pictures import Drawing, draw
from sterling.report.recipient import SMALL, recipients
from sterling.report.templates import FOLDER, templates

if TYPE_CHECKING:
    from sterling.decide.result import InputRecord, Result

Audience = Literal["owner", "recipient"]
# One word each for people who will not look the code up.
MEANING = {
    Verdict.SHIP: "good to use",
    Verdict.FIX: "mend it first",
    Verdict.INSUFFICIENT: "too little to say",
    Verdict.PROTOTYPE_ONLY: "for a prototype only",
    Verdict.REAL_REQUIRED: "not without real rows",
    Verdict.BLOCK: "do not use",
}
TONE = {
    Verdict.SHIP: "go",
    Verdict.FIX: "mend",
    Verdict.INSUFFICIENT: "open",
    Verdict.PROTOTYPE_ONLY: "open",
    Verdict.REAL_REQUIRED: "stop",
    Verdict.BLOCK: "stop",
}
# Outcomes that speak for a set.
GOOD = frozenset(
    {"SUBSTITUTE_OK", "MIX", "SYNTHETIC_PAYS", "TOLERATE", "ENOUGH", "BUY_SYNTHETIC", "TEACHER_BETTER", "CONTINUE",
     "USE_ORDER", "REACHED", "KEEP", "REVIEWED", "TARGETED_SYN", "SHARE", "SAME_CONCLUSIONS"}
)  # fmt: skip
ORDER = (Status.FAIL, Status.WARN, Status.UNDECIDED, Status.PASS, Status.UNMEASURED, Status.NOT_APPLICABLE)
MOST_SLICES = 200
# Commands that read an answer, not data, and draw nothing by chance.
NO_SEED = {"cost": "RUN --prices PRICES.toml", "advise": "ANSWERS.toml"}


@dataclass(frozen=True, slots=True)
class CandidateLine:
    """A candidate in the table under the picture."""

    name: str
    rows: str
    worth: str
    between: str
    score: str
    weight: str
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class FindingLine:
    """A finding in a table."""

    title: str
    measure: str
    candidate: str
    slice: str
    value: str
    between: str
    floor: str
    bound: str
    n: str
    status: str
    reason: str
    evidence: str


@dataclass(frozen=True, slots=True)
class RuleLine:
    """A rule that spoke, with the sign that stands before it."""

    rule: RuleOutcome
    words: str
    sign: str
    tone: str
    asks: str


@dataclass(frozen=True, slots=True)
class TableLines:
    """A table beside the findings: its heads, which of them stand over numbers, and its cells as text."""

    title: str
    note: str
    heads: tuple[tuple[str, bool], ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Page:
    """What the template prints."""

    result: Result
    audience: Audience
    created: str
    verdict: Verdict
    meaning: str
    tone: str
    headline: str
    picture: str
    picture_kind: Literal["curve", "gaps", "own", "none"]
    picture_key: str
    candidates: tuple[CandidateLine, ...]
    curve_rows: tuple[tuple[str, str, str], ...]
    unplaced: tuple[str, ...]
    metric: str
    rules: tuple[RuleLine, ...]
    whole: tuple[FindingLine, ...]
    slices: tuple[FindingLine, ...]
    slices_left_out: int
    several: bool
    unmeasured: tuple[tuple[str, str, str], ...]
    mix: tuple[tuple[str, str], ...]
    mix_sources: tuple[tuple[str, str, str, str], ...]
    cost: tuple[tuple[str, str], ...]
    tables: tuple[TableLines, ...]
    inputs: tuple[tuple[InputRecord, str], ...]
    command: str


def render(result: Result, *, audience: Audience, created: str, before: str = "") -> str:
    """One self-contained HTML file: no script, no request to anywhere, light and dark, wide and narrow.

    Args:
        result: what was found and decided.
        audience: "recipient" sees no evidence, no real row and no count below 10.
        created: a date or time to print; empty to print none.
        before: a part of a page to begin with, escaped as it was made, such as a privacy passport.

    Returns:
        The whole file. Every name and sentence in it is escaped: column names are strangers' text.
    """
    from markupsafe import Markup

    room = templates()
    page = page_of(recipients(result) if audience == "recipient" else result, audience=audience, created=created)
    style = (FOLDER / "report.css").read_text(encoding="utf-8")
    template = room.get_template("report.jinja")
    # The only texts that Jinja does not escape are our own: the style, and parts that were escaped as they were made.
    return template.render(
        page=page, style=Markup(style), picture=Markup(page.picture), before=Markup(before), tones=TONE
    )


def page_of(result: Result, *, audience: Audience, created: str) -> Page:
    """Everything the template prints, for an audience whose form of the result is already made."""
    curve = parse_curve(result.curve)
    titles = _titles(result.findings)
    whole = [f for f in result.findings if f.slice is None and f.status is not Status.UNMEASURED]
    sliced = sorted((f for f in result.findings if f.slice is not None), key=lambda f: ORDER.index(f.status))
    small = SMALL if audience == "recipient" else None
    drawing = _picture(result, curve)
    return Page(
        result=result,
        audience=audience,
        created=created,
        verdict=result.decision.verdict,
        meaning=MEANING[result.decision.verdict],
        tone=TONE[result.decision.verdict],
        headline=result.summary,
        picture=drawing.svg,
        picture_kind=drawing.kind,
        picture_key=drawing.key,
        candidates=_candidates(result, curve),
        curve_rows=_curve_rows(curve),
        unplaced=() if curve is None else curve.unplaced,
        metric="" if curve is None else curve.metric,
        rules=tuple(_rule_line(rule, _outside(result.mix)) for rule in result.decision.rules),
        whole=tuple(_line(f, titles, small) for f in sorted(whole, key=lambda f: ORDER.index(f.status))),
        slices=tuple(_line(f, titles, small) for f in sliced[:MOST_SLICES]),
        slices_left_out=max(0, len(sliced) - MOST_SLICES),
        several=len({f.candidate for f in result.findings}) > 1,
        unmeasured=_unmeasured(result),
        mix=_mix_facts(result.mix),
        mix_sources=_mix_sources(result.mix, small),
        cost=_flat(result.cost or {}),
        tables=tuple(_table(t) for t in result.tables),
        inputs=tuple((record, count(record.rows, small=small)) for record in result.inputs),
        command=_command(result),
    )


def _titles(findings: Sequence[Finding]) -> dict[str, str]:
    """Plain words per measure: what the measure says of itself, else its name."""
    known = {"real_equivalent_rows": "Worth in real rows", "mix_gain": "Gain of the mix"}
    for name in dict.fromkeys(f.measure for f in findings):
        try:
            known.setdefault(name, mark_of(registry.resolve("measures", name)).title)
        except (UnknownName, AttributeError):
            known.setdefault(name, name.replace("_", " ").capitalize())
    return known


def _picture(result: Result, curve: Curve | None) -> Drawing:
    if curve is not None:
        return Drawing(learning_curve(curve, _refused(result.decision.rules)), "curve")
    if result.picture is not None and (own := draw(result.picture)) is not None:
        return own
    # Short names: there is no room for sentences beside a picture, and the table below says them.
    short = {f.measure: f.measure.replace("_", " ").capitalize() for f in result.findings}
    drawn = forest([f for f in result.findings if f.slice is None or f.status is Status.FAIL], short)
    return Drawing(drawn, "gaps" if drawn else "none")


def _refused(rules: Sequence[RuleOutcome]) -> dict[str, str]:
    """Candidates that a rule speaks against, with its outcome in words."""
    found: dict[str, str] = {}
    for rule in rules:
        if rule.candidate is not None and rule.verdict is not None and rule.waived is None:
            found.setdefault(rule.candidate, rule.outcome.replace("_", " ").lower())
    return found


def _candidates(result: Result, curve: Curve | None) -> tuple[CandidateLine, ...]:
    placed = {c.name: c for c in curve.candidates} if curve else {}
    rows = {record.name: record.rows for record in result.inputs if record.origin != "real"}
    weights = {str(s.get("name")): s.get("weight") for s in _sources(result.mix) if s.get("origin") != "real"}
    named = dict.fromkeys([*placed, *rows, *(f.candidate for f in result.findings if f.candidate is not None)])
    return tuple(_candidate(name, placed.get(name), curve, rows.get(name), weights, result) for name in named)


def _candidate(
    name: str,
    placed: Placed | None,
    curve: Curve | None,
    rows: int | None,
    weights: Mapping[str, Json],
    result: Result,
) -> CandidateLine:
    worth = between = score = "not measured"
    if placed is not None and curve is not None:
        worth = rows_text(placed.worth, placed.low, placed.high, smallest=curve.smallest, largest=curve.largest)
        between, score = span(placed.low, placed.high), number(placed.score)
    weight = weights.get(name)
    asked = [r.verdict for r in result.decision.rules if r.candidate in (name, None) and r.verdict and not r.waived]
    return CandidateLine(
        name=name,
        rows=f"{rows:,}" if rows is not None else "",
        worth=worth,
        between=between if placed else "",
        score=score if placed else "",
        weight=number(float(weight)) if isinstance(weight, (int, float)) else "",
        verdict=min(asked, key=list(Verdict).index, default=Verdict.SHIP),
    )


def _rule_line(rule: RuleOutcome, outside: Sequence[str]) -> RuleLine:
    words = rule.outcome.replace("_", " ").capitalize().replace(" ok", " OK")
    if rule.verdict is not None and rule.waived is None:
        asks = "not in the mix" if rule.candidate in outside else f"asks for {rule.verdict.value.replace('_', ' ')}"
        return RuleLine(rule, words, f"i-{TONE[rule.verdict]}", TONE[rule.verdict], asks)
    good = rule.outcome in GOOD and rule.waived is None
    return RuleLine(rule, words, "s-pass" if good else "s-not-applicable", "go" if good else "none", "")


def _outside(mix: Mapping[str, Json] | None) -> list[str]:
    """Candidates that an adopted mix leaves out."""
    sources = _sources(mix)
    adopted = any(s.get("origin") != "real" and s.get("weight") for s in sources)
    return [str(s.get("name")) for s in sources if adopted and not s.get("weight")]


def _curve_rows(curve: Curve | None) -> tuple[tuple[str, str, str], ...]:
    points = curve.points if curve else ()
    return tuple((f"{p.n:,.0f}", number(p.score), span(p.low, p.high)) for p in points)


def _line(finding: Finding, titles: Mapping[str, str], small: str | None) -> FindingLine:
    result, bound = finding.result, finding.params.get("bound")
    measured = isinstance(result, Estimate)
    known = isinstance(bound, (int, float)) and not isinstance(bound, bool)
    return FindingLine(
        title=titles[finding.measure],
        measure=finding.measure,
        candidate=finding.candidate or "",
        slice=finding.slice or "",
        value=number(result.value) if measured else "",
        between=span(result.low, result.high) if measured else "",
        floor=number(finding.floor.value) if finding.floor else "",
        bound=number(float(bound)) if known and isinstance(bound, (int, float)) else "",
        n=count(result.n, small=small) if measured else "",
        status=finding.status.value.replace("_", " "),
        reason=_reason(finding),
        evidence=json.dumps(finding.evidence, indent=1, ensure_ascii=False)[:4000] if finding.evidence else "",
    )


def _reason(finding: Finding) -> str:
    """What the finding says, and for an open one how many times the rows would decide."""
    said = finding.reason or (finding.result.reason if isinstance(finding.result, Unmeasured) else "")
    times = finding.evidence.get("times_the_rows_would_decide")
    if finding.status is not Status.UNDECIDED or not isinstance(times, (int, float)):
        return said
    return (
        f"{said} About {times:,.0f} times the rows would decide."
        if times >= 1.5
        else f"{said} A few more rows would decide."
    )


def _table(table: Table) -> TableLines:
    numeric = [all(_is_number(row[j]) or row[j] is None for row in table.rows) for j in range(len(table.columns))]
    return TableLines(
        table.title,
        table.note,
        tuple(zip(table.columns, numeric, strict=True)),
        tuple(tuple("" if v is None else _plain(v) for v in row) for row in table.rows),
    )


def _is_number(value: Json) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _unmeasured(result: Result) -> tuple[tuple[str, str, str], ...]:
    """What nobody could measure: name, why, what would mend it."""
    found = [
        (f"{f.candidate}: {f.name}" if f.candidate else f.name, f.result.reason, f.result.mend)
        for f in result.findings
        if f.status is Status.UNMEASURED and not isinstance(f.result, Estimate)
    ]
    told = {name.rpartition(": ")[2] for name, _, _ in found}
    missing = [name for name in result.decision.unmeasured if name.rpartition(": ")[2] not in told]
    return (*found, *((name, "the policy asks for it, and it was not taken", "") for name in missing))


def _sources(mix: Mapping[str, Json] | None) -> list[dict[str, Json]]:
    sources = (mix or {}).get("sources")
    return [s for s in sources if isinstance(s, dict)] if isinstance(sources, list) else []


def _mix_sources(mix: Mapping[str, Json] | None, small: str | None) -> tuple[tuple[str, str, str, str], ...]:
    lines: list[tuple[str, str, str, str]] = []
    for source in _sources(mix):
        rows, weight = source.get("rows"), source.get("weight")
        shown = count(int(rows), small=small) if isinstance(rows, (int, float)) else ""
        share = number(float(weight)) if isinstance(weight, (int, float)) else ""
        lines.append((str(source.get("name", "")), str(source.get("origin", "")), shown, share))
    return tuple(lines)


def _mix_facts(mix: Mapping[str, Json] | None) -> tuple[tuple[str, str], ...]:
    """Everything about the mix that no table holds."""
    if mix is None:
        return ()
    return _flat({key: value for key, value in mix.items() if key not in ("sources", "variants")})


def _flat(facts: Mapping[str, Json]) -> tuple[tuple[str, str], ...]:
    """Any JSON object as label and text; estimates as value and interval."""
    return tuple((key.replace("_", " "), _plain(value)) for key, value in facts.items() if value is not None)


def _plain(value: Json) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (int, float)):
        return f"{value:,}" if isinstance(value, int) else number(value)
    if isinstance(value, dict):
        middle, low, high = (value.get(key) for key in ("value", "low", "high"))
        if isinstance(middle, (int, float)):
            ends = [float(v) if isinstance(v, (int, float)) else None for v in (low, high)]
            return f"{number(float(middle))} {span(*ends)}"
        return ", ".join(f"{k} {_plain(v)}" for k, v in value.items())
    if isinstance(value, list):
        return ", ".join(_plain(v) for v in value)
    return "none" if value is None else value


def _command(result: Result) -> str:
    """How to ask again; names stand for the files they were read from."""
    names = [shlex.quote(record.name) for record in result.inputs]
    policy = shlex.quote(result.policy.partition(" ")[0])
    if result.kind in ("run", "demo"):
        return f"sterling run study.toml    # seed {result.seed}"
    if result.kind in NO_SEED:
        return f"sterling {result.kind} {NO_SEED[result.kind]}"
    if result.kind == "analyses":
        names.append("--plan PLAN.toml")
    return f"sterling {result.kind} {' '.join(names)} --seed {result.seed} --policy {policy}"
