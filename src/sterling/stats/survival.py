"""Time to an event, with rows that were only seen up to some day: curves, a test of groups, hazard ratios."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import chdtrc

from sterling.kernel.estimate import Unmeasured
from sterling.stats.regression import ENDLESS, Fit, Peak, climb, scaled

if TYPE_CHECKING:
    from sterling.kernel.view import Bools, Floats, Ints


@dataclass(frozen=True, slots=True, eq=False)
class Survival:
    """The share that is still without the event, at named times.

    Args:
        shares: [t].
        errors: [t] standard errors.
        at_risk: [t] rows still under observation.
    """

    shares: Floats
    errors: Floats
    at_risk: Ints


def kaplan_meier(time: Floats, event: Bools, at: Floats) -> Survival:
    """The product-limit estimate.

    Args:
        time: [n] until the event, or until the row was last seen; finite, at least 1 row.
        event: [n] whether it was the event.
        at: [t] times to read the curve at.

    Returns:
        Shares, 0 to 1, with Greenwood's standard errors; rows seen last at a time are at risk at it.

    Source: Kaplan & Meier 1958; variance, Greenwood 1926.
    """
    times, where = np.unique(time, return_inverse=True)
    leaving = np.bincount(where, minlength=times.size)
    deaths = np.bincount(where, weights=event, minlength=times.size)
    risk = time.size - np.cumsum(leaving) + leaving
    kept = np.cumprod(1 - deaths / risk)
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = np.cumsum(np.where(deaths > 0, deaths / (risk * (risk - deaths)), 0.0))
        errors = np.where(kept > 0, kept * np.sqrt(spread), 0.0)
    last = np.searchsorted(times, at, side="right") - 1
    at_risk = time.size - np.searchsorted(np.sort(time), at, side="left")
    return Survival(
        np.where(last < 0, 1.0, kept[np.maximum(last, 0)]),
        np.where(last < 0, 0.0, errors[np.maximum(last, 0)]),
        at_risk,
    )


@dataclass(frozen=True, slots=True)
class LogRank:
    """Whether groups have the same curve.

    Args:
        statistic: chi-squared.
        freedom: groups less one.
        p: its tail.
    """

    statistic: float
    freedom: int
    p: float


def log_rank(time: Floats, event: Bools, group: Ints) -> LogRank | Unmeasured:
    """Test of equal survival in all groups.

    Args:
        time: [n].
        event: [n].
        group: [n] codes from 0; every group has a row.

    Source: Mantel 1966; Peto & Peto 1972 (several groups).
    """
    k = int(group.max()) + 1
    if k < 2:
        return Unmeasured("there is only one group", "name a column of groups that varies")
    if not event.any():
        return Unmeasured("nobody had the event", "name the level that is the event, or give longer times")
    times, where = np.unique(time, return_inverse=True)
    size = times.size * k
    deaths = np.bincount(where * k + group, weights=event, minlength=size).reshape(-1, k)
    leaving = np.bincount(where * k + group, minlength=size).reshape(-1, k)
    risk = leaving[::-1].cumsum(axis=0)[::-1]
    d, r = deaths.sum(axis=1), risk.sum(axis=1)
    some = (d > 0) & (r > 1)
    d, r, deaths, risk = d[some], r[some], deaths[some], risk[some]
    gap = (deaths - risk * (d / r)[:, None]).sum(axis=0)[1:]
    factor = d * (r - d) / (r - 1)
    share = risk[:, 1:] / r[:, None]
    variance = np.diag((factor[:, None] * share).sum(axis=0)) - (share * factor[:, None]).T @ share
    statistic = float(gap @ np.linalg.pinv(variance) @ gap)
    return LogRank(statistic, k - 1, float(chdtrc(k - 1, statistic)))


def cox(x: Floats, time: Floats, event: Bools, names: Sequence[str]) -> Fit | Unmeasured:
    """Proportional hazards by partial likelihood, ties by Efron.

    Args:
        x: [n, k] columns, finite.
        time: [n].
        event: [n].
        names: [k] of the columns.

    Returns:
        Log hazard ratios per unit of each column. O(n k^2) a step: no sum is kept by time.

    Source: Cox 1972; Efron 1977 (ties).
    """
    if not event.any():
        return Unmeasured("nobody had the event", "name the level that is the event, or give longer times")
    ready = scaled(x, names)
    if isinstance(ready, Unmeasured):
        return ready
    deaths = _Deaths.of(ready.x, time, event)
    b, peak = climb(deaths.at, np.zeros(x.shape[1]))
    covariance = np.linalg.pinv(peak.information)
    wide = np.maximum(np.abs(b), np.sqrt(np.maximum(np.diag(covariance), 0)))
    endless = [name for name, size in zip(names, wide, strict=True) if size > ENDLESS]
    if endless:
        return Unmeasured(
            f"{endless[0]} tells (almost) fully who had the event: no finite hazard ratio exists",
            "leave it out, or merge levels so that each has events",
        )
    return Fit(b / ready.scale, covariance / np.outer(ready.scale, ready.scale))


@dataclass(frozen=True, slots=True, eq=False)
class _Deaths:
    """Rows by descending time, and the events among them.

    Args:
        x: [n, k] longest time first.
        event: [n].
        last: [n] for each row the last row of its time: the rows up to it are at risk.
        tie: [e] for each event, which of the times with events it belongs to.
        share: [e] the part of its time's deaths that counts as gone before it (Efron).
        ends: [t] last row of each time with events.
        ties: [n] which of those times a row's own is; -1 for none.
    """

    x: Floats
    event: Bools
    tie: Ints
    share: Floats
    ends: Ints
    ties: Ints

    @classmethod
    def of(cls, x: Floats, time: Floats, event: Bools) -> _Deaths:
        order = np.lexsort((event, -time))
        x, time, event = x[order], time[order], event[order]
        last = np.searchsorted(-time, -time, side="right") - 1
        ends = np.unique(last[event])
        tie = np.searchsorted(ends, last[event])
        count = np.bincount(tie)
        first = np.concatenate([[0], np.cumsum(count)[:-1]])
        share = (np.arange(tie.size) - first[tie]) / count[tie]
        ties = np.where(np.isin(last, ends), np.searchsorted(ends, last), -1)
        return cls(x, event, tie, share, ends, ties)

    def at(self, b: Floats) -> Peak:
        """The log partial likelihood at coefficients b."""
        x, k = self.x, self.x.shape[1]
        eta = x @ b
        r = np.exp(eta - eta.max())
        dead, t = self.event, self.ends.size
        s0 = np.cumsum(r)[self.ends]
        s1 = np.cumsum(r[:, None] * x, axis=0)[self.ends]
        d0 = np.bincount(self.tie, weights=r[dead], minlength=t)
        d1 = np.stack([np.bincount(self.tie, weights=r[dead] * x[dead, j], minlength=t) for j in range(k)], axis=1)
        bottom = s0[self.tie] - self.share * d0[self.tie]
        mean = (s1[self.tie] - self.share[:, None] * d1[self.tie]) / bottom[:, None]
        value = float(eta[dead].sum() - (np.log(bottom) + eta.max()).sum())
        slope = x[dead].sum(axis=0) - mean.sum(axis=0)
        # Each row counts at every event up to its own time: one weight says how much, whatever the times.
        whole = np.bincount(self.tie, weights=1 / bottom, minlength=t)
        part = np.bincount(self.tie, weights=self.share / bottom, minlength=t)
        later = np.concatenate([whole[::-1].cumsum()[::-1], [0.0]])
        weight = later[np.searchsorted(self.ends, np.arange(r.size))]
        weight[dead] -= part[self.ties[dead]]
        return Peak(value, slope, x.T @ (x * (r * weight)[:, None]) - mean.T @ mean)
