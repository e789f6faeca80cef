"""`drill`: faults planted in the user's own data: which does their gate catch, and from what size on?"""

from __future__ import annotations

import functools
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sterling.api.compare import Stakes, inputs_of
from sterling.api.drill_ground import Answer, Ground, all_real, judged, prepare_ground
from sterling.api.drill_result import POWER, Drilled, Tally, concluded, records, too_few
from sterling.api.inputs import Roles, declare, load, prepare
from sterling.kernel import registry, seeds
from sterling.kernel.dataset import Dataset, Lineage, Origin
from sterling.kernel.errors import InputError, UnknownName
from sterling.kernel.estimate import Unmeasured
from sterling.kernel.protocols import Effort, Fault, OnEvent, Planted, silent
from sterling.kernel.schema import Role

if TYPE_CHECKING:
    import pyarrow as pa

    from sterling.decide.result import Result

RUNS = 10
# Fewer rows on one side, and no measure says anything.
FEWEST = 100
# Draws of a plant before giving up on one that this table can carry.
DRAWS = 8


def drill(
    real: Any,
    synthetic: Any = None,
    *,
    holdout: Any = None,
    target: str | None = None,
    groups: Sequence[str] = (),
    faults: Sequence[str] = (),
    runs: int = RUNS,
    policy: str | Path | None = None,
    stakes: Stakes = "low",
    seed: int = 0,
    effort: Effort = "full",
    schema: Path | None = None,
    quarantine: Path | None = None,
    entity: str | None = None,
    time: str | None = None,
    on_event: OnEvent = silent,
) -> Result:
    """Plant known faults in the user's own data, and see from what severity on their gate refuses.

    Args:
        real: a path, a pandas, polars or Arrow frame, or a Dataset.
        synthetic: the set in which faults are planted; without it one half of `real` stands in for perfect
            synthetic data and the other half stays real.
        holdout: real rows that the generator never saw.
        target: the column a model shall predict.
        groups: protected attributes.
        faults: names, or "name=severity,severity"; empty for the whole catalogue.
        runs: plants at the severity that decides. A severity counts as caught when at least nine in ten of them
            are; 29 of 29 would be needed to be 95 % sure of a power above .9.
        policy: a preset's name or a TOML file: the gate that is put to the test.
        stakes: what a wrong model would cost.
        seed: same seed, same answer.
        effort: "fast" subsamples and says so.
        schema: TOML that overrides kinds and roles of columns.
        quarantine: save unreadable CSV rows there and go on.
        entity: column whose rows stay together in the split.
        time: time column; the latest rows become the holdout.
        on_event: hears what it will cost, and progress.

    Returns:
        A result of kind "drill": a finding `drill_floor` for each fault, whose value is the smallest severity
        caught, and a finding `drill_alarm` for each innocent change, whose value is the share that alarmed.

    Raises:
        InputError: for input that is unreadable, misnamed or unrelated, or a fault that does not exist.
    """
    from sterling.decide.policy import load_policy

    if runs < 1:
        raise InputError(f"{runs} plants show nothing", mend="--runs 10, or more for a narrower interval")
    chosen = _chosen(faults)
    rules = load_policy(policy, stakes=stakes)
    roles = Roles(target=target, groups=tuple(groups), entity=entity, time=time, schema=schema)
    whole = declare(load(real, origin=Origin.REAL, schema=schema, quarantine=quarantine), roles)
    if synthetic is None:
        kept, base = _halves(whole, seed)
    else:
        kept, base = whole, load(synthetic, origin=Origin.SYNTHETIC, schema=schema)
    if min(kept.rows, base.rows) < FEWEST:
        sets = (whole,) if synthetic is None else (whole, base)
        return too_few({name: fault for name, (fault, _) in chosen.items()}, sets, policy=rules, seed=seed)
    arena = prepare(kept, [base], roles=roles, holdout=holdout, why="drill", on_event=on_event)
    ground = prepare_ground(
        arena, roles=roles, policy=rules, stakes=stakes, seed=seed, effort=effort, on_event=on_event
    )
    on_event("note", {"text": _cost(ground, chosen, runs)})
    drilled = [
        _drilled(ground, name, fault, severities, runs=runs, on_event=on_event)
        for name, (fault, severities) in chosen.items()
    ]
    inputs = inputs_of(arena) if synthetic is not None else (*records([whole]), *inputs_of(arena)[1:-1])
    return concluded(
        ground.base, drilled, inputs, passed=ground.passed, runs=runs, stands_in=synthetic is None,
        alpha=rules.alpha, fast=effort == "fast",
    )  # fmt: skip


