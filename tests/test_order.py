"""The order of training: named where it is shown, real rows alone where none is; arms that fail stop nothing."""

from __future__ import annotations

import json
import pickle
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sterling.blend.adapt import adapted
from sterling.blend.order import Order, Orders, find_order
from sterling.decide.policy import load_policy
from sterling.decide.rules import Facts, decide
from sterling.kernel.errors import InputError, TaskFailed
from sterling.kernel.estimate import Estimate, Unmeasured
from sterling.kernel.finding import Finding, Status, Verdict
from sterling.kernel.schema import Kind, Role
from sterling.kernel.view import Column, View
from sterling.learners.boosted_trees import BoostedTrees
from sterling.learners.command import Command
from sterling.learners.logistic import Logistic
from sterling.stats.scores import score_of

SLOPES = np.array([1.0, -0.8, 0.6, 0.4, 0.3, 0.2, 0.1, 0.0, 0.5, -0.5, 0.4, 0.3])
LEARNER = Logistic()


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def rows(n: int, seed: int, *, flip: float = 0.0, turn: float = 0.0, moved: float = 0.0, one: bool = False) -> View:
    """Logistic rows: labels flipped, slopes turned, the columns stretched and shifted, or one class alone."""
    r = rng(seed)
    x = r.normal(size=(n, SLOPES.size))
    label = (x @ (SLOPES + turn * np.roll(SLOPES, 3)) + r.logistic(size=n) > 0).astype(np.int64)
    label = np.zeros(n, np.int64) if one else np.where(r.random(n) < flip, 1 - label, label)
    x = x * (1 + moved) + 2 * moved * np.arange(SLOPES.size)
    columns = [Column(f"x{j}", Kind.NUMBER, Role.FEATURE, x[:, j]) for j in range(SLOPES.size)]
    return View(n, f"s{seed}", (*columns, Column("y", Kind.CATEGORY, Role.TARGET, label, ("no", "yes"))))


def find(train: View, test: View, made: dict[str, View], **more: Any) -> Orders:
    return find_order(train, test, made, **({"learner": LEARNER, "seed": 0, "effort": "fast"} | more))


def by_slice(found: Orders) -> dict[str, Finding]:
    return {str(f.slice): f for f in found.report.findings}


def test_other_peoples_rows_are_used_and_the_benchmark_agrees() -> None:
    found = find(rows(80, 1), rows(600, 2), {"good": rows(1200, 3)}, effort="full")
    assert found.outcome in ("WINNER", "SIMPLEST")
    assert found.recommended.candidate == "good"
    assert isinstance(found.confirmation, Estimate)
    assert found.confirmation.value > 0.01
    findings = by_slice(found)
    assert len(findings) == 6
    (chosen,) = [f for f in findings.values() if f.status is Status.PASS]
    assert chosen.slice == found.recommended.title
    assert chosen.params["se_factor"] == 2.0
    assert isinstance(chosen.result, Estimate)
    assert chosen.result.value > 2 * float(str(chosen.params["se"]))
    assert found.cost["trainings"]
    assert pickle.loads(pickle.dumps(found.report.findings)) == found.report.findings


@dataclass(frozen=True, slots=True)
class Planted:
    """Knows the relation, and blurs it: less where it went on from a model than where it did not."""

    def fit(self, data: View, weights: Any, *, rng: np.random.Generator, start: Any = None) -> tuple[float, int]:
        return (0.3 if start is not None else 2.0), int(rng.integers(1000))

    def predict(self, model: tuple[float, int], data: View) -> np.ndarray:
        x = np.column_stack([c.values for c in data.features])
        signal = x @ SLOPES + model[0] * rng(model[1] + data.n).normal(size=data.n)
        chance = 1 / (1 + np.exp(-signal))
        return np.c_[1 - chance, chance]

    def losses(self, model: Any, data: View) -> Any:
        raise NotImplementedError

    def cannot_continue(self) -> Unmeasured | None:
        return None


