"""Whether descriptions learnt from the synthetic rows fit exactly one training row more often than one stranger."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from sterling.kernel.estimate import Estimate, Unmeasured
from sterling.kernel.finding import Finding, Json, Status
from sterling.kernel.protocols import Terms, measure
from sterling.kernel.schema import Role
from sterling.kernel.view import Column, Need, View
from sterling.stats.attacks import LEAST_ROWS, MOST_COLUMNS, Risk, taken
from sterling.stats.bounds import status_of
from sterling.stats.predicates import Matches, of_one_column, of_several_columns

if TYPE_CHECKING:
    from sterling.kernel.view import Ints

BOUND = 0.05
LEAST_PREDICATES = 30
PREDICATES = {"full": 10_000, "fast": 3_000}
ONE_COLUMN = {"full": 1_000, "fast": 500}
# Rows looked at on each side; training rows are taken in groups as large as the holdout, so many at most.
ROWS = {"full": 25_000, "fast": 10_000}
MOST_GROUPS = 4
MOST_SHOWN = 10


@measure(
    Need.COLUMNS,
    Need.HOLDOUT,
    title="Training rows that descriptions from the synthetic rows single out",
    better="lower",
    floor=False,
    family="privacy",
)
def singling_out(
    real: View, synthetic: View, *, holdout: View | None, rng: np.random.Generator, terms: Terms
) -> tuple[Finding, ...]:
    """How often a description that fits one synthetic row fits exactly one training row, beyond chance.

    Descriptions are learnt from the synthetic rows alone: values that only one of them has, the ends of
    a range, and conjunctions over up to 8 columns that fit one of them. Each is tried on groups of training rows and on
    the holdout, all equally large, for how many people a description fits hangs on how many there are. Where the
    holdout is smaller than the training set, somebody who is given away is in a group with that chance
    only, and the risk is multiplied by the ratio of the sizes.

    Args:
        real: train rows.
        synthetic: the rows to be judged.
        holdout: real rows that the generator certainly did not see.
        rng: draws descriptions and groups.
        terms: `bound` is the largest tolerable risk, default .05; `alpha` is halved between all
            descriptions and those of one column.

    Returns:
        (attack - control) / (1 - control); 0 is ideal, smaller is better. A second finding,
        `descriptions=one column`, where those of one column fail by themselves.

    Source: singling out with a control group, Giomi et al. 2022, arXiv:2211.10459; Cohen & Nissim 2020
        (predicate singling out). Descriptions, group correction and interval are ours.
    """
    bound = BOUND if terms.bound is None else terms.bound
    params: dict[str, Json] = {"bound": bound, "alpha": terms.alpha}
    unseen = 0 if holdout is None else holdout.n
    few = f"{real.n:,} train, {unseen:,} unseen and {synthetic.n:,} synthetic rows are too few to attack"
    mend = f"give at least {LEAST_ROWS} of each, of several columns that vary"
    if holdout is None or min(real.n, unseen, synthetic.n) < LEAST_ROWS:
        return _unmeasured(params, few, mend)
    published, groups, order = _groups(real, synthetic, holdout, terms, rng=rng)
    one = of_one_column(published, groups, most=ONE_COLUMN[terms.effort], rng=rng)
    several = of_several_columns(published, groups, most=PREDICATES[terms.effort], rng=rng)
    found = one.size + several.size
    if found < LEAST_PREDICATES:
        return _unmeasured(params, f"only {found} descriptions fit exactly one synthetic row", mend)
    size = groups[0][0].values.size
    scale = real.n / size
    params |= {"group_rows": size, "groups": len(groups) - 1, "descriptions": found, "scale": scale}
    searched = published[0].values.size
    params |= {"searched": searched}
    whole = _finding((one, several), scale, bound, terms, params, order, size)
    if searched < synthetic.n:
        whole = replace(whole, reason=f"{whole.reason} {searched:,} of {synthetic.n:,} synthetic rows were described.")
    if one.size < LEAST_PREDICATES:
        return (whole,)
    single = replace(_finding((one,), scale, bound, terms, params, order, size), slice="descriptions=one column")
    shown: dict[str, Json] = {"one_column": {k: v for k, v in single.evidence.items() if k != "examples"}}
    whole = replace(whole, evidence={**whole.evidence, **shown})
    if single.status is not Status.FAIL:
        return (whole,)
    both = whole.reason if whole.status is Status.FAIL else f"{whole.reason} {single.reason}"
    return replace(whole, status=Status.FAIL, reason=both), single


def _unmeasured(params: dict[str, Json], reason: str, mend: str) -> tuple[Finding, ...]:
    why = Unmeasured(reason, mend)
    return (Finding("singling_out", why, "lower", Status.UNMEASURED, reason=reason, params=params),)


def _groups(
    real: View, synthetic: View, holdout: View, terms: Terms, *, rng: np.random.Generator
) -> tuple[tuple[Column, ...], list[tuple[Column, ...]], Ints]:
    """Synthetic columns; the holdout and groups of training rows of its size; the training rows in group order."""
    chosen = [i for i, c in enumerate(real.columns or ()) if c.role is not Role.WEIGHT]
    if len(chosen) > MOST_COLUMNS:
        chosen = sorted(int(i) for i in rng.permutation(chosen)[:MOST_COLUMNS])
    views = [[(v.columns or ())[i] for i in chosen] for v in (real, synthetic, holdout)]
    most = ROWS[terms.effort]
    size = min(real.n, holdout.n, most)
    order = rng.permutation(real.n)
    train = [
        taken(views[0], order[at : at + size])
        for at in range(0, min(MOST_GROUPS * size, real.n - size + 1), size)
    ]  # fmt: skip
    published = taken(views[1], np.sort(rng.permutation(synthetic.n)[:most]))
    return published, [taken(views[2], rng.permutation(holdout.n)[:size]), *train], order


def _finding(
    kinds: tuple[Matches, ...],
    scale: float,
    bound: float,
    terms: Terms,
    params: dict[str, Json],
    order: Ints,
    size: int,
) -> Finding:
    alone = np.concatenate([m.counts == 1 for m in kinds])
    groups = alone.shape[1] - 1
    # Given the descriptions, tries of one on disjoint groups are independent, with its own chance p of a hit. The sum
    # of p (1 - p) over all tries is at most what one common p gives, for p (1 - p) is concave: a binomial count of
    # descriptions times groups is no less spread than the hits are. The control is judged given the same ones.
    risk = Risk(int(alone[:, 1:].sum()), alone[:, 1:].size, int(alone[:, 0].sum()), alone.shape[0], scale)
    low, high = risk.bounds(alpha=(1 - terms.level) / 2)
    at_least = risk.bounds(alpha=terms.alpha / 2)[0]
    method = "square-and-add of exact limits" + (f", scaled by {scale:.3g}" if scale > 1 else "")
    result = Estimate(risk.value, min(low, risk.value), max(high, risk.value), alone.shape[0], terms.level, method)
    status = Status.FAIL if at_least > bound else status_of(0.0, result.high, bound, better="lower")
    return Finding(
        "singling_out", result, "lower", status, reason=_sentence(risk, alone.shape[0], size, bound), params=params,
        evidence={"at_least": at_least, "singled_out": risk.hits / groups, "control_singled_out": risk.control_hits,
                  "descriptions": alone.shape[0], "examples": _examples(kinds, order, size)},
    )  # fmt: skip


def _sentence(risk: Risk, descriptions: int, size: int, bound: float) -> str:
    hits, control = risk.per_thousand()
    scaled = (
        f", {risk.scale:.3g} times as much as the groups show for each holds a part of them" if risk.scale > 1 else ""
    )
    return (
        f"Of 1,000 descriptions that fit one synthetic row, {hits:,} fit exactly one of {size:,} training rows, and "
        f"{control:,} exactly one of {size:,} people who were never in the data; {descriptions:,} were tried. "
        f"The risk for all training rows is {risk.value:.3f}{scaled}; {bound:g} is tolerated."
    )


def _examples(kinds: tuple[Matches, ...], order: Ints, size: int) -> list[Json]:
    """Training rows that were singled out while no stranger fitted; positions and columns, no values."""
    shown: list[Json] = []
    for m in kinds:
        lone = (m.counts[:, 1:] == 1) & (m.counts[:, :1] == 0)
        for p, group in np.argwhere(lone)[: MOST_SHOWN // len(kinds)]:
            row = order[group * size + m.only[p, group + 1]]
            shown.append({"columns": list(m.columns[p]), "train_row": int(row)})
    return shown
