"""The arms of an order of training: what each trains on, in which order, at which cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from sterling.blend.adapt import TITLES, Matching, adapted
from sterling.blend.training import judge, target_of
from sterling.kernel.errors import SterlingError
from sterling.kernel.estimate import Unmeasured
from sterling.kernel.protocols import BudgetedLearner, ContinuingLearner, Effort, Learner, OnEvent
from sterling.kernel.seeds import stream
from sterling.kernel.view import View, stack
from sterling.stats.scores import score_of, unscorable

if TYPE_CHECKING:
    from sterling.kernel.view import Floats

How = Literal["real", "mix", "finetune", "adapted", "synthetic"]
Budget = Literal["tuned", "equal"]
BUDGETS: tuple[Budget, ...] = ("tuned", "equal")
# The simplest first: what is recommended where none is shown to be better. Synthetic rows alone come last, for a model
# that never saw a real row is the most that can go wrong.
SIMPLEST: tuple[How, ...] = ("real", "mix", "finetune", "adapted", "synthetic")
# Equal compute: as many row visits as a mix of all rows makes in so many rounds.
EQUAL_ROUNDS = 50


@dataclass(frozen=True, slots=True)
class Order:
    """One order of training.

    Args:
        how: "real" alone, "synthetic" alone, "mix" in one training, "finetune": pre-train on synthetic rows, go on
            with the real ones; "adapted": mix after the synthetic rows were moved to where the real ones lie.
        candidate: whose synthetic rows; None for real rows alone.
        matching: how they are moved.
    """

    how: How
    candidate: str | None = None
    matching: Matching | None = None

    @property
    def title(self) -> str:
        """How reports call it."""
        if self.how == "real":
            return "real alone"
        after = f"mix after {TITLES[self.matching]}" if self.matching else ""
        words = {"mix": "weighted mix", "finetune": "pre-train, fine-tune", "synthetic": "synthetic alone"}
        return f"{self.candidate}: {after or words[self.how]}"


@dataclass(frozen=True, slots=True, eq=False)
class Setting:
    """What stays the same while orders are tried; `failed` gathers what fell out, and why.

    Args:
        train: real rows.
        test: the sealed benchmark.
        made: synthetic rows by candidate, encoded together with the real ones.
        weights: of a synthetic row in the mix, by candidate, as tried so far.
        learner: the model the data is for.
        seed: of the run.
        effort: "fast" trains less.
        on_event: hears progress.
        visits: row visits that each arm may make at equal compute.
    """

    train: View
    test: View
    made: Mapping[str, View]
    weights: dict[str, float]
    learner: Learner
    seed: int
    effort: Effort
    on_event: OnEvent
    visits: int
    failed: dict[tuple[Budget, Order], Unmeasured] = field(default_factory=dict[tuple[Budget, Order], Unmeasured])

    def fail(self, budget: Budget, order: Order, why: Unmeasured) -> None:
        """Record that an arm fell out; the others go on."""
        self.failed[budget, order] = why
        self.on_event("failed", {"order": order.title, "reason": why.reason})


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """What an order scored in the folds.

    Args:
        order: which.
        scores: [folds x repeats] by budget; none where it fell out.
    """

    order: Order
    scores: Mapping[Budget, Floats]

    @property
    def mean(self) -> float:
        """Mean score at its tuned budget."""
        return float(self.scores["tuned"].mean())

    def gain(self, other: Scored, budget: Budget) -> tuple[float, float]:
        """Mean paired gain over another order, and its standard error, taken as if the folds were independent.

        They are not, so it is too small; the benchmark makes up for that. In 25 runs each with 100 to 400 real rows,
        two such errors found a true gain of .005 to .016 AUC in 76 to 96 %, and took a harm of .003 for one in 0 to
        8 %, before the benchmark was asked; corrected errors (Nadeau & Bengio 2003) found the gain in 16 to 32 %.
        """
        gains = self.scores[budget] - other.scores[budget]
        return float(gains.mean()), float(gains.std(ddof=1) / np.sqrt(gains.size))

    def beats(self, other: Scored, factor: float) -> bool:
        """Whether it gains more than so many standard errors, at every budget that both were tried at."""
        gains = [self.gain(other, b) for b in BUDGETS if b in self.scores and b in other.scores]
        return bool(gains) and all(gain > factor * se for gain, se in gains)


def obstacle(setting: Setting, order: Order) -> Unmeasured | None:
    """Why an order cannot be tried at all; None if it can."""
    if order.candidate is None:
        return None
    made = setting.made[order.candidate]
    if made.n == 0:
        return Unmeasured(f"{order.candidate} has no row whose target is known", "give rows with the target filled in")
    if order.how in ("synthetic", "finetune"):
        one = unscorable(target_of(made, order.candidate), least=1)
        if one is not None:
            return Unmeasured(
                f"{order.candidate} alone teaches nothing: {one.reason}", "give synthetic rows of two classes or more"
            )
    if order.how != "finetune":
        return None
    if isinstance(setting.learner, ContinuingLearner):
        return setting.learner.cannot_continue()
    return Unmeasured(
        f"the learner {type(setting.learner).__name__} cannot continue from a model",
        "choose boosted_trees or logistic, or give it fit(..., start=) and cannot_continue()",
    )


def train_order(setting: Setting, order: Order, kept: View, *, budget: Budget, run: str, starts: dict[str, Any]) -> Any:
    """One training, or two of them one after the other.

    Args:
        setting: the terms.
        order: which.
        kept: the real rows that train.
        budget: "tuned": the learner searches as it always does; "equal": it may visit `setting.visits` rows in all.
        run: names the repeat; the stream of chance hangs on it.
        starts: models trained on synthetic rows alone, which do not depend on the fold: made once for each run.

    Raises:
        SterlingError: if the learner fails.
    """
    rng = stream(setting.seed, "order", run, "fit")
    if order.candidate is None:
        return _held_to(setting, budget, 1.0, kept.n).fit(kept, None, rng=rng)
    made = setting.made[order.candidate]
    if order.how in ("synthetic", "finetune"):
        share = 1.0 if order.how == "synthetic" else 0.5
        key = f"{order.candidate}/{run}/{budget}/{share if budget == 'equal' else 1.0}"
        if key not in starts:
            # In turn: the folds of one run come together, and models of earlier runs are not needed again.
            starts[key] = _held_to(setting, budget, share, made.n).fit(made, None, rng=rng)
        if order.how == "synthetic":
            return starts[key]
        rng = stream(setting.seed, "order", run, "finetune")
        return _held_to(setting, budget, share, kept.n).fit(kept, None, rng=rng, start=starts[key])
    if order.matching is not None:
        made = adapted(made, kept, order.matching)
    heavy = np.r_[np.ones(kept.n), np.full(made.n, setting.weights[order.candidate])]
    return _held_to(setting, budget, 1.0, kept.n + made.n).fit(stack([kept, made]), heavy, rng=rng)


def can_be_budgeted(learner: Learner) -> bool:
    """Whether there is an equal compute to compare at."""
    return isinstance(learner, BudgetedLearner)


def _held_to(setting: Setting, budget: Budget, share: float, rows: int) -> Learner:
    learner = setting.learner
    if budget == "equal" and isinstance(learner, BudgetedLearner):
        return learner.within(int(share * setting.visits), rows)
    return learner


def score_order(
    setting: Setting,
    order: Order,
    kept: View,
    held: View,
    *,
    budget: Budget,
    run: str,
    starts: dict[str, Any],
) -> float:
    """The score on held rows; larger is better.

    Raises:
        SterlingError: if the learner fails.
    """
    judged = judge(setting.learner, train_order(setting, order, kept, budget=budget, run=run, starts=starts), held)
    return score_of(target_of(held, "the fold"), judged) if isinstance(judged, np.ndarray) else judged


def judge_order(setting: Setting, order: Order, *, run: str) -> Floats | float:
    """Train on all the real rows and open the benchmark; predictions, or the learner's own score."""
    model = train_order(setting, order, setting.train, budget="tuned", run=run, starts={})
    return judge(setting.learner, model, setting.test)


def attempt_order(
    setting: Setting, order: Order, folds: list[tuple[str, View, View]], *, budget: Budget, starts: dict[str, Any]
) -> Floats | None:
    """[folds] scores of an order; None, with the reason recorded, where it cannot be had.

    Args:
        setting: the terms.
        order: which.
        folds: (run, kept, held) for each fold.
        budget: which.
        starts: see `train_order`.
    """
    why = obstacle(setting, order)
    if why is not None:
        setting.fail(budget, order, why)
        return None
    try:
        scores = [score_order(setting, order, k, h, budget=budget, run=run, starts=starts) for run, k, h in folds]
    except SterlingError as error:
        setting.fail(budget, order, Unmeasured(error.message, error.mend))
        return None
    setting.on_event("tried", {"order": order.title, "budget": budget, "score": float(np.mean(scores))})
    return np.array(scores)
