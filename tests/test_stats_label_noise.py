"""The share of wrong labels, and how wrong labels lie."""

from __future__ import annotations

import numpy as np
import pytest

from sterling.kernel.schema import Kind, Role
from sterling.kernel.view import Column
from sterling.stats.label_noise import Sight, lower_share, noise_likelihood, sight_of, upper_share
from sterling.stats.label_pattern import Direction, pattern_of
from sterling.stats.slices import cut_column


def sights(n: int, seed: int, *, share: float = 0.0, tilt: float = 1.0, shift: float = 0.0) -> tuple[Sight, Sight]:
    """Rows whose predicted chances are off by a power: both sets keep to the same wrong calibration."""
    r = np.random.default_rng(seed)
    out: list[Sight] = []
    for wrong, mean in ((0.0, 0.0), (share, shift)):
        odds = np.clip(r.normal(-3.5 + mean, 1.5, size=n), -8, -1.7)
        chance, true = 1 / (1 + np.exp(-odds)), 1 / (1 + np.exp(-tilt * odds))
        hit = r.random(n) < true
        out.append(Sight(chance, np.where(r.random(n) < wrong, ~hit, hit), np.ones(n)))
    return out[0], out[1]


def test_sight_of_two_and_of_more_classes() -> None:
    two = sight_of(np.array([[0.95, 0.05], [0.6, 0.4]]), np.array([1, 0]))
    assert two.chance.tolist() == [0.05, 0.0]
    assert two.hit.tolist() == [True, False]
    assert two.reach.tolist() == [1.0, 0.0]
    more = sight_of(np.array([[0.5, 0.485, 0.01, 0.005]] * 2), np.array([1, 3]))
    assert more.chance == pytest.approx([0.015, 0.015])
    assert more.hit.tolist() == [False, True]
    assert more.reach == pytest.approx([2 / 3, 2 / 3])


@pytest.mark.parametrize("tilt", [0.8, 1.0, 1.2])
def test_the_share_is_found_whatever_the_calibration_and_shift(tilt: float) -> None:
    for share in (0.0, 0.01, 0.1):
        fit = noise_likelihood(*sights(20_000, 1, share=share, tilt=tilt, shift=0.7), dilution=2.0)
        assert fit is not None
        assert fit.share == pytest.approx(share, abs=0.004)
        assert lower_share(fit, alpha=0.001) <= fit.share <= upper_share(fit, alpha=0.001)


def test_bounds_cover_and_false_alarms_keep_to_alpha() -> None:
    missed = np.zeros(2, dtype=int)
    for seed in range(150):
        fit = noise_likelihood(*sights(3000, seed, share=0.01), dilution=2.0)
        assert fit is not None
        missed += [lower_share(fit, alpha=0.05) > 0.01, upper_share(fit, alpha=0.05) < 0.01]
    # 7.5 expected of each; more than 15 comes with a chance of .6 %.
    assert missed.max() <= 15
    assert missed.sum() >= 3


def test_a_smaller_alpha_gives_a_wider_interval() -> None:
    fit = noise_likelihood(*sights(5000, 3, share=0.02), dilution=2.0)
    assert fit is not None
    lows = [lower_share(fit, alpha=a) for a in (0.1, 0.01, 0.001)]
    assert lows == sorted(lows, reverse=True)
    assert lows[-1] > 0


def test_clean_rows_give_zero_and_no_rows_give_none() -> None:
    real, made = sights(500, 0)
    nothing = Sight(np.empty(0), np.empty(0, dtype=bool), np.empty(0))
    assert noise_likelihood(real, nothing, dilution=2.0) is None
    right = Sight(made.chance, np.zeros(500, dtype=bool), made.reach)
    fit = noise_likelihood(real, right, dilution=2.0)
    assert fit is not None
    assert fit.share < 1e-4
    assert lower_share(fit, alpha=0.01) == 0.0


def planted(n: int, seed: int, rates: dict[int, float], *, down: float = 1.0) -> tuple[str, str | None]:
    """The pattern where the share of wrong labels hangs on the slice (0 to 4) of one of six columns."""
    r = np.random.default_rng(seed)
    names = tuple("abcde")
    codes = [[r.integers(5, size=n) for _ in range(6)] for _ in range(2)]
    kind = [r.random(n) < 0.6 for _ in range(2)]
    wrong = np.array([rates.get(i, rates[-1]) for i in range(5)])[codes[1][2]] * np.where(kind[1], 1.0, down)
    hits = [r.random(n) < 0.01, (r.random(n) < 0.01) | (r.random(n) < wrong)]
    directions = [
        Direction(
            name,
            (hits[0] & who[0], hits[1] & who[1]),
            (np.where(who[0], 0.01, 0.0), np.where(who[1], 0.01, 0.0)),
            np.where(who[1], 0.98, 0.0),
        )
        for name, who in (("up", kind), ("down", [~k for k in kind]))
    ]
    columns = [Column(f"c{i}", Kind.CATEGORY, Role.FEATURE, c, names) for i, c in enumerate(codes[0])]
    cuts = [cut_column(c, bins=5, least=8, most=50) for c in columns]
    found = pattern_of(directions, cuts, list(zip(codes[0], codes[1], strict=True)), alpha=0.002)
    return found.name, None if found.cell is None else cuts[found.cell[0]].title(found.cell[1])


def test_random_errors_are_not_called_clustered() -> None:
    assert [planted(4000, seed, {-1: 0.05}) for seed in range(40)].count(("random", None)) >= 39


def test_errors_in_one_slice_are_clustered_and_placed() -> None:
    assert planted(4000, 0, {-1: 0.005, 3: 0.1}) == ("clustered", "c2=d")


def test_errors_of_one_kind_are_one_directional() -> None:
    assert planted(4000, 0, {-1: 0.06}, down=0.0) == ("one-directional", None)
