"""`cost`: what a run cost, by stage, and what to buy next."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from sterling.api.cost_result import Books, concluded
from sterling.decide.result import Result, read_result
from sterling.decide.spend import Lot, bill_of, slope_of
from sterling.kernel.errors import InputError
from sterling.kernel.estimate import Estimate
from sterling.kernel.finding import Json, Verdict
from sterling.run.costs import Costs, costs_of
from sterling.run.ledger import JsonlLedger

if TYPE_CHECKING:
    from sterling.study import Prices

# Outcomes of rules after which a candidate's rows are of no use.
LOST = frozenset({"BLOCK", "FIX_GENERATOR", "RELABEL", "RELABEL_SLICE", "COPIES_FOUND"})


def cost(run: Path | str, *, prices: Path | str | Mapping[str, Json] | None = None) -> Result:
    """What a run cost by stage, per accepted row and per real row's worth, and what to buy next.

    Args:
        run: a run folder, or a result that --json wrote; without a journal only rows and prices are known.
        prices: a TOML file with a [prices] table, or the table itself; else the prices of the run's study.

    Returns:
        The result of kind "cost". Prices that are not known are named, with what they would decide.

    Raises:
        InputError: for a folder that holds no finished run, a result that is none, or prices that are none.
    """
    folder, result = _read(Path(run))
    ledger = None if folder is None else folder / "ledger.jsonl"
    found = ledger is not None and ledger.is_file()
    costs = costs_of(JsonlLedger(ledger).events()) if ledger is not None and found else Costs()
    table = _prices(prices, costs, result)
    known = table.known()
    lots = lots_of(result, costs)
    if not lots:
        raise InputError(
            f"{run} speaks of no synthetic set, so there is nothing to price",
            mend="name the result of compare, worth, blend or run",
        )
    _known_lots(known, lots)
    books = Books(costs, lots, bill_of(costs, lots, known), known, table.currency, journaled=found)
    return concluded(books, result)


def _read(run: Path) -> tuple[Path | None, Result]:
    """The folder whose journal belongs to it, and the result."""
    if run.is_dir():
        if not (run / "result.json").is_file():
            raise InputError(f"{run} holds no result.json", mend="name a finished run folder, or a --json file")
        return run, read_result(run / "result.json")
    return (run.parent if run.name == "result.json" else None), read_result(run)


def _prices(given: Path | str | Mapping[str, Json] | None, costs: Costs, result: Result) -> Prices:
    from pydantic import ValidationError

    from sterling.study import Prices, mistakes, read_prices

    inside = (result.cost or {}).get("prices")
    stated = dict(costs.prices) or {
        **(inside if isinstance(inside, dict) else {}),
        "currency": (result.cost or {}).get("currency"),
    }
    if isinstance(given, (str, Path)):
        return _in_currency(read_prices(Path(given)), stated.get("currency"))
    own: dict[str, Json] = {k.partition(":")[2]: v for k, v in stated.items() if k.startswith("synthetic_row:")}
    plain = {k: v for k, v in stated.items() if ":" not in k} | ({"synthetic_row": own} if own else {})
    table = plain if given is None else dict(given)
    try:
        return _in_currency(Prices.model_validate(table), stated.get("currency"))
    except ValidationError as err:
        where = ", ".join(mistakes(err, table, inside=("prices",)))
        raise InputError(f"these are no prices: {where}", mend="see docs/cost.md for every price") from err


def _in_currency(prices: Prices, studys: Json) -> Prices:
    """Prices that name no currency are in the study's."""
    known = prices.currency is not None or not isinstance(studys, str)
    return prices if known else prices.model_copy(update={"currency": studys})


def _known_lots(prices: Mapping[str, float], lots: tuple[Lot, ...]) -> None:
    """A price for a candidate that is not there is a misspelt one."""
    from sterling.kernel.errors import UnknownName

    for key in prices:
        name = key.partition(":")[2]
        if name and name not in {lot.name for lot in lots}:
            raise UnknownName.among(name, [lot.name for lot in lots], what="candidate in [prices] synthetic_row")


def lots_of(result: Result, costs: Costs) -> tuple[Lot, ...]:
    """Every synthetic set of a result as a purchase: rows, rejects, whether it is used, worth and slope."""
    rows = {record.name: record.rows for record in result.inputs if record.origin != "real"}
    return tuple(_lot(name, n, result, costs) for name, n in rows.items())


def _lot(name: str, rows: int, result: Result, costs: Costs) -> Lot:
    worth = next(
        (
            f
            for f in result.findings
            if f.measure == "real_equivalent_rows" and f.slice is None and f.candidate in (name, None)
        ),
        None,
    )
    measured = worth.result if worth is not None and isinstance(worth.result, Estimate) else None
    used = _used(name, result)
    return Lot(
        name,
        rows,
        rejected=min(rows, costs.rejected.get(name, 0)),
        used=used,
        unused="" if used else _why_unused(name, result),
        worth=measured,
        slope=None if worth is None or measured is None else slope_of(worth.evidence),
    )


def _used(name: str, result: Result) -> bool:
    """Whether it has a weight in the mix that was adopted; where none was searched, whether no rule refuses it."""
    sources = (result.mix or {}).get("sources")
    if isinstance(sources, list):
        return any(isinstance(s, dict) and s.get("name") == name and bool(s.get("weight")) for s in sources)
    return not any(
        rule.outcome in LOST and rule.verdict is not None and rule.waived is None and rule.candidate in (name, None)
        for rule in result.decision.rules
    )


def _why_unused(name: str, result: Result) -> str:
    """Which rule keeps it out, and whether more test rows may bring it in."""
    spoken = [rule for rule in result.decision.rules if rule.candidate in (name, None)]
    refused = [r.outcome for r in spoken if r.outcome in LOST and r.verdict is not None and r.waived is None]
    mixed = [r.outcome for r in spoken if r.rule == "D5"]
    open_ = any(r.verdict is Verdict.INSUFFICIENT and r.outcome == "UNDECIDED" for r in spoken)
    causes = [*dict.fromkeys(refused or mixed), *(["INSUFFICIENT: more test rows decide"] if open_ else [])]
    lead = "no mix used it" if isinstance((result.mix or {}).get("sources"), list) else "it was refused"
    return f"{lead} ({'; '.join(causes)})" if causes else lead
