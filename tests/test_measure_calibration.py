"""Calibration on real rows of models trained on synthetic ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sterling.kernel.estimate import Estimate
from sterling.kernel.finding import Finding, Status
from sterling.kernel.protocols import Terms
from sterling.kernel.schema import Kind, Role
from sterling.kernel.view import Column, View
from sterling.learners.logistic import Logistic
from sterling.measures.calibration import calibration
from sterling.stats.calibration import calibration_errors, calibration_slope


def view(
    n: int, seed: int, *, scale: float = 1.0, shift: float = 0.0, women: float = 0.0, kind: str = "binary"
) -> View:
    r = np.random.default_rng(seed)
    a, sex = r.normal(size=n), r.integers(2, size=n)
    signal = scale * (1.5 * a) + shift + women * (sex == 0)
    if kind == "number":
        y = Column("y", Kind.NUMBER, Role.TARGET, signal + r.normal(size=n))
    elif kind == "classes":
        y = Column(
            "y", Kind.CATEGORY, Role.TARGET, np.digitize(signal + r.logistic(size=n), [-1.5, 1.5]), ("l", "m", "h")
        )
    else:
        y = Column("y", Kind.CATEGORY, Role.TARGET, (signal + r.logistic(size=n) > 0).astype(int), ("no", "yes"))
    columns = (
        Column("a", Kind.NUMBER, Role.FEATURE, a),
        Column("sex", Kind.CATEGORY, Role.GROUP, sex, ("F", "M")),
        y,
    )
    return View(n, "f", columns)


def measured(a: View, b: View, holdout: View | None, seed: int = 0, alpha: float = 0.001) -> tuple[Finding, ...]:
    terms = Terms(alpha=alpha, learner=Logistic())
    return calibration(a, b, holdout=holdout, rng=np.random.default_rng(seed), terms=terms)


def test_known_answers() -> None:
    r = np.random.default_rng(0)
    p = r.random(200_000)
    y = (r.random(p.size) < p).astype(float)
    error, large = calibration_errors(y, p)
    assert error[0] < 0.006
    assert large[0] == pytest.approx(0, abs=0.004)
    error, large = calibration_errors(y, np.clip(p + 0.1, 0, 1))
    assert error[0] == pytest.approx(0.1, abs=0.01)
    assert calibration_slope(y, p) == pytest.approx(1, abs=0.02)
    assert calibration_slope(y, np.full(p.size, 0.5)) is None


def test_the_error_is_free_of_sampling_on_average() -> None:
    squares = []
    for s in range(300):
        r = np.random.default_rng(s)
        p = r.random(300)
        y = (r.random(300) < p).astype(float)
        # A plug-in estimate would be about .08 here.
        squares.append(float(calibration_errors(y, p)[0][0]) ** 2)
    assert np.sqrt(np.mean(squares)) < 0.05


@pytest.mark.parametrize(
    "fault", [{"scale": 4.0}, {"shift": 1.0}, {"scale": 4.0, "kind": "classes"}, {"shift": 1.0, "kind": "number"}]
)
def test_too_sure_and_shifted_models_are_seen(fault: dict[str, object]) -> None:
    kind = str(fault.get("kind", "binary"))
    found = measured(view(4000, 0, kind=kind), view(4000, 1, **fault), view(4000, 2, kind=kind))  # type: ignore[arg-type]
    assert found[0].status is Status.FAIL
    assert isinstance(found[0].result, Estimate)
    assert found[0].result.low > 0.03


def test_a_group_that_is_hit_is_named() -> None:
    found = measured(view(5000, 0), view(5000, 1, women=-1.5), view(5000, 2))
    assert "sex=F" in {f.slice for f in found[1:]}


@pytest.mark.parametrize("n", [150, 1000])
def test_clean_samples_do_not_fail(n: int) -> None:
    fails, inside = 0, 0
    for s in range(40):
        found = measured(view(n, 3 * s), view(n, 3 * s + 1), view(500, 3 * s + 2), s, alpha=0.05)[0]
        fails += found.status is Status.FAIL
        assert isinstance(found.result, Estimate)
        inside += found.result.low <= 0.0 <= found.result.high
    assert fails <= 3
    assert inside >= 35


def test_the_same_rows_lose_nothing() -> None:
    a = view(1000, 0)
    found = measured(a, replace(a, fingerprint="copy"), view(1000, 2))[0]
    assert isinstance(found.result, Estimate)
    assert found.result.value == 0.0
