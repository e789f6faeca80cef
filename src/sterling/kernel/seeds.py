"""Named random streams: one per task, never per worker, so 1 or 64 workers draw the same numbers."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


def stream(seed: int, *path: str | int) -> np.random.Generator:
    """The random stream that belongs to a name.

    Args:
        seed: the run's seed, any integer.
        path: names and numbers from the run to the task, such as "generate", "copula", 3.

    Returns:
        A PCG64 generator; equal (seed, path) give equal streams, others independent ones.

    >>> float(stream(1, "a", 2).random()) == float(stream(1, "a", 2).random())
    True
    """
    import numpy as np

    # Each part is tagged with its type and length, so ("a", "b") and ("ab",) cannot collide.
    text = "".join(f"{type(p).__name__}:{len(str(p))}:{p};" for p in (seed, *path))
    return np.random.Generator(np.random.PCG64(int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "big")))
