"""What an event can be told by: the clock, the gap since the last one, and what stays the same of its entity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sterling.kernel.view import Bools, Floats, Ints

    Codes = NDArray[np.uint8]
    Ids = NDArray[np.int32]

DAY = 86_400.0
# A gap that occurs so often (a week, 28 days) is made exactly.
SPIKE = 5
# Codes an octave of a length of time, and the largest code: 2**31 ticks.
PER_OCTAVE, MOST_LOG = 8, 250
TREND = 250
# Classes of what is typical of an entity.
LATENT_CLASSES = 12
# A column goes on from its last value where the rest lies so much closer together than its values beside the last
# one, told apart about as finely as a tree tells them that has much else to ask.
BETTER, LEVELS, LEAST_WEIGHT = 1.0, 30, 0.5
# So often as before: a rest of its own. So few changes that are nearly all there are: they are kept as they are.
STAYING, FEW_CHANGES, CHANGES = 0.3, 8, 24
# So few times are waves: none is made that nobody has.
MOST_WAVES = 60
# The three quietest hours are a night where they hold less than this part of an even share.
QUIET = 0.25
# Finer than a year in a trillion parts no clock is kept.
FINEST = 2.0**40


@dataclass(frozen=True, slots=True)
class Clock:
    """How times are counted.

    Args:
        kind: "none" (there is no time), "number" (such as a year), "date", or "moment" (with a time of day).
        origin: time of tick 0, in the column's own unit or seconds since 1970.
        tick: length of a tick, > 0: every time is a whole number of ticks after the origin.
        low: first tick that was seen.
        high: last tick that was seen.
        dawn: seconds after midnight when a day begins: the quietest hour, so that a night out is one day; 0 where
            no hour is quiet.
        waves: where all events fall on a few common times (the years of a survey): these times; a tick is the place
            of one of them.
    """

    kind: Literal["none", "number", "date", "moment"]
    origin: float = 0.0
    tick: float = 1.0
    low: int = 0
    high: int = 0
    dawn: float = 0.0
    waves: tuple[float, ...] = ()

    def days(self, ticks: Ints) -> Ints:
        """[n] the day on which each tick falls, counted from 1970; 0 for clocks without times of day."""
        if self.kind != "moment":
            return np.zeros(ticks.size, dtype=np.int64)
        return np.floor((self.times(ticks) - self.dawn) / DAY).astype(np.int64)

    def since_dawn(self, ticks: Ints) -> Ints:
        """[n] ticks since the day began."""
        begun = self.days(ticks) * DAY + self.dawn
        return np.rint((self.times(ticks) - begun) / self.tick).astype(np.int64)

    def moment_on(self, days: Ints, since: Ints) -> Ints:
        """[n] the tick so long after dawn on these days."""
        return np.rint((days * DAY + self.dawn + since * self.tick - self.origin) / self.tick).astype(np.int64)

    def times(self, ticks: Ints) -> Floats:
        """[n] ticks in the unit of the column."""
        if self.waves:
            return np.array(self.waves)[np.clip(ticks, 0, self.high)]
        return (self.origin + ticks * self.tick).astype(np.float64)

    def passed(self, before: Ints, now: Ints) -> Ints:
        """[n] time between two events, in the smallest units that tell times apart."""
        return np.rint((self.times(now) - self.times(before)) / self.tick).astype(np.int64)


def clock_of(
    times: Floats, *, kind: Literal["number", "datetime"], shared: Literal["yes", "no"] = "no"
) -> tuple[Clock, Ints]:
    """The clock of a column, and [n] ticks of its times; missing times have tick 0.

    Args:
        times: [n] numbers, or seconds since 1970; missing = NaN, infinite counts as missing.
        kind: which of the two.
        shared: whether many entities may have the same few times.
    """
    known = np.isfinite(times)
    if not known.any():
        return Clock("none"), np.zeros(times.size, dtype=np.int64)
    origin = float(times[known].min())
    passed = np.where(known, times - origin, 0.0)
    tick = _tick(passed)
    ticks = np.rint(passed / tick).astype(np.int64)
    found: Literal["number", "date", "moment"] = "number"
    if kind == "datetime":
        days = np.abs(times[known] % DAY) < 1e-6
        found = "date" if days.all() else "moment"
    values, places = np.unique(times[known], return_inverse=True)
    if shared == "yes" and found != "moment" and values.size <= min(MOST_WAVES, known.sum() / SPIKE):
        ticks[known] = places
        return Clock(found, origin, tick, 0, values.size - 1, 0.0, tuple(values.tolist())), ticks
    dawn = _dawn(times[known]) if found == "moment" else 0.0
    return Clock(found, origin, tick, 0, int(ticks.max()), dawn), ticks


def _dawn(seconds: Floats) -> float:
    """The middle of the three quietest hours; 0 where they are not quiet."""
    counts = np.bincount(np.floor(seconds % DAY / 3600).astype(np.int64), minlength=24)[:24]
    around = counts + np.roll(counts, 1) + np.roll(counts, -1)
    quiet = int(np.argmin(around))
    return quiet * 3600.0 if around[quiet] < QUIET * counts.sum() / 8 else 0.0


def _tick(passed: Floats) -> float:
    for scale in (1.0, 1e-3, 1e-6):
        whole = np.rint(passed / scale)
        if np.allclose(whole * scale, passed, rtol=0, atol=scale / 100) and whole.max() < 2**52:
            return float(np.gcd.reduce(whole.astype(np.int64)) or 1) * scale
    return float(passed.max()) / FINEST


def moment_codes(clock: Clock, ticks: Ints) -> Codes:
    """[m, n] codes of where in the calendar each tick lies: trend, then weekday, day, month, hour as the clock has."""
    if clock.kind == "none":
        return np.zeros((0, ticks.size), dtype=np.uint8)
    wide = max(clock.high - clock.low, 1)
    rows = [1 + np.clip((ticks - clock.low) * TREND // wide, 0, TREND)]
    if clock.kind != "number":
        rows += _calendar(clock.times(ticks) - clock.dawn, hours=clock.kind == "moment")
    return np.stack(rows).astype(np.uint8)


def _calendar(seconds: Floats, *, hours: bool) -> list[Ints]:
    days = np.floor(seconds / DAY).astype(np.int64)
    dates = days.astype("datetime64[D]")
    months = dates.astype("datetime64[M]")
    month_day = (dates - months.astype("datetime64[D]")).astype(np.int64)
    rows = [1 + (days + 3) % 7, 1 + month_day, 1 + months.astype(np.int64) % 12]
    return [*rows, 1 + ((seconds - days * DAY) // 3600).astype(np.int64)] if hours else rows


def moment_names(clock: Clock) -> tuple[str, ...]:
    """The rows of `moment_codes`."""
    names = {"none": 0, "number": 1, "date": 4, "moment": 5}[clock.kind]
    return ("trend", "weekday", "day", "month", "hour")[:names]


def log_codes(lengths: Floats | Ints) -> Codes:
    """[n] codes of lengths of time >= 0, eight an octave; 0 stays apart from 1.

    >>> log_codes(np.array([0, 1, 3])).tolist()
    [1, 9, 17]
    """
    codes = np.floor(PER_OCTAVE * np.log2(1.0 + np.maximum(lengths, 0))).astype(np.int64)
    return (1 + np.minimum(codes, MOST_LOG)).astype(np.uint8)


@dataclass(frozen=True, slots=True, eq=False)
class Lengths:
    """The lengths of time (or moments) that occur, in whole units.

    Args:
        values: [k] int64 ascending.
        counts: [k] how often each occurs.
        reach: [k] how far a made one may lie from it: half way to its nearer neighbour, 0 for spikes.
    """

    values: Ints
    counts: Ints
    reach: Floats

    def draw(self, ids: Ids, *, smoothing: float, rng: np.random.Generator) -> Ints:
        """[n] lengths near those of the ids; -1 gives 0."""
        if not self.values.size:
            return np.zeros(ids.size, dtype=np.int64)
        offset = np.where(ids < 0, 0.0, self.reach[ids]) * rng.uniform(-smoothing, smoothing, ids.size)
        return np.where(ids < 0, 0, self.values[ids] + np.trunc(offset).astype(np.int64))


def lengths_of(values: Ints, known: Bools) -> tuple[Lengths, Ids]:
    """The lengths, and [n] int32 which of them each is; -1 where it is not known."""
    distinct, counts = np.unique(values[known], return_counts=True)
    ids = np.where(known, np.searchsorted(distinct, values), -1).astype(np.int32)
    if distinct.size < 2:
        return Lengths(distinct, counts, np.zeros(distinct.size)), ids
    halves = np.diff(distinct) / 2
    nearer = np.minimum(np.append(halves[0], halves), np.append(halves, halves[-1]))
    nearer[[0, -1]] = 0.0  # nothing leaves the observed range
    return Lengths(distinct, counts, np.where(counts < SPIKE, nearer, 0.0)), ids


def typical_number(values: Floats, starts: Ints) -> Ids:
    """[e] int32 class of the mean of each entity's known values, by quantiles of entities; -1 without any."""
    known = ~np.isnan(values)
    entity = np.repeat(np.arange(starts.size - 1), np.diff(starts))
    counts = np.bincount(entity, known, minlength=starts.size - 1)
    finite = np.clip(np.where(known, values, 0.0), -1e150, 1e150)
    means = np.bincount(entity, finite, minlength=starts.size - 1) / np.maximum(counts, 1)
    some = means[counts > 0]
    if not some.size:
        return np.full(counts.size, -1, dtype=np.int32)
    edges = np.unique(np.quantile(some, np.arange(1, LATENT_CLASSES) / LATENT_CLASSES))
    return np.where(counts > 0, np.searchsorted(edges, means, side="right"), -1).astype(np.int32)


