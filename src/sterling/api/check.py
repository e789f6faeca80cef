"""`check`: every record judged by itself, kept, flagged or dropped with a reason."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from sterling.api.inputs import load
from sterling.kernel import registry, seeds
from sterling.kernel.dataset import Dataset, Origin
from sterling.kernel.errors import InputError
from sterling.kernel.finding import Finding, Json, Status
from sterling.kernel.protocols import Marks

if TYPE_CHECKING:
    from sterling.decide.policy import Policy
    from sterling.decide.result import Result

MOST_REASONS = 10
# More dropped records than this, for certain, and the set itself fails, not only its records.
DROPPED_BOUND = 0.01


def check(
    source: Any,
    *,
    against: Any = None,
    out: Path | None = None,
    policy: str | Path | None = None,
    seed: int = 0,
    schema: Path | None = None,
    quarantine: Path | None = None,
) -> Result:
    """Run every check on every record.

    Args:
        source: the records: a path, a frame or a Dataset.
        against: real rows that show what is right; None checks the set against itself.
        out: write the records that were kept there (folder, or .parquet, .csv, .jsonl).
        policy: a preset's name or a TOML file.
        seed: same seed, same answer.
        schema: TOML that overrides kinds and roles of columns.
        quarantine: save unreadable CSV rows there and go on.

    Returns:
        One finding per check: the share of records dropped, with the reasons counted in its evidence.

    Raises:
        InputError: for input that is unreadable or empty.
    """
    from sterling.api.generate import check_out, write_out
    from sterling.decide.policy import load_policy

    if out is not None:
        check_out(out)
    judged = load(source, origin=Origin.SYNTHETIC, schema=schema, quarantine=quarantine)
    reference = None if against is None else load(against, origin=Origin.REAL, schema=schema)
    if judged.rows == 0:
        raise InputError(f"{judged.name} has no rows", mend="name a set that holds at least one record")
    table = judged.table()
    findings: list[Finding] = []
    keep = pa.array([True] * table.num_rows)
    for name in registry.names("checks"):
        marks = _mark(name, reference, table, seed=seed)
        keep = pc.and_(keep, pc.not_equal(marks.actions, "drop"))
        findings.append(_finding(name, marks, judged, seed=seed))
    kept = table.filter(keep)
    if out is not None:
        write_out([kept], out, like=judged)
    return _result(judged, reference, tuple(findings), policy=load_policy(policy), seed=seed, kept=kept.num_rows)


def _mark(name: str, reference: Dataset | None, table: pa.Table, *, seed: int) -> Marks:
    checker = registry.build("checks", name, {})
    fitted = checker.fit(reference, rng=seeds.stream(seed, "check", name))
    return checker.apply(fitted, table)


def _finding(name: str, marks: Marks, judged: Dataset, *, seed: int) -> Finding:
    from sterling.stats.proportions import clopper_pearson

    n = len(marks.actions)
    dropped = int(pc.sum(pc.equal(marks.actions, "drop")).as_py() or 0)
    flagged = int(pc.sum(pc.equal(marks.actions, "flag")).as_py() or 0)
    share = clopper_pearson(dropped, n, level=0.95)
    status = Status.FAIL if share.low > DROPPED_BOUND else Status.WARN if dropped + flagged else Status.PASS
    counted = pc.value_counts(marks.reasons.drop_null()).to_pylist()
    worst = sorted(counted, key=lambda c: (-c["counts"], c["values"]))[:MOST_REASONS]
    reasons: list[Json] = [{"reason": c["values"], "records": c["counts"]} for c in worst]
    said = f"{dropped:,} of {n:,} records dropped, {flagged:,} flagged"
    if worst:
        said += f"; most often: {worst[0]['values']}"
    return Finding(
        measure=name,
        result=share,
        better="lower",
        status=status,
        reason=said,
        params={"bound": DROPPED_BOUND, "seed": seed},
        evidence={"dropped": dropped, "flagged": flagged, "reasons": reasons},
        fingerprints=(judged.fingerprint,),
    )


def _result(
    judged: Dataset,
    reference: Dataset | None,
    findings: tuple[Finding, ...],
    *,
    policy: Policy,
    seed: int,
    kept: int,
) -> Result:
    from sterling.decide.result import InputRecord, Result
    from sterling.decide.rules import Facts, decide

    facts = Facts(kind="check")
    sets = [s for s in (reference, judged) if s is not None]
    decision = decide(findings, facts=facts, policy=policy, today=datetime.datetime.now(datetime.UTC).date())
    return Result(
        kind="check",
        decision=decision,
        findings=findings,
        inputs=tuple(InputRecord(s.name, s.rows, s.fingerprint, s.origin.value, s.notes) for s in sets),
        seed=seed,
        policy=decision.policy,
        notes=(*judged.notes, f"{kept:,} of {judged.rows:,} records kept"),
    )
