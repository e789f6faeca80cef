"""Totals that a table is to have, such as those of a census: from the user's text to cells of columns."""

from __future__ import annotations

import csv
import io
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sterling.kernel.errors import InputError
from sterling.kernel.schema import Kind
from sterling.kernel.view import Column, View
from sterling.modalities.tabular.canonical import parse_instant, parse_number

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sterling.kernel.view import Bools, Floats

    Codes = NDArray[np.uint8]

AND = "&"
MISSING_WORDS = ("", "missing")
MOST_CELLS = 254
# Shares are often rounded: they may add up to 1 give or take this much.
ROUNDING = 0.005
RANGE = re.compile(r"(?P<low>.*?)\s*\.\.\s*(?P<high>.*)|(?P<least>-?[\d.]+)\s*[-–]\s*(?P<most>-?[\d.]+)")
BOUND = re.compile(r"(?P<sign><=|>=|<|>)\s*(?P<value>\S+)|(?P<least>\S+)\+")
EXAMPLE = "column,value,share with a line such as sex,Female,0.52; or TOML: [sex] Female = 0.52"


@dataclass(frozen=True, slots=True)
class Total:
    """What shares the cells of one column, or of two together, are to have.

    Args:
        columns: their names.
        cells: one value per column each, as the user wrote them.
        shares: of the cells, summing to at most 1.
        amount: what the user's numbers added up to.
    """

    columns: tuple[str, ...]
    cells: tuple[tuple[str, ...], ...]
    shares: tuple[float, ...]
    amount: float

    @property
    def name(self) -> str:
        """The columns as the user named them."""
        return f" {AND} ".join(self.columns)


def parse_totals(text: str) -> tuple[Total, ...]:
    r"""Read totals from CSV (column, value, share or count) or from TOML (a table per column).

    A value of a number column is a number, "18-29", "18..29", "<18" or "65+"; "missing" stands for empty cells. Two
    columns together are written "sex & age", with values such as "Female & 18-29".

    Raises:
        InputError: naming the line or the column that cannot be used.

    >>> parse_totals("column,value,share\nsex,F,0.6\nsex,M,0.4")[0].shares
    (0.6, 0.4)
    """
    first = next((line for line in text.splitlines() if line.strip()), "")
    numbers = _from_csv(text) if "," in first and "=" not in first and not first.startswith("[") else _from_toml(text)
    if not numbers:
        raise InputError("the totals name no column", mend=f"write {EXAMPLE}")
    return tuple(_total(name, cells) for name, cells in numbers.items())


def codes_of_total(total: Total, view: View) -> Codes:
    """[n] uint8: 0 for a row in none of the cells, else 1 + the cell.

    Raises:
        UnknownName: for a column that is not there.
        InputError: for a value that its column cannot have, or cells that overlap.
    """
    columns = [view.column(name) for name in total.columns]
    codes = np.zeros(view.n, dtype=np.uint8)
    taken = np.zeros(view.n, dtype=np.bool_)
    for place, cell in enumerate(total.cells, 1):
        inside = np.ones(view.n, dtype=np.bool_)
        for column, value in zip(columns, cell, strict=True):
            inside &= _holds(column, value)
        if np.any(inside & taken):
            raise InputError(
                f"totals of {total.name}: {f' {AND} '.join(cell)!r} overlaps a cell named before it",
                mend="give every row one cell: 18-29 and 30-44, not 18-30 and 30-44",
            )
        taken |= inside
        codes[inside] = place
    return codes


def shares_of(total: Total) -> Floats:
    """[cells + 1] the wanted shares; first that of the rows in no cell."""
    return np.array([max(0.0, 1.0 - sum(total.shares)), *total.shares])


def _from_csv(text: str) -> dict[str, dict[str, tuple[float, str]]]:
    reader = csv.DictReader(io.StringIO(text.strip()), skipinitialspace=True)
    heads = [(name or "").strip().lower() for name in reader.fieldnames or ()]
    unit = next((name for name in ("share", "count") if name in heads), None)
    if unit is None or not {"column", "value"} <= set(heads):
        raise InputError(f"totals with the columns {', '.join(heads)}", mend=f"write {EXAMPLE}")
    found: dict[str, dict[str, tuple[float, str]]] = {}
    for number, raw in enumerate(reader, 2):
        row = {(k or "").strip().lower(): str(v or "").strip() for k, v in raw.items()}
        where = f"totals, line {number}"
        cells = found.setdefault(row["column"], {})
        if row["value"] in cells:
            raise InputError(f"{where}: {row['column']}={row['value']} is given twice", mend="leave one of them out")
        cells[row["value"]] = (_amount(row[unit], where), unit)
    return found


