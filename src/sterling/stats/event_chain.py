"""Sequences of events as trees: when the next one comes, and each of its cells given those before it."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from sterling.stats.binning import MOST_BINS
from sterling.stats.event_features import (
    Clock,
    Lengths,
    Pull,
    filled_forward,
    lengths_of,
    log_codes,
    moment_codes,
    pull_of,
    slope_of,
)
from sterling.stats.event_trees import Draw, EventSettings, Grower, Layout
from sterling.stats.histogram_trees import Growth, HistogramTree, apply, grow_tree
from sterling.stats.sequential_trees import CLASSES, Variable, code_lookup

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sterling.kernel.view import Bools, Floats, Ints

    Codes = NDArray[np.uint8]
    Ids = NDArray[np.int32]

# Places in a sequence are told apart so far from either end.
MOST_PLACES = 60
# Where most gaps are one and the same the grid is kept as it is; else gaps of days and times of day are drawn apart.
REGULAR = 0.5
# A column that hardly lets go of its level needs leaves whose means are sure: what a leaf errs by adds up over
# 1 / (1 - weight) events. At least so many leaves all the same.
LEVEL_ROWS, LEAVES = 4.0, 40
# Leaves of the tree of levels at most, and rows in each at least.
LEVELS, LEAST_LEVEL = 100, 50
# More gaps than this share within the hour are bursts.
BURSTS = 0.2
# Events on which the trees of first events are grown at most.
MOST_FIRST = 200_000
# States of real events from which stretches of a long sequence start.
BANK = 5_000


@dataclass(frozen=True, slots=True, eq=False)
class Events:
    """All events, entity after entity, each entity's in order.

    Args:
        ids: [d, n] int32 which value each cell is; -1 = missing.
        variables: the d columns.
        numbers: per column [k] its values as numbers, or None where they have no distances.
        starts: [e + 1] the events of entity i are starts[i] ... starts[i + 1] - 1.
        ticks: [n] when; where the time is missing, that of the event before.
        untimed: [n] where it is missing.
        clock: how ticks are read.
        traits: [s, e] codes of what stays the same of an entity.
        nominal: [s] which of them have no order.
    """

    ids: Ids
    variables: tuple[Variable, ...]
    numbers: tuple[Floats | None, ...]
    starts: Ints
    ticks: Ints
    untimed: Bools
    clock: Clock
    traits: Codes
    nominal: Bools


@dataclass(frozen=True, slots=True, eq=False)
class Level:
    """What a column is on average at a time and in an entity: towards this its values are pulled.

    Args:
        tree: on traits and calendar.
        means: [nodes] mean of each leaf.
    """

    tree: HistogramTree
    means: Floats

    def at(self, x: Codes, moments: slice, now: slice) -> Floats:
        """[m] the level at the times whose calendar the rows `moments` hold."""
        seen = x.copy()
        seen[now] = x[moments]
        return self.means[apply(self.tree, seen)]


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """How a column goes on from event to event.

    Args:
        draw: its tree.
        lookup: [k + 2] code of each id.
        numbers: [k] values of the ids, where the column goes on from its last value; else None.
        pull: how it does; None where values are drawn themselves.
        rests: [j] what is added to the share of the last value; the id j stands for "as before".
        level: what value and last value are measured from; None for 0.
        blank: what is gone on from where no value was known yet.
    """

    draw: Draw
    lookup: Codes
    numbers: Floats | None = None
    pull: Pull | None = None
    rests: Floats | None = None
    level: Level | None = None
    blank: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Bank:
    """What single events had before them: where stretches of a long sequence may start."""

    ticks: Ints
    before: Codes
    base: Floats


@dataclass(frozen=True, slots=True, eq=False)
class EventModel:
    """A fitted sequence.

    Args:
        layout: of the feature matrix.
        clock: how ticks are read.
        gaps: what the one or two parts of a gap can be, with their trees: the gap itself, or days and, on the
            same day, the gap, else the time of day. None where there are no times.
        bursts: whether the second part is a gap on the same day; else it is always the time of day.
        first: the trees of the d columns in a first event, grown on events of any place: there are many more of
            them, and their place is asked.
        cells: how the d columns go on.
        order: in which the columns are drawn.
        shortest: the shortest gap.
        usual: the median gap; the mean one where most are 0.
        mean: the mean gap.
        bank: for sequences that are made in stretches; None where no sequence is long.
    """

    layout: Layout
    clock: Clock
    gaps: tuple[tuple[Lengths, Draw], ...]
    bursts: bool
    first: tuple[Draw, ...]
    cells: tuple[Cells, ...]
    order: tuple[int, ...]
    shortest: int
    usual: int
    mean: float
    bank: Bank | None


def fit_events(
    events: Events, *, order: Sequence[int], stretch: int, settings: EventSettings, rng: np.random.Generator
) -> EventModel:
    """Grow the trees that say how a sequence goes on.

    Args:
        events: at least one event.
        order: in which an event's columns are drawn.
        stretch: sequences longer than this will be made in stretches.
        settings: how.
        rng: the stream of this task.
    """
    d, n = events.ids.shape
    first = np.zeros(n, dtype=bool)
    first[events.starts[:-1]] = True
    follow = np.flatnonzero(~first)
    gap = np.diff(events.ticks, prepend=events.ticks[:1])
    bases = [_base(events, j) for j in range(d)]
    passed = events.clock.passed(events.ticks[follow - 1], events.ticks[follow])
    pulls = [_pull(events, j, bases[j], passed, follow) for j in range(d)]
    lookups = [code_lookup(v, most=MOST_BINS) for v in events.variables]
    codes = np.array([look[row] for look, row in zip(lookups, events.ids, strict=True)], dtype=np.uint8).reshape(d, n)
    layout = layout_of(events, settings.lags, sum(p is not None for p in pulls))
    x = _features(events, layout, codes, gap, follow, lags=settings.lags, stretch=stretch)
    x[layout.drifts] = _drifts(events, bases, pulls, follow)
    grower = Grower(x, layout, _nominal(events, layout, settings.lags), settings, rng)
    bursts = _bursts(events.clock, gap[follow])
    gaps = _fit_gaps(events, gap, follow, layout, grower, bursts=bursts)
    cells: list[Cells] = [Cells(Draw(None), lookups[j]) for j in range(d)]
    for place, j in enumerate(order):
        drawn = np.array(order[:place], dtype=np.int64)
        told = (np.arange(layout.cells.start), layout.cells.start + drawn, layout.stays.start + drawn)
        asked = np.concatenate(told)
        cells[j] = _fit_cells(events, j, cells[j], bases[j], pulls[j], follow, asked, grower)
    timed = gap[follow][~events.untimed[follow]]
    usual = int(np.median(timed)) or int(np.ceil(np.mean(timed))) if timed.size else 0
    bank = None
    if np.diff(events.starts).max() > stretch and follow.size:
        bank = _bank(events, x, layout, np.array(bases).reshape(d, n), follow, rng=rng)
    began = _first_draws(events, layout, codes, order, grower)
    return EventModel(
        layout, events.clock, gaps, bursts, began, tuple(cells), tuple(order),
        int(timed.min()) if timed.size else 0, usual, float(timed.mean()) if timed.size else 0.0, bank,
    )  # fmt: skip


def _first_draws(
    events: Events, layout: Layout, codes: Codes, order: Sequence[int], grower: Grower
) -> tuple[Draw, ...]:
    """The trees of a first event's columns: given traits, calendar and the columns before, and the place."""
    n = events.ticks.size
    rows = np.sort(grower.rng.choice(n, size=MOST_FIRST, replace=False)) if n > MOST_FIRST else np.arange(n)
    entity = np.searchsorted(events.starts, rows, side="right") - 1
    x = first_features(
        events.traits[:, entity], events.ticks[rows], 1 + rows - events.starts[entity], layout, events.clock
    )
    x[layout.cells] = codes[:, rows]
    own = replace(grower, x=x)
    told = np.concatenate([np.arange(s.start, s.stop) for s in (layout.traits, layout.place, layout.now)])
    draws = [Draw(None)] * len(events.variables)
    for place, j in enumerate(order):
        variable = events.variables[j]
        asked = np.append(told, layout.cells.start + np.array(order[:place], dtype=np.int64))
        draws[j] = own.grow(events.ids[j, rows], variable.counts, ordered=variable.ordered, asked=asked)
    return tuple(draws)


