"""Values of two categories that never meet in a row though luck would often bring them together."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from sterling.kernel.schema import Kind, Role, Schema
from sterling.modalities.tabular.canonical import canonical, flat, texts
from sterling.stats.dependence import cross_counts, starts_of
from sterling.stats.rules import least_expected

# Categories looked at: the first so many of at most so many values.
MOST_COLUMNS, MOST_VALUES = 60, 60
# Findings listed: those that luck would break most often.
MOST_LISTED = 40


@dataclass(frozen=True, slots=True)
class NeverTogether:
    """A value of one column with the values of another that it never meets.

    Args:
        column: the first column.
        value: its value.
        other: the second column.
        values: its values that never stand beside that.
        expected: rows in which luck would have brought them together.
    """

    column: str
    value: str
    other: str
    values: tuple[str, ...]
    expected: float

    @property
    def text(self) -> str:
        """In plain words."""
        return f"{self.column} = {self.value} never with {self.other} = {', '.join(self.values)}"


def never_together(table: pa.Table, schema: Schema) -> tuple[NeverTogether, ...]:
    """Combinations of values that no row has, and that independence would give 37 rows or more; most expected first.

    Args:
        table: normalised rows.
        schema: what the columns are; only categories are looked at.
    """
    names: list[str] = []
    levels: list[list[str]] = []
    codes: list[np.ndarray] = []
    for field in schema:
        if field.kind is not Kind.CATEGORY or field.role in (Role.KEY, Role.ENTITY) or len(names) == MOST_COLUMNS:
            continue
        encoded = texts(canonical(flat(table.column(field.name)), field)).dictionary_encode()
        if 1 < len(encoded.dictionary) <= MOST_VALUES:
            names.append(field.name)
            levels.append(encoded.dictionary.to_pylist())
            codes.append(encoded.indices.fill_null(len(encoded.dictionary)).to_numpy(zero_copy_only=False))
    if len(names) < 2:
        return ()
    widths = [len(words) + 1 for words in levels]  # the last is "missing"
    counts, starts = cross_counts(codes, widths), starts_of(widths)
    expected = np.outer(counts.diagonal(), counts.diagonal()) / max(table.num_rows, 1)
    found: list[NeverTogether] = []
    for a, b in itertools.combinations(range(len(names)), 2):
        block = np.s_[starts[a] : starts[a + 1] - 1, starts[b] : starts[b + 1] - 1]
        seen, luck = counts[block], expected[block]
        if np.all(np.count_nonzero(seen, axis=0) <= 1) or np.all(np.count_nonzero(seen, axis=1) <= 1):
            continue  # one decides the other: said by that
        for i, row in enumerate((seen == 0) & (luck >= least_expected())):
            if row.any():
                words = tuple(levels[b][j] for j in np.flatnonzero(row))
                found.append(NeverTogether(names[a], levels[a][i], names[b], words, float(luck[i][row].sum())))
    return tuple(sorted(found, key=lambda f: (-f.expected, f.column, f.value))[:MOST_LISTED])
