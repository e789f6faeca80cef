"""Identifiers are never copied and never modelled: new ones are made in the form of the old."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sterling.kernel.schema import Field, Role
from sterling.modalities.tabular.hashing import GOLDEN, mix

if TYPE_CHECKING:
    from sterling.kernel.view import Ints

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
# A pattern with fewer possible identifiers than this would repeat itself: a million draws from 1e16
# collide with probability 5e-5.
MOST_ROOM = 1e16
NUMBERED = re.compile(r"(.*?)(\d{1,18})(\D*)", re.DOTALL)


@dataclass(frozen=True, slots=True, eq=False)
class Identifier:
    """How to make the identifiers of one column.

    Args:
        field: as the schema has it.
        next: the first number not yet used, for counters and numbered texts; None for patterns.
        affixes: text before and after the number.
        width: digits to which the number is padded with zeros.
        pattern: per character the alphabet it is drawn from.
        sizes: how many rows share an identifier, as observed; all 1 for keys.
    """

    field: Field
    next: int | None
    affixes: tuple[str, str] = ("", "")
    width: int = 0
    pattern: tuple[str, ...] = ()
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
        return Identifier(field, next=int(pc.max(values).as_py()) + 1, sizes=sizes)
    words: list[str] = values.to_pylist()
    numbered = [NUMBERED.fullmatch(w) for w in words]
    forms = {(m[1], m[3]) for m in numbered if m}
    if all(numbered) and len(forms) == 1:
        digits = [m[2] for m in numbered if m]
        width = min(map(len, digits)) if any(d.startswith("0") for d in digits) else 0
        return Identifier(field, next=max(map(int, digits)) + 1, affixes=forms.pop(), width=width, sizes=sizes)
    return Identifier(field, next=None, pattern=_pattern(words), sizes=sizes)


def identifiers(maker: Identifier, numbers: Ints, *, salt: int) -> pa.Array:
    """The identifiers with these running numbers: equal numbers and salts give equal identifiers.

    Args:
        maker: of the column.
        numbers: [n] 0, 1, ...
        salt: drawn once for a task; counters ignore it and go on from the largest training identifier.
    """
    if maker.next is None:
        return _drawn(maker.pattern, numbers, salt)
    used = [maker.next + int(i) for i in numbers]
    if not maker.field.storage.startswith(("int", "uint")):
        before, after = maker.affixes
        return pa.array([f"{before}{i:0{maker.width}d}{after}" for i in used], pa.string())
    return pa.array(used, pa.uint64() if maker.field.storage == "uint64" else pa.int64())


def running_numbers(maker: Identifier, n: int, *, rng: np.random.Generator) -> Ints:
    """[n] the number of each row's identifier: its own for keys, in runs of observed sizes for entities."""
    if maker.sizes is None:
        return np.arange(n)
    sizes = rng.choice(maker.sizes, size=n)  # each holds a row at least: n of them always suffice
    enough = int(np.searchsorted(np.cumsum(sizes), n)) + 1
    return np.repeat(np.arange(enough), sizes[:enough])[:n]


def _pattern(words: list[str]) -> tuple[str, ...]:
    """Per character of the most common length: what is the same in all, or the alphabet it is from."""
    length = Counter(map(len, words)).most_common(1)[0][0]
    columns = zip(*(w for w in words if len(w) == length), strict=True)
    pattern = tuple(_alphabet(set(column)) for column in columns)
    room = 1.0
    for alphabet in pattern:
        room *= len(alphabet)
    return pattern if room >= MOST_ROOM else UUID_PATTERN


def _alphabet(seen: set[str]) -> str:
    if len(seen) == 1:
        return next(iter(seen))
    return next((a for a in ALPHABETS if seen <= set(a)), "".join(sorted(seen | set(ALPHANUMERIC))))


def _drawn(pattern: tuple[str, ...], numbers: Ints, salt: int) -> pa.Array:
    start = mix(numbers.astype(np.uint64) ^ mix(np.array([salt], dtype=np.uint64)))
    letters = np.empty((numbers.size, len(pattern)), dtype="<U1")
    for place, alphabet in enumerate(pattern):
        drawn = mix(start + np.uint64(place * int(GOLDEN) % 2**64)) % np.uint64(len(alphabet))
        letters[:, place] = np.array(list(alphabet))[drawn.astype(np.int64)]
    return pa.array(letters.view(f"<U{len(pattern)}").ravel().tolist(), pa.string())
