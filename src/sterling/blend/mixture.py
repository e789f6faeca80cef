"""The guarded mix: synthetic rows at a weight near their worth, adopted only if that is shown to gain."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from sterling.blend.designs import MANY, TRIED, designs_for
from sterling.blend.evidence import Evidence, Outcome, hopeless, judged, together
from sterling.blend.folds import deal
from sterling.blend.recipe import PLAIN, Recipe
from sterling.blend.search import most_looks, try_all
from sterling.blend.training import judge, labelled, target_of
from sterling.blend.trials import Candidate, Fold, Search, Stakes, Trial, fit_mix, prepare
from sterling.blend.variants import VARIANTS, read_signs, recipes_for
from sterling.kernel.errors import InputError, SterlingError
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
# Standard errors that a gain must exceed, and what is no effect, where no policy says so.
SE_FACTOR: dict[Stakes, float] = {"low": 1.0, "consequential": 2.0}
NO_EFFECT = 0.002
# Real rows of each class without which nothing is mixed (SCIENCE.md 2b: nine positives lost .164 AUC).
FEW = 30
# What the evidence must rule out, and how surely the benchmark's own interval is meant.
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
        findings: one finding `mix_gain`: the gain on which the mix was judged, from both.
        tried: every mix that was tried.
        variant: how the weight is spread over a candidate's rows.
        recipes: by adopted candidate, multipliers on its rows whose target is known; empty for "plain".
        refused: variants that were not to be tried, and why.
        best: the mix that was judged, adopted or not.
    """

    weights: Mapping[str, float]
    outcome: Outcome
    gain: Measured
    confirmation: Measured
    findings: tuple[Finding, ...]
    tried: tuple[Trial, ...] = ()
    variant: str = PLAIN
    recipes: Mapping[str, Recipe] = field(default_factory=dict[str, Recipe])
    refused: Mapping[str, str] = field(default_factory=dict[str, str])
    best: Trial | None = None

    @property
    def adopted(self) -> bool:
        """Whether synthetic rows are to be mixed in."""
        return self.outcome == "MIX"


@dataclass(frozen=True, slots=True)
class _Terms:
    """When a mix is adopted."""

    factor: float
    no_effect: float
    few: int
    folds: int


@dataclass(frozen=True, slots=True, eq=False)
class _Answer:
    """What was found, before it is put into words."""

    outcome: Outcome
    gain: Measured
    confirmation: Measured
    tried: tuple[Trial, ...] = ()
    best: Trial | None = None
    evidence: Evidence | None = None
    recipes: Mapping[str, Recipe] = field(default_factory=dict[str, Recipe])


