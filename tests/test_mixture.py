"""The guarded mix: good rows are taken, poison is not, harm is rare, the benchmark is opened once or never."""

from __future__ import annotations

import json
import pickle
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from sterling.blend.folds import deal
from sterling.blend.mixture import NO_EFFECT, Candidate, Mix, find_mix
from sterling.blend.trials import Trial, standard_error
from sterling.blend.variants import VARIANTS
from sterling.kernel.errors import InputError, TaskFailed
from sterling.kernel.estimate import Estimate, Unmeasured
from sterling.kernel.finding import Status
from sterling.kernel.schema import Kind, Role
from sterling.kernel.view import Column, View, stack
from sterling.learners.logistic import Logistic
from sterling.modalities.tabular import Tabular, from_table, with_roles
from sterling.stats.scores import score_of

SLOPES = np.array([1.0, -0.8, 0.6, 0.4, 0.3, 0.2, 0.1, 0.0, 0.5, -0.5, 0.4, 0.3])
LEARNER = Logistic()


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def rows(n: int, seed: int, *, flip: float = 0.0, shift: float = 0.0, kind: str = "class") -> View:
    r = rng(seed)
    x = r.normal(size=(n, SLOPES.size))
    signal = x @ (SLOPES + shift * np.roll(SLOPES, 3))
    columns = [Column(f"x{j}", Kind.NUMBER, Role.FEATURE, x[:, j]) for j in range(SLOPES.size)]
    if kind == "number":
        return View(n, f"s{seed}", (*columns, Column("y", Kind.NUMBER, Role.TARGET, signal + 3 * r.normal(size=n))))
    label = (signal + r.logistic(size=n) > 0).astype(np.int64)
    label = np.where(r.random(n) < flip, 1 - label, label)
    return View(n, f"s{seed}", (*columns, Column("y", Kind.CATEGORY, Role.TARGET, label, ("no", "yes"))))


def with_target(view: View, values: np.ndarray) -> View:
    return replace(view, columns=tuple(replace(c, values=values) if c.name == "y" else c for c in view.columns or ()))


def mix(train: View, test: View, made: dict[str, Candidate], worths: dict[str, float], **more: Any) -> Mix:
    return find_mix(train, test, made, worths=worths, learner=LEARNER, seed=0, **more)


def test_other_peoples_rows_are_mixed_in() -> None:
    found = mix(rows(150, 1), rows(600, 2), {"good": Candidate(rows(2000, 3))}, {"good": 150.0})
    assert found.adopted
    assert 0.02 < found.weights["good"] <= 1.0
    assert isinstance(found.gain, Estimate)
    assert isinstance(found.confirmation, Estimate)
    assert found.confirmation.value > 0.005
    (finding,) = found.findings
    assert (finding.measure, finding.status) == ("mix_gain", Status.PASS)
    assert finding.params["weights"] == found.weights
    assert "mix it in" in (finding.reason or "")
    assert len(finding.evidence["tried"]) == len(found.tried) > 1  # type: ignore[arg-type]


def test_poison_is_refused_and_the_benchmark_stays_sealed() -> None:
    heard: list[str] = []
    found = mix(
        rows(300, 1),
        rows(600, 2),
        {"poison": Candidate(rows(2000, 3, flip=0.7))},
        {"poison": 200.0},
        on_event=lambda event, facts: heard.append(event),
    )
    assert not found.adopted
    assert dict(found.weights) == {}
    assert isinstance(found.confirmation, Unmeasured)
    assert "opened" not in heard
    assert found.findings[0].status in (Status.FAIL, Status.UNDECIDED)


