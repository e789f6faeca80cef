"""The trainings on candidates: all of them in full, or many of them screened first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Literal

import numpy as np

from sterling.blend.added import train_mixed
from sterling.blend.equivalent import Arm, Sampled, ruler_of, sample, seeds_prior, with_noise
from sterling.blend.screening import MOST_FULL, finalists
from sterling.blend.training import Curve, labelled, nested_order, real_orders, target_of, train_arm
from sterling.blend.worth_findings import LITTLE, Candidate
from sterling.kernel.errors import SterlingError
from sterling.kernel.estimate import Unmeasured
from sterling.kernel.protocols import Learner, OnEvent
from sterling.kernel.seeds import stream
from sterling.kernel.view import View
from sterling.run.tasks import attempt

if TYPE_CHECKING:
    from sterling.blend.added import Refit
    from sterling.kernel.view import AnyArray

SCREENING_DRAWS = 300


@dataclass(frozen=True, slots=True, eq=False)
class Stage:
    """What all trainings of one call share.

    Args:
        train: real rows whose target is known.
        all_rows: the real rows as given, to whose positions a refit refers.
        test: the benchmark.
        candidates: synthetic rows by name.
        learner: the model the data is for.
        seed: of the run.
        runs: trainings per arm.
        also: whether each candidate is added to half of the real rows as well.
        refits: how to make a candidate anew from some of the real rows.
        on_event: told "trained", "screened" and "failed".
    """

    train: View
    all_rows: View
    test: View
    candidates: Mapping[str, View]
    learner: Learner
    seed: int
    runs: int
    also: Literal["alone", "added"]
    refits: Mapping[str, Refit]
    on_event: OnEvent


def train_all(stage: Stage, curve: Curve, bare: Sequence[Candidate]) -> list[Candidate]:
    """Each candidate with its trainings; one that fails says why, and the others go on."""
    if len(bare) <= MOST_FULL:
        return [_with_added(stage, curve, _trained(stage, c, runs=stage.runs)) for c in bare]
    once = [_trained(stage, c, runs=1, halves=False) for c in bare]
    chosen = _finalists(stage, curve, once)
    stage.on_event("screened", {"candidates": len(bare), "chosen": ", ".join(sorted(chosen))})
    note = f"screened by one training; {len(chosen)} of {len(bare)} candidates were taken further"
    return [
        _with_added(stage, curve, _trained(stage, c, runs=stage.runs))
        if c.name in chosen
        else replace(c, remark="; ".join(filter(None, (c.remark, note))))
        for c in once
    ]


def _finalists(stage: Stage, curve: Curve, once: Sequence[Candidate]) -> set[str]:
    """Names of those that go on."""
    trained = [c for c in once if c.whole is not None]
    if not trained:
        return set()
    rng = stream(stage.seed, "worth", "screening")
    arms = [*curve.arms, *(c.whole for c in trained if c.whole)]
    sampled = sample(arms, curve.target, rows=None, draws=SCREENING_DRAWS, rng=rng)
    k = len(curve.arms)
    real, wholes = sampled.take(range(k)), sampled.take(range(k, len(arms)))
    ruler = ruler_of(real, chance=curve.chance, rng=rng)
    drawn = with_noise(wholes, seeds_prior(real, ruler, wholes.rows), rng=rng)
    placed = [ruler.read(float(wholes.points[j]), drawn[:, j]) for j in range(len(trained))]
    ends = np.array([p.interval(0.95, smallest=float(real.rows[0])) for p in placed]).T
    chosen = finalists(wholes.points, drawn, ends, bound=LITTLE * curve.n_max)
    return {trained[j].name for j in chosen}


def _trained(stage: Stage, bare: Candidate, *, runs: int, halves: bool = True) -> Candidate:
    """A candidate's arms, those of an earlier screening used again; its failure is recorded."""

    def work() -> Candidate:
        rows = labelled(stage.candidates[bare.name], f"candidate {bare.name!r}")
        if rows.n < 2:
            mend = "give rows with the target filled in"
            return replace(bare, failed=Unmeasured(f"it has {rows.n} rows whose target is known", mend))
        train = partial(train_arm, test=stage.test, learner=stage.learner, seed=stage.seed, on_event=stage.on_event)
        done = 0 if bare.whole is None else bare.whole.scores.size
        whole = (
            bare.whole if done == runs else _joined(bare.whole, train(bare.name, [rows] * (runs - done), first=done))
        )
        found = replace(bare, whole=whole, remark=bare.remark or _is_real(stage, rows))
        if not halves:
            return found
        target = target_of(rows, bare.name)
        orders = [nested_order(target, rng=stream(stage.seed, "worth", "half", bare.name, run)) for run in range(runs)]
        parts = [rows.take(order[: rows.n // 2]) for order in orders]
        return replace(found, half=train(bare.name, parts))

    done = bare if bare.failed is not None else attempt(work)
    if isinstance(done, SterlingError):
        stage.on_event("failed", {"arm": bare.name, "reason": done.message})
        return replace(bare, whole=None, failed=Unmeasured(done.message, done.mend))
    return done


def _joined(before: Arm | None, after: Arm) -> Arm:
    """All runs of one arm."""
    if before is None:
        return after
    predictions = (*before.predictions, *after.predictions)
    return replace(after, scores=np.concatenate([before.scores, after.scores]), predictions=predictions)


def _with_added(stage: Stage, curve: Curve, candidate: Candidate) -> Candidate:
    """The same with its mix trained, where that is asked for; a mix that fails leaves the rest as it is."""
    if stage.also == "alone" or candidate.whole is None:
        return candidate
    orders = real_orders(target_of(stage.train, "the real data"), runs=stage.runs, seed=stage.seed)
    halves: list[AnyArray] = [order[: stage.train.n // 2] for order in orders]
    mixed = attempt(
        lambda: train_mixed(
            candidate.name,
            stage.train,
            halves,
            labelled(stage.candidates[candidate.name], candidate.name),
            stage.test,
            worth=_alone(curve, candidate),
            refit=_refit(stage, candidate.name),
            learner=stage.learner,
            seed=stage.seed,
            on_event=stage.on_event,
        )
    )
    if isinstance(mixed, SterlingError):
        stage.on_event("failed", {"arm": f"{candidate.name} added", "reason": mixed.message})
        remark = f"adding it to real rows failed: {mixed.message}"
        return replace(candidate, remark="; ".join(filter(None, (candidate.remark, remark))))
    return replace(candidate, added=mixed)


def _refit(stage: Stage, name: str) -> Refit | None:
    """How to make a candidate anew from positions among the real rows whose target is known."""
    refit = stage.refits.get(name)
    if refit is None:
        return None
    known = np.flatnonzero(~target_of(stage.all_rows, "the real data").missing)

    def among_known(rows: AnyArray, rng: np.random.Generator) -> View:
        return labelled(refit(known[rows], rng), f"candidate {name!r}, made anew")

    return among_known


def _alone(curve: Curve, candidate: Candidate) -> float:
    """Its worth alone, the point without its interval."""
    rng = np.random.default_rng(0)  # draws nothing that counts: the point of the curve is what is read
    real: Sampled = sample(curve.arms, None, rows=None, draws=1, rng=rng)
    assert candidate.whole is not None
    score = float(candidate.whole.scores.mean())
    return min(float(curve.n_max), ruler_of(real, chance=curve.chance, rng=rng).read(score, np.array([score])).value)


def _is_real(stage: Stage, rows: View) -> str | None:
    """A remark where the candidate holds the very real rows, by their hashes."""
    prints = [None if view.hashes is None else np.sort(view.hashes) for view in (rows, stage.train, stage.test)]
    mine, train, test = prints
    if mine is None or train is None or test is None:
        return None
    if np.array_equal(mine, train):
        return "these ARE the real training rows, record for record: no synthetic data, and nothing to add to them"
    if np.array_equal(mine, np.sort(np.r_[train, test])):
        return "these ARE the real rows, record for record, the benchmark's among them: the score is no test of them"
    return None
