"""What planted faults are made of: choosing columns, rows and slices of a table, and changing cells in place.

Pure functions on Arrow tables. Every change keeps the table's column order, column types and number of rows
unless its name says otherwise; missing cells stay missing unless they are what is changed.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from sterling.kernel.estimate import Unmeasured
from sterling.kernel.schema import Field, Kind, Role, Schema

if TYPE_CHECKING:
    from sterling.kernel.view import AnyArray, Bools, Floats, Ints

NO_TARGET = Unmeasured("no target is declared, so there are no labels to spoil", "declare it: --target COLUMN")
NO_CATEGORY = Unmeasured("there is no column of categories with two levels", "nothing to mend if there is none")
NO_NUMBER = Unmeasured("there is no column of numbers with several values", "nothing to mend if there is none")
# Faults strike what a model learns from; identifiers, entities and weights are not compared.
STRUCK = (Role.FEATURE, Role.GROUP)
# Columns with more levels than this make no slices: each would be a handful of rows.
MOST_LEVELS = 50
MOST_COLUMNS = 16
NOT_CASTABLE = (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError)


@dataclass(frozen=True, slots=True, eq=False)
class Levels:
    """A column of two tables in one coding.

    Args:
        name: of the column.
        real: [n] codes, missing = -1.
        synthetic: [m] codes, missing = -1.
        labels: text of each code; ranges of numbers read "low-high".
    """

    name: str
    real: Ints
    synthetic: Ints
    labels: tuple[str, ...]

    @property
    def shares(self) -> Floats:
        """[k] share of the real rows that each code holds."""
        counts = np.bincount(self.real[self.real >= 0], minlength=len(self.labels))
        return counts / max(1, self.real.size)

    @property
    def made(self) -> Ints:
        """[k] synthetic rows that each code holds."""
        return np.bincount(self.synthetic[self.synthetic >= 0], minlength=len(self.labels))


def struck(real: pa.Table, synthetic: pa.Table, schema: Schema, *kinds: Kind) -> tuple[Field, ...]:
    """The features and groups of these kinds (all kinds where none is named) that both tables have."""
    both = set(real.column_names) & set(synthetic.column_names)
    return tuple(f for f in schema if f.name in both and f.role in STRUCK and (not kinds or f.kind in kinds))


def quantities(real: pa.Table, synthetic: pa.Table, schema: Schema, *, distinct: int = 3) -> tuple[str, ...]:
    """Columns of numbers that both tables store as numbers, with at least so many values in each."""
    return tuple(
        f.name
        for f in struck(real, synthetic, schema, Kind.NUMBER)
        if all(is_numeric(t, f.name) and _distinct(t, f.name, distinct) for t in (real, synthetic))
    )


def is_numeric(table: pa.Table, name: str) -> bool:
    """Whether a column is stored as whole or floating numbers."""
    kind = table.schema.field(name).type
    return pa.types.is_integer(kind) or pa.types.is_floating(kind)


def _distinct(table: pa.Table, name: str, least: int) -> bool:
    values = numbers(table, name)
    return np.unique(values[np.isfinite(values)]).size >= least


def target_of(real: pa.Table, synthetic: pa.Table, schema: Schema) -> Field | None:
    """The declared target, where both tables have it."""
    target = schema.target
    there = target is not None and target.name in real.column_names and target.name in synthetic.column_names
    return target if there else None


def numbers(table: pa.Table, name: str) -> Floats:
    """[n] float64, missing = NaN, of a column that `is_numeric`."""
    column = table.column(name).cast(pa.float64(), safe=False).fill_null(np.nan)
    return np.asarray(column.to_numpy(), dtype=np.float64)


def codes(table: pa.Table, name: str) -> tuple[Ints, pa.Array]:
    """[n] codes (missing = -1) and the distinct cells they point into, in order of first appearance."""
    column = table.column(name)
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    encoded = pa.chunked_array([column.combine_chunks()]).combine_chunks().dictionary_encode()
    index = encoded.indices.cast(pa.int64()).fill_null(-1).to_numpy(zero_copy_only=False)
    return index, encoded.dictionary


def levels(real: pa.Table, synthetic: pa.Table, spec: Field, *, parts: int = 4) -> Levels | None:
    """A column of both tables in one coding: categories by level, numbers by quantile ranges of the real ones.

    Args:
        real: one table.
        synthetic: the other.
        spec: the column; TEXT and other kinds have no levels.
        parts: ranges that a column of numbers falls into.

    Returns:
        None where the column has fewer than two levels, more than `MOST_LEVELS`, or no such coding.
    """
    if spec.kind is Kind.NUMBER and is_numeric(real, spec.name) and is_numeric(synthetic, spec.name):
        return _ranges(spec.name, numbers(real, spec.name), numbers(synthetic, spec.name), parts)
    if spec.kind is not Kind.CATEGORY:
        return None
    tables = [pa.table({spec.name: texts(t, spec.name)}) for t in (real, synthetic)]
    index, words = codes(pa.concat_tables(tables), spec.name)
    if not 2 <= len(words) <= MOST_LEVELS:
        return None
    return Levels(spec.name, index[: real.num_rows], index[real.num_rows :], tuple(words.to_pylist()))


def _ranges(name: str, real: Floats, synthetic: Floats, parts: int) -> Levels | None:
    known = real[np.isfinite(real)]
    if known.size < 2:
        return None
    cuts = np.unique(np.quantile(known, np.linspace(0, 1, parts + 1)))
    if cuts.size < 3:
        return None
    inner = cuts[1:-1]
    coded = [np.where(np.isnan(v), -1, np.searchsorted(inner, v, side="right")) for v in (real, synthetic)]
    names = tuple(f"{low:g}-{high:g}" for low, high in itertools.pairwise(cuts))
    return Levels(name, coded[0], coded[1], names)


def texts(table: pa.Table, name: str) -> pa.ChunkedArray:
    """A column as strings."""
    return table.column(name).cast(pa.string())


def all_levels(
    real: pa.Table, synthetic: pa.Table, schema: Schema, *, parts: int = 4, kinds: Sequence[Kind] = ()
) -> tuple[Levels, ...]:
    """The first `MOST_COLUMNS` features and groups that have levels, in the schema's order."""
    wanted = kinds or (Kind.CATEGORY, Kind.NUMBER)
    found = (levels(real, synthetic, f, parts=parts) for f in struck(real, synthetic, schema, *wanted))
    return tuple(one for one in found if one is not None)[:MOST_COLUMNS]


