"""What an attacker gains: success on training rows against success on people who were never in the data.

Every attack here has a control group. An attack may do well because the data tell about everybody, which is
what data are for; only what it gains on training rows beyond the control group is a leak.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import betainc, betaincc, expit, logit

from sterling.kernel.schema import Kind, Role
from sterling.kernel.view import Column, View
from sterling.stats.neighbours import ranks
from sterling.stats.proportions import exact_bounds

if TYPE_CHECKING:
    from sterling.kernel.protocols import Effort
    from sterling.kernel.view import AnyArray, Bools, Floats, Ints

# Fewer rows than this in a group, and no attack says anything.
LEAST_ROWS = 30
# Rows attacked in each group: the difference of two shares is known to within .022 (95 %), .044 for 1,000.
ATTACKED = {"full": 4_000, "fast": 1_000}
LEAST_ATTACKED = 200
# Where the holdout is the smaller part, so many times more training rows are attacked: of a split of 80 to 20 the
# difference of two shares is then known 1.26 times better. More would gain no more than another 12 %.
MOST_TIMES = 4
# Synthetic rows that the attacker searches, and columns that he compares.
SEARCHED = {"full": 20_000, "fast": 10_000}
MOST_COLUMNS = 60
# Cells that one search may compare: 8,000 rows against 20,000 of 15 columns are 2.4e9.
MOST_WORK = 4e9


@dataclass(frozen=True, slots=True, eq=False)
class Arms:
    """The two groups that are attacked, and what the attacker holds.

    Args:
        members: training rows, as many as the others or more.
        others: k holdout rows, people who were never in the data.
        published: the synthetic rows that the attacker searches.
        member_rows: positions of the members among the training rows.
        published_rows: [m] positions of `published` among the synthetic rows.
    """

    members: View
    others: View
    published: View
    member_rows: Ints
    published_rows: Ints

    @property
    def n(self) -> int:
        """Training rows that are attacked: the first of `both`."""
        return self.members.n

    @property
    def k(self) -> int:
        """Strangers that are attacked likewise."""
        return self.others.n

    @property
    def attacked(self) -> str:
        """Words that say how many."""
        if self.n == self.k:
            return f"{self.k:,} rows of each group were attacked"
        return f"{self.n:,} training rows and {self.k:,} others were attacked"

    @property
    def both(self) -> tuple[Column, ...]:
        """The columns of members and others, one under another."""
        return tuple(
            replace(a, values=np.concatenate([a.values, b.values]))
            for a, b in zip(self.members.columns or (), self.others.columns or (), strict=True)
        )

    def share_searched(self, synthetic: View) -> str:
        """Words that say what was left out, empty where nothing was."""
        left = synthetic.n - self.published.n
        return f" It searched {self.published.n:,} of {synthetic.n:,} synthetic rows." if left else ""


def arms(
    real: View, synthetic: View, holdout: View, *, effort: Effort, searches: float = 1.0, rng: np.random.Generator
) -> Arms:
    """Draw whom to attack, and cut what would cost too much.

    No attack compares a person with others of its own group, so groups of different size are as fair as equal ones,
    and all the training rows that are there tell more of the attack's success than as many as there are strangers.

    Args:
        real: training rows, at least 1.
        synthetic: published rows, at least 1.
        holdout: real rows that the generator never saw, at least 1.
        effort: "fast" attacks fewer rows.
        searches: how many searches of the whole width will be made; more of them attack fewer rows.
        rng: draws rows, and columns of tables wider than 60.

    Returns:
        Both groups; of the training rows up to four times as many as of the others where the work allows it. Weights
        are no part of a record and are left out.
    """
    columns = [i for i, c in enumerate(real.columns or ()) if c.role is not Role.WEIGHT]
    if len(columns) > MOST_COLUMNS:
        columns = sorted(int(i) for i in rng.permutation(columns)[:MOST_COLUMNS])
    m = min(synthetic.n, SEARCHED[effort])
    affordable = MOST_WORK / (2 * m * max(1, len(columns)) * searches)
    each = max(LEAST_ATTACKED, int(min(ATTACKED[effort], affordable)))
    k = min(real.n, holdout.n, each)
    n = min(real.n, MOST_TIMES * k, max(k, 2 * each - k))
    rows = [np.sort(rng.permutation(v.n)[:size]) for v, size in ((real, n), (holdout, k), (synthetic, m))]

    def cut(view: View, some: Ints) -> View:
        every = view.columns or ()
        return replace(view, columns=tuple(every[i] for i in columns), embedding=None, hashes=None).take(some)

    return Arms(cut(real, rows[0]), cut(holdout, rows[1]), cut(synthetic, rows[2]), rows[0], rows[2])


def taken(columns: Sequence[Column], rows: AnyArray) -> tuple[Column, ...]:
    """The columns' cells at these positions."""
    return tuple(replace(c, values=c.values[rows]) for c in columns)


