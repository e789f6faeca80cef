"""The picture of the first screen: the real learning curve, each candidate on it, and a strip that reads off rows.

Drawn twice, for wide and for narrow screens, because scaled text is unreadable text. In the strip every
candidate has a row of its own, so its label can collide with nothing; a label beside a mark in the plot is
drawn only where it is free.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sterling.report import svg
from sterling.report.curve import Curve, Placed
from sterling.report.figures import number, rows_text, short, span

Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Layout:
    """Sizes of one drawing, in its own units.

    Args:
        width: of the whole drawing.
        left: x of the plot's left edge.
        right: x of its right edge.
        top: y of its upper edge.
        height: of the plot.
        row: height of a row of the strip.
        font: size of common text.
        beside: labels stand beside the strip's rows (wide) or above them (narrow).
    """

    width: float
    left: float
    right: float
    top: float
    height: float
    row: float
    font: float
    beside: bool

    @property
    def bottom(self) -> float:
        """Y of the plot's lower edge."""
        return self.top + self.height

    @property
    def strip(self) -> float:
        """Y where the strip's first row begins."""
        return self.bottom + (40 if self.beside else 54)


WIDE = Layout(width=1000, left=140, right=806, top=38, height=310, row=46, font=14, beside=True)
NARROW = Layout(width=360, left=40, right=348, top=54, height=230, row=62, font=12.5, beside=False)


@dataclass(frozen=True, slots=True)
class Scale:
    """Rows to x (logarithmic) and score to y, clamped to the plot."""

    layout: Layout
    n: tuple[float, float]
    score: tuple[float, float]

    def x(self, n: float) -> float:
        """Where n rows lie; what lies beyond the curve lies on its edge."""
        low, high = (math.log(v) for v in self.n)
        share = (math.log(max(n, 1e-9)) - low) / (high - low)
        return self.layout.left + min(max(share, 0.0), 1.0) * (self.layout.right - self.layout.left)

    def y(self, score: float) -> float:
        """Where a score lies."""
        low, high = self.score
        return self.layout.bottom - (score - low) / (high - low) * self.layout.height


def learning_curve(curve: Curve, refused: Mapping[str, str]) -> str:
    """Both drawings of a curve; the page's style shows one of them.

    Args:
        curve: what to draw.
        refused: by candidate, why it is not to be used, in a few words; drawn hollow.
    """
    drawings = [_drawing(curve, refused, WIDE, key="curve-wide"), _drawing(curve, refused, NARROW, key="curve-narrow")]
    return "".join(drawings)


def _drawing(curve: Curve, refused: Mapping[str, str], layout: Layout, *, key: str) -> str:
    scale = Scale(layout, (curve.smallest / 1.12, curve.largest * 1.12), _score_range(curve))
    shapes = dict(zip((c.name for c in curve.candidates), _cycled(len(curve.candidates)), strict=False))
    inner = [
        *_axes(curve, scale),
        *_drop_lines(curve, scale),
        *_real_curve(curve, scale),
        *_marks(curve, scale, shapes, refused),
        *_strip(curve, scale, shapes, refused),
    ]
    return svg.picture(
        inner,
        width=layout.width,
        height=layout.strip + layout.row * len(curve.candidates) + 6,
        title=f"What each set is worth in real rows, by {curve.metric}",
        desc=_description(curve),
        key=key,
        class_="chart wide" if layout.beside else "chart narrow",
    )


def _cycled(n: int) -> list[str]:
    return [svg.SHAPES[i % len(svg.SHAPES)] for i in range(n)]


def _description(curve: Curve) -> str:
    first, last = curve.points[0], curve.points[-1]
    parts = [
        f"Learning curve on real rows: {curve.metric} {number(first.score)} with {first.n:,.0f} rows, "
        f"{number(last.score)} with {last.n:,.0f}."
    ]
    parts += [f"{c.name} scores {number(c.score)}: {_worth(c, curve)} {span(c.low, c.high)}." for c in curve.candidates]
    return " ".join(parts)


def _worth(placed: Placed, curve: Curve) -> str:
    return rows_text(placed.worth, placed.low, placed.high, smallest=curve.smallest, largest=curve.largest)


