"""The recipient's form: no evidence, no real rows, no count that could point at a few people."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from sterling.kernel.estimate import Estimate, Unmeasured
from sterling.kernel.finding import Finding, Json, RuleOutcome
from sterling.kernel.table import Table
from sterling.report.figures import FEWEST

if TYPE_CHECKING:
    from sterling.decide.result import Result

SMALL = f"<{FEWEST}"
WITHHELD = Unmeasured(f"withheld: it rests on fewer than {FEWEST} records", "ask the owner of the data")
# Columns of a table that count records.
COUNTED = ("rows", "records", "people")
# A whole number from 1 to 9 that stands alone in a sentence: no part of a name, a date, a decimal,
# a percentage, an interval's end or a slice such as age=4.
ALONE = re.compile(r"(?<![\w.,=&<>\-\u2212\[])(?:n\s*=\s*)?[1-9](?![\w=%\-\]]|[.,:]\d|\s*%|-)")


def recipients(result: Result) -> Result:
    """The result as somebody may see it who must learn nothing about single real rows."""
    decision = replace(result.decision, rules=tuple(_rule(r) for r in result.decision.rules))
    return replace(
        result,
        decision=decision,
        findings=tuple(_finding(f) for f in result.findings),
        inputs=tuple(replace(record, notes=tuple(mask(n) for n in record.notes)) for record in result.inputs),
        notes=tuple(mask(n) for n in result.notes),
        tables=tuple(_table(t) for t in result.tables if not t.owner_only),
    )


def mask(sentence: str) -> str:
    """A sentence with its small counts made vague.

    >>> mask("3 of 41 rows; 0.5 of their share at age=4, n=7, 5 % at most")
    '<10 of 41 rows; 0.5 of their share at age=4, <10, 5 % at most'
    """
    return ALONE.sub(SMALL, sentence)


def _rule(rule: RuleOutcome) -> RuleOutcome:
    return replace(rule, reason=mask(rule.reason), waived=None if rule.waived is None else mask(rule.waived))


def _table(table: Table) -> Table:
    counts = [any(word in name.lower() for word in COUNTED) for name in table.columns]
    rows = tuple(tuple(_cell(v, of) for v, of in zip(row, counts, strict=True)) for row in table.rows)
    return replace(table, rows=rows, note=mask(table.note))


def _cell(value: Json, of_records: bool) -> Json:  # noqa: FBT001
    if isinstance(value, str):
        return mask(value)
    small = of_records and isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < FEWEST
    return SMALL if small else value


def _finding(finding: Finding) -> Finding:
    result = finding.result
    if isinstance(result, Estimate) and 0 < result.n < FEWEST:
        result = WITHHELD
    if isinstance(result, Unmeasured):
        result = Unmeasured(mask(result.reason), mask(result.mend))
    small_floor = finding.floor is not None and 0 < finding.floor.n < FEWEST
    return replace(
        finding,
        result=result,
        floor=None if small_floor else finding.floor,
        reason=None if finding.reason is None else mask(finding.reason),
        params={key: value for key, value in finding.params.items() if key == "bound"},
        evidence={},
    )
