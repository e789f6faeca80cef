"""What a synthetic set is worth in real rows: where its score alone lies on the real learning curve."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from sterling.blend.equivalent import Arm, Placed, Sampled, place, sample
from sterling.blend.slicing import slices_of
from sterling.blend.training import (
    FAST_RUNS,
    Cost,
    Curve,
    cost_of,
    curve_sizes,
    labelled,
    measure_curve,
    nested_order,
    target_of,
    train_arm,
)
from sterling.kernel.dataset import FittedOn
from sterling.kernel.errors import SterlingError
from sterling.kernel.estimate import Estimate, Unmeasured
from sterling.kernel.finding import Finding, Json, Status
from sterling.kernel.protocols import Effort, Learner, OnEvent, silent
from sterling.kernel.seeds import stream
from sterling.kernel.view import Column, View
from sterling.stats.scores import unscorable

if TYPE_CHECKING:
    from sterling.kernel.view import AnyArray

__all__ = ["Candidate", "Worth", "judge_candidates", "measure_curve", "plan_cost", "worth"]

MEASURE = "real_equivalent_rows"
# SCIENCE.md D6: a set worth less than a tenth of the rows already held is not worth more of itself.
LITTLE = 0.1
# (benchmark row, draw, model) triples that a bootstrap may look at: a few seconds' worth.
BOOTSTRAP_BUDGET = 4e8
FEWEST_DRAWS, MOST_DRAWS = 200, 1000
# Rows that a slice of the benchmark must have, in all and of its rarest class.
LEAST_IN_SLICE, LEAST_PER_CLASS = 30, 10


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """One candidate's trainings: on all its rows and on half of them; `failed` says why there are none."""

    name: str
    rows: int
    fitted_on: FittedOn = "unknown"
    fingerprint: str = ""
    whole: Arm | None = None
    half: Arm | None = None
    failed: Unmeasured | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Worth:
    """What every candidate is worth, overall first, then by slice, and the picture of it."""

    findings: tuple[Finding, ...]
    picture: Mapping[str, Json]

    @property
    def values(self) -> dict[str, float]:
        """Real-equivalent rows by candidate, as `find_mix` takes them; 0 where they are unmeasured."""
        whole = [f for f in self.findings if f.slice is None]
        return {str(f.candidate): f.result.value if isinstance(f.result, Estimate) else 0.0 for f in whole}

    def curve_json(self) -> dict[str, Json]:
        """The real curve with each candidate placed on it, as reports draw it."""
        return dict(self.picture)


@dataclass(frozen=True, slots=True, eq=False)
class _Terms:
    """What all findings of one call share."""

    real: int
    level: float
    seed: int
    benchmark: Literal["split", "holdout"]
    fingerprints: tuple[str, ...] = ()


