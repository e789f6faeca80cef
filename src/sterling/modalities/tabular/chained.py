"""Tables through a chain of trees: what the generators `cart` and `forest` have in common.

What others decide is taken out, and what few people have is hidden; the rest becomes a chain of trees. Rows are drawn
from it in excess, and raking chooses among them those that together have the training rows' one- and two-way margins.
What was taken out is put back, and copies of single people beyond chance are made again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
import pyarrow as pa

from sterling.kernel.dataset import Dataset
from sterling.kernel.errors import InputError
from sterling.kernel.schema import Role, Schema
from sterling.modalities.tabular.anatomy import Anatomy, checked_fields, make_batches, take_apart
from sterling.modalities.tabular.copy_guard import CopyGuard, without_excess
from sterling.modalities.tabular.given import refuse_unknown
from sterling.modalities.tabular.memory import MemorySource
from sterling.modalities.tabular.protect import protect
from sterling.modalities.tabular.structure import Structure, mine_structure, reduce, restore
from sterling.modalities.tabular.structure_steps import Constant
from sterling.stats.boosted_outcome import BoostedOutcome, byte_coder, draw_outcome, fit_outcome
from sterling.stats.raking import Margins, coarse, coarsening, margins_of, rake, resample
from sterling.stats.sequential_trees import ChainSettings, TreeChain, Variable, can_hold, fit_chain, sample_chain

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sterling.kernel.view import Ints
    from sterling.modalities.tabular.outcomes import Ids

    Codes = NDArray[np.uint8]

# Margins are matched on so many classes a column, of so many columns at most, and only as far as a share
# lies beyond a part of its standard error: nearer would be nearer than the rows' own law, and tell of the rows.
CLASSES, MOST_COLUMNS, BAND = 32, 60, 0.25
# A row of the pool may count for so many.
MOST_WEIGHT = 3.0
LEAST_RAKED = 200


@dataclass(frozen=True, slots=True, eq=False)
class Goal:
    """What the chosen rows of a pool are to have in common with the training rows.

    Args:
        columns: the columns that are told apart.
        lookup: [columns, 256] the class of every code.
        margins: shares of their classes and pairs of classes.
    """

    columns: Ints
    lookup: Codes
    margins: Margins


@dataclass(frozen=True, slots=True)
class Making:
    """What is done around the chain.

    Args:
        structure: "mined": what holds in every row is found, taken out and put back; "ignored": left to chance.
        protect: fewest people who may share a level or an extreme, >= 1; see `protect`.
        pool: rows drawn for each row wanted, >= 1; 1 takes them as they come. Rows with columns held
            fixed always are.
        head: "boosted": a declared target of few classes is drawn from boosted trees; "tree": as all columns.
        guard: "copies": copies of single people beyond chance are made again; "none".
    """

    structure: Literal["mined", "ignored"] = "ignored"
    protect: int = 1
    pool: int = 1
    head: Literal["boosted", "tree"] = "tree"
    guard: Literal["copies", "none"] = "none"


PLAIN = Making()


@dataclass(frozen=True, slots=True, eq=False)
class ChainedTable:
    """A table's columns and the trees that draw them.

    Args:
        schema: of the full table.
        structure: what was taken out of it.
        anatomy: of the rest.
        chain: draws the rest.
        goal: the margins of the training rows, where rows are chosen from a pool.
        head: draws the target, where boosted trees do.
        guard: knows the training rows that only one person has.
    """

    schema: Schema
    structure: Structure
    anatomy: Anatomy
    chain: TreeChain
    goal: Goal | None = None
    head: BoostedOutcome | None = None
    guard: CopyGuard | None = None


def fit_table(
    data: Dataset,
    *,
    first: Sequence[str],
    settings: ChainSettings,
    making: Making = PLAIN,
    rng: np.random.Generator,
) -> ChainedTable:
    """Take a table apart and grow the trees of its columns.

    Args:
        data: the training rows.
        first: columns to draw before all others, so that they can be held fixed.
        settings: of the trees.
        making: what is done around them.
        rng: the stream of this task.

    Raises:
        UnknownName: for a name in `first` that is no column.
        InputError: if there is nothing to learn from.
    """
    for name in first:
        data.schema[name]
    full = _records(data)
    structure = mine_structure(full, keep=first) if making.structure == "mined" else Structure()
    shown, _ = protect(reduce(full, structure), k=making.protect)
    anatomy, ids = take_apart(shown)
    variables = [Variable(o.counts, o.ordered) for o in anatomy.outcomes]
    chain = fit_chain(ids, variables, order=_order(anatomy, first), settings=settings, rng=rng)
    return ChainedTable(
        full.schema, structure, anatomy, chain,
        goal=_goal(anatomy, chain, ids) if making.pool > 1 else None,
        head=_head(anatomy, chain, ids, rng=rng) if making.head == "boosted" else None,
        guard=CopyGuard.of(full) if making.guard == "copies" else None,
    )  # fmt: skip


def sample_table(
    fitted: ChainedTable,
    n: int,
    *,
    settings: ChainSettings,
    smoothing: float,
    making: Making = PLAIN,
    given: pa.Table | None,
    rng: np.random.Generator,
) -> Iterator[pa.Table]:
    """Draw n rows in batches.

    Args:
        fitted: what `fit_table` returned.
        n: rows to make, > 0.
        settings: as at fit.
        smoothing: as in `outcomes.cells_of`.
        making: as at fit.
        given: columns to hold fixed, n rows. Identifiers, free texts and columns that never vary always may be;
            the others must be the first in the order in which columns are drawn.
        rng: the stream of this task.

    Raises:
        InputError: for n < 1, or for given columns that cannot be held fixed.
    """
    anatomy, held = fitted.anatomy, given
    if given is not None:
        _refuse(fitted, given.column_names)
        held = given.drop_columns([name for name in given.column_names if name in _constants(fitted)])
        held = held if held.num_columns else None

    def draw(size: int, fixed: Mapping[int, Ids]) -> Ids:
        return _drawn(fitted, size, fixed, settings=settings, pool=making.pool, rng=rng)

    def made(rows: int, known: pa.Table | None) -> Iterator[pa.Table]:
        return make_batches(anatomy, rows, draw=draw, smoothing=smoothing, given=known, rng=rng)

    def remade(batch: pa.Table) -> pa.Table:
        """As many rows as the batch has, with its identifiers and the columns held fixed."""
        names = [m.field.name for m in anatomy.identifiers] + ([] if held is None else held.column_names)
        known = batch.select(list(dict.fromkeys(names))) if names else None
        return _restored(fitted, pa.concat_tables(list(made(batch.num_rows, known))))

    batches = made(n, held)  # errors come before the first row is asked for
    return _finished(fitted, batches, remade=remade, given=given)


def _finished(
    fitted: ChainedTable,
    batches: Iterator[pa.Table],
    *,
    remade: Callable[[pa.Table], pa.Table],
    given: pa.Table | None,
) -> Iterator[pa.Table]:
    """Batches in all their columns, without excess of copies, and with the given cells as they are."""
    start, constants = 0, _constants(fitted)
    for reduced in batches:
        batch = _restored(fitted, reduced)
        if fitted.guard is not None:
            batch, _ = without_excess(
                fitted.guard,
                batch,
                lambda rows, batch=batch: remade(batch.take(pa.array(rows))),
                stuck="borrow" if given is None else "leave",
            )
        for name in () if given is None else given.column_names:
            if name in constants:
                cells = given.column(name).slice(start, batch.num_rows)  # type: ignore[union-attr]
                batch = batch.set_column(batch.column_names.index(name), name, cells)
        start += batch.num_rows
        yield batch


def _restored(fitted: ChainedTable, batch: pa.Table) -> pa.Table:
    return restore(batch, fitted.structure, fitted.schema) if fitted.structure.steps else batch


def _records(data: Dataset) -> Dataset:
    """The rows without the columns in which Sterling notes where a row comes from."""
    fields = checked_fields(data)
    if len(fields) == len(data.schema):
        return data
    names = tuple(f.name for f in fields)
    return replace(data, schema=data.schema.select(names), source=MemorySource(data.table(names)))


def _sizes(chain: TreeChain) -> Ints:
    """[d] codes of each column; the last two of a lookup are for unknown and missing."""
    return np.array([int(lookup[:-2].max(initial=0)) + 1 for lookup in chain.codes], dtype=np.int64)


def _coded(chain: TreeChain, ids: Ids) -> Codes:
    """[d, n] codes of ids."""
    return np.stack([lookup[row] for lookup, row in zip(chain.codes, ids, strict=True)])


def _goal(anatomy: Anatomy, chain: TreeChain, ids: Ids) -> Goal | None:
    """The training rows' margins; of wide tables those of the first columns only."""
    columns = np.flatnonzero([o.counts.size > 1 for o in anatomy.outcomes])[:MOST_COLUMNS]
    if ids.shape[1] < LEAST_RAKED or not columns.size:
        return None
    codes = _coded(chain, ids)[columns]
    ordered = np.array([anatomy.outcomes[j].ordered for j in columns])
    lookup = coarsening(codes, ordered, most=CLASSES)
    return Goal(columns, lookup, margins_of(coarse(codes, lookup)))


