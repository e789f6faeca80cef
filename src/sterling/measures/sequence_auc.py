"""How well a classifier tells synthetic entities from real ones by their whole sequences."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sterling.kernel.estimate import Estimate
from sterling.kernel.finding import Finding, Json, Status
from sterling.kernel.protocols import Terms, measure
from sterling.kernel.schema import Kind, Role
from sterling.kernel.view import Column, Need, View
from sterling.stats.auc import Area, delong
from sterling.stats.boosting import boost, encode, learn_codes, predict
from sterling.stats.bounds import status_of
from sterling.stats.conditional import LARGEST, TREES, dealt
from sterling.stats.sequences import MOST_ENTITIES, Sequences, sequences_of, too_few

if TYPE_CHECKING:
    from sterling.kernel.view import Floats, Ints

BOUND = 0.65
FOLDS = 5
# Each fold's area shares its training entities with the others': Nadeau & Bengio's factor over plain averaging.
WIDEN = float(np.sqrt((1 / FOLDS + 1 / (FOLDS - 1)) * FOLDS))
MOST_COLUMNS, MOST_LEVELS = 60, 12
NAMED = 5


@measure(Need.ENTITIES, Need.COLUMNS, title="How well a classifier tells synthetic entities from real", better="lower")
def sequence_auc(
    real: View, synthetic: View, *, holdout: View | None, rng: np.random.Generator, terms: Terms
) -> tuple[Finding, ...]:
    """AUC of boosted trees that are asked which entities are synthetic.

    An entity is told by how many events it has, when it begins, how long it lasts, its usual and its uneven gaps, and
    for each column by mean, spread, first, last and how it goes on from event to event; for categories by the most
    frequent level, how many levels, how often they change, the first and the last.

    Args:
        real: train rows that know whose they are.
        synthetic: the rows to be judged, likewise.
        holdout: not used.
        rng: draws folds and entities.
        terms: `bound` is the largest tolerable AUC, default .65.

    Returns:
        AUC over entities, .5 (cannot tell) to 1 (always tells); smaller is better. Mean of five folds, each scored
        on entities that its model did not see; DeLong's interval, widened for the folds.

    Source: Lopez-Paz & Oquab 2017, arXiv:1610.06545; DeLong et al. 1988; Nadeau & Bengio 2003.
    """
    bound = BOUND if terms.bound is None else terms.bound
    params: dict[str, Json] = {"bound": bound, "alpha": terms.alpha, "folds": FOLDS}
    why = too_few(real, synthetic, timed=False)
    if why is not None:
        return (Finding("sequence_auc", why, "lower", Status.UNMEASURED, reason=why.reason, params=params),)
    sets = [sequences_of(v, most=MOST_ENTITIES[terms.effort], rng=rng) for v in (real, synthetic)]
    told = [_summaries(s, real.columns or ()) for s in sets]
    names, categorical = told[0][0], told[0][1]
    sizes = [s.count for s in sets]
    x = np.clip(np.concatenate([t[2] for t in told]), -LARGEST, LARGEST)
    y = np.repeat([0, 1], sizes)
    area = _cross_fitted(x, categorical, y, rng=rng)
    low, high = area.bounds(alpha=(1 - terms.level) / 2, widen=WIDEN)
    at_least = area.bounds(alpha=terms.alpha, widen=WIDEN)[0]
    alone = _alone(x, y, names)
    by = ", ".join(f"{name} ({value:.2f} alone)" for name, value in alone[:NAMED])
    found = Finding(
        "sequence_auc",
        Estimate(area.value, low, high, sum(sizes), terms.level, "DeLong over entities, widened for folds"),
        "lower",
        status_of(at_least, high, bound, better="lower"),
        reason=f"trees tell synthetic entities from real ones with an AUC of {area.value:.3f} (.5 is chance); "
        f"by themselves these tell most: {by}",
        params=params,
        evidence={"alone": [{"summary": n, "auc": v} for n, v in alone[:NAMED]], "entities": [*sizes]},
    )
    return (found,)


def _cross_fitted(x: Floats, categorical: Ints, y: Ints, *, rng: np.random.Generator) -> Area:
    coded = encode(learn_codes(x, categorical.astype(bool)), x)
    fold = dealt(y, y.size, FOLDS, rng=rng)
    areas: list[Area] = []
    for part in range(FOLDS):
        held = fold == part
        score = predict(boost(coded.take(~held), y[~held], classes=2, boosting=TREES), coded.take(held))[:, 1]
        areas.append(delong(score[y[held] == 1], score[y[held] == 0]))
    return Area(
        float(np.mean([a.value for a in areas])),
        float(np.mean([a.variance for a in areas])) / FOLDS,
        sum(a.positives for a in areas),
        sum(a.negatives for a in areas),
    )


def _alone(x: Floats, y: Ints, names: list[str]) -> list[tuple[str, float]]:
    """Each summary's AUC by itself, whichever way it points, the largest first; missing ranks last."""
    found: list[tuple[str, float]] = []
    for name, column in zip(names, x.T, strict=True):
        score = np.where(np.isnan(column), -LARGEST, column)
        value = delong(score[y == 1], score[y == 0]).value
        found.append((name, max(value, 1 - value)))
    return sorted(found, key=lambda pair: -pair[1])


