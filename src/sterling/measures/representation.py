"""Whether every declared group has its share of the synthetic rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from sterling.kernel.estimate import Estimate, Unmeasured
from sterling.kernel.finding import Finding, Json, Status
from sterling.kernel.protocols import Terms, measure
from sterling.kernel.view import Need, View
from sterling.stats.bounds import holm, status_of, tarone_alpha
from sterling.stats.groups import Group, declared_groups
from sterling.stats.proportions import ratio_above_p, ratio_below_p, ratio_bounds

if TYPE_CHECKING:
    from sterling.kernel.view import AnyArray, Bools, Floats, Ints

# The four-fifths rule: 29 CFR 1607.4(D), Uniform Guidelines on Employee Selection Procedures, 1978.
BOUND = 0.8
LEAST_COUNT = 8
LEAST_ROWS = 30
# Groups of at least this share must be shown to keep it, however few their rows.
COMMON_SHARE = 0.05
# One group that keeps its share says nothing of the others.
LEAST_TELLING = 2
MOST_SHOWN = 50


@dataclass(frozen=True, slots=True, eq=False)
class _Scan:
    """All groups with what was found of each.

    Args:
        groups: single ones, then intersections.
        real: [g] real rows.
        synthetic: [g] synthetic rows.
        sizes: rows of each set.
        spend: [g] error of the bounds of each group's ratio, each side.
        failing: [g] True where the ratio is certainly out of bounds.
    """

    groups: tuple[Group, ...]
    real: Ints
    synthetic: Ints
    sizes: tuple[int, int]
    spend: Floats
    failing: Bools

    @property
    def ratios(self) -> Floats:
        """[g] synthetic share over real share."""
        return (self.synthetic / self.sizes[1]) / (self.real / self.sizes[0])

    def bounds(self, rows: AnyArray, alpha: Floats | float) -> tuple[Floats, Floats]:
        """Lower and upper bounds of the ratios of these groups, each side with error alpha."""
        j, k = self.synthetic[rows], self.real[rows]
        ends = [ratio_bounds([a], self.sizes[1], [b], self.sizes[0], alpha=float(s))
                for a, b, s in zip(j, k, np.broadcast_to(alpha, j.shape), strict=True)]  # fmt: skip
        return np.array([float(e[0][0]) for e in ends]), np.array([float(e[1][0]) for e in ends])


@measure(Need.GROUPS, title="Share that each declared group keeps", better="higher", family="bias")
def representation(
    real: View, synthetic: View, *, holdout: View | None, rng: np.random.Generator, terms: Terms
) -> tuple[Finding, ...]:
    """Ratio of a group's share among the synthetic rows to its share among the real rows, or the inverse.

    Groups are the levels of the declared columns (a number by its quartiles, missing cells too) and the
    intersections of two columns, each with at least 8 real rows. They have their own few hypotheses:
    half of `alpha` goes to single groups, half to intersections, and each half to both directions.
    A group fails when its ratio is certainly below the bound, or certainly above the bound's inverse. To
    pass, every group of rows enough must be shown to be within: each that would be at exactly its share,
    and each level of 5 % and more.

    Args:
        real: train rows.
        synthetic: the rows to be judged.
        holdout: not used.
        rng: not used; nothing is sampled.
        terms: `bound` is the smallest tolerable ratio of the smaller share to the larger, default .8.

    Returns:
        The smaller share over the larger, 0 (gone, or without limit too frequent) to 1 (as in the real
        rows); larger is better. First the worst group, then one finding for each group that fails.

    Source: four-fifths rule, 29 CFR 1607.4(D); conditional binomial test (Przyborowski & Wilenski 1940);
        Tarone 1990 and Holm 1979 for the correction.
    """
    bound = BOUND if terms.bound is None else terms.bound
    params: dict[str, Json] = {"bound": bound, "alpha": terms.alpha, "n_real": real.n, "n_synthetic": synthetic.n}
    groups = declared_groups(real, synthetic, least=LEAST_COUNT) if min(real.n, synthetic.n) >= LEAST_ROWS else ()
    if not groups:
        few = Unmeasured(
            f"no declared group has {LEAST_COUNT} of {real.n:,} real rows, beside {synthetic.n:,} synthetic ones",
            mend=f"give at least {LEAST_ROWS} rows of each, and groups of at least {LEAST_COUNT} real rows",
        )
        return (Finding("representation", few, "higher", Status.UNMEASURED, reason=few.reason, params=params),)
    scan = _scan(groups, (real.n, synthetic.n), bound, terms)
    params |= {"groups": len(groups)}
    failing = sorted(np.flatnonzero(scan.failing).tolist(), key=lambda g: (groups[g].crossed, _fold(scan.ratios[g])))
    return (_whole(scan, failing, bound, terms, params), *(_one(scan, g, bound, terms, params) for g in failing))


def _scan(groups: tuple[Group, ...], sizes: tuple[int, int], bound: float, terms: Terms) -> _Scan:
    (n, m), counts = sizes, np.array([g.sizes for g in groups], dtype=np.int64)
    crossed = np.array([g.crossed for g in groups])
    families = [rows for rows in (np.flatnonzero(~crossed), np.flatnonzero(crossed)) if rows.size]
    spend, failing = np.empty(len(groups)), np.zeros(len(groups), dtype=bool)
    for rows in families:
        k, j = counts[rows, 0], counts[rows, 1]
        share, none = terms.alpha / len(families) / 2, np.zeros(rows.size)
        below = ratio_below_p(j, m, k, n, ratio=bound), ratio_below_p(none, m, j + k, n, ratio=bound)
        above = ratio_above_p(j, m, k, n, ratio=1 / bound), ratio_above_p(j + k, m, none, n, ratio=1 / bound)
        each = [tarone_alpha(least, alpha=share) for _, least in (below, above)]
        for (p, least), a in zip((below, above), each, strict=True):
            can = np.flatnonzero(least <= a)
            failing[rows[can]] |= holm(p[can], alpha=share)
        spend[rows] = min(each)
    return _Scan(groups, counts[:, 0], counts[:, 1], sizes, spend, failing)


def _fold(ratio: float) -> float:
    """The smaller share over the larger."""
    return min(ratio, 1 / ratio) if ratio > 0 else 0.0


def _folded(low: float, high: float) -> tuple[float, float]:
    ends = sorted((_fold(low), _fold(high) if np.isfinite(high) else 0.0))
    return ends[0], 1.0 if low <= 1 <= high else ends[1]


def _estimate(scan: _Scan, g: int, alpha: float, how: str) -> Estimate:
    low, high = (float(x[0]) for x in scan.bounds(np.array([g]), alpha))
    n = int(scan.real[g] + scan.synthetic[g])
    level = round(1 - 2 * alpha, 12)  # each side has error alpha; .95 must come out as .95
    return Estimate(_fold(float(scan.ratios[g])), *_folded(low, high), n, level, f"conditional binomial, {how}")


def _whole(scan: _Scan, failing: Sequence[int], bound: float, terms: Terms, params: dict[str, Json]) -> Finding:
    side = (1 - terms.level) / 2
    if failing:
        worst = min(failing, key=lambda g: _fold(scan.ratios[g]))
        result = _estimate(scan, worst, scan.spend[worst], f"corrected for {len(scan.groups)} groups")
        status, telling = Status.FAIL, len(scan.groups)
    else:
        needed = _telling(scan, bound, side)
        worst, low = _least_sure(scan, needed if needed.size else np.arange(len(scan.groups)), side)
        # That *every* one of them keeps its share needs no correction: the truly worst one is one group.
        result, telling = _estimate(scan, worst, side, "one group"), int(needed.size)
        within = status_of(low, max(result.high, bound), bound, better="higher")
        status = within if telling >= LEAST_TELLING else Status.UNDECIDED
    return Finding(
        "representation", result, "higher", status, reason=_sentence(scan, failing, worst, telling, bound),
        params=params | {"groups_with_rows_enough": telling},
        evidence={"groups": _table(scan), "groups_left_out": max(0, len(scan.groups) - MOST_SHOWN)},
    )  # fmt: skip


def _telling(scan: _Scan, bound: float, side: float) -> Ints:
    """The groups that must be shown to keep their share: those that would clear the bound at exactly theirs.

    Common levels are among them even where they have too few rows: they leave it open.
    """
    same = np.round(scan.real * (scan.sizes[1] / scan.sizes[0])).astype(np.int64)
    ends = replace(scan, synthetic=same).bounds(np.arange(len(scan.groups)), side)
    could = np.array([_folded(low, high)[0] >= bound for low, high in zip(*ends, strict=True)])
    if not could.any():
        return np.empty(0, dtype=np.int64)
    single = np.array([not g.crossed for g in scan.groups])
    return np.flatnonzero(could | (single & (scan.real >= COMMON_SHARE * scan.sizes[0])))


def _least_sure(scan: _Scan, rows: Ints, side: float) -> tuple[int, float]:
    """Of these groups the one with the lowest lower end."""
    lows = [_folded(a, b)[0] for a, b in zip(*scan.bounds(rows, side), strict=True)]
    at = int(np.argmin(lows))
    return int(rows[at]), float(lows[at])


def _one(scan: _Scan, g: int, bound: float, terms: Terms, params: dict[str, Json]) -> Finding:
    result = _estimate(scan, g, scan.spend[g], f"corrected for {len(scan.groups)} groups")
    return Finding(
        "representation", result, "higher", Status.FAIL, slice=scan.groups[g].name,
        reason=_words(scan, g, bound), params=params, evidence=_row(scan, g),
    )  # fmt: skip


def _words(scan: _Scan, g: int, bound: float) -> str:
    ratio = float(scan.ratios[g])
    expected = scan.real[g] / scan.sizes[0] * scan.sizes[1]
    return (
        f"{scan.groups[g].name} has {int(scan.synthetic[g]):,} of {scan.sizes[1]:,} synthetic rows, where "
        f"{expected:,.0f} would match its share of the real rows: {ratio:.2f} times its share, "
        f"and {bound:g} to {1 / bound:g} is tolerated."
    )


def _sentence(scan: _Scan, failing: Sequence[int], worst: int, telling: int, bound: float) -> str:
    if failing:
        more = f" {len(failing)} of {len(scan.groups)} groups are out of bounds." if len(failing) > 1 else ""
        return _words(scan, worst, bound) + more
    shown = f"{telling} have rows enough to tell" if telling else "none has rows enough to tell"
    return (
        f"None of {len(scan.groups)} declared groups and intersections is shown to have less than {bound:g} or more "
        f"than {1 / bound:g} times its share; {shown}. The least sure is {scan.groups[worst].name}, with "
        f"{scan.ratios[worst]:.2f} times."
    )


def _row(scan: _Scan, g: int) -> dict[str, Json]:
    return {
        "group": scan.groups[g].name,
        "real": int(scan.real[g]),
        "synthetic": int(scan.synthetic[g]),
        "ratio": float(scan.ratios[g]),
        "fails": bool(scan.failing[g]),
    }


def _table(scan: _Scan) -> list[Json]:
    order = sorted(range(len(scan.groups)), key=lambda g: _fold(scan.ratios[g]))
    return [_row(scan, g) for g in order[:MOST_SHOWN]]
