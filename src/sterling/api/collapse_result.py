"""A loop's tables, picture and notes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sterling.kernel.finding import Json
from sterling.kernel.table import Table
from sterling.loops.alarms import alarms
from sterling.loops.findings import Limits, needs
from sterling.loops.forecast import Forecast, retention
from sterling.loops.reading import VITALS

if TYPE_CHECKING:
    from sterling.decide.policy import Policy
    from sterling.loops.collapse import Course, Trace

# Generations that a table of 80 columns has room for.
MOST_COLUMNS = 5
MOST_SLICES = 40


def limits_of(policy: Policy) -> Limits:
    """What a policy asks of a loop, as the loop's room has it."""
    loops = policy.loops
    return Limits(loops.keep, loops.fresh_rows, loops.least_rows, policy.alpha, policy.bounds)


def tables_of(traces: Sequence[Trace], told: Sequence[Forecast], limits: Limits) -> tuple[Table, ...]:
    """Signs by generation, forecasts beside what came, needs, slices."""
    run = [t for t in traces if t.steps]
    if not run:
        return ()
    found = [_signs(run, limits), _forecasts(told), _needs(run, limits), _slices(run)]
    return tuple(table for table in found if table is not None and table.rows)


def _signs(traces: Sequence[Trace], limits: Limits) -> Table:
    most = max(len(t.steps) for t in traces)
    shown = _spread(most)
    rows: list[tuple[Json, ...]] = []
    warned = {t.mode: {a.vital: a.generation for a in alarms(t, alpha=limits.alpha)} for t in traces}
    loud = {vital for found in warned.values() for vital in found}
    for vital, about in sorted(VITALS.items(), key=lambda v: v[0] not in loud):
        for trace in traces:
            readings = [s.seen.of(vital) for s in trace.steps]
            if not any(readings):
                continue
            at = warned[trace.mode]
            values: list[Json] = [
                None if g > len(readings) or (r := readings[g - 1]) is None else round(r.value, 3) for g in shown
            ]
            alarm: Json = str(at[vital]) if vital in at else "" if about.warns else "(confirms)"
            rows.append((about.title, trace.mode, *values, alarm))
    note = (
        "The last column (a square in the picture) is the first generation from which on the sign warns to the end; "
        f"in one mode all signs and generations together give a false alarm in at most {limits.alpha:.0%} of runs."
    )
    return Table("Signs by generation", ("sign", "mode", *map(str, shown), "warns from"), tuple(rows), note)


def _spread(most: int) -> list[int]:
    if most <= MOST_COLUMNS:
        return list(range(1, most + 1))
    return sorted({1, 2, *(round(most * share) for share in (0.4, 0.7, 1.0))})


def _forecasts(told: Sequence[Forecast]) -> Table | None:
    if not told:
        return None
    rows: list[tuple[Json, ...]] = []
    for f in told:
        came: Json = None if f.observed is None else round(f.observed[0], 3)
        held = "" if f.held is None else "yes" if f.held else "no"
        bracket, sure = (f"{low:.2f}-{high:.2f}" for low, high in ((f.low, f.high), f.sure))
        rows.append((f.what, f.mode, round(f.rhos[0], 3), round(f.rhos[1], 3), bracket, sure, came, held))
    asked = [f for f in told if f.held is not None]
    held = sum(f.held is True for f in asked)
    note = (
        "Share of the real value that is left. The bracket runs from rho1 rho2^(T-1) to rho1^T (for accumulate and "
        "inject, the same rates through their own recursion), with luck from the ends of both generations' intervals; "
        "the bracket held where the interval of what came meets it"
    )
    note += f": {held} of {len(asked)}." if asked else "."
    title = f"Foretold from two generations for generation {told[0].until}"
    return Table(title, ("what", "mode", "rho1", "rho2", "bracket", "with luck", "came", "held"), tuple(rows), note)


