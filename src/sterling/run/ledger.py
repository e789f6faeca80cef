"""The journal of a run: what happened, when, and what it cost; append-only."""

from __future__ import annotations

import datetime
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sterling.kernel.errors import BrokenStore
from sterling.kernel.finding import Json
from sterling.sources.atomic import writing_to
from sterling.sources.journal import appending


@dataclass(frozen=True, slots=True)
class JsonlLedger:
    """A journal with one JSON object a line; many processes may write to it.

    Args:
        path: the file; it and its folder are made with the first event.
    """

    path: Path

    def record(self, event: str, **facts: Json) -> None:
        """Append one event; once this returns it survives kill -9 and a power cut.

        Args:
            event: what happened, such as "task.done".
            **facts: anything JSON-able; "event" and "at" (UTC) are added.

        Raises:
            InputError: if the journal cannot be written.
        """
        at = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
        line = json.dumps({"event": event, "at": at, **facts}, ensure_ascii=False, allow_nan=False)
        # A run folder is shared as its owner's umask says; the journal of benchmarks is the owner's alone.
        with writing_to(self.path), appending(self.path, mode=0o666) as handle:
            _drop_torn_line(handle)
            os.write(handle, line.encode("utf-8", errors="backslashreplace") + b"\n")
            os.fsync(handle)

    def events(self) -> Iterator[dict[str, Json]]:
        """Every event that was recorded, oldest first; a last line that a kill tore was never recorded.

        Raises:
            BrokenStore: if a line in the middle is no JSON object.
        """
        if not self.path.exists():
            return
        *whole, _torn = self.path.read_bytes().split(b"\n")
        for number, line in enumerate(whole, start=1):
            yield _parsed(line, f"{self.path}, line {number}")


def _drop_torn_line(handle: int) -> None:
    """Cut off a last line without its end: it was being written when its writer was killed."""
    size = os.lseek(handle, 0, os.SEEK_END)
    start, tail = size, b""
    while start > 0 and b"\n" not in tail:
        start = max(0, start - 4096)
        tail = os.pread(handle, size - start, start)
    end = start + tail.rfind(b"\n") + 1
    if end < size:
        os.ftruncate(handle, end)


def _parsed(line: bytes, where: str) -> dict[str, Json]:
    try:
        event = json.loads(line)
    except ValueError as err:
        raise BrokenStore(f"{where} is no JSON: {err}", mend="restore the journal from a copy") from err
    if not isinstance(event, dict):
        raise BrokenStore(f"{where} is no event", mend="restore the journal from a copy")
    return event
