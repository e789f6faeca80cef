"""How well a classifier tells synthetic rows from real ones, and by which columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sterling.kernel.estimate import Estimate, Unmeasured
from sterling.kernel.finding import Finding, Json, Status
from sterling.kernel.protocols import Terms, measure
from sterling.kernel.view import Need, View
from sterling.stats.auc import Area, delong, mann_whitney_p, smallest_shift
from sterling.stats.boosting import Boosted, Coded, boost, encode, learn_codes, predict
from sterling.stats.bounds import status_of
from sterling.stats.conditional import TREES, dealt, feature_matrix

if TYPE_CHECKING:
    from sterling.kernel.view import AnyArray, Floats, Ints

BOUND = 0.60
FOLDS = 5
LEAST_ROWS = 30
MOST_ROWS = {"full": 20_000, "fast": 5_000}
# Rows times columns that a fit may take: 10,000 columns are judged on fewer rows.
MOST_CELLS = 8_000_000
# Rows a side on which columns are permuted, and predictions that the search for columns may cost.
ATTRIBUTION_ROWS = 2_000
MOST_TRIALS = 120
NAMED = 5
# Each fold's area shares its training rows with the others': Nadeau & Bengio's factor over plain averaging.
WIDEN = float(np.sqrt((1 / FOLDS + 1 / (FOLDS - 1)) * FOLDS))


@dataclass(frozen=True, slots=True, eq=False)
class _Pool:
    """Real rows (0) and synthetic rows (1), coded together."""

    x: Coded
    y: Ints
    names: tuple[str, ...]

    def fitted(self, rows: AnyArray) -> Boosted:
        return boost(self.x.take(rows), self.y[rows], classes=2, boosting=TREES)


@measure(Need.RECORDS, title="How well a classifier tells synthetic from real", better="lower")
def two_sample_auc(
    real: View, synthetic: View, *, holdout: View | None, rng: np.random.Generator, terms: Terms
) -> tuple[Finding, ...]:
    """AUC of boosted trees that are asked which rows are synthetic.

    The effect is the mean AUC of five folds, each scored on rows that its model did not see; its
    interval is DeLong's, widened because the folds share training rows. The p-value in the evidence
    is of one half against the other, where nothing is shared. Columns are named by how much the
    held-out AUC falls when they are shuffled.

    Args:
        real: train rows, by their columns, or by their embedding where they have none.
        synthetic: the rows to be judged.
        holdout: not used.
        rng: draws folds, subsamples and permutations.
        terms: `bound` is the largest tolerable AUC, default .60; half of its distance from .5 is a
            warning. `effort` "fast" looks at 5,000 rows a side, "full" at 20,000.

    Returns:
        AUC, .5 (cannot tell) to 1 (always tells), below .5 by chance only; smaller is better.

    Source: Lopez-Paz & Oquab 2017, arXiv:1610.06545; DeLong et al. 1988; Nadeau & Bengio 2003.
    """
    bound = BOUND if terms.bound is None else terms.bound
    params: dict[str, Json] = {"bound": bound, "alpha": terms.alpha, "folds": FOLDS}
    if min(real.n, synthetic.n) < LEAST_ROWS:
        few = Unmeasured(
            f"{real.n:,} real and {synthetic.n:,} synthetic rows are too few to train a classifier on",
            mend=f"give at least {LEAST_ROWS} rows of each",
        )
        return (Finding("two_sample_auc", few, "lower", Status.UNMEASURED, reason=few.reason, params=params),)
    pool, sizes = _pool(real, synthetic, terms, rng=rng)
    area = _cross_fitted(pool, rng=rng)
    split = _split_half(pool, rng=rng)
    at_least = area.bounds(alpha=terms.alpha, widen=WIDEN)[0]
    low, high = area.bounds(alpha=(1 - terms.level) / 2, widen=WIDEN)
    named: list[Json] = [{"column": name, "auc_lost": lost} for name, lost in split.columns]
    sampling = _sampling(sizes, (real.n, synthetic.n), terms.alpha)
    found = Finding(
        "two_sample_auc",
        Estimate(area.value, low, high, sum(sizes), terms.level, "DeLong, widened for folds (Nadeau-Bengio)"),
        "lower",
        _status(at_least, high, bound),
        reason=_sentence(area.value, [n for n, _ in split.columns], bound) + (f" {sampling}" if sampling else ""),
        params={**params, "rows_real": sizes[0], "rows_synthetic": sizes[1]},
        evidence={"at_least": at_least, "p_value": split.p_value, "split_auc": split.auc, "columns": named},
    )
    return (found,)


@dataclass(frozen=True, slots=True)
class _Split:
    """One half trained on, the other judged."""

    auc: float
    p_value: float
    columns: list[tuple[str, float]]


def _pool(real: View, synthetic: View, terms: Terms, *, rng: np.random.Generator) -> tuple[_Pool, tuple[int, int]]:
    width = len(real.columns or ()) or (0 if real.embedding is None else real.embedding.shape[1])
    most = max(LEAST_ROWS, min(MOST_ROWS[terms.effort], MOST_CELLS // max(1, width)))
    parts = [v if v.n <= most else v.take(np.sort(rng.permutation(v.n)[:most])) for v in (real, synthetic)]
    (x, categorical), (other, _) = (feature_matrix(v, v.columns or ()) for v in parts)
    both = np.concatenate([x, other])
    sizes = (parts[0].n, parts[1].n)
    names = [c.name for c in parts[0].columns or ()] or [f"dimension {j}" for j in range(width)]
    coded = encode(learn_codes(both, categorical), both)
    return _Pool(coded, np.repeat([0, 1], sizes), tuple(names)), sizes


def _cross_fitted(pool: _Pool, *, rng: np.random.Generator) -> Area:
    fold = dealt(pool.y, pool.y.size, FOLDS, rng=rng)
    areas: list[Area] = []
    for part in range(FOLDS):
        held = fold == part
        score = predict(pool.fitted(~held), pool.x.take(held))[:, 1]
        areas.append(_area(score, pool.y[held]))
    return Area(
        float(np.mean([a.value for a in areas])),
        float(np.mean([a.variance for a in areas])) / FOLDS,
        sum(a.positives for a in areas),
        sum(a.negatives for a in areas),
    )


def _split_half(pool: _Pool, *, rng: np.random.Generator) -> _Split:
    held = dealt(pool.y, pool.y.size, 2, rng=rng) == 1
    model = pool.fitted(~held)
    score, y = predict(model, pool.x.take(held))[:, 1], pool.y[held]
    p_value = mann_whitney_p(score[y == 1], score[y == 0])
    chosen = np.flatnonzero(held)
    few = np.concatenate([rng.permutation(chosen[y == side])[:ATTRIBUTION_ROWS] for side in (0, 1)])
    return _Split(_area(score, y).value, p_value, _blamed(pool, model, few, rng=rng))


def _blamed(pool: _Pool, model: Boosted, rows: AnyArray, *, rng: np.random.Generator) -> list[tuple[str, float]]:
    """The columns whose shuffling costs most AUC on held-out rows, found by halving groups of columns."""
    x, y = pool.x.take(rows), pool.y[rows]
    order = rng.permutation(rows.size)

    def lost(columns: list[int]) -> float:
        return full - _area(predict(model, x.shuffled(np.array(columns), order))[:, 1], y).value

    full = _area(predict(model, x)[:, 1], y).value
    groups = [(0.0, model.used.tolist())] if model.used.size else []
    found: list[tuple[str, float]] = []
    for _ in range(MOST_TRIALS):
        if not groups:
            break
        groups.sort(key=lambda g: -g[0])
        columns = groups.pop(0)[1]
        drop = lost(columns)
        # Less than this is within the noise of the shuffle.
        if drop < 0.005:
            continue
        if len(columns) == 1:
            found.append((pool.names[columns[0]], round(drop, 4)))
        else:
            middle = len(columns) // 2
            groups += [(drop, columns[:middle]), (drop, columns[middle:])]
    return sorted(found, key=lambda f: -f[1])[:NAMED]


def _area(score: Floats, y: Ints) -> Area:
    return delong(score[y == 1], score[y == 0])


def _status(at_least: float, high: float, bound: float) -> Status:
    if at_least > bound:
        return Status.FAIL
    if at_least > (0.5 + bound) / 2:
        return Status.WARN
    return status_of(min(at_least, bound), high, bound, better="lower")


def _sentence(value: float, columns: list[str], bound: float) -> str:
    told = f"Shown one real and one synthetic row, a classifier picks the synthetic one {value:.1%} of the time"
    by = f", mostly by {', '.join(columns[:3])}" if columns and value > 0.52 else ""
    return f"{told}{by}; guessing gives 50 %, and {bound:.0%} is tolerated."


def _sampling(used: tuple[int, int], have: tuple[int, int], alpha: float) -> str | None:
    if used == have:
        return None
    here, full = (smallest_shift(*s, alpha=alpha, widen=WIDEN) for s in (used, have))
    return (
        f"It looked at {used[0]:,} of {have[0]:,} real and {used[1]:,} of {have[1]:,} synthetic rows: "
        f"an AUC of {0.5 + here:.3f} is seen, where all rows would show {0.5 + full:.3f}."
    )