def first_features(traits: Codes, ticks: Ints, position: Ints, layout: Layout, clock: Clock) -> Codes:
    """[rows, m] what an event can be told by whose predecessors are not asked."""
    x = np.zeros((layout.rows, ticks.size), dtype=np.uint8)
    x[layout.traits] = traits
    x[layout.place.start] = np.minimum(position, MOST_PLACES)
    x[layout.now] = moment_codes(clock, ticks)
    return x


def _nominal(events: Events, layout: Layout, lags: int) -> Bools:
    """[rows] which features have no order."""
    nominal = np.zeros(layout.rows, dtype=bool)
    kinds = np.array([not v.ordered for v in events.variables], dtype=bool)
    nominal[layout.traits] = events.nominal
    nominal[layout.lags], nominal[layout.cells] = np.tile(kinds, lags), kinds
    return nominal


def _pull(events: Events, j: int, base: Floats, passed: Ints, follow: Ints) -> Pull | None:
    numbers = events.numbers[j]
    if numbers is None or numbers.size <= 2:
        return None
    ids = events.ids[j, follow]
    return pull_of(np.where(ids < 0, np.nan, numbers[ids]), base[follow], passed)


def _drifts(events: Events, bases: Sequence[Floats], pulls: Sequence[Pull | None], follow: Ints) -> Codes:
    """[columns, m] the class of the last change of each column that goes on from its last value."""
    first = np.zeros(events.ticks.size + 1, dtype=bool)
    first[events.starts] = True
    early = first[follow - 1]  # one event before: nothing has changed yet
    rows = [
        np.where(early, 0, pull.codes(base[follow] - base[follow - 1]))
        for base, pull in zip(bases, pulls, strict=True)
        if pull is not None
    ]
    return np.array(rows, dtype=np.uint8).reshape(len(rows), follow.size)


