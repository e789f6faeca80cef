"""The guarded mix: synthetic rows at a weight near their worth, adopted only if that is shown to gain."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from sterling.blend.folds import deal
from sterling.blend.training import judge, labelled, target_of
from sterling.blend.trials import NO_EFFECT, STEPS_DOWN, Candidate, Search, Stakes, Trial, fit_mix, prepare, try_all
from sterling.kernel.errors import InputError
from sterling.kernel.estimate import Estimate, Measured, Unmeasured
from sterling.kernel.finding import Finding, Json, Status
from sterling.kernel.protocols import Effort, Learner, OnEvent, silent
from sterling.kernel.seeds import stream
from sterling.kernel.view import View
from sterling.stats.scores import bootstrap_scores, metric_name, score_of, scoring_arrays, unscorable

if TYPE_CHECKING:
    from sterling.kernel.view import Floats

__all__ = ["Candidate", "Mix", "Trial", "find_mix"]

MEASURE = "mix_gain"
Outcome = Literal["MIX", "NO_EFFECT", "REAL_ONLY"]
# Standard errors that a gain must exceed (SCIENCE.md 2b: harm in 1 % of runs).
SE_FACTOR: dict[Stakes, float] = {"low": 1.0, "consequential": 2.0}
# What the benchmark must rule out, and how surely.
HARM: dict[Stakes, float] = {"low": 0.005, "consequential": 0.002}
CONFIRM_LEVEL: dict[Stakes, float] = {"low": 0.8, "consequential": 0.95}
REPEATS: dict[Effort, int] = {"full": 2, "fast": 1}
CONFIRM_RUNS: dict[Effort, int] = {"full": 5, "fast": 2}
CONFIRM_DRAWS = 1000
LEVEL = 0.95


@dataclass(frozen=True, slots=True, eq=False)
class Mix:
    """The answer: weights per row of the adopted candidates (none: real rows alone) and why.

    Args:
        weights: by adopted candidate; a real row weighs 1. Empty unless adopted.
        outcome: "MIX", "NO_EFFECT" or "REAL_ONLY".
        gain: of the best mix over real rows alone, by cross-validation; larger is better.
        confirmation: the same on the sealed benchmark, opened once; Unmeasured where it stayed sealed.
        findings: one finding `mix_gain`.
        tried: every mix that was tried.
    """

    weights: Mapping[str, float]
    outcome: Outcome
    gain: Measured
    confirmation: Measured
    findings: tuple[Finding, ...]
    tried: tuple[Trial, ...] = ()

    @property
    def adopted(self) -> bool:
        """Whether synthetic rows are to be mixed in."""
        return self.outcome == "MIX"


def find_mix(
    train: View,
    test: View,
    candidates: Mapping[str, Candidate],
    *,
    worths: Mapping[str, float],
    learner: Learner,
    seed: int,
    stakes: Stakes = "low",
    folds: int = 4,
    effort: Effort = "full",
    on_event: OnEvent = silent,
) -> Mix:
    """Choose weights by cross-validation inside `train`, then ask the sealed benchmark once.

    Real rows weigh 1. Each candidate is tried at N_syn/m per row and around it, then a second one is
    added to the best. The best mix is adopted if its mean paired gain exceeds its standard error times
    1 (2 where stakes are consequential), raised for the number of candidates, and the benchmark, opened
    once, shows a gain as well and rules out harm. Otherwise the answer is the real rows alone.

    Args:
        train: real rows; `Candidate.refit` gets positions in it.
        test: the sealed benchmark.
        candidates: by name.
        worths: real-equivalent rows by candidate (see `worth`): the centres of the weights.
        learner: the model the data is for.
        seed: of the run.
        stakes: what a wrong model would cost.
        folds: of each repeat, 2 or more.
        effort: "full" tries the best mix again on a second deal of the folds; "fast" does not, tunes the
            weight of the best candidate alone, and tries no more synthetic rows than there are real ones.
        on_event: told "cost" before anything is trained, "tried" after each mix.

    Raises:
        InputError: without a target or with fewer than 2 folds, or if training on real rows fails.

    Source: SCIENCE.md 2b, D5, D7.
    """
    if folds < 2:
        raise InputError(f"{folds} folds leave nothing to judge on", mend="give 2 folds or more")
    search = Search(train, test, candidates, learner, seed, stakes, effort, on_event)
    short = _shortage(search)
    if short is not None:
        return _mix(search, (), None, "REAL_ONLY", short, Unmeasured("nothing was to be confirmed", short.mend))
    on_event("cost", _cost(search, folds))
    ready = [prepare(search, part) for part in deal(train, folds=folds, repeats=REPEATS[effort], seed=seed)]
    if len(ready) < 2:
        few = Unmeasured(
            f"{len(ready)} folds hold rows that can judge", "give more entities, or more rows of each class"
        )
        return _mix(search, (), None, "REAL_ONLY", few, few)
    first = [fold for fold in ready if fold.part.repeat == 0]
    tried, best = try_all(search, first, ready[len(first) :], worths)
    if best is None:
        why = "; ".join(f"{name}: {reason}" for name, reason in search.failed.items())
        none = Unmeasured(f"no candidate could be tried ({why})", "mend the candidates, or use the real rows alone")
        return _mix(search, (), None, "REAL_ONLY", none, none)
    gain = _gain(best, train.n)
    if abs(best.mean) <= NO_EFFECT or not _passes(best, looks=len(candidates), stakes=stakes):
        sealed = Unmeasured("the benchmark stayed sealed: nothing was to be confirmed", "find candidates that gain")
        outcome: Outcome = "NO_EFFECT" if abs(best.mean) <= NO_EFFECT else "REAL_ONLY"
        return _mix(search, tried, best, outcome, gain, sealed)
    confirmation = _confirm(search, best)
    confirmed = confirmation.value > 0 and confirmation.low > -HARM[stakes]
    return _mix(search, tried, best, "MIX" if confirmed else "REAL_ONLY", gain, confirmation)


def _passes(trial: Trial, *, looks: int, stakes: Stakes) -> bool:
    """Whether the best of several candidates gains: Bonferroni's factor of standard errors."""
    from scipy.special import ndtr, ndtri

    factor = -float(ndtri(ndtr(-SE_FACTOR[stakes]) / looks))
    return trial.mean > factor * trial.se


