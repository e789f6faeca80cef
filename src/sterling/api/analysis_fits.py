"""One of the user's analyses on one set of rows: which rows count, and what comes out."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from sterling.kernel.errors import InputError, UnknownName
from sterling.kernel.estimate import Unmeasured
from sterling.kernel.schema import Kind
from sterling.kernel.view import Column, View
from sterling.stats.design_matrix import Layout, layout, matrix, strangers
from sterling.stats.regression import Fit, logistic, ols, poisson
from sterling.stats.same_conclusions import kept
from sterling.stats.survival import cox, kaplan_meier, log_rank

if TYPE_CHECKING:
    from sterling.kernel.view import AnyArray, Bools, Floats
    from sterling.study import Analysis

Columns = Mapping[str, Column]
Scale = Literal["plain", "ratio", "share"]
CONDITION = re.compile(r"^\s*(.+?)\s*(>=|<=|!=|==|=|<|>)\s*(.+?)\s*$")
COMPARE: Mapping[str, Callable[[AnyArray, float], AnyArray]] = {
    ">=": operator.ge, "<=": operator.le, "!=": operator.ne, "==": operator.eq, "=": operator.eq,
    "<": operator.lt, ">": operator.gt,
}  # fmt: skip
# What an analysis of each kind estimates, in words.
WHAT = {
    "linear": "coefficients", "logistic": "odds ratios", "poisson": "rate ratios", "cox": "hazard ratios",
    "survival": "shares without the event", "difference": "differences from the reference",
}  # fmt: skip
SCALES: Mapping[str, Scale] = {"logistic": "ratio", "poisson": "ratio", "cox": "ratio", "survival": "share"}
LEAST_ROWS = 10


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """An analysis as the real rows decide it: the same columns and groups for every set.

    Args:
        spec: as the user wrote it.
        terms: the columns of a regression.
        groups: levels of `by`; the reference of a difference is the first.
        labels: [k] of all estimates.
        event: the level that counts as 1, or as the event; None where the outcome is a number.
        outcomes: levels that the real rows have in the event's column; empty where that is a number.
    """

    spec: Analysis
    terms: Layout
    groups: tuple[str, ...]
    labels: tuple[str, ...]
    event: str | None
    outcomes: tuple[str, ...] = ()

    @property
    def scale(self) -> Scale:
        """On which scale people read the estimates."""
        return SCALES.get(self.spec.kind, "plain")

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns that it needs."""
        return needs(self.spec)


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What an analysis gave on one set.

    Args:
        fit: the estimates that could be had.
        there: [k] which of the plan's labels they are.
        rows: complete rows that counted.
        asked: rows that met the conditions.
        said: what else it says, such as a test of all groups.
    """

    fit: Fit
    there: Bools
    rows: int
    asked: int
    said: str = ""


def needs(spec: Analysis) -> tuple[str, ...]:
    """The columns that an analysis speaks of; conditions with them."""
    named = [
        spec.outcome,
        spec.time,
        spec.status,
        spec.by,
        spec.exposure,
        *(_condition(c, spec)[0] for c in spec.where),
    ]
    return tuple(dict.fromkeys([n for n in named if n is not None]))


def plan_on(spec: Analysis, view: View) -> Plan | Unmeasured:
    """Decide references, groups and the event by the real rows.

    Raises:
        UnknownName: for a column or level that is not there.
        InputError: for a condition that cannot be read, or a column of the wrong kind.
    """
    columns = {c.name: c for c in view.columns or ()}
    _known(spec, columns)
    event = _event(spec, columns)
    rows = asked_rows(spec, columns)
    terms = Layout((), {})
    if spec.terms:
        found = layout(columns, spec.terms, references={k: _text(v) for k, v in spec.reference.items()}, rows=rows)
        if isinstance(found, Unmeasured):
            return found
        terms = found
    groups = _groups(spec, columns, rows)
    if isinstance(groups, Unmeasured):
        return groups
    if spec.kind == "survival":
        labels = tuple(f"{g + ' ' if g else ''}at {t:g}" for g in groups or ("",) for t in spec.at)
    else:
        labels = terms.labels if spec.terms else tuple(f"{g} - {groups[0]}" for g in groups[1:])
    outcome = columns.get(str(spec.status or spec.outcome))
    return Plan(spec, terms, groups, labels, event, () if event is None or outcome is None else levels_there(outcome))


def fit_on(plan: Plan, view: View) -> Outcome | Unmeasured:
    """Run the analysis on a set that shares the plan's encoding."""
    spec, columns = plan.spec, {c.name: c for c in view.columns or ()}
    asked = asked_rows(spec, columns)
    used = dict.fromkeys([*needs(spec), *plan.terms.columns])
    rows = asked & ~np.any([columns[name].missing for name in used], axis=0)
    if plan.terms.references:
        rows &= ~strangers(plan.terms, columns)
    if plan.outcomes:
        outcome = columns[str(spec.status or spec.outcome)]
        rows &= np.isin(outcome.values, [_code(outcome, level) for level in plan.outcomes])
    n = int(rows.sum())
    if n < LEAST_ROWS:
        return Unmeasured(
            f"only {n:,} complete rows meet its conditions", f"give at least {LEAST_ROWS}, or widen `where`"
        )
    if spec.kind == "survival":
        found = _curves(plan, columns, rows)
    elif spec.kind == "difference":
        found = _differences(plan, columns, rows)
    else:
        found = _regression(plan, columns, rows)
    if isinstance(found, Unmeasured):
        return found
    fit, there, said = found
    return Outcome(fit, there, n, int(asked.sum()), said)


