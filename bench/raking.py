"""How far raking mends a coarse generator's table: an outside judge tells it from real rows, before and after.

20,000 census rows are learned from, 20,000 others judge (boosted trees of scikit-learn, three folds, three seeds; AUC
0.5 is "cannot tell"). Each generator makes a pool of 1, 3 or 10 rows for every row that is wanted.

    python bench/raking.py            # about 3 minutes of CPU
"""

from __future__ import annotations

import time
from importlib.resources import files

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from sterling.augmenters.rake import Rake
from sterling.generators.cart import Cart
from sterling.generators.copula import Copula
from sterling.kernel import seeds
from sterling.modalities.tabular import from_table

N, SEEDS = 20_000, 3


def detection(real: pa.Table, made: pa.Table) -> list[float]:
    """AUC of the judge, once per seed."""
    both = pd.concat([real.to_pandas(), made.select(real.column_names).to_pandas()], ignore_index=True)
    truth = np.repeat([0, 1], [real.num_rows, made.num_rows])
    for name in both:
        if not pd.api.types.is_numeric_dtype(both[name]):
            both[name] = both[name].astype("category")
    found: list[float] = []
    for seed in range(SEEDS):
        judge = HistGradientBoostingClassifier(categorical_features="from_dtype", random_state=seed)
        folds = StratifiedKFold(3, shuffle=True, random_state=seed)
        chance = cross_val_predict(judge, both, truth, cv=folds, method="predict_proba")[:, 1]
        found.append(float(roc_auc_score(truth, chance)))
    return found


def told(name: str, real: pa.Table, made: pa.Table, seconds: float = 0.0) -> None:
    found = detection(real, made)
    repeats = int(made.select(real.column_names).to_pandas().duplicated().sum())
    print(
        f"{name:<42} AUC {np.mean(found):.4f} +- {np.std(found):.4f}  repeats {repeats:>6,}  {seconds:.1f} CPU s",
        flush=True,
    )


def main() -> None:
    table = pq.read_table(str(files("sterling.sources") / "embedded" / "adult.parquet"))
    table = table.take(seeds.stream(0, "bench", "raking").permutation(table.num_rows))
    train, other = table.slice(0, N), table.slice(N, N)
    real = from_table(train, name="train")
    told("real rows", other, train)
    for name, generator in (("cart(min_leaf=200)", Cart(min_leaf=200)), ("cart", Cart()), ("copula", Copula())):
        fitted = generator.fit(real, rng=seeds.stream(0, name, "fit"))
        pool = pa.concat_tables(list(generator.sample(fitted, 10 * N, rng=seeds.stream(0, name, "sample"))))
        told(name, other, pool.slice(0, N))
        for times in (1, 3, 10):
            started = time.process_time()
            mended = Rake(rows=N).fit(real, rng=seeds.stream(0, "fit"))
            rows = mended.apply(pool.slice(0, times * N), rng=seeds.stream(0, "apply"))
            told(f"  raked, from {times} x {N:,} rows", other, rows, time.process_time() - started)


if __name__ == "__main__":
    main()
