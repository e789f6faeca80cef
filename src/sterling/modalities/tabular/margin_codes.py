"""A table's cells as few codes per column, each with a name: what raking and its report work on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sterling.kernel.schema import Kind
from sterling.kernel.view import Column, View
from sterling.modalities.tabular.canonical import number_text
from sterling.stats.binning import MISSING, bin_numbers, codes_of, cut_levels, value_range

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Codes = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class MarginCodes:
    """The columns of several sets in one coding.

    Args:
        names: [d] of the columns.
        labels: [d] what each code stands for; code 0 is a missing cell, the last a level that the first set lacks.
        codes: per set [d, n].
    """

    names: tuple[str, ...]
    labels: tuple[tuple[str, ...], ...]
    codes: tuple[Codes, ...]


def margin_codes(views: Sequence[View], *, bins: int) -> MarginCodes:
    """Code the columns that views share; the first set says where one bin ends and the next begins.

    Args:
        views: encoded together.
        bins: codes per column at most, missing and unseen aside, 2 to 250.
    """
    columns = [_coded([view.columns[i] for view in views if view.columns], bins) for i in range(_width(views))]
    return MarginCodes(
        names=tuple(column.name for column in views[0].columns or ()),
        labels=tuple(labels for labels, _ in columns),
        codes=tuple(np.array([codes[k] for _, codes in columns], dtype=np.uint8) for k in range(len(views))),
    )


def _width(views: Sequence[View]) -> int:
    return len(views[0].columns or ())


def _coded(columns: Sequence[Column], bins: int) -> tuple[tuple[str, ...], list[Codes]]:
    return _coded_levels(columns, bins) if columns[0].kind is Kind.CATEGORY else _coded_numbers(columns, bins)


def _coded_numbers(columns: Sequence[Column], bins: int) -> tuple[tuple[str, ...], list[Codes]]:
    binning = bin_numbers(columns[0].values, most=bins)
    ranges = [value_range(binning, code + 1) for code in range(binning.low.size)]
    shown = [_instant if columns[0].kind is Kind.DATETIME else _number] * len(ranges)
    labels = [word(a) if a == b else f"{word(a)} to {word(b)}" for word, (a, b) in zip(shown, ranges, strict=True)]
    return ("missing", *labels), [codes_of(binning, column.values) for column in columns]


def _coded_levels(columns: Sequence[Column], bins: int) -> tuple[tuple[str, ...], list[Codes]]:
    levels: tuple[str, ...] = columns[0].levels or ()
    known = columns[0].values[columns[0].values >= 0]
    counts = np.bincount(known, minlength=len(levels))
    seen = np.flatnonzero(counts)
    groups = cut_levels(counts[seen], most=bins)
    fresh = int(groups.max(initial=-1)) + 2
    lookup = np.full(len(levels) + 1, fresh, dtype=np.uint8)
    lookup[seen] = groups + 1
    lookup[-1] = MISSING
    members = [seen[groups == group] for group in range(fresh - 1)]
    labels = [levels[int(m[0])] if m.size == 1 else f"{levels[int(m[0])]} ... {levels[int(m[-1])]}" for m in members]
    return ("missing", *labels, "a level unseen in real"), [lookup[column.values] for column in columns]


def _number(value: float) -> str:
    return number_text(float(f"{value:.6g}"))


def _instant(value: float) -> str:
    return str(np.datetime64(int(value), "s")).removesuffix("T00:00:00")
