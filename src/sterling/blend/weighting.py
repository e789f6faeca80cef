"""How like the real rows each synthetic row is: a cross-fitted domain classifier and the weights that follow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sterling.kernel.schema import Role
from sterling.kernel.view import View
from sterling.stats.boosting import boost, encode, learn_codes, predict
from sterling.stats.conditional import TREES, dealt, feature_matrix
from sterling.stats.encoding import tree_matrix

if TYPE_CHECKING:
    from sterling.kernel.view import AnyArray, Bools, Floats

FOLDS = 4
# SCIENCE.md 3.7: no row counts for more than ten.
MOST_WEIGHT = 10.0
# The classifier learns from at most this many rows a side; all rows are judged.
MOST_ROWS = 20_000
LEAST_CHANCE = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class Realism:
    """What a classifier that never saw a row says of it.

    Args:
        chance: [m] calibrated chance, 0 to 1, that a synthetic row is real, were both kinds equally many.
        weights: [m] density of real over that of synthetic rows, cut at 10.
    """

    chance: Floats
    weights: Floats


def realism(real: View, synthetic: View, *, rng: np.random.Generator) -> Realism:
    """Importance weights of synthetic rows, each by a classifier that did not see it.

    Boosted trees tell real from synthetic rows by all columns, target included; each row is judged by the one
    of four models that was fitted without it; the scores are calibrated on the same held rows. With p the chance
    that a row is real, w = (n_s / n_r) p / (1 - p).

    Args:
        real: n rows.
        synthetic: m rows, encoded together with them.
        rng: deals the folds.

    Returns:
        Chances and weights; uninformed ones (1/2 and 1) where a side has fewer rows than folds.

    Source: Sugiyama, Suzuki & Kanamori 2012, Density Ratio Estimation, ch. 4; Platt 1999 for the calibration.
    """
    if min(real.n, synthetic.n) < FOLDS:
        return Realism(np.full(synthetic.n, 0.5), np.ones(synthetic.n))
    (x, categorical), (other, _) = (_with_target(v) for v in (real, synthetic))
    both, y = np.concatenate([x, other]), np.repeat([1, 0], [real.n, synthetic.n])
    coded = encode(learn_codes(both, categorical), both)
    fold, order = dealt(y, y.size, FOLDS, rng=rng), rng.permutation(y.size)
    shown = np.concatenate([order[y[order] == side][:MOST_ROWS] for side in (0, 1)])
    score = np.empty(y.size)
    for part in range(FOLDS):
        seen = shown[fold[shown] != part]
        model = boost(coded.take(seen), y[seen], classes=2, boosting=TREES)
        score[fold == part] = predict(model, coded.take(fold == part))[:, 1]
    chance = _calibrated(score, y)[real.n :]
    odds = chance / (1 - chance) * (synthetic.n / real.n)
    return Realism(odds / (1 + odds), np.minimum(odds, MOST_WEIGHT))


def _with_target(view: View) -> tuple[Floats, Bools]:
    """All that a learner learns from, its target among it."""
    (x, categorical), (y, of_target) = feature_matrix(view, view.features), tree_matrix(view.with_role(Role.TARGET))
    return np.concatenate([x[: view.n], y[: view.n]], axis=1), np.concatenate([categorical, of_target])


def _calibrated(score: Floats, y: AnyArray) -> Floats:
    """[n] chances of y = 1: a logistic curve of the held scores' log odds, its slope shrunk to none a little."""
    from sklearn.linear_model import LogisticRegression

    bounded = np.clip(score, LEAST_CHANCE, 1 - LEAST_CHANCE)
    logit = np.log(bounded / (1 - bounded))[:, None]
    fitted = LogisticRegression(C=1.0).fit(logit, y)
    return np.clip(fitted.predict_proba(logit)[:, 1], LEAST_CHANCE, 1 - LEAST_CHANCE)
