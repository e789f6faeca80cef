"""Mined structure as a file of constraints that a person can read, mend and confirm."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence

import pyarrow as pa

from sterling.kernel.schema import Field, Kind, Role, Schema
from sterling.modalities.tabular.canonical import canonical
from sterling.modalities.tabular.constraints import words_of
from sterling.modalities.tabular.expressions import quoted
from sterling.modalities.tabular.forbidden_pairs import NeverTogether
from sterling.modalities.tabular.infer import PROVENANCE
from sterling.modalities.tabular.storage import normalise, storage_type
from sterling.modalities.tabular.structure import Structure
from sterling.modalities.tabular.structure_cells import Value, plain_cells
from sterling.modalities.tabular.structure_steps import (
    EXACTLY,
    ROUGHLY,
    Computed,
    Constant,
    MissingWith,
    Part,
    Relation,
    Step,
)

HEAD = """\
# Constraints of {name}: what held in all {rows:,} rows and would not by luck.
# Set keep = false, or delete, what need not hold; add your own. See docs/constraints.md.
"""


def constraints_text(
    structure: Structure, never: Sequence[NeverTogether], schema: Schema, *, name: str, rows: int
) -> str:
    """The TOML text of a file of constraints.

    Args:
        structure: as mined.
        never: values that never meet.
        schema: of the table; its keys are unique.
        name: of the table.
        rows: rows it was mined from.
    """
    blocks = [HEAD.format(name=_plain(name), rows=rows)]
    for relation in structure.relations:
        lines = list(_lines(relation, structure.steps, schema))
        if lines:
            keep = "false" if "but for" in relation.text else "true"
            evidence = f"evidence = {_quoted(_evidence(relation, rows))}"
            blocks.append("\n".join(["[[constraint]]", *lines, f"keep = {keep}", evidence, ""]))
    for pair in never:
        beside = ", ".join(map(_quoted, pair.values))
        cells = f"{_quoted(pair.column)} = {_quoted(pair.value)}, {_quoted(pair.other)} = [{beside}]"
        evidence = f"{rows:,} rows, luck would make about {pair.expected:,.0f}"
        blocks.append(f"[[constraint]]\nforbid = {{ {cells} }}\nkeep = true\nevidence = {_quoted(evidence)}\n")
    for field in schema.with_role(Role.KEY):
        if not field.name.startswith(PROVENANCE):
            blocks.append(f"[[constraint]]\nunique = [{_quoted(field.name)}]\nkeep = true\n")
    return "\n".join(blocks)


def _evidence(relation: Relation, rows: int) -> str:
    if not math.isfinite(relation.expected):
        return f"{rows:,} rows"
    said = relation.text[relation.text.index("but for") :] + "; " if "but for" in relation.text else ""
    return f"{rows:,} rows, {said}luck would break about {relation.expected:,.0f}"


def _lines(relation: Relation, steps: Sequence[Step], schema: Schema) -> Iterator[str]:
    first, rest = relation.columns[0], relation.columns[1:]
    if relation.kind == "at_most":
        yield f"at_most = [{_quoted(first)}, {_quoted(rest[0])}]"
    elif relation.kind == "decided":
        yield f"decides = {{ by = [{', '.join(map(_quoted, rest))}], column = {_quoted(first)} }}"
    for step in steps:
        if step.column != first or step.parents != rest:
            continue
        if isinstance(step, Constant) and step.value is not None and relation.kind == "constant":
            yield f"levels = {{ column = {_quoted(first)}, allowed = [{_words([step.value], schema[first])}] }}"
        elif isinstance(step, Part) and relation.kind == "part":
            yield f"formula = {_quoted(_part(step))}"
        elif isinstance(step, Computed) and relation.kind == "formula":
            yield f"formula = {_quoted(_formula(step))}"
            yield f"tolerance = {_tolerance(step, schema)!r}"
        elif isinstance(step, MissingWith) and relation.kind == "missing":
            gone = [k for k, missing in zip(step.keys, step.missing, strict=True) if missing]
            if gone:
                words = _words(gone, schema[step.by])
                yield f"missing = {{ column = {_quoted(first)}, where = {_quoted(step.by)}, is = [{words}] }}"


def _words(values: Sequence[Value], field: Field) -> str:
    """Values as `constraints` reads and compares them."""
    kind = normalise(pa.table({field.name: pa.array([], storage_type(field.storage or "string"))})).table.column(0).type
    words = [str(v).lower() if isinstance(v, bool) else v for v in values]
    boolean = pa.types.is_boolean(kind)
    cells = pa.array(words, pa.string()) if boolean else plain_cells(words, kind)
    if field.kind in (Kind.NUMBER, Kind.DATETIME) and not pa.types.is_date32(kind):  # a date stays without its time
        cells = canonical(cells, field)
    return ", ".join(_quoted(w or "") for w in words_of(cells, field).to_pylist())


def _part(step: Part) -> str:
    if step.part == "date":
        return f"{quoted(step.column)} = days(floor({quoted(step.of)} / 86400))"
    function = {"below hundred": "below_hundred"}.get(step.part, step.part)
    shift = f" {'+' if step.shift > 0 else '-'} {abs(step.shift)}" if step.shift else ""
    return f"{quoted(step.column)} = {function}({quoted(step.of)}){shift}"


def _formula(step: Computed) -> str:
    names, formula = [quoted(s) for s in step.sources], step.formula
    curve = {"root": "sqrt"}.get(formula.shape, formula.shape)
    if formula.shape == "clock":
        return f"{quoted(step.column)} = clock({names[0]}, {names[1]})"
    if formula.shape == "product":
        times = "" if formula.constant == 1 else f"{formula.constant!r} * "
        return f"{quoted(step.column)} = {times}{names[0]} {'*' if formula.factors[1] > 0 else '/'} {names[1]}"
    if formula.shape != "sum":
        names = [f"{curve}({names[0]})"]
    text = ""
    for name, factor in zip(names, formula.factors, strict=True):
        sign = (" - " if factor < 0 else " + ") if text else ("-" if factor < 0 else "")
        text += f"{sign}{'' if abs(factor) == 1 else f'{abs(factor)!r} * '}{name}"
    if formula.constant:
        text += f" {'+' if formula.constant > 0 else '-'} {abs(formula.constant)!r}"
    return f"{quoted(step.column)} = {text}"


def _tolerance(step: Computed, schema: Schema) -> float:
    """Half a step of the target's grid where the result is rounded to the nearest, a whole one else.

    Where there is no grid, and beside it, what float64 or float32 cannot hold of the largest number concerned.
    """
    formula = step.formula
    factors = formula.factors if formula.shape == "sum" else (1.0,) * len(step.sources)
    sizes = [abs(f) * _largest(schema[name]) for name, f in zip(step.sources, factors, strict=True)]
    largest = max(_largest(schema[step.column]), abs(formula.constant), 1.0, *sizes)
    single = any(schema[name].storage in ("float", "halffloat") for name in (step.column, *step.sources))
    noise = (ROUGHLY if single else EXACTLY) * largest
    if step.decimals is None:
        return max(step.slack * largest, 1e-9 * _largest(schema[step.column]), 1e-9, noise)
    if formula.shape == "clock" or (formula.shape == "sum" and all(f.is_integer() for f in formula.factors)):
        return max(10.0 ** -(step.decimals + 3), noise)
    share = 0.5 if formula.rounding in ("nearest", "half up") else 1.0
    step_size = share * 10.0**-step.decimals
    return round(step_size * (1 + 1e-6), step.decimals + 9) + (noise if noise > step_size * 1e-6 else 0.0)


def _largest(field: Field) -> float:
    return max(abs(field.low or 0.0), abs(field.high or 0.0))


def _plain(name: str) -> str:
    return " ".join(name.split())


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")  # a JSON string is a TOML basic string
