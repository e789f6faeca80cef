"""The exchange itself: a learning curve on real rows, a score of a candidate alone, and how many rows that is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sterling.kernel.view import Column
from sterling.stats.learning_curve import FORMS, LearningCurve, fit_curves
from sterling.stats.scores import bootstrap_scores, score_of, scoring_arrays

if TYPE_CHECKING:
    from sterling.kernel.view import AnyArray, Floats

# Seeds' variance of a few trainings is pooled with that of the real rows, which counts as this many runs.
PRIOR_RUNS = 4
# Scores of one saturated model differ by nothing at all; a weight must stay finite.
LEAST_VARIANCE = 1e-10


@dataclass(frozen=True, slots=True, eq=False)
class Arm:
    """One training set, trained several times.

    Args:
        name: "real", or the candidate.
        rows: how many records each training had.
        scores: [runs] on the whole benchmark, larger is better.
        predictions: one array per run on the benchmark; empty where only scores are known.
    """

    name: str
    rows: int
    scores: Floats
    predictions: tuple[Floats, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Sampled:
    """Mean scores of several arms: as measured, and under joint resampling of the benchmark.

    Args:
        points: [arms] mean over the runs.
        draws: [draws, arms] the same means under resamplings.
        variances: [arms] between the runs of an arm; NaN where there is one run only.
        runs: [arms] how many.
        rows: [arms] training rows.
    """

    points: Floats
    draws: Floats
    variances: Floats
    runs: AnyArray
    rows: AnyArray

    def take(self, arms: Sequence[int]) -> Sampled:
        """Only these arms."""
        at = list(arms)
        return Sampled(self.points[at], self.draws[:, at], self.variances[at], self.runs[at], self.rows[at])


@dataclass(frozen=True, slots=True, eq=False)
class Placed:
    """Draws of a candidate's place on the real curve.

    Args:
        value: real rows; infinity where the score is above the curve.
        draws: [draws] the same under resampling of benchmark, training sets and curve form.
        scores: [draws] its score.
    """

    value: float
    draws: Floats
    scores: Floats

    def interval(self, level: float, *, smallest: float) -> tuple[float, float]:
        """Lower and upper end; beneath the smallest measured size nothing but "fewer than that" is claimed."""
        tail = (1 - level) / 2
        low, high = np.quantile(self.draws, [tail, 1 - tail], method="inverted_cdf")
        low, high = min(float(low), self.value), max(float(high), self.value)
        return (0.0 if low < smallest else low), max(high, smallest)


def sample(
    arms: Sequence[Arm], target: Column | None, *, rows: AnyArray | None, draws: int, rng: np.random.Generator
) -> Sampled:
    """Score all arms on the same resamplings of the benchmark.

    Args:
        arms: predictions on the benchmark, or scores alone.
        target: of the benchmark; None where only scores are known.
        rows: the benchmark rows of a slice; None for all.
        draws: how many resamplings.
        rng: the stream of this task.
    """
    runs = np.array([arm.scores.size for arm in arms])
    scores = [arm.scores for arm in arms]
    means = np.tile([float(s.mean()) for s in scores], (draws, 1))
    if target is not None and all(arm.predictions for arm in arms):
        chosen = np.arange(target.values.size) if rows is None else rows
        part = Column(target.name, target.kind, target.role, target.values[chosen], target.levels)
        predictions = [p[chosen] for arm in arms for p in arm.predictions]
        flat = np.array([score_of(part, p) for p in predictions])
        scores = np.split(flat, np.cumsum(runs)[:-1])
        kind, y, ready = scoring_arrays(part, predictions)
        drawn = bootstrap_scores(kind, y, ready, draws=draws, rng=rng)
        means = np.stack([d.mean(axis=1) for d in np.split(drawn, np.cumsum(runs)[:-1], axis=1)], axis=1)
    return Sampled(
        points=np.array([s.mean() for s in scores]),
        draws=means,
        variances=np.array([s.var(ddof=1) if s.size > 1 else np.nan for s in scores]),
        runs=runs,
        rows=np.array([arm.rows for arm in arms]),
    )


@dataclass(frozen=True, slots=True, eq=False)
class Ruler:
    """The real learning curve in draws: one resampling of benchmark and training sets, and one form, each.

    Args:
        point: the curve through the means, mean of the forms.
        curves: one set of drawn curves per form.
        which: [draws] the form of each draw.
        points: [draws, sizes] the drawn points themselves.
        variances: [sizes] of one training's score over fresh training sets.
        slope: of log variance in log rows.
    """

    point: LearningCurve
    curves: tuple[LearningCurve, ...]
    which: AnyArray
    points: Floats
    variances: Floats
    slope: float

    def read(self, score: float, draws: Floats) -> Placed:
        """Where a score lies on the curve, and where each draw of it lies on the drawn curve."""
        rows = np.choose(self.which, [curve.rows_for(draws) for curve in self.curves])
        return Placed(float(self.point.rows_for(np.array([score]))[0]), rows, draws)

    def score_at(self, n: float) -> tuple[float, Floats]:
        """The curve's score with n real rows, and [draws] the same in each draw."""
        drawn = np.choose(self.which, [curve.score_at(n) for curve in self.curves])
        return float(self.point.score_at(n)[0]), drawn


