"""Raking: any table's rows, drawn anew so that its margins are those of real rows, or totals that are given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
import pyarrow as pa

from sterling.kernel.dataset import Dataset, Origin
from sterling.kernel.errors import InputError
from sterling.kernel.protocols import Augmented
from sterling.kernel.schema import Kind, Role
from sterling.kernel.table import Table
from sterling.modalities.tabular import Tabular, from_table
from sterling.modalities.tabular.anatomy import with_new_identifiers
from sterling.modalities.tabular.canonical import canonical, floats
from sterling.modalities.tabular.margin_codes import MarginCodes, margin_codes
from sterling.modalities.tabular.memory import plain_table
from sterling.modalities.tabular.totals import Total, codes_of_total, parse_totals, shares_of
from sterling.stats import raking
from sterling.stats.raking import Margins, Raked, chance_gaps, farthest_pairs, gaps_of, margins_of, resample

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sterling.kernel.dataset import Batch
    from sterling.kernel.view import Floats, Ints, View

    Codes = NDArray[np.uint8]

# Pairs beyond this many take minutes and gigabytes; the farthest apart are raked.
MOST_PAIRS = 3000
SHOWN = 10
# Below this share of the rows, what is left says much less than the number of rows that are written.
FEW = 0.25


@dataclass(frozen=True, slots=True)
class Rake:
    """Rows drawn by weights that bring the table's one- and two-way margins to those of real rows or given totals.

    Real rows count by their weights where a column has that role; such a column is not raked itself.

    Impossible pairs vanish, shares of cells come right, and within a cell rows stay what they were: no cell is
    changed, no row invented. What the table does not hold at all cannot be mended, and is said. Rows that are worth
    more than one are drawn more than once: give it two or three times the rows that you need, and set `rows`.

    Args:
        rows: to write; 0 for as many as came in.
        output: "rows" draws rows by their weights, "weights" keeps every row and writes `_sterling_weight`, of mean 1.
        totals: shares or counts that columns are to have, as the text of a CSV (column, value, share or count) or of a
            TOML file (a table per column): --set totals=@census.csv. With real rows too, these are brought to the
            totals first.
        columns: the columns to mend; empty for all.
        bins: values per column that are told apart, 2 to 250; neighbours share one.
        cap: a row's most, in mean weights of the possible rows, > 1.
        rounds: at most, >= 1.
        tolerance: total variation per pair that is near enough, 0 to 1.
        band: standard errors within which a cell's share is left alone, >= 0; 2 keeps a table that differs by chance
            alone nearly as it is.

    Raises:
        InputError: for a setting out of its range.

    Source: Deming & Stephan 1940, doi:10.1214/aoms/1177731829.
    """

    rows: int = 0
    output: Literal["rows", "weights"] = "rows"
    totals: str = ""
    columns: tuple[str, ...] = ()
    bins: int = 32
    cap: float = 3.0
    rounds: int = 30
    tolerance: float = 0.002
    band: float = 0.0

    def __post_init__(self) -> None:
        _between("rows", self.rows, 0)
        _between("bins", self.bins, 2, 250)
        _between("cap", self.cap, 1.0)
        _between("rounds", self.rounds, 1)
        _between("tolerance", self.tolerance, 0, 1)
        _between("band", self.band, 0)
        if self.cap <= 1:
            raise InputError("cap is 1: no row could weigh more than another", mend="--set cap=3")

    def fit(self, reference: Dataset | None, *, rng: np.random.Generator) -> FittedRake:
        """What the table is to look like.

        Raises:
            InputError: if there are neither real rows nor totals, or the totals cannot be read.
        """
        totals = parse_totals(self.totals) if self.totals else ()
        if reference is None and not totals:
            raise InputError(
                "rake brings a table to the margins of another, and was given none",
                mend="name real rows with --real real.csv, or totals with --set totals=@totals.csv",
            )
        if reference is not None:
            if reference.rows == 0:
                raise InputError(f"{reference.name} has no rows to rake to", mend="give more real rows")
            for name in self.columns:
                _ = reference.schema[name]
        return FittedRake(self, reference, totals)


@dataclass(frozen=True, slots=True, eq=False)
class FittedRake:
    """Raking that knows its target: an `Augmenter` that says what it changed.

    Args:
        settings: of the raking.
        reference: the real rows, or None.
        totals: that columns are to have.
    """

    settings: Rake
    reference: Dataset | None
    totals: tuple[Total, ...]

    def apply(self, batch: Batch, *, rng: np.random.Generator) -> Batch:
        """The rows, drawn by weight or with a column of weights; see `augment`."""
        return self.augment(batch, rng=rng).batch

    def augment(self, batch: Batch, *, rng: np.random.Generator) -> Augmented:
        """Rake a table and say how near it came.

        Args:
            batch: the rows to mend.
            rng: the only source of chance.

        Raises:
            UnrelatedInput: if it shares no column with the real rows.
            UnknownName: for a column of the totals or the settings that is not there.
            InputError: if it has no rows.
        """
        if batch.num_rows == 0:
            raise InputError("the table to rake has no rows", mend="give at least one")
        known = self.reference.schema if self.reference is not None else None
        data = from_table(batch, origin=Origin.SYNTHETIC, schema=known)
        aim, pool = _aim(self, data, rng=rng)
        found = raking.rake(
            pool, aim.margins, rounds=self.settings.rounds, tolerance=self.settings.tolerance,
            band=self.settings.band, cap=self.settings.cap,
        )  # fmt: skip
        made, weights = _written(self.settings, data, batch, found, rng=rng)
        return Augmented(
            batch=made,
            tables=_tables(aim, found, gaps_of(pool, aim.margins, weights=weights), made.num_rows),
            notes=(*aim.notes, *_notes(self.settings, data.rows, found, weights)),
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Aim:
    """What the pool is raked to, and the words for its cells."""

    margins: Margins
    names: tuple[str, ...]
    labels: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...]


def _aim(fitted: FittedRake, data: Dataset, *, rng: np.random.Generator) -> tuple[_Aim, Codes]:
    """The margins to meet, and the pool's codes in their coding."""
    settings, totals = fitted.settings, fitted.totals
    names = tuple(total.name for total in totals)
    labels = tuple(("all others", *(" & ".join(cell) for cell in total.cells)) for total in totals)
    if fitted.reference is None:
        (view,) = Tabular().views([data])
        pool = _total_codes(totals, view)
        margins = Margins(tuple((k,) for k in range(len(totals))), tuple(shares_of(t) for t in totals), np.inf)
        return _Aim(margins, names, labels, _total_notes(totals, pool)), pool
    views = [_kept(view, settings.columns) for view in Tabular().views([fitted.reference, data])]
    coded = margin_codes(views, bins=settings.bins)
    real, pool = coded.codes
    worth, noted = _worth(fitted.reference), _weight_notes(fitted.reference, data)
    weights, notes = worth, noted
    if totals:
        known, met = _total_codes(totals, views[0]), _total_codes(totals, views[1])
        first = Margins(tuple((k,) for k in range(len(totals))), tuple(shares_of(t) for t in totals), np.inf)
        weights = raking.rake(known, first, start=worth, rounds=settings.rounds, cap=settings.cap).weights
        real, pool, notes = np.vstack([real, known]), np.vstack([pool, met]), (*noted, *_total_notes(totals, met))
    margins = margins_of(real, _sets(coded, real, pool, rng=rng), weights=weights)
    if weights is not None:  # unequal weights say less than as many equal rows: Kish 1965
        margins = replace(margins, rows=float(weights.sum() ** 2 / np.square(weights).sum()))
    return _Aim(margins, (*coded.names, *names), (*coded.labels, *labels), notes), pool


