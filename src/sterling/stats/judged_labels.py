"""Labels of real and synthetic rows, judged alike by models of the real rows.

A label's rows are judged by models that learned from real labels and never saw the row. Cross-validation
inside a synthetic set would learn the generator's systematic errors and find none of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sterling.kernel.estimate import Unmeasured
from sterling.kernel.view import View, stack
from sterling.stats.conditional import coded, cross_predict, feature_matrix, is_number
from sterling.stats.label_noise import Sight, sight_of
from sterling.stats.label_shift import strata_of

if TYPE_CHECKING:
    from sterling.kernel.protocols import Effort
    from sterling.kernel.view import AnyArray, Floats, Ints

FOLDS = 5
LEAST_ROWS, LEAST_CLASS, MOST_CLASSES = 100, 30, 20
# Models learn from at most so many real rows, and so many rows of each set are judged.
MOST_LEARNED = {"full": 20_000, "fast": 5_000}
MOST_JUDGED = {"full": 60_000, "fast": 20_000}
MOST_CELLS = 8_000_000
# A number that lies farther from its prediction than all but this share of real ones is an outlier.
OUTLIERS = 0.005
# Models say hardly less than this even where it never happens.
LEAST_GIVEN = 1e-4


@dataclass(frozen=True, slots=True, eq=False)
class JudgedLabels:
    """Both sets' rows of known label.

    Args:
        real: those the models learned from come first.
        synthetic: the rows that were judged.
        places: [m] their positions in the set that was given.
        labels: [n] and [m] classes, or numbers with the wildest cut.
        chances: [n, k] and [m, k] predicted probabilities, or [n] and [m] predicted numbers.
        names: of the classes; none for a number.
        learned: how many real rows models learned from.
    """

    real: View
    synthetic: View
    places: Ints
    labels: tuple[AnyArray, AnyArray]
    chances: tuple[Floats, Floats]
    names: tuple[str, ...]
    learned: int

    @property
    def dilution(self) -> float:
        """As `NoiseLikelihood` has it: a changed class is another one, a number's stand-in is any."""
        return len(self.names) / (len(self.names) - 1) if self.names else 1.0


