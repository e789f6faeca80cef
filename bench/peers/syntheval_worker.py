"""SynthEval (MIT): its preset `fast_eval`; the parts whose cost grows with the square of the rows see 2,000 of them."""

from __future__ import annotations

from importlib.metadata import version

import pandas as pd
from syntheval import SynthEval
from worker import serve

# Nearest neighbours by Gower distance, some 30 times: 10k rows take minutes and gigabytes.
QUADRATIC = {"nnaa": {"n_resample": 30}, "hit_rate": {"thres_percent": 0.0333}}
LINEAR = {
    "dwm": {},
    "pca": {"preprocess": "std"},
    "cio": {"ci": "std", "confidence": 95},
    "ks_test": {"sig_lvl": 0.05, "n_perms": 100},  # 1,000 in its preset take 21 of 25 CPU seconds; the 5 % level stays
    "h_dist": {},
    "auroc_diff": {"model": "log_reg", "num_boots": 1},
    "corr_diff": {"mixed_corr": True},
    "p_mse": {"k_folds": 5, "max_iter": 100, "solver": "liblinear"},
}
MOST = 2_000


def judge(job: dict) -> dict:
    sets = {name: _filled(pd.read_parquet(job[name]), job["categorical"]) for name in ("real", "holdout", "synthetic")}
    scores = _scores(sets, job, LINEAR)
    scores |= _scores({name: frame.head(MOST) for name, frame in sets.items()}, job, QUADRATIC)
    if not scores:
        return {"error": "no metric gave a number"}
    scores["mean of all"] = sum(scores.values()) / len(scores)
    return {"scores": scores}


def _filled(frame: pd.DataFrame, categorical: list[str]) -> pd.DataFrame:
    """It takes no missing values: a missing category is one of its own, a missing number the median."""
    for name in frame.columns:
        if name in categorical:
            frame[name] = frame[name].astype("object").where(frame[name].notna(), "missing").astype(str)
        else:
            frame[name] = frame[name].fillna(frame[name].median())
    return frame


def _scores(sets: dict, job: dict, metrics: dict) -> dict[str, float]:
    """Its own normalised values (`n_val`), of which it says that higher is better."""
    judge = SynthEval(
        sets["real"], sets["holdout"], cat_cols=job["categorical"], console="off", verbose=False, enable_plots=False
    )
    target = job["target"] if job["target"] in job["categorical"] else None
    found = judge.evaluate(sets["synthetic"], analysis_target=target, **metrics)
    return {row.metric: float(row.n_val) for row in found.itertuples() if pd.notna(row.n_val)}


if __name__ == "__main__":
    serve(version("syntheval"), judge)
