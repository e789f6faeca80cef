"""Whether a record is possible at all: columns, types, ranges, spelling, missing and infinite cells."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from dataclasses import field as dataclass_field
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sterling.kernel.dataset import Dataset
from sterling.kernel.errors import InputError, UnrelatedInput
from sterling.kernel.protocols import Marks
from sterling.kernel.schema import Field, Kind, Role
from sterling.modalities.tabular import canonical, infer_schema, normalise
from sterling.modalities.tabular.canonical import flat, floats, number_text, seconds, texts
from sterling.modalities.tabular.infer import PROVENANCE
from sterling.modalities.tabular.marks import Fault, marks_of

if TYPE_CHECKING:
    from sterling.kernel.dataset import Batch
    from sterling.kernel.view import Bools, Floats

ORDERED = (Kind.NUMBER, Kind.DATETIME)
# Fewer rows than this say nothing about what may not occur.
FEWEST_ROWS = 20
# If fresh real rows bring new categories more often than this, new ones are no news.
OPEN_ENDED = 0.01
# How alike two spellings must be (difflib's ratio) for "did you mean".
ALIKE = 0.75
# Without a reference, a spelling is a slip of another that is so much more frequent, and so alike.
SLIP_TIMES, SLIP_ALIKE = 50, 0.9
# Spellings looked up per column: the search is slow, and nobody reads more.
MOST_LOOKUPS = 200


@dataclass(frozen=True, slots=True, eq=False)
class Expectation:
    """What the cells of one column should be.

    Args:
        field: what is declared, or was inferred.
        missing: whether cells were missing.
        low: smallest finite number that was seen; None if there is none.
        high: largest one.
        levels: the categories that were seen or declared, with their frequency (0 = declared only).
        closed: whether the categories are declared: others are wrong, not only new.
        open_ended: whether new categories are to be expected.
        whole: all numbers are whole.
        infinite: whether infinite numbers were seen.
    """

    field: Field
    missing: bool
    low: float | None = None
    high: float | None = None
    levels: Mapping[str, int] = dataclass_field(default_factory=dict[str, int])
    closed: bool = False
    open_ended: bool = False
    whole: bool = False
    infinite: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class FittedValidity:
    """What a reference looks like; `name` is None where there is none.

    Args:
        name: how reasons call it.
        rows: how many it has.
        columns: what to expect of each.
    """

    name: str | None
    rows: int
    columns: tuple[Expectation, ...]


@dataclass(frozen=True, slots=True)
class Validity:
    """Drops what cannot be, flags what was never seen.

    Dropped: cells that are not of the column's kind, numbers beyond a declared bound or infinite where
    none were, categories outside a declared list, a missing target. Flagged: a column that is missing or
    strange, numbers beyond the observed range, fractions among whole numbers, unseen categories (with the
    likeliest spelling), missing cells where none were. A bound or list counts as declared where it differs
    from what the reference shows. Without a reference the batch is its own: infinite numbers, stray text
    among numbers and slips of spelling are found.

    Args:
        tolerance: how far beyond the observed range a number may lie unflagged, as a share of the range.

    Raises:
        InputError: for a negative tolerance.
    """

    tolerance: float = 0.05

    def __post_init__(self) -> None:
        if not self.tolerance >= 0:
            raise InputError(f"tolerance is {self.tolerance}", mend="give a share of at least 0: --set tolerance=0.05")

    def fit(self, reference: Dataset | None, *, rng: np.random.Generator) -> FittedValidity:
        """Learn what to expect of each column."""
        if reference is None:
            return FittedValidity(None, 0, ())
        fields = [f for f in reference.schema if not f.name.startswith(PROVENANCE)]
        table = normalise(reference.table(tuple(f.name for f in fields))).table
        columns = tuple(_expect(f, flat(table.column(f.name))) for f in fields)
        return FittedValidity(reference.name, reference.rows, columns)

    def apply(self, fitted: FittedValidity, batch: Batch) -> Marks:
        """Mark every record of a batch.

        Raises:
            UnrelatedInput: if the batch has none of the reference's columns.
        """
        table = normalise(batch).table
        n = table.num_rows
        if fitted.name is None:
            return marks_of(n, [fault for f in infer_schema(batch) for fault in _alone(f, flat(table.column(f.name)))])
        faults = list(_schema_faults(fitted, table))
        for expected in fitted.columns:
            if expected.field.name in table.column_names:
                array = flat(table.column(expected.field.name))
                faults += self._cell_faults(fitted, expected, array)
        return marks_of(n, faults)

    def _cell_faults(self, fitted: FittedValidity, expected: Expectation, array: pa.Array) -> Iterator[Fault]:
        field = expected.field
        cells = canonical(array, field)
        yield _unreadable(field, array, cells)
        enough = fitted.rows >= FEWEST_ROWS
        if not expected.missing and enough:
            gone = array.is_null().to_numpy(zero_copy_only=False)
            target = field.role is Role.TARGET
            why = f"{field.name!r} is missing" + (", and it is the target" if target else f": never in {fitted.name}")
            yield Fault(gone, "drop" if target else "flag", why)
        if field.role in (Role.KEY, Role.ENTITY):
            return
        if field.kind is Kind.CATEGORY:
            yield from _new_levels(fitted, expected, cells)
        elif field.kind in ORDERED:
            values = floats(cells) if field.kind is Kind.NUMBER else seconds(cells)
            yield from _number_faults(fitted, expected, values, tolerance=self.tolerance)


def _expect(field: Field, array: pa.Array) -> Expectation:
    cells = canonical(array, field)
    plain = Expectation(field, missing=array.null_count > 0)
    if field.kind is Kind.CATEGORY:
        counted = pc.value_counts(texts(cells).drop_null())
        words, counts = counted.field("values").to_pylist(), counted.field("counts").to_pylist()
        seen: dict[str, int] = dict(zip(words, counts, strict=True))
        declared = field.levels if field.levels is not None and set(field.levels) != set(seen) else ()
        # Good-Turing: what was seen once tells how much is still unseen.
        singles = sum(c == 1 for c in counts)
        return replace(
            plain,
            levels={**dict.fromkeys(declared, 0), **seen},
            closed=bool(declared),
            open_ended=not declared and singles > OPEN_ENDED * len(array),
        )
    if field.kind not in ORDERED:
        return plain
    values = floats(cells) if field.kind is Kind.NUMBER else seconds(cells)
    finite = values[np.isfinite(values)]
    return replace(
        plain,
        low=float(finite.min()) if finite.size else None,
        high=float(finite.max()) if finite.size else None,
        whole=field.kind is Kind.NUMBER and finite.size >= FEWEST_ROWS and bool(np.all(finite == np.floor(finite))),
        infinite=bool(np.isinf(values).any()),
    )


def _schema_faults(fitted: FittedValidity, table: pa.Table) -> Iterator[Fault]:
    """Columns that are missing or strange: they concern every record."""
    expected = [e.field.name for e in fitted.columns]
    have = [name for name in table.column_names if not name.startswith(PROVENANCE)]
    if not set(expected) & set(have):
        raise UnrelatedInput(
            f"the records share no column with {fitted.name}: they have {', '.join(have[:12]) or 'none'}",
            mend="name the right reference, or rename the columns",
        )
    everywhere = np.ones(table.num_rows, dtype=bool)
    strange = [name for name in have if name not in expected]
    for spec in (e.field for e in fitted.columns):
        if spec.name not in have and spec.role is not Role.KEY:
            yield Fault(everywhere, "flag", f"column {spec.name!r} is missing{_did_you_mean(spec.name, strange)}")
    for name in strange:
        absent = [n for n in expected if n not in have]
        yield Fault(everywhere, "flag", f"column {name!r} is not in {fitted.name}{_did_you_mean(name, absent)}")


def _unreadable(field: Field, array: pa.Array, cells: pa.Array) -> Fault:
    """Cells that are there and are not of the column's kind."""
    lost = pc.and_(cells.is_null(), array.is_valid()).to_numpy(zero_copy_only=False)
    return Fault(lost, "drop", f"{field.name!r} is no {'date' if field.kind is Kind.DATETIME else field.kind.value}")


