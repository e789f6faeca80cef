"""Rows of several sets: the same as of all of them stacked, without what is not needed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from sterling.kernel.schema import Kind, Role
from sterling.kernel.view import Column, View, stack
from sterling.stats.rows import columns_at, drawn


class Heavy:
    """An embedding that nobody may copy."""

    def __getitem__(self, rows: Any) -> Any:
        raise AssertionError("the embedding was copied")

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        raise AssertionError("the embedding was copied")


def view(first: int, n: int) -> View:
    return View(n, "f", (Column("x", Kind.NUMBER, Role.FEATURE, np.arange(first, first + n, dtype=float)),))


@pytest.mark.parametrize("places", [[], [0, 4, 5, 7], [5], [1, 2], list(range(8))])
def test_rows_are_those_of_the_stacked_sets(places: list[int]) -> None:
    sets, at = [view(0, 5), view(50, 3)], np.array(places, dtype=np.int64)
    wanted = stack(sets).take(at)
    found = columns_at([replace(v, embedding=Heavy()) for v in sets], at)  # type: ignore[arg-type]
    assert found.n == wanted.n
    assert found.column("x").values.tolist() == wanted.column("x").values.tolist()


def test_nothing_is_drawn_where_all_rows_are_wanted() -> None:
    rng, other = np.random.default_rng(0), np.random.default_rng(0)
    assert drawn(5, 5, rng=rng).tolist() == [0, 1, 2, 3, 4]
    assert rng.random() == other.random()
    few = drawn(100, 7, rng=rng)
    assert few.size == np.unique(few).size == 7
    assert np.all(np.diff(few) > 0)
