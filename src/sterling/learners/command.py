"""The user's own training program as a learner: rows go out as Parquet, one number comes back."""

from __future__ import annotations

import contextlib
import json
import math
import os
import shlex
import signal
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from sterling.kernel.errors import InputError, SterlingError, TaskFailed
from sterling.kernel.estimate import Unmeasured
from sterling.kernel.schema import Kind
from sterling.kernel.view import Column, View

if TYPE_CHECKING:
    from sterling.kernel.view import Floats

# How much of a program's last words an error repeats.
TAIL = 2000
PLACES = ("train", "test", "weights", "seed", "model", "start")
# Files of the command that are looked through for the names of the folders are no larger than this.
MOST_BYTES = 1_000_000
HOW_TO_CONTINUE = (
    "save the model in the folder {model} (or $STERLING_MODEL), and where the folder {start} (or $STERLING_START) is "
    "not empty, load the model that is in it and train on from there"
)
CONTRACT = 'print {"score": 0.87} or 0.87 as the last line of standard output; larger is better'


@dataclass(frozen=True, slots=True, eq=False)
class Materialised:
    """The rows, weights and seed that one run of the program is given, and the run before it that it goes on from."""

    train: pa.Table
    weights: pa.Table
    seed: int
    start: Materialised | None = None


@dataclass(frozen=True, slots=True)
class Command:
    """Train and score by an outside program.

    The program finds its inputs by the placeholders {train}, {test}, {weights}, {seed} in its command
    line, or by the environment variables STERLING_TRAIN, STERLING_TEST, STERLING_WEIGHTS (Parquet
    files; weights has one column `weight`, in a mix 1 for real rows) and STERLING_SEED. Its last line of output is the
    score on the test rows: `{"score": 0.87}` or `0.87`; larger is better. No shell is involved.

    A program that can go on from a model uses two folders more: {model} (STERLING_MODEL), where it leaves
    its model, and {start} (STERLING_START), which holds what an earlier run left there, or nothing where it
    shall begin afresh. To pre-train and fine-tune, the program runs twice: on the first rows with {start}
    empty, then on the second rows with {start} holding what the first run left; the second score counts.
    A program that names neither folder, in its command or in a file of it, cannot go on, and says so.

    Args:
        command: such as "python train.py {train} {test}".
        time_limit: seconds for one training; the program and all it started are killed then.
    """

    command: str
    time_limit: float = 600.0

    def __post_init__(self) -> None:
        if not self.argv or not self.time_limit > 0:
            raise ValueError("command must not be empty and time_limit must be above 0")

    @property
    def argv(self) -> list[str]:
        """The words of the command; quoting as in a shell, but no shell runs (ValueError for an open quote)."""
        return shlex.split(self.command)

    def fit(self, data: View, weights: Floats | None, *, rng: np.random.Generator, start: Any = None) -> Materialised:
        """Lay the rows out as a table; the program itself runs in `score`.

        Raises:
            InputError: if it shall go on from `start` and cannot.
        """
        heavy = np.ones(data.n) if weights is None else np.asarray(weights, dtype=np.float64)
        why = None if start is None else self.cannot_continue()
        if why is not None:
            raise InputError(why.reason, mend=why.mend)
        if start is not None and not isinstance(start, Materialised):
            raise InputError(f"command cannot go on from a {type(start).__name__}", mend="start from a run of its own")
        return Materialised(table_of(data), pa.table({"weight": heavy}), int(rng.integers(2**31)), start)

    def cannot_continue(self) -> Unmeasured | None:
        """Why the program cannot go on from a model: it names no folder to leave or to find one. None if it can."""
        lacking = [name for name in ("model", "start") if not self._names(name)]
        if not lacking:
            return None
        named = " and ".join(f"{{{name}}} or STERLING_{name.upper()}" for name in lacking)
        return Unmeasured(f"{self.command!r} nowhere mentions {named}: it cannot continue a model", HOW_TO_CONTINUE)

    def _names(self, place: str) -> bool:
        """Whether the command, or a file that is a word of it, speaks of a folder."""
        marks = (f"{{{place}}}", f"STERLING_{place.upper()}")
        if any(mark in word for word in self.argv for mark in marks):
            return True
        files = (Path(word) for word in self.argv)
        return any(marks[1].encode() in _beginning(path) for path in files)

    def score(self, model: Materialised, data: View) -> float:
        """Run the program; its score on `data`, larger is better.

        Raises:
            InputError: if it cannot be started, fails, or does not end with a finite number.
            TaskFailed: if it exceeds its time or is killed.
        """
        with tempfile.TemporaryDirectory(prefix="sterling-command-") as folder:
            return self._chain(model, table_of(data), Path(folder))

    def _chain(self, run: Materialised, test: pa.Table, folder: Path) -> float:
        """The score of a run, after the runs that it goes on from."""
        import pyarrow.parquet as pq

        paths = {place: folder / f"{place}.parquet" for place in PLACES[:3]} | {p: folder / p for p in PLACES[4:]}
        for place in PLACES[4:]:
            paths[place].mkdir(parents=True)
        if run.start is not None:
            self._chain(run.start, test, folder / "before")
            left = folder / "before" / "model"
            if not any(left.iterdir()):
                raise InputError(f"{self.command!r} left no model in its folder", mend=HOW_TO_CONTINUE)
            paths["start"] = left
        for place, rows in (("train", run.train), ("test", test), ("weights", run.weights)):
            pq.write_table(rows, paths[place])
        return self._run({**{place: str(path) for place, path in paths.items()}, "seed": str(run.seed)}, folder)

    def _run(self, places: dict[str, str], folder: Path) -> float:
        argv = [_filled(word, places) for word in self.argv]
        environment = {**os.environ, **{f"STERLING_{name.upper()}": value for name, value in places.items()}}
        # Files, not pipes: a grandchild that keeps a pipe open must not keep us waiting.
        with (folder / "out").open("wb") as out, (folder / "err").open("wb") as err:
            try:
                process = subprocess.Popen(
                    argv, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=environment, start_new_session=True
                )
            except OSError as error:
                raise InputError(
                    f"the command {argv[0]!r} cannot be started: {error.strerror or error}",
                    mend="give a program on the PATH or its full path, and make it executable",
                ) from error
            code = _wait(process, self.time_limit)
        said, complained = _tail(folder / "out"), _tail(folder / "err")
        if code is None:
            raise TaskFailed(
                f"{self.command!r} did not end within {self.time_limit:g} s and was killed{_quoted(complained)}",
                mend="raise time_limit, or make the program faster",
            )
        if code < 0:
            raise TaskFailed(
                f"{self.command!r} was killed by signal {-code}{_quoted(complained)}",
                mend="signal 9 mostly means that memory ran out: give it less to do or more memory",
            )
        if code > 0:
            raise InputError(
                f"{self.command!r} ended with exit code {code}{_quoted(complained or said)}",
                mend="run it by hand on two small Parquet files first",
            )
        return _score_in(said, self.command)