def judged_labels(
    real: View, synthetic: View, *, holdout: View | None, effort: Effort, rng: np.random.Generator
) -> JudgedLabels | Unmeasured:
    """Judge every label by models of the target given the features that were fitted on other real rows.

    Args:
        real: train rows; models of all folds but one judge the rows of that one.
        synthetic: each row is judged by one of these models, drawn at random.
        holdout: more real rows to compare with, judged as synthetic rows are; nothing is learned from them.
        effort: "fast" learns from fewer rows.
        rng: draws folds and subsamples.
    """
    target, other = real.target, synthetic.target
    if target is None or other is None:
        return Unmeasured("there is no target column", mend="name it: --target COLUMN")
    known = real.take(~target.missing), synthetic.take(~other.missing)
    if min(v.n for v in known) < LEAST_ROWS:
        return Unmeasured(
            f"{known[0].n:,} real and {known[1].n:,} synthetic rows have a known {target.name!r}",
            mend=f"give at least {LEAST_ROWS} of each",
        )
    if not real.features and real.embedding is None:
        return Unmeasured(f"{target.name!r} is the only column", mend="give the features that it follows from")
    wide = max(1, len(real.features) or (0 if real.embedding is None else real.embedding.shape[1]))
    learned, judged = (max(LEAST_ROWS, min(most[effort], MOST_CELLS // wide)) for most in (MOST_LEARNED, MOST_JUDGED))
    order = rng.permutation(known[0].n)
    parts = [known[0].take(np.sort(order[:learned])), known[0].take(np.sort(order[learned:judged]))]
    if holdout is not None and _comparable(holdout, real):
        more = holdout.take(~holdout.known_target.missing)
        parts.append(more.take(np.sort(rng.permutation(more.n)[: max(0, judged - known[0].n)])))
    rows = np.sort(rng.permutation(known[1].n)[:judged])
    frame = _Frame(
        stack([p for p in parts if p.n]), parts[0].n, known[1].take(rows), np.flatnonzero(~other.missing)[rows]
    )
    return _numbers(frame, rng=rng) if is_number(target) else _classes(frame, rng=rng)


@dataclass(frozen=True, slots=True, eq=False)
class _Frame:
    """The rows to be judged; the first `learned` real ones are learned from."""

    real: View
    learned: int
    synthetic: View
    places: Ints


def _comparable(holdout: View, real: View) -> bool:
    """Whether real rows set apart can stand beside the train rows: the same columns, and other rows."""
    same = [c.name for c in holdout.columns or ()] == [c.name for c in real.columns or ()]
    embedded = (holdout.embedding is None) == (real.embedding is None)
    # Stacked views join their fingerprints by "+": models may have learned from rows that are among the real ones.
    other = holdout.fingerprint not in real.fingerprint.split("+")
    return same and embedded and other and holdout.target is not None


def _judged(frame: _Frame, y: AnyArray, *, classes: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Predictions for all real and all synthetic rows, given the labels of the rows that are learned from."""
    matrix, categorical = feature_matrix(frame.real, frame.real.features)
    unseen = np.concatenate(
        [matrix[frame.learned :], feature_matrix(frame.synthetic, frame.synthetic.features)[0]], axis=0
    )
    judged = cross_predict((matrix[: frame.learned], categorical), y, unseen, classes=classes, folds=FOLDS, rng=rng)
    rest = frame.real.n - frame.learned
    return np.concatenate([judged.real, judged.synthetic[:rest]]), judged.synthetic[rest:]


def _classes(frame: _Frame, *, rng: np.random.Generator) -> JudgedLabels | Unmeasured:
    target, other = frame.real.known_target, frame.synthetic.known_target
    y, z, names = coded(target, other, least=LEAST_CLASS, most=MOST_CLASSES)
    learned = y[: frame.learned]
    counts = np.bincount(learned, minlength=2)
    if int(np.sort(counts)[-2]) < LEAST_CLASS:
        return Unmeasured(
            f"all but {learned.size - int(counts.max()):,} real rows have the same {target.name!r}",
            mend=f"give at least {LEAST_CLASS} rows of another class",
        )
    chances = _judged(frame, learned, classes=len(names), rng=rng)
    return JudgedLabels(frame.real, frame.synthetic, frame.places, (y, z), chances, names, frame.learned)


def _numbers(frame: _Frame, *, rng: np.random.Generator) -> JudgedLabels | Unmeasured:
    target, other = frame.real.known_target.values, frame.synthetic.known_target.values
    spread = float(np.subtract(*np.quantile(target, [0.995, 0.005])))
    if not np.isfinite(spread) or spread <= 0:
        name = frame.real.known_target.name
        return Unmeasured(f"{name!r} is constant in the real rows", mend="give rows in which the target varies")
    limits = np.quantile(target, [0.001, 0.999]) + np.array([-0.5, 0.5]) * spread
    y, z = (np.clip(t, *limits) for t in (target, other))
    chances = _judged(frame, y[: frame.learned], classes=0, rng=rng)
    return JudgedLabels(frame.real, frame.synthetic, frame.places, (y, z), chances, (), frame.learned)


def sights_of(judged: JudgedLabels) -> tuple[Sight, Sight]:
    """What can be seen of every label: for classes the implausible ones, for numbers the outliers."""
    if judged.names:
        a, b = (sight_of(p, t) for p, t in zip(judged.chances, judged.labels, strict=True))
        return a, b
    distances, reaches = scaled_residuals(judged), outlier_reach(judged)
    far = outlier_distance(judged)
    a, b = (
        Sight(np.full(d.size, OUTLIERS), np.abs(d) > far, r.sum(axis=0))
        for d, r in zip(distances, reaches, strict=True)
    )
    return a, b


def scaled_residuals(judged: JudgedLabels) -> tuple[Floats, Floats]:
    """[n] and [m] how far numbers lie above their predictions, in units usual at such predictions."""
    scales = _scales(judged)
    a, b = ((t - p) / s for t, p, s in zip(judged.labels, judged.chances, scales, strict=True))
    return a, b


def outlier_distance(judged: JudgedLabels) -> float:
    """The scaled distance that all but a few real numbers keep."""
    return float(np.quantile(np.abs(scaled_residuals(judged)[0]), 1 - OUTLIERS, method="inverted_cdf"))


def outlier_reach(judged: JudgedLabels) -> tuple[Floats, Floats]:
    """[2, n] and [2, m] chance that another row's number in its place would be an outlier, below and above."""
    far = outlier_distance(judged)
    a, b = _stand_ins(judged, (np.full(judged.real.n, far), np.full(judged.synthetic.n, far)))
    return a, b


def _stand_ins(judged: JudgedLabels, distances: tuple[Floats, Floats]) -> list[Floats]:
    """[2, n] and [2, m] chance that another row's number lies as far from a row's prediction, below and above."""
    ordered = np.sort(judged.labels[0])
    out: list[Floats] = []
    for predicted, scale, far in zip(judged.chances, _scales(judged), distances, strict=True):
        below = np.searchsorted(ordered, predicted - far * scale, side="left") / ordered.size
        above = 1 - np.searchsorted(ordered, predicted + far * scale, side="right") / ordered.size
        out.append(np.stack([below, above]))
    return out


def _scales(judged: JudgedLabels) -> tuple[Floats, Floats]:
    """[n] and [m] root mean square residual of real rows of such predictions."""
    strata = strata_of(*judged.chances)
    squares = np.square(judged.labels[0] - judged.chances[0])
    usual = np.sqrt(np.bincount(strata.real, weights=squares, minlength=strata.k) / np.maximum(strata.sizes()[0], 1))
    # No stratum may be so exact that rounding makes outliers.
    usual = np.maximum(usual, max(1e-12, 1e-3 * float(np.sqrt(squares.mean()))))
    return usual[strata.real], usual[strata.synthetic]


def suspicions(judged: JudgedLabels, *, share: float) -> tuple[Floats, Floats]:
    """[n] and [m] chance that a label is wrong, if this share of them are.

    By Bayes' rule, with wrong labels spread evenly over the other classes. For a number, the chance for all rows
    that lie as far out, with any other row's number in its place.

    Args:
        judged: the labels.
        share: 0..1, such as the estimate; the ranks do not hang on it.

    Source: label noise as a mixture, Angluin & Laird 1988; ranks by the given label's chance as in confident
        learning, Northcutt, Jiang & Chuang 2021, arXiv:1911.00068, but by models of real rows.
    """
    prior = min(max(share, 1e-4), 0.5)
    if not judged.names:
        real, made = (np.abs(d) for d in scaled_residuals(judged))
        stand_ins = _stand_ins(judged, (real, made))
        a, b = (_beyond(np.sort(real), d, s.sum(axis=0), prior) for d, s in zip((real, made), stand_ins, strict=True))
        return a, b
    a, b = (
        _wrong(np.maximum(p[np.arange(t.size), t], LEAST_GIVEN), prior, len(judged.names))
        for p, t in zip(judged.chances, judged.labels, strict=True)
    )
    return a, b


def _wrong(given: Floats, prior: float, classes: int) -> Floats:
    wrong = prior * (1 - given) / (classes - 1)
    return wrong / (wrong + (1 - prior) * given)


def _beyond(ordered: Floats, distance: Floats, stand_in: Floats, prior: float) -> Floats:
    """Chance of wrong among those as far out; beyond the farthest real residual the distance itself ranks."""
    kept = (ordered.size - np.searchsorted(ordered, distance, side="left") + 0.5) / (ordered.size + 1)
    kept = kept / np.maximum(1.0, distance / max(float(ordered[-1]), 1e-12))
    return prior * stand_in / np.maximum(prior * stand_in + (1 - prior) * kept, 1e-300)
