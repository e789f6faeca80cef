"""PROV-JSON: which set was made from which, by what.

Source: W3C Member Submission, The PROV-JSON Serialization (2013).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sterling.kernel.finding import Json
from sterling.ship.shipment import URN, Shipment

MAKING, JUDGING, SOFTWARE, RESULT = "sterling:making", "sterling:judging", "sterling:software", "sterling:result"


def prov(shipment: Shipment) -> dict[str, Json]:
    """The provenance of a shipped set as a PROV document."""
    data = shipment.dataset
    made = f"sha256:{data.fingerprint}"
    parents = [f"sha256:{parent}" for parent in shipment.parents]
    known = {_entity(i, number): _described(i) for number, i in enumerate(shipment.result.get("inputs", ()), start=1)}
    judged = list(known)
    nothing: dict[str, Json] = {"prov:type": _name("sterling:Dataset")}
    entities: dict[str, Json] = {
        **{name: known.get(name, nothing) for name in dict.fromkeys([*judged, *parents])},
        made: _shipped(shipment),
        RESULT: {"prov:label": "result.json", "sterling:verdict": str(shipment.result.get("verdict"))},
    }
    making: dict[str, Json] = {"prov:label": data.lineage.generator or data.name, "sterling:depth": data.lineage.depth}
    judging: dict[str, Json] = {
        "prov:label": str(shipment.result.get("kind")),
        "sterling:policy": str(shipment.result.get("policy")),
        "sterling:seed": str(shipment.result.get("seed")),
    }
    agent: dict[str, Json] = {"prov:type": _name("prov:SoftwareAgent"), "prov:label": shipment.software}
    return {
        "prefix": {"sterling": "urn:sterling:", "sha256": URN},
        "entity": entities,
        "activity": {MAKING: making, JUDGING: judging},
        "agent": {SOFTWARE: agent},
        "used": _numbered(
            "used",
            [{"prov:activity": MAKING, "prov:entity": p} for p in parents]
            + [{"prov:activity": JUDGING, "prov:entity": p} for p in judged],
        ),
        "wasGeneratedBy": _numbered(
            "generated",
            [{"prov:entity": made, "prov:activity": MAKING}, {"prov:entity": RESULT, "prov:activity": JUDGING}],
        ),
        "wasDerivedFrom": _numbered("derived", [{"prov:generatedEntity": made, "prov:usedEntity": p} for p in parents]),
        "wasAssociatedWith": _numbered(
            "associated", [{"prov:activity": a, "prov:agent": SOFTWARE} for a in (MAKING, JUDGING)]
        ),
        "wasAttributedTo": _numbered("attributed", [{"prov:entity": made, "prov:agent": SOFTWARE}]),
    }


def _entity(record: Mapping[str, Any], number: int) -> str:
    """What a set is called here; a recipient is not told the fingerprint of a real one."""
    return f"sha256:{record['fingerprint']}" if record["fingerprint"] else f"sterling:input{number}"


def _described(record: Mapping[str, Any]) -> dict[str, Json]:
    return {
        "prov:type": _name("sterling:Dataset"),
        "prov:label": str(record.get("name")),
        "sterling:rows": int(record.get("rows", 0)),
        "sterling:origin": str(record.get("origin")),
    }


def _shipped(shipment: Shipment) -> dict[str, Json]:
    data = shipment.dataset
    counts: dict[str, Json] = {f"sterling:{origin}Rows": count for origin, count in shipment.origins.items()}
    return {
        "prov:type": _name("sterling:Dataset"),
        "prov:label": shipment.title,
        "sterling:rows": data.rows,
        "sterling:origin": data.origin.value,
        "sterling:fittedOn": data.lineage.fitted_on,
        **counts,
    }


def _name(name: str) -> dict[str, Json]:
    return {"$": name, "type": "prov:QUALIFIED_NAME"}


def _numbered(what: str, relations: list[dict[str, str]]) -> dict[str, Json]:
    """Relations under blank names, as PROV-JSON has them; a relation is stated once."""
    once = list({tuple(relation.items()): relation for relation in relations}.values())
    return {f"_:{what}{number}": dict(relation) for number, relation in enumerate(once, start=1)}
