"""Teacher, student and target side by side; audited errors foretold and measured on census rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc
import pytest

import sterling
from sterling.api.ceiling_audit import Audit, named_apart
from sterling.api.ceiling_result import Outlook, _teacher_findings, error_rules
from sterling.blend.ceiling import Compared, Teacher, compare_teacher
from sterling.blend.error_outlook import Foretold, Region
from sterling.decide.policy import load_policy
from sterling.decide.result import Result
from sterling.decide.review_rules import share_wrong, zero_error_rows
from sterling.kernel.errors import InputError, TaskFailed
from sterling.kernel.estimate import Estimate, Unmeasured
from sterling.kernel.finding import Finding, Status, Verdict
from sterling.kernel.schema import Kind, Role
from sterling.kernel.view import Column, View
from sterling.learners.logistic import Logistic
from sterling.stats.error_law import Counts, Mentions
from sterling.stats.proportions import clopper_pearson
from sterling.stats.slices import Cut

OTHER = {">50K": "<=50K", "<=50K": ">50K"}


def flipped(labels: list[str], hit: np.ndarray) -> list[str]:
    return [OTHER[label] if h else label for label, h in zip(labels, hit, strict=True)]


@pytest.fixture(scope="module")
def census(adult: pa.Table) -> dict[str, pa.Table]:
    """Real, holdout with teachers' answers, and a synthetic set with an audit."""
    keep = ["age", "education_num", "relationship", "hours_per_week", "capital_gain", "income"]
    small = adult.select(keep).rename_columns([*keep[:-1], "label"])
    rng = np.random.default_rng(0)
    hold, made = small.slice(1500, 1500), small.slice(3000, 1500)
    truth, labels = hold["label"].to_pylist(), made["label"].to_pylist()
    husbands = np.array([r == "Husband" for r in made["relationship"].to_pylist()])
    noisy = flipped(labels, husbands & (rng.random(1500) < 0.4))
    checked = rng.random(1500) < 0.3
    answers = {
        "poor": flipped(truth, rng.random(1500) < 0.3),
        "good": flipped(truth, rng.random(1500) < 0.03),
        "chance": [0.9 if t == ">50K" else 0.1 for t in truth],
    }
    audit = {
        "truth": [t if c else None for t, c in zip(labels, checked, strict=True)],
        "right": [(t == n) if c else None for t, n, c in zip(labels, noisy, checked, strict=True)],
        "keeps": [bool(t == n) or bool(rng.random() < 0.3) for t, n in zip(labels, noisy, strict=True)],
    }
    for name, cells in answers.items():
        hold = hold.append_column(name, pa.array(cells))
    made = made.set_column(made.schema.get_field_index("label"), "label", pa.array(noisy))
    for name, cells in audit.items():
        made = made.append_column(name, pa.array(cells))
    return {"real": small.slice(0, 1500), "holdout": hold, "made": made}


def ask(census: dict[str, pa.Table], **more: Any) -> Result:
    given = {"learner": Logistic(), "effort": "fast", "target": "label", "holdout": census["holdout"], **more}
    return sterling.ceiling(census["real"], census["made"], **given)


def found(result: Result, measure: str, where: str | None = None) -> Finding:
    return next(f for f in result.findings if (f.measure, f.slice) == (measure, where))


def value(finding: Finding) -> Estimate:
    assert isinstance(finding.result, Estimate), finding.reason
    return finding.result


def outcomes(result: Result) -> set[str]:
    return {rule.outcome for rule in result.decision.rules}


def test_a_teacher_that_is_no_better_is_warned_of(census: dict[str, pa.Table]) -> None:
    result = ask(census, teacher="poor")
    assert outcomes(result) == {"TEACHER_NO_BETTER"}
    assert found(result, "teacher_ceiling").status is Status.WARN
    assert value(found(result, "teacher_ceiling")).high < 0
    assert result.decision.verdict is Verdict.FIX
    assert result.tables[0].rows[0][0] == "teacher: poor"


