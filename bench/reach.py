"""Does a real cluster that the synthetic rows lack top the map, and do other people's rows leave it empty?

A cluster is deleted from what the source of the synthetic rows sees: once the rest are other people's real rows, once
they come from our own generator `cart` fitted on the rest.

    python bench/reach.py --runs 20
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from importlib.resources import files

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from sterling.blend.reach import Reach, reach
from sterling.generators.cart import Cart
from sterling.kernel.protocols import silent
from sterling.kernel.seeds import stream
from sterling.modalities.tabular import Tabular
from sterling.sources.frames import from_frame
from sterling.stats.proportions import clopper_pearson

REAL, HELD, ALPHA = 4000, 2000, 0.05
CLUSTERS: dict[str, Callable[[pa.Table], pa.ChunkedArray]] = {
    "sex=Female & age>=45": lambda t: pc.and_(pc.greater_equal(t["age"], 45), pc.equal(t["sex"], "Female")),
    "workclass=Self-emp-not-inc": lambda t: pc.fill_null(pc.equal(t["workclass"], "Self-emp-not-inc"), False),
    "race=Black": lambda t: pc.fill_null(pc.equal(t["race"], "Black"), False),
}


def run(adult: pa.Table, cluster: str | None, source: str, seed: int) -> tuple[bool, bool]:
    """Whether the first group is the deleted cluster (overlap at least half of the union), and whether any is named."""
    rng = stream(seed, "bench", "reach", cluster or "none", source)
    rows = rng.permutation(adult.num_rows)
    real, held = adult.take(pa.array(rows[:REAL])), adult.take(pa.array(rows[REAL : REAL + HELD]))
    others = adult.take(pa.array(rows[REAL + HELD : 3 * REAL + HELD])) if source == "other people" else real
    seen = others if cluster is None else others.filter(pc.invert(CLUSTERS[cluster](others)))
    if source == "cart":
        generator = Cart()
        fitted = generator.fit(from_frame(seen, name="seen"), rng=rng)
        made = pa.concat_tables(list(generator.sample(fitted, REAL, rng=rng)))
    else:
        made = seen.slice(0, REAL)
    views = Tabular().views([from_frame(t, name="rows") for t in (real, held, made)])
    found = reach(*views, seed=seed, effort="full", alpha=ALPHA, on_event=silent)
    assert isinstance(found, Reach)
    if cluster is None or not found.groups:
        return False, bool(found.groups)
    truth = CLUSTERS[cluster](held).to_numpy(zero_copy_only=False).astype(bool)
    first = found.groups[0].records.members(views[1].columns or ())
    return bool(2 * (first & truth).sum() >= (first | truth).sum()), True


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=20)
    runs = parser.parse_args().runs
    adult = pq.read_table(str(files("sterling.sources") / "embedded" / "adult.parquet"))
    print(f"adult, {REAL:,} real, {HELD:,} held-out and {REAL:,} synthetic rows; {runs} runs each, 95 % intervals")
    for source in ("other people", "cart"):
        for cluster in (*CLUSTERS, None):
            if cluster is None and source == "cart":
                continue  # a generator's rows are no real rows: the map need not be empty
            started = time.process_time()
            said = np.array([run(adult, cluster, source, seed) for seed in range(runs)]).sum(axis=0)
            tops, named = (clopper_pearson(int(k), runs) for k in said)
            each = (time.process_time() - started) / runs
            words = (
                f"any group named {said[1]}/{runs} [{named.low:.2f}, {named.high:.2f}]"
                if cluster is None
                else f"tops the map {said[0]}/{runs} [{tops.low:.2f}, {tops.high:.2f}]"
            )
            print(f"{source:<13} without {cluster or 'nothing':<28} {words}; {each:.1f} CPU s a run", flush=True)


if __name__ == "__main__":
    main()
