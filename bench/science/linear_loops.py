"""Published theorems on training with one's own output, simulated beside their formulas.

    python bench/science/linear_loops.py [--pictures docs/science]

Gerstgrasser et al. 2024 (arXiv:2404.01413, Thm 2): replacing data adds error every generation, accumulating bounds it.
Dohmatob et al. 2024 (arXiv:2410.04840, Cor. 1): a share p2 of synthetic labels leaves a plateau that no n removes.
Feng et al. 2024 (arXiv:2406.07515, Thm 4.2): a verifier with keep rates phi (right), psi (wrong) moves the breakdown.
Shumailov et al. 2024 (Nature 631:755, SI): Gaussian chain, E W2^2 = 1.5 s^2 sum 1/M, while the median shrinks.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from chart import Series, draw

from sterling.kernel.seeds import stream


def loops(d: int, rows: int, generations: int, repeats: int) -> tuple[np.ndarray, np.ndarray]:
    """[generations] mean squared error of the model after each generation: replaced, accumulated; noise variance 1."""
    rng = stream(0, "science", "loops")
    errors = np.zeros((2, generations))
    for _ in range(repeats):
        for arm in (0, 1):
            model, xs, ys = np.zeros(d), [], []
            for t in range(generations):
                x = rng.standard_normal((rows, d))
                y = x @ model + rng.standard_normal(rows)
                xs, ys = ([x], [y]) if arm == 0 else ([*xs, x], [*ys, y])
                model = np.linalg.lstsq(np.concatenate(xs), np.concatenate(ys), rcond=None)[0]
                errors[arm, t] += model @ model
    return errors[0] / repeats, errors[1] / repeats


def plateau(d: int, n: int, share: float, c: float, repeats: int) -> float:
    """Mean squared error when a share of the labels follows a model at distance c from the truth."""
    rng = stream(0, "science", "plateau", str(share))
    off = np.zeros(d)
    off[0] = c
    found = []
    for _ in range(repeats):
        x = rng.standard_normal((n, d))
        wrong = rng.random(n) < share
        y = x @ off * wrong + rng.standard_normal(n)
        model = np.linalg.solve(x.T @ x, x.T @ y)
        found.append(model @ model)
    return float(np.mean(found))


def breakdown(p: float, phi: float, psi: float, repeats: int = 5, n: int = 4000, d: int = 10) -> float:
    """Accuracy of a classifier trained on labels wrong with probability p, after the verifier's choice."""
    rng = stream(0, "science", "breakdown", f"{p:.4f}", f"{phi}", f"{psi}")
    mean = np.zeros(d)
    mean[0] = 1.3
    found = []
    for _ in range(repeats):
        y = rng.choice([-1.0, 1.0], n)
        x = y[:, None] * mean + rng.standard_normal((n, d))
        wrong = rng.random(n) < p
        kept = rng.random(n) < np.where(wrong, psi, phi)
        label = np.where(wrong, -y, y)[kept]
        direction = (x[kept] * label[:, None]).mean(axis=0)
        test = rng.choice([-1.0, 1.0], n)
        found.append(np.mean(np.sign((test[:, None] * mean + rng.standard_normal((n, d))) @ direction) == test))
    return float(np.mean(found))


def gaussian_chain(rows: int, generations: int, repeats: int) -> tuple[float, float, float]:
    """Mean and median of the variance, and mean W2^2 to the truth, after some generations of refitting."""
    rng = stream(0, "science", "gauss", rows)
    mean, sd = np.zeros(repeats), np.ones(repeats)
    for _ in range(generations):
        drawn = mean[:, None] + sd[:, None] * rng.standard_normal((repeats, rows))
        mean, sd = drawn.mean(axis=1), drawn.std(axis=1, ddof=1)
    return float((sd**2).mean()), float(np.median(sd**2)), float((mean**2 + (sd - 1) ** 2).mean())


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--pictures", type=Path)
    where = parser.parse_args().pictures
    d, rows, generations = 10, 111, 10
    replaced, accumulated = loops(d, rows, generations, 3000)
    unit = d / (rows - d - 1)
    t = np.arange(1, generations + 1)
    theory = unit * t, unit * np.cumsum(1 / t**2)
    print("Replace or accumulate, d = 10, T = 111, error by generation (measured / formula)")
    for g in (1, 4, 10):
        print(
            f"  generation {g:2d}  replace {replaced[g - 1]:.3f} / {theory[0][g - 1]:.3f}"
            f"   accumulate {accumulated[g - 1]:.3f} / {theory[1][g - 1]:.3f}"
        )
    print("Plateau, d = 50, n = 10,000 (measured / formula)")
    for share in (0.0, 0.05, 0.1, 0.3):
        print(f"  share {share:4.2f}  {plateau(50, 10_000, share, 1.0, 20):.4f} / {50 / 10_000 + share**2:.4f}")
    print("Breakdown: accuracy just below and just above p* = 1 / (1 + psi/phi)")
    for phi, psi in ((1.0, 1.0), (0.9, 0.3), (0.7, 0.05)):
        edge = 1 / (1 + psi / phi)
        below, above = (breakdown(edge * (1 + s), phi, psi) for s in (-0.05, 0.05))
        print(f"  phi {phi:.2f} psi {psi:.2f}  p* {edge:.3f}  accuracy {below:.2f} -> {above:.2f}")
    print("Gaussian chain, n = 50, 50 generations: mean variance stays, median shrinks")
    mean, median, distance = gaussian_chain(50, 50, 20_000)
    print(
        f"  mean {mean:.2f} (theory 1)  median {median:.2f}  E W2^2 {distance:.2f} (first order: {1.5 * 50 / 50:.2f})"
    )
    if where:
        draw(
            where / "loops.svg", "A model trained on its own output", "generation", "mean squared error",
            [
                Series("replace, measured", t, replaced, dots=True),
                Series("replace, formula", t, theory[0]),
                Series("accumulate, measured", t, accumulated, dots=True, colour=1),
                Series("accumulate, formula", t, theory[1], colour=1),
            ],
        )  # fmt: skip


if __name__ == "__main__":
    main()
