"""What only a few people have, taken out of a table before a generator learns it: rare levels and extreme values."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sterling.kernel.dataset import Dataset
from sterling.kernel.errors import InputError
from sterling.kernel.schema import Field, Kind, Role, Schema
from sterling.kernel.seeds import stream
from sterling.modalities.tabular.canonical import PER_SECOND, canonical, flat, floats, seconds, texts
from sterling.modalities.tabular.codes import are_codes, forms_of, known_prefixes, nearest_kept, remade
from sterling.modalities.tabular.free_text import mixed, without_rare_words
from sterling.modalities.tabular.infer import PROVENANCE, observed
from sterling.modalities.tabular.memory import MemorySource, plain_table
from sterling.stats.formulas import decimals_of, on_grid
from sterling.stats.tails import gather_top

if TYPE_CHECKING:
    from sterling.kernel.view import Bools, Floats, Ints

UNTOUCHED = (Role.KEY, Role.ENTITY, Role.WEIGHT)
# The column that says most about another is sought on so many rows, among so many columns of so many values.
PROBE, MOST_COLUMNS, MOST_VALUES = 20_000, 60, 64
BINS = 8
# Rare codes become kept ones with the same head where they are at most so large a share of the cells, else new ones.
MERGED = 0.1
# Levels that are no codes are made anew, word by word, where more of the cells than this are rare.
MOSTLY = 0.5
# Codes that were taken for free text are a category where each occurs so often on average.
REPEATED = 1.5


@dataclass(frozen=True, slots=True)
class Guarded:
    """What was taken out of one column: how much, never what.

    Args:
        name: of the column.
        levels: categories that fewer than k people have, replaced wherever they stood.
        words: words and numbers in free text that fewer than k people have.
        rows: rows in which they stood.
        low: rows whose value lay below what k people have, drawn in.
        high: the same above.
    """

    name: str
    levels: int = 0
    words: int = 0
    rows: int = 0
    low: int = 0
    high: int = 0


@dataclass(frozen=True, slots=True)
class Protection:
    """What was taken out of a table.

    Args:
        k: fewest people who may share a level or an extreme.
        people: how many there are: entities where a column names them, else rows.
        columns: those in which something was taken out.
        unprotected: columns in which no value is had by k people, so that nothing could stand in for it.
    """

    k: int
    people: int
    columns: tuple[Guarded, ...] = ()
    unprotected: tuple[str, ...] = ()

    @property
    def rows(self) -> int:
        """Cells in which a level or a word was replaced."""
        return sum(c.rows for c in self.columns)

    @property
    def sentence(self) -> str:
        """One plain sentence, without anybody's value in it."""
        levels = sum(c.levels for c in self.columns)
        ends = sum(c.low + c.high for c in self.columns)
        words = sum(c.words for c in self.columns)
        what = _counted(levels, "level") + (f" and {_counted(words, 'word')}" if words else "")
        said = (
            f"{what} that fewer than {self.k} people have: replaced in {_counted(self.rows, 'cell')}; "
            f"{_counted(ends, 'extreme value')} drawn in"
        )
        open_ = f"; not protected: {', '.join(self.unprotected)}" if self.unprotected else ""
        return f"{said}{open_}."


def _counted(n: int, what: str) -> str:
    return f"{n:,} {what}{'' if n == 1 else 's'}"


