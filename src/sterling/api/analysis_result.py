"""What the user's analyses come to: a finding, a table of estimates and a picture for each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sterling.api.analysis_fits import WHAT, Outcome, Plan, Scale
from sterling.kernel.estimate import Estimate, Unmeasured
from sterling.kernel.finding import Finding, Json, Status
from sterling.kernel.table import Table
from sterling.stats.bounds import normal_quantile
from sterling.stats.regression import Fit
from sterling.stats.same_conclusions import Agreement

if TYPE_CHECKING:
    from sterling.kernel.view import Bools, Floats
    from sterling.study import Analysis

LEVEL = 0.95
MEASURE = "analysis_overlap"
# Estimates that a picture has room for.
MOST_DRAWN = 24


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """One analysis on real rows and on one candidate's.

    Args:
        plan: the analysis.
        real: what it gave on the real rows.
        made: on each synthetic set of the candidate.
        both: [labels] the estimates that all have.
        lost: [labels] those that the real rows have and the synthetic have not.
        agree: the agreement of both.
        base: the real estimates of both.
        mean: the synthetic ones.
        population: standard errors for the population, from synthetic rows alone.
        floor: mean overlap of two real samples.
    """

    plan: Plan
    real: Outcome
    made: tuple[Outcome, ...]
    both: Bools
    lost: Bools
    agree: Agreement
    base: Fit
    mean: Fit
    population: Floats
    floor: Estimate | None

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the estimates of both."""
        return tuple(label for label, has in zip(self.plan.labels, self.both, strict=True) if has)

    @property
    def missing(self) -> tuple[str, ...]:
        """Names of the estimates that the synthetic rows do not give."""
        return tuple(label for label, has in zip(self.plan.labels, self.lost, strict=True) if has)


def unmeasured(spec: Analysis, why: Unmeasured, candidate: str, bound: float) -> Finding:
    """An analysis that could not be run."""
    return Finding(
        MEASURE, why, "higher", Status.UNMEASURED, slice=f"analysis={spec.title}", candidate=candidate,
        reason=why.reason, params={"bound": bound},
    )  # fmt: skip


def finding_of(answer: Answer, candidate: str, bound: float) -> Finding:
    """Mean overlap of an analysis' intervals; an estimate that the synthetic rows do not give overlaps by 0."""
    agree, gone = answer.agree, len(answer.missing)
    share = agree.overlap.size / (agree.overlap.size + gone)
    value = agree.mean * share
    half = normal_quantile((1 - LEVEL) / 2) * agree.spread * share
    low, high = max(0.0, value - half), min(1.0, value + half)
    rows = answer.real.rows + sum(m.rows for m in answer.made)
    # The interval of the mean knows nothing of the real rows' own error: what lies below the bound may be chance.
    surely = bool((agree.beyond > 0).any())
    status = Status.FAIL if surely else Status.PASS if low >= bound else Status.UNDECIDED
    result = Estimate(value, low, high, rows, LEVEL, "interval overlap; delta method over draws of synthetic rows")
    return Finding(
        MEASURE, result, "higher", status, slice=f"analysis={answer.plan.spec.title}", candidate=candidate,
        floor=answer.floor, reason=_sentence(answer), params={"bound": bound, "rows": _rows(answer)},
        evidence={"names_levels": True, "estimates": [*_lines(answer)], "references": {**answer.plan.terms.references},
                  "event": answer.plan.event, "tests": [answer.real.said, *(m.said for m in answer.made)]},
    )  # fmt: skip


def _rows(answer: Answer) -> dict[str, Json]:
    made: list[Json] = [m.rows for m in answer.made]
    left: list[Json] = [m.asked - m.rows for m in answer.made]
    return {
        "real": answer.real.rows, "synthetic": made, "real_incomplete": answer.real.asked - answer.real.rows,
        "synthetic_incomplete": left,
    }  # fmt: skip


def _sentence(answer: Answer) -> str:
    agree, k = answer.agree, answer.agree.overlap.size
    signs = agreed_signs(answer)
    what = WHAT[answer.plan.spec.kind]
    parts = [f"Of {k:,} {what}, the intervals overlap by {agree.mean:.2f} on average"]
    if answer.floor is not None:
        parts[0] += f"; those of two real samples of {answer.floor.n:,} rows, by {answer.floor.value:.2f}"
    if signs is not None:
        same = int(signs[0].sum()), int(signs[1].sum())
        parts.append(f"{same[0]:,} have the same sign, and {same[1]:,} are significant, or not, in both")
    worst = int(np.argmax(np.abs(agree.shift)))
    parts.append(
        f"The largest shift is that of {answer.labels[worst]}: {abs(agree.shift[worst]):.1f} standard errors of the "
        "real estimate"
    )
    sure = [label for label, far in zip(answer.labels, agree.beyond, strict=True) if far > 0]
    if sure:
        parts.append(f"Beyond chance and the bound: {', '.join(sure[:3])}{'' if len(sure) < 4 else ' and more'}")
    if answer.missing:
        parts.append(f"The synthetic rows give no estimate of {', '.join(answer.missing[:3])}")
    lost = answer.real.asked - answer.real.rows, sum(m.asked - m.rows for m in answer.made)
    if any(lost):
        left = f"{lost[0]:,} real, {lost[1]:,} synthetic"
        parts.append(f"Rows with an empty cell, or a level that no real row has, were left out: {left}")
    if answer.real.said and answer.made[0].said:
        parts.append(f"Test of all groups: {answer.real.said} on real rows, {answer.made[0].said} on synthetic")
    return ". ".join(parts) + "."