def _summaries(found: Sequences, columns: tuple[Column, ...]) -> tuple[list[str], Ints, Floats]:
    """Names, which are categorical, and [e, d] what tells an entity."""
    parts: list[tuple[str, bool, Floats]] = [("events", False, found.lengths.astype(np.float64))]
    if found.view.with_role(Role.TIME):
        times = found.times
        first, last = found.starts[:-1], found.starts[1:] - 1
        at = found.followers
        gaps = np.full(found.view.n, np.nan)
        gaps[at] = times[at] - times[at - 1]
        mean, spread = _moments(gaps, found)
        parts += [("begin", False, times[first]), ("span", False, times[last] - times[first])]
        parts += [("mean gap", False, mean), ("spread of gaps", False, spread)]
    for column in [c for c in columns if c.role is not Role.TIME][:MOST_COLUMNS]:
        own = found.view.column(column.name)
        parts += _levels(own, column, found) if column.kind is Kind.CATEGORY else _numbers(own, found)
    return [p[0] for p in parts], np.array([p[1] for p in parts]), np.stack([p[2] for p in parts], axis=1)


def _numbers(own: Column, found: Sequences) -> list[tuple[str, bool, Floats]]:
    values = np.where(np.isnan(own.values), np.nan, np.clip(own.values, -1e60, 1e60))
    at = found.followers
    mean, spread = _moments(values, found)
    around = values - np.repeat(mean, found.lengths)
    product, steps = np.full(values.size, np.nan), np.full(values.size, np.nan)
    product[at], steps[at] = around[at] * around[at - 1], np.abs(values[at] - values[at - 1])
    with np.errstate(invalid="ignore", divide="ignore"):
        follows = np.where(spread > 0, _moments(product, found)[0] / spread**2, np.nan)
    told = {
        "mean": mean, "spread": spread, "first": values[found.starts[:-1]], "last": values[found.starts[1:] - 1],
        "lag correlation": follows, "mean step": _moments(steps, found)[0],
        "missing": _moments(np.isnan(values).astype(float), found)[0],
    }  # fmt: skip
    return [(f"{own.name}: {name}", False, part) for name, part in told.items()]


def _levels(own: Column, column: Column, found: Sequences) -> list[tuple[str, bool, Floats]]:
    count = len(column.levels or ())
    totals = np.bincount(own.values[own.values >= 0], minlength=count)
    common = np.sort(np.argsort(-totals, kind="stable")[: MOST_LEVELS - 1]) if count > MOST_LEVELS else np.arange(count)
    place = np.full(count + 1, min(count, MOST_LEVELS - 1))
    place[common] = np.arange(common.size)
    codes = np.where(own.values < 0, MOST_LEVELS, place[own.values])
    table = np.bincount(found.entity * (MOST_LEVELS + 1) + codes, minlength=found.count * (MOST_LEVELS + 1))
    table = table.reshape(found.count, MOST_LEVELS + 1)
    at = found.followers
    changed = np.full(codes.size, np.nan)
    changed[at] = own.values[at] != own.values[at - 1]
    told = {
        "most frequent": (True, table.argmax(axis=1)), "levels": (False, (table > 0).sum(axis=1)),
        "first": (True, codes[found.starts[:-1]]), "last": (True, codes[found.starts[1:] - 1]),
        "changes": (False, _moments(changed, found)[0]),
    }  # fmt: skip
    return [(f"{own.name}: {name}", nominal, part.astype(np.float64)) for name, (nominal, part) in told.items()]


def _moments(values: Floats, found: Sequences) -> tuple[Floats, Floats]:
    """[e] mean and standard deviation of each entity's known values; NaN where there are none (less than two)."""
    known = ~np.isnan(values)
    counts = np.bincount(found.entity, known, minlength=found.count)
    filled = np.where(known, values, 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.bincount(found.entity, filled, minlength=found.count) / counts
        around = np.where(known, values - np.repeat(mean, found.lengths), 0.0)
        spread = np.sqrt(np.bincount(found.entity, around**2, minlength=found.count) / (counts - 1))
    return np.where(counts > 0, mean, np.nan), np.where(counts > 1, spread, np.nan)
