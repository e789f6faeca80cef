"""How well predictions meet the truth: AUC, macro AUC, R2, and all of them under joint resampling."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

from sterling.kernel.estimate import Unmeasured
from sterling.kernel.schema import Kind
from sterling.kernel.view import Column

if TYPE_CHECKING:
    from sterling.kernel.view import AnyArray, Floats

ScoreKind = Literal["auc", "macro_auc", "r2"]
NAMES: dict[ScoreKind, str] = {"auc": "AUC", "macro_auc": "macro AUC", "r2": "R2"}
# What a model reaches that has learnt nothing.
CHANCE: dict[ScoreKind, float] = {"auc": 0.5, "macro_auc": 0.5, "r2": 0.0}
# A class that was never seen gets probability 0, and its log loss must stay finite.
LEAST_PROBABILITY = 1e-6
# Resample counts are held for this many (row, draw) pairs at a time: 32 MB of float32.
MOST_COUNTS = 8_000_000
# From this many benchmark rows on, a score's error by the influence of its rows is as good as by resampling them.
MANY_ROWS = 2_000


def auc(y01: AnyArray, scores: Floats, weights: Floats | None = None) -> float:
    """How often a positive record gets the higher score; ties count one half.

    Args:
        y01: [n] 0 or 1 (or False, True).
        scores: [n] finite, larger means more likely positive.
        weights: [n] >= 0, None = all 1.

    Returns:
        0 to 1, .5 is chance, larger is better.

    Raises:
        ValueError: if only one class carries weight; ask `unscorable` first.

    Source: Mann & Whitney 1947; Hanley & McNeil 1982.

    >>> auc(np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.35, 0.8]))
    0.75
    """
    counts = np.ones((scores.shape[0], 1)) if weights is None else np.asarray(weights, dtype=np.float64)[:, None]
    return float(_auc_draws(np.asarray(y01), scores, counts)[0])


def macro_auc(codes: AnyArray, probabilities: Floats, weights: Floats | None = None) -> float:
    """The mean over the classes present of the AUC of that class against all others.

    Args:
        codes: [n] class numbers.
        probabilities: [n, k] one column per class number.
        weights: [n] >= 0, None = all 1.

    Returns:
        0 to 1, .5 is chance, larger is better.

    Raises:
        ValueError: if only one class carries weight.
    """
    counts = np.ones((codes.shape[0], 1)) if weights is None else np.asarray(weights, dtype=np.float64)[:, None]
    return float(_macro_draws(codes, probabilities, counts)[0])


def r2(y: Floats, predictions: Floats, weights: Floats | None = None) -> float:
    """Share of the variance that the predictions explain.

    Returns:
        At most 1; 0 is what the mean would reach; larger is better.

    Raises:
        ValueError: if `y` is constant.

    >>> r2(np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 3.0]))
    1.0
    """
    counts = np.ones((y.shape[0], 1)) if weights is None else np.asarray(weights, dtype=np.float64)[:, None]
    return float(_r2_draws(y, predictions, counts)[0])


def bootstrap_scores(
    kind: ScoreKind, y: AnyArray, predictions: Sequence[Floats] | Floats, *, draws: int, rng: np.random.Generator
) -> Floats:
    """The scores of several models under the same resamplings of the benchmark rows.

    Rows are drawn with replacement, within each class where there are classes, so that no draw lacks
    one. Differences between columns are paired differences.

    Args:
        kind: "auc" (predictions [n]), "macro_auc" ([n, k]) or "r2" ([n]).
        y: [n] 0/1, class numbers, or numbers.
        predictions: one array per model.
        draws: how many resamplings.
        rng: the stream of this task.

    Returns:
        [draws, models].

    Source: Efron & Tibshirani 1993, ch. 8.
    """
    of = {"auc": _auc_draws, "macro_auc": _macro_draws, "r2": _r2_draws}[kind]
    strata = np.zeros(y.shape[0], dtype=np.int64) if kind == "r2" else np.unique(y, return_inverse=True)[1]
    out = np.empty((draws, len(predictions)))
    step = max(1, MOST_COUNTS // max(1, y.shape[0]))
    for start in range(0, draws, step):
        stop = min(draws, start + step)
        counts = resample_counts(strata, draws=stop - start, rng=rng)
        for j, prediction in enumerate(predictions):
            out[start:stop, j] = of(y, prediction, counts)
    return out


def sampling_error(
    kind: ScoreKind, y: AnyArray, arms: Sequence[Sequence[Floats]], *, draws: int, rng: np.random.Generator
) -> float:
    """Standard error, over benchmark rows, of the mean score of one arm or of the difference of two.

    By the rows' influence on the score where they are many, and by resampling them where they are few.

    Args:
        kind: as in `bootstrap_scores`.
        y: as there.
        arms: the predictions of the models of one arm, or of two that are compared on the same rows.
        draws: resamplings where rows are few.
        rng: the stream of this task.

    Source: influence of a row on an AUC, DeLong et al. 1988; on R2, delta method (Efron & Tibshirani 1993, ch. 21).
    """
    if y.shape[0] >= MANY_ROWS:
        means = [np.mean([_influence(kind, y, p) for p in arm], axis=0) for arm in arms]
        return float(np.sqrt(np.square(means[0] - means[1] if len(means) > 1 else means[0]).sum()))
    drawn = bootstrap_scores(kind, y, [p for arm in arms for p in arm], draws=draws, rng=rng)
    first = drawn[:, : len(arms[0])].mean(axis=1)
    paired = first - drawn[:, len(arms[0]) :].mean(axis=1) if len(arms) > 1 else first
    return float(paired.std(ddof=1))


def _influence(kind: ScoreKind, y: AnyArray, prediction: Floats) -> Floats:
    """[n] by how much each row moves the score; squares add up to its variance, classes of fixed size."""
    if kind == "r2":
        error, around = np.square(y - prediction), y - y.mean()
        spread = float(np.square(around).mean())
        return (error.mean() * np.square(around) / spread - error) / spread / y.size
    if kind == "auc":
        return _placed(y == 1, prediction)
    present = np.unique(y)
    return np.mean([_placed(y == k, prediction[:, k]) for k in present], axis=0)


def _placed(positive: AnyArray, scores: Floats) -> Floats:
    """[n] influence of each row on the AUC of the positives against the rest."""
    out = np.empty(scores.size)
    for side, others, sign in ((positive, ~positive, 1.0), (~positive, positive, -1.0)):
        ordered = np.sort(scores[others])
        below = np.searchsorted(ordered, scores[side], side="left") + np.searchsorted(ordered, scores[side], "right")
        share = below / (2 * ordered.size)
        out[side] = sign * (share - share.mean()) / max(1, int(side.sum()) - 1)
    return out


def resample_counts(strata: AnyArray, *, draws: int, rng: np.random.Generator) -> AnyArray:
    """How often each row is drawn when every stratum is resampled with replacement.

    Args:
        strata: [n] whole numbers from 0 on.
        draws: how many resamplings.
        rng: the stream of this task.

    Returns:
        [n, draws] float32 counts; each stratum's counts add up to its size in every draw.
    """
    counts = np.zeros((strata.shape[0], draws), dtype=np.float32)
    for stratum in range(int(strata.max()) + 1 if strata.size else 0):
        rows = np.flatnonzero(strata == stratum)
        picks = rng.integers(rows.size, size=(draws, rows.size)) + np.arange(draws)[:, None] * rows.size
        counts[rows] = np.bincount(picks.ravel(), minlength=draws * rows.size).reshape(draws, rows.size).T
    return counts


def score_kind(target: Column) -> ScoreKind:
    """Which score suits the target: by its kind and the number of classes present."""
    if target.kind is not Kind.CATEGORY:
        return "r2"
    return "auc" if np.unique(target.values[target.values >= 0]).size <= 2 else "macro_auc"


def metric_name(target: Column) -> str:
    """The score's name for people: "AUC", "macro AUC" or "R2"; larger is better for all of them."""
    return NAMES[score_kind(target)]


