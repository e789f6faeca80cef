"""pytest: `assert_ships(real, synthetic)` fails a test with the reasons why a set may not ship.

pytest loads this module at every start, so nothing heavy stands at its top; pytest itself is not needed to import it.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import pytest

    from sterling.decide.gate import GateAnswer
    from sterling.decide.result import Result
    from sterling.kernel.finding import Finding
    from sterling.kernel.protocols import Effort

# Where `--sterling-json` leaves the folder: tests may start processes of their own, so it is an environment variable.
FOLDER = "STERLING_PYTEST_JSON"
MOST_FINDINGS = 12
# How many results of each test this process has kept: a test may ask twice about the same rows.
_kept: Counter[str] = Counter()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--sterling-json DIR`."""
    group = parser.getgroup("sterling", "synthetic data")
    group.addoption(
        "--sterling-json",
        metavar="DIR",
        default=None,
        help="keep the whole result of every assert_ships here, as JSON, whether it passes or not",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Note where results shall be kept, for as long as this session lasts."""
    wanted = config.getoption("--sterling-json", default=None)
    if wanted is None:
        return
    before = os.environ.get(FOLDER)
    os.environ[FOLDER] = str((config.invocation_params.dir / str(wanted)).resolve())
    _kept.clear()
    config.add_cleanup(lambda: _put_back(before))


def _put_back(before: str | None) -> None:
    os.environ.pop(FOLDER, None)
    if before is not None:
        os.environ[FOLDER] = before


def assert_ships(
    real: Any,
    synthetic: Any,
    *,
    policy: str | Path | None = None,
    target: str | None = None,
    holdout: Any = None,
    groups: Sequence[str] = (),
    slices: Sequence[str] = (),
    stakes: Literal["low", "consequential"] = "low",
    baseline: str | Path | None = None,
    seed: int = 0,
    effort: Effort = "full",
    schema: Path | None = None,
    entity: str | None = None,
    time: str | None = None,
) -> Result:
    """Fail the test unless a synthetic set may ship: `compare`, then the gate of the same policy.

    Args:
        real: a path, a pandas, polars or Arrow frame, or a Dataset.
        synthetic: likewise.
        policy: a preset's name or a TOML file.
        target: the column a model shall predict.
        holdout: real rows that the generator never saw; without it REAL splits 80 / 20.
        groups: protected attributes.
        slices: columns of which each value is judged by itself.
        stakes: what a wrong model would cost; "consequential" tightens the policy.
        baseline: a recorded result; what got worse is named, and refuses where the policy says so.
        seed: same seed, same answer.
        effort: "fast" subsamples and says so.
        schema: TOML that overrides kinds and roles of columns.
        entity: column whose rows stay together in the split.
        time: time column; the latest rows become the holdout.

    Returns:
        The result, when it may ship.

    Raises:
        AssertionError: with verdict, rules and the failing findings, the most important first.
        InputError: for input that is unreadable, misnamed or unrelated.
    """
    __tracebackhide__ = True
    from sterling.api.compare import compare

    result = compare(
        real, synthetic, holdout=holdout, target=target, groups=groups, slices=slices, policy=policy, stakes=stakes,
        seed=seed, effort=effort, schema=schema, entity=entity, time=time,
    )  # fmt: skip
    answer, kept = _asked(result, policy=policy, stakes=stakes, baseline=baseline), _keep(result)
    if answer.passed:
        return result
    raise AssertionError(refusal(result, answer, kept=kept))


def _asked(
    result: Result, *, policy: str | Path | None, stakes: Literal["low", "consequential"], baseline: str | Path | None
) -> GateAnswer:
    import datetime

    from sterling.decide.baseline import read_baseline
    from sterling.decide.gate import gate
    from sterling.decide.policy import load_policy

    # The policy is the one that judged, so no bound is asked a second time; its gate and waivers are.
    return gate(
        result,
        policy=load_policy(policy, stakes=stakes),
        baseline=None if baseline is None else read_baseline(Path(baseline)),
        today=datetime.datetime.now(datetime.UTC).date(),
    )


def _keep(result: Result) -> Path | None:
    """Write the envelope under the running test's name, numbered from its second; another run writes the same names."""
    folder = os.environ.get(FOLDER)
    if not folder:
        return None
    from sterling.decide.result import write_result

    test = os.environ.get("PYTEST_CURRENT_TEST", "no test").rpartition(" (")[0].replace("::", "-")
    name = re.sub(r"[^\w.-]+", "_", test).strip("._-")[-120:] or "no_test"
    asked = [result.seed, result.policy, test, *(i.fingerprint for i in result.inputs)]
    mark = hashlib.sha256(json.dumps(asked).encode()).hexdigest()[:8]
    _kept[test] += 1
    number = f"-{_kept[test]}" if _kept[test] > 1 else ""
    path = Path(folder) / f"{name}{number}-{mark}.json"
    write_result(result, path)
    return path


def refusal(result: Result, answer: GateAnswer, *, kept: Path | None = None) -> str:
    """Why a set may not ship, for a terminal without colour: verdict, rules, then the findings by weight.

    Args:
        result: what was found and decided.
        answer: what the gate said to it.
        kept: the file that has it all.
    """
    from sterling.decide.gate import got_worse

    sets = ", ".join(f"{i.name} {i.rows:,} rows" for i in result.inputs)
    lines = [f"{answer.verdict.value}, not shipped: {result.summary}"]
    lines += [f"  policy {result.policy}, seed {result.seed}; {sets}"]
    said = [r for r in result.decision.rules if r.verdict is not None and r.waived is None]
    lines += [f"  {r.rule} {r.outcome}: {r.reason}" for r in said]
    # A gate of other bounds, a missing measure, or the baseline.
    told = [] if said else list(answer.refusals)
    if answer.comparison is not None and answer.comparison.refusals:  # said where it does not refuse, too
        told.append(got_worse(answer.comparison))
    lines += [f"  {text}" for text in dict.fromkeys(told)]
    wrong = _by_weight(result, answer)
    if wrong:
        lines += ["", *_table(wrong[:MOST_FINDINGS])]
        lines += [f"  ... and {len(wrong) - MOST_FINDINGS} more findings"] if len(wrong) > MOST_FINDINGS else []
    if result.decision.unmeasured:
        lines += ["", f"  unmeasured: {', '.join(result.decision.unmeasured)}"]
    hint = f"the whole result: {kept}" if kept is not None else "pytest --sterling-json DIR keeps the whole result"
    return "\n".join([*lines, "", f"  {hint}"])


def _by_weight(result: Result, answer: GateAnswer) -> list[Finding]:
    """What refuses in the order of the rules, then what else fails; the whole set before its slices, worst first."""
    from sterling.kernel.finding import Status

    forced = [name for r in result.decision.rules if r.verdict is not None and r.waived is None for name in r.because]
    place = {name: i for i, name in reversed(list(enumerate(forced)))}

    def refuses(f: Finding) -> bool:
        return bool({(None, f.name), (f.candidate, f.name)} & answer.refused_by)

    def weight(f: Finding) -> tuple[int, int, bool, float]:
        return (not refuses(f), place.get(f.name, len(place)), f.slice is not None, -_excess(f))

    return sorted((f for f in result.findings if refuses(f) or f.status is Status.FAIL), key=weight)


def _excess(finding: Finding) -> float:
    """How far the interval lies beyond the bound, in widths of the interval: sure and large comes first."""
    from sterling.kernel.estimate import Estimate

    e, bound = finding.result, finding.params.get("bound")
    if not isinstance(e, Estimate) or not isinstance(bound, (int, float)):
        return 0.0
    beyond = bound - e.high if finding.better == "higher" else e.low - bound
    return beyond / max(e.high - e.low, 1e-12)


HEAD = ("finding", "value", "interval", "bound", "floor")


def _table(findings: Sequence[Finding]) -> Iterator[str]:
    """Aligned columns, and below each finding its reason in plain words."""
    rows = [HEAD, *(_cells(f) for f in findings)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(HEAD))]
    for row, finding in zip(rows, [None, *findings], strict=True):
        aligned: list[Callable[[int], str]] = [row[0].ljust, *(cell.rjust for cell in row[1:])]
        yield "  " + "  ".join(put(width) for put, width in zip(aligned, widths, strict=True)).rstrip()
        if finding is not None and finding.reason:
            yield f"      {finding.reason}"


def _cells(finding: Finding) -> tuple[str, str, str, str, str]:
    from sterling.decide.sentences import number
    from sterling.kernel.estimate import Estimate

    e, bound = finding.result, finding.params.get("bound")
    floor = "" if finding.floor is None else number(finding.floor.value)
    stated = number(bound) if isinstance(bound, (int, float)) and not isinstance(bound, bool) else ""
    if not isinstance(e, Estimate):
        return finding.name, "unmeasured", "", stated, floor
    return finding.name, number(e.value), f"[{number(e.low)}, {number(e.high)}]", stated, floor
