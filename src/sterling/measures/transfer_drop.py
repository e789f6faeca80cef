"""How much a synthetic-trained model's score on synthetic rows flatters it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sterling.kernel.estimate import Estimate, Unmeasured
from sterling.kernel.finding import Finding, Json, Status
from sterling.kernel.protocols import PredictingLearner, Terms, measure
from sterling.kernel.view import Column, Need, View
from sterling.stats.bounds import normal_quantile, status_of
from sterling.stats.conditional import dealt, is_number
from sterling.stats.rows import some
from sterling.stats.scores import metric_name, sampling_error, score_of, scoring_arrays, unscorable

if TYPE_CHECKING:
    from sterling.kernel.view import AnyArray, Floats

BOUND = 0.05
LEAST_ROWS = 60
TEST_FOLDS = 5
# What is uncertain here is the two tests, not the training: two trainings tell how much it matters.
MOST_RUNS = 2
MOST_ROWS = {"full": 100_000, "fast": 20_000}
MOST_DRAWN = 20_000_000


@measure(
    Need.TARGET,
    Need.BENCHMARK,
    Need.LEARNER,
    title="Score on synthetic rows that does not carry over to real rows",
    better="lower",
    floor=False,
    family="utility",
)
def transfer_drop(
    real: View, synthetic: View, *, holdout: View | None, rng: np.random.Generator, terms: Terms
) -> tuple[Finding, ...]:
    """Score of a synthetic-trained model on held-out synthetic rows, minus its score on real rows.

    This is the "5 to 20 % drop" that the field quotes: one model, two tests. It says how far a synthetic
    *test* may be trusted. It is not `utility`, which compares two models on one real test and says what
    synthetic *training* costs: a set may have no drop and be useless, or a large drop and be useful.

    Args:
        real: not used.
        synthetic: four fifths train the model, one fifth tests it.
        holdout: the real benchmark.
        rng: draws the split, seeds the trainings and the resampling.
        terms: `learner`, `runs` (two at most); `bound` is the largest tolerable drop, default .05.

    Returns:
        A difference of AUC, macro AUC or R2; 0 is ideal, positive flatters; smaller is better.

    Source: "train on synthetic, test on synthetic/real", Esteban et al. 2017, arXiv:1706.02633.
    """
    bound = BOUND if terms.bound is None else terms.bound
    params: dict[str, Json] = {"bound": bound, "alpha": terms.alpha}
    fold = _folds(synthetic, rng=rng)
    parts = [some(synthetic.take(fold != 0), MOST_ROWS[terms.effort], rng=rng), synthetic.take(fold == 0)]
    bad, learner = _impossible(synthetic, parts[1], holdout, terms), terms.learner
    if bad is not None or holdout is None or learner is None or not isinstance(learner, PredictingLearner):
        bad = bad or Unmeasured("the learner gives no predictions", mend="use a learner that predicts")
        return (Finding("transfer_drop", bad, "lower", Status.UNMEASURED, reason=bad.reason, params=params),)
    models = [learner.fit(parts[0], None, rng=s) for s in rng.spawn(min(terms.runs, MOST_RUNS))]
    judge: PredictingLearner = learner
    tests = [_tested([judge.predict(m, v) for m in models], v.known_target, rng=rng) for v in (parts[1], holdout)]
    (flattering, own), (honest, other) = tests
    value, error = flattering - honest, float(np.hypot(own, other))
    half = normal_quantile((1 - terms.level) / 2) * error
    at_least = value - normal_quantile(terms.alpha) * error
    result = Estimate(value, value - half, value + half, parts[1].n + holdout.n, terms.level, "rows of both tests")
    what = metric_name(holdout.known_target)
    reason = (
        f"The model trained on synthetic rows scores {what} {flattering:.3f} on synthetic and {honest:.3f} on real "
        f"rows: {value:+.3f}, and {bound:g} is tolerated. This judges a synthetic test, not synthetic training."
    )
    if parts[0].n + parts[1].n < synthetic.n:
        reason += f" It was trained on {parts[0].n:,} of {synthetic.n - parts[1].n:,} rows."
    found = Finding(
        "transfer_drop", result, "lower",
        Status.FAIL if at_least > bound else status_of(min(result.low, bound), result.high, bound, better="lower"),
        reason=reason,
        params={**params, "metric": what, "rows_trained": parts[0].n, "runs": len(models)},
        evidence={"on_synthetic": flattering, "on_real": honest, "at_least": at_least, "metric": what},
    )  # fmt: skip
    return (found,)


def _folds(synthetic: View, *, rng: np.random.Generator) -> AnyArray:
    target = synthetic.target
    classes = None if target is None or is_number(target) else target.values
    return dealt(classes, synthetic.n, TEST_FOLDS, rng=rng)


def _impossible(synthetic: View, held: View, holdout: View | None, terms: Terms) -> Unmeasured | None:
    if synthetic.n < LEAST_ROWS:
        return Unmeasured(f"{synthetic.n:,} synthetic rows are too few to train and test on", mend="make more rows")
    if holdout is None or holdout.target is None or held.target is None or terms.learner is None:
        return Unmeasured("there is no benchmark with a target, or no learner", mend="give --holdout and --target")
    for where, view, least in (("the benchmark", holdout, 30), ("the held-out synthetic rows", held, 10)):
        problem = unscorable(view.known_target, least=least)
        if problem is not None:
            return Unmeasured(f"in {where}, {problem.reason}", mend=problem.mend)
    if metric_name(holdout.target) != metric_name(held.target):
        return Unmeasured(
            f"{holdout.target.name!r} has another number of classes in the synthetic rows than in the real ones",
            mend="make synthetic rows of every class",
        )
    return None


def _tested(predicted: list[Floats], target: Column, *, rng: np.random.Generator) -> tuple[float, float]:
    """Mean score over the trainings, and its standard error over test rows and trainings."""
    scores = np.array([score_of(target, p) for p in predicted])
    kind, y, ready = scoring_arrays(target, predicted)
    draws = int(np.clip(MOST_DRAWN // max(1, y.size), 200, 500))
    error = sampling_error(kind, y, [ready], draws=draws, rng=rng)
    between = float(scores.var(ddof=1)) / scores.size if scores.size > 1 else 0.0
    return float(scores.mean()), float(np.sqrt(error**2 + between))
