"""From faults found column by column to one mark per record."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sterling.kernel.protocols import Marks

if TYPE_CHECKING:
    from sterling.kernel.view import Bools

Action = Literal["drop", "flag"]


@dataclass(frozen=True, slots=True, eq=False)
class Fault:
    """Something wrong with some records.

    Args:
        rows: [n] True where it is wrong.
        action: what to do with them.
        reason: in plain words: one for all of them, or [n] of which those of the rows count. Words that do
            not change from record to record can be counted.
    """

    rows: Bools
    action: Action
    reason: str | pa.Array


def marks_of(n: int, faults: Sequence[Fault]) -> Marks:
    """One mark per record: dropped if any fault drops it, and all its reasons joined by "; ".

    >>> marks_of(2, [Fault(np.array([True, False]), "flag", "odd")]).reasons.to_pylist()
    ['odd', None]
    """
    dropped, flagged = np.zeros(n, dtype=bool), np.zeros(n, dtype=bool)
    said = [f for f in faults if f.rows.any()]
    for fault in said:
        target = dropped if fault.action == "drop" else flagged
        target |= fault.rows
    actions = np.where(dropped, "drop", np.where(flagged, "flag", "keep"))
    if not said:
        return Marks(pa.array(actions, pa.string()), pa.nulls(n, pa.string()))
    nothing = pa.scalar(None, pa.string())
    whys = [pa.scalar(f.reason) if isinstance(f.reason, str) else f.reason for f in said]
    reasons = [pc.if_else(pa.array(f.rows), why, nothing) for f, why in zip(said, whys, strict=True)]
    # pyarrow 26 leaves out the rows in which all parts are null, so each begins with a part that never is.
    joined = pc.binary_join_element_wise(pa.array([""] * n), *reasons, pa.scalar("; "), null_handling="skip")
    shown = pc.utf8_slice_codeunits(joined, start=len("; "))
    return Marks(pa.array(actions, pa.string()), pc.if_else(pa.array(dropped | flagged), shown, nothing))