def _target(anatomy: Anatomy) -> int | None:
    """Place of a declared target that is a category."""
    found = (j for j, o in enumerate(anatomy.outcomes) if o.field.role is Role.TARGET and not o.ordered)
    return next(found, None)


def _head(anatomy: Anatomy, chain: TreeChain, ids: Ids, *, rng: np.random.Generator) -> BoostedOutcome | None:
    """What draws the target from all other columns."""
    target = _target(anatomy)
    if target is None or anatomy.outcomes[target].chain is not None or len(ids) < 2:
        return None
    others = np.delete(np.arange(len(ids)), target)
    coder = byte_coder(_sizes(chain)[others], np.array([not anatomy.outcomes[j].ordered for j in others]))
    return fit_outcome(_coded(chain, ids)[others], ids[target], coder, rng=rng)


def _drawn(
    fitted: ChainedTable,
    size: int,
    held: Mapping[int, Ids],
    *,
    settings: ChainSettings,
    pool: int,
    rng: np.random.Generator,
) -> Ids:
    """[d, size] ids: the best of a pool, with the target drawn last."""
    # Rows with given columns are not a sample of the table: its margins are no goal for them.
    goal = fitted.goal if pool > 1 and not held else None
    many = size if goal is None else pool * size
    ids = sample_chain(fitted.chain, many, settings=settings, rng=rng, given=held)
    target = _target(fitted.anatomy)
    if fitted.head is not None and target is not None and target not in held:
        others = np.delete(np.arange(len(ids)), target)
        ids[target] = draw_outcome(fitted.head, _coded(fitted.chain, ids)[others], rng=rng)
    if goal is None:
        return ids
    classes = coarse(_coded(fitted.chain, ids)[goal.columns], goal.lookup)
    weights = rake(classes, goal.margins, band=BAND, cap=MOST_WEIGHT).weights
    return ids[:, rng.permutation(resample(weights, size, rng=rng))]


