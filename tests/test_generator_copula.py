"""`copula`: keeps what a Gaussian copula can hold, loses what it cannot."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from sterling.generators.copula import Copula, positive_definite
from sterling.kernel.errors import InputError
from sterling.modalities.tabular import from_table


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def sampled(rows: pa.Table, n: int, given: pa.Table | None = None) -> pa.Table:
    copula = Copula()
    fitted = copula.fit(from_table(rows), rng=rng(1))
    return pa.concat_tables(list(copula.sample(fitted, n, rng=rng(2), given=given)))


def correlated(n: int, rho: float) -> tuple[np.ndarray, np.ndarray]:
    a, b = rng().normal(size=(2, n))
    return a, rho * a + np.sqrt(1 - rho**2) * b


@pytest.mark.parametrize("rho", [-0.7, 0.0, 0.9])
def test_a_gaussian_correlation_and_skewed_margins_come_back(rho: float) -> None:
    a, b = correlated(8000, rho)
    rows = pa.table({"a": np.exp(a), "b": pa.array(b**3, mask=rng(3).random(8000) < 0.2)})
    made = sampled(rows, 8000).drop_null()
    x, y = np.log(made["a"].to_numpy()), np.cbrt(made["b"].to_numpy())
    assert abs(np.corrcoef(x, y)[0, 1] - rho) < 0.05
    assert abs(np.quantile(x, 0.9) - np.quantile(a, 0.9)) < 0.08


def test_an_exclusive_or_is_lost() -> None:
    a, b = rng().integers(0, 2, (2, 4000))
    made = sampled(pa.table({"a": a, "b": b, "c": a ^ b}), 4000)
    agree = np.mean((made["a"].to_numpy() ^ made["b"].to_numpy()) == made["c"].to_numpy())
    assert 0.45 < agree < 0.55


def test_categories_keep_their_frequency() -> None:
    words = rng().choice(["a", "b", "c"], 6000, p=[0.7, 0.25, 0.05])
    made = sampled(pa.table({"w": words}), 6000)["w"].to_numpy(zero_copy_only=False)
    for word in "abc":
        assert abs(np.mean(made == word) - np.mean(words == word)) < 0.03


def test_missingness_that_goes_together_stays_together() -> None:
    mask = rng(3).random(5000) < 0.3
    rows = pa.table(
        {"a": pa.array(rng().normal(size=5000), mask=mask), "b": pa.array(rng(1).normal(size=5000), mask=mask)}
    )
    made = sampled(rows, 5000)
    gone = [made[c].is_null().to_numpy() for c in ("a", "b")]
    assert np.corrcoef(*gone)[0, 1] > 0.3


def test_any_column_may_be_given_and_draws_the_others_along() -> None:
    a, b = correlated(5000, 0.9)
    given = pa.table({"b": np.repeat([-2.0, 2.0], 500)})
    made = sampled(pa.table({"a": a, "b": b}), 1000, given)
    low, high = made["a"].to_numpy()[:500], made["a"].to_numpy()[500:]
    assert abs(low.mean() + 1.8) < 0.15
    assert abs(high.mean() - 1.8) < 0.15
    assert abs(low.std() - np.sqrt(1 - 0.81)) < 0.08
    assert made["b"].to_pylist() == given["b"].to_pylist()


def test_copies_of_a_column_and_few_rows_do_not_break_the_matrix() -> None:
    x = rng().normal(size=6)
    made = sampled(pa.table({f"c{j}": x * (1 + j % 2) for j in range(12)}), 500)
    values = np.array([made[c].to_numpy() for c in made.column_names])
    assert np.corrcoef(values)[0, 2] > 0.9


def test_repair_leaves_sound_matrices_alone_and_ends_positive() -> None:
    sound = np.array([[1.0, 0.5], [0.5, 1.0]])
    assert positive_definite(sound) is sound
    draws = rng().uniform(-1, 1, (30, 30))
    bad = np.clip((draws + draws.T) / 2, -1, 1)
    np.fill_diagonal(bad, 1.0)
    mended = positive_definite(bad)
    assert np.linalg.eigvalsh(mended).min() > 0
    assert np.allclose(np.diag(mended), 1.0)
    assert np.allclose(mended, mended.T)


def test_smoothing_out_of_range_is_refused() -> None:
    with pytest.raises(InputError, match="from 0 to 1"):
        Copula(smoothing=2)
