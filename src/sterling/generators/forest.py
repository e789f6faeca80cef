"""An ensemble of sequential trees per column; each made row follows one of them at random."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from sterling.kernel.dataset import Dataset
from sterling.modalities.tabular.chained import ChainedTable, Making, check_setting, fit_table, sample_table
from sterling.stats.histogram_trees import Growth
from sterling.stats.sequential_trees import ChainSettings

if TYPE_CHECKING:
    import numpy as np

    from sterling.kernel.dataset import Batch


@dataclass(frozen=True, slots=True)
class Forest:
    """Several trees per column, each grown on rows drawn with replacement; a row follows a random one of them.

    Two trees cut the same columns at different places, so the edges of leaves blur and a made row is less
    bound to the rows of one leaf: smaller leaves can be afforded than with `cart`. Columns are not
    subsampled, which would break exact dependencies. Cells are made as `cart` makes them: missing cells,
    whole numbers, spikes, formats and the observed range are kept, identifiers made anew, free text comes
    from a chain of words. Not a privacy guarantee.

    Args:
        trees: trees per column, >= 1; time and memory grow with it.
        min_leaf: fewest training rows in a leaf, >= 1; more of them copy less and blur more.
        max_depth: most questions on the way to a leaf, >= 0; 0 draws the columns independently.
        smoothing: how far numbers may move from those of the leaf, 0 (not at all) to 1 (half way to the
            fifth training value from there).
        evidence: nats that a split must gain on its rows before made rows go beyond it, >= 0; more of them
            copy less and blur more.
        most_parents: columns that a tree may ask at most, >= 1: those that depend most on its outcome.
        structure: "mined" finds what holds in every training row (sums, codes and their names, a <= b) and keeps
            it exactly; "ignored" leaves it to the trees.
        protect: fewest people who may share a level or an extreme value, >= 1: rarer ones are never seen.
        pool: rows drawn for each row that is made, >= 1; those are taken that together have the training rows'
            margins, of columns and pairs. 1 takes all.
        first: columns to draw before all others, so that `given` may hold them fixed.

    Raises:
        InputError: for a setting out of its range.

    Source: Caiola & Reiter 2010, "Random forests for generating partially synthetic, categorical data",
    Transactions on Data Privacy 3(1); Breiman 1996, "Bagging predictors".
    """

    trees: int = 16
    min_leaf: int = 40
    max_depth: int = 40
    smoothing: float = 1.0
    evidence: float = 15.0
    most_parents: int = 40
    structure: Literal["mined", "ignored"] = "mined"
    protect: int = 5
    pool: int = 6
    first: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_setting("trees", self.trees, 1)
        check_setting("min_leaf", self.min_leaf, 1)
        check_setting("max_depth", self.max_depth, 0)
        check_setting("smoothing", self.smoothing, 0, 1)
        check_setting("evidence", self.evidence, 0)
        check_setting("most_parents", self.most_parents, 1)
        check_setting("protect", self.protect, 1)
        check_setting("pool", self.pool, 1)

    def fit(self, data: Dataset, *, rng: np.random.Generator) -> ChainedTable:
        """Grow the trees.

        Raises:
            InputError: if there are no rows or columns, or a column of a kind that no table holds.
        """
        return fit_table(data, first=self.first, settings=self._settings, making=self._making, rng=rng)

    def sample(
        self, fitted: ChainedTable, n: int, *, rng: np.random.Generator, given: Batch | None = None
    ) -> Iterator[Batch]:
        """Draw n rows, in batches of at most 50,000.

        Raises:
            InputError: for n < 1, or for given columns that were not fitted to come first.
        """
        return sample_table(
            fitted, n, settings=self._settings, smoothing=self.smoothing, making=self._making, given=given, rng=rng
        )

    @property
    def _settings(self) -> ChainSettings:
        return ChainSettings(
            Growth(min_leaf=self.min_leaf, max_depth=self.max_depth),
            trees=self.trees,
            donors="bootstrap",
            price=self.evidence,
            smoothing=self.smoothing,
            most_parents=self.most_parents,
        )

    @property
    def _making(self) -> Making:
        return Making(self.structure, protect=self.protect, pool=self.pool, head="boosted", guard="copies")
