"""Who the declared groups are."""

from __future__ import annotations

import itertools
import tracemalloc

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


def many_levels(n: int) -> View:
    """Two attributes of 50 levels and one of 4: 2,900 intersections."""
    r = np.random.default_rng(0)
    return View(n, "f", tuple(
        Column(name, Kind.CATEGORY, Role.GROUP, np.minimum(r.integers(k, size=n), r.integers(k, size=n)),
               tuple(f"{name}{i}" for i in range(k)))
        for name, k in (("a", 50), ("b", 50), ("c", 4))
    ))  # fmt: skip


def test_the_intersections_of_most_rows_are_those_of_brute_force() -> None:
    a = many_levels(20_000)
    groups = declared_groups(a, a.take(np.arange(5000)), least=8)
    single = [g for g in groups if not g.crossed]
    pairs = [(f, g) for f, g in itertools.combinations(single, 2) if f.attributes != g.attributes]
    sizes = [int((f.real & g.real).sum()) for f, g in pairs]
    fit = [i for i, (f, g) in enumerate(pairs) if sizes[i] >= 8 and sizes[i] != min(f.sizes[0], g.sizes[0])]
    kept = sorted(sorted(fit, key=lambda i: -sizes[i])[:200])
    crossed = [g for g in groups if g.crossed]
    assert [g.name for g in crossed] == [f"{pairs[i][0].name}&{pairs[i][1].name}" for i in kept]
    for group, i in zip(crossed, kept, strict=True):
        assert np.array_equal(group.real, pairs[i][0].real & pairs[i][1].real)
        assert np.array_equal(group.synthetic, pairs[i][0].synthetic & pairs[i][1].synthetic)


def test_intersections_are_counted_before_any_is_built() -> None:
    a = many_levels(40_000)
    tracemalloc.start()
    groups = declared_groups(a, a, least=8)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.3 * 2 * 40_000 * len(groups)  # the masks handed out, and little beside them


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
