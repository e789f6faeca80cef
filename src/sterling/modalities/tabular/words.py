"""Free text as sequences of words: what says how varied it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sterling.kernel.view import TokenColumn

if TYPE_CHECKING:
    from sterling.kernel.view import Ints

# Whatever is neither letter, digit nor combining mark, in any script.
BETWEEN_WORDS = r"[^\p{L}\p{N}\p{M}]+"


def token_columns(name: str, cells: Sequence[pa.Array]) -> tuple[TokenColumn, ...]:
    """One column of text in each of several sets, as words in one vocabulary.

    Args:
        name: of the field.
        cells: per set, [n] strings; a missing cell has no words.

    Returns:
        Per set, its words in lower case; codes are in order of first appearance over all sets.

    >>> one, two = token_columns("note", [pa.array(["Ab, c!", None]), pa.array(["C d"])])
    >>> one.tokens.tolist(), one.starts.tolist(), two.tokens.tolist()
    ([0, 1], [0, 2, 2], [1, 2])
    """
    split = [_words(c) for c in cells]
    coded = pa.concat_arrays([words for words, _ in split]).dictionary_encode()
    codes = np.asarray(coded.indices).astype(np.int64)
    ends = np.cumsum([0, *(len(words) for words, _ in split)])
    return tuple(
        TokenColumn(name, codes[ends[i] : ends[i + 1]], starts) for i, (_, starts) in enumerate(split)
    )  # fmt: skip


def _words(cells: pa.Array) -> tuple[pa.Array, Ints]:
    """The words of all cells, one under another, and where each cell's begin."""
    text = pc.fill_null(cells.cast(pa.large_string()), "")
    lists = pc.split_pattern_regex(pc.utf8_lower(text), BETWEEN_WORDS)
    parents = np.asarray(pc.list_parent_indices(lists))
    words = pc.list_flatten(lists)
    real = np.asarray(pc.greater(pc.binary_length(words), 0))
    counts = np.bincount(parents[real], minlength=len(cells))
    return words.filter(pa.array(real)), np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
