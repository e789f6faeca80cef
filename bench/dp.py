"""Our differentially private generator beside the field's, all on one table of codes with one public domain.

    python bench/dp.py                                   all engines, epsilon 1 and 3, three seeds; hours, resumes
    python bench/dp.py --engines "sterling aim" "dpmm MST" --epsilon 1 --seeds 1
    python bench/dp.py --show                            the table of what was measured so far

The table is Adult (48,842 x 15), numbers cut at round values that are public knowledge, so that nobody spends budget on
domains. Every engine gets the same 39,000 rows, epsilon and delta = 1e-6 (OpenDP: the zCDP budget of the same promise),
runs in its own environment (made by this script) on one thread, and is stopped after --limit CPU seconds.

Columns of the table (means over the seeds):
pairs   total-variation distance to the training rows, mean over all 105 pairs of columns, 0 to 1; smaller is better
c2st    AUC of boosted trees between made rows and fresh real ones, cross-fitted; .5 is ideal
use     AUC for income on fresh real rows of boosted trees trained on made rows; "real" is the row of real ones
cpu     CPU seconds of import, fit and sample
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import resource
import signal
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import numpy as np
import pandas as pd

from peer_tools import HERE, ONE_THREAD, VENVS, python_of

DELTA, ROWS, TARGET = 1e-6, 39_000, "income"
DPMM = ("dpmm", ("dpmm==0.1.9",))
SMARTNOISE = ("snsynth", ("smartnoise-synth==1.0.8",))
OPENDP = ("opendp", ("opendp[mbi]==0.16.0", "pandas"))
ENGINES = {
    "sterling aim": None,
    "dpmm AIM": DPMM,
    # As large a model as ours: with their default of 80 MB they are not done in 30 CPU minutes.
    "dpmm AIM, 2 MB": DPMM,
    "dpmm MST": DPMM,
    "dpmm PrivBayes+PGM": DPMM,
    "smartnoise AIM": SMARTNOISE,
    "smartnoise AIM, 2 MB": SMARTNOISE,
    "smartnoise MST": SMARTNOISE,
    "smartnoise MWEM": SMARTNOISE,
    "smartnoise PATE-CTGAN": SMARTNOISE,
    "OpenDP AIM (mbi)": OPENDP,
    "OpenDP AIM (mbi), 2 MB": OPENDP,
    "OpenDP MST (mbi)": OPENDP,
}
CUTS = {
    "age": (20, 25, 30, 35, 40, 45, 50, 55, 60, 65, 70, 75, 80),
    "fnlwgt": (50e3, 100e3, 150e3, 200e3, 250e3, 300e3, 350e3, 400e3, 500e3),
    "capital_gain": (1, 1000, 3000, 5000, 7500, 10_000, 15_000, 20_000),
    "capital_loss": (1, 500, 1000, 1500, 1750, 2000, 2250, 2500),
    "hours_per_week": (10, 20, 30, 35, 38, 40, 41, 45, 50, 55, 60, 70, 80),
}


def coded() -> tuple[pd.DataFrame, dict[str, int]]:
    """Adult as codes 0 ... size - 1, in a fixed random order, and the sizes."""
    raw = pd.read_parquet(str(files("sterling.sources") / "embedded" / "adult.parquet"))
    codes: dict[str, np.ndarray] = {}
    sizes: dict[str, int] = {}
    for name, column in raw.items():
        if name in CUTS:
            codes[name], sizes[name] = np.digitize(column, CUTS[name]), len(CUTS[name]) + 1
        else:
            categories = column.astype("category").cat
            codes[name] = np.asarray(categories.codes, dtype=np.int64) + bool(column.isna().any())
            sizes[name] = int(codes[name].max()) + 1
    table = pd.DataFrame(codes)
    return table.iloc[np.random.default_rng(7).permutation(len(table))].reset_index(drop=True), sizes


def pair_error(made: pd.DataFrame, real: pd.DataFrame, sizes: dict[str, int]) -> float:
    """Mean total-variation distance over all pairs of columns; codes beyond a size count as wrong."""
    gaps: list[float] = []
    for a, b in itertools.combinations(sizes, 2):
        shares = [
            np.bincount(t[a].to_numpy() * (sizes[b] + 1) + np.minimum(t[b].to_numpy(), sizes[b]),
                        minlength=(sizes[a] + 1) * (sizes[b] + 1))[: (sizes[a] + 1) * (sizes[b] + 1)] / len(t)
            for t in (made, real)
        ]  # fmt: skip
        gaps.append(float(np.abs(shares[0] - shares[1]).sum() / 2))
    return float(np.mean(gaps))


def judged(made: pd.DataFrame, train: pd.DataFrame, fresh: pd.DataFrame, sizes: dict[str, int]) -> dict[str, float]:
    """The three scores of a made table."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import cross_val_predict

    def trees() -> HistGradientBoostingClassifier:
        return HistGradientBoostingClassifier(random_state=0)

    made = made[list(train.columns)].clip(lower=0)
    both = pd.concat([made.head(len(fresh)), fresh])
    whose = np.repeat([1, 0], [min(len(made), len(fresh)), len(fresh)])
    told = cross_val_predict(trees(), both, whose, cv=5, method="predict_proba")[:, 1]
    features = [c for c in train.columns if c != TARGET]
    chance = {"use": 0.5}
    if made[TARGET].nunique() > 1:
        model = trees().fit(made[features], made[TARGET] > 0)
        chance = {"use": float(roc_auc_score(fresh[TARGET] > 0, model.predict_proba(fresh[features])[:, 1]))}
    return {"pairs": pair_error(made, train, sizes), "c2st": float(roc_auc_score(whose, told)), **chance}


