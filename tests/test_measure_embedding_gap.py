"""Distance of embeddings."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sterling.kernel.estimate import Estimate
from sterling.kernel.finding import Finding, Status
from sterling.kernel.protocols import Terms
from sterling.kernel.view import View
from sterling.measures.embedding_gap import embedding_gap


def view(n: int, seed: int, *, d: int = 24) -> View:
    mixing = np.random.default_rng(99).normal(size=(d, d)) * np.exp(-np.arange(d) / 8)
    r = np.random.default_rng(seed)
    return View(n, f"f{seed}", embedding=r.normal(size=(n, d)) @ mixing.T + 3)


def measured(a: View, b: View, seed: int = 0, **terms: float) -> Finding:
    return embedding_gap(a, b, holdout=None, rng=np.random.default_rng(seed), terms=Terms(**terms))[0]  # type: ignore[arg-type]


def spoilt(data: View, fault: str) -> View:
    assert data.embedding is not None
    rows = data.embedding.copy()
    match fault:
        case "contaminated":
            rows[: data.n // 10] = np.random.default_rng(7).normal(size=(data.n // 10, rows.shape[1])) * 9
        case "collapsed":
            rows[: data.n // 4] = rows[0]
        case _:
            rows[:, 2] += rows[:, 2].std()
    return replace(data, embedding=rows)


@pytest.mark.parametrize("fault", ["contaminated", "collapsed", "moved"])
def test_faults_are_seen(fault: str) -> None:
    found = measured(view(2500, 0), spoilt(view(2500, 1), fault), alpha=0.001)
    assert found.status is Status.FAIL
    assert found.evidence["energy"] > 0
    assert "came from elsewhere" in (found.reason or "")
    if fault == "contaminated":
        assert all(row["row"] < 250 for row in found.evidence["farthest"])
    if fault == "moved":
        assert found.evidence["moved_most"][0]["dimension"] == 2


def test_other_real_records_do_not_alarm() -> None:
    certain = 0
    for seed in range(40):
        found = measured(view(400, 2 * seed), view(500, 2 * seed + 1), seed, alpha=0.05)
        assert found.status in (Status.PASS, Status.UNDECIDED)
        certain += found.evidence["at_least"] > 0
    assert certain <= 6  # 2 expected


def test_enough_records_pass_and_scale_and_rotation_do_not_matter() -> None:
    a, b = view(5000, 0), view(5000, 1)
    plain = measured(a, b)
    assert plain.status is Status.PASS
    turn, _ = np.linalg.qr(np.random.default_rng(3).normal(size=(24, 24)))
    assert a.embedding is not None
    assert b.embedding is not None
    moved = [replace(v, embedding=1000 * v.embedding @ turn + 5) for v in (a, b) if v.embedding is not None]
    other = measured(moved[0], moved[1])
    assert other.status is Status.PASS
    assert other.evidence["energy"] == pytest.approx(plain.evidence["energy"], abs=1e-6)


def test_large_sets_are_drawn_from_and_it_is_said() -> None:
    found = measured(view(6000, 0, d=4), view(40, 1, d=4))
    assert found.params["rows_real"] == 5000
    assert "Taken from 5,000" in (found.reason or "")


def test_what_cannot_be_measured() -> None:
    a = view(100, 0)
    assert a.embedding is not None
    assert measured(replace(a, embedding=None), a).status is Status.NOT_APPLICABLE
    assert measured(a, view(100, 1, d=5)).status is Status.UNMEASURED
    assert measured(view(29, 0), a).status is Status.UNMEASURED
    assert measured(replace(a, embedding=np.full((100, 24), 2.0)), a).status is Status.UNMEASURED
    holed = a.embedding.copy()
    holed[:80, 0] = np.nan
    assert measured(a, replace(a, embedding=holed)).status is Status.UNMEASURED
    holed[30:80, 0] = 1.0  # 70 good rows remain
    assert isinstance(measured(a, replace(a, embedding=holed)).result, Estimate)