def layout_of(events: Events, lags: int, drifts: int) -> Layout:
    """The rows of the feature matrix, one kind after another."""
    d, traits = len(events.variables), len(events.traits)
    moments = moment_codes(events.clock, events.ticks[:0]).shape[0]
    sizes = np.cumsum([0, traits, 4, moments, 1, lags * d, drifts, 2, moments, d, d])
    at = [slice(int(a), int(b)) for a, b in itertools.pairwise(sizes)]
    return Layout(at[0], at[1], at[2], at[3].start, at[4], at[5], at[6], at[7], at[8], at[9], int(sizes[-1]))


def place_codes(position: Ints, left: Ints, passed: Ints, remaining: Ints, planned: Bools) -> Codes:
    """[4, n] codes: position from 1, events to come, time since the first, time left for each event to come.

    The last of them is 0 where the end is not `planned`, as in sequences that are made in stretches.
    """
    pace = np.where(planned, log_codes(np.maximum(remaining, 0) / np.maximum(left, 1)), 0)
    rows = [np.minimum(position, MOST_PLACES), np.minimum(left, MOST_PLACES + 1), log_codes(passed), pace]
    return np.stack(rows).astype(np.uint8)


def _features(
    events: Events, layout: Layout, codes: Codes, gap: Ints, follow: Ints, *, lags: int, stretch: int
) -> Codes:
    """[rows, m] everything that each event with a predecessor can be told by, itself at the end."""
    lengths = np.diff(events.starts)
    entity = np.repeat(np.arange(lengths.size), lengths)[follow]
    position = follow - events.starts[entity]
    left = lengths[entity] - position
    before = events.ticks[follow - 1]
    begin, end = events.ticks[events.starts[entity]], events.ticks[events.starts[entity + 1] - 1]
    x = np.zeros((layout.rows, follow.size), dtype=np.uint8)
    x[layout.traits] = events.traits[:, entity]
    x[layout.place] = place_codes(position, left, before - begin, end - before, lengths[entity] <= stretch)
    x[layout.moment] = moment_codes(events.clock, before)
    x[layout.pace] = np.where((position > 1) & ~events.untimed[follow - 1], log_codes(gap[follow - 1]), 0)
    d = len(codes)
    for lag in range(1, lags + 1):
        there = position >= lag
        rows = slice(layout.lags.start + (lag - 1) * d, layout.lags.start + lag * d)
        x[rows] = np.where(there, codes[:, np.where(there, follow - lag, 0)], 0)
    x[layout.gaps] = gap_codes(events.clock, before, events.ticks[follow], events.untimed[follow])
    x[layout.now] = moment_codes(events.clock, events.ticks[follow])
    x[layout.cells] = codes[:, follow]
    x[layout.stays] = codes[:, follow] == codes[:, follow - 1]
    return x


