"""From the JSON of an envelope back to types; every error names the place and what should stand there."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from sterling.decide.inputs import InputRecord
from sterling.kernel.errors import InputError, UnknownName
from sterling.kernel.estimate import Estimate, Unmeasured
from sterling.kernel.finding import Better, Decision, Finding, Json, RuleOutcome, Status, Verdict
from sterling.kernel.table import Table

VERSION = "0.1"
NEEDED = ("sterling", "kind", "verdict", "rules", "findings", "inputs", "seed", "policy")
MEND = "write the result again with --json"
E = TypeVar("E", bound=StrEnum)


@dataclass(frozen=True, slots=True)
class Part:
    """One JSON object and where it stands in the file."""

    where: str
    data: dict[str, Json]

    def wrong(self, key: str, wanted: str) -> InputError:
        """The error for a value that is not what should stand there."""
        return InputError(f"{self.where}: {key!r} is {self.data.get(key)!r}, not {wanted}", mend=MEND)

    def require(self, keys: Iterable[str]) -> None:
        """Raise an InputError that names every missing key."""
        missing = [key for key in keys if key not in self.data]
        if missing:
            raise InputError(f"{self.where} lacks {', '.join(missing)}", mend=f"{MEND}; it is no complete result")

    def text(self, key: str) -> str:
        """A string that must be there."""
        value = self.data.get(key)
        if not isinstance(value, str):
            self.require([key])
            raise self.wrong(key, "text")
        return value

    def text_or_none(self, key: str) -> str | None:
        """A string, or null, or no such key."""
        return None if self.data.get(key) is None else self.text(key)

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of strings; an absent one is empty."""
        value = self.data.get(key) or []
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self.wrong(key, "a list of texts")
        return tuple(str(item) for item in value)

    def integer(self, key: str) -> int:
        """A whole number that must be there."""
        value = self.data.get(key)
        if not isinstance(value, int) or isinstance(value, bool):
            self.require([key])
            raise self.wrong(key, "a whole number")
        return value

    def real(self, key: str, *, none: float | None = None) -> float:
        """A finite number; null stands for `none` where that is given."""
        value = self.data.get(key)
        if value is None and none is not None:
            return none
        if not isinstance(value, (int, float)) or isinstance(value, bool) or not math.isfinite(value):
            raise self.wrong(key, "a finite number")
        return float(value)

    def objects(self, key: str) -> list[Part]:
        """A list of objects that must be there."""
        value = self.data.get(key)
        if not isinstance(value, list):
            raise self.wrong(key, "a list")
        return [as_object(item, f"{key}[{i}]") for i, item in enumerate(value)]

    def mapping_or_none(self, key: str) -> dict[str, Json] | None:
        """An object, or null, or no such key."""
        value = self.data.get(key)
        return None if value is None else as_object(value, key).data

    def one_of(self, key: str, kind: type[E]) -> E:
        """A member of a closed list."""
        value = self.text(key)
        known = [member.value for member in kind]
        if value not in known:
            raise UnknownName.among(value, known, what=f"{key} ({self.where})")
        return kind(value)


def as_object(value: Json, where: str) -> Part:
    """A JSON object, or an InputError that says what stands there instead."""
    if not isinstance(value, dict):
        raise InputError(f"{where} is {type(value).__name__}, not an object", mend="name a file that --json wrote")
    return Part(where, value)


def is_newer(version: str) -> bool:
    """Whether an envelope's version lies beyond this one's; InputError if it is no version at all."""
    try:
        given = [int(part) for part in version.split(".")[:2]]
    except ValueError as err:
        raise InputError(f"'sterling' is {version!r}, not a version such as {VERSION!r}", mend=MEND) from err
    return given > [int(part) for part in VERSION.split(".")]


def as_decision(top: Part) -> Decision:
    """The verdict with its rules."""
    rules = tuple(
        RuleOutcome(
            rule=part.text("rule"),
            outcome=part.text("outcome"),
            because=part.texts("because"),
            reason=part.text_or_none("reason") or "",
            verdict=None if part.data.get("verdict") is None else part.one_of("verdict", Verdict),
            waived=part.text_or_none("waived"),
            candidate=part.text_or_none("candidate"),
        )
        for part in top.objects("rules")
    )
    return Decision(top.one_of("verdict", Verdict), top.text("policy"), rules, top.texts("unmeasured"))


def as_finding(part: Part) -> Finding:
    """One finding; open interval ends come back as infinities."""
    better = part.text("better")
    if better not in ("lower", "higher", "target"):
        raise part.wrong("better", "lower, higher or target")
    result = _as_measured(part)
    way: Better = better
    return Finding(
        measure=part.text("measure"),
        result=result,
        better=way,
        status=part.one_of("status", Status),
        slice=part.text_or_none("slice"),
        candidate=part.text_or_none("candidate"),
        floor=_as_floor(part, result),
        reason=part.text_or_none("reason"),
        params=part.mapping_or_none("params") or {},
        evidence=part.mapping_or_none("evidence") or {},
        fingerprints=part.texts("fingerprints"),
    )


def _as_measured(part: Part) -> Estimate | Unmeasured:
    if part.data.get("value") is None:
        return Unmeasured(part.text_or_none("reason") or "no reason was recorded", part.text_or_none("mend") or MEND)
    return _estimate(
        part, "value", "low", "high", n=part.integer("n"), level=part.real("level"), method=part.text_or_none("method")
    )


def _as_floor(part: Part, result: Estimate | Unmeasured) -> Estimate | None:
    if part.data.get("floor") is None:
        return None
    # The envelope keeps one level and one method: the floor is taken like the value it belongs to.
    level, method = (result.level, result.method) if isinstance(result, Estimate) else (0.95, None)
    n = part.integer("floor_n") if "floor_n" in part.data else 0
    return _estimate(part, "floor", "floor_low", "floor_high", n=n, level=level, method=method)


def _estimate(part: Part, value: str, low: str, high: str, *, n: int, level: float, method: str | None) -> Estimate:
    ends = part.real(low, none=-math.inf), part.real(high, none=math.inf)
    try:
        return Estimate(part.real(value), *ends, n=n, level=level, method=method or "as recorded")
    except ValueError as err:
        raise InputError(f"{part.where}: {err}", mend=MEND) from err


def as_input(part: Part) -> InputRecord:
    """One set that was read."""
    return InputRecord(
        name=part.text("name"),
        rows=part.integer("rows"),
        fingerprint=part.text("fingerprint"),
        origin=part.text_or_none("origin") or "real",
        notes=part.texts("notes"),
        generator=part.text_or_none("generator"),
    )


def as_table(part: Part) -> Table:
    """One table beside the findings."""
    rows = part.data.get("rows")
    if not isinstance(rows, list) or not all(isinstance(row, list) for row in rows):
        raise part.wrong("rows", "a list of lists")
    try:
        return Table(
            part.text("title"),
            part.texts("columns"),
            tuple(tuple(row) for row in rows if isinstance(row, list)),
            note=part.text_or_none("note") or "",
            owner_only=part.data.get("owner_only") is True,
        )
    except ValueError as err:
        raise InputError(f"{part.where}: {err}", mend=MEND) from err