def scoring_arrays(target: Column, predictions: Sequence[Floats]) -> tuple[ScoreKind, AnyArray, list[Floats]]:
    """Truth and predictions in the shape that `bootstrap_scores` takes, rows without a truth left out.

    Args:
        target: of the benchmark.
        predictions: per model, [n, k] class probabilities in the order of the levels, or [n] numbers.
    """
    kind, known = score_kind(target), ~target.missing
    values = target.values[known]
    if kind != "auc":
        return kind, values, [p[known] for p in predictions]
    # Two classes are present, but the levels, shared with a candidate, may be more than two.
    first, second = (values.min(), values.max()) if values.size else (0, 0)
    return kind, (values == second).astype(np.int64), [p[known, second] - p[known, first] for p in predictions]


def score_of(target: Column, predictions: Floats) -> float:
    """The score that suits the target (see `score_kind`); rows whose target is missing do not count.

    Raises:
        ValueError: if the target has one class or one value only; ask `unscorable` first.
    """
    kind, y, (ready,) = scoring_arrays(target, [predictions])
    return {"auc": auc, "macro_auc": macro_auc, "r2": r2}[kind](y, ready)


def losses_of(target: Column, predictions: Floats) -> Floats:
    """The loss of each prediction.

    Args:
        target: [n].
        predictions: [n, k] class probabilities in the order of the levels, or [n] numbers.

    Returns:
        [n] log loss in nats (a probability counts as at least 1e-6), or squared error; NaN where the
        truth is missing; smaller is better.
    """
    if target.kind is not Kind.CATEGORY:
        return np.square(target.values - predictions)
    given = predictions[np.arange(target.values.size), np.maximum(target.values, 0)]
    return np.where(target.missing, np.nan, -np.log(np.maximum(given, LEAST_PROBABILITY)))