def _shortage(search: Search) -> Unmeasured | None:
    if not search.candidates:
        return Unmeasured("there is no candidate to mix in", "give one or more synthetic sets")
    for view, what in ((search.test, "the benchmark"), (search.train, "the real training data")):
        short = unscorable(target_of(view, what))
        if short is not None:
            return Unmeasured(f"too little in {what}: {short.reason}", short.mend)
    return None


def _cost(search: Search, folds: int) -> dict[str, Json]:
    """An upper bound: every candidate at every weight, and a second one added."""
    k, parts = len(search.candidates), folds * REPEATS[search.effort]
    looks = k * (2 + len(STEPS_DOWN)) if search.effort == "full" else k + 1 + len(STEPS_DOWN)
    trainings = folds * (looks + 1) + 2 * parts - folds + 2 * CONFIRM_RUNS[search.effort]
    refits = parts * sum(c.refit is not None for c in search.candidates.values())
    limit: float | None = getattr(search.learner, "time_limit", None)
    return {"trainings": trainings, "refits": refits, "most_seconds": None if limit is None else limit * trainings}


def _gain(trial: Trial, n: int) -> Estimate:
    from scipy.special import stdtrit

    half = float(stdtrit(max(1, trial.gains.size - 1), (1 + LEVEL) / 2)) * trial.se
    return Estimate(
        trial.mean, trial.mean - half, trial.mean + half, n, LEVEL, "repeated cross-validation, paired t over folds"
    )


def _confirm(search: Search, best: Trial) -> Estimate:
    """The gain on the sealed benchmark: several trainings of both arms, paired bootstrap over its rows."""
    runs, level = CONFIRM_RUNS[search.effort], CONFIRM_LEVEL[search.stakes]
    made = {name: labelled(search.candidates[name].view, name) for name in best.weights}
    arms: list[list[Floats | float]] = [[], []]
    for run in range(runs):
        for arm, weights in zip(arms, ({}, best.weights), strict=True):
            model = fit_mix(search, f"confirm.{run}", search.train, made, weights)
            arm.append(judge(search.learner, model, search.test))
    search.on_event("opened", {"benchmark": search.test.fingerprint, "for": MEASURE})
    flat = [judged for arm in arms for judged in arm]
    predictions = [judged for judged in flat if isinstance(judged, np.ndarray)]
    if len(predictions) < len(flat):
        return _seed_interval(np.array(arms[1]) - np.array(arms[0]), search.test.n, level)
    target = target_of(search.test, "the benchmark")
    kind, y, shaped = scoring_arrays(target, predictions)
    rng = stream(search.seed, "blend", "confirm")
    drawn = bootstrap_scores(kind, y, shaped, draws=CONFIRM_DRAWS, rng=rng)
    points = np.array([score_of(target, p) for p in predictions])
    value = float(points[runs:].mean() - points[:runs].mean())
    gains = drawn[:, runs:].mean(axis=1) - drawn[:, :runs].mean(axis=1)
    # Seeds add their own spread, which resampling the benchmark does not show.
    spread = np.sqrt((points[runs:].var(ddof=1) + points[:runs].var(ddof=1)) / runs)
    gains = gains + spread * rng.standard_normal(CONFIRM_DRAWS)
    low, high = np.quantile(gains, [(1 - level) / 2, (1 + level) / 2])
    method = f"paired bootstrap of benchmark rows, {runs} seeds, percentile"
    return Estimate(value, min(float(low), value), max(float(high), value), search.test.n, level, method)


