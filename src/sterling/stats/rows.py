"""Rows of several sets without copying the rest of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from sterling.kernel.view import View, stack

if TYPE_CHECKING:
    from sterling.kernel.view import Ints


def columns_at(sets: Sequence[View], places: Ints) -> View:
    """The columns of some records of sets that were encoded together; embeddings and sequences are left behind.

    Args:
        sets: one under another.
        places: [k] ascending positions, as if the sets were one.
    """
    ends = np.cumsum([v.n for v in sets])
    cuts = np.searchsorted(places, ends)
    parts = np.split(places, cuts[:-1])
    bare = [replace(v, embedding=None, hashes=None, sequences=None) for v in sets]
    return stack(v.take(p - (end - v.n)) for v, p, end in zip(bare, parts, ends, strict=True))


def drawn(n: int, most: int, *, rng: np.random.Generator) -> Ints:
    """[k] ascending positions of at most so many of n rows; nothing is drawn where all of them are wanted."""
    return np.sort(rng.permutation(n)[:most]) if n > most else np.arange(n)


def some(view: View, most: int, *, rng: np.random.Generator) -> View:
    """At most so many records of a view, in their order; nothing is drawn where all of them are wanted."""
    return view.take(drawn(view.n, most, rng=rng)) if view.n > most else view
