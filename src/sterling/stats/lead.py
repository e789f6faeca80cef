"""Whether records look later than the time they claim, by what real records of each time look like."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sterling.stats.bounds import two_sample_dkw
from sterling.stats.dependence import cross_counts, starts_of

if TYPE_CHECKING:
    from sterling.kernel.view import AnyArray, Floats, Ints

# Ridge in rows: a code that a handful of rows hold says little of time.
RIDGE = 5.0
PERIODS = 20
LEAST_IN_PERIOD = 25
GRID = 500


@dataclass(frozen=True, slots=True, eq=False)
class Lead:
    """How much later than claimed records look.

    Args:
        share: the largest excess of synthetic records above any level of "looks late for its time": at least so
            many of them carry what came later; 0 to 1.
        n: real records, in effect: fewer where synthetic times lie in periods of few real ones.
        m: synthetic records.
        lateness: [m] how late each looks for its time: the share of real records that look earlier, 0 to 1.
        skill: correlation of real records' times with what their columns tell of it, out of fold.
        by_column: [c] how much later each column makes the synthetic records look, as a share of the time range
            by rank.
    """

    share: float
    n: float
    m: int
    lateness: Floats
    skill: float
    by_column: Floats

    def slack(self, *, alpha: float) -> float:
        """How far the share may stray by chance, on one side."""
        return two_sample_dkw(max(1, int(self.n)), self.m, alpha=alpha)

    def no_lead(self) -> float:
        """What two samples of these sizes differ by where there is no lead: the mean of a one-sided bridge."""
        return float(np.sqrt(np.pi / 8) * np.sqrt(1 / max(self.n, 1.0) + 1 / self.m))


def lead(
    real: Sequence[AnyArray],
    synthetic: Sequence[AnyArray],
    widths: Sequence[int],
    times: tuple[Floats, Floats],
    *,
    rng: np.random.Generator,
) -> Lead:
    """Compare how late synthetic and real records look at the same time.

    A ridge regression of the time's rank on all columns' codes, fitted on one half of the real records,
    guesses the time of the other half and of the synthetic records. A guess's residual from the mean guess at
    its claimed time says how late it looks; the real half counts as synthetic records fall into its periods, and both
    halves take both parts.

    Args:
        real: per column, [n] codes.
        synthetic: per column, [m] codes.
        widths: per column, how many codes.
        times: [n] real and [m] synthetic times, none missing, the synthetic ones within the range of the real.
        rng: deals the halves.

    Source: a one-sided two-sample Smirnov statistic of residuals, weighted by period.
    """
    n, m = times[0].size, times[1].size
    rank = np.argsort(np.argsort(times[0], kind="stable"), kind="stable") / n
    half = rng.permutation(n) % 2 == 0
    lateness, guesses, by_column = np.zeros(m), np.zeros(n), np.zeros(len(widths))
    above, weight = np.zeros(GRID), 0.0
    for fit in (half, ~half):
        weights = _ridge([c[fit] for c in real], widths, rank[fit])
        parts = [_parts([c[~fit] for c in real], widths, weights), _parts(synthetic, widths, weights)]
        guesses[~fit] = parts[0].sum(axis=1)
        edges = _edges(times[0][~fit])
        periods = [np.searchsorted(edges, t, side="left") for t in (times[0][~fit], times[1])]
        rests = _residuals(parts, (times[0][~fit], times[1]), periods, edges.size + 1)
        counts = [np.bincount(p, minlength=edges.size + 1) for p in periods]
        # Real records count as synthetic ones fall into their periods.
        each = (counts[1] / np.maximum(counts[0], 1))[periods[0]]
        each /= each.sum()
        place = _places(rests, each)
        lateness += place[1] / 2
        above += (_survival(place[1], np.full(m, 1 / m)) - _survival(place[0], each)) / 2
        weight += float(np.square(each).sum()) / 4
        by_column += _shift(parts, periods, counts) / 2
    known = np.std(guesses) > 0 and np.std(rank) > 0
    skill = float(np.corrcoef(guesses, rank)[0, 1]) if known else 0.0
    return Lead(max(0.0, float(above.max())), 1 / max(weight, 1e-12), m, lateness, skill, by_column)


def _ridge(codes: Sequence[AnyArray], widths: Sequence[int], rank: Floats) -> Floats:
    """[k] weight of each code."""
    starts, centred = starts_of(widths), rank - rank.mean()
    gram = cross_counts(codes, widths)
    products = np.concatenate(
        [np.bincount(c, weights=centred, minlength=w) for c, w in zip(codes, widths, strict=True)]
    )
    weights: Floats = np.linalg.solve(gram + RIDGE * np.eye(int(starts[-1])), products).astype(np.float64)
    return weights


def _parts(codes: Sequence[AnyArray], widths: Sequence[int], weights: Floats) -> Floats:
    """[n, c] what each column adds to the guess."""
    starts = starts_of(widths)
    return np.stack([weights[start + code] for start, code in zip(starts[:-1], codes, strict=True)], axis=1)


def _edges(times: Floats) -> Floats:
    """Upper ends of periods of about equal size, all but the last."""
    periods = max(1, min(PERIODS, times.size // LEAST_IN_PERIOD))
    edges = np.unique(np.quantile(times, np.arange(1, periods) / periods, method="inverted_cdf"))
    return edges[edges < times.max()]


def _residuals(
    parts: list[Floats], times: tuple[Floats, Floats], periods: list[AnyArray], k: int
) -> tuple[Floats, Floats]:
    """Guesses less the real mean guess at that time, a line between the means of periods."""
    guess = [p.sum(axis=1) for p in parts]
    size = np.maximum(np.bincount(periods[0], minlength=k), 1)
    mean = np.bincount(periods[0], weights=guess[0], minlength=k) / size
    centre = np.bincount(periods[0], weights=times[0], minlength=k) / size
    a, b = (g - np.interp(t, centre, mean) for g, t in zip(guess, times, strict=True))
    return a, b


def _places(rests: tuple[Floats, Floats], each: Floats) -> tuple[Floats, Floats]:
    """[n] and [m] weight of the real residuals at or below each residual, 0 to 1."""
    order = np.argsort(rests[0], kind="stable")
    below = np.append(0.0, np.cumsum(each[order]))
    real, synthetic = (below[np.searchsorted(rests[0][order], rest, side="right")] for rest in rests)
    return real, synthetic


def _survival(places: Floats, weights: Floats) -> Floats:
    """[g] weight of places above each point of a grid from 0 to 1."""
    cells = np.minimum((places * GRID).astype(np.int64), GRID - 1)
    share: Floats = np.bincount(cells, weights=weights, minlength=GRID).astype(np.float64)
    return np.cumsum(share[::-1])[::-1]


def _shift(parts: list[Floats], periods: list[AnyArray], counts: list[Ints]) -> Floats:
    """[c] mean difference of each column's part within periods, as the synthetic records fall into them."""
    k, total = counts[0].size, np.zeros(parts[0].shape[1])
    for c in range(parts[0].shape[1]):
        sums = [np.bincount(p, weights=x[:, c], minlength=k) for p, x in zip(periods, parts, strict=True)]
        means = [s / np.maximum(n, 1) for s, n in zip(sums, counts, strict=True)]
        total[c] = float((counts[1] * (means[1] - means[0])).sum() / counts[1].sum())
    return total
