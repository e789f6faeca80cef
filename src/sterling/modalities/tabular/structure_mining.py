"""From a table to its exact structure: which relations hold, and which columns are rebuilt by which of them."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from sterling.kernel.schema import Kind, Role, Schema
from sterling.modalities.tabular.canonical import flat, number_text
from sterling.modalities.tabular.infer import PROVENANCE
from sterling.modalities.tabular.structure_bounds import take_bounds, take_missing
from sterling.modalities.tabular.structure_cells import CLOCK_PARTS, DATE_PARTS, part_of, plain_values
from sterling.modalities.tabular.structure_plan import Column, Plan, column_of, flag_of, keys_of
from sterling.modalities.tabular.structure_steps import (
    EXACTLY,
    ROUGHLY,
    Computed,
    Constant,
    Decided,
    DecidedTogether,
    Part,
    Relation,
    Step,
)
from sterling.stats.formula_search import MOST_NUMBERS, find_formulas
from sterling.stats.formulas import CURVES, Formula, Found, is_clock
from sterling.stats.rules import least_expected
from sterling.stats.structure import Coded, find_composite, find_decided, table_of, together

if TYPE_CHECKING:
    pass

KINDS = (Kind.NUMBER, Kind.CATEGORY, Kind.DATETIME)
# A column of more distinct values than this, or than a quarter of the rows, decides no other.
MOST_KEYS = 20_000
# A table that says where another column is missing has at most so many entries.
MOST_MARKS = 1000
# Columns among which dependencies are sought.
MOST_COLUMNS = 300
# Categories of which pairs are asked what they decide together.
MOST_PAIRED = 30


def mined(
    table: pa.Table, schema: Schema, fixed: set[str]
) -> tuple[tuple[Relation, ...], tuple[Step, ...], tuple[str, ...]]:
    """The relations of a normalised table, the steps that rebuild columns in order, and what was not looked at.

    Args:
        table: at least one row.
        schema: of the table.
        fixed: columns that are never derived.
    """
    plan = Plan()
    columns: list[Column] = []
    for spec in schema:
        if spec.kind not in KINDS or spec.role in (Role.KEY, Role.ENTITY) or spec.name.startswith(PROVENANCE):
            continue
        column = column_of(spec.name, spec.kind, flat(table.column(spec.name)), fixed=spec.name in fixed)
        if column.coded.size == 1:
            if not column.fixed and table.num_rows >= least_expected():
                _take_constant(plan, column)
        else:
            columns.append(column)
    if len(plan.steps) == len(schema):  # rows need a column to be counted by
        plan.steps.popitem()
    if columns:
        _take_parts(plan, columns)
        formulas = _formulas(plan, columns)
        _take_formulas(plan, *formulas, exact=True)
        _take_wholes(plan, columns[:MOST_COLUMNS])
        _take_decided(plan, columns[:MOST_COLUMNS])
        _take_formulas(plan, *formulas, exact=False)
        _take_pairs(plan, columns[:MOST_COLUMNS])
        take_bounds(plan, columns)
        take_missing(plan, columns[:MOST_COLUMNS])
    return tuple(plan.relations), plan.ordered(), tuple(_left_out(columns))


def _left_out(columns: list[Column]) -> Iterator[str]:
    numbers = sum(c.quantity is not None for c in columns)
    if numbers > MOST_NUMBERS:
        yield f"of {numbers:,} number columns only the first {MOST_NUMBERS} were searched for formulas and bounds"
    if len(columns) > MOST_COLUMNS:
        yield f"of {len(columns):,} columns only the first {MOST_COLUMNS} were searched for what decides them"


def _take_constant(plan: Plan, column: Column) -> None:
    value = plain_values(column.values)[0] if len(column.values) else None
    said = "is always missing" if value is None else f"is always {_shown(column.values)}"
    plan.add(Constant(column.name, value), Relation("constant", (column.name,), f"{column.name} {said}", np.inf))


def _shown(values: pa.Array) -> str:
    value = values[0].as_py()
    return number_text(value) if isinstance(value, float) else str(value)


def _take_parts(plan: Plan, columns: list[Column]) -> None:
    """Years of dates, hours of times of day."""
    for source in columns:
        quantity = source.quantity
        if quantity is None:
            continue
        if quantity.time:
            names = DATE_PARTS if pa.types.is_timestamp(source.array.type) else tuple(
                p for p in DATE_PARTS if p not in ("hour", "minute", "date")
            )  # fmt: skip
        elif quantity.decimals == 0 and is_clock(quantity.values):
            names = CLOCK_PARTS
        else:
            continue
        for name in names:
            values = part_of(source.array, name)
            for column in columns:
                if column is not source and not column.fixed and not plan.follows(column.name):
                    _take_part(plan, source, column, name, values)


def _take_part(plan: Plan, source: Column, column: Column, name: str, values: Any) -> None:
    quantity = column.quantity
    if quantity is None or quantity.time != (name == "date") or quantity.decimals != 0:
        return
    gap = quantity.values - values
    known = quantity.known
    first = np.flatnonzero(known)[:64]
    if not first.size or np.isnan(gap[first]).any() or np.ptp(gap[first]) > 0:
        return
    shift = float(gap[first[0]])
    if (name == "date" and shift != 0) or abs(shift) > 1 or not np.all(gap[known] == shift):
        return
    expected = _differing(column) * int(known.sum())
    if expected < least_expected() or not plan.free(column.name, [source.name]):
        return
    there = source.quantity.known if source.quantity is not None else known
    own = "none" if np.array_equal(known, there) else "missing"
    words = {"hundreds": "the hundreds of", "below hundred": "the last two digits of"}.get(
        name, f"the {name.replace('_', ' ')} of"
    )
    more = f" {'+' if shift > 0 else '-'} {abs(int(shift))}" if shift else ""
    text = f"{column.name} is {words} {source.name}{more}"
    plan.add(
        Part(column.name, source.name, name, int(shift), own),
        Relation("part", (column.name, source.name), text, expected),
    )


def _differing(column: Column) -> float:
    """The chance that two cells of a column differ."""
    shares = np.bincount(column.coded.codes) / column.coded.codes.size
    return 1.0 - float(np.square(shares).sum())


def _formulas(plan: Plan, columns: list[Column]) -> tuple[list[Column], list[Found]]:
    """The number columns, and the formulas that hold among them, the plainest first."""
    numeric = [c for c in columns if c.quantity is not None and not plan.follows(c.name)]
    found = find_formulas([c.quantity for c in numeric if c.quantity is not None])
    return numeric, sorted(found, key=lambda f: _preference(f, numeric))


def _take_formulas(plan: Plan, numeric: list[Column], found: list[Found], *, exact: bool) -> None:
    """First those that give every cell to its last digit; then, if no table does, those that nearly give it."""
    said: set[frozenset[int]] = set()
    for one in found:
        formula = one.formula
        if exact and not _to_the_digit(one, numeric):
            continue
        column, sources = numeric[formula.target], [numeric[p] for p in formula.parents]
        names = tuple(s.name for s in sources)
        together = frozenset((formula.target, *formula.parents))
        if (
            column.quantity is None
            or plan.follows(column.name)
            or not plan.free(column.name, names)
            or together in said
        ):
            continue
        said.add(together)
        own = "rest" if one.broken else "elsewhere" if one.uncovered else "missing" if one.silent else "none"
        local = replace(formula, target=0, parents=tuple(range(1, len(sources) + 1)))
        text = said_formula(column.name, names, formula)
        text += f", but for {one.broken:,} row{'s' if one.broken > 1 else ''}" if one.broken else ""
        plan.add(
            Computed(column.name, names, local, one.decimals, column.quantity.decimals, _slack(one, column), own),
            Relation("formula", (column.name, *names), text, one.expected),
        )


def _to_the_digit(found: Found, columns: list[Column]) -> bool:
    """Whether a sum gives every cell as it is; products of few values are better told by a table."""
    formula = found.formula
    whole = all(float(f).is_integer() for f in formula.factors)
    if formula.shape == "clock" or (formula.shape == "sum" and found.decimals is not None and whole):
        return True
    first, second = columns[formula.target].quantity, columns[formula.parents[0]].quantity
    copies = formula.shape == "sum" and formula.factors == (1.0,) and not formula.constant
    return copies and first is not None and second is not None and np.array_equal(
        first.values[first.known], second.values[first.known]
    )  # fmt: skip


def _slack(found: Found, column: Column) -> float:
    rough = found.formula.shape in CURVES or (column.quantity is not None and column.quantity.coarse)
    return ROUGHLY if rough and found.decimals is None else EXACTLY


def _preference(found: Found, columns: list[Column]) -> tuple[Any, ...]:
    """Plain formulas first; of one relation the total, for its parts are free of bounds, unless it is much lumpier."""
    formula = found.formula
    sizes = [columns[i].coded.size for i in (formula.target, *formula.parents)]
    shapes = {"sum": 0, "clock": 1, "product": 3}
    return (
        found.broken > 0,
        len(str(found.broken)),
        shapes.get(formula.shape, 2),
        len(formula.parents),
        found.uncovered > 0,
        2 * sizes[0] < max(sizes),
        formula.rounding != "nearest",
        sum(f < 0 for f in formula.factors),
        -sizes[0],
        -formula.target,
    )


def said_formula(target: str, parents: Iterable[str], formula: Formula) -> str:
    """A formula in words, such as "total = net + tax".

    >>> said_formula("c", ["a", "b"], Formula(0, (1, 2), "sum", (1.0, -1.0)))
    'c = a - b'
    """
    names = list(parents)
    if formula.shape == "clock":
        return f"{target} = {names[0]} and {names[1]} minutes, as times of day"
    if formula.shape == "product":
        sign = "*" if formula.factors[1] > 0 else "/"
        text = f"{names[0]} {sign} {names[1]}"
        text = text if formula.constant == 1 else f"{_factor(formula.constant)} * {text}"
    elif formula.shape in CURVES:
        inner = f"{formula.shape}({names[0]})"
        text = inner if formula.factors[0] == 1 else f"{_factor(formula.factors[0])} * {inner}"
        text += f" {'+' if formula.constant > 0 else '-'} {_factor(abs(formula.constant))}" if formula.constant else ""
    else:
        text = ""
        for name, factor in zip(names, formula.factors, strict=True):
            sign = ("- " if factor < 0 else "+ ") if text else ("-" if factor < 0 else "")
            text += f"{' ' if text else ''}{sign}{'' if abs(factor) == 1 else _factor(abs(factor)) + ' * '}{name}"
        if formula.constant:
            text += f" {'+' if formula.constant > 0 else '-'} {_factor(abs(formula.constant))}"
    return f"{target} = {text}" + ("" if formula.rounding == "nearest" else f", rounded {formula.rounding}")


def _factor(value: float) -> str:
    over = 1 / value if value else 0.0
    return f"1/{round(over)}" if abs(value) < 1 and abs(over - round(over)) < 1e-9 * abs(over) else f"{value:.12g}"


def _take_decided(plan: Plan, columns: list[Column]) -> None:
    n = len(columns[0].array)
    most = min(MOST_KEYS, n // 4)
    coded = [c.coded for c in columns]
    deciding = [i for i, c in enumerate(columns) if c.coded.size <= most and not _always_derived(plan, c.name)]
    decided = [i for i, c in enumerate(columns) if not c.fixed and not plan.follows(c.name)]
    found = list(find_decided(coded, deciding=deciding, decided=decided))
    flags = [flag_of(c) for c in columns]
    # Where only its gaps decide, it is the other column that says where the gaps are.
    found = [f for f in found if not columns[f[0]].nulls or table_of(flags[f[0]], coded[f[1]]) is None]
    both = {(a, b) for a, b, _ in found}

    def order(pair: tuple[int, int, float]) -> tuple[int, bool, int]:
        a, b, _ = pair
        # Of two names of one thing the number stays, for it has an order; then the first.
        wrong_way = (b, a) in both and (columns[a].quantity is None, a) > (columns[b].quantity is None, b)
        return columns[a].coded.size, wrong_way, a

    for a, b, expected in sorted(found, key=order):
        first, second = columns[a], columns[b]
        if plan.follows(second.name) or not plan.free(second.name, [first.name]):
            continue
        text = f"{first.name} decides {second.name}"
        plan.add(_decided(first, second), Relation("decided", (second.name, first.name), text, expected))


def _take_wholes(plan: Plan, columns: list[Column]) -> None:
    """Columns that decide several parts which decide them together, such as a date and its year, month and day.

    Where a part follows from elsewhere it binds the whole; else the parts are rebuilt from the whole, by and by.
    """
    most = min(MOST_KEYS, len(columns[0].array) // 4)
    coded = [c.coded for c in columns]
    for b, whole in enumerate(columns):
        if whole.fixed or plan.follows(whole.name) or coded[b].size > most:
            continue
        parts = [i for i, c in enumerate(coded) if i != b and c.size > 1 and table_of(coded[b], c) is not None]
        bound = [i for i in parts if plan.follows(columns[i].name) and plan.free(columns[i].name, [whole.name])]
        if bound and len(parts) > 1 and _room(coded, parts):
            _take_composites(plan, columns, find_composite(coded, parts=[parts], decided=[b]))


def _take_pairs(plan: Plan, columns: list[Column]) -> None:
    """Columns that two categories decide together and neither does alone."""
    coded = [c.coded for c in columns]
    small = [i for i, c in enumerate(columns) if 2 < c.coded.size <= MOST_MARKS and c.quantity is None]
    pairs = [p for p in itertools.combinations(small[:MOST_PAIRED], 2) if _room(coded, p)]
    open_ = [i for i, c in enumerate(columns) if not c.fixed and not plan.follows(c.name)]
    _take_composites(plan, columns, find_composite(coded, parts=pairs, decided=open_))


def _take_composites(plan: Plan, columns: list[Column], found: Iterable[tuple[tuple[int, ...], int, float]]) -> None:
    for some, b, expected in found:
        names = [columns[i].name for i in some]
        if plan.follows(columns[b].name) or not plan.free(columns[b].name, names):
            continue
        step = decided_together([columns[i] for i in some], columns[b])
        text = f"{' and '.join(names)} decide {columns[b].name}"
        plan.add(step, Relation("decided", (columns[b].name, *names), text, expected))


def _room(coded: list[Coded], some: Sequence[int]) -> bool:
    """Whether combinations fit into one number."""
    return float(np.prod([coded[i].size + 1.0 for i in some])) < 2.0**62


def decided_together(parts: list[Column], column: Column) -> DecidedTogether:
    """The table by which columns decide another together; of rows that differ the first counts."""
    words = sorted((p for p in parts if p.quantity is None), key=lambda p: -p.coded.size)
    parts = [*words, *(p for p in parts if p.quantity is not None)]
    told, ranks = [keys_of(p) for p in parts], []
    for part, (keys, order) in zip(parts, told, strict=True):
        rank = np.empty(part.coded.size, dtype=np.int64)
        rank[order] = np.arange(len(keys))
        ranks.append(Coded(rank[part.coded.codes], len(keys) + 1))
    places, first = np.unique(together(ranks), return_index=True)
    values = [*plain_values(column.values), None]
    return DecidedTogether(
        column.name,
        tuple(p.name for p in parts),
        tuple(tuple(keys) for keys, _ in told),
        tuple(places.tolist()),
        tuple(values[int(c)] for c in column.coded.codes[first]),
    )


def _always_derived(plan: Plan, name: str) -> bool:
    return any(isinstance(s, Constant) for s in plan.steps.get(name, ()))


def _decided(first: Column, second: Column) -> Decided:
    table = table_of(first.coded, second.coded)
    keys, order = keys_of(first)
    told = [*plain_values(second.values), None]
    values = [] if table is None else [told[int(i)] for i in table[order]]
    commonest = int(np.bincount(second.coded.codes).argmax())
    return Decided(second.name, first.name, tuple(keys), tuple(values), told[commonest])