def _sets(coded: MarginCodes, real: Codes, pool: Codes, *, rng: np.random.Generator) -> list[tuple[int, ...]]:
    """Every column, every total, and the pairs of columns, or those of them that lie farthest apart."""
    d = len(coded.names)
    orders = [rng.permutation(codes.shape[1])[:2000] for codes in coded.codes]
    few, many = (codes[:, order] for codes, order in zip(coded.codes, orders, strict=True))
    pairs = farthest_pairs(few, many, most=MOST_PAIRS)
    return [*((k,) for k in range(len(real))), *pairs] if d else []


def _kept(view: View, columns: Sequence[str]) -> View:
    """The view of the columns to mend: weights say how many a row stands for, not what it is."""
    chosen = tuple(view.column(name) for name in columns) if columns else view.columns or ()
    kept = tuple(column for column in chosen if column.role is not Role.WEIGHT)
    if not kept:
        raise InputError("only a column of weights is to be raked", mend="name other columns: --set columns=...")
    return replace(view, columns=kept)


def _worth(reference: Dataset) -> Floats | None:
    """[n] how many each real row stands for, of mean 1; None where no column says so."""
    fields = reference.schema.with_role(Role.WEIGHT)
    if not fields:
        return None
    name = fields[0].name
    worth = floats(canonical(plain_table(reference, (name,)).column(0), replace(fields[0], kind=Kind.NUMBER)))
    wrong = int(np.sum(~(np.isfinite(worth) & (worth >= 0))))
    if wrong or not worth.sum():
        what = f"{wrong:,} weights that are missing, infinite or below 0" if wrong else "no weight above 0"
        raise InputError(f"{name} of {reference.name} holds {what}", mend="mend them, or declare another role")
    return worth / worth.mean()


