"""Which synthetic labels are wrong, how many, and whether at random."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sterling.kernel.estimate import Estimate, Unmeasured
from sterling.kernel.finding import Finding, Json, Status
from sterling.kernel.protocols import Terms, measure
from sterling.kernel.view import Need, View
from sterling.stats.bounds import status_of
from sterling.stats.checked_labels import (
    Checked,
    Place,
    checked_labels,
    directions,
    located,
    standardised_shift,
)
from sterling.stats.judged_labels import FOLDS, JudgedLabels, judged_labels, suspicions
from sterling.stats.label_pattern import Pattern
from sterling.stats.label_shift import strata_of

if TYPE_CHECKING:
    from sterling.kernel.view import Bools

# One label in a hundred: fewer at random cost a model nothing that can be measured (SCIENCE.md 2d).
BOUND, SLICE_BOUND = 0.01, 0.05
STRATA = 5
MOST_SHOWN, MOST_LISTED = 20, 500
# A class is flagged if it is rather wrong than right; a number's chance is that of all rows as far out.
FLAGGED, FLAGGED_NUMBER = 0.5, 0.8


@measure(
    Need.TARGET,
    title="Synthetic labels that are wrong, and which",
    better="lower",
    floor=False,
    family="labels",
    weight=0.5,
)
def label_errors(
    real: View, synthetic: View, *, holdout: View | None, rng: np.random.Generator, terms: Terms
) -> tuple[Finding, ...]:
    """Share of wrong labels among the synthetic labels that can be checked, and the rows to review.

    Models fitted on real labels judge every synthetic label and, by cross-validation, every real one. A
    label can be checked where the models give all contradicting classes together at most a chance of .05 (a
    number always can: it contradicts where it lies farther from its prediction than 99.5 % of real ones).
    With b contradictions among m checked labels, of which r are expected at the rate of real rows of the
    same certainty, the share is (b - r) / (sum over rows of the chance that a wrong label would be seen).
    The real rows are its own control, so it has no noise floor beside it.

    Args:
        real: train rows.
        synthetic: the rows to be judged.
        holdout: more real rows to compare with, if given; nothing is learned from them.
        rng: draws folds and subsamples.
        terms: `bound` is the largest tolerable share, default .01. `alpha`: half for the whole, half for the
            slice in which errors concentrate.

    Returns:
        First the whole: 0..1, smaller is better; negative means that real labels contradict more. Its evidence
        has the number of wrong labels, `pattern` ("random", "clustered", "one-directional", "none found") with
        p-values, the flagged rows with the share of them that is wrong, and the most suspicious rows: their
        position in the set from 0, label given, label expected, its chance. If clustered, a second finding
        for the slice that holds most: the same share there; tolerated is .05.

    Source: REVIEW.md 2d (a detector trained on real labels finds 84 % of systematic errors, cross-validation
        inside the synthetic set none); Northcutt, Jiang & Chuang 2021, arXiv:1911.00068; Newcombe 1998;
        Fay & Feuer 1997.
    """
    bound = BOUND if terms.bound is None else terms.bound
    params: dict[str, Json] = {"bound": bound, "alpha": terms.alpha, "folds": FOLDS}
    judged = judged_labels(real, synthetic, holdout=holdout, effort=terms.effort, rng=rng)
    if isinstance(judged, Unmeasured):
        return (_unmeasured(judged, params),)
    checked = checked_labels(judged)
    if isinstance(checked, Unmeasured):
        return (_unmeasured(checked, params),)
    params |= {"rows_real": judged.real.n, "rows_learned": judged.learned, "rows_synthetic": judged.synthetic.n}
    everyone = tuple(np.ones(h.size, dtype=bool) for h in checked.hits)
    result, at_least = _share(checked, (everyone[0], everyone[1]), terms.alpha / 2, terms)
    pattern, place = located(judged, checked) if result.low > 0 else (None, None)
    evidence = _evidence(judged, checked, result, pattern)
    if place is not None:
        evidence["concentrated_in"] = place.title
    reason = _sentence(judged, evidence, _wrong_labels(checked, result), bound)
    status = _status(result, at_least, bound)
    whole = Finding("label_errors", result, "lower", status, reason=reason, params=params, evidence=evidence)
    return (whole,) if place is None else (whole, _slice(judged, checked, place, params, terms))


def _unmeasured(why: Unmeasured, params: dict[str, Json]) -> Finding:
    return Finding("label_errors", why, "lower", Status.UNMEASURED, reason=why.reason, params=params)


def _share(checked: Checked, rows: tuple[Bools, Bools], alpha: float, terms: Terms) -> tuple[Estimate, float]:
    """Wrong labels among some of the checked ones, as a share with its interval, and its lower bound at alpha."""
    seen = max(float(checked.reach[rows[1]].mean()), 1e-3)
    near, far = (checked.excess(rows, alpha=a) for a in ((1 - terms.level) / 2, alpha))
    value, low, high = (float(np.clip(x / seen, -1.0, 1.0)) for x in near)
    n = sum(int(np.count_nonzero(r)) for r in rows)
    method = "excess contradictions, Newcombe on exact and Fay-Feuer limits"
    return Estimate(value, low, high, n, terms.level, method), far[1] / seen


def _status(result: Estimate, at_least: float, bound: float) -> Status:
    if at_least > bound:
        return Status.FAIL
    status = status_of(result.low, result.high, bound, better="lower")
    return Status.WARN if status is Status.FAIL else status


def _evidence(judged: JudgedLabels, checked: Checked, result: Estimate, pattern: Pattern | None) -> dict[str, Json]:
    rows, share = int(checked.hits[1].size), max(result.value, 0.0)
    evidence: dict[str, Json] = {
        "checked": rows,
        "contradicting": int(checked.hits[1].sum()),
        "contradicting_as_real": round(float(checked.expected[1].sum()), 1),
        "wrong_among_checked": list(_wrong_labels(checked, result)),
        "pattern": "none found" if pattern is None else pattern.name,
    }
    if pattern is None or pattern.name != "clustered":
        evidence["wrong_if_alike_elsewhere"] = round(share * judged.synthetic.n)
    if pattern is not None:
        names = [d.name for d in directions(judged, checked)]
        shares = sorted(zip(names, pattern.shares, strict=True), key=lambda pair: -pair[1])
        evidence |= {
            "clustered_p": min(1.0, pattern.clustered_p),
            "direction_p": pattern.direction_p,
            "shares": {name: round(x, 5) for name, x in shares},
            "leading": names[pattern.leading],
        }
    return {**evidence, **_suspects(judged, share if pattern is not None else 0.0)}


def _suspects(judged: JudgedLabels, share: float) -> dict[str, Json]:
    """The rows to review, most suspicious first, and how many of the flagged ones are wrong."""
    real, made = suspicions(judged, share=share)
    order = np.argsort(-made, kind="stable")
    least = FLAGGED if judged.names else FLAGGED_NUMBER
    flagged = int((made > least).sum()) if share > 0 else 0
    shown: list[Json] = [_suspect(judged, int(i), float(made[i])) for i in order[:MOST_SHOWN]]
    out: dict[str, Json] = {"flagged": flagged, "suspects": shown}
    if flagged:
        out["flagged_rows"] = [int(judged.places[i]) for i in order[: min(flagged, MOST_LISTED)]]
        out["wrong_share_of_flagged"] = _precision(judged, (real > least, made > least))
    return out


def _suspect(judged: JudgedLabels, i: int, wrong: float) -> Json:
    given, chance = judged.labels[1][i], judged.chances[1][i]
    where: dict[str, Json] = {"row": int(judged.places[i])}
    if judged.names:
        likely = int(chance.argmax())
        labels: dict[str, Json] = {
            "given": judged.names[int(given)],
            "expected": judged.names[likely],
            "chance_of_given": round(float(chance[int(given)]), 5),
            "chance_of_expected": round(float(chance[likely]), 5),
        }
    else:
        labels = {"given": float(given), "expected": float(chance)}
    return {**where, **labels, "chance_wrong": round(wrong, 4)}


def _precision(judged: JudgedLabels, flags: tuple[Bools, Bools]) -> list[Json]:
    """Share of the flagged that is wrong, with its 95 % interval: what real rows flagged alike leave of them."""
    sure = [p.max(axis=1) if judged.names else p for p in judged.chances]
    strata = strata_of(sure[0], sure[1], bins=STRATA)
    found, count = standardised_shift(flags, strata, alpha=0.025), int(flags[1].sum())
    return [round(float(np.clip(x * flags[1].size / count, 0.0, 1.0)), 4) for x in found]


def _slice(judged: JudgedLabels, checked: Checked, place: Place, params: dict[str, Json], terms: Terms) -> Finding:
    result, at_least = _share(checked, place.rows, terms.alpha / 2 / place.looks, terms)
    sizes = int(place.rows[0].sum()), int(place.rows[1].sum())
    number = round(max(result.value, 0.0) * sizes[1])
    reason = (
        f"In {place.title}, {result.value:.1%} of the synthetic {judged.real.known_target.name} labels that can be "
        f"checked are wrong (about {number:,}), more than elsewhere; {SLICE_BOUND:.0%} is tolerated."
    )
    return Finding(
        "label_errors", result, "lower", _status(result, at_least, SLICE_BOUND), slice=place.title, reason=reason,
        params={**params, "bound": SLICE_BOUND},
        evidence={"real": sizes[0], "synthetic": sizes[1], "wrong": number},
    )  # fmt: skip


def _wrong_labels(checked: Checked, result: Estimate) -> tuple[int, int, int]:
    """How many of the checked labels are wrong: value, low, high."""
    m = checked.hits[1].size
    return round(max(result.value, 0.0) * m), round(max(result.low, 0.0) * m), round(max(result.high, 0.0) * m)


def _sentence(judged: JudgedLabels, evidence: dict[str, Json], wrong: tuple[int, int, int], bound: float) -> str:
    target, checked = judged.real.known_target.name, evidence["checked"]
    lead = f"Of {checked:,} synthetic {target} labels that models of the real rows can check"
    if evidence["pattern"] == "none found":
        return f"{lead}, none are certainly wrong (at most {wrong[2]:,}); {bound:.1%} is tolerated."
    how = {
        "random": "they are spread evenly",
        "clustered": f"they pile up in {evidence.get('concentrated_in')}",
        "one-directional": f"nearly all where {evidence.get('leading')}" if judged.names else
        f"nearly all {evidence.get('leading')}",
    }[str(evidence["pattern"])]  # fmt: skip
    precision = evidence.get("wrong_share_of_flagged")
    text = f"{lead}, about {wrong[0]:,} are wrong ({wrong[1]:,} to {wrong[2]:,}); {how}."
    if isinstance(precision, list):
        text += f" {evidence['flagged']:,} rows are flagged for review; about {precision[0]:.0%} of them are wrong."
    return f"{text} {bound:.1%} is tolerated."
