"""CPU time and memory of one whole `sterling compare`, imports included: 30k x 15 and 1M x 15 mixed columns.

    python bench/compare_speed.py

Must reach: under 30 CPU seconds at 30k; under 4 GB of memory at 1M. Rows beyond the census table's own 48,842
are its rows with jittered numbers, so that they are no copies. Ratios are to reading the same file once.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from importlib.resources import files
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sterling.kernel import seeds


def grown(rows: int, part: str) -> pa.Table:
    """Census rows, drawn with replacement and jittered in fnlwgt."""
    table = pq.read_table(str(files("sterling.sources") / "embedded" / "adult.parquet"))
    rng = seeds.stream(0, "compare_speed", part, rows)
    drawn = table.take(rng.integers(0, table.num_rows, rows))
    weight = drawn["fnlwgt"].to_numpy() + rng.integers(-5000, 5000, rows)
    return drawn.set_column(2, "fnlwgt", pa.array(np.maximum(weight, 1)))


def spent(command: list[str]) -> tuple[float, float]:
    """CPU seconds and peak memory in GB of one command."""
    before = os.times()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return cpu, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["STERLING_HOME"] = name
        for rows in (30_000, 1_000_000):
            for part in ("real", "synthetic"):
                pq.write_table(grown(rows, part), folder / f"{part}.parquet")
            reading = f"import pyarrow.parquet as q; q.read_table({str(folder / 'real.parquet')!r})"
            read, _ = spent([sys.executable, "-c", reading])
            command = [sys.executable, "-m", "sterling", "compare"]
            for effort in (["--fast"], []):
                cpu, memory = spent(
                    [
                        *command,
                        str(folder / "real.parquet"),
                        str(folder / "synthetic.parquet"),
                        "--target",
                        "income",
                        *effort,
                    ]
                )
                label = "fast" if effort else "full"
                ratio = cpu / read
                print(
                    f"{rows:>9,} x 15 {label}: {cpu:.1f} CPU s, {ratio:.0f}x reading, peak {memory:.2f} GB", flush=True
                )


if __name__ == "__main__":
    main()
