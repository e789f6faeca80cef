"""The picture of a loop: every sign by generation, one small drawing each, a line per mode.

A sign's line starts at what real rows show; the first alarm that lasts is a square.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from sterling.kernel.finding import Json
from sterling.report import svg
from sterling.report.figures import number, short
from sterling.report.pictures import Drawing

SHAPES = {"replace": "circle", "accumulate": "triangle", "budget": "pentagon", "inject": "diamond"}
MOST = 12


@dataclass(frozen=True, slots=True)
class Line:
    """One mode's readings of one sign; None where there was none."""

    mode: str
    values: tuple[float | None, ...]
    alarm: int | None


@dataclass(frozen=True, slots=True)
class Panel:
    """One sign: its name, what real rows show, the lines."""

    title: str
    floor: float
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Layout:
    """Sizes of one drawing."""

    width: float
    across: int
    height: float
    gap: float
    class_: str


WIDE = Layout(width=1000, across=3, height=172, gap=44, class_="chart wide")
NARROW = Layout(width=360, across=1, height=150, gap=0, class_="chart narrow")


def draw_generations(picture: Mapping[str, Json]) -> Drawing | None:
    """Both drawings, or None where no sign was read."""
    panels = [p for item in _objects(picture.get("signs")) if (p := _panel(item)) is not None][:MOST]
    if not panels:
        return None
    modes = list(dict.fromkeys(line.mode for p in panels for line in p.lines))
    shapes = ", ".join(f"{SHAPES.get(mode, SHAPES['replace'])} {mode}" for mode in modes)
    key = (
        "Each sign by generation; the dashed line is what real rows show against real rows. "
        f"{shapes[:1].upper()}{shapes[1:]}; red square: from here to the end it warns."
    )
    return Drawing("".join(_drawing(panels, layout) for layout in (WIDE, NARROW)), "own", key)


def _drawing(panels: Sequence[Panel], layout: Layout) -> str:
    each = (layout.width - layout.gap * (layout.across - 1)) / layout.across
    rows = math.ceil(len(panels) / layout.across)
    parts: list[str] = []
    for i, panel in enumerate(panels):
        left = (i % layout.across) * (each + layout.gap)
        parts += _one(panel, left, (i // layout.across) * layout.height, each, layout)
    words = "; ".join(f"{p.title}: {_told(p)}" for p in panels)
    return svg.picture(
        parts, width=layout.width, height=rows * layout.height + 6, title="Signs of collapse by generation",
        desc=words, key=f"generations-{layout.class_.split()[-1]}", class_=layout.class_,
    )  # fmt: skip


def _told(panel: Panel) -> str:
    return ", ".join(f"{line.mode} ends at {number(last)}" for line in panel.lines if (last := _last(line)) is not None)


def _last(line: Line) -> float | None:
    return next((v for v in reversed(line.values) if v is not None), None)


def _one(panel: Panel, left: float, top: float, width: float, layout: Layout) -> list[str]:
    values = [v for line in panel.lines for v in line.values if v is not None] + [panel.floor]
    low, high = min(values), max(values)
    pad = max((high - low) * 0.12, abs(high) * 0.04, 1e-6)
    low, high = low - pad, high + pad
    ceiling, ground = top + 40, top + layout.height - 26
    steps = max(len(line.values) for line in panel.lines)
    room = width - 58  # the last values stand beside the lines

    def x(generation: float) -> float:
        return left + 4 + room * generation / steps

    def y(value: float) -> float:
        return ground - (value - low) / (high - low) * (ground - ceiling)

    parts = [
        svg.text(left, top + 20, short(panel.title, 34), class_="who"),
        svg.line(left, ground, left + room + 8, ground, class_="axis"),
        svg.line(left, y(panel.floor), left + room + 8, y(panel.floor), class_="yours"),
    ]
    for generation in range(1, steps + 1):
        if steps <= 10 or generation in (1, steps):
            parts.append(svg.text(x(generation), ground + 17, str(generation), class_="tick", anchor="middle"))
    for line in panel.lines:
        points = [(x(0), y(panel.floor))]
        points += [(x(i), y(v)) for i, v in enumerate(line.values, 1) if v is not None]
        parts.append(svg.path(points, class_="whisker strong"))
        parts += [_mark(line, i, x(i), y(v)) for i, v in enumerate(line.values, 1) if v is not None]
    return parts + _ends(panel, x(steps) + 11, y)


def _mark(line: Line, generation: int, x: float, y: float) -> str:
    if line.alarm is not None and generation == line.alarm:
        return svg.marker(x, y, "square", size=5.5, class_="mark bad")
    return svg.marker(x, y, SHAPES.get(line.mode, "circle"), size=4, class_="mark")


def _ends(panel: Panel, x: float, y: Callable[[float], float]) -> list[str]:
    """The last values beside their marks, moved apart where they would overlap."""
    found = sorted((y(last), last) for line in panel.lines if (last := _last(line)) is not None)
    parts: list[str] = []
    lowest = -math.inf
    for place, value in found:
        at = max(place, lowest + 15)
        lowest = at
        parts.append(svg.text(x, at + 4, number(value), class_="note"))
    return parts


def _panel(item: Mapping[str, Json]) -> Panel | None:
    lines = [line for entry in _objects(item.get("lines")) if (line := _line(entry)) is not None]
    floor = _real(item.get("floor"))
    if not lines or floor is None:
        return None
    return Panel(str(item.get("title", "")), floor, tuple(lines))


def _line(item: Mapping[str, Json]) -> Line | None:
    values = item.get("values")
    if not isinstance(values, list) or not any(_real(v) is not None for v in values):
        return None
    alarm = item.get("alarm")
    return Line(str(item.get("mode", "")), tuple(_real(v) for v in values), alarm if isinstance(alarm, int) else None)


def _objects(value: Json) -> list[dict[str, Json]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _real(value: Json) -> float | None:
    good = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if good and isinstance(value, (int, float)) else None
