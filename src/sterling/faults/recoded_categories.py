"""Categories under other names, on both sides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sterling.kernel.estimate import Unmeasured
from sterling.kernel.protocols import Planted
from sterling.kernel.schema import Kind
from sterling.stats import planting

if TYPE_CHECKING:
    from sterling.kernel.schema import Schema


@dataclass(frozen=True, slots=True)
class RecodedCategories:
    """Innocent: every category under another name, the same in real and synthetic rows.

    Severity: has none; 1 stands for "done".
    """

    title: ClassVar[str] = "categories renamed on both sides"
    severities: ClassVar[tuple[float, ...]] = (1.0,)
    innocent: ClassVar[bool] = True
    expected: ClassVar[tuple[str, ...]] = ()

    def plant(
        self, real: pa.Table, synthetic: pa.Table, *, schema: Schema, severity: float, rng: np.random.Generator
    ) -> Planted | Unmeasured:
        """Rename the levels of every column of text categories, in another order."""
        both = set(real.column_names) & set(synthetic.column_names)
        names = [f.name for f in schema if f.kind is Kind.CATEGORY and f.name in both]
        names = [name for name in names if _is_text(real, name) and _is_text(synthetic, name)]
        if not names:
            return planting.NO_CATEGORY
        for name in names:
            words = pa.concat_tables([t.select([name]) for t in (real, synthetic)]).column(name).unique().drop_null()
            # Letters first, so that no column of names turns into a column of numbers.
            renamed = pa.array([f"level {i}" for i in rng.permutation(len(words))], pa.string())
            real, synthetic = (_renamed(t, name, words, renamed) for t in (real, synthetic))
        return Planted(synthetic, (), synthetic.num_rows, real=real)


def _is_text(table: pa.Table, name: str) -> bool:
    return pa.types.is_string(table.schema.field(name).type)


def _renamed(table: pa.Table, name: str, words: pa.Array, renamed: pa.Array) -> pa.Table:
    cells = renamed.take(pc.index_in(table.column(name).combine_chunks(), words))
    return table.set_column(table.column_names.index(name), name, cells)
