"""Whether the synthetic rows join two halves of a training row that were held apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sterling.kernel.estimate import Estimate, Unmeasured
from sterling.kernel.finding import Finding, Json, Status
from sterling.kernel.protocols import Terms, measure
from sterling.kernel.schema import Kind
from sterling.kernel.view import Column, Need, View
from sterling.stats.attacks import LEAST_ROWS, Arms, Risk, arms
from sterling.stats.bounds import status_of
from sterling.stats.neighbours import nearest, query_side, rank_scales, ranks, reference_side

if TYPE_CHECKING:
    from sterling.kernel.view import AnyArray, Bools, Floats, Ints

BOUND = 0.05
# The other half is to be picked among this many: the right one and those of strangers.
CANDIDATES = 50
MOST_SHOWN = 10
# Distances that differ by less are a tie, and a coin decides.
TIE = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class _Linked:
    """What the attack came to.

    Args:
        right: [n + k] whether the right half was picked; members first.
        source: [n + k] the synthetic row that told.
        first: names of the columns in the half that was known.
        second: names of those in the half to be found.
        candidates: among how many it was to be picked.
    """

    right: Bools
    source: Ints
    first: tuple[str, ...]
    second: tuple[str, ...]
    candidates: int


@measure(
    Need.COLUMNS,
    Need.HOLDOUT,
    title="Halves of training rows that the synthetic rows link",
    better="lower",
    floor=False,
    family="privacy",
)
def linkability(
    real: View, synthetic: View, *, holdout: View | None, rng: np.random.Generator, terms: Terms
) -> tuple[Finding, ...]:
    """How often two halves of a row are linked through a synthetic row, beyond how often strangers' are.

    An attacker holds one list with half of the columns and another with the other half, without names. For a
    person of the first list he takes the nearest synthetic row by those columns, and picks among 50
    entries of the second, one of them the right one, the nearest to that synthetic row's other half. The same
    is done to holdout rows: what links their halves is how columns hang together in everybody.

    Args:
        real: train rows.
        synthetic: the rows to be judged.
        holdout: real rows that the generator certainly did not see.
        rng: draws whom to attack, which columns are held where, and the strangers.
        terms: `bound` is the largest tolerable risk, default .05.

    Returns:
        (attack - control) / (1 - control), -1 to 1; 0 is ideal, smaller is better.

    Source: linkability with a control group, Giomi et al. 2022, arXiv:2211.10459. The attack, by candidates,
        and its interval are ours.
    """
    bound = BOUND if terms.bound is None else terms.bound
    params: dict[str, Json] = {"bound": bound, "alpha": terms.alpha}
    unseen = 0 if holdout is None else holdout.n
    if holdout is None or min(real.n, unseen, synthetic.n) < LEAST_ROWS:
        return _unmeasured(
            params,
            f"{real.n:,} train, {unseen:,} unseen and {synthetic.n:,} synthetic rows are too few to attack",
            f"give at least {LEAST_ROWS} of each",
        )
    drawn = arms(real, synthetic, holdout, effort=terms.effort, rng=rng)
    if len(drawn.both) < 2:
        return _unmeasured(params, "one column has no halves to link", "give at least 2 columns")
    linked, n = _linked(drawn, rng=rng), drawn.n
    risk = Risk(int(linked.right[:n].sum()), n, int(linked.right[n:].sum()), drawn.k)
    low, high = risk.bounds(alpha=(1 - terms.level) / 2)
    at_least = risk.bounds(alpha=terms.alpha)[0]
    result = Estimate(
        risk.value, min(low, risk.value), max(high, risk.value), n + drawn.k, terms.level,
        "square-and-add of exact limits",
    )  # fmt: skip
    failed = at_least > bound
    found = Finding(
        "linkability", result, "lower",
        Status.FAIL if failed else status_of(0.0, result.high, bound, better="lower"),
        reason=_sentence(risk, linked, drawn, bound) + drawn.share_searched(synthetic),
        params={**params, "attacked": n, "control": drawn.k, "searched": drawn.published.n,
                "candidates": linked.candidates},
        # What chance would link of as many people as were attacked: the control group may be the smaller one.
        evidence={"at_least": at_least, "train_linked": risk.hits, "control_linked": risk.control_hits * n / drawn.k,
                  "tried": n, "control_hits": risk.control_hits, "control_tried": drawn.k,
                  **_examples(linked, drawn)},
    )  # fmt: skip
    return (found,)


def _unmeasured(params: dict[str, Json], reason: str, mend: str) -> tuple[Finding, ...]:
    why = Unmeasured(reason, mend)
    return (Finding("linkability", why, "lower", Status.UNMEASURED, reason=reason, params=params),)


def _linked(drawn: Arms, *, rng: np.random.Generator) -> _Linked:
    published = list(drawn.published.columns or ())
    both, n, k = drawn.both, drawn.n, drawn.k
    order = rng.permutation(len(both))
    first, second = np.sort(order[: (len(both) + 1) // 2]), np.sort(order[(len(both) + 1) // 2 :])
    scales = rank_scales(published)
    some = [scales[i] for i in first]
    source = nearest(query_side([both[i] for i in first], some), reference_side([published[i] for i in first], some))[1]
    candidates = min(CANDIDATES, k)
    # Strangers are others of the same group, fewer than k places further on: nobody meets himself.
    steps = 1 + np.stack([rng.permutation(k - 1)[: candidates - 1] for _ in range(8)])
    person = np.arange(n + k)
    size, first_of = np.where(person < n, n, k)[:, None], np.where(person < n, 0, n)[:, None]
    chosen = (person[:, None] - first_of + steps[rng.integers(8, size=n + k)]) % size + first_of
    chosen = np.concatenate([person[:, None], chosen], axis=1)  # [n + k, candidates], the right one first
    gap = np.zeros(chosen.shape)
    for i in second:
        gap += _gaps(both[i], published[i], scales[i], chosen, source)
    near = gap <= gap.min(axis=1, keepdims=True) + TIE
    right = near[:, 0] & (rng.random(n + k) < 1 / near.sum(axis=1))
    names = [tuple(both[i].name for i in half) for half in (first, second)]
    return _Linked(right, source, names[0], names[1], candidates)


def _gaps(people: Column, published: Column, scale: Floats | None, chosen: Ints, source: Ints) -> Floats:
    """[n + k, candidates] squared distances in one column between candidates and the synthetic row that was found."""
    a, b = people.missing[chosen], published.missing[source][:, None]
    if people.kind is Kind.CATEGORY or scale is None:
        far: AnyArray = people.values[chosen] != published.values[source][:, None]
        return far.astype(np.float64)
    apart = np.square(ranks(people.values, scale)[chosen] - ranks(published.values[source], scale)[:, None])
    return np.where(a | b, (a != b).astype(np.float64), apart)


def _sentence(risk: Risk, linked: _Linked, drawn: Arms, bound: float) -> str:
    hits, control = risk.per_thousand()
    return (
        f"An attacker who knows {len(linked.first)} columns of a person and must pick the other {len(linked.second)} "
        f"among {linked.candidates} people is right for {hits:,} of 1,000 training rows, and for {control:,} of 1,000 "
        f"people who were never in the data: a risk of {risk.value:.3f}, where {bound:g} is tolerated; "
        f"{drawn.attacked}."
    )


def _examples(linked: _Linked, drawn: Arms) -> dict[str, Json]:
    """Training rows whose halves were linked, with the rows that did; no values."""
    shown: list[Json] = [
        {"train_row": int(drawn.member_rows[i]), "synthetic_row": int(drawn.published_rows[linked.source[i]])}
        for i in np.flatnonzero(linked.right[: drawn.n])[:MOST_SHOWN]
    ]
    return {"known": list(linked.first), "linked": list(linked.second), "linked_rows": shown}
