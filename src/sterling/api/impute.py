"""`impute`: gaps filled from like rows, or chosen columns drawn anew, and how well that can be done."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from sterling.api.conditions import conditions
from sterling.api.inputs import load
from sterling.kernel import seeds
from sterling.kernel.dataset import Dataset, Lineage, Origin
from sterling.kernel.errors import InputError
from sterling.kernel.estimate import Estimate, Unmeasured
from sterling.kernel.finding import Finding, Status
from sterling.kernel.protocols import OnEvent, silent
from sterling.kernel.schema import Kind
from sterling.kernel.table import Table

if TYPE_CHECKING:
    from sterling.decide.result import Result
    from sterling.kernel.view import Bools, Floats
    from sterling.modalities.tabular.anatomy import Anatomy
    from sterling.stats.imputation import Ids

MIN_LEAF, ROUNDS = 5, 5
# Of the known cells of a column with gaps, so many are hidden to see how well they are found again.
HIDDEN, MOST_HIDDEN = 0.1, 2_000
LEAST_HIDDEN = 30
DRAWS = 400
MOST_LEVELS = 20


@dataclass(frozen=True, slots=True)
class Imputed:
    """What `impute` gives.

    Args:
        result: per column, how well hidden known cells were found again, and how many cells were filled.
        sets: the filled tables, one per asked set.
    """

    result: Result
    sets: tuple[Dataset, ...]


def impute(
    source: Any,
    *,
    out: Path | None = None,
    columns: Sequence[str] = (),
    redraw: Sequence[str] = (),
    fix: Sequence[str] = (),
    sets: int = 1,
    seed: int = 0,
    schema: Path | None = None,
    on_event: OnEvent = silent,
) -> Imputed:
    """Fill gaps by draws from like rows; or change columns and draw others anew as they go with the change.

    Gaps: trees in chained equations, each gap a draw, not a best guess. Several `sets` are the multiple
    imputations over which an analyst averages. `redraw`: every cell of these columns is drawn anew given all
    other columns, after `fix` set some to one value: "the same people, had they been 30" as the data's own
    associations tell it, which is no proof of cause.

    Args:
        source: a path, a frame or a Dataset.
        out: where to write: a folder or file; of several sets, each gets its number before the suffix.
        columns: fill these only; by default all with gaps but identifiers, free text and columns that are empty
            throughout, which the answer names.
        redraw: columns whose every cell is drawn anew.
        fix: "column=value" to set in every row first; needs `redraw`.
        sets: how many filled tables, >= 1.
        seed: same seed, same bytes.
        schema: TOML that overrides kinds and roles of columns.
        on_event: hears progress.

    Raises:
        UnknownName: for a column that is not there.
        InputError: for a table without gaps that can be filled and nothing to redraw, identifiers or texts to
            fill, `fix` without `redraw`, sets < 1.
    """
    from sterling.api.generate import check_out, write_out

    if sets < 1:
        raise InputError(f"cannot make {sets} sets", mend="ask for at least one: --sets 1")
    if fix and not redraw:
        raise InputError("columns are set and none is drawn anew", mend="name what follows: --redraw income")
    for path in _paths(out, sets):
        check_out(path)
    data = load(source, origin=Origin.REAL, schema=schema)
    for name in (*columns, *redraw):
        data.schema[name]
    made = _redrawn(data, redraw, fix, sets, seed, on_event) if redraw else _filled(data, columns, sets, seed, on_event)
    for path, one in zip(_paths(out, sets), made.sets, strict=False):
        write_out(one.batches(), path, like=one)
    return made


def _paths(out: Path | None, sets: int) -> list[Path]:
    if out is None:
        return []
    return [out] if sets == 1 else [out.with_name(f"{out.stem}-{i + 1}{out.suffix}") for i in range(sets)]


def _filled(data: Dataset, columns: Sequence[str], sets: int, seed: int, on_event: OnEvent) -> Imputed:
    """Gaps filled, and known cells hidden and found again."""
    from sterling.modalities.tabular.anatomy import take_apart

    anatomy, ids = take_apart(data)
    wanted = _wanted(data, anatomy, ids, columns)
    hidden = _hidden(ids, wanted, rng=seeds.stream(seed, "impute", "hide"))
    on_event("step", {"text": f"filling {int(wanted.sum()):,} cells, and {int(hidden.sum()):,} known ones to see how"})
    found = _drawn(anatomy, np.where(hidden, -1, ids), wanted | hidden, rng=seeds.stream(seed, "impute", "check"))
    findings = tuple(
        _skill(anatomy, j, ids, found, hidden, rng=seeds.stream(seed, "impute", "skill", j))
        for j in np.flatnonzero(wanted.any(axis=1)).tolist()
    )
    made: list[Dataset] = []
    for i in range(sets):
        drawn = _drawn(anatomy, ids, wanted, rng=seeds.stream(seed, "impute", "set", i))
        cells = {
            anatomy.outcomes[j].field.name: anatomy.outcomes[j].distinct.take(pa.array(drawn[j], mask=drawn[j] < 0))
            for j in np.flatnonzero(wanted.any(axis=1))
        }
        made.append(_with_cells(data, cells, "impute"))
    rows = [
        (anatomy.outcomes[j].field.name, int(wanted[j].sum()), float(wanted[j].mean()))
        for j in np.flatnonzero(wanted.any(axis=1))
    ]
    table = Table("Cells filled", ("column", "cells", "share of its rows"), tuple(rows))
    notes = (
        "Hidden cells are hidden at random: what is missing for a reason of its own may be filled worse than this.",
        *_reasons(anatomy, ids, wanted),
        *(f"{told}: left as it is" for told in _skipped(data, anatomy, ids)),
    )
    lost = [f.slice or "" for f in findings if f.status is Status.WARN]
    told = f"{_filled_of(data, anatomy, ids, columns)}; " + (
        f"in {', '.join(lost)} no better than by luck: do not rely on those cells."
        if lost
        else "hidden cells were found again better than by luck in every column that could be tried."
    )
    return Imputed(_result(data, findings, (table,), seed, notes, told=told), tuple(made))


def _wanted(data: Dataset, anatomy: Anatomy, ids: Ids, columns: Sequence[str]) -> Bools:
    """[d, n] the gaps to fill."""
    places = {o.field.name: j for j, o in enumerate(anatomy.outcomes)}
    fillable = [
        j for j, o in enumerate(anatomy.outcomes) if o.field.kind is not Kind.TEXT and bool((ids[j] >= 0).any())
    ]
    for name in columns:
        if places.get(name) not in fillable:
            kind = data.schema[name].kind.value
            raise InputError(
                f"{name!r} cannot be filled: it is an identifier, free text, or empty throughout ({kind})",
                mend="leave it out",
            )
    chosen = [places[name] for name in columns] if columns else fillable
    wanted = np.zeros(ids.shape, dtype=bool)
    wanted[chosen] = ids[chosen] < 0
    skipped = _skipped(data, anatomy, ids)
    if not wanted.any() and skipped and not columns:
        raise InputError(
            f"{data.name} has gaps only where none can be filled: {'; '.join(skipped)}",
            mend="give such a column some values, or leave it out",
        )
    if not wanted.any():
        raise InputError(
            f"{data.name} has no gaps to fill" + (f" in {', '.join(columns)}" if columns else ""),
            mend="to draw whole columns anew, name them: --redraw income",
        )
    return wanted


def _skipped(data: Dataset, anatomy: Anatomy, ids: Ids) -> list[str]:
    """The columns with gaps that cannot be filled, each with why and how many cells stay missing."""
    from sterling.modalities.tabular.canonical import flat
    from sterling.modalities.tabular.storage import normalise

    found: list[str] = []
    for maker in anatomy.identifiers:
        name = maker.field.name
        if gone := flat(normalise(data.table((name,))).table.column(0)).null_count:
            found.append(f"{name} (identifiers, {gone:,} cells missing)")
    for row, outcome in zip(ids, anatomy.outcomes, strict=True):
        gone = int((row < 0).sum())
        why = "empty throughout" if gone == row.size else "free text" if outcome.field.kind is Kind.TEXT else None
        if gone and why:
            found.append(f"{outcome.field.name} ({why}, {gone:,} cells missing)")
    return found


def _filled_of(data: Dataset, anatomy: Anatomy, ids: Ids, columns: Sequence[str]) -> str:
    """What is filled, and what is not."""
    if columns:
        return f"Every gap in {', '.join(columns)} is filled"
    skipped = _skipped(data, anatomy, ids)
    if not skipped:
        return "Every gap is filled"
    return f"Every gap is filled but those in {', '.join(skipped)}"


def _reasons(anatomy: Anatomy, ids: Ids, wanted: Bools) -> Iterator[str]:
    """Columns whose gaps may mean "does not apply": a level of another column never has a value there."""
    for j in np.flatnonzero(wanted.any(axis=1)).tolist():
        gone = ids[j] < 0
        for i, other in enumerate(anatomy.outcomes):
            if i == j or other.ordered or not 1 < other.counts.size <= MOST_LEVELS:
                continue
            rows = np.bincount(ids[i][ids[i] >= 0], minlength=other.counts.size)
            gaps = np.bincount(ids[i][gone & (ids[i] >= 0)], minlength=other.counts.size)
            always = np.flatnonzero((gaps == rows) & (rows >= LEAST_HIDDEN))
            if always.size and gaps[always].sum() > gone.sum() / 2:
                level = f"{other.field.name}={other.distinct[int(always[np.argmax(rows[always])])]}"
                name = anatomy.outcomes[j].field.name
                yield f"{name} is empty wherever {level}: if it does not apply there, leave it out by --column."
                break


def _hidden(ids: Ids, wanted: Bools, *, rng: np.random.Generator) -> Bools:
    """[d, n] known cells of the columns with gaps, to be found again."""
    hidden = np.zeros(ids.shape, dtype=bool)
    for j in np.flatnonzero(wanted.any(axis=1)):
        known = np.flatnonzero(ids[j] >= 0)
        size = min(int(known.size * HIDDEN), MOST_HIDDEN)
        hidden[j, rng.choice(known, size=size, replace=False)] = True
    return hidden


def _drawn(anatomy: Anatomy, ids: Ids, wanted: Bools, *, rng: np.random.Generator) -> Ids:
    from sterling.stats.histogram_trees import Growth
    from sterling.stats.imputation import impute_ids
    from sterling.stats.sequential_trees import Variable

    variables = [Variable(o.counts, o.ordered) for o in anatomy.outcomes]
    return impute_ids(ids, variables, wanted=wanted, rounds=ROUNDS, growth=Growth(min_leaf=MIN_LEAF), rng=rng)


def _skill(anatomy: Anatomy, j: int, ids: Ids, found: Ids, hidden: Bools, *, rng: np.random.Generator) -> Finding:
    """How much nearer the found cells are to the hidden truth than cells drawn at random from the column."""
    outcome, cells = anatomy.outcomes[j], np.flatnonzero(hidden[j])
    name = outcome.field.name
    if cells.size < LEAST_HIDDEN:
        few = Unmeasured(f"{name}: only {cells.size} known cells could be hidden", mend="give more rows")
        return Finding("imputation_skill", few, "higher", Status.UNMEASURED, slice=name, reason=few.reason)
    ranks = (np.cumsum(outcome.counts) - outcome.counts / 2) / outcome.counts.sum()
    place = ranks if outcome.ordered else np.arange(ranks.size, dtype=float)

    def loss(a: Ids, b: Ids) -> Floats:
        apart = np.abs(place[a] - place[b])
        return apart if outcome.ordered else (apart > 0).astype(np.float64)

    truth = ids[j, cells]
    luck = rng.choice(ids[j, (ids[j] >= 0) & ~hidden[j]], size=(8, cells.size))
    ours, chance = loss(found[j, cells], truth), np.mean([loss(row, truth) for row in luck], axis=0)
    if not chance.sum():
        one = Unmeasured(f"{name} holds one value: there is nothing to guess", mend="")
        return Finding("imputation_skill", one, "higher", Status.UNMEASURED, slice=name, reason=one.reason)
    picks = rng.integers(cells.size, size=(DRAWS, cells.size))
    spread = 1 - ours[picks].sum(axis=1) / np.maximum(chance[picks].sum(axis=1), 1e-12)
    low, high = np.quantile(spread, [0.025, 0.975])
    value = float(1 - ours.sum() / chance.sum())
    result = Estimate(
        value, float(min(low, value)), float(max(high, value)), int(cells.size), 0.95, "bootstrap of cells"
    )
    status = Status.PASS if result.low > 0 else Status.WARN
    far = "in the ranks of its values" if outcome.ordered else "in how often they miss"
    told = f"{name}: cells found again are {value:.0%} nearer to the truth than luck, {far}" if value > 0 else (
        f"{name}: cells found again are no nearer to the truth than a draw from the whole column"
    )  # fmt: skip
    return Finding("imputation_skill", result, "higher", status, slice=name, reason=told)


def _redrawn(
    data: Dataset, redraw: Sequence[str], fix: Sequence[str], sets: int, seed: int, on_event: OnEvent
) -> Imputed:
    """Columns drawn anew given all others, some of which were set."""
    from sterling.generators.cart import Cart
    from sterling.modalities.tabular.anatomy import take_apart

    others = [o.field.name for o in take_apart(data)[0].outcomes if o.field.name not in redraw]
    if not others:
        raise InputError("every column is to be drawn anew", mend="use `sterling generate` for new rows")
    fixed = conditions(data, data.rows, given=fix, on_event=on_event)
    clash = [name for name in (fixed.column_names if fixed else ()) if name in redraw]
    if clash:
        raise InputError(f"{clash[0]!r} is both set and drawn anew", mend="choose one of --fix and --redraw")
    rows = data.table(tuple(data.schema.names))
    for name in fixed.column_names if fixed else ():
        rows = rows.set_column(rows.column_names.index(name), name, fixed.column(name) if fixed else rows.column(name))
    on_event("step", {"text": f"drawing {', '.join(redraw)} anew in {data.rows:,} rows"})
    generator = Cart(min_leaf=MIN_LEAF, first=tuple(others))
    fitted = generator.fit(data, rng=seeds.stream(seed, "redraw", "fit"))
    made: list[Dataset] = []
    for i in range(sets):
        batches = generator.sample(
            fitted, data.rows, rng=seeds.stream(seed, "redraw", i), given=rows.drop_columns(list(redraw))
        )
        table = pa.concat_tables(list(batches))
        kept: Mapping[str, pa.ChunkedArray] = {name: table.column(name) for name in redraw}
        changed = {name: rows.column(name) for name in (fixed.column_names if fixed else ())}
        made.append(_with_cells(data, {**changed, **kept}, f"redraw({','.join(redraw)})"))
    table = Table("Drawn anew", ("column", "cells"), tuple((name, data.rows) for name in redraw))
    note = "Drawn as the rows' own associations have it: not what would happen to these people."
    told = f"{', '.join(redraw)} drawn anew in {data.rows:,} rows, given all other columns"
    told += f" with {' and '.join(fix)}." if fix else "."
    return Imputed(_result(data, (), (table,), seed, (note,), told=told), tuple(made))


def _with_cells(data: Dataset, cells: Mapping[str, Any], how: str) -> Dataset:
    """The set with whole columns replaced, as an augmented one."""
    from sterling.modalities.tabular import from_table, to_storage

    table = data.table()
    for name, array in cells.items():
        table = table.set_column(table.column_names.index(name), name, array)
    lineage = Lineage(generator=how, parents=(data.fingerprint,), depth=data.lineage.depth + 1, fitted_on="real")
    made = from_table(
        to_storage(table, data.schema), name=data.name, origin=Origin.AUGMENTED, schema=data.schema, lineage=lineage
    )
    return replace(made, split=data.split)


def _result(
    data: Dataset,
    findings: tuple[Finding, ...],
    tables: tuple[Table, ...],
    seed: int,
    notes: tuple[str, ...],
    *,
    told: str,
) -> Result:
    from sterling.api.drill_result import records
    from sterling.decide.policy import load_policy
    from sterling.decide.result import Result
    from sterling.kernel.finding import Decision, RuleOutcome, Verdict

    policy = load_policy(None).label
    lost = tuple(f"{f.measure}:{f.slice}" for f in findings if f.status is Status.WARN)
    unmeasured = tuple(f"{f.measure}:{f.slice}" for f in findings if isinstance(f.result, Unmeasured))
    decision = Decision(Verdict.SHIP, policy, (RuleOutcome("IMPUTE", "FILLED", lost, told, None),), unmeasured)
    return Result("impute", decision, findings, records([data]), seed, policy, notes=notes, tables=tables)