def test_a_good_teacher_leaves_something_to_inherit_and_the_share_is_said(census: dict[str, pa.Table]) -> None:
    for teacher, metric in (("good", "accuracy"), ("chance", "AUC"), ("0.97,0.96,0.98", "AUC")):
        result = ask(census, teacher=teacher)
        assert outcomes(result) == {"TEACHER_BETTER"}
        assert found(result, "teacher_ceiling").params["metric"] == metric
        kept = value(found(result, "student_kept"))
        assert 0 < kept.low <= kept.value < 1


def test_the_teachers_column_is_no_feature(census: dict[str, pa.Table]) -> None:
    """The answers stand in all three sets and are the truth itself: any model that saw them would be perfect."""
    leaky = {k: t.append_column("told", t["label"]) for k, t in census.items()}
    result = ask(leaky, teacher="told")
    scores = found(result, "teacher_ceiling").evidence
    assert scores["teacher"]["value"] == 1
    assert scores["student"]["value"] < 0.95
    assert scores["target"]["value"] < 0.95
    without = ask(census, teacher="good")
    assert found(without, "teacher_ceiling").evidence["target"]["value"] == scores["target"]["value"]


def test_a_generator_can_be_asked_for_its_conditional(census: dict[str, pa.Table]) -> None:
    result = ask(census, teacher="cart")
    teacher = found(result, "teacher_ceiling").evidence["teacher"]
    assert 0.7 < teacher["value"] < 0.95


