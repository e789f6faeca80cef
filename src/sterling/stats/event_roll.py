"""Sequences made event by event, all entities at once; long ones in stretches side by side."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

import numpy as np

from sterling.stats.event_chain import Bank, Cells, EventModel, first_features, gap_codes, place_codes
from sterling.stats.event_features import DAY, log_codes, moment_codes
from sterling.stats.event_trees import Draw, Layout
from sterling.stats.histogram_trees import apply, draw_donors

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sterling.kernel.view import Bools, Floats, Ints

    Codes = NDArray[np.uint8]
    Ids = NDArray[np.int32]

# A sequence longer than this is made in stretches of about so many events, side by side.
STRETCH = 1_000
# Events before a stretch begins that are made and thrown away, so that it forgets where it started from.
BURN = 30
# A time of day that has passed is drawn so often anew.
TRIES = 10
# Each event to come is left one part in so many of its share of the time to the end.
SPARED = 4
# A stretch has no more events than so many times its share.
MOST_TIMES = 4
FAR = 2**60
UNKNOWN_PLACE = 10**6
CELLS = ("ids", "ticks", "untimed")


@dataclass(frozen=True, slots=True, eq=False)
class Beginnings:
    """Where each sequence begins.

    Args:
        traits: [s, m] codes of what stays the same.
        ticks: [m] when the first event is.
        end: [m] when the last one shall be at the latest.
        untimed: [m] whether the first event shows no time.
        lengths: [m] events, the first one counted.
    """

    traits: Codes
    ticks: Ints
    end: Ints
    untimed: Bools
    lengths: Ints


@dataclass(frozen=True, slots=True, eq=False)
class Rolled:
    """Made events, sequence after sequence, each in order.

    Args:
        sequence: [n] which beginning each belongs to.
        ids: [d, n] cells.
        ticks: [n] when.
        untimed: [n] whether it shows no time.
    """

    sequence: Ints
    ids: Ids
    ticks: Ints
    untimed: Bools

    def take(self, rows: Ints) -> Rolled:
        """The events at these positions."""
        return Rolled(self.sequence[rows], self.ids[:, rows], self.ticks[rows], self.untimed[rows])


@dataclass(frozen=True, slots=True, eq=False)
class _State:
    """What is known of every sequence under way; all arrays have one column for each."""

    sequence: Ints
    traits: Codes
    position: Ints
    length: Ints
    begin: Ints
    end: Ints
    ticks: Ints
    visible: Ints
    until: Ints
    skip: Ints  # events still to be thrown away
    quota: Ints  # events still to be shown
    before: Codes  # the last gap and the last events' cells, as the feature matrix has them
    base: Floats

    def take(self, rows: Bools) -> _State:
        return _State(*(getattr(self, f.name)[..., rows] for f in fields(self)))


def roll(
    model: EventModel, beginnings: Beginnings, *, smoothing: float, rng: np.random.Generator, stretch: int = STRETCH
) -> Rolled:
    """Make the events of every sequence.

    Args:
        model: what `fit_events` returned.
        beginnings: where they begin.
        smoothing: how far gaps may stray from those that were seen, 0 to 1.
        rng: the stream of this task.
        stretch: longer sequences are made in stretches, side by side in time, with one seam between two.

    Returns:
        Exactly `lengths` events of each sequence, in order of sequence and time.
    """
    long = (beginnings.lengths > stretch) & (model.bank is not None)
    first = _first_events(model, beginnings, rng=rng)
    state = _first_state(model, beginnings, first.ids, ~long)
    parts = [first, _run(model, state, smoothing=smoothing, rng=rng)]
    if model.bank is not None:
        for i in np.flatnonzero(long):
            parts.append(_long(model, model.bank, beginnings, first.ids, int(i), stretch, smoothing=smoothing, rng=rng))
    return _joined(parts)


def _first_events(model: EventModel, beginnings: Beginnings, *, rng: np.random.Generator) -> Rolled:
    m = beginnings.lengths.size
    at = model.layout
    x = first_features(beginnings.traits, beginnings.ticks, np.ones(m, dtype=np.int64), at, model.clock)
    ids = np.empty((len(model.cells), m), dtype=np.int32)
    for j in model.order:
        ids[j] = _drawn(model.first[j], x, rng=rng)
        x[at.cells.start + j] = model.cells[j].lookup[ids[j]]
    return Rolled(np.arange(m), ids, beginnings.ticks, beginnings.untimed)


def _joined(parts: list[Rolled]) -> Rolled:
    """All parts, sequence after sequence; the events of one stay in the order in which they came."""
    whole = Rolled(
        np.concatenate([p.sequence for p in parts]),
        np.concatenate([p.ids for p in parts], axis=1),
        np.concatenate([p.ticks for p in parts]),
        np.concatenate([p.untimed for p in parts]),
    )
    return whole.take(np.argsort(whole.sequence, kind="stable"))


def _first_state(model: EventModel, beginnings: Beginnings, first: Ids, wanted: Bools) -> _State:
    rows = np.flatnonzero(wanted & (beginnings.lengths > 1))
    m = rows.size
    before = np.zeros((model.layout.drifts.stop - model.layout.pace, m), dtype=np.uint8)
    base = np.full((len(model.cells), m), np.nan)
    for j, cells in enumerate(model.cells):
        ids = first[j, rows]
        before[1 + j] = cells.lookup[ids]
        if cells.numbers is not None:
            base[j] = np.where(ids < 0, cells.blank, cells.numbers[ids])
    ticks, lengths = beginnings.ticks[rows], beginnings.lengths[rows]
    return _State(
        sequence=rows, traits=beginnings.traits[:, rows], position=np.ones(m, dtype=np.int64), length=lengths,
        begin=ticks, end=beginnings.end[rows], ticks=ticks, visible=np.full(m, -FAR), until=np.full(m, FAR),
        skip=np.zeros(m, dtype=np.int64), quota=lengths - 1, before=before, base=base,
    )  # fmt: skip


def _run(model: EventModel, state: _State, *, smoothing: float, rng: np.random.Generator) -> Rolled:
    """All sequences to their ends, one event of each at a time."""
    made: list[Rolled] = []
    d = len(model.cells)
    while state.sequence.size:
        state, ids, untimed = _step(model, state, smoothing=smoothing, rng=rng)
        inside = state.ticks < state.until
        shown = inside & (state.ticks >= state.visible) & (state.skip <= 0)
        event = Rolled(state.sequence, ids, state.ticks, untimed)
        made.append(event if shown.all() else event.take(np.flatnonzero(shown)))
        state.quota[shown] -= 1
        state.skip[~shown] -= 1
        alive = inside & (state.quota > 0)
        if not alive.all():
            state = state.take(alive)
    none = np.zeros(0, dtype=np.int64)
    return _joined([Rolled(none, np.zeros((d, 0), np.int32), none, none.astype(bool)), *made])


def _step(model: EventModel, state: _State, *, smoothing: float, rng: np.random.Generator) -> tuple[_State, Ids, Bools]:
    """The next event of every sequence."""
    at, m = model.layout, state.sequence.size
    x = np.zeros((at.rows, m), dtype=np.uint8)
    left = np.maximum(state.length - state.position, 1)
    x[at.traits] = state.traits
    planned = state.end < FAR
    x[at.place] = place_codes(state.position, left, state.ticks - state.begin, state.end - state.ticks, planned)
    x[at.moment] = moment_codes(model.clock, state.ticks)
    x[at.pace : at.drifts.stop] = state.before
    ticks, untimed = _next_ticks(model, x, state, left, smoothing=smoothing, rng=rng)
    x[at.gaps] = gap_codes(model.clock, state.ticks, ticks, untimed)
    x[at.now] = moment_codes(model.clock, ticks)
    d = len(model.cells)
    ids = np.empty((d, m), dtype=np.int32)
    base = state.base.copy()
    for j in model.order:
        ids[j], base[j] = _next_cells(model.cells[j], x, base[j], at, rng=rng)
        x[at.cells.start + j] = model.cells[j].lookup[ids[j]]
        x[at.stays.start + j] = x[at.cells.start + j] == x[at.lags.start + j]
    before = np.empty_like(state.before)
    before[0] = np.where(untimed, 0, log_codes(ticks - state.ticks))
    before[1 : 1 + d] = x[at.cells]
    lags = at.lags.stop - at.lags.start
    before[1 + d : 1 + lags] = state.before[1 : 1 + lags - d]
    for row, j in enumerate(j for j, c in enumerate(model.cells) if c.pull is not None):
        pull = model.cells[j].pull
        before[1 + lags + row] = 0 if pull is None else pull.codes(base[j] - state.base[j])
    after = _State(
        state.sequence, state.traits, state.position + 1, state.length, state.begin, state.end, ticks,
        state.visible, state.until, state.skip.copy(), state.quota.copy(), before, base,
    )  # fmt: skip
    return after, ids, untimed


def _drawn(draw: Draw, x: Codes, *, rng: np.random.Generator) -> Ids:
    if draw.tree is None:
        return np.full(x.shape[1], -1, dtype=np.int32)
    return draw_donors(draw.tree, apply(draw.tree, x), rng=rng)


def _next_ticks(
    model: EventModel, x: Codes, state: _State, left: Ints, *, smoothing: float, rng: np.random.Generator
) -> tuple[Ints, Bools]:
    """When the next event of each sequence is, and whether it shows it."""
    if not model.gaps:
        return state.ticks, np.zeros(state.ticks.size, dtype=bool)
    lengths, draw = model.gaps[0]
    ids = _drawn(draw, x, rng=rng)
    untimed = ids < 0
    gap = lengths.draw(ids, smoothing=smoothing, rng=rng)
    # Those to come must fit in before the end.
    pace = np.maximum(state.end - state.ticks, 0) // left
    latest = state.end - (left - 1) * np.maximum(model.shortest, pace // SPARED)
    if len(model.gaps) == 2:
        clock = model.clock
        gap = np.clip(gap, 0, np.maximum(clock.days(latest) - clock.days(state.ticks), 0))
        x[model.layout.gaps.start] = np.where(untimed, 0, log_codes(gap))
        ticks = _time_of_day(model, x, state.ticks, gap, untimed, smoothing=smoothing, rng=rng)
        latest = np.where(state.end < FAR, np.maximum(clock.high, state.end), latest)
    else:
        ticks = state.ticks + gap
    ticks = np.maximum(np.minimum(ticks, latest), state.ticks + model.shortest)
    return np.where(untimed, state.ticks, ticks), untimed


def _time_of_day(
    model: EventModel, x: Codes, last: Ints, days: Ints, untimed: Bools, *, smoothing: float, rng: np.random.Generator
) -> Ints:
    """When on the day the next event is; drawn anew where that has passed already."""
    lengths, draw = model.gaps[1]
    ticks = last.copy()
    if draw.tree is None:
        return ticks
    leaves = apply(draw.tree, x)
    open_ = np.flatnonzero(~untimed)
    for _ in range(TRIES):
        since = lengths.draw(draw_donors(draw.tree, leaves[open_], rng=rng), smoothing=smoothing, rng=rng)
        made = model.clock.moment_on(model.clock.days(last[open_]) + days[open_], since)
        if model.bursts:
            made = np.where(days[open_] == 0, last[open_] + since, made)
        ticks[open_] = made
        open_ = open_[made < last[open_] + model.shortest]
        if not open_.size:
            break
    return ticks


def _next_cells(cells: Cells, x: Codes, base: Floats, at: Layout, *, rng: np.random.Generator) -> tuple[Ids, Floats]:
    """[m] ids of a column's next cells, and the values from which the cells after them go on."""
    ids = _drawn(cells.draw, x, rng=rng)
    if cells.pull is None or cells.rests is None or cells.numbers is None:
        return ids, base
    stays = ids == cells.rests.size
    rests = np.append(cells.rests, 0.0)[np.maximum(ids, 0)]
    level, before = 0.0, 0.0
    if cells.level is not None:
        level, before = cells.level.at(x, at.now, at.now), cells.level.at(x, at.moment, at.now)
    wanted = np.where(stays, base, level + cells.pull.weight * (base - before) + rests)
    middles = cells.numbers[:-1] / 2 + cells.numbers[1:] / 2
    near = np.searchsorted(middles, wanted).astype(np.int32)
    return np.where(ids < 0, -1, near), np.where(ids < 0, base, cells.numbers[near])