@dataclass(frozen=True, slots=True)
class Risk:
    """What an attack gains beyond its control.

    Args:
        hits: successes among the training rows.
        n: attempts there.
        control_hits: successes in the control group.
        m: attempts there.
        scale: factor on the risk; above 1 where only a part of the training rows stood against the control.
    """

    hits: int
    n: int
    control_hits: int
    m: int
    scale: float = 1.0

    @property
    def value(self) -> float:
        """Risk, (attack - control) / (1 - control): the control's failures that training rows turn to hits.

        0 where the synthetic rows tell nothing about training rows that they do not tell about everybody, 1
        where everyone is found; below 0 by chance only.
        """
        if self.control_hits == self.m:  # an attack that never fails on strangers leaves nothing to gain
            return 0.0
        return self.scale * (1 - (1 - self.hits / self.n) / (1 - self.control_hits / self.m))

    def bounds(self, *, alpha: float) -> tuple[float, float]:
        """Lower and upper bound, each with error at most about alpha.

        The risk is one minus the ratio of two shares of failures; exact limits of each share are joined by
        square-and-add.

        Source: Donner & Zou 2012, Statistical Methods in Medical Research 21:347 (MOVER for a ratio), with
            Clopper-Pearson limits, which are never too narrow.
        """
        if self.control_hits == self.m:
            return -self.scale, self.scale
        low, high = ratio_of_failures(self, alpha=alpha)
        return max(-self.scale, self.scale * (1 - high)), min(self.scale, self.scale * (1 - low))

    @property
    def excess(self) -> float:
        """Attack - control: the share of the training rows that fall to it and would not if they were strangers."""
        return self.hits / self.n - self.control_hits / self.m

    def excess_bounds(self, *, alpha: float) -> tuple[float, float]:
        """Lower and upper bound of the excess, each with error at most about alpha.

        Source: square-and-add, Newcombe 1998, with Clopper-Pearson limits in place of Wilson's.
        """
        p, q = self.hits / self.n, self.control_hits / self.m
        (p_low, q_low), (p_high, q_high) = exact_bounds([self.hits, self.control_hits], [self.n, self.m], alpha=alpha)
        low, high = math.hypot(p - p_low, q_high - q), math.hypot(p_high - p, q - q_low)
        return p - q - low, p - q + high

    def per_thousand(self) -> tuple[int, int]:
        """Successes in 1,000 training rows and in 1,000 others, for sentences."""
        return round(1000 * self.hits / self.n), round(1000 * self.control_hits / self.m)


def ratio_of_failures(risk: Risk, *, alpha: float) -> tuple[float, float]:
    """Bounds of the failures' share among training rows over that among others, each with error about alpha."""
    failures, trials = [risk.n - risk.hits, risk.m - risk.control_hits], [risk.n, risk.m]
    lows, highs = exact_bounds(failures, trials, alpha=alpha)
    (p, q), (l1, l2), (u1, u2) = np.divide(failures, trials), lows, highs

    def side(a: float, b: float, sign: int) -> float:
        product, bottom = p * q, b * (2 * q - b)
        root = math.sqrt(max(0.0, product**2 - a * (2 * p - a) * bottom))
        # Beyond 2q the denominator's limit says nothing more: no finite bound on that side.
        if bottom > 0:
            return float((product + sign * root) / bottom)
        return math.inf if sign > 0 else 0.0

    return max(0.0, side(l1, u2, -1)), side(u1, l2, 1)


@dataclass(frozen=True, slots=True)
class Power:
    """How many members an attack names when it may be wrong about few others.

    Args:
        value: share of the members named.
        low: lower bound.
        high: upper bound.
    """

    value: float
    low: float
    high: float


