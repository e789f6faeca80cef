"""`gate`: may this result ship?"""

from __future__ import annotations

import datetime
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from sterling.kernel.errors import InputError

if TYPE_CHECKING:
    from sterling.decide.baseline import Baseline
    from sterling.decide.gate import GateAnswer


def gate(
    result: Path, *, policy: str | Path | None = None, baseline: Path | None = None, junit: Path | None = None
) -> GateAnswer:
    """Ask whether a written result passes.

    Args:
        result: a `--json` file.
        policy: a preset or TOML; None asks under the default policy's gate.
        baseline: a recorded result; what got worse since is named. What is named is remembered beside it, in
            `NAME.worse.json`, so that a later gate calls it mended only when it is clearly back.
        junit: write the answer as a JUnit file too.

    Raises:
        InputError: if a file is no result envelope or an answer that judges no set, or the baseline comes from
            another command.
    """
    from sterling.decide import gate as gates
    from sterling.decide.baseline import read_baseline
    from sterling.decide.policy import load_policy
    from sterling.decide.result import read_result

    asked, now = read_result(result), datetime.datetime.now(datetime.UTC)
    recorded = read_baseline(baseline) if baseline is not None else None
    answer = gates.gate(
        asked,
        policy=load_policy(policy) if policy is not None else None,
        baseline=recorded,
        today=now.date(),
    )
    if baseline is not None and recorded is not None:
        answer = _remembered(answer, baseline, recorded)
    if junit is not None:
        from sterling.decide.junit import junit_xml
        from sterling.sources.atomic import write_text

        write_text(junit, junit_xml(answer, asked, when=now))
    return answer


def _remembered(answer: GateAnswer, path: Path, baseline: Baseline) -> GateAnswer:
    """Keep what is worse for the next gate; where it cannot be kept, the paragraph says so."""
    from sterling.decide.baseline import remember

    if answer.comparison is None:
        return answer
    try:
        remember(path, baseline, answer.comparison)
    except InputError as err:  # a baseline on a read-only disk is still a baseline
        told = (
            f"What is worse could not be remembered beside the baseline ({err.message}): the next gate starts afresh."
        )
        return replace(answer, paragraph=f"{answer.paragraph} {told}")
    return answer