def test_an_order_that_is_better_than_all_others_is_named() -> None:
    found = find(rows(600, 1), rows(1500, 2), {"v": rows(900, 3)}, learner=Planted(), effort="full")
    assert found.outcome == "WINNER"
    assert found.recommended == Order("finetune", "v")
    (said,) = [r for r in judged(found).rules if r.rule == "D14"]
    assert said.outcome == "USE_ORDER"
    assert "beats every other order" in said.reason
    assert "cannot be held to a budget" in found.report.table.note


def test_fine_tuning_keeps_what_pre_training_taught() -> None:
    def near(n: int, seed: int, off: float = 0.0) -> View:
        r, slopes = rng(seed), rng(7).normal(size=40) * 0.5 + off * rng(8).normal(size=40)
        x = r.normal(size=(n, 40))
        y = Column("y", Kind.CATEGORY, Role.TARGET, (x @ slopes + r.logistic(size=n) > 0).astype(int), ("no", "yes"))
        return View(n, f"w{seed}", (*(Column(f"x{j}", Kind.NUMBER, Role.FEATURE, x[:, j]) for j in range(40)), y))

    found = find(near(200, 1), near(1500, 2), {"near": near(2000, 3, 0.45)}, effort="full")
    scores: dict[Any, Any] = {row[0]: row[1] for row in found.report.table.rows}
    assert scores["near: pre-train, fine-tune"] > scores["near: synthetic alone"] + 0.03
    assert scores["near: pre-train, fine-tune"] > scores["real alone"] + 0.005
    assert "equal" in by_slice(found)["near: weighted mix"].evidence


def test_poison_leaves_the_real_rows_alone_and_the_benchmark_sealed() -> None:
    heard: list[str] = []
    found = find(
        rows(300, 1), rows(600, 2), {"poison": rows(2000, 3, flip=0.7)}, on_event=lambda event, _: heard.append(event)
    )
    assert found.outcome == "REAL_ONLY"
    assert found.recommended == Order("real")
    assert isinstance(found.confirmation, Unmeasured)
    assert heard[0] == "cost"
    assert "opened" not in heard
    assert by_slice(found)["poison: synthetic alone"].status is Status.WARN


def test_what_the_folds_like_and_the_benchmark_does_not_is_refused() -> None:
    # The candidate knows the train rows by heart, wrong labels included.
    noise = rows(200, 1, flip=0.4)
    copies = noise.take(np.tile(np.arange(200), 5))
    found = find(noise, rows(800, 2), {"copies": copies}, fitted_on={"copies": "real"}, effort="full")
    assert found.outcome == "REAL_ONLY"
    assert isinstance(found.confirmation, Estimate)
    told = [f for f in found.report.findings if "refused" in f.evidence]
    assert "does not confirm" in str(told[0].evidence["refused"])
    assert "upper bound" in str(told[0].reason)
    assert not [f for f in found.report.findings if f.status is Status.PASS]


def test_a_set_in_other_units_helps_once_it_is_moved() -> None:
    sets = {"moved": rows(1500, 3, moved=0.8)}
    found = find(rows(200, 1), rows(1500, 2), sets, learner=BoostedTrees(budget=15, tuning="none"), effort="full")
    scores: dict[Any, Any] = {row[0]: row[1] for row in found.report.table.rows}
    assert scores["moved: mix after moments"] > scores["moved: weighted mix"] + 0.03
    assert found.recommended.how == "adapted"
    assert found.outcome == "SIMPLEST"  # three ways of moving do as well


def test_an_innocent_set_is_not_harmed_by_moving_it() -> None:
    train, judge = rows(300, 1), rows(4000, 9)
    made = rows(2000, 3)
    plain = score_of(judge.target, LEARNER.predict(LEARNER.fit(made, None, rng=rng()), judge))  # type: ignore[arg-type]
    for matching in ("moments", "quantiles", "coral"):
        model = LEARNER.fit(adapted(made, train, matching), None, rng=rng())
        assert score_of(judge.target, LEARNER.predict(model, judge)) > plain - 0.004  # type: ignore[arg-type]


