"""Whether a model trained on synthetic rows says chances that come true on real rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sterling.kernel.estimate import Estimate, Unmeasured
from sterling.kernel.finding import Finding, Json, Status
from sterling.kernel.protocols import PredictingLearner, Terms, measure
from sterling.kernel.view import Column, Need, View
from sterling.stats.bounds import normal_quantile, status_of
from sterling.stats.calibration import calibration_errors, calibration_slope
from sterling.stats.conditional import is_number
from sterling.stats.groups import declared_groups
from sterling.stats.rows import some
from sterling.stats.scores import resample_counts, unscorable

if TYPE_CHECKING:
    from sterling.kernel.view import AnyArray, Bools, Floats

BOUND = 0.03
LEAST_ROWS = 60
LEAST_GROUP = 100
MOST_ROWS = {"full": 10_000, "fast": 5_000}
MOST_BENCHMARK = 10_000
DRAWS = 200
MOST_GROUPS = 20


@dataclass(frozen=True, slots=True, eq=False)
class _Trial:
    """Predictions of both arms on the same real rows.

    Args:
        benchmark: the rows.
        outcomes: [n] what came true: the class (of two) or the likeliest class (of more) as 0 or 1, per arm,
            or the number in its standard deviations.
        predictions: [n] per arm, synthetic then real, of the same unit.
        trained: rows each arm was trained on, synthetic then real.
        known: rows each arm had.
        what: what is predicted, in words.
    """

    benchmark: View
    outcomes: tuple[Floats, Floats]
    predictions: tuple[Floats, Floats]
    trained: tuple[int, int]
    known: tuple[int, int]
    what: str


@dataclass(frozen=True, slots=True)
class _Look:
    """One way in which the synthetic arm may be worse calibrated: by how much, with its standard error."""

    name: str
    value: float
    error: float
    arms: tuple[float, float]
    rows: int


@measure(
    Need.TARGET, Need.BENCHMARK, Need.LEARNER, title="Calibration lost by training on synthetic rows", better="lower",
    floor=False, family="utility", weight=0.5,
)  # fmt: skip
def calibration(
    real: View, synthetic: View, *, holdout: View | None, rng: np.random.Generator, terms: Terms
) -> tuple[Finding, ...]:
    """Calibration error on real rows of a model trained on synthetic rows, minus that of one trained on real rows.

    Two looks at the same benchmark rows: the root mean squared gap between predicted and true rate over
    bins of equal mass, debiased, and the mean prediction against the mean outcome (calibration in the
    large). With more than two classes the likeliest one is judged. A number is judged in its standard
    deviations. The interval holds the paired resampling of benchmark rows and the chance in the outcomes
    of the training rows. One training an arm.

    Args:
        real: train rows.
        synthetic: the rows that would take their place.
        holdout: the real benchmark.
        rng: draws subsamples, seeds the trainings and the resampling.
        terms: `learner`; `bound` is the largest tolerable loss of calibration, default .03. Half of `alpha`
            goes to the two looks, half to the declared groups (calibration in the large).

    Returns:
        Differences of probability (or standard deviations): 0 is no loss, negative is better than real;
        smaller is better. First all rows, then one finding for each declared group that fails.

    Source: Kumar, Liang & Ma 2019, arXiv:1909.10155; Broecker 2012; calibration in the large, Cox 1958.
    """
    bound = BOUND if terms.bound is None else terms.bound
    params: dict[str, Json] = {"bound": bound, "alpha": terms.alpha}
    trial = _trial(real, synthetic, holdout, terms, rng=rng)
    if isinstance(trial, Unmeasured):
        return (Finding("calibration", trial, "lower", Status.UNMEASURED, reason=trial.reason, params=params),)
    counts = resample_counts(np.zeros(trial.benchmark.n, dtype=np.int64), draws=DRAWS, rng=rng)
    looks, groups = _overall(trial, counts), _by_group(trial)
    share = terms.alpha / (2 if groups else 1)
    lows = {k.name: k.value - normal_quantile(share / 2) * k.error for k in looks}
    failing = [k for k in looks if lows[k.name] > bound]
    shown = max(failing or looks, key=lambda k: k.value)
    side = normal_quantile((1 - terms.level) / 2)
    high = max(k.value + side * k.error for k in looks)
    bad = [k for k in groups if k.value - normal_quantile(share / len(groups)) * k.error > bound]
    status = Status.FAIL if failing or bad else status_of(min(bound, shown.value), high, bound, better="lower")
    params |= {"rows_synthetic": trial.trained[0], "rows_real": trial.trained[1], "benchmark": trial.benchmark.n}
    whole = Finding(
        "calibration", _estimate(shown, terms.level), "lower", status,
        reason=_sentence(trial, shown, bad, bound), params=params,
        evidence={"looks": _table(looks), "groups": _table(groups), "slope": _slopes(trial), "at_least": {**lows}},
    )  # fmt: skip
    return (whole, *(_one(k, bound, terms, params) for k in bad))


def _trial(
    real: View, synthetic: View, holdout: View | None, terms: Terms, *, rng: np.random.Generator
) -> _Trial | Unmeasured:
    learner = terms.learner
    if holdout is None or holdout.target is None or real.target is None or synthetic.target is None:
        return Unmeasured("there is no benchmark with a target", mend="give --holdout and --target")
    if learner is None or not isinstance(learner, PredictingLearner):
        return Unmeasured("the learner gives no predictions", mend="use a learner that predicts")
    problem = unscorable(holdout.target)
    if problem is not None:
        return Unmeasured(f"in the benchmark, {problem.reason}", mend=problem.mend)
    known = tuple(int((~v.known_target.missing).sum()) for v in (synthetic, real))
    if min(known) < LEAST_ROWS:
        return Unmeasured(
            f"{known[1]:,} real and {known[0]:,} synthetic rows with a known target are too few to train on",
            mend=f"give at least {LEAST_ROWS} rows of each",
        )
    arms = [some(v, MOST_ROWS[terms.effort], rng=rng) for v in (synthetic, real)]
    benchmark = some(holdout.take(~holdout.target.missing), MOST_BENCHMARK, rng=rng)
    # One stream for both: where the arms hold the same rows, so do the models.
    seed = int(rng.integers(2**63))
    models = [learner.fit(v, None, rng=np.random.default_rng(seed)) for v in arms]
    predicted = [learner.predict(m, benchmark) for m in models]
    outcomes, predictions, what = _judged(benchmark.known_target, predicted)
    trained = tuple(int((~v.known_target.missing).sum()) for v in arms)
    return _Trial(benchmark, outcomes, predictions, (trained[0], trained[1]), (known[0], known[1]), what)


def _judged(target: Column, predicted: list[Floats]) -> tuple[tuple[Floats, Floats], tuple[Floats, Floats], str]:
    """What came true and what was said of it, per arm."""
    if is_number(target):
        unit = float(target.values.std())
        y = target.values / unit
        return (y, y), (predicted[0] / unit, predicted[1] / unit), target.name
    present = np.unique(target.values)
    if present.size == 2:
        y = (target.values == present[1]).astype(np.float64)
        name = (target.levels or ())[int(present[1])]
        return (y, y), (predicted[0][:, present[1]], predicted[1][:, present[1]]), f"{target.name}={name}"
    hits = [(p.argmax(axis=1) == target.values).astype(np.float64) for p in predicted]
    tops = [p.max(axis=1) for p in predicted]
    return (hits[0], hits[1]), (tops[0], tops[1]), f"the likeliest {target.name}"


def _training_noise(trial: _Trial, rows: Bools | None = None) -> float:
    """How far training samples of these sizes let a mean prediction stray, at least: as their own means do."""
    share = 1.0 if rows is None else float(rows.mean())
    y = trial.outcomes[1] if rows is None else trial.outcomes[1][rows]
    return float(y.std()) * float(np.sqrt(sum(1 / (share * k) for k in trial.trained)))


def _overall(trial: _Trial, counts: AnyArray) -> list[_Look]:
    plain = [calibration_errors(y, p) for y, p in zip(trial.outcomes, trial.predictions, strict=True)]
    drawn = [calibration_errors(y, p, counts) for y, p in zip(trial.outcomes, trial.predictions, strict=True)]
    looks: list[_Look] = []
    for place, name in enumerate(("calibration error", "calibration in the large")):
        a, b = (abs(float(p[place][0])) for p in plain)
        spread = float((np.abs(drawn[0][place]) - np.abs(drawn[1][place])).std(ddof=1))
        error = float(np.hypot(spread, _training_noise(trial)))
        looks.append(_Look(name, a - b, error, (a, b), trial.benchmark.n))
    return looks


def _by_group(trial: _Trial) -> list[_Look]:
    """Calibration in the large of each declared group that is not rare."""
    looks: list[_Look] = []
    groups = [g for g in declared_groups(trial.benchmark, trial.benchmark, least=LEAST_GROUP) if not g.crossed]
    for group in sorted(groups, key=lambda g: -g.sizes[0])[:MOST_GROUPS]:
        gaps = [p[group.real] - y[group.real] for y, p in zip(trial.outcomes, trial.predictions, strict=True)]
        means = [float(g.mean()) for g in gaps]
        # The absolute value has the sign's slope: the paired difference keeps what the arms share.
        signed = [np.sign(m) * g for m, g in zip(means, gaps, strict=True)]
        spread = float((signed[0] - signed[1]).std(ddof=1)) / float(np.sqrt(group.sizes[0]))
        error = float(np.hypot(spread, _training_noise(trial, group.real)))
        arms = abs(means[0]), abs(means[1])
        looks.append(_Look(group.name, arms[0] - arms[1], error, arms, group.sizes[0]))
    return looks


def _estimate(look: _Look, level: float) -> Estimate:
    half = normal_quantile((1 - level) / 2) * look.error
    method = "paired resampling of benchmark rows, with the chance in training outcomes"
    return Estimate(look.value, look.value - half, look.value + half, look.rows, level, method)


def _sentence(trial: _Trial, shown: _Look, bad: list[_Look], bound: float) -> str:
    what = {
        "calibration error": "strays from the true rate by",
        "calibration in the large": "is on average off by",
    }[shown.name]
    text = (
        f"On {trial.benchmark.n:,} real rows, the predicted chance of {trial.what} {what} {shown.arms[0]:.3f} "
        f"when trained on synthetic rows and by {shown.arms[1]:.3f} when trained on real rows: {shown.value:+.3f}, "
        f"and {bound:g} is tolerated."
    )
    if bad:
        text += f" It is worse by more than that in {', '.join(k.name for k in bad[:3])}."
    if trial.trained != trial.known:
        text += (
            f" It was trained on {trial.trained[0]:,} of {trial.known[0]:,} synthetic "
            f"and {trial.trained[1]:,} of {trial.known[1]:,} real rows."
        )
    return text


def _table(looks: list[_Look]) -> list[Json]:
    return [
        {"of": k.name, "synthetic": k.arms[0], "real": k.arms[1], "loss": k.value, "standard_error": k.error,
         "rows": k.rows} for k in looks
    ]  # fmt: skip


def _slopes(trial: _Trial) -> list[Json]:
    return [calibration_slope(y, p) for y, p in zip(trial.outcomes, trial.predictions, strict=True)]


def _one(look: _Look, bound: float, terms: Terms, params: dict[str, Json]) -> Finding:
    reason = (
        f"In {look.name}, mean predictions are off by {look.arms[0]:.3f} when trained on synthetic rows and by "
        f"{look.arms[1]:.3f} when trained on real rows; a loss of {bound:g} is tolerated."
    )
    return Finding(
        "calibration", _estimate(look, terms.level), "lower", Status.FAIL, slice=look.name, reason=reason,
        params=params, evidence={"synthetic": look.arms[0], "real": look.arms[1], "rows": look.rows},
    )  # fmt: skip
