"""The search for formulas between columns: screened on a few rows, then confirmed on all.

A formula is kept only where luck would have broken it in 37 rows or more (see `stats.structure`).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from sterling.stats.formulas import (
    CURVES,
    DAY,
    ROUNDINGS,
    SINGLE,
    Formula,
    Found,
    Quantity,
    curve,
    fit,
    is_clock,
    luck,
    minutes,
    spaced,
)
from sterling.stats.rules import least_expected

if TYPE_CHECKING:
    from sterling.kernel.view import Bools, Floats, Ints

# Rows that rule candidates out, evenly spaced; rows on which products are tried.
PROBE, FEW = 128, 48
# A column may be missing in so many of the rows where what it explains is known.
UNCOVERED = 0.05
# A sum that all but so many rows keep is worth knowing too: what is left over is mostly 0.
NEARLY = 0.1
# Numbers among which sums of two, and sums of three and products, are sought: the first so many columns.
MOST_NUMBERS, MOST_TRIPLES = 200, 60
PARTS = 3
# In a projection on random weights, sums agree to so much of their parts.
NEAR = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class _Probe:
    """A target and what could explain it, on a few of the rows where it is known.

    Args:
        target: its position.
        values: [p] the target's.
        others: [c] positions of columns that are known in all of these rows and vary.
        matrix: [c, p] their values.
        slack: how far the target may be off for its rounding.
    """

    target: int
    values: Floats
    others: Ints
    matrix: Floats
    slack: float


def _probes(columns: Sequence[Quantity], among: Sequence[int]) -> Iterator[_Probe]:
    for t in among:
        column = columns[t]
        known = np.flatnonzero(column.known)
        rows = known[spaced(known.size, PROBE)]
        others = np.array([j for j in among if j != t], dtype=np.int64)
        if rows.size < 2 or not column.free or not others.size:
            continue
        matrix = np.stack([columns[j].values[rows] for j in others.tolist()])
        gaps = np.isnan(matrix)
        kept = gaps.mean(axis=1) <= UNCOVERED
        whole = ~gaps[kept].any(axis=0)
        rows, matrix, others = rows[whole], matrix[kept][:, whole], others[kept]
        if rows.size < 2 or np.ptp(column.values[rows]) == 0:
            continue
        varies = np.ptp(matrix, axis=1) > 0
        slack = 10.0**-column.decimals if column.decimals is not None else 0.0
        yield _Probe(t, column.values[rows], others[varies], matrix[varies], slack)


def find_formulas(columns: Sequence[Quantity]) -> list[Found]:
    """Formulas that hold in every row, or are sums that nearly do, the plainest first.

    One relation may come out in several forms (a = b + c and b = a - c); whoever uses them drops what is implied.

    Args:
        columns: of at most the first 200 are formulas sought; of the first 60 sums of three and products.

    Source: 2-sum and 3-sum search on random projections; a factor is the simplest number that all rows allow.
    """
    among = [i for i, c in enumerate(columns) if np.isfinite(c.values[c.known]).all() and c.known.any()]
    probes = list(_probes(columns, among[:MOST_NUMBERS]))
    small = set(among[:MOST_TRIPLES])
    found: dict[tuple[int, frozenset[int]], Found] = {}
    for seek in (_linear, _sums, _clocks, _curves, _triples, _products):
        for probe in probes:
            if seek in (_triples, _products) and probe.target not in small:
                continue
            for formula in seek(probe, columns):
                key = formula.target, frozenset(formula.parents)
                if any(t == key[0] and k <= key[1] and not f.broken for (t, k), f in found.items()):
                    continue  # said already, or by fewer columns
                confirmed = _confirmed(formula, columns)
                if confirmed is not None:
                    found[key] = confirmed
    explained = {t for t, _ in found}
    for probe in probes:
        if probe.target in small and probe.target not in explained:
            for formula in _wide(probe, columns, explained):
                confirmed = _confirmed(formula, columns)
                if confirmed is not None:
                    found[formula.target, frozenset(formula.parents)] = confirmed
                    explained.add(formula.target)
    return list(found.values())


def _confirmed(formula: Formula, columns: Sequence[Quantity]) -> Found | None:
    """The formula with the rounding under which all rows, or nearly all, keep it."""
    column = columns[formula.target]
    known = np.flatnonzero(column.known)
    sample = known[spaced(known.size, 2048)]
    near = formula.shape == "sum" and not column.time
    exact = formula.shape == "clock" or column.decimals is None
    for rounding in ROUNDINGS[:1] if exact else ROUNDINGS:
        tried = replace(formula, rounding=rounding)
        for decimals in _grids(column, near=near):
            wrong, uncovered, _, judged = fit(tried, columns, sample, decimals)
            least = wrong + uncovered <= (NEARLY if near else UNCOVERED) * judged and (near or not wrong)
            if not least:
                continue
            expected = luck(tried, columns, decimals)
            broken, uncovered, silent, judged = fit(tried, columns, None, decimals)
            if expected < least_expected() or broken > NEARLY * min(judged, expected):
                continue
            if (broken and (not near or uncovered)) or uncovered > UNCOVERED * judged or (uncovered and silent):
                continue
            if not broken or rounding == "nearest":
                return Found(tried, expected, decimals, broken, uncovered, silent)
    return None


def _grids(column: Quantity, *, near: bool) -> tuple[int | None, ...]:
    """Grids on which a result may lie: a column of sums of cents may hold a few finer numbers."""
    return (column.decimals,) if column.decimals is not None or not near else (2, None)


def _linear(probe: _Probe, columns: Sequence[Quantity]) -> Iterator[Formula]:
    """Equality, a shift, a multiple: target = factor x other + constant."""
    t = probe.values
    for i in _aligned(t, probe.matrix, 0.9):
        j, x = int(probe.others[i]), probe.matrix[i]
        if columns[j].time != columns[probe.target].time:
            continue
        low, high = int(x.argmin()), int(x.argmax())
        run, rise = x[high] - x[low], t[high] - t[low]
        rounded = probe.slack if not columns[probe.target].time else 0.0
        slope = simplest((rise - rounded) / run, (rise + rounded) / run)
        rest = t - slope * x
        tolerance = rounded / 2 + NEAR * float(np.abs(t).max())
        if slope == 0 or np.ptp(rest) > 2 * tolerance + rounded / 2:
            continue
        for shift in (tolerance, -tolerance if rounded else 0.0, 2 * tolerance):  # nearest, up, down
            low_c, high_c = float((rest - abs(shift)).max()), float((rest + abs(shift)).min())
            constant = simplest(low_c, high_c) if low_c <= high_c else float(np.median(rest))
            yield Formula(probe.target, (j,), "sum", (slope,), constant)
            break


def _aligned(target: Floats, matrix: Floats, least: float) -> list[int]:
    """Rows of a matrix that are correlated with the target at least so much."""
    with np.errstate(all="ignore"):
        own = target - target.mean()
        other = matrix - matrix.mean(axis=1, keepdims=True)
        alike = np.abs(other @ own) / np.sqrt(np.square(other).sum(axis=1) * np.square(own).sum())
    return np.flatnonzero(alike >= least).tolist()


def simplest(low: float, high: float) -> float:
    """The plainest number of an interval: fewest decimals, or one over such a number.

    >>> simplest(0.0833, 0.0834) * 12, simplest(2.9, 3.2)
    (1.0, 3.0)
    """
    if not (np.isfinite(low) and np.isfinite(high)) or low > high:
        return (low + high) / 2
    if low <= 0 <= high:
        return 0.0
    for digits in range(13):
        scale = 10.0**digits
        near = round((low + high) / 2 * scale) / scale
        if low <= near <= high and near != 0:
            return near
        over = round(2 / (low + high) * scale) / scale
        if over != 0 and low <= 1 / over <= high:
            return 1 / over
    return (low + high) / 2


def _curves(probe: _Probe, columns: Sequence[Quantity]) -> Iterator[Formula]:
    """Logarithms, roots and squares of another column."""
    t = probe.values
    if columns[probe.target].time:
        return
    for shape in CURVES:
        all_bent = curve(shape, probe.matrix)
        for i in _aligned(t, all_bent, 0.99):
            j, bent = int(probe.others[i]), all_bent[i]
            low, high = int(bent.argmin()), int(bent.argmax())
            run = bent[high] - bent[low]
            if columns[j].time or run == 0:
                continue
            room = max(probe.slack, SINGLE * float(np.abs(t).max()))
            slope = simplest((t[high] - t[low] - room) / run, (t[high] - t[low] + room) / run)
            rest = t - slope * bent
            if slope and np.ptp(rest) <= 3 * room:
                constant = simplest(float(rest.max()) - room, float(rest.min()) + room)
                yield Formula(probe.target, (j,), shape, (slope,), constant)


def _sums(probe: _Probe, columns: Sequence[Quantity]) -> Iterator[Formula]:
    """Target = a + b, a - b, b - a, also between two dates in days, hours, minutes or seconds."""
    weights = np.random.Generator(np.random.PCG64(1)).uniform(1, 2, probe.values.size)
    plain = [i for i, j in enumerate(probe.others.tolist()) if not columns[j].time]
    dates = [i for i, j in enumerate(probe.others.tolist()) if columns[j].time]
    if not columns[probe.target].time:
        yield from _signed(probe, plain, weights, 2)
        for i, j in itertools.permutations(dates, 2):
            yield from _spans(probe, i, j)
        return
    for i in dates:
        for j in plain:
            for unit in (86400.0, 3600.0, 60.0, 1.0):
                if np.array_equal(probe.matrix[i] + unit * probe.matrix[j], probe.values):
                    parents = int(probe.others[i]), int(probe.others[j])
                    yield Formula(probe.target, parents, "sum", (1.0, unit))


def _spans(probe: _Probe, later: int, earlier: int) -> Iterator[Formula]:
    gap = probe.matrix[later] - probe.matrix[earlier]
    for unit in (86400.0, 3600.0, 60.0, 1.0, 365.25 * 86400.0):
        if np.abs(gap / unit - probe.values).max() <= max(probe.slack, NEAR * float(np.abs(probe.values).max())):
            parents = int(probe.others[later]), int(probe.others[earlier])
            yield Formula(probe.target, parents, "sum", (1 / unit, -1 / unit))


def _triples(probe: _Probe, columns: Sequence[Quantity]) -> Iterator[Formula]:
    """Target = a + b + c, with any signs."""
    if columns[probe.target].time:
        return
    weights = np.random.Generator(np.random.PCG64(1)).uniform(1, 2, probe.values.size)
    plain = [i for i, j in enumerate(probe.others.tolist()) if not columns[j].time]
    yield from _signed(probe, plain[:MOST_TRIPLES], weights, 3)


def _signed(probe: _Probe, plain: list[int], weights: Floats, size: int) -> Iterator[Formula]:
    """Sums of so many columns with signs, found on one random projection."""
    if len(plain) < size:
        return
    at = _combinations(len(plain), size)
    fits: dict[tuple[float, ...], Bools] = {}
    # A third of the rows at a time: a few that break the sum must not hide it.
    for part in range(PARTS):
        rows = slice(part, None, PARTS)
        matrix, target, own = probe.matrix[plain, rows], probe.values[rows], weights[rows]
        near = (NEAR * (np.abs(matrix) @ own))[at].max(axis=1)
        # Totals that were summed before they were rounded are off by a little.
        near += 1e-6 * float(np.abs(target) @ own)
        each = (matrix @ own)[at].T
        for signs in itertools.product((1.0, -1.0), repeat=size):
            if any(s > 0 for s in signs):
                gap = sum(s * e for s, e in zip(signs, each, strict=True)) - float(target @ own)
                fits[signs] = fits.get(signs, np.zeros(len(at), dtype=bool)) | (np.abs(gap) <= near)
    for signs, fit_ in fits.items():
        for found in at[fit_].tolist():
            yield Formula(probe.target, tuple(int(probe.others[plain[i]]) for i in found), "sum", signs)


def _wide(probe: _Probe, columns: Sequence[Quantity], explained: set[int]) -> Iterator[Formula]:
    """Sums of four columns or more, with any signs, by least squares."""
    plain = [i for i, j in enumerate(probe.others.tolist()) if not columns[j].time and j not in explained]
    plain = plain[:MOST_TRIPLES]
    if columns[probe.target].time or not 4 <= len(plain) < probe.values.size - 4:
        return
    factors, _, rank, _ = np.linalg.lstsq(probe.matrix[plain].T, probe.values)
    whole = np.rint(factors)
    used = np.flatnonzero(whole)
    if rank < len(plain) or used.size < 4 or np.abs(factors - whole).max() > 0.01 or np.abs(whole).max() > 1:
        return
    parents = tuple(int(probe.others[plain[i]]) for i in used.tolist())
    yield Formula(probe.target, parents, "sum", tuple(float(f) for f in whole[used]))


@cache
def _combinations(n: int, size: int) -> Ints:
    return np.array(list(itertools.combinations(range(n), size)))


def _clocks(probe: _Probe, columns: Sequence[Quantity]) -> Iterator[Formula]:
    """Times of day: 905 = 850 and 15 minutes."""
    if columns[probe.target].decimals != 0 or not is_clock(probe.values):
        return
    target = minutes(probe.values) % DAY
    for i, start in enumerate(probe.matrix):
        if not is_clock(start):
            continue
        after = (target - minutes(start)) % DAY
        same = np.all(probe.matrix % DAY == after, axis=1)
        for j in np.flatnonzero(same).tolist():
            parents = int(probe.others[i]), int(probe.others[j])
            if i != j:
                yield Formula(probe.target, parents, "clock", (1.0, 1.0))


def _products(probe: _Probe, columns: Sequence[Quantity]) -> Iterator[Formula]:
    """Target = k a b and k a / b, rounded."""
    rows = np.flatnonzero(probe.values != 0)
    rows = rows[spaced(rows.size, FEW)]
    plain = [i for i, j in enumerate(probe.others.tolist()) if not columns[j].time][:MOST_TRIPLES]
    if columns[probe.target].time or rows.size < 8 or len(plain) < 2:
        return
    t, matrix = probe.values[rows], probe.matrix[plain][:, rows]
    half = probe.slack
    for powers in ((1.0, 1.0), (1.0, -1.0)):
        for i in range(len(plain)):
            with np.errstate(all="ignore"):
                made = matrix[i] * matrix ** powers[1]
                ends = (t - half) / made, (t + half) / made
                low, high = np.minimum(*ends), np.maximum(*ends)
                low, high = low * (1 - np.sign(low) * NEAR), high * (1 + np.sign(high) * NEAR)
                fits = np.all(np.isfinite(low), axis=1) & (low.max(axis=1) <= high.min(axis=1))
            for j in np.flatnonzero(fits).tolist():
                if i != j and not (powers[1] == 1.0 and j < i):
                    yield from _multiple(probe, (plain[i], plain[j]), powers)


def _multiple(probe: _Probe, pair: tuple[int, int], powers: tuple[float, float]) -> Iterator[Formula]:
    """The formula with the simplest factor that all rows of the probe allow."""
    with np.errstate(all="ignore"):
        made = probe.matrix[pair[0]] * probe.matrix[pair[1]] ** powers[1]
    use = np.isfinite(made) & (made != 0)
    if use.sum() < 8:
        return
    for room in (probe.slack / 2, probe.slack):
        ends = np.stack([(probe.values[use] - room) / made[use], (probe.values[use] + room) / made[use]])
        low, high = float(ends.min(axis=0).max()), float(ends.max(axis=0).min())
        margin = NEAR * abs(high)
        if low <= high + margin:
            factor = simplest(low - margin, high + margin)
            parents = int(probe.others[pair[0]]), int(probe.others[pair[1]])
            if factor != 0:
                yield Formula(probe.target, parents, "product", powers, factor)
            return
