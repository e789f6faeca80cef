"""Missing cells drawn from what like rows hold: chained equations with trees."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from sterling.stats.binning import MOST_BINS
from sterling.stats.histogram_trees import Growth, apply, draw_donors, grow_tree
from sterling.stats.sequential_trees import CLASSES, Variable, code_lookup

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sterling.kernel.view import Bools, Ints

    Codes = NDArray[np.uint8]
    Ids = NDArray[np.int32]


def impute_ids(
    ids: Ids,
    variables: Sequence[Variable],
    *,
    wanted: Bools,
    rounds: int,
    growth: Growth,
    rng: np.random.Generator,
) -> Ids:
    """Fill the wanted cells, each from a row that is like its own in all other columns.

    Cells are first filled at random. Then, round by round and column by column (the one with fewest gaps
    first), a tree is grown on the rows whose cell is known, with all other columns as they are filled by
    now, and each wanted cell is drawn from the leaf in which its row falls: a draw, not a best guess, so that
    spread and dependence survive.

    Args:
        ids: [d, n] int32 which value each cell is; -1 = missing.
        variables: the d columns.
        wanted: [d, n] True for the cells to fill; a column none of whose other cells is known stays empty.
        rounds: passes over all columns, >= 1; little changes after five.
        growth: of the trees; `min_leaf` donors at least.
        rng: the stream of this task.

    Returns:
        [d, n] int32; cells that are not wanted are as they were, missing ones too.

    Source: van Buuren & Groothuis-Oudshoorn 2011, "mice", J. Statistical Software 45(3); Doove, van Buuren
    & Dusseldorp 2014, "Recursive partitioning for missing data imputation in the presence of interaction
    effects", CSDA 72 (trees in it).
    """
    filled = ids.copy()
    known = ~wanted & (ids >= 0)
    columns = [j for j in np.argsort(wanted.sum(axis=1), kind="stable") if wanted[j].any() and known[j].any()]
    lookups = [code_lookup(v, most=MOST_BINS) for v in variables]
    outcomes = [code_lookup(v, most=CLASSES) for v in variables]
    for j in columns:
        filled[j, wanted[j]] = rng.choice(ids[j, known[j]], size=int(wanted[j].sum()))
    codes = np.stack([lookup[row] for lookup, row in zip(lookups, filled, strict=True)])
    categorical = np.array([not v.ordered for v in variables])
    # One column with gaps has nothing to wait for: what it is drawn from does not change between rounds.
    for _ in range(rounds if len(columns) > 1 else 1):
        for j in columns:
            rows, gaps = np.flatnonzero(known[j]), np.flatnonzero(wanted[j])
            tree = grow_tree(
                codes[:, rows],
                outcomes[j][ids[j, rows]],
                features=_others(len(ids), int(j)),
                categorical=categorical,
                ordered=variables[j].ordered,
                growth=growth,
            )
            donors = rows[draw_donors(tree, apply(tree, codes[:, gaps]), rng=rng)]
            filled[j, gaps] = ids[j, donors]
            codes[j, gaps] = lookups[j][filled[j, gaps]]
    return filled


def _others(d: int, column: int) -> Ints:
    return np.delete(np.arange(d), column)
