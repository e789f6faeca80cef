"""Many sources at once: random mixes, each trained once, and a surrogate that says which mix to try in earnest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sterling.blend.trials import Fold, Search, Trial, gains_of, standard_error, try_mix
from sterling.kernel.errors import SterlingError
from sterling.kernel.seeds import stream

if TYPE_CHECKING:
    from sterling.kernel.view import Floats, Ints

# More candidates than this are searched by designs.
MANY = 4
# Designs per source, and between what they stay: 50 sources cost 120 trainings, not 50 searches.
PER_SOURCE, FEWEST, MOST = 3, 24, 120
# The first two thirds of the designs look at all sources, the rest at the better half of them.
FIRST_PART = 2 / 3
# Sources that carry weight in a design, on average: with many at once, the bad ones drown the good.
ACTIVE = 1.5
LIGHTEST, HEAVIEST = 0.3, 3.0
# The sources that look best are tried on every fold, together: one, two, three, five; the best of these at two weights.
TOGETHER = (1, 2, 3, 5)
TRIED = len(TOGETHER) + 2
PENALTIES = (0.1, 0.3, 1.0, 3.0, 10.0)


@dataclass(frozen=True, slots=True, eq=False)
class Surrogate:
    """A linear guess of a mix's gain from the logarithms of its masses; no mass, no gain.

    Args:
        slopes: [sources] gain, in the score's unit, per unit of `log_mass`.
        errors: [sources] their standard errors.
    """

    slopes: Floats
    errors: Floats

    @property
    def ranking(self) -> Ints:
        """Sources by the least that they may be thought to gain, best first."""
        return np.argsort(self.errors - self.slopes, kind="stable").astype(np.int64)


def search_designs(
    search: Search, folds: Sequence[Fold], centres: Mapping[str, float]
) -> tuple[list[Trial], Trial | None]:
    """Train random mixes on one fold each, rank the sources by a surrogate, and try the best together on all folds.

    Args:
        search: the terms; failures are recorded in it.
        folds: the folds of the first repeat.
        centres: weight N_syn/m by candidate.

    Returns:
        What was tried on all folds, and the best of it; None if nothing could be trained.

    Source: Liu et al. 2024 (RegMix), arXiv:2407.01492; halving, Karnin, Koren & Somekh 2013.
    """
    names = [name for name in centres if name not in search.failed]
    if not names:
        return [], None
    ranked = _ranked(search, folds, names, np.array([centres[name] for name in names]))
    if not ranked:
        search.failed.update(dict.fromkeys(names, "too few of the mixes it was in could be trained"))
        return [], None
    tried: list[Trial] = []
    best: Trial | None = None
    for mix in [{name: centres[name] for name in ranked[:count]} for count in TOGETHER if count <= len(ranked)]:
        tried += (found := _found(search, folds, mix))
        # Every further source must be paid for, stored and explained: it has to show what it adds.
        best = found[0] if found and (best is None or _adds(found[0], best)) else best
    if best is None:
        return [], None
    scaled: list[Trial] = []
    for times in (1 / 3, 3.0):
        scaled += _found(search, folds, {name: min(1.0, times * weight) for name, weight in best.weights.items()})
    return tried + scaled, max([best, *scaled], key=lambda trial: trial.mean)


def _adds(more: Trial, best: Trial) -> bool:
    """Whether the larger mix gains over the smaller by more than the standard error of their difference."""
    return float((more.gains - best.gains).mean()) > standard_error(more.gains - best.gains)


def _found(search: Search, folds: Sequence[Fold], mix: Mapping[str, float]) -> list[Trial]:
    trial = None if any(name in search.failed for name in mix) else try_mix(search, folds, mix)
    return [] if trial is None else [trial]


def _ranked(search: Search, folds: Sequence[Fold], names: Sequence[str], centres: Floats) -> list[str]:
    """The sources that the surrogate likes, best first; empty if too few designs could be trained."""
    rng = stream(search.seed, "blend", "designs")
    sizes = np.array([search.candidates[name].view.n for name in names])
    total = designs_for(len(names))
    first = round(total * FIRST_PART)
    weights = draw_designs(centres, count=first, rng=rng)
    gains = np.array([_one_fold(search, folds[k % len(folds)], names, w) for k, w in enumerate(weights)])
    if np.isfinite(gains).sum() < FEWEST // 4:
        return []
    done = np.isfinite(gains)
    ranking = fit_surrogate(log_mass(weights[done], sizes, search.train.n), gains[done]).ranking
    better = np.zeros(len(names), dtype=bool)
    better[ranking[: max(2, len(names) // 2)]] = True
    more = np.zeros((total - first, len(names)))
    more[:, better] = draw_designs(centres[better], count=total - first, rng=rng)
    gains = np.r_[gains, [_one_fold(search, folds[k % len(folds)], names, w) for k, w in enumerate(more)]]
    weights, done = np.concatenate([weights, more]), np.isfinite(gains)
    surrogate = fit_surrogate(log_mass(weights[done], sizes, search.train.n), gains[done])
    return [names[int(k)] for k in surrogate.ranking if better[k]]


def designs_for(sources: int) -> int:
    """How many designs are trained for so many sources, each once."""
    return int(np.clip(PER_SOURCE * sources, FEWEST, MOST))


def draw_designs(centres: Floats, *, count: int, rng: np.random.Generator) -> Floats:
    """Random mixes: a few sources each, at random multiples of their centres, like draws of a sparse Dirichlet law.

    Args:
        centres: [sources] weights.
        count: how many mixes.
        rng: the stream of this task.

    Returns:
        [count, sources] weights, 0 to 1; every mix has a source, and every source stands in about as many mixes.
    """
    sources = centres.size
    share = min(0.5, ACTIVE / sources)
    # Each source is on in the same number of designs, in random order: no source goes unseen.
    on = np.stack([rng.permutation(count) < max(2, round(share * count)) for _ in range(sources)], axis=1)
    empty = np.flatnonzero(~on.any(axis=1))
    on[empty, rng.integers(sources, size=empty.size)] = True
    scale = np.exp(rng.uniform(np.log(LIGHTEST), np.log(HEAVIEST), size=(count, sources)))
    return np.where(on, np.minimum(1.0, scale * centres), 0.0)


def log_mass(weights: Floats, sizes: Floats, n: int) -> Floats:
    """[mixes, sources] log(1 + 10 x mass in real rows' units / n): the first rows of a source add most.

    >>> log_mass(np.array([[0.0, 0.1]]), np.array([100, 100]), 100).round(2).tolist()
    [[0.0, 0.69]]
    """
    return np.log1p(10.0 * weights * sizes / max(1, n))


def fit_surrogate(features: Floats, gains: Floats) -> Surrogate:
    """Ridge regression of paired gains, the penalty by leave-one-out error.

    There is no intercept: real rows alone gain nothing over themselves, in any fold.

    Args:
        features: [designs, sources] from `log_mass`.
        gains: [designs].

    Source: Hoerl & Kennard 1970; leave-one-out by the hat matrix, Allen 1974.
    """
    x, y = features, gains
    best = (np.inf, np.zeros(x.shape[1]), np.zeros(x.shape[1]))
    for penalty in PENALTIES:
        inverse = np.linalg.inv(x.T @ x + penalty * np.eye(x.shape[1]))
        slopes = inverse @ (x.T @ y)
        left = np.maximum(1 - np.einsum("ij,jk,ik->i", x, inverse, x), 0.05)
        error = float(np.square((y - x @ slopes) / left).mean())
        best = min(best, (error, slopes, np.sqrt(error * np.diag(inverse))), key=lambda one: one[0])
    return Surrogate(best[1], best[2])


def _named(names: Sequence[str], weights: Floats) -> list[tuple[str, float]]:
    return [(name, float(weight)) for name, weight in zip(names, weights, strict=True) if weight > 0]


def _one_fold(search: Search, fold: Fold, names: Sequence[str], weights: Floats) -> float:
    """The gain of a design on one fold; NaN, and told, where the training fails."""
    mix = {name: weight for name, weight in _named(names, weights) if name not in search.failed}
    try:
        gain = float(gains_of(search, [fold], mix)[0]) if mix else np.nan
    except SterlingError as error:
        search.on_event("failed", {"mix": dict(mix), "reason": error.message})
        return np.nan
    search.on_event("tried", {"weights": dict(mix), "fold": fold.part.name, "gain": gain})
    return gain