def _weight_notes(reference: Dataset, data: Dataset) -> tuple[str, ...]:
    fields = reference.schema.with_role(Role.WEIGHT)
    if not fields:
        return ()
    name = fields[0].name
    again = f"; do not weight the rows by {name} again" if name in data.schema else ""
    return (f"the real rows count by their weights, {name}, and the table is brought to the weighted shares{again}",)


def _total_codes(totals: Sequence[Total], view: View) -> Codes:
    return np.array([codes_of_total(total, view) for total in totals], dtype=np.uint8).reshape(len(totals), view.n)


def _written(
    settings: Rake, data: Dataset, batch: Batch, found: Raked, *, rng: np.random.Generator
) -> tuple[Batch, Floats]:
    """The rows to write with the notes of their origin, and how often each row of the pool is among them."""
    if settings.output == "weights":
        made, weights = batch, found.weights
    else:
        drawn = resample(found.weights, settings.rows or data.rows, rng=rng)
        made, weights = batch.take(pa.array(drawn)), np.bincount(drawn, minlength=data.rows).astype(np.float64)
        if weights.max() > 1 and data.schema.with_role(Role.KEY):
            made = _with_new_keys(made, data, drawn, rng=rng)
    n = made.num_rows
    depth = batch.column("_sterling_depth") if "_sterling_depth" in batch.column_names else None
    deepest = int(np.max(depth.to_numpy())) if depth is not None and len(depth) else 1
    columns = {
        "_sterling_origin": pa.array([Origin.AUGMENTED.value] * n, pa.string()),
        "_sterling_parent": pa.array([data.fingerprint] * n, pa.string()),
        "_sterling_depth": pa.array(np.full(n, deepest + 1), pa.int32()),
    }
    if settings.output == "weights":
        columns["_sterling_weight"] = pa.array(weights)
    for name, values in columns.items():
        place = made.schema.get_field_index(name)
        made = made.append_column(name, values) if place < 0 else made.set_column(place, name, values)
    return made, weights


def _with_new_keys(made: Batch, data: Dataset, drawn: Ints, *, rng: np.random.Generator) -> Batch:
    """The second and later copies of a row get keys of their own; all rows do, for a series has one maker."""
    keys = [f.name for f in data.schema.with_role(Role.KEY) if not f.name.startswith("_sterling_")]
    fresh = with_new_identifiers(made.select(keys), replace(data, schema=data.schema.select(keys)), rng=rng)
    for name in keys:
        made = made.set_column(made.column_names.index(name), name, fresh.column(name))
    return made