def numbers(n: int, seed: int, noise: float) -> tuple[View, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    y = x + noise * rng.normal(size=n)
    columns = (Column("x", Kind.NUMBER, Role.FEATURE, x), Column("y", Kind.NUMBER, Role.TARGET, y))
    return View(n, f"v{seed}", columns), x


@dataclass(frozen=True)
class Line:
    """Least squares through the origin."""

    def fit(self, data: View, weights: Any, *, rng: Any, start: Any = None) -> float:
        x, y = data.column("x").values, data.column("y").values
        return float(x @ y / (x @ x))

    def predict(self, model: float, data: View) -> np.ndarray:
        return model * data.column("x").values

    def losses(self, model: float, data: View) -> np.ndarray:
        return np.square(data.column("y").values - self.predict(model, data))


@dataclass(frozen=True)
class Scores:
    """Says nothing but a score."""

    at: float = 0.8

    def fit(self, data: View, weights: Any, *, rng: Any, start: Any = None) -> float:
        return self.at + 0.01 * float(rng.random())

    def score(self, model: float, data: View) -> float:
        return model


def test_the_lead_of_a_teacher_of_numbers_covers_the_truth() -> None:
    """R2 of x itself is 1 / (1 + s^2), and of the teacher x + e less: the interval holds the difference."""
    covered = 0
    for seed in range(40):
        train, _ = numbers(400, 3 * seed, 0.5)
        made, _ = numbers(400, 3 * seed + 1, 0.5)
        test, x = numbers(500, 3 * seed + 2, 0.5)
        said = x + 0.3 * np.random.default_rng(seed).normal(size=500)
        teacher = Teacher("t", "numbers", said=said)
        c = compare_teacher(train, made, test, teacher, learner=Line(), seed=seed, runs=2, level=0.9)
        assert isinstance(c, Compared)
        covered += c.lead.low <= -0.09 / 1.25 <= c.lead.high
    assert covered >= 30, covered  # 36 nominal, less three standard errors


def test_what_cannot_be_compared_says_why() -> None:
    train, _ = numbers(200, 1, 0.5)
    test, x = numbers(200, 2, 0.5)
    both = {"learner": Line(), "seed": 0, "runs": 2}
    silent = compare_teacher(train, train, test, Teacher("t", "numbers", said=np.full(200, np.nan)), **both)
    assert isinstance(silent, Unmeasured)
    flat = replace(test, columns=(test.column("x"), replace(test.column("y"), values=np.zeros(200))))
    assert isinstance(compare_teacher(train, train, flat, Teacher("t", "numbers", said=x), **both), Unmeasured)
    scored = {**both, "learner": Scores()}
    answers = compare_teacher(train, train, test, Teacher("t", "numbers", said=x), **scored)
    assert isinstance(answers, Unmeasured)
    stated = Teacher("t", "score", score=Estimate(0.9, 0.9, 0.9, 0, 0.95, "as stated"))
    c = compare_teacher(train, train, test, stated, **scored)
    assert isinstance(c, Compared)
    assert c.lead.low > 0.07
    assert isinstance(c.kept, Unmeasured)


def test_a_learner_that_fails_on_the_synthetic_rows_is_told() -> None:
    train, _ = numbers(200, 1, 0.5)
    test, x = numbers(200, 2, 0.5)

    @dataclass(frozen=True)
    class Failing(Line):
        def fit(self, data: View, weights: Any, *, rng: Any, start: Any = None) -> float:
            if data.fingerprint == "v3":
                raise TaskFailed("it broke", mend="mend it")
            return super().fit(data, weights, rng=rng)

    made, _ = numbers(200, 3, 0.5)
    c = compare_teacher(train, made, test, Teacher("t", "numbers", said=x), learner=Failing(), seed=0, runs=2)
    assert isinstance(c, Unmeasured)
    assert "it broke" in c.reason


def test_an_audit_foretells_what_planting_its_errors_does(census: dict[str, pa.Table]) -> None:
    result = ask(census, audit="truth", verifier="keeps", learner="boosted_trees")
    where = "relationship=Husband"
    assert outcomes(result) == {"RELABEL_SLICE"}
    assert found(result, "audited_error").evidence["concentrated_in"] == where
    inside, whole = value(found(result, "audited_error", where)), value(found(result, "audited_error"))
    assert abs(inside.value - 0.4) < 0.15
    assert (whole.level, whole.n > 400) == (0.9, True)
    assert inside.n < 0.3 * whole.n  # two rows of five are husbands, and half of those named the slice
    assert "had no part in naming it" in found(result, "audited_error", where).reason
    for place in (None, where):
        law, measured = (value(found(result, m, place)) for m in ("predicted_error", "measured_error"))
        assert law.low <= measured.high
        assert measured.low <= law.high
    inside, all_ = (value(found(result, "predicted_error", p)).value for p in (where, None))
    assert inside > all_ > 0
    kept = value(found(result, "kept_error"))
    assert kept.low <= kept.value < value(found(result, "audited_error")).value
    assert found(ask(census, audit="right"), "audited_error").result == found(result, "audited_error").result


def many_columns(rng: np.random.Generator) -> tuple[list[Cut], list[np.ndarray]]:
    cuts = [Cut(f"c{j}", tuple(f"v{i}" for i in range(5))) for j in range(6)]
    return cuts, [rng.integers(5, size=400) for _ in cuts]


@pytest.mark.parametrize(("base", "extra", "seeds"), [(0.05, 0.0, 800), (0.05, 0.08, 300), (0.02, 0.3, 60)])
def test_the_rate_in_the_slice_named_worst_covers(
    base: float, extra: float, seeds: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Given that a slice was named, whether it is the right one or chance named it."""
    monkeypatch.setattr("sterling.stats.error_law.PERMUTATIONS", 99)
    named = covered = 0
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        cuts, codes = many_columns(rng)
        wrong = rng.random(400) < base + extra * (codes[2] == 3)
        found, held = named_apart(wrong, cuts, codes, seed=seed)
        if found.column is None or found.cell is None:
            assert held.all()
            continue
        there = held & (codes[found.column] == found.cell)
        rate = clopper_pearson(int(wrong[there].sum()), int(there.sum()))
        # Independent columns: another column's slice has a fifth of its rows in the bad one.
        truth = base + extra * (1.0 if (found.column, found.cell) == (2, 3) else 0.2 if found.column != 2 else 0.0)
        named, covered = named + 1, covered + (rate.low <= truth <= rate.high)
    assert named >= 30
    assert covered >= 0.93 * named, (covered, named)


def test_a_slice_that_is_named_by_all_its_rows_is_not_estimated() -> None:
    """One wrong row in a slice of its own: nothing is left to say how bad it is there."""
    codes = [(np.arange(60) >= 6).astype(np.int64)]
    for seed in range(20):
        found, held = named_apart(np.arange(60) < 6, [Cut("c", ("a", "b"))], codes, seed=seed)
        assert held.all() or (held & (codes[0] == found.cell)).any()
    none, held = named_apart(np.ones(1, dtype=bool), [Cut("c", ("a", "b"))], [np.zeros(1, dtype=np.int64)], seed=0)
    assert none.cell is None
    assert held.all()


@pytest.mark.parametrize(
    ("low", "high", "status"),
    [(-0.11, 0.01, Status.UNDECIDED), (-0.11, -0.01, Status.WARN), (0.0, 0.02, Status.PASS), (0.01, 0.02, Status.PASS)],
)
def test_a_gap_that_may_be_a_loss_is_no_pass(low: float, high: float, status: Status) -> None:
    one = Estimate(0.8, 0.7, 0.9, 900, 0.95, "test")
    gap = Estimate((low + high) / 2, low, high, 900, 0.95, "paired")
    compared = Compared("AUC", 0.5, 900, one, one, one, gap, gap, gap, one)
    (told,) = (f for f in _teacher_findings(compared, 0) if f.measure == "student_gap")
    assert told.status is status


def test_the_rows_that_the_review_asks_for_pass_the_audit_too() -> None:
    """D3 and D12 go by one law: no wrong label in the rows asked for is within the bar."""
    policy = load_policy()
    asked = zero_error_rows(policy.review.error_max)
    for rows, within in ((asked, True), (asked - 1, False)):
        counts = Counts(np.array([[0]]), np.array([[rows]]))
        audit = Audit(share_wrong(0, rows), 0, counts, Region(), None, None)
        (rule,) = error_rules(Outlook(audit, Unmeasured("no", "yes")), policy)
        assert (rule.outcome == "TOLERATE") is within


def test_a_law_that_does_not_hold_is_said_to_not_hold() -> None:
    counts, rate = Counts(np.array([[30]]), np.array([[200]])), Estimate(0.15, 0.1, 0.21, 200, 0.95, "Clopper-Pearson")
    audit = Audit(rate, 30, counts, Region(), None, None)
    mentions = Mentions(20.0, np.linspace(15.0, 25.0, 50))
    for measured, holds in ((0.01, True), (0.04, False)):
        law = Estimate(0.01, 0.005, 0.02, 200, 0.95, "law")
        seen = Estimate(measured, measured - 0.008, measured + 0.008, 900, 0.95, "paired")
        outlook = Outlook(audit, (Foretold(1000, mentions, law, seen, None, None),))
        (rule,) = error_rules(outlook, load_policy())
        assert ("The law does not hold here" not in rule.reason) is holds
        assert rule.outcome == "RELABEL"
    (rule,) = error_rules(outlook, replace(load_policy(), labels_random="tolerate"))
    assert rule.outcome == "TOLERATE"


def test_stated_errors_cost_more_in_one_slice_than_spread(census: dict[str, pa.Table]) -> None:
    spread = ask(census, errors=0.15)
    piled = ask(census, errors=0.15, errors_in="relationship=Husband")
    assert value(found(piled, "predicted_error")).value > 3 * value(found(spread, "predicted_error")).value
    assert value(found(piled, "measured_error")).value > value(found(spread, "measured_error")).value
    assert "RELABEL_SLICE" in outcomes(piled)
    assert "RELABEL_SLICE" not in outcomes(spread)
    assert "TOLERATE" in outcomes(ask(census, errors=0.001))


def test_a_target_that_is_a_number_has_no_vote(census: dict[str, pa.Table]) -> None:
    result = ask(census, target="hours_per_week", errors=0.1, learner="boosted_trees")
    assert found(result, "predicted_error").status is Status.UNMEASURED
    with pytest.raises(InputError, match="is a number"):
        ask(census, target="hours_per_week", audit="truth")


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"teacher": "nobody"},
        {"teacher": "label"},
        {"teacher": "7"},
        {"teacher": "0.9,0.95,0.99"},
        {"teacher": "-0.5"},
        {"teacher": "0.1,-0.1,0.3"},
        {"teacher": "age"},
        {"audit": "nothing"},
        {"audit": "relationship"},
        {"audit": "truth", "errors": 0.1},
        {"audit": "truth", "verifier": "age"},
        {"verifier": "keeps", "errors": 0.1},
        {"errors": 1.5},
        {"errors": float("nan")},
        {"errors": 0.9, "errors_in": "relationship=Wife"},
        {"errors": 0.1, "errors_in": "relationship"},
        {"errors": 0.1, "errors_in": "relationship=Nobody"},
        {"errors_in": "relationship=Wife", "teacher": "good"},
    ],
)
def test_bad_questions_are_answered_in_words(census: dict[str, pa.Table], asked: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        ask(census, **asked)


def test_a_stated_score_below_chance_is_doubted(census: dict[str, pa.Table]) -> None:
    for teacher, doubted in (("0.3", True), ("0.9", False)):
        heard: list[str] = []
        result = ask(census, teacher=teacher, on_event=lambda _, facts, to=heard: to.append(str(facts)))
        assert any("worse than chance" in text for text in heard) is doubted
        kept = found(result, "student_kept").result
        assert (isinstance(kept, Unmeasured) and "does not beat chance" in kept.reason) is doubted


def test_r2_may_be_negative_and_an_auc_may_not(census: dict[str, pa.Table]) -> None:
    number = ask(census, teacher="-0.5", target="hours_per_week", learner="boosted_trees")
    assert outcomes(number) == {"TEACHER_NO_BETTER"}
    with pytest.raises(InputError, match="is no AUC, which lies between 0 and 1"):
        ask(census, teacher="-0.5")


def test_too_little_to_judge_by_is_insufficient_or_said(census: dict[str, pa.Table]) -> None:
    few = {**census, "holdout": census["holdout"].slice(0, 40)}
    assert ask(few, teacher="good").decision.verdict is Verdict.INSUFFICIENT
    tiny = {**census, "real": census["real"].slice(0, 60)}
    assert found(ask(tiny, errors=0.1), "predicted_error").status is Status.UNMEASURED
    empty = census["made"].set_column(
        census["made"].schema.get_field_index("truth"), "truth", pa.nulls(1500, pa.string())
    )
    with pytest.raises(InputError, match="was checked"):
        ask({**census, "made": empty}, audit="truth")
    one = census["made"].slice(0, 1)
    with pytest.raises(InputError):
        ask({**census, "made": one}, audit="nothing")


def test_the_command_answers_and_draws(census: dict[str, pa.Table], tmp_path: Path, cli: Callable[..., Any]) -> None:
    for name, table in census.items():
        pc.write_csv(table, tmp_path / f"{name}.csv")
    said = cli(
        "ceiling", tmp_path / "real.csv", tmp_path / "made.csv", "--target", "label", "--holdout",
        tmp_path / "holdout.csv", "--teacher", "poor", "--audit", "truth", "--learner", "logistic", "--fast",
        "--html", tmp_path / "c.html",
    )  # fmt: skip
    assert said.code == 0, said.err
    assert "TEACHER_NO_BETTER" in said.out
    assert max(map(len, said.out.splitlines())) <= 80
    page = (tmp_path / "c.html").read_text()
    assert 'class="chart wide"' in page
    assert 'class="chart narrow"' in page
    assert cli("ceiling", tmp_path / "real.csv", tmp_path / "made.csv", "--target", "label").code == 2
