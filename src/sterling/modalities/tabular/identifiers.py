"""Identifiers are never copied and never modelled: new ones are made in the form of the old."""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sterling.kernel.schema import Field, Role
from sterling.modalities.tabular.hashing import GOLDEN, mix

if TYPE_CHECKING:
    from sterling.kernel.view import Ints

INT64_MOST = 2**63 - 1
WIDTHS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
# The closest alphabets first: "07f" is hexadecimal, "07" is digits.
ALPHABETS = (
    "0123456789",
    "0123456789abcdef",
    "0123456789ABCDEF",
    "abcdefghijklmnopqrstuvwxyz",
    "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "0123456789abcdefghijklmnopqrstuvwxyz",
    "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ",
)
ALPHANUMERIC = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
UUID_PATTERN = ("0123456789abcdef",) * 8 + ("-",) + (("0123456789abcdef",) * 4 + ("-",)) * 3 + (
    "0123456789abcdef",
) * 12  # fmt: skip
# In a pattern with more possible identifiers than this, random ones neither repeat nor meet an old one: a million
# draws from 1e16 collide with probability 5e-5. In a smaller one they are numbered, and the old ones left out.
MOST_ROOM = 10**16
NUMBERED = re.compile(r"(.*?)(\d{1,18})(\D*)", re.DOTALL)
ADDRESS = re.compile(r"[^@\s]+(@[^@\s]+\.[^@\s]+)")
MADE_NAME = re.compile(r"user(\d{1,9})@")
# Texts around the number of so many kinds, each of so many identifiers, are kept: INV-2024-, @mail.example.
MOST_AFFIXES, LEAST_AFFIX = 100, 5
# So many identifiers for each letter of an alphabet show the letters that a place can have.
SHOWN = 20
# Numbers in texts of which less than one in so many is taken are drawn, not counted: accounts, cards, telephones.
SPARSE = 50
# Whole numbers are counted on where more than one in so many is taken: what follows tells the largest of them.
# Else the room between them holds a table thrice as long.
DENSE = 4


@dataclass(frozen=True, slots=True, eq=False)
class Identifier:
    """How to make the identifiers of one column.

    Args:
        field: as the schema has it.
        next: the first number not yet used, for counters and numbered texts; None for patterns and numbers drawn.
        affixes: texts before and after the number, each kind of them.
        shares: cumulated, how many identifiers have each kind.
        width: digits to which the number is padded with zeros.
        pattern: per character the alphabet it is drawn from.
        used: the old identifiers by number in a pattern or span of little room, ascending.
        span: of whole numbers, the lowest and the highest.
        sizes: how many rows share an identifier, as observed; all 1 for keys.
    """

    field: Field
    next: int | None
    affixes: tuple[tuple[str, str], ...] = (("", ""),)
    shares: tuple[float, ...] = (1.0,)
    width: int = 0
    pattern: tuple[str, ...] = ()
    used: Ints | None = None
    span: tuple[int, int] | None = None
    sizes: Ints | None = None


def makes_identifiers(field: Field, array: pa.Array) -> bool:
    """Whether a column holds identifiers of a form that can be made: whole numbers or text."""
    formed = pa.types.is_string(array.type) or pa.types.is_integer(array.type)
    return field.role in (Role.KEY, Role.ENTITY) and formed and array.null_count < len(array)


def identifier_of(field: Field, array: pa.Array) -> Identifier:
    """Learn the form of a column of identifiers (and, for entities, how many rows share one)."""
    counted = pc.value_counts(array.drop_null())
    values = counted.field("values")
    sizes = counted.field("counts").to_numpy(zero_copy_only=False) if field.role is Role.ENTITY else None
    if pa.types.is_integer(array.type):
        return replace(_number_of(field, values), sizes=sizes)
    words: list[str] = values.to_pylist()
    addressed = [ADDRESS.fullmatch(w) for w in words]
    if all(addressed):
        taken = [int(m[1]) for m in map(MADE_NAME.match, words) if m]
        kinds = Counter(("user", m[1]) for m in addressed if m)
        affixes, shares = _affixes(kinds) or (((("user", "@mail.example"),)), (1.0,))
        return Identifier(field, next=max(taken, default=0) + 1, affixes=affixes, shares=shares, sizes=sizes)
    numbered = [NUMBERED.fullmatch(w) for w in words]
    found = _affixes(Counter((m[1], m[3]) for m in numbered if m)) if all(numbered) else None
    digits = [m[2] for m in numbered if m]
    if found is not None and max(map(int, digits)) - min(map(int, digits)) <= SPARSE * len(words):
        width = min(map(len, digits)) if any(d.startswith("0") for d in digits) else 0
        top = max(map(int, digits)) + 1
        return Identifier(field, next=top, affixes=found[0], shares=found[1], width=width, sizes=sizes)
    pattern, used = _pattern(words)
    return Identifier(field, next=None, pattern=pattern, used=used, sizes=sizes)


