"""Tails of numbers, drawn in so far that an extreme value no longer shows whose it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from sterling.kernel.view import Floats, Ints

# The tail's spread is read off the values from the limit down to so many times its rank.
BODY = 4
# A body that spans more than this factor is heavy: its logarithms are spread evenly, not its values.
HEAVY = 2.0


def crowd_limit(values: Floats, k: int, *, owners: Ints | None = None) -> float | None:
    """The largest value that at least k people reach; None where fewer than k have any value.

    Args:
        values: [n], NaN = missing.
        k: how many, >= 1.
        owners: [n] whose each value is; None: each has an owner of its own.

    >>> crowd_limit(np.array([1.0, 5.0, 4.0, 9.0]), 2)
    5.0
    >>> crowd_limit(np.array([1.0, 5.0, 9.0]), 2, owners=np.array([0, 1, 1]))
    1.0
    """
    known = ~np.isnan(values)
    present = values[known]
    if owners is None:
        return float(np.partition(present, present.size - k)[present.size - k]) if present.size >= k else None
    order = np.argsort(-present, kind="stable")
    _, first = np.unique(owners[known][order], return_index=True)
    return float(present[order[np.partition(first, k - 1)[k - 1]]]) if first.size >= k else None


def gather_top(values: Floats, k: int, *, owners: Ints | None = None) -> tuple[Ints, Floats]:
    """The values that fewer than k people reach, and where they are moved.

    Each comes to stand where a smooth tail would have its rank: exponential, or Pareto for a heavy body, with
    the spread of the values below. No new value is beyond the mean of the extreme ones, so none lies
    outside what was seen, and none of them alone decides where it goes. Order is kept, ties may
    arise; values that k people share stay. A person with many values counts once, by the largest of them;
    the others keep their places between the largest values of people.

    Args:
        values: [n], NaN = missing.
        k: fewest people, >= 1.
        owners: as in `crowd_limit`.

    Returns:
        [m] positions, [m] new values; none where fewer than k people have a value.

    Source: expected spacings of exponential order statistics, Renyi 1953; the mean of k as the finest figure
    released is microaggregation, Domingo-Ferrer & Mateo-Sanz 2002, IEEE TKDE 14(1).

    >>> at, new = gather_top(np.array([9000.0, *range(100, 200)]), 2)
    >>> at.tolist(), new.round(1).tolist()
    ([0], [203.4])
    """
    limit = crowd_limit(values, k, owners=owners)
    beyond = np.flatnonzero(values > limit) if limit is not None else np.empty(0, dtype=np.int64)
    if limit is None or not beyond.size or not np.isfinite(limit):
        return np.empty(0, dtype=np.int64), np.empty(0)
    largest = values[~np.isnan(values)] if owners is None else _largest(values, owners)
    tail, below = largest[largest > limit], largest[largest <= limit]
    place = below.size - 1 - min(below.size - 1, BODY * (tail.size + 1))
    lower = float(np.partition(below, place)[place])
    with np.errstate(over="ignore", invalid="ignore"):
        most = float(np.sum(tail / max(k, tail.size + 1) - limit / max(k, tail.size + 1)))
        steps = np.unique(tail)
        # Ties take the place of the lowest among them.
        rank = tail.size - np.searchsorted(np.sort(tail), steps, side="left")
        moved = limit + np.minimum(_tail(rank, tail.size, limit, lower, below.size), most)
    # Between the largest values of people lie their others.
    return beyond, _between(values[beyond], limit, steps, moved)


def _largest(values: Floats, owners: Ints) -> Floats:
    """[p] the largest value of each owner who has one."""
    known = ~np.isnan(values)
    who, at = np.unique(owners[known], return_inverse=True)
    largest = np.full(who.size, -np.inf)
    np.maximum.at(largest, at, values[known])
    return largest


def _between(values: Floats, limit: float, steps: Floats, moved: Floats) -> Floats:
    """[m] values beyond the limit, as far between the new places of the steps around them as between the steps."""
    at = np.searchsorted(steps, values, side="left")
    before, low = np.append(limit, steps)[at], np.append(limit, moved)[at]
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        share = np.where(values == steps[at], 1.0, (values - before) / (steps[at] - before))
        return np.where(share == 1.0, moved[at], low + share * (moved[at] - low))


def _tail(rank: Ints, m: int, limit: float, lower: float, below: int) -> Floats:
    """[m] how far beyond the limit the value of each rank (1 = outermost) is expected."""
    harmonic = np.concatenate([[0.0], np.cumsum(1.0 / np.arange(1, m + 1 + min(below, BODY * (m + 1))))])
    spacings = harmonic[-1] - harmonic[m]
    steps = (harmonic[m] - harmonic[rank - 1]) / spacings
    if not np.isfinite(lower) or limit == lower:
        return np.zeros(m)
    if lower > 0 and limit > HEAVY * lower:
        return limit * np.expm1(np.minimum(np.log(limit / lower) * steps, 700.0))
    return (limit - lower) * steps
