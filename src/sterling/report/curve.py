"""The learning curve of a result, parsed from its JSON into numbers that can be drawn."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from sterling.kernel.finding import Json


@dataclass(frozen=True, slots=True)
class Point:
    """Score of a model trained on n real rows, with its interval."""

    n: float
    score: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Placed:
    """A candidate on the curve.

    Args:
        name: as the study has it.
        rows: synthetic rows.
        score: of a model trained on them alone.
        worth: real rows with the same score.
        low: lower end of worth, None if open.
        high: upper end of worth, None if open.
    """

    name: str
    rows: int
    score: float
    worth: float
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Curve:
    """What real rows buy, and where each candidate lies on that.

    Args:
        metric: the score's name.
        points: by increasing n, at least two.
        candidates: those that could be placed.
        unplaced: names of those that could not.
    """

    metric: str
    points: tuple[Point, ...]
    candidates: tuple[Placed, ...]
    unplaced: tuple[str, ...]

    @property
    def smallest(self) -> float:
        """Rows at the left end."""
        return self.points[0].n

    @property
    def largest(self) -> float:
        """Rows at the right end: nothing is read off beyond it."""
        return self.points[-1].n


def parse_curve(data: Mapping[str, Json] | None) -> Curve | None:
    """The curve, or None where there is nothing that can be drawn."""
    if data is None:
        return None
    points = [point for item in _objects(data.get("points")) if (point := _point(item)) is not None]
    points += _reference(data.get("reference"), points)
    points.sort(key=lambda p: p.n)
    if len(points) < 2:
        return None
    named = [(str(item.get("name", "candidate")), _placed(item)) for item in _objects(data.get("candidates"))]
    return Curve(
        metric=str(data.get("metric") or "score"),
        points=tuple(points),
        candidates=tuple(placed for _, placed in named if placed is not None),
        unplaced=tuple(name for name, placed in named if placed is None),
    )


def _objects(value: Json) -> list[dict[str, Json]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _real(value: Json) -> float | None:
    good = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if good and isinstance(value, (int, float)) else None


def _point(item: Mapping[str, Json]) -> Point | None:
    n, score = _real(item.get("n")), _real(item.get("score"))
    if n is None or score is None or n <= 0:
        return None
    low, high = _real(item.get("low")), _real(item.get("high"))
    return Point(n, score, score if low is None else low, score if high is None else high)


def _reference(value: Json, points: list[Point]) -> list[Point]:
    """The score of all real rows, where the curve does not hold it already."""
    found = _point(value) if isinstance(value, dict) else None
    return [] if found is None or any(p.n >= found.n for p in points) else [found]


def _placed(item: Mapping[str, Json]) -> Placed | None:
    score, worth = _real(item.get("score")), _real(item.get("worth"))
    low, high = _real(item.get("worth_low")), _real(item.get("worth_high"))
    if worth is None and item.get("censored") is True:
        worth = low  # "at least": the lower end is all that is known
    if score is None or worth is None:
        return None
    rows = _real(item.get("rows"))
    return Placed(str(item.get("name", "candidate")), int(rows or 0), score, worth, low, high)
