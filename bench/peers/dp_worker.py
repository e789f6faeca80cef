"""One peer's differentially private generator on a table of codes, in the peer's own environment.

    python dp_worker.py PEER TRAIN.csv SIZES.json OUT.csv EPSILON DELTA SEED

TRAIN holds whole numbers 0 ... size - 1 per column; SIZES.json gives each column's size, which is public. Writes
as many made rows and prints one JSON line: CPU seconds and version.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from importlib.metadata import version
from types import SimpleNamespace

import numpy as np
import pandas as pd
from worker import cpu

Make = Callable[[pd.DataFrame, dict[str, int], float, float, int], pd.DataFrame]


def dpmm_of(name: str, **settings: object) -> Make:
    def make(train: pd.DataFrame, sizes: dict[str, int], epsilon: float, delta: float, seed: int) -> pd.DataFrame:
        from dpmm.models.aim import AIMGM
        from dpmm.models.mst import MSTGM
        from dpmm.models.priv_bayes import PrivBayesGM

        kinds = {"aim": AIMGM, "mst": MSTGM, "privbayes": PrivBayesGM}
        state = np.random.RandomState(seed)
        model = kinds[name](epsilon=epsilon, delta=delta, domain=sizes, random_state=state, n_jobs=1, **settings)
        model.fit(train)
        return model.generate(n_records=len(train))

    return make


def snsynth_of(name: str, **settings: object) -> Make:
    def make(train: pd.DataFrame, _sizes: dict[str, int], epsilon: float, delta: float, seed: int) -> pd.DataFrame:
        from snsynth import Synthesizer

        np.random.seed(seed)  # noqa: NPY002, TID251  it takes no other
        model = Synthesizer.create(name, epsilon=epsilon, delta=delta, **settings)
        model.fit(train, categorical_columns=list(train.columns), preprocessor_eps=0.0)
        if name in ("aim", "mst"):
            # As with OpenDP: rows drawn from the model, for the rounding of mbi 1.1.0 spoils its pairs.
            inner = model.synthesizer
            model.synthesizer = SimpleNamespace(synthetic_data=lambda rows: inner.synthetic_data(rows, "sample"))
        made = pd.DataFrame(model.sample(len(train)))
        made.columns = train.columns
        return made.astype("int64")

    return make


def opendp_of(name: str, **settings: float) -> Make:
    def make(train: pd.DataFrame, sizes: dict[str, int], epsilon: float, delta: float, _seed: int) -> pd.DataFrame:
        import opendp.prelude as dp
        import polars as pl

        dp.enable_features("contrib")
        rho = rho_of(epsilon, delta)
        context = dp.Context.compositor(
            data=pl.from_pandas(train).lazy(), privacy_unit=dp.unit_of(contributions=1),
            privacy_loss=dp.loss_of(rho=rho),
        )  # fmt: skip
        algorithm = dp.mbi.AIM(queries=2, **settings) if name == "aim" else dp.mbi.MST()
        table = (
            context.query(rho=rho)
            .select(*train.columns)
            .contingency_table(keys={c: list(range(k)) for c, k in sizes.items()}, algorithm=algorithm)
            .release()
        )
        made = table.synthesize(rows=len(train), method="sample").to_pandas()[list(train.columns)]
        # Its default, rounding, ties columns together that its model holds independent: pairs .113, not .042.
        # OpenDP adds a level for "missing"; whatever was given to it is read as the last level.
        return made.apply(lambda column: column.fillna(sizes[column.name] - 1).astype("int64"))

    return make


def sterling_of(**settings: object) -> Make:
    def make(train: pd.DataFrame, sizes: dict[str, int], epsilon: float, delta: float, seed: int) -> pd.DataFrame:
        from dataclasses import replace

        import pyarrow as pa

        from sterling.generators.aim import Aim
        from sterling.kernel import seeds
        from sterling.kernel.schema import Kind, Schema
        from sterling.modalities.tabular import from_table

        data = from_table(pa.Table.from_pandas(train, preserve_index=False))
        fields = [
            replace(
                f, kind=Kind.CATEGORY, levels=tuple(map(str, range(sizes[f.name]))), nullable=False,
                declared=("kind", "levels", "nullable"),
            )
            for f in data.schema
        ]  # fmt: skip
        data = replace(data, schema=Schema(tuple(fields)))
        # Seeded so that the table of figures can be made again; real use draws its noise from the operating system.
        model = Aim(epsilon=epsilon, delta=delta, domain="declared", noise="seeded", **settings)
        fitted = model.fit(data, rng=seeds.stream(seed, "bench", "fit"))
        batches = list(model.sample(fitted, len(train), rng=seeds.stream(seed, "bench", "sample")))
        return pa.concat_tables(batches).to_pandas()

    return make


def rho_of(epsilon: float, delta: float) -> float:
    """zCDP budget of the same (epsilon, delta), as the other peers convert it (Canonne, Kamath & Steinke 2020)."""
    from math import exp, log1p

    def delta_at(rho: float) -> float:
        alphas = np.linspace(1.001, 500, 200_000)
        logs = (alphas - 1) * (alphas * rho - epsilon) + alphas * np.array([log1p(-1 / a) for a in alphas])
        return exp(float((logs - np.log(alphas - 1)).min()))

    low, high = 0.0, epsilon
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if delta_at(middle) <= delta else (low, middle)
    return low


PEERS: dict[str, tuple[Make, str]] = {
    "sterling aim": (sterling_of(), "sterling"),
    "dpmm AIM": (dpmm_of("aim"), "dpmm"),
    "dpmm AIM, 2 MB": (dpmm_of("aim", max_model_size=2), "dpmm"),
    "dpmm MST": (dpmm_of("mst"), "dpmm"),
    "dpmm PrivBayes+PGM": (dpmm_of("privbayes"), "dpmm"),
    "smartnoise AIM": (snsynth_of("aim"), "smartnoise-synth"),
    "smartnoise AIM, 2 MB": (snsynth_of("aim", max_model_size=2), "smartnoise-synth"),
    "smartnoise MST": (snsynth_of("mst"), "smartnoise-synth"),
    "smartnoise MWEM": (snsynth_of("mwem"), "smartnoise-synth"),
    "smartnoise PATE-CTGAN": (snsynth_of("patectgan"), "smartnoise-synth"),
    "OpenDP AIM (mbi)": (opendp_of("aim"), "opendp"),
    "OpenDP AIM (mbi), 2 MB": (opendp_of("aim", max_size=2.0), "opendp"),
    "OpenDP MST (mbi)": (opendp_of("mst"), "opendp"),
}


def main() -> None:
    peer, path, sizes, out, epsilon, delta, seed = sys.argv[1:]
    train = pd.read_csv(path)
    make, package = PEERS[peer]
    start = cpu()
    with open(sizes, encoding="utf-8") as file:
        made = make(train, json.load(file), float(epsilon), float(delta), int(seed))
    end = cpu()
    made.to_csv(out, index=False)
    print(json.dumps({"cpu": end - start, "version": version(package)}))


if __name__ == "__main__":
    main()