def plan_cost(
    train: View, candidates: Mapping[str, View], *, learner: Learner, runs: int = 5, effort: Effort = "full"
) -> Cost:
    """What `worth` will take, known before it starts.

    Raises:
        InputError: if the real data have no target.
    """
    rows = labelled(train, "the real data")
    each = _runs(runs, effort)
    sizes = curve_sizes(target_of(rows, "the real data"), effort=effort) if rows.n else ()
    arms = [(n, each) for n in sizes]
    arms += [(n, each) for view in candidates.values() for n in (view.n, view.n // 2)]
    return cost_of(arms, learner)


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
    on_event: OnEvent = silent,
) -> Worth:
    """How many real rows would do what each candidate does alone.

    The learner is trained on growing subsets of the real rows and on each candidate, with the same
    search for its settings, and scored on the same benchmark. A candidate's worth is the number of
    real rows that reach its score. It is never extrapolated: beyond all real rows it is "at least".

    Args:
        train: real rows.
        test: the benchmark, real rows that nothing was trained on.
        candidates: synthetic rows by name, encoded together with the real ones.
        fitted_on: whether each generator saw these real rows; "unknown" where a name is missing.
        learner: the model the data is for.
        seed: of the run.
        runs: trainings per arm.
        effort: "fast" takes at most 3 runs and 5 sizes.
        slices: columns by whose values the worth is asked for as well.
        level: nominal coverage of the intervals.
        benchmark: "holdout" if no generator can have seen it, "split" if it was split off afterwards.
        on_event: told "cost" before anything is trained, then "trained" after each training.

    Returns:
        One finding `real_equivalent_rows` per candidate and slice; a shortage is Unmeasured, and a
        candidate whose training fails does not stop the others.

    Raises:
        InputError: without a target, for an unknown slice column, or if training on real rows fails.

    Source: SCIENCE.md 3.1; Jain et al. 2024, arXiv:2402.04376.
    """
    names = tuple(slices)
    for name in names:
        test.column(name)
    terms = _Terms(labelled(train, "the real data").n, level, seed, benchmark, (train.fingerprint, test.fingerprint))
    short = _shortage(train, test)
    if short is not None:
        found = [Candidate(n, v.n, fitted_on.get(n, "unknown"), v.fingerprint) for n, v in candidates.items()]
        return Worth(tuple(_unmeasured(c, short, None, terms) for c in found), {})
    on_event("cost", plan_cost(train, candidates, learner=learner, runs=runs, effort=effort).as_json())
    each = _runs(runs, effort)
    curve = measure_curve(train, test, learner=learner, seed=seed, runs=each, effort=effort, on_event=on_event)
    arms = [
        _trained(n, v, test, fitted_on.get(n, "unknown"), learner=learner, seed=seed, runs=each, on_event=on_event)
        for n, v in candidates.items()
    ]
    return judge_candidates(
        curve,
        arms,
        level=level,
        seed=seed,
        benchmark=benchmark,
        slices=[(s.name, s.rows) for s in slices_of(test, names)],
        fingerprints=terms.fingerprints,
    )


def judge_candidates(
    curve: Curve,
    candidates: Sequence[Candidate],
    *,
    level: float,
    seed: int,
    benchmark: Literal["split", "holdout"] = "split",
    slices: Sequence[tuple[str, AnyArray]] = (),
    fingerprints: tuple[str, ...] = (),
) -> Worth:
    """The findings and the picture from trainings already made (by `worth`, or by the user)."""
    terms = _Terms(curve.n_max, level, seed, benchmark, fingerprints)
    findings, picture = _exchange(curve, candidates, None, terms)
    for name, rows in slices:
        findings += _exchange(curve, candidates, (name, rows), terms)[0]
    return Worth(tuple(findings), picture)


def _runs(runs: int, effort: Effort) -> int:
    return min(runs, FAST_RUNS) if effort == "fast" else runs


def _shortage(train: View, test: View) -> Unmeasured | None:
    for view, what in ((test, "the benchmark"), (train, "the real training data")):
        short = unscorable(target_of(view, what))
        if short is not None:
            return Unmeasured(f"too little in {what}: {short.reason}", short.mend)
    return None


def _trained(
    name: str,
    view: View,
    test: View,
    fitted_on: FittedOn,
    *,
    learner: Learner,
    seed: int,
    runs: int,
    on_event: OnEvent,
) -> Candidate:
    """A candidate's arms; its failure is recorded and the others go on."""
    bare = Candidate(name, view.n, fitted_on, view.fingerprint)
    try:
        rows = labelled(view, f"candidate {name!r}")
        if rows.n < 2:
            return _failed(bare, f"it has {rows.n} rows whose target is known", "give rows with the target filled in")
        target = target_of(rows, name)
        orders = [nested_order(target, rng=stream(seed, "worth", "half", name, run)) for run in range(runs)]
        whole = train_arm(name, [rows] * runs, test, learner=learner, seed=seed, on_event=on_event)
        halves = [rows.take(order[: rows.n // 2]) for order in orders]
        half = train_arm(name, halves, test, learner=learner, seed=seed, on_event=on_event)
    except SterlingError as error:
        on_event("failed", {"arm": name, "reason": error.message})
        return _failed(bare, error.message, error.mend)
    return Candidate(name, view.n, fitted_on, view.fingerprint, whole, half)


def _failed(bare: Candidate, reason: str, mend: str) -> Candidate:
    return Candidate(bare.name, bare.rows, bare.fitted_on, bare.fingerprint, failed=Unmeasured(reason, mend))


def _exchange(
    curve: Curve, candidates: Sequence[Candidate], part: tuple[str, AnyArray] | None, terms: _Terms
) -> tuple[list[Finding], dict[str, Json]]:
    """Findings on the whole benchmark or one slice of it, and their picture."""
    name, rows = part or (None, None)
    short = None if part is None else _slice_shortage(curve, part[1])
    trained = [c for c in candidates if c.whole is not None]
    if short is not None or not trained:
        return [_unmeasured(c, short, name, terms) for c in candidates], {}
    arms = [*curve.arms, *(c.whole for c in trained if c.whole), *(c.half or c.whole for c in trained if c.whole)]
    models = sum(arm.scores.size for arm in arms)
    looked_at = 1 if curve.target is None else curve.target.values.size if rows is None else rows.size
    draws = int(np.clip(BOOTSTRAP_BUDGET / (models * looked_at), FEWEST_DRAWS, MOST_DRAWS))
    rng = stream(terms.seed, "worth", "bootstrap", name or "")
    sampled = sample(arms, curve.target, rows=rows, draws=draws, rng=rng)
    k, c = len(curve.arms), len(trained)
    real, wholes = sampled.take(range(k)), sampled.take(range(k, k + c))
    halves = sampled.take(range(k + c, k + 2 * c))
    spread = np.where([candidate.half is None for candidate in trained], np.nan, halves.variances)
    placed, noisy = place(real, wholes, spread, chance=curve.chance, rng=rng)
    placed_halves = place(real, halves, np.full(c, np.nan), chance=curve.chance, rng=rng)[0]
    nothing = _nothing_learnt(real, noisy, curve, terms.level)
    judged = {
        candidate.name: _finding(candidate, curve, placed[j], placed_halves[j], real, wholes.points[j], name, terms)
        for j, candidate in enumerate(trained)
    }
    findings = [
        _unmeasured(candidate, nothing, name, terms)
        if nothing is not None or candidate.name not in judged
        else judged[candidate.name]
        for candidate in candidates
    ]
    return findings, _picture(curve, real, noisy, wholes, placed, findings, terms)


def _slice_shortage(curve: Curve, rows: AnyArray) -> Unmeasured | None:
    if curve.target is None:
        return Unmeasured("the program gives one score for all rows", "use a built-in --learner for slices")
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


def _nothing_learnt(real: Sampled, noisy: AnyArray, curve: Curve, level: float) -> Unmeasured | None:
    """If all the real rows teach nothing, no number of rows can be read from the curve."""
    if curve.chance is None:
        return None
    low, high = np.quantile(noisy[:, -1], [(1 - level) / 2, (1 + level) / 2])
    if low > curve.chance:
        return None
    score = f"{curve.metric} {real.points[-1]:.3f} [{low:.3f}, {high:.3f}]"
    return Unmeasured(
        f"all {int(real.rows[-1]):,} real rows together do not beat chance: {score}, chance {curve.chance:g}",
        "add real rows or better features, or try another --learner",
    )


def _finding(
    candidate: Candidate,
    curve: Curve,
    whole: Placed,
    half: Placed,
    real: Sampled,
    score: float,
    slice_name: str | None,
    terms: _Terms,
) -> Finding:
    smallest, n = float(real.rows[0]), float(real.rows[-1])
    low, high = whole.interval(terms.level, smallest=smallest)
    value = min(whole.value, n)
    result = Estimate(value, min(low, value), high, terms.real, terms.level, _method(curve))
    bound, marginal = LITTLE * n, _marginal(whole, half, candidate, n)
    return Finding(
        MEASURE,
        result,
        "higher",
        _status(low, high, bound),
        slice=slice_name,
        candidate=candidate.name,
        reason=(f"where {slice_name}, " if slice_name else "")
        + _sentence(candidate, curve, result, score, smallest, terms),
        params={
            "seed": terms.seed,
            "runs": int(real.runs.max()),
            "bound": bound,
            "real_rows": terms.real,
            "marginal": marginal["marginal"],
        },
        evidence={
            "score": score,
            "metric": curve.metric,
            "real_score": float(real.points[-1]),
            "rows": candidate.rows,
            "per_1000_rows": 1000 * value / candidate.rows,
            "sizes": [int(s) for s in real.rows],
            "censored": result.censored,
            "below_smallest": value < smallest,
            "fitted_on": candidate.fitted_on,
            "upper_bound": _upper_bound(candidate, terms),
            **marginal,
        },
        fingerprints=(*terms.fingerprints, candidate.fingerprint),
    )


def _method(curve: Curve) -> str:
    if curve.target is None:
        return "inverse learning curve; training seeds and curve forms, percentile (the program gives no predictions)"
    return "inverse learning curve; bootstrap of benchmark rows, training sets and curve forms, percentile"


def _upper_bound(candidate: Candidate, terms: _Terms) -> bool:
    return candidate.fitted_on != "other" and terms.benchmark == "split"


def _marginal(whole: Placed, half: Placed, candidate: Candidate, n: float) -> dict[str, Json]:
    """Real rows that one more row of the same kind would add, and where more of them stop helping.

    With errors A/m + bias^2 (SCIENCE.md 0.2), 1/N(m) = 1/(rate m) + 1/cap: two points give the cap.
    """
    if candidate.half is None or not (np.isfinite(whole.value) and np.isfinite(half.value) and whole.value > 0):
        return {"worth_of_half": None, "marginal": None, "cap": None}
    added = (whole.value - half.value) / (candidate.rows - candidate.half.rows)
    left = 2 / whole.value - 1 / half.value if half.value > 0 else 0.0
    # Beyond twice the measured range a cap would be an extrapolation (SCIENCE.md 2b).
    cap = 1 / left if left > 0 and 1 / left <= 2 * n else None
    return {"worth_of_half": half.value, "marginal": added, "cap": cap}


def _sentence(
    candidate: Candidate, curve: Curve, result: Estimate, score: float, smallest: float, terms: _Terms
) -> str:
    rows = f"{candidate.rows:,} rows alone reach {curve.metric} {score:.3f}"
    n = curve.n_max
    if result.value < smallest:
        said = f"{rows}, less than {smallest:,.0f} real rows do"
        said += "" if result.censored else f" (worth at most {result.high:,.0f})"
    elif result.censored:
        said = f"{rows}, worth at least {result.low:,.0f} real rows; the curve ends at the {n:,} rows you hold"
    else:
        said = f"{rows}, as {result.value:,.0f} [{result.low:,.0f}, {result.high:,.0f}] real rows do"
    if not _upper_bound(candidate, terms):
        return said
    seen = "was fitted on" if candidate.fitted_on == "real" else "may have seen"
    return f"{said}; an upper bound, since its generator {seen} the real rows"


def _unmeasured(candidate: Candidate, why: Unmeasured | None, slice_name: str | None, terms: _Terms) -> Finding:
    found = candidate.failed or why or Unmeasured("it was not trained", "run `sterling worth` again")
    return Finding(
        MEASURE,
        found,
        "higher",
        Status.UNMEASURED,
        slice=slice_name,
        candidate=candidate.name,
        reason=found.reason,
        params={"seed": terms.seed, "real_rows": terms.real},
        evidence={"rows": candidate.rows, "fitted_on": candidate.fitted_on},
        fingerprints=(*terms.fingerprints, candidate.fingerprint),
    )


def _picture(
    curve: Curve,
    real: Sampled,
    noisy: AnyArray,
    wholes: Sampled,
    placed: Sequence[Placed],
    findings: Sequence[Finding],
    terms: _Terms,
) -> dict[str, Json]:
    tails = [(1 - terms.level) / 2, (1 + terms.level) / 2]
    low, high = np.quantile(noisy, tails, axis=0)
    worths = {f.candidate: f for f in findings}
    names = [name for name, f in worths.items() if "score" in f.evidence]
    candidates: list[Json] = []
    for j, name in enumerate(names):
        result, rows = worths[name].result, int(wholes.rows[j])
        below, above = (float(q) for q in np.quantile(placed[j].scores, tails))
        shown: dict[str, Json] = {"name": name, "rows": rows, "score": float(wholes.points[j]), "low": below}
        shown["high"] = above
        if isinstance(result, Estimate):
            shown |= {"worth": result.value, "worth_low": result.low, "censored": result.censored}
            shown["worth_high"] = None if result.censored else result.high
        candidates.append(shown)
    return {
        "metric": curve.metric,
        "higher_is_better": True,
        "points": [
            {"n": int(real.rows[i]), "score": float(real.points[i]), "low": float(low[i]), "high": float(high[i])}
            for i in range(real.rows.size)
        ],
        "reference": {"n": int(real.rows[-1]), "score": float(real.points[-1])},
        "candidates": candidates,
    }


def _status(low: float, high: float, bound: float) -> Status:
    """WARN if it is worth little for certain, UNDECIDED if all is possible from little to more than is held."""
    if high < bound:
        return Status.WARN
    return Status.UNDECIDED if low < bound and np.isinf(high) else Status.PASS
