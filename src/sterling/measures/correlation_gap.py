"""Whether every two columns depend on each other as they do in the real data."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from sterling.kernel.estimate import Estimate, Unmeasured
from sterling.kernel.finding import Finding, Json, Status
from sterling.kernel.protocols import Terms, measure
from sterling.kernel.schema import Role
from sterling.kernel.view import Column, Need, View
from sterling.stats.bounds import status_of
from sterling.stats.dependence import (
    Dependence,
    association,
    cross_counts,
    dependence_gap,
    most_off,
    pair_tables,
    starts_of,
)
from sterling.stats.kept_dependence import Kept, in_both, threads, torn_columns
from sterling.stats.slices import Cut, cut_column

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sterling.kernel.view import AnyArray, Bools, Floats

    _Codes = list[AnyArray]

# Half of Cohen's "small" effect w = .1, for the distance is w / 2.
BOUND = 0.05
LEAST_ROWS = 30
# Few and full cells: evidence of a broken dependence thins out over its degrees of freedom.
BINS, LEVELS, LEAST_COUNT = 7, 7, 20
MOST_COLUMNS = 60
MOST_FINDINGS = 10
MOST_SHOWN = 20
# A column is named in place of its pairs when so many of them are certainly off.
BLAMED = 3
# The share of its dependence on all other columns that a column may lose, at the default bound of a pair; with so
# many rows of each set at least.
LOSS = 1 / 3
LEAST_ADDED = 200


@dataclass(frozen=True, slots=True, eq=False)
class _Pairs:
    """All pairs with what was found of each.

    Args:
        cuts: [d] of the columns.
        index: [p, 2] positions of each pair's columns.
        tables: [p, a, b] real and [p, a, b] synthetic counts.
        found: the chi-squared evidence.
        strength: [p] Cramer's V of the real and [p] of the synthetic rows.
        at_least: [p] lower bounds, corrected for all pairs.
        torn: columns that lost much of their dependence on all others together, the worst first.
    """

    cuts: list[Cut]
    index: AnyArray
    tables: tuple[Floats, Floats]
    found: Dependence
    strength: tuple[Floats, Floats]
    at_least: Floats
    torn: tuple[Kept, ...] = ()

    def title(self, row: int) -> str:
        """Such as "hours_per_week&occupation"."""
        return "&".join(self.cuts[i].name for i in self.index[row])


@measure(Need.COLUMNS, title="Largest gap between two pairs' dependence", better="lower")
def correlation_gap(
    real: View, synthetic: View, *, holdout: View | None, rng: np.random.Generator, terms: Terms
) -> tuple[Finding, ...]:
    """How differently the worst pair of columns depends on each other.

    Numbers and dates are cut at quantiles of the real rows, categories into their frequent levels, a missing
    cell is a level. Two tables of a pair depend alike when all their odds ratios are the same, whatever became of
    the columns themselves: p and q are the shares of the real and synthetic rows around such a common fit, and
    the distance is sqrt(sum (p - q)^2 / (2 (p + q))), freed of what chance adds; .05 is what Cohen calls a
    small effect. A finding on the whole table names the worst pair, corrected for all of them. Where several
    failing pairs share one column, that column has one finding, `column=NAME`; other pairs that fail
    by themselves have theirs, `columns=A&B`.

    A second look adds up all pairs of a column, for one that hangs on many others by weak threads: it fails, with
    a finding `column=NAME`, if it certainly keeps less than 2/3 of what it tells about the others (a bound of
    twice the default tolerates twice the loss). Columns that only depended on such a column are not named for it.

    PASS speaks of pairs: that every one lies within the bound. The second look can fail a table but says nothing when
    it is silent: a column may have lost some of its dependence, or too few rows may be left to add up. Pairs whose
    columns vary in real rows but share nothing that can be compared are unknown, and at best leave it undecided.

    Args:
        real: train rows.
        synthetic: the rows to be judged.
        holdout: not used.
        rng: halves the real rows for the second look.
        terms: `bound` is the largest tolerable distance, default .05; `alpha` is shared by the pairs (half)
            and the columns (half); `slices` are columns that are looked at first where there are more than 60.

    Returns:
        Distances, 0 (same odds ratios) to 1; smaller is better. Lower ends of single pairs and of the whole
        are corrected for all pairs.

    Source: Bartlett 1935 and Birch 1963 (no three-factor interaction); Le Cam 1986 (the distance); Patnaik 1949
        (bounds of the noncentrality); Cohen 1988 (w); Fieller 1954 (limits of the share that is kept).
    """
    bound = BOUND if terms.bound is None else terms.bound
    params: dict[str, Json] = {"bound": bound, "alpha": terms.alpha, "n_real": real.n, "n_synthetic": synthetic.n}
    chosen = _chosen(real, terms)
    if min(real.n, synthetic.n) < LEAST_ROWS or len(chosen) < 2:
        return (_unmeasured(real, synthetic, params),)
    pairs = _pairs(real, synthetic, chosen, terms, rng)
    all_columns = sum(c.role is not Role.WEIGHT for c in real.columns or ())
    looks = len(pairs.index)
    params |= {"pairs": looks, "pairs_left_out": all_columns * (all_columns - 1) // 2 - looks}
    params |= {"kept_bound": _kept_bound(terms), "columns": len(chosen), "columns_left_out": all_columns - len(chosen)}
    if not (pairs.found.df > 0).any():
        return (_unmeasured(real, synthetic, params),)
    failing = pairs.at_least > bound
    blamed, alone = _causes(pairs, failing)
    findings = [_column_finding(pairs, c, rows, terms, bound, params) for c, rows in blamed]
    findings += [_pair_finding(pairs, r, terms, bound, params) for r in alone]
    return (_whole(pairs, failing, blamed, terms, bound, params), *findings[:MOST_FINDINGS])


def _chosen(real: View, terms: Terms) -> list[Column]:
    """The columns that are looked at: target, groups and those asked for first, then as the file has them."""
    columns = [c for c in real.columns or () if c.role is not Role.WEIGHT]
    first = [c for c in columns if c.role in (Role.TARGET, Role.GROUP) or c.name in terms.slices]
    return (first + [c for c in columns if c not in first])[:MOST_COLUMNS] if len(columns) > MOST_COLUMNS else columns


def _kept_bound(terms: Terms) -> float:
    """The share of its dependence that a column must keep; 0 (nothing is judged) under a very wide bound."""
    return max(1 - LOSS * (BOUND if terms.bound is None else terms.bound) / BOUND, 0.0)


def _pairs(real: View, synthetic: View, chosen: list[Column], terms: Terms, rng: np.random.Generator) -> _Pairs:
    cuts = [cut_column(c, bins=BINS, least=LEAST_COUNT, most=LEVELS) for c in chosen]
    widths = [len(cut.labels) for cut in cuts]
    index = np.array(list(itertools.combinations(range(len(cuts)), 2)))
    orders = rng.permutation(real.n), rng.permutation(synthetic.n)
    whole = [
        [cut.assign(side.column(cut.name))[order] for cut in cuts]
        for side, order in zip((real, synthetic), orders, strict=True)
    ]
    parts = _parts(*whole)
    one, other, b = (_tables(c, widths, index) for c in parts)
    a = one + other
    found = dependence_gap(a, b)
    at_least = found.bounds(alpha=terms.alpha / 2 / len(index))[0]
    torn = _torn(whole, (parts, (one, other, b)), widths, index, terms)
    return _Pairs(cuts, index, (a, b), found, (association(a), association(b)), at_least, torn)


def _parts(real: _Codes, synthetic: _Codes) -> tuple[_Codes, _Codes, _Codes]:
    """One half of the real rows, the other half, and the synthetic rows."""
    half = real[0].size // 2
    return [c[:half] for c in real], [c[half:] for c in real], synthetic


def _tables(codes: _Codes, widths: list[int], index: AnyArray) -> Floats:
    return pair_tables(cross_counts(codes, widths), starts_of(widths), index)


def _torn(
    sides: list[_Codes],
    counted: tuple[tuple[_Codes, _Codes, _Codes], tuple[Floats, Floats, Floats]],
    widths: list[int],
    index: AnyArray,
    terms: Terms,
) -> tuple[Kept, ...]:
    """The columns that lost much of what they have to do with all others together."""
    masks = in_both(sides[0], sides[1], widths)
    if not _kept_bound(terms) or min(int(mask.sum()) for mask in masks) < LEAST_ADDED:
        return ()
    parts, tables = counted
    if not all(mask.all() for mask in masks):
        parts = _parts(*([c[mask] for c in codes] for codes, mask in zip(sides, masks, strict=True)))
        one, other, synthetic = (_tables(c, widths, index) for c in parts)
        tables = one, other, synthetic
    return torn_columns(
        threads(index, len(widths), tables, parts),
        bound=_kept_bound(terms), alpha=terms.alpha / 2, level=terms.level, most=MOST_FINDINGS,
    )  # fmt: skip


def _causes(pairs: _Pairs, failing: Bools) -> tuple[list[tuple[int, list[int]]], list[int]]:
    """Columns that explain failing pairs, with those pairs, and the pairs that nothing explains; the worst first."""
    # A pair that is certainly off, if only a little, still points to the column that all of them share.
    off = pairs.at_least > 0
    left = failing.copy()
    blamed: list[tuple[int, list[int]]] = []
    for column in (kept.column for kept in pairs.torn):
        mine = (pairs.index == column).any(axis=1)
        blamed.append((column, _by_gap(pairs, mine & left)))
        left &= ~mine
        off &= ~mine
    for _ in range(MOST_FINDINGS):
        holds = [(pairs.index == c).any(axis=1) & off for c in range(len(pairs.cuts))]
        able = [c for c, h in enumerate(holds) if h.sum() >= BLAMED and (h & left).any()]
        if not able:
            break
        worst = max(able, key=lambda c: (int((holds[c] & left).sum()), float(pairs.at_least[holds[c]].sum())))
        blamed.append((worst, _by_gap(pairs, holds[worst] & left)))
        left &= ~holds[worst]
        off &= ~holds[worst]
    return blamed, _by_gap(pairs, left)


def _by_gap(pairs: _Pairs, chosen: Bools) -> list[int]:
    """Positions of the chosen pairs, the most certain gap first."""
    rows = np.flatnonzero(chosen)
    return [int(r) for r in rows[np.argsort(-pairs.at_least[rows], kind="stable")]]


def _whole(
    pairs: _Pairs,
    failing: Bools,
    blamed: list[tuple[int, list[int]]],
    terms: Terms,
    bound: float,
    params: dict[str, Json],
) -> Finding:
    # The worst is the one that stands out most, not the one with the most cells to count.
    excess = (pairs.found.statistic - pairs.found.df) / np.sqrt(2 * np.maximum(pairs.found.df, 1.0))
    order = np.lexsort((-excess, -pairs.at_least))
    worst = int(order[0])
    side = (1 - terms.level) / 2
    # That *every* pair lies within needs no correction: the truly worst one is one pair.
    high = float(pairs.found.bounds(alpha=side)[1].max())
    result = _estimate(pairs, worst, terms)
    status = (
        Status.FAIL
        if failing.any() or pairs.torn
        else Status.WARN
        if result.low > bound
        else status_of(0.0, high, bound, better="lower")
    )
    result = Estimate(result.value, result.low, max(result.value, high), result.n, result.level, result.method)
    table: list[Json] = [_row(pairs, int(r)) for r in order[:MOST_SHOWN]]
    torn: list[Json] = [_torn_row(pairs, k) for k in pairs.torn]
    unknown: list[Json] = [pairs.title(int(r)) for r in np.flatnonzero(pairs.found.unknown)]
    return Finding(
        "correlation_gap", result, "lower", status, params=params,
        reason=_sentence(pairs, failing, blamed, worst, bound) + _not_compared(unknown),
        evidence={"pairs": table, "failing": int(failing.sum()), "torn": torn, "unknown": unknown[:MOST_SHOWN]},
    )  # fmt: skip


def _estimate(pairs: _Pairs, row: int, terms: Terms) -> Estimate:
    looks = len(pairs.index)
    whole = pairs.found
    found = replace(whole, statistic=whole.statistic[[row]], df=whole.df[[row]], unknown=whole.unknown[[row]])
    low, high = (float(x[0]) for x in found.bounds(alpha=(1 - terms.level) / 2 / looks))
    value = float(pairs.found.gap[row])
    n = int(pairs.tables[0][row].sum() + pairs.tables[1][row].sum())
    method = f"noncentral chi-squared, {looks} looks"
    return Estimate(value, min(value, low), max(value, high), n, terms.level, method)


def _row(pairs: _Pairs, row: int) -> dict[str, Json]:
    """One pair with the cell that is most off."""
    a, b = (table[row] for table in pairs.tables)
    i, j, expected = most_off(a, b)
    first, second = (pairs.cuts[c] for c in pairs.index[row])
    # A pair that shares no filled cell has only cells beyond its labels.
    where = f"{first.title(i)}&{second.title(j)}" if i < len(first.labels) and j < len(second.labels) else None
    return {
        "columns": pairs.title(row),
        "gap": float(pairs.found.gap[row]),
        "no_gap": float(pairs.found.no_gap[row]),
        "at_least": float(pairs.at_least[row]),
        "association_real": round(float(pairs.strength[0][row]), 4),
        "association_synthetic": round(float(pairs.strength[1][row]), 4),
        "most_off": where,
        "synthetic_rows": int(b[i, j]),
        "rows_by_real_dependence": round(expected, 1),
    }


def _words(pairs: _Pairs, row: int) -> str:
    first, second = (pairs.cuts[c].name for c in pairs.index[row])
    was, now = (float(s[row]) for s in pairs.strength)
    return f"{first} and {second} (gap {pairs.found.gap[row]:.3f}; association {was:.2f} in real rows, {now:.2f} here)"


def _sentence(pairs: _Pairs, failing: Bools, blamed: list[tuple[int, list[int]]], worst: int, bound: float) -> str:
    looks = len(pairs.index)
    lost = ""
    if pairs.torn:
        lost = _lost(pairs, pairs.torn[0])
        lost += f"; so little is kept by {', '.join(_names(pairs, pairs.torn[1:]))} too. " if pairs.torn[1:] else ". "
    if failing.any():
        because = f" {', '.join(pairs.cuts[c].name for c, _ in blamed[:3])} explains most of it." if blamed else ""
        return (
            f"{lost}{int(failing.sum())} of {looks} pairs of columns depend on each other differently by more than "
            f"{bound:g}; the worst is {_words(pairs, worst)}.{because}"
        )
    if lost:
        return (
            f"{lost}No single pair is certainly off by more than {bound:g}; the one that stands out is "
            f"{_words(pairs, worst)}."
        )
    return (
        f"The pair of {looks} whose dependence differs most is {_words(pairs, worst)}; chance alone gives about "
        f"{pairs.found.no_gap[worst]:.3f} before correction, and {bound:g} is tolerated."
    )


def _not_compared(unknown: list[Json]) -> str:
    if not unknown:
        return ""
    what = "1 pair shares" if len(unknown) == 1 else f"{len(unknown)} pairs share"
    return f" {what} nothing that can be compared, such as {unknown[0]}: the levels of the real rows are not here."


def _lost(pairs: _Pairs, kept: Kept) -> str:
    share = f"{100 * max(kept.share, 0.0):.0f} %"
    return (
        f"{pairs.cuts[kept.column].name} keeps {share} of what it has to do with the other columns "
        f"(at most {100 * max(kept.at_most, 0.0):.0f} %)"
    )


def _names(pairs: _Pairs, torn: Sequence[Kept]) -> list[str]:
    return [pairs.cuts[k.column].name for k in torn]


def _torn_row(pairs: _Pairs, kept: Kept) -> dict[str, Json]:
    """One torn column: the share it keeps with its limits, and the nats behind it."""
    return {
        "column": pairs.cuts[kept.column].name,
        "kept": round(kept.share, 4),
        "kept_low": round(kept.low, 4) if np.isfinite(kept.low) else None,
        "kept_high": round(kept.high, 4) if np.isfinite(kept.high) else None,
        "kept_at_most": round(kept.at_most, 4),
        "gain_real": round(kept.real, 5),
        "gain_synthetic": round(kept.synthetic, 5),
    }


def _column_finding(
    pairs: _Pairs, column: int, rows: list[int], terms: Terms, bound: float, params: dict[str, Json]
) -> Finding:
    name = pairs.cuts[column].name
    kept = next((k for k in pairs.torn if k.column == column), None)
    shown = rows or list(kept.pairs if kept else ())
    off = (
        f"{len(rows)} of its pairs are off by more than {bound:g}, most of all {_words(pairs, rows[0])}"
        if rows
        else f"most is lost in the pair {_words(pairs, shown[0])}"
    )
    reason = (
        f"{_lost(pairs, kept)}: {off}."
        if kept
        else f"{name} no longer depends on other columns as it does in the real rows: {off}."
    )
    evidence: dict[str, Json] = {"pairs": [_row(pairs, r) for r in shown[:MOST_SHOWN]]}
    if kept:
        evidence |= _torn_row(pairs, kept)
    return Finding(
        "correlation_gap", _estimate(pairs, shown[0], terms), "lower", Status.FAIL,
        slice=f"column={name}", reason=reason, params=params, evidence=evidence,
    )  # fmt: skip


def _pair_finding(pairs: _Pairs, row: int, terms: Terms, bound: float, params: dict[str, Json]) -> Finding:
    reason = f"The dependence of {_words(pairs, row)} is off by more than {bound:g}."
    return Finding(
        "correlation_gap", _estimate(pairs, row, terms), "lower", Status.FAIL,
        slice=f"columns={pairs.title(row)}", reason=reason, params=params, evidence=_row(pairs, row),
    )  # fmt: skip


def _unmeasured(real: View, synthetic: View, params: dict[str, Json]) -> Finding:
    few = Unmeasured(
        f"{real.n:,} real and {synthetic.n:,} synthetic rows with {len(real.columns or ())} columns have no two "
        "columns whose dependence can be compared",
        mend=f"give at least {LEAST_ROWS} rows of each, and two columns that vary",
    )
    return Finding("correlation_gap", few, "lower", Status.UNMEASURED, reason=few.reason, params=params)
