"""An order-2 chain of words: the simplest model that makes text look like its training texts."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sterling.kernel.view import Ints

Unit = Literal["word", "character"]
# Texts of fewer words than this on average are names, codes or addresses: their characters are chained.
FEWEST_WORDS = 2.0
TRIES = 20
END = 0  # also stands for "before the first word"
# The word between two spaces in a row; no word holds a space.
EMPTY = "  "


@dataclass(frozen=True, slots=True, eq=False)
class WordChain:
    """Which words follow which two words.

    Args:
        unit: what is chained.
        words: the vocabulary; word 0 is the end.
        states: [s] sorted, each a pair of words as first * len(words) + second.
        starts: [s] where each state's followers begin.
        ends: [s] where they end.
        followers: words that followed, once per occurrence: of all pairs, then of all single words.
        single: [w, 2] where the followers of each single word begin and end, for pairs that are no state.
        longest: most words in a training text: no text gets longer.
        secret: training texts that fewer than `least` texts equal: they are drawn again.
    """

    unit: Unit
    words: tuple[str, ...]
    states: Ints
    starts: Ints
    ends: Ints
    followers: NDArray[np.intc]
    single: Ints
    longest: int
    secret: frozenset[str] = frozenset()


def fit_chain(texts: Sequence[str], *, unit: Unit | None = None, least: int = 1) -> WordChain:
    """Count which word follows which two words.

    Args:
        texts: at least one; words are what single spaces separate, so that every training text can be
            made again exactly.
        unit: what is chained; None = words, or characters where the texts are single words.
        least: a pair of words that occurs less often does not decide what follows, but its second word alone;
            if that is as rare, all words do, and what is left of a text is drawn from all texts. Above 1,
            texts that fewer training texts equal are not made.

    Source: Shannon 1948, "A Mathematical Theory of Communication", section 3.

    >>> chain = fit_chain(["the cat sat", "the cat ran"])
    >>> set(sample_texts(chain, 20, rng=np.random.default_rng(0))) == {"the cat sat", "the cat ran"}
    True
    """
    words_each = sum(text.count(" ") + 1 for text in texts) / len(texts)
    unit = unit or ("word" if words_each >= FEWEST_WORDS else "character")
    place: dict[str, int] = {"": END}  # never chained itself: see `_parts`
    flat, sizes = array("i"), np.empty(len(texts), dtype=np.int64)
    for i, text in enumerate(texts):
        before = len(flat)
        flat.extend((END, END))
        flat.extend(place.setdefault(w, len(place)) for w in _parts(text, unit))
        flat.append(END)
        sizes[i] = len(flat) - before
    table = _triples(np.frombuffer(flat, dtype=np.intc), sizes)
    state = table[:, 0].astype(np.int64) * len(place) + table[:, 1]
    order = np.argsort(state, kind="stable")
    states, starts, counts = np.unique(state[order], return_index=True, return_counts=True)
    single, followers = _after_one(table, len(place), least)
    firm = counts >= least
    return WordChain(
        unit=unit,
        words=tuple(place),
        states=states[firm],
        starts=starts[firm],
        ends=(starts + counts)[firm],
        followers=np.concatenate([table[order, 2], followers]),
        single=single + state.size,
        longest=int(sizes.max()) - 3,
        secret=frozenset(t for t, n in Counter(texts).items() if n < least),
    )


def _triples(flat: NDArray[np.intc], sizes: Ints) -> NDArray[np.intc]:
    """[t, 3] each word with the two before it, from all texts one after another and the length of each."""
    ends = np.cumsum(sizes)
    inside = np.ones(flat.size, dtype=np.bool_)
    inside[ends - 1] = inside[ends - 2] = False
    return np.stack([flat[:-2], flat[1:-1], flat[2:]], axis=1)[inside[:-2]]


def _after_one(table: NDArray[np.intc], words: int, least: int) -> tuple[Ints, NDArray[np.intc]]:
    """[w, 2] where the followers of each word begin and end, and the followers; of rare words, those of all."""
    order = np.argsort(table[:, 1], kind="stable")
    counts = np.bincount(table[:, 1], minlength=words)
    ends = np.cumsum(counts)
    spans = np.stack([ends - counts, ends], axis=1)
    spans[counts < least] = 0, table.shape[0]
    return spans, table[order, 2]


def sample_texts(chain: WordChain, n: int, *, rng: np.random.Generator) -> list[str]:
    """Make n texts; short or single training texts may come out verbatim, unless the chain keeps them secret.

    A text that comes out as a secret one is drawn again, twenty times at most.
    """
    made = _sample(chain, n, rng=rng)
    for _ in range(TRIES if chain.secret else 0):
        again = [i for i, text in enumerate(made) if text in chain.secret]
        if not again:
            break
        for i, text in zip(again, _sample(chain, len(again), rng=rng), strict=True):
            made[i] = text
    return made


def _sample(chain: WordChain, n: int, *, rng: np.random.Generator) -> list[str]:
    size = len(chain.words)
    first, second = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64)
    parts: list[list[str]] = [[] for _ in range(n)]
    active = np.arange(n)
    for _ in range(chain.longest):
        start, end = _span(chain, first[active] * size + second[active], second[active])
        follower = chain.followers[start + (rng.random(active.size) * (end - start)).astype(np.int64)]
        first[active], second[active] = second[active], follower
        for row, word in zip(active.tolist(), follower.tolist(), strict=True):
            if word != END:
                parts[row].append(chain.words[word])
        active = active[follower != END]
    if chain.unit == "character":
        return ["".join(word[0] for word in words) for words in parts]
    return [" ".join("" if w == EMPTY else w for w in words) for words in parts]


def _span(chain: WordChain, state: Ints, second: Ints) -> tuple[Ints, Ints]:
    """Where the followers of each pair of words begin and end; those of its second word where it is no state."""
    if not chain.states.size:
        return chain.single[second, 0], chain.single[second, 1]
    at = np.minimum(np.searchsorted(chain.states, state), chain.states.size - 1)
    known = chain.states[at] == state
    start = np.where(known, chain.starts[at], chain.single[second, 0])
    return start, np.where(known, chain.ends[at], chain.single[second, 1])


def _parts(text: str, unit: Unit) -> list[str]:
    if unit == "character":
        # A character knows its place, so that codes keep their shape and texts their lengths.
        return [f"{c}{i}" for i, c in enumerate(text)]
    return [w or EMPTY for w in text.split(" ")]
