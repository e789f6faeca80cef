"""The pictures of commands that draw no learning curve, by the "kind" that their results carry."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from sterling.kernel.finding import Json


@dataclass(frozen=True, slots=True)
class Drawing:
    """SVG for wide and narrow pages, escaped as it was made.

    Args:
        svg: the drawings; empty for none.
        kind: which legend goes with it; "own" brings its own.
        key: the legend of an own drawing, one sentence of plain text.
    """

    svg: str
    kind: Literal["curve", "gaps", "own", "none"]
    key: str = ""


def _generations(picture: Mapping[str, Json]) -> Drawing | None:
    from sterling.report.generations import draw_generations  # it imports `Drawing` from here

    return draw_generations(picture)


def _ceiling(picture: Mapping[str, Json]) -> Drawing | None:
    from sterling.report.ceiling_chart import draw_ceiling  # likewise

    return draw_ceiling(picture)


def _reach(picture: Mapping[str, Json]) -> Drawing | None:
    from sterling.report.reach_map import reach_map  # it imports `Drawing` from here

    return reach_map(picture)


def _estimates(picture: Mapping[str, Json]) -> Drawing | None:
    from sterling.report.estimates import draw_estimates  # it imports `Drawing` from here

    return draw_estimates(picture)


# A drawing takes the result's `picture` and gives SVG and legend, or None where it holds nothing to draw.
DRAWINGS: Mapping[str, Callable[[Mapping[str, Json]], Drawing | None]] = MappingProxyType(
    {
        "ceiling": _ceiling,
        "estimates": _estimates,
        "generations": _generations,
        "reach": _reach,
    }
)


def draw(picture: Mapping[str, Json]) -> Drawing | None:
    """The drawing that a result asks for; None where its kind is not known (a newer Sterling's, say)."""
    make = DRAWINGS.get(str(picture.get("kind")))
    return None if make is None else make(picture)
