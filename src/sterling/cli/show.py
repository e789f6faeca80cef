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
from sterling.kernel.finding import Finding, Json, Status, Verdict
from sterling.kernel.protocols import mark_of
from sterling.kernel.table import Table as Lines

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
MOST_LINES = 15
FAMILIES = {
    "gap": "distributions and dependence",
    "coverage": "coverage",
    "labels": "labels",
    "bias": "groups",
    "privacy": "privacy",
    "utility": "use",
    "diversity": "diversity",
    "": "",
}


class _Console(Console):
    """A console that tells its caller when the reader of the output went away, instead of ending the process."""

    def on_broken_pipe(self) -> None:
        """Called by rich inside the handler of the error."""
        self.quiet = True
        raise BrokenPipeError


def console() -> Console:
    """Standard output, at most 80 columns wide where its width is not known."""
    probe = _Console(highlight=False, soft_wrap=False)
    return probe if probe.is_terminal else _Console(highlight=False, width=80)


def show_result(result: Result) -> None:
    """Print verdict, reason, findings, rules and what nobody could measure."""
    out = console()
    verdict = result.decision.verdict
    head = Text.assemble((f" {verdict.value} ", f"{VERDICT_STYLE[verdict]} reverse"), "  ", result.summary)
    out.print()
    out.print(head)
    out.print()
    shown = [f for f in result.findings if f.status not in (Status.NOT_APPLICABLE, Status.UNMEASURED)]
    if len({f.candidate for f in shown if f.candidate is not None}) > 1:
        _show_candidates(out, result, shown)
    elif shown:
        out.print(finding_table(shown))
        for finding in shown:
            if finding.status is Status.WARN and finding.reason:  # failures are told by their rules below
                out.print(Padding(Text(f"{finding.name}: {finding.reason}"), (1, 0, 0, 2)))
        _show_open(out, shown)
    for shown_table in result.tables:
        show_table(out, shown_table)
    _show_rules(out, result)
    _show_unmeasured(out, result)
    for note in result.notes:
        out.print(Padding(Text(f"note: {note}", style="dim"), (0, 0, 0, 2)))
    out.print(Text(f"  policy {result.policy}, seed {result.seed}", style="dim"))


def _show_candidates(out: Console, result: Result, findings: list[Finding]) -> None:
    """A block for each candidate: its worth in a sentence, and what stands against it."""
    for name in dict.fromkeys(f.candidate for f in findings if f.candidate is not None):
        own = [f for f in findings if f.candidate == name]
        out.print(Text(name, style="bold"))
        for finding in own:
            if finding.measure == "real_equivalent_rows" and finding.slice is None:
                out.print(Padding(Text(finding.reason or ""), (0, 0, 0, 2)))
        wrong = [f for f in own if f.status in (Status.FAIL, Status.WARN) and f.measure != "real_equivalent_rows"]
        if wrong:
            out.print(finding_table(wrong, most_slices=3))
        passed = sum(f.status is Status.PASS for f in own)
        undecided = sum(f.status is Status.UNDECIDED for f in own)
        counted = f"{passed} finding{'s' if passed != 1 else ''} within bounds, {undecided} open"
        out.print(Padding(Text(counted, style="dim"), (0, 0, 0, 2)))
        out.print()


def finding_table(findings: list[Finding], *, most_slices: int = MOST_SLICES) -> Table:
    """Findings as a table that fits 80 columns; the worst slices only."""
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
    slices, before, family = 0, "", ""
    several = len({_family(f) for f in findings} - {""}) > 1
    for finding in sorted(findings, key=lambda f: list(FAMILIES).index(_family(f))):
        slices += finding.slice is not None
        if finding.slice is not None and slices > most_slices:
            continue
        if several and _family(finding) != family:
            family = _family(finding)
            table.add_row("", Text(FAMILIES[family], style="dim italic"), "", "", "")
        sign, style = SIGN[finding.status]
        below = f"  {finding.slice}" if finding.measure == before else f"{finding.measure}: {finding.slice}"
        table.add_row(Text(sign, style=style), Text(below if finding.slice else finding.measure), *_numbers(finding))
        before = finding.measure
    if slices > most_slices:
        table.add_row("", f"  ... {slices - most_slices} more slices: --json", "", "", "")
    return table


