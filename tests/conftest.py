"""Shared fixtures: census rows that ship with the package, and the command line in this process."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq
import pytest

from sterling.kernel import seeds


@pytest.fixture(autouse=True)
def own_journal(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test writes to the user's journal."""
    monkeypatch.setenv("STERLING_HOME", str(tmp_path_factory.mktemp("home")))


@pytest.fixture(scope="session")
def adult() -> pa.Table:
    """48,842 census rows in a fixed random order."""
    table = pq.read_table(str(files("sterling.sources") / "embedded" / "adult.parquet"))
    return table.take(seeds.stream(0, "tests", "adult").permutation(table.num_rows))


@pytest.fixture(scope="session")
def folder(adult: pa.Table, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """real.csv, holdout.csv, vendor.csv (other people's rows) and other.csv (the same, poisoned)."""
    where = tmp_path_factory.mktemp("census")
    keep = ["age", "education_num", "relationship", "sex", "hours_per_week", "capital_gain", "income"]
    small = adult.select(keep).rename_columns([*keep[:-1], "label"])
    pc.write_csv(small.slice(0, 1500), where / "real.csv")
    pc.write_csv(small.slice(1500, 1200), where / "holdout.csv")
    vendor = small.slice(2700, 1500)
    pc.write_csv(vendor, where / "vendor.csv")
    flipped = pa.array([">50K" if v == "<=50K" else "<=50K" for v in vendor["label"].to_pylist()])
    pc.write_csv(vendor.set_column(6, "label", flipped), where / "other.csv")
    return where


@dataclass(frozen=True, slots=True)
class Said:
    code: int
    out: str
    err: str


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    """Run `sterling ARGS` in this process; returns exit code, stdout and stderr."""

    def run(*args: str | Path) -> Said:
        from sterling.cli import main

        monkeypatch.setattr(sys, "argv", ["sterling", *(str(a) for a in args)])
        capfd.readouterr()
        with pytest.raises(SystemExit) as stop:
            main()
        out, err = capfd.readouterr()
        code = stop.value.code
        return Said(code if isinstance(code, int) else 0, out, err)

    return run
