"""What a model loses when it is trained on synthetic rows instead of real ones; both scored on real rows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import stdtrit

from sterling.kernel.estimate import Estimate, Unmeasured
from sterling.kernel.finding import Finding, Json, Status
from sterling.kernel.protocols import Learner, PredictingLearner, ScoringLearner, Terms, measure
from sterling.kernel.view import Column, Need, View
from sterling.stats.bounds import normal_quantile, status_of
from sterling.stats.rows import some
from sterling.stats.scores import metric_name, sampling_error, score_of, scoring_arrays, unscorable

if TYPE_CHECKING:
    from sterling.kernel.view import Floats

BOUND = 0.05
LEAST_ROWS = 30
MOST_ROWS = {"full": 100_000, "fast": 20_000}
# Resampled benchmark rows in all, per model: more draws on small benchmarks, where they are needed.
MOST_DRAWN = 20_000_000
# Standard errors from the bound at which two trainings an arm decide.
BEYOND_DOUBT = 5.0


@measure(
    Need.TARGET,
    Need.BENCHMARK,
    Need.LEARNER,
    title="Score lost by training on synthetic rows alone",
    better="higher",
    floor=False,
    family="utility",
)
def utility(
    real: View, synthetic: View, *, holdout: View | None, rng: np.random.Generator, terms: Terms
) -> tuple[Finding, ...]:
    """Score on real rows of a model trained on synthetic rows, minus that of one trained on real rows.

    This is what substitution costs. It is not `transfer_drop`: both models are scored on the *same real*
    benchmark, and what differs is what they were trained on. Each arm is trained up to `terms.runs` times; the
    interval holds the resampling of benchmark rows (paired, within classes) and the runs.

    Args:
        real: train rows.
        synthetic: the rows that would take their place.
        holdout: the real benchmark.
        rng: seeds the trainings and the resampling.
        terms: `learner`, `runs`; `bound` is the largest tolerable loss, default .05.

    Returns:
        A difference of AUC, macro AUC or R2 (the learner's own score where it gives no predictions);
        0 is no loss, negative is a loss; larger is better.

    Source: "train on synthetic, test on real", Esteban et al. 2017, arXiv:1706.02633; non-inferiority as
        in SCIENCE.md 3.9.
    """
    bound = abs(BOUND if terms.bound is None else terms.bound)
    params: dict[str, Json] = {"bound": -bound, "alpha": terms.alpha, "runs": terms.runs}
    learner = terms.learner
    bad = _impossible(real, synthetic, holdout, terms)
    if bad is not None or holdout is None or holdout.target is None or learner is None:
        bad = bad or Unmeasured(
            "there is no benchmark with a target, or no learner", mend="give --holdout and --target"
        )
        return (Finding("utility", bad, "higher", Status.UNMEASURED, reason=bad.reason, params=params),)
    arms = (some(synthetic, MOST_ROWS[terms.effort], rng=rng), some(real, MOST_ROWS[terms.effort], rng=rng))
    trial = _Trial(learner, arms, holdout, terms)
    result = (
        _by_predictions(trial, learner, bound, rng=rng)
        if isinstance(learner, PredictingLearner)
        else _by_scores(trial, rng=rng)
    )
    if isinstance(result, Unmeasured):
        return (Finding("utility", result, "higher", Status.UNMEASURED, reason=result.reason, params=params),)
    estimate, at_most, scores = result
    status = Status.FAIL if at_most < -bound else status_of(
        estimate.low, max(estimate.high, -bound), -bound, better="higher"
    )  # fmt: skip
    what = metric_name(holdout.target) if isinstance(learner, PredictingLearner) else "score"
    used = [v.n for v in arms]
    found = Finding(
        "utility", estimate, "higher", status,
        reason=_sentence(estimate, scores, what, bound, status, used, [synthetic.n, real.n]),
        params={**params, "metric": what, "rows_synthetic": used[0], "rows_real": used[1], "benchmark": holdout.n},
        evidence={"synthetic": scores[0], "real": scores[1], "at_most": at_most, "metric": what},
    )  # fmt: skip
    return (found,)


def _impossible(real: View, synthetic: View, holdout: View | None, terms: Terms) -> Unmeasured | None:
    if holdout is not None and holdout.target is not None and isinstance(terms.learner, PredictingLearner):
        problem = unscorable(holdout.target)
        if problem is not None:
            return replace(problem, reason=f"in the benchmark, {problem.reason}")
    known = [int((~v.target.missing).sum()) for v in (real, synthetic) if v.target is not None]
    if min(known, default=0) < LEAST_ROWS:
        return Unmeasured(
            f"{' real and '.join(f'{k:,}' for k in known)} synthetic rows with a known target are too few to train on",
            mend=f"give at least {LEAST_ROWS} rows of each",
        )
    return None


@dataclass(frozen=True, slots=True)
class _Trial:
    """Two arms, synthetic then real, and what they are judged by."""

    learner: Learner
    arms: tuple[View, View]
    benchmark: View
    terms: Terms

    def trained(self, *, rng: np.random.Generator) -> list[Any]:
        """One more model of each arm."""
        return [self.learner.fit(v, None, rng=r) for v, r in zip(self.arms, rng.spawn(2), strict=True)]


def _by_predictions(
    trial: _Trial, learner: PredictingLearner, bound: float, *, rng: np.random.Generator
) -> tuple[Estimate, float, list[Json]]:
    """The difference, its upper bound at alpha, and the mean score of each arm.

    Two trainings an arm are enough where the answer is beyond doubt: more would sharpen the smaller
    part of the error only.
    """
    terms, target = trial.terms, trial.benchmark.known_target
    predicted: list[list[Floats]] = []
    value, error, means = 0.0, np.inf, np.zeros(2)
    while len(predicted) < terms.runs and (len(predicted) < 2 or abs(value + bound) < BEYOND_DOUBT * error):
        predicted.append([learner.predict(model, trial.benchmark) for model in trial.trained(rng=rng)])
        if len(predicted) in (min(2, terms.runs), terms.runs):
            value, error, means = _difference(target, predicted, rng=rng)
    half, far = (normal_quantile(a) * error for a in ((1 - terms.level) / 2, terms.alpha))
    method = f"paired over benchmark rows, {len(predicted)} trainings an arm"
    estimate = Estimate(value, value - half, value + half, trial.benchmark.n, terms.level, method)
    return estimate, value + far, [float(s) for s in means]


def _difference(
    target: Column, predicted: list[list[Floats]], *, rng: np.random.Generator
) -> tuple[float, float, Floats]:
    """Mean difference of the arms, its standard error over benchmark rows and trainings, and both means."""
    runs = len(predicted)
    scores: Floats = np.array([[score_of(target, p) for p in run] for run in predicted])
    kind, y, ready = scoring_arrays(target, [run[arm] for arm in (0, 1) for run in predicted])
    draws = int(np.clip(MOST_DRAWN // max(1, y.size), 200, 1000))
    paired = sampling_error(kind, y, [ready[:runs], ready[runs:]], draws=draws, rng=rng)
    between = float(scores.var(axis=0, ddof=1).sum()) / runs if runs > 1 else 0.0
    means = scores.mean(axis=0)
    return float(means[0] - means[1]), float(np.sqrt(paired**2 + between)), means


def _by_scores(trial: _Trial, *, rng: np.random.Generator) -> tuple[Estimate, float, list[Json]] | Unmeasured:
    """The same where the learner gives a score only: each run on its own resampling of the benchmark."""
    learner, terms, benchmark = trial.learner, trial.terms, trial.benchmark
    if not isinstance(learner, ScoringLearner) or terms.runs < 2:
        return Unmeasured(
            f"{type(learner).__name__} gives no predictions, and {terms.runs} run tells nothing of their spread",
            mend="use at least 2 runs",
        )
    found = np.zeros((2, terms.runs))
    for run in range(terms.runs):
        rows = benchmark.take(rng.integers(benchmark.n, size=benchmark.n))
        found[:, run] = [float(learner.score(model, rows)) for model in trial.trained(rng=rng)]
    gaps = found[0] - found[1]
    # One resampling of the benchmark strays as far as the benchmark itself does from the truth.
    error = float(gaps.std(ddof=1)) * float(np.sqrt(1 + 1 / terms.runs))
    value = float(gaps.mean())
    half, far = (float(stdtrit(terms.runs - 1, 1 - a)) * error for a in ((1 - terms.level) / 2, terms.alpha))
    method = f"t over {terms.runs} trainings, each on resampled benchmark rows"
    estimate = Estimate(value, value - half, value + half, benchmark.n, terms.level, method)
    return estimate, value + far, [float(s) for s in found.mean(axis=1)]


def _sentence(
    e: Estimate, scores: list[Json], what: str, bound: float, status: Status, used: list[int], have: list[int]
) -> str:
    text = (
        f"Trained on {used[0]:,} synthetic rows a model reaches {what} {scores[0]:.3f} on {e.n:,} real rows; "
        f"trained on {used[1]:,} real rows, {scores[1]:.3f}: a difference of {e.value:+.3f}, "
        f"and a loss of {bound:g} is tolerated."
    )
    if used != have:
        text += f" Both sets were cut to size ({have[0]:,} synthetic and {have[1]:,} real rows are there)."
    half, distance = (e.high - e.low) / 2, abs(e.value + bound)
    if status is Status.UNDECIDED and distance * 30 > half:
        text += f" About {int(np.ceil(e.n * max(1.0, half / distance) ** 2 / 10) * 10):,} benchmark rows would decide."
    return text
