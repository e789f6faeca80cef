"""What a column can be, for a generator that may look at nothing it has not paid for.

Public, and free: the names of columns, their storage types (whole number, number, text, truth value, date), and what
the user declared of them in the schema file. Everything else that inference reads off the data (kinds of text
columns, levels, ranges, decimals, whether cells are missing, which column is a key) is not looked at.

A number column costs nothing where its range is declared and holds few values; else a noisy histogram finds where its
mass lies. A text column costs nothing where its levels are declared; else the levels that more records share than noise
explains are found, and all others become one level.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sterling.kernel.errors import InputError
from sterling.kernel.schema import Field, Kind, Role
from sterling.modalities.tabular.canonical import canonical, floats, seconds, texts

if TYPE_CHECKING:
    from sterling.kernel.view import Floats, Ints

Domain = Literal["declared", "paid"]
# The level of all texts that too few records share to be named.
OTHER = "(other)"
# A declared list longer than this makes a code, not a category.
MOST_DECLARED = 10_000
# Positions within a number's range are counted in at most so many units.
MOST_UNITS = 10**7
MOST_PLACES = 2.0**40
INTEGERS = ("int", "uint")
TEXTS = ("string", "large_string", "string_view")


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """The values that a number may take: base + unit * (0 ... units - 1)."""

    base: float
    unit: float
    units: int

    def place(self, values: Floats) -> Ints:
        """[n] the nearest place of each value; beyond the ends, the end."""
        with np.errstate(over="ignore", invalid="ignore"):
            place = np.rint((values - self.base) / self.unit)
        return np.clip(np.nan_to_num(place, nan=0.0), 0, self.units - 1).astype(np.int64)

    def value(self, place: Ints) -> Floats:
        """[n] the values at these places, without the dust of binary fractions."""
        values: Floats = np.asarray(self.base + place * self.unit, dtype=np.float64)
        places = max(0, -math.floor(math.log10(self.unit))) if self.unit < 1 else None
        return values if places is None else np.asarray(np.round(values, places), dtype=np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class PrivateColumn:
    """A column as codes 0 ... size - 1, and back.

    Args:
        field: what may be published of it: nothing that was neither declared nor paid for.
        levels: its texts, for a category.
        grid: its values, for a number or date.
        edges: [k + 1] places on the grid where leaves begin and end.
        bins: [k] the code of each leaf.
        mass: [k] noisy number of records in each leaf.
        nullable: whether the last code stands for a missing cell.
        empty: made empty throughout, and never looked at.
    """

    field: Field
    levels: tuple[str, ...] = ()
    grid: Grid | None = None
    edges: Ints | None = None
    bins: Ints | None = None
    mass: Floats | None = None
    nullable: bool = True
    empty: bool = False

    @property
    def known(self) -> int:
        """Codes that stand for a value."""
        return len(self.levels) if self.bins is None else int(self.bins[-1]) + 1

    @property
    def size(self) -> int:
        """All codes."""
        return max(1, self.known + self.nullable)


def kind_of(field: Field) -> Kind:
    """What a column holds by declaration, else by its storage type alone; never by its cells."""
    if "kind" in field.declared:
        return field.kind
    if "levels" in field.declared or field.storage in (*TEXTS, "bool", "null", ""):
        return Kind.CATEGORY
    return Kind.DATETIME if field.storage.startswith(("date", "timestamp")) else Kind.NUMBER


def has_range(field: Field) -> bool:
    """Whether both ends of a number are declared."""
    return {"low", "high"} <= set(field.declared) and field.low is not None and field.high is not None


def has_levels(field: Field) -> bool:
    """Whether all texts are declared, or follow from the storage type."""
    return field.storage in ("bool", "null") or ("levels" in field.declared and field.levels is not None)


def undeclared(field: Field) -> str | None:
    """The lines of a schema file that a column lacks; None where nothing is missing."""
    kind = kind_of(field)
    if kind is Kind.CATEGORY and not has_levels(field):
        return f'[columns.{_key(field.name)}]\nlevels = ["...", "..."]'
    if kind in (Kind.NUMBER, Kind.DATETIME) and not has_range(field):
        example = ("2000-01-01", "2030-01-01") if kind is Kind.DATETIME else ("0", "100")
        return f"[columns.{_key(field.name)}]\nlow = {example[0]}\nhigh = {example[1]}"
    return None


def published(field: Field) -> Field:
    """The field without any fact that was read off the data."""
    told = set(field.declared)
    role = field.role if field.role is not Role.KEY or "role" in told else Role.FEATURE
    kept = {name: getattr(field, name) for name in ("levels", "low", "high") if name in told}
    plain = replace(field, kind=kind_of(field), role=role, levels=None, low=None, high=None)
    return replace(plain, nullable=field.nullable if "nullable" in told else True, **kept)


def category(field: Field, levels: Sequence[str], *, other: bool) -> PrivateColumn:
    """A column of texts.

    Raises:
        InputError: for more declared levels than a category has.
    """
    if len(levels) > MOST_DECLARED:
        raise InputError(
            f"{field.name!r} declares {len(levels):,} levels: {MOST_DECLARED:,} are the most that noise leaves a use",
            mend="declare coarser levels (postcode areas instead of postcodes), or leave it empty: "
            f"--set empty={field.name}",
        )
    spec = published(field)
    named = (*levels, OTHER) if other else tuple(levels)
    shown = replace(spec, levels=named)
    return PrivateColumn(shown, levels=named, nullable=spec.nullable or not named)


def grid_of(field: Field, low: float, high: float) -> Grid:
    """The places of a number between two ends: whole for whole numbers, seconds or days for dates, else decimal."""
    if field.storage.startswith("date"):
        low, high, unit = math.floor(low / 86400) * 86400.0, high, 86400.0
    elif field.storage.startswith((*INTEGERS, "timestamp")):
        # Beyond so many places, whole numbers are told apart in powers of two.
        unit = 2.0 ** max(0, math.ceil(math.log2(max(1.0, (high - low) / MOST_PLACES))))
        low, high = math.ceil(low), math.floor(high)
    elif field.storage.startswith("decimal"):
        unit = 10.0 ** max(
            math.ceil(math.log10(max(1e-300, (high - low) / MOST_PLACES))),
            -int(field.storage.rstrip(")").rpartition(",")[2] or 0),
        )
    else:
        unit = 10.0 ** math.ceil(math.log10((high - low) / MOST_UNITS)) if high > low else 1.0
        low = math.floor(low / unit) * unit if high > low else low
    return Grid(float(low), unit, max(1, round((high - low) / unit) + 1))


def values_of(field: Field, array: pa.Array, kind: Kind) -> Floats:
    """[n] float64 (dates: seconds since 1970); what is missing or no number is NaN."""
    cells = canonical(array, replace(field, kind=kind))
    return seconds(cells) if kind is Kind.DATETIME else floats(cells)


def codes_of(column: PrivateColumn, array: pa.Array) -> Ints:
    """[n] int64 codes; -1 for a cell that a column without missing cells cannot hold."""
    if column.empty:
        return np.zeros(len(array), dtype=np.int64)
    absent = column.known if column.nullable else -1
    if column.grid is None or column.edges is None or column.bins is None:
        words = canonical(array, replace(column.field, kind=Kind.CATEGORY))
        found = pc.index_in(texts(words), pa.array(column.levels, pa.string()))
        place = found.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
        other = len(column.levels) - 1 if OTHER in column.levels else absent
        gone = words.is_null().to_numpy(zero_copy_only=False)
        return np.where(gone, absent, np.where(place < 0, other, place))
    values = values_of(column.field, array, column.field.kind)
    leaf = np.searchsorted(column.edges, column.grid.place(values), side="right") - 1
    return np.where(np.isnan(values), absent, column.bins[leaf])


def given_codes(column: PrivateColumn, array: pa.Array) -> Ints:
    """[n] int64 codes of cells that the user holds fixed; -1 where the model knows nothing of such a cell."""
    codes = codes_of(column, array)
    if column.empty:
        return np.full(codes.size, -1, dtype=np.int64)
    if column.grid is None:
        known = pc.is_in(canonical(array, replace(column.field, kind=Kind.CATEGORY)), pa.array(column.levels))
        there = pc.fill_null(known, pa.scalar(value=False)).to_numpy(zero_copy_only=False)
        gone = array.is_null().to_numpy(zero_copy_only=False) & column.nullable
        return np.where(there | gone, codes, -1)
    return codes


def cells_of(column: PrivateColumn, codes: Ints, *, rng: np.random.Generator) -> pa.Array:
    """Made cells: texts, numbers or seconds, ready for `to_storage`."""
    if column.empty:
        return pa.nulls(codes.size, pa.string())
    gone = codes >= column.known
    if column.grid is None or column.edges is None or column.bins is None or column.mass is None:
        return pa.array(column.levels, pa.string()).take(pa.array(codes, mask=gone))
    place = np.zeros(codes.size, dtype=np.int64)
    for code in np.unique(codes[~gone]).tolist():
        rows = np.flatnonzero(codes == code)
        leaves = np.flatnonzero(column.bins == code)
        mass = np.maximum(column.mass[leaves], 0.0)
        width = np.diff(column.edges)[leaves]
        share = mass if mass.sum() > 0 else width.astype(np.float64)
        leaf = leaves[rng.choice(leaves.size, rows.size, p=share / share.sum())]
        place[rows] = rng.integers(column.edges[leaf], column.edges[leaf + 1])
    values = column.grid.value(place)
    if column.field.kind is Kind.DATETIME:
        values = np.clip(values, column.field.low, column.field.high)
        moments = pa.array(np.rint(values).astype(np.int64), mask=gone)
        return moments.cast(pa.timestamp("s"))
    return pa.array(values, mask=gone)


def number(field: Field, grid: Grid, edges: Ints, bins: Ints, mass: Floats) -> PrivateColumn:
    """A column of numbers or dates whose leaves are known."""
    spec = published(field)
    ends = grid.value(np.array([0, grid.units - 1]))
    low = spec.low if "low" in field.declared else float(ends[0])
    high = spec.high if "high" in field.declared else float(ends[1])
    shown = replace(spec, low=low, high=high, levels=None)
    return PrivateColumn(shown, grid=grid, edges=edges, bins=bins, mass=mass, nullable=spec.nullable)


def _key(name: str) -> str:
    return name if name.isascii() and name.replace("_", "").replace("-", "").isalnum() else f'"{name}"'
