"""A bill in the house's envelope: what was spent, per unit, what to buy next, and which prices are missing."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sterling.decide import value_rules
from sterling.decide.facts import Case, Facts
from sterling.decide.policy import load_policy
from sterling.decide.sentences import number
from sterling.decide.spend import Bill, Lot, Option, Sum, headroom, options, per_unit
from sterling.kernel.estimate import Estimate, Measured, Unmeasured
from sterling.kernel.finding import Finding, Json, RuleOutcome, Status, Verdict
from sterling.kernel.table import Table
from sterling.run.costs import Costs, Spent, Stage

if TYPE_CHECKING:
    from sterling.decide.result import Result

STAGES: Mapping[str, Stage] = {
    "generation": "generation",
    "automatic validation": "validation",
    "human review": "review",
    "rework": "rework",
}
# What a price decides, where it is missing.
DECIDES: Mapping[str, str] = {
    "real_row": "whether synthetic rows pay, and when to stop making them",
    "synthetic_row": "what the bought rows cost, and with it whether they pay",
    "tokens": "what the language model cost",
    "review_hour": "what people's time cost",
    "review_seconds": "how long the review took, which was not measured",
    "cpu_hour": "what the processors cost",
    "gpu_hour": "what the GPUs cost",
    "rework_row": "what mending rows cost",
}
UNITS: Mapping[str, str] = {
    "real_row": "one more real row, collected and labelled",
    "synthetic_row": "one synthetic row, 0 if nothing",
    "tokens": "a million tokens",
    "review_hour": "an hour of a reviewer",
    "review_seconds": "seconds per record",
    "cpu_hour": "an hour of one core",
    "gpu_hour": "an hour of one GPU",
    "rework_row": "mending one row",
}


@dataclass(frozen=True, slots=True)
class Books:
    """Everything that a cost answer is made of.

    Args:
        costs: the journal, read.
        lots: the synthetic sets.
        bill: priced.
        prices: those that are known.
        currency: to print; None where nobody named one.
        journaled: whether there was a journal.
    """

    costs: Costs
    lots: tuple[Lot, ...]
    bill: Bill
    prices: Mapping[str, float]
    currency: str | None
    journaled: bool

    def money(self, amount: float) -> str:
        """A sum, such as "1,234.50 USD"."""
        shown = "less than 0.01" if 0 < amount < 0.005 else f"{amount:,.2f}"
        return f"{shown} {self.currency or ''}".rstrip()

    def price(self, amount: float) -> str:
        """A price of one unit: more digits below a cent."""
        digits = 2 if amount == 0 or amount >= 1 else 4 if amount >= 0.001 else 8
        return f"{amount:,.{digits}f} {self.currency or ''}".rstrip()

    def sum(self, amount: Sum) -> str:
        """The same, saying so where a price is missing."""
        if amount.whole:
            return self.money(amount.money)
        return f"at least {self.money(amount.money)}" if amount.money else "not known"


def concluded(books: Books, source: Result) -> Result:
    """Fold the books into a result of kind "cost"."""
    from sterling.decide.result import Result
    from sterling.decide.rules import folded

    ways = options(books.bill, books.lots, books.prices)
    findings = (*_shares(books), *(f for lot in books.lots for f in _per_lot(books, lot)))
    rules = (*_next(books, ways), *_rules(books, source), *_asked(books))
    notes = [] if books.journaled else ["there is no journal beside this result: seconds and tokens are not known"]
    if books.costs.reused:
        notes.append(f"{books.costs.reused} steps were read back from earlier runs and cost nothing")
    return Result(
        "cost", folded(rules, findings, source.policy), findings, source.inputs, source.seed, source.policy,
        cost=_json(books), notes=tuple(notes), tables=(_stages(books), _units(books), _ways(books, ways)),
    )  # fmt: skip


def _shares(books: Books) -> list[Finding]:
    """Which part of the money went into checking."""
    total, share = books.bill.total, books.bill.checking
    if share is None or not total.whole:
        known = ", ".join(sorted(total.missing))
        why = Unmeasured(
            f"the cost is not known without {known}" if known else "nothing was spent, as far as is recorded",
            f"state {known} in [prices]" if known else "run a study: its journal records what each step took",
        )
        return [Finding("validation_share", why, "lower", Status.UNMEASURED, reason=why.reason)]
    counted = Estimate(share, share, share, sum(lot.rows for lot in books.lots), 0.95, "counted in the journal")
    reason = f"validation is {share:.0%} of the cost"
    return [Finding("validation_share", counted, "lower", Status.PASS, reason=reason)]


def _per_lot(books: Books, lot: Lot) -> list[Finding]:
    spent = books.bill.lots[lot.name]
    facts: dict[str, Json] = {
        "currency": books.currency,
        "cost": spent.money,
        "rows": lot.rows,
        "accepted": lot.accepted,
    }
    return [
        _unit_finding("cost_per_accepted_row", _accepted(spent, lot), lot, facts, books, "an accepted row"),
        _unit_finding("cost_per_real_row", _real(spent, lot), lot, facts, books, "one real row's worth"),
    ]


def _unit_finding(
    measure: str, result: Measured, lot: Lot, facts: Mapping[str, Json], books: Books, what: str
) -> Finding:
    where = f"set={lot.name}"
    if isinstance(result, Unmeasured):
        return Finding(measure, result, "lower", Status.UNMEASURED, slice=where, reason=result.reason, evidence=facts)
    reason = f"{what} of {lot.name} costs {books.price(result.value)}"
    # What no model uses does not pass, whatever it would be worth.
    status = Status.PASS if lot.used else Status.WARN
    reason = reason if lot.used else f"{reason}, but {lot.unused or 'it is not in use'}"
    return Finding(measure, result, "lower", status, slice=where, reason=reason, evidence=facts)


def _accepted(spent: Sum, lot: Lot) -> Measured:
    if not spent.whole:
        return _unknown(spent)
    if not lot.accepted:
        lost = ": what it cost is lost" if spent.money else ""
        return Unmeasured(f"no row of {lot.name} was accepted{lost}", "see why it was refused")
    each = spent.money / lot.accepted
    return Estimate(each, each, each, lot.accepted, 0.95, "counted in the journal")


def _real(spent: Sum, lot: Lot) -> Measured:
    if not spent.whole:
        return _unknown(spent)
    if lot.worth is None:
        return Unmeasured(f"the worth of {lot.name} was not measured", "run `sterling worth`, or a study with a target")
    return per_unit(spent.money, lot.worth)


def _unknown(spent: Sum) -> Unmeasured:
    names = ", ".join(sorted(spent.missing))
    return Unmeasured(f"the cost is not known without {names}", f"state {names} in [prices]")


def _stages(books: Books) -> Table:
    total = books.bill.total
    rows: list[tuple[Json, ...]] = []
    for name, amount in (*books.bill.lines.items(), ("total", total)):
        share = f"{amount.money / total.money:.1%}" if total.money and total.whole else ""
        rows.append((name, _took(books, name), books.sum(amount), share))
    return Table(
        "What it cost",
        ("stage", "what it took", "money", "share"),
        tuple(rows),
        note="Rejected rows: what making them took, out of generation. Rework: steps that failed, were done twice, or "
        "made rows that were then made anew.",
    )


def _took(books: Books, name: str) -> str:
    """Rows, seconds, tokens and records in words."""
    if name == "rejected rows":
        lost = sum(lot.rows - lot.accepted for lot in books.lots)
        return f"{lost:,} of {sum(lot.rows for lot in books.lots):,} rows"
    if name == "total":
        return f"{sum(lot.accepted for lot in books.lots):,} rows accepted"
    spent = books.costs.of(STAGES[name])
    parts = [f"{sum(lot.rows for lot in books.lots):,} rows"] if name == "generation" else []
    if name == "rework" and books.costs.remade:
        parts.append(f"{sum(books.costs.remade.values()):,} rows made anew")
    return ", ".join([*parts, *_amounts(spent)]) or "nothing recorded"


def _amounts(spent: Spent) -> list[str]:
    seconds = ((spent.cpu_seconds, "CPU"), (spent.gpu_seconds, "GPU"), (spent.review_seconds, "of people"))
    parts = [f"{s:,.0f} s {what}" if s < 7200 else f"{s / 3600:,.1f} h {what}" for s, what in seconds if s > 0]
    parts += [f"{spent.tokens:,} tokens"] if spent.tokens else []
    parts += [f"{spent.records:,} records"] if spent.records else []
    return parts


def _units(books: Books) -> Table:
    rows: list[tuple[Json, ...]] = []
    for lot in books.lots:
        spent = books.bill.lots[lot.name]
        each, real = _accepted(spent, lot), _real(spent, lot)
        rows.append(
            (
                lot.name,
                f"{lot.accepted:,} of {lot.rows:,}",
                books.sum(spent),
                books.price(each.value)
                if isinstance(each, Estimate)
                else "not known"
                if lot.accepted
                else _none(spent),
                _range(books, real) + ("" if lot.used else " if it were used")
                if isinstance(real, Estimate)
                else "no price buys it"
                if _nothing(lot)
                else "not known",
            )
        )
    return Table("By set", ("set", "accepted", "cost", "an accepted row", "one real row's worth"), tuple(rows))


def _none(spent: Sum) -> str:
    return "none accepted" if spent.whole and not spent.money else "all lost"


def _nothing(lot: Lot) -> bool:
    return lot.worth is not None and lot.worth.value <= 0


def _range(books: Books, e: Estimate) -> str:
    high = "no limit" if math.isinf(e.high) else number(e.high)
    return f"{books.price(e.value)} [{number(e.low)}, {high}]"


def _ways(books: Books, ways: tuple[Option, ...]) -> Table:
    rows: list[tuple[Json, ...]] = []
    for way in ways:
        if way.price is None:
            rows.append((way.what, "not known", _but(f"needs {', '.join(way.missing)}", way.held)))
        elif math.isinf(way.price):
            rows.append((way.what, "no price buys it", _but("more rows add nothing that can be measured", way.held)))
        elif way.kind == "real":
            rows.append((way.what, books.price(way.price), ""))
        else:
            rows.append((way.what, books.price(way.price), _but(_between(way), way.held)))
    for lot in books.lots:
        most = headroom(lot, books.prices)
        if most is not None:
            told = f"pays up to {books.money(most)} in all: as if each row did what a real one does"
            rows.append((f"a better generator than {lot.name}", "", told))
        if lot.slope is None:
            told = _but("the worth of the next rows was not measured", lot.unused)
            rows.append((f"more of {lot.name}", "not known", told))
    gain = books.prices.get("gain_row")
    if gain is not None:
        rows.append(("nothing", "", f"right where all else costs more than {books.price(gain)}"))
    return Table("What to buy next", ("buy", "for one real row's worth", ""), tuple(rows))


def _between(way: Option) -> str:
    high = "no limit" if math.isinf(way.high) else number(way.high)
    return f"between {number(way.low)} and {high}"


def _but(told: str, held: str) -> str:
    return f"{told}, but {held}" if held else told


def _passed_over(books: Books, ways: tuple[Option, ...], price: float) -> str:
    """Why what would be cheaper, but is in no mix, is not the advice."""
    cheaper = [w for w in ways if w.held and w.price is not None and w.price < price]
    return "".join(
        f" {w.what[:1].upper()}{w.what[1:]} would cost {books.price(w.price or 0.0)} ({_between(w)}), but {w.held}: "
        "rows that no model uses bring nothing at any price."
        for w in cheaper
    )


def _next(books: Books, ways: tuple[Option, ...]) -> list[RuleOutcome]:
    """One sentence: the cheapest way to the next real row's worth, as far as prices can say."""
    known = [w for w in ways if w.price is not None and math.isfinite(w.price) and not w.held]
    open_ = [w for w in ways if w.price is None and not w.held]
    used = [lot for lot in books.lots if lot.used]
    if not known or open_ or any(lot.slope is None for lot in used):
        return []
    best, gain = known[0], books.prices.get("gain_row")
    price = float(best.price or 0.0)
    aside = _passed_over(books, ways, price)
    if gain is not None and price > gain:
        reason = (
            f"Stop: one more real row's worth brings {books.price(gain)}, and the cheapest way to it, {best.what}, "
            f"costs {books.price(price)}.{aside}"
        )
        return [RuleOutcome("D6", "STOP", (), reason)]
    others = [w for w in known[1:] if w.low < best.high and w.high > best.low]
    if not used and len(known) == 1:
        reason = f"Buy next: more real rows, at {books.price(price)} each; no synthetic set is in use.{aside}"
        return [RuleOutcome("D6", "BUY_REAL", (), reason)]
    second = f", against {books.price(known[1].price or 0.0)} for {known[1].what}" if len(known) > 1 else ""
    sure = f" Their ranges overlap, so {others[0].what} may be as cheap." if others else ""
    reason = f"Buy next: {best.what}, at {books.price(price)} for one real row's worth{second}.{sure}{aside}"
    return [RuleOutcome("D6", "BUY_REAL" if best.kind == "real" else "BUY_SYNTHETIC", (), reason)]


