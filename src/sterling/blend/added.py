"""What adding a set to real rows brings, in real rows: the additive law, measured instead of believed.

Alone, a set made from the very rows that train the model may look as good as these rows, and yet add nothing to
them. So the model is trained on half of the real rows with the set added, and the gain over that half alone is
read off the real curve between half and all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sterling.blend.equivalent import Arm, Placed, Ruler
from sterling.blend.training import train_arm
from sterling.kernel.estimate import Estimate
from sterling.kernel.protocols import Learner, OnEvent
from sterling.kernel.seeds import stream
from sterling.kernel.view import View, stack

if TYPE_CHECKING:
    from sterling.kernel.view import AnyArray, Floats

    Refit = Callable[[AnyArray, np.random.Generator], View]

# A set worth nothing alone may still add a rare class; and a synthetic row never outweighs a real one.
LEAST_SHARE, HEAVIEST = 0.05, 1.0
METHOD = "gain over half of the real rows, on the real learning curve; bootstrap of benchmark rows, halves, forms"


@dataclass(frozen=True, slots=True, eq=False)
class Mixed:
    """Trainings on half of the real rows with a candidate added; run i on the same half as the curve's run i.

    Args:
        arm: the trainings.
        weight: of a synthetic row.
        refitted: whether the candidate was made anew from each half.
    """

    arm: Arm
    weight: float
    refitted: bool


def train_mixed(
    name: str,
    real: View,
    halves: Sequence[AnyArray],
    made: View,
    test: View,
    *,
    worth: float,
    refit: Refit | None,
    learner: Learner,
    seed: int,
    on_event: OnEvent,
) -> Mixed:
    """Train on each half of the real rows with the candidate added, weighted by its worth.

    Args:
        name: of the candidate.
        real: real rows whose target is known.
        halves: their positions in each run.
        made: the candidate's rows.
        test: the benchmark.
        worth: of the candidate alone, in real rows: a row counts worth / rows, the weight of the additive law.
        refit: makes the candidate anew from these positions; None for a frozen one.
        learner: the model the data is for.
        seed: of the run.
        on_event: told "trained" after each training.

    Raises:
        SterlingError: if a training or a refit fails.
    """
    sets = [
        made if refit is None else refit(half, stream(seed, "worth", "refit", name, run))
        for run, half in enumerate(halves)
    ]
    weight = min(HEAVIEST, max(worth, LEAST_SHARE * real.n) / max(1, made.n))
    arms = [
        train_arm(
            f"{name} added",
            [stack([real.take(half), one])],
            test,
            learner=learner,
            seed=seed,
            on_event=on_event,
            weights=np.r_[np.ones(half.size), np.full(one.n, weight)],
            first=run,
        )
        for run, (half, one) in enumerate(zip(halves, sets, strict=True))
    ]
    scores = np.concatenate([arm.scores for arm in arms])
    rows = halves[0].size + made.n
    return Mixed(Arm(name, rows, scores, tuple(p for arm in arms for p in arm.predictions)), weight, refit is not None)


def place_added(
    ruler: Ruler,
    half: Arm,
    mixed: Arm,
    draws: tuple[Floats, Floats],
    *,
    rng: np.random.Generator,
) -> Placed:
    """Where the gain over half of the real rows leads on the curve.

    Args:
        ruler: the real curve.
        half: trainings on half of the real rows.
        mixed: the same with the candidate added.
        draws: [draws] mean scores of both under the same resamplings of the benchmark.
        rng: the stream of this task.
    """
    gains = mixed.scores - half.scores
    noise = _gain_noise(gains, draws[0].size, rng)
    base, drawn = ruler.score_at(half.rows)
    return ruler.read(base + float(gains.mean()), drawn + draws[1] - draws[0] + noise)


def _gain_noise(gains: Floats, draws: int, rng: np.random.Generator) -> Floats:
    """[draws] how the mean gain would differ with other real rows.

    Random halves of the same rows share half of them: they differ by half of what fresh ones would, and the
    other half, which all runs have in common, no number of runs averages out.
    """
    if gains.size < 2:
        return np.zeros(draws)
    freedom = gains.size - 1
    spread = np.sqrt(gains.var(ddof=1) * (1 + 1 / gains.size))
    return rng.standard_normal(draws) * spread * np.sqrt(freedom / rng.chisquare(freedom, size=draws))


def added_rows(placed: Placed, *, half: int, n: int, smallest: float, level: float) -> Estimate:
    """Real rows that the set adds to half of those held; negative where it harms, open where it leaves the curve."""
    low, high = placed.interval(level, smallest=smallest)
    value = min(placed.value, float(n))
    return Estimate(value - half, min(low, value) - half, high - half, n, level, METHOD)