def protect(data: Dataset, *, k: int, other: str | None = None) -> tuple[Dataset, Protection]:
    """The table without levels and extremes that fewer than k people have.

    A rare level is replaced, cell by cell, by the level of a random row that is alike in the column that says
    most about this one. Codes (I25.10) keep the head that k people share: they become a kept code, or, where
    more than a tenth of the cells are rare, a new one of the same form. Columns of names, most of which are
    rare, and free text have their rare words and numbers made anew in their form. Numbers and dates beyond
    what k people reach are drawn in to where a smooth tail would have them, in their old order, on their old
    grid. Levels and spikes that k people share, missing cells, identifiers and weights stay as they are.
    People are counted by the entity column where there is one: a patient with twenty visits is one. The same
    table gives the same result.

    Args:
        data: the training rows.
        k: fewest people who may share what is left, >= 1; 1 changes nothing.
        other: put this in the place of rare levels, instead of levels that are there.

    Returns:
        The table, with a fingerprint of its own, and what was taken out of it.

    Raises:
        InputError: for k < 1.
    """
    if k < 1:
        raise InputError(f"protect=k asks for at least {k} people", mend="give a whole number of at least 1, such as 5")
    table = plain_table(data)
    owners = _owners(table, data.schema)
    people = data.rows if owners is None else int(owners.max(initial=-1)) + 1
    if k == 1 or not data.rows:
        return data, Protection(k, people)
    schema, guarded, bare = data.schema, list[Guarded](), list[str]()
    helpers = _helpers(table, data.schema)
    for field in data.schema:
        if field.role in UNTOUCHED or field.name.startswith(PROVENANCE) or field.kind not in KINDS:
            continue
        cells = flat(table.column(field.name))
        rng = stream(0, "protect", data.fingerprint, field.name)
        made = KINDS[field.kind](field, cells, k, owners, helpers, other, rng)
        if made is None:
            bare.append(field.name)
        elif made[0] is not cells:
            table = table.set_column(table.column_names.index(field.name), field.name, made[0])
            schema = schema.replaced(_as_made(field, made[0]))
            guarded.append(made[1])
    if not guarded:
        return data, Protection(k, people, unprotected=tuple(bare))
    mark = hashlib.sha256(f"protect {k} {other} {data.fingerprint}".encode()).hexdigest()
    safe = replace(data, schema=schema, source=MemorySource(table), fingerprint=mark)
    return safe, Protection(k, people, tuple(guarded), tuple(bare))


def _owners(table: pa.Table, schema: Schema) -> Ints | None:
    """[n] whose each row is; rows without an entity are each somebody's own."""
    fields = schema.with_role(Role.ENTITY)
    if not fields or fields[0].name not in table.column_names:
        return None
    encoded = flat(table.column(fields[0].name)).dictionary_encode()
    codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    lone = codes < 0
    codes[lone] = len(encoded.dictionary) + np.arange(int(lone.sum()))
    return codes


def _helpers(table: pa.Table, schema: Schema) -> dict[str, Ints]:
    """Per column of few values, [n] which value each cell is; numbers by eighths. At most 60 columns."""
    found: dict[str, Ints] = {}
    for field in schema:
        if len(found) == MOST_COLUMNS:
            break
        if field.role in UNTOUCHED or field.name.startswith(PROVENANCE) or field.kind is Kind.TEXT:
            continue
        cells = flat(table.column(field.name))
        if field.kind is Kind.CATEGORY:
            encoded = cells.dictionary_encode()
            if len(encoded.dictionary) <= MOST_VALUES:
                found[field.name] = (
                    encoded.indices.fill_null(MOST_VALUES).to_numpy(zero_copy_only=False).astype(np.int64)
                )
        elif field.kind in (Kind.NUMBER, Kind.DATETIME):
            values = _values(field, cells)
            known = values[~np.isnan(values)]
            cuts = np.unique(np.quantile(known, np.arange(1, BINS) / BINS, method="lower")) if known.size else known
            found[field.name] = np.where(np.isnan(values), BINS, np.searchsorted(cuts, values)).astype(np.int64)
    return found


def _values(field: Field, cells: pa.Array) -> Floats:
    """[n] float64, missing or unreadable = NaN."""
    return (seconds if field.kind is Kind.DATETIME else floats)(canonical(cells, field))


