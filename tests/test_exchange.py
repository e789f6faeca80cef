"""Worth in real rows: planted answers, coverage where the truth is known, shortage, every bad input."""

from __future__ import annotations

import json
import math
import pickle
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sterling.blend.equivalent import Arm, Placed
from sterling.blend.exchange import Candidate, judge_candidates, measure_curve, plan_cost, worth
from sterling.blend.from_runs import worth_of_runs
from sterling.blend.marginal import marginal_of
from sterling.blend.slicing import slices_of
from sterling.blend.training import Curve, curve_sizes, nested_order
from sterling.blend.worth_findings import MEASURE, Terms
from sterling.kernel.errors import InputError, TaskFailed, UnknownName, UnreadableInput
from sterling.kernel.estimate import Estimate, Unmeasured
from sterling.kernel.finding import Finding, Status
from sterling.kernel.schema import Kind, Role
from sterling.kernel.view import Column, View, stack
from sterling.learners.command import Command
from sterling.learners.logistic import Logistic
from sterling.stats.scores import score_of

SLOPES = np.array([1.0, -0.8, 0.6, 0.4, 0.3, 0.2, 0.1, 0.0, 0.5, -0.5, 0.4, 0.3])
LEARNER = Logistic()


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def rows(n: int, seed: int, *, flip: float = 0.0, kind: str = "class") -> View:
    """A linear problem with a group column that carries nothing; `flip` is the share of wrong labels."""
    r = rng(seed)
    x = r.normal(size=(n, SLOPES.size))
    signal = x @ SLOPES
    group = Column("g", Kind.CATEGORY, Role.GROUP, r.integers(2, size=n), ("ä", "b"))
    columns = [Column(f"x{j}", Kind.NUMBER, Role.FEATURE, x[:, j]) for j in range(SLOPES.size)]
    if kind == "number":
        y = signal + 2 * r.normal(size=n)
        return View(n, f"s{seed}", (*columns, group, Column("y", Kind.NUMBER, Role.TARGET, y)))
    label = (signal + r.logistic(size=n) > 0).astype(np.int64)
    label = np.where(r.random(n) < flip, 1 - label, label)
    return View(n, f"s{seed}", (*columns, group, Column("y", Kind.CATEGORY, Role.TARGET, label, ("no", "yes"))))


def with_target(view: View, values: np.ndarray) -> View:
    return replace(view, columns=tuple(replace(c, values=values) if c.name == "y" else c for c in view.columns or ()))


def only(findings: tuple[Finding, ...], name: str, part: str | None = None) -> Finding:
    (found,) = [f for f in findings if f.candidate == name and f.slice == part and f.measure == MEASURE]
    return found


def rate(found: Finding) -> Estimate:
    assert isinstance(found.result, Estimate), found.result
    return found.result


@pytest.fixture(scope="module")
def planted() -> Any:
    train, test = rows(800, 1), rows(1500, 2)
    shuffled = rows(800, 3)
    return worth(
        train,
        test,
        {
            "same": train,
            "others": rows(200, 4),
            "many": rows(4000, 5),
            "noisy": rows(800, 6, flip=0.3),
            "shuffled": with_target(shuffled, rng(7).permutation(shuffled.column("y").values)),
        },
        fitted_on={"same": "real", "many": "other"},
        learner=LEARNER,
        seed=0,
        slices=("g",),
    )


def test_the_real_rows_themselves_are_worth_about_their_number(planted: Any) -> None:
    found = rate(only(planted.findings, "same"))
    assert found.low <= 800 <= found.high
    assert found.value > 550


def test_other_peoples_rows_are_worth_about_their_number(planted: Any) -> None:
    found = rate(only(planted.findings, "others"))
    assert found.low <= 200 <= found.high
    assert 90 < found.value < 500


def test_beyond_the_curve_it_is_at_least(planted: Any) -> None:
    finding = only(planted.findings, "many")
    found = rate(finding)
    assert found.censored
    assert found.value <= 800
    assert found.low > 200
    assert "at least" in (finding.reason or "")


def test_shuffled_labels_are_worth_nothing(planted: Any) -> None:
    finding = only(planted.findings, "shuffled")
    found = rate(finding)
    assert (found.low, found.high) == (0.0, 50.0)
    assert found.value < 25
    assert finding.status is Status.WARN


