"""`constraints`: what always holds in real rows, as a file to confirm; and whether another table keeps it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sterling.api.inputs import load
from sterling.kernel.dataset import Dataset, Origin
from sterling.kernel.errors import InputError, UnreadableInput
from sterling.kernel.finding import Decision, Finding, Json, RuleOutcome, Status, Verdict
from sterling.kernel.schema import Schema
from sterling.kernel.table import Table

if TYPE_CHECKING:
    from sterling.decide.result import Result
    from sterling.kernel.view import Bools
    from sterling.modalities.tabular.constraints import Constraints

# A set in which more rows than this break a constraint, for certain, fails; rules of real data have slips too.
BOUND = 0.001


def constraints(
    source: Any,
    *,
    out: Path | None = None,
    against: Path | str | None = None,
    schema: Path | None = None,
    seed: int = 0,
) -> Result:
    """Mine constraints from real rows into a file, or judge a table by such a file.

    Args:
        source: real rows to mine; or, with `against`, any table.
        out: the TOML file to write what was mined to; refused if it exists.
        against: a file of confirmed constraints, by which `source` is judged.
        schema: TOML that overrides kinds and roles of columns.
        seed: noted in the result; nothing is drawn.

    Returns:
        The result of kind "constraints": what was found with its evidence, or a finding for each constraint.

    Raises:
        InputError: for unreadable input, unknown columns, contradictory constraints, or a file that exists.
    """
    data = load(source, origin=Origin.REAL if against is None else Origin.SYNTHETIC, schema=schema)
    if not data.rows:
        raise InputError(f"{data.name} has no rows", mend="name a table that holds at least one row")
    if against is not None:
        return _judged(data, read_constraints(Path(against), data.schema), where=str(against), seed=seed)
    if out is not None and out.exists():
        raise InputError(f"{out} exists, and may hold your own changes", mend="name a new file, or remove it")
    return _mined(data, out, seed=seed)


def read_constraints(path: Path, schema: Schema, *, real: Dataset | None = None) -> Constraints:
    """The constraints of a TOML file, checked against each other and, where given, against the real rows.

    Args:
        path: the file.
        schema: of the table they are for.
        real: real rows that must be able to keep them all.

    Raises:
        UnreadableInput: if there is no such file.
        UnknownName: for a column that is not there, with near names.
        InputError: for constraints that say nothing, or that cannot hold together.
    """
    from sterling.modalities.tabular.constraints import parse_constraints
    from sterling.modalities.tabular.contradictions import refuse_contradictions

    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as err:
        mend = "sterling constraints real.csv -o constraints.toml writes one"
        raise UnreadableInput(f"cannot read constraints {path}: {err}", mend=mend) from err
    found = parse_constraints(text, schema, where=str(path))
    refuse_contradictions(found, schema=schema, real=None if real is None else real.table())
    return found


def _mined(data: Dataset, out: Path | None, *, seed: int) -> Result:
    from sterling.modalities.tabular import plain_table
    from sterling.modalities.tabular.constraint_file import constraints_text
    from sterling.modalities.tabular.forbidden_pairs import never_together
    from sterling.modalities.tabular.structure import mine_structure
    from sterling.sources.atomic import write_text

    structure = mine_structure(data)
    never = never_together(plain_table(data), data.schema)
    if out is not None:
        write_text(out, constraints_text(structure, never, data.schema, name=data.name, rows=data.rows))
    rows: list[tuple[Json, ...]] = [
        (r.text, r.kind.replace("_", " "), None if np.isinf(r.expected) else round(r.expected))
        for r in structure.relations
    ]
    rows += [(pair.text, "never", round(pair.expected)) for pair in never]
    table = Table(
        f"What held in {data.rows:,} rows",
        ("relation", "kind", "luck would break"),
        tuple(rows),
        "Rows that would break it if its columns were independent; those of fewer than 37 are not listed.",
        owner_only=True,
    )
    n, nearly = len(rows), sum("but for" in r.text for r in structure.relations)
    said = f"{n - nearly:,} relations hold in all {data.rows:,} rows and would not by luck; {nearly:,} sums nearly hold"
    said = said if n else "No relation holds in all rows that luck would not keep"
    where = (f"written to {out}; edit it, then sterling generate ... --constraints {out}",) if out is not None else ()
    outcome = RuleOutcome("CONSTRAINTS", "MINED", (), said)
    notes = (*data.notes, *structure.notes, *where)
    return _result(data, (), outcome, (table,) if n else (), notes, seed=seed)


def _judged(data: Dataset, found: Constraints, *, where: str, seed: int) -> Result:
    from sterling.modalities.tabular.constraints import satisfied

    if not len(found):
        raise InputError(f"{where} confirms no constraint", mend="set keep = true for at least one")
    kept = satisfied(data.table(), found, data.schema)
    findings = tuple(_finding(item.text, rows, data) for item, rows in zip(found.items, kept, strict=True))
    wrong = int(np.count_nonzero(~np.all(kept, axis=0)))
    failed = [f for f in findings if f.status is Status.FAIL]
    said = f"{wrong:,} of {data.rows:,} rows break at least one of {len(found):,} constraints"
    if failed:
        said += f"; most often {max(failed, key=_share).params['constraint']!r}"
    outcome = RuleOutcome(
        "CONSTRAINTS",
        "BROKEN" if failed else "KEPT",
        tuple(f.name for f in failed),
        said,
        Verdict.FIX if failed else None,
    )
    return _result(data, findings, outcome, (), data.notes, seed=seed)


def _share(finding: Finding) -> float:
    return float(getattr(finding.result, "value", 0.0))


def _finding(text: str, rows: Bools, data: Dataset) -> Finding:
    from sterling.stats.proportions import clopper_pearson

    broken = int(np.count_nonzero(~rows))
    share = clopper_pearson(broken, rows.size, level=0.95)
    status = Status.FAIL if share.low > BOUND else Status.WARN if broken else Status.PASS
    first = f", the first is row {int(np.flatnonzero(~rows)[0]) + 1:,}" if broken else ""
    return Finding(
        measure="constraint",
        slice=text,
        result=share,
        better="lower",
        status=status,
        reason=f"{text}: {broken:,} of {rows.size:,} rows break it{first}",
        params={"constraint": text, "bound": BOUND},
        evidence={"broken": broken},
        fingerprints=(data.fingerprint,),
    )


def _result(
    data: Dataset,
    findings: tuple[Finding, ...],
    outcome: RuleOutcome,
    tables: tuple[Table, ...],
    notes: tuple[str, ...],
    *,
    seed: int,
) -> Result:
    from sterling.decide.result import InputRecord, Result

    verdict = outcome.verdict or Verdict.SHIP
    return Result(
        kind="constraints",
        decision=Decision(verdict, "constraints 1", (outcome,)),
        findings=findings,
        inputs=(InputRecord(data.name, data.rows, data.fingerprint, data.origin.value, data.notes),),
        seed=seed,
        policy="constraints 1",
        notes=notes,
        tables=tables,
    )
