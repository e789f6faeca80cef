"""When a sign first warned, and whether it went on warning."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sterling.loops.collapse import Step, Trace
from sterling.loops.reading import VITALS


@dataclass(frozen=True, slots=True)
class Alarm:
    """A sign that warns to the end.

    Args:
        vital: the sign.
        generation: the first of the generations that all warn.
        confirmed: whether a later generation warned too.
        worst: the slice, column or field that was worst then.
    """

    vital: str
    generation: int
    confirmed: bool
    worst: str


def alarms(trace: Trace, *, alpha: float) -> tuple[Alarm, ...]:
    """Every sign's first sustained alarm, the earliest first.

    Args:
        trace: of one mode.
        alpha: the chance that any sign warns in any generation where nothing was lost.

    Returns:
        Signs that warn from one generation on to the last; those that only confirm are not asked.
    """
    steps = trace.steps
    warning = [v for v, vital in VITALS.items() if vital.warns and any(s.seen.of(v) is not None for s in steps)]
    each = alpha / max(1, len(warning) * len(steps))
    found = [alarm for v in warning if (alarm := _sustained(v, steps, each)) is not None]
    return tuple(sorted(found, key=lambda a: (a.generation, not a.confirmed)))


def _sustained(vital: str, steps: Sequence[Step], alpha: float) -> Alarm | None:
    first: Step | None = None
    for step in reversed(steps):
        reading = step.seen.of(vital)
        if reading is None or reading.p is None or reading.p > alpha:
            break
        first = step
    if first is None:
        return None
    reading = first.seen.of(vital)
    return Alarm(vital, first.generation, first is not steps[-1], "" if reading is None else reading.worst)
