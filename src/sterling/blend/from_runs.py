"""Worth from trainings that the user has already made: a CSV of (arm, rows, score)."""

from __future__ import annotations

import csv
import hashlib
import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from sterling.blend.equivalent import Arm
from sterling.blend.exchange import Candidate, Worth, judge_candidates
from sterling.blend.training import Curve
from sterling.blend.worth_findings import Terms
from sterling.kernel.errors import InputError, UnknownName, UnreadableInput
from sterling.kernel.finding import Finding, Json

REAL = "real"
NEEDED = ("arm", "rows", "score")
# Repetitions are what an interval can be made of here: there are no predictions to resample.
LEAST_RUNS = 2
COLUMNS = "columns arm (`real` or the candidate's name), rows (training rows), score, and if you like seed"


class Run(NamedTuple):
    """One training: which data, how many rows, what score."""

    arm: str
    rows: int
    score: float


@dataclass(frozen=True, slots=True, eq=False)
class WorthOfRuns:
    """The worths, the curve they were read from, and the file: how many runs, SHA-256 of its text."""

    worth: Worth
    curve: Curve
    runs: int
    fingerprint: str

    @property
    def findings(self) -> tuple[Finding, ...]:
        """The worth of each candidate, then what more of it would bring, where it was trained at two sizes."""
        return (*self.worth.findings, *self.worth.more)

    def curve_json(self) -> dict[str, Json]:
        """The real curve with each candidate placed on it, as reports draw it."""
        return self.worth.curve_json()


def worth_of_runs(
    path: Path | str, *, seed: int, level: float = 0.95, better: Literal["higher", "lower"] = "higher"
) -> WorthOfRuns:
    """What candidates are worth in real rows, from runs in a CSV.

    The file has the columns `arm` (`real` for the real rows, otherwise the candidate's name), `rows`
    (training rows) and `score` on one and the same benchmark; a column `seed` may tell runs apart, and
    others are ignored. Real rows are needed at two or more sizes, and most sizes two or more times: the
    interval rests on the spread between runs alone.

    Args:
        path: of the CSV.
        seed: of the run.
        level: nominal coverage of the intervals.
        better: "lower" for a loss.

    Raises:
        UnreadableInput: if the file cannot be read as text.
        UnknownName: if a column is missing, with what it may be called here.
        InputError: for a cell that is no number, or too few runs.
    """
    sign = 1.0 if better == "higher" else -1.0
    text = _text(path)
    arms: dict[str, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for run in _read(text, path):
        arms[run.arm][run.rows].append(sign * run.score)
    real = _arms(REAL, arms.pop(REAL, {}))
    _require(real, sorted(arms), path)
    curve = Curve(tuple(real), None, "score" if better == "higher" else "negated score", None)
    candidates = [_candidate(name, runs) for name, runs in arms.items()]
    fingerprint = hashlib.sha256(text.encode()).hexdigest()
    terms = Terms(curve.n_max, level, seed, "split", (fingerprint,))
    worth = judge_candidates(curve, candidates, terms=terms)
    runs = sum(arm.scores.size for arm in real) + sum(len(s) for runs in arms.values() for s in runs.values())
    return WorthOfRuns(worth, curve, runs, fingerprint)


def _text(path: Path | str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UnreadableInput(f"{path} cannot be read: {error}", mend=f"give a CSV in UTF-8 with {COLUMNS}") from error


def _read(text: str, path: Path | str) -> Iterator[Run]:
    """The runs in the file, in its order."""
    lines = csv.DictReader(text.splitlines(), skipinitialspace=True)
    header = [name.strip() for name in lines.fieldnames or ()]
    lines.fieldnames = header
    for name in NEEDED:
        if name not in header:
            raise UnknownName.among(name, header, what=f"column of {path}")
    for number, line in enumerate(lines, start=2):
        rows, score = _number(line["rows"], "rows", number, path), _number(line["score"], "score", number, path)
        if rows < 1 or rows != round(rows):
            raise InputError(f"{path}, line {number}: rows is {line['rows']!r}", mend="give a whole number above 0")
        yield Run((line["arm"] or "").strip(), int(rows), score)


def _number(cell: str | None, column: str, line: int, path: Path | str) -> float:
    try:
        value = float(cell or "")
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InputError(
            f"{path}, line {line}: {column} is {cell!r}", mend="give a finite number, or leave the run out"
        )
    return value


def _arms(name: str, runs: dict[int, list[float]]) -> list[Arm]:
    return [Arm(name, rows, np.array(runs[rows])) for rows in sorted(runs)]


def _candidate(name: str, runs: dict[int, list[float]]) -> Candidate:
    """Its largest number of rows; the next smaller one, where it has one, stands for the half."""
    arms = _arms(name, runs)
    return Candidate(name, arms[-1].rows, "unknown", whole=arms[-1], half=arms[-2] if len(arms) > 1 else None)


def _require(real: list[Arm], candidates: list[str], path: Path | str) -> None:
    if len(real) < 2:
        raise InputError(
            f"{path} has runs on real rows at {len(real)} sizes, and a curve needs two or more",
            mend=f"call these runs {REAL!r} in the column arm, and add runs on half and a quarter of the rows",
        )
    if not candidates:
        raise InputError(f"{path} has no runs but those on real rows", mend="add a run on each candidate alone")
    if max(arm.scores.size for arm in real[:-1]) < LEAST_RUNS:
        raise InputError(
            f"{path} has one run per size, so nothing says how far chance carries a score",
            mend="repeat the runs below the largest size with other subsets and seeds, three times or more",
        )
