"""Every claim of the field's framework has something that makes it executable, and that thing exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sterling.cli.app import app
from sterling.decide.answers import QUESTIONS
from sterling.decide.framework import CLAIMS, Claim
from sterling.decide.policy import presets
from sterling.decide.rulebook import RULES
from sterling.kernel import registry

ROOT = Path(__file__).parent.parent
FRAMEWORK = ROOT.parent / "shared" / "FRAMEWORK.md"
# A copy of the names, in the order of FRAMEWORK.md: a claim that is dropped is missed here.
NAMES = [
    "form_simulation",
    "form_generative",
    "form_rules",
    "form_privacy",
    "win_rare_scenes",
    "win_instructions",
    "win_robots",
    "win_privacy_law",
    "fail_domain_gap",
    "fail_domain_adaptation",
    "fail_collapse",
    "fail_collapse_signs",
    "fail_bias",
    "fail_hidden_cost",
    "fail_ceiling",
    "fail_labels",
    "real_edge_cases",
    "real_judgement",
    "right_rare",
    "right_thin",
    "right_privacy",
    "right_bootstrap",
    "right_conditions",
    "required_consequences",
    "required_expertise",
    "required_region",
    "required_finding_out",
    "required_severity",
    "hybrid_order",
    "hybrid_80_20",
    "hybrid_validate",
    "hybrid_five_percent",
    "hybrid_500_50000",
    "quality_review",
    "quality_preferences",
    "big_many_sets",
    "big_renderer",
    "big_driving",
]
# Of each list of FRAMEWORK.md: words that open or close it, and how many claims it makes at least.
LISTS = {
    "**Four forms.**": ("form_", 4),
    "**Where it wins.**": ("win_", 4),
    "**Where it fails.**": ("fail_", 6),
    "**Why real stays the baseline.**": ("real_", 2),
    "**When synthetic is right**": ("right_", 5),
    "**When real, annotated data is required**": ("required_", 5),
    "**The hybrid that ships**": ("hybrid_", 5),
    "**Quality assurance**": ("quality_", 2),
    "**What big users do**": ("big_", 3),
}


def commands() -> set[str]:
    return {c.name or c.callback.__name__.strip("_") for c in app.registered_commands if c.callback is not None}


def resolves(name: str) -> bool:
    room, _, what = name.partition(":")
    if room == "rule":
        return what in RULES
    if room == "command":
        return what in commands()
    if room == "preset":
        return what in presets()
    if room == "answer":
        key, _, word = what.partition("=")
        return any(q.key == key and word in q.names for q in QUESTIONS)
    return what in registry.names(f"{room}s")


def test_names_that_are_not_there_do_not_resolve() -> None:
    for name in ("rule:D99", "command:fly", "preset:lax", "answer:purpose=fun", "measure:none", "generator:none"):
        assert not resolves(name)


def test_every_claim_is_listed_once_and_in_order() -> None:
    assert [c.name for c in CLAIMS] == NAMES


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda c: c.name)
def test_what_makes_a_claim_executable_exists(claim: Claim) -> None:
    assert claim.by
    assert [name for name in claim.by if not resolves(name)] == []
    assert claim.words.endswith(".")
    assert claim.says.endswith(".")


@pytest.mark.parametrize("claim", [c for c in CLAIMS if c.status == "later issue"], ids=lambda c: c.name)
def test_what_comes_later_is_still_answered_with_a_route(claim: Claim) -> None:
    from sterling.api.advise import advise

    for name in claim.by:
        kind, _, what = name.partition(":")
        if kind != "answer":
            continue
        key, _, word = what.partition("=")
        given = {"real_rows": 5000, key: [word] if key in ("purpose", "declares") else word}
        modality = {"modality": "image"} if key == "purpose" else {}
        route = next(t for t in advise({**given, **modality}).tables if t.title == "Route")
        assert "later issue" in " ".join(str(row[2]) for row in route.rows)


def test_the_shared_framework_has_no_list_that_is_not_mapped() -> None:
    if not FRAMEWORK.is_file():
        pytest.skip("FRAMEWORK.md stands beside the repository, not in it")
    text = FRAMEWORK.read_text(encoding="utf-8")
    headings = re.findall(r"\*\*[^*]+\*\*", text)
    assert headings == list(LISTS)
    bullets = [line for line in text.splitlines() if line.startswith("- ")]
    assert len(bullets) == 6
    for prefix, least in LISTS.values():
        assert sum(name.startswith(prefix) for name in NAMES) >= least


def test_the_page_shows_every_claim() -> None:
    page = (ROOT / "docs" / "framework.md").read_text(encoding="utf-8")
    for claim in CLAIMS:
        line = f"| {claim.words} | {', '.join(f'`{n}`' for n in claim.by)} | {claim.says}"
        assert line in page, line
