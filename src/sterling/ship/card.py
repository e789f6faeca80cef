"""The data set card: what it is, how it was made, from what, what was found, and where its limits are."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from sterling.kernel.audience import FEWEST
from sterling.kernel.finding import Json
from sterling.kernel.schema import Kind
from sterling.ship.shipment import Shipment
from sterling.sources.provenance import LINEAGE_COLUMNS

if TYPE_CHECKING:
    from jinja2 import Environment

MEANINGS = (
    "real, synthetic, augmented or mixed",
    "fingerprint of the set the row was made or taken from",
    "generations away from real data",
    "what made the row",
    "the row's weight in training",
)
# Characters that mean something to Markdown or HTML inside a line.
SPECIAL = re.compile(r"([\\`*|\[\]<>&#~$])")
SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
LARGER = ((10_000_000, "1M<n<10M"), (100_000_000, "10M<n<100M"), (1_000_000_000, "100M<n<1B"))


def card(shipment: Shipment) -> str:
    """The card as Markdown with a YAML header, as data hubs read it."""
    template = files("sterling.ship").joinpath("card.md.jinja").read_text(encoding="utf-8")
    return _environment().from_string(template).render(_facts(shipment)).rstrip() + "\n"


def _environment() -> Environment:
    from jinja2 import Environment, StrictUndefined

    # Markdown, not HTML: every value from outside goes through a filter that knows Markdown.
    environment = Environment(undefined=StrictUndefined, autoescape=False, keep_trailing_newline=True)
    environment.filters.update(yaml=_yaml, prose=prose, code=code, number=number, interval=_interval)
    return environment


def _facts(shipment: Shipment) -> dict[str, Any]:
    data, result = shipment.dataset, shipment.result
    mix = result.get("mix") or {}
    return {
        "title": shipment.title,
        "licence": shipment.licence,
        "task": _task(shipment),
        "size": next((name for most, name in (*SIZES, *LARGER) if data.rows < most), "n>1B"),
        "origin": data.origin.value,
        "modality": data.schema.modality,
        "verdict": result.get("verdict"),
        "summary": result.get("summary") or "",
        "rows": data.rows,
        "columns": tuple(data.schema),
        "lineage_columns": [
            (name, meaning)
            for name, meaning in zip(LINEAGE_COLUMNS, MEANINGS, strict=True)
            if name in shipment.types.names
        ],
        "origins": tuple(shipment.origins.items()),
        "how": _how(shipment),
        "mix": [part for part in mix.get("sources", ()) if part.get("weight")],
        "inputs": [_few(i) if shipment.audience == "recipient" else i for i in result.get("inputs", ())],
        "rules": result.get("rules", ()),
        "findings": result.get("findings", ()),
        "limits": _limits(shipment),
        "fingerprint": data.fingerprint,
        "parents": shipment.parents,
        "depth": data.lineage.depth,
        "policy": str(result.get("policy") or "none"),
        "seed": result.get("seed"),
        "software": shipment.software,
    }


def _few(record: Mapping[str, Any]) -> dict[str, Any]:
    return {**record, "rows": f"<{FEWEST}" if 0 < record["rows"] < FEWEST else record["rows"]}


def _task(shipment: Shipment) -> str | None:
    target = shipment.dataset.schema.target
    if target is None:
        return None
    return "tabular-classification" if target.kind is Kind.CATEGORY or target.levels else "tabular-regression"


def _how(shipment: Shipment) -> str:
    lineage = shipment.dataset.lineage
    fitted = {
        "real": "The generator saw the same real rows that train the model.",
        "other": "The generator was fitted on other rows than those that train the model.",
        "unknown": "On which rows the generator was fitted is not known.",
    }[lineage.fitted_on]
    if lineage.generator == "blend":
        return "Real and synthetic rows were mixed with weights that were chosen on held-out real rows."
    if lineage.generator is None:
        return "No generator is recorded."
    return f"Made by {lineage.generator}. {fitted}"


def _limits(shipment: Shipment) -> list[str]:
    result = shipment.result
    limits = ["Judged for the learner, target and slices named in result.json; for another use, compare again."]
    real = shipment.origins.get("real", 0)
    if real:
        limits.append(f"{real:,} rows are real: what protects the people in them protects this set.")
    if shipment.origins.get("synthetic", 0):
        limits.append("Synthetic rows describe nobody; a single one proves nothing about a person or a rare case.")
    if shipment.dataset.lineage.fitted_on == "unknown":
        limits.append("The generator may have seen the benchmark's rows: worth is an upper bound.")
    limits += [f"Could not be measured: {name}" for name in result.get("unmeasured", ())]
    if shipment.licence is None:
        limits.append("No licence was declared: ask the owner before you use it.")
    if shipment.audience == "recipient":
        limits.append("This is the recipient's form: evidence, ranges of columns and small counts stay with the owner.")
    return [*limits, *map(str, result.get("notes", ()))]


def prose(text: object) -> str:
    r"""Text that is safe inside a line or a table cell of Markdown.

    >>> prose("a|b <script>\n# x")
    'a\\|b \\<script\\> \\# x'
    """
    return SPECIAL.sub(r"\\\1", " ".join(str(text).split()))


def code(text: str) -> str:
    """A name as code; Markdown has no way to write a backtick or a bar of a table inside, so they are replaced.

    >>> code("a|b`c")
    '`a¦b´c`'
    """
    return "`" + " ".join(text.split()).replace("`", "´").replace("|", "¦") + "`"


def number(value: float | int | str | None) -> str:
    """Four digits that count, and nothing for nothing.

    >>> number(0.123456), number(6000), number(None)
    ('0.1235', '6,000', '')
    """
    if value is None:
        return ""
    if isinstance(value, str):
        return prose(value)
    return f"{value:,.0f}" if float(value).is_integer() or abs(value) >= 1000 else f"{value:.4g}"


def _interval(finding: Mapping[str, Any]) -> str:
    low, high = finding.get("low"), finding.get("high")
    if finding.get("value") is None:
        return prose(finding.get("reason") or "")
    return f"{number(low) or '-∞'} to {number(high) or '∞'}"


def _yaml(value: Json) -> str:
    """A string of JSON is one of YAML."""
    return json.dumps(value, ensure_ascii=False)