def _family(finding: Finding) -> str:
    """What a finding's measure judges; findings of other rooms have none."""
    try:
        return mark_of(registry.resolve("measures", finding.measure)).family
    except UnknownName:
        return ""


def show_table(out: Console, table: Lines) -> None:
    """A table beside the findings: its title, at most MOST_LINES rows, its note."""
    out.print()
    out.print(Text(f"  {table.title}", style="bold"))
    drawn = Table(box=None, padding=(0, 1), header_style="dim", pad_edge=True)
    for j, name in enumerate(table.columns):
        numeric = all(row[j] is None or isinstance(row[j], (int, float)) for row in table.rows)
        drawn.add_column(name, justify="right" if numeric else "left", overflow="fold")
    for row in table.rows[:MOST_LINES]:
        drawn.add_row(*(Text(_cell(value)) for value in row))
    out.print(Padding(drawn, (0, 0, 0, 1)))
    if len(table.rows) > MOST_LINES:
        out.print(Text(f"  ... {len(table.rows) - MOST_LINES} more rows: --json or --html", style="dim"))
    if table.note:
        out.print(Padding(Text(table.note, style="dim"), (0, 0, 0, 2)))


def _cell(value: Json) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return "" if value is None else number(value) if isinstance(value, float) else str(value)


def _show_open(out: Console, findings: list[Finding]) -> None:
    """What it would take to decide what is open: the nearest to decided first."""
    needs = {f.name: f.evidence.get("times_the_rows_would_decide") for f in findings if f.status is Status.UNDECIDED}
    known = sorted((float(t), name) for name, t in needs.items() if isinstance(t, (int, float)))
    if not known:
        return
    told = ", ".join(f"{name} {times:,.0f}x" if times >= 10 else f"{name} {times:.1f}x" for times, name in known[:4])
    more = f" and {len(known) - 4} more" if len(known) > 4 else ""
    out.print(Padding(Text(f"open; so many times the rows would decide: {told}{more}", style="dim"), (1, 0, 0, 2)))


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
    """Each rule that spoke: its number and outcome on one line, its reason below."""
    for rule in result.decision.rules:
        weight = "bold" if rule.verdict is not None and rule.waived is None else "dim"
        out.print()
        about = f"  {rule.candidate}" if rule.candidate else ""
        out.print(Text.assemble("  ", (f"{rule.rule} {rule.outcome}", weight), (about, "dim")))
        body = rule.reason if rule.waived is None else f"{rule.reason} [waived: {rule.waived}]"
        out.print(Padding(Text(body), (0, 0, 0, 4)))
    out.print()


def _show_unmeasured(out: Console, result: Result) -> None:
    """What nobody could measure, by reason; and what does not apply, in one line."""
    reasons: dict[str, list[str]] = {}
    for finding in result.findings:
        if finding.status is Status.UNMEASURED and not isinstance(finding.result, Estimate):
            reasons.setdefault(finding.result.reason, []).append(finding.name)
    for reason, found in reasons.items():
        line = f"unmeasured: {', '.join(dict.fromkeys(found))}: {reason}"
        out.print(Padding(Text(line, style="dim"), (0, 0, 0, 2)))
    silent = dict.fromkeys(f.measure for f in result.findings if f.status is Status.NOT_APPLICABLE)
    if silent:
        out.print(Padding(Text(f"not applicable (nothing declared): {', '.join(silent)}", style="dim"), (0, 0, 0, 2)))


def show_rooms() -> None:
    """Print every room with its names."""
    out = console()
    for room in registry.ROOMS:
        found = registry.names(room)
        out.print(Text.assemble((f"{room:<12}", "bold"), ", ".join(found) or "none yet"))
    out.print(Text.assemble((f"{'rules':<12}", "bold"), "D0-D15: sterling list rules"))


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
    from sterling.decide.grounds import GROUNDS
    from sterling.decide.rules import RULES

    out = console()
    for rule, text in RULES.items():
        out.print(Text.assemble((f"{rule:<5}", "bold"), text))
        if rule in GROUNDS:
            out.print(Padding(Text(f"rests on: {GROUNDS[rule]}", style="dim"), (0, 0, 0, 5)))
