"""Events per entity: transactions, visits, panels and sensor series, made entity by entity and event by event."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sterling.kernel.dataset import Dataset
from sterling.kernel.errors import InputError
from sterling.kernel.schema import Role, Schema
from sterling.modalities.tabular.anatomy import BATCH_ROWS
from sterling.modalities.tabular.canonical import flat
from sterling.modalities.tabular.chained import ChainedTable, check_setting, fit_table, sample_table
from sterling.modalities.tabular.event_table import (
    EventRows,
    EventTable,
    records_of,
    steady_cells,
    take_events_apart,
    time_cells,
)
from sterling.modalities.tabular.given import checked_given
from sterling.modalities.tabular.identifiers import identifiers
from sterling.modalities.tabular.outcomes import cells_of, ids_of
from sterling.modalities.tabular.storage import to_storage
from sterling.modalities.tabular.structure import Structure, mine_structure, reduce, restore
from sterling.modalities.tabular.structure_steps import MissingWith
from sterling.stats.binning import MOST_BINS
from sterling.stats.event_chain import EventModel, fit_events
from sterling.stats.event_chain import Events as Sequences
from sterling.stats.event_features import Lengths, lengths_of, log_codes, typical_level, typical_number
from sterling.stats.event_roll import STRETCH, Beginnings, Rolled, roll
from sterling.stats.event_trees import EventSettings
from sterling.stats.histogram_trees import Growth
from sterling.stats.sequential_trees import (
    ChainSettings,
    TreeChain,
    Variable,
    can_hold,
    code_lookup,
    fit_chain,
    sample_chain,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sterling.kernel.dataset import Batch
    from sterling.kernel.view import Ints
    from sterling.modalities.tabular.outcomes import Ids

    Codes = NDArray[np.uint8]

# A leaf of the entities holds a tenth of them at most: few entities are still told apart.
ENTITIES_A_LEAF = 10
# So small a part of a sequence is added to the one before it and makes none of its own.
LITTLE = 0.1
# Entities drawn beyond those needed, among which the last one's length may fit exactly.
SPARE = 50


@dataclass(frozen=True, slots=True, eq=False)
class Start:
    """How entities are drawn: what stays the same of them, how many events they have, from when to when.

    Args:
        chain: over the columns below, in this order: those that stay the same, whether the entity is named, length,
            first tick, span, what is typical of the entity.
        same: positions of the outcomes that stay the same, in the order in which they are drawn.
        lengths: events that entities have.
        ticks: when they begin.
        spans: ticks from first to last event.
        lookups: per typical column the codes of its classes.
        nominal: which traits have no order.
        mean: events of a mean entity.
    """

    chain: TreeChain
    same: tuple[int, ...]
    lengths: Lengths
    ticks: Lengths
    spans: Lengths
    lookups: tuple[Codes, ...]
    nominal: tuple[bool, ...]
    mean: float


@dataclass(frozen=True, slots=True, eq=False)
class FittedEvents:
    """A table of events: what it is made of, how entities are drawn, and how their sequences go on.

    Args:
        schema: of the full table.
        structure: what was taken out of it, for other columns decide it.
        table: the rest.
        start: how entities are drawn.
        model: how their sequences go on.
        rows: training rows.
    """

    schema: Schema
    structure: Structure
    table: EventTable
    start: Start
    model: EventModel
    rows: int


@dataclass(frozen=True, slots=True)
class Events:
    """Whole entities, each a sequence of events in time, drawn event by event from trees.

    The table names its entity column (role ENTITY) and its time column (role TIME). First an entity is drawn: the
    columns that never change within one, how many events it has, when it begins, how long it lasts, what is
    typical of each other column, and its first event. Then comes event after event: the gap to the last one, then
    each cell, given the calendar, the place in the sequence, the last events and what is typical of the entity.
    Gaps that occur often (an hour, a year, 28 days) are made exactly, so that grids stay grids; others are made
    near those that were seen. Columns whose change is told better than their value (age, a counter, a slow
    temperature) go on by changes. Missing cells and missing times are outcomes. Entities and keys get new
    identifiers. Sequences of more than 1,000 events are made in stretches side by side: a seam in 1,000
    transitions. Not a privacy guarantee.

    Without an entity column the whole table is one series; without a time column the rows of an entity are
    in order as they stand in the file; without both there are no sequences, and rows are made as `cart` does.
    `sample` makes whole entities; only the last may be cut short, where no drawn length fits.
    `given` may hold columns that never change within an entity: each run of equal rows is filled with whole
    entities. With the entity column among them, each run is one entity of as many events.

    Args:
        min_leaf: fewest events (and entities, up to a tenth of them) in a leaf, >= 1.
        max_depth: most questions on the way to a leaf, >= 0.
        smoothing: how far numbers, gaps and first times may move from those of the leaf, 0 to 1.
        shrinkage: as in `cart`, for the columns of entities.
        lags: how many events before it an event depends on, 1 to 20.
        most_parents: columns (and lags, calendar ...) that a tree may ask at most, >= 1.
        structure: "mined": what follows exactly from other columns is made from them; "ignored": left to chance.
        first: columns to draw before all others, so that `given` may hold them fixed.

    Raises:
        InputError: for a setting out of its range.

    Source: Reiter 2005 (sequential trees); entity-level and lagged predictors as in Zhang, Xu et al. 2022,
    "Sequential models in the synthetic data vault", arXiv:2207.14406, whose neural network is trees here.
    """

    # Rows of one entity hang together: `generate` must not sample in shards that do not know of each other.
    keeps_entities: ClassVar[bool] = True

    min_leaf: int = 20
    max_depth: int = 40
    smoothing: float = 1.0
    shrinkage: float = 0.5
    lags: int = 2
    most_parents: int = 24
    structure: Literal["mined", "ignored"] = "mined"
    first: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_setting("min_leaf", self.min_leaf, 1)
        check_setting("max_depth", self.max_depth, 0)
        check_setting("smoothing", self.smoothing, 0, 1)
        check_setting("shrinkage", self.shrinkage, 0)
        check_setting("lags", self.lags, 1, 20)
        check_setting("most_parents", self.most_parents, 1)

    def fit(self, data: Dataset, *, rng: np.random.Generator) -> FittedEvents | ChainedTable:
        """Learn how entities begin and how their events follow one another.

        Raises:
            InputError: if there are no rows, or a column that no table holds.
        """
        for name in self.first:
            data.schema[name]
        if not any(f.role in (Role.TIME, Role.ENTITY) for f in data.schema):
            return fit_table(data, first=self.first, settings=self._chain(data.rows), rng=rng)
        full = records_of(data)
        steady = [f.name for f in full.schema if f.role in (Role.TIME, Role.ENTITY) or f.name in self.first]
        structure = _without_masks(mine_structure(full, keep=steady)) if self.structure == "mined" else Structure()
        table, rows = take_events_apart(reduce(full, structure))
        start, traits = self._fit_start(table, rows, rng=rng)
        outcomes = [table.outcomes[j] for j in table.varying]
        sequences = Sequences(
            ids=rows.ids[list(table.varying)],
            variables=tuple(Variable(o.counts, o.ordered) for o in outcomes),
            numbers=tuple(o.keys if o.ordered and np.all(np.isfinite(o.keys)) else None for o in outcomes),
            starts=rows.starts, ticks=rows.ticks, untimed=rows.untimed, clock=table.clock,
            traits=traits, nominal=np.array(start.nominal, dtype=bool),
        )  # fmt: skip
        settings = EventSettings(
            Growth(min_leaf=self.min_leaf, max_depth=self.max_depth), self.lags, self.most_parents, self.smoothing
        )
        order = tuple(range(len(outcomes)))
        model = fit_events(sequences, order=order, stretch=STRETCH, settings=settings, rng=rng)
        return FittedEvents(full.schema, structure, table, start, model, data.rows)

    def sample(
        self, fitted: FittedEvents | ChainedTable, n: int, *, rng: np.random.Generator, given: Batch | None = None
    ) -> Iterator[Batch]:
        """Make n rows, entity after entity, in batches of at most 50,000.

        Raises:
            InputError: for n < 1, or for given columns that change within an entity, or were not fitted to
                come first.
        """
        if isinstance(fitted, ChainedTable):
            settings = self._chain(n)
            return sample_table(fitted, n, settings=settings, smoothing=self.smoothing, given=given, rng=rng)
        if n < 1:
            raise InputError(f"cannot make {n} rows", mend="ask for at least one: -n 1000")
        fixed = _checked(fitted, n, given)
        return self._made(fitted, n, fixed, rng=rng)

    def _chain(self, rows: int) -> ChainSettings:
        leaf = max(1, min(self.min_leaf, rows))
        return ChainSettings(
            Growth(min_leaf=leaf, max_depth=self.max_depth), shrinkage=self.shrinkage, most_parents=self.most_parents
        )

    def _entity_chain(self, entities: int) -> ChainSettings:
        return self._chain(entities // ENTITIES_A_LEAF)

    def _fit_start(self, table: EventTable, rows: EventRows, *, rng: np.random.Generator) -> tuple[Start, Codes]:
        """How entities are drawn, and [traits, e] the codes of what stays the same of each."""
        first = rows.starts[:-1]
        lengths = np.diff(rows.starts)
        known = np.ones(lengths.size, dtype=bool)
        spans = rows.ticks[rows.starts[1:] - 1] - rows.ticks[first]
        begins = lengths_of(rows.ticks[first], ~rows.untimed[first])
        counted = [lengths_of(lengths, known), begins, lengths_of(spans, known)]
        same = tuple(sorted(table.same, key=lambda j: _rank(table.outcomes[j].field.name, self.first)))
        typical = [_typical(table, rows, j) for j in table.varying] if lengths.max() > 1 and lengths.size > 1 else []
        columns = [_first_cells(table, rows, j) for j in same]
        columns += [(rows.nameless.astype(np.int32), 2, False)]
        columns += [(ids, found.values.size, True) for found, ids in counted]
        columns += typical
        ids = np.array([c[0] for c in columns], dtype=np.int32)
        variables = [Variable(np.bincount(i[i >= 0], minlength=k), ordered) for i, k, ordered in columns]
        chain = fit_chain(ids, variables, order=range(len(ids)), settings=self._entity_chain(lengths.size), rng=rng)
        told = [*range(len(same)), *range(len(same) + 4, len(same) + 4 + len(typical))]
        lookups = tuple(code_lookup(variables[i], most=MOST_BINS) for i in told)
        traits = [look[ids[i]] for look, i in zip(lookups, told, strict=True)]
        nominal = (*(not variables[i].ordered for i in told), False)
        start = Start(chain, same, counted[0][0], counted[1][0], counted[2][0], lookups, nominal, float(lengths.mean()))
        return start, np.stack([*traits, log_codes(lengths)])

    def _made(
        self, fitted: FittedEvents, n: int, fixed: dict[str, pa.Array], *, rng: np.random.Generator
    ) -> Iterator[Batch]:
        drawn, lengths = self._entities(fitted, n, fixed, rng=rng)
        beginnings = _beginnings(fitted, drawn, lengths, smoothing=self.smoothing, rng=rng)
        rolled = roll(fitted.model, beginnings, smoothing=self.smoothing, rng=rng)
        cells = _cells(fitted.table, fitted.start, drawn, rolled, smoothing=self.smoothing, rng=rng)
        whole = pa.table({name: fixed.get(name, cells[name]) for name in fitted.table.schema.names})
        for at in range(0, n, BATCH_ROWS):
            batch = to_storage(whole.slice(at, BATCH_ROWS), fitted.table.schema)
            yield restore(batch, fitted.structure, fitted.schema) if fitted.structure.steps else batch

    def _entities(
        self, fitted: FittedEvents, n: int, fixed: dict[str, pa.Array], *, rng: np.random.Generator
    ) -> tuple[Ids, Ints]:
        """[columns, m] what is drawn of each entity, and [m] lengths that add up to n."""
        settings = self._entity_chain(fitted.rows)
        who = fitted.table.entity
        if who is None:
            return sample_chain(fitted.start.chain, 1, settings=settings, rng=rng, given={}), np.array([n])
        runs = _runs(fixed, n) if fixed else np.array([0, n])
        if who.field.name in fixed:
            held = _held(fitted, fixed, runs[:-1])
            return sample_chain(fitted.start.chain, runs.size - 1, settings=settings, rng=rng, given=held), np.diff(
                runs
            )
        filled = [
            self._filling(fitted, int(end - begin), _held(fitted, fixed, np.array([begin])), rng=rng)
            for begin, end in itertools.pairwise(runs)
        ]
        return np.concatenate([f[0] for f in filled], axis=1), np.concatenate([f[1] for f in filled])

    def _filling(
        self, fitted: FittedEvents, n: int, held: Mapping[int, Ids], *, rng: np.random.Generator
    ) -> tuple[Ids, Ints]:
        """Entities whose lengths add up to n: the last is one that fits, goes on a little, or is cut short."""
        start, settings = fitted.start, self._entity_chain(fitted.rows)
        at = len(start.same) + 1
        drawn = np.empty((len(start.chain.order), 0), dtype=np.int32)
        while (total := int(start.lengths.values[drawn[at]].sum())) < n:
            some = int((n - total) / start.mean * 1.05) + SPARE
            more = {j: np.repeat(ids, some) for j, ids in held.items()}
            drawn = np.append(drawn, sample_chain(start.chain, some, settings=settings, rng=rng, given=more), axis=1)
        lengths = start.lengths.values[drawn[at]]
        last = int(np.searchsorted(np.cumsum(lengths), n))
        short = n - int(lengths[:last].sum())
        fits = last + np.flatnonzero(lengths[last:] == short)
        if not fits.size and last and short < LITTLE * lengths[last]:
            lengths[last - 1] += short
            return drawn[:, :last], lengths[:last]
        kept = np.append(np.arange(last), fits[0] if fits.size else last)
        return drawn[:, kept], np.append(lengths[:last], short)


def _without_masks(structure: Structure) -> Structure:
    """The structure without cells that are missing together: to fill them would tear events from the last ones."""
    return replace(structure, steps=tuple(s for s in structure.steps if not isinstance(s, MissingWith)))


def _rank(name: str, first: tuple[str, ...]) -> int:
    return first.index(name) if name in first else len(first)


def _first_cells(table: EventTable, rows: EventRows, j: int) -> tuple[Ids, int, bool]:
    """A column in the first event of each entity: [e] ids, how many there may be, whether they have an order."""
    outcome = table.outcomes[j]
    return rows.ids[j, rows.starts[:-1]], outcome.counts.size, outcome.ordered


def _typical(table: EventTable, rows: EventRows, j: int) -> tuple[Ids, int, bool]:
    """What is typical of each entity in a column: [e] classes, how many there may be, whether they have an order."""
    outcome = table.outcomes[j]
    if outcome.ordered:
        values = np.where(rows.ids[j] < 0, np.nan, outcome.keys[rows.ids[j]] if outcome.keys.size else np.nan)
        ids = typical_number(values, rows.starts)
    else:
        ids = typical_level(rows.ids[j], outcome.counts, rows.starts)
    return ids, int(ids.max(initial=-1)) + 1, outcome.ordered


def _beginnings(
    fitted: FittedEvents, drawn: Ids, lengths: Ints, *, smoothing: float, rng: np.random.Generator
) -> Beginnings:
    """Where each sequence begins; its span goes with the length it was given, and none outlasts what was seen."""
    start, clock = fitted.start, fitted.table.clock
    at = len(start.same)
    own = start.lengths.values[drawn[at + 1]]
    ticks = start.ticks.draw(drawn[at + 2], smoothing=smoothing, rng=rng)
    untimed = drawn[at + 2] < 0
    if clock.kind == "none":
        untimed = np.zeros(untimed.size, dtype=bool)
    elif untimed.any():
        ticks = np.where(
            untimed, rng.choice(np.arange(clock.low, clock.high + 1, max(1, clock.high // 99)), ticks.size), ticks
        )
    spans = start.spans.draw(drawn[at + 3], smoothing=smoothing, rng=rng)
    scaled = np.where(own > 1, spans * np.maximum(lengths - 1, 0) / np.maximum(own - 1, 1), spans)
    spans = np.where(lengths == own, spans, np.rint(scaled)).astype(np.int64)
    spans = np.maximum(spans, (lengths - 1) * fitted.model.shortest)
    if fitted.table.entity is not None:
        ticks = np.maximum(np.minimum(ticks, clock.high - spans), clock.low)
    told = [*range(at), *range(at + 4, 4 + len(start.lookups))]
    traits = [look[drawn[i]] for look, i in zip(start.lookups, told, strict=True)]
    return Beginnings(
        traits=np.stack([*traits, log_codes(lengths)]), ticks=ticks, end=ticks + spans, untimed=untimed,
        lengths=lengths,
    )  # fmt: skip


def _cells(
    table: EventTable, start: Start, drawn: Ids, rolled: Rolled, *, smoothing: float, rng: np.random.Generator
) -> dict[str, pa.Array]:
    """All columns of the made rows."""
    cells: dict[str, pa.Array] = {}
    fresh = np.append(True, rolled.sequence[1:] != rolled.sequence[:-1])
    for i, j in enumerate(start.same):
        once = cells_of(table.outcomes[j], drawn[i], smoothing=smoothing, rng=rng)
        cells[table.outcomes[j].field.name] = once.take(pa.array(rolled.sequence))
    for i, j in enumerate(table.varying):
        outcome = table.outcomes[j]
        cells[outcome.field.name] = steady_cells(outcome, rolled.ids[i], fresh, smoothing=smoothing, rng=rng)
    if table.time is not None:
        cells[table.time.name] = time_cells(table, rolled.ticks, rolled.untimed)
    salt = int(rng.integers(2**63))
    if table.entity is not None:
        named = pa.array(drawn[len(start.same), rolled.sequence] == 0)
        cells[table.entity.field.name] = pc.if_else(named, identifiers(table.entity, rolled.sequence, salt=salt), None)
    for key in table.keys:
        cells[key.field.name] = identifiers(key, np.arange(rolled.sequence.size), salt=salt)
    return cells


def _checked(fitted: FittedEvents, n: int, given: pa.Table | None) -> dict[str, pa.Array]:
    """The given columns, normalised.

    Raises:
        UnknownName: for a column that is not there.
        InputError: for another number of rows, or a column that changes within entities.
    """
    if given is None:
        return {}
    table = fitted.table
    for name in given.column_names:
        if name in fitted.schema and name not in table.schema:
            raise InputError(
                f"{name} follows from other columns and cannot be held fixed by itself",
                mend=f"fit it as a column of its own: --set first={name}",
            )
    plain = checked_given(table.schema, n, given)
    free = {table.outcomes[j].field.name for j in table.varying if table.outcomes[j].chain is None}
    free |= {table.time.name} if table.time is not None else set()
    moving = [name for name in given.column_names if name in free]
    if moving:
        steady = ", ".join(table.outcomes[j].field.name for j in fitted.start.same) or "none here"
        raise InputError(
            f"{', '.join(moving)} changes from event to event and cannot be held fixed",
            mend=f"hold columns that stay the same of an entity: {steady}",
        )
    fixed = {name: flat(plain.column(name)) for name in plain.column_names}
    _refuse_order(fitted, list(fixed))
    return fixed


def _refuse_order(fitted: FittedEvents, names: list[str]) -> None:
    same = [fitted.table.outcomes[j] for j in fitted.start.same]
    held = [i for i, o in enumerate(same) if o.field.name in names and o.chain is None]
    if can_hold(fitted.start.chain, held):
        return
    wanted = ",".join(same[i].field.name for i in held)
    raise InputError(
        f"{wanted} cannot be held fixed: entities were fitted to be drawn in the order "
        + ", ".join(o.field.name for o in same),
        mend=f"fit it with these columns first: --set first={wanted}",
    )


def _runs(fixed: dict[str, pa.Array], n: int) -> Ints:
    """[runs + 1] where the given rows change."""
    changed = np.zeros(n, dtype=bool)
    changed[0] = True
    for array in fixed.values():
        codes = array.dictionary_encode().indices.fill_null(-1).to_numpy(zero_copy_only=False)
        changed[1:] |= codes[1:] != codes[:-1]
    return np.append(np.flatnonzero(changed), n)


def _held(fitted: FittedEvents, fixed: dict[str, pa.Array], rows: Ints) -> dict[int, Ids]:
    """Per column of the chain that is held, the ids at these rows."""
    outcomes = fitted.table.outcomes
    return {
        i: ids_of(outcomes[j], fixed[outcomes[j].field.name].take(pa.array(rows)))
        for i, j in enumerate(fitted.start.same)
        if outcomes[j].field.name in fixed
    }
