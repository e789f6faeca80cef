"""Whether every slice of the real data has its share of the synthetic data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from sterling.kernel.estimate import Estimate, Unmeasured
from sterling.kernel.finding import Finding, Json, Status
from sterling.kernel.protocols import Terms, measure
from sterling.kernel.schema import Role
from sterling.kernel.view import Need, View
from sterling.stats.bounds import status_of, tarone_alpha
from sterling.stats.proportions import ratio_above_p, ratio_below_p, ratio_bounds
from sterling.stats.slices import Cut, Slices, choose_pairs, count_one_way, count_pairs, cut_column, joined, members

if TYPE_CHECKING:
    from sterling.kernel.view import AnyArray, Floats

BOUND = 0.8
LEAST_COUNT = 8
LEAST_ROWS = 30
BINS, PAIR_BINS = 10, 4
MOST_LEVELS, PAIR_LEVELS = 10_000, 64
MOST_PAIRS = 600
MOST_FINDINGS = 10
# Failing slices that are asked whether another one explains them.
MOST_CANDIDATES = 60
# Slices of at least this share must be shown to be there; of rarer ones it is enough that nothing speaks against them.
COMMON_SHARE = 0.05


@dataclass(frozen=True, slots=True, eq=False)
class _Cuts:
    """All cuts, and where the rows of both sets fall.

    Args:
        cuts: [2 d]: per column the fine cut, then per column the coarse one, which pairs use.
        real: per cut, [n] slices.
        synthetic: per cut, [m] slices.
        numbers: [d] which columns are cut by quantiles.
    """

    cuts: list[Cut]
    real: list[AnyArray]
    synthetic: list[AnyArray]
    numbers: list[bool]

    @property
    def names(self) -> list[str]:
        """[d] of the columns."""
        return [c.name for c in self.cuts[: len(self.numbers)]]

    def pair(self, i: int, j: int) -> tuple[int, int]:
        """The cuts that a pair of columns uses: a number beside a category is cut finely, two numbers coarsely."""
        d, both = len(self.numbers), self.numbers[i] and self.numbers[j]
        a, b = (k if self.numbers[k] and not both else d + k for k in (i, j))
        return a, b


@dataclass(frozen=True, slots=True, eq=False)
class _Scan:
    """All slices with what was found of each.

    Args:
        slices: those with at least 8 real or 8 synthetic rows.
        spend: [s] the error that the test of each slice may spend.
        thin: [s] True where the share is certainly below the bound.
        thick: [s] True where the share is certainly above its inverse.
        p: [s] p-value of "not below the bound".
        titles: [s] names.
    """

    slices: Slices
    spend: Floats
    thin: AnyArray
    thick: AnyArray
    p: Floats
    titles: tuple[str, ...]


@measure(Need.COLUMNS, title="Share that the thinnest slice keeps", better="higher", family="coverage")
def slice_coverage(
    real: View, synthetic: View, *, holdout: View | None, rng: np.random.Generator, terms: Terms
) -> tuple[Finding, ...]:
    """Ratio of a slice's share among the synthetic rows to its share among the real rows.

    Slices are all levels of categories, deciles of numbers, missing cells, and all pairs of those (two
    numbers by quartiles). A slice of at least 8 real rows fails when the exact upper bound of its ratio, corrected
    for every slice that could fail, is below the bound; no synthetic row at all is the extreme case. An
    upper end is never below the bound by chance more often than `alpha` in any slice at all. Slices that
    have far too many rows, such as combinations that the real data do not know, are a warning.

    Args:
        real: train rows.
        synthetic: the rows to be judged.
        holdout: not used.
        rng: not used; nothing is sampled.
        terms: `bound` is the smallest tolerable ratio, default .8; `slices` are columns whose pairs are
            looked at by themselves, beside target and groups.

    Returns:
        First a finding on all slices: the worst of those that fail, else the thinnest of the common
        slices (5 % of the real rows or more). Then one finding for each failing slice that no other
        explains, at most 10. Ratios, 0 (gone) to infinity, 1 is ideal.

    Source: conditional binomial test, Przyborowski & Wilenski 1940; Tarone 1990 for the correction.
    """
    bound = BOUND if terms.bound is None else terms.bound
    params: dict[str, Json] = {"bound": bound, "alpha": terms.alpha, "n_real": real.n, "n_synthetic": synthetic.n}
    if min(real.n, synthetic.n) < LEAST_ROWS:
        few = Unmeasured(
            f"{real.n:,} real and {synthetic.n:,} synthetic rows are too few to slice",
            mend=f"give at least {LEAST_ROWS} rows of each",
        )
        return (Finding("slice_coverage", few, "higher", Status.UNMEASURED, reason=few.reason, params=params),)
    cuts = _cuts(real, synthetic)
    scan, left_out = _scan(cuts, real, (real.n, synthetic.n), bound, terms)
    sizes = (real.n, synthetic.n)
    thin = _unexplained(scan, np.flatnonzero(scan.thin), cuts, sizes, bound)
    params |= {"slices": scan.slices.size, "pairs_left_out": left_out}
    findings = [_slice_finding(scan, row, sizes, terms, bound, params) for row in thin]
    if not thin:  # where slices are gone, all others have more than their share
        thick = _ordered(np.flatnonzero(scan.thick), scan, sizes, "thick")[:MOST_FINDINGS]
        findings = [_slice_finding(scan, row, sizes, terms, bound, params) for row in thick]
    return (_whole(scan, thin, sizes, bound, terms, params), *findings)


def _cuts(real: View, synthetic: View) -> _Cuts:
    columns = [c for c in real.columns or () if c.role is not Role.WEIGHT]
    cuts = [cut_column(c, bins=BINS, least=LEAST_COUNT, most=MOST_LEVELS) for c in columns]
    cuts += [cut_column(c, bins=PAIR_BINS, least=LEAST_COUNT, most=PAIR_LEVELS) for c in columns]
    here = [cut.assign(c) for cut, c in zip(cuts, columns * 2, strict=True)]
    return _Cuts(
        cuts, here, [cut.assign(synthetic.column(cut.name)) for cut in cuts], [c.levels is None for c in columns]
    )


def _scan(cuts: _Cuts, real: View, sizes: tuple[int, int], bound: float, terms: Terms) -> tuple[_Scan, int]:
    """Count and test all slices in three families: single, pairs asked for, other pairs."""
    asked = [c.name for c in real.columns or () if c.role in (Role.TARGET, Role.GROUP) or c.name in terms.slices]
    inside, others, left_out = choose_pairs(cuts.names, asked, most=MOST_PAIRS)
    counted = [count_one_way(range(len(cuts.numbers)), cuts.cuts, cuts.real, cuts.synthetic)]
    for chosen in (inside, others):
        counted.append(count_pairs([cuts.pair(i, j) for i, j in chosen], cuts.cuts, cuts.real, cuts.synthetic))
    families = [s for f in counted if (s := f.take(np.maximum(f.real, f.synthetic) >= LEAST_COUNT)).size]
    slices = joined(families)
    (n, m), share = sizes, terms.alpha / max(1, len(families))

    def spend(side: Literal["below", "above"]) -> Floats:
        parts = [np.full(f.size, _each(f, sizes, bound, share, side)) for f in families]
        return np.concatenate(parts or [np.empty(0)])

    under, over = spend("below"), spend("above")
    p = ratio_below_p(slices.synthetic, m, slices.real, n, ratio=bound)
    thick = ratio_above_p(slices.synthetic, m, slices.real, n, ratio=1 / bound) <= over
    titles = tuple(slices.title(i, cuts.cuts) for i in range(slices.size))
    return _Scan(slices, under, (p <= under) & (slices.real >= LEAST_COUNT), thick, p, titles), left_out


def _each(family: Slices, sizes: tuple[int, int], bound: float, alpha: float, side: Literal["below", "above"]) -> float:
    """What each test of a family may spend, given the totals of its slices."""
    total = family.real + family.synthetic
    none = np.zeros_like(total)
    if side == "below":
        return tarone_alpha(ratio_below_p(none, sizes[1], total, sizes[0], ratio=bound), alpha=alpha)
    return tarone_alpha(ratio_above_p(total, sizes[1], none, sizes[0], ratio=1 / bound), alpha=alpha)


def _unexplained(scan: _Scan, failing: AnyArray, cuts: _Cuts, sizes: tuple[int, int], bound: float) -> list[int]:
    """The failing slices that are still thin without the rows of those already named, the emptiest first.

    So a child is named where the child alone is gone, and its parent instead where that is thin throughout.
    """
    n, m = sizes
    left = np.ones(n, dtype=bool), np.ones(m, dtype=bool)
    named: list[int] = []
    for row in _ordered(failing, scan, sizes, "thin")[:MOST_CANDIDATES]:
        whole = members(scan.slices, row, cuts.real)
        there, here = whole & left[0], members(scan.slices, row, cuts.synthetic) & left[1]
        k, j = int(there.sum()), int(here.sum())
        sure = k >= LEAST_COUNT and float(ratio_below_p(j, m, k, n, ratio=bound)) <= scan.spend[row]
        throughout = 2 * k >= int(whole.sum()) and j * n < bound * k * m
        if sure or (throughout and k >= LEAST_COUNT):
            inside = [r for r in named if not (members(scan.slices, r, cuts.real) & ~whole).any()]
            named = [r for r in named if r not in inside] + [row]
            left[0][there], left[1][here] = False, False
        if len(named) == MOST_FINDINGS:
            break
    return named


def _ordered(rows: AnyArray, scan: _Scan, sizes: tuple[int, int], which: Literal["thin", "thick"]) -> list[int]:
    """By how far off the share is for certain; the more rows, the surer."""
    n, m = sizes
    alpha = float(scan.spend.min()) if scan.spend.size else 0.5
    low, high = ratio_bounds(scan.slices.synthetic[rows], m, scan.slices.real[rows], n, alpha=alpha)
    single = scan.slices.second[rows] < 0
    return [int(r) for r in rows[np.lexsort((~single, high if which == "thin" else -low))]]


def _estimate(scan: _Scan, row: int, sizes: tuple[int, int], level: float, spend: float, how: str) -> Estimate:
    n, m = sizes
    k, j = int(scan.slices.real[row]), int(scan.slices.synthetic[row])
    low, high = (float(b) for b in ratio_bounds(j, m, k, n, alpha=spend))
    # Where the real rows have none the ratio has no value but its lower bound.
    return Estimate((j / m) / (k / n) if k else low, low, high, k + j, level, f"conditional binomial, {how}")


def _whole(
    scan: _Scan, thin: list[int], sizes: tuple[int, int], bound: float, terms: Terms, params: dict[str, Json]
) -> Finding:
    if not scan.slices.size:
        none = Unmeasured(
            f"no slice has {LEAST_COUNT} real rows", mend="give more real rows, or columns that have levels in common"
        )
        return Finding("slice_coverage", none, "higher", Status.UNMEASURED, reason=none.reason, params=params)
    side = (1 - terms.level) / 2
    if thin:
        worst = min(thin, key=lambda r: (scan.slices.synthetic[r] / scan.slices.real[r], -scan.slices.real[r]))
        result = _estimate(
            scan, worst, sizes, terms.level, scan.spend[worst], f"corrected for {scan.slices.size} looks"
        )
        status = Status.FAIL
    else:
        worst = _thinnest_common(scan, sizes, side)
        # That *every* common slice keeps its share needs no correction: the truly thinnest is one slice.
        result = _estimate(scan, worst, sizes, terms.level, side, "one slice")
        status = status_of(result.low, max(result.high, bound), bound, better="higher")
        status = Status.WARN if status is Status.PASS and scan.thick.any() else status
    return Finding(
        "slice_coverage", result, "higher", status,
        reason=_sentence(scan, thin, worst, sizes, bound), params=params, evidence=_evidence(scan, sizes, bound),
    )  # fmt: skip


def _thinnest_common(scan: _Scan, sizes: tuple[int, int], side: float) -> int:
    """The common single slice with the lowest lower bound; the largest slice where none is common."""
    single = np.flatnonzero(scan.slices.second < 0)
    common = single[scan.slices.real[single] >= COMMON_SHARE * sizes[0]]
    if not common.size:
        return int(np.argmax(scan.slices.real))
    low, _ = ratio_bounds(scan.slices.synthetic[common], sizes[1], scan.slices.real[common], sizes[0], alpha=side)
    return int(common[np.argmin(low)])


def _slice_finding(
    scan: _Scan, row: int, sizes: tuple[int, int], terms: Terms, bound: float, params: dict[str, Json]
) -> Finding:
    how = f"corrected for {scan.slices.size} looks"
    result = _estimate(scan, row, sizes, terms.level, scan.spend[row], how)
    k, j, expected = int(scan.slices.real[row]), int(scan.slices.synthetic[row]), _expected(scan, row, sizes)
    where = scan.titles[row]
    words = "none" if j == 0 else f"{j:,}"
    reason = (
        f"{where} has {words} of the {sizes[1]:,} synthetic rows, where {expected:,.0f} would match its share "
        f"of the real rows ({k:,} of {sizes[0]:,}): {result.value:.2f} times its share."
    )
    return Finding(
        "slice_coverage", result, "higher", Status.FAIL if scan.thin[row] else Status.WARN,
        slice=where, reason=reason, params=params, evidence={"real": k, "synthetic": j, "p_value": float(scan.p[row])},
    )  # fmt: skip


def _expected(scan: _Scan, row: int, sizes: tuple[int, int]) -> float:
    return float(scan.slices.real[row]) / sizes[0] * sizes[1]


def _sentence(scan: _Scan, thin: list[int], worst: int, sizes: tuple[int, int], bound: float) -> str:
    if thin:
        named = ", ".join(scan.titles[r] for r in thin[:3])
        more = f" and {len(thin) - 3} more" if len(thin) > 3 else ""
        return (
            f"{int(scan.thin.sum()):,} of {scan.slices.size:,} slices hold less than {bound:g} of their real share; "
            f"named without repetition: {named}{more}."
        )
    ratio = scan.slices.synthetic[worst] / sizes[1] / (scan.slices.real[worst] / sizes[0])
    over = (
        f" {int(scan.thick.sum()):,} slices have more than {1 / bound:g} times their share." if scan.thick.any() else ""
    )
    return (
        f"No slice of {scan.slices.size:,} is shown to be thin; the thinnest common one, {scan.titles[worst]}, has "
        f"{ratio:.2f} of its share, and one missing entirely is noticed from {_noticed(scan, sizes, bound):,} "
        f"real rows.{over}"
    )


def _noticed(scan: _Scan, sizes: tuple[int, int], bound: float) -> int:
    """Real rows from which a slice without any synthetic row fails for certain."""
    chance = sizes[0] / (bound * sizes[1] + sizes[0])
    return int(np.ceil(np.log(scan.spend.min()) / np.log(chance)))


def _evidence(scan: _Scan, sizes: tuple[int, int], bound: float) -> dict[str, Json]:
    order = np.argsort(scan.p, kind="stable")[:MOST_FINDINGS]
    thinnest: list[Json] = [
        {
            "slice": scan.titles[row],
            "real": int(scan.slices.real[row]),
            "synthetic": int(scan.slices.synthetic[row]),
            "expected": round(_expected(scan, int(row), sizes), 1),
            "p_value": float(scan.p[row]),
        }
        for row in order
    ]
    return {
        "thinnest": thinnest,
        "thin": int(scan.thin.sum()),
        "thick": int(scan.thick.sum()),
        "noticed_from": _noticed(scan, sizes, bound),
    }
