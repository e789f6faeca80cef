"""The user's own program: what it is given, what it may answer, and every way in which it can go wrong."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from sterling.kernel.errors import InputError, TaskFailed
from sterling.kernel.registry import build
from sterling.kernel.schema import Kind, Role
from sterling.kernel.view import Column, View
from sterling.learners.command import Command, table_of


def view(n: int = 6) -> View:
    return View(
        n,
        "f",
        (
            Column("größe", Kind.NUMBER, Role.FEATURE, np.r_[np.nan, np.arange(1.0, n)], integer=True),
            Column("when", Kind.DATETIME, Role.TIME, np.r_[np.nan, np.full(n - 1, 1.5e9)]),
            Column("y", Kind.CATEGORY, Role.TARGET, np.r_[-1, np.arange(n - 1) % 2], ("no", "yes")),
        ),
    )


def run(tmp_path: Path, program: str, *, arguments: str = "", time_limit: float = 20.0) -> float:
    script = tmp_path / "my train.py"
    script.write_text(program)
    learner = Command(f"'{sys.executable}' '{script}' {arguments}", time_limit=time_limit)
    model = learner.fit(view(), np.arange(6.0), rng=np.random.default_rng(3))
    return learner.score(model, view(4))


def test_the_rows_come_back_as_the_user_knows_them() -> None:
    table = table_of(view())
    assert table.schema.field("größe").type == pa.int64()
    assert table.schema.field("when").type == pa.timestamp("us", tz="UTC")
    assert table["y"].to_pylist()[:3] == [None, "no", "yes"]
    assert table["größe"].to_pylist()[:2] == [None, 1]
    assert table["when"][1].as_py().year == 2017


def test_placeholders_and_environment_lead_to_the_same_files(tmp_path: Path) -> None:
    program = """
import json, os, sys
import pyarrow.parquet as pq
train, test, weights, seed = sys.argv[1:]
assert [train, test, weights, seed] == [os.environ["STERLING_" + k] for k in ("TRAIN", "TEST", "WEIGHTS", "SEED")]
assert pq.read_table(weights)["weight"].to_pylist() == [0, 1, 2, 3, 4, 5]
assert int(seed) >= 0
print("some chatter")
print(json.dumps({"score": pq.read_table(train).num_rows / 10 + pq.read_table(test).num_rows}))
"""
    assert run(tmp_path, program, arguments="{train} {test} {weights} {seed}") == pytest.approx(4.6)


@pytest.mark.parametrize("said", ["0.75", "1e-3", '{"score": 1, "loss": 2}', "-4", "noise\\n0.5\\n\\n"])
def test_answers_that_count(tmp_path: Path, said: str) -> None:
    assert isinstance(run(tmp_path, f"print('{said}')"), float)


@pytest.mark.parametrize(
    "said",
    ["", "nan", "NaN", "Infinity", "true", '{"auc": 1}', '{"score": null}', '"0.5"', "0.5 AUC", "[1]", "9" * 400],
)
def test_answers_that_do_not(tmp_path: Path, said: str) -> None:
    with pytest.raises(InputError, match=r"no score|printed nothing") as caught:
        run(tmp_path, f"print('{said}')")
    assert '{"score": 0.87}' in caught.value.mend


def test_a_failure_comes_with_the_programs_last_words(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"exit code 7(.|\n)*out of luck"):
        run(tmp_path, "import sys; print('out of luck', file=sys.stderr); sys.exit(7)")
    with pytest.raises(TaskFailed, match="killed by signal 9"):
        run(tmp_path, "import os; os.kill(os.getpid(), 9)")


def test_a_program_that_hangs_is_killed_with_its_children(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    program = f"""
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
open({str(pid_file)!r}, "w").write(str(child.pid))
time.sleep(60)
"""
    began = time.monotonic()
    with pytest.raises(TaskFailed, match=r"did not end within 1\.5 s"):
        run(tmp_path, program, time_limit=1.5)
    assert time.monotonic() - began < 15
    assert gone(int(pid_file.read_text()))


def test_a_child_left_behind_neither_delays_nor_stays(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    program = f"""
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
open({str(pid_file)!r}, "w").write(str(child.pid))
print(0.5, flush=True)
"""
    began = time.monotonic()
    assert run(tmp_path, program) == 0.5
    assert time.monotonic() - began < 15
    assert gone(int(pid_file.read_text()))


def gone(pid: int) -> bool:
    for _ in range(50):
        try:
            os.kill(pid, 0)
            if Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z":
                return True
        except (ProcessLookupError, FileNotFoundError):
            return True
        time.sleep(0.1)
    return False


def test_no_shell_ever_reads_the_command(tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    learner = Command(f"{sys.executable} -c 'print(1)' ; touch {marker}")
    assert learner.score(learner.fit(view(), None, rng=np.random.default_rng(0)), view()) == 1.0
    assert not marker.exists()


def test_a_program_that_is_not_there() -> None:
    learner = Command("no-such-program-at-all {train}")
    with pytest.raises(InputError, match="cannot be started"):
        learner.score(learner.fit(view(), None, rng=np.random.default_rng(0)), view())


@pytest.mark.parametrize("settings", [{"command": ""}, {"command": "a 'b"}, {"command": "a", "time_limit": 0.0}])
def test_settings_that_make_no_sense(settings: dict[str, object]) -> None:
    with pytest.raises(InputError, match="command refuses"):
        build("learners", "command", settings)
