"""How events follow from those before them: the gap in each column's dependence on its last value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sterling.kernel.estimate import Estimate, Unmeasured
from sterling.kernel.finding import Finding, Json, Status
from sterling.kernel.protocols import Terms, measure
from sterling.kernel.schema import Kind, Role
from sterling.kernel.view import Column, Need, View
from sterling.stats.bounds import normal_quantile, status_of
from sterling.stats.sequences import MOST_ENTITIES, Sequences, resampled, sequences_of, too_few

if TYPE_CHECKING:
    from sterling.kernel.view import Floats

BOUND = 0.10
LEAST_PAIRS = 50
# Levels told apart, the others in one; columns looked at.
MOST_LEVELS, MOST_COLUMNS = 8, 60
NAMED = 5


@dataclass(frozen=True, slots=True)
class _Gap:
    """One column: how it follows from its last value in both sets."""

    name: str
    real: float
    synthetic: float
    error: float

    @property
    def value(self) -> float:
        return abs(self.real - self.synthetic)


@measure(Need.ENTITIES, Need.COLUMNS, title="Gap in how events follow from those before", better="lower")
def transition_gap(
    real: View, synthetic: View, *, holdout: View | None, rng: np.random.Generator, terms: Terms
) -> tuple[Finding, ...]:
    """How much more or less a column follows from its value one event before than in real sequences.

    Numbers and dates by the correlation of an event's rank with the last one's; categories by how much more often
    than by chance the level stays (Cohen's kappa of an event with the last one).

    Args:
        real: train rows that know whose they are.
        synthetic: the rows to be judged, likewise.
        holdout: not used.
        rng: draws entities.
        terms: `bound` is the largest tolerable difference, default .10.

    Returns:
        The difference of the worst column, 0 (same) to 2; smaller is better. Its interval is by drawing entities
        anew, corrected for having looked at all columns.

    Source: lag-one autocorrelation; Cohen 1960 (kappa); cluster bootstrap, Davison & Hinkley 1997, section 3.8.
    """
    bound = BOUND if terms.bound is None else terms.bound
    params: dict[str, Json] = {"bound": bound, "alpha": terms.alpha}
    few = too_few(real, synthetic, timed=False)
    if few is not None:
        return (Finding("transition_gap", few, "lower", Status.UNMEASURED, reason=few.reason, params=params),)
    sets = [sequences_of(v, most=MOST_ENTITIES[terms.effort], rng=rng) for v in (real, synthetic)]
    names = [c.name for c in real.columns or () if c.role is not Role.TIME][:MOST_COLUMNS]
    gaps = [gap for name in names if (gap := _gap(sets[0], sets[1], name, rng=rng)) is not None]
    if not gaps:
        none = Unmeasured(
            "no column has events enough that follow others, and varies in both sets",
            f"give at least {LEAST_PAIRS} events with one before them on each side",
        )
        return (Finding("transition_gap", none, "lower", Status.UNMEASURED, reason=none.reason, params=params),)
    gaps.sort(key=lambda g: -g.value)
    worst = gaps[0]
    wide, sure = (normal_quantile(a / 2 / len(gaps)) for a in (1 - terms.level, terms.alpha))
    low, high = max(0.0, worst.value - wide * worst.error), min(2.0, worst.value + wide * worst.error)
    at_least = max(g.value - sure * g.error for g in gaps)
    top = max(g.value + wide * g.error for g in gaps)
    pairs = sum(s.followers.size for s in sets)
    found = Finding(
        "transition_gap",
        Estimate(worst.value, low, high, pairs, terms.level, "cluster bootstrap over entities, normal"),
        "lower",
        status_of(at_least, top, bound, better="lower"),
        reason=f"{worst.name} follows from its value one event before by {worst.real:.3f} in real sequences and by "
        f"{worst.synthetic:.3f} in synthetic ones, the widest gap of {len(gaps)} columns",
        params=params,
        evidence={"columns": [_told(g) for g in gaps[:NAMED]]},
    )
    return (found,)


def _told(gap: _Gap) -> dict[str, Json]:
    return {"column": gap.name, "real": gap.real, "synthetic": gap.synthetic, "error": gap.error}


def _gap(real: Sequences, synthetic: Sequences, name: str, *, rng: np.random.Generator) -> _Gap | None:
    """One column's dependence in both sets; None where it cannot be had."""
    own = real.view.column(name)
    sums = [_number_sums(s, own) if own.kind is not Kind.CATEGORY else _level_sums(s, own) for s in (real, synthetic)]
    if min(s[:, 0].sum() for s in sums) < LEAST_PAIRS:
        return None
    tell = _correlation if own.kind is not Kind.CATEGORY else _kappa
    values = [float(tell(s.sum(axis=0, keepdims=True))[0]) for s in sums]
    drawn = [tell(resampled(s, rng=rng)) for s in sums]
    if not np.all(np.isfinite(values)):
        return None
    error = float(np.sqrt(sum(np.nanvar(d) for d in drawn)))
    return _Gap(name, values[0], values[1], error) if np.isfinite(error) else None


def _number_sums(found: Sequences, own: Column) -> Floats:
    """[e, 6] per entity: pairs, and the sums of ranks, squares and products of an event and the last one."""
    ranked = np.sort(own.values[~own.missing])
    values = found.view.column(own.name).values
    score = (np.searchsorted(ranked, values, "left") + np.searchsorted(ranked, values, "right")) / max(
        2 * ranked.size, 1
    )
    at = found.followers
    known = ~np.isnan(values[at]) & ~np.isnan(values[at - 1])
    now, last = score[at][known] - 0.5, score[at - 1][known] - 0.5
    entity = found.entity[at][known]
    parts = (np.ones(now.size), now, last, now * now, last * last, now * last)
    return np.stack([np.bincount(entity, p, minlength=found.count) for p in parts], axis=1).astype(np.float64)


def _correlation(sums: Floats) -> Floats:
    n = np.maximum(sums[:, 0], 1)
    x, y, xx, yy, xy = (sums[:, k] / n for k in range(1, 6))
    spread = (xx - x * x) * (yy - y * y)
    return np.where(spread > 1e-12, (xy - x * y) / np.sqrt(np.maximum(spread, 1e-12)), np.nan)


def _level_sums(found: Sequences, own: Column) -> Floats:
    """[e, 2 + 2k] per entity: pairs, pairs that stay, and how often each level is the event's and the last one's."""
    counts = np.bincount(own.values[own.values >= 0], minlength=len(own.levels or ()))
    common = np.argsort(-counts, kind="stable")[: MOST_LEVELS - 1]
    place = np.full(counts.size + 1, MOST_LEVELS - 1)
    place[common] = np.arange(common.size)
    values = found.view.column(own.name).values
    at = found.followers
    known = (values[at] >= 0) & (values[at - 1] >= 0)
    now, last = values[at][known], values[at - 1][known]
    entity = found.entity[at][known]
    parts = [np.ones(now.size), (now == last).astype(float)]
    for side in (now, last):
        parts += [(place[side] == level).astype(float) for level in range(MOST_LEVELS)]
    return np.stack([np.bincount(entity, p, minlength=found.count) for p in parts], axis=1).astype(np.float64)


def _kappa(sums: Floats) -> Floats:
    n = np.maximum(sums[:, 0], 1)
    same = sums[:, 1] / n
    chance = (sums[:, 2 : 2 + MOST_LEVELS] * sums[:, 2 + MOST_LEVELS :]).sum(axis=1) / n**2
    return np.where(chance < 1 - 1e-9, (same - chance) / np.maximum(1 - chance, 1e-9), np.nan)
