"""Which order of training to use: mixed, one after the other, or either alone; named only where it is shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from sterling.blend.adapt import Matching, movable
from sterling.blend.folds import Part, deal
from sterling.blend.order_arms import (
    BUDGETS,
    EQUAL_ROUNDS,
    SIMPLEST,
    Budget,
    Order,
    Scored,
    Setting,
    attempt_order,
    can_be_budgeted,
)
from sterling.blend.order_confirm import confirm_gains
from sterling.blend.order_report import Answer, Outcome, Report, report, unmeasured_report
from sterling.blend.training import labelled, nested_order, target_of
from sterling.kernel.dataset import FittedOn
from sterling.kernel.errors import InputError, SterlingError
from sterling.kernel.estimate import Measured, Unmeasured
from sterling.kernel.finding import Json
from sterling.kernel.protocols import Effort, Learner, OnEvent, silent
from sterling.kernel.seeds import stream
from sterling.kernel.view import View
from sterling.stats.scores import unscorable

if TYPE_CHECKING:
    from sterling.kernel.view import Floats

__all__ = ["Order", "Orders", "find_order"]

Stakes = Literal["low", "consequential"]
REAL = Order("real")
REPEATS: dict[Effort, int] = {"full": 3, "fast": 1}
CONFIRM_RUNS: dict[Effort, int] = {"full": 5, "fast": 2}
MATCHES: dict[Effort, tuple[Matching, ...]] = {"full": ("moments", "quantiles", "coral"), "fast": ("coral",)}
# Shares of the mass that is the centre of the weights: a mix is tried at each of them.
STEPS: dict[Effort, tuple[float, ...]] = {"full": (1.0, 0.3, 3.0), "fast": (1.0, 0.3)}
# A smaller gain on the benchmark is none.
NO_EFFECT = 0.002
# What the benchmark must rule out, and how surely; as for a mix (see `mixture`).
HARM: dict[Stakes, float] = {"low": 0.005, "consequential": 0.002}
CONFIRM_LEVEL: dict[Stakes, float] = {"low": 0.8, "consequential": 0.95}


@dataclass(frozen=True, slots=True, eq=False)
class Orders:
    """The answer.

    Args:
        outcome: "WINNER": one order beats all others; "SIMPLEST": none does, the simplest of those that beat the real
            rows alone is named; "REAL_ONLY": none is shown to beat the real rows alone; "UNMEASURED".
        recommended: the order to use.
        confirmation: its gain over the real rows alone on the sealed benchmark; Unmeasured where that stayed sealed.
        report: findings and table.
        cost: trainings and the rows they read.
    """

    outcome: Outcome
    recommended: Order
    confirmation: Measured
    report: Report
    cost: Mapping[str, Json]


def find_order(
    train: View,
    test: View,
    candidates: Mapping[str, View],
    *,
    learner: Learner,
    seed: int,
    se_factor: float = 2.0,
    stakes: Stakes = "low",
    worths: Mapping[str, float] | None = None,
    fitted_on: Mapping[str, FittedOn] | None = None,
    folds: int = 4,
    effort: Effort = "full",
    on_event: OnEvent = silent,
) -> Orders:
    """Try the orders of training by repeated cross-validation inside `train`; ask the sealed benchmark once.

    For each candidate: synthetic rows alone, a weighted mix, pre-training on synthetic rows then fine-tuning on real
    ones, and the mix after the synthetic rows were moved to where the real ones lie; beside the real rows alone. Each
    at the learner's own search ("tuned") and at equal compute ("equal": every arm may visit as many rows as 50 rounds
    of the mix do). An order beats another if its mean paired gain exceeds `se_factor` standard errors at
    both; it is named if it beats all others, and the benchmark, opened once, agrees.

    Args:
        train: real rows.
        test: the sealed benchmark.
        candidates: synthetic rows by name, encoded together with the real ones.
        learner: the model the data is for.
        seed: of the run; each repeat has its own deal of the folds and its own stream.
        se_factor: standard errors that a gain must exceed.
        stakes: what a wrong model would cost: what the benchmark must rule out.
        worths: real-equivalent rows by candidate (see `worth`): the centre of the weights of the mix; where unknown,
            a candidate weighs as much as all the real rows.
        fitted_on: whether each generator saw the train rows.
        folds: of each repeat, 2 or more.
        effort: "fast" deals the folds once, tries CORAL alone, and no more synthetic rows than there are real ones.
        on_event: told "cost" before anything is trained, "tried" after each arm, "failed" where one falls out.

    Raises:
        InputError: without a target, or with fewer than 2 folds. An arm that fails is recorded, not raised.

    Source: SCIENCE.md D14.
    """
    if folds < 2:
        raise InputError(f"{folds} folds leave nothing to judge on", mend="give 2 folds or more")
    setting = _setting(train, test, candidates, learner, seed, effort, worths or {}, on_event)
    origin = fitted_on or {}
    short = _shortage(setting)
    if short is not None:
        return _unmeasured(setting, short, origin)
    cost = _cost(setting, folds)
    on_event("cost", cost)
    parts = deal(setting.train, folds=folds, repeats=REPEATS[effort], seed=seed)
    if len(parts) < 2:
        few = Unmeasured(
            f"{len(parts)} folds hold rows that can judge", "give more entities, or more rows of each class"
        )
        return _unmeasured(setting, few, origin, cost)
    scored = _score_all(setting, parts)
    if scored is None:
        return _unmeasured(setting, setting.failed["tuned", REAL], origin, cost)
    choice = _choose(scored, se_factor)
    sealed = Unmeasured("the benchmark stayed sealed: nothing was to be confirmed", "find candidates that gain")
    confirmed = _Confirmed(choice.outcome, choice.recommended, sealed)
    if choice.outcome != "REAL_ONLY":
        confirmed = _confirm(setting, choice, stakes)
    answer = Answer(
        confirmed.outcome, confirmed.recommended, choice.best, choice.runner,
        None if choice.outcome == "REAL_ONLY" else choice.recommended, confirmed.gain, se_factor,
    )  # fmt: skip
    told = report(setting, scored, answer, fitted_on=origin, all_rows={n: v.n for n, v in candidates.items()})
    return Orders(confirmed.outcome, confirmed.recommended, confirmed.gain, told, cost)


def _setting(
    train: View,
    test: View,
    candidates: Mapping[str, View],
    learner: Learner,
    seed: int,
    effort: Effort,
    worths: Mapping[str, float],
    on_event: OnEvent,
) -> Setting:
    real = labelled(train, "the real training data")
    made: dict[str, View] = {}
    for name, view in candidates.items():
        known = labelled(view, f"candidate {name!r}")
        if effort == "fast" and known.n > real.n:
            order = nested_order(target_of(known, name), rng=stream(seed, "order", "thin", name))
            known = known.take(order[: real.n])
        made[name] = known
    most = max((view.n for view in made.values()), default=0)
    weights = {name: min(1.0, worths.get(name, float(real.n)) / max(1, view.n)) for name, view in made.items()}
    return Setting(real, test, made, weights, learner, seed, effort, on_event, visits=EQUAL_ROUNDS * (real.n + most))


def _shortage(setting: Setting) -> Unmeasured | None:
    if not setting.made:
        return Unmeasured("there is no candidate to train with", "give one or more synthetic sets")
    for view, what in ((setting.test, "the benchmark"), (setting.train, "the real training data")):
        short = unscorable(target_of(view, what))
        if short is not None:
            return Unmeasured(f"too little in {what}: {short.reason}", short.mend)
    return None


def _orders(setting: Setting) -> list[Order]:
    """All arms, real rows alone first."""
    orders = [REAL]
    for name, made in setting.made.items():
        orders += [Order("synthetic", name), Order("mix", name), Order("finetune", name)]
        orders += [Order("adapted", name, m) for m in MATCHES[setting.effort] if made.n and movable(made)]
    return orders


def _budgets(setting: Setting) -> tuple[Budget, ...]:
    return BUDGETS if can_be_budgeted(setting.learner) else BUDGETS[:1]


def _cost(setting: Setting, folds: int) -> dict[str, Json]:
    """An upper bound: every arm in every fold and at both budgets, and the confirmation of three."""
    parts, n = folds * REPEATS[setting.effort], setting.train.n
    trainings, rows = 0, 0
    for order in _orders(setting):
        m = 0 if order.candidate is None else setting.made[order.candidate].n
        looks = len(_budgets(setting)) * parts + (folds * len(STEPS[setting.effort]) if order.how == "mix" else 0)
        shared = order.how in ("synthetic", "finetune") and can_be_budgeted(setting.learner)
        twice = order.how == "finetune"
        trainings += (0 if shared and not twice else looks) + (REPEATS[setting.effort] * 2 if shared else looks * twice)
        rows += looks * (n if order.how in ("real", "finetune") else n + m)
    trainings += 4 * CONFIRM_RUNS[setting.effort]
    limit: float | None = getattr(setting.learner, "time_limit", None)
    return {"trainings": trainings, "rows": rows, "most_seconds": None if limit is None else limit * trainings}


def _score_all(setting: Setting, parts: Sequence[Part]) -> list[Scored] | None:
    """Every arm at every budget; None if the real rows alone fail, for then there is nothing to gain on."""
    ready = [(f"repeat {p.repeat}", setting.train.take(p.kept), setting.train.take(p.held)) for p in parts]
    first = [fold for fold, part in zip(ready, parts, strict=True) if part.repeat == 0]
    starts: dict[str, Any] = {}
    alone = attempt_order(setting, REAL, ready, budget="tuned", starts=starts)
    if alone is None:
        return None
    _weigh(setting, first, alone[: len(first)])
    scored: list[Scored] = []
    for order in _orders(setting):
        found: dict[Budget, Floats] = {"tuned": alone} if order == REAL else {}
        for budget in _budgets(setting):
            # An arm that fell out is not asked again.
            if budget in found or ("tuned", order) in setting.failed:
                continue
            scores = attempt_order(setting, order, ready, budget=budget, starts=starts)
            found |= {} if scores is None else {budget: scores}
        scored.append(Scored(order, found))
    return scored


def _weigh(setting: Setting, folds: list[tuple[str, View, View]], alone: Floats) -> None:
    """Choose the weight of each candidate in the mix on the first repeat's folds."""
    for name in setting.made:
        centre, best = setting.weights[name], -np.inf
        chosen = centre
        for weight in dict.fromkeys(min(1.0, centre * step) for step in STEPS[setting.effort]):
            setting.weights[name] = weight
            scores = attempt_order(setting, Order("mix", name), folds, budget="tuned", starts={})
            if scores is None:
                break
            gain = float((scores - alone).mean())
            best, chosen = (gain, weight) if gain > best else (best, chosen)
        setting.weights[name] = chosen