def power_at(members: Floats, others: Floats, *, rate: float, alpha: float, rng: np.random.Generator) -> Power:
    """True-positive rate at a low false-positive rate, with exact bounds.

    The threshold is the k-th largest score of the others; the share of all others above it has a beta law,
    so k can be chosen such that the false-positive rate is certainly below (for the lower bound) or above
    (for the upper) the wanted one, with error alpha / 2; the members' share above it is then binomial.

    Args:
        members: [n] scores, larger means "was in the data"; at least 1.
        others: [m] scores; at least 1.
        rate: false-positive rate, in (0, 1).
        alpha: one-sided error of each bound.
        rng: breaks ties, as an attacker would: by a coin.

    Returns:
        Shares; `rate` itself is chance. Lower is safer.

    Source: Carlini et al. 2022, arXiv:2112.03570 (why this rate); Wilks 1941 (the law of the k-th score).
    """
    n, m = members.size, others.size
    scores, coins = np.concatenate([members, others]), rng.random(n + m)
    order = np.lexsort((coins, scores))[::-1]
    other = order >= n
    at = np.flatnonzero(other)  # where the k-th largest of the others stands
    hits: Ints = at - np.arange(m)  # members above the (k + 1)-th largest other
    k = np.arange(m)
    sure = np.flatnonzero(betaincc(k + 1, m - k, rate) <= alpha / 2)
    over = np.flatnonzero(betainc(k + 1, m - k, rate) <= alpha / 2)
    low = float(exact_bounds(hits[sure[-1]], n, alpha=alpha / 2)[0]) if sure.size else 0.0
    high = float(exact_bounds(hits[over[0]], n, alpha=alpha / 2)[1]) if over.size else 1.0
    value = hits[min(m - 1, int(rate * m))] / n
    return Power(float(value), min(low, float(value)), max(high, float(value)))


def within(truth: Column, guess: AnyArray, *, scale: Floats | None, tolerance: float) -> Bools:
    """[n] whether a guess is right: the same level, or a rank that differs by at most the tolerance.

    Args:
        truth: the column as it is; missing cells are never right.
        guess: [n] values in the same encoding.
        scale: sorted values in which ranks are taken; None for categories.
        tolerance: as a share of the scale, such as .025.
    """
    if truth.kind is Kind.CATEGORY or scale is None:
        return (truth.values == guess) & ~truth.missing
    gap = np.abs(ranks(truth.values, scale) - ranks(guess, scale))
    return (gap <= tolerance) & ~truth.missing & ~np.isnan(guess)


def exposure(planted: Floats, decoys: Floats) -> Floats:
    """How much a planted record stands out among records that might have been planted instead.

    Args:
        planted: [k] scores of canaries that were in the training rows; larger = nearer to the output.
        decoys: [r] scores of records drawn like them that were not, at least 1.

    Returns:
        [k] bits: log2(r + 1) - log2(rank), 0 to log2(r + 1), 1.44 on average for one that was not memorised
        (log2 e). Ties count half. Less is safer.

    Source: Carlini et al. 2019, "The Secret Sharer", arXiv:1802.08232.

    >>> exposure(np.array([9.0, 0.0]), np.arange(7.0)).round(3).tolist()
    [3.0, 0.093]
    """
    ordered = np.sort(decoys)
    above = decoys.size - np.searchsorted(ordered, planted, side="right")
    ties = np.searchsorted(ordered, planted, side="right") - np.searchsorted(ordered, planted, side="left")
    return np.log2(decoys.size + 1) - np.log2(1 + above + ties / 2)


@dataclass(frozen=True, slots=True)
class Audit:
    """How often the planted one of two twins was told from the one that was left out.

    Args:
        right: pairs told right.
        pairs: pairs.
    """

    right: int
    pairs: int

    def bounds(self, *, alpha: float) -> tuple[float, float]:
        """Exact lower and upper bound of the share told right; one half is chance."""
        low, high = exact_bounds(self.right, self.pairs, alpha=alpha)
        return float(low), float(high)

    def epsilon(self, *, alpha: float) -> float:
        """The least epsilon of differential privacy that the output can have, with error alpha; 0 or more.

        A generator with pure epsilon lets nobody be right more often than e^eps / (1 + e^eps).

        Source: Steinke, Nasr & Jagielski 2023, arXiv:2305.08846 (many canaries in one run).
        """
        return max(0.0, float(logit(self.bounds(alpha=alpha)[0])))


def audit(planted: Floats, twins: Floats, *, rng: np.random.Generator) -> Audit:
    """Guess of every pair of twins which one was planted: the one that scores higher; ties by a coin.

    Args:
        planted: [k] scores of the twins that were inserted before fitting.
        twins: [k] scores of those that a coin left out.
        rng: the coin for ties.
    """
    right = (planted > twins) | ((planted == twins) & (rng.random(planted.size) < 0.5))
    return Audit(int(right.sum()), planted.size)


def chance_of_pure(epsilon: float) -> float:
    """The best share of right guesses about one coin that epsilon allows.

    >>> round(chance_of_pure(1.0), 3)
    0.731
    """
    return float(expit(epsilon))


def strongest(lows: Sequence[float]) -> int:
    """Which of several attacks is certainly good for most: the one with the largest lower bound."""
    return int(np.argmax(lows))
