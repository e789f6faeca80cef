"""A comparison of databases in the house's envelope: findings by key and by table, rules in plain words, a verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sterling.kernel.estimate import Estimate, Unmeasured
from sterling.kernel.finding import Decision, Finding, Json, RuleOutcome, Status, Verdict
from sterling.kernel.table import Table
from sterling.modalities.tabular.relational import Database
from sterling.stats.bounds import status_of

if TYPE_CHECKING:
    from sterling.api.relational_compare import Gap, Looked, Told
    from sterling.decide.result import Result

# Tolerances: an AUC as in `two_sample_auc`; distances between distributions; shares of rows.
AUC, DISTANCE, SHARE, LATE = 0.60, 0.05, 0.02, 0.001
POLICY = "relational 1"
COUNTED = "counted, every row"
SEPARATE = (
    "privacy is judged table by table, not here: sterling compare REAL_TABLE MADE_TABLE --policy privacy looks for "
    "copies and tries attacks"
)


def concluded(
    real: Database,
    made: Database,
    told: Sequence[Told],
    looked: Sequence[Looked],
    *,
    seed: int,
    fast: bool,
    with_holdout: bool,
) -> Result:
    """Fold what was found into a result.

    Returns:
        FIX if a key is broken or a gap surely exceeds its tolerance; INSUFFICIENT if no gap across tables and none of
        a table could be measured; else SHIP, with what stayed open named.
    """
    from sterling.decide.inputs import InputRecord
    from sterling.decide.result import Result
    from sterling.decide.rules import folded

    findings = tuple(f for one in told for f in _key_findings(one)) + tuple(
        f for one in looked for f in _table_findings(one)
    )
    rules = _rules(findings, told)
    inputs = tuple(
        InputRecord(f"{side} {name}", data.rows, data.fingerprint, data.origin.value, data.notes)
        for side, database in (("real", real), ("made", made))
        for name, data in database.tables.items()
    )
    decision: Decision = folded(rules, findings, POLICY)
    floor = "the holdout's families" if with_holdout else "one half of the real families against the other"
    notes = (
        f"the noise floor is {floor}, at the same number of parents; families are never split",
        *(["--fast: at most 5,000 rows a side were looked at"] if fast else []),
        *real.notes,
        *made.notes,
        SEPARATE,
    )
    return Result(
        kind="relational", decision=decision, findings=findings, inputs=inputs, seed=seed, policy=POLICY,
        notes=tuple(dict.fromkeys(notes)), tables=(_keys_table(told), _tables_table(looked)),
    )  # fmt: skip


def _key_findings(one: Told) -> list[Finding]:
    where = f"key={one.key.short}"
    found = [_orphans(one, where), _nulls(one, where)]
    gaps = (
        (
            "cardinality_gap",
            one.children,
            DISTANCE,
            "Children per parent: the distribution functions differ by at most",
        ),
        ("joined_auc", one.joined, AUC, "Child rows beside their parents: trees tell made from real with AUC"),
        (
            "family_auc",
            one.family,
            AUC,
            "Parents with what their children are like: trees tell made from real with AUC",
        ),
    )
    # Of a table that is kept as it is there is nothing to ask but how its rows are chosen.
    found += [_gap(name, gap, where, bound, words, kept=one.kept) for name, gap, bound, words in gaps]
    for pair, late, known in one.late:
        found.append(_dates(pair, late, known, where))
    return found


def _orphans(one: Told, where: str) -> Finding:
    share = one.orphans / one.rows if one.rows else 0.0
    good = one.orphans == 0
    reason = f"{one.key.name}: {one.orphans:,} of {one.rows:,} made rows name no row of {one.key.parent}."
    result: Estimate | Unmeasured = Estimate(share, share, share, one.rows, 0.95, COUNTED)
    status = Status.PASS if good else Status.FAIL
    return Finding("orphan_share", result, "lower", status, where, reason=reason, params={"bound": 0.0})


def _nulls(one: Told, where: str) -> Finding:
    from sterling.stats.proportions import difference_bounds

    (made, rows), (real, real_rows) = one.nulls, one.real_nulls
    if not rows or not real_rows:
        empty = Unmeasured("one of the child tables is empty", "give rows")
        return Finding("null_key_gap", empty, "lower", Status.UNMEASURED, where, reason=empty.reason)
    gap = made / rows - real / real_rows
    low, high = difference_bounds(made, rows, real, real_rows, alpha=0.025)
    low, high = min(low, gap), max(high, gap)
    smallest = 0.0 if low <= 0 <= high else min(abs(low), abs(high))
    result = Estimate(abs(gap), min(smallest, abs(gap)), max(abs(low), abs(high)), rows, 0.95, "Newcombe, of shares")
    status = status_of(result.low, result.high, SHARE, better="lower")
    reason = f"{one.key.name}: {made / rows:.1%} of the made rows have no key, {real / real_rows:.1%} of the real ones."
    return Finding("null_key_gap", result, "lower", status, where, reason=reason, params={"bound": SHARE})


def _gap(measure: str, gap: Gap, where: str, bound: float, words: str, *, kept: bool) -> Finding:
    result, floor = gap
    if isinstance(result, Unmeasured):
        status = Status.NOT_APPLICABLE if kept else Status.UNMEASURED
        return Finding(measure, result, "lower", status, where, reason=result.reason, params={"bound": bound})
    status = status_of(result.low, result.high, bound, better="lower")
    control = "" if floor is None else f"; real against real {floor.value:.3f}"
    reason = f"{words} {result.value:.3f} [{result.low:.3f}, {result.high:.3f}]{control}; {bound:g} is tolerated."
    return Finding(measure, result, "lower", status, where, floor=floor, reason=reason, params={"bound": bound})


def _dates(pair: str, late: int, known: int, where: str) -> Finding:
    from sterling.stats.proportions import clopper_pearson

    slice_ = f"{where}&dates={pair}"
    if not known:
        none = Unmeasured("no made row has both dates", "give rows with dates")
        return Finding("date_order", none, "lower", Status.UNMEASURED, slice_, reason=none.reason)
    share = clopper_pearson(late, known)
    status = Status.PASS if not late else status_of(share.low, share.high, LATE, better="lower")
    reason = f"{pair}: {late:,} of {known:,} made rows break an order that every real row keeps."
    return Finding("date_order", share, "lower", status, slice_, reason=reason, params={"bound": LATE})


def _table_findings(one: Looked) -> list[Finding]:
    where = f"table={one.name}"
    share = one.repeats / one.rows if one.rows else 0.0
    unique = Finding(
        "repeated_keys", Estimate(share, share, share, one.rows, 0.95, COUNTED), "lower",
        Status.FAIL if one.repeats else Status.PASS, where, params={"bound": 0.0},
        reason=f"{one.name}: {one.repeats:,} of {one.rows:,} made rows repeat the primary key of another.",
    )  # fmt: skip
    found = [unique]
    if one.real_rows and not one.rows:
        empty = Unmeasured(
            f"{one.name} has no made rows and {one.real_rows:,} real ones", "make rows of this table, too"
        )
        found.append(Finding("empty_table", empty, "lower", Status.FAIL, where, reason=empty.reason))
    if one.missing:
        gone = Unmeasured(f"{one.name} lacks {', '.join(one.missing[:5])}", "make these columns, too")
        found.append(Finding("missing_columns", gone, "lower", Status.FAIL, where, reason=gone.reason))
    gap, floor = one.gap
    if isinstance(gap, Unmeasured):
        found.append(Finding("widest_column", gap, "lower", Status.UNMEASURED, where, reason=gap.reason))
        return found
    evidence: dict[str, Json] = {"column": one.column, "floor": floor}
    reason = (
        f"{one.name}: the widest gap is in {one.column}, {gap.value:.3f} [{gap.low:.3f}, {gap.high:.3f}]; "
        f"real against real {floor or 0.0:.3f}; {DISTANCE:g} is tolerated."
    )
    status = status_of(gap.low, gap.high, DISTANCE, better="lower")
    found.append(
        Finding(
            "widest_column", gap, "lower", status, where, reason=reason, params={"bound": DISTANCE}, evidence=evidence
        )
    )
    return found


@dataclass(frozen=True, slots=True)
class _Law:
    """What a failure of a measure is called, and what it means."""

    outcome: str
    words: str


LAWS = {
    "orphan_share": _Law("KEYS_BROKEN", "Keys name rows that are not there"),
    "repeated_keys": _Law("KEYS_REPEATED", "Primary keys are there twice"),
    "empty_table": _Law("TABLE_EMPTY", "A table has no rows"),
    "missing_columns": _Law("COLUMNS_MISSING", "Columns are missing"),
    "date_order": _Law("DATES_OUT_OF_ORDER", "Dates break an order that every real row keeps"),
    "null_key_gap": _Law("KEYS_MISSING", "Keys are missing more or less often than in the real rows"),
    "cardinality_gap": _Law("FAMILY_SIZES", "Parents have other numbers of children than real ones"),
    "joined_auc": _Law("CHILDREN_DO_NOT_FIT", "Children do not fit their parents as real ones do"),
    "family_auc": _Law("FAMILIES_DIFFER", "Families as a whole do not look like real ones"),
    "widest_column": _Law("COLUMNS_DIFFER", "Columns are distributed otherwise than in the real table"),
}


def _rules(findings: Sequence[Finding], told: Sequence[Told]) -> list[RuleOutcome]:
    rules: list[RuleOutcome] = []
    for measure, law in LAWS.items():
        failed = [f for f in findings if f.measure == measure and f.status is Status.FAIL]
        if failed:
            reasons = " ".join(str(f.reason) for f in failed[:3])
            more = f" And {len(failed) - 3} more." if len(failed) > 3 else ""
            names = tuple(f.name for f in failed)
            rules.append(RuleOutcome("RELATIONAL", law.outcome, names, f"{law.words}. {reasons}{more}", Verdict.FIX))
    gaps = [f for f in findings if f.measure in ("cardinality_gap", "joined_auc", "family_auc", "widest_column")]
    measured = [f for f in gaps if isinstance(f.result, Estimate)]
    if not measured:
        reason = "Nothing could be compared: tables or families are too few, or hold nothing but keys."
        rules.append(
            RuleOutcome("RELATIONAL", "TOO_FEW_ROWS", tuple(f.name for f in gaps), reason, Verdict.INSUFFICIENT)
        )
    orphans, rows = sum(one.orphans for one in told), sum(one.rows for one in told)
    if told and not orphans:
        reason = f"All {len(told)} foreign keys hold: of {rows:,} made rows, none names a row that is not there."
        rules.append(
            RuleOutcome(
                "RELATIONAL", "KEYS_HOLD", tuple(f.name for f in findings if f.measure == "orphan_share"), reason
            )
        )
    if measured and not any(r.verdict for r in rules):
        words = f"{sum(f.status is Status.PASS for f in measured)} of {len(measured)} gaps are surely within tolerance"
        opened = sum(f.status is Status.UNDECIDED for f in measured)
        tail = f"; {opened} are too uncertain to say" if opened else ""
        rules.append(
            RuleOutcome(
                "RELATIONAL",
                "FAMILIES_FIT",
                tuple(f.name for f in measured),
                f"No gap surely exceeds its tolerance: {words}{tail}.",
            )
        )
    return rules


def _number(found: Gap) -> list[Json]:
    result, floor = found
    return [None if isinstance(result, Unmeasured) else result.value, None if floor is None else floor.value]


def _keys_table(told: Sequence[Told]) -> Table:
    rows = tuple(
        (one.key.short, one.orphans, *_number(one.children), *_number(one.joined), *_number(one.family)) for one in told
    )
    columns = ("key", "orphans", "children", "floor", "AUC, rows", "floor ", "AUC, families", "floor  ")
    note = (
        "Gaps of made against real, each beside its floor (real against real). AUC of trees that tell made from real, "
        ".5 = cannot: on child rows beside their parents, and on parents with what their children are like."
    )
    return Table("Keys", columns, rows, note)


def _tables_table(looked: Sequence[Looked]) -> Table:
    rows = tuple(
        (one.name, one.real_rows, one.rows, one.column or "-",
         None if isinstance(one.gap[0], Unmeasured) else one.gap[0].value, one.gap[1])
        for one in looked
    )  # fmt: skip
    return Table("Tables", ("table", "real rows", "made rows", "widest gap in", "gap", "floor"), rows)
