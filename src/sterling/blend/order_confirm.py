"""The sealed benchmark, opened once: what further orders gain over the first one there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from sterling.blend.order_arms import Order, Setting, judge_order
from sterling.blend.training import target_of
from sterling.kernel.estimate import Estimate
from sterling.kernel.seeds import stream
from sterling.stats.scores import bootstrap_scores, score_of, scoring_arrays

if TYPE_CHECKING:
    from sterling.kernel.view import Floats

DRAWS = 1000


def confirm_gains(setting: Setting, arms: Sequence[Order], *, runs: int, level: float) -> list[Estimate]:
    """Train each order `runs` times on all the real rows; the gain of each further one over the first.

    Raises:
        SterlingError: if a training fails.
    """
    judged = [[judge_order(setting, arm, run=f"confirm {run}") for run in range(runs)] for arm in arms]
    setting.on_event("opened", {"benchmark": setting.test.fingerprint, "for": "order_gain"})
    predictions = [p for arm in judged for p in arm if isinstance(p, np.ndarray)]
    if len(predictions) < runs * len(arms):
        scores = np.array(judged, dtype=np.float64)
        return [_by_seeds(gains, setting.test.n, level) for gains in scores[1:] - scores[0]]
    target = target_of(setting.test, "the benchmark")
    kind, y, ready = scoring_arrays(target, predictions)
    rng = stream(setting.seed, "order", "confirm")
    drawn = bootstrap_scores(kind, y, ready, draws=DRAWS, rng=rng).reshape(DRAWS, len(arms), runs)
    points = np.array([score_of(target, p) for p in predictions]).reshape(len(arms), runs)
    return [_by_rows(drawn[:, [0, j]], points[[0, j]], setting.test.n, level, rng) for j in range(1, len(arms))]


def _by_rows(drawn: Floats, points: Floats, n: int, level: float, rng: np.random.Generator) -> Estimate:
    """Paired over resamplings of the benchmark; seeds add a spread of their own, which these do not show."""
    runs = points.shape[1]
    spread = np.sqrt(points.var(axis=1, ddof=1).sum() / runs)
    gains = drawn[:, 1].mean(axis=1) - drawn[:, 0].mean(axis=1) + spread * rng.standard_normal(drawn.shape[0])
    value = float(points[1].mean() - points[0].mean())
    low, high = np.quantile(gains, [(1 - level) / 2, (1 + level) / 2])
    method = f"paired bootstrap of benchmark rows, {runs} seeds, percentile"
    return Estimate(value, min(float(low), value), max(float(high), value), n, level, method)


def _by_seeds(gains: Floats, n: int, level: float) -> Estimate:
    from scipy.special import stdtrit

    half = float(stdtrit(gains.size - 1, (1 + level) / 2) * gains.std(ddof=1) / np.sqrt(gains.size))
    mean = float(gains.mean())
    return Estimate(mean, mean - half, mean + half, n, level, f"t over {gains.size} seeds; the program gives no more")
