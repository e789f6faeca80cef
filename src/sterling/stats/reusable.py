"""A benchmark that may be asked again: the Ladder, Thresholdout, and what repeated asking can fake."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from sterling.kernel.view import Floats

# Standard errors that a new best must exceed. The parameter-free Ladder takes 1; at 2, one question in 44 that gained
# nothing passes for a gain instead of one in 6, and an honest climber waits little longer (docs/benchmark.md).
STEP = 2.0
# Thresholdout's threshold and noise in units of 1 / sqrt(n): .04 and .01 at n = 10,000, as in the authors' experiment.
THRESHOLD = 4.0
NOISE = 1.0
# A vote for the side of a coin that the benchmark liked is right this many times 1 / sqrt(n) more often than wrong:
# E|Z| of a standard normal.
EDGE = math.sqrt(2 / math.pi)


@dataclass(frozen=True, slots=True)
class Rung:
    """What the Ladder answers.

    Args:
        improved: whether this is a new best, beyond the step that noise can make.
        best: the best score so far, this one included, rounded to 1 / n; larger is better.
        gain: over the best before; None for the first, and where nothing is told because nothing was gained.
        step: what the gain had to exceed; 0 for the first.
    """

    improved: bool
    best: float
    gain: float | None
    step: float


def ladder(best: Floats | None, now: Floats, *, factor: float = STEP) -> Rung:
    """Answer one question about a benchmark by the parameter-free Ladder.

    Whoever asks learns whether the best so far was beaten by more than chance, and nothing else: k questions then
    fake a gain that grows with log k, where plain scores let it grow with sqrt(k).

    Args:
        best: [n] the score of each row under the best model so far; None if this is the first question.
        now: [n] the same rows under the model that is asked about, in the same order; the mean is the score.
        factor: standard errors of the paired difference that a new best must exceed.

    Returns:
        The best score so far; larger is better.

    Raises:
        ValueError: if the two differ in length, or `now` is empty or not finite.

    Source: Blum & Hardt 2015, "The Ladder", arXiv:1502.04585, figure 3 (there factor = 1).

    >>> easy, better = np.array([0.0, 1.0] * 50), np.array([0.5, 1.0] * 50)
    >>> ladder(None, easy).best, ladder(easy, better).improved, ladder(easy, easy).improved
    (0.5, True, False)
    """
    if now.ndim != 1 or not now.size or not np.isfinite(now).all():
        raise ValueError("a question needs one finite score for each row")
    if best is None:
        return Rung(improved=True, best=_rounded(float(now.mean()), now.size), gain=None, step=0.0)
    if best.shape != now.shape:
        raise ValueError(f"the best so far has {best.size} rows, this one {now.size}")
    return climb(float(best.mean()), float(now.mean()), n=now.size, error=paired_error(best, now), factor=factor)


def climb(best: float, now: float, *, n: int, error: float, factor: float = STEP) -> Rung:
    """The same from scores alone, where the standard error of their difference is known.

    Args:
        best: the best score so far.
        now: the score that is asked about.
        n: rows of the benchmark.
        error: standard error of the difference, 0 or more; infinite where nothing is known of it.
        factor: as in `ladder`.
    """
    step, gain = factor * error, now - best
    improved = gain > step
    return Rung(improved, _rounded(now if improved else best, n), gain if improved else None, step)


def paired_error(a: Floats, b: Floats) -> float:
    """Standard error of the difference of two means over the same rows; infinite for a single row."""
    return float((b - a).std(ddof=1) / math.sqrt(a.size)) if a.size > 1 else math.inf


@dataclass(frozen=True, slots=True)
class Thresholdout:
    """The state of Thresholdout between two questions.

    Args:
        threshold: how far a score on train rows may lie from the benchmark's before the benchmark speaks.
        noise: scale of the noise on what the benchmark says.
        budget: how often the benchmark may still speak.
        shift: the noise on the threshold, drawn anew whenever the benchmark has spoken; None before the first.
    """

    threshold: float
    noise: float
    budget: int
    shift: float | None = None

    @classmethod
    def for_rows(cls, n: int) -> Thresholdout:
        """Threshold 4 / sqrt(n), noise 1 / sqrt(n), and a budget of n / 16 answers, at least 1."""
        root = math.sqrt(max(n, 1))
        return cls(THRESHOLD / root, NOISE / root, max(1, n // 16))

    def ask(self, train: float, benchmark: float, *, rng: np.random.Generator) -> tuple[float | None, Thresholdout]:
        """Answer one question.

        Args:
            train: the mean score on train rows, in [0, 1].
            benchmark: the same on the benchmark.
            rng: noise that who asks must not know.

        Returns:
            The train score where the benchmark agrees with it, else the benchmark's score with noise, None once
            the budget is spent; and the state for the next question.

        Source: Dwork et al. 2015, "The reusable holdout", Science 349:636, algorithm Thresholdout.
        """
        shift = float(rng.laplace(scale=2 * self.noise)) if self.shift is None else self.shift
        if self.budget < 1:
            return None, self
        doubt = float(rng.laplace(scale=4 * self.noise))
        if abs(benchmark - train) <= self.threshold + shift + doubt:
            return train, replace(self, shift=shift)
        said = benchmark + float(rng.laplace(scale=self.noise))
        return said, replace(self, budget=self.budget - 1, shift=float(rng.laplace(scale=2 * self.noise)))


def fakeable(questions: int, rows: int) -> float:
    """The gain that somebody can show who learnt nothing, and only kept what the benchmark liked.

    He asks about coin flips, turns those round that scored below one half, and lets them vote. This is the known
    attack, not a worst case; `sources.journal.wear` has that.

    Args:
        questions: different questions that were answered in full, k.
        rows: of the benchmark, n.

    Returns:
        A gain in share of rows right, 0 to .5; smaller is better.

    Source: each vote is right with probability 1/2 + E|Z| / (2 sqrt(n)), Z standard normal, and k of them sum up
        (de Moivre-Laplace); the attack is Blum & Hardt 2015, section 4.

    >>> round(fakeable(100, 10_000), 3), fakeable(0, 100)
    (0.032, 0.0)
    """
    from scipy.special import ndtr

    return float(ndtr(EDGE * math.sqrt(max(questions, 0) / max(rows, 1)))) - 0.5


def rows_to_bear(questions: int, *, gain: float) -> int:
    """Rows at which that many questions can fake no more than `gain`.

    Args:
        questions: different questions answered in full.
        gain: what must not be faked, between 0 and .5.

    >>> rows_to_bear(8, gain=0.05), rows_to_bear(0, gain=0.05)
    (323, 0)
    """
    from scipy.special import ndtri

    return math.ceil(questions * (EDGE / float(ndtri(0.5 + min(gain, 0.499)))) ** 2)


def _rounded(score: float, n: int) -> float:
    """The score to the nearest 1 / n: finer digits would tell more of single rows than of the model."""
    return round(score * n) / n
