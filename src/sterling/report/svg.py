"""The few SVG elements the pictures are made of; all text is escaped here and nowhere else."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from html import escape

# Wider than any common sans-serif face on average: labels are placed as if they were this wide.
CHARACTER = 0.58


def tag(name: str, *inner: str, **attributes: float | str) -> str:
    """An element; `class_` becomes class, underscores become dashes, numbers are rounded."""
    shown = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{_value(value)}"' for key, value in attributes.items() if value != ""
    )
    return f"<{name}{shown}>{''.join(inner)}</{name}>" if inner else f"<{name}{shown}/>"


def _value(value: float | str) -> str:
    return escape(value) if isinstance(value, str) else f"{value:.1f}".removesuffix(".0")


def text(x: float, y: float, words: str, *, class_: str = "", anchor: str = "start") -> str:
    """A line of text, escaped."""
    return tag("text", escape(words), x=x, y=y, class_=class_, text_anchor="" if anchor == "start" else anchor)


def line(x1: float, y1: float, x2: float, y2: float, *, class_: str) -> str:
    """A straight line."""
    return tag("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_)


def path(points: Iterable[tuple[float, float]], *, class_: str, closed: bool = False) -> str:
    """Straight segments through points."""
    steps = " L".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return tag("path", d=f"M{steps}{'Z' if closed else ''}", class_=class_)


def picture(inner: Sequence[str], *, width: float, height: float, title: str, desc: str, key: str, class_: str) -> str:
    """A whole drawing with its name and description for those who do not see it."""
    return tag(
        "svg",
        tag("title", escape(title), id=f"{key}-title"),
        tag("desc", escape(desc), id=f"{key}-desc"),
        *inner,
        viewBox=f"0 0 {width:g} {height:g}",
        role="img",
        aria_labelledby=f"{key}-title {key}-desc",
        class_=class_,
    )


SHAPES = ("circle", "square", "triangle", "diamond", "pentagon", "cross")


def marker(x: float, y: float, shape: str, *, size: float, class_: str) -> str:
    """A mark whose shape alone tells it from the others."""
    if shape == "circle":
        return tag("circle", cx=x, cy=y, r=size, class_=class_)
    corners = {"square": (4, math.pi / 4), "triangle": (3, -math.pi / 2), "diamond": (4, 0.0), "pentagon": (5, -1.571)}
    if shape in corners:
        n, turn = corners[shape]
        reach = size * (1.35 if n == 3 else 1.2)
        angles = [turn + 2 * math.pi * i / n for i in range(n)]
        return path([(x + reach * math.cos(a), y + reach * math.sin(a)) for a in angles], class_=class_, closed=True)
    arm, half = size * 1.2, size * 0.45
    outline = [(-half, -arm), (half, -arm), (half, -half), (arm, -half), (arm, half), (half, half)]
    outline += [(-px, -py) for px, py in outline]
    return path([(x + px, y + py) for px, py in outline], class_=class_, closed=True)


def whisker(x1: float, x2: float, y: float, *, open_left: bool, open_right: bool, class_: str, end: float = 4) -> str:
    """A horizontal interval: a bar at a closed end, an arrow at an open one."""
    parts = [line(x1, y, x2, y, class_=class_)]
    for x, is_open, inward in ((x1, open_left, 1), (x2, open_right, -1)):
        if is_open:
            head = [(x + inward * end * 1.3, y - end), (x, y), (x + inward * end * 1.3, y + end)]
            parts.append(path(head, class_=f"{class_} open"))
        else:
            parts.append(line(x, y - end, x, y + end, class_=class_))
    return "".join(parts)


def text_width(words: str, size: float) -> float:
    """How wide a line of text is at most, in the drawing's units."""
    return len(words) * size * CHARACTER


def overlap(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> bool:
    """Whether two boxes (left, top, right, bottom) share any area."""
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
