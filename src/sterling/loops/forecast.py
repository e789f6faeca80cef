"""What two generations say of the last one: two rates of loss, a bracket, and whether it held."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sterling.loops.collapse import Step, Trace
from sterling.loops.reading import VITALS, Counted, Examined
from sterling.stats.drift import Mode, kept, kept_rate, second_rho, slowing
from sterling.stats.proportions import ratio_bounds

LEVEL = 0.95
# A slice of fewer real rows loses or gains more by luck in one generation than a rate could show.
LEAST_COUNT = 30
MOST_SLICES = 6
# What came of the mass of rare slices (above 1 as 1) lay within `Forecast.sure` in 288 of 288 forecasts, within the
# bracket itself in 244: 72 loops each of 5 and of 10 generations under replace and accumulate (cart, copula, bootstrap;
# 800 rows of adult and nassCDS; 12 seeds). 72 of 72 loops show 0.95 with confidence 0.95.
# tests/test_collapse.py: test_forecasts_hold_as_often_as_they_say.
LEVEL_FORETOLD = 0.95
FORETOLD = "two rates of loss and the luck of both, level measured over 72 short loops"
# Numbers of different things: luck alone takes them ever more slowly, and a generator's own loss need not slow down.
SLOWING = ("distinct_values", "distinct_rows", "hapax_kept", "distinct_words")
SIGNS = ("rare_slices", "uncovered", "distinct_values", "distinct_rows", "hapax_kept", "distinct_words", "genericness")


@dataclass(frozen=True, slots=True)
class Forecast:
    """One quantity, as a share of what real rows have.

    Args:
        mode: of the loop.
        what: the slice or the sign.
        rhos: what generation 1 kept, and what generation 2 kept of that; at most 1 each.
        until: the generation that is foretold.
        low: lower end of the bracket.
        high: upper end.
        sure: the bracket with what luck may have done to both generations.
        observed: value and interval at that generation; None where it was not run.
    """

    mode: Mode
    what: str
    rhos: tuple[float, float]
    until: int
    low: float
    high: float
    sure: tuple[float, float]
    observed: tuple[float, float, float] | None = None

    @property
    def held(self) -> bool | None:
        """Whether the interval of what was observed meets the bracket; None where nothing was observed."""
        if self.observed is None:
            return None
        return min(1.0, self.observed[1]) <= self.high + 1e-9 and self.observed[2] >= self.low - 1e-9


def bracket(
    rhos: tuple[float, float], until: int, *, mode: Mode, fresh: float = 0.0, real: float = 1.0
) -> tuple[float, float]:
    """What is left at a generation if the loss goes on as in the second one, and if it goes on as in the first.

    Under "replace" the ends are rho1 rho2^(T-1) and rho1^T.

    >>> [round(x, 3) for x in bracket((0.9, 0.95), 5, mode="replace")]
    [0.59, 0.733]
    """
    ends = [kept(pair, until, mode=mode, fresh=fresh, real=real) for pair in (rhos, (rhos[0], rhos[0]))]
    return min(ends), max(ends)


def forecasts(trace: Trace, *, until: int, inject: int = 0) -> tuple[Forecast, ...]:
    """Every sign and slice that has a rate, from the first two generations alone.

    Args:
        trace: of at least two generations; of fewer, nothing is foretold.
        until: the generation to foretell.
        inject: fresh real rows per slice and generation.
    """
    if len(trace.steps) < 2:
        return ()
    one, two = trace.steps[0].seen, trace.steps[1].seen
    last = trace.steps[until - 1].seen if until <= len(trace.steps) else None
    # Fresh rows that an exhausted reserve did not have stop the law that counts on them.
    share = trace.steps[1].fresh / trace.steps[1].fitted_rows
    found: list[Forecast] = []
    for name in SIGNS:
        begun = [s for seen in (one, two) if (s := _sign(seen, name)) is not None]
        if len(begun) == 2:
            fresh = share if trace.mode == "inject" else 0.0
            law = _Law(trace.mode, until, fresh, one.n / one.m)
            told = _one(law, VITALS[name].title, begun, _sign(last, name))
            found.append(_slower(told, begun, one.n / one.m) if name in SLOWING else told)
    for slice_ in _slices(one):
        begun = [_retention(seen, slice_.name) for seen in (one, two)]
        fresh = min(1.0, inject / max(1.0, slice_.real / one.n * one.m)) if trace.mode == "inject" else 0.0
        observed = None if last is None else _retention(last, slice_.name)
        found.append(_one(_Law(trace.mode, until, fresh, one.n / one.m), slice_.name, begun, observed))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class _Law:
    """By what law a loss goes on: mode, generation, share of fresh rows, real rows over the rows of one output."""

    mode: Mode
    until: int
    fresh: float
    real: float

    def ends(self, first: float, second: float, begun: float) -> tuple[tuple[float, float], tuple[float, float]]:
        """Both rates, and the bracket, where the second generation was fitted on an output that has kept `begun`."""
        rho = min(1.0, second_rho(begun, second, mode=self.mode, fresh=self.fresh, real=self.real))
        return (first, rho), bracket((first, rho), self.until, mode=self.mode, fresh=self.fresh, real=self.real)


def _one(
    law: _Law,
    what: str,
    begun: Sequence[tuple[float, float, float]],
    observed: tuple[float, float, float] | None,
) -> Forecast:
    (first, low1, high1), (second, low2, high2) = (tuple(max(0.0, min(1.0, x)) for x in b) for b in begun)
    rhos, (low, high) = law.ends(first, second, first)
    # Where luck explains both generations, nothing may be lost at all.
    high = 1.0 if min(high1, high2) >= 1 else high
    # The first output is what it is, and the second was fitted on it: its own luck is in the second alone.
    least, most = law.ends(low1, low2, first)[1][0], law.ends(high1, high2, first)[1][1]
    return Forecast(law.mode, what, rhos, law.until, low, high, (min(least, low), max(most, high)), observed)


def _slower(one: Forecast, begun: Sequence[tuple[float, float, float]], real: float) -> Forecast:
    """The bracket with the end to which luck alone would lead."""
    by_luck = slowing(min(1.0, begun[0][0]), min(1.0, begun[1][0]), one.until, mode=one.mode, real=real)
    return replace(one, high=max(one.high, by_luck), sure=(one.sure[0], max(one.sure[1], by_luck)))


def _slices(seen: Examined) -> list[Counted]:
    able = [s for s in seen.slices if s.real >= LEAST_COUNT]
    return sorted(able, key=lambda s: (s.why != "declared", -s.real, s.name))[:MOST_SLICES]


def _retention(seen: Examined, name: str) -> tuple[float, float, float]:
    one = next(s for s in seen.slices if s.name == name)
    return retention(one, seen, alpha=(1 - LEVEL) / 2)


def rate(name: str, trace: Trace, *, alpha: float) -> tuple[float, float, float]:
    """What the generator keeps of a slice it is fitted on, over all generations, with bounds of error alpha each side.

    The rows that came are held against those that were due by what each generation was fitted on: so a loss by luck,
    which the next generation inherits, is counted once, and where real rows stay in, they are not taken for the
    generator's merit.
    """
    made, due = 0, 0.0
    outputs: list[float] = []
    for step in trace.steps:
        one = next((s for s in step.seen.slices if s.name == name), None)
        if one is None:
            break
        whole = one.real / step.seen.n * step.seen.m
        due += whole * _fitted(trace.mode, step, one, outputs)
        made += one.made
        outputs.append(one.made / whole)
    return kept_rate(made, due, alpha=alpha) if due > 0 else (1.0, 0.0, 1.0)


def _fitted(mode: Mode, step: Step, one: Counted, outputs: Sequence[float]) -> float:
    """Share of its real mass that a slice has in what a generation was fitted on, after these outputs."""
    if not outputs:
        return 1.0
    if mode in ("accumulate", "budget"):
        real = step.seen.n / step.seen.m
        return (real + sum(outputs)) / (real + len(outputs))
    held = step.held.get(one.name)
    return outputs[-1] if held is None else held / step.fitted_rows / (one.real / step.seen.n)


def retention(one: Counted, seen: Examined, *, alpha: float) -> tuple[float, float, float]:
    """A slice's made share over its real share, with bounds of error alpha on each side."""
    low, high = ratio_bounds([one.made], seen.m, [one.real], seen.n, alpha=alpha)
    value = one.made / seen.m / (one.real / seen.n)
    return value, min(float(low[0]), value), max(float(high[0]), value)


def _sign(seen: Examined | None, name: str) -> tuple[float, float, float] | None:
    reading = None if seen is None else seen.of(name)
    if reading is None or reading.kept is None:
        return None
    if name == "uncovered":  # as the share that is reached
        base = max(1e-9, 1 - reading.floor)
        return reading.kept, (1 - reading.high) / base, (1 - reading.low) / base
    scale = max(1e-9, reading.floor) if name == "genericness" else 1.0
    return reading.kept, reading.low / scale, reading.high / scale
