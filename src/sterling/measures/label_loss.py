"""Whether synthetic labels follow from their features as real labels do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from sterling.kernel.estimate import Estimate, Unmeasured
from sterling.kernel.finding import Finding, Json, Status
from sterling.kernel.protocols import Terms, measure
from sterling.kernel.view import Column, Need, View
from sterling.stats.bounds import normal_quantile, status_of
from sterling.stats.conditional import Judged, coded, cross_predict, feature_matrix, is_number
from sterling.stats.label_shift import Channel, Grid, Shift, divergence, shifts, strata_of, stratified_excess
from sterling.stats.slices import cut_column

if TYPE_CHECKING:
    from sterling.kernel.view import Floats

BOUND = 0.01
SLICE_BOUND = 0.05
FOLDS = 5
LEAST_ROWS, LEAST_CLASS, MOST_CLASSES = 100, 30, 20
MOST_ROWS = {"full": 20_000, "fast": 5_000}
MOST_CELLS = 8_000_000
# A label that a model gives less than this chance costs no more: no handful of rows decides the verdict.
LEAST_PROBABILITY = 0.01
# Residuals of a number beyond this many of their standard deviations count as this many.
MOST_RESIDUAL = 4.0
BINS, MOST_LEVELS, MOST_COLUMNS = 5, 50, 200
MOST_SLICES = 5


@dataclass(frozen=True, slots=True, eq=False)
class _Labels:
    """Both sets with their labels, judged by models of the real rows.

    Args:
        real: rows whose label is known.
        synthetic: likewise.
        loss: [n] and [m] excess of each row's loss over what its prediction expects.
        score: [n] and [m] what rows are stratified by.
        channels: residuals per class, or of the number.
        unit: variance of a number target; None for classes.
        mean_logit: what one wrong label costs on average, in nats; None for numbers.
    """

    real: View
    synthetic: View
    loss: tuple[Floats, Floats]
    score: tuple[Floats, Floats]
    channels: tuple[Channel, ...]
    scores: tuple[tuple[Floats, Floats], ...]
    unit: float | None
    mean_logit: float | None


@measure(Need.TARGET, title="Labels that do not follow from the features as in real data", better="lower")
def label_loss(
    real: View, synthetic: View, *, holdout: View | None, rng: np.random.Generator, terms: Terms
) -> tuple[Finding, ...]:
    """Excess loss of synthetic labels under models of the real ones.

    Models of the target given the features are fitted on real rows and judge real rows that they did
    not see, and the synthetic rows. Compared within strata of the prediction and at the synthetic
    rows' mix of strata, so that a shift of the features is no finding. Two numbers are looked at, both
    in nats per label: the excess log loss (wrong labels) and the divergence of the label rates
    (labels that lean to one side); the surer one is reported. For a number target both are shares of
    its variance. Slices in which labels do what they do not do elsewhere have findings of their own.

    Args:
        real: train rows.
        synthetic: the rows to be judged.
        holdout: not used.
        rng: draws folds and subsamples.
        terms: `bound` is the largest tolerable excess, default .01 nats (about 3 labels in 1,000 wrong,
            where labels are clear). `alpha`: a third each for the two numbers and for all slices.

    Returns:
        First the whole table: excess in nats or share of variance; negative means clearer labels than
        real ones; smaller is better. Then at most 5 slices: the shift of a class's share (or of the
        number, in its standard deviations), 0 is ideal; tolerated is .05.

    Source: SCIENCE.md 2c (label-conditional test); post-stratification, Cochran 1977, ch. 5A.
    """
    bound = BOUND if terms.bound is None else terms.bound
    params: dict[str, Json] = {"bound": bound, "alpha": terms.alpha, "folds": FOLDS}
    labels = _labels(real, synthetic, terms, rng=rng)
    if isinstance(labels, Unmeasured):
        return (Finding("label_loss", labels, "lower", Status.UNMEASURED, reason=labels.reason, params=params),)
    params |= {
        "rows_real": labels.real.n,
        "rows_synthetic": labels.synthetic.n,
        "unit": "nats" if labels.unit is None else "share of the target's variance",
    }
    excess, at_least = _excess(labels, terms, bound)
    slices = _slices(labels, terms.alpha / 3)
    whole = Finding(
        "label_loss", excess, "lower",
        Status.FAIL if at_least > bound else status_of(min(excess.low, bound), excess.high, bound, better="lower"),
        reason=_sentence(labels, excess, bound, synthetic),
        params=params,
        evidence=_evidence(labels, excess, at_least, slices),
    )  # fmt: skip
    slice_params: dict[str, Json] = {**params, "bound": SLICE_BOUND, "unit": _slice_unit(labels)}
    return (whole, *(_slice_finding(labels, s, terms, slice_params) for s in slices))


def _labels(real: View, synthetic: View, terms: Terms, *, rng: np.random.Generator) -> _Labels | Unmeasured:
    target, other = real.target, synthetic.target
    if target is None or other is None:
        return Unmeasured("there is no target column", mend="name it: --target COLUMN")
    known = _capped(real.take(~target.missing), terms, rng=rng), _capped(synthetic.take(~other.missing), terms, rng=rng)
    if min(v.n for v in known) < LEAST_ROWS:
        return Unmeasured(
            f"{known[0].n:,} real and {known[1].n:,} synthetic rows have a known {target.name!r}",
            mend=f"give at least {LEAST_ROWS} of each",
        )
    if not real.features and real.embedding is None:
        return Unmeasured(f"{target.name!r} is the only column", mend="give the features that it follows from")
    return _numbers(*known, rng=rng) if is_number(target) else _classes(*known, rng=rng)


def _capped(view: View, terms: Terms, *, rng: np.random.Generator) -> View:
    most = max(LEAST_ROWS, min(MOST_ROWS[terms.effort], MOST_CELLS // max(1, len(view.features))))
    return view if view.n <= most else view.take(np.sort(rng.permutation(view.n)[:most]))


def _judged(real: View, synthetic: View, y: Floats, *, classes: int, rng: np.random.Generator) -> Judged:
    x = feature_matrix(real, real.features)
    return cross_predict(x, y, feature_matrix(synthetic, synthetic.features)[0], classes=classes, folds=FOLDS, rng=rng)


def _classes(real: View, synthetic: View, *, rng: np.random.Generator) -> _Labels | Unmeasured:
    target, other = _target(real), _target(synthetic)
    y, z, names = coded(target, other, least=LEAST_CLASS, most=MOST_CLASSES)
    second = int(np.sort(np.bincount(y, minlength=2))[-2])
    if second < LEAST_CLASS:
        return Unmeasured(
            f"all but {y.size - int(np.bincount(y).max()):,} real rows have the same {target.name!r}",
            mend=f"give at least {LEAST_CLASS} rows of another class",
        )
    judged = _judged(real, synthetic, y, classes=len(names), rng=rng)
    cost = [-np.log(np.maximum(p, LEAST_PROBABILITY)) for p in (judged.real, judged.synthetic)]
    expected = [(p * c).sum(axis=1) for p, c in zip((judged.real, judged.synthetic), cost, strict=True)]
    loss = [c[np.arange(t.size), t] - e for c, t, e in zip(cost, (y, z), expected, strict=True)]
    wanted = range(1, 2) if len(names) == 2 else range(len(names))
    channels = [_class_channel(judged, (y, z), k, names[k]) for k in wanted]
    scores = tuple((judged.real[:, k], judged.synthetic[:, k]) for k in wanted)
    # A flipped label costs the difference between the two classes' costs.
    flip = (cost[0].mean(axis=1) - (judged.real * cost[0]).sum(axis=1)).mean() * len(names) / max(1, len(names) - 1)
    return _Labels(
        real, synthetic, (loss[0], loss[1]), scores[0] if len(names) == 2 else (expected[0], expected[1]),
        tuple(channels), scores, None, max(float(flip), 1e-9),
    )  # fmt: skip


def _class_channel(judged: Judged, labels: tuple[Floats, Floats], k: int, name: str) -> Channel:
    hits = tuple((t == k).astype(np.float64) for t in labels)
    return Channel(name, hits[0] - judged.real[:, k], hits[1] - judged.synthetic[:, k], (hits[0], hits[1]))


def _numbers(real: View, synthetic: View, *, rng: np.random.Generator) -> _Labels | Unmeasured:
    target = _target(real)
    spread = float(np.subtract(*np.quantile(target.values, [0.995, 0.005])))
    if not np.isfinite(spread) or spread <= 0:
        return Unmeasured(f"{target.name!r} is constant in the real rows", mend="give rows in which the target varies")
    limits = np.quantile(target.values, [0.001, 0.999]) + np.array([-0.5, 0.5]) * spread
    y, z = (np.clip(t, *limits) for t in (target.values, _target(synthetic).values))
    judged = _judged(real, synthetic, y, classes=0, rng=rng)
    unit, error = float(y.var()), float((y - judged.real).std())
    residual = [np.clip(t - p, -MOST_RESIDUAL * error, MOST_RESIDUAL * error)
                for t, p in ((y, judged.real), (z, judged.synthetic))]  # fmt: skip
    sd = float(np.sqrt(unit))
    channels = (
        Channel("higher", residual[0] / sd, residual[1] / sd),
        Channel("more spread", residual[0] ** 2 / unit, residual[1] ** 2 / unit),
    )
    score = (judged.real, judged.synthetic)
    loss = (residual[0] ** 2 / unit, residual[1] ** 2 / unit)
    return _Labels(real, synthetic, loss, score, channels, (score, score), 1.0, None)


def _target(view: View) -> Column:
    if view.target is None:
        raise ValueError("a view without a target came through")
    return view.target


def _excess(labels: _Labels, terms: Terms, bound: float) -> tuple[Estimate, float]:
    """Excess loss or divergence of rates: the one that fails most surely, else the one that may be largest.

    Returns:
        The estimate, and its lower bound at a third of alpha.
    """
    alpha, side = terms.alpha / 3, (1 - terms.level) / 2
    value, error = stratified_excess(*labels.loss, strata_of(*labels.score))
    reach = normal_quantile(side) * error
    n = labels.real.n + labels.synthetic.n
    loss = Estimate(value, value - reach, value + reach, n, terms.level, "excess loss, post-stratified")
    found = [(loss, value - normal_quantile(alpha) * error)]
    looks = labels.channels if labels.unit is None else labels.channels[:1]
    for channel, score in zip(looks, labels.scores, strict=False):
        rates, at_least = divergence(
            channel.real,
            channel.synthetic,
            strata_of(*score),
            alpha=alpha / len(looks),
            level=terms.level,
            unit=labels.unit,
        )
        method = f"divergence of {channel.name!r} in strata, non-central chi-square"
        found.append((replace(rates, method=method), at_least))
    failing = [f for f in found if f[1] > bound]
    return max(failing, key=lambda f: f[1]) if failing else max(found, key=lambda f: f[0].high)


def _slices(labels: _Labels, alpha: float) -> list[Shift]:
    """The slices whose labels certainly stray beyond the tolerance, none explained by one before it."""
    columns = labels.real.features[:MOST_COLUMNS]
    cuts = [cut_column(c, bins=BINS, least=LEAST_CLASS, most=MOST_LEVELS) for c in columns]
    score = labels.scores[0]
    middle = 0.5 if labels.unit is None else float(np.median(score[0]))
    grid = Grid(
        cuts,
        [cut.assign(c) for cut, c in zip(cuts, columns, strict=True)],
        [cut.assign(labels.synthetic.column(cut.name)) for cut in cuts],
        (score[0] >= middle, score[1] >= middle),
        (np.ones(labels.real.n, dtype=bool), np.ones(labels.synthetic.n, dtype=bool)),
    )
    channels = [_centred(channel, score) for channel, score in zip(labels.channels, labels.scores, strict=True)]
    named: list[Shift] = []
    first = shifts(grid, channels, alpha=alpha)
    found = first
    while len(named) < MOST_SLICES and found:
        worst = max(found, key=lambda s: (s.at_least, -s.half))
        if worst.at_least <= SLICE_BOUND:
            break
        named.append(worst)
        grid = grid.without(worst)
        found = shifts(grid, channels, alpha=alpha, tests=len(first))
    return named


def _centred(channel: Channel, score: tuple[Floats, Floats]) -> Channel:
    """Residuals beyond what is common to all rows of the same prediction: errors that are spread evenly vanish."""
    strata = strata_of(*score)
    means = strata.means(channel.real, channel.synthetic)
    return replace(
        channel, real=channel.real - means[0][strata.real], synthetic=channel.synthetic - means[1][strata.synthetic]
    )


def _slice_unit(labels: _Labels) -> str:
    return "share of labels" if labels.unit is None else "standard deviations of the target"


def _title(labels: _Labels, shift: Shift) -> str:
    column = labels.real.features[shift.cut]
    return cut_column(column, bins=BINS, least=LEAST_CLASS, most=MOST_LEVELS).title(shift.code)


def _slice_finding(labels: _Labels, shift: Shift, terms: Terms, params: dict[str, Json]) -> Finding:
    where, name = _title(labels, shift), labels.channels[shift.channel].name
    sign = 1 if shift.value >= 0 else -1
    ends = sorted((sign * shift.low, sign * shift.high))
    target = _target(labels.real).name
    half = ("", " among rows where it is unlikely", " among rows where it is likely")[shift.half]
    if labels.unit is None:
        what = (
            f"{target}={name} is {abs(shift.value):.1%} {'more' if sign > 0 else 'less'} frequent than its features say"
        )
    else:
        half = ("", " in the lower half of predictions", " in the upper half of predictions")[shift.half]
        direction = name if sign > 0 else {"higher": "lower"}.get(name, "less spread")
        what = f"{target} is {direction} by {abs(shift.value):.2f} of its scale than its features say"
    return Finding(
        "label_loss",
        Estimate(abs(shift.value), ends[0], ends[1], sum(shift.rows), terms.level, "Newcombe, exact limits"),
        "lower", Status.FAIL, slice=where, params=params,
        reason=f"In {where}, {what}{half}, and not elsewhere; {SLICE_BOUND:g} is tolerated.",
        evidence={"shift": shift.value, "channel": name, "real": shift.rows[0], "synthetic": shift.rows[1]},
    )  # fmt: skip


def _sentence(labels: _Labels, excess: Estimate, bound: float, synthetic: View) -> str:
    target = _target(labels.real).name
    if labels.mean_logit is None:
        text = f"Real rows predict synthetic {target} with an extra error of {excess.value:.3f} of its variance"
    else:
        share = max(0.0, excess.value) / labels.mean_logit
        text = f"Real rows predict synthetic {target} with {excess.value:.3f} nats of extra loss a label"
        text += f", as if {share:.1%} of labels were wrong" if "loss" in excess.method else ", by leaning to one side"
    used = (
        f" It looked at {labels.synthetic.n:,} of {synthetic.n:,} synthetic rows."
        if labels.synthetic.n < synthetic.n
        else ""
    )
    return f"{text}; {bound:g} is tolerated.{used}"


def _evidence(labels: _Labels, excess: Estimate, at_least: float, slices: Sequence[Shift]) -> dict[str, Json]:
    strata = strata_of(*labels.scores[0])
    table: list[Json] = []
    rates = strata.means(labels.channels[0].real, labels.channels[0].synthetic)
    sizes = strata.sizes()
    for s in range(strata.k):
        table.append(
            {
                "stratum": s,
                "real": int(sizes[0][s]),
                "synthetic": int(sizes[1][s]),
                "shift": round(float(rates[1][s] - rates[0][s]), 5),
            }
        )
    evidence: dict[str, Json] = {"at_least": at_least, "statistic": excess.method, "strata": table}
    if labels.mean_logit is not None and "loss" in excess.method:
        evidence["as_if_wrong"] = max(0.0, excess.value) / labels.mean_logit
    if slices:
        evidence["concentrated_in"] = _title(labels, slices[0])
    return evidence
