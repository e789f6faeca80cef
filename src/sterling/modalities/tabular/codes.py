"""Codes such as ICD-10's I25.10, article numbers, postcodes and number plates: what a rare one becomes."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sterling.kernel.view import AnyArray, Floats, Ints

# So many shapes (A99.9 is one) make up so large a share of the distinct codes of a column.
MOST_SHAPES, SHAPED = 30, 0.95
# Longer texts are no codes.
LONGEST = 40
TRIES, LAST = 20, 5
CLASSES = ((re.compile(r"[0-9]"), "9"), (re.compile(r"[A-Z]"), "A"), (re.compile(r"[a-z]"), "a"))
ALPHABET = {"9": "0123456789", "A": "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "a": "abcdefghijklmnopqrstuvwxyz"}


def shape_of(word: str) -> str:
    """The code with digits as 9 and letters as A or a.

    >>> shape_of("I25.10"), shape_of("b-7")
    ('A99.99', 'a-9')
    """
    for form, letter in CLASSES:
        word = form.sub(letter, word)
    return word


def are_codes(words: Sequence[str]) -> bool:
    """Whether texts are codes: short, nearly all with a digit, and of few shapes.

    >>> are_codes(["I25.10", "E11.9", "J45.0"]), are_codes(["Holland", "France"])
    (True, False)
    """
    if not words or any(len(w) > LONGEST for w in words):
        return False
    shapes = Counter(shape_of(w) for w in words)
    shaped = sum(count for shape, count in shapes.most_common(MOST_SHAPES) if "9" in shape)
    return shaped >= SHAPED * len(words)


def known_prefixes(words: Sequence[str], k: int, people: Callable[[Ints, int], Ints]) -> Ints:
    """[d] how many first characters of each code at least k people share with it.

    Args:
        words: [d] distinct codes.
        k: fewest people.
        people: from [d] group of each code, and the number of groups, to [groups] how many people are in each.
    """
    known = np.zeros(len(words), dtype=np.int64)
    open_ = list(range(len(words)))
    for length in range(1, max(map(len, words), default=0) + 1):
        open_ = [i for i in open_ if len(words[i]) >= length]
        place: dict[str, int] = {}
        groups = np.full(len(words), -1)
        groups[open_] = [place.setdefault(words[i][:length], len(place)) for i in open_]
        crowded = people(groups, len(place)) >= k
        open_ = [i for i in open_ if crowded[groups[i]]]
        known[open_] = length
    return known


@dataclass(frozen=True, slots=True, eq=False)
class Form:
    """The characters that stand at each place of the codes of one shape, and how often.

    Args:
        letters: per place, the characters that k people have there.
        shares: per place, their shares.
    """

    letters: tuple[tuple[str, ...], ...]
    shares: tuple[Floats, ...]


def forms_of(words: Sequence[str], counts: Ints, k: int) -> dict[str, Form]:
    """Per shape, what may stand at each place: characters of at least k rows, else all of the class."""
    seen: dict[str, list[Counter[str]]] = {}
    for word, count in zip(words, counts.tolist(), strict=True):
        places = seen.setdefault(shape_of(word), [Counter() for _ in word])
        for place, letter in zip(places, word, strict=True):
            place[letter] += count
    return {shape: _form(shape, places, k) for shape, places in seen.items()}


def _form(shape: str, places: list[Counter[str]], k: int) -> Form:
    letters: list[tuple[str, ...]] = []
    shares: list[Floats] = []
    for kind, place in zip(shape, places, strict=True):
        kept = {c: n for c, n in sorted(place.items()) if n >= k} or dict.fromkeys(ALPHABET.get(kind, kind), 1)
        letters.append(tuple(kept))
        shares.append(np.array(list(kept.values())) / sum(kept.values()))
    return Form(tuple(letters), tuple(shares))


def _any_digits(form: Form, shape: str) -> Form:
    digits = tuple(ALPHABET["9"])
    letters = tuple(digits if kind == "9" else c for kind, c in zip(shape, form.letters, strict=True))
    even = np.full(len(digits), 1 / len(digits))
    return Form(letters, tuple(even if kind == "9" else p for kind, p in zip(shape, form.shares, strict=True)))


def remade(
    words: Sequence[str], rare: Ints, known: Ints, forms: dict[str, Form], *, rng: np.random.Generator
) -> list[str]:
    """New codes in the place of rare ones: the part that k people share is kept, the rest is drawn in its form.

    None of them is a rare code of the table: where twenty draws find no other, it is one that was made for another
    code. Only where all codes of all shapes are taken, rare ones are handed round.

    Args:
        words: [d] distinct codes of the column.
        rare: positions of those to be replaced.
        known: [d] of `known_prefixes`.
        forms: of `forms_of`.
        rng: the stream of this task.
    """
    secret = {words[i] for i in map(int, rare)}
    out = np.array([words[i] for i in map(int, rare)], dtype=object)
    shapes = np.array([shape_of(w) for w in out])
    for shape in sorted(set(shapes.tolist())):
        at = np.flatnonzero(shapes == shape)
        letters = np.array(out[at].tolist(), dtype=f"<U{len(shape)}").view("<U1").reshape(at.size, len(shape))
        heads = np.minimum(known[rare[at]], len(shape) - 1)
        open_ = np.arange(at.size)
        for attempt in range(TRIES):
            # A head under which all codes are taken is shortened, and at last any digits will do.
            kept = heads[open_] * max(0, TRIES // 2 - attempt) // (TRIES // 2)
            form = forms[shape] if attempt < TRIES - LAST else _any_digits(forms[shape], shape)
            new = _tails(letters[open_], kept, form, rng=rng)
            out[at[open_]] = new
            open_ = open_[[w in secret for w in new.tolist()]]
            if not open_.size:
                break
    stuck = np.array([w in secret for w in out.tolist()])
    if stuck.any() and not stuck.all():
        out[stuck] = out[rng.choice(np.flatnonzero(~stuck), int(stuck.sum()))]
    return out.tolist()


def _tails(letters: AnyArray, heads: Ints, form: Form, *, rng: np.random.Generator) -> AnyArray:
    """[m] codes with their first characters as they are and the others drawn."""
    made = letters.copy()
    for place, (kinds, shares) in enumerate(zip(form.letters, form.shares, strict=True)):
        rows = np.flatnonzero(heads <= place)
        ends = np.cumsum(shares)[:-1]
        made[rows, place] = np.array(kinds)[np.searchsorted(ends, rng.random(rows.size), side="right")]
    return np.ascontiguousarray(made).view(f"<U{made.shape[1]}").ravel()


def nearest_kept(
    words: Sequence[str], rare: Ints, kept: Ints, counts: Ints, *, rng: np.random.Generator
) -> Ints:  # fmt: skip
    """[len(rare)] for each rare code a kept one that shares the longest head with it, drawn by its rows."""
    found = np.full(rare.size, -1)
    longest = max((len(words[i]) for i in map(int, rare)), default=0)
    for length in range(longest, -1, -1):
        groups: dict[str, list[int]] = {}
        for j in map(int, kept):
            groups.setdefault(words[j][:length], []).append(j)
        for at in map(int, np.flatnonzero(found < 0)):
            near = groups.get(words[int(rare[at])][:length])
            if near:
                weights = counts[near] / counts[near].sum()
                found[at] = near[int(np.searchsorted(np.cumsum(weights), rng.random()).clip(0, len(near) - 1))]
        if np.all(found >= 0):
            break
    return found
