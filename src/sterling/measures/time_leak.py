"""Whether synthetic rows know what came after the time they claim."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sterling.kernel.estimate import Estimate, Unmeasured
from sterling.kernel.finding import Finding, Json, Status
from sterling.kernel.protocols import Terms, measure
from sterling.kernel.schema import Kind, Role
from sterling.kernel.view import Column, Need, View
from sterling.stats.bounds import status_of
from sterling.stats.lead import Lead, lead
from sterling.stats.rows import columns_at, drawn
from sterling.stats.rules import excess_bounds
from sterling.stats.slices import cut_column

if TYPE_CHECKING:
    from sterling.kernel.view import AnyArray, Floats

# Three rows in a hundred: what 10,000 rows of each can rule out.
BOUND = 0.03
LEAST_ROWS = 30
BINS, LEVELS, LEAST_COUNT = 10, 20, 10
MOST_COLUMNS = 40
MOST_ROWS, MOST_ROWS_FAST = 50_000, 10_000
MOST_SHOWN = 10
# A correlation below which the columns say too little of time to give a leak away.
LITTLE_SKILL = 0.2


@dataclass(frozen=True, slots=True, eq=False)
class _Look:
    """One of the two ways of looking.

    Args:
        value: share of the rows.
        low: lower end at the printed level.
        high: upper end.
        at_least: lower end at this look's part of alpha.
        method: how the interval was made.
        reason: in plain words.
    """

    value: float
    low: float
    high: float
    at_least: float
    method: str
    reason: str


@measure(Need.TIME, Need.COLUMNS, title="Rows that know what came later", better="lower")
def time_leak(
    real: View, synthetic: View, *, holdout: View | None, rng: np.random.Generator, terms: Terms
) -> tuple[Finding, ...]:
    """Share of synthetic rows that carry what nobody could know at the time they claim.

    Two looks, each with half of alpha. *After the end*: rows dated after the last real row, of the
    holdout too. *Later than they say*: the columns of real rows tell something of their time; by that, synthetic rows
    may look later than real rows of the same time, as those of a generator do that learned from the future, or
    whose times were drawn without regard to the rest. The share is the largest excess of synthetic rows over real ones
    that look so late for their time: at least so many rows are affected. Rows of the period which the holdout covers
    are no leak by themselves: the same period may be where they honestly come from. Where no column changes with
    time there is nothing to leak, and `skill` in the evidence says so. The second look needs rows within the time of
    the real ones: rows dated before it may be anything, and where too few others are left nothing passes.

    Args:
        real: train rows, with a column of role time.
        synthetic: the rows to be judged.
        holdout: more real rows, best later ones, which show what came later; or None.
        rng: deals the real rows into halves; draws rows where there are more than 50,000 (10,000 when fast).
        terms: `bound` is the largest tolerable share, default .03.

    Returns:
        First the look that certainly finds more, a share from 0 to 1; smaller is better, and two samples of real rows
        differ by a little too: compare the floor. Then, where rows are dated after the end, a finding on those.

    Source: one-sided Smirnov statistic of residuals, bound of Massart 1990; exchangeability of the latest rows
        for the other look.
    """
    bound = BOUND if terms.bound is None else terms.bound
    params: dict[str, Json] = {"bound": bound, "alpha": terms.alpha, "n_real": real.n, "n_synthetic": synthetic.n}
    clock = next(iter(real.with_role(Role.TIME)), None)
    if min(real.n, synthetic.n) < LEAST_ROWS or clock is None:
        why = "too few rows" if clock is not None or min(real.n, synthetic.n) < LEAST_ROWS else "no column of role time"
        return (_unmeasured(why, real, synthetic, params, declared=clock is not None),)
    known = [real] if holdout is None or not holdout.n else [real, holdout]
    (a, _), (b, places) = _dated(known, clock.name, rng, terms), _dated([synthetic], clock.name, rng, terms)
    params |= {"rows_real": a.n, "rows_synthetic": b.n}
    times = a.column(clock.name).values, b.column(clock.name).values
    if min(a.n, b.n) < LEAST_ROWS or times[0].min() == times[0].max():
        return (_unmeasured("too few rows with a time, or all of one time", real, synthetic, params, declared=True),)
    early = float((times[1] < times[0].min()).mean())
    within = np.flatnonzero((times[1] >= times[0].min()) & (times[1] <= times[0].max()))
    looks = [_after(times, clock, a, terms)]
    found = _lead(a, b.take(within), clock.name, rng) if within.size >= LEAST_ROWS else None
    looks += [_later(found[0], found[1], (within.size / b.n, early), terms)] if found is not None else []
    unlooked = _unlooked(a, within.size, b.n) if found is None else ""
    evidence = _evidence(times, clock, holdout, real, found, places, within)
    known_to_all = not unlooked or not _others(a)
    said = unlooked + (f" {early:.1%} of the synthetic rows are dated before the first real row." if early else "")
    whole = _whole(looks, a.n + b.n, bound, terms, params, evidence, said, complete=known_to_all)
    return (whole, *_after_finding(looks[0], times, clock, places, bound, terms, params))


def _dated(sets: list[View], name: str, rng: np.random.Generator, terms: Terms) -> tuple[View, AnyArray]:
    """The rows that have a finite time, not more than are affordable, and their places."""
    most = MOST_ROWS_FAST if terms.effort == "fast" else MOST_ROWS
    places = np.flatnonzero(np.concatenate([np.isfinite(v.column(name).values) for v in sets]))
    places = places[drawn(places.size, most, rng=rng)]
    return columns_at(sets, places), places


def _others(real: View) -> list[Column]:
    """The columns that may tell something of the time."""
    return [c for c in real.columns or () if c.role not in (Role.TIME, Role.WEIGHT)][:MOST_COLUMNS]


def _unlooked(real: View, within: int, m: int) -> str:
    """Why the columns were not looked at."""
    why = (
        f"only {within:,} of {m:,} rows are dated within the time of the real ones"
        if _others(real)
        else "no other column"
    )
    return f" Whether rows look later than they say could not be told: {why}."


def _lead(real: View, synthetic: View, name: str, rng: np.random.Generator) -> tuple[Lead, list[str]] | None:
    """How late the rows look, and the columns by which that was judged."""
    chosen = _others(real)
    if not chosen:
        return None
    cuts = [cut_column(c, bins=BINS, least=LEAST_COUNT, most=LEVELS) for c in chosen]
    codes = [[cut.assign(side.column(cut.name)) for cut in cuts] for side in (real, synthetic)]
    times = real.column(name).values, synthetic.column(name).values
    found = lead(codes[0], codes[1], [len(c.labels) for c in cuts], times, rng=rng)
    return found, [c.name for c in chosen]


def _after(times: tuple[Floats, Floats], clock: Column, real: View, terms: Terms) -> _Look:
    end = float(times[0].max())
    late, m = int((times[1] > end).sum()), times[1].size
    low, high = (float(x) for x in excess_bounds(late, m, 0, real.n, alpha=(1 - terms.level) / 4))
    at_least = float(excess_bounds(late, m, 0, real.n, alpha=terms.alpha / 2)[0])
    reason = (
        f"{late:,} of {m:,} synthetic rows are dated after the last of {real.n:,} real rows, {_moment(clock, end)}."
    )
    return _Look(late / m, max(0.0, min(low, late / m)), max(high, late / m), max(0.0, at_least), "exact", reason)


def _later(found: Lead, names: list[str], shares: tuple[float, float], terms: Terms) -> _Look:
    inside, early = shares
    slack, most = found.slack(alpha=(1 - terms.level) / 4), found.slack(alpha=terms.alpha / 2)
    value, low, high, at_least = (
        min(1.0, max(0.0, x)) * inside
        for x in (found.share, found.share - slack, found.share + slack, found.share - most)
    )
    worst = int(np.argmax(found.by_column))
    reason = (
        f"{value:.1%} of the synthetic rows, beyond what real rows show, look later than the time they claim; samples "
        f"of this size differ by about {found.no_lead():.1%} anyway. "
        + (
            f"It is {names[worst]} most of all that makes them look late."
            if at_least > 0
            else f"The columns tell the time with a correlation of {found.skill:.2f}"
            + (": where they hardly do, a leak hardly shows." if found.skill < LITTLE_SKILL else ".")
        )
    )
    # Of rows before the first real one nobody can say how late they look: all of them may.
    return _Look(value, low, high + early, at_least, "Smirnov, Massart", reason)


def _whole(
    looks: list[_Look], n: int, bound: float, terms: Terms, params: dict[str, Json], evidence: dict[str, Json],
    said: str, *, complete: bool,
) -> Finding:  # fmt: skip
    worst = max(looks, key=lambda k: (k.at_least, k.value))
    # What was not looked at may be anything.
    high = max(k.high for k in looks) if complete else 1.0
    result = Estimate(worst.value, worst.low, high, n, terms.level, f"{worst.method}, {len(looks)} looks")
    failed = worst.at_least > bound
    status = Status.FAIL if failed else status_of(min(worst.low, bound), high, bound, better="lower")
    shown = " ".join(k.reason for k in (looks if not failed else [worst]))
    shown += said
    ways: list[Json] = [{"share": k.value, "at_least": k.at_least, "by": k.method} for k in looks]
    return Finding(
        "time_leak", result, "lower", status, reason=f"{shown} {bound:g} is tolerated.", params=params,
        evidence={"at_least": worst.at_least, "looks": ways, **evidence},
    )  # fmt: skip


def _after_finding(
    look: _Look, times: tuple[Floats, Floats], clock: Column, places: AnyArray, bound: float, terms: Terms,
    params: dict[str, Json],
) -> tuple[Finding, ...]:  # fmt: skip
    if look.at_least <= 0:
        return ()
    end = float(times[0].max())
    result = Estimate(look.value, look.low, look.high, sum(t.size for t in times), terms.level, "exact, 2 looks")
    latest = np.argsort(-times[1], kind="stable")[: min(MOST_SHOWN, int((times[1] > end).sum()))]
    rows: list[Json] = [{"row": int(places[i]), "time": _moment(clock, float(times[1][i]))} for i in latest]
    return (
        Finding(
            "time_leak", result, "lower", Status.FAIL if look.at_least > bound else Status.WARN,
            slice=f"{clock.name}=after {_moment(clock, end)}", reason=look.reason, params=params,
            evidence={"latest": rows},
        ),
    )  # fmt: skip


def _evidence(
    times: tuple[Floats, Floats],
    clock: Column,
    holdout: View | None,
    real: View,
    found: tuple[Lead, list[str]] | None,
    places: AnyArray,
    within: AnyArray,
) -> dict[str, Json]:
    evidence: dict[str, Json] = {
        "first": _moment(clock, float(times[0].min())),
        "last": _moment(clock, float(times[0].max())),
        "before_first": int((times[1] < times[0].min()).sum()),
    }
    own = real.column(clock.name).values
    if holdout is not None and np.isfinite(own).any():
        evidence["after_last_train_row"] = int((times[1] > own[np.isfinite(own)].max()).sum())
    if found is not None:
        look, names = found
        order = np.argsort(-look.by_column, kind="stable")[:MOST_SHOWN]
        evidence["skill"] = round(look.skill, 4)
        evidence["by_column"] = [{"column": names[i], "later_by": round(float(look.by_column[i]), 5)} for i in order]
        latest = np.argsort(-look.lateness, kind="stable")[:MOST_SHOWN]
        evidence["look_latest"] = [int(places[within[i]]) for i in latest]
    return evidence


def _moment(clock: Column, x: float) -> str:
    if clock.kind is Kind.DATETIME:
        try:
            return datetime.datetime.fromtimestamp(x, datetime.UTC).isoformat(sep=" ", timespec="minutes")[:16]
        except (OverflowError, ValueError, OSError):  # beyond the years 1 to 9999
            return f"{x:.4g} s"
    return f"{x:.6g}"


def _unmeasured(why: str, real: View, synthetic: View, params: dict[str, Json], *, declared: bool) -> Finding:
    few = Unmeasured(
        f"{why}: {real.n:,} real and {synthetic.n:,} synthetic rows",
        mend=f"give at least {LEAST_ROWS} rows of each with a time, and declare it: a column of role time",
    )
    enough = min(real.n, synthetic.n) >= LEAST_ROWS
    status = Status.NOT_APPLICABLE if enough and not declared else Status.UNMEASURED
    return Finding("time_leak", few, "lower", status, reason=few.reason, params=params)
