"""How a drill looks in a terminal of 80 columns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from sterling.cli.show import VERDICT_STYLE, console
from sterling.kernel.estimate import Estimate, Unmeasured
from sterling.kernel.finding import Finding, Json, Status

if TYPE_CHECKING:
    from sterling.decide.result import Result

# What became of a severity: caught with power .9, caught now and then, never caught, not tried.
CAUGHT, SOME, MISSED, UNTRIED = "●", "◐", "○", "·"


def show_drill(result: Result) -> None:
    """Print the verdict, a row for each fault with every severity, the innocent changes, and the rules."""
    out = console()
    verdict = result.decision.verdict
    out.print()
    out.print(Text.assemble((f" {verdict.value} ", f"{VERDICT_STYLE[verdict]} reverse"), "  ", headline(result)))
    out.print()
    faults = [f for f in result.findings if f.measure == "drill_floor"]
    if faults:
        out.print(_table([f for f in faults if f.status is not Status.NOT_APPLICABLE]))
        out.print(
            Text(f"  {CAUGHT} caught  {SOME} now and then  {MISSED} missed  {UNTRIED} not needed, mildest first", "dim")
        )
        out.print()
    for finding in result.findings:
        if finding.measure == "drill_alarm" and finding.status is not Status.NOT_APPLICABLE:
            # Few plants leave the rate open: what raised no alarm is quiet all the same.
            alarmed = any(caught for caught, _ in _tried(finding).values()) or isinstance(finding.result, Unmeasured)
            sign = Text("ALARM" if alarmed else "quiet", style="bold red" if alarmed else "green")
            out.print(Padding(Text.assemble(sign, "  ", finding.reason or ""), (0, 0, 0, 2)))
    for rule in result.decision.rules:
        if rule.reason.startswith(headline(result).rstrip(".")) and len(rule.reason) <= len(headline(result)):
            continue  # said above
        out.print(Padding(Text(rule.reason, style="" if rule.verdict else "dim"), (1, 0, 0, 2)))
    out.print()
    for finding in result.findings:
        if finding.status is Status.NOT_APPLICABLE:
            out.print(Padding(Text(f"n/a  {named(finding)}: {finding.reason}", style="dim"), (0, 0, 0, 2)))
    for note in result.notes:
        out.print(Padding(Text(f"note: {note}", style="dim"), (0, 0, 0, 2)))
    out.print(Text(f"  policy {result.policy}, seed {result.seed}", style="dim"))


def headline(result: Result) -> str:
    """The answer in one sentence."""
    asked = [r.reason for r in result.decision.rules if r.verdict is result.decision.verdict]
    said = asked or [r.reason for r in result.decision.rules] or ["Nothing was drilled."]
    return said[0].partition(". ")[0].rstrip(".") + "."


def named(finding: Finding) -> str:
    """The fault's or the change's name."""
    return (finding.slice or "").partition("=")[2]


def _table(findings: list[Finding]) -> Table:
    table = Table(box=None, padding=(0, 1), header_style="dim", pad_edge=True)
    for name in ("fault", "tried"):
        table.add_column(name, no_wrap=True)
    table.add_column("caught from", justify="right", no_wrap=True)
    table.add_column("plants", justify="right", no_wrap=True)
    table.add_column("shown first by", overflow="fold")
    table.add_column("cause", no_wrap=True)
    for finding in findings:
        table.add_row(named(finding), *_cells(finding))
    return table


def _cells(finding: Finding) -> tuple[Text, str | Text, str, str, str]:
    rows = _tried(finding)
    floor = finding.result.value if isinstance(finding.result, Estimate) else None
    told = Text("missed", style="bold red") if rows else Text("n/m", style="dim")
    last = rows.get(floor if floor is not None else max(rows, default=0.0))
    by, read = finding.evidence.get("shown_first"), finding.evidence.get("read_whole")
    cause = "" if not read else "named" if finding.evidence.get("cause_named") == read else "no"
    return (
        _dots(finding, rows),
        told if floor is None else f"{floor:g}",
        f"{last[0]}/{last[1]}" if last else "",
        ", ".join(list(by)[:2]) if isinstance(by, dict) else "",
        cause,
    )


def _tried(finding: Finding) -> dict[float, tuple[int, int]]:
    """By severity, plants caught and plants made."""
    found: dict[float, tuple[int, int]] = {}
    tried = finding.evidence.get("tried")
    for row in tried if isinstance(tried, list) else []:
        if isinstance(row, dict):
            found[_number(row, "severity")] = (int(_number(row, "caught")), int(_number(row, "plants")))
    return found


def _number(row: Mapping[str, Json], key: str) -> float:
    value = row.get(key)
    return float(value) if isinstance(value, (int, float)) else 0.0


def _dots(finding: Finding, tried: Mapping[float, tuple[int, int]]) -> Text:
    """One sign for each severity of the fault."""
    severities = finding.evidence.get("severities")
    dots = Text()
    for severity in severities if isinstance(severities, list) else []:
        caught, plants = tried.get(float(severity), (0, 0)) if isinstance(severity, (int, float)) else (0, 0)
        if not plants:
            dots.append(UNTRIED, style="dim")
        elif caught >= 0.9 * plants:
            dots.append(CAUGHT, style="green")
        else:
            dots.append(SOME if caught else MISSED, style="yellow" if caught else "red")
    return dots
