"""A few trainings made and timed ahead of the others, so that the cost can be told in seconds; none is wasted."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sterling.blend.training import Judged, curve_sizes, labelled, real_orders, target_of, train_once
from sterling.kernel.protocols import Effort, Learner
from sterling.kernel.view import View

# (benchmark row, draw, model) triples that a bootstrap looks at in a second; measured on one core.
TRIPLES_PER_SECOND = 1.0e8


@dataclass(frozen=True, slots=True, eq=False)
class Rehearsal:
    """Trainings on real rows that the curve will not have to repeat, and what they took.

    Args:
        done: by (rows, run).
        rows: of those that were timed, increasing.
        seconds: that each of them took.
    """

    done: dict[tuple[int, int], Judged]
    rows: tuple[int, ...]
    seconds: tuple[float, ...]

    def predict(self, arms: Sequence[tuple[int, int]], *, triples: float) -> float:
        """Seconds that arms of (rows, runs) will take, the timed trainings among them, and their bootstrap.

        Straight between the timed sizes; beyond them in proportion to what the largest two differ by.
        """
        return sum(runs * self._one(rows) for rows, runs in arms) + triples / TRIPLES_PER_SECOND

    def _one(self, rows: int) -> float:
        (*_, before, last), (*_, faster, slower) = self.rows, self.seconds
        if rows <= last:
            return float(np.interp(rows, self.rows, self.seconds))
        return slower + max(0.0, slower - faster) / (last - before) * (rows - last)


def rehearse(train: View, test: View, *, learner: Learner, seed: int, runs: int, effort: Effort) -> Rehearsal:
    """Train on the smallest, on half and on all of the real rows, as the curve would, and time it.

    The first training of a process may compile or load what the others find ready: it is not timed.

    Raises:
        SterlingError: if training on real rows fails.
    """
    rows = labelled(train, "the real data")
    target = target_of(rows, "the real data")
    sizes = curve_sizes(target, effort=effort)
    orders = real_orders(target, runs=runs, seed=seed)
    done: dict[tuple[int, int], Judged] = {}
    took: dict[int, float] = {}
    # Smallest first: a learner that fails does so early. Its second run is the first that is timed.
    for size, run in [(sizes[0], 0), (sizes[0], runs - 1), (sizes[-2], 0), (sizes[-1], 0)]:
        start = time.monotonic()
        if (size, run) not in done:
            done[size, run] = train_once("real", rows.take(orders[run][:size]), test, run, learner=learner, seed=seed)
            took[size] = time.monotonic() - start
    timed = sorted(took)
    return Rehearsal(done, tuple(timed), tuple(took[size] for size in timed))
