"""The picture where there is no learning curve: every gap between "as two real halves differ" and its bound.

Measures have different units, so each row is stretched until its noise floor and its bound fall on two
common lines: what lies left of the first is as good as real, what lies right of the second is too much.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sterling.kernel.estimate import Estimate
from sterling.kernel.finding import Finding, Status
from sterling.report import svg
from sterling.report.figures import number, short, span

FLOOR_AT, BOUND_AT = 0.22, 0.72
MOST_ROWS = 14


@dataclass(frozen=True, slots=True)
class Row:
    """One finding on the common scale: 0 the left edge, 1 the right edge."""

    label: str
    value: float
    low: float
    high: float
    shown: str
    between: str
    status: Status


@dataclass(frozen=True, slots=True)
class Layout:
    """Sizes of one drawing, in its own units."""

    width: float
    left: float
    right: float
    top: float
    row: float
    beside: bool


WIDE = Layout(width=1000, left=250, right=800, top=52, row=38, beside=True)
NARROW = Layout(width=360, left=6, right=354, top=58, row=62, beside=False)


def forest(findings: Sequence[Finding], titles: Mapping[str, str]) -> str:
    """Both drawings of the findings that have a number and a bound; empty where there are none.

    Args:
        findings: whole-set findings and slices, any order.
        titles: a short name by measure.
    """
    several = len({f.candidate for f in findings}) > 1
    ordered = sorted(findings, key=lambda f: (f.status is not Status.FAIL, f.slice is not None))
    rows = [row for f in ordered if (row := _row(f, titles, several=several)) is not None][:MOST_ROWS]
    if not rows:
        return ""
    return _drawing(rows, WIDE, key="gaps-wide") + _drawing(rows, NARROW, key="gaps-narrow")


def _row(finding: Finding, titles: Mapping[str, str], *, several: bool) -> Row | None:
    result, bound = finding.result, finding.params.get("bound")
    if not isinstance(result, Estimate) or isinstance(bound, bool) or not isinstance(bound, (int, float)):
        return None
    ideal = _ideal(finding, float(bound))
    if ideal is None:
        return None

    def at(v: float) -> float:
        return FLOOR_AT + (v - ideal) / (float(bound) - ideal) * (BOUND_AT - FLOOR_AT)

    ends = sorted((at(result.low), at(result.high)))
    label = titles.get(finding.measure, finding.measure)
    label = f"{label}: {finding.slice}" if finding.slice else label
    return Row(
        label=f"{finding.candidate} · {label}" if several and finding.candidate else label,
        value=at(result.value),
        low=ends[0],
        high=ends[1],
        shown=number(result.value),
        between=span(result.low, result.high),
        status=finding.status,
    )


def _ideal(finding: Finding, bound: float) -> float | None:
    """What "no gap" looks like: the noise floor, where it lies on the good side of the bound."""
    worse = -1.0 if finding.better == "higher" else 1.0
    guesses = [] if finding.floor is None else [finding.floor.value]
    guesses += [0.5, 1.0] if bound > 0.5 else [0.0]
    return next((g for g in guesses if (bound - g) * worse > 1e-9), None)


def _drawing(rows: Sequence[Row], layout: Layout, *, key: str) -> str:
    height = layout.top + layout.row * len(rows) + 8
    parts = _frame(layout, height)
    for i, row in enumerate(rows):
        parts += _line(row, layout, layout.top + layout.row * i)
    words = "; ".join(f"{r.label} {r.shown} {r.between}, {r.status.value}" for r in rows)
    return svg.picture(
        parts,
        width=layout.width,
        height=height,
        title="Gaps to the real data, between the noise floor and the bound",
        desc=words,
        key=key,
        class_="chart wide" if layout.beside else "chart narrow",
    )


def _x(share: float, layout: Layout) -> float:
    return layout.left + min(max(share, 0.0), 1.0) * (layout.right - layout.left)


def _frame(layout: Layout, height: float) -> list[str]:
    """The two common lines and what they are called; on narrow screens each row draws its own piece of them."""
    floor, bound, top = _x(FLOOR_AT, layout), _x(BOUND_AT, layout), layout.top - 8
    words = [
        svg.text(floor, top - 10, "as two real halves differ", class_="note", anchor="middle"),
        svg.text(bound, top - 10, "bound", class_="who", anchor="middle"),
        svg.text(layout.right, top - 10, "too far", class_="note", anchor="end"),
    ]
    return [*(_ground(layout, top, height) if layout.beside else []), *words]


def _ground(layout: Layout, top: float, bottom: float) -> list[str]:
    floor, bound = _x(FLOOR_AT, layout), _x(BOUND_AT, layout)
    return [
        svg.tag("rect", x=bound, y=top, width=layout.right - bound, height=bottom - top, class_="beyond"),
        svg.line(floor, top, floor, bottom, class_="yours"),
        svg.line(bound, top, bound, bottom, class_="bound"),
    ]


def _line(row: Row, layout: Layout, top: float) -> list[str]:
    rule = svg.line(0, top, layout.width, top, class_="rule")
    if layout.beside:
        y = top + layout.row / 2
        return [
            rule,
            *_mark(row, layout, y),
            svg.text(0, y + 5, short(row.label, 28), class_="who"),
            svg.text(layout.width - 124, y + 5, row.shown, class_="worth", anchor="end"),
            svg.text(layout.width, y + 5, row.between, class_="note", anchor="end"),
        ]
    y = top + layout.row - 18
    return [
        rule,
        *_ground(layout, y - 11, y + 11),
        *_mark(row, layout, y),
        svg.text(0, top + 18, short(row.label, 24), class_="who"),
        svg.text(layout.width, top + 18, f"{row.shown} {row.between}", class_="note", anchor="end"),
    ]


def _mark(row: Row, layout: Layout, y: float) -> list[str]:
    """The interval and the value; a value beyond the edge is an arrow on the edge."""
    failing = " bad" if row.status is Status.FAIL else ""
    bar = svg.whisker(
        _x(row.low, layout), _x(row.high, layout), y,
        open_left=row.low < 0, open_right=row.high > 1, class_=f"whisker strong{failing}", end=5,
    )  # fmt: skip
    if row.value > 1 or row.value < 0:
        x, way = (layout.right, 1) if row.value > 1 else (layout.left, -1)
        inside = bar if 0 <= row.low <= 1 or 0 <= row.high <= 1 else ""
        head = [(x - way * 11, y - 6.5), (x, y), (x - way * 11, y + 6.5)]
        return [inside, svg.path(head, class_=f"mark{failing}", closed=True)]
    shape = "square" if failing else "circle"
    return [bar, svg.marker(_x(row.value, layout), y, shape, size=5.5, class_=f"mark{failing}")]
