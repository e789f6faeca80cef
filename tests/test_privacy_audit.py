"""Audits: a broken promise is caught, a kept one is not accused."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from sterling.api.privacy_audit import AuditPlan, ground_of, privacy_audit, run_once
from sterling.api.privacy_audit_result import concluded
from sterling.generators.aim import Aim, FittedAim
from sterling.kernel.dataset import Dataset
from sterling.kernel.errors import InputError, UnknownName
from sterling.kernel.finding import Verdict
from sterling.kernel.privacy_claim import Claim
from sterling.modalities.tabular import from_table
from sterling.stats.privacy_accounting import epsilon_of, rho_of
from sterling.stats.privacy_audit import Guesses, coin_scores, epsilon_at_least, guessed, joined


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.fixture
def census(adult: pa.Table) -> pa.Table:
    return adult.select(["education", "occupation", "sex", "income"]).slice(0, 3000)


@dataclass(frozen=True, slots=True)
class Broken:
    """Claims epsilon 1, and draws a tenth of the noise that it owes: as Aim with 100 times the budget."""

    inner: Aim = field(default_factory=lambda: Aim(epsilon=epsilon_of(100 * rho_of(1.0, 1e-6), 1e-6), noise="seeded"))

    def fit(self, data: Dataset, *, rng: np.random.Generator) -> FittedAim:
        return self.inner.fit(data, rng=rng)

    def sample(
        self, fitted: FittedAim, n: int, *, rng: np.random.Generator, given: pa.Table | None = None
    ) -> Iterator[pa.Table]:
        return self.inner.sample(fitted, n, rng=rng, given=given)


def attacked(generator: Any, table: pa.Table, *, fits: int, seed: int = 0) -> float:
    plan = AuditPlan(fits, 50, 500, seed)
    ground = ground_of(from_table(table), plan, "narrow")
    runs = [run_once(generator, ground, plan, attack="narrow", run=i) for i in range(fits)]
    return max(epsilon_at_least(joined([run[share] for run in runs]), delta=1e-6, alpha=0.0125) for share in runs[0])


def test_noise_scaled_down_tenfold_is_caught(census: pa.Table) -> None:
    assert attacked(Broken(), census, fits=9) > 1.0


def test_a_kept_promise_is_not_accused(census: pa.Table) -> None:
    bounds = [attacked(Aim(epsilon=1.0, noise="seeded"), census, fits=3, seed=seed) for seed in range(6)]
    assert max(bounds) < 1.0


def test_an_honest_mechanism_at_its_limit_is_accused_as_rarely_as_stated() -> None:
    """Guesses that are right as often as epsilon allows: the bound exceeds epsilon in at most alpha of the audits."""
    epsilon, r = 1.0, rng()
    share = math.exp(epsilon) / (1 + math.exp(epsilon))
    right = r.binomial(200, share, 2000)
    bounds = {k: epsilon_at_least(Guesses(200, 200, k), delta=0.0, alpha=0.05) for k in np.unique(right).tolist()}
    accused = np.mean([bounds[k] > epsilon for k in right.tolist()])
    assert 0.01 < accused <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 2000)


def test_bounds_are_the_published_ones() -> None:
    # Pure epsilon, all 100 right at 95 %: e^eps / (1 + e^eps) = .05^(1/100).
    p = 0.05**0.01
    assert epsilon_at_least(Guesses(100, 100, 100), delta=0.0, alpha=0.05) == pytest.approx(
        math.log(p / (1 - p)), rel=1e-6
    )
    assert epsilon_at_least(Guesses(100, 100, 50), delta=0.0, alpha=0.05) == 0.0
    sharp, slack = (epsilon_at_least(Guesses(100, 100, 95), delta=d, alpha=0.05) for d in (0.0, 1e-3))
    assert 0 < slack < sharp


def test_an_attacker_who_sees_clean_counts_decodes_every_coin() -> None:
    r = rng(1)
    known, records = r.integers(0, 6, (4, 300)), r.integers(0, 6, (4, 20))
    coins = r.random(20) < 0.5
    learned = np.concatenate([known, records[:, coins]], axis=1)
    made = np.repeat(learned, 20, axis=1)[:, : 20 * 300 + 20 * int(coins.sum())]
    scale = made.shape[1] / learned.shape[1]
    assert scale == pytest.approx(20, rel=0.01)
    # As many known rows as the made ones stand for, so that the counts compare.
    scores = coin_scores(records, np.repeat(learned, 20, axis=1), known, (6,) * 4)
    assert guessed(scores, coins, 1.0).right >= 17


def test_no_promise_and_a_broken_one_are_told_apart(census: pa.Table) -> None:
    whole, plan = from_table(census), AuditPlan(1, 50, 500, 0)
    attacks = {("narrow", 1.0): Guesses(200, 200, 190)}
    broken = concluded("aim", Claim(1.0, 1e-6), attacks, whole, plan, skipped=())
    assert broken.decision.verdict is Verdict.BLOCK
    assert broken.decision.rules[0].outcome == "PROMISE_BROKEN"
    stands = concluded("aim", Claim(8.0, 1e-6), attacks, whole, plan, skipped=())
    assert (stands.decision.verdict, stands.decision.rules[0].outcome) == (Verdict.SHIP, "PROMISE_STANDS")
    none = concluded("cart", None, attacks, whole, plan, skipped=("note",))
    assert none.decision.rules[0].outcome == "NO_PROMISE"
    assert any("note" in n for n in none.notes)


def test_command_prints_the_bound_beside_the_promise(cli: Any, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "audit.json"
    said = cli(
        "audit", "aim", folder / "real.csv", "--set", "epsilon=1", "--fits", "1", "--canaries", "12", "--rows", "200",
        "--json", out,
    )  # fmt: skip
    assert said.code == 0
    assert "PROMISE_STANDS" in said.out
    found = json.loads(out.read_text())["findings"][0]
    assert found["measure"] == "epsilon_lower_bound"
    assert found["params"]["bound"] == 1.0
    assert all(len(line) <= 80 for line in said.out.splitlines())


@pytest.mark.slow
def test_a_generator_without_a_promise_is_seen_to_leak(census: pa.Table) -> None:
    result = privacy_audit("cart", census, fits=4)
    assert result.decision.rules[0].outcome == "NO_PROMISE"
    assert float(result.findings[0].result.value) > 0.3  # type: ignore[union-attr]


def test_what_cannot_be_attacked_is_said(census: pa.Table) -> None:
    with pytest.raises(InputError, match="at least 50"):
        privacy_audit("aim", census.slice(0, 20), settings={"epsilon": 1.0})
    with pytest.raises(InputError, match="fits is 0"):
        privacy_audit("aim", census, settings={"epsilon": 1.0}, fits=0)
    with pytest.raises(UnknownName):
        privacy_audit("aims", census)
    with pytest.raises(InputError, match="needs epsilon"):
        privacy_audit("aim", census)
    keys = pa.table({"id": [f"k-{i}" for i in range(100)]})
    with pytest.raises(InputError, match="no column"):
        privacy_audit("aim", keys, settings={"epsilon": 1.0})
