"""CPU seconds of one whole `sterling compare` beside the comparable reports of others, each in a fresh process.

    python bench/compare_beside_peers.py [--repeats 3] [--rows 10000]

One run, the same 10,000 x 15 census rows for all, imports counted on both sides, one thread each. SDMetrics: quality
and diagnostic report. mostlyai-qa: its report with holdout. Ratios are taken within each repetition, and the median is
shown: the machine's neighbours slow both sides alike. Must reach: `compare` under a fifth of mostlyai-qa and at most
5 s; `compare --fast` within twice SDMetrics.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from peer_tools import OURS, VENVS, command_of, middle, spent_by
from probe import SETTINGS
from verdicts import parts, table_of

PEERS = ("sdmetrics", "mostlyai-qa")


def commands(folder: Path, job: dict, *, venvs: Path) -> dict[str, list[str]]:
    """What is timed: the command line of Sterling, the others' workers with one job."""
    path = folder / "job.json"
    path.write_text(json.dumps(job))
    ours = [sys.executable, "-m", "sterling", "compare", job["real"], job["synthetic"], "--target", job["target"]]
    ours += ["--holdout", job["holdout"], "--json", str(folder / "result.json")]
    ours += [word for group in job["groups"] for word in ("--group", group)]
    found = {name: [*ours, *(["--fast"] if effort == "fast" else [])] for name, effort in OURS.items()}
    return {**found, **{peer: [*command_of(peer, venvs=venvs), "--once", str(path)] for peer in PEERS}}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--venvs", type=Path, default=VENVS)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["STERLING_HOME"] = name
        sets = parts("adult", table_of("adult", venvs=asked.venvs), 0, asked.rows)
        job: dict = {"target": SETTINGS["adult"].target, "groups": list(SETTINGS["adult"].groups)}
        for part, table in sets.items():
            job[part] = str(folder / f"{part}.parquet")
            pq.write_table(table, job[part])
        job["categorical"] = [f.name for f in sets["real"].schema if pa.types.is_string(f.type)]
        timed = commands(folder, job, venvs=asked.venvs)
        spent_by(timed["sterling"])  # compiled kernels are kept from here on, as on any machine that compared once
        spent: dict[str, list[float]] = {tool: [] for tool in timed}
        for turn in range(asked.repeats):
            for tool, command in timed.items():
                spent[tool].append(spent_by(command))
                print(f"{turn} {tool:<16} {spent[tool][-1]:6.2f} CPU s", file=sys.stderr, flush=True)
    rows = sets["real"].num_rows
    print(f"\n| {rows:,} x {sets['real'].num_columns} | CPU s, median | sterling / it | sterling --fast / it |")
    print("|---|---|---|---|")
    for tool, seconds in spent.items():
        ratios = [middle([a / b for a, b in zip(spent[mine], seconds, strict=True)]) for mine in OURS]
        print(f"| {tool} | {middle(seconds):.2f} | {ratios[0]:.2f} | {ratios[1]:.2f} |")


if __name__ == "__main__":
    main()
