"""Entry of the pre-commit hooks: many files in one call, the exit code of the worst of them.

python -m sterling.cli.precommit gate [--policy P] RESULT.json ...
python -m sterling.cli.precommit check [--policy P] [--against REAL] DATA ...
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from sterling.kernel.errors import SterlingError


def main(words: Sequence[str] | None = None) -> int:
    """Judge every file named and print one paragraph for each.

    Args:
        words: the arguments; None for those of this process.

    Returns:
        0 all passed; 1 one did not; 2 one could not be read; 3 an error inside Sterling.
    """
    parser = argparse.ArgumentParser(prog="python -m sterling.cli.precommit")
    parser.add_argument("what", choices=("gate", "check"))
    parser.add_argument("--policy", default=None, help="a preset or TOML")
    parser.add_argument("--against", default=None, help="check: real rows that show what is right")
    parser.add_argument("files", nargs="*", type=Path)
    asked = parser.parse_intermixed_args(words)  # pre-commit puts the hook's args before the files
    if asked.what == "gate" and asked.against is not None:
        parser.error("--against is for check: a result already knows what it was compared with")
    if asked.what == "gate":
        return judge_all(asked.files, partial(_gate, policy=asked.policy))
    return judge_all(asked.files, partial(_check, policy=asked.policy, against=asked.against))


def judge_all(files: Sequence[Path], judge: Callable[[Path], tuple[bool, str]]) -> int:
    """Print what `judge` says of each file; the worst exit code. One unreadable file does not hide the others."""
    worst = 0
    for path in files:
        try:
            passed, paragraph = judge(path)
        except SterlingError as err:
            print(f"{path}: {err}", file=sys.stderr)
            worst = max(worst, err.exit_code)
            continue
        print(f"{path}: {paragraph}")
        worst = max(worst, 0 if passed else 1)
    return worst


def _gate(path: Path, *, policy: str | None) -> tuple[bool, str]:
    from sterling.api.gate import gate

    answer = gate(path, policy=policy)
    return answer.passed, answer.paragraph


def _check(path: Path, *, policy: str | None, against: str | None) -> tuple[bool, str]:
    from sterling.api.check import check
    from sterling.decide.gate import gate
    from sterling.decide.policy import load_policy

    result = check(path, against=against, policy=policy)
    answer = gate(result, policy=load_policy(policy))
    reasons = [f"{f.measure}: {f.reason}." for f in result.findings if f.reason]
    return answer.passed, " ".join([answer.paragraph, *reasons])


if __name__ == "__main__":
    sys.exit(main())