def gap_codes(clock: Clock, before: Ints, now: Ints, untimed: Bools) -> Codes:
    """[2, n] codes of the days between two events and of the whole gap; 0 where it is not known."""
    days = clock.days(now) - clock.days(before)
    return np.where(untimed, 0, np.stack([log_codes(days), log_codes(clock.passed(before, now))])).astype(np.uint8)


def _fit_gaps(
    events: Events, gap: Ints, follow: Ints, layout: Layout, grower: Grower, *, bursts: bool
) -> tuple[tuple[Lengths, Draw], ...]:
    """The trees that say when the next event comes."""
    clock = events.clock
    if clock.kind == "none":
        return ()
    known = ~events.untimed[follow]
    asked = np.arange(layout.gaps.start)
    parts = [gap[follow]]
    if _by_days(clock, gap[follow][known]):
        days = clock.days(events.ticks[follow]) - clock.days(events.ticks[follow - 1])
        since = clock.since_dawn(events.ticks[follow])
        parts = [days, np.where((days == 0) & bursts, gap[follow], since)]
    grown: list[tuple[Lengths, Draw]] = []
    for i, part in enumerate(parts):
        lengths, ids = lengths_of(part, known)
        told = asked if i == 0 else np.append(asked, layout.gaps.start)
        draw = grower.grow(ids, lengths.counts, ordered=True, asked=told)
        grown.append((lengths, draw))
    return tuple(grown)


def _bursts(clock: Clock, gaps: Ints) -> bool:
    """Whether many events follow within the hour: then it is the gap that counts, not the time of day."""
    return bool(gaps.size) and float(np.mean(gaps * clock.tick < 3600.0)) > BURSTS


def _by_days(clock: Clock, gaps: Ints) -> bool:
    """Whether gaps are told apart by days first: times of day matter, and there is no grid."""
    if clock.kind != "moment" or not gaps.size:
        return False
    return float(np.unique(gaps, return_counts=True)[1].max()) < REGULAR * gaps.size


def _base(events: Events, j: int) -> Floats:
    """[n] the last known value of the entity before each event; the column's median where there was none."""
    numbers = events.numbers[j]
    n = events.ids.shape[1]
    if numbers is None or not numbers.size:
        return np.full(n, np.nan)
    values = np.where(events.ids[j] < 0, np.nan, numbers[events.ids[j]])
    blank = float(np.median(values[~np.isnan(values)])) if np.any(~np.isnan(values)) else 0.0
    filled = filled_forward(values, events.starts, blank=blank)
    before = np.append(blank, filled[:-1])
    before[events.starts[:-1]] = blank
    return before


