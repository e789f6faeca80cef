"""A study from end to end: resumable, same bytes, a failed candidate is recorded and the others go on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import sterling

STUDY = """
name = "census"
seed = 7
effort = "fast"
[real]
path = "{folder}/real.csv"
target = "label"
holdout = "{folder}/holdout.csv"
[[candidate]]
name = "vendor"
path = "{folder}/vendor.csv"
fitted_on = "other"
[[candidate]]
name = "trees"
generator = "cart"
rows = 600
[[candidate]]
name = "gone"
path = "{folder}/no-such-file.csv"
[learner]
name = "logistic"
"""


@pytest.fixture
def study(folder: Path, tmp_path: Path) -> Path:
    path = tmp_path / "study.toml"
    path.write_text(STUDY.format(folder=folder))
    return path


@pytest.fixture
def undisturbed(study: Path, tmp_path: Path) -> dict:
    sterling.run_study(study, out=tmp_path / "undisturbed")
    return json.loads((tmp_path / "undisturbed" / "manifest.json").read_text())


def test_a_study_runs_names_the_failed_candidate_and_ships(study: Path, tmp_path: Path) -> None:
    result = sterling.run_study(study, out=tmp_path / "run")
    assert any("gone failed" in note for note in result.notes)
    assert {f.candidate for f in result.findings if f.measure == "real_equivalent_rows"} == {"vendor", "trees"}
    shipped = sterling.ship_run(tmp_path / "run", out=tmp_path / "shipped")
    names = {p.name for p in Path(shipped).iterdir()}
    assert {"manifest.json", "README.md", "croissant.json", "prov.json", "report.html", "result.json"} <= names


def test_a_second_run_reads_back_and_ends_with_the_same_manifest(
    study: Path, tmp_path: Path, undisturbed: dict
) -> None:
    out = tmp_path / "undisturbed"
    started = time.process_time()
    sterling.run_study(study, out=out)
    assert json.loads((out / "manifest.json").read_text()) == undisturbed
    ledger = (out / "ledger.jsonl").read_text()
    assert ledger.count('"task.cached"') >= 4
    assert time.process_time() - started < 60


def test_killed_at_random_and_restarted_a_run_ends_with_the_same_manifest(
    study: Path, tmp_path: Path, undisturbed: dict
) -> None:
    out = tmp_path / "killed"
    code = f"import sterling, pathlib; sterling.run_study(pathlib.Path({str(study)!r}), out=pathlib.Path({str(out)!r}))"
    for wait in (1.5, 3.0, 5.0):
        run = subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "OMP_NUM_THREADS": "1"})
        time.sleep(wait)
        run.send_signal(signal.SIGKILL)
        run.wait()
    sterling.run_study(study, out=out)
    assert json.loads((out / "manifest.json").read_text()) == undisturbed


def test_the_report_of_a_run_shows_every_candidate(study: Path, tmp_path: Path, undisturbed: dict) -> None:
    text = (tmp_path / "undisturbed" / "report.html").read_text()
    assert "vendor" in text
    assert "trees" in text
    assert 'http-equiv="Content-Security-Policy"' in text