def _long(
    model: EventModel, bank: Bank, beginnings: Beginnings, first: Ids, i: int, stretch: int, *, smoothing: float,
    rng: np.random.Generator,
) -> Rolled:  # fmt: skip
    """The events of one long sequence after its first, in stretches that begin and end at fixed times."""
    wanted = int(beginnings.lengths[i]) - 1
    begin, end = int(beginnings.ticks[i]), int(beginnings.end[i])
    own = _first_state(model, beginnings, first, np.arange(beginnings.lengths.size) == i)
    timeless = model.clock.high == model.clock.low
    bounds = _bounds(bank, begin, end, -(-wanted // stretch), timeless=timeless)
    parts: list[Rolled] = []
    count, wider = 0, 1
    while count < wanted:
        state = _stretches(model, bank, own, bounds, follow=not parts, rng=rng)
        if timeless:
            state = replace(state, visible=state.visible * 0 - FAR, until=state.until * 0 + FAR)
            state = replace(state, skip=np.full(bounds.size - 1, BURN), quota=np.full(bounds.size - 1, stretch))
        else:
            state = replace(state, quota=np.full(bounds.size - 1, MOST_TIMES * stretch))
        parts.append(_run(model, state, smoothing=smoothing, rng=rng))
        count += parts[-1].ticks.size
        # What is still to come goes on beyond the end, at the usual pace; wider where nothing came, so that it ends.
        last = max(int(parts[-1].ticks[-1]) + 1 if parts[-1].ticks.size else 0, int(bounds[-1]))
        wider = 1 if parts[-1].ticks.size else 2 * wider
        more = -(-max(wanted - count, 1) // stretch)
        width = max(round(min(max(wanted - count, 1), stretch) * model.mean * wider), 1)
        bounds = last + width * np.arange(more + 1)
    kept = np.arange(wanted)
    ids, ticks, untimed = (np.concatenate([getattr(p, name) for p in parts], axis=-1)[..., kept] for name in CELLS)
    return Rolled(np.full(wanted, i), ids, ticks, untimed)


def _bounds(bank: Bank, begin: int, end: int, parts: int, *, timeless: bool) -> Ints:
    """[parts + 1] where stretches begin and end, so that each holds about as many events as the others."""
    if timeless:
        return np.arange(parts + 1)
    inside = bank.ticks[(bank.ticks >= begin) & (bank.ticks <= end)]
    shares = np.arange(parts + 1) / parts
    if inside.size < 2 * parts:
        bounds = begin + (shares * (end - begin)).astype(np.int64)
    else:
        bounds = np.quantile(inside, shares, method="nearest").astype(np.int64)
    bounds[0], bounds[-1] = begin, max(end, int(bounds[-1])) + 1
    return np.unique(bounds)


def _stretches(
    model: EventModel, bank: Bank, own: _State, bounds: Ints, *, follow: bool, rng: np.random.Generator
) -> _State:
    """Stretches under way, each from the state of a real event some time before it begins.

    Args:
        model: the trees.
        bank: the states of real events.
        own: the sequence after its first event.
        bounds: [m + 1] where the stretches begin and end.
        follow: whether the first of them goes on from `own`.
        rng: the stream of this task.
    """
    m = bounds.size - 1
    early = bounds[:-1] - BURN * model.usual
    place = np.searchsorted(bank.ticks, early, side="right") - 1 - rng.integers(0, 3, m)
    place = np.clip(place, 0, bank.ticks.size - 1)
    ticks = bank.ticks[place].copy()
    # Beyond what was seen a state is moved by whole weeks (or usual gaps), so that it keeps its place in them.
    unit = max(round(7 * DAY / model.clock.tick) if model.clock.kind in ("date", "moment") else model.usual, 1)
    ticks += np.where(early > bank.ticks[-1], np.maximum(early - ticks, 0) // unit * unit, 0)
    before, base = bank.before[:, place].copy(), bank.base[:, place].copy()
    if follow:
        ticks[0], before[:, 0], base[:, 0] = own.ticks[0], own.before[:, 0], own.base[:, 0]
    some = np.zeros(m, dtype=np.int64)
    return _State(
        sequence=np.arange(m), traits=np.repeat(own.traits, m, axis=1), position=some + UNKNOWN_PLACE,
        length=some + 2 * UNKNOWN_PLACE, begin=np.minimum(own.begin[0], ticks), end=some + FAR, ticks=ticks,
        visible=np.maximum(bounds[:-1], int(own.begin[0]) + min(model.shortest, 1)), until=bounds[1:].copy(),
        skip=some, quota=some, before=before, base=base,
    )  # fmt: skip
