"""How results look in a terminal of 80 columns; on stdout, plain when piped."""

from __future__ import annotations

from dataclasses import MISSING, Field, fields, is_dataclass
from typing import TYPE_CHECKING, Any, get_args

from rich.console import Console, JustifyMethod
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from sterling.kernel import registry
from sterling.kernel.errors import UnknownName
from sterling.kernel.estimate import Estimate
from sterling.kernel.finding import Finding, Status, Verdict
from sterling.kernel.protocols import mark_of

if TYPE_CHECKING:
    from sterling.decide.result import Result

# A word and a sign each: colour is never the only carrier.
VERDICT_STYLE = {
    Verdict.SHIP: "bold green",
    Verdict.FIX: "bold yellow",
    Verdict.INSUFFICIENT: "bold yellow",
    Verdict.PROTOTYPE_ONLY: "bold yellow",
    Verdict.REAL_REQUIRED: "bold red",
    Verdict.BLOCK: "bold red",
}
SIGN = {
    Status.PASS: ("ok", "green"),
    Status.FAIL: ("FAIL", "bold red"),
    Status.WARN: ("warn", "yellow"),
    Status.UNDECIDED: ("open", "yellow"),
    Status.UNMEASURED: ("n/m", "dim"),
    Status.NOT_APPLICABLE: ("n/a", "dim"),
}
MOST_SLICES = 8


def console() -> Console:
    """Standard output, at most 80 columns wide where its width is not known."""
    probe = Console(highlight=False, soft_wrap=False)
    return probe if probe.is_terminal else Console(highlight=False, width=80)


def show_result(result: Result) -> None:
    """Print verdict, reason, findings, rules and what nobody could measure."""
    out = console()
    verdict = result.decision.verdict
    out.print()
    out.print(Text(f" {verdict.value} ", style=f"{VERDICT_STYLE[verdict]} reverse"), Text(result.summary))
    out.print()
    for finding in worths(result):
        out.print(Text.assemble("  ", (finding.candidate or "candidate", "bold"), "  ", finding.reason or ""))
    if worths(result):
        out.print()
    rest = [f for f in result.findings if f.measure != "real_equivalent_rows" and f.status is not Status.NOT_APPLICABLE]
    if rest:
        out.print(finding_table(rest))
    _show_rules(out, result)
    _show_unmeasured(out, result)
    for note in result.notes:
        out.print(Padding(Text(f"note: {note}", style="dim"), (0, 0, 0, 2)))


def worths(result: Result) -> list[Finding]:
    """The worth findings of whole sets, in order."""
    return [f for f in result.findings if f.measure == "real_equivalent_rows" and f.slice is None]


def finding_table(findings: list[Finding]) -> Table:
    """Findings as a table that fits 80 columns; the worst slices only."""
    several = len({f.candidate for f in findings}) > 1
    table = Table(box=None, padding=(0, 1), header_style="dim", pad_edge=True)
    layout: tuple[tuple[str, JustifyMethod], ...] = (
        ("", "left"),
        ("finding", "left"),
        ("value", "right"),
        ("interval", "right"),
        ("floor", "right"),
    )
    for name, justify in layout:
        table.add_column(name, justify=justify, no_wrap=name != "finding", overflow="fold")
    slices = 0
    for finding in findings:
        slices += finding.slice is not None
        if finding.slice is not None and slices > MOST_SLICES:
            continue
        sign, style = SIGN[finding.status]
        label = f"{finding.candidate} · {finding.name}" if several else finding.name
        table.add_row(Text(sign, style=style), label, *_numbers(finding))
    if slices > MOST_SLICES:
        table.add_row("", f"... and {slices - MOST_SLICES} more slices (see --json)", "", "", "")
    return table


def _numbers(finding: Finding) -> tuple[str, str, str]:
    if not isinstance(finding.result, Estimate):
        return "", "", ""
    r = finding.result
    high = "..." if r.censored else number(r.high)
    return number(r.value), f"[{number(r.low)}, {high}]", number(finding.floor.value) if finding.floor else ""


def number(x: float) -> str:
    """Four significant digits at most, thousands with commas.

    >>> number(0.51234), number(12345.6), number(-0.0001)
    ('0.512', '12,346', '-0.0001')
    """
    if abs(x) >= 1000:
        return f"{x:,.0f}"
    if abs(x) >= 10:
        return f"{x:.1f}"
    return f"{x:.3f}" if abs(x) >= 0.001 or x == 0 else f"{x:.1g}"


def _show_rules(out: Console, result: Result) -> None:
    if not result.decision.rules:
        return
    out.print()
    table = Table(box=None, padding=(0, 1), show_header=False, pad_edge=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for rule in result.decision.rules:
        head = Text.assemble((rule.rule, "bold"), " ", rule.outcome)
        body = rule.reason if rule.waived is None else f"{rule.reason} [waived: {rule.waived}]"
        table.add_row(head, Text(body))
    out.print(table)


def _show_unmeasured(out: Console, result: Result) -> None:
    missing = [f for f in result.findings if f.status is Status.UNMEASURED and not isinstance(f.result, Estimate)]
    if missing:
        out.print()
        for finding in missing:
            reason = "" if isinstance(finding.result, Estimate) else finding.result.reason
            out.print(Padding(Text(f"unmeasured: {finding.name}: {reason}", style="dim"), (0, 0, 0, 2)))
    out.print(Text(f"  policy {result.policy}, seed {result.seed}", style="dim"))


def show_rooms() -> None:
    """Print every room with its names."""
    out = console()
    for room in registry.ROOMS:
        found = registry.names(room)
        out.print(Text.assemble((f"{room:<12}", "bold"), ", ".join(found) or "none yet"))
    out.print(Text.assemble((f"{'rules':<12}", "bold"), "D0-D7: sterling list rules"))


def show_room(room: str) -> None:
    """Print what a room holds, with the settings of each.

    Raises:
        UnknownName: if there is no such room.
    """
    if room == "rules":
        return _show_rule_list()
    if room not in registry.ROOMS:
        raise UnknownName.among(room, [*registry.ROOMS, "rules"], what="list")
    out = console()
    for name in registry.names(room):
        thing = registry.resolve(room, name)
        title = mark_of(thing).title if room == "measures" else (thing.__doc__ or "").strip().split("\n")[0]
        out.print(Text.assemble((name, "bold"), f"  {title}"))
        if is_dataclass(thing):
            for setting in fields(thing):
                out.print(Padding(Text(_setting(setting), style="dim"), (0, 0, 0, 4)))
    return None


def _setting(setting: Field[Any]) -> str:
    kind = setting.type if isinstance(setting.type, str) else getattr(setting.type, "__name__", str(setting.type))
    choices = get_args(setting.type)
    shown = " | ".join(str(c) for c in choices) if choices else kind
    default = "required" if setting.default is MISSING else f"default {setting.default}"
    return f"--set {setting.name}=  {shown}, {default}"


def _show_rule_list() -> None:
    from sterling.decide.rules import RULES

    out = console()
    for rule, text in RULES.items():
        out.print(Text.assemble((f"{rule:<5}", "bold"), text))