def _rules(books: Books, source: Result) -> list[RuleOutcome]:
    """D6 for every set, with what its rows cost in this run in place of a stated price."""
    policy = load_policy()
    lost = [lot for lot in books.lots if not lot.used]
    n_train = next((r.rows for r in source.inputs if r.origin == "real"), None)
    spoken = [
        RuleOutcome(
            "D6", "NOT_USED", (),
            f"No row of {lot.name} is in use; what it cost ({books.sum(books.bill.lots[lot.name])}) is lost.",
            Verdict.FIX,
            candidate=lot.name,
        )
        for lot in lost
        if (spent := books.bill.lots[lot.name]).money > 0 or not spent.whole
    ]  # fmt: skip
    for lot in books.lots:
        prices = {k: v for k, v in books.prices.items() if k == "real_row"}
        spent, following = books.bill.lots[lot.name], books.bill.next_row[lot.name]
        if spent.whole and following.whole and lot.rows:
            prices |= {"synthetic_row": spent.money / lot.rows, "next_row": following.money}
        own = [f for f in source.findings if f.candidate in (lot.name, None)]
        named = [replace(f, candidate=lot.name) for f in own if f.measure == "real_equivalent_rows"]
        held = next((f.params.get("real_rows") for f in named), n_train)
        facts = Facts("cost", n_train=held if isinstance(held, int) else n_train, prices=prices,
                      candidate_rows={lot.name: lot.rows})  # fmt: skip
        case = Case(lot.name, named, facts, policy)
        for rule in (value_rules.worth, value_rules.prices, value_rules.ask_price):
            outcome = rule(case)
            # What no model uses does not pay, whatever it would be worth alone.
            if outcome is not None and (lot.used or outcome.outcome != "SYNTHETIC_PAYS"):
                spoken.append(replace(outcome, candidate=lot.name))
    return spoken