def _score_range(curve: Curve) -> tuple[float, float]:
    values = [v for p in curve.points for v in (p.low, p.high)] + [c.score for c in curve.candidates]
    low, high = min(values), max(values)
    pad = max((high - low) * 0.1, 1e-6)
    return low - pad, high + pad


def score_ticks(low: float, high: float, *, most: int = 6) -> list[float]:
    """Round values inside a range, at most `most` of them.

    >>> score_ticks(0.71, 0.93)
    [0.75, 0.8, 0.85, 0.9]
    """
    rough = (high - low) / most
    magnitude = 10.0 ** math.floor(math.log10(rough))
    step = next(m * magnitude for m in (1, 2, 2.5, 5, 10) if m * magnitude >= rough)
    first = math.ceil(low / step - 1e-9)
    return [round(i * step, 10) for i in range(first, math.floor(high / step + 1e-9) + 1)]


def row_ticks(low: float, high: float) -> list[float]:
    """1, 2 and 5 times powers of ten inside a range.

    >>> row_ticks(90, 5400)
    [100, 200, 500, 1000, 2000, 5000]
    """
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    return [m * 10**p for p in powers for m in (1, 2, 5) if low <= m * 10**p <= high]


def _axes(curve: Curve, scale: Scale) -> list[str]:
    box, parts = scale.layout, list[str]()
    for value in score_ticks(*scale.score):
        y = scale.y(value)
        parts.append(svg.line(box.left, y, box.right, y, class_="grid"))
        parts.append(svg.text(box.left - 8, y + 4, f"{value:g}", class_="tick", anchor="end"))
    edge = -math.inf
    for n in row_ticks(*scale.n):
        x, words = scale.x(n), f"{n:,.0f}"
        half = svg.text_width(words, box.font) / 2
        parts.append(svg.line(x, box.bottom, x, box.bottom + 5, class_="axis"))
        if x - half > edge + 6 and x + half <= box.width:
            parts.append(svg.text(x, box.bottom + 20, words, class_="tick", anchor="middle"))
            edge = x + half
    parts.append(svg.line(box.left, box.bottom, box.right, box.bottom, class_="axis"))
    parts.append(svg.text(box.left, 14, f"{curve.metric} on real test rows", class_="tick"))
    words = "real rows, log scale"
    if box.beside:
        parts.append(svg.text(box.width, box.bottom + 20, words, class_="tick", anchor="end"))
    else:
        parts.append(svg.text(box.right, box.bottom + 40, words, class_="tick", anchor="end"))
    x = scale.x(curve.largest)
    words = f"all your {curve.largest:,.0f} real rows"
    parts.append(svg.line(x, box.top - 10, x, box.bottom, class_="yours"))
    parts.append(svg.text(min(x + 4, box.right), box.top - 16, words, class_="note", anchor="end"))
    return parts


def _real_curve(curve: Curve, scale: Scale) -> list[str]:
    upper = [(scale.x(p.n), scale.y(p.high)) for p in curve.points]
    lower = [(scale.x(p.n), scale.y(p.low)) for p in reversed(curve.points)]
    middle = [(scale.x(p.n), scale.y(p.score)) for p in curve.points]
    dots = [svg.tag("circle", cx=x, cy=y, r=2.6, class_="dot") for x, y in middle]
    return [svg.path([*upper, *lower], class_="band", closed=True), svg.path(middle, class_="real"), *dots]


def _row_y(scale: Scale, i: int) -> float:
    layout = scale.layout
    return layout.strip + layout.row * i + (layout.row / 2 if layout.beside else layout.row - 16)


def _drop_lines(curve: Curve, scale: Scale) -> list[str]:
    """From each mark down to its row; on narrow screens, where words stand in the way, to the axis."""
    layout = scale.layout
    return [
        svg.line(x, scale.y(c.score), x, _row_y(scale, i) if layout.beside else layout.bottom, class_="drop")
        for i, c in enumerate(curve.candidates)
        for x in [scale.x(c.worth)]
    ]


def _whisker(placed: Placed, curve: Curve, scale: Scale, y: float, *, class_: str, end: float) -> str:
    low = curve.smallest if placed.low is None or placed.low < curve.smallest else placed.low
    open_left = placed.low is None or placed.low < curve.smallest
    open_right = placed.high is None or placed.high > curve.largest
    x1 = scale.layout.left if open_left else scale.x(low)
    x2 = scale.layout.right if open_right else scale.x(max(placed.high or low, low))
    return svg.whisker(x1, x2, y, open_left=open_left, open_right=open_right, class_=class_, end=end)


