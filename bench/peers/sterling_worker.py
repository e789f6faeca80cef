"""Sterling itself, by the same protocol: what its gate says, and what it names first."""

from __future__ import annotations

import json
import os
import tempfile

from worker import serve

import sterling
from sterling.decide.gate import gate
from sterling.kernel.finding import Status

MOST = 2000


def judge(job: dict) -> dict:
    result = sterling.compare(
        job["real"],
        job["synthetic"],
        holdout=job["holdout"],
        target=job["target"],
        groups=job["groups"],
        seed=job.get("seed", 0),
        effort=job.get("effort", "full"),
    )
    asking = [r for r in result.decision.rules if r.verdict is not None and r.waived is None]
    by = asking[0].because[0] if asking and asking[0].because else ""
    found = next((f for f in result.findings if f.name == by), None)
    shown = [asking[0].reason if asking else "", by]
    shown += [found.reason or ""] if found is not None else []
    return {
        "verdict": result.decision.verdict.value,
        "passed": gate(result).passed,
        "rules": [{"rule": r.rule, "outcome": r.outcome, "because": list(r.because)[:8]} for r in asking],
        "by": by or (asking[0].rule if asking else ""),
        "shown": " | ".join(shown),
        "evidence": json.dumps(dict(found.evidence))[:MOST] if found is not None else "",
        "failed": [f.name for f in result.findings if f.status is Status.FAIL],
        "open": [f.name for f in result.findings if f.status is Status.UNDECIDED and f.slice is None],
        "stopped": [f"{f.measure}: {f.reason}" for f in result.findings if "the measure stopped" in (f.reason or "")],
    }


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as home:
        os.environ["STERLING_HOME"] = home
        serve(sterling.__version__, judge)