def share_of_rows(n: int, share: float, rng: np.random.Generator) -> Ints:
    """A random share of n rows, sorted; at least one row where the share is not 0, and there is one."""
    count = min(n, max(1, round(share * n))) if share > 0 else 0
    return np.sort(rng.permutation(n)[:count])


def pick(options: Sequence[str], rng: np.random.Generator) -> str:
    """One of them, each as likely."""
    return options[int(rng.integers(len(options)))]


def with_cells(table: pa.Table, name: str, rows: Ints | Bools, cells: pa.Array | pa.ChunkedArray) -> pa.Table:
    """The table with these cells of one column replaced.

    Args:
        table: n rows.
        name: the column.
        rows: [k] positions, or [n] mask.
        cells: [k] new cells, cast to the column's type.
    """
    index = np.flatnonzero(rows) if rows.dtype == bool else rows
    place = table.column_names.index(name)
    column = table.column(name)
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    plain = column.cast(kind).combine_chunks() if column.type != kind else column.combine_chunks()
    flat = plain if isinstance(plain, pa.Array) else pa.concat_arrays(plain.chunks)
    new = cells.combine_chunks() if isinstance(cells, pa.ChunkedArray) else cells
    new = pa.concat_arrays(new.chunks) if isinstance(new, pa.ChunkedArray) else new
    order = np.arange(table.num_rows)
    order[index] = table.num_rows + np.arange(index.size)
    return table.set_column(place, name, pa.concat_arrays([flat, new.cast(kind, safe=False)]).take(pa.array(order)))


def with_numbers(table: pa.Table, name: str, rows: Ints | Bools, values: Floats) -> pa.Table:
    """The table with these numbers written into one column; whole-number columns take the nearest they can hold.

    Args:
        table: n rows.
        name: a column that `is_numeric`.
        rows: [k] positions, or [n] mask.
        values: [k] new numbers, missing = NaN.
    """
    kind = table.schema.field(name).type
    gone = np.isnan(values)
    if not pa.types.is_integer(kind):
        return with_cells(table, name, rows, pa.array(values, mask=gone))
    limit = np.iinfo(kind.to_pandas_dtype())
    # 1024 is the spacing of float64 just below 2**63: the largest float64 that int64 still holds.
    top = float(limit.max) if limit.bits < 64 else float(limit.max) - 1024
    whole = np.clip(np.rint(np.where(gone, 0.0, values)), float(limit.min), top)
    return with_cells(table, name, rows, pa.array(whole.astype(kind.to_pandas_dtype()), mask=gone))


