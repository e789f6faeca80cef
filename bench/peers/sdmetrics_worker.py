"""SDMetrics (MIT): its quality report and its diagnostic report."""

from __future__ import annotations

import pandas as pd
import sdmetrics
from sdmetrics.reports.single_table import DiagnosticReport, QualityReport
from worker import serve


def judge(job: dict) -> dict:
    real, synthetic = pd.read_parquet(job["real"]), pd.read_parquet(job["synthetic"])
    kinds = {c: {"sdtype": "categorical" if c in job["categorical"] else "numerical"} for c in real.columns}
    metadata = {"columns": kinds}
    quality, diagnostic = QualityReport(), DiagnosticReport()
    quality.generate(real, synthetic, metadata, verbose=False)
    diagnostic.generate(real, synthetic, metadata, verbose=False)
    parts = quality.get_properties().set_index("Property")["Score"]
    checks = diagnostic.get_properties().set_index("Property")["Score"]
    details = {name: quality.get_details(name)["Score"] for name in parts.index}
    scores = {
        "quality": quality.get_score(),
        "diagnostic": diagnostic.get_score(),
        **dict(parts.items()),
        **dict(checks.items()),
        **{f"worst of {name}": column.min() for name, column in details.items()},
    }
    return {"scores": {name: float(value) for name, value in scores.items() if pd.notna(value)}}


if __name__ == "__main__":
    serve(sdmetrics.__version__, judge)
