"""A drill as one self-contained page: which planted fault is caught from which severity on, drawn and as a table."""

from __future__ import annotations

import math
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sterling.kernel.estimate import Estimate
from sterling.kernel.finding import Finding, Json, Status
from sterling.report import svg
from sterling.report.figures import short, span
from sterling.report.page import MEANING, TONE
from sterling.report.templates import FOLDER, templates

if TYPE_CHECKING:
    from sterling.decide.result import Result

RADIUS = 9.0
POWER = 0.9


@dataclass(frozen=True, slots=True)
class Cell:
    """One severity of one fault: how many of its plants were caught; 0 of 0 where the search did not need it."""

    severity: str
    caught: int
    plants: int
    between: str

    @property
    def share(self) -> float:
        """Caught plants among all; 0 where there were none."""
        return self.caught / self.plants if self.plants else 0.0

    @property
    def counts(self) -> str:
        """As "9/10"; empty where nothing was planted."""
        return f"{self.caught}/{self.plants}" if self.plants else ""


@dataclass(frozen=True, slots=True)
class Line:
    """One fault or one innocent change, as the page prints it."""

    name: str
    title: str
    cells: tuple[Cell, ...]
    floor: str
    at: int | None
    power: str
    by: str
    cause: str
    status: str
    reason: str
    mend: str


@dataclass(frozen=True, slots=True)
class Layout:
    """Sizes of one drawing, in its own units."""

    width: float
    left: float
    right: float
    top: float
    row: float
    beside: bool


WIDE = Layout(width=1000, left=350, right=800, top=34, row=66, beside=True)
NARROW = Layout(width=360, left=26, right=334, top=8, row=92, beside=False)


def render_drill(result: Result, *, created: str = "") -> str:
    """The page of a drill: no script, no request to anywhere, light and dark, wide and narrow.

    Args:
        result: of kind "drill".
        created: a date or time to print; empty to print none.

    Returns:
        The whole file; every name in it is escaped.
    """
    from markupsafe import Markup

    room = templates()
    faults = [_line(f) for f in result.findings if f.measure == "drill_floor" and f.status is not Status.NOT_APPLICABLE]
    verdict = result.decision.verdict
    asked = [r.reason for r in result.decision.rules if r.verdict is verdict] or [
        r.reason for r in result.decision.rules
    ]
    return room.get_template("drill.jinja").render(
        result=result,
        created=created,
        verdict=verdict.value,
        meaning=MEANING[verdict] if verdict.value != "SHIP" else "the gate can be trusted with these",
        tone=TONE[verdict],
        headline=asked[0] if asked else "Nothing was drilled.",
        more=[r.reason for r in result.decision.rules if r.reason not in asked[:1]],
        # Ours alone: the style, and drawings that are escaped as they are made.
        style=Markup((FOLDER / "report.css").read_text(encoding="utf-8")),
        picture=Markup(ladder(faults)),
        faults=sorted(faults, key=lambda line: line.at is not None),
        innocent=[
            _line(f) for f in result.findings if f.measure == "drill_alarm" and f.status is not Status.NOT_APPLICABLE
        ],
        beside=[_line(f) for f in result.findings if f.status is Status.NOT_APPLICABLE],
        command=f"sterling drill {' '.join(shlex.quote(r.name) for r in result.inputs)} --seed {result.seed} "
        f"--policy {shlex.quote(result.policy.partition(' ')[0])}",
    )


def _line(finding: Finding) -> Line:
    facts, result = finding.evidence, finding.result
    cells = _cells(finding)
    floor = result.value if isinstance(result, Estimate) and finding.measure == "drill_floor" else None
    at = next((i for i, c in enumerate(cells) if floor is not None and c.severity == f"{floor:g}"), None)
    last = cells[at] if at is not None else next((c for c in reversed(cells) if c.plants), None)
    by, read = facts.get("shown_first"), facts.get("read_whole")
    # Few plants leave the rate open, which is no alarm: what raised none is printed as quiet.
    quiet = finding.measure == "drill_alarm" and last is not None and not last.caught
    return Line(
        name=(finding.slice or "").partition("=")[2],
        title=str(facts.get("title", "")),
        cells=cells,
        floor="" if floor is None else f"{floor:g}",
        at=at,
        power=f"{last.counts} {last.between}" if last else "",
        by=", ".join(list(by)[:2]) if isinstance(by, dict) else "",
        cause="" if not read else f"{facts.get('cause_named')} of {read}",
        status=Status.PASS.value if quiet else finding.status.value.replace("_", " "),
        reason=finding.reason or "",
        mend="" if isinstance(result, Estimate) else result.mend,
    )


