"""Rows that break what every real row keeps: impossible values, combinations, orders, sums."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from sterling.kernel.estimate import Estimate, Unmeasured
from sterling.kernel.finding import Finding, Json, Status
from sterling.kernel.protocols import Terms, measure
from sterling.kernel.schema import Kind, Role
from sterling.kernel.view import Column, Need, View
from sterling.stats.bounds import status_of
from sterling.stats.dependence import cross_counts, starts_of
from sterling.stats.rows import columns_at, drawn
from sterling.stats.rules import (
    Order,
    Sum,
    belongs_to,
    breaches,
    excess_bounds,
    find_orders,
    find_sums,
    forbidden_cells,
    is_dependency,
    sum_off,
    tail_limits,
)
from sterling.stats.slices import REST, Cut, cut_column

if TYPE_CHECKING:
    from sterling.kernel.view import AnyArray, Bools, Floats

# One row in a thousand.
BOUND = 0.001
LEAST_ROWS = 30
FOLDS = 4
MOST_ROWS, MOST_ROWS_FAST = 100_000, 20_000
BINS, LEVELS, LEAST_COUNT = 32, 32, 30
# Columns whose pairs are looked at; of numbers, whose orders and sums are.
MOST_COLUMNS, MOST_NUMBERS = 60, 30
# A number of more distinct values neither decides another column nor is decided by one.
MOST_VALUES, LARGEST_TABLE = 1000, 1_000_000
# The levels of a category are all known when hardly any occurs once: unseen mass is singletons by rows (Good 1953).
UNSEEN = 0.0005
# Surely broken pairs of values whose rows are looked up, the worst; at most ten of them are named.
MOST_CELLS = 500
MOST_FINDINGS = 10
MOST_SHOWN = 20


@dataclass(frozen=True, slots=True, eq=False)
class _Coded:
    """Records in the codes that rules speak of.

    Args:
        columns: [d] of the records; their numbers are used as they are.
        cuts: [c] coarse cuts of the columns whose pairs are looked at.
        coarse: [c] arrays [n] of their codes.
        exact: [d] arrays [n] of exact values' codes, the last for missing; None where there are too many values.
        widths: [d] how many exact codes, 0 where there are none.
    """

    columns: tuple[Column, ...]
    cuts: list[Cut]
    coarse: list[AnyArray]
    exact: list[AnyArray | None]
    widths: list[int]

    @property
    def n(self) -> int:
        """How many records."""
        return int(self.columns[0].values.size)

    @property
    def numbers(self) -> list[int]:
        """Positions of numbers, and of dates."""
        return [i for i, c in enumerate(self.columns) if c.kind is not Kind.CATEGORY]

    def take(self, rows: AnyArray) -> _Coded:
        """The records at these positions."""
        columns = tuple(replace(c, values=c.values[rows]) for c in self.columns)
        exact = [None if e is None else e[rows] for e in self.exact]
        return _Coded(columns, self.cuts, [c[rows] for c in self.coarse], exact, self.widths)


@dataclass(frozen=True, slots=True, eq=False)
class _Rules:
    """What was mined from some real records.

    Args:
        forbidden: [k, k] pairs of coarse codes that never meet.
        rare: [k, k] pairs that hardly ever meet: no rules of the whole, but each is tested by itself.
        able: how many candidates could have been a rule, of all kinds.
        limits: per number its position, lower and upper limit.
        present: positions of columns that are never missing.
        closed: positions of categories whose levels are all known, with [k] whether each code is.
        orders: pairs a <= b.
        sums: triples a + b = c.
        owned: (a, b, [k] the code of b that belongs to each code of a).
    """

    forbidden: Bools
    rare: Bools
    able: int
    limits: list[tuple[int, float, float]]
    present: list[int]
    closed: list[tuple[int, Bools]]
    orders: list[Order]
    sums: list[Sum]
    owned: list[tuple[int, int, AnyArray]]


@dataclass(frozen=True, slots=True, eq=False)
class _Broken:
    """One rule with the synthetic rows that break it.

    Args:
        title: the breach in words.
        rows: [j] positions of the synthetic rows, ascending.
        judged: synthetic rows looked at.
        real: how many of the `among` fresh real rows.
        among: real rows looked at.
        at_least: lower bound of the excess, corrected for all rules; filled in by `_tested`.
    """

    title: str
    rows: AnyArray
    judged: int
    real: int
    among: int
    at_least: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class _Found:
    """What all rules together found.

    Args:
        synthetic: [m] in how many of the folds' rules each row breaks one, as a share.
        real: [n] which rows break a rule that was mined without them.
        broken: rules that are surely broken more often than by real rows, the worst first, without repetition.
        kept: how many rules, by family.
        looks: tests made.
    """

    synthetic: Floats
    real: Bools
    broken: list[_Broken]
    kept: dict[str, Json] = field(default_factory=dict[str, Json])
    looks: int = 0


@measure(Need.COLUMNS, title="Rows that break rules which real rows keep", better="lower", floor=False)
def rule_violation(
    real: View, synthetic: View, *, holdout: View | None, rng: np.random.Generator, terms: Terms
) -> tuple[Finding, ...]:
    """Share of the synthetic rows that no real row would be, beyond the share of fresh real rows.

    Rules are mined from real rows, those of the holdout among them: two values that never meet though independence
    expects it often (37 times or more); numbers far beyond the observed range, or at all beyond an end where values
    pile up; levels and missing cells that never occur; a <= b; a + b = c; a column that decides another. Each of
    four parts of the real rows is judged by the rules of the other three, which gives the rate at which fresh real
    rows break them: the control. The synthetic rows are judged by the same four sets of rules.

    Args:
        real: train rows.
        synthetic: the rows to be judged.
        holdout: more real rows, or None.
        rng: deals the parts; draws rows where there are more than 100,000 (20,000 when fast).
        terms: `bound` is the largest tolerable share of impossible rows, default .001; `alpha` is spent half on
            the whole and half on all single rules.

    Returns:
        First the share beyond the control, -1 to 1; smaller is better, 0 is ideal. Then one finding for each rule
        that is surely broken more often than by real rows and that no other explains, at most 10: a failure where
        that is certainly beyond the bound, else a warning.

    Source: Garwood 1936 and Clopper & Pearson 1934 for the exact bounds, Weissman 1978 for the ends of ranges,
        Good 1953 for unseen levels; cross-validated support as in Webb 2007, Machine Learning 68:1.
    """
    bound = BOUND if terms.bound is None else terms.bound
    params: dict[str, Json] = {"bound": bound, "alpha": terms.alpha, "n_real": real.n, "n_synthetic": synthetic.n}
    judgeable = any(c.role is not Role.WEIGHT for c in real.columns or ())
    if min(real.n, synthetic.n) < LEAST_ROWS or not judgeable:
        return (_unmeasured(real, synthetic, params),)
    known, judged, places = _sets(real, synthetic, holdout, rng, terms)
    params |= {"folds": FOLDS, "rows_of_rules": known.n, "rows_judged": judged.n}
    coded = _code(known, known, terms), _code(known, judged, terms)
    left_out = len(coded[0].columns) - len(coded[0].cuts)
    found = _search(coded[0], coded[1], rng, terms)
    if not sum(v for v in found.kept.values() if isinstance(v, int)):
        return (_unmeasured(real, synthetic, params),)
    params |= {"rules": found.kept, "looks": found.looks, "columns_without_pairs": left_out}
    findings = [_rule_finding(b, judged.n, found.looks, terms, bound, params, places) for b in found.broken]
    drawn = (real.n + (holdout.n if holdout is not None else 0), synthetic.n) != (known.n, judged.n)
    return (_whole(found, terms, bound, params, places, drawn=drawn), *findings)  # type: ignore[arg-type]


def _sets(
    real: View, synthetic: View, holdout: View | None, rng: np.random.Generator, terms: Terms
) -> tuple[View, View, AnyArray]:
    """All real rows, the rows to be judged, and the latter's places in their set; not more than are affordable."""
    most = MOST_ROWS_FAST if terms.effort == "fast" else MOST_ROWS
    known = [real] if holdout is None or not holdout.n else [real, holdout]
    rows = [drawn(sum(v.n for v in sets), most, rng=rng) for sets in (known, [synthetic])]
    return columns_at(known, rows[0]), columns_at([synthetic], rows[1]), rows[1]