def _number_faults(
    fitted: FittedValidity, expected: Expectation, values: Floats, *, tolerance: float
) -> Iterator[Fault]:
    field, low, high = expected.field, expected.low, expected.high
    infinite = np.isinf(values)
    if not expected.infinite:
        yield Fault(infinite, "drop", f"{field.name!r} is infinite")
    if expected.whole:
        broken = np.isfinite(values) & (values != np.floor(values))
        yield Fault(broken, "flag", f"{field.name!r} is not whole, as it always is in {fitted.name}")
    if low is None or high is None:
        return
    # Half ranges: the range of float64 itself is no float64.
    margin = min(2 * tolerance * (high / 2 - low / 2), np.finfo(np.float64).max / 4)
    for outside, seen, bound, what in (
        (values < low - margin, low, field.low, "below"),
        (values > high + margin, high, field.high, "above"),
    ):
        beyond = _beyond(values, bound, what) if bound is not None and bound != seen else np.zeros(values.size, bool)
        yield Fault(beyond, "drop", f"{field.name!r} is {what} {_shown(bound, field)}, its bound")
        if fitted.rows >= FEWEST_ROWS:
            reason = f"{field.name!r} is far {what} {_shown(seen, field)}, the end of its range in {fitted.name}"
            yield Fault(outside & ~beyond & ~infinite, "flag", reason)


