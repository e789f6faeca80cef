"""Whether knowing the rest of a training row and the synthetic rows gives away its secret."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sterling.kernel.estimate import Estimate, Unmeasured
from sterling.kernel.finding import Finding, Json, Status
from sterling.kernel.protocols import Terms, measure
from sterling.kernel.schema import Kind, Role
from sterling.kernel.view import Column, Need, View
from sterling.stats.attacks import LEAST_ROWS, Arms, Risk, arms, strongest, within
from sterling.stats.bounds import status_of
from sterling.stats.neighbours import nearest, query_side, rank_scales, reference_side
from sterling.stats.small_codes import cells

if TYPE_CHECKING:
    from sterling.kernel.view import Bools, Floats, Ints

# One training row in twenty that gives its secret away beyond what could be guessed of anybody.
BOUND = 0.05
MOST_SECRETS = 8
# Secrets that share one search in wide tables: the attacker then knows all columns but these.
SHARED, COLUMNS_EACH = 2, 4
# A number is guessed right if its rank is off by at most this share of the synthetic rows.
TOLERANCE = 0.025
CODES = 20
MOST_SHOWN = 10


@dataclass(frozen=True, slots=True, eq=False)
class _Secret:
    """What came out for one secret column.

    Args:
        name: of the column.
        risk: hits and attempts in both groups.
        right: [n] members guessed right.
        source: [n] the synthetic row that each guess was taken from.
        kind: of the column.
    """

    name: str
    risk: Risk
    right: Bools
    source: Ints
    kind: Kind


@measure(
    Need.COLUMNS,
    Need.HOLDOUT,
    title="Secrets of training rows that the synthetic rows give away",
    better="lower",
    floor=False,
    family="privacy",
)
def attribute_inference(
    real: View, synthetic: View, *, holdout: View | None, rng: np.random.Generator, terms: Terms
) -> tuple[Finding, ...]:
    """How often a secret is guessed from the nearest synthetic row, beyond how often it is for strangers.

    An attacker knows a person but for some columns, takes the synthetic row that is nearest by the
    others, and guesses that row's value. The same is done to holdout rows. What is guessed right of
    them could be guessed of anybody: it is what the data are for, and no leak. Up to 8 secrets are tried: the
    target and those that are hardest to guess blindly, for there a hit says most. In tables of 8 columns
    and more, 2 are kept secret together.

    Args:
        real: train rows.
        synthetic: the rows to be judged.
        holdout: real rows that the generator certainly did not see.
        rng: draws whom to attack.
        terms: `bound` is the largest tolerable excess, default .05; `alpha` is shared by the secrets.

    Returns:
        attack - control of the worst secret, -1 to 1; 0 is ideal, smaller is better. It is not divided by
        1 - control, which no sample can tell from noise where most secrets can be guessed of anybody. Every
        secret that fails by itself has a finding of its own, `column=NAME`.

    Source: risk with a control group, Giomi et al. 2022, arXiv:2211.10459; Stadler et al. 2022,
        arXiv:2011.07018. The attack and its interval are ours.
    """
    bound = BOUND if terms.bound is None else terms.bound
    params: dict[str, Json] = {"bound": bound, "alpha": terms.alpha}
    unseen = 0 if holdout is None else holdout.n
    if holdout is None or not real.columns or min(real.n, unseen, synthetic.n) < LEAST_ROWS:
        return _unmeasured(
            params,
            f"{real.n:,} train, {unseen:,} unseen and {synthetic.n:,} synthetic rows are too few to attack",
            f"give at least {LEAST_ROWS} of each",
        )
    drawn = arms(real, synthetic, holdout, effort=terms.effort, searches=2.0, rng=rng)
    secrets = _attacked(drawn)
    if not secrets:
        return _unmeasured(params, "there is no column to guess from the others", "give at least 2 columns that vary")
    looks = len(secrets)
    at_least = [s.risk.excess_bounds(alpha=terms.alpha / looks)[0] for s in secrets]
    params |= {"attacked": drawn.n, "control": drawn.k, "searched": drawn.published.n, "secrets": looks}
    failing = [i for i in np.argsort(-np.array(at_least), kind="stable") if at_least[i] > bound]
    worst, side = secrets[strongest(at_least)], (1 - terms.level) / 2
    result = _estimate(worst, terms, looks=looks)
    # That *every* secret is safe needs no correction: the truly worst one is one secret.
    high = max(s.risk.excess_bounds(alpha=side)[1] for s in secrets)
    whole = Finding(
        "attribute_inference",
        Estimate(result.value, result.low, max(result.value, high), result.n, terms.level, result.method),
        "lower",
        Status.FAIL if failing else status_of(0.0, high, bound, better="lower"),
        reason=_sentence(worst, drawn, bound, looks) + drawn.share_searched(synthetic),
        params=params,
        evidence={"at_least": max(at_least), "secrets": _table(secrets, at_least), **_examples(worst, drawn)},
    )
    return (whole, *(_secret_finding(secrets[i], drawn, at_least[i], terms, params, bound, looks) for i in failing))


def _unmeasured(params: dict[str, Json], reason: str, mend: str) -> tuple[Finding, ...]:
    why = Unmeasured(reason, mend)
    return (Finding("attribute_inference", why, "lower", Status.UNMEASURED, reason=reason, params=params),)


def _attacked(drawn: Arms) -> list[_Secret]:
    published = drawn.published.columns or ()
    scales, chosen = rank_scales(published), _chosen(published)
    size = max(1, min(SHARED, len(published) // COLUMNS_EACH))
    found: list[_Secret] = []
    for start in range(0, len(chosen), size):
        hidden = chosen[start : start + size]
        known = [i for i in range(len(published)) if i not in hidden]
        if not known:
            continue
        there, here = [drawn.both[i] for i in known], [published[i] for i in known]
        some = [scales[i] for i in known]
        source = nearest(query_side(there, some), reference_side(here, some))[1]
        found += [s for i in hidden if (s := _guessed(drawn, i, scales[i], source)) is not None]
    return found


def _chosen(published: tuple[Column, ...]) -> list[int]:
    """The target and the columns that are hardest to guess blindly, judged by the synthetic rows alone."""
    blind: list[tuple[bool, float, int]] = []
    for i, column in enumerate(published):
        cut = cells(column, most=CODES)
        shares = np.bincount(cut.of(column)[~column.missing], minlength=cut.size) / max(1, column.values.size)
        if np.count_nonzero(shares) > 1:
            blind.append((column.role is not Role.TARGET, round(float(np.square(shares).sum()), 12), i))
    return [i for *_, i in sorted(blind)[:MOST_SECRETS]]


def _guessed(drawn: Arms, i: int, scale: Floats | None, source: Ints) -> _Secret | None:
    truth, there = drawn.both[i], (drawn.published.columns or ())[i]
    right = within(truth, there.values[source], scale=scale, tolerance=TOLERANCE)
    n, known = drawn.n, ~truth.missing
    tried, control = int(known[:n].sum()), int(known[n:].sum())
    if min(tried, control) < LEAST_ROWS:
        return None
    risk = Risk(int(right[:n].sum()), tried, int(right[n:].sum()), control)
    return _Secret(truth.name, risk, right[:n], source[:n], truth.kind)


def _estimate(secret: _Secret, terms: Terms, *, looks: int) -> Estimate:
    low, high = secret.risk.excess_bounds(alpha=(1 - terms.level) / 2 / looks)
    value = secret.risk.excess
    method = f"square-and-add of exact limits, {looks} secrets"
    return Estimate(value, min(low, value), max(high, value), secret.risk.n + secret.risk.m, terms.level, method)


def _sentence(secret: _Secret, drawn: Arms, bound: float, looks: int) -> str:
    hits, control = secret.risk.per_thousand()
    right = "to within a twentieth of the people" if secret.kind is not Kind.CATEGORY else "right"
    return (
        f"An attacker who takes {secret.name} from the synthetic row nearest to what he knows of a person guesses it "
        f"{right} for {hits:,} of 1,000 training rows, and for {control:,} of 1,000 people who were never in the data: "
        f"an excess of {secret.risk.excess:.3f}, the worst of {looks} secrets, where {bound:g} is tolerated; "
        f"{drawn.attacked}."
    )


def _table(secrets: list[_Secret], at_least: list[float]) -> list[Json]:
    return [
        {
            "column": s.name, "train_right": s.risk.hits, "train_tried": s.risk.n, "control_right": s.risk.control_hits,
            "control_tried": s.risk.m, "excess": s.risk.excess, "risk": s.risk.value, "at_least": low,
        }
        for s, low in zip(secrets, at_least, strict=True)
    ]  # fmt: skip


def _examples(secret: _Secret, drawn: Arms) -> dict[str, Json]:
    """Training rows of which the secret was guessed, with the rows that told it; no values."""
    told: list[Json] = [
        {
            "column": secret.name,
            "train_row": int(drawn.member_rows[i]),
            "synthetic_row": int(drawn.published_rows[secret.source[i]]),
        }
        for i in np.flatnonzero(secret.right)[:MOST_SHOWN]
    ]
    return {"guessed": told}


def _secret_finding(
    secret: _Secret, drawn: Arms, at_least: float, terms: Terms, params: dict[str, Json], bound: float, looks: int
) -> Finding:
    result = _estimate(secret, terms, looks=looks)
    return Finding(
        "attribute_inference", result, "lower", Status.FAIL, slice=f"column={secret.name}", params=params,
        reason=_sentence(secret, drawn, bound, looks), evidence={"at_least": at_least, **_examples(secret, drawn)},
    )  # fmt: skip
