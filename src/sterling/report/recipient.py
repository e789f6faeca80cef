"""The recipient's form: no evidence, no real rows, no count that could point at a few people."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from sterling.kernel.audience import FEWEST, bare_generator, is_private, smallest_group, step
from sterling.kernel.estimate import Estimate, Unmeasured
from sterling.kernel.finding import Finding, Json, RuleOutcome
from sterling.kernel.table import Table

if TYPE_CHECKING:
    from sterling.decide.result import InputRecord, Result

SMALL = f"<{FEWEST}"
WITHHELD = Unmeasured(f"withheld: it rests on fewer than {FEWEST} records", "ask the owner of the data")
# Columns of a table that count records.
COUNTED = ("rows", "records", "people")
# A whole number from 1 to 9 that stands alone in a sentence: no part of a name, a date, a decimal,
# a percentage, an interval's end or a slice such as age=4.
ALONE = re.compile(r"(?<![\w.,=&<>\-\u2212\[])(?:n\s*=\s*)?[1-9](?![\w=%\-\]]|[.,:]\d|\s*%|-)")


# Slices that a measure names itself, in full: a column of the data may well be called `values`.
OWN_SLICES = frozenset(
    {
        ("membership_inference", "false_positives=1%"),
        ("singling_out", "descriptions=one column"),
        ("rare_exposure", "values=rare levels and extremes"),
        ("rare_exposure", "values=exact numbers"),
    }
)
FEW_ROWS = f"fewer than {FEWEST} rows: {FEWEST - 1} stands for any such count"
KEPT = "The owner's form says more."


def recipients(result: Result) -> Result:
    """The result as somebody may see it who must learn nothing about single real rows.

    Under a policy that is, or may be, about privacy it holds nothing but measures, numbers no finer than ten rows and
    rules: sentences may name levels and columns, and are left with the owner.
    """
    if is_private(result.policy):
        return _bare(result)
    levels = {f.name for f in result.findings if f.evidence.get("names_levels")}
    rules = (replace(r, reason=KEPT) if levels & {*r.because} else _rule(r) for r in result.decision.rules)
    decision = replace(result.decision, rules=tuple(rules))
    return replace(
        result,
        decision=decision,
        findings=tuple(_finding(f) for f in result.findings),
        inputs=tuple(_few(replace(r, notes=tuple(mask(n) for n in r.notes))) for r in result.inputs),
        notes=tuple(mask(n) for n in result.notes),
        tables=tuple(_table(t) for t in result.tables if not t.owner_only),
        picture=None if (result.picture or {}).get("owner_only") else result.picture,
    )


def _bare(result: Result) -> Result:
    """Measures, coarse numbers and rules; no sentence, slice, note, table or picture that was made from real rows."""
    rules = tuple(
        replace(r, reason=KEPT, because=_unsliced(r.because), waived=None if r.waived is None else "a waiver")
        for r in result.decision.rules
    )
    return replace(
        result,
        decision=replace(result.decision, rules=rules, unmeasured=_unsliced(result.decision.unmeasured)),
        findings=tuple(_coarse(f) for f in result.findings if f.slice is None or (f.measure, f.slice) in OWN_SLICES),
        inputs=tuple(_input(r) for r in result.inputs),
        notes=(
            "This is the recipient's form under a privacy policy: slices, sentences and tables stay with the owner.",
        ),
        tables=(),
        picture=None,
        mix=None,
        cost=None,
        curve=None,
    )


def _input(record: InputRecord) -> InputRecord:
    # Whoever knows all real rows but one could try that one by the fingerprint.
    seen = "" if record.origin == "real" else record.fingerprint
    made = None if record.generator is None else bare_generator(record.generator)
    return _few(replace(record, notes=(), fingerprint=seen, generator=made))


def _few(record: InputRecord) -> InputRecord:
    if not 0 < record.rows < FEWEST:
        return record
    return replace(record, rows=FEWEST - 1, notes=(*record.notes, FEW_ROWS))


def _unsliced(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name.partition(":")[0] for name in names if ": " not in name))


def _coarse(finding: Finding) -> Finding:
    """The finding with numbers that no single row can move visibly."""
    bare, result = replace(_finding(finding), fingerprints=()), finding.result
    if isinstance(result, Unmeasured):
        return replace(bare, result=Unmeasured("not measured", "ask the owner of the data"), reason=KEPT)
    if isinstance(bare.result, Unmeasured):
        return replace(bare, reason=KEPT)
    rests_on = smallest_group(finding)
    if rests_on < FEWEST:
        return replace(bare, result=WITHHELD, floor=None, reason=KEPT)
    grid = step(rests_on)
    low, high = (math.floor(result.low / grid), math.ceil(result.high / grid)) if _finite(result) else (0, 0)
    ends = (round(low * grid, 4), round(high * grid, 4)) if _finite(result) else (result.low, result.high)
    told = replace(result, value=min(max(round(round(result.value / grid) * grid, 4), ends[0]), ends[1]))
    tens = result.n - result.n % FEWEST
    return replace(bare, result=replace(told, low=ends[0], high=ends[1], n=tens), floor=None, reason=KEPT)


def _finite(result: Estimate) -> bool:
    return math.isfinite(result.low) and math.isfinite(result.high)


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
    words = None if finding.reason is None else KEPT if finding.evidence.get("names_levels") else mask(finding.reason)
    if isinstance(result, Estimate) and 0 < result.n < FEWEST:
        result = WITHHELD
    if isinstance(result, Unmeasured):
        result = Unmeasured(mask(result.reason), mask(result.mend))
    small_floor = finding.floor is not None and 0 < finding.floor.n < FEWEST
    return replace(
        finding,
        result=result,
        floor=None if small_floor else finding.floor,
        reason=words,
        params={key: value for key, value in finding.params.items() if key == "bound"},
        evidence={},
    )