def find_mix(
    train: View,
    test: View,
    candidates: Mapping[str, Candidate],
    *,
    worths: Mapping[str, float],
    learner: Learner,
    seed: int,
    stakes: Stakes = "low",
    se_factor: float | None = None,
    no_effect: float = NO_EFFECT,
    few: int = FEW,
    folds: int = 4,
    effort: Effort = "full",
    on_event: OnEvent = silent,
) -> Mix:
    """Choose weights by cross-validation inside `train`, then ask the sealed benchmark once.

    Real rows weigh 1. Each candidate is tried at N_syn/m per row and around it (more than four candidates by random
    mixes and a surrogate), a second one is added to the best, and the variants of the best are tried: importance
    weights, filters, edges only, 80 % common with 20 % edge. If cross-validation leaves hope, the best mix is trained
    on all rows and the benchmark is opened once. The mix is adopted if the gain that both together show exceeds its
    standard error times `se_factor`, after paying for the number of candidates and variants, and the benchmark itself
    shows a gain. Where the generator may have seen the train rows and is not refitted, the benchmark must show all
    of it alone. Otherwise the answer is the real rows alone.

    Args:
        train: real rows; `Candidate.refit` gets positions in it.
        test: the sealed benchmark.
        candidates: by name.
        worths: real-equivalent rows by candidate (see `worth`): the centres of the weights.
        learner: the model the data is for.
        seed: of the run.
        stakes: what a wrong model would cost.
        se_factor: standard errors that a gain must exceed; None for 1, or 2 where stakes are consequential.
        no_effect: a smaller change of the score, either way, is none.
        few: real rows of each class (numbers: rows) without which nothing is mixed.
        folds: of each repeat, 2 or more.
        effort: "full" tries the best mix again on a second deal of the folds; "fast" does not, tunes the
            weight of the best candidate alone, tries no variants, and no more synthetic rows than there are real ones.
        on_event: told "cost" before anything is trained, "step" with the seconds it may take, "tried" after each mix.

    Raises:
        InputError: without a target or with fewer than 2 folds, or if training on real rows fails.

    Source: SCIENCE.md 2b, D5, D7, D8.
    """
    if folds < 2:
        raise InputError(f"{folds} folds leave nothing to judge on", mend="give 2 folds or more")
    terms = _Terms(SE_FACTOR[stakes] if se_factor is None else se_factor, no_effect, few, folds)
    search = Search(train, test, candidates, learner, seed, stakes, effort, no_effect, on_event)
    short = _shortage(search, few)
    if short is not None:
        nothing = Unmeasured("nothing was to be confirmed", short.mend)
        return _mix(search, terms, _Answer("REAL_ONLY", short, nothing))
    cost = _cost(search, worths, folds)
    on_event("cost", cost)
    ready = _prepared(search, folds, cost)
    if len(ready) < 2:
        rare = Unmeasured(
            f"{len(ready)} folds hold rows that can judge", "give more entities, or more rows of each class"
        )
        return _mix(search, terms, _Answer("REAL_ONLY", rare, rare))
    first = [fold for fold in ready if fold.part.repeat == 0]
    tried, best = try_all(search, first, ready[len(first) :], worths)
    if best is None:
        why = "; ".join(f"{name}: {reason}" for name, reason in search.failed.items())
        none = Unmeasured(f"no candidate could be tried ({why})", "mend the candidates, or use the real rows alone")
        return _mix(search, terms, _Answer("REAL_ONLY", none, none, tried))
    return _mix(search, terms, _judge(search, terms, tried, best))


def _judge(search: Search, terms: _Terms, tried: tuple[Trial, ...], best: Trial) -> _Answer:
    """Open the benchmark if there is hope, and weigh what both say."""
    gain = _gain(best, search.train.n)
    slight: Outcome = "NO_EFFECT" if abs(best.mean) <= terms.no_effect else "REAL_ONLY"
    if hopeless(best, no_effect=terms.no_effect):
        sealed = Unmeasured("the benchmark stayed sealed: nothing was to be confirmed", "find candidates that gain")
        return _Answer(slight, gain, sealed, tried, best)
    try:
        recipes = _recipes(search, best)
        confirmed, se = _confirm(search, best, recipes)
    except SterlingError as error:
        # A real arm that fails would have failed in the folds.
        lost = Unmeasured(f"the mix could not be trained on all rows: {error.message}", error.mend)
        return _Answer("REAL_ONLY", gain, lost, tried, best)
    looks = len(search.candidates) + sum(trial.variant != PLAIN for trial in tried)
    trusted = not _doubtful(search, best.weights)
    evidence = together(best, confirmed, se, factor=terms.factor, looks=looks, folds=terms.folds, trusted=trusted)
    outcome = judged(evidence, confirmed, factor=terms.factor, no_effect=terms.no_effect, harm=HARM[search.stakes])
    return _Answer(outcome, gain, confirmed, tried, best, evidence, recipes)


def _shortage(search: Search, few: int) -> Unmeasured | None:
    if not search.candidates:
        return Unmeasured("there is no candidate to mix in", "give one or more synthetic sets")
    for view, what in ((search.test, "the benchmark"), (search.train, "the real training data")):
        short = unscorable(target_of(view, what), least=few)
        if short is not None:
            return Unmeasured(f"too little in {what}: {short.reason}", short.mend)
    return None