def _beyond(values: Floats, bound: float, what: str) -> Bools:
    return values < bound if what == "below" else values > bound


def _shown(value: float | None, field: Field) -> str:
    if value is None:
        return "no bound"
    if field.kind is Kind.DATETIME:
        moment = pa.scalar(int(np.clip(value, -6e10, 2.5e11)), pa.timestamp("s"))
        return str(moment.as_py())
    return number_text(float(value))


def _new_levels(fitted: FittedValidity, expected: Expectation, cells: pa.Array) -> Iterator[Fault]:
    """Categories that the reference does not have."""
    words = texts(cells)
    known = pa.array(list(expected.levels), pa.string())
    new = pc.and_(pc.invert(pc.is_in(words, known)), words.is_valid())
    unseen: list[str] = words.filter(new).unique().to_pylist()
    if not unseen or (fitted.rows < FEWEST_ROWS and not expected.closed):
        return
    hints = {w: _did_you_mean(w, tuple(expected.levels)) for w in unseen[:MOST_LOOKUPS]}
    where = "its declared categories" if expected.closed else str(fitted.name)
    said = [f"{expected.field.name!r} is {w!r}, which is not in {where}{hints.get(w, '')}" for w in unseen]
    rows = new.to_numpy(zero_copy_only=False)
    if expected.open_ended:
        # New categories are no news here; a new spelling of a known one still is.
        slips = pa.array([w for w in unseen if _folded(w) in {_folded(k) for k in expected.levels}], pa.string())
        rows = rows & pc.is_in(words, slips).to_numpy(zero_copy_only=False)
    reasons = pa.array(said, pa.string()).take(pc.index_in(words, pa.array(unseen, pa.string())))
    yield Fault(rows, "drop" if expected.closed else "flag", reasons)


def _alone(field: Field, array: pa.Array) -> Iterator[Fault]:
    """What a column shows of itself, without a reference."""
    cells = canonical(array, field)
    yield _unreadable(field, array, cells)
    if field.kind is Kind.NUMBER:
        yield Fault(np.isinf(floats(cells)), "drop", f"{field.name!r} is infinite")
    if field.kind is not Kind.CATEGORY or field.role in (Role.KEY, Role.ENTITY):
        return
    counted = pc.value_counts(texts(cells).drop_null()).to_pylist()
    counted = sorted(counted, key=lambda c: (-c["counts"], c["values"]))
    for rare in reversed(counted[-MOST_LOOKUPS:]):
        frequent = [c["values"] for c in counted if c["counts"] >= SLIP_TIMES * rare["counts"]]
        hint = _did_you_mean(rare["values"], frequent, alike=SLIP_ALIKE)
        if hint:
            rows = pc.is_in(texts(cells), pa.array([rare["values"]])).to_numpy(zero_copy_only=False)
            yield Fault(rows, "flag", f"{field.name!r} is {rare['values']!r}{hint}")


def _did_you_mean(word: str, known: Sequence[str], *, alike: float = ALIKE) -> str:
    """A hint at the likeliest spelling, or ''."""
    same = [k for k in known if _folded(k) == _folded(word) and k != word]
    near = same[:1] or difflib.get_close_matches(word, known, n=1, cutoff=alike)
    return f": did you mean {near[0]!r}?" if near else ""


def _folded(word: str) -> str:
    """The word without case and without blanks around it."""
    return word.strip().casefold()