def _code(known: View, side: View, terms: Terms) -> _Coded:
    """One side in codes that are made from all real rows."""
    columns = [c for c in known.columns or () if c.role is not Role.WEIGHT]
    first = [c for c in columns if c.role in (Role.TARGET, Role.GROUP) or c.name in terms.slices]
    chosen = (first + [c for c in columns if c not in first])[:MOST_COLUMNS] if len(columns) > MOST_COLUMNS else columns
    cuts = [cut_column(c, bins=BINS, least=LEAST_COUNT, most=LEVELS) for c in chosen]
    own = tuple(side.column(c.name) for c in columns)
    exact = [_exact(a, b) for a, b in zip(columns, own, strict=True)]
    coarse = [cut.assign(side.column(cut.name)) for cut in cuts]
    return _Coded(own, cuts, coarse, [e[0] for e in exact], [e[1] for e in exact])


def _exact(known: Column, own: Column) -> tuple[AnyArray | None, int]:
    """[n] codes of the exact values, and how many there are; the last two of a number are "other" and "missing"."""
    if known.kind is Kind.CATEGORY:
        levels = len(known.levels or ())
        return np.where(own.missing, levels, own.values), levels + 1
    values = np.unique(known.values[~known.missing])
    if not 1 < values.size <= min(MOST_VALUES, known.values.size // 10):
        return None, 0
    place = np.minimum(np.searchsorted(values, own.values), values.size - 1)
    codes = np.where(values[place] == own.values, place, values.size)
    return np.where(own.missing, values.size + 1, codes), int(values.size) + 2


def _search(real: _Coded, synthetic: _Coded, rng: np.random.Generator, terms: Terms) -> _Found:
    """Mine all rules, and each part's rules from the others."""
    fold = rng.permutation(real.n) % FOLDS
    widths = [len(c.labels) for c in real.cuts]
    parts = [cross_counts([c[fold == k] for c in real.coarse], widths) for k in range(FOLDS)]
    counts = np.sum(parts, axis=0)
    real_broken, synthetic_broken = np.zeros(real.n, dtype=bool), np.zeros(synthetic.n)
    fresh: dict[str, int] = {}
    seen: dict[str, int] = {}
    for k in range(FOLDS):
        rules = _mine(real.take(np.flatnonzero(fold != k)), counts - parts[k], widths)
        own = real.take(np.flatnonzero(fold == k))
        single = _single(rules, own)
        for key, (_, rows) in single.items():
            fresh[key] = fresh.get(key, 0) + int(rows.sum())
            seen[key] = seen.get(key, 0) + 1
        real_broken[fold == k] = _any(rules, own, widths, single)
        synthetic_broken += _any(rules, synthetic, widths, _single(rules, synthetic)) / FOLDS
    rules = _mine(real, counts, widths)
    # A rule that a part of the real rows did not confirm is none.
    single = {key: s for key, s in _single(rules, synthetic).items() if seen.get(key) == FOLDS}
    # Every candidate is a look, for a rule is chosen because its count is small, and is tested against that count.
    looks = max(1, rules.able)
    each = terms.alpha / 2 / looks
    explicit = [
        _Broken(title, np.flatnonzero(rows), rows.size, fresh[key], real.n)
        for key, (title, rows) in single.items()
        if rows.any()
    ]
    broken = _unrepeated(_tested([*explicit, *_cells(rules, counts, real, synthetic, each)], each), each)
    kept: dict[str, Json] = {"pairs_of_values": int(rules.forbidden.sum()), "other": len(single)}
    return _Found(synthetic_broken, real_broken, broken, kept, looks)


def _mine(real: _Coded, counts: Floats, widths: list[int]) -> _Rules:
    starts = starts_of(widths)
    forbidden, rare, able = forbidden_cells(counts, starts, real.n)
    rest = np.array([label == REST for cut in real.cuts for label in cut.labels])
    owned, decided = _owned(real)
    place = {cut.name: i for i, cut in enumerate(real.cuts)}
    out = rest[:, None] | rest[None, :]
    for i, j, _ in owned:  # said once: by the dependency
        a, b = sorted(place[real.columns[p].name] for p in (i, j))
        out[starts[a] : starts[a + 1], starts[b] : starts[b + 1]] = True
    numbers = real.numbers
    values = [real.columns[i].values for i in numbers]
    orders, ordered = find_orders(values, most=MOST_NUMBERS)
    sums, summed = find_sums(values, most=MOST_NUMBERS)
    # Two ends or the levels of each column, and whether it is ever missing.
    of_one = len(real.columns) + 2 * len(numbers) + len(real.columns) - len(numbers)
    closed = [(i, known) for i in range(len(real.columns)) if (known := _closed(real, i)) is not None]
    return _Rules(
        forbidden & ~out,
        rare & ~out,
        int((able & ~out).sum()) + of_one + ordered + summed + decided,
        [(i, *tail_limits(v[~np.isnan(v)])) for i, v in zip(numbers, values, strict=True)
         if real.columns[i].role is not Role.TIME],
        [i for i, c in enumerate(real.columns) if not c.missing.any()],
        closed,
        [Order(numbers[o.low], numbers[o.high]) for o in orders],
        [Sum(numbers[s.first], numbers[s.second], numbers[s.total], s.slack) for s in sums],
        owned,
    )  # fmt: skip


def _closed(real: _Coded, i: int) -> Bools | None:
    """[k] which codes of a category are known, the missing one always; None where others may come."""
    codes = real.exact[i]
    if real.columns[i].kind is not Kind.CATEGORY or codes is None:
        return None
    counts = np.bincount(codes, minlength=real.widths[i])
    if np.count_nonzero(counts[:-1] == 1) > UNSEEN * real.n:
        return None
    known = counts > 0
    known[-1] = True
    return known


def _owned(real: _Coded) -> tuple[list[tuple[int, int, AnyArray]], int]:
    """Columns that decide others, each pair in one direction; and how many could have."""
    found: list[tuple[int, int, AnyArray]] = []
    taken: set[tuple[int, int]] = set()
    names = {cut.name for cut in real.cuts}
    coded = [i for i, e in enumerate(real.exact) if e is not None and real.columns[i].name in names]
    able = 0
    for i in coded:
        for j in coded:
            shape = real.widths[i], real.widths[j]
            if i == j or shape[0] * shape[1] > LARGEST_TABLE:
                continue
            able += 1
            if (j, i) in taken:
                continue
            a, b = real.exact[i], real.exact[j]
            if a is not None and b is not None and is_dependency(a, b, shape):
                found.append((i, j, belongs_to(a, b, shape)))
                taken.add((i, j))
    return found, able


def _single(rules: _Rules, data: _Coded) -> dict[str, tuple[str, Bools]]:
    """All rules but the forbidden pairs of values: by key, the breach in words and [n] which records break it."""
    found: dict[str, tuple[str, Bools]] = {}
    columns, names = data.columns, [c.name for c in data.columns]
    values = [c.values for c in columns]
    for i, low, high in rules.limits:
        if np.isfinite(low):
            found[f"low {i}"] = (f"{names[i]}<{_shown(columns[i], low, up=True)}", values[i] < low)
        if np.isfinite(high):
            found[f"high {i}"] = (f"{names[i]}>{_shown(columns[i], high, up=False)}", values[i] > high)
    for i in rules.present:
        found[f"missing {i}"] = (f"{names[i]}=missing", columns[i].missing)
    for i, known in rules.closed:
        rows = ~known[data.exact[i]]
        found[f"level {i}"] = (_unknown(columns[i], rows), rows)
    for o in rules.orders:
        found[f"order {o.low} {o.high}"] = (f"{names[o.low]}>{names[o.high]}", values[o.low] > values[o.high])
    for s in rules.sums:
        title = f"{names[s.first]}+{names[s.second]}!={names[s.total]}"
        found[f"sum {s.first} {s.second} {s.total}"] = (title, sum_off(values, s))
    for i, j, owner in rules.owned:
        a, b = data.exact[i], data.exact[j]
        if a is not None and b is not None:
            found[f"owned {i} {j}"] = (f"{names[i]} contradicts {names[j]}", (owner[a] >= 0) & (owner[a] != b))
    return found


def _any(rules: _Rules, data: _Coded, widths: list[int], single: dict[str, tuple[str, Bools]]) -> Bools:
    """[n] which records break any rule."""
    broken = breaches(data.coarse, widths, rules.forbidden) > 0
    for _, rows in single.values():
        broken |= rows
    return broken


def _cells(rules: _Rules, counts: Floats, real: _Coded, synthetic: _Coded, alpha: float) -> list[_Broken]:
    """The worst pairs of values that hardly ever meet, but surely do more often in synthetic rows."""
    widths = [len(c.labels) for c in real.cuts]
    at = np.flatnonzero(breaches(synthetic.coarse, widths, rules.rare))
    if not at.size:
        return []
    met = cross_counts([c[at] for c in synthetic.coarse], widths)
    x, y = np.nonzero(rules.rare & (met > 0))
    low, _ = excess_bounds(met[x, y], synthetic.n, counts[x, y], real.n, alpha=alpha)
    labels = [(c, k) for c, cut in enumerate(real.cuts) for k in range(len(cut.labels))]
    found: list[_Broken] = []
    for p in np.argsort(-low, kind="stable")[: min(MOST_CELLS, int((low > 0).sum()))]:
        (i, a), (j, b) = labels[x[p]], labels[y[p]]
        hit = at[(synthetic.coarse[i][at] == a) & (synthetic.coarse[j][at] == b)]
        title = f"{real.cuts[i].title(a)}&{real.cuts[j].title(b)}"
        found.append(_Broken(title, hit, synthetic.n, int(counts[x[p], y[p]]), real.n))
    return found


def _tested(rules: Sequence[_Broken], alpha: float) -> list[_Broken]:
    """The rules that are surely broken more often than by real rows, the worst first."""
    if not rules:
        return []
    m, n = rules[0].judged, rules[0].among
    low, _ = excess_bounds([r.rows.size for r in rules], m, [r.real for r in rules], n, alpha=alpha)
    tested = [replace(r, at_least=float(x)) for r, x in zip(rules, low, strict=True) if x > 0]
    return sorted(tested, key=lambda r: (-r.at_least, r.title))


def _unrepeated(rules: list[_Broken], alpha: float) -> list[_Broken]:
    """Without the rules that are no longer surely broken once the rows of worse ones are gone."""
    named: list[_Broken] = []
    gone = np.zeros(rules[0].judged if rules else 0, dtype=bool)
    for rule in rules:
        if _tested([replace(rule, rows=rule.rows[~gone[rule.rows]])], alpha):
            named.append(rule)
            gone[rule.rows] = True
        if len(named) == MOST_FINDINGS:
            break
    return named


def _whole(
    found: _Found, terms: Terms, bound: float, params: dict[str, Json], places: AnyArray, *, drawn: bool
) -> Finding:
    m, n = found.synthetic.size, found.real.size
    j, k = float(found.synthetic.sum()), int(found.real.sum())
    value = j / m - k / n
    low, high = (float(x) for x in excess_bounds(j, m, k, n, alpha=(1 - terms.level) / 2))
    at_least = float(excess_bounds(j, m, k, n, alpha=terms.alpha / 2)[0])
    surely = [at_least, *(b.at_least for b in found.broken)]
    status = Status.FAIL if max(surely) > bound else status_of(min(low, 0.0), high, bound, better="lower")
    if found.broken and status is not Status.FAIL:
        status = Status.WARN
    drawn_words = " Rows were drawn from larger sets." if drawn else ""
    order = np.argsort(-found.synthetic, kind="stable")
    worst = [int(i) for i in order[: int(min(MOST_SHOWN, (found.synthetic > 0).sum()))]]
    result = Estimate(
        value, min(low, value), max(high, value), n + m, terms.level, f"exact, {FOLDS}-fold control of real rows"
    )
    table: list[Json] = [
        {"rule": b.title, "synthetic": b.rows.size, "real": b.real, "at_least": b.at_least} for b in found.broken
    ]
    return Finding(
        "rule_violation", result, "lower", status, reason=_sentence(found, j, k, bound) + drawn_words, params=params,
        evidence={"at_least": max(surely), "synthetic": j, "real": k, "real_rows": n, "rules": table,
                  "worst_rows": [int(places[i]) for i in worst]},
    )  # fmt: skip


def _sentence(found: _Found, j: float, k: int, bound: float) -> str:
    m, n = found.synthetic.size, found.real.size
    rules = sum(v for v in found.kept.values() if isinstance(v, int))
    counts = (
        f"{j:,.0f} of {m:,} synthetic rows break one of {rules:,} rules that real rows keep; of {n:,} real rows {k:,} "
        "break one that was mined without them"
    )
    if not found.broken:
        return f"{counts}; {bound:g} more are tolerated."
    named = ", ".join(f"{b.title} ({b.rows.size:,})" for b in found.broken[:3])
    return f"{counts}. Most broken: {named}."


def _rule_finding(
    rule: _Broken, m: int, looks: int, terms: Terms, bound: float, params: dict[str, Json], places: AnyArray
) -> Finding:
    j, n = rule.rows.size, rule.among
    low, high = (float(x) for x in excess_bounds(j, m, rule.real, n, alpha=(1 - terms.level) / 2 / looks))
    value = j / m - rule.real / n
    result = Estimate(value, min(low, value), max(high, value), n + m, terms.level, f"exact, {looks} looks")
    reason = f"{rule.title} holds for {j:,} of {m:,} synthetic rows, but for {rule.real:,} of {n:,} real rows."
    worst: list[Json] = [int(places[i]) for i in rule.rows[:MOST_SHOWN]]
    return Finding(
        "rule_violation", result, "lower", Status.FAIL if rule.at_least > bound else Status.WARN, slice=rule.title,
        reason=reason, params=params,
        evidence={"at_least": rule.at_least, "synthetic": j, "real": rule.real, "worst_rows": worst},
    )  # fmt: skip


def _unknown(column: Column, rows: Bools) -> str:
    codes = np.unique(column.values[rows])
    if codes.size == 1 and column.levels is not None:
        return f"{column.name}={column.levels[int(codes[0])]}"
    return f"{column.name} has unknown levels"


def _shown(column: Column, x: float, *, up: bool) -> str:
    """A limit in words, rounded to the side on which nothing is said that is not meant."""
    if column.kind is Kind.DATETIME:
        try:
            return datetime.datetime.fromtimestamp(x, datetime.UTC).date().isoformat()
        except (OverflowError, ValueError, OSError):  # beyond the years 1 to 9999
            return f"{x:.4g} s"
    if column.integer and abs(x) < 1e15:
        return f"{np.ceil(x) if up else np.floor(x):.0f}"
    return f"{x:.4g}"


def _unmeasured(real: View, synthetic: View, params: dict[str, Json]) -> Finding:
    few = Unmeasured(
        f"{real.n:,} real and {synthetic.n:,} synthetic rows with {len(real.columns or ())} columns give no rule",
        mend=f"give at least {LEAST_ROWS} rows of each; rules between columns need some hundreds",
    )
    return Finding("rule_violation", few, "lower", Status.UNMEASURED, reason=few.reason, params=params)