def _order(anatomy: Anatomy, first: Sequence[str]) -> tuple[int, ...]:
    """Those to be first, then file order, the target last: it is drawn knowing all other columns."""

    def place(j: int) -> tuple[int, bool]:
        field = anatomy.outcomes[j].field
        ahead = list(first).index(field.name) if field.name in first else len(first)
        return ahead, field.role is Role.TARGET

    return tuple(sorted(range(len(anatomy.outcomes)), key=place))


def _constants(fitted: ChainedTable) -> set[str]:
    return {step.column for step in fitted.structure.steps if isinstance(step, Constant)}


def _refuse(fitted: ChainedTable, names: Sequence[str]) -> None:
    refuse_unknown(fitted.schema, names)
    fixed = [name for name in names if name not in _constants(fitted)]
    made = {step.column for step in fitted.structure.steps} & set(fixed)
    places = [j for j in map(fitted.anatomy.position, fixed) if j is not None]
    if not made and can_hold(fitted.chain, places):
        return
    wanted = ",".join(name for name in fixed if name in made or fitted.anatomy.position(name) is not None)
    if made:
        why = f"it was fitted to work {', '.join(sorted(made))} out from other columns"
    else:
        order = ", ".join(fitted.anatomy.outcomes[j].field.name for j in fitted.chain.order)
        why = f"this generator was fitted to draw columns in the order {order}"
    raise InputError(
        f"{wanted} cannot be held fixed: {why}",
        mend=f"fit it with these columns first: --set first={wanted}",
    )


def check_setting(name: str, value: float, low: float, high: float = float("inf")) -> None:
    """Refuse a setting out of its range.

    Raises:
        InputError: naming the range.
    """
    if not low <= value <= high:
        allowed = f"at least {low}" if high == float("inf") else f"from {low} to {high}"
        raise InputError(f"{name} is {value}", mend=f"give a value {allowed}: --set {name}={low or high}")
