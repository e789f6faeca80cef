"""Trying mixes inside the train rows: each candidate at weights around its worth, then a second one added."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from sterling.blend.folds import Part
from sterling.blend.training import judge, labelled, nested_order, target_of
from sterling.kernel.dataset import FittedOn
from sterling.kernel.errors import InputError, SterlingError
from sterling.kernel.finding import Json
from sterling.kernel.protocols import Effort, Learner, OnEvent
from sterling.kernel.seeds import stream
from sterling.kernel.view import View, stack
from sterling.stats.scores import score_of

if TYPE_CHECKING:
    from sterling.kernel.view import AnyArray, Floats

Stakes = Literal["low", "consequential"]
# A smaller change of the score, either way, is none.
NO_EFFECT = 0.002
# Steps away from the centre N_syn/m; a synthetic row never outweighs a real one.
STEPS_DOWN = (0.3, 0.1, 0.03)
STEP_UP = 3.0
HEAVIEST = 1.0
# A set that is worth nothing alone may still add a rare class: it is tried at this share of n/m.
LEAST_CENTRE = 0.05


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
    """One mix that was tried: weight per row by candidate, and its paired gain in each fold."""

    weights: Mapping[str, float]
    gains: Floats

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
        return {"weights": dict(self.weights), "gain": self.mean, "se": self.se}


@dataclass(frozen=True, slots=True, eq=False)
class Fold:
    """What one fold trains and judges on, and the score there of real rows alone."""

    part: Part
    kept: View
    held: View
    made: Mapping[str, View]
    alone: float


@dataclass(frozen=True, slots=True, eq=False)
class Search:
    """Everything that stays the same while mixes are tried; `failed` gathers candidates that fell out, and why."""

    train: View
    test: View
    candidates: Mapping[str, Candidate]
    learner: Learner
    seed: int
    stakes: Stakes
    effort: Effort
    on_event: OnEvent
    failed: dict[str, str] = field(default_factory=dict[str, str])


def standard_error(gains: Floats) -> float:
    """Standard error of the mean of paired gains, taken as if the folds were independent.

    They are not, so it is too small (Nadeau & Bengio 2003). In 378 simulated searches the gate on it alone let
    4 % of runs lose more than .005 AUC; together with the confirmation on the benchmark none, while the
    corrected error would have given away two thirds of the gain.

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
            _fail(search, name, error.message)
    return Fold(part, kept, held, made, _score(search, part, kept, {}, {}, held))


def _fail(search: Search, name: str, reason: str) -> None:
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


def fit_mix(search: Search, path: str, kept: View, made: Mapping[str, View], weights: Mapping[str, float]) -> Any:
    """Train on real rows of weight 1 and synthetic rows of theirs; a thinned set keeps its mass."""
    views, masses = [kept], [np.ones(kept.n)]
    for name, weight in weights.items():
        views.append(made[name])
        masses.append(np.full(made[name].n, weight * search.candidates[name].view.n / made[name].n))
    # Real rows stay at weight 1 in every arm, so that penalties on the model mean the same in all.
    rng = stream(search.seed, "blend", "fit", path)
    return search.learner.fit(stack(views), np.concatenate(masses) if weights else None, rng=rng)


def _score(
    search: Search, part: Part, kept: View, made: Mapping[str, View], weights: Mapping[str, float], held: View
) -> float:
    judged = judge(search.learner, fit_mix(search, part.name, kept, made, weights), held)
    return score_of(target_of(held, "the fold"), judged) if isinstance(judged, np.ndarray) else judged


def _trial(search: Search, folds: Sequence[Fold], weights: Mapping[str, float]) -> Trial | None:
    """The paired gains of a mix over real rows alone; None if a candidate's training fails."""
    try:
        scores = [_score(search, f.part, f.kept, f.made, weights, f.held) for f in folds]
    except SterlingError as error:
        _fail(search, next(reversed(list(weights))), error.message)  # the one that was added last
        return None
    trial = Trial(dict(weights), np.array(scores) - np.array([f.alone for f in folds]))
    search.on_event("tried", trial.as_json())
    return trial


def try_all(
    search: Search, folds: Sequence[Fold], again: Sequence[Fold], worths: Mapping[str, float]
) -> tuple[tuple[Trial, ...], Trial | None]:
    """Each candidate at its centre and around it; a second one added to the best; the best tried again.

    Args:
        search: the terms; failures are recorded in it.
        folds: of the first repeat, as `prepare` made them.
        again: of further repeats, for the best mix alone: they saw none of the choosing.
        worths: real-equivalent rows by candidate.

    Returns:
        Every mix that was tried, and the best of them over all repeats; None if no candidate could be tried.
    """
    tried: list[Trial] = []
    for name in search.candidates:
        if name not in search.failed:
            tried += _one(search, folds, name, _centre(search, name, worths.get(name, 0.0)))
    if not tried:
        return (), None
    singles = {next(iter(t.weights)): t for t in sorted(tried, key=lambda t: t.mean)}
    best = max(singles.values(), key=lambda trial: trial.mean)
    if search.effort == "fast":
        tried += (around := _around(search, folds, best))
        best = max([best, *around], key=lambda trial: trial.mean)
    second = _second(search, folds, best, singles)
    tried += [second] if second is not None else []
    best = second if second is not None and _adds(second, best) else best
    more = _trial(search, again, best.weights) if again else None
    return tuple(tried), best if more is None else Trial(best.weights, np.concatenate([best.gains, more.gains]))


def _second(search: Search, folds: Sequence[Fold], best: Trial, singles: Mapping[str, Trial]) -> Trial | None:
    """The best mix with the next best candidate added, where both gain by themselves."""
    others = sorted((t for t in singles.values() if not t.weights.keys() <= best.weights.keys()), key=lambda t: -t.mean)
    # A second look at noise is a second chance to be fooled.
    if not others or min(others[0].mean, best.mean) <= NO_EFFECT:
        return None
    return _trial(search, folds, {**best.weights, **others[0].weights})


def _adds(pair: Trial, best: Trial) -> bool:
    """Whether the second candidate gains over the first by more than its standard error."""
    return float((pair.gains - best.gains).mean()) > standard_error(pair.gains - best.gains)


def _one(search: Search, folds: Sequence[Fold], name: str, centre: float) -> list[Trial]:
    trial = _trial(search, folds, {name: centre})
    if trial is None:
        return []
    return [trial] if search.effort == "fast" else [trial, *_around(search, folds, trial)]


def _around(search: Search, folds: Sequence[Fold], start: Trial) -> list[Trial]:
    """Lighter weights as long as they do better, else a heavier one."""
    (name, centre), tried, best = next(iter(start.weights.items())), list[Trial](), start
    for step in STEPS_DOWN:
        trial = _trial(search, folds, {name: centre * step})
        if trial is None:
            return tried
        tried.append(trial)
        if trial.mean <= best.mean:
            break
        best = trial
    heavier = min(HEAVIEST, centre * STEP_UP)
    if best is start and heavier > centre:
        trial = _trial(search, folds, {name: heavier})
        tried += [] if trial is None else [trial]
    return tried


def _centre(search: Search, name: str, worth: float) -> float:
    rows = max(1, search.candidates[name].view.n)
    return min(HEAVIEST, max(worth, LEAST_CENTRE * search.train.n) / rows)
