"""What happens to a small share of the data when models are trained on what models made: drift, shrinkage, injection.

`rho` is the share of its mass that a slice keeps in one generation, 0 (gone) to 1 (kept).
"""

from __future__ import annotations

import math
from typing import Literal

from scipy.special import psi

Mode = Literal["replace", "accumulate", "budget", "inject"]


def extinct_by(rows: float, generations: int) -> float:
    """Chance that a class is gone, by the diffusion law exp(-2k/t).

    Args:
        rows: rows of the class in each generation's data, k > 0.
        generations: t >= 1.

    Returns:
        0 to 1; a little too low while t < k / 2.

    Source: Feller 1951, "Diffusion processes in genetics"; Kimura 1955.

    >>> round(extinct_by(10, 20), 3)
    0.368
    """
    return math.exp(-2 * rows / generations)


def extinct_exact(rows: int, generations: int) -> float:
    """Chance that a rare class is gone after so many draws with replacement, each generation from the last.

    Args:
        rows: rows of the class at the start, few beside all rows.
        generations: how many times a new set is drawn.

    Returns:
        0 to 1; exact in the limit of a rare class, where its count is a branching process with Poisson offspring.

    Source: Watson & Galton 1875; Harris 1963, The Theory of Branching Processes, ch. I.

    >>> round(extinct_exact(10, 20), 3)
    0.4
    """
    gone = 0.0
    for _ in range(generations):
        gone = math.exp(gone - 1)
    return gone**rows


def median_lifetime(rows: float) -> float:
    """Generations after which half of the classes of so many rows are gone: 2k / ln 2.

    >>> round(median_lifetime(10), 1)
    28.9
    """
    return 2 * rows / math.log(2)


def kept(rhos: tuple[float, float], generations: int, *, mode: Mode, fresh: float = 0.0) -> float:
    """Share of a slice's mass in the output of the last generation.

    Args:
        rhos: what the first generation keeps of what it was fitted on, and what each later one keeps of it.
        generations: T >= 1.
        mode: "replace" fits on the last output; "accumulate" and "budget" on the real rows and all outputs, equally
            weighted; "inject" on the last output in which a share `fresh` is real.
        fresh: share of real rows, 0 to 1; for "inject" alone.

    Returns:
        0 to 1 where both rhos are; rho1 rho2^(T-1) under "replace".

    Source: replace and inject, SCIENCE.md 2a; accumulate from its mean over generations, as in Gerstgrasser et al.
        2024, arXiv:2404.01413.

    >>> kept((0.9, 0.5), 3, mode="replace"), round(kept((0.5, 0.5), 2, mode="accumulate"), 3)
    (0.225, 0.375)
    """
    made = rhos[0]
    trained = 1.0
    for step in range(1, generations):
        if mode in ("accumulate", "budget"):
            trained += (made - trained) / (step + 1)
        else:
            real = fresh if mode == "inject" else 0.0
            trained = real + (1 - real) * made
        made = rhos[1] * trained
    return made


def second_rho(first: float, second: float, *, mode: Mode, fresh: float = 0.0) -> float:
    """What the second generation keeps of what it was fitted on.

    Args:
        first: share of the real mass in the first output.
        second: the same in the second.
        mode: as in `kept`.
        fresh: as in `kept`.

    Returns:
        0 or more; 0 where nothing was left to keep.
    """
    if mode in ("accumulate", "budget"):
        trained = (1 + first) / 2
    else:
        real = fresh if mode == "inject" else 0.0
        trained = real + (1 - real) * first
    return second / trained if trained > 0 else 0.0


def slowing(first: float, second: float, generations: int, *, mode: Mode) -> float:
    """How many different things are left, as a share, when they are lost to luck alone: ever more slowly.

    Lines of descent merge in pairs, so that one over their number grows evenly:
    1/S_T = 1/S_1 + (T - 1) (1/S_2 - 1/S_1).
    Where the real rows stay in the training data the steps shrink as 1/i^2.

    Args:
        first: share after the first generation, above 0 to 1.
        second: share after the second.
        generations: T >= 2.
        mode: as in `kept`.

    Source: Kingman 1982, "The coalescent"; the steps under accumulation as in Gerstgrasser et al. 2024.

    >>> round(slowing(0.632, 0.48, 6, mode="replace"), 3)
    0.245
    """
    if min(first, second) <= 0:
        return 0.0
    step = max(0.0, 1 / second - 1 / first)
    ahead = range(2, generations + 1)
    steps = sum(4 / i**2 for i in ahead) if mode in ("accumulate", "budget") else len(ahead)
    return min(1.0, 1 / (1 / first + step * steps))


def stable_share(fresh: float, rho: float) -> float:
    """Share of a slice's mass that is left in the training data for ever, with a share of fresh real rows.

    Args:
        fresh: lam, share of real rows in each generation's training data, 0 to 1.
        rho: what each generation keeps.

    Returns:
        S* = lam / (1 - (1 - lam) rho), 0 to 1.

    Source: SCIENCE.md 2a.

    >>> round(stable_share(0.2, 0.9), 3)
    0.714
    """
    gap = 1 - (1 - fresh) * rho
    return 1.0 if gap <= 0 else min(1.0, fresh / gap)


def fresh_share(keep: float, rho: float) -> float:
    """The share of fresh real rows that keeps a slice at `keep` of its mass: the inverse of `stable_share`.

    >>> round(fresh_share(0.9, 0.9), 2), round(fresh_share(0.9, 0.99), 3)
    (0.47, 0.083)
    """
    if rho >= 1:
        return 0.0
    return keep * (1 - rho) / (1 - keep * rho) if keep * rho < 1 else 1.0


def regression_error(noise: float, width: int, rows: int, generation: int, *, mode: Mode) -> float:
    """Expected excess error of linear regression fitted on its own predictions.

    Args:
        noise: variance of the labels about the truth, added anew in each generation.
        width: columns, d.
        rows: rows a generation, T > d + 1.
        generation: how many models were fitted one upon another, 1 for the first.
        mode: "replace" grows without end; the others stay below pi^2 / 6 times the first.

    Source: Gerstgrasser et al. 2024, arXiv:2404.01413, theorems 1 and 2.

    >>> round(regression_error(1.0, 10, 111, 4, mode="replace"), 3)
    0.4
    >>> round(regression_error(1.0, 10, 111, 4, mode="accumulate"), 3)
    0.142
    """
    one = noise * width / (rows - width - 1)
    return one * generation if mode == "replace" else one * sum(1 / i**2 for i in range(1, generation + 1))


def gaussian_variance(rows: int, generations: int) -> tuple[float, float]:
    """Mean and median share of its variance that a fitted Gaussian has left, each refitted on the last one's sample.

    The mean falls slowly while nearly every chain falls fast: a few wide ones carry it.

    Args:
        rows: rows a generation, at least 2.
        generations: how many refits.

    Source: the maximum-likelihood variance is a chi-squared share, so that its logarithm drifts; Shumailov et al.
        2024, Nature 631:755.

    >>> [round(x, 2) for x in gaussian_variance(50, 50)]
    [0.36, 0.13]
    """
    drift = float(psi((rows - 1) / 2)) + math.log(2 / rows)
    return (1 - 1 / rows) ** generations, math.exp(generations * drift)
