"""`demo`: three vendors, real census rows, one study, one shipped folder."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from sterling.kernel import registry, seeds
from sterling.kernel.dataset import Origin
from sterling.kernel.protocols import Effort, OnEvent, silent

if TYPE_CHECKING:
    from sterling.decide.result import Result

YOUR_ROWS = 6_000
OTHER_PEOPLE = 20_000
VENDOR_ROWS = 10_000
SEED = 1

STUDY = """\
# You hold 6,000 labelled census rows; three vendors offer 10,000 synthetic rows each.
name = "census"
seed = 1
effort = "{effort}"

[real]
path = "real.parquet"
target = "income"
groups = ["sex", "race"]

[[candidate]]
name = "A"
path = "vendor-a.parquet"
fitted_on = "other"

[[candidate]]
name = "B"
path = "vendor-b.parquet"
fitted_on = "other"

[[candidate]]
name = "C"
path = "vendor-c.parquet"
fitted_on = "other"
"""


@dataclass(frozen=True, slots=True)
class DemoAnswer:
    """What the demo made.

    Args:
        result: of the study.
        report: the HTML file.
        shipped: the folder with the mix, its card and its evidence.
    """

    result: Result
    report: Path
    shipped: Path


def demo(*, out: Path, effort: Effort = "full", on_event: OnEvent = silent) -> DemoAnswer:
    """Play the main job on the UCI Adult census data that ships with the package.

    A is made by trees fitted on other people's rows, B by a Gaussian copula (the weak baseline), C by trees
    from a population in which women over 50 are missing.

    Args:
        out: folder for data, study, run, report and shipped set.
        effort: "fast" trains less; the intervals are wider.
        on_event: hears progress.

    Source: Becker & Kohavi 1996, doi:10.24432/C5XW20, CC BY 4.0.
    """
    from sterling.api.run import run_study
    from sterling.api.ship import ship_run, write_report
    from sterling.sources.atomic import folder_at, write_text

    folder_at(out)
    _write_vendors(out, on_event=on_event)
    write_text(out / "study.toml", STUDY.format(effort=effort))
    result = run_study(out / "study.toml", out=out / "run", on_event=on_event)
    report = out / "report.html"
    write_report(result, report)
    shipped = out / "shipped"
    _replace(shipped)
    ship_run(out / "run", out=shipped, licence="CC-BY-4.0", title="census-mix")
    return DemoAnswer(result, report, shipped)


@contextmanager
def census() -> Generator[Path]:
    """The embedded Parquet file, as a path for as long as the context is open."""
    with as_file(files("sterling.sources") / "embedded" / "adult.parquet") as path:
        yield path


def _write_vendors(out: Path, *, on_event: OnEvent) -> None:
    """Your rows and the three vendors' files."""
    import pyarrow.parquet as pq

    with census() as path:
        table = pq.read_table(path)
    shuffled = table.take(seeds.stream(SEED, "demo", "people").permutation(table.num_rows))
    yours = shuffled.slice(0, YOUR_ROWS)
    others = shuffled.slice(YOUR_ROWS, OTHER_PEOPLE)
    older_women = pc.and_(pc.equal(others["sex"], "Female"), pc.greater_equal(others["age"], 50))
    pq.write_table(yours, out / "real.parquet")
    for name, generator, population in (
        ("vendor-a", "forest", others),
        ("vendor-b", "copula", others),
        ("vendor-c", "forest", others.filter(pc.invert(older_women))),
    ):
        on_event("step", {"text": f"{name}: {VENDOR_ROWS:,} rows by {generator}"})
        pq.write_table(_made(name, generator, population), out / f"{name}.parquet")


def _made(vendor: str, generator: str, population: pa.Table) -> pa.Table:
    from sterling.modalities.tabular import from_table

    maker = registry.build("generators", generator, {})
    source = from_table(population, name=vendor, origin=Origin.REAL)
    fitted = maker.fit(source, rng=seeds.stream(SEED, "demo", vendor, "fit"))
    batches = maker.sample(fitted, VENDOR_ROWS, rng=seeds.stream(SEED, "demo", vendor, "sample"))
    return pa.concat_tables(list(batches))


def _replace(folder: Path) -> None:
    """Remove what an earlier demo shipped here."""
    import shutil

    if folder.exists():
        shutil.rmtree(folder)
