"""How far predictions are from what comes true, free of the error that mere sampling shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sterling.stats.slices import quantile_edges

if TYPE_CHECKING:
    from sterling.kernel.view import AnyArray, Floats

BINS = 10
# Fewer rows than this in a bin say little of its gap.
ROWS_A_BIN = 30


def equal_mass_bins(predictions: Floats) -> tuple[AnyArray, int]:
    """[n] bin of each prediction, by quantiles of the predictions, and how many bins there are; 10 at most."""
    edges = quantile_edges(predictions, int(np.clip(predictions.size // ROWS_A_BIN, 1, BINS)))
    return np.searchsorted(edges, predictions, side="left"), edges.size + 1


def calibration_errors(outcomes: Floats, predictions: Floats, counts: AnyArray | None = None) -> tuple[Floats, Floats]:
    """Root mean squared calibration error, and calibration in the large.

    Args:
        outcomes: [n] zeros and ones, or numbers.
        predictions: [n] of the same unit.
        counts: [n, draws] how often each row is drawn; None for every row once.

    Returns:
        [draws] square root of the mean over bins of the squared gap between outcome and prediction, less
        what the variance within bins adds to it (twice where rows are resampled, for resampling adds it
        once more), 0 or more; and [draws] mean prediction minus mean outcome, signed. 0 is ideal.

    Source: Kumar, Liang & Ma 2019, arXiv:1909.10155, for the debiased estimator; Broecker 2012.

    >>> y = np.array([0.0, 1.0] * 50)
    >>> error, large = calibration_errors(y, np.full(100, 0.75))
    >>> round(float(large[0]), 2), round(float(error[0]), 3)
    (0.25, 0.245)
    """
    codes, k = equal_mass_bins(predictions)
    residuals = outcomes - predictions
    inside = (codes[None, :] == np.arange(k)[:, None]).astype(np.float32)
    heavy = np.ones((residuals.size, 1), dtype=np.float32) if counts is None else counts
    n, total, square = (
        ((inside * weights.astype(np.float32)) @ heavy).astype(np.float64)
        for weights in (np.ones(residuals.size), residuals, np.square(residuals))
    )
    size = np.maximum(n, 1.0)
    gap = total / size
    noise = np.maximum(square / size - np.square(gap), 0.0) / np.maximum(n - 1, 1.0)
    share = n / residuals.size
    mean_square = (share * (np.square(gap) - (1 if counts is None else 2) * noise)).sum(axis=0)
    return np.sqrt(np.maximum(mean_square, 0.0)), -total.sum(axis=0) / residuals.size


def calibration_slope(outcomes: Floats, predictions: Floats) -> float | None:
    """Slope of outcomes on predictions: 1 is ideal, below 1 predictions are too extreme; None if they are constant."""
    centred = predictions - predictions.mean()
    spread = float(centred @ centred)
    return float(centred @ (outcomes - outcomes.mean())) / spread if spread > 0 else None
