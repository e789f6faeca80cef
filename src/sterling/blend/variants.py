"""The variants of a mix: importance weights, filters, edges only, and the field's 80 % common / 20 % edge."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sterling.blend.edges import edges
from sterling.blend.filtering import agreeing, label_surprise, most_real
from sterling.blend.recipe import Recipe, kept, refused, scaled_to_one
from sterling.blend.training import labelled
from sterling.blend.weighting import Realism, realism
from sterling.kernel.estimate import Unmeasured
from sterling.kernel.view import View

if TYPE_CHECKING:
    from sterling.kernel.view import Bools, Floats

WEIGHTED, EDGES_ONLY = "importance weights", "edges only"
FILTERS = {"most real 80 %": 0.8, "most real 50 %": 0.5}
AGREEING, PRESET = "labels agree", "80 % common, 20 % edge"
VARIANTS = (WEIGHTED, *FILTERS, AGREEING, EDGES_ONLY, PRESET)
# The preset: this share of the mass is synthetic and common, the rest real and edge.
COMMON_SHARE = 0.8


@dataclass(frozen=True, slots=True, eq=False)
class Signs:
    """What the real rows say of a candidate's rows; each row is judged by models that did not see it.

    Args:
        realism: how like real rows they are.
        agreeing: [m] whether a label is one that real rows would bear out.
        edge_real: [n] which real rows are edge cases; False where the target is unknown.
        edge: [m] which synthetic rows are.
    """

    realism: Realism
    agreeing: Bools
    edge_real: Bools
    edge: Bools


def read_signs(real: View, made: View, *, rng: np.random.Generator) -> Signs:
    """Judge a candidate's rows by the real rows that train beside them.

    Args:
        real: n rows, also such whose target is unknown.
        made: m rows whose target is known.
        rng: the stream of this task.
    """
    rows = labelled(real, "the real data")
    known = np.ones(real.n, dtype=bool) if real.target is None else ~real.target.missing
    surprises = label_surprise(rows, made, rng=rng)
    mine, theirs = edges(rows, made, surprises, rng=rng)
    edge_real = np.zeros(real.n, dtype=bool)
    edge_real[known] = mine
    return Signs(realism(rows, made, rng=rng), agreeing(rows, made, surprises), edge_real, theirs)


def recipes_for(
    variant: str, signs: Mapping[str, Signs], weights: Mapping[str, float]
) -> dict[str, Recipe] | Unmeasured:
    """The recipe of each candidate of a mix, or why this variant is not to be tried.

    Args:
        variant: one of `VARIANTS`.
        signs: by candidate.
        weights: of the plain mix, by candidate.
    """
    if variant == PRESET:
        return _preset(signs, weights)
    made: dict[str, Recipe] = {}
    for name in weights:
        recipe = Recipe(variant, _rows(variant, signs[name]))
        few = refused(recipe, signs[name].edge.size)
        # Edges are few by definition; a handful of rows is refused all the same.
        if few is not None and not (variant == EDGES_ONLY and signs[name].edge.sum() >= 1):
            return few
        made[name] = recipe
    return made


def _rows(variant: str, signs: Signs) -> Floats:
    if variant == WEIGHTED:
        return scaled_to_one(signs.realism.weights)
    if variant == AGREEING:
        return kept(signs.agreeing)
    return kept(signs.edge if variant == EDGES_ONLY else most_real(signs.realism.chance, share=FILTERS[variant]))


def _preset(signs: Mapping[str, Signs], weights: Mapping[str, float]) -> dict[str, Recipe] | Unmeasured:
    """Synthetic rows for common cases, real rows for edges alone, four to one in mass; all weigh what n rows do."""
    first = next(iter(signs[name] for name in weights))
    common = {name: kept(~signs[name].edge) for name in weights}
    mass = sum(float(rows.sum()) * weights[name] for name, rows in common.items())
    edge, n = int(first.edge_real.sum()), first.edge_real.size
    if not mass or not edge:
        return Unmeasured(f"{PRESET}: no {'common synthetic' if edge else 'real edge'} row", "give more rows")
    real = kept(first.edge_real) * ((1 - COMMON_SHARE) * n / edge)
    return {name: Recipe(PRESET, rows * (COMMON_SHARE * n / mass), real) for name, rows in common.items()}
