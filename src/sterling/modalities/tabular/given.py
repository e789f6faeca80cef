"""Columns that are given to a generator to be held fixed: whether they fit what is to be made."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from sterling.kernel.errors import InputError, UnknownName
from sterling.kernel.schema import Schema
from sterling.modalities.tabular.storage import normalise


def checked_given(schema: Schema, n: int, given: pa.Table | None) -> pa.Table:
    """The given columns, normalised; a table without columns where none are given.

    Args:
        schema: the fields that are made.
        n: rows to make.
        given: columns to hold fixed.

    Raises:
        UnknownName: for a column that is not there.
        InputError: for another number of rows.
    """
    if given is None:
        return pa.table({})
    refuse_unknown(schema, given.column_names)
    if given.num_rows != n:
        raise InputError(
            f"the columns to hold fixed have {given.num_rows} rows and {n} are to be made",
            mend=f"give {n} rows, or ask for -n {given.num_rows}",
        )
    return normalise(given).table


def refuse_unknown(schema: Schema, names: Sequence[str]) -> None:
    """Refuse columns that are not made.

    Raises:
        UnknownName: naming the first, with near names.
    """
    for name in names:
        if name not in schema:
            raise UnknownName.among(name, schema.names, what="column to hold fixed")
