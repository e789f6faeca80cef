"""`credit`: which synthetic rows, and which settings of their generator, help or hurt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pyarrow as pa

from sterling.api.compare import Stakes
from sterling.api.inputs import Arena, Roles, prepare
from sterling.api.setting_columns import read_settings
from sterling.api.worth import build_learner
from sterling.kernel import registry
from sterling.kernel.errors import InputError
from sterling.kernel.estimate import Estimate, Unmeasured
from sterling.kernel.protocols import Effort, Learner, OnEvent, PredictingLearner, silent

if TYPE_CHECKING:
    from sterling.blend.credit import Credit, Setting, Value
    from sterling.blend.leave_out import LeftOut
    from sterling.decide.result import Result
    from sterling.kernel.dataset import Dataset
    from sterling.kernel.view import Bools

Without = Literal["settings", "rows", "nothing"]
# The share of runs on innocent settings that name one as harmful.
ALPHA = 0.05
# Values that are left out in trainings of their own: the surely worst.
MOST_TRAINED: dict[Effort, int] = {"full": 8, "fast": 3}
# A row is left out by itself where its credit lies so many standard errors below 0.
SURE_ROW = 2.0
CREDIT_COLUMN = "_sterling_credit"


@dataclass(frozen=True, slots=True)
class Credited:
    """Everything that was found of one candidate.

    Args:
        name: of the candidate.
        found: credits, or why there are none.
        settings: as they were read.
        left_out: by value, what training without its rows gains inside the train rows.
        claim: the value that was put to the benchmark, the worst that is dropped; None where none is.
        confirmed: what leaving it out gained there; None without a claim. It is told, and decides nothing.
        alpha: chance of a claim where settings are innocent.
        weight: of a synthetic row in all trainings.
    """

    name: str
    found: Credit | Unmeasured
    settings: tuple[Setting, ...]
    left_out: Mapping[str, LeftOut]
    claim: Value | None
    confirmed: Estimate | Unmeasured | None
    alpha: float
    weight: float

    def drops(self, value: Value) -> bool:
        """Whether to go on without this value, by the train rows alone.

        A value that surely hurts goes, unless training without it surely loses; one that is surely worse than the
        others goes only if training without it surely gains.
        """
        gained = self.left_out.get(value.title)
        if value.harms(self.alpha):
            return gained is None or not gained.loses
        return value.lags(self.alpha) and gained is not None and gained.gains


def credit(
    real: Any,
    synthetic: Any,
    *,
    target: str,
    by: Sequence[str],
    holdout: Any = None,
    out: Path | None = None,
    without: Without = "settings",
    weight: float | None = None,
    learner: str | Learner = "boosted_trees",
    settings: Sequence[str] | Mapping[str, Any] = (),
    policy: str | Path | None = None,
    stakes: Stakes = "low",
    seed: int = 0,
    effort: Effort = "full",
    schema: Path | None = None,
    entity: str | None = None,
    time: str | None = None,
    on_event: OnEvent = silent,
) -> Result:
    """Judge synthetic rows by what they add to real ones, and their settings by their rows.

    Args:
        real: a path, a frame or a Dataset.
        synthetic: one set; its columns named in `by` say how each row was made.
        target: the column a model shall predict.
        by: columns of the synthetic set alone, such as "persona" or "temperature"; they are no features.
        holdout: real rows that no generator saw; without it REAL splits 80 / 20.
        out: where to write the synthetic rows with the column `_sterling_credit`: .parquet, .csv or .jsonl.
        without: what the written set lacks: rows of harmful settings; these and single rows of surely harmful
            credit; or nothing.
        weight: of a synthetic row beside a real row's 1; None lets all of them weigh no more than the real rows.
        learner: the model the data is for.
        settings: the learner's settings.
        policy: a preset's name or a TOML file.
        stakes: what a wrong model would cost.
        seed: same seed, same answer.
        effort: "fast" validates and trains less.
        schema: TOML that overrides kinds and roles of columns.
        entity: column whose rows stay together in the split.
        time: time column; the latest rows become the holdout.
        on_event: hears cost and progress.

    Returns:
        Findings named `setting_credit`, one per value of each setting, the surely worst first.

    Raises:
        InputError: for input that is unreadable, misnamed or unrelated, or a setting with one value.
    """
    from sterling.api.credit_result import concluded
    from sterling.api.wear import with_wear
    from sterling.decide.policy import load_policy

    rules, model = load_policy(policy, stakes=stakes), build_learner(learner, settings)
    if weight is not None and not 0 < weight <= 100:
        raise InputError(f"a weight of {weight} makes no mix", mend="give a weight above 0, such as 0.3")
    if out is not None and out.suffix.lower() not in (".parquet", ".csv", ".jsonl"):
        raise InputError(f"cannot write {out}", mend="name a file that ends in .parquet, .csv or .jsonl")
    roles = Roles(target=target, entity=entity, time=time, schema=schema)
    arena = prepare(real, [synthetic], roles=roles, holdout=holdout, why="credit", on_event=on_event)
    made_by = read_settings(arena.candidates[0], by, target=target)
    found = measure(arena, made_by, learner=model, weight=weight, seed=seed, effort=effort, on_event=on_event)
    asked = repr((target, tuple(by), weight, repr(model), rules.label, seed, effort))
    if out is not None:
        write(arena.candidates[0], found, out, without=without)
    result = concluded(arena, found, policy=rules, seed=seed, out=out, without=without)
    return with_wear(result, arena, policy=rules, learner=repr(model), asked=asked, on_event=on_event)


def measure(
    arena: Arena,
    settings: tuple[Setting, ...],
    *,
    learner: Learner,
    weight: float | None,
    seed: int,
    effort: Effort,
    on_event: OnEvent,
) -> Credited:
    """Credits, what leaving values out gains inside the train rows, and one look at the benchmark if one is dropped."""
    from sterling.blend import credit as credits_
    from sterling.blend.leave_out import confirm, leave_out, trainings

    real, made = arena.train_view, arena.views[0]
    guide = learner if isinstance(learner, PredictingLearner) else registry.build("learners", "boosted_trees", {})
    used = min(1.0, real.n / made.n) if weight is None else weight
    most = min(MOST_TRAINED[effort], sum(len(s.labels) for s in settings))
    on_event("cost", {"trainings": credits_.FOLDS + trainings(most, effort=effort), "rows": real.n + made.n})
    found = credits_.credit(
        real, made, settings, guide=guide, seed=seed, effort=effort, alpha=ALPHA, on_event=on_event
    )  # fmt: skip
    if isinstance(found, Unmeasured):
        return Credited(arena.candidates[0].name, found, settings, {}, None, None, ALPHA, used)
    judged = [v for v in found.values if isinstance(v.credit, Estimate)]
    gains = leave_out(
        real, made, {v.title: v.rows for v in judged[:most]}, looks=len(judged), weight=used, learner=learner,
        seed=seed, effort=effort, on_event=on_event,
    )  # fmt: skip
    sealed = Credited(arena.candidates[0].name, found, settings, gains, None, None, ALPHA, used)
    claim = next((v for v in judged if sealed.drops(v)), None)
    if claim is None:
        return sealed
    confirmed = confirm(
        real, arena.benchmark_view, made, claim.rows, weight=used, learner=learner, seed=seed, effort=effort,
        on_event=on_event,
    )  # fmt: skip
    return replace(sealed, claim=claim, confirmed=confirmed)


def dropped(found: Credited, without: Without) -> Bools | None:
    """[m] the rows that a set without harmful ones lacks; None where no row has a credit."""
    if isinstance(found.found, Unmeasured):
        return None
    credits_ = found.found
    out = np.zeros(credits_.rows.size, dtype=bool)
    if without != "nothing":
        for value in credits_.values:
            if found.drops(value):
                out |= value.rows
    if without == "rows":
        out |= credits_.rows + SURE_ROW * credits_.errors < 0
    return out


def write(made: Dataset, found: Credited, out: Path, *, without: Without) -> None:
    """Write the candidate with the credit of each row, less what `without` names.

    Raises:
        InputError: if there are no credits, if every row would be left out, or the file cannot be written.
    """
    from sterling.modalities.tabular import from_table
    from sterling.ship.export import export

    gone = dropped(found, without)
    if gone is None or isinstance(found.found, Unmeasured):
        return
    if gone.all():
        raise InputError("every synthetic row would be left out", mend="write them all with --without nothing")
    each = pa.array(found.found.rows, pa.float64(), mask=np.isnan(found.found.rows))
    table = made.table()
    if CREDIT_COLUMN in table.column_names:
        table = table.drop_columns([CREDIT_COLUMN])
    table = table.append_column(CREDIT_COLUMN, each).filter(pa.array(~gone))
    formats: dict[str, Literal["parquet", "csv", "jsonl"]] = {".parquet": "parquet", ".csv": "csv", ".jsonl": "jsonl"}
    kept = from_table(table, name=out.stem, origin=made.origin, lineage=made.lineage)
    export(kept, out, format=formats[out.suffix.lower()])
