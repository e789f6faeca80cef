"""What may leave the house: under a privacy policy a recipient gets no real row and nothing learnt from a few."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

from sterling.kernel.audience import FEWEST, is_private
from sterling.kernel.errors import InputError
from sterling.kernel.schema import Schema

Audience = Literal["owner", "recipient"]
Purpose = Literal["any", "privacy"]
# Rows whose origin is only known as "mixed" may be real.
MAY_BE_REAL = ("real", "mixed")


def refuse_real_rows(origins: Mapping[str, int], *, policy: str, purpose: Purpose | None) -> None:
    """Let real rows out only where the policy is known not to be about privacy.

    Args:
        origins: how many rows there are of each origin.
        policy: name and version of the policy, as results carry it.
        purpose: what the policy is for; None judges by its name, and takes an unknown one for private.

    Raises:
        InputError: if real rows would reach a recipient who must see none.
    """
    private = for_private(policy, purpose)
    real = sum(origins.get(name, 0) for name in MAY_BE_REAL)
    if private and real:
        raise InputError(
            f"{real:,} of the {sum(origins.values()):,} rows are real, and the policy {policy!r} lets no real row "
            "reach a recipient",
            mend="ship the synthetic candidate alone, or ship to the owner: --audience owner",
        )


def for_private(policy: str, purpose: Purpose | None) -> bool:
    """Whether a policy is, or may be, about privacy; None for the purpose judges by its name."""
    return purpose == "privacy" or (purpose is None and is_private(policy))


def without_ranges(schema: Schema) -> Schema:
    """The schema without levels and ranges: the largest income may be one person's."""
    return Schema(tuple(replace(field, levels=None, low=None, high=None) for field in schema), schema.modality)


def recipients_json(result: Mapping[str, Any]) -> dict[str, Any]:
    """The result without evidence, and without findings that rest on a few records.

    A second lock: the caller is to give the recipient's form of the result already.
    """
    findings = [_withheld(f) if 0 < (f.get("n") or 0) < FEWEST else f for f in result.get("findings", ())]
    return {**result, "findings": [{**f, "evidence": {}} for f in findings]}


def _withheld(finding: Mapping[str, Any]) -> dict[str, Any]:
    nothing = dict.fromkeys(("value", "low", "high", "level", "method", "floor", "floor_low", "floor_high", "floor_n"))
    reason = f"withheld: it rests on fewer than {FEWEST} records"
    return {**finding, **nothing, "n": 0, "status": "unmeasured", "reason": reason, "mend": "ask the owner of the data"}
