"""`gate`: may this result ship?"""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sterling.decide.gate import GateAnswer


def gate(
    result: Path, *, policy: str | Path | None = None, baseline: Path | None = None, junit: Path | None = None
) -> GateAnswer:
    """Ask whether a written result passes.

    Args:
        result: a `--json` file.
        policy: a preset or TOML; None asks under the default policy's gate.
        baseline: a previous result; what got worse is named.
        junit: write the answer as a JUnit file too.

    Raises:
        InputError: if a file is no result envelope.
    """
    from sterling.decide import gate as gates
    from sterling.decide.policy import load_policy
    from sterling.decide.result import read_result

    asked = read_result(result)
    answer = gates.gate(
        asked,
        policy=load_policy(policy) if policy is not None else None,
        baseline=read_result(baseline) if baseline is not None else None,
        today=datetime.datetime.now(datetime.UTC).date(),
    )
    if junit is not None:
        from sterling.sources.atomic import write_text

        write_text(junit, gates.junit_xml(answer, asked))
    return answer
