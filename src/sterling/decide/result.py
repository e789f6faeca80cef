"""The answer of every command: one envelope, written whole or not at all, read back checked."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from sterling.decide.envelope import NEEDED, VERSION, as_decision, as_finding, as_input, as_object, as_table, is_newer
from sterling.decide.inputs import InputRecord as InputRecord
from sterling.decide.summary import summarise
from sterling.kernel.errors import InputError, UnreadableInput
from sterling.kernel.finding import Decision, Finding, Json, RuleOutcome, finite_json
from sterling.kernel.table import Table
from sterling.sources.atomic import write_text


@dataclass(frozen=True, slots=True)
class Result:
    """What a command found and decided; `as_json()` is the documented envelope.

    Args:
        kind: the command, such as "compare".
        decision: the verdict and the rules that spoke.
        findings: everything that was measured, or could not be.
        inputs: what was read: real, holdout, candidates.
        seed: same seed, same answer.
        policy: name and version of the policy that judged.
        curve: the learning curve on real rows with the candidates placed on it, or None.
        mix: the chosen mix, or None.
        cost: what the work cost in time, tokens or money, or None.
        notes: what a reader must know, in plain sentences.
        tables: rankings, ledgers and examples beside the findings, in the order they are to be read.
        picture: what the report draws where there is no learning curve; its "kind" names the drawing.
    """

    kind: str
    decision: Decision
    findings: tuple[Finding, ...]
    inputs: tuple[InputRecord, ...]
    seed: int
    policy: str
    curve: dict[str, Json] | None = None
    mix: dict[str, Json] | None = None
    cost: dict[str, Json] | None = None
    notes: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()
    picture: dict[str, Json] | None = None

    @property
    def summary(self) -> str:
        """The answer in one sentence, for the first line of a terminal and of a report."""
        return summarise(self.decision, self.findings)

    def as_json(self) -> dict[str, Json]:
        """The envelope of every `--json`; finite numbers only, so any JSON reader takes it."""
        return {
            "sterling": VERSION,
            "kind": self.kind,
            "verdict": self.decision.verdict.value,
            "summary": self.summary,
            "rules": [_rule_json(rule) for rule in self.decision.rules],
            "unmeasured": list(self.decision.unmeasured),
            "findings": [finding.as_json() for finding in self.findings],
            "inputs": [record.as_json() for record in self.inputs],
            "seed": self.seed,
            "policy": self.policy,
            "curve": self.curve,
            "mix": self.mix,
            "cost": self.cost,
            "notes": list(self.notes),
            "tables": [table.as_json() for table in self.tables],
            "picture": finite_json(self.picture),
        }


def _rule_json(rule: RuleOutcome) -> dict[str, Json]:
    return {
        "rule": rule.rule,
        "outcome": rule.outcome,
        "because": list(rule.because),
        "reason": rule.reason,
        "verdict": rule.verdict.value if rule.verdict else None,
        "waived": rule.waived,
        "candidate": rule.candidate,
    }


def write_result(result: Result, path: Path) -> None:
    """Write the envelope; a reader sees the old file or the whole new one, never half of it.

    Raises:
        InputError: if the folder does not exist or cannot be written.
    """
    text = json.dumps(result.as_json(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    write_text(path, text)


def read_result(path: Path) -> Result:
    """Read an envelope and check every part of it.

    Raises:
        UnreadableInput: if there is no such file, or it is no JSON.
        InputError: if it is no result, an incomplete one, or one of a newer Sterling.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as err:
        raise UnreadableInput(f"cannot read result {path}: {err}", mend="name a file that --json wrote") from err
    try:
        data = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as err:
        raise UnreadableInput(f"{path} is no JSON: {err}", mend="name a file that --json wrote") from err
    try:
        return parse_result(data)
    except InputError as err:
        raise InputError(f"{path}: {err.message}", mend=err.mend) from err


def parse_result(data: Json) -> Result:
    """An envelope as a `Result`.

    Raises:
        InputError: naming the part that is missing, of the wrong type, or from a newer Sterling.
    """
    top = as_object(data, "the result")
    version = top.text("sterling")
    if is_newer(version):
        raise InputError(
            f"this result was written by Sterling {version}; this is {VERSION}", mend="pip install -U sterling"
        )
    top.require(NEEDED)
    return Result(
        kind=top.text("kind"),
        decision=as_decision(top),
        findings=tuple(as_finding(item) for item in top.objects("findings")),
        inputs=tuple(as_input(item) for item in top.objects("inputs")),
        seed=top.integer("seed"),
        policy=top.text("policy"),
        curve=top.mapping_or_none("curve"),
        mix=top.mapping_or_none("mix"),
        cost=top.mapping_or_none("cost"),
        notes=top.texts("notes"),
        # A result of before there were tables has none.
        tables=tuple(as_table(item) for item in top.objects("tables")) if top.data.get("tables") else (),
        picture=top.mapping_or_none("picture"),
    )
