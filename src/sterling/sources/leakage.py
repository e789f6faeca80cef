"""Benchmark rows that the train part holds too: exactly, or in all columns but one."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from sterling.kernel.dataset import Dataset
from sterling.kernel.schema import Field
from sterling.modalities.tabular import canonical, column_hashes, comparable, plain_table

if TYPE_CHECKING:
    from sterling.kernel.view import Bools, Hashes, Ints

# Counts within so many standard errors of the train part's own rate are its natural duplicates.
STANDARD_ERRORS = 3.0
# Duplicates come at least in pairs, which doubles the variance of their number.
PAIRS = 2.0
SHOWN = 10


@dataclass(frozen=True, slots=True)
class Leakage:
    """What of the benchmark was already in train.

    Args:
        n: benchmark rows.
        exact: benchmark rows that are in train beyond what natural duplicates explain; 0 within chance.
        near: the same for rows that differ from a train row in one column.
        exact_seen: all benchmark rows that are in train.
        near_seen: all that are not, and differ from a train row in one column.
        natural_exact: how many of `exact_seen` the train part's own duplicates lead one to expect.
        natural_near: likewise for `near_seen`.
        examples: positions in the benchmark of the first rows seen in train.
    """

    n: int
    exact: int
    near: int
    exact_seen: int
    near_seen: int
    natural_exact: float
    natural_near: float
    examples: tuple[int, ...] = ()

    @property
    def share(self) -> float:
        """Leaked share of the benchmark, 0 (none) to 1; smaller is better."""
        return (self.exact + self.near) / self.n if self.n else 0.0

    @property
    def sentence(self) -> str:
        """The finding in plain words."""
        return (
            f"{self.exact_seen:,} of {self.n:,} benchmark rows are also in the train part "
            f"({self.natural_exact:,.0f} would be natural), and {self.near_seen:,} more differ from a train row "
            f"in one column ({self.natural_near:,.0f} would be natural)"
        )


def leakage(train: Dataset, benchmark: Dataset) -> Leakage:
    """Find benchmark rows in the train part.

    Few or coarse columns repeat by nature, so counts are held against the rate at which train rows have
    a twin among the other train rows: that is what an untouched row of the same population would show.
    Near duplicates are found by leaving each column out in turn; rows in which several columns were
    changed are not found.

    Args:
        train: the rows that train.
        benchmark: the rows set apart.

    Returns:
        Counts of what was seen, what was natural, and what is left as leaked.

    Raises:
        UnrelatedInput: if the two share no column.
    """
    fields = comparable([train, benchmark])
    sides = [_columns(one, [f.name for f in fields], fields) for one in (train, benchmark)]
    total_train, total_bench = (_total(t) for t in sides)
    in_train = _count(total_train, total_train)
    in_bench = _count(total_train, total_bench)
    near_train, near_bench = np.zeros(train.rows, dtype=bool), np.zeros(benchmark.rows, dtype=bool)
    for name in sides[0].column_names if len(fields) > 1 else []:
        rest_train = total_train - column_hashes(sides[0].column(name), name)
        rest_bench = total_bench - column_hashes(sides[1].column(name), name)
        near_train |= _count(rest_train, rest_train) > in_train
        near_bench |= _count(rest_train, rest_bench) > in_bench
    exact = in_bench > 0
    natural = in_train > 1
    return _judge(exact, near_bench & ~exact, natural, near_train & ~natural)


def _columns(dataset: Dataset, names: list[str], fields: tuple[Field, ...]) -> pa.Table:
    table = plain_table(dataset, tuple(names))
    return pa.table([canonical(table.column(f.name), f) for f in fields], names=names)


def _total(table: pa.Table) -> Hashes:
    total = np.zeros(table.num_rows, dtype=np.uint64)
    for name in table.column_names:
        total += column_hashes(table.column(name), name)
    return total


def _count(among: Hashes, wanted: Hashes) -> Ints:
    """[m] how often each wanted hash occurs among the others."""
    ordered = np.sort(among)
    return np.searchsorted(ordered, wanted, side="right") - np.searchsorted(ordered, wanted, side="left")


def _judge(exact: Bools, near: Bools, natural_exact: Bools, natural_near: Bools) -> Leakage:
    n = exact.size
    expected = [float(np.mean(side)) * n if side.size else 0.0 for side in (natural_exact, natural_near)]
    seen = [int(exact.sum()), int(near.sum())]
    beyond = [_beyond(k, e, n=n, n_train=natural_exact.size) for k, e in zip(seen, expected, strict=True)]
    return Leakage(
        n=n,
        exact=beyond[0],
        near=beyond[1],
        exact_seen=seen[0],
        near_seen=seen[1],
        natural_exact=expected[0],
        natural_near=expected[1],
        examples=tuple(np.flatnonzero(exact | near)[:SHOWN].tolist()),
    )


def _beyond(seen: int, expected: float, *, n: int, n_train: int) -> int:
    """Rows beyond the expected, or 0 where chance explains them (two-proportion z test, variance doubled)."""
    if not n or not n_train or seen <= expected:
        return 0
    pooled = (seen + expected / n * n_train) / (n + n_train)
    error = n * math.sqrt(PAIRS * pooled * (1.0 - pooled) * (1.0 / n + 1.0 / n_train))
    return round(seen - expected) if seen - expected > STANDARD_ERRORS * error else 0
