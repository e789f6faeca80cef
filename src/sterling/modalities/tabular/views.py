"""Tables as measures see them: arrays in one encoding that all sets share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sterling.kernel.dataset import Dataset
from sterling.kernel.errors import UnrelatedInput
from sterling.kernel.schema import Field, Kind, Role, Schema
from sterling.kernel.view import Column, View
from sterling.modalities.tabular.canonical import canonical, flat, floats, seconds, sorted_levels, texts
from sterling.modalities.tabular.hashing import row_hashes
from sterling.modalities.tabular.infer import PROVENANCE
from sterling.modalities.tabular.memory import plain_table
from sterling.modalities.tabular.roles import shared_columns
from sterling.modalities.tabular.words import token_columns

if TYPE_CHECKING:
    from sterling.kernel.view import AnyArray, Floats, Ints

# Real columns of at most so many values are a grid, and what lies this near to a point of it (in parts of the
# number; single precision keeps 6e-8) is that point.
MOST_STEPS, STORAGE = 1000, 1e-6
# Identifiers say which record it is, not what it is: neither compared nor hashed.
IDENTIFIERS = (Role.KEY, Role.ENTITY)


@dataclass(frozen=True, slots=True)
class Tabular:
    """Records of typed columns."""

    name: str = "tabular"

    def views(self, sets: Sequence[Dataset]) -> tuple[View, ...]:
        """One view per set, in one encoding shared by all of them.

        The first set rules: its kinds, roles and units hold for all, and cells of other sets that do not
        fit them are missing. Only columns that every set has enter; keys and entities do not. Categories
        are codes into the levels of all sets in reading order. A text column enters
        as its length in characters, as "name (length)", as a sequence of words, and in full in the hashes.
        A number that storage alone sets apart from one of few real values is that value. An infinite one is
        set one range beyond the finite ones of all sets, so that it stays apart and
        nothing overflows. Where every set has the first one's entity column, records know whose they are.

        Raises:
            UnrelatedInput: if the sets share no column that can be compared.
        """
        fields = comparable(sets)
        tables = [plain_table(one, tuple(f.name for f in fields)) for one in sets]
        cells = [[canonical(t.column(f.name), f) for f in fields] for t in tables]
        encoded = [_encode(f, [row[i] for row in cells]) for i, f in enumerate(fields)]
        names = [f.name for f in fields]
        whose = _entities(sets)
        spoken = [token_columns(f.name, [row[i] for row in cells]) for i, f in enumerate(fields) if f.kind is Kind.TEXT]
        return tuple(
            View(
                n=one.rows,
                fingerprint=one.fingerprint,
                columns=tuple(columns[i] for columns in encoded),
                hashes=row_hashes(pa.table(cells[i], names=names)),
                sequences=tuple(words[i] for words in spoken) or None,
                entities=None if whose is None else whose[i],
            )
            for i, one in enumerate(sets)
        )


def comparable(sets: Sequence[Dataset]) -> tuple[Field, ...]:
    """The fields on which sets can be compared, as the first set has them.

    Raises:
        UnrelatedInput: if there are none, naming the columns of both sides.
    """
    schemas = [one.schema for one in sets]
    shared = shared_columns(schemas).shared
    first, *others = ({f.name: f for f in schema} for schema in schemas)
    modelled = [first[name] for name in shared if first[name].role not in IDENTIFIERS]
    fields = tuple(_typed(spec, [other[spec.name] for other in others]) for spec in modelled)
    if fields:
        return fields
    stranger = next((s for s in sets[1:] if not shared_columns([schemas[0], s.schema]).shared), None)
    if stranger is None:
        raise UnrelatedInput(
            f"nothing but identifiers is shared: {_listed(shared)}" if shared else "there are no shared columns",
            mend="name a set with features, or declare their roles with --schema FILE.toml",
        )
    raise UnrelatedInput(
        f"{stranger.name} shares no column with {sets[0].name}: "
        f"it has {_listed(stranger.schema.names)}; {sets[0].name} has {_listed(schemas[0].names)}",
        mend=f"{_renames(schemas[0].names, stranger.schema.names)}name the right file, or rename its columns",
    )


def conversions(first: Schema, other: Dataset) -> tuple[str, ...]:
    """Notes on the cells of a set that do not fit the first set's kinds and count as missing."""
    notes: list[str] = []
    for spec in first:
        if spec.name not in other.schema or spec.kind not in (Kind.NUMBER, Kind.DATETIME) or spec.role in IDENTIFIERS:
            continue
        array = plain_table(other, (spec.name,)).column(0)
        lost = canonical(array, spec).null_count - array.null_count
        if lost > 0:
            what = "numbers" if spec.kind is Kind.NUMBER else "dates"
            notes.append(f"{spec.name}: {lost:,} cells are no {what} and count as missing")
    return tuple(notes)


