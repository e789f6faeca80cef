"""Data frames: pandas, polars, Arrow, and anything that speaks the Arrow PyCapsule interface."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from sterling.kernel.dataset import Dataset, Lineage, Origin
from sterling.kernel.errors import UnreadableInput
from sterling.modalities.tabular import Override
from sterling.modalities.tabular.storage import unique_names
from sterling.sources.ingest import ingest

NOT_ARROW = (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError)


def from_frame(
    obj: Any,
    *,
    name: str = "table",
    origin: Origin = Origin.REAL,
    overrides: Mapping[str, Override] | None = None,
    lineage: Lineage = Lineage(),  # noqa: B008  frozen
    notes: Sequence[str] = (),
) -> Dataset:
    """A set of records from a data frame in memory.

    Args:
        obj: a pandas or polars frame (also lazy), an Arrow table, record batch or reader, anything with
            `__arrow_c_stream__`, or any other frame that narwhals knows. A reader is used up.
        name: how reports call it.
        origin: what its records are.
        overrides: per column, what the user knows better than inference.
        lineage: how it came to be.
        notes: what a reader must know of it.

    Raises:
        UnreadableInput: if it is no frame.
        UnknownName: for an override of a column that is not there.
    """
    table, mixed = _arrow(obj)
    said = (*notes, *mixed)
    return ingest(table, name=name, origin=origin, overrides=overrides, lineage=lineage, notes=said)


def _arrow(obj: Any) -> tuple[pa.Table, list[str]]:
    import narwhals as nw

    if nw.dependencies.is_pandas_dataframe(obj):
        return _from_pandas(obj)
    if isinstance(obj, pa.RecordBatch) or hasattr(obj, "__arrow_c_stream__"):
        return pa.table(obj), []
    try:
        frame: Any = nw.from_native(obj)
    except TypeError as err:
        raise UnreadableInput(
            f"{type(obj).__name__} is no data frame",
            mend="give a path, a pandas or polars frame, an Arrow table, or anything with __arrow_c_stream__",
        ) from err
    return (frame.collect() if isinstance(frame, nw.LazyFrame) else frame).to_arrow(), []


def _from_pandas(frame: Any) -> tuple[pa.Table, list[str]]:
    """Column by column: pandas allows equal names, names that are no text, and columns of mixed objects."""
    names, notes = unique_names([str(c) for c in frame.columns])
    columns: list[Any] = []
    for i, name in enumerate(names):
        series = frame.iloc[:, i]
        try:
            column = pa.Array.from_pandas(series)
        except NOT_ARROW:
            missing = series.isna().to_numpy(dtype=bool)
            column = pa.array([None if gone else str(c) for c, gone in zip(series, missing, strict=True)], pa.string())
            notes.append(f"{name}: cells of several types, read as text")
        columns.append(column)
    return pa.table(columns, names=names), notes
