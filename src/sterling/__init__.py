"""Sterling: what your synthetic data is worth in real rows, and the mix that works.

The public door. Names load on first use (PEP 562): `import sterling` costs nothing. Where a verb is also
the name of a room (`run`, `blend`, `ship`), the function says what it acts on (`run_study`, ...).
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_DOOR = {
    "compare": "sterling.api.compare",
    "worth": "sterling.api.worth",
    "worth_from_runs": "sterling.api.worth",
    "augment": "sterling.api.augment",
    "blend_sets": "sterling.api.blend",
    "ceiling": "sterling.api.ceiling",
    "constraints": "sterling.api.constraints",
    "cost": "sterling.api.cost",
    "credit": "sterling.api.credit",
    "generate": "sterling.api.generate",
    "check": "sterling.api.check",
    "passport": "sterling.api.passport",
    "reach": "sterling.api.reach",
    "relational_infer": "sterling.api.relational",
    "relational_generate": "sterling.api.relational",
    "relational_compare": "sterling.api.relational_compare",
    "run_study": "sterling.api.run",
    "ship_run": "sterling.api.ship",
    "export": "sterling.api.ship",
    "gate": "sterling.api.gate",
    "advise": "sterling.api.advise",
    "analyses": "sterling.api.analyses",
    "impute": "sterling.api.impute",
    "judge_here": "sterling.api.judge_here",
    "order": "sterling.api.order",
    "privacy_audit": "sterling.api.privacy_audit",
    "verify": "sterling.api.judge_here",
    "ask_benchmark": "sterling.api.wear",
    "assert_ships": "sterling.pytest_plugin",
    "drill": "sterling.api.drill",
    "collapse": "sterling.api.collapse",
    "demo": "sterling.api.demo",
    "load": "sterling.api.inputs",
    "Dataset": "sterling.kernel.dataset",
    "Lineage": "sterling.kernel.dataset",
    "Origin": "sterling.kernel.dataset",
    "Schema": "sterling.kernel.schema",
    "Field": "sterling.kernel.schema",
    "Estimate": "sterling.kernel.estimate",
    "Unmeasured": "sterling.kernel.estimate",
    "Finding": "sterling.kernel.finding",
    "Decision": "sterling.kernel.finding",
    "Verdict": "sterling.kernel.finding",
    "Result": "sterling.decide.result",
    "SterlingError": "sterling.kernel.errors",
}

if TYPE_CHECKING:
    from sterling.api.advise import advise as advise
    from sterling.api.analyses import analyses as analyses
    from sterling.api.augment import augment as augment
    from sterling.api.blend import blend_sets as blend_sets
    from sterling.api.ceiling import ceiling as ceiling
    from sterling.api.check import check as check
    from sterling.api.collapse import collapse as collapse
    from sterling.api.compare import compare as compare
    from sterling.api.constraints import constraints as constraints
    from sterling.api.cost import cost as cost
    from sterling.api.credit import credit as credit
    from sterling.api.demo import demo as demo
    from sterling.api.drill import drill as drill
    from sterling.api.gate import gate as gate
    from sterling.api.generate import generate as generate
    from sterling.api.impute import impute as impute
    from sterling.api.inputs import load as load
    from sterling.api.judge_here import judge_here as judge_here
    from sterling.api.judge_here import verify as verify
    from sterling.api.order import order as order
    from sterling.api.passport import passport as passport
    from sterling.api.privacy_audit import privacy_audit as privacy_audit
    from sterling.api.reach import reach as reach
    from sterling.api.relational import relational_generate as relational_generate
    from sterling.api.relational import relational_infer as relational_infer
    from sterling.api.relational_compare import relational_compare as relational_compare
    from sterling.api.run import run_study as run_study
    from sterling.api.ship import export as export
    from sterling.api.ship import ship_run as ship_run
    from sterling.api.wear import ask_benchmark as ask_benchmark
    from sterling.api.worth import worth as worth
    from sterling.api.worth import worth_from_runs as worth_from_runs
    from sterling.decide.result import Result as Result
    from sterling.kernel.dataset import Dataset as Dataset
    from sterling.kernel.dataset import Lineage as Lineage
    from sterling.kernel.dataset import Origin as Origin
    from sterling.kernel.errors import SterlingError as SterlingError
    from sterling.kernel.estimate import Estimate as Estimate
    from sterling.kernel.estimate import Unmeasured as Unmeasured
    from sterling.kernel.finding import Decision as Decision
    from sterling.kernel.finding import Finding as Finding
    from sterling.kernel.finding import Verdict as Verdict
    from sterling.kernel.schema import Field as Field
    from sterling.kernel.schema import Schema as Schema
    from sterling.pytest_plugin import assert_ships as assert_ships


def __getattr__(name: str) -> Any:
    if name not in _DOOR:
        raise AttributeError(f"module 'sterling' has no attribute {name!r}")
    return getattr(importlib.import_module(_DOOR[name]), name)


def __dir__() -> list[str]:
    return ["__version__", *sorted(_DOOR)]