def test_moving_keeps_whole_numbers_atoms_categories_and_the_range() -> None:
    r = rng(4)

    def table(n: int, scale: float) -> View:
        zero = np.where(r.random(n) < 0.8, 0.0, r.integers(1, 99, n)) * scale
        columns = (
            Column("age", Kind.NUMBER, Role.FEATURE, np.round(r.normal(40, 9, n) * scale), integer=True),
            Column("gain", Kind.NUMBER, Role.FEATURE, zero, integer=True),
            Column("city", Kind.CATEGORY, Role.FEATURE, r.integers(3, size=n), ("a", "b", "ü")),
            Column("y", Kind.CATEGORY, Role.TARGET, r.integers(2, size=n), ("n", "y")),
        )
        return View(n, "t", columns, hashes=np.arange(n, dtype=np.uint64))

    real, made = table(500, 1.0), table(800, 2.0)
    for matching in ("moments", "quantiles", "coral"):
        moved = adapted(made, real, matching)
        age, gain = moved.column("age").values, moved.column("gain").values
        assert np.array_equal(age, np.round(age))
        assert real.column("age").values.min() <= age.min() <= age.max() <= real.column("age").values.max()
        assert abs(age.mean() - 40) < 2
        assert np.array_equal(gain == 0, made.column("gain").values == 0) or matching == "quantiles"
        assert np.array_equal(moved.column("city").values, made.column("city").values)
        assert moved.hashes is None
        assert moved.fingerprint != made.fingerprint


def test_shares_of_classes_are_not_taken_for_a_place() -> None:
    def skewed(n: int, share: float, seed: int) -> View:
        y = (rng(seed).random(n) < share).astype(np.int64)
        x = rng(seed + 1).normal(size=n) + 4 * y
        return View(
            n, "s", (Column("x", Kind.NUMBER, Role.FEATURE, x), Column("y", Kind.CATEGORY, Role.TARGET, y, ("a", "b")))
        )

    made, real = skewed(3000, 0.8, 1), skewed(3000, 0.2, 5)
    for per in ("set", "class"):
        moved = adapted(made, real, "moments", per=per)  # type: ignore[arg-type]
        assert abs(moved.column("x").values.mean() - made.column("x").values.mean()) < 0.15


@dataclass(frozen=True, slots=True)
class Broken:
    """Learns as `Logistic`, but fails on more than so many rows, or says what is no number."""

    most: int = 10_000
    nan: bool = False
    inner: Logistic = LEARNER

    def fit(self, data: View, weights: Any, *, rng: np.random.Generator, start: Any = None) -> Any:
        if data.n > self.most:
            raise TaskFailed(f"{data.n} rows are too many", mend="fewer rows")
        return self.inner.fit(data, weights, rng=rng)

    def predict(self, model: Any, data: View) -> Any:
        return self.inner.predict(model, data) * (np.nan if self.nan else 1.0)

    def losses(self, model: Any, data: View) -> Any:
        return self.inner.losses(model, data)


def test_arms_that_fail_are_recorded_and_the_rest_go_on() -> None:
    found = find(rows(300, 1), rows(500, 2), {"big": rows(400, 3), "small": rows(60, 4)}, learner=Broken(most=320))
    findings = by_slice(found)
    assert isinstance(findings["small: synthetic alone"].result, Estimate)
    assert isinstance(findings["big: weighted mix"].result, Unmeasured)
    assert "rows are too many" in str(findings["big: weighted mix"].reason)
    fine = findings["small: pre-train, fine-tune"].result
    assert isinstance(fine, Unmeasured)
    assert "cannot continue" in fine.reason
    assert "boosted_trees" in fine.mend
    assert any(row[3] == "failed" for row in found.report.table.rows)