def _number_of(field: Field, values: pa.Array) -> Identifier:
    """How to make whole numbers: counters go on, others are drawn from between the lowest and the highest."""
    low, high = int(pc.min(values).as_py()), int(pc.max(values).as_py())
    room = high - low + 1
    if room < DENSE * len(values):
        return Identifier(field, next=high + 1, span=(low, high))
    if room >= MOST_ROOM:
        return Identifier(field, next=None, span=(low, high))
    # Below the room of int64 by far, but not all values of uint64 are.
    places = np.array([v - low for v in values.to_pylist()], dtype=np.int64)
    return Identifier(field, next=None, span=(low, high), used=np.sort(places))


def _affixes(kinds: Counter[tuple[str, str]]) -> tuple[tuple[tuple[str, str], ...], tuple[float, ...]] | None:
    """The texts around the number and their cumulated shares; None where they tell single identifiers apart."""
    if len(kinds) == 1:
        return tuple(kinds), (1.0,)
    kept = {kind: count for kind, count in sorted(kinds.items()) if count >= LEAST_AFFIX}
    total = sum(kept.values())
    if not kept or len(kept) > MOST_AFFIXES or 2 * total < sum(kinds.values()):
        return None
    return tuple(kept), tuple((np.cumsum(list(kept.values())) / total).tolist())


def identifiers(maker: Identifier, numbers: Ints, *, salt: int) -> pa.Array:
    """The identifiers with these running numbers: equal numbers and salts give equal identifiers.

    Args:
        maker: of the column.
        numbers: [n] 0, 1, ...
        salt: drawn once for a task; counters ignore it and go on from the largest training identifier.
    """
    if maker.span is not None:
        made = _whole_numbers(maker, maker.span, numbers, salt)
        if not maker.field.storage.startswith(("int", "uint")):
            return pa.array(map(str, made), pa.string())
        return pa.array(made, pa.uint64() if maker.field.storage == "uint64" else pa.int64())
    if maker.next is None:
        few = room_of(maker.pattern) < MOST_ROOM
        return _counted(maker, numbers, salt) if few else _drawn(maker.pattern, numbers, salt)
    chance = mix(numbers.astype(np.uint64) ^ mix(np.array([salt], dtype=np.uint64))) / 2.0**64
    around = [maker.affixes[i] for i in np.searchsorted(maker.shares[:-1], chance, side="right").tolist()]
    texts = (f"{a}{maker.next + i:0{maker.width}d}{b}" for i, (a, b) in zip(numbers.tolist(), around, strict=True))
    return pa.array(texts, pa.string())


def running_numbers(maker: Identifier, n: int, *, rng: np.random.Generator) -> Ints:
    """[n] the number of each row's identifier: its own for keys, in runs of observed sizes for entities."""
    if maker.sizes is None:
        return np.arange(n)
    sizes = rng.choice(maker.sizes, size=n)  # each holds a row at least: n of them always suffice
    enough = int(np.searchsorted(np.cumsum(sizes), n)) + 1
    return np.repeat(np.arange(enough), sizes[:enough])[:n]


def _pattern(words: list[str]) -> tuple[tuple[str, ...], Ints | None]:
    """Per character of the most common length what is the same in all, or the alphabet it is from; what is used."""
    length = Counter(map(len, words)).most_common(1)[0][0]
    of_length = [w for w in words if len(w) == length]
    pattern = tuple(_alphabet(Counter(column)) for column in zip(*of_length, strict=True))
    if room_of(pattern) < DENSE * len(words):
        pattern = tuple(_widened(alphabet) for alphabet in pattern)
    room = room_of(pattern)
    if room >= MOST_ROOM:
        return pattern, None
    # A table as long as this one must find room beside it.
    if room < 2 * len(words):
        return UUID_PATTERN, None
    places = [{c: i for i, c in enumerate(alphabet)} for alphabet in pattern]
    used: list[int] = []
    for word in of_length:
        at = 0
        for place, letter, alphabet in zip(places, word, pattern, strict=True):
            at = at * len(alphabet) + place[letter]
        used.append(at)
    return pattern, np.sort(np.array(used, dtype=np.int64))