def ruler_of(real: Sampled, *, chance: float | None, rng: np.random.Generator) -> Ruler:
    """The curve of the real rows as a ruler: what n fresh real rows would reach, for each n up to all of them.

    Every draw combines one resampling of the benchmark (shared by all arms), one draw of how the scores would
    differ with other training rows and seeds, and one of the curve forms.

    Args:
        real: arms of increasing size, the last one all the real rows.
        chance: score of no rows, None if unknown.
        rng: the stream of this task.
    """
    spread, slope, freedom = _training_variance(real)
    noisy = real.draws + _real_noise(real, spread, freedom, rng)
    precision = 1.0 / np.maximum(spread * _share_of_variance(real), LEAST_VARIANCE)
    point = fit_curves(real.rows, real.points[None], precision=precision, form="mean", chance=chance)
    curves = tuple(fit_curves(real.rows, noisy, precision=precision, form=form, chance=chance) for form in FORMS)
    return Ruler(point, curves, rng.integers(len(FORMS), size=noisy.shape[0]), noisy, spread, slope)


def seeds_prior(real: Sampled, ruler: Ruler, rows: AnyArray) -> Floats:
    """[arms] the variance between two trainings on the very same rows, as the real rows show it at full size.

    Where it was not seen, that between fresh training sets, which is larger.
    """
    seen = float(real.variances[-1])
    if np.isnan(seen):
        return np.interp(np.log(rows), np.log(real.rows), ruler.variances)
    return seen * (rows / real.rows[-1]) ** ruler.slope


def halves_prior(real: Sampled, ruler: Ruler, rows: AnyArray) -> Floats:
    """[arms] the variance between random halves of one set: half that of fresh sets, as half their rows are shared."""
    return 0.5 * np.interp(np.log(rows), np.log(real.rows), ruler.variances)


def with_noise(arms: Sampled, prior: Floats, *, rng: np.random.Generator) -> Floats:
    """[draws, arms] mean scores under resampling of the benchmark and of what the runs of each arm differ by.

    The set itself is held fixed: its worth is that of these very rows. Other rows of its kind would score a little
    differently, and that is not counted.

    Args:
        arms: as sampled.
        prior: [arms] variance of one run that stands for `PRIOR_RUNS` runs more.
        rng: the stream of this task.
    """
    draws = arms.draws.shape[0]
    pooled, freedom_of = _pooled(arms, prior)
    noise = rng.standard_normal(arms.draws.shape) * np.sqrt(pooled / arms.runs)
    for j, freedom in enumerate(freedom_of):
        noise[:, j] *= _student(draws, int(freedom), rng)
    return arms.draws + noise


