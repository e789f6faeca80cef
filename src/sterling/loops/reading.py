"""What one vital sign says of one generation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from scipy.special import ndtr

from sterling.kernel.finding import Better
from sterling.stats.bounds import normal_quantile

if TYPE_CHECKING:
    from sterling.loops.watched import Why


@dataclass(frozen=True, slots=True)
class Vital:
    """What a sign is.

    Args:
        title: plain words for a picture.
        better: which way is better.
        warns: whether it may raise an alarm; the others only confirm what these say.
        bound: the policy's bound that its last reading is held against, and by which measure's name.
    """

    title: str
    better: Better
    warns: bool = True
    bound: str | None = None


VITALS: Mapping[str, Vital] = MappingProxyType(
    {
        "rare_slices": Vital("mass of rare slices", "higher"),
        "uncovered": Vital("real rows out of reach", "lower", bound="coverage"),
        "distinct_values": Vital("different values", "higher", bound="unique_values"),
        "distinct_rows": Vital("different rows", "higher"),
        "hapax_kept": Vital("words that occur once", "higher", bound="hapax"),
        "distinct_words": Vital("different word sequences", "higher", bound="distinct_n"),
        "repetition": Vital("repeated word sequences", "lower"),
        "genericness": Vital("rarity of word pairs", "higher"),
        "fact_errors": Vital("wrong facts", "lower"),
        "told_apart": Vital("told from real (AUC)", "lower"),
        "variance": Vital("variance of numbers", "higher", warns=False),
        "entropy": Vital("entropy of categories", "higher", warns=False),
    }
)


@dataclass(frozen=True, slots=True)
class Reading:
    """One sign in one generation, against real rows.

    Args:
        vital: a key of VITALS.
        value: in the sign's own unit.
        low: lower end of its interval.
        high: upper end.
        floor: the same sign where real rows are held against real rows.
        p: chance of so bad a reading of rows that are as good as real ones, all looks within the sign paid for;
            None where the sign only confirms.
        n: rows looked at.
        worst: the slice, column or field that is worst; empty where there is none.
        kept: the sign as a share of what real rows show, 1 where nothing is lost; None where it has no such form.
    """

    vital: str
    value: float
    low: float
    high: float
    floor: float
    p: float | None
    n: int
    worst: str = ""
    kept: float | None = None


@dataclass(frozen=True, slots=True)
class Counted:
    """One slice in one generation.

    Args:
        name: of the slice.
        why: who asked for it.
        real: rows among the real rows.
        made: rows among the made rows.
    """

    name: str
    why: Why
    real: int
    made: int


@dataclass(frozen=True, slots=True)
class Examined:
    """One generation, examined.

    Args:
        n: real rows it was held against.
        m: made rows.
        readings: the signs that could be read.
        slices: every slice that is watched.
        silent: by sign, why it could not be read.
    """

    n: int
    m: int
    readings: tuple[Reading, ...]
    slices: tuple[Counted, ...]
    silent: Mapping[str, str]

    def of(self, vital: str) -> Reading | None:
        """The reading of a sign, or None where there is none."""
        return next((r for r in self.readings if r.vital == vital), None)


def worse_p(difference: float, error: float) -> float:
    """One-sided p-value of "no worse", given by how much it is worse and the standard error of that."""
    if error <= 0:
        return 0.0 if difference > 0 else 1.0
    return float(ndtr(-difference / error))


def about(value: float, error: float, *, level: float, low: float, high: float) -> tuple[float, float]:
    """A normal interval, cut to a range."""
    half = normal_quantile((1 - level) / 2) * error
    return min(max(low, value - half), value), max(min(high, value + half), value)
