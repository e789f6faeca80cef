"""The certificate for people: one HTML file; every word in it is escaped, for it may come from a stranger."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sterling.ship.certificate import Certificate

FOLDER = Path(__file__).parent
# As the terminal has them.
WORDS = {"undecided": "open", "unmeasured": "not measured", "withheld": "not told"}


@dataclass(frozen=True, slots=True)
class Line:
    """A finding as people read it."""

    status: str
    name: str
    value: str
    between: str
    bound: str


def lines_of(certificate: Certificate) -> tuple[Line, ...]:
    """The findings, failures first, as texts."""
    order = ("fail", "warn", "undecided", "pass", "unmeasured", "withheld")
    found = certificate.body["findings"]
    ranked = sorted(found, key=lambda f: order.index(f.get("status")) if f.get("status") in order else len(order))
    return tuple(_line(f) for f in ranked)


def facts_of(certificate: Certificate) -> tuple[tuple[str, str], ...]:
    """What the certificate is about, as label and text."""
    body = certificate.body
    one, benchmark, policy, asked = (body[part] for part in ("set", "benchmark", "policy", "question"))
    declared = [f"{k} {_words(v)}" for k, v in asked.items() if v not in (None, [], "")]
    return (
        ("set", f"{_words(one.get('name'))}, {_words(one.get('rows'))} rows"),
        ("fingerprint", _words(one.get("fingerprint"))),
        ("benchmark", f"{_words(benchmark.get('rows'))} real rows, commitment {_words(benchmark.get('commitment'))}"),
        (
            "asked so far",
            f"{_words(benchmark.get('questions'))} question(s) since {_words(benchmark.get('since'))}; tuning on the "
            f"answers could show a gain of {_words(benchmark.get('fakeable_gain'))}",
        ),
        ("question", ", ".join(declared)),
        ("policy", f"{_words(policy.get('label'))}, SHA-256 {_words(policy.get('sha256'))}"),
        ("issued", f"{_words(body['issued'])} by Sterling {_words(body['sterling'])}, seed {_words(body['seed'])}"),
        ("key", certificate.key_fingerprint),
    )


def left_out(certificate: Certificate) -> tuple[str, ...]:
    """What the certificate does not tell, in sentences."""
    measures = certificate.body["unmeasured"].get("measures")
    withheld = certificate.body["withheld"]
    slices, silent = withheld.get("slices"), withheld.get("measures")
    found: list[str] = []
    if measures:
        found.append(f"Not measured: {_words(measures)}.")
    if slices:
        found.append(f"{_count(slices)} findings on slices are withheld: they could tell of the real rows.")
    if silent:
        found.append(
            f"Not told, good or bad, and without a say in the verdict: {_words(silent)}. They are about single real "
            f"rows; a failure that surely concerns {_words(withheld.get('told_from'))} of them or more would be told."
        )
    return tuple(found)


def render_certificate(certificate: Certificate) -> str:
    """One self-contained HTML file, light and dark, wide and narrow."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    room = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    rules = [
        (_words(r.get("rule")), _words(r.get("outcome")).replace("_", " ").lower(), _words(r.get("about")))
        for r in certificate.body["rules"]
    ]
    return room.get_template("certificate.jinja").render(
        verdict=certificate.body["verdict"],
        facts=facts_of(certificate),
        rules=rules,
        lines=lines_of(certificate),
        left_out=left_out(certificate),
    )


def _line(found: dict[str, Any]) -> Line:
    name = _words(found.get("measure"))
    if found.get("slice") is not None:
        name = f"{name}: {_words(found['slice'])}"
    ends = [_words(found.get(k)) if found.get(k) is not None else "…" for k in ("low", "high")]
    measured = found.get("value") is not None
    return Line(
        status=WORDS.get(str(found.get("status")), _words(found.get("status"))),
        name=name,
        value=_words(found.get("value")) if measured else "",
        between=f"{ends[0]} to {ends[1]}" if measured else "",
        bound=_words(found["bound"]) if found.get("bound") is not None else "",
    )


def _count(value: Any) -> str:
    return f"{_words(value)} or more" if isinstance(value, int) else _words(value)


def _words(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return ", ".join(_words(v) for v in value)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return f"{value:,}" if isinstance(value, int) else f"{value:g}"
    return "unknown" if value is None else str(value)
