"""Files and folders on disk: one door, whatever the format."""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pyarrow as pa

from sterling.kernel.dataset import Dataset, Lineage, Origin
from sterling.kernel.errors import UnreadableInput
from sterling.modalities.tabular import Override
from sterling.sources import columnar, delimited, json_lines
from sterling.sources.ingest import ingest, overrule

Reader = Callable[[Path, Path | None], tuple[pa.Table, list[str]]]
READERS: dict[str, Reader] = {
    ".parquet": columnar.read_parquet,
    ".pq": columnar.read_parquet,
    ".csv": delimited.read_delimited,
    ".tsv": delimited.read_delimited,
    ".csv.gz": delimited.read_delimited,
    ".tsv.gz": delimited.read_delimited,
    ".jsonl": json_lines.read_json_lines,
    ".ndjson": json_lines.read_json_lines,
    ".jsonl.gz": json_lines.read_json_lines,
    ".arrow": columnar.read_arrow,
    ".arrows": columnar.read_arrow,
    ".feather": columnar.read_arrow,
    ".ipc": columnar.read_arrow,
}
MANIFEST = "manifest.json"


def read(
    path: Path,
    *,
    name: str | None = None,
    origin: Origin = Origin.REAL,
    overrides: Mapping[str, Override] | None = None,
    quarantine: Path | None = None,
    lineage: Lineage = Lineage(),  # noqa: B008  frozen
) -> Dataset:
    """Read a file, or a Sterling folder, as a set of records.

    Args:
        path: .parquet, .csv, .tsv (also .gz), .jsonl, .arrow, .feather, or a folder with a manifest.json.
        name: how reports call it; the file's stem by default.
        origin: what its records are; a Sterling folder says so itself.
        overrides: per column, what the user knows better than inference.
        quarantine: save ragged CSV rows there as they were, and go on; None refuses them.
        lineage: how it came to be; a Sterling folder says so itself.

    Returns:
        The set, with notes on all that had to be repaired.

    Raises:
        UnreadableInput: no such file, another format, corrupt, ragged, not UTF-8, too large for memory,
            or changed while it was read.
        UnknownName: for an override of a column that is not there.
    """
    path = Path(path)
    if path.is_dir():
        return _read_folder(path, name=name, overrides=overrides)
    stem, suffix = _split_suffix(_existing(path))
    reader = READERS.get(suffix)
    if reader is None:
        raise UnreadableInput(
            f"{path} has the suffix {suffix or '(none)'!r}, which is not read",
            mend=f"convert it to one of {', '.join(READERS)}, or name a Sterling folder",
        )
    with _unchanged(path):
        table, notes = reader(path, quarantine)
    return ingest(table, name=name or stem, origin=origin, overrides=overrides, lineage=lineage, notes=notes)


def _read_folder(folder: Path, *, name: str | None, overrides: Mapping[str, Override] | None) -> Dataset:
    from sterling.sources.store import read_set

    if not (folder / MANIFEST).is_file():
        inside = [p.name for p in sorted(folder.iterdir()) if _split_suffix(p)[1] in READERS]
        hint = f"name a file in it: {', '.join(inside[:5])}" if inside else "name a file, or a folder with one"
        raise UnreadableInput(f"{folder} is a folder without {MANIFEST}: no Sterling set", mend=hint)
    dataset = read_set(folder)
    dataset = overrule(dataset, overrides) if overrides else dataset
    return dataset if name is None else replace(dataset, name=name)


def _existing(path: Path) -> Path:
    if path.is_file():
        return path
    if path.exists():
        raise UnreadableInput(f"{path} is neither a file nor a folder", mend="save the data to a file first")
    siblings = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
    near = difflib.get_close_matches(path.name, siblings, n=3, cutoff=0.5)
    if near:
        hint = f"did you mean {' or '.join(str(path.parent / n) for n in near)}?"
    elif not path.parent.is_dir():
        hint = f"there is no folder {path.parent} either: check the path"
    else:
        hint = f"check the path; {path.parent} holds {', '.join(sorted(siblings)[:8]) or 'nothing'}"
    raise UnreadableInput(f"there is no file {path}", mend=hint)


def _split_suffix(path: Path) -> tuple[str, str]:
    """The stem, and the suffix in lower case; .csv.gz is one suffix."""
    lowered = path.name.lower()
    known = max((s for s in READERS if lowered.endswith(s)), key=len, default=path.suffix.lower())
    return path.name[: len(path.name) - len(known)] or path.name, known


@contextmanager
def _unchanged(path: Path) -> Generator[None]:
    """Refuse a file that grows or changes while it is read, and name the system's own complaint."""
    try:
        before = path.stat()
        yield
        after = path.stat()
    except OSError as err:
        raise UnreadableInput(
            f"{path} cannot be read: {os.strerror(err.errno) if err.errno else err}",
            mend="check that the file is complete and that you may read it",
        ) from err
    if (before.st_size, before.st_mtime_ns, before.st_ino) != (after.st_size, after.st_mtime_ns, after.st_ino):
        raise UnreadableInput(
            f"{path} changed while it was read ({before.st_size:,} to {after.st_size:,} bytes)",
            mend="wait until it is written to the end, or read a copy",
        )