def _from_toml(text: str) -> dict[str, dict[str, tuple[float, str]]]:
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as err:
        raise InputError(f"the totals are neither CSV nor TOML: {err}", mend=f"write {EXAMPLE}") from err
    found: dict[str, dict[str, tuple[float, str]]] = {}
    for name, cells in data.items():
        if not isinstance(cells, Mapping):
            raise InputError(f"totals: {name} = {cells!r} is no table", mend=f"write {EXAMPLE}")
        amounts = {str(value): _amount(amount, f"totals of {name}") for value, amount in _items(cells)}
        whole = sum(amounts.values())
        unit = "share" if whole <= 1 + ROUNDING else "count"
        if unit == "count" and any(amount != round(amount) for amount in amounts.values()):
            raise InputError(
                f"totals of {name} add up to {whole:.6g}: these are neither shares nor whole counts",
                mend="make shares add up to 1 (52 % is 0.52), or give counts without decimals",
            )
        found[name] = {value: (amount, unit) for value, amount in amounts.items()}
    return found


def _items(cells: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return list(cells.items())


def _amount(value: Any, where: str) -> float:
    amount = (
        parse_number(value) if isinstance(value, str) else float(value) if isinstance(value, (int, float)) else -1.0
    )
    if not (np.isfinite(amount) and amount >= 0):
        raise InputError(f"{where}: {value!r} is no share or count", mend="give a number of at least 0")
    return amount


def _total(name: str, cells: Mapping[str, tuple[float, str]]) -> Total:
    columns = tuple(part.strip() for part in name.split(AND))
    split = tuple(tuple(part.strip() for part in value.split(AND)) if len(columns) > 1 else (value,) for value in cells)
    amounts = np.array([amount for amount, _ in cells.values()])
    whole = float(amounts.sum())
    odd = next((cell for cell in split if len(cell) != len(columns)), None)
    if odd is not None:
        raise InputError(f"totals of {name}: {AND.join(odd)!r} has not one value for each", mend="write Female & 18-29")
    if len(cells) > MOST_CELLS:
        raise InputError(f"totals of {name}: {len(cells)} cells", mend=f"give at most {MOST_CELLS}")
    if whole <= 0:
        raise InputError(f"totals of {name} add up to nothing", mend="give one value at least a share above 0")
    share = any(unit == "share" for _, unit in cells.values())
    if share and whole > 1 + ROUNDING:
        raise InputError(f"shares of {name} add up to {whole:.4g}", mend="make them add up to 1, or call them count")
    scale = whole if not share or abs(whole - 1) <= ROUNDING else 1.0
    return Total(columns, split, tuple((amounts / scale).tolist()), whole)


def _holds(column: Column, value: str) -> Bools:
    """[n] whether a cell has the value."""
    if value.lower() in MISSING_WORDS and value not in (column.levels or ()):
        return column.missing
    if column.kind is Kind.CATEGORY:
        levels = column.levels or ()
        return column.values == (levels.index(value) if value in levels else len(levels))
    low, high, above, below = _bounds(column, value)
    found = (column.values > low) if above else (column.values >= low)
    return found & ((column.values < high) if below else (column.values <= high))


def _bounds(column: Column, value: str) -> tuple[float, float, bool, bool]:
    """Lowest and highest value, and whether these are outside."""
    read = parse_instant if column.kind is Kind.DATETIME else parse_number
    low, high, above, below = -np.inf, np.inf, False, False
    if np.isfinite(exact := read(value)):
        low = high = exact
    elif bound := BOUND.fullmatch(value.strip()):
        sign, end = bound["sign"] or ">=", read(bound["value"] or bound["least"])
        low, above = (end, sign == ">") if sign[0] == ">" else (low, False)
        high, below = (end, sign == "<") if sign[0] == "<" else (high, False)
    elif span := RANGE.fullmatch(value.strip()):
        first, last = span["low"] or span["least"], span["high"] or span["most"]
        low, high = read(first) if first else low, read(last) if last else high
    else:
        low = np.nan
    if np.isnan(low) or np.isnan(high) or low > high:
        what = "date" if column.kind is Kind.DATETIME else "number"
        raise InputError(f"totals of {column.name}: {value!r} is no {what} or range", mend='write 18-29, "<18" or 65+')
    return low, high, above, below
