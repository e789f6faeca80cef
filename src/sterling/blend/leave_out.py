"""What leaving out some synthetic rows gains: paired trainings, in the score's unit and in real rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import stdtrit

from sterling.blend.folds import deal
from sterling.blend.training import judge, labelled, nested_order, target_of
from sterling.kernel.errors import SterlingError
from sterling.kernel.estimate import Estimate, Unmeasured
from sterling.kernel.protocols import Effort, Learner, OnEvent
from sterling.kernel.seeds import stream
from sterling.kernel.view import View, stack
from sterling.stats.bounds import normal_quantile
from sterling.stats.learning_curve import fit_curves
from sterling.stats.scores import metric_name, sampling_error, score_of, scoring_arrays, unscorable

if TYPE_CHECKING:
    from sterling.kernel.view import Bools, Floats, Ints

FOLDS = 5
REPEATS: dict[Effort, int] = {"full": 2, "fast": 1}
# Trainings on each side of the comparison on the benchmark.
RUNS: dict[Effort, int] = {"full": 5, "fast": 3}
# Synthetic rows that train; of more, a random part of so many stands for all, with their mass.
MOST_ROWS: dict[Effort, int] = {"full": 50_000, "fast": 10_000}
LEVEL = 0.95
DRAWS = 400
# The slope of the real curve is read off its end; these shares of the rows that train make the curve.
SHARES = (0.125, 0.25, 0.5)
SMALLEST = 40
NEAR = 0.9
# An interval that reaches so many times the real rows says nothing.
MOST_TIMES = 10
# A slope that gains less than this in score by doubling the real rows is none.
LEAST_SLOPE = 1e-4


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What a training gains without some rows.

    Args:
        gain: of the score without them over with them; above 0 they hurt.
        real_rows: how many more real rows would gain as much.
        sure: the gain with an interval that holds for all parts among which these were looked for.
    """

    gain: Estimate | Unmeasured
    real_rows: Estimate | Unmeasured
    sure: Estimate | Unmeasured

    @property
    def gains(self) -> bool:
        """Whether training without them surely gains."""
        return isinstance(self.sure, Estimate) and self.sure.low > 0

    @property
    def loses(self) -> bool:
        """Whether training without them surely loses."""
        return isinstance(self.sure, Estimate) and self.sure.high < 0


def trainings(parts: int, *, effort: Effort) -> int:
    """How many trainings `leave_out` takes for so many parts."""
    return FOLDS * REPEATS[effort] * (parts + 2 + len(SHARES))


def leave_out(
    train: View,
    made: View,
    parts: Mapping[str, Bools],
    *,
    looks: int | None = None,
    weight: float,
    learner: Learner,
    seed: int,
    effort: Effort,
    on_event: OnEvent,
) -> dict[str, LeftOut]:
    """Train with all synthetic rows and without each part of them, on the same folds of the real rows.

    Args:
        train: real rows, weight 1; never the benchmark.
        made: [m] synthetic rows.
        parts: by name, which synthetic rows to leave out.
        looks: parts among which these were chosen, on rows of this train part: `sure` is corrected for so many; None
            for these alone.
        weight: of a synthetic row.
        learner: the model the data is for.
        seed: same seed, same answer.
        effort: "fast" deals the folds once, else twice.
        on_event: hears progress.

    Returns:
        By part, what leaving it out gains, with 95 % intervals for each by itself; they count the folds as not
        independent (Nadeau & Bengio 2003, Machine Learning 52:239).
    """
    real, chosen_rows = labelled(train, "the real data"), _some(made, most=MOST_ROWS[effort], seed=seed)
    rows = made.take(chosen_rows)
    heavy = weight * int((~target_of(made, "the candidate").missing).sum()) / max(1, rows.n)
    folds = deal(real, folds=FOLDS, repeats=REPEATS[effort], seed=seed)
    if len(folds) < 2:
        few = Unmeasured("the real rows cannot be split into folds that can be scored", "give more real rows")
        return {name: LeftOut(few, few, few) for name in parts}
    scored: dict[str, list[float]] = {name: [] for name in parts}
    failed: dict[str, str] = {}
    curve: list[list[float]] = []
    sizes = _sizes(folds[0].kept.size)
    for fold in folds:
        kept, held = real.take(fold.kept), real.take(fold.held)

        def score(chosen: Bools | None, kept: View = kept, held: View = held, path: str = fold.name) -> float:
            part = None if chosen is None else rows.take(chosen)
            return _score(kept, part, held, weight=heavy, learner=learner, rng=stream(seed, "leave out", path))

        try:
            whole = score(np.ones(rows.n, dtype=bool))
            order = nested_order(target_of(kept, "the fold"), rng=stream(seed, "leave out", "order", fold.name))
            curve.append([score(None, kept=kept.take(order[:size])) for size in sizes])
        except SterlingError as error:
            failed |= dict.fromkeys(parts, f"training on all rows failed: {error.message}")
            break
        for name, out in parts.items():
            if name not in failed:
                try:
                    scored[name].append(score(~out[chosen_rows]) - whole)
                except SterlingError as error:
                    failed[name] = error.message
        on_event("tried", {"fold": fold.name, "score": whole})
    return {
        name: _told(
            gains, curve, sizes, failed.get(name), looks=looks or len(parts), rng=stream(seed, "leave out", name)
        )
        for name, gains in scored.items()
    }


