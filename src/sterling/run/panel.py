"""Runs every measure on one candidate: needs, shares of the error, noise floors, failures that do not spread."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from sterling.kernel import seeds
from sterling.kernel.errors import SterlingError
from sterling.kernel.estimate import Estimate, Unmeasured
from sterling.kernel.finding import Finding, Json, Status
from sterling.kernel.protocols import Mark, Measure, OnEvent, Terms, mark_of
from sterling.kernel.view import Need, View
from sterling.stats.threads import one_thread

if TYPE_CHECKING:
    from sterling.kernel.view import AnyArray

logger = logging.getLogger(__name__)

# What a schema declares or a modality offers; the others are the caller's to give.
OFFERED = frozenset(Need) - {Need.BENCHMARK, Need.HOLDOUT, Need.LEARNER}
THREE_STEPS = (
    "(1) split the real data, (2) refit the generator on the train part alone, "
    "(3) compare again with --holdout and the part it never saw"
)
# Fewer rows than this in each half, and "real against real" says nothing.
LEAST_FLOOR = 30
# Rows a half: a noise floor is there to be looked at, and a quick judgement does not spend half its time on it.
MOST_FLOOR = {"fast": 2_500, "full": 10**9}
# An open finding that would take more than the square of this many times its records is called undecidable.
MOST_TIMES = 30


@dataclass(frozen=True, slots=True)
class _Panel:
    """What all measures of one candidate are given."""

    real: View
    synthetic: View
    holdout: View | None
    holdout_clean: bool
    seed: int
    terms: Terms
    bounds: Mapping[str, float]
    candidate: str | None

    def run(self, name: str, measure: Measure, sets: tuple[View, View], *stream: str | int) -> tuple[Finding, ...]:
        """Call one measure on two sets, with its own stream and bound."""
        terms = replace(self.terms, bound=self.bounds.get(name, self.terms.bound))
        rng = seeds.stream(self.seed, "panel", *stream, name)
        found = measure(*sets, holdout=self.holdout, rng=rng, terms=terms)
        if not found:
            raise SterlingError(f"the measure {name} found nothing at all", mend="let it return at least one finding")
        return found


def run_panel(
    measures: Mapping[str, Measure],
    real: View,
    synthetic: View,
    *,
    holdout: View | None,
    holdout_clean: bool,
    seed: int,
    terms: Terms,
    bounds: Mapping[str, float],
    candidate: str | None,
    on_event: OnEvent,
    elsewhere: Mapping[str, View] | None = None,
) -> tuple[Finding, ...]:
    """Take all measures of one candidate.

    Every measure gets a stream of its own, named by seed, candidate and measure: leaving one out, or
    changing the order, changes no other. `terms.alpha` is shared by weight among the measures whose needs
    are met: needs hang on what was declared, never on values, so that data cannot move the level. A measure
    that fails is recorded as unmeasured, and the others go on.

    Args:
        measures: by public name.
        real: train rows.
        synthetic: the candidate's rows, in the same encoding.
        holdout: real rows set apart, or None.
        holdout_clean: whether the candidate's generator certainly never saw them.
        seed: of the run.
        terms: `alpha` is for the whole panel.
        bounds: the policy's tolerance by measure.
        candidate: name of the set.
        on_event: hears "measured" after each.
        elsewhere: by measure, other real rows to hold the candidate against, with no holdout beside them.

    Returns:
        Findings in the order of `measures`, at least one for each, with candidate, fingerprints and,
        for measures marked so, the noise floor: the same measure on two disjoint halves of the real
        rows at n' = min(n // 2, m), and at most 2,500 where the effort is "fast".
    """
    panel = _Panel(real, synthetic, holdout, holdout_clean, seed, terms, bounds, candidate)
    shares = _shares(panel, measures)
    found: list[Finding] = []
    for name, measure in measures.items():
        own = replace(panel, terms=replace(terms, alpha=shares[name]))
        if name in (elsewhere or {}):
            own = replace(own, real=(elsewhere or {})[name], holdout=None)
        with one_thread():
            findings = _taken(own, name, measure)
        found += findings
        on_event("measured", {"measure": name, "candidate": candidate, "status": findings[0].status.value})
    prints = tuple(v.fingerprint for v in (real, synthetic, holdout) if v is not None)
    return tuple(replace(_with_need(f), candidate=candidate, fingerprints=prints) for f in found)


def _with_need(finding: Finding) -> Finding:
    """An open finding with how many times the records would let it pass or fail by its printed interval.

    An interval narrows with the square root of the records. Where the printed interval does not hold the
    bound, something else than this number keeps the finding open, and nothing is promised.
    """
    result, bound = finding.result, finding.params.get("bound")
    if finding.status is not Status.UNDECIDED or not isinstance(result, Estimate) or not isinstance(bound, float):
        return finding
    half, distance = (result.high - result.low) / 2, abs(result.value - bound)
    told = "times_the_rows_would_decide" in finding.evidence
    if told or not np.isfinite(half) or not result.low <= bound <= result.high:
        return finding
    # So close to the bound that no sample anyone has would tell on which side it lies: null.
    times = None if distance * MOST_TIMES < half else round(max(1.0, half / distance) ** 2, 1)
    return replace(finding, evidence={**finding.evidence, "times_the_rows_would_decide": times})


def _shares(panel: _Panel, measures: Mapping[str, Measure]) -> dict[str, float]:
    """What each measure may spend of the false-alarm budget, by weight among those that apply.

    One of no weight never fails by what it spends here; it is told a thousandth, for it needs some number.
    """
    marks = {name: mark_of(measure) for name, measure in measures.items()}
    applies = {name: mark.weight for name, mark in marks.items() if _unmet(panel, mark) is None}
    total = sum(applies.values()) or 1.0
    return {name: panel.terms.alpha * (applies.get(name) or 0.001) / total for name in measures}


def _taken(panel: _Panel, name: str, measure: Measure) -> tuple[Finding, ...]:
    mark = mark_of(measure)
    missing = _unmet(panel, mark)
    if missing is not None:
        return (_not_taken(name, mark, *missing),)
    # One measure's failure must not take the others with it: this is the task runner of the panel.
    try:
        found = panel.run(name, measure, (panel.real, panel.synthetic), panel.candidate or "")
    except SterlingError as error:
        return (_not_taken(name, mark, Unmeasured(error.message, error.mend), Status.UNMEASURED),)
    except Exception as error:
        logger.exception("the measure %s stopped", name)
        broken = Unmeasured(
            f"the measure stopped with {type(error).__name__}: {error}",
            mend="report it with the data's shape; the other measures stand",
        )
        return (_not_taken(name, mark, broken, Status.UNMEASURED),)
    if Need.BENCHMARK in mark.needs and not panel.holdout_clean:
        caveat: dict[str, Json] = {"benchmark": "may have been seen by the generator: an upper bound"}
        found = tuple(replace(f, evidence={**f.evidence, **caveat}) for f in found)
    return _with_floor(panel, name, measure, found) if mark.floor else found


def _unmet(panel: _Panel, mark: Mark) -> tuple[Unmeasured, Status] | None:
    """The first need that is not met, and whether that is a matter of declaration or of data."""
    for need in sorted(mark.needs & OFFERED):
        if need not in panel.real.offers:
            return Unmeasured(f"the real data offer no {need.value}", _declared(need)), Status.NOT_APPLICABLE
        if need not in panel.synthetic.offers:
            lacks = Unmeasured(
                f"the synthetic set offers no {need.value}", "give a set that has what the real data have"
            )
            return lacks, Status.UNMEASURED
    seen = mark.needs & {Need.BENCHMARK, Need.HOLDOUT}
    if seen and panel.holdout is None:
        return Unmeasured("there are no real rows set apart", f"to measure it: {THREE_STEPS}"), Status.UNMEASURED
    if Need.HOLDOUT in mark.needs and not panel.holdout_clean:
        why = "no real rows are known to be unseen by the generator"
        return Unmeasured(why, f"to measure it: {THREE_STEPS}"), Status.UNMEASURED
    if Need.LEARNER in mark.needs and panel.terms.learner is None:
        return Unmeasured("there is no learner to train", "name one: --learner boosted_trees"), Status.UNMEASURED
    return None


def _declared(need: Need) -> str:
    flags = {Need.TARGET: "--target COLUMN", Need.GROUPS: "--group COLUMN", Need.ENTITIES: "--entity COLUMN"}
    flag = {**flags, Need.TIME: "--time COLUMN"}.get(need)
    return f"declare it: {flag}" if flag else f"this measure is for data that offer {need.value}"


def _not_taken(name: str, mark: Mark, why: Unmeasured, status: Status) -> Finding:
    return Finding(name, why, mark.better, status, reason=why.reason)


def _with_floor(panel: _Panel, name: str, measure: Measure, found: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """Lay the noise floor beside the finding on the whole set."""
    if Need.ENTITIES in mark_of(measure).needs:
        return _with_entity_floor(panel, name, measure, found)
    size = min(panel.real.n // 2, panel.synthetic.n, MOST_FLOOR[panel.terms.effort])
    if size < LEAST_FLOOR:
        return found
    # Named without the candidate: all candidates of one size share one floor.
    order = seeds.stream(panel.seed, "panel", "halves").permutation(panel.real.n)
    halves = panel.real.take(np.sort(order[:size])), panel.real.take(np.sort(order[size : 2 * size]))
    floor = _value(panel, name, measure, halves, "floor")
    evidence: dict[str, Json] = {}
    if floor is not None and panel.terms.effort == "full":
        rows = seeds.stream(panel.seed, "panel", "at_floor_n", panel.candidate or "").permutation(panel.synthetic.n)
        same = _value(panel, name, measure, (halves[0], panel.synthetic.take(_first(rows, size))), "at_floor_n")
        evidence = {} if same is None else {"value_at_floor_n": same.value, "floor_n": size}
    return tuple(
        f if f.slice is not None else replace(f, floor=floor, evidence={**f.evidence, **evidence}) for f in found
    )


def _with_entity_floor(panel: _Panel, name: str, measure: Measure, found: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """The floor between two halves of the real entities: halves of the rows would tear sequences apart."""
    real, made = panel.real.entities, panel.synthetic.entities
    if real is None or made is None:
        return found
    own, other = np.unique(real), np.unique(made)
    rows = MOST_FLOOR[panel.terms.effort] * own.size // max(real.size, 1)
    size = min(own.size // 2, other.size, max(rows, LEAST_FLOOR))
    if size < LEAST_FLOOR:
        return found
    order = seeds.stream(panel.seed, "panel", "halves").permutation(own)
    halves = (panel.real.take(np.isin(real, part)) for part in (order[:size], order[size : 2 * size]))
    floor = _value(panel, name, measure, (next(halves), next(halves)), "floor")
    return tuple(f if f.slice is not None else replace(f, floor=floor) for f in found)


def _first(order: AnyArray, size: int) -> AnyArray:
    return np.sort(order[:size])


def _value(panel: _Panel, name: str, measure: Measure, sets: tuple[View, View], purpose: str) -> Estimate | None:
    """The measure's number for the whole of two other sets; None where it has none."""
    try:
        found = panel.run(name, measure, sets, purpose)
    except Exception:
        logger.exception("the noise floor of %s could not be had", name)
        return None
    whole = next((f.result for f in found if f.slice is None), None)
    return whole if isinstance(whole, Estimate) else None
