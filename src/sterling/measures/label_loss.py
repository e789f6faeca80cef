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
from sterling.stats.label_shift import (
    Channel,
    Grid,
    Shift,
    mean_shift,
    rate_shift,
    shifts,
    strata_of,
    stratified_excess,
)
from sterling.stats.slices import cut_column

if TYPE_CHECKING:
    from sterling.kernel.view import AnyArray, Floats

BOUND = 0.005
SLICE_BOUND = 0.05
FOLDS = 5
LEAST_ROWS, LEAST_CLASS, MOST_CLASSES = 100, 30, 20
MOST_ROWS = {"full": 20_000, "fast": 5_000}
MOST_CELLS = 8_000_000
# A label that a model gives less than this chance costs no more: no handful of rows decides the verdict.
LEAST_PROBABILITY = 0.01
# From this chance on a prediction leaves no doubt, and a label that differs contradicts it.
NO_DOUBT = 0.95
# Residuals of a number beyond this many of their standard deviations count as this many.
MOST_RESIDUAL = 4.0
BINS, MOST_LEVELS, MOST_COLUMNS = 5, 50, 200
MOST_SLICES = 5


@dataclass(frozen=True, slots=True, eq=False)
class _Doubt:
    """How far each row's label is in doubt.

    Args:
        chance: [n] predicted chance that the label is not the likeliest one.
        contradicted: [n] whether it is not.
    """

    chance: Floats
    contradicted: AnyArray


@dataclass(frozen=True, slots=True)
class _Look:
    """One way to see wrong labels: an estimate in the measure's unit, and its lower bound at its share of alpha."""

    result: Estimate
    at_least: float
    words: str


@dataclass(frozen=True, slots=True, eq=False)
class _Labels:
    """Both sets with their labels, judged by models of the real rows.

    Args:
        real: rows whose label is known.
        synthetic: likewise.
        loss: [n] and [m] excess of each row's loss over what its prediction expects.
        score: [n] and [m] what rows are stratified by.
        channels: residuals per class, or of the number.
        scores: per channel, [n] and [m] its predictions.
        doubt: [n] and [m] chance that the likeliest class is not the label, and whether it is not; None for numbers.
        cost: what one wrong label adds to the loss on average; 1 for numbers, whose loss is a share already.
    """

    real: View
    synthetic: View
    loss: tuple[Floats, Floats]
    score: tuple[Floats, Floats]
    channels: tuple[Channel, ...]
    scores: tuple[tuple[Floats, Floats], ...]
    doubt: tuple[_Doubt, _Doubt] | None
    cost: float


