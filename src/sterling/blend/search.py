"""The order in which mixes are tried: weights around each candidate's worth, a second one added, then variants."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from sterling.blend.designs import MANY, search_designs
from sterling.blend.evidence import fined_factor
from sterling.blend.recipe import PLAIN
from sterling.blend.trials import Fold, Search, Trial, standard_error, try_mix, try_variant
from sterling.blend.variants import VARIANTS

# Steps away from the centre N_syn/m; a synthetic row never outweighs a real one.
STEPS_DOWN = (0.3, 0.1)
STEP_UP = 3.0
# The weight taken is the nearest to the centre that falls short of the best by no more than this many standard errors:
# in 231 simulated searches that kept 57 % of the oracle's gain, a walk that stops where it gets worse 47 %.
WITHIN = 1.0
HEAVIEST = 1.0
# A set that is worth nothing alone may still add a rare class: it is tried at this share of n/m.
LEAST_CENTRE = 0.05


def try_all(
    search: Search, folds: Sequence[Fold], again: Sequence[Fold], worths: Mapping[str, float]
) -> tuple[tuple[Trial, ...], Trial | None]:
    """Plain mixes, then the variants of the best of them; the best of all is tried again.

    Args:
        search: the terms; failures are recorded in it.
        folds: of the first repeat, as `prepare` made them.
        again: of further repeats, for the best mix alone: they saw none of the choosing.
        worths: real-equivalent rows by candidate.

    Returns:
        Every mix that was tried, and the best of them over all repeats; None if no candidate could be tried.
    """
    centres = {name: centre_of(search, name, worths.get(name, 0.0)) for name in search.candidates}
    many = len(search.candidates) > MANY
    tried, best = search_designs(search, folds, centres) if many else _plain(search, folds, centres)
    if best is None:
        return tuple(tried), None
    if search.effort == "full":
        variants = [t for v in VARIANTS if (t := try_variant(search, folds, best.weights, v)) is not None]
        tried += variants
        best = _better_variant(best, variants)
    return tuple(tried), _again(search, again, best)


def _again(search: Search, again: Sequence[Fold], best: Trial) -> Trial:
    if not again:
        return best
    if best.variant == PLAIN:
        more = try_mix(search, again, best.weights)
    else:
        more = try_variant(search, again, best.weights, best.variant)
    return best if more is None else replace(best, gains=np.concatenate([best.gains, more.gains]))


def _better_variant(plain: Trial, variants: Sequence[Trial]) -> Trial:
    """The best variant if it gains over the plain mix by more than its standard error, raised for their number."""
    if not variants:
        return plain
    first = max(variants, key=lambda trial: trial.mean)
    extra = first.gains - plain.gains
    return first if extra.mean() > fined_factor(1.0, looks=len(variants)) * standard_error(extra) else plain


def _plain(search: Search, folds: Sequence[Fold], centres: Mapping[str, float]) -> tuple[list[Trial], Trial | None]:
    """Each candidate at its centre and around it, then a second one added to the best."""
    tried: list[Trial] = []
    for name, centre in centres.items():
        if name not in search.failed:
            tried += _one(search, folds, name, centre)
    if not tried:
        return [], None
    singles = {name: _nearest_good(tried, name, centre) for name, centre in centres.items() if _of(tried, name)}
    best = max(singles.values(), key=lambda trial: trial.mean)
    if search.effort == "fast":
        name = next(iter(best.weights))
        tried += _around(search, folds, name, centres[name])
        best = singles[name] = _nearest_good(tried, name, centres[name])
    second = _second(search, folds, best, singles)
    tried += [second] if second is not None else []
    return tried, second if second is not None and _adds(second, best) else best


def _of(tried: Sequence[Trial], name: str) -> list[Trial]:
    return [trial for trial in tried if list(trial.weights) == [name]]


def _nearest_good(tried: Sequence[Trial], name: str, centre: float) -> Trial:
    """Of the weights of a candidate that do about as well as the best, the one nearest its worth per row."""
    mine = _of(tried, name)
    best = max(mine, key=lambda trial: trial.mean)
    good = [t for t in mine if (short := best.gains - t.gains).mean() <= WITHIN * standard_error(short)]
    return min(good, key=lambda trial: abs(math.log(trial.weights[name] / centre)))


def _second(search: Search, folds: Sequence[Fold], best: Trial, singles: Mapping[str, Trial]) -> Trial | None:
    """The best mix with the next best candidate added, where both gain by themselves."""
    others = sorted((t for t in singles.values() if not t.weights.keys() <= best.weights.keys()), key=lambda t: -t.mean)
    # A second look at noise is a second chance to be fooled.
    if not others or min(others[0].mean, best.mean) <= search.no_effect:
        return None
    return try_mix(search, folds, {**best.weights, **others[0].weights})


def _adds(pair: Trial, best: Trial) -> bool:
    """Whether the second candidate gains over the first by more than its standard error."""
    return float((pair.gains - best.gains).mean()) > standard_error(pair.gains - best.gains)


def _one(search: Search, folds: Sequence[Fold], name: str, centre: float) -> list[Trial]:
    trial = try_mix(search, folds, {name: centre})
    if trial is None:
        return []
    return [trial] if search.effort == "fast" else [trial, *_around(search, folds, name, centre)]


def _around(search: Search, folds: Sequence[Fold], name: str, centre: float) -> list[Trial]:
    """Lighter and heavier weights.

    All of them: folds are noisy, and a worth is often known as "at least all your rows" alone.
    """
    tried: list[Trial] = []
    for weight in [*(centre * step for step in STEPS_DOWN), *heavier_than(centre)]:
        trial = try_mix(search, folds, {name: weight})
        if trial is None:
            return tried
        tried.append(trial)
    return tried


def heavier_than(centre: float) -> list[float]:
    """The weights above a centre that may be tried, ascending up to 1.

    >>> [round(w, 2) for w in heavier_than(0.05)]
    [0.15, 0.45, 1.0]
    """
    steps = math.ceil(math.log(HEAVIEST / centre) / math.log(STEP_UP)) if centre < HEAVIEST else 0
    return [min(HEAVIEST, centre * STEP_UP ** (k + 1)) for k in range(steps)]


def centre_of(search: Search, name: str, worth: float) -> float:
    """The weight N_syn/m at which a candidate is tried first."""
    rows = max(1, search.candidates[name].view.n)
    return min(HEAVIEST, max(worth, LEAST_CENTRE * search.train.n) / rows)


def most_looks(search: Search, worths: Mapping[str, float]) -> int:
    """An upper bound on the mixes tried on the first folds: every weight of every candidate, a second, the variants."""
    around = [
        len(STEPS_DOWN) + len(heavier_than(centre_of(search, name, worths.get(name, 0.0))))
        for name in search.candidates
    ]
    if search.effort == "fast":
        return len(around) + max(around) + 1
    return len(around) + sum(around) + 1 + len(VARIANTS)
