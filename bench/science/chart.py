"""A small line chart as SVG for docs/evidence.md: measured points over published lines; readable in light and dark."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 720, 440, 70, 690, 66, 350
# Two hues and two shapes that differ in lightness as well.
COLOURS = ("#2f6fb5", "#b4561f", "#3b8754", "#7d5ba6", "#8a8f98")
STYLE = (
    "<style>text{font:13px system-ui,sans-serif;fill:#33383e}.t{font-weight:600;font-size:15px}"
    ".g{stroke:#c9ced4;stroke-width:1}rect.b{fill:#fff}"
    "@media(prefers-color-scheme:dark){text{fill:#dfe3e7}.g{stroke:#444b53}rect.b{fill:#15181b}}</style>"
)


@dataclass(frozen=True)
class Series:
    """One line: `dots` for what we measured, a plain line for what is published or predicted."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    dots: bool = False
    colour: int = 0


def draw(
    path: Path,
    title: str,
    x_label: str,
    y_label: str,
    series: Sequence[Series],
    *,
    log_x: bool = False,
    from_zero: bool = True,
) -> None:
    """Write the chart."""
    at_x = _scale([v for s in series for v in s.x], LEFT, RIGHT, log=log_x, zero=not log_x)
    at_y = _scale([v for s in series for v in s.y], BOTTOM, TOP, zero=from_zero)
    parts = [STYLE, f'<rect class="b" width="{WIDTH}" height="{HEIGHT}" rx="6"/>']
    parts.append(f'<text class="t" x="{LEFT}" y="26">{escape(title)}</text>')
    for value in _ticks([v for s in series for v in s.y], zero=from_zero):
        y = at_y(value)
        parts.append(f'<line class="g" x1="{LEFT}" x2="{RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{_shown(value)}</text>')
    for value in _ticks([v for s in series for v in s.x], log=log_x, zero=not log_x):
        parts.append(f'<text x="{at_x(value):.1f}" y="{BOTTOM + 20}" text-anchor="middle">{_shown(value)}</text>')
    parts.append(f'<text x="{RIGHT}" y="{BOTTOM + 42}" text-anchor="end" opacity=".75">{escape(x_label)}</text>')
    parts.append(f'<text x="{LEFT}" y="{TOP - 16}" text-anchor="start" opacity=".75">{escape(y_label)}</text>')
    for i, s in enumerate(series):
        colour = COLOURS[s.colour % len(COLOURS)]
        points = [(at_x(a), at_y(b)) for a, b in zip(s.x, s.y, strict=True) if math.isfinite(b)]
        if s.dots:
            parts += [f'<circle cx="{a:.1f}" cy="{b:.1f}" r="4" fill="{colour}"/>' for a, b in points]
        else:
            line = " ".join(f"{a:.1f},{b:.1f}" for a, b in points)
            parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        x, y = LEFT + 12 + (i % 3) * 205, HEIGHT - 14 - 17 * ((len(series) - 1) // 3 - i // 3)
        mark = f'<circle cx="{x}" cy="{y - 4}" r="4" fill="{colour}"/>'
        stroke = f'<line x1="{x - 7}" x2="{x + 7}" y1="{y - 4}" y2="{y - 4}" stroke="{colour}" stroke-width="2"/>'
        parts.append(mark if s.dots else stroke)
        parts.append(f'<text x="{x + 12}" y="{y}">{escape(s.name)}</text>')
    path.parent.mkdir(parents=True, exist_ok=True)
    body = "\n".join(parts)
    path.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">'
        f"<title>{escape(title)}</title>\n{body}\n</svg>\n",
        encoding="utf-8",
    )


def _scale(values: Sequence[float], start: float, end: float, *, log: bool = False, zero: bool):
    finite = [v for v in values if math.isfinite(v)]
    low, high = min(finite), max(finite)
    if zero:
        low = min(low, 0.0)
    f = math.log if log else float
    span = (f(high) - f(low)) or 1.0
    return lambda v: start + (f(v) - f(low)) / span * (end - start)


def _ticks(values: Sequence[float], *, log: bool = False, zero: bool) -> list[float]:
    finite = [v for v in values if math.isfinite(v)]
    low, high = min(finite), max(finite)
    if log:
        steps = [m * 10.0**e for e in range(-6, 8) for m in (1, 2, 5)]
        inside = [s for s in steps if low <= s <= high]
        return inside if len(inside) <= 9 else [s for s in inside if str(f"{s:e}")[0] == "1"]
    low = min(low, 0.0) if zero else low
    step = 10 ** math.floor(math.log10((high - low) or 1))
    step = next(s for s in (step / 5, step / 2, step, step * 2) if (high - low) / s <= 7)
    return [step * k for k in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _shown(v: float) -> str:
    return f"{v:,.0f}" if abs(v) >= 10 or v == round(v) else f"{v:.3g}"