@measure(Need.TARGET, title="Labels that do not follow from the features as in real data", better="lower")
def label_loss(
    real: View, synthetic: View, *, holdout: View | None, rng: np.random.Generator, terms: Terms
) -> tuple[Finding, ...]:
    """Share of synthetic labels that are wrong, as real rows see it.

    Models of the target given the features are fitted on real rows and judge real rows that they did
    not see, and the synthetic rows. Residuals of the two are compared under the same predictions, so
    that a shift of the features is no finding. Wrong labels show in three ways, all as a share of
    labels: excess log loss (divided by what a flipped label costs), labels that contradict predictions
    without doubt, and labels that lean to one class. For a number target it is the excess squared error
    as a share of its variance, or the square of its lean. Slices in which labels do what they do not do
    elsewhere have findings of their own.

    Args:
        real: train rows.
        synthetic: the rows to be judged.
        holdout: not used.
        rng: draws folds and subsamples.
        terms: `bound` is the largest tolerable share, default .005. `alpha`: a quarter each for the
            three ways, and for all slices together; what only the printed interval shows is a warning.

    Returns:
        First the whole table, by the way that shows most surely; negative means clearer labels than
        real ones; smaller is better. Then at most 5 slices: the shift of a class's share (or of the
        number, in its standard deviations), 0 is ideal; tolerated is .05.

    Source: SCIENCE.md 2c (label-conditional test); post-stratification, Cochran 1977, ch. 5A.
    """
    bound = BOUND if terms.bound is None else terms.bound
    params: dict[str, Json] = {"bound": bound, "alpha": terms.alpha, "folds": FOLDS}
    labels = _labels(real, synthetic, terms, rng=rng)
    if isinstance(labels, Unmeasured):
        return (Finding("label_loss", labels, "lower", Status.UNMEASURED, reason=labels.reason, params=params),)
    params |= {"rows_real": labels.real.n, "rows_synthetic": labels.synthetic.n, "unit": _unit(labels)}
    looks = _looks(labels, terms)
    failing = [look for look in looks if look.at_least > bound]
    likely = [look for look in looks if look.result.low > bound]
    shown = max(failing or likely, key=lambda k: k.result.low, default=looks[0])
    # That labels are right needs all three ways to say so.
    high = max(look.result.high for look in looks)
    status = Status.WARN if likely else status_of(shown.result.low, high, bound, better="lower")
    slices = _slices(labels, terms.alpha / 4)
    whole = Finding(
        "label_loss", shown.result, "lower",
        Status.FAIL if failing else status,
        reason=_sentence(labels, shown, bound) + _sampling(labels, looks[0], (real, synthetic), bound),
        params=params,
        evidence=_evidence(labels, looks, slices),
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
    doubt = [_Doubt(1 - p.max(axis=1), p.argmax(axis=1) != t) for p, t in ((judged.real, y), (judged.synthetic, z))]
    # A flipped label costs the mean of the other classes' costs, and no longer its own.
    flip = float((cost[0].mean(axis=1) - (judged.real * cost[0]).sum(axis=1)).mean()) * len(names) / (len(names) - 1)
    return _Labels(
        real, synthetic, (loss[0], loss[1]), scores[0] if len(names) == 2 else (expected[0], expected[1]),
        tuple(channels), scores, (doubt[0], doubt[1]), max(flip, 0.1),
    )  # fmt: skip


def _class_channel(judged: Judged, labels: tuple[AnyArray, AnyArray], k: int, name: str) -> Channel:
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
    return _Labels(real, synthetic, loss, score, channels, (score, score), None, 1.0)


def _target(view: View) -> Column:
    if view.target is None:
        raise ValueError("a view without a target came through")
    return view.target


def _looks(labels: _Labels, terms: Terms) -> list[_Look]:
    """The three ways in which wrong labels show; the loss comes first."""
    alpha, side = terms.alpha / 4, (1 - terms.level) / 2
    n = labels.real.n + labels.synthetic.n

    def look(bounds: tuple[float, float, float], far: float, method: str, words: str) -> _Look:
        return _Look(Estimate(bounds[0], bounds[1], bounds[2], n, terms.level, method), far, words)

    value, error = (x / labels.cost for x in stratified_excess(*labels.loss, strata_of(*labels.score)))
    near, far = (normal_quantile(a) * error for a in (side, alpha))
    looks = [look((value, value - near, value + near), value - far, "excess loss, post-stratified", "loss")]
    if labels.doubt is not None and (found := _contradictions(labels.doubt, (side, alpha))) is not None:
        looks.append(look(*found, "contradicted predictions, Newcombe on exact limits", "contradiction"))
    leans = [_lean(labels, channel, (side, alpha)) for channel in labels.channels[: None if labels.doubt else 1]]
    place = int(np.argmax([low for _, low in leans]))
    looks.append(look(*leans[place], "lean of labels", labels.channels[place].name))
    return looks


def _contradictions(
    doubt: tuple[_Doubt, _Doubt], errors: tuple[float, float]
) -> tuple[tuple[float, float, float], float] | None:
    """Share of wrong labels among rows whose label is not in doubt; None where there are too few of them."""
    clear = [d.chance <= 1 - NO_DOUBT for d in doubt]
    sizes = (int(clear[0].sum()), int(clear[1].sum()))
    if min(sizes) < LEAST_CLASS:
        return None
    hits = tuple(int(d.contradicted[c].sum()) for d, c in zip(doubt, clear, strict=True))
    chance = tuple(float(d.chance[c].mean()) for d, c in zip(doubt, clear, strict=True))
    near, far = (rate_shift((hits[0], hits[1]), sizes, (chance[0], chance[1]), alpha=a) for a in errors)
    return near, far[1]


def _lean(labels: _Labels, channel: Channel, errors: tuple[float, float]) -> tuple[tuple[float, float, float], float]:
    """How far all labels lean to one class; for a number, the square of how far it leans."""
    sizes = (labels.real.n, labels.synthetic.n)
    looks = 2 * len(labels.channels) if labels.doubt else 2
    means = [float(r.mean()) for r in (channel.real, channel.synthetic)]
    found: list[tuple[float, float, float]] = []
    for error in (errors[0] / looks * 2, errors[1] / looks):
        if channel.hits is None:
            sides = [(u, float(r.var()), r.size) for u, r in zip(means, (channel.real, channel.synthetic), strict=True)]
            found.append(mean_shift(sides[0], sides[1], alpha=error))
        else:
            rates = [float(h.mean()) for h in channel.hits]
            hits = (int(channel.hits[0].sum()), int(channel.hits[1].sum()))
            expected = (rates[0] - means[0], rates[1] - means[1])
            found.append(rate_shift(hits, sizes, expected, alpha=error))
    power = 2 if channel.hits is None else 1
    near, far = ([abs(f[0]), max(0.0, f[1], -f[2]), max(f[2], -f[1])] for f in found)
    return (near[0] ** power, near[1] ** power, near[2] ** power), far[1] ** power


def _slices(labels: _Labels, alpha: float) -> list[Shift]:
    """The slices whose labels certainly stray beyond the tolerance, none explained by one before it."""
    columns = labels.real.features[:MOST_COLUMNS]
    cuts = [cut_column(c, bins=BINS, least=LEAST_CLASS, most=MOST_LEVELS) for c in columns]
    score = labels.scores[0]
    middle = 0.5 if labels.doubt else float(np.median(score[0]))
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
    return "share of labels" if labels.doubt else "standard deviations of the target"


def _title(labels: _Labels, shift: Shift) -> str:
    column = labels.real.features[shift.cut]
    return cut_column(column, bins=BINS, least=LEAST_CLASS, most=MOST_LEVELS).title(shift.code)


def _slice_finding(labels: _Labels, shift: Shift, terms: Terms, params: dict[str, Json]) -> Finding:
    where, name = _title(labels, shift), labels.channels[shift.channel].name
    sign = 1 if shift.value >= 0 else -1
    ends = sorted((sign * shift.low, sign * shift.high))
    target = _target(labels.real).name
    half = ("", " among rows where it is unlikely", " among rows where it is likely")[shift.half]
    if labels.doubt:
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


def _unit(labels: _Labels) -> str:
    return "share of labels" if labels.doubt else "share of the target's variance"


def _sampling(labels: _Labels, look: _Look, have: tuple[View, View], bound: float) -> str:
    """What a subsample costs; empty where all rows with a known label were looked at."""
    known = [int((~_target(v).missing).sum()) for v in have]
    used = (labels.real.n, labels.synthetic.n)
    if used == tuple(known):
        return ""
    here = look.result.value - look.at_least
    full = here * float(np.sqrt((1 / known[0] + 1 / known[1]) / (1 / used[0] + 1 / used[1])))
    return (
        f" It looked at {used[0]:,} of {known[0]:,} real and {used[1]:,} of {known[1]:,} synthetic rows: "
        f"a share of {bound + here:.1%} is seen, where all rows would show {bound + full:.1%}."
    )


def _sentence(labels: _Labels, look: _Look, bound: float) -> str:
    target, share = _target(labels.real).name, max(0.0, look.result.value)
    if not labels.doubt:
        text = f"Seen by models of the real rows, synthetic {target} has an extra error of {share:.1%} of its variance"
        text += "" if look.words == "loss" else ", by leaning to one side"
    else:
        how = {
            "loss": "by the loss of models of the real rows",
            "contradiction": "among rows whose features leave no doubt",
        }.get(look.words, f"by leaning in the rate of {look.words}")
        text = f"Synthetic {target} is as if {share:.1%} of labels were wrong, {how}"
    return f"{text}; {bound:.1%} is tolerated."


def _evidence(labels: _Labels, looks: Sequence[_Look], slices: Sequence[Shift]) -> dict[str, Json]:
    strata = strata_of(*labels.scores[0])
    rates = strata.means(labels.channels[0].real, labels.channels[0].synthetic)
    sizes = strata.sizes()
    table: list[Json] = [
        {
            "stratum": s,
            "real": int(sizes[0][s]),
            "synthetic": int(sizes[1][s]),
            "shift": round(float(rates[1][s] - rates[0][s]), 5),
        }
        for s in range(strata.k)
    ]
    ways: list[Json] = [
        {"way": k.result.method, "of": k.words, "value": k.result.value, "low": k.result.low, "high": k.result.high,
         "at_least": k.at_least} for k in looks
    ]  # fmt: skip
    evidence: dict[str, Json] = {
        "at_least": max(k.at_least for k in looks),
        "ways": ways,
        "excess_loss": looks[0].result.value * labels.cost,
        "cost_of_a_wrong_label": labels.cost,
        "strata": table,
    }
    if slices:
        evidence["concentrated_in"] = _title(labels, slices[0])
    return evidence