def people_with(codes: Ints, size: int, owners: Ints | None) -> Ints:
    """[size] how many people have each code; codes below 0 are nobody's."""
    known = codes >= 0
    if owners is None:
        return np.bincount(codes[known], minlength=size)
    width = int(owners.max(initial=0)) + 1
    return np.bincount(np.unique(codes[known] * width + owners[known]) // width, minlength=size)


@dataclass(frozen=True, slots=True, eq=False)
class _Words:
    """A column as its distinct texts.

    Args:
        texts: [d].
        codes: [n] which text each cell is; -1 = missing.
        owners: [n] whose each row is; None = each somebody's own.
    """

    texts: list[str]
    codes: Ints
    owners: Ints | None

    def people_in(self, groups: Ints, size: int) -> Ints:
        """[size] how many people have a text of each group; [d] groups, -1 for none."""
        return people_with(np.append(groups, -1)[self.codes], size, self.owners)

    def people_saying(self, words: Ints, texts: Ints, size: int) -> Ints:
        """[size] how many people have a text with each word, from the words and texts of all occurrences."""
        d = len(self.texts)
        pairs = np.sort(words * d + texts)  # faster than np.unique, which hashes
        pairs = pairs[np.diff(pairs, prepend=-1) != 0]
        if self.owners is None:
            rows = np.bincount(self.codes[self.codes >= 0], minlength=d)
            return np.bincount(pairs // d, weights=rows[pairs % d], minlength=size).astype(np.int64)
        width = int(self.owners.max(initial=0)) + 1
        known = self.codes >= 0
        said = np.unique(self.codes[known] * width + self.owners[known])
        counts = np.bincount(said // width, minlength=d)
        starts, times = np.cumsum(counts) - counts, counts[pairs % d]
        within = np.arange(int(times.sum())) - np.repeat(np.cumsum(times) - times, times)
        who = said[np.repeat(starts[pairs % d], times) + within] % width
        return people_with(np.repeat(pairs // d, times), size, who)


def _levels(
    field: Field, cells: pa.Array, k: int, owners: Ints | None, helpers: Mapping[str, Ints], other: str | None,
    rng: np.random.Generator,
) -> tuple[pa.Array, Guarded] | None:  # fmt: skip
    encoded = cells.dictionary_encode()
    codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    rare = people_with(codes, len(encoded.dictionary), owners) < k
    if not rare.any():
        return cells, Guarded(field.name)
    at = np.flatnonzero((codes >= 0) & rare[codes])
    told = Guarded(field.name, levels=int(rare.sum()), rows=int(at.size))
    text = pa.types.is_string(cells.type)
    if other is not None and text:
        return pc.if_else(pa.array(rare[codes] & (codes >= 0)), other, cells), told
    donors = np.flatnonzero((codes >= 0) & ~rare[codes])
    if text:
        words = _Words(encoded.dictionary.to_pylist(), codes, owners)
        made = _made_levels(words, rare, at.size / (at.size + donors.size), k, rng)
        if made is not None:
            return made.take(pa.array(codes, mask=codes < 0)), told
    if not donors.size:
        return None
    helper = _most_telling(codes, donors, {name: c for name, c in helpers.items() if name != field.name}, rng)
    codes[at] = codes[_alike(helper, donors, at, rng)]
    return encoded.dictionary.take(pa.array(codes, mask=codes < 0)), told


def _made_levels(words: _Words, rare: Bools, share: float, k: int, rng: np.random.Generator) -> pa.Array | None:
    """[d] what each level becomes, where that depends on its text alone; None where rows must be looked at."""
    at, kept = np.flatnonzero(rare), np.flatnonzero(~rare)
    out = np.array(words.texts, dtype=object)
    rows = np.bincount(words.codes[words.codes >= 0], minlength=rare.size)
    if are_codes(words.texts):
        if share <= MERGED and kept.size:
            out[at] = out[nearest_kept(words.texts, at, kept, rows, rng=rng)]
        else:
            known = known_prefixes(words.texts, k, words.people_in)
            out[at] = remade(words.texts, at, known, forms_of(words.texts, rows, k), rng=rng)
    elif share > MOSTLY or not kept.size:
        made = np.array(without_rare_words(words.texts, k, words.people_saying, rng=rng)[0], dtype=object)
        out[at] = mixed(made[at].tolist(), {words.texts[i] for i in at.tolist()}, rng=rng)
    else:
        return None
    return pa.array(out.tolist(), pa.string())


def _free_text(
    field: Field, cells: pa.Array, k: int, owners: Ints | None, helpers: Mapping[str, Ints], other: str | None,
    rng: np.random.Generator,
) -> tuple[pa.Array, Guarded] | None:  # fmt: skip
    encoded = texts(cells).dictionary_encode()
    codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    words = _Words(encoded.dictionary.to_pylist(), codes, owners)
    if are_codes(words.texts):
        return _levels(field, encoded.dictionary.take(encoded.indices), k, owners, helpers, None, rng)
    made, replaced, _ = without_rare_words(words.texts, k, words.people_saying, rng=rng)
    changed = np.array([a != b for a, b in zip(made, words.texts, strict=True)], dtype=bool)
    if not changed.any():
        return cells, Guarded(field.name)
    told = Guarded(field.name, words=replaced, rows=int(changed[codes[codes >= 0]].sum()))
    return pa.array(made, pa.string()).take(pa.array(codes, mask=codes < 0)), told


def _as_made(field: Field, cells: pa.Array) -> Field:
    """The field of the new cells: codes of which most now occur more than once are a category, not free text."""
    if field.kind is Kind.TEXT and are_codes(distinct := texts(cells).drop_null().unique().to_pylist()):
        known = len(cells) - cells.null_count
        field = replace(field, kind=Kind.CATEGORY) if known >= REPEATED * len(distinct) else field
    return observed(field, cells)


def _most_telling(codes: Ints, rows: Ints, helpers: Mapping[str, Ints], rng: np.random.Generator) -> Ints | None:
    """The helper that shares most information with the codes; None where none shares any beyond chance."""
    probe = rows if rows.size <= PROBE else rng.choice(rows, PROBE, replace=False)
    own = np.unique(codes[probe], return_inverse=True)[1]
    best, chosen = 0.0, None
    for values in helpers.values():
        other = np.unique(values[probe], return_inverse=True)[1]
        width, height = int(other.max()) + 1, int(own.max()) + 1
        if width * height > probe.size * 4:
            continue
        joint = np.bincount(own * width + other, minlength=width * height).reshape(height, width) / probe.size
        with np.errstate(divide="ignore", invalid="ignore"):
            shared = np.nansum(joint * np.log(joint / (joint.sum(1, keepdims=True) * joint.sum(0))))
        # Miller 1955: what a table of so many cells shows of independent columns.
        beyond = float(shared) - (width - 1) * (height - 1) / (2 * probe.size)
        if beyond > best:
            best, chosen = beyond, values
    return chosen


def _alike(helper: Ints | None, donors: Ints, at: Ints, rng: np.random.Generator) -> Ints:
    """[len(at)] a random donor for each row: one with the same helper value where there is any."""
    if helper is None:
        return donors[rng.integers(donors.size, size=at.size)]
    order = donors[np.argsort(helper[donors], kind="stable")]
    low = np.searchsorted(helper[order], helper[at], side="left")
    high = np.searchsorted(helper[order], helper[at], side="right")
    low, high = np.where(high > low, low, 0), np.where(high > low, high, order.size)
    return order[low + (rng.random(at.size) * (high - low)).astype(np.int64)]


def _ends(
    field: Field, cells: pa.Array, k: int, owners: Ints | None, helpers: Mapping[str, Ints], other: str | None,
    rng: np.random.Generator,
) -> tuple[pa.Array, Guarded] | None:  # fmt: skip
    values = _values(field, cells)
    if not np.any(~np.isnan(values)):
        return cells, Guarded(field.name)
    people = int((~np.isnan(values)).sum()) if owners is None else np.unique(owners[~np.isnan(values)]).size
    if people < 2 * k:  # both ends would be the same people
        return None
    above, high = gather_top(values, k, owners=owners)
    below, low = gather_top(-values, k, owners=owners)
    at, new = np.concatenate([above, below]), np.concatenate([high, -low])
    if not at.size:
        return cells, Guarded(field.name)
    told = Guarded(field.name, low=int(below.size), high=int(above.size))
    return _moved(field, cells, values, at, new), told


def _moved(field: Field, cells: pa.Array, values: Floats, at: Ints, new: Floats) -> pa.Array:
    """The cells with new values at some places, on the grid of the column; text takes the text of its neighbour."""
    if pa.types.is_string(cells.type) or pa.types.is_boolean(cells.type):
        kept = np.setdiff1d(np.flatnonzero(~np.isnan(values)), at)
        kept = kept[np.argsort(values[kept], kind="stable")]
        places = np.arange(len(cells))
        places[at] = kept[np.clip(np.searchsorted(values[kept], new, side="right") - 1, 0, kept.size - 1)]
        return cells.take(pa.array(places))
    if pa.types.is_floating(cells.type):
        out = cells.cast(pa.float64()).to_numpy(zero_copy_only=False).copy()
        out[at] = _on_decimals(values, at, new, single=pa.types.is_float32(cells.type))
        return pa.array(out, mask=cells.is_null().to_numpy(zero_copy_only=False)).cast(cells.type)
    return _on_ticks(cells, at, new * _per_second(cells.type))


def _on_decimals(values: Floats, at: Ints, new: Floats, *, single: bool) -> Floats:
    """The new values on the grid of the others: cents, or prices that all end in .99."""
    decimals = decimals_of(values, single=single)
    if decimals is None:
        return new
    stay = np.isfinite(values)
    stay[at] = False
    ticks = np.unique(np.rint(values[stay] * 10.0**decimals).astype(np.int64))
    step = max(1, int(np.gcd.reduce(np.diff(ticks), initial=0)))
    moved = ticks[0] + np.rint((new * 10.0**decimals - ticks[0]) / step) * step
    return on_grid(moved / 10.0**decimals, decimals, single=single)


def _per_second(kind: pa.DataType) -> float:
    """Ticks of a temporal type in a second; 1 for plain numbers."""
    if pa.types.is_date32(kind):
        return 1 / 86400
    return float(PER_SECOND[kind.unit]) if pa.types.is_timestamp(kind) else 1.0


def _on_ticks(cells: pa.Array, at: Ints, new: Floats) -> pa.Array:
    """Whole numbers, dates or timestamps with new values (in ticks) at some places, on the grid of the others."""
    gone = cells.is_null().to_numpy(zero_copy_only=False)
    days = pa.types.is_date32(cells.type)
    plain = cells if pa.types.is_integer(cells.type) else (cells.cast(pa.int32()) if days else cells).cast(pa.int64())
    whole = plain.fill_null(0).to_numpy(zero_copy_only=False).copy()
    stay = ~gone
    stay[at] = False
    ends = (int(whole[~gone].min()), int(whole[~gone].max()))
    start, step = int(whole[stay][0]), max(1, int(np.gcd.reduce(np.diff(np.unique(whole[stay])), initial=0)))
    moved = (start + round((float(v) - start) / step) * step for v in new)
    whole[at] = np.array([min(max(v, ends[0]), ends[1]) for v in moved], dtype=whole.dtype)
    out = pa.array(whole, mask=gone)
    return out.cast(pa.int32()).cast(cells.type) if days else out.cast(cells.type)


KINDS = {Kind.CATEGORY: _levels, Kind.TEXT: _free_text, Kind.NUMBER: _ends, Kind.DATETIME: _ends}
