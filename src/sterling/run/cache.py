"""Results by task key, in files."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from sterling.sources.atomic import write_bytes

KEY = re.compile(r"[0-9a-f]{16,128}")
SEAL = hashlib.sha256().digest_size


@dataclass(frozen=True, slots=True)
class FileCache:
    """A folder of results; a damaged one counts as absent, so that it is computed again.

    Args:
        folder: made with the first result.
    """

    folder: Path

    def get(self, key: str) -> bytes | None:
        """The result stored under a key, or None."""
        try:
            sealed = self._path(key).read_bytes()
        except FileNotFoundError:
            return None
        value = sealed[SEAL:]
        return value if hashlib.sha256(value).digest() == sealed[:SEAL] else None

    def put(self, key: str, value: bytes) -> None:
        """Store a result, whole or not at all; storing twice is harmless.

        Raises:
            InputError: if the folder cannot be written.
        """
        write_bytes(self._path(key), hashlib.sha256(value).digest() + value)

    def _path(self, key: str) -> Path:
        if not KEY.fullmatch(key):
            raise ValueError(f"a key is a hash in hexadecimal, not {key!r}")
        # Two levels: some file systems grow slow with a hundred thousand names in one folder.
        return self.folder / key[:2] / key