def test_where_real_rows_alone_fail_every_order_says_so() -> None:
    found = find(rows(300, 1), rows(500, 2), {"v": rows(400, 3)}, learner=Broken(nan=True))
    assert found.outcome == "UNMEASURED"
    assert all(isinstance(f.result, Unmeasured) and "no number" in f.result.reason for f in found.report.findings)
    decision = judged(found)
    assert decision.verdict is Verdict.INSUFFICIENT


def test_sets_that_cannot_teach() -> None:
    empty = rows(50, 4)
    empty = replace(
        empty, columns=tuple(replace(c, values=np.full(50, -1)) if c.name == "y" else c for c in empty.columns or ())
    )
    found = find(rows(200, 1), rows(500, 2), {"one": rows(400, 3, one=True), "none": empty})
    findings = by_slice(found)
    assert "one class only" in str(findings["one: pre-train, fine-tune"].reason)
    assert isinstance(findings["one: weighted mix"].result, Estimate)
    assert "target is known" in str(findings["none: weighted mix"].reason)


@pytest.mark.parametrize("train", [rows(1, 1), rows(40, 1, one=True), rows(12, 1)])
def test_too_little_is_said(train: View) -> None:
    found = find(train, rows(500, 2), {"v": rows(400, 3)})
    assert found.outcome == "UNMEASURED"
    assert isinstance(found.confirmation, Unmeasured)
    assert found.confirmation.mend
    with pytest.raises(InputError, match="folds"):
        find(train, rows(500, 2), {"v": rows(400, 3)}, folds=1)


def judged(found: Orders, **policy: Any) -> Any:
    import datetime

    facts = Facts(kind="order", n_train=800, n_benchmark=600, minority_train=300, minority_benchmark=300,
                  holdout_given=True, chosen=("x",))  # fmt: skip
    rules = replace(load_policy(), **policy)
    return decide(found.report.findings, facts=facts, policy=rules, today=datetime.date(2026, 11, 24))


def test_d14_speaks_and_a_stricter_policy_is_heard() -> None:
    found = find(rows(80, 1), rows(600, 2), {"good": rows(1200, 3)}, effort="full")
    (said,) = [r for r in judged(found).rules if r.rule == "D14"]
    assert said.outcome in ("USE_ORDER", "USE_SIMPLEST")
    assert "on the benchmark, opened once" in said.reason
    assert "2 standard errors" in said.reason
    from sterling.decide.policy import OrderTerms

    (strict,) = [r for r in judged(found, order=OrderTerms(50.0)).rules if r.rule == "D14"]
    assert strict.outcome == "REAL_ONLY"
    assert strict.verdict is Verdict.FIX


# The program keeps the mean of what it was given: of its rows, and of the model that it starts from.
PROGRAM = """
import json, os, sys
import pyarrow.parquet as pq
start, model = os.environ["STERLING_START"], os.environ["STERLING_MODEL"]
n = pq.read_table(os.environ["STERLING_TRAIN"]).num_rows
if os.listdir(start):
    n += 1000 * json.load(open(start + "/n.json"))
json.dump(n, open(model + "/n.json", "w"))
print(n / 1e6)
"""


