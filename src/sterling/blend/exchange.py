"""What a synthetic set is worth in real rows: where its score alone lies on the real learning curve."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from sterling.blend.added import added_rows, place_added
from sterling.blend.arms import Stage, train_all
from sterling.blend.equivalent import (
    Arm,
    Ruler,
    Sampled,
    halves_prior,
    kind_noise,
    ruler_of,
    sample,
    seeds_prior,
    with_noise,
)
from sterling.blend.marginal import Marginal, marginal_of
from sterling.blend.rehearsal import rehearse
from sterling.blend.screening import MOST_FULL
from sterling.blend.slicing import Slice, slices_of
from sterling.blend.training import FAST_RUNS, Cost, Curve, cost_of, curve_sizes, labelled, measure_curve, target_of
from sterling.blend.worth_findings import (
    Candidate,
    Place,
    Terms,
    more_findings,
    picture_of,
    unmeasured,
    worth_finding,
)
from sterling.kernel.dataset import FittedOn
from sterling.kernel.estimate import Estimate, Unmeasured
from sterling.kernel.finding import Finding, Json
from sterling.kernel.protocols import Effort, Learner, OnEvent, silent
from sterling.kernel.seeds import stream
from sterling.kernel.view import Column, View
from sterling.stats.scores import unscorable

if TYPE_CHECKING:
    from sterling.blend.added import Refit
    from sterling.kernel.view import AnyArray

__all__ = ["Candidate", "Worth", "judge_candidates", "measure_curve", "plan_cost", "worth"]

# (benchmark row, draw, model) triples that a bootstrap may look at: a few seconds' worth.
BOOTSTRAP_BUDGET = 4e8
FEWEST_DRAWS, MOST_DRAWS = 200, 1000
# Rows that a slice of the benchmark must have, in all and of its rarest class.
LEAST_IN_SLICE, LEAST_PER_CLASS = 30, 10

Also = Literal["alone", "added"]


@dataclass(frozen=True, slots=True, eq=False)
class Worth:
    """What every candidate is worth, overall first, then by slice, and the picture of it.

    Args:
        findings: `real_equivalent_rows` by candidate, overall and by slice.
        picture: the real curve and the candidates on it.
        more: `marginal_rows`, `worth_cap` and `added_real_rows` by candidate.
    """

    findings: tuple[Finding, ...]
    picture: Mapping[str, Json]
    more: tuple[Finding, ...] = ()

    @property
    def values(self) -> dict[str, float]:
        """Real-equivalent rows by candidate, as `find_mix` takes them; 0 where they are unmeasured."""
        whole = [f for f in self.findings if f.slice is None]
        return {str(f.candidate): f.result.value if isinstance(f.result, Estimate) else 0.0 for f in whole}

    def curve_json(self) -> dict[str, Json]:
        """The real curve with each candidate placed on it, as reports draw it."""
        return dict(self.picture)


def plan_cost(
    train: View,
    candidates: Mapping[str, View],
    *,
    learner: Learner,
    runs: int = 5,
    effort: Effort = "full",
    also: Also = "alone",
) -> Cost:
    """What `worth` will take at most, known before it starts.

    Raises:
        InputError: if the real data have no target.
    """
    return cost_of(_arms(train, candidates, runs=_runs(runs, effort), effort=effort, also=also), learner)


def _arms(
    train: View, candidates: Mapping[str, View], *, runs: int, effort: Effort, also: Also
) -> list[tuple[int, int]]:
    """(rows, runs) of all arms; of many candidates the largest count as those that go on."""
    rows = labelled(train, "the real data")
    sizes = curve_sizes(target_of(rows, "the real data"), effort=effort) if rows.n else ()
    sets = sorted((view.n for view in candidates.values()), reverse=True)
    arms = [(n, runs) for n in sizes] + [(n, 1) for n in sets[MOST_FULL:]]
    for n in sets[:MOST_FULL]:
        arms += [(n, runs), (n // 2, runs), *([(n + rows.n // 2, runs)] if also == "added" else [])]
    return arms


def worth(
    train: View,
    test: View,
    candidates: Mapping[str, View],
    *,
    fitted_on: Mapping[str, FittedOn],
    learner: Learner,
    seed: int,
    runs: int = 5,
    effort: Effort = "full",
    slices: Sequence[str] = (),
    level: float = 0.95,
    benchmark: Literal["split", "holdout"] = "split",
    also: Also = "alone",
    refits: Mapping[str, Refit] | None = None,
    independent: frozenset[str] = frozenset(),
    rare: tuple[int, int] = (30, 8),
    on_event: OnEvent = silent,
) -> Worth:
    """How many real rows would do what each candidate does alone.

    The learner is trained on growing subsets of the real rows and on each candidate, with the same
    search for its settings, and scored on the same benchmark. A candidate's worth is the number of
    real rows that reach its score. It is never extrapolated: beyond all real rows it is "at least".

    Of more than six candidates each is trained on once, and those that may be the best, or of which it
    is open whether they are worth a tenth of the real rows, get the full effort.

    Args:
        train: real rows.
        test: the benchmark, real rows that nothing was trained on.
        candidates: synthetic rows by name, encoded together with the real ones.
        fitted_on: whether each generator saw these real rows; "unknown" where a name is missing.
        learner: the model the data is for.
        seed: of the run.
        runs: trainings per arm.
        effort: "fast" takes at most 3 runs and 5 sizes.
        slices: columns by whose values the worth is asked for as well, or one value as "label=fraud"; classes of
            the target are each judged against all others.
        level: nominal coverage of the intervals.
        benchmark: "holdout" if no generator can have seen it, "split" if it was split off afterwards.
        also: "added" measures as well what each set brings when it is added to half of the real rows.
        refits: for candidates of generators of ours, how to make them anew from some positions of `train`.
        independent: candidates whose generators saw none of `train`.
        rare: benchmark rows of a class below which its worth is called few, and below which it is not measured.
        on_event: told "cost" before anything is trained, then "trained" after each training.

    Returns:
        One finding `real_equivalent_rows` per candidate and slice; a shortage is Unmeasured, and a
        candidate whose training fails does not stop the others.

    Raises:
        InputError: without a target, or for an unknown slice.
        SterlingError: if training on real rows fails.

    Source: SCIENCE.md 3.1; Jain et al. 2024, arXiv:2402.04376.
    """
    rows, parts = labelled(train, "the real data"), list(slices_of(test, tuple(slices)))
    prints = (train.fingerprint, test.fingerprint)
    terms = Terms(rows.n, level, seed, benchmark, prints, *rare)
    short = _shortage(train, test)
    bare = [
        Candidate(name, view.n, fitted_on.get(name, "unknown"), view.fingerprint, independent=name in independent)
        for name, view in candidates.items()
    ]
    classes = [part for part in parts if part.one is not None and _class_shortage(test, part, terms) is None]
    if short is not None and (not classes or rows.n < 2):
        named = [(None, short), *((p.name, _class_shortage(test, p, terms) or short) for p in parts)]
        return Worth(tuple(unmeasured(c, why, name, terms) for name, why in named for c in bare), {})
    each = _runs(runs, effort)
    stage = Stage(rows, train, test, dict(candidates), learner, seed, each, also, dict(refits or {}), on_event)
    curve = _real_curve(stage, effort)
    found = judge_candidates(curve, train_all(stage, curve, bare), terms=terms, slices=parts, short=short)
    return replace(found, more=() if also == "alone" else found.more)


def _real_curve(stage: Stage, effort: Effort) -> Curve:
    """Tell the cost, and measure the curve."""
    planned = _arms(stage.train, stage.candidates, runs=stage.runs, effort=effort, also=stage.also)
    cost = cost_of(planned, stage.learner)
    if cost.most_seconds is not None:  # the program may be slow: say what is known before any of it runs
        stage.on_event("cost", cost.as_json())
    rehearsed = rehearse(
        stage.train, stage.test, learner=stage.learner, seed=stage.seed, runs=stage.runs, effort=effort
    )
    triples = min(BOOTSTRAP_BUDGET, float(cost.trainings) * MOST_DRAWS * stage.test.n)
    stage.on_event("cost", replace(cost, seconds=rehearsed.predict(planned, triples=triples)).as_json())
    return measure_curve(
        stage.train,
        stage.test,
        learner=stage.learner,
        seed=stage.seed,
        runs=stage.runs,
        effort=effort,
        on_event=stage.on_event,
        done=rehearsed.done,
    )


def judge_candidates(
    curve: Curve,
    candidates: Sequence[Candidate],
    *,
    terms: Terms,
    slices: Sequence[Slice] = (),
    short: Unmeasured | None = None,
) -> Worth:
    """The findings and the picture from trainings already made (by `worth`, or by the user).

    Args:
        curve: of the real rows.
        candidates: with their trainings.
        terms: what the findings share.
        slices: of the benchmark.
        short: why nothing can be said of the whole benchmark; None if it can.
    """
    found = _exchange(curve, candidates, None, terms, short)
    sliced = [f for part in slices for f in _exchange(curve, candidates, part, terms, None).findings]
    return replace(found, findings=(*found.findings, *sliced))


def _runs(runs: int, effort: Effort) -> int:
    return min(runs, FAST_RUNS) if effort == "fast" else runs


def _shortage(train: View, test: View) -> Unmeasured | None:
    for view, what in ((test, "the benchmark"), (train, "the real training data")):
        if view.n == 0:
            return Unmeasured(f"{what} has no rows", "name real rows that nothing was trained on: --holdout FILE")
        short = unscorable(target_of(view, what))
        if short is not None:
            return Unmeasured(f"too little in {what}: {short.reason}", short.mend)
    return None


def _class_shortage(test: View, part: Slice, terms: Terms) -> Unmeasured | None:
    """Why a class of the target cannot be judged; None if it can, or if the slice is no class."""
    if part.one is None:
        return None
    others = int((~target_of(test, "the benchmark").missing).sum()) - part.rows.size
    return _too_few(min(part.rows.size, others), part, terms)


def _too_few(rows: int, part: Slice, terms: Terms) -> Unmeasured | None:
    if rows >= terms.fewest:
        return None
    return Unmeasured(
        f"{rows} benchmark rows with {part.name} (or without), where {terms.fewest} are needed to judge a class",
        mend=f"set {terms.few} real rows of this class apart: collect them, synthetic rows cannot judge",
    )


def _exchange(
    curve: Curve, candidates: Sequence[Candidate], part: Slice | None, terms: Terms, short: Unmeasured | None
) -> Worth:
    """Findings on the whole benchmark or one slice of it, and their picture."""
    name = None if part is None else part.name
    short = short if part is None else _slice_shortage(curve, part, terms)
    trained = [c for c in candidates if c.whole is not None]
    if short is not None or not trained:
        return Worth(tuple(unmeasured(c, short, name, terms) for c in candidates), {})
    rng = stream(terms.seed, "worth", "bootstrap", name or "")
    real, ruler, places = _places(curve, trained, part, terms, rng=rng)
    nothing = _nothing_learnt(real, ruler, curve, terms.level)
    findings = tuple(
        unmeasured(c, nothing, name, terms)
        if nothing is not None or c.name not in places
        else worth_finding(c, curve, places[c.name], real, terms)
        for c in candidates
    )
    more = () if nothing is not None else [f for c in trained for f in more_findings(c, places[c.name], terms)]
    return Worth(findings, picture_of(curve, real, ruler, places, findings, terms), tuple(more))


def _places(
    curve: Curve, trained: Sequence[Candidate], part: Slice | None, terms: Terms, *, rng: np.random.Generator
) -> tuple[Sampled, Ruler, dict[str, Place]]:
    """Sample all arms together, and place every candidate, its halves and its mix on one drawn curve."""
    wholes = [c.whole for c in trained if c.whole is not None]
    halved = [c for c in trained if c.half is not None]
    mixed = [c for c in trained if c.added is not None and part is None]
    arms = [*curve.arms, *wholes, *(c.half for c in halved if c.half), *(c.added.arm for c in mixed if c.added)]
    k, w, h = len(curve.arms), len(wholes), len(halved)
    sampled = _sample(curve, arms, part, rng=rng)
    real, whole, half = sampled.take(range(k)), sampled.take(range(k, k + w)), sampled.take(range(k + w, k + w + h))
    ruler = ruler_of(real, chance=curve.chance, rng=rng)
    drawn = with_noise(whole, seeds_prior(real, ruler, whole.rows), rng=rng)
    placed = {c.name: ruler.read(float(whole.points[j]), drawn[:, j]) for j, c in enumerate(trained)}
    remark = None
    if part is not None and part.one is not None and part.rows.size < terms.few:
        remark = f"only {part.rows.size} benchmark rows of this class: few, so take it as a hint"
    places = {
        c.name: Place(placed[c.name], float(whole.points[j]), where=None if part is None else part.name, remark=remark)
        for j, c in enumerate(trained)
    }
    own = sampled.take([k + trained.index(c) for c in halved])
    for c, (each, value) in zip(halved, _marginals(own, half, real, ruler, curve.n_max, terms, rng), strict=True):
        places[c.name] = replace(places[c.name], marginal=each, half=value)
    for j, c in enumerate(mixed):
        places[c.name] = replace(places[c.name], added=_added(curve, c, sampled, k + w + h + j, ruler, terms, rng))
    return real, ruler, places


def _marginals(
    whole: Sampled,
    half: Sampled,
    real: Sampled,
    ruler: Ruler,
    n: int,
    terms: Terms,
    rng: np.random.Generator,
) -> Iterator[tuple[Marginal, float]]:
    """What more rows of each kind would bring, and the worth of its halves."""
    prior = halves_prior(real, ruler, half.rows)
    # The next rows are new ones: here the luck of the rows that are there counts, and the halves share it.
    luck = kind_noise(half, prior, ruler.slope, draws=half.draws.shape[0], rng=rng)
    wholes = with_noise(whole, seeds_prior(real, ruler, whole.rows), rng=rng) + luck
    halves = with_noise(half, prior, rng=rng) + luck
    for j in range(half.rows.size):
        every = ruler.read(float(whole.points[j]), wholes[:, j])
        some = ruler.read(float(half.points[j]), halves[:, j])
        count = {"rows": int(whole.rows[j]), "half_rows": int(half.rows[j]), "n": n}
        yield marginal_of(every, some, **count, level=terms.level), some.value


def _added(
    curve: Curve, candidate: Candidate, sampled: Sampled, at: int, ruler: Ruler, terms: Terms, rng: np.random.Generator
) -> Estimate | None:
    """What a candidate adds to half of the real rows."""
    n = curve.n_max
    base = next((i for i, arm in enumerate(curve.arms) if arm.rows == n // 2), None)
    if base is None or candidate.added is None:
        return None
    both = sampled.draws[:, base], sampled.draws[:, at]
    placed = place_added(ruler, curve.arms[base], candidate.added.arm, both, rng=rng)
    return added_rows(placed, half=n // 2, n=n, smallest=float(curve.arms[0].rows), level=terms.level)


def _sample(curve: Curve, arms: Sequence[Arm], part: Slice | None, *, rng: np.random.Generator) -> Sampled:
    """All arms under the same resamplings; for a class of the target, by its score against all others."""
    target, rows = curve.target, None if part is None else part.rows
    if part is not None and part.one is not None and target is not None:
        target, arms, rows = _against_others(target, arms, part.one)
    looked_at = 1 if target is None else target.values.size if rows is None else rows.size
    models = sum(arm.scores.size for arm in arms)
    draws = int(np.clip(BOOTSTRAP_BUDGET / (models * looked_at), FEWEST_DRAWS, MOST_DRAWS))
    return sample(arms, target, rows=rows, draws=draws, rng=rng)


def _against_others(target: Column, arms: Sequence[Arm], one: int) -> tuple[Column, list[Arm], AnyArray]:
    """The target as one class or another, and each arm's probability of it."""
    known = np.flatnonzero(~target.missing)
    codes = np.where(target.values == one, 1, np.where(target.missing, -1, 0))
    changed = [
        replace(arm, predictions=tuple(np.c_[1 - p[:, one], p[:, one]] for p in arm.predictions)) for arm in arms
    ]
    return Column(target.name, target.kind, target.role, codes, ("others", "one")), changed, known


