"""Linear models held to a start: the most likely coefficients under a Gaussian prior centred on given ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from sterling.kernel.view import AnyArray, Floats


def anchored(
    x: Floats,
    y: AnyArray,
    weights: Floats,
    coefficients: Floats,
    intercept: Floats,
    *,
    firm: float,
    loose: float,
    classes: int,
    iterations: int,
) -> tuple[Floats, Floats]:
    """Coefficients that explain new rows, pulled towards those of a start.

    Minimises the weighted sum of log losses (half squared errors for a number) plus `firm` / 2 times the squared
    distance from the start's coefficients, and `loose` / 2 times that from its intercept.

    Args:
        x: [n, d] features.
        y: [n] classes 0 ... classes - 1, or numbers.
        weights: [n] >= 0.
        coefficients: [d, s] of the start; s is 1 for two classes or a number, else the number of classes.
        intercept: [s] of the start.
        firm: precision of the prior, in rows; infinite leaves the start as it is.
        loose: the same for the intercept: base rates differ more than relations do.
        classes: how many; 0 for a number.
        iterations: of the solver at most.

    Returns:
        [d, s] and [s].

    Source: maximum a posteriori adaptation, Chelba & Acero 2006.
    """
    from scipy.optimize import minimize

    if not np.isfinite(firm) or not weights.sum() > 0:
        return coefficients, intercept
    begin = np.vstack([intercept, coefficients])
    if not classes:
        return _nearest(x, y, weights, begin, firm=firm, loose=loose)
    wide = np.c_[np.ones(x.shape[0]), x]
    pull = np.r_[loose, np.full(x.shape[1], firm)][:, None]

    def loss(flat: Floats) -> tuple[float, Floats]:
        now = flat.reshape(begin.shape)
        value, slope = _log_loss(wide @ now, y, weights)
        away = now - begin
        return value + 0.5 * float((pull * away * away).sum()), (wide.T @ slope + pull * away).ravel()

    found = minimize(loss, begin.ravel(), jac=True, method="L-BFGS-B", options={"maxiter": iterations})
    best = np.asarray(found.x, dtype=np.float64).reshape(begin.shape)
    return best[1:], best[0]


def told(x: Floats, y: AnyArray, weights: Floats, coefficients: Floats, intercept: Floats, *, classes: int) -> float:
    """Weighted sum of the log losses, or half squared errors, of a model on rows; smaller is better."""
    linear = x @ coefficients + intercept
    if not classes:
        return 0.5 * float(weights @ np.square(y - linear[:, 0]))
    return _log_loss(linear, y, weights)[0]


def surely(gains: Floats) -> bool:
    """Whether to leave a start: the gain over the folds exceeds its standard error.

    Args:
        gains: [folds] loss of the start minus loss of what would replace it; one fold is taken at its word.

    Source: the one-standard-error rule, Breiman et al. 1984.
    """
    spread = float(gains.std(ddof=1) / np.sqrt(gains.size)) if gains.size > 1 else 0.0
    return bool(gains.size and gains.mean() > spread)


def _log_loss(linear: Floats, y: AnyArray, weights: Floats) -> tuple[float, Floats]:
    """The weighted sum of log losses, and [n, s] its slope in the raw scores."""
    if linear.shape[1] == 1:  # two classes share one score
        margin = np.where(y == 1, linear[:, 0], -linear[:, 0])
        chance = 1.0 / (1.0 + np.exp(np.clip(margin, -700.0, 700.0)))
        return float(weights @ np.logaddexp(0.0, -margin)), (np.where(y == 1, -chance, chance) * weights)[:, None]
    above = linear - linear.max(axis=1, keepdims=True)
    total = np.exp(above).sum(axis=1)
    rows = np.arange(y.size)
    chance = np.exp(above) / total[:, None]
    chance[rows, y] -= 1.0
    return float(weights @ (np.log(total) - above[rows, y])), chance * weights[:, None]


def _nearest(
    x: Floats, y: AnyArray, weights: Floats, begin: Floats, *, firm: float, loose: float
) -> tuple[Floats, Floats]:
    """Ridge regression of what the start leaves unsaid."""
    wide = np.c_[np.ones(x.shape[0]), x]
    left = y - (wide @ begin)[:, 0]
    gram = (wide * weights[:, None]).T @ wide + np.diag(np.r_[loose, np.full(x.shape[1], firm)])
    step = np.linalg.solve(gram, (wide * weights[:, None]).T @ left)
    return begin[1:] + step[1:, None], begin[0] + step[:1]