def _cells(finding: Finding) -> tuple[Cell, ...]:
    tried, severities = finding.evidence.get("tried"), finding.evidence.get("severities")
    rows = {r["severity"]: r for r in tried if isinstance(r, dict)} if isinstance(tried, list) else {}
    return tuple(_cell(s, rows.get(s)) for s in (severities if isinstance(severities, list) else []))


def _cell(severity: Json, row: dict[str, Json] | None) -> Cell:
    shown = f"{severity:g}" if isinstance(severity, (int, float)) else str(severity)
    if row is None:
        return Cell(shown, 0, 0, "")
    caught, plants, low, high = (row.get(key) for key in ("caught", "plants", "low", "high"))
    ends = [float(v) if isinstance(v, (int, float)) else None for v in (low, high)]
    counts = [int(v) if isinstance(v, (int, float)) else 0 for v in (caught, plants)]
    return Cell(shown, counts[0], counts[1], span(*ends))


def ladder(lines: Sequence[Line]) -> str:
    """Both drawings: a row for each fault, a place for each severity; the missed ones on top."""
    if not lines:
        return ""
    ordered = sorted(lines, key=lambda line: line.at is not None)
    return _drawing(ordered, WIDE, key="drill-wide") + _drawing(ordered, NARROW, key="drill-narrow")


def _drawing(lines: Sequence[Line], layout: Layout, *, key: str) -> str:
    most = max(len(line.cells) for line in lines)
    height = layout.top + layout.row * len(lines) + 6
    parts = _head(layout) if layout.beside else []
    for i, line in enumerate(lines):
        parts += _row(line, layout, layout.top + layout.row * i, most)
    words = "; ".join(f"{line.title}: {f'caught from {line.floor}' if line.floor else 'missed'}" for line in lines)
    return svg.picture(
        parts, width=layout.width, height=height, title="From which severity on each planted fault is caught",
        desc=words, key=key, class_="chart wide" if layout.beside else "chart narrow",
    )  # fmt: skip


def _head(layout: Layout) -> list[str]:
    y = layout.top - 14
    return [
        svg.text(0, y, "planted fault", class_="note"),
        svg.text(layout.left - RADIUS, y, "milder", class_="note"),
        svg.text(layout.right + RADIUS, y, "stronger", class_="note", anchor="end"),
        svg.text(layout.width, y, "caught from", class_="note", anchor="end"),
    ]


def _row(line: Line, layout: Layout, top: float, most: int) -> list[str]:
    y = top + (24 if layout.beside else 48)
    step = (layout.right - layout.left) / max(1, most - 1)
    parts = [svg.line(0, top, layout.width, top, class_="rule")]
    for i, cell in enumerate(line.cells):
        parts += _place(cell, layout.left + step * i, y, first=i == line.at)
    told = line.floor or "missed"
    class_ = "worth" if line.floor else "refused"
    if layout.beside:
        parts += [
            svg.text(0, y, short(line.title, 40), class_="who"),
            svg.text(0, y + 18, line.name, class_="note"),
            svg.text(layout.width, y + 5, told, class_=class_, anchor="end"),
        ]
        return parts
    parts.append(svg.text(0, top + 20, short(line.title, 38), class_="who"))
    parts.append(svg.text(layout.width, top + 20, told, class_=class_, anchor="end"))
    return parts


def _place(cell: Cell, x: float, y: float, *, first: bool) -> list[str]:
    """A severity: full where it is caught, filled in part where it is now and then, crossed out where it is missed."""
    named = svg.text(x, y + 23, cell.severity, class_="label" if first else "tick", anchor="middle")
    counted = svg.text(x, y + 36, cell.counts, class_="tick", anchor="middle") if cell.counts else ""
    if not cell.plants:
        return [svg.tag("circle", cx=x, cy=y, r=2.5, class_="dot"), named]
    if cell.share >= POWER:
        return [svg.marker(x, y, "circle", size=RADIUS, class_="mark"), named, counted]
    ring = svg.marker(x, y, "circle", size=RADIUS, class_="mark hollow")
    if cell.caught:
        # The filled part's area, not its radius, is the share.
        inner = svg.tag("circle", cx=x, cy=y, r=max(2.0, (RADIUS - 2) * math.sqrt(cell.share)), class_="mark")
        return [ring, inner, named, counted]
    arm = RADIUS * 0.5
    cross = svg.line(x - arm, y - arm, x + arm, y + arm, class_="whisker bad strong")
    cross += svg.line(x - arm, y + arm, x + arm, y - arm, class_="whisker bad strong")
    return [ring, cross, named, counted]