def _marks(curve: Curve, scale: Scale, shapes: Mapping[str, str], refused: Mapping[str, str]) -> list[str]:
    size = 6.5
    bars = [_whisker(c, curve, scale, scale.y(c.score), class_="whisker", end=4) for c in curve.candidates]
    marks = [
        svg.marker(scale.x(c.worth), scale.y(c.score), shapes[c.name], size=size, class_=_mark_class(c, refused))
        for c in curve.candidates
    ]
    return [*bars, *marks, *_labels(curve, scale)]


def _mark_class(placed: Placed, refused: Mapping[str, str]) -> str:
    return "mark hollow" if placed.name in refused else "mark"


def _labels(curve: Curve, scale: Scale) -> list[str]:
    """Names beside the marks, where there is room for them and nothing to cover."""
    layout, taken = scale.layout, list[Box]()
    for c in curve.candidates:
        x, y = scale.x(c.worth), scale.y(c.score)
        taken.append((x - 9, y - 9, x + 9, y + 9))
        taken.append((layout.left, y - 3, layout.right, y + 3))
    parts: list[str] = []
    for c in curve.candidates:
        words = short(c.name, 14)
        box = _free(words, scale.x(c.worth), scale.y(c.score), layout, taken)
        if box is not None:
            taken.append(box)
            parts.append(svg.text((box[0] + box[2]) / 2, box[3] - 4, words, class_="label", anchor="middle"))
    return parts


def _free(words: str, x: float, y: float, layout: Layout, taken: Sequence[Box]) -> Box | None:
    """The first free place for a label around a mark: above, left of it, right of it, below."""
    width, height = svg.text_width(words, layout.font) + 4, layout.font + 4
    for dx, dy in ((0, -1), (-1, -1), (1, -1), (0, 1), (-1, 1), (1, 1)):
        left = x - width / 2 + dx * (width / 2 + 9)
        top = y - 11 - height if dy < 0 else y + 11
        box = (left, top, left + width, top + height)
        inside = left >= layout.left and box[2] <= layout.right and top >= layout.top and box[3] <= layout.bottom
        if inside and not any(svg.overlap(box, other) for other in taken):
            return box
    return None


def _strip(curve: Curve, scale: Scale, shapes: Mapping[str, str], refused: Mapping[str, str]) -> list[str]:
    parts: list[str] = []
    layout = scale.layout
    for i, c in enumerate(curve.candidates):
        y, top = _row_y(scale, i), layout.strip + layout.row * i
        parts.append(svg.line(0, top, layout.width, top, class_="rule"))
        parts.append(_whisker(c, curve, scale, y, class_="whisker strong", end=6))
        parts.append(svg.marker(scale.x(c.worth), y, shapes[c.name], size=6.5, class_=_mark_class(c, refused)))
        parts += _row_words(c, curve, layout, y, refused.get(c.name))
    return parts


def _row_words(c: Placed, curve: Curve, layout: Layout, y: float, refused: str | None) -> list[str]:
    """A row's name and numbers: beside it on wide screens, above it on narrow ones."""
    worth, between = _worth(c, curve), span(c.low, c.high)
    made = f"{c.rows:,} rows" if c.rows else ""
    if layout.beside:
        room = int((layout.left - 24) / (layout.font * svg.CHARACTER))
        under = refused or made
        return [
            svg.text(0, y - 3, short(c.name, room - 4), class_="who"),
            svg.text(0, y + 15, short(under, room + 2), class_="refused" if refused else "note"),
            svg.text(layout.width, y - 3, worth, class_="worth", anchor="end"),
            svg.text(layout.width, y + 15, between, class_="note", anchor="end"),
        ]
    room = int((layout.width - svg.text_width(worth, layout.font)) / (layout.font * svg.CHARACTER)) - 3
    return [
        svg.text(0, y - 28, short(c.name, max(room, 6)), class_="who"),
        svg.text(layout.width, y - 28, worth, class_="worth", anchor="end"),
        svg.text(0, y - 12, short(refused or made, 24), class_="refused" if refused else "note"),
        svg.text(layout.width, y - 12, between, class_="note", anchor="end"),
    ]
