"""From places on the real curve to findings, sentences and a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from sterling.blend.added import Mixed
from sterling.blend.equivalent import Arm, Placed, Ruler, Sampled
from sterling.blend.marginal import MORE, Marginal
from sterling.blend.training import Curve
from sterling.kernel.dataset import FittedOn
from sterling.kernel.estimate import Estimate, Measured, Unmeasured
from sterling.kernel.finding import Finding, Json, Status

if TYPE_CHECKING:
    pass

MEASURE, NEXT, CAP, ADDED = "real_equivalent_rows", "marginal_rows", "worth_cap", "added_real_rows"
# SCIENCE.md D6: a set worth less than a tenth of the rows already held is not worth more of itself.
LITTLE = 0.1


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """One candidate's trainings.

    Args:
        name: as reports have it.
        rows: how many it has.
        fitted_on: which real rows its generator saw.
        fingerprint: of the set.
        whole: trainings on all its rows.
        half: trainings on random halves of them; None where it was only screened.
        added: trainings on half of the real rows with it added; None where that was not asked for, or failed.
        failed: why there are no trainings.
        remark: what a reader must know, such as that it holds the very real rows.
        independent: whether its generator saw none of the real rows that train.
    """

    name: str
    rows: int
    fitted_on: FittedOn = "unknown"
    fingerprint: str = ""
    whole: Arm | None = None
    half: Arm | None = None
    added: Mixed | None = None
    failed: Unmeasured | None = None
    remark: str | None = None
    independent: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Terms:
    """What all findings of one call share."""

    real: int
    level: float
    seed: int
    benchmark: Literal["split", "holdout"]
    fingerprints: tuple[str, ...] = ()
    few: int = 30
    fewest: int = 8


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """All that is known of one candidate on the whole benchmark or a slice of it.

    Args:
        whole: where it lies.
        score: mean over its runs.
        marginal: what more rows would bring; None where no halves were trained.
        half: worth of its halves.
        added: what it adds to half of the real rows; None where that was not trained.
        where: the slice's name.
        remark: such as that the slice has few rows.
    """

    whole: Placed
    score: float
    marginal: Marginal | None = None
    half: float | None = None
    added: Measured | None = None
    where: str | None = None
    remark: str | None = None


def worth_finding(candidate: Candidate, curve: Curve, place: Place, real: Sampled, terms: Terms) -> Finding:
    """The worth of one candidate alone."""
    smallest, n = float(real.rows[0]), float(real.rows[-1])
    low, high = place.whole.interval(terms.level, smallest=smallest)
    value = min(place.whole.value, n)
    result = Estimate(value, min(low, value), high, terms.real, terms.level, _method(curve))
    bound, more = LITTLE * n, _more(place, n)
    where = f"where {place.where}, " if place.where else ""
    said = where + _sentence(candidate, curve, result, place.score, smallest, terms)
    return Finding(
        MEASURE,
        result,
        "higher",
        _status(low, high, bound),
        slice=place.where,
        candidate=candidate.name,
        reason="; ".join(text for text in (said, place.remark, candidate.remark) if text),
        params={
            "seed": terms.seed,
            "runs": int(real.runs.max()),
            "bound": bound,
            "real_rows": terms.real,
            "marginal": more["marginal"],
        },
        evidence={
            "score": place.score,
            "metric": curve.metric,
            "real_score": float(real.points[-1]),
            "rows": candidate.rows,
            "per_1000_rows": 1000 * value / candidate.rows,
            "sizes": [int(s) for s in real.rows],
            "censored": result.censored,
            "below_smallest": value < smallest,
            # How many times the lower end goes into the upper one.
            "width": high / low if low > 0 and not result.censored else None,
            "fitted_on": candidate.fitted_on,
            "upper_bound": upper_bound(candidate, terms),
            "screened": candidate.half is None and candidate.whole is not None and candidate.whole.scores.size == 1,
            **more,
        },
        fingerprints=(*terms.fingerprints, candidate.fingerprint),
    )


def _more(place: Place, n: float) -> dict[str, Json]:
    """What more rows bring, as the evidence has it; `marginal` is per row, the other ends per thousand."""
    keys = ("worth_of_half", "marginal", "marginal_per_1000", "marginal_low", "marginal_high")
    facts: dict[str, Json] = dict.fromkeys((*keys, "cap", "cap_low", "cap_high", "added", "added_low", "added_high"))
    marginal = place.marginal
    if isinstance(place.added, Estimate):
        facts |= {"added": place.added.value, "added_low": place.added.low, "added_high": place.added.high}
    if marginal is None or not isinstance(marginal.next_rows, Estimate) or not isinstance(marginal.cap, Estimate):
        return facts
    rate = marginal.next_rows
    facts |= {"worth_of_half": place.half, "marginal": rate.value / MORE, "marginal_per_1000": rate.value}
    facts |= {"marginal_low": rate.low, "marginal_high": rate.high}
    # A cap at the end of the curve is "at least", not a cap.
    facts |= {"cap": marginal.cap.value if marginal.cap.value < n else None}
    return {**facts, "cap_low": marginal.cap.low, "cap_high": marginal.cap.high}


def more_findings(candidate: Candidate, place: Place, terms: Terms) -> tuple[Finding, ...]:
    """The next thousand rows, the cap, and what adding the set brings: what was asked for of them."""
    found: list[tuple[str, Measured, str]] = []
    if place.marginal is not None:
        found.append((NEXT, place.marginal.next_rows, f"the next {MORE:,} rows of the same kind would add {{}}"))
        found.append((CAP, place.marginal.cap, "any number of rows of the same kind is worth no more than {}"))
    if place.added is not None:
        found.append((ADDED, place.added, _added_words(candidate, terms)))
    return tuple(_further(candidate, name, result, words, terms) for name, result, words in found)


def _further(candidate: Candidate, measure: str, result: Measured, words: str, terms: Terms) -> Finding:
    if isinstance(result, Unmeasured):
        status, reason = Status.UNMEASURED, result.reason
    else:
        reason = words.format(_rows_words(result, open_cap=measure == CAP))
        harm, gain = result.high < 0, result.low >= 0
        status = Status.WARN if harm else Status.PASS if gain or measure != ADDED else Status.UNDECIDED
    weight = {} if candidate.added is None else {"weight": candidate.added.weight}
    refitted = candidate.added is not None and candidate.added.refitted
    return Finding(
        measure,
        result,
        "higher",
        status,
        candidate=candidate.name,
        reason=reason,
        params={"seed": terms.seed, "real_rows": terms.real, **(weight if measure == ADDED else {})},
        evidence={"rows": candidate.rows, "refitted": refitted, "independent": candidate.independent or refitted},
        fingerprints=(*terms.fingerprints, candidate.fingerprint),
    )


def _added_words(candidate: Candidate, terms: Terms) -> str:
    assert candidate.added is not None
    half, mixed = terms.real // 2, candidate.added
    lead = f"added to {half:,} of your real rows (weight {mixed.weight:.2g} each) it does what {{}} more do"
    if mixed.refitted:
        return f"{lead}; its generator was refitted on those rows alone"
    if candidate.independent:
        return lead
    return f"{lead}; an upper bound if its generator saw the other {terms.real - half:,}"


def _rows_words(result: Estimate, *, open_cap: bool) -> str:
    ends = f"[{result.low:,.0f}, {result.high:,.0f}]"
    if not result.censored:
        return f"{result.value:,.0f} real rows {ends}"
    said = f"at least {result.low:,.0f} real rows"
    return f"an open number of real rows, {said}" if open_cap else said


def _method(curve: Curve) -> str:
    if curve.target is None:
        return "inverse learning curve; training seeds and curve forms, percentile (the program gives no predictions)"
    return "inverse learning curve; bootstrap of benchmark rows, training sets and curve forms, percentile"


def upper_bound(candidate: Candidate, terms: Terms) -> bool:
    """Whether its generator may have seen the benchmark."""
    return candidate.fitted_on != "other" and terms.benchmark == "split"


def _sentence(candidate: Candidate, curve: Curve, result: Estimate, score: float, smallest: float, terms: Terms) -> str:
    rows = f"{candidate.rows:,} rows alone reach {curve.metric} {score:.3f}"
    n = curve.n_max
    if result.value < smallest:
        said = f"{rows}, less than {smallest:,.0f} real rows do"
        said += "" if result.censored else f" (worth at most {result.high:,.0f})"
    elif result.censored:
        said = f"{rows}, worth at least {result.low:,.0f} real rows; the curve ends at the {n:,} rows you hold"
    else:
        said = f"{rows}, as {result.value:,.0f} [{result.low:,.0f}, {result.high:,.0f}] real rows do"
    if not upper_bound(candidate, terms):
        return said
    seen = "was fitted on" if candidate.fitted_on == "real" else "may have seen"
    return f"{said}; an upper bound, since its generator {seen} the real rows"


def unmeasured(candidate: Candidate, why: Unmeasured | None, slice_name: str | None, terms: Terms) -> Finding:
    """Why one candidate has no worth."""
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


def picture_of(
    curve: Curve, real: Sampled, ruler: Ruler, places: Mapping[str, Place], findings: Sequence[Finding], terms: Terms
) -> dict[str, Json]:
    """The real curve with each candidate placed on it, as reports draw it."""
    tails = [(1 - terms.level) / 2, (1 + terms.level) / 2]
    low, high = np.quantile(ruler.points, tails, axis=0)
    worths = {str(f.candidate): f for f in findings if "score" in f.evidence}
    candidates: list[Json] = []
    for name, found in worths.items():
        below, above = (float(q) for q in np.quantile(places[name].whole.scores, tails))
        rows = found.evidence["rows"]
        shown: dict[str, Json] = {"name": name, "rows": rows, "score": places[name].score, "low": below, "high": above}
        if isinstance(result := found.result, Estimate):
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