def test_a_program_goes_on_from_what_it_left(tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text(PROGRAM)
    learner = Command(f"{sys.executable} {script}")
    assert learner.cannot_continue() is None
    first = learner.fit(rows(7, 1), None, rng=rng())
    second = learner.fit(rows(5, 1), None, rng=rng(), start=first)
    assert learner.score(first, rows(3, 1)) == pytest.approx(7e-6)
    assert learner.score(pickle.loads(pickle.dumps(second)), rows(3, 1)) == pytest.approx(7005e-6)
    assert Command("train {train} {start} {model}").cannot_continue() is None


def test_a_program_that_names_no_folder_cannot_go_on(tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text("print(0.5)")
    learner = Command(f"{sys.executable} {script}")
    why = learner.cannot_continue()
    assert why is not None
    assert "{start}" in why.mend
    with pytest.raises(InputError, match="cannot continue"):
        learner.fit(rows(5, 1), None, rng=rng(), start=learner.fit(rows(5, 1), None, rng=rng()))
    script.write_text("import os; os.environ['STERLING_START'], os.environ['STERLING_MODEL']; print(0.5)")
    second = learner.fit(rows(5, 1), None, rng=rng(), start=learner.fit(rows(5, 1), None, rng=rng()))
    with pytest.raises(InputError, match="left no model"):
        learner.score(second, rows(5, 1))


def test_the_command_says_it_in_the_terminal_and_in_json(cli: Any, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "order.json"
    said = cli("order", folder / "real.csv", folder / "vendor.csv", "--target", "label", "--holdout",
               folder / "holdout.csv", "--fast", "--json", out, "--html", tmp_path / "o.html")  # fmt: skip
    assert said.code == 0
    assert "Orders of training" in said.out
    assert "D14" in said.out
    found = json.loads(out.read_text())
    assert {f["measure"] for f in found["findings"]} == {"order_gain"}
    assert len(found["findings"]) == 4
    assert found["tables"][0]["rows"]
    assert "Orders of training" in (tmp_path / "o.html").read_text()


def test_a_program_that_hangs_ends_with_an_answer(cli: Any, folder: Path, tmp_path: Path) -> None:
    said = cli("order", folder / "real.csv", folder / "vendor.csv", "--target", "label", "--fast", "--learner",
               "command", "--set", f"command={sys.executable} -c 'import time; time.sleep(60)'", "--set",
               "time_limit=0.5")  # fmt: skip
    assert said.code == 0
    assert "did not end within 0.5 s" in " ".join(said.out.split())


def test_a_candidate_that_lacks_columns_is_tried_on_those_it_has(cli: Any, folder: Path, tmp_path: Path) -> None:
    import pyarrow.csv as pc

    small = pc.read_csv(folder / "vendor.csv").drop_columns(["relationship"])
    pc.write_csv(small, tmp_path / "narrow.csv")
    said = cli("order", folder / "real.csv", tmp_path / "narrow.csv", "--target", "label", "--fast")
    assert said.code == 0
    assert "narrow lacks relationship" in " ".join(said.out.split())


def test_same_seed_same_answer() -> None:
    a, b = (find(rows(120, 1), rows(500, 2), {"v": rows(300, 3)}, learner=BoostedTrees(budget=20)) for _ in range(2))
    assert a.report.findings == b.report.findings


@pytest.mark.slow
def test_orders_that_harm_are_seldom_named() -> None:
    """Truth is the score on 6,000 more rows; the candidates are useless or nearly so."""
    judge = rows(6000, 99)
    losses, named, winners = [], 0, 0
    for rep in range(40):
        planted: dict[str, Any] = [{"flip": 0.4}, {"turn": 1.0}, {"flip": 0.5}, {"turn": 0.6}][rep % 4]
        train, made = rows(300, 100 * rep + 1000), rows(1500, 100 * rep + 1001, **planted)
        found = find(train, rows(500, 100 * rep + 1002), {"v": made}, seed=rep)
        from sterling.blend.order_arms import Setting, train_order

        setting = Setting(
            train, judge, {"v": made.take(np.arange(300))},
            {"v": float(str(next(f.evidence["weight"] for f in found.report.findings if "weight" in f.evidence))) * 5},
            LEARNER, rep, "fast", lambda *_: None, 0,
        )  # fmt: skip

        def score(order: Order, setting: Setting = setting, train: View = train) -> float:
            model = train_order(setting, order, train, budget="tuned", run="r", starts={})
            return score_of(judge.target, LEARNER.predict(model, judge))  # type: ignore[arg-type]

        named += found.outcome != "REAL_ONLY"
        winners += found.outcome == "WINNER"
        losses.append(score(Order("real")) - score(found.recommended))
    assert np.mean(np.array(losses) > 0.005) <= 0.05
    assert winners <= 2
    assert named <= 12
