"""Whether synthetic labels follow from their features as real labels do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from sterling.kernel.estimate import Estimate, Unmeasured
from sterling.kernel.finding import Finding, Json, Status
from sterling.kernel.protocols import Terms, measure
from sterling.kernel.view import Need, View
from sterling.stats.bounds import normal_quantile, status_of
from sterling.stats.checked_labels import checked_labels, located
from sterling.stats.conditional import is_number
from sterling.stats.judged_labels import FOLDS, LEAST_CLASS, JudgedLabels, judged_labels, sights_of
from sterling.stats.label_noise import lower_share, noise_likelihood, upper_share
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
    from sterling.kernel.view import Floats

# One label in a thousand: the cleanest of ten audited benchmark sets had .15 % wrong (Northcutt, Athalye & Mueller
# 2021, arXiv:2103.14749), and what recalibrated models miss is less, so errors below it are as in real data.
BOUND = 0.001
# Extra error of a number, as a share of its variance, or numbers of other rows in their place.
NUMBER_BOUND = 0.002
SLICE_BOUND = 0.05
# The measure's alpha: most goes to what sees evenly spread errors best.
SHARES = {"noise": 0.65, "loss": 0.075, "lean": 0.075, "slices": 0.2}
# A label that a model gives less than this chance costs no more: no handful of rows decides the verdict.
LEAST_PROBABILITY = 0.01
# Residuals of a number beyond this many of their standard deviations count as this many.
MOST_RESIDUAL = 4.0
BINS, MOST_LEVELS, MOST_COLUMNS = 5, 50, 200
MOST_SLICES = 5


@dataclass(frozen=True, slots=True)
class _Look:
    """One way to see wrong labels.

    Args:
        result: in the measure's unit.
        at_least: its lower bound at this way's share of alpha.
        likely: its lower bound at the printed level, corrected for all ways.
        words: what it looked at.
    """

    result: Estimate
    at_least: float
    likely: float
    words: str


@dataclass(frozen=True, slots=True, eq=False)
class _Labels:
    """Judged labels and what compares them.

    Args:
        judged: rows of both sets whose label is known.
        loss: [n] and [m] excess of each row's loss over what its prediction expects.
        score: [n] and [m] what rows are stratified by.
        channels: residuals per class, or of the number.
        scores: per channel, [n] and [m] its predictions.
        cost: what one wrong label adds to the loss on average; 1 for numbers, whose loss is a share already.
    """

    judged: JudgedLabels
    loss: tuple[Floats, Floats]
    score: tuple[Floats, Floats]
    channels: tuple[Channel, ...]
    scores: tuple[tuple[Floats, Floats], ...]
    cost: float


@measure(
    Need.TARGET, title="Labels that do not follow from the features as in real data", better="lower", family="labels"
)
def label_loss(
    real: View, synthetic: View, *, holdout: View | None, rng: np.random.Generator, terms: Terms
) -> tuple[Finding, ...]:
    """Share of synthetic labels that are wrong, as real rows see it.

    Models of the target given the features are fitted on real rows and judge real rows that they did
    not see, and the synthetic rows. Labels of the two are compared under the same predictions, so that a
    shift of the features is no finding. Wrong labels show in three ways, all as a share of labels:

    * noise: e in P(label implausible) = g(q) + e (r - g(q) k / (k - 1)), where q is the predicted chance of
      the implausible classes, g how real labels keep to it, r the share of other classes that are
      implausible, k their number. Most is seen where q is least.
    * excess log loss, divided by what a flipped label costs.
    * lean of all labels to one class.

    For a number target they are the share of numbers replaced by other rows' (from outliers), the excess
    squared error as a share of its variance, and the square of its lean. Slices in which labels do what
    they do not do elsewhere have findings of their own.

    Args:
        real: train rows.
        synthetic: the rows to be judged.
        holdout: more real rows to compare with, if given; nothing is learned from them.
        rng: draws folds and subsamples.
        terms: `bound` is the largest tolerable share, default .001, for a number .002. `alpha`: 65 % for
            the noise, 7.5 % each for the other ways, 20 % for all slices together; what shows only at
            `level` is a warning.

    Returns:
        First the whole table, by the way that shows most surely; smaller is better. Then at most 5 slices:
        the shift of a class's share (or of the number, in its standard deviations), 0 is ideal; tolerated is .05.

    Source: noise as `stats.label_noise.noise_likelihood`; SCIENCE.md 2c (label-conditional test);
        post-stratification, Cochran 1977, ch. 5A.
    """
    bound = _bound(real, terms)
    params: dict[str, Json] = {"bound": bound, "alpha": terms.alpha, "folds": FOLDS}
    judged = judged_labels(real, synthetic, holdout=holdout, effort=terms.effort, rng=rng)
    if isinstance(judged, Unmeasured):
        return (Finding("label_loss", judged, "lower", Status.UNMEASURED, reason=judged.reason, params=params),)
    labels = _classes(judged) if judged.names else _numbers(judged)
    params |= {"rows_real": judged.real.n, "rows_learned": judged.learned, "rows_synthetic": judged.synthetic.n}
    params["unit"] = _unit(labels)
    looks = _looks(labels, terms)
    failing = [look for look in looks if look.at_least > bound]
    likely = [look for look in looks if look.likely > bound]
    shown = max(failing or likely, key=lambda k: k.at_least, default=looks[0])
    # That labels are right needs all three ways to say so.
    high = max(look.result.high for look in looks)
    status = Status.WARN if likely else status_of(min(shown.result.low, bound), high, bound, better="lower")
    slices = _slices(labels, SHARES["slices"] * terms.alpha)
    whole = Finding(
        "label_loss", shown.result, "lower",
        Status.FAIL if failing else status,
        reason=_sentence(labels, shown, bound) + _sampling(labels, shown, (real, synthetic), bound),
        params=params,
        evidence=_evidence(labels, looks, slices, concentrated=bool(failing)),
    )  # fmt: skip
    slice_params: dict[str, Json] = {**params, "bound": SLICE_BOUND, "unit": _slice_unit(labels)}
    return (whole, *(_slice_finding(labels, s, terms, slice_params) for s in slices))


def _bound(real: View, terms: Terms) -> float:
    number = real.target is not None and is_number(real.target)
    return terms.bound if terms.bound is not None else NUMBER_BOUND if number else BOUND


def _classes(judged: JudgedLabels) -> _Labels:
    names = judged.names
    cost = [-np.log(np.maximum(p, LEAST_PROBABILITY)) for p in judged.chances]
    expected = [(p * c).sum(axis=1) for p, c in zip(judged.chances, cost, strict=True)]
    loss = [c[np.arange(t.size), t] - e for c, t, e in zip(cost, judged.labels, expected, strict=True)]
    wanted = range(1, 2) if len(names) == 2 else range(len(names))
    channels = [_class_channel(judged, k) for k in wanted]
    scores = tuple((judged.chances[0][:, k], judged.chances[1][:, k]) for k in wanted)
    # A flipped label costs the mean of the other classes' costs, and no longer its own.
    own = float((cost[0].mean(axis=1) - (judged.chances[0] * cost[0]).sum(axis=1)).mean())
    flip = own * len(names) / (len(names) - 1)
    score = scores[0] if len(names) == 2 else (expected[0], expected[1])
    return _Labels(judged, (loss[0], loss[1]), score, tuple(channels), scores, max(flip, 0.1))


def _class_channel(judged: JudgedLabels, k: int) -> Channel:
    hits = tuple((t == k).astype(np.float64) for t in judged.labels)
    residuals = [h - p[:, k] for h, p in zip(hits, judged.chances, strict=True)]
    return Channel(judged.names[k], residuals[0], residuals[1], (hits[0], hits[1]))


def _numbers(judged: JudgedLabels) -> _Labels:
    y = judged.labels[0]
    unit, error = float(y.var()), float((y - judged.chances[0]).std())
    residual = [np.clip(t - p, -MOST_RESIDUAL * error, MOST_RESIDUAL * error)
                for t, p in zip(judged.labels, judged.chances, strict=True)]  # fmt: skip
    sd = float(np.sqrt(unit))
    channels = (
        Channel("higher", residual[0] / sd, residual[1] / sd),
        Channel("more spread", residual[0] ** 2 / unit, residual[1] ** 2 / unit),
    )
    loss = (residual[0] ** 2 / unit, residual[1] ** 2 / unit)
    return _Labels(judged, loss, judged.chances, channels, (judged.chances, judged.chances), 1.0)


def _looks(labels: _Labels, terms: Terms) -> list[_Look]:
    """The three ways in which wrong labels show; the noise comes first where it can be seen."""
    judged, side = labels.judged, (1 - terms.level) / 2
    n = judged.real.n + judged.synthetic.n

    def look(value: float, lows: Sequence[float], high: float, method: str, words: str) -> _Look:
        low, at_least, likely = lows
        return _Look(Estimate(value, low, max(high, value), n, terms.level, method), at_least, likely, words)

    def errors(way: str) -> tuple[float, float, float]:
        return side, terms.alpha * SHARES[way], side / (len(SHARES) - 1)

    looks: list[_Look] = []
    noise = noise_likelihood(*sights_of(judged), dilution=judged.dilution)
    if noise is not None:
        lows = [min(lower_share(noise, alpha=a), noise.share) for a in errors("noise")]
        high = upper_share(noise, alpha=side)
        looks.append(look(noise.share, lows, high, "labels replaced at random, profile likelihood", "noise"))
    value, error = (x / labels.cost for x in stratified_excess(*labels.loss, strata_of(*labels.score)))
    lows = [value - normal_quantile(a) * error for a in errors("loss")]
    looks.append(look(value, lows, 2 * value - lows[0], "excess loss, post-stratified", "loss"))
    leans = [_lean(labels, channel, errors("lean")) for channel in labels.channels[: None if judged.names else 1]]
    place = int(np.argmax([lean[2][1] for lean in leans]))
    value, high, lows = leans[place]
    looks.append(look(value, lows, high, "lean of labels", labels.channels[place].name))
    return looks


def _lean(
    labels: _Labels, channel: Channel, errors: tuple[float, float, float]
) -> tuple[float, float, tuple[float, float, float]]:
    """How far all labels lean to one class: value, upper end, lower ends; for a number, the square of its lean."""
    sizes = (channel.real.size, channel.synthetic.size)
    looks = 2 * len(labels.channels) if channel.hits else 2
    means = [float(r.mean()) for r in (channel.real, channel.synthetic)]
    found: list[tuple[float, float, float]] = []
    for place, error in enumerate(errors):
        share = error / looks * (2 if place == 0 else 1)
        if channel.hits is None:
            sides = [(u, float(r.var()), r.size) for u, r in zip(means, (channel.real, channel.synthetic), strict=True)]
            found.append(mean_shift(sides[0], sides[1], alpha=share))
        else:
            rates = [float(h.mean()) for h in channel.hits]
            hits = (int(channel.hits[0].sum()), int(channel.hits[1].sum()))
            expected = (rates[0] - means[0], rates[1] - means[1])
            found.append(rate_shift(hits, sizes, expected, alpha=share))
    power = 2 if channel.hits is None else 1
    lows = [max(0.0, low, -high) ** power for _, low, high in found]
    value, low, high = found[0]
    return abs(value) ** power, max(high, -low) ** power, (lows[0], lows[1], lows[2])


def _slices(labels: _Labels, alpha: float) -> list[Shift]:
    """The slices whose labels certainly stray beyond the tolerance, none explained by one before it."""
    real, synthetic = labels.judged.real, labels.judged.synthetic
    columns = real.features[:MOST_COLUMNS]
    cuts = [cut_column(c, bins=BINS, least=LEAST_CLASS, most=MOST_LEVELS) for c in columns]
    score = labels.scores[0]
    middle = 0.5 if labels.judged.names else float(np.median(score[0]))
    grid = Grid(
        cuts,
        [cut.assign(c) for cut, c in zip(cuts, columns, strict=True)],
        [cut.assign(synthetic.column(cut.name)) for cut in cuts],
        (score[0] >= middle, score[1] >= middle),
        (np.ones(real.n, dtype=bool), np.ones(synthetic.n, dtype=bool)),
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
    return "share of labels" if labels.judged.names else "standard deviations of the target"


def _title(labels: _Labels, shift: Shift) -> str:
    column = labels.judged.real.features[shift.cut]
    return cut_column(column, bins=BINS, least=LEAST_CLASS, most=MOST_LEVELS).title(shift.code)


def _slice_finding(labels: _Labels, shift: Shift, terms: Terms, params: dict[str, Json]) -> Finding:
    where, name = _title(labels, shift), labels.channels[shift.channel].name
    sign = 1 if shift.value >= 0 else -1
    ends = sorted((sign * shift.low, sign * shift.high))
    target = labels.judged.real.known_target.name
    half = ("", " among rows where it is unlikely", " among rows where it is likely")[shift.half]
    if labels.judged.names:
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
    return "share of labels" if labels.judged.names else "share of the target's variance"


def _sampling(labels: _Labels, look: _Look, have: tuple[View, View], bound: float) -> str:
    """What a subsample costs; empty where all rows with a known label were looked at and learned from."""
    judged = labels.judged
    known = [int((~v.known_target.missing).sum()) for v in have]
    used = (min(judged.real.n, known[0]), judged.synthetic.n)
    text = (
        "" if judged.learned >= known[0] else f" Its models learned from {judged.learned:,} of {known[0]:,} real rows."
    )
    if used == tuple(known):
        return text
    here = look.result.value - look.at_least
    full = here * float(np.sqrt((1 / known[0] + 1 / known[1]) / (1 / used[0] + 1 / used[1])))
    return (
        f"{text} It looked at {used[0]:,} of {known[0]:,} real and {used[1]:,} of {known[1]:,} synthetic rows: "
        f"a share of {bound + here:.1%} is seen, where all rows would show {bound + full:.1%}."
    )


def _sentence(labels: _Labels, look: _Look, bound: float) -> str:
    target, share = labels.judged.real.known_target.name, max(0.0, look.result.value)
    if labels.judged.names:
        how = {
            "noise": "as they contradict what models of the real rows are sure of, more often than real labels do",
            "loss": "by the loss of models of the real rows",
        }.get(look.words, f"by leaning in the rate of {look.words}")
        text = f"Synthetic {target} is as if {share:.1%} of labels were wrong, {how}"
    elif look.words == "noise":
        text = f"Synthetic {target} is as if {share:.1%} of its numbers were those of other rows, by its outliers"
    else:
        text = f"Seen by models of the real rows, synthetic {target} has an extra error of {share:.1%} of its variance"
        text += "" if look.words == "loss" else ", by leaning to one side"
    return f"{text} ({max(0.0, look.result.low):.1%} to {max(0.0, look.result.high):.1%}); {bound:.1%} is tolerated."


def _concentration(judged: JudgedLabels) -> str | None:
    """The slice in which contradicting labels pile up, if too thinly for a finding of its own."""
    checked = checked_labels(judged)
    if isinstance(checked, Unmeasured):
        return None
    place = located(judged, checked)[1]
    return place.title if place else None


def _evidence(
    labels: _Labels, looks: Sequence[_Look], slices: Sequence[Shift], *, concentrated: bool
) -> dict[str, Json]:
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
    loss = next(k for k in looks if k.words == "loss")
    ways: list[Json] = [
        {"way": k.result.method, "of": k.words, "value": k.result.value, "low": k.result.low, "high": k.result.high,
         "at_least": k.at_least} for k in looks
    ]  # fmt: skip
    evidence: dict[str, Json] = {
        "at_least": max(k.at_least for k in looks),
        "ways": ways,
        "excess_loss": loss.result.value * labels.cost,
        "cost_of_a_wrong_label": labels.cost,
        "strata": table,
    }
    if slices:
        evidence["concentrated_in"] = _title(labels, slices[0])
    elif concentrated and (place := _concentration(labels.judged)):
        evidence["concentrated_in"] = place
    return evidence
