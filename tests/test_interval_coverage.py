"""Printed intervals hold the truth as often as they claim: 1,000 seeds on cases whose truth is known."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest
from scipy.special import bdtr

BENCH = Path(__file__).parent.parent / "bench" / "interval_coverage.py"
SEEDS = 1000
LEAST, ERROR = 0.93, 0.001


def _bench() -> ModuleType:
    spec = importlib.util.spec_from_file_location("interval_coverage", BENCH)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


CASES = _bench()


def rejected(held: int, n: int) -> bool:
    """Whether "covers at least 93 %" is rejected at p < .001 by so few that hold."""
    return bool(bdtr(held, n, LEAST) < ERROR)


def test_the_criterion_itself() -> None:
    assert rejected(880, SEEDS)
    assert not rejected(930, SEEDS)


@pytest.mark.parametrize("name", list(CASES.CASES))
def test_intervals_hold_the_truth(name: str) -> None:
    held, width = CASES.coverage(CASES.CASES[name], name, n=SEEDS)
    assert not rejected(held, SEEDS), f"{held} of {SEEDS} intervals hold the truth"
    assert width > 0