def typical_level(ids: Ids, counts: Ints, starts: Ints) -> Ids:
    """[e] int32 the most frequent of each entity's levels, the rarer ones in one class; -1 without any."""
    common = np.argsort(-counts, kind="stable")[: LATENT_CLASSES - 1]
    place = np.full(counts.size + 1, LATENT_CLASSES - 1)
    place[common] = np.arange(common.size)
    entities = starts.size - 1
    entity = np.repeat(np.arange(entities), np.diff(starts))
    known = ids >= 0
    cells = entity[known] * LATENT_CLASSES + place[ids[known]]
    table = np.bincount(cells, minlength=entities * LATENT_CLASSES).reshape(entities, LATENT_CLASSES)
    return np.where(table.sum(axis=1) > 0, table.argmax(axis=1), -1).astype(np.int32)


def filled_forward(values: Floats, starts: Ints, *, blank: float) -> Floats:
    """[n] each value, or the last known one of its entity, or `blank` where there was none."""
    place = np.where(np.isnan(values), -1, np.arange(values.size))
    first = np.repeat(starts[:-1], np.diff(starts))
    last = np.maximum.accumulate(place) if values.size else place
    return np.where(last >= first, values[np.maximum(last, 0)], blank)


@dataclass(frozen=True, slots=True)
class Pull:
    """How a column goes on from its last value: a share of it, and a rest.

    Args:
        weight: the share, 0 to 1; 1 where the column goes on by changes.
        stays: whether "just as before" is a rest of its own.
        few: whether a few changes are nearly all there are, or the rest is the value itself: no level is allowed for.
        edges: [k] classes of the change before this one: what rises goes on to rise.
    """

    weight: float
    stays: bool
    few: bool
    edges: tuple[float, ...]

    def codes(self, changes: Floats) -> Codes:
        """[n] the class of each change."""
        return (1 + np.searchsorted(np.array(self.edges), changes, side="left")).astype(np.uint8)


