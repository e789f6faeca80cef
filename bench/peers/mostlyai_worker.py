"""mostlyai-qa (Apache-2.0): its report with holdout, HTML included, as it is meant to be used."""

from __future__ import annotations

import tempfile
from importlib.metadata import version
from pathlib import Path

import pandas as pd
from mostlyai import qa
from worker import serve


def judge(job: dict) -> dict:
    read = {name: pd.read_parquet(job[name]) for name in ("real", "holdout", "synthetic")}
    for frame in read.values():
        for column in job["categorical"]:
            frame[column] = frame[column].astype("object")
    with tempfile.TemporaryDirectory() as folder:
        _, found = qa.report(
            syn_tgt_data=read["synthetic"],
            trn_tgt_data=read["real"],
            hol_tgt_data=read["holdout"],
            report_path=Path(folder) / "report.html",
        )
    accuracy, similarity, distances = found.accuracy, found.similarity, found.distances
    scores = {
        "accuracy": accuracy.overall,
        "univariate": accuracy.univariate,
        "bivariate": accuracy.bivariate,
        "trivariate": accuracy.trivariate,
        "cosine similarity": similarity.cosine_similarity_training_synthetic,
        "discriminator AUC": _less(similarity.discriminator_auc_training_synthetic),
        "identical matches": _less(distances.ims_training),
        "distance share": _less(distances.dcr_share),
        "distance": distances.dcr_training,
        "distance ratio": distances.nndr_training,
    }
    return {"scores": {name: float(value) for name, value in scores.items() if value is not None}}


def _less(value: float | None) -> float | None:
    """Less is better."""
    return None if value is None else -value


if __name__ == "__main__":
    serve(version("mostlyai-qa"), judge)