def _seed_interval(gains: Floats, n: int, level: float) -> Estimate:
    from scipy.special import stdtrit

    half = float(stdtrit(gains.size - 1, (1 + level) / 2) * gains.std(ddof=1) / np.sqrt(gains.size))
    mean = float(gains.mean())
    return Estimate(mean, mean - half, mean + half, n, level, f"t over {gains.size} seeds; the program gives no more")


def _mix(
    search: Search,
    tried: tuple[Trial, ...],
    best: Trial | None,
    outcome: Outcome,
    gain: Measured,
    confirmation: Measured,
) -> Mix:
    chosen = dict(best.weights) if best is not None else {}
    bare = Mix(chosen if outcome == "MIX" else {}, outcome, gain, confirmation, (), tried)
    unmeasured = isinstance(gain, Unmeasured)
    status = {"MIX": Status.PASS, "NO_EFFECT": Status.UNDECIDED, "REAL_ONLY": Status.FAIL}[outcome]
    metric = "score" if search.test.target is None else metric_name(search.test.target)
    views = [candidate.view for candidate in search.candidates.values()]
    finding = Finding(
        MEASURE,
        gain,
        "higher",
        Status.UNMEASURED if unmeasured else status,
        reason=gain.reason if unmeasured else _sentence(search, bare, chosen, metric),
        params={
            "seed": search.seed,
            "stakes": search.stakes,
            "se": 0.0 if best is None else best.se,
            "se_factor": SE_FACTOR[search.stakes],
            "weights": dict(bare.weights),
            "no_effect": NO_EFFECT,
        },
        evidence={
            "outcome": outcome,
            "metric": metric,
            "best": dict(chosen),
            "confirmation": _json(confirmation),
            "tried": [trial.as_json() for trial in tried],
            "failed": dict(search.failed),
            "self_fitted": _self_fitted(search, chosen),
        },
        fingerprints=tuple(v.fingerprint for v in (search.train, search.test, *views)),
    )
    return replace(bare, findings=(finding,))


def _json(measured: Measured) -> dict[str, Json]:
    if isinstance(measured, Unmeasured):
        return {"reason": measured.reason}
    return {"value": measured.value, "low": measured.low, "high": measured.high, "level": measured.level}


def _self_fitted(search: Search, names: Mapping[str, float]) -> list[Json]:
    """Frozen sets whose generator saw the very rows that judge it in the folds (SCIENCE.md D7)."""
    return [n for n in names if search.candidates[n].fitted_on == "real" and search.candidates[n].refit is None]


def _sentence(search: Search, mix: Mix, best: Mapping[str, float], metric: str) -> str:
    names = " and ".join(f"{name} at {weight:.3g} per row" for name, weight in best.items())
    gain = mix.gain if isinstance(mix.gain, Estimate) else None
    shown = "" if gain is None else f" changes {metric} by {gain.value:+.4f} [{gain.low:+.4f}, {gain.high:+.4f}]"
    said = f"{names}{shown} in cross-validation"
    if isinstance(mix.confirmation, Estimate):
        found = mix.confirmation
        said += f", by {found.value:+.4f} [{found.low:+.4f}, {found.high:+.4f}] on the benchmark"
    said += {
        "MIX": ": mix it in",
        "NO_EFFECT": ": no effect worth having",
        "REAL_ONLY": ": not shown to help, use the real rows alone",
    }[mix.outcome]
    own = _self_fitted(search, best)
    if not own:
        return said
    return (
        f"{said}. {' and '.join(map(str, own))} was fitted on these rows and not refitted: its gain is an upper bound"
    )
