"""The map of what synthetic rows do not reach: groups of real records by the share out of reach, beside the floor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sterling.kernel.finding import Json
from sterling.report import svg
from sterling.report.figures import short
from sterling.report.pictures import Drawing

MOST_ROWS = 12
KEY = (
    "Share of the real records of a group whose five nearest rows are all real, with its interval; the dashed line is "
    "what other real rows in place of the synthetic ones would leave. Most records out of reach first."
)


@dataclass(frozen=True, slots=True)
class Row:
    """One group: shares from 0 to 1."""

    label: str
    value: float
    low: float
    high: float
    advice: str


@dataclass(frozen=True, slots=True)
class Layout:
    """Sizes of one drawing, in its own units."""

    width: float
    left: float
    right: float
    top: float
    row: float
    beside: bool


WIDE = Layout(width=1000, left=380, right=820, top=46, row=38, beside=True)
NARROW = Layout(width=360, left=8, right=352, top=46, row=62, beside=False)


def reach_map(picture: Mapping[str, Json]) -> Drawing | None:
    """The drawing of a result's picture of kind "reach"; None where it holds no group."""
    rows, floor = _rows(picture), picture.get("floor")
    if not rows or isinstance(floor, bool) or not isinstance(floor, (int, float)):
        return None
    both = (_drawing(rows, float(floor), layout, key=key) for layout, key in ((WIDE, "r-wide"), (NARROW, "r-narrow")))
    return Drawing("".join(both), "own", KEY)


def _rows(picture: Mapping[str, Json]) -> list[Row]:
    given, several = picture.get("rows"), picture.get("sets") != 1
    found: list[Row] = []
    for one in given if isinstance(given, list) else []:
        if not isinstance(one, dict):
            continue
        ends = [one.get(name) for name in ("value", "low", "high")]
        value, low, high = (float(x) if isinstance(x, (int, float)) else None for x in ends)
        if value is None or low is None or high is None:
            continue
        label = f"{one.get('set')} · {one.get('label')}" if several else str(one.get("label"))
        found.append(Row(label, value, low, high, str(one.get("advice", ""))))
    return found[:MOST_ROWS]


def _x(share: float, layout: Layout) -> float:
    return layout.left + min(max(share, 0.0), 1.0) * (layout.right - layout.left)


def _drawing(rows: Sequence[Row], floor: float, layout: Layout, *, key: str) -> str:
    height = layout.top + layout.row * len(rows) + 8
    parts = _frame(floor, layout, height)
    for i, row in enumerate(rows):
        parts += _line(row, layout, layout.top + layout.row * i)
    words = "; ".join(f"{r.label} {r.value:.0%} [{r.low:.0%}, {r.high:.0%}], {r.advice}" for r in rows)
    return svg.picture(
        parts,
        width=layout.width,
        height=height,
        title="Real records that synthetic rows do not reach",
        desc=f"{words}; other real rows leave {floor:.0%}",
        key=key,
        class_="chart wide" if layout.beside else "chart narrow",
    )


def _frame(floor: float, layout: Layout, height: float) -> list[str]:
    """Shares along the top, and the floor as a line through all rows."""
    top = layout.top - 8
    parts: list[str] = []
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        x = _x(share, layout)
        end = "start" if share == 0 and not layout.beside else "end" if share == 1 and not layout.beside else "middle"
        parts += [
            svg.line(x, top, x, height, class_="grid"),
            svg.text(x, top - 10, f"{share:.0%}", class_="tick", anchor=end),
        ]
    return [*parts, svg.line(_x(floor, layout), top, _x(floor, layout), height, class_="yours")]


def _line(row: Row, layout: Layout, top: float) -> list[str]:
    rule = svg.line(0, top, layout.width, top, class_="rule")
    shown = f"{row.value:.0%} [{row.low:.0%}, {row.high:.0%}]"
    if layout.beside:
        y = top + layout.row / 2
        return [
            rule,
            svg.text(0, y + 5, short(row.label, 38), class_="who"),
            *_mark(row, layout, y),
            svg.text(layout.right + 18, y - 2, shown, class_="note"),
            svg.text(layout.right + 18, y + 14, row.advice, class_="note"),
        ]
    y = top + layout.row - 16
    return [
        rule,
        svg.text(0, top + 16, short(row.label, 40), class_="who"),
        svg.text(0, top + 32, f"{shown}, {row.advice}", class_="note"),
        *_mark(row, layout, y),
    ]


def _mark(row: Row, layout: Layout, y: float) -> list[str]:
    ends = (_x(row.low, layout), _x(row.high, layout))
    bar = svg.whisker(*ends, y, open_left=False, open_right=False, class_="whisker strong bad", end=5)
    return [bar, svg.marker(_x(row.value, layout), y, "square", size=5.5, class_="mark bad")]