def _regression(plan: Plan, columns: Columns, rows: Bools) -> tuple[Fit, Bools, str] | Unmeasured:
    spec = plan.spec
    x = matrix(plan.terms, columns, rows)
    # A level that this set lacks has no estimate here; the others have.
    there = np.ptp(x, axis=0) > 0
    names = [label for label, has in zip(plan.labels, there, strict=True) if has]
    if not names:
        return Unmeasured("none of its terms varies in these rows", "name other terms, or widen `where`")
    x = x[:, there]
    if spec.kind == "cox":
        time = _numbers(columns[str(spec.time)], spec)[rows]
        fit = cox(x, time, _yes(columns[str(spec.status)], plan.event)[rows], names)
    elif spec.kind == "logistic":
        fit = logistic(x, _yes(columns[str(spec.outcome)], plan.event)[rows].astype(np.float64), names)
    else:
        y = _numbers(columns[str(spec.outcome)], spec)[rows]
        fit = _counts(spec, x, y, columns, rows, names) if spec.kind == "poisson" else ols(x, y, names)
    return fit if isinstance(fit, Unmeasured) else (fit, there, "")


def _counts(
    spec: Analysis, x: Floats, y: Floats, columns: Columns, rows: Bools, names: Sequence[str]
) -> Fit | Unmeasured:
    exposure = None if spec.exposure is None else _numbers(columns[spec.exposure], spec)[rows]
    if y.min() < 0 or (exposure is not None and exposure.min() <= 0):
        return Unmeasured("a count below 0, or an exposure of 0 or less", "leave those rows out with `where`")
    return poisson(x, y, names, exposure=exposure)


def _curves(plan: Plan, columns: Columns, rows: Bools) -> tuple[Fit, Bools, str] | Unmeasured:
    """Survival on the scale log(-log S), on which its law is nearest to normal; and the log-rank test of all groups."""
    spec, at = plan.spec, np.array(plan.spec.at)
    time = _numbers(columns[str(spec.time)], spec)
    event = _yes(columns[str(spec.status)], plan.event)
    members = [rows & (columns[str(spec.by)].values == _code(columns[str(spec.by)], g)) for g in plan.groups] or [rows]
    blocks: list[tuple[Floats, Floats]] = []
    for some in members:
        if not some.any():
            blocks.append((np.full(at.size, np.nan), np.full((at.size, at.size), np.nan)))
            continue
        curve = kaplan_meier(time[some], event[some], at)
        with np.errstate(divide="ignore", invalid="ignore"):
            hazard = -np.log(curve.shares)
            variance = np.square(curve.errors / curve.shares)  # of log S; that of an earlier time is shared by a later
            block = np.minimum.outer(variance, variance) / np.outer(hazard, hazard)
        seen = (hazard > 0) & np.isfinite(hazard) & (curve.at_risk > 0)
        blocks.append((np.where(seen, np.log(np.where(seen, hazard, 1.0)), np.nan), block))
    values = np.concatenate([b[0] for b in blocks])
    there = np.isfinite(values)
    if not there.any():
        return Unmeasured("at no time named do the curves lie between 0 and 1", "name other times in `at`")
    covariance = np.zeros((values.size, values.size))
    for i, (_, block) in enumerate(blocks):
        covariance[i * at.size : (i + 1) * at.size, i * at.size : (i + 1) * at.size] = block
    return kept(Fit(values, covariance), there), there, _ranked(time, event, members)


