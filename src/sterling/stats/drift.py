"""What happens to a small share of the data when models are trained on what models made: drift, shrinkage, injection.

`rho` is the share of its mass that a slice keeps in one generation, 0 (gone) to 1 (kept).
"""

from __future__ import annotations

import math
from typing import Literal

from scipy.special import gammaincinv, psi

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


def kept(rhos: tuple[float, float], generations: int, *, mode: Mode, fresh: float = 0.0, real: float = 1.0) -> float:
    """Share of a slice's mass in the output of the last generation.

    Args:
        rhos: what the first generation keeps of what it was fitted on, and what each later one keeps of it.
        generations: T >= 1.
        mode: "replace" fits on the last output; "accumulate" and "budget" on the real rows and all outputs, each row
            weighing the same; "inject" on the last output in which a share `fresh` is real.
        fresh: share of real rows, 0 to 1; for "inject" alone.
        real: real rows over the rows of one output, above 0; for "accumulate" and "budget" alone.

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
            trained += (made - trained) / (step + real)
        else:
            lam = fresh if mode == "inject" else 0.0
            trained = lam + (1 - lam) * made
        made = rhos[1] * trained
    return made


def second_rho(first: float, second: float, *, mode: Mode, fresh: float = 0.0, real: float = 1.0) -> float:
    """What the second generation keeps of what it was fitted on.

    Args:
        first: share of the real mass in the first output.
        second: the same in the second.
        mode: as in `kept`.
        fresh: as in `kept`.
        real: as in `kept`.

    Returns:
        0 or more; 0 where nothing was left to keep.
    """
    if mode in ("accumulate", "budget"):
        trained = (real + first) / (real + 1)
    else:
        lam = fresh if mode == "inject" else 0.0
        trained = lam + (1 - lam) * first
    return second / trained if trained > 0 else 0.0


def slowing(first: float, second: float, generations: int, *, mode: Mode, real: float = 1.0) -> float:
    """How many different things are left, as a share, when they are lost to luck alone: ever more slowly.

    Lines of descent merge in pairs, so that one over their number grows evenly:
    1/S_T = 1/S_1 + (T - 1) (1/S_2 - 1/S_1).
    Where the real rows stay in the training data the steps shrink as one over the square of its rows.

    Args:
        first: share after the first generation, above 0 to 1.
        second: share after the second.
        generations: T >= 2.
        mode: as in `kept`.
        real: as in `kept`.

    Source: Kingman 1982, "The coalescent"; the steps under accumulation as in Gerstgrasser et al. 2024.

    >>> round(slowing(0.632, 0.48, 6, mode="replace"), 3)
    0.245
    """
    if min(first, second) <= 0:
        return 0.0
    step = max(0.0, 1 / second - 1 / first)
    ahead = range(2, generations + 1)
    pooled = mode in ("accumulate", "budget")
    steps = sum(((real + 1) / (real + i - 1)) ** 2 for i in ahead) if pooled else len(ahead)
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


def fresh_share(keep: float, rho: float) -> float | None:
    """The share of fresh real rows with which the output keeps a slice at `keep` of its mass for ever.

    The output has rho S* where the training data have S* = `stable_share`: fitted on real rows alone, it has rho.

    Args:
        keep: share of its mass that the slice shall have in the output, above 0, below 1.
        rho: what each generation keeps of what it is fitted on.

    Returns:
        lam = keep (1 - rho) / (rho (1 - keep)), which solves rho S*(lam) = keep, 0 to 1; None where rho is below
        `keep`: no injection reaches it.

    >>> [lam and round(lam, 3) for lam in (fresh_share(0.8, 0.9), fresh_share(0.9, 0.99), fresh_share(0.8, 0.79))]
    [0.444, 0.091, None]
    """
    if rho < keep:
        return None
    return 0.0 if rho >= 1 else min(1.0, keep * (1 - rho) / (rho * (1 - keep)))


def kept_rate(made: int, due: float, *, alpha: float) -> tuple[float, float, float]:
    """What a generator keeps of what it is fitted on, from rows that came and rows that were due.

    Args:
        made: rows of the slice in all outputs.
        due: as many as came if each output had the share of the data that it was fitted on, above 0.
        alpha: chance of an error on each side.

    Returns:
        rho and its exact Poisson bounds (a little wide: the rows are binomial).

    Source: Garwood 1936, Biometrika 28:437.

    >>> [round(x, 2) for x in kept_rate(80, 100, alpha=0.025)]
    [0.8, 0.63, 1.0]
    """
    low = float(gammaincinv(made, alpha)) if made else 0.0
    return made / due, low / due, float(gammaincinv(made + 1, 1 - alpha)) / due


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