def _tables(aim: _Aim, found: Raked, after: Floats, n: int) -> tuple[Table, ...]:
    """What changed, the farthest beyond chance first, and what nothing could be done about."""
    before, chance = found.gaps_before, chance_gaps(aim.margins, n)
    worst = np.argsort(chance - np.maximum(before, after), kind="stable")[:SHOWN]
    lines = [("mean of all", before.mean(), after.mean(), chance.mean())]
    lines += [(_title(aim, aim.margins.sets[k]), before[k], after[k], chance[k]) for k in worst]
    gaps = Table(
        f"Gaps of {len(before):,} margins, farthest first",
        ("columns", "before", "after", "chance"),
        tuple((title, *(round(float(value), 4) for value in values)) for title, *values in lines),
        "The share of rows that would have to change (total variation); 0 is none. chance: what as many new rows of "
        "the same law show.",
    )
    alone = {(u.columns[0], u.codes[0]) for u in found.unmet if len(u.columns) == 1}
    unmet = [u for u in found.unmet if len(u.columns) == 1 or not alone & set(zip(u.columns, u.codes, strict=True))]
    if not unmet:
        return (gaps,)
    cells = tuple((_title(aim, u.columns), _cell(aim, u.columns, u.codes), f"{u.share:.3%}") for u in unmet[:SHOWN])
    note = "No row of the table is in these cells: raking invents none. Make more rows, or better ones."
    return gaps, Table("Cells that cannot be met", ("columns", "cell", "wanted"), cells, note, owner_only=True)


def _title(aim: _Aim, columns: Sequence[int]) -> str:
    return " x ".join(aim.names[k] for k in columns)


def _cell(aim: _Aim, columns: Sequence[int], codes: Sequence[int]) -> str:
    words = (aim.labels[k][code] if code < len(aim.labels[k]) else "?" for k, code in zip(columns, codes, strict=True))
    return " & ".join(words)


def _notes(settings: Rake, n: int, found: Raked, weights: Floats) -> list[str]:
    notes = [f"the weights are worth {found.effective:,.0f} equal rows of the {n:,} that came in"]
    if found.effective < FEW * n:
        notes[0] += ": few. Give more rows to draw from, name only the columns that matter, or set band=1"
    if found.impossible:
        notes.append(f"{found.impossible:,} rows were in cells that cannot be, and got no weight")
    if settings.output == "rows" and (again := int(np.maximum(weights - 1, 0).sum())):
        notes.append(f"{again:,} rows are repeats of others: give more rows to draw from, or take output=weights")
    if not found.converged:
        notes.append(
            f"not every margin came within {settings.tolerance:g}: what is printed is the nearest that was found in "
            f"{found.rounds} rounds"
        )
    if found.unmet:
        more = "at least " if len(found.unmet) == 1000 else ""
        notes.append(f"{more}{len(found.unmet):,} cells that are wanted have no row to meet them")
    return notes


def _total_notes(totals: Sequence[Total], pool: Codes) -> tuple[str, ...]:
    """What the user may not have meant: rows that no total speaks of, and counts that contradict each other."""
    notes: list[str] = []
    for total, codes in zip(totals, pool, strict=True):
        others = int(np.sum(codes == 0))
        if others and sum(total.shares) >= 1 - 1e-9:
            notes.append(f"{total.name}: {others:,} rows have a value that the totals do not name, and got no weight")
    amounts = {total.name: total.amount for total in totals if total.amount > 1.5}
    if amounts and max(amounts.values()) > 1.01 * min(amounts.values()):
        told = ", ".join(f"{name} {amount:,.0f}" for name, amount in amounts.items())
        notes.append(f"the counts add up differently ({told}): each was taken as shares of its own sum")
    return tuple(notes)


def _between(name: str, value: float, low: float, high: float = np.inf) -> None:
    if not low <= value <= high:
        ends = f"from {low:g} to {high:g}" if np.isfinite(high) else f"of at least {low:g}"
        raise InputError(f"{name} is {value}", mend=f"give a value {ends}: --set {name}=...")