def _ranked(time: Floats, event: Bools, members: Sequence[Bools]) -> str:
    full = [m for m in members if m.any()]
    if len(full) < 2:
        return ""
    some = np.any(full, axis=0)
    group = np.argmax(np.stack([m[some] for m in full]), axis=0)
    test = log_rank(time[some], event[some], group)
    return "" if isinstance(test, Unmeasured) else f"log-rank p {'< .001' if test.p < 0.001 else f'= {test.p:.3f}'}"


def _differences(plan: Plan, columns: Columns, rows: Bools) -> tuple[Fit, Bools, str] | Unmeasured:
    """Means, or shares, of each group less those of the reference, with unequal variances."""
    spec, groups = plan.spec, columns[str(plan.spec.by)]
    outcome = columns[str(spec.outcome)]
    y = _numbers(outcome, spec) if plan.event is None else _yes(outcome, plan.event).astype(np.float64)
    members = [y[rows & (groups.values == _code(groups, g))] for g in plan.groups]
    if members[0].size < 2:
        return Unmeasured(f"{spec.by}={plan.groups[0]}, the reference, has no two rows", "name another reference")
    enough = np.array([m.size >= 2 for m in members])
    means = np.array([m.mean() if m.size else np.nan for m in members])
    errors = np.array([m.var(ddof=1) / m.size if m.size >= 2 else np.nan for m in members])
    there = enough[1:] & (errors[1:] + errors[0] > 0)
    if not there.any():
        return Unmeasured("the outcome does not vary within the groups", "name another outcome")
    covariance = np.diag(errors[1:]) + errors[0]
    return kept(Fit(means[1:] - means[0], covariance), there), there, ""


def _known(spec: Analysis, columns: Columns) -> None:
    """Every column that is named is there, and of a kind that serves."""
    for name in needs(spec):
        if name not in columns:
            raise UnknownName.among(name, columns, what=f"column in the analysis {spec.title!r}")
    if spec.by is not None and columns[spec.by].kind is not Kind.CATEGORY:
        raise InputError(
            f"analysis {spec.title!r}: by = {spec.by!r} is a number, not a category",
            mend="name a category, use it as a term, or declare its kind with --schema",
        )
    numeric = [spec.time, spec.exposure, spec.outcome if spec.kind in ("linear", "poisson") else None]
    for name in [n for n in numeric if n is not None]:
        _numbers(columns[name], spec)
    for condition in spec.where:
        _meets(condition, columns, spec)


def _numbers(column: Column, spec: Analysis) -> Floats:
    """[n] the cells as numbers; a category whose levels are numbers counts as one.

    Raises:
        InputError: for a category of words.
    """
    if column.kind is not Kind.CATEGORY:
        return column.values
    try:
        return np.array([*(float(v) for v in column.levels or ()), np.nan])[column.values]
    except ValueError:
        raise InputError(
            f"analysis {spec.title!r}: {column.name} is no number",
            mend='name a number, or use kind = "logistic" or kind = "difference" with event = "LEVEL"',
        ) from None


def _event(spec: Analysis, columns: Columns) -> str | None:
    """The level that counts as 1; None for the mean of a number."""
    name = spec.status or spec.outcome
    if name is None or spec.kind in ("linear", "poisson"):
        return None
    column = columns[name]
    if column.kind is not Kind.CATEGORY:
        if spec.event is None and spec.kind == "difference":
            return None
        values = np.unique(column.values[~column.missing])
        if spec.event is None and not set(values.tolist()) <= {0.0, 1.0}:
            raise InputError(
                f"analysis {spec.title!r}: {name} is not 0 or 1", mend="say which value counts as 1: event = VALUE"
            )
        return _text(1.0 if spec.event is None else _value(spec, spec.event, name, values))
    levels = levels_there(column)
    if spec.event is not None:
        if _text(spec.event) not in levels:
            raise UnknownName.among(_text(spec.event), levels, what=f"level of {name}")
        return _text(spec.event)
    if len(levels) != 2:
        raise InputError(
            f"analysis {spec.title!r}: {name} has {len(levels)} levels",
            mend=f"say which counts as 1: event = {(levels or ('LEVEL',))[-1]!r}",
        )
    return levels[-1]