def _cost(search: Search, worths: Mapping[str, float], folds: int) -> dict[str, Json]:
    """An upper bound on the trainings: the real rows once in every fold, every mix, the confirmation."""
    k, repeats = len(search.candidates), REPEATS[search.effort]
    confirm = 2 * CONFIRM_RUNS[search.effort]
    if k > MANY:
        looks = TRIED + (len(VARIANTS) if search.effort == "full" else 0)
        mixes = designs_for(k) + folds * looks
    else:
        mixes = folds * most_looks(search, worths)
    mixed = mixes + folds * (repeats - 1) + confirm // 2
    trainings = folds * repeats + mixed + confirm // 2
    most = max(c.view.n for c in search.candidates.values())
    rows = trainings * search.train.n + mixed * (most if search.effort == "full" else min(most, search.train.n))
    refits = folds * repeats * sum(c.refit is not None for c in search.candidates.values())
    limit: float | None = getattr(search.learner, "time_limit", None)
    seconds = None if limit is None else limit * trainings
    return {"trainings": trainings, "rows": rows, "refits": refits, "most_seconds": seconds}


def _prepared(search: Search, folds: int, cost: Mapping[str, Json]) -> list[Fold]:
    """Every fold, its real arm trained once for all mixes; after two, how long the rest may take.

    The first training of a process may compile or load what the others find ready: the second is timed.
    """
    ready: list[Fold] = []
    started = time.monotonic()
    for part in deal(search.train, folds=folds, repeats=REPEATS[search.effort], seed=search.seed):
        ready.append(prepare(search, part))
        if len(ready) == 2:
            seconds = (time.monotonic() - started) / ready[-1].kept.n * float(str(cost["rows"]))
            search.on_event(
                "step", {"seconds": seconds, "text": f"searching the mix: at most about {max(seconds, 1):,.0f} s"}
            )
        started = time.monotonic()
    return ready


def _gain(trial: Trial, n: int) -> Estimate:
    from scipy.special import stdtrit

    half = float(stdtrit(max(1, trial.gains.size - 1), (1 + LEVEL) / 2)) * trial.se
    return Estimate(
        trial.mean, trial.mean - half, trial.mean + half, n, LEVEL, "repeated cross-validation, paired t over folds"
    )


def _made(search: Search, best: Trial) -> dict[str, View]:
    return {name: labelled(search.candidates[name].view, name) for name in best.weights}


def _recipes(search: Search, best: Trial) -> Mapping[str, Recipe]:
    """The recipes of the best mix on all real rows.

    Raises:
        InputError: if its variant rests on too few rows there.
    """
    if best.variant == PLAIN:
        return {}
    made = _made(search, best)
    signs = {
        name: read_signs(search.train, made[name], rng=stream(search.seed, "blend", "signs", name, "all"))
        for name in best.weights
    }
    found = recipes_for(best.variant, signs, best.weights)
    if isinstance(found, Unmeasured):
        raise InputError(found.reason, mend=found.mend)
    return found


def _confirm(search: Search, best: Trial, recipes: Mapping[str, Recipe]) -> tuple[Estimate, float]:
    """The gain on the sealed benchmark and its standard error: several trainings of both arms, paired bootstrap."""
    runs, level = CONFIRM_RUNS[search.effort], CONFIRM_LEVEL[search.stakes]
    made = _made(search, best)
    arms: list[list[Floats | float]] = [[], []]
    for run in range(runs):
        for arm, weights in zip(arms, ({}, best.weights), strict=True):
            model = fit_mix(search, f"confirm.{run}", search.train, made, weights, recipes if weights else None)
            arm.append(judge(search.learner, model, search.test))
    search.on_event("opened", {"benchmark": search.test.fingerprint, "for": MEASURE})
    flat = [said for arm in arms for said in arm]
    predictions = [said for said in flat if isinstance(said, np.ndarray)]
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
    interval = Estimate(value, min(float(low), value), max(float(high), value), search.test.n, level, method)
    return interval, float(gains.std(ddof=1))


def _seed_interval(gains: Floats, n: int, level: float) -> tuple[Estimate, float]:
    from scipy.special import stdtrit

    se = float(gains.std(ddof=1) / np.sqrt(gains.size))
    half = float(stdtrit(gains.size - 1, (1 + level) / 2)) * se
    mean = float(gains.mean())
    method = f"t over {gains.size} seeds; the program gives no more"
    return Estimate(mean, mean - half, mean + half, n, level, method), se