def _fit_cells(
    events: Events, j: int, blank: Cells, base: Floats, pull: Pull | None, follow: Ints, asked: Ints, grower: Grower
) -> Cells:
    variable, numbers, ids = events.variables[j], events.numbers[j], events.ids[j, follow]
    if pull is None or numbers is None:
        return replace(blank, draw=grower.grow(ids, variable.counts, ordered=variable.ordered, asked=asked))
    values, last = np.where(ids < 0, np.nan, numbers[ids]), base[follow]
    stays = pull.stays & (values == last)
    level, at = None, grower.layout
    if not pull.few:
        level = _level(values, grower)
        values, last = values - level.at(grower.x, at.now, at.now), last - level.at(grower.x, at.moment, at.now)
        known = ~np.isnan(values) & ~stays
        pull = replace(pull, weight=slope_of(values[known], last[known]))
    rests, rest_ids = _rests(values - pull.weight * last, stays)
    counts = np.bincount(rest_ids[rest_ids >= 0], minlength=rests.size + 1)
    least = 1 if pull.few else round(min(LEVEL_ROWS / max(1.0 - pull.weight, 1e-9), ids.size / LEAVES))
    draw = grower.grow(rest_ids, counts, ordered=True, asked=asked, least=least)
    blank_value = float(base[events.starts[0]])
    return replace(
        blank, draw=draw, numbers=numbers, pull=pull, rests=rests, level=level, blank=blank_value
    )  # fmt: skip


def _level(values: Floats, grower: Grower) -> Level:
    """The level of a column by traits and calendar, in leaves so large that they tell seasons and not events."""
    at = grower.layout
    known = np.flatnonzero(~np.isnan(values))
    distinct, ids = np.unique(values[known], return_inverse=True)
    asked = np.append(np.arange(at.traits.start, at.traits.stop), np.arange(at.now.start, at.now.stop))
    outcome = code_lookup(Variable(np.bincount(ids, minlength=distinct.size), ordered=True), most=CLASSES)[ids]
    tree = grow_tree(
        grower.x[:, known], outcome, features=asked, categorical=grower.nominal, ordered=True,
        growth=Growth(min_leaf=max(LEAST_LEVEL, known.size // LEVELS)),
    )  # fmt: skip
    sums = np.append(0.0, np.cumsum(values[known][tree.order]))
    starts, ends = tree.spans[:, 0], tree.spans[:, 1]
    return Level(tree, (sums[ends] - sums[starts]) / np.maximum(ends - starts, 1))


def _rests(rests: Floats, stays: Bools) -> tuple[Floats, Ids]:
    """The distinct rests of a column, and [m] int32 which each is; -1 where the value is missing."""
    known = ~np.isnan(rests)
    drawn = known & ~stays
    # 12 digits: 1.1 - 1.0 and 2.1 - 2.0 are one change.
    largest = float(np.abs(rests[drawn]).max(initial=0.0)) or 1.0
    unit = 10.0 ** (np.floor(np.log10(largest)) - 11)
    distinct, inverse = np.unique(np.rint(rests[drawn] / unit), return_inverse=True)
    ids = np.full(rests.size, -1, dtype=np.int32)
    ids[drawn], ids[known & stays] = inverse, distinct.size
    return distinct * unit, ids


def _bank(events: Events, x: Codes, layout: Layout, bases: Floats, follow: Ints, *, rng: np.random.Generator) -> Bank:
    rows = np.sort(rng.choice(follow.size, size=min(BANK, follow.size), replace=False))
    rows = rows[np.argsort(events.ticks[follow[rows] - 1], kind="stable")]
    at = follow[rows]
    return Bank(events.ticks[at - 1], x[layout.pace : layout.drifts.stop, rows], bases[:, at])
