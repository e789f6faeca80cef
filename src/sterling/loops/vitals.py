"""The signs that warn when a generator narrows: every generation is held against real rows, with what chance allows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from sterling.kernel.estimate import Unmeasured
from sterling.kernel.schema import Kind, Role
from sterling.kernel.seeds import stream
from sterling.kernel.view import Column, View
from sterling.loops import wording
from sterling.loops.facts import fact_errors
from sterling.loops.reading import Counted, Examined, Reading, about, worse_p
from sterling.loops.watched import Slice, watched
from sterling.stats.auc import delong, mann_whitney_p
from sterling.stats.boosting import boost, encode, learn_codes, predict
from sterling.stats.bounds import fieller, normal_quantile, tarone_alpha
from sterling.stats.conditional import TREES, dealt, feature_matrix
from sterling.stats.diversity import Richness, rarefied
from sterling.stats.manifold import balls, covered, nearest_of, spread_of_gap
from sterling.stats.neighbours import query_side, rank_scales
from sterling.stats.proportions import ratio_below_p, ratio_bounds

if TYPE_CHECKING:
    from sterling.kernel.view import Bools, Ints
    from sterling.stats.manifold import Points

LEVEL = 0.95
LEAST_ROWS = 30
# Rows a half for neighbours, and a side for the classifier: signs are read in every generation.
MOST_POINTS, MOST_PAIRS = 1_500, 4_000
MOST_COLUMNS = 300
# The rarest slices that make up the "mass of rare slices" hold this share of the real rows at most.
MOST_RARE = 0.1
# Columns of fewer different values have none to lose that rare slices do not show.
LEAST_DISTINCT = 20


def examine(real: View, made: View, *, declared: Sequence[str] = (), least: int = 8, seed: int = 0) -> Examined:
    """Read every sign of one generation.

    The halves of the real rows are the same for every generation of a run, so that generations can be compared.

    Args:
        real: the rows that the first generation was fitted on.
        made: one generation's rows, in the same encoding.
        declared: columns of which each value is protected.
        least: slices with fewer real rows cannot be judged.
        seed: same seed, same readings.

    Raises:
        UnknownName: for a declared column that is not there.
    """
    slices = watched([real, made], declared, least=least)
    signs: dict[str, Callable[[np.random.Generator], Reading | Unmeasured]] = {
        "rare_slices": lambda _: _rare(slices, real.n, made.n),
        "uncovered": lambda rng: _uncovered(real, made, rng=rng),
        "distinct_values": lambda _: _distinct_values(real, made),
        "distinct_rows": lambda _: _distinct_rows(real, made),
        "hapax_kept": lambda rng: wording.words_kept("hapax_kept", real, made, rng=rng),
        "distinct_words": lambda rng: wording.words_kept("distinct_words", real, made, rng=rng),
        "repetition": lambda _: wording.repetition(real, made),
        "genericness": lambda rng: wording.genericness(real, made, rng=rng),
        "fact_errors": lambda rng: fact_errors(real, made, rng=rng),
        "told_apart": lambda rng: _told_apart(real, made, rng=rng),
        "variance": lambda _: _variance(real, made),
        "entropy": lambda _: _entropy(real, made),
    }
    few = Unmeasured(
        f"{real.n:,} real and {made.n:,} made rows are too few", mend=f"give at least {LEAST_ROWS} rows of each"
    )
    enough = min(real.n, made.n) >= LEAST_ROWS
    read = {name: sign(stream(seed, "vitals", name)) if enough else few for name, sign in signs.items()}
    return Examined(
        n=real.n,
        m=made.n,
        readings=tuple(r for r in read.values() if isinstance(r, Reading)),
        slices=tuple(Counted(s.name, s.why, s.counts[0], s.counts[1]) for s in slices),
        silent={name: r.reason for name, r in read.items() if isinstance(r, Unmeasured)},
    )


def _rare(slices: Sequence[Slice], n: int, m: int) -> Reading | Unmeasured:
    """Mass of all watched slices that are rare, and the exact test of each of them."""
    if not slices:
        return Unmeasured("no slice has enough real rows", mend="declare one with --slice, or give more rows")
    k = np.array([s.counts[0] for s in slices], dtype=np.int64)
    j = np.array([s.counts[1] for s in slices], dtype=np.int64)
    p_values, least = (ratio_below_p(hits, m, k, n, ratio=1.0) for hits in (j, np.zeros_like(j)))
    worst = int(np.argmin(p_values))
    there, here = (int(rows.sum()) for rows in _rarest(slices, n))
    low, high = ratio_bounds([here], m, [there], n, alpha=(1 - LEVEL) / 2)
    pooled = here / m / (there / n)
    mass_p = float(ratio_below_p([here], m, [there], n, ratio=1.0)[0])
    return Reading(
        "rare_slices", pooled, float(low[0]), max(pooled, min(float(high[0]), 10.0)), 1.0,
        p=min(1.0, 2 * mass_p, 2 * float(p_values[worst]) * _looks(least)), n=m, worst=slices[worst].name, kept=pooled,
    )  # fmt: skip


def _rarest(slices: Sequence[Slice], n: int) -> tuple[Bools, Bools]:
    """Which real and which made rows lie in any of the rarest slices.

    Slices join from the rarest on until a tenth of the real rows are in: all of them together cover half a table, and
    would show what the table as a whole does, nothing.
    """
    ordered = sorted(slices, key=lambda s: (s.counts[0], s.name))
    inside = (ordered[0].mask(0), ordered[0].mask(1))
    for one in ordered[1:]:
        wider = inside[0] | one.mask(0)
        if wider.sum() > MOST_RARE * n:
            break
        inside = (wider, inside[1] | one.mask(1))
    return inside


def _looks(least: np.ndarray[tuple[int], np.dtype[np.float64]]) -> float:
    """What the slices must pay for all together: those that could never alarm cost nothing (at 1 in 1,000)."""
    return 0.001 / tarone_alpha(least, alpha=0.001)


def _uncovered(real: View, made: View, *, rng: np.random.Generator) -> Reading | Unmeasured:
    """Share of real rows that no made row comes near, beside as many other real rows."""
    order = rng.permutation(real.n)
    size = min(real.n // 2, made.n, MOST_POINTS)
    if size < LEAST_ROWS:
        return Unmeasured(f"{real.n:,} real rows cannot be halved", mend=f"give at least {2 * LEAST_ROWS}")
    parts = [real.take(order[:size]), real.take(order[size : 2 * size]), made.take(rng.permutation(made.n)[:size])]
    inside, other, those = _points(parts)
    around = balls(inside)
    seen, fresh = (float(np.mean(covered(around, nearest_of(around, p)))) for p in (those, other))
    error = spread_of_gap(around, other, those, gap=fresh - seen, rng=rng)
    low, high = about(1 - seen, error, level=LEVEL, low=0.0, high=1.0)
    return Reading(
        "uncovered", 1 - seen, low, high, 1 - fresh, worse_p(fresh - seen, error), size,
        kept=seen / fresh if fresh > 0 else None,
    )  # fmt: skip


def _points(parts: Sequence[View]) -> list[Points]:
    first = parts[0]
    if first.embedding is not None:
        return [p.embedding for p in parts if p.embedding is not None]
    names = [c.name for c in first.columns or () if c.role is not Role.WEIGHT][:MOST_COLUMNS]
    scales = rank_scales([first.column(name) for name in names])
    return [query_side([p.column(name) for name in names], scales) for p in parts]


def _distinct_values(real: View, made: View) -> Reading | Unmeasured:
    """Different values of the column that has lost most, at equal numbers of known cells."""
    found: list[tuple[str, Richness, Richness]] = []
    for column in real.columns or ():
        pair = None if column.role is Role.WEIGHT else _rarefied(*(_tally(v.column(column.name)) for v in (real, made)))
        if pair is not None and pair[0].distinct >= LEAST_DISTINCT:
            found.append((column.name, *pair))
    if not found:
        return Unmeasured(f"no column has {LEAST_DISTINCT} different values", mend="nothing to mend: slices show it")
    p_values = [_fewer_p(here, there) for _, here, there in found]
    name, here, there = min(found, key=lambda f: f[2].distinct / f[1].distinct)
    return _ratio("distinct_values", here, there, p=min(1.0, min(p_values) * len(found)), worst=name)


def _distinct_rows(real: View, made: View) -> Reading | Unmeasured:
    """Different rows, at equal numbers of rows."""
    if real.hashes is None or made.hashes is None:
        return Unmeasured("records have no hashes", mend="nothing to mend: this modality offers none")
    pair = _rarefied(*(np.unique(h, return_counts=True)[1].astype(np.int64) for h in (real.hashes, made.hashes)))
    if pair is None or pair[0].distinct < LEAST_DISTINCT:
        return Unmeasured(f"there are fewer than {LEAST_DISTINCT} different rows", mend="nothing to mend")
    return _ratio("distinct_rows", *pair, p=_fewer_p(*pair), worst="")


def _tally(column: Column) -> Ints:
    return np.unique(column.values[~column.missing], return_counts=True)[1].astype(np.int64)


def _rarefied(real: Ints, made: Ints) -> tuple[Richness, Richness] | None:
    size = int(min(real.sum(), made.sum()))
    return None if size < LEAST_ROWS else (rarefied(real, size), rarefied(made, size))


def _errors(real: Richness, made: Richness) -> tuple[float, float]:
    """Variances of both numbers: where one set has no rare value by luck, the other says how rare they are."""
    larger = max(real.variance, made.variance)
    return min(larger, real.distinct), min(larger, made.distinct)


def _fewer_p(real: Richness, made: Richness) -> float:
    return worse_p(real.distinct - made.distinct, float(np.sqrt(sum(_errors(real, made)))))


def _ratio(vital: str, real: Richness, made: Richness, *, p: float, worst: str) -> Reading:
    here, there = _errors(real, made)
    quantile = normal_quantile((1 - LEVEL) / 2)
    low, high = fieller((made.distinct, there), (real.distinct, here), quantile=quantile)
    value = made.distinct / real.distinct
    ends = min(max(0.0, low), value), max(min(high, 10.0), value)
    return Reading(vital, value, *ends, 1.0, p, made.size, worst, value)


def _told_apart(real: View, made: View, *, rng: np.random.Generator) -> Reading | Unmeasured:
    """AUC of trees, trained on one half and scored on the other, that are asked which rows are made."""
    if min(real.n, made.n) < 2 * LEAST_ROWS:
        return Unmeasured("too few rows to train a classifier on", mend=f"give at least {2 * LEAST_ROWS} of each")
    sides = [v if v.n <= MOST_PAIRS else v.take(np.sort(rng.permutation(v.n)[:MOST_PAIRS])) for v in (real, made)]
    (x, categorical), (z, _) = (feature_matrix(v, v.columns or ()) for v in sides)
    both, y = np.concatenate([x, z]), np.repeat([0, 1], [v.n for v in sides])
    coded = encode(learn_codes(both, categorical), both)
    held = dealt(y, y.size, 2, rng=rng) == 1
    model = boost(coded.take(~held), y[~held], classes=2, boosting=TREES)
    score, truth = predict(model, coded.take(held))[:, 1], y[held]
    area = delong(score[truth == 1], score[truth == 0])
    low, high = area.bounds(alpha=(1 - LEVEL) / 2)
    p = mann_whitney_p(score[truth == 1], score[truth == 0])
    return Reading("told_apart", area.value, low, high, 0.5, p, int(truth.size))


def _variance(real: View, made: View) -> Reading | Unmeasured:
    """Geometric mean of the variances of numbers over the real ones: it confirms, it does not warn."""
    ratios: list[float] = []
    for column in real.columns or ():
        if column.kind is not Kind.CATEGORY:
            sides = [v.column(column.name) for v in (real, made)]
            here, there = (c.values[~c.missing] for c in sides)
            if here.size > 1 and there.size > 1 and np.ptp(here) > 0:
                scale = float(np.ptp(here))
                ratios.append(float((there / scale).var() / (here / scale).var()))
    if not ratios:
        return Unmeasured("no column of numbers varies", mend="nothing to mend")
    value = float(np.exp(np.mean(np.log(np.maximum(ratios, 1e-12)))))
    return Reading("variance", value, value, value, 1.0, None, made.n, kept=value)


def _entropy(real: View, made: View) -> Reading | Unmeasured:
    """Entropy of all categories together over the real one: it confirms, it does not warn."""
    totals = [0.0, 0.0]
    for column in real.columns or ():
        if column.kind is Kind.CATEGORY:
            for side, view in enumerate((real, made)):
                share = _tally(view.column(column.name))
                share = share / max(1, share.sum())
                totals[side] -= float(share @ np.log(share)) if share.size else 0.0
    if totals[0] <= 0:
        return Unmeasured("no column of categories varies", mend="nothing to mend")
    value = totals[1] / totals[0]
    return Reading("entropy", value, value, value, 1.0, None, made.n, kept=value)
