"""Fresh real rows for protected slices: a reserve that is used once, row by row, and says when it is spent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from sterling.loops.watched import Slice

if TYPE_CHECKING:
    from sterling.kernel.view import Bools, Ints

# Where the sets stand among those that were encoded together.
REAL, MADE, RESERVE = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Injected:
    """What goes into the next generation's training data beside made rows.

    Args:
        kept: [m] made rows that stay: those of a slice leave at the rate at which real ones come.
        fresh: reserve rows that were never used before.
        replayed: reserve rows that were used before; a poor stand-in, for they tell nothing new.
        short: slices for which too few fresh rows were left.
    """

    kept: Bools
    fresh: Ints
    replayed: Ints
    short: tuple[str, ...] = field(default=())


def inject(
    slices: Sequence[Slice], used: Bools, *, rows: int, n_real: int, n_made: int, rng: np.random.Generator
) -> Injected:
    """Choose real rows for every protected slice, and the made rows they replace.

    A slice that expects k rows gets I real ones, and each of its made rows leaves with chance I / k: its mass drifts
    about the real one, as if a share lam = I / k of all its rows were real (a migration in Wright and Fisher's model).

    Args:
        slices: of the real, the made and the reserve rows, in that order.
        used: [reserve] rows that earlier generations have had.
        rows: I, real rows per slice and generation.
        n_real: real rows of the start.
        n_made: made rows.
        rng: draws both.

    Source: Wright 1931, Genetics 16:97.
    """
    leave = np.zeros(n_made)
    fresh = np.zeros(used.size, dtype=np.bool_)
    replayed: list[Ints] = []
    short: list[str] = []
    for one in sorted(slices, key=lambda s: (s.counts[RESERVE], s.name)):
        within = one.mask(RESERVE)
        due = rows - int((within & fresh).sum())
        expected = one.counts[REAL] / n_real * n_made
        mine = one.mask(MADE)
        leave[mine] = np.maximum(leave[mine], min(1.0, rows / expected))
        if due <= 0:
            continue
        left = np.flatnonzero(within & ~used & ~fresh)
        fresh[rng.permutation(left)[:due]] = True
        if left.size < due:
            short.append(one.name)
            again = np.flatnonzero(within)
            if again.size:
                replayed.append(rng.choice(again, due - left.size))
    repeats = np.concatenate(replayed).astype(np.int64) if replayed else np.empty(0, dtype=np.int64)
    return Injected(rng.random(n_made) >= leave, np.flatnonzero(fresh).astype(np.int64), repeats, tuple(short))