def _typed(first: Field, others: Sequence[Field]) -> Field:
    """The first set's field; where its column is empty, of the kind that the others show."""
    if first.storage != "null":
        return first
    shown = next((other for other in others if other.storage != "null"), first)
    return replace(first, kind=shown.kind, storage=shown.storage)


def _encode(spec: Field, cells: list[pa.Array]) -> tuple[Column, ...]:
    """One column for each set."""
    plain = Column(spec.name, spec.kind, spec.role, np.empty(0), unit=spec.unit)
    if spec.kind is Kind.CATEGORY:
        codes, levels = _codes(cells)
        return tuple(replace(plain, values=c, levels=levels) for c in codes)
    if spec.kind is Kind.NUMBER:
        values = _snapped(_finite([floats(c) for c in cells]))
        return tuple(replace(plain, values=v, integer=_whole(values[0])) for v in values)
    if spec.kind is Kind.DATETIME:
        return tuple(replace(plain, values=seconds(c)) for c in cells)
    lengths = [floats(pc.utf8_length(c)) for c in cells]
    named = replace(plain, name=f"{spec.name} (length)", kind=Kind.NUMBER, unit="characters", integer=True)
    return tuple(replace(named, values=v) for v in lengths)


def _entities(sets: Sequence[Dataset]) -> list[Ints] | None:
    """[n] per set: whose record each is, by name; a record that names none stands alone. None without such a column."""
    who = next(iter(sets[0].schema.with_role(Role.ENTITY)), None)
    if who is None or any(who.name not in one.schema for one in sets):
        return None
    named = [texts(flat(plain_table(one, (who.name,)).column(0))) for one in sets]
    whole = pa.chunked_array(named).combine_chunks()
    codes = whole.dictionary_encode().indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    alone = codes < 0
    codes[alone] = int(codes.max(initial=-1)) + 1 + np.arange(int(alone.sum()))
    return np.split(codes, np.cumsum([len(names) for names in named])[:-1])


def _codes(cells: list[pa.Array]) -> tuple[list[AnyArray], tuple[str, ...]]:
    """[n] int64 codes per set, missing = -1, and the levels they point into."""
    encoded = [c.dictionary_encode() for c in cells]
    words: list[list[str]] = [e.dictionary.to_pylist() for e in encoded]
    # In one order, whichever set they come from: a level's place must not tell whose it is.
    levels = sorted_levels({w for some in words for w in some})
    place = {word: i for i, word in enumerate(levels)}
    codes: list[AnyArray] = []
    for one, own in zip(encoded, words, strict=True):
        lookup = np.array([*(place[w] for w in own), -1], dtype=np.int64)
        codes.append(lookup[one.indices.fill_null(len(own)).to_numpy(zero_copy_only=False)])
    return codes, levels


def _finite(columns: list[Floats]) -> list[Floats]:
    """Infinite values one range (at least 1) beyond the finite values of all sets."""
    if not any(np.isinf(c).any() for c in columns):
        return columns
    finite = np.concatenate([c[np.isfinite(c)] for c in columns])
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    # Halves first: the range of float64 itself is no float64.
    margin = max(min(high / 2 - low / 2, np.finfo(np.float64).max / 8) * 2, 1.0)
    top = np.finfo(np.float64).max
    return [np.clip(c, max(low - margin, -top), min(high + margin, top)) for c in columns]


def _snapped(columns: list[Floats]) -> list[Floats]:
    """Numbers that differ from one of a few real values by less than storage does, as that value.

    0.1 as a single-precision number is not 0.1, and 1 is sometimes 1.0000000001: no difference that anybody meant.
    """
    known = np.unique(columns[0][~np.isnan(columns[0])])
    if not 0 < known.size <= MOST_STEPS:
        return columns
    out = [columns[0]]
    for values in columns[1:]:
        at = np.clip(np.searchsorted(known, values), 1, max(1, known.size - 1))
        low, high = known[at - 1], known[np.minimum(at, known.size - 1)]
        near = np.where(np.abs(values - low) <= np.abs(values - high), low, high)
        out.append(np.where(np.abs(values - near) <= STORAGE * np.abs(near), near, values))
    return out


def _whole(values: Floats) -> bool:
    known = values[~np.isnan(values)]
    return bool(known.size and np.all(known == np.floor(known)))


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:12]) + (f", ... ({len(names)} in all)" if len(names) > 12 else "") or "none"


def _renames(first: Sequence[str], other: Sequence[str]) -> str:
    """A "did you mean" for columns that differ by spelling only."""
    import difflib

    lowered = {n.lower(): n for n in first if not n.startswith(PROVENANCE)}
    pairs = ((n, difflib.get_close_matches(n.lower(), lowered, n=1, cutoff=0.7)) for n in other[:100])
    found = [f"{n!r} for {lowered[near[0]]!r}" for n, near in pairs if near][:3]
    return f"did you mean {', '.join(found)}? " if found else ""
