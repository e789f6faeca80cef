"""Whether the rare modes of the real data are still there in the synthetic data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import bdtrc

from sterling.kernel.estimate import Estimate, Unmeasured
from sterling.kernel.finding import Finding, Json, Status
from sterling.kernel.protocols import Terms, measure
from sterling.kernel.view import Need, View
from sterling.stats.bounds import fieller, holm, normal_quantile, status_of, tarone_alpha
from sterling.stats.modes import LEAST_SEEN, MOST_SHARE, Cells, alive, joint_cells, level_cells, rare_rows
from sterling.stats.proportions import ratio_below_p, ratio_bounds

if TYPE_CHECKING:
    from sterling.kernel.view import Bools, Floats, Ints

BOUND = 0.8
LEAST_ROWS, LEAST_COUNT = 30, 8
# A pooled look needs so many modes and so many rows in them to be worth a share of alpha.
LEAST_MODES, LEAST_RARE = 3, 20
MOST_ROWS = {"full": 50_000, "fast": 10_000}
MOST_FINDINGS, MOST_SHOWN = 10, 20
# The naming half, the counting half, the synthetic rows.
NAMED, COUNTED, SYNTHETIC = 0, 1, 2


@dataclass(frozen=True, slots=True)
class _Look:
    """One pooled comparison: mass of rare modes, or how many of them are left."""

    name: str
    real: float
    synthetic: float
    value: float
    near: tuple[float, float]
    at_most: float
    rows: int


@dataclass(frozen=True, slots=True, eq=False)
class _Levels:
    """Rare levels and tails, each by itself.

    Args:
        names: [l].
        real: [l] real rows, both halves.
        synthetic: [l] synthetic rows.
        failing: [l] True where the share is certainly below the bound.
        spend: error of each one's upper bound.
    """

    names: tuple[str, ...]
    real: Ints
    synthetic: Ints
    failing: Bools
    spend: float


@measure(Need.COLUMNS, title="Mass that rare modes keep", better="higher", family="diversity")
def rare_modes(
    real: View, synthetic: View, *, holdout: View | None, rng: np.random.Generator, terms: Terms
) -> tuple[Finding, ...]:
    """Synthetic mass of the real data's rare modes over their real mass.

    Modes are levels of categories, the outer half percents of numbers, missing cells, and joint cells of two
    columns, where they hold at most 1 % of the rows (less where more than a tenth of all rows would be
    rare). One random half of the real rows names them, the other half is compared with the synthetic
    rows, so that being rare by luck does not count. Rare modes go first when generators feed on themselves.
    Four looks share `alpha`: the mass of rare levels, the mass of rare joint cells, how many of these cells have
    any row left (at equal numbers of rows), and each rare level by itself. Mass holds while some modes
    die and others grow; the number left does not.

    Args:
        real: train rows.
        synthetic: the rows to be judged.
        holdout: not used.
        rng: halves the real rows, and draws rows where sets differ in size.
        terms: `bound` is the smallest tolerable ratio, default .8; "fast" looks at 10,000 rows a set.

    Returns:
        Ratios, 0 (extinct) to infinity, 1 is ideal, larger is better up to 1. First the worst pooled look, then
        at most 10 rare levels that fail, such as `race=Other`.

    Source: SCIENCE.md 2a; conditional binomial test (Przyborowski & Wilenski 1940); Tarone 1990, Holm 1979.
    """
    bound = BOUND if terms.bound is None else terms.bound
    params: dict[str, Json] = {"bound": bound, "alpha": terms.alpha, "n_real": real.n, "n_synthetic": synthetic.n}
    if min(real.n, synthetic.n) < LEAST_ROWS:
        few = Unmeasured(
            f"{real.n:,} real and {synthetic.n:,} synthetic rows are too few to look for rare modes",
            mend=f"give at least {LEAST_ROWS} rows of each",
        )
        return (Finding("rare_modes", few, "higher", Status.UNMEASURED, reason=few.reason, params=params),)
    sets = _sets(real, synthetic, MOST_ROWS[terms.effort], rng=rng)
    singles, joint = level_cells(sets), joint_cells(sets)
    looks = _looks(singles, joint, sets, terms)
    levels = _levels(singles, sets, bound, terms.alpha / 4)
    if not looks and not levels.names:
        none = Unmeasured(
            f"no {LEAST_MODES} modes hold at most {MOST_SHARE:.0%} of the rows and {LEAST_RARE} rows together",
            mend="give more real rows, or columns with rare levels",
        )
        return (Finding("rare_modes", none, "higher", Status.UNMEASURED, reason=none.reason, params=params),)
    worst = np.flatnonzero(levels.failing)[np.argsort(levels.synthetic[levels.failing] / levels.real[levels.failing])]
    params |= {"rows": [v.n for v in sets], "levels": len(levels.names)}
    sizes = (sets[NAMED].n + sets[COUNTED].n, sets[SYNTHETIC].n)
    found = [_one(levels, int(i), sizes, bound, terms, params) for i in worst[:MOST_FINDINGS]]
    extinct = _extinct([*singles, *joint], sizes)
    return (_whole(looks, levels, sizes, extinct, bound, terms, params), *found)


def _sets(real: View, synthetic: View, most: int, *, rng: np.random.Generator) -> tuple[View, View, View]:
    """Two halves of the real rows, and the synthetic rows, all in random order and at most so many."""
    order, other = rng.permutation(real.n)[:most], rng.permutation(synthetic.n)[:most]
    half = order.size // 2
    return real.take(order[:half]), real.take(order[half:]), synthetic.take(other)


def _looks(singles: list[Cells], joint: list[Cells], sets: tuple[View, View, View], terms: Terms) -> list[_Look]:
    found: list[_Look] = []
    for name, cells in (("levels and tails", singles), ("joint cells", joint)):
        if sum(int(c.rare.sum()) for c in cells) >= LEAST_MODES:
            k, j = (rare_rows(cells, part) for part in (COUNTED, SYNTHETIC))
            if k >= LEAST_RARE:
                found.append(_mass(name, (k, sets[COUNTED].n), (j, sets[SYNTHETIC].n), terms))
                if name == "joint cells":
                    found.append(_survival(cells, min(sets[COUNTED].n, sets[SYNTHETIC].n), terms))
    return found


def _mass(name: str, real: tuple[int, int], synthetic: tuple[int, int], terms: Terms) -> _Look:
    (k, n), (j, m) = real, synthetic
    low, high = ratio_bounds([j], m, [k], n, alpha=(1 - terms.level) / 2)
    at_most = float(ratio_bounds([j], m, [k], n, alpha=terms.alpha / 4)[1][0])
    value = (j / m) / (k / n)
    return _Look(f"mass of rare {name}", k / n, j / m, value, (float(low[0]), float(high[0])), at_most, k + j)


def _survival(cells: list[Cells], rows: int, terms: Terms) -> _Look:
    here, there = (alive(cells, part, rows) for part in (COUNTED, SYNTHETIC))
    # The variance under "no difference" is the same for both, so the larger bound serves both.
    spread = max(here[1], there[1])
    ends = (there[0], spread), (max(here[0], 1.0), spread)
    near = fieller(*ends, quantile=normal_quantile((1 - terms.level) / 2))
    far = fieller(*ends, quantile=normal_quantile(terms.alpha / 4))
    value = ends[0][0] / ends[1][0]
    return _Look(
        "number of rare joint cells that are left", here[0], there[0], value,
        (min(max(0.0, near[0]), value), max(near[1], value)), far[1], 2 * rows,
    )  # fmt: skip


def _levels(singles: list[Cells], sets: tuple[View, View, View], bound: float, alpha: float) -> _Levels:
    """Levels of at most 1 % of all rows, chosen by the rows of both sets together.

    A level that was chosen because the real rows hold many of it would look thin among fresh rows. The test is one
    given the sum of both counts, so that choosing by the sum is free; that the naming half must have
    seen a level is paid for.
    """
    n, m = sets[NAMED].n + sets[COUNTED].n, sets[SYNTHETIC].n
    names: list[str] = []
    counts: list[tuple[int, int]] = []
    for cells in singles:
        real, synthetic = cells.counts(NAMED) + cells.counts(COUNTED), cells.counts(SYNTHETIC)
        both = real + synthetic
        for i in np.flatnonzero((both >= LEAST_COUNT) & (both <= MOST_SHARE * (n + m)) & (real > 0) & _judged(cells)):
            names.append(cells.title(int(i)))
            counts.append((int(real[i]), int(synthetic[i])))
    k, j = np.array(counts, dtype=np.int64).reshape(-1, 2).T
    seen = _seen(k + j, sets[NAMED].n, n, m, bound)
    least = ratio_below_p(np.zeros_like(j), m, k + j, n, ratio=bound) / seen
    each, failing = tarone_alpha(least, alpha=alpha), np.zeros(k.size, dtype=bool)
    can = np.flatnonzero(least <= each)
    failing[can] = holm(ratio_below_p(j[can], m, k[can], n, ratio=bound) / seen[can], alpha=alpha)
    return _Levels(tuple(names), k, j, failing, each)


def _seen(both: Ints, named: int, n: int, m: int, bound: float) -> Floats:
    """[l] chance that the naming half holds enough of so many rows to know the level, at the tolerable ratio."""
    return np.asarray(bdtrc(LEAST_SEEN - 1, both, named / (n + bound * m)), dtype=np.float64)


def _judged(cells: Cells) -> Bools:
    return np.array([not title.endswith("=(rest)") for title in map(cells.title, range(cells.rare.size))])


def _extinct(cells: Sequence[Cells], sizes: tuple[int, int]) -> list[Json]:
    """Modes of at least 8 real rows without a synthetic one, those most missed first."""
    gone: list[tuple[float, str, int]] = []
    for c in cells:
        real = c.counts(NAMED) + c.counts(COUNTED)
        for i in np.flatnonzero(c.rare & (real >= LEAST_COUNT) & (c.counts(SYNTHETIC) == 0)):
            gone.append((float(real[i]) / sizes[0] * sizes[1], c.title(int(i)), int(real[i])))
    gone.sort(key=lambda g: (-g[0], g[1]))
    return [{"mode": name, "real": k, "expected": round(e, 1)} for e, name, k in gone[:MOST_SHOWN]]


def _whole(
    looks: list[_Look], levels: _Levels, sizes: tuple[int, int], extinct: list[Json], bound: float, terms: Terms,
    params: dict[str, Json],
) -> Finding:  # fmt: skip
    failing = [k for k in looks if k.at_most < bound]
    if looks:
        shown = min(failing or looks, key=lambda k: k.near[1])
        result = Estimate(shown.value, *shown.near, shown.rows, terms.level, f"{shown.name}, one look of {len(looks)}")
        calm = status_of(min(k.near[0] for k in looks), np.inf, bound, better="higher")
    else:
        i = int(np.argmin(levels.synthetic / levels.real))
        result, calm = _estimate(levels, i, sizes, terms.level), Status.UNDECIDED
    # The rarest levels are each too rare to pass by themselves; that none fails is all that can be asked.
    return Finding(
        "rare_modes", result, "higher", Status.FAIL if failing or levels.failing.any() else calm,
        reason=_sentence(looks, failing, levels, extinct, bound), params=params,
        evidence={
            "looks": [{"of": k.name, "real": k.real, "synthetic": k.synthetic, "ratio": k.value, "at_most": k.at_most}
                      for k in looks],
            "extinct": extinct,
            "failing_levels": [levels.names[int(i)] for i in np.flatnonzero(levels.failing)[:MOST_SHOWN]],
        },
    )  # fmt: skip


def _estimate(levels: _Levels, i: int, sizes: tuple[int, int], level: float) -> Estimate:
    k, j = int(levels.real[i]), int(levels.synthetic[i])
    side = min(levels.spend, (1 - level) / 2)
    low, high = ratio_bounds([j], sizes[1], [k], sizes[0], alpha=side)
    value = (j / sizes[1]) / (k / sizes[0])
    looks = len(levels.names)
    return Estimate(value, float(low[0]), float(high[0]), k + j, 1 - 2 * side, f"conditional binomial, {looks} levels")


def _one(
    levels: _Levels, i: int, sizes: tuple[int, int], bound: float, terms: Terms, params: dict[str, Json]
) -> Finding:
    k, j, expected = int(levels.real[i]), int(levels.synthetic[i]), levels.real[i] / sizes[0] * sizes[1]
    return Finding(
        "rare_modes", _estimate(levels, i, sizes, terms.level), "higher", Status.FAIL, slice=levels.names[i],
        reason=(
            f"{levels.names[i]} is rare in the real rows ({k:,} of {sizes[0]:,}) and has {f'{j:,}' if j else 'none'} "
            f"of {sizes[1]:,} synthetic rows, where {expected:,.0f} would match; {bound:g} of its share is tolerated."
        ),
        params=params, evidence={"real": k, "synthetic": j},
    )  # fmt: skip


def _sentence(
    looks: list[_Look], failing: list[_Look], levels: _Levels, extinct: list[Json], bound: float
) -> str:  # fmt: skip
    parts = [f"The {k.name} is {k.value:.2f} times that of fresh real rows." for k in (failing or looks)] or [
        "There are too few rare modes to pool them."
    ]
    bad = [levels.names[int(i)] for i in np.flatnonzero(levels.failing)]
    if bad:
        parts.append(f"Of {len(levels.names)} rare levels, {len(bad)} are thin or gone: {', '.join(bad[:3])}.")
    if extinct:
        parts.append(f"Rare modes without any synthetic row: {len(extinct)} or more." if len(extinct) == MOST_SHOWN
                     else f"Rare modes without any synthetic row: {len(extinct)}.")  # fmt: skip
    return " ".join([*parts, f"Tolerated is {bound:g} and more."])
