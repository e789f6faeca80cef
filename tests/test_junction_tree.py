"""Junction trees against sums over every combination; noisy counts reconciled."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from sterling.stats.junction_tree import Beliefs, build_tree, calibrate, condition, sample
from sterling.stats.noisy_margins import NoisyCounts, fit_log_linear, total_of


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def drawn(seed: int) -> tuple[Beliefs, list[np.ndarray], np.ndarray]:
    """A random model, its potentials, and its distribution summed the slow way."""
    r = rng(seed)
    d = int(r.integers(1, 7))
    sizes = tuple(int(s) for s in r.integers(1, 4, d))
    groups = [tuple(sorted(r.permutation(d)[: int(r.integers(1, 4))].tolist())) for _ in range(int(r.integers(0, 6)))]
    tree = build_tree(sizes, groups)
    potentials = [3 * r.normal(size=[sizes[a] for a in c]) for c in tree.cliques]
    whole = np.zeros(sizes)
    for clique, p in zip(tree.cliques, potentials, strict=True):
        whole = whole + p.reshape([sizes[a] if a in clique else 1 for a in range(d)])
    return calibrate(tree, potentials), potentials, np.exp(whole)


@pytest.mark.parametrize("seed", range(40))
def test_every_margin_is_exact(seed: int) -> None:
    beliefs, _, whole = drawn(seed)
    assert beliefs.log_total == pytest.approx(np.log(whole.sum()))
    whole = whole / whole.sum()
    for k in (1, 2, 3):
        for group in itertools.combinations(range(whole.ndim), k):
            rest = tuple(a for a in range(whole.ndim) if a not in group)
            assert np.allclose(beliefs.marginal(group), whole.sum(axis=rest), atol=1e-12)


@pytest.mark.parametrize("seed", range(10))
def test_rows_follow_the_distribution_and_what_is_held_fixed(seed: int) -> None:
    beliefs, potentials, whole = drawn(seed)
    whole = whole / whole.sum()
    rows = sample(beliefs, 5000, rng=rng(seed))
    seen = np.zeros(whole.shape)
    np.add.at(seen, tuple(rows), 1 / 5000)
    assert np.abs(seen - whole).sum() / 2 < 0.1
    last = whole.shape[0] - 1
    held = calibrate(beliefs.tree, condition(potentials, beliefs.tree, {0: last}))
    given = whole[last] / whole[last].sum()
    assert np.all(sample(held, 50, rng=rng(1))[0] == last)
    for a in range(1, whole.ndim):
        rest = tuple(i - 1 for i in range(1, whole.ndim) if i != a)
        assert np.allclose(held.marginal((a,)), given.sum(axis=rest))


def test_shares_of_few_rows_are_met_up_to_one_row() -> None:
    tree = build_tree((4,), [])
    beliefs = calibrate(tree, [np.log([0.5, 0.25, 0.125, 0.125])])
    counts = np.bincount(sample(beliefs, 80, rng=rng())[0], minlength=4)
    assert np.abs(counts - [40, 20, 10, 10]).max() <= 1


def test_exact_counts_are_met_exactly() -> None:
    r = rng(2)
    whole = r.integers(5, 50, (3, 4, 2)).astype(float)
    measured = [
        NoisyCounts((0, 1), whole.sum(axis=2), 1e-3),
        NoisyCounts((1, 2), whole.sum(axis=0), 1e-3),
    ]
    model = fit_log_linear((3, 4, 2), measured, rounds=500)
    assert model.total == pytest.approx(whole.sum(), rel=1e-6)
    for m in measured:
        assert np.allclose(model.total * model.beliefs.marginal(m.group), m.counts, atol=0.05)
    # Nothing was said of columns 0 and 2 together: they are independent given column 1.
    implied = np.einsum("ab,bc->ac", whole.sum(axis=2), whole.sum(axis=0) / whole.sum(axis=(0, 2))[:, None])
    assert np.allclose(model.total * model.beliefs.marginal((0, 2)), implied, atol=0.1)


def test_reconciled_counts_are_nearer_to_the_truth_than_noisy_ones() -> None:
    r = rng(3)
    truth = 4000 * r.dirichlet(np.full(60, 0.3)).reshape(6, 10)
    noisy = [NoisyCounts((0, 1), truth + r.normal(0, 20, truth.shape), 400.0)]
    noisy += [NoisyCounts((a,), truth.sum(axis=1 - a) + r.normal(0, 5, truth.shape[a]), 25.0) for a in (0, 1)]
    model = fit_log_linear(truth.shape, noisy)
    gap = np.abs(model.total * model.beliefs.marginal((0, 1)) - truth).sum()
    assert gap < 0.9 * np.abs(noisy[0].counts - truth).sum()
    assert min(b.min() for b in model.beliefs.joint) >= 0


def test_total_weighs_by_precision_and_is_never_empty() -> None:
    sure, vague = NoisyCounts((0,), np.array([60.0, 40.0]), 1.0), NoisyCounts((1,), np.array([900.0]), 1e9)
    assert total_of([sure, vague]) == pytest.approx(100, abs=0.01)
    assert total_of([NoisyCounts((0,), np.array([-5.0, 1.0]), 1.0)]) == 1.0