def _asked(books: Books) -> list[RuleOutcome]:
    """Prices that are missing, what each is for, and what it would decide."""
    missing = set(books.bill.total.missing)
    if "real_row" not in books.prices:
        missing.add("real_row")
    if not missing:
        return []
    told = [f"{name} ({UNITS[name]}): {DECIDES[name]}" for name in sorted(missing)]
    reason = f"Please state in [prices]: {'; '.join(told)}. None of it is guessed."
    decisive = "real_row" in missing or bool(books.bill.total.missing - {"cpu_hour"})
    return [RuleOutcome("D6", "ASK_PRICE", (), reason, Verdict.INSUFFICIENT if decisive else None)]


def _json(books: Books) -> dict[str, Json]:
    """The bill in numbers."""
    total = books.bill.total
    lines: dict[str, Json] = {name: amount.money for name, amount in books.bill.lines.items()}
    sets: dict[str, Json] = {name: amount.money for name, amount in books.bill.lots.items()}
    missing: list[Json] = [*sorted(total.missing)]
    known: dict[str, Json] = {**books.prices}
    return {
        "currency": books.currency, "total": total.money, "complete": total.whole, "missing_prices": missing,
        "by_stage": lines, "by_set": sets, "prices": known, "validation_share": books.bill.checking,
    }  # fmt: skip
