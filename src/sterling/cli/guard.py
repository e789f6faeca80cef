"""What a command is about to write, looked at before it starts: nothing that was read is overwritten."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from typer.core import TyperCommand

from sterling.kernel.errors import InputError

# The options that name what is written; all else that names a file is read.
WRITTEN = ("out", "json", "html", "junit", "quarantine")


class GuardedCommand(TyperCommand):
    """A command that refuses to overwrite its own inputs, and to start what it could not write down."""

    def invoke(self, ctx: Any) -> Any:
        """Look at the outputs, then run."""
        refuse_overwrites(ctx.params)
        return super().invoke(ctx)


def refuse_overwrites(options: Mapping[str, Any]) -> None:
    """Raise where an output is an input, or another output, or cannot be written.

    Args:
        options: what the command was given, by the names of its parameters.

    Raises:
        InputError: naming the path.
    """
    read = {place: name for name, value in options.items() if name not in WRITTEN for place in _places(value)}
    if isinstance(key := options.get("key"), Path):  # a key brings its public half along
        read[key.with_name(f"{key.name}.pub").resolve()] = "key"
    seen: dict[Path, str] = {}
    for name in WRITTEN:
        for place in _places(options.get(name)):
            if place in read:
                raise InputError(
                    f"{options[name]} is read by this command ({read[place]}) and would be overwritten",
                    mend=f"name another file for --{name}",
                )
            if place in seen:
                raise InputError(
                    f"--{seen[place]} and --{name} both name {options[name]}", mend="give each a file of its own"
                )
            seen[place] = name
            _try(Path(options[name]), name)


def _places(value: Any) -> Iterator[Path]:
    """Where the paths among a parameter's values lie."""
    for one in value if isinstance(value, (list, tuple)) else [value]:
        if isinstance(one, (str, Path)) and str(one):
            try:
                place = Path(one).resolve()
                if isinstance(one, Path) or place.exists():
                    yield place
            except (OSError, ValueError):  # a column name may be no path at all: too long, or with a null byte
                continue


def _try(path: Path, option: str) -> None:
    """See that a file can be made beside the one that is to be written, where that folder exists."""
    folder = path.parent
    if not folder.is_dir():
        return
    probe = folder / f".sterling-{uuid.uuid4().hex}"
    try:
        os.close(os.open(probe, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        probe.unlink()
    except OSError as err:
        raise InputError(
            f"nothing can be written to {folder}: {err.strerror}", mend=f"name another place for --{option}"
        ) from err