def _value(spec: Analysis, event: str | float, name: str, values: Floats) -> float:
    """The number that counts as 1: one of those that the real rows have; true is 1, and false 0."""
    try:
        found = float(event)
    except ValueError:
        found = np.nan
    if found not in values:
        few = ", ".join(f"{v:g}" for v in values[:5])
        raise InputError(
            f"analysis {spec.title!r}: no real row has {name} = {event!r}; it is a number",
            mend=f"say which value counts as 1: event = VALUE, such as {few or 1}",
        )
    return found


def levels_there(column: Column) -> tuple[str, ...]:
    """Levels that these rows have: an encoding shared with other sets has theirs too. Empty for a number."""
    there = np.unique(column.values[~column.missing]) if column.kind is Kind.CATEGORY else np.empty(0, dtype=np.int64)
    return tuple((column.levels or ())[int(code)] for code in there)


def _yes(column: Column, event: str | None) -> Bools:
    if column.kind is Kind.CATEGORY:
        return column.values == _code(column, str(event))
    return column.values == float(str(event))


def _code(column: Column, level: str) -> int:
    levels = column.levels or ()
    return levels.index(level) if level in levels else -2  # -1 is a missing cell


def _groups(spec: Analysis, columns: Columns, rows: Bools) -> tuple[str, ...] | Unmeasured:
    """Levels of `by` among the rows that count, the reference first."""
    if spec.by is None:
        return ()
    column = columns[spec.by]
    levels = column.levels or ()
    counts = np.bincount(column.values[rows & ~column.missing], minlength=len(levels))
    there = [levels[i] for i in np.flatnonzero(counts)]
    if len(there) < 2 or len(there) > 20:
        return Unmeasured(
            f"{spec.by} has {len(there)} groups in the real rows that count", "name a column of 2 to 20 groups"
        )
    first = _text(spec.reference.get(spec.by, levels[int(counts.argmax())]))
    if first not in there:
        raise UnknownName.among(first, there, what=f"level of {spec.by}")
    return (first, *(g for g in there if g != first)) if spec.kind == "difference" else tuple(there)


def asked_rows(spec: Analysis, columns: Columns) -> Bools:
    """[n] the rows that meet all conditions."""
    rows = np.ones(next(iter(columns.values())).values.size, dtype=bool)
    for condition in spec.where:
        rows &= _meets(condition, columns, spec)
    return rows


def _condition(text: str, spec: Analysis) -> tuple[str, str, str]:
    found = CONDITION.match(text)
    if found is None:
        raise InputError(
            f"analysis {spec.title!r}: cannot read the condition {text!r}", mend='write it as "COLUMN >= VALUE"'
        )
    return found[1], found[2], found[3].strip("\"'")


def _meets(text: str, columns: Columns, spec: Analysis) -> Bools:
    name, sign, value = _condition(text, spec)
    column = columns[name]
    if column.kind is Kind.CATEGORY and sign in ("=", "==", "!="):
        if value not in (column.levels or ()):
            raise UnknownName.among(value, column.levels or (), what=f"level of {name}")
        same = column.values == _code(column, value)
        return ~column.missing & (~same if sign == "!=" else same)
    try:
        bound = _seconds(value) if column.kind is Kind.DATETIME else float(value)
    except ValueError:
        kind = "date" if column.kind is Kind.DATETIME else "number"
        raise InputError(
            f"analysis {spec.title!r}: {value!r} in {text!r} is no {kind}",
            mend=f"compare {name} with a value of its kind",
        ) from None
    return COMPARE[sign](_numbers(column, spec), bound) & ~column.missing


def _seconds(text: str) -> float:
    return float(np.datetime64(text, "s").astype(np.int64))


def _text(value: str | float | bool) -> str:  # noqa: FBT001
    """How a level of a table is written."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) and value.is_integer() else str(value)
