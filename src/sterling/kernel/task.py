"""The unit that is run, cached, retried and recorded."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

from sterling.kernel.finding import Json


@dataclass(frozen=True, slots=True)
class Task:
    """A named function call whose result depends on nothing but what stands here.

    Args:
        function: "module:name" of a module-level function.
        params: JSON-able settings.
        seed_path: names from the run's seed to this task's stream.
        inputs: fingerprints of everything it reads.
    """

    function: str
    params: tuple[tuple[str, Json], ...]
    seed_path: tuple[str | int, ...]
    inputs: tuple[str, ...]

    @property
    def key(self) -> str:
        """Hex SHA-256 of the task: the cache key; the same in every process and on every machine."""
        body = [self.function, [list(p) for p in self.params], list(self.seed_path), list(self.inputs)]
        text = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()