def test_wrong_labels_cost_rows(planted: Any) -> None:
    noisy = rate(only(planted.findings, "noisy"))
    assert noisy.value < 350
    assert noisy.high < math.inf


def test_who_may_have_seen_the_benchmark_is_an_upper_bound(planted: Any) -> None:
    assert "was fitted on" in (only(planted.findings, "same").reason or "")
    assert "may have seen" in (only(planted.findings, "noisy").reason or "")
    assert "upper bound" not in (only(planted.findings, "many").reason or "")
    assert only(planted.findings, "noisy").evidence["upper_bound"] is True


def test_evidence_and_picture(planted: Any) -> None:
    noisy = only(planted.findings, "noisy")
    assert noisy.params["marginal"] is not None
    assert noisy.evidence["worth_of_half"] < rate(noisy).value  # type: ignore[operator]
    assert noisy.evidence["per_1000_rows"] == pytest.approx(rate(noisy).value / 0.8)
    picture = planted.curve_json()
    assert json.loads(json.dumps(picture, allow_nan=False)) == picture
    assert [p["n"] for p in picture["points"]] == noisy.evidence["sizes"]
    assert all(p["low"] <= p["score"] <= p["high"] for p in picture["points"])
    assert {c["name"]: c["worth_high"] is None for c in picture["candidates"]}["many"]
    assert picture["reference"]["n"] == 800
    assert planted.values["shuffled"] < 25
    for finding in planted.findings:
        json.dumps(finding.as_json(), allow_nan=False)


def test_every_slice_has_its_own_worth(planted: Any) -> None:
    for name in ("g=ä", "g=b"):
        assert rate(only(planted.findings, "noisy", name)).value < 600
        assert name in (only(planted.findings, "noisy", name).reason or "")


def test_same_seed_same_answer_and_everything_pickles() -> None:
    train, test, made = rows(150, 1), rows(200, 2), {"a": rows(100, 3)}
    first, second = (worth(train, test, made, fitted_on={}, learner=LEARNER, seed=3, runs=2) for _ in range(2))
    other = worth(train, test, made, fitted_on={}, learner=LEARNER, seed=4, runs=2)
    assert [f.as_json() for f in first.findings] == [f.as_json() for f in second.findings]
    assert first.findings[0].as_json() != other.findings[0].as_json()
    assert pickle.loads(pickle.dumps(first)).curve_json() == first.curve_json()


def test_regression_is_measured_in_r2() -> None:
    train, test = rows(600, 1, kind="number"), rows(600, 2, kind="number")
    made = {"others": rows(150, 3, kind="number")}
    found = worth(train, test, made, fitted_on={}, learner=LEARNER, seed=0, runs=3)
    assert found.curve_json()["metric"] == "R2"
    assert rate(found.findings[0]).low <= 150 <= rate(found.findings[0]).high


