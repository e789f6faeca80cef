"""The map in the house's envelope: findings, the rule REACH, tables of groups and examples, a picture."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from sterling.api.compare import inputs_of
from sterling.decide.sentences import joined, number, plural, sentence
from sterling.kernel.estimate import Estimate, Unmeasured
from sterling.kernel.finding import Finding, Json, RuleOutcome, Status, Verdict
from sterling.kernel.schema import Role
from sterling.kernel.table import Table

if TYPE_CHECKING:
    from sterling.api.inputs import Arena
    from sterling.api.reach import Mapped, Rank
    from sterling.blend.reach import Advice, Group, Reach
    from sterling.decide.policy import Policy
    from sterling.decide.result import Result

MEASURE = "out_of_reach"
OUTCOMES: dict[Advice, str] = {
    "collect, don't simulate": "COLLECT_REAL",
    "raise its weight": "RAISE_WEIGHT",
    "sample more": "SAMPLE_MORE",
}
SHORT: dict[Advice, str] = {
    "collect, don't simulate": "collect",
    "raise its weight": "weigh up",
    "sample more": "sample more",
}
LEAD: dict[Advice, str] = {
    "collect, don't simulate": "Collect, don't simulate",
    "raise its weight": "Raise its weight",
    "sample more": "Sample more",
}
MOST_COLUMNS = 5
MOST_NAMED = 3


def concluded(
    arena: Arena, maps: Sequence[Mapped], *, policy: Policy, seed: int, real_row: float | None, rank: Rank, alpha: float
) -> Result:
    """Fold the maps into a result.

    Args:
        arena: the sets.
        maps: one per candidate.
        policy: says how many rows of a group are enough.
        seed: of the run.
        real_row: what one costs; None where not known.
        rank: groups by rows out of reach, or by loss.
        alpha: of each map.

    Returns:
        FIX where a group is out of reach, INSUFFICIENT where no map could be drawn, else SHIP.
    """
    from sterling.decide.result import Result
    from sterling.decide.rules import folded

    ranked = [(m, _ranked(m, rank)) for m in maps]
    findings = tuple(f for m, groups in ranked for f in _findings(m, groups, alpha=alpha))
    few = policy.rare.few
    rules = tuple(r for m, groups in ranked for r in _rules(m, groups, few=few, real_row=real_row))
    decision = folded(rules, findings, policy.label)
    tables = [t for m, groups in ranked for t in _tables(arena, m, groups, few=few, real_row=real_row, of=len(maps))]
    return Result(
        "reach", decision, findings, inputs_of(arena), seed, policy.label,
        notes=(*_notes(arena, maps, real_row), *arena.notes), tables=tuple(tables), picture=_picture(ranked),
    )  # fmt: skip


def _ranked(mapped: Mapped, rank: Rank) -> tuple[Group, ...]:
    """Groups that are surely out of reach; one that stands out by its density alone is within reach."""
    if isinstance(mapped.found, Unmeasured):
        return ()
    groups = tuple(g for g in mapped.found.groups if g.share.low > mapped.found.floor.value)
    if rank == "rows":
        return groups

    def cost(group: Group) -> float:
        loss = mapped.losses.get(group.title)
        return loss.value * group.of_real if isinstance(loss, Estimate) else -math.inf

    return tuple(sorted(groups, key=cost, reverse=True))


def _findings(mapped: Mapped, groups: Sequence[Group], *, alpha: float) -> list[Finding]:
    found, params = mapped.found, dict[str, Json](alpha=alpha)
    if isinstance(found, Unmeasured):
        none = found.reason
        return [Finding(MEASURE, found, "lower", Status.UNMEASURED, candidate=mapped.name, reason=none, params=params)]
    shown = found.p <= alpha
    said = (
        f"{found.whole.value:.1%} of {found.records:,} real records are out of reach: their five nearest rows are all "
        f"real, of {found.rows:,} real and as many synthetic ones; other real rows leave {found.floor.value:.1%}"
    )
    status = Status.FAIL if groups else Status.WARN if shown else Status.PASS
    whole = Finding(
        MEASURE, found.whole, "lower", status, candidate=mapped.name, floor=found.floor, reason=said,
        params={**params, "rows": found.rows}, evidence={"p_value": found.p, "groups": len(groups)},
    )  # fmt: skip
    return [whole, *(_finding(mapped, found, g, params) for g in groups)]


def _finding(mapped: Mapped, found: Reach, group: Group, params: dict[str, Json]) -> Finding:
    evidence: dict[str, Json] = {
        "p_value": group.p, "of_real": group.of_real, "held": group.held, "synthetic": group.made,
        "density": group.density, "further": group.further, "advice": group.advice, "with_more": group.with_more,
    }  # fmt: skip
    loss = mapped.losses.get(group.title)
    if isinstance(loss, Estimate):
        evidence["excess_loss"] = {"value": loss.value, "low": loss.low, "high": loss.high}
    return Finding(
        MEASURE, group.share, "lower", Status.FAIL, slice=group.title, candidate=mapped.name, floor=found.floor,
        reason=sentence(_lead(group, found), _detail(group)), params=params, evidence=evidence,
    )  # fmt: skip


def _lead(group: Group, found: Reach) -> str:
    return (
        f"{group.title}: {group.share.value:.0%} out of reach [{group.share.low:.0%}, {group.share.high:.0%}], where "
        f"{found.floor.value:.0%} would mean nothing"
    )


def _detail(group: Group) -> str:
    far = f"; the nearest is {number(group.further)} times as far as the nearest real one"
    return (
        f"It holds {group.of_real:.1%} of the real records; synthetic rows lie {number(group.density)} times as dense "
        f"around them as real ones{'' if math.isinf(group.further) else far}; {group.because}"
    )


def _rules(mapped: Mapped, groups: Sequence[Group], *, few: int, real_row: float | None) -> list[RuleOutcome]:
    found = mapped.found
    if isinstance(found, Unmeasured):
        told = sentence("No map can be drawn", found.reason, found.mend)
        return [RuleOutcome("REACH", "TOO_FEW_ROWS", (), told, Verdict.INSUFFICIENT, candidate=mapped.name)]
    spoken = [
        RuleOutcome(
            "REACH", OUTCOMES[g.advice], (f"{MEASURE}:{g.title}",),
            sentence(f"{LEAD[g.advice]}: {_lead(g, found)}", _detail(g), _price(g, few=few, real_row=real_row)),
            Verdict.FIX, candidate=mapped.name,
        )
        for g in groups[:MOST_NAMED]
    ]  # fmt: skip
    if len(groups) > MOST_NAMED:
        told = f"{plural(len(groups) - MOST_NAMED, 'more group')} stand out; the table says what to do with each."
        spoken.append(RuleOutcome("REACH", "MORE", (), told, candidate=mapped.name))
    thin = [g.title for g in found.groups if g not in groups]
    if thin:
        told = f"Thinner than in the real data, yet within reach: {joined(thin)}. More rows there would do no harm."
        spoken.append(RuleOutcome("REACH", "THINNER", (), told, candidate=mapped.name))
    if not groups and found.whole.value > found.floor.high:
        told = (
            f"{found.whole.value:.1%} of the real records are out of reach where other real rows leave "
            f"{found.floor.value:.1%}, and no group that a sentence can name stands out."
        )
        spoken.append(RuleOutcome("REACH", "SCATTERED", (MEASURE,), told, candidate=mapped.name))
    elif not groups and found.whole.high < found.floor.value:
        told = (
            f"Synthetic rows come nearer to the real records than other real rows do ({found.whole.value:.1%} out of "
            f"reach, where {found.floor.value:.1%} is natural): they may be copies. `sterling compare` counts them."
        )
        spoken.append(RuleOutcome("REACH", "TOO_NEAR", (MEASURE,), told, candidate=mapped.name))
    elif not groups:
        told = "Synthetic rows come as near to the real records as other real rows do; no group is out of reach."
        spoken.append(RuleOutcome("REACH", "REACHED", (MEASURE,), told, candidate=mapped.name))
    return spoken


def collect(group: Group, few: int) -> int:
    """Real rows to collect at random so that the group has `few` of them; 0 where it has."""
    return math.ceil(max(0, few - group.held) / max(group.of_real, 1e-9))


def _price(group: Group, *, few: int, real_row: float | None) -> str | None:
    if group.advice != "collect, don't simulate":
        return None
    rows = collect(group, few)
    if rows == 0:
        return f"You hold {plural(group.held, 'real row')} of it: use those as they are"
    cost = "" if real_row is None else f", {number(rows * real_row)} in money"
    return (
        f"You hold {plural(group.held, 'real row')} of it; to hold {few}, collect {few - group.held} more of this "
        f"group, or about {rows:,} real rows at random{cost}"
    )


def _tables(
    arena: Arena, mapped: Mapped, groups: Sequence[Group], *, few: int, real_row: float | None, of: int
) -> list[Table]:
    if not groups:
        return []
    who = f": {mapped.name}" if of > 1 else ""
    heads = ["group", "of real", "out", "dense", "held", "do", "collect"]
    heads += ["cost"] if real_row is not None else []
    heads += ["loss"] if mapped.losses else []
    note = (
        "of real: share of the real records. out: share of them out of reach. dense: synthetic rows around them for "
        "each real one. held: real rows of the group. collect: real rows at random until "
        f"{few} are held."
    )
    note += " loss: what a model trained on synthetic rows loses more there." if mapped.losses else ""
    rows = tuple(_row(mapped, g, few=few, real_row=real_row) for g in groups)
    return [
        Table(f"What cannot be synthesised (yet){who}", tuple(heads), rows, note),
        _examples(arena, groups, who),
    ]


def _row(mapped: Mapped, group: Group, *, few: int, real_row: float | None) -> tuple[Json, ...]:
    wanted = collect(group, few) if group.advice == "collect, don't simulate" else None
    row: list[Json] = [
        group.title.replace("&", " & "), f"{group.of_real:.1%}", f"{group.share.value:.0%}", round(group.density, 2),
        group.held, SHORT[group.advice], wanted,
    ]  # fmt: skip
    if real_row is not None:
        row.append(None if wanted is None else wanted * real_row)
    if mapped.losses:
        loss = mapped.losses.get(group.title)
        row.append(round(loss.value, 3) if isinstance(loss, Estimate) else None)
    return tuple(row)


def _examples(arena: Arena, groups: Sequence[Group], who: str) -> Table:
    """The asked records that lie furthest from any synthetic row; never for a recipient."""
    table = arena.benchmark.table()
    asked = [c.column for g in groups for c in g.records.conditions]
    others = [f.name for f in arena.real.schema if f.role not in (Role.KEY, Role.ENTITY)]
    names = [n for n in dict.fromkeys([*asked, *others]) if n in table.column_names][:MOST_COLUMNS]
    rows = tuple(
        (place, *(_cell(table.column(n)[i].as_py()) for n in names))
        for place, g in enumerate(groups, 1)
        for i in g.examples[:2]
    )
    note = "no.: the group's place in the table above. Real records: for the owner of the data alone."
    return Table(f"Real records out of reach{who}", ("no.", *names), rows, note, owner_only=True)


def _cell(value: object) -> Json:
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)


def _notes(arena: Arena, maps: Sequence[Mapped], real_row: float | None) -> tuple[str, ...]:
    asked = (
        f"asked: {arena.benchmark.rows:,} real records, a part of the train rows; the benchmark stays sealed. A "
        "generator that saw them and repeats them reaches them: compare looks for copies"
    )
    notes = [asked]
    notes += [f"{m.name}: no losses, {m.loss_failed}" for m in maps if m.loss_failed is not None]
    collecting = any(
        g.advice == "collect, don't simulate"
        for m in maps
        if not isinstance(m.found, Unmeasured)
        for g in m.found.groups
    )
    if collecting and real_row is None:
        notes.append("what a real row costs was not said: --real-row 2.50 prices what is to be collected")
    if any(not m.sampled and not isinstance(m.found, Unmeasured) and m.found.groups for m in maps):
        notes.append("a file shows how near its generator came, not how near it can come: name ours with --generator")
    return tuple(notes)


def _picture(ranked: Sequence[tuple[Mapped, Sequence[Group]]]) -> dict[str, Json] | None:
    rows: list[Json] = [
        {
            "label": g.title, "set": m.name, "value": g.share.value, "low": g.share.low, "high": g.share.high,
            "of_real": g.of_real, "advice": SHORT[g.advice],
        }
        for m, groups in ranked
        for g in groups
    ]  # fmt: skip
    floors = [m.found.floor.value for m, _ in ranked if not isinstance(m.found, Unmeasured)]
    return {"kind": "reach", "rows": rows, "floor": max(floors), "sets": len(ranked)} if rows and floors else None
