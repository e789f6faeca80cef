"""Who the declared groups are."""

from __future__ import annotations

import numpy as np

from sterling.kernel.schema import Kind, Role
from sterling.kernel.view import Column, View
from sterling.stats.groups import Residuals, contrast, declared_groups


def view(sex: list[int], race: list[int], age: list[float]) -> View:
    return View(
        len(sex),
        "f",
        (
            Column("sex", Kind.CATEGORY, Role.GROUP, np.array(sex), ("F", "M", "X")),
            Column("race", Kind.CATEGORY, Role.GROUP, np.array(race), ("a", "b")),
            Column("age", Kind.NUMBER, Role.FEATURE, np.array(age)),
        ),
    )


def test_levels_and_intersections_with_rows_enough() -> None:
    a = view([0] * 20 + [1] * 20 + [2] * 3 + [-1] * 8, [0] * 10 + [1] * 41, [0.0] * 51)
    names = [g.name for g in declared_groups(a, a, least=8)]
    assert names[:5] == ["race=a", "race=b", "sex=F", "sex=M", "sex=missing"]
    # race=a holds women alone, and men are of race b alone: these intersections say nothing new.
    assert names[5:] == ["race=b&sex=F"]


def test_a_contrast_of_two_means() -> None:
    sex = np.arange(400) % 2
    a = view(sex.tolist(), [0] * 400, [0.0] * 400)
    group = next(g for g in declared_groups(a, a, least=8) if g.name == "sex=F")
    zeros, kept = np.zeros(400), np.ones(400, dtype=bool)
    r = Residuals("y", zeros, np.where(sex == 0, 0.3, 0.1), (zeros, zeros), (kept, kept))
    found = contrast(group, r, least=30)
    assert found is not None
    assert np.isclose(found.value, 0.1)  # half of .3 - .1: the other half is the overall shift
    assert np.isclose(found.group, 0.3)
    assert contrast(group, r, least=300) is None
