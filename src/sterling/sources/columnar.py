"""Parquet and Arrow files: binary, typed, checked before they are trusted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa

from sterling.kernel.errors import UnreadableInput

# A set is worked on in memory: more than this would push a common machine into swapping.
MOST_BYTES = 8 * 2**30
# Parquet can hold a billion equal cells in a few bytes; in memory each takes about this many.
BYTES_PER_CELL = 8


def read_parquet(path: Path, quarantine: Path | None = None) -> tuple[pa.Table, list[str]]:
    """All rows of a Parquet file, page checksums and text encoding verified.

    Raises:
        UnreadableInput: if it is corrupt, or larger in memory than MOST_BYTES.
    """
    del quarantine  # a Parquet file is whole or it is not
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            _refuse_bomb(path, file.metadata)
            table: pa.Table = file.read()
        table.validate(full=True)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as err:
        if isinstance(err, OSError) and err.errno is not None:
            raise
        raise _corrupt(path, "Parquet", err) from err
    return table, []


def read_arrow(path: Path, quarantine: Path | None = None) -> tuple[pa.Table, list[str]]:
    """All rows of an Arrow IPC file, Feather file or IPC stream.

    Raises:
        UnreadableInput: if it is corrupt, or larger than MOST_BYTES.
    """
    del quarantine
    import pyarrow.ipc as ipc

    if path.stat().st_size > MOST_BYTES:
        raise _too_large(path, path.stat().st_size)
    data = path.read_bytes()
    try:
        table: pa.Table = (ipc.open_file if data.startswith(b"ARROW1") else ipc.open_stream)(data).read_all()
        table.validate(full=True)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as err:
        raise _corrupt(path, "Arrow", err) from err
    return table, []


def _refuse_bomb(path: Path, metadata: Any) -> None:
    declared = sum(metadata.row_group(i).total_byte_size for i in range(metadata.num_row_groups))
    size = max(declared, metadata.num_rows * metadata.num_columns * BYTES_PER_CELL)
    if size > MOST_BYTES:
        raise _too_large(path, size)


def _too_large(path: Path, size: int) -> UnreadableInput:
    return UnreadableInput(
        f"{path} takes about {size / 2**30:,.1f} GiB in memory; at most {MOST_BYTES / 2**30:,.0f} GiB are read",
        mend="give a random sample of its rows, or fewer columns",
    )


def _corrupt(path: Path, what: str, err: Exception) -> UnreadableInput:
    said = str(err).splitlines()[0] if str(err) else type(err).__name__
    return UnreadableInput(
        f"{path} is no whole {what} file: {said}",
        mend="copy or export it again; a download that broke off leaves such a file",
    )
