"""What a measure found, and what the policy made of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, TypeAlias

from sterling.kernel.estimate import Estimate, Unmeasured

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
Better = Literal["lower", "higher", "target"]


class Status(StrEnum):
    """What a finding means for its bound."""

    PASS = "pass"
    FAIL = "fail"
    WARN = "warn"
    UNDECIDED = "undecided"
    UNMEASURED = "unmeasured"
    NOT_APPLICABLE = "not_applicable"


@dataclass(frozen=True, slots=True)
class Finding:
    """One measured fact about a set; replayable from its own record.

    Args:
        measure: registry name of the measure.
        result: the number with its interval, or why there is none.
        better: which way is better; "target" when a stated value (such as .5) is ideal.
        status: pass, fail, ... against the bound in `params`.
        candidate: name of the set that was judged; None where there is only one.
        slice: such as "sex=F&age=60-80"; None for the whole set.
        floor: the same measure between two disjoint real halves: what "no gap" looks like here.
        reason: one sentence in plain words; always given unless the status is PASS.
        params: the settings, bound and seed that reproduce the number.
        evidence: tables and examples behind the number; holds real rows only for the owner's eyes.
        fingerprints: of the sets that went in.
    """

    measure: str
    result: Estimate | Unmeasured
    better: Better
    status: Status
    slice: str | None = None
    candidate: str | None = None
    floor: Estimate | None = None
    reason: str | None = None
    params: Mapping[str, Json] = field(default_factory=dict[str, Json])
    evidence: Mapping[str, Json] = field(default_factory=dict[str, Json])
    fingerprints: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """`measure`, or `measure:slice`: how rules and reports refer to it."""
        return self.measure if self.slice is None else f"{self.measure}:{self.slice}"

    def as_json(self) -> dict[str, Json]:
        """The finding as the `--json` envelope has it; open interval ends become null."""
        return {
            "measure": self.measure,
            "slice": self.slice,
            "candidate": self.candidate,
            **_result_json(self.result, self.reason),
            "floor": self.floor.value if self.floor else None,
            "floor_low": _finite(self.floor.low) if self.floor else None,
            "floor_high": _finite(self.floor.high) if self.floor else None,
            "floor_n": self.floor.n if self.floor else None,
            "better": self.better,
            "status": self.status.value,
            "params": finite_json(dict(self.params)),
            "evidence": finite_json(dict(self.evidence)),
            "fingerprints": list(self.fingerprints),
        }


def _result_json(result: Estimate | Unmeasured, reason: str | None) -> dict[str, Json]:
    if isinstance(result, Unmeasured):
        nothing: dict[str, Json] = dict.fromkeys(("value", "low", "high", "level", "method"))
        return {**nothing, "n": 0, "reason": result.reason, "mend": result.mend}
    return {
        "value": result.value,
        "low": _finite(result.low),
        "high": _finite(result.high),
        "level": result.level,
        "method": result.method,
        "n": result.n,
        "reason": reason,
        "mend": None,
    }


def _finite(x: float) -> float | None:
    return x if math.isfinite(x) else None


def finite_json(value: Json) -> Json:
    """The same with null for what JSON has no number for."""
    if isinstance(value, float):
        return _finite(value)
    if isinstance(value, list):
        return [finite_json(v) for v in value]
    return {k: finite_json(v) for k, v in value.items()} if isinstance(value, dict) else value


class Verdict(StrEnum):
    """What to do with the set, strongest first."""

    BLOCK = "BLOCK"
    REAL_REQUIRED = "REAL_REQUIRED"
    PROTOTYPE_ONLY = "PROTOTYPE_ONLY"
    INSUFFICIENT = "INSUFFICIENT"
    FIX = "FIX"
    SHIP = "SHIP"


@dataclass(frozen=True, slots=True)
class RuleOutcome:
    """One rule that had something to say: its finer outcome and the findings that forced it.

    Args:
        rule: such as "D2".
        outcome: such as "FIX_GENERATOR" or "SUBSTITUTE_OK".
        because: names of the findings (`Finding.name`).
        reason: one sentence in plain words.
        verdict: the verdict this rule asks for; None if it only informs.
        waived: the waiver's text when a visible waiver silences the rule.
        candidate: the set it speaks of; None where there is only one, or for all of them.
    """

    rule: str
    outcome: str
    because: tuple[str, ...]
    reason: str
    verdict: Verdict | None = None
    waived: str | None = None
    candidate: str | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """The verdict, the policy that gave it, what forced it and what nobody could measure."""

    verdict: Verdict
    policy: str
    rules: tuple[RuleOutcome, ...]
    unmeasured: tuple[str, ...] = ()