def room_of(pattern: tuple[str, ...]) -> int:
    """How many identifiers a pattern has room for."""
    return math.prod(map(len, pattern))


def _alphabet(seen: Counter[str]) -> str:
    if len(seen) == 1:
        return next(iter(seen))
    near = next((a for a in ALPHABETS if set(seen) <= set(a)), "".join(sorted({*seen, *ALPHANUMERIC})))
    # Many identifiers show that no other letter stands here: the 8, 9, a and b of a UUID.
    return "".join(sorted(seen)) if seen.total() >= SHOWN * len(near) else near


def _widened(alphabet: str) -> str:
    """All letters of the kind that stands at a place, for forms that are too narrow: the E, W and R of one EWR."""
    return next((a for a in (ALPHABETS[0], *ALPHABETS[3:]) if set(alphabet) <= set(a)), alphabet)


def _free_places(used: Ints, room: int, numbers: Ints, salt: int) -> Ints:
    """[n] a place of its own for each running number, none of them used; they repeat after all free ones."""
    free = room - used.size
    start = int(mix(np.array([salt], dtype=np.uint64))[0])
    step = next(s for s in itertools.count(max(1, start % free)) if math.gcd(s, free) == 1)
    place = np.array([(start + i * step) % free for i in numbers.tolist()], dtype=np.int64)
    # A place is moved on by as many as are used before it.
    return place + np.searchsorted(used - np.arange(used.size), place, side="right")


def _whole_numbers(maker: Identifier, span: tuple[int, int], numbers: Ints, salt: int) -> list[int]:
    """Whole numbers: within the span where they are drawn, else and beyond its room above it, and at last below it."""
    low, high = span
    room = high - low + 1 if maker.next is None else 0
    if maker.used is not None:
        places = [low + place for place in _free_places(maker.used, room, numbers, salt).tolist()]
        room -= maker.used.size
    else:
        start = mix(numbers.astype(np.uint64) ^ mix(np.array([salt], dtype=np.uint64)))
        places = [low + int(place) % room if room else low for place in start.tolist()]
    storage = maker.field.storage
    most = int(np.iinfo(storage).max) if storage in WIDTHS else INT64_MOST
    made: list[int] = []
    for number, inside in zip(numbers.tolist(), places, strict=True):
        above = high + 1 + number - room
        made.append(inside if number < room else above if above <= most else low - (above - most))
    return made


def _counted(maker: Identifier, numbers: Ints, salt: int) -> pa.Array:
    """Identifiers of a pattern of little room: each number has its own, and none of them is an old one."""
    room = room_of(maker.pattern)
    used = maker.used if maker.used is not None else np.empty(0, dtype=np.int64)
    at = _free_places(used, room, numbers, salt)
    letters = np.empty((numbers.size, len(maker.pattern)), dtype="<U1")
    for place in reversed(range(len(maker.pattern))):
        at, letter = np.divmod(at, len(maker.pattern[place]))
        letters[:, place] = np.array(list(maker.pattern[place]))[letter]
    made: list[str] = letters.view(f"<U{len(maker.pattern)}").ravel().tolist()
    # Beyond the room of the form an identifier grows rather than repeat itself.
    rounds = (numbers // (room - used.size)).tolist()
    return pa.array([f"{w}-{r}" if r else w for w, r in zip(made, rounds, strict=True)], pa.string())


def _drawn(pattern: tuple[str, ...], numbers: Ints, salt: int) -> pa.Array:
    start = mix(numbers.astype(np.uint64) ^ mix(np.array([salt], dtype=np.uint64)))
    letters = np.empty((numbers.size, len(pattern)), dtype="<U1")
    for place, alphabet in enumerate(pattern):
        drawn = mix(start + np.uint64(place * int(GOLDEN) % 2**64)) % np.uint64(len(alphabet))
        letters[:, place] = np.array(list(alphabet))[drawn.astype(np.int64)]
    return pa.array(letters.view(f"<U{len(pattern)}").ravel().tolist(), pa.string())