def _some(made: View, *, most: int, seed: int) -> Ints:
    """Positions of the rows whose target is known, or of so many of them."""
    known = np.flatnonzero(~target_of(made, "the candidate").missing)
    return known if known.size <= most else np.sort(stream(seed, "leave out", "thin").permutation(known)[:most])


def _score(
    kept: View, part: View | None, held: View, *, weight: float, learner: Learner, rng: np.random.Generator
) -> float:
    if part is None or part.n == 0:
        model = learner.fit(kept, None, rng=rng)
    else:
        weights = np.concatenate([np.ones(kept.n), np.full(part.n, weight)])
        model = learner.fit(stack([kept, part]), weights, rng=rng)
    judged = judge(learner, model, held)
    return score_of(target_of(held, "the fold"), judged) if isinstance(judged, np.ndarray) else judged


def _sizes(n: int) -> Ints:
    """Rows of the real curve's points, the last one all that a fold trains on."""
    return np.unique([max(min(SMALLEST, n), round(share * n)) for share in (*SHARES, 1.0)])


def _told(
    gains: Sequence[float], curve: Sequence[Sequence[float]], sizes: Ints, failure: str | None, *, looks: int,
    rng: np.random.Generator,
) -> LeftOut:  # fmt: skip
    if failure is not None:
        why = Unmeasured(failure, "mend the learner, or choose another: --learner")
        return LeftOut(why, why, why)
    gain, n = np.array(gains), int(sizes[-1])
    # Folds share training rows: the variance of a mean over them is larger by test rows over training rows.
    stretch = float(np.sqrt(1 + gain.size / (FOLDS - 1)))
    mean, error = float(gain.mean()), float(gain.std(ddof=1) / np.sqrt(gain.size)) * stretch
    halves = [float(stdtrit(gain.size - 1, 1 - (1 - LEVEL) / 2 / k)) * error for k in (1, looks)]
    how = f"{gain.size} paired folds, t with Nadeau-Bengio variance"
    found, sure = (
        Estimate(mean, mean - half, mean + half, n, LEVEL, how + also)
        for half, also in zip(halves, ("", f", corrected for {looks} looks"), strict=True)
    )
    return LeftOut(found, _in_real_rows(gain, np.array(curve), sizes, stretch=stretch, rng=rng), sure)


