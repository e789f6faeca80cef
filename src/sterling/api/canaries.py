"""Canaries: records planted before a generator of ours is fitted, and looked for in what it makes.

Nothing is stored but how many and from which seed: with the train rows, which the lineage names, the same
pairs can be drawn again when the set is judged.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from sterling.kernel import seeds
from sterling.kernel.dataset import Dataset
from sterling.kernel.schema import Kind, Role
from sterling.kernel.view import Column, View
from sterling.measures.canaries import MARK

if TYPE_CHECKING:
    from sterling.api.inputs import Arena

NOTE = re.compile(r" with (\d+) canaries, seed (-?\d+)$")
# A generator must meet its canaries among real rows, not learn the canaries.
MOST_SHARE = 0.05


@dataclass(frozen=True, slots=True)
class Pairs:
    """k pairs of records drawn alike, of which a coin planted one each.

    Args:
        planted: [k] rows that join the train rows.
        twins: [k] rows that do not.
    """

    planted: pa.Table
    twins: pa.Table


def most_canaries(train: Dataset) -> int:
    """How many pairs a train part can bear."""
    return int(train.rows * MOST_SHARE)


def draw_pairs(train: Dataset, k: int, *, seed: int) -> Pairs:
    """Draw pairs: every cell from a train row of its own, so that no record is anybody's.

    Args:
        train: the rows that the generator will see, at least one.
        k: pairs.
        seed: of the run that fits the generator.

    Source: Carlini et al. 2019, arXiv:1802.08232; a coin for each pair, Steinke et al. 2023, arXiv:2305.08846.
    """
    rng = seeds.stream(seed, "canaries", train.fingerprint, k)
    table = train.table()
    picks = rng.integers(table.num_rows, size=(table.num_columns, 2 * k))
    drawn = pa.table(
        [column.take(pa.array(rows)) for column, rows in zip(table.columns, picks, strict=True)], schema=table.schema
    )
    coin = rng.random(k) < 0.5
    first = np.arange(k) + k * coin
    return Pairs(drawn.take(pa.array(first)), drawn.take(pa.array((first + k) % (2 * k))))


def planted(train: Dataset, k: int, *, seed: int) -> Dataset:
    """The train rows with k canaries below them."""
    from sterling.modalities.tabular import from_table

    both = pa.concat_tables([train.table(), draw_pairs(train, k, seed=seed).planted])
    return from_table(both, name=train.name, schema=train.schema, lineage=train.lineage)


def noted(generator: str, k: int, *, seed: int) -> str:
    """How the lineage remembers them."""
    return f"{generator} with {k} canaries, seed {seed}" if k else generator


def canary_views(arena: Arena, index: int) -> tuple[View, View, View] | None:
    """Planted records, their twins and the candidate in one encoding; None where the candidate has no canaries."""
    from sterling.modalities.tabular import Tabular, from_table

    candidate = arena.candidates[index]
    found = NOTE.search(candidate.lineage.generator or "")
    if found is None or arena.train.fingerprint not in candidate.lineage.parents:
        return None
    pairs = draw_pairs(arena.train, int(found[1]), seed=int(found[2]))
    sets = [from_table(t, name="canaries", schema=arena.train.schema) for t in (pairs.planted, pairs.twins)]
    here, there, made = Tabular().views([*sets, candidate])
    number = Column(MARK, Kind.NUMBER, Role.FEATURE, np.arange(1.0, here.n + 1), integer=True)
    marked = [replace(v, columns=(*(v.columns or ()), number)) for v in (here, there)]
    return marked[0], marked[1], made
