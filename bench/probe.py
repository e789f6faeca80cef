"""The eleven faults of the probe, on census rows and at the same relative severities on two other real tables.

Each takes clean other real rows and plants one cause. Severities are those of the first table: a class of 3 % and one
of 1 % dropped, 5 % label noise, 1 % and 10 % of rows copied from the real rows given, one number shuffled, one category
shuffled within another, half of the rarer outcome in one group flipped and the rest compensated, one number shifted by
0.146 standard deviations (2 years of age), 0.5 % of rows outside a range inside a category, 1 % of rows in a pair of
categories that never occurs. No class of the crashes holds 1 %: the nearest, 0.5 %, is dropped there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

SHIFT = 0.146


@dataclass(frozen=True)
class Setting:
    """What a table offers to the eleven faults."""

    target: str
    groups: tuple[str, ...]
    rarer: str  # the outcome that is flipped, and the other
    common: str
    class_3: tuple[str, str]  # column, level
    class_1: tuple[str, str]
    shuffled: str
    shuffled_within: tuple[str, str]  # this column, within that
    group: tuple[str, str]  # whose outcomes are flipped
    shifted: str
    out_of_range: tuple[str, str, str, tuple[int, int]]  # category, level, number, its impossible values
    impossible: tuple[str, str, str, str]  # rows of this level of this column get that level of that column


SETTINGS = {
    "adult": Setting(
        target="income", groups=("sex",), rarer=">50K", common="<=50K",
        class_3=("relationship", "Other-relative"), class_1=("race", "Amer-Indian-Eskimo"),
        shuffled="hours_per_week", shuffled_within=("education", "occupation"), group=("sex", "Female"),
        shifted="age", out_of_range=("marital_status", "Married-civ-spouse", "age", (14, 16)),
        impossible=("relationship", "Husband", "sex", "Female"),
    ),
    "crashes": Setting(
        target="dead", groups=("sex",), rarer="dead", common="alive",
        class_3=("dvcat", "1-9km/h"), class_1=("injSeverity", "c5"),
        shuffled="ageOFocc", shuffled_within=("abcat", "dvcat"), group=("sex", "f"),
        shifted="ageOFocc", out_of_range=("occRole", "driver", "ageOFocc", (9, 13)),
        impossible=("airbag", "none", "abcat", "deploy"),
    ),
    "flights": Setting(
        target="late", groups=("origin",), rarer="yes", common="no",
        class_3=("carrier", "WN"), class_1=("carrier", "FL"),
        shuffled="hour", shuffled_within=("dest", "carrier"), group=("origin", "LGA"),
        shifted="air_time", out_of_range=("origin", "JFK", "distance", (20, 60)),
        impossible=("carrier", "WN", "origin", "JFK"),
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Cause:
    """What was planted.

    Args:
        table: the spoilt rows.
        columns: a first-named cause must speak of one of them; empty where the cause lies in no column.
        expected: the measures that are made for a cause in no column.
    """

    table: pa.Table
    columns: tuple[str, ...] = ()
    expected: tuple[str, ...] = ()


COPIES = ("copies", "near_copies", "nearest_record", "membership_inference")
LABELS = ("label_loss", "label_errors")
Plant = Callable[[Setting, pa.Table, pa.Table, np.random.Generator], Cause]


def _set(table: pa.Table, name: str, rows: np.ndarray, values: list) -> pa.Table:
    cells = table.column(name).to_pylist()
    for row, value in zip(rows.tolist(), values, strict=True):
        cells[row] = value
    at = table.column_names.index(name)
    return table.set_column(at, name, pa.array(cells, table.schema.field(name).type))


def _where(table: pa.Table, name: str, level: str) -> np.ndarray:
    return np.flatnonzero(pc.fill_null(pc.equal(table.column(name), level), False).to_numpy())


def _some(rows: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    if n > rows.size:
        raise ValueError(f"{n} rows wanted, {rows.size} there are")
    return rng.permutation(rows)[:n]


def _drop(where: str) -> Plant:
    def plant(s: Setting, real: pa.Table, clean: pa.Table, rng: np.random.Generator) -> Cause:
        name, level = getattr(s, where)
        stay = np.setdiff1d(np.arange(clean.num_rows), _where(clean, name, level))
        return Cause(clean.take(stay), (name,))

    return plant


def label_noise(s: Setting, real: pa.Table, clean: pa.Table, rng: np.random.Generator) -> Cause:
    rows = _some(np.arange(clean.num_rows), round(0.05 * clean.num_rows), rng)
    labels = clean.column(s.target).to_pylist()
    return Cause(_set(clean, s.target, rows, [_other(s, labels[r]) for r in rows]), (), LABELS)


def _other(s: Setting, label: str) -> str:
    return s.common if label == s.rarer else s.rarer


def _copied(share: float) -> Plant:
    def plant(s: Setting, real: pa.Table, clean: pa.Table, rng: np.random.Generator) -> Cause:
        n = round(share * clean.num_rows)
        donors = real.take(_some(np.arange(real.num_rows), n, rng)).cast(clean.schema)
        stay = np.sort(_some(np.arange(clean.num_rows), clean.num_rows - n, rng))
        return Cause(pa.concat_tables([clean.take(stay), donors]), (), COPIES)

    return plant


def number_shuffled(s: Setting, real: pa.Table, clean: pa.Table, rng: np.random.Generator) -> Cause:
    order = rng.permutation(clean.num_rows)
    at = clean.column_names.index(s.shuffled)
    return Cause(clean.set_column(at, s.shuffled, clean.column(s.shuffled).take(order)), (s.shuffled,))


def category_shuffled_within(s: Setting, real: pa.Table, clean: pa.Table, rng: np.random.Generator) -> Cause:
    name, within = s.shuffled_within
    labels = np.array([str(v) for v in clean.column(within).to_pylist()])
    order = np.arange(clean.num_rows)
    for level in np.unique(labels):
        rows = np.flatnonzero(labels == level)
        order[rows] = rng.permutation(rows)
    at = clean.column_names.index(name)
    return Cause(clean.set_column(at, name, clean.column(name).take(order)), (name,))


def subgroup_flipped(s: Setting, real: pa.Table, clean: pa.Table, rng: np.random.Generator) -> Cause:
    column, level = s.group
    inside = np.isin(np.arange(clean.num_rows), _where(clean, column, level))
    rarer = np.isin(np.arange(clean.num_rows), _where(clean, s.target, s.rarer))
    members, others = np.flatnonzero(inside & rarer), np.flatnonzero(~inside & ~rarer)
    n = members.size // 2
    changed = _set(clean, s.target, _some(members, n, rng), [s.common] * n)
    return Cause(_set(changed, s.target, _some(others, n, rng), [s.rarer] * n), (column,))


def number_shifted(s: Setting, real: pa.Table, clean: pa.Table, rng: np.random.Generator) -> Cause:
    cells = clean.column(s.shifted)
    step = max(1, round(SHIFT * float(pc.stddev(cells).as_py())))
    moved = pc.add(cells, pa.scalar(step, cells.type))
    return Cause(clean.set_column(clean.column_names.index(s.shifted), s.shifted, moved), (s.shifted,))


def out_of_range(s: Setting, real: pa.Table, clean: pa.Table, rng: np.random.Generator) -> Cause:
    category, level, name, (low, high) = s.out_of_range
    rows = _some(_where(clean, category, level), round(0.005 * clean.num_rows), rng)
    return Cause(_set(clean, name, rows, rng.integers(low, high + 1, rows.size).tolist()), (name, category))


def impossible_pair(s: Setting, real: pa.Table, clean: pa.Table, rng: np.random.Generator) -> Cause:
    category, level, other, value = s.impossible
    rows = _some(_where(clean, category, level), round(0.01 * clean.num_rows), rng)
    return Cause(_set(clean, other, rows, [value] * rows.size), (category, other))


PROBE: dict[str, Plant] = {
    "drop a 3 % class": _drop("class_3"),
    "drop a 1 % class": _drop("class_1"),
    "5 % label noise": label_noise,
    "1 % rows copied": _copied(0.01),
    "10 % rows copied": _copied(0.10),
    "number shuffled": number_shuffled,
    "category shuffled within another": category_shuffled_within,
    "subgroup's outcomes flipped": subgroup_flipped,
    "number shifted": number_shifted,
    "0.5 % out of range": out_of_range,
    "1 % impossible pairs": impossible_pair,
}


def plant(fault: str, table: str, real: pa.Table, clean: pa.Table, *, rng: np.random.Generator) -> Cause:
    """One of the eleven, planted in clean rows of a table."""
    return PROBE[fault](SETTINGS[table], real, clean, rng)