def with_rows(table: pa.Table, rows: Ints, donors: pa.Table) -> pa.Table:
    """The table with whole rows overwritten by rows of another table.

    Args:
        table: n rows.
        rows: [k] positions.
        donors: k rows; columns that the table lacks are left out, and a column whose cells cannot be cast to
            the table's type keeps its own.
    """
    for name in table.column_names:
        if name in donors.column_names:
            try:
                table = with_cells(table, name, rows, donors.column(name))
            except NOT_CASTABLE:
                continue
    return table


def flipped(table: pa.Table, target: Field, rows: Ints, rng: np.random.Generator) -> pa.Table | Unmeasured:
    """The table with other labels in these rows: another class for each, or the number of a random other row."""
    if target.kind is Kind.NUMBER and is_numeric(table, target.name):
        donors = rng.integers(table.num_rows, size=rows.size)
        return with_numbers(table, target.name, rows, numbers(table, target.name)[donors])
    index, words = codes(table, target.name)
    if len(words) < 2:
        return Unmeasured(f"{target.name} has one class only", "give rows of at least two classes")
    other = (index[rows] + 1 + rng.integers(len(words) - 1, size=rows.size)) % len(words)
    known = index[rows] >= 0
    return with_cells(table, target.name, rows[known], words.take(pa.array(other[known])))


def nearly(shares: Floats, share: float, *, factor: float = 2.0) -> Ints:
    """Positions of the shares that differ from the wanted one by no more than a factor."""
    return np.flatnonzero((shares >= share / factor) & (shares <= share * factor))


def crossed(a: Levels, b: Levels) -> tuple[Floats, Ints]:
    """[ka, kb] share of the real rows and count of the synthetic rows in each pair of levels."""
    size = len(a.labels) * len(b.labels)
    tables: list[AnyArray] = []
    for x, y in ((a.real, b.real), (a.synthetic, b.synthetic)):
        both = (x >= 0) & (y >= 0)
        tables.append(np.bincount(x[both] * len(b.labels) + y[both], minlength=size).reshape(len(a.labels), -1))
    return tables[0] / max(1, a.real.size), tables[1]


def association(a: Levels, b: Levels) -> float:
    """Cramer's V of two columns in the real rows, corrected for bias: 0 independent, 1 one follows from the other.

    Source: Bergsma 2013, Journal of the Korean Statistical Society 42:323.
    """
    shares, _ = crossed(a, b)
    n = float(a.real.size)
    total = shares.sum()
    if n < 2 or total <= 0:
        return 0.0
    joint = shares[shares.sum(axis=1) > 0][:, shares.sum(axis=0) > 0] / total
    expected = np.outer(joint.sum(axis=1), joint.sum(axis=0))
    r, k = joint.shape
    phi2 = max(0.0, float(((joint - expected) ** 2 / expected).sum()) - (r - 1) * (k - 1) / (n - 1))
    least = min(r - (r - 1) ** 2 / (n - 1), k - (k - 1) ** 2 / (n - 1)) - 1
    return float(np.sqrt(min(1.0, phi2 / least))) if least > 0 else 0.0


def spread(values: Floats) -> float:
    """Standard deviation of the finite values; 0 where there are none, or where it is too large to say."""
    known = values[np.isfinite(values)]
    with np.errstate(over="ignore", invalid="ignore"):
        found = float(np.std(known)) if known.size else 0.0
    return found if np.isfinite(found) else 0.0


def atoms(values: Floats, *, share: float = 0.05) -> Floats:
    """The values that so large a share of the cells hold, such as the zeros of an amount."""
    distinct, counts = np.unique(values[np.isfinite(values)], return_counts=True)
    return distinct[counts >= share * max(1, values.size)]


def few(n: int, what: str) -> Unmeasured:
    """Why a fault touches nothing in so small a set."""
    return Unmeasured(f"{what} in {n:,} rows", "give more rows, or a larger severity")
