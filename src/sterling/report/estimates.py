"""The picture of an analysis on real and on synthetic rows: two intervals for each estimate.

Estimates have different units, so each row is stretched until its real interval fills one band that all share:
a synthetic interval that lies in the band says what the real one says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sterling.kernel.finding import Json
from sterling.report import svg
from sterling.report.figures import number, short, span
from sterling.report.pictures import Drawing

# Half-widths of the real interval that fit on either side.
REACH = 3.5


@dataclass(frozen=True, slots=True)
class Row:
    """One estimate; positions in half-widths of the real interval, 0 its middle.

    Args:
        label: of the estimate.
        value, low, high: of the synthetic rows.
        none: where "no effect" lies; None for shares.
        real: value and interval, as text.
        made: likewise of the synthetic rows.
        beyond: whether they differ beyond chance and bound.
    """

    label: str
    value: float
    low: float
    high: float
    none: float | None
    real: str
    made: str
    beyond: bool


@dataclass(frozen=True, slots=True)
class Layout:
    """Sizes of one drawing, in its own units."""

    width: float
    left: float
    right: float
    row: float
    beside: bool

    def x(self, at: float) -> float:
        """Where a position lies, kept within the drawing."""
        share = (min(max(at, -REACH), REACH) + REACH) / (2 * REACH)
        return self.left + share * (self.right - self.left)


WIDE = Layout(width=1000, left=190, right=560, row=46, beside=True)
NARROW = Layout(width=360, left=6, right=354, row=92, beside=False)
TITLE = 34.0
# Where the column of real estimates ends, from the right.
REAL_AT = 216


def draw_estimates(picture: Mapping[str, Json]) -> Drawing | None:
    """Both drawings; None where the picture holds no estimate."""
    found = picture.get("panels")
    panels = (
        [(str(p.get("title", "")), _rows(p)) for p in found if isinstance(p, dict)] if isinstance(found, list) else []
    )
    panels = [(title, rows) for title, rows in panels if rows]
    if not panels:
        return None
    key = (
        "Grey band: the 95 % interval on real rows. Dark mark and bar: the estimate on synthetic rows with its "
        "interval, as if they were as many; red where it differs beyond chance and bound. Dotted: no effect."
    )
    drawings = _drawing(panels, WIDE, key="estimates-wide") + _drawing(panels, NARROW, key="estimates-narrow")
    return Drawing(drawings, "own", key)


def _rows(panel: Mapping[str, Json]) -> list[Row]:
    rows: list[Row] = []
    found = panel.get("rows")
    for item in found if isinstance(found, list) else []:
        at = _numbers(item.get("at")) if isinstance(item, dict) else []
        if not isinstance(item, dict) or len(at) != 3:
            continue
        none = item.get("none")
        rows.append(
            Row(
                label=str(item.get("label", "")),
                value=at[0],
                low=at[1],
                high=at[2],
                none=float(none) if isinstance(none, (int, float)) else None,
                real=_text(item.get("real")),
                made=_text(item.get("synthetic")),
                beyond=item.get("beyond") is True,
            )
        )
    return rows


def _numbers(value: Json) -> list[float]:
    found = value if isinstance(value, list) else []
    return [float(v) for v in found if isinstance(v, (int, float)) and not isinstance(v, bool)]


def _text(value: Json) -> str:
    ends = _numbers(value)
    return f"{number(ends[0])} {span(ends[1], ends[2])}" if len(ends) == 3 else ""


def _drawing(panels: Sequence[tuple[str, Sequence[Row]]], layout: Layout, *, key: str) -> str:
    parts: list[str] = []
    y = 0.0
    for i, (title, rows) in enumerate(panels):
        parts.append(svg.text(0, y + 20, short(title, 90 if layout.beside else 44), class_="who"))
        y += TITLE
        if layout.beside and i == 0:
            parts += _heads(layout, y - 14)
        for row in rows:
            parts += _line(row, layout, y)
            y += layout.row
        y += 14
    words = "; ".join(f"{r.label}: real {r.real}, synthetic {r.made}" for _, rows in panels for r in rows)
    return svg.picture(
        parts, width=layout.width, height=y, title="Estimates on real and on synthetic rows", desc=words, key=key,
        class_="chart wide" if layout.beside else "chart narrow",
    )  # fmt: skip


def _heads(layout: Layout, y: float) -> list[str]:
    middle = (layout.x(-1) + layout.x(1)) / 2
    return [
        svg.text(middle, y, "interval on real rows", class_="note", anchor="middle"),
        svg.text(layout.width - REAL_AT, y, "real", class_="note", anchor="end"),
        svg.text(layout.width, y, "synthetic", class_="note", anchor="end"),
    ]


def _line(row: Row, layout: Layout, top: float) -> list[str]:
    rule = svg.line(0, top, layout.width, top, class_="rule")
    if layout.beside:
        y = top + layout.row / 2
        return [
            rule,
            *_mark(row, layout, y),
            svg.text(0, y + 5, short(row.label, 22), class_="who"),
            svg.text(layout.width - REAL_AT, y + 5, row.real, class_="note", anchor="end"),
            svg.text(layout.width, y + 5, row.made, class_="worth", anchor="end"),
        ]
    return [
        rule,
        svg.text(0, top + 19, short(row.label, 44), class_="who"),
        svg.text(0, top + 37, f"real {row.real}", class_="note"),
        svg.text(0, top + 54, f"synthetic {row.made}", class_="note"),
        *_mark(row, layout, top + layout.row - 18),
    ]


def _mark(row: Row, layout: Layout, y: float) -> list[str]:
    """The band, "no effect", and the synthetic interval; what lies beyond the edge is an arrow on it."""
    left, right = layout.x(-1), layout.x(1)
    parts = [svg.tag("rect", x=left, y=y - 11, width=right - left, height=22.0, class_="band")]
    if row.none is not None and abs(row.none) <= REACH:
        parts.append(svg.line(layout.x(row.none), y - 15, layout.x(row.none), y + 15, class_="yours"))
    bad = " bad" if row.beyond else ""
    if abs(row.value) > REACH:
        x, way = (layout.right, 1) if row.value > 0 else (layout.left, -1)
        head = [(x - way * 11, y - 6.5), (x, y), (x - way * 11, y + 6.5)]
        return [*parts, svg.path(head, class_=f"mark{bad}", closed=True)]
    parts.append(
        svg.whisker(
            layout.x(row.low),
            layout.x(row.high),
            y,
            open_left=row.low < -REACH,
            open_right=row.high > REACH,
            class_=f"whisker strong{bad}",
            end=5,
        )
    )
    return [
        *parts,
        svg.marker(layout.x(row.value), y, "square" if row.beyond else "circle", size=5.5, class_=f"mark{bad}"),
    ]