def test_what_cross_validation_likes_and_the_benchmark_does_not_is_refused() -> None:
    # The candidate knows the train rows by heart, wrong labels included: folds gain, the benchmark does not.
    noise = rows(200, 1, flip=0.4)
    copies = stack([noise] * 5)
    found = mix(noise, rows(800, 2), {"copies": Candidate(copies, fitted_on="real")}, {"copies": 200.0})
    assert isinstance(found.gain, Estimate)
    assert found.gain.value > 0.05
    assert isinstance(found.confirmation, Estimate)
    assert found.outcome == "REAL_ONLY"
    assert found.findings[0].status is Status.FAIL
    assert "was fitted on these rows" in (found.findings[0].reason or "")
    assert found.findings[0].evidence["self_fitted"] == ["copies"]


def test_a_generator_refitted_in_each_fold_cannot_cheat() -> None:
    noise = rows(200, 1, flip=0.4)
    seen: list[int] = []

    def copy(kept: np.ndarray, r: np.random.Generator) -> View:
        seen.append(kept.size)
        return stack([noise.take(kept)] * 5)

    made = {"copies": Candidate(stack([noise] * 5), copy, "real")}
    found = mix(noise, rows(800, 2), made, {"copies": 200.0})
    assert seen == [150] * 8
    assert isinstance(found.gain, Estimate)
    assert abs(found.gain.value) < 0.02
    assert not found.adopted
    assert found.findings[0].evidence["self_fitted"] == []


def test_no_effect_is_called_no_effect() -> None:
    found = mix(rows(2000, 1), rows(600, 2), {"few": Candidate(rows(100, 3))}, {"few": 100.0}, effort="fast")
    assert found.outcome == "NO_EFFECT"
    assert isinstance(found.gain, Estimate)
    assert abs(found.gain.value) <= NO_EFFECT


def test_a_second_set_is_tried_beside_the_first() -> None:
    sets = {"good": Candidate(rows(300, 3)), "too": Candidate(rows(300, 4))}
    found = mix(rows(120, 1), rows(800, 2), sets, dict.fromkeys(sets, 120.0))
    assert found.adopted
    assert any(len(trial.weights) == 2 for trial in found.tried)


def test_harm_is_rare() -> None:
    """Truth is the score on 6,000 more rows: the gate must not lose, where unguarded mixing does."""
    judge = rows(6000, 99)

    def truth(train: View, extra: list[tuple[View, float]]) -> float:
        weights = np.concatenate([np.ones(train.n), *(np.full(v.n, w) for v, w in extra)])
        model = LEARNER.fit(stack([train, *(v for v, _ in extra)]), weights, rng=rng())
        return score_of(judge.target, LEARNER.predict(model, judge))  # type: ignore[arg-type]

    guarded, unguarded, adopted = [], [], 0
    for rep in range(20):
        train, test = rows(200, 100 * rep), rows(200, 100 * rep + 1)
        planted = [{"flip": 0.3}, {"shift": 1.0}, {"flip": 0.55}, {"shift": 0.5}, {}][rep % 5]
        view = rows(1000, 100 * rep + 2, **planted)  # type: ignore[arg-type]
        found = find_mix(
            train, test, {"a": Candidate(view)}, worths={"a": 100.0}, learner=LEARNER, seed=rep, effort="fast"
        )
        alone = truth(train, [])
        guarded.append(truth(train, [(view, w) for w in found.weights.values()]) - alone if found.adopted else 0.0)
        unguarded.append(truth(train, [(view, 1.0)]) - alone)
        adopted += found.adopted
    assert sum(gain < -0.005 for gain in guarded) <= 1
    assert sum(gain < -0.005 for gain in unguarded) >= 7
    assert adopted >= 2
    assert np.mean(guarded) > 0


@pytest.mark.slow
def test_consequential_stakes_ask_for_more() -> None:
    def adopted(stakes: Any) -> int:
        return sum(
            find_mix(
                rows(150, 10 * s),
                rows(200, 10 * s + 1),
                {"a": Candidate(rows(300, 10 * s + 2, flip=0.2))},
                worths={"a": 100.0},
                learner=LEARNER,
                seed=s,
                stakes=stakes,
                effort="fast",
            ).adopted
            for s in range(12)
        )

    assert adopted("consequential") < adopted("low")


