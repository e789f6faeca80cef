"""Budgets: conversions against published figures, and a ledger that adds up exactly."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest

from sterling.kernel.errors import InputError
from sterling.stats.privacy_accounting import (
    Ledger,
    choice_epsilon,
    delta_of,
    epsilon_of,
    gaussian_variance,
    open_ledger,
    rho_of,
    shared_out,
)


@pytest.mark.parametrize(
    ("epsilon", "delta", "rho"),
    # cdp_rho of the reference implementation of Canonne, Kamath & Steinke (github.com/IBM/discrete-gaussian-...),
    # as smartnoise-synth and dpmm ship it.
    [
        (1.0, 1e-6, 0.024355970359538372),
        (3.0, 1e-6, 0.18506984065340149),
        (1.0, 1e-9, 0.014973057673588523),
        (0.1, 1e-5, 0.00043299372940180947),
    ],
)
def test_budget_of_a_promise_is_the_published_one(epsilon: float, delta: float, rho: float) -> None:
    assert rho_of(epsilon, delta) == pytest.approx(rho, rel=1e-12)


@pytest.mark.parametrize("rho", [1e-4, 0.02, 0.5, 3.0])
@pytest.mark.parametrize("delta", [1e-10, 1e-6, 1e-3])
def test_there_and_back_never_promises_more(rho: float, delta: float) -> None:
    epsilon = epsilon_of(rho, delta)
    assert delta_of(rho, epsilon) <= delta
    assert rho_of(epsilon, delta) == pytest.approx(rho, rel=1e-9)
    # Tighter than the simple conversion of Bun & Steinke, and never below the exact curve of the Gaussian mechanism.
    assert epsilon < rho + 2 * math.sqrt(rho * math.log(1 / delta))
    assert epsilon >= gaussian_epsilon(1 / math.sqrt(2 * rho), delta) - 1e-9


def gaussian_epsilon(sigma: float, delta: float) -> float:
    """Balle & Wang 2018, Theorem 8: the least epsilon of the Gaussian mechanism at sensitivity 1."""
    from scipy.special import log_ndtr

    def at(epsilon: float) -> float:
        a = math.exp(log_ndtr(1 / (2 * sigma) - epsilon * sigma))
        return a - math.exp(epsilon + log_ndtr(-1 / (2 * sigma) - epsilon * sigma))

    low, high = 0.0, 200.0
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if at(middle) > delta else (low, middle)
    return high


def test_no_cost_is_no_loss_and_more_costs_more() -> None:
    assert delta_of(0.0, 0.5) == epsilon_of(0.0, 1e-6) == 0.0
    assert delta_of(0.02, 1.0) < delta_of(0.03, 1.0) < delta_of(0.03, 0.5)


def test_costs_of_noise_and_of_choices() -> None:
    assert gaussian_variance(Fraction(1, 50)) == 25
    assert gaussian_variance(Fraction(1, 50), sensitivity=3) == 225
    assert choice_epsilon(Fraction(1, 8)) == pytest.approx(1.0)
    assert choice_epsilon(Fraction(1, 8)) <= 1.0


def test_ledger_adds_up_exactly_and_refuses_what_is_not_there() -> None:
    ledger = open_ledger(1.0, 1e-6)
    for part in shared_out(ledger.rho, [0.1, 0.2, 0.3, 0.4]):
        ledger = ledger.spend("a look", part)
    assert ledger.spent == ledger.rho
    assert ledger.left == 0
    assert ledger.totals()[0].rho == ledger.rho
    with pytest.raises(ValueError, match="is left"):
        ledger.spend("one more", Fraction(1, 10**30))
    with pytest.raises(ValueError, match="is left"):
        Ledger(1.0, 1e-6, Fraction(1)).spend("a gift", Fraction(-1))


def test_a_part_of_delta_kept_for_names_costs_budget() -> None:
    assert open_ledger(1.0, 1e-6, reserved=5e-7).rho < open_ledger(1.0, 1e-6).rho


@pytest.mark.parametrize(
    ("epsilon", "delta"), [(0, 1e-6), (-1, 1e-6), (math.inf, 1e-6), (math.nan, 1e-6), (1, 0), (1, 1)]
)
def test_promises_that_are_none_are_refused(epsilon: float, delta: float) -> None:
    with pytest.raises(InputError, match=r"epsilon|delta"):
        open_ledger(epsilon, delta)
