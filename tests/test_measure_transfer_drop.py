"""How much a synthetic test flatters."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sterling.kernel.estimate import Estimate
from sterling.kernel.finding import Finding, Status
from sterling.kernel.protocols import Terms
from sterling.kernel.schema import Kind, Role
from sterling.kernel.view import Column, View
from sterling.measures.transfer_drop import transfer_drop


@dataclass(frozen=True)
class Slope:
    """Scores a record by its number."""

    def fit(self, data: View, weights: Any, *, rng: np.random.Generator, start: Any = None) -> Any:
        return 1.0

    def predict(self, model: Any, data: View) -> Any:
        p = 1 / (1 + np.exp(-data.column("x").values))
        return np.stack([1 - p, p, 0 * p], axis=1)

    def losses(self, model: Any, data: View) -> Any:
        raise AssertionError("not asked for")


def view(n: int, seed: int, *, clear: float = 1.0) -> View:
    r = np.random.default_rng(seed)
    x = r.normal(size=n)
    y = (clear * x + r.logistic(size=n) > 0).astype(int)
    columns = (
        Column("x", Kind.NUMBER, Role.FEATURE, x),
        Column("y", Kind.CATEGORY, Role.TARGET, y, ("no", "yes", "never")),
    )
    return View(n, "f", columns)


def measured(synthetic: View, holdout: View, seed: int = 0, **terms: Any) -> Finding:
    told = Terms(**{"learner": Slope(), **terms})
    (found,) = transfer_drop(synthetic, synthetic, holdout=holdout, rng=np.random.default_rng(seed), terms=told)
    return found


def test_rows_that_are_too_clear_flatter() -> None:
    found = measured(view(6000, 0, clear=4.0), view(1500, 1))
    assert found.status is Status.FAIL
    assert isinstance(found.result, Estimate)
    assert found.result.value > 0.1
    assert "not synthetic training" in (found.reason or "")


def test_other_real_rows_do_not() -> None:
    found = measured(view(30_000, 0), view(6000, 1))
    assert found.status is Status.PASS
    assert measured(view(6000, 0, clear=0.3), view(1500, 1)).status is Status.PASS  # harder than real: no flattery


def test_the_interval_covers_no_drop() -> None:
    found = [measured(view(500, 2 * s), view(150, 2 * s + 1), s).result for s in range(120)]
    assert sum(e.low <= 0.0 <= e.high for e in found) >= 108  # type: ignore[union-attr]


def test_shortage_is_an_answer() -> None:
    one = view(300, 0)
    one = replace(
        one, columns=tuple(replace(c, values=np.ones(300, int)) if c.name == "y" else c for c in one.columns or ())
    )
    three = view(300, 2)
    three.column("y").values[:60] = 2
    for synthetic, holdout in (
        (one, view(300, 1)),
        (view(300, 0), one),
        (view(20, 0), view(300, 1)),
        (three, view(300, 1)),
    ):
        found = measured(synthetic, holdout)
        assert found.status is Status.UNMEASURED
        assert found.reason
