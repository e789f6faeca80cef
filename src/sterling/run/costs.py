"""From the journal of a run to what it cost: seconds, tokens, money and rows by stage, nothing counted twice."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from sterling.kernel.finding import Json

Stage = Literal["generation", "validation", "review", "rework"]
STAGES: tuple[Stage, ...] = ("generation", "validation", "review", "rework")
# What an event is about, where it does not say so itself ("stage").
STAGE_OF: Mapping[str, Stage] = {
    "generated": "generation",
    "request": "generation",
    "task.done": "validation",
    "checked": "validation",
    "reviewed": "review",
    "reworked": "rework",
    "task.failed": "rework",
    "generated.failed": "rework",
}


@dataclass(frozen=True, slots=True)
class Spent:
    """What went into one stage.

    Args:
        cpu_seconds: of all processes that did the work.
        gpu_seconds: likewise.
        tokens: in and out, as the provider counts them.
        money: that was billed at the time, in the study's currency.
        review_seconds: people's time.
        records: that people, or checks, looked at.
    """

    cpu_seconds: float = 0.0
    gpu_seconds: float = 0.0
    tokens: int = 0
    money: float = 0.0
    review_seconds: float = 0.0
    records: int = 0

    def plus(self, other: Spent) -> Spent:
        """Both together."""
        return Spent(
            self.cpu_seconds + other.cpu_seconds,
            self.gpu_seconds + other.gpu_seconds,
            self.tokens + other.tokens,
            self.money + other.money,
            self.review_seconds + other.review_seconds,
            self.records + other.records,
        )


@dataclass(frozen=True, slots=True)
class Costs:
    """What a run cost, before prices.

    Args:
        spent: by candidate and stage; the candidate "" stands for what served all of them.
        made: rows that were made, by candidate; of a set made twice the last one.
        remade: rows that were made and then made anew, by candidate.
        rejected: rows that checks or people threw out, by candidate.
        reused: steps read back instead of done again.
        study: the name of the study, where the journal has it.
        prices: prices that the study stated, and its currency.
    """

    spent: Mapping[tuple[str, Stage], Spent] = field(default_factory=dict[tuple[str, Stage], Spent])
    made: Mapping[str, int] = field(default_factory=dict[str, int])
    remade: Mapping[str, int] = field(default_factory=dict[str, int])
    rejected: Mapping[str, int] = field(default_factory=dict[str, int])
    reused: int = 0
    study: str | None = None
    prices: Mapping[str, Json] = field(default_factory=dict[str, Json])

    def of(self, stage: Stage, candidate: str | None = None) -> Spent:
        """What a stage took, for one candidate or for all."""
        total = Spent()
        for (name, at), spent in self.spent.items():
            if at == stage and candidate in (None, name):
                total = total.plus(spent)
        return total


def costs_of(events: Iterable[Mapping[str, Json]]) -> Costs:
    """Read a journal.

    A step that was read back costs nothing. A step that was done a second time (its result was lost), one that
    failed, and rows made anew for the same candidate were paid for and are rework.

    Args:
        events: as `JsonlLedger.events` yields them. "generated" (candidate, key, rows), "checked" and "reviewed"
            (candidate, records, rejected), "request" (tokens, money), "task.done", "task.failed", "task.cached";
            each with cpu_seconds, gpu_seconds, tokens, money and seconds or review_seconds as far as known. Others
            count if they name a stage.
    """
    costs = Costs()
    done: set[str] = set()
    waiting: dict[str, Spent] = {}  # generation that belongs to the set that is yet to be finished
    for event in events:
        name, who = str(event.get("event", "")), str(event.get("candidate") or "")
        if name == "task.cached":
            costs = replace(costs, reused=costs.reused + 1)
        elif name == "study":
            costs = _with_study(costs, event)
        stage = _stage_of(name, event)
        if stage is None:
            continue
        spent, key = _spent(event, stage), str(event.get("key") or "")
        if stage == "generation":
            waiting[who] = waiting.get(who, Spent()).plus(spent)
            if name == "generated":
                costs = _add(_made(costs, who, int(_number(event, "rows"))), who, stage, waiting.pop(who))
        else:
            again = stage == "validation" and key in done
            costs = _add(costs, who, "rework" if again else stage, spent)
        done |= {key} if key and name == "task.done" else set()
        if lost := int(_number(event, "rejected")):
            costs = replace(costs, rejected={**costs.rejected, who: costs.rejected.get(who, 0) + lost})
    for who, spent in waiting.items():
        costs = _add(costs, who, "generation", spent)
    return costs


def _made(costs: Costs, who: str, rows: int) -> Costs:
    """One more set; what an earlier one of the same candidate took becomes rework, and its rejects go with it."""
    if who in costs.made:
        spent = dict(costs.spent)
        before = spent.pop((who, "generation"), Spent())
        spent[who, "rework"] = spent.get((who, "rework"), Spent()).plus(before)
        costs = replace(
            costs,
            spent=spent,
            remade={**costs.remade, who: costs.remade.get(who, 0) + costs.made[who]},
            rejected={k: v for k, v in costs.rejected.items() if k != who},
        )
    return replace(costs, made={**costs.made, who: rows})


def _with_study(costs: Costs, event: Mapping[str, Json]) -> Costs:
    prices = event.get("prices")
    name = event.get("name")
    return replace(
        costs,
        study=name if isinstance(name, str) else costs.study,
        prices=prices if isinstance(prices, dict) else costs.prices,
    )


def _stage_of(name: str, event: Mapping[str, Json]) -> Stage | None:
    stated = event.get("stage")
    for stage in STAGES:
        if stage == stated:
            return stage
    return STAGE_OF.get(name)


def _add(costs: Costs, who: str, stage: Stage, spent: Spent) -> Costs:
    known = costs.spent.get((who, stage), Spent())
    return replace(costs, spent={**costs.spent, (who, stage): known.plus(spent)})


def _spent(event: Mapping[str, Json], stage: Stage) -> Spent:
    people = stage == "review" or event.get("event") == "reworked"
    seconds = _number(event, "review_seconds") or (_number(event, "seconds") if people else 0.0)
    return Spent(
        _number(event, "cpu_seconds"),
        _number(event, "gpu_seconds"),
        int(_number(event, "tokens")),
        _number(event, "money"),
        seconds,
        int(_number(event, "records")),
    )


def _number(event: Mapping[str, Json], key: str) -> float:
    """A number at least 0; what is none counts as not recorded."""
    value = event.get(key)
    known = isinstance(value, (int, float)) and not isinstance(value, bool)
    return float(value) if known and isinstance(value, (int, float)) and value > 0 else 0.0
