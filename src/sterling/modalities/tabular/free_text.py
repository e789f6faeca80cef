"""Free text, names, e-mail addresses and phone numbers without the words and numbers that only a few people have."""

from __future__ import annotations

import functools
import re
import unicodedata
from array import array
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

import numpy as np

from sterling.stats.word_chain import fit_chain, sample_texts

if TYPE_CHECKING:
    from sterling.kernel.view import Ints

# What `_parts` finds in plain ASCII, three times as fast.
ASCII_PART = re.compile(r"[A-Za-z]+|[0-9]+")
# Combining marks lie between these characters, and among the last selectors; emoji and ideographs are beyond.
MARKS_FROM, MARKS_TO = 0x300, 0x1F000
# What joins letters without being one: Persian and Indic names are written with them.
JOINERS = "\u200c\u200d"
# An address tells who it is, even where each of its parts is common.
ADDRESS = re.compile(r"(\S+)@\S+")
# A pair of letters that fewer words share does not decide the next letter.
LEAST_LETTERS = 5
# Letters at the end by which a common word stands in for a rare one, longest first: they carry the part of speech.
ENDINGS = (3, 2, 1, 0)
TRIES = 10


def without_rare_words(
    texts: Sequence[str], k: int, people: Callable[[Ints, Ints, int], Ints], *, rng: np.random.Generator
) -> tuple[list[str], int, int]:
    """The texts with every word and number that fewer than k people have replaced by another of its form.

    A rare number becomes other digits; a rare name (a word with a capital) a word that its kind of letters
    would make; another rare word a common one with the same ending. The same word becomes the same everywhere. An
    e-mail address that is rare as a whole loses the longest part of its name even where all its parts are common.

    Args:
        texts: [d] distinct texts.
        k: fewest people.
        people: from [w] word and [w] text of each occurrence, and the number of words, to [words] how many people
            have each.
        rng: the stream of this task.

    Returns:
        [d] texts, how many words were replaced, and in how many texts.
    """
    plain = [unicodedata.normalize("NFC", t) for t in texts]
    said = _said(plain, _words)
    folded, place = _folded(said.words)
    rare = _rare(folded, place, said, k, people)
    addresses = _said(plain, lambda t: [m.group() for m in ADDRESS.finditer(t)] if "@" in t else [])
    alone = _rare(addresses.words, np.arange(len(addresses.words)), addresses, k, people)
    named: set[str] = set()
    for whole in addresses.words:
        inside = _words(whole.partition("@")[0])
        named.update(inside)
        if whole in alone and inside and not any(w.casefold() in rare for w in inside):
            rare.add(max(inside, key=len).casefold())
    if not rare:
        return list(texts), 0, 0
    counts = dict(zip(said.words, np.bincount(said.which).tolist(), strict=True))
    stand_in = _stand_ins(counts, rare, named, rng=rng)
    hit = np.array([w in stand_in for w in said.words])
    touched = np.unique(said.where[hit[said.which]]).tolist()
    out = list(texts)
    for i in touched:
        part = ASCII_PART if plain[i].isascii() else _parts()
        out[i] = part.sub(lambda m: stand_in.get(m.group(), m.group()), plain[i])
    return out, len(rare), len(touched)


def _words(text: str) -> list[str]:
    return (ASCII_PART if text.isascii() else _parts()).findall(text)


@functools.cache
def _parts() -> re.Pattern[str]:
    """A run of letters with their marks (of any script) or of digits; all else, spaces and signs, is no one's.

    Vowel signs, points and tones are marks: without them a Hindi name would fall into syllables that all names share.
    """
    marks = "".join(chr(i) for i in range(MARKS_FROM, MARKS_TO) if unicodedata.category(chr(i)) in ("Mn", "Mc"))
    return re.compile(rf"[^\W\d_]+(?:[{marks}{JOINERS}]+[^\W\d_]*)*|\d+")


@dataclass(frozen=True, slots=True, eq=False)
class _Said:
    """The words of many texts.

    Args:
        words: [w] distinct.
        which: [m] the word of each occurrence.
        where: [m] the text of each occurrence.
    """

    words: list[str]
    which: Ints
    where: Ints


def _said(texts: Sequence[str], find: Callable[[str], list[str]]) -> _Said:
    place: dict[str, int] = {}
    which, ends = array("i"), np.zeros(len(texts) + 1, dtype=np.int64)
    for i, text in enumerate(texts, 1):
        which.extend(place.setdefault(w, len(place)) for w in find(text))
        ends[i] = len(which)
    where = np.repeat(np.arange(len(texts)), np.diff(ends))
    return _Said(list(place), np.array(which, dtype=np.int64), where)