def kind_noise(halves: Sampled, prior: Floats, slope: float, *, draws: int, rng: np.random.Generator) -> Floats:
    """[draws, arms] how the scores would differ with other rows of the same kind, from how random halves do.

    Args:
        halves: trainings on random halves of each set.
        prior: [arms] as for `with_noise`.
        slope: of log variance in log rows.
        draws: how many.
        rng: the stream of this task.
    """
    pooled, freedom_of = _pooled(halves, prior)
    # Random halves of a set share half their rows, so they show half of V(m/2); and V(m) = V(m/2) 2^slope.
    noise = rng.standard_normal((draws, pooled.size)) * np.sqrt(pooled * 2 ** (1 + slope))
    for j, freedom in enumerate(freedom_of):
        noise[:, j] *= _student(draws, int(freedom), rng)
    return noise


def _pooled(arms: Sampled, prior: Floats) -> tuple[Floats, AnyArray]:
    """[arms] variance of one run, its own pooled with the prior, and its degrees of freedom."""
    known = np.where(np.isnan(arms.variances), 0, arms.runs - 1)
    own = np.nan_to_num(arms.variances)
    return (known * own + PRIOR_RUNS * prior) / (known + PRIOR_RUNS), known + PRIOR_RUNS


def _training_variance(real: Sampled) -> tuple[Floats, float, int]:
    """How one training's score varies over fresh training sets.

    Returns:
        [sizes] variances, their slope in log n (-2 to 0), and their degrees of freedom.

    Subsets of the same n rows vary less than fresh sets, by 1 - size/n; what that leaves of the largest
    sizes says little, so they follow the trend (log variance on log size) of the others.
    """
    fraction = real.rows / real.rows[-1]
    usable = (fraction <= 0.75) & ~np.isnan(real.variances)
    if not usable.any():
        seeds_only = np.nan_to_num(real.variances, nan=LEAST_VARIANCE)
        return np.maximum(seeds_only, LEAST_VARIANCE), -1.0, max(1, int((real.runs - 1).sum()))
    total = np.log(np.maximum(real.variances[usable] / (1 - fraction[usable]), LEAST_VARIANCE))
    x = np.log(real.rows[usable])
    around = x - x.mean()
    slope = float(np.clip(around @ total / (around @ around), -2.0, 0.0)) if x.size > 1 else -1.0
    # A mean of logs lies below the log of the mean: by about 1/df for a chi-square with df.
    freedom = int((real.runs[usable] - 1).sum())
    lift = 1.0 / max(1.0, float(np.mean(real.runs[usable] - 1)))
    fitted = np.exp(total.mean() + slope * (np.log(real.rows) - x.mean()) + lift)
    return np.maximum(fitted, LEAST_VARIANCE), slope, max(1, freedom)


def _share_of_variance(real: Sampled) -> Floats:
    """[sizes] variance of a size's mean in units of one training's: what subsets share, runs do not average out."""
    fraction = real.rows / real.rows[-1]
    return fraction + (1 - fraction) / real.runs


def _real_noise(real: Sampled, spread: Floats, freedom: int, rng: np.random.Generator) -> Floats:
    draws, sizes = real.draws.shape
    fraction = real.rows / real.rows[-1]
    common = rng.standard_normal((draws, 1)) * np.sqrt(spread * fraction)
    own = rng.standard_normal((draws, sizes)) * np.sqrt(spread * (1 - fraction) / real.runs)
    return (common + own) * _student(draws, freedom, rng)[:, None]


def _student(draws: int, freedom: int, rng: np.random.Generator) -> Floats:
    """[draws] factors that turn a normal draw into one of Student's t."""
    return np.sqrt(freedom / rng.chisquare(freedom, size=draws))