def _chosen(wanted: Sequence[str]) -> dict[str, tuple[Fault, tuple[float, ...]]]:
    """Faults with their severities, the ones that must be caught before those that must not."""
    known = registry.names("faults")
    asked: dict[str, tuple[float, ...]] = {}
    for word in wanted:
        name, _, severities = word.partition("=")
        if name not in known:
            raise UnknownName.among(name, known, what="fault")
        asked[name] = tuple(sorted({_severity(s, name) for s in severities.split(",") if s.strip()}))
    built: dict[str, Fault] = {name: registry.build("faults", name, {}) for name in asked or known}
    return {
        name: (fault, asked.get(name) or fault.severities)
        for name, fault in sorted(built.items(), key=lambda item: item[1].innocent)
    }


def _severity(text: str, name: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise InputError(f"{name}: {text!r} is no severity", mend=f"--fault {name}=0.01,0.05")
    return value


def _halves(whole: Dataset, seed: int) -> tuple[Dataset, Dataset]:
    """Real rows, and as many others that stand in for perfect synthetic ones: nobody fitted anything on the first."""
    from sterling.sources import split

    # Halves by time would differ by time; who belongs together stays together.
    timeless = replace(
        whole,
        schema=functools.reduce(
            lambda s, f: s.replaced(replace(f, role=Role.FEATURE)), whole.schema.with_role(Role.TIME), whole.schema
        ),
    )
    kept, apart = split.split(timeless, holdout=0.5, salt=f"drill {seed}")
    base = replace(apart, name="stand-in", origin=Origin.SYNTHETIC, lineage=Lineage(depth=1, fitted_on="other"))
    return replace(kept, name=whole.name, schema=whole.schema, lineage=whole.lineage, split=whole.split), base


def _cost(ground: Ground, chosen: Mapping[str, tuple[Fault, tuple[float, ...]]], runs: int) -> str:
    """What lies ahead, from the one judgement that was timed."""
    whole, short = sum(ground.seconds.values()), sum(s for n, s in ground.seconds.items() if n not in ground.trained)
    innocent = sum(fault.innocent for fault, _ in chosen.values())
    bad, again = len(chosen) - innocent, _innocent_runs(ground, runs)
    # About four plants in a search are missed and judged to the end; the others end at the first failure.
    missed = 4 * (short if ground.effort == "fast" else whole)
    seconds = bad * (missed + runs * 0.12 * whole + _read_whole(ground) * whole) + innocent * again * whole
    plants = bad * (runs + 4) + innocent * again
    return (
        f"{bad} faults and {innocent} innocent changes, about {plants:,} plants; one takes up to {whole:.1f} s to "
        f"judge, less where a quick measure catches it: about {max(1, round(seconds / 60))} min of processor time"
    )


def _innocent_runs(ground: Ground, runs: int) -> int:
    return max(1, runs // (3 if ground.effort == "fast" else 2))


def _read_whole(ground: Ground) -> int:
    """Plants judged to the end, so that it is known which cause a reader would see first."""
    return 1 if ground.effort == "fast" else 3


def search(
    levels: int, plant: Callable[[int], bool], *, runs: int, power: float = POWER
) -> tuple[dict[int, Tally], int | None]:
    """The lowest of ascending levels at which at least `power` of `runs` plants are caught.

    Halving finds where to look: a level is left below as soon as more plants were missed than a caught level may
    miss, and looked under as soon as one was caught. Then the lowest level that was not left below is given all
    its runs; if it fails, the next.

    Args:
        levels: how many.
        plant: plants once at this level, and says whether it was caught.
        runs: plants at the level that decides.
        power: share of them that must be caught.

    Returns:
        Tallies by level tried, and the level found; None where even the highest fails.

    >>> search(4, lambda level: level >= 2, runs=10)[1]
    2
    """
    tallies = {level: Tally() for level in range(levels)}
    spare = math.floor((1 - power) * runs + 1e-9)

    def lost(level: int) -> bool:
        return tallies[level].plants - tallies[level].caught > spare

    def once(level: int) -> None:
        tallies[level] = tallies[level].plus(caught=plant(level))

    low, high = -1, levels
    while high - low > 1:
        middle = (low + high) // 2
        while not tallies[middle].caught and not lost(middle) and tallies[middle].plants < runs:
            once(middle)
        low, high = (low, middle) if tallies[middle].caught and not lost(middle) else (middle, high)
    for level in range(high, levels):
        while tallies[level].plants < runs and not lost(level):
            once(level)
        if not lost(level):
            return tallies, level
    return tallies, None


@dataclass(frozen=True, slots=True, eq=False)
class _Planter:
    """Plants one fault again and again: plant i at a severity is always the same."""

    ground: Ground
    name: str
    fault: Fault
    real: pa.Table

    def at(self, severity: float, number: int) -> Planted | Unmeasured:
        """The plant of this number; another draw where the first chose what this table cannot carry."""
        planted: Planted | Unmeasured = Unmeasured("no draw was made", "raise --runs")
        for draw in range(DRAWS):
            rng = seeds.stream(self.ground.seed, "drill", self.name, repr(float(severity)), number, draw)
            planted = self.fault.plant(
                self.real, self.ground.clean, schema=self.ground.arena.real.schema, severity=severity, rng=rng
            )
            if isinstance(planted, Planted):
                break
        return planted

    def judged(self, severity: float, number: int, *, stop: bool) -> Answer:
        """What the gate says of that plant; one that cannot be planted is one that is not caught."""
        planted = self.at(severity, number)
        if isinstance(planted, Unmeasured):
            return Answer(caught=False)
        return judged(self.ground, planted, first=self.fault.expected, stop=stop)


def _drilled(
    ground: Ground, name: str, fault: Fault, severities: tuple[float, ...], *, runs: int, on_event: OnEvent
) -> Drilled:
    real = all_real(ground) if fault.innocent else ground.train
    planter = _Planter(ground, name, fault, ground.train if real is None else real)
    first = {severity: planter.at(severity, 0) for severity in severities}
    fit = [severity for severity, planted in first.items() if isinstance(planted, Planted)]
    blank = Drilled(name, fault, severities)
    if not fit or real is None:
        whys = [p for p in first.values() if isinstance(p, Unmeasured)]
        why = whys[-1] if whys else Unmeasured("the holdout stores a column as another type", "store both alike")
        return replace(blank, why_not=why)
    if fault.innocent:
        return _alarms(planter, blank, fit[0], _innocent_runs(ground, runs), on_event)
    by, numbers, stopped = Counter[str](), Counter[int](), list[tuple[int, int]]()

    def plant(level: int) -> bool:
        numbers[level] += 1
        answer = planter.judged(fit[level], numbers[level] - 1, stop=True)
        if answer.caught:
            by.update([answer.by.partition(":")[0]])
            stopped.append((level, numbers[level] - 1))
        return answer.caught

    tallies, level = search(len(fit), plant, runs=runs)
    tried = {fit[i]: tally for i, tally in tallies.items() if tally.plants}
    if level is None:
        on_event("step", {"text": f"{name}: not caught with power {POWER:g} at {fit[-1]:g}"})
        return replace(blank, tried=tried, by=by)
    whole = [number for at, number in stopped if at == level][: _read_whole(ground)]
    read = [planter.judged(fit[level], number, stop=False) for number in whole]
    caught = [answer for answer in read if answer.caught]
    shown = Counter(answer.by.partition(":")[0] for answer in caught)
    on_event("step", {"text": f"{name}: caught from {fit[level]:g} on, {tried[fit[level]].caught} of {runs} plants"})
    named = sum(answer.named for answer in caught)
    return replace(blank, tried=tried, floor=fit[level], by=shown or by, named=named, read=len(caught))


def _alarms(planter: _Planter, blank: Drilled, severity: float, runs: int, on_event: OnEvent) -> Drilled:
    """How often an innocent change alarms."""
    tally, by = Tally(), Counter[str]()
    for number in range(runs):
        answer = planter.judged(severity, number, stop=False)
        tally = tally.plus(caught=answer.caught)
        by.update([answer.by] * answer.caught)
    on_event("step", {"text": f"{planter.name}: {tally.caught} of {runs} alarmed"})
    return replace(blank, tried={severity: tally}, by=by)
