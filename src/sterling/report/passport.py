"""The privacy passport: what was tried against a synthetic set, on one page that two kinds of reader may hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from sterling.kernel.finding import Json
from sterling.report.templates import FOLDER, templates

Audience = Literal["owner", "recipient"]
Answer = Literal["SHARE", "BLOCK", "INSUFFICIENT"]
TONE = {"SHARE": "go", "BLOCK": "stop", "INSUFFICIENT": "open"}
MEANING = {
    "SHARE": "nothing tried tells on the people behind it",
    "BLOCK": "do not let it out",
    "INSUFFICIENT": "too little to say; what it would take stands below",
}


@dataclass(frozen=True, slots=True)
class Threat:
    """One threat in plain words, and what came of trying it.

    Args:
        question: what a reader would ask.
        attack: what was done, in a few words.
        measure: the measure's name.
        success: how often it succeeds on the people behind the set; empty where nobody could take it.
        control: how often on people who were never in it.
        judged: the number that the policy judges, with its interval.
        bound: what is tolerated.
        status: pass, fail, undecided, unmeasured or not_applicable.
        detail: for the owner alone: the finding's own sentence.
    """

    question: str
    attack: str
    measure: str
    success: str
    control: str
    judged: str
    bound: str
    status: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Passport:
    """The page's content; a recipient's holds nothing that was not made for a stranger.

    Args:
        audience: who reads it.
        verdict: of the attacks alone, whatever the set is good for.
        because: one sentence.
        subject: name of the set.
        facts: label and text: rows, fingerprint, generator, claim, real rows, policy, seed.
        threats: in the order of the page.
        untested: what was not tried, and why.
        needs: what a surer answer would take; empty where the answer is sure.
        unpromised: what nobody should read into it.
        verify: how a recipient checks it.
        notes: for the owner alone.
    """

    audience: Audience
    verdict: Answer
    because: str
    subject: str
    facts: tuple[tuple[str, str], ...]
    threats: tuple[Threat, ...]
    untested: tuple[str, ...]
    needs: tuple[str, ...]
    unpromised: tuple[str, ...]
    verify: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Json]:
        """The passport as JSON."""
        return {**asdict(self), "facts": dict(self.facts)}


def render_passport(passports: Sequence[Passport], *, created: str) -> str:
    """One self-contained HTML file, a page for each set: no script, no request, light and dark, wide and narrow.

    Args:
        passports: one for each set.
        created: a date to print; empty to print none.

    Returns:
        The file; every name in it is escaped.
    """
    from markupsafe import Markup

    style = "\n".join((FOLDER / name).read_text(encoding="utf-8") for name in ("report.css", "passport.css"))
    room = templates()
    return room.get_template("passport_page.jinja").render(
        passports=passports, created=created, style=Markup(style), tones=TONE, meanings=MEANING,
    )  # fmt: skip


def passport_section(passports: Sequence[Passport]) -> str:
    """The passports as a part of a report, with the style that they need beside the report's own."""
    from markupsafe import Markup

    style = Markup((FOLDER / "passport.css").read_text(encoding="utf-8"))
    template = templates().get_template("passport.jinja")
    return template.render(passports=passports, style=style, tones=TONE, meanings=MEANING, inside=True)