def truth_of(sets: list[View], judges: View) -> list[float]:
    """Fresh real rows that score, on average, as a model of each of these very sets does: on many judges."""
    target = judges.column("y")

    def score(view: View) -> float:
        return score_of(target, LEARNER.predict(LEARNER.fit(view, None, rng=rng()), judges))

    sizes = np.geomspace(30, 800, 9).round().astype(int)
    means = [np.mean([score(rows(n, 10**6 + 1000 * n + i)) for i in range(min(60, 8000 // n))]) for n in sizes]
    curve = np.maximum.accumulate(means)
    return [float(np.exp(np.interp(score(view), curve, np.log(sizes)))) for view in sets]


def test_the_interval_covers_the_truth() -> None:
    """The truth is known: the score of each set on 8,000 judges, on a curve of hundreds of fresh trainings."""
    reps, seen = 30, (60, 150)
    sets = [rows(n, 1000 * rep + n) for rep in range(reps) for n in seen]
    truths = truth_of(sets, rows(8000, 10**7))
    hits = 0
    for rep in range(reps):
        made = {str(n): sets[len(seen) * rep + i] for i, n in enumerate(seen)}
        train, test = rows(400, 1000 * rep + 1), rows(400, 1000 * rep + 2)
        found = worth(train, test, made, fitted_on={}, learner=LEARNER, seed=rep, runs=3, level=0.9)
        for i, n in enumerate(seen):
            result, truth = rate(only(found.findings, str(n))), truths[len(seen) * rep + i]
            hits += result.low <= truth <= result.high
    assert hits >= 47  # 90 % nominal: 46 or fewer of 60 has probability .002


def test_the_cost_is_known_before_and_kept() -> None:
    train, test, made = rows(200, 1), rows(100, 2), {"a": rows(50, 3)}
    for also in ("alone", "added"):
        heard: list[tuple[str, Any]] = []
        worth(
            train, test, made, fitted_on={}, learner=LEARNER, seed=0, runs=2, also=also,
            on_event=lambda e, f, heard=heard: heard.append((e, f)),
        )  # fmt: skip
        planned = plan_cost(train, made, learner=LEARNER, runs=2, also=also)
        assert heard[0][0] == "cost"
        assert planned.as_json().items() <= heard[0][1].items()
        assert planned.most_seconds is None
        trained = [f for e, f in heard if e == "trained"]
        assert len(trained) == planned.trainings
        assert sum(f["rows"] for f in trained) == planned.rows
    assert plan_cost(train, made, learner=Command("x", time_limit=7), runs=2).most_seconds == 7 * 10


@dataclass(frozen=True)
class Slow(Logistic):
    """Takes 40 microseconds a row."""

    def fit(self, data: View, weights: Any, *, rng: Any, start: Any = None) -> Any:
        time.sleep(0.002 + 4e-5 * data.n)
        return Logistic.fit(self, data, weights, rng=rng, start=start)


def test_the_seconds_are_told_before_and_right_within_a_factor_of_two() -> None:
    heard: list[float] = []
    start = time.monotonic()
    worth(
        rows(400, 1), rows(100, 2), {"a": rows(1500, 3)}, fitted_on={}, learner=Slow(), seed=0, runs=3,
        on_event=lambda e, f: heard.append(float(str(f["seconds"]))) if e == "cost" else None,
    )  # fmt: skip
    took = time.monotonic() - start
    assert took / 2 < heard[0] < took * 2


def test_nested_subsets_keep_the_class_shares() -> None:
    target = Column("y", Kind.CATEGORY, Role.TARGET, np.repeat([0, 1], [900, 100]), ("a", "b"))
    order = nested_order(target, rng=rng())
    assert sorted(order) == list(range(1000))
    for size in (50, 100, 500):
        assert abs(int(target.values[order[:size]].sum()) - size // 10) <= 1
    assert curve_sizes(target)[0] == 50
    assert curve_sizes(Column("y", Kind.CATEGORY, Role.TARGET, np.repeat([0, 1], [4950, 50]), ("a", "b")))[0] == 500


@pytest.mark.parametrize(
    ("train", "test", "says"),
    [
        (with_target(rows(200, 1), np.zeros(200, int)), rows(200, 2), "one class only: no"),
        (rows(200, 1), with_target(rows(200, 2), np.full(200, -1)), "missing in every row"),
        (rows(5, 1), rows(200, 2), "rarest class"),
        (rows(200, 1), with_target(rows(200, 2), (np.arange(200) < 9).astype(int)), "9 rows of its rarest class"),
        (with_target(rows(60, 1, kind="number"), np.ones(60)), rows(60, 2, kind="number"), "one value only"),
        (rows(7, 1, kind="number"), rows(60, 2, kind="number"), "7 rows in all"),
    ],
)
def test_shortage_is_an_answer_with_what_it_would_take(train: View, test: View, says: str) -> None:
    found = worth(train, test, {"a": train, "b": test}, fitted_on={}, learner=LEARNER, seed=0)
    assert [f.candidate for f in found.findings] == ["a", "b"]
    for finding in found.findings:
        assert finding.status is Status.UNMEASURED
        assert isinstance(finding.result, Unmeasured)
        assert says in finding.result.reason
        assert finding.result.mend
    assert found.curve_json() == {}


def test_a_target_that_nothing_predicts_has_no_curve_to_read() -> None:
    train, test = (with_target(v, rng(9).integers(2, size=v.n)) for v in (rows(300, 1), rows(300, 2)))
    (finding,) = worth(train, test, {"a": rows(100, 3)}, fitted_on={}, learner=LEARNER, seed=0, runs=2).findings
    assert isinstance(finding.result, Unmeasured)
    assert "do not beat chance" in finding.result.reason


def test_odd_candidates_do_not_stop_the_others() -> None:
    train, test, good = rows(300, 1), rows(400, 2), rows(100, 3)
    made = {
        "one class": with_target(good, np.ones(100, int)),
        "no labels": with_target(good, np.full(100, -1)),
        "no target": replace(good, columns=good.features),
        "empty": good.take(np.array([], dtype=np.int64)),
        "good": good,
    }
    found = worth(train, test, made, fitted_on={}, learner=LEARNER, seed=0, runs=2)
    assert rate(only(found.findings, "one class")).value == 0.0
    for name in ("no labels", "no target", "empty"):
        assert isinstance(only(found.findings, name).result, Unmeasured)
    assert rate(only(found.findings, "good")).value > 0
    assert [c["name"] for c in found.curve_json()["candidates"]] == ["one class", "good"]  # type: ignore[union-attr, index]


@dataclass(frozen=True)
class Brittle(Logistic):
    """Fails on 77 rows."""

    def fit(self, data: View, weights: Any, *, rng: Any, start: Any = None) -> Any:
        if data.n == 77:
            raise TaskFailed("out of luck", mend="try again")
        return Logistic.fit(self, data, weights, rng=rng, start=start)


def test_a_training_that_fails_is_recorded() -> None:
    made = {"bad": rows(77, 3), "good": rows(80, 4)}
    found = worth(rows(200, 1), rows(200, 2), made, fitted_on={}, learner=Brittle(), seed=0, runs=2)
    bad = only(found.findings, "bad").result
    assert isinstance(bad, Unmeasured)
    assert (bad.reason, bad.mend) == ("out of luck", "try again")
    rate(only(found.findings, "good"))
    with pytest.raises(TaskFailed):
        worth(rows(77, 1), rows(200, 2), made, fitted_on={}, learner=Brittle(), seed=0, runs=2)


def test_wrong_names_and_settings() -> None:
    train, test = rows(100, 1), rows(100, 2)
    with pytest.raises(UnknownName, match="did you mean 'x1'"):
        worth(train, test, {"a": train}, fitted_on={}, learner=LEARNER, seed=0, slices=("x1 ",))
    with pytest.raises(InputError, match="--target"):
        worth(replace(train, columns=train.features), test, {}, fitted_on={}, learner=LEARNER, seed=0)
    with pytest.raises(InputError, match="make no curve"):
        measure_curve(train, test, learner=LEARNER, seed=0, sizes=(50, 500))
    with pytest.raises(InputError, match="neither predicts nor scores"):
        measure_curve(train, test, learner=Mute(), seed=0)


class Mute:
    def fit(self, data: View, weights: Any, *, rng: Any, start: Any = None) -> Any:
        return None


def test_slices_with_too_few_rows_are_said() -> None:
    r = rng(5)
    train, test = rows(200, 1), rows(300, 2)
    rare = Column("r", Kind.CATEGORY, Role.FEATURE, np.where(np.arange(300) < 20, 1, 0), ("often", "rare"))
    test = replace(test, columns=(rare, *(test.columns or ())))
    train = replace(train, columns=(replace(rare, values=r.integers(2, size=200)), *(train.columns or ())))
    found = worth(train, test, {"a": train}, fitted_on={}, learner=LEARNER, seed=0, runs=2, slices=("r", "x0"))
    assert isinstance(only(found.findings, "a", "r=rare").result, Unmeasured)
    rate(only(found.findings, "a", "r=often"))
    assert sum((f.slice or "").startswith("x0=") for f in found.findings) == 4


def test_slices_name_every_row_once() -> None:
    values = np.r_[np.arange(40.0), np.nan]
    number = Column("x", Kind.NUMBER, Role.FEATURE, values)
    many = Column("c", Kind.CATEGORY, Role.FEATURE, np.r_[np.arange(40) % 30, -1], tuple(f"l{j}" for j in range(30)))
    when = Column("t", Kind.DATETIME, Role.TIME, 1.5e9 + 86400.0 * np.arange(41))
    same = Column("k", Kind.NUMBER, Role.FEATURE, np.ones(41))
    gone = Column("n", Kind.NUMBER, Role.FEATURE, np.full(41, np.nan))
    view = View(41, "v", (number, many, when, same, gone))
    for name in ("x", "c", "t", "k", "n"):
        found = list(slices_of(view, [name]))
        assert sorted(np.concatenate([s.rows for s in found])) == list(range(41)), name
    names = [s.name for s in slices_of(view, ["x", "c", "t", "k"])]
    assert "x=0-9.75" in names
    assert "x=(missing)" in names
    assert "c=(10 rarer levels)" in names
    assert "t=2017/07/14-2017/07/24" in names
    assert "k=1" in names


# What more rows bring


def placed(value: float, draws: Any = None) -> Placed:
    return Placed(value, np.full(200, value) if draws is None else draws, np.zeros(200))


def test_the_next_rows_and_the_cap_follow_the_law() -> None:
    """1/N(m) = A/m + 1/cap with A = 2 and cap 1,000: N(4,000) = 666.7, N(2,000) = 500, N(5,000) = 714.3."""
    found = marginal_of(placed(2000 / 3), placed(500.0), rows=4000, half_rows=2000, n=3000, level=0.9)
    assert rate_of(found.next_rows).value == pytest.approx(5000 / 7 - 2000 / 3)
    assert rate_of(found.cap).value == pytest.approx(1000.0)
    straight = marginal_of(placed(400.0), placed(200.0), rows=4000, half_rows=2000, n=3000, level=0.9)
    assert rate_of(straight.next_rows).value == pytest.approx(100.0)
    assert rate_of(straight.cap).censored
    flat = marginal_of(placed(400.0), placed(450.0), rows=4000, half_rows=2000, n=3000, level=0.9)
    assert (rate_of(flat.next_rows).value, rate_of(flat.cap).value) == (pytest.approx(0.0), pytest.approx(400.0))
    nothing = marginal_of(placed(0.0), placed(0.0), rows=4000, half_rows=2000, n=3000, level=0.9)
    assert (rate_of(nothing.next_rows).value, rate_of(nothing.cap).value) == (0.0, 0.0)
    above = marginal_of(placed(math.inf), placed(200.0), rows=4000, half_rows=2000, n=3000, level=0.9)
    assert isinstance(above.next_rows, Unmeasured)
    some = marginal_of(
        placed(400.0, np.r_[np.full(100, 400.0), np.full(100, np.inf)]), placed(200.0), rows=4000, half_rows=2000,
        n=3000, level=0.9,
    )  # fmt: skip
    assert rate_of(some.next_rows).censored


def rate_of(found: Any) -> Estimate:
    assert isinstance(found, Estimate), found
    return found


def more(found: Any, measure: str, name: str) -> Finding:
    (one,) = [f for f in found.more if f.measure == measure and f.candidate == name]
    return one


def test_adding_a_set_is_worth_what_it_tells_that_is_new() -> None:
    """Other people's rows add about their number; copies of the very rows that train, made anew, add nothing."""
    train, test = rows(600, 1), rows(3000, 2)

    def copies(at: Any, r: Any) -> View:
        return train.take(at[r.integers(at.size, size=600)])

    made = {"others": rows(200, 4), "copies": copies(np.arange(600), rng(9)), "harm": rows(600, 5, flip=1.0)}
    found = worth(
        train, test, made, fitted_on={"others": "other", "copies": "real"}, learner=LEARNER, seed=0, also="added",
        refits={"copies": copies}, independent=frozenset({"others"}),
    )  # fmt: skip
    others, own = (more(found, "added_real_rows", name) for name in ("others", "copies"))
    assert rate(others).low <= 200 <= rate(others).high
    assert 60 < rate(others).value <= 300
    assert "upper bound" not in (others.reason or "")
    assert rate(own).value < 60
    assert own.evidence["refitted"] is True
    assert "refitted on those rows alone" in (own.reason or "")
    assert rate(only(found.findings, "copies")).value > 120  # alone they look like the rows they copy
    harm = more(found, "added_real_rows", "harm")
    assert rate(harm).value < 0
    assert "upper bound if" in (harm.reason or "")
    evidence = only(found.findings, "copies").evidence
    assert evidence["marginal_per_1000"] == pytest.approx(1000 * evidence["marginal"])  # type: ignore[operator]
    for finding in found.more:
        json.dumps(finding.as_json(), allow_nan=False)
    alone = worth(train, test, {"harm": made["harm"]}, fitted_on={}, learner=LEARNER, seed=0, runs=2)
    assert alone.more == ()


# Rare classes


def three_classes(n: int, seed: int, rare: int) -> View:
    view = rows(n, seed)
    codes = view.column("y").values.copy()
    codes[:rare] = 2
    x0 = view.column("x0").values.copy()
    x0[:rare] += 4.0
    columns = tuple(replace(c, values=x0) if c.name == "x0" else c for c in view.columns or ())
    view = with_target(replace(view, columns=columns), codes)
    return replace(
        view,
        columns=tuple(replace(c, levels=("no", "yes", "räre")) if c.name == "y" else c for c in view.columns or ()),
    )


@pytest.mark.parametrize(("rare", "outcome"), [(7, "unmeasured"), (8, "few"), (29, "few"), (40, "plain")])
def test_a_rare_class_is_judged_by_itself(rare: int, outcome: str) -> None:
    train, test = three_classes(600, 1, 40), three_classes(900, 2, rare)
    made = {"a": three_classes(300, 3, 30), "without": rows(300, 4)}
    made["without"] = replace(made["without"], columns=tuple(
        replace(c, levels=("no", "yes", "räre")) if c.name == "y" else c for c in made["without"].columns or ()
    ))  # fmt: skip
    found = worth(train, test, made, fitted_on={}, learner=LEARNER, seed=0, runs=3, slices=("y",)).findings
    finding = only(found, "a", "y=räre")
    if outcome == "unmeasured":
        assert isinstance(finding.result, Unmeasured)
        assert "7 benchmark rows" in finding.result.reason
        assert "collect" in finding.result.mend
    else:
        assert rate(finding).low <= 600
        assert ("few" in (finding.reason or "")) == (outcome == "few")
        assert rate(only(found, "without", "y=räre")).value < 60  # it has no row of the class
    rate(only(found, "a", "y=no"))  # the common classes are judged whatever the rare one lacks
    assert isinstance(only(found, "a").result, Estimate) == (rare >= 30)


def test_one_class_or_level_can_be_named() -> None:
    train, test = rows(300, 1), rows(300, 2)
    found = worth(train, test, {"a": train}, fitted_on={}, learner=LEARNER, seed=0, runs=2, slices=("y=yes", "g=ä"))
    assert [f.slice for f in found.findings] == [None, "y=yes", "g=ä"]
    # Of two classes, either against the other is the whole question.
    assert rate(found.findings[1]).value == pytest.approx(rate(found.findings[0]).value)
    with pytest.raises(UnknownName, match="yes"):
        worth(train, test, {"a": train}, fitted_on={}, learner=LEARNER, seed=0, slices=("y=yess",))


# Many candidates


def test_fifty_sets_cost_less_than_five_times_three() -> None:
    train, test = rows(400, 1), rows(600, 2)
    flips = {f"c{j:02d}": rows(300, 10 + j, flip=0.3 + 0.004 * j) for j in range(47)}
    made = {**flips, "good": rows(300, 90), "also good": rows(300, 91), "bad": rows(77, 92)}
    used = {3: 0, 50: 0}
    for count, sets in ((3, dict(list(made.items())[:3])), (50, made)):

        def hear(event: str, facts: Any, count: int = count) -> None:
            used[count] += facts["rows"] if event == "trained" else 0

        found = worth(
            train, test, sets, fitted_on={}, learner=Brittle(), seed=0, runs=3, also="added", on_event=hear
        )  # fmt: skip
        planned = plan_cost(train, sets, learner=LEARNER, runs=3, also="added")
        assert used[count] <= planned.rows
    assert used[50] < 5 * used[3]
    full = {f.candidate for f in found.findings if f.evidence.get("screened") is False}
    assert {"good", "also good"} <= full
    assert len(full) <= 6
    assert "screened by one training" in (only(found.findings, "c46").reason or "") or "c46" in full
    assert isinstance(only(found.findings, "bad").result, Unmeasured)
    assert len(found.findings) == 50
    good = rate(only(found.findings, "good"))
    assert good.low <= 300 <= good.high


# Bad input


def test_a_set_that_is_the_real_data_is_called_so() -> None:
    r, (train, test) = rng(3), (rows(300, 1), rows(200, 2))
    train, test = (replace(v, hashes=r.integers(2**60, size=v.n).astype(np.uint64)) for v in (train, test))
    made = {"same": train.take(r.permutation(300)), "all": stack([train, test]), "other": rows(300, 4)}
    made["other"] = replace(made["other"], hashes=r.integers(2**60, size=300).astype(np.uint64))
    found = worth(train, test, made, fitted_on={}, learner=LEARNER, seed=0, runs=2).findings
    assert "ARE the real training rows" in (only(found, "same").reason or "")
    assert "the benchmark's among them" in (only(found, "all").reason or "")
    assert "ARE" not in (only(found, "other").reason or "")
    same = rate(only(found, "same"))
    assert same.low <= 300 <= same.high


@dataclass(frozen=True)
class Odd(Logistic):
    """On 77 rows it raises something of its own, on 78 it says NaN."""

    def fit(self, data: View, weights: Any, *, rng: Any, start: Any = None) -> Any:
        if data.n == 77:
            raise ZeroDivisionError("a plug-in's own bug")
        return data.n, Logistic.fit(self, data, weights, rng=rng, start=start)

    def predict(self, model: Any, data: View) -> Any:
        said = Logistic.predict(self, model[1], data)
        return said * np.nan if model[0] == 78 else said


def test_a_learner_that_breaks_or_says_nan_costs_that_candidate_alone() -> None:
    made = {"raises": rows(77, 3), "nan": rows(78, 5), "good": rows(90, 4)}
    found = worth(rows(200, 1), rows(200, 2), made, fitted_on={}, learner=Odd(), seed=0, runs=2).findings
    assert all(only(found, name).status is Status.UNMEASURED for name in ("raises", "nan"))
    assert "ZeroDivisionError: a plug-in's own bug" in (only(found, "raises").reason or "")
    assert "no number" in (only(found, "nan").reason or "")
    rate(only(found, "good"))
    with pytest.raises(TaskFailed, match="own bug"):
        worth(rows(77, 1), rows(200, 2), made, fitted_on={}, learner=Odd(), seed=0, runs=2)


def test_a_program_that_hangs_or_talks_nonsense_costs_that_candidate_alone(tmp_path: Path) -> None:
    program = tmp_path / "train.py"
    program.write_text(
        "import os, time\n"
        "import pyarrow.parquet as pq\n"
        "n = pq.read_metadata(os.environ['STERLING_TRAIN']).num_rows\n"
        "time.sleep(60 if n == 31 else 0)\n"
        "print('splendid' if n == 41 else 0.9 - 0.8 * n ** -0.5)\n"
    )
    learner = Command(f"{sys.executable} {program}", time_limit=4.0)
    made = {"hangs": rows(31, 3), "talks": rows(41, 4), "good": rows(52, 5)}
    found = worth(rows(120, 1), rows(80, 2), made, fitted_on={}, learner=learner, seed=0, runs=1, effort="fast")
    hangs, talks = (only(found.findings, name).result for name in ("hangs", "talks"))
    assert isinstance(hangs, Unmeasured)
    assert "did not end within 4 s" in hangs.reason
    assert isinstance(talks, Unmeasured)
    assert "'splendid', which is no score" in talks.reason
    assert rate(only(found.findings, "good")).value == pytest.approx(52, abs=2)


# Programs that score themselves, and runs that were made elsewhere


def power(n: float) -> float:
    return 0.9 - 0.8 * n**-0.5


def test_a_program_that_only_scores_will_do(tmp_path: Path) -> None:
    program = tmp_path / "train.py"
    program.write_text(
        "import os, random\n"
        "import pyarrow.parquet as pq\n"
        "n = pq.read_metadata(os.environ['STERLING_TRAIN']).num_rows\n"
        "random.seed(int(os.environ['STERLING_SEED']))\n"
        "print(0.9 - 0.8 * n ** -0.5 + random.gauss(0, 0.002))\n"
    )
    learner = Command(f"{sys.executable} {program}")
    found = worth(
        rows(200, 1), rows(100, 2), {"a": rows(100, 3)}, fitted_on={}, learner=learner, seed=0, runs=2, slices=("g",)
    )
    overall = only(found.findings, "a")
    assert rate(overall).low <= 100 <= rate(overall).high
    assert "gives no predictions" in rate(overall).method
    assert isinstance(only(found.findings, "a", "g=b").result, Unmeasured)


def csv_of(tmp_path: Path, lines: list[str], header: str = "arm,rows,score,seed") -> Path:
    path = tmp_path / "runs.csv"
    path.write_text("\n".join([header, *lines]), encoding="utf-8")
    return path


def some_runs(sign: float = 1.0) -> list[str]:
    r = rng(1)
    real = [(n, s) for n in (100, 200, 400, 800) for s in range(5)]
    lines = [f"real,{n},{sign * (power(n) + 0.003 * r.normal())},{s}" for n, s in real]
    lines += [f"vendor ü,2000,{sign * (power(300) + 0.003 * r.normal())},{s}" for s in range(5)]
    lines += [f"vendor ü,1000,{sign * (power(200) + 0.003 * r.normal())},{s}" for s in range(5)]
    return [*lines, f"weak,500,{sign * 0.6},0", f"strong,500,{sign * 0.95},0"]


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_runs_that_the_user_already_has(tmp_path: Path, sign: float) -> None:
    path = csv_of(tmp_path, some_runs(sign))
    found = worth_of_runs(path, seed=0, better="higher" if sign > 0 else "lower")
    vendor = rate(only(found.findings, "vendor ü"))
    assert vendor.low <= 300 <= vendor.high
    assert 180 < vendor.value < 500
    assert rate(only(found.findings, "weak")).value < 100
    assert rate(only(found.findings, "weak")).low == 0.0
    assert rate(only(found.findings, "strong")).censored
    assert (found.runs, found.curve.n_max, len(found.fingerprint)) == (32, 800, 64)
    assert found.curve_json()["metric"] == ("score" if sign > 0 else "negated score")


@pytest.mark.parametrize(
    ("lines", "header", "says"),
    [
        (["real,1,2"], "arm,row,score", "no column of .* 'rows'"),
        (["real,1,2"], "arms,rows,score", "no column of .* 'arm'"),
        (["real,many,0.5,0"], "arm,rows,score,seed", "line 2: rows is 'many'"),
        (["real,10.5,0.5,0"], "arm,rows,score,seed", "line 2: rows is '10.5'"),
        (["real,10,nan,0"], "arm,rows,score,seed", "score is 'nan'"),
        (["real,10"], "arm,rows,score,seed", "score is None"),
        (["real,10,0.5,0", "a,10,0.5,0"], "arm,rows,score,seed", "at 1 sizes"),
        (["Real,10,0.5,0", "a,10,0.5,0"], "arm,rows,score,seed", "at 0 sizes"),
        (["real,10,0.5,0", "real,20,0.5,0"], "arm,rows,score,seed", "no runs but those on real rows"),
        (["real,10,0.5,0", "real,20,0.6,0", "a,10,0.5,0"], "arm,rows,score,seed", "one run per size"),
    ],
)
def test_runs_that_cannot_be_read(tmp_path: Path, lines: list[str], header: str, says: str) -> None:
    with pytest.raises(InputError, match=says) as caught:
        worth_of_runs(csv_of(tmp_path, lines, header), seed=0)
    assert caught.value.mend


def test_a_file_that_is_not_there_or_not_text(tmp_path: Path) -> None:
    with pytest.raises(UnreadableInput):
        worth_of_runs(tmp_path / "none.csv", seed=0)
    (tmp_path / "b.csv").write_bytes(b"\xff\xfe\x00\x00")
    with pytest.raises(UnreadableInput):
        worth_of_runs(tmp_path / "b.csv", seed=0)


def test_a_saturated_curve_says_how_little_it_knows() -> None:
    arms = tuple(Arm("real", n, np.full(3, 1.0)) for n in (50, 100, 200))
    found = judge_candidates(
        Curve(arms, None, "score", None),
        [Candidate("a", 10, whole=Arm("a", 10, np.full(3, 1.0)))],
        terms=Terms(200, 0.95, 0, "split"),
    )
    result = rate(found.findings[0])
    assert result.low <= 50
    assert result.censored
