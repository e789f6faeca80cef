"""Trying one mix inside the train rows: what each fold trains and judges on, and the paired gains."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from sterling.blend.folds import Part
from sterling.blend.recipe import PLAIN, Recipe
from sterling.blend.training import judge, labelled, nested_order, target_of
from sterling.blend.variants import Signs, read_signs, recipes_for
from sterling.kernel.dataset import FittedOn
from sterling.kernel.errors import InputError, SterlingError
from sterling.kernel.estimate import Unmeasured
from sterling.kernel.finding import Json
from sterling.kernel.protocols import Effort, Learner, OnEvent
from sterling.kernel.seeds import stream
from sterling.kernel.view import View, stack
from sterling.stats.scores import score_of

if TYPE_CHECKING:
    from sterling.kernel.view import AnyArray, Floats

Stakes = Literal["low", "consequential"]


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """A synthetic set that may enter the mix.

    Args:
        view: its rows, encoded together with the real ones.
        refit: makes it anew from some of the train rows (positions, rng); None for a frozen file.
        fitted_on: whether its generator saw the train rows.
    """

    view: View
    refit: Callable[[AnyArray, np.random.Generator], View] | None = None
    fitted_on: FittedOn = "unknown"


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """One mix that was tried.

    Args:
        weights: per row, by candidate.
        gains: [folds] paired gains over real rows alone.
        variant: how the weight is spread over a candidate's rows (see `variants`).
        effective: synthetic rows that count, summed over the candidates (mean over the folds).
    """

    weights: Mapping[str, float]
    gains: Floats
    variant: str = PLAIN
    effective: float = 0.0

    @property
    def mean(self) -> float:
        """Mean gain over the folds, in the score's unit."""
        return float(self.gains.mean())

    @property
    def se(self) -> float:
        """Standard error of the mean gain (see `standard_error`)."""
        return standard_error(self.gains)

    def as_json(self) -> dict[str, Json]:
        """One row of the table of all tried mixes."""
        return {
            "weights": dict(self.weights),
            "variant": self.variant,
            "gain": self.mean,
            "se": self.se,
            "ess": self.effective,
        }


@dataclass(frozen=True, slots=True, eq=False)
class Fold:
    """What one fold trains and judges on, and the score there of real rows alone; `signs` are read when asked for."""

    part: Part
    kept: View
    held: View
    made: Mapping[str, View]
    alone: float
    signs: dict[str, Signs] = field(default_factory=dict[str, Signs])


@dataclass(frozen=True, slots=True, eq=False)
class Search:
    """Everything that stays the same while mixes are tried.

    Args:
        train: real rows.
        test: the sealed benchmark.
        candidates: by name.
        learner: the model the data is for.
        seed: of the run.
        stakes: what a wrong model would cost.
        effort: how much is tried.
        no_effect: a smaller change of the score, either way, is none.
        on_event: hears progress.
        failed: gathers candidates that fell out, and why.
        refused: gathers variants that were not to be tried, or failed, and why.
    """

    train: View
    test: View
    candidates: Mapping[str, Candidate]
    learner: Learner
    seed: int
    stakes: Stakes
    effort: Effort
    no_effect: float
    on_event: OnEvent
    failed: dict[str, str] = field(default_factory=dict[str, str])
    refused: dict[str, str] = field(default_factory=dict[str, str])


def standard_error(gains: Floats) -> float:
    """Standard error of the mean of paired gains, taken as if the folds were independent.

    They are not, so it is too small: fit to compare mixes on the same folds, and corrected where it is weighed
    against other evidence (see `evidence.together`).

    Args:
        gains: [folds x repeats] paired differences.
    """
    return float(gains.std(ddof=1) / np.sqrt(gains.size))


def prepare(search: Search, part: Part) -> Fold:
    """Refit the generators that can be refitted on the kept rows, and train on these alone.

    Raises:
        SterlingError: if training on real rows fails; a candidate that fails is recorded.
    """
    kept, held = search.train.take(part.kept), search.train.take(part.held)
    made: dict[str, View] = {}
    for name, candidate in search.candidates.items():
        if name in search.failed:
            continue
        try:
            rng = stream(search.seed, "blend", "refit", name, part.name)
            view = candidate.view if candidate.refit is None else candidate.refit(part.kept, rng)
            made[name] = _thinned(search, labelled(view, f"candidate {name!r}"), name)
        except SterlingError as error:
            fail(search, name, error.message)
    return Fold(part, kept, held, made, _score(search, part, kept, {}, {}, held))


def fail(search: Search, name: str, reason: str) -> None:
    """Record that a candidate fell out."""
    search.failed[name] = reason
    search.on_event("failed", {"candidate": name, "reason": reason})