def test_same_seed_same_answer_and_everything_pickles() -> None:
    train, test, made = rows(120, 1), rows(200, 2), {"a": Candidate(rows(200, 3))}
    first, second = (mix(train, test, made, {"a": 100.0}, effort="fast") for _ in range(2))
    assert [f.as_json() for f in first.findings] == [f.as_json() for f in second.findings]
    assert pickle.loads(pickle.dumps(first)).outcome == first.outcome
    json.dumps(first.findings[0].as_json(), allow_nan=False)


def test_regression_works_too() -> None:
    found = mix(
        rows(60, 1, kind="number"), rows(500, 2, kind="number"), {"a": Candidate(rows(900, 3, kind="number"))},
        {"a": 60.0},
    )  # fmt: skip
    assert found.adopted
    assert found.findings[0].evidence["metric"] == "R2"


@pytest.mark.parametrize(
    ("train", "test", "says"),
    [
        (with_target(rows(200, 1), np.zeros(200, int)), rows(200, 2), "one class only"),
        (rows(5, 1), rows(200, 2), "rarest class"),
        (rows(200, 1), rows(20, 2), "too little in the benchmark"),
        (with_target(rows(200, 1), (np.arange(200) < 29).astype(int)), rows(200, 2), "29 rows of its rarest class"),
        (with_target(rows(60, 1, kind="number"), np.ones(60)), rows(60, 2, kind="number"), "one value only"),
    ],
)
def test_shortage_is_real_rows_alone(train: View, test: View, says: str) -> None:
    found = mix(train, test, {"a": Candidate(train)}, {"a": 100.0})
    assert (found.outcome, dict(found.weights)) == ("REAL_ONLY", {})
    assert isinstance(found.gain, Unmeasured)
    assert says in found.gain.reason
    assert found.findings[0].status is Status.UNMEASURED


def test_odd_candidates_do_not_stop_the_others() -> None:
    train, test, good = rows(150, 1), rows(300, 2), rows(1000, 3)

    def broken(kept: np.ndarray, r: np.random.Generator) -> View:
        raise TaskFailed("out of luck", mend="try again")

    made = {
        "one class": Candidate(with_target(good, np.ones(1000, int))),
        "no labels": Candidate(with_target(good, np.full(1000, -1))),
        "no target": Candidate(replace(good, columns=good.features)),
        "broken": Candidate(good, broken),
        "good": Candidate(good),
    }
    found = mix(train, test, made, {"good": 150.0}, effort="fast")
    assert set(found.findings[0].evidence["failed"]) == {"no labels", "no target", "broken"}  # type: ignore[arg-type]
    assert set(found.weights) <= {"good", "one class"}
    nothing = mix(train, test, {"broken": made["broken"]}, {})
    assert isinstance(nothing.gain, Unmeasured)
    assert "out of luck" in nothing.gain.reason
    assert isinstance(mix(train, test, {}, {}).gain, Unmeasured)


@dataclass(frozen=True)
class Scorer:
    """A learner of which only a score is known; `broken` makes it say NaN."""

    broken: bool = False

    def fit(self, data: View, weights: Any, *, rng: np.random.Generator, start: Any = None) -> Any:
        return LEARNER.fit(data, weights, rng=rng), rng.normal(scale=1e-4)

    def score(self, model: Any, data: View) -> float:
        if self.broken:
            return float("nan")
        return score_of(data.target, LEARNER.predict(model[0], data)) + model[1]  # type: ignore[arg-type]


def test_a_program_that_only_scores_will_do() -> None:
    train, test, made = rows(150, 1), rows(600, 2), {"good": Candidate(rows(2000, 3))}
    found = find_mix(train, test, made, worths={"good": 150.0}, learner=Scorer(), seed=0)
    assert found.adopted
    assert isinstance(found.confirmation, Estimate)
    assert "seeds" in found.confirmation.method


def test_a_score_that_is_no_number_is_a_failure_in_words() -> None:
    with pytest.raises(TaskFailed, match="no number"):
        find_mix(
            rows(150, 1), rows(99, 2), {"a": Candidate(rows(50, 3))}, worths={}, learner=Scorer(broken=True), seed=0
        )