def table_of(view: View) -> pa.Table:
    """The rows of a view as an Arrow table: level names, timestamps (UTC), whole numbers where they were whole."""
    columns = {c.name: _array(c) for c in view.columns or ()}
    if view.embedding is not None and not view.features:
        columns["embedding"] = pa.array(list(view.embedding), type=pa.list_(pa.float64()))
    return pa.table(columns)


def _array(column: Column) -> pa.Array:
    missing = column.missing
    if column.kind is Kind.CATEGORY:
        names = pa.array(column.levels or (), type=pa.string())
        return names.take(pa.array(column.values, mask=missing))
    if column.kind is Kind.DATETIME:
        micros = np.round(np.where(missing, 0.0, column.values) * 1e6).astype(np.int64)
        return pa.array(micros, mask=missing).cast(pa.timestamp("us", tz="UTC"))
    known = column.values[~missing]
    if column.integer and bool(np.all(np.abs(known) < 2.0**53)) and bool(np.all(known == np.round(known))):
        return pa.array(np.where(missing, 0.0, column.values).astype(np.int64), mask=missing)
    return pa.array(column.values, mask=missing)


def _beginning(path: Path) -> bytes:
    """What a file holds; nothing where there is none, or it is a large one."""
    try:
        return path.read_bytes() if path.is_file() and path.stat().st_size <= MOST_BYTES else b""
    except (OSError, ValueError):
        return b""


def _filled(word: str, places: dict[str, str]) -> str:
    for name, value in places.items():
        word = word.replace(f"{{{name}}}", value)
    return word


def _wait(process: subprocess.Popen[bytes], limit: float) -> int | None:
    """The exit code, or None when time ran out; nothing the program started is left running."""
    try:
        return process.wait(timeout=limit)
    except subprocess.TimeoutExpired:
        return None
    finally:
        # The process started its own session, so its group holds its children, and none but them.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _tail(path: Path) -> str:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - TAIL))
        return file.read().decode("utf-8", errors="replace").strip()


def _quoted(words: str) -> str:
    return f"; its last words:\n{words}" if words else "; it said nothing"


def _score_in(said: str, command: str) -> float:
    last = said.splitlines()[-1].strip() if said else ""
    problem: SterlingError = InputError(
        f"{command!r} ended with {last[:200]!r}, which is no score" if last else f"{command!r} printed nothing",
        mend=CONTRACT,
    )
    try:
        found = json.loads(last)
        value = found.get("score") if isinstance(found, dict) else found
        score = float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else math.nan
    except (ValueError, OverflowError, RecursionError):
        raise problem from None
    if not math.isfinite(score):
        raise problem
    return score