def _needs(traces: Sequence[Trace], limits: Limits) -> Table | None:
    # How much each generation keeps shows best where nothing real is added.
    trace = next((t for t in traces if t.mode == "replace"), traces[0])
    found = needs(trace, limits)[:MOST_SLICES]
    if not found:
        return None
    rows: list[tuple[Json, ...]] = [
        (n.slice, n.real, round(n.rho, 3), n.known, "none" if n.lam is None else f"{n.lam:.0%}", n.rows) for n in found
    ]
    note = (
        f"From the {trace.mode} loop: rho is what the generator keeps of what it is fitted on, the slice's own where "
        "it is certain, else that of rare slices together, else 1 (luck explains the loss). With a share "
        f"r (1 - rho) / (rho (1 - r)) real, the output keeps r = {limits.keep:.0%}; where rho is below r, none does: "
        f"mend the generator. Never fewer than {limits.fresh_rows:g} rows, for luck alone halves a slice that gets "
        f"half as many in one generation of ten; below {limits.least_rows:g} it dies out."
    )
    columns = ("slice", "real rows", "rho", "from", "share", "fresh rows each")
    return Table("Fresh real rows per generation", columns, tuple(rows), note, owner_only=True)


def _slices(traces: Sequence[Trace]) -> Table | None:
    first = traces[0].steps[-1].seen
    if not first.slices:
        return None
    by_mode = [{s.name: (s, t.steps[-1].seen) for s in t.steps[-1].seen.slices} for t in traces]
    rows: list[tuple[Json, ...]] = []
    for one in first.slices:
        kept = [round(retention(*pair[one.name], alpha=0.025)[0], 2) if one.name in pair else None for pair in by_mode]
        rows.append((one.name, one.real, *kept))
    rows.sort(key=lambda row: min((v for v in row[2:] if isinstance(v, float)), default=1.0))
    note = f"Share of the real mass in generation {traces[0].steps[-1].generation}; the worst first."
    columns = ("slice", "real rows", *(t.mode for t in traces))
    return Table("What each slice kept", columns, tuple(rows[:MOST_SLICES]), note, owner_only=True)


def picture_of(traces: Sequence[Trace], limits: Limits) -> dict[str, Json]:
    """Every sign by generation and mode, as report/generations.py draws it."""
    signs: list[Json] = []
    for vital, about in VITALS.items():
        lines: list[Json] = []
        floor = 0.0
        for trace in traces:
            readings = [s.seen.of(vital) for s in trace.steps]
            known = [r for r in readings if r is not None]
            if known:
                floor = known[0].floor
                at = {a.vital: a.generation for a in alarms(trace, alpha=limits.alpha)}
                values: list[Json] = [None if r is None else r.value for r in readings]
                lines.append({"mode": trace.mode, "values": values, "alarm": at.get(vital)})
        if lines:
            signs.append({"vital": vital, "title": about.title, "floor": floor, "lines": lines})
    return {"kind": "generations", "signs": signs}


def notes_of(course: Course, traces: Sequence[Trace]) -> tuple[str, ...]:
    """What a reader must know beside the numbers."""
    notes = list(course.start.notes)
    for trace in traces:
        fresh, again = (sum(getattr(s, key) for s in trace.steps) for key in ("fresh", "replayed"))
        if trace.mode == "inject" and trace.steps:
            held = 0 if course.reserve is None else course.reserve.rows
            notes.append(
                f"inject used {fresh:,} fresh real rows of a reserve of {held:,}; protected slices: "
                "the declared ones, or the rarest levels where none was declared"
            )
        spent = next((s for s in trace.steps if s.short), None)
        if spent is not None:
            notes.append(
                f"the reserve was spent for {', '.join(spent.short[:4])} in generation {spent.generation}; from then "
                f"on {again:,} rows were replayed: they tell nothing new, and fresh rows would do better"
            )
        if trace.failure is not None:
            notes.append(f"{trace.mode} ended after generation {len(trace.steps)}: {trace.failure}")
    silent = traces[0].steps[-1].seen.silent if traces[0].steps else {}
    reasons: dict[str, list[str]] = {}
    for vital, reason in silent.items():
        reasons.setdefault(reason, []).append(VITALS[vital].title)
    notes += [f"not read: {', '.join(titles)}: {reason}" for reason, titles in reasons.items()]
    return tuple(dict.fromkeys(notes))