def _slice_shortage(curve: Curve, part: Slice, terms: Terms) -> Unmeasured | None:
    if curve.target is None:
        return Unmeasured("the program gives one score for all rows", "use a built-in --learner for slices")
    if part.one is not None:
        return _too_few(min(part.rows.size, int((~curve.target.missing).sum()) - part.rows.size), part, terms)
    rows = part.rows
    target = Column(
        curve.target.name, curve.target.kind, curve.target.role, curve.target.values[rows], curve.target.levels
    )
    if (short := unscorable(target, least=LEAST_PER_CLASS)) is not None:
        return short
    known = int((~target.missing).sum())
    if known >= LEAST_IN_SLICE:
        return None
    return Unmeasured(
        f"{known} benchmark rows, where {LEAST_IN_SLICE} are needed", "set more real rows of this slice apart"
    )


def _nothing_learnt(real: Sampled, ruler: Ruler, curve: Curve, level: float) -> Unmeasured | None:
    """If all the real rows teach nothing, no number of rows can be read from the curve."""
    if curve.chance is None:
        return None
    low, high = np.quantile(ruler.points[:, -1], [(1 - level) / 2, (1 + level) / 2])
    if low > curve.chance:
        return None
    score = f"{curve.metric} {real.points[-1]:.3f} [{low:.3f}, {high:.3f}]"
    return Unmeasured(
        f"all {int(real.rows[-1]):,} real rows together do not beat chance: {score}, chance {curve.chance:g}",
        "add real rows or better features, or try another --learner",
    )
