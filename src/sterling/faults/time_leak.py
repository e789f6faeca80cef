"""Rows from after the real data end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pyarrow as pa

from sterling.kernel.estimate import Unmeasured
from sterling.kernel.protocols import Planted
from sterling.kernel.schema import Field, Kind, Role
from sterling.stats import planting

if TYPE_CHECKING:
    from sterling.kernel.schema import Schema
    from sterling.kernel.view import Floats


@dataclass(frozen=True, slots=True)
class TimeLeak:
    """Rows that claim to be from after the last real row.

    Severity: share of rows moved there, up to a quarter of the real span beyond the end.
    """

    title: ClassVar[str] = "rows from the future"
    severities: ClassVar[tuple[float, ...]] = (0.002, 0.01, 0.03, 0.1)
    innocent: ClassVar[bool] = False
    expected: ClassVar[tuple[str, ...]] = ("time_leak", "marginal_gap")

    def plant(
        self, real: pa.Table, synthetic: pa.Table, *, schema: Schema, severity: float, rng: np.random.Generator
    ) -> Planted | Unmeasured:
        """Move the time of a share of rows beyond the latest real one."""
        spec = next((f for f in (*schema.with_role(Role.TIME), *schema) if _is_time(f, real, synthetic)), None)
        if spec is None:
            return Unmeasured("there is no time column stored as dates or numbers", "declare it: --time COLUMN")
        name, kind = spec.name, synthetic.schema.field(spec.name).type
        ticks = [_ticks(t.column(name).cast(kind, safe=False)) for t in (real, synthetic)]
        known = ticks[0][np.isfinite(ticks[0])]
        if known.size < 2 or known.max() <= known.min():
            return Unmeasured(f"{name} holds no two different times", "give rows of several times")
        rows = planting.share_of_rows(synthetic.num_rows, severity, rng)
        span = max(1.0, 0.25 * float(known.max() - known.min()))
        late = np.ceil(known.max() + rng.uniform(0, span, rows.size) + 1e-9 * span)
        if pa.types.is_floating(kind):
            return Planted(planting.with_cells(synthetic, name, rows, pa.array(late)), (name,), int(rows.size))
        cells = pa.array(late.astype(np.int64)).cast(_ints(kind)).cast(kind)
        return Planted(planting.with_cells(synthetic, name, rows, cells), (name,), int(rows.size))


def _is_time(spec: Field, real: pa.Table, synthetic: pa.Table) -> bool:
    """A column of times that both tables store as something that can be moved."""
    if spec.role is not Role.TIME and spec.kind is not Kind.DATETIME:
        return False
    if spec.name not in real.column_names or spec.name not in synthetic.column_names:
        return False
    kinds = [t.schema.field(spec.name).type for t in (real, synthetic)]
    dates = all(pa.types.is_timestamp(k) or pa.types.is_date(k) for k in kinds)
    return dates or all(pa.types.is_integer(k) or pa.types.is_floating(k) for k in kinds)


def _ints(kind: pa.DataType) -> pa.DataType:
    """The whole numbers by which Arrow holds this type."""
    return pa.int32() if pa.types.is_date32(kind) else kind if pa.types.is_integer(kind) else pa.int64()


def _ticks(column: pa.ChunkedArray) -> Floats:
    whole = column if pa.types.is_floating(column.type) else column.cast(_ints(column.type))
    return np.asarray(whole.cast(pa.float64(), safe=False).fill_null(np.nan).to_numpy())
