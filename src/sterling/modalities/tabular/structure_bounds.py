"""Bounds between columns, and cells that are missing because another column says so."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from sterling.modalities.tabular.structure_cells import quantity_of
from sterling.modalities.tabular.structure_plan import Column, Plan, flag_of, keys_of
from sterling.modalities.tabular.structure_steps import Computed, MissingWith, Part, Relation, Within
from sterling.stats.structure import AtMost, Coded, find_at_most, find_decided, table_of

if TYPE_CHECKING:
    pass

# A table that says where another column is missing has at most so many entries.
MOST_MARKS = 1000
# A bound that luck would break in fewer rows than this share is kept by moving what breaks it, not by rewriting.
BINDING = 0.01
# A column is not rewritten where that makes so many times as many distinct values of it.
LUMPY = 1.2


def take_bounds(plan: Plan, columns: list[Column]) -> None:
    """Each a <= b is kept by one of its two columns: the one of more distinct values, for spikes must stay."""
    numeric = [c for c in columns if c.quantity is not None]
    orders = find_at_most([c.quantity for c in numeric if c.quantity is not None])
    lows: dict[str, list[AtMost]] = {}
    highs: dict[str, list[AtMost]] = {}
    for order in orders:
        low, high = numeric[order.low], numeric[order.high]
        if _implied(plan, low, high, {c.name: c for c in numeric}):
            continue
        side = _bound_side(plan, low, high)
        text = f"{low.name} <= {high.name}"
        how = "checked" if side is None else "built"
        plan.relations.append(Relation("at_most", (low.name, high.name), text, order.expected, how))
        if side is not None:
            chosen, other = (low, high) if side == "low" else (high, low)
            (highs if side == "low" else lows).setdefault(chosen.name, []).append(order)
            plan.parents.setdefault(chosen.name, set()).add(other.name)
    for column in numeric:
        if column.name in lows or column.name in highs:
            own_lows, own_highs = lows.get(column.name, []), highs.get(column.name, [])
            step = _within(column, own_lows, own_highs, numeric)
            plan.steps.setdefault(column.name, []).append(step)


def _bound_side(plan: Plan, low: Column, high: Column) -> str | None:
    """Which of the two columns keeps the bound; None where neither can."""
    able = {
        "low": not low.fixed and not plan.follows(low.name) and plan.free(low.name, [high.name]),
        "high": not high.fixed and not plan.follows(high.name) and plan.free(high.name, [low.name]),
    }
    first, second = ("high", "low") if high.coded.size >= low.coded.size else ("low", "high")
    return first if able[first] else second if able[second] else None


def _within(column: Column, lows: list[AtMost], highs: list[AtMost], numeric: list[Column]) -> Within:
    quantity = column.quantity
    assert quantity is not None
    step = Within(
        column.name,
        tuple(numeric[o.low].name for o in lows),
        tuple(numeric[o.high].name for o in highs),
        float(np.nanmin(quantity.values)),
        float(np.nanmax(quantity.values)),
        quantity.decimals,
        "share" if highs else "excess",
    )
    binding = max(o.expected for o in (*lows, *highs)) >= BINDING * len(column.array)
    others = [numeric[o.low if o in lows else o.high] for o in (*lows, *highs)]
    return step if binding and _pays(step, column, others) else replace(step, mode="clip")


def _pays(step: Within, column: Column, others: list[Column]) -> bool:
    """Whether a column is as well off rewritten: to the last digit the same, no less lumpy, mostly bound."""
    table = pa.table({c.name: c.array for c in (column, *others)})
    cells = {c.name: c.array for c in others}
    known = ~np.isnan(quantity_of(column.array))
    bound = np.any([~np.isnan(quantity_of(o.array)) for o in others], axis=0)
    if 2 * np.count_nonzero(known & bound) < np.count_nonzero(known):
        return False
    free = step.free_part(table)
    if len(free.unique()) > LUMPY * column.coded.size:
        return False
    return bool(step.made(cells | {column.name: free}, column.array.type, len(column.array)).equals(column.array))


def _implied(plan: Plan, low: Column, high: Column, columns: dict[str, Column]) -> bool:
    """Whether what is built already says a <= b."""
    for one, other in ((low, high), (high, low)):
        for step in plan.steps.get(one.name, ()):
            sums = isinstance(step, Computed) and step.formula.shape == "sum"
            if not sums and not isinstance(step, Within | MissingWith) and other.name in step.parents:
                return True
    return _follows_from_sum(plan, low, high, columns)


def _follows_from_sum(plan: Plan, low: Column, high: Column, columns: dict[str, Column]) -> bool:
    """Whether a sum says a <= b already: a total is at least each of its parts that are never negative."""
    for total, sign in ((high, 1.0), (low, -1.0)):
        for step in plan.steps.get(total.name, ()):
            if not isinstance(step, Computed) or step.formula.shape != "sum":
                continue
            other = low if total is high else high
            factors = dict(zip(step.sources, step.formula.factors, strict=True))
            if factors.pop(other.name, 0.0) != 1.0 or sign * step.formula.constant < 0:
                continue
            if all(sign * factor > 0 and _least(columns[name]) >= 0 for name, factor in factors.items()):
                return True
    return False


def _least(column: Column) -> float:
    return -np.inf if column.quantity is None else float(np.nanmin(column.quantity.values))


def take_missing(plan: Plan, columns: list[Column]) -> None:
    """Cells that are missing exactly where another column says so."""
    partial = [i for i, c in enumerate(columns) if 0 < c.nulls < len(c.array)]
    some = [i for i in partial if not columns[i].fixed and _missing_is_open(plan, columns[i].name)]
    if not some:
        return
    flags = [flag_of(c) for c in columns]
    found = {(a, b, True): e for a, b, e in find_decided(flags, deciding=partial, decided=some)}
    few = [i for i, c in enumerate(columns) if c.coded.size <= MOST_MARKS]
    d = len(columns)
    by_value = find_decided([*(c.coded for c in columns), *flags], deciding=few, decided=[d + i for i in some])
    found |= {(a, b - d, False): e for a, b, e in by_value if a != b - d}
    for (a, b, by_gap), expected in sorted(found.items(), key=lambda f: (-f[0][1], not f[0][2], f[0][0])):
        first, second = columns[a], columns[b]
        taken = any(isinstance(s, MissingWith) for s in plan.steps.get(second.name, ()))
        if taken or not plan.free(second.name, [first.name]):
            continue
        step = _missing_with(first, second, flags, a, b, by_gap=by_gap)
        text = f"{second.name} is missing exactly where {first.name} {_where(step)}"
        _close_missing(plan, second.name)
        plan.add(step, Relation("missing", (second.name, first.name), text, expected))


def _missing_is_open(plan: Plan, name: str) -> bool:
    """Whether nothing says yet where a column is missing."""
    return all(
        isinstance(s, Within) or (isinstance(s, Computed | Part) and s.own == "missing")
        for s in plan.steps.get(name, ())
    )


def _close_missing(plan: Plan, name: str) -> None:
    """A column that follows from others but for its missing cells now follows altogether."""
    plan.steps[name] = [
        replace(s, own="none") if isinstance(s, Computed | Part) else s for s in plan.steps.get(name, ())
    ]


def _missing_with(first: Column, second: Column, flags: list[Coded], a: int, b: int, *, by_gap: bool) -> MissingWith:
    if by_gap:
        table = table_of(flags[a], flags[b])
        return MissingWith(second.name, first.name, (None,), (bool(table is not None and table[1]),))
    table = table_of(first.coded, flags[b])
    keys, order = keys_of(first)
    gone = [] if table is None else [bool(v > 0) for v in table[order]]
    return MissingWith(second.name, first.name, tuple(keys), tuple(gone))


def _where(step: MissingWith) -> str:
    if step.keys == (None,):
        return "is" if step.missing[0] else "is not"
    named = [k for k, gone in zip(step.keys, step.missing, strict=True) if gone]
    there = [k for k, gone in zip(step.keys, step.missing, strict=True) if not gone]
    listed, word = (named, "is") if len(named) <= len(there) else (there, "is not")
    shown = ", ".join("missing" if k is None else str(k) for k in listed[:4])
    return f"{word} {shown}" + (f" ... ({len(listed)} values)" if len(listed) > 4 else "")
