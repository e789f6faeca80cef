"""Edge cases found automatically: where real rows are thin, of rare slices, or hard for a model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sterling.kernel.schema import Kind, Role
from sterling.kernel.view import View
from sterling.stats.neighbours import nearest_k, nearest_other, query_side, rank_scales, reference_side

if TYPE_CHECKING:
    from sterling.kernel.view import Bools, Floats

# The field's default: a fifth of the rows are edge cases.
EDGE_SHARE = 0.2
NEIGHBOURS = 5
# Real rows among which neighbours are sought; more would not move a quantile.
MOST_REFERENCE = 5_000


def edges(
    real: View, synthetic: View, surprises: tuple[Floats, Floats], *, rng: np.random.Generator
) -> tuple[Bools, Bools]:
    """Which rows are edge cases, by three signs that count alike.

    The signs are the distance to the fifth nearest real record (density), the rarity of the rarest level or class
    that a row has (slices), and how surprising its target is to a cross-fitted model (loss). Each is ranked among
    the real rows; the fifth of the real rows with the largest mean rank are edges, and so are the synthetic rows
    beyond the same mark.

    Args:
        real: n rows.
        synthetic: m rows, encoded together with them.
        surprises: [n] and [m], from `filtering.label_surprise`.
        rng: draws the reference rows where there are many.

    Returns:
        [n] and [m] True for edges.
    """
    signs = (_sparsity(real, synthetic, rng=rng), _rarity(real, synthetic), surprises)
    ranked = [(_ranks(mine, mine), _ranks(theirs, mine)) for mine, theirs in signs]
    of_real = np.mean([mine for mine, _ in ranked], axis=0)
    of_synthetic = np.mean([theirs for _, theirs in ranked], axis=0)
    mark = float(np.quantile(of_real, 1 - EDGE_SHARE)) if real.n else np.inf
    return of_real > mark, of_synthetic > mark


def _ranks(values: Floats, scale: Floats) -> Floats:
    """[n] mid-ranks among the real values, 0 to 1."""
    ordered = np.sort(scale)
    below, upto = (np.searchsorted(ordered, values, side) for side in ("left", "right"))
    return (below + upto) / (2 * max(1, ordered.size))


def _sparsity(real: View, synthetic: View, *, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """[n] and [m] squared distance to the fifth nearest real record, itself not counted."""
    columns = tuple(c for c in real.columns or () if c.role is not Role.ENTITY)
    if not columns or real.n <= NEIGHBOURS:
        return np.zeros(real.n), np.zeros(synthetic.n)
    chosen = np.sort(rng.permutation(real.n)[:MOST_REFERENCE])
    others = tuple(c for c in synthetic.columns or () if c.role is not Role.ENTITY)
    shown = tuple(c for c in real.take(chosen).columns or () if c.role is not Role.ENTITY)
    scales = rank_scales(shown)
    reference = reference_side(shown, scales)
    theirs = nearest_k(query_side(others, scales), reference, NEIGHBOURS)[0][:, -1]
    if chosen.size == real.n:
        return nearest_other(reference, NEIGHBOURS)[0][:, -1], theirs
    # Rows of the reference find themselves at distance 0: the next one is theirs.
    omit = np.full(real.n, -1)
    omit[chosen] = np.arange(chosen.size)
    return nearest_k(query_side(columns, scales), reference, NEIGHBOURS, omit=omit)[0][:, -1], theirs


def _rarity(real: View, synthetic: View) -> tuple[Floats, Floats]:
    """[n] and [m] minus the log share, among real rows, of the rarest level that each row has."""
    pairs = list(zip(real.columns or (), synthetic.columns or (), strict=True))
    pairs = [(mine, theirs) for mine, theirs in pairs if mine.kind is Kind.CATEGORY]
    out = np.zeros(real.n), np.zeros(synthetic.n)
    for mine, theirs in pairs:
        counts = np.bincount(mine.values + 1, minlength=len(mine.levels or ()) + 1)
        rare = -np.log(np.maximum(counts, 0.5) / max(1, real.n))
        for place, column in enumerate((mine, theirs)):
            out[place][:] = np.maximum(out[place], rare[column.values + 1])
    return out