def test_one_fold_is_refused() -> None:
    with pytest.raises(InputError, match="1 folds"):
        mix(rows(100, 1), rows(100, 2), {"a": Candidate(rows(50, 3))}, {}, folds=1)


def test_entities_stay_whole_in_the_folds() -> None:
    train = rows(200, 1)
    person = np.arange(200) // 8
    parts = deal(replace(train, entities=person), folds=4, repeats=2, seed=0)
    assert len(parts) == 8
    for part in parts:
        assert not set(person[part.kept]) & set(person[part.held])
        assert 40 <= part.held.size <= 60
    for repeat in (parts[:4], parts[4:]):
        assert sorted(np.concatenate([p.held for p in repeat])) == list(range(200))


def test_the_entity_of_a_table_reaches_the_folds() -> None:
    rows_ = pa.table({"who": [f"P{i // 5}" for i in range(100)], "x": np.arange(100.0), "y": ["a", "b"] * 50})
    data = from_table(rows_)
    data = replace(data, schema=with_roles(data.schema, target="y", entity="who"))
    (view,) = Tabular().views([data])
    who = np.arange(100) // 5
    for part in deal(view, folds=4, repeats=1, seed=0):
        assert not set(who[part.kept]) & set(who[part.held])


def test_two_people_are_too_few_to_judge_by() -> None:
    train = rows(200, 1)
    whole = replace(train, entities=train.column("y").values.astype(np.int64))
    found = mix(whole, rows(100, 2), {"a": Candidate(whole)}, {"a": 10.0})
    assert isinstance(found.gain, Unmeasured)
    assert "0 folds" in found.gain.reason


def test_standard_error_is_that_of_a_mean() -> None:
    gains = rng(3).normal(size=8)
    assert standard_error(gains) == pytest.approx(gains.std(ddof=1) / np.sqrt(8))
    assert Trial({"a": 1.0}, gains).as_json()["gain"] == pytest.approx(gains.mean())


def half_garbage(n: int, seed: int) -> View:
    """Every second row lies far off and says the opposite."""
    view, bad = rows(n, seed), np.arange(n) % 2 == 0
    moved = with_target(view, np.where(bad, 1 - view.column("y").values, view.column("y").values))
    shifted = np.where(bad, 6.0, 0.0) + moved.column("x7").values
    columns = tuple(replace(c, values=shifted) if c.name == "x7" else c for c in moved.columns or ())
    return replace(moved, columns=columns)


def test_a_variant_rescues_a_half_spoilt_set_and_keeps_the_good_rows_alone() -> None:
    made = {"spoilt": Candidate(half_garbage(2000, 3), fitted_on="other")}
    found = mix(rows(120, 1), rows(800, 2), made, {"spoilt": 60.0})
    assert found.adopted
    assert found.variant != "plain"
    heavy = found.recipes["spoilt"].rows
    assert heavy is not None
    bad = np.arange(2000) % 2 == 0
    assert heavy[bad].sum() < 0.2 * heavy[~bad].sum()
    assert found.findings[0].params["variant"] == found.variant
    assert {trial.variant for trial in found.tried} | set(found.refused) == {"plain", *VARIANTS}


def test_eight_minority_rows_are_refused_in_words_before_anything_is_trained() -> None:
    heard: list[str] = []
    few = with_target(rows(300, 1), (np.arange(300) < 8).astype(int))
    found = mix(few, rows(200, 2), {"a": Candidate(rows(500, 3))}, {"a": 100.0}, on_event=lambda e, f: heard.append(e))
    assert (found.outcome, heard) == ("REAL_ONLY", [])
    assert isinstance(found.gain, Unmeasured)
    assert "8 rows of its rarest class" in found.gain.reason
    assert "more real rows" in found.gain.mend
    lax = mix(few, rows(200, 2), {"a": Candidate(rows(500, 3))}, {"a": 100.0}, few=8, effort="fast")
    assert isinstance(lax.gain, Estimate)


