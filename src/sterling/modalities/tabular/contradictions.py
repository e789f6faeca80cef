"""Constraints that cannot hold together: the fewest that already conflict, by name."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from sterling.kernel.errors import InputError
from sterling.kernel.schema import Schema
from sterling.modalities.tabular.constraints import (
    AtMost,
    Constraint,
    Constraints,
    Equation,
    Forbidden,
    Levels,
    MissingWhere,
    NotNull,
    Range,
    satisfied,
)
from sterling.modalities.tabular.expressions import names_in, value_of

if TYPE_CHECKING:
    from sterling.kernel.view import Bools

# Random rows on which two formulas for one column are compared.
TRIED = 16
# Fewer real rows than this prove nothing by keeping no two constraints at once.
FEWEST_ROWS = 30


def refuse_contradictions(constraints: Constraints, *, schema: Schema, real: pa.Table | None = None) -> None:
    """Refuse constraints of which some cannot hold together, or that no real row keeps together.

    Args:
        constraints: parsed with `schema`.
        schema: of the table.
        real: real rows that must be able to keep them; None checks the words alone.

    Raises:
        InputError: naming the fewest constraints that conflict, mostly two.
    """
    items = constraints.items
    for found in (_ends(items), _circle(items), _bounds(items), _formulas(items), _values(items)):
        if found:
            raise _error(found, "cannot hold together" if len(found) > 1 else "cannot hold")
    if real is None or real.num_rows < FEWEST_ROWS:
        return
    kept = satisfied(real, constraints, schema)
    for one, rows in zip(items, kept, strict=True):
        if not rows.any():
            raise _error((one,), f"holds in none of the {real.num_rows:,} real rows")
    found = _never_together(items, kept)
    if found:
        raise _error(found, f"hold together in none of the {real.num_rows:,} real rows")


def _error(found: Sequence[Constraint], what: str) -> InputError:
    said = " and ".join(repr(one.text) for one in found)
    which = "it" if len(found) == 1 else "one of them"
    return InputError(
        f"the constraint{'s' if len(found) > 1 else ''} {said} {what}", mend=f"change {which}, or set keep = false"
    )


def _ends(items: Sequence[Constraint]) -> tuple[Constraint, ...]:
    """Ranges that are empty, alone or with another of the same column."""
    ranges = [i for i in items if isinstance(i, Range)]
    for one in ranges:
        if _low(one) > _high(one):
            return (one,)
    for one, other in itertools.combinations(ranges, 2):
        if one.column == other.column and max(_low(one), _low(other)) > min(_high(one), _high(other)):
            return one, other
    return ()


def _low(one: Range) -> float:
    return -np.inf if one.low is None else one.low


def _high(one: Range) -> float:
    return np.inf if one.high is None else one.high


def _circle(items: Sequence[Constraint]) -> tuple[Constraint, ...]:
    """The shortest circle of orders of which one is strict: a < b and b <= a."""
    orders = [i for i in items if isinstance(i, AtMost)]
    shortest: tuple[Constraint, ...] = ()
    for first in (o for o in orders if o.strict):
        paths: list[tuple[AtMost, ...]] = [(first,)]
        seen = {first.high}
        while paths:
            path = paths.pop(0)
            if path[-1].high == first.low:
                if not shortest or len(path) < len(shortest):
                    shortest = path
                break
            for order in orders:
                if order.low == path[-1].high and (order.high not in seen or order.high == first.low):
                    seen.add(order.high)
                    paths.append((*path, order))
    return shortest


def _bounds(items: Sequence[Constraint]) -> tuple[Constraint, ...]:
    """A <= b where all of a's range lies above all of b's."""
    ranges = [i for i in items if isinstance(i, Range)]
    for order in (i for i in items if isinstance(i, AtMost)):
        for low, high in itertools.product(ranges, ranges):
            if (low.column, high.column) == (order.low, order.high):
                room = _high(high) - _low(low)
                if room < 0 or (room == 0 and order.strict):
                    return order, low, high
    return ()


def _formulas(items: Sequence[Constraint]) -> tuple[Constraint, ...]:
    """Two formulas of one column that differ by the same amount whatever the row."""
    equations = [i for i in items if isinstance(i, Equation)]
    for one in equations:
        if names_in(one.node) == (one.target,) and _apart(one.node, None, one.target):
            return (one,)
    for one, other in itertools.combinations(equations, 2):
        if one.target == other.target and _apart(one.node, other.node, one.target):
            return one, other
    return ()


def _apart(first: object, second: object | None, target: str) -> bool:
    """Whether two expressions (or one and its own target) differ by a constant that is not 0."""
    from sterling.modalities.tabular.expressions import Call, Name, Node

    nodes: list[Node] = [n for n in (first, second or Name(target)) if isinstance(n, Call | Name) or n is not None]  # type: ignore[misc]
    names = sorted({name for node in nodes for name in names_in(node)})
    rng = np.random.Generator(np.random.PCG64(0))
    cells = {name: pa.array(rng.uniform(1, 9, TRIED)) for name in names}
    if any(isinstance(n, Call) and _has_dates(n) for n in nodes):
        return False
    gap = value_of(nodes[0], cells, TRIED) - value_of(nodes[1], cells, TRIED)
    return bool(np.all(np.isfinite(gap)) and np.ptp(gap) < 1e-9 and abs(float(gap[0])) > 1e-9)


def _has_dates(node: object) -> bool:
    from sterling.modalities.tabular.expressions import Call
    from sterling.modalities.tabular.structure_cells import DATE_PARTS

    return isinstance(node, Call) and (node.function in DATE_PARTS or any(_has_dates(part) for part in node.of))


def _values(items: Sequence[Constraint]) -> tuple[Constraint, ...]:
    """Lists of values that have none in common, or all of which are forbidden; never missing and sometimes."""
    levels = [i for i in items if isinstance(i, Levels)]
    for one, other in itertools.combinations(levels, 2):
        if one.column == other.column and not set(one.allowed) & set(other.allowed):
            return one, other
    for one in levels:
        for ban in (i for i in items if isinstance(i, Forbidden)):
            if ban.columns == (one.column,) and set(one.allowed) <= set(ban.cells[0][1]):
                return one, ban
    never = {i.column: i for i in items if isinstance(i, NotNull)}
    for gap in (i for i in items if isinstance(i, MissingWhere)):
        other = next((v for v in levels if v.column == gap.where and set(v.allowed) <= set(gap.values)), None)
        if gap.column in never and other is not None:
            return gap, never[gap.column], other
    return ()


def _never_together(items: Sequence[Constraint], kept: Sequence[Bools]) -> tuple[Constraint, ...]:
    """Two constraints that no row keeps at once; else the fewest that leave none, dropped one by one."""
    for (one, a), (other, b) in itertools.combinations(zip(items, kept, strict=True), 2):
        if not (a & b).any():
            return one, other
    if not items or np.all(kept, axis=0).any():
        return ()
    needed = list(range(len(items)))
    for i in range(len(items)):
        rest = [j for j in needed if j != i]
        if rest and not np.all([kept[j] for j in rest], axis=0).any():
            needed = rest
    return tuple(items[j] for j in needed)
