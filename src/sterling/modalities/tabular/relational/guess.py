"""The keys of tables that do not say what their keys are: by names, by values, by uniqueness and by size."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sterling.kernel.errors import InputError
from sterling.modalities.tabular.canonical import flat
from sterling.modalities.tabular.infer import KEY_NAME
from sterling.modalities.tabular.relational.keys import ForeignKey, Relations, TableSpec, top_down
from sterling.modalities.tabular.relational.match import NULL, ORPHAN, alike, positions, repeated

# Names that say "key" but not whose: two columns "id" are both 1 .. n, and no key of each other.
GENERIC = frozenset({"id", "key", "pk", "uid", "uuid", "guid", "code", "name", "no", "nr", "row", "index", "number",
                     "rownames", "label", "type", "status", "title", "date", "value"})  # fmt: skip
# What a table calls the row of its own that a row hangs on.
OWN = ("manager", "parent", "supervisor", "boss", "reports_to", "referred_by", "referrer", "mentor", "leader", "chief",
       "superior", "predecessor", "replaced_by")  # fmt: skip
# So large a share of the child's rows must name a row of the parent: with a name that matches, and without one.
CONTAINED, CONTAINED_UNNAMED = 0.8, 0.95
# Without a matching name only texts are believed, of so many distinct values and characters at least.
LEAST_DISTINCT, LEAST_LENGTH, LEAST_ROWS = 3, 2, 20
# Values that are tried before all of them are.
FEW = 64
MOST_SHARED, MOST_PARTS = 8, 3


@dataclass(frozen=True, slots=True)
class Guess:
    """A foreign key that was inferred, and why.

    Args:
        key: with what shall become of its orphans.
        reason: the evidence in plain words.
        score: how strong the evidence of the names is, 1 to 3.
        rows: of the child.
        orphans: rows of the child that name no row of the parent.
        nulls: rows of the child without a key.
        example: a key that no row of the parent has; None where there is none.
    """

    key: ForeignKey
    reason: str
    score: int
    rows: int
    orphans: int = 0
    nulls: int = 0
    example: str | None = None


def guess_keys(tables: Mapping[str, pa.Table]) -> tuple[Relations, tuple[Guess, ...]]:
    """The primary and foreign keys of tables.

    A column is a key of another table if the table's own key column is unique, the names fit (customer_id or customer
    and customers.id; tailnum and tailnum), and the values of at least 80 % of the rows occur there. Without a fitting
    name only codes in text are believed, at 95 %: whole numbers 1 .. n are contained in each other by chance. Keys of
    two or three columns are sought among columns of equal names.

    Args:
        tables: normalised, by name.

    Returns:
        The relations, and what speaks for each foreign key. Orphans of a guessed key become null where they can, and
        are dropped where the key identifies the row.
    """
    unique = {name: _unique_columns(table) for name, table in tables.items()}
    singles = [g for child in tables for g in _single(child, tables, unique)]
    primary = {name: _primary(name, table, unique[name], singles) for name, table in tables.items()}
    singles = [g for g in singles if g.key.parent_columns == primary[g.key.parent]]
    together = [g for g in _composites(tables, unique) if primary[g.key.parent] in ((), g.key.parent_columns)]
    for guess in together:
        primary[guess.key.parent] = primary[guess.key.parent] or guess.key.parent_columns
    together = [g for g in together if primary[g.key.parent] == g.key.parent_columns]
    kept = _acyclic(tuple(tables), [*singles, *together])
    for name, table in tables.items():
        primary[name] = primary[name] or _of_foreign(table, [g.key for g in kept if g.key.child == name])
    found = tuple(_counted(g, tables, primary) for g in kept)
    specs = tuple(TableSpec(name, primary[name]) for name in tables)
    return Relations(specs, tuple(g.key for g in found)), found


def _unique_columns(table: pa.Table) -> tuple[str, ...]:
    """Whole numbers and texts that no two rows share, without a gap."""
    if table.num_rows < 1:
        return ()
    names: list[str] = []
    for name, column in zip(table.column_names, table.columns, strict=True):
        keys = pa.types.is_integer(column.type) or pa.types.is_string(column.type)
        if keys and not column.null_count and pc.count_distinct(column).as_py() == table.num_rows:
            names.append(name)
    return tuple(names)


def _primary(name: str, table: pa.Table, unique: Sequence[str], guesses: Sequence[Guess]) -> tuple[str, ...]:
    """The unique column that others refer to; else the one that is called a key, or is called as the table is."""

    def weight(column: str) -> tuple[int, bool, bool]:
        named = [g.score for g in guesses if g.key.parent == name and g.key.parent_columns == (column,)]
        own = _plain(column) in (*GENERIC, *_own_keys(name))
        return sum(named), own or bool(KEY_NAME.search(column)), column == table.column_names[0]

    best = max(unique, key=weight, default=None)
    if best is None or weight(best) == (0, False, False):
        return ()
    # A first column that happens to be unique is a key only if its values look like one.
    return (best,) if weight(best)[:2] != (0, False) or _key_like(flat(table.column(best))) else ()


def _key_like(array: pa.Array) -> bool:
    if pa.types.is_integer(array.type):
        return bool(np.all(np.diff(array.to_numpy(zero_copy_only=False).astype(np.float64)) == 1.0))
    return not pc.any(pc.match_substring(array, " ")).as_py()


def _single(child: str, tables: Mapping[str, pa.Table], unique: Mapping[str, Sequence[str]]) -> Iterator[Guess]:
    """The best parent of each column of a table."""
    table = tables[child]
    for column in table.column_names:
        array = flat(table.column(column))
        if not (pa.types.is_integer(array.type) or pa.types.is_string(array.type)) or array.null_count == len(array):
            continue
        found: list[tuple[int, float, int, Guess]] = []
        for parent, own in unique.items():
            for other in own:
                score = _name_score(child, column, parent, other, tables=tables, unique=unique)
                share = _share(array, flat(tables[parent].column(other)), score)
                if share is None:
                    continue
                key = ForeignKey(child, (column,), parent, (other,))
                told = "the values" if score == 1 else "the names and the values"
                reason = f"{told} fit: {share:.1%} of the rows name a row of {parent}"
                found.append((score, share, -tables[parent].num_rows, Guess(key, reason, score, table.num_rows)))
        if found:
            yield max(found, key=lambda f: f[:3])[3]


def _name_score(
    child: str,
    column: str,
    parent: str,
    other: str,
    *,
    tables: Mapping[str, pa.Table],
    unique: Mapping[str, Sequence[str]],
) -> int:
    """3 a name that says so, 2 one that hints, 1 none, 0 refused."""
    one, two = _plain(column), _plain(other)
    if child == parent:
        hangs = any(one == w or one.startswith(f"{w}_") or one.endswith(f"_{w}") for w in OWN)
        return 2 if hangs and column not in unique[child] else 0
    if column in unique[child] and not _extends(child, one, parent, two, tables):
        return 0
    if (one == two and one not in GENERIC) or (one in _own_keys(parent) and one != two):
        return 3
    if one == two:
        return 0
    if any(one.endswith(f"_{k}") for k in _own_keys(parent)) or (two not in GENERIC and one.endswith(f"_{two}")):
        return 2
    if one in _stems(parent) or any(one == f"{stem}{two}" for stem in _stems(parent)):
        return 2
    return 1


def _extends(child: str, one: str, parent: str, two: str, tables: Mapping[str, pa.Table]) -> bool:
    """Whether a unique column may still be a key: of a table that holds more about some rows of its parent."""
    if one != two and one not in _own_keys(parent):
        return False
    own_name = any(two == key for key in _own_keys(parent)) or one in _own_keys(parent)
    other_name = any(one == key for key in _own_keys(child))
    return own_name and not other_name and tables[child].num_rows <= tables[parent].num_rows


def _share(array: pa.Array, keys: pa.Array, score: int) -> float | None:
    """Share of the rows (that have a key) which name a row of the parent; None where it is too small to believe."""
    if score == 0:
        return None
    text = pa.types.is_string(array.type) and pa.types.is_string(keys.type)
    if score == 1 and not (text and len(array) >= LEAST_ROWS):
        return None
    ours, theirs = alike(array, keys)
    counted = pc.value_counts(ours.drop_null())
    values, counts = counted.field("values"), counted.field("counts").to_numpy(zero_copy_only=False)
    least = CONTAINED if score > 1 else CONTAINED_UNNAMED
    if score == 1:
        if len(values) < LEAST_DISTINCT or len(values) > len(keys) or len(values) == len(array):
            return None
        if not _key_like(theirs) or pc.mean(pc.utf8_length(theirs)).as_py() < LEAST_LENGTH:
            return None
        if pc.mean(pc.is_in(values.slice(0, FEW), theirs).cast(pa.float64())).as_py() < least / 2:
            return None
    inside = pc.is_in(values, theirs).to_numpy(zero_copy_only=False)
    share = float(counts[inside].sum() / counts.sum())
    return share if share >= least else None


def _composites(tables: Mapping[str, pa.Table], unique: Mapping[str, Sequence[str]]) -> Iterator[Guess]:
    """Keys of several columns that have equal names on both sides."""
    for parent, child in itertools.permutations(tables, 2):
        one, two = tables[parent], tables[child]
        shared = [n for n in one.column_names if n in two.column_names and n not in unique[parent]]
        shared = [n for n in shared if _plain(n) not in GENERIC and _keyable(one, n) and _keyable(two, n)]
        if not (2 <= len(shared) <= MOST_SHARED) or not two.num_rows or one.num_rows < 2:
            continue
        sizes = range(2, min(len(shared), MOST_PARTS) + 1)
        for parts in itertools.chain.from_iterable(itertools.combinations(shared, size) for size in sizes):
            if repeated(one, parts).any():
                continue
            both_ways = not repeated(two, parts).any()
            if both_ways and two.num_rows >= one.num_rows:
                break
            at = positions(two, parts, one, parts)
            known = at != NULL
            share = float(np.mean(at[known] >= 0)) if known.any() else 0.0
            if share >= CONTAINED:
                key = ForeignKey(child, parts, parent, parts)
                reason = f"together unique in {parent}: {share:.1%} of the rows name a row of it"
                yield Guess(key, reason, 3, two.num_rows)
                break


def _keyable(table: pa.Table, name: str) -> bool:
    column = table.column(name)
    kind = column.type
    wanted = pa.types.is_integer(kind) or pa.types.is_string(kind) or pa.types.is_temporal(kind)
    return wanted and column.null_count < table.num_rows


def _acyclic(names: tuple[str, ...], guesses: Sequence[Guess]) -> list[Guess]:
    """The guesses, best first, without those that would close a circle; in the order in which they were made."""
    kept: list[Guess] = []
    for guess in sorted(guesses, key=lambda g: -g.score):
        try:
            keys = tuple(g.key for g in (*kept, guess))
            top_down(Relations(tuple(TableSpec(n) for n in names), keys))
        except InputError:
            continue
        kept.append(guess)
    return [g for g in guesses if any(g is k for k in kept)]


def _of_foreign(table: pa.Table, keys: Sequence[ForeignKey]) -> tuple[str, ...]:
    """What identifies the rows of a table that has no key of its own: its foreign keys, or one and a counter."""
    columns = list(dict.fromkeys(c for key in keys for c in key.columns))
    if not columns or not table.num_rows:
        return ()
    counters = [n for n in table.column_names if pa.types.is_integer(table.column(n).type) and n not in columns]
    tries = (
        [(c,) for c in columns]
        + list(itertools.combinations(columns, 2))
        + ([tuple(columns)] if len(columns) > 2 else [])
    )
    tries += [(c, n) for c in columns for n in counters]
    for parts in tries:
        if not any(table.column(p).null_count for p in parts) and not repeated(table, parts).any():
            return parts
    return ()


def _counted(guess: Guess, tables: Mapping[str, pa.Table], primary: Mapping[str, tuple[str, ...]]) -> Guess:
    """The guess with its orphans, and what shall become of them."""
    key = guess.key
    at = positions(tables[key.child], key.columns, tables[key.parent], key.parent_columns)
    lost = np.flatnonzero(at == ORPHAN)
    example = (
        ", ".join(str(tables[key.child].column(c)[int(lost[0])].as_py()) for c in key.columns) if lost.size else None
    )
    fate = "refuse" if not lost.size else "drop" if set(key.columns) <= set(primary[key.child]) else "null"
    return replace(
        guess, key=replace(key, orphans=fate), orphans=int(lost.size), nulls=int(np.sum(at == NULL)), example=example
    )


def _plain(name: str) -> str:
    """customerId, Customer-ID and customer_id are one name."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    return re.sub(r"\W+", "_", spaced).strip("_").lower()


def _stems(table: str) -> tuple[str, ...]:
    """A table's name in the singular, as a column that points to it would have it."""
    name = _plain(table)
    last = name.rsplit("_", 1)[-1]
    stems = [name, last]
    for word in (name, last):
        stems += [word[:-1]] if word.endswith("s") else []
        stems += [word[:-2]] if word.endswith("es") else []
        stems += [f"{word[:-3]}y"] if word.endswith("ies") else []
    return tuple(dict.fromkeys(s for s in stems if len(s) > 1))


def _own_keys(table: str) -> tuple[str, ...]:
    """What a table's key is called outside of it: customer_id, customer_key ..."""
    words = ("id", "key", "code", "no", "nr", "number", "uuid")
    return tuple(f"{stem}{join}{word}" for stem in _stems(table) for word in words for join in ("_", ""))