def pull_of(values: Floats, base: Floats, gaps: Ints) -> Pull | None:
    """How a column goes on from its last value, where that tells it better than a class of the last value.

    Args:
        values: [n] the column, missing = NaN.
        base: [n] the last known value before each.
        gaps: [n] time passed: an age goes on by the years that have passed.

    Returns:
        None where the values themselves are to be drawn beside a class of the last one.
    """
    rows = np.flatnonzero(np.isfinite(values) & np.isfinite(base))
    if rows.size < 20:
        return None
    rows = rows[:: max(1, rows.size // 20_000)]
    now, last = values[rows], base[rows]
    gap = _classes(gaps[rows].astype(np.float64), 5)
    changes = np.sort(np.unique(now - last, return_counts=True)[1])[::-1]
    stays = float(np.mean(now == last)) >= STAYING
    weight, few = 1.0, bool(changes[:FEW_CHANGES].sum() >= 0.95 * rows.size)
    if not few:
        moved = now != last if stays else np.ones(rows.size, dtype=bool)
        weight = slope_of(now[moved], last[moved])
    rest = _spread(now - weight * last, gap) if not stays else _spread(np.where(now == last, 0.0, now - last), gap)
    if weight < LEAST_WEIGHT:  # such as a code that stays or is another one: no number that goes on
        weight, few = 0.0, True
        if not stays:
            return None
    if rest >= BETTER * _spread(now, gap * LEVELS + _classes(last, LEVELS)):
        return None
    edges = np.unique(np.quantile(now - last, np.arange(1, CHANGES) / CHANGES))
    return Pull(weight, stays, few, tuple(edges.tolist()))


def slope_of(now: Floats, last: Floats) -> float:
    """The slope of one on the other, 0 to 1; 1 where there is nothing to see."""
    x, y = last - last.mean() if last.size else last, now - now.mean() if now.size else now
    return float(np.clip(x @ y / (x @ x), 0.0, 1.0)) if x @ x > 0 else 1.0


def _classes(values: Floats, most: int) -> Ints:
    edges = np.unique(np.quantile(values, np.arange(1, most) / most))
    return np.searchsorted(edges, values, side="left")


def _spread(values: Floats, group: Ints) -> float:
    """Mean distance from the median of the own group, small groups charged for having chosen it."""
    order = np.argsort(group, kind="stable")
    parts: Sequence[Floats] = np.split(values[order], np.flatnonzero(np.diff(group[order])) + 1)
    return sum(float(np.abs(p - np.median(p)).sum()) * p.size / max(p.size - 1, 1) for p in parts) / values.size