def test_the_policy_says_how_much_a_gain_must_be() -> None:
    train, test, made = rows(150, 1), rows(600, 2), {"good": Candidate(rows(2000, 3), fitted_on="other")}
    assert mix(train, test, made, {"good": 150.0}, effort="fast", se_factor=1.0).adopted
    strict = mix(train, test, made, {"good": 150.0}, effort="fast", se_factor=30.0)
    assert strict.outcome == "REAL_ONLY"
    assert strict.findings[0].params["se_factor"] == 30.0
    assert mix(train, test, made, {"good": 150.0}, effort="fast", no_effect=0.5).outcome == "NO_EFFECT"


def test_a_file_of_unknown_origin_must_convince_the_benchmark_alone() -> None:
    made = rows(2000, 3)
    judged = [
        mix(rows(150, 1), rows(600, 2), {"a": Candidate(made, fitted_on=origin)}, {"a": 150.0}, effort="fast")
        for origin in ("other", "unknown")
    ]
    assert [found.findings[0].evidence["judged_by"] for found in judged] == ["both", "benchmark"]
    assert "the benchmark judged alone" in (judged[1].findings[0].reason or "")


def test_a_candidate_identical_to_the_real_rows_is_no_gain() -> None:
    train = rows(300, 1)
    found = mix(train, rows(400, 2), {"same": Candidate(train, fitted_on="real")}, {"same": 300.0})
    assert not found.adopted


def test_cost_is_told_before_and_is_an_upper_bound() -> None:
    heard: list[tuple[str, Any]] = []
    trained = 0

    class Counting(Logistic):
        def fit(self, data: View, weights: Any, *, rng: np.random.Generator, start: Any = None) -> Any:
            nonlocal trained
            trained += 1
            return LEARNER.fit(data, weights, rng=rng)

    sets = {"good": Candidate(rows(300, 3)), "too": Candidate(rows(300, 4))}
    find_mix(
        rows(120, 1), rows(300, 2), sets, worths=dict.fromkeys(sets, 120.0), learner=Counting(), seed=0,
        on_event=lambda event, facts: heard.append((event, facts)),
    )  # fmt: skip
    assert heard[0][0] == "cost"
    assert trained <= heard[0][1]["trainings"] <= 1.5 * trained
    assert heard[1][0] == "step"
    assert heard[1][1]["seconds"] > 0


@dataclass(frozen=True)
class Fragile:
    """Cannot be trained on more rows than it likes."""

    most: int

    def fit(self, data: View, weights: Any, *, rng: np.random.Generator, start: Any = None) -> Any:
        if data.n > self.most:
            raise TaskFailed("stopped after 5 s", mend="raise the time limit")
        return LEARNER.fit(data, weights, rng=rng)

    def predict(self, model: Any, data: View) -> Any:
        return LEARNER.predict(model, data)

    def losses(self, model: Any, data: View) -> Any:
        return LEARNER.losses(model, data)


def test_a_training_that_hangs_loses_that_candidate_alone_and_also_at_the_end() -> None:
    sets = {"big": Candidate(rows(3000, 3), fitted_on="other"), "small": Candidate(rows(800, 4), fitted_on="other")}
    worths = dict.fromkeys(sets, 150.0)
    found = find_mix(rows(150, 1), rows(400, 2), sets, worths=worths, learner=Fragile(1000), seed=0, effort="full")
    assert "stopped after 5 s" in str(found.findings[0].evidence["failed"])
    assert set(found.weights) == {"small"}
    # Folds fit, all rows do not: the answer is the real rows, with the reason.
    late = find_mix(rows(150, 1), rows(400, 2), {"small": sets["small"]}, worths=worths, learner=Fragile(920), seed=0)
    assert late.outcome == "REAL_ONLY"
    assert isinstance(late.confirmation, Unmeasured)
    assert "stopped after 5 s" in late.confirmation.reason
