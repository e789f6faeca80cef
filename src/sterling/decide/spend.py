"""What was spent, in money, and what to buy next: real rows, more synthetic rows, a better generator, or nothing.

Unknown prices are never guessed: a sum without one says so, and so does a decision that it would turn.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sterling.kernel.estimate import Estimate, Unmeasured
from sterling.kernel.finding import Json
from sterling.run.costs import Costs, Spent, Stage

SECONDS_PER_HOUR, TOKENS_PER_PRICE = 3600.0, 1e6
# SCIENCE.md 2b: nothing is read off a curve beyond twice its measured range.
FARTHEST = 2.0

Prices = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Sum:
    """Money, as far as prices are known.

    Args:
        money: the known part.
        missing: names of prices without which the sum is too small.
    """

    money: float = 0.0
    missing: frozenset[str] = frozenset()

    def plus(self, other: Sum) -> Sum:
        """Both together."""
        return Sum(self.money + other.money, self.missing | other.missing)

    def part(self, share: float) -> Sum:
        """A share of it; none of it leaves nothing unknown."""
        return Sum(self.money * share, self.missing if share > 0 else frozenset())

    @property
    def whole(self) -> bool:
        """Whether every price was known."""
        return not self.missing


@dataclass(frozen=True, slots=True)
class Lot:
    """One candidate as a purchase.

    Args:
        name: of the candidate.
        rows: that were made or bought.
        rejected: of these, thrown out by checks or people.
        used: whether the rest is used; a refused candidate's rows are all lost.
        unused: why it is not, where it is not.
        worth: in real rows; None where it was not measured.
        slope: real rows' worth that one more row adds: value, low, high; None where it was not measured.
    """

    name: str
    rows: int
    rejected: int = 0
    used: bool = True
    unused: str = ""
    worth: Estimate | None = None
    slope: tuple[float, float, float] | None = None

    @property
    def accepted(self) -> int:
        """Rows that are used."""
        return max(0, self.rows - self.rejected) if self.used else 0


@dataclass(frozen=True, slots=True)
class Bill:
    """What a run cost.

    Args:
        lines: by stage, in the order of a table: generation, rejected rows, automatic validation, human review, rework.
        lots: by candidate, its own cost and its part of what served all of them.
        next_row: by candidate, what one more accepted row costs: making it and reviewing as large a share of them.
    """

    lines: Mapping[str, Sum]
    lots: Mapping[str, Sum]
    next_row: Mapping[str, Sum]

    @property
    def total(self) -> Sum:
        """All lines together."""
        total = Sum()
        for line in self.lines.values():
            total = total.plus(line)
        return total

    @property
    def checking(self) -> float | None:
        """Share of automatic validation and human review in the cost; None where nothing was spent."""
        total = self.total.money
        return (self.lines["automatic validation"].money + self.lines["human review"].money) / total if total else None


def priced(spent: Spent, prices: Prices, *, by_record: str | None = None) -> Sum:
    """What a stage took, in money.

    Args:
        spent: seconds, tokens, records, and money that was billed already (its tokens are not priced again).
        prices: cpu_hour, gpu_hour, tokens (a million), review_hour, review_seconds (per record).
        by_record: name of a price per record that holds where people's seconds were not measured.
    """
    total = Sum(spent.money)
    units = [
        (spent.cpu_seconds / SECONDS_PER_HOUR, "cpu_hour"),
        (spent.gpu_seconds / SECONDS_PER_HOUR, "gpu_hour"),
        (0.0 if spent.money else spent.tokens / TOKENS_PER_PRICE, "tokens"),
        (spent.review_seconds / SECONDS_PER_HOUR, "review_hour"),
    ]
    if spent.records and not spent.review_seconds and not spent.money:
        if by_record == "review_seconds":
            seconds = prices.get("review_seconds")
            if seconds is None:
                total = total.plus(Sum(0.0, frozenset({"review_seconds"})))
            units.append((spent.records * (seconds or 0.0) / SECONDS_PER_HOUR, "review_hour"))
        elif by_record is not None:
            units.append((float(spent.records), by_record))
    for amount, name in units:
        if amount > 0:
            total = total.plus(_times(amount, name, prices))
    return total


def _times(amount: float, name: str, prices: Prices) -> Sum:
    price = prices.get(name)
    return Sum(0.0, frozenset({name})) if price is None else Sum(amount * price)


def row_price(prices: Prices, candidate: str) -> float | None:
    """What a row of a candidate is bought for: its own price, else that of any synthetic row."""
    return prices.get(f"synthetic_row:{candidate}", prices.get("synthetic_row"))


def bill_of(costs: Costs, lots: Sequence[Lot], prices: Prices) -> Bill:
    """Price a ledger.

    What was made for no lot, or for one that is not used, counts as rejected; what served all lots is shared
    among them by rows.
    """
    made = {lot.name: _making(costs, lot, prices) for lot in lots}
    strays = {who for who, stage in costs.spent if stage == "generation"} - set(made) - {""}
    lost = Sum()
    for who in strays:
        lost = lost.plus(priced(costs.of("generation", who), prices))
    kept = Sum()
    for lot in lots:
        share = lot.accepted / lot.rows if lot.rows else 0.0
        kept, lost = kept.plus(made[lot.name].part(share)), lost.plus(made[lot.name].part(1 - share))
    # Requests that no candidate is named for, such as probes.
    kept = kept.plus(priced(costs.of("generation", ""), prices))
    lines = {
        "generation": kept,
        "rejected rows": lost,
        "automatic validation": priced(costs.of("validation"), prices),
        "human review": priced(costs.of("review"), prices, by_record="review_seconds"),
        "rework": priced(costs.of("rework"), prices, by_record="rework_row"),
    }
    rows = sum(lot.rows for lot in lots)
    common = _checked(costs, "", prices).plus(priced(costs.of("generation", ""), prices))
    own = {
        lot.name: made[lot.name]
        .plus(_checked(costs, lot.name, prices))
        .plus(common.part(lot.rows / rows if rows else 0))
        for lot in lots
    }
    return Bill(lines, own, {lot.name: _next_row(costs, lot, made[lot.name], prices) for lot in lots})


def _making(costs: Costs, lot: Lot, prices: Prices) -> Sum:
    """Machine time and tokens from the ledger, and the price of a row where it has one; a file has nothing else."""
    spent = costs.of("generation", lot.name)
    total = priced(spent, prices)
    price = row_price(prices, lot.name)
    if price is not None:
        return total.plus(Sum(price * lot.rows))
    return total if spent != Spent() else total.plus(Sum(0.0, frozenset({"synthetic_row"})))


def _checked(costs: Costs, who: str, prices: Prices) -> Sum:
    stages: tuple[tuple[Stage, str | None], ...] = (
        ("validation", None), ("review", "review_seconds"), ("rework", "rework_row"),
    )  # fmt: skip
    total = Sum()
    for stage, by_record in stages:
        total = total.plus(priced(costs.of(stage, who), prices, by_record=by_record))
    return total


def _next_row(costs: Costs, lot: Lot, made: Sum, prices: Prices) -> Sum:
    """One more accepted row; automatic validation is paid once and does not grow with it."""
    if not lot.rows:
        return Sum()
    reviewed = priced(costs.of("review", lot.name), prices, by_record="review_seconds")
    passed = max(1, lot.rows - lot.rejected) / lot.rows
    return made.plus(reviewed).part(1 / lot.rows / passed)


def per_unit(cost: float, units: Estimate) -> Estimate | Unmeasured:
    """A cost divided by an uncertain number of units; the interval turns over.

    >>> e = per_unit(100.0, Estimate(50.0, 25.0, 100.0, 10, 0.95, "x"))
    >>> (e.value, e.low, e.high)
    (2.0, 1.0, 4.0)
    """
    if units.value <= 0:
        return Unmeasured("the rows are worth nothing as far as can be seen: no price buys one real row's worth",
                          "measure again with more rows, or use another generator")  # fmt: skip
    high = math.inf if units.low <= 0 and cost > 0 else 0.0 if cost <= 0 else cost / units.low
    return Estimate(cost / units.value, cost / units.high, high, units.n, units.level, f"cost over {units.method}")


def break_even(rows: int, worth: float, slope: float, price_ratio: float) -> float | None:
    """Rows at which one more costs as much as the real rows' worth that it adds.

    The worth follows 1/N(m) = 1/(r m) + 1/cap (SCIENCE.md 0.2), through the point measured with its slope.

    Args:
        rows: m, as measured.
        worth: N(m) > 0 in real rows.
        slope: dN/dm at m.
        price_ratio: price of a synthetic row over that of a real row, > 0.

    Returns:
        Rows, 0 if not even the first one paid; infinite if the worth does not level off; None if there is no slope.

    >>> round(break_even(1000, 500.0, 0.25, 0.25))
    1000
    >>> round(break_even(1000, 500.0, 0.25, 0.01))
    9000
    """
    if slope <= 0 or worth <= 0 or price_ratio <= 0:
        return None
    left = 1 - slope * rows / worth
    if left <= 0:
        return math.inf
    rate, cap = worth**2 / (slope * rows**2), worth / left
    return max(0.0, cap * (1 / math.sqrt(price_ratio * rate) - 1 / rate))


@dataclass(frozen=True, slots=True)
class Option:
    """One way to one more real row's worth.

    Args:
        what: "more real rows", "more of NAME", ...
        kind: "real" or "synthetic".
        price: of one real row's worth; None where a price is missing, infinite where none can be had.
        low: at best.
        high: at worst.
        missing: prices that would be needed.
        held: why it is no advice whatever its price, such as that no mix used the set; else "".
    """

    what: str
    kind: str
    price: float | None
    low: float = 0.0
    high: float = math.inf
    missing: tuple[str, ...] = ()
    held: str = ""


def options(bill: Bill, lots: Sequence[Lot], prices: Prices) -> tuple[Option, ...]:
    """What could be bought next, each by the price of one real row's worth; cheapest first.

    After them those of unknown price, and last the sets that no mix used, with the reason.
    """
    real = prices.get("real_row")
    found = [
        Option("more real rows", "real", real, real or 0.0, real or math.inf, () if real is not None else ("real_row",))
    ]
    for lot in lots:
        if lot.slope is None:
            continue
        cost, what = bill.next_row[lot.name], f"more of {lot.name}"
        held = "" if lot.used else lot.unused or "it is not in use"
        if not cost.whole:
            found.append(Option(what, "synthetic", None, missing=tuple(sorted(cost.missing)), held=held))
            continue
        value, low, high = (cost.money / s if s > 0 else math.inf for s in (lot.slope[0], lot.slope[2], lot.slope[1]))
        found.append(Option(what, "synthetic", value, low, high, held=held))
    return tuple(sorted(found, key=lambda o: (bool(o.held), o.price is None, o.price or 0.0)))


def headroom(lot: Lot, prices: Prices) -> float | None:
    """What a better generator may cost at most: as if each of its rows did what a real row does."""
    real = prices.get("real_row")
    if real is None or lot.worth is None:
        return None
    return real * max(0.0, lot.rows - lot.worth.value)


def slope_of(evidence: Mapping[str, Json]) -> tuple[float, float, float] | None:
    """Real rows' worth that one more synthetic row adds, with its ends; None where the measure could not say."""
    middle = _per_row(evidence.get("marginal_per_1000"))
    if middle is None:
        return None
    low, high = (_per_row(evidence.get(key)) for key in ("marginal_low", "marginal_high"))
    # A measure that says an end and means no limit leaves None in JSON, and infinity before that.
    top = math.inf if "marginal_high" in evidence else middle
    return middle, min(middle if low is None else low, middle), max(top if high is None else high, middle)


def _per_row(per_1000: Json) -> float | None:
    known = isinstance(per_1000, (int, float)) and not isinstance(per_1000, bool) and math.isfinite(per_1000)
    return float(per_1000) / 1000 if known and isinstance(per_1000, (int, float)) else None
