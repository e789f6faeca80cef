"""One peer's generator: fit on a Parquet file, write as many made rows, say what it cost.

    python table_worker.py PEER TRAIN.parquet OUT.parquet SEED TARGET

Runs in the peer's own environment; only what is installed there is imported. Prints one JSON line:
CPU seconds of import, fit and sample, peak memory, and the peer's version.
"""

from __future__ import annotations

import json
import resource
import sys
from collections.abc import Callable
from importlib.metadata import version

import pandas as pd
from worker import cpu

Made = tuple[pd.DataFrame, float]  # the rows, and when the fit was done
EPOCHS = 30  # of CTGAN: the prototypes' setting, for its 300 take an hour here


def gaussian_copula(train: pd.DataFrame, _seed: int, _target: str) -> Made:
    from sdv.single_table import GaussianCopulaSynthesizer

    model = GaussianCopulaSynthesizer(_metadata(train))
    model.fit({"table": train})
    done = cpu()
    made = model.sample(len(train))
    return (made["table"] if isinstance(made, dict) else made), done


def ctgan(train: pd.DataFrame, seed: int, _target: str) -> Made:
    import torch
    from sdv.single_table import CTGANSynthesizer

    torch.manual_seed(seed)  # CTGAN takes no seed
    model = CTGANSynthesizer(_metadata(train), epochs=EPOCHS, enable_gpu=False)
    model.fit({"table": train})
    done = cpu()
    made = model.sample(len(train))
    return (made["table"] if isinstance(made, dict) else made), done


def _metadata(train: pd.DataFrame) -> object:
    from sdv.metadata import Metadata

    return Metadata.detect_from_dataframes({"table": train}, infer_keys=None)


def tabular_argn(train: pd.DataFrame, seed: int, _target: str) -> Made:
    from mostlyai.engine import TabularARGN

    model = TabularARGN(device="cpu", random_state=seed, verbose=0)
    model.fit(train)
    done = cpu()
    return model.sample(n_samples=len(train), device="cpu")[list(train.columns)], done


def arfpy(train: pd.DataFrame, seed: int, _target: str) -> Made:
    from arfpy import arf

    # It knows no missing values: numbers get the median, categories a level of their own.
    whole = train.copy()
    for name in whole.columns:
        if pd.api.types.is_numeric_dtype(whole[name]):
            whole[name] = whole[name].astype("float64").fillna(whole[name].median())
        else:
            whole[name] = whole[name].astype("object").fillna("(missing)").astype("category")
    model = arf.arf(x=whole, random_state=seed, verbose=False)
    model.forde()
    done = cpu()
    return model.forge(n=len(train)), done


def sterling(train: pd.DataFrame, seed: int, target: str, name: str) -> Made:
    import pyarrow as pa

    from sterling.api.inputs import Roles, declare, load
    from sterling.kernel import seeds
    from sterling.kernel.dataset import Origin
    from sterling.kernel.registry import build

    data = declare(load(train, origin=Origin.REAL), Roles(target=target))
    name, _, asked = name.partition(":")
    pairs = (pair.split("=") for pair in asked.split(",") if pair)
    generator = build("generators", name, {key: json.loads(value) for key, value in pairs})
    fitted = generator.fit(data, rng=seeds.stream(seed, "bench", "fit"))
    done = cpu()
    batches = list(generator.sample(fitted, data.rows, rng=seeds.stream(seed, "bench", "sample")))
    return pa.concat_tables(batches).to_pandas(), done


PEERS: dict[str, tuple[Callable[[pd.DataFrame, int, str], Made], str]] = {
    "GaussianCopula": (gaussian_copula, "sdv"),
    "CTGAN": (ctgan, "sdv"),
    "TabularARGN": (tabular_argn, "mostlyai-engine"),
    "arfpy": (arfpy, "arfpy"),
}


def main() -> None:
    peer, path, out, seed, target = sys.argv[1:]
    train = pd.read_parquet(path)
    start = cpu()
    if peer in PEERS:
        make, package = PEERS[peer]
        made, fitted = make(train, int(seed), target)
    else:
        made, fitted = sterling(train, int(seed), target, peer)
        package = "sterling"
    end = cpu()
    made.to_parquet(out, index=False)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(json.dumps({"fit": fitted - start, "sample": end - fitted, "memory_gb": memory, "version": version(package)}))


if __name__ == "__main__":
    main()
