"""Canaries: planted before one of our generators is fitted, and looked for in what it made."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import sterling
from sterling.api.canaries import draw_pairs, planted
from sterling.api.generate import sample_from, write_out
from sterling.decide.result import Result
from sterling.kernel.errors import InputError
from sterling.kernel.estimate import Estimate
from sterling.kernel.finding import Finding, Status
from sterling.sources.split import split


@pytest.fixture(scope="module")
def real(adult: pa.Table) -> pa.Table:
    return adult.slice(0, 2000)


def told(result: Result) -> Finding:
    (found,) = [f for f in result.findings if f.measure == "canaries"]
    return found


def made(real: pa.Table, where: Path, name: str, canaries: int = 70, **settings: Any) -> Finding:
    out = where / name
    sterling.generate(name, source=real, rows=1500, seed=4, settings=settings, canaries=canaries, out=out)
    return told(sterling.compare(real, out, effort="fast"))


@dataclass(frozen=True)
class Copier:
    """Makes the rows that it learned from."""

    def fit(self, data: sterling.Dataset, *, rng: np.random.Generator) -> pa.Table:
        return data.table()

    def sample(
        self, fitted: pa.Table, n: int, *, rng: np.random.Generator, given: pa.Table | None = None
    ) -> Iterator[pa.Table]:
        yield fitted.take(pa.array(rng.permutation(fitted.num_rows)[:n]))


def test_a_generator_that_copies_its_rows_lets_them_out(real: pa.Table, tmp_path: Path) -> None:
    train, _ = split(sterling.load(real))
    copied = sample_from(train, Copier(), name="copier", rows=1500, seed=4, canaries=70)
    write_out(copied.batches(), tmp_path / "copier", like=copied)
    found = told(sterling.compare(real, tmp_path / "copier", effort="fast"))
    assert found.status is Status.FAIL
    assert isinstance(found.result, Estimate)
    assert found.result.n == 70


def test_one_that_knows_only_distributions_does_not(real: pa.Table, tmp_path: Path) -> None:
    found = made(real, tmp_path, "copula")
    assert isinstance(found.result, Estimate)
    assert found.result.low < 0.5 < found.result.high


def test_where_none_were_planted_it_says_how_to(real: pa.Table, tmp_path: Path) -> None:
    found = made(real, tmp_path, "copula", canaries=0)
    assert found.status is Status.UNMEASURED
    assert "no canaries were planted" in (found.reason or "")
    assert told(sterling.compare(real, real.slice(0, 500), effort="fast")).status is Status.UNMEASURED
    other = sterling.generate("copula", source=real.slice(0, 1900), rows=500, canaries=50)
    assert told(sterling.compare(real, other, effort="fast")).status is Status.UNMEASURED


def test_pairs_are_drawn_again_from_the_same_rows_and_seed(real: pa.Table) -> None:
    train = sterling.load(real)
    one, two = draw_pairs(train, 30, seed=1), draw_pairs(train, 30, seed=1)
    assert one.planted.equals(two.planted)
    assert one.twins.equals(two.twins)
    assert not one.planted.equals(draw_pairs(train, 30, seed=2).planted)
    assert planted(train, 30, seed=1).rows == train.rows + 30


@pytest.mark.parametrize("k", [-1, 5000])
def test_too_many_are_refused(real: pa.Table, k: int) -> None:
    with pytest.raises(InputError, match="canaries"):
        sterling.generate("copula", source=real, rows=10, canaries=k)
