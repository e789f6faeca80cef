"""When events happen: the gap over the hours of the day, the days of the week, the months, or periods."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sterling.kernel.estimate import Estimate, Unmeasured
from sterling.kernel.finding import Finding, Json, Status
from sterling.kernel.protocols import Terms, measure
from sterling.kernel.schema import Kind, Role
from sterling.kernel.view import Need, View
from sterling.stats.bounds import status_of
from sterling.stats.sequences import MOST_ENTITIES, cells_by, distance, histograms, sequences_of, too_few

if TYPE_CHECKING:
    from sterling.kernel.view import Floats, Ints

BOUND = 0.05
PERIODS = 12
LEAST_EVENTS = 30


@measure(Need.ENTITIES, Need.TIME, Need.COLUMNS, title="Gap in when events happen", better="lower", weight=0.5)
def seasonality_gap(
    real: View, synthetic: View, *, holdout: View | None, rng: np.random.Generator, terms: Terms
) -> tuple[Finding, ...]:
    """What share of events lies in other hours, weekdays, months or periods than real ones.

    Args:
        real: train rows that know whose they are, and when.
        synthetic: the rows to be judged, likewise.
        holdout: not used.
        rng: draws entities.
        terms: `bound` is the largest tolerable share, default .05.

    Returns:
        Total variation distance of the worst profile, 0 (same) to 1; smaller is better. Profiles are hour, weekday,
        month and twelfths of the real period for dates, the last alone for numbers such as years; the interval is by
        drawing entities anew, and corrected for having looked at all of them.

    Source: cluster bootstrap, Davison & Hinkley 1997, section 3.8.
    """
    bound = BOUND if terms.bound is None else terms.bound
    params: dict[str, Json] = {"bound": bound, "alpha": terms.alpha}
    few = too_few(real, synthetic)
    if few is not None:
        return (Finding("seasonality_gap", few, "lower", Status.UNMEASURED, reason=few.reason, params=params),)
    sets = [sequences_of(v, most=MOST_ENTITIES[terms.effort], rng=rng) for v in (real, synthetic)]
    dated = [int(np.sum(~np.isnan(s.times))) for s in sets]
    if min(dated) < LEAST_EVENTS:
        none = Unmeasured(
            f"there are {dated[0]:,} real and {dated[1]:,} synthetic events with a time",
            f"give at least {LEAST_EVENTS} of each",
        )
        return (Finding("seasonality_gap", none, "lower", Status.UNMEASURED, reason=none.reason, params=params),)
    profiles = _profiles([s.times for s in sets], dates=real.with_role(Role.TIME)[0].kind is Kind.DATETIME)
    looked = {
        name: distance(
            *(histograms(c, s.entity, entities=s.count, most=most) for c, s in zip(cells, sets, strict=True)),
            ordered=False, rng=rng,
        )
        for name, (cells, most) in profiles.items()
    }  # fmt: skip
    worst = max(looked, key=lambda name: looked[name].value)
    low, high = looked[worst].bounds((1 - terms.level) / len(looked))
    sure = max(d.bounds(terms.alpha / len(looked))[0] for d in looked.values())
    top = max(d.bounds((1 - terms.level) / len(looked))[1] for d in looked.values())
    found = Finding(
        "seasonality_gap",
        Estimate(looked[worst].value, low, high, sum(dated), terms.level, "total variation, entities drawn anew"),
        "lower",
        status_of(sure, top, bound, better="lower"),
        reason=f"{looked[worst].value:.1%} of the events lie in other {worst}s than real ones: the widest of "
        + ", ".join(f"{name} {d.value:.1%}" for name, d in looked.items()),
        params=params,
        evidence={"profiles": {name: d.value for name, d in looked.items()}},
    )
    return (found,)


def _profiles(times: list[Floats], *, dates: bool) -> dict[str, tuple[list[Ints], int]]:
    """Per profile the cells of both sets and how many there are; profiles that real events do not vary in are left."""
    periods, most = cells_by(*times, most=PERIODS)
    found = {"period": (periods, most)}
    if not dates:
        return found
    calendar = [_calendar(t) for t in times]
    for place, (name, count) in enumerate((("hour", 24), ("weekday", 7), ("month", 12))):
        cells = [c[place] for c in calendar]
        if np.unique(cells[0][cells[0] >= 0]).size > 1:
            found[name] = (cells, count)
    return found


def _calendar(times: Floats) -> tuple[Ints, Ints, Ints]:
    """[n] hour, weekday and month (from 0) of seconds since 1970; -1 where there is no time."""
    known = np.isfinite(times) & (np.abs(times) < 1e14)
    seconds = np.where(known, times, 0.0)
    days = np.floor(seconds / 86_400).astype(np.int64)
    months = days.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64) % 12
    parts = ((seconds - days * 86_400) // 3_600, (days + 3) % 7, months)
    hour, weekday, month = (np.where(known, part, -1).astype(np.int64) for part in parts)
    return hour, weekday, month