def _in_real_rows(
    gain: Floats, curve: Floats, sizes: Ints, *, stretch: float, rng: np.random.Generator
) -> Estimate | Unmeasured:
    """The gain over what one more real row gains at the end of the real curve, both under the same draws of folds."""
    n, folds = int(sizes[-1]), gain.size
    # Means of so few drawn folds spread too little: by the variance's n / (n - 1), and as the normal does beside t.
    small = float(stdtrit(folds - 1, (1 + LEVEL) / 2)) / normal_quantile((1 - LEVEL) / 2)
    stretch *= small * float(np.sqrt(folds / (folds - 1)))
    flat = Unmeasured(f"the score hardly grows any more with {n:,} real rows", "look at the gain in score instead")
    if sizes.size < 2:
        return Unmeasured(f"{n} real rows are too few for a learning curve", "give more real rows")
    drawn = rng.integers(gain.size, size=(DRAWS, gain.size))
    means = curve.mean(axis=0) + stretch * (curve[drawn].mean(axis=1) - curve.mean(axis=0))
    gains = gain.mean() + stretch * (gain[drawn].mean(axis=1) - gain.mean())
    point = _slope(sizes, curve.mean(axis=0)[None])[0]
    if point * n < LEAST_SLOPE:
        return flat
    slopes = np.maximum(_slope(sizes, means), LEAST_SLOPE / n / 10)
    value = float(gain.mean() / point)
    low, high = np.quantile(gains / slopes, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    if max(abs(low), abs(high)) > MOST_TIMES * n:
        return flat
    how = f"over the slope of the real curve at {n:,} rows (power law); {gain.size} folds drawn anew"
    return Estimate(value, min(float(low), value), max(float(high), value), n, LEVEL, how)


def _slope(sizes: Ints, scores: Floats) -> Floats:
    """[draws] gain in score by one more row at the last size."""
    curve = fit_curves(sizes, scores, precision=np.ones(sizes.size), form="power")
    n = float(sizes[-1])
    return (curve.score_at(n) - curve.score_at(NEAR * n)) / ((1 - NEAR) * n)


def confirm(
    train: View,
    test: View,
    made: View,
    out: Bools,
    *,
    weight: float,
    learner: Learner,
    seed: int,
    effort: Effort,
    on_event: OnEvent,
) -> Estimate | Unmeasured:
    """The gain of leaving some rows out, on the benchmark: one look, with all real train rows.

    Args:
        train: real rows.
        test: the benchmark.
        made: [m] synthetic rows.
        out: [m] which of them to leave out.
        weight: of a synthetic row.
        learner: the model the data is for.
        seed: same seed, same answer.
        effort: how many trainings a side.
        on_event: hears progress.
    """
    target = target_of(test, "the benchmark")
    if (why := unscorable(target, least=8)) is not None:
        return why
    real, known = labelled(train, "the real data"), ~target_of(made, "the candidate").missing
    sides = (made.take(known), made.take(known & ~out))
    said: list[list[Floats]] = [[], []]
    gains: list[float] = []
    for run in range(RUNS[effort]):
        scores: list[float] = []
        for side, part in enumerate(sides):
            rng = stream(seed, "confirm", run)
            weights = np.concatenate([np.ones(real.n), np.full(part.n, weight)])
            try:
                judged = judge(learner, learner.fit(stack([real, part]), weights, rng=rng), test)
            except SterlingError as error:
                return Unmeasured(error.message, error.mend)
            said[side] += [judged] if isinstance(judged, np.ndarray) else []
            scores.append(score_of(target, judged) if isinstance(judged, np.ndarray) else judged)
        gains.append(scores[1] - scores[0])
        on_event("confirmed", {"run": run, "gain": gains[-1]})
    return _on_benchmark(np.array(gains), said, test, rng=stream(seed, "confirm", "benchmark"))


def _on_benchmark(gains: Floats, said: Sequence[Sequence[Floats]], test: View, *, rng: np.random.Generator) -> Estimate:
    over_runs = float(gains.var(ddof=1)) / gains.size
    over_rows, how = 0.0, f"{gains.size} paired trainings"
    if said[0]:
        target = target_of(test, "the benchmark")
        kind, y, ready = scoring_arrays(target, [*said[0], *said[1]])
        arms = [ready[: len(said[0])], ready[len(said[0]) :]]
        over_rows = sampling_error(kind, y, arms, draws=DRAWS, rng=rng) ** 2
        how = f"{metric_name(target)} of {gains.size} paired trainings, over runs and benchmark rows"
    mean, half = float(gains.mean()), 1.96 * float(np.sqrt(over_runs + over_rows))
    return Estimate(mean, mean - half, mean + half, test.n, LEVEL, how)
