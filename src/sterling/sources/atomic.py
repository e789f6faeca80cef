"""Files that appear whole or not at all, whatever moment the power goes."""

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from sterling.kernel.errors import InputError

CHUNK = 1 << 20


def write_text(path: Path, text: str) -> None:
    """Write a text file as UTF-8; a reader sees the old file or the whole new one.

    Lone surrogates, as undecodable file names bring them, are written as the escape that JSON has for them.

    Raises:
        InputError: if the folder cannot be made or written.
    """
    write_bytes(path, text.encode("utf-8", errors="backslashreplace"))


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file; a reader sees the old file or the whole new one.

    Raises:
        InputError: if the folder cannot be made or written.
    """
    with replacing(path) as staged:
        staged.write_bytes(data)


def folder_at(path: Path) -> Path:
    """The folder, made where it is not there.

    Raises:
        InputError: if a file stands there, or it cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except FileExistsError as err:
        raise InputError(f"{path} is a file, not a folder", mend="name a folder for --out") from err
    except OSError as err:
        raise InputError(f"the folder {path} cannot be made: {err.strerror}", mend="name another place") from err
    return path


@contextmanager
def replacing(path: Path) -> Generator[Path]:
    """Give a path beside `path` to write to; on leaving it is flushed to disk and renamed over `path`.

    An error inside leaves `path` as it was and nothing beside it.

    Raises:
        InputError: if `path` is a folder, or the folder around it cannot be made or written.
    """
    if path.is_dir():
        raise InputError(f"{path} is a folder", mend="name a file")
    staged = path.with_name(f".{path.name[:100]}.{uuid.uuid4().hex}")
    with writing_to(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield staged
            move(staged, path)
        finally:
            staged.unlink(missing_ok=True)


@contextmanager
def writing_to(path: Path) -> Generator[None]:
    """Turn what the operating system refuses into an error that names the path.

    Raises:
        InputError: for a full disk, missing rights, a file where a folder should be ...
    """
    try:
        yield
    except OSError as err:
        raise InputError(f"cannot write {path}: {err.strerror or err}", mend="name a place you may write to") from err


def move(staged: Path, final: Path) -> None:
    """Flush a finished file to disk and give it its name; the name outlives a power cut too."""
    sync(staged)
    staged.replace(final)
    sync(final.parent)


def sync(path: Path) -> None:
    """Flush a file, or the list of names in a folder, to disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sha256_of(path: Path) -> str:
    """Hex SHA-256 of a file, read in pieces."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(CHUNK):
            digest.update(piece)
    return digest.hexdigest()


@contextmanager
def locked(folder: Path) -> Generator[None]:
    """Make a folder and hold it against other writers; the lock dies with the process that holds it.

    Raises:
        InputError: if another process is writing there, or the folder cannot be made.
    """
    with writing_to(folder):
        folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY)
    try:
        _lock(handle, folder)
        yield
    finally:
        os.close(handle)


def _lock(handle: int, folder: Path) -> None:
    try:
        import fcntl
    except ModuleNotFoundError:  # Windows: one writer per folder is the user's promise there
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as err:
        raise InputError(f"another process is writing to {folder}", mend="wait for it, or name another folder") from err
    except OSError:  # a network file system without locks on folders: the same promise
        return