def _folded(words: Sequence[str]) -> tuple[list[str], Ints]:
    """The distinct words without their capitals, and [w] which of them each word is."""
    place: dict[str, int] = {}
    at = np.array([place.setdefault(w.casefold(), len(place)) for w in words], dtype=np.int64)
    return list(place), at


def mixed(texts: Sequence[str], secret: set[str], *, rng: np.random.Generator) -> list[str]:
    """The texts, with the last word of another in those that are still secret.

    Args:
        texts: [r] where rare words were replaced.
        secret: texts that are not to come out.
        rng: the stream of this task.
    """
    out, part = list(texts), _parts()
    for i, text in enumerate(texts):
        for _ in range(TRIES):
            if out[i] not in secret:
                break
            # With all words common, the combination is what is rare.
            other = _words(texts[int(rng.integers(len(texts)))])
            last = next(reversed(list(part.finditer(text))), None)
            if last is None or not other:
                break
            out[i] = text[: last.start()] + other[-1] + text[last.end() :]
    return out


def _rare(
    words: Sequence[str], place: Ints, said: _Said, k: int, people: Callable[[Ints, Ints, int], Ints]
) -> set[str]:  # fmt: skip
    """The words, each of one or more of those said, that fewer than k people have."""
    if not words:
        return set()
    counts = people(place[said.which], said.where, len(words))
    return {words[i] for i in np.flatnonzero(counts < k).tolist()}


def _stand_ins(
    counts: Mapping[str, int], rare: set[str], named: set[str], *, rng: np.random.Generator
) -> dict[str, str]:
    """Per rare word, as it is written, the word that takes its place; words in the names of addresses are names."""
    plain = {w: n for w, n in counts.items() if w[0].isalpha() and w.islower() and w not in named}
    common = {w: n for w, n in plain.items() if w not in rare}
    by_ending = {e: _grouped(common, e) for e in ENDINGS}
    secret = [w for w in counts if w.casefold() in rare]
    of_names = [w for w in counts if not w.isdecimal() and not (common and w in plain)]
    wanted = [w for w in of_names if w.casefold() in rare]
    names = dict(zip(wanted, _names(of_names, rare, len(wanted), rng=rng), strict=True)) if wanted else {}
    made: dict[str, str] = {}
    for word in secret:
        if word in names:
            made[word] = names[word].lower() if word.islower() else names[word]
        elif word.isdecimal():
            made[word] = _digits(word, rare, rng)
        else:
            near = next(g[word[len(word) - e :]] for e, g in by_ending.items() if word[len(word) - e :] in g)
            made[word] = near[0][bisect_right(near[1], int(rng.integers(near[1][-1])))]
    return made


def _grouped(words: Mapping[str, int], ending: int) -> dict[str, tuple[list[str], list[int]]]:
    """Common words by their last letters, and how often they occur, cumulated."""
    groups: dict[str, list[str]] = {}
    for word in words:
        groups.setdefault(word[len(word) - ending :] if len(word) >= ending else "\n", []).append(word)
    return {end: (some, list(accumulate(words[w] for w in some))) for end, some in groups.items()}


def _digits(word: str, rare: set[str], rng: np.random.Generator) -> str:
    new = word
    for _ in range(TRIES):
        drawn = rng.integers(10, size=len(word))
        if word[0] != "0":
            drawn[0] = rng.integers(1, 10)
        new = "".join(map(str, drawn.tolist()))
        if new not in rare:
            break
    return new


def _names(names: Sequence[str], rare: set[str], n: int, *, rng: np.random.Generator) -> list[str]:
    """Made names: a chain of letters over the names that are there, of which no rare one is made."""
    chain, made = fit_chain(names, unit="character", least=LEAST_LETTERS), list[str]()
    for _ in range(TRIES):
        if len(made) < n:
            drawn = sample_texts(chain, n - len(made), rng=rng)
            made.extend(w for w in drawn if w and w.casefold() not in rare)
    while len(made) < n:  # the letters leave nothing else to make
        letters = rng.integers(26, size=len(names[len(made) % len(names)]))
        made.append("".join(chr(ord("a") + i) for i in letters.tolist()).capitalize())
    return made
