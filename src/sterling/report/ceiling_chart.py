"""Teacher, student and the model of real rows on one scale: who can teach whom."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sterling.kernel.finding import Json
from sterling.report import svg
from sterling.report.figures import number, span
from sterling.report.pictures import Drawing

KEY = "Scores on the same real benchmark rows; further right is better. The line is the model of real rows."
# White space beside the outermost ends, in parts of the range.
MARGIN = 0.08


@dataclass(frozen=True, slots=True)
class _Layout:
    width: float
    left: float
    right: float
    row: float
    top: float
    beside: bool


WIDE = _Layout(width=1000, left=170, right=790, row=44, top=16, beside=True)
NARROW = _Layout(width=360, left=8, right=352, row=64, top=8, beside=False)


@dataclass(frozen=True, slots=True)
class _Mark:
    name: str
    value: float
    low: float
    high: float


def draw_ceiling(picture: Mapping[str, Json]) -> Drawing | None:
    """The drawing of a result of `ceiling`; None where no teacher was compared."""
    found = picture.get("marks")
    marks = [_mark(m) for m in found if isinstance(m, dict)] if isinstance(found, list) else []
    if not marks:
        return None
    metric = str(picture.get("metric") or "score")
    return Drawing(_drawing(marks, metric, WIDE) + _drawing(marks, metric, NARROW), "own", KEY)


def _mark(mark: Mapping[str, Json]) -> _Mark:
    def real(key: str) -> float:
        value = mark.get(key)
        return float(value) if isinstance(value, (int, float)) else 0.0

    return _Mark(str(mark.get("name", "")), real("value"), real("low"), real("high"))


def _drawing(marks: list[_Mark], metric: str, layout: _Layout) -> str:
    low, high = min(m.low for m in marks), max(m.high for m in marks)
    room = max(high - low, 1e-6) * MARGIN

    def x(score: float) -> float:
        return layout.left + (score - low + room) / (high - low + 2 * room) * (layout.right - layout.left)

    height = layout.top + layout.row * len(marks) + 8
    real = x(marks[-1].value)
    # On narrow screens the numbers stand above the marks, and the line must not run through them.
    parts = [svg.line(real, layout.top, real, height - 8, class_="yours")] if layout.beside else []
    for i, m in enumerate(marks):
        top = layout.top + i * layout.row
        y = top + layout.row / 2 if layout.beside else top + layout.row - 18
        bar = svg.whisker(x(m.low), x(m.high), y, open_left=False, open_right=False, class_="whisker strong", end=5)
        shape = ("triangle", "diamond", "circle")[min(i, 2)]
        parts += [] if layout.beside else [svg.line(real, y - 12, real, y + 12, class_="yours")]
        parts += [svg.line(0, top, layout.width, top, class_="rule"), bar]
        parts.append(svg.marker(x(m.value), y, shape, size=5.5, class_="mark"))
        shown = f"{number(m.value)} {span(m.low, m.high)}"
        above = y + 5 if layout.beside else top + 18
        parts += [
            svg.text(0, above, m.name, class_="who"),
            svg.text(layout.width, above, shown, class_="note", anchor="end"),
        ]
    words = "; ".join(f"{m.name} {metric} {number(m.value)} {span(m.low, m.high)}" for m in marks)
    return svg.picture(
        parts,
        width=layout.width,
        height=height,
        title=f"Teacher, student and the model of real rows: {metric}",
        desc=words,
        key="ceiling-wide" if layout.beside else "ceiling-narrow",
        class_="chart wide" if layout.beside else "chart narrow",
    )
