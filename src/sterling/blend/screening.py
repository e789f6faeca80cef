"""Many candidates: one training each, and the full effort for those that it may matter for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from sterling.kernel.view import AnyArray, Floats

# Up to so many candidates all get the full effort; of more, so many at most.
MOST_FULL = 6
# A candidate whose lead over the best is above zero in fewer draws is not the best.
CHANCE_TO_LEAD = 0.05


def finalists(scores: Floats, draws: Floats, worths: Floats, *, bound: float) -> AnyArray:
    """Positions of the candidates that go on, best first.

    Those that may be the best, by paired draws of the scores, then those of which it is open whether they are worth
    the bound, and never more than `MOST_FULL`.

    Args:
        scores: [candidates] from one training each, larger is better.
        draws: [draws, candidates] the same under joint resampling.
        worths: [2, candidates] lower and upper end of the worth.
        bound: real rows below which a set is worth little.

    >>> finalists(np.array([0.9, 0.5]), np.array([[0.9, 0.5], [0.9, 0.6]]), np.array([[50, 0], [90, 4.0]]), bound=9)
    array([0])
    """
    order = np.argsort(-scores, kind="stable")
    leads = (draws >= draws[:, [order[0]]]).mean(axis=0) >= CHANCE_TO_LEAD
    open_ = (worths[0] < bound) & (worths[1] >= bound)
    ranked = [*(j for j in order if leads[j]), *(j for j in order if open_[j] and not leads[j])]
    return np.array(ranked[:MOST_FULL], dtype=np.int64)
