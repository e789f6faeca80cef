"""What synthetic rows are worth on three real tables: the additive law, and "500 real rows beat 50,000 synthetic".

    python bench/science/exchange.py [--pictures docs/science] [--seeds 3]

For every table and generator: the true real curve (several trainings on up to 20,000 rows), the score of m
synthetic rows alone, N_syn read off the curve; then n real and m synthetic rows together at the best of five
weights, N_mix read off the same curve, beside the law N_mix = n + N_syn (Jain et al. 2024, arXiv:2402.04376, with
exponent 1). The weight is chosen on the test set, as the law asks for the best one: N_mix is optimistic by what
that choice adds.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from chart import Series, draw

from sterling.generators.cart import Cart
from sterling.generators.copula import Copula
from sterling.kernel.dataset import Dataset, Origin
from sterling.kernel.seeds import stream
from sterling.kernel.view import View, stack
from sterling.learners.boosted_trees import BoostedTrees
from sterling.modalities.tabular import from_table
from sterling.stats.scores import score_of
from tables import part, raw, views

SIZES = (50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000)
TEST = 10_000
SYNTHETIC = (500, 5000, 50_000)
LEARNER = BoostedTrees(budget=80)
WEIGHTS = (0.01, 0.03, 0.1, 0.3, 1.0)


def made(kind: str, source: Dataset, rows: int, seed: int) -> Dataset:
    """Rows of a generator fitted on `source`, which is neither trained nor tested on."""
    rng = stream(seed, "science", kind, rows)
    table = source.table()
    if kind == "half the people":
        column = next(f.name for f in source.schema if f.kind.value == "number" and f.role.value == "feature")
        middle = pc.quantile(table[column], 0.5)[0].as_py()
        source = from_table(
            table.filter(pc.less_equal(table[column], middle)), name="half", origin=Origin.REAL, schema=source.schema
        )
    if kind == "independent columns":
        columns = {c: table[c].take(pa.array(rng.integers(0, table.num_rows, rows))) for c in table.column_names}
        return from_table(pa.table(columns), name=kind, origin=Origin.SYNTHETIC, schema=source.schema)
    generator = Copula() if kind == "copula" else Cart()
    fitted = generator.fit(source, rng=rng)
    out = pa.concat_tables(list(generator.sample(fitted, rows, rng=rng)))
    return from_table(out, name=kind, origin=Origin.SYNTHETIC, schema=source.schema)


def score(data: View, test: View, seed: int, weights: np.ndarray | None = None) -> float:
    model = LEARNER.fit(data, weights, rng=stream(seed, "science", "fit", data.n))
    return score_of(test.target, LEARNER.predict(model, test))


def read_off(curve: np.ndarray, value: float, sizes: tuple[int, ...]) -> float:
    """Rows at which the (made monotone) curve reaches a score; 0 below it, infinity above."""
    rising = np.maximum.accumulate(curve)
    if value <= rising[0]:
        return 0.0
    if value > rising[-1]:
        return np.inf
    return float(np.exp(np.interp(value, rising, np.log(sizes))))


def table_of(name: str, seeds: int) -> dict[str, object]:
    whole = raw(name)
    test_rows = min(TEST, whole.rows // 4)
    half = (whole.rows - test_rows) // 2
    sizes = tuple(s for s in SIZES if s <= half)
    kinds = ("cart", "half the people", "copula", "independent columns")
    scores: dict[str, list] = {k: [] for k in ("real", *kinds)}
    mixes: list[tuple[str, int, float, float]] = []
    for seed in range(seeds):
        order = stream(seed, "science", name).permutation(whole.rows)
        mixed = from_table(whole.table().take(pa.array(order)), name=name, origin=Origin.REAL, schema=whole.schema)
        test = part(mixed, 0, test_rows, name="test")
        train, source = part(mixed, test_rows, half, name="train"), part(mixed, test_rows + half, half, name="source")
        most = min(source.rows, 20_000)
        sets = [made(kind, part(source, 0, most, name="source"), max(SYNTHETIC), seed) for kind in kinds]
        test_view, train_view, *others = views(test, train, *sets)
        scores["real"].append([score(train_view.take(np.arange(s)), test_view, seed) for s in sizes])
        for kind, view in zip(kinds, others, strict=True):
            scores[kind].append([score(view.take(np.arange(m)), test_view, seed) for m in SYNTHETIC])
        for kind, view in zip(kinds[:3], others[:3], strict=True):
            for n in (200, 1000):
                mixes.append(
                    (kind, n, *best_mix(train_view.take(np.arange(n)), view.take(np.arange(5000)), test_view, seed))
                )
    return {"sizes": sizes, "scores": {k: np.mean(v, axis=0) for k, v in scores.items()}, "mixes": mixes}


def best_mix(real: View, synthetic: View, test: View, seed: int) -> tuple[float, float]:
    """(best score over the weights, that weight) of real rows at 1 and synthetic rows at a weight each."""
    both = stack([real, synthetic])
    found = []
    for w in WEIGHTS:
        weights = np.r_[np.ones(real.n), np.full(synthetic.n, w)]
        found.append((score(both, test, seed, weights), w))
    return max(found)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--pictures", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    asked = parser.parse_args()
    ratios = []
    for name in ("diamonds", "flights", "nassCDS"):
        found = table_of(name, asked.seeds)
        sizes, scores = found["sizes"], found["scores"]
        curve = scores["real"]
        print(f"{name}: real curve " + "  ".join(f"{s}: {v:.3f}" for s, v in zip(sizes, curve, strict=True)))
        for kind in ("cart", "half the people", "copula", "independent columns"):
            worth = [read_off(curve, v, sizes) for v in scores[kind]]
            told = "  ".join(
                f"m={m}: {w:,.0f}" if np.isfinite(w) else f"m={m}: > {sizes[-1]:,}"
                for m, w in zip(SYNTHETIC, worth, strict=True)
            )
            beaten = "500 real rows beat 50,000" if worth[-1] < 500 else "50,000 beat 500 real rows"
            print(f"  {kind:<20} worth {told}   {beaten}")
        by: dict[tuple[str, int], list[float]] = {}
        for kind, n, value, _ in found["mixes"]:
            by.setdefault((kind, n), []).append(value)
        for (kind, n), values in by.items():
            mix = read_off(curve, float(np.mean(values)), sizes)
            alone = float(
                np.interp(
                    np.log(5000), np.log(SYNTHETIC), [min(read_off(curve, v, sizes), sizes[-1]) for v in scores[kind]]
                )
            )
            if np.isfinite(mix) and alone > 100:
                ratios.append(mix / (n + alone))
                told = f"N_mix {mix:,.0f}   n + N_syn {n + alone:,.0f}   ratio {ratios[-1]:.2f}"
                print(f"  mix of {n:>5} real and 5,000 {kind:<16} {told}")
        if asked.pictures:
            lines = [Series("real rows", sizes, curve)]
            lines += [Series(k, SYNTHETIC, scores[k], dots=True, colour=i) for i, k in enumerate(list(scores)[1:], 1)]
            where, title = asked.pictures / f"exchange_{name}.svg", f"{name}: rows alone, real and synthetic"
            draw(where, title, "rows", "AUC", lines, log_x=True, from_zero=False)
    if ratios:
        low, middle, high = np.quantile(ratios, [0.25, 0.5, 0.75])
        print(f"N_mix / (n + N_syn), {len(ratios)} mixes: median {middle:.2f}, quartiles {low:.2f} to {high:.2f}")


if __name__ == "__main__":
    main()
