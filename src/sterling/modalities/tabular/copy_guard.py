"""Copies of training rows that only one person has: no more of them than chance would make."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import pyarrow as pa

from sterling.kernel.dataset import Dataset
from sterling.kernel.schema import Field, Kind, Role
from sterling.modalities.tabular.canonical import canonical, flat, floats, seconds
from sterling.modalities.tabular.hashing import row_hashes
from sterling.modalities.tabular.infer import PROVENANCE
from sterling.modalities.tabular.memory import plain_table
from sterling.modalities.tabular.storage import normalise
from sterling.stats.binning import bin_numbers, codes_of

if TYPE_CHECKING:
    from sterling.kernel.view import Bools, Floats, Hashes, Ints

IDENTIFIERS = (Role.KEY, Role.ENTITY)
# Unique rows by how rare their cells are: half of them, and then ever smaller shares up to the rarest 2 %.
EDGES = (0.5, 0.7, 0.9, 0.98)
# More copies than chance makes in 1 of 40 batches are too many, and are brought down to what it makes on average.
ALPHA = 0.025
ROUNDS = 8
BINS, PROBE = 10, 50_000


@dataclass(frozen=True, slots=True, eq=False)
class CopyGuard:
    """The training rows that only one person has, and how often a fresh real row equals one of them.

    Args:
        fields: what counts as the row: all columns but identifiers.
        hashes: [u] of the unique rows, sorted.
        stratum: [u] how rare each is, 0 = least.
        rates: [s] the chance that a fresh real row equals a unique row of this stratum.
        rows: how many training rows the rates rest on.
    """

    fields: tuple[Field, ...]
    hashes: Hashes
    stratum: Ints
    rates: Floats
    rows: int

    @property
    def rate(self) -> float:
        """The chance that a fresh real row equals a training row that only one person has."""
        return float(self.rates.sum())

    @staticmethod
    def of(data: Dataset) -> CopyGuard:
        """Learn the unique rows of the training set.

        The rate is estimated from the training rows themselves: a row is to those of all other people what a
        fresh one is to all, and meets a unique one where exactly one other person has it. It is taken
        apart by how rare the rows' cells are, for copies of common rows must not excuse copies of rare ones.

        Args:
            data: the rows the generator saw, before any protection.

        Source: Good 1953, "The population frequencies of species", Biometrika 40:237: the mass of kinds seen
        once is 2 f2 / n.
        """
        fields = tuple(f for f in data.schema if f.role not in IDENTIFIERS and not f.name.startswith(PROVENANCE))
        if not fields or not data.rows:
            return CopyGuard(fields, np.empty(0, np.uint64), np.empty(0, np.int64), np.zeros(len(EDGES) + 1), data.rows)
        table = plain_table(data)
        hashes, first, kind = np.unique(_hashes(table, fields), return_index=True, return_inverse=True)
        people, rows = _people(table, data, kind, hashes.size), np.bincount(kind)
        rare = _rarity(table, fields)[first]
        single = people == 1
        cuts = np.quantile(rare[single], EDGES) if single.any() else np.zeros(len(EDGES))
        stratum = np.searchsorted(cuts, rare, side="left").astype(np.int64)
        paired = people == 2
        met = np.bincount(stratum[paired], weights=rows[paired], minlength=len(EDGES) + 1)
        return CopyGuard(fields, hashes[single], stratum[single], met / data.rows, data.rows)

    def copied(self, batch: pa.Table) -> Ints:
        """[n] the stratum of the unique training row that each row equals; -1 where it equals none."""
        if not self.hashes.size or not batch.num_rows:
            return np.full(batch.num_rows, -1)
        return self._strata(_hashes(normalise(batch).table, self.fields))

    def excess(self, batch: pa.Table) -> Bools:
        """[n] True for rows to be made again: copies of unique rows beyond what chance gives, picked at random.

        A stratum is brought down to the natural number once it has more copies than chance makes in one batch of
        40, and never below: a record that is avoided is as visible as one that is repeated. The same
        batch always gives the same answer.

        Args:
            batch: made rows, in the types and columns of the training rows.
        """
        flagged = np.zeros(batch.num_rows, dtype=bool)
        if not self.hashes.size or not batch.num_rows:
            return flagged
        made = _hashes(normalise(batch).table, self.fields)
        strata = self._strata(made)
        rng = np.random.Generator(np.random.PCG64(int(np.bitwise_xor.reduce(made)) ^ made.size))
        for s, rate in enumerate(self.rates):
            rows = np.flatnonzero(strata == s)
            expected = float(rate) * batch.num_rows
            if rows.size > _most(expected, batch.num_rows / self.rows):
                keep = min(rows.size, int(expected + rng.random()))
                flagged[rng.permutation(rows)[keep:]] = True
        return flagged

    def _strata(self, hashes: Hashes) -> Ints:
        at = np.minimum(np.searchsorted(self.hashes, hashes), self.hashes.size - 1)
        return np.where(self.hashes[at] == hashes, self.stratum[at], -1).astype(np.int64)


@dataclass(frozen=True, slots=True)
class Redrawn:
    """What guarding a batch took.

    Args:
        redrawn: rows that were made again.
        replaced: rows that stayed copies in every round, and now repeat another made row instead.
        left: rows that stayed copies, because nothing else could be made.
    """

    redrawn: int = 0
    replaced: int = 0
    left: int = 0


def without_excess(
    guard: CopyGuard,
    batch: pa.Table,
    remake: Callable[[Ints], pa.Table],
    *,
    stuck: Literal["borrow", "leave"] = "borrow",
    rounds: int = ROUNDS,
) -> tuple[pa.Table, Redrawn]:  # fmt: skip
    """The batch with the excess of copies made again.

    Args:
        guard: of the training rows.
        batch: n made rows.
        remake: from [r] positions to r rows that are to stand there, in the batch's columns.
        stuck: what to do with rows that are copies after all rounds: let them take the columns of other rows of the
            batch that are none, or leave them (where columns are held fixed, no row can take another's place).
        rounds: how often rows are made again, at most.
    """
    redrawn, flagged = 0, guard.excess(batch)
    for _ in range(rounds):
        rows = np.flatnonzero(flagged)
        if not rows.size:
            return batch, Redrawn(redrawn)
        redrawn += rows.size
        batch = _put(batch, rows, remake(rows), batch.column_names)
        flagged = guard.excess(batch)
    rows, others = np.flatnonzero(flagged), np.flatnonzero(guard.copied(batch) < 0)
    if stuck == "leave" or not rows.size or not others.size:
        return batch, Redrawn(redrawn, left=int(rows.size))
    names = [f.name for f in guard.fields if f.name in batch.column_names]
    donors = others[np.arange(rows.size) * 7919 % others.size]
    return _put(batch, rows, batch.take(pa.array(donors)), names), Redrawn(redrawn, replaced=int(rows.size))


def _put(batch: pa.Table, rows: Ints, new: pa.Table, names: list[str]) -> pa.Table:
    """The batch with new cells in some rows of some columns."""
    place = np.arange(batch.num_rows)
    place[rows] = batch.num_rows + np.arange(rows.size)
    for name in names:
        i = batch.column_names.index(name)
        both = pa.chunked_array([*batch.column(i).chunks, *new.column(name).cast(batch.schema.types[i]).chunks])
        batch = batch.set_column(i, batch.schema.field(i), both.take(pa.array(place)))
    return batch.combine_chunks()


def _most(expected: float, size: float) -> float:
    """The number of copies that chance exceeds in one batch of 40; size of the batch in training sets."""
    from scipy.special import pdtrik

    if expected <= 0:
        return 0.0
    # Pairs count double: so wide is the rate itself.
    spread = 1.96 * np.sqrt(expected * (1 + 2 * size))
    return max(float(np.ceil(pdtrik(1 - ALPHA, expected))), expected + float(spread))


def _hashes(table: pa.Table, fields: tuple[Field, ...]) -> Hashes:
    cells = [canonical(table.column(f.name), f) for f in fields]
    return row_hashes(pa.table(cells, names=[f.name for f in fields]))


def _people(table: pa.Table, data: Dataset, kind: Ints, kinds: int) -> Ints:
    """[kinds] how many people have each kind of row: entities where a column names them, else rows."""
    entity = next((f.name for f in data.schema.with_role(Role.ENTITY)), None)
    if entity is None:
        return np.bincount(kind, minlength=kinds)
    codes = flat(table.column(entity)).dictionary_encode().indices.fill_null(-1).to_numpy(zero_copy_only=False)
    owners = codes.astype(np.int64)
    owners[owners < 0] = owners.max(initial=0) + 1 + np.arange(int((owners < 0).sum()))
    width = int(owners.max(initial=0)) + 1
    return np.bincount(np.unique(kind * width + owners) // width, minlength=kinds)


def _rarity(table: pa.Table, fields: tuple[Field, ...]) -> Floats:
    """[n] sum over the columns of -log(share of rows with this cell); numbers by tenths. As in `stats.rarity`."""
    total = np.zeros(table.num_rows)
    for field in fields:
        if field.kind is Kind.TEXT:
            continue
        cells = canonical(table.column(field.name), field)
        if field.kind in (Kind.NUMBER, Kind.DATETIME):
            values = (seconds if field.kind is Kind.DATETIME else floats)(cells)
            probe = values[:: max(1, values.size // PROBE)]
            codes = codes_of(bin_numbers(probe, most=BINS), values).astype(np.int64)
        else:
            codes = cells.dictionary_encode().indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64) + 1
        total -= np.log(np.bincount(codes)[codes] / table.num_rows)
    return np.round(total, 9)
