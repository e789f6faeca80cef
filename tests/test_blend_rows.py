"""The mixed set on disk: each row carries the weight that its recipe gave it, and the result says what was tried."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from sterling.api.blend import blend_sets, mix_json, preset_notes, tried_tables, write_mix
from sterling.api.inputs import Arena, Roles, prepare
from sterling.blend.mixture import Mix
from sterling.blend.recipe import Recipe
from sterling.blend.trials import Trial
from sterling.blend.variants import PRESET
from sterling.kernel.estimate import Unmeasured
from sterling.kernel.protocols import silent
from sterling.sources.store import read_set

NOTHING = Unmeasured("not asked", "ask")


@pytest.fixture(autouse=True)
def _journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STERLING_HOME", str(tmp_path / "home"))


def table(n: int, seed: int, *, spoilt: bool = False) -> pa.Table:
    r = np.random.default_rng(seed)
    x = r.normal(size=(n, 6))
    label = x @ np.array([1.0, -0.8, 0.6, 0.5, 0.4, 0.0]) + r.logistic(size=n) > 0
    bad = spoilt & (np.arange(n) % 2 == 0)
    x[bad, 5] += 8
    label = np.where(bad, ~label, label)
    cells: dict[str, Any] = {f"x{j}": x[:, j] for j in range(6)}
    return pa.table({**cells, "größe": np.where(r.random(n) < 0.5, "a", "b"), "label": np.where(label, "yes", "no")})


def arena(made: pa.Table) -> Arena:
    roles = Roles(target="label")
    return prepare(table(60, 1), [made], roles=roles, holdout=table(200, 2), why="test", on_event=silent)


def weights_of(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    found = read_set(folder)
    rows = pa.concat_tables([pa.Table.from_batches([b]) if isinstance(b, pa.RecordBatch) else b
                             for b in found.batches()])  # fmt: skip
    origin, weight = (rows[f"_sterling_{name}"].to_numpy(zero_copy_only=False) for name in ("origin", "weight"))
    return origin, weight


def adopted(name: str, recipe: Recipe | None) -> Mix:
    trial = Trial({name: 0.5}, np.array([0.01, 0.02]), "plain" if recipe is None else recipe.variant, 80.0)
    recipes = {} if recipe is None else {name: recipe}
    return Mix({name: 0.5}, "MIX", NOTHING, NOTHING, (), (trial,), trial.variant, recipes, {}, trial)


def test_every_row_has_its_own_weight_and_rows_of_none_stay_out(tmp_path: Path) -> None:
    made = table(100, 3)
    made = made.set_column(7, "label", pa.array([None, *made["label"].to_pylist()[1:]]))
    ground = arena(made)
    name = ground.candidates[0].name
    rows = np.where(np.arange(99) < 30, 0.0, 2.0)
    write_mix(ground, adopted(name, Recipe("importance weights", rows)), tmp_path / "mix")
    origin, weight = weights_of(tmp_path / "mix")
    assert (origin == "real").sum() == 60
    assert (weight[origin == "real"] == 1).all()
    # 30 rows of weight 0 and the one whose target is unknown are not there.
    assert (weight[origin != "real"] == 1.0).sum() == 69 == (origin != "real").sum()


def test_plain_weights_are_as_they_were(tmp_path: Path) -> None:
    ground = arena(table(100, 3))
    write_mix(ground, adopted(ground.candidates[0].name, None), tmp_path / "mix")
    origin, weight = weights_of(tmp_path / "mix")
    assert (weight[origin != "real"] == 0.5).sum() == 100


def test_the_preset_weighs_real_rows_too(tmp_path: Path) -> None:
    ground = arena(table(100, 3))
    edge = np.where(np.arange(60) < 12, 1.0, 0.0)
    mix = adopted(ground.candidates[0].name, Recipe(PRESET, np.full(100, 0.96), edge))
    write_mix(ground, mix, tmp_path / "mix")
    origin, weight = weights_of(tmp_path / "mix")
    assert (origin == "real").sum() == 12
    assert weight[origin != "real"].sum() == pytest.approx(48)
    assert mix_json(ground, mix)["variant"] == PRESET


def test_the_result_says_what_was_tried_and_how_the_fields_default_did(tmp_path: Path) -> None:
    found = blend_sets(
        table(150, 1), [table(1500, 3, spoilt=True)], target="label", holdout=table(600, 2), out=tmp_path / "mix",
        learner="logistic",
    )  # fmt: skip
    assert found.mix is not None
    assert {"adopted", "sources", "gain", "confirmed", "variant", "variants"} <= set(found.mix)
    (tried,) = [t for t in found.tables if t.title == "What was tried"]
    assert tried.columns == ("mix", "variant", "gain", "SE", "ESS", "kept")
    assert PRESET in {row[1] for row in tried.rows}
    assert any("80 % synthetic for common cases" in note for note in found.notes)
    if found.mix["variant"] != "plain":
        origin, weight = weights_of(tmp_path / "mix")
        assert np.unique(weight[origin != "real"]).size > 1 or (origin != "real").sum() < 1500


def test_nothing_tried_is_no_table() -> None:
    empty = replace(adopted("a", None), tried=(), outcome="REAL_ONLY", best=None)
    assert tried_tables(empty) == ()
    assert preset_notes(empty) == ()


def test_eight_minority_rows_are_a_clear_answer() -> None:
    real = table(300, 1)
    real = real.set_column(7, "label", pa.array(["yes"] * 8 + ["no"] * 292))
    found = blend_sets(real, [table(400, 3)], target="label", holdout=table(300, 2), learner="logistic", effort="fast")
    (gain,) = [f for f in found.findings if f.measure == "mix_gain"]
    assert "8 rows of its rarest class" in (gain.reason or "")
    assert found.mix is not None
    assert found.mix["adopted"] is False