def _mix(search: Search, terms: _Terms, answer: _Answer) -> Mix:
    best, adopted = answer.best, answer.outcome == "MIX"
    chosen = dict(best.weights) if best is not None else {}
    bare = Mix(
        chosen if adopted else {},
        answer.outcome,
        answer.gain,
        answer.confirmation,
        (),
        answer.tried,
        best.variant if adopted and best is not None else PLAIN,
        answer.recipes if adopted else {},
        dict(search.refused),
        best,
    )
    return replace(bare, findings=(_finding(search, terms, answer, bare),))


def _finding(search: Search, terms: _Terms, answer: _Answer, mix: Mix) -> Finding:
    best, evidence = answer.best, answer.evidence
    unmeasured = isinstance(answer.gain, Unmeasured)
    status = {"MIX": Status.PASS, "NO_EFFECT": Status.UNDECIDED, "REAL_ONLY": Status.FAIL}[answer.outcome]
    metric = "score" if search.test.target is None else metric_name(search.test.target)
    views = [candidate.view for candidate in search.candidates.values()]
    own: list[Json] = [*_self_fitted(search, {} if best is None else best.weights)]
    return Finding(
        MEASURE,
        answer.gain if evidence is None else evidence.gain,
        "higher",
        Status.UNMEASURED if unmeasured else status,
        reason=answer.gain.reason if isinstance(answer.gain, Unmeasured) else _sentence(search, answer, metric),
        params={
            "seed": search.seed,
            "stakes": search.stakes,
            "se": evidence.se if evidence is not None else 0.0 if best is None else best.se,
            "se_factor": terms.factor,
            "weights": dict(mix.weights),
            "variant": mix.variant,
            "no_effect": terms.no_effect,
        },
        evidence={
            "outcome": answer.outcome,
            "metric": metric,
            "best": {} if best is None else dict(best.weights),
            "variant": PLAIN if best is None else best.variant,
            "judged_by": "cross-validation" if evidence is None else evidence.by,
            "cross_validation": _json(answer.gain),
            "confirmation": _json(answer.confirmation),
            "tried": [trial.as_json() for trial in answer.tried],
            "refused": dict(search.refused),
            "failed": dict(search.failed),
            "self_fitted": own,
        },
        fingerprints=tuple(v.fingerprint for v in (search.train, search.test, *views)),
    )


def _json(measured: Measured) -> dict[str, Json]:
    if isinstance(measured, Unmeasured):
        return {"reason": measured.reason}
    return {"value": measured.value, "low": measured.low, "high": measured.high, "level": measured.level}


def _self_fitted(search: Search, names: Mapping[str, float]) -> list[str]:
    """Frozen sets whose generator saw the very rows that judge it in the folds (SCIENCE.md D7)."""
    return [n for n in _doubtful(search, names) if search.candidates[n].fitted_on == "real"]


def _doubtful(search: Search, names: Mapping[str, float]) -> list[str]:
    """Frozen sets whose generator saw those rows, or may have."""
    held = search.candidates
    return [n for n in names if held[n].fitted_on != "other" and held[n].refit is None]


def _sentence(search: Search, answer: _Answer, metric: str) -> str:
    best = answer.best
    assert best is not None
    names = " and ".join(f"{name} at {weight:.3g} per row" for name, weight in best.weights.items())
    names += "" if best.variant == PLAIN else f" ({best.variant})"
    gain = answer.gain if isinstance(answer.gain, Estimate) else None
    shown = "" if gain is None else f" changes {metric} by {gain.value:+.4f} [{gain.low:+.4f}, {gain.high:+.4f}]"
    said = f"{names}{shown} in cross-validation"
    if isinstance(answer.confirmation, Estimate):
        found = answer.confirmation
        said += f", by {found.value:+.4f} [{found.low:+.4f}, {found.high:+.4f}] on the benchmark"
    said += {
        "MIX": ": mix it in",
        "NO_EFFECT": ": no effect worth having",
        "REAL_ONLY": ": not shown to help, use the real rows alone",
    }[answer.outcome]
    own = _self_fitted(search, best.weights)
    if own:
        return f"{said}. {' and '.join(own)} was fitted on these rows and not refitted: its gain is an upper bound"
    doubt = _doubtful(search, best.weights)
    if doubt and answer.evidence is not None:
        return f"{said}. {' and '.join(doubt)} may have been made from these rows, so the benchmark judged alone"
    return said
