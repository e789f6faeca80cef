"""Rows drawn until enough keep all constraints; identifiers are numbered over those that stay, entities stay whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sterling.kernel.errors import InputError
from sterling.kernel.schema import Role, Schema
from sterling.modalities.tabular.canonical import flat
from sterling.modalities.tabular.constraints import Constraints, Decides, Unique, cells_of
from sterling.modalities.tabular.identifiers import Identifier, identifiers
from sterling.modalities.tabular.storage import normalise, to_storage
from sterling.modalities.tabular.structure_steps import DecidedTogether

if TYPE_CHECKING:
    from sterling.kernel.view import Bools, Ints

# From how many rows, and the columns held fixed, to rows.
Draw: TypeAlias = Callable[[int, "pa.Table | None"], pa.Table]
BATCH_ROWS = 50_000
# So many more rows are drawn at first than are wanted, and at least so many.
MORE, LEAST = 1.1, 64


@dataclass(frozen=True, slots=True, eq=False)
class Work:
    """What one call of `sample` has to do.

    Args:
        n: rows wanted.
        draw: makes rows, whether they keep the constraints or not.
        judge: says which do.
        numbering: of the identifiers that are made here.
        given: [n] rows of columns held fixed.
        cap: rows drawn at most for each row wanted.
    """

    n: int
    draw: Draw
    judge: Judge
    numbering: Numbering
    given: pa.Table | None
    cap: int


class Judge:
    """Which rows keep the constraints, how often each was kept, which unique keys are taken: lives for one `sample`.

    Args:
        constraints: to be kept.
        schema: of the full table.
        tables: of the "decides" constraints.
        made: columns that are numbered after other constraints were looked at.
    """

    def __init__(
        self,
        constraints: Constraints,
        schema: Schema,
        tables: Sequence[tuple[Decides, DecidedTogether]],
        made: Sequence[str],
    ) -> None:
        self._items, self._schema, self._tables = constraints.items, schema, dict(tables)
        late = [isinstance(c, Unique) or not set(made).isdisjoint(c.columns) for c in self._items]
        self._early = [i for i, last in enumerate(late) if not last]
        self._late = [i for i, last in enumerate(late) if last]
        self._kept = np.zeros(len(late), dtype=np.int64)
        self._rows = np.zeros(len(late), dtype=np.int64)
        self._keys: dict[int, set[tuple[Any, ...]]] = {
            i: set() for i, c in enumerate(self._items) if isinstance(c, Unique)
        }  # fmt: skip

    def early(self, table: pa.Table) -> Bools:
        """[n] rows that keep what can be said before identifiers are numbered."""
        return self._right(table, self._early)

    def late(self, table: pa.Table) -> Bools:
        """[n] rows that keep the rest, among themselves and beside all rows taken so far."""
        return self._right(table, self._late)

    def take(self, table: pa.Table) -> None:
        """Note the rows that stay."""
        for i, taken in self._keys.items():
            taken.update(_keys(self._items[i].columns, table))

    def worst(self, n: int, made: int, drawn: int, *, together: str = "") -> InputError:
        """What to say when the cap is reached."""
        rates = self._kept / np.maximum(self._rows, 1)
        at = int(np.argmin(np.where(self._rows > 0, rates, 1.0)))
        return InputError(
            f"only {made:,} of {n:,} rows keep all constraints after {drawn:,} were drawn: "
            f"{self._items[at].text!r} is kept by {rates[at]:.2%} of them{together}",
            mend="loosen that constraint, set keep = false, or learn from rows that keep it",
        )

    def _right(self, table: pa.Table, places: Sequence[int]) -> Bools:
        right = np.ones(table.num_rows, dtype=bool)
        if not table.num_rows:
            return right
        cells = cells_of(normalise(table).table, self._schema)
        for i in places:
            item = self._items[i]
            if isinstance(item, Decides):  # by the table, so that all batches agree
                told = cells[item.column]
                kept = _same(self._tables[item].made(cells, told.type, table.num_rows), told)
            else:
                kept = item.kept(cells, self._schema)
            if isinstance(item, Unique):
                fresh = [None in key or key not in self._keys[i] for key in _keys(item.of, table)]
                kept = kept & np.array(fresh, dtype=bool)
            self._kept[i] += int(kept.sum())
            self._rows[i] += kept.size
            right &= kept
        return right


@dataclass(frozen=True, slots=True, eq=False)
class Numbering:
    """The identifiers of the rows that stay.

    Args:
        schema: of the full table.
        makers: of the columns that are made here.
        numbers: per maker, [n] the running number of each row's identifier; none where entities are counted as made.
        salt: as for `identifiers`.
    """

    schema: Schema
    makers: tuple[Identifier, ...]
    numbers: tuple[Ints, ...]
    salt: int

    def put(self, table: pa.Table, rows: Ints, entities: Ints | None = None) -> pa.Table:
        """The table with identifiers for the rows of these places; those of entities by their own places, if given."""
        if not self.makers:
            return table
        for i, maker in enumerate(self.makers):
            counted = rows if maker.field.role is Role.KEY else entities
            own = self.numbers[i][rows] if entities is None or counted is None else counted
            place = table.column_names.index(maker.field.name)
            made = identifiers(maker, own, salt=self.salt)
            made = pc.if_else(flat(table.column(place)).is_valid(), made, pa.scalar(None, made.type))
            table = table.set_column(place, maker.field.name, made)
        return to_storage(table, self.schema)


def row_by_row(work: Work) -> Iterator[pa.Table]:
    """Rows, each by itself, in batches; those with given cells are drawn again with their own."""
    for start in range(0, work.n, BATCH_ROWS):
        yield _block(work, np.arange(start, min(start + BATCH_ROWS, work.n)))


def _block(work: Work, slots: Ints) -> pa.Table:
    """The rows of some places."""
    waiting, drawn, rounds = slots, 0, 0
    places, parts = np.empty(0, np.int64), list[pa.Table]()
    while waiting.size:
        made = slots.size - waiting.size
        ask, held = waiting.size, None
        if work.given is None:
            rate = max((made + 1) / (drawn + 1), 1 / work.cap) if drawn else 1.0
            left = work.cap * slots.size + LEAST - drawn
            ask = int(min(max(ask / rate * MORE, LEAST), BATCH_ROWS, left))
        else:
            left, held = work.cap - rounds, work.given.take(pa.array(waiting))
        if left < 1:
            raise work.judge.worst(work.n, int(slots[0]) + made, drawn)
        table = work.draw(ask, held)
        drawn, rounds = drawn + ask, rounds + 1
        good = np.flatnonzero(work.judge.early(table))[: waiting.size]
        own = waiting[good] if held is not None else waiting[: good.size]
        table = work.numbering.put(table.take(pa.array(good)), own)
        right = work.judge.late(table)
        table = table.filter(pa.array(right))
        work.judge.take(table)
        parts.append(table)
        places, waiting = np.append(places, own[right]), np.setdiff1d(waiting, own[right], assume_unique=True)
    return pa.concat_tables(parts).take(pa.array(np.argsort(places, kind="stable")))


def by_entity(work: Work, entity: str | None) -> Iterator[pa.Table]:
    """Whole entities: one that has a wrong row is drawn again with all its rows; only the last may be cut short.

    Without an entity column, or with given cells, all rows are one.
    """
    made, drawn, named, numbered = 0, 0, 0, 0
    one = entity is None or work.given is not None
    while made < work.n:
        left = work.cap * work.n + LEAST - drawn
        rate = max((made + 1) / (drawn + 1), 1 / work.cap) if drawn else 1.0
        ask = work.n if one else int(min(max((work.n - made) / rate * MORE, LEAST), max(BATCH_ROWS, work.n), left))
        if left < ask or ask < 1:
            of = "" if one else f" of a {entity}"
            raise work.judge.worst(work.n, made, drawn, together=f", and one wrong row{of} has all of them drawn again")
        table = work.draw(ask, work.given)
        drawn += ask
        owner = np.zeros(ask, dtype=np.int64) if one or entity is None else _runs(table, entity)
        # The last entity may have been cut short by the end of the draw.
        whole = np.ones(ask, dtype=bool) if one or owner[-1] == 0 else owner < owner[-1]
        table, owner = _kept_whole(table, owner, work.judge.early(table) & whole)
        if table.num_rows and not one:  # all rows as one are of one draw, which numbered them right
            who = named + np.unique(owner, return_inverse=True)[1]
            table = work.numbering.put(table, numbered + np.arange(table.num_rows), who)
            named, numbered = int(who[-1]) + 1, numbered + table.num_rows
        table, owner = _kept_whole(table, owner, work.judge.late(table))
        table = table.slice(0, work.n - made)
        work.judge.take(table)
        made += table.num_rows
        for start in range(0, table.num_rows, BATCH_ROWS):
            yield table.slice(start, BATCH_ROWS)


def _kept_whole(table: pa.Table, owner: Ints, right: Bools) -> tuple[pa.Table, Ints]:
    """The rows of those owners that have no wrong row."""
    wrong = np.bincount(owner, weights=~right) > 0
    rows = np.flatnonzero(~wrong[owner])
    return table.take(pa.array(rows)), owner[rows]


def _runs(table: pa.Table, entity: str) -> Ints:
    """[n] the number of each row's entity: 0, 1 ... for each run of equal cells."""
    encoded = flat(normalise(table.select([entity])).table.column(0)).dictionary_encode()
    codes = encoded.indices.fill_null(len(encoded.dictionary)).to_numpy(zero_copy_only=False)
    return np.append(0, np.cumsum(codes[1:] != codes[:-1])).astype(np.int64)


def _same(made: pa.Array, told: pa.Array) -> Bools:
    same = pc.equal(made, told).fill_null(pa.scalar(value=False))
    return pc.or_(same, pc.and_(made.is_null(), told.is_null())).to_numpy(zero_copy_only=False)


def _keys(names: Sequence[str], table: pa.Table) -> list[tuple[Any, ...]]:
    return list(zip(*(table.column(name).to_pylist() for name in names), strict=True))
