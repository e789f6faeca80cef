"""Tables through a chain of trees: what the generators `cart` and `forest` have in common."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from sterling.kernel.dataset import Dataset
from sterling.kernel.errors import InputError
from sterling.kernel.schema import Role
from sterling.modalities.tabular.anatomy import Anatomy, make_batches, take_apart
from sterling.stats.sequential_trees import ChainSettings, TreeChain, Variable, can_hold, fit_chain, sample_chain

if TYPE_CHECKING:
    import numpy as np

    from sterling.modalities.tabular.outcomes import Ids


@dataclass(frozen=True, slots=True, eq=False)
class ChainedTable:
    """A table's columns and the trees that draw them."""

    anatomy: Anatomy
    chain: TreeChain


def fit_table(
    data: Dataset, *, first: Sequence[str], settings: ChainSettings, rng: np.random.Generator
) -> ChainedTable:
    """Take a table apart and grow the trees of its columns.

    Args:
        data: the training rows.
        first: columns to draw before all others, so that they can be held fixed.
        settings: of the trees.
        rng: the stream of this task.

    Raises:
        UnknownName: for a name in `first` that is no column.
        InputError: if there is nothing to learn from.
    """
    for name in first:
        data.schema[name]
    anatomy, ids = take_apart(data)
    variables = [Variable(o.counts, o.ordered) for o in anatomy.outcomes]
    chain = fit_chain(ids, variables, order=_order(anatomy, first), settings=settings, rng=rng)
    return ChainedTable(anatomy, chain)


def sample_table(
    fitted: ChainedTable,
    n: int,
    *,
    settings: ChainSettings,
    smoothing: float,
    given: pa.Table | None,
    rng: np.random.Generator,
) -> Iterator[pa.Table]:
    """Draw n rows in batches.

    Args:
        fitted: what `fit_table` returned.
        n: rows to make, > 0.
        settings: as at fit.
        smoothing: as in `outcomes.cells_of`.
        given: columns to hold fixed, n rows. Identifiers and free texts always may be; the others must be
            the first in the order in which columns are drawn.
        rng: the stream of this task.

    Raises:
        InputError: for n < 1, or for given columns that cannot be held fixed.
    """
    anatomy, chain = fitted.anatomy, fitted.chain
    if given is not None:
        _refuse(fitted, given.column_names)

    def draw(size: int, held: Mapping[int, Ids]) -> Ids:
        return sample_chain(chain, size, settings=settings, rng=rng, given=held)

    return make_batches(anatomy, n, draw=draw, smoothing=smoothing, given=given, rng=rng)


def _order(anatomy: Anatomy, first: Sequence[str]) -> tuple[int, ...]:
    """Those to be first, then file order, the target last: it is drawn knowing all other columns."""

    def place(j: int) -> tuple[int, bool]:
        field = anatomy.outcomes[j].field
        ahead = list(first).index(field.name) if field.name in first else len(first)
        return ahead, field.role is Role.TARGET

    return tuple(sorted(range(len(anatomy.outcomes)), key=place))


def _refuse(fitted: ChainedTable, names: Sequence[str]) -> None:
    places = [j for j in map(fitted.anatomy.position, names) if j is not None]
    if can_hold(fitted.chain, places):
        return
    wanted = ",".join(name for name in names if fitted.anatomy.position(name) is not None)
    order = ", ".join(fitted.anatomy.outcomes[j].field.name for j in fitted.chain.order)
    raise InputError(
        f"{wanted} cannot be held fixed: this generator was fitted to draw columns in the order {order}",
        mend=f"fit it with these columns first: --set first={wanted}",
    )


def check_setting(name: str, value: float, low: float, high: float = float("inf")) -> None:
    """Refuse a setting out of its range.

    Raises:
        InputError: naming the range.
    """
    if not low <= value <= high:
        allowed = f"at least {low}" if high == float("inf") else f"from {low} to {high}"
        raise InputError(f"{name} is {value}", mend=f"give a value {allowed}: --set {name}={low or high}")
