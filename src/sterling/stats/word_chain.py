"""An order-2 chain of words: the simplest model that makes text look like its training texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from sterling.kernel.view import Ints

Unit = Literal["word", "character"]
# Texts of fewer words than this on average are names, codes or addresses: their characters are chained.
FEWEST_WORDS = 2.0
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
        starts: [s + 1] where each state's followers begin.
        followers: words that followed, once per occurrence.
        longest: most words in a training text: no text gets longer.
    """

    unit: Unit
    words: tuple[str, ...]
    states: Ints
    starts: Ints
    followers: Ints
    longest: int


def fit_chain(texts: Sequence[str]) -> WordChain:
    """Count which word follows which two words.

    Args:
        texts: at least one; words are what single spaces separate, so that every training text can be
            made again exactly.

    Source: Shannon 1948, "A Mathematical Theory of Communication", section 3.

    >>> chain = fit_chain(["the cat sat", "the cat ran"])
    >>> set(sample_texts(chain, 20, rng=np.random.default_rng(0))) == {"the cat sat", "the cat ran"}
    True
    """
    words_each = sum(text.count(" ") + 1 for text in texts) / len(texts)
    unit: Unit = "word" if words_each >= FEWEST_WORDS else "character"
    place: dict[str, int] = {"": END}  # never chained itself: see `_parts`
    triples: list[tuple[int, int, int]] = []
    longest = 0
    for text in texts:
        parts = [place.setdefault(w, len(place)) for w in _parts(text, unit)]
        longest = max(longest, len(parts))
        padded = [END, END, *parts, END]
        triples.extend(zip(padded, padded[1:], padded[2:], strict=False))
    table = np.array(triples, dtype=np.int64)
    state = table[:, 0] * len(place) + table[:, 1]
    order = np.argsort(state, kind="stable")
    states, starts = np.unique(state[order], return_index=True)
    return WordChain(
        unit=unit,
        words=tuple(place),
        states=states,
        starts=np.append(starts, state.size),
        followers=table[order, 2],
        longest=longest,
    )


def sample_texts(chain: WordChain, n: int, *, rng: np.random.Generator) -> list[str]:
    """Make n texts; short or single training texts may come out verbatim."""
    size = len(chain.words)
    first, second = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64)
    parts: list[list[str]] = [[] for _ in range(n)]
    active = np.arange(n)
    for _ in range(chain.longest):
        at = np.searchsorted(chain.states, first[active] * size + second[active])
        start, end = chain.starts[at], chain.starts[at + 1]
        follower = chain.followers[start + (rng.random(active.size) * (end - start)).astype(np.int64)]
        first[active], second[active] = second[active], follower
        for row, word in zip(active.tolist(), follower.tolist(), strict=True):
            if word != END:
                parts[row].append(chain.words[word])
        active = active[follower != END]
    if chain.unit == "character":
        return ["".join(word[0] for word in words) for words in parts]
    return [" ".join("" if w == EMPTY else w for w in words) for words in parts]


def _parts(text: str, unit: Unit) -> list[str]:
    if unit == "character":
        # A character knows its place, so that codes keep their shape and texts their lengths.
        return [f"{c}{i}" for i, c in enumerate(text)]
    return [w or EMPTY for w in text.split(" ")]