@dataclass(frozen=True, slots=True)
class _Choice:
    outcome: Outcome
    recommended: Order
    best: Order
    runner: Order
    better: tuple[Order, ...]


def _choose(scored: Sequence[Scored], factor: float) -> _Choice:
    """Who beats whom: the best by its mean, those it does not beat, and the simplest of these."""
    ranked = sorted((s for s in scored if "tuned" in s.scores), key=lambda s: -s.mean)
    best, real = ranked[0], next(s for s in ranked if s.order == REAL)
    runner = ranked[1] if len(ranked) > 1 else best
    level = [s for s in ranked if s is best or not best.beats(s, factor)]
    if real in level:
        return _Choice("REAL_ONLY", REAL, best.order, runner.order, ())
    better = sorted((s for s in level if s.beats(real, factor)), key=_plainness)
    outcome: Outcome = "WINNER" if level == [best] else "SIMPLEST"
    return _Choice(outcome, better[0].order, best.order, runner.order, tuple(s.order for s in better))


def _plainness(scored: Scored) -> tuple[int, float]:
    return SIMPLEST.index(scored.order.how), -scored.mean


@dataclass(frozen=True, slots=True)
class _Confirmed:
    outcome: Outcome
    recommended: Order
    gain: Measured


def _confirm(setting: Setting, choice: _Choice, stakes: Stakes) -> _Confirmed:
    """Ask the benchmark once: the order that is to be recommended, the real rows alone, and a winner's runner-up."""
    arms = [REAL, choice.recommended]
    if choice.outcome == "WINNER" and choice.runner != REAL:
        arms.append(choice.runner)
    try:
        gains = confirm_gains(setting, arms, runs=CONFIRM_RUNS[setting.effort], level=CONFIRM_LEVEL[stakes])
    except SterlingError as error:
        return _Confirmed("REAL_ONLY", REAL, Unmeasured(f"the confirmation failed: {error.message}", error.mend))
    if gains[0].value <= NO_EFFECT or gains[0].low <= -HARM[stakes]:
        return _Confirmed("REAL_ONLY", REAL, gains[0])
    if len(gains) > 1 and gains[1].value >= gains[0].value:  # the benchmark puts the runner-up first
        return _Confirmed("SIMPLEST", choice.recommended, gains[0])
    return _Confirmed(choice.outcome, choice.recommended, gains[0])


def _unmeasured(
    setting: Setting, why: Unmeasured, fitted_on: Mapping[str, FittedOn], cost: Mapping[str, Json] | None = None
) -> Orders:
    """Every order, each with the reason why nothing is known of it."""
    told = unmeasured_report(setting, [o for o in _orders(setting) if o != REAL], why, fitted_on=fitted_on)
    return Orders("UNMEASURED", REAL, why, told, cost or {})