def agreed_signs(answer: Answer) -> tuple[Bools, Bools] | None:
    """[k] whether signs agree, and whether significance does; None for shares, which have no sign."""
    if answer.plan.scale == "share":
        return None
    agree = answer.agree
    same = np.sign(answer.base.values) == np.sign(answer.mean.values)
    return same, agree.significant(agree.first) == agree.significant(agree.second)


def estimates_table(answer: Answer, candidate: str | None) -> Table:
    """Every estimate with its interval on both sides."""
    spec, agree, made = answer.plan.spec, answer.agree, sum(m.rows for m in answer.made)
    whose = f" of {candidate}" if candidate else ""
    event = f" for {spec.outcome or spec.status}={answer.plan.event}" if answer.plan.event else ""
    held = "; ".join(f"{name} against {level}" for name, level in answer.plan.terms.references.items())
    rows = [
        (line["estimate"], _span(line, "real"), _span(line, "synthetic"), line["overlap"],
         f"{agree.shift[i]:+.1f}", line["same"])
        for i, line in enumerate(_lines(answer))
    ]  # fmt: skip
    rows += [(label, "", "none: no such rows", 0.0, "", "no") for label in answer.missing]
    return Table(
        f"{spec.title}{whose}: {WHAT[spec.kind]}{event}",
        ("estimate", "real", "synthetic", "overlap", "shift", "same"),
        tuple(rows),
        note=f"{answer.real.rows:,} real and {made:,} synthetic rows, 95 % intervals. Shift: synthetic less real, in "
        f"standard errors of the real one. Same: sign and significance.{f' Held against: {held}.' if held else ''}",
        owner_only=True,
    )


def _lines(answer: Answer) -> list[dict[str, Json]]:
    agree, scale, signs = answer.agree, answer.plan.scale, agreed_signs(answer)
    wide = normal_quantile((1 - LEVEL) / 2)
    lines: list[dict[str, Json]] = []
    for i, label in enumerate(answer.labels):
        middle, error = float(answer.mean.values[i]), float(answer.population[i])
        lines.append(
            {
                "estimate": label,
                "real": _shown(scale, float(answer.base.values[i]), *agree.first[:, i]),
                "synthetic": _shown(scale, middle, *agree.second[:, i]),
                "population": _shown(scale, middle, middle - wide * error, middle + wide * error),
                "overlap": round(float(agree.overlap[i]), 3),
                "shift": round(float(agree.shift[i]), 2),
                "same": "" if signs is None else _same(bool(signs[0][i]), bool(signs[1][i])),
                "beyond": bool(agree.beyond[i] > 0),
            }
        )
    return lines


def _same(sign: bool, significance: bool) -> str:  # noqa: FBT001
    return "yes" if sign and significance else "sign only" if sign else "significance only" if significance else "no"


def _shown(scale: Scale, value: float, low: float, high: float) -> list[Json]:
    """Value and interval as people read them: ratios, or shares from the scale log(-log S)."""
    ends = [value, float(low), float(high)]
    if scale == "ratio":
        ends = [float(np.exp(min(e, 700.0))) for e in ends]
    elif scale == "share":
        ends = [float(np.exp(-np.exp(min(e, 700.0)))) for e in (value, high, low)]
    return [*ends]


def _span(line: dict[str, Json], side: str) -> str:
    found = line[side]
    value, low, high = (float(str(v)) for v in found) if isinstance(found, list) else (np.nan,) * 3
    return f"{value:.3g} [{low:.3g}, {high:.3g}]"


def estimates_picture(answers: Sequence[Answer]) -> dict[str, Json] | None:
    """Every estimate on a scale of its own: the real interval is one band for all."""
    panels: list[Json] = []
    left = MOST_DRAWN
    for answer in answers:
        agree, lines = answer.agree, _lines(answer)
        middle, half = agree.first.mean(axis=0), np.maximum(np.ptp(agree.first, axis=0) / 2, 1e-300)
        rows: list[Json] = []
        for i, line in enumerate(lines[: max(0, left)]):
            ends = [(float(e) - middle[i]) / half[i] for e in (answer.mean.values[i], *agree.second[:, i])]
            none = None if answer.plan.scale == "share" else float(-middle[i] / half[i])
            rows.append(
                {"label": line["estimate"], "at": [*(round(e, 4) for e in ends)], "none": none,
                 "real": line["real"], "synthetic": line["synthetic"], "beyond": line["beyond"]}
            )  # fmt: skip
        left -= len(rows)
        if rows:
            spec = answer.plan.spec
            panels.append({"title": f"{spec.title}: {WHAT[spec.kind]}", "rows": rows})
    return {"kind": "estimates", "owner_only": True, "panels": panels} if panels else None
