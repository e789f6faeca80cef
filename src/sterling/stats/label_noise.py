"""The share of labels that are wrong, from how often labels contradict models of real rows.

A wrong label shows where the features leave little doubt: there the models give it hardly any chance. But
models err, and real labels are doubtful too, so what counts is what synthetic labels do beyond the real
labels of rows of the same predicted chance.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import expit, logit

from sterling.stats.bounds import normal_quantile

if TYPE_CHECKING:
    from sterling.kernel.view import AnyArray, Bools, Floats

# Classes below this share of the likeliest one's chance are implausible. Two classes leave no choice of which, so
# that rows of some doubt are kept, to pin the calibration; among more, the narrower the more rows tell something.
IMPLAUSIBLE = {"two": 0.2, "more": 0.05}
# Rows are binned by their predicted chance, finely enough that the bins lose nothing.
BINS = 48
# Models of trees say hardly less than this even where it never happens.
LEAST_CHANCE = 2e-4
# How real labels turn out against predictions: a parabola on the scale of log odds. On five real tables it was
# off by less than .0003 of labels; strata without any curve cost a tenth of the power, a cubic a twentieth.
DEGREE = 2
RIDGE, STEPS, MOST_STEP, FLAT = 1e-2, 25, 2.0, 1e-6
MOST_SHARE, TOLERANCE, NEAR = 0.9, 1e-6, 1e-3


@dataclass(frozen=True, slots=True, eq=False)
class Sight:
    """What can be seen of each label.

    Args:
        chance: [n] predicted chance of an implausible label, 0..1.
        hit: [n] whether the label is implausible.
        reach: [n] chance that a wrong label would be implausible; rows of 0 tell nothing.
    """

    chance: Floats
    hit: Bools
    reach: Floats

    def take(self, rows: AnyArray) -> Sight:
        """The same of the rows at these positions (or under this mask)."""
        return Sight(self.chance[rows], self.hit[rows], self.reach[rows])


def sight_of(chances: Floats, labels: AnyArray) -> Sight:
    """Which labels are implausible, and how surely.

    Args:
        chances: [n, k] predicted class probabilities, k >= 2.
        labels: [n] classes 0..k-1.
    """
    rows = np.arange(labels.size)
    below = IMPLAUSIBLE["two" if chances.shape[1] == 2 else "more"]
    implausible = chances < below * chances.max(axis=1, keepdims=True)
    chance = np.where(implausible, chances, 0.0).sum(axis=1)
    # A wrong label is any of the other classes alike; one of them may be the plausible one.
    reach = implausible.sum(axis=1) / max(1, chances.shape[1] - 1)
    return Sight(chance, implausible[rows, labels], np.minimum(reach, 1.0))


@dataclass(frozen=True, slots=True, eq=False)
class NoiseLikelihood:
    """Counts of implausible labels by predicted chance, and the share of wrong labels that fits them best.

    Args:
        rows: [2, g] real and synthetic rows.
        hits: [2, g] implausible labels among them.
        reach: [g] mean chance that a wrong synthetic label is seen.
        design: [g, 3] powers of the predicted log odds.
        dilution: how much a wrong label spoils the chance of an implausible one: k / (k - 1) for k classes.
        start: [3] coefficients of a prediction that is right as it stands.
        share: the most likely share of wrong labels beyond the real ones', 0 where synthetic ones are clearer.
        best: [3] its coefficients.
    """

    rows: Floats
    hits: Floats
    reach: Floats
    design: Floats
    dilution: float
    start: Floats
    share: float = 0.0
    best: Floats | None = None


def noise_likelihood(real: Sight, synthetic: Sight, *, dilution: float) -> NoiseLikelihood | None:
    """Fit the share e of labels that were replaced at random.

    Real labels of predicted chance q are implausible with chance g = expit(parabola in logit q); synthetic
    ones with g + e (r - d g), where r is the `reach` and d the `dilution`. Both sets are fitted at once.

    Args:
        real: of real rows, judged by models that did not see them.
        synthetic: of synthetic rows, judged by the same models.
        dilution: see `NoiseLikelihood`.

    Returns:
        None where no row of one of the sets tells anything.

    Source: recalibration, Cox 1958, Biometrika 45:562; noise of class labels, Angluin & Laird 1988.
    """
    known = [s.take((s.reach > 0) & (s.chance > 0)) for s in (real, synthetic)]
    if min(s.hit.size for s in known) == 0:
        return None
    odds = [logit(np.clip(s.chance, LEAST_CHANCE, 0.95)) for s in known]
    edges = np.unique(np.quantile(np.concatenate(odds), np.arange(1, BINS) / BINS))
    codes = [np.searchsorted(edges, o, side="left") for o in odds]

    def sums(of_real: Floats | Bools, of_synthetic: Floats | Bools) -> Floats:
        pairs = zip(codes, (of_real, of_synthetic), strict=True)
        return np.stack([np.bincount(c, weights=w, minlength=edges.size + 1) for c, w in pairs]).astype(np.float64)

    rows = sums(*(np.ones(c.size) for c in codes))
    filled = rows.sum(axis=0) > 0
    rows, hits = rows[:, filled], sums(known[0].hit, known[1].hit)[:, filled]
    place = sums(*odds)[:, filled].sum(axis=0) / rows.sum(axis=0)
    reach = sums(known[0].reach, known[1].reach)[:, filled].sum(axis=0) / rows.sum(axis=0)
    design = np.vander((place + 3) / 2, DEGREE + 1, increasing=True)
    start = np.zeros(DEGREE + 1)
    start[:2] = (-3.0, 2.0)  # logit = (place + 3) / 2 * 2 - 3
    return _maximised(NoiseLikelihood(rows, hits, reach, design, dilution, start))


def lower_share(likelihood: NoiseLikelihood, *, alpha: float) -> float:
    """Below this the share lies with a chance of at most about alpha.

    Source: signed root of the profile likelihood ratio, Barndorff-Nielsen & Cox 1994, Inference and
        Asymptotics, ch. 3.
    """
    return _end(likelihood, -normal_quantile(alpha))


def upper_share(likelihood: NoiseLikelihood, *, alpha: float) -> float:
    """Above this the share lies with a chance of at most about alpha; source as `lower_share`."""
    return _end(likelihood, normal_quantile(alpha))


def _end(likelihood: NoiseLikelihood, root: float) -> float:
    """The share at which the signed root of the profile likelihood ratio is `root`; it is nearly a line in it."""
    best = _log_likelihood(likelihood, _fitted(likelihood, likelihood.share, likelihood.best), likelihood.share)

    def beyond(share: float) -> float:
        """Negative between the best share and the end."""
        found = _fitted(likelihood, share, likelihood.best)
        return np.sqrt(max(0.0, 2 * (best - _log_likelihood(likelihood, found, share)))) - abs(root)

    inner, at_inner = likelihood.share, -abs(root)
    outer = 0.0 if root < 0 else inner + 2e-3
    at_outer = beyond(outer)
    while root > 0 and at_outer < 0 and outer < MOST_SHARE:
        inner, at_inner, outer = outer, at_outer, min(MOST_SHARE, 2 * outer)
        at_outer = beyond(outer)
    for _ in range(STEPS):  # false position, Illinois variant
        if at_outer <= 0 or abs(outer - inner) < TOLERANCE:
            break
        middle = outer - at_outer * (outer - inner) / (at_outer - at_inner)
        at_middle = beyond(middle)
        if abs(at_middle) < NEAR:
            return float(middle)
        if at_middle > 0:
            outer, at_outer, at_inner = middle, at_middle, at_inner / 2
        else:
            inner, at_inner, at_outer = middle, at_middle, at_outer / 2
    return float(outer)


def _maximised(likelihood: NoiseLikelihood) -> NoiseLikelihood:
    """With the share of greatest profile likelihood, by golden section: the profile has one hill."""
    ratio = (np.sqrt(5) - 1) / 2
    low, high = 0.0, MOST_SHARE

    def height(share: float, near: Floats) -> tuple[float, Floats]:
        found = _fitted(likelihood, share, near)
        return _log_likelihood(likelihood, found, share), found

    left, right = high - ratio * (high - low), low + ratio * (high - low)
    at_left, at_right = height(left, likelihood.start), height(right, likelihood.start)
    while high - low > 10 * TOLERANCE:
        if at_left[0] >= at_right[0]:
            high, right, at_right = right, left, at_left
            left = high - ratio * (high - low)
            at_left = height(left, at_left[1])
        else:
            low, left, at_left = left, right, at_right
            right = low + ratio * (high - low)
            at_right = height(right, at_right[1])
    share = 0.0 if low == 0.0 else float((low + high) / 2)  # the hill's top lies at the edge
    return replace(likelihood, share=share, best=_fitted(likelihood, share, at_left[1]))


def _chances(likelihood: NoiseLikelihood, coefficients: Floats, share: float) -> tuple[Floats, Floats]:
    """[2, g] chance of an implausible label, and its slope in the real log odds."""
    real = expit(np.clip(likelihood.design @ coefficients, -14.0, 10.0))
    made = np.clip(real + share * (likelihood.reach - likelihood.dilution * real), 1e-7, 1 - 1e-7)
    slope = real * (1 - real)
    return np.stack([real, made]), np.stack([slope, slope * (1 - likelihood.dilution * share)])


def _log_likelihood(likelihood: NoiseLikelihood, coefficients: Floats, share: float) -> float:
    chances = _chances(likelihood, coefficients, share)[0]
    missed = likelihood.rows - likelihood.hits
    away = coefficients - likelihood.start
    return float((likelihood.hits * np.log(chances) + missed * np.log1p(-chances)).sum() - RIDGE / 2 * away @ away)


def _fitted(likelihood: NoiseLikelihood, share: float, coefficients: Floats | None = None) -> Floats:
    """The most likely coefficients at this share, by Fisher's scoring with shrinking steps."""
    found = likelihood.start if coefficients is None else coefficients
    height = _log_likelihood(likelihood, found, share)
    for _ in range(STEPS):
        chances, slopes = _chances(likelihood, found, share)
        weights = slopes / (chances * (1 - chances))
        score = likelihood.design.T @ (weights * (likelihood.hits - likelihood.rows * chances)).sum(axis=0)
        score -= RIDGE * (found - likelihood.start)
        information = (likelihood.rows * weights * slopes).sum(axis=0)
        matrix = likelihood.design.T @ (information[:, None] * likelihood.design) + RIDGE * np.eye(found.size)
        step = np.linalg.solve(matrix, score)
        step *= min(1.0, MOST_STEP / max(1e-12, float(np.abs(step).max())))
        reached = _log_likelihood(likelihood, found + step, share)
        while reached < height - FLAT and np.abs(step).max() > TOLERANCE:
            step = step / 2
            reached = _log_likelihood(likelihood, found + step, share)
        found = found + step
        if reached - height < FLAT:
            break
        height = reached
    return found
