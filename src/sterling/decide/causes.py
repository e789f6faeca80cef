"""Which failure is the cause, and which ones only follow from it.

One fault shows in many measures: a column that was shuffled breaks its correlations, empties slices of two
columns, spoils the labels and is easy to tell from real. Reading all of them as equals names the wrong
thing to mend. Here each failure gets a place: the most specific measure that explains it comes first, and
what another failure already explains comes after all that stand by themselves.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from sterling.kernel.estimate import Estimate
from sterling.kernel.finding import Finding

# From the most specific statement to the least. A measure that is not listed comes before the classifier's AUC.
PLACE = MappingProxyType(
    {
        name: place
        for place, name in enumerate(
            (
                "copies", "near_copies", "duplicates", "canaries", "time_leak", "rule_violation", "marginal_gap",
                "unique_values", "slice_coverage", "representation", "rare_modes", "correlation_gap", "outcome_gap",
                "label_loss", "label_errors", "hapax", "distinct_n", "coverage", "embedding_gap",
                "nearest_record", "membership_inference", "singling_out", "linkability", "attribute_inference",
                "amplification", "calibration", "utility", "transfer_drop", "two_sample_auc",
            )
        )
    }
)  # fmt: skip
UNLISTED = PLACE["embedding_gap"]
# A slice that keeps less than this of its share was taken out, and took its columns' distributions with it.
NEARLY_GONE = 0.2
# What follows from rows that repeat real rows.
AFTER_COPIES = frozenset(
    {"nearest_record", "membership_inference", "singling_out", "linkability", "attribute_inference", "near_copies",
     "two_sample_auc", "duplicates"}
)  # fmt: skip
# What only says that something is wrong, never what.
GENERAL = frozenset({"two_sample_auc", "coverage", "embedding_gap", "utility", "transfer_drop", "calibration"})
LABELS = frozenset({"label_loss", "outcome_gap", "label_errors", "amplification"})


def columns_of(finding: Finding) -> frozenset[str]:
    """The columns that a finding's slice speaks of.

    >>> from sterling.kernel.estimate import Unmeasured
    >>> from sterling.kernel.finding import Status
    >>> from dataclasses import replace
    >>> one = Finding("m", Unmeasured("", ""), "lower", Status.FAIL, slice="sex=F&age=60-80")
    >>> sorted(columns_of(one))
    ['age', 'sex']
    >>> sorted(columns_of(replace(one, slice="net+tax!=gross"))), sorted(columns_of(replace(one, slice="age<17")))
    (['gross', 'net', 'tax'], ['age'])
    """
    if finding.slice is None:
        return _behind(finding)
    key, _, rest = finding.slice.partition("=")
    if key in ("column", "columns"):
        return frozenset(rest.split("&"))
    return _in(finding.slice)


def _behind(finding: Finding) -> frozenset[str]:
    """The columns that all the broken rules of a finding on the whole set have in common."""
    table = finding.evidence.get("rules")
    rules = [row.get("rule") for row in table if isinstance(row, dict)] if isinstance(table, list) else []
    sides = [_in(rule) for rule in rules if isinstance(rule, str)]
    return frozenset.intersection(*sides) if sides else frozenset()


def _in(title: str) -> frozenset[str]:
    """The columns of conditions joined by "&"; a value may hold that sign too ("dept=R&D")."""
    parts: list[str] = []
    for piece in title.split("&"):
        if parts and not re.search(r"[<>=]| contradicts | has unknown levels", piece):
            parts[-1] += f"&{piece}"
        else:
            parts.append(piece)
    return frozenset().union(*(_named(part) for part in parts))


def _named(condition: str) -> set[str]:
    """The columns of one condition: "age=17-20", "age<17", "start>end", "net+tax!=gross", "a contradicts b"."""
    if "!=" in condition or " contradicts " in condition:
        return set(re.split(r"!=|\+| contradicts ", condition))
    sides = re.split(r"[<>=]| has unknown levels", condition)
    ordered = "=" not in condition and len(sides) == 2
    # Behind an order stands a number or another column; behind "=" a value.
    return {side for side in sides[: 2 if ordered else 1] if side and not re.fullmatch(r"[-+.\d].*", side)}


def in_order(failing: Iterable[Finding], *, target: str | None = None) -> tuple[Finding, ...]:
    """Failures, the cause first.

    Args:
        failing: findings of one candidate that fail.
        target: name of the column to predict.

    Returns:
        The same findings: those that stand by themselves by how specific their measure is, then those that
        others explain; among equals a slice before the whole set, in the order given.
    """
    given = list(failing)
    following = {id(f) for f in explained(given, target=target)}
    sliced = {f.measure for f in given if f.slice is not None}

    def key(finding: Finding) -> tuple[bool, int, bool]:
        whole = finding.slice is None and finding.measure in sliced
        return id(finding) in following, PLACE.get(finding.measure, UNLISTED), whole

    return tuple(sorted(given, key=key))


def explained(failing: Iterable[Finding], *, target: str | None = None) -> tuple[Finding, ...]:
    """Those failures of one candidate that its other failures explain."""
    given = list(failing)
    seen = _Seen.of(given, target)
    parts = {f.measure: True for f in given if f.slice is not None}
    for finding in given:
        if finding.slice is not None:
            parts[finding.measure] &= seen.explains(finding)
    # What is said of the whole set follows where all that is said of its slices does.
    return tuple(f for f in given if seen.explains(f) or (f.slice is None and parts.get(f.measure, False)))


@dataclass(frozen=True, slots=True)
class _Seen:
    """What the failures of one candidate say together.

    Args:
        target: the column to predict.
        measures: that fail.
        shifted: columns whose own distribution is off.
        torn: columns, the target aside, that are torn from all the others.
        gone: categories of which a level by itself is thin.
        label_slices: whether labels are wrong in slices rather than everywhere.
        blamed: columns in whose slices the outcome is off.
        emptied: columns of pairs that are thin, while none of the two has moved or is torn.
        noise: the share of labels that are wrong on the whole, where that fails.
    """

    target: str | None
    measures: frozenset[str]
    shifted: frozenset[str]
    torn: frozenset[str]
    gone: frozenset[str]
    label_slices: bool
    blamed: frozenset[str]
    emptied: frozenset[str]
    noise: float

    @classmethod
    def of(cls, failing: Sequence[Finding], target: str | None) -> _Seen:
        single = [f for f in failing if len(columns_of(f)) == 1]
        gone = _columns(f for f in single if f.measure == "slice_coverage" and not _is_range(f))
        moved = [f for f in single if f.measure == "marginal_gap" and not _inside(f)]
        numbers = _columns(f for f in moved if not _is_of_levels(f))
        # Pairs that are off may come from a slice that is gone; a column that keeps little of all it has to do with
        # the others is torn.
        torn = _columns(f for f in single if f.measure == "correlation_gap" and "kept" in f.evidence) - {target}
        pairs = [f for f in failing if f.measure == "slice_coverage" and len(columns_of(f)) > 1]
        emptied = [p for p in pairs if _nearly_gone(p) or not columns_of(p) & _columns(moved)]
        return cls(
            target,
            frozenset(f.measure for f in failing),
            _columns(moved),
            torn,
            gone,
            any(f.measure == "label_loss" and f.slice is not None for f in failing),
            _columns(f for f in failing if f.measure in ("outcome_gap", "label_loss")),
            _columns(p for p in emptied if not columns_of(p) & (numbers | torn | {target})),
            next((f.result.value for f in failing if _is_noise(f) and isinstance(f.result, Estimate)), 0.0),
        )

    def explains(self, finding: Finding) -> bool:
        """Whether the other failures explain this one."""
        name, mine = finding.measure, columns_of(finding)
        if name in GENERAL:
            return bool(self.measures - GENERAL)
        if name in AFTER_COPIES:
            return bool(self.measures & ({"copies", "near_copies"} - {name})) and name != "copies"
        if name in LABELS and self.torn:
            return True  # labels that no longer follow because a feature was torn from the rest are not wrong labels
        if name in ("correlation_gap", "rule_violation") and self.target in mine:
            return bool(self.measures & LABELS)  # wrong labels break the pairs and rules that the target stands in
        if name == "correlation_gap" and "kept" not in finding.evidence:
            return bool(mine & self.emptied)
        if name == "outcome_gap":
            # A share of labels that are wrong everywhere moves a group's rate against the others' by less than itself.
            far = abs(finding.result.value) if isinstance(finding.result, Estimate) else 0.0
            return "label_loss" in self.measures and not self.label_slices and far <= self.noise
        if name == "marginal_gap" and _inside(finding):
            return bool(self.shifted or mine & (self.emptied | self.blamed))
        if name == "marginal_gap":
            return bool(mine) and mine <= self.gone | (self.emptied if _is_of_levels(finding) else frozenset())
        if name in ("slice_coverage", "representation", "rare_modes", "unique_values"):
            # A number that has moved empties its slices; a torn column empties the pairs it stands in; outcomes that
            # were turned are missing where they were.
            if self.target in mine and len(mine) > 1 and self.measures & LABELS:
                return True
            return bool(mine & ((self.shifted - self.gone - self.emptied) | self.torn))
        return False


def _is_of_levels(finding: Finding) -> bool:
    """Whether a column's gap is one of categories."""
    return isinstance(finding.result, Estimate) and finding.result.method.startswith("total variation")


def _is_noise(finding: Finding) -> bool:
    return finding.measure == "label_loss" and finding.slice is None


def _nearly_gone(finding: Finding) -> bool:
    return isinstance(finding.result, Estimate) and finding.result.value < NEARLY_GONE


def _inside(finding: Finding) -> bool:
    """Whether a gap was found inside a slice that was asked for, rather than in a column."""
    return finding.slice is not None and not finding.slice.startswith("column=")


def _columns(findings: Iterable[Finding]) -> frozenset[str]:
    return frozenset().union(*(columns_of(f) for f in findings))


def _is_range(finding: Finding) -> bool:
    """Whether a slice such as "age=17-22" is one of a number's."""
    value = (finding.slice or "").partition("=")[2]
    return re.fullmatch(r"-?[\d.e+]+(-| to )-?[\d.e+-]+", value) is not None
