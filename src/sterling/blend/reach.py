"""The map of what a synthetic set does not reach: real records near which real rows lie and synthetic ones do not.

Equally many real and synthetic rows are laid out around held-out real records. A record is out of reach where all five
of its nearest rows are real. Were the synthetic rows more real ones, that would happen to about one record in 32, and
which rows are called real would be arbitrary: reshuffling the names shows what chance can do, whatever the columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from sterling.blend.training import labelled
from sterling.kernel.estimate import Estimate, Unmeasured
from sterling.kernel.protocols import Effort, Learner, OnEvent, PredictingLearner
from sterling.kernel.schema import Kind, Role
from sterling.kernel.seeds import stream
from sterling.kernel.view import Column, View, stack
from sterling.stats.bounds import normal_quantile
from sterling.stats.neighbours import TIE, nearest_k, query_side, rank_scales, reference_side
from sterling.stats.proportions import clustered_share, exact_bounds
from sterling.stats.subgroups import Subgroup, Terms, best_subgroup, terms_of

if TYPE_CHECKING:
    from sterling.kernel.view import Bools, Floats, Ints

Advice = Literal["sample more", "raise its weight", "collect, don't simulate"]

NEAREST = 5
# Among rows around a record, so many are real where synthetic rows are as dense.
EVEN = 0.5
# Rows looked at around a record: five, and those at the same distance as the fifth.
AROUND = 10
LEAST_RECORDS, LEAST_ROWS = 40, 40
# A group has at least so many held-out records, and at least this share of them.
LEAST_GROUP, LEAST_SHARE = 8, 0.004
MOST_RECORDS: dict[Effort, int] = {"full": 6_000, "fast": 2_000}
MOST_ROWS: dict[Effort, int] = {"full": 30_000, "fast": 8_000}
# At least; a smaller alpha takes more, or its p could not be reached.
SHUFFLES: dict[Effort, int] = {"full": 199, "fast": 99}
MOST_GROUPS = 10
EXAMPLES = 3
# With more rows a group counts as reached if at most this share of it is out of reach: where synthetic rows are half
# as dense as real ones it is (1 / 1.5)^5 = .13.
REACHED = 0.15
CLUSTERS = 24
# Laid out as densely as real ones, a group's own rows lie right if real ones are not clearly more than half of those
# around its records: by two standard errors of a share of so many rows, and by this at least.
OFF = 0.05
# Fewer rows of a group do not show where they lie.
LEAST_IN_PLACE = 60


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """Real records that a synthetic set does not reach.

    Args:
        records: which they are, such as "age=60-80&workclass=Self-emp".
        share: how many of them are out of reach.
        p: chance that reshuffled names show any group that stands out so much; corrected for all groups.
        of_real: share of the real records that belong to it.
        held: real rows of it that are held, those laid out and those asked together.
        made: synthetic rows of it.
        density: how dense synthetic rows lie around its records; 1 = as dense as real ones.
        further: how many times as far the nearest synthetic row is as the nearest real one, on average.
        advice: what to do.
        because: why, in words.
        examples: positions of held-out records, the furthest first.
        with_more: share out of reach when more synthetic rows are laid out; None where there are no more.
    """

    records: Subgroup
    share: Estimate
    p: float
    of_real: float
    held: int
    made: int
    density: float
    further: float
    advice: Advice
    because: str
    examples: tuple[int, ...]
    with_more: float | None

    @property
    def title(self) -> str:
        """Such as "age=60-80&workclass=Self-emp"."""
        return self.records.title


@dataclass(frozen=True, slots=True, eq=False)
class Reach:
    """What a synthetic set reaches.

    Args:
        whole: share of all real records that are out of reach.
        floor: the same when other real rows stand in for the synthetic ones.
        p: chance that real rows in their place would leave as many out of reach.
        groups: those that stand out, most records out of reach first.
        rows: real, and synthetic, rows that were laid out.
        records: held-out records that were asked.
    """

    whole: Estimate
    floor: Estimate
    p: float
    groups: tuple[Group, ...]
    rows: int
    records: int


@dataclass(frozen=True, slots=True, eq=False)
class _Ground:
    """Everything laid out: views whose columns say where records belong, rows around each record, and names.

    Args:
        real, made, more: rows laid out; `more` is None where there are no more synthetic ones.
        asked: held-out records.
        ids: [q, k] rows around each record, nearest first, positions among real then synthetic rows; -1 where none.
        counts: [q, k] which of them decide: the five nearest and those as near as the fifth.
        out: [q] which records are out of reach.
        lack: [q] share of real rows among those around each record: .5 where both are as dense.
        places: [q] where they stand among the held-out records.
    """

    real: View
    made: View
    more: View | None
    asked: View
    ids: Ints
    counts: Bools
    out: Bools
    lack: Floats
    places: Ints


def reach(
    real: View,
    held_out: View,
    made: View,
    *,
    more: View | None = None,
    seed: int,
    effort: Effort,
    alpha: float,
    level: float = 0.95,
    on_event: OnEvent,
) -> Reach | Unmeasured:
    """Map what of the real data a synthetic set does not reach.

    Args:
        real: real rows that say how near real rows come.
        held_out: other real rows, that no generator saw: the records that are asked.
        made: synthetic rows in the same encoding.
        more: further synthetic rows of the same generator, many times as many; None where there are none.
        seed: same seed, same answer.
        effort: "fast" asks fewer records.
        alpha: chance that any group is named where the synthetic rows are as good as real ones.
        level: of the intervals.
        on_event: hears progress.

    Returns:
        The map, or why there is none.

    Source: rows of two samples in the order of their distance, Henze 1988 and Schilling 1986; largest statistic under
        reshuffling, Westfall & Young 1993.
    """
    if min(real.n, made.n) < LEAST_ROWS or held_out.n < LEAST_RECORDS:
        return Unmeasured(
            f"{real.n:,} real, {held_out.n:,} held-out and {made.n:,} synthetic rows are too few for a map",
            f"give at least {LEAST_ROWS} real, {LEAST_RECORDS} held-out and {LEAST_ROWS} synthetic rows",
        )
    if not _comparable(real) and real.embedding is None:
        return Unmeasured("the records have no columns by which they could be compared", "share some columns")
    rng = stream(seed, "reach", "rows")
    views = _described(real, held_out, made, more, rng=rng)
    ground = _lay_out(*views, effort=effort, rng=rng)
    on_event("searched", {"records": ground.asked.n, "rows": ground.real.n})
    shuffled = _shuffle(ground, effort=effort, alpha=alpha, rng=stream(seed, "reach", "shuffle"))
    on_event("shuffled", {"times": shuffled.shares.size})
    whole = _share(ground.out, ground.ids[:, 0], level=level)
    named = _search(ground, shuffled, alpha=alpha)
    groups = [_group(g, p, ground, views[:3], level=level, rng=rng) for g, p in named]
    groups.sort(key=lambda g: -g.share.value * g.of_real)
    p = float((1 + (shuffled.shares >= whole.value).sum()) / (1 + shuffled.shares.size))
    return Reach(whole, shuffled.floor(level, ground.asked.n), p, tuple(groups), ground.real.n, ground.asked.n)


@dataclass(frozen=True, slots=True, eq=False)
class _Shuffled:
    """Under reshuffled names: [b] shares out of reach, and [b] scores of the group that stands out most."""

    shares: Floats
    scores: Floats
    terms: Terms

    @property
    def expected(self) -> float:
        return float(self.shares.mean())

    def floor(self, level: float, n: int) -> Estimate:
        low, high = np.quantile(self.shares, [(1 - level) / 2, (1 + level) / 2])
        mean = self.expected
        return Estimate(mean, min(float(low), mean), max(float(high), mean), n, level, "reshuffled names")


def _comparable(view: View) -> tuple[Column, ...]:
    return tuple(c for c in view.columns or () if c.role not in (Role.WEIGHT, Role.ENTITY))


def _described(
    real: View, held_out: View, made: View, more: View | None, *, rng: np.random.Generator
) -> tuple[View, View, View, View | None]:
    """The views; where they have no columns, with one that names the nearest of some centres of the real rows."""
    if _comparable(real):
        return real, held_out, made, more
    points = [v.embedding for v in (real, held_out, made, *([] if more is None else [more])) if v.embedding is not None]
    centres = _centres(points[0], rng=rng)
    names = tuple(str(j + 1) for j in range(centres.shape[0]))
    columns = [Column("cluster", Kind.CATEGORY, Role.FEATURE, _nearest_centre(p, centres), names) for p in points]
    views = [replace(v, columns=(c,)) for v, c in zip((real, held_out, made, more), columns, strict=False) if v]
    return views[0], views[1], views[2], views[3] if more is not None else None


def _centres(points: Floats, *, rng: np.random.Generator) -> Floats:
    """Centres of k-means (Lloyd 1982) from random rows, on at most 20,000 of them."""
    some = points[rng.permutation(points.shape[0])[:20_000]]
    centres = some[: max(2, min(CLUSTERS, some.shape[0] // 40))].copy()
    for _ in range(20):
        nearest = _nearest_centre(some, centres)
        for j in np.unique(nearest):
            centres[j] = some[nearest == j].mean(axis=0)
    return centres


def _nearest_centre(points: Floats, centres: Floats) -> Ints:
    apart = np.square(centres).sum(axis=1) - 2 * points @ centres.T
    return apart.argmin(axis=1).astype(np.int64)


def _lay_out(
    real: View, held_out: View, made: View, more: View | None, *, effort: Effort, rng: np.random.Generator
) -> _Ground:
    n = min(real.n, made.n, MOST_ROWS[effort])
    laid, rows = real.take(rng.permutation(real.n)[:n]), rng.permutation(made.n)
    beside = made.take(rows[:n])
    places = np.sort(rng.permutation(held_out.n)[: MOST_RECORDS[effort]])
    asked = held_out.take(places)
    # Without a generator of ours, the rest of a large set shows what more rows would do.
    rest = more if more is not None else made.take(rows) if made.n >= 2 * n else None
    near, ids = _around(asked, stack([laid, beside]), min(AROUND, 2 * n), rng=rng)
    counts = (near <= near[:, [NEAREST - 1]] + TIE) & (ids >= 0)
    out = _all_real(ids < n, counts)
    who = np.flatnonzero(out)
    if who.size:  # many rows at one place: a synthetic one as near as the fifth is near enough
        nearest = _around(asked.take(who), beside, 1, rng=rng)[0][:, 0]
        out[who] = nearest > near[who, NEAREST - 1] + TIE
    return _Ground(laid, beside, rest, asked, ids, counts, out, _lack(ids < n, ids), places)


def _all_real(is_real: Bools, counts: Bools) -> Bools:
    return np.all(is_real | ~counts, axis=1)


def _lack(is_real: Bools, ids: Ints) -> Floats:
    """[q] the share of real rows among those around each record."""
    return (is_real & (ids >= 0)).sum(axis=1) / np.maximum(1, (ids >= 0).sum(axis=1))


def _around(asked: View, rows: View, k: int, *, rng: np.random.Generator) -> tuple[Floats, Ints]:
    """[q, k] squared distances and positions of the nearest rows; ties in random order."""
    order = rng.permutation(rows.n)
    there = rows.take(order)
    if asked.embedding is not None and there.embedding is not None:
        from sklearn.neighbors import NearestNeighbors

        near, who = NearestNeighbors(n_neighbors=min(k, rows.n)).fit(there.embedding).kneighbors(asked.embedding)
        return np.square(near), order[who]
    columns, others = _comparable(asked), _comparable(there)
    scales = rank_scales(others)
    near, who = nearest_k(query_side(columns, scales), reference_side(others, scales), min(k, rows.n))
    return near, np.where(who < 0, -1, order[who])


def shuffles(alpha: float, effort: Effort) -> int:
    """How often names are reshuffled at most: the smallest p, 1 / (1 + shuffles), is alpha / 2 or less.

    >>> shuffles(0.05, "fast"), shuffles(0.05 / 6, "fast")
    (99, 239)
    """
    return max(SHUFFLES[effort], int(np.ceil(2 / alpha)) - 1)


def _shuffle(ground: _Ground, *, effort: Effort, alpha: float, rng: np.random.Generator) -> _Shuffled:
    """Call other rows real, again and again: how many records are out of reach then, and how far a group stands out.

    Past the usual number it ends as soon as chance has shown as much so often that neither p can fall to alpha any
    more: nothing would be said otherwise (Besag & Clifford 1991, Biometrika 78:301).
    """
    n, q, most = ground.real.n, ground.asked.n, shuffles(alpha, effort)
    terms = terms_of(_comparable(ground.asked), least=max(LEAST_GROUP, int(np.ceil(LEAST_SHARE * q))))

    def tried(is_real: Bools) -> tuple[float, float]:
        best = best_subgroup(terms, _lack(is_real, ground.ids), expected=EVEN)
        return float(_all_real(is_real, ground.counts).mean()), -np.inf if best is None else best.score

    first = best_subgroup(terms, ground.lack, expected=EVEN)
    seen = np.array([ground.out.mean(), -np.inf if first is None else first.score])
    found = np.empty((most, 2))
    beaten = np.zeros(2)
    done = 0
    while done < most and (done < SHUFFLES[effort] or np.any(1 + beaten <= alpha * (1 + most))):
        named = np.zeros(2 * n, dtype=bool)
        named[rng.permutation(2 * n)[:n]] = True
        found[done] = tried(named[ground.ids])
        beaten += found[done] >= seen
        done += 1
    return _Shuffled(found[:done, 0], found[:done, 1], terms)


def _search(ground: _Ground, shuffled: _Shuffled, *, alpha: float) -> list[tuple[Subgroup, float]]:
    """Groups that stand out further than chance lets any, one after another among the records not yet named."""
    among, found = np.ones(ground.asked.n, dtype=bool), list[tuple[Subgroup, float]]()
    while len(found) < MOST_GROUPS:
        best = best_subgroup(shuffled.terms, ground.lack, among=among, expected=EVEN)
        if best is None:
            break
        p = float((1 + (shuffled.scores >= best.score).sum()) / (1 + shuffled.scores.size))
        if p > alpha:
            break
        found.append((best, p))
        among &= ~best.members(_comparable(ground.asked))
    return found


def _share(out: Bools, nearest: Ints, *, level: float) -> Estimate:
    """A share of records out of reach; records with the same nearest row depend on each other."""
    found = clustered_share(out.astype(np.float64), nearest, level=level)
    low, high = (float(b) for b in exact_bounds(int(out.sum()), out.size, alpha=(1 - level) / 2))
    if isinstance(found, Unmeasured) or found.low == found.high:
        return Estimate(float(out.mean()), low, high, out.size, level, "Clopper-Pearson")
    # Near 0 and 1 a t interval is too short; the exact one of independent records is not.
    return replace(found, low=min(found.low, low), high=max(found.high, high))


def _group(
    group: Subgroup, p: float, ground: _Ground, views: Sequence[View], *, level: float, rng: np.random.Generator
) -> Group:
    """Everything about one group."""
    mine = group.members(_comparable(ground.asked))
    rows = np.flatnonzero(mine)
    inside = ground.asked.take(rows)
    share = _share(ground.out[rows], ground.ids[rows, 0], level=level)
    to_made, to_real = (np.sqrt(_around(inside, v, 1, rng=rng)[0][:, 0]) for v in (ground.made, ground.real))
    held, heldout_rows, made = (int(group.members(_comparable(v)).sum()) for v in views)
    advice, because, with_more = _advised(group, ground, inside, rng=rng)
    furthest = ground.places[rows[np.argsort(-to_made, kind="stable")]]
    mean = float(to_real.mean())
    return Group(
        records=group,
        share=share,
        p=p,
        of_real=float(mine.mean()),
        held=held + heldout_rows,
        made=made,
        density=float((1 - ground.lack[rows]).mean() / max(1e-9, float(ground.lack[rows].mean()))),
        further=float(to_made.mean()) / mean if mean > 0 else np.inf,
        advice=advice,
        because=because,
        examples=tuple(int(i) for i in furthest[:EXAMPLES]),
        with_more=with_more,
    )


def _advised(
    group: Subgroup, ground: _Ground, inside: View, *, rng: np.random.Generator
) -> tuple[Advice, str, float | None]:
    """Whether more rows reach the group, or its own rows lie right and are too few, or neither."""
    with_more: float | None = None
    if ground.more is not None:
        times = ground.more.n / ground.real.n
        with_more = _out_share(inside, ground.real, ground.more, rng=rng)
        if with_more <= REACHED:
            return "sample more", f"{times:.0f} times the rows leave {with_more:.0%} of it out of reach", with_more
    made = ground.more if ground.more is not None else ground.made
    theirs = np.flatnonzero(group.members(_comparable(made)))
    ours = np.flatnonzero(group.members(_comparable(ground.real)))
    few = min(theirs.size, ours.size)
    tried = "" if with_more is None else f"; {_times(ground):.0f} times the rows still leave {with_more:.0%} out"
    if few >= LEAST_IN_PLACE:
        real, synthetic = (v.take(rng.permutation(w)[:few]) for v, w in ((ground.real, ours), (made, theirs)))
        _, ids = _around(inside, stack([real, synthetic]), min(AROUND, 2 * few), rng=rng)
        if float(_lack(ids < few, ids).mean()) <= EVEN + max(OFF, 1 / np.sqrt(2 * few)):
            told = f"its {theirs.size:,} synthetic rows lie where real ones do and are too few"
            return "raise its weight", told, with_more
        told = f"its {theirs.size:,} synthetic rows do not lie where real ones do{tried}"
        return "collect, don't simulate", told, with_more
    return "collect, don't simulate", f"it has {theirs.size:,} of {made.n:,} synthetic rows{tried}", with_more


def _times(ground: _Ground) -> float:
    """Synthetic rows laid out at most, for each real one."""
    return 1.0 if ground.more is None else ground.more.n / ground.real.n


def _out_share(inside: View, real: View, made: View, *, rng: np.random.Generator) -> float:
    """The share of some records of which the five nearest rows are all real."""
    k = min(AROUND, real.n + made.n)
    near, ids = _around(inside, stack([real, made]), k, rng=rng)
    counts = (near <= near[:, [min(NEAREST, k) - 1]] + TIE) & (ids >= 0)
    return float(_all_real(ids < real.n, counts).mean())


def excess_losses(
    real: View, held_out: View, made: View, groups: Sequence[Group], *, learner: Learner, seed: int, level: float = 0.95
) -> dict[str, Estimate | Unmeasured]:
    """By group, how much larger a record's loss is after training on synthetic rows than on as many real ones.

    Args:
        real: as for `reach`, with a target.
        held_out: likewise.
        made: likewise.
        groups: of the map.
        learner: the model the data is for.
        seed: same seed, same answer.
        level: of the paired intervals.

    Raises:
        SterlingError: if the learner fails.
    """
    if not isinstance(learner, PredictingLearner):
        none = Unmeasured("the learner gives no loss for single records", "choose a learner that predicts")
        return {g.title: none for g in groups}
    ours, theirs, asked = (labelled(v, "the data") for v in (real, made, held_out))
    n, rng = min(ours.n, theirs.n), stream(seed, "reach", "loss")
    losses = [
        learner.losses(learner.fit(v.take(rng.permutation(v.n)[:n]), None, rng=stream(seed, "reach", "fit")), asked)
        for v in (ours, theirs)
    ]
    found: dict[str, Estimate | Unmeasured] = {}
    for group in groups:
        more = (losses[1] - losses[0])[group.records.members(_comparable(asked))]
        if more.size < LEAST_GROUP:
            found[group.title] = Unmeasured(f"{more.size} records have a known target", "give more held-out records")
            continue
        half = normal_quantile((1 - level) / 2) * float(more.std(ddof=1)) / np.sqrt(more.size)
        mean = float(more.mean())
        found[group.title] = Estimate(mean, mean - half, mean + half, more.size, level, "paired, normal")
    return found