def run(engine: str, epsilon: float, seed: int, folder: Path, limit: int) -> dict[str, object]:
    """Have an engine make rows; what it cost, or why there are none."""
    needs = ENGINES[engine]
    python = sys.executable if needs is None else str(python_of(*needs, venvs=VENVS))
    out = folder / f"{engine}-{epsilon:g}-{seed}.csv"
    paths = [str(folder / "train.csv"), str(folder / "sizes.json"), str(out)]
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    before = used.ru_utime + used.ru_stime
    done = subprocess.run(
        [python, str(HERE / "peers" / "dp_worker.py"), engine, *paths, str(epsilon), str(DELTA), str(seed)],
        env={**os.environ, **ONE_THREAD, "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false"}, capture_output=True,
        text=True, check=False, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CPU, (limit, limit + 5)),
    )  # fmt: skip
    if done.returncode or not out.exists():
        if done.returncode in (-signal.SIGXCPU, -signal.SIGKILL):
            spent = resource.getrusage(resource.RUSAGE_CHILDREN)
            over = spent.ru_utime + spent.ru_stime - before >= limit - 1
            return {"error": f"stopped after {limit:,} CPU s" if over else "killed from outside, or for lack of memory"}
        return {"error": (done.stderr.strip().splitlines() or ["no rows"])[-1][:200]}
    return {"out": str(out), **json.loads(done.stdout.strip().splitlines()[-1])}


def show(log: Path) -> None:
    """The table of what was measured: means over seeds."""
    if not log.exists():
        return print("nothing was measured yet")
    told = pd.DataFrame([json.loads(line) for line in log.read_text().splitlines()])
    told = told.drop_duplicates(["engine", "epsilon", "seed"], keep="last")
    for epsilon, part in told.groupby("epsilon"):
        print(f"\nepsilon {epsilon:g}\n{'engine':24s}{'seeds':>6s}{'pairs':>9s}{'c2st':>7s}{'use':>7s}{'cpu':>9s}")
        for engine in ("real", *ENGINES):
            rows = part[part["engine"] == engine]
            good = rows[rows["pairs"].notna()] if "pairs" in rows else rows.iloc[:0]
            if len(good):
                m = good[["pairs", "c2st", "use", "cpu"]].mean()
                print(f"{engine:24s}{len(good):6d}{m.pairs:9.4f}{m.c2st:7.3f}{m.use:7.3f}{m.cpu:9.0f}")
            elif len(rows):
                print(f"{engine:24s}{len(rows):6d}  {rows.iloc[-1]['error']}")
    return None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engines", nargs="+", default=list(ENGINES), choices=ENGINES)
    parser.add_argument("--epsilon", nargs="+", type=float, default=[1.0, 3.0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--limit", type=int, default=3600, help="CPU seconds for one engine and seed")
    parser.add_argument("--again", action="store_true", help="measure anew what was measured already")
    parser.add_argument("--show", action="store_true")
    asked = parser.parse_args()
    folder = VENVS / "dp-made"
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "results.jsonl"
    if asked.show:
        return show(log)
    table, sizes = coded()
    train, fresh = table.head(ROWS), table.tail(len(table) - ROWS)
    train.to_csv(folder / "train.csv", index=False)
    (folder / "sizes.json").write_text(json.dumps(sizes))
    lines = log.read_text().splitlines() if log.exists() else []
    known = {(r["engine"], r["epsilon"], r["seed"]) for r in map(json.loads, lines)}
    for seed, epsilon, engine in itertools.product(range(asked.seeds), asked.epsilon, ["real", *asked.engines]):
        if (engine, epsilon, seed) in known and not (asked.again and engine != "real"):
            continue
        if engine == "real":
            half = train.sample(len(train), replace=False, random_state=seed)
            made: dict[str, object] = {"cpu": 0.0, **judged(half, train, fresh, sizes)}
        else:
            made = run(engine, epsilon, seed, folder, asked.limit)
        if "out" in made:
            made |= judged(pd.read_csv(str(made["out"])), train, fresh, sizes)
        line = json.dumps({"engine": engine, "epsilon": epsilon, "seed": seed, **made})
        print(line, flush=True)
        with log.open("a") as file:
            file.write(line + "\n")
    return show(log)


if __name__ == "__main__":
    main()