def base_rate(target: Column, weights: Floats | None = None) -> Floats:
    """What a model predicts that has seen the target alone.

    Returns:
        [k] share of each level, or [1] the mean, over the rows whose truth is known; even shares (0
        for a number) where there is no such row.
    """
    known = ~target.missing
    heavy = np.ones(known.size) if weights is None else weights
    if target.kind is not Kind.CATEGORY:
        return np.array([np.average(target.values[known], weights=heavy[known]) if heavy[known].sum() > 0 else 0.0])
    mass = np.bincount(target.values[known], weights=heavy[known], minlength=max(1, len(target.levels or ())))
    return mass / mass.sum() if mass.sum() > 0 else np.full(mass.size, 1.0 / mass.size)


def minority_rows(target: Column) -> int:
    """Rows of the rarest class present; for a number all rows whose value is known."""
    known = target.values[~target.missing]
    if target.kind is not Kind.CATEGORY or not known.size:
        return int(known.size)
    return int(np.unique(known, return_counts=True)[1].min())


def unscorable(target: Column, *, least: int = 30) -> Unmeasured | None:
    """Why no honest score can be had on these rows, and what it would take; None if it can.

    Args:
        target: the target column of the rows to be scored.
        least: rows of the rarest class (numbers: rows) that are needed.
    """
    known = target.values[~target.missing]
    if known.size == 0:
        return Unmeasured(f"{target.name!r} is missing in every row", mend="give rows whose target is known")
    if np.unique(known).size == 1:
        value = target.levels[int(known[0])] if target.levels else f"{known[0]:g}"
        what = "class" if target.kind is Kind.CATEGORY else "value"
        return Unmeasured(
            f"{target.name!r} has one {what} only: {value}",
            mend=f"give at least {least} rows of another {what}",
        )
    fewest = minority_rows(target)
    if fewest >= least:
        return None
    where = f"of its rarest class, {_rarest(target)!r}," if target.kind is Kind.CATEGORY else "in all,"
    return Unmeasured(
        f"{target.name!r} has {fewest} rows {where} where {least} are needed",
        mend=f"collect about {_more(fewest, int(known.size), least)} more real rows",
    )


def _rarest(target: Column) -> str:
    codes, counts = np.unique(target.values[~target.missing], return_counts=True)
    return (target.levels or ())[int(codes[counts.argmin()])]


def _more(fewest: int, rows: int, least: int) -> int:
    return int(np.ceil(rows * (least - fewest) / fewest))


def _auc_draws(y01: AnyArray, scores: Floats, counts: AnyArray) -> Floats:
    """[draws] AUC when row i stands counts[i, draw] times."""
    positive = np.asarray(y01, dtype=bool)
    plus, minus = np.flatnonzero(positive), np.flatnonzero(~positive)
    minus = minus[np.argsort(scores[minus], kind="stable")]
    # Mass of the negatives below each positive. Whole counts are exact in float32 up to 16 million rows.
    below = np.zeros((minus.size + 1, counts.shape[1]), dtype=counts.dtype)
    np.cumsum(counts[minus], axis=0, out=below[1:])
    first = np.searchsorted(scores[minus], scores[plus], side="left")
    last = np.searchsorted(scores[minus], scores[plus], side="right")
    heavy = counts[plus]
    total = heavy.sum(axis=0, dtype=np.float64) * below[-1]
    if not (total > 0).all():
        raise ValueError("AUC needs both classes")
    wins = np.einsum("pd,pd->d", heavy, below[first], dtype=np.float64)
    if np.array_equal(first, last):
        return wins / total
    return (wins + np.einsum("pd,pd->d", heavy, below[last], dtype=np.float64)) / (2 * total)


def _macro_draws(codes: AnyArray, probabilities: Floats, counts: AnyArray) -> Floats:
    heavy = counts.sum(axis=1) > 0
    present = np.unique(codes[heavy])
    return np.mean([_auc_draws(codes == k, probabilities[:, k], counts) for k in present], axis=0)


def _r2_draws(y: Floats, predictions: Floats, counts: AnyArray) -> Floats:
    total = counts.sum(axis=0, dtype=np.float64)
    around = y - np.average(y)  # centred first: large offsets would cost the digits
    mean = around @ counts / total
    spread = np.square(around) @ counts / total - mean**2
    if not (spread > 0).all():
        raise ValueError("R2 needs a target that varies")
    return 1.0 - np.square(y - predictions) @ counts / total / spread