def _thinned(search: Search, view: View, name: str) -> View:
    """At effort "fast" no more rows than there are real ones."""
    if view.n == 0:
        raise InputError("it has no row whose target is known", mend="give rows with the target filled in")
    if search.effort == "full" or view.n <= search.train.n:
        return view
    order = nested_order(target_of(view, name), rng=stream(search.seed, "blend", "thin", name))
    return view.take(order[: search.train.n])


def fit_mix(
    search: Search,
    path: str,
    kept: View,
    made: Mapping[str, View],
    weights: Mapping[str, float],
    recipes: Mapping[str, Recipe] | None = None,
) -> Any:
    """Train on real rows of weight 1 and synthetic rows of theirs; a thinned set keeps its mass.

    Args:
        search: the terms.
        path: names the stream of random numbers: the same for all arms of a fold, so that they differ by rows alone.
        kept: real rows.
        made: by candidate.
        weights: per row, by candidate of the mix.
        recipes: how each candidate's weight is spread; None for evenly.
    """
    spread = recipes or {}
    # Real rows stay at weight 1 in every arm but the preset's, so that penalties on the model mean the same in all.
    real = next((r.real for r in spread.values() if r.real is not None), None)
    views, masses = [kept], [np.ones(kept.n) if real is None else real]
    for name, weight in weights.items():
        views.append(made[name])
        even = weight * search.candidates[name].view.n / made[name].n
        masses.append(spread.get(name, Recipe()).masses(made[name].n, weight if name in spread else even))
    rng = stream(search.seed, "blend", "fit", path)
    if not weights:
        return search.learner.fit(kept, None, rng=rng)
    mass = np.concatenate(masses)
    return search.learner.fit(stack(views).take(mass > 0), mass[mass > 0], rng=rng)


def _score(
    search: Search,
    part: Part,
    kept: View,
    made: Mapping[str, View],
    weights: Mapping[str, float],
    held: View,
    recipes: Mapping[str, Recipe] | None = None,
) -> float:
    judged = judge(search.learner, fit_mix(search, part.name, kept, made, weights, recipes), held)
    return score_of(target_of(held, "the fold"), judged) if isinstance(judged, np.ndarray) else judged


def gains_of(search: Search, folds: Sequence[Fold], weights: Mapping[str, float]) -> Floats:
    """[folds] paired gains of a plain mix.

    Raises:
        SterlingError: if a training fails.
    """
    return np.array([_score(search, f.part, f.kept, f.made, weights, f.held) - f.alone for f in folds])


def try_mix(search: Search, folds: Sequence[Fold], weights: Mapping[str, float]) -> Trial | None:
    """Try a plain mix; None, and recorded, if the training fails: the candidate added last is to blame."""
    try:
        gains = gains_of(search, folds, weights)
    except SterlingError as error:
        fail(search, next(reversed(list(weights))), error.message)
        return None
    rows = float(np.mean([sum(f.made[name].n for name in weights) for f in folds]))
    trial = Trial(dict(weights), gains, effective=rows)
    search.on_event("tried", trial.as_json())
    return trial


def try_variant(search: Search, folds: Sequence[Fold], weights: Mapping[str, float], variant: str) -> Trial | None:
    """Try a variant of a mix; None, and recorded in `search.refused`, where it rests on too few rows or fails."""
    gains: list[float] = []
    rows: list[float] = []
    try:
        for fold in folds:
            recipes = recipes_for(variant, signs_of(search, fold, weights), weights)
            if isinstance(recipes, Unmeasured):
                return _refuse(search, variant, recipes.reason)
            score = _score(search, fold.part, fold.kept, fold.made, weights, fold.held, recipes)
            gains.append(score - fold.alone)
            rows.append(sum(recipe.effective(fold.made[name].n) for name, recipe in recipes.items()))
    except SterlingError as error:
        return _refuse(search, variant, error.message)
    trial = Trial(dict(weights), np.array(gains), variant, float(np.mean(rows)))
    search.on_event("tried", trial.as_json())
    return trial


def _refuse(search: Search, variant: str, reason: str) -> None:
    search.refused[variant] = reason
    search.on_event("refused", {"variant": variant, "reason": reason})


def signs_of(search: Search, fold: Fold, names: Mapping[str, float]) -> Mapping[str, Signs]:
    """The signs of a fold's candidates, read once."""
    for name in names:
        if name not in fold.signs:
            rng = stream(search.seed, "blend", "signs", name, fold.part.name)
            fold.signs[name] = read_signs(fold.kept, fold.made[name], rng=rng)
    return fold.signs
