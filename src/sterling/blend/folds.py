"""Repeated cross-validation inside the train rows: who is kept, who is held."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sterling.kernel.schema import Kind
from sterling.kernel.seeds import stream
from sterling.kernel.view import View
from sterling.stats.scores import unscorable

if TYPE_CHECKING:
    from sterling.kernel.view import AnyArray, Ints


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """One fold of one repeat.

    Args:
        repeat: which deal of the rows it belongs to, from 0.
        name: "repeat.fold".
        kept: positions of the rows that train.
        held: positions of the rows that judge; their target is known and varies.
    """

    repeat: int
    name: str
    kept: AnyArray
    held: AnyArray


def deal(train: View, *, folds: int, repeats: int, seed: int) -> tuple[Part, ...]:
    """Folds with each class dealt evenly, or, where the view knows whose each row is, with entities kept whole."""
    parts: list[Part] = []
    for repeat in range(repeats):
        rng = stream(seed, "blend", "folds", repeat)
        fold = _by_class(train, folds, rng) if train.entities is None else _by_entity(train.entities, folds, rng)
        for number in range(folds):
            held = np.flatnonzero((fold == number) & _known(train))
            part = train.take(held)
            # Whole entities may leave a fold with one class: it can judge nothing.
            if part.target is not None and unscorable(part.target, least=1) is None:
                parts.append(Part(repeat, f"{repeat}.{number}", np.flatnonzero(fold != number), held))
    return tuple(parts)


def _known(train: View) -> AnyArray:
    return np.zeros(train.n, dtype=bool) if train.target is None else ~train.target.missing


def _by_class(train: View, folds: int, rng: np.random.Generator) -> AnyArray:
    order = rng.permutation(train.n)
    if train.target is not None and train.target.kind is Kind.CATEGORY:
        order = order[np.argsort(train.target.values[order], kind="stable")]
    fold = np.empty(train.n, dtype=np.int64)
    fold[order] = np.arange(train.n) % folds
    return fold


def _by_entity(entities: Ints, folds: int, rng: np.random.Generator) -> AnyArray:
    _, entity = np.unique(entities, return_inverse=True)
    sizes = np.bincount(entity)
    fold_of = np.empty(sizes.size, dtype=np.int64)
    filled = np.zeros(folds)
    # The largest first, each to the emptiest fold; equal sizes in random order.
    for one in sorted(rng.permutation(sizes.size), key=lambda e: -sizes[e]):
        fold_of[one] = filled.argmin()
        filled[fold_of[one]] += sizes[one]
    return fold_of[entity]
