"""One thread for work that is too fine to share."""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import contextmanager
from functools import cache
from typing import Any


@contextmanager
def one_thread() -> Generator[None]:
    """Hold OpenMP to one thread while the block runs, where scikit-learn has loaded it.

    Histogram trees of a learner that is not ours meet at a barrier several times a millisecond, and wait there by
    spinning. On two cores that someone else uses too, two threads took 20 times as long as one; on idle cores they
    are no faster. It also leaves sums in one order, so that numbers do not depend on the machine's cores.
    """
    if "sklearn.ensemble" not in sys.modules:
        yield
        return
    with _controller().limit(limits=1, user_api="openmp"):
        yield


@cache
def _controller() -> Any:
    # Found once, for the search takes milliseconds; and it finds only what is loaded by then.
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
